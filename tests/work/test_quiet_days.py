"""Blackouts and holidays through real beats: held until they are over, also at the door, or late for their reason."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from stubs import CONFIG, JOURNEY, World

from engine.store import lanes

HOUR = timedelta(hours=1)
#: it is 24 November 2026, 10:00 in Berlin
SALE = "blackout: [{from: 2026-11-24, to: 2026-11-24, reason: the sale}]"
NOON = 'blackout: [{from: "2026-11-24 10:01", to: "2026-11-24 12:00", reason: the sale}]'


def with_policy(line: str) -> str:
    return CONFIG.replace("policy:", f"policy:\n  {line}")


def test_what_cannot_wait_for_the_end_of_a_blackout_is_late_and_its_row_names_the_reason(tmp_path: Path) -> None:
    world = World(tmp_path / "shop", config=with_policy(SALE))
    world.order(*world.people(1))
    world.tick()
    (row,) = world.rows("SELECT state, rule, reason FROM message")
    assert (row.state, row.rule) == ("expired", "late")
    assert "email: blackout: the sale until 2026-11-25 00:00 Europe/Berlin" in row.reason
    world.close()


def test_what_was_queued_before_a_blackout_is_held_at_the_door_until_it_is_over(tmp_path: Path) -> None:
    world = World(tmp_path / "shop", config=with_policy(NOON))
    with world.app.database.writing() as connection:
        lanes.change(connection, "email", paused_until=world.clock.now() + timedelta(minutes=2))
    world.order(*world.people(1))
    world.tick()
    world.tick(timedelta(minutes=3))
    (held,) = world.rows("SELECT kind, reason FROM delivery")
    assert held == ("held", "held until 2026-11-24 12:00 Europe/Berlin: blackout: the sale")
    world.tick(2 * HOUR)
    assert world.kinds() == ["held", "begun", "accepted"]
    world.close()


def test_a_holiday_holds_those_who_live_where_it_is_one(tmp_path: Path) -> None:
    journey = JOURNEY.replace("[email, sms]", "[sms]").replace("6h", "30h")
    world = World(tmp_path / "shop", {"note": journey}, with_policy("holidays: {DE: [11-24]}"))
    here, there = world.people(1, country="DE"), world.people(1, first=1, country="AT")
    world.order(*here, *there)
    world.tick()
    assert world.states() == {("p0001", "sms"): "accepted"}
    world.tick(22 * HOUR)  # the next day, at eight
    assert world.states() == {("p0000", "sms"): "accepted", ("p0001", "sms"): "accepted"}
    world.close()

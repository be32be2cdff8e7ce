"""Waves: once per planned instant, with approval and in stages, caught up within their lateness or recorded as late."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import shops
from stubs import JOURNEY, Died, World, dying

from engine.decide.split import stage_of
from engine.store import journeys, waves
from engine.work.entering.waves import settle_approval
from engine.work.publishing.drafts import load_drafts
from engine.work.tick import next_due

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOON = datetime(2026, 11, 24, 11, 0, tzinfo=UTC)  # 12:00 in Berlin
BASE = """
title: A wave
owner: us
topic: orders
enter: {{every: {every}, at: "12:00", zone: {zone}, segment: everyone}}
again: always
{more}
steps: [{{send: note, via: [email]}}]
"""


def wave(every: str = "day", zone: str = "person", more: str = "") -> dict[str, str]:
    return {"wave": BASE.format(every=every, zone=zone, more=more)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "shop"


def runs(world: World) -> list[tuple[str, str, str, int]]:
    rows = world.rows("SELECT planned, zone, state, entered FROM run ORDER BY planned_at, zone")
    return [(row.planned[5:], row.zone, row.state, row.entered) for row in rows]


def answer(world: World, outcome: str) -> None:
    with world.app.database.reading() as connection:
        (asked,) = waves.approvals(connection, open_only=True)
    settle_approval(world.app, asked, outcome, "lead", world.clock.now())


def through(world: World, until: datetime) -> Iterator[datetime]:
    """Every instant at which something is due."""
    while (due := next_due(world.app, world.clock.now())) is not None and due <= until:
        world.tick_at(due)
        yield due


# --- once ------------------------------------------------------------------------------------------------------------


def test_a_wave_fires_at_each_persons_own_noon_and_only_once_however_often_one_looks(folder: Path) -> None:
    world = World(folder, wave())
    world.people(2)
    world.people(3, first=2, zone="Asia/Shanghai")
    world.tick()
    assert runs(world) == []
    world.tick_at(NOON - timedelta(seconds=1))
    assert runs(world) == []
    for _ in range(3):
        world.tick_at(NOON)
    assert runs(world) == [("11-24T12:00", "Europe/Berlin", "done", 2)]
    for instant in through(world, NOON + DAY):
        assert instant in (NOON + DAY - 7 * HOUR, NOON + DAY)
        world.tick()
    assert runs(world)[1:] == [
        ("11-25T12:00", "Asia/Shanghai", "done", 3),
        ("11-25T12:00", "Europe/Berlin", "done", 2),
    ]
    assert len(world.email.handed) == 7
    world.close()


def test_a_wave_that_fell_due_while_nothing_ran_is_caught_up_within_its_lateness_and_recorded_as_late_beyond(
    folder: Path,
) -> None:
    world = World(folder, wave(more="max_lateness: 3h"))
    world.people(4)
    world.tick_at(NOON + DAY + 3 * HOUR)
    assert runs(world) == [
        ("11-24T12:00", "Europe/Berlin", "late", 0),
        ("11-25T12:00", "Europe/Berlin", "done", 4),
    ]
    late = world.rows("SELECT reason FROM run WHERE state = 'late'")[0].reason
    assert "1 day, 3:00:00" in late
    assert "3:00:00" in late
    world.tick_at(NOON + 2 * DAY + 3 * HOUR + timedelta(seconds=1))
    assert runs(world)[-1] == ("11-26T12:00", "Europe/Berlin", "late", 0)
    assert len(world.email.handed) == 4
    world.close()


def test_instants_planned_before_it_was_published_are_not_fired(folder: Path) -> None:
    world = World(folder, {"note": JOURNEY})
    world.people(1)
    world.clock.move_to(NOON + HOUR)
    (folder / "journeys" / "wave.yaml").write_text(wave()["wave"])
    shops.publish_all(world.app)
    world.tick()
    assert runs(world) == []
    world.tick_at(NOON + DAY)
    assert len(runs(world)) == 1
    world.close()


def test_a_wave_moved_to_an_earlier_hour_of_today_begins_with_its_next_instant(folder: Path) -> None:
    world = World(folder, wave())
    world.people(1)
    (folder / "journeys" / "wave.yaml").write_text(wave()["wave"].replace("12:00", "09:30"))
    world.clock.move_to(NOON - HOUR)
    shops.publish_all(world.app)
    world.tick_at(NOON)
    assert runs(world) == []
    world.tick_at(NOON + DAY)
    assert runs(world) == [("11-25T09:30", "Europe/Berlin", "done", 1)]
    world.close()


def test_a_wave_whose_steps_were_edited_after_its_instant_is_still_caught_up(folder: Path) -> None:
    world = World(folder, wave())
    world.people(1)
    world.clock.move_to(NOON + HOUR)
    (folder / "journeys" / "wave.yaml").write_text(wave(more="priority: 60")["wave"])
    shops.publish_all(world.app)
    world.tick()
    assert runs(world) == [("11-24T12:00", "Europe/Berlin", "done", 1)]
    world.close()


def test_a_page_at_a_time_lets_everyone_in_once_also_when_the_process_dies_between_pages(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import engine.work.entering.pages as module

    monkeypatch.setattr(module, "PAGE", 7)
    world = World(folder, wave())
    world.people(40)
    monkeypatch.setattr(module, "enter", dying(module.enter, 17, 33))
    for _ in range(2):
        with pytest.raises(Died):
            world.tick_at(NOON)
    world.tick()
    assert runs(world) == [("11-24T12:00", "Europe/Berlin", "done", 40)]
    assert len({one.key for one in world.email.handed}) == len(world.email.handed) == 40
    world.close()


def test_a_paused_wave_waits_and_goes_on_when_resumed(folder: Path) -> None:
    world = World(folder, wave())
    world.people(3)
    with world.app.database.writing() as connection:
        journeys.pause(connection, ["wave"], "test", world.clock.now())
    world.tick_at(NOON)
    assert runs(world) == [("11-24T12:00", "Europe/Berlin", "entering", 0)]
    with world.app.database.writing() as connection:
        journeys.resume(connection, ["wave"])
    world.tick_at(NOON + HOUR)
    assert runs(world) == [("11-24T12:00", "Europe/Berlin", "done", 3)]
    world.close()


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        ('cron: "0 12,18 * * mon-fri", zone: person', ["11-24T12:00", "11-24T18:00", "11-25T12:00", "11-25T18:00"]),
        ('dates: ["2026-11-25", "2026-11-24 13:30"], at: "12:00"', ["11-24T13:30", "11-25T12:00"]),
        ('every: week, on: [tue, wed], at: "12:00"', ["11-24T12:00", "11-25T12:00"]),
    ],
)
def test_a_wave_fires_at_every_time_that_it_names(folder: Path, plan: str, expected: list[str]) -> None:
    text = BASE.format(every="day", zone="person", more="")
    world = World(folder, {"wave": text.replace('every: day, at: "12:00", zone: person', plan)})
    world.people(2)
    for _ in through(world, NOON + 2 * DAY - timedelta(minutes=1)):
        pass
    assert runs(world) == [(one, "Europe/Berlin", "done", 2) for one in expected]
    world.close()


# --- approval --------------------------------------------------------------------------------------------------------

APPROVE = "approve: {by: lead, within: 24h}"


def test_nobody_enters_before_a_person_has_said_yes_and_one_word_holds_for_all_zones(folder: Path) -> None:
    world = World(folder, wave(more=APPROVE))
    world.people(3)
    world.people(2, first=3, zone="America/New_York")
    world.tick_at(NOON)
    assert runs(world) == [("11-24T12:00", "Europe/Berlin", "waiting", 0)]
    (asked,) = world.rows("SELECT people, messages FROM approval")
    assert (asked.people, asked.messages) == (5, 5)
    world.clock.move_to(NOON + HOUR)
    answer(world, "approved")
    world.tick()
    assert runs(world) == [("11-24T12:00", "Europe/Berlin", "done", 3)]
    world.tick_at(NOON + 6 * HOUR)
    assert runs(world)[1] == ("11-24T12:00", "America/New_York", "done", 2)
    assert len(world.rows("SELECT 1 FROM approval")) == 1
    world.close()


@pytest.mark.parametrize("outcome", ["refused", "expired"])
def test_a_refused_or_expired_wave_ends_in_every_zone_with_its_reason(folder: Path, outcome: str) -> None:
    world = World(folder, wave(more="approve: {by: lead, within: 2h}"))
    world.people(3)
    world.people(2, first=3, zone="America/New_York")
    world.tick_at(NOON)
    world.clock.move_to(NOON + HOUR)
    if outcome == "refused":
        answer(world, "refused")
    world.tick_at(NOON + 2 * HOUR)
    world.tick_at(NOON + 6 * HOUR)
    assert [(zone, state) for _, zone, state, _ in runs(world)] == [
        ("Europe/Berlin", outcome),
        ("America/New_York", outcome),
    ]
    who = "lead" if outcome == "refused" else "nobody"
    assert {row.reason for row in world.rows("SELECT reason FROM run")} == {f"stage 1 was {outcome} by {who}"}
    assert world.email.handed == []
    world.close()


def test_the_first_word_holds(folder: Path) -> None:
    world = World(folder, wave(more=APPROVE))
    world.people(1)
    world.tick_at(NOON)
    with world.app.database.reading() as connection:
        (asked,) = waves.approvals(connection, open_only=True)
    assert settle_approval(world.app, asked, "refused", "lead", NOON)
    assert not settle_approval(world.app, asked, "approved", "another", NOON)
    world.tick()
    assert world.email.handed == []
    world.close()


def test_a_wave_approved_after_a_newer_version_was_published_still_lets_its_people_in(folder: Path) -> None:
    world = World(folder, wave(more=APPROVE))
    world.people(3)
    world.tick_at(NOON)
    source = folder / "journeys" / "wave.yaml"
    source.write_text(wave(more=APPROVE + "\nends_after: 5d")["wave"])
    shops.publish_all(world.app)
    world.tick()
    answer(world, "approved")
    world.tick()
    assert runs(world) == [("11-24T12:00", "Europe/Berlin", "done", 3)]
    world.close()


# --- one bad person --------------------------------------------------------------------------------------------------


def damage(world: World, person: str) -> None:
    with world.app.database.writing() as connection:
        connection.exec_driver_sql(f"UPDATE customer SET attributes = 'no JSON' WHERE external_id = '{person}'")


def passed_over(world: World) -> list[str]:
    rows = world.rows("SELECT sentence FROM trace WHERE rule = 'not_entered'")
    return [row.sentence.partition(":")[0] for row in rows]


def test_one_person_who_cannot_be_read_is_passed_over_and_the_wave_lets_in_all_others(folder: Path) -> None:
    world = World(folder, wave())
    people = world.people(20)
    damage(world, "p0007")
    world.tick_at(NOON)
    assert entered(world) == set(people) - {"p0007"}
    assert passed_over(world) == ["their data cannot be read"]
    assert runs(world) == [("11-24T12:00", "Europe/Berlin", "done", 19)]
    world.close()


def test_one_person_who_cannot_be_read_crosses_a_border_without_holding_up_the_others(folder: Path) -> None:
    crossing = BASE.format(every="day", zone="person", more="")
    crossing = crossing.replace(
        '{every: day, at: "12:00", zone: person, segment: everyone}', "{segment: everyone, crossing: in}"
    )
    world = World(folder, {"wave": crossing})
    world.tick_at(NOON)  # takes stock of nobody
    people = world.people(20)
    damage(world, "p0007")
    world.tick_at(NOON + 2 * HOUR)
    assert entered(world) == set(people) - {"p0007"}
    assert passed_over(world) == ["their data cannot be read"]
    world.tick_at(NOON + 4 * HOUR)
    assert len(passed_over(world)) == 1
    world.close()


# --- stages ----------------------------------------------------------------------------------------------------------

STAGES = "rollout: [20%, 60%, 100%]"
SHARES = (Decimal("0.2"), Decimal("0.6"), Decimal(1))


def entered(world: World) -> set[str]:
    return {
        row.external_id
        for row in world.rows("SELECT c.external_id FROM enrollment e JOIN customer c ON c.id = e.customer_id")
    }


def test_stages_enter_one_after_the_other_each_with_its_own_people(folder: Path) -> None:
    world = World(folder, wave("month, on: 24", more=STAGES))
    people = world.people(60)
    seen: list[set[str]] = []
    for day in range(3):
        world.tick_at(NOON + day * DAY)
        seen.append(entered(world) - set().union(*seen))
        world.tick_at(NOON + day * DAY + HOUR)
    assert set().union(*seen) == set(people)
    assert seen == [{name for name in people if stage_of("wave", name, SHARES) == number} for number in range(3)]
    assert len(world.email.handed) == 60
    assert runs(world) == [("11-24T12:00", "Europe/Berlin", "done", 60)]
    world.close()


def test_every_stage_is_approved_on_its_own_and_a_no_ends_the_rest(folder: Path) -> None:
    world = World(folder, wave("month, on: 24", more=f"{STAGES}\n{APPROVE}"))
    people = world.people(60)
    world.tick_at(NOON)
    assert entered(world) == set()
    answer(world, "approved")
    world.tick()
    first = {name for name in people if stage_of("wave", name, SHARES) == 0}
    assert entered(world) == first
    asked = world.rows("SELECT stage, people FROM approval ORDER BY stage")
    assert [(row.stage, row.people) for row in asked] == [(1, 12), (2, 24)]
    world.clock.move_to(NOON + HOUR)
    answer(world, "refused")
    for _ in range(4):
        world.tick(DAY)
    assert entered(world) == first
    assert [state for *_, state, _ in runs(world)] == ["refused"]
    world.close()


# --- what follows at once --------------------------------------------------------------------------------------------


def two_waves(first: int, second: int) -> dict[str, str]:
    """Two journeys with a wave at the same noon, one cap between them, and their priorities."""
    cap = "caps: [{at_most: 1, per: week}]"
    return {
        "a_wave": BASE.format(every="day", zone="person", more=f"priority: {first}\n{cap}").replace("orders", "news"),
        "b_wave": BASE.format(every="day", zone="person", more=f"priority: {second}\n{cap}").replace("orders", "news"),
    }


def test_nobody_is_decided_for_before_they_stand_in_all_waves_of_the_instant(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.work.entering.pages.PAGE", 2)
    monkeypatch.setattr("engine.work.tick.CHUNKS_BETWEEN", 1)
    for first, second, winner in ((10, 90, "b_wave"), (90, 10, "a_wave")):
        world = World(folder / winner, two_waves(first, second))
        world.people(5)
        world.tick_at(NOON)
        sent = world.rows("SELECT journey, count(*) FROM message WHERE batch_id IS NOT NULL GROUP BY journey")
        assert [tuple(row) for row in sent] == [(winner, 5)]
        world.close()


def test_who_learns_something_while_their_page_is_decided_enters_by_what_holds_then(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.work.entering import pages as entering

    world = World(folder, wave())
    world.people(3)
    real = entering._follows

    def learned_meanwhile(*arguments: Any) -> Any:
        found = real(*arguments)
        shops.add_people(world.app, [{"external_id": "p0001", "addresses": {"email": "new@example.com"}}], True)
        return found

    monkeypatch.setattr(entering, "_follows", learned_meanwhile)
    world.tick_at(NOON)
    assert runs(world)[-1][2:] == ("done", 3)
    assert sorted(one.content.to for one in world.email.handed) == [
        "new@example.com",
        "p0000@example.com",
        "p0002@example.com",
    ]
    world.close()


def test_who_cannot_be_decided_for_enters_and_holds_up_nobody_of_their_page(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.work import advance

    world = World(folder, wave())
    world.people(3)
    real = advance.decide

    def poisoned(state: Any, *arguments: Any) -> Any:
        if state.person.external_id == "p0001":
            raise RuntimeError("data that breaks a rule")
        return real(state, *arguments)

    monkeypatch.setattr(advance, "decide", poisoned)
    world.tick_at(NOON)
    assert runs(world)[-1][2:] == ("done", 3)
    assert sorted(one.content.to for one in world.email.handed) == ["p0000@example.com", "p0002@example.com"]
    assert world.rows("SELECT max(failures) FROM enrollment")[0][0] == 3
    world.close()


def test_what_cannot_be_written_for_a_page_is_decided_one_by_one_after_all_have_entered(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.work import advance

    world = World(folder, wave())
    world.people(3)
    real = advance._take_back
    calls: list[int] = []

    def broken(connection: Any, fresh: Any, *arguments: Any) -> None:
        calls.append(len(fresh))
        if len(fresh) == 3 and len(calls) == 1:
            raise ValueError("a row that cannot be written")
        real(connection, fresh, *arguments)

    monkeypatch.setattr(advance, "_take_back", broken)
    world.tick_at(NOON)
    assert calls[0] == 3
    assert runs(world)[-1][2:] == ("done", 3)
    assert len(world.email.handed) == 3
    assert world.rows("SELECT count(*) FROM enrollment") == [(3,)]
    world.close()


# --- too small to compare -------------------------------------------------------------------------------------------

COMPARED = """
title: A comparison
owner: us
topic: orders
enter: {every: day, at: "12:00", zone: person, segment: everyone}
again: always
goal: {event: Order Completed, within: 1d}
steps: [{split: words, min_per_variant: 4, variants: {plain: 50%, warm: {share: 50%, steps: [{wait: 1h}]}}}]
"""


def said_of_its_size(world: World) -> list[str]:
    return [one.sentence.partition(":")[0] for one in load_drafts(world.app).problems if one.code == "split-too-small"]


def test_a_split_is_held_against_the_last_wave_that_is_over_everywhere_and_before_the_first_against_the_next(
    make_world: Any,
) -> None:
    world = make_world({"compared": COMPARED})
    assert said_of_its_size(world) == []  # nobody is known
    world.people(3)
    assert said_of_its_size(world) == ["before the door of the first wave are 3 people"]
    world.tick()
    world.tick_at(NOON)
    assert runs(world) == [("11-24T12:00", "Europe/Berlin", "done", 3)]
    assert said_of_its_size(world) == ["before the door of the first wave are 3 people"]  # somewhere it is not noon yet
    world.clock.move_to(NOON + 27 * HOUR)
    assert said_of_its_size(world) == ["with the last wave entered 3 people"]
    world.people(20, first=3)
    world.tick()
    world.clock.move_to(NOON + 3 * DAY)
    assert said_of_its_size(world) == []  # enough entered with the wave after it

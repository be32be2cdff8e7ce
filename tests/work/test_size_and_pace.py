"""`at_most` with `first`, and `spread`: the most valuable of all zones, never more; each at an instant of their own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import shops
from stubs import Died, World, dying

from engine.decide.split import chance, delay_of, stage_of
from engine.imports.entrants import EntrantRow
from engine.journey.problems import Position
from engine.store import waves
from engine.work.advance import advance
from engine.work.entering.requests import Who, release, take_in
from engine.work.entering.waves import settle_approval
from engine.work.tick import next_due

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOON = datetime(2026, 11, 24, 11, 0, tzinfo=UTC)  # 12:00 in Berlin
TEXT = """
title: A wave
owner: us
topic: orders
enter: {{every: {every}, at: "12:00", zone: person, segment: everyone}}
{more}
steps: [{{send: note, via: [email]}}]
"""
MakeWorld = Callable[..., World]


def wave(more: str, every: str = "day") -> dict[str, str]:
    return {"wave": TEXT.format(more=more, every=every)}


def rich(world: World, **points: Any) -> None:
    zones = {row.external_id: row.zone for row in world.rows("SELECT external_id, zone FROM customer")}
    rows = [{"external_id": n, "zone": zones[n], "attributes": {"points": value}} for n, value in points.items()]
    shops.add_people(world.app, rows, consent=False)


def entered(world: World) -> list[str]:
    rows = world.rows(
        "SELECT c.external_id FROM enrollment e JOIN customer c ON c.id = e.customer_id ORDER BY e.entered_at, e.id"
    )
    return [row.external_id for row in rows]


# --- at_most and first -----------------------------------------------------------------------------------------------


def test_the_most_valuable_of_all_zones_enter_and_never_more(make_world: MakeWorld) -> None:
    world = make_world(wave("at_most: 3\nfirst: points\nagain: always"))
    world.people(3)
    world.people(3, first=3, zone="America/New_York")
    rich(world, p0000=10, p0001=70, p0002="many", p0003=90, p0004=80, p0005=5)
    world.tick_at(NOON)
    assert entered(world) == ["p0001"]
    rich(world, p0002=1000, p0005=1000)  # who is chosen was settled when the first zone came
    world.tick_at(NOON + 6 * HOUR)
    assert entered(world) == ["p0001", "p0003", "p0004"]
    world.tick_at(NOON + DAY)
    world.tick_at(NOON + DAY + 6 * HOUR)
    assert sorted(entered(world)[3:]) == ["p0002", "p0003", "p0005"]


def test_who_may_not_come_back_takes_nobodys_place(make_world: MakeWorld) -> None:
    world = make_world(wave("at_most: 2\nfirst: points"))
    world.people(5)
    rich(world, p0000=1, p0001=5, p0002=3, p0003=4, p0004=2)
    for day in range(4):
        world.tick_at(NOON + day * DAY)
    assert entered(world) == ["p0001", "p0003", "p0002", "p0004", "p0000"]


def test_equals_and_people_without_the_value_stand_in_the_order_of_a_hash(make_world: MakeWorld) -> None:
    world = make_world(wave("at_most: 4\nfirst: points"))
    people = world.people(12)
    rich(world, p0003=1, p0007=1, p0009=1)
    world.tick_at(NOON)
    others = sorted(set(people) - {"p0003", "p0007", "p0009"}, key=lambda name: chance("first", "wave", name))
    assert sorted(entered(world)) == sorted(["p0003", "p0007", "p0009", others[0]])


def test_without_first_the_hash_alone_says_who(make_world: MakeWorld) -> None:
    world = make_world(wave("at_most: 4"))
    people = world.people(12)
    world.tick_at(NOON)
    assert sorted(entered(world)) == sorted(sorted(people, key=lambda name: chance("first", "wave", name))[:4])


@pytest.mark.parametrize(
    ("first", "trait", "expected"),
    [
        ("spent", "{sum: Order Completed.total}", "p0001"),
        ("seen", "{last: Order Completed}", "p0002"),
        ("orders", "{count: Order Completed}", "p0000"),
    ],
)
def test_first_may_be_an_amount_an_instant_or_a_number(
    make_world: MakeWorld, first: str, trait: str, expected: str
) -> None:
    world = make_world(wave("at_most: 1"))
    world.people(4)
    audience = world.app.journeys_folder / "audience.yaml"
    audience.write_text(f"{audience.read_text()}traits:\n  {first}: {trait}\n")
    (world.app.journeys_folder / "wave.yaml").write_text(wave(f"at_most: 1\nfirst: {first}")["wave"])
    shops.publish_all(world.app)
    for number, (person, total) in enumerate((("p0000", 3), ("p0000", 4), ("p0001", 50), ("p0002", 20))):
        world.clock.move_to(world.clock.now() + timedelta(minutes=1))
        shops.happen(world.app, f"o-{number}", person, "Order Completed", {"total": total, "currency": "EUR"})
    world.tick_at(NOON)
    assert entered(world) == [expected]


def test_stages_share_those_who_are_chosen(make_world: MakeWorld) -> None:
    world = make_world(wave("at_most: 30\nrollout: [20%, 100%]", "month, on: 24"))
    people = world.people(60)
    world.tick_at(NOON)
    world.tick_at(NOON + DAY)
    best = sorted(people, key=lambda name: chance("first", "wave", name))[:30]
    stages = world.app.rules
    with world.app.database.reading() as connection:
        rollout = stages(connection).graphs[stages(connection).live["wave"]].head.rollout
    early = {name for name in best if stage_of("wave", name, rollout) == 0}
    assert set(entered(world)[: len(early)]) == early
    assert set(entered(world)) == set(best)


def test_an_approval_asks_for_no_more_people_than_may_enter(make_sqlite_world: MakeWorld) -> None:
    world = make_sqlite_world(wave("at_most: 3\napprove: {by: lead, within: 24h}"))
    world.people(10)
    world.tick_at(NOON)
    (asked,) = world.rows("SELECT people, messages FROM approval")
    assert (asked.people, asked.messages) == (3, 3)
    with world.app.database.reading() as connection:
        (approval,) = waves.approvals(connection, open_only=True)
    settle_approval(world.app, approval, "approved", "lead", world.clock.now())
    world.tick()
    assert len(entered(world)) == 3


def test_a_request_lets_in_the_most_valuable_of_those_it_names(make_world: MakeWorld) -> None:
    text = wave("at_most: 2\nfirst: points")["wave"].replace(
        'enter: {every: day, at: "12:00", zone: person, segment: everyone}', "enter: {api: true}"
    )
    world = make_world({"wave": text})
    world.people(6)
    rich(world, p0000=1, p0001=2, p0002=3, p0003=4, p0004=5, p0005=6)

    def rows() -> Iterator[EntrantRow]:
        yield from (EntrantRow(f"p000{number}", {"n": number}, Position("")) for number in (0, 1, 2, 3))

    release(world.app, take_in(world.app, "wave", Who(rows=rows), "k", "me"))
    world.tick()
    assert entered(world) == ["p0002", "p0003"]
    assert world.rows("SELECT count(*) FROM chosen") == [(0,)]


def test_who_was_chosen_is_forgotten_when_it_is_long_over(make_sqlite_world: MakeWorld) -> None:
    world = make_sqlite_world(wave("at_most: 2\nagain: always"))
    world.people(3)
    for day in range(8):
        world.tick_at(NOON + day * DAY)
    assert len(entered(world)) == 16
    planned = {row.planned[:10] for row in world.rows("SELECT DISTINCT planned FROM chosen")}
    assert planned == {"2026-11-28", "2026-11-29", "2026-11-30", "2026-12-01"}


def test_a_process_that_dies_at_any_page_lets_in_the_chosen_once(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    import engine.work.entering.pages as module

    monkeypatch.setattr(module, "PAGE", 4)
    world = make_world(wave("at_most: 20\nagain: always"))
    people = world.people(40)
    monkeypatch.setattr(module, "enter", dying(module.enter, 3, 12, 18))
    for _ in range(3):
        with pytest.raises(Died):
            world.tick_at(NOON)
    world.tick()
    assert sorted(entered(world)) == sorted(sorted(people, key=lambda name: chance("first", "wave", name))[:20])


# --- spread ----------------------------------------------------------------------------------------------------------


def begins(world: World) -> dict[str, datetime]:
    rows = world.rows(
        "SELECT c.external_id, m.due_at FROM message m JOIN customer c ON c.id = m.customer_id"
        " WHERE m.batch_id IS NOT NULL"
    )
    return {
        row.external_id: datetime.fromisoformat(f"{row.due_at}+00:00") if isinstance(row.due_at, str) else row.due_at
        for row in rows
    }


def through(world: World, until: datetime) -> Iterator[datetime]:
    while (due := next_due(world.app, world.clock.now())) is not None and due <= until:
        world.tick_at(due)
        yield due


def test_everyone_of_a_spread_wave_begins_at_an_instant_of_their_own(make_world: MakeWorld) -> None:
    world = make_world(wave("spread: 2h"))
    people = world.people(20)
    for instant in through(world, NOON + 3 * HOUR):
        assert all(at <= instant for at in begins(world).values())
    assert begins(world) == {name: NOON + delay_of("wave", name, 2 * HOUR) for name in people}
    assert len(set(begins(world).values())) > 10
    assert all(NOON <= at < NOON + 2 * HOUR for at in begins(world).values())
    ways = world.rows("SELECT DISTINCT entered_at FROM enrollment")
    assert len(ways) == 1


def test_who_leaves_before_they_begin_gets_nothing(make_world: MakeWorld) -> None:
    world = make_world(wave("spread: 2h\nleave: [{event: Order Completed}]"))
    people = world.people(20)
    world.tick_at(NOON)
    late = max(people, key=lambda name: delay_of("wave", name, 2 * HOUR))
    world.clock.move_to(NOON + timedelta(minutes=1))
    world.order(late)
    for _ in through(world, NOON + 3 * HOUR):
        pass
    assert set(begins(world)) == set(people) - {late}


def test_news_of_somebody_who_has_not_begun_is_looked_at_once_and_they_begin_when_they_would_have(
    make_world: MakeWorld,
) -> None:
    world = make_world(wave("spread: 2h\nleave: [{event: Order Completed, where: {total: {at_least: 1000}}}]"))
    (name,) = world.people(1)
    world.tick_at(NOON)
    world.clock.move_to(NOON + timedelta(minutes=1))
    world.order(name)
    with world.app.database.reading() as connection:
        rules = world.app.rules(connection)
    looks = [advance(world.app, rules, world.app.needs(rules), world.clock.now()) for _ in range(2)]
    assert [done and done.people for done in looks] == [1, None]
    for _ in through(world, NOON + 3 * HOUR):
        pass
    assert begins(world) == {name: NOON + delay_of("wave", name, 2 * HOUR)}


def test_a_spread_wave_that_was_cut_off_leaves_nobody_out_and_nobody_begins_twice(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    import engine.work.entering.pages as module

    monkeypatch.setattr(module, "PAGE", 7)
    world = make_world(wave("spread: 2h\nagain: always"))
    people = world.people(40)
    monkeypatch.setattr(module, "enter", dying(module.enter, 17))
    with pytest.raises(Died):
        world.tick_at(NOON)
    world.tick_at(NOON + 3 * HOUR)
    assert begins(world) == {name: NOON + delay_of("wave", name, 2 * HOUR) for name in people}
    assert len(world.email.handed) == 40


def test_the_story_of_a_person_tells_when_they_begin(make_sqlite_world: MakeWorld) -> None:
    world = make_sqlite_world(wave("spread: 2h"))
    world.people(1)
    world.tick_at(NOON)
    (told,) = world.rows("SELECT sentence, detail FROM trace WHERE rule = 'entered'")
    begins_at = (NOON + delay_of("wave", "p0000", 2 * HOUR) + HOUR).strftime("%H:%M")
    assert told.sentence == (
        f"entered at 2026-11-24 12:00 Europe/Berlin; begins at 2026-11-24 {begins_at} Europe/Berlin"
    )
    assert json.loads(told.detail) == {}

"""Entering by silence: at the instant at which it is complete, once for each, and not for what is over or was known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import shops
from stubs import JOURNEY, Died, World, dying

from engine.learn.explain import explain
from engine.work.incoming.intake import NewEvent, record_events
from engine.work.publishing.drafts import load_drafts, plan_publish
from engine.work.tick import next_due

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
TEXT = """
title: We miss you
owner: us
topic: orders
enter: {{absence_of: Page Viewed, for: 30d{more}}}
{again}
steps: [{{send: note, via: [email]}}]
"""
MakeWorld = Callable[..., World]


def silence(more: str = "", again: str = "") -> dict[str, str]:
    return {"silent": TEXT.format(more=more, again=again)}


def visit(world: World, person: str, at: datetime | None = None, **payload: Any) -> None:
    at = at or world.clock.now()
    shops.happen(world.app, f"v-{person}-{at.isoformat()}", person, "Page Viewed", payload, at)


def entered(world: World) -> list[tuple[str, datetime]]:
    rows = world.rows(
        "SELECT c.external_id, e.entered_at FROM enrollment e JOIN customer c ON c.id = e.customer_id ORDER BY e.id"
    )
    return [
        (
            row.external_id,
            datetime.fromisoformat(f"{row.entered_at}+00:00")
            if isinstance(row.entered_at, str)
            else row.entered_at.astimezone(UTC),
        )
        for row in rows
    ]


def through(world: World, until: datetime) -> Iterator[datetime]:
    """Every instant at which something is due."""
    while (due := next_due(world.app, world.clock.now())) is not None and due <= until:
        world.tick_at(due)
        yield due


def days_pass(world: World, days: int) -> None:
    """A beat each day."""
    for _ in range(days):
        world.tick(DAY)


def test_silence_is_entered_when_it_is_complete_and_not_before(make_world: MakeWorld) -> None:
    world = make_world(silence())
    world.people(2, created_at=shops.NOW - 400 * DAY)
    world.clock.move_to(shops.NOW + HOUR)
    visit(world, "p0000")
    world.tick_at(shops.NOW + HOUR + 30 * DAY - MINUTE)
    assert entered(world) == []
    world.tick_at(shops.NOW + HOUR + 30 * DAY)
    world.tick(HOUR)
    assert entered(world) == [("p0000", shops.NOW + HOUR + 30 * DAY)]
    assert len(world.email.handed) == 1


def test_who_was_never_seen_is_silent_since_they_were_first_known(make_world: MakeWorld) -> None:
    world = make_world(silence())
    world.people(1, created_at=shops.NOW - 29 * DAY)
    world.people(1, first=1, created_at=shops.NOW - 31 * DAY)  # silent before it was published
    days_pass(world, 5)
    assert entered(world) == [("p0000", shops.NOW + DAY)]


def test_each_silence_is_entered_once_and_a_new_event_begins_a_new_one(make_world: MakeWorld) -> None:
    world = make_world(silence())
    world.people(1, created_at=shops.NOW - 29 * DAY)
    days_pass(world, 10)
    visit(world, "p0000")
    back = world.clock.now()
    days_pass(world, 40)
    assert [at for _, at in entered(world)] == [shops.NOW + DAY, back + 30 * DAY]


@pytest.mark.parametrize(
    ("again", "count"), [("", 2), ("again: never", 1), ("again: {after: 60d}", 1), ("again: {after: 30d}", 2)]
)
def test_again_may_ask_for_less(make_sqlite_world: MakeWorld, again: str, count: int) -> None:
    world = make_sqlite_world(silence(again=again))
    world.people(1, created_at=shops.NOW - 29 * DAY)
    days_pass(world, 3)
    visit(world, "p0000")
    days_pass(world, 40)
    assert len(entered(world)) == count


def test_only_matching_events_break_the_silence_and_only_people_of_the_segment_enter(make_world: MakeWorld) -> None:
    world = make_world({"note": JOURNEY})
    audience = "segments:\n  everyone: {country: {known: true}}\n  members: {member: true}\n"
    (world.app.journeys_folder / "audience.yaml").write_text(audience)
    text = silence(", where: {seconds: {at_least: 10}}, segment: members")["silent"]
    (world.app.journeys_folder / "silent.yaml").write_text(text)
    world.people(3, created_at=shops.NOW - 29 * DAY, attributes={"member": True})
    world.people(1, first=3, created_at=shops.NOW - 29 * DAY, attributes={"member": False})
    shops.publish_all(world.app)
    world.clock.move_to(shops.NOW + HOUR)
    visit(world, "p0000", seconds=3)
    visit(world, "p0001", seconds=30)
    days_pass(world, 4)
    assert entered(world) == [("p0000", shops.NOW + DAY), ("p0002", shops.NOW + DAY)]


def test_who_is_silent_already_enters_at_publication_only_if_that_is_asked_for(make_world: MakeWorld) -> None:
    world = make_world({"note": JOURNEY})
    world.people(3, created_at=shops.NOW - 100 * DAY)
    world.people(1, first=3)
    visit(world, "p0001", shops.NOW - 40 * DAY)
    visit(world, "p0002", shops.NOW - 10 * DAY)
    file = world.app.journeys_folder / "silent.yaml"
    file.write_text(silence()["silent"])
    shops.publish_all(world.app)
    days_pass(world, 2)
    assert entered(world) == []
    file.write_text(silence(", include_current: true")["silent"])
    (plan,) = plan_publish(world.app, load_drafts(world.app), ["silent"])
    assert (plan.audience, plan.at_once, plan.way) == (2, True, "silence")
    shops.publish_all(world.app)
    world.tick(MINUTE)
    assert [name for name, _ in entered(world)] == ["p0000", "p0001"]
    days_pass(world, 20)
    assert entered(world)[2:] == [("p0002", shops.NOW + 20 * DAY)]


def test_an_imported_history_is_no_silence_that_begins_now(make_world: MakeWorld) -> None:
    world = make_world(silence())
    world.people(2, created_at=shops.NOW - 100 * DAY)
    days_pass(world, 1)
    with world.app.database.reading() as connection:
        rules = world.app.rules(connection)
    now = world.clock.now()
    told = [
        NewEvent("h-1", "p0000", "Page Viewed", now - 31 * DAY),
        NewEvent("h-2", "p0001", "Page Viewed", now - 29 * DAY),
    ]
    record_events(world.app, rules, world.app.needs(rules), told, live=False)
    days_pass(world, 3)
    assert entered(world) == [("p0001", now + DAY)]


def test_another_span_lets_nobody_in_who_is_silent_so_long_already(make_world: MakeWorld) -> None:
    world = make_world(silence())
    world.people(2, created_at=shops.NOW - 20 * DAY)
    days_pass(world, 1)
    visit(world, "p0001")
    text = silence()["silent"].replace("30d", "10d")
    (world.app.journeys_folder / "silent.yaml").write_text(text)
    shops.publish_all(world.app)
    days_pass(world, 15)
    assert entered(world) == [("p0001", shops.NOW + 11 * DAY)]


def test_what_was_missed_is_made_up_for_within_max_lateness(make_world: MakeWorld) -> None:
    world = make_world(silence(again="max_lateness: 6h"))
    for number, hours in enumerate((2, 20)):
        world.people(1, first=number, created_at=shops.NOW - 29 * DAY + hours * HOUR)
    world.tick(HOUR)
    world.tick_at(shops.NOW + DAY + 21 * HOUR)  # nothing ran meanwhile
    assert entered(world) == [("p0001", shops.NOW + DAY + 20 * HOUR)]


def test_a_short_silence_that_is_broken_and_complete_again_between_two_looks_is_entered_again(
    make_world: MakeWorld,
) -> None:
    text = silence()["silent"].replace("30d", "1h")
    world = make_world({"silent": text})
    world.people(1, created_at=shops.NOW - 30 * MINUTE)
    world.tick(HOUR)
    world.clock.move_to(shops.NOW + 2 * HOUR)
    visit(world, "p0000")
    world.tick_at(shops.NOW + 5 * HOUR)  # silent before and after: nothing was looked at between
    assert [at for _, at in entered(world)] == [shops.NOW + 30 * MINUTE, shops.NOW + 3 * HOUR]


def test_a_simulation_comes_by_when_a_silence_is_complete(make_sqlite_world: MakeWorld) -> None:
    world = make_sqlite_world({"silent": silence()["silent"].replace("30d", "10h")})
    world.people(1)
    instants = list(through(world, shops.NOW + 2 * DAY))
    assert entered(world) == [("p0000", shops.NOW + 10 * HOUR)]
    assert shops.NOW + 10 * HOUR in instants
    assert len(instants) < 10


def test_a_process_that_dies_between_two_pages_lets_everyone_in_once(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    import engine.work.entering.silences as module

    monkeypatch.setattr(module, "PAGE", 7)
    world = make_world(silence())
    people = world.people(40, created_at=shops.NOW - 29 * DAY)
    world.tick(HOUR)
    monkeypatch.setattr(module, "_let_in", dying(module._let_in, 3, 8))
    for _ in range(2):
        with pytest.raises(Died):
            world.tick_at(shops.NOW + DAY)
    world.tick()
    assert [name for name, _ in entered(world)] == people
    assert world.rows("SELECT count(*) FROM trace WHERE rule = 'not_entered'") == [(0,)]
    assert len(world.email.handed) == 40


def test_it_is_told_since_when_somebody_is_silent(make_world: MakeWorld) -> None:
    world = make_world(silence())
    world.people(2)
    visit(world, "p0000")
    told: Mapping[str, str] = {name: explain(world.app, name).stories[0].sentence for name in ("p0000", "p0001")}
    assert told["p0000"] == (
        "It is entered 30d after the last Page Viewed, which was at 2026-11-24 10:00: at 2026-12-24 10:00."
    )
    assert told["p0001"] == (
        "It is entered 30d after the last Page Viewed, and none that counts is known; "
        "the person is known since 2026-11-24 10:00."
    )

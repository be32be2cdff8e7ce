"""`include_current`: who is inside a segment already enters when the journey is published, once, and nobody else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
import shops
from stubs import JOURNEY, Died, World, dying

from engine.work.publishing.drafts import load_drafts, plan_publish
from engine.work.tick import next_due

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CROSSING = """
title: Silent
owner: us
topic: orders
enter: {{segment: silent, crossing: {crossing}{more}}}
again: {again}
steps: [{{send: note, via: [email]}}]
"""
SILENT = "segments:\n  everyone: {country: {known: true}}\n  silent: {mood: silent}\n"
MakeWorld = Callable[..., World]


def crossing(direction: str = "in", more: str = ", include_current: true", again: str = "always") -> str:
    return CROSSING.format(crossing=direction, more=more, again=again)


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """Three silent people, two others, and nothing published of silence yet."""
    made = make_world({"note": JOURNEY})
    made.people(3, attributes={"mood": "silent"})
    made.people(2, first=3, attributes={"mood": "fine"})
    (made.app.journeys_folder / "audience.yaml").write_text(SILENT)
    return made


def publish(world: World, text: str) -> None:
    (world.app.journeys_folder / "silent.yaml").write_text(text)
    shops.publish_all(world.app)


def entered(world: World) -> list[str]:
    rows = world.rows(
        "SELECT c.external_id FROM enrollment e JOIN customer c ON c.id = e.customer_id ORDER BY c.external_id"
    )
    return [row.external_id for row in rows]


def now_is(world: World, person: str, mood: str) -> None:
    shops.add_people(world.app, [{"external_id": person, "attributes": {"mood": mood}}], consent=False)


@pytest.mark.parametrize(
    ("direction", "more", "expected"),
    [
        ("in", ", include_current: true", ["p0000", "p0001", "p0002"]),
        ("out", ", include_current: true", ["p0003", "p0004"]),
        ("in", ", include_current: false", []),
        ("in", "", []),
    ],
)
def test_who_has_crossed_already_enters_at_publication_if_that_is_asked_for(
    world: World, direction: str, more: str, expected: list[str]
) -> None:
    publish(world, crossing(direction, more))
    for _ in range(3):
        world.tick(HOUR)
    assert entered(world) == expected
    assert {one.content.to.partition("@")[0] for one in world.email.handed} == set(expected)


def test_who_crosses_later_enters_as_ever(world: World) -> None:
    publish(world, crossing())
    world.tick()
    now_is(world, "p0003", "silent")
    world.tick(HOUR)
    assert entered(world) == ["p0000", "p0001", "p0002", "p0003"]
    world.tick(HOUR)
    assert len(entered(world)) == 4


def test_a_later_version_lets_nobody_in_again_unless_its_entry_is_another(world: World) -> None:
    publish(world, crossing())
    world.tick()
    publish(world, crossing().replace("steps: [", "steps: [{wait: 1d}, "))
    world.tick(HOUR)
    assert len(entered(world)) == 3
    publish(world, crossing("out"))
    world.tick(HOUR)
    assert entered(world)[3:] == ["p0003", "p0004"]


def test_whoever_crosses_between_publication_and_the_first_look_is_among_them(world: World) -> None:
    publish(world, crossing())
    now_is(world, "p0004", "silent")
    world.tick(3 * DAY)  # nothing ran meanwhile
    assert entered(world) == ["p0000", "p0001", "p0002", "p0004"]


def test_who_crossed_before_publication_does_not_enter_because_it_is_noticed_later(world: World) -> None:
    audience = world.app.journeys_folder / "audience.yaml"
    audience.write_text(SILENT + "  back: {visits: {at_least: 1}}\ntraits:\n  visits: {count: Page Viewed}\n")
    entry = crossing("in", "").replace("segment: silent", "segment: back")
    (world.app.journeys_folder / "first.yaml").write_text(entry)
    shops.publish_all(world.app)
    world.tick()  # takes stock, and looks every hour from now on
    world.clock.move_to(world.clock.now() + timedelta(minutes=10))
    shops.happen(world.app, "v-1", "p0000", "Page Viewed")
    world.clock.move_to(world.clock.now() + timedelta(minutes=20))
    (world.app.journeys_folder / "second.yaml").write_text(entry)
    shops.publish_all(world.app)
    world.tick(HOUR)
    assert [row.journey for row in world.rows("SELECT journey FROM enrollment")] == ["first"]


def test_people_enter_page_by_page_and_once_when_the_process_dies_between(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    import engine.work.entering.pages as module

    monkeypatch.setattr(module, "PAGE", 7)
    people = world.people(40, first=10, attributes={"mood": "silent"})
    publish(world, crossing())
    monkeypatch.setattr(module, "enter", dying(module.enter, 11, 30))
    for _ in range(2):
        with pytest.raises(Died):
            world.tick()
    world.tick()
    assert entered(world) == ["p0000", "p0001", "p0002", *people]


def test_publishing_tells_how_many_enter_at_once(world: World) -> None:
    (world.app.journeys_folder / "silent.yaml").write_text(crossing())
    told = {plan.journey: plan for plan in plan_publish(world.app, load_drafts(world.app), ["silent", "note"])}
    assert (told["silent"].audience, told["silent"].at_once) == (3, True)
    assert (told["note"].audience, told["note"].at_once) == (None, False)
    publish(world, crossing())
    assert next_due(world.app, world.clock.now()) is not None
    (again,) = plan_publish(world.app, load_drafts(world.app), ["silent"])
    assert not again.at_once

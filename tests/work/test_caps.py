"""Caps in the work rooms: counted again at commit 1, also for people who share an address, and told by number."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from shops import opened
from stubs import CONFIG, JOURNEY, World

from channels.contract import FailureReason, Sent
from channels.errors import Rejected
from engine.learn.explain import explain
from engine.store import lanes
from engine.work.incoming.intake import NewEvent, record_events

LATER = timedelta(minutes=10)
NO_CAPS = CONFIG.replace("caps: [{at_most: 1, per: day}, {at_most: 3, per: week}]", "caps: []").replace("1h", "0m")
ONE_A_DAY = NO_CAPS.replace("caps: []", "caps: [{at_most: 1, per: day}]")

CALM = JOURNEY.replace("Order Completed", "Calm").replace("{per: order_id}", "always").replace("[email, sms]", "[sms]")

Make = Callable[..., World]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[World] = []

    def world(journeys: Mapping[str, str] | None = None, config: str = CONFIG) -> World:
        made.append(World(tmp_path / "shop", journeys, config))
        return made[-1]

    yield world
    for one in made:
        one.close()


def close_lanes(world: World) -> None:
    with world.app.database.writing() as connection:
        for channel in ("email", "sms"):
            lanes.change(connection, channel, paused_until=world.clock.now() + LATER)


def with_config(world: World, config: str) -> None:
    """The next process, on other settings."""
    (world.app.home / "config.yaml").write_text(config)
    again = opened(world.app.home, world.clock)
    again.providers |= world.app.providers
    world.app.close()
    world.app = again


def happen(world: World, person: str, name: str, key: str = "1") -> None:
    with world.app.database.reading() as connection:
        rules = world.app.rules(connection)
    told = NewEvent(f"{name}-{person}-{key}", person, name, world.clock.now(), {})
    record_events(world.app, rules, world.app.needs(rules), [told])


def lost(world: World) -> list[tuple[str, dict[str, Any]]]:
    """(journey, detail) of what was not accepted."""
    rows = world.rows(
        "SELECT journey, detail FROM message WHERE id NOT IN "
        "(SELECT message_id FROM delivery WHERE kind = 'accepted') ORDER BY id"
    )
    return [(row.journey, json.loads(row.detail)) for row in rows]


def went(world: World) -> list[int]:
    rows = world.rows("SELECT message_id FROM delivery WHERE kind = 'accepted' ORDER BY message_id")
    return [row.message_id for row in rows]


def journey(priority: int = 50, via: str = "[email, sms]", more: str = "") -> str:
    return JOURNEY.replace("again:", f"priority: {priority}\n{more}again:").replace("[email, sms]", via)


def test_C1_of_two_people_with_one_address_decided_in_one_beat_one_is_written_to(make: Make) -> None:
    # With `Standing.shared` always false both were written to; with `Standing.several` so, the next test failed.
    world = make()
    world.order(*world.people(2, addresses={"email": "both@example.com"}))
    world.tick()
    ((_, why),) = lost(world)
    assert why["cap"] == "1 per day"
    assert why["filled_by"] == went(world)
    assert len(went(world)) == 1


@pytest.mark.parametrize(("one", "other", "winner"), [(50, 60, "second"), (60, 50, "first"), (50, 50, "first")])
def test_C1_C5_two_that_were_queued_side_by_side_are_counted_again_when_they_leave(
    make: Make, one: int, other: int, winner: str
) -> None:
    world = make({"first": journey(one, "[email]"), "second": journey(other, "[sms]")}, NO_CAPS)
    close_lanes(world)
    world.order(*world.people(1))
    world.tick()  # two processes that did not see each other would have queued the same
    with_config(world, ONE_A_DAY)
    world.tick(LATER)
    ((name, why),) = lost(world)
    assert {name, winner} == {"first", "second"}
    assert [told["journey"] for told in why["winners"]] == [winner]
    assert why["filled_by"] == went(world)


def test_C5_a_place_freed_by_a_refusal_is_free_at_once(make: Make) -> None:
    world = make({"first": journey(60, "[email]"), "second": CALM}, ONE_A_DAY)
    world.email.says = lambda _: Rejected("no such address", reason=FailureReason.address_unknown)
    (person,) = world.people(1)
    world.order(person)
    happen(world, person, "Calm")
    world.tick()
    assert world.kinds() == ["begun", "rejected"]
    happen(world, person, "Calm", "again")
    world.tick(timedelta(seconds=2))
    assert world.kinds() == ["begun", "rejected", "begun", "accepted"]


def test_C5_what_was_refused_a_moment_ago_leaves_its_place_to_the_next_of_the_same_batch(make: Make) -> None:
    # With what became of the first not yet written when the second is judged, the second was told to be over the cap.
    world = make({"first": journey(60, "[email]"), "second": journey(50, "[email]")}, NO_CAPS)
    world.email.features = type(world.email.features)(in_flight=1)
    close_lanes(world)
    world.order(*world.people(1))
    world.tick()
    answers = iter([Rejected("too long", reason=FailureReason.content), Sent("yes")])
    world.email.says = lambda _: next(answers)
    with_config(world, ONE_A_DAY)
    world.tick(LATER)
    assert len(world.rows("SELECT id FROM batch")) == 1
    assert world.kinds() == ["begun", "rejected", "begun", "accepted"]


def test_C4_C5_a_message_that_gives_up_its_place_names_the_cap_and_the_number_of_the_winner(make: Make) -> None:
    world = make({"first": journey(60, "[email]"), "second": CALM}, ONE_A_DAY)
    close_lanes(world)
    (person,) = world.people(1)
    happen(world, person, "Calm")
    world.tick()
    world.order(person)
    world.tick(timedelta(seconds=2))
    world.tick(LATER)
    ((name, why),) = lost(world)
    assert name == "second"
    assert (why["cap"], why["filled_by"]) == ("1 per day", went(world))
    assert world.kinds() == ["cancelled", "begun", "accepted"]
    (way,) = explain(world.app, person, "second").stories[0].ways
    assert way.messages[0].winners == (f"{went(world)[0]} note email of first, send-note: accepted",)


def test_C1_journeys_with_a_tag_share_a_cap_of_that_tag(make: Make) -> None:
    config = NO_CAPS.replace("caps: []", "caps: [{at_most: 1, per: month, tag: sale}]")
    calm = CALM.replace("give_up_after: 6h", "tags: [sale]")
    world = make({"first": journey(60, "[email]", "tags: [sale]\n"), "second": calm}, config)
    (person,) = world.people(1)
    world.order(person)
    world.tick()
    world.tick(timedelta(days=3))
    happen(world, person, "Calm")
    world.tick()
    ((name, why),) = lost(world)
    assert (name, why["cap"], why["filled_by"]) == ("second", "tag sale: 1 per month", went(world))


def test_what_is_too_near_to_a_message_that_has_begun_waits_at_the_door(make: Make) -> None:
    world = make({"first": journey(60, "[email]"), "second": journey(50, "[sms]")}, NO_CAPS)
    close_lanes(world)
    world.order(*world.people(1))
    world.tick()
    with_config(world, NO_CAPS.replace("0m", "1h"))
    world.tick(LATER)
    assert sorted(world.kinds()) == ["accepted", "begun", "held"]
    world.tick(timedelta(hours=1))
    assert sorted(world.kinds()) == ["accepted", "accepted", "begun", "begun", "held"]

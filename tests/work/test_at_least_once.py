"""Delivery at least once: asked for by name, for what belongs to a contract; for everything else doubt ends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from stubs import CONFIG, JOURNEY, World, die

from channels.contract import Sent
from channels.errors import Uncertain
from engine.settings import load_settings
from engine.work.recovery import recover

HOUR = timedelta(hours=1)
ASKED = CONFIG.replace("purpose: transactional}", "purpose: transactional, delivery: at_least_once}")
OF_ORDERS = JOURNEY.replace("topic: news", "topic: orders")

Make = Callable[[str, str], World]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[World] = []

    def world(config: str, journey: str) -> World:
        made.append(World(tmp_path / f"shop{len(made)}", {"note": journey}, config))
        made[-1].email.says = lambda one: Uncertain("no answer after the last byte") if one.attempt < 3 else Sent("3")
        made[-1].order(*made[-1].people(1))
        return made[-1]

    yield world
    for one in made:
        one.close()


def ended(world: World) -> list[str]:
    """How the message ended, after four more hours."""
    world.tick()
    for _ in range(4):
        world.tick(HOUR)
    return list(world.states().values())


def test_D24_what_asks_for_it_is_sent_again_with_the_same_key_until_it_is_taken(make: Make) -> None:
    world = make(ASKED, OF_ORDERS)
    assert ended(world) == ["accepted"]
    assert [one.attempt for one in world.email.handed] == [1, 2, 3]
    assert len({one.key for one in world.email.handed}) == 1
    (reason,) = {row.reason for row in world.rows("SELECT reason FROM delivery WHERE kind = 'retry'")}
    assert "asks for delivery at least once" in reason


@pytest.mark.parametrize(("config", "journey"), [(CONFIG, OF_ORDERS), (ASKED, JOURNEY)])
def test_D24_what_does_not_ask_for_it_and_marketing_beside_it_are_never_sent_again(
    make: Make, config: str, journey: str
) -> None:
    """Broken by hand: with `may_go_twice` always true both were handed over three times."""
    world = make(config, journey)
    assert ended(world) == ["unknown"]
    assert len(world.email.handed) == 1


def test_D24_what_was_decided_as_marketing_stays_so_when_its_topic_becomes_another(make: Make, tmp_path: Path) -> None:
    """Broken by hand: with the topic's purpose of today in place of the message's own it was handed over again."""
    world = make(CONFIG, JOURNEY)
    file = tmp_path / "later.yaml"
    file.write_text(CONFIG.replace("purpose: marketing", "purpose: transactional, delivery: at_least_once"))
    later, _ = load_settings(file)
    world.email.during = lambda _: setattr(world.app, "settings", later)
    assert ended(world) == ["unknown"]


def test_D24_doubt_that_outlasts_its_time_ends_as_unknown_not_as_expired(make: Make) -> None:
    world = make(ASKED, OF_ORDERS)
    world.email.says = lambda one: Uncertain("no answer after the last byte")
    world.tick()
    for _ in range(9):
        world.tick(HOUR)
    assert list(world.states().values()) == ["unknown"]
    assert len(world.email.handed) > 3


def test_D24_after_a_death_it_is_sent_again_and_after_three_a_person_decides(make: Make) -> None:
    world = make(ASKED, OF_ORDERS)
    for death in range(1, 4):
        die(world)
        done = recover(world.app, world.clock.now())
        assert (done.retry, done.settled, done.unknown) == ((0, 1, 0) if death == 3 else (1, 0, 0))
    assert list(world.states().values()) == ["dead"]

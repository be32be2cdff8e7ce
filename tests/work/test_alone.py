"""The single process: what comes in is not left to wait for the next beat, and much to do keeps nobody else waiting."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import shops
from stubs import CONFIG, JOURNEY, World

from engine.store.hold import Hold
from engine.work import alone
from engine.work.alone import Alone
from engine.work.pulse import LOOK

MakeWorld = Callable[..., World]
CONFIG_OF_ORDERS = CONFIG.replace("caps: [{at_most: 1, per: day}, {at_most: 3, per: week}]", "caps: []")
BY_MAIL = JOURNEY.replace("[email, sms]", "[email]").replace("topic: news", "topic: orders")
AT_NOON = """
title: A wave
owner: us
topic: orders
enter: {every: day, at: "12:00", zone: Europe/Berlin, segment: everyone}
steps: [{send: note, via: [email]}]
"""
NOON = datetime(2026, 11, 24, 11, 0, tzinfo=UTC)


def test_S8_an_event_is_acted_on_at_the_next_look_and_nobody_has_to_be_told(make_sqlite_world: MakeWorld) -> None:
    """Whichever process took it in: all that is looked at is the number of the last fact."""
    world = make_sqlite_world({"note": BY_MAIL}, config=CONFIG_OF_ORDERS)
    world.people(2)
    (pulse,) = Alone(world.app, Hold()).pulses
    assert pulse.seconds > LOOK
    pulse.beat()
    world.order("p0000")
    pulse.look()
    assert len(world.email.handed) == 1
    daemon, world.app = world.app, shops.opened(world.app.home, world.clock)
    world.order("p0001")
    world.app.close()
    world.app = daemon
    pulse.look()
    assert len(world.email.handed) == 2


def test_a_look_when_nothing_came_in_asks_one_question_and_does_nothing(make_sqlite_world: MakeWorld) -> None:
    world = make_sqlite_world({"note": BY_MAIL}, config=CONFIG_OF_ORDERS)
    world.people(1)
    (pulse,) = Alone(world.app, Hold()).pulses
    pulse.beat()
    before, last = world.app.database.statements, pulse.rested
    pulse.look()
    assert world.app.database.statements - before == 2, "BEGIN, and the number of the last fact"
    assert pulse.rested == last


def test_what_comes_in_while_a_beat_is_under_way_is_met_by_another(make_sqlite_world: MakeWorld) -> None:
    """Broken by hand, the number looked up after the beat: the one who ordered meanwhile was left to the next."""
    world = make_sqlite_world({"note": BY_MAIL}, config=CONFIG_OF_ORDERS)
    world.people(2)
    (pulse,) = Alone(world.app, Hold()).pulses
    world.order("p0000")
    pulse.beat()
    seen: list[str] = []

    def meanwhile(_: object) -> None:
        if not seen:
            seen.append("ordered")
            world.app.stop.set()  # the beat ends as soon as it may
            world.order("p0001")

    world.email.during = meanwhile
    world.order("p0000", number="2")
    pulse.look()
    world.app.stop.clear()
    pulse.look()
    assert len(world.email.handed) == 3


def test_a_wave_that_is_due_while_a_long_beat_goes_on_enters_in_that_beat(make_sqlite_world: MakeWorld) -> None:
    """Broken by hand, planned once for each beat: the wave waited for everybody else to be done."""
    world = make_sqlite_world({"note": BY_MAIL, "noon": AT_NOON}, config=CONFIG_OF_ORDERS)
    world.people(20)
    world.clock.move_to(NOON - timedelta(seconds=1))
    world.order(*(f"p{number:04d}" for number in range(10)))
    world.email.during = lambda _: world.clock.move_to(world.clock.now() + timedelta(seconds=3))
    beat = world.tick()
    assert beat.entered.entered == 20
    assert len(world.email.handed) == 30


def test_a_beat_that_fails_is_tried_again_at_its_own_pace_whatever_came_in(
    make_sqlite_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_sqlite_world({"note": BY_MAIL}, config=CONFIG_OF_ORDERS)
    (person,) = world.people(1)
    (pulse,) = Alone(world.app, Hold()).pulses
    with monkeypatch.context() as patch:
        patch.setattr(alone, "tick", lambda _: 1 / 0)
        pulse.beat()
    world.order(person)
    pulse.look()
    assert not world.email.handed
    pulse.beat()
    assert len(world.email.handed) == 1

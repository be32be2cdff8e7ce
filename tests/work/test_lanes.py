"""A lane as all workers see it: its rate, its pause and its breaker stand in the database."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import pytest
import shops
from stubs import CONFIG, JOURNEY, World

from channels.contract import Sent
from channels.errors import Unavailable, Uncertain
from engine.app import App
from engine.decide.state import Rules
from engine.store import lanes
from engine.work.sending.dispatch import dispatch
from engine.work.sending.lane import BREAKER, BREAKER_PAUSE

MINUTE = timedelta(minutes=1)
BY_MAIL = {"note": JOURNEY.replace("[email, sms]", "[email]")}
MakeWorld = Callable[..., World]


def with_rate(make: MakeWorld, rate: str) -> World:
    config = CONFIG.replace("sender: hello@shop.example.com", f"sender: hello@shop.example.com, rate: {rate}")
    return make(BY_MAIL, config=config)


def beside(world: World) -> App:
    """Another process on the same database, with the same provider."""
    other = shops.opened(world.app.home, world.clock, **world.more)
    other.providers |= {"email": world.email, "sms": world.sms}
    other.worker_id = 7
    return other


def rules_of(app: App) -> Rules:
    with app.database.reading() as connection:
        return app.rules(connection)


def test_D15_two_processes_together_keep_the_rate_in_every_window_also_after_a_restart(make_world: MakeWorld) -> None:
    """Broken by hand: with grants that are not kept in the table, everything left in the first minute."""
    world = with_rate(make_world, "10/m")
    world.email.features = type(world.email.features)(in_flight=4)
    left: list[datetime] = []
    world.email.during = lambda batch: left.extend([world.clock.now()] * len(batch))
    for wave in range(3):
        world.order(*world.people(15, first=15 * wave))
        world.tick()
    for minute in range(30):
        app = beside(world)  # a new process each time
        try:
            while dispatch(app if minute % 2 else world.app, rules_of(app)).any:
                pass
        finally:
            app.close()
        world.tick(timedelta(seconds=17))
    assert len(left) == len({one.key for one in world.email.handed}) == 45
    for one in left:
        assert sum(one <= other < one + MINUTE for other in left) <= 10
    assert max(left) - min(left) <= 8 * MINUTE, "and it is used"


@pytest.mark.parametrize("answer", [Unavailable, Uncertain])
def test_D14_what_one_process_was_told_all_of_them_wait_for(
    make_world: MakeWorld, answer: Callable[..., Unavailable | Uncertain]
) -> None:
    world = with_rate(make_world, "1000/s")
    world.email.says = lambda _: answer("busy", retry_after=600)
    world.order(*world.people(1))
    world.tick()
    world.email.says = lambda _: Sent("yes")
    world.order(*world.people(3, first=1))
    app = beside(world)
    while dispatch(app, rules_of(app)).any:
        pass
    world.tick(timedelta(seconds=599))
    assert len(world.email.handed) == 1
    world.tick(timedelta(seconds=1))
    assert len(world.email.handed) >= 4
    app.close()


def test_D16_answers_that_prove_nothing_close_the_lane_as_well_and_only_one_probe_is_under_way(
    make_world: MakeWorld,
) -> None:
    """Broken by hand: with a probe that is not noted the second process sent one too; with answers that prove nothing
    left out of the failures all twelve were tried; with a probe that is not given back when its message turns out to
    have left before, nothing was asked for a minute."""
    world = make_world(BY_MAIL)
    world.email.features = type(world.email.features)(in_flight=1)
    world.email.says = lambda _: Uncertain("a 500 after the body")
    world.order(*world.people(12))
    world.tick()
    assert len(world.email.handed) == BREAKER
    with world.app.database.reading() as connection:
        assert lanes.lanes(connection)["email"].failures == BREAKER
    world.order(*world.people(3, first=12))
    world.tick()  # a batch of their own, which waits for the lane
    app = beside(world)
    world.email.says = lambda _: Sent("yes")
    probes: list[int] = []

    def while_it_is_asked(batch: Sequence[object]) -> None:
        """The other process looks for what may leave."""
        probes.append(len(batch))
        if len(probes) == 1:
            other = threading.Thread(target=lambda: dispatch(app, rules_of(app)))
            other.start()
            other.join()
            probes.append(-1)

    world.email.during = while_it_is_asked
    world.tick(BREAKER_PAUSE)
    assert probes[:2] == [1, -1]
    app.close()
    world.tick(10 * MINUTE)
    assert sorted(set(world.states().values())) == ["accepted", "unknown"]

"""A retired journey lets nobody in; with its people let out, nothing of it begins any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import shops
from servers import Fresh
from servers import postgres as postgres
from stubs import Died, World, dying

from engine.work.publishing import retiring
from engine.work.publishing.retiring import plan_retirement, retire
from engine.work.publishing.rollback import plan_rollback, roll_back

HOUR = timedelta(hours=1)
NOON = datetime(2026, 11, 24, 11, 0, tzinfo=UTC)  # 12:00 in Berlin
PLAN = """
topic: orders
enter: {event: Order Completed}
again: {per: order_id}
quiet_hours: {sms: "21:00-12:00"}
steps: [{task: note, queue: care, due: 24h, outcomes: {done: []}}, {send: note, via: [email]}]
"""
SENDS = PLAN.replace("{task: note, queue: care, due: 24h, outcomes: {done: []}}", "{wait: 1h}")
WAVE = """
topic: orders
enter: {every: day, at: "12:00", zone: person, segment: everyone}
again: always
approve: {by: lead, within: 24h}
steps: [{send: note, via: [email]}]
"""

Make = Callable[..., World]


@pytest.fixture(params=["sqlite", "postgresql"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """A shop with one journey, on each kind of database."""
    made: list[World] = []

    def one(plan: str = PLAN, people: int = 5) -> World:
        more: dict[str, Any] = {"durable": False}
        if request.param == "postgresql":
            fresh: Fresh = request.getfixturevalue("postgres")
            more["database"] = fresh(tables=True)
        made.append(World(tmp_path / "shop", {"plan": plan}, **more))
        made[-1].order(*made[-1].people(people))
        made[-1].tick()
        return made[-1]

    yield one
    for world in made:
        world.close()


def end(world: World, let_out: bool = False) -> None:
    retire(world.app, plan_retirement(world.app, "plan", let_out), "mei")


def ways(world: World) -> list[tuple[bool, str | None]]:
    return [(bool(row.active), row.reason) for row in world.rows("SELECT active, reason FROM enrollment ORDER BY id")]


def test_who_is_let_out_leaves_at_the_next_beat_and_their_tasks_are_cancelled(make: Make) -> None:
    world = make()
    plan = plan_retirement(world.app, "plan", True)
    assert (plan.inside, plan.messages, plan.tasks, plan.waves) == (5, 0, 5, 0)

    retire(world.app, plan, "mei")
    world.order("p0000", number="2")
    world.tick()

    assert ways(world) == [(False, "left: retired")] * 5
    assert {row.outcome for row in world.rows("SELECT outcome FROM task")} == {"cancelled"}
    (line,) = world.rows("SELECT rule, sentence FROM trace WHERE enrollment_id = 1 AND rule = 'left'")
    assert line.sentence == "the journey was retired, and who was inside let out"


def test_messages_that_have_not_begun_to_leave_are_taken_back(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make(SENDS)
    import engine.work.tick as module

    with monkeypatch.context() as patch:
        patch.setattr(module, "dispatch", lambda app, rules: module.Dispatched())
        world.tick(HOUR)
    plan = plan_retirement(world.app, "plan", True)
    assert (plan.inside, plan.messages, plan.tasks) == (5, 5, 0)

    retire(world.app, plan, "mei")
    world.tick()

    assert world.email.handed == []
    assert set(world.kinds()) == {"cancelled"}


def test_nothing_begins_between_the_command_and_the_beat_that_lets_them_out(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the process died before it had woken anybody."""
    world = make(SENDS)
    world.tick(HOUR - timedelta(minutes=1))

    with monkeypatch.context() as patch:
        patch.setattr(retiring, "_wake_everyone", dying(retiring._wake_everyone, 1))
        with pytest.raises(Died):
            end(world, let_out=True)
    world.tick()
    assert ways(world) == [(True, None)] * 5

    world.tick(timedelta(minutes=1))

    assert (ways(world), world.email.handed) == ([(False, "left: retired")] * 5, [])


def test_everyone_is_woken_page_by_page(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retiring, "PAGE", 2)
    world = make(SENDS)

    end(world, let_out=True)
    world.tick()

    assert ways(world) == [(False, "left: retired")] * 5


def test_who_runs_out_still_obeys_the_head_of_the_last_version(make: Make) -> None:
    world = make(SENDS.replace("topic: orders", "topic: news").replace("[email]", "[sms]"))
    end(world)
    world.tick(HOUR)  # 11:00 in Berlin, and only this journey is still quiet
    assert (world.sms.handed, ways(world)) == ([], [(True, None)] * 5)

    world.tick(HOUR)

    assert len(world.sms.handed) == 5


def test_a_wave_is_counted_once_for_all_its_zones(make: Make) -> None:
    world = make(WAVE)
    world.people(2, first=50, zone="Europe/Helsinki")
    world.tick_at(NOON)
    assert len(world.rows("SELECT state FROM run WHERE state = 'waiting'")) == 2
    assert plan_retirement(world.app, "plan", False).waves == 1


def test_a_wave_that_waits_or_is_under_way_ends_and_no_other_is_planned(make: Make) -> None:
    world = make(WAVE)
    world.tick_at(NOON)
    assert [row.state for row in world.rows("SELECT state FROM run")] == ["waiting"]
    assert plan_retirement(world.app, "plan", False).waves == 1

    end(world)
    world.tick_at(NOON + timedelta(days=2))

    (run,) = world.rows("SELECT state, reason FROM run")
    assert (run.state, run.reason) == ("refused", "mei retired the journey")
    (asked,) = world.rows("SELECT outcome, by FROM approval")
    assert (asked.outcome, asked.by) == ("refused", "mei")


def test_a_journey_that_comes_back_makes_up_for_no_wave(make: Make) -> None:
    world = make(WAVE.replace("approve: {by: lead, within: 24h}\n", ""))
    end(world)
    world.clock.move_to(NOON + HOUR)
    shops.publish_all(world.app)
    world.tick()
    assert world.rows("SELECT id FROM run") == []

    world.tick_at(NOON + timedelta(days=1))

    assert [row.entered for row in world.rows("SELECT entered FROM run")] == [5]


def test_a_rollback_brings_a_retired_journey_back(make: Make) -> None:
    world = make()
    end(world, let_out=True)
    world.tick()

    roll_back(world.app, plan_rollback(world.app, "plan", 1), "mei")
    world.order("p0000", number="2")
    world.tick()

    assert ways(world)[5:] == [(True, None)]

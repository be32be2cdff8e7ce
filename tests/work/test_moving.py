"""People inside one version go on in another: at the step their own is mapped to, with the plan's instants, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import shops
from servers import Fresh
from servers import postgres as postgres
from stubs import Died, World

from engine.errors import Refused
from engine.learn.explain import explain
from engine.store import work
from engine.work import advance
from engine.work.publishing import moving
from engine.work.publishing.moving import Follows, Move, Stuck, follows, move, plan_move

HOUR = timedelta(hours=1)
HEAD = "topic: orders\nenter: {event: Order Completed}\nagain: {per: order_id}\nleave: [{event: Order Refunded}]\n"
WAITS = "steps: [{wait: 6h}, {send: note, via: [email]}]\n"
LONGER = "steps: [{wait: 8h}, {send: note, via: [email]}]\n"

Make = Callable[..., World]


@pytest.fixture(params=["sqlite", "postgresql"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """A shop with one journey of these steps, and people who have just entered it; on each kind of database."""
    made: list[World] = []

    def one(steps: str = WAITS, people: int = 3, head: str = HEAD) -> World:
        more: dict[str, Any] = {"durable": False}
        if request.param == "postgresql":
            fresh: Fresh = request.getfixturevalue("postgres")
            more["database"] = fresh(tables=True)
        world = World(tmp_path / f"shop{len(made)}", {"plan": head + steps}, **more)
        made.append(world)
        world.order(*world.people(people))
        world.tick()
        return world

    yield one
    for world in made:
        world.close()


def publish(world: World, steps: str, head: str = HEAD) -> None:
    (world.app.journeys_folder / "plan.yaml").write_text(head + steps)
    shops.publish_all(world.app)


def go(world: World, steps: Mapping[str, str] | None = None, from_: int = 1, to: int | None = None) -> int:
    return move(world.app, plan_move(world.app, "plan", from_, to, steps or {}), "mei")


def inside(world: World) -> dict[tuple[int, str], int]:
    """(version, step) -> people inside."""
    rows = world.rows(
        "SELECT v.number, e.step, count(*) AS people FROM enrollment e JOIN journey_version v ON v.id = e.version_id "
        "WHERE e.active GROUP BY v.number, e.step"
    )
    return {(row.number, row.step): row.people for row in rows}


def stuck(plan: Move) -> dict[str | None, dict[Stuck, int]]:
    return {one.step: dict(one.stuck) for one in plan.places if one.stuck}


# --- where they go ---------------------------------------------------------------------------------------------------


def test_a_wait_in_the_new_version_counts_from_when_its_person_arrived_at_the_old_one(make: Make) -> None:
    world = make()
    publish(world, LONGER)
    world.tick(2 * HOUR)

    assert go(world, {"wait-6h": "wait-8h"}) == 3

    assert inside(world) == {(2, "wait-8h"): 3}
    world.tick(4 * HOUR)
    assert world.email.handed == []
    world.tick(2 * HOUR)
    assert len(world.email.handed) == 3


def test_steps_of_equal_id_need_no_mapping_and_what_is_over_by_the_new_plan_goes_on_at_once(make: Make) -> None:
    world = make("steps: [{id: pause, wait: 6h}, {send: note, via: [email]}]\n")
    publish(world, "steps: [{id: pause, wait: 1h}, {send: note, via: [email]}]\n")
    world.tick(2 * HOUR)
    plan = plan_move(world.app, "plan", 1, None, {})
    assert follows(world.app, plan) == Follows(3, {"send-note": 3}, {}, {}, {}, {"send-note": 3})

    assert move(world.app, plan, "mei") == 3

    world.tick()
    assert len(world.email.handed) == 3


def test_who_would_be_too_late_by_the_new_plan_is_told_before(make: Make) -> None:
    world = make("steps: [{id: pause, wait: 30d}, {send: note, via: [email]}]\n")
    publish(world, "steps: [{id: pause, wait: 1h}, {send: note, via: [email]}]\n")
    world.tick(timedelta(days=10))
    plan = plan_move(world.app, "plan", 1, None, {})

    told = follows(world.app, plan)

    assert (told.sends, told.unsent, told.ends) == ({}, {("send-note", "late"): 3}, {"done": 3})
    move(world.app, plan, "mei")
    world.tick()
    assert world.email.handed == []
    assert {row.rule for row in world.rows("SELECT rule FROM message")} == {"late"}


def test_looking_changes_nothing(make: Make) -> None:
    world = make()
    publish(world, LONGER)
    before = world.rows("SELECT * FROM enrollment ORDER BY id"), world.rows("SELECT id, revision FROM customer")

    follows(world.app, plan_move(world.app, "plan", 1, None, {"wait-6h": "wait-8h"}))

    assert before == (
        world.rows("SELECT * FROM enrollment ORDER BY id"),
        world.rows("SELECT id, revision FROM customer"),
    )


def test_a_step_that_was_passed_does_not_speak_again(make: Make) -> None:
    world = make("steps: [{send: note, via: [email]}, {wait: 6h}]\n")
    publish(world, "steps: [{send: note, via: [email]}, {wait: 8h}]\n")
    assert len(world.email.handed) == 3

    go(world, {"wait-6h": "send-note"})

    world.tick()
    assert len(world.email.handed) == 3
    assert inside(world) == {(2, "wait-8h"): 3}


def test_the_round_of_a_repeat_is_kept(make: Make) -> None:
    steps = "steps: [{{id: again, repeat: {{times: 3, every: 1d, steps: [{{id: nap, wait: {nap}}}]}}}}]\n"
    world = make(steps.format(nap="2h"))
    publish(world, steps.format(nap="3h"))
    world.tick(timedelta(days=1))
    world.tick()
    assert {row.visit for row in world.rows("SELECT visit FROM enrollment")} == {2}

    go(world)

    assert {row.visit for row in world.rows("SELECT visit FROM enrollment")} == {2}
    world.tick(3 * HOUR)
    world.tick(timedelta(days=1) - 3 * HOUR)
    assert {(row.step, row.visit) for row in world.rows("SELECT step, visit FROM enrollment")} == {("nap", 3)}


def test_voucher_variant_and_holdout_go_along(make: Make) -> None:
    marketing = (
        HEAD.replace("topic: orders", "topic: news") + "holdout: 40%\ngoal: {event: Order Completed, within: 9d}\n"
    )
    steps = (
        "steps: [{{split: test, variants: {{one: 50%, two: 50%}}}}, {{give: pool}}, {{wait: {wait}}}, "
        "{{send: note, via: [email]}}]\n"
    )
    world = make("steps: [{wait: 6h}]\n", people=0)
    (world.app.journeys_folder / "codes.csv").write_text("code\n" + "\n".join(f"c{n}" for n in range(20)) + "\n")
    audience = (world.app.journeys_folder / "audience.yaml").read_text()
    pools = "pools:\n  pool: {file: codes.csv, value: 5 EUR}\n"
    (world.app.journeys_folder / "audience.yaml").write_text(audience + pools)
    publish(world, steps.format(wait="6h"), marketing)
    world.order(*world.people(12))
    world.tick()
    publish(world, steps.format(wait="8h"), marketing)
    columns = "customer_id, holdout, key, entered_at, arrived_at, data"
    before = world.rows(f"SELECT {columns} FROM enrollment ORDER BY id")

    assert go(world, {"wait-6h": "wait-8h"}, from_=2) == 12

    assert world.rows(f"SELECT {columns} FROM enrollment ORDER BY id") == before
    assert 0 < sum(row.holdout for row in before) < 12
    world.tick(8 * HOUR)
    assert len(world.email.handed) == 12 - sum(row.holdout for row in before)


# --- who stays -------------------------------------------------------------------------------------------------------


def test_who_stands_at_a_step_that_is_gone_stays_until_it_is_mapped(make: Make) -> None:
    world = make()
    publish(world, LONGER)

    plan = plan_move(world.app, "plan", 1, None, {})

    assert (plan.movable, stuck(plan)) == (0, {"wait-6h": {Stuck.step: 3}})
    assert move(world.app, plan, "mei") == 0
    assert inside(world) == {(1, "wait-6h"): 3}


def test_who_waits_for_an_open_task_stays_until_it_is_closed(make: Make) -> None:
    steps = "steps: [{{task: note, queue: care, due: 24h, outcomes: {{done: []}}}}, {{wait: {wait}}}]\n"
    world = make(steps.format(wait="6h"))
    publish(world, steps.format(wait="8h"))
    assert stuck(plan_move(world.app, "plan", 1, None, {})) == {"task-note": {Stuck.task: 3}}
    with world.app.database.writing() as connection:
        work.change_task(connection, 1, outcome="done", closed_at=world.clock.now())

    assert go(world) == 1

    world.tick()
    assert inside(world) == {(1, "task-note"): 2, (2, "wait-8h"): 1}


def test_who_has_a_message_on_its_way_stays_until_it_is_settled(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make("steps: [{wait: 6h}, {send: note, via: [email]}, {wait: 1d}]\n")
    publish(world, "steps: [{wait: 6h}, {send: note, via: [email, sms]}, {wait: 1d}]\n")
    import engine.work.tick as module

    with monkeypatch.context() as patch:
        patch.setattr(module, "dispatch", lambda app, rules: module.Dispatched())
        world.tick(6 * HOUR)
    assert stuck(plan_move(world.app, "plan", 1, None, {})) == {"send-note": {Stuck.message: 3}}
    assert go(world) == 0

    world.tick()
    assert go(world) == 3

    assert inside(world) == {(2, "wait-1d"): 3}
    assert len(world.email.handed) == 3


def test_who_is_set_aside_stays(make: Make) -> None:
    world = make()
    publish(world, LONGER)
    with world.app.database.writing() as connection:
        connection.exec_driver_sql("UPDATE enrollment SET failures = 3 WHERE id = 2")

    plan = plan_move(world.app, "plan", 1, None, {"wait-6h": "wait-8h"})

    assert (plan.movable, stuck(plan)) == (2, {"wait-6h": {Stuck.aside: 1}})
    assert move(world.app, plan, "mei") == 2


@pytest.mark.parametrize(
    ("steps", "to", "sentence"),
    [
        ({"wait-9h": "wait-8h"}, 2, "version 1 of plan has no step wait-9h; did you mean `wait-6h`"),
        ({"wait-6h": "wait-9h"}, 2, "version 2 of plan has no step wait-9h; did you mean `wait-8h`"),
        ({}, 1, "--from and --to are both version 1"),
        ({}, 9, "plan has no version 9"),
        ({}, 3, "people inside are known by another key than the other version asks for"),
    ],
)
def test_a_move_that_makes_no_sense_is_refused(make: Make, steps: Mapping[str, str], to: int, sentence: str) -> None:
    world = make()
    publish(world, LONGER)
    publish(world, LONGER, HEAD.replace("order_id", "basket"))

    with pytest.raises(Refused, match=sentence.replace("?", "[?]")):
        plan_move(world.app, "plan", 1, to, steps)


# --- at any instant --------------------------------------------------------------------------------------------------


def test_a_process_that_dies_between_pages_leaves_whole_pages_and_the_next_moves_the_rest(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make(people=20)
    publish(world, LONGER)
    monkeypatch.setattr(moving, "PAGE", 7)
    real, pages = moving._move_page, []

    def page(*args: Any) -> int:
        pages.append(1)
        done = real(*args)
        if len(pages) == 2:
            raise Died
        return done

    monkeypatch.setattr(moving, "_move_page", page)
    with pytest.raises(Died):
        go(world, {"wait-6h": "wait-8h"})
    assert inside(world) == {(1, "wait-6h"): 13, (2, "wait-8h"): 7}

    assert go(world, {"wait-6h": "wait-8h"}) == 13

    assert inside(world) == {(2, "wait-8h"): 20}
    lines = world.rows("SELECT enrollment_id FROM trace WHERE sentence LIKE 'mei moved it%'")
    assert sorted(row.enrollment_id for row in lines) == sorted(
        row.id for row in world.rows("SELECT id FROM enrollment")
    )
    world.tick(8 * HOUR)
    assert len(world.email.handed) == 20


def test_a_decision_of_the_old_version_that_was_under_way_is_made_again(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make()
    publish(world, "steps: [{wait: 6h}, {exit: enough}]\n")
    real = advance.decided

    def meanwhile(*args: Any) -> Any:
        found = real(*args)
        monkeypatch.undo()
        assert go(world) == 3
        return found

    monkeypatch.setattr(advance, "decided", meanwhile)
    world.tick(6 * HOUR)

    assert world.email.handed == []
    assert {row.reason for row in world.rows("SELECT reason FROM enrollment")} == {"enough"}


def test_what_was_learned_before_the_next_look_is_not_lost(make: Make) -> None:
    world = make()
    publish(world, LONGER)
    world.tick(HOUR)
    shops.happen(world.app, "refund", "p0000", "Order Refunded", {"order_id": "p0000-1"})

    go(world, {"wait-6h": "wait-8h"})

    world.tick(8 * HOUR)
    reasons = world.rows("SELECT reason FROM enrollment ORDER BY id")
    assert [row.reason for row in reasons] == ["left: Order Refunded", "done", "done"]
    assert len(world.email.handed) == 2


def test_a_page_takes_as_many_statements_for_many_people_as_for_few(make: Make) -> None:
    def statements(people: int) -> int:
        world = make(people=people)
        publish(world, LONGER)
        before = world.app.database.statements
        assert go(world, {"wait-6h": "wait-8h"}) == people
        return world.app.database.statements - before

    assert statements(3) == statements(200)


def test_the_story_of_each_tells_who_moved_them_and_from_where(make: Make) -> None:
    world = make(people=1)
    publish(world, LONGER)
    go(world, {"wait-6h": "wait-8h"})

    (story,) = explain(world.app, "p0000").stories

    (line,) = [one for one in story.ways[0].lines if "moved it" in one.sentence]
    assert line.sentence == "mei moved it from version 1 to version 2, from wait-6h to wait-8h"
    assert (line.step, line.place) == ("wait-8h", "journeys/plan.yaml:5")
    (deed,) = world.rows("SELECT by, deed, note FROM journal WHERE deed = 'moved'")
    assert tuple(deed) == ("mei", "moved", "1 person of version 1")

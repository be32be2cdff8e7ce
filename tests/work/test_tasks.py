"""Work for people through the real rooms, on both databases: whose turn it is, whose customer, and who gets it next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import shops
from hypothesis import given
from hypothesis import strategies as st
from servers import Fresh
from servers import postgres as postgres
from sqlalchemy import create_engine
from sqlmodel import SQLModel
from stubs import CONFIG, World

from engine.errors import Refused
from engine.learn.explain import explain
from engine.store import work
from engine.work import advance as advancing
from engine.work.colleagues import tasks
from engine.work.recovery import recover

HEAD = """
title: A plan
owner: us
topic: orders
enter: {event: Order Completed}
again: {per: order_id}
steps:
  - task: note
    queue: care
"""
TAIL = "    due: 24h\n    escalate: {after: 4h, to: lead}\n    outcomes: {reached: []}\n"
QUEUES = "queues: {care: {title: Care, people: [lin, emma, bo]}, lead: {title: Lead}}"
Shop = Callable[..., World]


@pytest.fixture(params=["sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    """Makes a shop of one journey with a task, in a database of each kind."""
    made: list[World] = []

    def make(journey: str, config: str = CONFIG, **more: Any) -> World:
        if request.param == "postgresql":
            fresh: Fresh = request.getfixturevalue("postgres")
            more["database"] = fresh(tables=True)
        config = config.replace("queues: {care: {title: Care}}", QUEUES)
        made.append(World(tmp_path / f"shop{len(made)}", {"plan": journey}, config, **more))
        return made[-1]

    yield make
    for world in made:
        world.close()


def in_turn(shop: Shop) -> World:
    return shop(HEAD + "    assign: round_robin\n" + TAIL)


def assignees(world: World) -> list[str | None]:
    return [row.assignee for row in world.rows("SELECT assignee FROM task ORDER BY id")]


def told(world: World, person: str) -> list[str]:
    (story,) = explain(world.app, person, "plan").stories
    return [line.sentence for line in story.ways[-1].lines]


# --- turns -----------------------------------------------------------------------------------------------------------


def test_tasks_of_one_chunk_go_round_the_people_of_the_queue(shop: Shop) -> None:
    world = in_turn(shop)
    world.order(*world.people(7))
    world.tick()
    assert assignees(world) == ["lin", "emma", "bo", "lin", "emma", "bo", "lin"]


def test_the_turn_goes_on_from_beat_to_beat(shop: Shop) -> None:
    world = in_turn(shop)
    for person in world.people(5):
        world.order(person)
        world.tick()
    assert assignees(world) == ["lin", "emma", "bo", "lin", "emma"]


def test_explain_says_whose_turn_it_was_after_the_line_of_the_task(shop: Shop) -> None:
    world = in_turn(shop)
    world.order(*world.people(2))
    world.tick()
    lines = told(world, "p0001")
    place = lines.index("it is the turn of emma in care")
    assert lines[place - 1].startswith("note for care, in turn, due ")


def test_a_turn_that_was_taken_when_the_process_died_is_taken_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = in_turn(shop)
    world.order(*world.people(2))
    with monkeypatch.context() as patched:

        def dies(*_: Any) -> None:
            raise KeyboardInterrupt

        patched.setattr(advancing.work, "close_tasks", dies)  # the turn is taken, nothing is committed yet
        with pytest.raises(KeyboardInterrupt):
            world.tick()
    assert assignees(world) == []
    again = shops.opened(world.app.home, world.clock, database=world.app.database.url)
    world.app.close()
    world.app = again
    recover(world.app, world.clock.now())
    world.tick()
    assert sorted(map(str, assignees(world))) == ["emma", "lin"]
    assert [tuple(row) for row in world.rows("SELECT queue, last FROM turn")] == [("care", "emma")]


def test_two_processes_share_one_turn(shop: Shop) -> None:
    world = in_turn(shop)
    other = shops.opened(world.app.home, world.clock, database=world.app.database.url)
    mine = world.app
    for number, person in enumerate(world.people(6)):
        world.order(person)
        world.app = other if number % 2 else mine
        world.tick()
    world.app = mine
    other.close()
    assert Counter(assignees(world)) == {"lin": 2, "emma": 2, "bo": 2}


@given(
    st.lists(
        st.tuples(st.sampled_from(["care", "vip"]), st.permutations(["a", "b", "c", "d"]).map(lambda p: p[:3])),
        max_size=30,
    ),
    st.lists(st.integers(0, 30), max_size=4),
)
def test_turns_never_repeat_while_two_people_work_and_do_not_depend_on_how_many_are_asked_for_at_once(
    wanted: list[tuple[str, list[str]]], cuts: list[int]
) -> None:
    engine = create_engine("sqlite://")
    SQLModel.metadata.create_all(engine)
    with engine.connect() as connection:
        at_once = work.take_turns(connection, wanted)
        connection.rollback()
        places = sorted({0, *cuts, 30})
        by_parts = [
            name for first, last in pairwise(places) for name in work.take_turns(connection, wanted[first:last])
        ]
        connection.rollback()
    assert at_once == by_parts
    for queue in ("care", "vip"):
        mine = [name for name, (of, _) in zip(at_once, wanted, strict=True) if of == queue]
        assert all(one != other for one, other in pairwise(mine))
    assert all(name in people for name, (_, people) in zip(at_once, wanted, strict=True))
    engine.dispose()


# --- owners ----------------------------------------------------------------------------------------------------------


def test_a_task_goes_to_the_owner_and_without_one_of_this_queue_to_whose_turn_it_is(shop: Shop) -> None:
    world = shop(HEAD + "    assign: owner\n" + TAIL)
    names = world.people(1, attributes={"owner": "bo"})
    names += world.people(1, first=1) + world.people(1, first=2, attributes={"owner": "zoe"})
    for name in names:
        world.order(name)
        world.tick()
    assert assignees(world) == ["bo", "lin", "emma"]
    assert any("in the hands of bo, their owner" in line for line in told(world, "p0000"))
    assert any("in turn since nobody is their owner" in line for line in told(world, "p0001"))
    assert any("in turn since their owner zoe is not of this queue" in line for line in told(world, "p0002"))


# --- handing on ------------------------------------------------------------------------------------------------------


def test_a_task_nobody_took_is_handed_on_and_explain_and_the_list_say_so(shop: Shop) -> None:
    world = in_turn(shop)
    world.order(*world.people(1))
    world.tick()
    world.tick(timedelta(hours=4))
    world.tick(timedelta(hours=1))
    (row,) = world.rows("SELECT queue, handed_on_from, assignee, closed_at FROM task")
    assert tuple(row) == ("lead", "care", None, None)
    handed = "note of lin was not taken in time: handed on from care to lead"
    assert told(world, "p0000").count(handed) == 1
    tasks.take(world.app, 1, "zoe")
    assert assignees(world) == ["zoe"]


def test_a_task_that_was_taken_stays_where_it_is(shop: Shop) -> None:
    world = in_turn(shop)
    world.order(*world.people(1))
    world.tick()
    with pytest.raises(Refused, match="in the hands of lin"):
        tasks.take(world.app, 1, "emma")
    tasks.take(world.app, 1, "lin")
    world.tick(timedelta(hours=5))
    (row,) = world.rows("SELECT queue, assignee, taken_at FROM task")
    assert (row.queue, row.assignee) == ("care", "lin")
    assert row.taken_at is not None


def test_a_task_handed_on_is_overdue_at_the_same_instant_all_the_same(shop: Shop) -> None:
    world = in_turn(shop)
    world.order(*world.people(1))
    world.tick()
    world.tick(timedelta(hours=4))
    world.tick(timedelta(hours=20))
    (row,) = world.rows("SELECT outcome, queue FROM task")
    assert tuple(row) == ("overdue", "lead")

"""S3: whichever COMMIT PostgreSQL does not answer, everything is there once and nothing is assumed.

What was broken by hand, and then failed, with 20 people and 8 in flight:

- a lost answer is taken for a failure: at commit 1, 8 messages had begun and were never handed over; at commit 2, 8
  outcomes were written twice, and the next 8 messages had begun and were never handed over
- a lost commit is taken for done: 8 messages were handed over that had not begun; 8 outcomes were lost

Events are safe either way: it is their id that counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from proxy import Proxy, proxy
from servers import Fresh
from sqlalchemy.exc import OperationalError
from stubs import World

from engine.store import database as databases
from engine.work.recovery import recover

PEOPLE = 20


@pytest.fixture
def wire(postgres: Fresh) -> Iterator[Proxy]:
    with proxy(postgres(tables=True)) as made:
        yield made


@pytest.fixture
def world(wire: Proxy, tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "shop", database=wire.url)
    made.people(PEOPLE)
    yield made
    made.close()


def all_went_once(world: World) -> bool:
    keys = Counter(one.key for one in world.email.handed)
    kinds = Counter(world.kinds())
    return keys.total() == len(keys) == PEOPLE and kinds == {"begun": PEOPLE, "accepted": PEOPLE}


def written(table: str) -> str:
    """What a transaction says that writes rows of this table."""
    return rf"(INSERT INTO|COPY) {table}\b"


def order_all(world: World) -> None:
    world.order(*(f"p{number:04d}" for number in range(PEOPLE)))


def test_S3_an_event_whose_commit_was_not_answered_is_taken_once(world: World, wire: Proxy) -> None:
    wire.lose_answer(after=written("event"))
    with suppress(OperationalError):
        order_all(world)
    assert wire.happened
    order_all(world)  # as a shop that was told nothing would
    assert world.rows("SELECT count(*) FROM event")[0][0] == PEOPLE
    world.tick()
    assert all_went_once(world)


@pytest.mark.parametrize("table", ["message", "batch", "delivery"])
@pytest.mark.parametrize("lost", ["answer", "commit"])
def test_S3_whichever_commit_of_a_beat_is_lost_every_message_goes_once(
    world: World, wire: Proxy, table: str, lost: str
) -> None:
    order_all(world)
    (wire.lose_answer if lost == "answer" else wire.lose_commit)(after=written(table))
    with suppress(OperationalError):  # the next beat tries again
        world.tick()
    assert wire.happened
    world.tick()
    assert all_went_once(world)


@pytest.mark.parametrize("lost", ["answer", "commit"])
def test_S3_a_lost_commit_of_what_a_provider_answered_loses_and_doubles_nothing(
    world: World, wire: Proxy, lost: str
) -> None:
    order_all(world)

    def once(_: object) -> None:
        world.email.during = None
        (wire.lose_answer if lost == "answer" else wire.lose_commit)()

    world.email.during = once
    with suppress(OperationalError):  # the next beat tries again
        world.tick()
    assert wire.happened
    world.tick()
    assert all_went_once(world)


def test_S3_who_cannot_ask_for_long_leaves_what_may_have_gone_in_doubt_and_sends_the_rest_once(
    world: World, wire: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "READ_BACK_TRIES", 1)
    order_all(world)
    wire.lose_answer(after=written("delivery"), for_long=True)
    with suppress(OperationalError):
        world.tick()
    assert wire.happened
    assert world.email.handed == []
    wire.mend()
    world.restart()
    recover(world.app, world.clock.now())
    world.tick()
    assert Counter(world.states().values()) == {"unknown": 8, "accepted": PEOPLE - 8}
    assert len({one.key for one in world.email.handed}) == len(world.email.handed) == PEOPLE - 8


def test_S3_answers_of_a_provider_that_come_while_the_database_is_gone_are_written_when_it_is_back(
    world: World, wire: Proxy
) -> None:
    order_all(world)

    def cut(_: object) -> None:
        world.email.during = None
        wire.cut()

    world.email.during = cut
    for _ in range(3):
        with suppress(OperationalError):
            world.tick()
    assert len(world.email.handed) == 8
    wire.mend()
    world.tick()
    assert all_went_once(world)

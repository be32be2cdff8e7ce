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

PEOPLE = 20


@pytest.fixture
def wire(postgres: Fresh) -> Iterator[Proxy]:
    with proxy(postgres()) as made:
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


def order_all(world: World) -> None:
    world.order(*(f"p{number:04d}" for number in range(PEOPLE)))


def test_S3_an_event_whose_commit_was_not_answered_is_taken_once(world: World, wire: Proxy) -> None:
    wire.lose_answer(after="INSERT INTO event")
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
    (wire.lose_answer if lost == "answer" else wire.lose_commit)(after=f"INSERT INTO {table}")
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

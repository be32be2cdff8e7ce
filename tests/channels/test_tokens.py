"""Access tokens: one fetch for all workers, a new one in time, and once after the service calls it expired."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from channels.errors import Misconfigured, SendError, Unavailable
from channels.keep import MemoryKeep
from channels.tokens import AccessToken, Fresh

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


class Shop:
    """Workers of one shop, each with a memory of its own, and the service that gives them tokens."""

    def __init__(self) -> None:
        self.now = NOW
        self.keep = MemoryKeep(lambda: self.now)
        self.fetched = 0
        self.asked: list[float] = []  # until when each fetch had time
        self.fails: Exception | None = None
        self.gives: str | None = None  # the same token, however often

    def worker(self) -> AccessToken:
        return AccessToken(self.keep, lambda: self.now, "service app", self._fetch)

    async def _fetch(self, deadline: float) -> Fresh:
        self.asked.append(deadline)
        await asyncio.sleep(0)
        if self.fails is not None:
            raise self.fails
        self.fetched += 1
        return Fresh(self.gives or f"token-{self.fetched}", timedelta(hours=2))


def deadline() -> float:
    return asyncio.get_running_loop().time() + 5


async def test_many_workers_at_once_fetch_one_token() -> None:
    shop = Shop()
    found = await asyncio.gather(*(shop.worker().value(deadline()) for _ in range(20)))
    assert set(found) == {"token-1"}
    assert shop.fetched == 1


async def test_a_token_is_fetched_anew_before_it_ends() -> None:
    shop = Shop()
    worker = shop.worker()
    assert await worker.value(deadline()) == "token-1"
    shop.now += timedelta(hours=1, minutes=54)
    assert await worker.value(deadline()) == "token-1"
    shop.now += timedelta(minutes=1)
    assert await worker.value(deadline()) == "token-2"


async def test_a_token_the_service_does_not_take_any_more_is_fetched_anew_by_one_worker() -> None:
    shop = Shop()
    workers = [shop.worker() for _ in range(5)]
    spent = {await worker.value(deadline()) for worker in workers}
    assert spent == {"token-1"}
    found = await asyncio.gather(*(worker.renewed("token-1", deadline()) for worker in workers))
    assert set(found) == {"token-2"}
    assert shop.fetched == 2
    assert {await worker.value(deadline()) for worker in workers} == {"token-2"}


async def test_who_cannot_fetch_says_why_and_keeps_nobody_from_trying() -> None:
    shop = Shop()
    shop.fails = Misconfigured("no such app")
    with pytest.raises(Misconfigured):
        await shop.worker().value(deadline())
    shop.fails = None
    assert await shop.worker().value(deadline()) == "token-1"


async def test_who_waits_for_another_waits_no_longer_than_it_may() -> None:
    shop = Shop()
    assert await shop.keep.claim("service app", NOW + timedelta(seconds=20))
    with pytest.raises(Unavailable):
        await shop.worker().value(asyncio.get_running_loop().time() + 0.12)
    shop.now += timedelta(seconds=21)  # who claimed it is dead
    assert await shop.worker().value(deadline()) == "token-1"


@pytest.mark.parametrize("error", [Unavailable("busy"), Misconfigured("no such app")], ids=["busy", "wrong key"])
async def test_a_service_that_gives_no_token_is_asked_once_for_all_messages_of_a_worker(error: SendError) -> None:
    """It counts how often it is asked, and locks out who asks too often."""
    shop = Shop()
    shop.fails = error
    worker = shop.worker()
    found = await asyncio.gather(*(worker.value(deadline()) for _ in range(32)), return_exceptions=True)
    assert [type(one) for one in found] == [type(error)] * 32
    assert len(shop.asked) == 1


async def test_a_service_that_gives_a_spent_token_again_is_not_asked_for_each_message() -> None:
    shop = Shop()
    shop.gives = "token"
    worker = shop.worker()
    spent = await worker.value(deadline())
    found = await asyncio.gather(*(worker.renewed(spent, deadline()) for _ in range(32)))
    assert set(found) == {"token"}
    assert len(shop.asked) == 2


async def test_who_fetches_gives_up_before_others_believe_it_dead() -> None:
    """Or a slow service is asked by two workers at a time, and the first to end opens the door to a third."""
    shop = Shop()
    await shop.worker().value(asyncio.get_running_loop().time() + 60)
    assert shop.asked[0] - asyncio.get_running_loop().time() < 20


async def test_one_message_that_is_called_off_keeps_no_other_from_its_token() -> None:
    shop = Shop()
    worker = shop.worker()
    first, second = (asyncio.ensure_future(worker.value(deadline())) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "token-1"
    assert len(shop.asked) == 1


async def test_where_tokens_cannot_be_kept_nothing_has_left() -> None:
    """A database that is locked or full says nothing about a message."""
    shop = Shop()

    async def full(*_: object) -> bool:
        raise OSError("disk full")

    shop.keep.claim = full  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match="OSError"):
        await shop.worker().value(deadline())

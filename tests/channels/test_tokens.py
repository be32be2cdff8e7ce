"""Access tokens: one fetch for all workers, a new one in time, and once after the service calls it expired."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from channels.errors import Misconfigured, Unavailable
from channels.keep import MemoryKeep
from channels.tokens import AccessToken, Fresh

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


class Shop:
    """Workers of one shop, each with a memory of its own, and the service that gives them tokens."""

    def __init__(self) -> None:
        self.now = NOW
        self.keep = MemoryKeep(lambda: self.now)
        self.fetched = 0
        self.fails: Exception | None = None

    def worker(self) -> AccessToken:
        return AccessToken(self.keep, lambda: self.now, "service app", self._fetch)

    async def _fetch(self, deadline: float) -> Fresh:
        await asyncio.sleep(0)
        if self.fails is not None:
            raise self.fails
        self.fetched += 1
        return Fresh(f"token-{self.fetched}", timedelta(hours=2))


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

"""What providers share: one database, many workers, nothing to read for who has only the file."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from servers import Fresh

from channels.keep import Keep, MemoryKeep
from engine.clock import ManualClock
from engine.store.database import Database
from engine.store.keep import SharedKeep

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
SECRET = b"a secret for tests only"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def keep(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Iterator[Keep]:
    if request.param == "memory":
        yield MemoryKeep(clock.now)
        return
    fresh: Fresh | None = request.getfixturevalue("postgres") if request.param == "postgres" else None
    database = Database(fresh(tables=True) if fresh else f"sqlite:///{tmp_path / 'a.db'}", durable=False)
    database.create()
    yield SharedKeep(database, lambda: [SECRET], clock.now)
    database.close()


async def test_what_was_put_is_there_until_its_end(keep: Keep, clock: ManualClock) -> None:
    assert await keep.get("token") is None
    await keep.put("token", "abc", NOW + timedelta(hours=1))
    await keep.put("token", "def", NOW + timedelta(hours=1))
    assert await keep.get("token") == "def"
    clock.move_to(NOW + timedelta(hours=1))
    assert await keep.get("token") is None


async def test_one_of_many_has_the_claim_until_it_lets_go_or_is_gone(keep: Keep, clock: ManualClock) -> None:
    until = NOW + timedelta(seconds=20)
    assert sorted(await asyncio.gather(*(keep.claim("token", until) for _ in range(6)))) == [False] * 5 + [True]
    await keep.release("token")
    assert await keep.claim("token", until)
    assert not await keep.claim("token", until)
    clock.move_to(until)
    assert await keep.claim("token", until + timedelta(seconds=20))


async def test_an_entry_of_a_box_is_there_once(keep: Keep) -> None:
    for text in (b'{"a":1}', b'{"a":2}'):
        await keep.post("ann", "key", text, NOW)
    if isinstance(keep, MemoryKeep):
        assert keep.boxes == {"ann": {"key": b'{"a":1}'}}


async def test_who_has_only_the_database_cannot_read_a_token(tmp_path: Path, clock: ManualClock) -> None:
    file = tmp_path / "a.db"
    database = Database(f"sqlite:///{file}", durable=False)
    database.create()
    keep = SharedKeep(database, lambda: [SECRET], clock.now)
    await keep.put("token", "hunter2-of-the-api", NOW + timedelta(hours=1))
    rotated = SharedKeep(database, lambda: [b"a new secret, longer than before", SECRET], clock.now)
    other = SharedKeep(database, lambda: [b"somebody else's secret, as long"], clock.now)
    assert await rotated.get("token") == "hunter2-of-the-api"
    assert await other.get("token") is None
    database.close()
    assert not [path for path in tmp_path.iterdir() if b"hunter2" in path.read_bytes()]

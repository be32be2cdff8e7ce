"""What providers share among all workers: values with an end, sealed; claims; and the boxes of the in-app inbox."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

from sqlalchemy import delete, select, update

from engine import keyed
from engine.store.database import Database
from engine.store.tables import claim, inbox_entry, is_first, kept, put_new

PATIENCE = 5.0  # seconds: a message waits for it


class SharedKeep:
    """The keep of one installation (`channels.keep.Keep`), in its database. `secrets` seal: the first new values, all
    are known again."""

    def __init__(self, database: Database, secrets: Callable[[], Sequence[bytes]], now: Callable[[], datetime]) -> None:
        self._database = database
        self._secrets = secrets
        self._now = now

    async def get(self, name: str) -> str | None:
        return await asyncio.to_thread(self._get, name)

    async def put(self, name: str, value: str, until: datetime) -> None:
        await asyncio.to_thread(self._put, name, value, until)

    async def claim(self, name: str, until: datetime) -> bool:
        return await asyncio.to_thread(self.claims, name, until)

    async def release(self, name: str) -> None:
        await asyncio.to_thread(self._release, name)

    async def post(self, box: str, key: str, entry: bytes, at: datetime) -> None:
        await asyncio.to_thread(partial(self._post, box, key, entry, at))

    def _get(self, name: str) -> str | None:
        with self._database.reading() as connection:
            row = connection.execute(select(kept).where(kept.c.name == name)).first()
        if row is None or row.until <= self._now():
            return None
        return keyed.unseal(self._secrets(), row.sealed)

    def _put(self, name: str, value: str, until: datetime) -> None:
        """What has ended long ago goes with it."""
        row = {"sealed": keyed.seal(self._secrets()[0], value), "until": until}
        with self._database.writing(PATIENCE, beside=True) as connection:
            if not connection.execute(update(kept).where(kept.c.name == name).values(row)).rowcount:
                put_new(connection, kept, [{"name": name, **row}])
            connection.execute(delete(kept).where(kept.c.until <= self._now(), kept.c.name != name))

    def claims(self, name: str, until: datetime) -> bool:
        """Is one the only one who works on this until then?"""
        with self._database.writing(PATIENCE, beside=True) as connection:
            mine = update(claim).where(claim.c.name == name, claim.c.until <= self._now())
            if connection.execute(mine.values(until=until)).rowcount:
                return True
            return is_first(connection, claim, {"name": name, "until": until})

    def _release(self, name: str) -> None:
        with self._database.writing(PATIENCE, beside=True) as connection:
            connection.execute(delete(claim).where(claim.c.name == name))

    def _post(self, box: str, key: str, entry: bytes, at: datetime) -> None:
        row = {"key": key, "box": box, "entry": entry.decode(), "at": at, "read_at": None}
        with self._database.writing(PATIENCE, beside=True) as connection:
            is_first(connection, inbox_entry, row)

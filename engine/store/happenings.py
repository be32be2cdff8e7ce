"""What happened to the shop or the world, each time once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, update

from engine.store.tables import Row, happened, put, take_ids


def find(connection: Connection, name: str, key: str) -> Any | None:
    """One happening, as it was told."""
    return connection.execute(select(happened).where(happened.c.name == name, happened.c.key == key)).first()


def tell(connection: Connection, row: Row) -> None:
    """Keep that it happens: name, key, at, payload, told_at, by."""
    (number,) = take_ids(connection, happened, 1)
    put(connection, happened, [{**row, "id": number, "planned": False}])


def unplanned(connection: Connection, now: datetime) -> list[Any]:
    """Those that have begun and whose runs are not written yet, the oldest first."""
    query = select(happened).where(~happened.c.planned, happened.c.at <= now).order_by(happened.c.at, happened.c.id)
    return list(connection.execute(query))


def next_unplanned(connection: Connection) -> datetime | None:
    """When the next one begins."""
    return connection.execute(select(func.min(happened.c.at)).where(~happened.c.planned)).scalar()


def set_planned(connection: Connection, number: int) -> None:
    connection.execute(update(happened).where(happened.c.id == number).values(planned=True))


def coming(connection: Connection, start: datetime, end: datetime) -> list[Any]:
    """Those told for a time from `start` to before `end`."""
    query = select(happened).where(happened.c.at >= start, happened.c.at < end)
    return list(connection.execute(query.order_by(happened.c.at, happened.c.id)))


def latest(connection: Connection, name: str, limit: int) -> list[Mapping[str, Any]]:
    """What the last ones of a name told, the latest first."""
    query = select(happened.c.payload).where(happened.c.name == name)
    rows = connection.execute(query.order_by(happened.c.at.desc(), happened.c.id.desc()).limit(limit))
    return [dict(payload) for payload in rows.scalars()]

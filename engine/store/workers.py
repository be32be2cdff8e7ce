"""Workers: processes that run journeys. One holds what it took as long as it beats."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from engine.store.tables import Row, put, take_ids, worker


def sign_on(connection: Connection, name: str, now: datetime) -> int:
    """A new worker; its number."""
    (number,) = take_ids(connection, worker, 1)
    empty = {"stopped_at": None, "lost_at": None}
    put(connection, worker, [{"id": number, "name": name, "started_at": now, "beat_at": now, **empty}])
    return number


def beat(connection: Connection, number: int, now: datetime, stopped: bool = False) -> bool:
    """It lives, or ends in order. False when it was given up as lost before."""
    values: Row = {"beat_at": now} | ({"stopped_at": now} if stopped else {})
    mine = update(worker).where(worker.c.id == number, worker.c.lost_at.is_(None))
    return bool(connection.execute(mine.values(values)).rowcount)


def latest(connection: Connection, limit: int = 20) -> list[Any]:
    """The workers that began last, the latest first."""
    return list(connection.execute(select(worker).order_by(worker.c.id.desc()).limit(limit)))


def living(connection: Connection, since: datetime) -> list[Any]:
    """Workers that have neither stopped nor been silent since."""
    here = worker.c.stopped_at.is_(None), worker.c.lost_at.is_(None)
    return list(connection.execute(select(worker).where(*here, worker.c.beat_at > since).order_by(worker.c.id)))


def silent(connection: Connection, since: datetime) -> list[Any]:
    """Workers that did not stop in order and have not beaten since."""
    here = worker.c.stopped_at.is_(None), worker.c.lost_at.is_(None)
    return list(connection.execute(select(worker).where(*here, worker.c.beat_at <= since).order_by(worker.c.id)))


def give_up(connection: Connection, numbers: Sequence[int], now: datetime) -> None:
    """These are lost; should one of them go on, it finds that nothing is its own any more."""
    connection.execute(update(worker).where(worker.c.id.in_(numbers)).values(lost_at=now))

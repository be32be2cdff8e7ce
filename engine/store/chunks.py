"""Chunks: who is in hand, or is to be taken in hand by any worker."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, select, update

from engine.store.tables import Row, chunk, put, take_ids

_EMPTY: Row = {
    "failures": 0,
    "way": None,
    "run_id": None,
    "stage": 0,
    "urgent": False,
    "worker_id": None,
    "token": None,
    "deaths": 0,
}


def add(connection: Connection, now: datetime, people: Sequence[int], **more: Any) -> int:
    """These people are in hand, or wait for somebody who takes them. Its number."""
    (number,) = take_ids(connection, chunk, 1)
    put(connection, chunk, [{**_EMPTY, "made_at": now, "people": list(people), **more, "id": number}])
    return number


def take(connection: Connection, number: int, worker_id: int, token: str) -> Any | None:
    """Take it in hand; None when it is gone or in the hands of another."""
    mine = update(chunk).where(chunk.c.id == number, chunk.c.token.is_(None))
    return connection.execute(mine.values(worker_id=worker_id, token=token).returning(*chunk.c)).first()


def let_go(connection: Connection, number: int, token: str) -> bool:
    """What was decided is written, or nothing will be. False when it is in the hands of another: do not commit."""
    return bool(connection.execute(delete(chunk).where(chunk.c.id == number, chunk.c.token == token)).rowcount)


def put_back(connection: Connection, number: int, token: str, deaths: int) -> None:
    """It is in nobody's hands and waits again."""
    mine = update(chunk).where(chunk.c.id == number, chunk.c.token == token)
    connection.execute(mine.values(token=None, worker_id=None, deaths=deaths))


def waiting_of_runs(connection: Connection, runs: Sequence[int]) -> list[int]:
    """Chunks of these runs that nobody holds."""
    free = select(chunk.c.id).where(chunk.c.token.is_(None), chunk.c.run_id.in_(runs))
    return list(connection.execute(free.order_by(chunk.c.urgent.desc(), chunk.c.id)).scalars())


def waiting(connection: Connection, limit: int = 1_000) -> list[Any]:
    """Chunks that nobody holds, the urgent ones first: id, urgent."""
    free = select(chunk.c.id, chunk.c.urgent).where(chunk.c.token.is_(None))
    return list(connection.execute(free.order_by(chunk.c.urgent.desc(), chunk.c.id).limit(limit)))


def count(connection: Connection) -> int:
    """How many there are, in hand or waiting."""
    return connection.execute(select(func.count()).select_from(chunk)).scalar_one()


def people(connection: Connection) -> set[int]:
    """Everybody who is in hand or waits to be."""
    return {number for told in connection.execute(select(chunk.c.people)).scalars() for number in told}


def any_of_run(connection: Connection, run_id: int) -> bool:
    """Is anybody of this run in hand, or waits to be?"""
    return connection.execute(select(chunk.c.id).where(chunk.c.run_id == run_id).limit(1)).first() is not None


def held_by(connection: Connection, workers: Sequence[int] | None) -> list[Any]:
    """What these workers hold; None: whatever anybody holds."""
    query = select(chunk).where(chunk.c.token.is_not(None))
    if workers is not None:
        query = query.where(chunk.c.worker_id.in_(workers))
    return list(connection.execute(query.order_by(chunk.c.id)))


def drop(connection: Connection, number: int) -> None:
    connection.execute(delete(chunk).where(chunk.c.id == number))

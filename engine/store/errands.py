"""Errands: who is to be told of a task, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, update

from engine.store.tables import Row, errand, put, take_ids, task


def add(connection: Connection, rows: Sequence[Row]) -> None:
    """Errands to be run: task_id, place, key, due_at."""
    numbers = take_ids(connection, errand, len(rows))
    own = {"state": "waiting", "attempts": 0, "reason": ""}
    put(connection, errand, [{"id": number, **row, **own} for number, row in zip(numbers, rows, strict=True)])


def due(connection: Connection, now: datetime, limit: int) -> list[Any]:
    """Errands to run now, the oldest first, each with its task."""
    columns = (task.c[name] for name in ("customer_id", "brief", "assignee", "opened_at", "closed_at", "call"))
    query = (
        select(errand, *columns, task.c.due_at.label("task_due"))
        .join(task, task.c.id == errand.c.task_id)
        .where(errand.c.state == "waiting", errand.c.due_at <= now)
    )
    return list(connection.execute(query.order_by(errand.c.due_at, errand.c.id).limit(limit)))


def begin(connection: Connection, numbers: Sequence[int], now: datetime) -> set[int]:
    """Take those that still wait: from here on nobody else runs them."""
    mine = update(errand).where(errand.c.id.in_(numbers), errand.c.state == "waiting")
    begun = mine.values(state="begun", attempts=errand.c.attempts + 1, at=now).returning(errand.c.id)
    return set(connection.execute(begun).scalars())


def settle(connection: Connection, number: int, **values: Any) -> None:
    """What became of one that had begun."""
    mine = update(errand).where(errand.c.id == number, errand.c.state == "begun")
    connection.execute(mine.values(**values))


def lost(connection: Connection, before: datetime, now: datetime) -> int:
    """Those that began before and have no end: whoever ran them died. How many."""
    gone = update(errand).where(errand.c.state == "begun", errand.c.at < before)
    told = "the process died while it was being told"
    return connection.execute(gone.values(state="unknown", at=now, reason=told)).rowcount


def next_due(connection: Connection) -> datetime | None:
    """When the next one is to be run."""
    return connection.execute(select(func.min(errand.c.due_at)).where(errand.c.state == "waiting")).scalar()


def untold(connection: Connection, since: datetime) -> list[Any]:
    """Those of which nobody was told, or nobody knows, since an instant."""
    query = select(errand).where(errand.c.state.in_(["failed", "unknown"]), errand.c.at >= since)
    return list(connection.execute(query.order_by(errand.c.at, errand.c.id)))

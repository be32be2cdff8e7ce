"""What stands in people's boxes of the shop's own app."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, update

from engine.store.tables import inbox_entry


def entries(connection: Connection, box: str, limit: int, before: datetime | None = None) -> list[Any]:
    """The newest entries of a box, newest first; with `before`, those that came before it."""
    mine = select(inbox_entry).where(inbox_entry.c.box == box)
    if before is not None:
        mine = mine.where(inbox_entry.c.at < before)
    return list(connection.execute(mine.order_by(inbox_entry.c.at.desc(), inbox_entry.c.key).limit(limit)))


def unread(connection: Connection, box: str) -> int:
    """How many entries of a box nobody has looked at."""
    mine = select(func.count()).where(inbox_entry.c.box == box, inbox_entry.c.read_at.is_(None))
    return connection.execute(mine).scalar_one()


def own(connection: Connection, box: str, keys: Sequence[str]) -> list[str]:
    """Those of these entries that stand in this box."""
    mine = select(inbox_entry.c.key).where(inbox_entry.c.box == box, inbox_entry.c.key.in_(keys))
    return sorted(connection.execute(mine).scalars())


def mark_read(connection: Connection, box: str, keys: Sequence[str], at: datetime) -> list[str]:
    """These were looked at. The keys of those that were not before."""
    fresh = (inbox_entry.c.box == box, inbox_entry.c.key.in_(keys), inbox_entry.c.read_at.is_(None))
    marked = update(inbox_entry).where(*fresh).values(read_at=at).returning(inbox_entry.c.key)
    return sorted(connection.execute(marked).scalars())

"""What providers reported: kept once each, found again by the names under which a provider speaks of a message."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from engine.store.tables import Row, alias, in_parts, put, put_new, report, take_ids


def alias_of(lane: str, name: str) -> int:
    """The number under which a name that a lane's provider knows a message by is kept: 63 bits of a hash."""
    return int.from_bytes(hashlib.sha256(f"{lane}\n{name}".encode()).digest()[:8]) >> 1


def know(connection: Connection, lane: str, names: Iterable[tuple[str, int]]) -> None:
    """From now on a message is found by this name."""
    rows = {(alias_of(lane, name), number) for name, number in names}
    put_new(connection, alias, [{"hash": known, "message_id": number} for known, number in sorted(rows)])


def messages_named(connection: Connection, lane: str, names: Collection[str]) -> dict[str, int]:
    """name -> the message it stands for; those that nobody has heard of are left out."""
    hashes = {alias_of(lane, name): name for name in names}
    found: dict[str, int] = {}
    for part in in_parts(list(hashes)):
        rows = connection.execute(select(alias.c.hash, alias.c.message_id).where(alias.c.hash.in_(part)))
        found.update((hashes[known], number) for known, number in rows)
    return found


def heard_before(connection: Connection, lane: str, event_ids: Sequence[str]) -> set[str]:
    """Those of these reports that are kept already."""
    found: set[str] = set()
    for part in in_parts(event_ids):
        query = select(report.c.event_id).where(report.c.lane == lane, report.c.event_id.in_(part))
        found.update(connection.execute(query).scalars())
    return found


def add(connection: Connection, rows: Sequence[Row]) -> None:
    """Keep reports, each with its lane and its name there, that are not kept yet."""
    numbers = take_ids(connection, report, len(rows)) if rows else []
    put(connection, report, [{"id": number, **row} for number, row in zip(numbers, rows, strict=True)])


def any_open(connection: Connection) -> bool:
    """Does any report wait for its message?"""
    return connection.execute(select(report.c.id).where(report.c.open).limit(1)).first() is not None


def open_reports(connection: Connection, limit: int) -> list[Any]:
    """Reports whose message was not known when they came, the oldest first."""
    return list(connection.execute(select(report).where(report.c.open).order_by(report.c.received_at).limit(limit)))


def settle(connection: Connection, found: Mapping[int, int | None]) -> None:
    """report -> its message, None when it is not waited for any more."""
    for number, message_id in found.items():
        values = {"open": False} | ({"message_id": message_id} if message_id is not None else {})
        connection.execute(update(report).where(report.c.id == number).values(values))


def of_messages(connection: Connection, ids: Sequence[int]) -> dict[int, list[Any]]:
    """message id -> what was reported about it, in the order in which it happened."""
    found: dict[int, list[Any]] = {}
    for part in in_parts(ids):
        query = select(report).where(report.c.message_id.in_(part)).order_by(report.c.at, report.c.id)
        for row in connection.execute(query):
            found.setdefault(row.message_id, []).append(row)
    return found


def open_since(connection: Connection, before: datetime) -> list[int]:
    """Reports that have waited for a message since before an instant."""
    return list(connection.execute(select(report.c.id).where(report.c.open, report.c.received_at < before)).scalars())

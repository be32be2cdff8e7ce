"""Events: what happened to people, each once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select, union_all

from engine.audience.values import Happening
from engine.store.enrollments import links_of
from engine.store.tables import Row, event, in_parts, put, take_ids


def known(connection: Connection, external_ids: Iterable[str]) -> dict[str, str]:
    """Outside ids that are already recorded -> the hash of their body."""
    found: dict[str, str] = {}
    for part in in_parts(sorted(set(external_ids))):
        rows = connection.execute(select(event.c.external_id, event.c.body_hash).where(event.c.external_id.in_(part)))
        found.update((row.external_id, row.body_hash) for row in rows)
    return found


def payload(connection: Connection, external_id: str) -> dict[str, Any] | None:
    """What an event told, by its outside id; None when it is not recorded."""
    found: dict[str, Any] | None = connection.execute(
        select(event.c.payload).where(event.c.external_id == external_id)
    ).scalar()
    return found


def names(connection: Connection) -> frozenset[str]:
    """The names of all events that were recorded so far."""
    return frozenset(connection.execute(select(event.c.name).distinct()).scalars())


def record(connection: Connection, rows: Sequence[Row]) -> None:
    """Append events; each gets its id."""
    for number, row in zip(take_ids(connection, event, len(rows)), rows, strict=True):
        row["id"] = number
    put(connection, event, [{"lineage": None, **row} for row in rows])


def of_people(
    connection: Connection, ids: Sequence[int], asked: Mapping[str, timedelta | None], now: datetime
) -> dict[int, list[Happening]]:
    """id -> events until `now`, oldest first: of each name as far back as is asked (None: all of the past)."""
    if not asked:
        return {}
    spans: dict[timedelta | None, list[str]] = {}
    for name, window in sorted(asked.items()):
        spans.setdefault(window, []).append(name)
    columns = (*(event.c[name] for name in ("id", "customer_id", "name", "at", "payload", "received_at", "lineage")),)
    mine = select(*columns).where(event.c.customer_id.in_(ids), event.c.at <= now)
    kinds = [  # each by its own range of the index: with an `or` all that ever happened would be looked through
        mine.where(event.c.name.in_(names), *([] if window is None else [event.c.at > now - window]))
        for window, names in spans.items()
    ]
    rows = sorted(connection.execute(union_all(*kinds)), key=lambda row: (row.at, row.id))
    found: dict[int, list[Happening]] = {}
    for number, customer_id, name, at, payload, received_at, lineage in rows:
        links = tuple(links_of(lineage)) if lineage else ()
        found.setdefault(customer_id, []).append(Happening(number, name, at, payload, received_at, links))
    return found


def latest(connection: Connection, customer_id: int, limit: int) -> list[Any]:
    """The last events of one person, newest first."""
    return list(
        connection.execute(
            select(event)
            .where(event.c.customer_id == customer_id)
            .order_by(event.c.at.desc(), event.c.id.desc())
            .limit(limit)
        )
    )


def latest_people(connection: Connection, name: str, until: datetime, limit: int) -> list[int]:
    """The people to whom an event of this name happened last, the latest first."""
    last = func.max(event.c.at).label("last")
    rows = connection.execute(
        select(event.c.customer_id, last)
        .where(event.c.name == name, event.c.at <= until)
        .group_by(event.c.customer_id)
        .order_by(last.desc(), event.c.customer_id)
        .limit(limit)
    )
    return [row.customer_id for row in rows]


def people_between(connection: Connection, name: str, after: datetime, until: datetime) -> list[int]:
    """The people to whom an event of this name happened in (after, until], in order."""
    query = select(event.c.customer_id).where(event.c.name == name, event.c.at > after, event.c.at <= until)
    return list(connection.execute(query.distinct().order_by(event.c.customer_id)).scalars())


def first_after(connection: Connection, name: str, after: datetime) -> datetime | None:
    """When the first event of this name after an instant was."""
    query = select(event.c.at).where(event.c.name == name, event.c.at > after).order_by(event.c.at).limit(1)
    return connection.execute(query).scalar()


def latest_payloads(connection: Connection, name: str, limit: int) -> list[Any]:
    """The payloads of the events of one name that were recorded last, the latest first."""
    rows = connection.execute(
        select(event.c.payload).where(event.c.name == name).order_by(event.c.id.desc()).limit(limit)
    )
    return [row.payload for row in rows]

"""Events: what happened to people, each once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, union_all

from engine.audience.values import Happening
from engine.store.enrollments import links_of
from engine.store.questions import Question
from engine.store.tables import Row, among, event, put, take_ids

_KNOWN = Question(select(event.c.external_id, event.c.body_hash).where(among(event.c.external_id)))


def known(connection: Connection, external_ids: Iterable[str]) -> dict[str, str]:
    """Outside ids that are already recorded -> the hash of their body."""
    return dict(_KNOWN.ask(connection, ids=sorted(set(external_ids))))


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


_OLDEST_FIRST = itemgetter(3, 0)
_HAPPENING = ("id", "customer_id", "name", "at", "payload", "received_at", "lineage")


@lru_cache(maxsize=256)  # a form for each version of a journey
def _of_people(windows: tuple[timedelta | None, ...]) -> Question:
    columns = (event.c[name] for name in _HAPPENING)
    mine = select(*columns).where(among(event.c.customer_id), event.c.at <= bindparam("now"))
    kinds = [  # each by its own range of the index: with an `or` all that ever happened would be looked through
        mine.where(
            among(event.c.name, _of("names", window)),
            *([] if window is None else [event.c.at > bindparam(_of("since", window))]),
        )
        for window in windows
    ]
    return Question(union_all(*kinds))


def _of(what: str, window: timedelta | None) -> str:
    """How a parameter is called that belongs to a window."""
    return what if window is None else f"{what}_{window // timedelta(microseconds=1)}"


def of_people(
    connection: Connection, ids: Sequence[int], asked: Mapping[str, timedelta | None], now: datetime
) -> dict[int, list[Happening]]:
    """id -> events until `now`, oldest first: of each name as far back as is asked (None: all of the past)."""
    if not asked:
        return {}
    about: dict[str, Any] = {"ids": ids, "now": now}
    for name, window in sorted(asked.items()):
        about.setdefault(_of("names", window), []).append(name)
        if window is not None:
            about[_of("since", window)] = now - window
    question = _of_people(tuple(dict.fromkeys(asked.values())))
    found: dict[int, list[Happening]] = {}
    rows = sorted(question.ask(connection, **about), key=_OLDEST_FIRST)
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

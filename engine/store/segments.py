"""Segments: who may have crossed a border since one looked last, who has, and who is inside.

Facts are numbered in the order of their commits: an event by its id, what is told of a person by `changed`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Dialect,
    Select,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    select,
    union_all,
    update,
)

from engine.audience.audience import Audience
from engine.audience.instants import earlier
from engine.audience.segments import Edges
from engine.audience.tables import customer as person
from engine.store.tables import Row, counter, crossing, customer, event, membership, put, segment_state, take_ids

# --- how far they were judged ----------------------------------------------------------------------------------------


def states(connection: Connection) -> dict[str, Any]:
    """segment -> when it was judged last, by which definition, and up to which fact."""
    return {row.segment: row for row in connection.execute(select(segment_state))}


def set_state(connection: Connection, segment: str, fingerprint: str, judged_at: datetime, seen: int) -> None:
    values = {"fingerprint": fingerprint, "judged_at": judged_at, "seen": seen}
    if not connection.execute(update(segment_state).where(segment_state.c.segment == segment).values(values)).rowcount:
        connection.execute(insert(segment_state), [{"segment": segment, **values}])


def latest_fact(connection: Connection) -> int:
    """The number of the last fact there is."""
    return (connection.execute(select(counter.c.next).where(counter.c.kind == event.name)).scalar() or 1) - 1


# --- who may have crossed --------------------------------------------------------------------------------------------


class Stirred:
    """Whose answer may have changed: of whom something was learned, or for whom time ran over an edge. Nobody else's.

    Built once for the edges of a condition and asked at every look; what it costs is what happened, not how many
    people there are.
    """

    def __init__(self, edges: Edges) -> None:
        self._distances = edges.distances
        names = event.c.name.in_(sorted(edges.events))
        news = [select(customer.c.id).where(customer.c.changed > bindparam("seen"))]
        if edges.events:
            news.append(select(event.c.customer_id).where(event.c.id > bindparam("seen"), names))
        for number in range(len(edges.distances)):
            passed = [bindparam(f"{end}_{number}", type_=event.c.at.type) for end in ("after", "until")]
            news.append(select(customer.c.id).where(_between(customer.c.created_at, *passed)))
            if edges.events:
                news.append(select(event.c.customer_id).where(_between(event.c.at, *passed), names))
        self._query = union_all(*news)

    def ask(self, connection: Connection, seen: int, since: datetime, now: datetime) -> list[int]:
        """Ids of those whose answer may be another at `now` than it was at `since`, by the facts up to `seen`."""
        spans = {
            f"{end}_{number}": earlier(at, distance)
            for number, distance in enumerate(self._distances)
            for end, at in (("after", since), ("until", now))
        }
        return sorted(set(connection.execute(self._query, {"seen": seen, **spans}).scalars()))


def _between(column: ColumnElement[Any], after: Any, until: Any) -> ColumnElement[bool]:
    return and_(column > after, column <= until)


@dataclass(frozen=True)
class News:
    """What was learned of one person since a segment was judged."""

    live: dict[int, datetime]  # events that may start journeys: id -> their instant
    history: bool  # something came that starts nothing


def news(connection: Connection, ids: Sequence[int], seen: int) -> dict[int, News]:
    """id -> what was learned of them after fact `seen`; people of whom nothing was learned are left out."""
    found: dict[int, News] = {}
    rows = connection.execute(
        select(event.c.customer_id, event.c.id, event.c.at, event.c.live).where(
            event.c.customer_id.in_(ids), event.c.id > seen
        )
    ).all()
    past = {number for number, _, _, live in rows if not live} | set(
        connection.execute(
            select(customer.c.id).where(customer.c.id.in_(ids), customer.c.changed > seen, ~customer.c.live)
        ).scalars()
    )
    for number in {row.customer_id for row in rows} | past:
        found[number] = News({one: at for who, one, at, live in rows if who == number and live}, number in past)
    return found


# --- who has crossed -------------------------------------------------------------------------------------------------


class Crossers:
    """Who of these people crossed the border of a segment, asked again and again as time passes.

    Building the question costs more than asking it. It is built at two instants; what differs between them is what
    moves with time, and is moved on at each asking.
    """

    def __init__(
        self, dialect: Dialect, segment: str, condition: Callable[[datetime], ColumnElement[bool]], start: datetime
    ) -> None:
        self._query, later = (_who_crossed(segment, condition(at)) for at in (start, start + _STEP))
        self._start = start
        first, second = (one.compile(dialect=dialect).params for one in (self._query, later))
        if first.keys() != second.keys():
            raise ValueError("the question is another one an hour later")
        self._moving = {name: value for name, value in first.items() if value != second[name]}
        for name, value in self._moving.items():
            if second[name] - value not in (_STEP, _STEP // _MICRO):
                raise ValueError(f"{name} does not move with time")

    def ask(self, connection: Connection, ids: Sequence[int], now: datetime) -> dict[int, bool]:
        """Those of `ids` who crossed, in order -> whether they are inside now."""
        passed = now - self._start
        moved = {
            name: value + (passed if isinstance(value, datetime) else passed // _MICRO)
            for name, value in self._moving.items()
        }
        return {number: not was for number, was in connection.execute(self._query, {"ids": ids, **moved})}


_STEP = timedelta(hours=1)
_MICRO = timedelta(microseconds=1)


def _who_crossed(segment: str, condition: ColumnElement[bool]) -> Select[Any]:
    inside = membership.alias("inside")
    member = select(inside.c.customer_id).where(inside.c.segment == segment, inside.c.customer_id == person.c.id)
    was, is_now = (case((one, 1), else_=0) for one in (member.correlate(person).exists(), condition))
    return (
        select(person.c.id, was)
        .where(person.c.id.in_(bindparam("ids", expanding=True)), is_now != was)
        .order_by(person.c.id)
    )


@dataclass(frozen=True)
class Watch:
    """A segment by one definition, with the questions that are asked about it."""

    audience: Audience
    segment: str
    fingerprint: str
    edges: Edges
    stirred: Stirred
    crossers: Crossers


# --- what is written -------------------------------------------------------------------------------------------------


def set_members(
    connection: Connection, segment: str, came: Sequence[tuple[int, datetime]], went: Sequence[int]
) -> None:
    """Write only what changed."""
    put(connection, membership, [{"segment": segment, "customer_id": n, "since": at} for n, at in came])
    if went:
        connection.execute(
            delete(membership).where(membership.c.segment == segment, membership.c.customer_id.in_(went))
        )


def record_crossings(connection: Connection, rows: Sequence[Row]) -> None:
    for number, row in zip(take_ids(connection, crossing, len(rows)), rows, strict=True):
        row["id"] = number
    put(connection, crossing, rows)


# --- looking at them -------------------------------------------------------------------------------------------------


def member_count(connection: Connection, segment: str) -> int:
    return connection.execute(
        select(func.count()).select_from(membership).where(membership.c.segment == segment)
    ).scalar_one()


def crossed_since(connection: Connection, since: datetime) -> dict[tuple[str, str], int]:
    """(segment, in or out) -> how often its border was crossed since then."""
    rows = connection.execute(
        select(crossing.c.segment, crossing.c.direction, func.count())
        .where(crossing.c.at > since)
        .group_by(crossing.c.segment, crossing.c.direction)
    )
    return {(row[0], row[1]): row[2] for row in rows}


def latest_crossings(connection: Connection, segment: str, limit: int) -> list[Any]:
    """The last crossings of one segment, newest first: the shop's id of each person, the direction, the instant."""
    both = crossing.join(customer, customer.c.id == crossing.c.customer_id)
    return list(
        connection.execute(
            select(customer.c.external_id, crossing.c.direction, crossing.c.at)
            .select_from(both)
            .where(crossing.c.segment == segment)
            .order_by(crossing.c.at.desc(), crossing.c.id.desc())
            .limit(limit)
        )
    )


def inside_since(connection: Connection, segment: str, customer_id: int) -> datetime | None:
    """Since when this person is kept as inside; None where nobody keeps it, or they are not."""
    found: datetime | None = connection.execute(
        select(membership.c.since).where(membership.c.segment == segment, membership.c.customer_id == customer_id)
    ).scalar()
    return found


def people_in(connection: Connection, condition: ColumnElement[bool], after: int, limit: int) -> list[Any]:
    """A page of the people for whom a condition holds, from the one after `after`."""
    kept = (person.c.id, person.c.external_id, person.c.locale, person.c.country, person.c.zone, person.c.attributes)
    query = select(*kept).where(person.c.id > after, condition).order_by(person.c.id).limit(limit)
    return list(connection.execute(query))

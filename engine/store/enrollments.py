"""Enrollments: who is where in which journey, and who is due."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from operator import itemgetter
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, bindparam, case, func, or_, select, true, union_all, update

from engine.audience.instants import EARLIEST
from engine.audience.tables import customer as person
from engine.audience.values import Link
from engine.decide.state import Code, Enrolled, Round
from engine.journey.head import Again
from engine.store.held import HELD, REASON, held_to
from engine.store.questions import Question
from engine.store.tables import Row, among, customer, enrollment, in_parts, message, put, task

GIVE_UP_AFTER = 3  # failures of one enrollment before it is set aside


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


_PLACE = ("id", "customer_id", "journey", "version_id", "key", "entered_at", "holdout", "step", "visit", "arrived_at")
_READ = (*_PLACE, "due_at", "active", "reason", "ended_at", "data", "failures", "news")


def as_value(row: Any) -> Enrolled:
    """A whole row as the value `decide` reads."""
    return _value([getattr(row, name) for name in _READ])


def _value(row: Sequence[Any], failures: int = GIVE_UP_AFTER - 1) -> Enrolled:
    """What was read of a row as the value `decide` reads; it is `aside` when it failed more than so many times."""
    number, customer_id, journey, version_id, key, entered_at, holdout, step, visit, arrived_at, *rest = row
    due_at, active, reason, ended_at, data, failed, news = rest
    return Enrolled(
        id=number,
        customer_id=customer_id,
        journey=journey,
        version_id=version_id,
        key=key,
        entered_at=entered_at,
        holdout=holdout,
        step=step,
        visit=visit,
        arrived_at=arrived_at,
        due_at=due_at,
        active=active,
        reason=None if active else reason,
        ended_at=ended_at,
        event=data.get("event", {}),
        event_at=_instant(data.get("event_at")),
        vouchers={
            pool: Code(pool, code["code"], code["value"], _instant(code["expires_at"]))
            for pool, code in data.get("vouchers", {}).items()
        },
        variants=data.get("variants", {}),
        rounds={
            name: Round(number, datetime.fromisoformat(began))
            for name, (number, began) in data.get("rounds", {}).items()
        },
        lineage=tuple(links_of(data.get("lineage", ()))),
        stopped=next(links_of([data["stopped"]]), None) if "stopped" in data else None,
        aside=failed > failures,
        news=news,
    )


def links_of(told: Iterable[Sequence[str]]) -> Iterator[Link]:
    """Links as they are kept."""
    return (Link(by, datetime.fromisoformat(at)) for by, at in told)


def told_links(links: Iterable[Link]) -> list[list[str]]:
    """Links as they are kept."""
    return [[one.by, one.at.isoformat()] for one in links]


def as_row(value: Enrolled) -> Row:
    """The value as a row; what it carries along goes into `data`."""
    data: Row = {}
    if value.event:
        data["event"] = dict(value.event)
    if value.event_at:
        data["event_at"] = value.event_at.isoformat()
    if value.vouchers:
        data["vouchers"] = {
            pool: {
                "code": code.code,
                "value": code.value,
                "expires_at": code.expires_at.isoformat() if code.expires_at else None,
            }
            for pool, code in value.vouchers.items()
        }
    if value.variants:
        data["variants"] = dict(value.variants)
    if value.rounds:
        data["rounds"] = {name: [one.number, one.began_at.isoformat()] for name, one in value.rounds.items()}
    if value.lineage:
        data["lineage"] = told_links(value.lineage)
    if value.stopped:
        (data["stopped"],) = told_links([value.stopped])
    return {name: getattr(value, name) for name in _COLUMNS} | {"data": data}


_COLUMNS = [name for name in Enrolled.__struct_fields__ if name in enrollment.c]
_MOVING = {
    "step": "text",
    "visit": "int",
    "arrived_at": "timestamptz",
    "due_at": "timestamptz",
    "active": "bool",
    "reason": "text",
    "ended_at": "timestamptz",
    "data": "jsonb",
}


def add(
    connection: Connection, values: Iterable[Enrolled], run_id: int | None = None, by_what_happened: bool = False
) -> int:
    """Write new enrollments. After a restore those are held that something that happened before it lets in."""
    doubtful = held_to(connection) if by_what_happened else None
    rows = [
        as_row(one) | {"run_id": run_id, "failures": 0, "started_by": one.lineage[-1].by if one.lineage else ""}
        for one in values
    ]
    if doubtful is not None:
        rows = [row | {"failures": HELD, "reason": REASON} if row["entered_at"] <= doubtful else row for row in rows]
    return put(connection, enrollment, rows)


class Overtaken(Exception):
    """A way ended, moved or was told news after it was read; what was decided on the old is not to be committed."""


_MOVE = (
    update(enrollment)
    .where(enrollment.c.id == bindparam("_id"), enrollment.c.active, enrollment.c.news == bindparam("_news"))
    .values({name: bindparam(name) for name in _MOVING} | {"failures": 0, "news": enrollment.c.news + 1})
)


#: the same for all of them at once: PostgreSQL takes half as long as for one after the other
_MOVE_AT_ONCE = (
    f"UPDATE enrollment SET {', '.join(f'{name} = moved.{name}' for name in _MOVING)}, "
    "failures = 0, news = enrollment.news + 1 "
    f"FROM json_to_recordset(%s::json) AS moved(_id bigint, _news int, {', '.join(map(' '.join, _MOVING.items()))}) "
    "WHERE enrollment.id = moved._id AND enrollment.active AND enrollment.news = moved._news"
)


def move(connection: Connection, values: Sequence[Enrolled]) -> None:
    """Write where these enrollments stand now. `Overtaken` when one of them is not as it was read: do not commit."""
    if not values:
        return
    rows = [
        {"_id": value.id, "_news": value.news, **{k: v for k, v in as_row(value).items() if k in _MOVING}}
        for value in values
    ]
    if connection.dialect.name == "sqlite":
        done = connection.execute(_MOVE, rows)
    else:
        done = connection.exec_driver_sql(_MOVE_AT_ONCE, (msgspec.json.encode(rows).decode(),))
    if done.rowcount != len(rows):
        raise Overtaken


def transfer(connection: Connection, values: Sequence[Enrolled]) -> None:
    """Write where these ways stand in another version."""
    kept = ("version_id", "step", "visit", "due_at", "data")
    rows = [{"_id": value.id, **{name: one for name, one in as_row(value).items() if name in kept}} for value in values]
    if rows:
        connection.execute(
            update(enrollment)
            .where(enrollment.c.id == bindparam("_id"), enrollment.c.active)
            .values({name: bindparam(name) for name in kept}),
            rows,
        )


def wake_page(connection: Connection, version_id: int, after: int, limit: int, now: datetime) -> int | None:
    """Look at the next people inside a version again now. The last of them; None when there are no more."""
    mine = select(enrollment.c.id).where(enrollment.c.version_id == version_id, enrollment.c.active)
    ids = connection.execute(mine.where(enrollment.c.id > after).order_by(enrollment.c.id).limit(limit)).scalars().all()
    wake_ids(connection, ids, now)
    return ids[-1] if ids else None


def _task_open() -> ColumnElement[bool]:
    """Is a task of this way open?"""
    return select(task.c.id).where(task.c.enrollment_id == enrollment.c.id, task.c.closed_at.is_(None)).exists()


def _spoken_here() -> ColumnElement[bool]:
    """Is there a message of the step this way stands on? As long as it stands there, it is on its way."""
    mine = (message.c.enrollment_id == enrollment.c.id, message.c.step == enrollment.c.step)
    return select(message.c.id).where(*mine, message.c.visit == enrollment.c.visit).exists()


def _aside() -> ColumnElement[bool]:
    return enrollment.c.failures >= GIVE_UP_AFTER


def standing(connection: Connection, version_id: int) -> list[Any]:
    """How many people are inside a version: by step, and by what holds them there."""
    columns = (
        enrollment.c.step.label("step"),
        _task_open().label("has_task"),
        _spoken_here().label("has_message"),
        _aside().label("aside"),
    )
    each = select(*columns).where(enrollment.c.version_id == version_id, enrollment.c.active).subquery()
    query = select(*each.c, func.count().label("people")).group_by(*each.c).order_by(*each.c)
    return list(connection.execute(query))


def page_of_version(connection: Connection, version_id: int, after: int, limit: int) -> list[Any]:
    """The next ways inside a version as rows, with what holds them where they stand."""
    held = (_task_open().label("has_task"), _spoken_here().label("has_message"), _aside().label("aside"))
    return list(
        connection.execute(
            select(enrollment, *held)
            .where(enrollment.c.version_id == version_id, enrollment.c.active, enrollment.c.id > after)
            .order_by(enrollment.c.id)
            .limit(limit)
        )
    )


def due_customers(
    connection: Connection, now: datetime, limit: int, versions: Sequence[int] | None = None
) -> list[int]:
    """Customers with something due (in one of these versions) that has not failed, the longest waiting first."""
    due = select(enrollment.c.customer_id).where(
        enrollment.c.active, enrollment.c.due_at <= now, enrollment.c.failures == 0
    )
    if versions is not None:
        due = due.where(enrollment.c.version_id.in_(versions))
    rows = connection.execute(due.order_by(enrollment.c.due_at, enrollment.c.id).limit(limit))
    return list(dict.fromkeys(row.customer_id for row in rows))


def due_failed(connection: Connection, now: datetime, limit: int) -> list[Any]:
    """Due enrollments that failed and are not set aside, those that failed least first: id, customer_id, failures."""
    return list(
        connection.execute(
            select(enrollment.c.id, enrollment.c.customer_id, enrollment.c.failures)
            .where(
                enrollment.c.active,
                enrollment.c.due_at <= now,
                enrollment.c.failures > 0,
                enrollment.c.failures < GIVE_UP_AFTER,
            )
            .order_by(enrollment.c.failures, enrollment.c.due_at, enrollment.c.id)
            .limit(limit)
        )
    )


def next_due(connection: Connection) -> datetime | None:
    """When the next enrollment is due."""
    return connection.execute(
        select(func.min(enrollment.c.due_at)).where(enrollment.c.active, enrollment.c.failures < GIVE_UP_AFTER)
    ).scalar()


@dataclass(frozen=True)
class Before:
    """Which ways of these journeys that have ended are asked for, so that it can be judged who may enter again."""

    keyed: frozenset[str] = frozenset()  # all of them: their keys are entered once only
    dated: frozenset[str] = frozenset()  # the last one, and those that began since an instant
    fresh: frozenset[str] = frozenset()  # those that began since: what came before is no obstacle
    since: datetime = EARLIEST

    @property
    def journeys(self) -> frozenset[str]:
        return self.keyed | self.dated | self.fresh


def of_people(
    connection: Connection,
    ids: Sequence[int],
    before: Before = Before(),
    failures: int = GIVE_UP_AFTER - 1,
) -> dict[int, list[Enrolled]]:
    """id -> active enrollments, and what of the past `before` asks for, oldest first.

    Those that failed more than `failures` times are left out, or are `aside` where their journey is asked for.
    """
    about: dict[str, Any] = {"ids": ids, "failures": failures, "since": before.since}
    about |= {"any": sorted(before.journeys), "keyed": sorted(before.keyed)}
    lately = before.dated | before.fresh
    about |= {"lately": sorted(lately)} | {f"dated_{place}": name for place, name in enumerate(sorted(before.dated))}
    rows = _of_people(bool(before.keyed), bool(lately), len(before.dated)).ask(connection, **about)
    found: dict[int, list[Enrolled]] = {}
    for row in sorted(rows, key=_OLDEST_FIRST):
        found.setdefault(row[1], []).append(_value(row, failures))
    return found


_OLDEST_FIRST = itemgetter(_READ.index("entered_at"), _READ.index("id"))


@cache
def _of_people(keyed: bool, lately: bool, dated: int) -> Question:
    """The active ones, and what of the past is asked for: each a range of the index by person, however much else there
    is."""
    ways = select(*(enrollment.c[name] for name in _READ))
    mine = ways.where(among(enrollment.c.customer_id))
    journey, entered_at = enrollment.c.journey, enrollment.c.entered_at
    seen = or_(enrollment.c.failures <= bindparam("failures"), among(journey, "any"))
    parts = [mine.where(enrollment.c.active, seen)]
    if keyed:
        parts.append(mine.where(~enrollment.c.active, among(journey, "keyed")))
    if lately:
        parts.append(mine.where(~enrollment.c.active, among(journey, "lately"), entered_at > bindparam("since")))
    for place in range(dated):
        way = enrollment.alias("way")
        last = (
            select(way.c.id)
            .where(way.c.customer_id == customer.c.id, ~way.c.active, way.c.journey == bindparam(f"dated_{place}"))
            .order_by(way.c.entered_at.desc())
            .limit(1)
            .scalar_subquery()
        )
        both = customer.join(enrollment, enrollment.c.id == last)
        parts.append(ways.select_from(both).where(among(customer.c.id), entered_at <= bindparam("since")))
    return Question(union_all(*parts))


def story(connection: Connection, customer_id: int, journey: str | None = None) -> list[Any]:
    """All enrollments of one person as rows, oldest first."""
    query = select(enrollment).where(enrollment.c.customer_id == customer_id).order_by(enrollment.c.entered_at)
    if journey:
        query = query.where(enrollment.c.journey == journey)
    return list(connection.execute(query))


def row_of(connection: Connection, number: int) -> Any | None:
    """One enrollment as a row."""
    return connection.execute(select(enrollment).where(enrollment.c.id == number)).first()


_SOONER = case(
    (or_(enrollment.c.due_at.is_(None), enrollment.c.due_at > bindparam("now")), bindparam("now")),
    else_=enrollment.c.due_at,
)
_WOKEN = {"due_at": _SOONER, "news": enrollment.c.news + 1}  # whoever has them in hand will see that something came
_WAKE = update(enrollment).where(among(enrollment.c.id), enrollment.c.active).values(_WOKEN)
_WAKE_IN = (
    update(enrollment)
    .where(among(enrollment.c.customer_id), among(enrollment.c.journey, "names"), enrollment.c.active)
    .values(_WOKEN)
)


def wake(connection: Connection, customer_ids: Iterable[int], journeys: Iterable[str], now: datetime) -> None:
    """Something came that these journeys may be waiting for: look again now."""
    names = sorted(journeys)
    for part in in_parts(sorted(set(customer_ids))):
        connection.execute(_WAKE_IN, {"ids": part, "names": names, "now": now})


def wake_ids(connection: Connection, ids: Iterable[int], now: datetime) -> None:
    """The messages or tasks these enrollments stand at have an outcome: look again now."""
    for part in in_parts(sorted(set(ids))):
        connection.execute(_WAKE, {"ids": part, "now": now})


def wake_called(connection: Connection, customer_ids: Iterable[int], now: datetime) -> None:
    """These people said no to something: whether they may still be called up is looked at now."""
    ids: list[int] = []
    for part in in_parts(sorted(set(customer_ids))):
        mine = task.c.customer_id.in_(part), task.c.call, task.c.closed_at.is_(None)
        ids += connection.execute(select(task.c.enrollment_id).where(*mine)).scalars()
    wake_ids(connection, ids, now)


def note_failure(
    connection: Connection,
    customer_ids: Sequence[int],
    reason: str,
    now: datetime,
    failures: int = GIVE_UP_AFTER - 1,
    way: int | None = None,
) -> None:
    """Deciding for these people failed: counted for those due of their enrollments that were looked at.

    These are the ones that failed no more than `failures` times, or only `way`. After three times they are set aside.
    """
    looked_at = enrollment.c.failures <= failures if way is None else enrollment.c.id == way
    for part in in_parts(customer_ids):
        connection.execute(
            update(enrollment)
            .where(enrollment.c.customer_id.in_(part), enrollment.c.active, enrollment.c.due_at <= now, looked_at)
            .values(failures=enrollment.c.failures + 1, reason=reason)
        )


def suspect(connection: Connection, ids: Iterable[int], reason: str) -> None:
    """These failed before they had entered: they are decided about in small parts."""
    for part in in_parts(sorted(ids)):
        connection.execute(update(enrollment).where(enrollment.c.id.in_(part)).values(failures=1, reason=reason))


def may_enter(journeys: Sequence[str], again: Again, at: datetime) -> ColumnElement[bool]:
    """Of all people, those whom `again` would let in at an instant; a rule per key is asked at the door only."""
    ways = select(enrollment.c.id).where(enrollment.c.customer_id == person.c.id, enrollment.c.journey.in_(journeys))
    if again.per is not None:
        return true()
    if again.never:
        return ~ways.exists()
    inside = ways.where(enrollment.c.active)
    if again.after is None:
        return ~inside.exists()
    lately = ways.where(or_(enrollment.c.active, enrollment.c.entered_at > at - again.after))
    return ~lately.exists()


def set_aside(connection: Connection) -> list[Any]:
    """Enrollments that failed three times and wait for a person, the longest waiting first."""
    return list(
        connection.execute(
            select(enrollment)
            .where(enrollment.c.active, enrollment.c.failures >= GIVE_UP_AFTER, enrollment.c.failures < HELD)
            .order_by(enrollment.c.due_at, enrollment.c.id)
        )
    )


def bring_back(connection: Connection, number: int, now: datetime) -> None:
    """Take it up again, alone: after one more failure it is set aside again. Why it was is kept until it moves."""
    connection.execute(
        update(enrollment).where(enrollment.c.id == number).values(failures=GIVE_UP_AFTER - 1, due_at=now)
    )


def end(connection: Connection, number: int, reason: str, now: datetime) -> None:
    """End it where it stands."""
    connection.execute(
        update(enrollment)
        .where(enrollment.c.id == number, enrollment.c.active)
        .values(step=None, due_at=None, active=False, reason=reason, ended_at=now)
    )

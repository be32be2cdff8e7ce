"""The scores of the night: what they are worked out from, for a page of people at a time, and where they are kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    BigInteger,
    Connection,
    Double,
    Integer,
    Select,
    Table,
    bindparam,
    case,
    cast,
    delete,
    false,
    func,
    literal,
    not_,
    or_,
    select,
)

from engine.audience.audience import Audience
from engine.audience.compare import Kind, Sql, WrittenSql
from engine.audience.instants import earlier
from engine.audience.tables import BySign, JsonText, JsonTruth, Micros
from engine.decide.responses import RESPONSES
from engine.models import Instant
from engine.store.customers import zone_of
from engine.store.tables import Row, customer, event, habit, in_parts, put, rfm

READ = 10_000  # rows taken from the database at once
CLICKED, OPENED = RESPONSES["clicked"], RESPONSES["opened"]
_HOUR, _DAY = 3_600_000_000, 86_400_000_000  # microseconds
_HAIR = timedelta(microseconds=500_000)

Habit = tuple[str | None, int | None]  # channel, hour


def of_people(connection: Connection, ids: Sequence[int]) -> dict[int, dict[str, str | int]]:
    """id -> the scores of the last night by their names; what is unknown is not there."""
    rows = connection.execute(
        select(customer.c.id, rfm.c.r, rfm.c.f, rfm.c.m, rfm.c.segment, habit.c.channel, habit.c.hour)
        .outerjoin(rfm, rfm.c.customer_id == customer.c.id)
        .outerjoin(habit, habit.c.customer_id == customer.c.id)
        .where(customer.c.id.in_(ids))
    )
    names = ("rfm.r", "rfm.f", "rfm.m", "rfm.segment", "best_channel", "best_hour")
    return {
        number: {name: value for name, value in zip(names, values, strict=True) if value is not None}
        for number, *values in rows
    }


def _of_page(column: Sql) -> Sql:
    """Whose id lies on the page. Said so that the index of events by person is used, not the one by time."""
    page = select(customer.c.id).where(customer.c.id.between(bindparam("first"), bindparam("last")))
    return column.in_(page)


# --- rfm -------------------------------------------------------------------------------------------------------------


def ids_by_name(connection: Connection) -> Iterator[int]:
    """Everybody, in the order of the shop's ids, sign by sign."""
    query = select(customer.c.id).order_by(BySign(customer.c.external_id)).execution_options(yield_per=READ)
    for part in connection.execute(query).partitions(READ):
        yield from (row[0] for row in part)


def orders_until(audience: Audience, now: datetime) -> Select[Any]:
    """For a page of people who have any: id, when the last order was, how many there are, and what they were worth."""
    settings = audience.scores
    paid = WrittenSql(event.c.payload, settings.order_total, audience, is_payload=True).row(Kind.number)
    asked = [_of_page(event.c.customer_id), event.c.name == settings.order, event.c.at <= now]
    if settings.rfm_within is not None:
        asked.append(event.c.at > earlier(now, settings.rfm_within))
    worth = func.coalesce(func.sum(paid), literal(0.0, Double()))
    return (
        select(event.c.customer_id, Micros(func.max(event.c.at)), func.count(), worth)
        .where(*asked)
        .group_by(event.c.customer_id)
        .order_by(event.c.customer_id)
    )


def standings_kept(connection: Connection, first: int, last: int) -> dict[int, tuple[int, int, int]]:
    """id -> r, f and m of a page of people."""
    rows = connection.execute(
        select(rfm.c.customer_id, rfm.c.r, rfm.c.f, rfm.c.m).where(rfm.c.customer_id.between(first, last))
    )
    return {number: (r, f, m) for number, r, f, m in rows}


def keep_standings(connection: Connection, rows: Sequence[Row], gone: Sequence[int]) -> None:
    _replace(connection, rfm, rows, gone)


# --- habits ----------------------------------------------------------------------------------------------------------


def habits_kept(connection: Connection, first: int, last: int) -> dict[int, Habit]:
    """id -> channel and hour, of a page of people."""
    rows = connection.execute(select(habit).where(habit.c.customer_id.between(first, last)))
    return {row.customer_id: (row.channel, row.hour) for row in rows}


def keep_habits(connection: Connection, rows: Sequence[Row], gone: Sequence[int]) -> None:
    _replace(connection, habit, rows, gone)


def channels_until(audience: Audience, now: datetime) -> Select[Any]:
    """For a page of people: the channel of most clicks, then of most openings, then the one answered on last."""
    since = earlier(now, audience.scores.habits_within)
    channel = JsonText(event.c.payload, "channel")
    clicks = func.sum(case((event.c.name == CLICKED, 1), else_=0))
    order = (clicks.desc(), func.count().desc(), func.max(event.c.at).desc(), func.max(event.c.id).desc())
    place = func.row_number().over(partition_by=event.c.customer_id, order_by=order)
    ranked = (
        select(event.c.customer_id.label("id"), channel.label("channel"), place.label("place"))
        .where(*_signs((CLICKED, OPENED), since, now), channel.is_not(None))
        .group_by(event.c.customer_id, channel)
        .subquery()
    )
    return select(ranked.c.id, ranked.c.channel).where(ranked.c.place == 1)


def hours_until(audience: Audience, zones: Sequence[str], now: datetime) -> Select[Any]:
    """For a page of people: the hour in which they were there on most days, then the one they were there last."""
    settings = audience.scores
    since = earlier(now, settings.habits_within)
    local = Micros(event.c.at) + _shift(zones, since, now)
    hour, day = local % _whole(_DAY) // _whole(_HOUR), local // _whole(_DAY)
    days = func.count(day.distinct())
    place = func.row_number().over(partition_by=customer.c.id, order_by=(days.desc(), func.max(event.c.at).desc()))
    ranked = (
        select(
            customer.c.id,
            cast(hour, Integer).label("hour"),
            place.label("place"),
            func.sum(days).over(partition_by=customer.c.id).label("times"),
        )
        .join(event, event.c.customer_id == customer.c.id)
        .where(*_signs((settings.page_viewed, CLICKED, OPENED), since, now))
        .group_by(customer.c.id, hour)
        .subquery()
    )
    return select(ranked.c.id, ranked.c.hour).where(ranked.c.place == 1, ranked.c.times >= settings.habits_least)


def _signs(names: Sequence[str], since: datetime, now: datetime) -> list[Sql]:
    """Events of a page of people; what a machine clicked or opened is nobody's."""
    by_hand = not_(func.coalesce(JsonTruth(event.c.payload, "machine"), false()))
    return [
        _of_page(event.c.customer_id),
        event.c.name.in_(names),
        event.c.at > since,
        event.c.at <= now,
        or_(event.c.name.not_in((CLICKED, OPENED)), by_hand),
    ]


def _shift(zones: Sequence[str], since: datetime, now: datetime) -> Sql:
    """How far a person's clock is from UTC at an event, in microseconds."""
    shifts = {zone: _shift_of(offsets(zone_of(zone), since, now)) for zone in zones}
    return case(shifts, value=customer.c.zone) if shifts else _whole(0)


def _shift_of(spans: Sequence[tuple[datetime, timedelta]]) -> Sql:
    begins, shifts = [start for start, _ in spans], [_micros(shift) for _, shift in spans]
    before = [
        (event.c.at < literal(until, Instant()), shift) for until, shift in zip(begins[1:], shifts[:-1], strict=True)
    ]
    return case(*before, else_=shifts[-1]) if before else shifts[-1]


def offsets(zone: ZoneInfo, since: datetime, until: datetime) -> list[tuple[datetime, timedelta]]:
    """From which instants on a zone's clock is how far from UTC, between two instants."""
    found = [(since, _offset(since, zone))]
    at = since
    while at < until:
        following = min(at + timedelta(days=7), until)
        if _offset(following, zone) != found[-1][1]:
            following = _change(zone, at, following)
            found.append((following, _offset(following, zone)))
        at = following
    return found


def _change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The instant between two others from which on a clock is as far from UTC as at the later."""
    shift = _offset(after, zone)
    while after - before > _HAIR:
        middle = before + (after - before) / 2
        before, after = (before, middle) if _offset(middle, zone) == shift else (middle, after)
    return after.replace(microsecond=0)


def _offset(at: datetime, zone: ZoneInfo) -> timedelta:
    shift = at.astimezone(zone).utcoffset()
    assert shift is not None
    return shift


def _micros(span: timedelta) -> Sql:
    return _whole(span // timedelta(microseconds=1))


def _whole(number: int) -> Sql:
    return literal(number, BigInteger())


# --- both ------------------------------------------------------------------------------------------------------------


def _replace(connection: Connection, table: Table, rows: Sequence[Row], gone: Sequence[int]) -> None:
    """Put rows in the place of those of the same people, and take away those of others."""
    for part in in_parts([*gone, *(row["customer_id"] for row in rows)]):
        connection.execute(delete(table).where(table.c.customer_id.in_(part)))
    put(connection, table, rows)

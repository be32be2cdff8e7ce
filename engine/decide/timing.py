"""A person's own clock: the one room where local time becomes instants and back.

A local time that does not exist means the first instant that does; one that happens twice means the first time.
Instants are aware and in UTC; `wall` is what a clock on the wall shows, a datetime without a zone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from engine.journey.quantities import CalendarDay, Window

#: later than anything anyone plans; sums of instants and durations stop here instead of overflowing
FAR = datetime(9000, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
_PATIENCE = timedelta(days=8)  # windows that leave no opening in so long leave none at all
_LONGEST_CLOSED = timedelta(days=366)  # and nobody waits longer for the end of days of the calendar
_LONGEST_WORK = 3660  # days a task's working time is looked for


def later(instant: datetime, span: timedelta) -> datetime:
    """`instant` + `span`, at most FAR."""
    return FAR if span >= FAR - instant else instant + span


def local(instant: datetime, zone: ZoneInfo) -> datetime:
    """What a clock in `zone` shows at `instant` (aware)."""
    return instant.astimezone(zone)


def instant_of(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first instant at which a clock in `zone` shows `wall` or, where it skips it, anything later."""
    instant = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if _wall(instant, zone) == wall:
        return instant
    before = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return _first(before, instant, lambda at: _wall(at, zone) >= wall)


def day_of(instant: datetime, zone: ZoneInfo) -> date:
    """The person's calendar day; it has 23, 24 or 25 hours."""
    return local(instant, zone).date()


def week_of(instant: datetime, zone: ZoneInfo) -> tuple[int, int]:
    """The person's ISO week (year, week), from Monday."""
    year, week, _ = local(instant, zone).isocalendar()
    return year, week


def month_of(instant: datetime, zone: ZoneInfo) -> tuple[int, int]:
    """The person's calendar month (year, month)."""
    at = local(instant, zone)
    return at.year, at.month


@dataclass(frozen=True, slots=True)
class Quiet:
    """A span of the local day in which nothing begins: of every day, of a weekday, or of some days of the calendar."""

    name: str
    window: Window | None = None  # None: the whole day
    weekday: int | None = None
    days: tuple[CalendarDay, ...] | None = None

    def holds(self, wall: datetime) -> bool:
        """Is it quiet when the clock on the wall shows this?"""
        if self.weekday is not None and wall.weekday() != self.weekday:
            return False
        if self.days is not None and not any(one.is_on(wall.date()) for one in self.days):
            return False
        return self.window is None or self.window.holds(wall.time())

    def next_end(self, at: datetime, zone: ZoneInfo) -> datetime:
        """The next instant at which it may be over; whether it is has to be asked again then."""
        every_day = self.weekday is None and self.days is None
        ends = [] if every_day else [instant_of(datetime.combine(local(at, zone).date() + _DAY, time(0)), zone)]
        if self.window is not None:
            ends.append(_next_end(at, zone, self.window))
        return min(ends, default=later(at, _DAY))


@dataclass(frozen=True, slots=True)
class Dark:
    """A time between two local instants in which nothing begins."""

    name: str
    start: datetime  # what the clock on the wall shows
    end: datetime


Closing = Quiet | Dark


class Opening(NamedTuple):
    """When something may begin, and what it has to wait for until then, in order."""

    at: datetime
    because: tuple[str, ...]


def opening(now: datetime, zone: ZoneInfo, closings: Sequence[Closing]) -> Opening:
    """The first instant from `now` on that lies in none of the closings; FAR when they leave no opening."""
    at, end, because = now, now + _PATIENCE, []
    while closing := _closed(at, zone, closings):
        because.append(closing.name)
        at = instant_of(closing.end, zone) if isinstance(closing, Dark) else closing.next_end(at, zone)
        if isinstance(closing, Dark) or closing.days is not None:  # of the calendar: it may last, and ends
            end = min(at + _PATIENCE, now + _LONGEST_CLOSED)
        if at > end:
            at = FAR
            break
    return Opening(at, tuple(dict.fromkeys(because)))


def first_open(now: datetime, zone: ZoneInfo, *closings: Closing) -> datetime:
    """The first instant from `now` on that lies in none of the closings; FAR when they leave no opening."""
    return opening(now, zone, closings).at if closings else now


def next_time(arrived: datetime, zone: ZoneInfo, at: time, days: frozenset[int] | None = None) -> datetime:
    """The first instant from `arrived` on at which it is `at` on one of `days` (Monday 0; None: any)."""
    today = local(arrived, zone).date()
    for ahead in range(15):
        wall = datetime.combine(today + ahead * _DAY, at)
        if days is None or wall.weekday() in days:
            instant = instant_of(wall, zone)
            if instant >= arrived:
                return instant
    return FAR


def date_kept(value: Any, zone: ZoneInfo, shift: timedelta = timedelta(0)) -> datetime | None:
    """The instant an attribute names (an ISO date or date and time), moved by `shift`; None when it names none.

    A date means its first moment where the person is. Without a zone of its own it is moved on the person's calendar,
    so two days before a midnight is a midnight also when the clocks change in between.
    """
    try:
        wall = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).strip())
        if wall.year >= FAR.year:
            return FAR
        return wall.astimezone(UTC) + shift if wall.tzinfo else instant_of(wall + shift, zone)
    except (ValueError, OverflowError):
        return None


def work_done(
    start: datetime, span: timedelta, zone: ZoneInfo, hours: Window | None, days: frozenset[int] = frozenset(range(7))
) -> datetime:
    """The instant at which `span` of working time has passed since `start`, counting only `hours` of `days`.

    A shift that runs over midnight belongs to the day on which it begins. `hours` None means around the clock.
    """
    if hours is None and len(days) == 7:
        return later(start, span)
    for opens, closes in _shifts(start, zone, hours, days):
        opens = max(opens, start)
        if opens < closes:
            if span <= closes - opens:
                return opens + span
            span -= closes - opens
    return FAR


@lru_cache(maxsize=4_096)  # those who are judged together are judged at one instant
def _wall(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def _closed(at: datetime, zone: ZoneInfo, closings: Sequence[Closing]) -> Closing | None:
    wall = _wall(at, zone)
    return next((one for one in closings if _is_closed(one, at, wall, zone)), None)


def _is_closed(closing: Closing, at: datetime, wall: datetime, zone: ZoneInfo) -> bool:
    if isinstance(closing, Quiet):
        return closing.holds(wall)
    return instant_of(closing.start, zone) <= at < instant_of(closing.end, zone)


def _next_end(at: datetime, zone: ZoneInfo, closed: Window) -> datetime:
    """The next instant after `at` at which `closed` may have ended: its end on the clock, or a change of the clock."""
    today = local(at, zone).date()
    ends = (
        datetime.combine(today + ahead * _DAY, closed.end, tzinfo=zone).replace(fold=fold)
        for ahead in (0, 1)
        for fold in (0, 1)
    )
    end = min(instant for wall in ends if (instant := wall.astimezone(UTC)) > at)
    return _change(at, end, zone) or end


def _change(after: datetime, until: datetime, zone: ZoneInfo) -> datetime | None:
    """When between two instants the clocks of `zone` are changed, None if they are not."""
    offset = local(after, zone).utcoffset()
    if local(until, zone).utcoffset() == offset:
        return None
    return _first(after, until, lambda at: local(at, zone).utcoffset() != offset)


def _first(false_at: datetime, true_at: datetime, holds: Callable[[datetime], bool]) -> datetime:
    """The first whole second at which `holds` becomes true, by halving: clocks change on whole seconds."""
    low, high = int(false_at.timestamp()), -int(-true_at.timestamp() // 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(datetime.fromtimestamp(middle, UTC)) else (middle, high)
    return datetime.fromtimestamp(high, UTC)


def _shifts(
    start: datetime, zone: ZoneInfo, hours: Window | None, days: frozenset[int]
) -> Iterator[tuple[datetime, datetime]]:
    """Opening and closing instants of the working days from the one before `start` on."""
    opens, closes = (hours.start, hours.end) if hours else (time(0), time(0))
    overnight = closes <= opens
    yesterday = local(start, zone).date() - _DAY
    for ahead in range(_LONGEST_WORK):
        day = yesterday + ahead * _DAY
        if day.weekday() in days:
            end = day + _DAY if overnight else day
            yield instant_of(datetime.combine(day, opens), zone), instant_of(datetime.combine(end, closes), zone)

"""When waves are planned: wall times on a calendar, and the instants they mean in a zone.

Each wall time is planned once, whatever the clocks do. Several that mean one instant, because the clock skips them, are
one.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from engine.decide.timing import day_of, instant_of
from engine.journey.enter import Planned
from engine.journey.quantities import WEEKDAYS

_DAY = timedelta(days=1)
#: the longest time between two planned instants; 29 February may be eight years away
_RAREST = {"day": 2 * _DAY, "week": 8 * _DAY, "month": 32 * _DAY, "year": 367 * _DAY, None: 8 * 366 * _DAY}


def next_instant(wave: Planned, zone_name: str, after: datetime) -> datetime | None:
    """The first planned instant of a wave in a zone later than `after`; None when there is none."""
    return next((at for _, at in planned_instants(wave, zone_name, after, after + _RAREST[wave.every])), None)


def planned_instants(
    wave: Planned, zone_name: str, after: datetime, until: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """The planned (wall, instant) pairs of a wave in one zone with after < instant <= until, oldest first."""
    zone = ZoneInfo(zone_name)
    before: datetime | None = None
    for wall in _walls(wave, day_of(after, zone) - 2 * _DAY, day_of(until, zone) + 2 * _DAY):
        instant = instant_of(wall, zone)
        if after < instant <= until and instant != before:
            yield wall, instant
        before = instant


def _walls(wave: Planned, first: date, last: date) -> Iterator[datetime]:
    """What the clock on the wall shows at the planned times between two days, in order."""
    if wave.dates:
        yield from (wall for wall in wave.walls if first <= wall.date() <= last)
        return
    times = sorted(wave.times)
    for day in _days_of(wave, first, last):
        yield from (datetime.combine(day, at) for at in times)


def _days_of(wave: Planned, first: date, last: date) -> Iterator[date]:
    """The calendar days a wave names between two days, in order."""
    for ahead in range((last - first).days + 1):
        day = first + ahead * _DAY
        if wave.cron.names(day) if wave.cron is not None else _named(wave, day):
            yield day


def _named(wave: Planned, day: date) -> bool:
    """Is this one of the days of `on`? A month that is too short has its last day instead."""
    match wave.every:
        case "week":
            return WEEKDAYS[day.weekday()] in wave.on
        case "month":
            longest = monthrange(day.year, day.month)[1]
            return any(day.day == (longest if on == "last" else min(int(on), longest)) for on in wave.on)
        case "year":
            return f"{day:%m-%d}" in wave.on or ("02-29" in wave.on and (day.month, day.day) == _last_of_february(day))
        case _:
            return True


def _last_of_february(day: date) -> tuple[int, int]:
    return 2, monthrange(day.year, 2)[1]

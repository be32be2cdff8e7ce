"""Dates kept about people: the day one names where they are and, for all people at once, who may have which day.

`day_named` and `occurs_on` are exact and look at one person. `may_occur` is SQL that finds everyone they hold for, and
a few more: a date with a zone of its own is another day elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, func, or_

from engine.audience.instants import as_written
from engine.audience.tables import JsonText, MonthDay, TextInstant, customer
from engine.audience.values import Person

CREATED = "created_at"
_DAY = timedelta(days=1)
_APART = 2  # days that clocks around the earth may show apart at one instant


def day_named(person: Person, attribute: str, zone: ZoneInfo) -> date | None:
    """The day of a date kept about a person: as written or, if it has a zone of its own, as clocks in `zone` show."""
    if attribute == CREATED:
        return person.created_at.astimezone(zone).date()
    value = person.attributes.get(attribute)
    wall = as_written(value) if isinstance(value, str) else None
    return wall and (wall.astimezone(zone) if wall.tzinfo else wall).date()


def occurs_on(named: date, day: date, yearly: bool) -> bool:
    """Is it this day: itself, or with `yearly` its day of this year? 29 February is the 28th in other years."""
    if yearly:
        return named.year <= day.year and f"{named:%m-%d}" in _yearly([day])
    return named == day


def _yearly(days: Iterable[date]) -> list[str]:
    """Month and day of all whose yearly day is one of these."""
    days = list(days)
    found = {f"{day:%m-%d}" for day in days}
    if any((day.month, day.day) == (2, 28) and (day + _DAY).month == 3 for day in days):
        found.add("02-29")
    return sorted(found)


def may_occur(attribute: str, day: date, yearly: bool) -> ColumnElement[bool]:
    """Whose date may be this day somewhere on earth; never NULL."""
    around = [day + ahead * _DAY for ahead in range(-_APART, _APART + 1)]
    if attribute == CREATED:
        if yearly:
            return MonthDay(customer.c.created_at).in_(_yearly(around))
        begin = datetime.combine(around[0], time(), UTC)
        return customer.c.created_at.between(begin, begin + len(around) * _DAY)
    text = JsonText(customer.c.attributes, attribute)
    written = func.substr(text, 6, 5) if yearly else func.substr(text, 1, 10)
    here, there = (
        (_yearly([day]), _yearly(around)) if yearly else ([day.isoformat()], [one.isoformat() for one in around])
    )
    return and_(is_date(attribute), or_(written.in_(here), and_(_has_zone(text), written.in_(there))))


def _written(days: Iterable[date]) -> list[str]:
    return [day.isoformat() for day in days]


def is_date(attribute: str) -> ColumnElement[bool]:
    """Who has a date of this name at all; never NULL."""
    if attribute == CREATED:
        return customer.c.created_at.is_not(None)
    return TextInstant(JsonText(customer.c.attributes, attribute)).is_not(None)


def _has_zone(text: ColumnElement[str]) -> ColumnElement[bool]:
    """Does a date with time end with `Z`, `+08:00`, `-05:00`?"""
    end = func.length(text)
    offset = func.substr(text, end - 5, 1)
    return and_(end > len("2026-12-01T10:00"), or_(func.substr(text, end, 1) == "Z", offset.in_(["+", "-"])))

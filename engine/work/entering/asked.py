"""Whom a run asks for: the people before the door of a journey at one instant, as a condition over all customers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, and_, not_, true

from engine.audience.absence import Absence
from engine.audience.book import Audience
from engine.audience.conditions import as_sql
from engine.audience.days import day_named, is_date, may_occur, occurs_on
from engine.audience.segments import member_of
from engine.audience.values import Person
from engine.journey.enter import (
    ByAbsence,
    ByDate,
    ByEvent,
    ByHappening,
    ByRequest,
    BySegment,
    ByWave,
    Enter,
    plan_of,
)
from engine.store import happenings, requests, waves

Condition = ColumnElement[bool]


def asked(entry: Enter, audience: Audience, at: datetime) -> Condition | None:
    """Who may stand before the door at `at` or, by a date, some day; None where an event brings them one by one."""
    match entry:
        case ByWave(segment=segment) | ByHappening(segment=segment):
            return as_sql(member_of(segment), audience, at)
        case ByDate():
            return and_(is_date(entry.date), _of(entry.segment, audience, at))
        case ByAbsence():
            return and_(absence_of(entry).is_silent(audience, at), _of(entry.segment, audience, at))
        case BySegment(segment=segment, crossing=crossing):
            inside = as_sql(member_of(segment), audience, at)
            return inside if crossing == "in" else not_(inside)
        case ByEvent() | ByRequest():
            return None


def asked_size(connection: Connection, entry: Enter, audience: Audience, at: datetime) -> int | None:
    """How many may stand before the door; None where an event brings them one by one."""
    condition = asked(entry, audience, at)
    return None if condition is None else waves.audience_size(connection, condition)


def asked_by_country(
    connection: Connection, entry: Enter, audience: Audience, at: datetime, home: str
) -> Mapping[str, int]:
    """country -> how many may stand before the door; whose country nobody knows is counted at `home`."""
    condition = asked(entry, audience, at)
    found: dict[str, int] = {}
    if condition is not None:
        for country, count in waves.audience_by_country(connection, condition).items():
            found[country or home] = found.get(country or home, 0) + count
    return found


def _of(segment: str | None, audience: Audience, at: datetime) -> Condition:
    return true() if segment is None else as_sql(member_of(segment), audience, at)


def before_the_door(connection: Connection, entry: Enter, audience: Audience, at: datetime) -> int | None:
    """How many publishing is about; None where people come one by one: by an event, by their silence."""
    if isinstance(entry, ByAbsence) and not entry.include_current:
        return None
    return asked_size(connection, entry, audience, at)


# --- one run ---------------------------------------------------------------------------------------------------------


def asked_by(run: Any, entry: Enter, audience: Audience) -> Condition:
    """Who stands before the door that this run opens, in its zone; by a date, a few more than `key_of` lets through."""
    if isinstance(entry, ByRequest):
        return requests.named_by(run.id)
    if isinstance(entry, ByDate):
        day = may_occur(entry.date, _date_asked_for(run, entry), entry.yearly)
        return and_(day, _of(entry.segment, audience, run.planned_at))
    condition = asked(entry, audience, run.planned_at)
    assert condition is not None
    return condition


def _date_asked_for(run: Any, entry: ByDate) -> date:
    """The day that the date of those must be who enter by this run."""
    return datetime.fromisoformat(run.planned).date() - timedelta(days=entry.days_after)


def key_of(run: Any, entry: Enter) -> Callable[[Person], str | None]:
    """What each person enters once only by this run: this wave, this date. None: this run does not ask for them."""
    if isinstance(entry, ByDate):
        day, zone = _date_asked_for(run, entry), ZoneInfo(run.zone)

        def its_day(person: Person) -> str | None:
            named = day_named(person, entry.date, zone)
            return day.isoformat() if named is not None and occurs_on(named, day, entry.yearly) else None

        return its_day
    return lambda _: run.planned


def told_by(connection: Connection, run: Any, entry: Enter) -> Mapping[str, Any]:
    """What those who enter by this run know as `event`: what the happening told."""
    if not isinstance(entry, ByHappening):
        return {}
    found = happenings.find(connection, entry.happening, run.planned)
    return {} if found is None else found.payload


def of_its_zone(entry: Enter) -> bool:
    """Is everyone asked at their own clock, in a run of their zone?"""
    plan = plan_of(entry)
    return plan is not None and plan.zone == "person"


def enters_at_once(entry: Enter) -> bool:
    """Do people enter because it is published?"""
    return isinstance(entry, BySegment | ByAbsence) and entry.include_current


def absence_of(entry: ByAbsence) -> Absence:
    """The silence by which this is entered."""
    return Absence(entry.absence_of, entry.for_, entry.where)

"""Whom a run asks for: the people before the door of a journey at one instant, as a condition over all customers."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, not_

from engine.audience.book import Audience
from engine.audience.conditions import as_sql
from engine.audience.segments import member_of
from engine.journey.enter import ByEvent, BySegment, ByWave, Enter
from engine.store import waves


def asked(entry: Enter, audience: Audience, at: datetime) -> ColumnElement[bool] | None:
    """Who stands before the door at `at`; None where an event brings them one by one."""
    match entry:
        case ByWave(segment=segment):
            return as_sql(member_of(segment), audience, at)
        case BySegment(segment=segment, crossing=crossing):
            inside = as_sql(member_of(segment), audience, at)
            return inside if crossing == "in" else not_(inside)
        case ByEvent():
            return None


def asked_size(connection: Connection, entry: Enter, audience: Audience, at: datetime) -> int | None:
    """How many stand before the door at `at`; None where an event brings them one by one."""
    condition = asked(entry, audience, at)
    return None if condition is None else waves.audience_size(connection, condition)


def own_zone(entry: Enter) -> bool:
    """Is everyone asked at their own clock, in a run of their zone?"""
    return isinstance(entry, ByWave) and entry.zone == "person"


def enters_at_once(entry: Enter) -> bool:
    """Do people enter because it is published?"""
    return isinstance(entry, BySegment) and entry.include_current

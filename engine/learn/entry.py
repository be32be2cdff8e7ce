"""The entry of a journey as one person meets it now: what opens it, and the condition of it taken apart."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from engine.audience.days import day_named
from engine.audience.instants import later
from engine.audience.values import Happening, Person
from engine.audience.view import View
from engine.decide.policy import span
from engine.decide.split import held_out_of_all, in_holdout
from engine.decide.state import CustomerState, Rules
from engine.journey.conditions import Field, FieldKind, Test, Word
from engine.journey.enter import ByAbsence, ByDate, ByEvent, ByHappening, ByRequest
from engine.journey.graph import Graph
from engine.learn.why import Reason, minute, reasons
from engine.work.entering.asked import absence_of


def entry_told(graph: Graph, state: CustomerState, rules: Rules, now: datetime) -> tuple[tuple[Reason, ...], str]:
    """The entry condition as of now, taken apart; and in a sentence what opens the journey."""
    entry = graph.head.enter
    note = _held_out(graph, state.person, rules)
    if isinstance(entry, ByEvent):
        found, sentence = _by_event(entry, graph, state, rules, now)
        return found, sentence + note
    if isinstance(entry, ByRequest):
        return (), f"It is entered by request only (outreach enter).{note}"
    segment = entry.segment
    found = _in_segment(segment, state, rules, now) if segment else ()
    asks = f" It asks for people in {segment}." if segment else ""
    if isinstance(entry, ByHappening):
        return found, f"It is entered by people in {segment} when {entry.happening} happens.{note}"
    if isinstance(entry, ByDate):
        return found, _by_date(entry, state.person) + asks + note
    if isinstance(entry, ByAbsence):
        return found, _by_absence(entry, state, rules, now) + asks + note
    return found, f"It is entered by people in {segment}.{note}"


def _held_out(graph: Graph, person: Person, rules: Rules) -> str:
    """What is said of somebody who gets nothing, so that it can be measured."""
    if not rules.policy.is_marketing(graph.head.topic):
        return ""
    if held_out_of_all(person.external_id, rules.policy.holdout):
        return " This person is held out of all marketing."
    own = in_holdout(graph.hashed_as, person.external_id, graph.head.holdout)
    return " This person is in its holdout." if own else ""


def _in_segment(segment: str, state: CustomerState, rules: Rules, now: datetime) -> tuple[Reason, ...]:
    view = View(state.person, state.happenings, rules.audience)
    return tuple(reasons(Test(Field(FieldKind.segment, "segment"), Word.is_, segment), view, now))


def opening(graph: Graph, state: CustomerState) -> Happening | None:
    """The last event of the name by which this journey is entered."""
    opens = graph.head.enter
    if not isinstance(opens, ByEvent):
        return None
    return next((one for one in reversed(state.happenings) if one.name == opens.event), None)


def _by_event(
    entry: ByEvent, graph: Graph, state: CustomerState, rules: Rules, now: datetime
) -> tuple[tuple[Reason, ...], str]:
    last = opening(graph, state)
    if last is None:
        return (), f"It is entered by {entry.event}, and none is recorded of this person."
    sentence = f"It is entered by {entry.event}; the last was at {minute(last.at, state.person.zone)}."
    if entry.where is None:
        return (), sentence
    view = View(state.person, state.happenings, rules.audience, event=last.payload)
    return tuple(reasons(entry.where, view, now)), sentence


def _by_absence(entry: ByAbsence, state: CustomerState, rules: Rules, now: datetime) -> str:
    """`It is entered 30d after the last Page Viewed, which was at 2026-11-01 10:00: at 2026-12-01 10:00.`"""
    view = View(state.person, state.happenings, rules.audience)
    last = absence_of(entry).last_heard(view, now)
    told = f"It is entered {span(entry.for_)} after the last {entry.absence_of}"
    zone = state.person.zone
    if last is not None:
        return f"{told}, which was at {minute(last, zone)}: at {minute(later(last, entry.for_), zone)}."
    return f"{told}, and none that counts is known; the person is known since {minute(state.person.created_at, zone)}."


def _by_date(entry: ByDate, person: Person) -> str:
    """`It is entered 14 days before membership_expires_at, which is 2026-12-31: on 2026-12-17 at 10:00.`"""
    days = entry.days_after
    where = f"{abs(days)} day{'s' if abs(days) > 1 else ''} {'before' if days < 0 else 'after'}" if days else "on"
    named = day_named(person, entry.date, person.zone if entry.zone == "person" else ZoneInfo(entry.zone))
    if named is None:
        return f"It is entered {where} {entry.date}, and no such date is kept about this person."
    if entry.yearly:
        return f"It is entered {where} {entry.date} of every year, at {entry.at:%H:%M}; that is {named}."
    return (
        f"It is entered {where} {entry.date}, which is {named}: on {named + timedelta(days=days)} at {entry.at:%H:%M}."
    )

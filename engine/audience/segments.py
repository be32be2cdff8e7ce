"""Who is in a segment, and when someone crossed its border: the instant it became true, not when somebody looked."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from engine.audience.conditions import holds
from engine.audience.instants import instant_of, later
from engine.audience.terms import Trait, TraitKind
from engine.audience.view import View
from engine.journey.conditions import Ago, Condition, Field, FieldKind, Test, Word, tests_of

_DAY = timedelta(days=1)
_HAIR = timedelta(microseconds=1)  # what is "before 30 days ago" is not yet so at the very instant


def crossed_at(condition: Condition, view: View, since: datetime, until: datetime) -> datetime:
    """The first instant in (since, until] from which on membership is what it is at `until`.

    Membership only changes when something happens or when time runs over an edge (a window, whole days, `ago`), so only
    those instants are tried. Where none of them explains it (an attribute was imported), it became so at `until`.
    The view's happenings must reach back from `since`, not only from `until`.
    """
    inside = holds(condition, view, until)
    crossing = until
    for at in sorted(_edges(condition, view, since, until), reverse=True):
        if holds(condition, view, at) is not inside:
            return crossing
        crossing = at
    return crossing if holds(condition, view, since) is not inside else until


def _edges(condition: Condition, view: View, since: datetime, until: datetime) -> set[datetime]:
    """Every instant in (since, until] at which the answer may change."""
    tests = tuple(view.audience.tests_behind(condition))
    traits = view.audience.traits_behind(condition)
    distances = {timedelta(0), *_distances(tests, traits, view)}
    moments = set(_moments(tests, traits, view))
    edges = {later(moment, distance) for moment in moments for distance in distances}
    edges.update(_days_over(traits, view, since, until))
    return {edge for edge in edges if since < edge <= until}


def _distances(tests: tuple[Test, ...], traits: tuple[Trait, ...], view: View) -> Iterator[timedelta]:
    """How long after something the answer may change of itself."""
    for trait in traits:
        if trait.within is not None and not trait.until_last:
            yield trait.within
    for test in (*tests, *(inner for trait in traits for inner in tests_of(trait.where))):
        for value in test.value if isinstance(test.value, tuple) else (test.value,):
            if isinstance(value, Ago):
                yield value.distance
                yield value.distance + _HAIR
            elif isinstance(value, Decimal) and _counts_days(test, view):
                yield from _whole_days(value)


def _counts_days(test: Test, view: View) -> bool:
    kinds = (TraitKind.days_since_last, TraitKind.days_since_first)
    return test.field.kind is FieldKind.trait and view.audience.trait(test.field.name).kind in kinds


def _whole_days(number: Decimal) -> Iterator[timedelta]:
    """A number of days is whole, so it reaches or leaves `number` at one of these."""
    longest = Decimal(timedelta.max.days - 2)
    if 0 <= number <= longest:
        yield timedelta(days=math.floor(number))
        yield timedelta(days=math.floor(number) + 1)


def _days_over(traits: tuple[Trait, ...], view: View, since: datetime, until: datetime) -> Iterator[datetime]:
    """Whole days after events from which one is overdue: by how much is another number for everybody."""
    for trait in traits:
        if trait.kind is TraitKind.days_overdue:
            for one in view.named(trait.event):
                day = max((since - one.at) // _DAY, 0) + 1
                while one.at + day * _DAY <= until:
                    yield one.at + day * _DAY
                    day += 1


def _moments(tests: tuple[Test, ...], traits: tuple[Trait, ...], view: View) -> Iterator[datetime]:
    """Every instant in the life of a person that the tests may look at."""
    yield view.person.created_at
    for test in tests:
        if test.field.kind is FieldKind.attribute:
            yield from _written(view.person.attributes.get(test.field.name))
    for trait in traits:
        keys = {trait.key, *(inner.field.name for inner in tests_of(trait.where))} - {None}
        for name in trait.events:
            for one in view.named(name):
                yield one.at
                for key in keys:
                    yield from _written(one.payload.get(key or ""))


def _written(value: Any) -> Iterator[datetime]:
    instant = instant_of(value) if isinstance(value, str) else None
    if instant is not None:
        yield instant


def member_of(segment: str) -> Condition:
    """Is somebody inside?"""
    return Test(Field(FieldKind.segment, "segment"), Word.is_, segment)

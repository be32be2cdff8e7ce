"""Who is in a segment, and when someone crossed its border: the instant it became true, not when somebody looked."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from engine.audience.audience import Audience
from engine.audience.conditions import holds
from engine.audience.instants import instant_of, later
from engine.audience.terms import ALWAYS_KEPT, NIGHTLY, Trait, TraitKind
from engine.audience.view import View
from engine.journey.conditions import Ago, Condition, Field, FieldKind, Scalar, Test, Word, tests_of

_DAY = timedelta(days=1)
HAIR = timedelta(microseconds=1)  # what is "before 30 days ago" is not yet so at the very instant
LOOK_BACK = timedelta(days=7)  # how far back the instant of a crossing is looked for


@dataclass(frozen=True)
class Edges:
    """What can change the answer to a condition: news of these events or of the person, and time.

    Time changes it a `distance` after one of these events or after the person was first known. Where it does so
    `elsewhere` too, no index leads there: by an instant that somebody wrote, by days that are another number for each.
    """

    events: frozenset[str]
    distances: tuple[timedelta, ...]
    elsewhere: bool
    nightly: bool  # does it ask for scores that change for everybody at once, in the night?


def edges_of(condition: Condition, audience: Audience) -> Edges:
    """What can change the answer to this condition, for anybody."""
    tests = tuple(audience.tests_behind(condition))
    traits = audience.traits_behind(condition)
    return Edges(
        frozenset(name for trait in traits for name in trait.events),
        tuple(sorted({timedelta(0), *_distances(tests, traits, audience)})),
        any(trait.kind is TraitKind.days_overdue for trait in traits)
        or any(_asks_what_was_written(test, audience) for test in _all_tests(tests, traits)),
        any(test.field.kind is FieldKind.trait and test.field.name in NIGHTLY for test in tests),
    )


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
    distances = {timedelta(0), *_distances(tests, traits, view.audience)}
    moments = set(_moments(tests, traits, view))
    edges = {later(moment, distance) for moment in moments for distance in distances}
    edges.update(_days_over(traits, view, since, until))
    return {edge for edge in edges if since < edge <= until}


def _all_tests(tests: tuple[Test, ...], traits: tuple[Trait, ...]) -> Iterator[Test]:
    """These, and those on the payloads that the traits count."""
    yield from tests
    for trait in traits:
        yield from tests_of(trait.where)


def _values(test: Test) -> tuple[Scalar, ...]:
    return test.value if isinstance(test.value, tuple) else (test.value,)


def _asks_what_was_written(test: Test, audience: Audience) -> bool:
    """Is an instant that somebody wrote held against a distance from now?"""
    if not any(isinstance(value, Ago) for value in _values(test)):
        return False
    kind, name = test.field.kind, test.field.name
    if kind is FieldKind.trait:
        trait = audience.trait_called(name)
        return trait is not None and trait.kind in (TraitKind.first, TraitKind.last) and trait.key is not None
    return kind is not FieldKind.attribute or name not in ALWAYS_KEPT


def _distances(tests: tuple[Test, ...], traits: tuple[Trait, ...], audience: Audience) -> Iterator[timedelta]:
    """How long after something the answer may change of itself."""
    for trait in traits:
        if trait.within is not None and not trait.until_last:
            yield trait.within
    for test in _all_tests(tests, traits):
        for value in _values(test):
            if isinstance(value, Ago):
                yield value.distance
                yield value.distance + HAIR
            elif isinstance(value, Decimal) and _counts_days(test, audience):
                yield from _whole_days(value)


def _counts_days(test: Test, audience: Audience) -> bool:
    kinds = (TraitKind.days_since_last, TraitKind.days_since_first)
    trait = audience.trait_called(test.field.name) if test.field.kind is FieldKind.trait else None
    return trait is not None and trait.kind in kinds


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

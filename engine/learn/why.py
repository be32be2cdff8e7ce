"""Why a condition holds for a person or not: every comparison with the value it met, through segments and scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from engine.audience import traits
from engine.audience.audience import names_of
from engine.audience.conditions import holds
from engine.audience.terms import ALWAYS_KEPT
from engine.audience.view import View
from engine.journey.conditions import Ago, All, Condition, FieldKind, Money, Not, Test, Word
from engine.journey.conditions import Any as AnyOf


@dataclass(frozen=True)
class Reason:
    """One comparison, or one `all`, `any`, `not`, and whether it holds. `depth` is how far it is nested."""

    holds: bool
    sentence: str
    depth: int = 0


def reasons(condition: Condition, view: View, now: datetime, depth: int = 0) -> Iterator[Reason]:
    """The condition taken apart, each part with its verdict, in the order it is written."""
    match condition:
        case Test():
            yield from _test(condition, view, now, depth)
        case All(parts):
            for part in parts:
                yield from reasons(part, view, now, depth)
        case AnyOf(parts):
            yield Reason(holds(condition, view, now), "any of:", depth)
            for part in parts:
                yield from reasons(part, view, now, depth + 1)
        case Not(part):
            yield Reason(holds(condition, view, now), "not:", depth)
            yield from reasons(part, view, now, depth + 1)


def _test(test: Test, view: View, now: datetime, depth: int) -> Iterator[Reason]:
    verdict = holds(test, view, now)
    if test.field.kind is FieldKind.segment:
        word = "is not in segment" if test.word in (Word.is_not, Word.none_of) else "is in segment"
        for name in names_of(test):
            yield Reason(verdict, f"{word} {name}", depth)
            yield from reasons(view.audience.segment(name), view, now, depth + 1)
        return
    if test.field.kind is FieldKind.tag:
        word = "does not have the tag" if test.word in (Word.is_not, Word.none_of) else "has the tag"
        yield Reason(verdict, f"{word} {' or '.join(names_of(test))}", depth)
        return
    yield Reason(verdict, f"{_name(test)} {_asked(test, view.person.zone)}; it is {_actual(test, view, now)}", depth)


def _name(test: Test) -> str:
    kind = test.field.kind
    return (
        f"{kind.value}.{test.field.name}"
        if kind in (FieldKind.event, FieldKind.now, FieldKind.message)
        else test.field.name
    )


def _asked(test: Test, zone: ZoneInfo) -> str:
    values = test.value if isinstance(test.value, tuple) else (test.value,)
    told = ", ".join(written(value, zone) for value in values)
    return f"{test.word.value.replace('_', ' ')} {told}"


def _actual(test: Test, view: View, now: datetime) -> str:
    name = test.field.name
    match test.field.kind:
        case FieldKind.trait:
            found: Any = traits.value(name, view, now)
        case FieldKind.event:
            found = (view.event or {}).get(name)
        case FieldKind.message:
            found = ", ".join(sorted((view.messages or {}).get(name, ()))) or None
        case FieldKind.now:
            local = now.astimezone(view.person.zone)
            found = local.strftime("%a %H:%M").lower()
        case _:
            kept = {each: getattr(view.person, each) for each in ALWAYS_KEPT} | {"zone": view.person.zone.key}
            found = kept.get(name, view.person.attributes.get(name))
    return "unknown" if found is None else written(found, view.person.zone)


def minute(at: datetime, zone: ZoneInfo) -> str:
    """An instant on the clock of this zone."""
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M}"


def written(value: Any, zone: ZoneInfo) -> str:
    """A value as a person would write it, on the clock of this zone."""
    match value:
        case Money():
            return f"{value.amount.normalize():f} {value.currency}"
        case Decimal():
            return f"{value.normalize():f}"
        case Ago():
            return f"{value.distance} ago"
        case datetime():
            return minute(value, zone)
        case bool():
            return "yes" if value else "no"
    return str(value)

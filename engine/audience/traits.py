"""The value of a trait by its name: for one person in memory, and as a SQL expression for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

from sqlalchemy import Double, literal

from engine.audience import nightly
from engine.audience.audience import Audience
from engine.audience.compare import Kind, Sql
from engine.audience.conditions import operand_of, sql_operand_of
from engine.audience.numbers import SCALE, decimal_of
from engine.audience.reckon import kind_of
from engine.audience.terms import NIGHTLY, TraitKind
from engine.audience.view import View
from engine.journey.conditions import Field, FieldKind, Money, Test, Word

Value = str | int | Decimal | Money | bool | datetime | None

_WHOLE_NUMBERS = (TraitKind.how_many, TraitKind.distinct, TraitKind.days_since_last, TraitKind.days_since_first)


def value(name: str, view: View, now: datetime) -> Value:
    """What the trait is for this person, as of `now`. None: unknown.

    int for counts and days, Money in the shop's currency for keys that hold money, Decimal for other numbers, datetime
    for instants, else the text (or true or false) the payload holds.
    """
    reading = _reading(name, view.audience)
    operand = operand_of(reading.test, view, now)
    for one in reading.views:
        found = operand.view(one)
        if found is not None:
            return reading.told(one, found, view.audience)
    return None


def as_sql(name: str, audience: Audience, now: datetime, wanted: Kind | None = None) -> Sql:
    """The trait over `tables.customer`, as of `now`; NULL: unknown.

    Numbers and money are plain numbers there. What a payload alone decides is read as a text unless `wanted` says else.
    """
    view = wanted or kind(name, audience) or Kind.text
    found: Sql | None = sql_operand_of(_reading(name, audience).test, audience, now).view(view)
    if found is None:
        raise ValueError(f"the trait {name} has no {view}")
    return found / literal(SCALE, Double()) if view in (Kind.number, Kind.money) else found


def columns(name: str, audience: Audience, now: datetime) -> list[Sql]:
    """The trait over `tables.customer` in as many columns as tell what `value` tells: give their cells `from_cells`."""
    operand = sql_operand_of(_reading(name, audience).test, audience, now)
    return [cast("Sql", operand.view(one)) for one in _reading(name, audience).views]


def from_cells(name: str, audience: Audience, cells: Sequence[Any]) -> Value:
    """The value, from how it is viewed one way after the other: the first that is known."""
    reading = _reading(name, audience)
    views = zip(reading.views, cells, strict=True)
    wanted, found = next(((one, cell) for one, cell in views if cell is not None), (Kind.text, None))
    return None if found is None else reading.told(wanted, found, audience)


@dataclass(frozen=True, slots=True)
class _Reading:
    """How the value of a trait is read, worked out once for an audience."""

    test: Test
    views: tuple[Kind, ...]  # the ways in which it is looked at; where a payload decides, as whatever that may be
    is_whole: bool

    def told(self, kind: Kind, found: Any, audience: Audience) -> Value:
        """What is known, as the value it stands for."""
        if kind is Kind.number:
            return int(found / SCALE) if self.is_whole else decimal_of(found)
        if kind is Kind.money:
            return Money(decimal_of(found), audience.currency)
        assert isinstance(found, str | bool | datetime)
        return found


def _reading(name: str, audience: Audience) -> _Reading:
    found: _Reading | None = audience.readings.get(name)
    if found is None:
        wanted = kind(name, audience)
        views = (Kind.truth, Kind.number, Kind.text) if wanted is None else (wanted,)
        is_whole = name in NIGHTLY or (audience.score(name) is None and audience.trait(name).kind in _WHOLE_NUMBERS)
        test = Test(Field(FieldKind.trait, name), Word.known, True)
        found = audience.readings[name] = _Reading(test, views, is_whole)
    return found


def kind(name: str, audience: Audience) -> Kind | None:
    """What the trait's value is; None where that is up to what the payload holds."""
    if audience.score(name) is not None:
        return Kind.text
    return nightly.kind_of(name) if name in NIGHTLY else kind_of(audience.trait(name), audience)

"""Conditions as values: a small tree. What they mean is in `engine.audience`; how they are written is parsed here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum


class FieldKind(StrEnum):
    """What a name in a condition stands for."""

    attribute = "attribute"  # kept about the person (country, tier, locale, or any imported attribute)
    trait = "trait"  # computed from events: one of audience.yaml or built in (churn_stage, value_tier, churn_reason)
    segment = "segment"  # membership of a named segment; the value is the segment's name
    event = "event"  # a key of the payload of the event at hand
    message = "message"  # what became of a message of this journey: sent, delivered, opened, clicked
    now = "now"  # weekday (mon..sun) and hour (0..23) on the person's own clock


@dataclass(frozen=True)
class Field:
    kind: FieldKind
    name: str


class Word(StrEnum):
    """The comparing words. A comparison with something unknown is false; its `not` is true."""

    is_ = "is"
    is_not = "is_not"
    one_of = "one_of"
    none_of = "none_of"
    at_least = "at_least"
    at_most = "at_most"
    above = "above"
    below = "below"
    between = "between"
    contains = "contains"
    starts_with = "starts_with"
    known = "known"
    before = "before"
    after = "after"


@dataclass(frozen=True)
class Money:
    amount: Decimal
    currency: str  # ISO 4217


@dataclass(frozen=True)
class Ago:
    """An instant told as a distance back from now."""

    distance: timedelta


Scalar = str | Decimal | Money | bool | datetime | Ago
# `is` one scalar, `one_of`/`none_of`/`between` a tuple, `known` a bool.


@dataclass(frozen=True)
class Test:
    """One field held against one value."""

    __test__ = False  # not a pytest class

    field: Field
    word: Word
    value: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True)
class All:
    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class Any:
    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class Not:
    part: Condition


Condition = Test | All | Any | Not
EVERYONE = All(())

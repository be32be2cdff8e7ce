"""Worlds thrown by a die that can be thrown again: every corner of the language comes up often, whatever lies in it.

The strategies in `drawn` make the smallest example of what is wrong; these make many.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any as Anything
from zoneinfo import ZoneInfo

from engine.audience import traits
from engine.audience.audience import Audience
from engine.audience.instants import instant_of
from engine.audience.terms import NIGHTLY, Trait, TraitKind
from engine.audience.values import Happening, Person
from engine.audience.view import View
from engine.journey.conditions import Ago, All, Any, Condition, Field, FieldKind, Money, Not, Scalar, Test, Word
from tests.audience.drawn import (
    ATTRIBUTES,
    EVENTS,
    KEYS,
    NOW,
    SCORES,
    TAGS,
    WINDOWS,
    Case,
    audience_of,
)

PEOPLE, QUESTIONS = 5, 20

_TEXTS = ("", "gold", "black", "Gold", "3", "true", "礼品", "a%b_c", "'\"\\", "😀 x", "candles", "茶")
_DATES = ("2026-11-21", "2026-11-22T09:30:15Z", "2026-11-22T17:30:15.1+08:00", "2025-02-29", "2026-11-22Z", "now")
_NUMBERS = (-3, 0, 1, 3, 5, 0.1, 2.5, 19.99, 1.00005, 141.98, 1e-300, 10**15 + 1, 1e300, 2**53 + 1)
_CURRENCIES = ("CNY", "USD", "EUR", "XTS", "cny", None, 7)
_WANTED_NUMBERS = tuple(map(Decimal, ("-1", "0", "1", "2", "5", "0.1", "19.99", "1.0001", "21.3", "1000000000000000")))
_WANTED_TEXTS = (*_TEXTS, "CN", "zh-CN", "core", "base", "lost", "silent", "new", "Asia/Shanghai")
_COUNTED = (None,)
_ANY_KEY = tuple(KEYS)
_MONEY = ("total",)
#: for each kind of trait the keys it may look at, those of money and others apart, so that both come up
_LOOKS_AT: tuple[tuple[tuple[TraitKind, ...], Sequence[str | None]], ...] = (
    (
        (
            *(TraitKind.days_since_last, TraitKind.days_since_first, TraitKind.how_many),
            *(TraitKind.median_gap, TraitKind.days_overdue),
        ),
        _COUNTED,
    ),
    ((TraitKind.distinct, TraitKind.sum, TraitKind.average, TraitKind.largest, TraitKind.smallest), ("items", "类别")),
    ((TraitKind.sum, TraitKind.average, TraitKind.largest, TraitKind.smallest), _MONEY),
    ((TraitKind.first, TraitKind.last), _COUNTED),
    ((TraitKind.most_common,), ("category", "类别", "voucher")),
    ((TraitKind.first, TraitKind.last), _ANY_KEY),
)
_TRAITS = tuple(f"t{number}" for number in range(len(_LOOKS_AT)))
_KEPT = ("country", "locale", "zone", "external_id")


def thrown(chance: Random) -> Case:
    """A whole small world and questions about it."""
    base = audience_of(_trait(chance, 0), _trait(chance, 1), chance.random() < 0.5)
    audience = Audience(
        traits={**base.traits, **{name: _trait(chance, number) for number, name in enumerate(_TRAITS)}},
        segments=base.segments,
        lists=base.lists,
        scores=base.scores,
        rates=base.rates,
        currency=base.currency,
    )
    people = tuple(_person(chance, number, audience) for number in range(1, PEOPLE + 1))
    return Case(people, tuple(_tree(chance, people, 2) for _ in range(QUESTIONS)))


def _trait(chance: Random, number: int) -> Trait:
    kinds, keys = _LOOKS_AT[number % len(_LOOKS_AT)]
    return Trait(
        chance.choice(kinds),
        _event(chance),
        chance.choice(keys),
        chance.choice((None, *(window for window in WINDOWS if window >= timedelta(days=3)))),
        _tests_of_payloads(chance) if chance.random() < 0.3 else None,
        (chance.choice(EVENTS),) if chance.random() < 0.15 else (),
        (chance.choice(EVENTS),) if chance.random() < 0.15 else (),
    )


def _event(chance: Random) -> str:
    return "Order Completed" if chance.random() < 0.7 else chance.choice(EVENTS)


def _tests_of_payloads(chance: Random) -> Condition:
    """What a trait may ask of an event."""
    found = [_test(chance, Field(FieldKind.event, chance.choice(KEYS)), None) for _ in range(chance.randint(1, 2))]
    condition: Condition = found[0] if len(found) == 1 else chance.choice((All, Any))(tuple(found))
    return Not(condition) if chance.random() < 0.2 else condition


# --- people


def _person(chance: Random, number: int, audience: Audience) -> View:
    who = Person(
        id=number,
        external_id=f"c{number}",
        zone=ZoneInfo(chance.choice(("Asia/Shanghai", "Europe/Berlin"))),
        locale=chance.choice(("zh-CN", "en")),
        country=chance.choice(("CN", "DE", None)),
        created_at=_moment(chance),
        attributes={name: _stored(chance) for name in ATTRIBUTES if chance.random() < 0.6},
        tags=frozenset(tag for tag in TAGS if chance.random() < 0.3),
        scores={**(_standing(chance) if chance.random() < 0.7 else {}), **_habit(chance)},
    )
    same = chance.choice(("", "", *_STORED))  # some people's keys all hold the same kind of thing: nothing else helps
    happenings = []
    for nth in range(chance.choice((0, 1, 2, 4, 6))):
        name, at = _event(chance), _moment(chance)
        happenings.append(Happening(number * 100 + nth, name, at, _payload(chance, same), at))
    return View(who, tuple(happenings), audience)


def _standing(chance: Random) -> dict[str, str | int]:
    """Where somebody stood in the last night: all of it, or nothing."""
    fifths = {name: chance.randint(1, 5) for name in ("rfm.r", "rfm.f", "rfm.m")}
    return {**fifths, "rfm.segment": chance.choice(("champions", "lost", "new"))}


def _habit(chance: Random) -> dict[str, str | int]:
    found: dict[str, str | int] = {"best_channel": chance.choice(("email", "sms")), "best_hour": chance.randint(0, 23)}
    return {name: value for name, value in found.items() if chance.random() < 0.7}


def _payload(chance: Random, same: str) -> dict[str, Anything]:
    found = {key: _stored(chance, same) for key in KEYS if key != "currency" and chance.random() < 0.7}
    if not same and chance.random() < 0.5:
        found["total"] = _stored(chance, "amount")
    if chance.random() < 0.5:
        found["currency"] = chance.choice(_CURRENCIES)
    return found


_STORED = ("null", "text", "date", "number", "amount", "truth", "list")


def _stored(chance: Random, kind: str = "") -> Anything:
    """What somebody sent."""
    match kind or chance.choice(_STORED):
        case "null":
            return None
        case "text":
            return chance.choice(_TEXTS)
        case "date":
            return chance.choice(_DATES)
        case "number":
            return chance.choice(_NUMBERS)
        case "amount":
            return chance.randint(-500, 50_000) / 100
        case "truth":
            return chance.random() < 0.5
        case _:
            return chance.choice(([1, "a"], {"a": 1}))


def _moment(chance: Random) -> datetime:
    """On the very edges of windows and whole days, a hair to either side, and anywhere."""
    edge = NOW - chance.choice(WINDOWS) + timedelta(microseconds=chance.choice((0, 0, -1, 1)))
    return chance.choice(
        (edge, NOW - timedelta(days=chance.randint(0, 40)), NOW - timedelta(hours=chance.randint(-99, 9_999)))
    )


# --- questions


def _tree(chance: Random, people: Sequence[View], depth: int) -> Condition:
    shape = chance.choice(("leaf", "not", "all", "any")) if depth else "leaf"
    if shape == "leaf":
        return _leaf(chance, people)
    if shape == "not":
        return Not(_tree(chance, people, depth - 1))
    parts = tuple(_tree(chance, people, depth - 1) for _ in range(chance.choice((0, 1, 2, 3, 4))))
    return All(parts) if shape == "all" else Any(parts)


def _leaf(chance: Random, people: Sequence[View]) -> Test:
    own = (_KEPT, ("created_at",), ATTRIBUTES)
    names = chance.choice((*own, *((name,) for name in _TRAITS), SCORES, (*SCORES, *sorted(NIGHTLY)), ()))
    if not names:
        return _closed(chance)
    kind = FieldKind.trait if names[0] in (*_TRAITS, *SCORES) else FieldKind.attribute
    return _test(chance, Field(kind, chance.choice(names)), chance.choice(people))


def _closed(chance: Random) -> Test:
    """Segments and tags are asked for by name only."""
    kind, known = chance.choice(((FieldKind.segment, ("silent", "big")), (FieldKind.tag, TAGS)))
    word = chance.choice((Word.is_, Word.is_not, Word.one_of, Word.none_of))
    some = tuple(chance.sample(known, chance.randint(1, 2)))
    return Test(Field(kind, kind.value), word, some if word in (Word.one_of, Word.none_of) else some[0])


def _test(chance: Random, field: Field, beside: View | None) -> Test:
    """A word with a value it may take; every other time one at or beside what somebody has."""
    word = chance.choice(tuple(Word))

    def value(*kinds: str) -> Scalar:
        kind = chance.choice(kinds)
        near = _beside(chance, field, beside, kind) if chance.random() < 0.7 else None
        return _wanted(chance, kind) if near is None else near

    match word:
        case Word.known:
            return Test(field, word, chance.random() < 0.5)
        case Word.contains | Word.starts_with:
            return Test(field, word, value("text"))
        case Word.before | Word.after:
            return Test(field, word, value("instant"))
        case Word.at_least | Word.at_most | Word.above | Word.below:
            return Test(field, word, value("number", "money", "instant"))
        case Word.between:
            return Test(field, word, (value("number", "money", "instant"), value("number", "money", "instant")))
        case Word.one_of | Word.none_of:
            some = tuple(value(*_SCALARS) for _ in range(chance.randint(1, 3)))
            return Test(field, word, chance.choice((some, some, some, "rivals", "colours")))
        case _:
            return Test(field, word, value(*_SCALARS))


_SCALARS = ("text", "number", "money", "instant", "truth")


def _wanted(chance: Random, kind: str) -> Scalar:
    match kind:
        case "text":
            return chance.choice(_WANTED_TEXTS)
        case "number":
            return chance.choice(_WANTED_NUMBERS)
        case "money":
            return Money(chance.choice(_WANTED_NUMBERS[1:7]), chance.choice(("CNY", "USD", "XTS", "XTS")))
        case "instant":
            ago = Ago(chance.choice((*WINDOWS, timedelta(days=3650))))
            return chance.choice((ago, _moment(chance), datetime(2026, 11, 21, tzinfo=UTC)))
        case _:
            return chance.random() < 0.5


def _beside(chance: Random, field: Field, view: View | None, kind: str) -> Scalar | None:
    """The very value somebody has, or the next one to it; None where it is of another kind."""
    found = _held(chance, field, view)
    step = Decimal(chance.choice((*["0"] * 5, "0.0001", "-0.0001", "0.00005", "1", "-1")))
    hair = timedelta(microseconds=chance.choice((0, 0, 0, -1, 1)))
    match found:
        case bool():
            return found if kind == "truth" else None
        case str() if kind == "instant":
            instant = instant_of(found)
            return None if instant is None else _at(chance, instant + hair)
        case str() if kind == "text":
            return found if chance.random() < 0.5 else found[: chance.randint(0, len(found))]
        case datetime() if kind == "instant":
            return _at(chance, found + hair)
        case Money(amount, currency) if kind in ("number", "money"):
            return amount + step if kind == "number" else Money(amount + step, currency)
        case Decimal() | int() | float() if kind in ("number", "money"):
            number = step + (Decimal(repr(found)) if isinstance(found, float) else Decimal(found))
            return number if kind == "number" else Money(number, "CNY")
    return None


def _at(chance: Random, instant: datetime) -> datetime | Ago:
    return Ago(NOW - instant) if instant <= NOW and chance.random() < 0.5 else instant


def _held(chance: Random, field: Field, view: View | None) -> Anything:
    """What a person has there; of a payload, what anybody might have sent."""
    if view is None:
        return _stored(chance)
    if field.kind is FieldKind.trait:
        return traits.value(field.name, view, NOW)
    if field.name == "zone":
        return view.person.zone.key
    return view.person.attributes.get(field.name, getattr(view.person, field.name, None))

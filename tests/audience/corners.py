"""Every corner of the language, one after the other: each field against each word with each kind of value."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any as Anything
from zoneinfo import ZoneInfo

from engine.audience.audience import Audience
from engine.audience.terms import Trait, TraitKind
from engine.audience.values import Happening, Person
from engine.audience.view import View
from engine.journey.conditions import Ago, Field, FieldKind, Money, Scalar, Test, Word
from engine.settings import Scores
from tests.audience.drawn import NOW, SCORES, Case

_DAY = timedelta(days=1)
_SEEN = NOW - 3 * _DAY  # when everybody did something
_NOTHING = object()  # happened
_ABSENT = object()
#: what may lie at a key, whoever sent it
_STORED = (
    *(_NOTHING, _ABSENT, None, "gold", "3", "2026-11-19", 3, 2.5, True, [1, "a"], {"a": 1}),
    *((3, "USD"), (3, "XTS"), (3, 7)),  # an amount and its currency
)
_SCALARS: tuple[Scalar, ...] = (
    *("gold", "3", "CN", "lost", "new", "2026-11-19"),
    *(Decimal(0), Decimal(3), Decimal("2.5"), Decimal("21.3")),
    *(Money(Decimal(3), "CNY"), Money(Decimal(3), "USD"), Money(Decimal(3), "XTS")),
    *(True, _SEEN, datetime(2026, 11, 19, tzinfo=UTC), Ago(2 * _DAY), Ago(9 * _DAY)),
)
_MEASURES = tuple(one for one in _SCALARS if isinstance(one, Decimal | Money | datetime | Ago))
_INSTANTS = tuple(one for one in _SCALARS if isinstance(one, datetime | Ago))
_TEXTS = tuple(one for one in _SCALARS if isinstance(one, str))


def _values(word: Word) -> tuple[Scalar | tuple[Scalar, ...], ...]:
    """What is written after a word."""
    match word:
        case Word.is_ | Word.is_not:
            return _SCALARS
        case Word.one_of | Word.none_of:
            return (*((one,) for one in _SCALARS), ("gold", Decimal(3), True), ("lead", Decimal(9)), "metals")
        case Word.between:
            return (*zip(_MEASURES, _MEASURES, strict=True), (Decimal(1), Decimal(2)), (Decimal(1), Decimal(99)))
        case Word.known:
            return (True, False)
        case Word.contains | Word.starts_with:
            return _TEXTS
        case Word.before | Word.after:
            return _INSTANTS
        case _:
            return _MEASURES


_KINDS = {
    TraitKind.how_many: (None,),
    TraitKind.distinct: ("items", "total"),
    TraitKind.sum: ("items", "total"),
    TraitKind.average: ("items", "total"),
    TraitKind.largest: ("items", "total"),
    TraitKind.smallest: ("items", "total"),
    TraitKind.first: (None, "items", "total"),
    TraitKind.last: (None, "items", "total"),
    TraitKind.most_common: ("items",),
    TraitKind.days_since_last: (None,),
    TraitKind.days_since_first: (None,),
    TraitKind.median_gap: (None,),
    TraitKind.days_overdue: (None,),
}


def _traits() -> dict[str, Trait]:
    assert set(_KINDS) == set(TraitKind)
    return {f"{kind.value} {key}": Trait(kind, "Told", key) for kind, keys in _KINDS.items() for key in keys}


def _tests(field: Field) -> Iterator[Test]:
    for word in Word:
        for value in _values(word):
            yield Test(field, word, value)


def corners() -> Iterator[Case]:
    """Cases that between them ask everything of everybody, a part of the questions at a time."""
    traits = _traits()
    wheres = {
        f"where {number}": Trait(TraitKind.how_many, "Told", where=test)
        for number, test in enumerate(_tests(Field(FieldKind.event, "total")))
    }
    audience = Audience(
        traits={**traits, **wheres},
        segments={"somebody": Test(Field(FieldKind.attribute, "items"), Word.known, True)},
        lists={"metals": ("gold", "silver"), "rivals": ("othershop",)},
        scores=Scores(order="Told", core_orders=2, growth_orders=1),
        rates={"USD": Decimal("7.1")},
        currency="CNY",
    )
    people = tuple(_person(number, stored, audience) for number, stored in enumerate(_STORED, start=1))
    fields = [Field(FieldKind.attribute, name) for name in ("items", "country", "zone", "created_at")]
    fields += [Field(FieldKind.trait, name) for name in (*traits, *SCORES)]
    questions = [test for field in fields for test in _tests(field)]
    questions += [Test(Field(FieldKind.trait, name), Word.above, Decimal(0)) for name in wheres]
    for field, name in ((Field(FieldKind.segment, "segment"), "somebody"), (Field(FieldKind.tag, "tag"), "vip")):
        questions += [Test(field, word, name) for word in (Word.is_, Word.is_not)]
        questions += [Test(field, word, (name,)) for word in (Word.one_of, Word.none_of)]
    for start in range(0, len(questions), _AT_ONCE):
        yield Case(people, tuple(questions[start : start + _AT_ONCE]))


_AT_ONCE = 50
_SCORES = {"rfm.r": 3, "rfm.f": 5, "rfm.m": 1, "rfm.segment": "lost", "best_channel": "gold", "best_hour": 3}


def _person(number: int, stored: Anything, audience: Audience) -> View:
    value, currency = stored if isinstance(stored, tuple) else (stored, _ABSENT)
    told = {} if value in (_NOTHING, _ABSENT) else {"items": value, "total": value}
    payload = told if currency is _ABSENT else {**told, "currency": currency}
    times = 0 if value is _NOTHING else 1 + number % 3
    happenings = tuple(
        Happening(number * 10 + nth, "Told", _SEEN - nth * 4 * _DAY, payload, NOW) for nth in range(times)
    )
    who = Person(
        id=number,
        external_id=f"c{number}",
        zone=ZoneInfo("Asia/Shanghai"),
        locale="zh-CN",
        country=("CN", "DE", None)[number % 3],
        created_at=_SEEN if number % 2 else NOW - 40 * _DAY,
        attributes=told,
        tags=frozenset({"vip"} if number % 2 else ()),
        scores=_SCORES if number % 2 else {},
    )
    return View(who, happenings, audience)

"""The comparing words, each with its two executions: over a value in memory and over a SQL expression.

An operand is what a field stands for. It can be viewed as a text, a number, money, true-or-false or an instant; a view
it does not have is unknown. The value that was written decides which view is asked. A comparison with something
unknown is false here already, so that `not` around it is true.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any as Anything
from typing import Generic, TypeVar, assert_never

from msgspec import Struct
from sqlalchemy import Boolean, ColumnElement, Double, String, and_, case, false, func, literal, not_, or_, true
from sqlalchemy.types import TypeEngine
from sqlmodel import UTCDateTime

from engine.audience.audience import Audience
from engine.audience.instants import earlier, instant_of
from engine.audience.numbers import SCALE, number_of, units
from engine.audience.tables import Contains, JsonKnown, JsonNumber, JsonText, JsonTruth, TextInstant, Whole
from engine.journey.conditions import Ago, All, Any, Condition, Money, Not, Scalar, Test, Word

Sql = ColumnElement[Anything]
T = TypeVar("T")


class Kind(StrEnum):
    """What a value can be viewed as."""

    text = "text"
    number = "number"  # in ten-thousandths
    money = "money"  # in ten-thousandths of the shop's currency
    truth = "truth"  # true or false
    instant = "instant"


# --- what a field stands for


class Single(Struct, Generic[T], frozen=True):
    """A value of one kind: `T` is a Python value (None: unknown) or a SQL expression (NULL: unknown).

    Money also answers as a number: an amount of the shop's currency.
    """

    kind: Kind
    value: T

    def view(self, kind: Kind) -> T | None:
        return self.value if kind is self.kind or (kind is Kind.number and self.kind is Kind.money) else None


class Written(Struct, frozen=True):
    """What JSON holds at a key, in memory: whatever somebody sent."""

    document: Mapping[str, Anything]
    key: str
    audience: Audience
    is_payload: bool

    @property
    def known(self) -> bool:
        return self.document.get(self.key) is not None

    def view(self, kind: Kind) -> Anything | None:
        value = self.document.get(self.key)
        match kind:
            case Kind.text:
                return text_at(self.document, self.key)
            case Kind.number if self.is_payload and self.key in self.audience.scores.money:
                return money_at(self.document, self.key, self.audience)
            case Kind.money if self.is_payload:
                return money_at(self.document, self.key, self.audience)
            case Kind.number | Kind.money:
                return number_at(self.document, self.key)
            case Kind.truth:
                return value if isinstance(value, bool) else None
            case Kind.instant:
                return instant_of(value) if isinstance(value, str) else None
            case _:
                assert_never(kind)


def text_at(document: Mapping[str, Anything], key: str) -> str | None:
    """The text at a key, true and false as they are written; None: unknown."""
    value = document.get(key)
    if isinstance(value, str):
        return value
    return ("true" if value else "false") if isinstance(value, bool) else None


def number_at(document: Mapping[str, Anything], key: str, _: Audience | None = None) -> float | None:
    """The number at a key, in ten-thousandths; None: unknown."""
    number = number_of(document.get(key))
    return None if number is None else units(number)


def money_at(payload: Mapping[str, Anything], key: str, audience: Audience) -> float | None:
    """The amount at a key of an event, by its `currency` in ten-thousandths of the shop's; None: unknown."""
    number, currency = number_of(payload.get(key)), payload.get("currency")
    if number is None:
        return None
    if currency is None:
        return units(number)
    rate = audience.rate(currency) if isinstance(currency, str) else None
    return None if rate is None else units(number * rate)


def _as_is(expression: Sql) -> Sql:
    return expression


@dataclass(frozen=True)
class WrittenSql:
    """What JSON holds at a key, as SQL. `lift` brings an expression over the document's row to where it is compared."""

    document: Sql
    key: str
    audience: Audience
    is_payload: bool
    lift: Callable[[Sql], Sql] = field(default=_as_is)

    @property
    def known(self) -> Sql:
        return func.coalesce(self.lift(JsonKnown(self.document, self.key)), false())

    def view(self, kind: Kind) -> Sql:
        return self.lift(self.row(kind))

    def row(self, kind: Kind) -> Sql:
        """The view, over the document's own row."""
        match kind:
            case Kind.text:
                return JsonText(self.document, self.key)
            case Kind.number if self.is_payload and self.key in self.audience.scores.money:
                return self._money()
            case Kind.number:
                return sql_units(JsonNumber(self.document, self.key))
            case Kind.money:
                return self._money()
            case Kind.truth:
                return JsonTruth(self.document, self.key)
            case Kind.instant:
                return TextInstant(JsonText(self.document, self.key))
            case _:
                assert_never(kind)

    def _money(self) -> Sql:
        number: Sql = JsonNumber(self.document, self.key)
        return sql_units(number * self._rate() if self.is_payload else number)

    def _rate(self) -> Sql:
        rates = self.audience.all_rates.items()
        given: dict[str, Sql] = {currency: literal(rate, Double()) for currency, rate in rates}
        return case(
            (not_(JsonKnown(self.document, "currency")), literal(1.0, Double())),
            else_=case(given, value=JsonText(self.document, "currency")),
        )


Operand = Single[Anything] | Written
SqlOperand = Single[Sql] | WrittenSql


def sql_units(number: Sql) -> Sql:
    """A number in ten-thousandths, as SQL."""
    return Whole(number * literal(SCALE, Double()))


def is_known(operand: Operand) -> bool:
    return operand.known if isinstance(operand, Written) else operand.value is not None


def sql_known(operand: SqlOperand) -> Sql:
    return operand.known if isinstance(operand, WrittenSql) else operand.value.is_not(None)


# --- what was written to compare with


class Target(Struct, frozen=True):
    """A written value, ready: which view it wants, and the value in that view's terms."""

    kind: Kind
    value: Anything


def kind_of_scalar(scalar: Scalar) -> Kind:
    """The view a written value asks for."""
    match scalar:
        case str():
            return Kind.text
        case bool():
            return Kind.truth
        case Decimal():
            return Kind.number
        case Money():
            return Kind.money
        case datetime() | Ago():
            return Kind.instant
        case _:
            assert_never(scalar)


def target_of(scalar: Scalar, audience: Audience, now: datetime) -> Target | None:
    """None when nothing can be compared with it: money without a rate."""
    match scalar:
        case str():
            return Target(Kind.text, scalar)
        case bool():
            return Target(Kind.truth, scalar)
        case Decimal():
            return Target(Kind.number, units(float(scalar)))
        case Money(amount, currency):
            rate = audience.rate(currency)
            return None if rate is None else Target(Kind.money, units(float(amount) * rate))
        case datetime():
            return Target(Kind.instant, scalar)
        case Ago(distance):
            return Target(Kind.instant, earlier(now, distance))
        case _:
            assert_never(scalar)


def targets_of(test: Test, audience: Audience, now: datetime) -> tuple[Target, ...]:
    """All values of a test. `one_of: rivals` means the words of that list."""
    value = test.value
    if test.word in (Word.one_of, Word.none_of) and isinstance(value, str):
        value = audience.lists.get(value, ())
    written: Sequence[Scalar] = value if isinstance(value, tuple) else (value,)
    found = [target_of(one, audience, now) for one in written]
    if test.word in EQUALITY:  # `postcode: 10115` also means a postcode that is kept as text
        found += [Target(Kind.text, f"{one:f}") for one in written if isinstance(one, Decimal)]
    return tuple(target for target in found if target is not None)


EQUALITY = frozenset({Word.is_, Word.is_not, Word.one_of, Word.none_of})
_ORDERED = frozenset({Kind.number, Kind.money, Kind.instant})


def _fits(word: Word, kind: Kind) -> bool:
    """Can this word compare values of this kind?"""
    match word:
        case Word.contains | Word.starts_with:
            return kind is Kind.text
        case Word.before | Word.after:
            return kind is Kind.instant
        case Word.at_least | Word.at_most | Word.above | Word.below | Word.between:
            return kind in _ORDERED
        case Word.is_ | Word.is_not | Word.one_of | Word.none_of | Word.known:
            return True
        case _:
            assert_never(word)


# --- in memory


def meets(operand: Operand, test: Test, audience: Audience, now: datetime) -> bool:
    """Does what the field stands for meet the test?"""
    if test.word is Word.known:
        return is_known(operand) is test.value
    targets = targets_of(test, audience, now)
    pairs = [(operand.view(one.kind), one.value) for one in targets if _fits(test.word, one.kind)]
    if test.word is Word.between:
        return len(pairs) == 2 and _lies_between(pairs)
    pairs = [(value, wanted) for value, wanted in pairs if value is not None]
    if test.word in (Word.is_not, Word.none_of):
        return bool(pairs) and all(value != wanted for value, wanted in pairs)
    return any(_compares(test.word, value, wanted) for value, wanted in pairs)


def _lies_between(pairs: Sequence[tuple[Anything, Anything]]) -> bool:
    (value, low), (same, high) = pairs
    return value is not None and same is not None and low <= value and same <= high


def _compares(word: Word, value: Anything, wanted: Anything) -> bool:
    match word:
        case Word.is_ | Word.one_of:
            return bool(value == wanted)
        case Word.contains:
            return bool(wanted in value)
        case Word.starts_with:
            return bool(value.startswith(wanted))
        case Word.at_least:
            return bool(value >= wanted)
        case Word.at_most:
            return bool(value <= wanted)
        case Word.above | Word.after:
            return bool(value > wanted)
        case Word.below | Word.before:
            return bool(value < wanted)
        case _:
            raise AssertionError(f"{word} is judged before")


def fold(condition: Condition, leaf: Callable[[Test], bool]) -> bool:
    """The whole tree in memory, by the verdict on each test."""
    match condition:
        case Test():
            return leaf(condition)
        case All(parts):
            return all(fold(part, leaf) for part in parts)
        case Any(parts):
            return any(fold(part, leaf) for part in parts)
        case Not(part):
            return not fold(part, leaf)
        case _:
            assert_never(condition)


# --- as SQL


def sql_meets(operand: SqlOperand, test: Test, audience: Audience, now: datetime) -> Sql:
    """The same question as a SQL expression that is true or false, never NULL."""
    if test.word is Word.known:
        known = sql_known(operand)
        return known if test.value else not_(known)
    targets = [one for one in targets_of(test, audience, now) if _fits(test.word, one.kind)]
    if test.word is Word.between:
        return _sql_between(operand, targets)
    views = [
        (view, [_bound(one) for one in targets if one.kind is kind])
        for kind in dict.fromkeys(one.kind for one in targets)
        if (view := operand.view(kind)) is not None
    ]
    if test.word in (Word.is_not, Word.none_of):
        return _sql_none_of(views)
    return or_(false(), *(_closed(_sql_compares(test.word, view, wanted)) for view, wanted in views))


def _closed(expression: Sql) -> Sql:
    """A comparison with something unknown is false."""
    return func.coalesce(expression, false(), type_=Boolean())


_TYPES: Mapping[Kind, TypeEngine[Anything]] = {
    Kind.text: String(),
    Kind.number: Double(),
    Kind.money: Double(),
    Kind.truth: Boolean(),
    Kind.instant: UTCDateTime(),
}


def _bound(target: Target) -> Sql:
    return literal(target.value, _TYPES[target.kind])


def _sql_between(operand: SqlOperand, targets: Sequence[Target]) -> Sql:
    if len(targets) != 2:
        return false()
    low, high = targets
    lower, upper = operand.view(low.kind), operand.view(high.kind)
    if lower is None or upper is None:
        return false()
    if low.kind is high.kind:
        return _closed(lower.between(_bound(low), _bound(high)))
    return _closed(and_(lower >= _bound(low), upper <= _bound(high)))


def _sql_none_of(views: Sequence[tuple[Sql, list[Sql]]]) -> Sql:
    if len(views) == 1:
        view, wanted = views[0]
        return _closed(view != wanted[0] if len(wanted) == 1 else view.not_in(wanted))
    known = or_(false(), *(view.is_not(None) for view, _ in views))
    return and_(known, *(not_(_closed(view.in_(wanted))) for view, wanted in views))


def _sql_compares(word: Word, view: Sql, wanted: list[Sql]) -> Sql:
    one = wanted[0]
    match word:
        case Word.is_ | Word.one_of:
            return view == one if len(wanted) == 1 else view.in_(wanted)
        case Word.contains:
            return Contains(view, one)
        case Word.starts_with:
            return func.substr(view, 1, func.length(one)) == one
        case Word.at_least:
            return view >= one
        case Word.at_most:
            return view <= one
        case Word.above | Word.after:
            return view > one
        case Word.below | Word.before:
            return view < one
        case _:
            raise AssertionError(f"{word} is judged before")


def sql_fold(condition: Condition, leaf: Callable[[Test], Sql]) -> Sql:
    """The whole tree as SQL, by the expression for each test."""
    match condition:
        case Test():
            return leaf(condition)
        case All(parts):
            return and_(true(), *(sql_fold(part, leaf) for part in parts))
        case Any(parts):
            return or_(false(), *(sql_fold(part, leaf) for part in parts))
        case Not(part):
            return not_(sql_fold(part, leaf))
        case _:
            assert_never(condition)

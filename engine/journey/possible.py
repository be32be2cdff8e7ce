"""Can a condition hold for anybody at all? Found by trying every value that its tests can tell apart.

What is not understood (a text that contains another, a list by its name, money in two currencies) may hold or not, as
it likes: so nothing is called impossible that is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import chain, combinations, pairwise, product
from math import floor, prod
from typing import Any as Anything
from typing import assert_never

from engine.journey.conditions import (
    EVERYONE,
    Ago,
    All,
    Any,
    Condition,
    Field,
    FieldKind,
    Money,
    Not,
    Scalar,
    Test,
    Word,
    tests_of,
)
from engine.journey.quantities import WEEKDAYS

MOST = 5_000  # combinations that are tried; where there are more, nothing is claimed
UNKNOWN = None
_EPOCH, _HAIR = datetime(2000, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_OTHER = "\0"  # a text that is none of those that are written

Key = tuple[str, ...]
_SCALE = 10_000
_CLOCK: Mapping[Key, tuple[Anything, ...]] = {
    ("now", "weekday"): WEEKDAYS,
    ("now", "hour"): tuple(hour * _SCALE for hour in range(24)),
}
World = Mapping[Key, Anything]  # what each field is, what each test that is not understood says


def never(condition: Condition) -> bool:
    """Is there certainly nobody for whom it holds?"""
    tests = tuple(dict.fromkeys(tests_of(condition)))
    if _plainly_possible(condition, tests):
        return False
    axes = _axes(tests)
    if prod(map(len, axes.values())) > MOST:
        return False
    return not any(_holds(condition, dict(zip(axes, values, strict=True))) for values in product(*axes.values()))


def _plainly_possible(condition: Condition, tests: Sequence[Test]) -> bool:
    """Nothing but different fields, each asked once: by far the most conditions."""
    parts = condition.parts if isinstance(condition, All) else (condition,)
    fields = {test.field for test in tests if test.field.kind is not FieldKind.now}
    return all(isinstance(part, Test) for part in parts) and len(fields) == len(parts)


@dataclass(frozen=True)
class Impossible:
    """Something a condition asks for and nobody is."""

    test: Test  # where to look
    sentence: str
    whole: bool  # the whole condition; else one of the alternatives in it


def impossible(condition: Condition, known: Condition = EVERYONE) -> Iterator[Impossible]:
    """What a condition asks for in vain. `known` holds whenever it is asked."""
    if never(All((known, condition))):
        yield _blamed(condition, known, whole=True)
    else:
        for part, beside in _in_vain(condition, known):
            yield _blamed(part, beside, whole=False)


def _in_vain(condition: Condition, known: Condition) -> Iterator[tuple[Condition, Condition]]:
    """Parts of an `any` that never hold, with what holds beside them; what is under a `not` is another matter."""
    match condition:
        case Any(parts):
            for part in parts:
                if never(All((known, part))):
                    yield part, known
                else:
                    yield from _in_vain(part, known)
        case All(parts):
            for index, part in enumerate(parts):
                yield from _in_vain(part, All((known, *parts[:index], *parts[index + 1 :])))
        case Test() | Not():
            pass
        case _:
            assert_never(condition)


def _blamed(condition: Condition, known: Condition, whole: bool) -> Impossible:
    """The test that cannot hold beside another one, or the first of those that cannot hold together."""
    tests = tuple(demanded(condition))
    for one, other in combinations((*demanded(known), *tests), 2):
        if other in tests and never(All((one, other))):
            sentence = f"`{other.field.name}` cannot be {_said(one)} and {_said(other)} at once"
            return Impossible(other, sentence, whole)
    return Impossible(next(tests_of(condition)), "this can never hold", whole)


def demanded(condition: Condition) -> Iterator[Test]:
    """Tests that all have to hold."""
    match condition:
        case Test():
            yield condition
        case All(parts):
            for part in parts:
                yield from demanded(part)
        case Any() | Not():
            pass
        case _:
            assert_never(condition)


def _said(test: Test) -> str:
    word = "" if test.word is Word.is_ else f"{test.word.value.replace('_', ' ')} "
    if test.word is Word.known:
        return "known" if test.value else "unknown"
    values = test.value if isinstance(test.value, tuple) else (test.value,)
    return f"{word}{' or '.join(f'`{_shown(value)}`' for value in values)}"


def _shown(value: Scalar) -> str:
    match value:
        case Money(amount, currency):
            return f"{amount} {currency}"
        case Ago(distance):
            return f"{distance.days} days ago" if distance.days else f"{distance} ago"
        case datetime():
            return value.isoformat(" ")[:16]
        case _:
            return str(value)


# --- every value that the tests of a field tell apart


def _axes(tests: Iterable[Test]) -> dict[Key, tuple[Anything, ...]]:
    by_field: dict[Field, list[Test]] = {}
    for test in tests:
        by_field.setdefault(test.field, []).append(test)
    return dict(chain.from_iterable(_of_field(field, asked) for field, asked in by_field.items()))


def _of_field(field: Field, tests: Sequence[Test]) -> Iterator[tuple[Key, tuple[Anything, ...]]]:
    match field.kind:
        case FieldKind.segment | FieldKind.tag:
            for name in dict.fromkeys(name for test in tests for name in _values(test)):
                yield (field.kind.value, str(name)), (True, False)
        case FieldKind.message:
            asked = tuple(
                dict.fromkeys(value for test in tests if test.word is not Word.known for value in _values(test))
            )
            became = chain.from_iterable(combinations(asked, size) for size in range(len(asked) + 1))
            yield _key(field), (UNKNOWN, *map(frozenset, became))
        case FieldKind.attribute | FieldKind.trait | FieldKind.event | FieldKind.now:
            understood = [test for test in tests if _understood(test, tests)]
            for test in tests:
                if test not in understood:
                    yield _free(test), (True, False)
            yield _key(field), _CLOCK.get(_key(field), (UNKNOWN, *_told_apart(understood)))
        case _:
            assert_never(field.kind)


def _key(field: Field) -> Key:
    return field.kind.value, field.name


def _free(test: Test) -> Key:
    """A test that is not understood is a matter of its own."""
    return "test", test.field.kind.value, test.field.name, test.word.value, repr(test.value)


_PARTS_OF_TEXT = (Word.contains, Word.starts_with)
_EQUALITY = (Word.is_, Word.is_not, Word.one_of, Word.none_of)
_LISTS = (Word.one_of, Word.none_of)


def _understood(test: Test, beside: Sequence[Test]) -> bool:
    """Can its value be put in line with those of the other tests of its field?"""
    if test.word is Word.known:
        return True
    if test.word in _PARTS_OF_TEXT or (test.word in _LISTS and isinstance(test.value, str)):
        return False
    return len({scale for one in beside for scale in _scales(one)}) == 1


def _scales(test: Test) -> Iterator[str]:
    if test.word is Word.known or test.word in _PARTS_OF_TEXT:
        return
    if test.word in _LISTS and isinstance(test.value, str):
        return
    for value in _values(test):
        yield f"money {value.currency}" if isinstance(value, Money) else type(value).__name__


def _values(test: Test) -> tuple[Scalar, ...]:
    return test.value if isinstance(test.value, tuple) else (test.value,)


def _told_apart(tests: Sequence[Test]) -> tuple[Anything, ...]:
    """The values that are written, and one for each gap between them."""
    written = [value for test in tests if test.word is not Word.known for value in _values(test)]
    marks = sorted({_mark(value) for value in written})
    if not marks:
        return (_OTHER,)
    if isinstance(marks[0], str):
        return (*marks, _OTHER)
    between = ((one + other) / 2 for one, other in pairwise(marks))
    return (*marks, *between, marks[0] - 1, marks[-1] + 1, *dict.fromkeys(map(_as_text, written)), _OTHER)


def _as_text(value: Scalar) -> str:
    """A number may also be kept as a text: `postcode: 10115`."""
    return f"{value:f}" if isinstance(value, Decimal) else _OTHER


def _mark(value: Scalar) -> Anything:
    """Where a value stands on its scale: numbers in ten-thousandths, instants in microseconds."""
    match value:
        case Decimal():
            return floor(float(value) * _SCALE + 0.5)
        case Money(amount, _):
            return _mark(amount)
        case Ago(distance):
            return -(distance // _HAIR)
        case datetime():
            return (value - _EPOCH) // _HAIR
        case _:
            return value


# --- what a test says of a value


def _holds(condition: Condition, world: World) -> bool:
    match condition:
        case Test():
            return _meets(condition, world)
        case All(parts):
            return all(_holds(part, world) for part in parts)
        case Any(parts):
            return any(_holds(part, world) for part in parts)
        case Not(part):
            return not _holds(part, world)
        case _:
            assert_never(condition)


def _meets(test: Test, world: World) -> bool:
    denied = test.word in (Word.is_not, Word.none_of)
    if test.field.kind in (FieldKind.segment, FieldKind.tag):
        return any(world[test.field.kind.value, str(name)] for name in _values(test)) is not denied
    free = _free(test)
    if free in world:
        return bool(world[free])
    value = world[_key(test.field)]
    if test.word is Word.known:
        return (value is not UNKNOWN) is test.value
    if value is UNKNOWN:
        return False
    if test.field.kind is FieldKind.message:
        return any(name in value for name in _values(test)) is not denied
    marks = [_mark(one) for one in _values(test)]
    if isinstance(value, str) and not isinstance(marks[0], str):
        marks = [_as_text(one) for one in _values(test)]
        return test.word in _EQUALITY and _compares(test.word, value, marks)
    return _compares(test.word, value, marks)


def _compares(word: Word, value: Anything, marks: Sequence[Anything]) -> bool:
    first = marks[0]
    match word:
        case Word.is_ | Word.one_of:
            return value in marks
        case Word.is_not | Word.none_of:
            return value not in marks
        case Word.at_least:
            return bool(value >= first)
        case Word.at_most:
            return bool(value <= first)
        case Word.above | Word.after:
            return bool(value > first)
        case Word.below | Word.before:
            return bool(value < first)
        case Word.between:
            return bool(first <= value <= marks[1])
        case _:
            raise AssertionError(f"{word} is not understood")

"""Which corners of the language were asked: each word, of each kind of field, for each way to be unknown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any as Anything
from typing import NamedTuple

from engine.audience import reckon, traits
from engine.audience.audience import Audience
from engine.audience.compare import Kind, Operand, Single, Written, meets, targets_of
from engine.audience.conditions import holds, operand_of
from engine.audience.numbers import number_of
from engine.audience.terms import ALWAYS_KEPT, Trait, TraitKind
from engine.audience.view import View
from engine.journey.conditions import Condition, FieldKind, Money, Test, Word, tests_of
from tests.audience.drawn import NOW, Case


class State(StrEnum):
    """How what a field stands for is known, to the word that asks."""

    known = "known"
    missing = "missing"  # nobody told it; nothing happened
    null = "null"
    other = "wrong type"  # than the word asks for
    unpriced = "no rate"  # an amount in a currency of which nobody told the worth
    nothing = "0 of none"  # counts and sums of nothing are known


class Row(StrEnum):
    """A kind of field, by where it is kept and what it may hold."""

    kept = "country, zone..."
    created = "created_at"
    attribute = "attribute"
    key = "key in `where`"
    number = "trait: number"
    money = "trait: money"
    instant = "trait: instant"
    text = "trait: text"
    written = "trait: any"
    score = "score"
    rank = "score: number"
    segment = "segment"
    tag = "tag"


class Cell(NamedTuple):
    """One corner."""

    row: Row
    word: Word
    state: State


#: the kinds a row may hold
HOLDS: Mapping[Row, frozenset[Kind]] = {
    Row.kept: frozenset({Kind.text}),
    Row.created: frozenset({Kind.instant}),
    Row.attribute: frozenset(Kind),
    Row.key: frozenset(Kind),
    Row.number: frozenset({Kind.number}),
    Row.money: frozenset({Kind.money, Kind.number}),
    Row.instant: frozenset({Kind.instant}),
    Row.text: frozenset({Kind.text}),
    Row.written: frozenset(Kind),
    Row.score: frozenset({Kind.text}),
    Row.rank: frozenset({Kind.number}),
    Row.segment: frozenset({Kind.text}),
    Row.tag: frozenset({Kind.text}),
}
_ANYBODYS = (Row.attribute, Row.key, Row.written)  # hold whatever somebody sent
_MADE_OF_KEYS = (Row.number, Row.money, Row.text)  # computed from what somebody sent
_EQUALITY = (Word.is_, Word.is_not, Word.one_of, Word.none_of)
_TEXTS = (Word.contains, Word.starts_with)
_INSTANTS = (Word.before, Word.after)
_AMOUNTS = frozenset({Kind.number, Kind.money})


def _takes(word: Word) -> frozenset[Kind]:
    """What a word can compare. Rules of the house hold instants against `at_most` too; nobody can write that."""
    if word in _EQUALITY:
        return frozenset(Kind)
    if word in _TEXTS:
        return frozenset({Kind.text})
    return frozenset({Kind.instant}) if word in _INSTANTS else _AMOUNTS | {Kind.instant}


def can_exist(cell: Cell) -> bool:
    """Is there a person and a condition in this corner?"""
    row, word, state = cell
    if row in (Row.segment, Row.tag):
        return word in _EQUALITY and state is State.known
    made_of_keys = row in _MADE_OF_KEYS
    match state:
        case State.known:
            return word is Word.known or bool(HOLDS[row] & _takes(word))
        case State.missing:
            return row is not Row.created
        case State.null:
            return row in _ANYBODYS or made_of_keys
        case State.other if word is Word.known:
            return made_of_keys
        case State.other:
            return row in _ANYBODYS or made_of_keys or bool(_takes(word) - HOLDS[row])
        case State.unpriced:
            return row is Row.money or (word is not Word.known and bool(_takes(word) & _AMOUNTS))
        case State.nothing:
            return row in (Row.number, Row.money)


ALL = tuple(Cell(row, word, state) for row in Row for word in Word for state in State)
EXISTING = frozenset(cell for cell in ALL if can_exist(cell))


class Covered:
    """How often each corner was asked, and what the answers were."""

    def __init__(self) -> None:
        self.answers: Counter[tuple[Cell, bool]] = Counter()

    def add(self, case: Case) -> None:
        """Every single test of a case's questions, of every person."""
        for view in case.people:
            for question in case.questions:
                for cell, answer in asked(question, view):
                    self.answers[cell, answer] += 1

    def missing(self) -> list[Cell]:
        """Corners that exist and were never asked."""
        return [cell for cell in ALL if cell in EXISTING and not self.times(cell)]

    def one_sided(self) -> list[Cell]:
        """Corners where something is known and only one answer was ever given."""
        known = (cell for cell in ALL if cell in EXISTING and cell.state is State.known)
        return [cell for cell in known if not (self.answers[cell, True] and self.answers[cell, False])]

    def untrue(self) -> list[Cell]:
        """Corners where something is unknown and a comparison held all the same; and such as cannot exist."""
        unknown = (State.missing, State.null, State.other, State.unpriced)
        false = [cell for cell in ALL if cell.state in unknown and cell.word is not Word.known]
        held = [cell for cell in false if self.answers[cell, True]]
        return held + [cell for cell in ALL if cell not in EXISTING and self.times(cell)]

    def times(self, cell: Cell) -> int:
        return self.answers[cell, True] + self.answers[cell, False]

    def lines(self) -> Iterator[str]:
        """The table, for people."""
        states = tuple(State)
        yield f"{'field':<18}{'word':<13}" + "".join(f"{state.value:>12}" for state in states)
        for row in Row:
            for word in Word:
                cells = [Cell(row, word, state) for state in states]
                if any(cell in EXISTING for cell in cells):
                    told = [f"{self.times(cell):>12,}" if cell in EXISTING else f"{'-':>12}" for cell in cells]
                    yield f"{row.value:<18}{word.value:<13}" + "".join(told)


def asked(question: Condition, view: View) -> Iterator[tuple[Cell, bool]]:
    """Each test of a question, with the corner it lies in for this person and whether it holds."""
    for test in tests_of(question):
        yield _cell(test, view), holds(test, view, NOW)
        trait = _trait_of(test, view.audience)
        if trait is not None and trait.where is not None:
            for happening in view.named(trait.event):
                for inner in tests_of(trait.where):
                    operand = Written(happening.payload, inner.field.name, view.audience, is_payload=True)
                    cell = Cell(Row.key, inner.word, _state(Row.key, operand, inner, view.audience))
                    yield cell, meets(operand, inner, view.audience, NOW)


def _trait_of(test: Test, audience: Audience) -> Trait | None:
    name = test.field.name
    if test.field.kind is not FieldKind.trait or audience.score(name) is not None:
        return None
    return audience.trait_called(name)


def _cell(test: Test, view: View) -> Cell:
    if test.field.kind in (FieldKind.segment, FieldKind.tag):
        return Cell(Row(test.field.kind.value), test.word, State.known)
    operand, trait = operand_of(test, view, NOW), _trait_of(test, view.audience)
    row = _row(test, trait, view.audience)
    state = _made_of(trait, row, view) if trait is not None else None
    return Cell(row, test.word, state or _state(row, operand, test, view.audience))


def _row(test: Test, trait: Trait | None, audience: Audience) -> Row:
    if test.field.kind is FieldKind.attribute:
        if test.field.name not in ALWAYS_KEPT:
            return Row.attribute
        return Row.created if test.field.name == "created_at" else Row.kept
    if trait is None:
        is_number = traits.kind(test.field.name, audience) is Kind.number
        return Row.rank if is_number else Row.score
    kind = reckon.kind_of(trait, audience)
    holds_anything = trait.kind in (TraitKind.first, TraitKind.last) and trait.key is not None
    return Row.written if kind is None or holds_anything else Row(f"trait: {kind.value}")


_COUNTS = (TraitKind.how_many, TraitKind.distinct, TraitKind.sum)


def _made_of(trait: Trait, row: Row, view: View) -> State | None:
    """Why a computed value is unknown, or known as nothing; None when it is known."""
    found = reckon._counted(trait, view, NOW)
    operand = reckon.operand(trait, view, NOW)
    if row is Row.written:
        return None
    if trait.kind in _COUNTS and _is_nothing(trait, operand, found, view.audience):
        return State.nothing
    if isinstance(operand, Single) and operand.value is not None:
        return None
    payloads = [one.payload for one in found]
    if trait.key is None or all(trait.key not in payload for payload in payloads):
        return State.missing
    values = [payload.get(trait.key) for payload in payloads]
    if row is Row.money and any(number_of(value) is not None for value in values):
        return State.unpriced
    return State.null if all(value is None for value in values) else State.other


def _is_nothing(trait: Trait, operand: Operand, found: Anything, audience: Audience) -> bool:
    """Did nothing of what is counted or summed happen?"""
    if trait.kind is TraitKind.sum:
        return not reckon._numbers(trait, found, audience)
    return isinstance(operand, Single) and operand.value == 0


def _state(row: Row, operand: Operand, test: Test, audience: Audience) -> State:
    """How the value is known to the word that asks."""
    if isinstance(operand, Written):
        if operand.key not in operand.document:
            return State.missing
        if operand.document[operand.key] is None:
            return State.null
    elif operand.value is None:
        return State.missing
    if test.word is Word.known:
        return State.known
    targets = [one for one in targets_of(test, audience, NOW) if one.kind in _takes(test.word)]
    views = [operand.view(one.kind) is not None for one in targets]
    if views and (all(views) if test.word is Word.between else any(views)):
        return State.known
    return State.unpriced if _has_no_rate(operand, test, audience) else State.other


def _has_no_rate(operand: Operand, test: Test, audience: Audience) -> bool:
    """Is it a matter of money whose worth is not known?"""
    values = test.value if isinstance(test.value, tuple) else (test.value,)
    if any(isinstance(value, Money) and audience.rate(value.currency) is None for value in values):
        return True
    if not isinstance(operand, Written) or not operand.is_payload:
        return False
    amount = number_of(operand.document.get(operand.key))
    return (
        amount is not None and operand.view(Kind.money) is None and any(isinstance(v, Decimal | Money) for v in values)
    )

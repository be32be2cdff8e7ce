"""Conditions that can be read and can never hold as meant: the wrong kind of value, a value nobody has, no rate."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from engine.audience import nightly
from engine.audience.audience import Audience
from engine.audience.compare import EQUALITY, Kind, kind_of_scalar
from engine.audience.reckon import kind_of
from engine.audience.terms import ALWAYS_KEPT, NIGHTLY
from engine.journey.conditions import Condition, FieldKind, Money, Scalar, Test, Word, tests_of
from engine.journey.meant import country_meant, locale_meant, zone_meant
from engine.journey.source import Fault, hint_for, nearest

_CALLED = {
    Kind.text: "a text",
    Kind.number: "a number",
    Kind.money: "an amount of money",
    Kind.truth: "true or false",
    Kind.instant: "an instant",
}
_HINTS = {
    Kind.text: "write one of its texts",
    Kind.number: "write a number: 2",
    Kind.money: "write an amount of money: 200 CNY",
    Kind.instant: "write `before:` or `after:` with a date or `{ago: 30d}`",
}


def faults_in(condition: Condition | None, audience: Audience) -> Iterator[Fault]:
    """What is wrong with the comparisons of a condition; paths are inside it."""
    for test in tests_of(condition):
        yield from _faults_of(test, audience)


def _faults_of(test: Test, audience: Audience) -> Iterator[Fault]:
    name = test.field.name
    if test.field.kind is FieldKind.attribute and name not in ALWAYS_KEPT:
        near = nearest(name, audience.trait_names, cutoff=0.8)
        if near is not None:
            sentence = f"there is no trait `{name}`, and as an attribute it is very like one"
            yield Fault("unknown-trait", sentence, f"did you mean `{near}`?", test.path, True)
    if test.field.kind is FieldKind.attribute and name in ALWAYS_KEPT and test.word in EQUALITY:
        yield from _not_as_kept(test)
    if test.word is Word.known or test.field.kind in (FieldKind.segment, FieldKind.tag, FieldKind.message):
        return
    path = (*test.path, test.word.value)
    values = test.value if isinstance(test.value, tuple) else (test.value,)
    for value in values:
        if isinstance(value, Money) and audience.rate(value.currency) is None:
            sentence = f"nobody knows what a {value.currency} is worth in {audience.currency}"
            yield Fault(
                "no-rate", sentence, f"write its rate in config.yaml under rates, or use {audience.currency}", path
            )
    score = audience.score(test.field.name) if test.field.kind is FieldKind.trait else None
    if score is not None:
        yield from _unknown_values(test, path, frozenset(score.values), values)
        return
    if test.field.kind is FieldKind.trait and test.field.name in NIGHTLY:
        known = nightly.values_of(test.field.name)
        if known is not None and test.word in EQUALITY:
            yield from _unknown_values(test, path, frozenset(map(str, known)), values)
            return
    if test.word in (Word.one_of, Word.none_of) and isinstance(test.value, str) and test.value not in audience.lists:
        return  # a list that is not there is told as such
    kind = _kind_of(test, audience)
    wrong = next((value for value in values if kind is not None and not _may_meet(kind, value)), None)
    if wrong is not None and kind is not None:
        sentence = f"`{test.field.name}` is {_CALLED[kind]} and is compared with {_CALLED[kind_of_scalar(wrong)]}"
        yield Fault("wrong-kind", sentence, _HINTS[kind], path)


def _not_as_kept(test: Test) -> Iterator[Fault]:
    """Countries are kept by their two letters, languages as `zh-CN`, zones by their place."""
    meant = {"country": country_meant, "locale": locale_meant, "zone": zone_meant}.get(test.field.name)
    if meant is None or (isinstance(test.value, str) and test.word in (Word.one_of, Word.none_of)):
        return  # anything goes, or a list by name
    for value in test.value if isinstance(test.value, tuple) else (test.value,):
        right = meant(value) if isinstance(value, str) else None
        if right not in (None, value) and (test.field.name != "locale" or "_" in str(value)):
            sentence = f"`{test.field.name}` is never `{value}`"
            yield Fault("unknown-value", sentence, f"did you mean `{right}`?", (*test.path, test.word.value))


def _unknown_values(
    test: Test, path: tuple[str | int, ...], known: frozenset[str], values: tuple[Scalar, ...]
) -> Iterator[Fault]:
    if test.word in (Word.one_of, Word.none_of) and isinstance(test.value, str):
        return  # a list, by name
    for value in values:
        shown = f"{value:f}" if isinstance(value, Decimal) else value if isinstance(value, str) else "this"
        if shown not in known:
            yield Fault("unknown-value", f"`{test.field.name}` is never `{shown}`", hint_for(shown, known), path)


def _kind_of(test: Test, audience: Audience) -> Kind | None:
    """What the field always is, None where that differs from person to person."""
    if test.field.kind is FieldKind.trait:
        if test.field.name in NIGHTLY:
            return nightly.kind_of(test.field.name)
        trait = audience.trait_called(test.field.name)
        return kind_of(trait, audience) if trait is not None else None
    if test.field.kind is FieldKind.attribute and test.field.name in ALWAYS_KEPT:
        return Kind.instant if test.field.name == "created_at" else Kind.text
    return None


def _may_meet(kind: Kind, value: Scalar) -> bool:
    wanted = kind_of_scalar(value)
    return wanted is kind or (kind is Kind.money and wanted is Kind.number)

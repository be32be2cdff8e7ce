"""How conditions are written: every word, every kind of value, and what a bare name means where."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from engine.journey.conditions import (
    EVERYONE,
    Ago,
    All,
    Any,
    Condition,
    ConditionError,
    Field,
    FieldKind,
    Money,
    Not,
    Test,
    Word,
    parse_condition,
)
from engine.journey.conditions import tests_of as every_test
from engine.journey.source import read

TRAITS = frozenset({"churn_stage", "orders_12m", "spend_12m", "rfm.r"})


def person(text: str) -> Condition:
    return parse_condition(read(text, "f").value, "person", TRAITS)


def event(text: str) -> Condition:
    return parse_condition(read(text, "f").value, "event", TRAITS)


def attribute(name: str) -> Field:
    return Field(FieldKind.attribute, name)


@pytest.mark.parametrize(
    ("text", "word", "value"),
    [
        ("tier: gold", Word.is_, "gold"),
        ("tier: [gold, black]", Word.one_of, ("gold", "black")),
        ("tier: {is: gold}", Word.is_, "gold"),
        ("tier: {is_not: gold}", Word.is_not, "gold"),
        ("tier: {one_of: [gold]}", Word.one_of, ("gold",)),
        ("tier: {one_of: rivals}", Word.one_of, "rivals"),
        ("tier: {none_of: [a, 2]}", Word.none_of, ("a", Decimal(2))),
        ("tier: {at_least: 2}", Word.at_least, Decimal(2)),
        ("tier: {at_most: -2.50}", Word.at_most, Decimal("-2.50")),
        ("tier: {above: 200 CNY}", Word.above, Money(Decimal(200), "CNY")),
        ("tier: {below: 19.99 EUR}", Word.below, Money(Decimal("19.99"), "EUR")),
        ("tier: {between: [2, 5]}", Word.between, (Decimal(2), Decimal(5))),
        ("tier: {contains: ol}", Word.contains, "ol"),
        ("tier: {contains: 12}", Word.contains, "12"),
        ("tier: {starts_with: +86}", Word.starts_with, "+86"),
        ("tier: {known: true}", Word.known, True),
        ("tier: {known: false}", Word.known, False),
        ("tier: {before: {ago: 30d}}", Word.before, Ago(timedelta(days=30))),
        ("tier: {after: 2026-11-22T10:00:00+08:00}", Word.after, datetime(2026, 11, 22, 2, tzinfo=UTC)),
        ("tier: {after: 2026-11-22}", Word.after, datetime(2026, 11, 22, tzinfo=UTC)),
    ],
)
def test_every_word_takes_its_value(text: str, word: Word, value: object) -> None:
    assert person(text) == Test(attribute("tier"), word, value)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["010010", "+8613800138000", "NO", "true", "1e3", "0x10", "22:00", "2026-11-22", "5d"])
def test_what_only_looks_like_a_number_stays_text(text: str) -> None:
    assert person(f"code: {text}") == Test(attribute("code"), Word.is_, text)


@pytest.mark.parametrize(("text", "number"), [("5", "5"), ("0", "0"), ("-3", "-3"), ("2.50", "2.50")])
def test_a_number_becomes_a_number(text: str, number: str) -> None:
    assert person(f"code: {text}") == Test(attribute("code"), Word.is_, Decimal(number))


def test_all_lines_of_a_mapping_must_hold() -> None:
    assert person("tier: gold\norders_12m: {at_least: 2, below: 9}") == All(
        (
            Test(attribute("tier"), Word.is_, "gold"),
            Test(Field(FieldKind.trait, "orders_12m"), Word.at_least, Decimal(2)),
            Test(Field(FieldKind.trait, "orders_12m"), Word.below, Decimal(9)),
        )
    )
    assert person("{}") == EVERYONE


def test_any_all_and_not_nest() -> None:
    text = "any: [{tier: gold}, {all: [{segment: vip}, {not: {country: CN}}]}]"
    assert person(text) == Any(
        (
            Test(attribute("tier"), Word.is_, "gold"),
            All(
                (
                    Test(Field(FieldKind.segment, "segment"), Word.is_, "vip"),
                    Not(Test(attribute("country"), Word.is_, "CN")),
                )
            ),
        )
    )


def test_a_bare_name_is_a_trait_or_an_attribute_of_the_person() -> None:
    assert person("churn_stage: lost") == Test(Field(FieldKind.trait, "churn_stage"), Word.is_, "lost")
    assert person("rfm.r: 5") == Test(Field(FieldKind.trait, "rfm.r"), Word.is_, Decimal(5))
    assert person("country: HK") == Test(attribute("country"), Word.is_, "HK")
    assert person("event.total: 5") == Test(Field(FieldKind.event, "total"), Word.is_, Decimal(5))


def test_beside_an_event_a_bare_name_is_a_key_of_its_payload() -> None:
    assert event("total: 5") == event("event.total: 5") == Test(Field(FieldKind.event, "total"), Word.is_, Decimal(5))
    assert event("person.churn_stage: lost") == Test(Field(FieldKind.trait, "churn_stage"), Word.is_, "lost")
    assert event("person.tier: gold") == Test(attribute("tier"), Word.is_, "gold")
    with pytest.raises(ConditionError, match="could be a key of the event"):
        event("churn_stage: lost")


def test_segments_messages_and_the_clock_have_fields_of_their_own() -> None:
    weekday = Field(FieldKind.now, "weekday")
    assert person("segment: [vip, silent]") == Test(Field(FieldKind.segment, "segment"), Word.one_of, ("vip", "silent"))
    assert person("message.thanks: clicked") == Test(Field(FieldKind.message, "thanks"), Word.is_, "clicked")
    assert person("now.weekday: [sat, sun]") == Test(weekday, Word.one_of, ("sat", "sun"))
    assert person("now.weekday: mon-wed") == Test(weekday, Word.one_of, ("mon", "tue", "wed"))
    assert person("now.weekday: {is_not: mon-tue}") == Test(weekday, Word.none_of, ("mon", "tue"))
    assert person("now.hour: {at_least: 18}") == Test(Field(FieldKind.now, "hour"), Word.at_least, Decimal(18))


@pytest.mark.parametrize(
    ("text", "code", "path"),
    [
        ("tier: {at_leest: 2}", "bad-word", ("tier", "at_leest")),
        ("tier: {}", "bad-word", ("tier",)),
        ("tier: []", "expected-list", ("tier",)),
        ("tier: [[a]]", "expected-text", ("tier", 0)),
        ("tier:", "empty-value", ("tier",)),
        ("tier: null", "empty-value", ("tier",)),  # who means the word writes {is: null}
        ("any: [{tier: ~}]", "empty-value", ("any", 0, "tier")),
        ("any: [{a: b}, c]", "expected-mapping", ("any", 1)),
        ("not: [a]", "expected-mapping", ("not",)),
        ("tier: {at_least: 30d}", "expected-number", ("tier", "at_least")),
        ("tier: {at_least: ¥200}", "bad-money", ("tier", "at_least")),
        ("tier: {between: [1, 2, 3]}", "bad-between", ("tier", "between")),
        ("tier: {between: [1, 2 CNY]}", "bad-between", ("tier", "between")),
        ("tier: {before: {ago: 30}}", "bad-duration", ("tier", "before", "ago")),
        ("tier: {before: {since: 30d}}", "bad-instant", ("tier", "before")),
        ("tier: {before: 2026-11-22T10:00:00}", "bad-instant", ("tier", "before")),
        ("tier: {before: 0001-01-01T00:00:00+14:00}", "bad-instant", ("tier", "before")),
        ("segment: {at_least: vip}", "bad-word", ("segment", "at_least")),
        ("tag: {at_least: vip}", "bad-word", ("tag", "at_least")),
        ("tag: 'a, b'", "bad-tag", ("tag",)),
        ("tag: [vip, '-old']", "bad-tag", ("tag", 1)),
        ("now.weekday: sonntag", "bad-weekday", ("now.weekday",)),
        ("now.minute: 3", "unknown-field", ("now.minute",)),
        ("a b c!: 3", "bad-name", ("a b c!",)),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place_inside(text: str, code: str, path: tuple[str | int, ...]) -> None:
    with pytest.raises(ConditionError) as caught:
        person(text)
    assert [(fault.code, fault.path) for fault in caught.value.faults] == [(code, path)]
    assert caught.value.path == path


def test_all_mistakes_of_a_condition_are_told_at_once() -> None:
    with pytest.raises(ConditionError) as caught:
        person("a: {at_leest: 1, bellow: 2}\nany: [{b: {known: maybe}}]")
    assert [fault.path for fault in caught.value.faults] == [
        ("a", "at_leest"),
        ("a", "bellow"),
        ("any", 0, "b", "known"),
    ]


def test_every_test_knows_the_line_it_stands_in() -> None:
    condition = person("tier: gold\nany: [{a: 1}, {not: {b: {above: 2, below: 3}}}]")
    assert [test.path for test in every_test(condition)] == [
        ("tier",),
        ("any", 0, "a"),
        ("any", 1, "not", "b"),
        ("any", 1, "not", "b"),
    ]
    assert list(every_test(None)) == []

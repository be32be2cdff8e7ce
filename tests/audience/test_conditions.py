"""What each word of a condition means, in tables of values; every line is asked in memory and of SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any as Anything
from typing import Protocol
from zoneinfo import ZoneInfo

import pytest

from engine.audience.book import Audience, Trait, TraitKind
from engine.audience.conditions import as_sql, holds
from engine.audience.values import Happening, Person
from engine.audience.view import View
from engine.errors import BadInput
from engine.journey.conditions import EVERYONE, Ago, All, Any, Condition, Field, FieldKind, Money, Not, Test, Word
from engine.journey.conditions import parse_condition as parse
from engine.values import replace

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
AUDIENCE = Audience(
    traits={
        "orders": Trait(TraitKind.how_many, "Order Completed"),
        "spend": Trait(TraitKind.sum, "Order Completed", "total"),
        "items": Trait(TraitKind.sum, "Order Completed", "items"),
    },
    segments={"rich": Test(Field(FieldKind.attribute, "money"), Word.at_least, Decimal(1000))},
    lists={"metals": ("gold", "silver")},
    rates={"USD": Decimal("7.1")},
    currency="CNY",
)


class World(Protocol):
    """A database, from conftest."""

    def ask(self, people: Sequence[View], *columns: Anything) -> dict[int, tuple[Anything, ...]]: ...


def person(*happenings: Happening, country: str | None = "CN", **attributes: Anything) -> View:
    who = Person(1, "c1", ZoneInfo("Asia/Shanghai"), "zh-CN", country, NOW - timedelta(days=10), {}, attributes)
    return View(who, happenings, AUDIENCE)


def order(number: int = 1, **payload: Anything) -> Happening:
    return Happening(number, "Order Completed", NOW - timedelta(days=1), payload, NOW)


def both(sqlite: World, condition: Condition, view: View) -> bool:
    """The verdict, once it is the same on both sides."""
    in_memory = holds(condition, view, NOW)
    ((in_sql,),) = sqlite.ask([view], as_sql(condition, AUDIENCE, NOW)).values()
    assert in_sql in (0, 1)
    assert bool(in_sql) is in_memory
    return in_memory


MISSING = object()

TABLE: list[tuple[Anything, Anything, bool]] = [
    # what the attribute is, what is asked of it, whether that holds
    ("gold", "gold", True),
    ("gold", "Gold", False),
    ("gold", {"is_not": "gold"}, False),
    ("gold", {"is_not": "black"}, True),
    ("gold", ["black", "gold"], True),
    ("gold", {"none_of": ["black", "gold"]}, False),
    ("gold", {"one_of": "metals"}, True),
    ("tin", {"none_of": "metals"}, True),
    ("礼品卡", {"contains": "品"}, True),
    ("100%_a", {"contains": "%_"}, True),
    ("100a", {"contains": "%"}, False),
    ("礼品卡", {"starts_with": "礼品"}, True),
    ("😀 smile", {"starts_with": "😀 s"}, True),
    ("a gift", {"starts_with": "gift"}, False),
    (3, "3", True),
    (3.0, "3", True),
    (3, {"is_not": "4"}, True),
    (3, {"at_least": "3"}, True),
    (3, {"above": "3"}, False),
    (3, {"at_most": "3"}, True),
    (3, {"below": "3"}, False),
    (3, {"between": ["3", "5"]}, True),
    (5, {"between": ["3", "5"]}, True),
    (5.0001, {"between": ["3", "5"]}, False),
    (3, {"at_least": "2", "below": "3"}, False),
    (0.1 + 0.2, "0.3", True),  # in ten-thousandths
    (19.99, {"at_least": "19.99"}, True),
    (0.00004, "0", True),
    (0.00005, {"above": "0"}, True),
    (-0.00005, {"below": "0"}, True),
    (10**15, {"at_least": "1"}, True),
    (10**15 + 1, {"known": "true"}, True),  # too large to be counted: known, and equal to nothing
    (10**15 + 1, {"at_least": "1"}, False),
    (2**70, {"at_least": "1"}, False),
    (-(2**63), {"at_most": "1"}, False),
    (True, "true", True),
    (True, "false", False),
    (False, {"is_not": "true"}, True),
    (True, "1", False),
    ("10115", "10115", True),  # a postcode kept as text
    ("10115", {"at_least": "1"}, False),  # a text is no number
    ("010010", "010010", True),
    ("gold", {"is_not": "3"}, True),
    ([1, 2], "1", False),
    ([1, 2], {"known": "true"}, True),
    ({"a": 1}, {"is_not": "1"}, False),
    # unknown
    (MISSING, {"known": "false"}, True),
    (MISSING, {"known": "true"}, False),
    (None, {"known": "false"}, True),
    ("", {"known": "true"}, True),
    (None, "gold", False),
    (None, {"is_not": "gold"}, False),
    (None, {"none_of": ["gold"]}, False),
    (None, {"below": "3"}, False),
    (MISSING, {"is_not": "gold"}, False),
    # instants
    ("2026-11-01", {"before": "2026-11-02"}, True),
    ("2026-11-01", {"before": "2026-11-01"}, False),
    ("2026-11-01", {"after": "2026-10-31T23:59:59Z"}, True),
    ("2026-11-22T17:00:00+08:00", {"after": "2026-11-22T08:59:59Z"}, True),
    ("2026-11-22T17:00:00+08:00", {"before": "2026-11-22T09:00:00Z"}, False),
    ("2026-11-21T09:30:00Z", {"before": {"ago": "1d"}}, False),
    ("2026-11-21T09:29:59Z", {"before": {"ago": "1d"}}, True),
    ("2026-11-21T09:30:01Z", {"after": {"ago": "1d"}}, True),
    ("2026-02-29", {"after": "2020-01-01"}, False),
    ("2024-02-29", {"after": "2020-01-01"}, True),
    ("soon", {"after": "2020-01-01"}, False),
    (1763800000, {"after": "2020-01-01"}, False),
    # money: a plain number kept about a person is an amount of the shop's currency
    (142, {"at_least": "20 USD"}, True),
    (141.99, {"at_least": "20 USD"}, False),
    (200, {"is": "200 CNY"}, True),
    (200, {"at_least": "1 XTS"}, False),  # no rate
    ("200 CNY", {"at_least": "1 CNY"}, False),
]


@pytest.mark.parametrize(("value", "asked", "verdict"), TABLE)
def test_a_word_compares_what_is_known_and_not_turns_it_over(
    sqlite: World, value: Anything, asked: Anything, verdict: bool
) -> None:
    view = person() if value is MISSING else person(it=value)
    condition = parse({"it": asked}, "person", frozenset())
    assert both(sqlite, condition, view) is verdict
    assert both(sqlite, Not(condition), view) is not verdict


@pytest.mark.parametrize(
    ("asked", "verdict"),
    [
        ({"country": "CN", "locale": "zh-CN"}, True),
        ({"country": "CN", "locale": "en"}, False),
        ({"zone": "Asia/Shanghai"}, True),
        ({"external_id": "c1"}, True),
        ({"created_at": {"before": {"ago": "9d"}}}, True),
        ({"created_at": {"before": {"ago": "10d"}}}, False),
        ({"any": [{"country": "DE"}, {"country": "CN"}]}, True),
        ({"all": [{"country": "DE"}, {"country": "CN"}]}, False),
        ({"not": {"country": "DE"}}, True),
        ({"segment": "rich"}, True),
        ({"segment": {"is_not": "rich"}}, False),
        ({"segment": {"none_of": ["rich"]}}, False),
        ({"orders": {"at_least": "2"}}, True),
        ({"spend": {"between": ["171 CNY", "171 CNY"]}}, True),
        ({"spend": "171"}, True),  # money may be asked for as a number of the shop's currency
        ({"spend": {"at_least": "24 USD"}}, True),
        ({"items": {"at_least": "3"}}, True),  # a number of things is not converted
        ({"items": {"at_least": "1 CNY"}}, False),  # and is no money
        ({"orders": {"at_least": "1 CNY"}}, False),
    ],
)
def test_fields_of_a_person_are_attributes_traits_and_segments(sqlite: World, asked: Anything, verdict: bool) -> None:
    orders = order(1, total=100, items=1), order(2, total=10, currency="USD", items=2)
    condition = parse(asked, "person", AUDIENCE.trait_names)
    assert both(sqlite, condition, person(*orders, money=1000)) is verdict


@pytest.mark.parametrize(
    ("asked", "verdict"),
    [
        ("vip", True),
        ("early bird", True),
        ("Vip", False),
        (["gone", "vip"], True),
        (["gone", "lost"], False),
        ({"is_not": "vip"}, False),
        ({"is_not": "gone"}, True),
        ({"none_of": ["gone", "vip"]}, False),
        ({"none_of": ["gone", "lost"]}, True),
    ],
)
def test_tags_are_asked_for_by_name(sqlite: World, asked: Anything, verdict: bool) -> None:
    condition = parse({"tag": asked}, "person", frozenset())
    view = person()
    tagged = replace(view, person=replace(view.person, tags=frozenset({"vip", "early bird", "礼品"})))
    assert both(sqlite, condition, tagged) is verdict


def test_who_has_no_tag_is_not_tagged_and_its_not_is_true(sqlite: World) -> None:
    assert not both(sqlite, parse({"tag": "vip"}, "person", frozenset()), person())
    assert both(sqlite, parse({"tag": {"is_not": "vip"}}, "person", frozenset()), person())
    assert both(sqlite, parse({"not": {"person.tag": "vip"}}, "event", frozenset()), person())


def test_everyone_is_everyone_and_any_of_nothing_is_nobody(sqlite: World) -> None:
    assert both(sqlite, EVERYONE, person())
    assert both(sqlite, All(()), person())
    assert not both(sqlite, Any(()), person())


def test_a_country_that_is_not_known_is_neither_one_nor_another(sqlite: World) -> None:
    nowhere = person(country=None)
    for word in (Word.is_, Word.is_not):
        asked = Test(Field(FieldKind.attribute, "country"), word, "CN")
        assert not both(sqlite, asked, nowhere)
        assert both(sqlite, Not(asked), nowhere)


def in_payload(payload: dict[str, Anything], asked: Anything) -> bool:
    view = View(person().person, (), AUDIENCE, event=payload)
    return holds(parse(asked, "event", frozenset()), view, NOW)


@pytest.mark.parametrize(
    ("payload", "asked", "verdict"),
    [
        ({"total": 1}, {"total": {"at_least": "1"}}, True),
        ({"total": 10, "currency": "USD"}, {"total": {"at_least": "71"}}, True),
        ({"total": 10, "currency": "USD"}, {"total": {"at_least": "71.01"}}, False),
        ({"total": 10, "currency": "USD"}, {"total": {"at_least": "10 USD"}}, True),
        ({"total": 10, "currency": "USD"}, {"fee": {"known": "false"}}, True),
        ({"total": 10, "currency": None}, {"total": "10"}, True),
        ({"total": 10, "currency": "XTS"}, {"total": {"at_least": "0"}}, False),  # no rate: unknown
        ({"total": 10, "currency": "usd"}, {"total": {"at_least": "0"}}, False),
        ({"total": 10, "currency": 7}, {"total": {"at_least": "0"}}, False),
        ({"items": 10, "currency": "XTS"}, {"items": "10"}, True),  # no money, no rate needed
        ({"fee": 10, "currency": "USD"}, {"fee": {"at_least": "71 CNY"}}, True),  # asked for as money
        ({}, {"total": {"at_least": "0"}}, False),
    ],
)
def test_money_in_an_event_is_counted_in_the_shops_currency(
    payload: dict[str, Anything], asked: Anything, verdict: bool
) -> None:
    assert in_payload(payload, asked) is verdict


def test_without_an_event_at_hand_its_keys_are_unknown() -> None:
    asked = Test(Field(FieldKind.event, "total"), Word.is_not, "x")
    assert not holds(asked, person(), NOW)


@pytest.mark.parametrize(
    ("asked", "verdict"),
    [
        ({"message.thanks": "clicked"}, True),
        ({"message.thanks": "opened"}, False),
        ({"message.thanks": {"is_not": "opened"}}, True),
        ({"message.thanks": ["opened", "clicked"]}, True),
        ({"message.thanks": {"none_of": ["sent", "opened"]}}, False),
        ({"message.other": "sent"}, False),
        ({"message.other": {"is_not": "clicked"}}, False),  # never sent: unknown
        ({"not": {"message.other": "sent"}}, True),
        ({"now.weekday": "sun"}, True),
        ({"now.weekday": "mon-sat"}, False),
        ({"now.hour": {"at_least": "17", "below": "18"}}, True),  # half past nine in UTC
    ],
)
def test_messages_and_the_clock_are_those_of_this_person(asked: Anything, verdict: bool) -> None:
    view = View(person().person, (), AUDIENCE, messages={"thanks": {"sent", "clicked"}})
    assert holds(parse(asked, "person", frozenset()), view, NOW) is verdict


@pytest.mark.parametrize("asked", [{"event.total": "1"}, {"message.thanks": "sent"}, {"now.hour": "3"}])
def test_what_one_moment_knows_cannot_be_asked_of_everyone(asked: Anything) -> None:
    (name,) = asked
    with pytest.raises(BadInput, match=f"`{name}` is known for one person at one moment only"):
        as_sql(parse(asked, "person", frozenset()), AUDIENCE, NOW)


@pytest.mark.parametrize("kind", [FieldKind.trait, FieldKind.segment])
def test_a_name_that_does_not_exist_is_told_in_a_sentence(kind: FieldKind) -> None:
    asked = Test(Field(kind, "ghost"), Word.is_, "ghost")
    with pytest.raises(BadInput, match=r"there is no (trait|segment) `ghost`"):
        holds(asked, person(), NOW)
    with pytest.raises(BadInput, match=r"there is no (trait|segment) `ghost`"):
        as_sql(asked, AUDIENCE, NOW)


def test_a_distance_that_leaves_the_calendar_is_as_far_as_it_goes(sqlite: World) -> None:
    asked = Test(Field(FieldKind.attribute, "created_at"), Word.after, Ago(timedelta(days=900_000)))
    assert both(sqlite, asked, person())


def test_an_amount_keeps_its_currency_through_every_word(sqlite: World) -> None:
    for word, verdict in ((Word.is_, True), (Word.at_least, True), (Word.above, False), (Word.is_not, False)):
        asked = Test(Field(FieldKind.attribute, "it"), word, Money(Decimal(20), "USD"))
        assert both(sqlite, asked, person(it=142)) is verdict

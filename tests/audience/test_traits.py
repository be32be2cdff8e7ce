"""What each trait computes, from small histories one can check by hand, asked in memory and of SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import pytest

from engine.audience import traits
from engine.audience.book import Audience, Trait, TraitKind
from engine.audience.compare import Kind
from engine.audience.values import Happening, Person
from engine.audience.view import View
from engine.journey.conditions import Field, FieldKind, Money, Not, Test, Word

NOW = datetime(2026, 11, 22, 9, 30, 0, 500_000, tzinfo=UTC)
DAY = timedelta(days=1)
HAIR = timedelta(microseconds=1)
WHO = Person(1, "c1", ZoneInfo("Asia/Shanghai"), "zh-CN", "CN", NOW - 10 * DAY)


class World(Protocol):
    """A database, from conftest."""

    def ask(self, people: Sequence[View], *columns: Any) -> dict[int, tuple[Any, ...]]: ...


def value(sqlite: World, trait: Trait, *happenings: Happening) -> traits.Value:
    """The trait's value in memory, once SQLite has said the same."""
    audience = Audience(traits={"it": trait}, rates={"USD": Decimal("7.1")}, currency="CNY")
    view = View(WHO, happenings, audience)
    found = traits.value("it", view, NOW)
    kind = {str: Kind.text, bool: Kind.truth, datetime: Kind.instant}.get(type(found), Kind.number)
    if found is not None:
        ((stored,),) = sqlite.ask([view], traits.as_sql("it", audience, NOW, kind)).values()
        plain = found.amount if isinstance(found, Money) else found
        assert stored == (float(plain) if isinstance(plain, Decimal) else plain)
    else:
        kinds = [traits.kind("it", audience)] if traits.kind("it", audience) else [Kind.text, Kind.number, Kind.truth]
        columns = (traits.as_sql("it", audience, NOW, each) for each in kinds)
        assert set(sqlite.ask([view], *columns)[1]) == {None}
    return found


def at(days: float, name: str = "Order Completed", number: int | None = None, **payload: Any) -> Happening:
    """An event so many days ago."""
    instant = NOW - timedelta(days=days)
    return Happening(number or 1000 - int(days * 10), name, instant, payload, NOW)


@pytest.mark.parametrize(
    ("ago", "days"),
    [
        (timedelta(0), 0),
        (DAY - HAIR, 0),
        (DAY, 1),
        (3 * DAY - HAIR, 2),
        (3 * DAY, 3),
        (timedelta(days=2, hours=23, minutes=59, seconds=59, milliseconds=600), 2),
        (800 * DAY, 800),
    ],
)
def test_days_are_whole_and_24_hours_long(sqlite: World, ago: timedelta, days: int) -> None:
    visit = Happening(1, "Page Viewed", NOW - ago, {}, NOW)
    assert value(sqlite, Trait(TraitKind.days_since_last, "Page Viewed"), visit) == days
    assert value(sqlite, Trait(TraitKind.days_since_first, "Page Viewed"), visit) == days


def test_the_latest_and_the_earliest_count_and_of_nothing_days_are_unknown(sqlite: World) -> None:
    history = at(9), at(2), at(5)
    assert value(sqlite, Trait(TraitKind.days_since_last, "Order Completed"), *history) == 2
    assert value(sqlite, Trait(TraitKind.days_since_first, "Order Completed"), *history) == 9
    assert value(sqlite, Trait(TraitKind.days_since_first, "Order Completed", within=7 * DAY), *history) == 5
    assert value(sqlite, Trait(TraitKind.days_since_last, "Page Viewed"), *history) is None


def test_a_window_begins_just_after_its_far_edge_and_ends_with_now(sqlite: World) -> None:
    count = Trait(TraitKind.how_many, "Order Completed", within=30 * DAY)
    edge = NOW - 30 * DAY
    history = [Happening(n, "Order Completed", instant, {}, NOW) for n, instant in enumerate((edge, edge + HAIR, NOW))]
    assert value(sqlite, count, *history) == 2


def test_what_has_not_happened_yet_does_not_exist(sqlite: World) -> None:
    tomorrow = Happening(1, "Order Completed", NOW + HAIR, {"total": 5}, NOW)
    assert value(sqlite, Trait(TraitKind.how_many, "Order Completed"), tomorrow) == 0
    assert value(sqlite, Trait(TraitKind.last, "Order Completed", "total"), tomorrow) is None
    assert value(sqlite, Trait(TraitKind.how_many, "A", unless_after=("Order Completed",)), at(1, "A"), tomorrow) == 1


def test_counts_and_sums_of_nothing_are_nothing_and_averages_are_unknown(sqlite: World) -> None:
    assert value(sqlite, Trait(TraitKind.how_many, "Order Completed")) == 0
    assert value(sqlite, Trait(TraitKind.sum, "Order Completed", "total")) == Money(Decimal(0), "CNY")
    assert value(sqlite, Trait(TraitKind.sum, "Order Completed", "items")) == Decimal(0)
    assert value(sqlite, Trait(TraitKind.average, "Order Completed", "items")) is None


def test_a_sum_of_money_is_in_the_shops_currency_and_leaves_out_what_it_cannot_convert(sqlite: World) -> None:
    history = (
        at(1, total=0.1),
        at(2, total=0.2),
        at(3, total=10, currency="USD"),
        at(4, total=99, currency="XTS"),
        at(5, total="99"),
        at(6, total=None),
        at(7),
        at(8, total=True),
        at(9, total=1e300),
    )
    assert value(sqlite, Trait(TraitKind.sum, "Order Completed", "total"), *history) == Money(Decimal("71.3"), "CNY")
    average = Trait(TraitKind.average, "Order Completed", "total")
    assert value(sqlite, average, *history) == Money(Decimal("23.7667"), "CNY")


@pytest.mark.parametrize(
    ("currency", "worth"),
    [
        ({}, "10"),  # without one it is the shop's
        ({"currency": None}, "10"),
        ({"currency": "CNY"}, "10"),
        ({"currency": "USD"}, "71"),
        ({"currency": "usd"}, None),  # written otherwise it is another
        ({"currency": "XTS"}, None),
        ({"currency": ""}, None),
        ({"currency": 7}, None),
        ({"currency": True}, None),
        ({"currency": ["USD"]}, None),
    ],
)
def test_an_amount_counts_in_its_currency_or_not_at_all(
    sqlite: World, currency: dict[str, Any], worth: str | None
) -> None:
    known = Money(Decimal(worth), "CNY") if worth else None
    history = [Happening(1, "Order Completed", NOW - DAY, {"total": 10, **currency}, NOW)]
    nothing = Money(Decimal(0), "CNY")
    assert value(sqlite, Trait(TraitKind.sum, "Order Completed", "total"), *history) == (known or nothing)
    for kind in (TraitKind.average, TraitKind.largest, TraitKind.smallest, TraitKind.first, TraitKind.last):
        assert value(sqlite, Trait(kind, "Order Completed", "total"), *history) == known
    assert value(sqlite, Trait(TraitKind.distinct, "Order Completed", "total"), *history) == (1 if worth else 0)


def test_a_number_of_things_is_never_converted(sqlite: World) -> None:
    history = at(1, items=2, currency="USD"), at(2, items=3, currency="XTS")
    assert value(sqlite, Trait(TraitKind.sum, "Order Completed", "items"), *history) == Decimal(5)


def test_first_and_last_are_what_the_payload_holds_also_nothing(sqlite: World) -> None:
    history = at(3, category="tea"), at(2, category="lamps"), at(1)
    assert value(sqlite, Trait(TraitKind.first, "Order Completed", "category"), *history) == "tea"
    assert value(sqlite, Trait(TraitKind.last, "Order Completed", "category"), *history) is None
    assert value(sqlite, Trait(TraitKind.last, "Order Completed", "category"), *history[:2]) == "lamps"
    assert value(sqlite, Trait(TraitKind.last, "Order Completed", "gift"), at(1, gift=True)) is True
    assert value(sqlite, Trait(TraitKind.last, "Order Completed", "size"), at(1, size=42.5)) == Decimal("42.5")
    dollars = at(1, total=10, currency="USD")
    assert value(sqlite, Trait(TraitKind.last, "Order Completed", "total"), dollars) == Money(Decimal(71), "CNY")


def test_first_and_last_without_a_key_are_instants(sqlite: World) -> None:
    history = at(3), at(1)
    assert value(sqlite, Trait(TraitKind.first, "Order Completed"), *history) == NOW - 3 * DAY
    assert value(sqlite, Trait(TraitKind.last, "Order Completed"), *history) == NOW - DAY


def test_of_two_events_at_one_instant_the_later_recorded_is_the_later(sqlite: World) -> None:
    history = at(1, number=8, category="b"), at(1, number=7, category="a")
    assert value(sqlite, Trait(TraitKind.last, "Order Completed", "category"), *history) == "b"
    assert value(sqlite, Trait(TraitKind.first, "Order Completed", "category"), *history) == "a"


def test_the_most_common_text_wins_and_among_equals_the_one_used_last(sqlite: World) -> None:
    common = Trait(TraitKind.most_common, "Order Completed", "category")
    history = at(9, category="tea"), at(5, category="lamps"), at(4, category="tea"), at(3, category=7), at(2)
    assert value(sqlite, common, *history) == "tea"
    assert value(sqlite, common, *history, at(1, category="lamps")) == "lamps"
    assert value(sqlite, common, at(1, category=7)) is None


def test_of_texts_as_common_at_the_very_same_instant_the_one_recorded_last_wins(sqlite: World) -> None:
    common = Trait(TraitKind.most_common, "Order Completed", "category")
    assert value(sqlite, common, at(1, number=7, category="tea"), at(1, number=8, category="lamps")) == "lamps"
    assert value(sqlite, common, at(1, number=8, category="tea"), at(1, number=7, category="lamps")) == "tea"


def test_between_events_of_one_instant_the_gap_is_nothing(sqlite: World) -> None:
    history = at(5, number=1), at(5, number=2), at(5, number=3)
    assert value(sqlite, Trait(TraitKind.median_gap, "Order Completed"), *history) == Decimal(0)
    assert value(sqlite, Trait(TraitKind.days_overdue, "Order Completed"), *history) == Decimal(5)


@pytest.mark.parametrize("kind", list(TraitKind))
def test_every_kind_looks_at_its_window_its_where_and_what_voids_it(sqlite: World, kind: TraitKind) -> None:
    """Two of six orders are looked at: the others are too old, of another category, or before the complaint."""
    gold = Test(Field(FieldKind.event, "category"), Word.is_, "gold")
    keyless = (TraitKind.days_since_last, TraitKind.days_since_first, TraitKind.how_many)
    key = None if kind in (*keyless, TraitKind.median_gap, TraitKind.days_overdue) else "size"
    refined = Trait(kind, "Order Completed", key, within=30 * DAY, where=gold, unless_after=("Complaint Filed",))
    looked_at = at(8, category="gold", size=3), at(2, category="gold", size=5)
    others = (
        at(30, category="gold", size=9),
        at(12, category="gold", size=1),
        at(1, category="tin", size=7),
        at(0.5, category=None, size=8),
        at(10, "Complaint Filed"),
    )
    assert value(sqlite, refined, *looked_at, *others) == value(sqlite, Trait(kind, "Order Completed", key), *looked_at)


def test_the_median_gap_is_the_middle_one_or_between_the_middle_two(sqlite: World) -> None:
    gap = Trait(TraitKind.median_gap, "Order Completed")
    assert value(sqlite, gap) is None
    assert value(sqlite, gap, at(5)) is None
    assert value(sqlite, gap, at(10), at(5)) == Decimal(5)
    assert value(sqlite, gap, at(30), at(10), at(9), at(6)) == Decimal(3)
    assert value(sqlite, gap, at(30), at(10), at(9), at(6), at(1)) == Decimal(4)
    assert value(sqlite, gap, at(2), at(1.9)) == Decimal("0.1")


def test_the_largest_and_the_smallest_leave_out_what_is_no_number(sqlite: World) -> None:
    history = at(1, items=2), at(2, items=7.5), at(3, items="9"), at(4, items=None), at(5), at(6, items=True)
    assert value(sqlite, Trait(TraitKind.largest, "Order Completed", "items"), *history) == Decimal("7.5")
    assert value(sqlite, Trait(TraitKind.smallest, "Order Completed", "items"), *history) == Decimal(2)
    assert value(sqlite, Trait(TraitKind.smallest, "Order Completed", "items", within=DAY), *history) is None
    assert value(sqlite, Trait(TraitKind.largest, "Order Completed", "items"), *history[2:]) is None


def test_the_largest_amount_is_the_largest_in_the_shops_currency(sqlite: World) -> None:
    history = at(1, total=50), at(2, total=10, currency="USD"), at(3, total=9999, currency="XTS")
    assert value(sqlite, Trait(TraitKind.largest, "Order Completed", "total"), *history) == Money(Decimal(71), "CNY")
    assert value(sqlite, Trait(TraitKind.smallest, "Order Completed", "total"), *history) == Money(Decimal(50), "CNY")


@pytest.mark.parametrize(
    ("values", "different"),
    [
        ([], 0),
        (["tea", "lamps", "tea"], 2),
        (["tea", "Tea"], 2),
        ([None, [], {}, ["tea"]], 0),
        ([5, 5.0, "5"], 2),  # a number, and a text
        ([True, "true", False], 2),  # read as the texts they are written as
        ([0.1, 0.10001, 0.1001], 2),  # numbers count in ten-thousandths
        ([1e300, 1e301], 0),  # beyond what a number may be
        (["茶", "茶", ""], 2),
    ],
)
def test_different_texts_and_numbers_are_counted_once_each(sqlite: World, values: list[Any], different: int) -> None:
    history = [at(number, category=each) for number, each in enumerate(values)]
    assert value(sqlite, Trait(TraitKind.distinct, "Order Completed", "category"), *history, at(99)) == different


def test_equal_amounts_of_two_currencies_are_one(sqlite: World) -> None:
    history = at(1, total=71), at(2, total=10, currency="USD"), at(3, total=10), at(4, total=10, currency="XTS")
    assert value(sqlite, Trait(TraitKind.distinct, "Order Completed", "total"), *history) == 2


def test_days_overdue_are_whole_days_since_the_latest_less_the_usual_gap(sqlite: World) -> None:
    tea = Test(Field(FieldKind.event, "category"), Word.is_, "tea")
    overdue = Trait(TraitKind.days_overdue, "Order Completed", where=tea)
    history = at(45, category="tea"), at(25.5, category="tea"), at(1, category="lamps")
    assert value(sqlite, overdue, *history) == Decimal("5.5")
    assert value(sqlite, overdue, *history[1:]) is None
    recent = Trait(TraitKind.days_overdue, "Order Completed", within=30 * DAY)
    assert value(sqlite, recent, *history) == Decimal("-23.5")


def test_only_events_whose_payload_meets_the_condition_count(sqlite: World) -> None:
    gold = Test(Field(FieldKind.event, "category"), Word.is_, "gold")
    history = at(3, category="gold"), at(2, category="tin"), at(1)
    assert value(sqlite, Trait(TraitKind.how_many, "Order Completed", where=gold), *history) == 1
    assert value(sqlite, Trait(TraitKind.how_many, "Order Completed", where=Not(gold)), *history) == 2
    assert value(sqlite, Trait(TraitKind.days_since_last, "Order Completed", where=gold), *history) == 3


def test_what_came_before_the_last_voiding_event_does_not_count(sqlite: World) -> None:
    cart = Trait(TraitKind.last, "Cart Updated", "total", within=7 * DAY, unless_after=("Order Completed",))
    filled = at(3, "Cart Updated", total=50)
    assert value(sqlite, cart, filled) == Money(Decimal(50), "CNY")
    assert value(sqlite, cart, filled, at(2)) is None
    assert value(sqlite, cart, filled, at(3, number=5000)) is None  # at the very same instant: bought
    assert value(sqlite, cart, filled, at(4)) == Money(Decimal(50), "CNY")
    since = Trait(TraitKind.how_many, "Page Viewed", unless_after=("Order Completed", "Order Refunded"))
    visits = at(5, "Page Viewed"), at(3, "Page Viewed"), at(1, "Page Viewed")
    assert value(sqlite, since, *visits, at(4), at(2, "Order Refunded")) == 1


def test_a_window_may_end_where_someone_was_last_seen(sqlite: World) -> None:
    searches = Trait(
        TraitKind.how_many, "Products Searched", within=7 * DAY, until_last=("Page Viewed", "Order Completed")
    )
    history = (
        at(90, "Products Searched"),
        at(84, "Products Searched"),
        at(60, "Products Searched"),
        at(80, "Page Viewed"),
    )
    assert value(sqlite, searches, *history) == 1
    assert value(sqlite, searches, *history, at(83)) == 1
    assert value(sqlite, searches, *history[:3]) == 0


def test_keys_may_be_in_any_script_and_hold_dots(sqlite: World) -> None:
    history = at(1, **{"类别": "茶", "a.b": 3})
    assert value(sqlite, Trait(TraitKind.last, "Order Completed", "类别"), history) == "茶"
    assert value(sqlite, Trait(TraitKind.sum, "Order Completed", "a.b"), history) == Decimal(3)


def test_events_of_someone_else_do_not_count(sqlite: World) -> None:
    audience = Audience(traits={"it": Trait(TraitKind.how_many, "Order Completed")})
    other = Person(2, "c2", WHO.zone, "en", None, NOW)
    views = [View(WHO, (at(1, number=1),), audience), View(other, (at(1, number=2), at(2, number=3)), audience)]
    assert sqlite.ask(views, traits.as_sql("it", audience, NOW)) == {1: (1.0,), 2: (2.0,)}

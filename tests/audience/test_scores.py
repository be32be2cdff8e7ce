"""The built-in scores by their written rules; every case is asked in memory and of SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import pytest

from engine.audience import traits
from engine.audience.book import BUILT_IN, Audience
from engine.audience.scores import scores_of
from engine.audience.terms import NIGHTLY
from engine.audience.values import Happening, Person
from engine.audience.view import View
from engine.journey.conditions import Money
from engine.settings import Scores

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
AUDIENCE = Audience(
    lists={"rivals": ("othershop", "bargainhut")},
    scores=Scores(core_spend=Money(Decimal(5000), "CNY")),
    rates={"USD": Decimal("7.1")},
    currency="CNY",
)


class World(Protocol):
    """A database, from conftest."""

    def ask(self, people: Sequence[View], *columns: Any) -> dict[int, tuple[Any, ...]]: ...


def view(*history: tuple[str, float] | tuple[str, float, dict[str, Any]], known_for: float = 400) -> View:
    """A person and what happened so many days ago."""
    who = Person(1, "c1", ZoneInfo("Asia/Shanghai"), "zh-CN", "CN", NOW - timedelta(days=known_for))
    happenings = [
        Happening(number, name, NOW - timedelta(days=days), payload[0] if payload else {}, NOW)
        for number, (name, days, *payload) in enumerate(history)
    ]
    return View(who, happenings, AUDIENCE)


def score(sqlite: World, name: str, person: View) -> Any:
    found = traits.value(name, person, NOW)
    assert sqlite.ask([person], traits.as_sql(name, AUDIENCE, NOW)) == {1: (found,)}
    return found


def visits(*days: float) -> list[tuple[str, float]]:
    return [("Page Viewed", each) for each in days]


def orders(*days: float, **payload: Any) -> list[tuple[str, float, dict[str, Any]]]:
    return [("Order Completed", each, payload) for each in days]


def test_the_names_of_the_built_in_scores_all_have_a_rule() -> None:
    assert all(AUDIENCE.score(name) or AUDIENCE.trait(name) for name in BUILT_IN - NIGHTLY)
    assert {value for rule in scores_of(AUDIENCE.scores).values() for value in rule.values} == {
        *("core", "growth", "base"),
        *("lost", "hesitating", "warning", "active"),
        *("service", "rival", "price", "silent"),
        *("new", "growing", "mature", "declining", "revived"),
    }


@pytest.mark.parametrize(
    ("history", "tier"),
    [
        ([], "base"),
        (orders(1), "base"),
        (orders(1, 2), "growth"),
        (orders(1, 364.9), "growth"),
        (orders(1, 365), "base"),
        (orders(1, 2, 3, 4, 5), "core"),
        (orders(1, total=4999.99), "base"),
        (orders(1, total=5000), "core"),
        (orders(1, total=705, currency="USD"), "core"),
        (orders(1, total=704, currency="USD"), "base"),
        (orders(1, 2, total=9999, currency="XTS"), "growth"),
    ],
)
def test_value_tier_is_by_orders_or_spending_of_a_year(sqlite: World, history: list[Any], tier: str) -> None:
    assert score(sqlite, "value_tier", view(*history)) == tier


@pytest.mark.parametrize(
    ("history", "known_for", "stage"),
    [
        (visits(1), 400, "active"),
        (visits(2.9), 400, "active"),
        (visits(3), 400, "warning"),
        (orders(2), 400, "active"),  # an order is a sign of life too
        (visits(29.9), 400, "warning"),
        (visits(30), 400, "lost"),
        (visits(30) + orders(29), 400, "warning"),
        ([], 2, "active"),  # never seen: silent since first known
        ([], 3, "warning"),
        ([], 29, "warning"),
        ([], 30, "lost"),
        (visits(40), 1, "lost"),  # imported yesterday, last seen long ago
        (visits(1, 2, 3), 400, "hesitating"),
        (visits(1, 2, 31), 400, "active"),
        (visits(10, 11, 12), 400, "hesitating"),  # before warning
        (visits(1, 2, 3) + orders(20), 400, "active"),  # has bought
        (visits(1, 2, 3) + orders(30), 400, "hesitating"),
    ],
)
def test_churn_stage_is_the_gravest_that_holds(sqlite: World, history: list[Any], known_for: float, stage: str) -> None:
    assert score(sqlite, "churn_stage", view(*history, known_for=known_for)) == stage


SEARCH = "Products Searched"


@pytest.mark.parametrize(
    ("history", "reason"),
    [
        ([], "silent"),
        (visits(60), "silent"),
        ([("Complaint Filed", 1), ("Complaint Filed", 179)], "service"),
        ([("Complaint Filed", 1), ("Complaint Filed", 180)], "silent"),
        ([("Complaint Filed", 1)], "silent"),
        ([*visits(60), (SEARCH, 89, {"query": "lamp othershop"})], "rival"),
        ([*visits(60), (SEARCH, 90, {"query": "lamp othershop"})], "silent"),
        ([*visits(60), (SEARCH, 61, {"query": "Othershop"})], "rival"),
        ([*visits(60), (SEARCH, 61, {"query": "OTHERSHOP lamp"})], "rival"),
        ([*visits(60), (SEARCH, 61, {"query": "otherShop"})], "silent"),  # small, large or with a capital; not mixed
        ([*visits(60), (SEARCH, 61, {"query": 7})], "silent"),
        ([(SEARCH, 61, {"query": "bargainhut"})], "rival"),
        ([*visits(60), ("Cart Updated", 70)], "price"),
        ([*visits(60), ("Cart Updated", 70), *orders(65)], "silent"),
        ([*visits(60), ("Cart Updated", 70), *orders(75)], "price"),
        ([*visits(60), ("Cart Updated", 91)], "silent"),
        (orders(100, 200, voucher="WELCOME"), "price"),  # buys with vouchers only
        (orders(100, voucher="WELCOME"), "silent"),
        ([*orders(100, 200, voucher="WELCOME"), *orders(300)], "silent"),
        ([*orders(100, 200, voucher="WELCOME"), *orders(366)], "price"),
        (orders(100, 200, voucher=None), "silent"),
        ([*visits(60), ("Cart Updated", 70), (SEARCH, 61, {"query": "othershop"})], "rival"),
        ([("Complaint Filed", 1), ("Complaint Filed", 2), (SEARCH, 61, {"query": "othershop"})], "service"),
    ],
)
def test_churn_reason_is_the_first_rule_that_holds(sqlite: World, history: list[Any], reason: str) -> None:
    assert score(sqlite, "churn_reason", view(*history)) == reason


@pytest.mark.parametrize(
    ("history", "lifecycle"),
    [
        ([], None),
        (visits(1), None),  # who never bought has none
        (orders(1), "new"),
        (orders(89.9), "new"),
        (orders(90), "declining"),
        (orders(1, 2), "growing"),
        (orders(1, 2, 3), "growing"),
        (orders(1, 2, 3, 4), "mature"),
        (orders(1, 100, 200, 300), "mature"),
        (orders(91, 92, 93, 94), "declining"),
        (orders(1, 180.9), "growing"),
        (orders(1, 181), "revived"),  # 180 days between the two
        (orders(1, 181, 182, 183), "revived"),
        (orders(1, 2, 200, 201, 202), "mature"),  # has bought once more since
        (orders(90, 300), "declining"),
    ],
)
def test_lifecycle_is_the_first_rule_that_holds(sqlite: World, history: list[Any], lifecycle: str | None) -> None:
    assert score(sqlite, "lifecycle", view(*history)) == lifecycle


@pytest.mark.parametrize(
    ("history", "gap", "overdue"),
    [
        ([], None, None),
        (orders(10), None, None),
        (orders(10, 40), Decimal(30), Decimal(-20)),  # the next one is expected in 20 days
        (orders(40, 70), Decimal(30), Decimal(10)),
        (orders(40.9, 70.9), Decimal(30), Decimal(10)),  # days are whole
        (orders(12, 40, 50, 90), Decimal(28), Decimal(-16)),
        (orders(60, 70, 75), Decimal("7.5"), Decimal("52.5")),
    ],
)
def test_who_is_overdue_has_not_bought_for_longer_than_usual(
    sqlite: World, history: list[Any], gap: Decimal | None, overdue: Decimal | None
) -> None:
    person = view(*history)
    assert traits.value("purchase_gap_days", person, NOW) == gap
    assert traits.value("overdue_days", person, NOW) == overdue
    columns = (traits.as_sql(name, AUDIENCE, NOW) for name in ("purchase_gap_days", "overdue_days"))
    plain = tuple(None if each is None else float(each) for each in (gap, overdue))
    assert sqlite.ask([person], *columns) == {1: plain}


def test_without_a_list_of_rivals_nobody_leaves_for_one(sqlite: World) -> None:
    lonely = View(view().person, view((SEARCH, 3, {"query": "othershop"})).happenings, Audience())
    assert traits.value("churn_reason", lonely, NOW) == "silent"
    assert sqlite.ask([lonely], traits.as_sql("churn_reason", Audience(), NOW)) == {1: ("silent",)}


def test_every_threshold_is_a_setting(sqlite: World) -> None:
    strict = Audience(
        scores=Scores(
            warning_after=timedelta(hours=1),
            lost_after=timedelta(days=2),
            core_orders=1,
            service_complaints=1,
            complaints_within=timedelta(days=1),
            declining_after=timedelta(days=301),
            revived_after=timedelta(days=9),
            mature_orders=2,
            page_viewed="Visit",
        )
    )
    person = View(
        view().person,
        view(("Visit", 1.9), *orders(300, 308), ("Complaint Filed", 0.5)).happenings,
        strict,
    )
    for name, expected in (
        ("churn_stage", "warning"),
        ("value_tier", "core"),
        ("churn_reason", "service"),
        ("lifecycle", "mature"),
    ):
        assert traits.value(name, person, NOW) == expected
        assert sqlite.ask([person], traits.as_sql(name, strict, NOW)) == {1: (expected,)}

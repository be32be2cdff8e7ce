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
    assert all(AUDIENCE.score(name) for name in BUILT_IN)
    assert {value for name in BUILT_IN for value in AUDIENCE.score(name).values} == {  # type: ignore[union-attr]
        *("core", "growth", "base"),
        *("lost", "hesitating", "warning", "active"),
        *("service", "rival", "price", "silent"),
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
        ([*visits(60), (SEARCH, 61, {"query": "Othershop"})], "silent"),  # as it is written in the list
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
            page_viewed="Visit",
        )
    )
    person = View(
        view().person,
        view(("Visit", 1.9), ("Order Completed", 300), ("Complaint Filed", 0.5)).happenings,
        strict,
    )
    for name, expected in (("churn_stage", "warning"), ("value_tier", "core"), ("churn_reason", "service")):
        assert traits.value(name, person, NOW) == expected
        assert sqlite.ask([person], traits.as_sql(name, strict, NOW)) == {1: (expected,)}

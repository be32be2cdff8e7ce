"""Made-up customers with orders, by arithmetic alone: the same number always gives the same person."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

NOW = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)  # the instant of every measurement
LOCALES = (("zh-CN", "Asia/Shanghai", "CN"), ("en", "Europe/London", "GB"), ("de", "Europe/Berlin", "DE"))
NAMES = ("Mei", "Emma", "Jonas", "Lan", "Amara", "Otto", "Yuki", "Zoë", "思远", "Ana")
CATEGORIES = ("candles", "kitchen", "textiles", "stationery", "tea")


@dataclass(frozen=True)
class Order:
    """One order, in the shop's currency."""

    id: str
    at: datetime
    total: Decimal
    category: str


@dataclass(frozen=True)
class Person:
    """One customer. Four of five have ordered more than once in the last year and are in the audience."""

    id: int
    first_name: str
    email: str
    locale: str
    zone: str
    country: str
    orders: tuple[Order, ...]


def people(count: int) -> Iterator[Person]:
    return (_person(number) for number in range(1, count + 1))


def audience(count: int) -> int:
    """How many of so many people are in the audience."""
    return sum(1 for number in range(1, count + 1) if _order_count(number) > 1)


def _person(number: int) -> Person:
    locale, zone, country = LOCALES[number % 3]
    return Person(
        id=number,
        first_name=NAMES[_chance(number, "name") % len(NAMES)],
        email=f"person{number}@example.com",
        locale=locale,
        zone=zone,
        country=country,
        orders=tuple(_order(number, nth) for nth in range(_order_count(number))),
    )


def _order_count(number: int) -> int:
    return 1 if number % 5 == 0 else 2 + _chance(number, "orders") % 4


def _order(number: int, nth: int) -> Order:
    days = 5 + _chance(number, f"day{nth}") % 330
    cents = 1_000 + _chance(number, f"total{nth}") % 200_000
    category = CATEGORIES[_chance(number, f"category{nth}") % len(CATEGORIES)]
    return Order(f"A{number:07}-{nth}", NOW - timedelta(days=days), Decimal(cents) / 100, category)


def _chance(number: int, name: str) -> int:
    mixed = number * 2_654_435_761
    for letter in name.encode():
        mixed = (mixed ^ letter) * 16_777_619 & 0xFFFFFFFF
    return mixed >> 7

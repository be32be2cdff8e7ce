"""The audience's own picture of the tables, and reading JSON that holds anything at all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, TableClause, func, literal, select, text
from sqlalchemy.dialects import postgresql as postgresql_dialect
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlmodel import SQLModel

from engine.audience.book import Audience, Trait, TraitKind
from engine.audience.conditions import as_sql
from engine.audience.instants import instant_of
from engine.audience.numbers import number_of, units, whole
from engine.audience.tables import TextInstant, Whole, customer, event, habit, rfm
from engine.audience.values import Happening, Person
from engine.audience.view import View
from engine.journey.conditions import Field, FieldKind, Test, Word, parse_condition

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


class World(Protocol):
    """A database, from conftest."""

    engine: Engine

    def ask(self, people: Sequence[View], *columns: Any) -> dict[int, tuple[Any, ...]]: ...


@pytest.mark.parametrize("ours", [customer, event, habit, rfm])
@pytest.mark.parametrize("dialect", [sqlite_dialect.dialect(), postgresql_dialect.dialect()])
def test_the_audience_sees_the_tables_as_they_are(ours: TableClause, dialect: Any) -> None:
    real = SQLModel.metadata.tables[ours.name].columns
    for column in ours.columns:
        shown = column.type.dialect_impl(dialect).compile(dialect=dialect)
        assert shown == real[column.name].type.dialect_impl(dialect).compile(dialect=dialect)


DIRT: list[Any] = [
    *("", "x", "12", "1e5", "NaN", "null", "2026-02-30", "9999999999", "'; --", "\\", '"', "💥", "a" * 2000),
    *(0, -1, 10**400, -(10**400), 2**63, -(2**63), 1e308, -1e308, 5e-324, 1.7976931348623157e308),
    *(True, False, None, [], {}, [[[]]], {"a": {"b": []}}, ["2026-01-01"]),
]


@pytest.mark.parametrize("database", ["sqlite", "plain_sqlite", "postgresql"])
def test_no_query_fails_whatever_a_payload_holds(database: str, request: pytest.FixtureRequest) -> None:
    world: World = request.getfixturevalue(database)
    kinds = list(TraitKind)
    audience = Audience(traits={kind.value: Trait(kind, "Any", "it") for kind in kinds}, rates={"USD": Decimal(7)})
    people = [
        View(
            Person(number, f"c{number}", ZoneInfo("UTC"), "en", None, NOW, {}, {"it": dirt}),
            [Happening(number, "Any", NOW - timedelta(days=1), {"it": dirt, "currency": dirt}, NOW)],
            audience,
        )
        for number, dirt in enumerate(DIRT)
    ]
    asked = [
        Test(Field(kind, name), word, value)
        for kind, name in [(FieldKind.attribute, "it"), *((FieldKind.trait, kind.value) for kind in kinds)]
        for word, value in ((Word.at_least, Decimal(1)), (Word.is_, "x"), (Word.before, NOW), (Word.is_not, True))
    ]
    rows = world.ask(people, *(as_sql(test, audience, NOW) for test in asked))
    assert len(rows) == len(DIRT)
    assert all(value in (0, 1) for row in rows.values() for value in row)


def test_a_condition_reads_events_by_their_index_and_never_the_whole_table(sqlite: World) -> None:
    audience = Audience(
        traits={
            "visit": Trait(TraitKind.days_since_last, "Page Viewed"),
            "spend": Trait(TraitKind.sum, "Order Completed", "total", within=timedelta(days=365)),
            "cart": Trait(TraitKind.last, "Cart Updated", "total", unless_after=("Order Completed",)),
            "gap": Trait(TraitKind.median_gap, "Order Completed"),
            "likes": Trait(TraitKind.most_common, "Order Completed", "category"),
        }
    )
    asked = {
        **{"visit": {"at_least": "30"}, "spend": {"at_least": "9"}, "cart": {"known": "true"}},
        **{"gap": {"below": "9"}, "likes": "tea"},
        **{"churn_stage": "lost", "value_tier": "core", "churn_reason": "price"},
    }
    condition = as_sql(parse_condition(asked, "person", audience.trait_names), audience, NOW)
    query = select(func.count()).select_from(customer).where(condition)
    with sqlite.engine.connect() as connection:
        compiled = query.compile(connection.engine, compile_kwargs={"literal_binds": True})
        plan = [
            row[-1]
            for row in connection.execute(text(f"EXPLAIN QUERY PLAN {str(compiled).replace(':', chr(92) + ':')}"))
        ]
    lookups = [line for line in plan if " event" in line]
    assert lookups
    assert all("event_by_person (customer_id=? AND name=?" in line for line in lookups), plan


WRITTEN = [
    "2026-12-01",
    "2026-12-01T10:00",
    "2026-12-01 10:00:59",
    "2026-12-01T10:00:59.999999Z",
    "2026-12-01T10:00:59.1+08:00",
    "2026-12-01T10:00-14:59",
    "1900-01-01T00:00:00+14:00",
    "2199-12-31T23:59:59-14:00",
    "2000-02-29",
    "2024-02-29T23:59Z",
]
NOT_WRITTEN = [
    *("", "now", "today", "2451545", "12:00", "2026", "2026-12", "2026-1-1", "20261201", "2026-12-01T", "2026-12-01Z"),
    *("2026-02-29", "1900-02-29", "2100-02-29", "2026-04-31", "2026-13-01", "2026-00-10", "2026-01-00", "1899-12-31"),
    *("2200-01-01", "2026-12-01T24:00:00", "2026-12-01T10:60", "2026-12-01T10:00:60", "2026-12-01T10:00:00,5"),
    *("2026-12-01T10:00:00.", "2026-12-01T10:00:00.1234567890", "2026-12-01T10:00+15:00", "2026-12-01T10:00+08:60"),
    *("2026-12-01T10:00+0800", "2026-12-01T10:00 Z", " 2026-12-01", "2026-12-01 ", "2026-12-01\n", "２０２６-12-01"),
    *("2026-12-01T1０:00", "+2026-12-01", "2026-12-01T10:00ZZ", "2026-12-01-08:00", "2026-12-01T10.5"),
]


@pytest.mark.parametrize("database", ["sqlite", "plain_sqlite", "postgresql"])
def test_a_text_is_an_instant_for_all_or_for_none(database: str, request: pytest.FixtureRequest) -> None:
    world: World = request.getfixturevalue(database)
    assert all(instant_of(one) for one in WRITTEN)
    assert not any(instant_of(one) for one in NOT_WRITTEN)
    texts = [*WRITTEN, *NOT_WRITTEN]
    with world.engine.connect() as connection:
        found = connection.execute(select(*(TextInstant(literal(one)).label(f"t{n}") for n, one in enumerate(texts))))
        assert list(found.one()) == [instant_of(one) for one in texts]


HALVES = [0.5, 1.5, 2.5, -0.5, -2.5, 0.49999999999999994, 4503599627370495.5, 4503599627370496.0, 9007199254740993.0]


@pytest.mark.parametrize("database", ["sqlite", "plain_sqlite", "postgresql"])
def test_numbers_are_rounded_alike_everywhere(database: str, request: pytest.FixtureRequest) -> None:
    world: World = request.getfixturevalue(database)
    amounts = [*HALVES, *(-half for half in HALVES), 10000.5, 19.99 * 10_000, 1.00005 * 10_000, 1e18 + 1, -1e19]
    with world.engine.connect() as connection:
        found = connection.execute(select(*(Whole(literal(one)).label(f"n{n}") for n, one in enumerate(amounts))))
        assert list(found.one()) == [whole(one) for one in amounts]


def test_what_counts_as_a_number() -> None:
    assert number_of(3) == 3.0
    assert number_of(True) is None
    assert number_of("3") is None
    assert number_of(float("nan")) is None
    assert number_of(float("inf")) is None
    assert units(19.99) == 199_900.0
    assert units(-0.00005) == -1.0

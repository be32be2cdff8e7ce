"""Values of traits and scores asked of a page of people at once: one question, and each what it is in memory."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import event

from engine.audience import traits
from engine.audience.book import Audience, Trait, TraitKind
from engine.audience.terms import BUILT_IN
from engine.audience.values import Happening, Person
from engine.audience.view import View
from engine.store.traits import Asked
from tests.audience.drawn import NOW, audiences, people
from tests.audience.sides import World

NAMES = ("one", "other", *sorted(BUILT_IN))
views = audiences.flatmap(people)
few = settings(max_examples=40, suppress_health_check=list(HealthCheck))


def agree(world: World, views: tuple[View, ...]) -> None:
    asked = Asked(views[0].audience, NAMES, NOW)
    with world.holding(views) as connection:
        found = asked.of_people(connection, [view.person.id for view in views])
    for one, view in zip(found, views, strict=True):
        expected = tuple(traits.value(name, view, NOW) for name in NAMES)
        assert (one.id, one.external_id, one.values) == (view.person.id, view.person.external_id, expected)
        assert list(map(type, one.values)) == list(map(type, expected))


@few
@given(views=views)
def test_values_of_a_page_are_those_in_memory_on_sqlite(sqlite: World, views: tuple[View, ...]) -> None:
    agree(sqlite, views)


@few
@given(views=views)
def test_values_of_a_page_are_those_in_memory_on_postgresql(postgresql: World, views: tuple[View, ...]) -> None:
    agree(postgresql, views)


@pytest.mark.parametrize("world", ["sqlite", "postgresql"])
def test_whatever_a_payload_holds_is_told_as_in_memory(world: str, request: pytest.FixtureRequest) -> None:
    audience = Audience(traits={"it": Trait(TraitKind.last, "Told", "it")})
    told = [True, False, "true", "", "7", 7, 7.25, 0, None, [], {}, 1e300, "2026-11-22"]
    views = [
        View(
            Person(number, f"c{number}", ZoneInfo("UTC"), "en", None, NOW),
            (Happening(number, "Told", NOW, {"it": value}, NOW),),
            audience,
        )
        for number, value in enumerate(told, start=1)
    ]
    with request.getfixturevalue(world).holding(views) as connection:
        found = Asked(audience, ["it"], NOW).of_people(connection, range(1, len(told) + 1))
    assert [one.values[0] for one in found] == [traits.value("it", view, NOW) for view in views]
    assert [repr(one.values[0]) for one in found[:7]] == [
        *("True", "False", "'true'", "''", "'7'"),
        *(repr(Decimal(7)), repr(Decimal("7.25"))),
    ]


def history(number: int, count: int) -> tuple[Happening, ...]:
    return tuple(
        Happening(number * 100 + nth, "Order Completed", NOW - timedelta(days=nth), {"total": 5}, NOW)
        for nth in range(count)
    )


def test_one_question_is_asked_however_many_people_and_traits_there_are(sqlite: World) -> None:
    audience = Audience()
    views = [
        View(Person(number, f"c{number}", ZoneInfo("UTC"), "en", None, NOW), history(number, number % 7), audience)
        for number in range(1, 90)
    ]
    statements: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        statements.append(statement)

    with sqlite.holding(views) as connection:
        event.listen(connection, "before_cursor_execute", note)
        assert len(Asked(audience, ["value_tier"], NOW).of_people(connection, range(1, 90))) == 89
        assert len(Asked(audience, NAMES[2:], NOW).of_people(connection, range(1, 90))) == 89
        assert [one.id for one in Asked(audience, NAMES[2:], NOW).page(connection, 50, 7)] == list(range(51, 58))
    assert len(statements) == 3
    assert "payload" not in statements[0], "only what is asked for is read"

"""Dates kept about people: the day they name where one lives, yearly days, and the SQL that finds nobody too few."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.audience.book import Audience
from engine.audience.days import day_named, is_date, may_occur, occurs_on
from engine.audience.values import Person
from engine.audience.view import View
from engine.values import replace
from tests.audience.conftest import World

SHANGHAI, SAMOA, HAWAII = map(ZoneInfo, ("Asia/Shanghai", "Pacific/Apia", "Pacific/Honolulu"))


def person(value: Any, zone: ZoneInfo = SHANGHAI, created: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> Person:
    return Person(1, "c-1", zone, "en", None, created, {}, {"expires": value})


@pytest.mark.parametrize(
    ("value", "zone", "day"),
    [
        ("2026-12-31", SHANGHAI, date(2026, 12, 31)),
        ("2026-12-31", HAWAII, date(2026, 12, 31)),  # a day without a zone is that day everywhere
        ("2026-12-31T23:30", HAWAII, date(2026, 12, 31)),
        ("2026-12-31T16:30:00Z", SHANGHAI, date(2027, 1, 1)),  # midnight is over there
        ("2026-12-31T16:30:00Z", HAWAII, date(2026, 12, 31)),
        ("2027-01-01 00:30+14:00", HAWAII, date(2026, 12, 31)),
        ("soon", SHANGHAI, None),
        ("2026-02-30", SHANGHAI, None),
        (20261231, SHANGHAI, None),
        (None, SHANGHAI, None),
    ],
)
def test_a_date_names_the_day_it_is_where_the_person_lives(value: Any, zone: ZoneInfo, day: date | None) -> None:
    assert day_named(person(value), "expires", zone) == day


def test_the_day_somebody_was_first_known_is_a_date_too() -> None:
    known = person(None, created=datetime(2026, 1, 1, 20, 0, tzinfo=UTC))
    assert day_named(known, "created_at", SHANGHAI) == date(2026, 1, 2)
    assert day_named(known, "created_at", HAWAII) == date(2026, 1, 1)


@pytest.mark.parametrize(
    ("named", "day", "yearly", "occurs"),
    [
        ("2026-12-24", "2026-12-24", False, True),
        ("2026-12-24", "2027-12-24", False, False),
        ("1985-12-24", "2027-12-24", True, True),
        ("2028-12-24", "2027-12-24", True, False),  # not before the date itself
        ("2027-12-24", "2027-12-24", True, True),
        ("2024-02-29", "2028-02-29", True, True),
        ("2024-02-29", "2028-02-28", True, False),  # a leap year has its day
        ("2024-02-29", "2027-02-28", True, True),
        ("2024-02-28", "2027-02-28", True, True),
        ("2024-02-28", "2028-02-29", True, False),
    ],
)
def test_a_yearly_date_has_its_day_in_every_year(named: str, day: str, yearly: bool, occurs: bool) -> None:
    assert occurs_on(date.fromisoformat(named), date.fromisoformat(day), yearly) is occurs


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.integers(1901, 2099))
def test_every_date_has_one_day_in_each_year(named: date, year: int) -> None:
    days = [date(year, 1, 1) + timedelta(days=number) for number in range(366)]
    found = [day for day in days if day.year == year and occurs_on(named, day, True)]
    assert len(found) == (year >= named.year)


_DAYS = st.dates(date(2023, 12, 20), date(2024, 3, 10))
_INSTANTS = st.datetimes(datetime.fromisoformat("2023-12-20"), datetime.fromisoformat("2024-03-10"))


@st.composite
def written(draw: st.DrawFn) -> Any:
    """A date as shops keep it, now and then something else."""
    day = draw(_DAYS).isoformat()
    clock = draw(st.sampled_from(["", "T00:00", " 23:59", "T12:30:45", "T23:30:00.123456"]))
    zone = draw(st.sampled_from(["", "Z", "+14:00", "-12:00", "+05:30", "-00:30"])) if clock else ""
    return draw(st.sampled_from([f"{day}{clock}{zone}"] * 9 + [f"{day}x", None, 7, True, ""]))


@st.composite
def crowds(draw: st.DrawFn) -> list[View]:
    kept = draw(st.lists(st.tuples(written(), _INSTANTS), min_size=1, max_size=20))
    people = (person(value, created=created.replace(tzinfo=UTC)) for value, created in kept)
    return [View(replace(one, id=n, external_id=f"c-{n}"), (), Audience()) for n, one in enumerate(people, start=1)]


def finds_everyone(world: World, crowd: list[View], day: date, yearly: bool) -> None:
    for attribute in ("expires", "created_at"):
        told = world.ask(crowd, is_date(attribute), may_occur(attribute, day, yearly))
        for view in crowd:
            named = [day_named(view.person, attribute, zone) for zone in (SHANGHAI, SAMOA, HAWAII)]
            dated, found = map(bool, told[view.person.id])
            assert dated is (named[0] is not None)
            assert found or not any(one and occurs_on(one, day, yearly) for one in named)


@settings(max_examples=60)
@given(crowds(), _DAYS, st.booleans())
def test_sqlite_finds_everyone_whose_day_it_is_somewhere(
    sqlite: World, crowd: list[View], day: date, yearly: bool
) -> None:
    finds_everyone(sqlite, crowd, day, yearly)


@settings(max_examples=30)
@given(crowds(), _DAYS, st.booleans())
def test_postgresql_finds_everyone_whose_day_it_is_somewhere(
    postgresql: World, crowd: list[View], day: date, yearly: bool
) -> None:
    finds_everyone(postgresql, crowd, day, yearly)

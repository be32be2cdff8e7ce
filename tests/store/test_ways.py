"""Where ways stand, written for many at once, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from engine.decide.state import Code, Enrolled
from engine.store import enrollments, tables
from engine.store.database import Database
from engine.values import replace

NOW = datetime(2026, 11, 24, 9, 30, 0, 500_000, tzinfo=UTC)
OpenDatabase = Callable[[str], Database]


def way(number: int) -> Enrolled:
    return Enrolled(
        id=number,
        customer_id=number,
        journey="welcome",
        version_id=1,
        key="",
        entered_at=NOW,
        holdout=False,
        step="hello",
        visit=1,
        arrived_at=NOW,
        due_at=NOW,
        event={"say": 'a "word" \\ 思远'},
    )


def moved(one: Enrolled) -> Enrolled:
    code = Code("winter", "A'1", "2.5", NOW + timedelta(days=1))
    return replace(
        one, step="bye", visit=2, arrived_at=NOW + timedelta(hours=1), due_at=None, vouchers={"winter": code}
    )


def entered(database: Database, count: int) -> list[Enrolled]:
    database.create()
    with database.writing() as connection:
        enrollments.add(connection, map(way, range(1, count + 1)))
    return kept(database)


def kept(database: Database) -> list[Enrolled]:
    with database.reading() as connection:
        rows = connection.execute(select(tables.enrollment).order_by(tables.enrollment.c.id)).all()
    return [enrollments.as_value(row) for row in rows]


def test_where_they_stand_comes_back_as_it_was_written(url: str, open_database: OpenDatabase) -> None:
    database = open_database(url)
    first, second, third = entered(database, 3)
    over = replace(second, active=False, reason="it's \\ over\n", ended_at=NOW, due_at=None)
    with database.writing() as connection:
        enrollments.move(connection, [moved(first), over])
    assert kept(database) == [replace(moved(first), news=1), replace(over, news=1), third]


def test_of_whom_news_came_meanwhile_nothing_is_moved(url: str, open_database: OpenDatabase) -> None:
    """Without `news` in the condition of the statement of PostgreSQL this moved both."""
    database = open_database(url)
    first, second = entered(database, 2)
    with database.writing() as connection:
        enrollments.wake_ids(connection, [2], NOW)
    before = kept(database)
    with pytest.raises(enrollments.Overtaken), database.writing() as connection:
        enrollments.move(connection, [moved(first), moved(second)])
    assert kept(database) == before


def test_who_has_ended_meanwhile_is_not_moved(url: str, open_database: OpenDatabase) -> None:
    database = open_database(url)
    (first,) = entered(database, 1)
    with database.writing() as connection:
        enrollments.move(connection, [replace(first, active=False, reason="over", ended_at=NOW)])
    (ended,) = kept(database)
    with pytest.raises(enrollments.Overtaken), database.writing() as connection:
        enrollments.move(connection, [moved(replace(first, news=ended.news))])
    assert kept(database) == [ended]

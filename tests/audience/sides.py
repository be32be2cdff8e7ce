"""The sides that must say the same: one person in memory, and everybody in a database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any as Anything

from sqlalchemy import Connection, Engine, delete, insert, select
from sqlmodel import SQLModel

from engine import models
from engine.audience import conditions, traits
from engine.audience.tables import customer
from engine.audience.terms import HABITS, RFM
from engine.audience.values import Happening, Person
from engine.audience.view import View
from engine.journey.conditions import Condition, Money
from tests.audience.drawn import NOW, Case

Answers = dict[int, tuple[Anything, ...]]  # person -> verdicts on the questions, then values of the traits


TABLES = ("customer", "event", "rfm", "habit")


class World:
    """A database that is filled with a few people, asked, and emptied again."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine.execution_options(compiled_cache=None)  # no question is asked twice
        SQLModel.metadata.create_all(engine, tables=[SQLModel.metadata.tables[name] for name in TABLES])

    def ask(self, people: Sequence[View], *columns: Anything) -> dict[int, tuple[Anything, ...]]:
        """id of a person -> what the columns are for them."""
        with self.holding(people) as connection:
            rows = connection.execute(select(customer.c.id, *columns)).all()
        return {row[0]: tuple(row[1:]) for row in rows}

    @contextmanager
    def holding(self, people: Sequence[View]) -> Iterator[Connection]:
        """A connection that finds these people and no others."""
        with self.engine.connect() as connection:
            _fill(connection, people)
            yield connection
            connection.rollback()


def _fill(connection: Connection, people: Sequence[View]) -> None:
    for model in (models.Event, models.Customer, models.Rfm, models.Habit):
        connection.execute(delete(model))
    connection.execute(insert(models.Customer), [_customer_row(view.person) for view in people])
    rows = [_event_row(view.person.id, one) for view in people for one in view.happenings]
    if rows:
        connection.execute(insert(models.Event), rows)
    for view in people:
        _put_scores(connection, view.person)


def _put_scores(connection: Connection, who: Person) -> None:
    """Those of the last night: all of rfm or nothing of it."""
    standing = {name.removeprefix("rfm."): value for name, value in who.scores.items() if name in RFM}
    habits = {name.removeprefix("best_"): value for name, value in who.scores.items() if name in HABITS}
    if standing:
        connection.execute(insert(models.Rfm), [{"customer_id": who.id, **standing}])
    if habits:
        connection.execute(insert(models.Habit), [{"customer_id": who.id, "channel": None, "hour": None, **habits}])


def _customer_row(person: Person) -> dict[str, Anything]:
    return {
        "id": person.id,
        "external_id": person.external_id,
        "zone": person.zone.key,
        "locale": person.locale,
        "country": person.country,
        "created_at": person.created_at,
        "attributes": person.attributes,
        "tags": dict.fromkeys(person.tags, True),
        "addresses": {},
        "revision": 0,
    }


def _event_row(customer_id: int, one: Happening) -> dict[str, Anything]:
    return {
        "id": one.id,
        "customer_id": customer_id,
        "external_id": str(one.id),
        "name": one.name,
        "at": one.at,
        "received_at": one.received_at,
        "payload": one.payload,
        "body_hash": "",
    }


def in_memory(case: Case, names: Sequence[str]) -> Answers:
    """What each person is told of, asked alone."""
    return {view.person.id: _of_one(case.questions, view, names) for view in case.people}


def in_database(world: World, case: Case, names: Sequence[str]) -> Answers:
    """The same, asked of everybody at once."""
    audience, asked = case.people[0].audience, len(case.questions)
    verdicts = (conditions.as_sql(question, audience, NOW) for question in case.questions)
    values = (traits.as_sql(name, audience, NOW) for name in names)
    rows = world.ask(case.people, *verdicts, *values)
    return {
        number: (*map(_verdict, row[:asked]), *(_as_read(value) for value in row[asked:]))
        for number, row in rows.items()
    }


def disagreements(case: Case, names: Sequence[str], sides: Mapping[str, World]) -> list[str]:
    """What was not the same, in words; nothing, where all sides agree."""
    ours = in_memory(case, names)
    labels = (*map(repr, case.questions), *(f"the value of {name}" for name in names))
    return [
        f"{side} says {theirs[place]!r} and memory {ours[number][place]!r} of person {number}: {labels[place]}"
        for side, world in sides.items()
        for number, theirs in in_database(world, case, names).items()
        for place in range(len(labels))
        if theirs[place] != ours[number][place]
    ]


def _verdict(value: Anything) -> bool:
    assert value in (0, 1), f"{value!r} is neither true nor false"
    return bool(value)


def _of_one(questions: Sequence[Condition], view: View, names: Sequence[str]) -> tuple[Anything, ...]:
    values = (_as_read(traits.value(name, view, NOW), name, view) for name in names)
    return *(conditions.holds(question, view, NOW) for question in questions), *values


def _as_read(value: Anything, name: str = "", view: View | None = None) -> Anything:
    """A trait's value as SQL gives it: plain numbers, and only texts where the payload decides the kind."""
    if view is not None and traits.kind(name, view.audience) is None:
        if isinstance(value, bool):
            return "true" if value else "false"
        return value if isinstance(value, str) else None
    if isinstance(value, Money):
        value = value.amount
    return float(value) if isinstance(value, Decimal | int | float) else value

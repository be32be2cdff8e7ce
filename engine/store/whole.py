"""Whole tables: read in an order that all databases share, filled in bulk, and summed up to be compared."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import Connection, String, Table, collate, exists, select, text
from sqlalchemy.exc import DBAPIError

from engine.models import metadata
from engine.store.database import told_plainly
from engine.store.tables import bulk_insert, fact

LARGE = 2**63  # numbers that not every reader of JSON tells apart from their neighbours
PAGE = 2_000  # rows held in memory at once
MOVED = "moved_to"  # the fact of a database whose shop has been copied away, and is run there
_ENCODE = msgspec.json.Encoder(order="sorted").encode

Page = Sequence[Sequence[Any]]


class Unwritable(Exception):
    """A row that this database does not take; the sentence is its own."""


def all_tables() -> list[Table]:
    """Every table of a shop."""
    return list(metadata.sorted_tables)


def first_filled(connection: Connection) -> str | None:
    """A table in which there is anything; None in an empty shop."""
    for table in all_tables():
        if connection.execute(select(exists(select(1).select_from(table)))).scalar():
            return table.name
    return None


def pages(connection: Connection, table: Table) -> Iterator[Page]:
    """All rows, by their primary key, a page at a time. Text is ordered by its bytes, as SQLite orders it."""
    c_order = connection.dialect.name == "postgresql"
    keys = (
        collate(column, "C") if c_order and isinstance(column.type, String) else column for column in table.primary_key
    )
    query = select(table).order_by(*keys).execution_options(yield_per=PAGE)
    if table is fact:
        query = query.where(fact.c.name != MOVED)
    with connection.execute(query) as found:
        for part in found.partitions():
            yield [tuple(row) for row in part]


class Digest:
    """A sum over rows in their order: equal sums, equal rows. Numbers are compared by value, keys of JSON in any order.

    PostgreSQL keeps JSON by its meaning: `1e2` is read back as `100`, and the keys of an object in an order of its own.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._sum = hashlib.sha256()

    def add(self, page: Page) -> None:
        self.rows += len(page)
        self._sum.update(_ENCODE([[_plain(value) for value in row] for row in page])[1:-1] + b",")

    @property
    def sum(self) -> str:
        return self._sum.hexdigest()


def _plain(value: Any) -> Any:
    match value:
        case float() if value.is_integer():
            return _plain(int(Decimal(repr(value))))  # as it is written: 1e300 is a one with 300 zeros
        case int() if abs(value) >= LARGE:
            return str(value)
        case dict():
            return {key: _plain(one) for key, one in value.items()}
        case list():
            return [_plain(one) for one in value]
        case datetime():
            return value.astimezone(UTC).isoformat()
    return value


def sum_of(connection: Connection, table: Table) -> Digest:
    """The sum of a whole table."""
    digest = Digest()
    for page in pages(connection, table):
        digest.add(page)
    return digest


def empty(connection: Connection) -> None:
    """Leave nothing of what an earlier try wrote, not even its room on the disk. The tables are known to be empty."""
    if connection.dialect.name == "postgresql":
        names = map(connection.dialect.identifier_preparer.format_table, all_tables())
        connection.exec_driver_sql(f"TRUNCATE {', '.join(names)}")


def patient(connection: Connection) -> None:
    """This transaction may rest for as long as another database takes."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")


def fill(connection: Connection, table: Table, found: Iterable[Page]) -> None:
    """Write pages of whole rows, by COPY on PostgreSQL."""
    insert = bulk_insert(table, tuple(table.c.keys()), connection.dialect)
    for page in found:
        try:
            insert.send(connection, insert.given(page))
        except DBAPIError as error:
            raise Unwritable(" ".join(told_plainly(error).split())) from None


def learn(connection: Connection) -> None:
    """Let the database count what it holds now, so that it plans its first queries well."""
    connection.execute(text("ANALYZE"))

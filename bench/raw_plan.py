"""The ceiling of plan, render, persist: audience, context, caps, texts and rows by bare SQL and bare Jinja."""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from bench import postgres
from bench.measure import Stopwatch, report
from bench.people import LOCALES, NOW, people
from bench.raw_texts import Links, Text, load

try:
    from pysqlite3 import dbapi2 as sqlite3
except ImportError:
    import sqlite3

CHUNK = 500
PAGE = 5_000
MOST_PER_WEEK = 5
TABLES = """
CREATE TABLE customer (id INTEGER PRIMARY KEY, first_name TEXT, email TEXT, locale TEXT, zone TEXT, consent INTEGER);
CREATE TABLE orders (id TEXT, customer_id INTEGER, at INTEGER, total REAL, category TEXT);
CREATE INDEX orders_by_person ON orders (customer_id, at);
CREATE TABLE message (id INTEGER PRIMARY KEY, customer_id INTEGER, key TEXT, locale TEXT, state TEXT, at INTEGER);
CREATE INDEX message_by_person ON message (customer_id, at);
CREATE TABLE body (message_id INTEGER PRIMARY KEY, content BLOB);
CREATE TABLE delivery (id INTEGER PRIMARY KEY, message_id INTEGER, kind TEXT, at INTEGER, provider_id TEXT);
"""
POSTGRES_TABLES = TABLES.replace("content BLOB", "content BYTEA").replace(
    "id INTEGER PRIMARY KEY", "id BIGINT PRIMARY KEY"
)
AUDIENCE = """
SELECT id, first_name, email, locale FROM customer
WHERE id > {0} AND consent = 1
AND (SELECT count(*) FROM orders WHERE customer_id = customer.id AND at > {0}) >= 2
ORDER BY id LIMIT {0}
"""
CONTEXT = "SELECT customer_id, total, category FROM orders WHERE at > {0} AND customer_id {1} ORDER BY customer_id, at"
SPOKEN = "SELECT customer_id, count(*) FROM message WHERE at > {0} AND customer_id {1} GROUP BY customer_id"


def main(database: str, count: int) -> None:
    report(lambda folder, watch: measure(database, count, folder, watch))


def measure(database: str, count: int, folder: Path, watch: Stopwatch) -> int:
    texts = {locale: load(locale) for locale, _, _ in LOCALES}
    with database_of(database, count, folder, watch) as store, watch.running():
        return plan(store, texts)


def open_database(path: Path) -> Any:
    """A database as outreach opens it: the same promises cost the same."""
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("page_size=16384", "journal_mode=WAL", "synchronous=FULL", "cache_size=-65536", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


class Sqlite:
    """The few statements of the loop as SQLite wants them."""

    mark = "?"

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Any:
        return self.connection.execute(statement, values)

    def among(self, ids: Sequence[int]) -> tuple[str, Sequence[Any]]:
        return f"IN ({','.join('?' * len(ids))})", ids

    def write(self, tables: dict[str, Sequence[tuple[Any, ...]]]) -> None:
        self.connection.execute("BEGIN IMMEDIATE")
        for table, rows in tables.items():
            marks = ",".join("?" * len(rows[0]))
            self.connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
        self.connection.execute("COMMIT")


class Postgres:
    """The same as PostgreSQL wants them, rows by COPY."""

    mark = "%s"

    def __init__(self, url: str) -> None:
        import psycopg

        self.connection = psycopg.connect(url, autocommit=True)
        for statement in POSTGRES_TABLES.split(";")[:-1]:
            self.connection.execute(statement)

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Any:
        return self.connection.execute(statement, values, binary=True)

    def among(self, ids: Sequence[int]) -> tuple[str, Sequence[Any]]:
        return "= ANY(%s)", [list(ids)]

    def write(self, tables: dict[str, Sequence[tuple[Any, ...]]]) -> None:
        with self.connection.transaction(), self.connection.cursor() as cursor:
            for table, rows in tables.items():
                with cursor.copy(f"COPY {table} FROM STDIN") as copy:
                    for row in rows:
                        copy.write_row(row)


@contextmanager
def outbox(database: str, count: int, folder: Path, watch: Stopwatch) -> Iterator[Sqlite | Postgres]:
    """A database in which everybody's mail waits to leave."""
    with database_of(database, count, folder, watch) as store:
        plan(store, {locale: load(locale) for locale, _, _ in LOCALES})
        yield store


@contextmanager
def database_of(database: str, count: int, folder: Path, watch: Stopwatch) -> Iterator[Sqlite | Postgres]:
    """People and their orders in tables made for nothing but this."""
    if database == "sqlite":
        yield prepare(count, folder)
        return
    with postgres.running(folder) as server:
        store = Postgres(server.url)
        fill(store, count)
        store.execute("ANALYZE")
        watch.beside = server.busy
        yield store


def prepare(count: int, folder: Path) -> Sqlite:
    """People and their orders in tables made for nothing but this."""
    connection = open_database(folder / "raw.db")
    connection.executescript(TABLES)
    store = Sqlite(connection)
    fill(store, count)
    return store


def fill(store: Sqlite | Postgres, count: int) -> None:
    everybody = people(count)
    while page := list(islice(everybody, PAGE)):
        rows = [(one.id, one.first_name, one.email, one.locale, one.zone, 1) for one in page]
        orders = [(o.id, one.id, int(o.at.timestamp()), float(o.total), o.category) for one in page for o in one.orders]
        store.write({"customer": rows, "orders": orders})


def plan(store: Sqlite | Postgres, texts: dict[str, Text]) -> int:
    """Everybody of the audience, chunk by chunk: what they bought, what they were told, their mail, its rows."""
    written = last = 0
    audience = AUDIENCE.format(store.mark)
    while chunk := store.execute(audience, (last, _ago(365), CHUNK)).fetchall():
        written += _chunk(store, texts, chunk, written)
        last = chunk[-1][0]
    return written


def _chunk(store: Sqlite | Postgres, texts: dict[str, Text], chunk: Sequence[Any], written: int) -> int:
    among, ids = store.among([row[0] for row in chunk])
    bought: dict[int, list[tuple[float, str]]] = {}
    for customer, total, category in store.execute(CONTEXT.format(store.mark, among), (_ago(365), *ids)):
        bought.setdefault(customer, []).append((total, category))
    spoken = dict(store.execute(SPOKEN.format(store.mark, among), (_ago(7), *ids)).fetchall())

    messages, bodies = [], []
    for number, (customer, first_name, email, locale) in enumerate(chunk, start=written + 1):
        if spoken.get(customer, 0) >= MOST_PER_WEEK:
            continue
        key = f"statement-2026-11-{customer}"
        mail = texts[locale].render(
            person={"first_name": first_name}, traits=_traits(bought[customer]), links=Links(key), now=NOW
        )
        content = {"to": email, "subject": mail.subject, "html": mail.html, "text": mail.text}
        packed = zlib.compress(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(), 1)
        messages.append((number, customer, key, locale, "queued", int(NOW.timestamp())))
        bodies.append((number, packed))
    store.write({"message": messages, "body": bodies})
    return len(messages)


def _traits(bought: Sequence[tuple[float, str]]) -> dict[str, Any]:
    categories = [category for _, category in bought]
    return {
        "orders_12m": len(bought),
        "spend_12m": sum(total for total, _ in bought),
        "favourite_category": max(categories, key=categories.count),
    }


def _ago(days: int) -> int:
    return int((NOW - timedelta(days=days)).timestamp())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

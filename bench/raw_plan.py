"""The ceiling of plan, render, persist: audience, context, caps, texts and rows by bare SQL and bare Jinja."""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench.measure import Stopwatch, report
from bench.people import LOCALES, NOW, people
from bench.raw_texts import Links, Text, load

try:
    from pysqlite3 import dbapi2 as sqlite3
except ImportError:
    import sqlite3  # type: ignore[no-redef]

CHUNK = 500
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
AUDIENCE = """
SELECT id, first_name, email, locale FROM customer
WHERE consent AND (SELECT count(*) FROM orders WHERE customer_id = customer.id AND at > ?) >= 2
ORDER BY id
"""
CONTEXT = (
    "SELECT customer_id, total, category FROM orders WHERE at > ? AND customer_id IN ({}) ORDER BY customer_id, at"
)
SPOKEN = "SELECT customer_id, count(*) FROM message WHERE at > ? AND customer_id IN ({}) GROUP BY customer_id"


def main(count: int) -> None:
    report(lambda folder, watch: measure(count, folder, watch))


def measure(count: int, folder: Path, watch: Stopwatch) -> int:
    connection = prepare(count, folder)
    texts = {locale: load(locale) for locale, _, _ in LOCALES}
    with watch.running():
        return plan(connection, texts)


def open_database(path: Path) -> Any:
    """A database as outreach opens it: the same promises cost the same."""
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("page_size=16384", "journal_mode=WAL", "synchronous=FULL", "cache_size=-65536", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def prepare(count: int, folder: Path) -> Any:
    """People and their orders in tables made for nothing but this."""
    connection = open_database(folder / "raw.db")
    connection.executescript(TABLES)
    connection.execute("BEGIN")
    for person in people(count):
        row = (person.id, person.first_name, person.email, person.locale, person.zone)
        connection.execute("INSERT INTO customer VALUES (?, ?, ?, ?, ?, 1)", row)
        connection.executemany(
            "INSERT INTO orders VALUES (?, ?, ?, ?, ?)",
            [(o.id, person.id, int(o.at.timestamp()), float(o.total), o.category) for o in person.orders],
        )
    connection.execute("COMMIT")
    return connection


def plan(connection: Any, texts: dict[str, Text]) -> int:
    """Everybody of the audience, chunk by chunk: what they bought, what they were told, their mail, its rows."""
    written = 0
    rows = connection.execute(AUDIENCE, (_ago(365),))
    while chunk := rows.fetchmany(CHUNK):
        written += _chunk(connection, texts, chunk, written)
    return written


def _chunk(connection: Any, texts: dict[str, Text], chunk: Sequence[Any], written: int) -> int:
    ids = [row[0] for row in chunk]
    marks = ",".join("?" * len(ids))
    bought: dict[int, list[tuple[float, str]]] = {}
    for customer, total, category in connection.execute(CONTEXT.format(marks), (_ago(365), *ids)):
        bought.setdefault(customer, []).append((total, category))
    spoken = dict(connection.execute(SPOKEN.format(marks), (_ago(7), *ids)))

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

    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT INTO message VALUES (?, ?, ?, ?, ?, ?)", messages)
    connection.executemany("INSERT INTO body VALUES (?, ?)", bodies)
    connection.execute("COMMIT")
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
    main(int(sys.argv[1]))

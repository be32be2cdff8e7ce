"""Rows written in bulk, on both databases: they come back as they went in, and what fails is told alike."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from engine.store import tables
from engine.store.database import Database

NOW = datetime(2026, 11, 24, 9, 30, 0, 500_000, tzinfo=UTC)
ODD = ["", "\\N", "\\", "a\tb\nc\rd", "'; --", "思远", "\u2028", "{}", "🕯", '"']
OpenDatabase = Callable[[str], Database]


def happening(number: int, text: str, payload: Any = None) -> tables.Row:
    return {
        "id": number,
        "customer_id": 1,
        "external_id": f"e{number}",
        "name": text,
        "at": NOW,
        "received_at": NOW,
        "payload": payload if payload is not None else {text: [text, None, 1.5, True, {"a": text}]},
        "body_hash": text,
        "lineage": None,
    }


def test_whatever_signs_a_text_has_it_comes_back(url: str, open_database: OpenDatabase) -> None:
    database = open_database(url)
    database.create()
    rows = [happening(number, text) for number, text in enumerate(ODD, start=1)]
    with database.writing() as connection:
        assert tables.put(connection, tables.event, rows) == len(ODD)
        tables.put(connection, tables.body, [{"message_id": 1, "content": bytes(range(256)), "hash": "\\"}])
    with database.reading() as connection:
        found = connection.execute(select(tables.event).order_by(tables.event.c.id)).all()
        (body,) = connection.execute(select(tables.body)).all()
    assert [{**row, "live": True} for row in rows] == [dict(row._mapping) for row in found]
    assert (body.content, body.hash) == (bytes(range(256)), "\\")


def test_a_row_that_is_there_already_is_refused_and_nothing_is_written(url: str, open_database: OpenDatabase) -> None:
    database = open_database(url)
    database.create()
    with pytest.raises(IntegrityError), database.writing() as connection:
        tables.put(connection, tables.event, [happening(1, "one"), happening(2, "two"), happening(1, "again")])
    with database.writing() as connection:
        assert tables.put(connection, tables.event, [happening(1, "one")]) == 1
    with database.reading() as connection:
        assert connection.execute(select(tables.event.c.name)).scalars().all() == ["one"]

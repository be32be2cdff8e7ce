"""Databases to ask, and people to ask about."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import pytest
from servers import Fresh
from servers import postgres as postgres
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
def postgresql(postgres: Fresh) -> Iterator[World]:
    yield from _world(postgres(tables=True))

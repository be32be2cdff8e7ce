"""Databases of both kinds, and processes that use them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from processes import Mother, mother
from servers import Fresh
from servers import postgres as postgres

from engine.store.database import Database


@pytest.fixture(scope="session")
def nest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mother]:
    """Processes of a few lines of Python."""
    with mother(tmp_path_factory.mktemp("nest")) as made:
        yield made


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'shop.db'}"
    fresh: Fresh = request.getfixturevalue("postgres")
    return fresh()


@pytest.fixture
def open_database() -> Iterator[Callable[[str], Database]]:
    """Opens databases, and closes them after the test. A process that dies needs no disk to prove its point."""
    opened: list[Database] = []

    def open_one(url: str) -> Database:
        opened.append(Database(url, durable=False))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()

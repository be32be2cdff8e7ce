"""Shops in a database of each kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from servers import Fresh
from servers import postgres as postgres
from stubs import World

MakeWorld = Callable[..., World]


@pytest.fixture
def make_sqlite_world(tmp_path: Path) -> Iterator[MakeWorld]:
    """Makes a shop of these journeys in a file: for tables of what is decided, not of what is stored."""
    yield from _makes(tmp_path, lambda: {})


@pytest.fixture(params=["sqlite", "postgresql"])
def make_world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeWorld]:
    """Makes a shop of these journeys, in a database of each kind."""

    def database() -> dict[str, str]:
        if request.param == "sqlite":
            return {}
        fresh: Fresh = request.getfixturevalue("postgres")
        return {"database": fresh(tables=True)}

    yield from _makes(tmp_path, database)


def _makes(folder: Path, database: Callable[[], dict[str, str]]) -> Iterator[MakeWorld]:
    made: list[World] = []

    def make(journeys: Mapping[str, str], **more: str) -> World:
        made.append(World(folder / f"shop{len(made)}", journeys, **database(), **more))
        return made[-1]

    yield make
    for world in made:
        world.close()

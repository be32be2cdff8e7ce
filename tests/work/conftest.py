"""Shops in a database of each kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from servers import Fresh
from servers import postgres as postgres
from stubs import World

MakeWorld = Callable[..., World]


@pytest.fixture(params=["sqlite", "postgresql"])
def make_world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeWorld]:
    """Makes a shop of these journeys, in a database of each kind."""
    made: list[World] = []

    def make(journeys: Mapping[str, str], **more: str) -> World:
        if request.param == "postgresql":
            fresh: Fresh = request.getfixturevalue("postgres")
            more["database"] = fresh()
        made.append(World(tmp_path / f"shop{len(made)}", journeys, **more))
        return made[-1]

    yield make
    for world in made:
        world.close()

"""Processes for the tests of this folder."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from daemons import Nursery, Post, nursery, post
from servers import mortal as mortal
from servers import postgres as postgres


@pytest.fixture(scope="session")
def born(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with nursery(tmp_path_factory.mktemp("processes")) as made:
        yield made


@pytest.fixture
def office() -> Iterator[Post]:
    with post() as opened:
        yield opened


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    """How often to kill; more with `dev.py crash`."""
    return int(request.config.getoption("--kills"))


@pytest.fixture
def dice(request: pytest.FixtureRequest) -> random.Random:
    return random.Random(int(request.config.getoption("--seed")))

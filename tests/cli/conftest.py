"""The tests of the command line read English, whatever language their machine speaks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ["LANGUAGE"] = "en"

import shops
from typed import typed

from engine.simulate.shop import make_shop


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """The folder that `outreach init` makes, at an instant that stands still."""
    return at_rest(shops.starter(tmp_path / "shop"))


def at_rest(folder: Path) -> Path:
    """Let the commands of a shop read the clock of the tests."""
    (folder / "clock").write_text(shops.NOW.isoformat(), encoding="utf-8")
    with (folder / "config.yaml").open("a", encoding="utf-8") as file:
        file.write("\ntest_clock: clock\n")
    return folder


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shop that ships, with sixty people, at the same instant."""
    folder = at_rest(shops.shipped(tmp_path_factory.mktemp("shipped") / "a shop"))
    data = folder / "data"
    data.mkdir()
    made = make_shop(data, people=60, seed=3, end=shops.NOW)
    assert typed(folder, "import", "people", str(made.people)).code == 0
    assert typed(folder, "import", "events", str(made.events)).code == 0
    return folder

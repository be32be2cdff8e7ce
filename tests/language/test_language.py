"""Every word of the language in a journey of its own, with the story that its page in the guide promises."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typed import typed

SHOP = Path(__file__).parent / "shop"
STORIES = sorted(path.stem for path in (SHOP / "journeys" / "tests").glob("*.yaml"))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(SHOP, tmp_path_factory.mktemp("language") / "shop"))


def test_there_is_nothing_to_say_about_these_journeys(shop: Path) -> None:
    checked = typed(shop, "check")
    assert checked.code == 0, checked.said


@pytest.mark.parametrize("name", STORIES)
def test_a_journey_does_what_its_story_says(shop: Path, name: str) -> None:
    played = typed(shop, "test", f"journeys/tests/{name}.yaml")
    assert played.code == 0, played.said

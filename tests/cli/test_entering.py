"""Letting people in from the command line: nobody enters whom nobody has counted."""

from __future__ import annotations

from pathlib import Path

import pytest
from typed import typed

CURRENT = """
title: Who is silent now
owner: us
topic: care
enter: {segment: quiet, crossing: in, include_current: true}
steps: [{wait: 1d}]
"""


@pytest.fixture
def crowd(shop: Path) -> Path:
    """The starter's shop, with a segment that holds its three people and a journey that lets them in at once."""
    assert typed(shop, "import", "people", "people.csv").code == 0
    with (shop / "journeys" / "audience.yaml").open("a", encoding="utf-8") as file:
        file.write("  quiet: {created_at: {known: true}}\n")
    (shop / "journeys" / "quiet_now.yaml").write_text(CURRENT, encoding="utf-8")
    return shop


def test_publish_asks_with_the_number_of_people_who_enter_at_once(crowd: Path) -> None:
    told = typed(crowd, "publish", "quiet_now", answer="n\n")

    assert "3 people, at once" in told.out


def test_publish_without_asking_wants_to_be_told_the_number_of_people_who_enter_at_once(crowd: Path) -> None:
    refused = typed(crowd, "publish", "quiet_now", "--yes")
    wrong = typed(crowd, "publish", "quiet_now", "--yes", "--expect", "4")
    right = typed(crowd, "publish", "quiet_now", "--yes", "--expect", "3")

    assert (refused.code, wrong.code, right.code) == (2, 2, 0)
    assert "--yes --expect 3" in refused.err


def test_a_later_version_lets_nobody_in_at_once_and_wants_no_number(crowd: Path) -> None:
    assert typed(crowd, "publish", "quiet_now", "--yes", "--expect", "3").code == 0
    (crowd / "journeys" / "quiet_now.yaml").write_text(CURRENT.replace("owner: us", "owner: them"), encoding="utf-8")

    assert typed(crowd, "publish", "quiet_now", "--yes").code == 0

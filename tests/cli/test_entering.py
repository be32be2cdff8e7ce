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


# --- by request ------------------------------------------------------------------------------------------------------

REQUEST = """
title: A word to some
owner: us
topic: care
enter: {api: true}
steps: [{wait: 1d}]
"""


@pytest.fixture
def asking(crowd: Path) -> Path:
    (crowd / "journeys" / "quiet_now.yaml").write_text(REQUEST, encoding="utf-8")
    assert typed(crowd, "publish", "quiet_now", "--yes").code == 0
    return crowd


def test_enter_asks_with_the_number_of_people_and_lets_them_in_at_the_next_beat(asking: Path) -> None:
    told = typed(asking, "enter", "quiet_now", "--segment", "quiet", "--key", "spring", answer="y\n")
    again = typed(asking, "enter", "quiet_now", "--segment", "quiet", "--key", "spring", answer="y\n")

    assert told.code == 0
    assert "quiet_now: 3 people are before the door" in told.out
    assert "the request is called spring" in told.out
    assert "3 people, of whom 0 have entered" in again.out


def test_enter_without_asking_wants_to_be_told_the_number(asking: Path) -> None:
    command = ("enter", "quiet_now", "--segment", "quiet", "--yes", "--format", "json")
    refused, wrong = typed(asking, *command), typed(asking, *command, "--expect", "4")
    right = typed(asking, *command, "--expect", "3", "--key", "k")

    assert (refused.code, wrong.code, right.code) == (2, 2, 0)
    assert "--yes --expect 3" in refused.err
    assert right.value == {"journey": "quiet_now", "key": "k", "people": 3, "unknown": 0, "released": True}


def test_people_whom_nobody_knows_are_told_and_the_others_enter(asking: Path) -> None:
    file = asking / "some.csv"
    file.write_text("person,total\nsomebody,3\n", encoding="utf-8")
    told = typed(asking, "enter", "quiet_now", "--file", str(file), "--yes", "--expect", "0")

    assert told.code == 1
    assert "1 person is not known: somebody" in told.out
    assert "nobody was let in" in told.out


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ((), "say whom to let in, in one way"),
        (("--segment", "quiet", "--person", "a"), "say whom to let in, in one way"),
        (("--file", "missing.csv"), "missing.csv cannot be read"),
        (("--person", "a", "--with", "total"), "'total' says nothing"),
    ],
)
def test_what_is_asked_wrongly_is_refused(asking: Path, more: tuple[str, ...], sentence: str) -> None:
    told = typed(asking, "enter", "quiet_now", *more)

    assert told.code == 2
    assert sentence in told.err


def test_it_is_told_that_not_all_of_them_enter(crowd: Path) -> None:
    text = REQUEST.replace("steps:", "at_most: 2\nsteps:")
    (crowd / "journeys" / "quiet_now.yaml").write_text(text, encoding="utf-8")
    assert typed(crowd, "publish", "quiet_now", "--yes").code == 0

    told = typed(crowd, "enter", "quiet_now", "--segment", "quiet", "--yes", "--expect", "3")

    assert "3 people are before the door, at most 2 of them enter" in told.out

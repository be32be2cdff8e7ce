"""`outreach approve` for people who wait at a step: all of them with their number, or one by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import shops
from stubs import World
from typed import typed

ASKING = """
title: A plan
owner: us
topic: orders
enter: {event: Order Completed}
again: {per: order_id}
steps: [{approve: May we?, by: lead, within: 1d}, {id: more, approve: Even more?, by: lead, within: 1d}]
"""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shop in which three people wait for a word."""
    monkeypatch.setenv("OUTREACH_SECRET", shops.SECRET)
    folder = tmp_path / "shop"
    world = World(folder, {"asking": ASKING})
    world.order(*world.people(3))
    world.tick()
    world.close()
    with (folder / "config.yaml").open("a") as file:
        file.write("\ntest_clock: clock\n")
    (folder / "clock").write_text(shops.NOW.isoformat())
    return folder


def test_who_waits_is_listed_with_the_question(asked: Path) -> None:
    told = typed(asked, "approve")
    assert told.code == 0
    assert "May we?" in told.out
    assert "p0000, p0001, p0002" in told.out
    rows = typed(asked, "approve", "--format", "json").value
    assert [(row["person"], row["step"], row["by"]) for row in rows] == [
        (person, "approve", "lead") for person in ("p0000", "p0001", "p0002")
    ]


def test_all_are_answered_if_they_are_as_many_as_expected(asked: Path) -> None:
    assert typed(asked, "approve", "asking", "--yes", "--expect", "4").code == 2
    assert "goes on waiting" in typed(asked, "approve", "asking", answer="no\n").out
    told = typed(asked, "approve", "asking", "--yes", "--expect", "3", "--by", "lan", "--format", "json")
    assert (told.code, told.value) == (
        0,
        [{"journey": "asking", "step": "approve", "outcome": "approved", "people": 3}],
    )
    assert "nothing waits for a word" in typed(asked, "approve", "asking").out


def test_one_person_is_answered_alone_and_a_word_to_two_questions_is_refused(asked: Path) -> None:
    assert typed(asked, "approve", "asking", "--person", "p0001", "--refuse", "--yes").code == 0
    assert typed(asked, "approve", "asking", "--person", "p0000", "--yes").code == 0
    assert typed(asked, "daemon", "--once").code == 0  # p0000 comes to the second question
    told = typed(asked, "approve", "asking", "--yes")
    assert told.code == 2
    assert "several things wait in asking; name one: --step, one of approve, more" in told.err
    assert typed(asked, "approve", "asking", "--step", "more", "--yes", "--expect", "1").code == 0
    assert "refused by" in typed(asked, "explain", "p0001").out


def test_a_step_without_its_journey_and_a_person_nobody_knows_are_refused(asked: Path) -> None:
    assert typed(asked, "approve", "--step", "approve").code == 2
    assert typed(asked, "approve", "asking", "--person", "nobody").code == 2

"""`outreach check`: what it tells of each file, and how."""

from __future__ import annotations

from pathlib import Path

from typed import typed

JOURNEY = "journeys/after_purchase.yaml"
UNREACHABLE = "\n  - exit: done\n  - {id: never, send: thank_you, via: email}\n"


def write(shop: Path, more: str, file: str = JOURNEY) -> None:
    """Add something to the end of a file."""
    with (shop / file).open("a", encoding="utf-8") as out:
        out.write(more)


# --- codes ------------------------------------------------------------------------------------------------------------


def test_a_code_is_explained_with_an_example_and_its_cure(shop: Path) -> None:
    told = typed(shop, "check", "--explain", "unreachable-step")

    assert told.code == 0
    assert told.out.startswith("unreachable-step\n")
    assert "- exit: done" in told.out
    assert "Move the step up" in told.out


def test_a_code_without_a_page_of_its_own_is_explained_in_a_sentence(shop: Path) -> None:
    assert typed(shop, "check", "--explain", "bad-share").out == (
        "bad-share\n\nA share that is not a percentage between 0% and 100%.\n"
    )


def test_a_code_that_does_not_exist_is_bad_input_with_the_nearest_that_does(shop: Path) -> None:
    told = typed(shop, "check", "--explain", "unreachable-stp")

    assert told.code == 2
    assert "there is no code unreachable-stp; did you mean `unreachable-step`?" in told.err


def test_the_first_finding_of_a_code_says_where_to_read_more(shop: Path) -> None:
    write(shop, UNREACHABLE)

    told = typed(shop, "check")

    assert told.code == 2
    assert told.err.count("more: outreach check --explain unreachable-step") == 1

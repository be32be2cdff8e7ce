"""A journey that is called otherwise, as people at the command line meet it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from typed import typed

from engine.decide.split import in_holdout

TOLD = "after_purchase has been called thanks since 2026-11-24 09:00 UTC"


@pytest.fixture
def inside(shop: Path) -> Path:
    """The starter's journey, with its three people inside."""
    assert typed(shop, "import", "people", "people.csv").code == 0
    assert typed(shop, "publish", "--yes", "--by", "mei").code == 0
    assert typed(shop, "import", "events", "events.csv", "--live").code == 0
    return shop


def new_name(shop: Path, was: str = "was: after_purchase\n") -> None:
    old, new = (shop / "journeys" / f"{name}.yaml" for name in ("after_purchase", "thanks"))
    new.write_text(was + old.read_text(encoding="utf-8"), encoding="utf-8")
    old.unlink()


def test_publishing_says_who_goes_on_and_the_old_name_leads_to_the_new_one(inside: Path) -> None:
    new_name(inside)
    told = typed(inside, "doctor")
    assert "journeys/after_purchase.yaml is gone; version 1 runs on; thanks says that it was this: " in told.out

    told = typed(inside, "publish", "--yes", "--by", "lin")

    assert told.code == 0
    assert "thanks   same plan, was after_purchase" in told.out
    for words in (
        ["versions", "after_purchase"],
        ["report", "after_purchase"],
        ["pause", "after_purchase"],
        ["resume", "after_purchase"],
        ["explain", "c1", "after_purchase"],
        ["messages", "--journey", "after_purchase"],
        ["approve", "after_purchase"],
    ):
        told = typed(inside, *words)
        assert (told.code, told.out.splitlines()[0]) == (0, TOLD), words
    assert (
        "2026-11-24 09:00  lin  renamed it, in version 1: was after_purchase" in typed(inside, "versions", "thanks").out
    )
    assert typed(inside, "--format", "json", "report", "after_purchase").value["entered"] == 3


def test_a_file_of_the_old_name_is_looked_for_under_the_new_one(inside: Path) -> None:
    new_name(inside)
    told = typed(inside, "preview", "after_purchase", "--person", "c1")
    assert (told.code, told.out.splitlines()[0]) == (0, "after_purchase is called thanks in journeys/")
    told = typed(inside, "simulate", "after_purchase", "--to", "2026-11-26")
    assert (told.code, "thanks" in told.out) == (0, True)
    assert typed(inside, "publish", "after_purchase", "--yes").code == 0
    assert typed(inside, "rollback", "after_purchase", "--yes").err.count("thanks has had one version only") == 1


def test_a_file_that_is_renamed_without_a_word_is_asked_about(inside: Path) -> None:
    new_name(inside, was="")
    told = typed(inside, "publish", "--yes")
    assert "this is what `after_purchase` says, whose file is gone and which runs on" in told.out + told.err
    assert "if it was renamed, write `was: after_purchase` in its new file" in told.out


def test_a_retired_journey_stays_retired_under_its_new_name(inside: Path) -> None:
    assert typed(inside, "retire", "after_purchase", "--yes").code == 0
    new_name(inside)
    (inside / "journeys" / "other.yaml").write_text("topic: care\nenter: {event: Called}\nsteps: [{wait: 1d}]\n")
    told = typed(inside, "publish", "--yes")
    assert (told.code, "retired, and left so unless named: after_purchase, thanks" in told.out) == (0, True)
    told = typed(inside, "publish", "thanks", "--yes")
    assert (told.code, "opens again, was after_purchase" in told.out) == (0, True)


def test_a_test_draws_the_lots_of_the_oldest_name(shop: Path) -> None:
    """It is played in an empty installation, which knows the names from the file alone."""
    old = shop / "journeys" / "after_purchase.yaml"
    old.write_text(old.read_text(encoding="utf-8").replace("goal:", "holdout: 50%\ngoal:"), encoding="utf-8")
    new_name(shop, "was: [after_purchase, second]\n")
    people = [f"p{number}" for number in range(8)]
    held = [name for name in people if in_holdout("after_purchase", name, Decimal("0.5"))]
    assert held != [name for name in people if in_holdout("thanks", name, Decimal("0.5"))]
    known = "".join(f"  {name}: {{email: {name}@example.com}}\n" for name in people)
    order = "event: Order Completed, with: {order_id: A1, total: 20, currency: EUR}"
    story = "".join(f'      - {{person: {name}, at: "2026-11-02 10:00", {order}}}\n' for name in people)
    sent = "".join(f"      - {{person: {name}, sent: thank_you}}\n" for name in people if name not in held)
    tests = shop / "journeys" / "tests"
    (tests / "after_purchase.yaml").unlink()
    whole = f"people:\n{known}tests:\n  - title: All order\n    story:\n{story}    expect:\n{sent}"
    (tests / "thanks.yaml").write_text(f'start: "2026-11-02 09:00"\n{whole}')
    told = typed(shop, "test")
    assert told.code == 0, told.said

"""`outreach happen`: what happens is told once, with the number of people it asks in confirmed."""

from __future__ import annotations

from pathlib import Path

import pytest
from typed import Typed, typed

JOURNEY = """
topic: care
enter: {happening: Rival Sale, segment: everyone}
steps: [{send: sale, via: [email]}]
"""
TEXT = """---
subject: "{{ event.rival }} has a sale"
---
<p>Until {{ event.until | default("soon") }}. <a href="{{ links.unsubscribe }}">Unsubscribe</a></p>
"""


@pytest.fixture
def running(shop: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The starter's shop with its three people, and a journey that waits for a rival's sale."""
    monkeypatch.setenv("OUTREACH_SECRET", "a secret for tests only")
    with (shop / "config.yaml").open("a", encoding="utf-8") as file:
        file.write("\nhappenings: {Rival Sale: {}}\n")
    with (shop / "journeys" / "audience.yaml").open("a", encoding="utf-8") as file:
        file.write("  everyone: {country: {known: true}}\n")
    (shop / "journeys" / "sale.yaml").write_text(JOURNEY, encoding="utf-8")
    (shop / "templates" / "sale").mkdir()
    (shop / "templates" / "sale" / "email.en.html").write_text(TEXT, encoding="utf-8")
    assert typed(shop, "import", "people", "people.csv").code == 0
    assert typed(shop, "publish", "--yes").code in (0, 1)
    return shop


def say(shop: Path, *words: str, answer: str = "") -> Typed:
    return typed(shop, "happen", "Rival Sale", "--with", "rival=othershop", *words, answer=answer)


def test_it_shows_whom_it_reaches_asks_and_lets_them_in(running: Path) -> None:
    told = say(running, "--by", "mei", answer="y\n")

    lines = [line.rstrip() for line in told.out.splitlines()]
    assert (told.code, lines[:3]) == (
        0,
        [
            "Rival Sale 2026-11-24, at 2026-11-24 09:00 UTC",
            "journey  version  segment   people  messages at most  cost at most",
            "sale     1        everyone  3       3                 0.00",
        ],
    )
    assert lines[3] == "Rival Sale 2026-11-24 is told; the daemon lets people in"
    assert typed(running, "daemon", "--once").code == 0
    assert "entered by Rival Sale at 2026-11-24 09:00" in typed(running, "explain", "c1", "sale").out
    (mail, *_) = (running / "outbox").rglob("*.eml")
    assert "othershop has a sale" in mail.read_text(encoding="utf-8")

    again = say(running, "--yes", "--expect", "3")
    assert (again.code, "was told before (2026-11-24 09:00 UTC, mei); nothing was changed" in again.out) == (0, True)


def test_nothing_happens_without_a_yes_or_with_another_number(running: Path) -> None:
    assert say(running, answer="n\n").code == 0
    assert say(running).code == 2
    asked = say(running, "--yes")
    assert (asked.code, "say how many you expect: --yes --expect 3" in asked.err) == (2, True)
    refused = say(running, "--yes", "--expect", "2")
    assert (refused.code, "2 people were expected, 3 are asked in" in refused.err) == (2, True)

    assert typed(running, "daemon", "--once").code == 0
    assert typed(running, "messages", "--format", "json").value == []


def test_a_program_is_told_what_happened(running: Path) -> None:
    told = say(running, "--key", "autumn", "--yes", "--expect", "3", "--format", "json").value

    assert told["told"] is True
    assert (told["plan"]["key"], told["plan"]["payload"]) == ("autumn", {"rival": "othershop"})
    assert [(one["journey"], one["people"]) for one in told["plan"]["reached"]] == [("sale", 3)]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["Rival Sail"], "config.yaml knows no happening Rival Sail; did you mean `Rival Sale`?"),
        (["Rival Sale", "--with", "rival"], "--with is written NAME=VALUE"),
        (["Rival Sale", "--at", "tomorrow"], "'tomorrow' is no instant"),
        (["Rival Sale", "--at", "2026-11-20"], "is longer ago than max_lateness"),
    ],
)
def test_slips_are_told_in_a_sentence(running: Path, words: list[str], sentence: str) -> None:
    told = typed(running, "happen", *words)

    assert (told.code, sentence in told.err) == (2, True)

"""`outreach consent` and `outreach suppress` as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import shops
from typed import typed


@pytest.fixture
def people(shop: Path) -> Path:
    file = shop / "some.csv"
    file.write_text(
        "id,email,zone,consent.email.care,consent.email.care.at,consent.email.care.wording,consent.source\n"
        "anna,anna@example.com,Asia/Shanghai,yes,2026-03-01T23:30+08:00,Yes to care,the form\n"
    )
    assert typed(shop, "import", "people", str(file)).code == 0
    return shop


@pytest.mark.parametrize(
    ("at", "said"), [("2026-02-28", 0), ("2026-03-01", 1), ("2026-03-01T23:00", 0), ("2026-03-01T15:30Z", 1)]
)
def test_the_history_is_shown_as_it_was_at_an_instant_on_the_clock_of_the_person(
    people: Path, at: str, said: int
) -> None:
    told = json.loads(typed(people, "--format", "json", "consent", "anna", "--at", at).out)
    assert len(told["log"]) == said
    care = [one for one in told["holds"] if (one["topic"], one["channel"]) == ("care", "email")]
    assert [one["allowed"] for one in care] == [bool(said)]


def test_the_history_names_source_and_wording(people: Path) -> None:
    told = typed(people, "consent", "anna").out
    assert "2026-03-01 23:30  email care (marketing): yes  the form  known since" in told
    assert "“Yes to care”" in told


def test_a_person_or_an_instant_nobody_knows_is_refused(people: Path) -> None:
    assert typed(people, "consent", "nobody").code == 2
    assert typed(people, "consent", "anna", "--at", "yesterday").code == 2


def test_an_address_is_suppressed_however_it_is_written_and_once(people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTREACH_SECRET", shops.SECRET)
    first = typed(people, "suppress", "email", "Anna@EXAMPLE.com", "--reason", "asked by telephone")
    assert (first.code, first.out.strip()) == (0, "1 put on the suppression list, 0 were on it")
    again = typed(people, "suppress", "email", "anna@example.com", "--reason", "asked again")
    assert again.out.strip() == "0 put on the suppression list, 1 were on it"
    assert "on the suppression list: email (asked by telephone" in typed(people, "consent", "anna").out
    assert typed(people, "suppress", "email", "anna", "--reason", "x").code == 2
    assert typed(people, "suppress", "fax", "1", "--reason", "x").code == 2

"""`outreach calendar`: as a table, as one value, as a page."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest
from typed import typed

WAVE = """
topic: care
priority: {priority}
enter: {{every: week, on: tue, at: "10:00", segment: {segment}}}
again: always
steps: [{{send: hello, via: [email]}}]
"""
TEXT = "---\nsubject: Hello\n---\n<p><a href='{{ links.unsubscribe }}'>Unsubscribe</a></p>\n"


@pytest.fixture
def planned(shop: Path) -> Path:
    """The starter's shop with its three people, and two waves on Tuesdays."""
    config = (shop / "config.yaml").read_text(encoding="utf-8")
    blackout = '  blackout: [{from: "2026-12-08", to: "2026-12-08", reason: "Stock & taking"}]\n'
    config = config.replace("policy:", "happenings: {Sale: {expected: ['2026-12-03']}}\n\npolicy:", 1)
    config = config.replace("  caps:\n", f"{blackout}  caps:\n", 1)
    (shop / "config.yaml").write_text(config, encoding="utf-8")
    with (shop / "journeys" / "audience.yaml").open("a", encoding="utf-8") as file:
        file.write("  everyone: {country: {known: true}}\n")
    for name, priority in (("calm", 40), ("loud", 60)):
        text = WAVE.format(priority=priority, segment="everyone")
        (shop / "journeys" / f"{name}.yaml").write_text(text, encoding="utf-8")
    assert typed(shop, "import", "people", "people.csv").code == 0
    (shop / "templates" / "hello").mkdir()
    (shop / "templates" / "hello" / "email.en.html").write_text(TEXT, encoding="utf-8")
    told = typed(shop, "publish", "--yes")
    assert told.code == 0, told.said
    return shop


def test_the_table_tells_days_sizes_what_is_closed_and_what_collides(planned: Path) -> None:
    told = typed(planned, "calendar", "--days", "15")

    lines = [line.rstrip() for line in told.out.splitlines()]
    assert (told.code, lines[0]) == (0, "2026-11-24 09:00 .. 2026-12-09 09:00 UTC")
    assert lines[1].split() == (
        ["day", "time", "journey", "who", "people", "enter", "reached", "messages", "at", "most", "cost", "at", "most"]
    )
    assert [line.split()[:8] for line in lines[2:8] if "loud" in line] == [
        ["Tue", "2026-11-24", "10:00", "loud", "everyone", "2", "2", "1"],
        ["Tue", "2026-12-01", "10:00", "loud", "everyone", "3", "3", "2"],
        ["Tue", "2026-12-08", "10:00", "loud", "everyone", "3", "3", "2"],
    ]
    assert lines[7].endswith("blackout Stock & taking: email")
    assert "  2026-12-03  Sale: expected; it happens when somebody tells it (no journey waits for it)" in lines
    assert "  2026-12-08  blackout Stock & taking: email" in lines
    loses = "calm (hello) may lose 3 people to loud (12-01 10:00), under 1 per day: of lower priority; and 1 more time"
    assert f"  2026-12-01 10:00: {loses}" in lines
    assert "  after_purchase: by Order Completed" in lines


def test_a_program_reads_one_value(planned: Path) -> None:
    told = typed(planned, "calendar", "--days", "9", "--format", "json").value

    assert [one["journey"] for one in told["coming"]] == ["calm", "loud", "calm", "loud"]
    assert told["coming"][2]["size"] == {"asked": 3, "enter": 3, "held_out": 0, "reached": 2, "sample": 3}
    assert [(one["journey"], one["people"], one["by_priority"]) for one in told["collisions"]] == [
        ("calm", 2, True),
        ("calm", 3, True),
    ]


class _Page(HTMLParser):
    """What stands in a page, by the class of its element."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(dict(attrs).get("class") or tag)

    def handle_data(self, data: str) -> None:
        if self.open and data.strip():
            self.texts.setdefault(self.open[-1], []).append(data.strip())


def test_the_page_shows_the_weeks_and_stands_alone(planned: Path) -> None:
    told = typed(planned, "calendar", "--days", "15", "--format", "html")

    assert (told.code, told.err) == (0, "")
    page = _Page(told.out)
    assert page.texts["shut"] == ["blackout Stock & taking"]
    assert page.texts["told"] == ["Sale"]
    assert told.out.count("<p class='chip lost'") == 3
    assert told.out.count("<div class='day") == 21
    assert "Stock & taking:" not in told.out
    assert "<script" not in told.out
    assert "http" not in told.out.replace("http-equiv", "")


def test_an_empty_calendar_says_so_and_more_days_than_a_year_are_refused(shop: Path) -> None:
    assert typed(shop, "publish", "--yes").code == 0
    told = typed(shop, "calendar")
    assert (told.code, "nothing is planned in these days" in told.out) == (0, True)
    assert typed(shop, "calendar", "--format", "html").code == 0
    assert typed(shop, "calendar", "--days", "400").code == 2
    assert "--format is text, json or html, not sarif" in typed(shop, "calendar", "--format", "sarif").err

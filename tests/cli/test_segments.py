"""`outreach segments`: how many are inside, who crossed, who is inside and why; and a list that no spreadsheet runs."""

from __future__ import annotations

import csv
import json
from datetime import timedelta
from pathlib import Path

import pytest
import shops
from typed import typed

from engine.learn.segments import inert
from engine.work.tick import tick

AUDIENCE = """
traits:
  orders: {count: Order Completed, within: 30d}
segments:
  gold: {tier: [gold, "=cmd"]}
  keen: {segment: gold, orders: {at_least: 2}}
"""
JOURNEY = """
title: For the keen
owner: us
topic: care
enter: {segment: keen, crossing: in}
steps: [{wait: 1d}]
"""


@pytest.fixture
def keen(shop: Path) -> Path:
    """A shop with four people, two of them gold, one of these keen."""
    (shop / "journeys" / "audience.yaml").write_text(AUDIENCE)
    for path in (shop / "journeys").glob("*.yaml"):
        if path.name not in ("audience.yaml", "after_purchase.yaml"):
            path.unlink()
    (shop / "journeys" / "keen.yaml").write_text(JOURNEY)
    people = [("anna", "gold"), ("ben", "=cmd"), ("@carl", "tin"), ("=dora", "gold")]
    lines = [f"{name},{tier},p{number}@example.com" for number, (name, tier) in enumerate(people)]
    (shop / "people.csv").write_text("\n".join(["id,tier,email", *lines]) + "\n")
    events = [
        {"id": f"{who}-{n}", "person": who, "name": "Order Completed", "at": "2026-11-20T10:00:00Z"}
        for who, times in (("anna", 2), ("ben", 1), ("@carl", 3))
        for n in range(times)
    ]
    (shop / "events.jsonl").write_text("\n".join(map(json.dumps, events)))
    assert typed(shop, "import", "people", "people.csv").code == 0
    assert typed(shop, "import", "events", "events.jsonl").code == 0
    return shop


def test_each_segment_is_listed_with_its_people_and_the_journeys_that_speak_of_it(keen: Path) -> None:
    told = typed(keen, "segments")
    assert [line.split()[:2] for line in told.out.splitlines()[1:]] == [["gold", "3"], ["keen", "1"]]
    assert told.out.count("not published as it is written") == 2
    assert typed(keen, "publish", "keen", "--yes").code == 0
    told = typed(keen, "segments")
    assert "not published" not in told.out
    assert told.out.splitlines()[2].split() == ["keen", "1", "0", "0", "keen"]


def test_a_person_is_told_with_every_line_of_the_condition_and_their_value(keen: Path) -> None:
    told = typed(keen, "segments", "keen", "--person", "ben")
    assert told.out.splitlines() == [
        "ben is not in keen",
        "  ✓ is in segment gold",
        "    ✓ tier one of gold, =cmd; it is =cmd",
        "  ✗ orders at least 2; it is 1",
    ]
    assert typed(keen, "segments", "keen", "--person", "anna").out.startswith("anna is in keen\n")


def test_scores_of_the_night_are_known_to_who_asks_before_anything_is_published(keen: Path) -> None:
    (keen / "journeys" / "audience.yaml").write_text("segments: {best: {rfm.f: {at_least: 4}}}\n")
    assert [line.split()[:2] for line in typed(keen, "segments").out.splitlines()[1:]] == [["best", "0"]]
    (keen / "journeys" / "audience.yaml").write_text("segments: {best: {rfm.f: {at_least: 3}}}\n")
    told = typed(keen, "segments", "best", "--person", "@carl")
    assert told.said.splitlines() == ["@carl is in best", "  ✓ rfm.f at least 3; it is 3"]
    assert typed(keen, "segments", "best", "--export", "best.csv").code == 0
    assert (keen / "best.csv").read_text().splitlines()[1].endswith(",3")


def test_the_last_crossings_of_a_segment_are_shown(keen: Path) -> None:
    assert typed(keen, "publish", "keen", "--yes").code == 0
    clock = shops.ManualClock(shops.NOW)
    app = shops.opened(keen, clock, inert=True)
    tick(app)
    clock.move_to(shops.NOW + timedelta(seconds=2))
    shops.happen(app, "e-1", "ben", "Order Completed")
    tick(app)
    app.close()
    (keen / "clock").write_text((shops.NOW + timedelta(minutes=1)).isoformat())
    lines = typed(keen, "segments", "keen").out.splitlines()
    assert lines[0] == "keen: 2 people are inside"
    assert lines[-1].endswith("ben came in")
    assert typed(keen, "segments").out.splitlines()[2].split() == ["keen", "2", "1", "0", "keen"]
    assert ", since 2026-11-24" in typed(keen, "segments", "keen", "--person", "ben").out


def test_everybody_inside_is_written_to_a_file_with_what_the_condition_asks_about_them(keen: Path) -> None:
    told = typed(keen, "segments", "gold", "--export", "gold.csv")
    assert told.out.splitlines()[-1] == "3 people are written to gold.csv"
    with (keen / "gold.csv").open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["id", "locale", "country", "zone", "tier"]
    assert [(row[0], row[-1]) for row in rows] == [("anna", "gold"), ("ben", "'=cmd"), ("'=dora", "gold")]
    assert typed(keen, "segments", "keen", "--export", "keen.csv").code == 0
    assert (keen / "keen.csv").read_text().splitlines()[0].endswith("tier,orders")


@pytest.mark.parametrize("cell", ["=1+1", "+49 30", "-2", "@SUM(A1)", "\tx", "\rx", " =1", "\n=1", "＝1"])
def test_a_text_that_a_spreadsheet_would_run_is_written_as_a_text(cell: str) -> None:
    assert inert(cell) == f"'{cell}"


@pytest.mark.parametrize(
    ("cell", "written"), [("gold", "gold"), (-2.0, -2), (2.5, 2.5), (None, None), (True, True), (["=1"], '["=1"]')]
)
def test_what_a_spreadsheet_does_not_run_stays_as_it_is(cell: object, written: object) -> None:
    assert inert(cell) == written


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["segments", "kene"], "there is no segment kene; did you mean `keen`?"),
        (["segments", "keen", "--person", "nobody"], "there is no person nobody"),
        (["segments", "--person", "anna"], "name the segment that is meant"),
    ],
)
def test_what_is_not_there_is_told(keen: Path, words: list[str], sentence: str) -> None:
    told = typed(keen, *words)
    assert (told.code, sentence in told.err) == (2, True)


def test_a_mistake_in_the_audience_is_shown_at_its_place(keen: Path) -> None:
    (keen / "journeys" / "audience.yaml").write_text(AUDIENCE.replace("segment: gold", "segment: gild"))
    told = typed(keen, "segments")
    assert told.code == 2
    assert "audience.yaml:6:" in told.err

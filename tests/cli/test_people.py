"""`outreach people`: who is in a segment, what is computed about them, and all of them into a CSV."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typed import typed


@pytest.fixture(scope="module")
def published(shipped: Path) -> Path:
    assert typed(shipped, "publish", "--yes").code == 0
    return shipped


def test_the_people_of_a_segment_are_shown_with_their_traits(published: Path) -> None:
    told = typed(published, "people", "--segment", "vip", "--traits", "orders_12m, spend_12m,value_tier,rfm.segment")

    assert told.code == 0
    header, *rows = told.out.splitlines()
    assert header.split() == ["person", "orders_12m", "spend_12m", "value_tier", "rfm.segment"]
    assert rows
    for row in rows:
        _, orders, _, currency, tier, segment = row.split()
        assert int(orders) >= 3
        assert currency == "CNY"
        assert tier in ("growth", "core")
        assert segment != "-", "the scores of the night are worked out when they are asked for first"


def test_everybody_is_shown_up_to_a_limit(published: Path) -> None:
    told = typed(published, "--format", "json", "people", "--traits", "orders_12m", "--limit", "7")

    found = json.loads(told.out)
    assert len(found) == 7
    assert all(one["traits"]["orders_12m"] >= 0 for one in found)


def test_all_of_them_are_written_to_a_csv(published: Path, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    told = typed(
        published, "people", "--traits", "spend_12m,last_category,overdue_days", "--to", str(file), "--limit", "1"
    )

    assert (told.code, told.out) == (0, "60 people written\n")
    with file.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == len({row["person"] for row in rows}) == 60
    assert all(float(row["spend_12m"]) >= 0 for row in rows)
    assert {row["overdue_days"] == "" for row in rows} == {True, False}


def test_names_that_do_not_exist_are_told_with_the_nearest(published: Path) -> None:
    wrong = typed(published, "people", "--traits", "orders_12")
    assert wrong.code == 2
    assert "there is no trait orders_12; did you mean `orders_12m`?" in wrong.err
    wrong = typed(published, "people", "--segment", "vpi")
    assert wrong.code == 2
    assert "there is no published segment vpi; did you mean `vip`?" in wrong.err

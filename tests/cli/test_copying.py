"""`outreach copy` as it is typed."""

from __future__ import annotations

from pathlib import Path

import pytest
import shops
from typed import typed

COPY = ("copy", "--to", "sqlite:///other/new.db")


def test_a_copy_tells_table_by_table_what_was_compared_and_what_to_write_next(shop: Path) -> None:
    typed(shop, "import", "people", "people.csv")
    told = typed(shop, *COPY)

    assert told.code == 0, told.err
    assert "customer: 3 rows, compared" in told.out
    assert "are the same in every value" in told.out
    assert "  database: sqlite:///other/new.db\n" in told.out
    assert (shop / "other" / "new.db").exists()
    again = typed(shop, *COPY, "--format", "json")
    assert again.code == 0
    assert again.value["copied"] is False
    assert {"customer", "message", "delivery"} <= {one["table"] for one in again.value["tables"]}


def test_the_daemon_runs_on_the_new_database_and_not_on_the_old(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTREACH_SECRET", shops.SECRET)
    assert typed(shop, *COPY).code == 0
    refused = typed(shop, "daemon", "--once")
    assert (refused.code, refused.err.count("was copied to new.db")) == (3, 1)
    with (shop / "config.yaml").open("a", encoding="utf-8") as file:
        file.write("\ndatabase: sqlite:///other/new.db\n")
    assert typed(shop, "daemon", "--once").code == 0


def test_a_target_that_is_not_empty_or_none_at_all_is_refused_in_a_sentence(shop: Path) -> None:
    assert typed(shop, "copy", "--to", "sqlite:///outreach.db").code == 2
    assert typed(shop, "copy", "--to", "nowhere").code == 3
    other = shops.starter(shop.parent / "other shop")
    typed(other, "import", "people", "people.csv")
    told = typed(shop, "copy", "--to", f"sqlite:///{other / 'outreach.db'}")
    assert told.code == 2
    assert "is not empty" in told.err
    assert typed(shop, "copy").code == 2

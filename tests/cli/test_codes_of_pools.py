"""`outreach codes`: what each pool has, and new lines taken in."""

from __future__ import annotations

from pathlib import Path

import pytest
import shops
from typed import typed


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shop that ships, published, with a pool that runs low."""
    monkeypatch.setenv("OUTREACH_SECRET", shops.SECRET)
    folder = shops.shipped(tmp_path / "shop")
    audience = folder / "journeys" / "audience.yaml"
    text = audience.read_text().replace("value: 20 CNY, expires: 14d", "value: 20 CNY, expires: 14d, low: 1000000", 1)
    audience.write_text(text)
    assert typed(folder, "publish", "--yes").code == 0
    return folder


def test_pools_are_listed_and_one_that_runs_low_is_a_problem(shop: Path) -> None:
    told = typed(shop, "codes", "list")
    assert told.code == 1
    assert "pool second_order runs low" in told.out
    rows = {row["pool"]: row for row in typed(shop, "codes", "list", "--format", "json").value}
    assert rows["second_order"]["runs_low"]
    assert not rows["come_back"]["runs_low"]
    doctor = typed(shop, "doctor")
    assert "then: outreach codes import second_order" in doctor.out + doctor.err


def test_new_lines_of_a_pool_are_taken_in(shop: Path) -> None:
    with (shop / "journeys" / "codes" / "second_order.csv").open("a") as file:
        file.write("NEW-1\nNEW-2\n")
    assert typed(shop, "codes", "import", "second_order", "--format", "json").value == {"second_order": 2}
    assert "second_order: 0 new codes" in typed(shop, "codes", "import").out
    assert typed(shop, "codes", "import", "gone").code == 2

"""`outreach trim`: what is over for longer than `keep` goes, and what stays is named."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import shops
from typed import typed


def test_events_that_nobody_asks_about_go_and_those_that_stay_are_named(shop: Path) -> None:
    old = shops.NOW - timedelta(days=500)
    (shop / "people.csv").write_text("id,email\nanna,anna@example.com\n")
    told = [{"id": name, "person": "anna", "name": name, "at": old.isoformat()} for name in ("Sneezed", "Coughed")]
    (shop / "events.jsonl").write_text("\n".join(map(json.dumps, told)))
    assert typed(shop, "import", "people", str(shop / "people.csv")).code == 0
    assert typed(shop, "import", "events", str(shop / "events.jsonl")).code == 0
    assert typed(shop, "trim").code == 2  # without `keep`
    with (shop / "config.yaml").open("a") as file:
        file.write("keep: 400d\n")

    done = typed(shop, "trim", "--format", "json").value

    assert done["trimmed"]["events"] == 2
    assert "there is nothing to trim" in typed(shop, "trim").out

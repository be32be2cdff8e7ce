"""The UCI history as files: the converter, the mapping of docs/ and the oracle tell the same people and orders."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.imports.files import read_events, read_people
from engine.imports.mapping import FileMap, read_mapping
from engine.imports.rows import EventRow, PersonRow
from engine.journey.problems import Problem
from engine.settings import Settings
from tests.real import uci
from tests.real.uci_oracle import FILE, Truth, data_dir

DATA = data_dir()
MAP = Path(__file__).parents[2] / "docs" / "uci_online_retail.map.yaml"
SETTINGS = Settings.model_validate(
    {
        "shop": {
            "name": "Gifts",
            "url": "https://gifts.example",
            "zone": "Europe/London",
            "country": "GB",
            "locale": "en-GB",
            "currency": "GBP",
        },
        "topics": {
            "care": {"title": "Care", "purpose": "marketing"},
            "offers": {"title": "Offers", "purpose": "marketing"},
        },
        "channels": {},
    }
)
pytestmark = pytest.mark.skipif(DATA is None, reason=f"{FILE} is not here (OUTREACH_DATA names its folder)")


@pytest.fixture(scope="module")
def mapping() -> FileMap:
    found, problems = read_mapping(MAP)
    assert problems == []
    assert found is not None
    return found


def rows(items: Iterator[Any]) -> list[Any]:
    found = list(items)
    assert [item for item in found if isinstance(item, Problem)] == []
    return found


def told(row: PersonRow | EventRow) -> dict[str, Any]:
    return row.model_dump(exclude={"position", "guessed"})


def instants(events: Path, name: str) -> dict[str, datetime]:
    found = (json.loads(line) for line in events.read_text(encoding="utf-8").splitlines())
    return {
        event["payload"]["order_id"]: datetime.fromisoformat(event["at"]) for event in found if event["name"] == name
    }


def test_the_oracle_counts_what_the_history_is_known_for(truth: Truth) -> None:
    """4,372 customers is the number its authors publish; 18,536 their orders, 4 of them worth nothing."""
    assert len(truth.customers) == 4_372
    assert len(truth.orders) == 18_536
    assert len(truth.enrollments) == 18_525
    assert len(truth.cancellations) == 189


def test_the_converter_tells_what_the_oracle_finds(truth: Truth, converted: tuple[Path, Path]) -> None:
    _, events = converted
    assert instants(events, "Order Completed") == {number: order.at for number, order in truth.orders.items()}
    assert instants(events, "Order Cancelled") == truth.cancellations
    assert instants(events, "Parcel Delivered") == truth.deliveries


def test_another_seed_delivers_at_another_time_within_the_same_days() -> None:
    at = datetime(2010, 12, 1, 8, 26, tzinfo=UTC)
    arrivals = {uci.delivered("536365", at, seed) for seed in range(50)}
    assert len(arrivals) == 50
    assert all(timedelta(days=1) <= arrives - at < timedelta(days=5) for arrives in arrivals)


def test_the_raw_file_under_its_mapping_holds_the_same_orders(
    truth: Truth, converted: tuple[Path, Path], mapping: FileMap
) -> None:
    assert DATA is not None
    mapped = {row.id: told(row) for row in rows(read_events(DATA / FILE, mapping, SETTINGS))}
    made = {
        row.id: told(row) for row in rows(read_events(converted[1], None, SETTINGS)) if row.name == "Order Completed"
    }
    assert mapped == made
    assert {row["payload"]["order_id"]: row["payload"]["total"] for row in mapped.values()} == {
        number: order.total for number, order in truth.orders.items()
    }


def test_the_raw_file_under_its_mapping_holds_the_same_people(
    truth: Truth, converted: tuple[Path, Path], mapping: FileMap
) -> None:
    assert DATA is not None
    mapped = {row.id: told(row) for row in rows(read_people(DATA / FILE, mapping, SETTINGS))}
    made = {row.id: told(row) for row in rows(read_people(converted[0], None, SETTINGS))}
    nowhere = {id for id, country in truth.customers.items() if not uci.HOMES[country].country}
    assert set(mapped) == set(made) == set(truth.customers)
    for id in set(made) - nowhere:
        assert mapped[id] == made[id]
    for id in nowhere:  # the shop's zone and language, where the file names no country
        assert (mapped[id]["country"], mapped[id]["zone"]) == (None, "Europe/London")

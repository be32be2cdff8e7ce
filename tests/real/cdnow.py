"""Turn the CDNOW history into people.csv and events.jsonl, as `outreach import` reads them.

The history: every purchase of 23,570 customers of a music shop, January 1997 to June 1998 (Fader and Hardie). It has
days and no times of day: an order stands so many seconds after midnight UTC as the first 8 hexadecimal digits of
sha256("<seed>/<line>") leave when divided by 86,400, lines counted from 0. The shop knows everybody since
1 January 1997.
"""

from __future__ import annotations

import csv
import hashlib
import json
import lzma
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

FILE = "cdnow_master.csv.xz"
KNOWN_SINCE = datetime(1997, 1, 1, tzinfo=UTC)


class Purchase(NamedTuple):
    """One line of the file. Money is exact: in cents."""

    number: int
    customer: str
    at: datetime
    cds: int
    cents: int


def purchases(file: Path, seed: int = 1) -> Iterator[Purchase]:
    """All of them, in the order of the file."""
    with lzma.open(file, "rt", encoding="utf-8", newline="") as text:
        for number, row in enumerate(csv.DictReader(text)):
            digest = hashlib.sha256(f"{seed}/{number}".encode()).hexdigest()
            day = datetime.fromisoformat(row["date"]).replace(tzinfo=UTC)
            dollars, _, cents = row["dollar_value"].partition(".")
            yield Purchase(
                number,
                row["customer_id"],
                day + timedelta(seconds=int(digest[:8], 16) % 86_400),
                int(row["number_of_cds"]),
                int(dollars) * 100 + int(cents.ljust(2, "0")),
            )


def convert(file: Path, folder: Path, seed: int = 1) -> tuple[Path, Path]:
    """people.csv and events.jsonl."""
    people, events = folder / "people.csv", folder / "events.jsonl"
    customers: dict[str, None] = {}
    with events.open("w", encoding="utf-8") as lines:
        for one in purchases(file, seed):
            customers[one.customer] = None
            told = {
                "id": f"cd-{one.number}",
                "person": one.customer,
                "name": "Order Completed",
                "at": one.at.isoformat(),
                "payload": {"order_id": str(one.number), "total": one.cents / 100, "items": one.cds},
            }
            lines.write(json.dumps(told) + "\n")
    with people.open("w", encoding="utf-8", newline="") as rows:
        writer = csv.writer(rows)
        writer.writerow(["id", "email", "created_at"])
        writer.writerows([name, f"c{name}@example.com", KNOWN_SINCE.isoformat()] for name in customers)
    return people, events

"""Instants: how a text must be written to be one, and distances that stay inside the calendar."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)

_WRITTEN = re.compile(
    r"((?:19|20|21)\d\d-\d\d-\d\d)"
    r"(?:[T ](\d\d:\d\d)(?:(:\d\d)(?:\.\d{1,9})?)?(Z|[+-](?:0\d|1[0-4]):[0-5]\d)?)?",
    re.ASCII,
)


def instant_of(text: str) -> datetime | None:
    """`2026-12-01`, `2026-12-01T10:00`, `2026-12-01 10:00:30.5+08:00` -> an instant, whole seconds.

    Without a zone it is UTC. Years 1900 to 2199. Anything else is None.
    """
    wall = as_written(text)
    return wall and (wall.astimezone(UTC) if wall.tzinfo else wall.replace(tzinfo=UTC))


def as_written(text: str) -> datetime | None:
    """The same with the zone that is written, or without any."""
    found = _WRITTEN.fullmatch(text)
    if not found:
        return None
    day, clock, seconds, zone = found.groups()
    try:
        return datetime.fromisoformat(f"{day}T{clock or '00:00'}{seconds or ':00'}{zone or ''}")
    except ValueError:
        return None


def earlier(at: datetime, distance: timedelta) -> datetime:
    """`at` less `distance`, no earlier than the calendar begins."""
    return at - distance if distance <= at - EARLIEST else EARLIEST


def later(at: datetime, distance: timedelta) -> datetime:
    """`at` and `distance`, no later than the calendar ends."""
    return at + distance if distance <= LATEST - at else LATEST

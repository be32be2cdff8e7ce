"""A clock that stands until it is moved."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass
class StillClock:
    """Called, it tells its instant."""

    instant: datetime = datetime(2026, 1, 15, 8, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.instant

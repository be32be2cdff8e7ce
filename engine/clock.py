"""Time: the only place that asks the system for it. Everything else is handed `now` as a value.

Instants are aware datetimes in UTC. `monotonic` is in seconds and serves deadlines only.
"""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """Tells the instant, and a monotonic number of seconds for deadlines."""

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class ManualClock:
    """Stands still until it is moved: simulation and tests. It never goes back."""

    def __init__(self, instant: datetime) -> None:
        self._now = _utc(instant)

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._now.timestamp()

    def move_to(self, instant: datetime) -> None:
        """Move on to `instant`. ValueError when that lies in the past."""
        instant = _utc(instant)
        if instant < self._now:
            raise ValueError(f"the clock stands at {self._now} and cannot go back to {instant}")
        self._now = instant


class FileClock:
    """Reads the instant (ISO 8601) from a file at every call, so that a test can move the time of a running daemon.

    Deadlines of real sockets still run on the machine's monotonic clock.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last: datetime | None = None

    def now(self) -> datetime:
        text = self._path.read_text().strip()
        if text:  # a writer may just have emptied the file; the instant before still holds then
            self._last = _utc(datetime.fromisoformat(text))
        if self._last is None:
            raise ValueError(f"{self._path} holds no instant")
        return self._last

    def monotonic(self) -> float:
        return time.monotonic()


def _utc(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError(f"an instant needs a zone, {instant} has none")
    return instant.astimezone(UTC)


def fresh_token() -> str:
    """A token nobody can guess, new at every call: who holds a batch, which attempt this was."""
    return secrets.token_hex(8)

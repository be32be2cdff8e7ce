"""Time: the only place that asks the system for it. Everything else is handed `now` as a value.

Instants are aware datetimes in UTC. `monotonic` is in seconds and serves deadlines only. `elapsed` is what a clock is
held against: it counts the hours in which a laptop slept as well, so that only a clock that was set looks like one.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import NamedTuple, Protocol

JUMP = timedelta(minutes=5)  # a clock that moves by more than this against the time that has passed was set
NOISE = timedelta(seconds=1)  # what a measurement may be wrong; a clock does not go back by so little, it waits
DRIFT = 1e-4  # seconds by which two clocks may part in a second though nobody sets them
_UPTIME = Path("/proc/uptime")  # the kernel's own words: a tool that shows a process another time cannot change them
_ELSEWHERE = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # on macOS the latter knows of sleep
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def elapsed() -> float:
    """Seconds that have passed on this machine since it was started, to the hundredth, those it slept included."""
    handle = _uptime()
    if handle is None:
        return time.clock_gettime(_ELSEWHERE)
    return float(os.pread(handle, 64, 0).split()[0])


@cache
def _uptime() -> int | None:
    try:
        return os.open(_UPTIME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


def boot() -> str | None:
    """Names this start of this machine: `elapsed` of another one cannot be compared. None where it has no name."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return None


class Reading(NamedTuple):
    """A clock, looked at."""

    at: datetime
    elapsed: float  # seconds, when it was
    error: float = 0.0  # seconds by which `at` may be wrong

    def after(self, seconds: float) -> datetime:
        """What this clock shows when `elapsed` is so far, if nobody sets it."""
        return self.at + timedelta(seconds=seconds - self.elapsed)


class Clock(Protocol):
    """Tells the instant, and a monotonic number of seconds for deadlines."""

    passes: bool  # does it go on by itself, so that one can wait for an instant?

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...


class SystemClock:
    """The machine's own clock."""

    passes = True

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def read(self) -> Reading:
        return Reading(self.now(), elapsed())


class ServerClock:
    """The clock of the database's server, so that all hosts agree: asked now and then, reckoned on in between.

    It is asked at the first `now`, and whenever somebody wants to `read` it. `now` itself never waits for a server that
    does not answer, once it has answered.
    """

    passes = True

    def __init__(self, ask: Callable[[], Reading]) -> None:
        self._ask = ask
        self._reading: Reading | None = None
        self._told: datetime | None = None
        self._lock = threading.Lock()

    def now(self) -> datetime:
        if self._reading is None:
            self.read()
        with self._lock:
            assert self._reading is not None
            at = self._reading.after(elapsed())
            if self._told is None or not self._told - NOISE <= at < self._told:
                self._told = at
            return self._told

    def monotonic(self) -> float:
        return time.monotonic()

    def read(self) -> Reading:
        """Ask the server. What it raises when it does not answer is raised, and the reckoning goes on as it was."""
        reading = self._ask()
        self.hear(reading)
        return reading

    def hear(self, reading: Reading) -> None:
        """Take over what the server said, as far as it proves anything: an answer that took long proves little."""
        with self._lock:
            known = self._reading
            if known is None or self._differs(known, reading):
                self._reading = reading

    @staticmethod
    def _differs(known: Reading, new: Reading) -> bool:
        apart = abs((new.at - known.after(new.elapsed)).total_seconds())
        return apart > new.error or new.error <= known.error


class ClockGuard:
    """Holds a clock against the time that has passed since it was last trusted. Small drifts are followed."""

    def __init__(self, read: Callable[[], Reading]) -> None:
        self.read = read
        self.doubting = False  # the clock is in doubt, and this one knows what it should show
        self.word = 0  # which word of somebody it goes by: they are counted
        self.looked = self.noted = float("-inf")  # `elapsed` when the database was asked, and told, the last time
        self._trusted: Reading | None = None
        self._floor: datetime | None = None

    @property
    def began(self) -> bool:
        return self._trusted is not None or self._floor is not None

    def trust(self, reading: Reading, word: int | None = None) -> None:
        """From now on this is right."""
        self._trusted, self._floor, self.doubting = reading, None, False
        self.word = self.word if word is None else word

    def not_before(self, at: datetime, word: int) -> None:
        """All that is known is that this instant is over."""
        self._trusted, self._floor, self.word = None, at, word

    def jump(self, reading: Reading) -> timedelta | None:
        """How far the clock has jumped; minus: back. None when it is right."""
        slack, ahead = JUMP + NOISE + timedelta(seconds=reading.error), timedelta(0)
        if self._trusted is not None:
            passed = abs(reading.elapsed - self._trusted.elapsed)
            slack += timedelta(seconds=passed * DRIFT)
            ahead = reading.at - self._trusted.after(reading.elapsed)
        elif self._floor is not None:
            ahead = min(ahead, reading.at - self._floor)
        return ahead if abs(ahead) > slack else None


class ManualClock:
    """Stands still until it is moved: simulation and tests. It never goes back."""

    passes = False

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

    passes = False

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

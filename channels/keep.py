"""The small storage a provider is handed: what all workers share and a restart must not lose, in words and few.

Access tokens are kept here, so that a service is asked for one by one worker, and by none that comes later; and what an
in-app inbox holds. The engine's keep is in its database, sealed; `MemoryKeep` is for a provider by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from channels.clock import system_now


class Keep(Protocol):
    """Values by name. A name is of one provider with one account: begin it with both."""

    async def get(self, name: str) -> str | None:
        """What was put there; None when nothing was, or its time is over."""
        ...

    async def put(self, name: str, value: str, until: datetime) -> None:
        """Put a value there, in place of what was, for all workers, until an instant."""
        ...

    async def claim(self, name: str, until: datetime) -> bool:
        """Ask to be the only one who works on something. True for one asker, until `release` or the instant."""
        ...

    async def release(self, name: str) -> None:
        """Let another one work on it."""
        ...

    async def post(self, box: str, key: str, entry: bytes, at: datetime) -> None:
        """Lay an entry into a box, once: of the same key only the first is kept, and the second does no harm."""
        ...


@dataclass
class _Kept:
    value: str
    until: datetime


class MemoryKeep:
    """A keep that lasts as long as the process."""

    def __init__(self, now: Callable[[], datetime] = system_now) -> None:
        self._now = now
        self._values: dict[str, _Kept] = {}
        self._claims: dict[str, datetime] = {}
        self.boxes: dict[str, dict[str, bytes]] = {}

    async def get(self, name: str) -> str | None:
        kept = self._values.get(name)
        return kept.value if kept is not None and kept.until > self._now() else None

    async def put(self, name: str, value: str, until: datetime) -> None:
        self._values[name] = _Kept(value, until)

    async def claim(self, name: str, until: datetime) -> bool:
        if name in self._claims and self._claims[name] > self._now():
            return False
        self._claims[name] = until
        return True

    async def release(self, name: str) -> None:
        self._claims.pop(name, None)

    async def post(self, box: str, key: str, entry: bytes, at: datetime) -> None:
        self.boxes.setdefault(box, {}).setdefault(key, entry)

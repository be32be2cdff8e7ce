"""A small file outside the database that remembers the last attempt: so a database that went back in time is noticed.

Before messages are handed to a provider, the file is told the first of them. Where the database does not know that
attempt when a daemon begins, it is an older copy, and what it holds as waiting may have left since.
"""

from __future__ import annotations

import json
import logging
import os
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from engine.clock import fresh_token
from engine.decide.outcome import DeliveryKind
from engine.store.tables import delivery, get_fact, set_fact

log = logging.getLogger("outreach.fence")

LINEAGE = "lineage"  # the fact that names this course of things: another one begins with each restore
TRIMMED = timedelta(days=50)  # what is older may have been trimmed: see `keep` in config.yaml
MOST_KEPT = 20  # courses of things that a file remembers
WIDTH = 4_096  # bytes of the file: what is written is always as long, so that half of it is never left


@dataclass(frozen=True)
class Attempt:
    """The last one of a course of things that is known here."""

    message: int
    attempt: int
    at: datetime


@dataclass
class Fence:
    """The file, open as long as the database is held. Without a path it does nothing."""

    path: Path | None = None
    lineage: str | None = None  # the course of things that is held now
    last: dict[str, Attempt | None] = field(default_factory=dict)  # of each course that was ever held here
    ended: list[str] = field(default_factory=list)  # courses that a restore has put an end to
    _handle: int | None = None

    def note(self, message_id: int, attempt: int, now: datetime) -> None:
        """These are about to be handed over. A file that cannot be written hinders nobody: it only notices less."""
        if self._handle is None or self.lineage is None:
            return
        self.last[self.lineage] = Attempt(message_id, attempt, now)
        with suppress(OSError):
            self._write(self._handle)

    def follow(self, lineage: str) -> None:
        """From now on this is the course of things."""
        self.lineage = lineage
        others = [one for one in self.last if one != lineage][-MOST_KEPT + 1 :]
        self.last = {**{one: self.last[one] for one in others}, lineage: self.last.get(lineage)}
        self.ended = self.ended[-MOST_KEPT:]

    def open(self) -> None:
        if self.path is None:
            return
        try:
            self._handle = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600)
            self._write(self._handle)
        except OSError as error:
            log.warning("%s cannot be written (%s): a restore would not be noticed", self.path.name, error.strerror)

    def close(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)

    def _write(self, handle: int) -> None:
        last = {name: one and [one.message, one.attempt, one.at.isoformat()] for name, one in self.last.items()}
        os.pwrite(handle, json.dumps({"last": last, "ended": self.ended}).encode().ljust(WIDTH - 1) + b"\n", 0)


def _attempt(message_id: int, attempt: int, at: str) -> Attempt:
    return Attempt(int(message_id), int(attempt), datetime.fromisoformat(at).astimezone(UTC))


def read(path: Path | None) -> Fence:
    """What the file says; nothing where there is none, or it cannot be understood."""
    if path is None:
        return Fence()
    try:
        told: Any = json.loads(path.read_text())
        last = {str(name): one and _attempt(*one) for name, one in told["last"].items()}
        return Fence(path, None, last, [str(one) for one in told["ended"]])
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return Fence(path)


def went_back(connection: Connection, fence: Fence, now: datetime) -> str | None:
    """Does this database lack what the file remembers? Since when, as a sentence tells it."""
    mine = get_fact(connection, LINEAGE)
    if mine in fence.ended:
        return "it was brought back once more, to before the last restore"
    last = fence.last.get(mine) if mine is not None else None
    if last is None or now - last.at > TRIMMED:
        return None
    known = select(delivery.c.id).where(
        delivery.c.message_id == last.message,
        delivery.c.attempt == last.attempt,
        delivery.c.kind == DeliveryKind.begun.value,
    )
    if connection.execute(known.limit(1)).first() is not None:
        return None
    return f"message {last.message} left at {last.at:%Y-%m-%d %H:%M:%S} UTC, and it knows nothing of that"


def begin_lineage(connection: Connection, fence: Fence) -> None:
    """From here on things take a course of their own; the one before is over."""
    before, token = get_fact(connection, LINEAGE), fresh_token()
    set_fact(connection, LINEAGE, token)
    if before is not None:
        fence.ended.append(before)
    fence.follow(token)

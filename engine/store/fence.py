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
from datetime import datetime, timedelta
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


@dataclass
class Fence:
    """The file, open as long as the database is held. Without a path it does nothing."""

    path: Path | None = None
    lineages: list[str] = field(default_factory=list)  # the courses of things seen here; the last one holds
    begun: tuple[int, int] | None = None  # message, attempt
    at: str | None = None
    _handle: int | None = None

    def note(self, message_id: int, attempt: int, now: datetime) -> None:
        """These are about to be handed over. A file that cannot be written hinders nobody: it only notices less."""
        if self._handle is None:
            return
        self.begun, self.at = (message_id, attempt), now.isoformat()
        with suppress(OSError):
            self._write(self._handle)

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
        told = {"lineages": self.lineages, "begun": self.begun, "at": self.at}
        text = json.dumps(told).encode()
        os.pwrite(handle, text.ljust(256 + 20 * MOST_KEPT) + b"\n", 0)  # one write of one length: never half of one


def read(path: Path | None) -> Fence:
    """What the file says; nothing where there is none, or it cannot be understood."""
    if path is None:
        return Fence()
    try:
        told: Any = json.loads(path.read_text())
        begun = told["begun"] and (int(told["begun"][0]), int(told["begun"][1]))
        return Fence(path, [str(one) for one in told["lineages"]], begun, told["at"])
    except (OSError, ValueError, KeyError, TypeError):
        return Fence(path)


def went_back(connection: Connection, fence: Fence, now: datetime) -> str | None:
    """Does this database lack what the file remembers? Since when, as a sentence tells it."""
    mine = get_fact(connection, LINEAGE)
    if mine is None or mine not in fence.lineages:
        return None  # another database, or one that somebody has already said is as it should be
    if mine != fence.lineages[-1]:
        return "it was brought back once more, to before the last restore"
    if fence.begun is None or fence.at is None or now - datetime.fromisoformat(fence.at) > TRIMMED:
        return None
    number, attempt = fence.begun
    known = select(delivery.c.id).where(
        delivery.c.message_id == number,
        delivery.c.attempt == attempt,
        delivery.c.kind == DeliveryKind.begun.value,
    )
    if connection.execute(known.limit(1)).first() is not None:
        return None
    return f"message {number} left at {fence.at[:19].replace('T', ' ')} UTC, and it knows nothing of that"


def begin_lineage(connection: Connection, fence: Fence) -> None:
    """From here on things take a course of their own, which the file knows."""
    token = fresh_token()
    set_fact(connection, LINEAGE, token)
    fence.lineages = [*fence.lineages, token][-MOST_KEPT:]
    fence.begun = fence.at = None


def recognise(connection: Connection, fence: Fence) -> None:
    """The course of this database is the one that the file follows now."""
    mine = get_fact(connection, LINEAGE)
    if mine is None:
        begin_lineage(connection, fence)
    elif mine not in fence.lineages:
        fence.lineages = [*fence.lineages, mine][-MOST_KEPT:]
        fence.begun = fence.at = None

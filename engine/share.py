"""How work is shared: a port of three calls. What there is to do stands in our tables; this says who is told of it.

Its sides are in `work/`: `alone`, one process that looks into the tables itself, and `cluster`, any number of workers
that an engine inside PostgreSQL hands the work to. Either may run a unit twice: whoever takes it gets a token, and
without it nothing is written. Commands, which make units and do none, tell only.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from sqlalchemy import Connection


class Kind(StrEnum):
    """What there is to do."""

    chunk = "chunk"  # people to decide about
    batch = "batch"  # messages to hand over


class Unit(NamedTuple):
    """One piece of work that one worker does in one go."""

    kind: Kind
    number: int
    lane: str = ""  # of a batch
    urgent: bool = False  # before those that are not
    due_at: datetime | None = None  # None: now


class Telling(Protocol):
    """Tells whoever works what there is to do."""

    def defer(self, connection: Connection, units: Sequence[Unit]) -> None:
        """In the transaction that makes these units: without its commit nobody hears of them."""

    def cancel(self, connection: Connection, units: Sequence[Unit]) -> None:
        """These units are told anew, or no more."""


class Share(Telling, Protocol):
    """A process's share of the work."""

    def run(self) -> None:
        """Do what there is to do, until asked to stop."""


class InTables:
    """Nobody is told: whoever works looks into the tables, at the latest with its next beat."""

    def defer(self, connection: Connection, units: Sequence[Unit]) -> None:
        """They stand in the tables."""

    def cancel(self, connection: Connection, units: Sequence[Unit]) -> None:
        """They stood in the tables only."""

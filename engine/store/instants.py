"""What the database knows of time: its server's clock, the latest instant it has seen, and whether a clock jumped."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
from sqlalchemy import Connection, func, select

from engine.clock import Reading, boot, elapsed
from engine.store.tables import fact, get_fact, set_fact

CLOCK = "clock"  # the fact that tells whether it is trusted
SEEN = "clock_seen"  # the fact that tells the latest instant at which work was done
_SERVER = select(func.clock_timestamp())
_BOTH = select(select(fact.c.value).where(fact.c.name == CLOCK).scalar_subquery(), func.clock_timestamp())


def server_clock(connection: Connection) -> Reading:
    """The clock of PostgreSQL, with half of the way there and back."""
    asked = elapsed()
    return _reading(connection.execute(_SERVER).scalar_one(), asked)


def _reading(at: datetime, asked: float) -> Reading:
    half = (elapsed() - asked) / 2
    return Reading(at.astimezone(UTC), asked + half, half)


@dataclass(frozen=True)
class Doubt:
    """A clock that jumped, and who noticed."""

    seconds: float  # how far; minus: back
    at: str  # what it showed then
    by: str


@dataclass(frozen=True)
class Trust:
    """How often somebody has said that the clock is right, and what was noticed since."""

    word: int = 0
    doubt: Doubt | None = None


def trust(connection: Connection) -> Trust:
    return _trust(get_fact(connection, CLOCK))


def _trust(text: str | None) -> Trust:
    return msgspec.json.decode(text, type=Trust) if text else Trust()


def trust_and_clock(connection: Connection, on_server: bool) -> tuple[Trust, Reading | None]:
    """Both at once, for a commit that must not wait: the clock where it is the server's."""
    if not on_server:
        return trust(connection), None
    asked = elapsed()
    text, at = connection.execute(_BOTH).one()
    return _trust(text), _reading(at, asked)


def note_doubt(connection: Connection, doubt: Doubt, word: int) -> Trust:
    """The clock jumped. What was noticed first stays, and a later word about it holds."""
    known = trust(connection)
    if known.doubt is not None or known.word != word:
        return known
    return _keep(connection, Trust(word, doubt))


def end_doubt(connection: Connection) -> Trust:
    """The clock is right as it is: everybody trusts it anew."""
    return _keep(connection, Trust(trust(connection).word + 1))


def _keep(connection: Connection, trust: Trust) -> Trust:
    set_fact(connection, CLOCK, msgspec.json.encode(trust).decode())
    return trust


# --- the latest instant ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """When work was done last, and how long the machine had been running then."""

    at: datetime
    elapsed: float
    boot: str | None


def seen(connection: Connection) -> Seen | None:
    text = get_fact(connection, SEEN)
    return msgspec.json.decode(text, type=Seen) if text else None


def note_seen(connection: Connection, reading: Reading) -> None:
    set_fact(connection, SEEN, msgspec.json.encode(Seen(reading.at, reading.elapsed, boot())).decode())

"""Whether the clock can be believed. By one that was set nothing is decided and nothing leaves until somebody says so.

A clock is held against the time that has passed (`engine.clock`): at every unit of work, in every commit that begins
attempts, and at the start against the latest instant at which work was done. What is noticed is kept in the database:
every process stops, also after a restart. It ends by a person's word (`outreach resume --clock`),
or when the clock is put back to what it should show.
"""

from __future__ import annotations

import logging
import os
import socket
from datetime import datetime, timedelta

from sqlalchemy import Connection

from engine.app import App
from engine.clock import ClockGuard, Reading, ServerClock, boot, elapsed
from engine.errors import ClockInDoubt
from engine.store import instants
from engine.store.instants import Doubt, Seen, Trust

log = logging.getLogger("outreach.clock")

LOOK_EVERY = 1.0  # seconds for which the database is not asked again about doubts, nor PostgreSQL about the time
NOTE_EVERY = 60.0  # seconds after which the latest instant is kept anew
WITNESS = timedelta(minutes=2)  # work that was done so long after what this machine takes for now proves that it stood


def sure_now(app: App) -> datetime:
    """The instant, for a unit of work. `ClockInDoubt` when the clock jumped and nobody has said that it is right."""
    guard = app.guard
    if guard is not None and (
        elapsed() - guard.looked >= LOOK_EVERY
        or guard.doubting
        or (app.database.is_sqlite and guard.jump(guard.read()) is not None)
    ):
        _look(app, guard)
    return app.clock.now()


def now_as_trusted(app: App) -> datetime:
    """The instant, for what has happened already and has to be written down. Never waits, and never stops.

    Where the clock was set it is what this clock should show: no retry comes early or late, and nothing expires by it.
    """
    now = app.clock.now()
    jump = app.guard.jump(Reading(now, elapsed())) if app.guard is not None else None
    return now if jump is None else now - jump


def in_doubt(app: App, connection: Connection) -> bool:
    """Must no attempt begin, in the transaction that would begin some?"""
    guard = app.guard
    if guard is None:
        return False
    trust, reading = instants.trust_and_clock(connection, isinstance(app.clock, ServerClock))
    if trust.doubt is not None:
        return True
    return trust.word == guard.word and guard.jump(reading or guard.read()) is not None


def confirm(app: App) -> Doubt | None:
    """The clock is right, says a person. What was in doubt, if anything was."""
    if app.guard is None:
        return None
    reading, doubt = app.guard.read(), doubt_of(app)
    with app.database.writing() as connection:
        trust = instants.end_doubt(connection)
        instants.note_seen(connection, reading)
    app.guard.trust(reading, trust.word)
    return doubt


def doubt_of(app: App) -> Doubt | None:
    """What keeps work from being done, as far as it can be seen without doing any."""
    if app.guard is None:
        return None
    guard = ClockGuard(app.guard.read)
    trust, reading, seen = _read(app, guard)
    _begin(guard, reading, trust, seen)
    jump = guard.jump(reading)
    if jump is None:
        return None if guard.doubting else trust.doubt
    return trust.doubt or _doubt(jump, reading)


def sentence(doubt: Doubt) -> str:
    """For the log and for people."""
    at = datetime.fromisoformat(doubt.at)
    way = "ahead" if doubt.seconds > 0 else "back"
    far = _span(timedelta(seconds=doubt.seconds))
    return (
        f"the clock jumped {way} by {far}, to {at:%Y-%m-%d %H:%M:%S} UTC; nothing is decided or sent until somebody "
        "says that it is right: outreach resume --clock"
    )


def _span(jump: timedelta) -> timedelta:
    return timedelta(seconds=round(abs(jump.total_seconds())))


def _look(app: App, guard: ClockGuard) -> None:
    """Hold the clock against what is known of it, here and by everybody. `ClockInDoubt` when it cannot be believed."""
    trust, reading, seen = _read(app, guard)
    if not guard.began:
        _begin(guard, reading, trust, seen)
    elif trust.word != guard.word:
        guard.trust(reading, trust.word)
    jump = guard.jump(reading)
    if jump is not None and trust.doubt is None and _stood_still(app, jump, reading):
        log.warning("this machine stood still for %s, and others did not; work goes on", _span(jump))
        jump = None
    if jump is not None:
        guard.doubting = True
        if trust.doubt is None:
            trust = _note(app, _doubt(jump, reading), trust.word)
    elif trust.doubt is not None and guard.doubting:
        trust = _put_back(app, trust, reading)
    if trust.doubt is not None:
        raise ClockInDoubt(sentence(trust.doubt))
    guard.trust(reading, trust.word)
    if reading.elapsed - guard.noted >= NOTE_EVERY:
        with app.database.writing() as connection:
            instants.note_seen(connection, reading)
        guard.noted = reading.elapsed
    guard.looked = reading.elapsed


def _read(app: App, guard: ClockGuard) -> tuple[Trust, Reading, Seen | None]:
    clock = app.clock
    with app.database.reading() as connection:
        trust, reading = instants.trust_and_clock(connection, isinstance(clock, ServerClock))
        seen = None if guard.began else instants.seen(connection)
    if reading is not None and isinstance(clock, ServerClock):
        clock.hear(reading)
    return trust, reading or guard.read(), seen


def _stood_still(app: App, jump: timedelta, reading: Reading) -> bool:
    """Was it this machine that was stopped, and not the server's clock that was set? Then others have worked meanwhile,
    at instants still to come by what has passed here: theirs is the same clock, and for them it did not jump."""
    if app.database.is_sqlite or jump < timedelta(0):
        return False
    with app.database.reading() as connection:
        seen = instants.seen(connection)
    return seen is not None and seen.boot != boot() and seen.at > reading.at - jump + WITNESS


def _begin(guard: ClockGuard, reading: Reading, trust: Trust, seen: Seen | None) -> None:
    """What this process goes by at first: what was known when work was done last, as far as it says anything here."""
    if seen is None:
        if trust.doubt is None:
            guard.trust(reading, trust.word)
    elif seen.boot is not None and seen.boot == boot():
        guard.trust(Reading(seen.at, seen.elapsed), trust.word)
        guard.doubting = trust.doubt is not None
    else:
        guard.not_before(seen.at, trust.word)
        guard.noted = reading.elapsed  # what it knows nothing of it vouches for only once others had time to object


def _doubt(jump: timedelta, reading: Reading) -> Doubt:
    return Doubt(jump.total_seconds(), reading.at.isoformat(), f"process {os.getpid()} on {socket.gethostname()}")


def _note(app: App, doubt: Doubt, word: int) -> Trust:
    with app.database.writing() as connection:
        return instants.note_doubt(connection, doubt, word)


def _put_back(app: App, known: Trust, reading: Reading) -> Trust:
    """The clock shows again what it should: nothing was done by the wrong one, so nobody has to be asked."""
    with app.database.writing() as connection:
        trust = instants.trust(connection)
        if trust != known:  # somebody was faster
            return trust
        instants.note_seen(connection, reading)
        trust = instants.end_doubt(connection)
    log.warning("the clock was put back to what it should show; work goes on")
    return trust

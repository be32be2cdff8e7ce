"""One process that does everything: at each beat it looks into the tables itself, so nobody has to be told.

What comes in does not wait for the next beat: a look at the number of the last fact, many times between two beats, says
whether anything did, whichever process took it in.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import datetime

from engine.app import App
from engine.errors import ClockInDoubt
from engine.share import InTables
from engine.store import segments
from engine.store.hold import Hold
from engine.work.presence import sign_of_life
from engine.work.publishing.noticing import Noticing
from engine.work.pulse import Pulse, beating
from engine.work.recovery import recover
from engine.work.sending.batches import Dispatched
from engine.work.sure import sure_now
from engine.work.tick import Beat, tick
from engine.work.trimming import trim_beside

log = logging.getLogger("outreach.daemon")


class Alone(InTables):
    """The share of work of the one process on a SQLite database."""

    def __init__(self, app: App, hold: Hold) -> None:
        self.pulses = (Pulse(app, app.settings.beat, self._beat, self._news),)
        self._app = app
        self._known = 0  # the number of the last fact when the last beat began
        self._hold = hold
        self._folder = Noticing(app)
        self._taken_up = False

    def take_up(self) -> Dispatched:
        """Whatever the last end left behind, once the clock can be believed: until then the web answers, no more."""
        if not self._taken_up:
            with suppress(ClockInDoubt):
                done = recover(self._app, sure_now(self._app))
                self._taken_up = True
                return done
        return Dispatched()

    def run(self) -> None:
        with beating(self._app, self.pulses):
            self._app.stop.wait()

    def _beat(self, now: datetime) -> None:
        app = self._app
        app.refresh()
        self._hold.renew()
        self.take_up()
        self._known = self._latest()
        beat = tick(app)
        note(beat)
        sign_of_life(app)  # also of the database: one that takes no writes is told of, in a beat without work too
        trim_beside(app, in_a_lull=not (beat.people or beat.dispatched.any))
        for sentence in self._folder.news():
            log.warning("%s", sentence)

    def _news(self) -> bool:
        """Did anything come in since the last beat began?"""
        return self._latest() != self._known

    def _latest(self) -> int:
        with self._app.database.reading() as connection:
            return segments.latest_fact(connection)


def note(beat: Beat) -> None:
    """One line of counts per beat in which something happened: no address, no name."""
    counts = {
        "waves": beat.entered.runs,
        "entered": beat.entered.entered,
        "crossed": beat.entered.crossed,
        "decided": beat.people,
        "queued": beat.queued,
        "unsent": beat.unsent,
        "failed": beat.failed,
        "given": beat.given,
        "escalated": beat.escalated,
        **vars(beat.dispatched),
    }
    if told := " ".join(f"{name}={count}" for name, count in counts.items() if count):
        log.info("beat: %s", told)

"""The daemon: APScheduler beats, each beat is one `tick`; a small web server beside it; a clean way to end.

The scheduler is an alarm clock in memory and nothing more: what is due is computed from the tables. One daemon per
database: a second one is refused, and one that finds that another has taken its place ends.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger
from sqlalchemy.exc import OperationalError

from engine.app import App
from engine.errors import Busy, ClockInDoubt, OutreachError, Unfit
from engine.store import workers
from engine.store.database import told_plainly
from engine.store.hold import Hold, held
from engine.web.server import WebServer
from engine.work.ballast import keep_ballast
from engine.work.beginning import begun
from engine.work.presence import signed_on, take_from_the_lost
from engine.work.publishing.noticing import Noticing
from engine.work.recovery import recover
from engine.work.sending.batches import Dispatched
from engine.work.sure import sure_now
from engine.work.tick import Beat, tick
from engine.work.trimming import trim_beside

log = logging.getLogger("outreach.daemon")

STOP_WITHIN = 20.0  # seconds a beat under way may take to settle what it holds
LET_GO_WITHIN = 5.0  # seconds it may then take to write down what no provider answered
SIGNALS = (signal.SIGTERM, signal.SIGINT)
TEST_BEAT = 0.02  # seconds between beats under a test clock, which moves without telling


@contextmanager
def alone(app: App) -> Iterator[Hold]:
    """Hold this database as its one daemon. `Busy`, naming the holder, when there is one already; `Unfit` where it
    must not be run as it is."""
    with held(app.database, name_of_process(), app.clock.now()) as hold, begun(app):
        yield hold


def name_of_process() -> str:
    """What it is known as."""
    return f"process {os.getpid()} on {socket.gethostname()}"


def _note(beat: Beat) -> None:
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


def run_once(app: App) -> Beat:
    """Recover, then one whole beat. On PostgreSQL beside whoever works there."""
    with alone(app) if app.database.is_sqlite else beside(app):
        if app.database.is_sqlite:
            recover(app, app.clock.now())
        beat = tick(app)
        _note(beat)
        return beat


def _take_up(app: App) -> Dispatched:
    """Whatever the last end left behind."""
    return recover(app, sure_now(app))


@contextmanager
def beside(app: App) -> Iterator[None]:
    """A worker for a moment: what the dead left is taken up first."""
    hold = held(app.database, name_of_process(), app.clock.now(), shared=True)
    with hold, begun(app), signed_on(app, name_of_process()):
        take_from_the_lost(app, app.clock.now())
        yield


class Daemon:
    """Beats until it is asked to stop."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._stop = threading.Event()
        self._beating = threading.Lock()
        self._last_beat: datetime | None = None
        self._beating_since: datetime | None = None
        self._resting_since: datetime | None = None
        self._failure: str | None = None
        self._hold = Hold()
        self._taken_over: Busy | None = None
        self._worker = 0
        self._taken_up = False
        self._folder = Noticing(app)

    def run(self, ready: Any = None) -> None:
        """Run until SIGTERM or SIGINT, then settle what is held and return. `ready(port)` is called once it beats."""
        app = self._app
        _ = app.secret  # unfit without one: say so before anything else
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # they wait until they are waited for, in every thread
        with alone(app) as self._hold:
            recovered = self._take_up_when_sure()
            self._worker = self._sign_on()
            keep_ballast(app.database)
            web = WebServer(app, self.health)
            web.start()
            log.info("started, listening on %s:%s", app.settings.web.host, web.port)
            scheduler = self._scheduler()
            scheduler.start()
            if ready is not None:
                ready(web.port, recovered)
            signal.sigwait(SIGNALS)
            self._stop.set()
            app.stopping = True
            scheduler.shutdown(wait=False)
            self._settle()
            web.stop()
            self._beat_worker(stopped=True)
            log.info("stopped")
        if self._taken_over is not None:
            raise self._taken_over

    def _take_up_when_sure(self) -> Dispatched:
        """Before the first beat; a clock that is in doubt keeps it waiting, and the web answers meanwhile."""
        if self._taken_up:
            return Dispatched()
        with suppress(ClockInDoubt):
            recovered = _take_up(self._app)
            self._taken_up = True
            return recovered
        return Dispatched()

    def _settle(self) -> None:
        """Let the beat under way come to its end; what a provider has not answered by then is `unknown`."""
        if self._beating.acquire(timeout=STOP_WITHIN):
            return
        self._app.let_go()
        if not self._beating.acquire(timeout=LET_GO_WITHIN):
            raise Unfit("the beat under way did not end in time; the next start settles what it held")

    def health(self) -> dict[str, Any]:
        """What /health is judged by."""
        instants = {
            "last_beat": self._last_beat,
            "beating_since": self._beating_since,
            "resting_since": self._resting_since,
        }
        told = {name: at.isoformat() if at else None for name, at in instants.items()}
        return {"ok": self._failure is None and self._last_beat is not None, "problem": self._failure, **told}

    def _scheduler(self) -> BackgroundScheduler:
        app = self._app
        seconds = TEST_BEAT if app.settings.test_clock else app.settings.beat.total_seconds()
        logging.getLogger("apscheduler").setLevel(logging.ERROR)  # a beat skipped because one runs is no news
        scheduler = BackgroundScheduler(
            timezone="UTC", job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        )
        scheduler.add_job(self._beat)  # the first one at once
        scheduler.add_job(self._beat, IntervalTrigger(seconds=seconds))
        return scheduler

    def _beat(self) -> None:
        """One beat. What goes wrong is told and tried again at the next one; the daemon stays."""
        if self._stop.is_set() or not self._beating.acquire(blocking=False):
            return
        try:
            app = self._app
            now = self._beating_since = app.clock.now()
            app.refresh()
            self._hold.renew()
            self._take_up_when_sure()
            beat = tick(app)
            _note(beat)
            trim_beside(app, in_a_lull=not (beat.people or beat.dispatched.any))
            for sentence in self._folder.news():
                log.warning("%s", sentence)
            self._last_beat, self._resting_since, self._failure = now, app.clock.now(), None
            self._beat_worker()
        except Busy as error:
            log.error("another daemon has taken over, this one ends: %s", error)
            self._failure, self._taken_over = str(error), error
            os.kill(os.getpid(), signal.SIGTERM)  # as if somebody had asked
        except ClockInDoubt as error:  # told once: a person has to see it
            if self._failure != str(error):
                log.error("%s", error)
            self._failure = str(error)
        except OperationalError as error:  # no room, no right, no answer: nobody has to read where in the code
            self._failure = f"the database: {told_plainly(error)}"
            log.error("beat failed, the next one tries again: %s", self._failure)
        except Exception as error:
            self._failure = str(error) if isinstance(error, OutreachError) else f"{type(error).__name__}, see the log"
            log.exception("beat failed")
        finally:
            self._beating_since = None
            self._beating.release()

    def _sign_on(self) -> int:
        """Nobody else works here: whoever did not say that it ended is lost."""
        app, now = self._app, self._app.clock.now()
        with app.database.writing() as connection:
            workers.give_up(connection, [one.id for one in workers.silent(connection, now)], now)
            app.worker_id = workers.sign_on(connection, name_of_process(), now)
        return app.worker_id

    def _beat_worker(self, stopped: bool = False) -> None:
        with self._app.database.writing() as connection:
            at = self._last_beat or self._app.clock.now()
            workers.beat(connection, self._worker, at, stopped)


def recovered_sentence(done: Dispatched) -> str | None:
    """What start-up found, for people; None when there was nothing."""
    if not done.any:
        return None
    return (
        f"after the last end: {done.unknown} messages may have gone out and are kept as unknown, "
        f"{done.retry} are asked again with the same key, {done.settled} wait for a person"
    )

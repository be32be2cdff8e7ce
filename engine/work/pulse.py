"""Beats: work that an alarm clock starts again and again. What goes wrong is told, and tried again at the next beat.

The scheduler is an alarm clock in memory and nothing more: what is due is computed from the tables.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger
from sqlalchemy.exc import DBAPIError, OperationalError

from engine.app import App
from engine.errors import Busy, ClockInDoubt, OutreachError, Renamed, Unfit
from engine.store.database import told_plainly
from engine.work.sure import sure_now

log = logging.getLogger("outreach.beat")

TEST_BEAT = 0.02  # seconds between beats under a test clock, which moves without telling
LOOK = 0.2  # seconds between two looks whether there is reason for a beat at once
END_WITHIN = 25.0  # seconds that a beat under way may take to come to its end


class Pulse:
    """One kind of work, done at every beat, never twice at once; at once, too, when `news` says that something came."""

    def __init__(
        self,
        app: App,
        every: timedelta,
        work: Callable[[datetime], None],
        news: Callable[[], bool] = lambda: False,
    ) -> None:
        self.seconds = min(every.total_seconds(), TEST_BEAT if app.settings.test_clock else math.inf)
        self.failure: str | None = None
        self.last: datetime | None = None  # the instant of the last beat that came to its end
        self.began: datetime | None = None  # of the beat under way
        self.rested: datetime | None = None  # when the last one came to its end
        self.taken_over: Busy | None = None
        self._app = app
        self._work = work
        self._news = news
        self._beating = threading.Lock()

    def beat(self) -> None:
        """One beat. Whatever goes wrong, the process stays, unless its database is in other hands."""
        app = self._app
        if app.stopping or not self._beating.acquire(blocking=False):
            return
        try:
            self.began = app.clock.now()
            now = sure_now(app)
            self._work(now)
            self.last, self.rested, self.failure = now, app.clock.now(), None
        except Busy as error:
            log.error("the database is in other hands, this process ends: %s", error)
            self.failure, self.taken_over = str(error), error
            os.kill(os.getpid(), signal.SIGTERM)  # as if somebody had asked
        except Renamed:
            pass  # the next beat goes by the new name
        except ClockInDoubt as error:  # a person has to see it
            self._tell_once(str(error))
        except OperationalError as error:  # no room, no right, no answer: nobody has to read where in the code
            self._tell_once(f"the database: {told_plainly(error)}")
        except Exception as error:
            self.failure = str(error) if isinstance(error, OutreachError) else f"{type(error).__name__}, see the log"
            log.exception("beat failed")
        finally:
            self.began = None
            self._beating.release()

    def look(self) -> None:
        """A beat, if something came. Where beats fail, they are tried again at their own pace."""
        with suppress(DBAPIError):  # the next beat tells of it
            if self.failure is None and self._news():
                self.beat()

    def _tell_once(self, failure: str) -> None:
        """The same again and again is no news."""
        if failure != self.failure:
            log.error("beat failed, the next ones try again: %s", failure)
        self.failure = failure

    def end(self) -> None:
        """Wait for the beat under way. `Unfit` when it takes too long: the next start settles what it held."""
        if not self._beating.acquire(timeout=END_WITHIN):
            raise Unfit("the beat under way did not end in time; the next start settles what it held")


@contextmanager
def beating(app: App, pulses: Sequence[Pulse]) -> Iterator[None]:
    """Beat, the first time at once, until the block ends; beats under way are waited for."""
    logging.getLogger("apscheduler").setLevel(logging.ERROR)  # a beat skipped because one runs is no news
    scheduler = BackgroundScheduler(
        timezone="UTC", job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
    )
    for pulse in pulses:
        scheduler.add_job(pulse.beat)
        scheduler.add_job(pulse.beat, IntervalTrigger(seconds=pulse.seconds))
        scheduler.add_job(pulse.look, IntervalTrigger(seconds=LOOK))
    scheduler.start()
    try:
        yield
    finally:
        app.stop.set()
        scheduler.shutdown(wait=False)
        for pulse in pulses:
            pulse.end()


def health(pulses: Sequence[Pulse]) -> dict[str, Any]:
    """What /health is judged by: of several kinds of work the one that is worst off."""
    ended = [pulse.last for pulse in pulses]
    instants = {
        "last_beat": min((at for at in ended if at), default=None) if all(ended) else None,
        "beating_since": min((pulse.began for pulse in pulses if pulse.began), default=None),
        "resting_since": min((pulse.rested for pulse in pulses if pulse.rested), default=None),
    }
    problem = next((pulse.failure for pulse in pulses if pulse.failure), None)
    told = {name: at.isoformat() if at else None for name, at in instants.items()}
    return {"ok": problem is None and instants["last_beat"] is not None, "problem": problem, **told}

"""A worker: one of any number of processes, on any hosts, that run the journeys of one PostgreSQL.

Each beats, and holds what it took as long as it does. Each may plan and hand out; one at a time does. What is handed
out is done by whoever is free.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger
from sqlalchemy.exc import DBAPIError, OperationalError

from engine.app import App
from engine.decide.state import Rules
from engine.errors import Busy, ClockInDoubt, OutreachError, Renamed
from engine.needs import Needs
from engine.store import leases
from engine.store.database import told_plainly
from engine.store.hold import Hold, held
from engine.web.server import WebServer
from engine.work import in_hand
from engine.work.advance import move_on
from engine.work.beginning import begun
from engine.work.cluster import Cluster, install
from engine.work.entering.pages import enter_chunk
from engine.work.entering.waves import Entered
from engine.work.handing_out import hand_out, tell_again
from engine.work.in_hand import Part
from engine.work.presence import signed_on, take_from_the_lost
from engine.work.publishing.noticing import Noticing
from engine.work.recovery import settle
from engine.work.sending.batches import Dispatched
from engine.work.sending.dispatch import send_batch
from engine.work.sure import sure_now
from engine.work.tick import Beat, plan
from engine.work.trimming import trim_beside

log = logging.getLogger("outreach.worker")

TEST_BEAT = 0.05  # seconds between beats under a test clock, which moves without telling
SIGNALS = (signal.SIGTERM, signal.SIGINT)
HAND_OUT = 0.5  # seconds between two looks for who is due
PLANS = "plans"  # the lease of who enters people and works out the scores of the night
HANDS_OUT = "hands out"  # the lease of who makes chunks
LEASED = timedelta(seconds=15)  # for so long after its last look
STOP_WITHIN = 20.0  # seconds that providers get to answer when the worker is asked to stop


class Worker:
    """Works until it is asked to stop."""

    def __init__(self, app: App, name: str, web: bool = False) -> None:
        self._app = app
        self._name = name
        self._web = WebServer(app, self.health) if web else None
        self._cluster = Cluster(app, self.decide, self.send)
        self._failure: str | None = None
        self._last_beat: datetime | None = None
        self._began: datetime | None = None
        self._rested: datetime | None = None
        self._hold = Hold()
        self._taken_over: Busy | None = None
        self._folder = Noticing(app)

    def run(self, ready: Any = None) -> None:
        """Run until SIGTERM or SIGINT, then settle what is held and return. `ready(port)` is called once it works."""
        app = self._app
        _ = app.secret
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        with held(app.database, self._name, app.clock.now(), shared=True) as self._hold, begun(app):
            with app.database.writing() as connection:
                install(connection)
            app.share = self._cluster
            with signed_on(app, self._name):
                self._work(ready)
        if self._taken_over is not None:
            raise self._taken_over

    def _work(self, ready: Any) -> None:
        app, scheduler = self._app, self._scheduler()
        if self._web is not None:
            self._web.start()
        waiting = threading.Thread(target=self._wait_for_the_end, name="end", daemon=True)
        waiting.start()
        scheduler.start()
        log.info("worker %d, %s", app.worker_id, self._name)
        if ready is not None:
            ready(self._web.port if self._web is not None else None)
        try:
            self._cluster.run()
        finally:
            app.stopping = True
            scheduler.shutdown(wait=True)
            if self._web is not None:
                self._web.stop()
            with suppress(DBAPIError):
                settle(app, Dispatched())
        log.info("stopped")

    def _wait_for_the_end(self) -> None:
        signal.sigwait(SIGNALS)
        self._app.stopping = True
        self._cluster.stop()
        if not threading.Event().wait(STOP_WITHIN):
            self._app.let_go()

    def health(self) -> dict[str, Any]:
        """What /health is judged by."""
        instants = {"last_beat": self._last_beat, "beating_since": self._began, "resting_since": self._rested}
        told = {name: at.isoformat() if at else None for name, at in instants.items()}
        return {"ok": self._failure is None and self._last_beat is not None, "problem": self._failure, **told}

    # --- what is handed to it ----------------------------------------------------------------------------------------

    def decide(self, number: int) -> None:
        """Decide about the people of a chunk."""
        app = self._app
        now = sure_now(app)
        rules, needs = self._rules()
        taken = in_hand.take(app, number)
        if taken is None:
            return
        hand, told = taken
        with suppress(Renamed):  # whoever is told of it next goes by the new name
            if told.run_id is not None:
                enter_chunk(app, rules, needs, hand, told, now, Entered())
            else:
                move_on(app, rules, needs, Part(told.people, told.failures, told.way), now, hand)

    async def send(self, number: int, channel: str) -> None:
        """Hand over the messages of a batch."""
        rules = await self._settled()
        done = Dispatched()
        await send_batch(self._app, rules, channel, number, done)
        if done.any:
            log.info("batch %d: %s", number, " ".join(f"{name}={count}" for name, count in vars(done).items() if count))

    async def _settled(self) -> Rules:
        """The rules, once the answers that the database would not take are written."""

        def read() -> Rules:
            settle(self._app, Dispatched())
            sure_now(self._app)
            return self._rules()[0]

        return await asyncio.to_thread(read)

    def _rules(self) -> tuple[Rules, Needs]:
        with self._app.database.reading() as connection:
            rules = self._app.rules(connection)
        return rules, self._app.needs(rules)

    # --- its beats ---------------------------------------------------------------------------------------------------

    def _scheduler(self) -> BackgroundScheduler:
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        scheduler = BackgroundScheduler(
            timezone="UTC", job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        )
        beat = TEST_BEAT if self._app.settings.test_clock else self._app.settings.beat.total_seconds()
        scheduler.add_job(self._beat, args=[self._plan])
        scheduler.add_job(self._beat, IntervalTrigger(seconds=beat), args=[self._plan])
        scheduler.add_job(self._beat, IntervalTrigger(seconds=min(HAND_OUT, beat)), args=[self._hand_out])
        return scheduler

    def _beat(self, work: Any) -> None:
        """What goes wrong is told and tried again at the next beat; the worker stays."""
        app = self._app
        if app.stopping:
            return
        try:
            now = self._began = sure_now(app)
            work(now)
            self._last_beat, self._rested, self._failure = now, app.clock.now(), None
        except Busy as error:
            log.error("the database is in other hands, this worker ends: %s", error)
            self._failure, self._taken_over = str(error), error
            os.kill(os.getpid(), signal.SIGTERM)  # as if somebody had asked
        except Renamed:
            pass  # the next beat goes by the new name
        except ClockInDoubt as error:
            if self._failure != str(error):
                log.error("%s", error)
            self._failure = str(error)
        except OperationalError as error:
            self._failure = f"the database: {told_plainly(error)}"
            log.error("beat failed, the next one tries again: %s", self._failure)
        except Exception as error:
            self._failure = str(error) if isinstance(error, OutreachError) else f"{type(error).__name__}, see the log"
            log.exception("beat failed")
        finally:
            self._began = None

    def _plan(self, now: datetime) -> None:
        """Who is to enter, and what is to be worked out: by one worker at a time."""
        app = self._app
        app.refresh()
        self._hold.renew()
        settle(app, Dispatched())
        if not self._leases(PLANS, now):
            return
        take_from_the_lost(app, now)
        rules, needs = self._rules()
        plan(app, rules, needs, Beat(now))
        trim_beside(app, in_a_lull=False)
        for sentence in self._folder.news():
            log.warning("%s", sentence)

    def _hand_out(self, now: datetime) -> None:
        """Chunks of who is due, and what was forgotten: by one worker at a time."""
        if self._leases(HANDS_OUT, now):
            hand_out(self._app, self._rules()[0], now)
            tell_again(self._app, now)

    def _leases(self, name: str, now: datetime) -> bool:
        """Is it for this worker to do? Whoever has it says so anew before it ends."""
        app = self._app
        with app.database.reading() as connection:
            found = leases.holder(connection, name, now)
        if found is not None and (found[0] != app.worker_id or found[1] > LEASED / 2):
            return found[0] == app.worker_id
        with app.database.writing() as connection:
            found = leases.holder(connection, name, now)
            if found is not None and found[0] != app.worker_id:
                return False
            leases.take(connection, name, app.worker_id, now + LEASED)
        return True

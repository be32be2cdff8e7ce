"""One of many workers. Each may plan and hand out; one at a time does. What is handed out is done by whoever is free.

Each gives signs of life, holds what it took as long as it does, and frees what those held who give none any more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from engine.app import App
from engine.decide.state import Rules
from engine.errors import Renamed
from engine.needs import Needs
from engine.store import leases
from engine.store.hold import Hold
from engine.work import in_hand, presence
from engine.work.advance import move_on
from engine.work.cluster import Cluster, install
from engine.work.entering.pages import enter_chunk
from engine.work.entering.waves import Entered
from engine.work.handing_out import hand_out, tell_again
from engine.work.in_hand import Part, no_stray
from engine.work.presence import sign_of_life, take_from_the_lost
from engine.work.publishing.noticing import Noticing
from engine.work.pulse import Pulse, beating
from engine.work.recovery import settle
from engine.work.sending.batches import Dispatched
from engine.work.sending.dispatch import send_batch
from engine.work.sure import sure_now
from engine.work.tick import Beat, plan
from engine.work.trimming import trim_beside

log = logging.getLogger("outreach.worker")

HAND_OUT = timedelta(seconds=0.5)  # between two looks for who is due
LOOK_AROUND = timedelta(seconds=2)  # between two looks for workers that were lost
PLANS = "plans"  # the lease of who enters people and works out the scores of the night
HANDS_OUT = "hands out"  # the lease of who makes chunks
LEASED = timedelta(seconds=8)  # for so long after its last look


class Crew(Cluster):
    """The share of work of a worker among others, on PostgreSQL."""

    def __init__(self, app: App, hold: Hold) -> None:
        super().__init__(app, self.decide, self.send)
        self.pulses = (
            Pulse(app, app.settings.beat, self._leased(PLANS, self._plan)),
            Pulse(app, min(HAND_OUT, app.settings.beat), self._leased(HANDS_OUT, self._hand_out)),
            Pulse(app, LOOK_AROUND, self._look_around),
        )
        self._app = app
        self._hold = hold
        self._folder = Noticing(app)
        self._looked: datetime | None = None
        self._awake_since: datetime | None = None

    def take_up(self) -> Dispatched:
        """The tables of the engine are there from now on; what others hold is their own."""
        with self._app.database.writing() as connection:
            install(connection)
        return Dispatched()

    def run(self) -> None:
        with beating(self._app, self.pulses):
            super().run()

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
        with suppress(Renamed), no_stray(app, hand.token):  # whoever is told of it next goes by the new name
            if told.run_id is not None:
                enter_chunk(app, rules, needs, hand, told, now, Entered())
            else:
                move_on(app, rules, needs, Part(told.people, told.failures, told.way), now, hand)

    async def send(self, number: int, lane: str) -> None:
        """Hand over the messages of a batch."""
        rules = await asyncio.to_thread(self._settled)
        done = Dispatched()
        await send_batch(self._app, rules, lane, number, done)
        if done.any:
            log.info("batch %d: %s", number, " ".join(f"{name}={count}" for name, count in vars(done).items() if count))

    def _settled(self) -> Rules:
        """The rules, once the answers that the database would not take are written."""
        settle(self._app, Dispatched())
        sure_now(self._app)
        return self._rules()[0]

    def _rules(self) -> tuple[Rules, Needs]:
        with self._app.database.reading() as connection:
            rules = self._app.rules(connection)
        return rules, self._app.needs(rules)

    # --- its beats ---------------------------------------------------------------------------------------------------

    def _look_around(self, now: datetime) -> None:
        """Whatever others do, the dead are noticed, and a database that takes no writes."""
        self._hold.renew()
        sign_of_life(self._app)
        settle(self._app, Dispatched())
        if self._has_been_awake(now):
            take_from_the_lost(self._app, now)

    def _has_been_awake(self, now: datetime) -> bool:
        """For long enough to have seen the living? When the database comes back nobody has given a sign for long, and
        whoever looks first would take the living for dead."""
        if self._looked is None or self._awake_since is None or now - self._looked > presence.LEASE / 2:
            self._awake_since = now
        self._looked = now
        return now - self._awake_since >= presence.LEASE / 2  # the living have given two signs by then

    def _plan(self, now: datetime) -> None:
        """Who is to enter, and what is to be worked out."""
        app = self._app
        rules, needs = self._rules()
        plan(app, rules, needs, now, Beat(now))
        trim_beside(app, in_a_lull=False)
        for sentence in self._folder.news():
            log.warning("%s", sentence)

    def _hand_out(self, now: datetime) -> None:
        """Chunks of who is due, and what was forgotten."""
        hand_out(self._app, self._rules()[0], now)
        tell_again(self._app, now)

    def _leased(self, name: str, work: Callable[[datetime], None]) -> Callable[[datetime], None]:
        """Done by one worker at a time."""

        def beat(now: datetime) -> None:
            self._app.refresh()
            if self._holds(name, now):
                work(now)

        return beat

    def _holds(self, name: str, now: datetime) -> bool:
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

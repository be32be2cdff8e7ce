"""A shop whose clock goes on by itself and can be set: the machine's on SQLite, the server's on PostgreSQL."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import shops
import stubs
from sqlalchemy import func, literal, select

from engine import clock as clocks
from engine.app import App, build_app
from engine.clock import SystemClock
from engine.store import instants
from engine.store.tables import fact
from engine.work import sure

RIGHT = timedelta(0)
machine_clock, machine_elapsed = SystemClock.now, clocks.elapsed


class ShopInTime(stubs.World):
    """A shop with a clock that can be set, and a stub for mails."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, config: str = stubs.CONFIG) -> None:
        self._patch = patch
        self._slept = RIGHT
        self.email = stubs.Stub("email")
        self.sms = stubs.Stub("sms")
        patch.setattr(sure, "LOOK_EVERY", 0.0)
        self.folder = stubs.shop(folder, config=config)
        self.app = self.opened()
        shops.publish_all(self.app)

    def opened(self) -> App:
        """One more process."""
        app = build_app(self.folder / "config.yaml", env={"OUTREACH_SECRET": shops.SECRET}, durable=False)
        app.providers |= {"email": self.email, "sms": self.sms}
        self.clock = app.clock  # type: ignore[assignment]
        return app

    def restart(self) -> None:
        """Another process in the place of this one, which has to find out again what time it is."""
        self.app.close()
        self.app = self.opened()

    def set_clock(self, ahead: timedelta) -> None:
        """So far ahead of what is right."""
        self._patch.setattr(SystemClock, "now", lambda clock: machine_clock(clock) + ahead)
        at = func.clock_timestamp() + literal(ahead)
        known = select(fact.c.value).where(fact.c.name == instants.CLOCK).scalar_subquery()
        self._patch.setattr(instants, "_SERVER", select(at))
        self._patch.setattr(instants, "_BOTH", select(known, at))

    def sleep(self, span: timedelta) -> None:
        """The machine sleeps, and wakes by the right clock."""
        self._slept += span
        self.set_clock(self._slept)
        for module in (clocks, instants, sure):
            self._patch.setattr(module, "elapsed", lambda: machine_elapsed() + self._slept.total_seconds())

    def stand_still(self, span: timedelta) -> None:
        """The machine is stopped from outside and knows nothing of that: to it the server's clock is ahead."""
        self.set_clock(span)

    def work_elsewhere(self) -> None:
        """Another machine works by the same clock, and tells of it."""
        with self._patch.context() as patch, self.app.database.writing() as connection:
            patch.setattr(instants, "boot", lambda: "another machine's")
            instants.note_seen(connection, instants.server_clock(connection))

"""Q6, with a real daemon on the machine's own clock, which is set while it runs.

Broken by hand, and both failed: a beat goes by the clock unasked; a doubt is not kept in the database.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import shops
from daemons import Books, Nursery, Running
from stubs import CONFIG, JOURNEY, shop
from typed import typed

from engine.app import build_app

DAYS = timedelta(days=2)
LATER = JOURNEY.replace("steps:", "steps:\n  - wait: 1d").replace("[email, sms]", "[email]")
SETTABLE = """
from datetime import timedelta
from pathlib import Path
from engine.clock import SystemClock

right, by = SystemClock.now, Path("clock-is-ahead-by")
SystemClock.now = lambda clock: right(clock) + timedelta(seconds=float(by.read_text() or 0))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A shop with one order, whose note is due tomorrow."""
    config = CONFIG.replace("least_gap: 1h", "least_gap: 0m") + "beat: 1s\n"
    made = shop(tmp_path / "shop", {"note": LATER}, config)
    set_ahead(made, timedelta(0))
    app = build_app(made / "config.yaml", env={"OUTREACH_SECRET": shops.SECRET})
    shops.publish_all(app)
    shops.add_people(app, [{"external_id": "anna"}])
    shops.happen(app, "o-1", "anna", "Order Completed", {"order_id": "1"})
    app.close()
    return made


def set_ahead(folder: Path, ahead: timedelta) -> None:
    fresh = folder / "clock.new"
    fresh.write_text(str(ahead.total_seconds()))
    fresh.replace(folder / "clock-is-ahead-by")


def daemon(born: Nursery, folder: Path) -> Running:
    running = born.start(folder, "daemon", first=SETTABLE)
    running.until_told("stop with Ctrl-C")
    return running


def counted(folder: Path, table: str) -> int:
    look = Books(folder)
    try:
        return int(look.one(f"SELECT count(*) FROM {table}"))
    finally:
        look.close()


def noted(folder: Path) -> Callable[[], bool]:
    """Has it kept when it worked last?"""
    return lambda: counted(folder, "fact WHERE name = 'clock_seen'") == 1


def test_Q6_a_daemon_whose_clock_jumps_sends_nothing_early_and_goes_on_when_it_is_put_back(
    folder: Path, born: Nursery
) -> None:
    running = daemon(born, folder)
    running.until(noted(folder))
    set_ahead(folder, DAYS)
    running.until_told("the clock jumped ahead by 2 days")
    running.until(lambda: "the clock jumped" in str(running.health()["problem"]))
    doctor = born.start(folder, "doctor", first=SETTABLE)  # by the same clock
    assert doctor.wait() == 1
    assert "outreach resume --clock" in doctor.told
    assert counted(folder, "message") == 0
    set_ahead(folder, timedelta(0))
    running.until_told("the clock was put back")
    running.until(lambda: running.health()["problem"] is None)
    assert counted(folder, "message") == 0
    assert running.told.count("the clock jumped") == 1, "it is told once, not at every beat"


def test_Q6_a_daemon_that_was_killed_by_a_clock_that_jumped_waits_for_a_word_and_then_goes_by_it(
    folder: Path, born: Nursery
) -> None:
    first = daemon(born, folder)
    first.until(noted(folder))
    set_ahead(folder, DAYS)
    first.until_told("the clock jumped ahead by 2 days")
    first.kill()
    first.wait()
    second = daemon(born, folder)
    second.until_told("the clock jumped ahead by 2 days")
    assert counted(folder, "message") == 0
    told = born.start(folder, "resume", "--clock", first=SETTABLE)
    assert told.wait() == 0
    assert "work goes on" in told.told
    second.until(lambda: counted(folder, "message") == 1)
    second.until(lambda: second.health()["problem"] is None)
    (state,) = {row["state"] for row in typed(folder, "messages", "--format", "json").value}
    assert state in {"accepted", "expired"}

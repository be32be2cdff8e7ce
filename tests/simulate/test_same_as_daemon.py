"""What a simulation predicts is what a daemon then sends: the same ledger, row for row, given the same answers."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import shops
from daemons import Running, nursery, set_clock

from engine.app import App
from engine.clock import ManualClock
from engine.imports.files import read_events
from engine.imports.rows import EventRow
from engine.simulate.answers import Answers, Responder, feed
from engine.simulate.run import copy_of, run
from engine.simulate.shop import make_shop, more_events
from engine.store.reports import ledger
from engine.work.incoming.importing import import_events, import_people
from engine.work.incoming.intake import NewEvent

START = datetime(2026, 11, 24, tzinfo=UTC)
END = START + timedelta(days=14)
EVERY = timedelta(hours=6)
PEOPLE = 100
ANSWERS = Answers.model_validate(
    {
        "messages": {"opened": "50%", "clicked": "30%", "after": "2h"},
        "events": [{"name": "Page Viewed", "follows": "Message Clicked", "after": "30m"}],
        "tasks": {
            "care_call": {"after": "3h", "satisfied": "40%", "unhappy": "30%", "reached": "40%", "no_answer": "30%"},
            "personal_call": {"after": "5h", "reached": "50%", "no_answer": "30%"},
            "close_case": {"after": "1d", "noted": "80%"},
        },
        "approvals": {"outcome": "approved", "after": "1h"},
    }
)
#: a provider that refuses now and then, for good or for now, and sometimes says nothing: the same for the same key
MOODY = "provider: simulated\n    seed: 7\n    reject: 5%\n    unavailable: 15%\n    uncertain: 3%"


def planned(responder: Responder, app: App, file: Path) -> Responder:
    """Tell what people do unasked, six hours at a time."""
    slots: dict[datetime, list[NewEvent]] = {}
    for row in read_events(file, None, app.settings):
        if isinstance(row, EventRow):
            slot = START + -((START - row.at) // EVERY) * EVERY
            slots.setdefault(slot, []).append(NewEvent(row.id, row.person, row.name, row.at, row.payload))
    for slot, told in sorted(slots.items()):
        responder.plan(slot, partial(feed, incoming=told))
    return responder


def told(app: App) -> list[dict[str, Any]]:
    with app.database.reading() as connection:
        return ledger(connection)


def has_beaten(daemon: Running, at: datetime) -> bool:
    """Has a beat that began at this instant, or later, come to its end?"""
    last = daemon.health()["last_beat"]
    return last is not None and datetime.fromisoformat(last) >= at


def test_the_ledger_a_simulation_predicts_is_the_one_the_daemon_then_makes(tmp_path: Path) -> None:
    folder = shops.shipped(tmp_path / "shop")
    config = folder / "config.yaml"
    text = config.read_text().replace("port: 8025", "port: 0").replace("    provider: simulated", f"    {MOODY}")
    config.write_text(text + "test_clock: clock.txt\n")
    set_clock(folder, START)
    clock = ManualClock(START)
    app = shops.opened(folder, clock)
    made = make_shop(tmp_path, people=PEOPLE, seed=5, end=START)
    future = more_events(tmp_path, people=PEOPLE, seed=5, end=START)
    import_people(app, made.people)
    import_events(app, made.events)
    shops.publish_all(app)

    with copy_of(app, START) as copy:
        visited = run(copy, END, planned(Responder(ANSWERS), copy, future), every=EVERY)
        predicted = told(copy)

    responder = planned(Responder(ANSWERS), app, future)
    responder.start(app)
    with nursery(tmp_path / "processes") as born:
        set_clock(folder, START - timedelta(seconds=1))
        daemon = born.daemon(folder)
        for instant in visited:
            clock.move_to(instant)
            responder.act(app, instant)  # the daemon sees these when its own clock comes there
            set_clock(folder, instant)
            daemon.until(partial(has_beaten, daemon, instant))
            responder.look(app)
    happened = told(app)
    app.close()

    states = Counter(row["state"] for row in predicted)
    assert {"accepted", "suppressed", "rejected", "unknown"} <= set(states), "too little happens to prove anything"
    assert {row["journey"] for row in predicted} == {"golden_72_hours", "silent_wave", "vip_concierge"}
    assert len(happened) == len(predicted)
    for foreseen, real in zip(predicted, happened, strict=True):
        assert foreseen == real

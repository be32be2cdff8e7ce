"""From an event to the message it starts: a real daemon, events that come in steadily, a sink that notes what came."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

from sqlalchemy import select

from bench import sink_http
from bench.product import HTTP, SINKHOLE, Bench, fill, home_of
from engine.app import App, build_app
from engine.store.tables import message
from engine.work.incoming.intake import NewEvent, record_events
from engine.work.publishing.drafts import load_drafts, publish

SECRET = "a secret of the measurement"
PACE = 0.1  # seconds between two chunks of events
PATIENCE = 120.0
JOURNEY = """title: A word of thanks
owner: bench
topic: care
enter: {event: Visited}
steps:
  - {send: statement, via: [email]}
"""


def measure(bench: Bench, rate: int, seconds: int) -> dict[str, float]:
    """Percentiles of the seconds from an event's arrival to the message's, and what the daemon used of the cores."""
    ledger = bench.folder / "ledger"
    with sink_http.running(ledger) as place:
        home = home_of(bench, HTTP.format(provider="sink_blind", url=place.url) + _where(bench))
        (home / "journeys" / "statement.yaml").unlink()
        (home / "journeys" / "thanks.yaml").write_text(JOURNEY, encoding="utf-8")
        app = build_app(home / "config.yaml", env={"OUTREACH_SECRET": SECRET})
        fill(app, rate * seconds)
        publish(app, load_drafts(app), ["thanks"])
        daemon = _daemon(home)
        try:
            arrived = _come_in(app, rate, seconds)
            _until(lambda: place.taken() >= len(arrived), daemon)
        finally:
            used = _ended(daemon)
        took = _taken(app, ledger, arrived)
        app.close()
    took.sort()
    return {
        "events": len(took),
        "p50": took[len(took) // 2],
        "p99": took[int(len(took) * 0.99)],
        "most": took[-1],
        "core": used / seconds,
    }


def _where(bench: Bench) -> str:
    """The rest of config.yaml, so that the daemon finds the same database and a port that is free."""
    database = f"database: {bench.url}\n" if bench.url else ""
    return database + "web: {port: 0}\n"


def _daemon(home: Path) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(SINKHOLE), str(SINKHOLE.parents[1])])
    env = os.environ | {"OUTREACH_SECRET": SECRET, "PYTHONPATH": path, "LANGUAGE": "en"}
    command = [sys.executable, "-m", "engine.cli.main", "--config", str(home / "config.yaml"), "daemon"]
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if "Ctrl-C" in line:
            threading.Thread(target=process.stdout.read, daemon=True).start()
            return process
    raise SystemExit("the daemon did not start: " + "".join(said))


def _come_in(app: App, rate: int, seconds: int) -> dict[int, float]:
    """Events at a steady pace, one for each person; when each arrived."""
    with app.database.reading() as connection:
        rules = app.rules(connection)
    needs = app.needs(rules)
    people, arrived, pause = count(1), {}, threading.Event()
    began = time.monotonic()
    for turn in range(int(seconds / PACE)):
        pause.wait(max(0.0, began + turn * PACE - time.monotonic()))
        now = time.monotonic()
        chosen = [next(people) for _ in range(int(rate * PACE))]
        arrived.update(dict.fromkeys(chosen, now))
        at = app.clock.now()
        record_events(app, rules, needs, [NewEvent(f"V{one}", f"P{one}", "Visited", at) for one in chosen])
    return arrived


def _taken(app: App, ledger: Path, arrived: dict[int, float]) -> list[float]:
    with app.database.reading() as connection:
        whose = {row.key: row.customer_id for row in connection.execute(select(message.c.key, message.c.customer_id))}
    lines = (line.split() for line in ledger.read_text(encoding="ascii").splitlines())
    return [float(at) - arrived[whose[key]] for _, at, key, _ in lines]


def _until(holds: Callable[[], bool], daemon: subprocess.Popen[str]) -> None:
    pause, began = threading.Event(), time.monotonic()
    while not holds():
        if daemon.poll() is not None or time.monotonic() - began > PATIENCE:
            raise SystemExit("not all messages arrived")
        pause.wait(0.1)


def _ended(daemon: subprocess.Popen[str]) -> float:
    """Seconds of a core that it used."""
    before = os.times()
    daemon.terminate()
    daemon.wait()
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system

"""How long `outreach simulate` takes over 90 days of a journey: everybody is written to, visits, and is asked again."""

from __future__ import annotations

import os
import subprocess
import sys

from bench.measure import Figure
from bench.people import NOW
from bench.product import HTTP, Bench, fill, home_of
from engine.app import build_app
from engine.clock import ManualClock

DAYS = 90


def measure(bench: Bench) -> Figure:
    """One process of the command line; everybody of the audience enters three waves in 90 days."""
    home = home_of(bench, HTTP.format(provider="simulated", url="").replace(', url: ""', ""))
    env = os.environ | {"OUTREACH_SECRET": "a secret of the measurement", "LANGUAGE": "en"}
    app = build_app(home / "config.yaml", clock=ManualClock(NOW), env=env)
    fill(app, bench.count)
    app.close()
    command = [sys.executable, "-m", "engine.cli.main", "--config", str(home / "config.yaml"), "simulate", "statement"]
    command += ["--from", "2026-11-01T00:00:00Z", "--to", "2027-01-30T00:00:00Z"]
    before = os.times()
    subprocess.run(command, env=env, stdout=subprocess.DEVNULL, check=True)
    after = os.times()
    busy = after.children_user - before.children_user + after.children_system - before.children_system
    return Figure(bench.count, after.elapsed - before.elapsed, busy, 0.0)

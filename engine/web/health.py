"""Is the daemon well? What it says of itself, held against the clock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from engine.clock import Clock

MISSED = 3  # beats that may fail to come
LONGEST_BEAT = timedelta(minutes=5)  # a beat with much to do comes to its end later


def judged(told: Mapping[str, Any], clock: Clock, beat: timedelta) -> dict[str, Any]:
    """What /health answers: `ok`, `last_beat` (when it began), `problem`.

    `told` may say since when a beat is under way (`beating_since`), or since when none is (`resting_since`).
    """
    last = told.get("last_beat")
    problem = told.get("problem") or (_overdue(told, clock.now(), beat) if last else "the first beat has not ended yet")
    return {"ok": bool(told["ok"]) and problem is None, "last_beat": last, "problem": problem}


def _overdue(told: Mapping[str, Any], now: datetime, beat: timedelta) -> str | None:
    """What has not come that should have."""
    beating = told.get("beating_since")
    if beating is not None:
        late = now - datetime.fromisoformat(beating) > LONGEST_BEAT
        return f"the beat under way began at {beating} and has not ended" if late else None
    resting = str(told.get("resting_since") or told["last_beat"])
    late = now - datetime.fromisoformat(resting) > MISSED * beat
    return f"no beat since {resting}; one is due every {beat.total_seconds():g} s" if late else None

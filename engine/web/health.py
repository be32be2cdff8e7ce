"""Is the daemon well? What it says of itself, held against the clock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

MISSED = 3  # beats that may fail to come
LONGEST_BEAT = timedelta(minutes=5)  # a beat with much to do comes to its end later


def judged(told: Mapping[str, Any], now: datetime, beat: timedelta) -> dict[str, Any]:
    """What /health answers: `ok`, `last_beat` (when it began), `problem`.

    `told` may say since when a beat is under way (`beating_since`), or since when none is (`resting_since`).
    """
    last, beating = told.get("last_beat"), told.get("beating_since")
    resting = str(told.get("resting_since") or last)
    problem = told.get("problem")
    if problem is None and last is None:
        problem = "the first beat has not ended yet"
    elif problem is None and beating is None and _ago(resting, now) > MISSED * beat:
        problem = f"no beat since {resting}; one is due every {beat.total_seconds():g} s"
    elif problem is None and beating is not None and _ago(beating, now) > LONGEST_BEAT:
        problem = f"the beat under way began at {beating} and has not ended"
    return {"ok": bool(told["ok"]) and problem is None, "last_beat": last, "problem": problem}


def _ago(instant: str, now: datetime) -> timedelta:
    return now - datetime.fromisoformat(instant)

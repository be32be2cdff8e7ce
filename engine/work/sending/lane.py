"""The way out of one channel: open or closed, how wide, how fast; all workers obey what stands in the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from channels.contract import Answer, Provider
from channels.errors import Misconfigured, Unavailable, Uncertain
from engine.app import App
from engine.decide import pace
from engine.decide.pace import Grant
from engine.journey.quantities import Pace
from engine.store import lanes

BREAKER = 5  # failures in a row that stop a lane
BREAKER_PAUSE = timedelta(minutes=1)
STOPPED_LOOK = timedelta(minutes=5)  # how often batches of a stopped lane are looked at for what expires
LONGEST_SLICE = timedelta(seconds=70)  # after it begins, no message of a slice begins any more


@dataclass(frozen=True)
class Width:
    """So many messages may leave at once, or none before `closed_until`."""

    messages: int
    closed_until: datetime | None = None
    pace: Pace | None = None
    probing: bool = False  # the one message asks whether the lane goes again


def width_of(
    app: App, connection: Connection, channel: str, lane: Any, provider: Provider | None, deaths: int, now: datetime
) -> Width:
    """How wide the `lane` of this channel (None: nothing was ever said about it) is just now.

    Messages during which the process died leave by tens, then alone, so that the one it dies of is found. After
    failures in a row one message asks whether it goes again, and no second one until it is answered.
    """
    rate = app.settings.channels[channel].rate if channel in app.settings.channels else None
    if lane is not None and lane.stopped:
        return Width(0, now + STOPPED_LOOK)
    if lane is not None and lane.paused_until is not None and lane.paused_until > now:
        return Width(0, lane.paused_until)
    if provider is None:
        return Width(0, now + STOPPED_LOOK)
    if rate is not None or (lane is not None and lane.failures >= BREAKER):
        lane = lanes.held(connection, channel)
    if lane is not None and lane.failures >= BREAKER:
        return _probe(connection, lane, now)
    most = provider.features.in_flight
    width = max(most if not deaths else most // 10 if deaths == 1 else 1, 1)
    if rate is None:
        return Width(width)
    grants = _grants(lane)
    free = pace.room(grants, rate, now)
    return Width(min(width, free), None if free else pace.room_again(grants, rate, now), rate)


def _probe(connection: Connection, lane: Any, now: datetime) -> Width:
    if lane.probing_until is not None and lane.probing_until > now:
        return Width(0, lane.probing_until)
    lanes.change(connection, lane.channel, probing_until=now + LONGEST_SLICE)
    return Width(1, probing=True)


def end_probe(connection: Connection, channel: str) -> None:
    """The message that was to ask does not leave: another one may."""
    lanes.change(connection, channel, probing_until=None)


# --- its rate --------------------------------------------------------------------------------------------------------


def grant(connection: Connection, channel: str, rate: Pace, name: str, messages: int, now: datetime) -> None:
    """So many messages begin now; the lane is held since its width was asked for."""
    new = Grant(name, now + LONGEST_SLICE, messages)
    _remember(connection, channel, pace.with_grant(_grants(lanes.held(connection, channel)), rate, now, new))


def end_grant(connection: Connection, channel: str, name: str, now: datetime) -> None:
    """All of them have begun."""
    _remember(connection, channel, pace.ended(_grants(lanes.held(connection, channel)), name, now))


def _grants(lane: Any) -> tuple[Grant, ...]:
    return tuple(Grant(name, datetime.fromisoformat(until), count) for name, until, count in lane.used)


def _remember(connection: Connection, channel: str, grants: Sequence[Grant]) -> None:
    lanes.change(connection, channel, used=[[one.name, one.until.isoformat(), one.messages] for one in grants])


# --- what its provider says ------------------------------------------------------------------------------------------


class HeldUp(Unavailable):
    """Nothing was handed over, for the process had been stopped meanwhile: it says nothing about the service."""


_FAILURES = Unavailable | Misconfigured | Uncertain  # of the service; what it refuses for good, it has answered


def judge_lane(connection: Connection, channel: str, known: Any, answers: Sequence[Answer], now: datetime) -> Any:
    """Failures in a row close the lane for a while; wrong credentials stop it until a person resumes it.

    Takes the lane as it was `known` in this transaction, and gives it as it is now.
    """
    answers = [answer for answer in answers if not isinstance(answer, HeldUp)]
    trouble = any(isinstance(answer, _FAILURES) for answer in answers)
    if not trouble and (known is None or (known.failures, known.paused_until, known.stopped) == (0, None, None)):
        return known
    lane = lanes.held(connection, channel)
    failures = lane.failures
    for answer in answers:
        failures = failures + 1 if isinstance(answer, _FAILURES) else 0
    stopped = next((str(answer) for answer in answers if isinstance(answer, Misconfigured)), lane.stopped)
    asked = max((a.retry_after or 0 for a in answers if isinstance(a, Unavailable | Uncertain)), default=0)
    waits = [now + timedelta(seconds=asked)] if asked else []
    waits += [now + BREAKER_PAUSE] if failures >= BREAKER else []
    waits += [lane.paused_until] if lane.paused_until is not None and lane.paused_until > now else []
    until = max(waits, default=None)
    lanes.change(connection, channel, failures=failures, paused_until=until, stopped=stopped, probing_until=None)
    return lanes.of(connection, channel)


def stop_lane(app: App, channel: str, reason: str) -> None:
    with app.database.writing(beside=True) as connection:
        lanes.held(connection, channel)
        lanes.change(connection, channel, stopped=reason)


def pause_lane(app: App, channel: str, seconds: float | None, now: datetime) -> datetime:
    """It cannot be reached to begin with: nothing was tried. Until when the lane waits."""
    until = now + max(BREAKER_PAUSE, timedelta(seconds=seconds or 0))
    with app.database.writing(beside=True) as connection:
        lanes.held(connection, channel)
        lanes.change(connection, channel, paused_until=until)
    return until

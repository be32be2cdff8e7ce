"""One way out of a channel: open or closed, how wide, how fast; all workers obey what stands in the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection

from channels.contract import Answer, Provider
from channels.errors import Misconfigured, Unavailable, Uncertain
from engine.app import App
from engine.decide import pace
from engine.decide.pace import Grant, Limits, Used
from engine.settings import Lane
from engine.store import lanes

BREAKER = 5  # failures in a row that stop a lane
BREAKER_PAUSE = timedelta(minutes=1)
STOPPED_LOOK = timedelta(minutes=5)  # how often batches of a stopped lane are looked at for what expires
LONGEST_SLICE = timedelta(seconds=75)  # after it begins, no message of a slice is on its way any more
CROWDED_LOOK = timedelta(seconds=1)  # how often it is looked whether fewer are on their way
UNLIMITED = 1_000_000_000


@dataclass(frozen=True)
class Width:
    """So many messages may leave at once, or none before `closed_until`."""

    messages: int
    closed_until: datetime | None = None
    limits: Limits | None = None
    probing: bool = False  # the one message asks whether the lane goes again


def width_of(
    app: App, connection: Connection, name: str, lane: Any, provider: Provider | None, deaths: int, now: datetime
) -> Width:
    """How wide the `lane` of this name (None: nothing was ever said about it) is just now.

    Messages during which the process died leave by tens, then alone, so that the one it dies of is found. After
    failures in a row one message asks whether it goes again, and no second one until it is answered.
    """
    limits = _limits(app, app.settings.lanes.get(name))
    if lane is not None and lane.stopped:
        return Width(0, now + STOPPED_LOOK)
    if lane is not None and lane.paused_until is not None and lane.paused_until > now:
        return Width(0, lane.paused_until)
    if provider is None:
        return Width(0, now + STOPPED_LOOK)
    if limits is not None or (lane is not None and lane.failures >= BREAKER):
        lane = lanes.held(connection, name)
    free, again = (UNLIMITED, now) if limits is None else _room(lane, limits, now)
    if not free:
        return Width(0, again, limits)
    if lane is not None and lane.failures >= BREAKER:
        return _probe(connection, lane, limits, now)
    most = provider.features.in_flight
    width = max(most if not deaths else most // 10 if deaths == 1 else 1, 1)
    return Width(min(width, free), None, limits)


class Opening(NamedTuple):
    """What a lane may begin, as far as can be told without holding it."""

    messages: int
    at: datetime | None  # when it opens; None: when somebody says so


def opening_of(app: App, lane: Lane, known: Any, now: datetime) -> Opening:
    """Is this lane open for what another cannot take? While failures close it, only what it has already asks again."""
    if known is not None and known.stopped:
        return Opening(0, None)
    if known is not None and known.paused_until is not None and known.paused_until > now:
        return Opening(0, known.paused_until)
    if known is not None and known.failures >= BREAKER:
        return Opening(0, max(known.probing_until or now, now))
    limits = _limits(app, lane)
    return Opening(UNLIMITED, now) if limits is None else Opening(*_room(known, limits, now))


def _probe(connection: Connection, lane: Any, limits: Limits | None, now: datetime) -> Width:
    if lane.probing_until is not None and lane.probing_until > now:
        return Width(0, lane.probing_until)
    lanes.change(connection, lane.name, probing_until=now + LONGEST_SLICE)
    return Width(1, limits=limits, probing=True)


def end_probe(connection: Connection, name: str) -> None:
    """The message that was to ask does not leave: another one may."""
    lanes.change(connection, name, probing_until=None)


# --- its limits ------------------------------------------------------------------------------------------------------


def grant(connection: Connection, lane: str, limits: Limits, name: str, messages: int, now: datetime) -> None:
    """So many messages begin now; the lane is held since its width was asked for."""
    used = _used(lanes.held(connection, lane))
    _remember(connection, lane, pace.with_grant(used, limits, now, Grant(name, now + LONGEST_SLICE, messages)))


def end_grant(connection: Connection, lane: str, name: str, now: datetime) -> None:
    """None of them is on its way any more."""
    _remember(connection, lane, pace.ended(_used(lanes.held(connection, lane)), name, now))


def begun_today(app: App, lane: Lane, known: Any, now: datetime) -> tuple[int, int] | None:
    """How many attempts began today and how many may; None where no day is counted."""
    limits = _limits(app, lane)
    return pace.day_so_far(_used(known), limits, now) if limits is not None else None


def _limits(app: App, lane: Lane | None) -> Limits | None:
    return pace.limits_of(lane, app.settings.shop.zone) if lane is not None and lane.limited else None


def _room(lane: Any, limits: Limits, now: datetime) -> tuple[int, datetime]:
    """How many may begin now; and when one may again."""
    used = _used(lane)
    again = pace.room_again(used, limits, now)
    if pace.is_crowded(used, limits, now):  # one may end at any moment
        again = max(pace.room_again(used, replace(limits, concurrency=None), now), now + CROWDED_LOOK)
    return pace.room(used, limits, now), again


def _used(lane: Any) -> Used:
    if lane is None:
        return Used()
    grants = tuple(Grant(name, datetime.fromisoformat(until), count) for name, until, count in lane.used)
    return Used(grants, date.fromisoformat(lane.day) if lane.day else None, lane.begun)


def _remember(connection: Connection, name: str, used: Used) -> None:
    grants = [[one.name, one.until.isoformat(), one.messages] for one in used.grants]
    day = used.day.isoformat() if used.day else None
    lanes.change(connection, name, used=grants, day=day, begun=used.begun)


# --- what its provider says ------------------------------------------------------------------------------------------


class HeldUp(Unavailable):
    """Nothing was handed over, for the process had been stopped meanwhile: it says nothing about the service."""


_FAILURES = Unavailable | Misconfigured | Uncertain  # of the service; what it refuses for good, it has answered


def judge_lane(connection: Connection, name: str, known: Any, answers: Sequence[Answer], now: datetime) -> Any:
    """Failures in a row close the lane for a while; wrong credentials stop it until a person resumes it.

    Takes the lane as it was `known` in this transaction, and gives it as it is now.
    """
    answers = [answer for answer in answers if not isinstance(answer, HeldUp)]
    trouble = any(isinstance(answer, _FAILURES) for answer in answers)
    if not trouble and (known is None or (known.failures, known.paused_until, known.stopped) == (0, None, None)):
        return known
    lane = lanes.held(connection, name)
    failures = lane.failures
    for answer in answers:
        failures = failures + 1 if isinstance(answer, _FAILURES) else 0
    stopped = next((str(answer) for answer in answers if isinstance(answer, Misconfigured)), lane.stopped)
    asked = max((a.retry_after or 0 for a in answers if isinstance(a, Unavailable | Uncertain)), default=0)
    waits = [now + timedelta(seconds=asked)] if asked else []
    waits += [now + BREAKER_PAUSE] if failures >= BREAKER else []
    waits += [lane.paused_until] if lane.paused_until is not None and lane.paused_until > now else []
    until = max(waits, default=None)
    lanes.change(connection, name, failures=failures, paused_until=until, stopped=stopped, probing_until=None)
    return lanes.of(connection, name)


def stop_lane(app: App, name: str, reason: str) -> None:
    with app.database.writing(beside=True) as connection:
        lanes.held(connection, name)
        lanes.change(connection, name, stopped=reason)


def pause_lane(app: App, name: str, seconds: float | None, now: datetime) -> datetime:
    """It cannot be reached to begin with: nothing was tried. Until when the lane waits."""
    until = now + max(BREAKER_PAUSE, timedelta(seconds=seconds or 0))
    with app.database.writing(beside=True) as connection:
        lanes.held(connection, name)
        lanes.change(connection, name, paused_until=until)
    return until

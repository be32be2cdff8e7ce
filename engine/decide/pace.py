"""How many messages a lane may begin now, so that its limits hold, however workers and slices overlap.

What was granted is kept with the instant until which its last message may still be on its way. In a window of a rate a
grant counts until a whole window after that: two messages of one window are then always of grants that counted
together. Until then it counts among those that are on their way at a time. A quota counts by the calendar day on which
attempts began.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from engine.decide.timing import day_of, instant_of
from engine.journey.quantities import Pace
from engine.settings import Lane

KEPT = 64  # grants remembered one by one; beyond them neighbours are taken together
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a lane takes at most; where nothing is said there is no limit."""

    zone: ZoneInfo  # whose days are counted
    rates: tuple[Pace, ...] = ()
    quota: int | None = None  # in a day
    warm_up_from: date | None = None
    warm_up: tuple[int, ...] = ()  # on its first day, its second, ...
    concurrency: int | None = None

    @property
    def by_day(self) -> bool:
        return self.quota is not None or self.warm_up_from is not None

    @property
    def remembers(self) -> timedelta:
        """For how long after its end a grant is asked for."""
        return max((one.per for one in self.rates), default=timedelta(0))


@dataclass(frozen=True, slots=True)
class Grant:
    """So many messages, the last of which is on its way no later than `until`."""

    name: str
    until: datetime
    messages: int


@dataclass(frozen=True, slots=True)
class Used:
    """What a lane has been granted, as far as it matters still."""

    grants: tuple[Grant, ...] = ()
    day: date | None = None
    begun: int = 0  # attempts that began on that day


def limits_of(lane: Lane, zone: str) -> Limits:
    """The limits of a lane, in a shop that lives by this zone."""
    way = lane.way
    start, steps = (way.warm_up.from_, way.warm_up.per_day) if way.warm_up else (None, ())
    return Limits(ZoneInfo(zone), way.rate, way.quota, start, steps, way.concurrency)


def room(used: Used, limits: Limits, now: datetime) -> int:
    """How many messages may begin now. Of a lane without limits nobody asks."""
    free = [_room_in(used.grants, pace, now) for pace in limits.rates]
    if limits.concurrency is not None:
        free.append(limits.concurrency - under_way(used, now))
    if limits.by_day and (most := _most_on(limits, _today(used, limits, now))) is not None:
        free.append(most - _begun(used, _today(used, limits, now)))
    return max(min(free, default=_MANY), 0)


_MANY = 1_000_000_000


def room_again(used: Used, limits: Limits, now: datetime) -> datetime:
    """When there is room for one more at the latest, if nothing else is granted; `now` when there is."""
    instants = [_room_in_again(used.grants, pace, now) for pace in limits.rates]
    if limits.concurrency is not None:
        instants.append(_fewer_under_way(used, limits.concurrency, now))
    if limits.by_day:
        instants.append(_another_day(used, limits, now))
    return max(instants, default=now)


def under_way(used: Used, now: datetime) -> int:
    """Messages of grants that have not ended: those of a worker that died end by themselves."""
    return sum(one.messages for one in used.grants if one.until > now)


def is_crowded(used: Used, limits: Limits, now: datetime) -> bool:
    """Are as many on their way as may be? That may be over at any moment."""
    return limits.concurrency is not None and under_way(used, now) >= limits.concurrency


def with_grant(used: Used, limits: Limits, now: datetime, new: Grant) -> Used:
    """What is remembered once this one is granted."""
    day, begun = used.day, used.begun
    if limits.by_day:
        day = _today(used, limits, now)
        begun = _begun(used, day) + new.messages
    if not limits.rates and limits.concurrency is None:
        return Used((), day, begun)
    return Used(_few((*counting(used.grants, limits.remembers, now), new), now), day, begun)


def ended(used: Used, name: str, at: datetime) -> Used:
    """No message of this grant is on its way any more."""
    return replace(
        used,
        grants=tuple(replace(one, until=min(one.until, at)) if one.name == name else one for one in used.grants),
    )


def counting(grants: Sequence[Grant], span: timedelta, now: datetime) -> tuple[Grant, ...]:
    """Those that still count in a window of this length, the ones that end first being first."""
    return tuple(sorted((one for one in grants if one.until > now - span), key=lambda one: (one.until, one.name)))


# --- windows ---------------------------------------------------------------------------------------------------------


def _room_in(grants: Sequence[Grant], pace: Pace, now: datetime) -> int:
    return pace.at_most - sum(one.messages for one in counting(grants, pace.per, now))


def _room_in_again(grants: Sequence[Grant], pace: Pace, now: datetime) -> datetime:
    return _once_below(counting(grants, pace.per, now), pace.at_most, pace.per, now)


def _fewer_under_way(used: Used, most: int, now: datetime) -> datetime:
    return _once_below(counting(used.grants, timedelta(0), now), most, timedelta(0), now)


def _once_below(grants: Sequence[Grant], most: int, span: timedelta, now: datetime) -> datetime:
    """When fewer than `most` count, each until so long after its end."""
    count = sum(one.messages for one in grants)
    for one in grants:
        if count < most:
            break
        count -= one.messages
        now = one.until + span
    return now


def _few(grants: tuple[Grant, ...], now: datetime) -> tuple[Grant, ...]:
    """No more than `KEPT` of them. Two neighbours are taken together as if both had ended with the later one: those
    for which that makes the least difference."""
    if len(grants) <= KEPT:
        return grants
    first = min(range(len(grants) - 1), key=lambda nth: _difference(grants[nth], grants[nth + 1], now))
    one, other = grants[first], grants[first + 1]
    together = Grant("", other.until, one.messages + other.messages)
    return (*grants[:first], together, *grants[first + 2 :])


def _difference(one: Grant, other: Grant, now: datetime) -> tuple[bool, float]:
    """How many messages count for how much longer, measured by how long ago it was. Those still on their way have a
    name by which they end: they are the last to be taken together."""
    return other.until > now, one.messages * (other.until - one.until) / max(now - one.until, _SECOND)


# --- days ------------------------------------------------------------------------------------------------------------


def _today(used: Used, limits: Limits, now: datetime) -> date:
    """The day that counts: never one before that of which is known already, whatever clocks say."""
    day = day_of(now, limits.zone)
    return day if used.day is None else max(day, used.day)


def _begun(used: Used, day: date) -> int:
    return used.begun if used.day == day else 0


def day_so_far(used: Used, limits: Limits, now: datetime) -> tuple[int, int] | None:
    """How many attempts began on the day that counts, and how many may; None where there is no limit to it."""
    if not limits.by_day:
        return None
    day = _today(used, limits, now)
    most = _most_on(limits, day)
    return None if most is None else (_begun(used, day), most)


def _most_on(limits: Limits, day: date) -> int | None:
    """How many may begin on a day. Before a warm-up none; after its last day what the quota says."""
    most = limits.quota
    if limits.warm_up_from is None:
        return most
    nth = (day - limits.warm_up_from).days
    if nth < 0:
        return 0
    if nth >= len(limits.warm_up):
        return most
    return limits.warm_up[nth] if most is None else min(most, limits.warm_up[nth])


def _another_day(used: Used, limits: Limits, now: datetime) -> datetime:
    """`now`, or the first instant of a day on which some may begin."""
    today = _today(used, limits, now)
    most = _most_on(limits, today)
    if most is None or most > _begun(used, today):
        return now
    following = max(today + _DAY, limits.warm_up_from or today)
    return instant_of(datetime.combine(following, time(0)), limits.zone)

"""How many messages a lane may begin now, so that its rate holds in every window, however workers and slices overlap.

What was granted is kept with the instant until which its last message may still be on its way. A grant counts until a
whole window after that: two messages of one window are then always of grants that counted together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from engine.journey.quantities import Pace

KEPT = 64  # grants remembered one by one; older ones are taken together


@dataclass(frozen=True, slots=True)
class Grant:
    """So many messages, the last of which begins no later than `until`."""

    name: str
    until: datetime
    messages: int


def counting(grants: Sequence[Grant], pace: Pace, now: datetime) -> tuple[Grant, ...]:
    """Those that still count, the ones that end first being first."""
    return tuple(sorted((one for one in grants if one.until > now - pace.per), key=lambda one: (one.until, one.name)))


def room(grants: Sequence[Grant], pace: Pace, now: datetime) -> int:
    """How many messages may begin now."""
    return max(pace.at_most - sum(one.messages for one in counting(grants, pace, now)), 0)


def room_again(grants: Sequence[Grant], pace: Pace, now: datetime) -> datetime:
    """When there is room for one more; `now` when there is."""
    count = counting(grants, pace, now)
    used = sum(one.messages for one in count)
    for one in count:
        if used < pace.at_most:
            break
        used -= one.messages
        now = one.until + pace.per
    return now


def with_grant(grants: Sequence[Grant], pace: Pace, now: datetime, new: Grant) -> tuple[Grant, ...]:
    """What is remembered once this one is granted."""
    known = (*counting(grants, pace, now), new)
    if len(known) <= KEPT:
        return known
    first, second, *rest = counting(known, pace, now)
    return (Grant("", second.until, first.messages + second.messages), *rest)


def ended(grants: Sequence[Grant], name: str, at: datetime) -> tuple[Grant, ...]:
    """All messages of this grant have begun by now."""
    return tuple(replace(one, until=min(one.until, at)) if one.name == name else one for one in grants)

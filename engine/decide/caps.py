"""What fills a cap, and who goes first when it binds: places of touches and messages, counted over a span of time.

Total caps count touches, all wishes of one as one; a cap of a channel counts its messages. Calendar spans are the
person's own; windows that move along are half open.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct

from engine.decide.decision import Want
from engine.decide.outcome import COUNTS, MessageState
from engine.decide.state import Said
from engine.decide.timing import day_of, month_of, week_of
from engine.settings import Cap, Policy

Touch = tuple[int | None, str, int]  # enrollment, step, visit: its wishes count once


class Place(Struct, frozen=True):
    """One message that counts against caps: on the books, or wanted a moment ago in this very decision."""

    touch: Touch
    message_id: int | None  # None: wanted in this decision
    at: datetime
    journey: str
    step: str
    channel: str
    topic: str
    marketing: bool
    tags: frozenset[str]
    message: str
    priority: int
    send_by: datetime
    state: str
    waits: bool  # nothing of it is on its way: it goes now at the earliest
    free: bool  # ... and nothing has ever begun: one that goes before it may take the place
    theirs: bool = False

    @property
    def rank(self) -> tuple[int, datetime, datetime, int]:
        """Who goes first: higher priority, sooner to expire, older."""
        return -self.priority, self.send_by, self.at, self.message_id or 0

    @property
    def told(self) -> dict[str, Any]:
        """How a reason names it."""
        return {
            "message_id": self.message_id,
            "enrollment_id": self.touch[0],
            "journey": self.journey,
            "step": self.step,
            "message": self.message,
            "channel": self.channel,
            "priority": self.priority,
            "state": self.state,
        }

    def gives_way_to(self, want: Want) -> bool:
        """Does it leave its place to this wish? Of full equals the one that has the place keeps it."""
        later = self.priority < want.priority or (self.priority == want.priority and self.send_by > want.send_by)
        return self.free and later and (self.marketing or not want.marketing)


class Places:
    """What counts while one decision is made: what is recorded, what this decision adds, without what it takes back."""

    def __init__(self, said: Iterable[Said] = ()) -> None:
        self._all = places(said)

    def beside(self, want: Want) -> list[Place]:
        """What counts for a wish: all of this person's, and on its channel those of people who share the address."""
        return list(_beside(self._all, touch_of(want), want.channel))

    def take(self, want: Want, now: datetime) -> None:
        """A message decided just now counts for those judged after it."""
        self._all.append(_wanted(want, now))

    def give_up(self, message_ids: Iterable[int | None]) -> None:
        """Messages taken back in this decision count no longer."""
        gone = set(message_ids) - {None}
        self._all = [one for one in self._all if one.message_id not in gone]


def touch_of(want: Want) -> Touch:
    """The touch a wish belongs to."""
    return want.enrollment.id, want.step, want.visit


def places(said: Iterable[Said]) -> list[Place]:
    """Those that count, oldest first."""
    counting = [place(one) for one in said if one.state in COUNTS]
    return sorted(counting, key=lambda one: (one.at, one.message_id or 0))


def place(said: Said) -> Place:
    """A message on the books, as caps see it."""
    touch: Touch = (said.enrollment_id, said.step, said.visit)
    waits = said.state is MessageState.retry or (said.state is MessageState.queued and not said.begun)
    return Place(
        touch=touch if said.enrollment_id is not None else (None, str(said.touch_id), 0),
        message_id=said.id,
        at=said.counts_at,
        journey=said.journey,
        step=said.step,
        channel=said.channel,
        topic=said.topic,
        marketing=said.marketing,
        tags=said.tags,
        message=said.message,
        priority=said.priority,
        send_by=said.send_by,
        state=said.state.value,
        waits=waits,
        free=waits and said.state is MessageState.queued and not said.theirs,
        theirs=said.theirs,
    )


def _wanted(want: Want, now: datetime) -> Place:
    return Place(
        touch=touch_of(want),
        message_id=None,
        at=now,
        journey=want.enrollment.journey,
        step=want.step,
        channel=want.channel,
        topic=want.topic,
        marketing=want.marketing,
        tags=want.tags,
        message=want.message,
        priority=want.priority,
        send_by=want.send_by,
        state=MessageState.queued,
        waits=True,
        free=False,
    )


def taken_by(want: Want, cap: str) -> dict[str, Any]:
    """The detail of a message that gives up its place: the cap that had no room for both, and who goes instead."""
    return filled(cap, [_wanted(want, want.due_at)])


def _beside(every: Iterable[Place], touch: Touch, channel: str) -> Iterator[Place]:
    return (one for one in every if one.touch != touch and (not one.theirs or one.channel == channel))


def binding(caps: Iterable[Cap], channel: str, topic: str, marketing: bool, tags: frozenset[str]) -> tuple[Cap, ...]:
    """Those of the caps that may hold back a message like this."""
    return tuple(cap for cap in caps if cap.binds(channel, topic, marketing, tags))


# --- counting --------------------------------------------------------------------------------------------------------


def counted(cap: Cap, others: Iterable[Place], at: datetime, now: datetime, zone: ZoneInfo) -> list[Place]:
    """The places a cap counts for a message that goes at `at`. What waits to leave goes now at the earliest."""
    return [
        one
        for one in others
        if cap.counts(one.channel, one.topic, one.marketing, one.tags)
        and _same_span(cap, max(one.at, now) if one.waits else one.at, at, zone)
    ]


def _same_span(cap: Cap, one: datetime, other: datetime, zone: ZoneInfo) -> bool:
    match cap.per:
        case "day":
            return day_of(one, zone) == day_of(other, zone)
        case "week":
            return week_of(one, zone) == week_of(other, zone)
        case "month":
            return month_of(one, zone) == month_of(other, zone)
        case length:
            return abs(other - one) < length


def used(cap: Cap, counting: Sequence[Place]) -> int:
    """How much of a cap these places take."""
    return len(counting) if cap.channel else len({one.touch for one in counting})


class Full(Struct, frozen=True):
    """A cap without room, and who fills it."""

    sentence: str
    detail: dict[str, Any]


def full(cap: Cap, counting: Sequence[Place]) -> Full:
    """What a reason says of a full cap."""
    names = ", ".join(dict.fromkeys(f"{one.message} ({one.journey})" for one in counting))
    return Full(f"the cap {cap.name} is full: {names}", filled(cap.name, counting))


def filled(name: str, counting: Sequence[Place]) -> dict[str, Any]:
    """The detail of such a reason: the cap's name, the messages that fill it, and who they are."""
    ordered = sorted(counting, key=lambda one: (one.at, one.message_id or 0, one.touch[1]))
    return {
        "cap": name,
        "filled_by": [one.message_id for one in ordered if one.message_id is not None],
        "winners": [one.told for one in ordered],
    }


# --- at the door -----------------------------------------------------------------------------------------------------


def full_at_the_door(
    said: Said, others: Iterable[Said], caps: Iterable[Cap], now: datetime, zone: ZoneInfo
) -> Full | None:
    """The cap that leaves no room for a message that is about to leave, if any.

    What has begun counts, and of what waits beside it that which goes first.
    """
    mine = place(said)
    ahead = [
        one
        for one in _beside(places(others), mine.touch, mine.channel)
        if not one.waits or (one.rank < mine.rank and not one.theirs)
    ]
    for cap in binding(caps, mine.channel, mine.topic, mine.marketing, mine.tags):
        counting = counted(cap, ahead, now, now, zone)
        if used(cap, counting) >= cap.at_most:
            return full(cap, counting)
    return None


def gap_at_the_door(said: Said, others: Iterable[Said], policy: Policy, now: datetime) -> datetime | None:
    """When a message that is about to leave is far enough from what has begun, if it is not yet."""
    mine = place(said)
    ends = [
        one.at + policy.gap_between(one.channel, mine.channel)
        for one in _beside(places(others), mine.touch, mine.channel)
        if one.marketing and not one.waits
    ]
    return max((end for end in ends if end > now), default=None)

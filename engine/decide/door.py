"""The last judgement, at the door: what was decided some time ago is asked once more before it leaves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

from msgspec import Struct

from engine.decide.caps import full_at_the_door, gap_at_the_door
from engine.decide.decision import Rule
from engine.decide.outcome import DeliveryKind
from engine.decide.policy import caps_of, clock, closed, closings_of, objection
from engine.decide.state import CustomerState, Rules, Said
from engine.decide.timing import opening


class Leave(Struct, frozen=True):
    """It may go now."""


class Settle(Struct, frozen=True):
    """It will not go; this is its end."""

    kind: DeliveryKind
    rule: Rule
    sentence: str
    detail: Mapping[str, Any] = {}  # the cap that is full, and who fills it


class Hold(Struct, frozen=True):
    """Not now; ask again at `until`."""

    until: datetime
    rule: Rule
    sentence: str


Verdict = Leave | Settle | Hold
PAUSE_LOOK = timedelta(minutes=1)  # until a message of a paused journey is looked at again


class Queued(Protocol):
    """What the door asks a message that is alone: a `Said`, or its row."""

    @property
    def journey(self) -> str: ...
    @property
    def channel(self) -> str: ...
    @property
    def topic(self) -> str: ...
    @property
    def marketing(self) -> bool: ...
    @property
    def send_by(self) -> datetime: ...


def at_the_door(said: Said, state: CustomerState, rules: Rules, now: datetime) -> Verdict:
    """May this queued message leave now? `state.said` is what may count beside it, as it is at this moment."""
    return alone(said, state, rules, now) or crowded(said, state, rules, now) or Leave()


def alone(queued: Queued, state: CustomerState, rules: Rules, now: datetime) -> Verdict | None:
    """What keeps a message back whatever else is said to its person: time, consent, a pause, a closed door."""
    if now > queued.send_by:
        sentence = f"it had to leave by {_clock(queued.send_by, state)} and did not"
        return Settle(DeliveryKind.expired, Rule.late, sentence)
    refused = objection(queued.channel, queued.topic, queued.marketing, state)
    if refused is not None:
        return Settle(DeliveryKind.suppressed, *refused)
    journey = rules.called(queued.journey)  # it may have been read under the name of before
    if journey in rules.paused:
        return Hold(now + PAUSE_LOOK, Rule.paused, f"journey {journey} is paused")
    return _closed(queued, state, rules, now) if queued.marketing else None


def _closed(queued: Queued, state: CustomerState, rules: Rules, now: datetime) -> Verdict | None:
    """Quiet hours, a holiday or a blackout, if it is time for one."""
    closings = closings_of(rules, queued.journey, queued.channel, state.person.country)
    opens, because = opening(now, state.person.zone, closings)
    if opens <= now:
        return None
    if opens > queued.send_by:
        until = f"until {_clock(opens, state)}, after it had to leave"
        return Settle(DeliveryKind.expired, Rule.late, f"{closed(because)} {until}")
    return Hold(opens, Rule.deferred, f"held until {_clock(opens, state)}: {closed(because)}")


def crowded(said: Said, state: CustomerState, rules: Rules, now: datetime) -> Verdict | None:
    """Caps, and the least gap to what has begun."""
    others = [one for one in state.said if one.id != said.id]
    if not others:
        return None
    full = full_at_the_door(said, others, caps_of(rules, said.journey), now, state.person.zone)
    if full is not None:
        return Settle(DeliveryKind.suppressed, Rule.capped, full.sentence, full.detail)
    clear = gap_at_the_door(said, others, rules.policy, now) if said.marketing else None
    if clear is None:
        return None
    if clear > said.send_by:
        gap = f"too near to another message, and it had to leave by {_clock(said.send_by, state)}"
        return Settle(DeliveryKind.suppressed, Rule.capped, gap)
    return Hold(clear, Rule.deferred, f"held until {_clock(clear, state)}: the least gap between two messages")


def _clock(at: datetime, state: CustomerState) -> str:
    return clock(at, state.person.zone)

"""The last judgement, at the door: what was decided some time ago is asked once more before it leaves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

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


def at_the_door(said: Said, state: CustomerState, rules: Rules, now: datetime) -> Verdict:
    """May this queued message leave now? `state.said` is what may count beside it, as it is at this moment."""
    if now > said.send_by:
        return Settle(DeliveryKind.expired, Rule.late, f"it had to leave by {_clock(said.send_by, state)} and did not")
    refused = objection(said.channel, said.topic, said.marketing, state)
    if refused is not None:
        return Settle(DeliveryKind.suppressed, *refused)
    journey = rules.called(said.journey)  # it may have been read under the name of before
    if journey in rules.paused:
        return Hold(now + PAUSE_LOOK, Rule.paused, f"journey {journey} is paused")
    return (said.marketing and _closed(said, state, rules, now)) or _crowded(said, state, rules, now) or Leave()


def _closed(said: Said, state: CustomerState, rules: Rules, now: datetime) -> Verdict | None:
    """Quiet hours, a holiday or a blackout, if it is time for one."""
    closings = closings_of(rules, said.journey, said.channel, state.person.country)
    opens, because = opening(now, state.person.zone, closings)
    if opens <= now:
        return None
    if opens > said.send_by:
        until = f"until {_clock(opens, state)}, after it had to leave"
        return Settle(DeliveryKind.expired, Rule.late, f"{closed(because)} {until}")
    return Hold(opens, Rule.deferred, f"held until {_clock(opens, state)}: {closed(because)}")


def _crowded(said: Said, state: CustomerState, rules: Rules, now: datetime) -> Verdict | None:
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

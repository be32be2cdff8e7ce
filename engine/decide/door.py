"""The last judgement, at the door: what was decided some time ago is asked once more before it leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from engine.decide.decision import Rule
from engine.decide.outcome import DeliveryKind
from engine.decide.policy import clock, objection, quiet_windows
from engine.decide.state import CustomerState, Rules, Said
from engine.decide.timing import first_open


@dataclass(frozen=True)
class Leave:
    """It may go now."""


@dataclass(frozen=True)
class Settle:
    """It will not go; this is its end."""

    kind: DeliveryKind
    rule: Rule
    sentence: str


@dataclass(frozen=True)
class Hold:
    """Not now; ask again at `until`."""

    until: datetime
    rule: Rule
    sentence: str


Verdict = Leave | Settle | Hold
PAUSE_LOOK = timedelta(minutes=1)  # until a message of a paused journey is looked at again


def at_the_door(
    said: Said, state: CustomerState, rules: Rules, now: datetime, capped: Callable[[], str | None]
) -> Verdict:
    """May this queued message leave now? `capped` tells the cap that is full, if any; it is asked only when needed."""
    if now > said.send_by:
        return Settle(DeliveryKind.expired, Rule.late, f"it had to leave by {_clock(said.send_by, state)} and did not")
    refused = objection(said.channel, said.topic, said.marketing, state)
    if refused is not None:
        return Settle(DeliveryKind.suppressed, *refused)
    if said.journey in rules.paused:
        return Hold(now + PAUSE_LOOK, Rule.paused, f"journey {said.journey} is paused")
    if not said.marketing:
        return Leave()
    opens = first_open(now, state.person.zone, *quiet_windows(rules, said.journey, said.channel))
    if opens > now:
        if opens > said.send_by:
            sentence = f"quiet hours of {said.channel} end at {_clock(opens, state)}, after it had to leave"
            return Settle(DeliveryKind.expired, Rule.late, sentence)
        sentence = f"held until {_clock(opens, state)}: quiet hours of {said.channel}"
        return Hold(opens, Rule.deferred, sentence)
    full = capped()
    return Settle(DeliveryKind.suppressed, Rule.capped, full) if full else Leave()


def _clock(at: datetime, state: CustomerState) -> str:
    return clock(at, state.person.zone)

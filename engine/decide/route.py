"""Which way out of its channel a message takes: by whom it is for, by its key, and by what happened to it so far.

Of those that may serve it, lanes of a lower order come first; among equals a hash of the message's key and the lane's
name deals it to each by its weight. So a message always has the same turns, two messages have them independently, and
a lane that closes or is taken away leaves what the others have where it was.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from engine.audience.phones import calling_code, country_of_phone, known_countries
from engine.decide.decision import Rule
from engine.decide.outcome import DeliveryKind
from engine.journey.parts import SMS
from engine.settings import Lane, Settings


class Whither(NamedTuple):
    """What of an address says which lanes may serve it."""

    country: str
    number: str = ""  # where it is a telephone's


def whither(channel: str, address: str, country: str | None, home: str) -> Whither:
    """Where a message goes: a number's own country, else the person's, else (nobody knows theirs) the shop's."""
    if channel == SMS:
        return Whither(country_of_phone(address, country) or home, address)
    return Whither(country or home)


def serves(lane: Lane, to: Whither) -> bool:
    """May this lane carry a message there?"""
    way = lane.way
    if to.country in way.not_countries or to.number.startswith(way.not_prefixes):
        return False
    everywhere = not way.countries and not way.prefixes
    return everywhere or to.country in way.countries or to.number.startswith(way.prefixes)


def turns(lanes: Sequence[Lane], to: Whither, key: str) -> tuple[Lane, ...]:
    """The lanes that may serve a message, in the order in which they are asked."""
    found = [lane for lane in lanes if serves(lane, to)]
    if len(found) > 1:
        found.sort(key=lambda lane: (lane.order, _rank(lane, key)))
    return tuple(found)


def _rank(lane: Lane, key: str) -> float:
    """The least comes first: of all keys each lane has it for a share that is its weight among the others'."""
    drawn = hashlib.sha256(f"{key}\n{lane.name}".encode()).digest()[:7]
    return -math.log((int.from_bytes(drawn) + 1) / (256**7 + 1)) / lane.weight


def unserved_countries(settings: Settings, channel: str) -> tuple[str, ...]:
    """Where nobody could be written to by this channel, those that config.yaml speaks of first. A country of which some
    numbers are served is not among them."""
    lanes = settings.ways[channel]
    if not all(lane.picks for lane in lanes):
        return ()
    spoken = {settings.shop.country: None, **dict.fromkeys(settings.policy.countries)}
    spoken |= dict.fromkeys(settings.sms.countries) if channel == SMS else {}
    spoken |= dict.fromkeys(code for lane in lanes for code in lane.way.not_countries)
    every = dict.fromkeys([*spoken, *known_countries()])
    return tuple(code for code in every if not any(serves_some(lane, code) for lane in lanes))


def serves_some(lane: Lane, country: str) -> bool:
    """Is there a number in this country, or a person, that the lane serves?"""
    way, number = lane.way, f"+{calling_code(country)}"
    if country in way.not_countries or number.startswith(way.not_prefixes):
        return False
    everywhere = not way.countries and not way.prefixes
    return everywhere or country in way.countries or any(_meet(number, prefix) for prefix in way.prefixes)


def _meet(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


# --- what happened so far --------------------------------------------------------------------------------------------


class Step(NamedTuple):
    """One thing that happened to a message, as far as its way asks."""

    kind: DeliveryKind
    rule: str | None
    asked: str | None  # who was, as deliveries call it


class Past(NamedTuple):
    """What the attempts of a message so far say about the next one."""

    bound_to: str | None = None  # who was asked and may have taken it: nobody else is asked
    turned_away: frozenset[str] = frozenset()  # who will never take it
    passed_on: frozenset[str] = frozenset()  # who was asked since it last waited
    at_once: int = 0  # attempts that followed another without a wait
    last_asked: str | None = None


NOTHING_YET = Past()
_PROOF = frozenset({DeliveryKind.retry, DeliveryKind.rejected})
_DOUBT = frozenset({DeliveryKind.repeat, DeliveryKind.unknown})


def past(steps: Iterable[Step]) -> Past:
    """What happened, folded. Only a person's word (`dropped`) ends a doubt: a later refusal says nothing of it."""
    asked: str | None = None
    doubtful: str | None = None
    away: set[str] = set()
    round_: set[str] = set()
    at_once, last = 0, None
    for kind, rule, who in steps:
        if kind is DeliveryKind.begun:
            asked = last = who
        elif kind in _DOUBT:
            doubtful, asked = doubtful or who or asked, None
        elif kind is DeliveryKind.dropped:
            doubtful = asked = None
        elif kind in _PROOF and (named := who or asked) is not None:
            asked = None
            if rule == Rule.turned_away:
                away.add(named)
            if rule == Rule.passed_on:
                round_.add(named)
            elif rule == Rule.failed:
                round_.clear()
            at_once += rule in (Rule.passed_on, Rule.turned_away)
    return Past(doubtful or asked, frozenset(away), frozenset(round_), at_once, last)

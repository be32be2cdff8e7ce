"""Random fights over one person: four processes that decide on what they read a while ago, a door, and providers.

What no process can see in time, the others' messages, is what the door is for. A clock goes on, stands, crosses nights
of clock change and is put back; words of consent, suppressions and refusals come in between. A fight leaves facts: what
began, what was held, what ended, each with everything that was known at that moment.
"""

from __future__ import annotations

import random as dice
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from engine.decide.customer import decide
from engine.decide.decision import Decision, Rule
from engine.decide.door import Hold, Leave, Settle, at_the_door
from engine.decide.outcome import MessageState
from engine.decide.state import Consented, CustomerState, Enrolled, Rules, Said
from engine.journey.graph import Graph
from engine.settings import Cap, Policy
from engine.values import replace
from tests.decide.world import CHANNELS, START, apply, journey, person, policy, rules_for, state, way

PROCESSES = 4
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
JOURNEYS: tuple[Graph, ...] = (
    journey("steps: [{send: hello, via: email}]", "letter"),
    journey(
        "topic: offers\ntags: [sale]\npriority: 20\nsteps: [{send: deal, via: [sms, email], give_up_after: 6h}]", "deal"
    ),
    journey("priority: 90\nsteps: [{send: vip, via: [push, sms], give_up_after: 2h}]", "vip"),
    journey(
        "topic: offers\ncaps: [{at_most: 1, per: 24h, tag: sale}]\n"
        "steps: [{send: last_call, via: sms, give_up_after: 40h, tags: [sale]}]",
        "last_call",
    ),
    journey("topic: orders\nsteps: [{send: receipt, via: [email, sms]}]", "receipt"),
    journey(
        'quiet_hours: {wechat: "20:00-10:00"}\nsteps: [{send: idea, via: [wechat, email], give_up_after: 5d}]', "idea"
    ),
)
ZONES = ("Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago")
STARTS = ("2026-11-22T02:00Z", "2026-10-24T20:30Z", "2026-03-28T21:00Z", "2026-11-01T03:00Z", "2026-04-04T12:00Z")
COUNTRIES = ("CN", "DE", None)
WAITS = (0, 1, 1, 5, 5, 30, 60, 180, 400, 700)  # minutes
OUTCOMES = (*[MessageState.accepted] * 4, MessageState.unknown, MessageState.rejected, MessageState.retry)


@dataclass(frozen=True)
class Fact:
    """Something happened to a message, and all that was known then. `said` is the message as it was before."""

    now: datetime
    said: Said
    state: CustomerState
    rules: Rules
    verdict: Leave | Hold | Settle


@dataclass
class Fight:
    """One person between processes."""

    chance: dice.Random
    state: CustomerState
    rules: Rules
    now: datetime
    facts: list[Fact] = field(default_factory=list)
    decisions: list[tuple[datetime, CustomerState, Decision]] = field(default_factory=list)
    held: dict[int, datetime] = field(default_factory=dict)
    retried: dict[int, int] = field(default_factory=dict)
    _seen: dict[int, CustomerState] = field(default_factory=dict)
    _number: int = 0

    # --- what may happen ---

    def starts(self) -> None:
        """The person enters a journey; one process will look after it."""
        self._number += 1
        version = self.chance.randrange(len(JOURNEYS)) + 1
        graph = self.rules.graphs[version]
        entered = self.now - self.chance.choice((0, 0, 10, 90)) * timedelta(minutes=1)
        new = way(graph, self._number, version_id=version, entered_at=entered, arrived_at=entered, due_at=self.now)
        self.state = replace(self.state, enrollments=(*self.state.enrollments, new))

    def reads(self) -> None:
        """All processes read the person at the same time."""
        self._seen = dict.fromkeys(range(PROCESSES), self.state)

    def writes(self) -> None:
        """A process decides on what it read, and writes what follows for the ways it looks after."""
        process = self.chance.randrange(PROCESSES)
        seen = self._seen.pop(process, self.state)
        mine = {one.id: one for one in seen.enrollments if one.id % PROCESSES == process}
        if any(mine.get(one.id, one) != one for one in self.state.enrollments):
            return  # somebody else moved them meanwhile: decided again another time
        ways = tuple(replace(one, aside=one.id not in mine) for one in seen.enrollments)
        decision = decide(replace(seen, enrollments=ways, consents=self.state.consents), self.rules, self.now)
        free = {one.id for one in self.state.said if _waits(one)}
        if any(one.message_id not in free for one in decision.take_back):
            return  # a place was to be taken from what has begun
        self.decisions.append((self.now, self.state, decision))
        self.state = apply(self.state, decision, self.now)
        for back in decision.take_back:
            self._wake(back.message_id)

    def leaves(self) -> None:
        """A message comes to the door."""
        waiting = [one for one in self.state.said if _waits(one) and self.held.get(one.id, self.now) <= self.now]
        if not waiting:
            return
        said = self.chance.choice(waiting)
        verdict = at_the_door(said, self.state, self.rules, self.now)
        self.facts.append(Fact(self.now, said, self.state, self.rules, verdict))
        match verdict:
            case Leave():
                self._change(said.id, state=MessageState.sending, begun=True, counts_at=self.now)
            case Hold():
                self.held[said.id] = verdict.until
            case Settle():
                about = {"reason": verdict.rule.value, "settled_at": self.now}
                self._change(said.id, state=MessageState(verdict.kind.value), **about)
                self._wake(said.id)

    def answers(self) -> None:
        """A provider answers."""
        sending = [one for one in self.state.said if one.state is MessageState.sending]
        if sending:
            said, outcome = self.chance.choice(sending), self.chance.choice(OUTCOMES)
            again = outcome is MessageState.retry
            self.retried[said.id] = self.retried.get(said.id, 0) + again
            self._change(said.id, state=outcome, begun=not again, settled_at=self.now)
            self._wake(said.id)

    def speaks(self) -> None:
        """The person says yes or no."""
        channel, topic = self.chance.choice(CHANNELS), self.chance.choice(("care", "offers", "orders", "*"))
        purpose = self.chance.choice(("marketing", "marketing", "transactional"))
        new = Consented(channel, topic, self.chance.random() < 0.6, self.now, "web", purpose)
        kept = [one for one in self.state.consents if (one.channel, one.topic) != (channel, topic)]
        self.state = replace(self.state, consents=(*kept, new))

    def bounces(self) -> None:
        """An address is put on the suppression list."""
        if self.chance.random() < 0.1:
            self.state = replace(self.state, suppressed=self.state.suppressed | {self.chance.choice(CHANNELS)})

    def waits(self) -> None:
        self.now += timedelta(minutes=self.chance.choice(WAITS))

    def goes_back(self) -> None:
        """Somebody puts the clock back."""
        self.now -= timedelta(minutes=self.chance.choice((1, 5, 90)))

    # --- and how ---

    def _change(self, number: int, **about: Any) -> None:
        self.state = replace(
            self.state, said=tuple(replace(one, **about) if one.id == number else one for one in self.state.said)
        )

    def _wake(self, number: int) -> None:
        owner = next(one.enrollment_id for one in self.state.said if one.id == number)
        ways: tuple[Enrolled, ...] = tuple(
            replace(one, due_at=self.now) if one.id == owner and one.active else one for one in self.state.enrollments
        )
        self.state = replace(self.state, enrollments=ways)


HAPPENINGS = (
    *[Fight.starts] * 9,
    *[Fight.reads] * 4,
    *[Fight.writes] * 14,
    *[Fight.leaves] * 10,
    *[Fight.answers] * 6,
    *[Fight.waits] * 4,
    *[Fight.speaks] * 3,
    *[Fight.bounces] * 1,
    *[Fight.goes_back] * 1,
)


@lru_cache(maxsize=100_000)
def fought(seed: int) -> Fight:
    """One fight, from beginning to end."""
    chance = dice.Random(seed)
    country = chance.choice(COUNTRIES)
    yes = tuple(Consented(channel, "*", True, START - 99 * DAY, "import") for channel in CHANNELS)
    known = state(person=person(zone=ZoneInfo(chance.choice(ZONES)), country=country), consents=yes)
    start = datetime.fromisoformat(chance.choice(STARTS)) + chance.choice((0, 0, 9, 40)) * HOUR
    if chance.random() < 0.7:  # in the late morning
        start = start.astimezone(known.person.zone).replace(hour=11, fold=0).astimezone(UTC)
    fight = Fight(chance, known, rules_for(*JOURNEYS, policy=_some_policy(chance, start)), start)
    for _ in range(chance.randint(60, 140)):
        chance.choice(HAPPENINGS)(fight)
    return fight


def _some_policy(chance: dice.Random, start: datetime) -> Policy:
    some = tuple(
        Cap(
            at_most=chance.randint(1, 3),
            per=chance.choice(["day", "day", "week", "month", 5 * HOUR, 30 * HOUR]),
            channel=chance.choice([None, None, "sms", "email"]),
            topic=chance.choice([None, None, None, "offers", "care"]),
            tag=chance.choice([None, None, None, "sale"]),
            purpose=chance.choice(["marketing", "marketing", "marketing", "any", "transactional"]),
        )
        for _ in range(chance.choice((1, 1, 2, 3)))
    )
    day = f"{start + chance.choice((0, 1, 1)) * DAY:%Y-%m-%d}"
    rules: dict[str, Any] = {
        "quiet_hours": {"sms": "21:00-08:00", "push": "21:00-08:00"},
        "countries": {"DE": {"sundays": {"sms": "all_day"}}},
        "holidays": {"CN": [day] if chance.random() < 0.5 else []},
        "least_gap": f"{chance.choice((0, 0, 30, 120))}m",
        "gap_by_channel": {"sms": f"{chance.choice((0, 300))}m"},
        "max_lateness": f"{chance.choice((1, 12, 48))}h",
    }
    if chance.random() < 0.15:
        rules["blackout"] = [{"from": f"{day} 10:00", "to": f"{day} 19:00", "reason": "the sale"}]
    return policy(Policy.model_validate(rules), caps=some, home="CN")


def _waits(said: Said) -> bool:
    return said.state is MessageState.retry or (said.state is MessageState.queued and not said.begun)


def ended_by(fact: Fact, rule: Rule) -> bool:
    """Did this rule end the message at the door?"""
    return isinstance(fact.verdict, Settle) and fact.verdict.rule is rule

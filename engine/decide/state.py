"""What `decide` is given: one whole customer and the rules, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from msgspec import Struct

from engine.audience.book import Audience
from engine.audience.values import Happening, Link, Person
from engine.decide.outcome import MessageState
from engine.journey.graph import Graph
from engine.settings import Policy, Queue


class Enrolled(Struct, frozen=True):
    """One way through one version of one journey. `due_at` is when to look again; None: only an answer moves it."""

    id: int
    customer_id: int
    journey: str
    version_id: int
    key: str  # what `again: {per: order_id}` names, else ""
    entered_at: datetime
    holdout: bool
    step: str | None  # the node stood on; None before the first look and after the end
    visit: int  # which round of the repeats around this step it is; 1 where there are none (`decide.rounds`)
    arrived_at: datetime  # when the plan reached this step, not when a machine looked
    due_at: datetime | None
    active: bool = True
    reason: str | None = None  # why it ended
    ended_at: datetime | None = None
    event: Mapping[str, Any] = {}  # payload of the event that opened it
    event_at: datetime | None = None
    vouchers: Mapping[str, Code] = {}  # pool -> the code given on this way
    variants: Mapping[str, str] = {}  # split -> variant
    rounds: Mapping[str, Round] = {}  # repeat it is in -> the round it is in
    lineage: tuple[Link, ...] = ()  # the steps of other journeys that led to it, the last one last
    stopped: Link | None = None  # the step of another journey that ended it
    aside: bool = False  # deciding about it failed: it is not looked at together with others
    news: int = 0  # how often it was told to look again, when it was read


class Round(Struct, frozen=True):
    """One round of a repeat."""

    number: int  # 1 is the first
    began_at: datetime  # by the plan


class Code(Struct, frozen=True):
    """One voucher code, as texts see it."""

    pool: str
    code: str
    value: str  # as written in the pool: "20 CNY"
    expires_at: datetime | None


class Said(Struct, frozen=True):
    """A Message already on the books, folded with its deliveries."""

    id: int
    enrollment_id: int | None
    touch_id: int
    journey: str
    step: str
    visit: int
    wish: int
    channel: str
    message: str  # the text's name
    topic: str
    marketing: bool
    priority: int
    at: datetime  # when its touch was decided
    state: MessageState
    reason: str | None  # the rule that ended it, as a word of `decision.Rule`; of its last delivery if that names one
    begun: bool  # an attempt has begun; it cannot be taken back
    counts_at: datetime  # the instant caps count it at
    send_by: datetime
    settled_at: datetime | None = None  # when its state was reached
    address: str = ""  # keyed hash of the address; two people may share one
    due_at: datetime | None = None  # the plan's instant of its Want; what follows counts from it (None: `at`)
    theirs: bool = False  # went to another person who shares the address: counts on its channel, is never taken back
    tags: frozenset[str] = frozenset()  # of its journey and its step when it was decided


class Consented(Struct, frozen=True):
    """The latest word of a person on one channel and topic. `topic` "*" means all topics."""

    channel: str
    topic: str
    granted: bool
    at: datetime
    source: str
    purpose: str = "marketing"  # what was agreed to


class Assigned(Struct, frozen=True):
    """A task for a human, or a question, and what became of it."""

    id: int
    enrollment_id: int
    step: str
    visit: int
    opened_at: datetime
    due_at: datetime
    outcome: str | None  # the first outcome, also "overdue"
    closed_at: datetime | None
    closed_by: str | None = None


class CustomerState(Struct, frozen=True):
    """Everything a decision about one customer may depend on."""

    person: Person
    happenings: tuple[Happening, ...] = ()  # oldest first, those the rules can ask about
    enrollments: tuple[Enrolled, ...] = ()  # active ones, and ended ones of the same journeys (re-entry)
    said: tuple[Said, ...] = ()  # oldest first: inside the longest cap, and all of active enrollments
    consents: tuple[Consented, ...] = ()  # latest per (channel, topic)
    suppressed: frozenset[str] = frozenset()  # channels whose address must not be written to
    tasks: tuple[Assigned, ...] = ()
    codes: Mapping[str, tuple[Code, ...]] = {}  # set aside for this customer, by pool


@dataclass(frozen=True)
class Rules:
    """What holds for everyone: the published journeys, the audience, the policy. Built once per catalog."""

    audience: Audience
    graphs: Mapping[int, Graph]  # version id -> its graph; every version someone is inside
    live: Mapping[str, int]  # journey -> the version people enter now
    policy: Policy
    texts: Mapping[str, frozenset[str]]  # message -> channels it is written for
    paused: frozenset[str] = frozenset()  # journeys
    retired: Mapping[str, int] = field(default_factory=dict)  # journey nobody enters any more -> its last version
    let_out: frozenset[str] = frozenset()  # retired journeys that whoever is inside leaves at once
    former: Mapping[str, str] = field(default_factory=dict)  # what journeys were called -> what they are called now
    default_zone: str = "UTC"
    queues: Mapping[str, Queue] = field(default_factory=dict)  # by name; due times count in their hours

    @cached_property
    def limits(self) -> dict[Any, Any]:
        """What holds for a wish like another, worked out once for both: see `decide.policy`."""
        return {}

    @cached_property
    def heads(self) -> Mapping[str, int]:
        """journey -> the version whose head holds for everyone inside, also of a retired journey."""
        return {**self.retired, **self.live}

    @cached_property
    def urgent(self) -> frozenset[int]:
        """Versions that say what belongs to a contract: who is due in one of them does not wait behind marketing."""
        return frozenset(
            version
            for version, graph in self.graphs.items()
            if any(not self.policy.is_marketing(topic) for topic in graph.names.topics)
        )

    def called(self, name: str) -> str:
        """What the journey of this name is called today."""
        return self.former.get(name, name)

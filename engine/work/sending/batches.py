"""What both commits of a dispatch write and count: batches in hand, messages on their way, what happened to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from channels.contract import Answer, Outgoing
from engine.app import App
from engine.audience.values import Person
from engine.decide.decision import Rule
from engine.decide.door import Verdict
from engine.decide.outcome import DeliveryKind
from engine.decide.state import Consented
from engine.settings import Delivery
from engine.store import deliveries
from engine.store.deliveries import Happening

TIMEOUT = 60.0  # seconds one attempt may take, all included
MAY_BE_OUT = "the process died while it was leaving, and it may have been accepted"
TWICE = "its topic asks for delivery at least once, so it is sent again and may arrive twice"


@dataclass
class Dispatched:
    """What left, and what became of the rest."""

    accepted: int = 0
    retry: int = 0
    rejected: int = 0
    unknown: int = 0
    settled: int = 0  # expired, suppressed or cancelled at the door
    held: int = 0

    @property
    def any(self) -> bool:
        return any(vars(self).values())

    def add(self, more: Dispatched) -> None:
        for name, count in vars(more).items():
            setattr(self, name, getattr(self, name) + count)


Known = dict[int, tuple[Person, int, tuple[Consented, ...]]]  # customer -> who they are, their revision, their consents


@dataclass
class Batch:
    """A batch in hand: what of it still waits, and the people it is for, as they were when it was taken."""

    channel: str
    id: int
    token: str
    urgent: bool
    deaths: int
    waiting: Sequence[Any]  # messages with the `content` and `hash` of their text
    known: Known


class Judged(NamedTuple):
    """A message and what the door says to it."""

    row: Any
    verdict: Verdict


class Leaving(NamedTuple):
    """One message between the two commits."""

    row: Any
    outgoing: Outgoing
    since: datetime  # its first attempt


@dataclass(frozen=True)
class Slice:
    """The messages of one call to a provider."""

    leaving: Sequence[Leaving]
    grant: str | None = None  # what of the rate of the lane was granted for it


@dataclass(frozen=True)
class Wait:
    """The lane is at its rate until then, and that is soon: the batch stays in hand."""

    until: datetime


@dataclass(frozen=True)
class Outcomes:
    """What a provider answered to the messages of one slice, on its way into the database."""

    batch: Batch
    provider: str
    leaving: Sequence[Leaving]
    answers: Sequence[Answer]
    grant: str | None = None  # what of the rate of the lane was granted for it

    @property
    def channel(self) -> str:
        return self.batch.channel


def happening(
    row: Any, kind: DeliveryKind, at: datetime, rule: Rule, reason: str, attempt: int, **more: Any
) -> Happening:
    """What happened to the message of this row, and why."""
    return deliveries.Happening(row.id, row.customer_id, kind, at, attempt, rule=rule.value, reason=reason, **more)


def count(told: Dispatched, kind: DeliveryKind) -> None:
    name = {DeliveryKind.expired: "settled", DeliveryKind.dead: "settled"}.get(kind, kind.value)
    setattr(told, name, getattr(told, name) + 1)


def may_go_twice(app: App, row: Any) -> bool:
    """Is it sent again when nobody can know whether it was taken? Never what was decided as marketing."""
    topic = app.settings.topics.get(row.topic)
    return not row.marketing and topic is not None and topic.delivery is Delivery.at_least_once


def ended(kind: DeliveryKind, sentence: str, died: bool) -> tuple[DeliveryKind, str]:
    """How a message ends that is not asked again. Where a process died of an attempt, nobody knows whether that one
    arrived: it was to be asked again by its key, and now never is."""
    if not died or kind is DeliveryKind.dead:
        return kind, sentence
    return DeliveryKind.unknown, f"{MAY_BE_OUT}; it is not asked again: {sentence}"

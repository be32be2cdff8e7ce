"""What both commits of a dispatch write and count: batches in hand, messages on their way, what happened to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection

from channels.contract import Answer, Outgoing
from channels.errors import SendError
from engine.app import App
from engine.audience.values import Person
from engine.decide.decision import Rule
from engine.decide.door import Verdict
from engine.decide.outcome import DeliveryKind
from engine.decide.state import Consented
from engine.errors import OutreachError
from engine.settings import Delivery
from engine.store import deliveries
from engine.store.deliveries import Happening, Notes

TIMEOUT = 60.0  # seconds one attempt may take, all included
MAY_BE_OUT = "an earlier attempt had no answer, and may have been accepted"
NOT_RECOGNISED = "who would be asked now does not recognise it any more"
RECOGNISES = "recognises the repeat"
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
    rerouted: int = 0  # to another lane of their channel, before anybody was asked

    @property
    def any(self) -> bool:
        return any(vars(self).values())

    def add(self, more: Dispatched) -> None:
        for name, count in vars(more).items():
            setattr(self, name, getattr(self, name) + count)


class Commit:
    """One transaction of the way out: what became of messages is counted at once, and written together at its end."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.told = Dispatched()
        self.notes = Notes(connection)


Known = dict[int, tuple[Person, int, tuple[Consented, ...]]]  # customer -> who they are, their revision, their consents


@dataclass
class Batch:
    """A batch in hand: what of it still waits, and the people it is for, as they were when it was taken."""

    channel: str
    lane: str
    id: int
    token: str
    urgent: bool
    deaths: int
    waiting: Sequence[Any]  # messages with the `content` and `hash` of their text
    known: Known
    busy_since: datetime | None = None  # since when its lane has had no room for it


class Reroute(NamedTuple):
    """It leaves at once, by another lane."""

    lane: str


class Judged(NamedTuple):
    """A message and what the door says to it."""

    row: Any
    verdict: Verdict | Reroute


class Leaving(NamedTuple):
    """One message between the two commits."""

    row: Any
    outgoing: Outgoing
    since: datetime  # its first attempt
    may_be_out: bool  # an attempt before this one may have been accepted


@dataclass(frozen=True)
class Slice:
    """The messages of one call to a provider."""

    leaving: Sequence[Leaving]
    grant: str | None = None  # what of its limits the lane granted for it


@dataclass(frozen=True)
class Wait:
    """The lane has no room until then, and that is soon: the batch stays in hand."""

    until: datetime


@dataclass(frozen=True)
class Outcomes:
    """What a provider answered to the messages of one slice, on its way into the database."""

    batch: Batch
    asked: str  # as deliveries call who was
    leaving: Sequence[Leaving]
    answers: Sequence[Answer]
    grant: str | None = None  # what of its limits the lane granted for it


def happening(
    row: Any, kind: DeliveryKind, at: datetime, rule: Rule, reason: str, attempt: int, **more: Any
) -> Happening:
    """What happened to the message of this row, and why."""
    return deliveries.Happening(row.id, row.customer_id, kind, at, attempt, rule=rule.value, reason=reason, **more)


_COUNTED_AS = {DeliveryKind.expired: "settled", DeliveryKind.dead: "settled", DeliveryKind.repeat: "retry"}


def count(told: Dispatched, kind: DeliveryKind) -> None:
    name = _COUNTED_AS.get(kind, kind.value)
    setattr(told, name, getattr(told, name) + 1)


def recognises_repeat(app: App, name: str, asked: str | None, age: timedelta) -> bool:
    """Would this lane recognise the repeat? Another one than was asked cannot."""
    lane = app.settings.lanes.get(name)
    if lane is None:
        return False
    try:
        provider = app.provider(name)
    except (SendError, OutreachError):
        return False
    return app.asked_as(lane) == asked and provider.features.recognises_repeat(age)


def may_go_twice(app: App, row: Any) -> bool:
    """Is it sent again when nobody can know whether it was taken? Never what was decided as marketing."""
    topic = app.settings.topics.get(row.topic)
    return not row.marketing and topic is not None and topic.delivery is Delivery.at_least_once


def may_be_repeated(app: App, lane: str, row: Any, asked: str | None, age: timedelta) -> bool:
    """May it be handed over once more by this lane, although it may be out?"""
    return recognises_repeat(app, lane, asked, age) or may_go_twice(app, row)


def doubted(kind: DeliveryKind, sentence: str, may_be_out: bool) -> tuple[DeliveryKind, str]:
    """What becomes of a message of which an earlier attempt may have been accepted: a refusal for now proves nothing of
    that one, and when it may not be asked again nobody knows. Where a person has to decide, they do."""
    if not may_be_out or kind in (DeliveryKind.repeat, DeliveryKind.unknown, DeliveryKind.dead):
        return kind, sentence
    if kind is DeliveryKind.retry:
        return DeliveryKind.repeat, f"{sentence}; {MAY_BE_OUT}"
    return DeliveryKind.unknown, f"{MAY_BE_OUT}; it is not asked again: {sentence}"

"""Messages that only a person can bring to an end: those of which nobody knows, and those that were given up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, literal_column, or_, select

from engine.decide.outcome import DeliveryKind
from engine.store.tables import customer, delivery, in_parts, message


@dataclass(frozen=True)
class Which:
    """A choice among them; all of them where nothing is chosen."""

    numbers: Sequence[int] | None = None
    journeys: Sequence[str] | None = None  # every name of one journey
    channel: str | None = None
    before: datetime | None = None  # since then or longer
    provider: str | None = None


@dataclass(frozen=True)
class OpenEnd:
    """One message that waits for a word."""

    id: int
    since: datetime
    person: str
    journey: str
    step: str
    channel: str
    attempts: int
    provider: str | None  # who was asked, if anybody was
    provider_id: str | None
    begun_at: datetime | None  # the first attempt
    reason: str | None
    last_answer: str | None = None  # what a provider said last before that


def unknown(connection: Connection, which: Which, limit: int | None = None) -> list[OpenEnd]:
    """Messages that may have been accepted, those that have been so for longest first."""
    return _read(connection, _heaviest(DeliveryKind.unknown, which), which, limit)


def dead(connection: Connection, which: Which, limit: int | None = None) -> list[OpenEnd]:
    """Messages that were given up on their way, or could never be written, the oldest first."""
    found = _read(connection, _heaviest(DeliveryKind.dead, which), which, limit)
    found += _read(connection, _born_dead(which), which, limit)
    return sorted(found, key=lambda one: (one.since, one.id))[:limit]


def count(connection: Connection, kind: DeliveryKind, before: datetime | None = None) -> int:
    """How many messages are unknown, or dead, since an instant or longer."""
    which = Which(before=before)
    queries = [_heaviest(kind, which)] + ([_born_dead(which)] if kind is DeliveryKind.dead else [])
    return sum(connection.execute(select(func.count()).select_from(query.subquery())).scalar_one() for query in queries)


_COLUMNS = (
    message.c.id,
    customer.c.external_id.label("person"),
    *(message.c.journey, message.c.step, message.c.channel),
)
_OF_PERSON = message.join(customer, customer.c.id == message.c.customer_id)


def _heaviest(kind: DeliveryKind, which: Which) -> Select[Any]:
    """Messages whose heaviest delivery is of this kind; of two that weigh the same the later one tells of it."""
    later = delivery.alias("later")
    outweighed = select(later.c.id).where(
        later.c.message_id == delivery.c.message_id,
        or_(later.c.weight > delivery.c.weight, (later.c.weight == delivery.c.weight) & (later.c.id > delivery.c.id)),
    )
    of_kind = delivery.c.kind == literal_column(f"'{kind.value}'")  # a parameter would hide it from the small index
    return (
        select(*_COLUMNS, delivery.c.at.label("since"), delivery.c.attempt, delivery.c.reason)
        .select_from(_OF_PERSON.join(delivery, delivery.c.message_id == message.c.id))
        .where(of_kind, ~outweighed.exists(), *_chosen(which, delivery.c.at))
        .order_by(delivery.c.at, message.c.id)
    )


def _born_dead(which: Which) -> Select[Any]:
    """Messages whose text could not be written, and of which nobody has said anything yet."""
    touched = select(delivery.c.id).where(delivery.c.message_id == message.c.id)
    since = message.c.created_at
    nothing: ColumnElement[int] = literal_column("0").label("attempt")
    return (
        select(*_COLUMNS, since.label("since"), nothing, message.c.reason)
        .select_from(_OF_PERSON)
        .where(message.c.state == literal_column("'dead'"), ~touched.exists(), *_chosen(which, since))
        .order_by(since, message.c.id)
    )


def _chosen(which: Which, since: ColumnElement[Any]) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if which.numbers is not None:
        wanted.append(message.c.id.in_(which.numbers))
    if which.journeys is not None:
        wanted.append(message.c.journey.in_(which.journeys))
    if which.channel is not None:
        wanted.append(message.c.channel == which.channel)
    if which.before is not None:
        wanted.append(since <= which.before)
    return wanted


def _read(connection: Connection, query: Select[Any], which: Which, limit: int | None) -> list[OpenEnd]:
    rows = connection.execute(query if which.provider is not None else query.limit(limit)).all()
    found = {
        row.id: OpenEnd(
            *(row.id, row.since, row.person, row.journey, row.step, row.channel),
            *(row.attempt, None, None, None, row.reason),
        )
        for row in rows
    }
    for part in in_parts(list(found)):
        for number, told in _of_provider(connection, part).items():
            found[number] = replace(found[number], **told)
    ends = [one for one in found.values() if which.provider is None or which.provider in _names_of(one)]
    return ends[:limit]


def _names_of(one: OpenEnd) -> tuple[str, ...]:
    """What people may call who was asked: as deliveries do, or by the name of the lane."""
    short = (one.provider or "").partition(" ")[0]
    return one.provider or "", short, f"{one.channel}/{short}"


def _of_provider(connection: Connection, numbers: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Who was asked last to take these messages, since when, and what it called them."""
    found: dict[int, dict[str, Any]] = {}
    names = ("message_id", "kind", "at", "provider", "provider_id", "reason")
    columns = [delivery.c[name] for name in names]
    for row in connection.execute(select(*columns).where(delivery.c.message_id.in_(numbers)).order_by(delivery.c.id)):
        told = found.setdefault(row.message_id, {})
        if row.provider:
            told["provider"] = row.provider
            told["last_answer"] = row.reason or told.get("last_answer")
        if row.provider_id:
            told["provider_id"] = row.provider_id
        if row.kind == DeliveryKind.begun:
            told.setdefault("begun_at", row.at)
    return found

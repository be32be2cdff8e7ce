"""Deliveries: appended happenings of messages, and their one fold in SQL."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Subquery, case, func, select, tuple_

from engine.decide.outcome import DeliveryKind, read_weight, weight
from engine.decide.route import Past, Step, past
from engine.store.tables import among, bulk_insert, delivery, in_parts, message, take_ids


class Happening(NamedTuple):
    """What happened to a message."""

    message_id: int
    customer_id: int
    kind: DeliveryKind
    at: datetime
    attempt: int = 0
    rule: str | None = None
    reason: str | None = None
    token: str | None = None
    payload_hash: str | None = None
    deadline: datetime | None = None
    provider: str | None = None
    provider_id: str | None = None
    cost: int | None = None  # millionths
    currency: str | None = None


def append(connection: Connection, happenings: Sequence[Happening]) -> None:
    """Append what happened."""
    if happenings:
        numbers = take_ids(connection, delivery, len(happenings))
        rows = [
            (number, weight(one.kind, one.attempt), one[0], one[1], one.kind.value, *one[3:])
            for number, one in zip(numbers, happenings, strict=True)
        ]
        made = bulk_insert(delivery, ("id", "weight", *Happening._fields), connection.dialect)
        made.send(connection, made.given(rows))


class Notes:
    """What happens in one transaction, appended together: a few rows cost a server as much as many."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._happened: list[Happening] = []

    def add(self, happenings: Iterable[Happening]) -> None:
        self._happened += happenings

    def write(self) -> None:
        """At the end, and before anything is asked that depends on them."""
        append(self._connection, self._happened)
        self._happened = []


class Heaviest(NamedTuple):
    """What the deliveries of a message come to."""

    kind: DeliveryKind
    attempt: int  # 0: no attempt has begun
    at: datetime  # of the latest happening
    begun_at: datetime | None = None  # of the latest attempt


_BEGUN = func.max(case((delivery.c.kind == DeliveryKind.begun.value, delivery.c.at)))
_FOLD = (
    select(delivery.c.message_id, func.max(delivery.c.weight), func.max(delivery.c.at), _BEGUN)
    .where(among(delivery.c.message_id))
    .group_by(delivery.c.message_id)
)


def fold(connection: Connection, message_ids: Sequence[int]) -> dict[int, Heaviest]:
    """message id -> the fold of its deliveries. Messages without any are left out."""
    rows = connection.execute(_FOLD, {"ids": message_ids}).all()
    return {message_id: Heaviest(*read_weight(heaviest), at, last) for message_id, heaviest, at, last in rows}


def answered(connection: Connection, message_ids: Sequence[int], token: str) -> set[tuple[int, int]]:
    """(message, attempt) of the attempts by the bearer of `token` whose outcome is written."""
    rows = connection.execute(
        select(delivery.c.message_id, delivery.c.attempt).where(
            delivery.c.message_id.in_(message_ids),
            delivery.c.token == token,
            delivery.c.kind != DeliveryKind.begun.value,
        )
    )
    return {(message_id, attempt) for message_id, attempt in rows}


def rules_at_the_door(connection: Connection, message_ids: Sequence[int]) -> dict[int, str]:
    """message id -> the rule that held it back at the door."""
    rows = connection.execute(
        select(delivery.c.message_id, delivery.c.rule).where(
            delivery.c.message_id.in_(message_ids),
            delivery.c.kind.in_([DeliveryKind.suppressed.value, DeliveryKind.expired.value]),
            delivery.c.rule.is_not(None),
        )
    )
    return {message_id: rule for message_id, rule in rows}


def any_begun(connection: Connection) -> bool:
    """Has anything ever begun to leave?"""
    first = select(delivery.c.id).where(delivery.c.kind == DeliveryKind.begun.value).limit(1)
    return connection.execute(first).first() is not None


class Asked(NamedTuple):
    """Who was asked to take a message, and since when."""

    since: datetime
    provider: str | None  # None: more than one


def asked(connection: Connection, message_ids: Sequence[int]) -> dict[int, Asked]:
    """message id -> who was asked in its attempts."""
    least, most = func.min(delivery.c.provider), func.max(delivery.c.provider)
    rows = connection.execute(
        select(delivery.c.message_id, func.min(delivery.c.at), least, most)
        .where(delivery.c.message_id.in_(message_ids), delivery.c.kind == DeliveryKind.begun.value)
        .group_by(delivery.c.message_id)
    )
    return {message_id: Asked(at, one if one == other else None) for message_id, at, one, other in rows}


def pasts(
    connection: Connection, message_ids: Sequence[int], before: Mapping[int, int] | None = None
) -> dict[int, Past]:
    """message id -> what its attempts so far say of the next one; of those in `before`, attempts before that one."""
    found: dict[int, list[Step]] = {}
    if message_ids:
        columns = (delivery.c.message_id, delivery.c.attempt, delivery.c.kind, delivery.c.rule, delivery.c.provider)
        rows = connection.execute(
            select(*columns).where(delivery.c.message_id.in_(message_ids)).order_by(delivery.c.weight, delivery.c.id)
        )
        for number, attempt, kind, rule, asked_ in rows:
            if before is None or attempt < before[number]:
                found.setdefault(number, []).append(Step(DeliveryKind(kind), rule, asked_))
    return {number: past(steps) for number, steps in found.items()}


def deaths(connection: Connection, message_ids: Sequence[int]) -> dict[int, int]:
    """message id -> how often the process died while it was leaving, since a person last brought it back."""
    return _repeats(connection, message_ids, delivery.c.token.is_(None))


def may_be_out(connection: Connection, message_ids: Sequence[int]) -> Collection[int]:
    """Those of these of which some attempt may have been accepted, since a person last brought them back."""
    return _repeats(connection, message_ids).keys()


def _repeats(connection: Connection, message_ids: Sequence[int], *which: ColumnElement[bool]) -> dict[int, int]:
    if not message_ids:
        return {}
    found: dict[int, int] = {}
    revived = delivery.alias("revived")
    before = (
        select(revived.c.id)
        .where(
            revived.c.message_id == delivery.c.message_id,
            revived.c.kind == DeliveryKind.revived.value,
            tuple_(revived.c.at, revived.c.id) > tuple_(delivery.c.at, delivery.c.id),
        )
        .exists()
    )
    for part in in_parts(list(message_ids)):
        rows = connection.execute(
            select(delivery.c.message_id, func.count())
            .where(
                delivery.c.message_id.in_(part),
                delivery.c.kind == DeliveryKind.repeat.value,
                ~before,
                *which,
            )
            .group_by(delivery.c.message_id)
        )
        found.update((message_id, count) for message_id, count in rows)
    return found


def folded() -> Subquery:
    """The same fold for all messages, to join in reports: message_id and weight."""
    return (
        select(delivery.c.message_id, func.max(delivery.c.weight).label("weight"))
        .group_by(delivery.c.message_id)
        .subquery()
    )


def of_messages(connection: Connection, ids: Sequence[int]) -> dict[int, list[Any]]:
    """message id -> its deliveries in the order they were appended."""
    found: dict[int, list[Any]] = {}
    for row in connection.execute(
        select(delivery).where(delivery.c.message_id.in_(ids)).order_by(delivery.c.at, delivery.c.id)
    ):
        found.setdefault(row.message_id, []).append(row)
    return found


def sending(connection: Connection, batches: Sequence[int]) -> list[Any]:
    """Messages of these batches with an attempt begun and no outcome: what a death leaves behind."""
    ids = list(connection.execute(select(message.c.id).where(message.c.batch_id.in_(batches))).scalars())
    later = delivery.alias("later")
    heavier = (later.c.message_id == delivery.c.message_id, later.c.weight > delivery.c.weight)
    begun = (delivery.c.kind == DeliveryKind.begun.value, ~select(later.c.id).where(*heavier).exists())
    return [
        row
        for part in in_parts(sorted(ids))
        for row in connection.execute(select(delivery).where(delivery.c.message_id.in_(part), *begun))
    ]

"""Counting for reports and summaries: over whole journeys, in SQL where it can be, in pages where it cannot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, and_, case, func, or_, select

from engine.decide.decision import APPROVAL, TASK
from engine.decide.outcome import WENT, DeliveryKind, MessageState, read_weight, state_of
from engine.decide.outcome import weight as weight_of
from engine.decide.price import from_millionths
from engine.store.deliveries import folded
from engine.store.tables import customer, delivery, enrollment, event, message, task, voucher

PAGE = 2_000
_KEPT = ~enrollment.c.trimmed  # ways of which everything is still there; the others would tell half


def enrollment_counts(connection: Connection, journey: str | None = None, since: datetime | None = None) -> list[Any]:
    """(journey, holdout, active, reason, count)."""
    query = select(
        enrollment.c.journey,
        enrollment.c.holdout,
        enrollment.c.active,
        enrollment.c.reason,
        func.count().label("count"),
    ).where(_KEPT)
    query = query.group_by(enrollment.c.journey, enrollment.c.holdout, enrollment.c.active, enrollment.c.reason)
    if journey:
        query = query.where(enrollment.c.journey == journey)
    if since:
        query = query.where(enrollment.c.entered_at >= since)
    order = (enrollment.c.journey, enrollment.c.reason.nulls_first(), enrollment.c.holdout, enrollment.c.active)
    return list(connection.execute(query.order_by(*order)))


def taken_by(connection: Connection, journey: str, channels: Sequence[str]) -> dict[str, dict[str, int]]:
    """channel -> who was asked last -> messages of a journey that were accepted, or may have been."""
    went = (DeliveryKind.accepted.value, DeliveryKind.unknown.value)
    rows = connection.execute(
        select(message.c.channel, delivery.c.provider, func.count(delivery.c.message_id.distinct()))
        .join(delivery, delivery.c.message_id == message.c.id)
        .where(message.c.journey == journey, message.c.channel.in_(channels))
        .where(delivery.c.kind.in_(went), delivery.c.provider.is_not(None))
        .group_by(message.c.channel, delivery.c.provider)
        .order_by(message.c.channel, delivery.c.provider)
    )
    found: dict[str, dict[str, int]] = {}
    for channel, provider, count in rows:
        found.setdefault(channel, {})[provider] = count
    return found


def started_by(connection: Connection, journey: str) -> dict[str, int]:
    """Step of another journey -> enrollments it led to."""
    rows = connection.execute(
        select(enrollment.c.started_by, func.count())
        .where(enrollment.c.journey == journey, enrollment.c.started_by != "", _KEPT)
        .group_by(enrollment.c.started_by)
        .order_by(enrollment.c.started_by)
    )
    return {row[0]: row[1] for row in rows}


_BEGUN = delivery.c.kind == DeliveryKind.begun.value
_OF_MESSAGE = select(func.max(delivery.c.weight)).where(delivery.c.message_id == message.c.id).correlate(message)
_LAST_BEGUN = _OF_MESSAGE.where(_BEGUN).scalar_subquery()
_HEAVIEST = _OF_MESSAGE.scalar_subquery()
_UNKNOWN = weight_of(DeliveryKind.unknown, 0)
_PROVED = weight_of(DeliveryKind.accepted, 0)
_WENT = or_(_HEAVIEST >= _PROVED, _HEAVIEST % 1_000 == _UNKNOWN)


def costs(connection: Connection, journey: str) -> dict[str, dict[str, Decimal]]:
    """channel -> currency -> what the messages of a journey cost that went out, or may have.

    Of several attempts the last counts: those before it are proved not to have been taken, or recognised as the same.
    """
    found: dict[str, dict[str, Decimal]] = {}
    rows = connection.execute(
        select(message.c.channel, delivery.c.currency, func.sum(delivery.c.cost))
        .join(enrollment, enrollment.c.id == message.c.enrollment_id)
        .join(delivery, and_(delivery.c.message_id == message.c.id, _BEGUN, delivery.c.weight == _LAST_BEGUN))
        .where(enrollment.c.journey == journey, delivery.c.cost.is_not(None), _WENT)
        .group_by(message.c.channel, delivery.c.currency)
        .order_by(message.c.channel, delivery.c.currency)
    )
    for channel, currency, cost in rows:
        found.setdefault(channel, {})[currency] = from_millionths(int(cost))
    return found


@dataclass(frozen=True)
class MessageCount:
    """So many messages are alike in all of these."""

    journey: str
    step: str
    message: str
    channel: str
    locale: str
    state: str
    rule: str  # that kept them from leaving, else ""
    count: int
    parts: int  # that these are paid in: more than one for a long SMS


def message_counts(connection: Connection, journey: str | None = None) -> list[MessageCount]:
    """How many messages there are of each kind, with deliveries folded. Of one journey, only its own are looked at."""
    heaviest = select(func.max(delivery.c.weight)).where(delivery.c.message_id == message.c.id).scalar_subquery()
    names = ("journey", "step", "message", "channel", "locale", "state", "rule", "parts")
    said = select(*(message.c[name] for name in names), heaviest.label("weight"))
    if journey:  # by the index of ways: there is none of messages by journey
        said = said.join(enrollment, enrollment.c.id == message.c.enrollment_id).where(enrollment.c.journey == journey)
    one = said.subquery()
    weight = func.coalesce(one.c.weight, 0).label("weight")
    folds = or_(one.c.state == MessageState.queued.value, one.c.weight.is_not(None))
    born = case((folds, ""), else_=one.c.state).label("born")
    columns = (*(one.c[name] for name in names[:5]), born, func.coalesce(one.c.rule, "").label("rule"))
    query = (
        select(*columns, weight, func.count(), func.sum(one.c.parts))
        .group_by(*columns, weight)
        .order_by(one.c.journey, one.c.step)
    )
    counts: dict[tuple[str, str, str, str, str, str, str], tuple[int, int]] = {}
    for *alike, weight_, count, parts in connection.execute(query):
        journey_, step, text, channel, locale, born_, rule = alike
        state = born_ or state_of(read_weight(weight_)[0] if weight_ else None).value
        key = (journey_, step, text, channel, locale, state, rule)
        known = counts.get(key, (0, 0))
        counts[key] = known[0] + count, known[1] + int(parts)
    return [MessageCount(*key, *both) for key, both in counts.items()]


def task_counts(connection: Connection, journey: str | None = None, since: datetime | None = None) -> list[Any]:
    """(journey, brief, outcome or None, count)."""
    query = (
        select(task.c.journey, task.c.brief, task.c.outcome, func.count().label("count"))
        .where(task.c.kind == TASK)
        .group_by(task.c.journey, task.c.brief, task.c.outcome)
    )
    if journey:
        query = query.where(task.c.journey == journey)
    if since:
        query = query.where(task.c.opened_at >= since)
    return list(connection.execute(query.order_by(task.c.journey, task.c.brief, task.c.outcome.nulls_first())))


def approval_counts(connection: Connection, journey: str) -> list[Any]:
    """(step, outcome or None, count) of the questions a journey asked."""
    return list(
        connection.execute(
            select(task.c.step, task.c.outcome, func.count().label("count"))
            .where(task.c.kind == APPROVAL, task.c.journey == journey)
            .group_by(task.c.step, task.c.outcome)
            .order_by(task.c.step, task.c.outcome.nulls_first())
        )
    )


def voucher_counts(connection: Connection, journey: str | None = None, since: datetime | None = None) -> list[Any]:
    """(journey, pool, value, count of codes given, count of those redeemed)."""
    redeemed = func.sum(case((voucher.c.redeemed_at.is_not(None), 1), else_=0)).label("redeemed")
    kinds = (enrollment.c.journey, voucher.c.pool, voucher.c.value)
    query = (
        select(*kinds, func.count().label("count"), redeemed)
        .join(enrollment, and_(enrollment.c.id == voucher.c.enrollment_id, _KEPT))
        .group_by(*kinds)
    )
    if journey:
        query = query.where(enrollment.c.journey == journey)
    if since:
        query = query.where(voucher.c.given_at >= since)
    return list(connection.execute(query.order_by(*kinds)))


def entries(connection: Connection, journey: str) -> Iterator[list[Any]]:
    """All enrollments of a journey, in pages: (id, customer_id, entered_at, holdout, variants by split)."""
    columns = (enrollment.c.id, enrollment.c.customer_id, enrollment.c.entered_at, enrollment.c.holdout)
    last = 0
    while True:
        page = list(
            connection.execute(
                select(*columns, enrollment.c.data["variants"].label("variants"))
                .where(enrollment.c.journey == journey, enrollment.c.id > last, _KEPT)
                .order_by(enrollment.c.id)
                .limit(PAGE)
            )
        )
        if not page:
            return
        yield page
        last = page[-1].id


def held_out(connection: Connection, journey: str) -> Iterator[list[str]]:
    """The shop's ids of those held out, one for each of their enrollments, in pages."""
    last = 0
    while True:
        page = list(
            connection.execute(
                select(enrollment.c.id, customer.c.external_id)
                .join(customer, customer.c.id == enrollment.c.customer_id)
                .where(enrollment.c.journey == journey, enrollment.c.holdout, enrollment.c.id > last, _KEPT)
                .order_by(enrollment.c.id)
                .limit(PAGE)
            )
        )
        if not page:
            return
        yield [row.external_id for row in page]
        last = page[-1].id


def events_of(connection: Connection, customer_ids: Sequence[int], name: str, until: datetime) -> dict[int, list[Any]]:
    """customer -> their events of one name, oldest first: (at, payload)."""
    rows = connection.execute(
        select(event.c.customer_id, event.c.at, event.c.payload)
        .where(event.c.customer_id.in_(customer_ids), event.c.name == name, event.c.at <= until)
        .order_by(event.c.at, event.c.id)
    )
    found: dict[int, list[Any]] = {}
    for row in rows:
        found.setdefault(row.customer_id, []).append(row)
    return found


def ledger(connection: Connection, journeys: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Every message with what became of it, in the order of the plan: what simulate predicts and the daemon sends."""
    heaviest = folded()
    begun = delivery.alias()
    last = and_(begun.c.message_id == message.c.id, begun.c.kind == DeliveryKind.begun.value)
    query = (
        select(message, customer.c.external_id.label("person"), heaviest.c.weight, begun.c.cost, begun.c.currency)
        .join(customer, customer.c.id == message.c.customer_id)
        .outerjoin(heaviest, heaviest.c.message_id == message.c.id)
        .outerjoin(begun, and_(last, begun.c.weight == _LAST_BEGUN))
        .order_by(message.c.created_at, customer.c.external_id, message.c.journey, message.c.step, message.c.wish)
    )
    if journeys is not None:
        query = query.where(message.c.journey.in_(journeys))
    rows = []
    for row in connection.execute(query):
        state = state_of(read_weight(row.weight)[0]) if row.weight else MessageState(row.state)
        rows.append(
            {
                "at": row.created_at.isoformat(),
                "person": row.person,
                "journey": row.journey,
                "step": row.step,
                "message": row.message,
                "channel": row.channel,
                "locale": row.locale,
                "parts": row.parts,
                "cost": _money(row) if state in WENT else None,
                "state": state.value,
                "rule": row.rule,
                "reason": row.reason,
                "key": row.key,
            }
        )
    return rows


def _money(row: Any) -> dict[str, str] | None:
    return None if row.cost is None else {"amount": str(from_millionths(row.cost)), "currency": row.currency}

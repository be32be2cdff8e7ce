"""What a simulation asks: which messages, tasks and events are new after a beat, and what came of it all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, func, select

from engine.decide.outcome import WENT, DeliveryKind, MessageState, read_weight, state_of
from engine.journey.parts import CALL
from engine.store.deliveries import folded
from engine.store.messages import unpack
from engine.store.tables import body, customer, delivery, enrollment, event, message, task, voucher


def last_ids(connection: Connection) -> dict[str, int]:
    """table -> its highest id."""
    return {
        table.name: connection.execute(select(func.coalesce(func.max(table.c.id), 0))).scalar_one()
        for table in (delivery, task, event)
    }


def accepted_since(connection: Connection, last: int) -> list[Any]:
    """What names a message accepted after that delivery: its key, its text, its way, the person's own id."""
    told = (message.c[name] for name in ("key", "message", "channel", "journey", "enrollment_id"))
    return list(
        connection.execute(
            select(*told, customer.c.external_id.label("person"))
            .join(delivery, delivery.c.message_id == message.c.id)
            .join(customer, customer.c.id == message.c.customer_id)
            .where(delivery.c.id > last, delivery.c.kind == DeliveryKind.accepted.value, message.c.channel != CALL)
            .order_by(delivery.c.id)
        )
    )


def tasks_since(connection: Connection, last: int) -> list[Any]:
    """Tasks opened after that one."""
    return list(
        connection.execute(
            select(task, customer.c.external_id.label("person"), enrollment.c.entered_at)
            .join(customer, customer.c.id == task.c.customer_id)
            .join(enrollment, enrollment.c.id == task.c.enrollment_id)
            .where(task.c.id > last)
            .order_by(task.c.id)
        )
    )


def events_since(connection: Connection, last: int, names: Sequence[str]) -> list[Any]:
    """Events of these names recorded after that one."""
    if not names:
        return []
    return list(
        connection.execute(
            select(event, customer.c.external_id.label("person"))
            .join(customer, customer.c.id == event.c.customer_id)
            .where(event.c.id > last, event.c.name.in_(names))
            .order_by(event.c.id)
        )
    )


# --- of a small simulation, everything that came of it


def all_messages(connection: Connection) -> list[tuple[Any, bool, str]]:
    """Every message with its person's own id; whether it went out, or may have; its text."""
    heaviest = folded()
    rows = connection.execute(
        select(message, customer.c.external_id.label("person"), heaviest.c.weight, body.c.content)
        .join(customer, customer.c.id == message.c.customer_id)
        .outerjoin(heaviest, heaviest.c.message_id == message.c.id)
        .outerjoin(body, body.c.message_id == message.c.id)
        .order_by(message.c.id)
    )
    found = []
    for row in rows:
        state = state_of(read_weight(row.weight)[0]) if row.weight else MessageState(row.state)
        text = _words(json.loads(unpack(row.content))) if row.content else ""
        found.append((row, state in WENT, text))
    return found


def _words(content: Any) -> str:
    """All texts of a content, one after the other."""
    if isinstance(content, dict):
        return "\n".join(_words(one) for one in content.values())
    return "\n".join(_words(one) for one in content) if isinstance(content, list) else str(content)


def sent_to(connection: Connection, person: str) -> list[Any]:
    """What a person was sent so far, oldest first."""
    return [row for row, went, _ in all_messages(connection) if went and row.person == person and row.channel != CALL]


def all_given(connection: Connection) -> list[Any]:
    """Every code that was given: pool, person, given_at."""
    query = select(voucher, customer.c.external_id.label("person"))
    joined = query.join(customer, customer.c.id == voucher.c.customer_id)
    return list(connection.execute(joined.order_by(voucher.c.given_at, voucher.c.id)))


def all_ways(connection: Connection) -> list[Any]:
    """Every enrollment, with its person's own id."""
    query = select(enrollment, customer.c.external_id.label("person"))
    joined = query.join(customer, customer.c.id == enrollment.c.customer_id)
    return list(connection.execute(joined.order_by(enrollment.c.id)))


def all_events(connection: Connection) -> list[Any]:
    """Every event, with its person's own id."""
    query = select(event, customer.c.external_id.label("person"))
    joined = query.join(customer, customer.c.id == event.c.customer_id)
    return list(connection.execute(joined.order_by(event.c.id)))

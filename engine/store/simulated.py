"""What a simulation asks after each beat: which messages, tasks and events are new."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, func, select

from engine.decide.outcome import DeliveryKind
from engine.store.tables import customer, delivery, enrollment, event, message, task


def last_ids(connection: Connection) -> dict[str, int]:
    """table -> its highest id."""
    return {
        table.name: connection.execute(select(func.coalesce(func.max(table.c.id), 0))).scalar_one()
        for table in (delivery, task, event)
    }


def accepted_since(connection: Connection, last: int) -> list[Any]:
    """Messages accepted after that delivery, with the person's own id."""
    return list(
        connection.execute(
            select(message, customer.c.external_id.label("person"))
            .join(delivery, delivery.c.message_id == message.c.id)
            .join(customer, customer.c.id == message.c.customer_id)
            .where(delivery.c.id > last, delivery.c.kind == DeliveryKind.accepted.value)
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

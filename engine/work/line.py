"""Batches in line: made, put off, given back. Whoever works on them hears of it in the same transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from engine.app import App
from engine.settings import channel_of
from engine.share import Kind, Unit
from engine.store import messages


def line_up(app: App, connection: Connection, lane: str, due_at: datetime, urgent: bool, deaths: int = 0) -> int:
    """A new batch for messages of a lane; its number."""
    number = messages.add_batch(connection, channel_of(lane), lane, due_at, urgent, deaths)
    app.share.defer(connection, [Unit(Kind.batch, number, lane, urgent, due_at)])
    return number


def leave_later(
    app: App,
    connection: Connection,
    ids: Sequence[int],
    lane: str,
    due_at: datetime,
    urgent: bool,
    deaths: int = 0,
) -> None:
    """These messages move to a new batch."""
    if ids:
        messages.move_to_batch(connection, ids, line_up(app, connection, lane, due_at, urgent, deaths))


def put_off(app: App, connection: Connection, batch: Any, until: datetime, lane: str | None = None) -> None:
    """What is left of a batch in hand leaves later, by this lane if it is named."""
    lane = lane or batch.lane
    messages.postpone(connection, batch.id, lane, until)
    _tell_anew(app, connection, Unit(Kind.batch, batch.id, lane, batch.urgent, until))


def give_back(app: App, connection: Connection, batch: Any, **more: Any) -> None:
    """What is left of a batch is for whoever takes it."""
    messages.free(connection, batch.id, **more)
    _tell_anew(app, connection, Unit(Kind.batch, batch.id, batch.lane, batch.urgent))


def hurry(app: App, connection: Connection, channel: str, now: datetime) -> None:
    """What waited for a lane of this channel is due now."""
    for batch in messages.hurry(connection, channel, now):
        _tell_anew(app, connection, Unit(Kind.batch, batch.id, batch.lane, batch.urgent))


def _tell_anew(app: App, connection: Connection, unit: Unit) -> None:
    app.share.cancel(connection, [unit])
    app.share.defer(connection, [unit])

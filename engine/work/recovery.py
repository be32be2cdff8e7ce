"""After a death: whatever was held is free again, and what may have happened to it is judged."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from engine.app import App
from engine.store import workers
from engine.work import in_hand
from engine.work.sending import after_death as batches
from engine.work.sending.batches import Dispatched
from engine.work.sending.outcomes import settle_kept
from engine.work.sure import now_as_trusted


def recover(app: App, now: datetime) -> Dispatched:
    """Where nobody else can be at work: take up what anybody held when the last process ended."""
    with app.database.writing() as connection:
        lost = [one.id for one in workers.silent(connection, now) if one.id != app.worker_id]
        workers.give_up(connection, lost, now)
        return free_all_of(app, connection, now, None)


def free_all_of(app: App, connection: Connection, now: datetime, numbers: Sequence[int] | None) -> Dispatched:
    """What these workers (None: all of them) held is free again."""
    in_hand.after_death(connection, numbers)
    return batches.after_death(app, connection, now, numbers)


def settle(app: App, done: Dispatched) -> None:
    """Once the database answers again: write what providers answered, then free what nobody works on.

    One thread at a time, and in this order: whatever strays while answers are written may have more of them.
    """
    with app.settling:
        strays = frozenset(app.strays)
        settle_kept(app, done)
        if strays:
            with app.database.writing() as connection:
                in_hand.free_strays(app, connection, strays)
                batches.free_strays(app, connection, strays, now_as_trusted(app))
            app.strays -= strays

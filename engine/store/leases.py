"""Leases: who of many workers does what one of them should do at a time. Two at once do no harm, but twice the work."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection

from engine.store.tables import get_fact, set_fact


def holder(connection: Connection, name: str, now: datetime) -> tuple[int, timedelta] | None:
    """Who has it, and for how much longer; None when nobody does."""
    told = get_fact(connection, _fact(name))
    if told is None:
        return None
    worker, _, until = told.partition(" ")
    left = datetime.fromisoformat(until) - now
    return (int(worker), left) if left > timedelta(0) else None


def take(connection: Connection, name: str, worker: int, until: datetime) -> None:
    """This worker has it until then."""
    set_fact(connection, _fact(name), f"{worker} {until.isoformat()}")


def _fact(name: str) -> str:
    return f"lease: {name}"

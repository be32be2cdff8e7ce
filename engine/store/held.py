"""What is held since the database was brought back from a copy: ways and waves that may have gone on since the copy.

The database has forgotten what was decided after the copy was made. Until a person says otherwise, whatever was due up
to the instant of the restore stays where it is. Ways are held by a number of failures that nothing else reaches.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, or_, select, update

from engine.store.instants import seen
from engine.store.tables import batch, customer, enrollment, fact, get_fact, in_parts, message, run, set_fact, worker

RESTORED = "restored"  # the fact that tells up to which instant what was due may have been done
HELD = 1_000  # "failures" of a way that is held
RUN_HELD = "held"  # the state of a run that is
REASON = "held since the database was brought back from a copy: what was due since then may have been sent"
_HELD_WAYS = (enrollment.c.active, enrollment.c.failures >= HELD)


def held_to(connection: Connection) -> datetime | None:
    """What was due up to this instant may have been done by a database that is gone; None: nothing is in doubt."""
    text = get_fact(connection, RESTORED)
    return datetime.fromisoformat(text) if text else None


def hold_to(connection: Connection, now: datetime) -> None:
    set_fact(connection, RESTORED, now.isoformat())


def last_sign(connection: Connection) -> datetime | None:
    """The last instant at which a daemon was alive, as the database knows it: about when the copy was made."""
    beat, known = connection.execute(select(func.max(worker.c.beat_at))).scalar(), seen(connection)
    return max((at for at in (beat, known.at if known else None) if at is not None), default=None)


# --- ways ------------------------------------------------------------------------------------------------------------


def hold_ways(connection: Connection, numbers: Sequence[int]) -> None:
    for part in in_parts(numbers):
        mine = update(enrollment).where(enrollment.c.id.in_(part), enrollment.c.active)
        connection.execute(mine.values(failures=HELD, reason=REASON))


def hold_listeners(
    connection: Connection, customer_ids: Sequence[int], journeys: Sequence[str], now: datetime
) -> list[int]:
    """Ways of these people through these journeys that wait for something, held instead of woken; their numbers."""
    waiting = (
        enrollment.c.active,
        enrollment.c.failures < HELD,
        or_(enrollment.c.due_at.is_(None), enrollment.c.due_at > now),
    )
    found: list[int] = []
    for part in in_parts(list(customer_ids)):
        mine = (enrollment.c.customer_id.in_(part), enrollment.c.journey.in_(journeys))
        found += connection.execute(select(enrollment.c.id).where(*mine, *waiting)).scalars()
    hold_ways(connection, found)
    return found


def page_of_due(connection: Connection, now: datetime, after: int, limit: int) -> list[Any]:
    """The next ways that were due by now and are not held yet: id, customer_id, journey, step."""
    columns = enrollment.c.id, enrollment.c.customer_id, enrollment.c.journey, enrollment.c.step
    due = (enrollment.c.active, enrollment.c.failures < HELD, enrollment.c.due_at <= now, enrollment.c.id > after)
    return list(connection.execute(select(*columns).where(*due).order_by(enrollment.c.id).limit(limit)))


def rows_of(connection: Connection, numbers: Sequence[int]) -> list[Any]:
    """These ways as far as they are under way and not held: id, customer_id, journey, step."""
    columns = enrollment.c.id, enrollment.c.customer_id, enrollment.c.journey, enrollment.c.step
    mine = (enrollment.c.id.in_(numbers), enrollment.c.active, enrollment.c.failures < HELD)
    return list(connection.execute(select(*columns).where(*mine).order_by(enrollment.c.id)))


def _of(journey: str | None, numbers: Sequence[int] | None) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if journey is not None:
        found.append(enrollment.c.journey == journey)
    if numbers is not None:
        found.append(enrollment.c.id.in_(numbers))
    return found


def ways(
    connection: Connection,
    journey: str | None = None,
    numbers: Sequence[int] | None = None,
    after: int = 0,
    limit: int | None = None,
) -> list[Any]:
    """Ways that are held, by their numbers."""
    columns = (*enrollment.c, customer.c.external_id.label("person"))
    whose = enrollment.join(customer, customer.c.id == enrollment.c.customer_id)
    where = (*_HELD_WAYS, *_of(journey, numbers), enrollment.c.id > after)
    return list(
        connection.execute(select(*columns).select_from(whose).where(*where).order_by(enrollment.c.id).limit(limit))
    )


def count_ways(connection: Connection) -> dict[str, tuple[int, datetime | None]]:
    """journey -> how many of its ways are held, and since when the first of them has been due."""
    columns = enrollment.c.journey, func.count(), func.min(enrollment.c.due_at)
    rows = connection.execute(select(*columns).where(*_HELD_WAYS).group_by(enrollment.c.journey))
    return {journey: (count, first) for journey, count, first in rows}


def release_ways(connection: Connection, numbers: Sequence[int]) -> None:
    """They go on from where they stand."""
    for part in in_parts(numbers):
        connection.execute(update(enrollment).where(enrollment.c.id.in_(part)).values(failures=0, reason=None))


# --- waves -----------------------------------------------------------------------------------------------------------


def hold_runs(connection: Connection, now: datetime) -> int:
    """Waves under way at the copy, that were due by now. How many runs."""
    open_ = and_(run.c.state.in_(["waiting", "entering"]), run.c.planned_at <= now)
    return connection.execute(update(run).where(open_).values(state=RUN_HELD, reason=REASON)).rowcount


def runs(connection: Connection, journey: str | None = None) -> list[Any]:
    """Runs that are held, in the order in which they were planned."""
    query = select(run).where(run.c.state == RUN_HELD)
    if journey is not None:
        query = query.where(run.c.journey == journey)
    return list(connection.execute(query.order_by(run.c.planned_at, run.c.id)))


# --- messages --------------------------------------------------------------------------------------------------------


def page_on_its_way(connection: Connection, after: int, limit: int) -> list[Any]:
    """The next messages that stand in a batch that is to leave."""
    leaving = message.join(batch, batch.c.id == message.c.batch_id)
    query = select(message).select_from(leaving).where(batch.c.open, message.c.id > after)
    return list(connection.execute(query.order_by(message.c.id).limit(limit)))


def forget(connection: Connection, name: str) -> None:
    """A fact that holds no more."""
    connection.execute(delete(fact).where(fact.c.name == name))

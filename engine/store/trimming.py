"""What is over for long: found by an index, in pages; taken away with all that belongs to it.

A way that ended goes with its messages, their texts and what happened to them, its tasks and its lines of the story.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, or_, select, update

from engine.decide.outcome import ON_THE_WAY, MessageState
from engine.store import deliveries
from engine.store.deliveries import Heaviest
from engine.store.messages import state_today
from engine.store.tables import (
    batch,
    body,
    crossing,
    delivery,
    enrollment,
    entrant,
    event,
    in_parts,
    message,
    request,
    run,
    task,
    touch,
    trace,
)

#: states that are not a message's last, or about which a person has to say something first
_OPEN = ON_THE_WAY | {MessageState.unknown, MessageState.dead}
Place = tuple[datetime, int]  # how far one has come where rows are looked at in the order of an instant


def _after(at: Any, number: Any, since: Any, last: Any) -> ColumnElement[bool]:
    """Behind a place in that order, told so that an index by the instant alone leads there."""
    return and_(at >= since, or_(at > since, number > last))


# --- ways that ended -------------------------------------------------------------------------------------------------


def ended_ways(connection: Connection, after: Place, before: datetime, limit: int) -> list[Any]:
    """The next ways that ended before an instant, in the order in which they did."""
    ended = (~enrollment.c.active, ~enrollment.c.trimmed, enrollment.c.ended_at < before)
    columns = (enrollment.c[name] for name in ("id", "customer_id", "journey", "entered_at", "ended_at"))
    query = select(*columns).where(*ended, _after(enrollment.c.ended_at, enrollment.c.id, *after))
    return list(connection.execute(query.order_by(enrollment.c.ended_at, enrollment.c.id).limit(limit)))


def not_over(connection: Connection, ways: Sequence[int], before: datetime) -> tuple[set[int], list[int]]:
    """Those of these ways of which something is open, or not so long ago; and the messages of all the others."""
    columns = (message.c[name] for name in ("id", "enrollment_id", "state", "created_at", "send_by"))
    query = select(*columns).where(message.c.enrollment_id.in_(ways)).order_by(message.c.id)
    said = list(connection.execute(query))
    became: dict[int, Heaviest] = {}
    for part in in_parts([row.id for row in said]):
        became.update(deliveries.fold(connection, part))
    kept = {
        row.enrollment_id
        for row in said
        if max(row.created_at, row.send_by) >= before
        or state_today(row, became[row.id].kind if row.id in became else None) in _OPEN
    }
    undone = select(task.c.enrollment_id).where(task.c.enrollment_id.in_(ways), task.c.closed_at.is_(None))
    kept.update(connection.execute(undone).scalars())
    return kept, [row.id for row in said if row.enrollment_id not in kept]


def take_away(connection: Connection, ways: Sequence[int], people: Collection[int], said: Sequence[int]) -> int:
    """Everything of these ways but their own rows. How many rows that were."""
    gone = sum(
        _delete(connection, table, column.in_(part))
        for part in in_parts(said)
        for table, column in ((body, body.c.message_id), (delivery, delivery.c.message_id), (message, message.c.id))
    )
    mine = trace.c.customer_id.in_(sorted(people)), trace.c.enrollment_id.in_(ways)  # by the index by person
    gone += _delete(connection, trace, *mine)
    return gone + sum(_delete(connection, table, table.c.enrollment_id.in_(ways)) for table in (touch, task))


def make_slim(connection: Connection, ways: Sequence[int]) -> None:
    """That they were there, since when and how it ended is kept, for `again`."""
    slim = {"trimmed": True, "data": {}, "run_id": None}
    connection.execute(update(enrollment).where(enrollment.c.id.in_(ways)).values(slim))


def forget_ways(connection: Connection, ways: Sequence[int]) -> int:
    return _delete(connection, enrollment, enrollment.c.id.in_(ways)) if ways else 0


def slim_ways(connection: Connection, journey: str, before: datetime, limit: int) -> list[int]:
    """Slim rows of a journey that entered before an instant, in order."""
    old = (enrollment.c.journey == journey, enrollment.c.entered_at < before, enrollment.c.trimmed)
    query = select(enrollment.c.id).where(*old).order_by(enrollment.c.id)
    return list(connection.execute(query.limit(limit)).scalars())


# --- what is looked at in the order of its numbers --------------------------------------------------------------------


def traces_after(connection: Connection, after: int, limit: int) -> list[Any]:
    """Lines of the story: id, at, enrollment_id."""
    return _in_order(connection, trace, ("id", "at", "enrollment_id"), after, limit)


def crossings_after(connection: Connection, after: int, limit: int) -> list[Any]:
    """Crossings: id, judged_at."""
    return _in_order(connection, crossing, ("id", "judged_at"), after, limit)


def batches_after(connection: Connection, after: int, limit: int) -> list[Any]:
    """Batches: id, due_at, open."""
    return _in_order(connection, batch, ("id", "due_at", "open"), after, limit)


def runs_after(connection: Connection, after: int, limit: int) -> list[Any]:
    """Runs: id, planned_at, state."""
    return _in_order(connection, run, ("id", "planned_at", "state"), after, limit)


def _in_order(connection: Connection, table: Table, names: Iterable[str], after: int, limit: int) -> list[Any]:
    columns = (table.c[name] for name in names)
    return list(connection.execute(select(*columns).where(table.c.id > after).order_by(table.c.id).limit(limit)))


def forget_traces(connection: Connection, ids: Sequence[int]) -> int:
    return _delete(connection, trace, trace.c.id.in_(ids)) if ids else 0


def forget_crossings(connection: Connection, ids: Sequence[int]) -> int:
    return _delete(connection, crossing, crossing.c.id.in_(ids)) if ids else 0


def forget_batches(connection: Connection, ids: Sequence[int]) -> int:
    """Those of these that no message names any more."""
    empty = ~select(message.c.id).where(message.c.batch_id == batch.c.id).exists()
    return _delete(connection, batch, batch.c.id.in_(ids), empty) if ids else 0


def forget_runs(connection: Connection, ids: Sequence[int]) -> int:
    """Those of these after which their journey had another in the same zone; with whom they named."""
    later = run.alias("later")
    same = (later.c.journey == run.c.journey, later.c.zone == run.c.zone, later.c.planned_at > run.c.planned_at)
    found = select(run.c.id).where(run.c.id.in_(ids), select(later.c.id).where(*same).exists())
    old = list(connection.execute(found).scalars()) if ids else []
    whole = ((entrant, entrant.c.run_id), (request, request.c.run_id), (run, run.c.id))
    return sum(_delete(connection, table, column.in_(old)) for table, column in whole) if old else 0


# --- events ----------------------------------------------------------------------------------------------------------


def events_after(connection: Connection, after: Place, before: datetime, limit: int) -> list[Any]:
    """The next events of before an instant, the oldest first: id, name, at."""
    columns = (event.c.id, event.c.name, event.c.at)
    query = select(*columns).where(event.c.at < before, _after(event.c.at, event.c.id, *after))
    return list(connection.execute(query.order_by(event.c.at, event.c.id).limit(limit)))


def forget_events(connection: Connection, ids: Sequence[int]) -> int:
    return _delete(connection, event, event.c.id.in_(ids)) if ids else 0


def not_the_last(connection: Connection, ids: Sequence[int]) -> list[int]:
    """Those of these events after which the person had another of the same name."""
    later = event.alias("later")
    same = (later.c.customer_id == event.c.customer_id, later.c.name == event.c.name)
    more = select(later.c.id).where(*same, _after(later.c.at, later.c.id, event.c.at, event.c.id)).exists()
    return (
        list(connection.execute(select(event.c.id).where(event.c.id.in_(ids), more).order_by(event.c.id)).scalars())
        if ids
        else []
    )


def _delete(connection: Connection, table: Table, *conditions: ColumnElement[bool]) -> int:
    return connection.execute(delete(table).where(*conditions)).rowcount

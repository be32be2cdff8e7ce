"""What stands beside the messages: traces, tasks, vouchers and imports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, case, func, insert, select, update

from engine.decide.decision import APPROVAL, TASK, CloseTask, Give
from engine.decide.state import Assigned, Code
from engine.store.tables import Row, among, enrollment, import_, put, put_new, take_ids, task, trace, turn, voucher

# --- traces ----------------------------------------------------------------------------------------------------------


def add_traces(connection: Connection, rows: Sequence[Row]) -> None:
    """Append lines of the story; each gets its id."""
    for number, row in zip(take_ids(connection, trace, len(rows)), rows, strict=True):
        row["id"] = number
    put(connection, trace, rows)


def traces_of(connection: Connection, customer_id: int, journeys: Sequence[str] | None = None) -> list[Any]:
    """The story of one person, oldest first; of a journey by every name it had."""
    query = select(trace).where(trace.c.customer_id == customer_id).order_by(trace.c.at, trace.c.id)
    if journeys:
        query = query.where(trace.c.journey.in_(journeys))
    return list(connection.execute(query))


# --- tasks -----------------------------------------------------------------------------------------------------------


def add_tasks(connection: Connection, rows: Sequence[Row]) -> None:
    put(connection, task, rows)


def close_tasks(connection: Connection, closed: Sequence[CloseTask]) -> None:
    """Tasks that end without a human's word; one that has an outcome keeps it."""
    if closed:
        connection.execute(
            update(task)
            .where(task.c.id == bindparam("_id"), task.c.closed_at.is_(None))
            .values(outcome=bindparam("outcome"), closed_at=bindparam("at")),
            [{"_id": one.task_id, "outcome": one.outcome, "at": one.at} for one in closed],
        )


_TASKS_OF_PEOPLE = (
    select(task)
    .join(enrollment, enrollment.c.id == task.c.enrollment_id)
    .where(among(task.c.customer_id), enrollment.c.active)
    .order_by(task.c.opened_at, task.c.id)
)


def tasks_of_people(connection: Connection, ids: Sequence[int]) -> dict[int, list[Assigned]]:
    """id -> tasks of their active enrollments, oldest first."""
    found: dict[int, list[Assigned]] = {}
    for row in connection.execute(_TASKS_OF_PEOPLE, {"ids": ids}):
        found.setdefault(row.customer_id, []).append(
            Assigned(
                row.id,
                row.enrollment_id,
                row.step,
                row.visit,
                row.opened_at,
                row.due_at,
                row.outcome,
                row.closed_at,
                row.closed_by,
            )
        )
    return found


def open_tasks_of(connection: Connection, enrollment_id: int) -> list[int]:
    """Numbers of the tasks of one enrollment that nobody has closed."""
    query = select(task.c.id).where(task.c.enrollment_id == enrollment_id, task.c.closed_at.is_(None))
    return [row.id for row in connection.execute(query.order_by(task.c.id))]


def open_tasks_in(connection: Connection, journey: str) -> int:
    """How many tasks of a journey nobody has closed."""
    query = select(func.count()).select_from(task).where(task.c.journey == journey, task.c.closed_at.is_(None))
    return connection.execute(query).scalar_one()


def task_by_id(connection: Connection, number: int) -> Any | None:
    return connection.execute(select(task).where(task.c.id == number)).first()


def tasks(connection: Connection, open_only: bool = True, queue: str | None = None) -> list[Any]:
    """Tasks, the most urgent first."""
    query = select(task).where(task.c.kind == TASK).order_by(task.c.due_at, task.c.id)
    if open_only:
        query = query.where(task.c.closed_at.is_(None))
    if queue:
        query = query.where(task.c.queue == queue)
    return list(connection.execute(query))


def questions(
    connection: Connection, journey: str | None = None, step: str | None = None, customer_id: int | None = None
) -> list[Any]:
    """Questions nobody has answered, those that end soonest first."""
    query = select(task).where(task.c.kind == APPROVAL, task.c.closed_at.is_(None))
    for column, wanted in ((task.c.journey, journey), (task.c.step, step), (task.c.customer_id, customer_id)):
        if wanted is not None:
            query = query.where(column == wanted)
    return list(connection.execute(query.order_by(task.c.journey, task.c.step, task.c.due_at, task.c.id)))


def answer(connection: Connection, ids: Sequence[int], outcome: str, by: str, at: datetime) -> list[Any]:
    """Answer those of these questions that are open still; them, as (id, customer_id, enrollment_id)."""
    mine = select(task.c.id, task.c.customer_id, task.c.enrollment_id).where(
        task.c.id.in_(ids), task.c.kind == APPROVAL, task.c.closed_at.is_(None)
    )
    rows = list(connection.execute(mine.order_by(task.c.id)))
    connection.execute(
        update(task).where(task.c.id.in_([row.id for row in rows])).values(outcome=outcome, closed_at=at, closed_by=by)
    )
    return rows


def change_task(connection: Connection, number: int, **values: Any) -> None:
    connection.execute(update(task).where(task.c.id == number).values(**values))


def due_escalations(connection: Connection, now: datetime) -> list[Any]:
    """Open, untaken tasks whose time to escalate has come."""
    return list(
        connection.execute(
            select(task).where(task.c.closed_at.is_(None), task.c.escalate_at <= now, task.c.escalate_to.is_not(None))
        )
    )


def next_escalation(connection: Connection) -> datetime | None:
    return connection.execute(select(func.min(task.c.escalate_at)).where(task.c.closed_at.is_(None))).scalar()


def take_turns(connection: Connection, wanted: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """Whose turn it is, for each of these (queue, its people) in order; kept, so that the next goes on from there.

    After the last of the people comes the first. Where whoever was last works no more, it begins with the first.
    """
    if not wanted:
        return []
    queues = sorted({queue for queue, _ in wanted})
    put_new(connection, turn, [{"queue": queue, "last": ""} for queue in queues])
    rows = connection.execute(select(turn).where(turn.c.queue.in_(queues)).order_by(turn.c.queue).with_for_update())
    last = {row.queue: row.last for row in rows}
    taken = []
    for queue, people in wanted:
        before = last.get(queue)
        last[queue] = people[(people.index(before) + 1) % len(people)] if before in people else people[0]
        taken.append(last[queue])
    for queue in queues:
        connection.execute(update(turn).where(turn.c.queue == queue).values(last=last[queue]))
    return taken


class CodeTaken(Exception):
    """A voucher code that was set aside got another owner meanwhile; the chunk is decided again."""


# --- vouchers --------------------------------------------------------------------------------------------------------


def _free(pool: str) -> tuple[ColumnElement[bool], ...]:
    """Nobody has it, and no order has named it."""
    return voucher.c.pool == pool, voucher.c.customer_id.is_(None), voucher.c.redeemed_at.is_(None)


def free_codes(connection: Connection, pool: str, limit: int) -> list[Any]:
    """Codes nobody has, in the order of the file."""
    return list(connection.execute(select(voucher).where(*_free(pool)).order_by(voucher.c.id).limit(limit)))


def give(connection: Connection, given: Sequence[tuple[int, Give]]) -> None:
    """Hand out codes to (customer, give). `CodeTaken` when one has an owner already: do not commit."""
    if not given:
        return
    connection.execute(
        update(voucher)
        .where(
            voucher.c.pool == bindparam("_pool"), voucher.c.code == bindparam("_code"), voucher.c.customer_id.is_(None)
        )
        .values(
            customer_id=bindparam("customer"),
            enrollment_id=bindparam("enrollment"),
            given_at=bindparam("at"),
            expires_at=bindparam("expires"),
        ),
        [
            {
                "_pool": one.code.pool,
                "_code": one.code.code,
                "customer": customer_id,
                "enrollment": one.enrollment_id,
                "at": one.at,
                "expires": one.code.expires_at,
            }
            for customer_id, one in given
        ],
    )
    owners = connection.execute(
        select(voucher.c.pool, voucher.c.code, voucher.c.enrollment_id).where(
            voucher.c.code.in_([one.code.code for _, one in given])
        )
    )
    owner = {(row.pool, row.code): row.enrollment_id for row in owners}
    if any(owner.get((one.code.pool, one.code.code)) != one.enrollment_id for _, one in given):
        raise CodeTaken


def stock(connection: Connection) -> list[Any]:
    """(pool, codes, given, redeemed, left) of every pool that has codes."""
    given, redeemed = voucher.c.customer_id.is_not(None), voucher.c.redeemed_at.is_not(None)
    counts = {"given": given, "redeemed": redeemed, "left": and_(~given, ~redeemed)}
    columns = (func.sum(case((which, 1), else_=0)).label(name) for name, which in counts.items())
    query = select(voucher.c.pool, func.count().label("codes"), *columns).group_by(voucher.c.pool)
    return list(connection.execute(query.order_by(voucher.c.pool)))


def left_in(connection: Connection, watched: Mapping[str, int]) -> dict[str, int]:
    """pool -> codes that are left; of a pool with more than this number one more than that is told."""
    found = {}
    for pool, most in sorted(watched.items()):
        some = select(voucher.c.id).where(*_free(pool)).limit(most + 1).subquery()
        found[pool] = connection.execute(select(func.count()).select_from(some)).scalar_one()
    return found


def redeem(connection: Connection, codes: Mapping[str, datetime]) -> None:
    """Orders named these codes at these instants; the first order counts."""
    if not codes:
        return
    known = select(voucher.c.id, voucher.c.code).where(
        voucher.c.code.in_(sorted(codes)), voucher.c.redeemed_at.is_(None)
    )
    rows = [{"_id": row.id, "at": codes[row.code]} for row in connection.execute(known)]
    if rows:
        connection.execute(
            update(voucher).where(voucher.c.id == bindparam("_id")).values(redeemed_at=bindparam("at")), rows
        )


def fill_pool(connection: Connection, pool: str, codes: Sequence[str], value: str) -> int:
    """Add codes that are not in the pool yet; their number."""
    have = {row.code for row in connection.execute(select(voucher.c.code).where(voucher.c.pool == pool))}
    fresh = [code for code in dict.fromkeys(codes) if code not in have]
    numbers = take_ids(connection, voucher, len(fresh))
    return put(
        connection,
        voucher,
        [{"id": n, "pool": pool, "code": c, "value": value} for n, c in zip(numbers, fresh, strict=True)],
    )


def as_code(row: Any, expires_at: datetime | None) -> Code:
    return Code(row.pool, row.code, row.value, expires_at)


# --- imports ---------------------------------------------------------------------------------------------------------


def import_progress(connection: Connection, file_hash: str) -> Any | None:
    return connection.execute(select(import_).where(import_.c.file_hash == file_hash)).first()


def note_import(connection: Connection, file_hash: str, kind: str, rows: int, done: bool, at: datetime) -> None:
    """Remember how far an import has come, in the transaction that wrote those rows."""
    values = {"kind": kind, "rows": rows, "done": done, "at": at}
    if not connection.execute(update(import_).where(import_.c.file_hash == file_hash).values(values)).rowcount:
        connection.execute(insert(import_), [{"file_hash": file_hash, **values}])


def stamp(rows: Iterable[Row], **values: Any) -> list[Row]:
    """The same values into every row."""
    return [{**row, **values} for row in rows]

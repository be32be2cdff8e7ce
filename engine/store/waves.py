"""Runs of waves, what humans said to them, and who crossed the border of which segment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Dialect,
    Select,
    and_,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from engine.audience.tables import customer as person
from engine.store.tables import (
    Row,
    approval,
    crossing,
    enrollment,
    membership,
    put,
    run,
    segment_state,
    take_ids,
)

# --- runs ------------------------------------------------------------------------------------------------------------


def open_runs(connection: Connection) -> list[Any]:
    """Runs that wait or are entering."""
    return list(
        connection.execute(
            select(run).where(run.c.state.in_(["waiting", "entering"])).order_by(run.c.planned_at, run.c.id)
        )
    )


def open_versions(connection: Connection) -> frozenset[int]:
    """Versions of journeys that a run under way lets people into."""
    rows = connection.execute(select(run.c.version_id).where(run.c.state.in_(["waiting", "entering"])).distinct())
    return frozenset(row[0] for row in rows)


def runs_of(connection: Connection, journey: str, limit: int = 200) -> list[Any]:
    return list(
        connection.execute(
            select(run).where(run.c.journey == journey).order_by(run.c.planned_at.desc(), run.c.id).limit(limit)
        )
    )


def last_planned(connection: Connection, journey: str) -> dict[str, datetime]:
    """zone -> the latest planned instant that has its run."""
    rows = connection.execute(
        select(run.c.zone, func.max(run.c.planned_at)).where(run.c.journey == journey).group_by(run.c.zone)
    )
    return {row[0]: row[1] for row in rows}


def plan_run(connection: Connection, row: Row) -> int | None:
    """Write the run of one planned instant in one zone; None when it exists already."""
    exists = connection.execute(
        select(run.c.id).where(
            run.c.journey == row["journey"], run.c.planned == row["planned"], run.c.zone == row["zone"]
        )
    ).scalar()
    if exists is not None:
        return None
    (number,) = take_ids(connection, run, 1)
    put(connection, run, [{"stage": 0, "cursor": 0, "entered": 0, "reason": "", **row, "id": number}])
    return number


def take_up_now(connection: Connection, journeys: Sequence[str], now: datetime) -> None:
    """Runs for all zones that nobody has entered yet ask for people as of `now`."""
    begun = or_(run.c.cursor > 0, run.c.stage > 0)
    of_all = and_(run.c.journey.in_(journeys), run.c.zone == "", run.c.state == "entering")
    connection.execute(update(run).where(of_all, ~begun).values(planned_at=now))


def unmoved(connection: Connection, seen: Any) -> bool:
    """Does this run still stand where it was seen?"""
    now = connection.execute(select(run.c.state, run.c.stage, run.c.cursor).where(run.c.id == seen.id)).one()
    return tuple(now) == (seen.state, seen.stage, seen.cursor)


def change_run(connection: Connection, number: int, **values: Any) -> None:
    connection.execute(update(run).where(run.c.id == number).values(**values))


# --- approvals -------------------------------------------------------------------------------------------------------


def approvals(connection: Connection, journey: str | None = None, open_only: bool = False) -> list[Any]:
    query = select(approval).order_by(approval.c.asked_at, approval.c.stage)
    if journey:
        query = query.where(approval.c.journey == journey)
    if open_only:
        query = query.where(approval.c.outcome.is_(None))
    return list(connection.execute(query))


def ask_approval(connection: Connection, row: Row) -> None:
    (number,) = take_ids(connection, approval, 1)
    put(connection, approval, [{"outcome": None, "by": None, "at": None, **row, "id": number}])


def next_expiry(connection: Connection) -> datetime | None:
    """When the next unanswered question expires."""
    return connection.execute(select(func.min(approval.c.expires_at)).where(approval.c.outcome.is_(None))).scalar()


def answer_approval(connection: Connection, number: int, outcome: str, by: str, at: datetime) -> bool:
    """The first word holds; False when it was answered before."""
    return bool(
        connection.execute(
            update(approval)
            .where(approval.c.id == number, approval.c.outcome.is_(None))
            .values(outcome=outcome, by=by, at=at)
        ).rowcount
    )


# --- audiences -------------------------------------------------------------------------------------------------------


def audience_page(
    connection: Connection, condition: ColumnElement[bool], after: int, limit: int, zone: str | None = None
) -> list[int]:
    """Ids of people for whom the condition holds, in order, from the one after `after`."""
    query = select(person.c.id).where(person.c.id > after, condition).order_by(person.c.id).limit(limit)
    if zone is not None:
        query = query.where(person.c.zone == zone)
    return [row.id for row in connection.execute(query)]


def audience_size(connection: Connection, condition: ColumnElement[bool], zone: str | None = None) -> int:
    query = select(func.count()).select_from(person).where(condition)
    if zone is not None:
        query = query.where(person.c.zone == zone)
    return connection.execute(query).scalar_one()


def entered_in_run(connection: Connection, run_id: int) -> int:
    return connection.execute(
        select(func.count()).select_from(enrollment).where(enrollment.c.run_id == run_id)
    ).scalar_one()


# --- segments --------------------------------------------------------------------------------------------------------


def segment_states(connection: Connection) -> dict[str, Any]:
    return {row.segment: row for row in connection.execute(select(segment_state))}


def set_segment_state(connection: Connection, segment: str, fingerprint: str, judged_at: datetime) -> None:
    values = {"fingerprint": fingerprint, "judged_at": judged_at}
    if not connection.execute(update(segment_state).where(segment_state.c.segment == segment).values(values)).rowcount:
        connection.execute(insert(segment_state), [{"segment": segment, **values}])


class Crossers:
    """Who crossed the border of a segment, asked again and again as time passes.

    Building the question costs more than asking it. It is built at two instants; what differs between them is what
    moves with time, and is moved on at each asking.
    """

    def __init__(
        self,
        connection: Connection,
        segment: str,
        condition: Callable[[datetime], ColumnElement[bool]],
        start: datetime,
    ) -> None:
        self._questions = [
            _Moving(connection.dialect, one, later, start)
            for one, later in zip(
                _crossing_questions(segment, condition(start)),
                _crossing_questions(segment, condition(start + _STEP)),
                strict=True,
            )
        ]

    def ask(self, connection: Connection, now: datetime) -> tuple[list[int], list[int]]:
        """(ids that are inside now and were not, ids that were and are not)."""
        came, went = (question.ask(connection, now) for question in self._questions)
        return came, went


_STEP = timedelta(hours=1)


class _Moving:
    """One query with parameters that move with time."""

    def __init__(self, dialect: Dialect, query: Select[Any], later: Select[Any], start: datetime) -> None:
        self._query, self._start = query, start
        first, second = (one.compile(dialect=dialect).params for one in (query, later))
        if first.keys() != second.keys():
            raise ValueError("the question is another one an hour later")
        self._moving = {name: value for name, value in first.items() if value != second[name]}
        micros = _STEP // timedelta(microseconds=1)
        for name, value in self._moving.items():
            if second[name] - value not in (_STEP, micros):
                raise ValueError(f"{name} does not move with time")

    def ask(self, connection: Connection, now: datetime) -> list[int]:
        passed = now - self._start
        micros = passed // timedelta(microseconds=1)
        moved = {
            name: value + (passed if isinstance(value, datetime) else micros) for name, value in self._moving.items()
        }
        return [row[0] for row in connection.execute(self._query, moved)]


def _crossing_questions(segment: str, condition: ColumnElement[bool]) -> tuple[Select[Any], Select[Any]]:
    inside = membership.alias("inside")
    is_member = and_(inside.c.segment == segment, inside.c.customer_id == person.c.id)
    came = (
        select(person.c.id)
        .where(condition, ~select(inside.c.customer_id).where(is_member).exists())
        .order_by(person.c.id)
    )
    went = (
        select(membership.c.customer_id)
        .join(person, person.c.id == membership.c.customer_id)
        .where(membership.c.segment == segment, ~condition)
        .order_by(membership.c.customer_id)
    )
    return came, went


def set_members(
    connection: Connection, segment: str, came: Sequence[tuple[int, datetime]], went: Sequence[int]
) -> None:
    """Write only what changed."""
    put(connection, membership, [{"segment": segment, "customer_id": n, "since": at} for n, at in came])
    if went:
        connection.execute(
            delete(membership).where(membership.c.segment == segment, membership.c.customer_id.in_(went))
        )


def record_crossings(connection: Connection, rows: Sequence[Row]) -> None:
    for number, row in zip(take_ids(connection, crossing, len(rows)), rows, strict=True):
        row["id"] = number
    put(connection, crossing, rows)


def clear_segment(connection: Connection, segment: str) -> None:
    """Forget who is inside, before it is judged anew after an edit of its definition."""
    connection.execute(delete(membership).where(membership.c.segment == segment))


def fill_segment(connection: Connection, segment: str, condition: ColumnElement[bool], at: datetime) -> None:
    """Who is inside now, without any crossing: the first judgement and the one after an edit."""
    query = select(literal(segment), person.c.id, literal(at, membership.c.since.type)).where(condition)
    connection.execute(insert(membership).from_select(["segment", "customer_id", "since"], query))


def member_count(connection: Connection, segment: str) -> int:
    return connection.execute(
        select(func.count()).select_from(membership).where(membership.c.segment == segment)
    ).scalar_one()

"""Runs of waves, and what humans said to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, and_, case, delete, func, insert, literal, or_, select, update

from engine.audience.tables import customer as person
from engine.store.held import REASON, RUN_HELD, held_to
from engine.store.tables import Row, approval, chosen, each_of, put, run, take_ids

# --- runs ------------------------------------------------------------------------------------------------------------


def open_runs(connection: Connection) -> list[Any]:
    """Runs that wait or are entering."""
    return list(
        connection.execute(
            select(run).where(run.c.state.in_(["waiting", "entering"])).order_by(run.c.planned_at, run.c.id)
        )
    )


def count_of(runs: Iterable[Any]) -> int:
    """How many waves these runs are: a wave has one for each zone."""
    return len({(one.journey, one.planned) for one in runs})


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
    zones = each_of(run.c.zone, run.c.journey == journey).subquery()
    last = select(func.max(run.c.planned_at)).where(run.c.journey == journey, run.c.zone == zones.c.value)
    return {zone: at for zone, at in connection.execute(select(zones.c.value, last.scalar_subquery()))}


def last_size(connection: Connection, journey: str, over: datetime) -> int | None:
    """How many entered with the latest wave that is wholly done and was planned, in each zone, before `over`."""
    under_way = func.sum(case((run.c.state.in_(["waiting", "entering"]), 1), else_=0))
    done = func.sum(case((run.c.state == "done", 1), else_=0))
    query = select(func.sum(run.c.entered)).where(run.c.journey == journey).group_by(run.c.planned)
    over_and_done = (under_way == 0, done > 0, func.max(run.c.planned_at) < over)
    found = connection.execute(query.having(and_(*over_and_done)).order_by(func.max(run.c.planned_at).desc()).limit(1))
    size = found.scalar()
    return None if size is None else int(size)


def plan_run(connection: Connection, row: Row) -> int | None:
    """Write the run of one planned instant in one zone; None when it exists already."""
    exists = connection.execute(
        select(run.c.id).where(
            run.c.journey == row["journey"], run.c.planned == row["planned"], run.c.zone == row["zone"]
        )
    ).scalar()
    if exists is not None:
        return None
    doubtful = held_to(connection)
    if doubtful is not None and row["planned_at"] <= doubtful and row["state"] in ("entering", "waiting"):
        row = {**row, "state": RUN_HELD, "reason": REASON}
    (number,) = take_ids(connection, run, 1)
    put(connection, run, [{"stage": 0, "cursor": 0, "entered": 0, "reason": "", **row, "id": number}])
    return number


def take_up_now(connection: Connection, journeys: Sequence[str], now: datetime) -> int:
    """Runs for all zones that nobody has entered yet ask for people as of `now`. How many there are."""
    begun = or_(run.c.cursor > 0, run.c.stage > 0)
    of_all = and_(run.c.journey.in_(journeys), run.c.zone == "", run.c.state == "entering")
    return connection.execute(update(run).where(of_all, ~begun).values(planned_at=now)).rowcount


def unmoved(connection: Connection, seen: Any) -> bool:
    """Does this run still stand where it was seen?"""
    mine = select(run.c.state, run.c.stage, run.c.cursor).where(run.c.id == seen.id)
    now = connection.execute(mine.with_for_update()).one()  # until the transaction ends nobody else moves it
    return tuple(now) == (seen.state, seen.stage, seen.cursor)


def state_of(connection: Connection, number: int) -> str:
    """How this run stands."""
    return cast(str, connection.execute(select(run.c.state).where(run.c.id == number)).scalar_one())


def count_entered(connection: Connection, number: int, people: int) -> None:
    """So many more have entered by it."""
    connection.execute(update(run).where(run.c.id == number).values(entered=run.c.entered + people))


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


NOBODY = 0  # stands among the chosen for the choice itself


def is_chosen(connection: Connection, wave: Any) -> bool:
    """Was it chosen for this wave or request who may enter?"""
    of_it = (chosen.c.journey == wave.journey, chosen.c.planned == wave.planned, chosen.c.customer_id == NOBODY)
    return connection.execute(select(chosen.c.customer_id).where(*of_it)).first() is not None


def choose(
    connection: Connection, wave: Any, condition: ColumnElement[bool], order: Sequence[ColumnElement[Any]], limit: int
) -> None:
    """Choose the first so many, of all zones, for whom the condition holds."""
    told = [literal(wave.journey, chosen.c.journey.type), literal(wave.planned, chosen.c.planned.type)]
    best = select(person.c.id).where(condition).order_by(*order).limit(limit).subquery()
    columns = ["journey", "planned", "customer_id"]
    connection.execute(insert(chosen).from_select(columns, select(*told, best.c.id)))
    put(connection, chosen, [{"journey": wave.journey, "planned": wave.planned, "customer_id": NOBODY}])


def among_chosen(wave: Any) -> ColumnElement[bool]:
    """Those who were chosen for it."""
    query = select(chosen.c.customer_id).where(chosen.c.journey == wave.journey, chosen.c.planned == wave.planned)
    return person.c.id.in_(query)


def forget_chosen(connection: Connection, journey: str, before: str) -> None:
    """Of waves planned before a wall time, of which nothing is under way."""
    under_way = select(run.c.planned).where(run.c.journey == journey, run.c.state.in_(["waiting", "entering"]))
    old = (chosen.c.journey == journey, chosen.c.planned < before, chosen.c.planned.not_in(under_way))
    connection.execute(delete(chosen).where(*old))


def audience_by_country(connection: Connection, condition: ColumnElement[bool]) -> dict[str | None, int]:
    """country -> how many; None: those of whom none is known."""
    query = select(person.c.country, func.count()).select_from(person).where(condition).group_by(person.c.country)
    return {country: count for country, count in connection.execute(query)}


def audience_size(connection: Connection, condition: ColumnElement[bool], zone: str | None = None) -> int:
    query = select(func.count()).select_from(person).where(condition)
    if zone is not None:
        query = query.where(person.c.zone == zone)
    return connection.execute(query).scalar_one()

"""Requests to let people in: whom each one names, and how far it has come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, insert, literal, select, update

from engine.audience.tables import customer as person
from engine.store.tables import Row, chosen, entrant, put, request, run

TAKING = "taking"  # its people are being written; nobody enters


def request_of(connection: Connection, journey: str, key: str) -> Any | None:
    """The request of this key, with the state of its run and how many have entered."""
    query = select(request, run.c.state, run.c.entered).join(run, run.c.id == request.c.run_id)
    return connection.execute(query.where(request.c.journey == journey, request.c.key == key)).first()


def begin(connection: Connection, row: Row) -> None:
    put(connection, request, [row])


def forget(connection: Connection, run_id: int) -> None:
    """As if it had never been asked."""
    for table, column in ((entrant, entrant.c.run_id), (request, request.c.run_id), (run, run.c.id)):
        connection.execute(delete(table).where(column == run_id))


def unfinished(connection: Connection, journey: str, before: datetime) -> list[int]:
    """Runs whose people were never all written, asked for before an instant."""
    query = select(request.c.run_id).join(run, run.c.id == request.c.run_id)
    query = query.where(request.c.journey == journey, run.c.state == TAKING, request.c.asked_at < before)
    return list(connection.execute(query).scalars())


def add_people(connection: Connection, run_id: int, told: Mapping[int, Mapping[str, Any]]) -> int:
    """Write whom it names with what is told of them; of somebody named twice the first holds. How many are new."""
    ids = list(told)
    known = select(entrant.c.customer_id).where(entrant.c.run_id == run_id, entrant.c.customer_id.in_(ids))
    there = set(connection.execute(known).scalars())
    fresh = [number for number in ids if number not in there]
    return put(connection, entrant, [{"run_id": run_id, "customer_id": n, "data": dict(told[n])} for n in fresh])


def add_all(connection: Connection, run_id: int, condition: ColumnElement[bool], values: Mapping[str, Any]) -> int:
    """Write everyone for whom the condition holds, with the same of each. How many they are."""
    data = literal(dict(values), entrant.c.data.type)
    query = select(literal(run_id, entrant.c.run_id.type), person.c.id, data).where(condition)
    connection.execute(insert(entrant).from_select(["run_id", "customer_id", "data"], query))
    return count(connection, run_id)


def set_people(connection: Connection, run_id: int, people: int) -> None:
    connection.execute(update(request).where(request.c.run_id == run_id).values(people=people))


def count(connection: Connection, run_id: int) -> int:
    """How many it names."""
    query = select(func.count()).select_from(entrant).where(entrant.c.run_id == run_id)
    return connection.execute(query).scalar_one()


def named_by(run_id: int) -> ColumnElement[bool]:
    """Of all people, those whom it names."""
    return person.c.id.in_(select(entrant.c.customer_id).where(entrant.c.run_id == run_id))


def page(connection: Connection, run_id: int, after: int, limit: int, among: ColumnElement[bool]) -> list[int]:
    """Whom it names, of those for whom `among` holds, in order, from the one after `after`."""
    query = select(entrant.c.customer_id).join(person, person.c.id == entrant.c.customer_id)
    query = query.where(entrant.c.run_id == run_id, entrant.c.customer_id > after, among)
    return list(connection.execute(query.order_by(entrant.c.customer_id).limit(limit)).scalars())


def told_of(connection: Connection, run_id: int, ids: Sequence[int]) -> dict[int, Mapping[str, Any]]:
    """What it tells of these people."""
    query = select(entrant.c.customer_id, entrant.c.data)
    rows = connection.execute(query.where(entrant.c.run_id == run_id, entrant.c.customer_id.in_(ids))).all()
    return {number: data for number, data in rows}


def end(connection: Connection, wave: Any) -> None:
    """Its run is done: whom it named, and who of them was chosen, is not needed any more."""
    connection.execute(delete(entrant).where(entrant.c.run_id == wave.id))
    if wave.zone == "":  # else other zones may still come
        of_it = (chosen.c.journey == wave.journey, chosen.c.planned == wave.planned)
        connection.execute(delete(chosen).where(*of_it))

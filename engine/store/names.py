"""What journeys are called: one name today, and those they had before.

A rename rewrites the name in every row by which anything is decided or counted, in the transaction of the publishing
that tells it: nobody who reads has to know of it. Traces keep the name under which they were told, and are found by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, String, cast, delete, insert, null, select, update

from engine.store.questions import Question
from engine.store.tables import (
    approval,
    chosen,
    enrollment,
    fact,
    former_name,
    journal,
    journey_state,
    journey_version,
    message,
    request,
    run,
    task,
)

NAMED = (journey_version, journey_state, journal, run, request, approval, chosen, enrollment, message, task)


_FORMER = Question(select(former_name.c.name, former_name.c.journey))


def former(connection: Connection) -> dict[str, str]:
    """A name of before -> what the journey is called today."""
    return dict(_FORMER.ask(connection))


_FORMER_AND_PAUSED = Question(
    select(former_name.c.name, former_name.c.journey).union_all(
        select(journey_state.c.journey, cast(null(), String)).where(journey_state.c.paused_at.is_not(None))
    )
)


def former_and_paused(connection: Connection) -> tuple[dict[str, str], frozenset[str]]:
    """What `former` tells, and the journeys that are paused now, by one question."""
    rows = _FORMER_AND_PAUSED.ask(connection)
    former = {name: today for name, today in rows if today is not None}
    return former, frozenset(name for name, today in rows if today is None)


def all_of(connection: Connection, journey: str) -> list[str]:
    """Every name a journey ever had."""
    before = select(former_name.c.name).where(former_name.c.journey == journey).order_by(former_name.c.name)
    return [journey, *connection.execute(before).scalars()]


def rename(connection: Connection, old: str, new: str, file: str, now: datetime) -> None:
    """A journey is called otherwise from now on. Its versions are those of its file of today."""
    for table in NAMED:
        connection.execute(update(table).where(table.c.journey == old).values(journey=new))
    connection.execute(update(journey_version).where(journey_version.c.journey == new).values(file=file))
    connection.execute(update(fact).where(fact.c.name == silence_fact(old)).values(name=silence_fact(new)))
    connection.execute(update(former_name).where(former_name.c.journey == old).values(journey=new))
    set_free(connection, new)
    connection.execute(insert(former_name), [{"name": old, "journey": new, "until": now}])


def set_free(connection: Connection, name: str) -> None:
    """A name is one of today again: it means no other journey any more."""
    connection.execute(delete(former_name).where(former_name.c.name == name))


def since(connection: Connection, old: str) -> tuple[str, datetime] | None:
    """What the journey of a name of before is called today, and until when it had that name."""
    row = connection.execute(select(former_name).where(former_name.c.name == old)).first()
    return None if row is None else (row.journey, row.until)


def silence_fact(journey: str) -> str:
    """The fact that tells how far people were looked for whose silence lets them into this journey."""
    return f"looked for silence: {journey}"


def same(connection: Connection, known: Mapping[str, str]) -> bool:
    """Is nothing called otherwise than it was?"""
    return former(connection) == known

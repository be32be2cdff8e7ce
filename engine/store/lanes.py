"""Lanes: what all workers know of one way out of a channel, obeyed by each of them and after a restart."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select, update

from engine.store.questions import Question
from engine.store.tables import Row, lane, put_new

_LANES = Question(select(lane))
_EMPTY: Row = {"failures": 0, "paused_until": None, "stopped": None, "probing_until": None}
_EMPTY |= {"used": [], "day": None, "begun": 0}


def lanes(connection: Connection) -> dict[str, Any]:
    """name -> lane, as far as anything was ever said about it."""
    return {row.name: row for row in _LANES.named(connection)}


def of(connection: Connection, name: str) -> Any | None:
    """The lane of this name; None when nothing was ever said about it."""
    return lanes(connection).get(name)


def held(connection: Connection, name: str) -> Any:
    """The lane of this name; nobody else changes it until this transaction ends."""
    query = select(lane).where(lane.c.name == name).with_for_update()
    found = connection.execute(query).first()
    if found is None:
        put_new(connection, lane, [{"name": name, **_EMPTY}])
        found = connection.execute(query).one()
    return found


def change(connection: Connection, name: str, **values: Any) -> None:
    """Change what all workers know of a lane."""
    mine = update(lane).where(lane.c.name == name)
    if not connection.execute(mine.values(**values)).rowcount:
        put_new(connection, lane, [{"name": name, **_EMPTY}])
        connection.execute(mine.values(**values))

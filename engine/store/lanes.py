"""Lanes: what all workers know of one channel's way out, obeyed by each of them and after a restart."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select, update

from engine.store.questions import Question
from engine.store.tables import Row, lane, put_new

_LANES = Question(select(lane))
_EMPTY: Row = {"failures": 0, "paused_until": None, "stopped": None, "probing_until": None, "used": []}


def lanes(connection: Connection) -> dict[str, Any]:
    """channel -> its lane, as far as anything was ever said about it."""
    return {row.channel: row for row in _LANES.named(connection)}


def of(connection: Connection, channel: str) -> Any | None:
    """The lane of a channel; None when nothing was ever said about it."""
    return lanes(connection).get(channel)


def held(connection: Connection, channel: str) -> Any:
    """The lane of a channel; nobody else changes it until this transaction ends."""
    query = select(lane).where(lane.c.channel == channel).with_for_update()
    found = connection.execute(query).first()
    if found is None:
        put_new(connection, lane, [{"channel": channel, **_EMPTY}])
        found = connection.execute(query).one()
    return found


def change(connection: Connection, channel: str, **values: Any) -> None:
    """Change what all workers know of a lane."""
    mine = update(lane).where(lane.c.channel == channel)
    if not connection.execute(mine.values(**values)).rowcount:
        put_new(connection, lane, [{"channel": channel, **_EMPTY}])
        connection.execute(mine.values(**values))

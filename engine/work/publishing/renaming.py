"""Renaming: a draft that says `was: old` goes on with the journey of that name, from the publishing that tells it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from sqlalchemy import Connection

from engine.app import AUDIENCE
from engine.journey.graph import Graph
from engine.store import journeys, names
from engine.store.journeys import Live


def renamed_from(published: Collection[str], graph: Graph) -> str | None:
    """The published journey that this draft goes on with by a new name; None where that is done, or none is meant."""
    if graph.journey in published:
        return None
    return next((name for name in reversed(graph.head.was) if name in published and name != AUDIENCE), None)


def claims(graphs: Iterable[Graph]) -> dict[str, tuple[str, ...]]:
    """Name of before -> the drafts that say they had it."""
    found: dict[str, tuple[str, ...]] = {}
    for graph in graphs:
        for name in graph.head.was:
            found[name] = (*found.get(name, ()), graph.journey)
    return found


def gone(connection: Connection, state: Mapping[str, Live], named: Collection[str]) -> dict[str, str]:
    """Fingerprint -> the journey that runs on though its file is gone. `named` are files, and names of before."""
    lost = {one.version_id for name, one in state.items() if one.retired_at is None and name not in named}
    return {one.fingerprint: one.journey for one in journeys.versions(connection, lost)}


def take_over(connection: Connection, graph: Graph, now: datetime, by: str) -> None:
    """Give the journey its new name, if this draft says that it has one."""
    state = journeys.live(connection)
    old = renamed_from(state, graph)
    if old is not None:
        names.rename(connection, old, graph.journey, graph.file, now)
        (version,) = journeys.versions(connection, [state[old].version_id])
        journeys.write_down(connection, version, now, by, journeys.RENAMED, f"was {old}")
    elif graph.journey not in state:
        names.set_free(connection, graph.journey)

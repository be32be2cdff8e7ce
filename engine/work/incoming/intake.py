"""What comes in from outside: people, consents, events. Each event once; it may start or move journeys."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from engine.app import App
from engine.audience.values import Happening, Link
from engine.decide.entry import enter
from engine.decide.state import Rules
from engine.journey.enter import ByEvent
from engine.journey.graph import Graph
from engine.needs import Needs
from engine.store import customers, enrollments, events, held, work
from engine.store.tables import Row, enrollment, take_ids
from engine.values import replace
from engine.work.gather import gather
from engine.work.incoming.pools import redeem
from engine.work.story import trace_row

AHEAD = timedelta(minutes=5)  # an event may be this far in the future: clocks differ


@dataclass(frozen=True)
class NewEvent:
    """An event as it arrives. `person` is the shop's id."""

    id: str
    person: str
    name: str
    at: datetime
    payload: Mapping[str, Any] = field(default_factory=dict)
    lineage: tuple[Link, ...] = ()  # of one that a journey emits


@dataclass
class Taken:
    """What became of a chunk of events."""

    recorded: int = 0
    repeated: int = 0  # the same id with the same body: harmless
    conflicts: list[str] = field(default_factory=list)  # the same id with another body
    unknown_people: list[str] = field(default_factory=list)  # ids of events of people nobody knows
    future: list[str] = field(default_factory=list)
    entered: int = 0
    late: int = 0  # too old to start or move anything; they feed traits

    def add(self, more: Taken) -> None:
        for name, value in vars(more).items():
            setattr(self, name, getattr(self, name) + value)


def record_events(app: App, rules: Rules, needs: Needs, incoming: Sequence[NewEvent], live: bool = True) -> Taken:
    """Record a chunk of events in one transaction. With `live`, fresh ones start and move journeys."""
    now = app.clock.now()
    with app.database.writing(beside=True) as connection:
        return take_events(app, connection, rules, needs, incoming, now, live)


def take_events(
    app: App,
    connection: Connection,
    rules: Rules,
    needs: Needs,
    incoming: Sequence[NewEvent],
    now: datetime,
    live: bool,
) -> Taken:
    """The same inside a transaction of the caller."""
    taken = Taken()
    if (today := app.rules_of_today(connection, rules)) is not rules:
        rules, needs = today, app.needs(today)
    ids = customers.ids_of(connection, (one.person for one in incoming))
    customers.hold(connection, sorted(ids.values()))
    known = events.known(connection, (one.id for one in incoming))
    fresh: dict[str, tuple[NewEvent, Row]] = {}
    for one in incoming:
        body = _body_hash(one)
        first = known.get(one.id) or (fresh[one.id][1]["body_hash"] if one.id in fresh else None)
        if first is not None:
            if first == body:
                taken.repeated += 1
            else:
                taken.conflicts.append(one.id)
        elif one.person not in ids:
            taken.unknown_people.append(one.id)
        elif one.at > now + AHEAD:
            taken.future.append(one.id)
        else:
            fresh[one.id] = one, _row(one, ids[one.person], body, now)
    rows = [row for _, row in fresh.values()]
    if not rows:
        return taken
    for row in rows:
        row["live"] = live and now - row["at"] <= rules.policy.max_lateness
    events.record(connection, rows)
    taken.recorded = len(rows)
    young = [row for row in rows if row["live"]]
    taken.late = len(rows) - len(young)
    customers.raise_revision(connection, (row["customer_id"] for row in rows))
    redeem(connection, rows, rules.audience.scores)
    if young:
        taken.entered = _enter(app, connection, rules, needs, young, now)
        _wake(connection, needs, young, now)
    return taken


def _body_hash(one: NewEvent) -> str:
    told = json.dumps([one.person, one.name, one.at.isoformat(), one.payload], sort_keys=True, default=str)
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def _row(one: NewEvent, customer_id: int, body: str, now: datetime) -> Row:
    return {
        "customer_id": customer_id,
        "external_id": one.id,
        "name": one.name,
        "at": min(one.at, now),
        "received_at": now,
        "payload": dict(one.payload),
        "body_hash": body,
        "lineage": enrollments.told_links(one.lineage) or None,
    }


def _enter(app: App, connection: Connection, rules: Rules, needs: Needs, rows: Sequence[Row], now: datetime) -> int:
    """Start the journeys that begin with these events, one event after the other as they happened."""
    openings: dict[str, list[tuple[int, Graph]]] = {}
    for version_id in rules.live.values():
        graph = rules.graphs[version_id]
        if isinstance(graph.head.enter, ByEvent):
            openings.setdefault(graph.head.enter.event, []).append((version_id, graph))
    starting = sorted((row for row in rows if row["name"] in openings), key=lambda row: (row["at"], row["id"]))
    if not starting:
        return 0
    entering = {graph.journey: version for row in starting for version, graph in openings[row["name"]]}
    gathered = gather(app, connection, sorted({r["customer_id"] for r in starting}), rules, needs, now, entering)
    states = {state.person.id: state for state in gathered.states}
    new_ids = iter(take_ids(connection, enrollment, sum(len(openings[row["name"]]) for row in starting)))
    entered, traces = [], []
    for row in starting:
        happening = Happening(row["id"], row["name"], row["at"], row["payload"], row["received_at"], _links(row))
        for version_id, graph in openings[row["name"]]:
            state = states[row["customer_id"]]
            way, trace = enter(graph, version_id, state, happening, next(new_ids), now, rules=rules)
            traces.append(trace_row(state.person.id, trace, now, version_id))
            if way is not None:
                entered.append(way)
                states[row["customer_id"]] = replace(state, enrollments=(*state.enrollments, way))
    enrollments.add(connection, entered, by_what_happened=True)
    work.add_traces(connection, traces)
    return len(entered)


def _links(row: Row) -> tuple[Link, ...]:
    return tuple(enrollments.links_of(row["lineage"] or ()))


def _wake(connection: Connection, needs: Needs, rows: Iterable[Row], now: datetime) -> None:
    """Who stands in a journey that listens for one of these events is looked at again."""
    doubtful = held.held_to(connection)
    by_journeys: dict[tuple[frozenset[str], bool], set[int]] = {}
    for row in rows:
        journeys = needs.listens.get(row["name"])
        if journeys:
            before = doubtful is not None and row["at"] <= doubtful
            by_journeys.setdefault((journeys, before), set()).add(row["customer_id"])
    for (journeys, before), people in by_journeys.items():
        if before:
            held.hold_listeners(connection, sorted(people), sorted(journeys), now)
        else:
            enrollments.wake(connection, people, journeys, now)

"""Segments are judged as a whole. Who crossed a border is written, with the instant it became true, and may enter."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from engine.app import App
from engine.audience.conditions import as_sql
from engine.audience.segments import crossed_at, member_of
from engine.audience.view import View
from engine.decide.state import Rules
from engine.journey.enter import BySegment
from engine.journey.graph import Graph
from engine.needs import Needs
from engine.store import enrollments, waves, work
from engine.store import journeys as published
from engine.store.tables import enrollment, take_ids
from engine.work.advance import trace_row
from engine.work.entering import PAGE, at_the_door
from engine.work.readable import gather_readable, passed_over
from engine.work.waves import Entered

JUDGE_EVERY = timedelta(hours=1)  # how often segments are judged


def _watched(rules: Rules) -> dict[str, list[tuple[int, Graph, BySegment]]]:
    """segment -> live journeys that are entered by crossing its border."""
    found: dict[str, list[tuple[int, Graph, BySegment]]] = {}
    for version_id in sorted(rules.live.values()):
        graph = rules.graphs[version_id]
        if isinstance(graph.head.enter, BySegment):
            found.setdefault(graph.head.enter.segment, []).append((version_id, graph, graph.head.enter))
    return found


def next_judged(connection: Connection, rules: Rules, now: datetime) -> datetime | None:
    """The next instant at which a segment is judged."""
    states = waves.segment_states(connection)
    found = [states[name].judged_at + JUDGE_EVERY if name in states else now for name in _watched(rules)]
    return min(found, default=None)


def judge_segments(app: App, rules: Rules, needs: Needs, now: datetime, done: Entered) -> None:
    watched = _watched(rules)
    if not watched:
        return
    with app.database.reading() as connection:
        states = waves.segment_states(connection)
    for segment, journeys in sorted(watched.items()):
        state = states.get(segment)
        if state is not None and now < state.judged_at + JUDGE_EVERY and state.fingerprint == _print(rules, segment):
            continue
        with app.database.writing() as connection:
            _judge(app, connection, rules, needs, segment, state, journeys, now, done)


def _print(rules: Rules, segment: str) -> str:
    """Names the definition of a segment, through everything it is made of: an edit of any of it is no crossing."""
    book = rules.audience
    condition = book.segments.get(segment)
    told = repr((segment, condition, book.traits, book.segments, book.scores, book.lists, book.rates, book.currency))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _judge(
    app: App,
    connection: Connection,
    rules: Rules,
    needs: Needs,
    segment: str,
    state: Any,
    journeys: Sequence[tuple[int, Graph, BySegment]],
    now: datetime,
    done: Entered,
) -> None:
    """Who crossed since the last judgement; the first judgement and the one after an edit only take stock."""
    definition = _print(rules, segment)
    if state is None or state.fingerprint != definition:
        waves.clear_segment(connection, segment)
        waves.fill_segment(connection, segment, as_sql(member_of(segment), rules.audience, now), now)
        waves.set_segment_state(connection, segment, definition, now)
        waves.take_up_now(connection, [graph.journey for _, graph, _ in journeys], now)
        return
    if definition not in app.crossers:
        app.crossers[definition] = waves.Crossers(
            connection, segment, lambda at: as_sql(member_of(segment), rules.audience, at), now
        )
    came, went = app.crossers[definition].ask(connection, now)
    opened = {name: live.waves_from for name, live in published.live(connection).items()}
    stamps: dict[int, datetime] = {}
    for direction, ids in (("in", came), ("out", went)):
        for start in range(0, len(ids), PAGE):
            page = ids[start : start + PAGE]
            watching = {graph.journey: version_id for version_id, graph, _ in journeys}
            gathered, unread = gather_readable(app, connection, page, rules, needs, now, watching)
            stamps.update(dict.fromkeys(unread, now))
            for one in gathered.states:
                view = View(one.person, one.happenings, rules.audience)
                stamps[one.person.id] = crossed_at(member_of(segment), view, state.judged_at, now)
            waves.record_crossings(
                connection,
                [
                    {"segment": segment, "customer_id": n, "direction": direction, "at": stamps[n], "judged_at": now}
                    for n in page
                ],
            )
            for version_id, graph, entry in journeys:
                if entry.crossing == direction:
                    # who had crossed before it was published does not enter
                    mine = [one for one in gathered.states if stamps[one.person.id] > opened[graph.journey]]
                    new_ids = take_ids(connection, enrollment, len(mine))
                    entering = at_the_door(rules, graph, version_id, mine, lambda s: stamps[s.person.id], now, new_ids)
                    ways = [one.way for one in entering if one.way]
                    enrollments.add(connection, ways)
                    traces = [trace_row(one.state.person.id, one.trace, now, version_id) for one in entering]
                    work.add_traces(connection, [*traces, *passed_over(unread, graph.journey, version_id, now)])
                    done.entered += len(ways)
    waves.set_members(connection, segment, [(n, stamps[n]) for n in came], went)
    waves.set_segment_state(connection, segment, definition, now)
    done.crossed += len(came) + len(went)

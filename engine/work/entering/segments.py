"""Segments are judged at every beat. Who crossed a border is written, with the instant it became true, and may enter.

Only those are asked whose answer can have changed: of whom something was learned, or for whom time ran over an edge.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from engine.app import App
from engine.audience.audience import Audience
from engine.audience.conditions import as_sql, holds
from engine.audience.instants import EARLIEST
from engine.audience.segments import HAIR, LOOK_BACK, crossed_at, edges_of, member_of
from engine.audience.view import View
from engine.decide.entry import Moment
from engine.decide.policy import live_graph
from engine.decide.state import CustomerState, Rules
from engine.journey.enter import BySegment
from engine.journey.graph import Graph
from engine.needs import Needs
from engine.store import customers, enrollments, segments, waves, work
from engine.store import journeys as published
from engine.store.segments import Crossers, News, Stirred, Watch
from engine.store.tables import enrollment, in_parts, take_ids
from engine.work.entering.pages import PAGE, at_the_door
from engine.work.entering.readable import gather_readable, passed_over
from engine.work.entering.waves import Entered
from engine.work.nightly import last_refresh
from engine.work.story import trace_row

LOOK_EVERY = timedelta(hours=1)  # at the latest so often everything is looked at, whether anything was learned or not
MANY_FACTS = 10_000  # so many may wait to be looked through once more
STOCK = 5_000  # people asked at once when everybody is


@dataclass
class Watchers:
    """Who wants to know of a segment: journeys that are entered by its border, journeys that let go of who is in it."""

    entered: list[tuple[int, Graph, BySegment]] = field(default_factory=list)
    left: set[str] = field(default_factory=set)
    versions: dict[str, int] = field(default_factory=dict)  # journey -> what is read about people for it


def _watched(rules: Rules) -> dict[str, Watchers]:
    """segment -> who wants to know of it."""
    found: dict[str, Watchers] = {}
    for version_id, graph in sorted(rules.graphs.items()):
        if rules.live.get(graph.journey) == version_id and isinstance(graph.head.enter, BySegment):
            watchers = found.setdefault(graph.head.enter.segment, Watchers())
            watchers.entered.append((version_id, graph, graph.head.enter))
            watchers.versions[graph.journey] = version_id
        for rule in live_graph(rules, graph.journey, version_id).head.leave:
            if rule.segment is not None:
                watchers = found.setdefault(rule.segment, Watchers())
                watchers.left.add(graph.journey)
                watchers.versions[graph.journey] = rules.live.get(graph.journey, version_id)
    return found


def next_judged(connection: Connection, rules: Rules, now: datetime) -> datetime | None:
    """The next instant at which a segment is looked at even if nothing is learned."""
    known = segments.states(connection)
    found = [known[name].judged_at + LOOK_EVERY if name in known else now for name in _watched(rules)]
    return min(found, default=None)


def next_crossing(app: App, now: datetime) -> datetime | None:
    """The second within the next hour in which somebody's time first runs over the edge of a watched segment."""
    found: list[datetime] = []
    with app.database.reading() as connection:
        rules, seen = app.rules(connection), segments.latest_fact(connection)
        for name in sorted(_watched(rules)):
            stirred = _watch(app, rules.audience, name, now).stirred
            early, late = 0, int(LOOK_EVERY.total_seconds())
            if not stirred.ask(connection, seen, now, now + LOOK_EVERY):
                continue
            while late - early > 1:
                middle = (early + late) // 2
                if stirred.ask(connection, seen, now, now + timedelta(seconds=middle)):
                    late = middle
                else:
                    early = middle
            found.append(now + timedelta(seconds=late))
    return min(found, default=None)


def judge_segments(app: App, rules: Rules, needs: Needs, now: datetime, done: Entered) -> None:
    watched = _watched(rules)
    if not watched:
        return
    with app.database.reading() as connection:
        known = segments.states(connection)
        night = last_refresh(connection)
    for name, watchers in sorted(watched.items()):
        if not app.stopping:
            watch = _watch(app, rules.audience, name, now)
            _judge(app, rules, needs, watch, watchers, known.get(name), night, now, done)


def _watch(app: App, audience: Audience, segment: str, now: datetime) -> Watch:
    """The questions about a segment, built once for each definition."""
    known = app.watches.get(segment)
    if known is None or known.audience is not audience:
        inside = member_of(segment)
        edges = edges_of(inside, audience)
        crossers = Crossers(app.database.engine.dialect, segment, lambda at: as_sql(inside, audience, at), now)
        known = Watch(audience, segment, fingerprint(segment, audience), edges, Stirred(edges), crossers)
        app.watches[segment] = known
    return known


def fingerprint(segment: str, audience: Audience) -> str:
    """Names the definition of a segment, through everything it is made of: an edit of any of it is no crossing."""
    traits = audience.traits_behind(member_of(segment))
    rest = audience.lists, audience.scores, audience.rates, audience.currency
    told = repr(([(name, audience.segment(name)) for name in audience.segments_behind(segment)], traits, rest))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _judge(
    app: App,
    rules: Rules,
    needs: Needs,
    watch: Watch,
    watchers: Watchers,
    state: Any,
    night: datetime | None,
    now: datetime,
    done: Entered,
) -> None:
    """Ask those whose answer can have changed, page by page.

    What is inside is written with what follows from it, so that a crossing is noticed once, wherever a process dies.
    How far one has come is written last: who was asked before is asked again and is where they were.
    """
    stock = state is None or state.fingerprint != watch.fingerprint
    due = stock or now >= state.judged_at + LOOK_EVERY
    with app.database.reading() as connection:
        seen = segments.latest_fact(connection)
        stirred = [] if stock else watch.stirred.ask(connection, state.seen, state.judged_at, now)
    after_a_night = not stock and watch.edges.nightly and night is not None and state.judged_at < night
    everyone = stock or after_a_night or (due and watch.edges.elsewhere)
    for page in _everyone(app) if everyone else in_parts(stirred, STOCK):
        with app.database.writing() as connection:
            app.refuse_old_names(connection, rules)
            crossed = watch.crossers.ask(connection, page, now)
            for part in in_parts(list(crossed), PAGE):
                look = _Look(app, connection, rules, needs, watch, watchers, now, done)
                look.take({number: crossed[number] for number in part}, None if stock else state)
        if app.stopping:
            return
    if due or after_a_night or stirred or seen - state.seen > MANY_FACTS:
        with app.database.writing() as connection:
            app.refuse_old_names(connection, rules)
            segments.set_state(connection, watch.segment, watch.fingerprint, now, seen)
            if stock:
                waves.take_up_now(connection, [graph.journey for _, graph, _ in watchers.entered], now)


def _everyone(app: App) -> Iterator[Sequence[int]]:
    after = 0
    while True:
        with app.database.reading() as connection:
            page = customers.first_ids(connection, STOCK, after)
        if not page:
            return
        yield page
        after = page[-1]


@dataclass(frozen=True)
class _Look:
    """What follows, in one transaction, for people who are on the other side of a border than before."""

    app: App
    connection: Connection
    rules: Rules
    needs: Needs
    watch: Watch
    watchers: Watchers
    now: datetime
    done: Entered

    def take(self, inside: Mapping[int, bool], state: Any) -> None:
        """`inside` says where they are now. Without a `state` one only takes stock: no crossing, nobody enters."""
        stamps = self._crossings(inside, state) if state is not None else {}
        came = [number for number, is_in in inside.items() if is_in]
        segment = self.watch.segment
        segments.set_members(
            self.connection,
            segment,
            [(number, stamps.get(number, self.now)) for number in came],
            [number for number, is_in in inside.items() if not is_in],
        )
        if came and self.watchers.left:
            enrollments.wake(self.connection, came, self.watchers.left, self.now)

    def _crossings(self, inside: Mapping[int, bool], state: Any) -> dict[int, datetime]:
        """Record who crossed and let them enter; when each of them did."""
        told = segments.news(self.connection, list(inside), state.seen)
        gathered, unread = gather_readable(
            self.app, self.connection, list(inside), self.rules, self.needs, self.now, self.watchers.versions
        )
        stamps = dict.fromkeys(unread, self.now)
        for one in gathered.states:
            at = self._crossed_at(one, inside[one.person.id], told.get(one.person.id), state.judged_at)
            if at is not None:
                stamps[one.person.id] = at
        rows = [
            {
                "segment": self.watch.segment,
                "customer_id": number,
                "direction": "in" if inside[number] else "out",
                "at": at,
                "judged_at": self.now,
            }
            for number, at in sorted(stamps.items())
        ]
        segments.record_crossings(self.connection, rows)
        self.done.crossed += len(rows)
        opened = {name: live.waves_from for name, live in published.live(self.connection).items()}
        for version_id, graph, entry in self.watchers.entered:
            way = entry.crossing == "in"
            states = [
                one
                for one in gathered.states
                if inside[one.person.id] is way  # who had crossed before it was published does not enter
                and stamps.get(one.person.id, EARLIEST) > opened[graph.journey]
            ]
            lost = {number: why for number, why in unread.items() if inside[number] is way}
            self._enter(graph, version_id, states, stamps, lost)
        return stamps

    def _crossed_at(self, one: CustomerState, is_in: bool, news: News | None, since: datetime) -> datetime | None:
        """When they did; None when it was so before, by a history that was told only now."""
        condition, audience = member_of(self.watch.segment), self.watch.audience
        live = news.live if news else {}
        if news and news.history:
            before = [happening for happening in one.happenings if happening.id not in live]
            if holds(condition, View(one.person, before, audience), since) is is_in:
                return None
        first = min([since, *(at - HAIR for at in live.values())])  # an event may be known a little late
        return crossed_at(
            condition, View(one.person, one.happenings, audience), max(first, self.now - LOOK_BACK), self.now
        )

    def _enter(
        self,
        graph: Graph,
        version_id: int,
        states: Sequence[CustomerState],
        stamps: Mapping[int, datetime],
        unread: Mapping[int, str],
    ) -> None:
        new_ids = take_ids(self.connection, enrollment, len(states))
        entering = at_the_door(
            self.rules, graph, version_id, states, lambda state: Moment(stamps[state.person.id]), self.now, new_ids
        )
        ways = [one.way for one in entering if one.way]
        enrollments.add(self.connection, ways, by_what_happened=True)
        traces = [trace_row(one.state.person.id, one.trace, self.now, version_id) for one in entering]
        work.add_traces(self.connection, [*traces, *passed_over(unread, graph.journey, version_id, self.now)])
        self.done.entered += len(ways)

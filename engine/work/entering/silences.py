"""People who fall silent are looked for at every beat, among those whose silence can be complete since the last look.

One silence lets in once: the way is named by the instant at which it began, so a look that is made again after a death
finds nobody twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from engine.app import App
from engine.audience.conditions import holds
from engine.audience.instants import earlier, later
from engine.audience.segments import member_of
from engine.audience.view import View
from engine.decide.entry import Moment
from engine.decide.state import CustomerState, Rules
from engine.journey.enter import ByAbsence
from engine.journey.graph import Graph
from engine.needs import Needs, patience_of
from engine.store import customers, enrollments, events, waves, work
from engine.store import journeys as published
from engine.store.names import silence_fact
from engine.store.tables import enrollment, get_fact, in_parts, set_fact, take_ids
from engine.work.entering.asked import absence_of
from engine.work.entering.pages import PAGE, Entering, at_the_door
from engine.work.entering.readable import gather_readable, passed_over
from engine.work.entering.waves import Entered
from engine.work.story import trace_row

NOTED_EVERY = timedelta(hours=1)  # how far one has looked is written at the latest so often, though nobody was found
PACE = 10  # while a silence lasts, it is looked for this often even if nothing else is due, at most every hour


@dataclass(frozen=True)
class _Look:
    """One journey that is entered by silence, and the time that has not been looked at: (since, until]."""

    version_id: int
    graph: Graph
    entry: ByAbsence
    since: datetime
    until: datetime


def _entered_by_silence(rules: Rules) -> list[tuple[int, Graph, ByAbsence]]:
    live = ((version_id, rules.graphs[version_id]) for version_id in sorted(rules.live.values()))
    return [(number, graph, entry) for number, graph in live if isinstance(entry := graph.head.enter, ByAbsence)]


def let_silent_in(app: App, rules: Rules, needs: Needs, now: datetime, done: Entered) -> None:
    """Whoever's silence became complete since the last look enters."""
    for version_id, graph, entry in _entered_by_silence(rules):
        if app.stopping:
            return
        since = _looked_until(app, rules, graph, now)
        if since < now:
            _look(app, rules, needs, _Look(version_id, graph, entry, since, now), done)


def _looked_until(app: App, rules: Rules, graph: Graph, now: datetime) -> datetime:
    """Since when nobody looked, as far back as anybody may still enter. The first look takes up who is silent now."""
    with app.database.reading() as connection:
        app.refuse_old_names(connection, rules)
        noted = get_fact(connection, silence_fact(graph.journey))
        opened = published.live(connection)[graph.journey].waves_from
    since = datetime.fromisoformat(noted) if noted else None
    if since is None or since < opened:
        with app.database.writing() as connection:
            app.refuse_old_names(connection, rules)
            since = now if waves.take_up_now(connection, [graph.journey], now) else opened
            set_fact(connection, silence_fact(graph.journey), since.isoformat())
    return max(since, earlier(now, patience_of(graph, rules)))


def _look(app: App, rules: Rules, needs: Needs, look: _Look, done: Entered) -> None:
    absence = absence_of(look.entry)
    span = earlier(look.since, absence.span), earlier(look.until, absence.span)
    with app.database.reading() as connection:
        heard = events.people_between(connection, absence.event, *span)
        unheard = absence.is_unheard(rules.audience, span[0])
        new = frozenset(customers.first_known_between(connection, unheard, *span))
    people = sorted(new.union(heard))
    for page in in_parts(people, PAGE):
        with app.database.writing() as connection:
            app.refuse_old_names(connection, rules)
            _let_in(app, connection, rules, needs, look, page, new, done)
    if people or look.until - look.since >= NOTED_EVERY:
        with app.database.writing() as connection:
            app.refuse_old_names(connection, rules)
            set_fact(connection, silence_fact(look.graph.journey), look.until.isoformat())


def _let_in(
    app: App,
    connection: Connection,
    rules: Rules,
    needs: Needs,
    look: _Look,
    page: Sequence[int],
    new: frozenset[int],
    done: Entered,
) -> None:
    entering = {look.graph.journey: look.version_id}
    gathered, unread = gather_readable(app, connection, page, rules, needs, look.until, entering)
    fallen = [(one, moment) for one in gathered.states for moment in _silences(rules, look, one, one.person.id in new)]
    moments = {one.person.id: moment for one, moment in fallen}  # after an outage, their last
    states = [one for one in gathered.states if one.person.id in moments]
    new_ids = take_ids(connection, enrollment, len(states))
    found = at_the_door(
        rules, look.graph, look.version_id, states, lambda one: moments[one.person.id], look.until, new_ids
    )
    _write(connection, look, found, done)
    work.add_traces(connection, passed_over(unread, look.graph.journey, look.version_id, look.until))


def _silences(rules: Rules, look: _Look, state: CustomerState, is_new: bool) -> list[Moment]:
    """The silences of one person that nobody has let in for yet, oldest first."""
    view = View(state.person, state.happenings, rules.audience)
    segment = look.entry.segment
    found = []
    for begun, at in absence_of(look.entry).complete(view, look.since, look.until, is_new):
        key = begun.isoformat()
        before = any(way.journey == look.graph.journey and way.key == key for way in state.enrollments)
        if not before and (segment is None or holds(member_of(segment), view, at)):
            found.append(Moment(at, key))
    return found


def _write(connection: Connection, look: _Look, found: Sequence[Entering], done: Entered) -> None:
    ways = [one.way for one in found if one.way]
    enrollments.add(connection, ways, by_what_happened=True)
    traces = [trace_row(one.state.person.id, one.trace, look.until, look.version_id) for one in found]
    work.add_traces(connection, traces)
    done.entered += len(ways)


def next_silence(connection: Connection, rules: Rules, now: datetime) -> datetime | None:
    """The next instant at which somebody's silence may be complete, at the pace at which it is looked for."""
    found = []
    for _, _, entry in _entered_by_silence(rules):
        heard = events.first_after(connection, entry.absence_of, earlier(now, entry.for_))
        known = customers.first_known_after(connection, earlier(now, entry.for_))
        pace = min(NOTED_EVERY, entry.for_ / PACE)
        found += [max(later(at, entry.for_), now + pace) for at in (heard, known) if at is not None]
    return min(found, default=None)

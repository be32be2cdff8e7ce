"""Entering: page by page, who stands before a run that is open gets in, as far as the journey's own rules let them.

The audience of a run is asked as of its planned instant, in pages that can be taken up again at any row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, and_, true

from engine.app import App
from engine.audience.worth import order_of
from engine.decide.decision import Trace
from engine.decide.entry import Moment, enter
from engine.decide.split import delay_of, stage_of
from engine.decide.state import CustomerState, Enrolled, Rules
from engine.errors import Renamed
from engine.journey.enter import ByRequest, ByWave
from engine.journey.graph import Graph
from engine.needs import Needs
from engine.store import customers, enrollments, requests, waves, work
from engine.store.tables import enrollment, take_ids
from engine.values import replace
from engine.work import in_hand
from engine.work.advance import Advanced, Decided, decided, is_of_the_database, write
from engine.work.entering.asked import asked_by, key_of, of_its_zone, told_by
from engine.work.entering.readable import gather_readable, passed_over
from engine.work.entering.waves import Entered, end_stage, ready
from engine.work.gather import Gathered, gather, with_codes
from engine.work.story import trace_row

PAGE = 500
CHOSEN_FOR = timedelta(days=3)  # the last zone comes a little more than a day after the first


class Entering(Struct, frozen=True):
    """One person before the door: the way that opens for them, if any, and why."""

    state: CustomerState
    way: Enrolled | None
    trace: Trace


def at_the_door(
    rules: Rules,
    graph: Graph,
    version_id: int,
    states: Sequence[CustomerState],
    trigger: Callable[[CustomerState], Moment],
    now: datetime,
    new_ids: Sequence[int],
) -> list[Entering]:
    """Who of these people enters, as far as the journey's own rules let them."""
    return [
        Entering(state, *enter(graph, version_id, state, trigger(state), new_id, now, rules=rules))
        for new_id, state in zip(new_ids, states, strict=True)
    ]


# --- a page of a wave ------------------------------------------------------------------------------------------------


def enter_page(app: App, rules: Rules, needs: Needs, now: datetime, done: Entered) -> Advanced | None:
    """Let in the next page of a run that may enter now. None when no run may.

    What follows is decided for them at once, and written in the transaction that lets them in. Not while the wave of
    another journey may enter too: nobody is decided for before they stand in both, so that priority can judge.
    """
    with app.database.reading() as connection:
        runs = ready(connection, rules, now)
        if not runs:
            return None
        run, graph, _ = runs[0]
        chosen = graph.head.at_most is None or waves.is_chosen(connection, run)
        if chosen:
            page = _page(app, connection, rules, needs, runs[0], now)
            died = in_hand.died_of(connection, page.run)
    if not chosen:
        _choose(app, rules, run, graph)
        return Advanced()
    if not page.ids:
        with app.database.writing() as connection:
            app.refuse_old_names(connection, rules)
            end_stage(app, connection, rules, page.graph, page.run, now)
        return Advanced()
    entering = _of_its_stage(app, rules, page, now)
    alone = len({graph.journey for _, graph, _ in runs}) == 1
    if died or not alone:
        return _write_page(app, rules, needs, page, entering, [], now, done, died)
    with in_hand.noted(app, in_hand.page_of(page.run), now):
        follows = _follows(app, rules, entering, now)
        try:
            return _write_page(app, rules, needs, page, entering, follows, now, done)
        except Exception as error:
            if is_of_the_database(error) or isinstance(error, Renamed) or not follows:
                raise
            # they enter; what follows is decided for in parts
            return _write_page(app, rules, needs, page, entering, [], now, done)


@dataclass(frozen=True)
class _Page:
    """The next people of a run."""

    run: Any
    graph: Graph
    opens: datetime
    ids: Sequence[int]
    gathered: Gathered
    unread: Mapping[int, str]  # of whom nothing can be said, with the reason
    told: Mapping[int, Mapping[str, Any]]  # what a request tells of them, or a happening


def _page(
    app: App, connection: Connection, rules: Rules, needs: Needs, ready: tuple[Any, Graph, datetime], now: datetime
) -> _Page:
    run, graph, opens = ready
    ids = _next_people(connection, rules, run, graph)
    entering = {graph.journey: run.version_id}
    gathered, unread = gather_readable(app, connection, ids, rules, needs, now, entering)
    gathered = with_codes(connection, gathered, run.version_id, rules, needs, now)
    return _Page(run, graph, opens, ids, gathered, unread, _told(connection, run, graph, ids))


def _told(connection: Connection, run: Any, graph: Graph, ids: Sequence[int]) -> Mapping[int, Mapping[str, Any]]:
    """What those who enter by this run know as `event`."""
    entry = graph.head.enter
    if isinstance(entry, ByRequest):
        return requests.told_of(connection, run.id, ids)
    return dict.fromkeys(ids, told_by(connection, run, entry))


def _next_people(connection: Connection, rules: Rules, run: Any, graph: Graph) -> list[int]:
    """Who comes after the last one that was looked at."""
    entry = graph.head.enter
    among = true() if graph.head.at_most is None else waves.among_chosen(run)
    if isinstance(entry, ByRequest):
        return requests.page(connection, run.id, run.cursor, PAGE, among)
    zone = run.zone if of_its_zone(entry) else None
    condition = and_(among, asked_by(run, entry, rules.audience))
    return waves.audience_page(connection, condition, run.cursor, PAGE, zone)


def _choose(app: App, rules: Rules, run: Any, graph: Graph) -> None:
    """Not all may enter: choose who, of all zones, when the first of them comes. Only whom `again` lets in counts."""
    head = graph.head
    before = asked_by(run, head.enter, rules.audience)
    free = enrollments.may_enter([graph.journey], head.again, run.planned_at)
    order = order_of(head.first, rules.audience, run.planned_at, "first", graph.hashed_as)
    with app.database.writing() as connection:
        app.refuse_old_names(connection, rules)
        if isinstance(head.enter, ByWave):
            old = datetime.fromisoformat(run.planned) - CHOSEN_FOR
            waves.forget_chosen(connection, graph.journey, old.isoformat(timespec="minutes"))
        waves.choose(connection, run, and_(before, free), order, head.at_most or 0)


def _of_its_stage(app: App, rules: Rules, page: _Page, now: datetime) -> list[Entering]:
    """Who of the page belongs to the stage under way, and whether they enter."""
    run, stages, mine = page.run, page.graph.head.rollout, page.gathered.states
    if stages:
        mine = tuple(one for one in mine if stage_of(page.graph.hashed_as, one.person.external_id, stages) == run.stage)
    return _at_its_door(rules, page, mine, now, lambda count: app.ids(enrollment, count))


def _at_its_door(
    rules: Rules,
    page: _Page,
    states: Sequence[CustomerState],
    now: datetime,
    take: Callable[[int], Sequence[int]],
) -> list[Entering]:
    """Who of these people enters by this run, of those it asks for."""
    key = key_of(page.run, page.graph.head.enter)
    keys = {one.person.id: key(one.person) for one in states}
    mine = [one for one in states if keys[one.person.id] is not None]
    return at_the_door(
        rules,
        page.graph,
        page.run.version_id,
        mine,
        lambda one: Moment(
            page.opens, keys[one.person.id] or "", page.told.get(one.person.id, {}), _delay(page.graph, one)
        ),
        now,
        take(len(mine)),
    )


def _delay(graph: Graph, one: CustomerState) -> timedelta:
    """How long after the instant of the run this person begins."""
    spread = graph.head.spread
    return timedelta(0) if spread is None else delay_of(graph.hashed_as, one.person.external_id, spread)


def _follows(app: App, rules: Rules, entering: Sequence[Entering], now: datetime) -> list[Decided]:
    """What follows at once for those who enter. Whose data breaks a rule or a text is left out, and met again apart."""
    inside = [
        replace(one.state, enrollments=(*one.state.enrollments, one.way))
        for one in entering
        if one.way is not None and all(way.version_id in rules.graphs for way in one.state.enrollments)
    ]
    return decided(app, inside, rules, now, lambda _, __: None)


def _write_page(
    app: App,
    rules: Rules,
    needs: Needs,
    page: _Page,
    entering: Sequence[Entering],
    follows: Sequence[Decided],
    now: datetime,
    done: Entered,
    died: bool = False,
) -> Advanced:
    """Write who enters with what follows, and how far the run has come."""
    moved = Advanced()
    with app.database.writing() as connection:
        app.refuse_old_names(connection, rules)
        in_hand.cross_out(connection)
        if not waves.unmoved(connection, page.run):
            return moved
        current = customers.revisions(connection, page.ids)
        fresh = [one for one in entering if page.gathered.is_of(one.state, current)]
        stale = [one.state.person.id for one in entering if not page.gathered.is_of(one.state, current)]
        version_id = page.run.version_id
        if stale:  # something was learned about them meanwhile
            again = gather(app, connection, stale, rules, needs, now, {page.graph.journey: version_id}).states
            fresh += _at_its_door(rules, page, again, now, lambda count: take_ids(connection, enrollment, count))
        new = {one.way.id: one.way for one in fresh if one.way}
        work.add_traces(connection, [trace_row(one.state.person.id, one.trace, now, version_id) for one in fresh])
        work.add_traces(connection, passed_over(page.unread, page.graph.journey, version_id, now))
        held = [one for one in follows if page.gathered.is_of(one[0], current)]
        write(app, connection, rules, needs, held, now, moved, new, page.run.id)
        if died:
            enrollments.suspect(connection, new, in_hand.DIED)
        waves.change_run(connection, page.run.id, cursor=page.ids[-1], entered=page.run.entered + len(new))
        done.entered += len(new)
    return moved

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
from engine.decide.entry import Moment, enter, may_enter
from engine.decide.split import delay_of, stage_of
from engine.decide.state import CustomerState, Enrolled, Rules
from engine.errors import Renamed
from engine.journey.enter import ByRequest, ByWave
from engine.journey.graph import Graph
from engine.needs import Needs
from engine.share import Kind, Unit
from engine.store import chunks, customers, enrollments, held, requests, waves, work
from engine.store.tables import enrollment, take_ids
from engine.values import replace
from engine.work import in_hand
from engine.work.advance import Advanced, Decided, decided, is_of_the_database, write
from engine.work.entering.asked import asked_by, key_of, of_its_zone, told_by
from engine.work.entering.readable import gather_readable, passed_over
from engine.work.entering.waves import Entered, end_stage, ready
from engine.work.gather import Gathered, gather, with_codes
from engine.work.in_hand import Hand, Part
from engine.work.story import trace_row

PAGE = 500
ANOTHER_STEP = 0  # no chunk has this number
Ready = tuple[Any, Graph, datetime]  # a run that may enter, its journey, since when
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
    """Let in the next page of a run that may enter now. None when no run may."""
    with app.database.reading() as connection:
        runs = ready(connection, rules, now)
        left = chunks.waiting_of_runs(connection, [run.id for run, _, _ in runs]) if runs else []
    if not runs:
        return None
    cut = left[0] if left else cut_page(app, rules, now, runs)
    taken = in_hand.take(app, cut) if cut else None
    if cut is None:
        return None
    return enter_chunk(app, rules, needs, *taken, now, done) if taken is not None else Advanced()


def cut_page(app: App, rules: Rules, now: datetime, runs: Sequence[Ready]) -> int | None:
    """Make a chunk of the next people of a run; its number, or 0 when another step was taken. None: there is none.

    How far the run has come is written with the chunk, so that whoever dies, dies between two pages.
    """
    for run, graph, _opens in runs:
        with app.database.reading() as connection:
            chosen = graph.head.at_most is None or waves.is_chosen(connection, run)
            ids = _next_people(connection, rules, run, graph) if chosen else []
            elsewhere = chunks.people(connection)
            last = not ids and not chunks.any_of_run(connection, run.id)
        if not chosen:
            _choose(app, rules, run, graph)
            return ANOTHER_STEP
        if ids and elsewhere.isdisjoint(ids):  # nobody is in two hands
            return _cut(app, rules, run, graph, ids, now)
        if last:
            with app.database.writing() as connection:
                app.refuse_old_names(connection, rules)
                end_stage(app, connection, rules, graph, run, now)
            return ANOTHER_STEP
    return None


def _cut(app: App, rules: Rules, run: Any, graph: Graph, ids: Sequence[int], now: datetime) -> int:
    urgent = run.version_id in rules.urgent
    with app.database.writing(beside=True) as connection:
        app.refuse_old_names(connection, rules)
        if not waves.unmoved(connection, run):
            return ANOTHER_STEP
        waves.change_run(connection, run.id, cursor=ids[-1])
        number = chunks.add(connection, now, ids, run_id=run.id, stage=run.stage, urgent=urgent)
        app.share.defer(connection, [Unit(Kind.chunk, number, urgent=urgent)])
    return number


def enter_chunk(app: App, rules: Rules, needs: Needs, hand: Hand, told: Any, now: datetime, done: Entered) -> Advanced:
    """Let in the people of a chunk, as far as the journey's own rules let them.

    What follows is decided for them at once, and written in the transaction that lets them in. Not while the wave of
    another journey may enter too: nobody is decided for before they stand in both, so that priority can judge.
    """
    with in_hand.noted(app, Part(told.people), now, hand):
        with app.database.reading() as connection:
            runs = ready(connection, rules, now)
            mine = next((one for one in runs if one[0].id == told.run_id and one[0].stage == told.stage), None)
            page = _page(app, connection, rules, needs, mine, told.people, now) if mine is not None else None
        if page is None:
            return _not_now(app, hand, told)
        entering = _of_its_stage(app, rules, page, now)
        alone = len({graph.journey for _, graph, _ in runs}) == 1
        if hand.deaths or not alone:
            return _write_page(app, rules, needs, page, entering, [], now, done, hand)
        follows = _follows(app, rules, entering, now)
        try:
            return _write_page(app, rules, needs, page, entering, follows, now, done, hand)
        except Exception as error:
            if is_of_the_database(error) or isinstance(error, Renamed) or not follows:
                raise
            # they enter; what follows is decided for in parts
            return _write_page(app, rules, needs, page, entering, [], now, done, hand)


def _not_now(app: App, hand: Hand, told: Any) -> Advanced:
    """The run does not let anybody in just now: its people wait, or it is over and they are let be."""
    with app.database.writing(beside=True) as connection:
        if waves.state_of(connection, told.run_id) in ("entering", held.RUN_HELD):
            hand.put_back(connection, hand.deaths)
        else:
            hand.let_go(connection)
    return Advanced()


@dataclass(frozen=True)
class _Page:
    """The next people of a run."""

    run: Any
    graph: Graph
    moment: Callable[[CustomerState], Moment | None]  # what opens it for a person; None: it does not ask for them
    ids: Sequence[int]
    gathered: Gathered  # whole for those who may enter
    unread: Mapping[int, str]  # of whom nothing can be said, with the reason


def _page(
    app: App, connection: Connection, rules: Rules, needs: Needs, ready: Ready, ids: Sequence[int], now: datetime
) -> _Page:
    run, graph, opens = ready
    entering = {graph.journey: run.version_id}
    moment = _moments(run, graph, opens, _told(connection, run, graph, ids))

    def enters(one: CustomerState) -> bool:
        at = moment(one)
        return at is not None and may_enter(graph, run.version_id, one, at, now, rules=rules)

    gathered, unread = gather_readable(app, connection, ids, rules, needs, now, entering, enters)
    gathered = with_codes(connection, gathered, run.version_id, rules, needs, now)
    return _Page(run, graph, moment, ids, gathered, unread)


def _moments(
    run: Any, graph: Graph, opens: datetime, told: Mapping[int, Mapping[str, Any]]
) -> Callable[[CustomerState], Moment | None]:
    """What opens a run for each person, with what a request tells of them, or a happening."""
    key = key_of(run, graph.head.enter)

    def moment(one: CustomerState) -> Moment | None:
        own = key(one.person)
        return None if own is None else Moment(opens, own, told.get(one.person.id, {}), _delay(graph, one))

    return moment


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
    moments = {one.person.id: at for one in states if (at := page.moment(one)) is not None}
    mine = [one for one in states if one.person.id in moments]
    return at_the_door(
        rules, page.graph, page.run.version_id, mine, lambda one: moments[one.person.id], now, take(len(mine))
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
    hand: Hand,
) -> Advanced:
    """Write who enters, with what follows."""
    moved = Advanced()
    with app.database.writing(beside=True) as connection:
        current = customers.hold(connection, page.ids)
        app.refuse_old_names(connection, rules)
        hand.let_go(connection)
        if waves.state_of(connection, page.run.id) != "entering":
            return moved
        fresh = [one for one in entering if page.gathered.is_of(one.state, current)]
        stale = [one.state.person.id for one in entering if not page.gathered.is_of(one.state, current)]
        version_id = page.run.version_id
        if stale:  # something was learned about them meanwhile
            again = gather(app, connection, stale, rules, needs, now, {page.graph.journey: version_id}).states
            fresh += _at_its_door(rules, page, again, now, lambda count: take_ids(connection, enrollment, count))
        new = {one.way.id: one.way for one in fresh if one.way}
        work.add_traces(connection, [trace_row(one.state.person.id, one.trace, now, version_id) for one in fresh])
        work.add_traces(connection, passed_over(page.unread, page.graph.journey, version_id, now))
        told = [one for one in follows if page.gathered.is_of(one[0], current)]
        write(app, connection, rules, needs, told, now, moved, new, page.run.id)
        if hand.deaths:
            enrollments.suspect(connection, new, in_hand.DIED)
        waves.count_entered(connection, page.run.id, len(new))
        done.entered += len(new)
    return moved

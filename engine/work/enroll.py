"""Entering by waves and by segment crossings.

A wave's run is unique by (journey, planned wall time, zone), so it happens once, whatever becomes of processes and
clocks. Its audience is asked as of the planned instant, in pages that can be taken up again at any row. A segment is
judged as a whole; only who crossed its border is written, stamped with the instant at which it became true.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import Connection

from engine.app import App
from engine.audience.conditions import as_sql
from engine.audience.segments import crossed_at
from engine.audience.view import View
from engine.decide.decision import Trace
from engine.decide.entry import enter
from engine.decide.split import stage_of
from engine.decide.state import CustomerState, Rules
from engine.decide.state import Enrolled as Way
from engine.decide.timing import planned_instants
from engine.journey.conditions import Condition, Field, FieldKind, Test, Word
from engine.journey.graph import Graph
from engine.journey.head import BySegment, ByWave
from engine.needs import Needs
from engine.store import customers, enrollments, waves, work
from engine.store import journeys as published
from engine.store.tables import Row, enrollment, take_ids
from engine.work import in_hand
from engine.work.advance import Advanced, Decided, decided, is_of_the_database, write
from engine.work.gather import Gathered, gather, with_codes
from engine.work.readable import gather_readable, passed_over

PAGE = 500
JUDGE_EVERY = timedelta(hours=1)  # how often segments are judged
STAGE_EVERY = timedelta(days=1)  # pace of a roll-out that nobody has to approve
LOOK_AHEAD = timedelta(days=40)  # how far the next wave is looked for; the rarest comes once a month


@dataclass
class Enrolled:
    """What entering did."""

    runs: int = 0
    late_runs: int = 0
    entered: int = 0
    crossed: int = 0


def enroll(app: App, rules: Rules, needs: Needs, now: datetime) -> Enrolled:
    """Plan the runs of the waves that are due, judge the segments. Who is in a run enters by `enter_page`."""
    done = Enrolled()
    _plan_waves(app, rules, now, done)
    _expire_approvals(app, now)
    _judge_segments(app, rules, needs, now, done)
    return done


def entry_trace_row(state: CustomerState, trace: Trace, version_id: int, now: datetime) -> Row:
    """A line about entering, as a row."""
    return {
        "customer_id": state.person.id,
        "enrollment_id": trace.enrollment_id,
        "journey": trace.journey,
        "version_id": version_id,
        "step": trace.step,
        "at": now,
        "rule": trace.rule.value,
        "sentence": trace.sentence,
        "detail": dict(trace.detail),
        "file": trace.file,
        "line": trace.line,
    }


# --- waves -----------------------------------------------------------------------------------------------------------


def wave_journeys(rules: Rules) -> list[tuple[int, Graph, ByWave]]:
    """Live journeys that are entered in waves."""
    found = []
    for version_id in sorted(rules.live.values()):
        graph = rules.graphs[version_id]
        if isinstance(graph.head.enter, ByWave):
            found.append((version_id, graph, graph.head.enter))
    return found


def member_of(segment: str) -> Condition:
    return Test(Field(FieldKind.segment, "segment"), Word.is_, segment)


def zones_of(connection: Connection, wave: ByWave) -> list[str]:
    """The zones a wave is planned in: every zone someone lives in, or the one that is written."""
    return customers.zones(connection) if wave.zone == "person" else [wave.zone]


def next_wave(app: App, connection: Connection, rules: Rules, now: datetime) -> datetime | None:
    """The next instant at which a wave is planned, a stage may enter or a segment is judged."""
    instants: list[datetime] = []
    started = _waves_from(connection)
    for _, graph, wave in wave_journeys(rules):
        last = waves.last_planned(connection, graph.journey)
        for zone in zones_of(connection, wave):
            after = max(last.get(zone, started[graph.journey]), started[graph.journey])
            first = first_instant(wave, zone, after)
            if first is not None:
                instants.append(first)
    for run in waves.open_runs(connection):
        version = rules.graphs.get(run.version_id)
        if version is not None and run.state == "entering":
            opens = _stage_opens(connection, version, run)
            if opens is not None and opens > now:
                instants.append(opens)
    states = waves.segment_states(connection)
    for segment in _watched(rules):
        state = states.get(segment)
        instants.append(state.judged_at + JUDGE_EVERY if state else now)
    return min(instants) if instants else None


@lru_cache(maxsize=10_000)
def first_instant(wave: ByWave, zone: str, after: datetime) -> datetime | None:
    """The first planned instant of a wave in a zone later than `after`."""
    return next((at for _, at in planned_instants(wave, zone, after, after + LOOK_AHEAD)), None)


def _waves_from(connection: Connection) -> dict[str, datetime]:
    return {name: live.waves_from for name, live in published.live(connection).items()}


def _plan_waves(app: App, rules: Rules, now: datetime, done: Enrolled) -> None:
    """Write the run of every planned instant that has passed and has none."""
    journeys = wave_journeys(rules)
    if not journeys:
        return
    with app.database.reading() as connection:
        started = _waves_from(connection)
        missing = []
        for version_id, graph, wave in journeys:
            last = waves.last_planned(connection, graph.journey)
            for zone in zones_of(connection, wave):
                after = max(last.get(zone, started[graph.journey]), started[graph.journey])
                first = first_instant(wave, zone, after)
                if first is not None and first > now:
                    continue
                missing += [
                    (version_id, graph, zone, wall, at) for wall, at in planned_instants(wave, zone, after, now)
                ]
    for version_id, graph, zone, wall, at in sorted(missing, key=lambda one: (one[4], one[1].journey, one[2])):
        with app.database.writing() as connection:
            _plan_run(app, connection, rules, version_id, graph, zone, wall, at, now, done)


def _plan_run(
    app: App,
    connection: Connection,
    rules: Rules,
    version_id: int,
    graph: Graph,
    zone: str,
    wall: datetime,
    at: datetime,
    now: datetime,
    done: Enrolled,
) -> None:
    planned = wall.isoformat(timespec="minutes")
    lateness = graph.head.max_lateness or rules.policy.max_lateness
    row = {
        "journey": graph.journey,
        "version_id": version_id,
        "planned": planned,
        "zone": zone,
        "planned_at": at,
        "state": "entering",
    }
    if now - at > lateness:
        row |= {"state": "late", "reason": f"noticed {now - at} after its instant; max_lateness is {lateness}"}
        done.late_runs += waves.plan_run(connection, row) is not None
        return
    if graph.head.approve is not None:
        row |= _ask(app, connection, rules, graph, planned, at, now)
    done.runs += waves.plan_run(connection, row) is not None


def _ask(
    app: App, connection: Connection, rules: Rules, graph: Graph, planned: str, at: datetime, now: datetime
) -> Row:
    """How a run begins: by what was said to its wave already, or waiting after asking."""
    assert graph.head.approve is not None
    for one in waves.approvals(connection, graph.journey):
        if (one.planned, one.stage) == (planned, 1):
            return _after(one.outcome, 1, one.by)
    _ask_stage(app, connection, rules, graph, planned, at, 1, now)
    return _after(None, 1, None)


def _after(outcome: str | None, stage: int, by: str | None) -> Row:
    """State and reason of a run whose stage got this word; None: it is still waited for."""
    if outcome in (None, "approved"):
        return {"state": "entering" if outcome else "waiting", "reason": ""}
    return {"state": outcome, "reason": f"stage {stage} was {outcome} by {by}"}


def _ask_stage(
    app: App, connection: Connection, rules: Rules, graph: Graph, planned: str, at: datetime, stage: int, now: datetime
) -> None:
    assert graph.head.approve is not None
    assert isinstance(graph.head.enter, ByWave)
    people = waves.audience_size(connection, as_sql(member_of(graph.head.enter.segment), rules.audience, at))
    part = _share_of(graph.head.rollout, stage)
    reached = round(people * part * (1 - graph.head.holdout))
    touches, price = longest_way(graph, app)
    waves.ask_approval(
        connection,
        {
            "journey": graph.journey,
            "planned": planned,
            "stage": stage,
            "asked_at": now,
            "expires_at": now + graph.head.approve.within,
            "people": round(people * part),
            "messages": reached * touches,
            "cost": f"{(price * reached).quantize(Decimal('0.01'))} {app.settings.shop.currency}",
        },
    )


def _share_of(rollout: Sequence[Decimal], stage: int) -> Decimal:
    """The share of people that a stage adds."""
    if not rollout:
        return Decimal(1)
    return rollout[stage - 1] - (rollout[stage - 2] if stage > 1 else Decimal(0))


def longest_way(graph: Graph, app: App) -> tuple[int, Decimal]:
    """(most messages one person can get on any way through the plan, the most they can cost in the shop's currency)."""
    known: dict[str, tuple[int, Decimal]] = {}

    def most(node_id: str | None) -> tuple[int, Decimal]:
        if node_id is None:
            return 0, Decimal(0)
        if node_id not in known:
            node = graph.nodes[node_id]
            onward = [most(target) for target in {*node.outcomes.values(), node.next}] or [(0, Decimal(0))]
            count, cost = max(one[0] for one in onward), max(one[1] for one in onward)
            if node.verb == "send":
                prices = [app.settings.channels[c].price for c in node.step.via if c in app.settings.channels]  # type: ignore[attr-defined]
                count, cost = count + 1, cost + max((p.amount for p in prices if p), default=Decimal(0))
            known[node_id] = count, cost
        return known[node_id]

    return most(graph.start)


def _expire_approvals(app: App, now: datetime) -> None:
    """Questions nobody answered in time end what waits for them."""
    with app.database.reading() as connection:
        due = [one for one in waves.approvals(connection, open_only=True) if one.expires_at <= now]
    for one in due:
        settle_approval(app, one, "expired", "nobody", one.expires_at)


def settle_approval(app: App, approval: Any, outcome: str, by: str, at: datetime) -> bool:
    """Write a human's word (or that there was none) and what follows for the runs of that wave."""
    with app.database.writing() as connection:
        if not waves.answer_approval(connection, approval.id, outcome, by, at):
            return False
        for run in waves.runs_of(connection, approval.journey):
            if run.planned == approval.planned and run.state == "waiting" and run.stage == approval.stage - 1:
                waves.change_run(connection, run.id, **_after(outcome, approval.stage, by))
    return True


def _stage_opens(connection: Connection, graph: Graph, run: Any) -> datetime | None:
    """When the next stage of a run may enter; None while it waits for a word."""
    stage = run.stage + 1
    if graph.head.approve is None:
        opens: datetime = run.planned_at + STAGE_EVERY * (stage - 1)
        return opens
    for one in waves.approvals(connection, graph.journey):
        if (one.planned, one.stage, one.outcome) == (run.planned, stage, "approved"):
            return cast(datetime, max(run.planned_at, one.at))
    return None


def enter_page(app: App, rules: Rules, needs: Needs, now: datetime, done: Enrolled) -> Advanced | None:
    """Let in the next page of a run that may enter now. None when no run may.

    What follows is decided for them at once, and written in the transaction that lets them in. Not while the wave of
    another journey may enter too: nobody is decided for before they stand in both, so that priority can judge.
    """
    with app.database.reading() as connection:
        runs = _ready(connection, rules, now)
        if not runs:
            return None
        page = _page(app, connection, rules, needs, runs[0], now)
        died = in_hand.died_of(connection, page.run)
    if not page.ids:
        with app.database.writing() as connection:
            _end_stage(app, connection, rules, page.graph, page.run, now)
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
            if is_of_the_database(error) or not follows:
                raise
            # they enter; what follows is decided for in parts
            return _write_page(app, rules, needs, page, entering, [], now, done)


def _ready(connection: Connection, rules: Rules, now: datetime) -> list[tuple[Any, Graph, datetime]]:
    """Runs that may enter now, with since when."""
    return [
        (run, graph, opens)
        for run in waves.open_runs(connection)
        if run.state == "entering"
        and (graph := rules.graphs.get(run.version_id)) is not None
        and graph.journey not in rules.paused
        and (opens := _stage_opens(connection, graph, run)) is not None
        and opens <= now
    ]


@dataclass(frozen=True)
class _Entering:
    """One person before the door: the way that opens for them, if any, and why."""

    state: CustomerState
    way: Way | None
    trace: Trace


@dataclass(frozen=True)
class _Page:
    """The next people of a run."""

    run: Any
    graph: Graph
    opens: datetime
    ids: Sequence[int]
    gathered: Gathered
    unread: Mapping[int, str]  # of whom nothing can be said, with the reason


def _page(
    app: App, connection: Connection, rules: Rules, needs: Needs, ready: tuple[Any, Graph, datetime], now: datetime
) -> _Page:
    run, graph, opens = ready
    assert isinstance(graph.head.enter, ByWave)
    condition = as_sql(member_of(graph.head.enter.segment), rules.audience, run.planned_at)
    zone = run.zone if graph.head.enter.zone == "person" else None
    ids = waves.audience_page(connection, condition, run.cursor, PAGE, zone)
    entering = {graph.journey: run.version_id}
    gathered, unread = gather_readable(app, connection, ids, rules, needs, now, entering)
    return _Page(run, graph, opens, ids, with_codes(connection, gathered, run.version_id, rules, needs, now), unread)


def _of_its_stage(app: App, rules: Rules, page: _Page, now: datetime) -> list[_Entering]:
    """Who of the page belongs to the stage under way, and whether they enter."""
    run, stages, mine = page.run, page.graph.head.rollout, page.gathered.states
    if stages:
        mine = tuple(one for one in mine if stage_of(run.journey, one.person.external_id, stages) == run.stage)
    new_ids = app.ids(enrollment, len(mine))
    return _at_the_door(rules, page.graph, run.version_id, mine, lambda _: page.opens, now, new_ids)


def _follows(app: App, rules: Rules, entering: Sequence[_Entering], now: datetime) -> list[Decided]:
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
    entering: Sequence[_Entering],
    follows: Sequence[Decided],
    now: datetime,
    done: Enrolled,
    died: bool = False,
) -> Advanced:
    """Write who enters with what follows, and how far the run has come."""
    moved = Advanced()
    with app.database.writing() as connection:
        in_hand.cross_out(connection)
        if not waves.unmoved(connection, page.run):
            return moved
        current = customers.revisions(connection, page.ids)
        fresh = [one for one in entering if page.gathered.is_of(one.state, current)]
        stale = [one.state.person.id for one in entering if not page.gathered.is_of(one.state, current)]
        version_id = page.run.version_id
        if stale:  # something was learned about them meanwhile
            again = gather(app, connection, stale, rules, needs, now, {page.graph.journey: version_id}).states
            new_ids = take_ids(connection, enrollment, len(stale))
            fresh += _at_the_door(rules, page.graph, version_id, again, lambda _: page.opens, now, new_ids)
        new = {one.way.id: one.way for one in fresh if one.way}
        work.add_traces(connection, [entry_trace_row(one.state, one.trace, version_id, now) for one in fresh])
        work.add_traces(connection, passed_over(page.unread, page.graph.journey, version_id, now))
        held = [one for one in follows if page.gathered.is_of(one[0], current)]
        write(app, connection, held, now, moved, new, page.run.id)
        if died:
            enrollments.suspect(connection, new, in_hand.DIED)
        waves.change_run(connection, page.run.id, cursor=page.ids[-1], entered=page.run.entered + len(new))
        done.entered += len(new)
    return moved


def _end_stage(app: App, connection: Connection, rules: Rules, graph: Graph, run: Any, now: datetime) -> None:
    """A stage has entered whole: the next one is asked for or comes in time; after the last the run is done."""
    if not waves.unmoved(connection, run):
        return
    stage = run.stage + 1
    if stage >= max(len(graph.head.rollout), 1):
        waves.change_run(connection, run.id, stage=stage, state="done")
        return
    onward: Row = {"state": "entering"}
    if graph.head.approve is not None:
        said = {(one.planned, one.stage): one for one in waves.approvals(connection, graph.journey)}
        asked = said.get((run.planned, stage + 1))
        if asked is None:
            _ask_stage(app, connection, rules, graph, run.planned, run.planned_at, stage + 1, now)
        onward = _after(asked.outcome, stage + 1, asked.by) if asked else _after(None, stage + 1, None)
    waves.change_run(connection, run.id, stage=stage, cursor=0, **onward)


def _at_the_door(
    rules: Rules,
    graph: Graph,
    version_id: int,
    states: Sequence[CustomerState],
    instant: Callable[[CustomerState], datetime],
    now: datetime,
    new_ids: Sequence[int],
) -> list[_Entering]:
    """Who of these people enters, as far as the journey's own rules let them."""
    return [
        _Entering(state, *enter(graph, version_id, state, instant(state), new_id, now, rules=rules))
        for new_id, state in zip(new_ids, states, strict=True)
    ]


# --- segments --------------------------------------------------------------------------------------------------------


def _watched(rules: Rules) -> dict[str, list[tuple[int, Graph, BySegment]]]:
    """segment -> live journeys that are entered by crossing its border."""
    found: dict[str, list[tuple[int, Graph, BySegment]]] = {}
    for version_id in sorted(rules.live.values()):
        graph = rules.graphs[version_id]
        if isinstance(graph.head.enter, BySegment):
            found.setdefault(graph.head.enter.segment, []).append((version_id, graph, graph.head.enter))
    return found


def _judge_segments(app: App, rules: Rules, needs: Needs, now: datetime, done: Enrolled) -> None:
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
    done: Enrolled,
) -> None:
    """Who crossed since the last judgement; the first judgement and the one after an edit only take stock."""
    definition = _print(rules, segment)
    if state is None or state.fingerprint != definition:
        waves.clear_segment(connection, segment)
        waves.fill_segment(connection, segment, as_sql(member_of(segment), rules.audience, now), now)
        waves.set_segment_state(connection, segment, definition, now)
        return
    if definition not in app.crossers:
        app.crossers[definition] = waves.Crossers(
            connection, segment, lambda at: as_sql(member_of(segment), rules.audience, at), now
        )
    came, went = app.crossers[definition].ask(connection, now)
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
                    new_ids = take_ids(connection, enrollment, len(gathered.states))
                    entering = _at_the_door(
                        rules, graph, version_id, gathered.states, lambda s: stamps[s.person.id], now, new_ids
                    )
                    ways = [one.way for one in entering if one.way]
                    enrollments.add(connection, ways)
                    traces = [entry_trace_row(one.state, one.trace, version_id, now) for one in entering]
                    work.add_traces(connection, [*traces, *passed_over(unread, graph.journey, version_id, now)])
                    done.entered += len(ways)
    waves.set_members(connection, segment, [(n, stamps[n]) for n in came], went)
    waves.set_segment_state(connection, segment, definition, now)
    done.crossed += len(came) + len(went)

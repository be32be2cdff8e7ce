"""Waves: when they are due, what humans say to them, and which runs may let people in.

A wave's run is unique by (journey, planned wall time, zone), so it happens once, whatever becomes of processes and
clocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import Connection

from engine.app import App
from engine.decide.planned import next_instant, planned_instants
from engine.decide.state import Rules
from engine.journey.enter import Planned, plan_of
from engine.journey.graph import Graph
from engine.store import customers, requests, waves
from engine.store import journeys as published
from engine.store.tables import Row
from engine.work.entering.asked import asked_by_country
from engine.work.entering.longest import longest_way

STAGE_EVERY = timedelta(days=1)  # pace of a roll-out that nobody has to approve


@dataclass
class Entered:
    """What entering did."""

    runs: int = 0
    late_runs: int = 0
    entered: int = 0
    crossed: int = 0


def wave_journeys(rules: Rules) -> list[tuple[int, Graph, Planned]]:
    """Live journeys that are entered at planned instants, and their calendars."""
    found = []
    for version_id in sorted(rules.live.values()):
        graph = rules.graphs[version_id]
        plan = plan_of(graph.head.enter)
        if plan is not None:
            found.append((version_id, graph, plan))
    return found


def zones_of(connection: Connection, wave: Planned) -> list[str]:
    """The zones a wave is planned in: every zone someone lives in, or the one that is written."""
    return customers.zones(connection) if wave.zone == "person" else [wave.zone]


def next_wave(connection: Connection, rules: Rules, now: datetime) -> datetime | None:
    """The next instant at which a wave is planned or a stage may enter."""
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
    return min(instants) if instants else None


@lru_cache(maxsize=10_000)
def first_instant(wave: Planned, zone: str, after: datetime) -> datetime | None:
    """The first planned instant of a wave in a zone later than `after`, remembered: it is asked for at every beat."""
    return next_instant(wave, zone, after)


def _waves_from(connection: Connection) -> dict[str, datetime]:
    return {name: live.waves_from for name, live in published.live(connection).items()}


# --- runs ------------------------------------------------------------------------------------------------------------


def ready(connection: Connection, rules: Rules, now: datetime) -> list[tuple[Any, Graph, datetime]]:
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


def end_stage(app: App, connection: Connection, rules: Rules, graph: Graph, run: Any, now: datetime) -> None:
    """A stage has entered whole: the next one is asked for or comes in time; after the last the run is done."""
    if not waves.unmoved(connection, run):
        return
    stage = run.stage + 1
    if stage >= max(len(graph.head.rollout), 1):
        waves.change_run(connection, run.id, stage=stage, state="done")
        requests.end(connection, run)
        return
    onward: Row = {"state": "entering"}
    if graph.head.approve is not None:
        said = {(one.planned, one.stage): one for one in waves.approvals(connection, graph.journey)}
        asked = said.get((run.planned, stage + 1))
        if asked is None:
            _ask_stage(app, connection, rules, graph, run.planned, run.planned_at, stage + 1, now)
        onward = _after(asked.outcome, stage + 1, asked.by) if asked else _after(None, stage + 1, None)
    waves.change_run(connection, run.id, stage=stage, cursor=0, **onward)


# --- planning --------------------------------------------------------------------------------------------------------


def plan_waves(app: App, rules: Rules, now: datetime, done: Entered) -> None:
    """Write the run of every planned instant that has passed and has none."""
    journeys = wave_journeys(rules)
    if not journeys:
        return
    with app.database.reading() as connection:
        app.refuse_old_names(connection, rules)
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
            app.refuse_old_names(connection, rules)
            open_run(app, connection, rules, version_id, graph, zone, _written(wall), at, now, done)


def _written(wall: datetime) -> str:
    return wall.isoformat(timespec="minutes")


def open_run(
    app: App,
    connection: Connection,
    rules: Rules,
    version_id: int,
    graph: Graph,
    zone: str,
    planned: str,
    at: datetime,
    now: datetime,
    done: Entered,
) -> None:
    """Write the run of one planned instant: entering, waiting for a word, or late."""
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


def plan_current(connection: Connection, journey: str, version_id: int, now: datetime) -> None:
    """Let in who stands before the door because the journey is published."""
    row = {"journey": journey, "version_id": version_id, "zone": "", "planned_at": now, "state": "entering"}
    waves.plan_run(connection, {**row, "planned": f"published {now:%Y-%m-%dT%H:%M:%S}Z"})


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
    countries = asked_by_country(connection, graph.head.enter, rules.audience, at, app.settings.shop.country)
    people = sum(countries.values())
    people = min(people, graph.head.at_most or people)
    part = _share_of(graph.head.rollout, stage)
    reached = round(people * part * (1 - graph.head.holdout))
    longest = longest_way(app, connection, rules, graph)
    waves.ask_approval(
        connection,
        {
            "journey": graph.journey,
            "planned": planned,
            "stage": stage,
            "asked_at": now,
            "expires_at": now + graph.head.approve.within,
            "people": round(people * part),
            "messages": reached * longest.messages,
            "cost": f"{longest.cost(countries, reached)} {app.settings.shop.currency}",
        },
    )


def _share_of(rollout: Sequence[Decimal], stage: int) -> Decimal:
    """The share of people that a stage adds."""
    if not rollout:
        return Decimal(1)
    return rollout[stage - 1] - (rollout[stage - 2] if stage > 1 else Decimal(0))


def expire_approvals(app: App, now: datetime) -> None:
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

"""Happenings: what happens to the shop or the world is told once, and opens a run for each journey that waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from engine.app import App
from engine.decide.state import Rules
from engine.decide.timing import instant_of
from engine.errors import Refused
from engine.journey.enter import ByHappening
from engine.journey.graph import Graph
from engine.journey.source import hint_for
from engine.store import happenings, journeys
from engine.work.entering.asked import asked_by_country
from engine.work.entering.longest import longest_way
from engine.work.entering.waves import Entered, open_run

USUAL_TIME = time(10)  # of a happening that is expected on a day
LONGEST_KEY = 100  # characters
MOST_VALUES = 50


@dataclass(frozen=True)
class Reached:
    """A journey that waits for a happening, and whom it would ask in now."""

    journey: str
    number: int
    segment: str
    people: int
    messages: int  # at most
    cost: Decimal  # at most, in the shop's currency
    approve: bool  # somebody has to agree first


@dataclass(frozen=True)
class Telling:
    """What telling a happening would do."""

    name: str
    key: str
    at: datetime
    payload: Mapping[str, Any] = field(default_factory=dict)
    reached: Sequence[Reached] = ()
    before: str | None = None  # this one was told before: when and by whom

    @property
    def people(self) -> int:
        """Places before doors: who is asked in by two journeys counts twice."""
        return sum(one.people for one in self.reached)


def plan_telling(app: App, name: str, key: str | None, at: datetime | None, payload: Mapping[str, Any]) -> Telling:
    """What would follow. `Refused` for a name that config.yaml does not know, or another story under the same key."""
    now = app.clock.now()
    begins = at or now
    if name not in app.settings.happenings:
        known = sorted(app.settings.happenings)
        hint = hint_for(name, known) if known else "name it there under `happenings:`"
        raise Refused(f"config.yaml knows no happening {name}; {hint}")
    if now - begins > app.policy.max_lateness:
        raise Refused(f"{begins:%Y-%m-%d %H:%M} UTC is longer ago than max_lateness; nobody would enter")
    key = key or _day(app, begins)
    if len(key) > LONGEST_KEY or len(payload) > MOST_VALUES:
        raise Refused(f"a key has {LONGEST_KEY} characters at most, and there are {MOST_VALUES} values at most")
    with app.database.reading() as connection:
        told = happenings.find(connection, name, key)
        if told is not None and (told.payload != payload or at not in (None, told.at)):
            before = f"{told.by} told {name} {key} for {told.at:%Y-%m-%d %H:%M} UTC already"
            raise Refused(f"{before}, with other words; for another one write --key")
        rules = app.rules(connection)
        numbers = {one.id: one.number for one in journeys.versions(connection, rules.live.values())}
        reached = [_reached(app, connection, rules, graph, numbers) for graph in _waiting_for(rules, name).values()]
    known_since = None if told is None else f"{told.told_at:%Y-%m-%d %H:%M} UTC, {told.by}"
    return Telling(name, key, begins, payload, tuple(reached), known_since)


def _day(app: App, at: datetime) -> str:
    """The shop's day: unless another key is written, a happening comes once a day."""
    return f"{at.astimezone(ZoneInfo(app.settings.shop.zone)):%Y-%m-%d}"


def _waiting_for(rules: Rules, name: str) -> dict[int, Graph]:
    """Live journeys that are entered by this happening."""
    live = {number: rules.graphs[number] for number in rules.live.values()}
    return {
        number: graph
        for number, graph in live.items()
        if isinstance(graph.head.enter, ByHappening) and graph.head.enter.happening == name
    }


def _reached(app: App, connection: Connection, rules: Rules, graph: Graph, numbers: Mapping[int, int]) -> Reached:
    entry = graph.head.enter
    assert isinstance(entry, ByHappening)
    countries = asked_by_country(connection, entry, rules.audience, app.clock.now(), app.settings.shop.country)
    people = sum(countries.values())
    people = min(people, graph.head.at_most or people)
    longest = longest_way(app, connection, rules, graph)
    written_to = round(people * (1 - graph.head.holdout))
    return Reached(
        journey=graph.journey,
        number=numbers[rules.live[graph.journey]],
        segment=entry.segment,
        people=people,
        messages=written_to * longest.messages,
        cost=longest.cost(countries, written_to),
        approve=graph.head.approve is not None,
    )


def tell(app: App, plan: Telling, by: str) -> bool:
    """Keep that it happens; whoever is asked in enters from the next beat at or after its instant. False: told before.

    Once it is kept it counts, whatever becomes of the process: runs are planned from what is kept.
    """
    with app.database.writing() as connection:
        if happenings.find(connection, plan.name, plan.key) is not None:
            return False
        row = {"name": plan.name, "key": plan.key, "at": plan.at, "payload": dict(plan.payload)}
        happenings.tell(connection, {**row, "told_at": app.clock.now(), "by": by})
        return True


def expected(app: App, start: datetime, end: datetime) -> list[tuple[datetime, str, bool]]:
    """What config.yaml expects from `start` to before `end`: (instant, name, whether a time of day is written)."""
    zone = ZoneInfo(app.settings.shop.zone)
    found = [
        (instant_of(datetime.combine(moment.on, moment.at or USUAL_TIME), zone), name, moment.at is not None)
        for name, one in app.settings.happenings.items()
        for moment in one.expected
    ]
    return sorted(one for one in found if start <= one[0] < end)


def tell_expected(app: App, start: datetime, end: datetime) -> None:
    """For a simulation: everything that is expected happens."""
    with app.database.writing() as connection:
        for at, name, _ in expected(app, start, end):
            key = _day(app, at)
            if happenings.find(connection, name, key) is None:
                row = {"name": name, "key": key, "at": at, "payload": {}, "told_at": start, "by": "the simulation"}
                happenings.tell(connection, row)


def plan_happenings(app: App, rules: Rules, now: datetime, done: Entered) -> None:
    """Write the runs of every happening that has begun, for the journeys that were waiting for it by then."""
    with app.database.reading() as connection:
        begun = happenings.unplanned(connection, now)
    for one in begun:
        with app.database.writing() as connection:
            app.refuse_old_names(connection, rules)
            opened = {name: live.waves_from for name, live in journeys.live(connection).items()}
            for version_id, graph in _waiting_for(rules, one.name).items():
                if opened[graph.journey] <= max(one.at, one.told_at):
                    open_run(app, connection, rules, version_id, graph, "", one.key, one.at, now, done)
            happenings.set_planned(connection, one.id)

"""The days ahead: which waves, dates and happenings are planned, for how many people, and what is closed then.

Nothing is written. Sizes are estimates as of now: how many people are asked for is counted, and what the rules would
say to them is asked of a sample, with the very functions that let people in and judge their messages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, and_

from engine.app import App
from engine.audience.tables import customer as person
from engine.decide import policy
from engine.decide.entry import Moment, enter
from engine.decide.planned import planned_instants
from engine.decide.split import chance
from engine.decide.state import CustomerState, Enrolled, Rules
from engine.journey.enter import ByDate, ByHappening, Planned, plan_of, way_of
from engine.journey.graph import Graph
from engine.journey.steps import SendStep
from engine.simulate.preview import straight_way
from engine.store import happenings, waves
from engine.values import replace
from engine.work.entering.asked import Condition, asked_by, key_of
from engine.work.entering.happenings import expected
from engine.work.entering.longest import Longest, longest_way
from engine.work.entering.waves import STAGE_EVERY, zones_of
from engine.work.gather import gather

SAMPLE = 500  # people who are asked what the rules would say to them


@dataclass(frozen=True)
class Size:
    """How many people a wave is about, as of now."""

    asked: int  # in the segment, or with such a date: counted
    enter: int  # of them, as `again` and `at_most` let them, if all who can enter before do, and are out again
    held_out: int  # of these, in the holdout
    reached: int  # of the rest, with an address and a yes on a channel of the first message
    sample: int  # of how many people the last three were asked; the same as `asked`: of everyone


@dataclass(frozen=True)
class Closed:
    """A time in which channels are closed beside their quiet hours."""

    kind: str  # blackout, holiday
    name: str  # its reason; of a holiday its country
    start: datetime  # what the clock shows, wherever one is
    end: datetime
    channels: tuple[str, ...]
    countries: tuple[str, ...]  # empty: everywhere


@dataclass(frozen=True)
class Coming:
    """One planned instant of one journey."""

    wall: datetime  # what the clock shows
    zone: str  # person: everyone's own; else one zone for all
    first_at: datetime  # the earliest instant it comes true anywhere
    journey: str
    way: str  # wave, date, happening
    about: str  # the segment, the date, the happening
    priority: int
    size: Size
    messages: int  # at most, in all
    cost: Decimal  # at most, in the shop's currency
    approve: str | None = None  # whose word is waited for
    rollout: tuple[Decimal, ...] = ()
    at_most: int | None = None
    spread: timedelta | None = None
    closed: tuple[Closed, ...] = ()  # what its first message would meet


@dataclass(frozen=True)
class Expected:
    """A happening that is told for a later time, or that config.yaml expects."""

    wall: datetime  # on the shop's clock
    at: datetime
    name: str
    told: bool
    timed: bool  # is the time of day known?
    journeys: tuple[str, ...]  # that wait for it


@dataclass(frozen=True)
class UnderWay:
    """A wave that has begun, or waits to."""

    journey: str
    planned: str
    zones: int
    state: str  # waiting for a word, entering
    stage: int  # that comes next, from 1
    stages: int
    entered: int
    opens: datetime | None  # when the next stage may enter; None: when somebody agrees


@dataclass(frozen=True)
class AnyTime:
    """A journey that is entered one by one, at any time."""

    journey: str
    way: str
    about: str


@dataclass(frozen=True)
class Days:
    """Everything that is planned from `start` to before `end`."""

    start: datetime
    end: datetime
    currency: str
    coming: tuple[Coming, ...]
    expected: tuple[Expected, ...]
    closed: tuple[Closed, ...]
    under_way: tuple[UnderWay, ...]
    any_time: tuple[AnyTime, ...]


@dataclass(frozen=True)
class Going:
    """A message of the straight way: that of somebody who answers nothing."""

    step: SendStep
    after: timedelta  # since the instant of the wave, on the clock of who gets it


@dataclass(frozen=True)
class Wave:
    """A planned instant with whom it asks for, as collisions need it."""

    coming: Coming
    graph: Graph
    condition: Condition
    whom: str  # equal for waves that ask for the same people
    clock: datetime  # the person's own; where it is one instant for all, the shop's
    goings: tuple[Going, ...] = ()


@dataclass
class _Look:
    """What is asked again and again while one looks ahead."""

    app: App
    connection: Connection
    rules: Rules
    now: datetime
    zones: Sequence[str]
    longest: dict[str, Longest] = field(default_factory=dict)
    goings: dict[object, tuple[Going, ...]] = field(default_factory=dict)
    counts: dict[object, int] = field(default_factory=dict)
    samples: dict[object, Sequence[CustomerState]] = field(default_factory=dict)
    entered: dict[tuple[str, int], tuple[Enrolled, ...]] = field(default_factory=dict)  # by instants before


def look_ahead(app: App, days: int) -> tuple[Days, list[Wave]]:
    """What is planned in so many days, and the waves of it."""
    now = app.clock.now()
    end = now + timedelta(days=days)
    with app.database.reading() as connection:
        rules = app.rules(connection)
        zones = zones_of(connection, Planned(every="day", at="00:00", zone="person"))
        look = _Look(app, connection, rules, now, zones or [app.settings.shop.zone])
        closed = tuple(_closed(app, look.zones, now, end))
        known = tuple(_expected(look, end))
        found = [
            *(wave for graph in _live(rules) for wave in _waves(look, graph, end)),
            *(wave for one in known for wave in _of_happening(look, one)),
        ]
        found = [replace(wave, coming=replace(wave.coming, closed=_met(rules, wave, closed))) for wave in found]
        under_way = tuple(_under_way(connection, rules))
    found.sort(key=lambda wave: (wave.coming.wall, wave.coming.journey))
    any_time = tuple(_any_time(rules))
    coming = tuple(wave.coming for wave in found)
    currency = app.settings.shop.currency
    return Days(now, end, currency, coming, known, closed, under_way, any_time), found


def _live(rules: Rules) -> list[Graph]:
    return [rules.graphs[version] for version in sorted(rules.live.values())]


# --- what is planned -------------------------------------------------------------------------------------------------


def _waves(look: _Look, graph: Graph, end: datetime) -> Iterator[Wave]:
    """Every planned instant of a journey: one for all zones in which its clock shows the same."""
    entry = graph.head.enter
    plan = plan_of(entry)
    if plan is None:
        return
    walls: dict[datetime, list[tuple[datetime, str]]] = {}
    for zone in look.zones if plan.zone == "person" else [plan.zone]:
        for wall, at in planned_instants(plan, zone, look.now, end + timedelta(days=2)):
            walls.setdefault(wall, []).append((at, zone))
    for wall, instants in sorted(walls.items()):
        first_at, zone = min(instants)
        if first_at >= end:  # a wave that has begun by then is shown whole
            return
        run = SimpleNamespace(planned=wall.isoformat(timespec="minutes"), planned_at=look.now, zone=zone)
        about = f"{entry.date}" if isinstance(entry, ByDate) else str(getattr(entry, "segment", ""))
        still = {zone for _, zone in instants} if plan.zone == "person" else None
        wave = _wave(look, graph, run, wall, plan.zone, first_at, about, still)
        if wave.coming.size.asked or not isinstance(entry, ByDate):
            yield wave


def _of_happening(look: _Look, one: Expected) -> Iterator[Wave]:
    for graph in _live(look.rules):
        if graph.journey in one.journeys:
            run = SimpleNamespace(planned=f"{one.wall:%Y-%m-%d}", planned_at=look.now, zone="")
            yield _wave(look, graph, run, one.wall, look.app.settings.shop.zone, one.at, one.name)


def _wave(
    look: _Look,
    graph: Graph,
    run: Any,
    wall: datetime,
    zone: str,
    first_at: datetime,
    about: str,
    still: Collection[str] | None = None,
) -> Wave:
    """One planned instant. `still`: the zones in which it has not passed yet."""
    condition = asked_by(run, graph.head.enter, look.rules.audience)
    asked_on = run.planned if isinstance(graph.head.enter, ByDate) else ""
    if still is not None and len(still) < len(look.zones):
        condition = and_(condition, person.c.zone.in_(sorted(still)))
        asked_on += f" in {', '.join(sorted(still))}"
    whom = f"{graph.journey} {asked_on}"
    size, countries, somebody = _size(look, graph, run, condition, whom, first_at)
    if graph.journey not in look.longest:
        look.longest[graph.journey] = longest_way(look.app, look.connection, look.rules, graph)
    longest = look.longest[graph.journey]
    coming = Coming(
        wall=wall,
        zone=zone,
        first_at=first_at,
        journey=graph.journey,
        way=way_of(graph.head.enter),
        about=about,
        priority=graph.head.priority,
        size=size,
        messages=size.reached * longest.messages,
        cost=longest.cost(countries, size.reached),
        approve=graph.head.approve.by if graph.head.approve else None,
        rollout=graph.head.rollout,
        at_most=graph.head.at_most,
        spread=graph.head.spread,
    )
    goings = _goings(look, graph, somebody, wall, first_at, zone) if somebody is not None else ()
    clock = wall if zone == "person" else _wall(first_at, ZoneInfo(look.app.settings.shop.zone))
    return Wave(coming, graph, condition, whom, clock, goings)


def _goings(
    look: _Look, graph: Graph, state: CustomerState, wall: datetime, first_at: datetime, zone: str
) -> tuple[Going, ...]:
    """The messages of the straight way, as one of its people would get them; alike on every such day of the week."""
    key = (graph.journey, wall.weekday(), wall.time())
    if key not in look.goings:
        home = state.person.zone
        at = wall.replace(tzinfo=home).astimezone(UTC) if zone == "person" else first_at
        stops = straight_way(look.app, look.rules, graph, look.rules.live[graph.journey], state, at)
        began = _wall(at, home)
        found = [(graph.nodes[stop.step].step, _wall(stop.when, home) - began) for stop in stops]
        look.goings[key] = tuple(Going(step, after) for step, after in found if isinstance(step, SendStep))
    return look.goings[key]


def _expected(look: _Look, end: datetime) -> Iterator[Expected]:
    """Happenings told for later, and those that are expected and not told yet."""
    zone = ZoneInfo(look.app.settings.shop.zone)
    waiting: dict[str, list[str]] = {}
    for graph in _live(look.rules):
        if isinstance(graph.head.enter, ByHappening):
            waiting.setdefault(graph.head.enter.happening, []).append(graph.journey)
    found = []
    for row in happenings.coming(look.connection, look.now, end):
        found.append(Expected(_wall(row.at, zone), row.at, row.name, True, True, tuple(waiting.get(row.name, ()))))
    told = {(one.name, one.wall.date()) for one in found}
    for at, name, timed in expected(look.app, look.now, end):
        if (name, _wall(at, zone).date()) not in told:
            found.append(Expected(_wall(at, zone), at, name, False, timed, tuple(waiting.get(name, ()))))
    return iter(sorted(found, key=lambda one: (one.at, one.name)))


def _wall(at: datetime, zone: ZoneInfo) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None)


def _under_way(connection: Connection, rules: Rules) -> Iterator[UnderWay]:
    runs: dict[tuple[str, str], list[Any]] = {}
    for run in waves.open_runs(connection):
        runs.setdefault((run.journey, run.planned), []).append(run)
    for (journey, planned), mine in sorted(runs.items()):
        graph, first = rules.graphs.get(mine[0].version_id), mine[0]
        stages = max(len(graph.head.rollout), 1) if graph else 1
        waits = first.state == "waiting"
        yield UnderWay(
            journey=journey,
            planned=planned,
            zones=len(mine),
            state=first.state,
            stage=first.stage + 1,
            stages=stages,
            entered=sum(run.entered for run in mine),
            opens=None if waits else min(run.planned_at for run in mine) + STAGE_EVERY * first.stage,
        )


def _any_time(rules: Rules) -> Iterator[AnyTime]:
    for graph in _live(rules):
        entry = graph.head.enter
        if plan_of(entry) is None and not isinstance(entry, ByHappening):
            told = next((name for key in _TOLD if (name := getattr(entry, key, None))), "")
            yield AnyTime(graph.journey, way_of(entry), str(told))


_TOLD = ("event", "absence_of", "segment")  # what says when one enters


# --- how many --------------------------------------------------------------------------------------------------------


def _size(
    look: _Look, graph: Graph, run: Any, condition: Condition, key: str, at: datetime
) -> tuple[Size, Mapping[str, int], CustomerState | None]:
    """Counted, and asked of a sample: what the rules of entering and of writing would say at that instant.

    Beside it the countries of those of the sample who are reached, and one of them.
    """
    if key not in look.counts:
        look.counts[key] = waves.audience_size(look.connection, condition)
        look.samples[key] = _sample(look, graph, condition, look.counts[key])
    asked, states = look.counts[key], look.samples[key]
    version = look.rules.live[graph.journey]
    mine = [(one, its) for one in states if (its := _key(graph, run, one)) is not None]
    share = Decimal(asked) / len(states) if states else Decimal(0)
    entering = []
    for state, its in mine:
        before = look.entered.get((graph.journey, state.person.id), ())
        there = replace(state, enrollments=(*_left(graph, state), *before))
        way, _ = enter(graph, version, there, Moment(at, its), -1, at, rules=look.rules)
        if way is not None:
            entering.append((state, way))
    let_in = round(share * len(entering))
    if graph.head.at_most is not None and graph.head.at_most < let_in:
        let_in = graph.head.at_most
        entering.sort(key=lambda one: chance("first", graph.journey, one[0].person.external_id))
        entering = entering[: max(round(let_in / share), 1)]
    for state, way in entering:
        before = look.entered.get((graph.journey, state.person.id), ())
        look.entered[graph.journey, state.person.id] = (*before, replace(way, active=False))
    written_to = [state for state, way in entering if not way.holdout]
    sends = first_sends(graph)
    reached = [state for state in written_to if any(_reaches(look.rules, graph, send, state) for send in sends)]

    def of_those(people: int) -> int:
        """As many of all who enter as these are of the sample."""
        return round(Decimal(let_in) * people / len(entering)) if entering else 0

    held_out = of_those(len(entering) - len(written_to))
    size = Size(round(share * len(mine)), let_in, held_out, of_those(len(reached)), len(states))
    countries = Counter(state.person.country or look.app.settings.shop.country for state in reached)
    return size, countries, next(iter(reached), None)


def _left(graph: Graph, state: CustomerState) -> Iterator[Enrolled]:
    """Their ways as if those of this journey were over by then."""
    for way in state.enrollments:
        yield replace(way, active=False) if way.journey == graph.journey else way


def _sample(look: _Look, graph: Graph, condition: Condition, people: int) -> Sequence[CustomerState]:
    """Some of the people asked for, spread over all of them; the same at every look."""
    every = max(-(-people // SAMPLE), 1)
    ids = waves.audience_page(look.connection, and_(condition, person.c.id % every == 0), 0, SAMPLE)
    if not ids:
        ids = waves.audience_page(look.connection, condition, 0, SAMPLE)
    entering = {graph.journey: look.rules.live[graph.journey]}
    needs = look.app.needs(look.rules)
    return gather(look.app, look.connection, ids, look.rules, needs, look.now, entering).states


def _key(graph: Graph, run: Any, state: CustomerState) -> str | None:
    """What they would enter for; None: this instant does not ask for them."""
    plan = plan_of(graph.head.enter)
    if plan is not None and plan.zone == "person":
        run = SimpleNamespace(**{**vars(run), "zone": state.person.zone.key})
    return key_of(run, graph.head.enter)(state.person)


def first_sends(graph: Graph) -> list[SendStep]:
    """The messages that may be the first of a journey."""
    found, seen, to_see = [], set(), [graph.start]
    while to_see:
        node_id = to_see.pop()
        if node_id is None or node_id in seen:
            continue
        seen.add(node_id)
        step = graph.nodes[node_id].step
        if isinstance(step, SendStep):
            found.append(step)
        else:
            to_see += graph.onward(node_id)
    return found


def is_marketing(rules: Rules, graph: Graph, step: SendStep) -> bool:
    """Of which purpose is this message?"""
    return bool(rules.policy.is_marketing(step.topic or graph.head.topic))


def _reaches(rules: Rules, graph: Graph, step: SendStep, state: CustomerState) -> bool:
    """Has the person an address and a yes on one of its channels?"""
    topic, marketing = step.topic or graph.head.topic, is_marketing(rules, graph, step)
    return any(
        state.person.addresses.get(channel) and policy.objection(channel, topic, marketing, state) is None
        for channel in step.via
    )


# --- what is closed --------------------------------------------------------------------------------------------------


def _closed(app: App, zones: Sequence[str], start: datetime, end: datetime) -> Iterator[Closed]:
    """Blackouts and holidays that touch these days anywhere."""
    first = min(_wall(start, ZoneInfo(zone)) for zone in zones)
    last = max(_wall(end, ZoneInfo(zone)) for zone in zones)
    every = tuple(app.settings.channels)
    found = [
        Closed("blackout", one.reason, one.from_.start, one.to.end, one.channels or every, one.countries)
        for one in app.policy.blackout
        if one.from_.start < last and one.to.end > first
    ]
    for country, days in sorted(app.policy.holidays.items()):
        channels = tuple(one for one in every if app.policy.span("on_holidays", one, country))
        for day in _days(first.date(), last.date()):
            if channels and any(one.is_on(day) for one in days):
                midnight = datetime.combine(day, datetime.min.time())
                found.append(Closed("holiday", country, midnight, midnight + timedelta(days=1), channels, (country,)))
    return iter(sorted(found, key=lambda one: (one.start, one.kind, one.name)))


def _days(first: date, last: date) -> Iterator[date]:
    for ahead in range((last - first).days + 1):
        yield first + timedelta(days=ahead)


def _met(rules: Rules, wave: Wave, closed: Sequence[Closed]) -> tuple[Closed, ...]:
    """What is closed when it comes, for a channel of its first message. Only marketing is held back."""
    sends = [step for step in first_sends(wave.graph) if is_marketing(rules, wave.graph, step)]
    channels = {channel for step in sends for channel in step.via}
    wall = wave.coming.wall
    return tuple(one for one in closed if one.start <= wall < one.end and channels.intersection(one.channels))

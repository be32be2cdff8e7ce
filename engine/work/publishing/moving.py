"""Moving people who are inside one version of a journey to another: looked at first, then page by page.

A page is one transaction: who of it may go stands in the other version when it is written, with a line in their story.
A process that dies leaves whole pages behind, and the same command moves the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from sqlalchemy import Connection

from engine.app import App
from engine.audience.book import Audience
from engine.decide.customer import decide
from engine.decide.decision import Decision, Rule, Trace
from engine.decide.state import CustomerState, Enrolled, Rules
from engine.decide.transfer import place_in, transferred
from engine.errors import Refused
from engine.journey.graph import Graph
from engine.journey.source import hint_for
from engine.needs import Needs, needs_of
from engine.store import customers, enrollments, journeys, work
from engine.values import replace
from engine.work.entering.readable import gather_readable
from engine.work.gather import with_codes
from engine.work.publishing.rollback import fitting
from engine.work.publishing.versions import live_version, read_version, version_numbered
from engine.work.story import trace_row

PAGE = 500
LOOKED_AT = 10_000  # people of whom it is told what would follow


class Stuck(Enum):
    """Why somebody cannot be moved now."""

    step = "step"  # the other version has no such step, and it is not mapped to one
    task = "task"  # a task is open
    message = "message"  # a message of this step is on its way
    aside = "aside"  # set aside after three failures


@dataclass(frozen=True)
class Place:
    """A step of the old version, who stands there, and where they would go."""

    step: str | None  # None: nobody has looked at them yet
    to: str | None
    people: int
    stuck: Mapping[Stuck, int] = field(default_factory=dict)

    @property
    def movable(self) -> int:
        return self.people - sum(self.stuck.values())


@dataclass(frozen=True)
class Move:
    """What moving would do."""

    journey: str
    from_: int
    to: int
    steps: Mapping[str, str]  # what was mapped
    places: tuple[Place, ...]  # in the order of the old plan

    @property
    def movable(self) -> int:
        return sum(one.movable for one in self.places)

    @property
    def stuck(self) -> int:
        return sum(one.people for one in self.places) - self.movable


@dataclass(frozen=True)
class Follows:
    """What would follow at once for those who are moved: (what, at which step) -> how many people."""

    people: int  # of whom it was asked
    sends: Mapping[str, int]
    unsent: Mapping[tuple[str, str], int]  # step, rule
    tasks: Mapping[str, int]
    ends: Mapping[str, int]  # by reason
    stands: Mapping[str, int]


@dataclass(frozen=True)
class _Versions:
    """The two versions, with their plans."""

    old: journeys.Version
    new: journeys.Version
    old_graph: Graph
    new_graph: Graph


def plan_move(app: App, journey: str, from_: int, to: int | None, steps: Mapping[str, str]) -> Move:
    """Who would go where, and who cannot. `Refused` when the versions or the mapping make no sense."""
    with app.database.reading() as connection:
        versions = _versions(app, connection, journey, from_, to, steps)
        standing = enrollments.standing(connection, versions.old.id)
        return _move(versions, standing, steps)


def _move(versions: _Versions, standing: Sequence[Any], steps: Mapping[str, str]) -> Move:
    people: dict[str | None, Counter[Stuck | None]] = {}
    for row in standing:
        there = place_in(versions.new_graph, row.step, steps)
        people.setdefault(row.step, Counter())[_stuck(row, there)] += row.people
    order = {step: number for number, step in enumerate((None, *versions.old_graph.nodes))}
    places = tuple(
        Place(
            step=step,
            to=place_in(versions.new_graph, step, steps),
            people=sum(counts.values()),
            stuck={why: count for why, count in counts.items() if why is not None},
        )
        for step, counts in sorted(people.items(), key=lambda one: order.get(one[0], len(order)))
    )
    return Move(versions.old.journey, versions.old.number, versions.new.number, dict(steps), places)


def _stuck(row: Any, there: str | None) -> Stuck | None:
    """Why this way cannot be moved now; None when it can."""
    if row.aside:
        return Stuck.aside
    if row.has_task:
        return Stuck.task
    if row.has_message:
        return Stuck.message
    return Stuck.step if row.step is not None and there is None else None


def _versions(
    app: App, connection: Connection, journey: str, from_: int, to: int | None, steps: Mapping[str, str]
) -> _Versions:
    old = version_numbered(connection, journey, from_)
    new = version_numbered(connection, journey, to) if to is not None else live_version(connection, journey)
    assert new is not None
    if old.id == new.id:
        raise Refused(f"--from and --to are both version {from_} of {journey}")
    audience = app.rules(connection).audience
    versions = _Versions(old, new, _readable(old, audience), fitting(app, new, audience))
    one, other = versions.old_graph.head.again.per, versions.new_graph.head.again.per
    if one != other:
        told = "people inside are known by another key than the other version asks for"
        raise Refused(f"{told}: again: {{per: {one}}} there, {{per: {other}}} here" if one and other else told)
    for name, graph, number in [
        *((name, versions.old_graph, old.number) for name in steps),
        *((name, versions.new_graph, new.number) for name in steps.values()),
    ]:
        if name not in graph.nodes:
            raise Refused(f"--map: version {number} of {journey} has no step {name}; {hint_for(name, graph.nodes)}")
    return versions


def _readable(version: journeys.Version, audience: Audience) -> Graph:
    graph = read_version(version, audience)
    if graph is None:
        raise Refused(f"version {version.number} of {version.journey} can no longer be read")
    return graph


# --- moving ----------------------------------------------------------------------------------------------------------


def move(app: App, plan: Move, by: str) -> int:
    """Move everyone who can be, page by page; how many went."""
    with app.database.reading() as connection:
        versions = _versions(app, connection, plan.journey, plan.from_, plan.to, plan.steps)
    with app.database.writing() as connection:
        note = "1 person" if plan.movable == 1 else f"{plan.movable} people"
        journeys.write_down(
            connection, versions.new, app.clock.now(), by, journeys.MOVED, f"{note} of version {plan.from_}"
        )
    after = moved = 0
    while True:
        with app.database.writing() as connection:
            page = enrollments.page_of_version(connection, versions.old.id, after, PAGE)
            if not page:
                return moved
            moved += _move_page(app, connection, versions, page, plan.steps, by)
            after = page[-1].id


def _move_page(
    app: App, connection: Connection, versions: _Versions, page: Sequence[Any], steps: Mapping[str, str], by: str
) -> int:
    now = app.clock.now()
    going = [row for row in page if _stuck(row, place_in(versions.new_graph, row.step, steps)) is None]
    before = [enrollments.as_value(row) for row in going]
    ways = [transferred(way, versions.new_graph, versions.new.id, steps, now) for way in before]
    customers.raise_revision(connection, [way.customer_id for way in ways])
    enrollments.transfer(connection, ways)
    lines = [_trace(versions, one, other, by) for one, other in zip(before, ways, strict=True)]
    rows = [trace_row(way.customer_id, line, now) for way, line in zip(ways, lines, strict=True)]
    work.add_traces(connection, rows)
    return len(ways)


def _trace(versions: _Versions, before: Enrolled, after: Enrolled, by: str) -> Trace:
    sentence = f"{by} moved it from version {versions.old.number} to version {versions.new.number}"
    if after.step != before.step:
        sentence += f", from {before.step} to {after.step}"
    graph = versions.new_graph
    written = graph.nodes[after.step].position if after.step else graph.enter_position
    detail = {"from_version": versions.old.number, "to_version": versions.new.number, "from_step": before.step}
    return Trace(after.id, after.journey, after.step, Rule.moved, sentence, detail, versions.new.file, written.line)


# --- what would follow -----------------------------------------------------------------------------------------------


def follows(app: App, plan: Move, limit: int = LOOKED_AT) -> Follows:
    """What the plan would do at once for those who are moved, as the daemon would decide it now. Nothing is written."""
    now = app.clock.now()
    told: Counter[tuple[str, ...]] = Counter()
    people = after = 0
    with app.database.reading() as connection:
        versions = _versions(app, connection, plan.journey, plan.from_, plan.to, plan.steps)
        rules = app.rules(connection)
        rules = replace(rules, graphs={**rules.graphs, versions.new.id: versions.new_graph})
        needs = needs_of(rules, app.texts)
        while people < limit:
            page = enrollments.page_of_version(connection, versions.old.id, after, PAGE)
            if not page:
                break
            after = page[-1].id
            going = {
                row.id: transferred(enrollments.as_value(row), versions.new_graph, versions.new.id, plan.steps, now)
                for row in page
                if _stuck(row, place_in(versions.new_graph, row.step, plan.steps)) is None
            }
            people += len(going)
            for state in _states(app, connection, going, versions, rules, needs):
                told.update(_told(decide(state, rules, now), state, going))
    return Follows(people, *(_by(told, kind) for kind in ("sends", "unsent", "tasks", "ends", "stands")))


def _states(
    app: App,
    connection: Connection,
    going: Mapping[int, Enrolled],
    versions: _Versions,
    rules: Rules,
    needs: Needs,
) -> Iterator[CustomerState]:
    """The people of these ways as if they had been moved."""
    now = app.clock.now()
    ids = sorted({way.customer_id for way in going.values()})
    entering = {versions.new.journey: versions.new.id}
    gathered, _ = gather_readable(app, connection, ids, rules, needs, now, entering)
    for state in with_codes(connection, gathered, versions.new.id, rules, needs, now).states:
        yield replace(state, enrollments=tuple(going.get(way.id, way) for way in state.enrollments))


def _told(decision: Decision, state: CustomerState, going: Mapping[int, Enrolled]) -> Iterator[tuple[str, ...]]:
    for want in decision.wants:
        if want.enrollment.id in going:
            yield "sends", want.step
    for unsent in decision.unsent:
        if unsent.enrollment.id in going:
            yield "unsent", unsent.step, unsent.rule.value
    for task in decision.open_tasks:
        if task.enrollment.id in going:
            yield "tasks", task.step
    moved = {way.id: way for way in decision.moves}
    for way in state.enrollments:
        if way.id in going:
            after = moved.get(way.id, way)
            yield ("stands", after.step or "") if after.active else ("ends", after.reason or "")


def _by(told: Mapping[tuple[str, ...], int], kind: str) -> dict[Any, int]:
    found = {key[1:]: count for key, count in told.items() if key[0] == kind}
    return {key[0] if len(key) == 1 else key: count for key, count in sorted(found.items(), key=_most_first)}


def _most_first(one: tuple[tuple[str, ...], int]) -> tuple[int, tuple[str, ...]]:
    return -one[1], one[0]

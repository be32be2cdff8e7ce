"""From the tree an author wrote to the graph people walk: every step by its id, and where each outcome leads."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import cached_property
from math import prod
from typing import Any

from pydantic import BaseModel

from engine.journey.changes import Changes, Value
from engine.journey.conditions import Condition, FieldKind, Test, tests_of
from engine.journey.conditions import Field as AskedField
from engine.journey.enter import ByAbsence, ByDate, ByEvent, ByHappening
from engine.journey.head import Journey
from engine.journey.problems import Position, Problem
from engine.journey.quantities import Misread, parse_word
from engine.journey.source import NOTHING, Sourced, first_of
from engine.journey.steps import (
    MAX_REPEATS_AROUND,
    MAX_ROUNDS_IN_ALL,
    ROUND,
    AnyStep,
    BranchStep,
    EmitStep,
    ExitStep,
    GiveStep,
    RepeatStep,
    Rounds,
    SendStep,
    StartStep,
    Step,
    StopStep,
    TaskStep,
    UpdateStep,
    WaitForStep,
    WaitStep,
    WebhookStep,
)

StepPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Node:
    """One step, with its way on. An outcome that `outcomes` does not name falls through to `next`."""

    id: str
    verb: str
    step: Step  # with its id filled in
    next: str | None  # None: the plan ends here
    outcomes: Mapping[str, str | None]  # outcome -> first node of its steps; of an empty list, `next`
    position: Position
    path: StepPath = ()  # where the step stands in the file, for Problems about its parts
    loops: tuple[str, ...] = ()  # the repeats it is repeated by, the outermost first


@dataclass(frozen=True)
class GraphNames:
    """Everything a journey speaks of, by kind."""

    events: frozenset[str] = frozenset()
    messages: frozenset[str] = frozenset()
    channels: frozenset[str] = frozenset()
    traits: frozenset[str] = frozenset()
    attributes: frozenset[str] = frozenset()
    segments: frozenset[str] = frozenset()
    lists: frozenset[str] = frozenset()
    pools: frozenset[str] = frozenset()
    queues: frozenset[str] = frozenset()
    briefs: frozenset[str] = frozenset()
    topics: frozenset[str] = frozenset()
    journeys: frozenset[str] = frozenset()
    happenings: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Graph:
    """A journey ready to be walked. Equal fingerprints mean the same plan."""

    journey: str
    head: Journey
    nodes: Mapping[str, Node]  # in the order of the plan
    start: str | None
    fingerprint: str
    file: str
    leave_positions: tuple[Position, ...]  # one per leave rule
    enter_position: Position
    hashed_as: str  # the name by which chance knows it: its oldest, so that a rename draws no new lots
    sourced: Sourced = field(default=NOTHING, compare=False, repr=False)  # for Problems about what is written
    whole: bool = True  # False: salvaged from a file with mistakes, good for checking names only

    def follow(self, node_id: str, outcome: str | None = None) -> str | None:
        """The node after `node_id` when it ends with `outcome`; None: the plan ends."""
        node = self.nodes[node_id]
        return node.outcomes.get(outcome, node.next) if outcome is not None else node.next

    def ways_on(self, node_id: str) -> tuple[str | None, ...]:
        """Every node that may come after this one (None: the end)."""
        node = self.nodes[node_id]
        if isinstance(node.step, ExitStep):
            return (None,)
        possible = node.step.possible
        return tuple(dict.fromkeys(self.follow(node_id, outcome) for outcome in possible)) or (node.next,)

    def onward(self, node_id: str) -> tuple[str | None, ...]:
        """The same without going round: after the last step of a round comes what follows the repeat."""
        step = self.nodes[node_id].step
        if isinstance(step, RepeatStep):  # without a condition nobody goes on before a round
            known = (self.follow(node_id, ROUND), *([self.follow(node_id, "then")] if step.repeat.until else []))
        else:
            known = self.ways_on(node_id)
        return tuple(dict.fromkeys(one for target in known for one in self.past(node_id, target)))

    def past(self, node_id: str, target: str | None) -> Iterator[str | None]:
        """Where one comes to who goes from a step to this target, and not round."""
        if target is None or target not in self.nodes[node_id].loops:
            yield target
            return
        step = self.nodes[target].step
        assert isinstance(step, RepeatStep)
        for outcome in step.ways_out:
            yield from self.past(target, self.follow(target, outcome))

    def times(self, node_id: str) -> int:
        """How often one can come to a step at most."""
        return prod(self.rounds(loop).times for loop in self.nodes[node_id].loops)

    def rounds(self, loop: str) -> Rounds:
        """What a repeat repeats."""
        step = self.nodes[loop].step
        assert isinstance(step, RepeatStep)
        return step.repeat

    @cached_property
    def names(self) -> GraphNames:
        """Everything it speaks of: to know what to read about a person, and to check that it exists."""
        found: dict[str, set[str]] = {part.name: set() for part in fields(GraphNames)}
        for kind, name in _names(self):
            found[kind].add(name)
        return GraphNames(**{kind: frozenset(names) for kind, names in found.items()})


def flatten(journey: Journey, sourced: Sourced, name: str) -> tuple[Graph | None, list[Problem]]:
    """Give every step its id and its way on. Two steps of one id are a mistake."""
    layout = _Layout(sourced)
    problems = _bad_name(name, sourced)
    start = layout.lay(journey.steps, ("steps",), None)
    problems += layout.problems
    if problems:
        return None, first_of(problems)
    graph = Graph(
        journey=name,
        head=journey,
        nodes=layout.nodes,
        start=start,
        fingerprint=fingerprint(journey),
        file=sourced.file,
        leave_positions=tuple(sourced.at(("leave", index)) for index in range(len(journey.leave))),
        enter_position=sourced.at(("enter",)),
        hashed_as=next(iter(journey.was), name),
        sourced=sourced,
    )
    return graph, []


def _bad_name(name: str, sourced: Sourced) -> list[Problem]:
    try:
        parse_word(name)
    except Misread:
        sentence = f"`{name}` cannot be the name of a journey"
        hint = "name the file with letters, digits, _ and - only: golden_72_hours.yaml"
        return [Problem("bad-name", sentence, Position(sourced.file), hint)]
    return []


class _Layout:
    """Lays out lists of steps one after the other and remembers the ids in use."""

    def __init__(self, sourced: Sourced) -> None:
        self.sourced = sourced
        self.nodes: dict[str, Node] = {}
        self.problems: list[Problem] = []
        self._met: Counter[str] = Counter()  # ids that came again

    def lay(
        self, steps: tuple[AnyStep, ...], path: StepPath, after: str | None, loops: tuple[str, ...] = ()
    ) -> str | None:
        """Lay out a list that goes on to `after`; its first id, or `after` when it is empty."""
        ids = [_id_of(step) for step in steps] + [after]
        for index, step in enumerate(steps):
            self._place(step, str(ids[index]), ids[index + 1], (*path, index), loops)
        return ids[0]

    def _place(self, step: AnyStep, step_id: str, after: str | None, path: StepPath, loops: tuple[str, ...]) -> None:
        if step_id in self.nodes:
            self.problems.append(self._twice(step, step_id, path))
            return
        next_id = None if isinstance(step, ExitStep) else after
        after_outcome = {name: None if name in step.final else next_id for name in (*step.final, *step.possible)}
        outcomes: dict[str, str | None] = dict.fromkeys(step.final)
        outcomes |= {name: _id_of(inner[0]) if inner else after_outcome[name] for name, inner, _ in step.ways}
        position = self.sourced.at(path)
        self.nodes[step_id] = Node(step_id, step.verb, _filled(step, step_id), next_id, outcomes, position, path, loops)
        around = (*loops, step_id)
        for name, inner, inner_path in step.ways:
            if isinstance(step, RepeatStep) and name == ROUND:
                self.problems += self._too_many(step, around, path)
                self.lay(inner, (*path, *inner_path), step_id, around)
            else:
                self.lay(inner, (*path, *inner_path), after_outcome[name], loops)

    def _too_many(self, step: RepeatStep, loops: tuple[str, ...], path: StepPath) -> list[Problem]:
        """Repeats in repeats multiply."""
        if len(loops) > MAX_REPEATS_AROUND:
            sentence = f"repeats stand in one another more than {MAX_REPEATS_AROUND} deep"
            return [Problem("too-many-rounds", sentence, self.sourced.at(path), "repeat in fewer steps")]
        steps = [self.nodes[loop].step for loop in loops]
        rounds = prod(one.repeat.times for one in steps if isinstance(one, RepeatStep))
        if rounds <= MAX_ROUNDS_IN_ALL:
            return []
        sentence = f"together with the repeats around it these are {rounds} rounds, more than {MAX_ROUNDS_IN_ALL}"
        return [Problem("too-many-rounds", sentence, self.sourced.at((*path, "repeat", "times")), "repeat less often")]

    def _twice(self, step: AnyStep, step_id: str, path: StepPath) -> Problem:
        first = self.nodes[step_id].position.line
        if step.id:
            sentence = f"the id `{step_id}` is used twice; the first is on line {first}"
            return Problem("duplicate-id", sentence, self.sourced.at((*path, "id")), "write another id")
        sentence = f"two steps would both be called `{step_id}`; the first is on line {first}"
        self._met[step_id] += 1
        return Problem(
            "duplicate-id",
            sentence,
            self.sourced.at(path),
            f"give one of them an id of its own: `id: {step_id}-{self._met[step_id] + 1}`",
        )


def _id_of(step: AnyStep) -> str:
    return step.id or step.default_id


def _filled(step: AnyStep, step_id: str) -> Step:
    """The step as people walk it: with its id, and each awaited event with the condition that belongs to it."""
    update: dict[str, Any] = {"id": step_id}
    if isinstance(step, WaitForStep):
        update |= {"wait_for": step.awaited}
    return step.model_copy(update=update)


# --- the names a journey speaks of


def _names(graph: Graph) -> Iterator[tuple[str, str]]:
    head = graph.head
    yield "topics", head.topic
    match head.enter:
        case ByEvent(event=event) | ByAbsence(absence_of=event):
            yield "events", event
        case ByDate(date=name):
            yield "attributes", name
        case ByHappening(happening=name):
            yield "happenings", name
    if segment := getattr(head.enter, "segment", None):
        yield "segments", segment
    if head.first is not None:
        yield ("traits" if head.first.kind is FieldKind.trait else "attributes"), head.first.name
    for rule in head.leave:
        if rule.event:
            yield "events", rule.event
        if rule.segment:
            yield "segments", rule.segment
    if head.goal:
        yield "events", head.goal.event
    for node in graph.nodes.values():
        yield from _names_of_step(node.step)
    for condition, _ in conditions_of(graph):
        for test in tests_of(condition):
            yield from names_of_test(test)


def _names_of_step(step: Step) -> Iterator[tuple[str, str]]:
    match step:
        case SendStep():
            yield "messages", step.send
            yield from (("channels", channel) for channel in step.via)
            if step.topic:
                yield "topics", step.topic
        case WaitForStep():
            yield from (("events", one.event) for one in step.wait_for if one.event)
            yield from (("messages", one.message) for one in step.wait_for if one.message)
        case GiveStep():
            yield "pools", step.give
        case TaskStep():
            yield "briefs", step.task
            yield "queues", step.queue
            if step.escalate:
                yield "queues", step.escalate.to
        case UpdateStep():
            yield from _names_of_changes(step.update)
        case StartStep(start=name) | StopStep(stop=name):
            yield "journeys", name
        case EmitStep() | WebhookStep():
            yield from _names_of_values(step.with_.values())
        case WaitStep() if isinstance(until := getattr(step.wait, "until", None), str):
            yield "attributes", until


def _names_of_changes(changes: Changes) -> Iterator[tuple[str, str]]:
    if changes.consent is not None:
        yield "topics", changes.consent.topic
        yield from (("channels", channel) for channel in changes.consent.channel)
    yield from _names_of_values(changes.set.values())


def _names_of_values(values: Iterable[Value]) -> Iterator[tuple[str, str]]:
    for one in values:
        if isinstance(one.from_, AskedField) and one.from_.kind is FieldKind.trait:
            yield "traits", one.from_.name


def names_of_test(test: Test) -> Iterator[tuple[str, str]]:
    """The names one test of a condition speaks of."""
    values = test.value if isinstance(test.value, tuple) else (test.value,)
    match test.field.kind:
        case FieldKind.trait:
            yield "traits", test.field.name
        case FieldKind.attribute:
            yield "attributes", test.field.name
        case FieldKind.segment:
            yield from (("segments", str(value)) for value in values)
        case FieldKind.message:
            yield "messages", test.field.name
        case FieldKind.event | FieldKind.now | FieldKind.tag:
            pass
    if test.word.value in ("one_of", "none_of") and isinstance(test.value, str):
        yield "lists", test.value


def conditions_of(graph: Graph) -> Iterator[tuple[Condition, StepPath]]:
    """Every condition of a journey, with where it is written."""
    head = graph.head
    if isinstance(head.enter, ByEvent | ByAbsence) and head.enter.where is not None:
        yield head.enter.where, ("enter", "where")
    for index, rule in enumerate(head.leave):
        if rule.where is not None:
            yield rule.where, ("leave", index, "where")
    if head.goal and head.goal.where is not None:
        yield head.goal.where, ("goal", "where")
    for node in graph.nodes.values():
        yield from _conditions_of_step(node.step, node.path)


def _conditions_of_step(step: Step, path: StepPath) -> Iterator[tuple[Condition, StepPath]]:
    if isinstance(step, BranchStep):
        for index, case in enumerate(step.branch):
            yield case.if_, (*path, "branch", index, "if")
    if isinstance(step, WaitForStep):
        for index, one in enumerate(step.wait_for):
            if one.where is not None:
                inner = ("where",) if step.where is not None else ("wait_for", index, "where")
                yield one.where, (*path, *inner)
    if isinstance(step, RepeatStep) and step.repeat.until is not None:
        yield step.repeat.until, (*path, "repeat", "until")


# --- the meaning of a journey as one number


def fingerprint(journey: Journey) -> str:
    """SHA-256 of what a journey means: comments, layout, quotes and the order of keys do not change it."""
    return hashlib.sha256(json.dumps(canonical(journey), sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def canonical(value: Any) -> Any:
    """A value as JSON in one form only. Kinds of conditions are told apart by their names."""
    match value:
        case BaseModel():
            meant = (name for name, key in type(value).model_fields.items() if not key.exclude)
            parts = {name: canonical(getattr(value, name)) for name in meant}
            if isinstance(value, Step):
                parts["id"] = value.id or value.default_id
            return {"": type(value).__name__, **parts}
        case Mapping():
            return {str(key): canonical(inner) for key, inner in value.items()}
        case tuple() | list():
            return [canonical(inner) for inner in value]
        case frozenset() | set():
            return sorted(canonical(inner) for inner in value)
        case Enum():
            return value.value
        case Decimal():
            return f"{value.normalize():f}"
        case timedelta():
            return value.total_seconds()
        case time() | date():
            return value.isoformat()
        case _ if is_dataclass(value):
            parts = {part.name: canonical(getattr(value, part.name)) for part in fields(value) if part.compare}
            return {"": type(value).__name__, **parts}
        case _:
            return value

"""Other journeys: one that starts itself, circles in which each starts the next at once, a start that cannot be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.journey.enter import ByEvent
from engine.journey.graph import Graph
from engine.journey.lint.subject import Subject
from engine.journey.problems import Problem
from engine.journey.steps import StartStep, StopStep, TaskStep, WaitForStep, WaitStep

SLOW = (WaitStep, WaitForStep, TaskStep)  # nobody is past these at once


def not_itself(subject: Subject) -> Iterator[Problem]:
    """A journey starts and stops others."""
    for node in subject.graph.nodes.values():
        match node.step:
            case StartStep(start=subject.graph.journey):
                hint = "repeat some steps with `repeat`, or let an event open it again"
                yield subject.error((*node.path, "start"), "about-itself", "a journey cannot start itself", hint)
            case StopStep(stop=subject.graph.journey):
                yield subject.error(
                    (*node.path, "stop"), "about-itself", "a journey cannot stop itself", "write `exit: a_reason`"
                )


def no_circle(subject: Subject) -> Iterator[Problem]:
    """Journeys that start one another without an end, and without a pause."""
    mine = subject.graph.journey
    for node_id in started_at_once(subject.graph):
        node = subject.graph.nodes[node_id]
        if isinstance(node.step, StartStep) and node.step.start != mine:
            way = _way_back(node.step.start, mine, subject.names.starts)
            if way:
                sentence = (
                    f"nothing takes time on the way {mine} -> {' -> '.join(way)}: they start one another for ever"
                )
                hint = "put a `wait` between, or leave one of the starts out"
                yield subject.error((*node.path, "start"), "circular-start", sentence, hint)


def key_handed_on(subject: Subject) -> Iterator[Problem]:
    """A journey that is entered once per key of an event needs that event."""
    if isinstance(subject.graph.head.enter, ByEvent):
        return
    for node in subject.graph.nodes.values():
        if isinstance(node.step, StartStep) and (per := subject.names.per.get(node.step.start)) is not None:
            sentence = f"`{node.step.start}` is entered once per `{per}` of an event, and no event opens this journey"
            yield subject.error((*node.path, "start"), "start-without-key", sentence, "enter this journey by an event")


def started_at_once(graph: Graph) -> Iterator[str]:
    """Steps that start another journey as soon as somebody enters this one."""
    waiting, seen = [graph.start], set[str | None]()
    while waiting:
        node_id = waiting.pop()
        if node_id is None or node_id in seen:
            continue
        seen.add(node_id)
        step = graph.nodes[node_id].step
        if isinstance(step, StartStep):
            yield node_id
        if not isinstance(step, SLOW):
            waiting += graph.onward(node_id)


def starts_of(graph: Graph) -> frozenset[str]:
    """The journeys it starts at once."""
    steps = (graph.nodes[node_id].step for node_id in started_at_once(graph))
    return frozenset(step.start for step in steps if isinstance(step, StartStep))


def _way_back(start: str, goal: str, leads_to: Mapping[str, frozenset[str]]) -> list[str]:
    """The shortest way from one journey to another by starts, both ends told; nothing when there is none."""
    ways, seen = [[start]], {start}
    for way in ways:
        for name in sorted(leads_to.get(way[-1], ())):
            if name == goal:
                return [*way, name]
            if name not in seen:
                seen.add(name)
                ways.append([*way, name])
    return []

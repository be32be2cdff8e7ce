"""Other journeys: one that starts itself, circles in which each starts the next at once, a start that cannot be."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from engine.journey.enter import ByEvent
from engine.journey.graph import Graph, Node
from engine.journey.lint.subject import Subject
from engine.journey.problems import Problem
from engine.journey.steps import ApproveStep, EmitStep, StartStep, Step, StopStep, TaskStep, WaitForStep, WaitStep

SLOW = (WaitStep, WaitForStep, TaskStep, ApproveStep)  # nobody is past these at once


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


def no_echo(subject: Subject) -> Iterator[Problem]:
    """An event that leads back to the journey that emits it, which lets everyone in again."""
    mine, at_once = subject.graph.journey, set(_at_once(subject.graph))
    if not subject.graph.head.again.always:
        return
    for node in subject.graph.nodes.values():
        if isinstance(node.step, EmitStep):
            opened = subject.names.opens.get(node.step.emit, frozenset())
            ways = [[mine]] if mine in opened else [_way_back(one, mine, subject.names.leads_to) for one in opened]
            for way in filter(None, ways):
                sentence = f"this opens {' -> '.join(way)} again, and `again: always` lets everyone in: without an end"
                hint = "write `again: {after: 30d}`, or emit another event"
                tell = subject.error if way == [mine] and node.id in at_once else subject.warning
                yield tell((*node.path, "emit"), "circular-emit", sentence, hint)


def not_for_each_other(subject: Subject) -> Iterator[Problem]:
    """An event that nobody emits before what comes after it: two journeys wait for each other."""
    for node in subject.graph.nodes.values():
        if isinstance(node.step, WaitForStep) and len(node.step.wait_for) == 1:
            event = node.step.wait_for[0].event or ""
            way = _way_back(event, event, subject.names.needs)
            if way:
                told = " needs ".join(f"`{one}`" for one in way)
                sentence = f"journeys wait for each other here, so nobody ever emits it: {told}"
                hint = "let one of them go on without the other, by `otherwise` or by the order of its steps"
                yield subject.warning((*node.path, "wait_for"), "waits-for-each-other", sentence, hint)


def opens(graphs: Iterable[Graph]) -> dict[str, frozenset[str]]:
    """The journeys that each event lets people into, whoever was inside before."""
    found: dict[str, set[str]] = {}
    for graph in graphs:
        if isinstance(graph.head.enter, ByEvent) and graph.head.again.always:
            found.setdefault(graph.head.enter.event, set()).add(graph.journey)
    return {event: frozenset(journeys) for event, journeys in found.items()}


def leads_to(graph: Graph, opened: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """The journeys it ever lets people into by what it emits."""
    emitted = {step.emit for step in _steps(graph) if isinstance(step, EmitStep)}
    return frozenset(name for event in emitted for name in opened.get(event, ()))


def needs(graphs: Iterable[Graph], from_outside: Collection[str]) -> dict[str, frozenset[str]]:
    """For each event that only journeys emit: the events without which none of them comes so far."""
    found: dict[str, frozenset[str]] = {}
    for graph in graphs:
        awaited = _awaited(graph)
        for node_id, before in awaited.items():
            step = graph.nodes[node_id].step
            if isinstance(step, EmitStep) and step.emit not in from_outside:
                found[step.emit] = found.get(step.emit, before) & before
    return found


def _awaited(graph: Graph) -> dict[str, frozenset[str]]:
    """For each step: the events that must have come before one is there."""
    found: dict[str, frozenset[str]] = {} if graph.start is None else {graph.start: frozenset()}
    for node_id, node in graph.nodes.items():
        for following in graph.onward(node_id) if node_id in found else ():
            if following is not None:
                come = found[node_id] | _must_come(graph, node, following)
                found[following] = found.get(following, come) & come
    return found


def _must_come(graph: Graph, node: Node, following: str) -> frozenset[str]:
    """The event that one has seen who goes on from a step to this one."""
    step = node.step
    if not isinstance(step, WaitForStep) or len(step.wait_for) != 1 or step.wait_for[0].event is None:
        return frozenset()
    in_vain = set(graph.past(node.id, graph.follow(node.id, "otherwise")))
    return frozenset() if following in in_vain else frozenset({step.wait_for[0].event})


def _steps(graph: Graph) -> Iterator[Step]:
    return (node.step for node in graph.nodes.values())


def started_at_once(graph: Graph) -> Iterator[str]:
    """Steps that start another journey as soon as somebody enters this one."""
    return (one for one in _at_once(graph) if isinstance(graph.nodes[one].step, StartStep))


def _at_once(graph: Graph) -> Iterator[str]:
    """Steps that one can be at as soon as one enters."""
    waiting, seen = [graph.start], set[str | None]()
    while waiting:
        node_id = waiting.pop()
        if node_id is None or node_id in seen:
            continue
        seen.add(node_id)
        yield node_id
        step = graph.nodes[node_id].step
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

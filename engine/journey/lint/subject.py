"""What every check is given: one journey, the installation it is held against, and the ways that lead through it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import time, timedelta
from functools import cached_property

from engine.journey.catalog import Names
from engine.journey.enter import plan_of
from engine.journey.graph import Graph, Node, StepPath
from engine.journey.problems import Problem, Severity
from engine.journey.steps import (
    BranchStep,
    GiveStep,
    SplitStep,
    Step,
    WaitFor,
    WaitForStep,
    WaitStep,
    WaitUntil,
)
from engine.settings import Policy

MINUTES = 24 * 60  # of a day


@dataclass(frozen=True)
class Subject:
    """One journey, and what it is held against."""

    graph: Graph
    names: Names
    policy: Policy

    def error(self, path: StepPath, code: str, sentence: str, hint: str = "", key: bool = False) -> Problem:
        """Something that certainly cannot work, at a place of the file (`key`: at the key that leads to it)."""
        return Problem(code, sentence, self.graph.sourced.at(path, key), hint)

    def warning(self, path: StepPath, code: str, sentence: str, hint: str = "", key: bool = False) -> Problem:
        """Something a colleague would ask about."""
        return Problem(code, sentence, self.graph.sourced.at(path, key), hint, Severity.warning)

    @cached_property
    def before(self) -> Mapping[str, tuple[str, ...]]:
        """For every step: those one may come from, without going round. In plan order, which leads forward."""
        found: dict[str, list[str]] = {self.graph.start: []} if self.graph.start else {}
        for node in self.graph.nodes:
            if node in found:
                for following in self.graph.onward(node):
                    if following is not None:
                        found.setdefault(following, []).append(node)
        return {node: tuple(dict.fromkeys(found[node])) for node in self.graph.nodes if node in found}

    @cached_property
    def earliest(self) -> Mapping[str, timedelta]:
        """For every step that can be reached: the least time after entry at which one can be there."""
        found: dict[str, timedelta] = {}
        for name, ways in self.before.items():
            found[name] = min((found[way] + _least(self.graph, way, name) for way in ways), default=timedelta(0))
        return found

    @cached_property
    def local_arrivals(self) -> Mapping[str, frozenset[time]]:
        """The local times at which people come to a step, where the plan fixes them; empty where it does not."""
        found: dict[str, frozenset[time]] = {}
        enter = self.graph.head.enter
        plan = plan_of(enter)
        first = plan.times if plan is not None and plan.zone == "person" else frozenset()
        for name, ways in self.before.items():
            times = [_leaves_at(self.graph.nodes[way], found[way]) for way in ways] or [first]
            found[name] = frozenset().union(*times) if all(times) else frozenset()
        return found


def _least(graph: Graph, node_id: str, following: str) -> timedelta:
    """The least time between arriving at a step and at the one that follows it."""
    step = graph.nodes[node_id].step
    if isinstance(step, WaitForStep):
        answered = graph.past(node_id, graph.follow(node_id, "then"))
        return timedelta(0) if following in answered else step.within
    return least_wait(step)


def least_wait(step: Step) -> timedelta:
    """The time that a step certainly takes."""
    if isinstance(step, WaitStep):
        return getattr(step.wait, "duration", timedelta(0))
    return timedelta(0)


def _leaves_at(node: Node, arrives: frozenset[time]) -> frozenset[time]:
    match node.step:
        case WaitStep(wait=WaitUntil(until=time() as until)):
            return frozenset({until})
        case WaitStep(wait=WaitFor(duration=duration)):
            return frozenset(_later(at, duration) for at in arrives)
        case BranchStep() | SplitStep() | GiveStep():
            return arrives
        case _:
            return frozenset()


def _later(at: time, duration: timedelta) -> time:
    return time(*divmod((minute(at) + int(duration.total_seconds()) // 60) % MINUTES, 60))


def minute(at: time) -> int:
    """Minutes since midnight."""
    return at.hour * 60 + at.minute


def written(span: timedelta) -> str:
    """A duration in a sentence: 6 hours, 3 days."""
    hours = span.total_seconds() / 3600
    if hours >= 48:
        return f"{hours / 24:g} days"
    return f"{hours:g} {'hour' if hours == 1 else 'hours'}" if hours >= 1 else f"{hours * 60:g} minutes"


Check = Callable[[Subject], Iterator[Problem]]

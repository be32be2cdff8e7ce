"""Time: is there any left for a wait before the journey ends, and does a window open before a message gives up?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import time, timedelta

from engine.journey.enter import ByWave
from engine.journey.graph import Graph, Node
from engine.journey.lint.subject import Subject
from engine.journey.problems import Problem
from engine.journey.quantities import Window
from engine.journey.steps import (
    BranchStep,
    GiveStep,
    RepeatStep,
    SendStep,
    SplitStep,
    Step,
    WaitForStep,
    WaitStep,
    WaitUntil,
)

_MINUTES = 24 * 60


def before_the_end(subject: Subject) -> Iterator[Problem]:
    """A wait that leads past `ends_after` on every way: what follows it can never begin."""
    graph = subject.graph
    end = graph.head.ends_after
    if end is None:
        return
    arrives: dict[str, timedelta] = {}
    for name, ways in subject.before.items():
        arrives[name] = min((arrives[way] + _least(graph, way, name) for way in ways), default=timedelta(0))
        node = graph.nodes[name]
        keys, span = _longest_wait(node.step)
        if arrives[name] <= end < arrives[name] + span:
            sentence = f"this wait reaches past the end of the journey, {_written(end)} after entry"
            hint = "wait shorter, or raise `ends_after`"
            yield subject.error((*node.path, *keys), "wait-longer-than-ends-after", sentence, hint)


def _longest_wait(step: Step) -> tuple[tuple[str, ...], timedelta]:
    """The key that says how long a step may last, and its value."""
    if isinstance(step, WaitForStep):
        return ("within",), step.within
    if isinstance(step, RepeatStep) and step.repeat.times > 1:
        return ("repeat", "every"), step.repeat.every or timedelta(0)
    return ("wait",), _least_wait(step)


def _least(graph: Graph, node_id: str, following: str) -> timedelta:
    """The least time between arriving at a step and at the one that follows it."""
    step = graph.nodes[node_id].step
    if isinstance(step, WaitForStep):
        answered = graph.past(node_id, graph.follow(node_id, "then"))
        return timedelta(0) if following in answered else step.within
    return _least_wait(step)


def _least_wait(step: Step) -> timedelta:
    if isinstance(step, WaitStep):
        return getattr(step.wait, "duration", timedelta(0))
    return timedelta(0)


# --- quiet hours


def windows_open(subject: Subject) -> Iterator[Problem]:
    """A message that always falls due in quiet hours and gives up before they end."""
    for name, times in _local_arrivals(subject).items():
        node = subject.graph.nodes[name]
        step, head = node.step, subject.graph.head
        if not isinstance(step, SendStep) or not times or not subject.policy.is_marketing(step.topic or head.topic):
            continue
        closed = [channel for channel in step.via if _closed(subject, channel, times, step.give_up_after)]
        if len(closed) == len(step.via):
            at = ", ".join(sorted(f"{one:%H:%M}" for one in times))
            sentence = (
                f"`{name}` falls due at {at}, in quiet hours of {', '.join(closed)}, and gives up before they end"
            )
            hint = "raise `give_up_after`, or send at another time"
            yield subject.error(node.path, "never-in-time", sentence, hint)


def _closed(subject: Subject, channel: str, times: frozenset[time], patience: timedelta) -> bool:
    both = (subject.policy.window(channel), subject.graph.head.quiet_hours.get(channel))
    windows = [one for one in both if one is not None]
    return bool(windows) and all(_wait_in(windows, at) > patience for at in times)


def _wait_in(windows: list[Window], at: time) -> timedelta:
    """How long the windows keep one waiting who arrives at `at`."""
    waited = timedelta(0)
    for _ in range(2 * len(windows) + 1):
        window = next((one for one in windows if one.holds(at)), None)
        if window is None:
            return waited
        waited += timedelta(minutes=(_minute(window.end) - _minute(at)) % _MINUTES)
        at = window.end
    return timedelta.max


def _minute(at: time) -> int:
    return at.hour * 60 + at.minute


def _local_arrivals(subject: Subject) -> Mapping[str, frozenset[time]]:
    """The local times at which people come to a step, where the plan fixes them; empty where it does not."""
    found: dict[str, frozenset[time]] = {}
    enter = subject.graph.head.enter
    first = enter.times if isinstance(enter, ByWave) and enter.zone == "person" else frozenset()
    for name, ways in subject.before.items():
        times = [_leaves_at(subject.graph.nodes[way], found[way]) for way in ways] or [first]
        found[name] = frozenset().union(*times) if all(times) else frozenset()
    return found


def _leaves_at(node: Node, arrives: frozenset[time]) -> frozenset[time]:
    match node.step:
        case WaitStep(wait=WaitUntil(until=time() as until)):
            return frozenset({until})
        case BranchStep() | SplitStep() | GiveStep():
            return arrives
        case _:
            return frozenset()


def _written(span: timedelta) -> str:
    hours = span.total_seconds() / 3600
    return f"{hours / 24:g} days" if hours >= 48 else f"{hours:g} hours"

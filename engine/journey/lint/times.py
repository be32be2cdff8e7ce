"""Time: is there any left for a wait before the journey ends, and does a window open before a message gives up?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import time, timedelta

from engine.journey.graph import Node
from engine.journey.lint.subject import MINUTES, Subject, least_wait, minute, written
from engine.journey.problems import Problem
from engine.journey.quantities import Window
from engine.journey.steps import ApproveStep, RepeatStep, SendStep, WaitForStep, WaitStep, WaitUntil


def before_the_end(subject: Subject) -> Iterator[Problem]:
    """A wait that leads past `ends_after` on every way: what follows it can never begin."""
    end = subject.graph.head.ends_after
    if end is None:
        return
    for name, arrives in subject.earliest.items():
        node = subject.graph.nodes[name]
        keys, span = _longest_wait(subject, node)
        if arrives <= end < arrives + span:
            sentence = f"this wait reaches past the end of the journey, {written(end)} after entry"
            hint = "wait shorter, or raise `ends_after`"
            yield subject.error((*node.path, *keys), "wait-longer-than-ends-after", sentence, hint)


def _longest_wait(subject: Subject, node: Node) -> tuple[tuple[str, ...], timedelta]:
    """The key that says how long a step may last, and its value."""
    match node.step:
        case WaitForStep() | ApproveStep() as step:
            return ("within",), step.within
        case RepeatStep() as step if step.repeat.times > 1:
            return ("repeat", "every"), step.repeat.every or timedelta(0)
        case WaitStep(wait=WaitUntil() as wait):
            return ("wait",), _until(wait, subject.local_arrivals[node.id])
        case step:
            return ("wait",), least_wait(step)


def _until(wait: WaitUntil, arrives: frozenset[time]) -> timedelta:
    """The least time until a time of day; a clock change may make it an hour shorter."""
    if not isinstance(wait.until, time) or not arrives:
        return timedelta(0)
    least = min((minute(wait.until) - minute(at)) % MINUTES for at in arrives)
    return max(timedelta(minutes=least - 60), timedelta(0))


def goal_in_time(subject: Subject) -> Iterator[Problem]:
    """A goal that is over before the first message can go says nothing about any of them."""
    goal, nodes = subject.graph.head.goal, subject.graph.nodes
    sends = [at for name, at in subject.earliest.items() if isinstance(nodes[name].step, SendStep)]
    if goal is not None and sends and min(sends) >= goal.within:
        sentence = f"the goal is over {written(goal.within)} after entry, before the first message can go"
        hint = "raise `within` of the goal, or write earlier"
        yield subject.warning(("goal", "within"), "goal-too-short", sentence, hint)


# --- quiet hours


def windows_open(subject: Subject) -> Iterator[Problem]:
    """A message that always falls due in quiet hours, and that gives up or whose journey ends before they do."""
    for name, times in subject.local_arrivals.items():
        node, head = subject.graph.nodes[name], subject.graph.head
        step = node.step
        if not isinstance(step, SendStep) or not times or not subject.policy.is_marketing(step.topic or head.topic):
            continue
        left = head.ends_after - subject.earliest[name] if head.ends_after is not None else timedelta.max
        patience = min(step.give_up_after, left)
        if all(_closed(subject, channel, times, patience) for channel in step.via):
            at, channels = ", ".join(sorted(f"{one:%H:%M}" for one in times)), ", ".join(step.via)
            ends = "gives up" if step.give_up_after <= left else "the journey ends"
            sentence = f"`{name}` falls due at {at}, in quiet hours of {channels}, and {ends} before they end"
            hint = f"raise `{'give_up_after' if step.give_up_after <= left else 'ends_after'}`, or send at another time"
            yield subject.error(node.path, "never-in-time", sentence, hint)


def _closed(subject: Subject, channel: str, times: frozenset[time], patience: timedelta) -> bool:
    return all(kept_waiting(subject, channel, at) > patience for at in times)


def kept_waiting(subject: Subject, channel: str, at: time) -> timedelta:
    """How long quiet hours hold a message that is due at `at`; the longest there is where they never end."""
    both = (subject.policy.window(channel), subject.graph.head.quiet_hours.get(channel))
    return _wait_in([one for one in both if one is not None], at)


def _wait_in(windows: list[Window], at: time) -> timedelta:
    """How long the windows keep one waiting who arrives at `at`."""
    waited = timedelta(0)
    for _ in range(2 * len(windows) + 1):
        window = next((one for one in windows if one.holds(at)), None)
        if window is None:
            return waited
        waited += timedelta(minutes=(minute(window.end) - minute(at)) % MINUTES)
        at = window.end
    return timedelta.max

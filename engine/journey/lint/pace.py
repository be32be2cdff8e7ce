"""How often the plan itself writes, held against caps and the least gap: what its own messages leave no room for.

What others send comes on top of it; here only what one can tell from the plan alone is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import time, timedelta

from engine.journey.enter import plan_of
from engine.journey.graph import Node
from engine.journey.lint.subject import Subject, minute, written
from engine.journey.lint.times import kept_waiting
from engine.journey.problems import Problem
from engine.journey.quantities import WEEKDAYS
from engine.journey.steps import SendStep, WaitFor, WaitForStep, WaitStep, WaitUntil
from engine.settings import Cap

_DAY, _WEEK, _EVER = timedelta(days=1), timedelta(days=7), timedelta.max
_AT_ONCE = frozenset({"branch", "split", "give", "update", "emit", "start", "stop"})

Spans = tuple[timedelta, ...]  # how long ago, at most: the latest message, the one before it, ...


def room_under_caps(subject: Subject) -> Iterator[Problem]:
    """A message that comes after as many of the plan's own as a cap allows, and always too soon after them."""
    told: set[str] = set()
    for cap in (*subject.graph.head.caps, *subject.policy.caps):
        for node in _without_room(subject, cap):
            if node.id not in told:
                told.add(node.id)
                who = "the message" if cap.at_most == 1 else f"the {cap.at_most} messages"
                sentence = f"whoever gets {who} before `{node.id}` cannot get it too: the cap is {cap.name}"
                hint = "wait longer before it, raise the cap, or give up one of the messages"
                yield subject.warning(node.path, "cap-leaves-no-room", sentence, hint)


def _without_room(subject: Subject, cap: Cap) -> Iterator[Node]:
    """Messages for which the plan's own have always filled the cap by the time they are due."""

    def counts(node: Node) -> bool:
        if not isinstance(node.step, SendStep):
            return False
        step, head = node.step, subject.graph.head
        tags = frozenset((*head.tags, *step.tags))
        marketing, topic = _is_marketing(subject, node), step.topic or head.topic
        return all(cap.binds(channel, topic, marketing, tags) for channel in step.via)

    counted = [node for node in subject.graph.nodes.values() if counts(node)]
    if len(counted) > cap.at_most:
        before = _messages_before(subject, cap.at_most, counts)
        for node in counted:
            if node.id in before and before[node.id][-1] < _EVER and _too_soon(subject, cap, node, before[node.id][-1]):
                yield node


def _too_soon(subject: Subject, cap: Cap, node: Node, since: timedelta) -> bool:
    """Is the oldest of the messages before, at most so long ago, still counted when this one is due?"""
    if isinstance(cap.per, timedelta):
        return since + _patience(subject, node) < cap.per
    start = _start(subject, cap.per)
    if start is not None:
        return start + _longest(subject, node.id) < (_DAY if cap.per == "day" else _WEEK)
    return since == timedelta(0) if cap.per == "day" else since <= _DAY


def room_for_the_gap(subject: Subject) -> Iterator[Problem]:
    """A message that gives up before the least gap to the plan's own message before it is over."""
    gap = subject.policy.least_gap
    before = _messages_before(subject, 1, lambda node: _is_marketing(subject, node))
    for name, (latest,) in before.items():
        node = subject.graph.nodes[name]
        if isinstance(node.step, SendStep) and _is_marketing(subject, node) and latest < gap - node.step.give_up_after:
            sentence = (
                f"`{name}` gives up after {written(node.step.give_up_after)}, and the one before it was just sent"
            )
            hint = f"config.yaml keeps {written(gap)} between two messages: wait that long, or raise `give_up_after`"
            yield subject.warning(node.path, "gap-leaves-no-room", sentence, hint)


def _is_marketing(subject: Subject, node: Node) -> bool:
    step = node.step
    return isinstance(step, SendStep) and subject.policy.is_marketing(step.topic or subject.graph.head.topic)


def _start(subject: Subject, per: str) -> timedelta | None:
    """How far into the day or week a wave begins, where that is the same for everyone."""
    plan = plan_of(subject.graph.head.enter)
    if plan is None or plan.zone != "person" or per == "month":
        return None
    at = timedelta(minutes=max(map(minute, plan.times)))
    if per == "day":
        return at
    return at + _DAY * max(WEEKDAYS.index(str(day)) for day in plan.on) if plan.every == "week" else None


def _patience(subject: Subject, node: Node) -> timedelta:
    """How long a message may have to wait for the end of quiet hours, and does."""
    step = node.step
    assert isinstance(step, SendStep)
    closed = (subject.policy.window(one) or subject.graph.head.quiet_hours.get(one) for one in step.via)
    return min(step.give_up_after, _DAY) if any(closed) else timedelta(0)


# --- how long ago, at most


def _messages_before(subject: Subject, count: int, counts: Callable[[Node], bool]) -> Mapping[str, Spans]:
    """For every step: how long ago, at most, the last `count` messages went, on whatever way one came."""
    found: dict[str, Spans] = {}
    for name, ways in subject.before.items():
        spans = [_after(subject, way, name, found[way], counts) for way in ways]
        found[name] = tuple(map(max, zip(*spans, strict=True))) if spans else (_EVER,) * count
    return found


def _after(subject: Subject, way: str, name: str, spans: Spans, counts: Callable[[Node], bool]) -> Spans:
    node = subject.graph.nodes[way]
    if set(node.loops) - set(subject.graph.nodes[name].loops):  # nobody knows after how many rounds
        return (_EVER,) * len(spans)
    if isinstance(node.step, SendStep):
        went = subject.graph.follow(way, "sent") == name
        if went and counts(node):
            return (timedelta(0), *(_plus(one, node.step.give_up_after) for one in spans[:-1]))
    return tuple(_plus(one, _at_most(node)) for one in spans)


def _longest(subject: Subject, name: str) -> timedelta:
    """The longest time between entry and arriving at a step, if every message goes as soon as it may."""
    found: dict[str, timedelta] = {}
    for one, ways in subject.before.items():
        found[one] = max((_plus(found[way], _held(subject, way)) for way in ways), default=timedelta(0))
    return found[name]


def _held(subject: Subject, name: str) -> timedelta:
    """How long one may stay on a step; on a message at a known time of day, as long as quiet hours last."""
    node, times = subject.graph.nodes[name], subject.local_arrivals[name]
    if isinstance(node.step, SendStep) and times:
        waits = (kept_waiting(subject, channel, at) for channel in node.step.via for at in times)
        return min(max(waits), node.step.give_up_after)
    return _at_most(node)


def _at_most(node: Node) -> timedelta:
    """How long one may stay on a step."""
    match node.step:
        case SendStep() as step:
            return step.give_up_after
        case WaitStep(wait=WaitFor(duration=duration)):
            return duration
        case WaitStep(wait=WaitUntil(until=time(), days=days)):
            return (_DAY if days is None else _WEEK) + timedelta(hours=1)  # a clock change
        case WaitForStep() as step:
            return step.within
        case step:
            return timedelta(0) if step.verb in _AT_ONCE else _EVER


def _plus(one: timedelta, other: timedelta) -> timedelta:
    return _EVER if _EVER in (one, other) else one + other

"""Events a journey speaks of, held against those that came in: what was never seen may be new, or misspelt."""

from __future__ import annotations

from collections.abc import Iterator

from engine.journey.enter import ByAbsence, ByEvent
from engine.journey.graph import Graph, StepPath
from engine.journey.lint.subject import Subject
from engine.journey.problems import Problem
from engine.journey.salvage import HOLE
from engine.journey.source import hint_for
from engine.journey.steps import WaitForStep

MISSPELT = 0.85  # an event so near to one that is known is that one; `Order Cancelled` is not `Order Completed`


def seen(subject: Subject) -> Iterator[Problem]:
    """An event nobody has ever sent may be new, or misspelt."""
    known = subject.names.events
    if known is None:
        return
    for path, event in _spoken(subject.graph):
        if event not in known and not event.startswith(HOLE):
            sentence = f"no event `{event}` was seen so far"
            yield subject.warning(path, "unknown-event", sentence, hint_for(event, known, MISSPELT))


def keys_told(subject: Subject) -> Iterator[Problem]:
    """Without the key of `again: {per: ...}` an event opens nothing, and nobody enters."""
    per, entry = subject.graph.head.again.per, subject.graph.head.enter
    if per is None or not isinstance(entry, ByEvent):
        return
    known = subject.names.event_keys.get(entry.event)
    if known is not None and per not in known and not per.startswith(HOLE):
        sentence = f"none of the latest events `{entry.event}` told a `{per}`"
        yield subject.warning(("again", "per"), "unknown-event-key", sentence, hint_for(per, known))


def _spoken(graph: Graph) -> Iterator[tuple[StepPath, str]]:
    head = graph.head
    match head.enter:
        case ByEvent(event=event):
            yield ("enter", "event"), event
        case ByAbsence(absence_of=event):
            yield ("enter", "absence_of"), event
    for index, rule in enumerate(head.leave):
        if rule.event:
            yield ("leave", index, "event"), rule.event
    if head.goal:
        yield ("goal", "event"), head.goal.event
    for node in graph.nodes.values():
        if isinstance(node.step, WaitForStep):
            for index, one in enumerate(node.step.wait_for):
                if one.event:
                    yield (*node.path, "wait_for", index, "event"), one.event

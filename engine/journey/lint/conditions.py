"""Conditions that can be read and never hold, and cases of a branch that nobody is left for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.journey.conditions import EVERYONE, All, Any, Condition, FieldKind, Not, tests_of
from engine.journey.enter import ByEvent, ByHappening, ByRequest
from engine.journey.graph import Graph, Node, StepPath, conditions_of
from engine.journey.lint.subject import Subject
from engine.journey.possible import demanded, impossible, never
from engine.journey.problems import Problem
from engine.journey.steps import BranchStep, Case


def can_hold(subject: Subject) -> Iterator[Problem]:
    """A condition that contradicts itself, or what is known of the event that opened the journey."""
    opened_by = _about_the_event(subject.graph)
    for condition, path in conditions_of(subject.graph):
        known = opened_by if path[:1] == ("steps",) and path[-1] in ("if", "until") else EVERYONE
        for found in impossible(condition, known):
            place = (*path, *found.test.path, found.test.word.value)
            tell = subject.error if found.whole else subject.warning
            yield tell(place, "impossible-condition", found.sentence, "take one of the two out")


def _about_the_event(graph: Graph) -> Condition:
    """What `enter: {where: ...}` says of the event: it holds for as long as somebody is inside."""
    entry = graph.head.enter
    where = entry.where if isinstance(entry, ByEvent) and entry.where is not None else EVERYONE
    return All(tuple(test for test in demanded(where) if test.field.kind is FieldKind.event))


def event_at_hand(subject: Subject) -> Iterator[Problem]:
    """What is asked about `event` where nothing tells one: neither what lets people in, nor a step that starts this."""
    entry, journey = subject.graph.head.enter, subject.graph.journey
    if isinstance(entry, ByEvent | ByRequest | ByHappening) or journey in subject.names.started:
        return
    for condition, path in conditions_of(subject.graph):
        if path[:1] == ("steps",) and path[-1] in ("if", "until"):
            for test in tests_of(condition):
                if test.field.kind is FieldKind.event:
                    sentence = f"nobody knows `{test.field.name}` of an event here: no event opens this journey"
                    hint = "ask about a trait or an attribute, or enter the journey by an event"
                    yield subject.warning((*path, *test.path), "no-event", sentence, hint)


def cases_open(subject: Subject) -> Iterator[Problem]:
    """A case that only those come to who have left the branch by an earlier one already."""
    for node in subject.graph.nodes.values():
        if isinstance(node.step, BranchStep):
            yield from _shadowed(subject, node, node.step)


def _shadowed(subject: Subject, node: Node, step: BranchStep) -> Iterator[Problem]:
    before: list[Condition] = []
    for index, item in enumerate(step.items):
        condition = item.if_ if isinstance(item, Case) else EVERYONE
        if before and not never(condition) and _left_for_nobody(condition, before):
            taken = next((number for number, one in enumerate(before, 1) if _left_for_nobody(condition, [one])), None)
            earlier = f"case {taken} takes" if taken else "the cases above take"
            sentence = f"nobody comes to this case: {earlier} everyone it is for"
            path: StepPath = (*node.path, "branch", index)
            yield subject.error(path, "shadowed-case", sentence, "move it up, or delete it")
        before.append(condition)


def _left_for_nobody(condition: Condition, before: Sequence[Condition]) -> bool:
    return never(All((condition, Not(Any(tuple(before))))))

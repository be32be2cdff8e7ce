"""The plan as a walk: can one come to every step, and was a message sent before its answer is waited for?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.journey.conditions import Condition, FieldKind, tests_of
from engine.journey.graph import Node, StepPath
from engine.journey.lint.subject import Subject
from engine.journey.problems import Problem
from engine.journey.steps import BranchStep, RepeatStep, SendStep, TaskStep, WaitForStep, WaitStep

_SLOW = (WaitStep, WaitForStep, TaskStep)


def reachable(subject: Subject) -> Iterator[Problem]:
    """Steps nobody can come to: after an exit, or after outcomes that all lead elsewhere. One finding per list."""
    told: list[StepPath] = []
    for node in subject.graph.nodes.values():
        if node.id in subject.before or any(node.path[: len(path)] == path for path in told):
            continue
        told.append(node.path[:-1])
        sentence = f"nobody can come to `{node.id}`: every way before it ends"
        yield subject.error(node.path, "unreachable-step", sentence, "move it up, or delete it")


def answers_possible(subject: Subject) -> Iterator[Problem]:
    """One can only wait for an answer to a message that was sent on the way here."""
    sent, nodes = dict(_sent_before(subject)), subject.graph.nodes.values()
    for node in nodes:  # `until` is asked after a round, too
        for loop in node.loops:
            if loop in sent:
                sent[loop] |= _sends(node)
    spoken = {step.send for node in nodes if isinstance(step := node.step, SendStep)}
    for node in nodes:
        for inner, key, message in _answers(node):
            if node.id in sent and message not in sent[node.id] and message in subject.names.messages:
                when = "before this step" if message in spoken else "by this journey"
                sentence = f"`{message}` is never sent {when}, so nobody can answer it"
                hint = f"send it first: `- send: {message}`"
                yield subject.error((*node.path, *inner), "never-sent", sentence, hint, key)


def _sent_before(subject: Subject) -> Mapping[str, frozenset[str]]:
    """For every step: the messages that may have been sent on some way to it."""
    found: dict[str, frozenset[str]] = {}
    for node, ways in subject.before.items():
        found[node] = frozenset(name for way in ways for name in found[way] | _sends(subject.graph.nodes[way]))
    return found


def _sends(node: Node) -> frozenset[str]:
    return frozenset({node.step.send}) if isinstance(node.step, SendStep) else frozenset()


def _answers(node: Node) -> Iterator[tuple[StepPath, bool, str]]:
    if isinstance(node.step, WaitForStep):
        for index, one in enumerate(node.step.wait_for):
            if one.message:
                yield ("wait_for", index, "message"), False, one.message
    if isinstance(node.step, BranchStep):
        for index, case in enumerate(node.step.branch):
            yield from _asked(case.if_, ("branch", index, "if"))
    if isinstance(node.step, RepeatStep) and node.step.repeat.until is not None:
        yield from _asked(node.step.repeat.until, ("repeat", "until"))


def _asked(condition: Condition, path: StepPath) -> Iterator[tuple[StepPath, bool, str]]:
    for test in tests_of(condition):
        if test.field.kind is FieldKind.message:
            yield (*path, *test.path), True, test.field.name


def rounds_take_time(subject: Subject) -> Iterator[Problem]:
    """Rounds in which nothing takes time would all come at one instant."""
    nodes = subject.graph.nodes.values()
    slow = {loop for node in nodes if isinstance(node.step, _SLOW) for loop in node.loops}
    slow |= {
        loop for node in nodes if isinstance(node.step, RepeatStep) and node.step.repeat.every for loop in node.loops
    }
    for node in nodes:
        if isinstance(node.step, RepeatStep) and node.step.repeat.every is None and node.id not in slow:
            hint = "write `every: 7d`, or a `wait` among its steps"
            sentence = "nothing in these rounds takes time, so all of them would come at once"
            yield subject.error((*node.path, "repeat"), "rounds-without-pause", sentence, hint, key=True)

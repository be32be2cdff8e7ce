"""The plan as a walk: can one come to every step, and was a message sent before its answer is waited for?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.journey.conditions import Condition, FieldKind, tests_of
from engine.journey.graph import Node, StepPath
from engine.journey.head import Journey
from engine.journey.lint.subject import Subject
from engine.journey.problems import Problem
from engine.journey.steps import (
    ApproveStep,
    Awaited,
    BranchStep,
    RepeatStep,
    SendStep,
    SplitStep,
    TaskStep,
    WaitForStep,
    WaitStep,
)

_SLOW = (WaitStep, WaitForStep, TaskStep, ApproveStep)


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


def outcomes_possible(subject: Subject) -> Iterator[Problem]:
    """Steps behind an outcome that never comes: a transactional message is not capped, a share of 0% is nobody."""
    for node in subject.graph.nodes.values():
        match node.step:
            case SendStep() as step if "capped" in step.outcomes:
                topic = step.topic or subject.graph.head.topic
                if topic in subject.names.topics and not _may_be_capped(subject, step, topic):
                    sentence = f"`{topic}` is transactional, and no cap holds back its messages"
                    path = (*node.path, "outcomes", "capped")
                    yield subject.warning(path, "impossible-outcome", sentence, "delete this outcome", key=True)
            case SplitStep() as step:
                for name, variant in step.variants.items():
                    if variant.share == 0:
                        sentence, path = f"nobody gets `{name}`: its share is 0%", (*node.path, "variants", name)
                        hint = "give it a share, or delete it"
                        yield subject.warning(path, "impossible-outcome", sentence, hint, key=True)


def _may_be_capped(subject: Subject, step: SendStep, topic: str) -> bool:
    head, marketing = subject.graph.head, subject.policy.is_marketing(topic)
    tags, caps = frozenset((*head.tags, *step.tags)), (*subject.policy.caps, *head.caps)
    return marketing or any(cap.binds(channel, topic, marketing, tags) for cap in caps for channel in step.via)


def awaited_inside(subject: Subject) -> Iterator[Problem]:
    """Waiting for an event at which one leaves: whoever it happens to is not there any more to go on with `then`."""
    for node in subject.graph.nodes.values():
        if isinstance(node.step, WaitForStep):
            gone = [index for index, one in enumerate(node.step.wait_for) if _leaves_at(subject.graph.head, one)]
            for index in gone:
                one = node.step.wait_for[index]
                sentence = f"whoever has `{one.event}` leaves the journey, so this never sees it"
                hint = "take it out of `leave`, or out of here"
                tell = subject.error if len(gone) == len(node.step.wait_for) else subject.warning
                yield tell((*node.path, "wait_for", index, "event"), "leaves-first", sentence, hint)


def _leaves_at(head: Journey, awaited: Awaited) -> bool:
    """Does one leave at every event that is waited for?"""
    rules = [(rule.event, rule.where) for rule in head.leave if rule.event]
    return any(event == awaited.event and where in (None, awaited.where) for event, where in rules)


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

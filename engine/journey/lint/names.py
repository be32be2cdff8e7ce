"""Names that must exist: topics, segments, lists, pools, queues, messages, briefs, channels, traits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from engine.journey.changes import Value
from engine.journey.conditions import Field, FieldKind, Test, Word, ambiguous, hint_ambiguous, tests_of
from engine.journey.enter import ByDate
from engine.journey.graph import Graph, StepPath, conditions_of
from engine.journey.lint.subject import Subject
from engine.journey.parts import CALL, OWNER, ROUND_ROBIN
from engine.journey.problems import Problem
from engine.journey.salvage import HOLE
from engine.journey.source import hint_for, nearest
from engine.journey.steps import (
    EmitStep,
    GiveStep,
    SendStep,
    StartStep,
    Step,
    StopStep,
    TaskStep,
    UpdateStep,
    WaitForStep,
    WaitStep,
    WebhookStep,
)

KINDS = {
    "topic": "topics",
    "segment": "segments",
    "list": "lists",
    "pool": "pools",
    "queue": "queues",
    "message": "messages",
    "brief": "briefs",
    "channel": "channels",
    "journey": "journeys",
    "happening": "happenings",
    "webhook": "webhooks",
}
_MAKE = {
    "topic": "name it in config.yaml under topics",
    "segment": "define it in audience.yaml under segments",
    "list": "define it in audience.yaml under lists",
    "pool": "define it in audience.yaml under pools",
    "queue": "name it in config.yaml under queues",
    "message": "write its texts in templates/",
    "brief": "write it as templates/<brief>/task.<locale>.md",
    "channel": "give it a provider in config.yaml",
    "journey": "write it as a file of journeys/",
    "happening": "name it in config.yaml under happenings",
    "webhook": "name it in config.yaml: channels, webhook, endpoints",
}
_Mention = tuple[StepPath, bool, str, str]  # where it stands, whether as a key, of what kind it is, the name


def exist(subject: Subject) -> Iterator[Problem]:
    """Every name of a closed set is one of it."""
    for path, key, kind, name in _mentions(subject.graph):
        known: Iterable[str] = getattr(subject.names, KINDS[kind])
        if name not in known and not name.startswith(HOLE):
            hint = _called_now(name, subject) if kind == "journey" else ""
            hint = hint or hint_for(name, known) or _MAKE[kind]
            if path[-1] == "stop" and not _called_now(name, subject) and nearest(name, known) is None:
                hint = f"to end this way here write `exit: {name}`; {hint}"
            yield subject.error(path, f"unknown-{kind}", f"there is no {kind} `{name}`", hint, key)


def _called_now(name: str, subject: Subject) -> str:
    """What to write in place of a name that a journey had before."""
    now = next(iter(subject.names.claims.get(name, ())), None) or subject.names.former.get(name)
    return "" if now is None else f"it is called `{now}` now"


def attributes(subject: Subject) -> Iterator[Problem]:
    """A name that is no trait means an attribute of the person; one that nearly is a trait was misspelt."""
    for condition, path in conditions_of(subject.graph):
        for test in tests_of(condition):
            if test.field.kind is FieldKind.attribute:
                yield from _attribute(subject, test.field.name, (*path, *test.path), key=True)
            elif test.field.kind is FieldKind.event and test.path and test.path[-1] in (subject.names.attributes or ()):
                sentence = ambiguous(test.field.name, "an attribute")
                hint = hint_ambiguous(test.field.name)
                yield subject.error((*path, *test.path), "ambiguous-name", sentence, hint, True)
    for node in subject.graph.nodes.values():
        if isinstance(node.step, WaitStep) and isinstance(until := getattr(node.step.wait, "until", None), str):
            yield from _date(subject, until, (*node.path, "wait", "until"), "a wait", "waits")
        if isinstance(node.step, UpdateStep):
            yield from _changed(subject, node.step, (*node.path, "update"))
        if isinstance(node.step, EmitStep | WebhookStep):
            yield from _read(subject, node.step.with_, (*node.path, "with"))
    enter, first = subject.graph.head.enter, subject.graph.head.first
    if first is not None and first.kind is FieldKind.attribute:
        yield from _attribute(subject, first.name, ("first",))
    if first is not None and first.name in subject.names.words and first.kind is FieldKind.trait:
        sentence = f"`{first.name}` is a word: nobody has more of it than another"
        yield subject.error(("first",), "not-a-measure", sentence, "name a number, an amount or an instant: spend_12m")
    if isinstance(enter, ByDate):
        yield from _date(subject, enter.date, ("enter", "date"), "an entry", "enters")


def _changed(subject: Subject, step: UpdateStep, path: StepPath) -> Iterator[Problem]:
    """Attributes that an update reads, and those it writes."""
    yield from _read(subject, step.update.set, (*path, "set"))
    for name in step.update.set:
        if name in subject.names.traits:
            sentence = f"`{name}` is a trait: it is computed, and an attribute of that name is never read"
            yield subject.error((*path, "set", name), "trait-not-set", sentence, "give it a name of its own", True)


def _read(subject: Subject, values: Mapping[str, Value], path: StepPath) -> Iterator[Problem]:
    for name, one in values.items():
        if isinstance(one.from_, Field) and one.from_.kind is FieldKind.attribute:
            yield from _attribute(subject, one.from_.name, (*path, name, "from"))


def tags(subject: Subject) -> Iterator[Problem]:
    """A tag that nobody has and no journey gives may be new, or misspelt."""
    known = subject.names.tags
    if known is None:
        return
    for condition, path in conditions_of(subject.graph):
        for test in tests_of(condition):
            if test.field.kind is FieldKind.tag:
                for index, tag in enumerate(test.value if isinstance(test.value, tuple) else (test.value,)):
                    if tag not in known:
                        where = (*path, *test.path, test.word.value, index)
                        yield subject.warning(
                            where, "unknown-tag", f"nobody has the tag `{tag}` so far", hint_for(str(tag), known)
                        )


def colleagues(subject: Subject) -> Iterator[Problem]:
    """Who a task is for works in its queue. A queue that names nobody may be anyone's."""
    for node in subject.graph.nodes.values():
        step = node.step
        if not isinstance(step, TaskStep) or step.assign in (None, OWNER) or step.queue not in subject.names.queues:
            continue
        people, where = subject.names.people.get(step.queue, ()), (*node.path, "assign")
        if step.assign == ROUND_ROBIN:
            if not people:
                sentence = f"nobody can take turns: the queue `{step.queue}` names no people"
                hint = "write `people` for it in config.yaml, or leave `assign` out"
                yield subject.error(where, "queue-without-people", sentence, hint)
        elif step.assign not in people and (people or nearest(str(step.assign), (OWNER, ROUND_ROBIN), cutoff=0.8)):
            hint = hint_for(str(step.assign), (*people, OWNER, ROUND_ROBIN))
            sentence = f"there is no `{step.assign}` among the people of `{step.queue}`"
            yield subject.error(where, "unknown-colleague", sentence, hint)


def _attribute(subject: Subject, name: str, where: StepPath, key: bool = False) -> Iterator[Problem]:
    kept, traits = subject.names.attributes, subject.names.traits
    known = kept or frozenset()
    if name in known or name.partition(".")[0] in known or name.startswith(HOLE):
        return
    near = nearest(name, traits, cutoff=0.8)
    if near is not None:
        hint = f"did you mean `{near}`?"
        yield subject.error(where, "unknown-trait", f"there is no trait or attribute `{name}`", hint, key)
    elif kept is not None:
        sentence, hint = f"nobody has an attribute `{name}` so far", hint_for(name, [*known, *traits])
        yield subject.warning(where, "unknown-attribute", sentence, hint, key)


def _date(subject: Subject, name: str, where: StepPath, who: str, does: str) -> Iterator[Problem]:
    """A wait for a date, or an entry by one, looks at what is kept about the person, never at a trait."""
    kept = subject.names.attributes
    if name in subject.names.traits:
        sentence = f"`{name}` is a trait; {who} can only look at a date kept about the person"
        hint = "import it as an attribute" + (", or wait a while: `wait: 3d`" if does == "waits" else "")
        yield subject.error(where, "not-a-date", sentence, hint)
    elif kept is not None and name not in kept and not name.startswith(HOLE):
        sentence = f"nobody has an attribute `{name}` so far, and without it nobody {does}"
        yield subject.warning(where, "unknown-attribute", sentence, hint_for(name, kept))


def _mentions(graph: Graph) -> Iterator[_Mention]:
    """Every name that must exist."""
    yield from _mentions_of_head(graph)
    for node in graph.nodes.values():
        for inner, kind, name in _mentions_of_step(node.step):
            yield (*node.path, *inner), False, kind, name
    for condition, path in conditions_of(graph):
        for test in tests_of(condition):
            yield from _mentions_of_test(test, path)


def _mentions_of_head(graph: Graph) -> Iterator[_Mention]:
    head = graph.head
    yield ("topic",), False, "topic", head.topic
    for kind in ("segment", "happening"):
        if (name := getattr(head.enter, kind, None)) is not None:
            yield ("enter", kind), False, kind, name
    for index, rule in enumerate(head.leave):
        if rule.segment:
            yield ("leave", index, "segment"), False, "segment", rule.segment
    for channel in head.quiet_hours:
        if channel != CALL:
            yield ("quiet_hours", channel), True, "channel", channel
    for index, cap in enumerate(head.caps):
        if cap.channel and cap.channel != CALL:
            yield ("caps", index, "channel"), False, "channel", cap.channel
        if cap.topic:
            yield ("caps", index, "topic"), False, "topic", cap.topic


def _mentions_of_step(step: Step) -> Iterator[tuple[StepPath, str, str]]:
    match step:
        case SendStep():
            yield ("send",), "message", step.send
            for index, channel in enumerate(step.via):
                yield ("via", index), "channel", channel
            if step.topic:
                yield ("topic",), "topic", step.topic
        case WaitForStep():
            for index, one in enumerate(step.wait_for):
                if one.message:
                    yield ("wait_for", index, "message"), "message", one.message
        case GiveStep():
            yield ("give",), "pool", step.give
        case WebhookStep():
            yield ("webhook",), "webhook", step.webhook
        case StartStep():
            yield ("start",), "journey", step.start
        case StopStep():
            yield ("stop",), "journey", step.stop
        case UpdateStep() if (consent := step.update.consent) is not None:
            yield ("update", "consent", "topic"), "topic", consent.topic
            for index, channel in enumerate(consent.channel):
                if channel != CALL:
                    yield ("update", "consent", "channel", index), "channel", channel
        case TaskStep():
            yield ("task",), "brief", step.task
            yield ("queue",), "queue", step.queue
            if step.escalate:
                yield ("escalate", "to"), "queue", step.escalate.to


def _mentions_of_test(test: Test, path: StepPath) -> Iterator[_Mention]:
    line = (*path, *test.path)
    value = (*line, test.word.value)
    if test.field.kind is FieldKind.segment:
        for index, name in enumerate(test.value if isinstance(test.value, tuple) else (test.value,)):
            yield (*value, index), False, "segment", str(name)
    elif test.field.kind is FieldKind.message:
        yield line, True, "message", test.field.name
    elif test.word in (Word.one_of, Word.none_of) and isinstance(test.value, str):
        yield value, False, "list", test.value

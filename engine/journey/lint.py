"""Holds a journey against the installation: does everything it speaks of exist, and can the plan be walked at all?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import time, timedelta

from engine.journey.catalog import Names
from engine.journey.conditions import FieldKind, Test, Word, tests_of
from engine.journey.graph import Graph, Node, StepPath, conditions_of
from engine.journey.head import ByEvent, BySegment, ByWave
from engine.journey.problems import Problem, Severity
from engine.journey.quantities import Window
from engine.journey.salvage import HOLE
from engine.journey.source import first_of, hint_for, nearest
from engine.journey.steps import (
    BranchStep,
    GiveStep,
    SendStep,
    SplitStep,
    Step,
    TaskStep,
    WaitForStep,
    WaitStep,
    WaitUntil,
)
from engine.settings import Cap, Policy

_MINUTES = 24 * 60
MISSPELT = 0.85  # an event so near to one that is known is that one; `Order Cancelled` is not `Order Completed`


def lint(graph: Graph, names: Names, policy: Policy) -> list[Problem]:
    """Every finding about one journey, in the order of its lines. Of a salvaged journey only the names are judged."""
    found = first_of(_findings(graph, names, policy))
    return sorted(dict.fromkeys(found), key=lambda problem: (problem.position, problem.code))


def _findings(graph: Graph, names: Names, policy: Policy) -> Iterator[Problem]:
    yield from _names(graph, names)
    if graph.whole:
        yield from _answers_possible(graph, names)
        for check in (_reachable, _in_time, _goal_where_needed, _purpose, _stricter):
            yield from check(graph, policy)


def _problem(graph: Graph, path: StepPath, code: str, sentence: str, hint: str = "", key: bool = False) -> Problem:
    return Problem(code, sentence, graph.sourced.at(path, key), hint)


def _warning(graph: Graph, path: StepPath, code: str, sentence: str, hint: str = "") -> Problem:
    return Problem(code, sentence, graph.sourced.at(path), hint, Severity.warning)


# --- names


def _names(graph: Graph, names: Names) -> Iterator[Problem]:
    for path, key, kind, name in _mentions(graph):
        known: Iterable[str] = getattr(names, KINDS[kind])
        if name not in known and not name.startswith(HOLE):
            hint = hint_for(name, known) or _MAKE[kind]
            yield _problem(graph, path, f"unknown-{kind}", f"there is no {kind} `{name}`", hint, key)
    for node in graph.nodes.values():
        if isinstance(node.step, SendStep):
            yield from _texts(graph, node, node.step, names)
    for condition, path in conditions_of(graph):
        for test in tests_of(condition):
            yield from _attribute(graph, test, path, names)
    yield from _events(graph, names)
    yield from _key_of_again(graph, names)


KINDS = {
    "topic": "topics",
    "segment": "segments",
    "list": "lists",
    "pool": "pools",
    "queue": "queues",
    "message": "messages",
    "brief": "briefs",
    "channel": "channels",
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
}
_Mention = tuple[StepPath, bool, str, str]  # where it stands, whether as a key, of what kind it is, the name


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
    if isinstance(head.enter, BySegment | ByWave):
        yield ("enter", "segment"), False, "segment", head.enter.segment
    for index, rule in enumerate(head.leave):
        if rule.segment:
            yield ("leave", index, "segment"), False, "segment", rule.segment
    for channel in head.quiet_hours:
        yield ("quiet_hours", channel), True, "channel", channel
    for index, cap in enumerate(head.caps):
        if cap.channel:
            yield ("caps", index, "channel"), False, "channel", cap.channel


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


def _texts(graph: Graph, node: Node, step: SendStep, names: Names) -> Iterator[Problem]:
    """Each channel that is wished for needs a text, and each text the languages of the shop."""
    written = names.messages.get(step.send)
    if written is None:
        return
    for index, channel in enumerate(step.via):
        path = (*node.path, "via", index)
        if channel in written:
            yield from _locales(graph, path, step.send, channel, names)
        elif channel in names.channels:
            sentence = f"`{step.send}` has no text for {channel}"
            file = f"templates/{step.send}/{channel}.{names.default_locale or 'en'}.*"
            hint = f"write {file}, or leave {channel} out of `via`"
            yield _problem(graph, path, "channel-has-no-text", sentence, hint)


def _locales(graph: Graph, path: StepPath, message: str, channel: str, names: Names) -> Iterator[Problem]:
    present = names.locales.get((message, channel))
    if present is None:
        return
    languages = {_language(locale) for locale in present}
    where = f"templates/{message}/{channel}"
    if names.default_locale and _language(names.default_locale) not in languages:
        sentence = f"`{message}` has no text in {names.default_locale}, the shop's own language, for {channel}"
        yield _problem(graph, path, "missing-default-locale", sentence, f"write {where}.{names.default_locale}.*")
    for locale in sorted(_wanted_locales(names)):
        if _language(locale) not in languages and _language(locale) != _language(names.default_locale):
            sentence = f"`{message}` has no text in {locale} for {channel}; its readers get another language"
            yield _warning(graph, path, "missing-locale", sentence, f"write {where}.{locale}.*")


def _wanted_locales(names: Names) -> frozenset[str]:
    """The languages of the shop: those that are named, or all that any text is written in; each once."""
    every = names.shop_locales or frozenset(one for present in names.locales.values() for one in present)
    return frozenset({_language(locale): locale for locale in sorted(every, reverse=True)}.values())


def _language(locale: str) -> str:
    return locale.partition("-")[0].lower()


def _attribute(graph: Graph, test: Test, path: StepPath, names: Names) -> Iterator[Problem]:
    """A name that is no trait means an attribute of the person; one that nearly is a trait was misspelt."""
    name = test.field.name
    known = names.attributes or frozenset()
    if test.field.kind is not FieldKind.attribute or name in known or name.partition(".")[0] in known:
        return
    near = nearest(name, names.traits, cutoff=0.8)
    where = (*path, *test.path)
    if near is not None:
        hint = f"did you mean `{near}`?"
        yield _problem(graph, where, "unknown-trait", f"there is no trait or attribute `{name}`", hint, key=True)
    elif names.attributes is not None:
        sentence = f"nobody has an attribute `{name}` so far"
        yield Problem(
            "unknown-attribute",
            sentence,
            graph.sourced.at(where, key=True),
            hint_for(name, [*known, *names.traits]),
            Severity.warning,
        )


def _events(graph: Graph, names: Names) -> Iterator[Problem]:
    """An event nobody has ever sent may be new, or misspelt."""
    if names.events is None:
        return
    for path, event in _spoken_events(graph):
        if event not in names.events and not event.startswith(HOLE):
            sentence = f"no event `{event}` was seen so far"
            yield _warning(graph, path, "unknown-event", sentence, hint_for(event, names.events, MISSPELT))


def _key_of_again(graph: Graph, names: Names) -> Iterator[Problem]:
    """Without this key an event opens nothing, and nobody enters."""
    per, entry = graph.head.again.per, graph.head.enter
    if per is None or not isinstance(entry, ByEvent):
        return
    known = names.event_keys.get(entry.event)
    if known is not None and per not in known and not per.startswith(HOLE):
        sentence = f"none of the latest events `{entry.event}` told a `{per}`"
        yield _warning(graph, ("again", "per"), "unknown-event-key", sentence, hint_for(per, known))


def _spoken_events(graph: Graph) -> Iterator[tuple[StepPath, str]]:
    head = graph.head
    if isinstance(head.enter, ByEvent):
        yield ("enter", "event"), head.enter.event
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


# --- the plan as a walk


def _before(graph: Graph) -> Mapping[str, tuple[str, ...]]:
    """For every step that can be reached: the steps one may come from. In plan order, which always leads forward."""
    found: dict[str, list[str]] = {graph.start: []} if graph.start else {}
    for node in graph.nodes:
        if node in found:
            for following in graph.ways_on(node):
                if following is not None:
                    found.setdefault(following, []).append(node)
    return {node: tuple(dict.fromkeys(found[node])) for node in graph.nodes if node in found}


def _reachable(graph: Graph, policy: Policy) -> Iterator[Problem]:
    """Steps nobody can come to: after an exit, or after outcomes that all lead elsewhere. One finding per list."""
    reached = _before(graph)
    told: list[StepPath] = []
    for node in graph.nodes.values():
        if node.id in reached or any(node.path[: len(path)] == path for path in told):
            continue
        told.append(node.path[:-1])
        sentence = f"nobody can come to `{node.id}`: every way before it ends"
        yield _problem(graph, node.path, "unreachable-step", sentence, "move it up, or delete it")


def _answers_possible(graph: Graph, names: Names) -> Iterator[Problem]:
    """One can only wait for an answer to a message that was sent on the way here."""
    sent = _sent_before(graph)
    spoken = {step.send for node in graph.nodes.values() if isinstance(step := node.step, SendStep)}
    for node in graph.nodes.values():
        for inner, key, message in _answers(node):
            if node.id in sent and message not in sent[node.id] and message in names.messages:
                when = "before this step" if message in spoken else "by this journey"
                sentence = f"`{message}` is never sent {when}, so nobody can answer it"
                hint = f"send it first: `- send: {message}`"
                yield _problem(graph, (*node.path, *inner), "never-sent", sentence, hint, key)


def _sent_before(graph: Graph) -> Mapping[str, frozenset[str]]:
    """For every step: the messages that may have been sent on some way to it."""
    found: dict[str, frozenset[str]] = {}
    for node, ways in _before(graph).items():
        found[node] = frozenset(name for way in ways for name in found[way] | _sends(graph.nodes[way]))
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
            for test in tests_of(case.if_):
                if test.field.kind is FieldKind.message:
                    yield ("branch", index, "if", *test.path), True, test.field.name


# --- time


def _in_time(graph: Graph, policy: Policy) -> Iterator[Problem]:
    yield from _beyond_the_end(graph)
    yield from _never_open(graph, policy)


def _beyond_the_end(graph: Graph) -> Iterator[Problem]:
    """A wait that leads past `ends_after` on every way: what follows it can never begin."""
    end = graph.head.ends_after
    if end is None:
        return
    arrives: dict[str, timedelta] = {}
    for name, ways in _before(graph).items():
        arrives[name] = min((arrives[way] + _least(graph, way, name) for way in ways), default=timedelta(0))
        node = graph.nodes[name]
        key, span = _longest_wait(node.step)
        if arrives[name] <= end < arrives[name] + span:
            sentence = f"this wait reaches past the end of the journey, {_written(end)} after entry"
            hint = "wait shorter, or raise `ends_after`"
            yield _problem(graph, (*node.path, key), "wait-longer-than-ends-after", sentence, hint)


def _longest_wait(step: Step) -> tuple[str, timedelta]:
    """The key that says how long a step may last, and its value."""
    if isinstance(step, WaitForStep):
        return "within", step.within
    return "wait", _least_wait(step)


def _least(graph: Graph, node_id: str, following: str) -> timedelta:
    """The least time between arriving at a step and at the one that follows it."""
    step = graph.nodes[node_id].step
    if isinstance(step, WaitForStep):
        return timedelta(0) if graph.follow(node_id, "then") == following else step.within
    return _least_wait(step)


def _least_wait(step: Step) -> timedelta:
    if isinstance(step, WaitStep):
        return getattr(step.wait, "duration", timedelta(0))
    return timedelta(0)


def _never_open(graph: Graph, policy: Policy) -> Iterator[Problem]:
    """A message that always falls due in quiet hours and gives up before they end."""
    for name, times in _local_arrivals(graph).items():
        step = graph.nodes[name].step
        if not isinstance(step, SendStep) or not times or not policy.is_marketing(step.topic or graph.head.topic):
            continue
        closed = [channel for channel in step.via if _closed(graph, policy, channel, times, step.give_up_after)]
        if len(closed) == len(step.via):
            at = ", ".join(sorted(f"{one:%H:%M}" for one in times))
            sentence = (
                f"`{name}` falls due at {at}, in quiet hours of {', '.join(closed)}, and gives up before they end"
            )
            hint = "raise `give_up_after`, or send at another time"
            yield _problem(graph, graph.nodes[name].path, "never-in-time", sentence, hint)


def _closed(graph: Graph, policy: Policy, channel: str, times: frozenset[time], patience: timedelta) -> bool:
    windows = [one for one in (policy.window(channel), graph.head.quiet_hours.get(channel)) if one is not None]
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


def _local_arrivals(graph: Graph) -> Mapping[str, frozenset[time]]:
    """The local times at which people come to a step, where the plan fixes them; empty where it does not."""
    found: dict[str, frozenset[time]] = {}
    enter = graph.head.enter
    first = frozenset({enter.at}) if isinstance(enter, ByWave) and enter.zone == "person" else frozenset()
    for name, ways in _before(graph).items():
        times = [_leaves_at(graph.nodes[way], found[way]) for way in ways] or [first]
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


# --- the head


def _goal_where_needed(graph: Graph, policy: Policy) -> Iterator[Problem]:
    if graph.head.goal is not None:
        return
    hint = "write `goal: {event: Order Completed, within: 30d}`"
    for node in graph.nodes.values():
        if isinstance(node.step, SplitStep):
            path = (*node.path, "split")
            yield _problem(graph, path, "no-goal", "a split is measured by the goal, and the journey has none", hint)
    if graph.head.holdout and policy.is_marketing(graph.head.topic):
        sentence = "a holdout without a goal measures nothing"
        yield _warning(graph, ("holdout",), "holdout-without-goal", sentence, hint)


def _purpose(graph: Graph, policy: Policy) -> Iterator[Problem]:
    """What a topic's purpose forbids."""
    if graph.head.holdout and not policy.is_marketing(graph.head.topic):
        sentence = f"`{graph.head.topic}` is transactional: what people have a right to is not held back from anyone"
        yield _problem(graph, ("holdout",), "holdout-of-transactional", sentence, "leave `holdout` out")


def _stricter(graph: Graph, policy: Policy) -> Iterator[Problem]:
    """A journey may only be stricter than config.yaml."""
    for channel, window in graph.head.quiet_hours.items():
        general = policy.window(channel)
        if general is not None and not _covers(window, general):
            sentence = f"config.yaml keeps {channel} quiet from {_span(general)}; this is looser"
            hint = "write a span that holds all of it"
            yield _problem(graph, ("quiet_hours", channel), "looser-quiet-hours", sentence, hint)
    for index, cap in enumerate(graph.head.caps):
        looser = next((one for one in policy.caps if _looser(cap, one)), None)
        if looser is not None:
            path = ("caps", index, "at_most")
            sentence = f"config.yaml allows {looser.name}; `{cap.name}` is looser"
            yield _problem(graph, path, "looser-caps", sentence, f"write at most {looser.at_most}")


def _covers(window: Window, general: Window) -> bool:
    """Is every minute of `general` inside `window`?"""
    minutes = (time(*divmod(minute, 60)) for minute in range(_MINUTES))
    return all(window.holds(minute) for minute in minutes if general.holds(minute))


def _looser(cap: Cap, general: Cap) -> bool:
    return (cap.per, cap.channel) == (general.per, general.channel) and cap.at_most > general.at_most


def _span(window: Window) -> str:
    return f"{window.start:%H:%M} to {window.end:%H:%M}"


def _written(span: timedelta) -> str:
    hours = span.total_seconds() / 3600
    return f"{hours / 24:g} days" if hours >= 48 else f"{hours:g} hours"

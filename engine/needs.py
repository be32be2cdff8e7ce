"""What has to be read about a person so that the rules can be answered exactly, and no more than that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from engine.audience.audience import Audience
from engine.audience.segments import LOOK_BACK
from engine.audience.terms import HABITS, RFM, Trait, TraitKind
from engine.decide.responses import RESPONSES, SCANNED
from engine.decide.state import Rules
from engine.journey.enter import ByAbsence
from engine.journey.graph import Graph
from engine.journey.quantities import LONGEST
from engine.journey.steps import RepeatStep, SendStep, Step, TaskStep, WaitForStep
from engine.message.templates import Texts
from engine.settings import Queue

_CALENDAR = {"day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=31)}
SLACK = timedelta(days=7)  # beyond the longest way through a plan: pauses and outages stretch it


@dataclass(frozen=True)
class Needs:
    """Worked out once per set of rules."""

    events: Mapping[int, Mapping[str, timedelta | None]]  # version -> event -> how far back; None: all of the past
    said: timedelta  # how far back caps look
    pools: Mapping[int, frozenset[str]]  # version -> voucher pools it gives from
    listens: Mapping[str, frozenset[str]]  # event -> journeys that it may move
    nightly: frozenset[str] = frozenset()  # scores of the night that somebody asks for
    started: frozenset[str] = frozenset()  # journeys that others start or stop: who was inside is asked
    keyed: frozenset[str] = frozenset()  # journeys that are entered once per key: every way of before is asked
    dated: frozenset[str] = frozenset()  # journeys into which the last entry may bar the way; into the others none does
    patience: timedelta = timedelta(0)  # how late one may enter: a way for the same instant began no longer ago


def needs_of(rules: Rules, texts: Texts) -> Needs:
    """What has to be read for these rules, and for the texts of their messages."""
    listens: dict[str, set[str]] = {}
    for graph in rules.graphs.values():
        for event in (*graph.names.events, *_responses(graph)):
            listens.setdefault(event, set()).add(graph.journey)
    return Needs(
        events={number: _all_events(graph, rules, texts) for number, graph in rules.graphs.items()},
        said=_counted(rules),
        pools={number: frozenset(graph.names.pools) for number, graph in rules.graphs.items()},
        listens={event: frozenset(names) for event, names in listens.items()},
        started=frozenset(rules.called(name) for graph in rules.graphs.values() for name in graph.names.journeys),
        nightly=asked_nightly(rules.audience, rules.graphs.values(), texts),
        keyed=frozenset(graph.journey for graph in rules.graphs.values() if graph.head.again.per is not None),
        dated=frozenset(graph.journey for graph in rules.graphs.values() if not graph.head.again.always),
        patience=max((patience_of(graph, rules) for graph in rules.graphs.values()), default=timedelta(0)) + SLACK,
    )


def asked_nightly(audience: Audience, graphs: Iterable[Graph], texts: Texts) -> frozenset[str]:
    """The scores of the night that segments, these journeys or the texts of their messages ask for."""
    asked = set(audience.segments)
    for graph in graphs:
        asked |= _asked(graph, audience, texts)
    return audience.nightly(asked)


def _asked(graph: Graph, audience: Audience, texts: Texts) -> set[str]:
    """The traits and segments that a journey and its texts ask for."""
    asked = set(graph.names.traits) | set(graph.names.segments)
    for text in graph.names.messages & texts.messages:
        asked |= texts.reads(text).traits & audience.trait_names
    return asked


def _counted(rules: Rules) -> timedelta:
    """How far back a message was decided that may count today: the longest span, and how long it may have waited."""
    policy = rules.policy
    caps = [*policy.caps, *(cap for graph in rules.graphs.values() for cap in graph.head.caps)]
    spans = [_CALENDAR[cap.per] if isinstance(cap.per, str) else cap.per for cap in caps]
    steps = [node.step for graph in rules.graphs.values() for node in graph.nodes.values()]
    waits = [step.give_up_after for step in steps if isinstance(step, SendStep)]
    waits += [_open_for(step, rules) for step in steps if isinstance(step, TaskStep) and step.call]
    longest = max([_CALENDAR["week"], policy.least_gap, *policy.gap_by_channel.values(), *spans])
    return longest + max(waits, default=timedelta(0)) + timedelta(days=1)


def _open_for(step: TaskStep, rules: Rules) -> timedelta:
    """How long a task stays open at most: its time in the working weeks of its queue."""
    queue = rules.queues.get(step.queue) or Queue(title=step.queue)
    shift = _CALENDAR["day"] if queue.hours is None else queue.hours.length
    return step.due / (shift * len(queue.days)) * _CALENDAR["week"] + 2 * _CALENDAR["week"]


def _all_events(graph: Graph, rules: Rules, texts: Texts) -> dict[str, timedelta | None]:
    """What a version asks for; of an older one, with what the live one does: its leave rules and goal hold for all."""
    found = _events(graph, rules, texts)
    live = rules.graphs.get(rules.live.get(graph.journey, -1))
    if live is not None and live is not graph:
        for event, window in _events(live, rules, texts).items():
            known = found.get(event, timedelta(0))
            found[event] = None if window is None or known is None else max(window, known)
    return found


def _responses(graph: Graph) -> tuple[str, ...]:
    """Events that tell what became of messages; those of machines where one asks for what is merely possible."""
    steps = (node.step for node in graph.nodes.values())
    unsure = any(
        one.confidence == "possible" for step in steps if isinstance(step, WaitForStep) for one in step.wait_for
    )
    return (*RESPONSES.values(), SCANNED) if unsure else tuple(RESPONSES.values())


def _events(graph: Graph, rules: Rules, texts: Texts) -> dict[str, timedelta | None]:
    """Event -> how far back this journey asks for it: in its own rules, its conditions and its texts."""
    found: dict[str, timedelta | None] = {**_own_events(graph, rules)}
    for name in sorted(_asked(graph, rules.audience, texts)):
        events, window = rules.audience.events([name])
        for event in events:
            known = found.get(event, timedelta(0))
            # so far back the instant of a crossing is looked for
            found[event] = None if window is None or known is None else max(window + LOOK_BACK, known)
    return found


def _own_events(graph: Graph, rules: Rules) -> dict[str, timedelta]:
    """Event -> how far back this journey asks for it in its own rules."""
    own = longest_way(graph)
    found = dict.fromkeys((*graph.names.events, *_responses(graph)), own)
    entry = graph.head.enter
    if isinstance(entry, ByAbsence):
        found[entry.absence_of] = max(own, entry.for_ + patience_of(graph, rules) + SLACK)
    return found


@dataclass(frozen=True)
class Past:
    """What of the past anything published may still look at. An event that is not named here nobody asks for."""

    events: Mapping[str, timedelta | None]  # event -> how far back; None: all of the past
    latest: frozenset[str]  # events of which the last one of each person counts, however long ago
    least: timedelta  # how far back caps, gaps, and instants by which one may still enter look


def past_of(rules: Rules, texts: Texts, needs: Needs) -> Past:
    """What has to be kept for these rules and for the texts of their messages, and for every trait of the shop."""
    found: dict[str, timedelta | None] = {}
    latest: set[str] = set()

    def ask(events: Iterable[str], back: timedelta | None) -> None:
        for event in events:
            known = found.get(event, timedelta(0))
            found[event] = None if back is None or known is None else max(back, known)

    asked = {*rules.audience.traits, *rules.audience.segments}
    for graph in rules.graphs.values():
        asked |= _asked(graph, rules.audience, texts)
        for event, back in _own_events(graph, rules).items():
            ask([event], back)
    for trait in rules.audience.traits_of(sorted(asked)):
        latest.update(trait.until_last)
        if _asks_for_the_last(trait):
            latest.add(trait.event)
        elif trait.until_last or trait.within is None:
            ask((trait.event, *trait.unless_after), None)
        else:
            ask((trait.event, *trait.unless_after), trait.within + LOOK_BACK)
    _ask_for_nights(rules.audience, needs.nightly, ask)
    return Past(found, frozenset(latest), max(needs.said + SLACK, needs.patience))


def _asks_for_the_last(trait: Trait) -> bool:
    """Is its value that of the last event, whatever came before?"""
    kinds = (TraitKind.last, TraitKind.days_since_last)
    return trait.kind in kinds and trait.key is None and trait.where is None and not trait.unless_after


def _ask_for_nights(
    audience: Audience, nightly: frozenset[str], ask: Callable[[Iterable[str], timedelta | None], None]
) -> None:
    """What the scores of the night are worked out from, where anybody asks for them."""
    scores = audience.scores
    if nightly & RFM:
        ask([scores.order], scores.rfm_within and scores.rfm_within + SLACK)
    if nightly & HABITS:
        ask((scores.page_viewed, RESPONSES["clicked"], RESPONSES["opened"]), scores.habits_within + SLACK)


def patience_of(graph: Graph, rules: Rules) -> timedelta:
    """How late one may still enter, or be written to."""
    return graph.head.max_lateness if graph.head.max_lateness is not None else rules.policy.max_lateness


def longest_way(graph: Graph) -> timedelta:
    """How long nobody can be inside longer: all waits of the plan, one after the other."""
    if graph.head.ends_after is not None:
        return graph.head.ends_after + SLACK
    spans = (
        (span + timedelta(days=7)) * graph.times(node.id)
        for node in graph.nodes.values()
        for span in [_lasts(node.step)]
    )
    return min(sum(spans, SLACK), LONGEST)


def _lasts(step: Step) -> timedelta:
    """How long one stands on a step at most, delays aside."""
    if isinstance(step, RepeatStep):
        return (step.repeat.every or timedelta(0)) * step.repeat.times
    parts = (step, getattr(step, "wait", None))
    known = (getattr(part, name, None) for part in parts for name in ("within", "give_up_after", "due", "duration"))
    return sum((span for span in known if isinstance(span, timedelta)), timedelta(0))

"""Entering: may this person begin this journey now, and if not, which rule says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from engine.audience.conditions import holds
from engine.audience.values import Happening, Link
from engine.audience.view import View
from engine.decide.decision import Rule, Trace
from engine.decide.policy import clock, live_graph, span
from engine.decide.split import held_out_of_all, in_holdout, stage_of
from engine.decide.state import CustomerState, Enrolled, Rules
from engine.decide.timing import later
from engine.journey.enter import ByEvent, ByHappening
from engine.journey.graph import Graph
from engine.values import replace


class Moment(Struct, frozen=True):
    """An instant that opens a way: of a crossing, of a wave (planned, or approved where that came later), of a date."""

    at: datetime
    key: str = ""  # what is entered once only: the wave, the date, the silence, the request, the happening
    event: Mapping[str, Any] = {}  # what a request tells of the person, or a happening
    delay: timedelta = timedelta(0)  # how long after it the plan begins, where a wave is spread


#: what opens a way: an event or a moment
Trigger = Happening | Moment


def enter(
    graph: Graph,
    version_id: int,
    state: CustomerState,
    trigger: Trigger,
    new_id: int,
    now: datetime,
    *,
    rules: Rules,
    stage: int | None = None,
) -> tuple[Enrolled | None, Trace]:
    """The new enrollment, due at once, or None; and why. `stage` is the roll-out stage (from 0) open now; None: all."""
    event = trigger if isinstance(trigger, Happening) else None
    at = trigger.at
    objection = _objection(graph, version_id, state, trigger, now, rules, stage)
    if objection is not None:
        return None, _trace(graph, None, Rule.not_entered, objection)
    way = _opened(graph, version_id, state, _key(graph, trigger) or "", new_id, at, rules)
    if event is not None:
        way = replace(way, event=dict(event.payload), event_at=event.at, lineage=event.lineage)
    elif isinstance(trigger, Moment):
        begins = later(at, trigger.delay)
        way = replace(way, event=dict(trigger.event), event_at=at if trigger.event else None)
        way = replace(way, arrived_at=begins, due_at=begins)
    return way, _trace(graph, new_id, Rule.entered, _entered(way, _by(graph, event), state))


def may_enter(
    graph: Graph, version_id: int, state: CustomerState, moment: Moment, now: datetime, *, rules: Rules
) -> bool:
    """Will `enter` let them in at this moment? Their person and their ways are all that it asks for."""
    return _objection(graph, version_id, state, moment, now, rules, None) is None


def _objection(
    graph: Graph,
    version_id: int,
    state: CustomerState,
    trigger: Trigger,
    now: datetime,
    rules: Rules,
    stage: int | None,
) -> str | None:
    key = _key(graph, trigger)
    return (
        _wrong_event(graph, state, rules, trigger, now)
        or (_no_key(graph) if key is None else None)
        or _too_old(graph, version_id, state, rules, trigger, now)
        or _not_its_stage(graph, state, stage)
        or _been_inside(graph, state, key or "", trigger.at)
    )


def start_of(
    graph: Graph,
    version_id: int,
    state: CustomerState,
    starter: Enrolled,
    lineage: tuple[Link, ...],
    at: datetime,
    new_id: int,
    now: datetime,
    *,
    rules: Rules,
) -> tuple[Enrolled | None, Trace]:
    """The same where a step of another journey opens it: the event that opened that one is handed on.

    What else `enter` asks for is not asked: the step stands in its place.
    """
    key = _key_in(graph, starter.event)
    objection = (
        (_no_key(graph) if key is None else None)
        or _too_old(graph, version_id, state, rules, Moment(at), now)
        or _been_inside(graph, state, key or "", at)
    )
    if objection is not None:
        return None, _trace(graph, None, Rule.not_entered, objection)
    way = _opened(graph, version_id, state, key or "", new_id, at, rules)
    way = replace(way, event=starter.event, event_at=starter.event_at, lineage=lineage)
    return way, _trace(graph, new_id, Rule.entered, _entered(way, f"started by {lineage[-1].by} ", state))


def _opened(
    graph: Graph, version_id: int, state: CustomerState, key: str, new_id: int, at: datetime, rules: Rules
) -> Enrolled:
    """Before the first step, due at once."""
    return Enrolled(
        id=new_id,
        customer_id=state.person.id,
        journey=graph.journey,
        version_id=version_id,
        key=key,
        entered_at=at,
        holdout=_held_out(graph, state, rules),
        step=None,
        visit=1,
        arrived_at=at,
        due_at=at,
    )


def _key(graph: Graph, trigger: Trigger) -> str | None:
    """What `again: {per: ...}` names in this event; None when the event does not hold it. Else what is entered once."""
    if isinstance(trigger, Moment):
        return trigger.key if graph.head.again.per is None else _key_in(graph, trigger.event)
    return _key_in(graph, trigger.payload)


def _key_in(graph: Graph, payload: Mapping[str, Any]) -> str | None:
    per = graph.head.again.per
    if per is None:
        return ""
    value = payload.get(per)
    return None if value is None or value == "" else str(value)


def _wrong_event(graph: Graph, state: CustomerState, rules: Rules, event: Trigger, now: datetime) -> str | None:
    opens = graph.head.enter
    if not isinstance(event, Happening):
        return None
    if not isinstance(opens, ByEvent):
        return f"{graph.journey} is not entered by events"
    if event.name != opens.event:
        return f"it is entered by {opens.event}, not by {event.name}"
    view = View(state.person, state.happenings, rules.audience, event=event.payload)
    if opens.where is not None and not holds(opens.where, view, now):
        return f"this {event.name} is not what `where` asks for"
    return None


def _no_key(graph: Graph) -> str:
    return f"the event has no {graph.head.again.per}, so it cannot be told from others"


def _too_old(
    graph: Graph, version_id: int, state: CustomerState, rules: Rules, trigger: Trigger, now: datetime
) -> str | None:
    """An event that arrived long after it happened starts nothing; nor does an instant that passed long ago."""
    head = live_graph(rules, graph.journey, version_id).head
    patience = head.max_lateness if head.max_lateness is not None else rules.policy.max_lateness
    known = trigger.received_at if isinstance(trigger, Happening) else now
    if known <= later(trigger.at, patience):
        return None
    return f"it was {clock(trigger.at, state.person.zone)}, more than {span(patience)} before it was known"


def _not_its_stage(graph: Graph, state: CustomerState, stage: int | None) -> str | None:
    stages = graph.head.rollout
    if stage is None or not stages:
        return None
    own = stage_of(graph.hashed_as, state.person.external_id, stages)
    if own is not None and own <= stage:
        return None
    return f"belongs to a later stage of the roll-out; open is {stage + 1} of {len(stages)}"


def _been_inside(graph: Graph, state: CustomerState, key: str, at: datetime) -> str | None:
    """Re-entry: whoever is inside stays inside once, and `again` says when one may come back."""
    again = graph.head.again
    ways = [one for one in state.enrollments if one.journey == graph.journey]
    if again.per is not None:
        return f"entered before for {again.per} {key}" if any(one.key == key for one in ways) else None
    if any(one.active for one in ways):
        return "is already inside"
    if key and any(one.key == key for one in ways):
        return f"entered before for {key}"
    last = _last_entry(ways)
    if last is None or again.always:
        return None
    if again.after is None:
        return f"entered before, at {clock(last, state.person.zone)}, and does so once only"
    back = later(last, again.after)
    return None if at >= back else f"entered at {clock(last, state.person.zone)}, may again {span(again.after)} later"


def _last_entry(ways: Iterable[Enrolled]) -> datetime | None:
    return max((one.entered_at for one in ways), default=None)


def _held_out(graph: Graph, state: CustomerState, rules: Rules) -> bool:
    """Shares of people are held out of a journey, and of all marketing; what belongs to a contract is not withheld."""
    head = graph.head
    marketing = rules.policy.is_marketing(head.topic)
    name = state.person.external_id
    own = in_holdout(graph.hashed_as, name, head.holdout)
    return marketing and (own or held_out_of_all(name, rules.policy.holdout))


def _by(graph: Graph, event: Happening | None) -> str:
    if event is None:
        opens = graph.head.enter
        return f"by {opens.happening} " if isinstance(opens, ByHappening) else ""
    return f"by {event.name} of {event.lineage[-1].by} " if event.lineage else f"by {event.name} "


def _entered(way: Enrolled, by: str, state: CustomerState) -> str:
    begins = f"; begins at {clock(way.arrived_at, state.person.zone)}" if way.arrived_at > way.entered_at else ""
    held = "; held out: walks the plan and gets nothing" if way.holdout else ""
    return f"entered {by}at {clock(way.entered_at, state.person.zone)}{begins}{held}"


def _trace(graph: Graph, enrollment_id: int | None, rule: Rule, sentence: str) -> Trace:
    position = graph.enter_position
    return Trace(enrollment_id, graph.journey, None, rule, sentence, {}, position.file, position.line)

"""A Decision in the making: the story of one customer at one instant, written down as it is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from msgspec import Struct

from engine.audience.values import Happening, Link, Person
from engine.decide.caps import Places
from engine.decide.decision import (
    Agreed,
    CloseTask,
    Decision,
    Emit,
    Give,
    OpenTask,
    Rule,
    Started,
    TakeBack,
    Trace,
    Unsent,
    Want,
)
from engine.decide.outcome import MessageState
from engine.decide.policy import live_graph
from engine.decide.rounds import rounds_of, visit_of
from engine.decide.state import Assigned, Code, Consented, CustomerState, Enrolled, Rules, Said
from engine.decide.timing import FAR, later
from engine.journey.graph import Graph, Node
from engine.journey.head import Journey
from engine.journey.problems import Position
from engine.values import replace

_OPENED_HERE = -1_000  # and below: numbers of ways that have none yet
_LATER_THAN_ALL = 2**62  # numbers of events that have none yet


@dataclass
class Draft:
    """What is given (`state`, `rules`, `now`) and what follows so far. Lives for one call of `decide`."""

    state: CustomerState
    rules: Rules
    now: datetime
    places: Places = field(init=False)
    moves: list[Enrolled] = field(default_factory=list)
    wants: list[Want] = field(default_factory=list)
    unsent: list[Unsent] = field(default_factory=list)
    take_back: list[TakeBack] = field(default_factory=list)
    open_tasks: list[OpenTask] = field(default_factory=list)
    close_tasks: list[CloseTask] = field(default_factory=list)
    given: list[Give] = field(default_factory=list)
    agreed: list[Agreed] = field(default_factory=list)
    person: Person | None = None
    emitted: list[Emit] = field(default_factory=list)
    started: list[Started] = field(default_factory=list)
    stopping: dict[int, Link] = field(default_factory=dict)  # way -> the step that ends it
    traces: list[Trace] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.places = Places(self.state.said)

    def decision(self) -> Decision:
        """The whole of it."""
        return Decision(
            customer_id=self.state.person.id,
            moves=tuple(self.moves),
            wants=tuple(self.wants),
            unsent=tuple(self.unsent),
            take_back=tuple(self.take_back),
            open_tasks=tuple(self.open_tasks),
            close_tasks=tuple(self.close_tasks),
            given=tuple(self.given),
            person=self.person,
            agreed=tuple(self.agreed),
            emitted=tuple(self.emitted),
            started=tuple(self.started),
            traces=tuple(self.traces),
        )

    def new_id(self) -> int:
        """A number for a way that is opened here."""
        return _OPENED_HERE - len(self.started)

    def start(self, opened: Started) -> None:
        """Another way of the person, looked at when this decision is written."""
        self.started.append(opened)
        self.state = replace(self.state, enrollments=(*self.state.enrollments, opened.way))

    def stop(self, journey: str, by: Enrolled, link: Link) -> bool:
        """End the other ways through a journey. False when there is none."""
        over = {way.id for way in self.moves if not way.active} | self.stopping.keys() | {by.id}
        inside = [way for way in self.state.enrollments if way.journey == journey and way.active and not way.aside]
        wanted = [way.id for way in inside if way.id not in over]
        self.stopping |= dict.fromkeys(wanted, link)
        return bool(wanted)

    def settle_stopped(self) -> None:
        """Wherever a way that is stopped has come to meanwhile, it is looked at again at once, and ends."""
        moved = {way.id: way for way in self.moves}
        known = {way.id: way for way in self.state.enrollments}
        for number, link in self.stopping.items():
            way = moved.get(number, known[number])
            if way.active:
                moved[number] = changed(way, stopped=link, due_at=self.now)
        self.started = [replace(one, way=moved.pop(one.way.id, one.way)) for one in self.started]
        self.moves = list(moved.values())

    def emit(self, emitted: Emit) -> None:
        """An event that the rest of this decision knows of."""
        self.emitted.append(emitted)
        number = _LATER_THAN_ALL + len(self.emitted)
        told = Happening(number, emitted.event, emitted.at, emitted.payload, emitted.at, emitted.lineage)
        self.state = replace(self.state, happenings=(*self.state.happenings, told))

    def change_person(self, person: Person) -> None:
        """The person is another from here on, for everything that is still decided."""
        if person != self.state.person:
            self.person = person
            self.state = replace(self.state, person=person)

    def agree(self, said: Agreed) -> None:
        """They said so, at its instant; what they said later holds all the same."""
        self.agreed.append(said)
        word = Consented(said.channel, said.topic, said.granted, said.at, said.source)
        others = [one for one in self.state.consents if (one.channel, one.topic) != (word.channel, word.topic)]
        known = [one for one in self.state.consents if one not in others and one.at > word.at]
        self.state = replace(self.state, consents=(*others, *(known or [word])))

    def withdraw(
        self, message_ids: list[int], rule: Rule, sentence: str, detail: Mapping[str, Any] | None = None
    ) -> None:
        """Take back messages that wait to leave; the places of those that cannot be out are free at once."""
        known = {one.message_id for one in self.take_back}
        new = [TakeBack(number, rule, sentence, dict(detail or {})) for number in message_ids if number not in known]
        self.take_back += new
        may_be_out = {one.id for one in self.state.said if one.state is MessageState.repeat}
        self.places.give_up(set(message_ids) - may_be_out)

    def wake_displaced(self) -> None:
        """Who lost a place is looked at again at once, and goes on as capped."""
        owners = {one.id: one.enrollment_id for one in self.state.said}
        moved = {way.id: way for way in self.moves}
        for back in (one for one in self.take_back if one.rule is Rule.displaced):
            way = next((way for way in self.state.enrollments if way.id == owners[back.message_id]), None)
            way = None if way is None else moved.get(way.id, way)
            if way is not None and way.active and not way.aside:
                Here.of(way, self).tell(Rule.displaced, back.sentence, {"message": back.message_id, **back.detail})
                moved[way.id] = changed(way, due_at=self.now)
        self.moves = list(moved.values())

    def free_code(self, pool: str) -> Code | None:
        """A code set aside for this customer that no way of theirs holds yet, the one that ends soonest first."""
        used = {code.code for way in self.state.enrollments for code in way.vouchers.values() if code.pool == pool}
        used |= {one.code.code for one in self.given if one.code.pool == pool}
        free = [code for code in self.state.codes.get(pool, ()) if code.code not in used]
        return min(free, key=_soonest_first, default=None)


def _soonest_first(code: Code) -> tuple[bool, float, str]:
    ends = code.expires_at
    return ends is None, ends.timestamp() if ends else 0.0, code.code


def changed(way: Enrolled, **changes: Any) -> Enrolled:
    """A way that has come further."""
    return replace(way, **changes)


class Here(Struct, frozen=True):
    """Where one way stands: the enrollment, the step it is at, and the draft it writes into."""

    enrolled: Enrolled
    graph: Graph  # the version it entered: its steps
    live: Graph  # the version people enter now: leave rules, goal, caps, priority
    ends: datetime  # no step begins later
    draft: Draft

    @classmethod
    def of(cls, way: Enrolled, draft: Draft) -> Here:
        """Where a way stands when it is looked at."""
        graph = draft.rules.graphs[way.version_id]
        span = graph.head.ends_after
        ends = FAR if span is None else later(way.entered_at, span)
        return cls(way, graph, live_graph(draft.rules, way.journey, way.version_id), ends, draft)

    def holding(self, way: Enrolled) -> Here:
        """The same place, with what a step gave the way to carry."""
        return Here(way, self.graph, self.live, self.ends, self.draft)

    def at(self, node_id: str | None, arrived: datetime) -> Here:
        """The same way at another step; None: at the end of the plan."""
        visit = visit_of(self.graph.nodes[node_id].loops, self.enrolled.rounds) if node_id else self.enrolled.visit
        return self.holding(changed(self.enrolled, step=node_id, visit=visit, arrived_at=arrived, due_at=None))

    @property
    def node(self) -> Node:
        assert self.enrolled.step is not None
        return self.graph.nodes[self.enrolled.step]

    @property
    def now(self) -> datetime:
        return self.draft.now

    @property
    def state(self) -> CustomerState:
        return self.draft.state

    @property
    def rules(self) -> Rules:
        return self.draft.rules

    @property
    def arrived(self) -> datetime:
        """When the plan came here; everything this step plans counts from it."""
        return self.enrolled.arrived_at

    @property
    def head(self) -> Journey:
        """The live version's head."""
        return self.live.head

    @property
    def said(self) -> list[Said]:
        """Messages of this way, the oldest first."""
        mine = (one for one in self.state.said if one.enrollment_id == self.enrolled.id and not one.theirs)
        return sorted(mine, key=lambda one: (one.at, one.id))

    @property
    def said_here(self) -> list[Said]:
        """Messages of the touch this step is about, in order of wish."""
        step = self.enrolled.step, self.enrolled.visit
        return sorted((one for one in self.said if (one.step, one.visit) == step), key=lambda one: one.wish)

    @property
    def said_this_round(self) -> list[Said]:
        """Messages of this way but those of earlier rounds of a repeat it is in now."""
        loops = self.node.loops if self.enrolled.step else ()
        return [one for one in self.said if self._in_this_round(one, loops)] if loops else self.said

    def _in_this_round(self, said: Said, loops: tuple[str, ...]) -> bool:
        theirs = self.graph.nodes[said.step].loops if said.step in self.graph.nodes else ()
        shared = len([one for one, other in zip(loops, theirs, strict=False) if one == other])
        now = rounds_of(self.enrolled.visit, len(loops))[:shared]
        return rounds_of(said.visit, len(theirs))[:shared] == now

    @property
    def tasks(self) -> list[Assigned]:
        """Tasks of this way."""
        return sorted((one for one in self.state.tasks if one.enrollment_id == self.enrolled.id), key=lambda o: o.id)

    def tell(
        self, rule: Rule, sentence: str, detail: Mapping[str, Any] | None = None, position: Position | None = None
    ) -> None:
        """Leave a trace, with the place where the rule is written: the step's own unless another is given."""
        written = position or (self.node.position if self.enrolled.step else self.graph.enter_position)
        self.draft.traces.append(
            Trace(
                enrollment_id=self.enrolled.id,
                journey=self.enrolled.journey,
                step=self.enrolled.step,
                rule=rule,
                sentence=sentence,
                detail=dict(detail or {}),
                file=written.file,
                line=written.line,
            )
        )


def on_the_way(said: Said) -> bool:
    """Can this message still be taken back? It has not begun, or waits for another attempt."""
    if said.state in (MessageState.retry, MessageState.repeat):
        return True
    return said.state is MessageState.queued and not said.begun

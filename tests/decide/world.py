"""A world of one customer in memory: what the work room does with decisions, in a few lines, to walk plans in tests.

`apply` performs a Decision on a state. A `World` jumps from due instant to due instant, lets events happen, and answers
for the providers; its `ledger` tells what was said when, on the person's own clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from engine.audience.book import Audience, Pool
from engine.audience.values import Happening, Person
from engine.decide.customer import decide
from engine.decide.decision import Decision, Rule, Trace
from engine.decide.entry import Moment, Trigger, enter
from engine.decide.outcome import MessageState
from engine.decide.state import Assigned, Code, Consented, CustomerState, Enrolled, Rules, Said
from engine.journey.catalog import read_journey
from engine.journey.conditions import Condition, Field, FieldKind, Test, Word
from engine.journey.enter import ByEvent
from engine.journey.graph import Graph
from engine.journey.quantities import Money
from engine.settings import Cap, Policy, Purpose, Queue, Topic
from engine.values import replace

SHANGHAI = ZoneInfo("Asia/Shanghai")
CHANNELS = ("wechat", "push", "sms", "email")
START = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)  # a Sunday, 10:00 in Shanghai
NO_LIMITS = Policy(caps=(), least_gap=timedelta(0), quiet_hours={})


def at(text: str, zone: ZoneInfo = SHANGHAI) -> datetime:
    """An instant written as the person's clock shows it: `11-22 10:00`, of 2026 unless a year is given."""
    text = text if text.count("-") == 2 else f"2026-{text}"
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


def shown(instant: datetime | None, zone: ZoneInfo = SHANGHAI) -> str:
    return "" if instant is None else instant.astimezone(zone).strftime("%m-%d %H:%M")


def journey(text: str, name: str = "plan", traits: Iterable[str] = ()) -> Graph:
    """A journey from its text; `enter` and `topic` are filled in where a test does not care."""
    lines = [
        default
        for key, default in (("topic:", "topic: care"), ("enter:", "enter: {event: Begin}"))
        if not any(line.startswith(key) for line in text.splitlines())
    ]
    whole = "\n".join([*lines, text])
    graph, problems = read_journey(whole, f"journeys/{name}.yaml", name, frozenset(traits))
    assert graph is not None, problems
    return graph


def policy(base: Policy = NO_LIMITS, **changes: Any) -> Policy:
    """No limits but those a test asks for; `orders` is the one transactional topic."""
    topics = {
        "care": Topic(title="Care", purpose=Purpose.marketing),
        "offers": Topic(title="Offers", purpose=Purpose.marketing),
        "orders": Topic(title="Orders", purpose=Purpose.transactional),
    }
    return base.model_copy(update={"topics": topics, "channels": CHANNELS, **changes})


def cap(at_most: int, per: Any, channel: str | None = None) -> Cap:
    return Cap(at_most=at_most, per=per, channel=channel)


class AnyText(dict[str, frozenset[str]]):
    """Every message is written for every channel."""

    def get(self, key: str, default: Any = None) -> frozenset[str]:  # type: ignore[override]
        return super().get(key, frozenset(CHANNELS))


def audience(**segments: Condition) -> Audience:
    pools = {"coupons": Pool("codes/coupons.csv", Money(Decimal(20), "CNY"))}
    return Audience(segments=segments, pools=pools)


def kept(name: str, value: str) -> Condition:
    return Test(Field(FieldKind.attribute, name), Word.is_, value)


def rules_for(*graphs: Graph, policy: Policy | None = None, **changes: Any) -> Rules:
    """Rules in which the given journeys are published, as versions 1, 2, ..."""
    versions = dict(enumerate(graphs, start=1))
    rules = Rules(
        audience=audience(),
        graphs=versions,
        live={graph.journey: number for number, graph in versions.items()},
        policy=policy or _POLICY,
        texts=AnyText(),
        default_zone="Asia/Shanghai",
        queues={"desk": Queue(title="Desk")},
    )
    return replace(rules, **changes)


_POLICY = policy()


def person(**changes: Any) -> Person:
    """Reachable everywhere."""
    known = Person(
        id=1,
        external_id="c-1",
        zone=SHANGHAI,
        locale="zh-CN",
        country="CN",
        created_at=START - timedelta(days=400),
        addresses={channel: f"c-1@{channel}.example.com" for channel in CHANNELS},
    )
    return replace(known, **changes)


def consent(
    *channels: str, topic: str = "*", granted: bool = True, at: datetime | None = None
) -> tuple[Consented, ...]:
    return tuple(Consented(channel, topic, granted, at or START - timedelta(days=9), "web") for channel in channels)


def codes(pool: str, *texts: str, expires_at: datetime | None = None) -> Mapping[str, tuple[Code, ...]]:
    return {pool: tuple(Code(pool, text, "20 CNY", expires_at) for text in texts)}


def way(graph: Graph, number: int = 7, **changes: Any) -> Enrolled:
    """Someone who entered at START and stands before the first step."""
    new = Enrolled(
        id=number,
        customer_id=1,
        journey=graph.journey,
        version_id=1,
        key="",
        entered_at=START,
        holdout=False,
        step=None,
        visit=1,
        arrived_at=START,
        due_at=START,
    )
    return replace(new, **changes)


def said(number: int = 100, **changes: Any) -> Said:
    """A marketing message of some other journey, accepted at START."""
    known = Said(
        id=number,
        enrollment_id=900 + number,
        touch_id=number,
        journey="other",
        step="send-hello",
        visit=1,
        wish=0,
        channel="email",
        message="hello",
        topic="care",
        marketing=True,
        priority=50,
        at=START,
        state=MessageState.accepted,
        reason=None,
        begun=True,
        counts_at=START,
        send_by=START + timedelta(days=1),
    )
    if "counts_at" in changes:
        changes = {"at": changes["counts_at"], **changes}
    return replace(known, **changes)


def state(*ways: Enrolled, **changes: Any) -> CustomerState:
    """Someone who agreed to everything."""
    known = CustomerState(person=person(), enrollments=ways, consents=consent(*CHANNELS))
    return replace(known, **changes)


# --- performing decisions --------------------------------------------------------------------------------------------


def apply(state: CustomerState, decision: Decision, now: datetime) -> CustomerState:
    """The state after a Decision was performed, and nothing else happened."""
    moved = {way.id: way for way in decision.moves}
    ways = [moved.get(way.id, way) for way in state.enrollments]
    back = {one.message_id: one for one in decision.take_back}
    books = [_taken_back(one, back[one.id].rule, now) if one.id in back else one for one in state.said]
    number = max([one.id for one in books], default=0)
    calls = [one.call for one in decision.open_tasks if one.call is not None]
    for want in (*decision.wants, *calls):
        number += 1
        books.append(_said(number, want, now, state=MessageState.queued, reason=None, begun=False, due_at=want.due_at))
    for unsent in decision.unsent:
        number += 1
        reason = unsent.rule.value
        books.append(_said(number, unsent, now, state=unsent.state, reason=reason, begun=False, due_at=unsent.due_at))
    closed = {one.task_id: one for one in decision.close_tasks}
    tasks = [
        replace(one, outcome=closed[one.id].outcome, closed_at=closed[one.id].at) if one.id in closed else one
        for one in state.tasks
    ]
    for opened in decision.open_tasks:
        tasks.append(
            Assigned(
                id=len(tasks) + 1,
                enrollment_id=opened.enrollment.id,
                step=opened.step,
                visit=opened.visit,
                opened_at=opened.opened_at,
                due_at=opened.due_at,
                outcome=None,
                closed_at=None,
            )
        )
    ways += [replace(one.way, id=1_000 + len(ways) + place) for place, one in enumerate(decision.started)]
    given = {one.code.code for one in decision.given}
    left = {pool: tuple(code for code in some if code.code not in given) for pool, some in state.codes.items()}
    return replace(state, enrollments=tuple(ways), said=tuple(books), tasks=tuple(tasks), codes=left)


def _taken_back(one: Said, rule: Rule, now: datetime) -> Said:
    return replace(one, state=MessageState.cancelled, reason=rule.value, settled_at=now)


def _said(number: int, want: Any, now: datetime, **known: Any) -> Said:
    way = want.enrollment
    return Said(
        id=number,
        enrollment_id=way.id,
        touch_id=hash((way.id, want.step, want.visit)),
        journey=way.journey,
        step=want.step,
        visit=want.visit,
        wish=want.wish,
        channel=want.channel,
        message=want.message,
        topic=want.topic,
        marketing=want.marketing,
        priority=want.priority,
        at=now,
        counts_at=now,
        send_by=want.send_by,
        tags=want.tags,
        **known,
    )


@dataclass
class World:
    """One customer, living through time."""

    state: CustomerState
    rules: Rules
    now: datetime = START
    provider: Callable[[Said], MessageState] = lambda said: MessageState.accepted
    ledger: list[str] = field(default_factory=list)  # what a person would notice, in order
    traces: list[Trace] = field(default_factory=list)
    coming: list[tuple[datetime, str, dict[str, Any]]] = field(default_factory=list)
    answers: list[tuple[str, timedelta, str]] = field(default_factory=list)  # task step, after so long, outcome
    _number: int = 0

    def later(self, when: datetime, name: str, **payload: Any) -> None:
        """An event that will happen."""
        self.coming.append((when, name, payload))

    def run(self, until: datetime) -> None:
        """Live until then, jumping from one due instant to the next."""
        while (instant := self._next()) is not None and instant <= until:
            self.now = max(self.now, instant)
            self._happen()
            self._answer_tasks()
            self.settle()
        self.now = max(self.now, until)

    def settle(self) -> None:
        """Decide and hand over until nothing more follows at this instant."""
        for _ in range(200):
            before = self.state
            self.step()
            self.hand_over()
            if self.state == before:
                return
        raise AssertionError("there is no end to what follows at one instant")

    def step(self) -> Decision:
        """One decision, performed."""
        decision = decide(self.state, self.rules, self.now)
        self.state = apply(self.state, decision, self.now)
        self.traces += decision.traces
        for unsent in decision.unsent:
            self._note(f"{unsent.step}: {unsent.rule.value}")
        for task in decision.open_tasks:
            self._note(f"task {task.brief} for {task.queue}, due {self._clock(task.due_at)}")
        for closed in decision.close_tasks:
            self._note(f"task closed: {closed.outcome}")
        for given in decision.given:
            self._note(f"code {given.code.code}")
        for moved in decision.moves:
            if not moved.active:
                self._note(f"end: {moved.reason}")
        return decision

    def hand_over(self) -> None:
        """Every queued message reaches its provider, who answers at once."""
        for one in self.state.said:
            if one.state is MessageState.queued and not one.begun:
                outcome = self.provider(one)
                self._note(f"{one.message} by {one.channel}" + ("" if outcome == "accepted" else f": {outcome.value}"))
                self.settle_message(one.id, outcome)

    def settle_message(self, number: int, outcome: MessageState, reason: str | None = None) -> None:
        """The news that a message reached a state; its way is woken."""
        books = [
            replace(one, state=outcome, begun=True, settled_at=self.now, reason=reason) if one.id == number else one
            for one in self.state.said
        ]
        owner = next(one.enrollment_id for one in books if one.id == number)
        ways = [
            replace(way, due_at=self.now) if way.id == owner and way.active else way for way in self.state.enrollments
        ]
        self.state = replace(self.state, said=tuple(books), enrollments=tuple(ways))

    def event(self, name: str, when: datetime | None = None, **payload: Any) -> None:
        """An event becomes known: it opens journeys, and wakes whoever may wait for it."""
        self._number += 1
        happening = Happening(self._number, name, when or self.now, payload, self.now)
        ways = tuple(replace(way, due_at=self.now) if way.active else way for way in self.state.enrollments)
        self.state = replace(self.state, happenings=(*self.state.happenings, happening), enrollments=ways)
        for journey_name, version in self.rules.live.items():
            graph = self.rules.graphs[version]
            if isinstance(graph.head.enter, ByEvent) and graph.head.enter.event == name:
                self._enter(journey_name, version, happening)

    def begin(self, name: str) -> None:
        """A crossing or a wave lets the person in."""
        self._enter(name, self.rules.live[name], Moment(self.now))

    def _enter(self, name: str, version: int, trigger: Trigger) -> None:
        self._number += 1
        graph = self.rules.graphs[version]
        new, trace = enter(graph, version, self.state, trigger, self._number, self.now, rules=self.rules)
        self.traces.append(trace)
        if new is not None:
            self._note(f"enters {name}" + (" held out" if new.holdout else ""))
            self.state = replace(self.state, enrollments=(*self.state.enrollments, new))

    def _next(self) -> datetime | None:
        due = [way.due_at for way in self.state.enrollments if way.active and way.due_at is not None]
        due += [when for when, _, _ in self.coming]
        due += [one.opened_at + after for one, after, _ in self._answerable()]
        return min(due, default=None)

    def _happen(self) -> None:
        now, self.coming = self.coming, [one for one in self.coming if one[0] > self.now]
        for when, name, payload in sorted(now, key=lambda one: one[0]):
            if when <= self.now:
                self._note(f"{name}")
                self.event(name, when, **payload)

    def _answerable(self) -> list[tuple[Assigned, timedelta, str]]:
        return [
            (one, after, outcome)
            for one in self.state.tasks
            for step, after, outcome in self.answers
            if one.outcome is None and one.step == step
        ]

    def _answer_tasks(self) -> None:
        for one, after, outcome in self._answerable():
            if one.opened_at + after <= self.now:
                self.close_task(one.id, outcome)

    def close_task(self, number: int, outcome: str) -> None:
        """A person closes a task."""
        self._note(f"task answered: {outcome}")
        tasks = [
            replace(one, outcome=outcome, closed_at=self.now) if one.id == number else one for one in self.state.tasks
        ]
        owner = next(one.enrollment_id for one in tasks if one.id == number)
        ways = [
            replace(way, due_at=self.now) if way.id == owner and way.active else way for way in self.state.enrollments
        ]
        self.state = replace(self.state, tasks=tuple(tasks), enrollments=tuple(ways))

    def _note(self, text: str) -> None:
        self.ledger.append(f"{self._clock(self.now)} {text}")

    def _clock(self, instant: datetime) -> str:
        return shown(instant, self.state.person.zone)

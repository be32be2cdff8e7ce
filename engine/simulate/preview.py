"""What a person would get through a whole journey: every branch once, each message rendered, and why not where not.

It walks the plan with the functions that send in earnest: the same judgement, the same rendering, the same data. What
lies ahead is assumed in the open: each way out of a step is walked once, and the way this person would take by what is
known of them today is marked. Nothing is written and no network is touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from channels.contract import Content, Sms, WeChat, fields_of
from engine.app import App
from engine.audience.conditions import holds
from engine.audience.segments import member_of
from engine.audience.values import Happening
from engine.audience.view import View
from engine.decide import policy, steps, tasks
from engine.decide.decision import OpenTask, Want
from engine.decide.draft import Draft, Here
from engine.decide.entry import Moment, Trigger, enter
from engine.decide.price import costs_by_turn
from engine.decide.results import Go, Stay
from engine.decide.rounds import visit_of
from engine.decide.send import send
from engine.decide.state import Code, CustomerState, Enrolled, Round, Rules
from engine.decide.timing import later
from engine.decide.update import update
from engine.errors import Refused
from engine.journey.enter import ByEvent, ByHappening, ByRequest, BySegment
from engine.journey.graph import Graph, Node
from engine.journey.parts import WEBHOOK
from engine.journey.quantities import Money
from engine.journey.steps import (
    CALL_OUTCOMES,
    OVERDUE,
    ROUND,
    ApproveStep,
    BranchStep,
    EmitStep,
    ExitStep,
    GiveStep,
    RepeatStep,
    SendStep,
    SplitStep,
    StartStep,
    StopStep,
    TaskStep,
    UpdateStep,
    WaitForStep,
    WaitStep,
    WebhookStep,
)
from engine.learn.why import written
from engine.message.approved import OF_WECHAT, filled
from engine.message.forms import WeChatForm
from engine.message.sms import parts_of
from engine.store import customers, events, happenings
from engine.store.waves import audience_page
from engine.values import replace
from engine.work.advance import render_want, told_outside
from engine.work.entering.asked import asked
from engine.work.gather import gather

MOST_JUDGED_AGAIN = 5  # times a deferred message is looked at again
MOST_ROUNDS_TOLD = 6  # rounds of a repeat whose beginning is told


@dataclass(frozen=True)
class Shown:
    """One message as this person would get it."""

    message: str
    channel: str
    locale: str
    content: Mapping[str, Any]
    wording: str = ""  # of WeChat: what the approved template says with these values
    error: str = ""  # why it cannot be written, where there is no content
    approved: str = ""  # of WeChat: the same template with its places, `{{thing1.DATA}}`
    costs: tuple[Money, ...] = ()  # by the lanes that are asked first, the least first; none without a price


@dataclass(frozen=True)
class Stop:
    """One step of the plan for one person."""

    step: str
    verb: str
    depth: int
    when: datetime  # by the plan
    local: str  # the same on the person's own clock
    by: str  # the way that leads here: "wait_for-parcel_delivered: otherwise"
    on_their_way: bool  # by what is known of them today
    sentence: str
    shown: Shown | None = None
    place: str = ""


@dataclass(frozen=True)
class Walk:
    """One person's way through the whole plan."""

    person: str
    locale: str
    zone: str
    enters: bool
    entry: str  # why they would enter or would not
    holdout: bool
    stops: tuple[Stop, ...] = field(default=())
    cost: Mapping[str, Decimal] = field(default_factory=dict)  # currency -> at most, by what is known of them today


def preview(
    app: App, graph: Graph, rules: Rules, version_id: int, people: Sequence[str] | None, sample: int, at: datetime
) -> list[Walk]:
    """The ways of these people (the shop's ids), or of a sample of those the entry would reach."""
    needs = app.needs(rules)
    with app.database.reading() as connection:
        ids = _people(connection, rules, graph, people, sample, at)
        gathered = gather(app, connection, ids, rules, needs, at, {graph.journey: version_id})
    return [_Walker(app, rules, graph, version_id, state, at).walk() for state in gathered.states]


def straight_way(
    app: App, rules: Rules, graph: Graph, version_id: int, state: CustomerState, at: datetime
) -> list[Stop]:
    """The messages of the way a person takes who enters at `at` and answers nothing; none of them is rendered."""
    walk = _Walker(app, rules, graph, version_id, state, at, straight=True).walk()
    return [stop for stop in walk.stops if stop.shown is not None]


def _people(
    connection: Connection, rules: Rules, graph: Graph, people: Sequence[str] | None, sample: int, at: datetime
) -> list[int]:
    if people:
        found = customers.ids_of(connection, people)
        unknown = [one for one in people if one not in found]
        if unknown:
            raise Refused(f"there is no person {', '.join(unknown)}")
        return [found[one] for one in people]
    entry = graph.head.enter
    if isinstance(entry, ByEvent):
        return events.latest_people(connection, entry.event, at, sample)
    if isinstance(entry, ByRequest):
        return customers.first_ids(connection, sample)
    condition = asked(entry, rules.audience, at)
    return [] if condition is None else audience_page(connection, condition, 0, sample)


class _Walker:
    """Walks one person through every branch once; `straight`, through their own only, and renders nothing."""

    def __init__(
        self,
        app: App,
        rules: Rules,
        graph: Graph,
        version_id: int,
        state: CustomerState,
        at: datetime,
        straight: bool = False,
    ) -> None:
        self._app, self._rules, self._graph, self._straight = app, rules, graph, straight
        self._state = replace(state, codes=self._sample_codes(at, state.person.zone))
        self._version_id, self._at = version_id, at
        self._seen: set[str] = set()
        self._stops: list[Stop] = []

    def walk(self) -> Walk:
        person = self._state.person
        trigger = self._trigger()
        way, trace = enter(self._graph, self._version_id, self._state, trigger, -1, self._at, rules=self._rules)
        entered = way or self._as_if(trigger)
        entered = replace(entered, holdout=False)
        why_not = self._outside() if way else trace.sentence
        self._go(entered, self._graph.start, self._at, 0, "", True)
        return Walk(
            person=person.external_id,
            locale=person.locale,
            zone=person.zone.key,
            enters=why_not is None,
            entry=trace.sentence if why_not is None else f"would not enter now: {why_not}; shown as if they did",
            holdout=bool(way and way.holdout),
            stops=tuple(self._stops),
            cost=_cost(self._stops),
        )

    def _outside(self) -> str | None:
        """Why they are not before the door now, where a segment says who is; None when they are."""
        entry = self._graph.head.enter
        if isinstance(entry, ByEvent | ByRequest) or entry.segment is None:
            return None
        view = View(self._state.person, self._state.happenings, self._rules.audience)
        inside = holds(member_of(entry.segment), view, self._at)
        if inside is not (isinstance(entry, BySegment) and entry.crossing == "out"):
            return None
        return f"is {'' if inside else 'not '}in {entry.segment}"

    def with_sample_codes(self) -> Enrolled:
        """The person inside, with a code of every pool of the journey: so that texts have what they may speak of."""
        way = self._as_if(self._trigger())
        given = self._graph.names.pools
        return replace(way, vouchers={pool: codes[0] for pool, codes in self._state.codes.items() if pool in given})

    def _trigger(self) -> Trigger:
        """What would open their way now: an event like their last one, or this instant."""
        entry = self._graph.head.enter
        if isinstance(entry, ByHappening):
            return Moment(self._at, "preview", self._told(entry.happening))
        if not isinstance(entry, ByEvent):
            return Moment(self._at)
        seen = [one for one in self._state.happenings if one.name == entry.event]
        if not seen:
            return Happening(-1, entry.event, self._at, {}, self._at)
        per = self._graph.head.again.per
        payload = dict(seen[-1].payload)
        if per is not None and per in payload:
            payload[per] = f"{payload[per]}-preview"
        return Happening(-1, entry.event, self._at, payload, self._at)

    def _told(self, happening: str) -> Mapping[str, Any]:
        """What the last one told."""
        with self._app.database.reading() as connection:
            return next(iter(happenings.latest(connection, happening, 1)), {})

    def _as_if(self, trigger: Trigger) -> Enrolled:
        event = trigger if isinstance(trigger, Happening) else None
        return Enrolled(
            id=-1,
            customer_id=self._state.person.id,
            journey=self._graph.journey,
            version_id=self._version_id,
            key="",
            entered_at=self._at,
            holdout=False,
            step=None,
            visit=1,
            arrived_at=self._at,
            due_at=self._at,
            event=dict(trigger.event if isinstance(trigger, Moment) else trigger.payload),
            event_at=event.at if event else None,
        )

    def _sample_codes(self, at: datetime, zone: ZoneInfo) -> dict[str, tuple[Code, ...]]:
        """Codes to show: none of the real ones is shown or given."""
        found: dict[str, tuple[Code, ...]] = {}
        for name, pool in self._rules.audience.pools.items():
            expires = later(at, pool.expires) if pool.expires else None
            found[name] = (Code(name, "SAMPLE-CODE", written(pool.value, zone), expires),)
        return found

    def _go(self, way: Enrolled, node_id: str | None, at: datetime, depth: int, by: str, theirs: bool) -> None:
        """Show one step and what may follow; a step that was shown already is not shown again."""
        if node_id is None or node_id in self._seen:
            return
        self._seen.add(node_id)
        node = self._graph.nodes[node_id]
        way = replace(way, step=node_id, visit=visit_of(node.loops, way.rounds), arrived_at=at, due_at=None)
        stop, onward = self._step(node, way, at)
        self._stops.append(
            replace(stop, depth=depth, by=by, on_their_way=theirs, place=f"{node.position.file}:{node.position.line}")
        )
        if self._straight:
            onward = [one for one in onward if one.theirs] or onward[:1]
        forks = len(onward) > 1
        here = self._state
        for one in onward:
            self._state = here  # what a step changes about the person holds on the ways behind it
            target = self._graph.follow(node_id, one.outcome)
            told = f"{node_id}: {one.outcome}" if forks and one.outcome else by
            inner = depth + (forks and target != node.next)
            self._go(one.way, target, one.at, inner, told, theirs and one.theirs)

    def _step(self, node: Node, way: Enrolled, at: datetime) -> tuple[Stop, list[_Onward]]:
        match node.step:
            case SendStep() as step:
                return self._send(node, step, way, at)
            case ExitStep() as step:
                return self._stop(node, at, f"ends here: {step.exit}"), []
            case WaitStep() as step:
                result = steps.wait(step, self._here(way, at))
                until = result.until if isinstance(result, Stay) and result.until else at
                return self._stop(node, at, result.sentence), [_Onward(None, way, until)]
            case WaitForStep() as step:
                result = steps.wait_for(step, self._here(way, at))
                last = later(at, step.within)
                ways = [_Onward("then", way, at + timedelta(minutes=1), False), _Onward("otherwise", way, last)]
                return self._stop(node, at, result.sentence), ways
            case BranchStep() as step:
                result = steps.branch(step, self._here(way, at))
                mine = result.outcome if isinstance(result, Go) else None
                return self._stop(node, at, f"today: {result.sentence}"), self._all(node, way, at, mine)
            case SplitStep() as step:
                result = steps.split(step, self._here(way, at))
                mine = result.outcome if isinstance(result, Go) else None
                return self._stop(node, at, result.sentence), self._all(node, way, at, mine)
            case GiveStep() as step:
                self._state = replace(self._state, codes=self._sample_codes(at, self._state.person.zone))
                result = steps.give(step, self._here(way, at))
                kept = result.carries if isinstance(result, Go) and result.carries else way
                return self._stop(node, at, result.sentence), self._all(node, kept, at, "given")
            case TaskStep():
                return self._task(node, way, at)
            case ApproveStep() as step:
                result = tasks.approve(step, self._here(way, at))
                last = later(at, step.within)
                ways = [_Onward("approved", way, at), _Onward("refused", way, at, False)]
                return self._stop(node, at, result.sentence), [*ways, _Onward("expired", way, last, False)]
            case UpdateStep() as step:
                draft = Draft(self._state, self._rules, at)
                result = update(step, Here.of(way, draft))
                self._state = draft.state
                return self._stop(node, at, result.sentence), [_Onward(None, way, at)]
            case EmitStep() | StartStep() | StopStep() as step:
                draft = Draft(self._state, self._rules, at)
                result = steps.perform(step, Here.of(way, draft))
                self._state = draft.state
                mine = result.outcome if isinstance(result, Go) else None
                return self._stop(node, at, result.sentence), self._all(node, way, at, mine)
            case WebhookStep() as step:
                return self._hook(node, step, way, at)
            case RepeatStep() as step:
                return self._repeat(node, step, way, at)
            case _:
                raise TypeError(f"the preview cannot walk {node.verb}")

    def _all(self, node: Node, way: Enrolled, at: datetime, mine: str | None) -> list[_Onward]:
        """Every way out, the person's own first."""
        names = sorted(node.outcomes, key=lambda name: name != mine)
        ways = [_Onward(name, way, at, name == mine) for name in names]
        if mine is not None and mine not in node.outcomes:
            ways.append(_Onward(mine, way, at, True))
        return ways or [_Onward(None, way, at)]

    def _task(self, node: Node, way: Enrolled, at: datetime) -> tuple[Stop, list[_Onward]]:
        """Open it at the instant the plan reaches it; a call that is put off, when it may be made."""
        assert isinstance(node.step, TaskStep)
        now, told = at, []
        for _ in range(MOST_JUDGED_AGAIN):
            draft = Draft(self._state, self._rules, now)
            result = tasks.task(node.step, Here.of(way, draft))
            told.append(result.sentence)
            opened: OpenTask | None = draft.open_tasks[0] if draft.open_tasks else None
            if opened is not None or not isinstance(result, Stay) or result.until is None or way.holdout:
                break
            now = result.until
        if isinstance(result, Go) and result.outcome in CALL_OUTCOMES:
            return self._stop(node, now, "; ".join(told)), self._all(node, way, now, result.outcome)
        due = opened.due_at if opened else now
        ways = [_Onward(name, way, due if name == OVERDUE else now, False) for name in node.step.outcomes]
        if OVERDUE not in node.step.outcomes:
            ways.append(_Onward(OVERDUE, way, due, False))
        return self._stop(node, now, "; ".join(told)), ways

    def _repeat(self, node: Node, step: RepeatStep, way: Enrolled, at: datetime) -> tuple[Stop, list[_Onward]]:
        """Its steps are shown once, in the first round; of the others it is told when they begin."""
        result = steps.repeat(step, self._here(way, at))
        assert isinstance(result, Go)
        over = result.outcome != ROUND
        times, every = step.repeat.times, step.repeat.every
        told = [f"today: {result.sentence}" if over else f"{times} rounds at most, shown once"]
        if every is not None and times > 1 and not over:
            zone = self._state.person.zone
            starts = [
                policy.clock(later(at, every * number), zone) for number in range(1, min(times, MOST_ROUNDS_TOLD))
            ]
            told.append(f"the next at {', '.join(starts)}" + (", ..." if times > MOST_ROUNDS_TOLD else ""))
        inside = replace(way, rounds={**way.rounds, step.id: Round(1, at)})
        last = later(at, (every or timedelta(0)) * (times - 1))
        ways = [_Onward(ROUND, inside, at, not over)]
        ways += [_Onward("then", way, at, result.outcome == "then")] if step.repeat.until is not None else []
        ways += [_Onward("otherwise", way, last, not over)]
        return self._stop(node, at, "; ".join(told)), sorted(ways, key=lambda one: not one.theirs)

    def _here(self, way: Enrolled, now: datetime) -> Here:
        return Here.of(way, Draft(self._state, self._rules, now))

    def _hook(self, node: Node, step: WebhookStep, way: Enrolled, at: datetime) -> tuple[Stop, list[_Onward]]:
        """What another system would hear; it hears nothing of this."""
        draft = Draft(self._state, self._rules, at)
        result = steps.perform(step, Here.of(way, draft))
        stop = self._stop(node, at, result.sentence)
        if draft.wants:
            content = told_outside(self._state, draft.wants[0])
            stop = replace(stop, shown=Shown(content.to, WEBHOOK, "", fields_of(content)))
        mine = result.outcome if isinstance(result, Go) else "ok"
        return stop, self._all(node, way, at, mine)

    def _send(self, node: Node, step: SendStep, way: Enrolled, at: datetime) -> tuple[Stop, list[_Onward]]:
        """Judge it at the instant the plan reaches it, and again at each instant it is put off to."""
        now = at
        told: list[str] = []
        for _ in range(MOST_JUDGED_AGAIN):
            draft = Draft(self._state, self._rules, now)
            result = send(step, Here.of(way, draft))
            if draft.wants:
                return self._wanted(node, draft.wants[0], now, [*told, result.sentence], way)
            if isinstance(result, Stay) and result.until is not None and result.until > now:
                told.append(result.sentence)
                now = result.until
                continue
            break
        outcome = result.outcome if isinstance(result, Go) else None
        return self._stop(node, at, result.sentence), self._all(node, way, now, outcome)

    def _wanted(
        self, node: Node, want: Want, now: datetime, told: list[str], way: Enrolled
    ) -> tuple[Stop, list[_Onward]]:
        state = self._state
        if self._straight:
            stop = replace(self._stop(node, now, ""), shown=Shown(want.message, want.channel, "", {}))
            return stop, self._all(node, way, want.due_at, "sent")
        rendered = render_want(self._app, state, self._rules, want, 0, now)
        if rendered.content is None:
            stop = self._stop(node, now, f"cannot be rendered: {rendered.error}")
            return stop, self._all(node, way, now, "failed")
        shown = _shown(self._app, want, rendered.locale, rendered.content, state.person.country)
        passed = list(self._passed_over(node, want, now))
        stop = replace(self._stop(node, now, "; ".join([*told, *passed])), shown=shown)
        return stop, self._all(node, way, want.due_at, "sent")

    def _passed_over(self, node: Node, want: Want, now: datetime) -> Iterator[str]:
        """Earlier wishes that were not taken, and why."""
        assert isinstance(node.step, SendStep)
        for wish in range(want.wish):
            other = replace(want, wish=wish, channel=node.step.via[wish])
            verdict = policy.judge(other, self._state, self._rules, now, Draft(self._state, self._rules, now).places)
            if isinstance(verdict, policy.Forbidden):
                yield f"{other.channel}: {verdict.sentence}"

    def _stop(self, node: Node, when: datetime, sentence: str) -> Stop:
        local = when.astimezone(self._state.person.zone)
        return Stop(node.id, node.verb, 0, when, f"{local:%a %Y-%m-%d %H:%M}", "", True, sentence)


@dataclass(frozen=True)
class _Onward:
    """One way out of a step."""

    outcome: str | None
    way: Enrolled
    at: datetime
    theirs: bool = True


def in_every_locale(app: App, graph: Graph, person: str, at: datetime) -> Iterator[Shown]:
    """Every text of the journey in every locale it is written in, with the data of one person, or why it cannot be."""
    with app.database.reading() as connection:
        rules = app.rules(connection)
        ids = list(customers.ids_of(connection, [person]).values())
        version_id = rules.live[graph.journey]
        state = gather(app, connection, ids, rules, app.needs(rules), at, {graph.journey: version_id}).states[0]
    walker = _Walker(app, rules, graph, version_id, state, at)
    way = walker.with_sample_codes()
    for node in graph.nodes.values():
        if isinstance(node.step, SendStep):
            for wish, channel in enumerate(node.step.via):
                want = sample_want(node.step, way, graph, rules, wish, at)
                for locale in sorted(app.texts.locales(node.step.send, channel)):
                    there = replace(state, person=replace(state.person, locale=locale))
                    rendered = render_want(app, there, rules, want, 0, at)
                    if rendered.content is None:
                        yield Shown(want.message, want.channel, locale, {}, error=rendered.error or "")
                    else:
                        yield _shown(app, want, locale, rendered.content, state.person.country)


def _shown(app: App, want: Want, locale: str, content: Content, country: str | None) -> Shown:
    form, wording, approved = app.texts.form(want.message, want.channel, locale), "", ""
    if isinstance(form, WeChatForm) and isinstance(content, WeChat) and form.wording:
        approved = form.wording
        wording = filled(approved, OF_WECHAT, dict(content.values))
    parts = parts_of(content.text, content.to).count if isinstance(content, Sms) else 1
    costs = costs_by_turn(app.settings, want.channel, content.to, country, parts)
    return Shown(want.message, want.channel, locale, fields_of(content), wording, approved=approved, costs=costs)


def _cost(stops: Iterable[Stop]) -> dict[str, Decimal]:
    """Of the messages that are on their way, each by the dearest lane it may take."""
    total: dict[str, Decimal] = {}
    for stop in stops:
        if stop.on_their_way and stop.shown is not None and stop.shown.costs:
            most = stop.shown.costs[-1]
            total[most.currency] = total.get(most.currency, Decimal(0)) + most.amount
    return total


def sample_want(step: SendStep, way: Enrolled, graph: Graph, rules: Rules, wish: int, at: datetime) -> Want:
    """A wish as `send` would make it, before any judgement."""
    topic = step.topic or graph.head.topic
    return Want(
        enrollment=way,
        step=step.id,
        visit=1,
        wish=wish,
        channel=step.via[wish],
        message=step.send,
        topic=topic,
        marketing=rules.policy.is_marketing(topic),
        priority=graph.head.priority,
        due_at=at,
        send_by=later(at, step.give_up_after),
        extra=dict(step.with_),
        tags=frozenset((*graph.head.tags, *step.tags)),
    )

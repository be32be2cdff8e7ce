"""Move a chunk of due people on: gather, decide, render, then one short transaction that writes all of it.

What is written for a person holds only if nothing new was learned about them meanwhile (their revision); the others are
decided again. One person whose data breaks a rule or a text is set aside alone; nobody waits behind them.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from msgspec import Struct
from sqlalchemy import Connection
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from channels.contract import Content, Sms, Webhook, content_to_json, payload_hash
from engine.app import App
from engine.audience import traits
from engine.audience.view import View
from engine.decide.customer import decide
from engine.decide.decision import Decision, OpenTask, Rule, Trace, Unsent, Want
from engine.decide.outcome import DeliveryKind, MessageState
from engine.decide.state import Code, CustomerState, Enrolled, Rules
from engine.errors import Renamed
from engine.journey.parts import CALL, SMS, WEBHOOK
from engine.message.render import RenderError, Values, render
from engine.message.sms import parts_of
from engine.needs import Needs
from engine.store import chunks, customers, deliveries, enrollments, messages, work
from engine.store.deliveries import Happening
from engine.store.enrollments import Overtaken
from engine.store.messages import Tried
from engine.store.tables import Row, enrollment, message, take_ids, task, touch
from engine.store.work import CodeTaken
from engine.values import replace
from engine.work import in_hand
from engine.work.colleagues import errands
from engine.work.gather import gather
from engine.work.in_hand import Part
from engine.work.incoming.intake import NewEvent, take_events
from engine.work.line import line_up
from engine.work.sending.batches import doubted
from engine.work.sending.routing import first_lane
from engine.work.story import trace_row

log = logging.getLogger("outreach.advance")

T = TypeVar("T")

CHUNK = 500
_NOBODY: Mapping[int, Enrolled] = {}


@dataclass
class Advanced:
    """What a chunk did."""

    people: int = 0
    queued: int = 0
    unsent: int = 0
    tasks: int = 0
    given: int = 0  # voucher codes
    again: int = 0  # learned something new meanwhile, will be decided again
    strangers: int = 0  # inside what was published or renamed after the rules were read, will be decided by newer ones
    failed: int = 0

    def add(self, more: Advanced) -> None:
        for name, count in vars(more).items():
            setattr(self, name, getattr(self, name) + count)


class Rendered(Struct, frozen=True):
    """A want with its text, or the reason it has none."""

    want: Want
    number: int  # the message's id
    locale: str
    content: Content | None
    packed: bytes = b""  # as it is kept
    hash: str = ""
    error: str | None = None

    @property
    def parts(self) -> int:
        """What it is sent and paid in."""
        return parts_of(self.content.text, self.content.to).count if isinstance(self.content, Sms) else 1


Decided = tuple[CustomerState, Decision, list[Rendered]]  # a person, what follows for them, its texts


def advance(
    app: App, rules: Rules, needs: Needs, now: datetime, limit: int = CHUNK, urgent: bool = False
) -> Advanced | None:
    """Move the next chunk of due people on, or of those with something `urgent` due. None when nobody is due."""
    with app.database.reading() as connection:
        ids = next_due(connection, rules, now, limit, urgent)
    return move_on(app, rules, needs, Part(ids), now) if ids else None


def next_due(connection: Connection, rules: Rules, now: datetime, limit: int, urgent: bool = False) -> list[int]:
    """The next people who are due and in nobody's hands."""
    if urgent and not rules.urgent:
        return []
    held = chunks.people(connection)
    ids = enrollments.due_customers(connection, now, limit + len(held), sorted(rules.urgent) if urgent else None)
    return [number for number in ids if number not in held][:limit]


def advance_failed(app: App, rules: Rules, needs: Needs, now: datetime) -> Advanced | None:
    """Move on a part of those that failed before. None when nobody of them is due."""
    with app.database.reading() as connection:
        part = in_hand.next_failed(connection, now)
    return move_on(app, rules, needs, part, now) if part else None


def move_on(
    app: App, rules: Rules, needs: Needs, part: Part, now: datetime, hand: in_hand.Hand | None = None
) -> Advanced:
    """Move these people on. A chunk that cannot be is halved, until the one whose data breaks it is alone."""
    try:
        with in_hand.noted(app, part, now, hand) as mine:
            return _move_on(app, rules, needs, part, now, mine)
    except (CodeTaken, Overtaken):
        return Advanced(again=len(part.people))
    except Renamed:
        return Advanced(strangers=len(part.people))
    except Exception as error:
        if is_of_the_database(error):
            raise
        if len(part.people) == 1:
            return _set_back(app, part, part.people[0], error, now)
        first, second = part.halves
        done = move_on(app, rules, needs, first, now)
        done.add(move_on(app, rules, needs, second, now))
        return done


def _move_on(app: App, rules: Rules, needs: Needs, part: Part, now: datetime, hand: in_hand.Hand) -> Advanced:
    """Gather, decide, render and write, for everyone in one go."""
    done = Advanced()
    with app.database.reading() as connection:
        gathered = gather(app, connection, part.people, rules, needs, now, failures=part.failures)
    states = []
    for state in part.seen(gathered.states):
        if any(way.active and way.version_id not in rules.graphs for way in state.enrollments):
            done.strangers += 1
        else:
            states.append(state)
    chunk = decided(app, states, rules, now, lambda broken, why: done.add(_set_back(app, part, broken, why, now)))
    with app.database.writing(beside=True) as connection:
        current = customers.hold(connection, [state.person.id for state, _, _ in chunk])
        app.refuse_old_names(connection, rules)
        hand.let_go(connection)
        fresh = [one for one in chunk if gathered.is_of(one[0], current)]
        done.again += len(chunk) - len(fresh)
        write(app, connection, rules, needs, fresh, now, done)
    return done


def decided(
    app: App,
    states: Sequence[CustomerState],
    rules: Rules,
    now: datetime,
    set_back: Callable[[int, Exception], None],
) -> list[Decided]:
    """What follows for these people, with its texts. Whose data breaks a rule or a text is named to `set_back`.

    Voucher codes are set aside for everyone who might be given one; what others did not need goes to who had none.
    """
    known: dict[int, tuple[CustomerState, Decision]] = {}

    def look_at(state: CustomerState) -> None:
        decision = _spared(state.person.id, set_back, partial(decide, state, rules, now))
        if decision is not None:
            known[state.person.id] = state, decision
        else:
            known.pop(state.person.id, None)

    for state in states:
        look_at(state)
    for state in _with_spare_codes(list(known.values())):
        look_at(state)
    return _with_texts(app, list(known.values()), rules, now, set_back)


def _with_texts(
    app: App,
    chunk: Sequence[tuple[CustomerState, Decision]],
    rules: Rules,
    now: datetime,
    set_back: Callable[[int, Exception], None],
) -> list[Decided]:
    """The texts of all of them, then all as they are kept: one kind of work after the other is a fifth faster."""
    numbers = iter(app.ids(message, sum(len(decision.wants) for _, decision in chunk)))
    found: list[Decided] = []
    for state, decision in chunk:
        texts = _spared(state.person.id, set_back, partial(_texts, app, state, decision, rules, numbers, now))
        if texts is not None:
            found.append((state, _numbered(decision, texts), texts))
    return [(state, decision, [_packed(one) for one in texts]) for state, decision, texts in found]


def _texts(
    app: App, state: CustomerState, decision: Decision, rules: Rules, numbers: Iterator[int], now: datetime
) -> list[Rendered]:
    seen = replace(state, person=decision.person) if decision.person else state
    return [render_want(app, seen, rules, want, next(numbers), now) for want in decision.wants]


def _spared(customer_id: int, set_back: Callable[[int, Exception], None], work: Callable[[], T]) -> T | None:
    """What comes of one person's data. Whose breaks a rule or a text is named to `set_back`: None."""
    try:
        return work()
    except Exception as error:
        if is_of_the_database(error):
            raise
        set_back(customer_id, error)
        return None


def _with_spare_codes(chunk: Sequence[tuple[CustomerState, Decision]]) -> list[CustomerState]:
    """Who was told that a pool is empty while codes of it were set aside for others, now with one of those."""
    short = [
        (state, str(trace.detail["pool"]))
        for state, decision in chunk
        for trace in decision.traces
        if trace.rule is Rule.empty
    ]
    if not short:
        return []
    spent = {given.code for _, decision in chunk for given in decision.given}
    waiting = {state.person.id for state, _ in short}
    spare: dict[str, list[Code]] = {}
    for state, _ in chunk:
        if state.person.id not in waiting:
            for pool, codes in state.codes.items():
                spare.setdefault(pool, []).extend(code for code in codes if code not in spent)
    again: dict[int, CustomerState] = {}
    for state, pool in short:
        if spare.get(pool):
            known = again.get(state.person.id, state)
            more = (*known.codes.get(pool, ()), spare[pool].pop(0))
            again[state.person.id] = replace(known, codes={**known.codes, pool: more})
    return list(again.values())


def _numbered(decision: Decision, texts: Sequence[Rendered]) -> Decision:
    """Reasons that name messages of this very decision, which had no number yet, now name their numbers."""
    details = [one.detail for one in decision.unsent] + [one.detail for one in decision.traces]
    if not any("winners" in detail for detail in details):  # what is taken back for another leaves a trace too
        return decision
    numbers = {(one.want.enrollment.id, one.want.step): one.number for one in texts}
    return replace(
        decision,
        unsent=tuple(replace(one, detail=_filled_in(one.detail, numbers)) for one in decision.unsent),
        traces=tuple(replace(one, detail=_filled_in(one.detail, numbers)) for one in decision.traces),
        take_back=tuple(replace(one, detail=_filled_in(one.detail, numbers)) for one in decision.take_back),
    )


def _filled_in(detail: Mapping[str, Any], numbers: Mapping[tuple[int, str], int]) -> Mapping[str, Any]:
    if "winners" not in detail:
        return detail
    winners = [
        one | {"message_id": one["message_id"] or numbers.get((one["enrollment_id"], one["step"]))}
        for one in detail["winners"]
    ]
    return {**detail, "winners": winners, "filled_by": [one["message_id"] for one in winners if one["message_id"]]}


def is_of_the_database(error: Exception) -> bool:
    """Did the database itself fail, so that nobody's data is to blame?"""
    return isinstance(error, DBAPIError) and not isinstance(error, DataError | IntegrityError)


def _set_back(app: App, part: Part, customer_id: int, error: Exception, now: datetime) -> Advanced:
    """One person's data must never stop the others: the failure is kept with the person, three set them aside."""
    log.error("deciding failed", exc_info=error, extra={"customer": customer_id})
    in_hand.set_back(app, part, [customer_id], f"{type(error).__name__}: {error}", now)
    return Advanced(failed=1)


def values_for(app: App, state: CustomerState, rules: Rules, want: Want, number: int, now: datetime) -> Values:
    """What the text of message `number` may speak of."""
    view = View(state.person, state.happenings, rules.audience, event=want.enrollment.event)
    return Values(
        person=state.person,
        event=want.enrollment.event,
        traits=lambda name: traits.value(name, view, now),
        voucher=_latest_code(want),
        journey=want.enrollment.journey,
        step=want.step,
        enrollment_id=want.enrollment.id,
        message_id=number,
        topic=want.topic,
        marketing=want.marketing,
        links=app.links,
        now=now,
        extra=want.extra,
    )


def _latest_code(want: Want) -> Any:
    codes = list(want.enrollment.vouchers.values())
    return codes[-1] if codes else None


def render_want(app: App, state: CustomerState, rules: Rules, want: Want, number: int, now: datetime) -> Rendered:
    """The text of one message, or why it has none."""
    locale = ""
    if want.channel == WEBHOOK:
        return Rendered(want, number, locale, told_outside(state, want))
    try:
        locale = app.texts.choose(want.message, want.channel, state.person.locale)
        content = render(
            app.texts, want.message, want.channel, locale, values_for(app, state, rules, want, number, now)
        )
    except RenderError as error:
        return Rendered(want, number, locale, None, error=str(error))
    return Rendered(want, number, locale, content)


def told_outside(state: CustomerState, want: Want) -> Webhook:
    """What another system hears of a step: about whom, where they stand, and what the author adds."""
    way = want.enrollment
    told: dict[str, Any] = {"person": state.person.external_id, "journey": way.journey, "step": want.step}
    told |= {"entered_at": way.entered_at.isoformat(), "with": dict(want.extra)}
    return Webhook(to=want.message, type="journey.step", data=json.dumps(told, ensure_ascii=False, default=str))


def _packed(one: Rendered) -> Rendered:
    """A text as it is kept."""
    if one.content is None:
        return one
    encoded = content_to_json(one.content)
    return Rendered(
        one.want, one.number, one.locale, one.content, messages.pack(encoded), payload_hash(encoded), one.error
    )


def message_key(external_id: str, want: Want | Unsent) -> str:
    """The name of one message: the same for all attempts, after any crash, and in a simulation of the same plan."""
    way = want.enrollment
    parts = (way.journey, external_id, way.key, way.entered_at.isoformat(), want.step, str(want.visit), str(want.wish))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def write(
    app: App,
    connection: Connection,
    rules: Rules,
    needs: Needs,
    chunk: Sequence[Decided],
    now: datetime,
    done: Advanced,
    new: Mapping[int, Enrolled] = _NOBODY,
    run_id: int | None = None,
) -> None:
    """Write what follows for these people. The ways in `new` (by id) were entered just now, in this run of a wave."""
    wanted_back = [one.message_id for _, decision, _ in chunk for one in decision.take_back]
    recallable = messages.recallable(connection, wanted_back) if wanted_back else {}
    touched = messages.touches(connection, [_touch_of(one) for _, decision, _ in chunk for one in _said(decision)])
    known = messages.wishes(connection, sorted({key[0] for key in touched})) if touched else frozenset()
    fresh = [part for part in chunk if not _lost_its_place(part[1], recallable) and not _said_meanwhile(part[1], known)]
    done.again += len(chunk) - len(fresh)
    done.people += len(fresh)

    moved = {way.id: way for way in _moves(fresh, now)}
    enrollments.add(connection, [moved.pop(way.id, way) for way in new.values()], run_id)
    enrollments.move(connection, list(moved.values()))
    _write_messages(app, connection, fresh, touched, now, done)
    _take_back(connection, fresh, recallable, now)
    turns_told = _write_tasks(app, connection, fresh, now, done)
    _write_people(app, connection, fresh, now)
    _write_started(connection, fresh, now)
    given = [(state.person.id, one) for state, decision, _ in fresh for one in decision.given]
    work.give(connection, given)
    done.given += len(given)
    told = [trace_row(s.person.id, t, now) for s, decision, _ in fresh for t in decision.traces]
    work.add_traces(connection, told + turns_told)
    _emit(app, connection, rules, needs, fresh, now)


def _lost_its_place(decision: Decision, recallable: Mapping[int, Tried]) -> bool:
    """A place was to be taken from a message that has begun to leave meanwhile: this person is decided again."""
    return any(one.rule is Rule.displaced and one.message_id not in recallable for one in decision.take_back)


def _said(decision: Decision) -> tuple[Want | Unsent, ...]:
    return (*decision.wants, *decision.unsent, *_calls(decision))


def _calls(decision: Decision) -> tuple[Want, ...]:
    """What colleagues are asked to say: it has no text, and leaves in no batch."""
    return tuple(one.call for one in decision.open_tasks if one.call is not None)


def _touch_of(want: Want | Unsent) -> tuple[int, str, int]:
    return want.enrollment.id, want.step, want.visit


def _said_meanwhile(decision: Decision, known: Collection[tuple[int, str, int, int]]) -> bool:
    """Another process decided the same at the same time, and was first: this person is decided again."""
    return any((*_touch_of(one), one.wish) in known for one in _said(decision))


def _moves(fresh: Sequence[Decided], now: datetime) -> list[Enrolled]:
    """Where everyone stands now; who waits for a text that could not be rendered is looked at again at once."""
    broken = {r.want.enrollment.id for _, _, rendered in fresh for r in rendered if r.error}
    return [
        replace(move, due_at=now) if move.id in broken and move.active else move
        for _, decision, _ in fresh
        for move in decision.moves
    ]


def _write_messages(
    app: App,
    connection: Connection,
    fresh: Sequence[Decided],
    touched: Mapping[tuple[int, str, int], int],
    now: datetime,
    done: Advanced,
) -> None:
    wants: list[tuple[CustomerState, Want | Unsent, Rendered | None]] = []
    for state, decision, rendered in fresh:
        wants += [(state, one.want, one) for one in rendered]
        wants += [(state, unsent, None) for unsent in decision.unsent]
        wants += [(state, call, None) for call in _calls(decision)]
    if not wants:
        return
    keys = [_touch_of(want) for _, want, _ in wants]
    touch_ids = dict(touched)
    missing = [key for key in dict.fromkeys(keys) if key not in touch_ids]
    touch_ids.update(zip(missing, take_ids(connection, touch, len(missing)), strict=True))
    owners = {key: state.person.id for key, (state, _, _) in zip(keys, wants, strict=True)}
    messages.add_touches(
        connection,
        [
            {"id": touch_ids[key], "customer_id": owners[key], "enrollment_id": key[0], "step": key[1], "visit": key[2]}
            for key in missing
        ],
    )
    leaving = {one.number: _lane_of(app, state, want) for state, want, one in wants if one and not one.error}
    batches = _batches(app, connection, leaving.values(), now)
    rows: list[Row] = []
    bodies: list[Row] = []
    spare = iter(take_ids(connection, message, sum(one is None for _, _, one in wants)))
    for key, (state, want, rendered_one) in zip(keys, wants, strict=True):
        number = rendered_one.number if rendered_one else next(spare)
        row = _message_row(app, state, want, now) | {"id": number, "touch_id": touch_ids[key]}
        if rendered_one is None:
            done.unsent += isinstance(want, Unsent)
        elif rendered_one.error:
            row |= {"state": MessageState.dead.value, "rule": Rule.failed.value, "reason": rendered_one.error}
        else:
            row |= {
                "locale": rendered_one.locale,
                "parts": rendered_one.parts,
                "batch_id": batches[leaving[number]],
            }
            bodies.append({"message_id": number, "content": rendered_one.packed, "hash": rendered_one.hash})
            done.queued += 1
        rows.append(row)
    messages.add(connection, rows, bodies)


def _lane_of(app: App, state: CustomerState, want: Want | Unsent) -> tuple[str, bool]:
    """Where it leaves, and whether before others: what belongs to a contract does not wait behind marketing."""
    person, urgent = state.person, not want.marketing
    if len(app.settings.ways[want.channel]) == 1:
        return app.settings.ways[want.channel][0].name, urgent
    key = message_key(person.external_id, want)
    return first_lane(app, want.channel, person.address(want.channel), person.country, key), urgent


def _batches(
    app: App, connection: Connection, lanes: Iterable[tuple[str, bool]], now: datetime
) -> dict[tuple[str, bool], int]:
    """(lane, urgent) -> the batch this chunk's messages leave in."""
    return {(lane, urgent): line_up(app, connection, lane, now, urgent) for lane, urgent in sorted(set(lanes))}


def _message_row(app: App, state: CustomerState, want: Want | Unsent, now: datetime) -> Row:
    address = state.person.address(want.channel)
    return {
        "customer_id": state.person.id,
        "enrollment_id": want.enrollment.id,
        "batch_id": None,
        "journey": want.enrollment.journey,
        "step": want.step,
        "visit": want.visit,
        "wish": want.wish,
        "channel": want.channel,
        "message": want.message,
        "locale": "",
        "parts": 1,
        "topic": want.topic,
        "marketing": want.marketing,
        "priority": want.priority,
        "tags": ",".join(sorted(want.tags)),
        "key": message_key(state.person.external_id, want),
        "address_hash": app.address_hash(SMS if want.channel == CALL else want.channel, address) if address else "",
        "due_at": want.due_at,
        "send_by": want.send_by,
        "created_at": now,
        "state": want.state.value if isinstance(want, Unsent) else MessageState.queued.value,
        "reason": want.sentence if isinstance(want, Unsent) else None,
        "rule": want.rule.value if isinstance(want, Unsent) else None,
        "detail": dict(want.detail) if isinstance(want, Unsent) else {},
    }


def _take_back(
    connection: Connection,
    fresh: Sequence[Decided],
    recallable: Mapping[int, Tried],
    now: datetime,
) -> None:
    back = [
        (state.person.id, one)
        for state, decision, _ in fresh
        for one in decision.take_back
        if one.message_id in recallable
    ]
    messages.explain_end(connection, {one.message_id: one.detail for _, one in back if one.detail})
    happened = []
    for person, one in back:
        tried, rule = recallable[one.message_id], one.rule.value
        kind, reason = doubted(DeliveryKind.cancelled, one.sentence, tried.may_be_out)
        happened.append(Happening(one.message_id, person, kind, now, tried.attempts, rule=rule, reason=reason))
    deliveries.append(connection, happened)


def _write_tasks(
    app: App, connection: Connection, fresh: Sequence[Decided], now: datetime, done: Advanced
) -> list[Row]:
    """Open and close tasks. Whose turn it is gets one in turn, here and not before; the lines that say so."""
    opened = [(state, one, decision.traces) for state, decision, _ in fresh for one in decision.open_tasks]
    numbers = take_ids(connection, task, len(opened))
    turns = iter(work.take_turns(connection, [(one.queue, one.in_turn) for _, one, _ in opened if one.in_turn]))
    hands = [next(turns) if one.in_turn else one.assignee for _, one, _ in opened]
    work.add_tasks(
        connection,
        [
            {
                "id": number,
                "kind": one.kind,
                "customer_id": state.person.id,
                "enrollment_id": one.enrollment.id,
                "journey": one.enrollment.journey,
                "step": one.step,
                "visit": one.visit,
                "brief": one.brief,
                "call": one.call is not None,
                "queue": one.queue,
                "assignee": assignee,
                "taken_at": None,
                "handed_on_from": None,
                "outcomes": {"names": list(one.outcomes)},
                "opened_at": one.opened_at,
                "due_at": one.due_at,
                "escalate_at": one.escalate_at,
                "escalate_to": one.escalate_to,
                "outcome": None,
                "closed_at": None,
                "closed_by": None,
                "note": "",
                "later": {},
            }
            for number, assignee, (state, one, _) in zip(numbers, hands, opened, strict=True)
        ],
    )
    errands.note(app, connection, [(n, one.queue) for n, (_, one, _) in zip(numbers, opened, strict=True)], now)
    done.tasks += len(opened)
    work.close_tasks(connection, [one for _, decision, _ in fresh for one in decision.close_tasks])
    return [
        trace_row(state.person.id, _turn_told(one, str(who), opening), now)
        for who, (state, one, opening) in zip(hands, opened, strict=True)
        if one.in_turn
    ]


def _turn_told(opened: OpenTask, who: str, traces: Sequence[Trace]) -> Trace:
    """The line that says whose turn it was, at the place of the step."""
    step = opened.enrollment.id, opened.step
    line = next(one for one in traces if (one.enrollment_id, one.step) == step and one.rule is Rule.task)
    return replace(line, sentence=f"it is the turn of {who} in {opened.queue}", detail={"assignee": who})


def _write_people(app: App, connection: Connection, fresh: Sequence[Decided], now: datetime) -> None:
    """What was changed about people. What was decided on other facts about them is void from here on."""
    customers.change(connection, [decision.person for _, decision, _ in fresh if decision.person])
    words = [
        {
            "customer_id": state.person.id,
            "channel": one.channel,
            "topic": one.topic,
            "purpose": app.settings.purpose_of(one.topic).value,
            "granted": one.granted,
            "at": one.at,
            "source": one.source,
            "wording": one.evidence,
        }
        for state, decision, _ in fresh
        for one in decision.agreed
    ]
    if words:
        customers.record_consents(connection, words, now)
        refusing = (state for state, decision, _ in fresh if not all(one.granted for one in decision.agreed))
        enrollments.wake_called(connection, [state.person.id for state in refusing], now)


def _write_started(connection: Connection, fresh: Sequence[Decided], now: datetime) -> None:
    """The ways that other journeys opened, each with the line that says so."""
    started = [(state, one) for state, decision, _ in fresh for one in decision.started]
    numbers = take_ids(connection, enrollment, len(started))
    enrollments.add(connection, [replace(one.way, id=n) for n, (_, one) in zip(numbers, started, strict=True)])
    work.add_traces(
        connection,
        [
            trace_row(state.person.id, replace(one.trace, enrollment_id=number), now, one.way.version_id)
            for number, (state, one) in zip(numbers, started, strict=True)
        ],
    )


def _emit(
    app: App, connection: Connection, rules: Rules, needs: Needs, fresh: Sequence[Decided], now: datetime
) -> None:
    """Record what journeys emitted, as events are that come from outside: they open ways and wake whoever waits."""
    told = [
        NewEvent(
            f"emit-{one.enrollment.id}-{one.step}-{one.visit}",  # however often it is tried, it is recorded once
            state.person.external_id,
            one.event,
            one.at,
            one.payload,
            one.lineage,
        )
        for state, decision, _ in fresh
        for one in decision.emitted
    ]
    if told:
        take_events(app, connection, rules, needs, told, now, live=True)

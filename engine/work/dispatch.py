"""Hand batches to providers. A message leaves in two commits: after any death it is known what may be out.

Commit 1 judges once more and appends `begun` for those that leave now, never more than the provider takes at once; then
they are handed over; commit 2 appends what the provider answered. Lanes run side by side, database work in threads.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from channels.contract import Answer, Outgoing, Provider, Sent, content_from_json
from channels.errors import Misconfigured, Rejected, SendError, Unavailable, Uncertain
from engine.app import App
from engine.clock import fresh_token
from engine.decide.decision import Rule
from engine.decide.door import Hold, Leave, Settle, Verdict, at_the_door
from engine.decide.outcome import DeliveryKind
from engine.decide.policy import full_cap
from engine.decide.state import CustomerState, Rules, Said
from engine.decide.timing import local
from engine.errors import OutreachError
from engine.store import customers, deliveries, enrollments, journeys, messages, work
from engine.store.tables import Row

log = logging.getLogger("outreach.dispatch")

TIMEOUT = 60.0  # seconds one attempt may take, all included
BREAKER = 5  # failures in a row that stop a lane
BREAKER_PAUSE = timedelta(minutes=1)
FIRST_RETRY = timedelta(seconds=30)
LONGEST_RETRY = timedelta(hours=1)
STOPPED_LOOK = timedelta(minutes=5)  # how often batches of a stopped lane are looked at for what expires
DEATHS = 3  # attempts during which the process died; then a person decides


@dataclass
class Dispatched:
    """What left, and what became of the rest."""

    accepted: int = 0
    retry: int = 0
    rejected: int = 0
    unknown: int = 0
    settled: int = 0  # expired, suppressed or cancelled at the door
    held: int = 0

    @property
    def any(self) -> bool:
        return any(vars(self).values())


@dataclass(frozen=True)
class _Leaving:
    """One message between the two commits."""

    row: Any
    outgoing: Outgoing


def dispatch(app: App, rules: Rules, now: datetime) -> Dispatched:
    """Hand over every batch that is due, lanes side by side."""
    done = Dispatched()
    with app.database.reading() as connection:
        due = messages.due_batches(connection, now)
    if due:
        lanes: dict[str, list[int]] = {}
        for number, channel in due:
            lanes.setdefault(channel, []).append(number)
        app.run(_lanes(app, rules, lanes, done))
    return done


async def _lanes(app: App, rules: Rules, lanes: dict[str, list[int]], done: Dispatched) -> None:
    await asyncio.gather(*(_lane(app, rules, channel, batches, done) for channel, batches in lanes.items()))


async def _lane(app: App, rules: Rules, channel: str, batches: Sequence[int], done: Dispatched) -> None:
    """Batches of one channel, one after the other, until the lane closes."""
    try:
        provider = app.provider(channel)
        await provider.open()
    except (SendError, OutreachError) as error:
        await asyncio.to_thread(_stop_lane, app, channel, str(error))
        provider = None
    for number in batches:
        if app.stopping:
            return
        await _batch(app, rules, channel, provider, number, done)


async def _batch(
    app: App, rules: Rules, channel: str, provider: Provider | None, number: int, done: Dispatched
) -> None:
    token = fresh_token()
    waiting = await asyncio.to_thread(_take, app, number, token)
    while waiting and not app.stopping:
        width, closed_until = await asyncio.to_thread(_lane_width, app, channel, provider)
        part, waiting = waiting[: max(width, 1)], waiting[max(width, 1) :]
        if closed_until is not None:
            await asyncio.to_thread(_wait_for_lane, app, rules, number, [*part, *waiting], closed_until, done)
            return
        assert provider is not None
        leaving = await asyncio.to_thread(_commit_one, app, rules, channel, provider, number, token, part, done)
        if leaving:
            answers = await _hand_over(provider, [one.outgoing for one in leaving])
            await asyncio.to_thread(_commit_two, app, channel, provider, token, leaving, answers, done)
    if not waiting:
        await asyncio.to_thread(_close, app, number, token)


# --- taking a batch --------------------------------------------------------------------------------------------------


def _take(app: App, number: int, token: str) -> list[Any]:
    with app.database.writing() as connection:
        messages.hold(connection, number, token)
        return messages.in_batch(connection, number)


def _close(app: App, number: int, token: str) -> None:
    with app.database.writing() as connection:
        if messages.held(connection, number, token):
            messages.close(connection, number)


def _lane_width(app: App, channel: str, provider: Provider | None) -> tuple[int, datetime | None]:
    """(how many messages may leave at once, until when the lane is closed)."""
    now = app.clock.now()
    with app.database.reading() as connection:
        lane = work.lanes(connection).get(channel)
    if provider is None or (lane is not None and lane.stopped):
        return 0, now + STOPPED_LOOK
    if lane is None:
        return provider.features.in_flight, None
    if lane.paused_until is not None and lane.paused_until > now:
        return 0, lane.paused_until
    return (1 if lane.failures >= BREAKER else provider.features.in_flight), None  # one probe after the breaker


def _wait_for_lane(
    app: App, rules: Rules, number: int, waiting: Sequence[Any], until: datetime, done: Dispatched
) -> None:
    """The lane is closed: what expires meanwhile is settled, the rest waits."""
    now = app.clock.now()
    with app.database.writing() as connection:
        expired = [row for row, *_ in waiting if row.send_by < now]
        _append(
            connection,
            [
                _happening(row, DeliveryKind.expired, now, Rule.late, "the lane was closed until its time had passed")
                for row in expired
            ],
        )
        enrollments.wake_ids(connection, [row.enrollment_id for row in expired], now)
        left = [row for row, *_ in waiting if row.send_by >= now]
        if left:
            soonest = min(row.send_by for row in left) + timedelta(seconds=1)
            messages.postpone(connection, number, min(until, soonest))
        else:
            messages.close(connection, number)
    done.settled += len(expired)


def _stop_lane(app: App, channel: str, reason: str) -> None:
    with app.database.writing() as connection:
        work.set_lane(connection, channel, stopped=reason)
    log.error("lane stopped", extra={"provider": channel})


# --- commit 1 --------------------------------------------------------------------------------------------------------


def _commit_one(
    app: App,
    rules: Rules,
    channel: str,
    provider: Provider,
    number: int,
    token: str,
    part: Sequence[Any],
    done: Dispatched,
) -> list[_Leaving]:
    """Judge each message once more and append `begun` for those that may go, in one transaction."""
    now = app.clock.now()
    with app.database.writing() as connection:
        if not messages.held(connection, number, token):
            return []
        recallable = messages.recallable(connection, [row.id for row, *_ in part])
        part = [one for one in part if one[0].id in recallable]
        states = _states(app, connection, part, now)
        today = replace(rules, paused=journeys.paused(connection))
        verdicts = [(row, packed, hashed, _verdict(row, states, today, now)) for row, packed, hashed, _ in part]
        _settle(connection, verdicts, recallable, now, done)
        _hold(connection, channel, verdicts, recallable, now, done)
        leaving = [
            _Leaving(row, _outgoing(row, packed, recallable[row.id] + 1))
            for row, packed, _, verdict in verdicts
            if isinstance(verdict, Leave)
        ]
        hashes = {row.id: hashed for row, _, hashed, _ in verdicts}
        _append(
            connection,
            [
                {
                    **_happening(one.row, DeliveryKind.begun, now, attempt=one.outgoing.attempt),
                    "token": token,
                    "payload_hash": hashes[one.row.id],
                    "deadline": now + timedelta(seconds=TIMEOUT),
                    "provider": provider.name,
                }
                for one in leaving
            ],
        )
    return leaving


def _states(app: App, connection: Connection, part: Sequence[Any], now: datetime) -> dict[int, CustomerState]:
    """What the judgement at the door may depend on, read in the transaction that commits the attempt."""
    ids = sorted({row.customer_id for row, *_ in part})
    people = customers.people(connection, ids)
    consents = customers.consents(connection, ids)
    blocked = customers.suppressed(connection, {row.address_hash: None for row, *_ in part})
    changed = [
        row.customer_id
        for row, *_ in part
        if row.marketing
        and row.customer_id in people
        and _day(row.created_at, people[row.customer_id][0]) != _day(now, people[row.customer_id][0])
    ]
    said = messages.of_people(connection, changed, now - timedelta(days=40)) if changed else {}
    found = {}
    for row, *_ in part:
        if row.customer_id in people:
            found[row.id] = CustomerState(
                person=people[row.customer_id][0],
                said=tuple(said.get(row.customer_id, ())),
                consents=tuple(consents.get(row.customer_id, ())),
                suppressed=frozenset([row.channel]) if row.address_hash in blocked else frozenset(),
            )
    return found


def _day(at: datetime, person: Any) -> Any:
    return local(at, person.zone).date()


def _verdict(row: Any, states: dict[int, CustomerState], rules: Rules, now: datetime) -> Verdict:
    state = states.get(row.id)
    if state is None:
        return Settle(DeliveryKind.cancelled, Rule.left, "the person is no longer known")
    said = messages.as_said(row)
    return at_the_door(said, state, rules, now, lambda: _full(said, state, rules, now))


def _full(said: Said, state: CustomerState, rules: Rules, now: datetime) -> str | None:
    """The cap that is full without this message, if its local day has changed since it was decided."""
    others = tuple(one for one in state.said if one.id != said.id)
    return full_cap(said, others, state.person, rules.policy, now) if others else None


def _outgoing(row: Any, packed: bytes, attempt: int) -> Outgoing:
    content = content_from_json(messages.unpack(packed))
    return Outgoing(row.id, row.key, content, row.created_at, attempt, TIMEOUT)


def _settle(
    connection: Connection,
    verdicts: Sequence[tuple[Any, bytes, str, Verdict]],
    attempts: dict[int, int],
    now: datetime,
    done: Dispatched,
) -> None:
    settled = [(row, verdict) for row, _, _, verdict in verdicts if isinstance(verdict, Settle)]
    _append(
        connection,
        [_happening(row, v.kind, now, v.rule, v.sentence, attempt=attempts[row.id]) for row, v in settled],
    )
    enrollments.wake_ids(connection, [row.enrollment_id for row, _ in settled], now)
    done.settled += len(settled)


def _hold(
    connection: Connection,
    channel: str,
    verdicts: Sequence[tuple[Any, bytes, str, Verdict]],
    attempts: dict[int, int],
    now: datetime,
    done: Dispatched,
) -> None:
    later: dict[datetime, list[int]] = {}
    for row, _, _, verdict in verdicts:
        if isinstance(verdict, Hold):
            later.setdefault(verdict.until, []).append(row.id)
            happening = _happening(
                row, DeliveryKind.held, now, verdict.rule, verdict.sentence, attempt=attempts[row.id]
            )
            if verdict.rule is not Rule.paused:
                _append(connection, [happening])
    for until, ids in later.items():
        messages.rebatch(connection, ids, channel, until)
        done.held += len(ids)


# --- between the commits ---------------------------------------------------------------------------------------------


async def _hand_over(provider: Provider, outgoing: Sequence[Outgoing]) -> list[Answer]:
    """One answer per message, whatever the provider does: what proves nothing is Uncertain."""
    try:
        async with asyncio.timeout(TIMEOUT + 5):
            answers = list(await provider.send(outgoing))
    except SendError as error:
        return [error] * len(outgoing)
    except TimeoutError:
        return [Uncertain(f"{provider.name} gave no answer within {TIMEOUT:.0f} seconds")] * len(outgoing)
    except Exception as error:  # a provider's own mistake proves nothing about the messages
        log.exception("provider failed", extra={"provider": provider.name})
        return [Uncertain(f"{provider.name} failed: {type(error).__name__}")] * len(outgoing)
    missing = len(outgoing) - len(answers)
    return [*answers[: len(outgoing)], *[Uncertain(f"{provider.name} gave no answer for it")] * missing]


# --- commit 2 --------------------------------------------------------------------------------------------------------


def _commit_two(
    app: App,
    channel: str,
    provider: Provider,
    token: str,
    leaving: Sequence[_Leaving],
    answers: Sequence[Answer],
    done: Dispatched,
) -> None:
    """Append what the provider answered, plan the retries, wake who waits for an outcome, and judge the lane."""
    now = app.clock.now()
    retry_at = _retry_at(leaving, answers, now)
    rows, again = [], []
    for one, answer in zip(leaving, answers, strict=True):
        row, kind = _outcome(one, answer, now, retry_at)
        rows.append(row | {"token": token, "provider": provider.name})
        if kind is DeliveryKind.retry:
            again.append(one.row)
        _count(done, kind)
    settled = [one.row.enrollment_id for one in leaving if one.row not in again]
    with app.database.writing() as connection:
        deliveries.append(connection, rows)
        messages.rebatch(connection, [row.id for row in again], channel, retry_at)
        enrollments.wake_ids(connection, settled, now)
        _suppress_dead_addresses(connection, leaving, answers, now)
        _judge_lane(connection, channel, answers, now)


def _outcome(one: _Leaving, answer: Answer, now: datetime, retry_at: datetime) -> tuple[Row, DeliveryKind]:
    """What is appended for an answer."""
    attempt = one.outgoing.attempt
    match answer:
        case Sent():
            row = _happening(one.row, DeliveryKind.accepted, now, attempt=attempt)
            return row | {"provider_id": answer.provider_id}, DeliveryKind.accepted
        case Rejected():
            kind, sentence = DeliveryKind.rejected, f"{answer} [{answer.reason.value}]"
        case Unavailable() | Misconfigured() if retry_at > one.row.send_by:
            kind, sentence = DeliveryKind.expired, f"no time is left for another attempt: {answer}"
        case Unavailable() | Misconfigured():
            kind, sentence = DeliveryKind.retry, str(answer)
        case _:
            kind, sentence = DeliveryKind.unknown, str(answer)
    rule = Rule.late if kind is DeliveryKind.expired else Rule.failed
    return _happening(one.row, kind, now, rule, sentence, attempt=attempt), kind


def _retry_at(leaving: Sequence[_Leaving], answers: Sequence[Answer], now: datetime) -> datetime:
    """When those refused for now are tried again: growing delays, spread by a hash, not before the provider asks."""
    attempt = max(one.outgoing.attempt for one in leaving)
    spread = int(hashlib.sha256(leaving[0].outgoing.key.encode()).hexdigest()[:4], 16) / 0xFFFF
    delay: timedelta = min(FIRST_RETRY * 2 ** (attempt - 1), LONGEST_RETRY) * (0.75 + spread / 2)
    asked = max((a.retry_after or 0 for a in answers if isinstance(a, Unavailable)), default=0)
    later: datetime = now + max(delay, timedelta(seconds=asked))
    return later.replace(microsecond=0)


def _count(done: Dispatched, kind: DeliveryKind) -> None:
    name = {DeliveryKind.expired: "settled", DeliveryKind.dead: "settled"}.get(kind, kind.value)
    setattr(done, name, getattr(done, name) + 1)


def _suppress_dead_addresses(
    connection: Connection, leaving: Sequence[_Leaving], answers: Sequence[Answer], now: datetime
) -> None:
    """An address the provider proved dead is not written to again."""
    for one, answer in zip(leaving, answers, strict=True):
        if isinstance(answer, Rejected) and answer.reason.ends_address:
            customers.suppress(connection, one.row.address_hash, one.row.channel, answer.reason.value, now)


def _judge_lane(connection: Connection, channel: str, answers: Sequence[Answer], now: datetime) -> None:
    """Failures in a row close the lane for a while; wrong credentials stop it until a person resumes it."""
    lane = work.lanes(connection).get(channel)
    failures = lane.failures if lane else 0
    for answer in answers:
        failures = failures + 1 if isinstance(answer, Unavailable | Misconfigured) else 0
    stopped = next((str(answer) for answer in answers if isinstance(answer, Misconfigured)), None)
    asked = max((a.retry_after or 0 for a in answers if isinstance(a, Unavailable)), default=0)
    until = now + timedelta(seconds=asked) if asked else None
    if failures >= BREAKER:
        until = max(until or now, now + BREAKER_PAUSE)
    if lane is None and not failures:
        return
    if lane is None or (lane.failures, lane.paused_until, lane.stopped) != (failures, until, stopped):
        work.set_lane(connection, channel, failures=failures, paused_until=until, stopped=stopped)


# --- after a death ---------------------------------------------------------------------------------------------------


def recover(app: App, now: datetime) -> Dispatched:
    """At start: attempts that had begun and have no outcome are asked again where that is harmless, else `unknown`."""
    done = Dispatched()
    with app.database.writing() as connection:
        messages.count_death(connection)
        left = deliveries.sending(connection)
        rows = messages.of_ids(connection, [begun.message_id for begun in left])
        again: dict[str, list[int]] = {}
        for begun in left:
            row = rows[begun.message_id]
            kind, sentence = _after_death(app, row.channel, begun, now)
            _append(connection, [_happening(row, kind, now, Rule.failed, sentence, attempt=begun.attempt)])
            if kind is DeliveryKind.retry:
                again.setdefault(row.channel, []).append(row.id)
            else:
                enrollments.wake_ids(connection, [row.enrollment_id], now)
            _count(done, kind)
        for channel, ids in again.items():
            messages.rebatch(connection, ids, channel, now)
    return done


def _after_death(app: App, channel: str, begun: Any, now: datetime) -> tuple[DeliveryKind, str]:
    try:
        repeats = app.provider(channel).features.recognises_repeat(now - begun.at)
    except (SendError, OutreachError):
        repeats = False
    if not repeats:
        return DeliveryKind.unknown, "the process died after it began to leave and before an answer was kept"
    if begun.attempt >= DEATHS:
        return DeliveryKind.dead, f"the process died {begun.attempt} times while it was leaving; a person decides"
    return DeliveryKind.retry, f"the process died while it was leaving; {begun.provider} recognises the repeat"


# --- rows ------------------------------------------------------------------------------------------------------------


def _happening(
    row: Any, kind: DeliveryKind, at: datetime, rule: Rule | None = None, reason: str | None = None, attempt: int = 0
) -> Row:
    return {
        "message_id": row.id,
        "customer_id": row.customer_id,
        "attempt": attempt,
        "kind": kind.value,
        "at": at,
        "rule": rule.value if rule else None,
        "reason": reason,
    }


def _append(connection: Connection, rows: Sequence[Row]) -> None:
    if rows:
        deliveries.append(connection, rows)

"""Hand batches to providers. A message leaves in two commits: after any death it is known what may be out.

Commit 1 judges once more and appends `begun` for those that leave now, never more than the provider takes at once; then
they are handed over; commit 2 appends what the provider answered, and is commit 1 of those that leave next. Lanes run
side by side, database work in threads.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from channels.contract import Answer, Outgoing, Provider, Sent, content_from_json
from channels.errors import Misconfigured, Rejected, SendError, Unavailable, Uncertain
from engine.app import App
from engine.audience.values import Person
from engine.clock import fresh_token
from engine.decide.decision import Rule
from engine.decide.door import Hold, Leave, Settle, Verdict, at_the_door
from engine.decide.outcome import DeliveryKind
from engine.decide.policy import full_cap
from engine.decide.state import Consented, CustomerState, Rules, Said
from engine.decide.timing import local
from engine.errors import OutreachError
from engine.store import customers, deliveries, enrollments, journeys, messages, work
from engine.store.deliveries import Heaviest
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

    def add(self, more: Dispatched) -> None:
        for name, count in vars(more).items():
            setattr(self, name, getattr(self, name) + count)


_Packed = tuple[Any, bytes, str, Heaviest | None]  # a message, its packed text, the text's hash, what happened so far
_Judged = tuple[Any, bytes, str, Verdict]  # the same with what the door says
Known = dict[int, tuple[Person, int, tuple[Consented, ...]]]  # customer -> who they are, their revision, their consents


@dataclass
class _Batch:
    """A batch in hand: what of it still waits, and the people it is for, as they were when it was taken."""

    channel: str
    number: int
    token: str
    waiting: Sequence[_Packed]
    known: Known


@dataclass(frozen=True)
class _Leaving:
    """One message between the two commits."""

    row: Any
    outgoing: Outgoing
    since: datetime  # its first attempt


@dataclass(frozen=True)
class _Outcomes:
    """What a provider answered to the messages of one slice, on its way into the database."""

    channel: str
    provider: str
    token: str
    leaving: Sequence[_Leaving]
    answers: Sequence[Answer]


def dispatch(app: App, rules: Rules, now: datetime) -> Dispatched:
    """Hand over every batch that is due, lanes side by side."""
    done = Dispatched()
    _write_kept(app, done)
    with app.database.reading() as connection:
        due = messages.due_batches(connection, now)
    if due:
        lanes: dict[str, list[int]] = {}
        for number, channel in due:
            lanes.setdefault(channel, []).append(number)
        app.run(_lanes(app, rules, lanes, done))
    return done


async def _lanes(app: App, rules: Rules, lanes: dict[str, list[int]], done: Dispatched) -> None:
    """Every lane to its end; one that fails stops no other."""
    work = (_lane(app, rules, channel, batches, done) for channel, batches in lanes.items())
    for ended in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(ended, BaseException):
            raise ended


async def _lane(app: App, rules: Rules, channel: str, batches: Sequence[int], done: Dispatched) -> None:
    """Batches of one channel, one after the other, until the lane closes."""
    try:
        provider: Provider | None = app.provider(channel)
        assert provider is not None
        await provider.open()
    except Unavailable as error:
        await asyncio.to_thread(_pause_lane, app, channel, error)
        provider = None
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
    """One batch, slice by slice: what answers one slice and what begins the next are one commit."""
    batch = await asyncio.to_thread(_take, app, channel, number)
    last: _Outcomes | None = None
    while (leaving := await asyncio.to_thread(_between, app, rules, provider, batch, last, done)) is not None:
        last = None
        if leaving and provider is not None:
            answers = await _hand_over(app, provider, [one.outgoing for one in leaving])
            last = _Outcomes(channel, provider.name, batch.token, leaving, answers)


def _between(
    app: App, rules: Rules, provider: Provider | None, batch: _Batch, last: _Outcomes | None, done: Dispatched
) -> list[_Leaving] | None:
    """Commit 2 of the last slice and commit 1 of the next, in one transaction. None: no slice is left."""
    now, told = app.clock.now(), Dispatched()
    try:
        with app.database.writing() as connection:
            if last is not None:
                _write_outcomes(app, connection, last, now, told)
            leaving = _begin_next(app, connection, rules, provider, batch, now, told)
    except Exception:
        if last is not None:
            app.kept.append(last)  # written before anything else leaves
        raise
    done.add(told)
    return leaving


def _begin_next(
    app: App,
    connection: Connection,
    rules: Rules,
    provider: Provider | None,
    batch: _Batch,
    now: datetime,
    told: Dispatched,
) -> list[_Leaving] | None:
    """Judge the next slice and write that it begins. None: the batch is done, or what is left of it waits."""
    found = messages.held(connection, batch.number, batch.token)
    if found is None:
        return None
    if not batch.waiting or app.stopping:  # asked to stop before all has left: the rest leaves after the next start
        (messages.free if batch.waiting else messages.close)(connection, batch.number)
        return None
    width, closed_until = _lane_width(connection, batch.channel, provider, found.deaths, now)
    if closed_until is not None or provider is None:
        _wait_for_lane(connection, batch, closed_until or now + STOPPED_LOOK, now, told)
        return None
    part, batch.waiting = batch.waiting[:width], batch.waiting[width:]
    return _commit_one(app, connection, rules, provider, batch, part, now, told)


# --- taking a batch --------------------------------------------------------------------------------------------------


def _take(app: App, channel: str, number: int) -> _Batch:
    """Take a batch in hand, with whom it is for, as they are now."""
    token = fresh_token()
    with app.database.writing() as connection:
        messages.hold(connection, number, token)
        waiting = messages.in_batch(connection, number)
        known = _read(connection, {row.customer_id for row, *_ in waiting})
    return _Batch(channel, number, token, waiting, known)


def _lane_width(
    connection: Connection, channel: str, provider: Provider | None, deaths: int, now: datetime
) -> tuple[int, datetime | None]:
    """(how many messages may leave at once, until when the lane is closed).

    Messages during which the process died leave by tens, then alone, so that the one it dies of is found.
    """
    lane = work.lanes(connection).get(channel)
    if lane is not None and lane.stopped:
        return 0, now + STOPPED_LOOK
    if lane is not None and lane.paused_until is not None and lane.paused_until > now:
        return 0, lane.paused_until
    if provider is None:
        return 0, now + STOPPED_LOOK
    if lane is not None and lane.failures >= BREAKER:
        return 1, None  # one probe
    width = provider.features.in_flight
    return max(width if not deaths else width // 10 if deaths == 1 else 1, 1), None


def _wait_for_lane(connection: Connection, batch: _Batch, until: datetime, now: datetime, told: Dispatched) -> None:
    """The lane is closed: what expires meanwhile is settled, the rest waits."""
    sentence = "the lane was closed until its time had passed"
    attempts = messages.recallable(connection, [row.id for row, *_ in batch.waiting])
    rows = [row for row, *_ in batch.waiting if row.id in attempts]
    expired = [row for row in rows if row.send_by < now]
    _append(
        connection,
        [_happening(row, DeliveryKind.expired, now, Rule.late, sentence, attempt=attempts[row.id]) for row in expired],
    )
    enrollments.wake_ids(connection, [row.enrollment_id for row in expired], now)
    left = [row for row in rows if row.send_by >= now]
    if left:
        soonest = min(row.send_by for row in left) + timedelta(seconds=1)
        messages.postpone(connection, batch.number, min(until, soonest))
    else:
        messages.close(connection, batch.number)
    told.settled += len(expired)


def _stop_lane(app: App, channel: str, reason: str) -> None:
    with app.database.writing() as connection:
        work.set_lane(connection, channel, stopped=reason)
    log.error("lane %s stopped until it is resumed: %s", channel, reason)


def _pause_lane(app: App, channel: str, error: Unavailable) -> None:
    """The provider could not be reached to begin with: nothing was tried, and nobody has to mend anything."""
    now = app.clock.now()
    until = now + max(BREAKER_PAUSE, timedelta(seconds=error.retry_after or 0))
    with app.database.writing() as connection:
        work.set_lane(connection, channel, paused_until=until)
    log.warning("lane %s waits until %s: %s", channel, until, error)


# --- commit 1 --------------------------------------------------------------------------------------------------------


def _commit_one(
    app: App,
    connection: Connection,
    rules: Rules,
    provider: Provider,
    batch: _Batch,
    part: Sequence[_Packed],
    now: datetime,
    told: Dispatched,
) -> list[_Leaving]:
    """Judge each message once more and append `begun` for those that may go."""
    recallable = messages.recallable(connection, [row.id for row, *_ in part])
    part = [one for one in part if one[0].id in recallable]
    states = _states(connection, batch.known, part, now)
    today = replace(rules, paused=journeys.paused(connection))
    verdicts = [(row, packed, hashed, last_verdict(row, states, today, now)) for row, packed, hashed, _ in part]
    leaving, verdicts = _pack_up(connection, verdicts, recallable, now)
    _settle(connection, verdicts, recallable, now, told)
    _hold(connection, batch.channel, verdicts, recallable, now, told)
    hashes = {row.id: hashed for row, _, hashed, _ in verdicts}
    _append(
        connection,
        [
            {
                **_happening(one.row, DeliveryKind.begun, now, attempt=one.outgoing.attempt),
                "token": batch.token,
                "payload_hash": hashes[one.row.id],
                "deadline": now + timedelta(seconds=TIMEOUT),
                "provider": provider.name,
            }
            for one in leaving
        ],
    )
    return leaving


def _pack_up(
    connection: Connection, verdicts: Sequence[_Judged], attempts: dict[int, int], now: datetime
) -> tuple[list[_Leaving], list[_Judged]]:
    """Those that leave, as the provider gets them; a text that cannot be read any more is given up, alone."""
    again = [row.id for row, _, _, verdict in verdicts if isinstance(verdict, Leave) and attempts[row.id]]
    since = deliveries.first_begun(connection, again) if again else {}
    leaving, judged = [], []
    for row, packed, hashed, verdict in verdicts:
        if isinstance(verdict, Leave):
            try:
                outgoing = _outgoing(row, packed, attempts[row.id] + 1)
                leaving.append(_Leaving(row, outgoing, since.get(row.id, now)))
            except Exception as error:  # one damaged row must never stop the others
                log.exception("message cannot be read", extra={"message_id": row.id})
                sentence = f"its stored text cannot be read: {type(error).__name__}"
                verdict = Settle(DeliveryKind.dead, Rule.failed, sentence)
        judged.append((row, packed, hashed, verdict))
    return leaving, judged


def _read(connection: Connection, ids: Collection[int]) -> Known:
    """Who these people are and what they agreed to, and the revision at which that was so."""
    wanted = sorted(ids)
    people, consents = customers.people(connection, wanted), customers.consents(connection, wanted)
    return {number: (*found, tuple(consents.get(number, ()))) for number, found in people.items()}


def _states(connection: Connection, known: Known, part: Sequence[_Packed], now: datetime) -> dict[int, CustomerState]:
    """What the judgement at the door may depend on, as it is in the transaction that commits the attempt.

    Who has learned nothing since the batch was taken has the revision of then; the others are read again.
    """
    revisions = customers.revisions(connection, sorted({row.customer_id for row, *_ in part}))
    changed = [number for number, revision in revisions.items() if number not in known or known[number][1] != revision]
    if changed:
        known.update(_read(connection, changed))
    people = {number: known[number] for number in revisions}
    blocked = customers.suppressed(connection, {row.address_hash: None for row, *_ in part})
    later = [
        row.customer_id
        for row, *_ in part
        if row.marketing
        and row.customer_id in people
        and _day(row.created_at, people[row.customer_id][0]) != _day(now, people[row.customer_id][0])
    ]
    said = messages.of_people(connection, later, now - timedelta(days=40)) if later else {}
    return {
        row.id: CustomerState(
            person=people[row.customer_id][0],
            said=tuple(said.get(row.customer_id, ())),
            consents=people[row.customer_id][2],
            suppressed=frozenset([row.channel]) if row.address_hash in blocked else frozenset(),
        )
        for row, *_ in part
        if row.customer_id in people
    }


def _day(at: datetime, person: Any) -> Any:
    return local(at, person.zone).date()


def last_verdict(row: Any, states: dict[int, CustomerState], rules: Rules, now: datetime) -> Verdict:
    """May this message leave now?"""
    state = states.get(row.id)
    if state is None:
        return Settle(DeliveryKind.cancelled, Rule.left, "the person is no longer known")
    said = messages.as_said(row)
    return at_the_door(said, state, rules, now, lambda: full_today(said, state, rules, now))


def full_today(said: Said, state: CustomerState, rules: Rules, now: datetime) -> str | None:
    """The cap that is full without this message, if its local day has changed since it was decided."""
    others = tuple(one for one in state.said if one.id != said.id)
    live = rules.graphs.get(rules.live.get(said.journey, -1))
    caps = live.head.caps if live else ()
    return full_cap(said, others, state.person, rules.policy, now, caps) if others else None


def _outgoing(row: Any, packed: bytes, attempt: int) -> Outgoing:
    content = content_from_json(messages.unpack(packed))
    return Outgoing(row.id, row.key, content, row.created_at, attempt, TIMEOUT)


def _settle(
    connection: Connection,
    verdicts: Sequence[_Judged],
    attempts: dict[int, int],
    now: datetime,
    told: Dispatched,
) -> None:
    settled = [(row, verdict) for row, _, _, verdict in verdicts if isinstance(verdict, Settle)]
    _append(
        connection,
        [_happening(row, v.kind, now, v.rule, v.sentence, attempt=attempts[row.id]) for row, v in settled],
    )
    enrollments.wake_ids(connection, [row.enrollment_id for row, _ in settled], now)
    told.settled += len(settled)


def _hold(
    connection: Connection,
    channel: str,
    verdicts: Sequence[_Judged],
    attempts: dict[int, int],
    now: datetime,
    told: Dispatched,
) -> None:
    later: dict[datetime, list[int]] = {}
    rows: list[Row] = []
    for row, _, _, verdict in verdicts:
        if isinstance(verdict, Hold):
            later.setdefault(verdict.until, []).append(row.id)
            if verdict.rule is not Rule.paused:
                attempt = attempts[row.id]
                rows.append(_happening(row, DeliveryKind.held, now, verdict.rule, verdict.sentence, attempt=attempt))
    _append(connection, rows)
    for until, ids in later.items():
        messages.rebatch(connection, ids, channel, until)
        told.held += len(ids)


# --- between the commits ---------------------------------------------------------------------------------------------


async def _hand_over(app: App, provider: Provider, outgoing: Sequence[Outgoing]) -> list[Answer]:
    """One answer per message, whatever the provider does: what proves nothing is Uncertain."""
    sending = asyncio.ensure_future(provider.send(outgoing))
    app.in_hand.add(sending)
    try:
        async with asyncio.timeout(TIMEOUT + 5):
            answers = list(await sending)
    except SendError as error:
        return [error] * len(outgoing)
    except TimeoutError:
        return [Uncertain(f"{provider.name} gave no answer within {TIMEOUT:.0f} seconds")] * len(outgoing)
    except asyncio.CancelledError:
        if not app.stopping:
            raise
        return [Uncertain(f"{provider.name} gave no answer before the process had to end")] * len(outgoing)
    except Exception as error:  # a provider's own mistake proves nothing about the messages
        log.exception("provider failed", extra={"provider": provider.name})
        return [Uncertain(f"{provider.name} failed: {type(error).__name__}")] * len(outgoing)
    finally:
        app.in_hand.discard(sending)
    missing = len(outgoing) - len(answers)
    return [*answers[: len(outgoing)], *[Uncertain(f"{provider.name} gave no answer for it")] * missing]


# --- commit 2 --------------------------------------------------------------------------------------------------------


def _write_kept(app: App, done: Dispatched) -> None:
    """Answers that could not be written when they came. Until they are, no attempt begins."""
    while app.kept:
        told = Dispatched()
        with app.database.writing() as connection:
            _write_outcomes(app, connection, app.kept[0], app.clock.now(), told)
        app.kept.pop(0)
        done.add(told)


def _write_outcomes(app: App, connection: Connection, outcomes: _Outcomes, now: datetime, told: Dispatched) -> None:
    """Append what the provider answered, plan the retries, wake who waits for an outcome, and judge the lane."""
    leaving, answers, channel = outcomes.leaving, outcomes.answers, outcomes.channel
    retry_at = _retry_at(leaving, answers, now)
    patience = app.settings.channels[channel].retry_for
    rows, again = [], []
    for one, answer in zip(leaving, answers, strict=True):
        row = _outcome(one, answer, now, retry_at, patience)
        rows.append(row | {"token": outcomes.token, "provider": outcomes.provider})
        if row["kind"] == DeliveryKind.retry:
            again.append(one.row.id)
        _count(told, DeliveryKind(row["kind"]))
    deliveries.append(connection, rows)
    messages.rebatch(connection, again, channel, retry_at)
    enrollments.wake_ids(connection, [one.row.enrollment_id for one in leaving if one.row.id not in again], now)
    _suppress_dead_addresses(connection, leaving, answers, now)
    _judge_lane(connection, channel, answers, now)


def _outcome(one: _Leaving, answer: Answer, now: datetime, retry_at: datetime, patience: timedelta) -> Row:
    """What is appended for an answer. Refused for now, it is tried again as long as `patience` and its time allow."""
    attempt = one.outgoing.attempt
    match answer:
        case Sent():
            row = _happening(one.row, DeliveryKind.accepted, now, attempt=attempt)
            return row | {"provider_id": answer.provider_id}
        case Rejected():
            kind, sentence = DeliveryKind.rejected, f"{answer} [{answer.reason.value}]"
        case Unavailable() | Misconfigured() if retry_at > min(one.row.send_by, one.since + patience):
            kind, sentence = DeliveryKind.expired, f"no time is left for another attempt: {answer}"
        case Unavailable() | Misconfigured():
            kind, sentence = DeliveryKind.retry, str(answer)
        case _:
            kind, sentence = DeliveryKind.unknown, str(answer)
    rule = Rule.late if kind is DeliveryKind.expired else Rule.failed
    return _happening(one.row, kind, now, rule, sentence, attempt=attempt)


def _retry_at(leaving: Sequence[_Leaving], answers: Sequence[Answer], now: datetime) -> datetime:
    """When those refused for now are tried again: growing delays, spread by a hash, not before the provider asks."""
    attempt = max(one.outgoing.attempt for one in leaving)
    spread = int(hashlib.sha256(leaving[0].outgoing.key.encode()).hexdigest()[:4], 16) / 0xFFFF
    delay: timedelta = min(FIRST_RETRY * 2 ** (attempt - 1), LONGEST_RETRY) * (0.75 + spread / 2)
    asked = max((a.retry_after or 0 for a in answers if isinstance(a, Unavailable)), default=0)
    later: datetime = now + max(delay, timedelta(seconds=asked))
    return later.replace(microsecond=0)


def _count(told: Dispatched, kind: DeliveryKind) -> None:
    name = {DeliveryKind.expired: "settled", DeliveryKind.dead: "settled"}.get(kind, kind.value)
    setattr(told, name, getattr(told, name) + 1)


def _suppress_dead_addresses(
    connection: Connection, leaving: Sequence[_Leaving], answers: Sequence[Answer], now: datetime
) -> None:
    """An address the provider proved dead is not written to again."""
    dead = {
        one.row.address_hash: {"channel": one.row.channel, "reason": answer.reason.value, "at": now}
        for one, answer in zip(leaving, answers, strict=True)
        if isinstance(answer, Rejected) and answer.reason.ends_address
    }
    if dead:
        customers.suppress(connection, dead)


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
        messages.free_all(connection)
        left = deliveries.sending(connection)
        ids = [begun.message_id for begun in left]
        rows = messages.of_ids(connection, ids)
        deaths = deliveries.deaths(connection, ids)
        again: dict[tuple[str, int], list[int]] = {}
        told, settled = [], []
        for begun in left:
            row = rows[begun.message_id]
            died = 1 + deaths.get(row.id, 0)
            kind, sentence = _after_death(app, row.channel, begun, died, now)
            told.append(_happening(row, kind, now, Rule.failed, sentence, attempt=begun.attempt))
            if kind is DeliveryKind.retry:
                again.setdefault((row.channel, died), []).append(row.id)
            else:
                settled.append(row.enrollment_id)
            _count(done, kind)
        _append(connection, told)
        enrollments.wake_ids(connection, settled, now)
        for (channel, died), numbers in again.items():
            messages.rebatch(connection, numbers, channel, now, died)
    return done


def _after_death(app: App, channel: str, begun: Any, deaths: int, now: datetime) -> tuple[DeliveryKind, str]:
    """Another provider than the one that was asked cannot recognise its repeat."""
    try:
        provider = app.provider(channel)
        repeats = provider.name == begun.provider and provider.features.recognises_repeat(now - begun.at)
    except (SendError, OutreachError):
        repeats = False
    if not repeats:
        return DeliveryKind.unknown, "the process died after it began to leave and before an answer was kept"
    if deaths >= DEATHS:
        return DeliveryKind.dead, f"the process died {deaths} times while it was leaving; a person decides"
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

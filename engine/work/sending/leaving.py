"""Commit 1: who of a batch leaves next is judged once more, and `begun` is written before the first byte leaves."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from channels.contract import Outgoing, Provider, content_from_json
from engine.app import App
from engine.decide.decision import Rule
from engine.decide.door import Hold, Leave, Settle, Verdict, at_the_door
from engine.decide.outcome import DeliveryKind
from engine.decide.state import CustomerState, Rules
from engine.store import customers, deliveries, enrollments, journeys, messages, work
from engine.store.tables import Row
from engine.values import replace
from engine.work.sending.batches import BREAKER, TIMEOUT, Batch, Dispatched, Judged, Known, Leaving, happening
from engine.work.sending.crowd import Crowd, crowd
from engine.work.sure import in_doubt

log = logging.getLogger("outreach.dispatch")

STOPPED_LOOK = timedelta(minutes=5)  # how often batches of a stopped lane are looked at for what expires


def begin_next(
    app: App,
    connection: Connection,
    rules: Rules,
    provider: Provider | None,
    batch: Batch,
    now: datetime,
    told: Dispatched,
) -> list[Leaving] | None:
    """Judge the next slice and write that it begins. None: the batch is done, or what is left of it waits."""
    found = messages.held(connection, batch.number, batch.token)
    if found is None:
        return None
    if not batch.waiting or app.stopping or in_doubt(app, connection):  # the rest leaves after the next start
        (messages.free if batch.waiting else messages.close)(connection, batch.number)
        return None
    width, closed_until = _lane_width(connection, batch.channel, provider, found.deaths, now)
    if closed_until is not None or provider is None:
        _wait_for_lane(connection, batch, closed_until or now + STOPPED_LOOK, now, told)
        return None
    part, batch.waiting = batch.waiting[:width], batch.waiting[width:]
    return _commit_one(app, connection, rules, provider, batch, part, now, told)


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


def _wait_for_lane(connection: Connection, batch: Batch, until: datetime, now: datetime, told: Dispatched) -> None:
    """The lane is closed: what expires meanwhile is settled, the rest waits."""
    sentence = "the lane was closed until its time had passed"
    attempts = messages.recallable(connection, [row.id for row in batch.waiting])
    rows = [row for row in batch.waiting if row.id in attempts]
    expired = [row for row in rows if row.send_by < now]
    deliveries.append(
        connection,
        [happening(row, DeliveryKind.expired, now, Rule.late, sentence, attempt=attempts[row.id]) for row in expired],
    )
    enrollments.wake_ids(connection, [row.enrollment_id for row in expired], now)
    left = [row for row in rows if row.send_by >= now]
    if left:
        soonest = min(row.send_by for row in left) + timedelta(seconds=1)
        messages.postpone(connection, batch.number, min(until, soonest))
    else:
        messages.close(connection, batch.number)
    told.settled += len(expired)


# --- the judgement at the door ---------------------------------------------------------------------------------------


def _commit_one(
    app: App,
    connection: Connection,
    rules: Rules,
    provider: Provider,
    batch: Batch,
    part: Sequence[Any],
    now: datetime,
    told: Dispatched,
) -> list[Leaving]:
    """Judge each message once more and append `begun` for those that may go."""
    recallable = messages.recallable(connection, [row.id for row in part])
    part = [row for row in part if row.id in recallable]
    states = _states(connection, batch.known, part)
    rules = app.rules_of_today(connection, rules)
    today = replace(rules, paused=journeys.paused(connection))
    beside = crowd(connection, part, now - app.needs(rules).said)
    verdicts = [_judged(row, states, beside, today, now) for row in part]
    leaving, verdicts = _pack_up(connection, verdicts, recallable, now)
    _settle(connection, verdicts, recallable, now, told)
    _hold(connection, batch.channel, verdicts, recallable, now, told)
    deliveries.append(
        connection,
        [
            {
                **happening(one.row, DeliveryKind.begun, now, attempt=one.outgoing.attempt),
                "token": batch.token,
                "payload_hash": one.row.hash,
                "deadline": now + timedelta(seconds=TIMEOUT),
                "provider": provider.name,
            }
            for one in leaving
        ],
    )
    return leaving


def _pack_up(
    connection: Connection, verdicts: Sequence[Judged], attempts: dict[int, int], now: datetime
) -> tuple[list[Leaving], list[Judged]]:
    """Those that leave, as the provider gets them; a text that cannot be read any more is given up, alone."""
    again = [row.id for row, verdict in verdicts if isinstance(verdict, Leave) and attempts[row.id]]
    since = deliveries.first_begun(connection, again) if again else {}
    leaving, judged = [], []
    for row, verdict in verdicts:
        if isinstance(verdict, Leave):
            try:
                outgoing = _outgoing(row, attempts[row.id] + 1)
                leaving.append(Leaving(row, outgoing, since.get(row.id, now)))
            except Exception as error:  # one damaged row must never stop the others
                log.exception("message cannot be read", extra={"message_id": row.id})
                sentence = f"its stored text cannot be read: {type(error).__name__}"
                verdict = Settle(DeliveryKind.dead, Rule.failed, sentence)
        judged.append(Judged(row, verdict))
    return leaving, judged


def read_people(connection: Connection, ids: Collection[int]) -> Known:
    """Who these people are and what they agreed to, and the revision at which that was so."""
    wanted = sorted(ids)
    people, consents = customers.people(connection, wanted), customers.consents(connection, wanted)
    return {number: (*found, tuple(consents.get(number, ()))) for number, found in people.items()}


def _states(connection: Connection, known: Known, part: Sequence[Any]) -> dict[int, CustomerState]:
    """Who these messages are for, as it is in the transaction that commits the attempt.

    Who has learned nothing since the batch was taken has the revision of then; the others are read again.
    """
    revisions = customers.revisions(connection, sorted({row.customer_id for row in part}))
    changed = [number for number, revision in revisions.items() if number not in known or known[number][1] != revision]
    if changed:
        known.update(read_people(connection, changed))
    people = {number: known[number] for number in revisions}
    blocked = customers.suppressed(connection, {row.address_hash: None for row in part})
    return {
        row.id: CustomerState(
            person=people[row.customer_id][0],
            consents=people[row.customer_id][2],
            suppressed=frozenset([row.channel]) if row.address_hash in blocked else frozenset(),
        )
        for row in part
        if row.customer_id in people
    }


def _judged(row: Any, states: Mapping[int, CustomerState], beside: Crowd, rules: Rules, now: datetime) -> Judged:
    """What the door says to one message; if it leaves, it counts for those after it."""
    said = beside.of(row.customer_id)
    state = states.get(row.id)
    verdict = last_verdict(row, replace(state, said=said) if state and said else state, rules, now)
    if isinstance(verdict, Leave):
        beside.leaves(row.id, now)
    return Judged(row, verdict)


def last_verdict(row: Any, state: CustomerState | None, rules: Rules, now: datetime) -> Verdict:
    """May this message leave now?"""
    if state is None:
        return Settle(DeliveryKind.cancelled, Rule.left, "the person is no longer known")
    return at_the_door(messages.as_said(row), state, rules, now)


def _outgoing(row: Any, attempt: int) -> Outgoing:
    content = content_from_json(messages.unpack(row.content))
    return Outgoing(row.id, row.key, content, row.created_at, attempt, TIMEOUT)


def _settle(
    connection: Connection,
    verdicts: Sequence[Judged],
    attempts: dict[int, int],
    now: datetime,
    told: Dispatched,
) -> None:
    settled = [(row, verdict) for row, verdict in verdicts if isinstance(verdict, Settle)]
    deliveries.append(
        connection,
        [happening(row, v.kind, now, v.rule, v.sentence, attempt=attempts[row.id]) for row, v in settled],
    )
    messages.explain_end(connection, {row.id: verdict.detail for row, verdict in settled if verdict.detail})
    enrollments.wake_ids(connection, [row.enrollment_id for row, _ in settled], now)
    told.settled += len(settled)


def _hold(
    connection: Connection,
    channel: str,
    verdicts: Sequence[Judged],
    attempts: dict[int, int],
    now: datetime,
    told: Dispatched,
) -> None:
    later: dict[datetime, list[int]] = {}
    rows: list[Row] = []
    for row, verdict in verdicts:
        if isinstance(verdict, Hold):
            later.setdefault(verdict.until, []).append(row.id)
            if verdict.rule is not Rule.paused:
                attempt = attempts[row.id]
                rows.append(happening(row, DeliveryKind.held, now, verdict.rule, verdict.sentence, attempt=attempt))
    deliveries.append(connection, rows)
    for until, ids in later.items():
        messages.rebatch(connection, ids, channel, until)
        told.held += len(ids)

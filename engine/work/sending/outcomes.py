"""Commit 2: what a provider answered, the retries it asks for, and what it says about the lane."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from channels.contract import Answer, Sent
from channels.errors import Misconfigured, Rejected, Unavailable
from engine.app import App
from engine.decide.decision import Rule
from engine.decide.outcome import DeliveryKind
from engine.store import customers, deliveries, enrollments, messages, work
from engine.store.tables import Row
from engine.work.sending.batches import BREAKER, BREAKER_PAUSE, Dispatched, Leaving, Outcomes, count, happening

FIRST_RETRY = timedelta(seconds=30)
LONGEST_RETRY = timedelta(hours=1)


def write_kept(app: App, done: Dispatched) -> None:
    """Answers that could not be written when they came. Until they are, no attempt begins."""
    while app.kept:
        told = Dispatched()
        with app.database.writing() as connection:
            write_outcomes(app, connection, app.kept[0], app.clock.now(), told)
        app.kept.pop(0)
        done.add(told)


def write_outcomes(app: App, connection: Connection, outcomes: Outcomes, now: datetime, told: Dispatched) -> None:
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
        count(told, DeliveryKind(row["kind"]))
    deliveries.append(connection, rows)
    messages.rebatch(connection, again, channel, retry_at)
    enrollments.wake_ids(connection, [one.row.enrollment_id for one in leaving if one.row.id not in again], now)
    _suppress_dead_addresses(connection, leaving, answers, now)
    _judge_lane(connection, channel, answers, now)


def _outcome(one: Leaving, answer: Answer, now: datetime, retry_at: datetime, patience: timedelta) -> Row:
    """What is appended for an answer. Refused for now, it is tried again as long as `patience` and its time allow."""
    attempt = one.outgoing.attempt
    match answer:
        case Sent():
            row = happening(one.row, DeliveryKind.accepted, now, attempt=attempt)
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
    return happening(one.row, kind, now, rule, sentence, attempt=attempt)


def _retry_at(leaving: Sequence[Leaving], answers: Sequence[Answer], now: datetime) -> datetime:
    """When those refused for now are tried again: growing delays, spread by a hash, not before the provider asks."""
    attempt = max(one.outgoing.attempt for one in leaving)
    spread = int(hashlib.sha256(leaving[0].outgoing.key.encode()).hexdigest()[:4], 16) / 0xFFFF
    delay: timedelta = min(FIRST_RETRY * 2 ** (attempt - 1), LONGEST_RETRY) * (0.75 + spread / 2)
    asked = max((a.retry_after or 0 for a in answers if isinstance(a, Unavailable)), default=0)
    later: datetime = now + max(delay, timedelta(seconds=asked))
    return later.replace(microsecond=0)


def _suppress_dead_addresses(
    connection: Connection, leaving: Sequence[Leaving], answers: Sequence[Answer], now: datetime
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

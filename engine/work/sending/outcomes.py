"""Commit 2: what a provider answered, the retries it asks for, and what it says about the lane."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection

from channels.contract import Answer, Sent
from channels.errors import Misconfigured, Rejected, Unavailable
from engine.app import App
from engine.decide.decision import Rule
from engine.decide.outcome import WAITING, DeliveryKind
from engine.store import customers, deliveries, enrollments, messages, receipts
from engine.store.deliveries import Happening
from engine.work.line import leave_later
from engine.work.sending.batches import (
    RECOGNISES,
    TWICE,
    Commit,
    Dispatched,
    Leaving,
    Outcomes,
    count,
    doubted,
    may_go_twice,
    recognises_repeat,
)
from engine.work.sending.lane import HeldUp, end_grant, judge_lane
from engine.work.sending.routing import FIRST_RETRY, Onward, Place, onward
from engine.work.sure import now_as_trusted

LONGEST_RETRY = timedelta(hours=1)


def settle_kept(app: App, done: Dispatched) -> None:
    """Answers of which nobody knows whether they were written when they came. Until they are, no attempt begins."""
    while app.kept:
        with app.database.writing(beside=True) as connection:
            commit = Commit(connection)
            _settle(app, commit, app.kept[0], now_as_trusted(app))
            commit.notes.write()
        app.kept.pop(0)
        done.add(commit.told)


def _settle(app: App, commit: Commit, outcomes: Outcomes, now: datetime) -> None:
    """Read back what is written, and write what is not: the answer to COMMIT may have been lost, and not the commit."""
    batch, leaving, connection = outcomes.batch, outcomes.leaving, commit.connection
    customers.keep(connection, {one.row.customer_id for one in leaving})
    written = deliveries.answered(connection, [one.row.id for one in leaving], batch.token)
    missing = [
        (one, answer) for one, answer in zip(leaving, outcomes.answers, strict=True) if _name(one) not in written
    ]
    if missing:
        rest = replace(outcomes, leaving=[one for one, _ in missing], answers=[answer for _, answer in missing])
        mine, lane = messages.held(connection, batch.id, batch.token)
        write_outcomes(app, commit, rest, mine, lane, now)


def _name(one: Leaving) -> tuple[int, int]:
    return one.row.id, one.outgoing.attempt


def write_outcomes(app: App, commit: Commit, outcomes: Outcomes, held: bool, lane: Any, now: datetime) -> Any:
    """Note what the provider answered, plan the retries, wake who waits for an outcome, and judge the lane: it is
    given back as it is now.

    When the batch is in other hands by now (not `held`), what was learned is noted, and moves nothing.
    """
    leaving, answers, batch = outcomes.leaving, outcomes.answers, outcomes.batch
    connection = commit.connection
    further = onward(app, connection, outcomes, now)
    retry_at = _retry_at(leaving, answers, further, now)
    stays = Place(batch.lane, retry_at)
    rows: list[Happening] = []
    again: dict[Place, list[int]] = {}
    for one, answer in zip(leaving, answers, strict=True):
        told = _outcome(app, outcomes, one, answer, further, stays, now)
        kind, sentence = told.kind, told.sentence
        if sentence is not None:
            kind, sentence = doubted(kind, sentence, one.may_be_out and not _proves(app, one, answer, outcomes, now))
        rows.append(
            Happening(
                one.row.id,
                one.row.customer_id,
                kind,
                now,
                one.outgoing.attempt,
                rule=None if sentence is None else told.rule.value,
                reason=sentence,
                token=batch.token,
                provider=outcomes.asked,
                provider_id=answer.provider_id if isinstance(answer, Sent) else None,
            )
        )
        if kind in WAITING:
            again.setdefault(told.place, []).append(one.row.id)
        count(commit.told, kind)
    commit.notes.add(rows)
    if (provider := app.providers.get(batch.lane)) is not None and provider.features.receipts:
        receipts.know(connection, batch.lane, _names_there(leaving, answers))
    _suppress_dead_addresses(connection, leaving, answers, now)
    if not held:
        return lane
    for place, numbers in again.items():
        leave_later(app, connection, numbers, place.lane, place.due_at, batch.urgent)
    waits = {number for numbers in again.values() for number in numbers}
    enrollments.wake_ids(connection, [one.row.enrollment_id for one in leaving if one.row.id not in waits], now)
    if outcomes.grant is not None:
        end_grant(connection, batch.lane, outcomes.grant, now)
    return judge_lane(connection, batch.lane, lane, answers, now)


class _Outcome(NamedTuple):
    """What an answer means, and why; where it leaves, if it may once more."""

    kind: DeliveryKind
    sentence: str | None
    place: Place
    rule: Rule = Rule.failed


def _names_there(leaving: Sequence[Leaving], answers: Sequence[Answer]) -> list[tuple[str, int]]:
    """What the provider calls the messages it took."""
    pairs = zip(leaving, answers, strict=True)
    return [(one.provider_id, done.row.id) for done, one in pairs if isinstance(one, Sent) and one.provider_id]


def _outcome(
    app: App, outcomes: Outcomes, one: Leaving, answer: Answer, further: Onward, stays: Place, now: datetime
) -> _Outcome:
    """Not taken by this lane, it is asked of the next at once. Refused for now by all, it is tried again as long as
    the channel is patient and its time allows; so is what nobody knows of, where its lane recognises the repeat."""
    if isinstance(answer, Sent):
        return _Outcome(DeliveryKind.accepted, None, stays)
    number, retry_at = one.row.id, stays.due_at
    waits = Place(further.later.get(number, stays.lane), retry_at)
    until = min(one.row.send_by, one.since + app.settings.channels[outcomes.batch.channel].retry_for)
    why = f"{answer} [{answer.reason.value}]" if isinstance(answer, Rejected) else str(answer)
    following = further.following.get(number)
    if following is not None and following.due_at <= min(until, retry_at):
        rule = Rule.turned_away if isinstance(answer, Rejected) else Rule.passed_on
        when = "at once" if following.due_at <= now else "as soon as it has room"
        return _Outcome(DeliveryKind.retry, f"{why}; {following.lane} is asked {when}", following, rule)
    match answer:
        case Rejected() if number in further.later and retry_at <= until:
            sentence = f"{why}; {waits.lane} is asked later"
            return _Outcome(DeliveryKind.retry, sentence, waits, Rule.turned_away)
        case Rejected():
            return _Outcome(DeliveryKind.rejected, why, waits)
        case Unavailable() | Misconfigured() if retry_at <= until:
            return _Outcome(DeliveryKind.retry, why, waits)
        case Unavailable() | Misconfigured():
            sentence = f"no time is left for another attempt: {why}"
            return _Outcome(DeliveryKind.expired, sentence, waits, Rule.late)
        case _ if retry_at <= until and recognises_repeat(app, stays.lane, outcomes.asked, retry_at - one.since):
            return _Outcome(DeliveryKind.repeat, f"{why}; {outcomes.asked} {RECOGNISES}", stays)
        case _ if retry_at <= until and may_go_twice(app, one.row):
            return _Outcome(DeliveryKind.repeat, f"{why}; {TWICE}", stays)
        case _:
            return _Outcome(DeliveryKind.unknown, why, waits)


def _proves(app: App, one: Leaving, answer: Answer, outcomes: Outcomes, now: datetime) -> bool:
    """Who recognises a repeat, and refuses it for good, has not accepted it before either."""
    age = now - one.since
    return isinstance(answer, Rejected) and recognises_repeat(app, outcomes.batch.lane, outcomes.asked, age)


def _retry_at(leaving: Sequence[Leaving], answers: Sequence[Answer], further: Onward, now: datetime) -> datetime:
    """When those refused for now are tried again: growing delays, spread by a hash, not before the provider asks.
    What never left is ready at once. One round through all lanes counts as one attempt."""
    if all(isinstance(answer, HeldUp) for answer in answers):
        return now
    attempt = max(max(one.outgoing.attempt - further.passed.get(one.row.id, 0), 1) for one in leaving)
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

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
from engine.decide.door import Hold, Leave, Settle, alone, crowded
from engine.decide.outcome import DeliveryKind
from engine.decide.price import cost_of, in_millionths
from engine.decide.state import CustomerState, Rules
from engine.message.rehearsal import rehearsed
from engine.settings import Lane
from engine.store import customers, deliveries, enrollments, messages, names, receipts
from engine.store.deliveries import Happening
from engine.store.messages import Standing, Tried
from engine.values import replace
from engine.work.line import give_back, leave_later, put_off
from engine.work.sending.batches import (
    MAY_BE_OUT,
    NOT_RECOGNISED,
    TIMEOUT,
    Batch,
    Commit,
    Judged,
    Known,
    Leaving,
    Reroute,
    Slice,
    Wait,
    doubted,
    happening,
    may_be_repeated,
)
from engine.work.sending.crowd import Crowd, crowd
from engine.work.sending.lane import end_probe, grant, width_of
from engine.work.sending.routing import Place, elsewhere, spread, unserved_here
from engine.work.sure import in_doubt

log = logging.getLogger("outreach.dispatch")

_NOTHING: frozenset[str] = frozenset()
NOBODY = Settle(DeliveryKind.cancelled, Rule.left, "the person is no longer known")
SOON = timedelta(seconds=5)  # a lane without room is waited for so long with a batch in hand


def begin_next(
    app: App, commit: Commit, rules: Rules, provider: Provider | None, batch: Batch, lane: Any, now: datetime
) -> Slice | Wait | None:
    """Judge the next slice and note that it begins. None: the batch is done, or what is left of it waits."""
    connection = commit.connection
    if not batch.waiting:
        messages.close(connection, batch.id)
        return None
    if app.stopping or in_doubt(app, connection):  # the rest leaves after the next start
        give_back(app, connection, batch)
        return None
    width = width_of(app, connection, batch.lane, lane, provider, batch.deaths, now)
    if width.closed_until is not None or provider is None:
        until = width.closed_until or now
        soon = width.limits is not None and _is_soon(batch, until, now)
        if soon and app.clock.passes:
            return Wait(until)
        _wait_for_lane(app, commit, batch, until, now, stays=soon)
        return None
    batch.busy_since = None
    part, batch.waiting = batch.waiting[: width.messages], batch.waiting[width.messages :]
    leaving = _commit_one(app, commit, rules, batch, part, now)
    if width.probing and not leaving:
        end_probe(connection, batch.lane)
    if width.limits is None or not leaving:
        return Slice(leaving)
    name = f"{batch.token} {leaving[0].row.id}"
    grant(connection, batch.lane, width.limits, name, len(leaving), now)
    return Slice(leaving, name)


def _is_soon(batch: Batch, until: datetime, now: datetime) -> bool:
    """The lane has no room until then. Is that worth to wait for, and has it not been waited for too long?"""
    batch.busy_since = batch.busy_since or now
    return until - now <= SOON and now - batch.busy_since <= SOON


def _wait_for_lane(app: App, commit: Commit, batch: Batch, until: datetime, now: datetime, stays: bool = False) -> None:
    """The lane is closed: what expires meanwhile is settled. The rest goes to other lanes, or it waits (`stays`: it
    does in any case)."""
    connection = commit.connection
    sentence = "the lane was closed until its time had passed"
    tried = messages.recallable(connection, [row.id for row in batch.waiting])
    rows = [row for row in batch.waiting if row.id in tried]
    expired = [row for row in rows if row.send_by < now]
    verdict = Settle(DeliveryKind.expired, Rule.late, sentence)
    commit.notes.add(_ends([(row, verdict) for row in expired], tried, now))
    enrollments.wake_ids(connection, [row.enrollment_id for row in expired], now)
    left = [row for row in rows if row.send_by >= now]
    if left and not stays and _has_another(app, batch):
        commit.told.rerouted += spread(app, connection, batch, left, tried, until, now)
    elif left:
        soonest = min(row.send_by for row in left) + timedelta(seconds=1)
        put_off(app, connection, batch, min(until, soonest))
    else:
        messages.close(connection, batch.id)
    commit.told.settled += len(expired)


def _has_another(app: App, batch: Batch) -> bool:
    """Is there another lane of its channel? There is where its own is configured no more."""
    return any(lane.name != batch.lane for lane in app.settings.ways.get(batch.channel, ()))


# --- the judgement at the door ---------------------------------------------------------------------------------------


def _commit_one(
    app: App, commit: Commit, rules: Rules, batch: Batch, part: Sequence[Any], now: datetime
) -> list[Leaving]:
    """Judge each message once more and note `begun` for those that may go."""
    connection = commit.connection
    former, paused = names.former_and_paused(connection)
    rules = app.rules_of_today(connection, rules, former)
    since = now - app.needs(rules).said
    standing = messages.standing(connection, [row.id for row in part], since)
    part = [row for row in part if row.id in standing]
    states = _states(connection, batch.known, part, standing)
    beside = crowd(commit, part, standing, since)
    today = replace(rules, paused=paused)
    verdicts = [_judged(row, states, beside, today, now) for row in part]
    tried = {number: one.tried for number, one in standing.items()}
    leaving, verdicts = _pack_up(app, connection, batch, verdicts, tried, now)
    lane = app.settings.lanes[batch.lane]
    asked = app.asked_as(lane)
    _settle(commit, verdicts, tried, now)
    _hold(app, commit, batch, verdicts, tried, now)
    deadline = now + timedelta(seconds=TIMEOUT)
    commit.notes.add(
        Happening(
            one.row.id,
            one.row.customer_id,
            DeliveryKind.begun,
            now,
            one.outgoing.attempt,
            token=batch.token,
            payload_hash=one.row.hash,
            deadline=deadline,
            provider=asked,
            **_cost(app, lane, one, batch.known),
        )
        for one in leaving
    )
    features = app.provider(batch.lane).features
    if features.receipts or features.look_up:  # what comes back may be here before the answer
        receipts.know(connection, batch.lane, ((row.key, row.id) for row, *_ in leaving))
    return leaving


def _pack_up(
    app: App,
    connection: Connection,
    batch: Batch,
    verdicts: Sequence[Judged],
    tried: Mapping[int, Tried],
    now: datetime,
) -> tuple[list[Leaving], list[Judged]]:
    """Those that leave, as the provider gets them; a text that cannot be read any more is given up, alone.

    What may be out was to be asked again by its key: by now its provider may be another, or its window over.
    """
    again = [row.id for row, verdict in verdicts if isinstance(verdict, Leave) and tried[row.id].attempts]
    asked = deliveries.asked(connection, again) if again else {}
    lane = app.settings.lanes.get(batch.lane)
    choosy = lane is not None and lane.picks
    leaving, judged = [], []
    for row, verdict in verdicts:
        attempts, may_be_out = tried[row.id]
        since, provider = asked.get(row.id, (now, None))
        if (
            isinstance(verdict, Leave)
            and may_be_out
            and not may_be_repeated(app, batch.lane, row, provider, now - since)
        ):
            verdict = Settle(DeliveryKind.unknown, Rule.failed, f"{MAY_BE_OUT}; {NOT_RECOGNISED}")
        if isinstance(verdict, Leave) and (sentence := _nobody_to_rehearse(app, row)):
            verdict = Settle(DeliveryKind.suppressed, Rule.unreachable, sentence)
        if isinstance(verdict, Leave):
            try:
                one = Leaving(row, _outgoing(app, row, batch.known, attempts + 1), since, may_be_out)
                if choosy and unserved_here(app, batch, one):
                    verdict = _goes_elsewhere(app, one, batch)
                else:
                    leaving.append(one)
            except Exception as error:  # one damaged row must never stop the others
                log.exception("message cannot be read", extra={"message_id": row.id})
                sentence = f"its stored text cannot be read: {type(error).__name__}"
                verdict = Settle(DeliveryKind.dead, Rule.failed, sentence)
        judged.append(Judged(row, verdict))
    return leaving, judged


def _goes_elsewhere(app: App, one: Leaving, batch: Batch) -> Settle | Reroute:
    """Its lane does not serve it, by what config.yaml says by now."""
    lane = elsewhere(app, one, batch.known)
    if lane is not None:
        return Reroute(lane)
    return Settle(DeliveryKind.suppressed, Rule.unreachable, f"no provider of {batch.channel} serves its address")


def read_people(connection: Connection, ids: Collection[int]) -> Known:
    """Who these people are, as far as the door asks, what they agreed to, and the revision at which that was so."""
    wanted = sorted(ids)
    people, consents = customers.in_brief(connection, wanted), customers.consents(connection, wanted)
    return {number: (*found, tuple(consents.get(number, ()))) for number, found in people.items()}


def _states(
    connection: Connection, known: Known, part: Sequence[Any], standing: Mapping[int, Standing]
) -> dict[int, CustomerState]:
    """Who these messages are for, as it is in the transaction that commits the attempt.

    Who has learned nothing since the batch was taken has the revision of then; the others are read again.
    """
    found = {row.customer_id: standing[row.id].revision for row in part}  # held by the caller
    revisions = {number: revision for number, revision in found.items() if revision is not None}
    changed = [number for number, revision in revisions.items() if number not in known or known[number][1] != revision]
    if changed:
        known.update(read_people(connection, changed))
    states = {}
    for row in part:
        if row.customer_id in revisions:
            person, _, consents = known[row.customer_id]
            suppressed = frozenset([row.channel]) if standing[row.id].suppressed else _NOTHING
            states[row.id] = CustomerState(person, consents=consents, suppressed=suppressed)
    return states


def _judged(row: Any, states: Mapping[int, CustomerState], beside: Crowd, rules: Rules, now: datetime) -> Judged:
    """What the door says to one message; if it leaves, it counts for those after it."""
    state = states.get(row.id)
    if state is None:
        return Judged(row, NOBODY)
    verdict = alone(row, state, rules, now)
    others = beside.of(row.customer_id)
    if verdict is None and others:
        verdict = crowded(beside.itself[row.id], replace(state, said=others), rules, now)
    if verdict is None:
        beside.leaves(row.id, now)
    return Judged(row, verdict or Leave())


def _nobody_to_rehearse(app: App, row: Any) -> str | None:
    colleagues = app.settings.rehearsal
    if colleagues is None or row.channel in colleagues:
        return None
    return f"this is a rehearsal, and it names no colleague for {row.channel}"


def _outgoing(app: App, row: Any, known: Known, attempt: int) -> Outgoing:
    content = content_from_json(messages.unpack(row.content))
    if app.settings.rehearsal is not None:
        person = known[row.customer_id][0].external_id
        content = rehearsed(content, app.settings.rehearsal[row.channel], row.key, person)
    return Outgoing(row.id, row.key, content, row.created_at, attempt, TIMEOUT)


def _cost(app: App, lane: Lane, one: Leaving, known: Known) -> dict[str, Any]:
    """What this attempt costs if it is taken."""
    if lane.price is None:
        return {}
    country = known[one.row.customer_id][0].country if one.row.customer_id in known else None
    cost = cost_of(lane, one.outgoing.content.to, country, app.settings.shop.country, one.row.parts)
    return {"cost": in_millionths(cost.amount), "currency": cost.currency} if cost else {}


def _settle(commit: Commit, verdicts: Sequence[Judged], tried: Mapping[int, Tried], now: datetime) -> None:
    settled = [(row, verdict) for row, verdict in verdicts if isinstance(verdict, Settle)]
    commit.notes.add(_ends(settled, tried, now))
    messages.explain_end(commit.connection, {row.id: verdict.detail for row, verdict in settled if verdict.detail})
    enrollments.wake_ids(commit.connection, [row.enrollment_id for row, _ in settled], now)
    commit.told.settled += len(settled)


def _ends(settled: Sequence[tuple[Any, Settle]], tried: Mapping[int, Tried], now: datetime) -> list[Happening]:
    """What may not leave any more."""
    rows = []
    for row, verdict in settled:
        attempts, may_be_out = tried[row.id]
        kind, sentence = doubted(verdict.kind, verdict.sentence, may_be_out)
        rows.append(happening(row, kind, now, verdict.rule, sentence, attempt=attempts))
    return rows


def _hold(
    app: App, commit: Commit, batch: Batch, verdicts: Sequence[Judged], tried: Mapping[int, Tried], now: datetime
) -> None:
    later: dict[Place, list[int]] = {}
    rows: list[Happening] = []
    for row, verdict in verdicts:
        if isinstance(verdict, Reroute):
            later.setdefault(Place(verdict.lane, now), []).append(row.id)
        if isinstance(verdict, Hold):
            later.setdefault(Place(batch.lane, verdict.until), []).append(row.id)
            if verdict.rule is not Rule.paused:
                attempt = tried[row.id].attempts
                rows.append(happening(row, DeliveryKind.held, now, verdict.rule, verdict.sentence, attempt=attempt))
    commit.notes.add(rows)
    for place, ids in later.items():
        leave_later(app, commit.connection, ids, place.lane, place.due_at, batch.urgent)
        if place.lane == batch.lane:
            commit.told.held += len(ids)
        else:
            commit.told.rerouted += len(ids)

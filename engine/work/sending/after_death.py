"""After a death: attempts that had begun are asked again where that is harmless, else they are `unknown`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from engine.app import App
from engine.decide.decision import Rule
from engine.decide.outcome import DeliveryKind
from engine.store import deliveries, enrollments, messages
from engine.work.line import give_back, leave_later
from engine.work.sending.batches import (
    RECOGNISES,
    TWICE,
    Dispatched,
    count,
    doubted,
    happening,
    may_go_twice,
    recognises_repeat,
)

DEATHS = 3  # attempts during which the process died; then a person decides


def after_death(app: App, connection: Connection, now: datetime, workers: Sequence[int] | None = None) -> Dispatched:
    """What these workers (None: all of them) held when they died is free, and what had begun to leave is judged."""
    done = Dispatched()
    held = messages.batches_held_by(connection, workers)
    left = deliveries.sending(connection, [batch.id for batch in held])
    ids = [begun.message_id for begun in left]
    rows = messages.of_ids(connection, ids)
    lanes = {batch.id: batch.lane for batch in held}
    deaths = deliveries.deaths(connection, ids)
    again: dict[tuple[str, bool, int], list[int]] = {}
    told, settled = [], []
    for begun in left:
        row = rows[begun.message_id]
        died = 1 + deaths.get(row.id, 0)
        lane = lanes[row.batch_id]
        kind, sentence = _after_death(app, lane, row, begun, died, now)
        told.append(happening(row, kind, now, Rule.failed, sentence, attempt=begun.attempt))
        if kind is DeliveryKind.repeat:
            again.setdefault((lane, not row.marketing, died), []).append(row.id)
        else:
            settled.append(row.enrollment_id)
        count(done, kind)
    deliveries.append(connection, told)
    for (lane, urgent, died), numbers in again.items():
        leave_later(app, connection, numbers, lane, now, urgent, died)
    begun_in = {row.batch_id for row in rows.values()}
    for batch in held:
        settled += _give_back(app, connection, batch, batch.id in begun_in, now, done)
    enrollments.wake_ids(connection, settled, now)
    return done


def _give_back(app: App, connection: Connection, batch: Any, begun: bool, now: datetime, done: Dispatched) -> list[int]:
    """The rest of it is for whoever takes it. A message that three workers died of before it could begin is given up:
    the ways that wait for it."""
    first = None if begun else _first_of(connection, batch.id)  # where they left one by one, it was this one
    front = first.id if first else None
    stuck = batch.stuck + 1 if front is not None and front == batch.front else 1
    if stuck < DEATHS or first is None:
        give_back(app, connection, batch, deaths=batch.deaths + (not begun), front=front, stuck=stuck)
        return []
    sentence = f"the process died {stuck} times when it was about to leave; a person decides"
    tried = messages.recallable(connection, [first.id])[first.id]
    dead = happening(first, DeliveryKind.dead, now, Rule.failed, sentence, attempt=tried.attempts)
    deliveries.append(connection, [dead])
    done.settled += 1
    give_back(app, connection, batch, deaths=batch.deaths, front=None, stuck=0)
    return [first.enrollment_id]


def _first_of(connection: Connection, batch_id: int) -> Any | None:
    """The message of a batch that would leave first."""
    rows = messages.in_batch(connection, batch_id)
    waiting = messages.recallable(connection, [row.id for row in rows])
    return next((row for row in rows if row.id in waiting), None)


def free_strays(app: App, connection: Connection, strays: Collection[str], now: datetime) -> None:
    """Let go of batches that nobody works on: the database failed us. All that was handed over has its outcome
    written by now, so what has none never left."""
    held = [one for one in messages.batches_held_by(connection, [app.worker_id]) if one.token in strays]
    begun = deliveries.sending(connection, [batch.id for batch in held])
    ids = [one.message_id for one in begun]
    rows, doubtful = messages.of_ids(connection, ids), deliveries.may_be_out(connection, ids)
    told = []
    for one in begun:
        sentence = "the database did not answer, and it was not handed over"
        kind, sentence = doubted(DeliveryKind.retry, sentence, one.message_id in doubtful)
        told.append(happening(rows[one.message_id], kind, now, Rule.failed, sentence, one.attempt, token=one.token))
    deliveries.append(connection, told)
    for batch in held:
        give_back(app, connection, batch)


def _after_death(app: App, lane: str, row: Any, begun: Any, deaths: int, now: datetime) -> tuple[DeliveryKind, str]:
    repeats = recognises_repeat(app, lane, begun.provider, now - begun.at)
    twice = not repeats and may_go_twice(app, row)
    if not repeats and not twice:
        return DeliveryKind.unknown, "the process died after it began to leave and before an answer was kept"
    if deaths >= DEATHS:
        return DeliveryKind.dead, f"the process died {deaths} times while it was leaving; a person decides"
    why = TWICE if twice else f"{begun.provider} {RECOGNISES}"
    return DeliveryKind.repeat, f"the process died while it was leaving; {why}"

"""What a person says about ways that were set aside: go on, or end here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from engine.app import App
from engine.decide.decision import CloseTask, Rule
from engine.decide.outcome import DeliveryKind
from engine.errors import Refused
from engine.store import customers, deliveries, enrollments, messages, work
from engine.store.deliveries import Happening
from engine.store.enrollments import GIVE_UP_AFTER
from engine.store.held import HELD
from engine.store.tables import Row
from engine.work.sending.batches import doubted


@dataclass(frozen=True)
class Answered:
    """What became of a person's word about one way."""

    id: int
    done: bool
    sentence: str


def retry(app: App, numbers: Sequence[int], by: str, reason: str = "") -> list[Answered]:
    """Take them up again, each alone. One that fails once more is set aside again."""

    def go_on(connection: Connection, way: Any, now: datetime) -> str:
        enrollments.bring_back(connection, way.id, now)
        return f"{by} brings it back" + (f": {reason}" if reason else "")

    return _answer(app, numbers, Rule.moved, go_on)


def drop(app: App, numbers: Sequence[int], by: str, reason: str) -> list[Answered]:
    """End them where they stand: what has not begun to leave is taken back, open tasks are cancelled."""

    def end(connection: Connection, way: Any, now: datetime) -> str:
        told = f"{by} ends it: {reason}"
        _take_back(connection, way, told, now)
        work.close_tasks(connection, [CloseTask(n, "cancelled", now) for n in work.open_tasks_of(connection, way.id)])
        enrollments.end(connection, way.id, "dropped", now)
        return told

    return _answer(app, numbers, Rule.ended, end)


def _take_back(connection: Connection, way: Any, told: str, now: datetime) -> None:
    numbers = messages.queued_of(connection, way.id)
    happened = []
    for number, tried in messages.recallable(connection, numbers).items():
        kind, reason = doubted(DeliveryKind.cancelled, told, tried.may_be_out)
        rule = Rule.ended.value
        happened.append(Happening(number, way.customer_id, kind, now, tried.attempts, rule=rule, reason=reason))
    deliveries.append(connection, happened)


def _answer(
    app: App, numbers: Sequence[int], rule: Rule, act: Callable[[Connection, Any, datetime], str]
) -> list[Answered]:
    """Act on each of these ways, in one transaction, and keep in its story who did and why."""
    now = app.clock.now()
    numbers = list(dict.fromkeys(numbers))
    with app.database.writing() as connection:
        ways = {number: enrollments.row_of(connection, number) for number in numbers}
        missing = [str(number) for number, way in ways.items() if way is None]
        if missing:
            told = f"there is no way {', '.join(missing)} through a journey; nothing was changed"
            raise Refused(f"{told}; see: outreach set-aside list")
        return [_one(connection, ways[number], rule, act, now) for number in numbers]


def _one(
    connection: Connection, way: Any, rule: Rule, act: Callable[[Connection, Any, datetime], str], now: datetime
) -> Answered:
    if not way.active or way.failures < GIVE_UP_AFTER:
        return Answered(way.id, False, "it is not set aside")
    if way.failures >= HELD:
        return Answered(way.id, False, "it is held since a restore; see: outreach held list")
    sentence = act(connection, way, now)
    line: Row = {
        "customer_id": way.customer_id,
        "enrollment_id": way.id,
        "journey": way.journey,
        "version_id": None,
        "step": way.step,
        "at": now,
        "rule": rule.value,
        "sentence": f"{sentence} (it was set aside: {way.reason})",
        "detail": {},
        "file": None,
        "line": None,
    }
    work.add_traces(connection, [line])
    customers.raise_revision(connection, [way.customer_id])
    return Answered(way.id, True, sentence)

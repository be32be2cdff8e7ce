"""Work for humans: take it, tell its outcome, hand it on when nobody takes it in time."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from engine.app import App
from engine.decide.decision import Rule, Trace
from engine.decide.door import Hold, Leave, Settle, Verdict, at_the_door
from engine.decide.outcome import DeliveryKind, MessageState
from engine.decide.state import Said
from engine.decide.tasks import call_outcome
from engine.errors import Refused
from engine.journey.parts import CALL
from engine.store import customers, deliveries, enrollments, journeys, messages, work
from engine.store.tables import Row
from engine.work.colleagues import errands
from engine.work.gather import gather
from engine.work.story import trace_row


class NotNow(Refused):
    """A call that may be made later."""

    def __init__(self, sentence: str, until: datetime) -> None:
        super().__init__(sentence)
        self.until = until


def take(app: App, number: int, who: str) -> None:
    """`who` does this task. `Refused` when there is no such open task or another has it.

    Before a call it is asked once more whether the person may be called up: `NotNow` when they may later. When they
    may not any more, it is called off.
    """
    now = app.clock.now()
    with app.database.writing() as connection:
        task = _open(work.task_by_id(connection, number), number)
        if task.assignee and task.assignee != who:
            raise Refused(f"task {number} is in the hands of {task.assignee}")
        called = task.call and task.taken_at is None
        refused = _begin_call(app, connection, task, who, now) if called else None
        if refused is None:
            work.change_task(connection, number, assignee=who, taken_at=now, escalate_at=None)
    if refused is not None:
        raise refused


def _begin_call(app: App, connection: Connection, task: Any, who: str, now: datetime) -> Refused | None:
    """From here on it counts as made. Why it must not be, if so; then that is written instead."""
    if now >= task.due_at:
        return Refused(f"task {task.id} is overdue")
    verdict, said = may_call(app, connection, task, now)
    match verdict:
        case Hold():
            return NotNow(f"task {task.id} is a call, and {verdict.sentence}", verdict.until)
        case Settle():
            rule, sentence = verdict.rule.value, verdict.sentence
            ended = deliveries.Happening(said.id, task.customer_id, verdict.kind, now, rule=rule, reason=sentence)
            deliveries.append(connection, [ended])
            messages.explain_end(connection, {said.id: verdict.detail} if verdict.detail else {})
            outcome = call_outcome(verdict.rule)
            work.change_task(connection, task.id, outcome=outcome, closed_at=now)
            enrollments.wake_ids(connection, [task.enrollment_id], now)
            customers.raise_revision(connection, [task.customer_id])
            return Refused(f"task {task.id} is called off: {verdict.sentence}")
        case Leave():
            kinds = (DeliveryKind.begun, DeliveryKind.accepted)
            called = [deliveries.Happening(said.id, task.customer_id, kind, now, 1, provider=who) for kind in kinds]
            deliveries.append(connection, called)
            customers.raise_revision(connection, [task.customer_id])
            return None


def may_call(app: App, connection: Connection, task: Any, now: datetime) -> tuple[Verdict, Said]:
    """May the person of this call be called up now? And the message that stands for the call."""
    rules = app.rules(connection)
    rules = replace(rules, paused=rules.paused | journeys.paused(connection))
    (state,) = gather(app, connection, [task.customer_id], rules, app.needs(rules), now).states
    at_step = task.enrollment_id, task.step, task.visit
    said = next(one for one in state.said if (one.enrollment_id, one.step, one.visit) == at_step and not one.theirs)
    if said.state is MessageState.cancelled:
        sentence = "something more important has taken its place"
        return Settle(DeliveryKind.cancelled, Rule.displaced, sentence), said
    if not state.person.address(CALL):
        return Settle(DeliveryKind.suppressed, Rule.unreachable, "no telephone number"), said
    return at_the_door(said, state, rules, now), said


def done(app: App, number: int, outcome: str, who: str, note: str = "") -> bool:
    """Tell the outcome. The first one moves the journey on; a later one is kept and moves nothing (False)."""
    now = app.clock.now()
    with app.database.writing() as connection:
        task = work.task_by_id(connection, number)
        if task is None:
            raise Refused(f"there is no task {number}")
        names = task.outcomes["names"]
        if outcome not in names:
            raise Refused(f"{outcome!r} is no outcome of task {number}; its outcomes are {', '.join(names)}")
        if task.call and task.taken_at is None and task.closed_at is None:
            told = "so that it is asked once more whether they may be called up"
            raise Refused(f"task {number} is a call; take it first, {told}: outreach tasks take {number}")
        if task.closed_at is not None:
            later = [
                *task.later.get("outcomes", []),
                {"outcome": outcome, "by": who, "at": now.isoformat(), "note": note},
            ]
            work.change_task(connection, number, later={"outcomes": later})
            return False
        work.change_task(connection, number, outcome=outcome, closed_at=now, closed_by=who, note=note)
        enrollments.wake_ids(connection, [task.enrollment_id], now)
        customers.raise_revision(connection, [task.customer_id])
    return True


def escalate(app: App, now: datetime) -> int:
    """Hand on what nobody took in time; how many."""
    with app.database.writing() as connection:
        due = work.due_escalations(connection, now)
        for one in due:
            handed = {"queue": one.escalate_to, "handed_on_from": one.queue}
            work.change_task(connection, one.id, **handed, assignee=None, escalate_at=None)
        errands.note(app, connection, [(one.id, one.escalate_to) for one in due], now)
        work.add_traces(connection, [_handed_on(one, now) for one in due])
    return len(due)


def _handed_on(task: Any, now: datetime) -> Row:
    """The line in the story of the person it is about."""
    of = f" of {task.assignee}" if task.assignee else ""
    told = f"{task.brief}{of} was not taken in time: handed on from {task.queue} to {task.escalate_to}"
    detail = {"task": task.id, "from": task.queue, "to": task.escalate_to}
    line = Trace(task.enrollment_id, task.journey, task.step, Rule.task, told, detail)
    return trace_row(task.customer_id, line, now)


def _open(task: Any, number: int) -> Any:
    if task is None:
        raise Refused(f"there is no task {number}")
    if task.closed_at is not None:
        raise Refused(f"task {number} is closed: {task.outcome}")
    return task

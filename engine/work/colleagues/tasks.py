"""Work for humans: take it, tell its outcome, hand it on when nobody takes it in time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from engine.app import App
from engine.decide.decision import Rule, Trace
from engine.errors import Refused
from engine.store import customers, enrollments, work
from engine.store.tables import Row
from engine.work.story import trace_row


def take(app: App, number: int, who: str) -> None:
    """`who` does this task. `Refused` when there is no such open task or another has it."""
    with app.database.writing() as connection:
        task = _open(work.task_by_id(connection, number), number)
        if task.assignee and task.assignee != who:
            raise Refused(f"task {number} is in the hands of {task.assignee}")
        work.change_task(connection, number, assignee=who, taken_at=app.clock.now(), escalate_at=None)


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

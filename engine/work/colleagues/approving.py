"""What waits for somebody's word in the middle of a plan, and the word itself. Waves are asked for in `waves`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.app import App
from engine.store import customers, enrollments, work
from engine.store.tables import in_parts

PAGE = 500


def answer(app: App, questions: Sequence[Any], outcome: str, by: str) -> int:
    """Give these questions one answer and let their people go on; how many had not been answered already.

    A page is one transaction: a process that dies leaves whole pages behind, and the same command answers the rest.
    """
    answered = 0
    for part in in_parts([one.id for one in questions], PAGE):
        now = app.clock.now()
        with app.database.writing() as connection:
            rows = work.answer(connection, part, outcome, by, now)
            enrollments.wake_ids(connection, [row.enrollment_id for row in rows], now)
            customers.raise_revision(connection, [row.customer_id for row in rows])
        answered += len(rows)
    return answered

"""`decide`: one whole customer and an instant in, everything that follows out. No clock, no file, no row, no die.

The same function explains, previews, simulates and sends. Ways are walked one by one until each needs to speak; then
the one with the highest priority, the soonest deadline, the earliest entry is judged first, and what it is given counts
for those after it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from datetime import datetime

from engine.decide.decision import Decision
from engine.decide.draft import Draft
from engine.decide.state import CustomerState, Enrolled, Rules
from engine.decide.walk import Turn, walk


def decide(state: CustomerState, rules: Rules, now: datetime) -> Decision:
    """Everything that follows for one customer at `now`.

    All active enrollments are looked at: those that are not due and have learned nothing stay as they are, and so do
    those set aside.
    """
    draft = Draft(state, rules, now)
    turns: list[tuple[Turn, Iterator[Turn]]] = []
    for way in sorted((one for one in state.enrollments if one.active and not one.aside), key=_oldest_first):
        _resume(walk(way, draft), turns)
    while turns:
        _, walking = heapq.heappop(turns)
        _resume(walking, turns)
    draft.wake_displaced()
    draft.settle_stopped()
    return draft.decision()


def _resume(walking: Iterator[Turn], turns: list[tuple[Turn, Iterator[Turn]]]) -> None:
    """Let a way walk to its next touch, and put it in line there."""
    turn = next(walking, None)
    if turn is not None:
        heapq.heappush(turns, (turn, walking))


def _oldest_first(way: Enrolled) -> tuple[datetime, int]:
    return way.entered_at, way.id

"""What workers are handed: chunks of people who are due, pages of runs, and whatever was forgotten.

Any worker may hand out, and several may try at once: what it writes it looks at again in the transaction that writes
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from engine.app import App
from engine.decide.state import Rules
from engine.share import Kind, Unit
from engine.store import chunks, workers
from engine.work import cluster, in_hand
from engine.work.advance import CHUNK, next_due
from engine.work.entering.pages import cut_page
from engine.work.entering.waves import ready
from engine.work.in_hand import Part
from engine.work.presence import LEASE
from engine.work.tick import crowded

AHEAD = 2  # chunks for each worker that are made before they are asked for


def hand_out(app: App, rules: Rules, now: datetime) -> int:
    """Make chunks of those who are due, a few for each worker; how many."""
    with app.database.reading() as connection:
        wanted = AHEAD * (len(workers.living(connection, now - LEASE)) + 1) - chunks.count(connection)
        urgent = next_due(connection, rules, now, CHUNK * AHEAD, urgent=True)
    made = sum(_chunk(app, Part(people), now, urgent=True) for people in _cut(urgent))
    if crowded(app, now):
        return made
    while made < wanted and (more := _another(app, rules, now)):
        made += more
    return made


def _another(app: App, rules: Rules, now: datetime) -> int:
    """One more chunk: of a run that lets people in, else of those who are due, else of those that failed before."""
    with app.database.reading() as connection:
        runs = ready(connection, rules, now)
        due = [] if runs else next_due(connection, rules, now, CHUNK)
        failed = in_hand.next_failed(connection, now) if not runs and not due else None
    if runs:
        return cut_page(app, rules, now, runs) is not None
    part = Part(due) if due else failed
    return _chunk(app, part, now) if part is not None else 0


def _cut(people: Sequence[int]) -> list[Sequence[int]]:
    return [people[start : start + CHUNK] for start in range(0, len(people), CHUNK)]


def _chunk(app: App, part: Part, now: datetime, urgent: bool = False) -> int:
    """1 when it was made; nobody is in two hands."""
    with app.database.writing(beside=True) as connection:
        held = chunks.people(connection)
        people = [number for number in part.people if number not in held]
        if not people:
            return 0
        number = chunks.add(connection, now, people, failures=part.failures, way=part.way, urgent=urgent)
        app.share.defer(connection, [Unit(Kind.chunk, number, urgent=urgent)])
    return 1


def tell_again(app: App, now: datetime) -> int:
    """Tell of units that are due and of which nobody is told; how many."""
    with app.database.reading() as connection:
        lost = bool(cluster.forgotten(app, connection, now))
    if not lost:
        return 0
    with app.database.writing() as connection:
        units = cluster.forgotten(app, connection, now)
        app.share.cancel(connection, units)
        app.share.defer(connection, units)
    return len(units)

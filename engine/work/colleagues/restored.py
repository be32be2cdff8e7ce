"""After a database was brought back from a copy: what may have been done since is held, until a person decides.

The database knows nothing of what was decided after the copy was made. So every message that had not ended becomes
`unknown`: it may have left. Ways that were due since, or whose message is in doubt, stand still; so do waves of that
time, whoever would enter by something that happened then, and whoever waits for such a thing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from engine.app import App
from engine.decide.decision import CloseTask, Rule
from engine.decide.outcome import ON_THE_WAY, DeliveryKind
from engine.store import customers, deliveries, enrollments, fence, held, messages, waves, work
from engine.store.hold import held as alone
from engine.store.tables import Row
from engine.store.whole import MOVED
from engine.work.beginning import fence_of
from engine.work.sending.batches import happening

PAGE = 2_000  # ways or messages written at once
TOGETHER = 500  # ways a person speaks about, in one transaction
MAY_HAVE_LEFT = "the database was brought back from a copy; it may have left after the copy was made"


@dataclass(frozen=True)
class Held:
    """What a restore left in doubt."""

    since: datetime | None  # the last sign of life in the copy
    messages: int
    ways: int
    runs: int


def in_doubt(app: App, now: datetime) -> Held:
    """What would be held, and nothing is yet."""
    with app.database.reading() as connection:
        since = held.last_sign(connection)
        unended = [row.enrollment_id for rows in _pages(connection, _messages) for row, _ in _unended(connection, rows)]
        due = {
            row.id
            for rows in _pages(connection, lambda c, after: held.page_of_due(c, now, after, PAGE))
            for row in rows
        }
        for start in range(0, len(unended), PAGE):
            due |= {row.id for row in held.rows_of(connection, unended[start : start + PAGE])}
        runs = [one for one in waves.open_runs(connection) if one.planned_at <= now]
        return Held(since, len(unended), len(due), len(runs))


def hold_after_restore(app: App, name: str, by: str) -> Held:
    """Hold it all, in one transaction. `Busy` while somebody runs this database."""
    now = app.clock.now()
    found = fence.read(fence_of(app))
    with alone(app.database, name, now):
        with app.database.writing() as connection:
            since = held.last_sign(connection)
            told, doubtful = _hold_messages(connection, now)
            ways = 0
            for rows in _pages(connection, lambda c, after: held.page_of_due(c, now, after, PAGE)):
                ways += _hold(connection, rows, by, now)
            for start in range(0, len(doubtful), PAGE):
                ways += _hold(connection, held.rows_of(connection, doubtful[start : start + PAGE]), by, now)
            runs = held.hold_runs(connection, now)
            held.hold_to(connection, now)
            held.forget(connection, MOVED)
            fence.begin_lineage(connection, found)
        found.open()
        found.close()
    return Held(since, told, ways, runs)


def _pages(connection: Connection, read: Callable[[Connection, int], list[Any]]) -> Any:
    after = 0
    while rows := read(connection, after):
        yield rows
        after = rows[-1].id


def _messages(connection: Connection, after: int) -> list[Any]:
    return held.page_on_its_way(connection, after, PAGE)


def _unended(connection: Connection, rows: Sequence[Any]) -> list[tuple[Any, int]]:
    """Those of these messages that wait to leave or were leaving, and their last attempt."""
    folded = deliveries.fold(connection, [row.id for row in rows])
    states = {row.id: messages.state_today(row, folded[row.id].kind if row.id in folded else None) for row in rows}
    on_the_way = (row for row in rows if states[row.id] in ON_THE_WAY)
    return [(row, folded[row.id].attempt if row.id in folded else 0) for row in on_the_way]


def _hold_messages(connection: Connection, now: datetime) -> tuple[int, list[int]]:
    """Every message that had not ended is unknown from now on. How many; whose ways they are of."""
    count, doubtful = 0, []
    for rows in _pages(connection, _messages):
        unended = _unended(connection, rows)
        told = [
            happening(row, DeliveryKind.unknown, now, Rule.failed, MAY_HAVE_LEFT, attempt=attempt)
            for row, attempt in unended
        ]
        deliveries.append(connection, told)
        customers.raise_revision(connection, [row.customer_id for row, _ in unended])
        doubtful += [row.enrollment_id for row, _ in unended]
        count += len(told)
    return count, list(dict.fromkeys(doubtful))


def _hold(connection: Connection, rows: Sequence[Any], by: str, now: datetime) -> int:
    held.hold_ways(connection, [row.id for row in rows])
    told = f"held since {by} brought the database back from a copy: what was due may have been done"
    work.add_traces(connection, [_line(row, Rule.waits, told, now) for row in rows])
    customers.raise_revision(connection, [row.customer_id for row in rows])
    return len(rows)


def _line(way: Any, rule: Rule, sentence: str, now: datetime) -> Row:
    return {
        "customer_id": way.customer_id,
        "enrollment_id": way.id,
        "journey": way.journey,
        "version_id": None,
        "step": way.step,
        "at": now,
        "rule": rule.value,
        "sentence": sentence,
        "detail": {},
        "file": None,
        "line": None,
    }


# --- what a person says about it -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Which:
    """A choice among what is held: ways by number, or all of a journey, or all."""

    journey: str | None = None
    numbers: Sequence[int] | None = None


@dataclass(frozen=True)
class Decided:
    """What a person's word was about."""

    ways: int
    waves: int


def release(app: App, which: Which, by: str, reason: str) -> Decided:
    """They go on from where they stood in the copy, by all the rules: what is too late by now is not sent."""
    told = f"{by} lets it go on" + (f": {reason}" if reason else "")

    def go_on(connection: Connection, rows: Sequence[Any], now: datetime) -> None:
        held.release_ways(connection, [row.id for row in rows])
        work.add_traces(connection, [_line(row, Rule.moved, told, now) for row in rows])

    def let_in(connection: Connection, run: Any) -> Row:
        asked = [one for one in waves.approvals(connection, run.journey, open_only=True) if one.planned == run.planned]
        return {"state": "waiting" if asked else "entering", "reason": ""}

    return _decide(app, which, go_on, let_in)


def drop(app: App, which: Which, by: str, reason: str) -> Decided:
    """They end where they stand: what was due counts as done."""
    told = f"{by} ends it: {reason}"

    def end(connection: Connection, rows: Sequence[Any], now: datetime) -> None:
        for row in rows:
            closed = [CloseTask(n, "cancelled", now) for n in work.open_tasks_of(connection, row.id)]
            work.close_tasks(connection, closed)
            enrollments.end(connection, row.id, "dropped", now)
        work.add_traces(connection, [_line(row, Rule.ended, told, now) for row in rows])

    return _decide(app, which, end, lambda *_: {"state": "refused", "reason": told})


def _decide(
    app: App,
    which: Which,
    act: Callable[[Connection, Sequence[Any], datetime], None],
    waves_: Callable[[Connection, Any], Row],
) -> Decided:
    """About the ways a part at a time, each in a transaction of its own: whoever is cut short types it again."""
    now, after, ways = app.clock.now(), 0, 0
    while True:
        with app.database.writing() as connection:
            rows = held.ways(connection, which.journey, which.numbers, after, TOGETHER)
            if not rows:
                break
            act(connection, rows, now)
            customers.raise_revision(connection, [row.customer_id for row in rows])
        after, ways = rows[-1].id, ways + len(rows)
    done = 0
    if which.numbers is None:
        with app.database.writing() as connection:
            for run in held.runs(connection, which.journey):
                waves.change_run(connection, run.id, **waves_(connection, run))
                done += 1
    return Decided(ways, done)

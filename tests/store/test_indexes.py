"""What every beat asks of the whole installation is looked up in an index: its price does not grow with the past."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event
from sqlmodel import SQLModel

from engine.audience.segments import Edges
from engine.store import customers, enrollments, journeys, messages, open_ends, reports, waves, work
from engine.store.database import Database
from engine.store.open_ends import Which
from engine.store.segments import Stirred

NOW = datetime(2026, 11, 24, tzinfo=UTC)
Question = Callable[[Connection], Any]
EVENTS = frozenset({"Page Viewed", "Order Completed"})
STIRRED = Stirred(Edges(EVENTS, (timedelta(0), timedelta(days=30)), elsewhere=False, nightly=False))


@pytest.mark.parametrize(
    ("question", "index"),
    [
        pytest.param(lambda c: enrollments.due_customers(c, NOW, 500), "enrollment_due", id="who is due"),
        pytest.param(enrollments.next_due, "enrollment_due", id="when the next one is due"),
        pytest.param(journeys.inhabited, "enrollment_inhabited", id="which versions someone is inside of"),
        pytest.param(lambda c: messages.due_batches(c, NOW), "batch_due", id="which batches may leave"),
        pytest.param(messages.next_batch_due, "batch_due", id="when the next batch may leave"),
        pytest.param(lambda c: open_ends.unknown(c, Which()), "delivery_for_people", id="what nobody knows of"),
        pytest.param(lambda c: open_ends.dead(c, Which()), "message_born_dead", id="what could not be written"),
        pytest.param(lambda c: STIRRED.ask(c, 7, NOW, NOW), "ix_event_at", id="for whom time ran over an edge"),
        pytest.param(lambda c: STIRRED.ask(c, 7, NOW, NOW), "ix_customer_changed", id="of whom something was told"),
        pytest.param(lambda c: STIRRED.ask(c, 7, NOW, NOW), "ix_customer_created_at", id="who is known so long now"),
        pytest.param(customers.zones, "customer_by_zone", id="in which zones people live"),
        pytest.param(lambda c: waves.last_planned(c, "a"), "run_by_zone", id="when a wave was planned last"),
        pytest.param(work.next_escalation, "task_open", id="when the next task goes up"),
        pytest.param(lambda c: messages.waiting(c, "a"), "ix_message_batch_id", id="what can be taken back"),
        pytest.param(lambda c: messages.in_flight(c, ["a"]), "ix_message_batch_id", id="what is on its way"),
        pytest.param(lambda c: reports.message_counts(c, "a"), "enrollment_by_journey", id="what one journey sent"),
        pytest.param(lambda c: work.free_codes(c, "pool", 5), "voucher_free", id="which codes are free"),
    ],
)
def test_what_every_beat_asks_is_found_by_its_index(tmp_path: Path, question: Question, index: str) -> None:
    database = Database(f"sqlite:///{tmp_path}/outreach.db")
    database.create()
    asked: list[tuple[str, Any]] = []
    event.listen(database.engine, "before_cursor_execute", lambda *told: asked.append((told[2], told[3])))

    with database.reading() as connection:
        question(connection)
        statement, values = asked[-1]
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
    database.close()

    assert index in " ".join(plan)
    tables = ("enrollment", "batch", "event", "customer", "message", "delivery", "task", "run")
    scans = tuple(f"SCAN {table}" for table in tables)
    assert not [line for line in plan if line.startswith(scans) and index not in line and "batch_due" not in line]


def test_on_sqlite_a_number_names_its_row_without_an_index_of_its_own(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/outreach.db")
    database.create()
    numbered = [
        name for name, table in SQLModel.metadata.tables.items() if [*table.primary_key.columns.keys()] == ["id"]
    ]

    with database.reading() as connection:
        kept = [
            name
            for name in (*numbered, "body")
            for index in connection.exec_driver_sql(f"PRAGMA index_list({name})").mappings()
            if index["origin"] == "pk"
        ]
    database.close()

    assert len(numbered) > 10
    assert kept == []

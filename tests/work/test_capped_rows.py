"""A message that a cap holds back has a row that names the messages which fill it, also those of the same beat."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from shops import NOW, add_people, happen, opened, publish_all, shipped
from sqlalchemy import select

from engine.clock import ManualClock
from engine.store.tables import message
from engine.work.tick import tick


def test_C4_the_row_names_a_message_that_was_decided_a_moment_before(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    app = opened(shipped(tmp_path), clock)
    add_people(app, [{"external_id": "anna", "zone": "Europe/Berlin"}])
    publish_all(app)
    for number in ("1", "2", "3"):  # the caps that ship: two a day, two hours between them
        happen(app, f"order-{number}", "anna", "Order Completed", {"order_id": number, "total": 50, "currency": "CNY"})

    for hours in (0, 6, 8):
        clock.move_to(NOW + timedelta(hours=hours))
        tick(app)
    with app.database.reading() as connection:
        rows = list(connection.execute(select(message).order_by(message.c.id)))
    app.close()
    capped = [row for row in rows if row.rule == "capped"]

    assert [row.detail["cap"] for row in capped] == ["2 per day"]
    assert capped[0].detail["filled_by"] == [row.id for row in rows if row.state == "queued"]
    assert len(capped[0].detail["filled_by"]) == 2

"""Crossings of a segment: one question, built once, that moves with time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import shops

from engine.app import App
from engine.audience.conditions import as_sql
from engine.journey.conditions import Field, FieldKind, Test, Word
from engine.simulate.shop import make_shop
from engine.store.segments import Crossers
from engine.work.incoming.importing import import_events, import_people
from engine.work.publishing.drafts import load_drafts

START = datetime(2026, 11, 1, tzinfo=UTC)
INSIDE = {name: Test(Field(FieldKind.segment, "segment"), Word.is_, name) for name in ("vip_at_risk", "silent")}
EVERYONE = range(1, 151)


def crossers(app: App, segment: str, start: datetime) -> Crossers:
    audience = load_drafts(app).audience
    return Crossers(app.database.engine.dialect, segment, lambda at: as_sql(INSIDE[segment], audience, at), start)


@pytest.mark.parametrize("segment", sorted(INSIDE))
def test_the_question_that_moves_with_time_is_the_question_built_at_each_instant(tmp_path: Path, segment: str) -> None:
    app = shops.opened(shops.shipped(tmp_path), clock=shops.ManualClock(START + timedelta(days=40)))
    shop = make_shop(tmp_path / "data", people=150, seed=3, end=START + timedelta(days=30))
    import_people(app, shop.people)
    import_events(app, shop.events)
    found = set()
    with app.database.reading() as connection:
        moving = crossers(app, segment, START)
        for hours in (0, 1, 7, 24, 24 * 9, 24 * 17 + 5, 24 * 29):
            now = START + timedelta(hours=hours, microseconds=hours)
            crossed = moving.ask(connection, EVERYONE, now)
            assert crossed == crossers(app, segment, now).ask(connection, EVERYONE, now)
            found.add(len(crossed))
    assert len(found) > 1  # the answer does move
    app.close()

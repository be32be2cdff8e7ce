"""A rollback while a wave is under way: who enters from then on follows the older version, or nobody does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import shops
from stubs import World

from engine.work.publishing.rollback import plan_rollback, roll_back

NOON = datetime(2026, 11, 24, 11, 0, tzinfo=UTC)  # 12:00 in Berlin
DAY = timedelta(days=1)
WAVE = """
topic: orders
enter: {every: week, on: tue, at: "12:00", zone: person, segment: everyone}
again: always
rollout: [30%, 100%]
steps: [{wait: 30d}, {send: note, via: [email]}]
"""
WORSE = WAVE.replace("wait: 30d", "wait: 31d")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A wave of which a worse version has let its first stage in."""
    made = World(tmp_path / "shop", {"wave": WAVE})
    made.people(40)
    publish(made, WORSE)
    made.tick_at(NOON)
    yield made
    made.close()


def publish(world: World, text: str) -> None:
    (world.app.journeys_folder / "wave.yaml").write_text(text)
    shops.publish_all(world.app)


def inside(world: World) -> dict[int, int]:
    """Version -> people."""
    rows = world.rows(
        "SELECT v.number, count(*) AS people FROM enrollment e JOIN journey_version v ON v.id = e.version_id "
        "GROUP BY v.number"
    )
    return {row.number: row.people for row in rows}


def test_the_next_stage_of_a_wave_under_way_enters_the_older_version(world: World) -> None:
    first = inside(world)[2]
    plan = plan_rollback(world.app, "wave")
    assert (plan.number, plan.live, plan.inside, plan.waves_on, plan.waves_ended) == (1, 2, first, 1, 0)

    roll_back(world.app, plan, "mei")
    world.tick_at(NOON + DAY)

    assert inside(world) == {2: first, 1: 40 - first}
    assert {row.version_id for row in world.rows("SELECT version_id FROM run")} == {
        row.id for row in world.rows("SELECT id FROM journey_version WHERE journey = 'wave' AND number = 1")
    }


def test_a_wave_under_way_ends_when_the_older_version_asks_other_people_in(world: World) -> None:
    publish(world, WORSE.replace("[30%, 100%]", "[50%, 100%]"))
    first = inside(world)[2]
    world.tick_at(NOON + 7 * DAY)  # the wave of the third version has let its first stage in
    plan = plan_rollback(world.app, "wave", 1)
    assert (plan.waves_on, plan.waves_ended) == (0, 1)

    roll_back(world.app, plan, "mei")
    before = inside(world)
    world.tick_at(NOON + 8 * DAY)

    assert inside(world) == before
    (run,) = world.rows("SELECT state, reason FROM run WHERE state != 'done'")
    assert (run.state, run.reason) == ("refused", "mei rolled back to version 1, which is entered in another way")
    assert first == before[2]

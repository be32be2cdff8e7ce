"""The file that remembers the last attempt outside the database: what it notices, and what is no restore."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import shops
from servers import Fresh
from servers import postgres as postgres
from sqlalchemy import text
from stubs import JOURNEY, World

from engine.daemon import alone
from engine.errors import Unfit
from engine.store import fence, held
from engine.store.fence import read
from engine.work.beginning import fence_of
from engine.work.colleagues.restored import Which, drop, hold_after_restore, in_doubt, release

NOTE = JOURNEY.replace("topic: news", "topic: orders")


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    fresh: Fresh | None = None
    if request.param == "postgresql":
        fresh = request.getfixturevalue("postgres")
    made = World(tmp_path / "shop", {"note": NOTE}, **({"database": fresh(tables=True)} if fresh else {}))
    yield made
    made.close()


def runs(world: World) -> None:
    """A daemon for one beat."""
    with alone(world.app):
        world.tick()


def forget_the_attempts(world: World) -> None:
    """As if the database were an older copy."""
    with world.app.database.writing() as connection:
        connection.execute(text("DELETE FROM delivery"))


def test_an_attempt_that_the_database_does_not_know_is_noticed(world: World) -> None:
    world.order(*world.people(2))
    runs(world)
    runs(world)
    forget_the_attempts(world)
    with pytest.raises(Unfit, match=r"is an older copy of itself: message \d+ left at 2026-11-24 09:00:00 UTC"):
        runs(world)


def test_a_file_that_lags_behind_that_is_gone_or_cannot_be_read_hinders_nobody(world: World) -> None:
    path = fence_of(world.app)
    assert path is not None
    world.order(*world.people(1))
    runs(world)
    before = path.read_text()
    world.order(*world.people(1, first=1))
    runs(world)
    for left in (
        before,
        "",
        "{",
        "[]",
        '{"last": 3}',
        '{"last": {"x": [1]}, "ended": []}',
        '{"last": {"x": [1, 1, "soon"]}, "ended": []}',
        None,
    ):
        if left is None:
            path.unlink()
        else:
            path.write_text(left)
        runs(world)
    assert read(path).last


def test_where_no_file_can_be_made_the_daemon_begins_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned: list[str] = []
    monkeypatch.setattr(fence.log, "warning", lambda sentence, *told: warned.append(sentence % told))
    path = fence_of(world.app)
    assert path is not None
    path.mkdir()
    world.order(*world.people(1))
    runs(world)
    assert len(world.email.handed) == 1
    assert any("a restore would not be noticed" in one for one in warned)


def test_another_host_that_saw_more_begins_once_somebody_has_held_what_is_in_doubt(world: World) -> None:
    path = fence_of(world.app)
    assert path is not None
    world.order(*world.people(1))
    runs(world)
    of_another_host = path.read_text()
    forget_the_attempts(world)
    with pytest.raises(Unfit, match="older copy"):
        runs(world)
    hold_after_restore(world.app, "test", "mei")
    path.write_text(of_another_host)
    runs(world)
    assert len(json.loads(path.read_text())["last"]) == 2


def test_a_place_that_holds_one_database_after_the_other_takes_neither_for_an_older_one(
    world: World, tmp_path: Path
) -> None:
    path = fence_of(world.app)
    assert path is not None
    other = World(tmp_path / "other", {"note": NOTE})
    for turn in range(2):
        for one in (world, other):
            one.order(*one.people(1, first=turn))
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("engine.work.beginning.fence_of", lambda _: path)
                runs(one)
    other.close()
    assert len(read(path).last) == 2


def test_an_attempt_so_old_that_it_may_have_been_trimmed_is_no_sign(world: World) -> None:
    world.order(*world.people(1))
    runs(world)
    forget_the_attempts(world)
    world.clock.move_to(shops.NOW + fence.TRIMMED + timedelta(days=1))
    runs(world)


def test_S11_a_hold_that_is_killed_holds_nothing_or_all_and_what_it_tells_before_is_what_it_holds(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.order(*world.people(7))
    found = in_doubt(world.app, world.clock.now())
    assert (found.ways, found.messages) == (7, 0)
    with monkeypatch.context() as patch:
        patch.setattr(fence, "begin_lineage", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            hold_after_restore(world.app, "test", "mei")
    assert in_doubt(world.app, world.clock.now()) == found, "it was one transaction, and it did not end"
    assert hold_after_restore(world.app, "test", "mei") == found
    assert in_doubt(world.app, world.clock.now()).ways == 0
    runs(world)
    assert world.email.handed == []


def test_S11_released_people_go_on_by_the_rules_and_dropped_ones_end(world: World) -> None:
    world.order(*world.people(4))
    hold_after_restore(world.app, "test", "mei")
    with world.app.database.reading() as connection:
        ways = [way.id for way in held.ways(connection)]
    assert release(world.app, Which(numbers=ways[:1]), "mei", "looked up").ways == 1
    assert drop(world.app, Which(numbers=ways[1:2]), "mei", "they had it").ways == 1
    world.tick()
    assert len(world.email.handed) == 1
    world.tick(timedelta(days=2))
    assert release(world.app, Which(journey="note"), "mei", "").ways == 2
    world.tick()
    assert len(world.email.handed) == 1, "what is too late by now is not sent"
    reasons = {row.reason for row in world.rows("SELECT reason FROM enrollment WHERE NOT active")}
    assert "dropped" in reasons
    assert release(world.app, Which(), "mei", "").ways == 0

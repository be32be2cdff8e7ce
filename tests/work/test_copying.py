"""A shop that moves to another database: the same in every row, whole or not at all, and it goes on as it would have.

Broken by hand: with rows that are read back but not compared, the test of a value that changes on its way fails; with a
commit after each table, those of the kills fail: the next try finds a target that is neither empty nor this shop.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import shops
from processes import Mother, mother
from sqlalchemy import insert
from stubs import JOURNEY, World

from engine.daemon import alone
from engine.errors import Busy, Refused, Unfit
from engine.store import tables, whole
from engine.store.database import Database
from engine.store.hold import held
from engine.work.copying import Copied, copy_shop
from engine.work.tick import tick

TWO_STEPS = JOURNEY.replace("topic: news", "topic: orders") + "  - wait: 2h\n  - {send: note, id: more, via: [sms]}\n"
ODD: dict[str, Any] = {
    "text": "结账未完成 ✓ \n\t\\. \\N NULL ''\" \u2028" + "长" * 70_000,
    "numbers": [1.0, 1, -0.0, 0.1, 1e22, -1.5e-9, 12345678901234567890, 9007199254740993],
    "none": None,
    "nested": {"z": {"b": [], "a": {}}, "": True},
}
KILLED = -9


@pytest.fixture
def empty(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[str], str]:
    """URLs of empty databases."""
    numbers = iter(range(9))

    def one(kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{tmp_path / f'empty{next(numbers)}.db'}"
        return str(request.getfixturevalue("postgres")())

    return one


@pytest.fixture(scope="module")
def nest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mother]:
    with mother(tmp_path_factory.mktemp("nest")) as made:
        yield made


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A shop in the middle of things: some mails are out, people wait for their second one, one is not decided yet."""
    made = World(tmp_path / "shop", {"note": TWO_STEPS})
    made.order(*made.people(12))
    made.tick(timedelta(minutes=1))
    made.order(*made.people(3, first=12))
    yield made
    made.close()


def move(source: Database, url: str) -> list[Copied]:
    """Copy a shop there; what was told."""
    told: list[Copied] = []
    target = Database(url)
    try:
        copy_shop(source, target, "test", shops.NOW, told.append)
    finally:
        target.close()
    return told


def contents(url: str) -> dict[str, list[tuple[Any, ...]]]:
    database = Database(url)
    try:
        with database.reading() as connection:
            return {t.name: [row for page in whole.pages(connection, t) for row in page] for t in whole.all_tables()}
    finally:
        database.close()


@pytest.mark.parametrize("way", [("sqlite", "postgresql"), ("postgresql", "sqlite"), ("sqlite", "sqlite")])
def test_every_kind_of_value_comes_through(way: tuple[str, str], empty: Callable[[str], str]) -> None:
    first, second = map(empty, way)
    source = Database(first)
    source.create()
    at = datetime(2026, 11, 24, 9, 0, 0, 1, tzinfo=UTC)
    who = {"zone": "Asia/Shanghai", "locale": "zh-CN", "revision": 3, "changed": 2**40, "live": False}
    with source.writing() as connection:
        for number, name in enumerate(["b", "B", "ä", "中", "a b"]):  # the order of text is not that of any language
            row = {"id": number, "external_id": name, "country": None, "created_at": at, **who}
            connection.execute(insert(tables.customer), [{**row, "addresses": {}, "attributes": ODD, "tags": {}}])
            tables.set_fact(connection, name, ODD["text"])
        event = {"customer_id": 1, "name": "x", "at": at, "received_at": at, "body_hash": "", "live": True}
        for number, lineage in enumerate([None, [], [["a", "b"]]]):
            row = {**event, "id": 2**62 + number, "external_id": f"{number}", "payload": ODD, "lineage": lineage}
            connection.execute(insert(tables.event), [row])
        connection.execute(insert(tables.body), [{"message_id": 1, "content": bytes(range(256)), "hash": ""}])
    told = move(source, second)
    source.close()

    assert {one.table for one in told} == {table.name for table in whole.all_tables()}
    assert {one.table: one.rows for one in told if one.rows} == {"customer": 5, "fact": 5, "event": 3, "body": 1}
    assert contents(first) == contents(second)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_copied_shop_goes_on_with_the_same_decisions_and_sends_nothing_twice(
    kind: str, world: World, empty: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_IN_BLOCKS", frozenset())  # ids that are taken in blocks have gaps
    stayed = tmp_path / "stayed"
    with world.app.database.writing():
        shutil.copytree(world.app.home, stayed)
    url = empty(kind)
    move(world.app.database, url)
    ends = []
    for folder, database in ((stayed, None), (world.app.home, url)):
        clock = shops.ManualClock(world.clock.now())
        app = shops.opened(folder, clock, database=database)
        app.providers |= {"email": world.email, "sms": world.sms}
        world.email.handed, world.sms.handed = [], []
        with alone(app):
            for _ in range(4):
                tick(app)
                clock.move_to(clock.now() + timedelta(hours=1))
        handed = [one.key for one in (*world.email.handed, *world.sms.handed)]
        ends.append((handed, contents(str(app.database.url.render_as_string(hide_password=False)))))
        app.close()

    (first, one), (second, two) = ends
    assert len(first) == len(set(first)) == 3 + 15, "three first notes, and everybody's second one"
    assert sorted(first) == sorted(second)
    for name in ("message", "touch", "enrollment", "trace", "counter"):
        assert one[name] == two[name], name


def test_what_reads_otherwise_in_the_target_is_not_kept(
    world: World, empty: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tables.Insert.given

    def bent(self: tables.Insert, rows: Any) -> list[tuple[Any, ...]]:
        found = real(self, rows)
        bodies = any(name == "content" for name, _ in self.columns)
        return [(*row[:-1], "") if bodies and row is found[3] else row for row in found]

    monkeypatch.setattr(tables.Insert, "given", bent)
    for url in (empty("sqlite"), empty("postgresql")):
        with pytest.raises(Unfit, match=r"table body reads otherwise in .*nothing was kept there"):
            move(world.app.database, url)
        assert not any(contents(url).values())
    with alone(world.app):  # and the shop stays where it was
        pass


def test_a_row_that_the_target_does_not_take_is_told_by_its_table(world: World, empty: Callable[[str], str]) -> None:
    with world.app.database.writing() as connection:
        tables.set_fact(connection, "odd", "half \x00 text")
    with pytest.raises(Unfit, match=r"table fact cannot be copied to .* nothing was kept there: .*0x00"):
        move(world.app.database, empty("postgresql"))


def test_a_shop_that_was_copied_away_is_not_run_where_it_was(world: World, empty: Callable[[str], str]) -> None:
    move(world.app.database, empty("sqlite"))
    with pytest.raises(Unfit, match=r"was copied to empty0\.db at .* doctor --after-restore"), alone(world.app):
        pass


def test_neither_database_may_be_run_meanwhile(world: World, empty: Callable[[str], str]) -> None:
    url = empty("postgresql")
    with alone(world.app), pytest.raises(Busy, match="already run by process"):
        move(world.app.database, url)
    target = Database(url)
    target.create()
    runs = Database(url)
    with held(runs, "another", shops.NOW), pytest.raises(Busy, match="already run by another"):
        copy_shop(world.app.database, target, "test", shops.NOW, lambda _: None)
    runs.close()

    def told(_: Copied) -> None:
        for app in (world.app,):
            with pytest.raises(Busy, match="already run by test"), alone(app):
                pass

    copy_shop(world.app.database, target, "test", shops.NOW, told)
    target.close()


def test_a_target_that_holds_anything_is_left_alone(world: World, empty: Callable[[str], str]) -> None:
    url = empty("postgresql")
    target = Database(url)
    target.create()
    with target.writing() as connection:
        tables.set_fact(connection, "mine", "1")
    target.close()
    with pytest.raises(Refused, match=r"is not empty \(there are rows in fact\)"):
        move(world.app.database, url)
    with pytest.raises(Refused, match="in this database already"):
        move(world.app.database, str(world.app.database.url))
    assert [name for name, rows in contents(url).items() if rows] == ["fact"]


COPY = """
import os, signal
from datetime import datetime, UTC
from engine.store import tables, whole
from engine.store.database import Database
from engine.store.hold import held
from engine.work import copying

def deadly(real, at):
    calls = [0]
    def called(*args):
        calls[0] += 1
        if calls[0] == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args)
    return called

if where == "set_fact":
    copying.set_fact = deadly(copying.set_fact, at)
elif where == "given":
    tables.Insert.given = deadly(tables.Insert.given, at)
elif where:
    setattr(whole, where, deadly(getattr(whole, where), at))
source, target = Database(first), Database(second)
fresh = copying.copy_shop(source, target, "test", datetime(2026, 11, 24, tzinfo=UTC), lambda _: None)
tell(f"done, {fresh}")
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_S9_a_copy_killed_at_any_point_is_finished_by_the_same_command(
    kind: str, world: World, empty: Callable[[str], str], nest: Mother
) -> None:
    first, second = str(world.app.database.url), empty(kind)
    deaths = [("fill", 1), ("given", 3), ("given", 9), ("fill", 20), ("sum_of", 1), ("sum_of", 30)]
    for where, at in deaths:
        assert nest.start(COPY, first=first, second=second, where=where, at=at).wait() == KILLED, (where, at)
        with alone(world.app):  # the shop still runs where it was
            pass
    assert nest.start(COPY, first=first, second=second, where="set_fact", at=1).wait() == KILLED

    last = nest.start(COPY, first=first, second=second, where="", at=0)

    assert last.hear() == "done, False", "all of it was there: the last death came after its commit"
    assert last.wait() == 0
    assert contents(first) == contents(second)
    with pytest.raises(Unfit, match="was copied to"), alone(world.app):
        pass


def test_S9_a_copy_whose_shop_went_on_after_the_kill_is_not_taken_for_the_shop(
    world: World, empty: Callable[[str], str], nest: Mother
) -> None:
    first, second = str(world.app.database.url), empty("sqlite")
    assert nest.start(COPY, first=first, second=second, where="set_fact", at=1).wait() == KILLED
    world.tick(timedelta(hours=3))
    with pytest.raises(Refused, match=r"another state of this one: .* nothing was changed"):
        move(world.app.database, second)


def test_a_page_is_all_that_is_held_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "PAGE", 50)
    source = Database(f"sqlite:///{tmp_path / 'many.db'}")
    source.create()
    rows = [{"message_id": n, "content": b"x" * 1000, "hash": ""} for n in range(2_000)]
    with source.writing() as connection:
        connection.execute(insert(tables.body), rows)
    sizes: list[int] = []
    real = whole.fill

    def counting(connection: Any, table: Any, found: Any) -> None:
        def counted() -> Iterator[Any]:
            for page in found:
                sizes.append(len(page))
                yield page

        real(connection, table, counted())

    monkeypatch.setattr(whole, "fill", counting)
    move(source, f"sqlite:///{tmp_path / 'new.db'}")
    source.close()
    assert sizes == [50] * 40

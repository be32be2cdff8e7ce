"""How the database is opened and used: what a commit promises, who waits for whom, and what a full disk does."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import shops
from daemons import Books, Nursery, nursery, set_clock
from processes import Mother
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError
from stubs import CONFIG, World, shop

from engine.store import database as store
from engine.store.database import PAGE_BYTES, Database, wal_is_safe
from engine.store.tables import get_fact, set_fact

Open = Callable[[str], Database]


def pragma(database: Database, name: str) -> Any:
    with database.engine.connect() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar()


@pytest.fixture
def file(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'shop.db'}"


@pytest.fixture
def database(file: str) -> Iterator[Database]:
    made = Database(file)
    made.create()
    yield made
    made.close()


# --- how it is opened ------------------------------------------------------------------------------------------------


def test_sqlite_keeps_a_log_beside_the_file_and_waits_for_the_disk(database: Database) -> None:
    names = ("journal_mode", "synchronous", "page_size", "busy_timeout")

    assert [pragma(database, name) for name in names] == ["wal", 2, 16_384, 30_000]  # 2 is FULL


def test_only_who_says_that_it_can_be_made_again_does_not_wait_for_the_disk(file: str) -> None:
    hasty = Database(file, durable=False)
    hasty.create()

    assert pragma(hasty, "synchronous") == 0
    hasty.close()


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 7, 0), False),
        ((3, 40, 1), False),  # Debian 12
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 45, 0), False),
        ((3, 46, 1), False),  # Debian 13
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 0), False),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 53, 4), True),
        ((4, 0, 0), True),
    ],
)
def test_the_log_is_trusted_only_where_its_bug_is_mended(version: tuple[int, int, int], safe: bool) -> None:
    assert wal_is_safe(version) is safe


def test_a_sqlite_whose_log_can_lose_pages_keeps_a_rollback_journal_even_for_a_file_that_had_a_log(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = Database(file)
    good.create()
    with good.writing() as connection:
        set_fact(connection, "written", "with a log")
    good.close()
    old = SimpleNamespace(**{name: getattr(sqlite3, name) for name in dir(sqlite3)})
    old.sqlite_version_info = (3, 46, 1)
    monkeypatch.setattr(store, "sqlite_module", lambda: old)

    fallen_back = Database(file)
    fallen_back.create()
    assert pragma(fallen_back, "journal_mode") == "delete"
    assert pragma(fallen_back, "synchronous") == 2
    with fallen_back.reading() as connection:
        assert get_fact(connection, "written") == "with a log"
    fallen_back.close()


def test_who_sets_the_journal_of_a_new_file_while_another_does_waits_for_it(tmp_path: Path) -> None:
    path, stands_in_line = tmp_path / "shop.db", threading.Event()
    other = store.sqlite_module().connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # SQLite refuses at once, without a wait, who wants another journal now
    database = Database(f"sqlite:///{path}")

    def waits(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement == "BEGIN IMMEDIATE":
            stands_in_line.set()

    event.listen(database.engine, "before_cursor_execute", waits)
    failures: list[BaseException] = []

    def create() -> None:
        try:
            database.create()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=create)
    thread.start()
    came = stands_in_line.wait(60)
    other.execute("COMMIT")
    other.close()
    thread.join()

    assert came
    assert failures == []
    assert pragma(database, "journal_mode") == "wal"
    database.close()


# --- who sees what, and who waits ------------------------------------------------------------------------------------


def test_a_read_sees_one_state_whatever_is_committed_meanwhile(url: str, open_database: Open) -> None:
    reader, writer = open_database(url), open_database(url)
    writer.create()
    with writer.writing() as connection:
        set_fact(connection, "state", "before")

    with reader.reading() as connection:
        assert get_fact(connection, "state") == "before"
        with writer.writing() as other:
            set_fact(other, "state", "after")
        assert get_fact(connection, "state") == "before"

    with reader.reading() as connection:
        assert get_fact(connection, "state") == "after"


def test_a_block_that_raises_leaves_nothing_behind(url: str, open_database: Open) -> None:
    database = open_database(url)
    database.create()

    def fail() -> None:
        with database.writing() as connection:
            set_fact(connection, "state", "half")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with database.reading() as connection:
        assert get_fact(connection, "state") is None


def test_who_writes_has_the_lock_from_the_beginning_so_that_no_decision_is_made_on_what_another_changes(
    url: str, open_database: Open
) -> None:
    """Eight threads read a number and write the next one; were the lock taken at the write, some would be lost."""
    database = open_database(url)
    database.create()
    with database.writing() as connection:
        set_fact(connection, "count", "0")
    failures: list[BaseException] = []

    def add() -> None:
        own = Database(url, durable=False)
        try:
            for _ in range(10):
                with own.writing() as connection:
                    set_fact(connection, "count", str(int(get_fact(connection, "count") or 0) + 1))
        except BaseException as error:
            failures.append(error)
        finally:
            own.close()

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    with database.reading() as connection:
        assert get_fact(connection, "count") == "80"


def test_a_writer_waits_for_another_process_and_then_writes(url: str, open_database: Open, nest: Mother) -> None:
    database = open_database(url)
    database.create()
    waiting = """
    from engine.store.database import Database
    from engine.store.tables import set_fact
    database = Database(url, durable=False)
    tell("about to write")
    with database.writing() as connection:
        tell("writing")
        set_fact(connection, "who", "the second")
    """

    with database.writing() as connection:
        child = nest.start(waiting, url=url)
        assert child.hear() == "about to write"
        set_fact(connection, "who", "the first")
        assert not child.heard_within(100)

    assert [child.hear(), child.hear()] == ["writing", ""]
    assert child.wait() == 0
    with database.reading() as connection:
        assert get_fact(connection, "who") == "the second"


def test_who_waited_too_long_is_told_that_another_process_writes(database: Database, file: str) -> None:
    other = Database(file)
    with database.writing(), pytest.raises(OperationalError, match="locked"), other.writing(patience=0.01):
        pass
    other.close()


# --- what was acknowledged stays -------------------------------------------------------------------------------------


def test_kills_between_and_during_commits_lose_nothing_that_was_acknowledged(
    database: Database, file: str, nest: Mother
) -> None:
    committing = """
    from engine.store.database import Database
    from engine.store.tables import set_fact
    database = Database(url)
    number = first
    while True:
        with database.writing() as connection:
            for part in "abc":
                set_fact(connection, f"{number} {part}", "x" * 20_000)
        tell(number)
        number += 1
    """
    first = 0
    for acknowledged in (1, 2, 3, 5, 8, 13, 21, 34):
        child = nest.start(committing, url=file, first=first)
        heard = [int(child.hear()) for _ in range(acknowledged)]
        child.kill()
        heard += [int(line) for line in child.told if line.endswith("\n")]  # told before it died, not read until now
        assert child.wait() == -signal.SIGKILL
        with database.reading() as connection:
            assert connection.execute(text("PRAGMA integrity_check")).scalar() == "ok"
            names = {row[0] for row in connection.execute(text("SELECT name FROM fact"))}
        assert {f"{number} {part}" for number in heard for part in "abc"} <= names
        found = {int(name.split()[0]) for name in names}
        assert len(names) == 3 * len(found), "a commit is there whole or not at all"
        assert found <= {*range(heard[-1] + 2)}
        first = max(found) + 1


# --- full and read-only disks ----------------------------------------------------------------------------------------


def test_on_a_full_disk_no_attempt_begins_and_when_room_returns_all_leave_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    names = world.people(120)
    world.order(*names)
    engine, most = world.app.database.engine, [0]
    with engine.connect() as connection:
        most[0] = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    engine.dispose()
    event.listen(engine, "checkout", lambda driver, *_: driver.execute(f"PRAGMA max_page_count = {most[0]}"))

    for _ in range(3):
        with pytest.raises(OperationalError, match="full"):
            world.tick()
    assert world.email.handed == []
    assert world.kinds() == []

    most[0] = 1_000_000
    world.tick()
    world.tick()
    assert len({one.message_id for one in world.email.handed}) == len(world.email.handed) == 120
    assert set(world.states().values()) == {"accepted"}
    world.close()


@pytest.fixture(scope="module")
def born(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with nursery(tmp_path_factory.mktemp("processes")) as made:
        yield made


def test_a_daemon_that_meets_a_full_disk_goes_on_by_itself_when_room_returns(tmp_path: Path, born: Nursery) -> None:
    folder = shop(tmp_path / "shop", config=CONFIG + "test_clock: clock.txt\n")
    set_clock(folder, shops.NOW)
    app = shops.opened(folder)
    shops.publish_all(app)
    shops.add_people(app, [{"external_id": "ann"}, {"external_id": "bob"}])
    daemon = born.daemon(folder)
    books = Books(folder)
    room = resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE)

    resource.prlimit(
        daemon.pid, resource.RLIMIT_FSIZE, (PAGE_BYTES - 1, room[1])
    )  # no page fits into any file any more
    for name in ("ann", "bob"):
        shops.happen(app, f"o-{name}", name, "Order Completed", {"order_id": name})
    daemon.until(lambda: "beat failed" in daemon.told)  # but once: what it tells goes into a file too, and fills it
    assert books.one("SELECT count(*) FROM delivery") == 0
    assert list((folder / "outbox").rglob("*.eml")) == []

    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, room)
    daemon.until(lambda: books.one("SELECT count(*) FROM delivery WHERE kind = 'accepted'") == 2)
    assert books.one("SELECT count(*) FROM delivery WHERE kind = 'begun'") == 2
    daemon.kill(signal.SIGTERM)
    assert daemon.wait() == 0
    books.close()
    app.close()


READ_ONLY = """
import os, sys
from engine.cli.main import run_command
import engine.cli.running, engine.cli.publishing, engine.daemon, engine.work.tick
os.chdir(folder)
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
run_command(["--config", "config.yaml", "check"])  # loads whatever may not be readable below
if os.geteuid() == 0:  # root may write everywhere
    os.setegid(65534)
    os.seteuid(65534)
os.environ["OUTREACH_SECRET"] = "a secret for tests only"
os.environ["LANG"] = "C.UTF-8"
error = open(told, "w")
os.dup2(error.fileno(), 2)
code = run_command(["--config", "config.yaml", *command])
sys.stderr.flush()
tell(code)
"""


@pytest.mark.parametrize("command", [["daemon", "--once"], ["publish", "--yes"]])
def test_a_database_that_cannot_be_written_is_named_in_a_sentence_and_ends_a_command_with_3(
    command: list[str], nest: Mother
) -> None:
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        folder = shop(Path(place) / "shop")
        shops.opened(folder).close()
        told = Path(place) / "told.txt"
        told.touch(0o666)
        told.chmod(0o666)
        for path in folder.rglob("*"):
            path.chmod(0o555 if path.is_dir() else 0o444)
        folder.chmod(0o555)

        child = nest.start(READ_ONLY, folder=str(folder), command=command, told=str(told))

        assert child.hear() == "3", told.read_text()
        assert "look at the rights of the file and its folder" in " ".join(told.read_text().split())
        assert "Traceback" not in told.read_text()
        folder.chmod(stat.S_IRWXU)
        shutil.rmtree(folder)

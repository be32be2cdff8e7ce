"""One daemon per PostgreSQL database: a second one is told who the first is; a lost connection is noticed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import shops
from daemons import Nursery, Running, set_clock
from servers import Fresh
from sqlalchemy import Connection, create_engine, text
from stubs import CONFIG, World
from typed import typed

from engine.store.hold import DAEMON

END_IT = text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = :key AND granted")


@pytest.fixture
def url(postgres: Fresh) -> str:
    return postgres()


@pytest.fixture
def folder(tmp_path: Path, url: str) -> Path:
    """A shop that keeps its data in PostgreSQL, with nothing to do."""
    World(tmp_path / "shop", config=f"{CONFIG}test_clock: clock.txt\ndatabase: {url}\n").close()
    set_clock(tmp_path / "shop", shops.NOW)
    return tmp_path / "shop"


@pytest.fixture
def server(url: str) -> Iterator[Connection]:
    """Somebody else who is at the same database."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def is_held(server: Connection) -> bool:
    query = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = :key AND granted")
    return bool(server.execute(query, {"key": DAEMON}).scalar())


def refused(second: Running, first: Running) -> bool:
    return second.wait() == 3 and f"is already run by process {first.pid} on " in second.told


def test_a_second_daemon_on_the_same_postgresql_is_refused_and_told_who_the_first_is(
    folder: Path, born: Nursery
) -> None:
    first = born.daemon(folder)
    assert refused(born.start(folder, "daemon"), first)
    assert refused(born.start(folder, "daemon", "--once"), first)
    assert not first.ended()
    assert f"✓ daemon process {first.pid} on " in typed(folder, "doctor").out
    first.kill()
    first.wait()
    assert f"✗ daemon process {first.pid} on " in typed(folder, "doctor").out
    third = born.daemon(folder)  # a killed one is no obstacle
    third.kill(signal.SIGTERM)
    assert third.wait() == 0
    assert born.start(folder, "daemon", "--once").wait() == 0


def test_a_daemon_of_another_database_on_the_same_server_is_no_obstacle(
    folder: Path, tmp_path: Path, postgres: Fresh, born: Nursery
) -> None:
    first = born.daemon(folder)
    World(tmp_path / "other", config=f"{CONFIG}test_clock: clock.txt\ndatabase: {postgres()}\n").close()
    set_clock(tmp_path / "other", shops.NOW)
    assert born.start(tmp_path / "other", "daemon", "--once").wait() == 0
    assert not first.ended()


def test_a_daemon_that_lost_its_connection_says_so_and_holds_its_database_again(
    folder: Path, born: Nursery, server: Connection
) -> None:
    first = born.daemon(folder)
    server.execute(END_IT, {"key": DAEMON})
    first.until_told("taking it again")
    first.until(lambda: is_held(server))
    assert refused(born.start(folder, "daemon"), first)
    first.kill(signal.SIGTERM)
    assert first.wait() == 0


def test_a_daemon_whose_place_was_taken_while_its_connection_was_lost_ends_and_names_the_other(
    folder: Path, born: Nursery, server: Connection
) -> None:
    first = born.daemon(folder)
    first.kill(signal.SIGSTOP)
    server.execute(text("SET application_name = 'process 1 on another.example.com'"))
    server.execute(END_IT, {"key": DAEMON})
    server.execute(text("SELECT pg_advisory_lock(:key)"), {"key": DAEMON})
    first.kill(signal.SIGCONT)
    assert first.wait() == 3
    assert "is already run by process 1 on another.example.com" in first.told

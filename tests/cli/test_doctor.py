"""What doctor says about the surroundings: each finding with its cure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import shops
from servers import Fresh
from servers import postgres as postgres
from sqlalchemy import create_engine
from typed import typed

from engine.cli import surroundings
from engine.cli.surroundings import header_bug, judged
from engine.store import health, lanes
from engine.store.database import Database
from engine.work import ballast
from engine.work.ballast import ballast_of, keep_ballast


@pytest.fixture
def shop(shop: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OUTREACH_SECRET", shops.SECRET)
    typed(shop, "publish", "--all")
    return shop


def findings(shop: Path) -> dict[str, str]:
    """What is good, wrong, or to be known -> sentence."""
    marks = {(True, False): "good", (False, False): "wrong", (True, True): "known"}
    told: list[dict[str, Any]] = typed(shop, "doctor", "--format", "json").value
    return {one["sentence"]: marks[one["ok"], one["notice"]] for one in told}


def of(shop: Path, words: str) -> list[tuple[str, str]]:
    return [(mark, sentence) for sentence, mark in findings(shop).items() if words in sentence]


# --- the disk, the ballast -------------------------------------------------------------------------------------------


def test_the_disk_of_the_database_is_looked_at_and_the_ballast_named_where_it_is_full(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [mark for mark, _ in of(shop, "MiB of disk are free")] == ["good"]
    monkeypatch.setattr(surroundings, "LEAST_ROOM", 10**18)
    ((mark, told),) = of(shop, "MiB of disk are free")
    assert (mark, "what cannot be written down first is not sent" in told) == ("wrong", True)
    (shop / "outreach.db.ballast").touch()
    ((mark, told),) = of(shop, "MiB of disk are free")
    assert (mark, told.endswith(f"make room; at once: delete {shop / 'outreach.db.ballast'}")) == ("wrong", True)


def test_a_folder_that_cannot_be_written_to_is_named(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings, "_writable", lambda _: False)
    ((mark, told),) = of(shop, "cannot be written to")
    assert (mark, told.startswith(str(shop))) == ("wrong", True)


def test_the_ballast_is_missed_until_a_daemon_has_made_it(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ballast, "SIZE", 100_000)
    ((mark, told),) = of(shop, "outreach.db.ballast is missing")
    assert (mark, "to be deleted when the disk is full" in told) == ("known", True)
    database = Database(f"sqlite:///{shop / 'outreach.db'}")
    keep_ballast(database)
    made = ballast_of(database)
    assert made is not None
    assert (made.stat().st_size, made.stat().st_blocks * 512 >= 100_000) == (100_000, True), "its room is taken"
    assert of(shop, "ballast is") == []
    made.unlink()
    monkeypatch.setattr(ballast, "SIZE", 10**17)
    keep_ballast(database)
    assert not made.exists(), "where there is no room, none is taken"
    database.close()


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


@pytest.fixture
def server(postgres: Fresh) -> Iterator[Database]:
    made = Database(postgres(tables=True))
    made.create()
    yield made
    made.close()


def ask(database: Database) -> health.Server:
    with database.reading() as connection:
        return health.server(connection)


def told(found: health.Server) -> dict[str, bool | None]:
    return {sentence: good for good, sentence in judged(found)}


def test_a_postgresql_as_it_should_be_is_content(server: Database) -> None:
    found = ask(server)
    found.settings["fsync"] = "on"  # the one of the tests does without
    assert set(told(found).values()) == {True}
    assert any(sentence.startswith(f"PostgreSQL {found.version}") for sentence in told(found))
    assert found.connections >= 1
    assert not found.pooled


@pytest.mark.parametrize(
    ("bad", "good", "sentence"),
    [
        ({"fsync": "off"}, False, "fsync is off: a crash of the server can forget what has been sent"),
        ({"synchronous_commit": "off"}, False, "ALTER SYSTEM SET synchronous_commit = on"),
        ({"full_page_writes": "off"}, False, "full_page_writes is off"),
        ({"autovacuum": "off"}, None, "ALTER SYSTEM SET autovacuum = on"),
        ({"idle_session_timeout": "60000"}, None, "SET idle_session_timeout = 0"),
        ({"statement_timeout": "1000"}, None, "statement_timeout may cut short"),
        ({"max_connections": "5"}, None, "raise max_connections"),
        ({"server_encoding": "SQL_ASCII"}, False, "make one with ENCODING 'UTF8'"),
    ],
)
def test_a_setting_that_puts_messages_at_risk_is_told_with_its_cure(
    server: Database, bad: dict[str, str], good: bool | None, sentence: str
) -> None:
    found = ask(server)
    found.settings["fsync"] = "on"
    worse = told(replace(found, settings=found.settings | bad))
    assert [mark for text, mark in worse.items() if sentence in text] == [good]


def test_settings_are_read_from_the_server_itself(server: Database, postgres: Fresh) -> None:
    name = server.url.database
    engine = create_engine(server.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {name} SET synchronous_commit = off")
    engine.dispose()
    server.engine.dispose()
    assert any("synchronous_commit is off" in sentence for sentence in told(ask(server)))


def test_a_standby_a_pooler_and_an_old_server_are_told(server: Database) -> None:
    found = replace(ask(server), standby=True, pooled=True, number=110_000)
    said = told(found)
    assert [good for text, good in said.items() if "it is a standby" in text] == [False]
    assert [good for text, good in said.items() if "pool_mode = session" in text] == [None]
    assert [good for text, good in said.items() if "older than what outreach is tried with" in text] == [None]


def test_a_transaction_that_has_been_open_for_long_is_named_with_what_ends_it(
    server: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "LONG", timedelta(0))
    other = create_engine(server.url)
    with other.connect() as connection:
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        (old,) = ask(server).old
        assert (old.pid, old.state) == (pid, "idle in transaction")
        sentence = next(text for text, good in told(ask(server)).items() if good is None and "transaction of" in text)
        assert f"SELECT pg_terminate_backend({pid})" in sentence
    other.dispose()


# --- the clock, Python, lanes ----------------------------------------------------------------------------------------


def test_a_clock_that_was_never_set_is_told(shop: Path) -> None:
    (shop / "clock").write_text("1970-01-01T00:07:00+00:00")
    ((mark, sentence),) = of(shop, "the clock shows")
    assert (mark, sentence) == (
        "wrong",
        "the clock shows 1970-01-01 00:07:00 UTC, which is long over; set it: timedatectl set-ntp true",
    )


def test_pythons_header_bug_is_found_by_trying_it(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [mark for mark, _ in of(shop, "CVE-2024-6923")] == (["known"] if header_bug() else [])
    monkeypatch.setattr(surroundings, "header_bug", lambda: True)
    assert of(shop, "CVE-2024-6923")
    monkeypatch.setattr(surroundings, "header_bug", lambda: False)
    assert not of(shop, "CVE-2024-6923")


def test_a_lane_that_waits_is_told_until_when(shop: Path) -> None:
    app = shops.opened(shop)
    with app.database.writing() as connection:
        lanes.change(connection, "email", failures=5, paused_until=shops.NOW + timedelta(minutes=1))
    app.close()
    assert of(shop, "lane email waits until 2026-11-24 09:01:00 UTC; to let it go on now: outreach resume --lane email")
    assert [mark for mark, _ in of(shop, "lane email: 5 failures in a row")] == ["wrong"]

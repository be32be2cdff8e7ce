"""Whatever stands in the way, a command says so in a sentence and ends with a stable code: no traceback, ever."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partialmethod
from pathlib import Path

import pytest
from typed import Typed, typed

from engine.cli import publishing
from engine.store.database import Database, sqlite_module

HERE = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "engine.cli.main"]
ENGLISH = {**os.environ, "LANGUAGE": "en", "PYTHONPATH": str(HERE)}


def told_in_a_sentence(told: Typed, code: int, *words: str) -> None:
    assert told.code == code, told.said
    assert "Traceback" not in told.said
    assert not (Path.cwd() / "outreach-error.log").exists()
    for word in words:
        assert word in told.err


# --- files ------------------------------------------------------------------------------------------------------------


def garbage(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 20)


def huge(path: Path) -> None:
    path.write_text("shop: {name: " + "x" * 1_100_000 + "}", encoding="utf-8")


def nested(path: Path) -> None:
    path.write_text("[" * 500, encoding="utf-8")


def empty(path: Path) -> None:
    path.write_text("", encoding="utf-8")


@pytest.mark.parametrize("spoil", [garbage, huge, nested, empty, Path.unlink])
@pytest.mark.parametrize("command", ["check", "publish --yes", "messages", "doctor", "daemon --once", "schema"])
def test_a_config_that_cannot_be_used_is_bad_input(shop: Path, spoil: Callable[[Path], None], command: str) -> None:
    spoil(shop / "config.yaml")

    told_in_a_sentence(typed(shop, *command.split()), 2, "config.yaml:3:" if spoil is garbage else "config.yaml:1:")


def test_a_folder_in_place_of_a_file_is_said_to_be_one(shop: Path) -> None:
    told_in_a_sentence(typed(shop, "check", "--config", "journeys"), 2, "Is a directory")
    told_in_a_sentence(typed(shop, "import", "people", "journeys"), 2, "Is a directory")
    told_in_a_sentence(typed(shop, "import", "people", "people.csv", "--map", "journeys"), 2, "is a directory")
    told_in_a_sentence(typed(shop, "simulate", "--assume", "journeys"), 2, "Is a directory")


@pytest.mark.parametrize("file", ["journeys/after_purchase.yaml", "journeys/audience.yaml"])
@pytest.mark.parametrize("spoil", [garbage, huge, nested])
def test_garbage_in_a_journey_is_told_at_its_place(shop: Path, file: str, spoil: Callable[[Path], None]) -> None:
    spoil(shop / file)

    told_in_a_sentence(typed(shop, "check"), 2, f"{file}:")


def test_a_file_does_not_steer_the_terminal_it_is_shown_on(shop: Path) -> None:
    (shop / "journeys" / "red.yaml").write_text("title: \x1b[31mred\n", encoding="utf-8")

    told = typed(shop, "check")

    assert "\x1b" not in told.said
    assert "[control-character]" in told.err


def test_a_shop_without_journeys_is_told_so(shop: Path) -> None:
    shutil.rmtree(shop / "journeys")

    told_in_a_sentence(typed(shop, "check"), 2, "there is no folder")


# --- the database -----------------------------------------------------------------------------------------------------


def test_a_file_that_is_no_database_is_unfit_and_left_as_it_is(shop: Path) -> None:
    garbage(shop / "outreach.db")
    before = (shop / "outreach.db").read_bytes()

    told_in_a_sentence(typed(shop, "messages"), 3, "outreach.db", "not a database")
    assert (shop / "outreach.db").read_bytes() == before


def test_a_folder_in_place_of_the_database_is_unfit(shop: Path) -> None:
    (shop / "outreach.db").mkdir()

    told_in_a_sentence(typed(shop, "messages"), 3, "outreach.db", "unable to open")


def test_a_database_of_something_else_is_unfit(shop: Path) -> None:
    with sqlite3.connect(shop / "outreach.db") as other:
        other.execute("CREATE TABLE message (id INTEGER PRIMARY KEY, words TEXT)")

    told_in_a_sentence(typed(shop, "messages"), 3, "outreach.db")


def test_a_database_that_another_process_keeps_locked_is_unfit(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert typed(shop, "import", "people", "people.csv").code == 0
    monkeypatch.setattr(Database, "writing", partialmethod(Database.writing, patience=0.05))  # not half a minute
    other = sqlite_module().connect(shop / "outreach.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        told_in_a_sentence(typed(shop, "publish", "--yes"), 3, "locked", "another process")
    finally:
        other.close()


def test_a_database_url_that_is_none_is_refused(shop: Path) -> None:
    path = shop / "config.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "\ndatabase: here\n", encoding="utf-8")

    told_in_a_sentence(typed(shop, "messages"), 3, "database")


# --- where results go -------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("words", [["check"], ["messages", "--format", "json"], ["--help"]])
def test_a_full_disk_under_standard_output_is_unfit(shop: Path, words: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [*COMMAND, *words], cwd=shop, stdout=full, stderr=subprocess.PIPE, env=ENGLISH, text=True, check=False
        )

    assert ended.returncode == 3
    assert "No space left" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("words", [["--help"], ["messages", "--format", "json"], ["check"]])
def test_a_reader_that_goes_away_is_no_error(shop: Path, words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(
            [*COMMAND, *words], cwd=shop, stdout=writing, stderr=subprocess.PIPE, env=ENGLISH, text=True, check=False
        )
    finally:
        os.close(writing)

    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_result_that_cannot_be_written_where_it_was_wanted_is_unfit(shop: Path) -> None:
    typed(shop, "import", "people", "people.csv")
    told_in_a_sentence(typed(shop, "simulate", "--ledger", "people.csv/ledger"), 3, "people.csv/ledger")
    told_in_a_sentence(typed(shop, "init", "people.csv/shop"), 3, "people.csv/shop")


# --- people -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def interruptible() -> Iterator[None]:
    """What a shell starts in the background ignores Ctrl-C, and so do its children: not these, wherever tests run."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_ends_with_a_sentence_and_130(shop: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "publish"],
        cwd=shop,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENGLISH,
        text=True,
    ) as running:
        assert running.stderr is not None
        asked = running.stderr.read(len("Publish?"))  # it waits for a word
        running.send_signal(signal.SIGINT)
        _out, err = running.communicate(timeout=60)

    assert asked == "Publish?"
    assert running.returncode == 130
    assert "stopped" in err
    assert "Traceback" not in err


def test_our_own_mistake_is_told_in_a_sentence_and_kept_in_a_file(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(publishing, "load_drafts", broken)

    told = typed(shop, "publish", "--yes")

    assert told.code == 3
    assert "outreach-error.log" in told.err
    assert "Traceback" not in told.said
    assert "a bug" in (shop / "outreach-error.log").read_text(encoding="utf-8")

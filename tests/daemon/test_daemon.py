"""The daemon as a process: alone on its database, ending cleanly, one whole beat when asked for one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import shops
from daemons import PATIENCE, Books, Nursery, Post, set_clock
from stubs import CONFIG, JOURNEY, World, shop
from typed import typed

from engine.store.database import sqlite_module


def ready(folder: Path, people: int = 0, channel: str | None = None) -> Path:
    """A shop with so many orders that wait for their note."""
    config = CONFIG + "test_clock: clock.txt\n"
    if channel:
        config = config.replace("provider: maildir, folder: outbox", channel)
    world = World(folder, config=config)
    world.order(*world.people(people))
    world.close()
    set_clock(folder, shops.NOW)
    return folder


def smtp(office: Post) -> str:
    return f"provider: smtp, host: 127.0.0.1, port: {office.port}, mode: plain"


def test_a_second_daemon_on_the_same_database_is_refused_and_told_who_the_first_is(
    tmp_path: Path, born: Nursery
) -> None:
    folder = ready(tmp_path / "shop")
    first = born.daemon(folder)
    for command in (["daemon"], ["daemon", "--once"]):
        second = born.start(folder, *command)
        assert second.wait() == 3
        assert f"process {first.pid} on " in second.told
    assert not first.ended()
    first.kill()
    first.wait()
    third = born.daemon(folder)  # a killed one is no obstacle
    third.kill(signal.SIGTERM)
    assert third.wait() == 0


def test_doctor_knows_a_daemon_at_work_from_one_that_was_killed_and_from_one_that_was_stopped(
    tmp_path: Path, born: Nursery
) -> None:
    folder = ready(tmp_path / "shop")
    first = born.daemon(folder)
    assert f"✓ daemon process {first.pid} on " in typed(folder, "doctor").out
    first.kill()
    first.wait()
    killed = typed(folder, "doctor")
    assert killed.code == 1
    assert f"✗ daemon process {first.pid} on " in killed.out
    assert "start it again: outreach daemon" in killed.out
    second = born.daemon(folder)
    second.kill(signal.SIGTERM)
    assert second.wait() == 0
    assert "• no daemon is running" in typed(folder, "doctor").out


def test_the_command_as_people_type_it_runs_until_sigterm_and_ends_with_zero(tmp_path: Path) -> None:
    folder = ready(tmp_path / "a shop with a space", people=3)
    command = [sys.executable, "-m", "engine.cli.main", "--config", str(folder / "config.yaml"), "daemon"]
    env = {**os.environ, "OUTREACH_SECRET": shops.SECRET, "LANG": "C.UTF-8", "LANGUAGE": "en"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env) as process:
        assert process.stdout
        told = next(line for line in process.stdout if "stop with" in line)
        port = int("".join(sign for sign in told.partition("port")[2].partition(";")[0] if sign.isdigit()))
        for number in (signal.SIGTERM, signal.SIGTERM):
            process.send_signal(number)
        assert process.wait(PATIENCE) == 0
    assert port > 0
    look = Books(folder)
    assert look.one("SELECT count(*) FROM worker WHERE stopped_at IS NULL") == 0
    look.close()


def test_without_its_secret_it_does_not_start(tmp_path: Path) -> None:
    folder = ready(tmp_path / "shop")
    command = [sys.executable, "-m", "engine.cli.main", "--config", str(folder / "config.yaml"), "daemon"]
    env = {name: value for name, value in os.environ.items() if name != "OUTREACH_SECRET"} | {"LANGUAGE": "en"}
    ended = subprocess.run(command, capture_output=True, text=True, env=env, timeout=PATIENCE, check=False)
    assert ended.returncode == 3
    assert "OUTREACH_SECRET" in ended.stdout + ended.stderr


def test_asked_to_end_in_the_middle_of_a_batch_it_keeps_every_answer_and_begins_nothing_new(
    tmp_path: Path, born: Nursery, office: Post
) -> None:
    folder = ready(tmp_path / "shop", people=150, channel=smtp(office))
    running = born.start(folder, "daemon")
    office.after = lambda number: running.kill(signal.SIGTERM) if number == 40 else None
    assert running.wait(30) == 0
    assert 40 <= len(office.taken) <= 40 + 3 * 8
    look = Books(folder)
    kinds = dict(look.rows("SELECT kind, count(*) FROM delivery GROUP BY kind"))
    assert kinds == {"begun": len(office.taken), "accepted": len(office.taken)}, "nothing half done"
    assert look.one("SELECT count(*) FROM batch WHERE token IS NOT NULL") == 0, "nothing is still held"
    assert born.start(folder, "daemon", "--once").wait() == 0
    assert len(office.taken) == len(set(office.taken)) == 150
    assert look.one("SELECT count(*) FROM delivery WHERE kind <> 'begun' AND kind <> 'accepted'") == 0
    assert look.one("SELECT max(deaths) FROM batch") == 0
    look.close()


def test_asked_to_end_while_a_server_is_silent_it_waits_no_longer_than_it_may_and_keeps_the_doubt(
    tmp_path: Path, born: Nursery, office: Post
) -> None:
    folder = ready(tmp_path / "shop", people=5, channel=smtp(office))
    silent = threading.Event()
    running = born.start(folder, "daemon", STOP_WITHIN=0.5)

    def fall_silent(number: int) -> None:
        running.kill(signal.SIGTERM)
        silent.wait(PATIENCE)

    office.after = fall_silent
    try:
        assert running.wait(25) == 0, running.told
    finally:
        silent.set()
    look = Books(folder)
    assert set(dict(look.rows("SELECT kind, 1 FROM delivery"))) == {"begun", "unknown"}
    begun = look.one("SELECT count(*) FROM delivery WHERE kind = 'begun'")
    assert look.one("SELECT count(*) FROM delivery WHERE kind = 'unknown'") == begun
    assert set(office.taken) <= {key for (key,) in look.rows("SELECT key FROM message")}
    look.close()


def test_once_does_one_whole_beat_and_ends(tmp_path: Path, born: Nursery) -> None:
    folder = ready(tmp_path / "shop", people=3)
    once = born.start(folder, "daemon", "--once")
    assert once.wait() == 0
    assert len(list((folder / "outbox" / "email").glob("*.eml"))) == 3
    again = born.start(folder, "daemon", "--once")
    assert again.wait() == 0
    assert len(list((folder / "outbox" / "email").glob("*.eml"))) == 3


def test_the_log_has_one_line_for_each_beat_in_which_something_happened_and_names_nobody(
    tmp_path: Path, born: Nursery
) -> None:
    folder = ready(tmp_path / "shop", people=3)
    running = born.daemon(folder)
    running.until_told("accepted=3")
    running.kill(signal.SIGTERM)
    assert running.wait() == 0

    lines = [line for line in running.told.splitlines() if " INFO " in line]
    beats = [line for line in lines if "beat:" in line]
    assert {line.split()[3] for line in lines} == {"outreach.daemon"}
    assert len(beats) == 1
    assert beats[0].endswith("INFO outreach.daemon beat: decided=6 queued=3 accepted=3")
    assert "@" not in running.told


def test_S12_a_draft_broken_while_it_runs_is_told_in_the_log_once(tmp_path: Path, born: Nursery) -> None:
    folder = ready(tmp_path / "shop")
    running = born.daemon(folder)
    (folder / "journeys" / "note.yaml").write_text("stps: []\n", encoding="utf-8")
    running.until_told("See: outreach check journeys/note.yaml")
    (folder / "journeys" / "note.yaml").write_text(JOURNEY, encoding="utf-8")
    running.until_told("journeys/note.yaml is in order and what runs")
    running.kill(signal.SIGTERM)
    assert running.wait() == 0

    assert [line.split()[2] for line in running.told.splitlines() if "note.yaml" in line] == ["WARNING", "WARNING"]


def test_commands_may_write_while_the_daemon_runs(tmp_path: Path, born: Nursery) -> None:
    """Two processes on one database: every event a command brings moves its journey, once."""
    folder = ready(tmp_path / "shop")
    world_people = folder / "people.csv"
    world_people.write_text(
        "id,email,consent.email.news\n" + "".join(f"q{n},q{n}@example.com,yes\n" for n in range(60))
    )
    orders = folder / "orders.jsonl"
    running = born.daemon(folder)
    assert born.start(folder, "import", "people", "people.csv").wait() == 0
    imports = []
    for part in range(3):
        file = orders.with_name(f"orders-{part}.jsonl")
        file.write_text(
            "".join(
                f'{{"id": "o{n}", "person": "q{n}", "name": "Order Completed", "at": "2026-11-24T09:00:00Z", '
                f'"payload": {{"order_id": "{n}"}}}}\n'
                for n in range(part * 15, part * 15 + 30)  # they overlap
            )
        )
        imports.append(born.start(folder, "import", "events", file.name, "--live"))
    assert [one.wait() for one in imports] == [0, 0, 0], [one.told for one in imports]
    outbox = folder / "outbox" / "email"
    running.until(lambda: outbox.exists() and len(list(outbox.glob("*.eml"))) == 60)
    running.kill(signal.SIGTERM)
    assert running.wait() == 0
    look = Books(folder)
    assert look.one("SELECT count(*) FROM message") == look.one("SELECT count(*) FROM enrollment") == 60
    look.close()


def test_health_tells_of_its_beats_and_of_what_keeps_it_from_them(tmp_path: Path, born: Nursery) -> None:
    folder = ready(tmp_path / "shop")
    running = born.daemon(folder)
    port = int(running.told.partition("port ")[2].partition(";")[0])

    def health() -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    running.until(lambda: health()[0] == 200)
    database = sqlite_module().connect(folder / "outreach.db", timeout=30, isolation_level=None)
    database.execute("CREATE TRIGGER full BEFORE UPDATE ON worker BEGIN SELECT RAISE(ABORT, 'no room'); END")
    running.until(lambda: health()[0] == 503)
    database.execute("DROP TRIGGER full")
    database.close()
    set_clock(folder, datetime(2026, 11, 25, 1, tzinfo=UTC))
    running.until(lambda: health()[0] == 200 and "2026-11-25T01:00" in health()[1])


def test_a_torn_journal_of_a_killed_writer_is_taken_up_by_the_next(tmp_path: Path, born: Nursery) -> None:
    """Killed at the worst of times, between the commit of deciding and that of handing over: nothing is lost."""
    folder = ready(tmp_path / "shop", people=300)
    world_db = folder / "outreach.db"
    running = born.start(folder, "daemon")
    look = Books(folder)
    running.until(lambda: bool(look.one("SELECT count(*) FROM message")))
    running.kill()
    assert running.wait() == -9
    look.close()
    assert world_db.exists()
    assert born.start(folder, "daemon", "--once").wait() == 0
    look = Books(folder)
    assert look.one("PRAGMA integrity_check") == "ok"
    assert len(list((folder / "outbox" / "email").glob("*.eml"))) == 300
    assert look.one("SELECT count(*) FROM message") == 300
    look.close()


def test_a_shop_without_anything_published_idles(tmp_path: Path, born: Nursery) -> None:
    folder = shop(tmp_path / "shop")
    assert born.start(folder, "daemon", "--once").wait() == 0

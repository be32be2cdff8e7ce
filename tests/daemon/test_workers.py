"""Workers on one PostgreSQL: they share the work, and whatever becomes of one of them, the others go on."""

from __future__ import annotations

import re
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import shops
from daemons import Nursery, Post, Running, set_clock
from servers import Fresh, Mortal
from sqlalchemy import Connection, create_engine, text
from stubs import CONFIG, JOURNEY, World, shop
from typed import typed

from engine.clock import SystemClock
from engine.store.database import IDLE_BESIDE_MS, Database
from engine.store.hold import DAEMON
from engine.work import presence
from engine.work.incoming.intake import NewEvent

IN_FLIGHT = 32  # messages the mail provider takes at once
QUICK = """
from datetime import timedelta
from engine.work import cluster, crew, handing_out, presence
presence.SIGN, cluster.HEARTBEAT, cluster.STALLED = 0.2, 0.2, 2.0
presence.LEASE = handing_out.LEASE = timedelta(seconds=2)
crew.LOOK_AROUND = timedelta(seconds=0.2)
"""  # a worker is given up after two seconds of silence
END_IT = text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = :key AND granted")


@pytest.fixture
def url(postgres: Fresh) -> str:
    return postgres(tables=True)


@contextmanager
def looking(url: str) -> Iterator[Connection]:
    """Somebody who looks at the same database by the plainest of means."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.fixture
def server(url: str) -> Iterator[Connection]:
    with looking(url) as connection:
        yield connection


@pytest.fixture
def folder(tmp_path: Path, url: str, office: Post) -> Path:
    return sending_shop(tmp_path / "shop", url, office)


def sending_shop(folder: Path, url: str, office: Post) -> Path:
    """A shop that keeps its data in PostgreSQL and sends real mail."""
    mail = f"{{provider: smtp, host: 127.0.0.1, port: {office.port}, mode: plain, sender: hello@shop.example.com}}"
    config = CONFIG.replace("{provider: maildir, folder: outbox, sender: hello@shop.example.com}", mail)
    config += f"database: {url}\nbeat: 1s\n"
    home = shop(folder, {"note": JOURNEY.replace("[email, sms]", "[email]")}, config)
    app = shops.opened(home, SystemClock())  # the server's: what is real here cannot stand still
    shops.publish_all(app)
    app.close()
    return home


def ordered(folder: Path, count: int) -> list[str]:
    """So many people who order now, on the clock of the server."""
    app = shops.opened(folder, SystemClock())
    names = [f"p{number:04d}" for number in range(count)]
    shops.add_people(app, [{"external_id": name, "addresses": {"email": f"{name}@example.com"}} for name in names])
    now = app.clock.now()
    shops.happen_together(
        app, [NewEvent(f"o-{name}", name, "Order Completed", now, {"order_id": name}) for name in names]
    )
    app.close()
    return names


def worker(born: Nursery, folder: Path) -> Running:
    started = born.start(folder, "worker", first=QUICK)
    started.until_told("stop with Ctrl-C")
    return started


def count(server: Connection, query: str) -> int:
    return int(server.execute(text(query)).scalar_one())


def nobody_is_left(server: Connection) -> bool:
    return count(server, "SELECT count(*) FROM enrollment WHERE active") == 0


def kinds(server: Connection) -> Counter[str]:
    rows = server.execute(text("SELECT kind, count(*) FROM delivery GROUP BY kind"))
    return Counter({kind: n for kind, n in rows})


def end(*running: Running) -> None:
    for one in running:
        one.kill(signal.SIGTERM)
    for one in running:
        assert one.wait() == 0, one.told


def test_two_workers_share_the_work_and_end_with_0(
    folder: Path, born: Nursery, office: Post, server: Connection
) -> None:
    ordered(folder, 300)
    first, second = worker(born, folder), worker(born, folder)
    first.until(lambda: nobody_is_left(server))
    told = typed(folder, "workers").out
    assert f"process {first.pid} on " in told
    assert f"process {second.pid} on " in told
    end(first, second)
    assert len(office.taken) == len(set(office.taken)) == 300
    assert count(server, "SELECT count(*) FROM chunk") == 0
    assert count(server, "SELECT count(*) FROM worker WHERE stopped_at IS NULL") == 0


def test_D15_D17_two_workers_pass_on_what_one_provider_cannot_take_within_the_limits_of_the_other(
    folder: Path, born: Nursery, office: Post, server: Connection
) -> None:
    """Nobody listens at the first one's port; a batch told for it is told anew for the other."""
    config = folder / "config.yaml"
    one = re.search(r"email: ({provider: smtp.*})", config.read_text())
    assert one is not None
    live = one[1].replace("{provider: smtp,", "{provider: smtp, order: 2, concurrency: 9, rate: [100/s, 160/m],")
    dead = one[1].replace(f"port: {office.port}", "port: 1")
    several = f"email: {{providers: {{dead: {dead}, live: {live}}}}}"
    config.write_text(config.read_text().replace(one[0], several))
    ordered(folder, 150)
    first, second = worker(born, folder), worker(born, folder)
    first.until(lambda: nobody_is_left(server))
    end(first, second)
    assert len(office.taken) == len(set(office.taken)) == 150
    told = kinds(server)
    assert told == {"begun": 150 + told["retry"], "retry": told["retry"], "accepted": 150}
    assert count(server, "SELECT count(*) FROM delivery WHERE rule = 'passed_on'") == told["retry"] > 0
    assert count(server, "SELECT count(*) FROM delivery WHERE provider LIKE 'live%' AND kind = 'retry'") == 0
    assert count(server, "SELECT count(*) FROM batch WHERE open") == 0


def test_D1_D11_a_worker_killed_in_a_hand_over_doubles_nothing_and_the_other_takes_up_the_rest(
    folder: Path, born: Nursery, office: Post, server: Connection
) -> None:
    """Whoever plans may be busy with it for long, as here for ever: the dead are noticed by all.

    Broken by hand: without `take_from_the_lost` the rest of the batch stayed with the dead worker for good."""
    ordered(folder, 200)
    server.execute(text("INSERT INTO fact (name, value) VALUES ('lease: plans', '999 2099-01-01T00:00:00+00:00')"))
    first = worker(born, folder)
    office.after = lambda taken: first.kill() if taken == 50 else None
    assert first.wait() == -signal.SIGKILL
    second = worker(born, folder)
    second.until(lambda: nobody_is_left(server))
    end(second)
    assert len(office.taken) == len(set(office.taken))
    found = kinds(server)
    assert found["accepted"] + found["unknown"] == 200
    assert 0 < found["unknown"] <= IN_FLIGHT
    assert len(office.taken) >= found["accepted"]


def test_D10_a_worker_that_was_stopped_and_goes_on_changes_nothing_that_is_no_longer_its_own(
    folder: Path, born: Nursery, office: Post, server: Connection
) -> None:
    ordered(folder, 120)
    first = worker(born, folder)
    office.after = lambda taken: first.kill(signal.SIGSTOP) if taken == 40 else None
    first.until(lambda: len(office.taken) >= 40)
    second = worker(born, folder)
    second.until(lambda: count(server, "SELECT count(*) FROM worker WHERE lost_at IS NOT NULL") == 1)
    second.until(lambda: nobody_is_left(server))
    before = kinds(server)
    first.kill(signal.SIGCONT)
    first.until_told("it goes on as a new one")
    first.until(lambda: kinds(server)["accepted"] == 120)
    end(first, second)
    assert len(office.taken) == len(set(office.taken)) == 120
    assert kinds(server)["begun"] == before["begun"], "it began another attempt"
    assert kinds(server)["unknown"] == before["unknown"] > 0, "what it learned was appended, nothing was taken back"


def test_S8_jobs_that_are_lost_cost_a_beat_and_no_work(
    folder: Path, born: Nursery, office: Post, server: Connection
) -> None:
    """Broken by hand: without `tell_again` nobody was mailed any more."""
    ordered(folder, 60)
    first = worker(born, folder)
    office.after = lambda taken: first.kill() if taken == 5 else None
    assert first.wait() == -signal.SIGKILL
    server.execute(text("DELETE FROM procrastinate_jobs"))
    second = worker(born, folder)
    second.until(lambda: nobody_is_left(server))
    end(second)
    assert kinds(server)["accepted"] + kinds(server)["unknown"] == 60
    assert len(office.taken) == len(set(office.taken))


def test_S1_a_database_that_is_killed_and_started_again_loses_nothing_and_nothing_goes_twice(
    tmp_path: Path, born: Nursery, office: Post, mortal: Mortal
) -> None:
    """Two workers live on through it, and neither takes the other for dead because both were silent.

    Broken by hand: without the answers that were kept (`settle_kept`) 64 mails went twice."""
    folder = sending_shop(tmp_path / "shop", mortal.url, office)
    office.after = lambda taken: mortal.kill() if taken in (60, 180) else None
    workers = [worker(born, folder), worker(born, folder)]
    ordered(folder, 300)
    for blow in (1, 2):
        workers[0].until(lambda blow=blow: mortal.deaths == blow)
        workers[0].until(lambda: all("beat failed" in one.told for one in workers))
        mortal.start()
    with looking(mortal.url) as server:
        workers[0].until(lambda: nobody_is_left(server))
        end(*workers)
        assert count(server, "SELECT count(*) FROM event") == 300
        assert kinds(server)["accepted"] == len(office.taken) == len(set(office.taken)) == 300
        assert kinds(server)["unknown"] == 0
        assert count(server, "SELECT count(*) FROM worker WHERE lost_at IS NOT NULL") == 0


def test_D12_asked_to_stop_a_worker_gives_back_what_has_not_left(
    folder: Path, born: Nursery, office: Post, server: Connection
) -> None:
    ordered(folder, 100)
    first = worker(born, folder)
    office.after = lambda taken: first.kill(signal.SIGTERM) if taken == 10 else None
    assert first.wait() == 0
    assert len(office.taken) < 100
    assert kinds(server)["unknown"] == 0
    assert count(server, "SELECT count(*) FROM batch WHERE token IS NOT NULL") == 0
    office.after = None
    second = worker(born, folder)
    second.until(lambda: nobody_is_left(server))
    end(second)
    assert len(office.taken) == len(set(office.taken)) == 100


def test_a_daemon_on_postgresql_is_a_worker_that_answers_the_web_and_one_beat_goes_beside_it(
    folder: Path, born: Nursery, office: Post, server: Connection
) -> None:
    first = born.daemon(folder)
    ordered(folder, 3)
    assert born.start(folder, "daemon", "--once").wait() == 0
    first.until(lambda: nobody_is_left(server))
    assert f"✓ daemon process {first.pid} on " in typed(folder, "doctor").out
    end(first)
    assert len(office.taken) == len(set(office.taken)) == 3


def test_a_worker_whose_database_is_taken_by_another_ends_and_names_it(
    folder: Path, born: Nursery, server: Connection
) -> None:
    first = worker(born, folder)
    first.kill(signal.SIGSTOP)
    server.execute(text("SET application_name = 'process 1 on another.example.com'"))
    server.execute(END_IT, {"key": DAEMON})
    server.execute(text("SELECT pg_advisory_lock(:key)"), {"key": DAEMON})
    first.kill(signal.SIGCONT)
    assert first.wait() == 3
    assert "is already run by process 1 on another.example.com" in first.told


def test_a_worker_on_a_file_is_refused_with_what_to_do(tmp_path: Path, born: Nursery) -> None:
    World(tmp_path / "shop").close()
    set_clock(tmp_path / "shop", shops.NOW)
    refused = born.start(tmp_path / "shop", "worker")
    assert refused.wait() == 2
    assert "outreach daemon" in refused.told


def test_D11_a_worker_stopped_in_a_transaction_is_thrown_out_of_it_before_the_others_miss_signs_of_life(
    url: str,
) -> None:
    """With 15 seconds all the others waited behind it, took each other for dead, and went on after 25."""
    assert timedelta(milliseconds=IDLE_BESIDE_MS) < presence.LEASE / 2
    database = Database(url)
    try:
        with database.writing(beside=True) as connection:
            said = connection.execute(text("SHOW idle_in_transaction_session_timeout")).scalar_one()
    finally:
        database.close()
    assert said == f"{IDLE_BESIDE_MS // 1000}s"

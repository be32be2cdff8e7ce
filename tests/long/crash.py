"""The crash ledger: real processes are killed again and again, and what a sink outside of them accepted is held to what
stands in the database.

A sink writes every message it accepts to disk before it answers. Orders come in all the time; workers, the database and
the connections to it are hit at instants drawn from a seed. At the end: what was accepted twice, what was lost, what is
unknown and had arrived, which cap was broken, how long it took until messages left again.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from bench import sink, sink_http
from bench.postgres import running as postgres_running
from engine.app import App, build_app
from engine.clock import SystemClock
from engine.store import customers
from engine.work.incoming.intake import NewEvent, record_events
from engine.work.publishing.drafts import load_drafts, publish

ROOT = Path(__file__).resolve().parents[2]
SINKHOLE = ROOT / "bench" / "sinkhole"
SECRET = "a secret of the crash ledger"
IN_FLIGHT = 32  # messages under way at a time, of each worker
CAP = 3  # messages a day
DRAIN = 180.0  # seconds everything may take to come to rest at the end
PATIENCE = 60.0  # seconds until messages have to leave again after a blow

CONFIG = """
shop: {{name: Shop, url: "https://shop.example.com", zone: Europe/Berlin, country: DE, locale: en, currency: EUR,
       address: Example Street 1}}
topics: {{news: {{title: News, purpose: marketing}}, orders: {{title: Orders, purpose: transactional}}}}
channels:
  email: {channel}
policy: {{caps: [{{at_most: {cap}, per: day}}], least_gap: 0m}}
database: "{database}"
web: {{port: 0}}
beat: 1s
"""
JOURNEY = """
topic: news
enter: {event: Order Completed}
again: always
steps:
  - send: note
    via: [email]
  - send: thanks
    via: [email]
"""
CHANNELS = {
    "blind": "{{provider: sink_blind, url: '{url}', in_flight: {width}}}",
    "keyed": "{{provider: sink_keyed, url: '{url}', in_flight: {width}}}",
    "smtp": "{{provider: smtp, host: 127.0.0.1, port: {port}, mode: plain, sender: hello@shop.example.com, "
    "in_flight: {width}}}",
}


@dataclass
class Blow:
    """Something that was done to somebody, and how long it took until messages left again."""

    what: str
    at: float  # seconds of the monotonic clock
    recovered: float | None = None


@dataclass
class Shop:
    """What the ledger plays with."""

    home: Path
    database: str
    provider: str
    workers: int
    dice: random.Random
    ledger: Path
    people: int
    port: int
    server: Any = None
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    blows: list[Blow] = field(default_factory=list)
    orders: int = 0

    @property
    def command(self) -> str:
        return "daemon" if self.database == "sqlite" else "worker"

    def start(self) -> subprocess.Popen[bytes]:
        env = os.environ | {
            "OUTREACH_SECRET": SECRET,
            "PYTHONPATH": os.pathsep.join([str(SINKHOLE), str(ROOT)]),
            "LANGUAGE": "en",
        }
        program = [sys.executable, "-m", "engine.cli.main", "--config", str(self.home / "config.yaml"), self.command]
        with (self.home / "workers.log").open("ab") as log:
            self.processes.append(subprocess.Popen(program, env=env, stdout=log, stderr=log))
        return self.processes[-1]

    def accepted(self) -> list[tuple[str, float, str, str]]:
        """What the sink wrote down: kind, when, key, hash."""
        if not self.ledger.exists():
            return []
        lines = self.ledger.read_text().splitlines()
        return [(kind, float(at), key, digest) for kind, at, key, digest in (line.split(" ") for line in lines)]


def main() -> None:
    wanted = _arguments()
    with tempfile.TemporaryDirectory(prefix="outreach-crash-") as folder:
        report = play(Path(folder), wanted)
    print(json.dumps(report, indent=2) if wanted.json else told(report))
    if wanted.write:
        page(ROOT / "docs" / "crash-ledger.md", report)
    sys.exit(1 if wrong(report) else 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py crash", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="how many blows are dealt (default: %(default)s)")
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="postgres")
    parser.add_argument("--workers", type=int, default=2, help="processes beside each other; on SQLite there is one")
    parser.add_argument("--provider", choices=tuple(CHANNELS), default="blind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--people", type=int, default=2_000)
    parser.add_argument("--pace", type=float, default=1.5, help="seconds between two blows, on average")
    parser.add_argument("--json", action="store_true", help="the figures for programs")
    parser.add_argument("--write", action="store_true", help="write docs/crash-ledger.md")
    return parser.parse_args()


# --- the play --------------------------------------------------------------------------------------------------------


def play(folder: Path, wanted: argparse.Namespace) -> dict[str, Any]:
    began = time.monotonic()
    with _sink(wanted.provider, folder / "ledger") as place, _database(wanted.database, folder) as server:
        shop = _shop(folder, wanted, place, server)
        app = _opened(shop)
        _people(app, shop.people)
        for _ in range(1 if wanted.database == "sqlite" else wanted.workers):
            shop.start()
        _until(lambda: _beating(app), PATIENCE, "the workers did not start")
        stop = threading.Event()
        feeder = threading.Thread(target=_orders, args=(shop, stop), name="orders")
        feeder.start()
        try:
            _blows(shop, app, place, wanted)
        finally:
            stop.set()
            feeder.join()
        drained = _drain(shop, app)
        _end(shop)
        report = _figures(shop, app, wanted, drained) | {"seconds": round(time.monotonic() - began)}
        app.close()
        return report


@contextmanager
def _sink(provider: str, ledger: Path) -> Iterator[Any]:
    with sink.running(ledger=ledger) if provider == "smtp" else sink_http.running(ledger) as place:
        yield place


@contextmanager
def _database(kind: str, folder: Path) -> Iterator[Any]:
    if kind == "sqlite":
        yield None
        return
    with postgres_running(folder) as server:
        yield server


def _shop(folder: Path, wanted: argparse.Namespace, place: Any, server: Any) -> Shop:
    home = folder / "shop"
    (home / "journeys").mkdir(parents=True)
    for name in ("note", "thanks"):
        (home / "templates" / name).mkdir(parents=True)
        text_of = f'---\nsubject: A {name}\n---\n<p>{name} <a href="{{{{ links.unsubscribe }}}}">Unsubscribe</a></p>\n'
        (home / "templates" / name / "email.en.html").write_text(text_of)
    (home / "journeys" / "audience.yaml").write_text("segments: {}\n")
    (home / "journeys" / "note.yaml").write_text(JOURNEY)
    url = place.url if wanted.provider != "smtp" else ""
    channel = CHANNELS[wanted.provider].format(url=url, port=place.port, width=IN_FLIGHT)
    database = "sqlite:///outreach.db" if server is None else server.url
    (home / "config.yaml").write_text(CONFIG.format(channel=channel, database=database, cap=CAP))
    return Shop(
        home,
        wanted.database,
        wanted.provider,
        wanted.workers,
        random.Random(wanted.seed),
        folder / "ledger",
        wanted.people,
        place.port,
        server,
    )


def _opened(shop: Shop) -> App:
    sys.path.insert(0, str(SINKHOLE))
    app = build_app(shop.home / "config.yaml", clock=SystemClock(), env={"OUTREACH_SECRET": SECRET})
    drafts = load_drafts(app)
    if drafts.errors:
        raise SystemExit("\n".join(map(str, drafts.errors)))
    publish(app, drafts, ["note"])
    return app


def _people(app: App, count: int) -> None:
    now = SystemClock().now()
    for start in range(0, count, 500):
        numbers = range(start, min(start + 500, count))
        with app.database.writing() as connection:
            customers.upsert(connection, [_person(number, now) for number in numbers])
            ids = customers.ids_of(connection, [f"p{number}" for number in numbers])
            customers.record_consents(connection, [_word(number, now) for number in ids.values()], now)


def _person(number: int, now: datetime) -> dict[str, Any]:
    return {
        **{"external_id": f"p{number}", "zone": "Europe/Berlin", "locale": "en", "country": "DE", "created_at": now},
        **{"addresses": {"email": f"p{number}@example.com"}, "attributes": {}},
    }


def _word(number: int, now: datetime) -> dict[str, Any]:
    return {
        **{"customer_id": number, "channel": "email", "topic": "*", "purpose": "marketing", "granted": True},
        **{"at": now, "source": "crash ledger", "wording": ""},
    }


def _orders(shop: Shop, stop: threading.Event) -> None:
    """People order all the time; an order that the database did not take is told again."""
    app = build_app(shop.home / "config.yaml", clock=SystemClock(), env={"OUTREACH_SECRET": SECRET})
    dice = random.Random(shop.orders)
    while not stop.wait(0.5):
        now = SystemClock().now()
        told = [
            NewEvent(f"o{shop.orders + n}", f"p{dice.randrange(shop.people)}", "Order Completed", now, {"n": n})
            for n in range(20)
        ]
        for _ in range(200):
            try:
                with app.database.reading() as connection:
                    rules = app.rules(connection)
                record_events(app, rules, app.needs(rules), told)
                break
            except DBAPIError:
                stop.wait(0.5)
        shop.orders += len(told)
    app.close()


# --- the blows -------------------------------------------------------------------------------------------------------


def _blows(shop: Shop, app: App, place: Any, wanted: argparse.Namespace) -> None:
    kinds: list[Callable[[Shop, Any], str]] = [_kill, _kill, _kill, _kill_at_accept, _stop_and_go]
    if shop.provider == "smtp":
        kinds.remove(_kill_at_accept)
    if shop.server is not None:
        kinds += [_kill, _end_sessions, _kill_server]
    for number in range(wanted.kills):
        _pause(shop.dice.expovariate(1 / wanted.pace))
        at = time.monotonic()
        what = shop.dice.choice(kinds)(shop, place)
        shop.blows.append(Blow(what, at))
        for process in [one for one in shop.processes if one.poll() is not None]:
            shop.processes.remove(process)
            shop.start()
        if sys.stderr.isatty():
            print(f"\r{number + 1} of {wanted.kills} blows, {len(shop.accepted())} accepted", end="", file=sys.stderr)


def _kill(shop: Shop, place: Any) -> str:
    victim = shop.dice.choice(shop.processes)
    victim.kill()
    victim.wait()
    return "kill -9 of a worker"


def _kill_at_accept(shop: Shop, place: Any) -> str:
    """The sink kills a worker when it has written its message down, before it answers."""
    victim = shop.dice.choice(shop.processes)
    place.behave("kill", pid=victim.pid)
    with suppress(subprocess.TimeoutExpired):
        victim.wait(5)
    return "kill -9 of a worker between accept and answer"


def _stop_and_go(shop: Shop, place: Any) -> str:
    victim = shop.dice.choice(shop.processes)
    victim.send_signal(signal.SIGSTOP)
    threading.Timer(shop.dice.uniform(1, 15), lambda: victim.send_signal(signal.SIGCONT)).start()
    return "SIGSTOP of a worker, SIGCONT later"


def _end_sessions(shop: Shop, place: Any) -> str:
    import psycopg

    with suppress(psycopg.Error), psycopg.connect(shop.server.url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
            "AND backend_type = 'client backend'"
        )
    return "all connections to the database ended"


def _kill_server(shop: Shop, place: Any) -> str:
    """A crash of one backend makes the server throw away all of them and go through its log."""
    import psycopg

    with suppress(psycopg.Error), psycopg.connect(shop.server.url, autocommit=True) as connection:
        row = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' LIMIT 1"
        ).fetchone()
        if row is not None:
            os.kill(row[0], signal.SIGKILL)
    return "kill -9 in the database, which recovers"


# --- the end ---------------------------------------------------------------------------------------------------------


def _beating(app: App) -> bool:
    return _one(app, "SELECT count(*) FROM worker WHERE stopped_at IS NULL AND lost_at IS NULL") > 0


def _one(app: App, query: str) -> int:
    for _ in range(100):
        with suppress(DBAPIError), app.database.reading() as connection:
            return int(connection.execute(text(query)).scalar_one())
        _pause(0.3)
    raise SystemExit("the database does not answer any more")


def _drain(shop: Shop, app: App) -> float | None:
    """Seconds until nobody waits for anything; None when that did not come."""
    began = time.monotonic()
    while time.monotonic() - began < DRAIN:
        for process in [one for one in shop.processes if one.poll() is not None]:
            shop.processes.remove(process)
            shop.start()
        if not _one(app, "SELECT count(*) FROM enrollment WHERE active AND failures < 3") and not _one(
            app, "SELECT count(*) FROM batch WHERE open"
        ):
            return time.monotonic() - began
        _pause(0.5)
    return None


def _end(shop: Shop) -> None:
    for process in shop.processes:
        process.send_signal(signal.SIGCONT)
        process.terminate()
    for process in shop.processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(40)
        process.kill()
        process.wait()


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def _until(holds: Callable[[], bool], seconds: float, otherwise: str) -> None:
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > seconds:
            raise SystemExit(otherwise)
        _pause(0.2)


# --- the figures -----------------------------------------------------------------------------------------------------


def _figures(shop: Shop, app: App, wanted: argparse.Namespace, drained: float | None) -> dict[str, Any]:
    lines = shop.accepted()
    taken = Counter(key for kind, _, key, _ in lines if kind == "accepted")
    bytes_of: dict[str, set[str]] = {}
    for _, _, key, digest in lines:
        bytes_of.setdefault(key, set()).add(digest)
    with app.database.reading() as connection:
        rows = connection.execute(
            text(
                "SELECT m.key, m.customer_id, (SELECT d.kind FROM delivery d WHERE d.message_id = m.id "
                "ORDER BY d.weight DESC LIMIT 1) AS kind, m.state, m.created_at FROM message m"
            )
        ).all()
        aside = connection.execute(text("SELECT count(*) FROM enrollment WHERE failures >= 3 AND active")).scalar_one()
    known = {row.key: row.kind or row.state for row in rows}
    unknown = [key for key, kind in known.items() if kind == "unknown"]
    waiting = [key for key, kind in known.items() if kind in ("queued", "begun", "retry", "held")]
    said = [key for key, kind in known.items() if kind == "accepted" and key not in taken]
    counted = Counter(row.customer_id for row in rows if row.key in taken)  # all in one day
    return {
        "database": shop.database,
        "provider": shop.provider,
        "workers": wanted.workers if shop.server is not None else 1,
        "in_flight": IN_FLIGHT,
        "seed": wanted.seed,
        "blows": dict(sorted(Counter(blow.what for blow in shop.blows).items())),
        "orders": shop.orders,
        "messages": len(known),
        "accepts": sum(taken.values()),
        "duplicates": sum(count - 1 for count in taken.values()),
        "changed_bytes": sum(len(found) > 1 for found in bytes_of.values()),
        "repeats_recognised": sum(kind == "repeated" for kind, *_ in lines),
        "accepted_without_row": len(taken.keys() - known.keys()),
        "told_accepted_but_not": len(said),
        "lost": len(waiting) + len(said),
        "unknown": len(unknown),
        "unknown_that_arrived": sum(key in taken for key in unknown),
        "dead": sum(kind == "dead" for kind in known.values()),
        "set_aside": aside,
        "caps_broken": sum(count > CAP for count in counted.values()),
        "drained_in": None if drained is None else round(drained, 1),
        **_recovery(shop, [at for _, at, *_ in lines]),
    }


def _recovery(shop: Shop, accepts: Sequence[float]) -> dict[str, Any]:
    """How long after each blow the next message left, by kind of blow."""
    found: dict[str, list[float]] = {}
    for blow in shop.blows:
        after = [at for at in accepts if at > blow.at]
        if after:
            found.setdefault(blow.what, []).append(min(after) - blow.at)
    return {
        "recovery": {
            what: {"median": round(sorted(times)[len(times) // 2], 1), "longest": round(max(times), 1)}
            for what, times in sorted(found.items())
        }
    }


def wrong(report: Mapping[str, Any]) -> list[str]:
    """What must be nothing and is not."""
    zero = ["duplicates", "changed_bytes", "accepted_without_row", "told_accepted_but_not", "lost", "caps_broken"]
    found = [name for name in zero if report[name]]
    if report["drained_in"] is None:
        found.append("drained_in")
    most = report["in_flight"] * sum(count for what, count in report["blows"].items())
    if report["unknown"] > most:
        found.append("unknown")
    return found


def told(report: Mapping[str, Any]) -> str:
    lines = []
    for name, value in report.items():
        shown = ", ".join(f"{key}: {one}" for key, one in value.items()) if isinstance(value, dict) else value
        lines.append(f"{name.replace('_', ' '):<24}{shown}")
    bad = wrong(report)
    lines.append("as it must be" if not bad else f"NOT AS IT MUST BE: {', '.join(bad)}")
    return "\n".join(lines)


def page(path: Path, report: Mapping[str, Any]) -> None:
    path.write_text("# The crash ledger\n\n```\n" + told(report) + "\n```\n")


if __name__ == "__main__":
    main()

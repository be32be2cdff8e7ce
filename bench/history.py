"""Does the past slow down the present? The same work with 20 old messages and 10 old events a person, and without.

python3 dev.py bench --history 1 [--on postgresql]      a million people, 20,000,000 messages, 10,000,000 events

Old ways are full: an enrollment, a touch, a message, its body, two deliveries and a line of the story each. Half of
them went through the very journey that is measured, which lets people in again and again.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import Column, Connection, Table, cast, func, insert, literal, select

from bench.people import NOW
from bench.product import SHOP
from bench.segments import served
from channels.contract import Answer, Features, Outgoing, Provider, Sent
from engine.app import App, build_app
from engine.cli.main import FEWER_COLLECTIONS
from engine.clock import ManualClock
from engine.decide.outcome import DeliveryKind, weight
from engine.store import customers, tables
from engine.store.database import Database
from engine.store.messages import pack
from engine.store.tables import Row, put, raise_counter, take_ids
from engine.work.advance import advance
from engine.work.entering.pages import enter_page
from engine.work.entering.waves import Entered, plan_waves
from engine.work.incoming.intake import NewEvent, record_events
from engine.work.publishing.drafts import load_drafts, publish
from engine.work.recovery import recover
from engine.work.sending.dispatch import dispatch
from engine.work.tick import next_due, tick

WAYS, EVENTS, ORDERS = 20, 10, 3  # of each person: old ways, old events, orders of this year
FIRST, APART = timedelta(days=20), timedelta(days=18)  # how long ago the last old way was, and between two
OLDEST = timedelta(days=400)  # old events are older than the year that the segment looks at
PAGE = 20_000
BATCH = 500
BEATS, CHUNKS, CHUNK = 20, 10, 500
BIGINT, TEXT, JSON = tables.message.c.id.type, tables.message.c.step.type, tables.message.c.detail.type
INSTANT = tables.message.c.due_at.type
JOURNEY = """
title: A statement to everybody who came back
owner: bench
topic: care
enter: {every: month, on: 2, at: "09:00", zone: UTC, segment: regulars}
again: always
steps:
  - {send: statement, via: [email]}
"""


# --- both sides ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Took:
    """What one part of the work took, for each of so many: microseconds of the clock and of cores."""

    part: str
    count: int
    wall: float
    busy: float


def main(millions: float, database: str, people: int) -> None:
    """Fill two databases, measure the same work in each in a process of its own, set them side by side."""
    count = round(millions * 1_000_000)
    print(f"{count:,} people, with {count * WAYS:,} old messages and {count * EVENTS:,} old events, and without\n")
    with tempfile.TemporaryDirectory(prefix="outreach-bench-", dir=os.environ.get("TMPDIR")) as name:
        found = {}
        for full in (False, True):
            home = Path(name) / ("with" if full else "without")
            home.mkdir()
            with served(database, home) as url:
                began = time.perf_counter()
                app = shop(home / "shop", url)
                fill(app.database, count)
                if full:
                    fill_history(app, count)
                settle(app.database)
                app.close()
                size = sum(one.stat().st_size for one in home.rglob("*") if one.is_file()) / 1e9
                print(f"filled in {time.perf_counter() - began:,.0f} s: {size:.1f} GB", flush=True)
                found[full] = measured(home / "shop", url, people)
            shutil.rmtree(home, ignore_errors=True)
    _side_by_side(found[False], found[True])
    if found[True]["rows"]:
        _on_disk(found[True])


def measured(folder: Path, url: str | None, people: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.history", str(folder), url or "-", str(people)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _side_by_side(without: dict[str, Any], full: dict[str, Any]) -> None:
    print(f"\n{'us of cores each, process and server':<52}{'without':>10}{'with':>10}{'times':>8}   by the clock")
    for part, one in without["parts"].items():
        other = full["parts"][part]
        clock = f"{one['wall']:,.0f} -> {other['wall']:,.0f}"
        print(f"  {part:<50}{one['busy']:>10,.0f}{other['busy']:>10,.0f}{other['busy'] / one['busy']:>8.2f}   {clock}")
    print(f"  {'most memory of the process, MiB':<50}{without['peak']:>10,.0f}{full['peak']:>10,.0f}")


def _on_disk(full: dict[str, Any]) -> None:
    """What PostgreSQL keeps, and what it writes on the way."""
    print(f"\n{'with, on PostgreSQL':<52}{'log, B':>10}{'server, us':>12}{'outreach, us':>14}")
    for part, one in full["parts"].items():
        print(f"  {part:<50}{one['log']:>10,.0f}{one['server']:>12,.0f}{one['busy'] - one['server']:>14,.0f}")
    print(f"\n{'rows':<52}{'bytes':>10}{'indexes':>12}")
    for name, (whole, indexes) in full["rows"].items():
        print(f"  {name:<50}{whole:>10,.0f}{indexes:>12,.0f}")


# --- the work --------------------------------------------------------------------------------------------------------


class Taker(Provider):
    """Takes everything at once: what is measured is our side."""

    name = "taker"
    channels: ClassVar[frozenset[str]] = frozenset({"email"})
    features = Features(in_flight=500)

    def configure(self, options: Any, env: Any, home: Path) -> None:
        """It has no options."""

    def describe(self) -> str:
        return "takes everything"

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Answer]:
        return [Sent(f"t-{one.message_id}") for one in batch]


def measure(folder: Path, url: str | None, people: int) -> dict[str, Any]:
    """The work of a day in a database that is there: its parts, and the most memory that it took."""
    gc.set_threshold(*FEWER_COLLECTIONS)
    clock = ManualClock(NOW - timedelta(hours=2))
    app = open_shop(folder, url, clock)
    app.providers["email"] = Taker("email", {}, {})
    with app.database.reading() as connection:
        rules, all_of_them = app.rules(connection), customers.count(connection)
    needs = app.needs(rules)
    found: dict[str, dict[str, float]] = {}
    server, log = _server(app.database), _log(app.database)

    def part(name: str, count: int, work: Callable[[], object]) -> None:
        written, began, ours, theirs = log(), time.perf_counter(), time.process_time(), server()
        done = work()
        wall, used, served = time.perf_counter() - began, time.process_time() - ours, server() - theirs
        count = done if isinstance(done, int) else count
        found[name] = {
            **{"wall": wall / count * 1e6, "busy": (used + served) / count * 1e6, "server": served / count * 1e6},
            "log": (log() - written) / count,
        }

    def beats() -> None:
        for _ in range(BEATS):
            clock.move_to(clock.now() + timedelta(seconds=2))
            tick(app)

    def intake() -> None:
        for chunk in range(CHUNKS):
            record_events(app, rules, needs, [news(clock, chunk * CHUNK + nth, all_of_them) for nth in range(CHUNK)])

    def wave() -> int:
        entered, looked = Entered(), 0
        plan_waves(app, rules, clock.now(), entered)
        while looked < people:
            done = enter_page(app, rules, needs, clock.now(), entered) or advance(app, rules, needs, clock.now())
            if done is None:
                break
            looked = entered.entered
        return looked

    def leave() -> int:
        left = 0
        while (done := dispatch(app, rules)).any:
            left += done.accepted
        return left

    part("a start: what the last end left behind", 1, lambda: recover(app, clock.now()))
    part("a beat in which nothing is due", BEATS, beats)
    part("when the next beat has something to do", 5, lambda: [next_due(app, clock.now()) for _ in range(5)])
    part("an event taken in", CHUNKS * CHUNK, intake)
    clock.move_to(NOW)
    part("a person entered, decided, rendered, written", 1, wave)
    part("a message judged, handed over, settled", 1, leave)
    rows = _sizes(app.database)
    app.close()
    return {"parts": found, "peak": _peak(), "rows": rows}


def _peak() -> float:
    """The most memory this process ever held, MiB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def news(clock: ManualClock, nth: int, people: int) -> NewEvent:
    """What people do comes from anybody: no two events in a row are of neighbours."""
    person = 1 + nth * 2_654_435_761 % people
    return NewEvent(f"N{nth}", f"P{person}", "Page Viewed", clock.now(), {"page": "/tea"})


def _server(database: Database) -> Callable[[], float]:
    """Seconds of cores that the PostgreSQL under this database has used; of SQLite none, it is in our process."""
    if database.is_sqlite:
        return lambda: 0.0
    with database.reading() as connection:
        mine = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    parent = int(Path(f"/proc/{mine}/stat").read_text().rsplit(")", 1)[1].split()[1])
    tick_ = os.sysconf("SC_CLK_TCK")

    def used() -> float:
        total = 0
        for each in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                pid, rest = each.parent.name, each.read_text().rsplit(")", 1)[1].split()
                if int(pid) == parent:
                    total += int(rest[13]) + int(rest[14])  # of its children that have ended
                elif int(rest[1]) == parent:
                    total += int(rest[11]) + int(rest[12])
        return total / tick_

    return used


def _log(database: Database) -> Callable[[], float]:
    """Bytes that PostgreSQL has written to its log so far; of SQLite none are counted."""

    def written() -> float:
        with database.reading() as connection:
            return float(connection.exec_driver_sql("SELECT pg_current_wal_lsn() - '0/0'").scalar_one())

    return (lambda: 0.0) if database.is_sqlite else written


def _sizes(database: Database) -> dict[str, tuple[float, float]]:
    """Bytes of a row of the tables that grow, and how many of them are indexes."""
    if database.is_sqlite:
        return {}
    sizes = "SELECT pg_total_relation_size(%s), pg_indexes_size(%s), (SELECT count(*) FROM {})"
    found = {}
    with database.reading() as connection:
        for name in ("enrollment", "touch", "message", "body", "delivery", "trace", "event", "customer", "consent"):
            whole, indexes, rows = connection.exec_driver_sql(sizes.format(name), (name, name)).one()
            found[name] = whole / rows, indexes / rows
    return found


# --- the shop and its past -------------------------------------------------------------------------------------------


def shop(folder: Path, url: str | None) -> App:
    shutil.copytree(SHOP, folder)
    (folder / "journeys" / "statement.yaml").write_text(JOURNEY, encoding="utf-8")
    with (folder / "config.yaml").open("a", encoding="utf-8") as config:
        config.write("channels: {email: {provider: maildir, folder: outbox, sender: hello@shop.example.com}}\n")
    app = open_shop(folder, url, ManualClock(NOW - timedelta(days=1)))
    drafts = load_drafts(app)
    if drafts.errors:
        raise SystemExit("\n".join(map(str, drafts.errors)))
    publish(app, drafts, ["statement"])
    return app


def open_shop(folder: Path, url: str | None, clock: ManualClock) -> App:
    env = {"OUTREACH_SECRET": "a secret of the measurement"}
    return build_app(folder / "config.yaml", clock=clock, database=url, env=env)


def fill(database: Database, count: int) -> None:
    """People with a yes, and the orders of this year."""
    for table, rows in (
        (tables.customer, _people(count)),
        (tables.consent, _yes(count)),
        (tables.event, _orders(count)),
    ):
        while page := list(islice(rows, PAGE)):
            with database.writing() as connection:
                for number, row in zip(take_ids(connection, table, len(page)), page, strict=True):
                    row["id"] = number
                put(connection, table, page)


def _people(count: int) -> Iterator[Row]:
    for number in range(1, count + 1):
        yield {
            **{"external_id": f"P{number}", "zone": "Asia/Shanghai", "locale": "en", "country": "CN", "live": False},
            "created_at": NOW - timedelta(days=900, seconds=number % 86_400),
            "addresses": {"email": f"person{number}@example.com"},
            "attributes": {"first_name": "Mei"},
            "tags": {},
        }


def _yes(count: int) -> Iterator[Row]:
    at = NOW - timedelta(days=900)
    kept = {"channel": "email", "topic": "*", "purpose": "marketing", "granted": True, "source": "bench"}
    for number in range(1, count + 1):
        yield {"customer_id": number, "at": at, "recorded_at": at, "wording": "", **kept}


def _orders(count: int) -> Iterator[Row]:
    for number in range(1, count + 1):
        for nth in range(ORDERS):
            at = NOW - timedelta(days=5 + (number * 31 + nth * 97) % 330)
            yield {
                **{"customer_id": number, "external_id": f"A{number:08}-{nth}", "name": "Order Completed", "at": at},
                "payload": {"total": 20.0 + number % 100, "currency": "CNY", "category": "tea"},
                **{"received_at": at, "body_hash": "", "live": False},
            }


def fill_history(app: App, count: int) -> None:
    """By INSERT ... SELECT, without the indexes, which are made at the end."""
    with app.database.reading() as connection:
        version = app.rules(connection).live["statement"]
    dropped = _drop_indexes(app.database)
    for nth in reversed(range(WAYS)):
        with app.database.writing() as connection:
            _old_way(connection, count, nth, version)
    for nth in range(EVENTS):
        with app.database.writing() as connection:
            _old_event(connection, count, nth)
    for sql in dropped:
        with app.database.writing() as connection:
            connection.exec_driver_sql(sql)


def _drop_indexes(database: Database) -> list[str]:
    """Those of the large tables that no key needs; the statements that make them again."""
    grows = ("enrollment", "touch", "message", "delivery", "trace", "event")
    with database.writing() as connection:
        if database.is_sqlite:
            asked = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = ?"
        else:
            asked = (
                "SELECT i.indexname, i.indexdef FROM pg_indexes i WHERE i.tablename = %s AND NOT EXISTS "
                "(SELECT 1 FROM pg_constraint c WHERE c.conname = i.indexname)"
            )
        found = [row for table in grows for row in connection.exec_driver_sql(asked, (table,)).all()]
        for name, _ in found:
            connection.exec_driver_sql(f'DROP INDEX "{name}"')
    return [sql for _, sql in found]


def _values(table: Table, number: Any, given: dict[str, Any]) -> tuple[list[Column[Any]], list[Any]]:
    columns = {next(iter(table.primary_key.columns)).name: number, **given}
    chosen = [table.c[name] for name in columns]
    values = [
        value if hasattr(value, "compile") else literal(value, table.c[name].type) for name, value in columns.items()
    ]
    return chosen, values


def _insert(connection: Connection, table: Table, count: int, per_person: int, given: dict[str, Any]) -> None:
    """One row for each person, or `per_person`, numbered from the next free id on."""
    first = raise_counter(connection, table, count * per_person)[0]
    for nth in range(per_person):
        mine = {name: value[nth] if isinstance(value, list) else value for name, value in given.items()}
        number = tables.customer.c.id * per_person + (first - per_person + nth)
        columns, values = _values(table, number, mine)
        connection.execute(insert(table).from_select(columns, select(*values).order_by(tables.customer.c.id)))


def _old_way(connection: Connection, count: int, nth: int, version: int) -> None:
    """One way of everybody, that began so long ago."""
    at = NOW - FIRST - nth * APART
    person = tables.customer.c.id
    journey = "statement" if nth % 2 else "welcome"
    planned = f"{at:%Y-%m-%dT%H:%M}"
    first = {table: _next(connection, table) for table in (tables.enrollment, tables.touch, tables.message)}
    way, touch, said = (person + (first[table] - 1) for table in first)
    batches = take_ids(connection, tables.batch, count // BATCH + 1)
    rows = (
        {"id": number, "channel": "email", "lane": "email", "due_at": at, "open": False}
        | {"deaths": 0, "stuck": 0, "urgent": False}
        for number in batches
    )
    put(connection, tables.batch, list(rows))
    _insert(
        connection,
        tables.enrollment,
        count,
        1,
        {
            **{"customer_id": person, "journey": journey, "version_id": version, "key": planned, "entered_at": at},
            **{"holdout": False, "step": None, "visit": 1, "arrived_at": at, "active": False, "reason": "finished"},
            **{"ended_at": at, "data": {}, "started_by": "", "failures": 0, "trimmed": False},
        },
    )
    stands = {"step": "send-statement", "visit": 1}
    _insert(connection, tables.touch, count, 1, {"customer_id": person, "enrollment_id": way, **stands})
    hashed = func.substr(literal("0123456789abcdef") + cast(person, TEXT) + literal("0123456789abcdef"), 1, 32)
    _insert(
        connection,
        tables.message,
        count,
        1,
        {
            **{
                "customer_id": person,
                "touch_id": touch,
                "enrollment_id": way,
                "batch_id": person // BATCH + batches[0],
            },
            **{"journey": journey, **stands, "wish": 0, "channel": "email", "message": "statement", "locale": "en"},
            **{"parts": 1, "topic": "care", "marketing": True, "priority": 0, "tags": "", "key": hashed},
            **{"address_hash": hashed, "due_at": at, "send_by": at + timedelta(hours=12), "created_at": at},
            **{"state": "queued", "reason": None, "rule": None, "detail": {}},
        },
    )
    content = pack(b'{"channel":"email","subject":"A statement","html":"<p>Thank you</p>","text":"Thank you"}')
    columns, values = _values(tables.body, said, {"content": content, "hash": "0123456789abcdef0123456789abcdef"})
    connection.execute(insert(tables.body).from_select(columns, select(*values).order_by(person)))
    kinds = (DeliveryKind.begun, DeliveryKind.accepted)
    _insert(
        connection,
        tables.delivery,
        count,
        2,
        {
            **{"message_id": said, "customer_id": person, "attempt": 1, "at": at, "token": "0123456789abcdef"},
            **{"kind": [kind.value for kind in kinds], "weight": [weight(kind, 1) for kind in kinds]},
            **{"provider": "taker", "provider_id": "t-1"},
        },
    )
    _insert(
        connection,
        tables.trace,
        count,
        1,
        {
            **{"customer_id": person, "enrollment_id": way, "journey": journey, "version_id": version, "at": at},
            **{"step": "send-statement", "rule": "sent", "sentence": "statement by email", "detail": {}},
        },
    )


def _next(connection: Connection, table: Table) -> int:
    counter = tables.counter
    return connection.execute(select(counter.c.next).where(counter.c.kind == table.name)).scalar() or 1


def _old_event(connection: Connection, count: int, nth: int) -> None:
    at = NOW - OLDEST - nth * APART
    person = tables.customer.c.id
    name, payload = ("Page Viewed", {"page": "/tea"}) if nth % 2 else ("Order Completed", {"total": 20.0})
    given = {"name": name, "at": at, "received_at": at, "payload": payload, "body_hash": "", "live": False}
    outside = literal(f"H{nth}-") + cast(person, TEXT)
    _insert(connection, tables.event, count, 1, {"customer_id": person, "external_id": outside, **given})


def settle(database: Database) -> None:
    """What a database does by itself in the course of time."""
    if database.is_sqlite:
        return
    with database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM ANALYZE")


if __name__ == "__main__":
    place, address, wanted = sys.argv[1:]
    print(json.dumps(measure(Path(place), None if address == "-" else address, int(wanted))))

"""outreach itself over the same people and the same mail: a whole wave, from who enters to what the server took."""

from __future__ import annotations

import gc
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path

from bench import postgres, sink, sink_http
from bench.measure import Stopwatch, report
from bench.people import NOW, Person, people
from engine.app import App, build_app
from engine.cli.main import FEWER_COLLECTIONS
from engine.clock import ManualClock
from engine.needs import needs_of
from engine.store import customers, events
from engine.store.tables import Row
from engine.work.advance import advance
from engine.work.entering.pages import enter_page
from engine.work.entering.waves import Entered, plan_waves
from engine.work.publishing.drafts import load_drafts, publish
from engine.work.sending.dispatch import dispatch

SHOP = Path(__file__).parent / "shop"
SINKHOLE = Path(__file__).parent / "sinkhole"
PAGE = 5_000
SMTP = """
channels:
  email:
    provider: smtp
    host: 127.0.0.1
    port: {port}
    mode: plain
    sender: hello@shop.example.com
    sender_name: Lumen
    connections: {connections}
    in_flight: {in_flight}
"""
HTTP = """
channels:
  email: {{provider: {provider}, url: "{url}"}}
"""


@dataclass(frozen=True)
class Bench:
    """What a part works with."""

    folder: Path
    watch: Stopwatch
    count: int
    url: str | None  # of a database on a server; None: SQLite


def main(part: str, count: int, database: str = "sqlite") -> None:
    gc.set_threshold(*FEWER_COLLECTIONS)  # as the command does
    report(lambda folder, watch: measure(part, folder, watch, count, database))


def measure(part: str, folder: Path, watch: Stopwatch, count: int, database: str = "sqlite") -> int:
    if database == "sqlite":
        return PARTS[part](Bench(folder, watch, count, None))
    with postgres.running(folder) as server:
        watch.beside = server.busy
        return PARTS[part](Bench(folder, watch, count, server.url))


def plan(bench: Bench) -> int:
    """Enter the wave, decide, render, write down; nothing leaves."""
    app = shop(bench)
    with bench.watch.running():
        queued = _plan(app)
    app.close()
    return queued


def smtp(bench: Bench, connections: int = 16, in_flight: int = 32, pipelining: bool = False) -> int:
    """Hand over what was queued: judged at the door, two commits, real sockets."""
    with sink.running(pipelining=pipelining) as place:
        channel = SMTP.format(port=place.port, connections=connections, in_flight=in_flight)
        _hand_over(shop(bench, channel), bench.watch)
        return place.taken()


def streams(bench: Bench) -> int:
    """The same, to a server that offers PIPELINING; as many between two commits as in the raw loop."""
    return smtp(bench, connections=4, in_flight=500, pipelining=True)


def few_streams(bench: Bench) -> int:
    """The same, with as many on their way as where nothing is said."""
    return smtp(bench, connections=4, pipelining=True)


def http(bench: Bench) -> int:
    """The same, one message a request."""
    with over_http("sink_blind") as (place, channel):
        _hand_over(shop(bench, channel), bench.watch)
        return place.taken()


def batch(bench: Bench) -> int:
    """The same, 500 messages a request."""
    with over_http("sink_batch") as (place, channel):
        _hand_over(shop(bench, channel), bench.watch)
        return place.taken()


def wave(bench: Bench, provider: str = "sink_blind", to_the_end: bool = False) -> int:
    """All of it, one message a request: from who enters to what the service took."""
    with over_http(provider) as (place, channel):
        app = shop(bench, channel)
        app.provider("email")
        with bench.watch.running():
            _plan(app)
            _send(app)
            if to_the_end:
                _plan(app)
        app.close()
        return place.taken()


def whole_wave(bench: Bench) -> int:
    """And what follows for each of them, until nobody has a way to go: what processes do by themselves."""
    return wave(bench, to_the_end=True)


def great_wave(bench: Bench) -> int:
    """All of it, 500 messages a request."""
    return wave(bench, "sink_batch")


@contextmanager
def over_http(provider: str) -> Iterator[tuple[sink_http.Place, str]]:
    """The sink, and the channel that leads to it."""
    sys.path.append(str(SINKHOLE))
    with sink_http.running() as place:
        yield place, HTTP.format(provider=provider, url=place.url)


def _hand_over(app: App, watch: Stopwatch) -> None:
    _plan(app)
    app.provider("email")  # what it stands on is imported with it
    with watch.running():
        _send(app)
    app.close()


def _send(app: App) -> None:
    with app.database.reading() as connection:
        rules = app.rules(connection)
    while dispatch(app, rules).any:
        pass


PARTS = {part.__name__: part for part in (plan, smtp, streams, few_streams, http, batch, wave, whole_wave, great_wave)}


def _plan(app: App) -> int:
    with app.database.reading() as connection:
        rules = app.rules(connection)
    needs = needs_of(rules, app.texts)
    now = app.clock.now()
    entered = Entered()
    plan_waves(app, rules, now, entered)
    queued = 0
    while (done := enter_page(app, rules, needs, now, entered) or advance(app, rules, needs, now)) is not None:
        queued += done.queued
    return queued


# --- the shop --------------------------------------------------------------------------------------------------------


def shop(bench: Bench, channel: str = SMTP.format(port=25, connections=8, in_flight=32)) -> App:
    """The shop of the measurement with so many people, its journey published, a moment after the wave is due."""
    config = home_of(bench, channel) / "config.yaml"
    clock = ManualClock(NOW - timedelta(days=1))
    app = build_app(config, clock=clock, database=bench.url, env={"OUTREACH_SECRET": "a secret of the measurement"})
    fill(app, bench.count)
    drafts = load_drafts(app)
    if drafts.errors:
        raise SystemExit("\n".join(str(problem) for problem in drafts.errors))
    publish(app, drafts, ["statement"])
    clock.move_to(NOW)
    if not app.database.is_sqlite:
        with app.database.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("ANALYZE")
    return app


def home_of(bench: Bench, channel: str) -> Path:
    """A folder with the shop's files."""
    home = bench.folder / "shop"
    shutil.copytree(SHOP, home)
    with (home / "config.yaml").open("a", encoding="utf-8") as file:
        file.write(channel)
    return home


def fill(app: App, count: int) -> None:
    everybody = people(count)
    while page := list(islice(everybody, PAGE)):
        with app.database.writing() as connection:
            customers.upsert(connection, [_customer(person) for person in page])
            customers.record_consents(connection, [_consent(person) for person in page], NOW)
            events.record(connection, _orders(page))


def _customer(person: Person) -> Row:
    return {
        "external_id": f"P{person.id}",
        "zone": person.zone,
        "locale": person.locale,
        "country": person.country,
        "created_at": NOW - timedelta(days=400),
        "addresses": {"email": person.email},
        "attributes": {"first_name": person.first_name},
    }


def _consent(person: Person) -> Row:
    return {
        "customer_id": person.id,
        "channel": "email",
        "topic": "*",
        "purpose": "marketing",
        "granted": True,
        "at": NOW - timedelta(days=400),
        "source": "bench",
        "wording": "",
    }


def _orders(page: Sequence[Person]) -> list[Row]:
    return [
        {
            "customer_id": person.id,
            "external_id": order.id,
            "name": "Order Completed",
            "at": order.at,
            "received_at": order.at,
            "payload": {
                "order_id": order.id,
                "total": float(order.total),
                "currency": "CNY",
                "category": order.category,
            },
            "body_hash": "",
        }
        for person in page
        for order in person.orders
    ]


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])

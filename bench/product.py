"""outreach itself over the same people and the same mail: a whole wave, from who enters to what the server took."""

from __future__ import annotations

import gc
import shutil
import sys
from collections.abc import Sequence
from datetime import timedelta
from itertools import islice
from pathlib import Path

from bench import sink, sink_http
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
"""
HTTP = """
channels:
  email: {{provider: {provider}, url: "{url}"}}
"""


def main(part: str, count: int) -> None:
    gc.set_threshold(*FEWER_COLLECTIONS)  # as the command does
    report(lambda folder, watch: PARTS[part](folder, watch, count))


def plan(folder: Path, watch: Stopwatch, count: int) -> int:
    """Enter the wave, decide, render, write down; nothing leaves."""
    app = shop(folder, count)
    with watch.running():
        queued = _plan(app)
    app.close()
    return queued


def smtp(folder: Path, watch: Stopwatch, count: int, connections: int = 16, pipelining: bool = False) -> int:
    """Hand over what was queued: judged at the door, two commits, real sockets."""
    with sink.running(pipelining=pipelining) as place:
        _hand_over(shop(folder, count, SMTP.format(port=place.port, connections=connections)), watch)
        return place.taken()


def streams(folder: Path, watch: Stopwatch, count: int) -> int:
    """The same, to a server that offers PIPELINING."""
    return smtp(folder, watch, count, connections=4, pipelining=True)


def http(folder: Path, watch: Stopwatch, count: int) -> int:
    """The same, one message a request."""
    return _over_http("sink_blind", folder, watch, count)


def batch(folder: Path, watch: Stopwatch, count: int) -> int:
    """The same, 500 messages a request."""
    return _over_http("sink_batch", folder, watch, count)


def _over_http(provider: str, folder: Path, watch: Stopwatch, count: int) -> int:
    sys.path.append(str(SINKHOLE))
    with sink_http.running() as place:
        _hand_over(shop(folder, count, HTTP.format(provider=provider, url=place.url)), watch)
        return place.taken()


def _hand_over(app: App, watch: Stopwatch) -> None:
    _plan(app)
    app.provider("email")  # what it stands on is imported with it
    with app.database.reading() as connection:
        rules = app.rules(connection)
    with watch.running():
        while dispatch(app, rules, app.clock.now()).any:
            pass
    app.close()


PARTS = {"plan": plan, "smtp": smtp, "streams": streams, "http": http, "batch": batch}


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


def shop(folder: Path, count: int, channel: str = SMTP.format(port=25, connections=8)) -> App:
    """The shop of the measurement with so many people, its journey published, a moment after the wave is due."""
    home = folder / "shop"
    shutil.copytree(SHOP, home)
    config = home / "config.yaml"
    with config.open("a", encoding="utf-8") as file:
        file.write(channel)
    clock = ManualClock(NOW - timedelta(days=1))
    app = build_app(config, clock=clock, env={"OUTREACH_SECRET": "a secret of the measurement"})
    _fill(app, count)
    drafts = load_drafts(app)
    if drafts.errors:
        raise SystemExit("\n".join(str(problem) for problem in drafts.errors))
    publish(app, drafts, ["statement"])
    clock.move_to(NOW)
    return app


def _fill(app: App, count: int) -> None:
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
    main(sys.argv[1], int(sys.argv[2]))

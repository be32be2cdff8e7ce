"""One run: a shop that works under blows, until all has come to rest; then it is counted."""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from bench import sink, sink_http
from engine.app import App
from engine.clock import SystemClock
from tests.proxy import proxy

from . import shop as shops
from .blows import Stage, deck
from .counting import Blow, Figures, Line, Rules, Told, count, taken_up, wrong
from .homes import disk_in, server_in
from .shop import Shop, ask, one

TRIES = 3  # a blow may find nobody to hit
DRAIN = 300.0  # seconds everything may take to come to rest at the end
START = 60.0  # seconds the first worker may take
UNDISTURBED = 0.6  # the part of the blows after which the next one waits until all is taken up again
RECOVERED = 40.0  # seconds for which it waits: more than is accepted

_KIND = "(SELECT d.kind FROM delivery d WHERE d.message_id = m.id ORDER BY d.weight DESC, d.id DESC LIMIT 1)"
_MESSAGES = f"""
    SELECT m.key, m.message, c.external_id, e.data, {_KIND} AS kind, m.state, m.rule, m.reason, m.created_at
    FROM message m JOIN enrollment e ON e.id = m.enrollment_id JOIN customer c ON c.id = m.customer_id
"""
_ASIDE = """
    SELECT e.journey, c.external_id, e.data FROM enrollment e JOIN customer c ON c.id = e.customer_id
    WHERE e.failures >= 3 AND e.active
"""


def play(folder: Path, wanted: argparse.Namespace) -> dict[str, Any]:
    began, dice = time.monotonic(), random.Random(wanted.seed)
    expected = wanted.kills * wanted.pace * 2 + 10
    with ExitStack() as stack:
        disk = stack.enter_context(disk_in(folder / "disk"))
        running = sink.running if wanted.provider == "smtp" else sink_http.running
        place: Any = stack.enter_context(running(folder / "ledger", mark=shops.MARK))
        server = wire = None
        database = "sqlite:///outreach.db"
        if wanted.database == "postgres":
            server = stack.enter_context(server_in(folder / "disk" / "data"))
            database = server.url
            wire = stack.enter_context(proxy(database))
        border = shops.border_within(SystemClock().now(), expected)
        workers = 1 if wanted.database == "sqlite" else wanted.workers
        shop = Shop(
            folder / "disk" / "shop", folder / "processes.log", wanted.database, workers, wanted.people, dice, border
        )
        databases = {"near.yaml": database, "config.yaml": database if wire is None else wire.url}
        url = "" if wanted.provider == "smtp" else place.url
        shops.furnish(shop, wanted.provider, url, place.port, databases)
        app = shops.opened(shop, "near.yaml")
        stack.callback(app.close)
        shops.publish_all(app)
        shops.move_in(app, shop)
        stage = Stage(shop, app, place, dice, folder, wanted.brief, server, wire, disk)
        drained = _played(stage, wanted)
        lines = list(read(folder / "ledger"))
        told = list(_told(app))
        figures = count(lines, told, shop.asked, _aside(app), _rules(shop), shop.blows)
        figures.passed_on = one(app, "SELECT count(*) FROM delivery WHERE rule = 'passed_on'")
        figures.wrong_rows_after_imports = _wrong_rows(app, shop)
        figures.migrations_unfinished = stage.migrations_unfinished
        if wrong(figures, shop.blows) and wanted.keep:
            app.close()
            if server is not None:
                server.cleanup()
            shutil.copytree(folder, wanted.keep / f"seed{wanted.seed}", ignore=shutil.ignore_patterns(".s.*"))
    return {
        **{"database": wanted.database, "provider": wanted.provider, "workers": workers, "seed": wanted.seed},
        **{"in_flight": shops.IN_FLIGHT, "people": wanted.people, "disk_filled": disk is not None},
        **{"seconds": round(time.monotonic() - began), "came_to_rest_after": drained},
        **{"blows": dict(Counter(blow.kind for blow in shop.blows).most_common())},
        **asdict(figures),
        **{"wrong": [*wrong(figures, shop.blows), *_unplayed(wanted.provider, figures, drained)]},
    }


def _unplayed(provider: str, figures: Figures, drained: float | None) -> Iterator[str]:
    if drained is None:
        yield "it did not come to rest"
    if provider == "lanes" and not figures.passed_on:
        yield "passed on: 0, so nothing was proved"


def _played(stage: Stage, wanted: argparse.Namespace) -> float | None:
    """Deal the blows; seconds until all came to rest afterwards, None when it did not."""
    for _ in range(stage.shop.workers):
        stage.shop.start()
    with _ending(stage.shop):
        with _ordering(stage.shop):
            _deal(stage, wanted)
        return _come_to_rest(stage)


def _deal(stage: Stage, wanted: argparse.Namespace) -> None:
    shop = stage.shop
    _until(lambda: one(stage.app, "SELECT count(*) FROM message") > 0, START)
    for blow in islice(deck(stage), TRIES * wanted.kills):
        threading.Event().wait(stage.dice.uniform(0.4, 1.6) * wanted.pace)
        dealt = blow(stage)
        if dealt is not None:
            shop.blows.append(dealt)
        shop.revive()
        if dealt is not None and stage.dice.random() < UNDISTURBED:
            _let_recover(dealt, stage.folder / "ledger")
        if sys.stderr.isatty():
            print(f"\r{len(shop.blows)} of {wanted.kills} blows", end="", file=sys.stderr)
        if len(shop.blows) == wanted.kills:
            break


def _let_recover(blow: Blow, ledger: Path) -> None:
    began = time.monotonic()
    while time.monotonic() - began < RECOVERED and not taken_up(blow, read(ledger)):
        threading.Event().wait(0.5)


@contextmanager
def _ordering(shop: Shop) -> Iterator[None]:
    """People order as long as the block lasts; when it has ended the last order is in."""
    app, stop = shops.opened(shop, "near.yaml"), threading.Event()
    feeder = threading.Thread(target=shops.keep_ordering, args=(app, shop, stop), name="orders")
    feeder.start()
    try:
        yield
    finally:
        stop.set()
        feeder.join()
        app.close()


@contextmanager
def _ending(shop: Shop) -> Iterator[None]:
    try:
        yield
    finally:
        shop.end()


_BUSY = (
    "SELECT (SELECT count(*) FROM enrollment WHERE active AND failures < 3) + (SELECT count(*) FROM batch WHERE open)"
    " + (SELECT count(*) FROM run WHERE state IN ('taking', 'waiting', 'entering'))"
)


def _come_to_rest(stage: Stage) -> float | None:
    began = time.monotonic()
    while time.monotonic() - began < DRAIN:
        stage.shop.revive()
        if not one(stage.app, _BUSY):
            return round(time.monotonic() - began, 1)
        threading.Event().wait(0.5)
    return None


def _until(holds: Callable[[], bool], seconds: float) -> None:
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > seconds:
            raise SystemExit("no message came about; see processes.log")
        threading.Event().wait(0.2)


# --- what is counted -------------------------------------------------------------------------------------------------


def read(ledger: Path) -> Iterator[Line]:
    """What the sink wrote down."""
    if ledger.exists():
        for line in ledger.read_text(encoding="ascii").splitlines():
            kind, at, key, digest, mark = line.split(" ")
            yield Line(kind, float(at), key, digest, mark)


def _told(app: App) -> Iterator[Told]:
    """Every message, as the product has it."""
    offset = _offset()
    for row in ask(app, _MESSAGES):
        mark = f"{row.message}_{row.external_id}_{_order(row.data)}"
        state = row.kind or row.state
        yield Told(row.key, mark, state, row.external_id, _instant(row.created_at) - offset, _why(row.rule, row.reason))


def _why(rule: str | None, reason: str | None) -> str:
    """What held it back from the beginning."""
    if rule == "capped":
        return "cap"
    return "quiet" if "quiet hours" in (reason or "") else ""


def _aside(app: App) -> set[str]:
    """Marks of the ways that were set aside after three deaths."""
    found = set()
    for journey, person, data in ask(app, _ASIDE):
        kinds = ("note", "thanks") if journey == "note" else (journey,)
        found |= {f"{kind}_{person}_{_order(data)}" for kind in kinds}
    return found


def _order(data: Any) -> str:
    said = json.loads(data) if isinstance(data, str) else data
    return str(said["event"]["order_id"])


def _rules(shop: Shop) -> Rules:
    zones = {f"p{number}": shop.zone_of(f"p{number}") for number in range(shop.people)}
    return Rules(shops.CAP, shop.quiet, zones, SystemClock().now(), time.monotonic())


def _offset() -> float:
    """The instant at which the monotonic clock began, in seconds."""
    return SystemClock().now().timestamp() - time.monotonic()


def _instant(at: Any) -> float:
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _wrong_rows(app: App, shop: Shop) -> int:
    """People of imported files that are missing, or there without having been in one, or twice."""
    there = Counter(name for (name,) in ask(app, "SELECT external_id FROM customer WHERE external_id LIKE 'blow%'"))
    return len(there.keys() ^ shop.imported) + sum(times - 1 for times in there.values())


@contextmanager
def quietly() -> Iterator[None]:
    with suppress(KeyboardInterrupt):
        yield

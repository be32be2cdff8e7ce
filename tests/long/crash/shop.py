"""The shop under test: its files, its people in all zones of the world, and what was asked of it, in our own books."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from engine.app import App, build_app
from engine.clock import SystemClock
from engine.errors import BadInput
from engine.store import customers
from engine.work.incoming.intake import NewEvent, record_events
from engine.work.publishing.drafts import load_drafts, publish

from .counting import MARKETING, Blow
from .processes import state_of

ROOT = Path(__file__).resolve().parents[3]
SINKHOLE = ROOT / "bench" / "sinkhole"
SECRET = "a secret of the crash ledger"
IN_FLIGHT = 32  # messages under way at a time, of each worker
CAP = 3  # marketing messages a day
MARK = r"(note|thanks|bill|wave) p\d+ \w+"  # what a sink writes beside the key; no text has it but in its subject
QUIET_FROM, QUIET_TO = 21, 7  # o'clock; the minutes are those of the border that lies in the run

ZONES = (  # one for each hour, none with a summer time
    *("Pacific/Pago_Pago", "Pacific/Honolulu", "Pacific/Gambier", "Pacific/Pitcairn", "America/Phoenix"),
    *("America/Guatemala", "America/Bogota", "America/Caracas", "America/Sao_Paulo", "Atlantic/South_Georgia"),
    *("Atlantic/Cape_Verde", "Africa/Abidjan", "Africa/Lagos", "Africa/Johannesburg", "Asia/Riyadh", "Asia/Dubai"),
    *("Asia/Karachi", "Asia/Dhaka", "Asia/Bangkok", "Asia/Shanghai", "Asia/Tokyo", "Australia/Brisbane"),
    *("Pacific/Guadalcanal", "Pacific/Tarawa"),
)

CONFIG = """
shop: {{name: Shop, url: "https://shop.example.com", zone: Africa/Abidjan, country: DE, locale: en, currency: EUR,
       address: Example Street 1}}
topics: {{news: {{title: News, purpose: marketing}}, orders: {{title: Orders, purpose: transactional}}}}
channels:
  email: {channel}
policy:
  caps: [{{at_most: {cap}, per: day}}]
  least_gap: 0m
  quiet_hours: {{email: "{quiet}"}}
database: "{database}"
web: {{port: 0}}
beat: 1s
"""
JOURNEYS = {
    "note": """
topic: news
enter: {event: Order Completed}
again: {per: order_id}
steps:
  - send: note
    via: [email]
    give_up_after: 5m
  - send: thanks
    via: [email]
    give_up_after: 5m
""",
    "bill": """
topic: orders
enter: {event: Order Completed}
again: {per: order_id}
steps:
  - send: bill
    via: [email]
""",
    "wave": """
topic: orders
enter: {api: true}
again: {per: order_id}
steps:
  - send: wave
    via: [email]
""",
}
OF_AN_ORDER = ("note", "thanks", "bill")
CHANNELS = {
    "blind": "{{provider: sink_blind, url: '{url}', in_flight: {width}}}",
    "keyed": "{{provider: sink_keyed, url: '{url}', in_flight: {width}}}",
    "lanes": "{{providers: {{fussy: {{provider: sink_fussy, url: '{url}', in_flight: {width}}}, "
    "other: {{provider: sink_blind, url: '{url}', in_flight: {width}, order: 2}}}}}}",
    "smtp": "{{provider: smtp, host: 127.0.0.1, port: {port}, mode: plain, sender: hello@shop.example.com, "
    "in_flight: {width}}}",
}
PARAGRAPH = "<p>Thank you for being with us. This is about {{ event.order_id }}; have a pleasant day.</p>\n"


@dataclass
class Shop:
    """What the ledger plays with."""

    home: Path
    log: Path
    database: str  # sqlite, postgres
    workers: int
    people: int
    dice: random.Random
    border: datetime  # when the night begins for some and ends for others
    asked: set[str] = field(default_factory=set)  # marks of messages that have to come about
    orders: int = 0
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    blows: list[Blow] = field(default_factory=list)
    imported: set[str] = field(default_factory=set)  # people whose import was told as done

    def start(self) -> subprocess.Popen[bytes]:
        """One more worker."""
        process = self.command("daemon" if self.database == "sqlite" else "worker")
        self.processes.append(process)
        return process

    def revive(self) -> None:
        """Whoever died is started again, as a service manager does."""
        for process in [one for one in self.processes if one.poll() is not None]:
            self.processes.remove(process)
            self.start()

    def living(self) -> list[subprocess.Popen[bytes]]:
        """Workers that run, none that is stopped."""
        return [one for one in self.processes if one.poll() is None and state_of(one.pid) not in "TZ"]

    def command(self, *words: str, config: str = "config.yaml") -> subprocess.Popen[bytes]:
        """Any command of outreach, in a process of its own."""
        path = os.pathsep.join([str(SINKHOLE), str(ROOT)])
        env = os.environ | {"OUTREACH_SECRET": SECRET, "PYTHONPATH": path, "LANGUAGE": "en"}
        program = [sys.executable, "-m", "engine.cli.main", "--config", str(self.home / config), *words]
        with self.log.open("ab") as log:
            return subprocess.Popen(program, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def zone_of(self, person: str) -> str:
        """Every fourth sees the night begin in this run, every fourth sees it end; the others live everywhere."""
        number = int(person[1:])
        if number % 4 < 2:
            return self._zone_with(QUIET_FROM if number % 4 else QUIET_TO)
        return ZONES[number // 4 % len(ZONES)]

    def _zone_with(self, hour: int) -> str:
        """Where it is so late at the border."""
        return next(zone for zone in ZONES if self.border.astimezone(ZoneInfo(zone)).hour == hour)

    @property
    def quiet(self) -> tuple[time, time]:
        return time(QUIET_FROM, self.border.minute), time(QUIET_TO, self.border.minute)

    def end(self) -> None:
        """Ask all to end, and see that they do."""
        for process in self.processes:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self.processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(40)
            process.kill()
            process.wait()


def furnish(shop: Shop, provider: str, url: str, port: int, databases: dict[str, str]) -> None:
    """Write the shop's files: one config for each way to its database, by file name."""
    (shop.home / "journeys").mkdir(parents=True)
    for name in ("note", "thanks", "bill", "wave"):
        (shop.home / "templates" / name).mkdir(parents=True)
        marketing = name in MARKETING
        way_out = '<p><a href="{{ links.unsubscribe }}">Unsubscribe</a></p>\n' if marketing else ""
        purpose = "" if marketing else "purpose: transactional\n"
        subject = f"{name} {{{{ person.name }}}} {{{{ event.order_id }}}}"
        page = f"---\nsubject: {subject}\n{purpose}---\n{PARAGRAPH * 8}{way_out}"
        (shop.home / "templates" / name / "email.en.html").write_text(page)
    (shop.home / "journeys" / "audience.yaml").write_text("segments: {}\n")
    for name, journey in JOURNEYS.items():
        (shop.home / "journeys" / f"{name}.yaml").write_text(journey)
    channel = CHANNELS[provider].format(url=url, port=port, width=IN_FLIGHT)
    quiet = "-".join(f"{at:%H:%M}" for at in shop.quiet)
    for file, database in databases.items():
        config = CONFIG.format(channel=channel, database=database, cap=CAP, quiet=quiet)
        (shop.home / file).write_text(config)


def opened(shop: Shop, config: str) -> App:
    """The shop in this process, to look and to feed."""
    if str(SINKHOLE) not in sys.path:
        sys.path.insert(0, str(SINKHOLE))
    try:
        return build_app(shop.home / config, clock=SystemClock(), env={"OUTREACH_SECRET": SECRET})
    except BadInput as error:
        raise SystemExit("\n".join(map(str, [error, *error.problems]))) from None


def publish_all(app: App) -> None:
    drafts = load_drafts(app)
    if drafts.errors:
        raise SystemExit("\n".join(map(str, drafts.errors)))
    publish(app, drafts, list(JOURNEYS))


def move_in(app: App, shop: Shop) -> None:
    """The people, with a yes to news."""
    now = SystemClock().now()
    for start in range(0, shop.people, 500):
        names = [f"p{number}" for number in range(start, min(start + 500, shop.people))]
        with app.database.writing() as connection:
            customers.upsert(connection, [_person(name, shop.zone_of(name), now) for name in names])
            ids = customers.ids_of(connection, names)
            customers.record_consents(connection, [_word(number, now) for number in ids.values()], now)


def _person(name: str, zone: str, now: datetime) -> dict[str, Any]:
    return {
        **{"external_id": name, "zone": zone, "locale": "en", "country": "DE", "created_at": now},
        **{"addresses": {"email": f"{name}@example.com"}, "attributes": {"name": name}},
    }


def _word(number: int, now: datetime) -> dict[str, Any]:
    return {
        **{"customer_id": number, "channel": "email", "topic": "*", "purpose": "marketing", "granted": True},
        **{"at": now, "source": "crash ledger", "wording": ""},
    }


def border_within(now: datetime, seconds: float) -> datetime:
    """A full minute that lies well inside the run, or else the one before it."""
    border = (now + timedelta(seconds=seconds * 0.6)).replace(second=0, microsecond=0)
    return border


# --- orders ----------------------------------------------------------------------------------------------------------

EVERY = 0.5  # seconds
AT_A_TIME = 20  # orders
PASSING = 150  # people who order at a time: each orders often, then others do


def keep_ordering(app: App, shop: Shop, stop: threading.Event) -> None:
    """People order all the time; an order that the database did not take is told again."""
    dice = random.Random(shop.people)
    while not stop.wait(EVERY):
        take(app, shop, list(_orders(shop, dice)), stop)


def _orders(shop: Shop, dice: random.Random) -> Iterator[tuple[str, str]]:
    """Some more orders: their ids, and of whom."""
    for _ in range(AT_A_TIME):
        shop.orders += 1
        yield f"o{shop.orders}", f"p{(shop.orders // 6 + dice.randrange(PASSING)) % shop.people}"


def take(app: App, shop: Shop, orders: Sequence[tuple[str, str]], stop: threading.Event) -> None:
    now = SystemClock().now()
    told = [NewEvent(order, person, "Order Completed", now, {"order_id": order}) for order, person in orders]
    while not stop.is_set():
        try:
            with app.database.reading() as connection:
                rules = app.rules(connection)
            record_events(app, rules, app.needs(rules), told)
        except DBAPIError:
            stop.wait(EVERY)
        else:
            shop.asked |= {f"{kind}_{person}_{order}" for order, person in orders for kind in OF_AN_ORDER}
            return


# --- looking ---------------------------------------------------------------------------------------------------------

PATIENT = 200  # times that a database may fail to answer


def ask(app: App, query: str, **values: Any) -> Sequence[Any]:
    """Rows, by the plainest of means; a database that is gone is waited for."""
    for _ in range(PATIENT):
        try:
            with app.database.reading() as connection:
                return connection.execute(text(query), values).all()
        except DBAPIError:
            threading.Event().wait(0.4)
    raise SystemExit("the database does not answer any more")


def one(app: App, query: str, **values: Any) -> int:
    return int(ask(app, query, **values)[0][0])

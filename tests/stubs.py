"""Providers for tests that answer as they are told, and a shop of one journey that hands everything to one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import shops
from sqlalchemy import text

from channels.contract import Answer, Features, Outgoing, Provider, Sent
from engine.app import App
from engine.clock import ManualClock
from engine.work.incoming.intake import NewEvent, record_events
from engine.work.recovery import recover
from engine.work.tick import Beat, tick

CONFIG = """
shop: {name: Shop, url: "https://shop.example.com", zone: Europe/Berlin, country: DE, locale: en, currency: EUR,
       address: Example Street 1}
topics:
  news: {title: News, purpose: marketing}
  orders: {title: Orders, purpose: transactional}
channels:
  email: {provider: maildir, folder: outbox, sender: hello@shop.example.com}
  sms: {provider: simulated}
policy:
  caps: [{at_most: 1, per: day}, {at_most: 3, per: week}]
  least_gap: 1h
  quiet_hours: {sms: "21:00-08:00"}
queues: {care: {title: Care}}
web: {port: 0}
"""

JOURNEY = """
title: A note after each order
owner: us
topic: news
enter: {event: Order Completed}
again: {per: order_id}
steps:
  - send: note
    via: [email, sms]
    give_up_after: 6h
"""

AUDIENCE = """
segments:
  everyone: {country: {known: true}}
"""


def shop(folder: Path, journeys: Mapping[str, str] | None = None, config: str = CONFIG) -> Path:
    """A shop's folder with these journeys; every text it needs is called `note`."""
    (folder / "journeys").mkdir(parents=True)
    (folder / "templates" / "note").mkdir(parents=True)
    (folder / "config.yaml").write_text(config)
    (folder / "journeys" / "audience.yaml").write_text(AUDIENCE)
    for name, source in (journeys or {"note": JOURNEY}).items():
        (folder / "journeys" / f"{name}.yaml").write_text(source)
    (folder / "templates" / "note" / "email.en.html").write_text(
        '---\nsubject: A note\n---\n<p><a href="{{ links.unsubscribe }}">Unsubscribe</a></p>\n'
    )
    (folder / "templates" / "note" / "sms.en.txt").write_text("Hello\n")
    (folder / "templates" / "note" / "task.en.md").write_text("Call them.\n")
    return folder


class Stub(Provider):
    """Answers as `says` tells it, message by message; remembers what it was handed."""

    name = "stub"
    channels: ClassVar[frozenset[str]] = frozenset({"email", "sms", "webhook"})

    def __init__(self, channel: str, says: Callable[[Outgoing], Answer] | None = None, **features: Any) -> None:
        super().__init__(channel, {}, {})
        self.features = Features(**{"in_flight": 8} | features)
        self.says = says or (lambda outgoing: Sent(f"stub-{outgoing.message_id}"))
        self.handed: list[Outgoing] = []
        self.during: Callable[[Sequence[Outgoing]], None] | None = None

    def configure(self, options: Any, env: Mapping[str, str], home: Path) -> None:
        """It has no options."""

    def describe(self) -> str:
        return "a stub"

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Answer]:
        self.handed += batch
        if self.during is not None:
            self.during(batch)
        return [self.says(one) for one in batch]


class World:
    """One shop, its clock, its stubs, and short ways to say what happens."""

    _died = False

    def __init__(
        self, folder: Path, journeys: Mapping[str, str] | None = None, config: str = CONFIG, **more: Any
    ) -> None:
        self.clock = ManualClock(shops.NOW)
        self.more = more
        self.app: App = shops.opened(shop(folder, journeys, config), self.clock, **more)
        self.email = self.app.providers["email"] = Stub("email")
        self.sms = self.app.providers["sms"] = Stub("sms")
        shops.publish_all(self.app)

    def people(
        self, count: int, consent: bool = True, first: int = 0, channels: Sequence[str] = ("email", "sms"), **more: Any
    ) -> list[str]:
        """So many people, each with addresses of their own on these channels."""
        names = [f"p{number:04d}" for number in range(first, first + count)]
        own = [{"email": f"{name}@example.com", "sms": f"+4917{n:08d}"} for n, name in enumerate(names, first)]
        rows = [
            {"external_id": name, "addresses": {channel: address[channel] for channel in channels}, **more}
            for name, address in zip(names, own, strict=True)
        ]
        shops.add_people(self.app, rows, consent)
        return names

    def order(self, *people: str, number: str = "1") -> None:
        """Each of them orders, now."""
        with self.app.database.reading() as connection:
            rules = self.app.rules(connection)
        now = self.clock.now()
        told = [NewEvent(f"o-{p}-{number}", p, "Order Completed", now, {"order_id": f"{p}-{number}"}) for p in people]
        record_events(self.app, rules, self.app.needs(rules), told)

    def tick(self, after: timedelta | None = None) -> Beat:
        """One beat, later by so much."""
        if after is not None:
            self.clock.move_to(self.clock.now() + after)
        return self._beat()

    def tick_at(self, instant: datetime) -> Beat:
        self.clock.move_to(instant)
        return self._beat()

    def _beat(self) -> Beat:
        """After a death, what a new process does first."""
        if self._died:
            self.app.strays.clear()
            recover(self.app, self.clock.now())
            self._died = False
        try:
            return tick(self.app)
        except Exception:
            raise
        except BaseException:
            self._died = True
            raise

    def rows(self, query: str, **values: Any) -> list[Any]:
        with self.app.database.reading() as connection:
            return list(connection.execute(text(query), values))

    def kinds(self, person: str | None = None) -> list[str]:
        """What happened to messages, in order."""
        rows = self.rows(
            "SELECT d.kind, c.external_id FROM delivery d JOIN customer c ON c.id = d.customer_id ORDER BY d.id"
        )
        return [row.kind for row in rows if person in (None, row.external_id)]

    def states(self) -> dict[tuple[str, str], str]:
        """(person, channel) -> the state of the message."""
        from engine.store.reports import ledger

        with self.app.database.reading() as connection:
            return {(row["person"], row["channel"]): row["state"] for row in ledger(connection)}

    def restart(self) -> None:
        """Another process in the place of this one."""
        again = shops.opened(self.app.home, self.clock, **self.more)
        again.providers |= self.app.providers
        self.app.close()
        self.app = again

    def close(self) -> None:
        self.app.close()


class Died(BaseException):
    """The end of a process, as the code in it would meet it: nothing after it is done."""


def dying(real: Callable[..., Any], *calls: int) -> Callable[..., Any]:
    """What `real` does, but the process dies when it is called the first, the seventeenth, ... time."""
    number = count(1)

    def called(*args: Any, **more: Any) -> Any:
        if next(number) in calls:
            raise Died
        return real(*args, **more)

    return called


def die(world: World) -> None:
    """Let the process end where it stands, and start the next one on the same database."""

    def ends(_: Any) -> None:
        raise Died

    world.email.during = ends
    with suppress(Died):
        world.tick()
        raise AssertionError("nothing was handed over")
    world.email.during = None
    world.restart()

"""A small shop whose mails one opens, to follow the links that stand in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import shops
from sqlalchemy import text

from engine.app import App
from engine.clock import ManualClock
from engine.work.tick import tick

BROWSER = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36"

CONFIG = """
shop: {name: "Lumen & <Söhne>", url: "https://shop.example.com/?a=1&b=2", zone: Europe/Berlin, country: DE, locale: en,
       currency: EUR, address: "Example Street 1, 10115 Berlin"}
topics:
  care: {title: {zh-CN: 订单关怀与使用建议, en: Care & <advice>, de: Begleitung und Tipps}, purpose: marketing}
  offers: {title: {zh-CN: 新品与优惠, en: New arrivals and offers, de: Neuheiten und Angebote}, purpose: marketing}
  orders: {title: {zh-CN: 订单通知, en: Notices about your orders, de: Nachrichten zu deinen Bestellungen},
           purpose: transactional}
channels:
  email: {provider: maildir, folder: outbox, sender: hello@shop.example.com}
  sms: {provider: simulated}
policy: {caps: [{at_most: 50, per: day}], least_gap: 1m}
web: {port: 0, url: "https://links.shop.example.com/m"}
"""

# A mail at once, another way a week later; whoever clicks in between gets one about it.
JOURNEY = """
title: A note after each order
owner: us
topic: care
enter: {event: Order Completed}
again: {per: order_id}
steps:
  - send: note
    via: [email]
  - wait_for: {message: note, is: clicked}
    within: 3d
    then: [{send: clicked_it, via: [email]}]
    otherwise: [{exit: silent}]
  - wait: 4d
  - send: later
    via: [email, sms]
"""

NOTE = """---
subject: A note
---
<p>Hello <a href="{{ links.click('https://shop.example.com/tea?x=1') }}">Tea</a>
<a href="{{ links.click('https://shop.example.com/cups') }}">Cups</a>
<a href="{{ links.answer('price') }}">It was <b>more</b> than I wanted &amp; could spend</a>
<a href="{{ links.answer('range') }}">I found nothing</a>
<a href="{{ links.preferences }}">Preferences</a>
<a href="{{ links.unsubscribe }}">Unsubscribe</a></p>
"""
SHORT = '---\nsubject: A word\n---\n<p>Word <a href="{{ links.unsubscribe }}">Unsubscribe</a></p>\n'


class Shop:
    """One shop at work, its outbox, and short ways to look into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = ManualClock(shops.NOW)
        self.app: App = shops.opened(_written(folder), self.clock, durable=False)
        shops.publish_all(self.app)

    def health(self) -> dict[str, Any]:
        return {"ok": True, "last_beat": self.clock.now().isoformat(), "problem": None}

    def person(self, name: str = "anna", order: bool = True, **more: Any) -> int:
        """Somebody with a mail address, a telephone and consent; with `order`, they get a note."""
        addresses = {"email": f"{name}@example.com", "sms": "+491700000001"}
        ids = shops.add_people(self.app, [{"external_id": name, "addresses": addresses, **more}])
        if order:
            self.order(name)
            self.tick()
        return ids[name]

    def order(self, name: str, number: str = "1") -> None:
        shops.happen(self.app, f"o-{name}-{number}", name, "Order Completed", {"order_id": f"{name}-{number}"})

    def tick(self, after: timedelta | None = None) -> None:
        if after is not None:
            self.clock.move_to(self.clock.now() + after)
        tick(self.app)

    def mails(self, name: str = "anna") -> list[EmailMessage]:
        """What stands in the outbox for one person, oldest first."""
        parse = policy.default
        found = [message_from_bytes(path.read_bytes(), policy=parse) for path in self.folder.glob("outbox/**/*.eml")]
        mine = [mail for mail in found if f"{name}@example.com" in str(mail["To"])]
        return sorted(mine, key=lambda mail: mail["Date"].datetime)

    def links(self, name: str = "anna", subject: str = "A note") -> Mapping[str, list[str]]:
        """The paths of the links of one mail, by the letter of their purpose; `header` is the one-click address."""
        (mail,) = [mail for mail in self.mails(name) if mail["Subject"] == subject]
        body = mail.get_body(("html",))
        assert body is not None
        found: dict[str, list[str]] = {"header": [_path(str(mail["List-Unsubscribe"]).strip("<>"))]}
        for address in re.findall(r'href="([^"]+)"', str(body.get_content())):
            path = _path(unescape(address))
            found.setdefault(path[1], []).append(path)
        return found

    def rows(self, query: str, **values: Any) -> list[Any]:
        with self.app.database.reading() as connection:
            return list(connection.execute(text(query), values))

    def everything(self) -> dict[str, list[Any]]:
        """All that stands in the database, to see whether anything changed."""
        names = [row.name for row in self.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: self.rows(f'SELECT * FROM "{name}"') for name in names}  # names are our own

    def events(self, name: str) -> list[Any]:
        return self.rows("SELECT * FROM event WHERE name = :name ORDER BY id", name=name)

    def begun(self) -> list[str]:
        """The texts an attempt has begun for, in order."""
        rows = self.rows(
            "SELECT m.message FROM delivery d JOIN message m ON m.id = d.message_id "
            "WHERE d.kind = 'begun' ORDER BY d.id"
        )
        return [row.message for row in rows]

    def close(self) -> None:
        self.app.close()


def _path(address: str) -> str:
    """Behind the public address, a proxy takes `/m` away."""
    prefix = "https://links.shop.example.com/m"
    assert address.startswith(prefix + "/"), address
    return urlsplit(address.removeprefix(prefix)).path


def _written(folder: Path) -> Path:
    (folder / "journeys").mkdir(parents=True)
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "journeys" / "note.yaml").write_text(JOURNEY)
    for name, mail in {"note": NOTE, "clicked_it": SHORT, "later": SHORT}.items():
        (folder / "templates" / name).mkdir(parents=True)
        (folder / "templates" / name / "email.en.html").write_text(mail)
    (folder / "templates" / "later" / "sms.en.txt").write_text("A word\n")
    return folder

"""Turn the UCI Online Retail history into people.csv and events.jsonl, as `outreach import` reads them.

    python tests/real/uci.py uci_online_retail.csv.xz FOLDER

The history: invoice lines of a gift shop in the United Kingdom, December 2010 to December 2011 (Chen, Sain, Guo 2012,
UCI Machine Learning Repository). It has no addresses and no deliveries, and a cancellation does not name what it
cancels. What is made of it:

People      every CustomerID. c<CustomerID>@example.com; country, locale and zone by the country of their first line;
            consent to mails from the contract of sale, given on 2010-01-01.
Orders      an invoice whose number has digits only, with a CustomerID: `Order Completed` at its first line, on the
            clock of Europe/London, total = quantity times price over its lines.
Cancelled   a line of a C invoice takes its quantity from the customer's latest earlier order that still has as much of
            the same goods; where there is none it cancels nothing. Postage, discounts, fees and other lines that are
            no goods are passed over. An order is cancelled, once, when half the worth of its goods has been taken back:
            `Order Cancelled` at that instant.
Delivered   each order that was not cancelled before: `Parcel Delivered` between one and five days after it, by the
            hash of its number: 86,400 seconds, and what the first 8 hexadecimal digits of sha256("<seed>/<order>")
            leave when divided by 345,600.
"""

from __future__ import annotations

import csv
import hashlib
import json
import lzma
import sys
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

SHOP = ZoneInfo("Europe/London")
CONSENTED = "2010-01-01T00:00:00Z"
NO_GOODS = frozenset({"POST", "DOT", "C2", "D", "M", "S", "CRUK", "PADS", "BANK CHARGES", "AMAZONFEE"})
DAY = 86_400


class Home(NamedTuple):
    """Where the people of one country are; nothing where the name is no country."""

    country: str
    locale: str
    zone: str


HOMES: Mapping[str, Home] = {
    "Australia": Home("AU", "en-AU", "Australia/Sydney"),
    "Austria": Home("AT", "de-AT", "Europe/Vienna"),
    "Bahrain": Home("BH", "ar-BH", "Asia/Bahrain"),
    "Belgium": Home("BE", "nl-BE", "Europe/Brussels"),
    "Brazil": Home("BR", "pt-BR", "America/Sao_Paulo"),
    "Canada": Home("CA", "en-CA", "America/Toronto"),
    "Channel Islands": Home("JE", "en-GB", "Europe/Jersey"),
    "Cyprus": Home("CY", "el-CY", "Asia/Nicosia"),
    "Czech Republic": Home("CZ", "cs", "Europe/Prague"),
    "Denmark": Home("DK", "da", "Europe/Copenhagen"),
    "EIRE": Home("IE", "en-IE", "Europe/Dublin"),
    "European Community": Home("", "en", "Europe/Brussels"),
    "Finland": Home("FI", "fi", "Europe/Helsinki"),
    "France": Home("FR", "fr", "Europe/Paris"),
    "Germany": Home("DE", "de", "Europe/Berlin"),
    "Greece": Home("GR", "el", "Europe/Athens"),
    "Hong Kong": Home("HK", "zh-Hant-HK", "Asia/Hong_Kong"),
    "Iceland": Home("IS", "is", "Atlantic/Reykjavik"),
    "Israel": Home("IL", "he", "Asia/Jerusalem"),
    "Italy": Home("IT", "it", "Europe/Rome"),
    "Japan": Home("JP", "ja", "Asia/Tokyo"),
    "Lebanon": Home("LB", "ar-LB", "Asia/Beirut"),
    "Lithuania": Home("LT", "lt", "Europe/Vilnius"),
    "Malta": Home("MT", "en-MT", "Europe/Malta"),
    "Netherlands": Home("NL", "nl", "Europe/Amsterdam"),
    "Norway": Home("NO", "nb", "Europe/Oslo"),
    "Poland": Home("PL", "pl", "Europe/Warsaw"),
    "Portugal": Home("PT", "pt", "Europe/Lisbon"),
    "RSA": Home("ZA", "en-ZA", "Africa/Johannesburg"),
    "Saudi Arabia": Home("SA", "ar-SA", "Asia/Riyadh"),
    "Singapore": Home("SG", "en-SG", "Asia/Singapore"),
    "Spain": Home("ES", "es", "Europe/Madrid"),
    "Sweden": Home("SE", "sv", "Europe/Stockholm"),
    "Switzerland": Home("CH", "de-CH", "Europe/Zurich"),
    "USA": Home("US", "en-US", "America/New_York"),
    "United Arab Emirates": Home("AE", "ar-AE", "Asia/Dubai"),
    "United Kingdom": Home("GB", "en-GB", "Europe/London"),
    "Unspecified": Home("", "en", "Europe/London"),
}


@dataclass
class Order:
    """One invoice."""

    number: str
    customer: str
    at: datetime
    total: Decimal = Decimal(0)
    lines: int = 0
    left: Counter[str] = field(default_factory=Counter)  # goods: how many have not been taken back
    worth: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))  # goods: of all of them together
    ordered: Counter[str] = field(default_factory=Counter)
    taken_back: Decimal = Decimal(0)
    cancelled: datetime | None = None

    def add(self, code: str, quantity: int, price: Decimal) -> None:
        self.total += quantity * price
        self.lines += 1
        if code not in NO_GOODS:
            self.left[code] += quantity
            self.ordered[code] += quantity
            self.worth[code] += quantity * price

    def take_back(self, code: str, quantity: int, at: datetime) -> None:
        self.left[code] -= quantity
        self.taken_back += self.worth[code] * quantity / self.ordered[code]
        if self.cancelled is None and self.taken_back > 0 and 2 * self.taken_back >= sum(self.worth.values()):
            self.cancelled = at


class Return(NamedTuple):
    """One line of a C invoice."""

    at: datetime
    invoice: str
    place: int  # in the file
    customer: str
    code: str
    quantity: int


class Person(NamedTuple):
    """A customer as of their first line."""

    id: str
    country: str
    at: datetime


def convert(source: Path, folder: Path, seed: int = 1) -> tuple[Path, Path]:
    """Write people.csv and events.jsonl into `folder`; where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    people, orders, returns = read(source)
    cancel(orders.values(), returns)
    people_file, events_file = folder / "people.csv", folder / "events.jsonl"
    write_people(people_file, people)
    write_events(events_file, orders.values(), seed)
    return people_file, events_file


def read(source: Path) -> tuple[list[Person], dict[str, Order], list[Return]]:
    """People in the order of their first lines, orders by number, and the lines of C invoices."""
    people: dict[str, Person] = {}
    orders: dict[str, Order] = {}
    returns: list[Return] = []
    with lzma.open(source, "rt", encoding="utf-8", newline="") as file:
        for place, line in enumerate(csv.DictReader(file)):
            customer, number = line["CustomerID"], line["InvoiceNo"]
            if not customer:
                continue
            at = instant(line["InvoiceDate"])
            people.setdefault(customer, Person(customer, line["Country"], at))
            quantity = int(line["Quantity"])
            if number.startswith("C"):
                returns.append(Return(at, number, place, customer, line["StockCode"], -quantity))
            elif number.isdigit():
                order = orders.setdefault(number, Order(number, customer, at))
                order.add(line["StockCode"], quantity, Decimal(line["UnitPrice"]))
    return list(people.values()), orders, returns


@cache
def instant(wall: str) -> datetime:
    """When the shop's clock showed this."""
    return datetime.fromisoformat(wall).replace(tzinfo=SHOP).astimezone(UTC)


def cancel(orders: Iterable[Order], returns: Iterable[Return]) -> None:
    """Take every returned line back from the order it most likely belongs to."""
    of: dict[str, list[Order]] = defaultdict(list)
    for order in sorted(orders, key=lambda order: (order.at, order.number)):
        of[order.customer].append(order)
    for one in sorted(returns):
        if one.code in NO_GOODS:
            continue
        earlier = of[one.customer][: bisect_left(of[one.customer], one.at, key=lambda order: order.at)]
        for order in reversed(earlier):
            if order.left[one.code] >= one.quantity:
                order.take_back(one.code, one.quantity, one.at)
                break


def delivered(number: str, at: datetime, seed: int) -> datetime:
    """When the parcel of an order arrives."""
    mark = int(hashlib.sha256(f"{seed}/{number}".encode()).hexdigest()[:8], 16)
    return at + timedelta(seconds=DAY + mark % (4 * DAY))


def write_people(file: Path, people: Iterable[Person]) -> None:
    consents = {"consent.email.care": "yes", "consent.email.offers": "yes"}
    given = {"consent.source": "contract of sale", "consent.at": CONSENTED}
    with file.open("w", encoding="utf-8", newline="") as out:
        names = ["id", "email", "country", "locale", "zone", "created_at", *consents, *given]
        writer = csv.DictWriter(out, names, lineterminator="\n")
        writer.writeheader()
        for person in people:
            home = HOMES[person.country]
            about = {"id": person.id, "email": f"c{person.id}@example.com", "created_at": written(person.at)}
            writer.writerow(about | home._asdict() | consents | given)


def write_events(file: Path, orders: Iterable[Order], seed: int) -> None:
    events = sorted((event for order in orders for event in events_of(order, seed)), key=lambda event: event["at"])
    with file.open("w", encoding="utf-8", newline="") as out:
        out.writelines(json.dumps(event, separators=(",", ":")) + "\n" for event in events)


def events_of(order: Order, seed: int) -> Iterator[dict[str, Any]]:
    """The order, and what became of it."""
    name = {"order_id": order.number}
    total = float(order.total)
    payload = {"total": int(total) if total.is_integer() else total, "currency": "GBP", "lines": order.lines}
    yield event("order", "Order Completed", order, order.at, name | payload)
    if order.cancelled is not None:
        yield event("cancel", "Order Cancelled", order, order.cancelled, name)
    arrives = delivered(order.number, order.at, seed)
    if order.cancelled is None or arrives < order.cancelled:
        yield event("delivery", "Parcel Delivered", order, arrives, name)


def event(kind: str, name: str, order: Order, at: datetime, payload: Mapping[str, Any]) -> dict[str, Any]:
    about = {"id": f"{kind}-{order.number}", "person": order.customer, "name": name, "at": written(at)}
    return {**about, "payload": payload}


def written(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    for made in convert(Path(sys.argv[1]), Path(sys.argv[2])):
        print(made)

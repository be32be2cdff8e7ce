"""What must be true of the UCI Online Retail history, found in the CSV with the standard library alone.

None of this uses the engine, nor the code of the converter: only its written rules (`tests/real/uci.py`, its first
page) and its table of countries. Orders and people are asked of an SQLite table of the raw lines; returns are matched
by a query per line; instants are computed here.

    truth = oracle(seed=1)
    len(truth.customers), len(truth.orders), truth.enrollments, truth.cancellations, truth.way("536365")
"""

from __future__ import annotations

import csv
import hashlib
import lzma
import os
import sqlite3
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import cache, cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.real.uci import HOMES, NO_GOODS

FILE = "uci_online_retail.csv.xz"
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def data_dir() -> Path | None:
    """Where the real data lies: $OUTREACH_DATA, else ../shared/data beside the repository. None where it is not."""
    given = os.environ.get("OUTREACH_DATA")
    folder = Path(given) if given else Path(__file__).parents[2].parent / "shared" / "data"
    return folder if (folder / FILE).is_file() else None


@dataclass(frozen=True)
class Bought:
    """One order: an invoice of digits with a CustomerID. Money is exact: in whole thousandths."""

    number: str
    customer: str
    at: datetime
    mills: int  # of a pound

    @property
    def total(self) -> float:
        return self.mills / 1000


@dataclass(frozen=True)
class Stop:
    """A step of the golden journey that takes effect, and when its plan reaches it."""

    step: str
    at: datetime


@dataclass(frozen=True)
class Way:
    """How the golden journey goes for one order, if every send is settled the moment it is reached.

    That is so for mails, which have no quiet hours, as long as no cap or least gap binds; where they bind, sends are
    later or capped, but none is added. `left` is the instant the order's own cancellation ends it, None if it runs out.
    `tier` is the person's value tier at the evening branch, None where the way ends before.
    """

    stops: tuple[Stop, ...]
    left: datetime | None
    tier: str | None


@dataclass(frozen=True)
class Returned:
    """Goods that came back: a line of a C invoice. `order` is the one it takes from; None where there is none."""

    invoice: str
    customer: str
    at: datetime
    code: str
    quantity: int
    order: str | None


class Truth:
    """The right answers. `orders` are by number, in the order of the file; instants are in UTC."""

    def __init__(self, file: Path, seed: int) -> None:
        self._seed = seed
        self._lines = _table(file)

    # ── counts ──

    @cached_property
    def customers(self) -> Mapping[str, str]:
        """Every CustomerID -> the country of their first line as the file writes it."""
        rows = self._lines.execute(
            "select customer, country from line where place in (select min(place) from line group by customer)"
        )
        return dict(rows.fetchall())

    @cached_property
    def known_since(self) -> Mapping[str, datetime]:
        """Every customer -> when their first line is."""
        rows = self._lines.execute("select customer, min(wall) from line group by customer")
        return {customer: _utc(wall) for customer, wall in rows}

    @cached_property
    def orders(self) -> Mapping[str, Bought]:
        """Every order: invoices of digits with a CustomerID, whatever they are worth."""
        rows = self._lines.execute(
            "select number, purchase.customer, wall, worth from purchase join line on place = first order by first"
        )
        return {number: Bought(number, customer, _utc(wall), mills) for number, customer, wall, mills in rows}

    @cached_property
    def enrollments(self) -> frozenset[str]:
        """Orders that enter the golden journey, each once: worth one pound or more."""
        return frozenset(number for number, order in self.orders.items() if order.mills >= 1000)

    @cached_property
    def cancellations(self) -> Mapping[str, datetime]:
        """Cancelled orders -> when. An order is cancelled once half the worth of its goods has been taken back."""
        cancelled: dict[str, datetime] = {}
        worth: dict[str, Fraction] = {}
        for back in self.returned:
            number = back.order
            if number is None:
                continue
            ordered, mills = self._goods(number)[back.code]
            worth[number] = worth.get(number, Fraction(0)) + Fraction(mills * back.quantity, ordered)
            whole = sum(mills for _, mills in self._goods(number).values())
            if number not in cancelled and worth[number] > 0 and 2 * worth[number] >= whole:
                cancelled[number] = back.at
        return cancelled

    @cached_property
    def returned(self) -> tuple[Returned, ...]:
        """Every line of a C invoice about goods, with the order it takes from."""
        taken: Counter[tuple[str, str]] = Counter()
        found = []
        for invoice, wall, customer, code, quantity in self._returns():
            number = self._order_of(customer, code, quantity, wall, taken)
            if number is not None:
                taken[number, code] += quantity
            found.append(Returned(invoice, customer, _utc(wall), code, quantity, number))
        return tuple(found)

    @cached_property
    def deliveries(self) -> Mapping[str, datetime]:
        """Delivered orders -> when. An order cancelled at or before that instant is not delivered."""
        found = {number: self._arrival(order) for number, order in self.orders.items()}
        cancelled = self.cancellations
        return {number: at for number, at in found.items() if number not in cancelled or at < cancelled[number]}

    # ── the golden journey ──

    def way(self, number: str) -> Way:
        """The stops of one order's way: order_on_its_way after 6 h, then by its delivery, nothing begun after 72 h."""
        order = self.orders[number]
        cancelled = self.cancellations.get(number)
        stops, branch_at = self._plan(order)
        end = order.at + 72 * HOUR
        if cancelled is not None and cancelled <= (stops[-1].at if branch_at is None else min(branch_at, end)):
            stops = [stop for stop in stops if stop.at < cancelled]
            return Way(tuple(stops), cancelled, None)
        tier = None if branch_at is None or branch_at > end else self.tier(order.customer, branch_at)
        return Way(tuple(stop for stop in stops if stop.at <= end), None, tier)

    def tier(self, customer: str, at: datetime) -> str:
        """The built-in value tier with its thresholds as shipped: core from 5 orders in 365 days, growth from 2."""
        count = sum(at - 365 * DAY < when <= at for when in self._orders_of.get(customer, ()))
        return "core" if count >= 5 else "growth" if count >= 2 else "base"

    def zone(self, customer: str) -> ZoneInfo:
        """Where the customer's day is."""
        return ZoneInfo(HOMES[self.customers[customer]].zone)

    def _plan(self, order: Bought) -> tuple[list[Stop], datetime | None]:
        """The stops nobody interrupts, and when the evening branch is reached (None: the way ended before)."""
        first = order.at + 6 * HOUR
        stops = [Stop("order_on_its_way", first)]
        arrived = self.deliveries.get(order.number)
        if arrived is None or not first < arrived <= first + 48 * HOUR:
            return [*stops, Stop("parcel_is_coming", first + 48 * HOUR)], None
        zone = self.zone(order.customer)
        morning = next_hour(arrived, zone, 10)
        return [*stops, Stop("how_to_use", morning)], next_hour(morning, zone, 20)

    # ── beneath ──

    @cached_property
    def _orders_of(self) -> Mapping[str, tuple[datetime, ...]]:
        found: dict[str, list[datetime]] = {}
        for order in self.orders.values():
            found.setdefault(order.customer, []).append(order.at)
        return {customer: tuple(instants) for customer, instants in found.items()}

    def _returns(self) -> list[tuple[str, str, str, str, int]]:
        """Lines of C invoices about goods: invoice, wall time, customer, code, how many; in the order of matching."""
        marks = ",".join("?" for _ in NO_GOODS)
        rows = self._lines.execute(
            f"""select invoice, wall, customer, code, -quantity from line
                where kind = 'return' and code not in ({marks}) order by wall, invoice, place""",
            sorted(NO_GOODS),
        )
        return rows.fetchall()

    def _order_of(
        self, customer: str, code: str, quantity: int, wall: str, taken: Mapping[tuple[str, str], int]
    ) -> str | None:
        """The customer's latest earlier order that still has so many of these goods."""
        rows = self._lines.execute(
            """select number, (select sum(quantity) from line where invoice = number and line.code = ?)
               from purchase join line as began on began.place = first
               where purchase.customer = ? and began.wall < ? order by began.wall desc, number desc""",
            (code, customer, wall),
        )
        return next((number for number, had in rows if (had or 0) - taken.get((number, code), 0) >= quantity), None)

    @cache  # noqa: B019 - one Truth lives as long as the tests
    def _goods(self, number: str) -> Mapping[str, tuple[int, int]]:
        """Goods of an order: code -> (how many, their worth)."""
        marks = ",".join("?" for _ in NO_GOODS)
        rows = self._lines.execute(
            f"""select code, sum(quantity), sum(quantity * mills) from line
                where kind = 'order' and invoice = ? and code not in ({marks}) group by code""",
            (number, *sorted(NO_GOODS)),
        )
        return {code: (quantity, mills) for code, quantity, mills in rows}

    def _arrival(self, order: Bought) -> datetime:
        digest = hashlib.sha256(f"{self._seed}/{order.number}".encode()).digest()
        return order.at + timedelta(seconds=86_400 + int.from_bytes(digest[:4], "big") % 345_600)


@cache
def oracle(seed: int = 1) -> Truth:
    """The truth about the file in `data_dir()`. FileNotFoundError where there is none."""
    folder = data_dir()
    if folder is None:
        raise FileNotFoundError(FILE)
    return Truth(folder / FILE, seed)


def _table(file: Path) -> sqlite3.Connection:
    """The raw lines that have a CustomerID, in memory. Prices are whole thousandths of a pound, as all of them are."""
    lines = sqlite3.connect(":memory:")
    lines.execute(
        """create table line (place integer primary key, kind text, invoice text, code text, quantity integer,
                              wall text, mills integer, customer text, country text)"""
    )
    with lzma.open(file, "rt", encoding="utf-8", newline="") as text:
        rows = csv.reader(text)
        next(rows)
        lines.executemany(
            "insert into line values (?,?,?,?,?,?,?,?,?)",
            (
                (place, _kind(invoice), invoice, code, int(quantity), wall, _mills(price), customer, country)
                for place, (invoice, code, _, quantity, wall, price, customer, country) in enumerate(rows)
                if customer
            ),
        )
    lines.execute("create index by_invoice on line (invoice)")
    lines.execute(
        """create table purchase as
           select invoice as number, customer, min(place) as first, sum(quantity * mills) as worth
           from line where kind = 'order' group by invoice"""
    )
    lines.execute("create index by_customer on purchase (customer)")
    return lines


def _kind(invoice: str) -> str:
    return "order" if invoice.isdigit() else "return" if invoice.startswith("C") else "other"


@cache
def _mills(price: str) -> int:
    mills = Fraction(price) * 1000
    if mills.denominator != 1:
        raise ValueError(f"{price} has more than three places")
    return int(mills)


def _utc(wall: str) -> datetime:
    return datetime.fromisoformat(wall).replace(tzinfo=ZoneInfo("Europe/London")).astimezone(UTC)


def next_hour(at: datetime, zone: ZoneInfo, hour: int) -> datetime:
    """The first instant from `at` on at which a clock in `zone` shows that hour."""
    day = at.astimezone(zone).date()
    found = [
        datetime.combine(day + timedelta(days=ahead), datetime.min.time(), zone).replace(hour=hour).astimezone(UTC)
        for ahead in range(3)
    ]
    return next(instant for instant in found if instant >= at)

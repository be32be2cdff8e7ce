"""A small believable shop, made up from a seed: "Lumen", home and gift. For the demo, the benchmarks and the tests.

`make_shop` writes `people.csv` and `events.jsonl`, the history up to `end`; `more_events` writes `future.jsonl`, what
the same people do in the days after it, unasked. Each person lives one life drawn from (seed, number of the person)
alone, and both functions cut it at `end`: so an order of the last day is delivered in the future file, and the first
hundred people of a large shop are those of a small one. The same arguments give the same bytes.

Behaviour comes in kinds (`Kind`); every way through the shipped journeys is walked by some of them.
"""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from engine.simulate import shop_words as words

T = TypeVar("T")
DAY = timedelta(days=1)
FUTURE_DAYS = 14
CHANNELS = {"email": "email", "sms": "phone", "push": "push", "wechat": "wechat"}  # channel -> its column
TOPICS = ("care", "offers")
COLUMNS = (
    *("id", "email", "phone", "wechat", "push", "first_name", "last_name", "country", "locale", "zone", "created_at"),
    *("tier", "owner"),
    *(f"consent.{channel}.{topic}" for channel in CHANNELS for topic in TOPICS),
    *("consent.source", "consent.at"),
)


class Kind(StrEnum):
    """How a person behaves towards the shop."""

    loyal = "loyal"  # orders every other week, looks in every day or two
    growing = "growing"  # orders every month or so
    once = "once"  # ordered one time
    looking = "looking"  # looks and fills carts, never orders
    fading = "fading"  # a gold or black customer who stops coming around `end`
    lost_price = "lost_price"  # bought with vouchers, looked for sales, left
    lost_service = "lost_service"  # complained more than once, left
    lost_rival = "lost_rival"  # searched for another shop's name, left
    lost_silent = "lost_silent"  # left without a word


_SHARES: Mapping[Kind, float] = {
    Kind.loyal: 12,
    Kind.growing: 22,
    Kind.once: 24,
    Kind.looking: 8,
    Kind.fading: 8,
    Kind.lost_price: 6,
    Kind.lost_service: 5,
    Kind.lost_rival: 5,
    Kind.lost_silent: 10,
}
_TIERS: Mapping[Kind, Mapping[str, float]] = {
    Kind.loyal: {"none": 25, "silver": 45, "gold": 30},
    Kind.growing: {"none": 70, "silver": 30},
    Kind.fading: {"gold": 70, "black": 30},
    Kind.lost_silent: {"none": 85, "silver": 7, "gold": 8},
}
_VISIT_EVERY: Mapping[Kind, tuple[float, float]] = {
    Kind.loyal: (0.8, 2.4),
    Kind.fading: (0.8, 2.2),
    Kind.growing: (2, 7),
}
_ORDER_EVERY: Mapping[Kind, tuple[float, float]] = {Kind.loyal: (9, 18), Kind.fading: (14, 26), Kind.growing: (24, 45)}
_CONSENT: Mapping[str, float] = {"email": 0.92, "sms": 0.8, "push": 0.82, "wechat": 0.86}  # for care; offers get less


@dataclass(frozen=True)
class Shop:
    """Where a made-up shop lies, and how large it came out."""

    people: Path
    events: Path
    people_count: int
    event_count: int


@dataclass(frozen=True)
class Resident:
    """One person of the shop: who they are and how they behave."""

    number: int
    kind: Kind
    country: str
    zone: str
    locale: str
    joined: timedelta  # when the shop first knew them, from the first day of the history

    @property
    def id(self) -> str:
        return f"p{self.number:05d}"


@dataclass(frozen=True)
class Act:
    """One event of a life."""

    at: datetime
    name: str
    payload: Mapping[str, Any]


class Chance:
    """Seeded chance. Only `Random.random` is drawn from: its sequence is the one Python promises to keep."""

    def __init__(self, *names: object) -> None:
        self._draw = random.Random("/".join(str(name) for name in names)).random

    def happens(self, share: float) -> bool:
        return self._draw() < share

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self._draw()

    def whole(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return low + int((high - low + 1) * self._draw())

    def pick(self, values: Sequence[T]) -> T:
        return values[int(len(values) * self._draw())]

    def weighted(self, shares: Mapping[T, float]) -> T:
        mark = self._draw() * sum(shares.values())
        for value, share in shares.items():
            mark -= share
            if mark < 0:
                return value
        return value

    def span(self, low: float, high: float) -> timedelta:
        """A length of time between so many days, in whole seconds."""
        return timedelta(seconds=int(self.between(low, high) * 86400))


def make_shop(folder: Path, people: int = 2000, days: int = 90, seed: int = 1, *, end: datetime) -> Shop:
    """Write `people.csv` and `events.jsonl` (the `days` before `end`) into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    people_file, events_file = folder / "people.csv", folder / "events.jsonl"
    _write_people(people_file, people, days, seed, end)
    start = end - days * DAY
    count = _write_events(events_file, people, seed, start, end, lambda at: start <= at <= end)
    return Shop(people_file, events_file, people, count)


def more_events(folder: Path, people: int = 2000, days: int = 90, seed: int = 1, *, end: datetime) -> Path:
    """Write `future.jsonl`: what the people of `make_shop` with the same arguments do in the 14 days after `end`."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "future.jsonl"
    _write_events(file, people, seed, end - days * DAY, end, lambda at: end < at <= end + FUTURE_DAYS * DAY)
    return file


# ── who they are ──


def residents(people: int, seed: int) -> Iterator[Resident]:
    """The people of the shop, in the order of their numbers."""
    countries = {country: place.share for country, place in words.PLACES.items()}
    for number in range(1, people + 1):
        chance = Chance(seed, "who", number)
        country = chance.weighted(countries)
        place = words.PLACES[country]
        zone, locale, kind = chance.weighted(place.zones), chance.weighted(place.locales), chance.weighted(_SHARES)
        yield Resident(number, kind, country, zone, locale, _joined(kind, chance))


def _joined(kind: Kind, chance: Chance) -> timedelta:
    """Most are old friends; some who ordered once or never came during the history."""
    newcomer = kind in (Kind.once, Kind.looking) and chance.happens(0.5)
    return chance.span(0, 25) if newcomer else -chance.span(1, 640)


def _write_people(file: Path, people: int, days: int, seed: int, end: datetime) -> None:
    numbers = {country: _numbers(place) for country, place in words.PLACES.items()}
    start = end - days * DAY
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for resident in residents(people, seed):
            writer.writerow(_person(resident, Chance(seed, "card", resident.number), numbers, start))


def _numbers(place: words.Place) -> Iterator[str]:
    """The country's telephone numbers, block after block."""
    for start, digits in place.phones:
        for number in range(10**digits):
            yield f"{start}{number:0{digits}d}"


def _person(who: Resident, chance: Chance, numbers: Mapping[str, Iterator[str]], start: datetime) -> dict[str, str]:
    place = words.PLACES[who.country]
    (first, first_mail), (last, last_mail) = _name(who.locale, chance)
    mail = f"{first_mail}.{last_mail}.{who.number}@example.{chance.pick(('com', 'org', 'net'))}"
    if who.number % 250 < 2:  # a household: two people, one mailbox
        mail = f"household.{who.number // 250}@example.com"
    reachable = not chance.happens(0.01)
    phone = next(numbers[who.country], "") if chance.happens(0.74) and reachable else ""
    wrote_country = chance.happens(0.98) or not phone
    created = start + who.joined
    tier = chance.weighted(_TIERS.get(who.kind, {"none": 92, "silver": 8}))
    row = {
        "id": who.id,
        "email": mail if chance.happens(0.9) and reachable else "",
        "phone": phone,
        "wechat": _token(chance, "o", 27, _BASE64) if chance.happens(place.chats) and reachable else "",
        "push": _token(chance, "", 64, "0123456789abcdef") if chance.happens(0.42) and reachable else "",
        "first_name": "" if chance.happens(0.07) else first,
        "last_name": last,
        "country": who.country if wrote_country else "",
        "locale": who.locale,
        "zone": "" if chance.happens(0.06) else who.zone,
        "created_at": _instant(created),
        "tier": tier,
        "owner": chance.pick(words.AGENTS) if tier in ("gold", "black") and chance.happens(0.9) else "",
    }
    return row | _consents(row, chance, created, start)


_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def _name(locale: str, chance: Chance) -> tuple[tuple[str, str], tuple[str, str]]:
    people = words.NAMES[_closest(locale, words.NAMES)]
    return chance.pick(people.first), chance.pick(people.last)


def _closest(locale: str, known: Mapping[str, object]) -> str:
    """The longest start of a locale that is known; English where none is."""
    return max((start for start in known if locale.startswith(start)), key=len, default="en")


def _token(chance: Chance, start: str, length: int, letters: str) -> str:
    return start + "".join(chance.pick(letters) for _ in range(length))


def _consents(row: Mapping[str, str], chance: Chance, created: datetime, start: datetime) -> dict[str, str]:
    """What they said to each channel and topic: yes, no, or nothing at all."""
    said: dict[str, str] = {}
    for channel, column in CHANNELS.items():
        for topic in TOPICS:
            share = _CONSENT[channel] * (1.0 if topic == "care" else 0.72)
            answer = "yes" if chance.happens(share) else chance.weighted({"no": 2, "": 1})
            said[f"consent.{channel}.{topic}"] = answer if row[column] else ""
    asked = any(said.values())
    said["consent.source"] = chance.pick(("checkout", "app settings", "shop counter")) if asked else ""
    said["consent.at"] = _instant(max(created, start - DAY)) if asked else ""
    return said


# ── what they do ──


def _write_events(
    file: Path, people: int, seed: int, start: datetime, end: datetime, wanted: Callable[[datetime], bool]
) -> int:
    """Every wanted act of every life, oldest first. Held in memory: about 250 bytes an event."""
    lines = []
    for resident in residents(people, seed):
        for number, act in enumerate(_life(resident, seed, start, end), 1):
            if wanted(act.at):
                lines.append((act.at, f"{resident.id}-{number:04d}", _line(resident, number, act)))
    lines.sort()
    with file.open("w", encoding="utf-8", newline="") as out:
        out.writelines(line for _, _, line in lines)
    return len(lines)


def _line(who: Resident, number: int, act: Act) -> str:
    event = {"id": f"{who.id}-{number:04d}", "person": who.id, "name": act.name, "at": _instant(act.at)}
    return json.dumps(event | {"payload": act.payload}, ensure_ascii=False, separators=(",", ":")) + "\n"


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _life(who: Resident, seed: int, start: datetime, end: datetime) -> list[Act]:
    """All a person does from `start` to 14 days after `end`, oldest first."""
    return sorted(_Life(who, Chance(seed, "life", who.number), start, end).acts(), key=lambda act: (act.at, act.name))


class _Life:
    """One person's way with the shop. `stops` is when they last come of their own habit."""

    def __init__(self, who: Resident, chance: Chance, start: datetime, end: datetime) -> None:
        self.who, self.chance, self.end = who, chance, end
        self.zone = ZoneInfo(who.zone)
        self.until = end + FUTURE_DAYS * DAY
        self.starts = max(start, start + who.joined) + chance.span(1, 9)
        self.stops = self._stops()
        self.orders = 0

    def _stops(self) -> datetime:
        if self.who.kind.startswith("lost"):
            return self.end - self.chance.span(31, 58)
        if self.who.kind is Kind.fading:  # some before `end`, most just after: they turn quiet while the journeys run
            return self.end + self.chance.span(-9, 8)
        return self.until

    def acts(self) -> Iterator[Act]:
        yield from self._visits()
        yield from self._purchases()
        yield from self._reasons()
        yield from self._returns()

    def _visits(self) -> Iterator[Act]:
        every = _VISIT_EVERY.get(self.who.kind, (3, 12))
        for at in self._moments(every):
            yield from self._visit(at)

    def _purchases(self) -> Iterator[Act]:
        match self.who.kind:
            case Kind.looking:
                return
            case Kind.once:
                since = self.end if self.chance.happens(0.25) else self.starts
                span = (self.until - since) / DAY
                yield from self._purchase(self._daytime(since + self.chance.span(0.1, span)))
            case Kind.loyal | Kind.growing | Kind.fading:
                for at in self._moments(_ORDER_EVERY[self.who.kind]):
                    yield from self._purchase(at)
            case _:
                for at in self._moments((8, 21)):
                    yield from self._purchase(at)

    def _reasons(self) -> Iterator[Act]:
        """What tells why a person hesitates or left."""
        last = self.stops - self.chance.span(0.1, 3)
        match self.who.kind:
            case Kind.looking:
                for at in self._moments((5, 14)):
                    yield self._cart(at)
            case Kind.loyal | Kind.growing if self.chance.happens(0.08):
                yield self._complaint(self._daytime(self.end - self.chance.span(-8, 60)))
            case Kind.lost_price:
                yield self._search(self._daytime(last), words.BARGAINS)
                yield self._cart(self._daytime(last))
            case Kind.lost_service:
                for _ in range(self.chance.whole(2, 3)):
                    yield self._complaint(self._daytime(self.stops - self.chance.span(0.1, 14)))
            case Kind.lost_rival:
                for _ in range(self.chance.whole(1, 3)):
                    yield self._search(self._daytime(last), words.RIVALS)
                if self.chance.happens(0.35):  # and asked for it lately, without looking at anything
                    yield self._search(self._daytime(self.end - self.chance.span(1, 25)), words.RIVALS)
            case _:
                return

    def _returns(self) -> Iterator[Act]:
        """Some of those who left come back by themselves."""
        if self.stops >= self.end or not self.chance.happens(0.2):
            return
        at = self._daytime(self.end + self.chance.span(1, FUTURE_DAYS - 1))
        yield from self._visit(at)
        if self.chance.happens(0.45):
            yield from self._purchase(at + timedelta(minutes=self.chance.whole(15, 90)))

    def _visit(self, at: datetime) -> Iterator[Act]:
        good = self.chance.pick(words.GOODS)
        page = {"path": f"/{good.category}/{good.sku.lower()}", "category": good.category}
        yield Act(at, "Page Viewed", page | {"device": self.chance.pick(("app", "web"))})
        if self.chance.happens(0.12):
            yield self._search(at + timedelta(minutes=self.chance.whole(1, 9)), words.QUERIES)

    def _purchase(self, at: datetime) -> Iterator[Act]:
        """A visit, a cart, the order, and what becomes of it."""
        self.orders += 1
        order = self._order()
        name = {"order_id": order["order_id"]}
        yield from self._visit(at - timedelta(minutes=self.chance.whole(12, 40)))
        yield Act(at - timedelta(minutes=self.chance.whole(1, 10)), "Cart Updated", _worth(order))
        yield Act(at, "Order Completed", order)
        if self.chance.happens(0.035):
            yield Act(at + self.chance.span(0.02, 1.3), "Order Cancelled", name | {"reason": "changed my mind"})
            return
        delivered = self._daytime(at + self._transit(), earliest=9, latest=20)
        refunded = at + self.chance.span(0.8, 8) if self.chance.happens(0.03) else None
        if refunded:
            yield Act(refunded, "Order Refunded", name | _worth(order))
        if not refunded or delivered < refunded:
            yield Act(delivered, "Parcel Delivered", name | {"carrier": self.chance.pick(("post", "express"))})

    def _transit(self) -> timedelta:
        if self.chance.happens(0.07):  # a slow parcel
            return self.chance.span(5, 9)
        near = self.who.country in ("CN", "HK", "TW")
        return self.chance.span(0.9, 2.4) if near else self.chance.span(1.4, 4.6)

    def _order(self) -> dict[str, Any]:
        goods = [self.chance.pick(words.GOODS) for _ in range(self.chance.whole(1, 3))]
        items = [self._item(good) for good in goods]
        total = float(sum(item["price"] * item["quantity"] for item in items))
        order: dict[str, Any] = {
            "order_id": f"L{self.who.number:05d}{self.orders:02d}",
            "total": total,
            "currency": "CNY",
            "category": goods[0].category,
            "items": items,
        }
        return order | self._voucher(total)

    def _voucher(self, total: float) -> dict[str, Any]:
        if self.chance.happens(0.01):  # a gift of the house
            return {"total": 0.0, "voucher": "GIFT"}
        bargain = self.who.kind is Kind.lost_price
        if not self.chance.happens(0.85 if bargain else 0.1):
            return {}
        rate = self.chance.pick((20, 30, 50) if bargain else (5, 10))
        return {"total": round(total * (100 - rate) / 100, 2), "voucher": f"SAVE{rate}"}

    def _item(self, good: words.Good) -> dict[str, Any]:
        name = good.names[_closest(self.who.locale, good.names)]
        quantity = self.chance.weighted({1: 80, 2: 16, 4: 4})
        return {"sku": good.sku, "name": name, "quantity": quantity, "price": good.price}

    def _cart(self, at: datetime) -> Act:
        return Act(at, "Cart Updated", _worth(self._order()))

    def _search(self, at: datetime, queries: Sequence[str]) -> Act:
        return Act(at, "Products Searched", {"query": self.chance.pick(queries)})

    def _complaint(self, at: datetime) -> Act:
        return Act(at, "Complaint Filed", {"about": self.chance.pick(words.GRIEVANCES)})

    def _moments(self, every: tuple[float, float]) -> Iterator[datetime]:
        """Daytime moments, so many days apart, as long as the habit lasts."""
        at = self.starts + self.chance.span(0, every[1])
        while at < self.stops:
            yield min(self._daytime(at), self.stops)
            at += self.chance.span(*every)

    def _daytime(self, at: datetime, earliest: int = 8, latest: int = 23) -> datetime:
        """An instant while the person is awake, on the local day of `at`."""
        day = at.astimezone(self.zone).date()
        seconds = self.chance.whole(earliest * 3600, latest * 3600 - 1)
        local = datetime.combine(day, time(seconds // 3600, seconds // 60 % 60, seconds % 60), self.zone)
        return local.astimezone(UTC)


def _worth(order: Mapping[str, Any]) -> dict[str, Any]:
    return {"total": order["total"], "currency": order["currency"]}

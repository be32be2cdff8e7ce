"""What the golden journey must do with the UCI history, order by order: found with the oracle, never with the engine.

    span = Span(since, until, HOUR)
    expected = Expected(oracle(seed=1), span, Night(22, 7))
    expected.ways["536365"].mails, expected.totals()

Mails are all that can leave. They have quiet hours here: a mail that is reached in them goes when they end, if that is
within its time to give up, else it is late and the plan goes on as of when it was reached. Who is held out walks the
same plan without mails and vouchers. Shares are told by docs/decisions/002 and `engine/decide/split.py`: a sha256 of
names with their lengths; the arithmetic below is its own.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from tests.real.uci_oracle import HOUR, Bought, Truth, next_hour

JOURNEY = "golden_72_hours"
THANKS = {"core": "core_thanks", "growth": "goes_well_with"}
NOT_THERE, OVER, DONE, LEFT = "not_delivered_yet", "ends_after", "done", "left: Order Cancelled"
NEVER = datetime.max.replace(tzinfo=UTC)
SHARES = 10**12
SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Span:
    """The time that is lived through, and how often the engine looks: at every mark, and a second before it.

    A cancellation is a mark too: what was planned before it happens before it, however seldom one looks.
    """

    since: datetime
    until: datetime
    every: timedelta

    def stops(self, cancelled: Iterable[datetime]) -> list[datetime]:
        """When the engine looks, in order."""
        steps = int((self.until - self.since) / self.every)
        marks = {self.since + number * self.every for number in range(steps + 1)} | set(cancelled)
        return sorted(marks | {mark - SECOND for mark in marks})


@dataclass(frozen=True)
class Night:
    """Quiet hours over midnight, whole hours on the person's own clock."""

    begins: int
    ends: int

    def holds(self, at: datetime, zone: ZoneInfo) -> bool:
        hour = at.astimezone(zone).hour
        return hour >= self.begins or hour < self.ends

    def opens(self, at: datetime, zone: ZoneInfo) -> datetime:
        """The first instant from `at` on that is not in them."""
        return next_hour(at, zone, self.ends) if self.holds(at, zone) else at


@dataclass(frozen=True)
class Mail:
    """One mail the plan wants, and the plan's instant: when it may first go, or when it was found to be late."""

    message: str
    at: datetime
    late: bool = False


@dataclass(frozen=True)
class OrderWay:
    """How the journey goes for one order. `ended` is why and when; None while it still runs."""

    held_out: bool
    mails: tuple[Mail, ...]
    voucher: bool
    ended: tuple[str, datetime] | None


@dataclass(frozen=True)
class Send:
    """The plan reaches a mail."""

    message: str
    at: datetime
    goes: datetime  # when it may
    looked: datetime  # when it can, as seldom as the engine looks
    gives_up: datetime

    @property
    def settled(self) -> datetime:
        """From when the plan goes on: when it might have gone, if that was in time at all."""
        return self.goes if self.goes <= self.gives_up else self.at


@dataclass(frozen=True)
class Give:
    """The plan reaches a voucher."""

    at: datetime


@dataclass(frozen=True)
class End:
    """The plan is over."""

    reason: str
    at: datetime


class Expected:
    """What must have become, by the end of a span, of the orders made in it. Without a night mails always may go.

    With `of`, only of the orders of some customers: nobody else orders.
    """

    def __init__(
        self, truth: Truth, span: Span, night: Night | None = None, of: Callable[[str], bool] = lambda customer: True
    ) -> None:
        self._truth, self._span, self._night, self._of = truth, span, night, of
        cancelled = (at for number, at in truth.cancellations.items() if of(truth.orders[number].customer))
        self._stops = span.stops(at for at in cancelled if span.since <= at <= span.until)

    @cached_property
    def ways(self) -> Mapping[str, OrderWay]:
        """Every order that enters -> its way."""
        orders = (self._truth.orders[number] for number in self._truth.enrollments)
        told = (order for order in orders if self._span.since <= order.at <= self._span.until)
        return {order.number: self._way(order) for order in told if self._of(order.customer)}

    def sent(self) -> dict[tuple[str, str], datetime]:
        """(order, message) -> the plan's instant, for every mail that must reach the server, each once."""
        return {
            (number, mail.message): mail.at
            for number, way in self.ways.items()
            if not way.held_out
            for mail in way.mails
            if not mail.late
        }

    def late(self) -> dict[tuple[str, str], datetime]:
        """The same for mails that quiet hours keep beyond their time."""
        return {
            (number, mail.message): mail.at
            for number, way in self.ways.items()
            if not way.held_out
            for mail in way.mails
            if mail.late
        }

    def totals(self) -> dict[str, int]:
        """The sums, to be shown and compared."""
        ways = self.ways.values()
        found = Counter(f"mails {message}" for _, message in self.sent())
        found.update(f"late {message}" for _, message in self.late())
        found.update(f"ended {way.ended[0]}" for way in ways if way.ended)
        found["enrollments"] = len(ways)
        found["held out"] = sum(way.held_out for way in ways)
        found["vouchers"] = sum(way.voucher for way in ways)
        found["mails"] = len(self.sent())
        return dict(sorted(found.items()))

    def _way(self, order: Bought) -> OrderWay:
        """The steps of the plan, cut off by the order's cancellation and by the end of the time looked at."""
        held_out = place("holdout", JOURNEY, order.customer) < SHARES * 5 // 100
        cancelled = self._truth.cancellations.get(order.number, NEVER)
        cut = min(cancelled, self._span.until + timedelta.resolution)
        mails, voucher, ended = [], False, None
        for step in self._plan(order):
            if step.at >= cut:
                break
            match step:
                case Send() if step.looked > step.gives_up:
                    mails.append(Mail(step.message, step.settled, late=True))
                case Send() if step.goes < cut:
                    mails.append(Mail(step.message, step.goes))
                case Give():
                    voucher = not held_out
                case End():
                    ended = step.reason, step.at
        if ended is None and cancelled <= self._span.until:
            ended = LEFT, cancelled
        return OrderWay(held_out, tuple(mails), voucher, ended)

    def _plan(self, order: Bought) -> Iterator[Send | Give | End]:
        """What takes effect, as it would come if nobody cancelled."""
        zone, end = self._truth.zone(order.customer), order.at + 72 * HOUR

        def send(message: str, at: datetime, patience: timedelta) -> Send:
            goes = self._night.opens(at, zone) if self._night else at
            return Send(message, at, goes, self._looked(goes), min(at + patience, end))

        yield (first := send("order_on_its_way", order.at + 6 * HOUR, 6 * HOUR))
        waits = first.settled
        arrived = self._truth.deliveries.get(order.number, NEVER)
        if not waits <= arrived <= waits + 48 * HOUR:
            yield (coming := send("parcel_is_coming", waits + 48 * HOUR, 6 * HOUR))
            yield End(NOT_THERE, coming.settled)
            return
        morning = next_hour(arrived, zone, 10)
        if morning <= end:
            yield send("how_to_use", morning, 24 * HOUR)
        evening = next_hour(morning, zone, 20)
        if evening > end:
            yield End(OVER, end)
            return
        yield from self._evening(order.customer, evening, send)
        yield End(DONE, evening)

    def _evening(
        self, customer: str, at: datetime, send: Callable[[str, datetime, timedelta], Send]
    ) -> Iterator[Send | Give]:
        tier = self._truth.tier(customer, self._looked(at))
        if tier in THANKS:
            yield send(THANKS[tier], at, 24 * HOUR)
        elif place("split", JOURNEY, "second_order_voucher", customer) >= SHARES // 2:
            yield Give(at)
            yield send("voucher", at, 24 * HOUR)

    def _looked(self, at: datetime) -> datetime:
        """The first time the engine looks from `at` on."""
        return self._stops[bisect_left(self._stops, at)] if at <= self._stops[-1] else at


def place(*names: str) -> int:
    """Where a person stands between 0 and SHARES, by names alone."""
    told = "".join(f"{len(name)}:{name}" for name in names)
    return int(hashlib.sha256(told.encode()).hexdigest()[:32], 16) % SHARES

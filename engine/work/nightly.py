"""The scores of the night: worked out once a night, at an hour of the shop's clock, as far as anybody asks for them.

What was never worked out, or by another formula, is worked out at once. Only rows that changed are written, slice by
slice, so that others who write need not wait; a process that ends in between begins anew at the next start.
"""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from engine.app import App
from engine.audience.audience import Audience
from engine.audience.nightly import SEGMENTS, fifths
from engine.audience.terms import HABITS, RFM
from engine.decide.timing import instant_of
from engine.store import customers, nightly
from engine.store.tables import Row, get_fact, set_fact

PAGE = 10_000  # people read, and written, in one transaction
T = TypeVar("T")
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class _Part:
    """Scores that are worked out together."""

    fact: str  # remembers when that was last done, and by which formula
    scores: frozenset[str]
    formula: Callable[[Audience], tuple[object, ...]]  # all that it depends on
    work_out: Callable[[App, Audience, datetime], bool]  # False: asked to end before it was done


def refresh_scores(app: App, audience: Audience, asked: frozenset[str], now: datetime) -> None:
    """Work out what is asked for and due."""
    if not asked:
        return
    with app.database.reading() as connection:
        due = [part for part in _PARTS if part.scores & asked and _is_due(app, connection, part, audience, now)]
    for part in due:
        if part.work_out(app, audience, now):
            with app.database.writing() as connection:
                set_fact(connection, part.fact, f"{now.isoformat()} {_formula(part, audience)}")


def last_refresh(connection: Connection) -> datetime | None:
    """When scores were last worked out."""
    told = [get_fact(connection, part.fact) for part in _PARTS]
    return max((_instant(one) for one in told if one is not None), default=None)


def next_refresh(
    app: App, connection: Connection, audience: Audience, asked: frozenset[str], now: datetime
) -> datetime | None:
    """The next instant at which scores are due; None when nobody asks for any."""
    if not asked:
        return None
    if any(part.scores & asked and _is_due(app, connection, part, audience, now) for part in _PARTS):
        return now
    return _night(app, now, _DAY)


def _is_due(app: App, connection: Connection, part: _Part, audience: Audience, now: datetime) -> bool:
    told = get_fact(connection, part.fact)
    if told is None:
        return True
    formula = told.partition(" ")[2]
    return formula != _formula(part, audience) or not _night(app, now) <= _instant(told) <= now


def _instant(told: str) -> datetime:
    return datetime.fromisoformat(told.partition(" ")[0])


def _night(app: App, now: datetime, on: timedelta = timedelta(0)) -> datetime:
    """The last instant until `now` at which scores were planned, or with a day the one after it."""
    zone, at = ZoneInfo(app.settings.shop.zone), app.settings.scores.refresh_at
    today = now.astimezone(zone).date()
    planned = instant_of(datetime.combine(today, at), zone)
    day = today if planned <= now else today - _DAY
    return instant_of(datetime.combine(day + on, at), zone)


def _formula(part: _Part, audience: Audience) -> str:
    return hashlib.sha256(repr(part.formula(audience)).encode()).hexdigest()[:16]


# --- rfm -------------------------------------------------------------------------------------------------------------


@dataclass
class _Base:
    """Everybody who has an order, by their ids, and what they are put in a row by: 32 bytes for each."""

    ids: array[int] = field(default_factory=lambda: array("q"))
    last: array[int] = field(default_factory=lambda: array("q"))
    orders: array[int] = field(default_factory=lambda: array("q"))
    spent: array[float] = field(default_factory=lambda: array("d"))

    def add(self, number: int, last: int, orders: int, spent: float) -> None:
        self.ids.append(number)
        self.last.append(last)
        self.orders.append(orders)
        self.spent.append(spent)

    def place_of(self, number: int) -> int | None:
        place = bisect_left(self.ids, number)
        return place if place < len(self.ids) and self.ids[place] == number else None


def _work_out_rfm(app: App, audience: Audience, now: datetime) -> bool:
    base, asked = _Base(), nightly.orders_until(audience, now)
    pages = list(_pages(app))
    for first, last in pages:
        if app.stopping:
            return False
        with app.database.reading() as connection:
            for row in connection.execute(asked, {"first": first, "last": last}):
                base.add(*row)
    with app.database.reading() as connection:
        places = (base.place_of(number) for number in nightly.ids_by_name(connection))
        by_name = array("q", (place for place in places if place is not None))
    r, f, m = (fifths(values, by_name) for values in (base.last, base.orders, base.spent))
    for first, last in pages:
        if app.stopping:
            return False
        span = range(bisect_left(base.ids, first), bisect_right(base.ids, last))
        with app.database.reading() as connection:
            kept = nightly.standings_kept(connection, first, last)
        found = {base.ids[place]: (r[place], f[place], m[place]) for place in span}
        rows = [
            {"customer_id": number, "r": r, "f": f, "m": m, "segment": SEGMENTS[r][f - 1]}
            for number, (r, f, m) in _changed(found, kept)
        ]
        _write(app, nightly.keep_standings, rows, kept.keys() - found.keys())
    return True


# --- habits ----------------------------------------------------------------------------------------------------------


def _work_out_habits(app: App, audience: Audience, now: datetime) -> bool:
    with app.database.reading() as connection:
        zones = customers.zones(connection)
    channels_asked, hours_asked = nightly.channels_until(audience, now), nightly.hours_until(audience, zones, now)
    for first, last in _pages(app):
        if app.stopping:
            return False
        with app.database.reading() as connection:
            span = {"first": first, "last": last}
            kept = nightly.habits_kept(connection, first, last)
            channels = {number: channel for number, channel in connection.execute(channels_asked, span)}
            hours = {number: hour for number, hour in connection.execute(hours_asked, span)}
        found = {number: (channels.get(number), hours.get(number)) for number in channels.keys() | hours.keys()}
        rows = [
            {"customer_id": number, "channel": channel, "hour": hour}
            for number, (channel, hour) in _changed(found, kept)
        ]
        _write(app, nightly.keep_habits, rows, kept.keys() - found.keys())
    return True


# --- both ------------------------------------------------------------------------------------------------------------


def _pages(app: App) -> Iterator[tuple[int, int]]:
    """The first and the last id of each page of people."""
    last = 0
    while True:
        with app.database.reading() as connection:
            ids = customers.first_ids(connection, PAGE, last)
        if not ids:
            return
        last = ids[-1]
        yield ids[0], last


def _changed(found: Mapping[int, T], kept: Mapping[int, T]) -> Iterator[tuple[int, T]]:
    return ((number, value) for number, value in found.items() if kept.get(number) != value)


def _write(app: App, keep: Callable[..., None], rows: Sequence[Row], gone: Collection[int]) -> None:
    if rows or gone:
        with app.database.writing() as connection:
            keep(connection, rows, sorted(gone))


def _of_rfm(audience: Audience) -> tuple[object, ...]:
    scores = audience.scores
    money = scores.order_total in scores.money and sorted(audience.all_rates.items())
    return scores.order, scores.order_total, scores.rfm_within, money, sorted(SEGMENTS.items())


def _of_habits(audience: Audience) -> tuple[object, ...]:
    return audience.scores.page_viewed, audience.scores.habits_within, audience.scores.habits_least


_PARTS = (
    _Part("rfm", RFM, _of_rfm, _work_out_rfm),
    _Part("habits", HABITS, _of_habits, _work_out_habits),
)

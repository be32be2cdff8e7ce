"""Scores of two real shops, 88,195 orders in all: every person's, held to a reckoning of the CSV in plain Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import shops
from sqlalchemy import func, select
from stubs import CONFIG, shop

from engine.app import App
from engine.audience import traits
from engine.audience.tables import customer
from engine.audience.terms import RFM
from engine.audience.view import View
from engine.journey.conditions import Money
from engine.store import customers, events, nightly
from engine.store.traits import Asked
from engine.work.incoming.importing import import_events, import_people
from engine.work.nightly import refresh_scores
from tests.real import cdnow
from tests.real.uci_oracle import FILE, Truth, data_dir

DATA = data_dir()
DAY = timedelta(days=1)
AUDIENCE = """
traits:
  orders: {count: Order Completed}
  spent: {sum: Order Completed.total}
  usual_order: {average: Order Completed.total}
  largest_order: {largest: Order Completed.total}
  smallest_order: {smallest: Order Completed.total}
  amounts: {count_distinct: Order Completed.total}
  first_order: {first: Order Completed}
  last_amount: {last: Order Completed.total}
  quiet_days: {days_since_last: Order Completed}
segments:
  bought_again: {orders: {at_least: 2}}
"""
BY_HAND = ("orders", "spent", "largest_order", "smallest_order", "amounts", "first_order", "last_amount", "quiet_days")
pytestmark = pytest.mark.skipif(DATA is None, reason=f"{FILE} is not here (OUTREACH_DATA names its folder)")


@dataclass(frozen=True)
class History:
    """What a shop knows, and the same from its CSV: orders of each person as (instant, thousandths), oldest first."""

    app: App
    orders: Mapping[str, Sequence[tuple[datetime, int]]]
    known_since: Mapping[str, datetime]
    looks: Sequence[datetime]  # instants at which all is compared

    def until(self, at: datetime) -> dict[str, list[tuple[datetime, int]]]:
        """The orders of everybody who has any by then."""
        found = {person: [one for one in orders if one[0] <= at] for person, orders in self.orders.items()}
        return {person: orders for person, orders in found.items() if orders}

    def counted(self, score: str, at: datetime) -> dict[Any, int]:
        """How many people have which value."""
        with self.app.database.reading() as connection:
            audience = self.app.rules(connection).audience
            values = select(traits.as_sql(score, audience, at).label("value")).select_from(customer).subquery()
            rows = connection.execute(select(values.c.value, func.count()).group_by(values.c.value)).all()
        return {value: count for value, count in rows}

    def values(self, names: Sequence[str], at: datetime) -> dict[str, tuple[Any, ...]]:
        """person -> the values of these traits."""
        with self.app.database.reading() as connection:
            asked = Asked(self.app.rules(connection).audience, names, at)
            return {one.external_id: one.values for one in asked.page(connection, 0, 100_000)}


@pytest.fixture(scope="module")
def cdnow_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    assert DATA is not None
    folder = tmp_path_factory.mktemp("cdnow")
    app = opened(folder / "shop", datetime(1998, 7, 1, 12, tzinfo=UTC), *cdnow.convert(DATA / cdnow.FILE, folder))
    orders: dict[str, list[tuple[datetime, int]]] = {}
    for one in sorted(cdnow.purchases(DATA / cdnow.FILE), key=lambda one: (one.at, one.number)):
        orders.setdefault(one.customer, []).append((one.at, one.cents * 10))
    looks = [datetime(1997, 4, 1, tzinfo=UTC), datetime(1997, 10, 1, tzinfo=UTC), datetime(1998, 7, 1, tzinfo=UTC)]
    yield History(app, orders, dict.fromkeys(orders, cdnow.KNOWN_SINCE), looks)
    app.close()


@pytest.fixture(scope="module")
def uci_shop(truth: Truth, converted: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    app = opened(tmp_path_factory.mktemp("uci") / "shop", datetime(2011, 12, 20, tzinfo=UTC), *converted)
    orders: dict[str, list[tuple[datetime, int]]] = {}
    for one in sorted(truth.orders.values(), key=lambda one: one.at):
        orders.setdefault(one.customer, []).append((one.at, one.mills))
    looks = [datetime(2011, 2, 1, tzinfo=UTC), datetime(2011, 7, 1, tzinfo=UTC), datetime(2011, 12, 10, tzinfo=UTC)]
    yield History(app, orders, truth.known_since, looks)
    app.close()


def opened(folder: Path, now: datetime, people: Path, told: Path) -> App:
    """A shop that counts in pounds, with nothing but these people and what they did."""
    config = CONFIG.replace("EUR", "GBP").replace("  news:", "  care:").replace("  orders:", "  offers:")
    app = shops.opened(shop(folder, {"audience": AUDIENCE}, config), shops.ManualClock(now), durable=False)
    shops.publish_all(app)
    assert import_people(app, people).problems == []
    assert import_events(app, told).problems == []
    return app


@pytest.fixture(params=["cdnow", "uci"])
def history(request: pytest.FixtureRequest) -> History:
    found: History = request.getfixturevalue(f"{request.param}_shop")
    return found


# --- the figures the histories are known for -------------------------------------------------------------------------


def test_the_figures_that_cdnow_is_known_for(cdnow_shop: History) -> None:
    found = cdnow_shop.values(["orders", "spent"], cdnow_shop.looks[-1])
    assert len(found) == 23_570
    assert sum(orders for orders, _ in found.values()) == 69_659
    assert sum(spent.amount for _, spent in found.values()) == Decimal("2500315.63")
    assert sum(orders == 1 for orders, _ in found.values()) == 11_908
    assert max(orders for orders, _ in found.values()) == 217


def test_so_many_had_bought_again_by_each_quarter(cdnow_shop: History) -> None:
    quarters = [datetime(1997 + month // 12, month % 12 + 1, 1, tzinfo=UTC) for month in (3, 6, 9, 12, 15, 18)]
    found = []
    for at in quarters:
        again = sum(len(orders) >= 2 for orders in cdnow_shop.until(at).values())
        found.append(again)
        values = cdnow_shop.values(["orders"], at).values()
        assert sum(orders >= 2 for (orders,) in values) == again
    assert found == REPEATED


REPEATED = [5_066, 8_203, 9_616, 10_644, 11_295, 11_662]


# --- where people stand ----------------------------------------------------------------------------------------------


def test_everybody_is_in_the_fifths_that_plain_python_puts_them_in(history: History) -> None:
    for at in history.looks:
        with history.app.database.reading() as connection:
            audience = history.app.rules(connection).audience
        refresh_scores(history.app, audience, RFM, at)
        with history.app.database.reading() as connection:
            names = customers.names_of(connection, range(1, len(history.known_since) + 1))
            kept = nightly.of_people(connection, sorted(names))
        found = {names[number]: scores for number, scores in kept.items() if scores}
        expected = rfm_by_hand(history.until(at))
        assert {person: (one["rfm.r"], one["rfm.f"], one["rfm.m"]) for person, one in found.items()} == expected
        size, more = divmod(len(expected), 5)
        for place in range(3):
            assert Counter(fifths[place] for fifths in expected.values()) == {
                fifth: size + (fifth <= more) for fifth in range(1, 6)
            }
        assert {person: one["rfm.segment"] for person, one in found.items()} == {
            person: NAMES[r][f - 1] for person, (r, f, _) in expected.items()
        }


NAMES = {
    5: ("new", "potential_loyalist", "potential_loyalist", "champions", "champions"),
    4: ("promising", "potential_loyalist", "potential_loyalist", "loyal", "loyal"),
    3: ("about_to_sleep", "about_to_sleep", "need_attention", "loyal", "loyal"),
    2: ("hibernating", "hibernating", "at_risk", "at_risk", "cannot_lose"),
    1: ("lost", "lost", "at_risk", "at_risk", "cannot_lose"),
}


def rfm_by_hand(orders: Mapping[str, Sequence[tuple[datetime, int]]]) -> dict[str, tuple[int, int, int]]:
    last = {person: max(at for at, _ in mine) for person, mine in orders.items()}
    number = {person: len(mine) for person, mine in orders.items()}
    spent = {person: sum(mills for _, mills in mine) for person, mine in orders.items()}
    r, f, m = (fifths(measure) for measure in (last, number, spent))
    return {person: (r[person], f[person], m[person]) for person in orders}


def fifths(measure: Mapping[str, Any]) -> dict[str, int]:
    row = sorted(measure, key=lambda person: (measure[person], person))
    size, more = divmod(len(row), 5)
    cuts = [fifth * size + min(fifth, more) for fifth in range(6)]
    return {person: fifth + 1 for fifth in range(5) for person in row[cuts[fifth] : cuts[fifth + 1]]}


# --- how they fare over time -----------------------------------------------------------------------------------------


def test_the_stages_of_everybody_over_time_are_those_that_plain_python_counts(history: History) -> None:
    for at in history.looks:
        orders = history.until(at)
        people = history.known_since
        assert history.counted("churn_stage", at) == Counter(
            stage(orders.get(person, []), since, at) for person, since in people.items()
        )
        assert history.counted("lifecycle", at) == Counter(lifecycle(orders.get(person, []), at) for person in people)
        assert history.counted("value_tier", at) == Counter(tier(orders.get(person, []), at) for person in people)


def test_the_stages_move_as_a_shop_without_news_would(cdnow_shop: History) -> None:
    """Nobody is new after the first quarter, and most of them never come back."""
    assert [cdnow_shop.counted("lifecycle", at) for at in cdnow_shop.looks] == LIFECYCLES


LIFECYCLES = [
    {"new": 18_504, "growing": 4_408, "mature": 658},
    {"declining": 19_375, "mature": 2_136, "growing": 1_420, "revived": 639},
    {"declining": 20_269, "mature": 2_223, "revived": 919, "growing": 159},
]


def stage(orders: Sequence[tuple[datetime, int]], since: datetime, now: datetime) -> str:
    silent = now - max((at for at, _ in orders), default=since)
    return "lost" if silent >= 30 * DAY else "warning" if silent >= 3 * DAY else "active"


def lifecycle(orders: Sequence[tuple[datetime, int]], now: datetime) -> str | None:
    instants = sorted(at for at, _ in orders)
    if not instants:
        return None
    if now - instants[-1] >= 90 * DAY:
        return "declining"
    if len(instants) > 1 and instants[-1] - instants[-2] >= 180 * DAY:
        return "revived"
    return "mature" if len(instants) >= 4 else "growing" if len(instants) >= 2 else "new"


def tier(orders: Sequence[tuple[datetime, int]], now: datetime) -> str:
    number = sum(at > now - 365 * DAY for at, _ in orders)
    return "core" if number >= 5 else "growth" if number >= 2 else "base"


# --- traits ----------------------------------------------------------------------------------------------------------


def test_the_traits_of_everybody_are_those_that_plain_python_finds(history: History) -> None:
    at = history.looks[-1]
    found = history.values(BY_HAND, at)
    assert len(found) == len(history.known_since)
    orders = history.until(at)
    for person, values in found.items():
        assert values == traits_by_hand(orders.get(person, []), at), person


def traits_by_hand(orders: Sequence[tuple[datetime, int]], now: datetime) -> tuple[Any, ...]:
    """As they stand in BY_HAND."""
    mills = [amount for _, amount in orders]
    if not orders:
        return 0, pounds(0), None, None, 0, None, None, None
    return (
        len(orders),
        pounds(sum(mills)),
        pounds(max(mills)),
        pounds(min(mills)),
        len(set(mills)),
        orders[0][0],
        pounds(mills[-1]),
        (now - orders[-1][0]) // DAY,
    )


def pounds(mills: int) -> Money:
    return Money((Decimal(mills) / 1000).normalize() + 0, "GBP")


def test_the_usual_gaps_of_everybody_and_how_overdue_they_are(history: History) -> None:
    at = history.looks[-1]
    orders = history.until(at)
    for person, (gap, overdue) in history.values(["purchase_gap_days", "overdue_days"], at).items():
        instants = [when for when, _ in orders.get(person, [])]
        if len(instants) < 2:
            assert (gap, overdue) == (None, None)
            continue
        usual = median(Fraction(int((b - a).total_seconds()), 86_400) for a, b in pairwise(instants))
        assert abs(Fraction(gap) - usual) <= Fraction(1, 20_000), person
        assert overdue == (at - instants[-1]) // DAY - gap


def test_one_person_in_memory_is_who_they_are_among_all(history: History) -> None:
    """Every fiftieth, from their events."""
    at = history.looks[-1]
    names = (*BY_HAND, "usual_order", "churn_stage", "lifecycle", "value_tier", "churn_reason", "overdue_days")
    among_all = history.values(names, at)
    with history.app.database.reading() as connection:
        audience = history.app.rules(connection).audience
        ids = range(1, len(history.known_since) + 1, 50)
        happened = events.of_people(connection, ids, dict.fromkeys(audience.events(names).events), at)
        for number, (person, _) in customers.people(connection, ids).items():
            view = View(person, happened.get(number, ()), audience)
            assert tuple(traits.value(name, view, at) for name in names) == among_all[person.external_id]

"""Cancellations and deliveries of a real year, one by one: with `again: {per: order_id}` each meets its own order.

How many would meet an order they are not about is counted in the CSV by the oracle, which knows nothing of the engine;
an engine that does not ask makes exactly these mistakes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from stubs import World

from engine.audience.values import Happening
from engine.decide import responses
from engine.decide.draft import Here
from engine.store.tables import enrollment
from engine.work.incoming.intake import NewEvent, record_events
from engine.work.tick import next_due
from tests.real.uci_oracle import FILE, HOUR, Bought, Truth, data_dir

OPEN_FOR = 72 * HOUR
HEAD = """
title: {title}
owner: us
topic: orders
enter: {{event: Order Completed}}
again: {{per: order_id}}
"""
JOURNEYS = {
    "leaves": HEAD.format(title="Until it is cancelled") + "leave: [{event: Order Cancelled}]\nsteps: [{wait: 72h}]\n",
    "waits": HEAD.format(title="Until it is there")
    + "steps: [{wait_for: Parcel Delivered, within: 72h,"
    + " then: [{exit: arrived}], otherwise: [{exit: not_yet}]}]\n",
}
pytestmark = pytest.mark.skipif(data_dir() is None, reason=f"{FILE} is not here (OUTREACH_DATA names its folder)")

LATER = timedelta(days=16 * 365 + 4)  # the clocks of tests begin in 2026
Ends = dict[tuple[str, str], tuple[str, datetime]]  # journey, order -> why and when its way ended


def open_orders(truth: Truth) -> list[Bought]:
    """Orders made no longer than three days before their customer cancelled one, this or another."""
    cancelled: dict[str, list[datetime]] = {}
    for number, at in truth.cancellations.items():
        cancelled.setdefault(truth.orders[number].customer, []).append(at)
    return [
        order
        for order in truth.orders.values()
        if any(order.at < at <= order.at + OPEN_FOR for at in cancelled.get(order.customer, ()))
    ]


def mistaken(truth: Truth) -> list[tuple[str, str]]:
    """Each cancellation beside each order it is not about that its customer has open: one would hit the other."""
    return [
        (number, order.number)
        for number, at in truth.cancellations.items()
        for order in truth.orders.values()
        if order.customer == truth.orders[number].customer
        and order.number != number
        and order.at < at <= order.at + OPEN_FOR
    ]


def test_so_many_cancellations_would_hit_a_wrong_order(truth: Truth) -> None:
    found = mistaken(truth)

    assert len(found) == 75
    assert len({cancellation for cancellation, _ in found}) == 48
    assert len({order for _, order in found}) == 62


def test_so_many_invoices_that_take_goods_back_come_while_another_order_is_open(truth: Truth) -> None:
    """The same of all that was returned, also where that is less than half of an order."""
    about = returns(truth)
    wrong = {
        invoice
        for invoice, (customer, at, orders) in about.items()
        for order in truth.orders.values()
        if orders and order.customer == customer and order.number not in orders and order.at < at <= order.at + OPEN_FOR
    }

    assert len(about) == 3_383
    assert len(wrong) == 319


def returns(truth: Truth) -> dict[str, tuple[str, datetime, set[str]]]:
    """C invoice about goods -> customer, instant, and the orders it takes from."""
    found: dict[str, tuple[str, datetime, set[str]]] = {}
    for back in truth.returned:
        _, _, orders = found.setdefault(back.invoice, (back.customer, back.at, set()))
        if back.order is not None:
            orders.add(back.order)
    return found


@pytest.fixture(scope="module")
def ended(truth: Truth, tmp_path_factory: pytest.TempPathFactory) -> Ends:
    return live_through(truth, tmp_path_factory.mktemp("orders"))


@pytest.fixture(scope="module")
def ended_without(truth: Truth, tmp_path_factory: pytest.TempPathFactory) -> Ends:
    """The same by an engine that does not ask which order an event is about."""

    def of_any(here: Here, name: str, where: Any, in_time: Any, same_key: bool) -> Iterator[Happening]:
        return asked(here, name, where, in_time, same_key=False)

    asked = responses.events
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(responses, "events", of_any)
        return live_through(truth, tmp_path_factory.mktemp("orders"))


def live_through(truth: Truth, folder: Path) -> Ends:
    """How the way of each order ended in each journey, told one event after the other."""
    world = World(folder / "shop", JOURNEYS)
    orders = open_orders(truth)
    for number, customer in enumerate(sorted({order.customer for order in orders})):
        world.people(1, first=number, external_id=customer)
    told = sorted(happenings(truth, orders))
    for at, name, order in told:
        through(world, at)
        tell(world, at, name, truth.orders[order])
    through(world, told[-1][0] + OPEN_FOR)
    with world.app.database.reading() as connection:
        ways = connection.execute(enrollment.select()).all()
    world.close()
    assert len(ways) == 2 * len(orders)
    return {(way.journey, way.key): (way.reason, way.ended_at - LATER) for way in ways}


def happenings(truth: Truth, orders: Sequence[Bought]) -> Iterator[tuple[datetime, str, str]]:
    """When what happened to which order."""
    for order in orders:
        yield order.at, "Order Completed", order.number
        if order.number in truth.deliveries:
            yield truth.deliveries[order.number], "Parcel Delivered", order.number
    customers = {order.customer for order in orders}
    for number, at in truth.cancellations.items():
        if truth.orders[number].customer in customers:
            yield at, "Order Cancelled", number


def through(world: World, until: datetime) -> None:
    """Every instant at which something is due until then, and then."""
    while (due := next_due(world.app, world.clock.now())) is not None and due < until + LATER:
        world.tick_at(due)
    world.tick_at(until + LATER)


def tell(world: World, at: datetime, name: str, order: Bought) -> None:
    with world.app.database.reading() as connection:
        rules = world.app.rules(connection)
    event = NewEvent(f"{name} {order.number}", order.customer, name, at + LATER, {"order_id": order.number})
    record_events(world.app, rules, world.app.needs(rules), [event])


def test_a_cancellation_ends_the_way_of_its_own_order_and_no_other(truth: Truth, ended: Ends) -> None:
    for order in open_orders(truth):
        at = truth.cancellations.get(order.number)
        own = at is not None and at <= order.at + OPEN_FOR
        expected = ("left: Order Cancelled", at) if own else ("done", order.at + OPEN_FOR)
        assert ended["leaves", order.number] == expected


def test_a_wait_is_answered_by_the_parcel_of_its_own_order_and_no_other(truth: Truth, ended: Ends) -> None:
    for order in open_orders(truth):
        assert ended["waits", order.number] == answered(order, [truth.deliveries.get(order.number)])


def test_an_engine_that_did_not_ask_for_the_order_would_end_the_wrong_ones(
    truth: Truth, ended: Ends, ended_without: Ends
) -> None:
    orders = open_orders(truth)
    for order in orders:
        theirs = [truth.deliveries.get(other.number) for other in orders if other.customer == order.customer]
        assert ended_without["leaves", order.number] == ("left: Order Cancelled", first_cancelled(truth, order))
        assert ended_without["waits", order.number] == answered(order, theirs)
    wrong = Counter(journey for journey, number in ended if ended[journey, number] != ended_without[journey, number])
    assert wrong == {"leaves": 49, "waits": 25}


def first_cancelled(truth: Truth, order: Bought) -> datetime:
    """When their customer cancelled anything since."""
    cancelled = [at for number, at in truth.cancellations.items() if truth.orders[number].customer == order.customer]
    return min(at for at in cancelled if order.at < at)


def answered(order: Bought, deliveries: Sequence[datetime | None]) -> tuple[str, datetime]:
    """How a wait for these ends."""
    limit = order.at + OPEN_FOR
    arrived = min((at for at in deliveries if at is not None and order.at <= at <= limit), default=None)
    return ("not_yet", limit) if arrived is None else ("arrived", arrived)

"""Held out of all marketing: the same people in every journey, also by a single send; measured by what they order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
import shops
from stubs import CONFIG, World

from engine.decide.split import held_out_of_all
from engine.errors import Refused
from engine.learn.explain import explain
from engine.learn.report import report, report_marketing

DAY = timedelta(days=1)
SHARE = Decimal("0.3")
NEWS = """
title: News
owner: us
topic: news
enter: {event: Order Completed}
again: {per: order_id}
goal: {event: Order Completed, within: 30d}
steps: [{send: note, via: [email]}]
"""
ORDERS = """
title: Your order
owner: us
topic: orders
enter: {event: Order Completed}
again: {per: order_id}
steps:
  - send: note
    via: [email]
  - {id: beside, send: note, via: [sms], topic: news}
"""
MakeWorld = Callable[..., World]


@pytest.fixture
def world(make_sqlite_world: MakeWorld) -> World:
    config = f"{CONFIG}\nholdout: 30%\n".replace('quiet_hours: {sms: "21:00-08:00"}', "quiet_hours: {}")
    config = config.replace("caps: [{at_most: 1, per: day}, {at_most: 3, per: week}]", "caps: []")
    return make_sqlite_world({"news": NEWS, "orders": ORDERS}, config=config.replace("least_gap: 1h", "least_gap: 0s"))


def test_no_marketing_reaches_them_and_what_they_have_a_right_to_does(world: World) -> None:
    people = world.people(40, created_at=shops.NOW - 60 * DAY)
    held = {name for name in people if held_out_of_all(name, SHARE)}
    assert 5 < len(held) < 20
    world.order(*people)
    world.tick()
    sent = world.rows(
        "SELECT c.external_id AS person, m.journey, m.channel FROM message m JOIN customer c ON c.id = m.customer_id"
        " WHERE m.batch_id IS NOT NULL"
    )
    told = {name: {(row.journey, row.channel) for row in sent if row.person == name} for name in people}
    for name in people:
        assert told[name] == {("orders", "email")} | (set() if name in held else {("news", "email"), ("orders", "sms")})


def test_the_reports_tell_of_them(world: World) -> None:
    people = world.people(40, created_at=shops.NOW - 60 * DAY)
    held = {name for name in people if held_out_of_all(name, SHARE)}
    world.order(*people)
    world.tick()
    of_news = report(world.app, "news")
    assert (of_news.held_out.people, of_news.held_out_of_all) == (len(held), len(held))
    assert report(world.app, "orders").held_out_of_all == 0
    world.order(*sorted(held)[:2], number="2")
    world.clock.move_to(world.clock.now() + 40 * DAY)
    world.order(*sorted(held)[:2], *sorted(set(people) - held)[:10], number="3")
    world.people(3, first=90)  # known since today: they prove nothing
    found = report_marketing(world.app, 30 * DAY)
    assert (found.held_out.people, found.held_out.reached) == (len(held), 2)
    assert (found.treated.people, found.treated.reached) == (40 - len(held), 10)
    assert found.difference is not None


def test_it_is_told_of_a_person_and_refused_where_nobody_is_held_out(
    world: World, make_sqlite_world: MakeWorld
) -> None:
    people = world.people(40)
    held = next(name for name in people if held_out_of_all(name, SHARE))
    stories = {story.journey: story.sentence for story in explain(world.app, held).stories}
    assert stories["news"].endswith("This person is held out of all marketing.")
    assert "held out" not in stories["orders"]
    other = make_sqlite_world({"news": NEWS})
    with pytest.raises(Refused, match="nobody is held out of all marketing"):
        report_marketing(other.app, 30 * DAY)

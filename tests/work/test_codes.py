"""Voucher codes: no pool is empty while one of its codes lies unused, and what a preview tells of them is true."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import shops
from stubs import AUDIENCE, JOURNEY, World

from engine.errors import Refused
from engine.learn.report import report
from engine.simulate.preview import preview
from engine.work.incoming import pools
from engine.work.incoming.pools import Stock, refill, stocks

NOON = datetime(2026, 11, 24, 11, 0, tzinfo=UTC)  # 12:00 in Berlin
STEPS = """
steps:
  - branch:
      - {if: {tier: gold}, then: [{give: coupons}, {send: note, via: [email]}]}
      - otherwise: [{exit: no_gold}]
"""
WAVE = """
title: A wave with coupons
owner: us
topic: orders
enter: {every: day, at: "12:00", zone: person, segment: everyone}
"""
EVENT = """
title: Coupons after an order
owner: us
topic: orders
enter: {event: Order Completed}
"""


def world_of(folder: Path, head: str, codes: int, more: str = "") -> World:
    """A shop whose journey gives from a pool of so many codes."""
    world = World(folder, {"other": JOURNEY.replace("Order Completed", "Never Told")})
    journeys = folder / "journeys"
    (journeys / "coupons.yaml").write_text(head + STEPS)
    (journeys / "codes").mkdir()
    (journeys / "codes" / "coupons.csv").write_text("".join(f"{line}\n" for line in ("code", *range(codes))))
    pools = "pools:\n  coupons: {file: codes/coupons.csv, value: 5 EUR, expires: 14dMORE}\n".replace("MORE", more)
    (journeys / "audience.yaml").write_text(pools + AUDIENCE)
    shops.publish_all(world.app)
    return world


@pytest.mark.parametrize("by", ["wave", "event"])
def test_codes_that_others_did_not_need_go_to_those_who_come_later_in_the_chunk(tmp_path: Path, by: str) -> None:
    world = world_of(tmp_path / "shop", WAVE if by == "wave" else EVENT, codes=3)
    plain = world.people(10)
    gold = world.people(4, first=10, attributes={"tier": "gold"})
    if by == "event":
        world.order(*plain, *gold)
        world.tick()
    else:
        world.tick_at(NOON)
    given = world.rows("SELECT code, customer_id FROM voucher WHERE customer_id IS NOT NULL ORDER BY code")
    assert [row.code for row in given] == ["0", "1", "2"]
    assert len({row.customer_id for row in given}) == 3
    empty = world.rows("SELECT sentence FROM trace WHERE rule = 'empty'")
    assert [row.sentence for row in empty] == ["the pool coupons has no code left"]
    assert len(world.email.handed) == 3 + 1  # who finds the pool empty goes on to the next step
    world.close()


def test_the_preview_counts_the_life_of_a_code_from_the_step_that_gives_it(tmp_path: Path) -> None:
    world = world_of(tmp_path / "shop", EVENT, codes=1)
    plan = EVENT + "steps: [{wait: 3d}, {give: coupons}, {send: note, via: [email]}]\n"
    (tmp_path / "shop" / "journeys" / "coupons.yaml").write_text(plan)
    shops.publish_all(world.app)
    world.people(1)
    with world.app.database.reading() as connection:
        rules = world.app.rules(connection)
    version = rules.live["coupons"]
    (walk,) = preview(world.app, rules.graphs[version], rules, version, ["p0000"], 1, NOON)
    (given,) = [stop.sentence for stop in walk.stops if stop.verb == "give"]
    assert given == "a code of coupons worth 5 EUR, good until 2026-12-11 12:00 Europe/Berlin"  # 3 + 14 days later
    world.close()


# --- watched, refilled, redeemed -------------------------------------------------------------------------------------


@pytest.fixture
def low(tmp_path: Path) -> Iterator[World]:
    """A shop with four codes, which run low with two; three golden people have ordered."""
    made = world_of(tmp_path / "shop", EVENT, codes=4, more=", low: 2")
    made.order(*made.people(3, attributes={"tier": "gold"}))
    yield made
    made.close()


def stock(world: World) -> Stock:
    with world.app.database.reading() as connection:
        (found,) = stocks(connection, world.app.rules(connection).audience)
    return found


def test_a_pool_that_runs_low_is_told_to_the_log_once(low: World, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(pools.log, "warning", lambda sentence, *values: told.append(sentence % values))
    assert not stock(low).runs_low
    low.tick()
    low.order("p0000", number="2")
    low.tick(timedelta(minutes=1))
    assert told == ["pool coupons runs low: 1 codes are left"]
    assert stock(low) == Stock("coupons", codes=4, given=3, redeemed=0, left=1, low=2)
    assert report(low.app, "coupons").vouchers["coupons"].runs_low


def test_new_lines_are_taken_in_while_journeys_run_and_known_ones_left_alone(low: World) -> None:
    low.tick()
    file = low.app.journeys_folder / "codes" / "coupons.csv"
    file.write_text(file.read_text() + "new-1\nnew-2\n3\n")
    assert refill(low.app, ["coupons"]) == {"coupons": 2}
    assert refill(low.app, []) == {"coupons": 0}
    assert (stock(low).codes, stock(low).left) == (6, 3)
    low.order(*low.people(1, first=10, attributes={"tier": "gold"}))
    low.tick(timedelta(minutes=1))
    assert stock(low).given == 4


@pytest.mark.parametrize("name", ["cuopons", "gone"])
def test_a_pool_that_is_not_published_cannot_be_refilled(low: World, name: str) -> None:
    with pytest.raises(Refused, match=f"there is no published pool {name}"):
        refill(low.app, [name])


def test_an_order_redeems_the_codes_it_names_once_also_in_a_list_and_as_history(low: World) -> None:
    low.tick()
    codes = [row.code for row in low.rows("SELECT code FROM voucher WHERE customer_id IS NOT NULL ORDER BY id")]
    first = low.clock.now()
    shops.happen(low.app, "o-a", "p0000", "Order Completed", {"order_id": "a", "voucher": codes[0]})
    low.clock.move_to(first + timedelta(days=1))
    shops.happen(low.app, "o-b", "p0001", "Order Completed", {"order_id": "b", "voucher": [codes[1], codes[0], 7]})
    shops.happen(low.app, "o-c", "p0001", "Page Viewed", {"voucher": codes[2]})
    redeemed = low.rows("SELECT code, redeemed_at FROM voucher WHERE redeemed_at IS NOT NULL ORDER BY id")
    assert [row.code for row in redeemed] == codes[:2]
    assert str(redeemed[0].redeemed_at)[:10] == f"{first:%Y-%m-%d}"
    told = report(low.app, "coupons").vouchers["coupons"]
    assert (told.given, told.redeemed, told.cost) == (3, 2, {"EUR": Decimal(10)})


def test_a_code_that_was_redeemed_before_it_was_given_is_never_given(low: World) -> None:
    shops.happen(low.app, "o-x", "p0000", "Page Viewed")
    shops.happen(low.app, "o-y", "p0000", "Order Completed", {"order_id": "y", "voucher": "0"})
    low.tick()
    given = low.rows("SELECT code FROM voucher WHERE customer_id IS NOT NULL ORDER BY id")
    assert [row.code for row in given] == ["1", "2", "3"]
    assert stock(low) == Stock("coupons", codes=4, given=3, redeemed=1, left=0, low=2)

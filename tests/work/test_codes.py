"""Voucher codes: no pool is empty while one of its codes lies unused, and what a preview tells of them is true."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import shops
from stubs import AUDIENCE, JOURNEY, World

from engine.simulate.preview import preview

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


def world_of(folder: Path, head: str, codes: int) -> World:
    """A shop whose journey gives from a pool of so many codes."""
    world = World(folder, {"other": JOURNEY.replace("Order Completed", "Never Told")})
    journeys = folder / "journeys"
    (journeys / "coupons.yaml").write_text(head + STEPS)
    (journeys / "codes").mkdir()
    (journeys / "codes" / "coupons.csv").write_text("".join(f"{line}\n" for line in ("code", *range(codes))))
    pools = "pools:\n  coupons: {file: codes/coupons.csv, value: 5 EUR, expires: 14d}\n"
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

"""What an SMS costs: it is counted in the parts it is sent in, from the text with all its words to the report."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from stubs import CONFIG, JOURNEY, World

from channels.contract import Sms
from engine.learn.report import report

PRICED = (
    CONFIG.replace("sms: {provider: simulated}", "sms: {provider: simulated, price: 0.10 EUR}")
    + "sms: {signature: 'Shop:', countries: {DE: {opt_out: 'Abmelden: STOP'}}, most_parts: 3}\n"
)
BY_SMS = JOURNEY.replace("[email, sms]", "[sms]")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "shop", {"note": BY_SMS}, PRICED)
    yield made
    made.close()


def write(world: World, text: str) -> None:
    """Another text than the shop began with."""
    world.app.refresh()
    (world.app.home / "templates" / "note" / "sms.en.txt").write_text(text, encoding="utf-8")
    world.app.refresh()


def test_a_long_sms_is_paid_for_by_its_parts(world: World) -> None:
    write(world, "{{ person.name | default('x' * 150) }}\n")
    world.people(1)
    world.people(1, first=1, attributes={"name": "Ann"})
    world.order("p0000", "p0001")
    world.tick()

    assert world.rows("SELECT parts FROM message ORDER BY customer_id") == [(2,), (1,)]
    texts = [one.content.text for one in world.sms.handed if isinstance(one.content, Sms)]
    assert sorted(texts, key=len) == ["Shop: Ann Abmelden: STOP", f"Shop: {'x' * 150} Abmelden: STOP"]
    assert report(world.app, "note").cost == {"EUR": Decimal("0.30")}


def test_one_name_too_long_costs_nobody_else_their_message(world: World) -> None:
    write(world, "{{ person.name }}\n")
    world.people(1, attributes={"name": "x" * 500})
    world.people(1, first=1, attributes={"name": "Ann"})
    world.order("p0000", "p0001")
    world.tick()

    assert world.rows("SELECT state, rule FROM message ORDER BY customer_id") == [("dead", "failed"), ("queued", None)]
    assert [one.content.text for one in world.sms.handed if isinstance(one.content, Sms)] == [
        "Shop: Ann Abmelden: STOP"
    ]

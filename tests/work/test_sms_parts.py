"""What an SMS costs: it is counted in the parts it is sent in, from the text with all its words to the report."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from stubs import CONFIG, JOURNEY, World

from channels.contract import Sms
from engine.learn.report import report
from engine.work.entering.longest import longest_way

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


def most_it_may_cost(world: World) -> Decimal:
    with world.app.database.reading() as connection:
        rules = world.app.rules(connection)
        (graph,) = rules.graphs.values()
        longest = longest_way(world.app, connection, rules, graph)
    assert longest.messages == 1
    return longest.cost({"DE": 1}, 1)


@pytest.mark.parametrize(
    ("text", "cost"),
    [
        ("Hello", "0.10"),
        ("x" * 150, "0.20"),  # with the words of the shop and of Germany
        ("x" * 70 + "\u4f60", "0.20"),
        ("x" * 60 + " {{ person.first_name }}", "0.20"),  # somebody's name may have a sign of the large alphabet
        ("x" * 420 + "\u4f60" * 30, "0.10"),  # longer than `most_parts`: it is never sent
    ],
)
def test_the_most_a_journey_may_cost_counts_the_parts_of_its_longest_text(world: World, text: str, cost: str) -> None:
    write(world, text)
    assert most_it_may_cost(world) == Decimal(cost)


def test_the_longest_is_looked_for_in_every_language_and_country(world: World) -> None:
    write(world, "x" * 80)
    assert most_it_may_cost(world) == Decimal("0.10")

    (world.app.home / "templates" / "note" / "sms.de.txt").write_text("x" * 320, encoding="utf-8")
    world.app.refresh()
    assert most_it_may_cost(world) == Decimal("0.30")


def test_an_sms_to_china_is_counted_in_the_large_alphabet_where_the_shop_writes_there(tmp_path: Path) -> None:
    made = World(tmp_path / "shop", {"note": BY_SMS}, PRICED.replace("countries: {", "countries: {CN: {}, "))
    write(made, "x" * 80)
    assert most_it_may_cost(made) == Decimal("0.20")
    made.close()


def test_who_approves_a_wave_is_told_of_all_parts(tmp_path: Path) -> None:
    wave = 'enter: {every: day, at: "12:00", zone: Europe/Berlin, segment: everyone}\napprove: {by: lead, within: 24h}'
    text = BY_SMS.replace("enter: {event: Order Completed}\nagain: {per: order_id}", wave)
    made = World(tmp_path / "shop", {"note": text}, PRICED)
    write(made, "x" * 150)
    made.people(3)
    made.tick(timedelta(hours=4))
    assert made.rows("SELECT people, messages, cost FROM approval") == [(3, 3, "0.60 EUR")]
    made.close()

"""What messages cost: kept with each attempt, so that what was spent does not change when prices do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import shops
from sqlalchemy import event
from stubs import CONFIG, JOURNEY, Stub, World

from channels.contract import Sent
from channels.errors import FailureReason, Rejected, Unavailable, Uncertain
from engine.learn.report import report
from engine.simulate.summary import summarize

MakeWorld = Callable[..., World]
BY_SMS = {"note": JOURNEY.replace("[email, sms]", "[sms]").replace("topic: news", "topic: orders")}
TABLE = "{provider: simulated, price: {DE: 0.075 EUR, other: 0.30 EUR}}"


def priced(make: MakeWorld, sms: str, *stubs: str, **abilities: Any) -> tuple[World, dict[str, Stub]]:
    """A shop whose SMS have a price."""
    config = CONFIG.replace("sms: {provider: simulated}", f"sms: {sms}") + 'rates: {USD: "0.9"}\n'
    world = make(BY_SMS, config=config)
    made = {name: Stub("sms", **abilities) for name in stubs or ("sms",)}
    world.app.providers |= {name if name == "sms" else f"sms/{name}": stub for name, stub in made.items()}
    return world, made


def kept(world: World) -> list[tuple[str, int | None, str | None]]:
    """(kind, millionths, currency) of everything that happened, in order."""
    rows = world.rows("SELECT kind, cost, currency FROM delivery ORDER BY message_id, attempt, weight")
    return [(row.kind, row.cost, row.currency) for row in rows]


def spent(world: World) -> dict[str, Decimal]:
    """What the report says, which is what the summary of a simulation says."""
    told = report(world.app, "note")
    (part,) = summarize(world.app, ["note"], shops.NOW).parts
    assert (part.cost, part.cost_by_channel) == (told.cost, told.cost_by_channel)
    assert told.cost == told.cost_by_channel.get("sms", {})
    return dict(told.cost)


def test_each_attempt_keeps_what_it_costs_and_the_report_adds_up_what_went(make_world: MakeWorld) -> None:
    world, _ = priced(make_world, TABLE)
    world.order(*world.people(3))
    world.tick()
    assert kept(world) == [("begun", 75_000, "EUR"), ("accepted", None, None)] * 3
    assert spent(world) == {"EUR": Decimal("0.225")}


def test_what_was_spent_stays_what_it_was_when_the_price_changes(make_world: MakeWorld) -> None:
    world, _ = priced(make_world, TABLE)
    world.order(*world.people(2))
    world.tick()
    config = world.app.home / "config.yaml"
    config.write_text(config.read_text().replace("0.075", "9.99"))
    other = shops.opened(world.app.home, world.clock, **world.more)
    try:
        assert report(other, "note").cost == {"EUR": Decimal("0.15")}
    finally:
        other.close()


def test_who_did_not_take_it_is_not_paid_and_who_took_it_is_at_its_own_price(make_world: MakeWorld) -> None:
    dear, cheap = "provider: simulated, price: 0.05 EUR", "provider: simulated, order: 2, price: 0.0079 USD"
    lanes = f"{{providers: {{one: {{{dear}}}, two: {{{cheap}}}}}}}"
    world, stubs = priced(make_world, lanes, "one", "two")
    stubs["one"].says = lambda _: Unavailable("not now")
    world.order(*world.people(2))
    world.tick()
    assert spent(world) == {"USD": Decimal("0.0158")}
    assert [one for one in kept(world) if one[0] == "begun"] == [("begun", 50_000, "EUR"), ("begun", 7_900, "USD")] * 2


@pytest.mark.parametrize(
    ("says", "costs"),
    [
        (Sent("1"), {"EUR": Decimal("0.075")}),
        (Uncertain("no answer"), {"EUR": Decimal("0.075")}),
        (Rejected("no", reason=FailureReason.content), {}),
        (Unavailable("not now"), {}),
    ],
)
def test_what_may_be_out_counts_as_paid_and_what_is_proved_not_to_be_does_not(
    make_world: MakeWorld, says: Any, costs: dict[str, Decimal]
) -> None:
    world, stubs = priced(make_world, TABLE)
    stubs["sms"].says = lambda _: says
    world.order(*world.people(1))
    world.tick()
    assert spent(world) == costs


def test_a_repeat_that_the_provider_recognises_is_paid_once(make_world: MakeWorld) -> None:
    world, stubs = priced(make_world, TABLE, dedupe_by="key", dedupe_window=timedelta(days=1))
    stubs["sms"].says = lambda outgoing: Uncertain("no answer") if outgoing.attempt == 1 else Sent("1")
    world.order(*world.people(1))
    world.tick()
    world.tick(timedelta(hours=1))
    assert [one[0] for one in kept(world)] == ["begun", "repeat", "begun", "accepted"]
    assert spent(world) == {"EUR": Decimal("0.075")}


def test_without_a_price_nothing_is_kept_and_nothing_told(make_world: MakeWorld) -> None:
    world, _ = priced(make_world, "{provider: simulated}")
    world.order(*world.people(1))
    world.tick()
    assert kept(world) == [("begun", None, None), ("accepted", None, None)]
    assert spent(world) == {}


def test_a_price_asks_the_database_nothing_more(make_world: MakeWorld) -> None:
    def asked(sms: str) -> int:
        world, _ = priced(make_world, sms)
        world.order(*world.people(5))
        count = [0]
        event.listen(world.app.database.engine, "before_cursor_execute", lambda *_: count.__setitem__(0, count[0] + 1))
        world.tick()
        return count[0]

    assert asked(TABLE) == asked("{provider: simulated}")


WAVE = """
topic: orders
enter: {every: day, at: "12:00", zone: person, segment: everyone}
again: always
approve: {by: mei, within: 24h}
steps:
  - {send: note, via: [sms]}
  - {send: note, via: [sms], id: again}
"""


def test_who_approves_a_wave_is_told_the_most_it_costs_in_the_countries_of_its_people(make_world: MakeWorld) -> None:
    dear = "provider: simulated, countries: [DE], price: 0.10 USD"
    lanes = f"{{price: 0.02 EUR, providers: {{dear: {{{dear}}}, all: {{provider: simulated}}}}}}"
    config = CONFIG.replace("sms: {provider: simulated}", f"sms: {lanes}") + 'rates: {USD: "0.9"}\n'
    world = make_world({"wave": WAVE}, config=config)
    world.people(6, country="DE")
    world.people(4, first=6, country="FR")
    world.tick(timedelta(hours=2))
    (asked,) = world.rows("SELECT people, messages, cost FROM approval")
    assert tuple(asked) == (10, 20, "1.24 EUR")  # 6 people at 2 x 0.09, 4 at 2 x 0.02

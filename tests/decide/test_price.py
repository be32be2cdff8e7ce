"""What a message costs: by lane, country and parts."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from stubs import CONFIG

from engine.decide.price import cost_of, costs_by_turn, dearest, from_millionths, in_millionths
from engine.journey.quantities import Money
from engine.journey.yaml_text import read
from engine.settings import Settings, lanes_of

amounts = st.decimals(0, 10, places=6)


def settings(sms: str, more: str = "") -> Settings:
    text = CONFIG.replace("sms: {provider: simulated}", f"sms: {sms}").replace("currency: EUR", "currency: CNY") + more
    return Settings.model_validate(read(text, "config.yaml").value)


def cny(amount: str) -> Money:
    return Money(Decimal(amount), "CNY")


TABLE = settings("{provider: simulated, price: {CN: 0.045 CNY, DE: 0.5 CNY, other: 0.3 CNY}}")
LANES = settings(
    "{price: 0.30 CNY, providers: {inland: {provider: simulated, countries: [CN], price: 0.045 CNY},"
    " abroad: {provider: simulated, not_countries: [CN], price: {US: 0.0079 USD, other: 0.08 USD}},"
    " other: {provider: simulated, order: 2}, free: {provider: simulated, order: 3, price: 0 CNY}}}",
    '\nrates: {USD: "7"}\n',
)


def of(chosen: Settings, address: str, country: str | None = None, parts: int = 1, lane: str = "sms") -> Money | None:
    return cost_of(chosen.lanes[lane], address, country, "CN", parts)


def test_the_country_is_that_of_the_number_then_the_persons_then_the_shops() -> None:
    assert of(TABLE, "+4915112345678", "CN") == cny("0.5")
    assert of(TABLE, "+33612345678", "CN") == cny("0.3")
    assert of(TABLE, "+8613800138000", "DE") == cny("0.045")
    assert of(TABLE, "", "DE") == cny("0.5")
    assert of(TABLE, "") == cny("0.045")


def test_a_mail_costs_what_the_persons_country_says() -> None:
    chosen = settings("{provider: simulated}")
    priced = chosen.channels["email"].model_copy(update={"price": {"DE": cny("0.01"), "other": cny("0.02")}})
    (lane,) = lanes_of("email", priced)
    assert cost_of(lane, "ann@example.com", "DE", "CN") == cny("0.01")
    assert cost_of(lane, "ann@example.com", None, "CN") == cny("0.02")


def test_the_lanes_own_price_goes_before_its_channels() -> None:
    assert of(LANES, "+8613800138000", lane="sms/inland") == cny("0.045")
    assert of(LANES, "+8613800138000", lane="sms/other") == cny("0.30")
    assert of(LANES, "+12025550123", parts=2, lane="sms/abroad") == Money(Decimal("0.0158"), "USD")
    assert of(LANES, "+12025550123", lane="sms/free") == cny("0")


def test_without_a_price_no_cost_is_told() -> None:
    bare = settings("{provider: simulated}")
    assert of(bare, "+12025550123") is None
    assert costs_by_turn(bare, "sms", "+12025550123", None, 1) == ()
    assert dearest(bare, "sms", "US") == 0


def test_what_a_preview_tells_is_the_price_of_who_is_asked_first() -> None:
    assert costs_by_turn(LANES, "sms", "+8613800138000", None, 2) == (cny("0.090"),)
    assert costs_by_turn(LANES, "sms", "+4915112345678", None, 1) == (Money(Decimal("0.08"), "USD"),)
    dear, cheap = "provider: simulated, price: 0.09 CNY", "provider: simulated, price: 0.05 CNY"
    equals = settings(f"{{providers: {{a: {{{dear}}}, b: {{{cheap}}}}}}}")
    assert costs_by_turn(equals, "sms", "+8613800138000", None, 1) == (cny("0.05"), cny("0.09"))


def test_the_most_it_can_cost_is_that_of_the_dearest_lane_which_serves_the_country() -> None:
    assert dearest(LANES, "sms", "CN") == Decimal("0.30")
    assert dearest(LANES, "sms", "DE") == Decimal("0.56")
    assert dearest(LANES, "sms", "US") == Decimal("0.30")


@given(amount=amounts, parts=st.integers(1, 20))
def test_many_parts_cost_as_often_as_much_and_nothing_is_lost_when_it_is_kept(amount: Decimal, parts: int) -> None:
    chosen = settings(f"{{provider: simulated, price: {{CN: 1 CNY, other: {amount:f} CNY}}}}")
    one, many = of(chosen, "+4915112345678"), of(chosen, "+4915112345678", parts=parts)
    assert one is not None
    assert many is not None
    assert many.amount == one.amount * parts == sum([one.amount] * parts, Decimal(0))
    assert from_millionths(in_millionths(many.amount)) == many.amount


@given(kept=st.integers(0, 10**15))
def test_what_is_kept_is_told_exactly_with_two_decimals_at_least(kept: int) -> None:
    told = from_millionths(kept)
    assert in_millionths(told) == kept
    assert len(f"{told:f}".split(".")[1]) >= 2

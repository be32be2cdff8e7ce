"""What a message costs: by who carries it, to which country, in how many parts."""

from __future__ import annotations

from decimal import Decimal

from engine.decide.route import serves_some, turns, whither
from engine.journey.quantities import Money
from engine.settings import OTHER, Lane, Settings


def price_to(lane: Lane, country: str) -> Money | None:
    """Of one message, or of one part of an SMS. None where config.yaml names no price."""
    return None if lane.price is None else lane.price.get(country, lane.price[OTHER])


def cost_of(lane: Lane, address: str, country: str | None, home: str, parts: int = 1) -> Money | None:
    """Of one message in so many parts. The country is that of the address, if it tells one, else the person's
    (`country`), else the shop's (`home`)."""
    if lane.price is None:
        return None
    differs = len(lane.price) > 1  # else nobody has to look where a number is from
    price = price_to(lane, whither(lane.channel, address, country, home).country if differs else OTHER)
    return price and Money(price.amount * parts, price.currency)


def costs_by_turn(settings: Settings, channel: str, address: str, country: str | None, parts: int) -> tuple[Money, ...]:
    """What it may cost by the lanes that are asked first: one amount, or one for each price among equals."""
    home = settings.shop.country
    lanes = turns(settings.ways.get(channel, ()), whither(channel, address, country, home), "")
    found = (cost_of(lane, address, country, home, parts) for lane in lanes if lane.order == lanes[0].order)
    return tuple(sorted({one for one in found if one}, key=lambda one: in_shops_currency(settings, one)))


def dearest(settings: Settings, channel: str, country: str) -> Decimal:
    """The most that one message, or a part of it, may cost there by any way out, in the shop's currency."""
    lanes = (lane for lane in settings.ways.get(channel, ()) if serves_some(lane, country))
    prices = (price_to(lane, country) for lane in lanes)
    return max((in_shops_currency(settings, price) for price in prices if price), default=Decimal(0))


def in_shops_currency(settings: Settings, price: Money) -> Decimal:
    """By the `rates` of config.yaml."""
    return price.amount * (settings.rates[price.currency] if price.currency != settings.shop.currency else 1)


# --- as it is kept: exact, in whole numbers


def in_millionths(amount: Decimal) -> int:
    """`0.045` -> 45000: a price has six decimals at most."""
    return int(amount.scaleb(6))


def from_millionths(kept: int) -> Decimal:
    """`45000` -> 0.045, with two decimals at least."""
    whole, decimals = f"{Decimal(kept).scaleb(-6):.6f}".split(".")
    return Decimal(f"{whole}.{decimals[:2]}{decimals[2:].rstrip('0')}")

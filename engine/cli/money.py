"""What messages cost, in words."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from engine.simulate.preview import Shown


def cost(shown: Shown) -> str:
    """Of one message: `0.10 CNY`, or `0.05 CNY - 0.08 CNY` by who carries it; empty when no price is named."""
    told = [f"{one.amount:f} {one.currency}" for one in shown.costs]
    return " - ".join(dict.fromkeys([*told[:1], *told[-1:]]))


def amounts(sums: Mapping[str, Decimal]) -> str:
    """Of many: `12.30 CNY + 0.40 USD`."""
    return " + ".join(f"{amount:,} {currency}" for currency, amount in sums.items())


def by_channel(sums: Mapping[str, Decimal], channels: Mapping[str, Mapping[str, Decimal]]) -> str:
    """`12.30 CNY + 0.40 USD (email 0.80 CNY; sms 11.50 CNY + 0.40 USD)`, the channels where there are several."""
    apart = "; ".join(f"{channel} {amounts(its)}" for channel, its in channels.items())
    return amounts(sums) + (f" ({apart})" if len(channels) > 1 else "")

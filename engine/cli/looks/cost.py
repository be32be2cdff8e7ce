"""What one message costs, by the price of its channel."""

from __future__ import annotations

from engine.settings import Settings


def cost(settings: Settings, channel: str, to: str, parts: int = 1) -> str:
    """`0.10 CNY` for so many parts to an address; empty when config.yaml names no price."""
    known = settings.channels.get(channel)
    if known is None or known.price is None:
        return ""
    return f"{known.price.amount * parts:f} {known.price.currency}"

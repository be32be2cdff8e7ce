"""A person reads what stands in their box of the shop's app: it is marked, and journeys hear of it."""

from __future__ import annotations

from collections.abc import Sequence

from channels.contract import Receipt, ReceiptType
from engine.app import App
from engine.journey.parts import INBOX
from engine.store import inbox
from engine.work.incoming.receipts import take_receipts

PATIENCE = 5.0


def read(app: App, person: str, keys: Sequence[str]) -> int:
    """They looked at these entries. How many were new to them; a repeat changes nothing."""
    now = app.clock.now()
    with app.database.writing(PATIENCE) as connection:
        fresh = inbox.mark_read(connection, person, keys, now)
        theirs = inbox.own(connection, person, keys)
    take_receipts(app, INBOX, [Receipt(ReceiptType.opened, now, f"{key} read", key=key) for key in theirs])
    return len(fresh)

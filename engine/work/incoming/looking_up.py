"""Messages of which nobody knows: where a provider can be asked what became of them, it is asked, now and then.

That it knows nothing proves nothing: such a message stays unknown until a report or a person closes it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from channels.contract import Asked, Provider, Receipt, content_from_json
from channels.errors import SendError
from engine.app import App
from engine.store import messages, open_ends
from engine.store.open_ends import OpenEnd, Which
from engine.work.incoming.receipts import take_receipts

log = logging.getLogger("outreach.looking_up")

EVERY = timedelta(minutes=5)
AT_FIRST = timedelta(minutes=1)  # a service may need as long to know of it itself
AT_LAST = timedelta(days=3)  # after which it is not asked any more
TOGETHER = 100  # messages asked about in one go
WITHIN = 20.0  # seconds


def look_up_unknown(app: App, now: datetime) -> int:
    """Ask the providers that can be asked, one worker every few minutes. How many messages were closed by it."""
    able = {lane: one for lane, one in app.providers.items() if one.features.look_up}
    if not able or app.stopping:
        return 0
    with app.database.reading() as connection:
        open_now = {lane: _open(app, connection, lane, now) for lane in able}
    asked = {lane: ends for lane, ends in open_now.items() if ends}
    return sum(_ask(app, lane, able[lane], ends, now) for lane, ends in asked.items() if _my_turn(app, lane, now))


def _my_turn(app: App, lane: str, now: datetime) -> bool:
    return app.keep.claims(f"look-up {lane}", now + EVERY)


def _open(app: App, connection: Connection, lane: str, now: datetime) -> list[OpenEnd]:
    which = Which(
        channel=lane.partition("/")[0], before=now - AT_FIRST, provider=app.asked_as(app.settings.lanes[lane])
    )
    return [one for one in open_ends.unknown(connection, which, TOGETHER) if one.since > now - AT_LAST]


def _ask(app: App, lane: str, provider: Provider, ends: Sequence[OpenEnd], now: datetime) -> int:
    with app.database.reading() as connection:
        rows = messages.of_ids(connection, [one.id for one in ends])
        bodies = messages.bodies_of(connection, [one.id for one in ends])
    asked = [
        Asked(rows[one.id].key, content_from_json(body), one.begun_at or one.since, one.provider_id)
        for one in ends
        if (body := bodies.get(one.id)) is not None
    ]
    try:
        found = app.run(_within(provider, asked))
    except (SendError, TimeoutError) as error:
        log.warning("lane %s could not be asked what became of %s messages: %s", lane, len(asked), error)
        return 0
    told = [_keyed(one, receipt) for one, receipt in zip(asked, found, strict=True) if receipt is not None]
    take_receipts(app, lane, told)
    return len(told)


async def _within(provider: Provider, asked: Sequence[Asked]) -> Sequence[Receipt | None]:
    await provider.open()
    async with asyncio.timeout(WITHIN + 5):
        return await provider.look_up(asked, WITHIN)


def _keyed(asked: Asked, receipt: Receipt) -> Receipt:
    """What was asked about is known, whatever the service calls it."""
    return Receipt(**{**vars(receipt), "key": asked.key})

"""At start, after a death: attempts that had begun are asked again where that is harmless, else they are `unknown`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from channels.errors import SendError
from engine.app import App
from engine.decide.decision import Rule
from engine.decide.outcome import DeliveryKind
from engine.errors import OutreachError
from engine.store import deliveries, enrollments, messages
from engine.work.sending.batches import Dispatched, count, happening

DEATHS = 3  # attempts during which the process died; then a person decides


def recover(app: App, now: datetime) -> Dispatched:
    """At start: attempts that had begun and have no outcome are asked again where that is harmless, else `unknown`."""
    done = Dispatched()
    with app.database.writing() as connection:
        left = deliveries.sending(connection, messages.free_all(connection))
        ids = [begun.message_id for begun in left]
        rows = messages.of_ids(connection, ids)
        deaths = deliveries.deaths(connection, ids)
        again: dict[tuple[str, int], list[int]] = {}
        told, settled = [], []
        for begun in left:
            row = rows[begun.message_id]
            died = 1 + deaths.get(row.id, 0)
            kind, sentence = _after_death(app, row.channel, begun, died, now)
            told.append(happening(row, kind, now, Rule.failed, sentence, attempt=begun.attempt))
            if kind is DeliveryKind.retry:
                again.setdefault((row.channel, died), []).append(row.id)
            else:
                settled.append(row.enrollment_id)
            count(done, kind)
        deliveries.append(connection, told)
        enrollments.wake_ids(connection, settled, now)
        for (channel, died), numbers in again.items():
            messages.rebatch(connection, numbers, channel, now, died)
    return done


def _after_death(app: App, channel: str, begun: Any, deaths: int, now: datetime) -> tuple[DeliveryKind, str]:
    """Another provider than the one that was asked cannot recognise its repeat."""
    try:
        provider = app.provider(channel)
        repeats = provider.name == begun.provider and provider.features.recognises_repeat(now - begun.at)
    except (SendError, OutreachError):
        repeats = False
    if not repeats:
        return DeliveryKind.unknown, "the process died after it began to leave and before an answer was kept"
    if deaths >= DEATHS:
        return DeliveryKind.dead, f"the process died {deaths} times while it was leaving; a person decides"
    return DeliveryKind.retry, f"the process died while it was leaving; {begun.provider} recognises the repeat"

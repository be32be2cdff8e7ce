"""Tell the room of a queue that there is a task, with a link to act on it. Each is told once, as messages are:

begun is committed before the first byte leaves, what came back afterwards; of what a death left begun nobody knows, and
it is not told again. The task itself stands in its queue whatever becomes of the telling.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from channels.contract import Answer, Content, Email, Notice, Outgoing, Provider, Sent, Sms, Webhook
from channels.errors import Rejected, SendError, Uncertain
from engine.app import App
from engine.errors import OutreachError, Refused
from engine.message.links import LinkUse, Token
from engine.store import customers, errands
from engine.store.tables import Row

log = logging.getLogger("outreach.errands")

TOGETHER = 20  # told in one go
TIMEOUT = 10.0  # seconds: the beat waits for it
LOST_AFTER = timedelta(minutes=5)  # one that began and has no end by then
GIVE_UP_AFTER = timedelta(hours=24)
RETRIES = (
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(minutes=30),
    timedelta(hours=1),
)


def note(app: App, connection: Connection, tasks: Sequence[tuple[int, str]], now: datetime) -> None:
    """These tasks (number, queue) are new where they are; in the transaction that put them there."""
    rows: list[Row] = [
        {"task_id": number, "place": queue, "key": _key(app, number, queue), "due_at": now, "at": now}
        for number, queue in tasks
        if queue in app.settings.queues and app.settings.queues[queue].notify is not None
    ]
    if rows:
        errands.add(connection, rows)


def _key(app: App, number: int, queue: str) -> str:
    return hashlib.sha256(f"task\n{app.settings.web.url}\n{number}\n{queue}".encode()).hexdigest()[:32]


def run_errands(app: App, now: datetime) -> int:
    """Tell what is to be told now. How many were told."""
    with app.database.reading() as connection:
        waiting = errands.due(connection, now, TOGETHER)
    if not waiting or app.inert:
        return 0
    told = 0
    for queue in sorted({row.place for row in waiting}):
        told += _tell(app, queue, [row for row in waiting if row.place == queue], now)
    return told


def _tell(app: App, queue: str, rows: Sequence[Any], now: datetime) -> int:
    with app.database.writing(beside=True) as connection:
        errands.lost(connection, now - LOST_AFTER, now)
        mine = errands.begin(connection, [row.id for row in rows], now)
        names = customers.names_of(connection, {row.customer_id for row in rows})
    leaving = [row for row in rows if row.id in mine]
    gone = [row for row in leaving if row.closed_at is not None]
    leaving = [row for row in leaving if row.closed_at is None]
    try:
        provider, channel = app.notifier(queue)
        batch = [_outgoing(app, queue, channel, row, names.get(row.customer_id, ""), now) for row in leaving]
        answers = app.run(_handed(provider, batch)) if batch else []
    except (OutreachError, SendError) as error:
        log.error("the queue %s cannot be told of its tasks: %s", queue, error)
        answers = [Rejected(str(error)) for _ in leaving]
    with app.database.writing(beside=True) as connection:
        for row in gone:
            errands.settle(connection, row.id, state="told", at=now, reason="the task was closed before")
        for row, answer in zip(leaving, answers, strict=True):
            errands.settle(connection, row.id, **_became(row, answer, now))
    return sum(isinstance(answer, Sent) for answer in answers)


async def _handed(provider: Provider, batch: Sequence[Outgoing]) -> list[Answer]:
    answers: list[Answer] = []
    try:
        await provider.open()
        for start in range(0, len(batch), provider.features.in_flight):
            answers += await provider.send(batch[start : start + provider.features.in_flight])
    except SendError as error:
        answers += [error for _ in batch[len(answers) :]]
    except Exception as error:  # a mistake of a provider proves nothing
        log.exception("provider failed", extra={"provider": provider.name})
        answers += [Uncertain(f"{provider.name} failed: {type(error).__name__}") for _ in batch[len(answers) :]]
    return answers


def _became(row: Any, answer: Answer, now: datetime) -> Row:
    """What an answer makes of an errand."""
    if isinstance(answer, Sent):
        return {"state": "told", "at": now, "reason": ""}
    if isinstance(answer, Uncertain):
        return {"state": "unknown", "at": now, "reason": str(answer)}
    wait = RETRIES[min(row.attempts, len(RETRIES) - 1)]
    if isinstance(answer, Rejected) or now + wait > row.opened_at + GIVE_UP_AFTER:
        return {"state": "failed", "at": now, "reason": str(answer)}
    asked = timedelta(seconds=getattr(answer, "retry_after", None) or 0)
    return {"state": "waiting", "at": now, "due_at": now + max(wait, asked), "reason": str(answer)}


# --- what is said ----------------------------------------------------------------------------------------------------


def _outgoing(app: App, queue: str, channel: str, row: Any, person: str, now: datetime) -> Outgoing:
    return Outgoing(
        row.id, row.key, _content(app, queue, channel, row, person), row.opened_at, row.attempts + 1, TIMEOUT
    )


def task_link(app: App, row: Any, number: int) -> str:
    """Where one sees a task and acts on it."""
    return app.links.make(LinkUse.task, Token(row.customer_id, number))


def _content(app: App, queue: str, channel: str, row: Any, person: str) -> Content:
    """That there is a task, whose, until when, and the link. What it says about the person stands behind the link."""
    configured = app.settings.queues[queue]
    assert configured.notify is not None
    due = row.task_due.astimezone(ZoneInfo(configured.zone or app.settings.shop.zone))
    words = [f"{row.brief.replace('_', ' ')}: {person}", f"until {due:%Y-%m-%d %H:%M} ({due.tzinfo})"]
    words += [f"for {row.assignee}"] if row.assignee else []
    title, text, link = configured.title, ", ".join(words), task_link(app, row, row.task_id)
    to = configured.notify.to
    match channel:
        case "notice":
            return Notice(to=to or row.assignee or "", title=title, text=text, link=link)
        case "webhook":
            told = {"task": row.task_id, "queue": queue, "brief": row.brief, "person": person, "link": link}
            told |= {"assignee": row.assignee, "due": row.task_due.isoformat()}
            return Webhook(to=to, type="task.opened", data=json.dumps(told, ensure_ascii=False))
        case "email":
            html = f'<p>{escape(text)}</p><p><a href="{escape(link, True)}">{escape(link)}</a></p>'
            return Email(
                to=to, subject=f"{title}: {row.brief.replace('_', ' ')}", text=f"{text}\n\n{link}\n", html=html
            )
        case "sms":
            return Sms(to=to, text=f"{title}: {text} {link}")
        case other:
            raise Refused(f"a queue cannot be told by {other}; use notice, webhook, email or sms")

"""A yes by the link of a confirmation: who has the address presses the button, and the words they read are kept.

The link works for so long, for the address it was sent to, and not against a no that was said after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection

from engine.app import App
from engine.decide.policy import ALL_TOPICS, last_word
from engine.message.links import Token
from engine.store import customers, enrollments, messages
from engine.work.incoming.intake import NewEvent, take_events
from engine.work.incoming.respond import PATIENCE

CONFIRMED = "Subscription Confirmed"
VALID = timedelta(days=30)


class Standing(StrEnum):
    """What a link of a confirmation still does."""

    open = "open"  # the button says yes
    done = "done"  # yes was said
    over = "over"  # too old, sent to another address, or a no was said since


@dataclass(frozen=True)
class Asked:
    """What somebody who follows the link is asked."""

    standing: Standing
    locale: str
    channel: str = ""


def asked(app: App, token: Token) -> Asked:
    """What the link does now. Nothing is changed."""
    with app.database.reading() as connection:
        return _asked(app, connection, token, _message(app, connection, token), app.clock.now())


def confirm(app: App, token: Token, wording: str) -> Asked:
    """Say yes, in these words; once. What the request carried goes on with the event that tells of it."""
    now = app.clock.now()
    with app.database.writing(PATIENCE) as connection:
        row = _message(app, connection, token)
        found = _asked(app, connection, token, row, now)
        if row is None or found.standing is not Standing.open:
            return found
        word = {
            "customer_id": token.customer_id,
            "channel": row.channel,
            "topic": token.topic,
            "purpose": app.settings.purpose_of(token.topic).value,
            "granted": True,
            "at": now,
            "source": f"confirm link of message {row.id}",
            "wording": wording,
        }
        customers.record_consents(connection, [word], now)
        rules = app.rules(connection)
        take_events(app, connection, rules, app.needs(rules), [_told(connection, token, row, now)], now, live=True)
    return Asked(Standing.done, found.locale, found.channel)


def _told(connection: Connection, token: Token, row: Any, now: datetime) -> NewEvent:
    way = enrollments.row_of(connection, row.enrollment_id)
    request = dict(way.data.get("event") or {}) if way is not None else {}
    about = {"topic": token.topic, "channel": row.channel, "message": row.message, "journey": row.journey}
    person = customers.names_of(connection, [token.customer_id])[token.customer_id]
    payload = {**request, **about, "enrollment_id": row.enrollment_id}
    return NewEvent(f"confirm-{row.id}-{token.topic}", person, CONFIRMED, now, payload)


def _message(app: App, connection: Connection, token: Token) -> Any | None:
    """The message that carried the link, if it went to this person for a topic that there is."""
    row = messages.of_ids(connection, [token.message_id]).get(token.message_id)
    known = row is not None and row.customer_id == token.customer_id and token.topic in app.settings.topics
    return row if known else None


def _asked(app: App, connection: Connection, token: Token, row: Any | None, now: datetime) -> Asked:
    person, _ = customers.people(connection, [token.customer_id]).get(token.customer_id, (None, 0))
    if person is None or row is None:
        return Asked(Standing.over, person.locale if person else app.settings.shop.locale)
    words = customers.consents(connection, [token.customer_id]).get(token.customer_id, [])
    word = last_word(words, row.channel, token.topic)
    address = person.addresses.get(row.channel, "")
    ended = any(
        not one.granted and one.at >= row.created_at
        for one in words
        if one.channel == row.channel and one.topic in (token.topic, ALL_TOPICS)
    )
    if word is not None and word.granted and word.purpose == app.settings.purpose_of(token.topic):
        standing = Standing.done
    elif ended or now - row.created_at > VALID or app.address_hash(row.channel, address) != row.address_hash:
        standing = Standing.over
    else:
        standing = Standing.open
    return Asked(standing, person.locale, row.channel)

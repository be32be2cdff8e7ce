"""What people do with the links in their messages: end a topic, click, answer. On the books before they are told so."""

from __future__ import annotations

import hashlib
from typing import Any

from engine.app import App
from engine.audience.values import Person
from engine.decide.state import Consented
from engine.message.links import Token
from engine.store import customers, enrollments, journeys, messages
from engine.work.intake import NewEvent, record_events


def unsubscribe(app: App, token: Token) -> None:
    """End a topic for a person on every channel. Harmless when it has ended already."""
    now = app.clock.now()
    with app.database.writing() as connection:
        if token.customer_id not in customers.people(connection, [token.customer_id]):
            return
        words = customers.consents(connection, [token.customer_id]).get(token.customer_id, [])
        silent = {word.channel for word in words if word.topic == token.topic and not word.granted}
        rows = [
            {
                "customer_id": token.customer_id,
                "channel": channel,
                "topic": token.topic,
                "purpose": app.settings.topics[token.topic].purpose.value if token.topic in app.settings.topics else "",
                "granted": False,
                "at": now,
                "source": f"unsubscribe link of message {token.message_id}",
                "wording": "",
            }
            for channel in app.settings.channels
            if channel not in silent
        ]
        if rows:
            customers.record_consents(connection, rows)
            enrollments.wake(connection, [token.customer_id], list(journeys.live(connection)), now)


def clicked(app: App, token: Token) -> None:
    """Count a click, once per message and address."""
    told = hashlib.sha256(token.word.encode()).hexdigest()[:12]
    _record(app, token, f"click-{token.message_id}-{told}", "Message Clicked", {"link": token.word})


def answered(app: App, token: Token) -> None:
    """Keep the first answer to a message."""
    _record(app, token, f"answer-{token.message_id}", "Question Answered", {"answer": token.word})
    _record(app, token, f"click-{token.message_id}-answer", "Message Clicked", {})


def _record(app: App, token: Token, number: str, name: str, more: dict[str, Any]) -> None:
    with app.database.reading() as connection:
        found = customers.people(connection, [token.customer_id]).get(token.customer_id)
        row = messages.of_ids(connection, [token.message_id]).get(token.message_id)
        rules = app.rules(connection)
    if found is None or row is None:
        return
    payload = {"message": row.message, "journey": row.journey, "enrollment_id": row.enrollment_id, **more}
    incoming = [NewEvent(number, found[0].external_id, name, app.clock.now(), payload)]
    record_events(app, rules, app.needs(rules), incoming)


def choices(app: App, token: Token) -> tuple[str, str, list[Consented], Person | None]:
    """(the topic, the person's locale, their latest words, the person): what the pages show. No address among it."""
    with app.database.reading() as connection:
        found = customers.people(connection, [token.customer_id]).get(token.customer_id)
        words = customers.consents(connection, [token.customer_id]).get(token.customer_id, [])
    locale = found[0].locale if found else app.settings.shop.locale
    return token.topic, locale, words, found[0] if found else None

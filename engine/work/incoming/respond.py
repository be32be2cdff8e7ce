"""What people do with the links in their messages: end a topic, click, answer. On the books before they are told so.

Each of these is one short transaction that waits for its turn `PATIENCE` seconds at most.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from channels.contract import TO_PEOPLE
from engine.app import App
from engine.decide.responses import RESPONSES
from engine.decide.responses import SCANNED as OF_A_MACHINE
from engine.decide.state import Consented, Rules
from engine.journey.parts import CALL
from engine.message.links import Token
from engine.store import customers, enrollments, events, journeys, messages
from engine.store.tables import Row
from engine.work.incoming.intake import NewEvent, take_events

CLICKED, SCANNED, ANSWERED = RESPONSES["clicked"], OF_A_MACHINE, "Question Answered"
HASTE = timedelta(seconds=2)  # nobody reads and follows a second link of one message within this
PATIENCE = 5.0
CHANNELS = TO_PEOPLE  # a channel may get its provider tomorrow


@dataclass(frozen=True)
class Visitor:
    """Who follows a link, as far as a page may know: no name, no address."""

    locale: str
    words: tuple[Consented, ...] = ()  # the latest per channel and topic

    def has_ended(self, topic: str, channels: Iterable[str]) -> bool:
        """Have they said no to this topic on all of these channels?"""
        return set(channels) <= _silent(self.words, topic)


def visitor(app: App, token: Token) -> Visitor:
    """What is known of the person a link was made for."""
    with app.database.reading() as connection:
        return _visitor(app, connection, token)


def _visitor(app: App, connection: Connection, token: Token) -> Visitor:
    found = customers.people(connection, [token.customer_id]).get(token.customer_id)
    if found is None:
        return Visitor(app.settings.shop.locale)
    words = customers.consents(connection, [token.customer_id]).get(token.customer_id, [])
    return Visitor(found[0].locale, tuple(words))


def _silent(words: Iterable[Consented], topic: str) -> set[str]:
    return {word.channel for word in words if word.topic == topic and not word.granted}


# --- the way out -----------------------------------------------------------------------------------------------------


def unsubscribe(app: App, token: Token) -> None:
    """End a topic for a person on every channel, also on one that is added later. Harmless when it has ended."""
    now = app.clock.now()
    with app.database.writing(PATIENCE) as connection:
        if token.customer_id not in customers.revisions(connection, [token.customer_id]):
            return  # erased, or never here: nothing can be sent to them, and nothing is kept
        words = customers.consents(connection, [token.customer_id]).get(token.customer_id, [])
        channels = CHANNELS | set(app.settings.channels) | {word.channel for word in words} | {CALL}
        rows = [_no(app, token, channel, words, now) for channel in sorted(channels - _silent(words, token.topic))]
        if rows:
            customers.record_consents(connection, rows, now)
            enrollments.wake(connection, [token.customer_id], list(journeys.live(connection)), now)


def _no(app: App, token: Token, channel: str, words: Iterable[Consented], now: datetime) -> Row:
    """The last word: also over one that carries a later date."""
    said = [word.at for word in words if word.channel == channel and word.topic == token.topic]
    return {
        "customer_id": token.customer_id,
        "channel": channel,
        "topic": token.topic,
        "purpose": app.settings.purpose_of(token.topic).value,
        "granted": False,
        "at": max([now, *said]),
        "source": f"unsubscribe link of message {token.message_id}",
        "wording": "",
    }


# --- clicks and answers ----------------------------------------------------------------------------------------------


def clicked(app: App, token: Token, machine: bool = False) -> None:
    """Keep a click, the first per message and address. What a machine follows is kept apart, and by another name."""
    now = app.clock.now()
    known = _known(app, token)
    if known is None:
        return
    with app.database.writing(PATIENCE) as connection:
        machine = machine or _hasty(connection, token, known, now)
        name, kind = (SCANNED, "scan") if machine else (CLICKED, "click")
        told = hashlib.sha256(token.word.encode()).hexdigest()[:12]
        more: dict[str, Any] = {"link": token.word} | ({"machine": True} if machine else {})
        event = known.event(f"{kind}-{token.message_id}-{told}", name, now, more)
        take_events(app, connection, known.rules, app.needs(known.rules), [event], now, live=True)


def answered(app: App, token: Token) -> bool:
    """Keep the first answer to a message. False when it had been answered with another word."""
    now = app.clock.now()
    known = _known(app, token)
    if known is None:
        return True
    number = f"answer-{token.message_id}"
    incoming = [
        known.event(number, ANSWERED, now, {"answer": token.word}),
        known.event(
            f"click-{token.message_id}-answer", CLICKED, now, {"confidence": "certain"}
        ),  # they pressed a button
    ]
    with app.database.writing(PATIENCE) as connection:
        first = events.payload(connection, number)
        if first is not None:
            return bool(first.get("answer") == token.word)
        take_events(app, connection, known.rules, app.needs(known.rules), incoming, now, live=True)
    return True


@dataclass(frozen=True)
class _Known:
    """The message that carried a link, and who it went to."""

    person: str  # the shop's id
    about: dict[str, Any]
    rules: Rules

    def event(self, number: str, name: str, now: datetime, more: dict[str, Any]) -> NewEvent:
        return NewEvent(number, self.person, name, now, {**self.about, **more})


def _known(app: App, token: Token) -> _Known | None:
    """None when the person or the message is no longer here: then there is nothing to keep."""
    with app.database.reading() as connection:
        found = customers.people(connection, [token.customer_id]).get(token.customer_id)
        row = messages.of_ids(connection, [token.message_id]).get(token.message_id)
        rules = app.rules(connection)
    if found is None or row is None or row.customer_id != token.customer_id:
        return None
    about = {
        **{"message": row.message, "channel": row.channel},
        **{"journey": row.journey, "enrollment_id": row.enrollment_id},
    }
    return _Known(found[0].external_id, about, rules)


def _hasty(connection: Connection, token: Token, known: _Known, now: datetime) -> bool:
    """Has another link of the same message been followed a moment ago? Then something goes through them all."""
    recent = events.of_people(connection, [token.customer_id], {CLICKED: HASTE}, now).get(token.customer_id, [])
    return any(
        known.about.items() <= dict(one.payload).items() and one.payload.get("link") not in (None, token.word)
        for one in recent
    )

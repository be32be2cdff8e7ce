"""What a person has agreed to, now or at any instant of the past, with the evidence: who said what when, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.app import App
from engine.audience.values import Person
from engine.decide.policy import last_word
from engine.decide.state import Consented
from engine.errors import Refused
from engine.settings import Purpose
from engine.store import customers


@dataclass(frozen=True)
class Word:
    """One line of the log."""

    at: datetime
    recorded_at: datetime
    channel: str
    topic: str
    purpose: str
    granted: bool
    source: str
    wording: str


@dataclass(frozen=True)
class Holds:
    """Whether one may write about a topic by a channel, and the word that decides it."""

    topic: str
    channel: str
    allowed: bool
    word: Word | None  # None: nothing was said; only what is transactional may be sent


@dataclass(frozen=True)
class Agreements:
    """All of it, as it was at an instant."""

    person: str
    zone: str
    at: datetime
    holds: tuple[Holds, ...]
    log: tuple[Word, ...]  # oldest first
    suppressed: tuple[str, ...]  # channels whose address of today was on the suppression list then, with the reason


def agreements(app: App, external_id: str, at: datetime | None = None) -> Agreements:
    """The consents of one person as they stood at an instant. `Refused` when nobody knows the person."""
    at = at or app.clock.now()
    with app.database.reading() as connection:
        person = customers.find(connection, external_id)
        if person is None:
            raise Refused(f"there is no person {external_id}")
        log = [_word(row) for row in customers.consent_log(connection, person.id) if row.at <= at]
        listed = customers.suppressions(connection, _addresses(app, person))
    suppressed = tuple(f"{row.channel} ({row.reason}, {row.at:%Y-%m-%d})" for row in listed.values() if row.at <= at)
    return Agreements(external_id, person.zone.key, at, tuple(_holding(app, log)), tuple(log), suppressed)


def _addresses(app: App, person: Person) -> list[str]:
    return [app.address_hash(channel, address) for channel, address in sorted(person.addresses.items())]


def _holding(app: App, log: Sequence[Word]) -> list[Holds]:
    """Each topic by each channel; also topics that are no longer configured, if something was said about them."""
    said = {(one.channel, one.topic): one for one in sorted(log, key=lambda one: (one.at, not one.granted))}
    words = [Consented(one.channel, one.topic, one.granted, one.at, one.source, one.purpose) for one in said.values()]
    topics = dict.fromkeys([*app.settings.topics, *(topic for _, topic in said if topic != "*")])
    channels = dict.fromkeys([*app.settings.channels, *(channel for channel, _ in said)])
    found = []
    for topic in topics:
        for channel in channels:
            word = last_word(words, channel, topic)
            transactional = app.settings.purpose_of(topic) is Purpose.transactional
            allowed = word.granted and (transactional or word.purpose != "transactional") if word else transactional
            found.append(Holds(topic, channel, allowed, said[channel, word.topic] if word else None))
    return found


def _word(row: Any) -> Word:
    purpose = row.purpose or Purpose.marketing.value
    return Word(row.at, row.recorded_at, row.channel, row.topic, purpose, row.granted, row.source, row.wording)

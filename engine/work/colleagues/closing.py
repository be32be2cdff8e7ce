"""What a person says about messages nobody else can decide: those that are unknown, and those that are dead.

A word is one more delivery and is folded like all others, so nothing that happened is lost. Nothing is sent again but
by `retry`, and what is tried again goes through every rule of sending, now and at the door.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from channels.errors import SendError
from engine.app import App
from engine.decide.caps import full_at_the_door
from engine.decide.door import Hold, Settle, at_the_door
from engine.decide.outcome import COUNTS, DeliveryKind, MessageState
from engine.decide.policy import caps_of
from engine.decide.state import CustomerState
from engine.errors import OutreachError, Refused
from engine.store import customers, deliveries, enrollments, messages
from engine.store.deliveries import Heaviest
from engine.store.open_ends import OpenEnd
from engine.store.tables import in_parts
from engine.work.line import leave_later
from engine.work.sending.after_death import DEATHS
from engine.work.sending.leaving import NOBODY
from engine.work.sending.routing import asked_again

TOGETHER = 500  # words written in one transaction
FOR_GOOD = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Closed:
    """What became of a person's word about one message."""

    id: int
    done: bool
    state: str  # now
    sentence: str


@dataclass(frozen=True)
class _Open:
    """One message as it stands."""

    row: Any
    heaviest: Heaviest | None
    state: MessageState

    @property
    def attempt(self) -> int:
        return self.heaviest.attempt if self.heaviest else 0


_Word = Callable[[Connection, _Open], tuple[DeliveryKind | None, str]]  # what is appended; why, or why nothing is


def close(app: App, numbers: Sequence[int], accepted: bool, by: str, reason: str) -> list[Closed]:
    """Unknown messages: `by` found out whether they were accepted. Nothing is sent, whatever the answer is."""
    kind = DeliveryKind.accepted if accepted else DeliveryKind.dropped
    told = f"{by} says that it was {'' if accepted else 'not '}accepted: {reason}"

    def word(_: Connection, one: _Open) -> tuple[DeliveryKind | None, str]:
        if one.state is not MessageState.unknown:
            return None, f"it is {one.state.value}, not unknown"
        return kind, told

    return _say(app, numbers, word)


def drop(app: App, numbers: Sequence[int], by: str, reason: str) -> list[Closed]:
    """Dead messages: `by` says that they need not go out any more."""

    def word(_: Connection, one: _Open) -> tuple[DeliveryKind | None, str]:
        if one.state is not MessageState.dead:
            return None, f"it is {one.state.value}, not dead"
        return DeliveryKind.dropped, f"{by} drops it: {reason}"

    return _say(app, numbers, word)


def retry(app: App, numbers: Sequence[int], by: str, reason: str = "") -> list[Closed]:
    """Dead messages, and those of which a person said that they did not go out: try once more, by all the rules.

    Each in a transaction of its own: from then on it counts for those after it.
    """

    def word(connection: Connection, one: _Open) -> tuple[DeliveryKind | None, str]:
        against = _against(app, connection, one)
        if against is not None:
            return None, against
        lane, urgent = asked_again(app, connection, one.row), not one.row.marketing
        leave_later(app, connection, [one.row.id], lane, app.clock.now(), urgent, DEATHS - 1)  # it leaves alone
        return DeliveryKind.revived, f"{by} tries it again" + (f": {reason}" if reason else "")

    return _say(app, numbers, word, together=1)


def repeat_until(app: App, one: OpenEnd) -> datetime | None:
    """Until when the provider that was asked would recognise the same key with the same bytes, if it does still."""
    lane = app.lane_asked_as(one.channel, one.provider)
    if lane is None or one.begun_at is None:
        return None
    try:
        provider = app.provider(lane.name)
    except (SendError, OutreachError):
        return None
    if not provider.features.recognises_repeat(app.clock.now() - one.begun_at):
        return None
    window = provider.features.dedupe_window
    return FOR_GOOD if window is None else one.begun_at + window


def _against(app: App, connection: Connection, one: _Open) -> str | None:
    """Why a message must not be tried again, if so."""
    row = one.row
    if one.state not in (MessageState.dead, MessageState.dropped):
        return f"it is {one.state.value}; only what is dead, or was said not to have gone out, can be tried again"
    if not _has_text(connection, row.id):
        return "it has no text that could be sent, and its person has gone on"
    way = enrollments.row_of(connection, row.enrollment_id)
    if way is not None and not way.active and str(way.reason).startswith("left"):
        return f"its person has left {row.journey} ({way.reason})"
    state = _state(app, connection, row)
    return _went_instead(row, state) or _forbidden(app, connection, row, state)


def _has_text(connection: Connection, number: int) -> bool:
    try:
        return messages.content_of(connection, number) is not None
    except ValueError:  # the stored bytes are damaged
        return False


def _state(app: App, connection: Connection, row: Any) -> CustomerState | None:
    """All that the rules of sending may ask about the person of a message."""
    ids, since = [row.customer_id], app.clock.now() - app.needs(app.rules(connection)).said
    people = customers.people(connection, ids)
    if row.customer_id not in people:
        return None
    blocked = customers.suppressed(connection, {row.address_hash: None})
    return CustomerState(
        person=people[row.customer_id][0],
        said=tuple(messages.of_people(connection, ids, since).get(row.customer_id, ())),
        consents=tuple(customers.consents(connection, ids).get(row.customer_id, ())),
        suppressed=frozenset([row.channel]) if row.address_hash in blocked else frozenset(),
    )


def _went_instead(row: Any, state: CustomerState | None) -> str | None:
    """Another wish of the same touch went, or is about to: one is enough."""
    for other in state.said if state else ():
        same = (other.enrollment_id, other.step, other.visit) == (row.enrollment_id, row.step, row.visit)
        if same and other.id != row.id and other.state in COUNTS:
            return f"message {other.id} by {other.channel} went in its place ({other.state.value})"
    return None


def _forbidden(app: App, connection: Connection, row: Any, state: CustomerState | None) -> str | None:
    """What the rules of sending say today. A cap is asked at once, since from now on the message counts again."""
    now, rules, said = app.clock.now(), app.rules(connection), messages.as_born(connection, [row.id])[row.id]
    verdict = NOBODY if state is None else at_the_door(said, state, rules, now)
    if isinstance(verdict, Settle):
        return verdict.sentence
    if isinstance(verdict, Hold) and state is not None:
        others = [one for one in state.said if one.id != said.id]
        full = full_at_the_door(said, others, caps_of(rules, row.journey), now, state.person.zone)
        return full.sentence if full else None
    return None


def _say(app: App, numbers: Sequence[int], word: _Word, together: int = TOGETHER) -> list[Closed]:
    """Say a word about each of these messages, so many in one transaction. `Refused` when there is no such message."""
    numbers = list(dict.fromkeys(numbers))
    with app.database.reading() as connection:
        known = messages.of_ids(connection, numbers)
    missing = [str(number) for number in numbers if number not in known]
    if missing:
        raise Refused(f"there is no message {', '.join(missing)}; nothing was changed; see: outreach messages")
    del known
    return [one for part in in_parts(numbers, together) for one in _say_about(app, part, word)]


def _say_about(app: App, numbers: Sequence[int], word: _Word) -> list[Closed]:
    """Say it about a few, in one transaction."""
    now = app.clock.now()
    with app.database.writing() as connection:
        rows, folded = messages.of_ids(connection, numbers), deliveries.fold(connection, numbers)
        done, told, woken = [], [], []
        for number in numbers:
            row, heaviest = rows[number], folded.get(number)
            one = _Open(row, heaviest, messages.state_today(row, heaviest.kind if heaviest else None))
            kind, sentence = word(connection, one)
            if kind is None:
                done.append(Closed(number, False, one.state.value, sentence))
                continue
            attempt = one.attempt + (kind is DeliveryKind.revived)  # above all that came of the attempts before
            told.append(deliveries.Happening(number, row.customer_id, kind, now, attempt, reason=sentence))
            woken.append(row)
            done.append(Closed(number, True, messages.state_today(row, kind).value, sentence))
        deliveries.append(connection, told)
        enrollments.wake_ids(connection, [row.enrollment_id for row in woken], now)
        customers.raise_revision(connection, [row.customer_id for row in woken])
    return done

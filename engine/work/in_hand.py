"""Who is in hand: written down before anything is decided about them, and gone with the write of what was decided.

A process that is killed cannot tell what it died of. Whom it had in hand stays written, and counts as a failure of
every way that was due. Ways that failed go after all others, in small parts and then each alone, so that three deaths
are those of one; then it is set aside. People in hand who were about to enter by a run enter without being decided
about, and have failed once. Whoever was only slow, and given up as dead, finds that nothing is its own any more.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from engine.app import App
from engine.clock import fresh_token
from engine.decide.state import CustomerState
from engine.store import chunks, enrollments
from engine.store.enrollments import Overtaken
from engine.values import replace

log = logging.getLogger("outreach.in_hand")

SMALL = 50  # people whose ways failed once are taken up together
DIED = "the process died while it was deciding"


@dataclass(frozen=True)
class Part:
    """People to decide about at once: all their ways that failed no more than `failures` times, or one way alone."""

    people: Sequence[int]
    failures: int = 0
    way: int | None = None

    @property
    def halves(self) -> tuple[Part, Part]:
        middle = len(self.people) // 2
        return replace(self, people=self.people[:middle]), replace(self, people=self.people[middle:])

    def seen(self, states: Sequence[CustomerState]) -> Sequence[CustomerState]:
        """These people, as far as they are looked at."""
        if self.way is None:
            return states
        return [
            replace(state, enrollments=tuple(way for way in state.enrollments if way.id == self.way))
            for state in states
        ]


@dataclass(frozen=True)
class Hand:
    """A chunk in the hands of this process."""

    number: int
    token: str
    deaths: int = 0  # of those who held it before
    entering: bool = False  # its people enter by a run, which has gone on past them

    def put_back(self, connection: Connection, deaths: int) -> None:
        """It waits for whoever takes it next."""
        chunks.put_back(connection, self.number, self.token, deaths)

    def let_go(self, connection: Connection) -> None:
        """In the write of what was decided. `Overtaken` when it is in other hands by now: do not commit."""
        if not chunks.let_go(connection, self.number, self.token):
            raise Overtaken


def next_failed(connection: Connection, now: datetime) -> Part | None:
    """The next part of those that failed before: fifty that failed once, or one way alone."""
    first, *more = enrollments.due_failed(connection, now, SMALL) or [None]
    if first is None:
        return None
    if first.failures > 1:
        return Part([first.customer_id], first.failures, first.id)
    people = [row.customer_id for row in (first, *more) if row.failures == first.failures]
    return Part(list(dict.fromkeys(people)), first.failures)


@contextmanager
def no_stray(app: App, token: str) -> Iterator[None]:
    """Should this fail, what the token may hold is let go of once the database answers."""
    try:
        yield
    except Exception:
        app.strays.add(token)
        raise


def take(app: App, number: int) -> tuple[Hand, Any] | None:
    """Take a chunk that waits: it and what it says. None when it is gone, or in other hands."""
    token = fresh_token()
    with no_stray(app, token), app.database.writing(beside=True) as connection:
        told = chunks.take(connection, number, app.worker_id, token)
    return (Hand(number, token, told.deaths, told.run_id is not None), told) if told is not None else None


@contextmanager
def noted(app: App, part: Part, now: datetime, hand: Hand | None = None) -> Iterator[Hand]:
    """Write down who is in hand. Whoever writes what was decided lets go; an error that is raised does."""
    token = hand.token if hand is not None else fresh_token()
    with no_stray(app, token):
        if hand is None:
            with app.database.writing(beside=True) as connection:
                hand = Hand(_note(app, connection, part, now, token), token)
        try:
            yield hand
        except Exception:
            with app.database.writing(beside=True) as connection:
                _drop(connection, hand)
            raise


def _note(app: App, connection: Connection, part: Part, now: datetime, token: str) -> int:
    more: dict[str, Any] = {"failures": part.failures, "way": part.way}
    return chunks.add(connection, now, part.people, **more, worker_id=app.worker_id, token=token)


def _drop(connection: Connection, hand: Hand) -> None:
    """Nothing was decided: they are due as before, or are to enter as before, without being decided about."""
    if hand.entering:
        hand.put_back(connection, hand.deaths + 1)
    else:
        chunks.let_go(connection, hand.number, hand.token)


def set_back(app: App, part: Part, people: Sequence[int], reason: str, now: datetime) -> None:
    """Deciding about these people of a part failed: it is kept with the ways that were due."""
    with app.database.writing(beside=True) as connection:
        enrollments.note_failure(connection, people, reason, now, part.failures, part.way)


def after_death(connection: Connection, workers: Sequence[int] | None = None) -> None:
    """Whoever was in hand when these workers died (None: all of them) has one failure more."""
    for told in chunks.held_by(connection, workers):
        if told.run_id is not None:
            chunks.put_back(connection, told.id, told.token, told.deaths + 1)
            log.warning("the process died while it was deciding about people who enter a wave")
            continue
        chunks.drop(connection, told.id)
        enrollments.note_failure(connection, told.people, DIED, told.made_at, told.failures, told.way)
        log.warning(
            "the process died while it was deciding about %d people; they go on in small parts", len(told.people)
        )


def free_strays(app: App, connection: Connection, strays: Collection[str]) -> None:
    """Let go of chunks that nobody works on: the database failed us when we took them, or let go of them."""
    for told in chunks.held_by(connection, [app.worker_id]):
        if told.token in strays:
            _drop(connection, Hand(told.id, told.token, told.deaths - 1, told.run_id is not None))

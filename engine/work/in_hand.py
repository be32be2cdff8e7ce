"""Who is in hand: written down before anything is decided about them, and crossed out in the write of what was decided.

A process that is killed cannot tell what it died of. What it had in hand stays written, and counts at the next start as
a failure of every way that was due. Ways that failed go after all others, in small parts and then each alone, so that
three deaths are those of one; then it is set aside. People in hand who were about to enter a wave enter at the next
start without being decided about, and have failed once.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from engine.app import App
from engine.decide.state import CustomerState
from engine.store import enrollments
from engine.store.tables import get_fact, set_fact
from engine.values import replace

log = logging.getLogger("outreach.in_hand")

IN_HAND = "in_hand"  # the fact that tells who is
ENTERING = "died_entering"  # the fact that tells at which page of which run the process died
SMALL = 50  # people whose ways failed once are taken up together
DIED = "the process died while it was deciding"


@dataclass(frozen=True)
class Part:
    """People to decide about at once: all their ways that failed no more than `failures` times, or one way alone."""

    people: Sequence[int]
    failures: int = 0
    way: int | None = None

    @property
    def told(self) -> dict[str, Any]:
        return asdict(self)

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
def noted(app: App, told: Mapping[str, Any], now: datetime) -> Iterator[None]:
    """Write down who is in hand. Whoever writes what was decided crosses it out; an error that is raised does too."""
    with app.database.writing() as connection:
        set_fact(connection, IN_HAND, json.dumps({**told, "at": now.isoformat()}))
    try:
        yield
    except Exception:
        with app.database.writing() as connection:
            cross_out(connection)
        raise


def cross_out(connection: Connection) -> None:
    """Nobody is in hand any more."""
    set_fact(connection, IN_HAND, "")


def set_back(app: App, part: Part, people: Sequence[int], reason: str, now: datetime) -> None:
    """Deciding about these people of a part failed: it is kept with the ways that were due."""
    with app.database.writing() as connection:
        enrollments.note_failure(connection, people, reason, now, part.failures, part.way)


def after_death(app: App) -> None:
    """At start: whoever was in hand when the process died has one failure more."""
    with app.database.writing() as connection:
        text = get_fact(connection, IN_HAND)
        if not text:
            return
        told = json.loads(text)
        at = datetime.fromisoformat(told.pop("at"))
        cross_out(connection)
        if "page" in told:
            set_fact(connection, ENTERING, told["page"])
            log.warning("the process died while it was deciding about people who enter a wave")
            return
        part = Part(**told)
        enrollments.note_failure(connection, part.people, DIED, at, part.failures, part.way)
    log.warning("the process died while it was deciding about %d people; they go on in small parts", len(part.people))


# --- people who enter a wave -----------------------------------------------------------------------------------------


def page_of(run: Any) -> dict[str, str]:
    """The next page of a run, as it is told."""
    return {"page": f"run {run.id}, stage {run.stage}, after {run.cursor}"}


def died_of(connection: Connection, run: Any) -> bool:
    """Did the process die while it was deciding about the next page of this run?"""
    return get_fact(connection, ENTERING) == page_of(run)["page"]

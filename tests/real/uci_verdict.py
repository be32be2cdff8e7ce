"""What a replay of the UCI history left behind, held against what must have happened. None of this uses the engine.

The mail server's own record says what left; the database, read as plain SQLite, says what it was meant to be.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

from tests.real.uci_expected import Expected, Night
from tests.real.uci_oracle import Truth

Spoken = tuple[str, str]  # an order and a message


class Mail(Protocol):
    """One mail the server accepted."""

    @property
    def key(self) -> str: ...
    @property
    def to(self) -> str: ...
    @property
    def at(self) -> datetime: ...


@dataclass(frozen=True)
class Written:
    """One row about a message: sent or not."""

    about: Spoken
    key: str
    planned: datetime
    state: str  # of its heaviest delivery, or what it was born with
    rule: str | None
    detail: Mapping[str, Any]


@dataclass(frozen=True)
class Entered:
    """One enrollment."""

    order: str
    held_out: bool
    ended: tuple[str, datetime] | None


class Record:
    """What stands in the database after a replay."""

    def __init__(self, database: Path) -> None:
        lines = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
        try:
            self.entered = [
                Entered(order, bool(held_out), (reason, _utc(ended_at)) if ended_at else None)
                for order, held_out, reason, ended_at in lines.execute(
                    "select key, holdout, reason, ended_at from enrollment order by id"
                )
            ]
            self.written = [
                Written((order, message), key, _utc(planned), kind or state, rule, json.loads(detail))
                for order, message, key, planned, state, rule, detail, kind in lines.execute(
                    """select way.key, message.message, message.key, message.due_at, message.state, message.rule,
                              message.detail, (select kind from delivery where message_id = message.id
                                               order by weight desc, id desc limit 1)
                       from message join enrollment as way on way.id = enrollment_id order by message.id"""
                )
            ]
            self.vouchers = lines.execute(
                """select way.key, code from voucher join enrollment as way on way.id = enrollment_id order by code"""
            ).fetchall()
            self.ids = dict(lines.execute("select id, key from message"))
        finally:
            lines.close()

    def in_state(self, *states: str) -> dict[Spoken, datetime]:
        return {one.about: one.planned for one in self.written if one.state in states}


def disagreements(expected: Expected, record: Record, arrived: Sequence[Mail], truth: Truth) -> list[str]:
    """Everything in which a replay without caps is not what must have happened, to the instant; at best nothing."""
    named = {one.key: one.about for one in record.written}
    mails = Counter(named.get(mail.key, ("?", mail.key)) for mail in arrived)
    doubtful = record.in_state("unknown").keys() - mails.keys()  # a process died while they were leaving
    return [
        *_differ("enrollments of order", Counter(e.order for e in record.entered), dict.fromkeys(expected.ways, 1)),
        *_differ("end of order", _ends(record), {number: way.ended for number, way in expected.ways.items()}),
        *_differ("held out", _held_out(record), {number: way.held_out for number, way in expected.ways.items()}),
        *_differ("mails about", mails, dict.fromkeys(expected.sent().keys() - doubtful, 1)),
        *_differ("planned instant of", record.in_state("accepted", "unknown"), expected.sent()),
        *_differ("late", record.in_state("expired"), expected.late()),
        *_differ("recipient of", _recipients(arrived, named), _addresses(expected.sent().keys() - doubtful, truth)),
        *_differ("vouchers of", Counter(order for order, _ in record.vouchers), _vouchers(expected)),
    ]


def _ends(record: Record) -> dict[str, tuple[str, datetime] | None]:
    return {one.order: one.ended for one in record.entered}


def _held_out(record: Record) -> dict[str, bool]:
    return {one.order: one.held_out for one in record.entered}


def _recipients(arrived: Iterable[Mail], named: Mapping[str, Spoken]) -> dict[Spoken, str]:
    return {named[mail.key]: mail.to for mail in arrived if mail.key in named}


def _addresses(mails: Iterable[Spoken], truth: Truth) -> dict[Spoken, str]:
    return {(number, message): f"c{truth.orders[number].customer}@example.com" for number, message in mails}


def _vouchers(expected: Expected) -> dict[str, int]:
    return {number: 1 for number, way in expected.ways.items() if way.voucher}


def _differ(what: str, found: Mapping[Any, Any], wanted: Mapping[Any, Any]) -> Iterator[str]:
    for one in sorted(found.keys() | wanted.keys()):
        if found.get(one) != wanted.get(one):
            yield f"{what} {one}: found {found.get(one)}, expected {wanted.get(one)}"


# --- whatever the caps: rules of the house ---------------------------------------------------------------------------


def in_the_night(arrived: Iterable[Mail], truth: Truth, night: Night) -> list[Mail]:
    """Mails that came in the quiet hours of their person."""
    return [mail for mail in arrived if night.holds(mail.at, truth.zone(_customer(mail)))]


def over_caps(arrived: Iterable[Mail], truth: Truth, per_day: int, per_week: int, gap: timedelta) -> list[str]:
    """People who were written to more often in a day or a week of their own, or sooner again, than is allowed."""
    found: list[str] = []
    for customer, instants in _by_person(arrived).items():
        local = [at.astimezone(truth.zone(customer)) for at in instants]
        days, weeks = Counter(at.date() for at in local), Counter(at.isocalendar()[:2] for at in local)
        found += [f"{customer}: {count} on {day}" for day, count in days.items() if count > per_day]
        found += [f"{customer}: {count} in week {week}" for week, count in weeks.items() if count > per_week]
        found += [f"{customer}: {one} and {other}" for one, other in pairwise(instants) if other - one < gap]
    return found


def unfounded_refusals(arrived: Sequence[Mail], record: Record, truth: Truth) -> list[str]:
    """Messages refused by a cap whose rows do not name the mails that fill it: all in one day or week of the person."""
    when = {mail.key: mail.at for mail in arrived}
    found = []
    for one in record.written:
        if one.rule == "capped":
            zone = truth.zone(truth.orders[one.about[0]].customer)
            instants = [when[record.ids[number]].astimezone(zone) for number in one.detail["filled_by"]]
            if not _fill(one.detail["cap"], instants):
                found.append(f"{one.about}: {one.detail}")
    return found


def _fill(cap: str, instants: Sequence[datetime]) -> bool:
    """Do these mails fill that cap?"""
    if cap.startswith("least gap"):
        return len(instants) > 0
    most, _, span = cap.partition(" per ")
    spans = {at.date() if span == "day" else at.isocalendar()[:2] for at in instants}
    return len(instants) >= int(most) and len(spans) == 1


def _by_person(arrived: Iterable[Mail]) -> dict[str, list[datetime]]:
    found: dict[str, list[datetime]] = defaultdict(list)
    for mail in sorted(arrived, key=lambda mail: mail.at):
        found[_customer(mail)].append(mail.at)
    return found


def _customer(mail: Mail) -> str:
    return mail.to.removeprefix("c").removesuffix("@example.com")


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)

"""Letting people in by request: named one by one, in a file, or as a segment. Taken in whole, counted, then released.

A request has a key, and the same key twice is one request. Nobody enters before all of its people are written and
somebody has agreed to their number; what was cut off before that is taken up anew, or forgotten.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from engine.app import App
from engine.audience.conditions import as_sql
from engine.audience.segments import member_of
from engine.decide.state import Rules
from engine.errors import Refused
from engine.imports.entrants import EntrantRow
from engine.journey.enter import ByRequest
from engine.journey.problems import Problem
from engine.journey.source import hint_for
from engine.store import customers, requests, waves

CHUNK = 5_000
MOST_SHOWN = 20  # of those who are not known
MOST_PROBLEMS = 100  # rows that cannot be read, kept to be shown
FORGOTTEN_AFTER = timedelta(days=1)  # what was cut off so long ago and not asked again

Rows = Callable[[], Iterable[EntrantRow | Problem]]  # from the beginning at each call


@dataclass(frozen=True)
class Who:
    """Whom a request names: the people of a segment now, or rows; and what is told of all of them."""

    segment: str | None = None
    rows: Rows | None = None
    told: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Asked:
    """A request as it was taken in."""

    journey: str
    key: str
    run_id: int
    people: int = 0
    at_most: int | None = None  # of these, so many enter
    repeated_at: datetime | None = None  # the same was asked and released before, at this instant
    entered: int = 0  # of a repeated one, so far
    named_twice: int = 0
    unknown: int = 0
    unknown_shown: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Is everyone who was named known?"""
        return not self.unknown and not self.problems


def take_in(app: App, journey: str, who: Who, key: str, by: str) -> Asked:
    """Write whom this request names, and count them. Nobody enters yet. `Refused` where it cannot be."""
    now = app.clock.now()
    with app.database.reading() as connection:
        rules = app.rules(connection)
        version_id = _version(rules, journey)
        at_most = rules.graphs[version_id].head.at_most
        if who.segment is not None and who.segment not in rules.audience.segments:
            known = rules.audience.segments
            raise Refused(f"there is no published segment {who.segment}; {hint_for(who.segment, known)}")
        body = _body_hash(who)
        known_as = requests.request_of(connection, journey, key)
    if known_as is not None and known_as.state != requests.TAKING:
        if known_as.body_hash != body:
            at = f"{known_as.asked_at:%Y-%m-%d %H:%M}"
            raise Refused(f"the key {key} names another request, of {at} UTC; write another key")
        return Asked(
            journey, key, known_as.run_id, known_as.people, repeated_at=known_as.asked_at, entered=known_as.entered
        )
    with app.database.writing() as connection:
        app.refuse_old_names(connection, rules)
        asked = _begin(connection, journey, version_id, key, body, by, now)
        asked.at_most = at_most
        if who.segment is not None:
            condition = as_sql(member_of(who.segment), rules.audience, now)
            asked.people = requests.add_all(connection, asked.run_id, condition, who.told)
    if who.rows is not None:
        for chunk in _chunks(who.rows(), asked):
            with app.database.writing() as connection:
                _take(connection, asked, chunk, who.told)
    return asked


def _version(rules: Rules, journey: str) -> int:
    """The version people enter now."""
    if journey not in rules.live:
        raise Refused(f"there is no published journey {journey}; {hint_for(journey, rules.live) or 'publish it first'}")
    graph = rules.graphs[rules.live[journey]]
    if not isinstance(graph.head.enter, ByRequest):
        raise Refused(f"{journey} is entered in another way; only `enter: {{api: true}}` lets people in by name")
    return rules.live[journey]


def _begin(connection: Connection, journey: str, version_id: int, key: str, body: str, by: str, now: datetime) -> Asked:
    """A new run; what was cut off before under this key, or long ago, is forgotten."""
    stale = requests.unfinished(connection, journey, now - FORGOTTEN_AFTER)
    before = requests.request_of(connection, journey, key)
    for run_id in {*stale, *([before.run_id] if before is not None else [])}:
        requests.forget(connection, run_id)
    row = {"journey": journey, "version_id": version_id, "planned": _planned(key), "zone": ""}
    run_id = waves.plan_run(connection, {**row, "planned_at": now, "state": requests.TAKING})
    if run_id is None:
        raise Refused(f"the key {key} is in use; write another key")
    asked = {
        "run_id": run_id,
        "journey": journey,
        "key": key,
        "body_hash": body,
        "by": by,
        "asked_at": now,
        "people": 0,
    }
    requests.begin(connection, asked)
    return Asked(journey, key, run_id)


def _planned(key: str) -> str:
    return f"asked {key}"


def _body_hash(who: Who) -> str:
    """Names what is asked for: the same people and values in the same order."""
    told = hashlib.sha256(json.dumps([who.segment, dict(who.told)], sort_keys=True, default=str).encode())
    for row in who.rows() if who.rows is not None else ():
        if isinstance(row, EntrantRow):
            told.update(json.dumps([row.person, row.told], sort_keys=True, default=str).encode())
    return told.hexdigest()[:32]


def _chunks(rows: Iterable[EntrantRow | Problem], asked: Asked) -> Iterator[list[EntrantRow]]:
    chunk: list[EntrantRow] = []
    for row in rows:
        if isinstance(row, Problem):
            if len(asked.problems) < MOST_PROBLEMS:
                asked.problems.append(row)
            continue
        chunk.append(row)
        if len(chunk) >= CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _take(connection: Connection, asked: Asked, chunk: list[EntrantRow], told: Mapping[str, Any]) -> None:
    ids = customers.ids_of(connection, [row.person for row in chunk])
    strangers = [row.person for row in chunk if row.person not in ids]
    asked.unknown += len(strangers)
    asked.unknown_shown += strangers[: MOST_SHOWN - len(asked.unknown_shown)]
    named: dict[int, Mapping[str, Any]] = {}
    for row in chunk:
        if row.person in ids:
            named.setdefault(ids[row.person], {**told, **row.told})
    new = requests.add_people(connection, asked.run_id, named)
    asked.named_twice += len(chunk) - len(strangers) - new
    asked.people += new


def release(app: App, asked: Asked) -> None:
    """Let them in, from the next beat on. `Refused` when it was taken back meanwhile."""
    now = app.clock.now()
    with app.database.writing() as connection:
        found = requests.request_of(connection, asked.journey, asked.key)
        if found is None or found.run_id != asked.run_id:
            raise Refused(f"the request {asked.key} was asked anew meanwhile, and nobody was let in")
        requests.set_people(connection, asked.run_id, asked.people)
        waves.change_run(connection, asked.run_id, state="entering", planned_at=now)


def take_back(app: App, asked: Asked) -> None:
    """Nobody agreed: as if it had not been asked."""
    with app.database.writing() as connection:
        requests.forget(connection, asked.run_id)

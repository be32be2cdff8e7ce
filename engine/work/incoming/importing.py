"""Imports: files of people and events into the tables, a chunk per transaction, able to go on where they were cut off.

A wrong row is refused with its place and the good ones go on. An import never weakens an opt-out (promise N8), and a
history starts no journey unless one says `live`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection

from engine.app import App
from engine.decide.policy import last_word
from engine.decide.state import Consented
from engine.errors import BadInput
from engine.imports.files import read_events, read_people
from engine.imports.mapping import FileMap, read_mapping
from engine.imports.rows import ConsentWord, EventRow, PersonRow
from engine.journey.problems import Position, Problem, Severity
from engine.settings import Shop
from engine.store import customers, enrollments, work
from engine.store.tables import Row
from engine.work.incoming.intake import NewEvent, Taken, take_events

CHUNK = 500
MOST_SHOWN = 100  # problems kept to be shown; all are counted

Progress = Callable[[int], None]
Item = TypeVar("Item", PersonRow, EventRow)


@dataclass
class Imported:
    """What an import did. Counts are rows."""

    read: int = 0
    skipped: int = 0  # taken in by an earlier run that was cut off
    new: int = 0
    changed: int = 0
    consents: int = 0
    kept_opt_outs: int = 0  # a yes in the file against a no that a person said: the no stays
    refused: int = 0  # however much is wrong with a row, it is one
    turned_away: int = 0  # of these, the rows that could be read
    found: int = 0  # problems, also those that are not kept
    problems: list[Problem] = field(default_factory=list)
    taken: Taken = field(default_factory=Taken)
    _last_refused: int = 0  # the problems of a row come one after the other

    def refuse(self, problem: Problem) -> None:
        line = problem.position.line
        if problem.severity is Severity.error and line != self._last_refused:
            self.refused += 1
            self._last_refused = line
        self.found += 1
        if len(self.problems) < MOST_SHOWN:
            self.problems.append(problem)


def load_mapping(path: Path | None) -> FileMap | None:
    """The mapping file, if one is named. BadInput with everything that is wrong with it."""
    if path is None:
        return None
    mapping, problems = read_mapping(path)
    if mapping is None:
        raise BadInput(f"{path} cannot be used", problems)
    return mapping


def import_people(
    app: App, path: Path, mapping: FileMap | None = None, dry_run: bool = False, progress: Progress | None = None
) -> Imported:
    """Take in people: new ones are added, known ones brought up to date."""

    def write(connection: Connection, rows: Sequence[PersonRow], done: Imported) -> None:
        _take(app, connection, rows, done)

    return _run(app, path, "people", read_people(path, mapping, app.settings), write, dry_run, progress)


def take_people(app: App, rows: Sequence[PersonRow]) -> Imported:
    """The same for people who stand in no file."""
    done = Imported(read=len(rows))
    with app.database.writing() as connection:
        _take(app, connection, rows, done)
    return done


def _take(app: App, connection: Connection, rows: Sequence[PersonRow], done: Imported) -> None:
    now = app.clock.now()
    people = [_person_row(row, app.settings.shop, now) for row in rows]
    new, changed = customers.upsert(connection, people, now - app.policy.max_lateness)
    done.new += new
    done.changed += changed
    _consent(app, connection, rows, now, done)


def import_events(
    app: App,
    path: Path,
    mapping: FileMap | None = None,
    live: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Imported:
    """Take in events. They feed traits; with `live`, fresh ones also start and move journeys."""
    with app.database.reading() as connection:
        rules = app.rules(connection)
    needs = app.needs(rules)

    def write(connection: Connection, rows: Sequence[EventRow], done: Imported) -> None:
        places = {row.id: row.position for row in rows}
        incoming = [NewEvent(row.id, row.person, row.name, row.at, row.payload) for row in rows]
        taken = take_events(app, connection, rules, needs, incoming, app.clock.now(), live)
        done.new += taken.recorded
        for problem in _event_problems(taken, places):
            done.refuse(problem)
            done.turned_away += 1
        done.taken.add(taken)

    return _run(app, path, "events", read_events(path, mapping, app.settings), write, dry_run, progress)


def _event_problems(taken: Taken, places: dict[str, Position]) -> Iterator[Problem]:
    for number in taken.unknown_people:
        yield Problem(
            "unknown-person", f"event {number} is about a person nobody knows", places[number], "import people first"
        )
    for number in taken.conflicts:
        sentence = f"event {number} is recorded already with another content"
        yield Problem("event-conflict", sentence, places[number], "give every event an id of its own")
    for number in taken.future:
        yield Problem(
            "future-event", f"event {number} lies in the future", places[number], "check the zone of its instant"
        )


class _DryRun(Exception):
    """Ends the one transaction of a dry run without writing."""


def _run(
    app: App,
    path: Path,
    kind: str,
    items: Iterable[Item | Problem],
    write: Callable[[Connection, Sequence[Item], Imported], None],
    dry_run: bool,
    progress: Progress | None,
) -> Imported:
    done = Imported()
    name = _file_hash(path, kind)
    with app.database.reading() as connection:
        before = work.import_progress(connection, name)
    already = before.rows if before is not None and not before.done else 0
    chunk: list[Item] = []

    def flush(finished: bool) -> None:
        try:
            with app.database.writing() as connection:
                if chunk:
                    write(connection, chunk, done)
                if dry_run:
                    raise _DryRun
                work.note_import(connection, name, kind, done.read, finished, app.clock.now())
        except _DryRun:
            pass
        chunk.clear()
        if progress is not None:
            progress(done.read)

    for item in items:
        if isinstance(item, Problem):
            done.refuse(item)
            continue
        done.read += 1
        if done.read <= already:
            done.skipped += 1
            continue
        chunk.append(item)
        if len(chunk) >= CHUNK:
            flush(False)
    flush(True)
    return done


def _file_hash(path: Path, kind: str) -> str:
    """Names one import: the same file taken in again is the same import."""
    try:
        with path.open("rb") as file:
            return f"{kind}:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read: {error.strerror}",
            [Problem("no-file", f"{path} cannot be read: {error.strerror}", Position(str(path)))],
        ) from None


def _person_row(row: PersonRow, shop: Shop, now: datetime) -> Row:
    return {
        "external_id": row.id,
        "zone": row.zone,
        "locale": row.locale,
        "country": row.country,
        "created_at": row.created_at or now,
        "addresses": row.addresses,
        "attributes": dict(row.attributes),
        "tags": dict(row.tags),
        "guessed": {name: getattr(shop, name) for name in row.guessed},
    }


def _consent(app: App, connection: Connection, rows: Sequence[PersonRow], now: datetime, done: Imported) -> None:
    """Append what is new of the words in the file. A no that was said is never turned into a yes by a file."""
    ids = customers.ids_of(connection, [row.id for row in rows if row.consents])
    known = customers.consents(connection, list(ids.values()))
    fresh: list[Row] = []
    for row in rows:
        words = known.get(ids.get(row.id, -1), [])
        for said in row.consents:
            last = last_word(words, said.channel, said.topic)
            if last is not None and last.granted == said.granted:
                continue
            if said.granted and last is not None:
                done.kept_opt_outs += 1
                continue
            fresh.append(
                {
                    "customer_id": ids[row.id],
                    "channel": said.channel,
                    "topic": said.topic,
                    "purpose": app.settings.purpose_of(said.topic).value,
                    "granted": said.granted,
                    "at": _said_at(said, words, now),
                    "source": said.source,
                    "wording": said.wording,
                }
            )
    customers.record_consents(connection, fresh, now)
    enrollments.wake_called(connection, [row["customer_id"] for row in fresh if not row["granted"]], now)
    done.consents += len(fresh)


def _said_at(said: ConsentWord, words: Iterable[Consented], now: datetime) -> datetime:
    """Nobody says anything in the future; a no without an instant is the last word, also over one with a later date."""
    if said.at is not None:
        return min(said.at, now)
    own = [word.at for word in words if (word.channel, word.topic) == (said.channel, said.topic)]
    return now if said.granted else max([now, *own])

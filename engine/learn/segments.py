"""Segments to look at: how many are inside, who crossed lately, who is inside, and why somebody is or is not."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from engine.app import AUDIENCE, App
from engine.audience.audience import Audience
from engine.audience.book import read_audience
from engine.audience.compare import Sql
from engine.audience.conditions import as_sql, holds
from engine.audience.segments import member_of
from engine.audience.terms import ALWAYS_KEPT
from engine.audience.traits import Value
from engine.audience.view import View
from engine.decide.state import Rules
from engine.errors import BadInput, Refused
from engine.journey.conditions import FieldKind, Money, tests_of
from engine.journey.problems import Severity
from engine.journey.source import hint_for
from engine.learn.why import Reason, reasons
from engine.store import customers, events, nightly, segments, waves
from engine.store.traits import Asked
from engine.work.entering.segments import fingerprint
from engine.work.nightly import refresh_scores

LATELY = timedelta(days=1)
SHOWN = 20  # crossings that are shown
PAGE = 5_000
FIRST_COLUMNS = ("id", "locale", "country", "zone")


@dataclass(frozen=True)
class Size:
    """One segment as it is written now."""

    name: str
    people: int
    came: int  # crossings of the last day
    went: int
    journeys: tuple[str, ...]  # published ones that speak of it
    published: bool  # is it published as it is written?


@dataclass(frozen=True)
class Crossed:
    """One crossing of its border."""

    person: str
    direction: str
    at: datetime


@dataclass(frozen=True)
class Inside:
    """Is this person in it, and each line of its condition with the value they have."""

    person: str
    segment: str
    zone: str
    holds: bool
    since: datetime | None  # as far as it is kept
    reasons: tuple[Reason, ...]


def written(app: App) -> Audience:
    """The audience as it stands in the folder, its scores of the night worked out.

    BadInput with everything that is wrong with it.
    """
    path = app.journeys_folder / f"{AUDIENCE}.yaml"
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    audience, problems = read_audience(text, str(path.relative_to(app.home)), app.settings, app.journeys_folder)
    if any(problem.severity is Severity.error for problem in problems):
        raise BadInput(f"{path.name} has mistakes", problems)
    refresh_scores(app, audience, audience.nightly(audience.segments), app.clock.now())
    return audience


def named(audience: Audience, segment: str) -> str:
    if segment not in audience.segments:
        raise Refused(
            f"there is no segment {segment}; {hint_for(segment, sorted(audience.segments)) or 'write it first'}"
        )
    return segment


def sizes(app: App, audience: Audience, names: Sequence[str]) -> list[Size]:
    """These segments, in the order they are written."""
    now = app.clock.now()
    with app.database.reading() as connection:
        rules = app.rules(connection)
        crossed = segments.crossed_since(connection, now - LATELY)
        return [
            Size(
                name,
                waves.audience_size(connection, as_sql(member_of(name), audience, now)),
                crossed.get((name, "in"), 0),
                crossed.get((name, "out"), 0),
                _asked_by(rules, name),
                name in rules.audience.segments and fingerprint(name, audience) == fingerprint(name, rules.audience),
            )
            for name in names
        ]


def _asked_by(rules: Rules, segment: str) -> tuple[str, ...]:
    live = (rules.graphs[version] for version in rules.live.values())
    return tuple(sorted(graph.journey for graph in live if segment in graph.names.segments))


def crossed_lately(app: App, segment: str) -> list[Crossed]:
    with app.database.reading() as connection:
        return [Crossed(*row) for row in segments.latest_crossings(connection, segment, SHOWN)]


def why(app: App, audience: Audience, segment: str, external_id: str) -> Inside:
    """Each line of the segment's condition, for one person."""
    now = app.clock.now()
    with app.database.reading() as connection:
        number = customers.ids_of(connection, [external_id]).get(external_id)
        if number is None:
            raise Refused(f"there is no person {external_id}")
        person, _ = customers.people(connection, [number], nightly.of_people(connection, [number]))[number]
        asked = audience.events([segment])
        happened = events.of_people(connection, [person.id], dict.fromkeys(asked.events, asked.window), now)
        view = View(person, happened.get(person.id, ()), audience)
        inside = holds(member_of(segment), view, now)
        since = segments.inside_since(connection, segment, person.id) if inside else None
        parts = tuple(reasons(audience.segment(segment), view, now))
        return Inside(external_id, segment, person.zone.key, inside, since, parts)


# --- into a file -----------------------------------------------------------------------------------------------------


def export(app: App, audience: Audience, segment: str, path: Path) -> int:
    """Everybody who is inside, a line each, with what the condition asks about them; how many they are."""
    now, inside = app.clock.now(), member_of(segment)
    asked = [test.field for each in audience.segments_behind(segment) for test in tests_of(audience.segment(each))]
    own = sorted({field.name for field in asked if field.kind is FieldKind.attribute} - {*ALWAYS_KEPT})
    known = Asked(audience, sorted({field.name for field in asked if field.kind is FieldKind.trait}), now)
    fresh, count = path.with_name(f"{path.name}.new"), 0
    with app.database.reading() as connection, fresh.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow((*FIRST_COLUMNS, *own, *known.names))
        for row, values in _everybody(connection, as_sql(inside, audience, now), known):
            _, external_id, locale, country, zone, attributes = row
            told = (external_id, locale, country, zone, *(attributes.get(name) for name in own), *values)
            lines.writerow([inert(cell) for cell in told])
            count += 1
    fresh.replace(path)
    return count


def _everybody(connection: Connection, condition: Sql, known: Asked) -> Iterator[tuple[Any, tuple[Value, ...]]]:
    """Page by page, with what is known about each."""
    after = 0
    while page := segments.people_in(connection, condition, after, PAGE):
        told = known.of_people(connection, [row.id for row in page])
        yield from ((row, one.values) for row, one in zip(page, told, strict=True))
        after = page[-1].id


_RUN = tuple("=+-@\t\r\n＝＋－＠")


def inert(cell: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: a text that begins like one gets an apostrophe before it."""
    match cell:
        case datetime():
            return cell.isoformat()
        case str() if cell.startswith(_RUN) or cell.lstrip().startswith(_RUN):
            return f"'{cell}"
        case Money(amount=amount):
            return f"{amount:f}"
        case Decimal():
            return f"{cell:f}"
        case float() if cell.is_integer():
            return int(cell)
        case list() | dict():
            return json.dumps(cell, ensure_ascii=False)
    return cell

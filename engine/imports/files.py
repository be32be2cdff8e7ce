"""Reading import files: people and events from CSV or JSON lines, one at a time, in normal form or as a Problem.

    for item in read_people(path, mapping, settings):
        match item:
            case PersonRow(): ...   # good
            case Problem(): ...     # a row refused, or (a warning) something to know; the good rows go on

Columns of `people`: id, email, phone, wechat, push, country, locale, zone, created_at, and consent.<channel>.<topic>
(yes, no or empty) with an optional .source, .at and .wording each, or consent.source and the like for the row. Every
other column is an attribute. Columns of `events`: id, person, name, at, and payload (JSON) or payload.<key>. Foreign
columns need a mapping file (`engine.imports.mapping`). The whole format is in docs/import.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, TypeVar

from engine.imports.event_lines import EventReader
from engine.imports.mapping import FileMap
from engine.imports.person_lines import PersonReader
from engine.imports.records import Columns, Record, records
from engine.imports.rows import EventRow, PersonRow
from engine.journey.problems import Problem, Severity
from engine.settings import Settings

Row = TypeVar("Row", covariant=True)


def read_people(path: Path, mapping: FileMap | None, settings: Settings) -> Iterator[PersonRow | Problem]:
    """Every person of a file, and every Problem, in its order."""
    return _rows(path, PersonReader(mapping, settings))


def read_events(path: Path, mapping: FileMap | None, settings: Settings) -> Iterator[EventRow | Problem]:
    """Every event of a file, and every Problem. The lines of one `group` are one event, told after its last line."""
    return _rows(path, EventReader(mapping))


class _Reader(Protocol[Row]):
    def begin(self, columns: Columns | None) -> list[Problem]: ...

    def read(self, record: Record) -> Iterator[Row | Problem]: ...

    def rest(self) -> Iterator[Row | Problem]: ...


def _rows(path: Path, reader: _Reader[Row]) -> Iterator[Row | Problem]:
    begun = False
    for item in records(path):
        if isinstance(item, Problem):
            yield item
            continue
        if not begun:
            begun = True
            problems = reader.begin(item if isinstance(item, Columns) else None)
            yield from problems
            if any(problem.severity is Severity.error for problem in problems):
                return
        if isinstance(item, Record):
            yield from reader.read(item)
    yield from reader.rest()

"""What reading people and reading events share: plain readers of columns, ids met before, Problems of a row."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from engine.imports.mapping import FileMap, Gather, Source, WrongCell, typed
from engine.imports.records import Record
from engine.imports.rows import Refusal, refusal
from engine.journey.problems import Position, Problem
from engine.journey.quantities import Misread

REMEMBERED: Final = 200_000  # ids looked out for twice; a repeat farther away is met by the tables' own unique ids


class Seen:
    """The ids met lately: memory stays flat however long the file is."""

    def __init__(self) -> None:
        self._marks: set[int] = set()
        self._order: deque[int] = deque()

    def holds(self, id: str) -> bool:
        return hash(id) in self._marks

    def again(self, id: str) -> bool:
        """Was it there before? From now on it was."""
        mark = hash(id)
        if mark in self._marks:
            return True
        if len(self._order) == REMEMBERED:
            self._marks.discard(self._order.popleft())
        self._marks.add(mark)
        self._order.append(mark)
        return False


def plain(name: str) -> Source:
    """A column or key as it stands."""
    return Source(lambda values: values.get(name), (name,))


def plain_cell(name: str) -> Source:
    """A cell of CSV as JSON would have it."""

    def read(values: Mapping[str, Any]) -> Any:
        text = values[name].strip()
        return typed(name, text) if text else None

    return Source(read, (name,))


def read_all(sources: Mapping[str, Source], record: Record, reasons: list[Refusal]) -> dict[str, Any]:
    """Read each value; one that cannot be read is a reason against the row."""
    told: dict[str, Any] = {}
    for name, source in sources.items():
        try:
            told[name] = source.read(record.values)
        except Misread as misread:
            reasons.append(refusal(column_of(source, misread) or "", misread))
    return told


def column_of(source: Source | Gather | None, misread: Misread | None = None) -> str | None:
    """The column to point at when a value is wrong."""
    if isinstance(misread, WrongCell) and misread.column:
        return misread.column
    return source.columns[0] if source is not None and source.columns else None


def about_column(reason: Refusal, column: str | None) -> Refusal:
    """A reason about a field of the model as one about a column of the file."""
    return Refusal(column or "", reason.code, reason.sentence, reason.hint)


def problems_of(reasons: Iterable[Refusal], record: Record) -> Iterator[Problem]:
    for reason in reasons:
        sentence = f"`{reason.field}`: {reason.sentence}" if reason.field else reason.sentence
        yield Problem(reason.code, sentence, record.at(reason.field or None), reason.hint)


def twice(position: Position) -> Problem:
    hint = "each id stands once in a file; the first one is taken"
    return Problem("duplicate-id-in-file", "this id stands in the file before", position, hint)


def no_part(mapping: FileMap, part: str) -> Problem:
    other = "events" if part == "people" else "people"
    hint = f"it says what {other} are; add `{part}:`, or import {other}"
    return Problem("no-part-in-map", f"the mapping file has no `{part}:`", mapping.sourced.at(()), hint)

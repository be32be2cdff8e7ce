"""Files that name people to let into a journey: a column `person`, and what is told of each in the others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.imports.mapping import typed
from engine.imports.records import Columns, Record, records
from engine.journey.problems import Position, Problem
from engine.journey.source import hint_for

PERSON = "person"
LONGEST_WORD = 200
MOST_TOLD = 16_384  # characters of JSON that may be told of one person


@dataclass(frozen=True)
class EntrantRow:
    """One person by the shop's id, and what is told of them."""

    person: str
    told: dict[str, Any]
    position: Position


def read_entrants(path: Path) -> Iterator[EntrantRow | Problem]:
    """Every person of a CSV or JSON-lines file, and every Problem, in its order."""
    for item in records(path):
        match item:
            case Columns():
                if PERSON not in item.names:
                    yield Problem("missing-column", _missing(item), Position(item.file, item.line), "call it `person`")
                    return
            case Record():
                yield _row(item)
            case Problem():
                yield item


def _missing(columns: Columns) -> str:
    hint = hint_for(PERSON, columns.names) if columns.names else ""
    return f"no column `{PERSON}` says who is meant" + (f"; {hint}" if hint.startswith("did you") else "")


def _row(record: Record) -> EntrantRow | Problem:
    person = str(record.values.get(PERSON) or "").strip()
    if not person or len(person) > LONGEST_WORD:
        return Problem("missing-person", "the row names no person", record.at(PERSON), "write the shop's own id")
    others = {name: _value(name, value) for name, value in record.values.items() if name not in ("", PERSON)}
    told = {name: value for name, value in others.items() if value is not None}
    if len(json.dumps(told, ensure_ascii=False)) > MOST_TOLD:
        return Problem("too-much-told", f"more than {MOST_TOLD:,} characters are told", record.at(), "tell less")
    return EntrantRow(person, told, record.at())


def _value(name: str, value: Any) -> Any:
    """A cell of CSV as JSON would have it; nothing for an empty one."""
    return typed(name, value.strip()) if isinstance(value, str) and value.strip() else value if value != "" else None

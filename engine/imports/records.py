"""Files of rows, line by line: CSV or JSON lines, plain or packed with gzip or xz, without ever holding the whole.

Whatever the bytes, nothing is raised: what cannot be read becomes a Problem at its place, and the next line is tried.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import lzma
import math
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from engine.journey.problems import Position, Problem, Severity
from engine.journey.source import hint_for

LONGEST_LINE: Final = 1_000_000  # characters; a longer one is no table of people or events
MOST_COLUMNS: Final = 2_000
_JSON_SUFFIXES: Final = (".jsonl", ".ndjson")
_CSV_SUFFIXES: Final = (".csv", ".tsv", ".txt")
_SEPARATORS: Final = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_UNDECODED = re.compile("[\udc80-\udcff]")
_HALF = re.compile(r"\\u(?:d[89a-f]|0000)", re.IGNORECASE)
_BREAKS = "\r\n"


@dataclass(frozen=True)
class Columns:
    """The first line of a CSV file. Comes before its records."""

    names: tuple[str, ...]
    file: str
    line: int
    raw: tuple[str, ...]
    separator: str

    def at(self, column: str) -> Position:
        place = self.names.index(column) if column in self.names else 0
        return _start_of(self.file, self.line, self.raw, self.separator, place)


@dataclass(slots=True)
class Record:
    """One row: its values by column, and where in the file it stands. `raw` are its lines as they are written."""

    file: str
    line: int
    values: Mapping[str, Any]
    raw: Sequence[str]
    columns: Columns | None = None  # None: JSON

    def at(self, column: str | None = None) -> Position:
        """Where the value of a column begins; without one, or where it cannot be found, the row itself."""
        if column is None:
            return Position(self.file, self.line)
        if self.columns is not None:
            if column not in self.columns.names:
                return Position(self.file, self.line)
            place = self.columns.names.index(column)
            return _start_of(self.file, self.line, self.raw, self.columns.separator, place)
        keys = (re.escape(json.dumps(key, ensure_ascii=False)) for key in (column, column.rpartition(".")[2]))
        found = (re.search(key + r"\s*:\s*", self.raw[0]) for key in keys)
        return Position(self.file, self.line, next((match.end() + 1 for match in found if match), 1))


Item = Columns | Record | Problem


def records(path: Path) -> Iterator[Item]:
    """All rows of a file, and what is wrong with it, in the order of the file."""
    name = str(path)
    kind = _kind(path)
    if kind is None:
        hint = "name it .csv or .jsonl, packed also .csv.gz or .jsonl.xz"
        yield Problem("unknown-file-type", f"{path.name} is neither CSV nor JSON lines", Position(name), hint)
        return
    try:
        with _open(path) as stream, _as_text(stream, name) as text:
            lines = _Lines(text, name)
            yield from _json_lines(lines) if kind == "json" else _csv_rows(lines)
    except _Unreadable as found:
        yield found.problem
    except (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile):
        yield Problem("broken-archive", "the packed file ends too early or is damaged", Position(name), "pack it again")
    except OSError as error:
        reason = (error.strerror or "it cannot be opened").lower()
        yield Problem("unreadable-file", f"{name} cannot be read: {reason}", Position(name))


def _kind(path: Path) -> str | None:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in (".gz", ".xz"):
        suffixes.pop()
    last = suffixes[-1] if suffixes else ""
    return "json" if last in _JSON_SUFFIXES else "csv" if last in _CSV_SUFFIXES else None


_Stream = io.BufferedReader | gzip.GzipFile | lzma.LZMAFile


def _open(path: Path) -> _Stream:
    match path.suffix.lower():
        case ".gz":
            return gzip.open(path, "rb")
        case ".xz":
            return lzma.open(path, "rb")
        case _:
            return path.open("rb")


def _as_text(stream: _Stream, name: str) -> io.TextIOWrapper:
    """As UTF-8. Bytes that are not become half characters, so that their line can be told."""
    if stream.peek(4)[:4].startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise _Unreadable("not-utf8", "the file is UTF-16", Position(name), "save it as CSV UTF-8")
    return io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")


class _Unreadable(Exception):
    """Reading ends here."""

    def __init__(self, code: str, sentence: str, position: Position, hint: str = "") -> None:
        super().__init__(sentence)
        self.problem = Problem(code, sentence, position, hint)


class _Lines:
    """The lines of a text, counted; keeps those of the row being read, and the first thing wrong in them."""

    def __init__(self, text: io.TextIOWrapper, name: str) -> None:
        self.name = name
        self.number = 0
        self.row: list[str] = []
        self.fault: tuple[str, str, Position, str] | None = None
        self._read = text.readline

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._read(LONGEST_LINE + 1)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) > LONGEST_LINE:
            sentence = f"line {self.number} is longer than {LONGEST_LINE:,} characters"
            raise _Unreadable("line-too-long", sentence, Position(self.name, self.number), "write one row a line")
        if "\0" in line or not line.isascii():
            self._inspect(line)
        self.row.append(line)
        return line

    def next_row(self) -> int:
        """Forget the row before; the number of the line the next one begins on."""
        self.row = []
        self.fault = None
        return self.number + 1

    def problem(self) -> Problem | None:
        return None if self.fault is None else Problem(*self.fault)

    def _inspect(self, line: str) -> None:
        if self.fault is not None:
            return
        if found := _UNDECODED.search(line):
            byte = ord(found[0]) - 0xDC00
            sentence = f"byte 0x{byte:02x} is not UTF-8"
            hint = "save the file with the encoding UTF-8 (in Excel: CSV UTF-8)"
            self.fault = ("not-utf8", sentence, Position(self.name, self.number, found.start() + 1), hint)
        elif "\0" in line:
            place = Position(self.name, self.number, line.index("\0") + 1)
            self.fault = ("control-character", "a NUL character stands here", place, "delete it")


# ── JSON lines ──


def _json_lines(lines: _Lines) -> Iterator[Item]:
    empty = True
    while True:
        number = lines.next_row()
        line = next(lines, None)
        if line is None:
            break
        if not line.strip():
            continue
        empty = False
        yield lines.problem() or _json_row(lines, number, line)
    if empty:
        yield _nothing(lines)


def _json_row(lines: _Lines, number: int, line: str) -> Item:
    try:
        value = strict_json(line)
    except json.JSONDecodeError as error:
        return _bad_json(lines, number, error.msg.lower(), error.pos + 1)
    except (ValueError, RecursionError):
        return _bad_json(lines, number, "a number is too large or none, or it is nested too deep", 1)
    if not isinstance(value, dict):
        return _bad_json(lines, number, "a line is one object", 1)
    if (found := _HALF.search(line)) and not _can_be_kept(value):
        return _bad_json(lines, number, "half a character, or a NUL", found.start() + 1)
    return Record(lines.name, number, value, lines.row)


def strict_json(text: str) -> Any:
    """JSON without NaN and infinite numbers, which no database keeps. Raises ValueError or RecursionError."""
    return json.loads(text, parse_constant=_finite, parse_float=_finite)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no number")
    return number


def _can_be_kept(value: object) -> bool:
    text = json.dumps(value, ensure_ascii=False)
    return "\\u0000" not in text and not re.search("[\ud800-\udfff]", text)


def _bad_json(lines: _Lines, number: int, reason: str, column: int) -> Problem:
    reason = reason if len(reason) < 80 else "it cannot be read"
    hint = 'write one object a line: {"id": "1", ...}'
    return Problem("bad-json", f"this line is not JSON: {reason}", Position(lines.name, number, column), hint)


def _nothing(lines: _Lines) -> Problem:
    return Problem("empty-file", "the file holds no rows", Position(lines.name))


# ── CSV ──


def _csv_rows(lines: _Lines) -> Iterator[Item]:
    columns, problems = _columns(lines)
    yield from problems
    if columns is None:
        return
    yield columns
    reader = csv.reader(lines, delimiter=columns.separator, strict=True)
    width, names, count = len(columns.names), columns.names, 0
    while True:
        number = lines.next_row()
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            count += 1
            yield _bad_row(lines, number, str(error))
            continue
        if not cells:
            continue
        count += 1
        if lines.fault is not None:
            yield Problem(*lines.fault)
        elif len(cells) != width:
            yield _ragged(lines, number, len(cells), width)
        else:
            yield Record(lines.name, number, dict(zip(names, cells, strict=True)), lines.row, columns)
    if not count:
        yield Problem("empty-file", "no row follows the names of the columns", Position(lines.name))


def _columns(lines: _Lines) -> tuple[Columns | None, list[Problem]]:
    """The separator and the names, from the first line that says something."""
    number = lines.next_row()
    while (line := next(lines, None)) is not None and not line.strip():
        number = lines.next_row()
    if line is None:
        return None, [_nothing(lines)]
    if lines.fault is not None:
        return None, [Problem(*lines.fault)]
    separator = max(_SEPARATORS, key=lambda sign: _outside_quotes(line, sign))
    try:
        names = tuple(name.strip() for name in next(csv.reader([line.rstrip(_BREAKS)], delimiter=separator)))
    except (csv.Error, StopIteration):
        return None, [_bad_row(lines, number, "the names of the columns cannot be read")]
    columns = Columns(names, lines.name, number, (line,), separator)
    problems = [*_other_separator(columns), *_named_badly(columns)]
    return (None if any(one.severity is Severity.error for one in problems) else columns), problems


def _other_separator(columns: Columns) -> Iterator[Problem]:
    if columns.separator != ",":
        sentence = f"cells are separated by {_SEPARATORS[columns.separator]}, not commas; the file is read that way"
        yield Problem("other-separator", sentence, Position(columns.file, columns.line), "", Severity.warning)


def _outside_quotes(line: str, sign: str) -> int:
    return re.sub(r'"[^"]*"', "", line).count(sign)


def _named_badly(columns: Columns) -> Iterator[Problem]:
    if len(columns.names) > MOST_COLUMNS:
        sentence = f"the first line names {len(columns.names):,} columns; there is room for {MOST_COLUMNS:,}"
        yield Problem("too-many-columns", sentence, Position(columns.file, columns.line))
        return
    seen: set[str] = set()
    for place, name in enumerate(columns.names):
        if name and name in seen:
            position = _start_of(columns.file, columns.line, columns.raw, columns.separator, place)
            hint = "give each column a name of its own"
            yield Problem("duplicate-column", f"two columns are called `{name}`", position, hint)
        seen.add(name)
    if "" in seen:
        sentence, hint = "a column has no name and is not read", "name it in the first line"
        yield Problem("nameless-column", sentence, columns.at(""), hint, Severity.warning)


def _ragged(lines: _Lines, number: int, cells: int, width: int) -> Problem:
    sentence = f"this row has {cells} cells, the first line names {width}"
    hint = "put quotes around cells that hold the separator" if cells > width else "write empty cells too"
    return Problem("ragged-row", sentence, Position(lines.name, number), hint)


def _bad_row(lines: _Lines, number: int, reason: str) -> Problem:
    position = Position(lines.name, number)
    if "unexpected end" in reason or "field larger" in reason:
        until = f"; lines {number} to {lines.number} are lost" if lines.number > number else ""
        sentence = f"a quote is opened in this row and not closed{until}"
        return Problem("open-quote", sentence, position, 'close it; a quote inside a cell is written twice: ""')
    hint = 'a quote inside a cell is written twice, and the whole cell stands in quotes: "a ""b"" c"'
    return Problem("bad-quotes", f"the quotes of this row do not fit: {reason}", position, hint)


def _start_of(file: str, line: int, raw: Sequence[str], separator: str, place: int) -> Position:
    """Where the cell number `place` begins: quotes may hold separators and line breaks."""
    if place == 0:
        return Position(file, line)
    quoted, cell = False, 0
    for number, text in enumerate(raw, line):
        for column, sign in enumerate(text, 1):
            if sign == '"':
                quoted = not quoted
            elif sign == separator and not quoted:
                cell += 1
                if cell == place:
                    return Position(file, number, column + 1)
    return Position(file, line)


def missing_column(columns: Columns, name: str, needed_by: str) -> Problem:
    """A column that has to be there and is not."""
    hint = hint_for(name, columns.names) + "; a mapping file (--map) says what foreign columns mean"
    return Problem("missing-column", f"{needed_by} need a column `{name}`", columns.at(columns.names[0]), hint)

"""How commands show what they found: problems with their place, tables, one JSON value for programs."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import typer
from msgspec import Struct

from engine.cli.words import _
from engine.errors import BadInput
from engine.journey.problems import Problem, Severity

if TYPE_CHECKING:
    from engine.journey.silence import Silenced

LARGEST_SHOWN = 2_000_000  # bytes of a file of which a line is still looked up
GAP = "  "
LEAST_ROOM = 24  # columns of a terminal in which the last column of a table may still be folded
HANG = 4  # columns before what of a row did not fit into its first line
_WIDE = "\u2e80-\u303f\u3040-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60"
_CLOSING = "、。〉》」』】〕！），．：；？］｝"  # no line begins with one
#: between which a line may be broken: spaces, words, and each Chinese sign with what closes behind it
_PIECES = re.compile(rf"\s+|[{_WIDE}][{_CLOSING}]*|[^\s{_WIDE}]+")
#: what a file or a person's data holds must not steer the terminal it is shown on
HARMLESS = {code: "�" for code in (*range(32), 127, *range(128, 160)) if chr(code) not in "\n\t"}


class Output:
    """Where and how to show. In every format but text, standard output is for a program and carries nothing else."""

    def __init__(self, format: str = "text") -> None:
        self.format = format
        self.told = False  # has the one value been written?
        self._stdout = sys.stdout

    @property
    def json(self) -> bool:
        """Does a program read one JSON value?"""
        return self.format == "json"

    @property
    def quiet(self) -> bool:
        """Does a program read, whatever it reads?"""
        return self.format != "text"

    # --- for people --------------------------------------------------------------------------------------------------

    def say(self, text: str = "", style: str | None = None) -> None:
        """A line for people; nothing where a program reads."""
        if not self.quiet:
            _write(self._stdout, text, style)

    def tell(self, text: str, style: str | None = None) -> None:
        """A line for people, folded to their terminal; elsewhere left whole, so that it can be searched."""
        room, hang = self._room(), len(text) - len(text.lstrip()) + len(GAP)
        self.say(text if room is None else folded(text, room, hang), style)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """A table for people, folded to their terminal; elsewhere no line is broken, so that it can be searched."""
        if self.quiet:
            return
        cells = [["" if cell is None else _one_line(str(cell)) for cell in row] for row in rows]
        widths = [max(map(display_width, column)) for column in zip(columns, *cells, strict=True)]
        room = self._room()
        self.say(_aligned(columns, widths, room), "bold")
        for row in cells:
            self.say(_aligned(row, widths, room))

    def _room(self) -> int | None:
        """Columns of the terminal; None where no person watches."""
        return shutil.get_terminal_size().columns if self._stdout.isatty() else None

    def ask(self, question: str) -> None:
        """A question, on standard error, so that it can be read when the answer is piped away."""
        sys.stderr.write(question)
        sys.stderr.flush()

    def warn(self, text: str, style: str | None = None) -> None:
        """A line on standard error."""
        _write(sys.stderr, text, style)

    def problems(
        self, problems: Sequence[Problem], home: Path | None = None, explained: frozenset[str] = frozenset()
    ) -> None:
        """Every problem with its place, a snippet and the cure; where a code first comes, how to read more about it."""
        if self.quiet:
            return
        again: set[str] = set()
        for problem in problems:
            wrong = problem.severity is Severity.error
            told = _("error") if wrong else _("warning")
            self.warn(f"{problem.position}: {told}: {problem.sentence} [{problem.code}]", "red" if wrong else "yellow")
            if snippet := _snippet(problem, home):
                self.warn(snippet, "dim")
            if problem.hint:
                self.warn(f"    {problem.hint}", "cyan")
            if problem.code in explained - again:
                again.add(problem.code)
                self.warn("    " + _("more: outreach check --explain {code}").format(code=problem.code), "dim")

    def silenced(self, silenced: Sequence[Silenced]) -> None:
        """Every finding that is allowed, with the reason."""
        for one in silenced if not self.quiet else ():
            self.warn(f"{one.problem.position}: {_('allowed')}: {one.problem.sentence} [{one.problem.code}]", "dim")
            self.warn(f"    {one.reason}", "dim")

    # --- for programs ------------------------------------------------------------------------------------------------

    def value(self, value: Any) -> None:
        """The one value for programs; nothing otherwise."""
        if self.json and not self.told:
            self.told = True
            self._stdout.write(json.dumps(plain(value), ensure_ascii=False, indent=2) + "\n")

    def document(self, text: str) -> None:
        """All that a program reads in another format than JSON."""
        self.told = True
        self._stdout.write(text)

    def failure(self, error: Exception, home: Path | None = None) -> None:
        """An error as one sentence, with its problems."""
        found = error.problems if isinstance(error, BadInput) else ()
        self.problems(found, home)
        self.value({"error": str(error), "problems": list(found)})
        self.warn(f"{_('error')}: {error}", "red")

    def close(self) -> None:
        """Whatever was said has left."""
        self._stdout.flush()


def _write(stream: TextIO, text: str, style: str | None) -> None:
    """A line, in colour where a person watches and has not asked for none."""
    text = text.translate(HARMLESS)
    plainly = not stream.isatty() or bool(os.environ.get("NO_COLOR"))
    marks: dict[str, Any] = {style: True} if style in ("bold", "dim") else {"fg": style}
    stream.write((text if plainly or style is None else typer.style(text, **marks)) + "\n")


def display_width(text: str) -> int:
    """Columns of a terminal that a text takes: Chinese takes two for each sign."""
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else not unicodedata.combining(sign) for sign in text)


def folded(line: str, width: int, hang: int) -> str:
    """A line in as many as it takes to fit a width; the later ones begin after `hang` spaces."""
    lines, room = [""], width
    for piece in _PIECES.findall(line):
        size = display_width(piece)
        if size > room and lines[-1].strip():
            lines, room = [*lines, " " * hang], width - hang
            if piece.isspace():
                continue
        elif piece.isspace() and len(lines) > 1 and not lines[-1].strip():
            continue
        lines[-1] += piece
        room -= size
    return "\n".join(one.rstrip() for one in lines)


def _aligned(cells: Sequence[str], widths: Sequence[int], room: int | None) -> str:
    """A row. In a room too narrow it takes several lines, broken before the same columns as every other row."""
    lines, used, start = [""], 0, 0
    for number, (cell, width) in enumerate(zip(cells, widths, strict=True), start=1):
        least = min(width, LEAST_ROOM) if number == len(cells) else width
        if room is not None and used and used + least > room:
            lines, used = [*lines, " " * HANG], HANG
        start = used
        lines[-1] += cell + " " * (width - display_width(cell)) + GAP
        used += width + len(GAP)
    if room is not None:
        lines[-1] = folded(lines[-1].rstrip(), room, start)
    return "\n".join(line.rstrip() for line in lines).rstrip()


def _one_line(text: str) -> str:
    return " ".join(text.split("\n"))


def _snippet(problem: Problem, home: Path | None) -> str:
    """The line a problem is about, with a caret; empty when it cannot be read."""
    from engine.journey.yaml_text import (
        snippet,  # reading YAML takes a while to load, and most commands show no problem
    )

    for base in dict.fromkeys((home or Path(), Path())):
        path = base / problem.position.file
        try:
            if path.is_file() and path.stat().st_size < LARGEST_SHOWN:
                text = path.read_text(encoding="utf-8-sig", errors="replace")
                return snippet(text, problem.position) if text.strip() else ""
        except (OSError, ValueError):
            continue
    return ""


def plain(value: Any) -> Any:
    """A value as JSON knows it."""
    if isinstance(value, Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    match value:
        case None | bool():
            return value
        case Enum():
            return value.value
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Decimal() | Path():
            return str(value)
        case str() | int() | float():
            return value
        case Mapping():
            return {str(key): plain(one) for key, one in value.items()}
        case list() | tuple():
            return [plain(one) for one in value]
        case set() | frozenset():
            return sorted((plain(one) for one in value), key=str)
    return str(value)

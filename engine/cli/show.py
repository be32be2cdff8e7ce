"""How commands show what they found: problems with their place, tables, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.cli.words import _
from engine.errors import BadInput, OutreachError
from engine.journey import source
from engine.journey.problems import Problem, Severity


@dataclass
class Output:
    """Where and how to show. With `json` only one JSON value goes to standard output."""

    json: bool = False

    def __post_init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self.errors = Console(stderr=True, highlight=False, soft_wrap=True)

    def say(self, text: str = "", style: str | None = None) -> None:
        """A line for people; nothing under --format json."""
        if not self.json:
            self.console.print(Text(text, style=style or ""))

    def value(self, value: Any) -> None:
        """The one value for programs; nothing otherwise."""
        if self.json:
            sys.stdout.write(json.dumps(plain(value), ensure_ascii=False, indent=2) + "\n")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> None:
        """A table for people."""
        if self.json:
            return
        table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
        self.console.print(table)

    def problems(self, problems: Sequence[Problem], home: Path | None = None) -> None:
        """Every problem with its place, a snippet and the cure; the most severe kind is counted at the end."""
        if self.json:
            return
        for problem in problems:
            error = problem.severity is Severity.error
            head = Text()
            head.append(str(problem.position), style="bold")
            head.append(f": {problem.severity.value}: ", style="red" if error else "yellow")
            head.append(f"{problem.sentence} [{problem.code}]")
            self.errors.print(head)
            if snippet := _snippet(problem, home):
                self.errors.print(Text(snippet, style="dim"))
            if problem.hint:
                self.errors.print(Text(f"    {problem.hint}", style="cyan"))

    def failure(self, error: OutreachError, home: Path | None = None) -> None:
        """An error as one sentence, with its problems."""
        if isinstance(error, BadInput) and error.problems:
            self.problems(error.problems, home)
            self.value({"error": str(error), "problems": list(error.problems)})
        else:
            self.value({"error": str(error)})
        self.errors.print(Text(f"{_('error')}: {error}", style="red"))


def _snippet(problem: Problem, home: Path | None) -> str:
    """The line a problem is about, with a caret; empty when it cannot be read."""
    for base in (home, Path()):
        path = (base or Path()) / problem.position.file
        try:
            if path.is_file() and path.stat().st_size < 2_000_000:
                return source.snippet(path.read_text(encoding="utf-8", errors="replace"), problem.position)
        except OSError:
            continue
    return ""


def plain(value: Any) -> Any:
    """A value as JSON knows it."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    match value:
        case Enum():
            return value.value
        case datetime():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Decimal():
            return str(value)
        case Path():
            return str(value)
        case dict():
            return {str(key): plain(one) for key, one in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(one) for one in value]
        case str() | int() | float() | bool() | None:
            return value
    return str(value)

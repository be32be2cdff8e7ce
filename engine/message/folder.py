"""The files of templates/: read, divided into front matter and body, put into their layouts. Nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from engine.journey.problems import Position, Problem, Severity
from engine.journey.source import Sourced, hint_for, read, validate
from engine.message.layouts import assemble
from engine.message.pieces import Piece, Pieces, Unreadable, cut
from engine.message.sandbox import Environment

LARGEST_FILE: Final = 256 * 1024
_FENCE: Final = "---"

Where = Callable[[Sequence[str | int]], Position]


@dataclass(frozen=True)
class File:
    """One file, cut into its two halves."""

    shown: str
    head: Sourced | None  # None: there is no front matter
    body: str
    body_line: int

    @property
    def start(self) -> Position:
        """Where the body begins."""
        return Position(self.shown, self.body_line)


@dataclass(frozen=True)
class Head:
    """Front matter as a model; one with the usual values where it is missing or wrong."""

    value: Any
    at: Where  # where a key's value stands
    wrong: bool = False
    at_key: Where = field(default=lambda _: Position(""))  # where the key itself stands


@dataclass(frozen=True)
class Body:
    """A body in its layouts. `first` are its own settings, which run before everything else."""

    pieces: Pieces
    first: Pieces

    @property
    def all(self) -> list[Piece]:
        return [*self.first, *self.pieces]


@dataclass
class Folder:
    """One folder of texts, and what is found wrong in it."""

    path: Path
    environment: Environment = field(default_factory=Environment)
    problems: list[Problem] = field(default_factory=list)
    layouts: dict[str, Pieces] = field(default_factory=dict)

    def note(self, code: str, sentence: str, at: Position, hint: str, severity: Severity = Severity.error) -> None:
        self.problems.append(Problem(code, sentence, at, hint, severity))

    def shown(self, path: Path) -> str:
        """How problems name a file: from the folder on."""
        return f"{self.path.name}/{path.relative_to(self.path).as_posix()}"

    def text(self, path: Path) -> str:
        """A file's text. Unreadable when it lies elsewhere, is too large or no text."""
        at = Position(self.shown(path))
        if not self._holds(path):
            raise _unreadable("outside-folder", "this leads out of the folder of texts", at, "copy the file here")
        try:
            raw = path.read_bytes() if path.stat().st_size <= LARGEST_FILE else None
        except OSError as error:
            reason = (error.strerror or "it cannot be opened").lower()
            raise _unreadable(
                "unreadable-file", f"the file cannot be read: {reason}", at, "look at its rights"
            ) from None
        if raw is None:
            sentence = f"the file is larger than {LARGEST_FILE // 1024} KB"
            raise _unreadable("too-large", sentence, at, "divide it, or take out what is embedded")
        try:
            return raw.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
        except UnicodeDecodeError as error:
            line = Position(at.file, raw.count(b"\n", 0, error.start) + 1)
            raise _unreadable(
                "not-utf8", "the file is not UTF-8 text", line, "save it with the encoding UTF-8"
            ) from None

    def file(self, path: Path) -> File:
        """A file, divided into front matter and body."""
        text, shown = self.text(path), self.shown(path)
        lines = text.split("\n")
        if lines[0].rstrip() != _FENCE:
            return File(shown, None, text, 1)
        end = next((index for index, line in enumerate(lines[1:], 1) if line.rstrip() == _FENCE), None)
        if end is None:
            sentence = "the front matter is opened with --- and never closed"
            hint = "write a second line of --- before the body"
            raise _unreadable("bad-front-matter", sentence, Position(shown), hint)
        head = read("\n" + "\n".join(lines[1:end]) + "\n", shown)
        return File(shown, head, "\n".join(lines[end + 1 :]), end + 2)

    def head(self, model: type[BaseModel], file: File) -> Head:
        """The front matter of a file; what is wrong in it is noted."""
        if file.head is None or _is_blank(file.head):
            nowhere = Position(file.shown)
            return Head(model(), lambda _: nowhere, at_key=lambda _: nowhere)
        self.problems += file.head.problems
        found, problems = validate(model, file.head) if not file.head.problems else (None, [])
        self.problems += problems
        return Head(found or model(), file.head.at, found is None, partial(file.head.at, key=True))

    def body(self, file: File) -> Body:
        """The body of a file, put into its layouts."""
        pieces = cut(self.environment, file.body.rstrip("\n"), file.start)
        assembled = assemble(pieces, self.layout)
        self.problems += assembled.problems
        return Body(assembled.pieces, assembled.first)

    def layout(self, name: str, at: Position) -> Pieces:
        """A layout by the name that a text writes."""
        if name not in self.layouts:
            path = self.path / name
            if Path(name).is_absolute() or not self._holds(path):
                sentence = f"`{name}` leads out of the folder of texts"
                raise _unreadable("outside-folder", sentence, at, "layouts live in _layout/")
            if not _is_file(path):
                known = [self.shown(one).partition("/")[2] for one in sorted((self.path / "_layout").glob("*"))]
                hint = hint_for(name, known) if known else "layouts live in _layout/"
                raise _unreadable("unknown-layout", f"there is no layout `{name}`", at, hint)
            self.layouts[name] = cut(self.environment, self.text(path).rstrip("\n"), Position(self.shown(path)))
        return self.layouts[name]

    def _holds(self, path: Path) -> bool:
        """True when a path, its links followed, stays inside the folder."""
        return path.resolve().is_relative_to(self._root)

    @cached_property
    def _root(self) -> Path:
        return self.path.resolve()


def _is_file(path: Path) -> bool:
    """Also of names that no disk can hold."""
    try:
        return path.is_file()
    except OSError:
        return False


def _unreadable(code: str, sentence: str, at: Position, hint: str) -> Unreadable:
    return Unreadable(Problem(code, sentence, at, hint))


def _is_blank(sourced: Sourced) -> bool:
    return all(line.strip().startswith("#") or not line.strip() for line in sourced.text.split("\n"))

"""From a text of YAML to a plain tree of what was written and, beside it, where each piece stands.

Every scalar stays the text its author wrote (`22:00`, `NO`, `010010`). Nothing here raises for what a file contains:
whatever the bytes, the answer is a Sourced whose problems say what is wrong and where. Models never see positions.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, StringMark, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    Event,
    MappingEndEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from ruamel.yaml.reader import ReaderError

from engine.journey.problems import Position, Problem

MAX_BYTES = 1_000_000
MAX_DEPTH = 40
MAX_NODES = 20_000
MAX_PROBLEMS = 100  # told about one file at a time; whoever has more reads these first

Tree = dict[str, Any] | list[Any] | str
TreePath = Sequence[str | int]
Place = tuple[int, int]  # line and column, from 1


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where a value begins and, for mappings and lists, where each of its parts does."""

    place: Place
    keys: Mapping[str, Place] = field(default_factory=dict)  # of a mapping: where each key stands
    parts: Mapping[str | int, _Spot] = field(default_factory=dict)


@dataclass(frozen=True)
class Sourced:
    """What a text says (`value`, None when it cannot be read), what is wrong with it as YAML, and where it all is."""

    value: Tree | None
    problems: tuple[Problem, ...]
    text: str
    file: str
    spot: _Spot = _Spot((1, 1))

    def at(self, path: TreePath, key: bool = False) -> Position:
        """Where the value at `path` begins, or with `key` the key that leads to it; else its nearest known ancestor.

        Elements that lead nowhere (the tags pydantic puts into its paths) are stepped over.
        """
        spot, place = self.spot, self.spot.place
        for element in path:
            part = spot.parts.get(element)
            if part is not None:
                place = spot.keys.get(str(element), part.place) if key else part.place
                spot = part
        return Position(self.file, *place)

    def places(self, path: TreePath) -> frozenset[Place]:
        """Where everything stands that is written in the value at `path`: its keys, its values and those inside."""
        spot = self.spot
        for element in path:
            spot = spot.parts.get(element, spot)
        return frozenset(_places(spot))

    def renamed(self, path: TreePath, key: str) -> Sourced:
        """The same text as if the key that `path` leads to were called `key`."""
        return replace(self, spot=_renamed(self.spot, path, key))


def _places(spot: _Spot) -> Iterator[Place]:
    yield spot.place
    yield from spot.keys.values()
    for part in spot.parts.values():
        yield from _places(part)


def _renamed(spot: _Spot, path: TreePath, key: str) -> _Spot:
    first, *rest = path
    part = spot.parts.get(first)
    if part is None:
        return spot
    if rest:
        return replace(spot, parts={**spot.parts, first: _renamed(part, rest, key)})
    return replace(spot, keys={**spot.keys, key: spot.keys[str(first)]}, parts={**spot.parts, key: part})


NOTHING = Sourced(None, (), "", "")


def read_file(path: Path, shown: str | None = None) -> Sourced:
    """Read a file of YAML. `shown` is how Problems name it (its path as given, otherwise)."""
    file = shown if shown is not None else str(path)
    try:
        with path.open("rb") as handle:
            raw = handle.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or "it cannot be opened"
        return _refused("", file, "unreadable-file", f"{file} cannot be read: {reason.lower()}", (1, 1))
    if len(raw) > MAX_BYTES:
        return _too_large("", file)
    try:
        return read(raw.decode("utf-8-sig"), file)
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8-sig", errors="replace")
        sentence = f"the file is not UTF-8 text: byte 0x{raw[error.start]:02x} cannot be read"
        hint = "save it with the encoding UTF-8"
        return _refused("", file, "not-utf8", sentence, _place_of(before, len(before)), hint)


def read(text: str, file: str) -> Sourced:
    """Read a text of YAML: the tree of what is written, with positions, or the problems that forbid it."""
    if len(text) > MAX_BYTES or len(text.encode("utf-8", errors="replace")) > MAX_BYTES:
        return _too_large(text, file)
    if directive := _DIRECTIVE.search(text):
        place, hint = _place_of(text, directive.start()), "delete the line"
        return _refused(text, file, "not-yaml", "a line that begins with % is an order to YAML", place, hint)
    builder = _Builder(file)
    try:
        value, spot = builder.document(iter(YAML(typ="safe", pure=True).parse(text)))
    except _Stop:
        return Sourced(None, tuple(builder.problems), text, file)
    except (YAMLError, ValueError, AttributeError, TypeError, IndexError, AssertionError) as error:
        # the reader of YAML answers some broken texts with errors of its own making rather than with a YAMLError
        return Sourced(None, (*builder.problems, _not_yaml(error, text, file)), text, file)
    return Sourced(value, tuple(builder.problems), text, file, spot)


def snippet(text: str, position: Position) -> str:
    """The line of a position with a caret under its column."""
    lines = _BREAK.split(text)
    if not 1 <= position.line <= len(lines):
        return ""
    line = lines[position.line - 1]
    before = "".join("\t" if sign == "\t" else " " * _width(sign) for sign in line[: position.column - 1])
    return f"{line}\n{before}^"


# --- building the tree from the events of the YAML parser


class _Stop(Exception):
    """Reading ends here; the reason is among the problems."""


class _Builder:
    """Builds the tree and the places in one walk over the parser's events, measuring as it goes."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._nodes = 0
        self._anchors: dict[str, Place] = {}  # those that no alias has named so far

    def document(self, events: Iterator[Event]) -> tuple[Tree, _Spot]:
        """The one document of the stream."""
        first = next(events)
        while not isinstance(first, NodeEvent | StreamEndEvent):
            first = next(events)
        if isinstance(first, StreamEndEvent):
            self._stop("empty-file", "the file says nothing", (1, 1), "write `key: value` lines")
        value, spot = self._node(first, events, 1)
        if value == "" and isinstance(first, ScalarEvent) and first.style is None:
            self._stop("empty-file", "the file says nothing", (1, 1), "write `key: value` lines")
        for event in events:
            if not isinstance(event, DocumentEndEvent | StreamEndEvent):
                sentence = "a second document begins here; one file is one document"
                self._stop("many-documents", sentence, _place(event.start_mark), "move it to a file of its own")
        for name, place in self._anchors.items():
            self._note("alias-refused", f"`&{name[:40]}` is an anchor; journeys have none", place, "leave it out")
        return value, spot

    def _node(self, event: Event, events: Iterator[Event], depth: int) -> tuple[Tree, _Spot]:
        place = _place(event.start_mark)
        self._measure(place, depth)
        if isinstance(event, AliasEvent):
            hint = "write the value out where it is needed"
            self._anchors.pop(event.anchor, None)
            self._note("alias-refused", f"`*{event.anchor}` is an alias; journeys have none", place, hint)
            return "", _Spot(place)
        if isinstance(event, NodeEvent) and event.anchor is not None:
            self._anchors[event.anchor] = place
        if isinstance(event, NodeEvent) and (tag := getattr(event, "tag", None)) is not None:
            self._note(
                "tag-refused", f"`{_short_tag(tag)}` is a tag; values are plain text here", place, "leave the tag out"
            )
        if isinstance(event, ScalarEvent):
            return event.value, _Spot(place)
        if isinstance(event, SequenceStartEvent):
            return self._list(place, events, depth)
        return self._mapping(place, events, depth)

    def _list(self, place: Place, events: Iterator[Event], depth: int) -> tuple[Tree, _Spot]:
        values: list[Any] = []
        parts: dict[str | int, _Spot] = {}
        while not isinstance(event := next(events), SequenceEndEvent):
            value, parts[len(values)] = self._node(event, events, depth + 1)
            values.append(value)
        return values, _Spot(place, {}, parts)

    def _mapping(self, place: Place, events: Iterator[Event], depth: int) -> tuple[Tree, _Spot]:
        values: dict[str, Any] = {}
        keys: dict[str, Place] = {}
        parts: dict[str | int, _Spot] = {}
        while not isinstance(event := next(events), MappingEndEvent):
            key, where = self._node(event, events, depth + 1)
            following = next(events)
            value, spot = self._node(following, events, depth + 1)
            if value == "" and following.start_mark.index == following.end_mark.index:
                spot = _Spot(where.place)  # nothing is written: its key is where to look
            if not isinstance(key, str):
                self._note(
                    "bad-key", "a key must be a plain word, not a list or mapping", where.place, "write `key: value`"
                )
            elif key in values:
                hint = f"keep one of them; the first is on line {keys[key][0]}"
                self._note("duplicate-key", f"`{key}` is written twice", where.place, hint)
            else:
                values[key], keys[key], parts[key] = value, where.place, spot
        return values, _Spot(place, keys, parts)

    def _measure(self, place: Place, depth: int) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            sentence = f"the file holds more than {MAX_NODES:,} keys and values"
            self._stop("too-many-nodes", sentence, place, "divide it into several files")
        if depth > MAX_DEPTH:
            self._stop(
                "too-deep", f"nested more than {MAX_DEPTH} deep", place, "write the inner part as steps of its own"
            )

    def _note(self, code: str, sentence: str, place: Place, hint: str) -> None:
        self.problems.append(Problem(code, sentence, Position(self.file, *place), hint))
        if len(self.problems) >= MAX_PROBLEMS:
            raise _Stop

    def _stop(self, code: str, sentence: str, place: Place, hint: str) -> None:
        self._note(code, sentence, place, hint)
        raise _Stop


def _short_tag(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!", 1)[:60]


# --- texts that are not YAML

_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")

_PLAIN: dict[str, tuple[str, str]] = {
    "could not find expected ':'": ("a colon is missing after this key", "write `key: value`"),
    "found unexpected end of stream": ("a quote is opened and never closed", "close the quote"),
    "found character '%' that cannot start any token": ("a value cannot begin with %", "put it in quotes"),
    "found character '@' that cannot start any token": ("a value cannot begin with @", "put it in quotes"),
    "found character '`' that cannot start any token": ("a value cannot begin with `", "put it in quotes"),
}
_BEGINS_IN = ("while scanning a simple key", "while scanning a quoted scalar", "while parsing a flow")
_DIRECTIVE = re.compile("^%", re.MULTILINE)
_STRANGE_SPACE = re.compile(r" *[\u00a0\u2000-\u200b\u202f\u3000]")
_TIGHT_DASH = re.compile(r" *-(?=[^\W\d])")
_WIDE_COLON = re.compile(r"[^#\"'：]*：")


def _not_yaml(error: Exception, text: str, file: str) -> Problem:
    """The parser's complaint, in plain words, at the line the author has to look at."""
    if isinstance(error, ReaderError):
        sentence = f"the character U+{_code_point(error.character):04X} does not belong in a text"
        place = _place_of(text, error.position)
        return Problem(
            "control-character", sentence, Position(file, *place), "delete it, or write it as an escape in quotes"
        )
    if not isinstance(error, MarkedYAMLError):
        return Problem("not-yaml", "the text is not YAML", Position(file), "check quotes, brackets and indents")
    mark = error.problem_mark or error.context_mark
    problem = str(error.problem or error.context or "the text is not YAML")
    if mark is not None and text[mark.index : mark.index + 1] == "\t":
        return Problem(
            "tab-indent", "a tab stands where spaces belong", Position(file, *_place(mark)), "indent with spaces"
        )
    if error.context_mark is not None and str(error.context).startswith(_BEGINS_IN):
        mark = error.context_mark
    place = _place(mark) if mark is not None else (1, 1)
    if problem.startswith("mapping values are not allowed"):
        place, sentence, hint = _misplaced_colon(text, place)
    elif problem.startswith("expected <block end>"):
        place, sentence, hint = _unfit(text, place)
    else:
        sentence, hint = _plain(problem, str(error.context or ""))
    if other := _of_another_keyboard(text, place):
        place, sentence, hint = other
        return Problem("full-width-sign", sentence, Position(file, *place), hint)
    return Problem("not-yaml", sentence, Position(file, *place), hint)


def _of_another_keyboard(text: str, place: Place) -> tuple[Place, str, str] | None:
    """A full-width colon or a space that is none, on the line YAML complains about or on the last one before it."""
    lines = _BREAK.split(text)[: place[0]]
    said = [number for number, line in enumerate(lines, 1) if line.strip()]
    for number in reversed(said[-2:]):
        line = lines[number - 1]
        if found := _STRANGE_SPACE.match(line):
            sentence = "a space stands here that YAML does not know as one"
            return (number, found.end()), sentence, "indent with plain spaces"
        if (found := _WIDE_COLON.match(line)) and ":" not in line:
            return (number, found.end()), "this is a full-width colon", "write a plain colon and a space: `key: value`"
    return None


def _misplaced_colon(text: str, place: Place) -> tuple[Place, str, str]:
    """YAML complains at a colon; the mistake is often on the line before it."""
    lines = _BREAK.split(text)
    line = lines[place[0] - 1]
    if ":" in line[: place[1] - 1]:
        return place, "a second colon on this line", "put quotes around the text, or begin a new line"
    before = next((number for number in range(place[0] - 1, 0, -1) if lines[number - 1].strip()), place[0])
    start = len(lines[before - 1]) - len(lines[before - 1].lstrip()) + 1
    if ":" not in lines[before - 1]:
        return (before, start), "a colon is missing after this key", "write `key: value`"
    start = len(line) - len(line.lstrip()) + 1
    return (place[0], start), "this line does not fit the indent of the lines above it", "align it with its neighbours"


def _unfit(text: str, place: Place) -> tuple[Place, str, str]:
    """YAML complains at a line that does not go on as the block began; a dash may be what is wrong, there or above."""
    lines = _BREAK.split(text)[: place[0]]
    indent = _indent(lines[-1])
    first = place[0]  # of the lines of this block that are seen so far, upwards
    for number in range(place[0], 0, -1):
        line = lines[number - 1]
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if _indent(line) == indent and (found := _TIGHT_DASH.match(line)):
            sentence = "a space is missing after this dash"
            return (number, found.end()), sentence, f"write `- {line[found.end() :].strip()[:40]}`"
        if _indent(line) < indent or (_indent(line) == indent and number != place[0]):
            break
        first = number
    above = lines[first - 1].lstrip()
    if lines[-1].lstrip().startswith("- ") and not above.startswith("- ") and _opens(lines[: first - 1]):
        return (first, _indent(lines[first - 1]) + 1), "a dash is missing here", f"write `- {above.strip()[:40]}`"
    return place, "this line does not fit the indent of the lines above it", "align it with its neighbours"


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _opens(lines: list[str]) -> bool:
    """Does the last of these lines that says something leave its value to the lines below?"""
    said = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return bool(said) and said[-1].rstrip().endswith(":")


def _plain(problem: str, context: str) -> tuple[str, str]:
    if problem in _PLAIN:
        return _PLAIN[problem]
    if context.startswith("while parsing a flow"):
        sentence = "a bracket or brace is opened here and not closed, or a comma is missing inside"
        return sentence, "close it with ] or }, and put commas between the parts"
    if problem.startswith("expected '<document start>'"):
        return "this does not belong to the text before it", "write one mapping of `key: value` lines"
    return f"the text is not YAML: {problem}", "check quotes, colons and indents around here"


def _code_point(character: object) -> int:
    return character if isinstance(character, int) else ord(str(character)[:1] or "\0")


def _place(mark: StringMark) -> Place:
    return mark.line + 1, mark.column + 1


def _place_of(text: str, index: int) -> Place:
    """Line and column of an index into a text."""
    lines = _BREAK.split(text[:index])
    return len(lines), len(lines[-1]) + 1


def _width(sign: str) -> int:
    """Columns a sign takes on a terminal: two for those of Chinese and its neighbours."""
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1


def _refused(text: str, file: str, code: str, sentence: str, place: Place, hint: str = "") -> Sourced:
    return Sourced(None, (Problem(code, sentence, Position(file, *place), hint),), text, file)


def _too_large(text: str, file: str) -> Sourced:
    sentence = f"the file is longer than {MAX_BYTES // 1_000_000} MB"
    return _refused(text, file, "too-large", sentence, (1, 1), "divide it into several files")

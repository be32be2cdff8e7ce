"""From text to a plain tree of what was written and, beside it, where each piece stands. Models never see positions.

Every scalar stays the text its author wrote (`22:00`, `NO`, `010010`). Nothing here raises for what a file contains:
whatever the bytes, the answer is a Sourced whose problems say what is wrong and where.
"""

from __future__ import annotations

import difflib
import re
import types
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError
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
MAX_LIKELY = 300  # known words a misspelt one is compared with

Tree = dict[str, Any] | list[Any] | str
Path_ = Sequence[str | int]
Place = tuple[int, int]  # line and column, from 1

M = TypeVar("M", bound=BaseModel)


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

    def at(self, path: Path_, key: bool = False) -> Position:
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


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known word an author most likely meant, if one is near."""
    by_lower = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower(), _likely(word.lower(), by_lower), n=1, cutoff=cutoff)
    return by_lower[found[0]] if found else None


def _likely(word: str, known: Iterable[str]) -> list[str]:
    """Comparing takes time: of very many words only those that begin alike are compared."""
    words = list(known)
    if len(words) > MAX_LIKELY:
        words = sorted(name for name in words if name[:1] == word[:1])[:MAX_LIKELY]
    return words


def first_of(problems: Iterable[Problem]) -> list[Problem]:
    """The first problems and, where there are more than anyone wants to read at once, a word about the rest."""
    found = list(islice(problems, MAX_PROBLEMS + 1))
    if len(found) > MAX_PROBLEMS:
        sentence = f"there are more than {MAX_PROBLEMS} mistakes; these are told first"
        found[-1] = Problem("too-many-problems", sentence, found[-2].position, "mend these and check again")
    return found


_THERE_ARE = "there are: "


def hint_for(word: str, known: Iterable[str]) -> str:
    """`did you mean `x`?`, else the words there are."""
    words = sorted(set(known))
    near = nearest(word, words)
    if near is not None:
        return f"did you mean `{near}`?"
    if not words:
        return ""
    return _THERE_ARE + ", ".join(words[:12]) + (", ..." if len(words) > 12 else "")


def fault(code: str, sentence: str, hint: str = "", path: Path_ = (), key: bool = False) -> PydanticCustomError:
    """A mistake a validator raises: with its own code, at `path` below the value it looks at (`key`: at the key)."""
    return PydanticCustomError(
        code, "{sentence}", {"sentence": sentence, "hint": hint, "path": tuple(path), "key": key}
    )


@dataclass(frozen=True)
class Fault:
    """One of several mistakes inside one value."""

    code: str
    sentence: str
    hint: str = ""
    path: tuple[str | int, ...] = ()
    key: bool = False


def faults(found: Sequence[Fault]) -> PydanticCustomError:
    """Several mistakes a validator raises at once."""
    return PydanticCustomError("several-faults", "several mistakes", {"faults": tuple(found)})


def validate(
    model: type[M], sourced: Sourced, context: Mapping[str, Any] | None = None
) -> tuple[M | None, list[Problem]]:
    """Hold what was written against a model. Every mistake becomes a Problem at its place.

    `sourced.problems` are not repeated. `context` is handed to the model's own validators.
    """
    if sourced.value is None:
        return None, []
    try:
        return model.model_validate(sourced.value, context=dict(context or {})), []
    except ValidationError as error:
        every = ((one, each) for one in error.errors(include_url=False) for each in _problems(model, sourced, one))
        found = _misspelt(_one_per_value(list(islice(every, MAX_PROBLEMS + 1))))
        return None, first_of(sorted(found, key=lambda problem: problem.position))


# --- building the tree from the events of the YAML parser


class _Stop(Exception):
    """Reading ends here; the reason is among the problems."""


class _Builder:
    """Builds the tree and the places in one walk over the parser's events, measuring as it goes."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._nodes = 0

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
        return value, spot

    def _node(self, event: Event, events: Iterator[Event], depth: int) -> tuple[Tree, _Spot]:
        place = _place(event.start_mark)
        self._measure(place, depth)
        if isinstance(event, AliasEvent):
            hint = "write the value out where it is needed"
            self._note("alias-refused", f"`*{event.anchor}` is an alias; journeys have none", place, hint)
            return "", _Spot(place)
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
    else:
        sentence, hint = _plain(problem, str(error.context or ""))
    return Problem("not-yaml", sentence, Position(file, *place), hint)


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


def _plain(problem: str, context: str) -> tuple[str, str]:
    if problem in _PLAIN:
        return _PLAIN[problem]
    if context.startswith("while parsing a flow"):
        sentence = "a bracket or brace is opened here and not closed, or a comma is missing inside"
        return sentence, "close it with ] or }, and put commas between the parts"
    if problem.startswith("expected <block end>"):
        return "this line does not fit the indent of the lines above it", "align it with its neighbours"
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


# --- pydantic's errors as Problems

_KINDS: dict[str, tuple[str, str]] = {
    "string_type": ("expected-text", "a single text should stand here"),
    "list_type": ("expected-list", "a list should stand here"),
    "tuple_type": ("expected-list", "a list should stand here"),
    "dict_type": ("expected-mapping", "keys with values should stand here"),
    "model_type": ("expected-mapping", "keys with values should stand here"),
    "model_attributes_type": ("expected-mapping", "keys with values should stand here"),
    "mapping_type": ("expected-mapping", "keys with values should stand here"),
    "int_type": ("expected-number", "a whole number should stand here"),
    "int_parsing": ("expected-number", "a whole number should stand here"),
    "int_from_float": ("expected-number", "a whole number should stand here"),
    "int_parsing_size": ("expected-number", "a whole number should stand here"),
    "float_type": ("expected-number", "a number should stand here"),
    "float_parsing": ("expected-number", "a number should stand here"),
    "decimal_type": ("expected-number", "a number should stand here"),
    "decimal_parsing": ("expected-number", "a number should stand here"),
    "bool_type": ("expected-yes-no", "true or false should stand here"),
    "bool_parsing": ("expected-yes-no", "true or false should stand here"),
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}


def _problems(model: type[BaseModel], sourced: Sourced, error: ErrorDetails) -> Iterator[Problem]:
    several = error.get("ctx", {}).get("faults")
    if several is None:
        yield _problem(model, sourced, error)
    else:
        yield from (_of_fault(sourced, tuple(error["loc"]), one) for one in several)


def _of_fault(sourced: Sourced, loc: Path_, one: Fault) -> Problem:
    return Problem(one.code, one.sentence, sourced.at((*loc, *one.path), key=one.key), one.hint)


def _problem(model: type[BaseModel], sourced: Sourced, error: ErrorDetails) -> Problem:
    """One error of pydantic, told to the person who wrote the file."""
    loc = tuple(error["loc"])
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return _missing(sourced, loc)
    if kind == "extra_forbidden":
        return _unknown(model, sourced, loc)
    inner = context.get("path", ())
    position = sourced.at((*loc, *inner), key=bool(context.get("key", False)))
    if error["input"] == "" and (kind in _KINDS or kind == "value_error"):
        return Problem("empty-value", f"{_name(loc)} has no value", position, "write one, or leave the key out")
    if kind in _KINDS:
        code, sentence = _KINDS[kind]
        return Problem(code, sentence, position, _shape_hint(code, loc))
    if kind in _BOUNDS:
        name, word = _BOUNDS[kind]
        bound = f"{word} {context[name]}"
        return Problem("out-of-range", f"{error['input']} is not {bound}", position, f"write a number of {bound}")
    if kind == "too_long":
        sentence = f"{context['actual_length']} stand here, where at most {context['max_length']} may"
        return Problem("out-of-range", sentence, position, "leave some out")
    if kind in ("literal_error", "enum"):
        allowed = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        return Problem(
            "unknown-word",
            f"`{error['input']}` is not a word for this",
            position,
            hint_for(str(error["input"]), allowed),
        )
    if kind == "string_pattern_mismatch":
        return Problem("bad-form", f"`{error['input']}` does not have the form {context['pattern']}", position, "")
    if kind == "value_error" and isinstance(context.get("error"), ValueError):
        sentence, _, hint = str(context["error"]).partition("; ")
        return Problem(getattr(context["error"], "code", "bad-value"), sentence, position, hint)
    if "-" in kind:  # our own
        return Problem(kind, error["msg"], position, str(context.get("hint", "")))
    return Problem("bad-value", error["msg"], position, "")


def _missing(sourced: Sourced, loc: Path_) -> Problem:
    return Problem("missing-key", f"`{loc[-1]}` is missing", sourced.at(loc[:-1]), f"write `{loc[-1]}:`")


def _unknown(model: type[BaseModel], sourced: Sourced, loc: Path_) -> Problem:
    word, position = str(loc[-1]), sourced.at(loc, key=True)
    owners = _models_at(model, loc[:-1])
    for owner in owners:
        if word in getattr(owner, "unbuilt", {}):
            return not_built(word, position)
    known = {name for owner in owners for name in _keys(owner)}
    return Problem("unknown-key", f"`{word}` is not a key {_owner(loc)}", position, hint_for(word, known))


def _owner(loc: Path_) -> str:
    """Whose key it should be; the tag of a union begins with that word."""
    names = [element for element in loc[:-1] if isinstance(element, str)]
    if not names:
        return "here"
    tagged = isinstance(loc[-2], str) and loc[-2].startswith("<")
    owner = names[-1] if tagged else [name for name in names if not name.startswith("<")][-1]
    return f"of `{owner.strip('<>').split(' ')[0]}`"


def not_built(word: str, position: Position) -> Problem:
    """A word of the language that is understood and not carried out yet: refused by name, never ignored."""
    return Problem(
        "not-built-yet", f"`{word}` is a word of the language that is not built yet", position, "leave it out for now"
    )


def _name(loc: Path_) -> str:
    names = [str(element) for element in loc if isinstance(element, str) and not element.startswith("<")]
    return f"`{names[-1]}`" if names else "this"


def _shape_hint(code: str, loc: Path_) -> str:
    name = _name(loc).strip("`")
    if name == "this":
        return "write `key: value` lines"
    return {
        "expected-list": f"write `{name}: [..., ...]`",
        "expected-mapping": f"write `{name}: {{key: value}}`",
        "expected-text": f"write `{name}: text`",
        "expected-number": f"write `{name}: 50`",
        "expected-yes-no": f"write `{name}: true`",
    }[code]


_ABOUT_KEYS = ("missing", "extra_forbidden", "several-faults")


def _one_per_value(found: Sequence[tuple[ErrorDetails, Problem]]) -> list[Problem]:
    """A value that fits none of several kinds fails each of them; the most telling complaint is enough."""
    best: dict[Position, Problem] = {}
    rest: list[Problem] = []
    for error, problem in found:
        if error["type"] in _ABOUT_KEYS:
            rest.append(problem)
        else:
            other = best.get(problem.position)
            best[problem.position] = problem if other is None else _more_telling(other, problem)
    return list(dict.fromkeys([*rest, *best.values()]))


def _misspelt(found: Sequence[Problem]) -> list[Problem]:
    """A misspelt key is one mistake: the key it was meant to be is not missing as well."""
    meant = {
        problem.hint.removeprefix("did you mean ").rstrip("?") for problem in found if problem.code == "unknown-key"
    }
    return [one for one in found if not (one.code == "missing-key" and one.sentence.split(" ")[0] in meant)]


def _more_telling(one: Problem, other: Problem) -> Problem:
    """Of two complaints about one value the more precise; a closed set of words stays as another way to write it."""
    first, second = sorted((one, other), key=_weight)
    if first.code == "unknown-word" and second.hint and first.hint.startswith(_THERE_ARE):
        return replace(second, hint=f"{second.hint}, or one of: {first.hint.removeprefix(_THERE_ARE)}")
    return second


def _weight(problem: Problem) -> int:
    return 0 if problem.code.startswith("expected-") else 1 if problem.code == "unknown-word" else 2


# --- which keys a model knows at a place of the tree (for the nearest word)


def _keys(model: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in model.model_fields.items()]


def _models_at(model: type[BaseModel], loc: Path_) -> list[type[BaseModel]]:
    """The models that may stand at a path of pydantic's, found by walking the annotations along it."""
    here: list[Any] = [model]
    for element in loc:
        here = [inner for kind in here for inner in _step(kind, element)] or here
    return [kind for kind in here if isinstance(kind, type) and issubclass(kind, BaseModel)]


def _step(kind: Any, element: str | int) -> list[Any]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, info in kind.model_fields.items():
            if element in (info.alias or name, name):
                return _options(info.annotation, info.metadata)
        return []
    if isinstance(kind, _Tagged):
        return _options(kind.kind, ()) if kind.tag == element else []
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (list, tuple, frozenset, set, Sequence) and isinstance(element, int):
        return _options(arguments[0], ())
    if origin in (dict, Mapping, types.MappingProxyType) and len(arguments) == 2:
        return _options(arguments[1], ())
    return []


@dataclass(frozen=True)
class _Tagged:
    """One member of a union told apart by a tag."""

    tag: str
    kind: Any


def _options(kind: Any, metadata: Sequence[Any]) -> list[Any]:
    """The kinds an annotation allows, tags kept."""
    if get_origin(kind) is Annotated:
        inner, *notes = get_args(kind)
        return _options(inner, notes)
    for note in metadata:
        if isinstance(note, Tag):
            return [_Tagged(note.tag, kind)]
    if get_origin(kind) in (Union, types.UnionType):
        return [option for member in get_args(kind) for option in _options(member, ())]
    return [] if kind is type(None) else [kind]

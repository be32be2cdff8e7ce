"""The mapping file of `import --map`: which foreign column is what. Read, checked, and turned into readers of values.

A part of a row is written as the name of a column (`id: CustomerID`), as a text with columns in braces
(`id: "order-{InvoiceNo}"`), or in full: `{column: Country, map: {EIRE: IE}, otherwise: GB}`. See docs/import.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from engine.audience.book import Audience
from engine.audience.compare import Written, fold, meets
from engine.imports.rows import granted, instant
from engine.journey.conditions import Condition, EventCondition, FieldKind, tests_of
from engine.journey.problems import Problem
from engine.journey.quantities import Misread
from engine.journey.source import Sourced, fault, hint_for, read_file, validate
from engine.settings import ZoneName

Values = Mapping[str, Any]
Path_ = tuple[str | int, ...]
_HOLE = re.compile(r"\{([^{}]+)\}")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,10})?")
_NAMES_OF_TEXTS = ("id", "code", "sku", "zip", "postcode", "number", "no", "key")


# ── what people write ──


def _in_full(value: object) -> object:
    if not isinstance(value, str):
        return value
    return {"text": value} if "{" in value else {"column": value}


class Cell(BaseModel):
    """Where a value comes from: one of `column`, `text` (a template), `value` (always the same)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str | None = None
    text: str | None = None
    value: str | None = None
    map: dict[str, str] | None = None  # what stands there -> what it means
    otherwise: str | None = None  # for an empty cell, and for what `map` does not know
    as_: Literal["text", "number", "yes_no"] | None = Field(default=None, alias="as")
    decimal: Literal[".", ","] = "."  # the sign before the fraction of numbers

    @model_validator(mode="after")
    def _has_one_source(self) -> Cell:
        if len(self._sources()) != 1:
            raise fault("bad-source", "a value comes from one place", "write one of column, text, value")
        return self

    def _sources(self) -> list[str]:
        return [name for name in ("column", "text", "value") if getattr(self, name) is not None]


class AtCell(Cell):
    """An instant. `zone` for local times, `format` (as of strptime) for those that are not ISO 8601."""

    zone: ZoneName | None = None
    format: str | None = None


class PayloadCell(Cell):
    """A value of an event's payload; the last four are over all lines of a `group`."""

    sum: str | None = None  # of this column,
    times: str | None = None  # each line multiplied by this one
    count: Literal["lines"] | None = None
    entries: dict[str, Annotated[Cell, BeforeValidator(_in_full)]] | None = Field(
        default=None, alias="list"
    )  # per line

    def _sources(self) -> list[str]:
        more = [name for name in ("sum", "count", "entries") if getattr(self, name) is not None]
        return super()._sources() + more

    @model_validator(mode="after")
    def _times_needs_sum(self) -> PayloadCell:
        if self.times is not None and self.sum is None:
            raise fault(
                "bad-source", "`times` goes with `sum`", "write `{sum: Quantity, times: UnitPrice}`", ("times",)
            )
        return self


Written_ = Annotated[Cell, BeforeValidator(_in_full)]
WrittenAt = Annotated[AtCell, BeforeValidator(_in_full)]
WrittenPayload = Annotated[PayloadCell, BeforeValidator(_in_full)]


def _named(value: object) -> object:
    """`[tier, points]` -> each column under its own name."""
    return {name: name for name in value} if isinstance(value, list) else value


def _consent_name(name: str) -> str:
    if not re.fullmatch(r"[a-z_]+\.([\w-]+|\*)", name):
        raise fault("bad-consent-name", f"`{name}` is not a channel and a topic", "write it like email.care")
    return name


class PeopleMap(BaseModel):
    """`people:` of a mapping file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Written_
    email: Written_ | None = None
    phone: Written_ | None = None
    wechat: Written_ | None = None
    push: Written_ | None = None
    country: Written_ | None = None
    locale: Written_ | None = None
    zone: Written_ | None = None
    created_at: WrittenAt | None = None
    tags: Written_ | None = None
    attributes: Annotated[dict[str, Written_], BeforeValidator(_named)] = Field(default_factory=dict)
    consent: dict[Annotated[str, BeforeValidator(_consent_name)], Written_] = Field(default_factory=dict)
    consent_source: Written_ | None = None
    consent_at: WrittenAt | None = None
    consent_wording: Written_ | None = None
    where: EventCondition | None = None  # lines it does not hold for are passed over
    repeated: bool = False  # one person stands on many lines: the first line of each counts


class EventsMap(BaseModel):
    """`events:` of a mapping file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Written_
    person: Written_
    name: Written_
    at: WrittenAt
    payload: dict[str, WrittenPayload] = Field(default_factory=dict)
    where: EventCondition | None = None
    group: str | None = None  # lines with the same value here are one event


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    people: PeopleMap | None = None
    events: EventsMap | None = None


@dataclass(frozen=True)
class FileMap:
    """A mapping file, read and checked, with the places of all it says."""

    people: PeopleMap | None
    events: EventsMap | None
    sourced: Sourced


def read_mapping(path: Path) -> tuple[FileMap | None, list[Problem]]:
    """A mapping file, or everything that is wrong with it."""
    sourced = read_file(path)
    found, problems = validate(_File, sourced)
    if found is None or sourced.problems or problems:
        return None, [*sourced.problems, *problems]
    return FileMap(found.people, found.events, sourced), []


# ── readers of values ──


@dataclass(frozen=True)
class Source:
    """Reads one value out of a line. `columns` are those it looks at; None is read where nothing stands."""

    read: Callable[[Values], Any]
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Gather:
    """Reads one value out of all lines of an event: `start`, then `add` per line, then `end`."""

    start: Callable[[], Any]
    add: Callable[[Any, Values], Any]
    end: Callable[[Any], Any]
    columns: tuple[str, ...] = ()


class WrongCell(Misread):
    """A Misread that knows its column."""

    def __init__(self, code: str, sentence: str, column: str) -> None:
        super().__init__(code, sentence)
        self.column = column


class Compiler:
    """Turns what a mapping says into readers, for a file with these columns (None: not known before each line)."""

    def __init__(self, columns: Sequence[str] | None, sourced: Sourced) -> None:
        self.columns = columns
        self.sourced = sourced
        self.problems: list[Problem] = []

    def source(self, cell: Cell | None, path: Path_, name: str = "", or_itself: bool = False) -> Source | None:
        """A reader of one cell. `name` is what the value will be called. `or_itself`: an unknown column is a text."""
        if cell is None:
            return None
        if or_itself and cell.column is not None and cell == type(cell)(column=cell.column):
            return self._itself(cell.column)
        read, columns = self._plain(cell, path)
        if cell.map is not None or cell.otherwise is not None:
            read = _mapped(read, cell.map, cell.otherwise)
        return Source(_at(read, cell) if isinstance(cell, AtCell) else self._shaped(read, cell, name), columns)

    def gather(self, cell: PayloadCell, path: Path_, name: str) -> Gather:
        """A reader of a payload's value, also where an event has only one line."""
        if cell.sum is not None:
            return self._sum(cell, path)
        if cell.count is not None:
            return Gather(lambda: 0, lambda so_far, _: so_far + 1, lambda so_far: so_far)
        if cell.entries is not None:
            return self._list(cell.entries, (*path, "list"))
        source = self.source(cell, path, name)
        assert source is not None
        return first_of(source)

    def condition(self, where: Condition | None, path: Path_) -> Callable[[Values], bool] | None:
        """Does a line count?"""
        if where is None:
            return None
        for test in tests_of(where):
            if test.field.kind is not FieldKind.event:
                self._refuse("unknown-field", f"`{test.field.name}` is no column", "name columns only", path)
            else:
                self._column(test.field.name, (*path, test.field.name), key=True)
        return lambda values: holds(where, values)

    def column(self, name: str, path: Path_) -> Source:
        """A reader of one column as it is."""
        self._column(name, path)
        return _column(name)

    def _plain(self, cell: Cell, path: Path_) -> tuple[Callable[[Values], Any], tuple[str, ...]]:
        if cell.column is not None:
            at = (*path, "column")
            self._column(cell.column, at)
            return _column(cell.column).read, (cell.column,)
        if cell.text is not None:
            holes = tuple(_HOLE.findall(cell.text))
            for hole in holes:
                self._column(hole, (*path, "text"))
            return _template(cell.text), holes
        constant = cell.value
        return (lambda _: constant), ()

    def _shaped(self, read: Callable[[Values], Any], cell: Cell, name: str) -> Callable[[Values], Any]:
        """As text, number or yes/no where asked; else cells of CSV as JSON would have them."""
        match cell.as_:
            case "text":
                return lambda values: None if (value := read(values)) is None else _json_text(value)
            case "yes_no":
                return lambda values: granted(read(values))
            case "number":
                number = _decimal(read, cell.column or "", cell.decimal)
                return lambda values: None if read(values) is None else _json_number(number(values))
        if name and self.columns is not None:
            return lambda values: typed(name, read(values))
        return read

    def _itself(self, word: str) -> Source:
        if self.columns is not None and word not in self.columns:
            return Source(lambda _: word)
        return Source(lambda values: _stands(values, word) or word, (word,))

    def _sum(self, cell: PayloadCell, path: Path_) -> Gather:
        factors = [name for name in (cell.sum, cell.times) if name is not None]
        for name in factors:
            self._column(name, (*path, "sum" if name == cell.sum else "times"))
        numbers = [_decimal(_column(name).read, name, cell.decimal) for name in factors]

        def add(so_far: Decimal, values: Values) -> Decimal:
            product = Decimal(1)
            for number in numbers:
                product *= number(values)
            return so_far + product

        return Gather(lambda: Decimal(0), add, lambda so_far: _json_number(round(so_far, 4)), tuple(factors))

    def _list(self, parts: Mapping[str, Cell], path: Path_) -> Gather:
        sources = {name: self.source(cell, (*path, name), name) for name, cell in parts.items()}
        readers = {name: source.read for name, source in sources.items() if source is not None}

        def add(so_far: list[dict[str, Any]], values: Values) -> list[dict[str, Any]]:
            entry = {name: read(values) for name, read in readers.items()}
            so_far.append({name: value for name, value in entry.items() if value is not None})
            return so_far

        columns = tuple(column for source in sources.values() if source is not None for column in source.columns)
        return Gather(list, add, lambda so_far: so_far, columns)

    def _column(self, name: str, path: Path_, key: bool = False) -> None:
        if self.columns is not None and name not in self.columns:
            sentence = f"the file has no column `{name}`"
            self._refuse("unknown-column-in-map", sentence, hint_for(name, self.columns), path, key)

    def _refuse(self, code: str, sentence: str, hint: str, path: Path_, key: bool = False) -> None:
        self.problems.append(Problem(code, sentence, self.sourced.at(path, key=key), hint))


def first_of(source: Source) -> Gather:
    """The value of an event's first line that has one."""

    def add(so_far: Any, values: Values) -> Any:
        return source.read(values) if so_far is None else so_far

    return Gather(lambda: None, add, lambda so_far: so_far, source.columns)


def holds(condition: Condition, values: Values) -> bool:
    """A condition over one line: its cells are plain numbers or texts, as in the payload of an event."""

    def leaf(test: Any) -> bool:
        value = typed(test.field.name, _stands(values, test.field.name))
        return meets(Written({"cell": value}, "cell", _NOBODY, False), test, _NOBODY, _NEVER)

    return fold(condition, leaf)


_NOBODY = Audience()
_NEVER = datetime.min.replace(tzinfo=ZoneInfo("UTC"))


def typed(name: str, value: Any) -> Any:
    """A cell as JSON has it: plain numbers, `true`, `false`. What is called ..._id, _code, _no stays text."""
    if not isinstance(value, str):
        return value
    if value in ("true", "false"):
        return value == "true"
    if _NUMBER.fullmatch(value) and not _is_name_of_text(name):
        return float(value) if "." in value else int(value)
    return value


@lru_cache(maxsize=4096)
def _is_name_of_text(name: str) -> bool:
    last = re.split(r"[\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))[-1].lower()
    return last in _NAMES_OF_TEXTS


def _stands(values: Values, column: str) -> Any:
    """What stands in a column; None for nothing. `a.b` reaches into JSON."""
    value = values.get(column)
    if value is None and "." in column:
        value = values
        for key in column.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
    if isinstance(value, str):
        return value.strip() or None
    return value


def _column(name: str) -> Source:
    return Source(lambda values: _stands(values, name), (name,))


def _template(text: str) -> Callable[[Values], str | None]:
    """The text with its holes filled; nothing when one of them stays empty."""
    pieces = _HOLE.split(text)  # plain, column, plain, column, ..., plain

    def read(values: Values) -> str | None:
        filled = list(pieces)
        for place in range(1, len(pieces), 2):
            value = _stands(values, pieces[place])
            if value is None:
                return None
            filled[place] = str(value)
        return "".join(filled)

    return read


def _mapped(
    read: Callable[[Values], Any], known: Mapping[str, str] | None, otherwise: str | None
) -> Callable[[Values], Any]:
    def through(values: Values) -> Any:
        value = read(values)
        if value is None:
            return otherwise
        if known is None:
            return value
        text = _json_text(value)
        if text in known:
            return known[text]
        if otherwise is None:
            raise Misread("unmapped-value", f"`{text[:40]}` is not in the map; add it, or an `otherwise`")
        return otherwise

    return through


def _at(read: Callable[[Values], Any], cell: AtCell) -> Callable[[Values], datetime | None]:
    zone = ZoneInfo(cell.zone) if cell.zone else None
    return lambda values: None if (value := read(values)) is None else instant(str(value), zone, cell.format)


def _decimal(read: Callable[[Values], Any], column: str, sign: str) -> Callable[[Values], Decimal]:
    def number(values: Values) -> Decimal:
        value = read(values)
        text = "" if value is None or isinstance(value, bool) else str(value)
        if sign == ",":
            text = text.replace(".", "").replace(",", ".")
        try:
            found = Decimal(text)
        except InvalidOperation:
            found = Decimal("NaN")
        if not found.is_finite() or abs(found) >= 10**15:
            raise WrongCell("bad-number", f"`{text[:40]}` is not a number; write it like 12.50", column)
        return found

    return number


def _json_number(number: Decimal) -> int | float:
    return int(number) if number == number.to_integral_value() else float(number)


def _json_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)

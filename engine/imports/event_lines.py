"""Lines about events: which column is which, which lines are one event, and the EventRow or Problems of each."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from engine.imports.lines import Seen, about_column, column_of, no_part, plain, plain_cell, problems_of, read_all, twice
from engine.imports.mapping import Compiler, EventsMap, FileMap, Gather, Source, first_of
from engine.imports.records import Columns, Record, missing_column, strict_json
from engine.imports.rows import EventRow, Refusal, refusal, refusals
from engine.journey.problems import Position, Problem, Severity
from engine.journey.quantities import Misread
from engine.journey.source import nearest

FIELDS: Final = ("id", "person", "name", "at")
OPEN_GROUPS: Final = 100  # events whose lines may lie between each other
MOST_LINES: Final = 10_000  # of one event


@dataclass(frozen=True)
class Plan:
    """How each part of an event is read. `whole` reads the payload at once, `payload` key by key."""

    fields: Mapping[str, Source]
    payload: Mapping[str, Gather] = field(default_factory=dict)
    whole: Source | None = None
    where: Callable[[Mapping[str, Any]], bool] | None = None
    group: Source | None = None

    def column_of(self, name: str) -> str | None:
        return column_of(self.whole if name == "payload" else self.fields.get(name))


@dataclass
class _Event:
    """An event under way: its first line, and what its lines have told so far."""

    first: Record
    told: dict[str, Any]
    so_far: dict[str, Any]
    reasons: list[tuple[Refusal, Record]]
    lines: int = 0


class EventReader:
    """Reads the lines of one file."""

    def __init__(self, mapping: FileMap | None) -> None:
        self._mapping = mapping
        self._seen = Seen()
        self._open: OrderedDict[str, _Event] = OrderedDict()
        self._plan = Plan({name: plain(name) for name in FIELDS}, whole=Source(_payload, ("payload",)))
        self._not_read: set[str] | None = None  # of JSON lines without a mapping: keys told of as not read

    def begin(self, columns: Columns | None) -> list[Problem]:
        """Settle how the file is read, or say why it cannot be. JSON lines have no columns."""
        if self._mapping is not None:
            if self._mapping.events is None:
                return [no_part(self._mapping, "events")]
            compiler = Compiler(columns.names if columns else None, self._mapping.sourced)
            self._plan = _mapped(self._mapping.events, compiler)
            return compiler.problems
        if columns is not None:
            self._plan = _unmapped(columns.names)
            return _doubts(columns)
        self._not_read = set()
        return []

    def read(self, record: Record) -> Iterator[EventRow | Problem]:
        plan = self._plan
        if plan.where is not None and not plan.where(record.values):
            return
        if self._not_read is not None:
            yield from self._keys_not_read(record, self._not_read)
        if plan.group is None:
            yield from self._finished(self._begun(record))
        else:
            yield from self._grouped(plan.group, record)

    def rest(self) -> Iterator[EventRow | Problem]:
        """The events still open at the end of the file."""
        while self._open:
            yield from self._finished(self._open.popitem(last=False)[1])

    def _grouped(self, group: Source, record: Record) -> Iterator[EventRow | Problem]:
        key = str(group.read(record.values))
        found = self._open.get(key)
        if found is None:
            self._open[key] = self._begun(record)
        else:
            self._open.move_to_end(key)
            self._add(found, record)
        if len(self._open) > OPEN_GROUPS:
            yield from self._finished(self._open.popitem(last=False)[1])

    def _begun(self, record: Record) -> _Event:
        reasons: list[Refusal] = []
        told = read_all(self._plan.fields, record, reasons)
        so_far = {name: gather.start() for name, gather in self._plan.payload.items()}
        event = _Event(record, told, so_far, [(reason, record) for reason in reasons])
        self._add(event, record)
        return event

    def _add(self, event: _Event, record: Record) -> None:
        event.lines += 1
        if event.lines > MOST_LINES:
            if event.lines == MOST_LINES + 1:
                sentence = f"more than {MOST_LINES:,} lines are one event; check `group` in the mapping file"
                event.reasons.append((refusal("", Misread("too-many-lines", sentence)), record))
            return
        for name, gather in self._plan.payload.items():
            try:
                event.so_far[name] = gather.add(event.so_far[name], record.values)
            except Misread as misread:
                event.reasons.append((refusal(column_of(gather, misread) or "", misread), record))

    def _finished(self, event: _Event) -> Iterator[EventRow | Problem]:
        row = self._row(event)
        if row is None:
            for reason, record in event.reasons:
                yield from problems_of([reason], record)
        elif self._seen.again(row.id):
            yield twice(event.first.at(self._plan.column_of("id")))
        else:
            yield row

    def _row(self, event: _Event) -> EventRow | None:
        first, reasons = event.first, []
        try:
            told = event.told | {"payload": self._payload_of(event), "position": first.at()}
            row = EventRow.model_validate(told)
        except Misread as misread:
            reasons.append(refusal(self._plan.column_of("payload") or "", misread))
        except ValidationError as error:
            reasons += [about_column(one, self._plan.column_of(one.field)) for one in refusals(error)]
        event.reasons += ((reason, first) for reason in reasons)
        return None if event.reasons else row

    def _payload_of(self, event: _Event) -> dict[str, Any]:
        whole: dict[str, Any] = self._plan.whole.read(event.first.values) if self._plan.whole is not None else {}
        parts = {name: gather.end(event.so_far[name]) for name, gather in self._plan.payload.items()}
        return whole | {name: value for name, value in parts.items() if value is not None}

    def _keys_not_read(self, record: Record, told: set[str]) -> Iterator[Problem]:
        for name in record.values:
            if name not in FIELDS and name != "payload" and name not in told and len(told) < 100:
                told.add(name)
                key = json.dumps(name.removeprefix("payload."), ensure_ascii=False)
                keep = f'to keep it, write it inside the payload: "payload": {{{key}: ...}}'
                yield _not_read(name, record.at(name), keep)


def _unmapped(names: tuple[str, ...]) -> Plan:
    """Columns under their own names."""
    fields: dict[str, Source] = {name: plain(name) for name in FIELDS if name in names}
    keys = [name for name in names if name.startswith("payload.")]
    payload = {name.removeprefix("payload."): first_of(plain_cell(name)) for name in keys}
    return Plan(fields, payload, Source(_payload, ("payload",)) if "payload" in names else None)


def _doubts(columns: Columns) -> list[Problem]:
    missing = [missing_column(columns, name, "events") for name in FIELDS if name not in columns.names]
    read = {"", "payload", *FIELDS}
    others = [name for name in columns.names if name not in read and not name.startswith("payload.")]
    return missing + [_not_read(name, columns.at(name), f"call it `payload.{name}` to keep it") for name in others]


def _not_read(name: str, position: Position, keep: str) -> Problem:
    """`keep` says how this kind of file keeps it."""
    meant = None if name.startswith("payload.") else nearest(name, ["payload", *FIELDS])
    hint = f"did you mean `{meant}`?" if meant else keep
    return Problem("column-not-read", f"`{name}` of an event is not read", position, hint, Severity.warning)


def _payload(values: Mapping[str, Any]) -> dict[str, Any]:
    """The payload at once: an object of JSON lines, or a cell that holds one."""
    value = values.get("payload")
    if value is None or value == "":
        return {}
    if isinstance(value, str):
        try:
            value = strict_json(value)
        except (ValueError, RecursionError):
            raise Misread("bad-json", 'the payload is not JSON; write an object like {"total": 12.5}') from None
    if not isinstance(value, dict):
        raise Misread("bad-json", 'the payload is not an object; write one like {"total": 12.5}')
    return value


def _mapped(written: EventsMap, compiler: Compiler) -> Plan:
    found: dict[str, Source | None] = {
        name: compiler.source(getattr(written, name), ("events", name), or_itself=name == "name") for name in FIELDS
    }
    payload = {name: compiler.gather(cell, ("events", "payload", name), name) for name, cell in written.payload.items()}
    return Plan(
        {name: source for name, source in found.items() if source is not None},
        payload,
        None,
        compiler.condition(written.where, ("events", "where")),
        compiler.column(written.group, ("events", "group")) if written.group is not None else None,
    )

"""Reading import files: people and events from CSV or JSON lines, one at a time, in normal form or as a Problem.

    for item in read_people(path, mapping, settings):
        match item:
            case PersonRow(): ...   # good
            case Problem(): ...     # a row refused, or (a warning) something to know; the good rows go on

Columns of `people`: id, email, phone, wechat, push, country, locale, zone, created_at, and consent.<channel>.<topic>
(yes, no or empty) with an optional .source and .at each, or consent.source and consent.at for the whole row. Every
other column is an attribute. Columns of `events`: id, person, name, at, and payload (JSON) or payload.<key>. Foreign
columns need a mapping file (`engine.work.mapping`). The whole format is in docs/import.md.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from engine.journey.problems import Position, Problem, Severity
from engine.journey.quantities import Misread
from engine.journey.source import hint_for, nearest
from engine.settings import Settings
from engine.work.mapping import Compiler, EventsMap, FileMap, Gather, PeopleMap, Source, first_of, typed
from engine.work.records import Columns, Record, missing_column, records
from engine.work.rows import ADDRESSES, ConsentWord, EventRow, PersonRow, Refusal, granted, refusal, refusals

REMEMBERED: Final = 200_000  # ids looked out for twice; beyond them a repeat is met by the tables' own unique ids
OPEN_GROUPS: Final = 100  # events whose lines may lie between each other
_PERSON: Final = ("id", "country", "email", "phone", "wechat", "push", "locale", "zone", "created_at")
_EVENT: Final = ("id", "person", "name", "at")


def read_people(path: Path, mapping: FileMap | None, settings: Settings) -> Iterator[PersonRow | Problem]:
    """Every person of a file, and every Problem, in its order."""
    reader = _People(mapping, settings)
    for item in records(path):
        match item:
            case Problem():
                yield item
            case Columns():
                problems = reader.begin(item)
                yield from problems
                if any(problem.severity is Severity.error for problem in problems):
                    return
            case Record():
                yield from reader.read(item)


def read_events(path: Path, mapping: FileMap | None, settings: Settings) -> Iterator[EventRow | Problem]:
    """Every event of a file, and every Problem, in its order. Lines of one `group` are one event, at its first line."""
    reader = _Events(mapping)
    for item in records(path):
        match item:
            case Problem():
                yield item
            case Columns():
                problems = reader.begin(item)
                yield from problems
                if any(problem.severity is Severity.error for problem in problems):
                    return
            case Record():
                yield from reader.read(item)
    yield from reader.rest()


class _Seen:
    """Ids met so far, up to a number: memory stays flat however long the file is."""

    def __init__(self) -> None:
        self._hashes: set[int] = set()

    def again(self, id: str) -> bool:
        """Was it there before? From now on it was."""
        mark = hash(id)
        if mark in self._hashes:
            return True
        if len(self._hashes) < REMEMBERED:
            self._hashes.add(mark)
        return False


# ── people ──


@dataclass(frozen=True)
class _Consent:
    channel: str
    topic: str
    granted: Source
    source: Source | None
    at: Source | None


@dataclass(frozen=True)
class _PeoplePlan:
    """How each part of a person is read from a line."""

    fields: Mapping[str, Source]
    attributes: Mapping[str, Source]
    consents: tuple[_Consent, ...] = ()
    where: Any = None
    repeated: bool = False

    def column_of(self, name: str) -> str | None:
        """The column to point at when a field is wrong."""
        source = self.fields.get(name) or self.attributes.get(name)
        return source.columns[0] if source is not None and source.columns else None


class _People:
    def __init__(self, mapping: FileMap | None, settings: Settings) -> None:
        self._mapping = mapping
        self._settings = settings
        self._context = {"shop": settings.shop}
        self._seen = _Seen()
        self._plan: _PeoplePlan | None = None
        self._plans: dict[tuple[str, ...], _PeoplePlan] = {}

    def begin(self, columns: Columns) -> list[Problem]:
        """Settle how a CSV file is read, or say why it cannot be."""
        if self._mapping is None:
            self._plan = _plain_people(columns.names)
            return self._doubts(columns)
        self._plan, problems = self._mapped(self._mapping, columns.names)
        return problems

    def read(self, record: Record) -> Iterator[PersonRow | Problem]:
        plan = self._plan or self._of_json(record)
        if plan.where is not None and not plan.where(record.values):
            return
        try:
            row = self._row(plan, record)
        except _Refused as refused:
            yield from _problems(refused.reasons, record)
            return
        if not self._seen.again(row.id):
            yield row
        elif not plan.repeated:
            yield _twice(row.id, record.at(plan.column_of("id")))

    def _row(self, plan: _PeoplePlan, record: Record) -> PersonRow:
        reasons: list[Refusal] = []
        told: dict[str, Any] = _all(plan.fields, record, reasons)
        told["attributes"] = _all(plan.attributes, record, reasons)
        told["consents"] = tuple(self._consents(plan, record, reasons))
        told["position"] = record.at()
        try:
            row = PersonRow.model_validate(told, context=self._context)
        except ValidationError as error:
            reasons += (_at_column(one, plan.column_of(one.field)) for one in refusals(error))
        if reasons:
            raise _Refused(reasons)
        return row

    def _consents(self, plan: _PeoplePlan, record: Record, reasons: list[Refusal]) -> Iterator[ConsentWord]:
        for one in plan.consents:
            try:
                said = granted(one.granted.read(record.values))
                if said is None:
                    continue
                source = one.source.read(record.values) if one.source else None
                at = one.at.read(record.values) if one.at else None
                yield ConsentWord(
                    channel=one.channel, topic=one.topic, granted=said, source=str(source or "import"), at=at
                )
            except Misread as misread:
                reasons.append(refusal(one.granted.columns[0] if one.granted.columns else "", misread))
            except ValidationError as error:
                column = one.at.columns[0] if one.at and one.at.columns else None
                reasons += (_at_column(found, column) for found in refusals(error))

    def _of_json(self, record: Record) -> _PeoplePlan:
        """JSON lines: each says which keys it has; nested consents and attributes are laid flat."""
        record.values = _flat(record.values)
        names = tuple(record.values)
        if names not in self._plans:
            if len(self._plans) > 1000:  # every line has other keys: do not keep them all
                self._plans.clear()
            plan = _plain_people(names) if self._mapping is None else self._mapped(self._mapping, None)[0]
            self._plans[names] = plan
        return self._plans[names]

    def _mapped(self, mapping: FileMap, names: tuple[str, ...] | None) -> tuple[_PeoplePlan, list[Problem]]:
        compiler = Compiler(names, mapping.sourced)
        if mapping.people is None:
            return _PeoplePlan({}, {}), [_no_part(mapping, "people")]
        return _people_plan(mapping.people, compiler), compiler.problems

    def _doubts(self, columns: Columns) -> list[Problem]:
        """What looks like a mistake in the names of the columns."""
        if "id" not in columns.names:
            return [missing_column(columns, "id", "people")]
        problems = []
        for name in columns.names:
            if name.startswith("consent.") and (doubt := self._doubtful_consent(name)):
                problems.append(Problem(doubt[0], doubt[1], columns.at(name), doubt[2], Severity.warning))
            elif (meant := _meant(name)) and meant not in columns.names:
                sentence = f"column `{name}` is kept as an attribute"
                hint = f"did you mean `{meant}`?"
                problems.append(Problem("likely-column", sentence, columns.at(name), hint, Severity.warning))
        return problems

    def _doubtful_consent(self, name: str) -> tuple[str, str, str] | None:
        _, channel, *rest = name.split(".")
        if not rest:
            return None  # consent.source, consent.at
        if channel not in ADDRESSES:
            return "unknown-channel", f"`{name}`: there is no channel `{channel}`", hint_for(channel, ADDRESSES)
        topics = self._settings.topics
        if rest[0] != "*" and topics and rest[0] not in topics:
            return "unknown-topic", f"`{name}`: there is no topic `{rest[0]}`", hint_for(rest[0], topics)
        return None


def _meant(name: str) -> str | None:
    """The known column a name is nearly written like."""
    if name in _PERSON or not name:
        return None
    plain = "".join(sign for sign in name.lower() if sign.isalnum())
    known = {"".join(sign for sign in each if sign.isalnum()): each for each in _PERSON}
    usual = {"mail": "email", "mobile": "phone", "telephone": "phone", "timezone": "zone", "openid": "wechat"}
    return known.get(plain) or usual.get(plain)


def _plain_people(names: tuple[str, ...]) -> _PeoplePlan:
    """Columns under their own names."""
    fields = {name: _plain(name) for name in _PERSON if name in names}
    consents = [name for name in names if name.startswith("consent.")]
    row_source, row_at = (_plain(name) if name in names else None for name in ("consent.source", "consent.at"))
    words = []
    for name in consents:
        _, channel, *rest = name.split(".")
        if not rest or channel not in ADDRESSES or rest[-1] in ("source", "at"):
            continue
        source, at = (_plain(f"{name}.{part}") if f"{name}.{part}" in names else None for part in ("source", "at"))
        words.append(_Consent(channel, ".".join(rest), _plain(name), source or row_source, at or row_at))
    others = [name for name in names if name and name not in _PERSON and name not in consents]
    return _PeoplePlan(fields, {name: _plain_typed(name) for name in others}, tuple(words))


def _people_plan(written: PeopleMap, compiler: Compiler) -> _PeoplePlan:
    found = {name: compiler.source(getattr(written, name), ("people", name)) for name in _PERSON}
    attributes = {
        name: compiler.source(cell, ("people", "attributes", name), name) for name, cell in written.attributes.items()
    }
    source = compiler.source(written.consent_source, ("people", "consent_source"))
    at = compiler.source(written.consent_at, ("people", "consent_at"))
    words = []
    for name, cell in written.consent.items():
        channel, _, topic = name.partition(".")
        if said := compiler.source(cell, ("people", "consent", name)):
            words.append(_Consent(channel, topic, said, source, at))
    return _PeoplePlan(
        {name: one for name, one in found.items() if one is not None},
        {name: one for name, one in attributes.items() if one is not None},
        tuple(words),
        compiler.condition(written.where, ("people", "where")),
        written.repeated,
    )


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """`{"consent": {"email": {"care": true}}, "attributes": {...}}` -> the columns of a CSV file."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if name == "attributes" and isinstance(value, Mapping):
            flat.update(value)
        elif name == "consent" and isinstance(value, Mapping):
            flat.update(_dotted(name, value))
        else:
            flat[name] = value
    return flat


def _dotted(start: str, value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _dotted(f"{start}.{name}", inner)
        else:
            yield f"{start}.{name}", inner


# ── events ──


@dataclass(frozen=True)
class _EventsPlan:
    """How each part of an event is read. `whole` reads the payload at once, `payload` key by key."""

    fields: Mapping[str, Source]
    payload: Mapping[str, Gather] = field(default_factory=dict)
    whole: Source | None = None
    where: Any = None
    group: Source | None = None

    def column_of(self, name: str) -> str | None:
        source = self.fields.get(name)
        if source is None and name == "payload" and self.whole is not None:
            source = self.whole
        return source.columns[0] if source is not None and source.columns else None


@dataclass
class _Group:
    """An event under way: its first line, and what its lines have told so far."""

    first: Record
    told: dict[str, Any]
    reasons: list[tuple[Refusal, Record]]
    so_far: dict[str, Any]


class _Events:
    def __init__(self, mapping: FileMap | None) -> None:
        self._mapping = mapping
        self._seen = _Seen()
        self._open: OrderedDict[str, _Group] = OrderedDict()
        self._plan = _EventsPlan({name: _plain(name) for name in _EVENT}, whole=Source(_payload, ("payload",)))
        self._told: set[str] = set()
        self._problems: list[Problem] = []
        if mapping is not None:
            self._plan, self._problems = self._mapped(mapping, None)

    def begin(self, columns: Columns) -> list[Problem]:
        """Settle how a CSV file is read, or say why it cannot be."""
        if self._mapping is not None:
            self._plan, problems = self._mapped(self._mapping, columns.names)
            self._problems = []
            return problems
        problems = [missing_column(columns, name, "events") for name in _EVENT if name not in columns.names]
        self._plan = _plain_events(columns.names)
        read = {"payload", *_EVENT}
        others = [name for name in columns.names if name and name not in read and not name.startswith("payload.")]
        return problems + [_not_read(name, columns.at(name)) for name in others]

    def read(self, record: Record) -> Iterator[EventRow | Problem]:
        if self._problems:  # a mapping that cannot be used, and a file without columns to say so at
            yield from self._problems
            self._problems = []
        if record.columns is None and self._mapping is None:
            yield from self._keys_not_read(record)
        plan = self._plan
        if plan.where is not None and not plan.where(record.values):
            return
        if plan.group is None:
            yield from self._finished(self._begun(record))
            return
        yield from self._grouped(plan.group, record)

    def rest(self) -> Iterator[EventRow | Problem]:
        """The groups still open at the end of the file."""
        while self._open:
            yield from self._finished(self._open.popitem(last=False)[1])

    def _grouped(self, group: Source, record: Record) -> Iterator[EventRow | Problem]:
        key = str(group.read(record.values) or "")
        found = self._open.get(key)
        if found is None:
            self._open[key] = self._begun(record)
        else:
            self._open.move_to_end(key)
            self._add(found, record)
        if len(self._open) > OPEN_GROUPS:
            yield from self._finished(self._open.popitem(last=False)[1])

    def _begun(self, record: Record) -> _Group:
        reasons: list[Refusal] = []
        told = _all(self._plan.fields, record, reasons)
        so_far = {name: gather.start() for name, gather in self._plan.payload.items()}
        group = _Group(record, told, [(reason, record) for reason in reasons], so_far)
        self._add(group, record)
        return group

    def _add(self, group: _Group, record: Record) -> None:
        for name, gather in self._plan.payload.items():
            try:
                group.so_far[name] = gather.add(group.so_far[name], record.values)
            except Misread as misread:
                column = gather.columns[0] if gather.columns else ""
                group.reasons.append((refusal(column, misread), record))

    def _finished(self, group: _Group) -> Iterator[EventRow | Problem]:
        first = group.first
        try:
            group.told["payload"] = self._payload_of(group)
            group.told["position"] = first.at()
            row = EventRow.model_validate(group.told)
        except Misread as misread:
            group.reasons.append((refusal(self._plan.column_of("payload") or "", misread), first))
        except ValidationError as error:
            found = (_at_column(one, self._plan.column_of(one.field)) for one in refusals(error))
            group.reasons += ((one, first) for one in found)
        if group.reasons:
            for reason, record in group.reasons:
                yield from _problems([reason], record)
        elif self._seen.again(row.id):
            yield _twice(row.id, first.at(self._plan.column_of("id")))
        else:
            yield row

    def _payload_of(self, group: _Group) -> dict[str, Any]:
        if self._plan.whole is not None:
            whole: dict[str, Any] = self._plan.whole.read(group.first.values)
        else:
            whole = {}
        parts = {name: gather.end(group.so_far[name]) for name, gather in self._plan.payload.items()}
        return whole | {name: value for name, value in parts.items() if value is not None}

    def _mapped(self, mapping: FileMap, names: tuple[str, ...] | None) -> tuple[_EventsPlan, list[Problem]]:
        compiler = Compiler(names, mapping.sourced)
        if mapping.events is None:
            return _EventsPlan({}), [_no_part(mapping, "events")]
        return _events_plan(mapping.events, compiler), compiler.problems

    def _keys_not_read(self, record: Record) -> Iterator[Problem]:
        """Keys of JSON that mean nothing here, each told once."""
        for name in record.values:
            if name not in _EVENT and name != "payload" and name not in self._told:
                self._told.add(name)
                yield _not_read(name, record.at(name))


def _plain_events(names: tuple[str, ...]) -> _EventsPlan:
    fields = {name: _plain(name) for name in _EVENT if name in names}
    keys = [name for name in names if name.startswith("payload.") and name != "payload."]
    payload = {name[8:]: first_of(_plain_typed(name)) for name in keys}
    return _EventsPlan(fields, payload, Source(_payload, ("payload",)) if "payload" in names else None)


def _events_plan(written: EventsMap, compiler: Compiler) -> _EventsPlan:
    found = {
        name: compiler.source(getattr(written, name), ("events", name), or_itself=name == "name") for name in _EVENT
    }
    return _EventsPlan(
        {name: one for name, one in found.items() if one is not None},
        {name: compiler.gather(cell, ("events", "payload", name), name) for name, cell in written.payload.items()},
        None,
        compiler.condition(written.where, ("events", "where")),
        compiler.column(written.group, ("events", "group")) if written.group is not None else None,
    )


def _payload(values: Mapping[str, Any]) -> dict[str, Any]:
    """The payload at once: an object of JSON lines, or a cell that holds one."""
    value = values.get("payload")
    if value is None or value == "":
        return {}
    if isinstance(value, str):
        try:
            value = json.loads(value, parse_constant=_no_number)
        except (ValueError, RecursionError):
            raise Misread("bad-json", 'the payload is not JSON; write an object like {"total": 12.5}') from None
    if not isinstance(value, dict):
        raise Misread("bad-json", 'the payload is not an object; write one like {"total": 12.5}')
    return value


def _no_number(word: str) -> None:
    raise ValueError(word)


# ── shared ──


class _Refused(Exception):
    """A row that cannot be taken, with every reason."""

    def __init__(self, reasons: list[Refusal]) -> None:
        super().__init__(len(reasons))
        self.reasons = reasons


def _plain(name: str) -> Source:
    return Source(lambda values: values.get(name), (name,))


def _plain_typed(name: str) -> Source:
    return Source(lambda values: typed(name, values.get(name)) if values.get(name) != "" else None, (name,))


def _all(sources: Mapping[str, Source], record: Record, reasons: list[Refusal]) -> dict[str, Any]:
    """Read each value; one that cannot be read is a reason against the row."""
    told: dict[str, Any] = {}
    for name, source in sources.items():
        try:
            told[name] = source.read(record.values)
        except Misread as misread:
            reasons.append(refusal(source.columns[0] if source.columns else "", misread))
    return told


def _at_column(reason: Refusal, column: str | None) -> Refusal:
    """The same reason, about the column of the file."""
    return Refusal(column or "", reason.code, reason.sentence, reason.hint)


def _problems(reasons: Iterable[Refusal], record: Record) -> Iterator[Problem]:
    for reason in reasons:
        place = record.at(reason.field or None)
        sentence = f"`{reason.field}`: {reason.sentence}" if reason.field else reason.sentence
        yield Problem(reason.code, sentence, place, reason.hint)


def _twice(id: str, position: Position) -> Problem:
    hint = "each id stands once in a file; the first one is taken"
    return Problem("duplicate-id-in-file", "this id stands in the file before", position, hint)


def _not_read(name: str, position: Position) -> Problem:
    meant = nearest(name, ["payload", *_EVENT])
    hint = f"did you mean `{meant}`?" if meant else f"write it as `payload.{name}` to keep it"
    return Problem("column-not-read", f"`{name}` of an event is not read", position, hint, Severity.warning)


def _no_part(mapping: FileMap, part: str) -> Problem:
    other = "events" if part == "people" else "people"
    hint = f"it says what {other} are; add `{part}:`, or import {other}"
    return Problem("no-part-in-map", f"the mapping file has no `{part}:`", mapping.sourced.at(()), hint)

"""Lines about people: which column is which, with or without a mapping, and the PersonRow or Problems of each line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from engine.imports.lines import Seen, about_column, column_of, no_part, plain, plain_cell, problems_of, read_all, twice
from engine.imports.mapping import Compiler, FileMap, PeopleMap, Source
from engine.imports.records import Columns, Record, missing_column
from engine.imports.rows import (
    REACH,
    ConsentWord,
    PersonRow,
    Refusal,
    granted,
    instant_or_none,
    refusal,
    refusals,
)
from engine.journey.problems import Problem, Severity
from engine.journey.quantities import Misread
from engine.journey.source import hint_for
from engine.settings import Settings

FIELDS: Final = ("id", "country", "email", "phone", "wechat", "push", "locale", "zone", "created_at", "tags")
EVIDENCE: Final = ("source", "at", "wording")
_USUAL: Final = {
    "mail": "email",
    "mobile": "phone",
    "telephone": "phone",
    "timezone": "zone",
    "openid": "wechat",
    "tag": "tags",
}


@dataclass(frozen=True)
class Consent:
    """How a word of consent is read."""

    channel: str
    topic: str
    granted: Source
    source: Source | None
    at: Source | None
    wording: Source | None = None


@dataclass(frozen=True)
class Plan:
    """How each part of a person is read from a line."""

    fields: Mapping[str, Source]
    attributes: Mapping[str, Source]
    consents: tuple[Consent, ...] = ()
    where: Callable[[Mapping[str, Any]], bool] | None = None
    repeated: bool = False


class PersonReader:
    """Reads the lines of one file."""

    def __init__(self, mapping: FileMap | None, settings: Settings) -> None:
        self._mapping = mapping
        self._settings = settings
        self._context = {"shop": settings.shop}
        self._seen = Seen()
        self._plan: Plan | None = None  # None: JSON lines without a mapping, where each line has its own keys
        self._plans: dict[tuple[str, ...], Plan] = {}

    def begin(self, columns: Columns | None) -> list[Problem]:
        """Settle how the file is read, or say why it cannot be. JSON lines have no columns."""
        if self._mapping is not None:
            if self._mapping.people is None:
                return [no_part(self._mapping, "people")]
            compiler = Compiler(columns.names if columns else None, self._mapping.sourced)
            self._plan = _mapped(self._mapping.people, compiler)
            return compiler.problems
        if columns is not None:
            self._plan = _unmapped(columns.names, plain_cell)
            return _doubts(columns, self._settings)
        return []

    def read(self, record: Record) -> Iterator[PersonRow | Problem]:
        plan = self._plan or self._of_json(record)
        if plan.where is not None and not plan.where(record.values):
            return
        reasons: list[Refusal] = []
        told = read_all(plan.fields, record, reasons)
        if plan.repeated and self._seen.holds(str(told.get("id", ""))):
            return
        row = self._row(plan, record, told, reasons)
        if row is None:
            yield from problems_of(reasons, record)
        elif self._seen.again(row.id):
            yield twice(record.at(column_of(plan.fields.get("id"))))
        else:
            yield row

    def rest(self) -> Iterator[PersonRow | Problem]:
        """Nothing is held back."""
        return iter(())

    def _row(self, plan: Plan, record: Record, told: dict[str, Any], reasons: list[Refusal]) -> PersonRow | None:
        told["attributes"] = read_all(plan.attributes, record, reasons)
        told["consents"] = tuple(_consents(plan, record, reasons))
        told["position"] = record.at()
        try:
            row = PersonRow.model_validate(told, context=self._context)
        except ValidationError as error:
            reasons += (about_column(one, column_of(plan.fields.get(one.field))) for one in refusals(error))
            return None
        return None if reasons else row

    def _of_json(self, record: Record) -> Plan:
        """Nested consents and attributes are laid flat; lines with the same keys share a plan."""
        record.values = _flat(record.values)
        names = tuple(record.values)
        if names not in self._plans:
            if len(self._plans) > 1000:  # every line has other keys: do not keep them all
                self._plans.clear()
            self._plans[names] = _unmapped(names, plain)
        return self._plans[names]


def _consents(plan: Plan, record: Record, reasons: list[Refusal]) -> Iterator[ConsentWord]:
    values = record.values
    for one in plan.consents:
        reading = one.granted
        try:
            said = granted(one.granted.read(values))
            if said is None:
                continue
            source = (one.source and one.source.read(values)) or "import"
            reading = one.at or one.granted
            at = instant_or_none(one.at.read(values)) if one.at else None
            wording = (one.wording and one.wording.read(values)) or ""
            yield ConsentWord(one.channel, one.topic, said, str(source), at, str(wording))
        except Misread as misread:
            reasons.append(refusal(column_of(reading) or "", misread))


# ── without a mapping ──


def _unmapped(names: tuple[str, ...], value_of: Callable[[str], Source]) -> Plan:
    """Columns under their own names; what has no other meaning is an attribute."""
    fields: dict[str, Source] = {name: plain(name) for name in FIELDS if name in names}
    whole_row = [plain(f"consent.{part}") if f"consent.{part}" in names else None for part in EVIDENCE]
    words = []
    for name in names:
        channel, topic = _consent_of(name)
        if channel in REACH and topic:
            own = [plain(f"{name}.{part}") if f"{name}.{part}" in names else None for part in EVIDENCE]
            source, at, wording = (one or row for one, row in zip(own, whole_row, strict=True))
            words.append(Consent(channel, topic, plain(name), source, at, wording))
    others = [name for name in names if name and name not in fields and not name.startswith("consent.")]
    return Plan(fields, {name: value_of(name) for name in others}, tuple(words))


def _consent_of(name: str) -> tuple[str, str]:
    """`consent.email.care` -> email, care. Nothing for other columns, nor for its source, instant and wording."""
    start, _, rest = name.partition(".")
    channel, _, topic = rest.partition(".")
    evidence = "." in topic and topic.rpartition(".")[2] in EVIDENCE
    return (channel, topic) if start == "consent" and not evidence else ("", "")


def _doubts(columns: Columns, settings: Settings) -> list[Problem]:
    """What looks like a mistake in the names of the columns."""
    if "id" not in columns.names:
        return [missing_column(columns, "id", "people")]
    found = ((name, _doubt(name, columns.names, settings)) for name in columns.names)
    return [
        Problem(doubt[0], doubt[1], columns.at(name), doubt[2], Severity.warning)
        for name, doubt in found
        if doubt is not None
    ]


def _doubt(name: str, names: tuple[str, ...], settings: Settings) -> tuple[str, str, str] | None:
    channel, topic = _consent_of(name)
    if topic and channel not in REACH:
        return "unknown-channel", f"`{name}`: there is no channel `{channel}`", hint_for(channel, REACH)
    if topic and topic != "*" and topic not in settings.topics:
        return "unknown-topic", f"`{name}`: there is no topic `{topic}`", hint_for(topic, settings.topics)
    meant = _meant(name)
    if meant and meant not in names:
        return "likely-column", f"column `{name}` is kept as an attribute", f"did you mean `{meant}`?"
    return None


def _meant(name: str) -> str | None:
    """The known column a name is nearly written like."""
    if name in FIELDS:
        return None
    bare = _bare(name)
    return _USUAL.get(bare) or {_bare(known): known for known in FIELDS}.get(bare)


def _bare(name: str) -> str:
    return "".join(sign for sign in name.lower() if sign.isalnum())


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


# ── with one ──


def _mapped(written: PeopleMap, compiler: Compiler) -> Plan:
    found: dict[str, Source | None] = {
        name: compiler.source(getattr(written, name), ("people", name)) for name in FIELDS
    }
    attributes = {
        name: compiler.source(cell, ("people", "attributes", name), name) for name, cell in written.attributes.items()
    }
    source = compiler.source(written.consent_source, ("people", "consent_source"))
    at = compiler.source(written.consent_at, ("people", "consent_at"))
    wording = compiler.source(written.consent_wording, ("people", "consent_wording"))
    words = []
    for name, cell in written.consent.items():
        channel, _, topic = name.partition(".")
        said = compiler.source(cell, ("people", "consent", name))
        if said is not None:
            words.append(Consent(channel, topic, said, source, at, wording))
    where = compiler.condition(written.where, ("people", "where"))
    return Plan(_there(found), _there(attributes), tuple(words), where, written.repeated)


def _there(found: Mapping[str, Source | None]) -> dict[str, Source]:
    return {name: source for name, source in found.items() if source is not None}

"""The two tables audiences are computed from, and the few SQL constructs that read them alike on SQLite and PostgreSQL.

Whatever lies in a JSON column, reading it never fails: a value of another type is NULL, which is "unknown".
Instants are those of sqlmodel: on SQLite text `YYYY-MM-DD HH:MM:SS.ffffff` in UTC, on PostgreSQL timestamptz.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, ColumnElement, Double, Integer, String, column, literal, table
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlmodel import UTCDateTime

from engine.audience.numbers import LARGEST, WHOLE_ABOVE

_JSON = JSON().with_variant(JSONB(), "postgresql")

_ID = BigInteger().with_variant(Integer(), "sqlite")  # names the row

customer = table(
    "customer",
    column("id", _ID),
    column("external_id", String),
    column("zone", String),
    column("locale", String),
    column("country", String),
    column("created_at", UTCDateTime()),
    column("attributes", _JSON),
    column("addresses", _JSON),
    column("tags", _JSON),
)

event = table(
    "event",
    column("id", _ID),
    column("customer_id", BigInteger),
    column("name", String),
    column("at", UTCDateTime()),
    column("received_at", UTCDateTime()),
    column("payload", _JSON),
)

rfm = table(
    "rfm",
    column("customer_id", _ID),
    column("r", Integer),
    column("f", Integer),
    column("m", Integer),
    column("segment", String),
)

habit = table(
    "habit",
    column("customer_id", _ID),
    column("channel", String),
    column("hour", Integer),
)


class _AtKey(FunctionElement[Any]):
    """Reads one key of a JSON object. Its clauses: the document, the key, and SQLite's path to it."""

    inherit_cache = True

    def __init__(self, document: ColumnElement[Any], key: str) -> None:
        super().__init__(document, literal(key, String()), literal("$." + json.dumps(key), String()))


class JsonKnown(_AtKey):
    """Is there a value other than null?"""

    type = Boolean()
    name = "json_known"
    inherit_cache = True


class JsonText(_AtKey):
    """The value if it is a text; true and false are texts too, as they are written."""

    type = String()
    name = "json_text"
    inherit_cache = True


class JsonTruth(_AtKey):
    """The value if it is true or false."""

    type = Boolean()
    name = "json_truth"
    inherit_cache = True


class JsonNumber(_AtKey):
    """The value as a double if it is a number and not larger than LARGEST."""

    type = Double()
    name = "json_number"
    inherit_cache = True


class TextInstant(FunctionElement[Any]):
    """A text as an instant, whole seconds, if it is written like one (`engine.audience.instants` says how)."""

    type = UTCDateTime()
    name = "text_instant"
    inherit_cache = True


class Whole(FunctionElement[float]):
    """A double rounded to a whole number, halves away from zero; above 2**52 there is nothing to round."""

    type = Double()
    name = "whole"
    inherit_cache = True


class Micros(FunctionElement[int]):
    """An instant as microseconds since 1970."""

    type = BigInteger()
    name = "micros"
    inherit_cache = True


class SecondsBefore(FunctionElement[Any]):
    """The instant so many seconds before an instant."""

    type = UTCDateTime()
    name = "seconds_before"
    inherit_cache = True


def _sqlite_key(element: FunctionElement[Any], compiler: SQLCompiler, options: Any) -> tuple[str, str]:
    document, _, path = element.clauses
    return compiler.process(document, **options), compiler.process(path, **options)


def _postgresql_key(element: FunctionElement[Any], compiler: SQLCompiler, options: Any) -> str:
    document, key, _ = element.clauses
    return f"(CAST({compiler.process(document, **options)} AS JSONB) -> {compiler.process(key, **options)})"


@compiles(JsonKnown, "sqlite")
def _known_sqlite(element: JsonKnown, compiler: SQLCompiler, **options: Any) -> str:
    document, path = _sqlite_key(element, compiler, options)
    return f"(coalesce(json_type({document}, {path}), 'null') <> 'null')"


@compiles(JsonKnown, "postgresql")
def _known_postgresql(element: JsonKnown, compiler: SQLCompiler, **options: Any) -> str:
    value = _postgresql_key(element, compiler, options)
    return f"(coalesce(jsonb_typeof({value}), 'null') <> 'null')"


@compiles(JsonText, "sqlite")
def _text_sqlite(element: JsonText, compiler: SQLCompiler, **options: Any) -> str:
    document, path = _sqlite_key(element, compiler, options)
    kind, value = f"json_type({document}, {path})", f"json_extract({document}, {path})"
    return f"(CASE {kind} WHEN 'text' THEN {value} WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' END)"


@compiles(JsonText, "postgresql")
def _text_postgresql(element: JsonText, compiler: SQLCompiler, **options: Any) -> str:
    value = _postgresql_key(element, compiler, options)
    return f"(CASE WHEN jsonb_typeof({value}) IN ('string', 'boolean') THEN {value} #>> '{{}}' END)"


@compiles(JsonTruth, "sqlite")
def _truth_sqlite(element: JsonTruth, compiler: SQLCompiler, **options: Any) -> str:
    document, path = _sqlite_key(element, compiler, options)
    return f"(CASE json_type({document}, {path}) WHEN 'true' THEN 1 WHEN 'false' THEN 0 END)"


@compiles(JsonTruth, "postgresql")
def _truth_postgresql(element: JsonTruth, compiler: SQLCompiler, **options: Any) -> str:
    value = _postgresql_key(element, compiler, options)
    return f"(CASE WHEN jsonb_typeof({value}) = 'boolean' THEN ({value} #>> '{{}}')::boolean END)"


@compiles(JsonNumber, "sqlite")
def _number_sqlite(element: JsonNumber, compiler: SQLCompiler, **options: Any) -> str:
    document, path = _sqlite_key(element, compiler, options)
    value = f"json_extract({document}, {path})"
    return (
        f"(CASE WHEN json_type({document}, {path}) IN ('integer', 'real') AND {value} BETWEEN -{LARGEST} AND {LARGEST}"
        f" THEN CAST({value} AS REAL) END)"
    )


@compiles(JsonNumber, "postgresql")
def _number_postgresql(element: JsonNumber, compiler: SQLCompiler, **options: Any) -> str:
    value = _postgresql_key(element, compiler, options)
    number = f"({value} #>> '{{}}')::numeric"
    # the inner CASE is only looked at for numbers; rounding first, because a double refuses what is too close to 0
    return (
        f"(CASE WHEN jsonb_typeof({value}) = 'number' THEN CASE WHEN {number} BETWEEN -{LARGEST} AND {LARGEST}"
        f" THEN round({number}, 100)::float8 END END)"
    )


@compiles(Whole, "sqlite")
def _whole_sqlite(element: Whole, compiler: SQLCompiler, **options: Any) -> str:
    return f"round({compiler.process(next(iter(element.clauses)), **options)})"


@compiles(Whole, "postgresql")
def _whole_postgresql(element: Whole, compiler: SQLCompiler, **options: Any) -> str:
    value = compiler.process(next(iter(element.clauses)), **options)  # PostgreSQL rounds halves of doubles to even
    return (
        f"(CASE WHEN abs({value}) > {WHOLE_ABOVE} THEN {value}"
        f" ELSE trunc({value} + CASE WHEN {value} < 0 THEN -0.5 ELSE 0.5 END) END)"
    )


@compiles(Micros, "sqlite")
def _micros_sqlite(element: Micros, compiler: SQLCompiler, **options: Any) -> str:
    at = compiler.process(next(iter(element.clauses)), **options)
    return f"(strftime('%s', substr({at}, 1, 19)) * 1000000 + CAST(substr({at}, 21, 6) AS INTEGER))"


@compiles(Micros, "postgresql")
def _micros_postgresql(element: Micros, compiler: SQLCompiler, **options: Any) -> str:
    at = compiler.process(next(iter(element.clauses)), **options)
    return f"CAST(extract(epoch FROM {at}) * 1000000 AS BIGINT)"


@compiles(SecondsBefore, "sqlite")
def _before_sqlite(element: SecondsBefore, compiler: SQLCompiler, **options: Any) -> str:
    at, seconds = (compiler.process(clause, **options) for clause in element.clauses)
    return f"(strftime('%Y-%m-%d %H:%M:%S', substr({at}, 1, 19), (-{seconds}) || ' seconds') || substr({at}, 20))"


@compiles(SecondsBefore, "postgresql")
def _before_postgresql(element: SecondsBefore, compiler: SQLCompiler, **options: Any) -> str:
    at, seconds = (compiler.process(clause, **options) for clause in element.clauses)
    return f"({at} - make_interval(secs => {seconds}))"


class Chance(FunctionElement[str]):
    """SHA-256 of a text, in hexadecimal. SQLite is taught it where its connections are made."""

    type = String()
    name = "chance"
    inherit_cache = True


@compiles(Chance, "sqlite")
def _chance_sqlite(element: Chance, compiler: SQLCompiler, **options: Any) -> str:
    return f"chance({compiler.process(next(iter(element.clauses)), **options)})"


@compiles(Chance, "postgresql")
def _chance_postgresql(element: Chance, compiler: SQLCompiler, **options: Any) -> str:
    text = compiler.process(next(iter(element.clauses)), **options)
    return f"(encode(sha256(convert_to({text}, 'UTF8')), 'hex') COLLATE \"C\")"


class MonthDay(FunctionElement[str]):
    """The month and the day of an instant in UTC: `12-24`."""

    type = String()
    name = "month_day"
    inherit_cache = True


@compiles(MonthDay, "sqlite")
def _month_day_sqlite(element: MonthDay, compiler: SQLCompiler, **options: Any) -> str:
    return f"substr({compiler.process(next(iter(element.clauses)), **options)}, 6, 5)"


@compiles(MonthDay, "postgresql")
def _month_day_postgresql(element: MonthDay, compiler: SQLCompiler, **options: Any) -> str:
    return f"to_char({compiler.process(next(iter(element.clauses)), **options)} AT TIME ZONE 'UTC', 'MM-DD')"


_DATE = "[12][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]"
_CLOCK = "[T ][0-2][0-9]:[0-5][0-9]"


@compiles(TextInstant, "sqlite")
def _instant_sqlite(element: TextInstant, compiler: SQLCompiler, **options: Any) -> str:
    """Cut the zone off, bring the rest to `YYYY-MM-DD HH:MM:SS`, and believe it only if SQLite, counting, keeps it."""
    text = compiler.process(next(iter(element.clauses)), **options)
    zone = (
        "CASE WHEN substr(t, -1) = 'Z' THEN 'Z'"
        " WHEN length(t) > 16 AND substr(t, -6) GLOB '[+-][0-9][0-9]:[0-9][0-9]' THEN substr(t, -6) ELSE '' END"
    )
    base = (
        f"CASE WHEN body GLOB '{_DATE}' AND zone = '' THEN body || ' 00:00:00'"
        f" WHEN body GLOB '{_DATE}{_CLOCK}' THEN replace(body, 'T', ' ') || ':00'"
        f" WHEN substr(body, 1, 19) GLOB '{_DATE}{_CLOCK}:[0-5][0-9]' AND (length(body) = 19"
        " OR (length(body) BETWEEN 21 AND 29 AND substr(body, 20, 1) = '.' AND substr(body, 21) NOT GLOB '*[^0-9]*'))"
        " THEN replace(substr(body, 1, 19), 'T', ' ') END"
    )
    cut = f"SELECT t, {zone} AS zone FROM (SELECT {text} AS t)"
    split = f"SELECT zone, substr(t, 1, length(t) - length(zone)) AS body FROM ({cut})"
    return (
        "(SELECT CASE WHEN base BETWEEN '1900' AND '2200' AND strftime('%Y-%m-%d %H:%M:%S', base, '+0 seconds') = base"
        " THEN strftime('%Y-%m-%d %H:%M:%S', base || zone) || '.000000' END"
        f" FROM (SELECT zone, {base} AS base FROM ({split})))"
    )


_LEAP_YEAR = "(19|20|21)(0[48]|[2468][048]|[13579][26])|2000"
_MONTH_AND_DAY = "(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8])"
_DAY = f"((19|20|21)[0-9][0-9]-({_MONTH_AND_DAY})|({_LEAP_YEAR})-02-29)"
_REST = r"([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])?)?"


@compiles(TextInstant, "postgresql")
def _instant_postgresql(element: TextInstant, compiler: SQLCompiler, **options: Any) -> str:
    """A cast that meets only texts the pattern has found to be instants."""
    text = compiler.process(next(iter(element.clauses)), **options)
    return (
        f"(CASE WHEN {text} ~ '^{_DAY}{_REST}$' THEN (substr({text}, 1, 10) || ' '"
        rf" || coalesce(substring({text} from '[T ](\d\d:\d\d(?::\d\d)?)'), '00:00')"
        rf" || coalesce(substring({text} from '(Z|[+-]\d\d:\d\d)$'), 'Z'))::timestamptz END)"
    )


class BySign(FunctionElement[str]):
    """A text that sorts sign by sign, on PostgreSQL as well."""

    type = String()
    name = "by_sign"
    inherit_cache = True


@compiles(BySign, "sqlite")
def _by_sign_sqlite(element: BySign, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(next(iter(element.clauses)), **options)


@compiles(BySign, "postgresql")
def _by_sign_postgresql(element: BySign, compiler: SQLCompiler, **options: Any) -> str:
    return f'({compiler.process(next(iter(element.clauses)), **options)} COLLATE "C")'


class Contains(FunctionElement[bool]):
    """Does the first text hold the second?"""

    type = Boolean()
    name = "contains"
    inherit_cache = True


@compiles(Contains, "sqlite")
def _contains_sqlite(element: Contains, compiler: SQLCompiler, **options: Any) -> str:
    text, part = (compiler.process(clause, **options) for clause in element.clauses)
    return f"(instr({text}, {part}) > 0)"


@compiles(Contains, "postgresql")
def _contains_postgresql(element: Contains, compiler: SQLCompiler, **options: Any) -> str:
    text, part = (compiler.process(clause, **options) for clause in element.clauses)
    return f"(strpos({text}, {part}) > 0)"

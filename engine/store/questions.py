"""Questions asked for every chunk of people: worked out once, then handed to the driver as they are.

SQLAlchemy knows the columns and how the driver tells their values; between the two it takes as long as the database. So
a question keeps its text, and its answers come as plain tuples, turned column by column.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import JSON, CompoundSelect, Connection, Dialect, Select
from sqlalchemy.types import TypeEngine

#: the option of a statement whose answer PostgreSQL is to give as it keeps it: written out, it takes both sides longer
IN_BINARY = "outreach_in_binary"
_named: Any = namedtuple
Turn = Callable[[Any], Any] | None  # what turns a value into the driver's, or the driver's into a value


@dataclass(frozen=True, slots=True)
class _Made:
    """A question for one kind of database."""

    text: str
    order: Sequence[str] | None  # of its parameters, where the driver takes them by place
    fixed: Mapping[str, Any]  # those that were written into it
    given: Mapping[str, Turn]
    found: Sequence[Turn]
    row: Any  # what holds the values of a row by the names of their columns

    def parameters(self, values: Mapping[str, Any]) -> Any:
        told = {**self.fixed, **values}
        bound = {name: turn(told[name]) if turn else told[name] for name, turn in self.given.items()}
        return bound if self.order is None else tuple(bound[name] for name in self.order)

    def read(self, rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
        if not rows:
            return []
        columns = zip(*rows, strict=True)
        turned = [map(turn, one) if turn else one for turn, one in zip(self.found, columns, strict=True)]
        return list(zip(*turned, strict=True))


class Question:
    """A SELECT of a fixed form; lists among its parameters are those of `tables.among`."""

    def __init__(self, query: Select[Any] | CompoundSelect[Any]) -> None:
        self._query = query
        self._made: dict[str, _Made] = {}

    def ask(self, connection: Connection, **values: Any) -> list[tuple[Any, ...]]:
        """All rows of the answer, each a tuple of its columns."""
        made = self._made.get(connection.dialect.name) or self._make(connection.dialect)
        result = connection.exec_driver_sql(made.text, made.parameters(values), {IN_BINARY: True})
        cursor = result.cursor
        assert cursor is not None
        rows = cursor.fetchall()
        result.close()
        return made.read(rows)

    def named(self, connection: Connection, **values: Any) -> list[Any]:
        """All rows of the answer, their values by the names of their columns."""
        rows = self.ask(connection, **values)
        return list(map(self._made[connection.dialect.name].row._make, rows))

    def _make(self, dialect: Dialect) -> _Made:
        compiled: Any = self._query.compile(dialect=dialect)
        given = {name: one.type.dialect_impl(dialect).bind_processor(dialect) for name, one in compiled.binds.items()}
        columns = self._query.selected_columns
        found = [_from_driver(column.type, dialect) for column in columns]
        row = _named("Row", columns.keys(), rename=True)
        fixed = {name: one.value for name, one in compiled.binds.items() if not one.required}
        order = compiled.positiontup if compiled.positional else None
        made = self._made[dialect.name] = _Made(str(compiled), order, fixed, given, found, row)
        return made


def _from_driver(kind: TypeEngine[Any], dialect: Dialect) -> Turn:
    """What turns the driver's value into ours: the text of JSON by one step instead of four."""
    if dialect.name == "sqlite" and isinstance(kind, JSON):
        return _from_json
    return kind.dialect_impl(dialect).result_processor(dialect, None)


_DECODER = msgspec.json.Decoder()


def _from_json(text: str | None) -> Any:
    return None if text is None else _DECODER.decode(text)

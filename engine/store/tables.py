"""The tables as SQLAlchemy Core knows them, for the bulk paths, and the few ways of writing that all of them share."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast
from weakref import WeakKeyDictionary

import msgspec
from sqlalchemy import (
    ARRAY,
    JSON,
    Column,
    ColumnDefault,
    ColumnElement,
    Connection,
    Dialect,
    Engine,
    Integer,
    Select,
    String,
    Table,
    TypeDecorator,
    bindparam,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import NullType, TypeEngine
from sqlmodel import SQLModel

from engine import models


def _table(model: type[SQLModel]) -> Table:
    return cast(Table, model.__table__)  # type: ignore[attr-defined]


counter = _table(models.Counter)
customer = _table(models.Customer)
event = _table(models.Event)
rfm = _table(models.Rfm)
habit = _table(models.Habit)
consent = _table(models.Consent)
suppression = _table(models.Suppression)
journey_version = _table(models.JourneyVersion)
journey_state = _table(models.JourneyState)
former_name = _table(models.FormerName)
journal = _table(models.Journal)
happened = _table(models.Happened)
run = _table(models.Run)
approval = _table(models.Approval)
request = _table(models.Request)
entrant = _table(models.Entrant)
chosen = _table(models.Chosen)
membership = _table(models.Membership)
crossing = _table(models.Crossing)
segment_state = _table(models.SegmentState)
enrollment = _table(models.Enrollment)
touch = _table(models.Touch)
message = _table(models.Message)
body = _table(models.Body)
batch = _table(models.Batch)
chunk = _table(models.Chunk)
delivery = _table(models.Delivery)
task = _table(models.Task)
turn = _table(models.Turn)
voucher = _table(models.Voucher)
trace = _table(models.Trace)
lane = _table(models.Lane)
kept = _table(models.Kept)
claim = _table(models.Claim)
inbox_entry = _table(models.InboxEntry)
alias = _table(models.Alias)
errand = _table(models.Errand)
report = _table(models.Report)
worker = _table(models.Worker)
import_ = _table(models.Import)
fact = _table(models.Fact)

Row = dict[str, Any]
IN_LIST = 5_000  # most values bound in one IN (...): far below SQLite's limit


class Many(TypeDecorator[Sequence[Any]]):
    """Any number of values as one: JSON on SQLite, an array on PostgreSQL."""

    impl = String
    cache_ok = True

    def __init__(self, of: TypeEngine[Any]) -> None:
        super().__init__()
        self.of = of

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(String() if dialect.name == "sqlite" else ARRAY(self.of))

    def process_bind_param(self, value: Sequence[Any] | None, dialect: Dialect) -> Any:
        values = list(value or ())
        return msgspec.json.encode(values).decode() if dialect.name == "sqlite" else values

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any] | None:
        """Numbers go to PostgreSQL as one text: the driver would turn each by itself, six times as slowly."""
        if dialect.name == "sqlite" or not isinstance(self.of, Integer):
            return super().bind_processor(dialect)
        return lambda values: "{" + ",".join(map(str, values or ())) + "}"


class _Among(FunctionElement[Any]):
    """Is the first among the values of the second?"""

    type = NullType()  # as a boolean it would be compared with 1 on SQLite, and no index would be looked into
    name = "among"
    inherit_cache = True


@compiles(_Among, "sqlite")
def _among_of_sqlite(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(one, **options) for one in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({values}))"


@compiles(_Among, "postgresql")
def _among_of_postgresql(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(one, **options) for one in element.clauses)
    return f"{column} = ANY ({values})"


def among(column: Column[Any], name: str = "ids") -> ColumnElement[bool]:
    """`column IN (:ids)`, for statements that are built once: one parameter, however many values there are."""
    return _Among(column, bindparam(name, type_=Many(column.type)))


def each_of(column: Column[Any], *conditions: ColumnElement[bool]) -> Select[Any]:
    """The different values of a column that leads an index, in order: a look into the index for each of them, however
    many rows there are."""
    least = select(func.min(column).label("value")).where(*conditions)
    found = least.cte(f"each_{column.name}", recursive=True)
    following = select(func.min(column)).where(column > found.c.value, *conditions)
    found = found.union_all(select(following.scalar_subquery()).where(found.c.value.is_not(None)))
    return select(found.c.value).where(found.c.value.is_not(None)).order_by(found.c.value)


def put(connection: Connection, table: Table, rows: Iterable[Row]) -> int:
    """Insert rows in bulk; their number. All have the same keys; what has none gets the column's default."""
    rows = list(rows)
    if rows:
        made = bulk_insert(table, tuple(rows[0]), connection.dialect)
        made.send(connection, made.values(rows))
    return len(rows)


def put_new(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert those rows whose key nobody has, also where others do the same at the same time."""
    if rows:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        connection.execute(dialect.insert(table).on_conflict_do_nothing(), list(rows))


def is_first(connection: Connection, table: Table, row: Row) -> bool:
    """Insert a row; False when another has its key."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    new = dialect.insert(table).values(row).on_conflict_do_nothing().returning(*table.primary_key)
    return connection.execute(new).first() is not None


@dataclass(frozen=True)
class Insert:
    """An INSERT for the driver, worked out once: column by column is a third of the price of row by row."""

    sql: str
    columns: tuple[tuple[str, Callable[[Any], Any] | None], ...]  # name, what turns its values into the driver's
    defaults: Row
    types: Sequence[str]  # of the columns, as PostgreSQL calls them

    def values(self, rows: Sequence[Row]) -> list[tuple[Any, ...]]:
        """The rows as the driver takes them."""
        if self.defaults:
            rows = [{**self.defaults, **row} for row in rows]
        return self._processed([row[name] for row in rows] for name, _ in self.columns)

    def given(self, rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
        """Rows that name no columns: their values stand in the order of the columns."""
        return self._processed(zip(*rows, strict=True))

    def send(self, connection: Connection, values: Sequence[tuple[Any, ...]]) -> None:
        """Hand rows to the driver: one INSERT for many on SQLite, one COPY on PostgreSQL."""
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(self.sql, values)
            return
        driver: Any = connection.connection.driver_connection
        try:
            with driver.cursor() as cursor, cursor.copy(self.sql) as copy:
                copy.set_types(self.types)
                for row in values:
                    copy.write_row(row)
        except connection.dialect.loaded_dbapi.Error as error:  # told as SQLAlchemy tells what fails in its own hands
            raise _told(error, self.sql, connection) from error

    def _processed(self, columns: Iterable[Sequence[Any]]) -> list[tuple[Any, ...]]:
        done = [
            values if process is None else list(map(process, values))
            for (_, process), values in zip(self.columns, columns, strict=True)
        ]
        return list(zip(*done, strict=True))


@lru_cache(maxsize=500)
def bulk_insert(table: Table, given: tuple[str, ...], dialect: Dialect) -> Insert:
    """The statement that inserts rows of these columns, and of those that have a default."""
    defaults = {
        column.name: column.default.arg({}) if column.default.is_callable else column.default.arg
        for column in table.columns
        if column.name not in given and isinstance(column.default, ColumnDefault)
    }
    names = (*given, *defaults)
    types = [table.c[name].type.dialect_impl(dialect) for name in names]
    quote = dialect.identifier_preparer
    place = f"{quote.format_table(table)} ({', '.join(map(quote.quote, names))})"
    if dialect.name == "sqlite":
        sql = f"INSERT INTO {place} VALUES ({', '.join('?' * len(names))})"
    else:
        sql = f"COPY {place} FROM STDIN (FORMAT BINARY)"
    columns = tuple((n, _to_driver(t, dialect)) for n, t in zip(names, types, strict=True))
    return Insert(sql, columns, defaults, [one.compile(dialect).lower() for one in types])


def _to_driver(kind: TypeEngine[Any], dialect: Dialect) -> Callable[[Any], Any] | None:
    """What turns a value into what the driver takes; a COPY writes JSON by itself."""
    if dialect.name == "sqlite" or not isinstance(kind, JSON):
        return kind.bind_processor(dialect)
    from psycopg.types.json import Jsonb

    return lambda value: None if value is None and kind.none_as_null else Jsonb(value, msgspec.json.encode)


def _told(error: Exception, sql: str, connection: Connection) -> DBAPIError:
    family: Any = connection.dialect.loaded_dbapi.Error
    told: Any = DBAPIError.instance(sql, None, error, family, hide_parameters=True, dialect=connection.dialect)
    return cast(DBAPIError, told)


#: whose numbers say nothing but who is who: on PostgreSQL they are taken in blocks, beside the transaction that uses
#: them, so that those who write at the same time do not wait for each other. All others are numbered in the order of
#: the commits.
_IN_BLOCKS = frozenset(one.name for one in (enrollment, touch, message, batch, chunk, delivery, trace))
_BLOCK = 2_000  # ids taken at once; those left when a process ends are never used


def take_ids(connection: Connection, table: Table, count: int) -> range | list[int]:
    """The next `count` ids of a table, taken in this transaction or, on PostgreSQL, beside it."""
    if count == 0:
        return range(0)
    if connection.dialect.name == "sqlite" or table.name not in _IN_BLOCKS:
        return raise_counter(connection, table, count)
    return _blocks_of(connection.engine).take(connection, table, count)


def raise_counter(connection: Connection, table: Table, count: int) -> range:
    """The next `count` ids in a row, in the order of the commits."""
    mark = _mark(connection.dialect)
    sql = f"UPDATE counter SET next = next + {mark} WHERE kind = {mark} RETURNING next"
    raised = connection.exec_driver_sql(sql, (count, table.name)).scalar()
    if raised is None:
        connection.execute(_FIRST, {"kind": table.name})
        raised = connection.exec_driver_sql(sql, (count, table.name)).scalar_one()
    return range(raised - count, raised)


_FIRST = text("INSERT INTO counter (kind, next) VALUES (:kind, 1) ON CONFLICT DO NOTHING")


class _Blocks:
    """Ids of one process for one PostgreSQL database, used from several threads."""

    def __init__(self) -> None:
        self._free: dict[str, deque[int]] = {}
        self._lock = threading.Lock()

    def take(self, connection: Connection, table: Table, count: int) -> list[int]:
        with self._lock:
            free = self._free.setdefault(table.name, deque())
            while len(free) < count:
                with connection.engine.connect() as beside, beside.begin():
                    beside.exec_driver_sql("SET LOCAL synchronous_commit = off")  # whoever uses them waits for the disk
                    free.extend(raise_counter(beside, table, _BLOCK))
            return [free.popleft() for _ in range(count)]


_BLOCKS: WeakKeyDictionary[Engine, _Blocks] = WeakKeyDictionary()


def _blocks_of(engine: Engine) -> _Blocks:
    return _BLOCKS.setdefault(engine, _Blocks())


def _mark(dialect: Dialect) -> str:
    """How the driver writes a parameter."""
    return "?" if dialect.paramstyle == "qmark" else "%s"


_FACT = select(fact.c.value).where(fact.c.name == bindparam("name"))


def get_fact(connection: Connection, name: str) -> str | None:
    """A single fact of this installation."""
    return cast("str | None", connection.execute(_FACT, {"name": name}).scalar())


def set_fact(connection: Connection, name: str, value: str) -> None:
    """Remember a single fact of this installation."""
    if not connection.execute(update(fact).where(fact.c.name == name).values(value=value)).rowcount:
        connection.execute(insert(fact), [{"name": name, "value": value}])


def in_parts(values: Sequence[Any], size: int = IN_LIST) -> Iterable[Sequence[Any]]:
    """Cut a long list of values into what one IN (...) may hold."""
    for start in range(0, len(values), size):
        yield values[start : start + size]

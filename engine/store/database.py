"""The database: how it is opened, how one reads and writes. SQL itself is in the modules beside this one, one per noun.

SQLite: write-ahead log, `synchronous=FULL` (a commit that was told survives a power cut), one writer at a time, which
takes its lock when it begins (`BEGIN IMMEDIATE`), so that a read never fails on its way to becoming a write.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlmodel import SQLModel

import engine.models  # noqa: F401 - fills the metadata
from engine.errors import Unfit

PAGE_BYTES = 16_384
BUSY_MS = 30_000


def sqlite_module() -> ModuleType:
    """pysqlite3 brings a SQLite of today; Debian's own has a bug in its write-ahead log."""
    for name in ("pysqlite3", "sqlite3"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise Unfit("this Python has no SQLite; install the package pysqlite3")


def wal_is_safe(version: tuple[int, ...]) -> bool:
    """SQLite 3.7.0 to 3.51.2 can lose pages when a log is reset; mended in 3.51.3, 3.50.7 and 3.44.6."""
    if version >= (3, 51, 3):
        return True
    return (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)


class Database:
    """One database. `reading()` and `writing()` give a connection for a block; `writing` commits at its end."""

    def __init__(self, url: str, durable: bool = True) -> None:
        self.url = make_url(url)
        self._durable = durable
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.statements = 0  # executed so far; tests hold the number per chunk constant
        self.engine = self._open_sqlite() if self.is_sqlite else create_engine(self.url)
        event.listen(self.engine, "before_cursor_execute", self._count)

    @property
    def path(self) -> Path | None:
        """The file of a SQLite database."""
        return Path(self.url.database) if self.is_sqlite and self.url.database else None

    def create(self) -> None:
        """Make the tables that are missing."""
        try:
            SQLModel.metadata.create_all(self.engine)
        except OperationalError as error:
            raise Unfit(f"the database {self.url.render_as_string()} cannot be opened: {error.orig}") from None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one state of the database and writes nothing."""
        with self.engine.connect() as connection, connection.begin():
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN")
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction: committed when the block ends, rolled back when it raises."""
        with self.engine.connect() as connection, connection.begin():
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection

    def close(self) -> None:
        self.engine.dispose()

    def _count(self, *_: Any) -> None:
        self.statements += 1

    def _open_sqlite(self) -> Engine:
        module = sqlite_module()
        if self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(
            self.url, module=module, connect_args={"check_same_thread": False, "timeout": BUSY_MS / 1000}
        )
        journal = "WAL" if wal_is_safe(module.sqlite_version_info) else "DELETE"

        @event.listens_for(engine, "connect")
        def prepare(connection: Any, _record: Any) -> None:
            connection.isolation_level = None  # transactions are begun by hand
            for pragma in (
                f"page_size={PAGE_BYTES}",
                f"journal_mode={journal}",
                f"synchronous={'FULL' if self._durable else 'OFF'}",
                f"busy_timeout={BUSY_MS}",
                "cache_size=-65536",
                "temp_store=MEMORY",
            ):
                connection.execute(f"PRAGMA {pragma}")

        return engine

    def ping(self) -> None:
        """Raise `Unfit` when the database does not answer."""
        try:
            with self.reading() as connection:
                connection.execute(text("SELECT 1"))
        except OperationalError as error:
            raise Unfit(f"the database does not answer: {error.orig}") from None

"""A database in the hands of its one daemon: a lock that is freed when its holder dies, however it dies.

SQLite: a lock of the system on a file beside it. PostgreSQL: an advisory lock of a session of its own, which ends with
its connection; a connection that was lost has to be noticed, and the lock taken again.
"""

from __future__ import annotations

import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from engine.errors import Busy, Unfit
from engine.store.database import WRITER, Database

log = logging.getLogger("outreach.hold")

DAEMON = WRITER + 1  # the advisory lock of PostgreSQL that the one daemon holds
PATIENCE = "2s"  # a holder that was killed is gone for PostgreSQL a moment later
ALIVE = "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3"
HOLDER = text(
    "SELECT a.application_name, a.backend_start FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid "
    "WHERE l.locktype = 'advisory' AND l.granted AND l.classid = 0 AND l.objid = :key AND l.objsubid = 1 "
    "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


class Hold:
    """Held for good once taken: nothing can be lost."""

    def renew(self) -> None:
        """Make sure that it is still held. `Busy` when another daemon holds it now, DBAPIError when nobody knows."""


@contextmanager
def held(database: Database, name: str, now: datetime, shared: bool = False) -> Iterator[Hold]:
    """Hold a database as its one daemon, known as `name`. `Busy`, naming the holder, when there is one already.

    With `shared`, on PostgreSQL, others who said so hold it too: workers beside each other."""
    if not database.is_sqlite:
        session = _Session(database, name, shared)
        session.renew()
        try:
            yield session
        finally:
            session.close()
    elif database.lock_file is None:  # in memory: nobody else can see it
        yield Hold()
    else:
        with _locked(database.lock_file, database.name, f"{name}, since {now:%Y-%m-%d %H:%M:%S} UTC"):
            yield Hold()


def is_held(database: Database) -> bool:
    """Does a daemon hold this database just now? Nobody can see it of one in memory."""
    if not database.is_sqlite:
        with database.reading() as connection:
            return connection.execute(HOLDER, {"key": DAEMON}).first() is not None
    if database.lock_file is None or not database.lock_file.exists():
        return False
    with database.lock_file.open() as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


@contextmanager
def _locked(lock: Path, database: str, told: str) -> Iterator[None]:
    with lock.open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.seek(0)
            raise _busy(database, handle.read().strip()) from None
        handle.truncate(0)
        handle.write(told)
        handle.flush()
        try:
            yield
        finally:
            handle.truncate(0)


def _busy(database: str, holder: str) -> Busy:
    who = holder or "another process"
    return Busy(f"{database} is already run by {who}; stop it first, or use another database")


class _Session(Hold):
    """A session of PostgreSQL that holds the lock as long as it lasts. Its name tells others who it is."""

    def __init__(self, database: Database, name: str, shared: bool) -> None:
        self._database = database
        self._name = name
        self._lock = "pg_advisory_lock_shared" if shared else "pg_advisory_lock"
        self._connection: Connection | None = None

    def renew(self) -> None:
        if self._connection is not None:
            try:
                self._connection.exec_driver_sql("SELECT 1")
                return
            except DBAPIError as error:
                log.warning("the connection that held %s was lost; taking it again: %s", self._database.name, error)
                self.close()
        self._connection = self._take()

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(DBAPIError):
                connection.close()

    def _take(self) -> Connection:
        connection = self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        connection.detach()  # the pool never sees it again: closed, it is gone, and the lock with it
        try:
            connection.execute(text("SELECT set_config('application_name', :name, false)"), {"name": self._name})
            connection.exec_driver_sql(f"SET lock_timeout = '{PATIENCE}'; {ALIVE}")
            connection.execute(text(f"SELECT {self._lock}(:key)"), {"key": DAEMON})
        except DBAPIError as error:
            try:
                raise self._refusal(connection, error) from None
            finally:
                with suppress(DBAPIError):
                    connection.close()
        return connection

    def _refusal(self, connection: Connection, error: DBAPIError) -> Exception:
        if "lock timeout" not in str(error.orig):
            return error
        row = connection.execute(HOLDER, {"key": DAEMON}).first()
        name = self._database.url.database or self._database.name
        if row is None or not row.application_name:
            return _busy(name, "")
        if row.application_name == self._name:  # our own lost connection, of which PostgreSQL does not know yet
            return Unfit(f"PostgreSQL has not yet noticed that an earlier connection of ours to {name} is gone")
        return _busy(name, f"{row.application_name}, since {row.backend_start:%Y-%m-%d %H:%M:%S} UTC")

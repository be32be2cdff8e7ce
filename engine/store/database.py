"""The database: how it is opened, how one reads and writes. SQL itself is in the modules beside this one, one per noun.

SQLite: write-ahead log, `synchronous=FULL` (a commit that was told survives a power cut), one writer at a time, which
takes its lock when it begins (`BEGIN IMMEDIATE`), so that a read never fails on its way to becoming a write.
PostgreSQL: the same by its own means, an advisory lock for who writes and one snapshot for who reads. Those on the hot
paths share that lock (`writing(beside=True)`): they keep clear of each other by the rows of the people they are about.
"""

from __future__ import annotations

import fcntl
import importlib
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError

from engine import migrations
from engine.errors import Busy, Unfit
from engine.store.questions import IN_BINARY

PAGE_BYTES = 16_384
BUSY_MS = 30_000  # a writer waits so long for another
JOURNAL_TRIES = 10  # how often one may be refused while others set the journal of a new file
WRITER = 0x6F757472  # the advisory lock of PostgreSQL that a writer holds, and those on the hot paths share
IDLE_MS = 15_000  # PostgreSQL ends a writer that is stopped for so long, and frees what it locked
IDLE_BESIDE_MS = 4_000  # one of those beside each other, for which all wait: before signs of life are missed
ALIVE = {  # a server that is gone is noticed: probes of the connection, in seconds
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
IN_UTC = {"options": "-c timezone=UTC"}  # instants come as we keep them

READ_BACK_TRIES, READ_BACK_WAIT = 10, 1.0  # how often, and after how many seconds, one asks what became of a commit

_ENCODER, _DECODER = msgspec.json.Encoder(), msgspec.json.Decoder()
_JSON: dict[str, Any] = {
    "json_serializer": lambda value: _ENCODER.encode(value).decode(),
    "json_deserializer": _DECODER.decode,
}

CURES = {  # a sign in what the database said -> what to do
    "not a database": "it is no SQLite database; name another file under `database:` in config.yaml",
    "malformed": "it is damaged; bring back a copy of it",
    "unable to open": "look at the rights of the file and its folder",
    "readonly": "look at the rights of the file and its folder",
    "locked": "another process is writing to it; wait for it, or stop it",
    "lock timeout": "another process is writing to it; wait for it, or stop it",
    "full": "make room on the disk",
    "disk I/O": "look at the disk: its room, how it is mounted, what the log of the system says of it",
}


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


def _read_url(text: str) -> URL:
    try:
        return make_url(text)
    except ArgumentError:
        raise Unfit(
            "`database:` in config.yaml is no URL of a database; write sqlite:///outreach.db or postgresql://HOST/NAME"
        ) from None


def _first(error: DBAPIError) -> DBAPIError:
    """What went wrong to begin with; what then was tried in vain says little."""
    before: BaseException | None = error
    while before is not None:
        error = before if isinstance(before, DBAPIError) else error
        before = before.__context__
    return error


def told_plainly(error: DBAPIError) -> str:
    """What the database said went wrong to begin with, and what to do about it."""
    said = str(_first(error).orig).strip()
    return f"{said}; {next((cure for sign, cure in CURES.items() if sign in said), 'see: outreach doctor')}"


def _chance(text: str | None) -> str | None:
    """What PostgreSQL knows by itself: see `engine.audience.tables.Chance`."""
    return None if text is None else sha256(text.encode()).hexdigest()


class Database:
    """One database. `reading()` and `writing()` give a connection for a block; `writing` commits at its end."""

    def __init__(self, url: str, durable: bool = True) -> None:
        self.url = _read_url(url)
        self._durable = durable
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._turns = Turns()
        self.statements = 0  # executed so far; tests hold the number per chunk constant
        self.engine = self._open_sqlite() if self.is_sqlite else self._open_postgres()
        event.listen(self.engine, "before_cursor_execute", self._count)

    @property
    def path(self) -> Path | None:
        """The file of a SQLite database."""
        return Path(self.url.database) if self.is_sqlite and self.url.database else None

    @property
    def name(self) -> str:
        """What people know it by; no password is in it."""
        return self.path.name if self.path else self.url.render_as_string()

    @property
    def lock_file(self) -> Path | None:
        """Held by the one daemon of a SQLite database."""
        return Path(f"{self.path}.lock") if self.path else None

    def create(self) -> None:
        """Bring the tables to those of today. `Unfit`, with nothing changed, when that cannot be."""
        try:
            with self.reading() as connection:
                ready = migrations.at_head(connection, self.name)
            self._set_journal()
            if not ready:
                with self._without_daemon(), self.writing() as connection:
                    migrations.bring_to_head(connection, self.name)
        except DBAPIError as error:
            raise Unfit(f"the database {self.name} cannot be opened, and is as it was: {told_plainly(error)}") from None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one state of the database and writes nothing."""
        with self.engine.connect() as connection, connection.begin():
            connection.exec_driver_sql(
                "BEGIN" if self.is_sqlite else "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
            )
            yield connection

    @contextmanager
    def writing(self, patience: float = BUSY_MS / 1000, beside: bool = False) -> Iterator[Connection]:
        """One transaction: committed when the block ends, rolled back when it raises. A commit that PostgreSQL did not
        answer is asked for: what was done is never told as failed, nor the other way round.

        Who writes goes in the order in which they came. OperationalError for who has not got a turn after `patience`
        seconds: in this process, and then in the database. With `beside`, on PostgreSQL, others who said so too may
        write at the same time: whoever does first locks the people it is about (`customers.hold`).
        """
        turn = self._turns.taken(patience) if self.is_sqlite else nullcontext()
        number, ended = 0, False
        with turn, self.engine.connect() as connection:
            try:
                with connection.begin():
                    if self.is_sqlite:
                        with _waiting(connection, round(patience * 1000)):
                            connection.exec_driver_sql("BEGIN IMMEDIATE")
                    else:
                        number = _begin(connection, patience, beside)
                    yield connection
                    ended = True
            except DBAPIError:
                if not ended or self.is_sqlite or not self._was_committed(number):
                    raise

    def _was_committed(self, number: int) -> bool:
        """What PostgreSQL did with a transaction whose commit it did not answer; False where it cannot be asked.

        Whoever asks stands in line as a writer, so behind the transaction itself if that is not over yet.
        """
        for _ in range(READ_BACK_TRIES):
            with suppress(OperationalError), self.engine.connect() as connection:
                _begin(connection, BUSY_MS / 1000)
                found = connection.exec_driver_sql("SELECT pg_xact_status(%s::text::xid8)", (str(number),)).scalar()
                return found == "committed"
            threading.Event().wait(READ_BACK_WAIT)
        return False

    def _set_journal(self) -> None:
        """SQLite keeps it in the file, so it is not touched before the file is known to be ours.

        Of two that set it in a new file at the same time one is refused without a wait: it stands in line as a writer,
        behind the other, and then finds it done.
        """
        if not self.is_sqlite:
            return
        with self.engine.connect() as connection:
            for _ in range(JOURNAL_TRIES):
                try:
                    connection.exec_driver_sql(f"PRAGMA journal_mode={self._journal}")
                    return
                except OperationalError as error:
                    if "locked" not in str(error.orig):
                        raise
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                connection.exec_driver_sql("ROLLBACK")
            connection.exec_driver_sql(f"PRAGMA journal_mode={self._journal}")

    @contextmanager
    def _without_daemon(self) -> Iterator[None]:
        """No daemon may run on tables that change under it. `Busy`, naming it, when one does."""
        if self.lock_file is None or not self.lock_file.exists():
            yield
            return
        with self.lock_file.open() as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise Busy(
                    f"{self.name} has to be upgraded and is run by {handle.read().strip() or 'another process'}; "
                    "stop it, then run the same command again"
                ) from None
            yield

    def close(self) -> None:
        self.engine.dispose()

    def _count(self, *_: Any) -> None:
        self.statements += 1

    def _open_sqlite(self) -> Engine:
        module = sqlite_module()
        if self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(
            self.url,
            **_JSON,
            module=module,
            # of a file: the same connection again has its pages in mind
            **({"pool_use_lifo": True} if self.url.database else {}),
            connect_args={"check_same_thread": False, "timeout": BUSY_MS / 1000},
            hide_parameters=True,  # errors are logged and shown; values are people's
        )
        self._journal = "WAL" if wal_is_safe(module.sqlite_version_info) else "DELETE"

        @event.listens_for(engine, "connect")
        def prepare(connection: Any, _record: Any) -> None:
            connection.isolation_level = None  # transactions are begun by hand
            connection.create_function("chance", 1, _chance, deterministic=True)
            for pragma in (
                f"page_size={PAGE_BYTES}",
                f"synchronous={'FULL' if self._durable else 'OFF'}",
                f"busy_timeout={BUSY_MS}",
                "cache_size=-40960",  # KiB for each connection: a daemon at its busiest stays below 200 MiB
                "temp_store=MEMORY",
            ):
                connection.execute(f"PRAGMA {pragma}")

        return engine

    def _open_postgres(self) -> Engine:
        try:
            engine = create_engine(
                self.url,
                **_JSON,
                pool_pre_ping=True,
                pool_use_lifo=True,  # the same connection again knows the statements
                hide_parameters=True,
                connect_args={name: value for name, value in (ALIVE | IN_UTC).items() if name not in self.url.query},
            )
        except NoSuchModuleError:
            raise Unfit(f"outreach keeps its data in SQLite or PostgreSQL, not in {self.url.drivername}") from None
        except ModuleNotFoundError as error:
            raise Unfit(f"PostgreSQL needs {error.name}: pip install 'outreach[postgres]'") from None

        @event.listens_for(engine, "before_cursor_execute")
        def prepare(_connection: Any, cursor: Any, _sql: Any, _values: Any, context: Any, _many: Any) -> None:
            cursor.format = int(IN_BINARY in context.execution_options)

        return engine

    def ping(self) -> None:
        """Raise `Unfit` when the database does not answer."""
        try:
            with self.reading() as connection:
                connection.execute(text("SELECT 1"))
        except OperationalError as error:
            raise Unfit(f"the database does not answer: {error.orig}") from None


class Turns:
    """Threads that write go in the order in which they came.

    SQLite lets whoever looks at the right moment go first: a thread that writes again and again would keep another
    waiting for as long as it likes.
    """

    def __init__(self) -> None:
        self._line: deque[object] = deque()
        self._moved = threading.Condition()

    @contextmanager
    def taken(self, patience: float) -> Iterator[None]:
        """Stand in line, then be the one who writes."""
        mine = object()
        with self._moved:
            self._line.append(mine)
            if not self._moved.wait_for(lambda: self._line[0] is mine, patience):
                self._leave(mine)
                raise OperationalError("BEGIN IMMEDIATE", None, TimeoutError("database is locked"))
        try:
            yield
        finally:
            with self._moved:
                self._leave(mine)

    def _leave(self, mine: object) -> None:
        self._line.remove(mine)
        self._moved.notify_all()


def _begin(connection: Connection, patience: float, beside: bool = False) -> int:
    """Be the one who writes to PostgreSQL, or one of those beside each other; the number of this transaction, by which
    one can ask for it later."""
    lock = "pg_advisory_xact_lock_shared" if beside else "pg_advisory_xact_lock"
    sql = (
        "SELECT set_config('lock_timeout', %s, true), set_config('idle_in_transaction_session_timeout', %s, true), "
        f"{lock}(%s), pg_current_xact_id()::text"
    )
    idle = IDLE_BESIDE_MS if beside else IDLE_MS
    row = connection.exec_driver_sql(sql, (str(round(patience * 1000)), str(idle), WRITER)).one()
    return int(row[3])


@contextmanager
def _waiting(connection: Connection, milliseconds: int) -> Iterator[None]:
    """Another process may hold the file: wait for it so long at most."""
    if milliseconds == BUSY_MS:
        yield
        return
    driver: Any = connection.connection.driver_connection
    driver.execute(f"PRAGMA busy_timeout={milliseconds}")
    try:
        yield
    finally:
        driver.execute(f"PRAGMA busy_timeout={BUSY_MS}")

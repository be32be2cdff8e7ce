"""Real daemons for tests: processes one can kill, a mail server with its own record, and ways to wait for both.

Processes are forked from one that has everything loaded, so that starting thirty costs what starting one does; each is
a process of its own that runs the command line, and is as mortal as any.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_bytes
from functools import cached_property
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session
from shops import SECRET

from engine.store.database import sqlite_module

PATIENCE = 60.0  # seconds anything waited for may take; far more than it does
TAIL = 4_000  # characters of what a process printed that are looked at
BREATH = 5  # milliseconds between two looks at something that cannot be waited for

_NURSERY = """
import json, os, sys
from engine.cli.main import run_command
import engine.daemon, engine.work.tick, aiosmtplib, apscheduler.schedulers.background, uvicorn, channels.registry
try:
    import engine.work.crew
except ImportError:  # what PostgreSQL needs is not installed
    pass
engine.work.ballast.SIZE = 4096  # there are many of them
for name in ("smtp", "maildir", "simulated"):
    channels.registry.find(name)
for line in sys.stdin:
    order = json.loads(line)
    if "wait" in order:
        status = os.waitpid(order["wait"], 0)[1]
        print(os.waitstatus_to_exitcode(status), flush=True)
        continue
    child = os.fork()
    if not child:
        out = os.open(order["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for number in (1, 2):
            os.dup2(out, number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(order["cwd"])
        for setting, value in order["set"].items():
            setattr(engine.daemon, setting, value)
        exec(compile(order["first"], "first", "exec"), {})
        sys.exit(run_command(order["args"]))
    print(child, flush=True)
"""


class Running:
    """One process of `outreach`."""

    def __init__(self, nursery: Nursery, pid: int, out: Path) -> None:
        self.pid = pid
        self._out = out
        self._nursery = nursery
        self._handle = os.pidfd_open(pid)
        self._code: int | None = None

    def ended(self, milliseconds: float = 0) -> bool:
        """Has it ended, waiting so long at most?"""
        poll = select.poll()
        poll.register(self._handle, select.POLLIN)
        return bool(poll.poll(milliseconds))

    def wait(self, seconds: float = PATIENCE) -> int:
        """Its exit code; minus the signal's number when one killed it."""
        if self._code is None:
            assert self.ended(seconds * 1000), f"still running after {seconds} s:\n{self.told}"
            self._code = self._nursery.exit_code(self.pid)
        return self._code

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal; the default is one it cannot hear."""
        if self._code is None:
            signal.pidfd_send_signal(self._handle, number)

    def until(self, holds: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Wait until something has come true while it runs."""
        for _ in range(int(seconds * 1000 / BREATH)):
            if holds():
                return
            assert not self.ended(BREATH), f"it ended with {self.wait()}:\n{self.told}"
        raise AssertionError(f"did not come true within {seconds} s:\n{self.told}")

    def until_told(self, words: str) -> None:
        self.until(lambda: words in self.told)

    @property
    def told(self) -> str:
        """What it has printed so far, the end of it."""
        return self._out.read_text()[-TAIL:] if self._out.exists() else ""

    @cached_property
    def port(self) -> int:
        """Where its web server listens."""
        return int(self._out.read_text().split("listening on ")[1].split("\n")[0].split(":")[1])

    def health(self) -> dict[str, Any]:
        """What it says of itself."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health") as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            return dict(json.load(error))


class Nursery:
    """Where processes come from."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._mother = subprocess.Popen(
            [sys.executable, "-c", _NURSERY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OUTREACH_SECRET": SECRET, "LANG": "C.UTF-8", "LANGUAGE": "en"},
        )
        self._children: list[Running] = []

    def start(self, shop: Path, *args: str, first: str = "", **settings: Any) -> Running:
        """Run an outreach command in a shop's folder, after some lines of Python that may prepare its end.

        `settings` change constants of the daemon.
        """
        self._count += 1
        out = self._folder / f"process-{self._count}.txt"
        command = ["--config", str(shop / "config.yaml"), *args]
        pid = self._ask({"args": command, "cwd": str(shop), "out": str(out), "set": settings, "first": first})
        self._children.append(Running(self, pid, out))
        return self._children[-1]

    def daemon(self, shop: Path, **settings: Any) -> Running:
        """A daemon that has begun to beat."""
        started = self.start(shop, "daemon", **settings)
        started.until_told("stop with Ctrl-C")
        return started

    def exit_code(self, pid: int) -> int:
        return self._ask({"wait": pid})

    def _ask(self, order: dict[str, Any]) -> int:
        assert self._mother.stdin
        assert self._mother.stdout
        self._mother.stdin.write(json.dumps(order) + "\n")
        self._mother.stdin.flush()
        return int(self._mother.stdout.readline())

    def close(self) -> None:
        for child in self._children:
            with suppress(ProcessLookupError):
                child.kill()
            child.wait()
        assert self._mother.stdin
        self._mother.stdin.close()
        self._mother.wait(PATIENCE)
        assert self._mother.stdout
        self._mother.stdout.close()


@contextmanager
def nursery(folder: Path) -> Iterator[Nursery]:
    folder.mkdir(parents=True, exist_ok=True)
    made = Nursery(folder)
    try:
        yield made
    finally:
        made.close()


# --- a mail server ---------------------------------------------------------------------------------------------------

OK = "250 2.0.0 Ok"


@dataclass
class Post:
    """A real SMTP server. What stands in `taken` it took responsibility for, whatever became of its answer."""

    port: int = 0
    taken: list[str] = field(default_factory=list)  # Message-IDs, without brackets and domain
    mails: list[bytes] = field(default_factory=list)
    tries: list[str] = field(default_factory=list)  # Message-IDs of every mail that was handed over whole
    answer: Callable[[str, int], str | None] = lambda key, nth: OK  # to (key, its nth try); None: hang up
    before: Callable[[str], None] | None = None  # called with the key before a mail is taken
    after: Callable[[int], None] | None = None  # called with their number once one more was taken, before the answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        raw = bytes(envelope.content or b"")
        key = str(message_from_bytes(raw)["Message-ID"]).strip("<>").partition("@")[0]
        self.tries.append(key)
        if self.before is not None:
            self.before(key)
        said = self.answer(key, self.tries.count(key))
        if said is None or said.startswith("2"):
            self.taken.append(key)
            self.mails.append(raw)
            if self.after is not None:
                self.after(len(self.taken))
        if said is None:
            assert server.transport is not None
            server.transport.abort()
            return OK
        return said


@contextmanager
def post() -> Iterator[Post]:
    """A mail server in a thread of the test."""
    office = Post()
    ready = threading.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> asyncio.Server:
        return await loop.create_server(lambda: SMTP(office, hostname="localhost", loop=loop), "127.0.0.1", 0)

    def run() -> None:
        asyncio.set_event_loop(loop)
        server = loop.run_until_complete(serve())
        office.port = server.sockets[0].getsockname()[1]
        ready.set()
        loop.run_forever()
        server.close()
        for left in asyncio.all_tasks(loop):
            left.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    thread = threading.Thread(target=run, name="post")
    thread.start()
    assert ready.wait(PATIENCE)
    try:
        yield office
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)


# --- shops that a daemon runs ----------------------------------------------------------------------------------------


def set_clock(shop: Path, instant: datetime) -> None:
    """Move the clock of a running daemon, in one step."""
    fresh = shop / "clock.new"
    fresh.write_text(instant.isoformat())
    fresh.replace(shop / "clock.txt")


class Books:
    """The database, read beside everybody by the plainest of means."""

    def __init__(self, shop: Path) -> None:
        self._connection = sqlite_module().connect(f"file:{shop / 'outreach.db'}?mode=ro", uri=True, timeout=30)

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return list(self._connection.execute(query, values))

    def one(self, query: str, *values: Any) -> Any:
        found = self.rows(query, *values)
        return found[0][0] if found else None

    def close(self) -> None:
        self._connection.close()


def most(values: Sequence[str]) -> int:
    """How often the most frequent of them occurs."""
    return max(Counter(values).values(), default=0)

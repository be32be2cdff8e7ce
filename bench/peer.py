"""Who is at the other end of a connection, on this machine: sinks hit the very process that sends to them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TABLES = ("/proc/net/tcp", "/proc/net/tcp6")


@dataclass
class Strike:
    """A blow for whoever sends next: `when` is where in the hand-over it falls.

    `body`: a part of the message is read, the rest never is. `before`: all of it is read, nothing is accepted.
    `accept`: it is accepted and written down, not answered. `answer`: it is answered.
    """

    when: str
    signal: int = signal.SIGKILL
    times: int = 1

    def falls(self, when: str, transport: asyncio.BaseTransport) -> bool:
        """Does it fall here? Then it has, when this returns."""
        if self.when != when or self.times <= 0:
            return False
        self.times -= 1
        hit(transport, self.signal)
        return True


NONE = Strike("", times=0)


def hit(transport: asyncio.BaseTransport, number: int) -> None:
    """Send a signal to the process at the other end."""
    pid = process_at(transport.get_extra_info("peername")[1], transport.get_extra_info("sockname")[1])
    if pid is not None:
        os.kill(pid, number)


def process_at(port: int, to: int) -> int | None:
    """The process that holds the connection from one port of this machine to another."""
    names = {f"socket:[{inode}]" for inode in _inodes(port, to)}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and names & set(_open_in(folder)):
            return int(folder.name)
    return None


def _inodes(port: int, to: int) -> Iterator[str]:
    for table in TABLES:
        with suppress(OSError):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                words = line.split()
                if [int(words[column].rpartition(":")[2], 16) for column in (1, 2)] == [port, to]:
                    yield words[9]


def _open_in(folder: Path) -> Iterator[str]:
    with suppress(OSError):
        for file in (folder / "fd").iterdir():
            with suppress(OSError):
                yield os.readlink(file)

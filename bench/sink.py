"""A mail server that accepts everything and keeps nothing, in a process of its own. It says how much it took.

With a ledger (bench/ledger.py) it writes every mail to a file before it answers; its key is what its Message-ID begins
with. `--die N` ends the process, with all its connections, when it has accepted N mails and answered one less. The
command `XHIT accept 9` asks it to send a signal to whoever sends next (bench/peer.py says when).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
import smtplib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.aside import serve, started
from bench.ledger import Ledger
from bench.peer import NONE, Strike

GREETING = b"220 sink.example.com ESMTP\r\n"
ABILITIES = b"250-sink.example.com\r\n250-SIZE 10485760\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"
OK = b"250 ok\r\n"
END = b"\r\n.\r\n"


class Sink(asyncio.Protocol):
    """One connection. Commands are answered a line at a time, a message when its final dot has come."""

    abilities = ABILITIES
    ledger: Ledger | None = None
    die_at = 0
    taken = 0
    strike = NONE

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        self._waiting = b""
        self._in_message = False
        self._left = False
        self._transport.write(GREETING)

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        self._said: list[bytes] = []
        while self._message() if self._in_message else self._command():
            pass
        if self._said:
            self._transport.write(b"".join(self._said))
        if self._left:
            self._transport.close()

    def _message(self) -> bool:
        if self._waiting and Sink.strike.falls("body", self._transport):
            return self._hang_up()
        if not self._waiting.endswith(END) and END not in self._waiting:
            return False
        mail, _, self._waiting = self._waiting.partition(END)
        self._in_message = False
        if Sink.strike.falls("before", self._transport):
            return self._hang_up()
        Sink.taken += 1
        if Sink.ledger is not None:
            Sink.ledger.take([(_key(mail), mail)], keyed=False)
        if Sink.taken == Sink.die_at:
            os._exit(1)
        Sink.strike.falls("accept", self._transport)
        self._said.append(b"250 2.0.0 queued as %X\r\n" % Sink.taken)
        if Sink.strike.when == "answer" and Sink.strike.times:
            self._transport.write(b"".join(self._said))
            self._said.clear()
            Sink.strike.falls("answer", self._transport)
        return True

    def _hang_up(self) -> bool:
        self._said.clear()
        self._transport.abort()
        return False

    def _command(self) -> bool:
        line, found, rest = self._waiting.partition(b"\r\n")
        if not found:
            return False
        self._waiting = rest
        match line[:4].upper():
            case b"EHLO":
                self._said.append(Sink.abilities)
            case b"DATA":
                self._in_message = True
                self._said.append(b"354 go on\r\n")
            case b"VRFY":
                self._said.append(b"252 %d\r\n" % Sink.taken)
            case b"XHIT":
                _, when, number = line.decode("ascii").split()
                Sink.strike = Strike(when, int(number))
                self._said.append(OK)
            case b"QUIT":
                self._said.append(b"221 bye\r\n")
                self._left = True
                return False
            case _:
                self._said.append(OK)
        return True


def _key(mail: bytes) -> bytes:
    """What the Message-ID of a mail begins with."""
    found = re.search(rb"^Message-ID: <([^@>]*)", mail, re.IGNORECASE | re.MULTILINE)
    return found[1] if found else b"-"


@dataclass(frozen=True)
class Place:
    """Where the sink listens."""

    port: int
    process: subprocess.Popen[str]

    def taken(self) -> int:
        """How many messages it has accepted so far."""
        with smtplib.SMTP("127.0.0.1", self.port) as client:
            return int(client.verify("count")[1])

    def strike(self, when: str, number: int = signal.SIGKILL) -> None:
        """Whoever sends next is hit."""
        with smtplib.SMTP("127.0.0.1", self.port) as client:
            client.docmd("XHIT", f"{when} {int(number)}")


@contextmanager
def running(
    ledger: Path | None = None,
    *,
    port: int = 0,
    sync: bool = False,
    pipelining: bool = False,
    die: int = 0,
    mark: str = "",
) -> Iterator[Place]:
    """A sink for the time of a block."""
    options = [f"--port={port}", f"--die={die}", f"--mark={mark}"]
    options += ["--pipelining"] * pipelining + ["--sync"] * sync + [f"--ledger={ledger}"] * bool(ledger)
    with started("bench.sink", *options) as (listens, process):
        yield Place(listens, process)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.sink", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="where to listen (default: any free one)")
    parser.add_argument("--ledger", type=Path, help="write every accepted mail to this file before answering")
    parser.add_argument("--sync", action="store_true", help="and to the disk (fsync)")
    parser.add_argument("--pipelining", action="store_true", help="offer PIPELINING (RFC 2920)")
    parser.add_argument("--die", type=int, default=0, metavar="N", help="be gone when N mails have been accepted")
    parser.add_argument("--mark", default="", help="a pattern: what of a mail is written beside its key")
    wanted = parser.parse_args()
    if wanted.pipelining:
        Sink.abilities = ABILITIES.replace(b"250-SIZE", b"250-PIPELINING\r\n250-SIZE")
    if wanted.ledger:
        Sink.ledger = Ledger(wanted.ledger, wanted.sync, 0, wanted.mark)
    Sink.die_at = wanted.die
    asyncio.run(serve(Sink, wanted.port))


if __name__ == "__main__":
    main()

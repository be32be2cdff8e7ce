"""A mail server that accepts everything and keeps nothing, in a process of its own. It says how much it took."""

from __future__ import annotations

import asyncio
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

GREETING = b"220 sink.example.com ESMTP\r\n"
ABILITIES = b"250-sink.example.com\r\n250-SIZE 10485760\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"
OK = b"250 ok\r\n"
END = b"\r\n.\r\n"


class Sink(asyncio.Protocol):
    """One connection. Commands are answered a line at a time, a message when its final dot has come."""

    abilities = ABILITIES
    taken = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.WriteTransport = transport  # type: ignore[assignment]
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
        if not self._waiting.endswith(END) and END not in self._waiting:
            return False
        _, _, self._waiting = self._waiting.partition(END)
        self._in_message = False
        Sink.taken += 1
        self._said.append(b"250 2.0.0 queued as %X\r\n" % Sink.taken)
        return True

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
            case b"QUIT":
                self._said.append(b"221 bye\r\n")
                self._left = True
                return False
            case _:
                self._said.append(OK)
        return True


@dataclass(frozen=True)
class Place:
    """Where the sink listens."""

    port: int

    def taken(self) -> int:
        """How many messages it has accepted so far."""
        with smtplib.SMTP("127.0.0.1", self.port) as client:
            return int(client.verify("count")[1])


@contextmanager
def running(*, pipelining: bool = False) -> Iterator[Place]:
    """A sink for the time of a block."""
    command = [sys.executable, "-m", "bench.sink", *["--pipelining"] * pipelining]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield Place(int(process.stdout.readline()))
    finally:
        process.terminate()
        process.wait()


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    if "--pipelining" in sys.argv:
        Sink.abilities = ABILITIES.replace(b"250-SIZE", b"250-PIPELINING\r\n250-SIZE")
    asyncio.run(serve())

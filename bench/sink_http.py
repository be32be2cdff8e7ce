"""An API that accepts every message and does next to nothing, in a process of its own. It says how much it took.

With a ledger (bench/ledger.py) it writes every message it accepts to a file before it answers. What the next requests
meet can be asked for:

    {"do": "die", "times": 1}            accept, write, and be gone with every connection
    {"do": "kill", "pid": 123}           accept, write, kill -9 a process, then answer
    {"do": "strike", "when": "accept"}   kill whoever sends (bench/peer.py says when), or `signal` them
    {"do": "cut"} {"do": "cut_before"}   accept and hang up; hang up without accepting
    {"do": 503} {"do": "503_before"}     accept and answer 503; answer it without accepting (any number)
    {"do": 429, "retry_after": "2"}      a 4xx accepts nothing
    {"do": "drip"} {"do": "silence"}     accept, and answer a byte at a time, or never
    {"do": "rubbish"}                    accept, and answer 200 with what cannot be read

/keyed knows a key again; /fussy has no room for a third of all messages and says so, always to the same ones.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.aside import serve, started
from bench.ledger import Ledger
from bench.peer import NONE, Strike

LENGTH = b"content-length:"
KEY = b"idempotency-key:"


@dataclass
class Wish:
    """What is done with the requests to come instead of being friendly."""

    do: str = ""
    times: int = 0
    pid: int = 0
    retry_after: str = ""


class Sink(asyncio.Protocol):
    """One connection."""

    ledger: Ledger
    wish = Wish()
    strike = NONE

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._waiting = b""

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        while True:
            head, found, rest = self._waiting.partition(b"\r\n\r\n")
            if not found:
                return
            low = head.lower()
            at = low.find(LENGTH)
            length = int(low[at + len(LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if rest and KEY in low and Sink.strike.falls("body", self._transport):
                return self._transport.abort()
            if len(rest) < length:
                return
            self._waiting = rest[length:]
            self._request(head, low, rest[:length])

    def _request(self, head: bytes, low: bytes, body: bytes) -> None:
        path = head.split(b" ", 2)[1]
        if path == b"/taken":
            self._answer(200, b"%d" % Sink.ledger.taken)
        elif path == b"/behave":
            self._behave(json.loads(body))
        elif path == b"/batch":
            lines = (line.partition(b" ") for line in body.split(b"\n"))
            self._message([(key, text) for key, _, text in lines], keyed=False)
        else:
            at = low.find(KEY)
            key = head[at + len(KEY) :].split(b"\r\n", 1)[0].strip() if at >= 0 else b"-"
            if path == b"/fussy" and sum(key) % 3 == 0:
                return self._answer(429, b"")
            self._message([(key, body)], keyed=path == b"/keyed")

    def _behave(self, told: dict[str, Any]) -> None:
        if told["do"] == "strike":
            Sink.strike = Strike(**{name: value for name, value in told.items() if name != "do"})
        else:
            Sink.wish = Wish(**_checked(told))
        self._answer(200, b"")

    def _message(self, messages: Sequence[tuple[bytes, bytes]], keyed: bool) -> None:
        if Sink.wish.times > 0:
            Sink.wish.times -= 1
            self._unfriendly(messages, keyed, Sink.wish)
            return
        if Sink.strike.falls("before", self._transport):
            return self._transport.abort()
        first = Sink.ledger.taken + 1
        Sink.ledger.take(messages, keyed)
        Sink.strike.falls("accept", self._transport)
        self._answer(200, b"\n".join([b"m%d" % number for number in range(first, first + len(messages))]))
        Sink.strike.falls("answer", self._transport)

    def _unfriendly(self, messages: Sequence[tuple[bytes, bytes]], keyed: bool, wish: Wish) -> None:
        if wish.do == "cut_before":
            return self._transport.abort()
        if wish.do.endswith("_before") or wish.do.startswith("4"):
            return self._answer(int(wish.do[:3]), b"", wish.retry_after)
        Sink.ledger.take(messages, keyed)
        match wish.do:
            case "die":
                os._exit(1)
            case "kill":
                os.kill(wish.pid, signal.SIGKILL)
                self._answer(200, b"")
            case "cut":
                self._transport.abort()
            case "drip":
                self._transport.write(b"HTTP/1.1 200 OK\r\n")
                self._drip()
            case "silence":
                pass
            case "rubbish":
                self._answer(200, b"\xff\x00{")
            case status:
                self._answer(int(status), b"", wish.retry_after)

    def _drip(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(b"X: y\r\n")
            asyncio.get_running_loop().call_later(0.05, self._drip)

    def _answer(self, status: int, body: bytes, retry_after: str = "") -> None:
        more = f"Retry-After: {retry_after}\r\n".encode() if retry_after else b""
        self._transport.write(b"HTTP/1.1 %d -\r\n%bContent-Length: %d\r\n\r\n%b" % (status, more, len(body), body))


def _checked(wish: dict[str, Any]) -> dict[str, Any]:
    return {"times": 1, **wish, "do": str(wish["do"])}


# --- the other side --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """Where the sink listens."""

    port: int
    process: subprocess.Popen[str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def taken(self) -> int:
        """How many messages it has accepted so far."""
        return int(self._ask("GET", "/taken"))

    def behave(self, do: str | int, times: int = 1, **more: object) -> None:
        """What the next requests meet."""
        self._ask("POST", "/behave", json.dumps({"do": do, "times": times, **more}).encode())

    def strike(self, when: str, number: int = signal.SIGKILL) -> None:
        """Whoever sends next is hit."""
        self.behave("strike", when=when, signal=int(number))

    def _ask(self, method: str, path: str, body: bytes = b"") -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body)
            return connection.getresponse().read()
        finally:
            connection.close()


@contextmanager
def running(
    ledger: Path | None = None, *, port: int = 0, sync: bool = False, window: float = 86_400, mark: str = ""
) -> Iterator[Place]:
    """A sink for the time of a block."""
    options = [f"--port={port}", f"--window={window}", f"--mark={mark}"]
    options += [f"--ledger={ledger}"] * bool(ledger) + ["--sync"] * sync
    with started("bench.sink_http", *options) as (listens, process):
        yield Place(listens, process)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.sink_http", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="where to listen (default: any free one)")
    parser.add_argument("--ledger", type=Path, help="write every accepted message to this file before answering")
    parser.add_argument("--sync", action="store_true", help="and to the disk (fsync)")
    parser.add_argument("--window", type=float, default=86_400, help="seconds for which /keyed knows a key again")
    parser.add_argument("--mark", default="", help="a pattern: what of a message is written beside its key")
    wanted = parser.parse_args()
    Sink.ledger = Ledger(wanted.ledger, wanted.sync, wanted.window, wanted.mark)
    asyncio.run(serve(Sink, wanted.port))


if __name__ == "__main__":
    main()

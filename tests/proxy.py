"""A wire between the product and PostgreSQL that tests can cut, freeze, or let swallow the answer to a COMMIT."""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from sqlalchemy.engine import make_url

PIECE = 65_536  # bytes read at once
AT_ONCE = struct.pack("ii", 1, 0)  # linger: a socket that is closed so sends a reset
ENDS = (b"COMMIT", b"ROLLBACK")


@dataclass
class _Line:
    """One connection: both ends, and what the transaction under way has said so far."""

    client: socket.socket
    server: socket.socket
    said: bytearray = field(default_factory=bytearray)
    loses: bool = False  # the answer that comes next

    def hang_up(self) -> None:
        for end in (self.client, self.server):
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class Proxy:
    """Whoever goes by `url` goes through it."""

    def __init__(self, url: str) -> None:
        self._to = make_url(url)
        self._socket = f"{self._to.query['host']}/.s.PGSQL.{self._to.port or 5432}"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lines: list[_Line] = []
        self._flows = threading.Event()
        self._flows.set()
        self._is_cut = self._for_long = False
        self._lock = threading.Lock()
        self._awaited: tuple[bytes, str] | None = None  # said in the transaction, what is lost
        self._happened = threading.Event()
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    @property
    def url(self) -> str:
        port = self._listener.getsockname()[1]
        whole = self._to.set(host="127.0.0.1", port=port, query={"sslmode": "disable"})
        return whole.render_as_string(hide_password=False)

    def cut(self) -> None:
        """Every connection is gone, and none can be had."""
        self.refuse()
        self.drop()

    def refuse(self) -> None:
        """Those that are there stay, and no new one can be had."""
        self._is_cut = True

    def drop(self) -> None:
        """Every connection is gone; new ones can be had."""
        with self._lock:
            lines, self._lines = self._lines, []
        for line in lines:
            line.hang_up()

    def mend(self) -> None:
        self._is_cut = False

    def freeze(self) -> None:
        """Nothing goes through, and nobody is told."""
        self._flows.clear()

    def resume(self) -> None:
        self._flows.set()

    def lose_answer(self, after: str = "", for_long: bool = False) -> None:
        """The server does the next COMMIT of a transaction that said this (a pattern), and the line goes dead before it
        is told. `for_long`: then no other can be had either.
        """
        self._for_long = for_long
        self._awaited, self._happened = (after.encode(), "answer"), threading.Event()

    def lose_commit(self, after: str = "") -> None:
        """The next COMMIT of a transaction that said this never reaches the server."""
        self._awaited, self._happened = (after.encode(), "commit"), threading.Event()

    @property
    def happened(self) -> bool:
        """Was what had to be lost lost?"""
        return self._happened.is_set()

    def close(self) -> None:
        self._flows.set()
        self.cut()
        self._listener.close()

    # --- its threads -------------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            line = _Line(client, server)
            try:
                if self._is_cut:
                    raise ConnectionError
                server.connect(self._socket)
            except OSError:
                line.hang_up()
                continue
            with self._lock:
                self._lines.append(line)
            for pump in (self._ask, self._answer):
                threading.Thread(target=pump, args=[line], name="proxy", daemon=True).start()

    def _ask(self, line: _Line) -> None:
        """What the product says."""
        for piece in self._pieces(line.client):
            line.said += piece
            lost = self._loses(line, piece)
            if lost == "commit":
                self._happened.set()
                break
            line.loses = line.loses or lost == "answer"
            if any(word in piece for word in ENDS):
                line.said.clear()
            with suppress(OSError):
                line.server.sendall(piece)
        line.hang_up()

    def _answer(self, line: _Line) -> None:
        """What the server says."""
        for piece in self._pieces(line.server):
            if line.loses and b"COMMIT" in piece:
                self._is_cut = self._for_long
                self._happened.set()
                break
            with suppress(OSError):
                line.client.sendall(piece)
        line.hang_up()

    def _pieces(self, end: socket.socket) -> Iterator[bytes]:
        while True:
            try:
                piece = end.recv(PIECE)
            except OSError:
                return
            self._flows.wait()
            if not piece:
                return
            yield piece

    def _loses(self, line: _Line, piece: bytes) -> str | None:
        """What is lost of a COMMIT in this piece; only one is."""
        with self._lock:
            if self._awaited is None or b"COMMIT" not in piece or not re.search(self._awaited[0], line.said):
                return None
            (_, lost), self._awaited = self._awaited, None
            return lost


@contextmanager
def proxy(url: str) -> Iterator[Proxy]:
    made = Proxy(url)
    try:
        yield made
    finally:
        made.close()

"""What is written to a mail server and what it replies: reply by reply, however many come at a time.

aiosmtplib connects, secures and signs in; then this takes its connection over. Its own protocol knows one reply at a
time and drops what comes before it is asked for, as the replies of a pipelining server do (RFC 2920).
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import lru_cache
from typing import NamedTuple

from aiosmtplib import SMTPServerDisconnected
from aiosmtplib.errors import SMTPResponseException

_LONGEST = 64 * 1024  # bytes of one reply


class Reply(NamedTuple):
    """One reply, of however many lines."""

    code: int
    text: str


@lru_cache(maxsize=64)  # most are the same words again
def _read(*lines: bytes) -> Reply | None:
    """A reply of these lines, all of one code; None when it is none."""
    if not lines[-1][:3].isdigit() or len({line[:3] for line in lines}) > 1:
        return None
    text = b"\n".join([line[4:].strip(b" \t\r") for line in lines])
    return Reply(int(lines[-1][:3]), text.decode("utf-8", "surrogateescape"))


class Wire(asyncio.Protocol):
    """A connection. One task reads replies, one writes."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._unread = b""
        self._lines: list[bytes] = []  # of a reply that is not complete
        self._replies: deque[Reply] = deque()
        self._end: Exception | None = None  # why there will be no more
        self._reader: asyncio.Future[None] | None = None
        self._room = asyncio.Event()
        self._room.set()
        transport.set_protocol(self)

    @property
    def closed(self) -> bool:
        return self._end is not None or self._transport.is_closing()

    @property
    def waiting(self) -> bool:
        """Whether words have come that nobody has read."""
        return bool(self._replies or self._lines or self._unread)

    def write(self, data: bytes) -> None:
        if self.closed:
            raise SMTPServerDisconnected("Connection lost")
        self._transport.write(data)

    async def drained(self) -> None:
        """Until what was written is out of our hands but for a little."""
        await self._room.wait()
        if self._end is not None:
            raise self._end

    async def reply(self) -> Reply:
        """The next reply. What had come before the connection was lost is still read."""
        while not self._replies:
            if self._end is not None:
                raise self._end
            self._reader = self._loop.create_future()
            await self._reader
        return self._replies.popleft()

    def abort(self) -> None:
        self._transport.abort()

    def close(self) -> None:
        self._transport.close()

    # What the event loop tells.

    def data_received(self, data: bytes) -> None:
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            self._lines.append(line)
            if line[3:4] != b"-":
                self._complete()
        if (self._unread or self._lines) and len(self._unread) + sum(map(len, self._lines)) > _LONGEST:
            self._finish(SMTPResponseException(-1, "a reply without end"))
        self._wake()

    def _complete(self) -> None:
        reply = _read(*self._lines)
        self._lines.clear()
        if reply is None:
            self._finish(SMTPResponseException(-1, "no reply of SMTP"))
        elif self._end is None:
            self._replies.append(reply)

    def connection_lost(self, error: Exception | None) -> None:
        self._finish(SMTPServerDisconnected("Connection lost"))
        self._room.set()
        self._wake()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def _finish(self, why: Exception) -> None:
        self._end = self._end or why

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

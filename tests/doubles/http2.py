"""A double over HTTP/2: services and moods as `channels.testing.Double` has them, and what only HTTP/2 can do.

A mood speaks in the bytes of HTTP/1.1, as everywhere; here they become the frames that say the same.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import suppress

import h2.events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import H2Error
from h2.settings import SettingCodes, Settings

from channels.testing import Double, Request
from channels.testing.double import Handler, Talk, friendly

_OF_THE_CONNECTION = {"connection", "transfer-encoding", "keep-alive", "upgrade"}


class H2Double(Double):
    """One service. `settings` are told to whom connects; `lines` are the connections, in their order."""

    def __init__(self, handler: Handler) -> None:
        super().__init__(handler)
        self.settings: dict[SettingCodes, int] = {SettingCodes.MAX_CONCURRENT_STREAMS: 100}
        self.lines: list[Line] = []

    async def start(self, tls: ssl.SSLContext | None = None, *, host: str = "127.0.0.1") -> str:
        if tls is not None:
            tls.set_alpn_protocols(["h2"])
        return await super().start(tls, host=host)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        line = Line(self, writer)
        self.lines.append(line)
        try:
            await line.serve(reader)
        except (OSError, H2Error, asyncio.CancelledError):
            pass
        finally:
            line.end()


class Line:
    """One connection, seen by the server."""

    def __init__(self, double: H2Double, writer: asyncio.StreamWriter) -> None:
        self.double = double
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self.news = asyncio.Event()
        self.most = 0  # streams that were open at a time
        self.pongs = True  # whether anything is heard; there are connections that are dead and do not know it
        self.unheard = 0
        self._writer = writer
        self._requests: dict[int, tuple[Mapping[str, str], bytearray]] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def serve(self, reader: asyncio.StreamReader) -> None:
        self.h2.local_settings = Settings(client=False, initial_values=self.double.settings)
        self.h2.initiate_connection()
        self.flush()
        while data := await reader.read(65536):
            if not self.pongs:
                self.unheard += 1
                continue
            for event in self.h2.receive_data(data):
                self._hear(event)
            self.flush()
            self.stir()

    def _hear(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived():
                self._requests[event.stream_id] = dict(event.headers), bytearray()
                self.most = max(self.most, self.h2.open_inbound_streams)
            case h2.events.DataReceived():
                self._requests[event.stream_id][1].extend(event.data)
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.StreamEnded():
                self._tasks[event.stream_id] = asyncio.ensure_future(self._answer(event.stream_id))
            case h2.events.StreamReset() if event.stream_id in self._tasks:
                self._tasks[event.stream_id].cancel()

    async def _answer(self, number: int) -> None:
        headers, body = self._requests.pop(number)
        plain = {name: value for name, value in headers.items() if not name.startswith(":")}
        request = Request(
            headers[":method"], headers[":path"], {"host": headers.get(":authority", ""), **plain}, bytes(body)
        )
        double = self.double
        double.requests.append(request)
        mood = double.mood if double.about(request) else friendly
        with suppress(H2Error, OSError):
            if not await mood(Stream(self, number), request, double.handler):
                await self._writer.drain()
                self._writer.close()

    def raw(self, data: bytes) -> None:
        self._writer.write(data)

    def goaway(self, last: int, code: ErrorCodes = ErrorCodes.NO_ERROR) -> None:
        """I am going; what is above `last` I have not looked at. Written by hand: h2 would say nothing afterwards."""
        self.flush()
        held = last.to_bytes(4, "big") + int(code).to_bytes(4, "big")
        self.raw(len(held).to_bytes(3, "big") + b"\x07\x00\x00\x00\x00\x00" + held)

    def cut(self) -> None:
        self._writer.transport.abort()

    def flush(self) -> None:
        self.raw(self.h2.data_to_send())

    def stir(self) -> None:
        self.news.set()
        self.news = asyncio.Event()

    def end(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        self._writer.close()


class Stream(Talk):
    """One request, seen by a mood: it may say the bytes of HTTP/1.1."""

    def __init__(self, line: Line, number: int) -> None:
        self.line = line
        self.number = number
        self._said = b""
        self._due: int | None = None  # bytes that the answer still has, once its head is said

    async def say(self, text: bytes) -> None:
        self._said += text
        if self._due is None and not self._say_head():
            return
        while self._said:
            room = min(self.line.h2.local_flow_control_window(self.number), self.line.h2.max_outbound_frame_size)
            piece, self._said = self._said[:room], self._said[room:]
            if piece:
                assert self._due is not None
                self._due -= len(piece)
                self.line.h2.send_data(self.number, piece, end_stream=self._due == 0)
            self.line.flush()
            if not room:
                await self.line.news.wait()
        self.line.flush()

    def _say_head(self) -> bool:
        if not self._said.startswith(b"HTTP/1.1"[: len(self._said)]):
            self.line.raw(self._said)  # no answer in any HTTP, so it goes out as it is
            return False
        head, found, rest = self._said.partition(b"\r\n\r\n")
        if not found:
            self.line.h2.ping(b"drip" * 2)
            self.line.flush()
            return False
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        told = [(name, value) for name, value in headers if name not in _OF_THE_CONNECTION]
        self._said, self._due = rest, int(dict(headers).get("content-length", "0"))
        status = (":status", first.split(" ")[1])
        self.line.h2.send_headers(self.number, [status, *told], end_stream=self._due == 0)
        return True

    def cut(self) -> None:
        self.line.cut()

    def reset(self, code: ErrorCodes) -> None:
        self.line.h2.reset_stream(self.number, code)
        self.line.flush()


# --- moods that only HTTP/2 has --------------------------------------------------------------------------------------


async def refusing_the_stream(talk: Talk, request: Request, handler: Handler) -> bool:
    """It does not look at the request."""
    assert isinstance(talk, Stream)
    talk.reset(ErrorCodes.REFUSED_STREAM)
    return True


async def resetting_the_stream(talk: Talk, request: Request, handler: Handler) -> bool:
    """The service does what was asked, and does not say so."""
    assert isinstance(talk, Stream)
    handler(request)
    talk.reset(ErrorCodes.INTERNAL_ERROR)
    return True


async def going_before_it_looks(talk: Talk, request: Request, handler: Handler) -> bool:
    """It goes away, and has looked at nothing."""
    assert isinstance(talk, Stream)
    talk.line.goaway(0)
    return True


async def going_after_it_answers(talk: Talk, request: Request, handler: Handler) -> bool:
    """It goes away, and does what it was asked before."""
    assert isinstance(talk, Stream)
    talk.line.goaway(talk.number)
    await talk.say(handler(request).encoded())
    return True


async def going_and_cutting(talk: Talk, request: Request, handler: Handler) -> bool:
    """It goes away, does what it was asked, and has no time to say so."""
    assert isinstance(talk, Stream)
    handler(request)
    talk.line.goaway(talk.number)
    await talk.line._writer.drain()
    talk.line._writer.close()
    return True

"""HTTP/2 for APNs, which speaks nothing else: `post` as `channels.http.Api` has it, many requests on one connection.

What proves what is as there, and two more things are proved. A request above the last one that the service names when
it goes away (GOAWAY) was not looked at, and goes out again on a new connection; one that the service refuses to look at
(REFUSED_STREAM) may be tried later. Those below are answered still, or are uncertain when the connection ends.

The frames are h2's work, but for GOAWAY: there h2 ends all streams at once (python-hyper/h2, issue 1181).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import h2.events
import httpx
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import FrameTooLargeError, H2Error
from h2.settings import SettingCodes, Settings

from channels.errors import Misconfigured, Unavailable
from channels.http import Reply, lost, trusting

_TRIES = 3  # connections on which a request is tried that none of them looked at
_CONNECT = 10.0  # seconds
_QUIET = 15.0  # seconds of silence after which a connection has to answer a ping before it is trusted
_PONG = 5.0  # seconds it has for that
_FAREWELL = 1.0  # seconds
_MOST = 1024 * 1024  # bytes of an answer that are read
_HEAD = 9  # bytes before what a frame holds
_GOAWAY = 7  # a type of frame
_LAST_NUMBER = 2**30  # streams have numbers and these end; a connection with so many has served

Headers = Sequence[tuple[str, str]]


class _Untouched(Exception):
    """The service says that it did not look at a request, or has never had it."""


class _Refused(Exception):
    """The service does not want to look at a request now."""


class _Foreign(Exception):
    """TLS is there, but no HTTP/2 behind it."""


class H2Api:
    """One service and the one connection to it that is kept."""

    def __init__(self, address: str, *, headers: Mapping[str, str] | None = None, ca_file: Path | None = None) -> None:
        """`headers` go with every request; `ca_file` holds certificates of an authority of your own. An address with
        http:// is spoken to in HTTP/2 without asking first."""
        parts = urlsplit(address)
        self.place = parts.netloc
        self._path = parts.path.rstrip("/")
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._head = [(":method", "POST"), (":scheme", parts.scheme), (":authority", parts.netloc)]
        self._headers = {"user-agent": "outreach", **(headers or {})}
        self._tls = parts.scheme == "https"
        self._ca_file = ca_file
        self._context: ssl.SSLContext | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._line: _Line | None = None
        self._connecting: asyncio.Task[_Line] | None = None

    async def post(self, path: str, body: bytes, deadline: float, headers: Mapping[str, str] | None = None) -> Reply:
        """Hand something over. Answered, or explained by a SendError, at `deadline` by the clock of the event loop."""
        plain = {**self._headers, **(headers or {}), "content-length": str(len(body))}
        head = [*self._head, (":path", self._path + path), *plain.items()]
        for _ in range(_TRIES):
            stream = _Stream(body)
            try:
                async with asyncio.timeout_at(deadline):
                    line = await self._ready()
                    await line.carry(stream, head)
            except _Untouched:
                continue
            except _Refused:
                raise Unavailable(f"{self.place} does not take the request now.") from None
            except _Foreign:
                raise Misconfigured(f"{self.place} does not speak HTTP/2, or something between us does not.") from None
            except OSError as error:  # TimeoutError is one
                if stream.status is None:
                    raise lost(error, self.place, stream.gone) from None
            assert stream.status is not None
            return Reply(stream.status, httpx.Headers(stream.headers), stream.body(), stream.early)
        raise Unavailable(f"{self.place} ended every connection and looked at no request.")

    def leave(self) -> None:
        """Ask the next request for a new connection; those under way stay where they are."""
        if self._line is not None:
            self._line.leave()

    async def close(self) -> None:
        loop, self._loop = self._loop, None
        if loop is not asyncio.get_running_loop():
            return
        if self._connecting is not None:
            self._connecting.cancel()
        if self._line is not None:
            await self._line.close()

    async def _ready(self) -> _Line:
        """A connection that lives: the kept one, or a new one, which all who wait for it share."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # what belonged to a loop that has ended is gone with it
            self._loop, self._line, self._connecting = loop, None, None
        if self._line is not None and await self._line.trusted():
            return self._line
        if self._connecting is None:
            self._connecting = loop.create_task(self._connect())
            self._connecting.add_done_callback(self._connected)
        connecting = self._connecting
        try:
            return await asyncio.shield(connecting)
        except asyncio.CancelledError:
            if connecting.cancelled():  # by `close`, and nobody asked us to stop
                raise ConnectionAbortedError from None
            raise

    async def _connect(self) -> _Line:
        if self._tls and self._context is None:
            self._context = trusting(self._ca_file, "h2")
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_CONNECT):
            _, line = await loop.create_connection(
                _Line, self._host, self._port, ssl=self._context, ssl_shutdown_timeout=_FAREWELL if self._tls else None
            )
        if line.foreign:
            raise _Foreign
        self._line = line
        return line

    def _connected(self, task: asyncio.Task[_Line]) -> None:
        if self._connecting is task:
            self._connecting = None
        if not task.cancelled():
            task.exception()  # it may be that nobody waits for it any more


class _Stream:
    """One request and what comes back."""

    def __init__(self, body: bytes) -> None:
        self.left = memoryview(body)
        self.gone = False  # whether the request may have reached the service whole
        self.status: int | None = None
        self.headers: list[tuple[bytes, bytes]] = []
        self.early = False
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pieces: list[bytes] = []
        self._size = 0
        self._whole = False

    def answered(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        self.status = int(dict(headers)[b":status"])
        self.headers = [(name, value) for name, value in headers if not name.startswith(b":")]
        self.early = not self.gone

    def take(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > _MOST:
            self.end()

    def end(self, error: Exception | None = None, *, whole: bool = False) -> None:
        """Nothing more comes. An answer that has begun counts, cut or not."""
        if self.ended.done():
            return
        self._whole = whole
        if error is None or self.status is not None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(error)
            self.ended.exception()  # it may be that nobody waits for it any more

    def body(self) -> bytes | None:
        """What stands in the answer; None when it was cut, packed, or more than we read."""
        packed = any(name == b"content-encoding" and value != b"identity" for name, value in self.headers)
        return b"".join(self._pieces) if self._whole and not packed else None


class _Line(asyncio.Protocol):
    """One connection. Streams open when there is room, and each of them ends once."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._h2 = H2Connection(H2Configuration(client_side=True))
        self._h2.local_settings = Settings(
            client=True,
            initial_values={SettingCodes.ENABLE_PUSH: 0, SettingCodes.MAX_HEADER_LIST_SIZE: 64 * 1024},
        )
        self._inbox = b""
        self._streams: dict[int, _Stream] = {}
        self._greeted = False  # the service has told how many streams it takes
        self._open = True  # takes new requests
        self._heard = self._loop.time()
        self._news = asyncio.Event()
        self._gone = asyncio.Event()
        self.foreign = False

    # what a request does

    async def trusted(self) -> bool:
        """Does it take requests? After a silence it has to answer first: a dead connection says nothing either."""
        if self._open and self._loop.time() - self._heard > _QUIET:
            before = self._heard
            self._h2.ping(b"outreach")
            self._flush()
            try:
                async with asyncio.timeout(_PONG):
                    while self._open and self._heard == before:
                        await self._next()
            except TimeoutError:
                self.leave()
        return self._open

    async def carry(self, stream: _Stream, head: Headers) -> None:
        """Ask, and wait for the answer. _Untouched, _Refused and OSError say why there is none."""
        number = await self._turn()
        self._streams[number] = stream
        try:
            stream.gone = not stream.left
            self._h2.send_headers(number, head, end_stream=stream.gone)
            await self._write(number, stream)
            await stream.ended
        except H2Error:
            raise ConnectionResetError from None
        finally:
            self._forget(number)

    async def _turn(self) -> int:
        while self._open and not (
            self._greeted and len(self._streams) < self._h2.remote_settings.max_concurrent_streams
        ):
            await self._next()
        if not self._open:
            raise _Untouched
        number = self._h2.get_next_available_stream_id()
        self._open = number < _LAST_NUMBER
        return number

    async def _write(self, number: int, stream: _Stream) -> None:
        while stream.left and not stream.ended.done():
            room = min(self._h2.local_flow_control_window(number), self._h2.max_outbound_frame_size)
            if room <= 0:
                self._flush()
                await self._next()
                continue
            piece, stream.left = stream.left[:room], stream.left[room:]
            stream.gone = not stream.left
            self._h2.send_data(number, piece.tobytes(), end_stream=stream.gone)
        self._flush()

    def _forget(self, number: int) -> None:
        del self._streams[number]
        with suppress(H2Error):  # it has ended by itself
            self._h2.reset_stream(number, ErrorCodes.CANCEL)
        self._flush()
        self._stir()
        self._end_if_idle()

    # what comes in

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and tls.selected_alpn_protocol() != "h2":
            self.foreign = True
            transport.abort()
            return
        self._h2.initiate_connection()
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        try:
            for frame in self._frames(data):
                if _says_farewell(frame):
                    self._going(frame)
                    continue
                for event in self._h2.receive_data(frame):
                    self._hear(event)
        except (H2Error, ValueError):  # it is no HTTP/2, or a status is no number
            self._flush()
            self._transport.abort()
        else:
            self._flush()
            self._end_if_idle()
        self._stir()

    def connection_lost(self, error: Exception | None) -> None:
        self._open = False
        for stream in self._streams.values():
            stream.end(ConnectionResetError())
        self._stir()
        self._gone.set()

    def _frames(self, data: bytes) -> Iterator[bytes]:
        """One frame after the other."""
        read, inbox = 0, self._inbox + data
        while len(inbox) - read >= _HEAD:
            length = int.from_bytes(inbox[read : read + 3], "big")
            if length > self._h2.max_inbound_frame_size:
                raise FrameTooLargeError
            end = read + _HEAD + length
            if end > len(inbox):
                break
            yield inbox[read:end]
            read = end
        self._inbox = inbox[read:]

    def _going(self, frame: bytes) -> None:
        self._open = False
        last = int.from_bytes(frame[_HEAD : _HEAD + 4], "big") & 0x7FFF_FFFF
        for number, stream in self._streams.items():
            if number > last:
                stream.end(_Untouched())

    def _hear(self, event: h2.events.Event) -> None:
        stream = self._streams.get(getattr(event, "stream_id", None) or 0)
        match event:
            case h2.events.RemoteSettingsChanged():
                self._greeted = True
            case h2.events.ResponseReceived() if stream is not None:
                stream.answered(event.headers)
            case h2.events.DataReceived():
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                if stream is not None:
                    stream.take(event.data)
            case h2.events.StreamEnded() if stream is not None:
                stream.end(whole=True)
            case h2.events.StreamReset() if stream is not None:
                refused = event.error_code == ErrorCodes.REFUSED_STREAM
                stream.end(_Refused() if refused else ConnectionResetError())

    # the rest

    def leave(self) -> None:
        """Take nothing new, and end with the last answer."""
        self._open = False
        self._end_if_idle()

    async def close(self) -> None:
        self._open = False
        with suppress(H2Error):
            self._h2.close_connection()
        self._flush()
        self._transport.close()
        try:
            async with asyncio.timeout(_FAREWELL):
                await self._gone.wait()
        except TimeoutError:
            self._transport.abort()

    def _end_if_idle(self) -> None:
        if not self._open and not self._streams:
            self._transport.close()

    def _flush(self) -> None:
        if leaving := self._h2.data_to_send():
            self._transport.write(leaving)

    async def _next(self) -> None:
        await self._news.wait()

    def _stir(self) -> None:
        """Whoever waits looks again."""
        self._news.set()
        self._news = asyncio.Event()


def _says_farewell(frame: bytes) -> bool:
    """A GOAWAY that is whole and of the connection; h2 ends a connection over any other, which proves nothing."""
    return frame[3] == _GOAWAY and len(frame) >= _HEAD + 8 and not any(frame[5:_HEAD])

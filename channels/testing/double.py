"""A double of a service: an HTTP server on the loopback that answers as the service would, and fails as told.

What the service does is one function from a request to its response. What may go wrong on the way is a mood: how the
requests that it is about are treated instead. It lives in the event loop of the test; `in_thread` is for a vendor's own
client, which knows no event loop.
"""

from __future__ import annotations

import asyncio
import ssl
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeAlias
from urllib.parse import parse_qsl, urlsplit

_MOST = 64 * 1024 * 1024  # bytes of a request


@dataclass(frozen=True)
class Request:
    """What came in."""

    method: str
    path: str  # with its query, as it stood in the request
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def route(self) -> str:
        """The path without its query."""
        return urlsplit(self.path).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))


@dataclass(frozen=True)
class Response:
    """What goes out. Content-Length and Date are added."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        lines = {"date": "Thu, 01 Jan 2026 00:00:00 GMT", "content-length": str(len(self.body)), **self.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"HTTP/1.1 {self.status} Said\r\n{head}\r\n".encode("latin-1") + self.body


def untrusted() -> ssl.SSLContext:
    """TLS with a certificate for localhost that nobody vouches for."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(datetime(2020, 1, 1, tzinfo=UTC)).not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    certificate = made.sign(key, hashes.SHA256())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        plain = serialization.NoEncryption()
        file.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
        file.write(certificate.public_bytes(serialization.Encoding.PEM))
        file.flush()
        context.load_cert_chain(file.name)
    return context


Handler: TypeAlias = Callable[[Request], Response]


class Talk:
    """One connection, seen by the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def head(self) -> bytes:
        return await self._reader.readuntil(b"\r\n\r\n")

    async def body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return await self._pieces()
        length = int(headers.get("content-length", "0"))
        if length > _MOST:
            raise ConnectionError("more than a double reads")
        return await self._reader.readexactly(length)

    async def _pieces(self) -> bytes:
        found = b""
        while size := int((await self._reader.readline()).split(b";")[0], 16):
            found += await self._reader.readexactly(size)
            await self._reader.readline()
        await self._reader.readline()
        return found

    async def say(self, text: bytes) -> None:
        self._writer.write(text)
        await self._writer.drain()

    def cut(self) -> None:
        self._writer.transport.abort()


#: what is done with one request in place of answering it; False ends the connection
Mood: TypeAlias = Callable[[Talk, Request, Handler], Awaitable[bool]]


async def friendly(talk: Talk, request: Request, handler: Handler) -> bool:
    """As the service does."""
    await talk.say(handler(request).encoded())
    return request.headers.get("connection", "").lower() != "close"


def saying(response: Response, *, taken: bool = False) -> Mood:
    """Another answer than the service's; `taken`: after the service did what was asked."""

    async def mood(talk: Talk, request: Request, handler: Handler) -> bool:
        if taken:
            handler(request)
        await talk.say(response.encoded())
        return True

    return mood


async def cutting(talk: Talk, request: Request, handler: Handler) -> bool:
    """The service does what was asked, and is gone before it answers."""
    handler(request)
    talk.cut()
    return False


async def cutting_its_head(talk: Talk, request: Request, handler: Handler) -> bool:
    """... and is gone in the first lines of its answer."""
    await talk.say(handler(request).encoded()[:12])
    talk.cut()
    return False


async def cutting_its_body(talk: Talk, request: Request, handler: Handler) -> bool:
    """... and is gone before the last bytes of its answer, or says that there would have been more."""
    response = handler(request)
    more = Response(response.status, response.body, {**response.headers, "content-length": str(len(response.body) + 9)})
    await talk.say(more.encoded()[: -max(len(response.body) // 2, 0) or None])
    return False


async def silent(talk: Talk, request: Request, handler: Handler) -> bool:
    """The service does what was asked and never says so."""
    handler(request)
    await asyncio.Event().wait()
    return False


async def dripping(talk: Talk, request: Request, handler: Handler) -> bool:
    """A byte now and then, for ever."""
    handler(request)
    for byte in b"HTTP/1.1 200 OK\r\nX-Long: ":
        await talk.say(bytes([byte]))
        await asyncio.sleep(0.02)
    while True:
        await talk.say(b".")
        await asyncio.sleep(0.02)


async def rubbish(talk: Talk, request: Request, handler: Handler) -> bool:
    """The service does what was asked, and answers in no language we know."""
    handler(request)
    await talk.say(b"\x16\x03\x01 220 mail.example.com ESMTP\r\n\r\n")
    return False


class Double:
    """One service. `mood` is how requests for which `about` says yes are treated; all others are answered friendly."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.mood: Mood = friendly
        self.about: Callable[[Request], bool] = lambda request: True
        self.requests: list[Request] = []
        self.connections = 0
        self._servers: list[asyncio.Server] = []
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self, tls: ssl.SSLContext | None = None, *, host: str = "127.0.0.1") -> str:
        """Its address, like http://localhost:40123."""
        server = await asyncio.start_server(self._serve, host, 0, ssl=tls, limit=1024 * 1024)
        self._servers.append(server)
        return f"http{'s' if tls else ''}://localhost:{server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        servers, self._servers = self._servers, []
        writers, self._writers = self._writers, []
        for server in servers:
            server.close()
        for writer in writers:
            with suppress(AttributeError):
                writer.transport.abort()
        await asyncio.sleep(0)

    @contextmanager
    def in_thread(self, tls: ssl.SSLContext | None = None) -> Iterator[str]:
        """The service in a thread of its own, as long as the block lasts."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        try:
            yield asyncio.run_coroutine_threadsafe(self.start(tls), loop).result(10)
        finally:
            asyncio.run_coroutine_threadsafe(self._end(), loop).result(10)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)
            loop.close()

    async def _end(self) -> None:
        await self.stop()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        talk = Talk(reader, writer)
        try:
            while await self._one(talk):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _one(self, talk: Talk) -> bool:
        first, *lines = (await talk.head()).decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = {
            name.strip().lower(): value.strip()
            for name, found, value in (line.partition(":") for line in lines)
            if found
        }
        if headers.get("expect", "").lower() == "100-continue":
            await talk.say(b"HTTP/1.1 100 Continue\r\n\r\n")
        request = Request(method, path, headers, await talk.body(headers))
        self.requests.append(request)
        mood = self.mood if self.about(request) else friendly
        return await mood(talk, request, self.handler)

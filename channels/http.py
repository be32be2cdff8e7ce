"""The one way to call an API over HTTP: one client, one deadline, and what an answer, or its absence, proves.

What proves what: until the last piece of a request is on its way nobody can have taken the message, and whatever goes
wrong is Unavailable. From then on only an answer proves anything, and without one the message is Uncertain. A positive
answer counts as soon as its first line is there: that the rest is cut, endless or too long makes no second message.

httpx is used at its seam, the transport (docs/decisions/018): no cookies are kept, no redirect is followed, neither a
proxy nor a password is taken from the environment, and no address is logged.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache, partial
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import aiohttp
import httpx
from aiohttp.client_proto import ResponseHandler
from httpx_aiohttp import AiohttpTransport
from pydantic import AfterValidator

from channels.contract import Answer, Outgoing
from channels.errors import FailureReason, Misconfigured, Rejected, SendError, Unavailable, Uncertain
from channels.hosts import is_here

IN_FLIGHT = 32  # requests under way at a time: the most that can be unknown after a death

_MOST = 1024 * 1024  # bytes of an answer that are read
_MOST_HEAD = 64 * 1024  # bytes of a line of its head
_HEADS = 8  # of one answer, with those that say to continue
_UNSAYABLE = re.compile(r"[^\t -~]")  # in a header of ours
_AFTER_A_HEAD = re.compile(rb"(?<=\r\n\r\n)(?=.)", re.DOTALL)
_AT_ONCE = 64 * 1024  # a request is written in pieces of this size: its last one makes it whole
_CONNECT = 10.0  # seconds
_IDLE = 15.0  # seconds after which an idle connection is not trusted any more
_LONGEST_WAIT = 86_400.0  # seconds; who asks for more is asked again after a day
_A_DATE_OF_ITS_OWN = 60.0  # seconds, where a server names an instant and does not say what time it has


def _address(text: str) -> str:
    """An API's address that may stand in config.yaml; every reason why not is told."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("write the address of the API, like https://api.example.com/v3")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a name or a password does not belong into an address; name the variable that holds it")
    if parts.query or parts.fragment:
        raise ValueError("write the address without ? and #; what follows them is made for each message")
    if parts.scheme == "http" and not is_here(parts.hostname):
        raise ValueError("http sends messages and keys readable by everyone on the way; write https")
    return text.rstrip("/")


Address = Annotated[str, AfterValidator(_address)]


@dataclass(frozen=True)
class Reply:
    """What a service answered."""

    status: int
    headers: httpx.Headers
    body: bytes | None  # None when it could not be read to its end
    early: bool  # it came before the request had been written to its end

    @property
    def positive(self) -> bool:
        return 200 <= self.status < 300


class Api:
    """One service and the few connections to it that are kept."""

    def __init__(
        self,
        address: str,
        *,
        connections: int = IN_FLIGHT,
        headers: Mapping[str, str] | None = None,
        ca_file: Path | None = None,
        admits: Callable[[str], bool] | None = None,
    ) -> None:
        """`headers` go with every request; `ca_file` holds certificates of an authority of your own. `admits` is asked
        about each IP address that the host has, and again about the one that is connected to; None: all are."""
        self._address = httpx.URL(address)
        self._connections = connections
        self._headers = {
            "host": self._address.netloc.decode(),
            "user-agent": "outreach",
            "accept-encoding": "identity",
            **{name.lower(): value for name, value in (headers or {}).items()},
        }
        self._url = lru_cache(256)(self._url_of)  # to parse it takes as long as the rest of a request
        self._ca_file = ca_file
        self._admits = admits
        self._loop: asyncio.AbstractEventLoop | None = None
        self._room: asyncio.Semaphore
        self._transport: AiohttpTransport

    @property
    def place(self) -> str:
        """Whom we talk to, for people: host and port, without path, name and key."""
        return self._headers["host"]

    async def post(self, path: str, body: bytes, deadline: float, headers: Mapping[str, str] | None = None) -> Reply:
        """Hand something over. Answered, or explained by a SendError, at `deadline` by the clock of the event loop."""
        return await self._call("POST", path, body, deadline, headers)

    async def get(self, path: str, deadline: float, headers: Mapping[str, str] | None = None) -> Reply:
        """Ask for something."""
        return await self._call("GET", path, b"", deadline, headers)

    async def close(self) -> None:
        loop, self._loop = self._loop, None
        if loop is asyncio.get_running_loop():
            await self._transport.aclose()

    async def _call(
        self, method: Literal["GET", "POST"], path: str, body: bytes, deadline: float, headers: Mapping[str, str] | None
    ) -> Reply:
        url = self._url(path)
        leaving = _Pieces(body, f"{url.scheme}://{url.netloc.decode()}{url.raw_path.decode()}")
        told = {**self._headers, **(headers or {}), "content-length": str(len(body))}
        if any(map(_UNSAYABLE.search, told.values())):
            raise Misconfigured(
                f"What we would say to {self.place} holds a sign that no header may: is there a line end in a key, or "
                "a letter beyond ASCII?"
            )
        request = httpx.Request(
            method,
            url,
            headers=told,
            stream=leaving,
            extensions={"timeout": {"connect": _CONNECT}},
        )
        response: httpx.Response | None = None
        early, read = False, None
        try:
            async with asyncio.timeout_at(deadline), self._room_of_this_loop():
                try:
                    response = await self._transport.handle_async_request(request)
                    early = not leaving.gone
                    read = await _read(response)
                finally:
                    if response is not None:
                        await response.aclose()
        except (httpx.HTTPError, aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            if response is None:
                raise lost(error, self.place, leaving.gone) from None  # the cause may quote what must not be repeated
        return Reply(response.status_code, response.headers, read, early)

    def _url_of(self, path: str) -> httpx.URL:
        return self._address.copy_with(raw_path=(self._address.raw_path.rstrip(b"/") + path.encode()) or b"/")

    def _room_of_this_loop(self) -> asyncio.Semaphore:
        """A turn among the few, with the kept connections ready. Those of a loop that has ended are gone with it."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            tls = self._context()
            self._loop, self._room = loop, asyncio.Semaphore(self._connections)
            self._transport = AiohttpTransport(verify=tls, trust_env=False, client=lambda: self._session(tls))
        return self._room

    def _session(self, tls: ssl.SSLContext) -> aiohttp.ClientSession:
        judge = self._admits
        connector = _Connector(
            limit=self._connections,
            ssl=tls,
            keepalive_timeout=_IDLE,
            resolver=None if judge is None else _Resolver(judge),
            socket_factory=None if judge is None else partial(_socket, judge),
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            request_class=_Request,
            skip_auto_headers=("content-type",),
            max_line_size=_MOST_HEAD,
            max_field_size=_MOST_HEAD,
        )

    def _context(self) -> ssl.SSLContext:
        if self._address.scheme == "http":
            return ssl.SSLContext(
                ssl.PROTOCOL_TLS_CLIENT
            )  # which trusts nobody, and saves reading whom the system does
        return trusting(self._ca_file)


class _Connector(aiohttp.TCPConnector):
    """Keeps connections, but none on which words wait that nobody asked for: they would be the next answer."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        ear: type[ResponseHandler] = _Ear
        self._factory = partial(ear, loop=self._loop)

    async def connect(self, *args: Any, **options: Any) -> aiohttp.connector.Connection:
        for _ in range(self.limit + 1):
            connection = await super().connect(*args, **options)
            if connection.protocol is not None and not connection.protocol.should_close:
                return connection
            connection.close()
        raise aiohttp.ServerDisconnectedError("it speaks before it is asked")


class _Request(aiohttp.ClientRequest):
    """Its address is sent as it was given: aiohttp writes `:` for `%3A`, and that may be signed."""

    def __init__(self, method: str, url: Any, **options: Any) -> None:
        given = options["data"].address
        super().__init__(method, type(url)(given, encoded=True), **options)


class _Ear(ResponseHandler):
    """Hears the head of an answer before what follows it: that may be no HTTP (204 with a body), and the parser drops
    all that comes in one piece with a mistake."""

    def data_received(self, data: bytes) -> None:
        for piece in _AFTER_A_HEAD.split(data, _HEADS):
            super().data_received(piece)
        if self.exception() is not None and self._payload is not None and not self._payload.is_eof():
            self._payload.set_exception(aiohttp.ClientPayloadError())  # or who reads it waits until the deadline


class Inadmissible(OSError):
    """An address to which we must not connect."""


class _Resolver(aiohttp.abc.AbstractResolver):
    """Looks hosts up, and gives none back of which one address is inadmissible: which one is tried first is chance."""

    def __init__(self, admits: Callable[[str], bool]) -> None:
        self._admits = admits
        self._inner = aiohttp.DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[aiohttp.abc.ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if not all(self._admits(one["host"]) for one in found):
            raise Inadmissible
        return found

    async def close(self) -> None:
        await self._inner.close()


def _socket(admits: Callable[[str], bool], address: aiohttp.connector.AddrInfoType) -> socket.socket:
    """The last word before a connection: hosts that are written as addresses come by no resolver."""
    family, kind, protocol, _, (host, *_) = address
    if not admits(str(host)):
        raise Inadmissible
    return socket.socket(family, kind, protocol)


class _Pieces(httpx.AsyncByteStream):
    """The body of a request on its way. It is asked for only when there is a connection, piece after piece."""

    def __init__(self, body: bytes, address: str) -> None:
        self._body = body
        self.address = address  # of the request, as it is written
        self.gone = False  # whether the request may have reached the service whole

    async def __aiter__(self) -> AsyncIterator[bytes]:
        last = max(len(self._body) - 1, 0) // _AT_ONCE * _AT_ONCE
        for start in range(0, last, _AT_ONCE):
            yield self._body[start : start + _AT_ONCE]
        self.gone = True
        yield self._body[last:]


async def _read(response: httpx.Response) -> bytes | None:
    """What stands in an answer, None when it is more than we read or packed though we asked for it plain."""
    if response.headers.get("content-encoding", "identity") != "identity":
        return None
    pieces: list[bytes] = []
    size = 0
    assert isinstance(response.stream, httpx.AsyncByteStream)
    async for piece in response.stream:
        pieces.append(piece)
        size += len(piece)
        if size > _MOST:
            return None
    return b"".join(pieces)


@lru_cache(8)  # to read whom the system believes takes as long as a dozen requests
def trusting(ca_file: Path | None, speaks: str = "") -> ssl.SSLContext:
    """TLS that believes whom the system believes, or an authority of your own; what is spoken inside it is offered
    (ALPN), or goes without saying. Shared by all who ask for the same: nobody changes it."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError):
        raise Misconfigured(f"ca_file: {ca_file} cannot be read as certificates (PEM).") from None
    if speaks:
        context.set_alpn_protocols([speaks])
    return context


def lost(error: Exception, place: str, gone: bool) -> SendError:
    """Why there is no answer, and what that proves; `gone`: the whole request may have left."""
    if gone:
        return Uncertain(f"{place} {_fate(error)} after the whole request had left; it may have been accepted.")
    for cause in _causes(error):
        if isinstance(cause, aiohttp.ClientError):  # some of them call themselves SSLError and say less
            continue
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Misconfigured(f"The certificate of {place} cannot be trusted: {cause.verify_message.rstrip('.')}.")
        if isinstance(cause, ssl.SSLError):
            return Misconfigured(f"{place} and we cannot agree on TLS ({cause.reason or 'no reason given'}).")
        if isinstance(cause, Inadmissible):
            return Misconfigured(f"{place} leads to an address that is not public; what is meant stands under `allow`.")
        if isinstance(cause, socket.gaierror):
            return Unavailable(f"The host {urlsplit(f'//{place}').hostname} cannot be found.")
        if isinstance(cause, ConnectionRefusedError):
            return Unavailable(f"{place} refuses the connection.")
    return Unavailable(f"{place} {_fate(error)} before the whole request had left.")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _fate(error: Exception) -> str:
    late = isinstance(error, TimeoutError | httpx.TimeoutException)
    if any(isinstance(cause, aiohttp.ServerDisconnectedError | ConnectionError) for cause in _causes(error)):
        return "cut the connection"
    if any(isinstance(cause, aiohttp.ClientResponseError | aiohttp.ClientPayloadError) for cause in _causes(error)):
        return "gave an answer that is not HTTP"
    return "did not answer in time" if late else "could not be talked to"


# --- what an answer means, as far as HTTP knows ----------------------------------------------------------------------


#: our own fault, and what to mend; an adapter whose service says more in the body looks there first
_OUR_FAULT: dict[int, str] = {
    HTTPStatus.MOVED_PERMANENTLY: "it has moved, and we follow nobody: write its new address",
    HTTPStatus.TEMPORARY_REDIRECT: "it sends us elsewhere, and we follow nobody: write the address itself",
    HTTPStatus.PERMANENT_REDIRECT: "it has moved, and we follow nobody: write its new address",
    HTTPStatus.UNAUTHORIZED: "it does not accept the key",
    HTTPStatus.PAYMENT_REQUIRED: "it wants to be paid first",
    HTTPStatus.FORBIDDEN: "the key does not allow this",
    HTTPStatus.NOT_FOUND: "there is nothing at this address",
    HTTPStatus.METHOD_NOT_ALLOWED: "nothing can be handed over at this address",
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: "something between us wants a login",
    HTTPStatus.UPGRADE_REQUIRED: "it wants another version of HTTP",
}
#: proved not accepted, and a matter of time
_LATER: set[int] = {
    HTTPStatus.REQUEST_TIMEOUT,  # it did not get the whole request
    HTTPStatus.MISDIRECTED_REQUEST,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
}
_REASONS: dict[int, FailureReason] = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: FailureReason.content,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: FailureReason.content,
    HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS: FailureReason.policy,
}


def refused(reply: Reply, place: str) -> SendError | None:
    """The error behind an answer that is not positive; None when it is. It quotes nothing but the number.

    A 5xx proves nothing once the whole request has left: something failed, perhaps after the message was taken, and
    what stands between us may say 503 for a service that goes on working. So do 409 (the same key is being worked on)
    and redirects that may follow work done.
    """
    if reply.positive:
        return None
    status, code, said = reply.status, str(reply.status), f"{place} answered {reply.status}"
    if status in _OUR_FAULT:
        return Misconfigured(f"{said}: {_OUR_FAULT[status]}.", code=code)
    if status in _LATER:
        return Unavailable(f"{said}.", retry_after=retry_after(reply.headers), code=code)
    if 400 <= status < 500 and status != HTTPStatus.CONFLICT:
        return Rejected(f"{said}.", reason=_REASONS.get(status, FailureReason.unknown), code=code)
    if reply.early:
        return Unavailable(
            f"{said} before the whole request had left.", retry_after=retry_after(reply.headers), code=code
        )
    return Uncertain(
        f"{said}, which does not say whether the message was taken.", retry_after=retry_after(reply.headers), code=code
    )


def retry_after(headers: httpx.Headers) -> float | None:
    """Seconds a service asks us to stay away, in every form of Retry-After; None when we understand none of it.

    An instant is understood by the service's own clock, which its Date tells: ours may differ.
    """
    asked = [_seconds(text.strip(), headers.get("date", "")) for text in headers.get_list("retry-after")]
    known = [seconds for seconds in asked if seconds is not None]
    return min(max(*known, 0.0), _LONGEST_WAIT) if known else None


def its_time(headers: httpx.Headers) -> datetime | None:
    """What time a service has, by which its instants are meant; None when it does not say."""
    return _instant(headers.get("date", ""))


def _seconds(text: str, date: str) -> float | None:
    if re.fullmatch(r"-?\d{1,20}(\.\d{0,20})?", text, re.ASCII):
        return float(text)
    until, now = _instant(text), _instant(date)
    if until is None:
        return None
    return _A_DATE_OF_ITS_OWN if now is None else (until - now).total_seconds()


def _instant(text: str) -> datetime | None:
    """An instant in one of the three ways in which HTTP has written them."""
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


# --- one message a request -------------------------------------------------------------------------------------------


async def each(batch: Sequence[Outgoing], hand_over: Callable[[Outgoing], Awaitable[Answer]]) -> list[Answer]:
    """All messages of a call side by side, one answer for each; what one of them meets hurts no other."""

    async def answer(outgoing: Outgoing) -> Answer:
        try:
            return await hand_over(outgoing)
        except SendError as error:
            return error
        except Exception as error:  # a mistake of ours proves nothing about the message
            return Uncertain(f"The message met an error of ours ({type(error).__name__}).")

    return list(await asyncio.gather(*map(answer, batch)))

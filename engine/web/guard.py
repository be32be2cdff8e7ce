"""What stands before every page: a bound on what is brought and how long it takes, the headers, the last resort."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.responses import Response

from engine.web.pages import STYLE_HASH

log = logging.getLogger("outreach.web")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Inner = Callable[[Message, Receive, Send], Awaitable[None]]

MAX_BODY = 10_000  # bytes; nothing that people post here is longer
MAX_REPORT = 8 * 1024 * 1024  # bytes; what a provider's service reports in one request
MAX_HELD = 32 * 1024 * 1024  # bytes of such reports held at a time; then others are asked to come back
HOOKS = "/hooks/"  # where they come in
READ = (HOOKS, "/v1/", "/t/")  # and where what is posted is read: by the shop's own server, by colleagues
BODY_WITHIN = 10.0  # seconds
HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src '{STYLE_HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex, nofollow",
}


class TooLong(Exception):
    """More was posted than anything here needs."""


class Gone(Exception):
    """The caller hung up before the request was whole."""


class Full(Exception):
    """So much is held already that nothing more is taken in for now."""


class Guard:
    """Around the application. A request reaches it only when it is there whole; what people post is not needed, what a
    service reports is handed on."""

    def __init__(self, inner: Inner) -> None:
        self._inner = inner
        self._held = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        out = _dressed(send)
        kept = bytearray() if scope["path"].startswith(READ) else None
        try:
            try:
                async with asyncio.timeout(BODY_WITHIN):
                    await self._read_body(scope, receive, kept)
            except Gone:
                return
            except TooLong:
                await _refusal(413)(scope, receive, out)
                return
            except Full:
                await _refusal(429, {"Retry-After": "30"})(scope, receive, out)
                return
            except TimeoutError:
                await _refusal(408)(scope, receive, out)
                return
            try:
                await self._inner(scope, _nothing_more(receive, bytes(kept or b"")), out)
            except Exception as error:  # the page for it is sent already
                log_failure(error)
        finally:
            self._held -= len(kept or b"")

    async def _read_body(self, scope: Message, receive: Receive, kept: bytearray | None) -> None:
        """Wait for the end of what is posted, and keep it or let it fall. Raises when there is too much of it."""
        most = MAX_REPORT if scope["path"].startswith(HOOKS) else MAX_BODY
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if not declared.isdigit() or int(declared[:20]) > most:
            raise TooLong
        length = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Gone
            piece = message.get("body", b"")
            length += len(piece)
            if length > most:
                raise TooLong
            if kept is not None:
                if self._held + len(piece) > MAX_HELD:
                    raise Full
                self._held += len(piece)
                kept += piece
            if not message.get("more_body", False):
                return


def log_failure(error: BaseException) -> None:
    """Say where it failed, never with what: an error's own words may hold an address or a token."""
    where = "".join(traceback.format_tb(error.__traceback__))
    log.error("a page failed: %s\n%s", type(error).__name__, where)


def _nothing_more(receive: Receive, body: bytes) -> Receive:
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return left.pop() if left else await receive()

    return next_message


def _refusal(status: int, more: dict[str, str] | None = None) -> Response:
    """The connection ends with it: what still comes on it is not wanted."""
    return Response(status_code=status, headers={"Connection": "close", **(more or {})})


def _dressed(send: Send) -> Send:
    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(HEADERS)
        await send(message)

    return with_headers

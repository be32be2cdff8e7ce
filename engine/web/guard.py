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

MAX_BODY = 10_000  # bytes; nothing that is posted here is longer
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


class Guard:
    """Around the application. A request reaches it only when it is there whole; what it held is not needed."""

    def __init__(self, inner: Inner) -> None:
        self._inner = inner

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        out = _dressed(send)
        try:
            async with asyncio.timeout(BODY_WITHIN):
                await _read_body(scope, receive)
        except Gone:
            return
        except TooLong:
            await _refusal(413)(scope, receive, out)
            return
        except TimeoutError:
            await _refusal(408)(scope, receive, out)
            return
        try:
            await self._inner(scope, _nothing_more(receive), out)
        except Exception as error:  # the page for it is sent already
            log_failure(error)


def log_failure(error: BaseException) -> None:
    """Say where it failed, never with what: an error's own words may hold an address or a token."""
    where = "".join(traceback.format_tb(error.__traceback__))
    log.error("a page failed: %s\n%s", type(error).__name__, where)


async def _read_body(scope: Message, receive: Receive) -> None:
    """Wait for the end of what is posted, and let it fall. Raises when there is too much of it."""
    declared = dict(scope["headers"]).get(b"content-length", b"0")
    if not declared.isdigit() or int(declared[:20]) > MAX_BODY:
        raise TooLong
    length = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        length += len(message.get("body", b""))
        if length > MAX_BODY:
            raise TooLong
        if not message.get("more_body", False):
            return


def _nothing_more(receive: Receive) -> Receive:
    left: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def next_message() -> Message:
        return left.pop() if left else await receive()

    return next_message


def _refusal(status: int) -> Response:
    """The connection ends with it: what still comes on it is not wanted."""
    return Response(status_code=status, headers={"Connection": "close"})


def _dressed(send: Send) -> Send:
    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(HEADERS)
        await send(message)

    return with_headers

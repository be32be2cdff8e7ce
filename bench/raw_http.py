"""Messages over HTTP without a product around it: the ceilings (one a request, 500 a request) and plain httpx."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from bench import sink_http
from bench.measure import Stopwatch, report
from bench.raw_plan import outbox
from bench.raw_smtp import chunks, settle

IN_FLIGHT = 32

Chunk = Sequence[tuple[int, str, dict[str, str]]]
HandOver = Callable[[Chunk], Awaitable[object]]


def main(way: str, count: int, database: str = "sqlite") -> None:
    def measure(folder: Path, watch: Stopwatch) -> int:
        with outbox(database, count, folder, watch) as store, sink_http.running() as place:
            with watch.running():
                asyncio.run(WAYS[way](store, place.url))
            return place.taken()

    report(measure)


async def _outbox(connection: Any, hand_over: HandOver) -> None:
    """What has to be known after a death is written before and after each chunk."""
    for chunk in chunks(connection):
        settle(connection, [number for number, _, _ in chunk], "begun")
        await hand_over(chunk)
        settle(connection, [number for number, _, _ in chunk], "accepted")


def _side_by_side(one: Callable[[str, bytes], Awaitable[object]]) -> HandOver:
    """Every message of a chunk by itself, so many at a time."""

    async def worker(waiting: Any) -> None:
        for _, key, mail in waiting:
            await one(key, _json(mail))

    async def hand_over(chunk: Chunk) -> None:
        waiting = iter(chunk)
        await asyncio.gather(*(worker(waiting) for _ in range(IN_FLIGHT)))

    return hand_over


def _json(mail: dict[str, str]) -> bytes:
    return json.dumps(mail, ensure_ascii=False, separators=(",", ":")).encode()


async def with_httpx(connection: Any, url: str) -> None:
    """The bare loop: httpx over aiohttp."""
    transport = AiohttpTransport(limits=httpx.Limits(max_connections=IN_FLIGHT))
    async with httpx.AsyncClient(transport=transport, base_url=url) as client:
        await _outbox(connection, _side_by_side(_post(client)))


async def with_plain_httpx(connection: Any, url: str) -> None:
    """The usual way: httpx as it is installed."""
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=IN_FLIGHT), base_url=url) as client:
        await _outbox(connection, _side_by_side(_post(client)))


def _post(client: httpx.AsyncClient) -> Callable[[str, bytes], Awaitable[object]]:
    async def one(key: str, body: bytes) -> None:
        reply = await client.post("/send", content=body, headers={"idempotency-key": key})
        reply.raise_for_status()

    return one


async def with_aiohttp(connection: Any, url: str) -> None:
    """Nothing but aiohttp."""
    connector = aiohttp.TCPConnector(limit=IN_FLIGHT)
    async with aiohttp.ClientSession(url, connector=connector, raise_for_status=True) as client:

        async def one(key: str, body: bytes) -> None:
            async with client.post("/send", data=body, headers={"idempotency-key": key}) as reply:
                await reply.read()

        await _outbox(connection, _side_by_side(one))


async def together(connection: Any, url: str) -> None:
    """A chunk of 500 in one request."""
    async with aiohttp.ClientSession(url, raise_for_status=True) as client:

        async def hand_over(chunk: Chunk) -> None:
            lines = [b"%b %b" % (key.encode(), _json(mail)) for _, key, mail in chunk]
            async with client.post("/batch", data=b"\n".join(lines)) as reply:
                names = (await reply.read()).split(b"\n")
            assert len(names) == len(chunk)

        await _outbox(connection, hand_over)


WAYS = {"httpx": with_httpx, "plain": with_plain_httpx, "aiohttp": with_aiohttp, "batch": together}

if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])

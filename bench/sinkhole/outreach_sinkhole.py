"""Providers for bench/sink_http.py, for measurements and for the crash ledger; with this folder on PYTHONPATH
`provider: sink_blind` is known to every command, by its entry point like any other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from channels import plain
from channels.contract import Answer, Content, Features, Outgoing, Provider, ProviderOptions, Sent, content_to_json
from channels.errors import Rejected, SendError
from channels.http import IN_FLIGHT, Address, Api, Reply, each, refused

ALL = frozenset({"email", "sms", "push", "wechat"})
PROBE = 5.0  # seconds


class SinkOptions(ProviderOptions):
    """Where the sink listens."""

    url: Address
    in_flight: int = Field(default=IN_FLIGHT, ge=1)


class KeyedOptions(SinkOptions):
    window: timedelta = timedelta(days=1)  # for how long the sink remembers a key


class BatchOptions(SinkOptions):
    in_flight: int = Field(default=500, ge=1)  # all in one request


class Sink(Provider):
    """What all of them share: one message a request."""

    channels = ALL
    path: ClassVar[str]

    def configure(self, options: SinkOptions, env: Mapping[str, str], home: Path) -> None:
        self._url = options.url
        self._api = Api(options.url, connections=options.in_flight, headers={"content-type": "application/json"})
        self.features = self.able(options)

    def able(self, options: Any) -> Features:
        """What this one can do; `options` are those that it names."""
        return Features(in_flight=options.in_flight)

    def describe(self) -> str:
        return f"{self._url}{self.path}, {self.features.in_flight} messages in flight at most"

    def refusal(self, content: Content) -> Rejected | None:
        return super().refusal(content) or plain.flaw(content)

    async def probe(self) -> None:
        deadline = asyncio.get_running_loop().time() + PROBE
        error = refused(await self._api.get("/taken", deadline), self._api.place)
        if error is not None:
            raise error

    async def close(self) -> None:
        await self._api.close()

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Answer]:
        began = asyncio.get_running_loop().time()
        return await each(batch, lambda outgoing: self._hand_over(outgoing, began + outgoing.timeout))

    async def _hand_over(self, outgoing: Outgoing, deadline: float) -> Answer:
        flaw = self.refusal(outgoing.content)
        if flaw is not None:
            return flaw
        body = content_to_json(outgoing.content)
        reply = await self._api.post(self.path, body, deadline, {"idempotency-key": outgoing.key})
        return refused(reply, self._api.place) or Sent(_name(reply.body))


class Blind(Sink):
    """The sink takes whatever it is given, however often."""

    name = "sink_blind"
    Options: ClassVar[type[ProviderOptions]] = SinkOptions
    path = "/send"


class Fussy(Sink):
    """The sink has no room for a third of all messages."""

    name = "sink_fussy"
    Options: ClassVar[type[ProviderOptions]] = SinkOptions
    path = "/fussy"


class Keyed(Sink):
    """The sink recognises a repeat by its key, inside a window."""

    name = "sink_keyed"
    Options: ClassVar[type[ProviderOptions]] = KeyedOptions
    path = "/keyed"

    def able(self, options: KeyedOptions) -> Features:
        return Features(dedupe_by="key", dedupe_window=options.window, in_flight=options.in_flight)


class Batch(Sink):
    """Many messages a request, one line of answer for each."""

    name = "sink_batch"
    Options: ClassVar[type[ProviderOptions]] = BatchOptions
    path = "/batch"

    def able(self, options: BatchOptions) -> Features:
        return Features(batch=options.in_flight, in_flight=options.in_flight)

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Answer]:
        answers: list[Answer | None] = [self.refusal(outgoing.content) for outgoing in batch]
        going = [outgoing for outgoing, flaw in zip(batch, answers, strict=True) if flaw is None]
        if going:
            said = iter(await self._together(going))
            answers = [next(said) if flaw is None else flaw for flaw in answers]
        return [answer for answer in answers if answer is not None]

    async def _together(self, batch: Sequence[Outgoing]) -> Sequence[Answer]:
        lines = [b"%b %b" % (outgoing.key.encode(), content_to_json(outgoing.content)) for outgoing in batch]
        deadline = asyncio.get_running_loop().time() + min(outgoing.timeout for outgoing in batch)
        try:
            reply = await self._api.post(self.path, b"\n".join(lines), deadline)
        except SendError as error:
            return [error] * len(batch)
        refusal = refused(reply, self._api.place)
        if refusal is not None:
            return [refusal] * len(batch)
        return _each_of(reply, len(batch))


def _each_of(reply: Reply, count: int) -> Sequence[Answer]:
    """One answer for each message; a positive answer that cannot be read is one for all of them."""
    names = (reply.body or b"").split(b"\n")
    return [Sent(_name(name)) for name in names] if len(names) == count else [Sent(None)] * count


def _name(body: bytes | None) -> str | None:
    """The name the sink gave a message, where it can be read."""
    try:
        return (body or b"").decode("ascii")[:128] or None
    except UnicodeDecodeError:
        return None

"""What official accounts and mini programs share: one account of api.weixin.qq.com, its codes, its reports.

A content is handed over by one request; which one, each of the two says itself.
"""

from __future__ import annotations

import asyncio
import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

from pydantic import Field

from channels import fields, plain
from channels.callbacks import word
from channels.contract import (
    Answer,
    Callback,
    Content,
    Features,
    Heard,
    Outgoing,
    Provider,
    ProviderOptions,
    Sent,
    WeChat,
    secret,
)
from channels.errors import FailureReason, Rejected
from channels.http import IN_FLIGHT, Address, Api, each
from channels.wechat import crypt, events, token
from channels.wechat.codes import WEIXIN

Flaw: TypeAlias = tuple[FailureReason, str]  # and half a sentence

PROBE = 5.0  # seconds
_SHANGHAI = timezone(timedelta(hours=8))  # where a day of quotas begins; no summer time since 1991
_OPENID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_NOT_A_NAME = re.compile(r"[^A-Za-z0-9_]")


class AccountOptions(ProviderOptions):
    """One account and how it is reached."""

    app_id: str = Field(min_length=1)
    secret_env: str = Field(min_length=1)
    token_env: str | None = None  # of reports: the Token of the console
    aes_key_env: str | None = None  # of reports: the EncodingAESKey of the console
    in_flight: int = Field(default=IN_FLIGHT, ge=1)
    url: Address = "https://api.weixin.qq.com"
    ca_file: Path | None = None


class WeixinProvider(Provider):
    """One account of api.weixin.qq.com; what it hands over is told by `request`."""

    channels = frozenset({"wechat"})
    Options: ClassVar[type[ProviderOptions]] = AccountOptions

    def configure(self, options: Any, env: Mapping[str, str], home: Path) -> None:
        self.options = options
        ca_file = home / options.ca_file if options.ca_file else None
        self._api = Api(
            options.url,
            connections=options.in_flight,
            headers={"content-type": "application/json; charset=utf-8"},
            ca_file=ca_file,
        )
        access = token.stable(self, self._api, options.app_id, secret(env, options.secret_env), WEIXIN)
        self._account = token.Account(self._api, WEIXIN, access, self._wait)
        self._seal = crypt.seal_of(options.app_id, env, options.token_env, options.aes_key_env)
        self.features = Features(in_flight=options.in_flight, receipts=options.token_env is not None)

    def describe(self) -> str:
        return f"{self._api.place}, account {self.options.app_id}"

    async def close(self) -> None:
        await self._api.close()

    async def probe(self) -> None:
        """Asks for the addresses of WeChat's servers, which only an account that is let in is told."""
        await self._account.get("/cgi-bin/getcallbackip", asyncio.get_running_loop().time() + PROBE)

    # what goes out

    @abstractmethod
    def request(self, content: WeChat, key: str) -> tuple[str, dict[str, Any]]:
        """Where a content is handed over, and what is said there."""

    def flaws(self, content: WeChat) -> Iterator[Flaw]:
        """What WeChat would refuse."""
        if not _OPENID.fullmatch(content.to):
            yield FailureReason.address_invalid, "its address is no openid"
        if content.template and content.text:
            yield FailureReason.content, "it is either a template or a text"
        if any(plain.one_line(said) != said for said in (content.template, content.page or "")):
            yield FailureReason.content, "its template or page holds a control character"
        if not is_plain(content.text):
            yield FailureReason.content, "its text holds a control character"
        names = [name for name, _ in content.values]
        if len(set(names)) < len(names) or any(not name or _NOT_A_NAME.search(name) for name in names):
            yield FailureReason.content, "its fields are named twice or in a way no template does"
        for name, value in content.values:
            wrong = fields.flaw(name, value)
            if wrong is not None:
                yield FailureReason.content, f"its field {name} {wrong}"

    def refusal(self, content: Content) -> Rejected | None:
        refusal = super().refusal(content) or plain.flaw(content)
        if refusal is not None or not isinstance(content, WeChat):
            return refusal
        for reason, words in self.flaws(content):
            return Rejected(f"The wechat message cannot be sent: {words}.", reason=reason)
        return None

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Answer]:
        began = asyncio.get_running_loop().time()
        return await each(batch, lambda outgoing: self.hand_over(outgoing, began + outgoing.timeout))

    async def hand_over(self, outgoing: Outgoing, deadline: float) -> Answer:
        """One message; what the service refuses is raised."""
        refusal, content = self.refusal(outgoing.content), outgoing.content
        if refusal is not None or not isinstance(content, WeChat):
            return refusal or Rejected("This is no message of WeChat.", reason=FailureReason.content)
        path, said = self.request(content, outgoing.key)
        row = await self._account.post(path, said, deadline)
        return Sent(word(row, "msgid") or None)

    def _wait(self, code: str) -> float | None:
        """Seconds until the next day begins in Shanghai, for what is used up until then."""
        if code != "45009":
            return None
        now = self.now().astimezone(_SHANGHAI)
        midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        return (midnight - now).total_seconds()

    # what comes in

    async def receipts(self, callback: Callback) -> Heard:
        if callback.method == "GET":  # the check of the address: never sealed, and answered with its own word
            return Heard(body=self._seal.verify(callback, "signature").get("echostr", "").encode())
        letter = self._seal.letter(callback)
        return Heard(events.receipts_of(letter, callback.at, reason_of), body=b"success")


def is_plain(text: str) -> bool:
    """Is there nothing in it but lines? WeChat would show anything else, escaped in JSON, as it is written."""
    return plain.printable(text) == text.replace("\r\n", "\n").replace("\r", "\n")


def values_of(content: WeChat) -> dict[str, dict[str, str]]:
    """The values of a template as WeChat wants them."""
    return {name: {"value": value} for name, value in content.values}


def reason_of(code: str) -> FailureReason:
    """Why a message did not arrive, by the code that WeChat would have refused it with."""
    return WEIXIN[code].reason if code in WEIXIN else FailureReason.unknown

"""Webhooks: events told to other systems, signed as Standard Webhooks 1.0 asks (standardwebhooks.com).

The address may come from a stranger, and the request leaves from inside our network: it goes to public addresses alone.
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, ClassVar, Self

import httpx
import msgspec
from pydantic import AfterValidator, Field, SecretStr, model_validator
from standardwebhooks import Webhook as Signer

from channels import plain
from channels.contract import Answer, Content, Features, Outgoing, Provider, ProviderOptions, Sent, Webhook, secret
from channels.errors import FailureReason, Misconfigured, Rejected, SendError, Unavailable, Uncertain
from channels.hosts import is_address, is_here, is_name, is_public, same_address
from channels.http import IN_FLIGHT, Api, Reply, each, retry_after

PATIENCE = 30.0  # seconds a receiver has for its answer: the standard says 15 to 30
MOST = 20_000  # bytes of a body
LOADED = 30.0  # seconds without requests for who says that it has too many, and not for how long

_PORTS = range(1, 65_536)
_TYPE = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_LATEST = datetime(2000, 1, 1, microsecond=1, tzinfo=UTC)  # no instant is written longer
_SLOW_DOWN = {
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}


def _hook(text: str) -> str:
    """An address that can be told something; every reason why not is told."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        raise ValueError("this is no web address") from None
    if not (is_address(url.host) or is_name(_host(text))) or (url.port is not None and url.port not in _PORTS):
        raise ValueError("this is no web address")
    if url.scheme != "https" and not (url.scheme == "http" and is_here(url.host)):
        raise ValueError("write an address that begins with https://")
    if url.userinfo or "#" in text:
        raise ValueError("write the address without a name, a password and #")
    return text


Hook = Annotated[str, AfterValidator(_hook)]


class Endpoint(ProviderOptions):
    """A system that is told: where, and what it knows us by."""

    url: Hook
    secret_env: str


class WebhookOptions(ProviderOptions):
    """Who may be told: one endpoint, or several by their names, or whoever's address stands in a message."""

    url: Hook | None = None
    secret_env: str | None = None
    endpoints: dict[str, Endpoint] = Field(default_factory=dict)
    allow: tuple[str, ...] = ()  # hosts and addresses inside our own network that are meant
    remembers: int = Field(default=86_400, ge=0)  # seconds for which receivers know a message again; 0: they do not
    ca_file: Path | None = None
    in_flight: int = Field(default=IN_FLIGHT, ge=1, le=500)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.url is not None and self.endpoints:
            raise ValueError("write either url, or endpoints")
        if self.url is not None and self.secret_env is None:
            raise ValueError("url needs a secret_env")
        if not self.endpoints and self.secret_env is None:
            raise ValueError("name whom to tell: url and secret_env, or endpoints")
        for url in [self.url, *(one.url for one in self.endpoints.values())]:
            if url is not None and self.forbids(url):
                raise ValueError(f"{_host(url)} is not public; if it is meant, write it under allow")
        return self

    def forbids(self, url: str) -> bool:
        """Can the address be seen to lead to where we must not connect? Of a name only its own addresses tell."""
        host = _host(url)
        return not self.names(host) and (is_here(host) or (is_address(host) and not self.admits(host)))

    def names(self, host: str) -> bool:
        """Is a host meant by its own name?"""
        return host in (one.lower() for one in self.allow)

    def admits(self, address: str) -> bool:
        return is_public(address) or any(same_address(address, one) for one in self.allow)


@dataclass(frozen=True)
class _Target:
    """Where one message goes."""

    origin: str
    path: str
    secrets: Sequence[SecretStr]
    api: Api | None  # None for one that config.yaml does not name


class WebhookProvider(Provider):
    """Tells other systems what happened. A receiver knows a message again by its `webhook-id`, our key."""

    name = "webhook"
    channels = frozenset({"webhook"})
    Options: ClassVar[type[ProviderOptions]] = WebhookOptions

    def configure(self, options: WebhookOptions, env: Mapping[str, str], home: Path) -> None:
        self._options = options
        self._ca_file = None if options.ca_file is None else home / options.ca_file
        self._named = {
            name: self._target(one.url, _secrets(env, one.secret_env), named=True)
            for name, one in options.endpoints.items()
        }
        own = () if options.secret_env is None else _secrets(env, options.secret_env)
        self._only = None if options.url is None else self._target(options.url, own, named=True)
        self._for_strangers = own if options.url is None else ()
        self._by_url = {one.url: self._named[name] for name, one in options.endpoints.items()}
        if options.url is not None and self._only is not None:
            self._by_url[options.url] = self._only
        window = timedelta(seconds=options.remembers)
        self.features = Features(
            dedupe_by="key" if window else "none", dedupe_window=window or None, in_flight=options.in_flight
        )

    def describe(self) -> str:
        hosts = sorted({api.place for api in self._apis()})
        told = ", ".join([*hosts, "any public address"] if self._for_strangers else hosts)
        return f"{told}, {self.features.in_flight} messages in flight at most"

    async def probe(self) -> None:
        """An endpoint has nothing that could be asked. Whether each of ours can be reached is what is nearest: any
        answer of theirs to a GET will do. A stranger's address is known by its message alone."""
        deadline = asyncio.get_running_loop().time() + PATIENCE
        for target in self._by_url.values():
            if target.api is not None:
                await target.api.get(target.path, deadline)

    async def close(self) -> None:
        for api in self._apis():
            await api.close()

    def refusal(self, content: Content) -> Rejected | None:
        refused = super().refusal(content) or plain.flaw(content)
        if refused is not None:
            return refused
        assert isinstance(content, Webhook)
        target = self._whom(content.to)
        if isinstance(target, Rejected):
            return target
        if not _TYPE.fullmatch(content.type):
            return Rejected(
                "The type of a webhook is words of letters and digits, with dots between them.",
                reason=FailureReason.content,
            )
        try:
            size = len(_payload(content, _LATEST))
        except ValueError:
            return Rejected("The data of the webhook is no JSON.", reason=FailureReason.content)
        if size >= MOST:
            return Rejected(f"The webhook has more than {MOST:,} bytes.", reason=FailureReason.content)
        return None

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Answer]:
        began = asyncio.get_running_loop().time()
        strangers: dict[str, Api] = {}  # connections to who is in no configuration end with the call
        try:
            return await each(batch, lambda one: self._hand_over(one, began + min(one.timeout, PATIENCE), strangers))
        finally:
            for api in strangers.values():
                await api.close()

    async def _hand_over(self, outgoing: Outgoing, deadline: float, strangers: dict[str, Api]) -> Answer:
        flaw = self.refusal(outgoing.content)
        if flaw is not None:
            return flaw
        assert isinstance(outgoing.content, Webhook)
        target = self._whom(outgoing.content.to)
        assert isinstance(target, _Target)
        if target.api is None and target.origin not in strangers:
            strangers[target.origin] = self._api(target.origin)
        api = target.api or strangers[target.origin]
        body = _payload(outgoing.content, outgoing.created_at)
        try:
            reply = await api.post(target.path, body, deadline, _signed(outgoing.key, self.now(), body, target.secrets))
            error = _refused(reply, api.place)
        except Misconfigured as found:
            error = found
        if isinstance(error, Misconfigured) and target.api is None:  # a stranger's fault stops nobody else
            return Rejected(str(error), reason=FailureReason.policy, code=error.code)
        return error or Sent(outgoing.key)

    def _whom(self, to: str) -> _Target | Rejected:
        """The endpoint of this name or address. A name is of the only one where there is but one."""
        if "://" not in to:
            found = self._named.get(to) or self._only
            return found or Rejected("config.yaml has no endpoint of this name.", reason=FailureReason.policy)
        if to in self._by_url:
            return self._by_url[to]
        if not self._for_strangers:
            return Rejected(
                "config.yaml does not name the address, and has no secret for others.", reason=FailureReason.policy
            )
        try:
            _hook(to)
        except ValueError as error:
            return Rejected(f"The webhook cannot go there: {error}.", reason=FailureReason.address_invalid)
        if self._options.forbids(to):
            return Rejected("The address of the webhook is not public.", reason=FailureReason.policy)
        return self._target(to, self._for_strangers, named=False)

    def _target(self, url: str, secrets: Sequence[SecretStr], *, named: bool) -> _Target:
        parsed = httpx.URL(url)
        origin = f"{parsed.scheme}://{parsed.netloc.decode()}"
        return _Target(origin, parsed.raw_path.decode(), secrets, self._api(origin) if named else None)

    def _api(self, origin: str) -> Api:
        return Api(
            origin,
            connections=self._options.in_flight,
            headers={"content-type": "application/json"},
            ca_file=self._ca_file,
            admits=None if self._options.names(_host(origin)) else self._options.admits,
        )

    def _apis(self) -> Sequence[Api]:
        return [target.api for target in self._by_url.values() if target.api is not None]


def _host(url: str) -> str:
    """The host as it is looked up, in lower case and ASCII."""
    return httpx.URL(url).raw_host.decode()


def _payload(content: Webhook, at: datetime) -> bytes:
    """The body: the data as they were given, byte for byte. ValueError when they are no JSON."""
    msgspec.json.decode(content.data)
    return msgspec.json.encode(
        {"type": content.type, "timestamp": at.astimezone(UTC), "data": msgspec.Raw(content.data.encode())}
    )


def _secrets(env: Mapping[str, str], variable: str) -> Sequence[SecretStr]:
    """The secrets in a variable: one, or while they are changed several."""
    found = [one for one in re.split(r"[,\s]+", secret(env, variable).get_secret_value()) if one]
    if not found or not all(map(_is_secret, found)):
        raise Misconfigured(
            f"The environment variable {variable} must hold secrets like whsec_...: 24 to 64 bytes in base64, "
            "several with a comma between them."
        )
    return [SecretStr(one) for one in found]


def _is_secret(text: str) -> bool:
    try:
        return text.startswith("whsec_") and 24 <= len(b64decode(text[6:], validate=True)) <= 64
    except ValueError:
        return False


def _signed(key: str, now: datetime, body: bytes, secrets: Sequence[SecretStr]) -> dict[str, str]:
    """The headers of one attempt: the id is that of all attempts, the time is its own, and all secrets sign."""
    signers = [Signer(one.get_secret_value()) for one in secrets]
    return {
        "webhook-id": key,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(one.sign(key, now.astimezone(UTC), body.decode()) for one in signers),
    }


def _refused(reply: Reply, place: str) -> SendError | None:
    """What the standard makes of an answer: 2xx is a yes, all else is none."""
    if reply.positive:
        return None
    status, code, said = reply.status, str(reply.status), f"{place} answered {reply.status}"
    wait = retry_after(reply.headers)
    if wait is None and status in _SLOW_DOWN:
        wait = LOADED
    if 300 <= status < 400:
        return Misconfigured(f"{said}: it has moved, and we follow nobody; write its new address.", code=code)
    if status == HTTPStatus.GONE:
        return Rejected(f"{said}: it wants no webhooks any more.", reason=FailureReason.address_unknown, code=code)
    if 400 <= status < 500 or reply.early:
        return Unavailable(f"{said}.", retry_after=wait, code=code)
    return Uncertain(f"{said}, which does not say whether the webhook was taken.", retry_after=wait, code=code)

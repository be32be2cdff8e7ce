"""Push to Apple's devices, by APNs itself: HTTP/2, and a token that we sign."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import jwt
from pydantic import AfterValidator, Field, model_validator

from channels import plain
from channels.contract import Answer, Content, Features, Outgoing, Provider, ProviderOptions, Push, Sent
from channels.errors import FailureReason, Misconfigured, Rejected, SendError
from channels.http import IN_FLIGHT, Address, Reply, each, refused, retry_after
from channels.push.h2api import H2Api
from channels.push.words import LongSecret, object_in, packed, signing_key, word
from channels.tables import Meaning, later, misconfigured, spent
from channels.tables import refused as no
from channels.tokens import AccessToken, Fresh

MOST = 4096  # bytes of a notification
PROBE = 10.0  # seconds
NOBODY = "0" * 64  # a device token that no device has
_TOKEN_LASTS = timedelta(minutes=60)
_TOKEN_EARLY = timedelta(minutes=10)
_TOKEN_AT_LEAST = timedelta(minutes=20)  # APNs takes no new one sooner
_KEYS = uuid.UUID("5b1a7a5c-0c8e-5c0b-9d5c-3e9f6f1d2a47")  # under which our keys are names of notifications

_NO_LONGER = FailureReason.address_unknown
_KEY = misconfigured("it does not accept the signing key: check key, key_id and team_id")
_TOPIC = misconfigured("the topic is not an app of this team")
_CERTIFICATE = misconfigured("it does not accept the certificate, and there should be none")
_CONTENT = no(FailureReason.content, "it does not take the notification as it is")
_NOT_ASKED_WELL = no(FailureReason.unknown, "it does not understand the request")
CODES: Mapping[str, Meaning] = {
    "BadDeviceToken": no(FailureReason.address_invalid, "it is no device token of this environment"),
    "DeviceTokenNotForTopic": no(FailureReason.address_invalid, "the device token belongs to another app"),
    "Unregistered": no(_NO_LONGER, "the app is not on the device any more"),
    "ExpiredToken": no(_NO_LONGER, "the device token has ended"),
    "ExpiredProviderToken": spent("it calls our provider token expired"),
    "InvalidProviderToken": _KEY,
    "MissingProviderToken": _KEY,
    "UnrelatedKeyIdInToken": _KEY,
    "BadEnvironmentKeyIdInToken": misconfigured("the key is for the other environment: see sandbox"),
    "TooManyProviderTokenUpdates": later("our provider token changes too often: somebody else uses the key", 60.0),
    "TooManyRequests": later("there were too many to this device", 5.0),
    "PayloadTooLarge": _CONTENT,
    "PayloadEmpty": _CONTENT,
    "BadCollapseId": _CONTENT,
    "BadExpirationDate": _CONTENT,
    "BadMessageId": _CONTENT,
    "BadPriority": _CONTENT,
    "InvalidPushType": _CONTENT,
    "BadTopic": _TOPIC,
    "MissingTopic": _TOPIC,
    "TopicDisallowed": _TOPIC,
    "DuplicateHeaders": _NOT_ASKED_WELL,
    "MissingDeviceToken": _NOT_ASKED_WELL,
    "BadPath": _NOT_ASKED_WELL,
    "MethodNotAllowed": _NOT_ASKED_WELL,
    "BadCertificate": _CERTIFICATE,
    "BadCertificateEnvironment": _CERTIFICATE,
    "Forbidden": misconfigured("it does not let us in"),
    "IdleTimeout": later("it closes the connection, which was idle"),
    "InternalServerError": later("it met an error of its own"),
    "ServiceUnavailable": later("it is not there at the moment"),
    "Shutdown": later("it is shutting down"),
}
_LEAVE = {"IdleTimeout", "Shutdown"}  # said of a connection: the next request needs another one
_OF_NOBODY = {"BadDeviceToken", "DeviceTokenNotForTopic", "Unregistered", "ExpiredToken"}


def _short(text: str) -> str:
    if not 0 < len(text.encode()) <= 64:
        raise ValueError("it has 1 to 64 bytes")
    return text


class ApnsOptions(ProviderOptions):
    """What config.yaml may say about an app at Apple."""

    key_env: str | None = None  # the variable that holds the signing key (.p8)
    key_file_env: str | None = None  # or the one that names the file with it
    key_id: str = Field(pattern=r"^[A-Z0-9]{10}$")
    team_id: str = Field(pattern=r"^[A-Z0-9]{10}$")
    topic: str = Field(pattern=r"^[A-Za-z0-9.-]{1,155}$")  # the app's bundle id
    sandbox: bool = False  # for apps that Xcode put on a device
    port: Literal[443, 2197] = 443
    priority: Literal[1, 5, 10] = 10
    ttl: int | None = Field(default=None, ge=0, le=2_592_000)  # seconds for which it tries to deliver
    collapse_id: Annotated[str, AfterValidator(_short)] | None = None  # of its kind only the last is shown
    sound: str | None = None
    thread_id: str | None = None  # under which the device groups
    url: Address | None = None  # instead of Apple's own
    ca_file: Path | None = None
    in_flight: int = Field(default=IN_FLIGHT, ge=1, le=1000)

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if (self.key_env is None) == (self.key_file_env is None):
            raise ValueError("give one of key_env and key_file_env")
        return self

    @property
    def address(self) -> str:
        port = "" if self.port == 443 else f":{self.port}"
        return self.url or f"https://api.{'sandbox.' if self.sandbox else ''}push.apple.com{port}"


class ApnsProvider(Provider):
    """One app. Its provider token is shared by all workers, and its connection by all messages."""

    name = "apns"
    channels = frozenset({"push"})
    Options: ClassVar[type[ProviderOptions]] = ApnsOptions

    def configure(self, options: ApnsOptions, env: Mapping[str, str], home: Path) -> None:
        self._options = options
        self._secret = LongSecret(env, options.key_env, options.key_file_env, home)
        self._key: Any = None
        if options.key_env is not None:
            self._read_key()
        ca_file = None if options.ca_file is None else home / options.ca_file
        self._api = H2Api(options.address, headers={"apns-topic": options.topic}, ca_file=ca_file)
        name = f"apns {options.team_id} {options.key_id}"
        self._token = AccessToken(self.keep, self.now, name, self._sign, early=_TOKEN_EARLY)
        self.features = Features(in_flight=options.in_flight)

    def describe(self) -> str:
        return f"{self._api.place}, the app {self._options.topic}"

    async def open(self) -> None:
        self._read_key()

    async def close(self) -> None:
        await self._api.close()

    async def probe(self) -> None:
        """Tell nothing to a device that nobody has: APNs looks first whether we are let in."""
        headers = {"apns-push-type": "background", "apns-priority": "5"}
        body = packed({"aps": {"content-available": 1}})
        answer = await self._ask(NOBODY, headers, body, asyncio.get_running_loop().time() + PROBE)
        if isinstance(answer, SendError) and answer.code not in _OF_NOBODY:
            raise answer

    def refusal(self, content: Content) -> Rejected | None:
        refused = super().refusal(content) or plain.flaw(content)
        if refused is not None or not isinstance(content, Push):
            return refused
        if not re.fullmatch(r"([0-9A-Fa-f]{2}){1,100}", content.to):
            return Rejected("The device token is not written in hexadecimal.", reason=FailureReason.address_invalid)
        return _too_long(self._payload(content, ""))

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Answer]:
        began = asyncio.get_running_loop().time()
        return await each(batch, lambda outgoing: self._hand_over(outgoing, began + outgoing.timeout))

    async def _hand_over(self, outgoing: Outgoing, deadline: float) -> Answer:
        content = outgoing.content
        flaw = self.refusal(content)
        if flaw is not None or not isinstance(content, Push):
            return flaw or Rejected("This is no push.", reason=FailureReason.content)
        body = self._payload(content, outgoing.key)
        return _too_long(body) or await self._ask(content.to, self._headers(outgoing), body, deadline)

    def _payload(self, content: Push, key: str) -> bytes:
        """By `message_id` the app recognises a notification that comes twice."""
        options = self._options
        alert = {"title": content.title, "body": content.text}
        aps = {
            "alert": {name: value for name, value in alert.items() if value},
            "sound": options.sound,
            "thread-id": options.thread_id,
            "mutable-content": 1 if content.image else None,
        }
        besides = {"message_id": key, "link": content.link, "image": content.image}
        return packed({"aps": _given(aps), **_given(besides)})

    def _headers(self, outgoing: Outgoing) -> dict[str, str]:
        options = self._options
        until = None if options.ttl is None else int(outgoing.created_at.timestamp()) + options.ttl
        told = {
            "apns-push-type": "alert",
            "apns-priority": str(options.priority),
            "apns-id": str(uuid.uuid5(_KEYS, f"{options.topic} {outgoing.key}")),
            "apns-expiration": None if until is None else str(until if options.ttl else 0),  # 0: now or never
            "apns-collapse-id": options.collapse_id,
        }
        return _given(told)

    async def _ask(self, device: str, headers: Mapping[str, str], body: bytes, deadline: float) -> Answer:
        """Ask with the token that there is, and once more with a new one when it has expired."""
        token = await self._token.value(deadline)
        reply = await self._post(device, headers, body, token, deadline)
        if _reason(reply) == "ExpiredProviderToken":
            token = await self._renewed(token, deadline)
            reply = await self._post(device, headers, body, token, deadline)
        if reply.positive:
            return Sent(reply.headers.get("apns-id") or headers.get("apns-id"))
        reason, wait = _reason(reply), retry_after(reply.headers)
        if reason in _LEAVE:
            self._api.leave()
        if reason in CODES:
            return _dated(CODES[reason], reply).error(self._api.place, reason, retry_after=wait)
        return refused(reply, self._api.place) or Sent(None)

    async def _post(self, device: str, headers: Mapping[str, str], body: bytes, token: str, deadline: float) -> Reply:
        signed = {**headers, "authorization": f"bearer {token}"}
        return await self._api.post(f"/3/device/{device}", body, deadline, signed)

    async def _renewed(self, token: str, deadline: float) -> str:
        made = datetime.fromtimestamp(jwt.decode(token, options={"verify_signature": False})["iat"], UTC)
        if self.now() - made < _TOKEN_AT_LEAST:
            raise Misconfigured(
                f"{self._api.place} calls a provider token expired that was made just now: the clock of this machine "
                f"is wrong (ExpiredProviderToken).",
                code="ExpiredProviderToken",
            )
        return await self._token.renewed(token, deadline)

    async def _sign(self, deadline: float) -> Fresh:
        claims = {"iss": self._options.team_id, "iat": int(self.now().timestamp())}
        return Fresh(jwt.encode(claims, self._read_key(), "ES256", {"kid": self._options.key_id}), _TOKEN_LASTS)

    def _read_key(self) -> Any:
        if self._key is None:
            try:
                self._key = signing_key("ES256", self._secret.read().get_secret_value())
            except ValueError:
                raise Misconfigured(f"No signing key of Apple (.p8) stands in {self._secret.place}.") from None
        return self._key


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, "")}


def _too_long(body: bytes) -> Rejected | None:
    if len(body) <= MOST:
        return None
    return Rejected(f"The notification has {len(body)} bytes; APNs takes {MOST}.", reason=FailureReason.content)


def _reason(reply: Reply) -> str:
    return "" if reply.positive else word(object_in(reply.body).get("reason"))


def _dated(meaning: Meaning, reply: Reply) -> Meaning:
    """APNs says of some devices since when: one that came back later has another word for it."""
    at = object_in(reply.body).get("timestamp")
    if not isinstance(at, int) or not 0 < at < 253_402_300_800_000:  # milliseconds, up to the year 10000
        return meaning
    since = datetime.fromtimestamp(at / 1000, UTC)
    return replace(meaning, words=f"{meaning.words}, since {since:%Y-%m-%d %H:%M} UTC")

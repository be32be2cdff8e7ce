"""Push by Firebase Cloud Messaging (HTTP v1): to Android, and to iOS and browsers through it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from channels import plain
from channels.contract import Answer, Content, Features, Outgoing, Provider, ProviderOptions, Push, Sent
from channels.errors import FailureReason, Rejected, SendError, Unavailable
from channels.http import IN_FLIGHT, Address, Api, Reply, each, refused, retry_after
from channels.push.google import Login
from channels.push.words import LongSecret, object_in, objects_in, packed, word
from channels.tables import Meaning, later, misconfigured, spent
from channels.tables import refused as no

MOST = 4096  # bytes of keys and values that a device is sent
PROBE = 10.0  # seconds
_FOUR_WEEKS = 2_419_200  # seconds
_WAIT = 60.0  # seconds, where 429 comes without Retry-After

_BAD_TOKEN = no(FailureReason.address_invalid, "it is no registration token")
_BAD_MESSAGE = no(FailureReason.content, "it does not take the message as it is")
_BAD_APPLE_KEY = misconfigured("its key for APNs or web push does not serve: mend it in the Firebase console")
CODES: Mapping[str, Meaning] = {
    "UNREGISTERED": no(FailureReason.address_unknown, "the app is not on the device any more"),
    "SENDER_ID_MISMATCH": no(FailureReason.address_invalid, "the token belongs to another Firebase project"),
    "QUOTA_EXCEEDED": later("there were too many messages", _WAIT),
    "RESOURCE_EXHAUSTED": later("there were too many messages", _WAIT),
    "UNAVAILABLE": later("it is overloaded"),
    "INTERNAL": later("it met an error of its own"),
    "THIRD_PARTY_AUTH_ERROR": _BAD_APPLE_KEY,
    "APNS_AUTH_ERROR": _BAD_APPLE_KEY,  # an older name
    "UNAUTHENTICATED": spent(),
    "PERMISSION_DENIED": misconfigured("the service account may not send for this project"),
}


class FcmOptions(ProviderOptions):
    """What config.yaml may say about a Firebase project."""

    credentials_env: str | None = None  # the variable that holds the service account's JSON
    credentials_file_env: str | None = None  # or the one that names the file with it
    project: str | None = None  # the service account's own when it is not said
    target: Literal["token", "fid"] = "token"  # what addresses are: registration tokens, or installation ids
    ttl: int | None = Field(default=None, ge=0, le=_FOUR_WEEKS)  # seconds for which it tries to deliver
    priority: Literal["normal", "high"] | None = None
    collapse_key: str | None = Field(default=None, min_length=1, max_length=64)  # of its kind only the last is shown
    sound: str | None = None
    analytics_label: str | None = Field(default=None, pattern=r"^[a-zA-Z0-9-_.~%]{1,50}$")
    url: Address = "https://fcm.googleapis.com"
    in_flight: int = Field(default=IN_FLIGHT, ge=1, le=1000)

    @model_validator(mode="after")
    def _one_credential(self) -> Self:
        if (self.credentials_env is None) == (self.credentials_file_env is None):
            raise ValueError("give one of credentials_env and credentials_file_env")
        return self


class FcmProvider(Provider):
    """One project. Its access token is shared by all workers."""

    name = "fcm"
    channels = frozenset({"push"})
    Options: ClassVar[type[ProviderOptions]] = FcmOptions

    def configure(self, options: FcmOptions, env: Mapping[str, str], home: Path) -> None:
        self._options = options
        self._api = Api(options.url, connections=options.in_flight, headers={"content-type": "application/json"})
        self._credential = LongSecret(env, options.credentials_env, options.credentials_file_env, home)
        self._login: Login | None = None
        if options.credentials_env is not None:
            self._sign_in()
        self.features = Features(in_flight=options.in_flight)

    def describe(self) -> str:
        return f"{self._api.place}, devices by their {self._options.target}"

    async def open(self) -> None:
        self._sign_in()

    async def close(self) -> None:
        await self._api.close()
        if self._login is not None:
            await self._login.close()

    async def probe(self) -> None:
        message = {"topic": "outreach", "notification": {"title": "outreach"}}
        body = packed({"validate_only": True, "message": message})
        answer = await self._ask(body, asyncio.get_running_loop().time() + PROBE)
        if isinstance(answer, SendError):
            raise answer

    def refusal(self, content: Content) -> Rejected | None:
        refused = super().refusal(content) or plain.flaw(content)
        if refused is not None or not isinstance(content, Push):
            return refused
        if len(content.to.split()) != 1:
            return Rejected("The registration token holds a space.", reason=FailureReason.address_invalid)
        return _too_long(content, "")

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Answer]:
        began = asyncio.get_running_loop().time()
        return await each(batch, lambda outgoing: self._hand_over(outgoing, began + outgoing.timeout))

    async def _hand_over(self, outgoing: Outgoing, deadline: float) -> Answer:
        content = outgoing.content
        flaw = self.refusal(content)
        if flaw is not None or not isinstance(content, Push):
            return flaw or Rejected("This is no push.", reason=FailureReason.content)
        body = packed({"message": self._message(content, outgoing)})
        return _too_long(content, outgoing.key) or await self._ask(body, deadline)

    def _message(self, content: Push, outgoing: Outgoing) -> dict[str, Any]:
        options = self._options
        link = content.link if (content.link or "").startswith("https://") else None  # browsers are sent nowhere else
        message = {
            options.target: content.to,
            "notification": _notification(content),
            "data": _data(content, outgoing.key),
            "android": _said(
                collapse_key=options.collapse_key,
                priority=options.priority,
                ttl=None if options.ttl is None else f"{options.ttl}s",
                notification=_said(sound=options.sound) or None,
            ),
            "apns": self._apns(content, outgoing.created_at),
            "webpush": {"fcm_options": {"link": link}} if link else {},
            "fcm_options": _said(analytics_label=options.analytics_label),
        }
        return {name: value for name, value in message.items() if value}

    def _apns(self, content: Push, created_at: datetime) -> dict[str, Any]:
        options = self._options
        until = None if options.ttl is None else int(created_at.timestamp()) + options.ttl
        headers = _said(
            apns_priority={"high": "10", "normal": "5", None: None}[options.priority],
            apns_expiration=None if until is None else str(until),
            apns_collapse_id=options.collapse_key,
        )
        aps = _said(sound=options.sound, mutable_content=1 if content.image else None)
        dashed = [{name.replace("_", "-"): value for name, value in each.items()} for each in (headers, aps)]
        return _said(
            headers=dashed[0] or None,
            payload={"aps": dashed[1]} if aps else None,
            fcm_options={"image": content.image} if content.image else None,
        )

    async def _ask(self, body: bytes, deadline: float) -> Answer:
        """Ask with the token that there is, and once more with a new one when it is not accepted."""
        login = self._sign_in()
        token = await login.token.value(deadline)
        reply, meaning = await self._post(body, token, deadline)
        if meaning is not None and meaning.renews:
            token = await login.token.renewed(token, deadline)
            reply, meaning = await self._post(body, token, deadline)
        if reply.positive:
            return Sent(word(object_in(reply.body).get("name")) or None)
        wait = retry_after(reply.headers)
        if meaning is not None:
            return meaning.error(self._api.place, _code(reply), retry_after=wait)
        if reply.status == HTTPStatus.TOO_MANY_REQUESTS and wait is None:
            return Unavailable(f"{self._api.place} answered {reply.status:d}.", retry_after=_WAIT, code="429")
        return refused(reply, self._api.place) or Sent(None)

    async def _post(self, body: bytes, token: str, deadline: float) -> tuple[Reply, Meaning | None]:
        path = f"/v1/projects/{self._options.project or self._sign_in().project}/messages:send"
        reply = await self._api.post(path, body, deadline, {"authorization": f"Bearer {token}"})
        return reply, None if reply.positive else _meaning(reply)

    def _sign_in(self) -> Login:
        if self._login is None:
            self._login = Login(self._credential, self.keep, self.now)
        return self._login


# --- what is sent ----------------------------------------------------------------------------------------------------


def _notification(content: Push) -> dict[str, Any]:
    return _said(title=content.title or None, body=content.text or None, image=content.image or None)


def _data(content: Push, key: str) -> dict[str, Any]:
    """What the app is told besides: by `message_id` it recognises a message that comes twice."""
    return _said(message_id=key, link=content.link or None)


def _too_long(content: Push, key: str) -> Rejected | None:
    pairs = [*_notification(content).items(), *_data(content, key).items()]
    size = sum(len(name.encode()) + len(value.encode("utf-8", "replace")) for name, value in pairs)
    if size <= MOST:
        return None
    return Rejected(f"The push has {size} bytes; FCM takes {MOST}.", reason=FailureReason.content)


def _said(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


# --- what is answered ------------------------------------------------------------------------------------------------


def _error(reply: Reply) -> dict[str, Any]:
    found = object_in(reply.body).get("error")
    return found if isinstance(found, dict) else {}


def _code(reply: Reply) -> str:
    """FCM's own code, which stands in a detail; Google's status where there is none."""
    error = _error(reply)
    own = (word(detail.get("errorCode")) for detail in objects_in(error.get("details")))
    return next(filter(None, own), word(error.get("status")))


def _meaning(reply: Reply) -> Meaning | None:
    code = _code(reply)
    return _of_argument(_error(reply)) if code == "INVALID_ARGUMENT" else CODES.get(code)


def _of_argument(error: dict[str, Any]) -> Meaning:
    """One code for a bad token and for a bad message: the fields that are named tell, or else the words."""
    details = objects_in(error.get("details"))
    fields = [word(one.get("field")) for detail in details for one in objects_in(detail.get("fieldViolations"))]
    if fields:
        return _BAD_TOKEN if set(fields) <= {"message.token", "message.fid"} else _BAD_MESSAGE
    by_fcm = any(word(detail.get("errorCode")) for detail in details)
    about = word(error.get("message")).lower()
    return _BAD_TOKEN if by_fcm and ("registration token" in about or "installation id" in about) else _BAD_MESSAGE

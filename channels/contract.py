"""The contract between the engine and a provider: contents go in, one answer per message comes out, receipts follow.

A provider is one class for one service. It is told what to send and when its time is up; it never decides whether to
send. Everything it needs it is handed: options from config.yaml, secrets by the name of an environment variable.
`channels.testing.ProviderContract` is this page as a test suite; `channels.maildir` is a good first one to read.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeAlias

import msgspec
from msgspec import Struct, structs
from pydantic import BaseModel, ConfigDict, SecretStr

from channels.clock import system_now
from channels.errors import FailureReason, InvalidReceipt, Misconfigured, Rejected, SendError, Word
from channels.keep import Keep, MemoryKeep
from channels.told import keepable, keepable_json

__all__ = [
    "TO_PEOPLE",
    "Answer",
    "Asked",
    "Callback",
    "Content",
    "Email",
    "FailureReason",
    "Features",
    "Heard",
    "Inbox",
    "Keep",
    "Letterbox",
    "Notice",
    "Outgoing",
    "Provider",
    "ProviderOptions",
    "Push",
    "Receipt",
    "ReceiptType",
    "Sent",
    "Sms",
    "WeChat",
    "Webhook",
    "content_from_json",
    "content_to_json",
    "fields_of",
    "keepable",
    "keepable_json",
    "payload_hash",
    "secret",
]

Pairs: TypeAlias = tuple[tuple[str, str], ...]  # names and values whose order matters


# What is said: one content per channel. A content is complete: no template, no look-up, no locale is needed any more.


class _Told(Struct, frozen=True, forbid_unknown_fields=True, tag_field="channel", tag=str.lower):
    """As JSON it begins with its channel."""


class Email(_Told, frozen=True):
    """A mail to one person."""

    channel: ClassVar[str] = "email"

    to: str
    to_name: str = ""
    sender: str = ""
    sender_name: str = ""
    reply_to: str = ""
    subject: str = ""
    html: str = ""
    text: str = ""
    headers: Pairs = ()  # beyond the usual ones: List-Unsubscribe and the like


class Sms(_Told, frozen=True):
    """A short text to one number (E.164). Some providers want an approved template and its parameters instead."""

    channel: ClassVar[str] = "sms"

    to: str
    text: str = ""
    template: str | None = None
    params: Pairs = ()


class Push(_Told, frozen=True):
    """A notification to one device token."""

    channel: ClassVar[str] = "push"

    to: str
    title: str = ""
    text: str = ""
    image: str | None = None
    link: str | None = None


class WeChat(_Told, frozen=True):
    """A message to one open id (or one customer of a colleague in WeCom): an approved template and its values, or a
    text, which only those get who have spoken to us just now, or to whom a colleague sends it."""

    channel: ClassVar[str] = "wechat"

    to: str
    template: str = ""
    kind: str = "notice"  # notice or promotion
    page: str | None = None  # an address (https://...), or a page of the mini program (pages/order?id=1)
    values: Pairs = ()
    text: str = ""


class Inbox(_Told, frozen=True):
    """A message in the shop's own app or site, for one person by the shop's own name for them."""

    channel: ClassVar[str] = "inbox"

    to: str
    title: str = ""
    text: str = ""
    image: str | None = None
    link: str | None = None


class Webhook(_Told, frozen=True):
    """An event told to another system. `to` is its address, `type` a dotted name, `data` JSON as it is sent."""

    channel: ClassVar[str] = "webhook"

    to: str
    type: str = ""
    data: str = "{}"


class Notice(_Told, frozen=True):
    """A word to a colleague, or to the room of a queue: there is work. `to` names the colleague there; a room needs
    none."""

    channel: ClassVar[str] = "notice"

    to: str = ""
    title: str = ""
    text: str = ""  # Markdown
    link: str | None = None  # where to act on it


Content: TypeAlias = Email | Sms | Push | WeChat | Inbox | Webhook | Notice

#: the channels on which a customer is spoken to; the others tell systems and colleagues
TO_PEOPLE = frozenset({"email", "sms", "push", "wechat", "inbox"})

_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Content] = msgspec.json.Decoder(Content)


def fields_of(content: Content) -> dict[str, Any]:
    """What a content is made of, by name: its channel, then its fields in their order."""
    return {"channel": content.channel, **structs.asdict(content)}


def content_to_json(content: Content) -> bytes:
    """A content as JSON in UTF-8; `content_from_json` is the way back.

    Equal contents have equal bytes, on every machine and in every process.
    """
    return _ENCODER.encode(content)


def content_from_json(encoded: bytes) -> Content:
    """The content written by `content_to_json`. `msgspec.DecodeError` when it is none."""
    return _DECODER.decode(encoded)


def payload_hash(encoded: bytes) -> str:
    """SHA-256 of an encoded content, in hex."""
    return hashlib.sha256(encoded).hexdigest()


# What goes in and what comes out.


class Outgoing(Struct, frozen=True):
    """One attempt to hand over one message."""

    message_id: int
    key: str  # the same for every attempt of one message, different for every other message
    content: Content
    created_at: datetime  # when the message was rendered; the same for every attempt
    attempt: int = 1
    timeout: float = 60.0  # seconds from the call of `send`, all included; after them there is an answer


class Sent(Struct, frozen=True):
    """The provider took responsibility for the message."""

    provider_id: str | None  # its name there, None when the answer had none or could not be read
    note: str = ""


Answer: TypeAlias = Sent | SendError


class ReceiptType(Word):
    """What a provider reports about a message after it was handed over, in our words. Each carries its sentence."""

    accepted = ("accepted", "The provider has the message: the answer to a question about one whose fate was unknown.")
    deferred = ("deferred", "Delivery did not succeed yet and the provider goes on trying; nothing is final.")
    delivered = ("delivered", "The message arrived at the person's mailbox, phone or app.")
    bounced = ("bounced", "The message came back, or was given up; it did not arrive and `reason` says why.")
    complained = ("complained", "The person called the message spam.")
    unsubscribed = ("unsubscribed", "The person asked, at the provider, to receive nothing more.")
    opened = ("opened", "The message was displayed; `machine` tells whether by a program rather than a person.")
    clicked = ("clicked", "A link in the message was followed; `link` names it and `machine` tells by whom.")
    replied = ("replied", "The person answered; `detail` holds the words, `opt_out` tells whether they ask to stop.")
    resubscribed = ("resubscribed", "The person asked, at the provider, to be written to again.")
    granted = ("granted", "The person allows one message of the template that `detail` names.")
    revoked = ("revoked", "The person wants no more messages of the template that `detail` names.")
    unknown = ("unknown", "A report in words we have no word for; the provider's own are kept in `raw`.")


@dataclass(frozen=True)
class Receipt:
    """One report of a provider about one message. They may come twice, late and in any order."""

    type: ReceiptType
    at: datetime  # when it happened, by the provider's clock
    event_id: str  # the provider's own name for this report: a second one with the same name is a repeat
    key: str | None = None  # the key of the Outgoing, when the provider gives it back
    provider_id: str | None = None  # what `Sent` called the message
    reason: FailureReason | None = None  # for bounced
    to: str | None = None  # whose address it is about, as contents write it, when the provider says so
    link: str | None = None  # for clicked
    machine: bool = False  # for opened and clicked: a scanner or a proxy, no person
    opt_out: bool = False  # for replied
    detail: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Callback:
    """A request of a provider to us, as it came in. What it says is believed when its signature is right."""

    method: str  # GET or POST
    url: str  # whole, as the provider was told it: scheme, host, path and query, not what a proxy made of it
    headers: Mapping[str, str]  # names in lower case
    body: bytes  # as it came: signatures are of these bytes
    at: datetime  # when it came in


@dataclass(frozen=True)
class Heard:
    """What a callback says, and what its sender wants to hear in return once that is kept."""

    receipts: tuple[Receipt, ...] = ()
    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"


class Letterbox(Protocol):
    """Where such mails wait to be read. One is fetched again until it was said to be done, or put aside."""

    async def fetch(self) -> Sequence[Any]:
        """The next few, the oldest first; none when all are read."""
        ...

    async def done(self, mail: Any) -> None:
        """What it says is kept."""
        ...

    async def aside(self, mail: Any) -> None:
        """Nothing follows from it: it stays, for a person to look at."""
        ...

    async def close(self) -> None:
        """Let go of the connection."""
        ...


@dataclass(frozen=True)
class Asked:
    """A message of which we ask what became of it."""

    key: str
    content: Content
    at: datetime  # of its first attempt
    provider_id: str | None = None  # what `Sent` called it, None when there was no answer


@dataclass(frozen=True)
class Features:
    """What a provider can and cannot do; the engine asks nothing else about it."""

    dedupe_by: Literal["key", "content", "none"] = "none"  # by what it recognises a message it already has
    dedupe_window: timedelta | None = None  # for how long it does, None: for good
    batch: int = 1  # the most messages in one request
    in_flight: int = 1  # the most messages in one call of `send`
    receipts: bool = False  # whether it reports what became of a message, by `receipts`
    look_up: bool = False  # whether it can be asked what became of a message, by `look_up`
    ordered: bool = False  # whether messages of one call arrive in their order

    def recognises_repeat(self, age: timedelta) -> bool:
        """True when the same key with the same bytes, `age` after the first attempt, cannot make a second message."""
        return self.dedupe_by != "none" and (self.dedupe_window is None or age < self.dedupe_window)


# The provider.


class ProviderOptions(BaseModel):
    """What config.yaml may say about a provider. Each provider has its own, derived from this one.

    A secret is never an option; the name of the environment variable that holds it is: `password_env: SMTP_PASSWORD`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Provider(ABC):
    """One service on one channel.

    Wrong options raise pydantic's ValidationError, an unset secret raises Misconfigured naming its variable; both when
    the provider is made, so that nothing is discovered in the middle of the night.
    """

    name: ClassVar[str]  # what config.yaml calls it
    channels: ClassVar[frozenset[str]]  # the channels it can serve
    Options: ClassVar[type[ProviderOptions]] = ProviderOptions
    features: Features = Features()
    letterbox: Letterbox | None = None  # where its reports come in by mail; each is then told to `receipts`

    def __init__(
        self,
        channel: str,
        options: Mapping[str, Any],
        env: Mapping[str, str],
        home: Path = Path(),
        *,
        keep: Keep | None = None,
        now: Callable[[], datetime] = system_now,
    ) -> None:
        """`env` holds the secrets; `home` is the folder from which paths among the options are understood. `keep` is
        what all workers share (None: nobody shares anything), `now` tells the time: signatures are of an instant."""
        if channel not in self.channels:
            known = ", ".join(sorted(self.channels))
            raise Misconfigured(f"The provider {self.name} cannot serve the channel {channel}; it serves {known}.")
        self.channel = channel
        self.keep: Keep = MemoryKeep(now) if keep is None else keep
        self.now = now
        self.configure(self.Options.model_validate(dict(options)), env, home)

    @abstractmethod
    def configure(self, options: Any, env: Mapping[str, str], home: Path) -> None:
        """Take in the checked options (an instance of this provider's Options). No network and no file is touched."""

    @abstractmethod
    def describe(self) -> str:
        """One line for people that says where messages go: host and port, a folder. Without secrets."""

    async def open(self) -> None:  # noqa: B027  most providers have nothing to do here
        """Make ready to send. Called once before the first `send`, and again to send after `close`."""

    async def close(self) -> None:  # noqa: B027  as above
        """Let go of connections and files. May be called twice, and without `open`."""

    async def probe(self) -> None:  # noqa: B027  as above
        """Ask whether the service is there and lets us in; nothing is sent. Raises what a message would meet."""

    def refusal(self, content: Content) -> Rejected | None:
        """Why this provider can never send this content, None when it may. Asks nobody; `send` asks it first."""
        if content.channel != self.channel:
            sentence = f"This provider serves the channel {self.channel} and was given a message for {content.channel}."
            return Rejected(sentence, reason=FailureReason.content)
        return None

    @abstractmethod
    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Answer]:
        """Hand over at most `features.in_flight` messages and give one answer for each, in their order.

        An answer is Sent or one of the four SendErrors, as a value. A SendError that is raised speaks for all of them.
        Whatever happens, the answer is there `timeout` seconds after the call, and says Uncertain unless acceptance or
        non-acceptance is proved. Cancelled from outside, a message already handed over is uncertain.
        """

    async def receipts(self, callback: Callback) -> Heard:
        """What a request of the provider says about messages, in our words; InvalidReceipt when it cannot be trusted.

        What is said in words we do not know is a Receipt of type `unknown`: nothing that is signed is thrown away.
        """
        raise InvalidReceipt(f"{self.name} tells nothing about messages afterwards.")

    async def look_up(self, asked: Sequence[Asked], timeout: float) -> Sequence[Receipt | None]:
        """Ask what became of messages: one answer each, in their order, None where the service does not know, or not
        yet. That it knows nothing proves nothing. Raises what a message would meet."""
        return [None for _ in asked]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} for {self.channel}: {self.describe()}>"


def secret(env: Mapping[str, str], variable: str) -> SecretStr:
    """The secret kept in an environment variable, without the line end of the file that it may come from.
    Misconfigured, naming the variable, when there is none."""
    value = env.get(variable, "").strip("\r\n")
    if not value:
        raise Misconfigured(f"The environment variable {variable} is not set; it must hold the secret.")
    if any("\ud800" <= sign <= "\udfff" for sign in value):  # how Python reads bytes of an environment that are no text
        raise Misconfigured(
            f"The environment variable {variable} holds bytes that are no text; write the secret in UTF-8."
        )
    return SecretStr(value)

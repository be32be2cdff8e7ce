"""Links in messages: signed tokens, each good for one use, made without a database and read without one.

A token is `<payload>.<signature>`, both URL-safe base64. The signature is HMAC-SHA256 (its first 16 bytes) over the
use and the payload, so a token made for one use is no token for another. A payload names its person by number
only; it holds no address and no name. Tokens do not expire: whoever changes the secret keeps the old one beside it for
as long as links already sent shall work (60 days at least).
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from engine import keyed
from engine.message.utm import Tags

SAFE_SCHEMES: Final = ("https", "http", "mailto", "tel")
INERT: Final = "inert"  # the token of links in previews and simulations; nothing reads it

_SIGNATURE = 16  # bytes
_LONGEST = 4096  # characters of a token
_LONGEST_URL = 2000
ANSWER = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
TOPIC = re.compile(r"\w[\w.-]{0,99}")
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029\\]")


class LinkUse(StrEnum):
    """What a token may be used for; nothing else. The value is its place in the path: `/u/<token>`."""

    unsubscribe = "u"  # one person, one topic
    preferences = "p"  # look at one's own choices; to change them the page asks for more
    click = "c"  # follow to the address written in the token, and be counted
    answer = "a"  # one word in answer to a question
    confirm = "y"  # say yes to one topic on the channel of the message
    task = "t"  # see one task and act on it: for colleagues


class SafeUrl(str):
    """An address that has been checked, or that we made."""

    __slots__ = ()


class Token(Struct, frozen=True):
    """What a token says, once its signature held."""

    customer_id: int
    message_id: int
    topic: str = ""  # unsubscribe, confirm
    journey: str = ""  # click, answer
    enrollment_id: int | None = None  # click, answer
    word: str = ""  # click: the address it leads to; answer: the word


class BadLink(ValueError):
    """A text asks for a link that must not be made. The sentence says why, without repeating it."""


@dataclass(frozen=True)
class Links:
    """Makes the links of one installation. `secret` signs them; inert ones look alike and do nothing."""

    base_url: str
    secret: bytes
    inert: bool = False
    tracked: bool = True  # False: clicks lead straight to their address and are not counted

    def __post_init__(self) -> None:
        object.__setattr__(self, "base_url", checked_url(self.base_url).rstrip("/"))
        if not self.secret and not self.inert:
            raise BadLink("links cannot be signed without a secret")

    def __repr__(self) -> str:
        return f"Links({self.base_url!r}, inert={self.inert})"

    @cached_property
    def beginnings(self) -> tuple[str, ...]:
        """How every link begins that is made here."""
        return tuple(f"{self.base_url}/{use.value}/" for use in LinkUse)

    def of(
        self,
        *,
        customer_id: int,
        topic: str,
        message_id: int,
        journey: str = "",
        enrollment_id: int | None = None,
        tags: Tags | None = None,
    ) -> MessageLinks:
        """The links of one message; `tags` are put on those that lead to the shop."""
        return MessageLinks(self, customer_id, topic, message_id, journey, enrollment_id, tags)

    def make(self, use: LinkUse, token: Token) -> SafeUrl:
        """The whole address of a token."""
        text = INERT if self.inert else make_token(self.secret, use, token)
        return SafeUrl(f"{self.base_url}/{use.value}/{text}")


class MessageLinks(Struct, frozen=True):
    """What a text knows as `links`."""

    maker: Links
    customer_id: int
    topic: str
    message_id: int
    journey: str
    enrollment_id: int | None
    tags: Tags | None = None
    made: dict[tuple[LinkUse, str], str] = {}  # each is signed once

    @property
    def unsubscribe(self) -> str:
        """Ends this topic for this person."""
        return self._made(LinkUse.unsubscribe)

    @property
    def preferences(self) -> str:
        """Shows what this person has agreed to."""
        return self._made(LinkUse.preferences)

    def click(self, url: str) -> str:
        """Leads to `url` and counts the click."""
        checked = checked_url(url)
        checked = self.tags.url(checked) if self.tags else checked
        return self._made(LinkUse.click, checked) if self.maker.tracked else SafeUrl(checked)

    def answer(self, word: str) -> str:
        """Answers a question with one word."""
        if not isinstance(word, str) or not ANSWER.fullmatch(word):
            raise BadLink("an answer is one word of a-z, 0-9, - and _")
        return self._made(LinkUse.answer, word)

    def confirm(self, topic: str) -> str:
        """Leads to a button that says yes to this topic, on the channel by which the message came."""
        if not isinstance(topic, str) or not TOPIC.fullmatch(topic):
            raise BadLink("what is confirmed is a topic of config.yaml: one word")
        return self._made(LinkUse.confirm, topic)

    def _made(self, use: LinkUse, word: str = "") -> str:
        link = self.made.get((use, word))
        if link is None:
            topic = word if use is LinkUse.confirm else self.topic
            token = Token(self.customer_id, self.message_id, topic, self.journey, self.enrollment_id, word)
            link = self.made[use, word] = self.maker.make(use, token)
        return link


def checked_url(url: object) -> str:
    """A web address, as it was given. BadLink for everything else."""
    text = str(url)
    if len(text) > _LONGEST_URL:
        raise BadLink(f"the address is longer than {_LONGEST_URL} characters")
    if _UNPRINTABLE.search(text):
        raise BadLink("the address holds a space, a backslash or a character that cannot be seen")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise BadLink("this is not a web address") from None
    if parts.scheme not in ("https", "http"):
        raise BadLink("the address does not begin with https:// or http://")
    if not parts.hostname:
        raise BadLink("the address names no host")
    return text


def safe_link(url: object) -> str:
    """An address that may stand in a message: https, http, mailto or tel. BadLink for everything else."""
    text = str(url)
    scheme = text.partition(":")[0].lower()
    if scheme in ("https", "http"):
        return checked_url(scheme + text[len(scheme) :])
    if scheme not in SAFE_SCHEMES or ":" not in text:
        raise BadLink("the address does not begin with https:, http:, mailto: or tel:")
    if re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", text):
        raise BadLink("the address holds a character that cannot be seen")
    return text


def bad_scheme(text: str) -> str | None:
    """The scheme a written address begins with, when it has one and it is none of the four."""
    plain = re.sub(r"[\x00-\x20]", "", text)  # browsers skip these
    found = _SCHEME.match(plain)
    scheme = found[0][:-1].lower() if found else None
    return scheme if scheme and scheme not in SAFE_SCHEMES else None


def make_token(secret: bytes, use: LinkUse, token: Token) -> str:
    """Sign a token for one use."""
    payload = _encoded(_written(use, token).encode())
    return f"{payload}.{_encoded(_signature(secret, use, payload))}"


def read_token(secrets: Sequence[bytes], text: str, use: LinkUse) -> Token | None:
    """What a token says, if one of the secrets signed it for this use; else None, whatever the text."""
    payload, dot, signature = text.partition(".")
    if not dot or len(text) > _LONGEST or not text.isascii():
        return None
    given = _decoded(signature)
    if given is None or len(given) != _SIGNATURE or _encoded(given) != signature:
        return None
    # every secret is tried, so that the time taken tells nothing about which one signed
    matches = [hmac.compare_digest(given, _signature(secret, use, payload)) for secret in secrets if secret]
    return _token(use, payload) if any(matches) else None


def _signature(secret: bytes, use: LinkUse, payload: str) -> bytes:
    return keyed.digest(secret, f"outreach link {use.value}\n{payload}".encode())[:_SIGNATURE]


def _written(use: LinkUse, token: Token) -> str:
    """What a token says, a line each: it has to stay short."""
    person = f"{token.customer_id}\n{token.message_id}"
    match use:
        case LinkUse.unsubscribe | LinkUse.confirm:
            return f"{person}\n{token.topic}"
        case LinkUse.preferences | LinkUse.task:
            return person
        case LinkUse.click | LinkUse.answer:
            return f"{person}\n{token.enrollment_id or ''}\n{token.journey}\n{token.word}"


def _token(use: LinkUse, payload: str) -> Token | None:
    try:
        customer, message, *more = (_decoded(payload) or b"").decode().split("\n")
        match use:
            case LinkUse.unsubscribe | LinkUse.confirm:
                (topic,) = more
                return Token(int(customer), int(message), topic=topic)
            case LinkUse.preferences | LinkUse.task:
                () = more
                return Token(int(customer), int(message))
            case LinkUse.click | LinkUse.answer:
                enrollment, journey, word = more
                return Token(int(customer), int(message), "", journey, int(enrollment) if enrollment else None, word)
    except ValueError:  # signed by us in another form, long ago
        return None


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        return None

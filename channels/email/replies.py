"""What a mail server's answers mean, in our words: tables to read aloud (RFC 5321, RFC 3463)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum

from channels.errors import FailureReason, Misconfigured, Rejected, SendError, Unavailable


class Stage(StrEnum):
    """What the server was asked when it gave its answer."""

    hello = "our greeting"
    login = "our name and password"
    sender = "the sender"
    recipient = "the recipient"
    data = "our wish to send a text"
    content = "the message"


#: enhanced codes of class 5, the first that fits; `x` fits any number
_BY_ENHANCED_CODE: tuple[tuple[str, FailureReason], ...] = (
    ("5.1.1", FailureReason.address_unknown),
    ("5.1.2", FailureReason.address_unknown),
    ("5.1.3", FailureReason.address_invalid),
    ("5.1.6", FailureReason.address_unknown),  # moved, no forwarding
    ("5.1.7", FailureReason.sender),
    ("5.1.8", FailureReason.sender),
    ("5.1.10", FailureReason.address_unknown),  # null MX: the domain takes no mail
    ("5.2.1", FailureReason.address_unknown),  # disabled
    ("5.2.2", FailureReason.address_full),  # of class 5, yet mailboxes are emptied again
    ("5.2.3", FailureReason.content),  # too long for this mailbox
    ("5.3.4", FailureReason.content),  # too big for the system
    ("5.4.4", FailureReason.address_unknown),  # no route to the domain
    ("5.4.7", FailureReason.expired),
    ("5.6.x", FailureReason.content),
    ("5.7.x", FailureReason.policy),
)
#: without an enhanced code the reply itself must do; it says too little to give up an address for it
_BY_REPLY: dict[tuple[Stage, int], FailureReason] = {
    (Stage.sender, 552): FailureReason.content,  # larger than we said it was, or than the server takes
    (Stage.recipient, 552): FailureReason.address_full,
    (Stage.content, 552): FailureReason.content,
}
#: refusals that will meet every message until a person mends something, and what to mend
_OUR_FAULT: dict[str, str] = {
    "530": "the server wants a login or TLS first: set username, password_env and mode",
    "534": "the server wants another way to log in, often a password made for applications",
    "535": "the server does not accept the user name or the password",
    "538": "the server wants TLS before the login: set mode: starttls",
    "555": "the server does not understand a parameter of ours",
    "5.7.8": "the server does not accept the user name or the password",
    "5.7.26": "the sender's domain is not authenticated: publish SPF and DKIM for it",
    "5.7.515": "the sender's domain does not meet the rules for bulk senders: SPF, DKIM, DMARC",
}

_SLOWLY = 60.0  # seconds to stay away from a server that wants fewer messages and does not say since when
#: spoken of one mailbox, or of a sender nobody has seen before: others need not wait for that
_OF_ONE = re.compile(r"gr[ae]y-?list", re.IGNORECASE)

_ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?=\s|$)")
_QUEUE_ID = re.compile(
    r"queued as <?(?P<postfix>[\w.+@-]+)"
    r"|\bid=(?P<exim>[\w.-]+)"
    r"|\[InternalId=(?P<exchange>\d+)"
    r"|^(?:2\.\d\.\d )?(?P<sendmail>[\w.-]+) Message accepted"
    r"|^Ok (?P<ses>[0-9a-f]{8,}[0-9a-f-]+)$"
)


def refused(
    code: int, text: str, stage: Stage, server: str, secrets: Iterable[str] = (), names: Iterable[str] = ()
) -> SendError:
    """The error behind a reply that is not the one hoped for. Secrets and names do not appear in its sentence."""
    enhanced = _enhanced(code, text)
    shown = f"{code} {enhanced}" if enhanced else str(code)
    said = f"{server} answered {stage.value} with {quoted(f'{code} {text}', secrets, names)}"
    if 400 <= code < 500:
        return Unavailable(f"{said}.", code=shown, retry_after=_SLOWLY if _is_throttled(code, enhanced, text) else None)
    if not 500 <= code < 600:
        return Unavailable(f"{said}, which is no answer to that.", code=shown)
    cure = _OUR_FAULT.get(enhanced) or _OUR_FAULT.get(str(code))
    if stage in (Stage.hello, Stage.login) or cure:
        return Misconfigured(f"{said}: {cure}." if cure else f"{said}.", code=shown)
    return Rejected(f"{said}.", reason=_reason(code, enhanced, stage), code=shown)


def queue_id(text: str) -> str | None:
    """The name the server gave a message it accepted, where it can be read."""
    found = _QUEUE_ID.search(text)
    return found[found.lastgroup or 0][:128] if found else None


def quoted(text: str, secrets: Iterable[str] = (), names: Iterable[str] = ()) -> str:
    """A server's words on one short line: no address, no secret wherever it stands, no name that stands by itself."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "<hidden>")
    text = re.sub(r"\S*@\S*", "<address>", text)
    for name in filter(None, names):
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "<hidden>", text, flags=re.IGNORECASE)
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text.rstrip(".") if len(text) <= 200 else text[:199] + "…"


def _enhanced(code: int, text: str) -> str:
    """The enhanced code at the head of a reply, when its class agrees with the reply's own."""
    found = _ENHANCED.match(text)
    return found[0] if found and found[1] == str(code)[0] else ""


def _is_throttled(code: int, enhanced: str, text: str) -> bool:
    """Whether a temporary refusal is about how much we send, and not about this message or this person."""
    if _OF_ONE.search(text):
        return False
    return enhanced.startswith("4.7.") or (code == 452 and not enhanced.startswith("4.2."))


def failure(enhanced: str) -> FailureReason | None:
    """The reason behind an enhanced code of class 5, None for one we do not know."""
    for pattern, reason in _BY_ENHANCED_CODE:
        if enhanced == pattern or (pattern.endswith(".x") and enhanced.startswith(pattern[:-1])):
            return reason
    return None


def _reason(code: int, enhanced: str, stage: Stage) -> FailureReason:
    known = failure(enhanced)
    if known is not None:
        return known
    if stage is Stage.sender and (stage, code) not in _BY_REPLY:
        return FailureReason.sender
    return _BY_REPLY.get((stage, code), FailureReason.unknown)

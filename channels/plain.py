"""Contents in words, for folders, terminals and records that people read: a few named lines, then the text."""

from __future__ import annotations

import re

from channels.contract import Content, Email, Inbox, Notice, Pairs, Push, Sms, Webhook, WeChat
from channels.errors import FailureReason, Rejected

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_CONTROL_IN_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def flaw(content: Content) -> Rejected | None:
    """Why this cannot be sent by any provider of its channel, None when it may."""
    if not content.to.strip() and not isinstance(content, Notice):
        return Rejected(f"The {content.channel} message has no address.", reason=FailureReason.address_invalid)
    if _CONTROL.search(content.to):
        return Rejected(
            f"The address of the {content.channel} message holds a control character.",
            reason=FailureReason.address_invalid,
        )
    if not text(content).strip():
        return Rejected(f"The {content.channel} message has no text.", reason=FailureReason.content)
    return None


def lines(content: Content) -> Pairs:
    """What stands above the text: names and values, each value on one line."""
    match content:
        case Email():
            found = [
                ("From", f"{content.sender_name} <{content.sender}>" if content.sender else ""),
                ("Subject", content.subject),
                *content.headers,
            ]
        case Sms():
            found = [("Template", content.template or ""), *content.params]
        case Push():
            found = [("Title", content.title), ("Image", content.image or ""), ("Link", content.link or "")]
        case WeChat():
            found = [("Template", content.template), ("Kind", content.kind), ("Page", content.page or "")]
        case Inbox():
            found = [("Title", content.title), ("Image", content.image or ""), ("Link", content.link or "")]
        case Webhook():
            found = [("Type", content.type)]
        case Notice():
            found = [("Title", content.title), ("Link", content.link or "")]
    named = [("To", content.to), *found]
    return tuple((one_line(name), one_line(value)) for name, value in named if value)


def text(content: Content) -> str:
    """The words themselves."""
    match content:
        case Email():
            return content.text or content.html
        case Sms():
            return content.text or _listed(content.params) or (content.template or "")
        case Push():
            return content.text or content.title
        case WeChat():
            return _listed(content.values) or content.text or content.template
        case Inbox() | Notice():
            return content.text or content.title
        case Webhook():
            return content.data if content.type else ""


def one_line(value: str) -> str:
    """A value that cannot leave its line, nor speak to a terminal."""
    return _CONTROL.sub(" ", value)


def printable(value: str) -> str:
    """A text whose lines are the only thing in it that a terminal obeys."""
    return _CONTROL_IN_TEXT.sub("\N{REPLACEMENT CHARACTER}", value.replace("\r\n", "\n").replace("\r", "\n"))


def _listed(pairs: Pairs) -> str:
    return "\n".join(f"{name}: {value}" for name, value in pairs)

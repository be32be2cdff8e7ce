"""What official accounts and mini programs report, in our words."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, TypeAlias

from channels.callbacks import asks_to_stop, word
from channels.contract import Receipt, ReceiptType
from channels.errors import FailureReason

Row: TypeAlias = dict[str, Any]

FOLLOWS = {"subscribe": ReceiptType.resubscribed, "unsubscribe": ReceiptType.unsubscribed}
CHOICES = {"accept": ReceiptType.granted, "reject": ReceiptType.revoked}
#: of a template message, without the spaces, which vary
STATUSES = {
    "failed:userblock": FailureReason.opted_out,
    "failed:systemfailed": FailureReason.unknown,
    "failed:freqlimit": FailureReason.policy,
}
#: what tells one event from another: of all, of those about a template, of WeCom's
_TELLING = (
    *("FromUserName", "CreateTime", "MsgType", "Event"),
    *("TemplateId", "SubscribeStatusString"),
    *("ChangeType", "UserID", "ExternalUserID"),
)
#: events about several templates, and under which name their list stands
_LISTS = {
    "subscribe_msg_popup_event": "SubscribeMsgPopupEvent",
    "subscribe_msg_change_event": "SubscribeMsgChangeEvent",
    "subscribe_msg_sent_event": "SubscribeMsgSentEvent",
}


def receipts_of(letter: Row, came_at: datetime, reason_of: Callable[[str], FailureReason]) -> tuple[Receipt, ...]:
    """What a letter says: mostly one thing. `reason_of` tells the meaning of an error code."""
    return tuple(_told(letter, instant(letter, came_at), reason_of))


def _told(letter: Row, at: datetime, reason_of: Callable[[str], FailureReason]) -> Iterator[Receipt]:
    event, to = word(letter, "Event"), word(letter, "FromUserName") or None
    name = name_of(letter)
    if event in FOLLOWS:
        yield Receipt(FOLLOWS[event], at, name, to=to, raw=letter)
    elif event == "TEMPLATESENDJOBFINISH":
        yield _template_sent(letter, at)
    elif event in _LISTS:
        for number, row in enumerate(_rows(letter, _LISTS[event])):
            said = {**{key: value for key, value in letter.items() if key != _LISTS[event]}, **row}
            template, name = word(row, "TemplateId"), f"{name_of(said)}/{number}"
            if event == "subscribe_msg_sent_event":
                yield _notification_sent(said, at, name, reason_of)
            else:
                choice = CHOICES.get(word(row, "SubscribeStatusString"), ReceiptType.unknown)
                yield Receipt(choice, at, name, to=to, detail=template, raw=said)
    elif word(letter, "MsgType") == "text":
        words = word(letter, "Content")
        yield Receipt(ReceiptType.replied, at, name, to=to, detail=words, opt_out=asks_to_stop(words), raw=letter)
    else:
        yield Receipt(ReceiptType.unknown, at, name, to=to, detail=event, raw=letter)


def _template_sent(letter: Row, at: datetime) -> Receipt:
    number = word(letter, "MsgID") or None
    status = "".join(word(letter, "Status").split()).lower()
    reason = STATUSES.get(status, FailureReason.unknown) if status.startswith("failed") else None
    type_ = ReceiptType.bounced if reason else ReceiptType.delivered if status == "success" else ReceiptType.unknown
    name, to = name_of(letter), word(letter, "FromUserName") or None
    return Receipt(type_, at, name, provider_id=number, reason=reason, to=to, detail=status, raw=letter)


def _notification_sent(said: Row, at: datetime, name: str, reason_of: Callable[[str], FailureReason]) -> Receipt:
    code = word(said, "ErrorCode")
    reason = reason_of(code) if code != "0" else None
    return Receipt(
        ReceiptType.bounced if reason else ReceiptType.delivered,
        at,
        name,
        provider_id=word(said, "MsgID") or None,
        reason=reason,
        to=word(said, "FromUserName") or None,
        detail=word(said, "TemplateId"),
        raw=said,
    )


def _rows(letter: Row, around: str) -> list[Row]:
    """The entries of a list; one entry stands there alone."""
    held = letter.get(around)
    found = held.get("List") if isinstance(held, dict) else None
    rows = found if isinstance(found, list) else [found]
    return [row for row in rows if isinstance(row, dict)]


def instant(letter: Row, came_at: datetime) -> datetime:
    """When it happened."""
    said = word(letter, "CreateTime")
    return datetime.fromtimestamp(int(said), UTC) if said.isascii() and said.isdigit() and len(said) < 11 else came_at


def name_of(letter: Row) -> str:
    """By what a repeat is known: the number of the message; of an event who, when and what, as a digest, since names
    of reports may stay longer than people."""
    event = word(letter, "Event") or "message"
    number = word(letter, "MsgID") or word(letter, "MsgId")
    if number:
        return f"{event}/{number}"
    said = "\n".join(word(letter, name) for name in _TELLING)
    return f"{event}/{hashlib.sha256(said.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}"

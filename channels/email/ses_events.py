"""What SES tells in a message of SNS, in our words: notifications of an identity, and events of a configuration set."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from email.utils import parseaddr
from typing import Any

from channels.callbacks import word
from channels.contract import FailureReason, Receipt, ReceiptType
from channels.email.sns import instant

#: a word of SES, ours, and under which name the rest is told
EVENTS: dict[str, tuple[ReceiptType, str]] = {
    "Send": (ReceiptType.accepted, "send"),
    "Delivery": (ReceiptType.delivered, "delivery"),
    "DeliveryDelay": (ReceiptType.deferred, "deliveryDelay"),
    "Bounce": (ReceiptType.bounced, "bounce"),
    "Reject": (ReceiptType.bounced, "reject"),
    "Rendering Failure": (ReceiptType.bounced, "failure"),
    "Complaint": (ReceiptType.complained, "complaint"),
    "Subscription": (ReceiptType.unsubscribed, "subscription"),
    "Open": (ReceiptType.opened, "open"),
    "Click": (ReceiptType.clicked, "click"),
}
#: why a mail came back that may arrive another time, or in another form
TRANSIENT: dict[str, FailureReason] = {
    "MailboxFull": FailureReason.address_full,
    "CustomTimeoutExceeded": FailureReason.expired,
    "MessageTooLarge": FailureReason.content,
    "AttachmentRejected": FailureReason.content,
    "ContentRejected": FailureReason.content,
}

Row = dict[str, Any]


def receipts_of(message: dict[str, str], key_tag: str) -> tuple[Receipt, ...]:
    """One receipt for each person that a message of SNS is about. A repeat has the same MessageId; an event that comes
    by two ways has the same feedbackId."""
    row = _row(message["Message"])
    kind, name = EVENTS.get(word(row, "eventType") or word(row, "notificationType"), (ReceiptType.unknown, ""))
    mail, told = _object(row, "mail"), _object(row, name)
    sent_to = [_address(one) for one in _list(mail, "destination")]
    people: list[str | None] = [*_people(told, sent_to)] or [*sent_to] or [None]
    event = word(told, "feedbackId") or message["MessageId"]
    key = next((one for one in _list(_object(mail, "tags"), key_tag) if isinstance(one, str)), None)
    if kind is ReceiptType.unsubscribed and _wants_all(told):
        kind = ReceiptType.resubscribed
    return tuple(
        Receipt(
            type=kind,
            at=_at(told) or _at(mail) or instant(message["Timestamp"]) or datetime.min.replace(tzinfo=UTC),
            event_id=f"{event}/{nth}" if nth else event,
            key=key,
            provider_id=word(mail, "messageId") or None,
            reason=_REASONS.get(name, _unknown)(told) if kind is ReceiptType.bounced else None,
            to=person,
            link=word(told, "link") or None if kind is ReceiptType.clicked else None,
            detail="/".join(filter(None, (word(told, "bounceType"), word(told, "bounceSubType")))),
            raw=row,
        )
        for nth, person in enumerate(people)
    )


def _people(told: Row, sent_to: Iterable[str]) -> list[str]:
    """Whom it is about, where it says so. Of those of one domain who may have complained, only those it was sent to."""
    rows = [
        one for name in ("bouncedRecipients", "complainedRecipients", "delayedRecipients") for one in _list(told, name)
    ]
    found = [_address(word(one, "emailAddress")) for one in rows if isinstance(one, dict)]
    found += [_address(one) for one in _list(told, "recipients")]
    if "complainedRecipients" in told:
        known = {one.casefold() for one in sent_to}
        found = [one for one in found if not known or one.casefold() in known]
    return [one for one in found if one]


def _bounced(told: Row) -> FailureReason:
    sub = word(told, "bounceSubType")
    if word(told, "bounceType") == "Permanent":
        return FailureReason.opted_out if sub == "UnsubscribedRecipient" else FailureReason.address_unknown
    return TRANSIENT.get(sub, FailureReason.unknown)


def _unknown(told: Row) -> FailureReason:
    return FailureReason.unknown


_REASONS: dict[str, Callable[[Row], FailureReason]] = {
    "bounce": _bounced,
    "reject": lambda told: FailureReason.policy,  # it holds a virus, SES says
    "failure": lambda told: FailureReason.content,
}


def _wants_all(told: Row) -> bool:
    """Whether somebody changed what they subscribe to, and wants all of it."""
    wishes = _object(told, "newTopicPreferences")
    topics = [
        word(one, "subscriptionStatus") for one in _list(wishes, "topicSubscriptionStatus") if isinstance(one, dict)
    ]
    return wishes.get("unsubscribeAll") is False and all(status.lower() in ("optin", "opt_in") for status in topics)


def _row(text: str) -> Row:
    """What SES says, as an object; words that are none are kept as they are."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {"Message": text}


def _object(row: Row, name: str) -> Row:
    found = row.get(name)
    return found if isinstance(found, dict) else {}


def _list(row: Row, name: str) -> list[Any]:
    found = row.get(name)
    return found if isinstance(found, list) else []


def _address(text: object) -> str:
    """`Ann <ann@example.com>` without the name."""
    return parseaddr(text)[1] or text if isinstance(text, str) else ""


def _at(row: Row) -> datetime | None:
    return instant(word(row, "timestamp"))

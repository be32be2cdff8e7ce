"""What SendGrid's event webhook tells, in our words, and whether it is SendGrid that tells it."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from channels import callbacks
from channels.contract import Callback, FailureReason, Receipt, ReceiptType
from channels.errors import InvalidReceipt

_MOST = 10_000  # events in one request, which has a thousand at most

EVENTS: dict[str, ReceiptType] = {
    "processed": ReceiptType.accepted,
    "deferred": ReceiptType.deferred,
    "delivered": ReceiptType.delivered,
    "bounce": ReceiptType.bounced,
    "dropped": ReceiptType.bounced,
    "spamreport": ReceiptType.complained,
    "unsubscribe": ReceiptType.unsubscribed,
    "group_unsubscribe": ReceiptType.unsubscribed,
    "group_resubscribe": ReceiptType.resubscribed,
    "open": ReceiptType.opened,
    "click": ReceiptType.clicked,
}
#: why SendGrid did not even try; what stands behind these words differs
DROPPED: dict[str, FailureReason] = {
    "bounced address": FailureReason.address_unknown,
    "unsubscribed address": FailureReason.opted_out,
    "spam reporting address": FailureReason.opted_out,
    "invalid smtpapi header": FailureReason.content,
    "invalid": FailureReason.address_invalid,
    "spam content": FailureReason.spam,
    "recipient list over package quota": FailureReason.policy,
}
#: why a mail was sent back that may arrive another time: the receiver blocked it, or nobody took it for days
BLOCKED: dict[str, FailureReason] = {
    "content": FailureReason.spam,
    "reputation": FailureReason.policy,
    "frequency or volume too high": FailureReason.policy,
    "mailbox unavailable": FailureReason.address_full,
}


def public_key(text: str) -> str:
    """A verification key as SendGrid shows it."""
    try:
        found = load_der_public_key(base64.b64decode(text, validate=True))
    except ValueError:
        found = None
    if not isinstance(found, ec.EllipticCurvePublicKey):
        raise ValueError("write the verification key as SendGrid shows it: one line that begins with MFkw")
    return text


def verify(callback: Callback, webhook_key: str, stale_after: timedelta) -> None:
    """The signature is of the timestamp and the raw body, its last line end too."""
    signature = callbacks.header(callback, "x-twilio-email-event-webhook-signature")
    timestamp = callbacks.header(callback, "x-twilio-email-event-webhook-timestamp")
    key = load_der_public_key(base64.b64decode(webhook_key))
    assert isinstance(key, ec.EllipticCurvePublicKey)
    try:
        key.verify(base64.b64decode(signature), timestamp.encode() + callback.body, ec.ECDSA(SHA256()))
        at = _instant(timestamp)
    except (ValueError, InvalidSignature):
        raise InvalidReceipt("The signature of the events is not SendGrid's.") from None
    if at is None or abs(callback.at - at) > stale_after:
        raise InvalidReceipt("The events are signed at another time.")


def receipts_of(callback: Callback, key_argument: str) -> tuple[Receipt, ...]:
    """One receipt for each event. Our key comes back under the name of the custom argument."""
    rows = callbacks.objects_of(callback)
    if len(rows) > _MOST:
        raise InvalidReceipt("The request holds more events than SendGrid sends.")
    return tuple(_receipt(row, key_argument, callback.at) for row in rows)


def _receipt(row: dict[str, Any], key_argument: str, came_in: datetime) -> Receipt:
    word, key = callbacks.word(row, "event"), callbacks.word(row, key_argument) or None
    kind = EVENTS.get(word, ReceiptType.unknown)
    name = callbacks.word(row, "sg_event_id") or hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()
    return Receipt(
        type=kind,
        at=_instant(callbacks.word(row, "timestamp")) or came_in,
        event_id=name,
        key=key,
        provider_id=None,  # all mails of a request share it: who is erased would be taken for a neighbour
        reason=_reason(row) if kind is ReceiptType.bounced else None,
        to=callbacks.word(row, "email") or None,
        link=callbacks.word(row, "url") or None if kind is ReceiptType.clicked else None,
        machine=row.get("sg_machine_open") is True,
        detail=callbacks.word(row, "status") or callbacks.word(row, "type"),
        raw=row,
    )


def _reason(row: dict[str, Any]) -> FailureReason:
    said = callbacks.word(row, "reason").lower()
    if row.get("event") == "dropped":
        return next((reason for words, reason in DROPPED.items() if said.startswith(words)), FailureReason.unknown)
    match callbacks.word(row, "type"):
        case "bounce":
            return FailureReason.address_unknown
        case "expired":
            return FailureReason.expired
    return BLOCKED.get(callbacks.word(row, "bounce_classification").lower(), FailureReason.unknown)


def _instant(seconds: str) -> datetime | None:
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError):
        return None

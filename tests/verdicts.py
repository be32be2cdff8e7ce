"""What the classes of error_classes.json mean in our words: for an answer, and for a receipt."""

from __future__ import annotations

from channels.contract import Answer, FailureReason, Receipt, ReceiptType, Sent
from channels.errors import Misconfigured, Rejected, Unavailable, Uncertain

_TOLD = {
    "accepted": ReceiptType.accepted,
    "delivered": ReceiptType.delivered,
    "complaint": ReceiptType.complained,
    "unsubscribe": ReceiptType.unsubscribed,
    "resubscribe": ReceiptType.resubscribed,
    "open": ReceiptType.opened,
    "click": ReceiptType.clicked,
}


def of(answer: Answer) -> set[str]:
    """The classes that an answer can stand for."""
    match answer:
        case Sent():
            return {"ok"}
        case Rejected(reason=reason) if reason.ends_address:
            return {"suppress"}
        case Rejected(reason=FailureReason.content):
            return {"content"}
        case Rejected():
            return {"permanent"}
        case Misconfigured():
            return {"config"}
        case Unavailable(retry_after=None):
            return {"retry"}
        case Unavailable():
            return {"retry", "throttle"}
        case Uncertain():
            return {"ambiguous"}
    raise AssertionError(answer)


def told_by(receipt: Receipt) -> set[str]:
    """The classes that a receipt can stand for."""
    if receipt.type is ReceiptType.deferred:
        return {"soft"}
    if receipt.type is not ReceiptType.bounced:
        return {name for name, kind in _TOLD.items() if kind is receipt.type}
    assert receipt.reason is not None
    if receipt.reason.ends_address:
        return {"suppress"}
    return {"soft", "content"} if receipt.reason is FailureReason.content else {"soft", "permanent"}

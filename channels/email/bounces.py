"""What mails that come back mean: reports of mail servers (RFC 3464), complaints (RFC 5965), and what people answer.

Anybody can write such a mail. It is about a message when it holds that message's token (`verp`), which only those have
who got the message; it says something about no other message and about no address.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from channels.callbacks import asks_to_stop
from channels.contract import Receipt, ReceiptType
from channels.email.reading import Part, read
from channels.email.replies import failure
from channels.email.verp import Tokens
from channels.errors import FailureReason, InvalidReceipt

#: of a mail server about one recipient, for all but `failed`
_ACTIONS = {
    "delayed": ReceiptType.deferred,
    "delivered": ReceiptType.delivered,
    "relayed": ReceiptType.accepted,  # to a server that will not tell more
    "expanded": ReceiptType.accepted,  # a list of several, each of whom has a report of their own
}
#: of a mailbox provider about a person; None: nothing follows from it
_FEEDBACK = {
    "abuse": ReceiptType.complained,
    "fraud": ReceiptType.complained,
    "opt-out": ReceiptType.unsubscribed,
    "opt-out-list": ReceiptType.unsubscribed,
    "not-spam": None,
}
#: where the address stands to which a mail was delivered
_DELIVERED_TO = (
    *("delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "x-rcpt-to", "x-delivered-to"),
    *("to", "cc", "apparently-to"),
)
_ANSWERS_TO = ("in-reply-to", "references")
_BY_A_PROGRAM = ("x-autoreply", "x-autorespond", "x-autoresponse", "list-id")
_IN_BULK = ("bulk", "list", "junk", "auto_reply")
_SYSTEMS = re.compile(r"(mailer-daemon|postmaster)@", re.IGNORECASE)

_STATUS = re.compile(r"\s*([245])\.(\d{1,3})\.(\d{1,3})(?!\d)")
_DIAGNOSED = re.compile(r"\b([45])\d\d[ -]#?([45]\.\d{1,3}\.\d{1,3})\b")
_QUOTES_BEGIN = re.compile(
    r">|-- ?$|_{10,}|-{2,} ?(original message|forwarded|原始邮件)"
    r"|on .{5,200} wrote:|from: |发件人[:：]|.{0,200}写道[:：]",
    re.IGNORECASE,
)
_MOST_WORDS = 2_000  # characters of an answer


def receipts(raw: bytes, at: datetime, tokens: Tokens) -> tuple[Receipt, ...]:
    """What a mail says about a message of ours. InvalidReceipt when it proves to be about none."""
    mail = read(raw)
    report = next((part for part in mail.parts if part.kind in _REPORTS), None)
    key = tokens.key(_evidence(mail, report))
    if key is None:
        raise InvalidReceipt("The mail names no message of ours with a token of ours; nothing follows from it.")
    at = min(_instant(mail.get("date")) or at, at)
    if report is None:
        found = [_of_no_report(mail, key, at, answers=tokens.key(mail.all(*_ANSWERS_TO)) is not None)]
    elif report.kind == _FEEDBACK_REPORT:
        found = _of_feedback(mail, report, key, at)
    else:
        found = _of_delivery(mail, report, key, at)
    return tuple(found)


_FEEDBACK_REPORT = "message/feedback-report"
_REPORTS = ("message/delivery-status", "message/global-delivery-status", _FEEDBACK_REPORT)


def _evidence(mail: Part, report: Part | None) -> Iterator[str]:
    """Where a token may stand: to whom the mail came, what it answers, what the report says, the mail it is about."""
    yield from mail.all(*_DELIVERED_TO)
    yield from mail.all(*_ANSWERS_TO)
    if report is not None:
        for block in report.blocks():
            yield from block.all("original-envelope-id", "original-mail-from", "original-recipient")
        yield from _returned(mail).all("return-path", "message-id", "x-envelope-from", "list-unsubscribe")


def _returned(mail: Part) -> Part:
    """The mail that a report is about, or its headers."""
    kinds = ("message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers")
    part = next((part for part in mail.parts if part.kind in kinds), None)
    return read(part.body) if part is not None else Part((), b"")


# Reports of mail servers.


def _of_delivery(mail: Part, report: Part, key: str, at: datetime) -> list[Receipt]:
    about, *people = report.blocks() or [Part((), b"")]
    shared = {
        "kind": "dsn",
        "reporting_mta": about.get("reporting-mta"),
        "envelope_id": about.get("original-envelope-id"),
        "original_message_id": _returned(mail).get("message-id"),
    }
    return [_of_recipient(block, shared, key, at) for block in people] or [
        _unknown(key, at, "a report about nobody", mail, shared)
    ]


def _of_recipient(block: Part, shared: dict[str, str], key: str, at: datetime) -> Receipt:
    action, status = block.get("action").partition(" ")[0].lower(), _status(block)
    address = _address(block.get("final-recipient"))
    said = {
        **shared,
        "address": address,
        "original": _address(block.get("original-recipient")),
        "action": action,
        "status": status,
        "diagnostic": block.get("diagnostic-code"),
    }
    reason = _reason(status) if action == "failed" else None
    return Receipt(
        ReceiptType.bounced if action == "failed" else _ACTIONS.get(action, ReceiptType.unknown),
        min(_instant(block.get("last-attempt-date")) or at, at),
        _name(key, "dsn", address.lower(), action, status),
        key=key,
        reason=reason,
        detail=status,
        raw={name: value for name, value in said.items() if value},
    )


def _status(block: Part) -> str:
    """The enhanced code. Where it says nothing but its class, that of the server's own words, if they agree on it."""
    found = _STATUS.match(block.get("status"))
    if found is None:
        return ""
    status = ".".join(found.groups())
    said = _DIAGNOSED.search(block.get("diagnostic-code")) if status.endswith(".0.0") else None
    return said[2] if said and said[1] == said[2][0] == status[0] else status


def _reason(status: str) -> FailureReason:
    """Why a mail server gave up. Only a code of class 5 about the address ends it: one that had to wait for too long
    failed as well, and says so by a code of class 4."""
    if status == "4.2.2":
        return FailureReason.address_full
    if not status.startswith("5."):
        return FailureReason.expired if status.startswith("4.") else FailureReason.unknown
    if status in ("5.7.26", "5.7.515"):
        return FailureReason.sender  # not authenticated
    return failure(status) or FailureReason.unknown


# Complaints.


def _of_feedback(mail: Part, report: Part, key: str, at: datetime) -> list[Receipt]:
    blocks = report.blocks()
    about = blocks[0] if blocks else Part((), b"")
    feedback = about.get("feedback-type").partition(" ")[0].lower()
    kind = _FEEDBACK.get(feedback, ReceiptType.unknown)
    if kind is None:
        return []
    said = {
        "kind": "arf",
        "feedback_type": feedback,
        "user_agent": about.get("user-agent"),
        "original_mail_from": _address(about.get("original-mail-from")),
        "original_rcpt_to": _address(about.get("original-rcpt-to")),
        "original_message_id": _returned(mail).get("message-id"),
    }
    raw = {name: value for name, value in said.items() if value}
    return [Receipt(kind, at, _name(key, "arf", feedback), key=key, detail=feedback, raw=raw)]


# Everything else.


def _of_no_report(mail: Part, key: str, at: datetime, *, answers: bool) -> Receipt:
    by_a_program = _by_a_program(mail)
    if by_a_program:
        return _unknown(key, at, f"an automatic answer: {by_a_program}", mail)
    if not answers:
        return _unknown(key, at, "a mail to the return address that is no report in a form we know", mail)
    words = _own_words(mail.text)
    stop = _asks_to_stop(words, mail.get("subject"))
    name = _name(key, "reply", mail.get("message-id") or words)
    return Receipt(ReceiptType.replied, at, name, key=key, opt_out=stop, detail=words, raw=_shown(mail, "reply"))


def _by_a_program(mail: Part) -> str:
    """Why this mail was not written by a person; empty when it was, as far as can be seen (RFC 3834)."""
    submitted = mail.get("auto-submitted").partition(";")[0].strip().lower()
    if submitted not in ("", "no"):
        return f"Auto-Submitted is {submitted[:40]}"
    precedence = mail.get("precedence").lower()
    if precedence in _IN_BULK:
        return f"Precedence is {precedence}"
    if mail.kind == "multipart/report":
        return f"a report of the type {mail.parameters.get('report-type', 'none')[:40]}"
    if any(True for _ in mail.all("return-path")) and _address(mail.get("return-path")) == "":
        return "its sender is empty"
    if _SYSTEMS.search(mail.get("from")):
        return "its sender is a mail system"
    marked = next((name for name in _BY_A_PROGRAM if mail.get(name)), "")
    return f"it has the header {marked}" if marked else ""


def _own_words(text: str) -> str:
    """What a person wrote, without what they quote and without their signature."""
    lines: list[str] = []
    for line in text.splitlines()[:500]:
        if _QUOTES_BEGIN.match(line.strip()[:300]):
            break
        lines.append(line.strip())
    return "\n".join(lines).strip()[:_MOST_WORDS]


def _asks_to_stop(words: str, subject: str) -> bool:
    """The word alone, or on the first line alone; of a mail without words the subject counts."""
    return asks_to_stop(words) or asks_to_stop(words.partition("\n")[0] if words else subject)


def _unknown(key: str, at: datetime, why: str, mail: Part, said: dict[str, str] | None = None) -> Receipt:
    name = _name(key, "other", mail.get("message-id") or mail.body.decode("latin-1"))
    return Receipt(ReceiptType.unknown, at, name, key=key, detail=why, raw={**_shown(mail, "other"), **(said or {})})


def _shown(mail: Part, kind: str) -> dict[str, str]:
    """What of a mail is kept."""
    names = ("from", "subject", "message-id", "date", "auto-submitted", "precedence", "return-path", "content-type")
    shown = {name.replace("-", "_"): value[:500] for name in names if (value := mail.get(name))}
    return {"kind": kind, **shown}


# What they have in common.


def _name(key: str, *what: str) -> str:
    """The name of a report: the same when the same is said of the same message, whichever way it came."""
    return f"{key}.{hashlib.sha256('|'.join(what).encode('utf-8', 'replace')).hexdigest()[:16]}"


def _address(text: str) -> str:
    """An address without its type and its brackets: `rfc822; <ann@example.com>`."""
    return text.rpartition(";")[2].strip().strip("<>").strip()


def _instant(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text[:100])
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None

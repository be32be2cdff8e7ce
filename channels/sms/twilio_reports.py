"""What Twilio reports: statuses of messages and messages to us, believed by their signature, in our words."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from channels.callbacks import asks_to_stop, form_of, header, query, same, word
from channels.contract import Callback, Heard, Receipt, ReceiptType
from channels.errors import FailureReason, InvalidReceipt

KEY = "msg"  # what our key is called in the address for status callbacks
TWIML = b'<?xml version="1.0" encoding="UTF-8"?><Response></Response>'  # no answer to who wrote to us

#: why a message did not arrive
WHY: dict[str, FailureReason] = {
    "21610": FailureReason.opted_out,  # STOP, known only when the messaging service had chosen a sender
    "21614": FailureReason.address_invalid,
    "30001": FailureReason.policy,  # the queue was full
    "30002": FailureReason.sender,  # the account was suspended
    "30003": FailureReason.address_full,  # switched off, or out of reach
    "30004": FailureReason.opted_out,  # blocked by the person or the carrier
    "30005": FailureReason.address_unknown,
    "30006": FailureReason.address_invalid,  # a landline, or a carrier that cannot be reached
    "30007": FailureReason.spam,  # filtered by the carrier: the text is at fault
    "30008": FailureReason.unknown,
    "30034": FailureReason.sender,
    "63016": FailureReason.content,  # outside the hours in which WhatsApp takes free text
    "canceled": FailureReason.policy,  # by somebody with the account
}
STATUSES: dict[str, ReceiptType] = {
    "accepted": ReceiptType.accepted,
    "scheduled": ReceiptType.accepted,
    "queued": ReceiptType.accepted,
    "sending": ReceiptType.accepted,
    "sent": ReceiptType.accepted,  # the carrier has it, which is not the phone
    "partially_delivered": ReceiptType.accepted,
    "delivered": ReceiptType.delivered,
    "read": ReceiptType.opened,
    "undelivered": ReceiptType.bounced,
    "failed": ReceiptType.bounced,
    "canceled": ReceiptType.bounced,
}
DIGESTS = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}  # the first with the auth token, the other with a shared key
_FIELDS = {"sid": "MessageSid", "status": "MessageStatus", "to": "To", "error_code": "ErrorCode"}


def heard(callback: Callback, secrets: Mapping[str, SecretStr | None]) -> Heard:
    """A status of a message, or a message to us; `secrets` by the name of what is made of them. Fields are added to
    both at any time, and are signed."""
    hashed = query(callback).get("bodySHA256")
    fields = form_of(callback) if hashed is None else []
    _verify(callback, fields, secrets)
    if hashed is not None:  # the address is signed, and holds the hash of a body that is no form
        if not same(hashlib.sha256(callback.body).hexdigest(), hashed):
            raise InvalidReceipt("The request is not the one that Twilio signed.")
        return Heard((_strange(callback, {"body": callback.body.decode(errors="replace")}),), status=204)
    row = dict(fields)
    if row.get("MessageSid") and row.get("MessageStatus"):
        told = {name: row.get(field) for name, field in _FIELDS.items()}
        return Heard((status_of(told, callback.at, row, query(callback).get(KEY)),), status=204)
    if row.get("MessageSid") and "Body" in row:
        return Heard((_reply(row, callback.at),), body=TWIML, content_type="text/xml")
    return Heard((_strange(callback, row),), status=204)


def _verify(callback: Callback, fields: Sequence[tuple[str, str]], secrets: Mapping[str, SecretStr | None]) -> None:
    """Twilio signs the address that it was told, then each field by name. It may have written a port or not."""
    settings = callback.headers.get("x-twilio-webhooks-signature-settings", "")
    said = dict(part.strip().partition("=")[::2] for part in settings.split(","))
    algorithm = said.get("algorithm", "").upper() or "HMAC_SHA1"
    if algorithm not in DIGESTS:
        raise InvalidReceipt("The request is signed in a way that we do not know.")
    key = secrets.get(algorithm)
    if key is None:
        raise InvalidReceipt("The secret by which this report could be verified is not configured.")
    signature = header(callback, "X-Twilio-Signature")
    told = "".join(name + value for name, value in sorted(set(fields)))
    urls = _with_and_without_port(callback.url)
    if not any(same(_signature(key, url + told, DIGESTS[algorithm]), signature) for url in urls):
        raise InvalidReceipt("The signature is not Twilio's.")


def status_of(row: dict[str, Any], at: datetime, raw: Mapping[str, Any], key: str | None) -> Receipt:
    """What is said of a message by its sid, its status, its number and what went wrong, in a report or an answer."""
    sid, status, code = word(row, "sid"), word(row, "status"), word(row, "error_code")
    kind = STATUSES.get(status, ReceiptType.unknown)
    return Receipt(
        kind,
        at,
        event_id=f"{sid} {status}",
        key=key,
        provider_id=sid,
        reason=WHY.get(code or status, FailureReason.unknown) if kind is ReceiptType.bounced else None,
        to=word(row, "to") or None,
        detail=code,
        raw=raw,
    )


def _reply(row: Mapping[str, str], at: datetime) -> Receipt:
    """What somebody wrote to us. With Advanced Opt-Out Twilio says itself what it understood."""
    understood = row.get("OptOutType", "").upper()
    return Receipt(
        ReceiptType.resubscribed if understood == "START" else ReceiptType.replied,
        at,
        event_id=f"{row['MessageSid']} received",
        to=row.get("From"),
        opt_out=understood == "STOP" or (not understood and asks_to_stop(row["Body"])),
        detail=row["Body"],
        raw=row,
    )


def _strange(callback: Callback, raw: Mapping[str, Any]) -> Receipt:
    """Something signed that we have no word for."""
    return Receipt(ReceiptType.unknown, callback.at, hashlib.sha256(callback.body).hexdigest(), raw=raw)


def _signature(key: SecretStr, text: str, digest: str) -> str:
    mac = hmac.new(key.get_secret_value().encode(), text.encode("utf-8", "surrogateescape"), digest)
    return b64encode(mac.digest()).decode()


def _with_and_without_port(url: str) -> set[str]:
    """An address as it is, without its port, and with the one it has or the usual one."""
    parts = urlsplit(url)
    host, colon, port = parts.netloc.rpartition(":")
    if not colon or not port.isdecimal():
        host, port = parts.netloc, "443" if parts.scheme == "https" else "80"
    return {url, url.replace(parts.netloc, host, 1), url.replace(parts.netloc, f"{host}:{port}", 1)}

"""Messages of Amazon SNS over HTTP: believed when they are of our topics and Amazon's certificate vouches for them."""

from __future__ import annotations

import base64
import re
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.x509 import load_pem_x509_certificate

from channels import callbacks
from channels.contract import Callback
from channels.errors import InvalidReceipt

#: with a region in it: sns.s3-us-west-2.amazonaws.com is a bucket, and a stranger's
_HOST = re.compile(r"sns\.[a-z]{2,}(-[a-z]+)+-[0-9]{1,2}\.amazonaws\.com(\.cn)?")
_OF_A_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_OF_A_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_SIGNED: dict[str, tuple[str, ...]] = {
    "Notification": _OF_A_NOTIFICATION,
    "SubscriptionConfirmation": _OF_A_CONFIRMATION,
    "UnsubscribeConfirmation": _OF_A_CONFIRMATION,
}
_HASHES: dict[str, HashAlgorithm] = {"1": SHA1(), "2": SHA256()}
_KNOWN = 16  # certificates that are remembered: Amazon changes them once a year

Fetch = Callable[[str], Awaitable[bytes]]


class Sns:
    """What our topics say. `fetch` gets what stands at an address of Amazon's, and is asked once for a certificate."""

    def __init__(self, topics: Collection[str], stale_after: timedelta, fetch: Fetch) -> None:
        self._topics = frozenset(topics)
        self._stale_after = stale_after
        self._fetch = fetch
        self._keys: dict[str, rsa.RSAPublicKey] = {}

    async def message(self, callback: Callback) -> dict[str, str]:
        """What was said, once it is known to be genuine. What `fetch` raises goes through: nothing is known then."""
        if not self._topics:
            raise InvalidReceipt("No topics are configured; without them no message of SNS can be trusted.")
        message = _texts(callbacks.json_of(callback))
        if message.get("TopicArn") not in self._topics:
            raise InvalidReceipt("The message is of no topic of ours.")
        self._check_time(message, callback.at)
        await self._verify(message)
        return message

    async def confirm(self, message: dict[str, str]) -> None:
        """Say yes to a subscription."""
        url = _of_amazon(message["SubscribeURL"])
        if parse_qs(urlsplit(url).query).get("Action") != ["ConfirmSubscription"]:
            raise InvalidReceipt("The address to confirm the subscription at does something else.")
        await self._fetch(url)

    def _check_time(self, message: dict[str, str], now: datetime) -> None:
        at = instant(message.get("Timestamp", ""))
        if at is None or abs(now - at) > self._stale_after:
            raise InvalidReceipt("The message is of another time.")

    async def _verify(self, message: dict[str, str]) -> None:
        names = _SIGNED.get(message.get("Type", ""))
        algorithm = _HASHES.get(message.get("SignatureVersion", ""))
        if names is None or algorithm is None or not set(names) - {"Subject"} <= set(message):
            raise InvalidReceipt("The message is not one of SNS.")
        url = _of_amazon(message.get("SigningCertURL", ""))
        if not url.endswith(".pem") or urlsplit(url).query:  # an answer to a question may quote anybody
            raise InvalidReceipt("The message names no certificate.")
        said = "".join(f"{name}\n{message[name]}\n" for name in names if name in message)
        key = await self._key(url)
        try:
            signature = base64.b64decode(message.get("Signature", ""), validate=True)
            key.verify(signature, said.encode(), padding.PKCS1v15(), algorithm)
        except (ValueError, InvalidSignature):
            raise InvalidReceipt("The signature of the message is not that of SNS.") from None

    async def _key(self, url: str) -> rsa.RSAPublicKey:
        if url not in self._keys:
            try:
                key = load_pem_x509_certificate(await self._fetch(url)).public_key()
            except ValueError:
                key = None
            if not isinstance(key, rsa.RSAPublicKey):
                raise InvalidReceipt("What the message names is no certificate.")
            if len(self._keys) >= _KNOWN:
                self._keys.clear()
            self._keys[url] = key
        return self._keys[url]


def instant(text: str) -> datetime | None:
    """An instant as SNS and SES write it; None when it is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _texts(found: Any) -> dict[str, str]:
    if not isinstance(found, dict):
        raise InvalidReceipt("The request holds no message.")
    return {name: value for name, value in found.items() if isinstance(value, str)}


def _of_amazon(url: str) -> str:
    """An address of SNS itself, and of nobody who only looks like it."""
    try:
        parts = urlsplit(url)
        fits = parts.scheme == "https" and _HOST.fullmatch(parts.netloc) and url.isascii() and url.isprintable()
    except ValueError:
        fits = None
    if not fits:
        raise InvalidReceipt("The message names an address that is not Amazon's.")
    return url

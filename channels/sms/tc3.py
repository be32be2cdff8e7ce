"""How requests to Tencent Cloud are signed: TC3-HMAC-SHA256.

Of the headers, content-type and host are signed, byte by byte as they are sent; of the body, its hash.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime

from channels.sms.approved import Keys

ALGORITHM = "TC3-HMAC-SHA256"
JSON = "application/json"


@dataclass(frozen=True)
class Call:
    """What is asked of the service."""

    service: str  # the first word of its host
    action: str
    version: str
    region: str
    host: str
    body: bytes
    content_type: str = JSON


def headers_of(call: Call, keys: Keys, at: datetime) -> dict[str, str]:
    """The headers of a signed POST."""
    headers = {
        "content-type": call.content_type,
        "host": call.host,
        "x-tc-action": call.action,
        "x-tc-version": call.version,
        "x-tc-region": call.region,
        "x-tc-timestamp": str(_second(at)),
        "authorization": authorization(call, keys, at),
    }
    if keys.token is not None:
        headers["x-tc-token"] = keys.token.get_secret_value()
    return headers


def authorization(call: Call, keys: Keys, at: datetime) -> str:
    told = string_to_sign(call, at)
    key = f"TC3{keys.secret.get_secret_value()}".encode()
    for word in (_day(at), call.service, "tc3_request"):
        key = hmac.digest(key, word.encode(), "sha256")
    signature = hmac.digest(key, told.encode(), "sha256").hex()
    return (
        f"{ALGORITHM} Credential={keys.id}/{_scope(call, at)}, SignedHeaders=content-type;host, Signature={signature}"
    )


def canonical_request(call: Call) -> str:
    lines = f"content-type:{call.content_type}\nhost:{call.host}\n"
    return "\n".join(["POST", "/", "", lines, "content-type;host", hashlib.sha256(call.body).hexdigest()])


def string_to_sign(call: Call, at: datetime) -> str:
    hashed = hashlib.sha256(canonical_request(call).encode()).hexdigest()
    return "\n".join([ALGORITHM, str(_second(at)), _scope(call, at), hashed])


def _scope(call: Call, at: datetime) -> str:
    return f"{_day(at)}/{call.service}/tc3_request"


def _day(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d}"


def _second(at: datetime) -> int:
    return int(at.timestamp())

"""How requests to Alibaba Cloud are signed: ACS3-HMAC-SHA256.

The service computes the same from what it hears; nothing that is signed may be changed on the way.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from channels.sms.approved import Keys

ALGORITHM = "ACS3-HMAC-SHA256"


@dataclass(frozen=True)
class Call:
    """What is asked of the service. The query is what `query_of` made."""

    action: str
    version: str
    host: str
    query: str = ""
    body: bytes = b""
    content_type: str = ""  # of the body, where there is one


def query_of(params: Mapping[str, str]) -> str:
    """Parameters as they are signed, and as they are sent."""
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(params.items()))


def headers_of(call: Call, keys: Keys, at: datetime, nonce: str) -> dict[str, str]:
    """The headers of a signed POST. A nonce is accepted once, so each try needs its own."""
    headers = {
        "host": call.host,
        "x-acs-action": call.action,
        "x-acs-version": call.version,
        "x-acs-date": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "x-acs-signature-nonce": nonce,
        "x-acs-content-sha256": hashlib.sha256(call.body).hexdigest(),
    }
    if call.content_type:
        headers["content-type"] = call.content_type
    if keys.token is not None:
        headers["x-acs-security-token"] = keys.token.get_secret_value()
    return {**headers, "authorization": authorization("POST", call.query, headers, keys)}


def authorization(method: str, query: str, headers: Mapping[str, str], keys: Keys) -> str:
    """All these headers are signed."""
    told = string_to_sign(canonical_request(method, query, headers))
    signature = hmac.digest(keys.secret.get_secret_value().encode(), told.encode(), "sha256").hex()
    return f"{ALGORITHM} Credential={keys.id},SignedHeaders={_names(headers)},Signature={signature}"


def canonical_request(method: str, query: str, headers: Mapping[str, str]) -> str:
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers))
    return "\n".join([method, "/", query, lines, _names(headers), headers["x-acs-content-sha256"]])


def string_to_sign(canonical: str) -> str:
    return f"{ALGORITHM}\n{hashlib.sha256(canonical.encode()).hexdigest()}"


def _names(headers: Mapping[str, str]) -> str:
    return ";".join(sorted(headers))

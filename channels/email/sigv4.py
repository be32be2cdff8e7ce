"""Signature version 4 of AWS: over the method, the path, four headers, and the bytes that are sent."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime

from pydantic import SecretStr

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True)
class Credentials:
    """Who signs, and for which service where."""

    access_key: str
    secret_key: SecretStr
    region: str
    service: str
    session_token: SecretStr | None = None  # of temporary credentials


def signed(
    credentials: Credentials, at: datetime, method: str, host: str, path: str, body: bytes, content_type: str
) -> dict[str, str]:
    """The headers that make a request genuine. `path` is plain, without query and without what would be quoted."""
    headers = {"content-type": content_type, "host": host, "x-amz-date": f"{at:%Y%m%dT%H%M%SZ}"}
    if credentials.session_token is not None:
        headers["x-amz-security-token"] = credentials.session_token.get_secret_value()
    names = ";".join(sorted(headers))
    canonical = canonical_request(method, path, headers, body)
    scope = f"{at:%Y%m%d}/{credentials.region}/{credentials.service}/aws4_request"
    signature = _hmac(_signing_key(credentials, at), string_to_sign(headers["x-amz-date"], scope, canonical)).hex()
    shown = f"Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**headers, "authorization": f"{_ALGORITHM} {shown}"}


def canonical_request(method: str, path: str, headers: dict[str, str], body: bytes) -> str:
    lines = [f"{name}:{headers[name]}\n" for name in sorted(headers)]
    names = ";".join(sorted(headers))
    return "\n".join([method, path, "", "".join(lines), names, hashlib.sha256(body).hexdigest()])


def string_to_sign(date: str, scope: str, canonical: str) -> str:
    return "\n".join([_ALGORITHM, date, scope, hashlib.sha256(canonical.encode()).hexdigest()])


def _signing_key(credentials: Credentials, at: datetime) -> bytes:
    key = f"AWS4{credentials.secret_key.get_secret_value()}".encode()
    for word in (f"{at:%Y%m%d}", credentials.region, credentials.service, "aws4_request"):
        key = _hmac(key, word)
    return key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()

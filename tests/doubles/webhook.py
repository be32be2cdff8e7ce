"""A receiver of webhooks as Standard Webhooks 1.0 wants it: it verifies, refuses the stale, and takes each id once."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from channels.testing import Request, Response

TOLERANCE = 300  # seconds


@dataclass
class Receiver:
    """`secret` is what it believes, `now` what its clock says."""

    secret: str
    now: Callable[[], datetime]
    taken: dict[str, Any] = field(default_factory=dict)  # by id, each once
    refused: list[str] = field(default_factory=list)
    answer: Response | None = None  # in place of its own, once a request has been verified

    def handle(self, request: Request) -> Response:
        flaw = self._flaw(request)
        if flaw:
            self.refused.append(flaw)
            return Response(400, flaw.encode())
        if self.answer is not None:
            return self.answer
        self.taken.setdefault(request.headers["webhook-id"], json.loads(request.body))
        return Response(204)

    def _flaw(self, request: Request) -> str:
        told = [request.headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature")]
        name, stamp, signatures = told
        if request.method != "POST" or not all(told) or not stamp.isdecimal() or "." in name:
            return "no webhook"
        if abs(int(stamp) - self.now().timestamp()) > TOLERANCE:
            return "stale"
        signed = f"{name}.{stamp}.".encode() + request.body
        mac = hmac.new(b64decode(self.secret.removeprefix("whsec_")), signed, hashlib.sha256).digest()
        if f"v1,{b64encode(mac).decode()}" not in signatures.split(" "):
            return "forged"
        if request.headers.get("content-type") != "application/json" or len(request.body) >= 20_000:
            return "no payload"
        return "" if set(json.loads(request.body)) == {"type", "timestamp", "data"} else "no payload"

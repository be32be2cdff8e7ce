"""Google's token endpoint and FCM, as far as messages to devices go: what they check, refuse and remember."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import parse_qs

import jwt
from doubles.pushes import rsa_pair

from channels.testing import Accepted, Request, Response

PROJECT = "outreach-test"
EMAIL = "fcm@outreach-test.iam.gserviceaccount.com"
KEY_ID = "0123456789abcdef0123456789abcdef01234567"
SCOPES = {"https://www.googleapis.com/auth/firebase.messaging", "https://www.googleapis.com/auth/cloud-platform"}
AUDIENCE = "https://oauth2.googleapis.com/token"
FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
FIELDS = {
    "": {"token", "fid", "topic", "condition", "notification", "data", "android", "apns", "webpush", "fcm_options"},
    "notification": {"title", "body", "image"},
    "android": {"collapse_key", "priority", "ttl", "notification", "data", "restricted_package_name", "fcm_options"},
    "apns": {"headers", "payload", "fcm_options"},
    "webpush": {"headers", "data", "notification", "fcm_options"},
    "fcm_options": {"analytics_label"},
}
#: how FCM says a code: its status, and the status of Google that goes with it; whether the code stands in a detail
FORMS: dict[str, tuple[int, str, bool]] = {
    "UNREGISTERED": (404, "NOT_FOUND", True),
    "INVALID_ARGUMENT": (400, "INVALID_ARGUMENT", True),
    "SENDER_ID_MISMATCH": (403, "PERMISSION_DENIED", True),
    "QUOTA_EXCEEDED": (429, "RESOURCE_EXHAUSTED", True),
    "UNAVAILABLE": (503, "UNAVAILABLE", True),
    "INTERNAL": (500, "INTERNAL", True),
    "THIRD_PARTY_AUTH_ERROR": (401, "UNAUTHENTICATED", True),
    "APNS_AUTH_ERROR": (401, "UNAUTHENTICATED", True),
    "UNAUTHENTICATED": (401, "UNAUTHENTICATED", False),
    "PERMISSION_DENIED": (403, "PERMISSION_DENIED", False),
}


def service_account(address: str, private_key: str | None = None) -> str:
    """The JSON that the Firebase console gives out, for a token endpoint at this address."""
    return json.dumps(
        {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": KEY_ID,
            "private_key": private_key or rsa_pair()[0],
            "client_email": EMAIL,
            "client_id": "100000000000000000001",
            "token_uri": f"{address}/token",
        }
    )


def refusal(code: str, *, message: str = "Refused.", violations: list[str] | None = None) -> Response:
    """A code in the form in which FCM says it."""
    status, google, detailed = FORMS[code]
    details: list[dict[str, Any]] = [{"@type": FCM_ERROR, "errorCode": code}] if detailed else []
    if violations is not None:
        fields = [{"field": name, "description": "Invalid value"} for name in violations]
        details = [{"@type": BAD_REQUEST, "fieldViolations": fields}]
    error: dict[str, Any] = {"code": status, "message": message, "status": google}
    if details:
        error["details"] = details
    return said({"error": error}, status)


def said(words: object, status: int = 200) -> Response:
    return Response(status, json.dumps(words).encode(), {"content-type": "application/json; charset=UTF-8"})


class Fcm:
    """One project, one service account."""

    def __init__(self, now: Callable[[], datetime], public_key: str | None = None) -> None:
        self._now = now
        self._public_key = public_key or rsa_pair()[1]
        self.accepted: list[dict[str, Any]] = []
        self.gone: set[str] = set()  # devices without the app
        self.issued: dict[str, datetime] = {}  # tokens and when they end
        self._numbers = count()
        self.answer: Response | None = None  # to all messages instead of taking them

    @property
    def taken(self) -> list[Accepted]:
        return [
            Accepted(one["data"]["message_id"], f"projects/{PROJECT}/messages/{number}")
            for number, one in enumerate(self.accepted)
        ]

    def handle(self, request: Request) -> Response:
        match request.method, request.route:
            case "POST", "/token":
                return self._token(request)
            case "POST", route if route == f"/v1/projects/{PROJECT}/messages:send":
                return self._send(request)
            case _:
                return Response(404, b"<html>not found</html>")

    # tokens

    def _token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        if request.headers.get("content-type") != "application/x-www-form-urlencoded":
            return said({"error": "invalid_request"}, 400)
        if form.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
            return said({"error": "unsupported_grant_type"}, 400)
        if not self._genuine(form.get("assertion", "")):
            return said({"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, 400)
        token = f"ya29.{next(self._numbers)}"
        self.issued[token] = self._now() + timedelta(seconds=3599)
        return said({"access_token": token, "expires_in": 3599, "token_type": "Bearer"})

    def _genuine(self, assertion: str) -> bool:
        unchecked = {"verify_aud": False, "verify_exp": False, "verify_iat": False}
        try:
            claims = jwt.decode(assertion, self._public_key, algorithms=["RS256"], options=unchecked)
            key_id = jwt.get_unverified_header(assertion)["kid"]
        except (jwt.PyJWTError, KeyError):
            return False
        now, at, until = self._now().timestamp(), claims["iat"], claims["exp"]
        return (
            key_id == KEY_ID
            and claims["iss"] == EMAIL
            and bool(SCOPES & set(claims["scope"].split()))
            and claims["aud"] == AUDIENCE
            and at - 300 <= now < until <= at + 3600
        )

    # messages

    def _send(self, request: Request) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or self.issued.get(token, self._now()) <= self._now():
            return refusal("UNAUTHENTICATED")
        if self.answer is not None:
            return self.answer
        try:
            asked = json.loads(request.body)
        except ValueError:
            return refusal("INVALID_ARGUMENT", violations=[""])
        message = asked.get("message", {})
        wrong = flaws(message) + [name for name in asked if name not in ("message", "validate_only")]
        if wrong:
            return refusal("INVALID_ARGUMENT", violations=wrong)
        device = message.get("token") or message.get("fid")
        if device is not None and not re.fullmatch(r"[\w:-]{3,}", device):
            words = "The registration token is not a valid FCM registration token"
            return refusal("INVALID_ARGUMENT", message=words)
        if device in self.gone:
            return refusal("UNREGISTERED", message="Requested entity was not found.")
        if not asked.get("validate_only"):
            self.accepted.append(message)
        return said({"name": f"projects/{PROJECT}/messages/{len(self.accepted) - 1}"})


def flaws(message: dict[str, Any]) -> list[str]:
    """The fields that FCM does not take as they are."""
    wrong = [
        f"message.{room}.{name}"
        for room, names in FIELDS.items()
        for name in (message if not room else message.get(room, {}))
        if name not in names
    ]
    if len({"token", "fid", "topic", "condition"} & message.keys()) != 1:
        wrong.append("message")
    data, android = message.get("data", {}), message.get("android", {})
    if not all(isinstance(value, str) for value in data.values()):
        wrong.append("message.data")
    if any(re.match(r"from$|message_type$|google\.|gcm\.notification\.", name) for name in data):
        wrong.append("message.data")
    ttl = re.fullmatch(r"(\d+)(\.\d+)?s", android.get("ttl", "0s"))
    if ttl is None or int(ttl[1]) > 2_419_200:
        wrong.append("message.android.ttl")
    if android.get("priority", "high") not in ("high", "normal"):
        wrong.append("message.android.priority")
    if not all(isinstance(value, str) for value in message.get("apns", {}).get("headers", {}).values()):
        wrong.append("message.apns.headers")
    link = message.get("webpush", {}).get("fcm_options", {}).get("link", "https://")
    if not link.startswith("https://"):
        wrong.append("message.webpush.fcm_options.link")
    seen = [*message.get("notification", {}).items(), *data.items()]
    if sum(len(name.encode()) + len(str(value).encode()) for name, value in seen) > 4096:
        wrong.append("message")
    return wrong

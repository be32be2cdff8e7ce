"""APNs, as far as alerts to devices go: what it checks, refuses and remembers."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import jwt
from doubles.pushes import ec_pair

from channels.testing import Accepted, Request, Response

TEAM = "DEF123GHIJ"
KEY_ID = "ABC123DEFG"
TOPIC = "com.example.app"
#: the status that goes with each reason
STATUSES: dict[str, int] = {
    "Unregistered": 410,
    "ExpiredToken": 410,
    "ExpiredProviderToken": 403,
    "InvalidProviderToken": 403,
    "MissingProviderToken": 403,
    "UnrelatedKeyIdInToken": 403,
    "BadEnvironmentKeyIdInToken": 403,
    "BadCertificate": 403,
    "BadCertificateEnvironment": 403,
    "Forbidden": 403,
    "BadPath": 404,
    "MethodNotAllowed": 405,
    "PayloadTooLarge": 413,
    "TooManyProviderTokenUpdates": 429,
    "TooManyRequests": 429,
    "InternalServerError": 500,
    "ServiceUnavailable": 503,
    "Shutdown": 503,
}
PUSH_TYPES = {"alert", "background", "voip", "complication", "fileprovider", "mdm", "location", "liveactivity"}


def refusal(reason: str, **besides: object) -> Response:
    """A reason in the form in which APNs says it; 400 goes with all that are not listed."""
    body = json.dumps({"reason": reason, **besides}).encode()
    return Response(STATUSES.get(reason, 400), body, {"content-type": "application/json"})


class Apns:
    """One team, one key, one app."""

    def __init__(self, now: Callable[[], datetime], public_key: str | None = None) -> None:
        self._now = now
        self._public_key = public_key or ec_pair()[1]
        self.accepted: list[Request] = []
        self.gone: dict[str, datetime] = {}  # devices without the app, and since when
        self.token_lasts = timedelta(minutes=60)
        self.tokens: list[datetime] = []  # when the provider tokens that were seen were made
        self.answer: Response | None = None  # to all notifications instead of taking them

    @property
    def taken(self) -> list[Accepted]:
        return [Accepted(json.loads(one.body)["message_id"], one.headers["apns-id"]) for one in self.accepted]

    def handle(self, request: Request) -> Response:
        answer = self._wrong(request) or self.answer
        if answer is None:
            self.accepted.append(request)
            answer = Response(200)
        name = request.headers.get("apns-id") or str(uuid.UUID(int=len(self.accepted)))
        return replace(answer, headers={**answer.headers, "apns-id": name})

    def _wrong(self, request: Request) -> Response | None:
        path = re.fullmatch(r"/3/device/(.*)", request.path)
        reason = self._of_token(request.headers.get("authorization", ""))
        if request.method != "POST":
            reason = "MethodNotAllowed"
        elif path is None:
            reason = "BadPath"
        reason = reason or _of_headers(request.headers) or _of_payload(request)
        if reason is not None:
            return refusal(reason)
        assert path is not None
        device = path[1]
        if not re.fullmatch(r"([0-9a-fA-F]{2}){1,100}", device) or set(device) == {"0"}:
            return refusal("BadDeviceToken" if device else "MissingDeviceToken")
        if device in self.gone:
            return refusal("Unregistered", timestamp=int(self.gone[device].timestamp() * 1000))
        return None

    def _of_token(self, authorization: str) -> str | None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            return "MissingProviderToken"
        try:
            head = jwt.get_unverified_header(token)
            unchecked = {"verify_iat": False}
            claims: dict[str, Any] = jwt.decode(token, self._public_key, algorithms=["ES256"], options=unchecked)
        except jwt.PyJWTError:
            return "InvalidProviderToken"
        if head.get("kid") != KEY_ID or claims.get("iss") != TEAM or not isinstance(claims.get("iat"), int):
            return "InvalidProviderToken"
        made = datetime.fromtimestamp(claims["iat"], self._now().tzinfo)
        if not -timedelta(minutes=5) < self._now() - made <= self.token_lasts:
            return "ExpiredProviderToken"
        if made not in self.tokens:
            if self.tokens and made - self.tokens[-1] < timedelta(minutes=20):
                return "TooManyProviderTokenUpdates"
            self.tokens.append(made)
        return None


def _of_headers(headers: Any) -> str | None:
    checks = {
        "MissingTopic": bool(headers.get("apns-topic")),
        "TopicDisallowed": headers.get("apns-topic") == TOPIC,
        "InvalidPushType": headers.get("apns-push-type", "alert") in PUSH_TYPES,
        "BadPriority": headers.get("apns-priority", "10") in ("1", "5", "10"),
        "BadExpirationDate": headers.get("apns-expiration", "0").isdigit(),
        "BadCollapseId": len(headers.get("apns-collapse-id", "").encode()) <= 64,
        "BadMessageId": _is_uuid(headers.get("apns-id", str(uuid.UUID(int=0)))),
    }
    return next((reason for reason, right in checks.items() if not right), None)


def _of_payload(request: Request) -> str | None:
    if len(request.body) > 4096:
        return "PayloadTooLarge"
    try:
        aps = json.loads(request.body)["aps"]
    except (ValueError, KeyError, TypeError):
        return "PayloadEmpty"
    silent = request.headers.get("apns-push-type") == "background"
    if silent and request.headers.get("apns-priority") != "5":
        return "BadPriority"
    return None if (aps.get("content-available") == 1 if silent else aps.get("alert")) else "PayloadEmpty"


def _is_uuid(text: str) -> bool:
    return re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text) is not None

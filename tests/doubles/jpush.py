"""JPush, as far as pushes to single devices go: what it checks, refuses and remembers."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from channels.testing import Accepted, Request, Response

APP_KEY = "7d431e42dfa6a6d693ac2d04"
SECRET = "5e987ac6d2e04d95a9d8f0d1"
#: the status that goes with each code; 400 with all others
STATUSES = {1000: 500, 1001: 405, 1004: 401, 1020: 404, 1030: 503, 2002: 429, **dict.fromkeys(range(2003, 2008), 403)}
FIELDS = {"platform", "audience", "notification", "message", "options", "cid", "sms_message", "callback"}
OPTIONS = {"sendno", "time_to_live", "override_msg_id", "apns_production", "apns_collapse_id", "big_push_duration"}
PLATFORMS = {"android", "ios", "hmos", "quickapp", "winphone"}
LIMITS = {"x-rate-limit-quota": "600", "x-rate-limit-remaining": "599", "x-rate-limit-reset": "42"}


def said(words: object, status: int = 200) -> Response:
    return Response(status, json.dumps(words).encode(), {"content-type": "application/json", **LIMITS})


def refusal(code: int, message: str = "Refused.", **besides: object) -> Response:
    """A code in the form in which JPush says it."""
    return said({**besides, "error": {"code": code, "message": message}}, STATUSES.get(code, 400))


class JPush:
    """One app."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.accepted: list[dict[str, Any]] = []
        self.cids: dict[str, datetime] = {}  # those given out, and when
        self.results: dict[str, str] = {}  # what was answered to a cid
        self.own_cids = False  # whether others are taken too
        self.most_cids = 10  # at a time
        self.gone: set[str] = set()  # devices without the app
        self.invalid: set[str] = set()
        self.answer: Response | None = None  # to all pushes instead of taking them

    @property
    def taken(self) -> list[Accepted]:
        return [
            Accepted(one["notification"]["android"]["extras"]["message_id"], one["msg_id"]) for one in self.accepted
        ]

    def handle(self, request: Request) -> Response:
        right = "Basic " + base64.b64encode(f"{APP_KEY}:{SECRET}".encode()).decode()
        if request.headers.get("authorization") != right:
            return refusal(1004, "Authen failed")
        match request.method, request.route:
            case "GET", "/v3/push/cid":
                return self._give(request)
            case "POST", "/v3/push":
                return self.answer or self._push(request, for_good=True)
            case "POST", "/v3/push/validate":
                return self.answer or self._push(request, for_good=False)
            case _:
                return refusal(1001)

    def _give(self, request: Request) -> Response:
        count = int(request.query.get("count", "1"))
        if not 1 <= count <= 1000 or request.query.get("type", "push") not in ("push", "schedule"):
            return refusal(1003)
        given = [f"{APP_KEY}-{len(self.cids) + n:08x}-0000-4000-8000-000000000000" for n in range(count)]
        given = given[: self.most_cids]
        self.cids.update(dict.fromkeys(given, self._now()))
        return said({"cidlist": given})

    def _push(self, request: Request, *, for_good: bool) -> Response:
        try:
            push = json.loads(request.body)
        except ValueError:
            return refusal(1002)
        cid = push.get("cid")
        if cid in self.results and self._now() - self.cids[cid] < timedelta(days=1):
            return said({"sendno": "0", "msg_id": self.results[cid]})
        wrong = self._wrong(push)
        if wrong is not None:
            return wrong
        number = str(18_100_287_008_546_964 + len(self.accepted))  # more than a double can hold
        if not for_good:
            return said({"sendno": "0", "msg_id": number})
        if cid is not None:
            self.cids.setdefault(cid, self._now())
            self.results[cid] = number
        self.accepted.append({**push, "msg_id": number})
        return said({"sendno": "0", "msg_id": number})

    def _wrong(self, push: dict[str, Any]) -> Response | None:
        if push.keys() - FIELDS or push.get("options", {}).keys() - OPTIONS:
            return refusal(1009)
        if not {"platform", "audience"} <= push.keys() or not {"notification", "message"} & push.keys():
            return refusal(1002)
        platforms = push["platform"]
        if platforms != "all" and not set(platforms) <= PLATFORMS:
            return refusal(1003, "platform is invalid")
        options = push.get("options", {})
        if not 0 <= options.get("time_to_live", 0) <= 864_000 or not isinstance(options.get("apns_production"), bool):
            return refusal(1003, "options is invalid")
        if "alert" not in push["notification"].get("android", {"alert": ""}):
            return refusal(1002)
        if len(json.dumps(push["notification"].get("android", {}), ensure_ascii=False).encode()) > 4200:
            return refusal(1005)
        return self._wrong_cid(push.get("cid")) or self._wrong_device(push["audience"]["registration_id"])

    def _wrong_cid(self, cid: str | None) -> Response | None:
        if cid is None or self.own_cids:
            return None
        lasts = self.cids.get(cid, self._now() - timedelta(days=2)) + timedelta(days=1)
        return refusal(1003, "cid is invalid") if lasts <= self._now() else None

    def _wrong_device(self, devices: list[str]) -> Response | None:
        for device in devices:
            if device in self.invalid or device == "outreach":
                return refusal(1003, f"The registration_id {device} is invalid!")
        if set(devices) <= self.gone:
            return refusal(1011, "cannot find user by this audience", msg_id=1309530630)
        return None

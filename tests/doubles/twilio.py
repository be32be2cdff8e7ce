"""Twilio's Messages as they answer: one account, its two ways to sign in, the numbers that test credentials know."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from channels.contract import Callback
from channels.testing import Request, Response

ACCOUNT = "AC00000000000000000000000000000001"
SERVICE = "MG00000000000000000000000000000001"
NUMBER = "+15005550006"
#: what test credentials answer, by whom it goes to and by who writes
MAGIC_TO = {
    "+15005550001": 21211,
    "+15005550002": 21612,
    "+15005550003": 21408,
    "+15005550004": 21610,
    "+15005550009": 21614,
}
MAGIC_FROM = {"+15005550001": 21212, "+15005550007": 21606, "+15005550008": 21611}
STATUS = {20003: 401, 20404: 404, 20429: 429, 20500: 500, 20503: 503}  # the others are a 400


def failure(code: int, message: str = "what people read") -> Response:
    """A refusal as Twilio writes it."""
    status = STATUS.get(code, 400)
    more = f"https://www.twilio.com/docs/errors/{code}"
    told = {"code": code, "message": message, "more_info": more, "status": status}
    return Response(status, json.dumps(told).encode(), {"content-type": "application/json"})


@dataclass
class Twilio:
    """`logins` are names and passwords; `now` is its clock; `magic` says whether they are test credentials."""

    logins: Mapping[str, str]
    now: Callable[[], datetime]
    magic: bool = True
    messages: list[dict[str, Any]] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)  # the fields of what was accepted
    answer: Response | None = None  # in place of its own
    _root: str = f"/2010-04-01/Accounts/{ACCOUNT}/Messages"

    def handle(self, request: Request) -> Response:
        if not self._knows(request.headers.get("authorization", "")):
            return failure(20003, "Authenticate")
        if self.answer is not None:
            return self.answer
        if request.method == "POST" and request.route == f"{self._root}.json":
            return self._create(request)
        if request.method == "GET" and request.route == f"{self._root}.json":
            return self._list(request.query)
        found = [row for row in self.messages if request.route == f"{self._root}/{row['sid']}.json"]
        return _json(200, found[0]) if request.method == "GET" and found else failure(20404)

    def _knows(self, authorization: str) -> bool:
        scheme, _, login = authorization.partition(" ")
        name, _, password = b64decode(login).decode().partition(":")
        return scheme == "Basic" and self.logins.get(name) == password

    def _create(self, request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0]
        form = dict(parse_qsl(request.body.decode())) if kind == "application/x-www-form-urlencoded" else {}
        code = _flaw(form) or (self._magic(form) if self.magic else None)
        if code is not None:
            return failure(code)
        row = self._row(form)
        self.messages.append(row)
        self.asked.append(form)
        return _json(201, row)

    def _magic(self, form: Mapping[str, str]) -> int | None:
        return MAGIC_FROM.get(form.get("From", "")) or MAGIC_TO.get(form["To"])

    def _row(self, form: Mapping[str, str]) -> dict[str, Any]:
        sid, now, service = f"SM{len(self.messages) + 1:032x}", self.now(), form.get("MessagingServiceSid")
        return {
            "sid": sid,
            "account_sid": ACCOUNT,
            "messaging_service_sid": service,
            "to": form["To"],
            "from": form.get("From"),
            "body": form["Body"],
            "status": "accepted" if service else "queued",
            "direction": "outbound-api",
            "num_segments": "0" if service else "1",
            "num_media": "0",
            "error_code": None,
            "error_message": None,
            "date_created": format_datetime(now),
            "date_updated": format_datetime(now),
            "date_sent": None,
            "price": None,
            "price_unit": "USD",
            "api_version": "2010-04-01",
            "uri": f"{self._root}/{sid}.json",
            "subresource_uris": {"media": f"{self._root}/{sid}/Media.json"},
        }

    def become(self, sid: str, status: str, error_code: int | None = None, sender: str = NUMBER) -> None:
        """Time passes for a message."""
        now = format_datetime(self.now())
        for row in self.messages:
            if row["sid"] == sid:
                row |= {"status": status, "error_code": error_code, "date_updated": now, "date_sent": now}
                row["from"] = row["from"] or sender

    def _list(self, query: Mapping[str, str]) -> Response:
        since = query.get("DateSent>", "")
        rows = [
            row
            for row in self.messages
            if query.get("To", row["to"]) == row["to"]
            and query.get("From", row["from"]) == row["from"]
            and (not since or (row["date_sent"] is not None and _day(row["date_sent"]) >= since[:10]))
        ]
        size = int(query.get("PageSize", "50"))
        page = {"page": 0, "page_size": size, "start": 0, "end": max(len(rows) - 1, 0), "uri": f"{self._root}.json"}
        links = {"first_page_uri": f"{self._root}.json", "next_page_uri": None, "previous_page_uri": None}
        return _json(200, {"messages": rows[::-1][:size], **page, **links})


def _flaw(form: Mapping[str, str]) -> int | None:
    """The code of what is wrong with the fields of a new message."""
    service, callback = form.get("MessagingServiceSid"), form.get("StatusCallback")
    validity = form.get("ValidityPeriod", "36000")
    checks = [
        (21604, "To" not in form),
        (21211, not re.fullmatch(r"\+[1-9]\d{6,14}", form.get("To", ""))),
        (21603, "From" not in form and service is None),
        (21705, service is not None and not re.fullmatch("MG[0-9a-fA-F]{32}", service)),
        (21602, not form.get("Body")),
        (21617, len(form.get("Body", "")) > 1600),
        (21609, callback is not None and not _is_absolute(callback)),
        (20001, not validity.isdecimal() or not 1 <= int(validity) <= 36_000),
    ]
    return next((code for code, wrong in checks if wrong), None)


def _is_absolute(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "_" not in str(parts.hostname)


def _day(instant: str) -> str:
    return f"{datetime.strptime(instant, '%a, %d %b %Y %H:%M:%S %z'):%Y-%m-%d}"


def _json(status: int, told: object) -> Response:
    return Response(status, json.dumps(told).encode(), {"content-type": "application/json"})


def signature(secret: str, url: str, fields: Sequence[tuple[str, str]] = (), digest: str = "sha1") -> str:
    text = url + "".join(name + value for name, value in sorted(set(fields)))
    return b64encode(hmac.new(secret.encode(), text.encode("utf-8", "surrogateescape"), digest).digest()).decode()


def report(secret: str, url: str, body: bytes, at: datetime) -> Callback:
    """A form as Twilio posts it to us, whatever the body holds."""
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True)
    except UnicodeDecodeError:
        fields = []
    signed = {
        "x-twilio-signature": signature(secret, url, fields),
        "content-type": "application/x-www-form-urlencoded; charset=UTF-8",
    }
    return Callback("POST", url, signed, body, at)


def json_report(secret: str, url: str, body: bytes, at: datetime) -> Callback:
    """JSON as Twilio posts it: the address holds the hash of the body."""
    url = f"{url}{'&' if urlsplit(url).query else '?'}{urlencode({'bodySHA256': hashlib.sha256(body).hexdigest()})}"
    signed = {"x-twilio-signature": signature(secret, url), "content-type": "application/json"}
    return Callback("POST", url, signed, body, at)


def status(sid: str, word: str, **more: str) -> bytes:
    """The body of a status callback."""
    told = {"MessageSid": sid, "SmsSid": sid, "MessageStatus": word, "SmsStatus": word, "To": "+12025550100"}
    return urlencode({**told, "From": NUMBER, "AccountSid": ACCOUNT, "ApiVersion": "2010-04-01", **more}).encode()


def inbound(sid: str, text: str, **more: str) -> bytes:
    """The body of a message to us."""
    told = {"MessageSid": sid, "SmsStatus": "received", "Body": text, "From": "+12025550100", "To": NUMBER}
    return urlencode({**told, "NumMedia": "0", "NumSegments": "1", "AccountSid": ACCOUNT, **more}).encode()


def today() -> datetime:
    """The instant at which these tests play."""
    return datetime(2026, 3, 29, 1, 31, tzinfo=UTC)

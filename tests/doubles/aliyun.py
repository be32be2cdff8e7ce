"""A double of Alibaba Cloud's SMS service (Dysms 2017-05-25): it verifies both signatures, refuses what the real one
refuses, and keeps a ledger of what it took. Nothing of it is made of our own signing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, unquote_plus
from zoneinfo import ZoneInfo

from channels.testing import Request, Response

SHANGHAI = ZoneInfo("Asia/Shanghai")
SKEW = timedelta(minutes=15)
ACTIONS = ("SendSms", "SendBatchSms", "QuerySendDetails")

#: what goes out with HTTP statuses of its own; business codes come with 200
STATUSES = {
    "SignatureDoesNotMatch": 400,
    "SignatureNonceUsed": 400,
    "InvalidTimeStamp.Expired": 400,
    "InvalidAccessKeyId.NotFound": 404,
    "InvalidSecurityToken.Malformed": 400,
    "InvalidAction.NotFound": 404,
    "Throttling.User": 400,
    "InternalError": 500,
    "ServiceUnavailable": 503,
}


@dataclass
class Taken:
    """One message that it took."""

    phone: str
    out_id: str
    biz_id: str
    template: str
    values: Mapping[str, str]
    at: datetime
    state: int = 1
    err_code: str = ""


class Refused(Exception):
    """A code that is answered."""


@dataclass
class Aliyun:
    """One account."""

    now: Callable[[], datetime]
    key_id: str = "LTAI4TESTACCESSKEYID"
    key_secret: str = "testAccessKeySecretForVectors01"
    token: str | None = None
    signs: frozenset[str] = frozenset({"示例签名"})
    templates: Mapping[str, frozenset[str]] = field(
        default_factory=lambda: {
            "SMS_100000001": frozenset({"order"}),
            "SMS_100000002": frozenset(),
            "SMS_154950909": frozenset({"name"}),
        }
    )
    dead: set[str] = field(default_factory=set)  # numbers that get no SMS
    per_minute: int | None = None  # messages that a number may get in a minute of the calendar
    says: str | None = None  # a code with which everything is answered
    taken: list[Taken] = field(default_factory=list)
    nonces: set[str] = field(default_factory=set)

    def handle(self, request: Request) -> Response:
        try:
            action, params = self._verified(request)
            if self.says is not None:
                raise Refused(self.says)
            return _ok(self._do(action, params))
        except Refused as refused:
            return saying(str(refused))

    # who asks

    def _verified(self, request: Request) -> tuple[str, dict[str, str]]:
        params = dict(parse_qsl(request.path.partition("?")[2], keep_blank_values=True))
        if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            params |= dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        if "authorization" in request.headers:
            self._acs3(request)
            return request.headers["x-acs-action"], params
        self._rpc(request, params)
        return params["Action"], params

    def _acs3(self, request: Request) -> None:
        headers = request.headers
        told = re.fullmatch(
            r"ACS3-HMAC-SHA256 Credential=([^,]+),SignedHeaders=([^,]+),Signature=([0-9a-f]{64})",
            headers["authorization"],
        )
        if told is None:
            raise Refused("SignatureDoesNotMatch")
        key_id, names, signature = told[1], told[2].split(";"), told[3]
        self._known(key_id, headers.get("x-acs-security-token"))
        self._in_time(headers.get("x-acs-date", ""))
        must = {"host", *(name for name in headers if name.startswith("x-acs-"))} | (
            {"content-type"} if request.body else set()
        )
        if not must <= set(names) or names != sorted(names):
            raise Refused("SignatureDoesNotMatch")
        hashed = hashlib.sha256(request.body).hexdigest()
        query = "&".join(f"{name}={value}" for name, value in sorted(_encoded(request.path.partition("?")[2])))
        lines = "".join(f"{name}:{headers.get(name, '').strip()}\n" for name in names)
        canonical = f"{request.method}\n/\n{query}\n{lines}\n{';'.join(names)}\n{hashed}"
        wanted = f"ACS3-HMAC-SHA256\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        expected = hmac.new(self.key_secret.encode(), wanted.encode(), hashlib.sha256).hexdigest()
        if expected != signature or headers.get("x-acs-content-sha256") != hashed:
            raise Refused("SignatureDoesNotMatch")
        if headers.get("x-acs-version") != "2017-05-25" or headers.get("x-acs-action") not in ACTIONS:
            raise Refused("InvalidAction.NotFound")
        self._once(headers["x-acs-signature-nonce"])

    def _rpc(self, request: Request, params: Mapping[str, str]) -> None:
        """The older signature, as parameters beside all others."""
        self._known(params.get("AccessKeyId", ""), params.get("SecurityToken"))
        self._in_time(params.get("Timestamp", ""))
        if rpc_signature(request.method, params, self.key_secret) != params.get("Signature"):
            raise Refused("SignatureDoesNotMatch")
        if params.get("Version") != "2017-05-25" or params.get("Action") not in ACTIONS:
            raise Refused("InvalidAction.NotFound")
        self._once(params["SignatureNonce"])

    def _known(self, key_id: str, token: str | None) -> None:
        if key_id != self.key_id:
            raise Refused("InvalidAccessKeyId.NotFound")
        if token != self.token:
            raise Refused("InvalidSecurityToken.Malformed")

    def _in_time(self, said: str) -> None:
        at = datetime.strptime(said, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        if abs(at - self.now()) > SKEW:
            raise Refused("InvalidTimeStamp.Expired")

    def _once(self, nonce: str) -> None:
        if nonce in self.nonces:
            raise Refused("SignatureNonceUsed")
        self.nonces.add(nonce)

    # what is asked

    def _do(self, action: str, params: Mapping[str, str]) -> dict[str, Any]:
        match action:
            case "SendSms":
                values = _object(params.get("TemplateParam", "{}"))
                phones = [phone for phone in params.get("PhoneNumbers", "").split(",") if phone]
                rows = [(phone, params.get("SignName", ""), values) for phone in phones]
                return self._take(rows, params, most=1000)
            case "SendBatchSms":
                phones, signs = _list(params.get("PhoneNumberJson", "")), _list(params.get("SignNameJson", ""))
                values_of = _list(params["TemplateParamJson"]) if "TemplateParamJson" in params else [{}] * len(phones)
                if not len(phones) == len(signs) == len(values_of):
                    raise Refused("isv.INVALID_PARAMETERS")
                return self._take(list(zip(phones, signs, values_of, strict=True)), params, most=100)
            case _:
                return self._details(params)

    def _take(self, rows: list[tuple[str, str, Any]], params: Mapping[str, str], most: int) -> dict[str, Any]:
        """All of them or none."""
        template, out_id = params.get("TemplateCode", ""), params.get("OutId", "")
        if len(rows) > most:
            raise Refused("isv.MOBILE_COUNT_OVER_LIMIT")
        if len(out_id) >= 256:
            raise Refused("isv.INVALID_PARAMETERS")
        for flaw in self._flaws(rows, template):
            raise Refused(flaw)
        biz_id = f"{9006197469364984400 + len(self.taken)}^0"
        self.taken += [Taken(phone, out_id, biz_id, template, values, self.now()) for phone, _, values in rows]
        return {"BizId": biz_id}

    def _flaws(self, rows: list[tuple[str, str, Any]], template: str) -> Iterator[str]:
        if not rows:
            yield "isv.MOBILE_NUMBER_ILLEGAL"
        for phone, sign, values in rows:
            if not re.fullmatch(r"(\+|\+86|0086|86)?1[3-9][0-9]{9}|[1-9][0-9]{6,14}", phone) or phone in self.dead:
                yield "isv.MOBILE_NUMBER_ILLEGAL"
            if sign not in self.signs:
                yield "isv.SMS_SIGNATURE_ILLEGAL"
            if template not in self.templates:
                yield "isv.SMS_TEMPLATE_ILLEGAL"
            elif not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
                yield "isv.INVALID_JSON_PARAM"
            elif not self.templates[template] <= {name for name, value in values.items() if value}:
                yield "isv.TEMPLATE_MISSING_PARAMETERS"
            else:
                yield from _flaws_of_values(values)
            if self.per_minute is not None and self._lately(phone) >= self.per_minute:
                yield "isv.BUSINESS_LIMIT_CONTROL"

    def _lately(self, phone: str) -> int:
        minute = f"{self.now():%Y%m%d%H%M}"
        return sum(one.phone == phone and f"{one.at:%Y%m%d%H%M}" == minute for one in self.taken)

    def _details(self, params: Mapping[str, str]) -> dict[str, Any]:
        if not all(params.get(name) for name in ("PhoneNumber", "SendDate", "PageSize", "CurrentPage")):
            raise Refused("isv.INVALID_PARAMETERS")
        size, page = int(params["PageSize"]), int(params["CurrentPage"])
        if not 1 <= size <= 50 or page < 1:
            raise Refused("isv.INVALID_PARAMETERS")
        rows = [
            _detail(one)
            for one in reversed(self.taken)
            if one.phone == params["PhoneNumber"]
            and f"{one.at.astimezone(SHANGHAI):%Y%m%d}" == params["SendDate"]
            and params.get("BizId") in (None, one.biz_id)
        ]
        shown = rows[(page - 1) * size : page * size]
        return {"SmsSendDetailDTOs": {"SmsSendDetailDTO": shown}, "TotalCount": str(len(rows))}


def rpc_string(method: str, params: Mapping[str, str]) -> str:
    """What is signed in the older way: all parameters, of the query and of the form together."""
    listed = sorted((name, value) for name, value in params.items() if name != "Signature")
    query = "&".join(f"{_percent(name)}={_percent(value)}" for name, value in listed)
    return f"{method}&%2F&{_percent(query)}"


def rpc_signature(method: str, params: Mapping[str, str], key_secret: str) -> str:
    told = hmac.new(f"{key_secret}&".encode(), rpc_string(method, params).encode(), hashlib.sha1)
    return base64.b64encode(told.digest()).decode()


def saying(code: str, headers: Mapping[str, str] | None = None, message: str = "words that say more") -> Response:
    """An answer with this code, in the form in which the service says it."""
    told = {"RequestId": "F1", "Code": code, "Message": message}
    if code in STATUSES:
        told |= {"HostId": "dysmsapi.aliyuncs.com", "Recommend": "https://api.example.com/troubleshoot"}
    elif code == "OK":
        told |= {"BizId": "9006197469364984400"}
    return Response(
        STATUSES.get(code, 200), json.dumps(told).encode(), {"content-type": "application/json", **(headers or {})}
    )


def _ok(more: Mapping[str, Any]) -> Response:
    told = {"Code": "OK", "Message": "OK", "RequestId": "819BE656-D2E0-4858-8B21-B2E477085AAF", **more}
    return Response(200, json.dumps(told, ensure_ascii=False).encode(), {"content-type": "application/json"})


def _detail(one: Taken) -> dict[str, Any]:
    at = f"{one.at.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}"
    return {
        "PhoneNum": one.phone,
        "OutId": one.out_id,
        "TemplateCode": one.template,
        "SendStatus": one.state,
        "SendDate": at,
        "ReceiveDate": at if one.state != 1 else "",
        "ErrCode": one.err_code,
        "Content": "【示例签名】words to a person",
    }


def _flaws_of_values(values: Mapping[str, str]) -> Iterator[str]:
    for value in values.values():
        if "://" in value or "www." in value:
            yield "isv.PARAM_NOT_SUPPORT_URL"
        if len(value) > 35:
            yield "isv.PARAM_LENGTH_LIMIT"


def _encoded(query: str) -> Iterator[tuple[str, str]]:
    """As the service writes anew what it heard. Its own library writes a space as + and signs %20."""
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        yield _percent(unquote_plus(name)), _percent(unquote_plus(value))


def _percent(text: str) -> str:
    return quote(text, safe="-_.~")


def _object(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise Refused("isv.INVALID_JSON_PARAM") from None


def _list(text: str) -> list[Any]:
    found = _object(text)
    if not isinstance(found, list):
        raise Refused("isv.INVALID_JSON_PARAM")
    return found

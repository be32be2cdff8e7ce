"""A double of Tencent Cloud's SMS service (SMS 2021-01-11): it verifies the signature, refuses what the real one
refuses, number by number, and keeps a ledger of what it took. Nothing of it is made of our own signing."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from channels.testing import Request, Response

SKEW = 300  # seconds
ACTIONS = ("SendSms", "PullSmsSendStatusByPhoneNumber")
SERIAL = "5000:1045710669157053657849499"


@dataclass
class Taken:
    """One message that it took."""

    phone: str
    session: str
    serial: str
    values: tuple[str, ...]
    wanted: Mapping[str, Any]
    at: datetime
    state: str = ""  # SUCCESS or FAIL, once the carrier has said so


class Refused(Exception):
    """A code with which a whole request is answered."""


@dataclass
class Tencent:
    """One account."""

    now: Callable[[], datetime]
    secret_id: str = "AKIDTESTSECRETIDFORVECTORS0000000001"
    secret_key: str = "testSecretKeyForVectors000000001"
    token: str | None = None
    app_id: str = "1400006666"
    signs: frozenset[str] = frozenset({"示例签名"})
    templates: Mapping[str, int] = field(default_factory=lambda: {"1110": 1, "1111": 0})  # -> places
    dead: set[str] = field(default_factory=set)  # numbers that are none
    echoes: bool = True  # SessionContext in what became of messages, where support has switched it on
    says: str | None = None  # a code with which every request is answered
    says_of_each: str | None = None  # a code with which every number is answered
    taken: list[Taken] = field(default_factory=list)

    def handle(self, request: Request) -> Response:
        try:
            self._verify(request)
            if self.says is not None:
                raise Refused(self.says)
            wanted = json.loads(request.body)
            if wanted.get("SmsSdkAppId") != self.app_id:
                raise Refused("UnauthorizedOperation.SmsSdkAppIdVerifyFail")
            if request.headers["x-tc-action"] == "SendSms":
                return _answer(self._send(wanted))
            return _answer(self._pull(wanted))
        except Refused as refused:
            return saying(str(refused))

    # who asks

    def _verify(self, request: Request) -> None:
        headers = request.headers
        told = re.fullmatch(
            r"TC3-HMAC-SHA256 Credential=([^/]+)/([0-9-]{10})/sms/tc3_request, "
            r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})",
            headers.get("authorization", ""),
        )
        if told is None:
            raise Refused("AuthFailure.SignatureFailure")
        secret_id, day, names, signature = told.groups()
        if secret_id != self.secret_id:
            raise Refused("AuthFailure.SecretIdNotFound")
        if headers.get("x-tc-token") != self.token:
            raise Refused("AuthFailure.TokenFailure")
        at = int(headers.get("x-tc-timestamp", "0"))
        if abs(at - self.now().timestamp()) > SKEW:
            raise Refused("AuthFailure.SignatureExpire")
        if (
            not {"content-type", "host"} <= set(names.split(";"))
            or day != f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"
        ):
            raise Refused("AuthFailure.SignatureFailure")
        lines = "".join(f"{name}:{headers.get(name, '').strip().lower()}\n" for name in names.split(";"))
        canonical = f"{request.method}\n/\n\n{lines}\n{names}\n{hashlib.sha256(request.body).hexdigest()}"
        wanted = f"TC3-HMAC-SHA256\n{at}\n{day}/sms/tc3_request\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = f"TC3{self.secret_key}".encode()
        for word in (day, "sms", "tc3_request"):
            key = hmac.new(key, word.encode(), hashlib.sha256).digest()
        if hmac.new(key, wanted.encode(), hashlib.sha256).hexdigest() != signature:
            raise Refused("AuthFailure.SignatureFailure")
        if headers.get("x-tc-version") != "2021-01-11":
            raise Refused("NoSuchVersion")
        if headers.get("x-tc-action") not in ACTIONS:
            raise Refused("InvalidAction")
        if not headers.get("x-tc-region"):
            raise Refused("MissingParameter")

    # what is asked

    def _send(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        phones = wanted.get("PhoneNumberSet")
        if not isinstance(phones, list) or not all(isinstance(phone, str) for phone in phones):
            raise Refused("InvalidParameter")
        if not phones:
            raise Refused("MissingParameter.EmptyPhoneNumberSet")
        if len(phones) > 200:
            raise Refused("LimitExceeded.PhoneNumberCountLimit")
        if len({phone.startswith("+86") for phone in phones}) > 1:
            raise Refused("UnsupportedOperation.ContainDomesticAndInternationalPhoneNumber")
        if len(wanted.get("SessionContext", "").encode()) >= 512:
            raise Refused("InvalidParameter")
        told = [self._one(phone, wanted) for phone in phones]
        return {"SendStatusSet": list(reversed(told))}  # their order is no promise

    def _one(self, phone: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
        code = self.says_of_each or self._flaw(phone, wanted) or "Ok"
        serial = f"{SERIAL}{len(self.taken):03}" if code == "Ok" else ""
        session = wanted.get("SessionContext", "")
        if code == "Ok":
            values = tuple(wanted.get("TemplateParamSet") or ())
            self.taken.append(Taken(phone, session, serial, values, wanted, self.now()))
        return {
            "SerialNo": serial,
            "PhoneNumber": phone,
            "Fee": int(code == "Ok"),
            "SessionContext": session,
            "Code": code,
            "Message": "send success" if code == "Ok" else "words that say more",
            "IsoCode": "CN" if phone.startswith("+86") else "US",
        }

    def _flaw(self, phone: str, wanted: Mapping[str, Any]) -> str | None:
        values = wanted.get("TemplateParamSet") or []
        if not re.fullmatch(r"\+861[3-9][0-9]{9}|\+(?!86)[1-9][0-9]{6,14}", phone) or phone in self.dead:
            return "InvalidParameterValue.IncorrectPhoneNumber"
        if phone.startswith("+86") and wanted.get("SignName") not in self.signs:
            return "FailedOperation.SignatureIncorrectOrUnapproved"
        if wanted.get("TemplateId") not in self.templates:
            return "FailedOperation.TemplateIncorrectOrUnapproved"
        if len(values) != self.templates[wanted["TemplateId"]]:
            return "FailedOperation.TemplateParamSetNotMatchApprovedTemplate"
        if not all(isinstance(value, str) and value for value in values):
            return "InvalidParameterValue.TemplateParameterFormatError"
        if any("://" in value or "www." in value for value in values):
            return "InvalidParameterValue.ProhibitedUseUrlInTemplateParameter"
        if any(len(value) > 35 for value in values):
            return "InvalidParameterValue.TemplateParameterLengthLimit"
        return None

    def _pull(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        begin, end, now = wanted.get("BeginTime"), wanted.get("EndTime"), self.now().timestamp()
        if not isinstance(begin, int) or begin < now - 7 * 86_400 - 1:
            raise Refused("InvalidParameterValue.BeginTimeVerifyFail")
        if not isinstance(end, int) or end < begin:
            raise Refused("InvalidParameterValue.EndTimeVerifyFail")
        if wanted.get("Offset") != 0 or not 0 < wanted.get("Limit", 0) <= 100:
            raise Refused("InvalidParameterValue.LimitVerifyFail")
        rows = [
            {
                "UserReceiveTime": int(one.at.timestamp()),
                "CountryCode": one.phone[1:-11],
                "SubscriberNumber": one.phone[-11:],
                "PhoneNumber": one.phone,
                "SerialNo": one.serial,
                "ReportStatus": one.state,
                "Description": "words of the carrier",
                "SessionContext": one.session if self.echoes else "",
            }
            for one in self.taken
            if one.state and one.phone == wanted.get("PhoneNumber") and begin <= one.at.timestamp() <= end
        ]
        return {"PullSmsSendStatusSet": rows[: wanted["Limit"]]}


def saying(code: str) -> Response:
    """A whole request refused with this code."""
    return _answer({"Error": {"Code": code, "Message": "words that say more"}})


def _answer(told: Mapping[str, Any]) -> Response:
    body = json.dumps({"Response": {**told, "RequestId": "a0aabda6-cf91-4f3e-a81f-9198114a2279"}}, ensure_ascii=False)
    return Response(200, body.encode(), {"content-type": "application/json"})

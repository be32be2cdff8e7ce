"""SMS by Tencent Cloud (SMS 2021-01-11): approved templates, to the mainland of China and beyond.

It recognises no repeat. Each number gets an answer and a name (SerialNo) of its own, also in a request for many; but
all numbers of a request get the same values.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Hashable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from channels.callbacks import word
from channels.contract import (
    Answer,
    Asked,
    Callback,
    Outgoing,
    ProviderOptions,
    Receipt,
    ReceiptType,
    Sent,
    Sms,
    secret,
)
from channels.errors import FailureReason, Rejected, SendError, Uncertain
from channels.http import Address, Api, Reply, refused, retry_after
from channels.sms import tc3
from channels.sms.approved import (
    ApprovedOptions,
    ApprovedProvider,
    Keys,
    SignName,
    Suppress,
    code_in,
    of_mainland,
    said_in,
    whole_number,
)
from channels.tables import Meaning, later, misconfigured, unsure
from channels.tables import refused as rejected

VERSION = "2021-01-11"
PROBE = 5.0  # seconds
WAIT = 5.0  # seconds, where it does not say itself
KEPT = timedelta(days=7)  # so far back it tells what became of a message
MOST = 100  # the most it tells at once of one number
THANKS = b'{"result":0,"errmsg":"OK"}'

#: by code, or by the family of a code of which no more is known
CODES: Mapping[str, Meaning] = {
    # the person
    "FailedOperation.PhoneNumberInBlacklist": rejected(FailureReason.opted_out, "the person wants none of these"),
    "InvalidParameterValue.IncorrectPhoneNumber": rejected(FailureReason.address_invalid, "it is no number"),
    "FailedOperation.PhoneNumberParseFail": rejected(FailureReason.address_invalid, "it is no number"),
    "UnsupportedOperation.UnsupportedRegion": rejected(FailureReason.policy, "it sends nothing to that country"),
    "LimitExceeded.AppCountryOrRegionInBlacklist": rejected(
        FailureReason.policy, "the console does not allow that country"
    ),
    "LimitExceeded.PhoneNumberSameContentDailyLimit": rejected(
        FailureReason.policy, "the person has had these very words today as often as one may"
    ),
    "LimitExceeded.PhoneNumberThirtySecondLimit": later("the person has had one a moment ago"),
    "LimitExceeded.PhoneNumberOneHourLimit": later("the person has had as many as one may have in an hour"),
    "LimitExceeded.PhoneNumberDailyLimit": later("the person has had as many as one may have in a day"),
    "LimitExceeded.DeliveryFrequencyLimit": later("the person has had as many of these as one may for now"),
    # the message
    "FailedOperation.MarketingSendTimeConstraint": later("marketing is sent from 08:00 to 22:00 in China alone"),
    "FailedOperation.ContainSensitiveWord": rejected(FailureReason.content, "it holds a banned word"),
    "FailedOperation.TemplateParamSetNotMatchApprovedTemplate": rejected(
        FailureReason.content, "the values do not match the places of the template"
    ),
    "InvalidParameterValue.TemplateParameterFormatError": rejected(
        FailureReason.content, "a value does not suit its place"
    ),
    "InvalidParameterValue.TemplateParameterLengthLimit": rejected(FailureReason.content, "a value is too long"),
    "InvalidParameterValue.ProhibitedUseUrlInTemplateParameter": rejected(
        FailureReason.content, "a value holds a link"
    ),
    "InvalidParameterValue.ContentLengthLimit": rejected(FailureReason.content, "it is too long"),
    "LimitExceeded.PhoneNumberCountLimit": rejected(FailureReason.content, "there are too many numbers in one request"),
    "UnsupportedOperation.ContainDomesticAndInternationalPhoneNumber": rejected(
        FailureReason.content, "there are numbers of the mainland and of elsewhere in one request"
    ),
    "InvalidParameter.*": rejected(FailureReason.content, "a field is not as it should be"),
    "InvalidParameterValue.*": rejected(FailureReason.content, "a field is not as it should be"),
    "MissingParameter.*": rejected(FailureReason.content, "a field is missing"),
    # the account, as a person has to mend it
    "LimitExceeded.AppDailyLimit": misconfigured("the limit for a day that is set in the console is reached"),
    "LimitExceeded.AppMainlandChinaDailyLimit": misconfigured(
        "the limit for a day that is set in the console is reached"
    ),
    "LimitExceeded.AppGlobalDailyLimit": misconfigured("the limit for a day that is set in the console is reached"),
    "LimitExceeded.AppCountryOrRegionDailyLimit": misconfigured(
        "the limit for a day and a country that is set in the console is reached"
    ),
    "LimitExceeded.DailyLimit": misconfigured("the limit for a day is reached; its support can raise it"),
    "FailedOperation.TemplateIncorrectOrUnapproved": misconfigured("the template is not approved in this account"),
    "FailedOperation.TemplateUnapprovedOrNotExist": misconfigured("the template is not approved in this account"),
    "FailedOperation.SignatureIncorrectOrUnapproved": misconfigured("the sign name is not approved in this account"),
    "FailedOperation.InsufficientBalanceInSmsPackage": misconfigured("the package of SMS is used up"),
    "UnauthorizedOperation.SmsSdkAppIdVerifyFail": misconfigured("app_id is none of this account"),
    "InvalidParameterValue.SdkAppIdNotExist": misconfigured("app_id is none of this account"),
    "InvalidParameter.AppidAndBizId": misconfigured("app_id is none of this account"),
    "UnauthorizedOperation.ServiceSuspendDueToArrears": misconfigured("the account owes money"),
    "UnauthorizedOperation.RequestIpNotInWhitelist": misconfigured("our address is not on the list in the console"),
    "UnauthorizedOperation.*": misconfigured("the account does not allow this"),
    "AuthFailure.SignatureFailure": misconfigured("the secret key is not that of the secret id"),
    "AuthFailure.SecretIdNotFound": misconfigured("there is no such secret id"),
    "AuthFailure.TokenFailure": misconfigured("the token of the keys is over; put new ones into the environment"),
    "AuthFailure.UnauthorizedOperation": misconfigured("the keys do not allow this; grant them SMS in CAM"),
    "AuthFailure.*": misconfigured("it does not accept the keys"),
    "InvalidAction": misconfigured("it knows no such action; is url right?"),
    "NoSuchVersion": misconfigured("it knows no such version; is url right?"),
    "NoSuchProduct": misconfigured("it knows no SMS; is url right?"),
    "ActionOffline": misconfigured("it does this no more"),
    "UnsupportedRegion": misconfigured("it is not there in this region; see region"),
    "IpInBlacklist": misconfigured("our address is on a list that it refuses"),
    "IpNotInWhitelist": misconfigured("our address is not on the list in the console"),
    # the service
    "AuthFailure.SignatureExpire": later("our clock and its own are more than five minutes apart"),
    "RequestLimitExceeded.*": later("it had too many requests", WAIT),
    "LimitExceeded.GlobalSmsSendingRateLimit": later("it had too many messages to other countries", WAIT),
    "LimitExceeded.*": later("it had as many as it takes for now"),
    "ServiceUnavailable.*": later("it is not there for the moment", WAIT),
    "ResourceUnavailable.*": later("it is not there for the moment", WAIT),
    "ResourceInsufficient.*": later("it is not there for the moment", WAIT),
    "InternalError.RequestTimeException": later("our clock and its own are too far apart"),
    "InternalError": later("it has trouble of its own"),
    "InternalError.OtherError": later("it has trouble of its own"),
    "InternalError.Timeout": unsure("it ran out of time over it"),
    "InternalError.SendAndRecvFail": unsure("it lost touch with itself over it"),
    "InternalError.*": unsure("something failed inside it"),
}
#: codes of reports after which nothing is sent to the number any more, and why
SUPPRESS: Suppress = {
    "MK:0001": "address_unknown",  # the carrier's register has no such number
    "MK:0012": "address_unknown",
    "MX:0012": "opted_out",  # on Tencent's list, after an answer that asked for it
    "TUIDING": "opted_out",  # on the carrier's
    "MB:1077": "opted_out",  # complained to the carrier
    "DB:0141": "opted_out",
}
#: what codes of reports mean that end no address; any other is a failure in words we do not know
SOFT: Mapping[str, FailureReason] = {
    "UNDELIV": FailureReason.address_full,  # an empty number, or one that is suspended or switched off
    "UNDELIVRD": FailureReason.address_full,
    "MI:0013": FailureReason.address_full,
    "MI:0024": FailureReason.address_full,
    "MK:0017": FailureReason.address_full,
    "EXPIRED": FailureReason.expired,
}

STATES = {"SUCCESS": ReceiptType.delivered, "FAIL": ReceiptType.bounced}


class TencentOptions(ApprovedOptions):
    """What config.yaml may say about the account."""

    secret_id_env: str
    secret_key_env: str
    token_env: str | None = None
    app_id: str = Field(pattern=r"^[0-9]{5,20}$")
    sign_name_abroad: SignName | None = None
    sender_id: str | None = None
    region: str = "ap-guangzhou"
    url: Address = "https://sms.tencentcloudapi.com"
    batch: int = Field(default=1, ge=1, le=200)
    suppress: Suppress = Field(default=SUPPRESS)


class TencentProvider(ApprovedProvider):
    """One template and its values, in the order of its places, to one number or to as many as get the same values."""

    name = "tencent"
    Options: ClassVar[type[ProviderOptions]] = TencentOptions
    template = re.compile(r"[0-9]{1,20}")
    soft = SOFT
    thanks = THANKS
    options: TencentOptions

    def configure(self, options: TencentOptions, env: Mapping[str, str], home: Path) -> None:
        keys = Keys(
            secret(env, options.secret_id_env).get_secret_value(),
            secret(env, options.secret_key_env),
            secret(env, options.token_env) if options.token_env else None,
        )
        self.take(options, keys, Api(options.url, connections=options.in_flight), env)

    async def probe(self) -> None:
        """Asks what became of the messages to a number that is nobody's."""
        deadline = asyncio.get_running_loop().time() + PROBE
        await self._details("+8613000000000", self.now() - timedelta(hours=1), deadline)

    # to hand over

    def together(self, content: Sms) -> Hashable:
        return of_mainland(content.to), content.template, tuple(value for _, value in content.params)

    async def hand_over(self, group: Sequence[Outgoing], deadline: float) -> Sequence[Answer]:
        contents = [outgoing.content for outgoing in group if isinstance(outgoing.content, Sms)]
        wanted = self._wanted(contents) | ({"SessionContext": group[0].key} if len(group) == 1 else {})
        said = await self._ask("SendSms", wanted, deadline)
        answers = said.get("SendStatusSet")
        if not isinstance(answers, list):
            raise Uncertain(f"{self.api.place} gave an answer that cannot be read.")
        told = sorted((one for one in answers if isinstance(one, dict)), key=lambda one: code_in(one) == "Ok")
        of_number = {word(one, "PhoneNumber"): one for one in told}  # of two about one number the yes counts
        return [self._answer(of_number.get(content.to, {})) for content in contents]

    def _wanted(self, contents: Sequence[Sms]) -> dict[str, Any]:
        options, one = self.options, contents[0]
        names = (
            {"SignName": options.sign_name}
            if of_mainland(one.to)
            else {"SignName": options.sign_name_abroad, "SenderId": options.sender_id}
        )
        return {
            "PhoneNumberSet": [content.to for content in contents],
            "SmsSdkAppId": options.app_id,
            "TemplateId": one.template,
            "TemplateParamSet": [value for _, value in one.params],
            **{name: value for name, value in names.items() if value},
        }

    def _answer(self, said: dict[str, Any]) -> Answer:
        """What it says of one number."""
        code = code_in(said)
        if code == "Ok":
            return Sent(word(said, "SerialNo") or None)
        if code:
            return _meant(code, self.api.place, None)
        return Uncertain(f"{self.api.place} gave an answer that says nothing of this number.")

    async def _ask(self, action: str, wanted: Mapping[str, Any], deadline: float) -> dict[str, Any]:
        body = json.dumps(wanted, separators=(",", ":")).encode()
        call = tc3.Call("sms", action, VERSION, self.options.region, self.api.place, body)
        reply = await self.api.post("/", body, deadline, tc3.headers_of(call, self.keys, self.now()))
        said = said_in(reply).get("Response")
        error = said.get("Error") if isinstance(said, dict) else None
        if isinstance(error, dict) and (code := code_in(error)):
            raise _meant(code, self.api.place, reply)
        if not reply.positive:
            raise refused(reply, self.api.place) or Uncertain(f"{self.api.place} failed.")
        if not isinstance(said, dict) or error is not None:
            raise Uncertain(f"{self.api.place} gave an answer that cannot be read.")
        return said

    # to hear of it afterwards

    def receipt(self, callback: Callback, row: dict[str, Any]) -> Receipt | None:
        number, text = whole_number(f"+{word(row, 'nationcode') or '86'}{word(row, 'mobile')}"), row.get("text")
        if word(row, "sid") and word(row, "report_status") in STATES:
            return self._report(callback, number, row)
        if number and isinstance(text, str):
            at = word(row, "time")
            return self.reply(number, _second(at) or callback.at, self.nameless(number, at, text), text, row)
        return None

    def _report(self, callback: Callback, number: str | None, row: dict[str, Any]) -> Receipt:
        kind, code = STATES[word(row, "report_status")], word(row, "errmsg")
        return Receipt(
            kind,
            self.instant(word(row, "user_receive_time"), callback.at),
            word(row, "sid"),
            key=word(row, "ext") or None,
            provider_id=word(row, "sid"),
            reason=self.reason(code) if kind is ReceiptType.bounced else None,
            to=number,
            detail=code,
            raw=row,
        )

    async def look(self, asked: Asked, deadline: float) -> Receipt | None:
        """Among what became of all that was sent to the number: what it called so, or what carries our key. It tells
        of a message only when the carrier has, and gives back our key only where that was asked of its support."""
        for row in await self._details(asked.content.to, asked.at - timedelta(minutes=5), deadline):
            if {word(row, "SerialNo"), word(row, "SessionContext")} & {asked.key, asked.provider_id}:
                return self._state(asked, row)
        return None

    def _state(self, asked: Asked, row: dict[str, Any]) -> Receipt:
        kind = STATES.get(word(row, "ReportStatus"), ReceiptType.accepted)  # whatever became of it, it is there
        return Receipt(
            kind,
            _second(word(row, "UserReceiveTime")) or asked.at,
            f"look-up/{asked.key}/{kind.value}",
            key=asked.key,
            provider_id=word(row, "SerialNo") or asked.provider_id,
            reason=FailureReason.unknown if kind is ReceiptType.bounced else None,
            to=asked.content.to,
            raw=row,
        )

    async def _details(self, number: str, since: datetime, deadline: float) -> list[dict[str, Any]]:
        now = self.now()
        wanted = {
            "BeginTime": int(max(since, now - KEPT).timestamp()),
            "EndTime": int(now.timestamp()),
            "Offset": 0,
            "Limit": MOST,
            "PhoneNumber": number,
            "SmsSdkAppId": self.options.app_id,
        }
        rows = (await self._ask("PullSmsSendStatusByPhoneNumber", wanted, deadline)).get("PullSmsSendStatusSet")
        return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _meant(code: str, place: str, reply: Reply | None) -> SendError:
    """What a code says, or the family it is of."""
    meaning = CODES.get(code) or CODES.get(f"{code.partition('.')[0]}.*")
    if meaning is not None:
        return meaning.error(place, code, retry_after=retry_after(reply.headers) if reply is not None else None)
    by_status = None if reply is None else refused(reply, place)
    return by_status or Rejected(f"{place} refused it ({code}).", code=code)


def _second(text: str) -> datetime | None:
    """An instant in seconds since 1970."""
    try:
        return datetime.fromtimestamp(float(text), UTC) if text else None
    except (ValueError, OverflowError, OSError):
        return None

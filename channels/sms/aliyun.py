"""SMS by Alibaba Cloud (Dysms 2017-05-25): approved templates, to the mainland of China and beyond.

It recognises no repeat. A message that goes alone carries our key (OutId), by which it can be looked up afterwards; the
numbers of one request share what it calls the request (BizId).
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Hashable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlencode

from pydantic import Field

from channels.callbacks import word
from channels.clock import nonce
from channels.contract import (
    Answer,
    Asked,
    Callback,
    Content,
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
from channels.sms import acs3
from channels.sms.approved import (
    ApprovedOptions,
    ApprovedProvider,
    Keys,
    Suppress,
    code_in,
    days,
    of_mainland,
    said_in,
    whole_number,
)
from channels.tables import Meaning, later, misconfigured, unsure
from channels.tables import refused as rejected

VERSION = "2017-05-25"
PROBE = 5.0  # seconds
PAGE = 50  # the most it shows of what was sent to a number on a day
MOST_PAGES = 20
APART = timedelta(minutes=15)  # our clock and its own, at the most
MOST_DAYS = 7  # after which an attempt is not looked for
WAIT = 5.0  # seconds, where it does not say itself
THANKS = b'{"code":0,"msg":"ok"}'

#: regions with a host of their own; all others share one
HOSTS = {
    "ap-southeast-1": "dysmsapi.ap-southeast-1.aliyuncs.com",
    "ap-southeast-5": "dysmsapi.ap-southeast-5.aliyuncs.com",
    "cn-beijing": "dysmsapi-proxy.cn-beijing.aliyuncs.com",
    "cn-hongkong": "dysmsapi-xman.cn-hongkong.aliyuncs.com",
    "eu-central-1": "dysmsapi.eu-central-1.aliyuncs.com",
    "us-east-1": "dysmsapi.us-east-1.aliyuncs.com",
}

CODES: Mapping[str, Meaning] = {
    # the person
    "isv.MOBILE_NUMBER_ILLEGAL": rejected(FailureReason.address_invalid, "it is no number that gets SMS"),
    "isv.DOMESTIC_NUMBER_NOT_SUPPORTED": rejected(FailureReason.policy, "the template is not for the mainland"),
    "isv.BUSINESS_LIMIT_CONTROL": later("the person has had as many of these as one may have for now"),
    # the message
    "isv.MOBILE_COUNT_OVER_LIMIT": rejected(FailureReason.content, "there are too many numbers in one request"),
    "isv.TEMPLATE_MISSING_PARAMETERS": rejected(FailureReason.content, "the template has places that got no value"),
    "isv.TEMPLATE_PARAMS_ILLEGAL": rejected(FailureReason.content, "a value does not suit its place"),
    "isv.INVALID_PARAMETERS": rejected(FailureReason.content, "a field is not as it should be"),
    "isv.INVALID_JSON_PARAM": rejected(FailureReason.content, "the values are not as they should be"),
    "isv.BLACK_KEY_CONTROL_LIMIT": rejected(FailureReason.content, "a value holds a banned word"),
    "isv.PARAM_LENGTH_LIMIT": rejected(FailureReason.content, "a value is too long"),
    "isv.PARAM_NOT_SUPPORT_URL": rejected(FailureReason.content, "a value holds a link"),
    "isv.SMS_CONTENT_ILLEGAL": rejected(FailureReason.content, "the text holds what is not allowed"),
    # the account, as a person has to mend it
    "isv.DAY_LIMIT_CONTROL": misconfigured("the limit for a day that is set in the console is reached"),
    "isv.MONTH_LIMIT_CONTROL": misconfigured("the limit for a month that is set in the console is reached"),
    "isv.SMS_TEMPLATE_ILLEGAL": misconfigured("the template is not approved in this account"),
    "isv.SMS_SIGNATURE_ILLEGAL": misconfigured("the sign name is not approved in this account"),
    "isv.SMS_SIGN_ILLEGAL": misconfigured("the sign name is not approved in this account"),
    "isv.SIGN_STATE_ILLEGAL": misconfigured("the sign name cannot be used; look at its filing in the console"),
    "isv.SMS_SIGNATURE_SCENE_ILLEGAL": misconfigured("the sign name is not for templates of this type"),
    "isv.EXTEND_CODE_ERROR": misconfigured("the extension code is not that of the sign name"),
    "isv.DENY_IP_RANGE": misconfigured("it takes SMS for the mainland from addresses of the mainland alone"),
    "isv.AMOUNT_NOT_ENOUGH": misconfigured("the account has no money left"),
    "isv.OUT_OF_SERVICE": misconfigured("the account has no money left"),
    "isv.PRODUCT_UN_SUBSCRIPT": misconfigured("the SMS service is not activated in this account"),
    "isv.PRODUCT_UNSUBSCRIBE": misconfigured("the SMS service is not activated in this account"),
    "isv.ACCOUNT_NOT_EXISTS": misconfigured("there is no such account"),
    "isv.ACCOUNT_ABNORMAL": misconfigured("something is wrong with the account; ask its support"),
    "isp.RAM_PERMISSION_DENY": misconfigured("the key does not allow this; grant it the actions of SMS in RAM"),
    "SignatureDoesNotMatch": misconfigured("the secret is not that of the access key"),
    "InvalidAccessKeyId.NotFound": misconfigured("there is no such access key"),
    "InvalidAccessKeyId.*": misconfigured("it does not accept the access key"),
    "InvalidSecurityToken.*": misconfigured("the token of the keys is over; put new ones into the environment"),
    "MissingSecurityToken.*": misconfigured("keys that last for hours come with a token: set security_token_env"),
    "IncompleteSignature.*": misconfigured("it cannot read how the request is signed; is url right?"),
    # the service
    "isp.SYSTEM_ERROR": later("it has trouble of its own"),
    "isp.GATEWAY_ERROR": later("it has trouble of its own"),
    "ServiceUnavailable": later("it is not there for the moment", WAIT),
    "Throttling.*": later("it had too many requests", WAIT),
    "InvalidTimeStamp.Expired": later("our clock and its own are more than a quarter of an hour apart"),
    # What failed inside may have failed after the message was taken.
    "InternalError": unsure("something failed inside it"),
    "isp.*": unsure("something failed inside it"),
    # Each try has a nonce of its own. One that is known has come before, with this very request, and perhaps further.
    "SignatureNonceUsed": unsure("it has had this very request before"),
}

#: what codes of reports mean that end no address; any other is a failure in words we do not know
SOFT: Mapping[str, FailureReason] = {
    "MOBILE_NOT_ON_SERVICE": FailureReason.address_full,  # suspended, switched off, away, or an empty number
    "INVALID_NUMBER": FailureReason.address_full,  # the same in other words
    "MOBILE_ACCOUNT_ABNORMAL": FailureReason.address_full,  # owes money, or is changing its network
    "MOBLLE_TERMINAL_ERROR": FailureReason.address_full,  # spelt so
    "MOBILE_SEND_LIMIT": FailureReason.policy,
    "CONTENT_KEYWORD": FailureReason.spam,
    "CONTENT_ERROR": FailureReason.content,
    "SIGNATURE_BLACKLIST": FailureReason.sender,
}

STATES = {"1": ReceiptType.accepted, "2": ReceiptType.bounced, "3": ReceiptType.delivered}


class AliyunOptions(ApprovedOptions):
    """What config.yaml may say about the account."""

    access_key_id_env: str
    access_key_secret_env: str
    security_token_env: str | None = None
    region: str = "cn-hangzhou"
    url: Address | None = None
    batch: int = Field(default=1, ge=1, le=100)
    suppress: Suppress = Field(default={"MOBILE_IN_BLACK": "opted_out", "USER_REJECT": "opted_out"})


class AliyunProvider(ApprovedProvider):
    """One template, its values and one number; or up to a hundred of these, as one request that is taken or not."""

    name = "aliyun"
    Options: ClassVar[type[ProviderOptions]] = AliyunOptions
    template = re.compile(r"SMS_[0-9A-Za-z]{1,64}")
    of_one = frozenset({"isv.BUSINESS_LIMIT_CONTROL"})
    soft = SOFT
    thanks = THANKS

    def configure(self, options: AliyunOptions, env: Mapping[str, str], home: Path) -> None:
        token = options.security_token_env
        keys = Keys(
            secret(env, options.access_key_id_env).get_secret_value(),
            secret(env, options.access_key_secret_env),
            secret(env, token) if token else None,
        )
        host = HOSTS.get(options.region, "dysmsapi.aliyuncs.com")
        self.take(options, keys, Api(options.url or f"https://{host}", connections=options.in_flight), env)

    async def probe(self) -> None:
        """Asks what was sent today to a number that is nobody's."""
        deadline = asyncio.get_running_loop().time() + PROBE
        day = days(self.now(), self.now(), self.options.time_zone, 1)[0]
        await self._details("13000000000", f"{day:%Y%m%d}", 1, "", deadline)

    def refusal(self, content: Content) -> Rejected | None:
        return super().refusal(content) or _ambiguous(content)

    # to hand over

    def together(self, content: Sms) -> Hashable:
        names = tuple(sorted(name for name, _ in content.params))
        return of_mainland(content.to), content.template, names

    async def hand_over(self, group: Sequence[Outgoing], deadline: float) -> Sequence[Answer]:
        contents = [outgoing.content for outgoing in group if isinstance(outgoing.content, Sms)]
        if len(group) == 1:
            said = await self._ask("SendSms", self._alone(contents[0], group[0].key), {}, deadline)
            return [Sent(word(said, "BizId") or None)]
        query = {"TemplateCode": contents[0].template or ""}
        said = await self._ask("SendBatchSms", query, self._many(contents), deadline)
        biz_id = word(said, "BizId")
        return [Sent(self._name(biz_id, content.to) if biz_id else None) for content in contents]

    def _alone(self, content: Sms, key: str) -> dict[str, str]:
        found = {
            "PhoneNumbers": _written(content.to),
            "SignName": self.options.sign_name,
            "TemplateCode": content.template or "",
            "OutId": key,
        }
        return {**found, "TemplateParam": _json(dict(content.params))} if content.params else found

    def _many(self, contents: Sequence[Sms]) -> dict[str, str]:
        """Without OutId: it would be the same for all, and say of each report that it is about the first."""
        found = {
            "PhoneNumberJson": _json([_written(content.to) for content in contents]),
            "SignNameJson": _json([self.options.sign_name] * len(contents)),
        }
        if not contents[0].params:
            return found
        return {**found, "TemplateParamJson": _json([dict(content.params) for content in contents])}

    def _name(self, biz_id: str, number: str) -> str:
        """One message of many in a request: they share their BizId."""
        return f"{biz_id}/{self.nameless(biz_id, number)}"

    async def _ask(
        self, action: str, query: Mapping[str, str], form: Mapping[str, str], deadline: float
    ) -> dict[str, Any]:
        written = acs3.query_of(query)
        body = urlencode(form).encode()
        kind = "application/x-www-form-urlencoded" if form else ""
        call = acs3.Call(action, VERSION, self.api.place, written, body, kind)
        headers = acs3.headers_of(call, self.keys, self.now(), nonce())
        reply = await self.api.post(f"/?{written}" if written else "/", body, deadline, headers)
        said = said_in(reply)
        error = _error(reply, code_in(said), self.api.place)
        if error is not None:
            raise error
        return said

    # to hear of it afterwards

    def receipt(self, callback: Callback, row: dict[str, Any]) -> Receipt | None:
        number, text = whole_number(word(row, "phone_number")), row.get("content")
        if number and isinstance(row.get("success"), bool) and word(row, "biz_id"):
            return self._report(callback, number, row)
        if number and isinstance(text, str):
            at = word(row, "send_time")
            name = word(row, "sequence_id") or self.nameless(number, at, text)
            return self.reply(number, self.instant(at, callback.at), name, text, row)
        return None

    def _report(self, callback: Callback, number: str, row: dict[str, Any]) -> Receipt:
        code, biz_id, key = word(row, "err_code"), word(row, "biz_id"), word(row, "out_id")
        named = self._name(biz_id, number)
        return Receipt(
            ReceiptType.delivered if row["success"] else ReceiptType.bounced,
            self.instant(word(row, "report_time"), callback.at),
            named,
            key=key or None,
            provider_id=biz_id if key else named,  # as it was called when it was sent: alone with our key, or without
            reason=None if row["success"] else self.reason(code),
            to=number,
            detail=code,
            raw=row,
        )

    async def look(self, asked: Asked, deadline: float) -> Receipt | None:
        """Among all that was sent to the number since then: what carries our key, or is of the request it named."""
        number = asked.content.to
        biz_id = (asked.provider_id or "").partition("/")[0]
        for day in days(asked.at - APART, self.now() + APART, self.options.time_zone, MOST_DAYS):
            for page in range(1, MOST_PAGES + 1):
                rows = await self._details(_written(number), f"{day:%Y%m%d}", page, biz_id, deadline)
                for row in rows:
                    if word(row, "OutId") == asked.key or (biz_id and not word(row, "OutId")):
                        return self._state(asked, row)
                if len(rows) < PAGE:
                    break
        return None

    def _state(self, asked: Asked, row: dict[str, Any]) -> Receipt:
        state, code = word(row, "SendStatus"), word(row, "ErrCode")
        kind = STATES.get(state, ReceiptType.accepted)  # whatever became of it, it is there
        at = self.instant(word(row, "SendDate"), asked.at)
        return Receipt(
            kind,
            at if kind is ReceiptType.accepted else self.instant(word(row, "ReceiveDate"), at),
            f"look-up/{asked.key}/{kind.value}",
            key=asked.key,
            provider_id=asked.provider_id,
            reason=self.reason(code) if kind is ReceiptType.bounced else None,
            to=asked.content.to,
            detail=code,
            raw={name: value for name, value in row.items() if name != "Content"},
        )

    async def _details(self, number: str, day: str, page: int, biz_id: str, deadline: float) -> list[dict[str, Any]]:
        query = {"PhoneNumber": number, "SendDate": day, "PageSize": str(PAGE), "CurrentPage": str(page)}
        said = await self._ask("QuerySendDetails", query | ({"BizId": biz_id} if biz_id else {}), {}, deadline)
        found = said.get("SmsSendDetailDTOs")
        rows = found.get("SmsSendDetailDTO") if isinstance(found, dict) else None
        return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _error(reply: Reply, code: str, place: str) -> SendError | None:
    """The error behind an answer, None when it is positive: it says OK, and no status contradicts it."""
    if reply.positive and code == "OK":
        return None
    meaning = CODES.get(code) or CODES.get(f"{code.partition('.')[0]}.*")
    if meaning is not None:
        return meaning.error(place, code, retry_after=_wait(reply))
    if not reply.positive:
        return refused(reply, place)
    if code:
        return Rejected(f"{place} refused it ({code}).", code=code)
    return Uncertain(f"{place} gave an answer that cannot be read.")


def _wait(reply: Reply) -> float | None:
    """Seconds it asks us to stay away; its own header counts in thousandths."""
    own = reply.headers.get("x-acs-retry-after", "")
    return int(own) / 1000 if own.isascii() and own.isdigit() and len(own) < 9 else retry_after(reply.headers)


def _written(number: str) -> str:
    """A number as it is written there: of the mainland without its country, of others without +."""
    return number.removeprefix("+86") if of_mainland(number) else number.removeprefix("+")


def _ambiguous(content: Content) -> Rejected | None:
    """Without its + a number of North America may read like a mobile phone of the mainland, which is a stranger's."""
    if of_mainland(content.to) or whole_number(_written(content.to)) == content.to:
        return None
    sentence = "The SMS goes to a number that this service cannot tell from one of the mainland."
    return Rejected(sentence, reason=FailureReason.policy)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

"""Mail over Amazon SES, version 2 of its API, and what SES reports over SNS.

SES recognises no repeats. Mails of one call that come from one template leave in one bulk request, with what they share
as a template; all others leave alone, built by SES, or by us where a header is more than SES lets us say. The key of
each goes along as a tag and comes back with the events of a configuration set.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints

from channels import plain
from channels.contract import (
    Answer,
    Callback,
    Content,
    FailureReason,
    Features,
    Heard,
    Outgoing,
    Provider,
    ProviderOptions,
    Sent,
    secret,
)
from channels.email import alike, sigv4
from channels.email.alike import Answers, Group, Mail
from channels.email.mime import Letterhead, Writer
from channels.email.ses_events import receipts_of
from channels.email.ses_requests import KEY, bulk, fits_a_template, single, too_large
from channels.email.sns import Sns
from channels.errors import InvalidReceipt, Misconfigured, Rejected, SendError, Uncertain
from channels.http import IN_FLIGHT, Address, Api, Reply, refused, retry_after
from channels.tables import Meaning, later, misconfigured
from channels.tables import refused as rejected

_PROBE = 10.0  # seconds
_FETCH = 10.0  # seconds for a certificate
_SOON, _TOMORROW = 5.0, 3_600.0  # seconds until there is room again: in the rate, in the quota of 24 hours
_ONE_PATH, _BULK_PATH = "/v2/email/outbound-emails", "/v2/email/outbound-bulk-emails"

ERRORS: dict[str, Meaning] = {
    "TooManyRequestsException": later("it had too many requests", _SOON),
    "ThrottlingException": later("it had too many requests", _SOON),
    "Throttling": later("it had too many requests", _SOON),
    "RequestExpired": later("our clock and its clock differ; set the clock", 60.0),
    "RequestTimeTooSkewed": later("our clock and its clock differ; set the clock", 60.0),
    "RequestInTheFuture": later("our clock and its clock differ; set the clock", 60.0),
    "BadRequestException": rejected(FailureReason.content, "it cannot be sent as it is"),
    "MessageRejected": rejected(FailureReason.policy, "its text, or an address that is not verified there"),
    "LimitExceededException": misconfigured("the account has more of something than it may"),
    "AccountSuspendedException": misconfigured("the account may not send any more"),
    "SendingPausedException": misconfigured("sending is paused, for the account or the configuration set"),
    "MailFromDomainNotVerifiedException": misconfigured("the domain of MAIL FROM is not verified there"),
    "NotFoundException": misconfigured("it does not know the sender or the configuration set"),
    "SignatureDoesNotMatch": misconfigured("it does not accept the secret key, or the region is another"),
    "InvalidSignatureException": misconfigured("it does not accept the secret key, or the region is another"),
    "IncompleteSignature": misconfigured("it cannot read how the request is signed; is url right?"),
    "IncompleteSignatureException": misconfigured("it cannot read how the request is signed; is url right?"),
    "InvalidClientTokenId": misconfigured("it does not know the access key"),
    "UnrecognizedClientException": misconfigured("it does not know the access key"),
    "MissingAuthenticationTokenException": misconfigured("it does not accept the access key"),
    "AccessDeniedException": misconfigured("the access key may not do this"),
    "AccessDenied": misconfigured("the access key may not do this"),
    "NotAuthorized": misconfigured("the access key may not do this"),
    "OptInRequired": misconfigured("the account has not been opened for SES"),
    "ExpiredTokenException": misconfigured("the session token is over; hand over a new one and start anew"),
    "ExpiredToken": misconfigured("the session token is over; hand over a new one and start anew"),
}
ENTRIES: dict[str, Meaning] = {
    "MESSAGE_REJECTED": ERRORS["MessageRejected"],
    "INVALID_PARAMETER": ERRORS["BadRequestException"],
    "FAILED": rejected(FailureReason.unknown, "it could not be sent"),
    "TRANSIENT_FAILURE": later("it could not be sent now", _SOON),
    "ACCOUNT_THROTTLED": ERRORS["ThrottlingException"],
    "ACCOUNT_DAILY_QUOTA_EXCEEDED": later("the quota of 24 hours is used up", _TOMORROW),
    "MAIL_FROM_DOMAIN_NOT_VERIFIED": ERRORS["MailFromDomainNotVerifiedException"],
    "CONFIGURATION_SET_NOT_FOUND": misconfigured("it does not know the configuration set"),
    "TEMPLATE_NOT_FOUND": misconfigured("it does not know the template"),
    "ACCOUNT_SUSPENDED": ERRORS["AccountSuspendedException"],
    "INVALID_SENDING_POOL_NAME": misconfigured("it does not know the pool of addresses to send from"),
    "ACCOUNT_SENDING_PAUSED": misconfigured("sending is paused for the account"),
    "CONFIGURATION_SET_SENDING_PAUSED": misconfigured("sending is paused for the configuration set"),
}


class SesOptions(Writer):
    """What config.yaml may say about the account and its mails."""

    region: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")]
    access_key_env: str = "AWS_ACCESS_KEY_ID"
    secret_key_env: str = "AWS_SECRET_ACCESS_KEY"
    session_token_env: str | None = None  # of temporary credentials
    url: Address = ""  # in place of the region's
    configuration_set: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = None
    batch: int = Field(default=50, ge=1, le=50)  # the most mails in one bulk request; 1: no bulk requests
    in_flight: int = Field(default=50, ge=1, le=1000)
    topics: tuple[str, ...] = ()  # ARNs of the SNS topics whose reports are believed
    stale_after: timedelta = timedelta(days=1)  # older reports are not believed


class SesProvider(Provider):
    """Hands mails to SES, many in one request where they are alike."""

    name = "ses"
    channels = frozenset({"email"})
    Options: ClassVar[type[ProviderOptions]] = SesOptions

    def configure(self, options: SesOptions, env: Mapping[str, str], home: Path) -> None:
        self._options = options
        self._letterhead = Letterhead(**options.model_dump(include=set(Writer.model_fields), exclude_defaults=True))
        self._credentials = sigv4.Credentials(
            secret(env, options.access_key_env).get_secret_value(),
            secret(env, options.secret_key_env),
            options.region,
            "ses",
            secret(env, options.session_token_env) if options.session_token_env else None,
        )
        domain = "amazonaws.com.cn" if options.region.startswith("cn-") else "amazonaws.com"
        address = options.url or f"https://email.{options.region}.{domain}"
        self._path = urlsplit(address).path
        self._api = Api(address, connections=min(options.in_flight, IN_FLIGHT))
        self._sns = Sns(options.topics, options.stale_after, lambda url: self.fetch(url))
        self.features = Features(
            batch=min(options.batch, options.in_flight),
            in_flight=options.in_flight,
            receipts=bool(options.topics),
        )

    def describe(self) -> str:
        return f"{self._api.place}, {self.features.batch} mails in one request at most"

    async def close(self) -> None:
        await self._api.close()

    async def probe(self) -> None:
        path = "/v2/email/account"
        deadline = asyncio.get_running_loop().time() + _PROBE
        reply = await self._api.get(path, deadline, self._signed("GET", path, b""))
        if not reply.positive:
            raise self._refused(reply)
        if alike.said(reply).get("SendingEnabled") is False:
            raise Misconfigured(f"{self._api.place} knows the account, but sending is paused for it.")

    def refusal(self, content: Content) -> Rejected | None:
        return (
            super().refusal(content) or plain.flaw(content) or alike.flaw(content, self._options) or too_large(content)
        )

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Answer]:
        return await alike.send(batch, self._options, self.refusal, self._sorted, self._hand_over)

    def _sorted(self, mails: Iterable[Mail]) -> list[list[Mail]]:
        """Mails in which a template could not be told from their own words go alone, and so do those that we build."""
        every = list(mails)
        fit = [one for one in every if fits_a_template(one)]
        known = {one.nth for one in fit}
        alone = [[one] for one in every if one.nth not in known]
        return alike.groups(fit, self.features.batch, by_subject=True) + alone

    async def _hand_over(self, mails: Group, deadline: float) -> Answers:
        if len(mails) == 1:
            return {mails[0].nth: await self._one(mails[0], deadline)}
        body = bulk(mails, self._options.configuration_set)
        if body is not None:
            reply = await self._post(_BULK_PATH, body, deadline)
            if reply.positive:
                return self._of_each(reply, mails)
            error = self._refused(reply)
            if not isinstance(error, Rejected):
                return alike.same(error, mails)
        # refused as a whole, so nothing of it was taken: perhaps for the sake of the template
        return await alike.together([[one] for one in mails], lambda group: self._hand_over(group, deadline))

    async def _one(self, mail: Mail, deadline: float) -> Answer:
        reply = await self._post(_ONE_PATH, single(mail, self._letterhead, self._options.configuration_set), deadline)
        if not reply.positive:
            return self._refused(reply)
        return Sent(_text(alike.said(reply), "MessageId") or None)

    def _of_each(self, reply: Reply, mails: Group) -> Answers:
        """The results come in the order of the request. The status is of the whole alone: without them nothing is
        known of any."""
        results = alike.said(reply).get("BulkEmailEntryResults")
        if not isinstance(results, list) or len(results) != len(mails):
            return alike.same(Uncertain(f"{self._api.place} did not say what became of each mail."), mails)
        return {one.nth: self._of_one(result) for one, result in zip(mails, results, strict=True)}

    def _of_one(self, result: object) -> Answer:
        row = result if isinstance(result, dict) else {}
        status, name = _text(row, "Status"), _text(row, "MessageId")
        if status == "SUCCESS" or (not status and name):
            return Sent(name or None)
        if not status:
            return Uncertain(f"{self._api.place} did not say what became of the mail.")
        meaning = ENTRIES.get(status, ENTRIES["FAILED"])
        return meaning.error(self._api.place, status if re.fullmatch(r"[A-Z_]{1,64}", status) else "no known word")

    def _refused(self, reply: Reply) -> SendError:
        body = alike.said(reply)
        code = _code(reply.headers.get("x-amzn-errortype", "") or _text(body, "__type") or _text(body, "code"))
        meaning = ERRORS.get(code) if 400 <= reply.status < 500 else None
        if meaning is None:  # a 5xx among them: SES knows no repeats, and nothing says that the mail was not taken
            error = refused(reply, self._api.place)
            assert error is not None
            return error
        said = (_text(body, "message") or _text(body, "Message")).lower()
        if "sending rate exceeded" in said:  # as a BadRequestException too
            meaning = ERRORS["ThrottlingException"]
        elif "daily message quota" in said:
            meaning = ENTRIES["ACCOUNT_DAILY_QUOTA_EXCEEDED"]
        elif said.startswith(("signature expired", "signature not yet current")):
            meaning = ERRORS["RequestTimeTooSkewed"]
        return meaning.error(self._api.place, code, retry_after=retry_after(reply.headers))

    # what goes out

    async def _post(self, path: str, body: bytes, deadline: float) -> Reply:
        return await self._api.post(path, body, deadline, self._signed("POST", path, body))

    def _signed(self, method: str, path: str, body: bytes) -> dict[str, str]:
        return sigv4.signed(
            self._credentials, self.now(), method, self._api.place, self._path + path, body, "application/json"
        )

    # what it reports

    async def receipts(self, callback: Callback) -> Heard:
        message = await self._sns.message(callback)
        if message["Type"] == "SubscriptionConfirmation":
            await self._sns.confirm(message)
        return Heard(receipts_of(message, KEY) if message["Type"] == "Notification" else ())

    async def fetch(self, url: str) -> bytes:
        """What stands at an address of Amazon's: a certificate, or its answer to a confirmation."""
        parts = urlsplit(url)
        api = Api(f"https://{parts.netloc}", connections=1)
        try:
            path = f"{parts.path}?{parts.query}" if parts.query else parts.path
            reply = await api.get(path, asyncio.get_running_loop().time() + _FETCH)
        finally:
            await api.close()
        error = refused(reply, api.place)
        if error is not None and reply.status < 500:
            raise InvalidReceipt("What the message names is not there.")
        if error is not None:
            raise error
        return reply.body or b""


# What it answers.


def _text(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    return value if isinstance(value, str) else ""


def _code(text: str) -> str:
    """`com.amazon.coral#ThrottlingException:http://...` without what stands before and behind."""
    return text.rpartition("#")[2].partition(":")[0].strip()

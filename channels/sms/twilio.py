"""SMS through Twilio's Messages: one number a request, an answer by code, and what became of it by callback.

Twilio recognises no repeats. Our key travels in the address for status callbacks, so that a message whose answer was
lost is known again when Twilio reports about it.
"""

from __future__ import annotations

import asyncio
import json
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import urlencode, urlsplit

import phonenumbers
from pydantic import AfterValidator, AliasChoices, Field, model_validator

from channels import plain
from channels.callbacks import word
from channels.contract import (
    Answer,
    Asked,
    Callback,
    Content,
    Features,
    Heard,
    Outgoing,
    Provider,
    ProviderOptions,
    Receipt,
    Sent,
    Sms,
    secret,
)
from channels.errors import FailureReason, Rejected, SendError
from channels.http import IN_FLIGHT, Address, Api, Reply, each, retry_after
from channels.http import refused as by_status
from channels.sms.twilio_reports import KEY, heard, status_of
from channels.tables import Meaning, later, misconfigured, refused

SENDER = r"^(\+[1-9][0-9]{1,14}|[0-9]{3,8}|[0-9 ]*[A-Za-z][0-9A-Za-z ]*)$"  # a number, a short code or a name
LONGEST = 1600  # characters of a text
PROBE = 10.0  # seconds
NEAR = timedelta(minutes=5)  # so far a message's time at Twilio may be from our own

#: what a request is refused with (https://www.twilio.com/docs/api/errors)
CODES: dict[str, Meaning] = {
    "20003": misconfigured("it does not accept the account, the key or the secret"),
    "20005": misconfigured("the account is not active"),
    "20008": misconfigured("test credentials cannot do this"),
    "20404": misconfigured("there is no such account, or nothing at this address"),
    "20429": later("it had too many requests", wait=5.0),
    "21211": refused(FailureReason.address_invalid, "it is no number"),
    "21212": misconfigured("the sender is no number, short code or name"),
    "21408": misconfigured("the account may not write to this region; allow it in the console"),
    "21602": refused(FailureReason.content, "there is no text"),
    "21606": misconfigured("the sender cannot write SMS, or is not ours"),
    "21608": misconfigured("a trial account writes to verified numbers alone"),
    "21609": misconfigured("the address for status callbacks is none"),
    "21610": refused(FailureReason.opted_out, "the person has written STOP"),
    "21611": later("the queue of the sender is full", wait=60.0),
    "21612": refused(FailureReason.policy, "the sender cannot reach this number"),
    "21614": refused(FailureReason.address_invalid, "it is no mobile number"),
    "21617": refused(FailureReason.content, "the text is too long"),
    "21703": misconfigured("the messaging service has no sender"),
    "30001": later("the queue is full", wait=60.0),
    "30034": misconfigured("the sender is not registered for the United States (A2P 10DLC)"),
}
_CODE = re.compile("[0-9]{1,9}")  # what is written in its place is not repeated
UNKNOWN = refused(FailureReason.unknown, "for a reason we have no word for")


def _absolute(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or "_" in parts.hostname or parts.fragment:
        raise ValueError("write a whole address without _ in its host, like https://example.com/hooks/sms")
    return text


class TwilioOptions(ProviderOptions):
    """The account, how we sign in, and who writes."""

    account_sid: str = Field(pattern="^AC[0-9a-fA-F]{32}$")
    auth_token_env: str | None = None  # also what reports are verified with
    api_key_sid: str | None = Field(default=None, pattern="^SK[0-9a-fA-F]{32}$")
    api_key_secret_env: str | None = None
    shared_key_env: str | None = None  # of reports that are signed with one, by HMAC_SHA256
    sender: str | None = Field(default=None, validation_alias=AliasChoices("from", "sender"), pattern=SENDER)
    messaging_service_sid: str | None = Field(default=None, pattern="^MG[0-9a-fA-F]{32}$")
    status_callback: Annotated[str, AfterValidator(_absolute)] | None = None
    validity: int | None = Field(default=None, ge=1, le=36_000)  # seconds in Twilio's queue
    url: Address = "https://api.twilio.com"
    ca_file: Path | None = None
    in_flight: int = Field(default=IN_FLIGHT, ge=1, le=500)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.sender is None) == (self.messaging_service_sid is None):
            raise ValueError("write either from or messaging_service_sid")
        if (self.api_key_sid is None) != (self.api_key_secret_env is None):
            raise ValueError("api_key_sid and api_key_secret_env go together")
        if self.api_key_sid is None and self.auth_token_env is None:
            raise ValueError("name what we sign in with: auth_token_env, or api_key_sid and api_key_secret_env")
        return self


class TwilioProvider(Provider):
    """One SMS a request. What becomes of it is reported by callback, and can be asked for."""

    name = "twilio"
    channels = frozenset({"sms"})
    Options: ClassVar[type[ProviderOptions]] = TwilioOptions

    def configure(self, options: TwilioOptions, env: Mapping[str, str], home: Path) -> None:
        self._options = options
        self._token = None if options.auth_token_env is None else secret(env, options.auth_token_env)
        self._shared_key = None if options.shared_key_env is None else secret(env, options.shared_key_env)
        name, password = options.account_sid, self._token
        if options.api_key_sid is not None and options.api_key_secret_env is not None:
            name, password = options.api_key_sid, secret(env, options.api_key_secret_env)
        assert password is not None
        login = b64encode(f"{name}:{password.get_secret_value()}".encode()).decode()
        self._messages = f"/2010-04-01/Accounts/{options.account_sid}/Messages.json"
        self._api = Api(
            options.url,
            connections=options.in_flight,
            headers={"authorization": f"Basic {login}", "accept": "application/json"},
            ca_file=None if options.ca_file is None else home / options.ca_file,
        )
        told = self._token is not None or self._shared_key is not None
        self.features = Features(in_flight=options.in_flight, receipts=told, look_up=True)

    def describe(self) -> str:
        sender = self._options.sender or self._options.messaging_service_sid
        return f"{self._api.place}, from {sender}, {self.features.in_flight} messages in flight at most"

    async def probe(self) -> None:
        """The list of messages, of which one is read: the cheapest that an API key may ask as well."""
        await self._ask(f"{self._messages}?PageSize=1", asyncio.get_running_loop().time() + PROBE)

    async def close(self) -> None:
        await self._api.close()

    def refusal(self, content: Content) -> Rejected | None:
        refusal = super().refusal(content) or plain.flaw(content)
        if refusal is not None:
            return refusal
        assert isinstance(content, Sms)
        if not content.text.strip():
            return Rejected("Twilio sends texts, and this message has none of its own.", reason=FailureReason.content)
        if len(content.text) > LONGEST:
            return Rejected(f"The text has more than {LONGEST:,} characters.", reason=FailureReason.content)
        if not _is_e164(content.to):
            return Rejected(
                "The number is none that begins with + and its country.", reason=FailureReason.address_invalid
            )
        return None

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Answer]:
        began = asyncio.get_running_loop().time()
        return await each(batch, lambda outgoing: self._hand_over(outgoing, began + outgoing.timeout))

    async def _hand_over(self, outgoing: Outgoing, deadline: float) -> Answer:
        flaw = self.refusal(outgoing.content)
        if flaw is not None:
            return flaw
        assert isinstance(outgoing.content, Sms)
        form = urlencode(self._form(outgoing.content, outgoing.key)).encode()
        kind = {"content-type": "application/x-www-form-urlencoded"}
        reply = await self._api.post(self._messages, form, deadline, kind)
        return _error(reply, self._api.place) or Sent(word(_told(reply), "sid") or None)

    def _form(self, content: Sms, key: str) -> dict[str, str]:
        options = self._options
        found = {
            "To": content.to,
            "From": options.sender,
            "MessagingServiceSid": options.messaging_service_sid,
            "Body": content.text,
            "StatusCallback": self._callback(key),
            "ValidityPeriod": None if options.validity is None else str(options.validity),
        }
        return {name: value for name, value in found.items() if value is not None}

    def _callback(self, key: str) -> str | None:
        url = self._options.status_callback
        return None if url is None else f"{url}{'&' if urlsplit(url).query else '?'}{urlencode({KEY: key})}"

    # what became of it

    async def look_up(self, asked: Sequence[Asked], timeout: float) -> Sequence[Receipt | None]:
        """Found by its name there, else by number, text, sender and time. Where two messages cannot be told apart,
        neither is found: one must not speak for both."""
        deadline = asyncio.get_running_loop().time() + timeout
        rows = await asyncio.gather(*(self._find(one, deadline) for one in asked))
        times = Counter(row["sid"] for row in rows if row is not None)
        return [
            self._found(row, one) if row is not None and times[row["sid"]] == 1 else None
            for one, row in zip(asked, rows, strict=True)
        ]

    def _found(self, row: dict[str, Any], asked: Asked) -> Receipt:
        return status_of(row, _instant(row.get("date_updated")) or self.now(), row, asked.key)

    async def _find(self, asked: Asked, deadline: float) -> dict[str, Any] | None:
        day = f"{(asked.at - NEAR).astimezone(UTC):%Y-%m-%d}"  # "on or after": a name of its own, no comparison
        wanted = urlencode({"To": asked.content.to, "DateSent>": day, "PageSize": "1000"})
        rows = (await self._ask(f"{self._messages}?{wanted}", deadline)).get("messages")
        found = [row for row in rows if self._is(asked, row)] if isinstance(rows, list) else []
        return found[0] if len(found) == 1 else None

    def _is(self, asked: Asked, row: Any) -> bool:
        """Is this the message asked about?"""
        if not isinstance(row, dict) or not isinstance(asked.content, Sms):
            return False
        if asked.provider_id is not None:
            return word(row, "sid") == asked.provider_id
        options, made = self._options, _instant(row.get("date_created"))
        if options.messaging_service_sid is not None:
            ours = word(row, "messaging_service_sid") == options.messaging_service_sid
        else:
            ours = word(row, "from") == options.sender
        same_words = row.get("to") == asked.content.to and row.get("body") == asked.content.text
        near = made is not None and abs(made - asked.at) <= NEAR
        return ours and same_words and near and bool(word(row, "sid")) and row.get("direction") != "inbound"

    async def _ask(self, path: str, deadline: float) -> dict[str, Any]:
        reply = await self._api.get(path, deadline)
        error = _error(reply, self._api.place)
        if error is not None:
            raise error
        return _told(reply)

    async def receipts(self, callback: Callback) -> Heard:
        return heard(callback, {"HMAC_SHA1": self._token, "HMAC_SHA256": self._shared_key})


def _is_e164(number: str) -> bool:
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return False
    written = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return written == number and phonenumbers.is_possible_number(parsed)


def _told(reply: Reply) -> dict[str, Any]:
    """What stands in an answer, nothing where it cannot be read."""
    try:
        found = json.loads(reply.body or b"")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _error(reply: Reply, place: str) -> SendError | None:
    """A code of Twilio's own says more than the status. A 5xx proves nothing, whatever stands in it."""
    code = word(_told(reply), "code")
    if not _CODE.fullmatch(code) or reply.positive or reply.status >= 500:
        return by_status(reply, place)
    if code in CODES:
        return CODES[code].error(place, code, retry_after=retry_after(reply.headers))
    return UNKNOWN.error(place, code) if reply.status == 400 else by_status(reply, place)


def _instant(told: object) -> datetime | None:
    """An instant as Twilio writes it (RFC 2822)."""
    try:
        found = parsedate_to_datetime(str(told))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)

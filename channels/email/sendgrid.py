"""Mail over SendGrid's API, version 3, and what its event webhook reports.

SendGrid recognises no repeats. Mails of one call that come from one template leave in one request: what they share is
its content, what differs goes as substitutions, and the key of each comes back with its events as a custom argument.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import cache
from itertools import count
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from channels import plain
from channels.contract import (
    Answer,
    Callback,
    Content,
    Email,
    FailureReason,
    Features,
    Heard,
    Outgoing,
    Provider,
    ProviderOptions,
    Sent,
    secret,
)
from channels.email import alike
from channels.email.alike import Answers, Group, Mail, Merged
from channels.email.mime import Writer
from channels.email.sendgrid_events import public_key, receipts_of, verify
from channels.errors import InvalidReceipt, Misconfigured, Rejected, SendError
from channels.http import IN_FLIGHT, Address, Api, Reply, its_time, refused, retry_after
from channels.tables import Meaning, later, misconfigured
from channels.tables import refused as rejected

_PLACES = {"global": "https://api.sendgrid.com/v3", "eu": "https://api.eu.sendgrid.com/v3"}
_PROBE = 10.0  # seconds
_SOME_TIME = 60.0  # seconds, after too many requests where nothing says how long
_APART = timedelta(hours=1)  # our clock and its own, at the most; what is further off is no clock
_MAIL = 30 * 1000 * 1000  # bytes of a request
_SUBSTITUTIONS = 10_000  # bytes of names and values for one mail (the OpenAPI document of 2024-07; elsewhere 50,000)
_RESERVED = frozenset({"x-sg-id", "x-sg-eid"})  # beyond those that nobody may write
_KEY = "message_id"  # the custom argument that holds our key

STATUSES: dict[int, Meaning] = {
    400: rejected(FailureReason.content, "it cannot be sent as it is"),
    401: misconfigured("it does not accept the API key, or its credits are used up"),
    403: misconfigured("the API key may not send mail, or the sender is not verified there"),
    404: misconfigured("there is nothing at this address"),
    405: rejected(FailureReason.unknown, "it takes no such request"),
    413: rejected(FailureReason.content, "it is too large"),
    429: later("it had too many requests", _SOME_TIME),
}


class SendGridOptions(Writer):
    """What config.yaml may say about the account and its mails."""

    api_key_env: str  # the environment variable that holds the API key
    region: Literal["global", "eu"] = "global"
    url: Address = ""  # in place of the region's
    batch: int = Field(default=100, ge=1, le=1000)  # the most mails in one request: what one lost answer leaves unknown
    in_flight: int = Field(default=100, ge=1, le=1000)
    click_tracking: bool = False  # our own links track
    open_tracking: bool = False
    subscription_tracking: bool = False
    webhook_key: Annotated[str, AfterValidator(public_key)] | None = None  # public: by it events are believed
    stale_after: timedelta = timedelta(days=1)  # older requests are not believed; SendGrid tries for a day


class SendGridProvider(Provider):
    """Hands mails to SendGrid, many in one request."""

    name = "sendgrid"
    channels = frozenset({"email"})
    Options: ClassVar[type[ProviderOptions]] = SendGridOptions

    def configure(self, options: SendGridOptions, env: Mapping[str, str], home: Path) -> None:
        self._options = options
        key = secret(env, options.api_key_env).get_secret_value()
        self._api = Api(
            options.url or _PLACES[options.region],
            connections=min(options.in_flight, IN_FLIGHT),
            headers={"authorization": f"Bearer {key}", "content-type": "application/json"},
        )
        self.features = Features(
            batch=min(options.batch, options.in_flight),
            in_flight=options.in_flight,
            receipts=options.webhook_key is not None,
        )

    def describe(self) -> str:
        return f"{self._api.place}, {self.features.batch} mails in one request at most"

    async def close(self) -> None:
        await self._api.close()

    async def probe(self) -> None:
        """What the key may do, which every key may ask."""
        reply = await self._api.get("/scopes", asyncio.get_running_loop().time() + _PROBE)
        if not reply.positive:
            raise self._refused(reply)
        scopes = alike.said(reply).get("scopes")
        if isinstance(scopes, list) and "mail.send" not in scopes:
            raise Misconfigured(f"{self._api.place} knows the API key, but it may not send mail (scope mail.send).")

    def refusal(self, content: Content) -> Rejected | None:
        return super().refusal(content) or plain.flaw(content) or alike.flaw(content, self._options) or _flaw(content)

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Answer]:
        def sort(mails: Iterable[Mail]) -> list[list[Mail]]:
            return alike.groups(mails, self.features.batch, by_subject=False)

        return await alike.send(batch, self._options, self.refusal, sort, self._hand_over)

    async def _hand_over(self, mails: Group, deadline: float) -> Answers:
        merged = alike.merged(mails, _tags(mails))
        own = [_size(values) for values in merged.values]
        if max(own) > _SUBSTITUTIONS:  # those with too much of their own go alone
            alone = [[one] for one, size in zip(mails, own, strict=True) if size > _SUBSTITUTIONS]
            rest = [one for one, size in zip(mails, own, strict=True) if size <= _SUBSTITUTIONS]
            return await self._apart([*([rest] if rest else []), *alone], deadline)
        body = self._request(mails, merged)
        if len(body) > _MAIL and len(mails) > 1:
            return await self._apart(_halves(mails), deadline)
        reply = await self._api.post("/mail/send", body, deadline)
        if reply.positive:
            return alike.same(Sent(reply.headers.get("x-message-id") or None), mails)
        if len(mails) > 1 and reply.status in (400, 413):
            return await self._without_those_at_fault(mails, reply, deadline)
        bad = 0 in _bad_addresses(reply)
        return alike.same(_not_an_address(self._api.place) if bad else self._refused(reply), mails)

    async def _without_those_at_fault(self, mails: Group, reply: Reply, deadline: float) -> Answers:
        """A request is refused as a whole, so nothing of it was taken: the others try again without whom it names."""
        bad = _bad_addresses(reply)
        named = [one for nth, one in enumerate(mails) if nth in bad]
        others = [one for nth, one in enumerate(mails) if nth not in bad]
        if not named:
            return await self._apart(_halves(mails), deadline)
        found = await self._apart([others] if others else [], deadline)
        return {**found, **alike.same(_not_an_address(self._api.place), named)}

    async def _apart(self, groups: Sequence[Group], deadline: float) -> Answers:
        return await alike.together(groups, lambda group: self._hand_over(group, deadline))

    def _refused(self, reply: Reply) -> SendError:
        meaning = STATUSES.get(reply.status)
        if meaning is None:  # a 5xx among them: SendGrid knows no repeats, and nothing says that none was taken
            error = refused(reply, self._api.place)
            assert error is not None
            return error
        wait = None
        if reply.status == 429:
            wait = retry_after(reply.headers)
            wait = self._until_reset(reply) if wait is None else wait
        return meaning.error(self._api.place, str(reply.status), retry_after=wait)

    def _until_reset(self, reply: Reply) -> float | None:
        """SendGrid's own word for when there is room again: an instant in seconds, by its clock."""
        text = reply.headers.get("x-ratelimit-reset", "")
        if not (text.isascii() and text.isdecimal() and len(text) < 12):
            return None
        ours, its = self.now(), its_time(reply.headers)
        now = its if its is not None and abs(its - ours) < _APART else ours
        return min(max(int(text) - now.timestamp(), 0.0), 3_600.0)

    def _request(self, mails: Group, merged: Merged) -> bytes:
        first, options = mails[0].written, self._options
        body: dict[str, Any] = {
            "personalizations": [_personalization(one, own) for one, own in zip(mails, merged.values, strict=True)],
            "from": _person(first.sender, first.sender_name),
            "subject": mails[0].content.subject,
            "content": [
                {"type": kind, "value": value}
                for kind, value in (("text/plain", merged.text), ("text/html", merged.html))
                if value.strip()
            ],
            "tracking_settings": {
                "click_tracking": {"enable": options.click_tracking, "enable_text": options.click_tracking},
                "open_tracking": {"enable": options.open_tracking},
                "subscription_tracking": {"enable": options.subscription_tracking},
            },
        }
        if first.reply_to:
            body["reply_to"] = _person(first.reply_to, "")
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()

    # what it reports

    async def receipts(self, callback: Callback) -> Heard:
        if self._options.webhook_key is None:
            raise InvalidReceipt("No webhook_key is configured; without it events of SendGrid cannot be trusted.")
        verify(callback, self._options.webhook_key, self._options.stale_after)
        return Heard(receipts_of(callback, _KEY))


# What goes out.


def _flaw(content: Content) -> Rejected | None:
    """What SendGrid would refuse, or could not be told."""
    assert isinstance(content, Email)
    names = [name.lower() for name, _ in content.headers]
    wrong = ""
    if not content.subject.strip():
        wrong = "has no subject, which SendGrid asks for"
    elif len(set(names)) < len(names):
        wrong = "has a header twice, which SendGrid cannot be told"
    elif _RESERVED.intersection(names):
        wrong = "has a header that SendGrid keeps for itself"
    elif len(content.html.encode()) + len(content.text.encode()) > _MAIL:
        wrong = "is larger than SendGrid takes (30 MB)"
    return Rejected(f"The mail {wrong}.", reason=FailureReason.content) if wrong else None


def _halves(mails: Group) -> list[Group]:
    half = len(mails) // 2
    return [mails[:half], mails[half:]]


def _tags(mails: Group) -> Callable[[int], str]:
    """Names for substitutions, of a word that stands nowhere in these mails."""

    @cache
    def word() -> str:
        contents = [one.content for one in mails]
        texts = [text.lower() for one in contents for text in (one.html, one.text, one.subject, one.reply_to)]
        texts += [value.lower() for one in mails for _, value in one.written.headers]
        return next(word for word in (f"sub{nth}x" for nth in count()) if not any(word in text for text in texts))

    return lambda nth: f"-{word()}{nth}-"


def _size(values: Mapping[str, str]) -> int:
    return sum(len(name) + len(value.encode()) for name, value in values.items())


def _personalization(mail: Mail, own: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "to": [_person(mail.written.to, mail.written.to_name)],
        "subject": mail.content.subject,
        "headers": dict(mail.written.headers),
        "custom_args": {_KEY: mail.outgoing.key},
    }
    return {**found, "substitutions": own} if own else found


def _person(address: str, name: str) -> dict[str, str]:
    return {"email": address, "name": name} if name else {"email": address}


# What it answers.


def _bad_addresses(reply: Reply) -> set[int]:
    """Which of the mails of our request have an address that SendGrid does not take for one: it names the field."""
    errors = alike.said(reply).get("errors")
    found = set()
    for error in errors if reply.status == 400 and isinstance(errors, list) else []:
        field = error.get("field") if isinstance(error, dict) else None
        parts = field.split(".") if isinstance(field, str) else []
        if len(parts) == 5 and (parts[0], parts[2], parts[4]) == ("personalizations", "to", "email"):
            found |= {nth for nth in range(1000) if parts[1] == str(nth)}
    return found


def _not_an_address(place: str) -> Rejected:
    return Rejected(
        f"{place} refused it: what stands in the place of an address is none (400).",
        reason=FailureReason.address_invalid,
        code="400",
    )

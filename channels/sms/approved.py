"""What the SMS services of China have in common: they send approved templates, and many numbers in one request.

What is refused before the network, which messages share a request, and what a refusal of such a request means: nothing
of it was taken, so where it is for the sake of one of them, each is handed over anew, alone.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
from abc import abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, SecretStr

from channels import plain
from channels.callbacks import asks_to_stop, objects_of, require_key
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
    ReceiptType,
    Sms,
    secret,
)
from channels.errors import FailureReason, InvalidReceipt, Rejected, SendError, Uncertain
from channels.http import IN_FLIGHT, Api, Reply

MOST_REPORTS = 10_000  # in one request: Tencent promises 100, Aliyun names no number

_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
_MOBILE = re.compile(r"1[3-9][0-9]{9}")  # of the mainland, without its 86
_LINK = re.compile(r"[a-z][a-z0-9+.-]*://|\bwww\.", re.IGNORECASE)
_UNSENDABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_CODE = re.compile(r"[\w.:-]{1,64}", re.ASCII)


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("write the name of a time zone, like Asia/Shanghai") from None
    return name


def _sign(name: str) -> str:
    if set("【】") & set(name) or not name.strip():
        raise ValueError("write the sign name as it was approved, without the 【】 that stand around it")
    return name


SignName = Annotated[str, AfterValidator(_sign)]
#: codes of reports after which nothing is sent to the number any more, and why
Suppress = dict[str, Literal["address_invalid", "address_unknown", "opted_out"]]
_ENDS = {reason.value: reason for reason in FailureReason if reason.ends_address}


@dataclass(frozen=True)
class Keys:
    """Who signs. Keys that last for hours only come with a token."""

    id: str
    secret: SecretStr
    token: SecretStr | None = None


class ApprovedOptions(ProviderOptions):
    """What config.yaml may say about any of them."""

    sign_name: SignName
    in_flight: int = Field(default=IN_FLIGHT, ge=1)
    longest_value: int = Field(default=35, ge=1)  # characters; an account may have another agreement
    longest_text: int = Field(default=500, ge=1)  # characters, with sign name and values
    links_in_values: bool = False
    batch: int = Field(default=1, ge=1)
    receipts_key_env: str | None = None
    time_zone: Annotated[str, AfterValidator(_zone)] = "Asia/Shanghai"  # of instants in reports
    suppress: Suppress = Field(default_factory=dict)


class ApprovedProvider(Provider):
    """An approved template and its values, to one number or to many at once."""

    channels = frozenset({"sms"})
    of_one: ClassVar[frozenset[str]] = frozenset()  # codes that refuse a request for now, for the sake of one number
    template: ClassVar[re.Pattern[str]]  # what the name of a template looks like
    soft: ClassVar[Mapping[str, FailureReason]] = {}  # what codes of reports mean that end no address
    thanks: ClassVar[bytes]  # what the service wants to hear when it has reported something

    options: ApprovedOptions
    keys: Keys
    api: Api

    def take(self, options: ApprovedOptions, keys: Keys, api: Api, env: Mapping[str, str]) -> None:
        """What `configure` made of the options."""
        self.options, self.keys, self.api = options, keys, api
        self._key = secret(env, options.receipts_key_env) if options.receipts_key_env else None
        self.features = Features(
            batch=options.batch,
            in_flight=max(options.in_flight, options.batch),
            receipts=self._key is not None,
            look_up=True,
        )

    @abstractmethod
    def together(self, content: Sms) -> Hashable:
        """Messages of which this is equal may share a request."""

    @abstractmethod
    async def hand_over(self, group: Sequence[Outgoing], deadline: float) -> Sequence[Answer]:
        """One request, to different numbers. What is raised says that nothing of it was taken, or is uncertain."""

    @abstractmethod
    def receipt(self, callback: Callback, row: dict[str, Any]) -> Receipt | None:
        """What one row of a request reports; None when it is in words we do not know."""

    @abstractmethod
    async def look(self, asked: Asked, deadline: float) -> Receipt | None:
        """What became of one message."""

    def describe(self) -> str:
        return f"SMS of 【{self.options.sign_name}】 by {self.api.place}, {self.features.batch} a request at most"

    async def close(self) -> None:
        await self.api.close()

    # what goes out

    def refusal(self, content: Content) -> Rejected | None:
        found = super().refusal(content) or plain.flaw(content)
        if found is not None or not isinstance(content, Sms):
            return found
        return _flaw_of_number(content.to) or self._flaw_of_text(content)

    def _flaw_of_text(self, content: Sms) -> Rejected | None:
        options, values = self.options, [value for _, value in content.params]
        if not content.template:
            return _refused("has no approved template, and this service sends nothing else")
        if not self.template.fullmatch(content.template):
            return _refused("names a template that cannot be one of this service", FailureReason.sender)
        if len(dict(content.params)) < len(values) or not all(name and value.strip() for name, value in content.params):
            return _refused("leaves a place of its template empty, or fills one twice")
        if any(map(_UNSENDABLE.search, values)):
            return _refused("has a sign in a value that cannot be sent")
        if any(len(value) > options.longest_value for value in values):
            return _refused(f"has a value of more than {options.longest_value} characters (longest_value)")
        if not options.links_in_values and any(map(_LINK.search, values)):
            return _refused("has a link in a value; links belong into the approved wording")
        if len(_with_sign(content.text, options.sign_name)) > options.longest_text:
            return _refused(f"has more than {options.longest_text} characters in all (longest_text)")
        return None

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Answer]:
        began = asyncio.get_running_loop().time()
        flaws = [self.refusal(outgoing.content) for outgoing in batch]
        answers: dict[int, Answer] = {place: flaw for place, flaw in enumerate(flaws) if flaw is not None}
        groups = self._groups({place: one.content for place, one in enumerate(batch) if place not in answers})
        found = await asyncio.gather(*(self._group([batch[place] for place in group], began) for group in groups))
        for group, said in zip(groups, found, strict=True):
            answers.update(zip(group, said, strict=True))
        return [answers[place] for place in range(len(batch))]

    def _groups(self, going: Mapping[int, Content]) -> list[list[int]]:
        """Which of these share a request, by their places; a number stands in a request once."""
        kinds: dict[Hashable, list[dict[str, int]]] = {}
        for place, content in going.items():
            assert isinstance(content, Sms)
            groups = kinds.setdefault(self.together(content), [])
            room = next((one for one in groups if content.to not in one and len(one) < self.features.batch), None)
            if room is None:
                room = {}
                groups.append(room)
            room[content.to] = place
        return [list(group.values()) for groups in kinds.values() for group in groups]

    async def _group(self, group: Sequence[Outgoing], began: float) -> Sequence[Answer]:
        deadline = began + min(outgoing.timeout for outgoing in group)
        try:
            return await self.hand_over(group, deadline)
        except SendError as error:
            if len(group) == 1 or not (isinstance(error, Rejected) or error.code in self.of_one):
                return [error] * len(group)
        except Exception as error:  # a mistake of ours proves nothing about the messages
            return [Uncertain(f"The message met an error of ours ({type(error).__name__}).")] * len(group)
        alone = await asyncio.gather(*(self._group([outgoing], began) for outgoing in group))
        return [answer for answers in alone for answer in answers]

    # what is heard afterwards

    async def receipts(self, callback: Callback) -> Heard:
        require_key(callback, self._key)
        rows = objects_of(callback)
        if len(rows) > MOST_REPORTS:
            raise InvalidReceipt("The request holds more reports than any.")
        told = [self.receipt(callback, row) or _unknown(callback, place, row) for place, row in enumerate(rows)]
        return Heard(tuple(told), body=self.thanks, content_type="application/json")

    async def look_up(self, asked: Sequence[Asked], timeout: float) -> Sequence[Receipt | None]:
        deadline = asyncio.get_running_loop().time() + timeout
        found = await asyncio.gather(*(self.look(one, deadline) for one in asked), return_exceptions=True)
        for one in found:
            if isinstance(one, BaseException):
                raise one
        return [one for one in found if not isinstance(one, BaseException)]

    def reply(self, number: str, at: datetime, name: str, text: str, row: dict[str, Any]) -> Receipt:
        """What a person answered."""
        stop = asks_to_stop(text)
        return Receipt(ReceiptType.replied, at, f"reply/{name}", to=number, opt_out=stop, detail=text, raw=row)

    def reason(self, code: str) -> FailureReason:
        """Why a message did not arrive. Few codes say that none ever will: the carriers' lists are long and change."""
        known = self.options.suppress.get(code)
        return _ENDS[known] if known else self.soft.get(code, FailureReason.unknown)

    def nameless(self, *parts: str) -> str:
        """A name made of a number and what goes with it, from which nobody can read the number."""
        told = "\n".join(parts).encode("utf-8", "replace")
        return hmac.digest(self.keys.secret.get_secret_value().encode(), told, "sha256").hex()[:24]

    def instant(self, text: str, otherwise: datetime) -> datetime:
        """An instant as reports write it, by the clock of the service's country."""
        for form in ("%Y-%m-%d %H:%M:%S", "%Y%m%d%H%M%S"):
            try:
                found = datetime.strptime(text, form).replace(tzinfo=ZoneInfo(self.options.time_zone))
                return found.astimezone(UTC)
            except (ValueError, OverflowError):
                continue
        return otherwise


def _unknown(callback: Callback, place: int, row: Mapping[str, Any]) -> Receipt:
    """A report in words we do not know."""
    name = f"unknown/{hashlib.sha256(callback.body).hexdigest()[:32]}/{place}"
    return Receipt(ReceiptType.unknown, callback.at, name, raw=row)


def of_mainland(number: str) -> bool:
    return number.startswith("+86")


def whole_number(said: str) -> str | None:
    """+8613800138000 for 13800138000, 8613800138000 and +8613800138000; None when it is no number."""
    number = f"+86{said}" if _MOBILE.fullmatch(said) else f"+{said.removeprefix('+')}"
    return number if _NUMBER.fullmatch(number) else None


def said_in(reply: Reply) -> dict[str, Any]:
    """The JSON object that was answered; empty when it was something else."""
    try:
        found = json.loads(reply.body or b"")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def code_in(said: Mapping[str, Any]) -> str:
    """A code that may be repeated to people; empty when there is none."""
    code = said.get("Code")
    return code if isinstance(code, str) and _CODE.fullmatch(code) else ""


def days(first: datetime, last: datetime, zone: str, most: int) -> list[datetime]:
    """The days from one instant to another, as they are counted in a zone."""
    begin, end = first.astimezone(ZoneInfo(zone)), last.astimezone(ZoneInfo(zone))
    count = min(max((end.date() - begin.date()).days, 0) + 1, most)
    return [begin + timedelta(days=day) for day in range(count)]


def _flaw_of_number(number: str) -> Rejected | None:
    if not _NUMBER.fullmatch(number):
        return _refused("has an address that is no telephone number in full (E.164)", FailureReason.address_invalid)
    if of_mainland(number) and not _MOBILE.fullmatch(number, 3):
        return _refused("goes to a number that is no mobile phone of the mainland", FailureReason.address_invalid)
    return None


def _with_sign(text: str, sign_name: str) -> str:
    return text if not text or text.startswith("【") else f"【{sign_name}】{text}"


def _refused(what: str, reason: FailureReason = FailureReason.content) -> Rejected:
    return Rejected(f"The SMS {what}.", reason=reason)

"""Push by JPush (极光推送), which reaches phones in China through their makers' own services."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from channels import plain
from channels.callbacks import header, objects_of, query, same
from channels.contract import (
    Answer,
    Callback,
    Content,
    Features,
    Heard,
    Outgoing,
    Provider,
    ProviderOptions,
    Push,
    Receipt,
    ReceiptType,
    Sent,
    secret,
)
from channels.errors import FailureReason, InvalidReceipt, Misconfigured, Rejected, SendError, Unavailable, Uncertain
from channels.http import IN_FLIGHT, Address, Api, Reply, each, refused, retry_after
from channels.push.words import object_in, packed, word
from channels.tables import Meaning, later, misconfigured, unsure
from channels.tables import refused as no

MOST = 4000  # bytes of a notification on Android; what iOS takes JPush says itself
PROBE = 10.0  # seconds
NOBODY = "outreach"  # no registration id
_TEN_DAYS = 864_000  # seconds
_WINDOW = timedelta(hours=23)  # a cid holds for a day, and may have lain in the pool before
_POOL_LASTS = timedelta(minutes=30)
_CIDS = 100  # asked for at a time; an account that does not pay is given ten
_ROWS = 10_000  # more than any report has
_KEYS = uuid.UUID("a0c4e4de-3a0f-5b0e-8a2c-6f5b1a1b9d11")  # under which our keys are cids

_CONTENT = no(FailureReason.content, "it does not take the push as it is")
_BAD_DEVICE = no(FailureReason.address_invalid, "it is no registration id of this app")
_MINUTE = 60.0
CODES: Mapping[str, Meaning] = {
    "1000": later("it met an error of its own"),
    "1001": no(FailureReason.unknown, "it wants to be asked by POST"),
    "1002": _CONTENT,
    "1003": _CONTENT,  # or _BAD_DEVICE, see `_meaning`
    "1004": misconfigured("it does not accept the app key with this master secret"),
    "1005": _CONTENT,
    "1008": misconfigured("it does not know the app key"),
    "1009": _CONTENT,
    "1011": no(FailureReason.address_unknown, "the app is not on the device any more"),
    "1012": later("a push at a fixed rate is under way", _MINUTE),
    "1020": misconfigured("it wants https"),
    "1030": unsure("it took too long inside"),  # it asks for a repeat with the same cid, so it may have been taken
    "2002": later("there were too many requests", _MINUTE),
    "2003": misconfigured("this app may not use the API"),
    "2004": misconfigured("this machine's address is not among those that may use the API"),
    "2005": later("it holds so many recipients for abuse", 10 * _MINUTE),
    "2006": misconfigured("this takes a paying account"),
    "2007": misconfigured("this app may not push"),
}
_OF_NOBODY = {"1003", "1011"}


class JPushOptions(ProviderOptions):
    """What config.yaml may say about an app at JPush."""

    app_key: str = Field(pattern=r"^[A-Za-z0-9]{8,64}$")
    master_secret_env: str
    production: bool = True  # of iOS; false for apps that Xcode put on a device
    ttl: int | None = Field(default=None, ge=0, le=_TEN_DAYS)  # seconds for which it tries; JPush's own is a day
    sound: str | None = None
    hmos_category: str | None = None  # sends to HarmonyOS too, as messages of this category
    own_cids: bool = False  # saves a question for each ten pushes, if JPush takes cids that it did not give out
    receipts: bool = False  # for paying accounts
    url: Address = "https://api.jpush.cn"
    in_flight: int = Field(default=IN_FLIGHT, ge=1, le=1000)


class JPushProvider(Provider):
    """One app. A message has the same cid at every attempt, by which JPush recognises it for a day."""

    name = "jpush"
    channels = frozenset({"push"})
    Options: ClassVar[type[ProviderOptions]] = JPushOptions

    def configure(self, options: JPushOptions, env: Mapping[str, str], home: Path) -> None:
        self._options = options
        pair = f"{options.app_key}:{secret(env, options.master_secret_env).get_secret_value()}"
        self._authorization = f"Basic {base64.b64encode(pair.encode()).decode()}"
        headers = {"content-type": "application/json", "authorization": self._authorization}
        self._api = Api(options.url, connections=options.in_flight, headers=headers)
        self._pool = _Pool(self._api, self.now)
        self.features = Features(
            dedupe_by="key", dedupe_window=_WINDOW, in_flight=options.in_flight, receipts=options.receipts
        )

    def describe(self) -> str:
        return f"{self._api.place}, the app {self._options.app_key}"

    async def open(self) -> None:
        self._pool = _Pool(self._api, self.now)

    async def close(self) -> None:
        await self._api.close()

    async def probe(self) -> None:
        """Have a push to nobody examined, by the call that sends nothing."""
        body = packed(self._push(Push(to=NOBODY, text="outreach"), ""))
        reply = await self._api.post("/v3/push/validate", body, asyncio.get_running_loop().time() + PROBE)
        error = _error(reply, self._api.place)
        if error is not None and error.code not in _OF_NOBODY:
            raise error

    def refusal(self, content: Content) -> Rejected | None:
        refused = super().refusal(content) or plain.flaw(content)
        if refused is not None or not isinstance(content, Push):
            return refused
        return _too_long(self._push(content, ""))

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Answer]:
        began = asyncio.get_running_loop().time()
        return await each(batch, lambda outgoing: self._hand_over(outgoing, began + outgoing.timeout))

    async def _hand_over(self, outgoing: Outgoing, deadline: float) -> Answer:
        content = outgoing.content
        flaw = self.refusal(content)
        if flaw is not None or not isinstance(content, Push):
            return flaw or Rejected("This is no push.", reason=FailureReason.content)
        push = self._push(content, outgoing.key)
        if (long := _too_long(push)) is not None:
            return long
        body = packed({"cid": await self._cid(outgoing.key, deadline), **push})
        reply = await self._api.post("/v3/push", body, deadline)
        return _error(reply, self._api.place) or Sent(word(object_in(reply.body).get("msg_id")) or None)

    async def _cid(self, key: str, deadline: float) -> str:
        """The message's own, the same at every attempt: it is kept before the first one leaves."""
        if self._options.own_cids:
            return f"{self._options.app_key}-{uuid.uuid5(_KEYS, key)}"
        name = f"jpush {self._options.app_key} cid {key}"
        kept = await self.keep.get(name)
        if kept is None:
            kept = await self._pool.take(deadline)
            await self.keep.put(name, kept, self.now() + _WINDOW)
        return kept

    def _push(self, content: Push, key: str) -> dict[str, Any]:
        """All but the cid. By `message_id` the app recognises a push that comes twice."""
        options = self._options
        extras = _given(message_id=key, link=content.link, image=content.image)
        words = _given(alert=content.text or content.title, title=content.title if content.text else "")
        android = {**words, **_given(extras=extras, sound=options.sound, big_pic_path=content.image)}
        ios = _given(alert=_given(title=content.title, body=content.text), extras=extras, sound=options.sound)
        hmos = {**words, **_given(extras=extras, category=options.hmos_category)}
        notification: dict[str, Any] = {
            "android": android | ({"style": 3} if content.image else {}),  # with a great picture
            "ios": ios | ({"mutable-content": True} if content.image else {}),
        } | ({"hmos": hmos} if options.hmos_category else {})
        told = {"apns_production": options.production}
        return {
            "platform": list(notification),
            "audience": {"registration_id": [content.to]},
            "notification": notification,
            "options": told if options.ttl is None else {**told, "time_to_live": options.ttl},
        }

    async def receipts(self, callback: Callback) -> Heard:
        """JPush tells the names of its fields to paying customers alone: what it reports is kept as it came."""
        if not self._options.receipts:
            raise InvalidReceipt("Reports of JPush are not switched on: see receipts.")
        if not same(header(callback, "authorization"), self._authorization):
            raise InvalidReceipt("The request does not know the app key and its master secret.")
        echo = query(callback).get("echostr", "")
        if callback.method == "GET" and re.fullmatch("[A-Za-z0-9]{1,64}", echo):  # it tries our address
            return Heard(body=echo.encode())
        rows = objects_of(callback)
        if len(rows) > _ROWS:
            raise InvalidReceipt("The request holds more than any report.")
        return Heard(tuple(_receipt(row, callback.at) for row in rows))


class _Pool:
    """cids that JPush gave out and no message has yet."""

    def __init__(self, api: Api, now: Callable[[], datetime]) -> None:
        self._api = api
        self._now = now
        self._cids: deque[str] = deque()
        self._until = now()
        self._asking = asyncio.Lock()

    async def take(self, deadline: float) -> str:
        """The next one. Unavailable or Misconfigured when there is none until `deadline`: no push has left."""
        try:
            async with asyncio.timeout_at(deadline), self._asking:
                if not self._cids or self._until <= self._now():
                    self._cids, self._until = deque(await self._more(deadline)), self._now() + _POOL_LASTS
                return self._cids.popleft()
        except (Uncertain, TimeoutError):
            raise Unavailable(f"{self._api.place} gave no cid.") from None
        except Rejected as error:
            raise Misconfigured(f"{self._api.place} gives no cids ({error.code}).", code=error.code) from None

    async def _more(self, deadline: float) -> list[str]:
        reply = await self._api.get(f"/v3/push/cid?count={_CIDS}&type=push", deadline)
        error = _error(reply, self._api.place)
        if error is not None:
            raise error
        found = object_in(reply.body).get("cidlist")
        cids = [cid for cid in found if isinstance(cid, str) and cid] if isinstance(found, list) else []
        if not cids:
            raise Unavailable(f"{self._api.place} gave no cid.")
        return cids


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}


def _too_long(push: Mapping[str, Any]) -> Rejected | None:
    size = len(packed(push["notification"]["android"]))
    if size <= MOST:
        return None
    return Rejected(f"The push has {size} bytes; JPush takes {MOST}.", reason=FailureReason.content)


def _error(reply: Reply, place: str) -> SendError | None:
    """What an answer says against it; a 200 may say it too."""
    said = object_in(reply.body).get("error")
    code = word(said.get("code")) if isinstance(said, dict) else ""
    if code in CODES:
        meaning = _meaning(code, word(said.get("message")) if isinstance(said, dict) else "")
        return meaning.error(place, code, retry_after=_wait(reply, code))
    if code and reply.positive:
        return Rejected(f"{place} refused it in words that we do not know.", code="200")
    return refused(reply, place)


def _meaning(code: str, message: str) -> Meaning:
    """A value that JPush does not take (1003) is the device's only where it says so: a push has just one."""
    return _BAD_DEVICE if code == "1003" and "registration_id" in message else CODES[code]


def _wait(reply: Reply, code: str) -> float | None:
    """Seconds to stay away. JPush has a header of its own, on every answer, which counts when there were too many."""
    told = retry_after(reply.headers)
    rest = reply.headers.get("x-rate-limit-reset", "")
    return float(rest) if told is None and code == "2002" and re.fullmatch("[0-9]{1,5}", rest) else told


def _receipt(row: Mapping[str, Any], at: datetime) -> Receipt:
    message = word(row.get("msg_id")) or word(row.get("msgid"))
    try:
        digest = hashlib.sha256(packed(row)).hexdigest()[:32]
    except RecursionError:
        raise InvalidReceipt("The request holds something else than reports.") from None
    return Receipt(ReceiptType.unknown, at, f"{message} {digest}", provider_id=message or None, raw=row)

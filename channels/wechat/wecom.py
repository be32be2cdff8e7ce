"""Messages of WeCom: to colleagues by an app or into the room of a robot, to customers by a colleague who confirms."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal, Self
from urllib.parse import quote

from pydantic import Field, model_validator

from channels import plain
from channels.callbacks import query, word
from channels.contract import (
    Answer,
    Asked,
    Callback,
    Content,
    Features,
    Heard,
    Notice,
    Outgoing,
    Provider,
    ProviderOptions,
    Receipt,
    ReceiptType,
    Sent,
    secret,
)
from channels.errors import FailureReason, InvalidReceipt, Misconfigured, Rejected, Unavailable
from channels.http import IN_FLIGHT, Address, Api, each
from channels.wechat import crypt, token, wecom_words
from channels.wechat.codes import BEING_HANDED_OUT, WECOM
from channels.wechat.events import instant, name_of
from channels.wechat.weixin import PROBE

Mode = Literal["app", "broadcast", "robot"]

_CHANNEL: Mapping[Mode, str] = {"app": "notice", "robot": "notice", "broadcast": "wechat"}
_ROOM: Mapping[Mode, int] = {"app": 2048, "robot": 4096, "broadcast": 4000}  # bytes of a text
_NEEDS: Mapping[Mode, tuple[str, ...]] = {
    "app": ("corp_id", "secret_env", "agent_id"),
    "broadcast": ("corp_id", "secret_env", "sender"),
    "robot": ("key_env",),
}
_TO_BE_CONFIRMED = "A colleague has to confirm it in WeCom before it leaves."
_MARGIN = timedelta(minutes=1)  # of the time for which repeats are recognised, for clocks that differ

#: what became of a task for one customer
RESULTS: Mapping[str, tuple[ReceiptType, FailureReason | None]] = {
    "1": (ReceiptType.delivered, None),
    "2": (ReceiptType.bounced, FailureReason.address_unknown),  # no contact any more
    "3": (ReceiptType.bounced, FailureReason.policy),  # has had another broadcast
}
#: what happened between a customer and a colleague; that a colleague let a customer go is no wish of the customer
CHANGES = {
    "add_external_contact": ReceiptType.resubscribed,
    "del_follow_user": ReceiptType.unsubscribed,
}


class WeComOptions(ProviderOptions):
    """One app of a company, or one robot of a group."""

    mode: Mode
    corp_id: str | None = None
    secret_env: str | None = None
    agent_id: int | None = None  # of the app
    party: str | None = None  # the department to which the app sends what names no colleague
    sender: str | None = None  # the member who confirms broadcasts
    key_env: str | None = None  # of the robot: what stands behind key= in its address
    token_env: str | None = None  # of reports
    aes_key_env: str | None = None  # of reports
    duplicate_check_interval: int = Field(default=0, ge=0, le=14_400)  # seconds; 0: repeats are not recognised
    link_title: str = Field(default="详情", min_length=1, max_length=40)
    in_flight: int = Field(default=IN_FLIGHT, ge=1)
    url: Address = "https://qyapi.weixin.qq.com"
    ca_file: Path | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        missing = [name for name in _NEEDS[self.mode] if getattr(self, name) in (None, "")]
        if missing:
            raise ValueError(f"mode {self.mode} needs {', '.join(missing)}")
        if (self.token_env is None) != (self.aes_key_env is None):
            raise ValueError("token_env and aes_key_env belong together: WeCom seals all of its reports")
        if self.token_env and not self.corp_id:
            raise ValueError("reports need corp_id, for which they are sealed")
        if self.duplicate_check_interval and self.mode != "app":
            raise ValueError("duplicate_check_interval is for mode app alone")
        if 0 < self.duplicate_check_interval < 120:
            raise ValueError("duplicate_check_interval: write 120 seconds or more, or 0")
        return self


class WeComProvider(Provider):
    """Notices go to a colleague by an app, or into a group by its robot; messages to customers become a task of the
    colleague `sender`, who has to confirm each in WeCom before it leaves."""

    name = "wecom"
    channels = frozenset({"wechat", "notice"})
    Options: ClassVar[type[ProviderOptions]] = WeComOptions

    def configure(self, options: WeComOptions, env: Mapping[str, str], home: Path) -> None:
        if self.channel != _CHANNEL[options.mode]:
            raise Misconfigured(f"WeCom's mode {options.mode} serves the channel {_CHANNEL[options.mode]}.")
        self.options = options
        self._api = Api(
            options.url,
            connections=options.in_flight,
            headers={"content-type": "application/json; charset=utf-8"},
            ca_file=home / options.ca_file if options.ca_file else None,
        )
        self._robot = quote(secret(env, options.key_env).get_secret_value(), safe="") if options.key_env else ""
        if options.mode != "robot":
            access = token.corporate(self, self._api, str(options.corp_id), secret(env, str(options.secret_env)), WECOM)
            self._account = token.Account(self._api, WECOM, access)
        self._seal = crypt.seal_of(options.corp_id or "", env, options.token_env, options.aes_key_env)
        self.features = Features(
            in_flight=options.in_flight,
            receipts=options.token_env is not None,
            look_up=options.mode == "broadcast",
        )
        if options.duplicate_check_interval:
            window = timedelta(seconds=options.duplicate_check_interval) - _MARGIN
            self.features = replace(self.features, dedupe_by="content", dedupe_window=window)

    def describe(self) -> str:
        whose = f", company {self.options.corp_id}" if self.options.corp_id else ""
        return f"{self._api.place}, {self.options.mode}{whose}"

    async def close(self) -> None:
        await self._api.close()

    async def probe(self) -> None:
        """Asks for the addresses of WeCom's servers, which only an app that is let in is told. A robot can be asked
        nothing: it is handed an empty message, which it refuses for that, unless it refuses us."""
        deadline = asyncio.get_running_loop().time() + PROBE
        if self.options.mode == "robot":
            with suppress(Rejected):
                await self._say_as_robot({}, deadline)
        else:
            await self._account.get("/cgi-bin/getcallbackip", deadline)

    # what goes out

    def refusal(self, content: Content) -> Rejected | None:
        refusal = super().refusal(content) or plain.flaw(content)
        if refusal is not None:
            return refusal
        if isinstance(content, Notice):
            needs_name = self.options.mode == "app" and not self.options.party
            flaw = wecom_words.flaw_of_notice(content, needs_name=needs_name)
        else:
            flaw = wecom_words.flaw_of_message(content)
        if flaw is None and len(self._text(content, "").encode()) > _ROOM[self.options.mode]:
            flaw = FailureReason.content, f"its text is longer than {_ROOM[self.options.mode]} bytes"
        return Rejected(f"The {content.channel} message cannot be sent: {flaw[1]}.", reason=flaw[0]) if flaw else None

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Answer]:
        began = asyncio.get_running_loop().time()
        return await each(batch, lambda outgoing: self._hand_over(outgoing, began + outgoing.timeout))

    async def _hand_over(self, outgoing: Outgoing, deadline: float) -> Answer:
        refusal = self.refusal(outgoing.content)
        if refusal is not None:
            return refusal
        match self.options.mode:
            case "app":
                row = await self._account.post("/cgi-bin/message/send", self._notice(outgoing), deadline)
                return self._unless_named(row, word(row, "invaliduser").split("|"), outgoing.content.to)
            case "broadcast":
                said = wecom_words.task(outgoing.content, str(self.options.sender), self.options.link_title)
                row = await self._account.post("/cgi-bin/externalcontact/add_msg_template", said, deadline)
                failed = row.get("fail_list")
                answer = self._unless_named(row, failed if isinstance(failed, list) else [], outgoing.content.to)
                return Sent(answer.provider_id, _TO_BE_CONFIRMED) if isinstance(answer, Sent) else answer
            case "robot":
                text = self._text(outgoing.content, outgoing.key)
                await self._say_as_robot({"msgtype": "markdown", "markdown": {"content": text}}, deadline)
                return Sent(None)

    async def _say_as_robot(self, said: Mapping[str, Any], deadline: float) -> None:
        reply = await self._api.post(f"/cgi-bin/webhook/send?key={self._robot}", token.encoded(said), deadline)
        token.agreed(token.read(reply, self._api.place), WECOM, self._api.place)

    def _notice(self, outgoing: Outgoing) -> dict[str, Any]:
        to = outgoing.content.to
        said: dict[str, Any] = {
            **({"touser": to} if to else {"toparty": self.options.party}),
            "msgtype": "markdown",
            "agentid": self.options.agent_id,
            "markdown": {"content": self._text(outgoing.content, outgoing.key)},
        }
        if self.options.duplicate_check_interval:
            said |= {
                "enable_duplicate_check": 1,
                "duplicate_check_interval": self.options.duplicate_check_interval,
            }
        return said

    def _text(self, content: Content, key: str) -> str:
        """The words of a message."""
        if not isinstance(content, Notice):
            return plain.text(content)
        marked = wecom_words.mark(key) if self.options.duplicate_check_interval else ""
        calls = self.options.mode == "robot"
        return wecom_words.markdown(content, self.options.link_title, calls=calls, mark=marked)

    def _unless_named(self, row: token.Row, refused: Sequence[object], to: str) -> Answer:
        """Sent, unless the answer, which says yes, names the one person as nobody it could reach."""
        if to and to.casefold() in [str(one).casefold() for one in refused]:  # WeCom answers in lower case
            sentence = f"{self._api.place} took the message and names its address as one it cannot reach."
            return Rejected(sentence, reason=FailureReason.policy)
        return Sent(word(row, "msgid") or None)

    # what became of it

    async def look_up(self, asked: Sequence[Asked], timeout: float) -> Sequence[Receipt | None]:
        """Did the colleague confirm? Only tasks whose name we know can be asked for."""
        deadline = asyncio.get_running_loop().time() + timeout
        return await asyncio.gather(*(self._result(one, deadline) for one in asked))

    async def _result(self, asked: Asked, deadline: float) -> Receipt | None:
        if self.options.mode != "broadcast" or not asked.provider_id:
            return None
        said = {"msgid": asked.provider_id, "userid": self.options.sender, "limit": 500}
        try:
            row = await self._account.post("/cgi-bin/externalcontact/get_groupmsg_send_result", said, deadline)
        except Rejected:
            return None
        except Unavailable as error:
            if error.code == BEING_HANDED_OUT:
                return None
            raise
        found = row.get("send_list")
        rows = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
        mine = [one for one in rows if word(one, "external_userid").casefold() == asked.content.to.casefold()]
        return self._receipt(asked, mine[0]) if mine else None

    def _receipt(self, asked: Asked, row: dict[str, Any]) -> Receipt | None:
        status = word(row, "status")
        if status not in RESULTS:  # 0: the colleague has not confirmed yet
            return None
        type_, reason = RESULTS[status]
        return Receipt(
            type_,
            instant({"CreateTime": row.get("send_time")}, self.now()),
            f"{asked.provider_id}/{status}",
            key=asked.key,
            provider_id=asked.provider_id,
            reason=reason,
            to=asked.content.to,
            raw=row,
        )

    async def receipts(self, callback: Callback) -> Heard:
        if callback.method == "GET":  # the check of the address: what was sealed has to be shown
            sealed = query(callback).get("echostr", "")
            self._seal.verify(callback, "msg_signature", sealed)
            return Heard(body=self._seal.opened(sealed))
        if not self._seal.seals:
            raise InvalidReceipt("No token and key are configured for reports; without them they cannot be trusted.")
        letter = self._seal.letter(callback)
        change = word(letter, "ChangeType") if word(letter, "Event") == "change_external_contact" else ""
        heard = Receipt(
            CHANGES.get(change, ReceiptType.unknown),
            instant(letter, callback.at),
            name_of(letter),
            to=word(letter, "ExternalUserID") or None,
            detail=word(letter, "UserID") or word(letter, "Event"),
            raw=letter,
        )
        return Heard((heard,))

"""Messages of a WeChat service account: template messages, subscribe notifications, texts to who has just spoken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias

from pydantic import model_validator

from channels.contract import Answer, Outgoing, ProviderOptions, Sent, WeChat
from channels.errors import FailureReason, Rejected
from channels.wechat.weixin import AccountOptions, Flaw, WeixinProvider, values_of

Product: TypeAlias = Literal["template", "subscribe"]

#: believed to be ten minutes; the last of them is left for clocks that differ
_REMEMBERED = timedelta(minutes=9)
_TEMPLATE = "/cgi-bin/message/template/send"
_SUBSCRIBE = "/cgi-bin/message/subscribe/bizsend"
_CUSTOMER = "/cgi-bin/message/custom/send"
_HAS_IT = "45065"  # it has a message of this key already


class OfficialOptions(AccountOptions):
    """A service account."""

    product: Product = "template"
    products: Mapping[str, Product] = {}  # by template, where one is of the other product
    allow_promotion: bool = False  # through template messages, which WeChat keeps for what the person set off
    miniprogram_app_id: str | None = None  # whose pages a message may open
    recognises_repeats: bool = False

    @model_validator(mode="after")
    def _only_template_messages_are_known_again(self) -> OfficialOptions:
        if self.recognises_repeats and "subscribe" in (self.product, *self.products.values()):
            raise ValueError("recognises_repeats is for template messages alone; give others a channel of their own")
        return self


class OfficialProvider(WeixinProvider):
    """One service account. A content with a template is a template message or a subscribe notification; one with a text
    is a customer message, which only those get who spoke to the account within 48 hours."""

    name = "official"
    Options: ClassVar[type[ProviderOptions]] = OfficialOptions

    def configure(self, options: OfficialOptions, env: Mapping[str, str], home: Path) -> None:
        super().configure(options, env, home)
        if options.recognises_repeats:
            self.features = replace(self.features, dedupe_by="key", dedupe_window=_REMEMBERED)

    def flaws(self, content: WeChat) -> Iterator[Flaw]:
        yield from super().flaws(content)
        if content.page and not _is_address(content.page) and not (content.template and self._mini_program):
            yield FailureReason.content, "it opens a page of a mini program, and none is configured or it is a text"
        if not content.template and self.options.recognises_repeats:
            yield FailureReason.content, "it is a text, whose repeats WeChat does not recognise, as is promised here"
        if content.kind != "notice" and self._is_template_message(content) and not self.options.allow_promotion:
            yield FailureReason.policy, "WeChat forbids promotion in template messages"

    def request(self, content: WeChat, key: str) -> tuple[str, dict[str, Any]]:
        if not content.template:
            text = f"{content.text}\n{content.page}" if content.page else content.text
            return _CUSTOMER, {"touser": content.to, "msgtype": "text", "text": {"content": text}}
        said = {"touser": content.to, "template_id": content.template, "data": values_of(content)}
        if self._is_template_message(content):
            return _TEMPLATE, {**said, "client_msg_id": key, **self._page(content, "url")}
        return _SUBSCRIBE, {**said, **self._page(content, "page")}

    async def hand_over(self, outgoing: Outgoing, deadline: float) -> Answer:
        try:
            return await super().hand_over(outgoing, deadline)
        except Rejected as error:
            if error.code == _HAS_IT:
                return Sent(None, note="WeChat says that it had this message already.")
            raise

    @property
    def _mini_program(self) -> str | None:
        found: str | None = self.options.miniprogram_app_id
        return found

    def _is_template_message(self, content: WeChat) -> bool:
        options: OfficialOptions = self.options
        return bool(content.template) and options.products.get(content.template, options.product) == "template"

    def _page(self, content: WeChat, address: str) -> dict[str, Any]:
        """What a tap on the message opens; `address` is what this product calls an address."""
        if not content.page:
            return {}
        if _is_address(content.page):
            return {address: content.page}
        return {"miniprogram": {"appid": self._mini_program, "pagepath": content.page}}


def _is_address(page: str) -> bool:
    return page.lower().startswith(("https://", "http://"))

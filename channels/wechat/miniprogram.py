"""Messages of a WeChat mini program: subscribe messages, each of which the person allowed in the mini program."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from channels.contract import ProviderOptions, WeChat
from channels.errors import FailureReason
from channels.wechat.weixin import AccountOptions, Flaw, WeixinProvider, values_of


class MiniProgramOptions(AccountOptions):
    """A mini program."""

    miniprogram_state: Literal["formal", "trial", "developer"] = "formal"  # which version a tap opens
    lang: Literal["zh_CN", "zh_HK", "zh_TW", "en_US"] = "zh_CN"  # of what WeChat writes around the values


class MiniProgramProvider(WeixinProvider):
    """One mini program. It knows no texts and no addresses: a message is a template, and opens a page of its own."""

    name = "miniprogram"
    Options: ClassVar[type[ProviderOptions]] = MiniProgramOptions

    def flaws(self, content: WeChat) -> Iterator[Flaw]:
        yield from super().flaws(content)
        if not content.template:
            yield FailureReason.content, "a mini program sends templates, and it names none"
        if content.page and "://" in content.page.partition("?")[0]:
            yield FailureReason.content, "a mini program opens pages of its own, and it names an address"

    def request(self, content: WeChat, key: str) -> tuple[str, dict[str, Any]]:
        return "/cgi-bin/message/subscribe/send", {
            "touser": content.to,
            "template_id": content.template,
            **({"page": content.page} if content.page else {}),
            "miniprogram_state": self.options.miniprogram_state,
            "lang": self.options.lang,
            "data": values_of(content),
        }

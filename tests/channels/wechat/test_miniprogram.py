"""A mini program of WeChat: the contract, and what is its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from doubles.letters import AT, Sender, event
from doubles.still import StillClock
from doubles.wechat import SUBSCRIBE, WeChatService, hands_over
from msgspec import structs

from channels.contract import Callback, Content, Provider, WeChat
from channels.errors import FailureReason, Unavailable
from channels.testing import Accepted, ApiContract, Double, ReceiptContract, Request, Run, answers, outgoing
from channels.wechat.miniprogram import MiniProgramProvider

APP = "wxabcdef1234567890"
KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
ENV = {"MINI_SECRET": "hunter2-of-wechat", "MINI_TOKEN": "outreachtoken", "MINI_AES_KEY": KEY}
OPTIONS = {"app_id": APP, "secret_env": "MINI_SECRET", "token_env": "MINI_TOKEN", "aes_key_env": "MINI_AES_KEY"}
CONTENT = WeChat(to="oOPENID", template="T1", page="pages/order?id=1", values=(("thing1", "张三"),))


def made(place: str, env: Mapping[str, str] = ENV, **more: object) -> MiniProgramProvider:
    return MiniProgramProvider("wechat", {**OPTIONS, "url": place, **more}, env, now=StillClock())


class TestMiniProgram(ApiContract):
    @pytest.fixture
    def account(self) -> WeChatService:
        return WeChatService(StillClock(), app_id=APP, kind="miniprogram")

    @pytest.fixture
    def service(self, account: WeChatService) -> Double:
        return Double(account.handle)

    @pytest.fixture
    def at(self, env: Mapping[str, str]) -> Callable[[str], Provider]:
        return lambda address: made(address, env)

    @pytest.fixture
    def hands_over(self) -> Callable[[Request], bool]:
        return hands_over

    @pytest.fixture
    def status_decides(self) -> bool:
        return False

    @pytest.fixture
    def accepted(self, account: WeChatService) -> Callable[[], list[Accepted]]:
        return lambda: [Accepted(one["touser"].replace("open-id", "contract")) for one in account.taken]

    @pytest.fixture
    def can_reject(self) -> bool:
        return True

    @pytest.fixture
    def rejected_content(self, account: WeChatService) -> Content:
        account.strangers["open-id-stranger"] = 40003
        return structs.replace(CONTENT, to="open-id-stranger")

    @pytest.fixture
    def has_credentials(self) -> bool:
        return True

    @pytest.fixture
    def env(self) -> Mapping[str, str]:
        return ENV

    @pytest.fixture
    def make(self, place: str) -> Callable[[Mapping[str, str]], Provider]:
        return lambda env: made(place, env)

    @pytest.fixture
    def locked_out(self, place: str) -> Provider:
        return made(place, {**ENV, "MINI_SECRET": "another secret"})


class TestReports(ReceiptContract):
    sender = Sender("outreachtoken", APP, KEY)

    @pytest.fixture
    def provider(self) -> Provider:
        return made("http://localhost:1")

    @pytest.fixture
    def env(self) -> Mapping[str, str]:
        return ENV

    @pytest.fixture
    def genuine(self) -> Sequence[Callback]:
        choice = "<TemplateId>T1</TemplateId><SubscribeStatusString>reject</SubscribeStatusString>"
        sent = "<TemplateId>T1</TemplateId><MsgID>9</MsgID><ErrorCode>0</ErrorCode>"
        return [
            self.sender.post(event(name, f"<{around}><List>{inner}</List></{around}>"))
            for name, around, inner in (
                ("subscribe_msg_change_event", "SubscribeMsgChangeEvent", choice),
                ("subscribe_msg_sent_event", "SubscribeMsgSentEvent", sent),
            )
        ]

    @pytest.fixture
    def sign(self) -> Callable[[bytes], Callback]:
        return self.sender.post

    @pytest.fixture
    def unknown_words(self) -> Callback:
        return self.sender.post(event("wxa_media_check"))

    @pytest.fixture
    def forged(self) -> Sequence[Callback]:
        body = event("unsubscribe")
        strangers = [{"token": "x"}, {"identity": "wxffffffffffffffff"}, {"at": AT - timedelta(seconds=301)}]
        return [replace(self.sender, **more).post(body) for more in strangers]


@pytest.fixture
def account() -> WeChatService:
    return WeChatService(StillClock(), app_id=APP, kind="miniprogram")


@pytest.fixture
def place(run: Run, account: WeChatService) -> Iterator[str]:
    service = Double(account.handle)
    yield run(service.start())
    run(service.stop())


def test_a_subscribe_message_says_which_version_a_tap_opens_and_in_which_language(
    run: Run, place: str, account: WeChatService
) -> None:
    run(answers(made(place, miniprogram_state="trial", lang="en_US"), [outgoing(CONTENT)]))

    assert account.taken == [
        {
            "route": SUBSCRIBE,
            "touser": "oOPENID",
            "template_id": "T1",
            "page": "pages/order?id=1",
            "miniprogram_state": "trial",
            "lang": "en_US",
            "data": {"thing1": {"value": "张三"}},
        }
    ]


@pytest.mark.parametrize(
    "content", [WeChat(to="oOPENID", text="a text"), structs.replace(CONTENT, page="https://example.com/x")]
)
def test_it_knows_no_texts_and_no_addresses(content: WeChat) -> None:
    refusal = made("http://localhost:1").refusal(content)

    assert refusal is not None
    assert refusal.reason is FailureReason.content


def test_one_persons_limit_does_not_hold_up_the_others(run: Run, place: str, account: WeChatService) -> None:
    account.scripted = [43117]

    (answer,) = run(answers(made(place), [outgoing(CONTENT)]))

    assert isinstance(answer, Unavailable)
    assert answer.retry_after is None

"""WeCom in its three modes: the contract, and what is its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest
from doubles.letters import AT, Sender, event
from doubles.still import StillClock
from doubles.wecom import WeComService, hands_over
from msgspec import structs
from pydantic import ValidationError

from channels.contract import Answer, Asked, Callback, Content, Notice, Provider, Receipt, ReceiptType, Sent, WeChat
from channels.errors import FailureReason, InvalidReceipt, Misconfigured, Rejected, Unavailable
from channels.testing import (
    Accepted,
    ApiContract,
    Double,
    ReceiptContract,
    Request,
    Run,
    answers,
    content_for,
    outgoing,
)
from channels.wechat.wecom import WeComProvider

CORP = "wx5823bf96d3bd56c7"
KEY = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
CUSTOMER = "woAJ2GCAAAXtWyujaWJHDDGi0mACAAAA"
SECRETS = {"WECOM_SECRET": "the secret of the app", "WECOM_KEY": "the-key-of-the-robot"}
REPORTS = {"WECOM_TOKEN": "QDG6eK", "WECOM_AES_KEY": KEY}
ENV = {**SECRETS, **REPORTS}
ACCOUNT = {"corp_id": CORP, "secret_env": "WECOM_SECRET"}
HEARS = {"token_env": "WECOM_TOKEN", "aes_key_env": "WECOM_AES_KEY"}
MODES: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "app": ("notice", {**ACCOUNT, "agent_id": 1000002}),
    "broadcast": ("wechat", {**ACCOUNT, "sender": "zhangsan"}),
    "robot": ("notice", {"key_env": "WECOM_KEY"}),
}


def made(
    mode: str,
    place: str = "http://localhost:1",
    clock: StillClock | None = None,
    env: Mapping[str, str] = ENV,
    **more: object,
) -> WeComProvider:
    channel, options = MODES[mode]
    return WeComProvider(channel, {"mode": mode, **options, "url": place, **more}, env, now=clock or StillClock())


class OfWeCom(ApiContract):
    mode: ClassVar[str]
    options: ClassVar[Mapping[str, object]] = {}

    @pytest.fixture
    def company(self) -> WeComService:
        return WeComService(StillClock())

    @pytest.fixture
    def service(self, company: WeComService) -> Double:
        return Double(company.handle)

    @pytest.fixture
    def at(self, env: Mapping[str, str]) -> Callable[[str], Provider]:
        return lambda address: made(self.mode, address, env=env, **self.options)

    @pytest.fixture
    def hands_over(self) -> Callable[[Request], bool]:
        return hands_over

    @pytest.fixture
    def status_decides(self) -> bool:
        return False

    @pytest.fixture
    def has_credentials(self) -> bool:
        return True

    @pytest.fixture
    def env(self) -> Mapping[str, str]:
        return {"WECOM_SECRET": SECRETS["WECOM_SECRET"]}

    @pytest.fixture
    def make(self, place: str) -> Callable[[Mapping[str, str]], Provider]:
        return lambda env: made(self.mode, place, env=env, **self.options)

    @pytest.fixture
    def locked_out(self, place: str) -> Provider:
        return made(self.mode, place, env={"WECOM_SECRET": "another", "WECOM_KEY": "another"}, **self.options)


class TestApp(OfWeCom):
    mode = "app"

    @pytest.fixture
    def accepted(self, company: WeComService) -> Callable[[], list[Accepted]]:
        return lambda: [
            Accepted(one["touser"].replace("colleague", "contract-"), f"MSG-{number}")
            for number, one in enumerate(company.taken, start=1)
        ]

    @pytest.fixture
    def can_reject(self) -> bool:
        return True

    @pytest.fixture
    def rejected_content(self, company: WeComService) -> Content:
        company.strangers = frozenset({"stranger77"})
        return structs.replace(content_for("notice"), to="stranger77")


class TestAppThatRecognisesRepeats(TestApp):
    options: ClassVar[Mapping[str, object]] = {"duplicate_check_interval": 1800}

    @pytest.fixture
    def accepted(self, company: WeComService) -> Callable[[], list[Accepted]]:
        return lambda: [Accepted(one["touser"].replace("colleague", "contract-")) for one in company.taken]


class TestRobot(OfWeCom):
    mode = "robot"

    @pytest.fixture
    def accepted(self, company: WeComService) -> Callable[[], list[Accepted]]:
        def number(said: str) -> str:
            return said.partition("<@colleague")[2].rstrip(">")

        return lambda: [Accepted(f"contract-{number(one['markdown']['content'])}") for one in company.taken]

    @pytest.fixture
    def env(self) -> Mapping[str, str]:
        return {"WECOM_KEY": SECRETS["WECOM_KEY"]}


class TestBroadcast(OfWeCom):
    mode = "broadcast"

    @pytest.fixture
    def accepted(self, company: WeComService) -> Callable[[], list[Accepted]]:
        return lambda: [Accepted(one["external_userid"][0].replace("customer", "contract")) for one in company.taken]

    @pytest.fixture
    def content(self) -> Callable[[int], Content]:
        return lambda number: WeChat(to=f"customer-{number}", text=f"Your order {number} is on its way. 您好")

    @pytest.fixture
    def can_reject(self) -> bool:
        return True

    @pytest.fixture
    def rejected_content(self, company: WeComService) -> Content:
        company.strangers = frozenset({"stranger77"})
        return WeChat(to="stranger77", text="on its way")


# --- what goes out ---------------------------------------------------------------------------------------------------


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def company(clock: StillClock) -> WeComService:
    return WeComService(clock)


@pytest.fixture
def service(company: WeComService) -> Double:
    return Double(company.handle)


@pytest.fixture
def place(run: Run, service: Double) -> Iterator[str]:
    yield run(service.start())
    run(service.stop())


def hear(run: Run, provider: Provider, content: Content, number: int = 0) -> Answer:
    (answer,) = run(answers(provider, [outgoing(content, number)]))
    return answer


NOTICE = Notice(to="zhangsan", title="A call", text="客户 **王女士** 等待联系", link="https://example.com/t/1?a=(b)")


def test_a_notice_is_markdown_with_its_link(run: Run, place: str, company: WeComService) -> None:
    assert isinstance(hear(run, made("app", place), NOTICE), Sent)

    text = "**A call**\n客户 **王女士** 等待联系\n[详情](https://example.com/t/1?a=%28b%29)"
    assert company.taken == [
        {"touser": "zhangsan", "msgtype": "markdown", "agentid": 1000002, "markdown": {"content": text}}
    ]


def test_a_notice_without_a_name_goes_to_a_department_that_is_configured(
    run: Run, place: str, company: WeComService
) -> None:
    nameless = structs.replace(NOTICE, to="")

    assert isinstance(hear(run, made("app", place), nameless), Rejected)
    assert isinstance(hear(run, made("app", place, party="2"), nameless), Sent)
    assert company.taken[0]["toparty"] == "2"
    assert "touser" not in company.taken[0]


@pytest.mark.parametrize("to", ["@all", "zhangsan|lisi", "张三", "a" * 65])
def test_a_name_cannot_mean_more_than_one_colleague(to: str) -> None:
    for mode in ("app", "robot"):
        refusal = made(mode).refusal(structs.replace(NOTICE, to=to))
        assert refusal is not None
        assert refusal.reason is FailureReason.address_invalid


def test_a_robot_calls_the_colleague_in_its_room(run: Run, place: str, company: WeComService) -> None:
    hear(run, made("robot", place), NOTICE)
    hear(run, made("robot", place), structs.replace(NOTICE, to=""))

    first, second = (one["markdown"]["content"] for one in company.taken)
    assert first.endswith("\n<@zhangsan>")
    assert "<@" not in second


def test_a_robot_takes_twenty_messages_a_minute(run: Run, place: str, clock: StillClock) -> None:
    provider = made("robot", place)
    found = [hear(run, provider, NOTICE, number) for number in range(21)]

    assert [type(answer) for answer in found] == [Sent] * 20 + [Unavailable]
    assert isinstance(found[20], Unavailable)
    assert found[20].retry_after == 60
    clock.instant += timedelta(seconds=61)
    assert isinstance(hear(run, provider, NOTICE), Sent)


def test_a_broadcast_is_a_task_that_a_colleague_confirms(run: Run, place: str, company: WeComService) -> None:
    answer = hear(run, made("broadcast", place), WeChat(to=CUSTOMER, text="您好", page="https://example.com/o/1"))

    assert isinstance(answer, Sent)
    assert "colleague has to confirm" in answer.note
    assert company.taken == [
        {
            "chat_type": "single",
            "external_userid": [CUSTOMER],
            "sender": "zhangsan",
            "text": {"content": "您好"},
            "attachments": [
                {
                    "msgtype": "link",
                    "link": {"title": "详情", "url": "https://example.com/o/1", "desc": "", "picurl": ""},
                }
            ],
        }
    ]


@pytest.mark.parametrize(
    ("mode", "content", "reason"),
    [
        ("broadcast", WeChat(to=CUSTOMER, template="T1", values=(("thing1", "x"),)), FailureReason.content),
        ("broadcast", WeChat(to=CUSTOMER, text="好" * 1334), FailureReason.content),
        ("broadcast", WeChat(to=CUSTOMER, text="x", page="pages/order"), FailureReason.content),
        ("broadcast", WeChat(to="not an id", text="x"), FailureReason.address_invalid),
        ("app", Notice(to="zhangsan", text="好" * 683), FailureReason.content),
        ("robot", Notice(text="好" * 1366), FailureReason.content),
        ("app", Notice(to="zhangsan", text="bell \x07"), FailureReason.content),
        ("app", Notice(to="zhangsan", text="x", link="javascript:alert(1)"), FailureReason.content),
    ],
)
def test_what_wecom_would_refuse_is_refused_here(mode: str, content: Content, reason: FailureReason) -> None:
    refusal = made(mode).refusal(content)

    assert refusal is not None
    assert refusal.reason is reason


def test_repeats_are_recognised_when_asked_for_and_two_that_say_the_same_both_arrive(
    run: Run, place: str, company: WeComService
) -> None:
    blind, knowing = made("app", place), made("app", place, duplicate_check_interval=1800)
    assert blind.features.dedupe_by == "none"
    assert (knowing.features.dedupe_by, knowing.features.dedupe_window) == ("content", timedelta(minutes=29))

    for number in (1, 1, 2):
        assert isinstance(hear(run, knowing, NOTICE, number), Sent)

    assert len(company.taken) == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mode": "app", "corp_id": "x"}, "secret_env, agent_id"),
        ({"mode": "broadcast", **ACCOUNT}, "sender"),
        ({"mode": "robot"}, "key_env"),
        ({"mode": "robot", "key_env": "K", "duplicate_check_interval": 1800}, "mode app alone"),
        ({"mode": "robot", "key_env": "K", "token_env": "T"}, "belong together"),
        ({"mode": "robot", "key_env": "K", **HEARS}, "reports need corp_id"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(options: Mapping[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        WeComProvider("notice", options, ENV)


def test_a_mode_serves_its_channel_alone() -> None:
    for channel, mode in (("wechat", "app"), ("wechat", "robot"), ("notice", "broadcast")):
        with pytest.raises(Misconfigured, match=f"mode {mode} serves"):
            WeComProvider(channel, {"mode": mode, **MODES[mode][1]}, ENV)


def test_a_spent_token_is_renewed_once(run: Run, place: str, company: WeComService) -> None:
    provider = made("app", place)
    hear(run, provider, NOTICE)
    company.end_tokens()

    assert isinstance(hear(run, provider, NOTICE), Sent)
    assert company.fetched == 2
    company.scripted = [42001, 42001]
    assert isinstance(hear(run, provider, NOTICE), Misconfigured)


# --- what became of it -----------------------------------------------------------------------------------------------


def looked_up(run: Run, provider: Provider, provider_id: str | None) -> Receipt | None:
    async def ask() -> Sequence[Receipt | None]:
        try:
            return await provider.look_up([Asked("k", WeChat(to=CUSTOMER, text="您好"), AT, provider_id)], 5.0)
        finally:
            await provider.close()

    (found,) = run(ask())
    return found


@pytest.mark.parametrize(
    ("status", "type_", "reason"),
    [
        (1, ReceiptType.delivered, None),
        (2, ReceiptType.bounced, FailureReason.address_unknown),
        (3, ReceiptType.bounced, FailureReason.policy),
    ],
)
def test_a_look_up_tells_what_became_of_a_task(
    run: Run, place: str, company: WeComService, status: int, type_: ReceiptType, reason: FailureReason | None
) -> None:
    provider = made("broadcast", place)
    answer = hear(run, provider, WeChat(to=CUSTOMER, text="您好"))
    assert isinstance(answer, Sent)
    assert answer.provider_id is not None
    assert looked_up(run, provider, answer.provider_id) is None  # nobody has confirmed it

    company.tasks[answer.provider_id] |= {"status": status, "send_time": 1768466000}
    receipt = looked_up(run, provider, answer.provider_id)

    assert receipt is not None
    assert (receipt.type, receipt.reason, receipt.to) == (type_, reason, CUSTOMER)
    assert receipt.at == datetime.fromtimestamp(1768466000, UTC)


def test_a_task_whose_name_is_not_known_cannot_be_looked_up(run: Run, place: str, service: Double) -> None:
    assert looked_up(run, made("broadcast", place), None) is None
    assert service.requests == []
    assert looked_up(run, made("broadcast", place), "no such task") is None


def test_a_task_still_handed_out_is_asked_for_later_and_a_busy_service_says_so(
    run: Run, place: str, company: WeComService
) -> None:
    provider = made("broadcast", place)
    company.scripted = [41063]
    assert looked_up(run, provider, "msg") is None
    company.scripted = [45009]
    with pytest.raises(Unavailable):
        looked_up(run, provider, "msg")


# --- what comes in ---------------------------------------------------------------------------------------------------

SENDER = Sender("QDG6eK", CORP, KEY)


def change(what: str, at: int = 1768465810) -> str:
    who = f"<UserID>zhangsan</UserID><ExternalUserID>{CUSTOMER}</ExternalUserID>"
    return event("change_external_contact", f"<ChangeType>{what}</ChangeType>{who}", to="sys", at=at)


class TestReports(ReceiptContract):
    @pytest.fixture
    def provider(self) -> Provider:
        return made("broadcast", **HEARS)

    @pytest.fixture
    def env(self) -> Mapping[str, str]:
        return ENV

    @pytest.fixture
    def genuine(self) -> Sequence[Callback]:
        return [SENDER.post(change(what)) for what in ("add_external_contact", "del_follow_user")]

    @pytest.fixture
    def sign(self) -> Callable[[bytes], Callback]:
        return SENDER.post

    @pytest.fixture
    def unknown_words(self) -> Callback:
        return SENDER.post(change("transfer_fail"))

    @pytest.fixture
    def forged(self) -> Sequence[Callback]:
        body = change("del_follow_user")
        strangers = [{"token": "x"}, {"identity": "another corp"}, {"at": AT + timedelta(seconds=301)}, {"aes_key": ""}]
        return [replace(SENDER, **more).post(body) for more in strangers]


def test_a_customer_who_removes_the_colleague_wants_no_more_and_one_whom_we_drop_said_nothing(run: Run) -> None:
    provider = made("broadcast", **HEARS)

    def heard(what: str) -> tuple[ReceiptType, str | None, str]:
        (one,) = run(provider.receipts(SENDER.post(change(what)))).receipts
        return one.type, one.to, one.detail

    assert heard("del_follow_user") == (ReceiptType.unsubscribed, CUSTOMER, "zhangsan")
    assert heard("add_external_contact") == (ReceiptType.resubscribed, CUSTOMER, "zhangsan")
    assert heard("del_external_contact") == (ReceiptType.unknown, CUSTOMER, "zhangsan")


def test_X9_without_its_secrets_no_report_is_believed(run: Run) -> None:
    deaf = made("broadcast")

    assert not deaf.features.receipts
    for callback in (
        SENDER.post(change("del_follow_user")),
        SENDER.check("1", sealed=True),
        replace(SENDER, aes_key="", token="").post(change("del_follow_user")),
    ):
        with pytest.raises(InvalidReceipt):
            run(deaf.receipts(callback))


def test_the_check_of_the_address_is_answered_with_what_was_sealed(run: Run) -> None:
    heard = run(made("app", **HEARS).receipts(SENDER.check("1616140317555161061", sealed=True)))

    assert (heard.status, heard.body) == (200, b"1616140317555161061")


def test_all_of_a_call_get_their_own_answer(run: Run, place: str, company: WeComService) -> None:
    company.strangers = frozenset({"lisi"})
    provider = made("app", place)
    batch = [
        outgoing(structs.replace(NOTICE, to=to), number) for number, to in enumerate(("zhangsan", "lisi", "wangwu"))
    ]

    async def send() -> Sequence[Answer]:
        try:
            return await asyncio.wait_for(provider.send(batch), 5)
        finally:
            await provider.close()

    assert [type(answer) for answer in run(send())] == [Sent, Rejected, Sent]

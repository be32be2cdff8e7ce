"""A service account of WeChat: the contract, and what is its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from doubles.letters import AT, Sender, event
from doubles.still import StillClock
from doubles.wechat import BIZSEND, CUSTOM, TEMPLATE, WeChatService, hands_over, said
from msgspec import structs
from pydantic import ValidationError

from channels.contract import Callback, Content, Outgoing, Provider, ReceiptType, Sent, WeChat
from channels.errors import FailureReason, InvalidReceipt, Misconfigured, Rejected, Unavailable
from channels.keep import MemoryKeep
from channels.testing import Accepted, ApiContract, Double, ReceiptContract, Request, Response, Run, answers, outgoing
from channels.testing.double import Mood, cutting, rubbish, saying, silent
from channels.wechat.official import OfficialProvider

NOW = AT
APP = "wx1234567890abcdef"
KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
ENV = {"WECHAT_SECRET": "hunter2-of-wechat", "WECHAT_TOKEN": "outreachtoken", "WECHAT_AES_KEY": KEY}
OPTIONS = {"app_id": APP, "secret_env": "WECHAT_SECRET", "token_env": "WECHAT_TOKEN", "aes_key_env": "WECHAT_AES_KEY"}


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def account(clock: StillClock) -> WeChatService:
    return WeChatService(clock)


@pytest.fixture
def service(account: WeChatService) -> Double:
    return Double(account.handle)


@pytest.fixture
def place(run: Run, service: Double) -> Iterator[str]:
    yield run(service.start())
    run(service.stop())


def made(place: str, clock: StillClock, env: Mapping[str, str] = ENV, **more: object) -> OfficialProvider:
    return OfficialProvider("wechat", {**OPTIONS, "url": place, **more}, env, now=clock)


def notice(value: str = "第1号订单", **more: object) -> WeChat:
    return structs.replace(WeChat(to="oOPENID", template="T1", values=(("thing1", value),)), **more)


class OfOfficial(ApiContract):
    """What all products of a service account keep."""

    @pytest.fixture
    def clock(self) -> StillClock:
        return StillClock()

    @pytest.fixture
    def account(self, clock: StillClock) -> WeChatService:
        return WeChatService(clock)

    @pytest.fixture
    def service(self, account: WeChatService) -> Double:
        return Double(account.handle)

    @pytest.fixture
    def options(self) -> Mapping[str, object]:
        return {}

    @pytest.fixture
    def at(self, clock: StillClock, env: Mapping[str, str], options: Mapping[str, object]) -> Callable[[str], Provider]:
        return lambda address: made(address, clock, env, **options)

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
        account.strangers["open-id-stranger"] = 43004
        return structs.replace(notice(), to="open-id-stranger")

    @pytest.fixture
    def has_credentials(self) -> bool:
        return True

    @pytest.fixture
    def env(self) -> Mapping[str, str]:
        return ENV

    @pytest.fixture
    def make(
        self, place: str, clock: StillClock, options: Mapping[str, object]
    ) -> Callable[[Mapping[str, str]], Provider]:
        return lambda env: made(place, clock, env, **options)

    @pytest.fixture
    def locked_out(self, place: str, clock: StillClock, options: Mapping[str, object]) -> Provider:
        return made(place, clock, {**ENV, "WECHAT_SECRET": "another secret"}, **options)


class TestTemplateMessages(OfOfficial):
    @pytest.fixture
    def options(self) -> Mapping[str, object]:
        return {"recognises_repeats": True}

    @pytest.fixture
    def accepted(self, account: WeChatService) -> Callable[[], list[Accepted]]:
        return lambda: [
            Accepted(one["client_msg_id"], str(200228332 + number)) for number, one in enumerate(account.taken)
        ]

    @pytest.fixture
    def content(self) -> Callable[[int], Content]:
        return lambda number: structs.replace(notice(f"第{number}号订单"), to=f"open-id-{number}")


class TestSubscribeNotifications(OfOfficial):
    @pytest.fixture
    def options(self) -> Mapping[str, object]:
        return {"product": "subscribe"}


class TestCustomerMessages(OfOfficial):
    @pytest.fixture
    def content(self) -> Callable[[int], Content]:
        return lambda number: WeChat(to=f"open-id-{number}", text=f"Your order {number} is on its way.")


# --- what goes out ---------------------------------------------------------------------------------------------------


def hear(run: Run, provider: Provider, content: Content, **more: object) -> object:
    (answer,) = run(answers(provider, [outgoing(content, **more)]))  # type: ignore[arg-type]
    return answer


def test_a_template_message_says_what_wechat_wants(
    run: Run, place: str, clock: StillClock, account: WeChatService
) -> None:
    provider = made(place, clock, miniprogram_app_id="wxmini")
    hear(run, provider, notice("张三", page="https://example.com/o/1"))
    hear(run, provider, notice("张三", page="pages/order?id=1"), number=1)

    first, second = account.taken
    assert first == {
        "route": TEMPLATE,
        "touser": "oOPENID",
        "template_id": "T1",
        "data": {"thing1": {"value": "张三"}},
        "client_msg_id": "contract-0",
        "url": "https://example.com/o/1",
    }
    assert second["miniprogram"] == {"appid": "wxmini", "pagepath": "pages/order?id=1"}
    assert "url" not in second


def test_the_template_says_which_product_it_is(run: Run, place: str, clock: StillClock, account: WeChatService) -> None:
    provider = made(place, clock, products={"T2": "subscribe"})
    hear(run, provider, notice())
    hear(run, provider, notice(template="T2", page="https://example.com/x"))
    hear(run, provider, WeChat(to="oOPENID", text="好的", page="https://example.com/x"))

    assert [one["route"] for one in account.taken] == [TEMPLATE, BIZSEND, CUSTOM]
    assert account.taken[1]["page"] == "https://example.com/x"
    assert account.taken[2]["text"] == {"content": "好的\nhttps://example.com/x"}


def test_what_is_sent_is_utf_8_without_escapes(run: Run, place: str, clock: StillClock, service: Double) -> None:
    hear(run, made(place, clock), notice("订单😀"))

    body = service.requests[-1].body
    assert "订单😀".encode() in body
    assert b"\\u" not in body


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (notice(kind="promotion"), FailureReason.policy),
        (notice("x" * 21), FailureReason.content),
        (notice("two\nlines"), FailureReason.content),
        (notice(text="and a text"), FailureReason.content),
        (notice(page="pages/order"), FailureReason.content),
        (notice(values=(("thing1", "a"), ("thing1", "b"))), FailureReason.content),
        (WeChat(to="oOPENID", text="bell \x07"), FailureReason.content),
        (WeChat(to="oOPENID", text="x", page="pages/order"), FailureReason.content),
        (notice(to="张三"), FailureReason.address_invalid),
    ],
)
def test_what_wechat_would_refuse_is_refused_here(clock: StillClock, content: WeChat, reason: FailureReason) -> None:
    refusal = made("http://localhost:1", clock).refusal(content)

    assert refusal is not None
    assert refusal.reason is reason


def test_promotion_goes_where_it_is_allowed_or_the_person_asked_for_the_template(clock: StillClock) -> None:
    promotion = notice(kind="promotion")

    assert made("http://localhost:1", clock, allow_promotion=True).refusal(promotion) is None
    assert made("http://localhost:1", clock, product="subscribe").refusal(promotion) is None


def test_repeats_are_promised_only_when_asked_for_and_only_of_template_messages(clock: StillClock) -> None:
    assert made("http://localhost:1", clock).features.dedupe_by == "none"
    promising = made("http://localhost:1", clock, recognises_repeats=True)
    assert promising.features.dedupe_by == "key"
    assert promising.features.dedupe_window == timedelta(minutes=9)
    assert promising.refusal(WeChat(to="oOPENID", text="x")) is not None
    for more in ({"product": "subscribe"}, {"products": {"T2": "subscribe"}}):
        with pytest.raises(ValidationError, match="template messages alone"):
            made("http://localhost:1", clock, recognises_repeats=True, **more)


def test_a_message_wechat_says_it_has_was_accepted(
    run: Run, place: str, clock: StillClock, account: WeChatService
) -> None:
    account.scripted = [45065]

    answer = hear(run, made(place, clock), notice())

    assert isinstance(answer, Sent)
    assert answer.note


def test_a_code_nobody_knows_ends_no_address(run: Run, place: str, clock: StillClock, account: WeChatService) -> None:
    account.scripted = [99999]

    answer = hear(run, made(place, clock), notice())

    assert isinstance(answer, Rejected)
    assert (answer.reason, answer.code) == (FailureReason.unknown, "99999")


def test_what_is_used_up_comes_back_at_midnight_in_shanghai(
    run: Run, place: str, clock: StillClock, account: WeChatService
) -> None:
    account.scripted = [45009]

    answer = hear(run, made(place, clock), notice())

    assert isinstance(answer, Unavailable)
    assert answer.retry_after == timedelta(hours=7, minutes=30).total_seconds()  # it is 16:30 there


# --- tokens ----------------------------------------------------------------------------------------------------------


def test_a_token_is_fetched_once_for_all_workers(
    run: Run, place: str, clock: StillClock, account: WeChatService
) -> None:
    keep = MemoryKeep(clock)
    workers = [OfficialProvider("wechat", {**OPTIONS, "url": place}, ENV, keep=keep, now=clock) for _ in range(3)]

    async def all_at_once() -> list[object]:
        found = await asyncio.gather(*(worker.send([outgoing(notice())] * 3) for worker in workers))
        for worker in workers:
            await worker.close()
        return [answer for each in found for answer in each]

    assert all(isinstance(answer, Sent) for answer in run(all_at_once()))
    assert account.fetched == 1


def test_a_token_is_renewed_before_it_ends_while_both_hold(
    run: Run, place: str, clock: StillClock, account: WeChatService, service: Double
) -> None:
    provider = made(place, clock)
    used = []
    for later in (timedelta(), timedelta(minutes=114), timedelta(minutes=115), timedelta(minutes=116)):
        clock.instant = NOW + later
        assert isinstance(hear(run, provider, notice()), Sent)
        used.append(service.requests[-1].query["access_token"])

    assert used == ["TOKEN-1", "TOKEN-1", "TOKEN-2", "TOKEN-2"]


@pytest.mark.parametrize("code", [40001, 40014, 42001])
def test_a_token_that_is_called_spent_is_renewed_once(
    run: Run, place: str, clock: StillClock, account: WeChatService, code: int
) -> None:
    provider = made(place, clock)
    hear(run, provider, notice())
    account.end_tokens()
    account.scripted = [code]

    assert isinstance(hear(run, provider, notice()), Misconfigured)  # the first answer is of the ended token
    assert account.fetched == 2
    assert isinstance(hear(run, provider, notice()), Sent)


def test_a_token_ended_by_force_elsewhere_is_renewed_and_the_message_sent(
    run: Run, place: str, clock: StillClock, account: WeChatService, service: Double
) -> None:
    provider = made(place, clock)
    hear(run, provider, notice())
    account.end_tokens()

    assert isinstance(hear(run, provider, notice(), number=1), Sent)
    assert len(account.taken) == 2
    assert account.forced == []
    assert b'"force_refresh":false' in service.requests[0].body


@pytest.mark.parametrize("code", [40001, 40013, 40125, 40164, 40243])
def test_no_token_is_our_own_fault_and_no_message_left(
    run: Run, place: str, clock: StillClock, service: Double, account: WeChatService, code: int
) -> None:
    service.about = lambda request: request.route == "/cgi-bin/stable_token"
    service.mood = saying(said(code))

    answer = hear(run, made(place, clock), notice())

    assert isinstance(answer, Misconfigured)
    assert answer.code == str(code)
    assert account.taken == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"access_token":1}', b'{"errcode":-1}'])
def test_without_a_token_a_message_is_only_late(
    run: Run, place: str, clock: StillClock, service: Double, body: bytes
) -> None:
    service.about = lambda request: request.route == "/cgi-bin/stable_token"
    service.mood = saying(Response(200, body))

    assert isinstance(hear(run, made(place, clock), notice()), Unavailable)


@pytest.mark.parametrize("mood", [silent, cutting, rubbish], ids=lambda mood: mood.__name__)
def test_a_token_whose_answer_is_lost_leaves_no_doubt_about_the_message(
    run: Run, place: str, clock: StillClock, service: Double, account: WeChatService, mood: Mood
) -> None:
    service.about = lambda request: request.route == "/cgi-bin/stable_token"
    service.mood = mood

    assert isinstance(hear(run, made(place, clock), notice(), timeout=0.5), Unavailable)
    assert account.taken == []


def test_the_double_gives_out_tokens_as_wechat_does(clock: StillClock, account: WeChatService) -> None:
    def asked(*, force: bool = False) -> dict[str, object]:
        said = {"grant_type": "client_credential", "appid": APP, "secret": account.secret, "force_refresh": force}
        found: dict[str, object] = json.loads(
            account.handle(Request("POST", "/cgi-bin/stable_token", {}, json.dumps(said).encode())).body
        )
        return found

    def works(token: object) -> bool:
        answer = account.handle(Request("GET", f"/cgi-bin/getcallbackip?access_token={token}", {}, b""))
        return b"ip_list" in answer.body

    first = asked()["access_token"]
    clock.instant = NOW + timedelta(minutes=116)
    second = asked()["access_token"]
    assert first != second == asked()["access_token"]
    assert works(first)
    assert works(second)
    clock.instant = NOW + timedelta(minutes=120)
    assert not works(first)
    assert asked(force=True)["access_token"] not in (first, second)
    assert not works(second)
    assert asked(force=True)["errcode"] == 45009  # within 30 seconds


# --- what comes in ---------------------------------------------------------------------------------------------------


SEALING = Sender("outreachtoken", APP, KEY)
PLAIN = Sender("outreachtoken", APP)

GENUINE = [
    event("TEMPLATESENDJOBFINISH", "<MsgID>1</MsgID><Status><![CDATA[success]]></Status>"),
    event("TEMPLATESENDJOBFINISH", "<MsgID>2</MsgID><Status><![CDATA[failed:user block]]></Status>"),
    event("TEMPLATESENDJOBFINISH", "<MsgID>3</MsgID><Status><![CDATA[failed: system failed]]></Status>"),
    event("TEMPLATESENDJOBFINISH", "<MsgID>4</MsgID><Status><![CDATA[failed:freq limit]]></Status>"),
    event("subscribe"),
    event("unsubscribe", at=1768465811),
    event(
        "subscribe_msg_popup_event",
        "<SubscribeMsgPopupEvent><List><TemplateId>T1</TemplateId><SubscribeStatusString>accept"
        "</SubscribeStatusString></List><List><TemplateId>T1</TemplateId><SubscribeStatusString>reject"
        "</SubscribeStatusString></List></SubscribeMsgPopupEvent>",
    ),
    event(
        "subscribe_msg_sent_event",
        "<SubscribeMsgSentEvent><List><TemplateId>T1</TemplateId><MsgID>5</MsgID><ErrorCode>43101</ErrorCode>"
        "<ErrorStatus>x</ErrorStatus></List></SubscribeMsgSentEvent>",
    ),
    "<xml><FromUserName>o1</FromUserName><CreateTime>1768465800</CreateTime><MsgType>text</MsgType>"
    "<Content>退订</Content><MsgId>77</MsgId></xml>",
]


class OfReports(ReceiptContract):
    sender: Sender

    @pytest.fixture
    def env(self) -> Mapping[str, str]:
        return ENV

    @pytest.fixture
    def genuine(self) -> Sequence[Callback]:
        return [self.sender.post(body) for body in GENUINE]

    @pytest.fixture
    def sign(self) -> Callable[[bytes], Callback]:
        return self.sender.post

    @pytest.fixture
    def unknown_words(self) -> Callback:
        return self.sender.post(event("a_new_event"))

    @pytest.fixture
    def forged(self) -> Sequence[Callback]:
        (body, *_), right = GENUINE, self.sender
        stale = [replace(right, at=AT + timedelta(seconds=late)) for late in (-301, 301)]
        return [
            *(one.post(body) for one in (*stale, replace(right, token="another"))),
            replace(right.post(body), url="https://shop.example.com/hooks/wechat"),
            replace(right.post(body), url=right.post(body).url.replace("nonce=1", "nonce=2")),
        ]


class TestSealedReports(OfReports):
    sender = SEALING

    @pytest.fixture
    def provider(self) -> Provider:
        return made("http://localhost:1", StillClock())

    @pytest.fixture
    def forged(self) -> Sequence[Callback]:
        """A sealed report is signed with its body; a plain one is not believed where reports are sealed."""
        (body, *_), right = GENUINE, self.sender
        sent = right.post(body)
        return [
            *(one.post(body) for one in (replace(right, at=AT - timedelta(seconds=301)), replace(right, token="x"))),
            replace(sent, body=sent.body.replace(b"<Encrypt><![CDATA[", b"<Encrypt><![CDATA[AAAA")),
            replace(right, identity="wxffffffffffffffff").post(body),
            PLAIN.post(body),
        ]


class TestPlainReports(OfReports):
    sender = PLAIN

    @pytest.fixture
    def provider(self) -> Provider:
        return made("http://localhost:1", StillClock(), aes_key_env=None)


def heard(run: Run, body: str) -> list[tuple[ReceiptType, FailureReason | None, str | None, str]]:
    found = run(made("http://localhost:1", StillClock()).receipts(SEALING.post(body))).receipts
    return [(one.type, one.reason, one.provider_id, one.detail) for one in found]


def test_what_happened_is_told_in_our_words(run: Run) -> None:
    found = [heard(run, body) for body in GENUINE]

    assert found[0] == [(ReceiptType.delivered, None, "1", "success")]
    assert found[1] == [(ReceiptType.bounced, FailureReason.opted_out, "2", "failed:userblock")]
    assert found[2] == [(ReceiptType.bounced, FailureReason.unknown, "3", "failed:systemfailed")]
    assert found[3] == [(ReceiptType.bounced, FailureReason.policy, "4", "failed:freqlimit")]
    assert found[4] == [(ReceiptType.resubscribed, None, None, "")]
    assert found[6] == [(ReceiptType.granted, None, None, "T1"), (ReceiptType.revoked, None, None, "T1")]
    assert found[7] == [(ReceiptType.bounced, FailureReason.policy, "5", "T1")]
    assert found[8] == [(ReceiptType.replied, None, None, "退订")]


def test_two_notifications_of_one_second_are_two_reports(run: Run) -> None:
    provider = made("http://localhost:1", StillClock())
    bodies = [GENUINE[7], GENUINE[7].replace("<MsgID>5", "<MsgID>6")]

    names = [one.event_id for body in bodies for one in run(provider.receipts(SEALING.post(body))).receipts]

    assert len(set(names)) == 2
    assert not any("oOPENID" in name for name in names)


def test_who_answers_with_a_word_that_stops_wants_no_more(run: Run) -> None:
    provider = made("http://localhost:1", StillClock())

    (stops,) = run(provider.receipts(SEALING.post(GENUINE[8]))).receipts
    (asks,) = run(provider.receipts(SEALING.post(GENUINE[8].replace("退订", "怎么退订？")))).receipts

    assert stops.opt_out
    assert not asks.opt_out


def test_the_check_of_the_address_is_answered_with_its_word(run: Run) -> None:
    heard = run(made("http://localhost:1", StillClock()).receipts(SEALING.check("4375120948345356249")))

    assert (heard.status, heard.body, heard.receipts) == (200, b"4375120948345356249", ())


def test_no_report_is_believed_without_a_token(run: Run) -> None:
    without = made("http://localhost:1", StillClock(), token_env=None, aes_key_env=None)

    assert not without.features.receipts
    for callback in (PLAIN.post(GENUINE[0]), PLAIN.check("1")):
        with pytest.raises(InvalidReceipt, match="No token"):
            run(without.receipts(callback))


def test_a_key_that_is_none_is_asked_for_by_name() -> None:
    with pytest.raises(Misconfigured, match="WECHAT_AES_KEY"):
        made("http://localhost:1", StillClock(), {**ENV, "WECHAT_AES_KEY": "too short"})


def test_a_refusal_ends_nothing_for_a_template_alone(
    run: Run, place: str, clock: StillClock, account: WeChatService
) -> None:
    account.scripted = [43101]

    answer = hear(run, made(place, clock, product="subscribe"), notice())

    assert isinstance(answer, Rejected)
    assert not answer.reason.ends_address


def test_every_attempt_of_a_message_is_the_same_to_wechat(
    run: Run, place: str, clock: StillClock, account: WeChatService
) -> None:
    provider = made(place, clock)
    one = Outgoing(7, "a" * 32, notice(), NOW)
    for _ in range(2):
        run(answers(provider, [one]))

    assert [taken["client_msg_id"] for taken in account.taken] == ["a" * 32]

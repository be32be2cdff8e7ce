"""SMS by Alibaba Cloud, against a double that verifies what the real service verifies."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from doubles import aliyun as double
from doubles.aliyun import Aliyun
from doubles.vectors import cases
from pydantic import SecretStr, ValidationError

from channels.contract import Answer, Asked, Callback, Content, Provider, Receipt, ReceiptType, Sent, Sms
from channels.errors import FailureReason, InvalidReceipt, Misconfigured, Rejected, SendError, Unavailable, Uncertain
from channels.sms import acs3
from channels.sms.aliyun import CODES, AliyunProvider
from channels.sms.approved import Keys
from channels.testing import (
    Accepted,
    ApiContract,
    Double,
    ReceiptContract,
    Request,
    Response,
    Run,
    answers,
    everything,
    outgoing,
)
from channels.testing.double import cutting, saying

NOW = datetime(2026, 1, 15, 8, 30, tzinfo=UTC)
ENV = {
    "ALIYUN_ID": "LTAI4TESTACCESSKEYID",
    "ALIYUN_SECRET": "testAccessKeySecretForVectors01",
    "ALIYUN_REPORTS": "hunter2-of-the-reports",
}
OPTIONS = {
    "access_key_id_env": "ALIYUN_ID",
    "access_key_secret_env": "ALIYUN_SECRET",
    "receipts_key_env": "ALIYUN_REPORTS",
    "sign_name": "示例签名",
}
HOOK = "https://shop.example.com/hooks/sms"
NOBODY = "+8613999999999"


def provider_at(address: str, env: Mapping[str, str] = ENV, **options: Any) -> AliyunProvider:
    return AliyunProvider("sms", {**OPTIONS, "url": address, **options}, env, now=lambda: NOW)


def sms(number: int = 0, **other: Any) -> Sms:
    told = {"to": f"+86138{number:08}", "text": f"【示例签名】订单A{number} is on its way", "template": "SMS_100000001"}
    return Sms(**{**told, "params": (("order", f"A{number}"),), **other})


def key_of(phone: str) -> str:
    return f"contract-{int(phone[3:])}"


@pytest.fixture
def account() -> Aliyun:
    return Aliyun(lambda: NOW, dead={NOBODY.removeprefix("+86")})


@pytest.fixture
def service(account: Aliyun) -> Double:
    return Double(account.handle)


def send(run: Run, service: Double, *contents: Content, **options: Any) -> Sequence[Answer]:
    """What is answered to these messages, over real sockets."""
    provider = provider_at(run(service.start()), **options)
    found = run(answers(provider, [outgoing(content, number) for number, content in enumerate(contents)]))
    run(service.stop())
    return found


def look_up(run: Run, service: Double, asked: Sequence[Asked], now: datetime = NOW) -> Sequence[Receipt | None]:
    address = run(service.start())
    provider = AliyunProvider("sms", {**OPTIONS, "url": address}, ENV, now=lambda: now)

    async def ask() -> Sequence[Receipt | None]:
        try:
            return await provider.look_up(asked, 5.0)
        finally:
            await provider.close()

    try:
        return run(ask())
    finally:
        run(service.stop())


class TestAliyun(ApiContract):
    @pytest.fixture
    def options(self) -> dict[str, Any]:
        return {}

    @pytest.fixture
    def service(self, account: Aliyun) -> Double:
        return Double(account.handle)

    @pytest.fixture
    def at(self, options: dict[str, Any]) -> Callable[[str], Provider]:
        return lambda address: provider_at(address, **options)

    @pytest.fixture
    def accepted(self, account: Aliyun) -> Callable[[], list[Accepted]]:
        return lambda: [Accepted(key_of(one.phone), one.biz_id if one.out_id else None) for one in account.taken]

    @pytest.fixture
    def content(self) -> Callable[[int], Content]:
        return sms

    @pytest.fixture
    def inexpressible(self, provider: Provider) -> Sequence[Content]:
        return [
            sms(template=None),
            sms(template="1110"),
            sms(params=(("order", ""),)),
            sms(params=(("order", "A1"), ("order", "A2"))),
            sms(params=(("order", "x" * 36),)),
            sms(params=(("order", "https://example.com/o"),)),
            sms(params=(("order", "\ud800"),)),
            sms(text="字" * 501),
            sms(to="13800138000"),
            sms(to="+861062345678"),
            sms(to="+13105550123"),
            sms(to=""),
        ]

    @pytest.fixture
    def can_reject(self) -> bool:
        return True

    @pytest.fixture
    def rejected_content(self) -> Content:
        return sms(to=NOBODY)

    @pytest.fixture
    def has_credentials(self) -> bool:
        return True

    @pytest.fixture
    def env(self) -> Mapping[str, str]:
        return ENV

    @pytest.fixture
    def make(self, place: str, options: dict[str, Any]) -> Callable[[Mapping[str, str]], Provider]:
        return lambda env: provider_at(place, env, **options)

    @pytest.fixture
    def locked_out(self, make: Callable[[Mapping[str, str]], Provider]) -> Provider:
        return make({**ENV, "ALIYUN_SECRET": "another secret"})

    @pytest.fixture
    def hands_over(self) -> Callable[[Request], bool]:
        return lambda request: request.headers["x-acs-action"] in ("SendSms", "SendBatchSms")

    @pytest.fixture
    def status_decides(self) -> bool:
        return False

    @pytest.fixture
    def throttled(self) -> Response:
        return double.saying("Throttling.User")


class TestAliyunTogether(TestAliyun):
    """The same with many numbers in a request."""

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        return {"batch": 5}


# --- the signatures --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", cases("aliyun_acs3_hmac_sha256.json"), ids=lambda case: case["name"])
def test_a_request_is_signed_as_in_the_vectors(case: dict[str, Any]) -> None:
    given, expected = case["input"], case["expected"]
    keys = Keys(
        given.get("access_key_id", ENV["ALIYUN_ID"]), SecretStr(given.get("access_key_secret", ENV["ALIYUN_SECRET"]))
    )
    query = acs3.query_of(given["query"])
    canonical = acs3.canonical_request(given["method"], query, given["headers_to_sign"])

    assert query == expected.get("canonical_query", query)
    assert canonical == expected.get("canonical_request", canonical)
    assert acs3.string_to_sign(canonical) == expected.get("string_to_sign", acs3.string_to_sign(canonical))
    assert acs3.authorization(given["method"], query, given["headers_to_sign"], keys) == expected["authorization"]


@pytest.mark.parametrize("case", cases("aliyun_acs3_hmac_sha256.json")[:2], ids=lambda case: case["name"])
def test_the_headers_of_a_call_are_those_of_the_vectors(case: dict[str, Any]) -> None:
    given = case["input"]
    signed = given["headers_to_sign"]
    query = acs3.query_of(given["query"])
    call = acs3.Call(
        signed["x-acs-action"],
        signed["x-acs-version"],
        given["host"],
        query,
        given["body"].encode(),
        signed.get("content-type", ""),
    )
    keys = Keys(ENV["ALIYUN_ID"], SecretStr(ENV["ALIYUN_SECRET"]))

    headers = acs3.headers_of(call, keys, NOW, signed["x-acs-signature-nonce"])

    assert headers == {**signed, "authorization": case["expected"]["authorization"]}


@pytest.mark.parametrize("case", cases("aliyun_rpc_hmac_sha1.json"), ids=lambda case: case["name"])
def test_the_double_knows_the_older_signature_too_as_the_service_does(account: Aliyun, case: dict[str, Any]) -> None:
    given, expected = case["input"], case["expected"]
    params, method = expected["all_signed_params"], given["method"]
    assert double.rpc_string(method, params) == expected["string_to_sign"]
    assert double.rpc_signature(method, params, ENV["ALIYUN_SECRET"]) == expected["signature"]

    account.templates = {"SMS_154950909": frozenset({"name"})}
    form = {name: params[name] for name in given["form_body_params"]}
    query = {name: value for name, value in params.items() if name not in form} | {"Signature": expected["signature"]}
    kind = {"content-type": "application/x-www-form-urlencoded"} if form else {}
    request = Request(method, f"/?{acs3.query_of(query)}", kind, acs3.query_of(form).encode())

    assert json.loads(account.handle(request).body)["Code"] == "OK"
    assert json.loads(account.handle(request).body)["Code"] == "SignatureNonceUsed"
    account.nonces.clear()
    altered = replace(request, path=request.path.replace("SMS_154950909", "SMS_154950900"))
    assert json.loads(account.handle(altered).body)["Code"] == "SignatureDoesNotMatch"


def test_keys_that_last_for_hours_come_with_their_token(run: Run, account: Aliyun, service: Double) -> None:
    account.token = "token-of-an-hour"
    env = {**ENV, "ALIYUN_TOKEN": "token-of-an-hour"}

    (answer,) = send(run, service, sms(), env=env, security_token_env="ALIYUN_TOKEN")

    assert isinstance(answer, Sent)
    assert "x-acs-security-token" in service.requests[0].headers["authorization"]


def test_a_clock_that_is_wrong_by_more_than_a_quarter_of_an_hour_is_said_to_be(
    run: Run, account: Aliyun, service: Double
) -> None:
    account.now = lambda: NOW + timedelta(minutes=16)

    (answer,) = send(run, service, sms())

    assert isinstance(answer, Unavailable)
    assert "clock" in str(answer)
    assert account.taken == []


def test_each_try_has_a_nonce_of_its_own(run: Run, service: Double) -> None:
    send(run, service, sms(1), sms(2))

    assert len({request.headers["x-acs-signature-nonce"] for request in service.requests}) == 2


# --- what it answers -------------------------------------------------------------------------------------------------

#: rows of the table that we read with more care, for one message must not become two (D1, D6)
MORE_CAREFUL = {
    "InternalError": "HTTP 500: what failed inside may have failed after the message was taken",
    "SignatureNonceUsed": "our nonces are never used twice: this very request has come before, and perhaps further",
}
OUTCOMES: Mapping[str, type[Sent | SendError]] = {
    "ok": Sent,
    "throttle": Unavailable,
    "retry": Unavailable,
    "config": Misconfigured,
    "suppress": Rejected,
    "content": Rejected,
    "permanent": Rejected,
}
ROWS = [row for row in cases("error_classes.json") if row["provider"] == "aliyun-dysms"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["code"])
def test_what_a_code_means(run: Run, service: Double, row: dict[str, Any]) -> None:
    service.mood = saying(double.saying(row["code"]))

    (answer,) = send(run, service, sms())

    assert type(answer) is (Uncertain if row["code"] in MORE_CAREFUL else OUTCOMES[row["cls"]])
    if isinstance(answer, Rejected):
        assert answer.reason.ends_address == (row["cls"] == "suppress")
        assert (answer.reason is FailureReason.content) == (row["cls"] == "content")
    if isinstance(answer, SendError):
        assert answer.code == row["code"]
        assert "words that say more" not in everything(answer)


def test_every_row_of_the_table_is_a_row_of_ours() -> None:
    if not ROWS:
        pytest.skip("error_classes.json is not here (OUTREACH_DATA names its folder)")
    known = {"OK", *CODES}
    assert [row["code"] for row in ROWS if not known & {row["code"], f"{row['code'].partition('.')[0]}.*"}] == []


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (Response(200, b'{"Code":"isv.NEVER_HEARD_OF","Message":"x"}'), Rejected),
        (Response(400, b'{"Code":"NeverHeardOf","Message":"x"}'), Rejected),
        (Response(403, b'{"Code":"Forbidden.RAM","Message":"x"}'), Misconfigured),
        (Response(500, b'{"Code":"NeverHeardOf","Message":"x"}'), Uncertain),
        (Response(200, b'{"Code":"OK","Message":"OK"}'), Sent),
        (Response(502, b'{"Code":"OK","Message":"OK"}'), Uncertain),
        (Response(429, b'{"Code":"Throttling.Api","Message":"x"}'), Unavailable),
        (Response(400, b'{"Code":"InvalidSecurityToken.Expired","Message":"x"}'), Misconfigured),
        (Response(400, b'{"Code":"InvalidSecurityToken.MismatchWithAccessKey","Message":"x"}'), Misconfigured),
        (Response(400, b'{"Code":"MissingSecurityToken","Message":"x"}'), Misconfigured),
        (Response(400, b'{"Code":"InvalidAccessKeyId.Inactive","Message":"x"}'), Misconfigured),
        (Response(400, b'{"Code":"IncompleteSignature","Message":"x"}'), Misconfigured),
        (Response(200, b'{"Code":"isp.UNKNOWN","Message":"x"}'), Uncertain),
    ],
)
def test_codes_that_are_not_in_the_table(run: Run, service: Double, response: Response, kind: type[Answer]) -> None:
    service.mood = saying(response)

    (answer,) = send(run, service, sms())

    assert type(answer) is kind
    assert not (isinstance(answer, Rejected) and answer.reason.ends_address)


def test_a_limit_of_one_person_does_not_make_the_others_wait(run: Run, account: Aliyun, service: Double) -> None:
    account.per_minute = 0

    (answer,) = send(run, service, sms())

    assert isinstance(answer, Unavailable)
    assert answer.retry_after is None


def test_its_own_header_tells_thousandths_of_seconds_to_wait(run: Run, service: Double) -> None:
    service.mood = saying(double.saying("Throttling.User", {"x-acs-retry-after": "1500"}))

    (answer,) = send(run, service, sms())

    assert isinstance(answer, Unavailable)
    assert answer.retry_after == 1.5


# --- what goes out ---------------------------------------------------------------------------------------------------


def test_a_message_alone_carries_our_key(run: Run, account: Aliyun, service: Double) -> None:
    (answer,) = send(run, service, sms(7))

    (taken,) = account.taken
    assert isinstance(answer, Sent)
    assert (taken.phone, taken.out_id, taken.values) == ("13800000007", "contract-0", {"order": "A7"})
    assert answer.provider_id == taken.biz_id


def test_numbers_are_written_as_the_service_wants_them(run: Run, account: Aliyun, service: Double) -> None:
    send(run, service, sms(to="+8613800138000"), sms(to="+85251234567"), sms(to="+12025550123"))

    assert {one.phone for one in account.taken} == {"13800138000", "85251234567", "12025550123"}


def test_a_number_that_reads_like_one_of_the_mainland_without_its_plus_is_somebody_elses(
    run: Run, service: Double
) -> None:
    (answer,) = send(run, service, sms(to="+13105550123"))

    assert isinstance(answer, Rejected)
    assert not answer.reason.ends_address
    assert service.requests == []


def test_what_shares_a_request_has_the_template_and_the_places_in_common_and_each_number_once(
    run: Run, account: Aliyun, service: Double
) -> None:
    plain = sms(3, template="SMS_100000002", params=())
    contents = [sms(1), sms(2), sms(1, params=(("order", "B1"),)), plain, sms(to="+85251234567"), sms(4)]

    found = send(run, service, *contents, batch=3)

    assert [type(answer) for answer in found] == [Sent] * 6
    together: dict[str, list[str]] = {}
    for one in account.taken:
        together.setdefault(one.biz_id, []).append(one.phone)
    assert sorted(together.values()) == [
        ["13800000001"],
        ["13800000001", "13800000002", "13800000004"],
        ["13800000003"],
        ["85251234567"],
    ]
    assert len({answer.provider_id for answer in found if isinstance(answer, Sent)}) == 6


def test_a_request_for_many_that_is_refused_for_the_sake_of_one_goes_again_one_by_one(
    run: Run, account: Aliyun, service: Double
) -> None:
    found = send(run, service, sms(1), sms(to=NOBODY), sms(2), batch=3)

    assert [type(answer) for answer in found] == [Sent, Rejected, Sent]
    assert [request.headers["x-acs-action"] for request in service.requests] == ["SendBatchSms", *["SendSms"] * 3]
    assert len(account.taken) == 2


def test_a_lost_answer_to_many_leaves_all_of_them_unknown_and_none_goes_again(
    run: Run, account: Aliyun, service: Double
) -> None:
    service.mood = cutting

    found = send(run, service, sms(1), sms(2), batch=2)

    assert [type(answer) for answer in found] == [Uncertain, Uncertain]
    assert len(account.taken) == 2
    assert len(service.requests) == 1


def test_what_an_account_may_differ_in_is_an_option(run: Run, account: Aliyun, service: Double) -> None:
    link, long = sms(params=(("order", "www.example.com"),)), sms(params=(("order", "x" * 36),))
    provider = provider_at("http://localhost:1", links_in_values=True, longest_value=40, longest_text=20)

    assert provider.refusal(link) is None or "link" not in str(provider.refusal(link))
    assert "longest_text" in str(provider.refusal(long))
    assert provider_at("http://localhost:1", longest_value=36).refusal(long) is None


def test_the_sign_name_is_written_without_its_brackets() -> None:
    with pytest.raises(ValidationError, match="without the 【】"):
        provider_at("http://localhost:1", sign_name="【示例签名】")


def test_a_region_has_its_host() -> None:
    def host(**options: Any) -> str:
        return AliyunProvider("sms", {**OPTIONS, **options}, ENV).describe()

    assert "by dysmsapi.aliyuncs.com," in host()
    assert "by dysmsapi.aliyuncs.com," in host(region="cn-shanghai")
    assert "by dysmsapi.ap-southeast-1.aliyuncs.com," in host(region="ap-southeast-1")


# --- what is asked afterwards ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "err_code", "kind", "reason"),
    [
        (1, "", ReceiptType.accepted, None),
        (2, "MOBILE_NOT_ON_SERVICE", ReceiptType.bounced, FailureReason.address_full),
        (2, "MOBILE_IN_BLACK", ReceiptType.bounced, FailureReason.opted_out),
        (2, "NEVER_HEARD_OF", ReceiptType.bounced, FailureReason.unknown),
        (3, "DELIVERED", ReceiptType.delivered, None),
    ],
)
def test_a_message_whose_answer_was_lost_is_found_by_our_key(
    run: Run,
    account: Aliyun,
    service: Double,
    state: int,
    err_code: str,
    kind: ReceiptType,
    reason: FailureReason | None,
) -> None:
    service.mood = cutting
    (lost,) = send(run, service, sms(7))
    service.mood = Double(account.handle).mood
    account.taken[0].state, account.taken[0].err_code = state, err_code

    (told,) = look_up(run, service, [Asked("contract-0", sms(7), NOW)])

    assert isinstance(lost, Uncertain)
    assert told is not None
    assert (told.type, told.reason, told.key, told.to) == (kind, reason, "contract-0", sms(7).to)
    assert told.at == NOW
    assert "Content" not in told.raw


def test_what_it_does_not_know_it_does_not_tell(run: Run, account: Aliyun, service: Double) -> None:
    send(run, service, sms(7))

    assert look_up(run, service, [Asked("another key", sms(7), NOW), Asked("contract-0", sms(8), NOW)]) == [None, None]


def test_all_pages_of_all_days_since_then_are_looked_through(run: Run, account: Aliyun, service: Double) -> None:
    late = datetime(2026, 1, 15, 15, 55, tzinfo=UTC)  # five to midnight in Shanghai
    phone, values = "13800000007", {"order": "A7"}
    wanted = double.Taken(phone, "contract-0", "b", "SMS_100000001", values, late + timedelta(minutes=10))
    others = [double.Taken(phone, f"other-{n}", "b", "SMS_100000001", values, wanted.at) for n in range(60)]
    account.taken = [wanted, *others]
    account.now = lambda: late + timedelta(minutes=20)

    (told,) = look_up(run, service, [Asked("contract-0", sms(7), late)], now=late + timedelta(minutes=20))

    assert told is not None
    assert told.at == wanted.at


def test_a_message_of_many_is_found_by_what_the_request_was_called(run: Run, account: Aliyun, service: Double) -> None:
    first, second = send(run, service, sms(1), sms(2), batch=2)
    assert isinstance(first, Sent)
    assert isinstance(second, Sent)
    account.taken[1].state = 3

    asked = [Asked("contract-0", sms(1), NOW, first.provider_id), Asked("contract-1", sms(2), NOW, second.provider_id)]
    found = look_up(run, service, asked)

    assert [one and one.type for one in found] == [ReceiptType.accepted, ReceiptType.delivered]


def test_to_ask_without_being_let_in_raises_what_a_message_would_meet(
    run: Run, account: Aliyun, service: Double
) -> None:
    account.key_secret = "another secret"

    with pytest.raises(Misconfigured):
        look_up(run, service, [Asked("contract-0", sms(7), NOW)])


# --- what is reported ------------------------------------------------------------------------------------------------


def hook(body: bytes | str, key: str = ENV["ALIYUN_REPORTS"]) -> Callback:
    told = body if isinstance(body, bytes) else body.encode()
    return Callback("POST", f"{HOOK}?key={key}", {"content-type": "application/json"}, told, NOW)


def report(**other: Any) -> str:
    told = {
        "phone_number": "13800138000",
        "send_time": "2026-01-15 16:30:00",
        "report_time": "2026-01-15 16:30:04",
        "success": True,
        "err_code": "DELIVERED",
        "sms_size": "1",
        "biz_id": "900^0",
        "out_id": "key-1",
    }
    return json.dumps([{**told, **other}])


def answer_of(person: str, **other: Any) -> str:
    told = {"phone_number": "13800138000", "content": person, "send_time": "2026-01-15 16:40:00", "sequence_id": 17}
    return json.dumps([{**told, **other}])


class TestReportsOfAliyun(ReceiptContract):
    @pytest.fixture
    def provider(self) -> Provider:
        return provider_at("http://localhost:1")

    @pytest.fixture
    def env(self) -> Mapping[str, str]:
        return ENV

    @pytest.fixture
    def genuine(self) -> Sequence[Callback]:
        failed = report(success=False, err_code="INVALID_NUMBER", phone_number="85251234567", out_id="")
        return [hook(report()), hook(failed), hook(answer_of("退订")), hook(answer_of("thanks", sequence_id=18))]

    @pytest.fixture
    def sign(self) -> Callable[[bytes], Callback]:
        return hook

    @pytest.fixture
    def unknown_words(self) -> Callback:
        return hook('[{"phone_number": "13800138000", "something": "else"}]')

    @pytest.fixture
    def forged(self, genuine: Sequence[Callback]) -> Sequence[Callback]:
        bare = [replace(one, url=HOOK) for one in genuine]
        return [*bare, *(replace(one, url=f"{HOOK}?key=another") for one in genuine)]


def hear(run: Run, callback: Callback, **options: Any) -> Sequence[Receipt]:
    return run(provider_at("http://localhost:1", **options).receipts(callback)).receipts


PAYLOADS = [case for case in cases("inbound_payloads.json") if case["provider"] == "aliyun-dysms"]
TYPES = {"delivered": ReceiptType.delivered, "failed": ReceiptType.bounced, "reply": ReceiptType.replied}


@pytest.mark.parametrize("case", PAYLOADS, ids=lambda case: case["name"])
def test_reports_say_what_the_vectors_say(run: Run, case: dict[str, Any]) -> None:
    heard = run(provider_at("http://localhost:1").receipts(hook(case["input"]["body"])))

    wanted, thanks = case["expected"]["events"], case["expected"]["reply"]
    assert [one.type for one in heard.receipts] == [TYPES[event["type"]] for event in wanted]
    assert [one.to for one in heard.receipts] == [f"+86{event['address']}" for event in wanted]
    assert [one.provider_id for one in heard.receipts] == [event.get("provider_id") for event in wanted]
    assert all(
        one.detail == event["text"] for one, event in zip(heard.receipts, wanted, strict=True) if "text" in event
    )
    assert [one.opt_out for one in heard.receipts] == [event.get("opt_out", False) for event in wanted]
    assert (heard.status, heard.body.decode()) == (thanks["status"], thanks["body"])
    assert not any(one.reason is not None and one.reason.ends_address for one in heard.receipts)


def test_a_report_is_about_the_message_that_was_sent(run: Run, account: Aliyun, service: Double) -> None:
    alone, first, second, *_ = send(run, service, sms(to="+85251234567"), sms(1), sms(2), batch=3)
    assert isinstance(alone, Sent)
    told = [
        report(biz_id=one.biz_id, phone_number=one.phone, out_id=one.out_id, success=False, err_code="EMPTY")
        for one in account.taken
    ]

    heard = {one.to: one for body in told for one in hear(run, hook(body))}

    assert heard["+85251234567"].provider_id == alone.provider_id
    assert heard["+85251234567"].key == "contract-0"
    assert [heard[f"+8613800000{n:03}"].provider_id for n in (1, 2)] == [
        answer.provider_id for answer in (first, second) if isinstance(answer, Sent)
    ]
    assert heard["+8613800000001"].key is None


def test_names_made_of_a_number_do_not_show_it(run: Run) -> None:
    (told,) = hear(run, hook(report(out_id="")))

    assert "13800138000" not in f"{told.event_id} {told.provider_id}"


def test_local_time_is_that_of_shanghai_unless_told_otherwise(run: Run) -> None:
    (told,) = hear(run, hook(report()))
    (elsewhere,) = hear(run, hook(report()), time_zone="UTC")
    (old,) = hear(run, hook(answer_of("R", send_time="20260115164000")))
    (unreadable,) = hear(run, hook(report(report_time="soon")))

    assert told.at == datetime(2026, 1, 15, 8, 30, 4, tzinfo=UTC)
    assert elsewhere.at == datetime(2026, 1, 15, 16, 30, 4, tzinfo=UTC)
    assert old.at == datetime(2026, 1, 15, 8, 40, tzinfo=UTC)
    assert unreadable.at == NOW


@pytest.mark.parametrize(
    ("code", "options", "reason"),
    [
        ("MOBILE_IN_BLACK", {}, FailureReason.opted_out),
        ("USER_REJECT", {}, FailureReason.opted_out),
        ("MOBILE_NOT_ON_SERVICE", {}, FailureReason.address_full),
        ("SIGNATURE_BLACKLIST", {}, FailureReason.sender),
        ("SP_UNKNOWN_ERROR", {}, FailureReason.unknown),
        ("MOBILE_IN_BLACK", {"suppress": {"EMPTY": "address_unknown"}}, FailureReason.unknown),
        ("EMPTY", {"suppress": {"EMPTY": "address_unknown"}}, FailureReason.address_unknown),
    ],
)
def test_few_codes_end_a_number_and_the_list_is_an_option(
    run: Run, code: str, options: dict[str, Any], reason: FailureReason
) -> None:
    (told,) = hear(run, hook(report(success=False, err_code=code)), **options)

    assert (told.type, told.reason) == (ReceiptType.bounced, reason)


def test_without_a_key_nothing_is_believed(run: Run) -> None:
    provider = provider_at("http://localhost:1", receipts_key_env=None)

    assert not provider.features.receipts
    with pytest.raises(InvalidReceipt, match="No key is configured"):
        run(provider.receipts(hook(report())))


# --- as the vendor's own library does it -----------------------------------------------------------------------------

RECORDED = [case for case in cases("sdk_wire_recordings.json") if case["sdk"].startswith("alibabacloud")]


def recorded(case: Mapping[str, Any], secret: str) -> tuple[Request, datetime]:
    """A request as it was recorded, signed anew without the header that was not kept; and its instant."""
    told = case["request"]
    query = acs3.query_of(dict(told["query"]))
    headers = {name: value for name, value in told["headers"].items() if name != "authorization"}
    keys = Keys(ENV["ALIYUN_ID"], SecretStr(secret))
    signed = {**headers, "authorization": acs3.authorization(told["method"], query, headers, keys)}
    at = datetime.strptime(headers["x-acs-date"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return Request(told["method"], f"{told['path']}?{query}", signed, told["body"].encode()), at


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case["name"])
def test_the_double_answers_a_recorded_request_as_the_service_did(account: Aliyun, case: dict[str, Any]) -> None:
    wrong = "SignatureDoesNotMatch" in case["sdk_result"]
    request, at = recorded(case, "another secret" if wrong else ENV["ALIYUN_SECRET"])
    account.now = lambda: at
    account.says = "isv.BUSINESS_LIMIT_CONTROL" if "isv.BUSINESS_LIMIT_CONTROL" in case["sdk_result"] else None

    response = account.handle(request)

    assert json.loads(response.body)["Code"] in case["sdk_result"]
    assert response.status == (400 if wrong else 200)


@pytest.mark.parametrize("case", [RECORDED[0], RECORDED[3]] if RECORDED else [], ids=lambda case: case["name"])
def test_our_requests_have_the_fields_of_the_recorded_ones(run: Run, service: Double, case: dict[str, Any]) -> None:
    first = sms(to="+8613800138000", template="SMS_154950909", params=(("name", "张三"),))
    second = sms(to="+8613900139000", template="SMS_154950909", params=(("name", "李四"),))
    many = "Batch" in case["name"]

    send(run, service, first, *([second] if many else []), batch=2)

    (ours,) = service.requests
    told = case["request"]
    expected = dict(told["query"]) | ({} if many else {"OutId": "contract-0"})
    assert ours.query == expected
    assert ours.body.decode() == told["body"]
    kept = {"x-acs-version", "x-acs-action", "content-type", "x-acs-content-sha256"} & set(told["headers"])
    assert {name: ours.headers[name] for name in kept} == {name: told["headers"][name] for name in kept}

"""SMS by Tencent Cloud, against a double that verifies what the real service verifies."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from doubles import tencent as double
from doubles.tencent import Taken, Tencent
from doubles.vectors import cases
from pydantic import SecretStr, ValidationError

from channels.contract import Answer, Asked, Callback, Content, Provider, Receipt, ReceiptType, Sent, Sms
from channels.errors import FailureReason, InvalidReceipt, Misconfigured, Rejected, SendError, Unavailable, Uncertain
from channels.sms import tc3
from channels.sms.approved import Keys
from channels.sms.tencent import CODES, TencentProvider
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
    "TENCENT_ID": "AKIDTESTSECRETIDFORVECTORS0000000001",
    "TENCENT_KEY": "testSecretKeyForVectors000000001",
    "TENCENT_REPORTS": "hunter2-of-the-reports",
}
OPTIONS = {
    "secret_id_env": "TENCENT_ID",
    "secret_key_env": "TENCENT_KEY",
    "receipts_key_env": "TENCENT_REPORTS",
    "app_id": "1400006666",
    "sign_name": "示例签名",
}
HOOK = "https://shop.example.com/hooks/sms"
NOBODY = "+8613999999999"


def provider_at(
    address: str, env: Mapping[str, str] = ENV, now: Callable[[], datetime] = lambda: NOW, **options: Any
) -> TencentProvider:
    return TencentProvider("sms", {**OPTIONS, "url": address, **options}, env, now=now)


def sms(number: int = 0, **other: Any) -> Sms:
    told = {"to": f"+86138{number:08}", "text": f"【示例签名】订单A{number} is on its way", "template": "1110"}
    return Sms(**{**told, "params": (("1", f"A{number}"),), **other})


@pytest.fixture
def account() -> Tencent:
    return Tencent(lambda: NOW, dead={NOBODY})


@pytest.fixture
def service(account: Tencent) -> Double:
    return Double(account.handle)


def send(run: Run, service: Double, *contents: Content, **options: Any) -> Sequence[Answer]:
    """What is answered to these messages, over real sockets."""
    provider = provider_at(run(service.start()), **options)
    found = run(answers(provider, [outgoing(content, number) for number, content in enumerate(contents)]))
    run(service.stop())
    return found


def look_up(run: Run, service: Double, *asked: Asked) -> Sequence[Receipt | None]:
    provider = provider_at(run(service.start()))

    async def ask() -> Sequence[Receipt | None]:
        try:
            return await provider.look_up(asked, 5.0)
        finally:
            await provider.close()

    try:
        return run(ask())
    finally:
        run(service.stop())


class TestTencent(ApiContract):
    @pytest.fixture
    def options(self) -> dict[str, Any]:
        return {}

    @pytest.fixture
    def service(self, account: Tencent) -> Double:
        return Double(account.handle)

    @pytest.fixture
    def at(self, options: dict[str, Any]) -> Callable[[str], Provider]:
        return lambda address: provider_at(address, **options)

    @pytest.fixture
    def accepted(self, account: Tencent) -> Callable[[], list[Accepted]]:
        return lambda: [Accepted(f"contract-{int(one.phone[6:])}", one.serial) for one in account.taken]

    @pytest.fixture
    def content(self) -> Callable[[int], Content]:
        return sms

    @pytest.fixture
    def inexpressible(self, provider: Provider) -> Sequence[Content]:
        return [
            sms(template=None),
            sms(template="SMS_100000001"),
            sms(params=(("1", " "),)),
            sms(params=(("1", "x" * 36),)),
            sms(params=(("1", "www.example.com"),)),
            sms(text="字" * 501),
            sms(to="13800138000"),
            sms(to="+862112345678"),
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
        return make({**ENV, "TENCENT_KEY": "another secret"})

    @pytest.fixture
    def hands_over(self) -> Callable[[Request], bool]:
        return lambda request: request.headers["x-tc-action"] == "SendSms"

    @pytest.fixture
    def status_decides(self) -> bool:
        return False

    @pytest.fixture
    def throttled(self) -> Response:
        return double.saying("RequestLimitExceeded")


class TestTencentTogether(TestTencent):
    """The same with many numbers in a request: all of them get the same values."""

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        return {"batch": 5}

    @pytest.fixture
    def content(self) -> Callable[[int], Content]:
        return lambda number: sms(number, params=(("1", "A1"),))


# --- the signature ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", cases("tencent_tc3_hmac_sha256.json"), ids=lambda case: case["name"])
def test_a_request_is_signed_as_in_the_vectors(case: dict[str, Any]) -> None:
    given, expected = case["input"], case["expected"]
    keys = Keys(ENV["TENCENT_ID"], SecretStr(given.get("secret_key", ENV["TENCENT_KEY"])))
    call = tc3.Call(
        given["service"],
        given.get("action", "DescribeInstances"),
        given.get("version", "2017-03-12"),
        given.get("region", "ap-guangzhou"),
        given.get("host", "sms.tencentcloudapi.com"),
        given["body"].encode(),
        given.get("content_type", tc3.JSON),
    )
    at = datetime.fromtimestamp(given["timestamp"], UTC)
    headers = tc3.headers_of(call, keys, at)

    assert tc3.canonical_request(call) == expected["canonical_request"]
    assert tc3.string_to_sign(call, at) == expected["string_to_sign"]
    assert headers["authorization"].endswith(f"Signature={expected['signature']}")
    told = {name.lower(): value for name, value in expected.get("headers", {}).items()}
    assert headers == {name: told.get(name, value) for name, value in headers.items()}


def test_keys_that_last_for_hours_come_with_their_token(run: Run, account: Tencent, service: Double) -> None:
    account.token = "token-of-an-hour"
    env = {**ENV, "TENCENT_TOKEN": "token-of-an-hour"}

    assert isinstance(send(run, service, sms(), env=env, token_env="TENCENT_TOKEN")[0], Sent)
    assert isinstance(send(run, service, sms())[0], Misconfigured)


def test_a_clock_that_is_wrong_by_more_than_five_minutes_is_said_to_be(
    run: Run, account: Tencent, service: Double
) -> None:
    account.now = lambda: NOW + timedelta(minutes=6)

    (answer,) = send(run, service, sms())

    assert isinstance(answer, Unavailable)
    assert "clock" in str(answer)
    assert account.taken == []


def test_the_day_of_a_signature_is_that_of_the_instant_in_utc(run: Run, account: Tencent, service: Double) -> None:
    late = datetime(2026, 1, 15, 23, 59, 59, tzinfo=UTC)
    account.now = lambda: late

    (answer,) = send(run, service, sms(), now=lambda: late.astimezone(UTC))

    assert isinstance(answer, Sent)
    assert "/2026-01-15/sms/tc3_request" in service.requests[0].headers["authorization"]


# --- what it answers -------------------------------------------------------------------------------------------------

OUTCOMES: Mapping[str, type[Sent | SendError]] = {
    "ok": Sent,
    "throttle": Unavailable,
    "retry": Unavailable,
    "config": Misconfigured,
    "suppress": Rejected,
    "content": Rejected,
    "permanent": Rejected,
    "ambiguous": Uncertain,
    "refresh": Misconfigured,  # the token stands in the environment: nobody here can fetch a new one
}
ROWS = [row for row in cases("error_classes.json") if row["provider"] == "tencent-sms"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["code"])
def test_what_a_code_means(run: Run, account: Tencent, service: Double, row: dict[str, Any]) -> None:
    if row["where"] == "per-number Code":
        account.says_of_each = row["code"]
    else:
        account.says = row["code"]

    (answer,) = send(run, service, sms())

    assert type(answer) is OUTCOMES[row["cls"]]
    if isinstance(answer, Rejected):
        assert answer.reason.ends_address == (row["cls"] == "suppress")
        assert (answer.reason is FailureReason.content) == (row["cls"] == "content")
    if isinstance(answer, SendError):
        assert answer.code == row["code"]
        assert "words that say more" not in everything(answer)


def test_every_row_of_the_table_is_a_row_of_ours() -> None:
    if not ROWS:
        pytest.skip("error_classes.json is not here (OUTREACH_DATA names its folder)")
    known = {"Ok", *CODES}
    assert [row["code"] for row in ROWS if not known & {row["code"], f"{row['code'].partition('.')[0]}.*"}] == []


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("RequestLimitExceeded.UinLimitExceeded", Unavailable),
        ("AuthFailure.InvalidAuthorization", Misconfigured),
        ("UnauthorizedOperation.SdkAppIdIsDisabled", Misconfigured),
        ("InvalidParameterValue.SignNameLengthTooLong", Rejected),
        ("InvalidParameterValue.SdkAppIdNotExist", Misconfigured),
        ("InvalidParameter.AppidAndBizId", Misconfigured),
        ("IpNotInWhitelist", Misconfigured),
        ("UnsupportedRegion", Misconfigured),
        ("LimitExceeded.AppGlobalDailyLimit", Misconfigured),
        ("LimitExceeded.GlobalSmsSendingRateLimit", Unavailable),
        ("LimitExceeded.NeverHeardOf", Unavailable),
        ("LimitExceeded.AppCountryOrRegionInBlacklist", Rejected),
        ("ServiceUnavailable", Unavailable),
        ("ResourceUnavailable", Unavailable),
        ("InternalError.RequestTimeException", Unavailable),
        ("InternalError.UnknownError", Uncertain),
        ("FailedOperation.NeverHeardOf", Rejected),
        ("NeverHeardOf", Rejected),
    ],
)
@pytest.mark.parametrize("of_each", [False, True], ids=["of the request", "of the number"])
def test_a_code_that_is_not_in_the_table_is_read_by_its_family(
    run: Run, account: Tencent, service: Double, code: str, kind: type[Answer], of_each: bool
) -> None:
    account.says, account.says_of_each = (None, code) if of_each else (code, None)

    (answer,) = send(run, service, sms())

    assert type(answer) is kind
    assert not (isinstance(answer, Rejected) and answer.reason.ends_address)


def test_D6_a_code_nobody_knows_beside_a_5xx_proves_nothing(run: Run, service: Double) -> None:
    service.mood = saying(Response(500, b'{"Response": {"Error": {"Code": "NeverHeardOf", "Message": "x"}}}'))

    (answer,) = send(run, service, sms())

    assert isinstance(answer, Uncertain)


def test_D1_of_two_answers_about_one_number_the_yes_counts(run: Run, service: Double) -> None:
    taken = {"PhoneNumber": "+8613800000000", "Code": "Ok", "SerialNo": "1"}
    refused = {"PhoneNumber": "+8613800000000", "Code": "LimitExceeded.PhoneNumberDailyLimit"}
    for told in ([taken, refused], [refused, taken]):
        service.mood = saying(Response(200, json.dumps({"Response": {"SendStatusSet": told}}).encode()))
        assert send(run, service, sms()) == [Sent("1")]


@pytest.mark.parametrize(
    "body",
    [
        {"Response": {"SendStatusSet": []}},
        {"Response": {"SendStatusSet": [{"PhoneNumber": "+8613900139000", "Code": "Ok", "SerialNo": "1"}]}},
        {"Response": {"SendStatusSet": [{"PhoneNumber": "+8613800000000"}]}},
        {"Response": {"SendStatusSet": {"Code": "Ok"}}},
        {"Response": {"Error": {"Message": "x"}}},
        {"Response": {"Error": None}},
    ],
)
def test_an_answer_that_says_nothing_of_the_number_proves_nothing(
    run: Run, service: Double, body: dict[str, Any]
) -> None:
    service.mood = saying(Response(200, json.dumps(body).encode()), taken=True)

    (answer,) = send(run, service, sms())

    assert isinstance(answer, Uncertain)


def test_a_number_that_was_taken_without_a_name_was_taken(run: Run, service: Double) -> None:
    body = {"Response": {"SendStatusSet": [{"PhoneNumber": "+8613800000000", "Code": "Ok"}]}}
    service.mood = saying(Response(200, json.dumps(body).encode()))

    assert send(run, service, sms()) == [Sent(None)]


@pytest.mark.parametrize(
    "code",
    [
        "LimitExceeded.PhoneNumberThirtySecondLimit",
        "LimitExceeded.PhoneNumberOneHourLimit",
        "LimitExceeded.PhoneNumberDailyLimit",
        "FailedOperation.MarketingSendTimeConstraint",
    ],
)
def test_a_limit_of_one_person_or_kind_does_not_make_the_others_wait(
    run: Run, account: Tencent, service: Double, code: str
) -> None:
    account.says_of_each = code

    (answer,) = send(run, service, sms())

    assert isinstance(answer, Unavailable)
    assert answer.retry_after is None


# --- what goes out ---------------------------------------------------------------------------------------------------


def test_a_message_alone_carries_our_key_and_its_values_in_their_order(
    run: Run, account: Tencent, service: Double
) -> None:
    account.templates = {"1110": 2}

    (answer,) = send(run, service, sms(7, params=(("2", "first"), ("1", "second"))))

    (taken,) = account.taken
    assert isinstance(answer, Sent)
    assert (taken.phone, taken.session, taken.values) == ("+8613800000007", "contract-0", ("first", "second"))
    assert answer.provider_id == taken.serial
    assert taken.wanted["SignName"] == "示例签名"


def test_abroad_there_are_other_names(run: Run, account: Tencent, service: Double) -> None:
    send(run, service, sms(to="+12025550123"))
    send(run, service, sms(to="+12025550123"), sign_name_abroad="Example", sender_id="EXAMPLE")

    first, second = (one.wanted for one in account.taken)
    assert "SignName" not in first
    assert "SenderId" not in first
    assert (second["SignName"], second["SenderId"]) == ("Example", "EXAMPLE")


def test_what_shares_a_request_has_all_values_in_common_and_each_number_once(
    run: Run, account: Tencent, service: Double
) -> None:
    same = (("1", "A1"),)
    contents = [sms(1), sms(2, params=same), sms(1), sms(3), sms(to="+12025550123", params=same), sms(4, params=same)]

    found = send(run, service, *contents, batch=200)

    assert [type(answer) for answer in found] == [Sent] * 6
    asked = sorted(json.loads(request.body)["PhoneNumberSet"] for request in service.requests)
    assert asked == [
        ["+12025550123"],
        ["+8613800000001"],
        ["+8613800000001", "+8613800000002", "+8613800000004"],
        ["+8613800000003"],
    ]
    sessions = {one.phone: one.session for one in account.taken}
    assert sessions["+8613800000003"] == "contract-3"
    assert sessions["+8613800000004"] == ""


def test_each_number_of_a_request_gets_its_own_answer_whatever_their_order(
    run: Run, account: Tencent, service: Double
) -> None:
    same = (("1", "A1"),)

    found = send(run, service, sms(1, params=same), sms(to=NOBODY, params=same), sms(2, params=same), batch=3)

    assert [type(answer) for answer in found] == [Sent, Rejected, Sent]
    assert len(service.requests) == 1
    serials = {one.phone: one.serial for one in account.taken}
    assert [answer.provider_id for answer in found if isinstance(answer, Sent)] == [
        serials["+8613800000001"],
        serials["+8613800000002"],
    ]


def test_a_request_for_many_that_is_refused_as_a_whole_goes_again_one_by_one(
    run: Run, account: Tencent, service: Double
) -> None:
    same = (("1", "A1"),)
    account.says = "InvalidParameterValue.IncorrectPhoneNumber"

    found = send(run, service, sms(1, params=same), sms(2, params=same), batch=2)

    assert [type(answer) for answer in found] == [Rejected, Rejected]
    assert len(service.requests) == 3


def test_a_lost_answer_to_many_leaves_all_of_them_unknown_and_none_goes_again(
    run: Run, account: Tencent, service: Double
) -> None:
    service.mood = cutting
    same = (("1", "A1"),)

    found = send(run, service, sms(1, params=same), sms(2, params=same), batch=2)

    assert [type(answer) for answer in found] == [Uncertain, Uncertain]
    assert len(service.requests) == 1


def test_wrong_options_are_said_at_once() -> None:
    with pytest.raises(ValidationError, match="app_id"):
        provider_at("http://localhost:1", app_id="my app")
    with pytest.raises(ValidationError, match="batch"):
        provider_at("http://localhost:1", batch=201)
    with pytest.raises(ValidationError, match="time zone"):
        provider_at("http://localhost:1", time_zone="Shanghai, China")


# --- what is asked afterwards ----------------------------------------------------------------------------------------


def test_what_the_carrier_said_is_found_by_the_name_it_was_given_or_by_our_key(
    run: Run, account: Tencent, service: Double
) -> None:
    first, *_ = send(run, service, sms(1), sms(2), sms(3))
    assert isinstance(first, Sent)
    for one in account.taken:
        one.state = "FAIL" if one.phone.endswith("2") else "SUCCESS"
    third = next(one for one in account.taken if one.phone.endswith("3"))
    third.session = ""

    found = look_up(
        run,
        service,
        Asked("contract-0", sms(1), NOW, first.provider_id),
        Asked("contract-1", sms(2), NOW),
        Asked("contract-2", sms(3), NOW),
        Asked("another key", sms(1), NOW),
    )

    assert [one and one.type for one in found] == [ReceiptType.delivered, ReceiptType.bounced, None, None]
    assert [one.reason for one in found if one is not None] == [None, FailureReason.unknown]


def test_nothing_is_asked_of_more_than_the_days_it_keeps(run: Run, account: Tencent, service: Double) -> None:
    old = NOW - timedelta(days=20)
    account.taken = [Taken("+8613800000001", "contract-0", "serial", (), {}, old, "SUCCESS")]

    assert look_up(run, service, Asked("contract-0", sms(1), old)) == [None]


def test_to_ask_without_being_let_in_raises_what_a_message_would_meet(
    run: Run, account: Tencent, service: Double
) -> None:
    account.secret_key = "another secret"

    with pytest.raises(Misconfigured):
        look_up(run, service, Asked("contract-0", sms(7), NOW))


# --- what is reported ------------------------------------------------------------------------------------------------


def hook(body: bytes | str, key: str = ENV["TENCENT_REPORTS"]) -> Callback:
    told = body if isinstance(body, bytes) else body.encode()
    return Callback("POST", f"{HOOK}?key={key}", {"content-type": "application/json"}, told, NOW)


def report(**other: Any) -> str:
    told = {
        "user_receive_time": "2026-01-15 16:30:04",
        "nationcode": "86",
        "mobile": "13800138000",
        "report_status": "SUCCESS",
        "errmsg": "DELIVRD",
        "description": "words of the carrier",
        "sid": "5000:1",
    }
    return json.dumps([{**told, **other}])


def answer_of(person: str, **other: Any) -> str:
    told = {"extend": "", "mobile": "13800138000", "nationcode": "86", "sign": "示例签名", "time": 1768466400}
    return json.dumps({**told, "text": person, **other})


class TestReportsOfTencent(ReceiptContract):
    @pytest.fixture
    def provider(self) -> Provider:
        return provider_at("http://localhost:1")

    @pytest.fixture
    def env(self) -> Mapping[str, str]:
        return ENV

    @pytest.fixture
    def genuine(self) -> Sequence[Callback]:
        failed = report(report_status="FAIL", errmsg="UNDELIV", sid="5000:2", ext="key-1")
        return [hook(report()), hook(failed), hook(answer_of("退订")), hook(answer_of("thanks", time=1768466401))]

    @pytest.fixture
    def sign(self) -> Callable[[bytes], Callback]:
        return hook

    @pytest.fixture
    def unknown_words(self) -> Callback:
        return hook(report(report_status="ON_THE_WAY"))

    @pytest.fixture
    def forged(self, genuine: Sequence[Callback]) -> Sequence[Callback]:
        bare = [replace(one, url=HOOK) for one in genuine]
        return [*bare, *(replace(one, url=f"{HOOK}?key=another") for one in genuine)]


def hear(run: Run, callback: Callback, **options: Any) -> Receipt:
    (told,) = run(provider_at("http://localhost:1", **options).receipts(callback)).receipts
    return told


PAYLOADS = [case for case in cases("inbound_payloads.json") if case["provider"] == "tencent-sms"]
TYPES = {"delivered": ReceiptType.delivered, "failed": ReceiptType.bounced, "reply": ReceiptType.replied}


@pytest.mark.parametrize("case", PAYLOADS, ids=lambda case: case["name"])
def test_reports_say_what_the_vectors_say(run: Run, case: dict[str, Any]) -> None:
    heard = run(provider_at("http://localhost:1").receipts(hook(case["input"]["body"])))

    wanted, thanks = case["expected"]["events"], case["expected"]["reply"]
    assert [one.type for one in heard.receipts] == [TYPES[event["type"]] for event in wanted]
    assert [one.to for one in heard.receipts] == [event["address"] for event in wanted]
    assert [one.provider_id for one in heard.receipts] == [event.get("provider_id") for event in wanted]
    assert all(
        one.detail == event["text"] for one, event in zip(heard.receipts, wanted, strict=True) if "text" in event
    )
    assert [one.opt_out for one in heard.receipts] == [event.get("opt_out", False) for event in wanted]
    assert (heard.status, heard.body.decode()) == (thanks["status"], thanks["body"])


def test_a_report_is_about_the_message_that_was_sent(run: Run, account: Tencent, service: Double) -> None:
    (answer,) = send(run, service, sms(1))
    (taken,) = account.taken

    told = hear(run, hook(report(sid=taken.serial, mobile="13800000001", ext=taken.session)))

    assert isinstance(answer, Sent)
    assert (told.provider_id, told.key, told.to) == (answer.provider_id, "contract-0", sms(1).to)


def test_instants_are_those_of_shanghai_or_seconds_of_all_the_world(run: Run) -> None:
    assert hear(run, hook(report())).at == datetime(2026, 1, 15, 8, 30, 4, tzinfo=UTC)
    assert hear(run, hook(report(user_receive_time="soon"))).at == NOW
    assert hear(run, hook(answer_of("hello"))).at == datetime(2026, 1, 15, 8, 40, tzinfo=UTC)
    assert hear(run, hook(answer_of("hello", time=1e300))).at == NOW


@pytest.mark.parametrize(
    ("code", "options", "reason"),
    [
        ("MK:0012", {}, FailureReason.address_unknown),
        ("MX:0012", {}, FailureReason.opted_out),
        ("UNDELIV", {}, FailureReason.address_full),
        ("EXPIRED", {}, FailureReason.expired),
        ("MB:1078", {}, FailureReason.unknown),
        ("MX:0012", {"suppress": {}}, FailureReason.unknown),
        ("MB:1078", {"suppress": {"MB:1078": "opted_out"}}, FailureReason.opted_out),
    ],
)
def test_few_codes_end_a_number_and_the_list_is_an_option(
    run: Run, code: str, options: dict[str, Any], reason: FailureReason
) -> None:
    told = hear(run, hook(report(report_status="FAIL", errmsg=code)), **options)

    assert (told.type, told.reason) == (ReceiptType.bounced, reason)


def test_without_a_key_nothing_is_believed(run: Run) -> None:
    provider = provider_at("http://localhost:1", receipts_key_env=None)

    assert not provider.features.receipts
    with pytest.raises(InvalidReceipt, match="No key is configured"):
        run(provider.receipts(hook(report())))


# --- as the vendor's own library does it -----------------------------------------------------------------------------

RECORDED = [case for case in cases("sdk_wire_recordings.json") if case["sdk"].startswith("tencentcloud")]


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case["name"])
def test_the_double_answers_a_recorded_request_as_the_service_did(account: Tencent, case: dict[str, Any]) -> None:
    told, wrong = case["request"], "AuthFailure" in case["sdk_result"]
    headers, body = dict(told["headers"]), told["body"].encode()
    at = datetime.fromtimestamp(int(headers["x-tc-timestamp"]), UTC)
    account.now, account.dead = (lambda: at), {"+8613900139000"}
    keys = Keys(ENV["TENCENT_ID"], SecretStr("another secret" if wrong else ENV["TENCENT_KEY"]))
    call = tc3.Call("sms", headers["x-tc-action"], headers["x-tc-version"], "", headers["host"], body)
    headers["authorization"] = tc3.authorization(call, keys, at)

    said = json.loads(account.handle(Request(told["method"], told["path"], headers, body)).body)["Response"]

    if wrong:
        assert said["Error"]["Code"] in case["sdk_result"]
    else:
        results = {one["PhoneNumber"]: one["Code"] for one in said["SendStatusSet"]}
        assert results["+8613800138000"] == "Ok"
        assert results["+8613900139000"] != "Ok"


@pytest.mark.parametrize("case", RECORDED[:1], ids=lambda case: case["name"])
def test_our_requests_have_the_fields_of_the_recorded_ones(run: Run, service: Double, case: dict[str, Any]) -> None:
    same = (("1", "张三"),)

    send(run, service, sms(to="+8613800138000", params=same), sms(to="+8613900139000", params=same), batch=2)

    (ours,) = service.requests
    told = case["request"]
    wanted = json.loads(told["body"])
    assert wanted.pop("SessionContext") == "msg-0001"  # of one message we say it, of many it would name the first
    assert json.loads(ours.body) == wanted
    kept = {"content-type", "x-tc-action", "x-tc-version", "x-tc-region"}
    assert {name: ours.headers[name] for name in kept} == {name: told["headers"][name] for name in kept}

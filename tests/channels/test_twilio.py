"""SMS through Twilio: codes, callbacks and signatures as Twilio has them."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from doubles import twilio as double
from doubles.twilio import ACCOUNT, NUMBER, SERVICE, Twilio, failure, inbound, json_report, report, status, today
from doubles.vectors import cases
from pydantic import ValidationError

from channels.contract import Answer, Asked, Callback, Content, Heard, Outgoing, Receipt, ReceiptType, Sent, Sms
from channels.errors import FailureReason, InvalidReceipt, Misconfigured, Rejected, SendError, Unavailable, Uncertain
from channels.sms.twilio import TwilioProvider
from channels.testing import (
    Accepted,
    ApiContract,
    Double,
    ReceiptContract,
    Request,
    Response,
    Run,
    answers,
    content_for,
    outgoing,
)

TOKEN = "0123456789abcdef0123456789abcdef"
HOOK = "https://hooks.example.com/hooks/sms"
ENV = {"TWILIO_TOKEN": TOKEN}
OPTIONS: Mapping[str, Any] = {
    "account_sid": ACCOUNT,
    "auth_token_env": "TWILIO_TOKEN",
    "from": NUMBER,
    "status_callback": HOOK,
}
OPTED_OUT = Sms(to="+15005550004", text="Your order is on its way.")


def provider_at(address: str, env: Mapping[str, str] = ENV, **more: Any) -> TwilioProvider:
    options = {name: value for name, value in {**OPTIONS, "url": address, **more}.items() if value is not None}
    return TwilioProvider("sms", options, env, now=today)


@pytest.fixture
def simulator() -> Twilio:
    return Twilio({ACCOUNT: TOKEN}, today)


@pytest.fixture
def service(simulator: Twilio) -> Double:
    return Double(simulator.handle)


@pytest.fixture
def place(run: Run, service: Double) -> Iterator[str]:
    yield run(service.start())
    run(service.stop())


def send(run: Run, provider: TwilioProvider, content: Content | None = None, number: int = 0) -> Answer:
    (answer,) = run(answers(provider, [outgoing(content or content_for("sms", number), number)]))
    return answer


class TestTwilio(ApiContract):
    @pytest.fixture
    def service(self, simulator: Twilio) -> Double:
        return Double(simulator.handle)

    @pytest.fixture
    def at(self) -> Callable[[str], TwilioProvider]:
        return provider_at

    @pytest.fixture
    def accepted(self, simulator: Twilio) -> Callable[[], list[Accepted]]:
        return lambda: [
            Accepted(form["StatusCallback"].partition("msg=")[2], row["sid"])
            for form, row in zip(simulator.asked, simulator.messages, strict=True)
        ]

    @pytest.fixture
    def env(self) -> Mapping[str, str]:
        return ENV

    @pytest.fixture
    def can_reject(self) -> bool:
        return True

    @pytest.fixture
    def rejected_content(self) -> Content:
        return OPTED_OUT

    @pytest.fixture
    def has_credentials(self) -> bool:
        return True

    @pytest.fixture
    def make(self, place: str) -> Callable[[Mapping[str, str]], TwilioProvider]:
        return lambda env: provider_at(place, env)

    @pytest.fixture
    def locked_out(self, place: str) -> TwilioProvider:
        return provider_at(place, {"TWILIO_TOKEN": "of somebody else"})

    @pytest.fixture
    def throttled(self) -> Response:
        return failure(20429)

    @pytest.fixture
    def inexpressible(self) -> Sequence[Content]:
        wrong = [
            Sms(to="+12025550100"),
            Sms(to="+12025550100", text=" \n"),
            Sms(to="+12025550100", template="T1", params=(("name", "Ann"),)),
            Sms(to="+12025550100", text="x" * 1601),
            *(Sms(to=to, text="x") for to in ("", "12025550100", "2025550100", "+1 202 555 0100", "+1202555", "Ann")),
        ]
        return [*wrong, content_for("email")]


class TestReports(ReceiptContract):
    @pytest.fixture
    def provider(self) -> TwilioProvider:
        return provider_at("https://api.example.com")

    @pytest.fixture
    def env(self) -> Mapping[str, str]:
        return ENV

    @pytest.fixture
    def genuine(self) -> Sequence[Callback]:
        bodies = [
            status("SM1", "sent"),
            status("SM1", "delivered", RawDlrDoneDate="2603290131"),
            status("SM2", "undelivered", ErrorCode="30003"),
            status("SM3", "failed"),
            inbound("SM4", "Stop "),
            inbound("SM5", "你好 é€ café", OptOutType="START"),
        ]
        return [report(TOKEN, f"{HOOK}?msg=contract-1", body, today()) for body in bodies]

    @pytest.fixture
    def sign(self) -> Callable[[bytes], Callback]:
        return lambda body: report(TOKEN, HOOK, body, today())

    @pytest.fixture
    def unknown_words(self) -> Callback:
        return report(TOKEN, HOOK, status("SM1", "teleported"), today())

    @pytest.fixture
    def forged(self, genuine: Sequence[Callback]) -> Sequence[Callback]:
        return [
            changed
            for one in genuine
            for changed in (
                replace(one, body=one.body + b"&More=1"),
                replace(one, body=one.body.replace(b"AccountSid=AC0", b"AccountSid=AC1")),
                replace(one, url=f"{HOOK}?msg=contract-2"),
                replace(one, headers={}),
                replace(one, headers={"x-twilio-signature": "é"}),
                report("of somebody else", one.url, one.body, one.at),
                replace(one, headers={**one.headers, "x-twilio-webhooks-signature-settings": "algorithm=MD5"}),
                replace(one, headers={**one.headers, "x-twilio-webhooks-signature-settings": "algorithm=HMAC_SHA256"}),
            )
        ]


# what an answer means

ROWS = [row for row in cases("error_classes.json") if row["provider"] == "twilio"]
REST = [row for row in ROWS if row["where"] == "rest"]
REPORTED = [row for row in ROWS if row["where"] == "status-callback ErrorCode"]
CLASSES: Mapping[str, tuple[type[SendError], FailureReason | None]] = {
    "config": (Misconfigured, None),
    "throttle": (Unavailable, None),
    "suppress": (Rejected, None),
    "permanent": (Rejected, FailureReason.policy),
    "content": (Rejected, FailureReason.content),
    "retry": (Uncertain, None),  # bare 500 and 503: they prove nothing (D1, D6), and Twilio recognises no repeat
}


@pytest.mark.parametrize("row", REST, ids=lambda row: row["code"])
def test_every_code_of_an_answer_means_what_the_table_says(
    run: Run, place: str, simulator: Twilio, row: dict[str, str]
) -> None:
    code = int(row["code"])
    simulator.answer = Response(code) if code < 600 else failure(code)
    answer = send(run, provider_at(place))

    kind, reason = CLASSES[row["cls"]]
    assert type(answer) is kind
    assert answer.code == row["code"]
    if isinstance(answer, Rejected):
        assert answer.reason.ends_address == (row["cls"] == "suppress")
        assert reason in (None, answer.reason)
    if isinstance(answer, Unavailable):
        assert answer.retry_after
    assert "what people read" not in str(answer)


@pytest.mark.parametrize("row", REPORTED, ids=lambda row: row["code"])
def test_every_code_of_a_report_means_what_the_table_says(run: Run, row: dict[str, str]) -> None:
    callback = report(TOKEN, HOOK, status("SM1", "undelivered", ErrorCode=row["code"]), today())
    (receipt,) = run(provider_at("https://api.example.com").receipts(callback)).receipts

    assert receipt.type is ReceiptType.bounced
    assert receipt.reason is not None
    assert receipt.detail == row["code"]
    assert receipt.reason.ends_address == (row["cls"] == "suppress")
    expected = {
        "config": {FailureReason.sender},
        "throttle": {FailureReason.policy},
        "content": {FailureReason.content, FailureReason.spam},
        "soft": {FailureReason.address_full, FailureReason.unknown},
    }
    assert receipt.reason in expected.get(row["cls"], set(FailureReason))


@pytest.mark.parametrize("code", [20500, 20503])
def test_a_failure_of_twilio_in_its_own_words_proves_nothing_either(
    run: Run, place: str, simulator: Twilio, code: int
) -> None:
    simulator.answer = failure(code)

    assert isinstance(send(run, provider_at(place)), Uncertain)


@pytest.mark.parametrize("code", ["no SMS to +14155550123", "2" * 400, "21211 ", "-1"])
def test_V5_words_in_the_place_of_a_code_are_not_repeated(run: Run, place: str, simulator: Twilio, code: str) -> None:
    simulator.answer = Response(400, json.dumps({"code": code, "message": "x"}).encode())

    answer = send(run, provider_at(place))

    assert isinstance(answer, Rejected)
    assert not answer.reason.ends_address
    assert code not in f"{answer} {answer.code}"


def test_a_code_we_do_not_know_is_kept_and_ends_no_address(run: Run, place: str, simulator: Twilio) -> None:
    simulator.answer = failure(21999)
    answer = send(run, provider_at(place))

    assert isinstance(answer, Rejected)
    assert (answer.reason, answer.code) == (FailureReason.unknown, "21999")


@pytest.mark.parametrize(("to", "code"), double.MAGIC_TO.items())
def test_the_numbers_of_test_credentials_answer_as_they_do_there(run: Run, place: str, to: str, code: int) -> None:
    answer = send(run, provider_at(place), Sms(to=to, text="x"))

    assert isinstance(answer, SendError)
    assert answer.code == str(code)


@pytest.mark.parametrize(("sender", "code"), double.MAGIC_FROM.items())
def test_so_do_those_of_senders(run: Run, place: str, sender: str, code: int) -> None:
    answer = send(run, provider_at(place, **{"from": sender}))

    assert isinstance(answer, Misconfigured | Unavailable)
    assert answer.code == str(code)


# what is sent


RECORDED = [case for case in cases("sdk_wire_recordings.json") if case["sdk"].startswith("twilio")]


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case["name"])
def test_we_send_what_twilios_own_library_sends_and_understand_what_it_understands(
    run: Run, case: dict[str, Any]
) -> None:
    recorded = dict(parse_qsl(case["request"]["body"]))
    simulator = Twilio({ACCOUNT: "authtoken"}, today, magic="From" in recorded)
    service = Double(simulator.handle)
    by_library = Request("POST", case["request"]["path"], case["request"]["headers"], case["request"]["body"].encode())
    answered = simulator.handle(by_library)
    callback, _, key = recorded.get("StatusCallback", "").partition("?msg=")
    options = {
        "from": recorded.get("From"),
        "messaging_service_sid": recorded.get("MessagingServiceSid"),
        "status_callback": callback or None,
        "validity": recorded.get("ValidityPeriod"),
    }
    provider = provider_at(run(service.start()), {"TWILIO_TOKEN": "authtoken"}, **options)
    one = Outgoing(1, key or "k", Sms(to=recorded["To"], text=recorded["Body"]), today(), timeout=5)
    (answer,) = run(answers(provider, [one]))
    run(service.stop())

    ours = service.requests[0]
    assert (ours.method, ours.path) == (by_library.method, by_library.path)
    assert dict(parse_qsl(ours.body.decode())) == recorded
    for name in ("authorization", "content-type", "accept"):
        assert ours.headers[name] == by_library.headers[name]
    if case["sdk_result"].startswith("SM"):
        assert json.loads(answered.body)["sid"] == case["sdk_result"]
        assert isinstance(answer, Sent)
    else:
        assert answered.status == 400
        assert isinstance(answer, Rejected)
        assert (answer.code, answer.reason) == ("21610", FailureReason.opted_out)


def test_a_key_signs_in_in_place_of_the_token(run: Run, place: str, simulator: Twilio) -> None:
    key = "SK00000000000000000000000000000001"
    simulator.logins = {key: "hush"}
    env = {"TWILIO_KEY": "hush"}
    options = {"auth_token_env": None, "api_key_sid": key, "api_key_secret_env": "TWILIO_KEY"}
    provider = provider_at(place, env, **options)

    assert isinstance(send(run, provider), Sent)
    assert not provider.features.receipts
    with pytest.raises(InvalidReceipt, match="not configured"):
        run(provider.receipts(report("hush", HOOK, status("SM1", "sent"), today())))


def test_our_key_goes_along_in_the_address_for_callbacks(run: Run, place: str, simulator: Twilio) -> None:
    send(run, provider_at(place, status_callback=f"{HOOK}?a=b"))
    send(run, provider_at(place, status_callback=None, validity=60))

    with_key, without = simulator.asked
    assert with_key["StatusCallback"] == f"{HOOK}?a=b&msg=contract-0"
    assert "StatusCallback" not in without
    assert without["ValidityPeriod"] == "60"


@pytest.mark.parametrize(
    "options",
    [
        {"from": None},
        {"messaging_service_sid": SERVICE},
        {"from": "+1 500"},
        {"from": "12345678901"},
        {"account_sid": "AC1"},
        {"auth_token_env": None},
        {"api_key_sid": "SK00000000000000000000000000000001"},
        {"api_key_secret_env": "TWILIO_KEY"},
        {"status_callback": "/hooks/sms"},
        {"status_callback": "https://our_host.example.com/"},
        {"validity": 0},
        {"validity": 36_001},
    ],
)
def test_options_that_cannot_work_are_refused_when_it_is_made(options: Any) -> None:
    with pytest.raises(ValidationError):
        provider_at("https://api.example.com", **options)


@pytest.mark.parametrize("sender", ["12345", "Shop", "My Shop 24", NUMBER])
def test_a_sender_is_a_number_a_short_code_or_a_name(sender: str) -> None:
    for name in ("from", "sender"):
        assert sender in provider_at("https://api.example.com", **{"from": None, name: sender}).describe()


def test_probing_with_wrong_credentials_says_so(run: Run, place: str) -> None:
    async def probe() -> None:
        provider = provider_at(place, {"TWILIO_TOKEN": "of somebody else"})
        try:
            await provider.probe()
        finally:
            await provider.close()

    with pytest.raises(Misconfigured, match="20003"):
        run(probe())


# what became of a message whose answer was lost


def look_up(run: Run, provider: TwilioProvider, *asked: Asked) -> Sequence[Receipt | None]:
    async def ask() -> Sequence[Receipt | None]:
        try:
            return await provider.look_up(asked, 5.0)
        finally:
            await provider.close()

    return run(ask())


def asked_for(number: int, **more: Any) -> Asked:
    return Asked(**{"key": f"contract-{number}", "content": content_for("sms", number), "at": today(), **more})


def test_what_was_accepted_and_sent_is_found_with_what_became_of_it(run: Run, place: str, simulator: Twilio) -> None:
    provider = provider_at(place)
    for number in range(4):
        send(run, provider, number=number)
    for row, became in zip(simulator.messages, [("sent",), ("delivered",), ("undelivered", 30005)], strict=False):
        simulator.become(row["sid"], *became)

    found = look_up(run, provider, *map(asked_for, range(5)))

    assert [one and (one.type, one.reason) for one in found] == [
        (ReceiptType.accepted, None),
        (ReceiptType.delivered, None),
        (ReceiptType.bounced, FailureReason.address_unknown),
        None,  # it waits in the queue, and the list by date of sending does not know it yet
        None,  # nobody sent it
    ]
    assert [one and (one.key, one.provider_id) for one in found[:1]] == [("contract-0", simulator.messages[0]["sid"])]


def test_a_receipt_found_has_the_name_under_which_it_would_be_reported(run: Run, place: str, simulator: Twilio) -> None:
    provider = provider_at(place)
    send(run, provider)
    sid = simulator.messages[0]["sid"]
    simulator.become(sid, "delivered")

    (found,) = look_up(run, provider, asked_for(0))
    (told,) = run(provider.receipts(report(TOKEN, HOOK, status(sid, "delivered"), today()))).receipts

    assert found is not None
    assert found.event_id == told.event_id


@pytest.mark.parametrize(
    "other",
    [
        {"to": "+12025550999"},
        {"body": "another text"},
        {"from": "+15005550010"},
        {"direction": "inbound"},
        {"date_created": "Sun, 29 Mar 2026 01:20:00 +0000"},
        {"date_created": "Sun, 29 Mar 2026 01:50:00 +0000"},
        {"date_created": None},
        {"sid": None},
    ],
    ids=str,
)
def test_another_message_is_not_taken_for_it(
    run: Run, place: str, simulator: Twilio, service: Double, other: dict[str, Any]
) -> None:
    provider = provider_at(place)
    send(run, provider)
    simulator.become(simulator.messages[0]["sid"], "delivered")
    row = {**simulator.messages[0], **other}
    simulator.answer = Response(200, json.dumps({"messages": [row, 1, None]}).encode())

    assert look_up(run, provider, asked_for(0)) == [None]


def test_where_two_cannot_be_told_apart_neither_is_found_but_by_name(run: Run, place: str, simulator: Twilio) -> None:
    provider = provider_at(place)
    for _ in range(2):
        send(run, provider)
    one, two = (row["sid"] for row in simulator.messages)
    simulator.become(one, "delivered")
    simulator.become(two, "sent")

    assert look_up(run, provider, asked_for(0)) == [None]
    (found,) = look_up(run, provider, asked_for(0, provider_id=two))
    assert found is not None
    assert (found.provider_id, found.type) == (two, ReceiptType.accepted)


def test_one_message_at_twilio_does_not_speak_for_two_of_ours(run: Run, place: str, simulator: Twilio) -> None:
    provider = provider_at(place)
    send(run, provider)
    simulator.become(simulator.messages[0]["sid"], "delivered")
    twin = replace(asked_for(0), key="contract-9")

    assert look_up(run, provider, asked_for(0), twin) == [None, None]


def test_a_messaging_service_is_known_whatever_sender_it_chose(run: Run, place: str, simulator: Twilio) -> None:
    provider = provider_at(place, messaging_service_sid=SERVICE, **{"from": None})
    send(run, provider)
    simulator.become(simulator.messages[0]["sid"], "delivered", sender="+15005550017")

    (found,) = look_up(run, provider, asked_for(0))
    assert found is not None
    assert found.type is ReceiptType.delivered


def test_days_are_asked_for_as_twilio_counts_them(run: Run, place: str, service: Double) -> None:
    midnight = today().replace(hour=0, minute=2)
    look_up(run, provider_at(place), asked_for(0, at=midnight), asked_for(0, at=midnight + timedelta(hours=3)))

    assert {one.query["DateSent>"] for one in service.requests} == {"2026-03-28", "2026-03-29"}
    assert all(one.query["To"] == "+12025550000" for one in service.requests)


@pytest.mark.parametrize("words", [b"", b"[]", b"{}", b'{"messages": 7}', b"[" * 60_000, b"<html>"])
def test_an_answer_nobody_understands_finds_nothing(run: Run, place: str, simulator: Twilio, words: bytes) -> None:
    simulator.answer = Response(200, words)

    assert look_up(run, provider_at(place), asked_for(0)) == [None]


# what Twilio tells us


INBOUND = [case for case in cases("inbound_payloads.json") if case["provider"] == "twilio"]


@pytest.mark.parametrize("case", INBOUND, ids=lambda case: case["name"])
def test_what_comes_in_is_understood_and_answered_as_twilio_wants_it(run: Run, case: dict[str, Any]) -> None:
    body, expected = case["input"]["body"].encode(), case["expected"]
    heard = run(provider_at("https://api.example.com").receipts(report(TOKEN, HOOK, body, today())))

    assert [_in_their_words(one) for one in heard.receipts] == expected["events"]
    reply = expected["reply"]
    assert (heard.status, heard.body.decode()) == (reply["status"], reply["body"])
    assert heard.content_type == reply.get("content_type", Heard().content_type)


def _in_their_words(one: Receipt) -> dict[str, Any]:
    if one.type is ReceiptType.replied:
        return {"type": "reply", "address": one.to, "text": one.detail, "opt_out": one.opt_out}
    ends = {"suppress": True} if one.reason is not None and one.reason.ends_address else {}
    kind = "failed" if one.type is ReceiptType.bounced else one.type.value
    return {"type": kind, "address": one.to, "provider_id": one.provider_id, **ends}


@pytest.mark.parametrize("case", cases("twilio_request_signature.json"), ids=lambda case: case["name"])
def test_signatures_are_twilios(run: Run, case: dict[str, Any]) -> None:
    given, expected = case["input"], case["expected"]
    form = given.get("form")
    body = given["body"].encode() if form is None else urlencode(form).encode()
    headers = {"x-twilio-signature": given.get("signature") or expected["signature"]}
    env = {"TWILIO_TOKEN": given.get("auth_token") or "none"}
    more = {}
    if "secret" in given:
        headers["x-twilio-webhooks-signature-settings"] = given["signature_settings"]
        env["TWILIO_SHARED"], more = given["secret"], {"shared_key_env": "TWILIO_SHARED"}
    provider = provider_at("https://api.example.com", env, **more)
    callback = Callback("POST", given["url"], headers, body, today())

    if expected["valid"]:
        assert run(provider.receipts(callback)).receipts
        callback = replace(callback, headers={**headers, "x-twilio-signature": b64encode(b"other").decode()})
    with pytest.raises(InvalidReceipt):
        run(provider.receipts(callback))


@pytest.mark.parametrize("told", ["https://hooks.example.com/a?b=c", "https://hooks.example.com:443/a?b=c"])
@pytest.mark.parametrize("signed", ["https://hooks.example.com/a?b=c", "https://hooks.example.com:443/a?b=c"])
def test_a_port_that_goes_without_saying_may_be_said(run: Run, told: str, signed: str) -> None:
    callback = replace(report(TOKEN, signed, status("SM1", "sent"), today()), url=told)

    assert run(provider_at("https://api.example.com").receipts(callback)).receipts


def test_what_is_signed_as_json_is_kept_and_what_was_changed_is_refused(run: Run) -> None:
    provider = provider_at("https://api.example.com")
    callback = json_report(TOKEN, HOOK, b'{"EventType": "onMessageAdded"}', today())

    heard = run(provider.receipts(callback))
    assert [one.type for one in heard.receipts] == [ReceiptType.unknown]
    assert heard.receipts[0].raw == {"body": '{"EventType": "onMessageAdded"}'}
    for body in (b"{}", b"", status("SM1", "delivered")):
        with pytest.raises(InvalidReceipt):
            run(provider.receipts(replace(callback, body=body)))


def test_a_status_names_the_message_by_our_key_and_by_twilios(run: Run) -> None:
    callback = report(TOKEN, f"{HOOK}?msg=contract-7", status("SM1", "delivered"), today())
    (receipt,) = run(provider_at("https://api.example.com").receipts(callback)).receipts

    assert (receipt.key, receipt.provider_id, receipt.to) == ("contract-7", "SM1", "+12025550100")
    assert receipt.event_id == "SM1 delivered"


@pytest.mark.parametrize(
    ("text", "understood", "kind", "opt_out"),
    [
        ("STOP", "STOP", ReceiptType.replied, True),
        ("no more of it please", "STOP", ReceiptType.replied, True),  # a word of the operator's own
        ("stop", "", ReceiptType.replied, True),
        ("退订", "", ReceiptType.replied, True),
        ("stop the presses!", "", ReceiptType.replied, False),
        ("end", "HELP", ReceiptType.replied, False),
        ("START", "START", ReceiptType.resubscribed, False),
        ("START", "", ReceiptType.replied, False),
        ("", "", ReceiptType.replied, False),  # a picture
    ],
)
def test_who_writes_stop_opts_out(run: Run, text: str, understood: str, kind: ReceiptType, opt_out: bool) -> None:
    more = {"OptOutType": understood} if understood else {}
    callback = report(TOKEN, HOOK, inbound("SM9", text, **more), today())
    heard = run(provider_at("https://api.example.com").receipts(callback))
    (receipt,) = heard.receipts

    assert (receipt.type, receipt.opt_out, receipt.detail, receipt.to) == (kind, opt_out, text, "+12025550100")
    assert heard.content_type == "text/xml"


def test_many_at_once_are_sent_side_by_side(run: Run, place: str, service: Double) -> None:
    async def all_at_once() -> Sequence[Answer]:
        provider = provider_at(place)
        try:
            return await provider.send([outgoing(content_for("sms", number), number) for number in range(32)])
        finally:
            await provider.close()

    assert all(isinstance(one, Sent) for one in run(all_at_once()))
    assert 1 < service.connections <= 32

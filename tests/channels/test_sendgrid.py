"""SendGrid: mails that are alike in one request, and what its event webhook reports."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import verdicts
from doubles import sendgrid, vectors
from doubles.sendgrid import KEY, SHOWN, SendGrid, failure, hook
from msgspec import structs

from channels.contract import Callback, Content, Email, FailureReason, Provider, ReceiptType, Sent
from channels.email.sendgrid import SendGridProvider
from channels.errors import InvalidReceipt, Misconfigured, Rejected, Unavailable, Uncertain
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
from channels.testing.double import Response, saying

ENV = {"SENDGRID_API_KEY": KEY}
NOW = datetime(2026, 1, 15, 8, 30, tzinfo=UTC)
ROWS = vectors.cases("error_classes.json", "sendgrid")


def provider_at(address: str, env: Mapping[str, str] = ENV, **options: Any) -> SendGridProvider:
    given = {"url": f"{address}/v3", "api_key_env": "SENDGRID_API_KEY", "webhook_key": SHOWN, **options}
    return SendGridProvider("email", given, env, now=lambda: NOW)


def letter(number: int, **fields: Any) -> Email:
    """One of many mails from one template."""
    name, link = f"Person {number}", f"https://shop.example.org/r/token-{number}"
    return Email(
        **{
            "to": f"person{number}@example.com",
            "to_name": name,
            "sender": "shop@example.org",
            "sender_name": "The Shop",
            "subject": f"{name}, look 您好",
            "html": f'<h1 style="color: red">Hi {name}</h1><a href="{link}?a=1&amp;b=2">Look</a>',
            "text": f"Hi {name}\n{link}\n",
            "headers": (
                ("List-Unsubscribe", f"<https://shop.example.org/u/{number}>"),
                ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
            ),
            **fields,
        }
    )


@pytest.fixture
def account() -> SendGrid:
    return SendGrid()


class TestSendGrid(ApiContract):
    @pytest.fixture
    def env(self) -> Mapping[str, str]:
        return ENV

    @pytest.fixture
    def service(self, account: SendGrid) -> Double:
        return Double(account.handle)

    @pytest.fixture
    def at(self, env: Mapping[str, str]) -> Callable[[str], Provider]:
        return lambda address: provider_at(address, env)

    @pytest.fixture
    def accepted(self, account: SendGrid) -> Callable[[], list[Accepted]]:
        def asked() -> list[Accepted]:
            usual = ("From", "To", "Subject")
            return [Accepted(one.key, one.request, (*usual, *one.headers)) for one in account.taken]

        return asked

    @pytest.fixture
    def writes_headers(self) -> bool:
        return True

    @pytest.fixture
    def can_reject(self, account: SendGrid) -> bool:
        account.unknown_people = frozenset({"nobody@example.net"})
        return True

    @pytest.fixture
    def rejected_content(self) -> Content:
        return structs.replace(content_for("email", 1), to="nobody@example.net")

    @pytest.fixture
    def inexpressible(self) -> Sequence[Content]:
        mail = content_for("email")
        assert isinstance(mail, Email)
        wrong: list[dict[str, Any]] = [
            {"html": "", "text": ""},
            {"to": "no address"},
            {"to": "müller@example.com"},
            {"sender": "Shop <shop@example.org>"},
            {"subject": " "},
            {"subject": "one\ntwo"},
            {"text": "half a character: \ud83d"},
            {"headers": (("X-Sg-Id", "1"),)},
            {"headers": (("X-One", "1"), ("x-one", "2"))},
            {"headers": (("Reply-To", "a@example.com"),)},
            {"html": "x" * 30_000_001},
        ]
        return [*(structs.replace(mail, **fields) for fields in wrong), content_for("sms")]

    @pytest.fixture
    def has_credentials(self) -> bool:
        return True

    @pytest.fixture
    def make(self, place: str) -> Callable[[Mapping[str, str]], Provider]:
        return lambda env: provider_at(place, env)

    @pytest.fixture
    def locked_out(self, place: str) -> Provider:
        return provider_at(place, {"SENDGRID_API_KEY": "SG.of-somebody-else"})


@pytest.fixture
def service(account: SendGrid) -> Double:
    return Double(account.handle)


Send = Callable[..., list[Any]]


@pytest.fixture
def place(run: Run, service: Double) -> Iterator[str]:
    yield run(service.start())
    run(service.stop())


@pytest.fixture
def send(run: Run, place: str) -> Send:
    """Sends contents in one call, by a provider with these options."""

    def sending(*contents: Email, **options: Any) -> list[Any]:
        batch = [outgoing(content, number) for number, content in enumerate(contents)]
        return list(run(answers(provider_at(place, **options), batch)))

    return sending


async def probed(provider: Provider) -> None:
    try:
        await provider.probe()
    finally:
        await provider.close()


# what goes out


def test_mails_from_one_template_leave_in_one_request_and_are_read_as_they_were_written(
    send: Send, account: SendGrid, service: Double
) -> None:
    letters = [letter(number) for number in range(100)]

    assert {type(answer) for answer in send(*letters)} == {Sent}
    assert len(service.requests) == 1
    assert len(service.requests[0].body) < 100 * 600
    assert [one.key for one in account.taken] == [f"contract-{number}" for number in range(100)]
    for one, written in zip(account.taken, letters, strict=True):
        assert (one.subject, one.html, one.text) == (written.subject, written.html, written.text)
        assert (one.to, one.to_name, one.sender, one.sender_name) == (
            written.to,
            written.to_name,
            written.sender,
            written.sender_name,
        )
        assert one.headers == {**dict(written.headers), "Auto-Submitted": "auto-generated"}


def test_one_request_holds_as_many_as_the_option_batch_says(send: Send, service: Double) -> None:
    send(*(letter(number) for number in range(5)), batch=2)

    sizes = sorted(len(json.loads(one.body)["personalizations"]) for one in service.requests)
    assert sizes == [1, 2, 2]


def test_the_same_address_twice_in_a_call_is_two_requests(send: Send, account: SendGrid, service: Double) -> None:
    found = send(letter(0), letter(1), letter(2, to="PERSON0@example.com"))

    assert [type(answer) for answer in found] == [Sent] * 3
    assert len(service.requests) == 2
    assert found[0].provider_id == found[1].provider_id != found[2].provider_id


def test_a_mail_with_too_much_of_its_own_goes_alone(send: Send, account: SendGrid, service: Double) -> None:
    long = letter(1, html=letter(1).html.replace("Person 1", "字" * 4_000))

    assert [type(answer) for answer in send(letter(0), long, letter(2))] == [Sent] * 3
    assert sorted(len(body["personalizations"]) for body in account.requests) == [1, 2]
    assert long.html in [one.html for one in account.taken]


def test_a_tag_is_a_word_that_stands_in_no_mail(send: Send, account: SendGrid) -> None:
    hostile = [letter(0), letter(1, text="Hi -sub0x0- Sub0x1-\n-sub1\n"), letter(2, text="Hi x\nsub1x\n")]

    assert [type(answer) for answer in send(*hostile)] == [Sent] * 3
    assert sorted(one.text for one in account.taken) == sorted(content.text for content in hostile)


def test_tracking_is_off_unless_it_is_asked_for(send: Send, account: SendGrid) -> None:
    send(letter(0))
    send(letter(0), click_tracking=True, open_tracking=True, subscription_tracking=True)

    off, on = (body["tracking_settings"] for body in account.requests)
    assert {name: each["enable"] for name, each in off.items()} == dict.fromkeys(off, False)
    assert {name: each["enable"] for name, each in on.items()} == dict.fromkeys(off, True)
    assert set(off) == {"click_tracking", "open_tracking", "subscription_tracking"}


def test_a_header_that_is_not_ascii_is_encoded(send: Send, account: SendGrid) -> None:
    send(letter(0, headers=(("X-Campaign", "Frühling"),)))

    assert account.taken[0].headers["X-Campaign"] == "=?utf-8?b?RnLDvGhsaW5n?="


def test_an_address_that_is_none_is_named_and_the_others_leave_without_it(
    send: Send, account: SendGrid, service: Double
) -> None:
    account.unknown_people = frozenset({"person1@example.com", "person3@example.com"})

    found = send(*(letter(number) for number in range(5)))

    assert [getattr(answer, "reason", None) for answer in found] == [
        None,
        FailureReason.address_invalid,
        None,
        FailureReason.address_invalid,
        None,
    ]
    assert [one.key for one in account.taken] == ["contract-0", "contract-2", "contract-4"]


def test_a_request_that_is_too_large_for_it_is_halved_until_each_fits(
    send: Send, account: SendGrid, service: Double
) -> None:
    account.most = 1_800

    found = send(*(letter(number) for number in range(8)), letter(9, html="<p>" + "x" * 2_000))

    assert [type(answer) for answer in found] == [Sent] * 8 + [Rejected]
    assert found[-1].reason is FailureReason.content
    assert len(account.taken) == 8


def test_a_lost_answer_leaves_only_the_mails_of_its_request_unknown(send: Send, service: Double) -> None:
    service.mood = saying(Response(502, b"<html>Bad Gateway</html>"))
    service.about = lambda request: len(json.loads(request.body)["personalizations"]) > 1

    found = send(letter(0), letter(1), letter(2, sender="other@example.org"))

    assert [type(answer) for answer in found] == [Uncertain, Uncertain, Sent]


def test_without_retry_after_the_reset_of_the_limit_says_when_to_come_back(send: Send, service: Double) -> None:
    resets = {str(int(NOW.timestamp()) + 7): 7.0, str(int(NOW.timestamp()) - 7): 0.0, "soon": 60.0, "9" * 11: 3_600.0}
    for said, seconds in resets.items():
        service.mood = saying(failure(429, "too many requests", **{"x-ratelimit-reset": said}))
        (answer,) = send(letter(0))
        assert (type(answer), answer.retry_after) == (Unavailable, seconds)


def test_D14_the_reset_is_an_instant_of_its_clock_and_not_of_ours(send: Send, service: Double) -> None:
    # with our clock five minutes ahead the lane came back at once
    its_time = NOW - timedelta(minutes=5)
    said = {"x-ratelimit-reset": str(int(its_time.timestamp()) + 30), "date": format_datetime(its_time, usegmt=True)}
    service.mood = saying(failure(429, "too many requests", **said))

    (answer,) = send(letter(0))

    assert (type(answer), answer.retry_after) == (Unavailable, 30.0)


def test_probing_asks_whether_the_key_may_send(run: Run, place: str, account: SendGrid) -> None:
    run(probed(provider_at(place)))
    account.scopes = ("user.account.read",)
    with pytest.raises(Misconfigured, match=r"mail\.send"):
        run(probed(provider_at(place)))
    with pytest.raises(Misconfigured, match="API key"):
        run(probed(provider_at(place, {"SENDGRID_API_KEY": "SG.of-somebody-else"})))


def test_the_region_says_where_mails_go() -> None:
    options = {"api_key_env": "SENDGRID_API_KEY"}

    assert SendGridProvider("email", options, ENV).describe().startswith("api.sendgrid.com")
    assert SendGridProvider("email", {**options, "region": "eu"}, ENV).describe().startswith("api.eu.sendgrid.com")


def test_features_are_what_the_options_allow() -> None:
    found = provider_at("http://localhost:1", batch=1000, in_flight=300).features
    blind = SendGridProvider("email", {"api_key_env": "SENDGRID_API_KEY"}, ENV).features

    assert (found.batch, found.in_flight, found.receipts, found.dedupe_by) == (300, 300, True, "none")
    assert (blind.batch, blind.in_flight, blind.receipts) == (100, 100, False)


# what it answers, row by row


@pytest.mark.parametrize("row", [row for row in ROWS if row["where"] == "http"], ids=lambda row: row["code"])
def test_a_status_means_what_its_row_says(send: Send, service: Double, row: dict[str, Any]) -> None:
    status = int(row["code"])
    if status != 202:
        service.mood = saying(failure(status, "It is a secret of person0@example.com"))

    (answer,) = send(letter(0))

    # a bare 5xx of a service that knows no repeats proves nothing
    expected = "ambiguous" if status >= 500 else row["cls"]
    assert expected in verdicts.of(answer)
    assert "person0" not in str(answer)


@pytest.mark.parametrize("row", [row for row in ROWS if row["where"] == "event"], ids=lambda row: row["code"])
def test_an_event_means_what_its_row_says(run: Run, row: dict[str, Any]) -> None:
    event, _, kind = row["code"].partition("/type=")
    reasons = DROPPED if row["cls"] == "by-reason" else {"": row["cls"]}
    for reason, expected in reasons.items():
        told = {"event": event, "type": kind, "reason": reason, "sg_event_id": "e", "timestamp": 1}
        (receipt,) = run(provider_at("http://localhost:1").receipts(hook([told], NOW))).receipts
        assert expected in verdicts.told_by(receipt), reason


DROPPED = {
    "Bounced Address": "suppress",
    "Unsubscribed Address": "suppress",
    "Spam Reporting Address": "suppress",
    "Invalid": "suppress",
    "Invalid SMTPAPI header": "content",
    "Spam Content (if Spam Checker app enabled)": "permanent",
    "Recipient List over Package Quota": "permanent",
    "something new": "permanent",
}


@pytest.mark.parametrize("case", vectors.cases("sdk_wire_recordings.json", "sendgrid"), ids=lambda case: case["name"])
def test_the_double_takes_what_the_official_library_was_recorded_to_send(
    account: SendGrid, case: dict[str, Any]
) -> None:
    asked = case["request"]
    headers = {**asked["headers"], "authorization": f"Bearer {KEY}"}

    answer = account.handle(Request(asked["method"], asked["path"], headers, asked["body"].encode()))

    assert answer.status == 202
    assert {one.key for one in account.taken} == {"msg-0001", "msg-0002"}


# what it reports


def event(word: str, number: int = 0, **fields: Any) -> dict[str, Any]:
    return {
        "email": f"person{number}@example.com",
        "timestamp": int(NOW.timestamp()) - 60,
        "event": word,
        "sg_event_id": f"{word}-{number}",
        "sg_message_id": "request-1.filter0001.16648.5515E0B88.0",
        "message_id": f"contract-{number}",
        **fields,
    }


class TestReceipts(ReceiptContract):
    @pytest.fixture
    def provider(self) -> Provider:
        return provider_at("http://localhost:1")

    @pytest.fixture
    def genuine(self) -> Sequence[Callback]:
        several = [event("processed"), event("delivered"), event("delivered", 1)]
        return [
            hook(several, NOW),
            hook([event("bounce", type="bounce"), event("dropped", reason="Bounced Address")], NOW),
            hook([event("open"), event("click", url="https://shop.example.org/r/1")], NOW),
        ]

    @pytest.fixture
    def sign(self) -> Callable[[bytes], Callback]:
        return lambda body: sendgrid.signed(body, NOW)

    @pytest.fixture
    def unknown_words(self) -> Callback:
        return hook([event("account_status_change")], NOW)

    @pytest.fixture
    def forged(self, genuine: Sequence[Callback]) -> Sequence[Callback]:
        one = genuine[0]
        later = {**one.headers, "x-twilio-email-event-webhook-timestamp": str(int(NOW.timestamp()) + 1)}
        return [
            replace(one, body=one.body + b" "),
            replace(one, body=one.body.rstrip()),
            replace(one, headers={}),
            replace(one, headers=later),
            replace(one, at=NOW + timedelta(days=1, seconds=1)),
            replace(one, at=NOW - timedelta(days=2)),
        ]


def test_an_event_tells_whose_when_and_what(run: Run) -> None:
    told = event("click", url="https://shop.example.org/r/1")
    (receipt,) = run(provider_at("http://localhost:1").receipts(hook([told], NOW))).receipts

    assert (receipt.type, receipt.key) == (ReceiptType.clicked, "contract-0")
    assert (receipt.to, receipt.link) == ("person0@example.com", "https://shop.example.org/r/1")
    assert (receipt.at, receipt.event_id, receipt.raw) == (NOW - timedelta(minutes=1), "click-0", told)


def test_an_open_by_a_machine_is_said_to_be_one(run: Run) -> None:
    rows = [event("open", sg_machine_open=True), event("open", 1, sg_machine_open=False)]
    heard = run(provider_at("http://localhost:1").receipts(hook(rows, NOW)))

    assert [one.machine for one in heard.receipts] == [True, False]


def test_the_name_of_a_request_is_not_that_of_a_mail(run: Run) -> None:
    """Whoever is erased would be taken for a neighbour of the same request."""
    rows = [event("delivered"), {"event": "dropped", "reason": "Invalid", "email": "nobody"}]
    heard = run(provider_at("http://localhost:1").receipts(hook(rows, NOW)))

    assert [(one.key, one.provider_id) for one in heard.receipts] == [("contract-0", None), (None, None)]
    assert len({one.event_id for one in heard.receipts}) == 2


def test_without_a_key_to_verify_with_nothing_is_believed(run: Run) -> None:
    deaf = provider_at("http://localhost:1", webhook_key=None)

    with pytest.raises(InvalidReceipt, match="webhook_key"):
        run(deaf.receipts(hook([event("delivered")], NOW)))


def test_a_key_that_is_none_is_refused_when_the_provider_is_made() -> None:
    for wrong in ("MFkw", "SG.secret", ""):
        with pytest.raises(ValueError, match="verification key"):
            provider_at("http://localhost:1", webhook_key=wrong)


@pytest.mark.parametrize("case", vectors.cases("sendgrid_event_webhook.json"), ids=lambda case: case["name"])
def test_a_signature_is_judged_as_the_vector_says(run: Run, case: dict[str, Any]) -> None:
    given = case["input"]
    headers = {
        "x-twilio-email-event-webhook-timestamp": given["timestamp_header"],
        "x-twilio-email-event-webhook-signature": given["signature_header"],
    }
    at = datetime.fromtimestamp(int(given["timestamp_header"]), UTC)
    callback = Callback("POST", "https://shop.example.com/hooks/email", headers, given["body"].encode(), at)
    provider = provider_at("http://localhost:1", webhook_key=given["public_key"])

    if case["expected"]["valid"]:
        assert run(provider.receipts(callback)).receipts
    else:
        with pytest.raises(InvalidReceipt):
            run(provider.receipts(callback))


@pytest.mark.parametrize("case", vectors.cases("inbound_payloads.json", "sendgrid"), ids=lambda case: case["name"])
def test_an_inbound_payload_says_what_the_vector_expects(run: Run, case: dict[str, Any]) -> None:
    heard = run(provider_at("http://localhost:1").receipts(sendgrid.signed(case["input"]["body"].encode(), NOW)))

    ours = {"delivered": "delivered", "bounced": "bounced", "failed": "bounced", "complaint": "complained"}
    told = {one.event_id: one for one in heard.receipts}  # as the engine keeps them: the first of each name
    for expected, one in zip(case["expected"]["events"], told.values(), strict=True):
        assert (one.type, one.to, one.event_id) == (ours[expected["type"]], expected["address"], expected["event_id"])
        if one.type is ReceiptType.bounced:
            assert one.reason is not None
            assert one.reason.ends_address == expected["suppress"]
    assert (heard.status, heard.body.decode()) == (200, case["expected"]["reply"]["body"])

"""Amazon SES: mails that are alike in one bulk request, each signed; and what SES reports over SNS."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parseaddr
from typing import Any

import pytest
import verdicts
from doubles import vectors
from doubles.ses import ACCESS, REGION, SECRET, SUBSCRIBE, TOKEN, TOPIC, Ses, Topic, failure
from msgspec import structs
from pydantic import SecretStr

from channels.contract import Asked, Callback, Content, Email, FailureReason, Provider, ReceiptType, Sent
from channels.email import sigv4
from channels.email.ses import SesProvider
from channels.errors import InvalidReceipt, Misconfigured, Rejected, Unavailable, Uncertain
from channels.testing import Accepted, ApiContract, Double, ReceiptContract, Run, answers, content_for, outgoing
from channels.testing.double import Response, saying

ENV = {"AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": TOKEN}
NOW = datetime(2026, 1, 15, 8, 30, tzinfo=UTC)
ROWS = vectors.cases("error_classes.json", "amazon-ses")


def provider_at(address: str, env: Mapping[str, str] = ENV, **options: Any) -> SesProvider:
    given = {"url": address, "region": REGION, "topics": [TOPIC], "session_token_env": "AWS_SESSION_TOKEN", **options}
    return SesProvider("email", given, env, now=lambda: NOW)


def letter(number: int, **fields: Any) -> Email:
    """One of many mails from one template."""
    name, link = f"Person {number}", f"https://shop.example.org/r/token-{number}"
    return Email(
        **{
            "to": f"person{number}@example.com",
            "to_name": name,
            "sender": "shop@example.org",
            "sender_name": "Läden",
            "subject": f"{name}, look 您好",
            "html": f'<style>a {{b: c}}</style><h1 style="a: b">Hi {name}</h1><a href="{link}?a=1&amp;b=2">Look</a>',
            "text": f"Hi {name}\n{link}\n",
            "headers": (("List-Unsubscribe", f"<https://shop.example.org/u/{number}>"),),
            **fields,
        }
    )


@pytest.fixture
def account() -> Ses:
    return Ses(lambda: NOW, TOKEN)


@pytest.fixture
def service(account: Ses) -> Double:
    return Double(account.handle)


class TestSes(ApiContract):
    @pytest.fixture
    def env(self) -> Mapping[str, str]:
        return ENV

    @pytest.fixture
    def service(self, account: Ses) -> Double:
        return Double(account.handle)

    @pytest.fixture
    def at(self, env: Mapping[str, str]) -> Callable[[str], Provider]:
        return lambda address: provider_at(address, env)

    @pytest.fixture
    def accepted(self, account: Ses) -> Callable[[], list[Accepted]]:
        def asked() -> list[Accepted]:
            usual = ("From", "To", "Subject")
            return [Accepted(one.key, one.name, (*usual, *(name for name, _ in one.headers))) for one in account.taken]

        return asked

    @pytest.fixture
    def throttled(self) -> Response:
        return failure("TooManyRequestsException", "Too many requests", 429)

    @pytest.fixture
    def writes_headers(self) -> bool:
        return True

    @pytest.fixture
    def can_reject(self, account: Ses) -> bool:
        account.rejected_people = frozenset({"nobody@example.net"})
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
            {"subject": "one\ntwo"},
            {"html": "half a character: \ud83d"},
            {"headers": (("Message-ID", "<1@example.com>"),)},
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
        return provider_at(place, {**ENV, "AWS_SECRET_ACCESS_KEY": "of somebody else"})


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
    send: Send, account: Ses, service: Double
) -> None:
    letters = [letter(number) for number in range(50)]

    found = send(*letters)

    assert [one.route for one in service.requests] == ["/v2/email/outbound-bulk-emails"]
    assert [answer.provider_id for answer in found] == [one.name for one in account.taken]
    assert [one.key for one in account.taken] == [f"contract-{number}" for number in range(50)]
    for one, written in zip(account.taken, letters, strict=True):
        assert (one.subject, one.html, one.text) == (written.subject, written.html, written.text)
        assert parseaddr(one.to) == (written.to_name, written.to)
        assert one.sender == "=?utf-8?b?TMOkZGVu?= <shop@example.org>"
        assert one.headers == [*written.headers, ("Auto-Submitted", "auto-generated")]


@pytest.mark.parametrize(
    "braced",
    [
        {"html": "<p>{{name}}</p>"},
        {"text": "{{{x}}} {{#if a}}"},
        {"subject": "{{v0}}"},
        {"headers": (("X-Template", "{{name}}"),)},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_a_mail_that_looks_like_a_template_leaves_alone_and_as_it_is(
    send: Send, account: Ses, service: Double, braced: dict[str, Any]
) -> None:
    found = send(letter(0), letter(1, **braced), letter(2, **braced), letter(3))

    assert [type(answer) for answer in found] == [Sent] * 4
    assert sorted(one.how for one in account.taken) == ["Simple", "Simple", "bulk", "bulk"]
    for one in account.taken:
        content = letter(int(one.key[-1]), **(braced if one.how == "Simple" else {}))
        assert (one.subject, one.html, one.text) == (content.subject, content.html, content.text)


@pytest.mark.parametrize("piece", ["{%d", "\\%d", "%d}", "a{ %d}"])
def test_a_brace_beside_what_differs_is_no_part_of_a_tag(send: Send, account: Ses, piece: str) -> None:
    letters = [letter(number, text=f"Hi\n{piece % number}\n") for number in range(3)]

    assert [type(answer) for answer in send(*letters)] == [Sent] * 3
    assert sorted(one.text for one in account.taken) == [content.text for content in letters]


def test_a_service_that_knows_no_bulk_requests_gets_each_mail_alone(send: Send, account: Ses, service: Double) -> None:
    service.mood = saying(failure("BadRequestException", "Template contains unsupported operations."))
    service.about = lambda request: "bulk" in request.route

    assert [type(answer) for answer in send(letter(0), letter(1))] == [Sent] * 2
    assert [one.how for one in account.taken] == ["Simple"] * 2


def test_the_option_batch_says_how_many_go_together(send: Send, service: Double) -> None:
    send(*(letter(number) for number in range(5)), batch=2)
    together = [one for one in service.requests if "bulk" in one.route]
    service.requests.clear()
    send(letter(0), letter(1), batch=1)

    assert [len(json.loads(one.body)["BulkEmailEntries"]) for one in together] == [2, 2]
    assert {one.route for one in service.requests} == {"/v2/email/outbound-emails"}


@pytest.mark.parametrize(
    "headers",
    [
        tuple((f"X-{number}", "1") for number in range(16)),
        (("X-Long", "word " * 300),),
        (("X-Empty", ""),),
        (("X-Twice", "1"), ("x-twice", "2")),
    ],
    ids=["many", "long", "empty", "twice"],
)
def test_a_mail_whose_headers_ses_cannot_be_told_is_built_by_us(
    send: Send, account: Ses, headers: tuple[tuple[str, str], ...]
) -> None:
    (answer,) = send(letter(0, headers=headers), configuration_set="outreach")

    assert isinstance(answer, Sent)
    (one,) = account.taken
    assert (one.how, one.key, one.to) == ("Raw", "contract-0", "Person 0 <person0@example.com>")
    assert (one.subject, one.html.rstrip("\n")) == (letter(0).subject, letter(0).html)
    found = {(name, value.strip()) for name, value in one.headers}
    assert {(name, value.strip()) for name, value in headers} <= found


def test_the_configuration_set_and_the_reply_address_go_along(send: Send, account: Ses) -> None:
    send(letter(0), letter(1), configuration_set="outreach", reply_to="desk@example.org")
    send(letter(0), configuration_set="outreach", reply_to="desk@example.org")

    for body in account.requests:
        assert (body["ConfigurationSetName"], body["ReplyToAddresses"]) == ("outreach", ["desk@example.org"])


def test_a_key_that_cannot_be_a_tag_is_not_told(run: Run, place: str, account: Ses) -> None:
    strange = structs.replace(outgoing(letter(0)), key="a key: ü")

    (answer,) = run(answers(provider_at(place), [strange]))

    assert isinstance(answer, Sent)
    assert answer.provider_id == account.taken[0].name
    assert account.requests[0]["EmailTags"] == []


def test_a_name_that_is_not_ascii_and_a_domain_too_are_told_in_ascii(send: Send, account: Ses) -> None:
    send(letter(0, to="ann@bücher.example", to_name="Frau Größe, Änne"))

    assert account.taken[0].to.isascii()
    assert parseaddr(account.taken[0].to)[1] == "ann@xn--bcher-kva.example"


# what it answers


@pytest.mark.parametrize("row", [row for row in ROWS if row["where"] == "error"], ids=lambda row: row["code"])
@pytest.mark.parametrize("together", [False, True], ids=["alone", "together"])
def test_an_error_means_what_its_row_says(send: Send, service: Double, row: dict[str, Any], together: bool) -> None:
    status = {"TooManyRequestsException": 429, "NotFoundException": 404}.get(row["code"], 400)
    service.mood = saying(failure(row["code"], "It is a secret of person0@example.com", status))

    found = send(*(letter(number) for number in range(1 + together)))

    # the credentials are in the environment: there is nowhere to get new ones from
    expected = "config" if row["cls"] == "refresh" else row["cls"]
    for answer in found:
        assert expected in verdicts.of(answer), answer
        assert row["code"] in str(answer)
        assert "person0" not in str(answer)


@pytest.mark.parametrize("row", [row for row in ROWS if row["where"] == "bulk-entry"], ids=lambda row: row["code"])
def test_an_entry_of_a_bulk_request_means_what_its_row_says(send: Send, account: Ses, row: dict[str, Any]) -> None:
    account.statuses = ["SUCCESS", row["code"], "SUCCESS"]

    first, answer, last = send(letter(0), letter(1), letter(2))

    assert row["cls"] in verdicts.of(answer), answer
    assert isinstance(first, Sent)
    assert isinstance(last, Sent)
    assert "person1" not in str(answer)


def test_the_class_of_an_error_may_stand_in_the_body_and_have_a_prefix(send: Send, service: Double) -> None:
    for headers, body in (
        ({}, {"__type": "com.amazonaws.sesv2#SendingPausedException"}),
        ({"x-amzn-errortype": "SendingPausedException:http://internal.amazon.com/"}, {}),
        ({"x-amzn-errortype": "com.amazon.coral.service#SendingPausedException"}, {"message": "paused"}),
    ):
        service.mood = saying(Response(400, json.dumps(body).encode(), headers))
        (answer,) = send(letter(0))
        assert (type(answer), answer.code) == (Misconfigured, "SendingPausedException")


@pytest.mark.parametrize(
    ("code", "words", "wait"),
    [
        ("BadRequestException", "Maximum sending rate exceeded.", 5.0),
        ("ThrottlingException", "Daily message quota exceeded.", 3_600.0),
        ("TooManyRequestsException", "Daily message quota exceeded.", 3_600.0),
    ],
)
def test_words_about_the_rate_and_the_quota_count_more_than_the_class(
    send: Send, service: Double, code: str, words: str, wait: float
) -> None:
    service.mood = saying(failure(code, words))

    (answer,) = send(letter(0))

    assert (type(answer), answer.retry_after) == (Unavailable, wait)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"BulkEmailEntryResults": [{"MessageId": "m"}]}', b"{", b"[" * 9_999])
def test_a_bulk_answer_that_does_not_tell_of_each_mail_tells_of_none(send: Send, service: Double, body: bytes) -> None:
    service.mood = saying(Response(200, body), taken=True)

    assert [type(answer) for answer in send(letter(0), letter(1))] == [Uncertain] * 2


def test_results_in_strange_words_are_judged_one_by_one(send: Send, service: Double) -> None:
    rows = [{"MessageId": "m-1"}, {"Status": "SUCCESS"}, {"Status": "NEW <b>"}, {}, None]
    service.mood = saying(Response(200, json.dumps({"BulkEmailEntryResults": rows}).encode()))

    found = send(*(letter(number) for number in range(5)))

    assert [type(answer) for answer in found] == [Sent, Sent, Rejected, Uncertain, Uncertain]
    assert [answer.provider_id for answer in found[:2]] == ["m-1", None]
    assert (found[2].reason, "<b>" in str(found[2])) == (FailureReason.unknown, False)


def test_probing_tells_when_sending_is_paused(run: Run, place: str, account: Ses) -> None:
    run(probed(provider_at(place)))
    account.sending = False
    with pytest.raises(Misconfigured, match="paused"):
        run(probed(provider_at(place)))


def test_a_clock_that_is_wrong_is_told(send: Send, account: Ses) -> None:
    account.now = lambda: NOW + timedelta(minutes=6)

    (answer,) = send(letter(0))

    assert (type(answer), answer.code) == (Unavailable, "RequestExpired")


@pytest.mark.parametrize("code", ["SignatureDoesNotMatch", "InvalidSignatureException"])
@pytest.mark.parametrize(
    "words",
    [
        "Signature expired: 20260115T082000Z is now earlier than 20260115T082500Z (20260115T083000Z - 5 min.)",
        "Signature not yet current: 20260115T084000Z is still later than 20260115T083500Z (20260115T083000Z + 5 min.)",
    ],
)
def test_a_wrong_clock_is_not_told_as_a_wrong_key(send: Send, service: Double, code: str, words: str) -> None:
    # it stopped the lane until resumed, and blamed the secret key
    service.mood = saying(failure(code, words, 403))

    (answer,) = send(letter(0))

    assert isinstance(answer, Unavailable)
    assert "clock" in str(answer)


@pytest.mark.parametrize(
    "code", ["IncompleteSignature", "IncompleteSignatureException", "NotAuthorized", "OptInRequired"]
)
def test_a_signature_or_an_account_that_cannot_be_used_is_not_the_fault_of_the_mail(
    send: Send, service: Double, code: str
) -> None:
    service.mood = saying(failure(code, "x", 400))

    assert [type(answer) for answer in send(letter(0), letter(1))] == [Misconfigured] * 2


def test_the_region_says_where_mails_go() -> None:
    ours = {"region": "cn-north-1"}
    assert SesProvider("email", ours, ENV).describe().startswith("email.cn-north-1.amazonaws.com.cn")
    assert SesProvider("email", {"region": "us-gov-west-1"}, ENV).describe().startswith("email.us-gov-west-1.amazonaws")
    with pytest.raises(ValueError, match="region"):
        SesProvider("email", {"region": "example.com/"}, ENV)


# the signature


@pytest.mark.parametrize("case", vectors.cases("ses_v2_sigv4.json"), ids=lambda case: case["name"])
def test_a_request_is_signed_as_the_vector_says(case: dict[str, Any]) -> None:
    given, expected = case["input"], case["expected"]
    token = SecretStr(given["session_token"]) if given["session_token"] else None
    key = SecretStr("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    credentials = sigv4.Credentials("AKIDEXAMPLE", key, given["region"], given["service"], token)
    body = given["body"].encode()

    found = sigv4.signed(credentials, NOW, given["method"], given["host"], given["path"], body, given["content_type"])

    signed = {name: value for name, value in found.items() if name != "authorization"}
    assert sigv4.canonical_request(given["method"], given["path"], signed, body) == expected["canonical_request"]
    scope = expected["string_to_sign"].split("\n")[2]
    assert sigv4.string_to_sign(found["x-amz-date"], scope, expected["canonical_request"]) == expected["string_to_sign"]
    assert {name.lower(): value for name, value in expected["headers"].items()}.items() <= found.items()


# what it reports


@pytest.fixture(scope="module")
def topic() -> Topic:
    return Topic()


@pytest.fixture
def listener(topic: Topic) -> SesProvider:
    provider = provider_at("http://localhost:1")
    provider.fetch = topic.fetch  # type: ignore[method-assign]
    topic.fetched.clear()
    return provider


def told(word: str, *, form: str = "eventType", name: str = "", **what: Any) -> str:
    """An event of one mail, as SES tells it."""
    mail = {
        "timestamp": "2026-01-15T08:29:00.000Z",
        "messageId": "0100-m",
        "source": "shop@example.org",
        "destination": ["a@example.org"],
        "tags": {"message_id": ["contract-0"], "ses:operation": ["SendBulkEmail"]},
    }
    return json.dumps({form: word, "mail": mail, name or word[:1].lower() + word[1:]: what})


BOUNCE = {
    "bounceType": "Permanent",
    "bounceSubType": "General",
    "bouncedRecipients": [{"emailAddress": "a@example.org"}],
}


class TestReceipts(ReceiptContract):
    @pytest.fixture
    def provider(self, listener: SesProvider) -> Provider:
        return listener

    @pytest.fixture
    def genuine(self, topic: Topic) -> Sequence[Callback]:
        several = [{"emailAddress": "a@example.org"}, {"emailAddress": "b@example.org"}]
        return [
            topic.says(told("Delivery", recipients=["a@example.org"]), NOW, version="1", Subject="Amazon SES"),
            topic.says(told("Bounce", **{**BOUNCE, "bouncedRecipients": several}), NOW),
            topic.says(told("Click", link="https://shop.example.org/r/1"), NOW),
            topic.says(told("Rendering Failure", name="failure"), NOW),
        ]

    @pytest.fixture
    def sign(self, topic: Topic) -> Callable[[bytes], Callback]:
        return lambda body: topic.says(body.decode("utf-8", "replace"), NOW)

    @pytest.fixture
    def unknown_words(self, topic: Topic) -> Callback:
        return topic.says(told("Levitation"), NOW)

    @pytest.fixture
    def forged(self, topic: Topic, genuine: Sequence[Callback]) -> Sequence[Callback]:
        one = genuine[0]

        def altered(**fields: Any) -> Callback:
            return replace(one, body=json.dumps({**json.loads(one.body), **fields}).encode())

        return [
            altered(Message=told("Complaint")),
            altered(MessageId="another"),
            altered(Subject="another"),
            altered(Type="SubscriptionConfirmation"),
            altered(TopicArn=TOPIC + "2"),
            altered(SignatureVersion="2"),
            altered(SignatureVersion="3"),
            altered(Signature="no base64!"),
            altered(Signature=7),
            altered(SigningCertURL="https://sns.eu-west-1.amazonaws.com.evil.example/x.pem"),
            altered(SigningCertURL="http://sns.eu-west-1.amazonaws.com/x.pem"),
            altered(SigningCertURL="https://sns.eu-west-1.amazonaws.com:8443/x.pem"),
            altered(SigningCertURL="https://user@sns.eu-west-1.amazonaws.com/x.pem"),
            altered(SigningCertURL="https://sns.eu-west-1.amazonaws.com/x.txt"),
            altered(SigningCertURL="https://sns.eu-west-1.amazonaws.com/another.pem"),
            altered(SigningCertURL="https://[sns"),
            topic.says(told("Delivery"), NOW, TopicArn="arn:aws:sns:eu-west-1:999999999999:ses-events"),
            replace(one, at=NOW + timedelta(days=1, seconds=1)),
        ]


def test_a_certificate_is_fetched_once(run: Run, listener: SesProvider, topic: Topic) -> None:
    for number in range(3):
        run(listener.receipts(topic.says(told("Delivery"), NOW, f"m-{number}")))

    assert len(topic.fetched) == 1


def test_a_foreign_address_is_never_asked(run: Run, listener: SesProvider, topic: Topic) -> None:
    for url in (
        "https://sns.eu-west-1.example.com/x.pem",
        "https://169.254.169.254/x.pem",
        "https://localhost/x.pem",
        "https://sns.s3-us-west-2.amazonaws.com/x.pem",  # the bucket `sns` of a stranger
        "https://sns.eu-west-1.amazonaws.com/x.pem?Action=GetTopicAttributes",  # where a stranger's topic may be quoted
    ):
        with pytest.raises(InvalidReceipt):
            run(listener.receipts(topic.says(told("Delivery"), NOW, SigningCertURL=url)))
    assert topic.fetched == []


def test_a_subscription_is_confirmed_where_amazon_is_asked_for_it_alone(
    run: Run, listener: SesProvider, topic: Topic
) -> None:
    about = {"Type": "SubscriptionConfirmation", "Token": "abc"}
    heard = run(listener.receipts(topic.says("You have chosen to subscribe", NOW, SubscribeURL=SUBSCRIBE, **about)))

    assert (heard.status, heard.receipts, topic.fetched[-1]) == (200, (), SUBSCRIBE)
    for wrong in ("https://evil.example.com/?Action=ConfirmSubscription", SUBSCRIBE.replace("Confirm", "Delete")):
        with pytest.raises(InvalidReceipt):
            run(listener.receipts(topic.says("You have chosen to subscribe", NOW, SubscribeURL=wrong, **about)))
    assert topic.fetched[-1] == SUBSCRIBE


def test_the_end_of_a_subscription_is_heard_and_nothing_is_done(run: Run, listener: SesProvider, topic: Topic) -> None:
    about = {"Type": "UnsubscribeConfirmation", "Token": "abc", "SubscribeURL": SUBSCRIBE}
    heard = run(listener.receipts(topic.says("You have chosen to leave", NOW, **about)))

    assert (heard.status, heard.receipts) == (200, ())
    assert SUBSCRIBE not in topic.fetched


def test_while_amazon_cannot_be_asked_nothing_is_known(run: Run, listener: SesProvider, topic: Topic) -> None:
    async def unreachable(url: str) -> bytes:
        raise Unavailable("The host cannot be found.")

    listener.fetch = unreachable  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        run(listener.receipts(topic.says(told("Delivery"), NOW)))


def test_without_topics_nothing_is_believed(run: Run, topic: Topic) -> None:
    deaf = provider_at("http://localhost:1", topics=[])

    assert not deaf.features.receipts
    with pytest.raises(InvalidReceipt, match="topics"):
        run(deaf.receipts(topic.says(told("Delivery"), NOW)))


def test_several_people_in_one_notification_are_several_receipts(run: Run, listener: SesProvider, topic: Topic) -> None:
    several = [{"emailAddress": "a@example.org"}, {"emailAddress": "Bob <b@example.org>"}]
    bounce = {**BOUNCE, "bouncedRecipients": several, "feedbackId": "fb-1"}
    heard = run(listener.receipts(topic.says(told("Bounce", form="notificationType", **bounce), NOW)))

    assert [(one.to, one.event_id) for one in heard.receipts] == [
        ("a@example.org", "fb-1"),
        ("b@example.org", "fb-1/1"),
    ]
    assert {(one.key, one.provider_id) for one in heard.receipts} == {("contract-0", "0100-m")}


def test_only_who_got_the_mail_can_have_complained(run: Run, listener: SesProvider, topic: Topic) -> None:
    people = [{"emailAddress": "x@example.org"}, {"emailAddress": "A@example.org"}]
    heard = run(listener.receipts(topic.says(told("Complaint", complainedRecipients=people), NOW)))

    assert [(one.type, one.to) for one in heard.receipts] == [(ReceiptType.complained, "A@example.org")]


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        ({"unsubscribeAll": True, "topicSubscriptionStatus": []}, ReceiptType.unsubscribed),
        (
            {"unsubscribeAll": False, "topicSubscriptionStatus": [{"topicName": "a", "subscriptionStatus": "OptOut"}]},
            ReceiptType.unsubscribed,
        ),
        (
            {"unsubscribeAll": False, "topicSubscriptionStatus": [{"topicName": "a", "subscriptionStatus": "OptIn"}]},
            ReceiptType.resubscribed,
        ),
    ],
)
def test_who_changes_what_they_subscribe_to_may_want_all_of_it(
    run: Run, listener: SesProvider, topic: Topic, wishes: dict[str, Any], expected: ReceiptType
) -> None:
    heard = run(listener.receipts(topic.says(told("Subscription", newTopicPreferences=wishes), NOW)))

    assert [one.type for one in heard.receipts] == [expected]


def test_words_that_are_no_json_are_kept(run: Run, listener: SesProvider, topic: Topic) -> None:
    words = "Successfully validated SNS topic for Amazon SES event publishing."
    (receipt,) = run(listener.receipts(topic.says(words, NOW))).receipts

    assert (receipt.type, receipt.raw) == (ReceiptType.unknown, {"Message": words})


@pytest.mark.parametrize("form", ["eventType", "notificationType"])
@pytest.mark.parametrize("row", [row for row in ROWS if row["where"] == "notification"], ids=lambda row: row["code"])
def test_a_notification_means_what_its_row_says(
    run: Run, listener: SesProvider, topic: Topic, row: dict[str, Any], form: str
) -> None:
    word, _, kind = row["code"].partition("/")
    subs = {
        "Permanent": ["General", "NoEmail", "Suppressed", "OnAccountSuppressionList", "UnsubscribedRecipient", "new"],
        "Transient": ["MailboxFull", "MessageTooLarge", "ContentRejected", "AttachmentRejected", "General", "new"],
    }.get(kind, [""])
    for sub in subs:
        what = {"bounceType": kind, "bounceSubType": sub}
        about = {"Rendering Failure": "failure", "DeliveryDelay": "deliveryDelay"}.get(word, "")
        (receipt,) = run(listener.receipts(topic.says(told(word, form=form, name=about, **what), NOW))).receipts
        assert row["cls"] in verdicts.told_by(receipt), sub
        assert receipt.to == "a@example.org"


@pytest.mark.parametrize("case", vectors.cases("inbound_payloads.json", "amazon-ses"), ids=lambda case: case["name"])
def test_an_inbound_payload_says_what_the_vector_expects(
    run: Run, listener: SesProvider, topic: Topic, case: dict[str, Any]
) -> None:
    heard = run(listener.receipts(topic.says(case["input"]["body"], NOW)))

    ours = {"delivered": "delivered", "bounced": "bounced", "complaint": "complained"}
    for expected, one in zip(case["expected"]["events"], heard.receipts, strict=True):
        assert (one.type, one.to, one.provider_id) == (
            ours[expected["type"]],
            expected["address"],
            expected["provider_id"],
        )
        assert one.key == "msg-0001"
        if one.reason is not None:
            assert one.reason.ends_address == expected["suppress"]
    assert (heard.status, heard.body.decode()) == (200, case["expected"]["reply"]["body"])


@pytest.mark.parametrize("case", vectors.cases("sns_message_signature.json"), ids=lambda case: case["name"])
def test_a_message_of_sns_is_judged_as_the_vector_says(run: Run, case: dict[str, Any]) -> None:
    message, fetched = case["input"]["message"], []
    provider = provider_at("http://localhost:1", topics=[message["TopicArn"]])

    async def fetch(url: str) -> bytes:
        fetched.append(url)
        return str(case["input"]["signing_certificate_pem"]).encode()

    provider.fetch = fetch  # type: ignore[method-assign]
    callback = Callback("POST", "https://shop.example.com/hooks/email", {}, json.dumps(message).encode(), NOW)

    if case["expected"]["valid"]:
        assert run(provider.receipts(callback)).status == 200
    else:
        with pytest.raises(InvalidReceipt):
            run(provider.receipts(callback))
    assert bool(fetched) == ("signing_certificate_pem" in case["input"])


def test_it_cannot_be_asked_what_became_of_a_mail(run: Run, listener: SesProvider) -> None:
    assert run(listener.look_up([Asked("k", letter(0), NOW)], 1.0)) == [None]
    assert not listener.features.look_up

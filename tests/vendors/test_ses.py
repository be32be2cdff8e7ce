"""Our double of SES against boto3, our requests against the model of SES that ships with it, and moto against us."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from doubles.ses import ACCESS, REGION, SECRET, TOKEN, Ses

from channels.clock import system_now
from channels.contract import Email, Sent
from channels.email.ses import SesProvider
from channels.testing import Double, answers, outgoing

pytestmark = [
    pytest.mark.vendor,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # botocore and moto
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # moto leaves sockets open
]

ENV = {"AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET}


def letter(number: int, **fields: Any) -> Email:
    html = f'<p>Hi Person {number}</p><a href="https://shop.example.org/r/{number}">Look</a>'
    unsubscribe = ("List-Unsubscribe", f"<https://shop.example.org/u/{number}>")
    given = {"sender": "shop@example.org", "subject": f"Hi {number} 您好", "html": html, "headers": (unsubscribe,)}
    return Email(to=f"person{number}@example.com", **{**given, **fields})


def provider_at(address: str, **options: Any) -> SesProvider:
    return SesProvider("email", {"url": address, "region": REGION, **options}, ENV)


@pytest.fixture
def account() -> Ses:
    return Ses(system_now)


@pytest.fixture
def place(account: Ses) -> Iterator[str]:
    with Double(account.handle).in_thread() as address:
        yield address


def client(place: str, **more: Any) -> Any:
    boto3 = pytest.importorskip("boto3")
    config = pytest.importorskip("botocore.config").Config(retries={"total_max_attempts": 1})
    keys = {"aws_access_key_id": ACCESS, "aws_secret_access_key": SECRET, **more}
    return boto3.client("sesv2", region_name=REGION, endpoint_url=place, config=config, **keys)


SIMPLE = {
    "Subject": {"Data": "Hello 您好", "Charset": "UTF-8"},
    "Body": {"Text": {"Data": "hi"}, "Html": {"Data": "<p>hi</p>"}},
    "Headers": [{"Name": "List-Unsubscribe", "Value": "<https://shop.example.org/u/1>"}],
}


def test_a_mail_of_boto3_is_verified_and_taken(place: str, account: Ses) -> None:
    answer = client(place).send_email(
        FromEmailAddress="The Shop <shop@example.org>",
        Destination={"ToAddresses": ["ann@example.com"]},
        Content={"Simple": SIMPLE},
        EmailTags=[{"Name": "message_id", "Value": "k-1"}],
        ConfigurationSetName="outreach",
    )

    (one,) = account.taken
    assert (answer["MessageId"], one.key, one.to, one.subject) == (one.name, "k-1", "ann@example.com", "Hello 您好")


def test_a_raw_mail_of_boto3_is_taken(place: str, account: Ses) -> None:
    raw = b"From: shop@example.org\r\nTo: ann@example.com\r\nSubject: Hello\r\n\r\nhi\r\n"
    client(place).send_email(
        FromEmailAddress="shop@example.org",
        Destination={"ToAddresses": ["ann@example.com"]},
        Content={"Raw": {"Data": raw}},
    )

    assert [(one.how, one.subject, one.text) for one in account.taken] == [("Raw", "Hello", "hi\n")]


def test_many_mails_of_boto3_are_filled_in_one_by_one(place: str, account: Ses) -> None:
    account.rejected_people = frozenset({"bob@example.com"})
    entries = [
        {
            "Destination": {"ToAddresses": [f"{name}@example.com"]},
            "ReplacementTags": [{"Name": "message_id", "Value": name}],
            "ReplacementEmailContent": {"ReplacementTemplate": {"ReplacementTemplateData": json.dumps({"name": name})}},
        }
        for name in ("ann", "bob", "cyd")
    ]
    content = {"Subject": "Hi {{name}}", "Html": "<p>{{name}}</p>"}
    answer = client(place).send_bulk_email(
        FromEmailAddress="shop@example.org",
        DefaultContent={"Template": {"TemplateContent": content, "TemplateData": "{}"}},
        BulkEmailEntries=entries,
    )

    assert [one["Status"] for one in answer["BulkEmailEntryResults"]] == ["SUCCESS", "MESSAGE_REJECTED", "SUCCESS"]
    assert [(one.key, one.subject, one.html) for one in account.taken] == [
        ("ann", "Hi ann", "<p>ann</p>"),
        ("cyd", "Hi cyd", "<p>cyd</p>"),
    ]


def test_boto3_understands_a_refusal_and_a_wrong_signature(place: str, account: Ses) -> None:
    ours, other = client(place), client(place, aws_secret_access_key="of somebody else")

    with pytest.raises(other.exceptions.ClientError) as caught:
        other.get_account()
    assert caught.value.response["Error"]["Code"] == "SignatureDoesNotMatch"
    account.rejected_people = frozenset({"bob@example.com"})
    with pytest.raises(ours.exceptions.MessageRejected):
        ours.send_email(
            FromEmailAddress="shop@example.org",
            Destination={"ToAddresses": ["bob@example.com"]},
            Content={"Simple": SIMPLE},
        )
    with pytest.raises(ours.exceptions.NotFoundException):
        ours.send_email(
            FromEmailAddress="shop@example.org",
            Destination={"ToAddresses": ["ann@example.com"]},
            Content={"Simple": SIMPLE},
            ConfigurationSetName="no-such",
        )
    assert ours.get_account()["SendingEnabled"] is True


def test_temporary_credentials_of_boto3_are_verified(place: str, account: Ses) -> None:
    account.token = TOKEN

    assert client(place, aws_session_token=TOKEN).get_account()["SendingEnabled"] is True
    with pytest.raises(client(place).exceptions.ClientError, match="ExpiredToken"):
        client(place).get_account()


def test_our_requests_are_as_the_model_of_ses_wants_them(place: str, account: Ses) -> None:
    loader = pytest.importorskip("botocore.session").get_session()
    model = loader.get_service_model("sesv2")
    validate = pytest.importorskip("botocore.validate").ParamValidator().validate
    provider = provider_at(place, configuration_set="outreach", reply_to="desk@example.org")
    many = tuple((f"X-{number}", "1") for number in range(16))
    batch = [*(letter(number) for number in range(5)), letter(5, text="alone"), letter(6, headers=many)]

    found = asyncio.run(answers(provider, [outgoing(content, nth) for nth, content in enumerate(batch)]))

    assert {type(answer) for answer in found} == {Sent}
    assert sorted(one.how for one in account.taken) == ["Raw", "Simple", *["bulk"] * 5]
    for body in account.requests:
        operation = "SendBulkEmail" if "BulkEmailEntries" in body else "SendEmail"
        report = validate(body, model.operation_model(operation).input_shape)
        assert not report.has_errors(), report.generate_report()


def test_moto_takes_what_we_send() -> None:
    """It knows single mails, and no bulk requests: those fall apart into single ones."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        place = f"http://localhost:{server.get_host_and_port()[1]}"
        client(place).create_email_identity(EmailIdentity="shop@example.org")
        many = tuple((f"X-{number}", "1") for number in range(16))
        batch = [letter(0), letter(1, text="alone"), letter(2, headers=many)]
        found = asyncio.run(answers(provider_at(place), [outgoing(content, nth) for nth, content in enumerate(batch)]))
        sent = _sent_by_moto()
    finally:
        server.stop()

    assert {type(answer) for answer in found} == {Sent}
    assert {answer.provider_id for answer in found if isinstance(answer, Sent)} == set(sent)


def _sent_by_moto() -> list[str]:
    backends = pytest.importorskip("moto.ses.models").ses_backends
    return [str(message.id) for message in backends["123456789012"][REGION].sent_messages]

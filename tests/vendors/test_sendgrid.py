"""Our double of SendGrid against SendGrid's own library, and our provider against its OpenAPI document."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from doubles import vectors
from doubles.sendgrid import KEY, SHOWN, SendGrid, hook
from vendors.prism import prism_over

from channels.contract import Email, Sent
from channels.email.sendgrid import SendGridProvider
from channels.testing import Double, answers, outgoing

pytestmark = pytest.mark.vendor

AT = datetime(2026, 1, 15, 8, 30, tzinfo=UTC)


@pytest.fixture
def account() -> SendGrid:
    return SendGrid()


@pytest.fixture
def place(account: SendGrid) -> Iterator[str]:
    with Double(account.handle).in_thread() as address:
        yield address


Client = Callable[[str], Any]


@pytest.fixture
def client(place: str) -> Client:
    sendgrid = pytest.importorskip("sendgrid")
    return lambda key: sendgrid.SendGridAPIClient(api_key=key, host=place)


def test_a_mail_of_the_library_is_taken(client: Client, account: SendGrid) -> None:
    from sendgrid.helpers.mail import CustomArg, Header, Mail

    mail = Mail(("shop@example.org", "The Shop"), ("ann@example.com", "Ann"), "Hello", "hi", "<p>hi</p>")
    mail.add_custom_arg(CustomArg("message_id", "k-1", p=0))
    mail.add_header(Header("List-Unsubscribe", "<https://shop.example.org/u/1>", p=0))

    answer = client(KEY).send(mail)

    (one,) = account.taken
    assert (answer.status_code, answer.headers["X-Message-Id"]) == (202, one.request)
    assert (one.key, one.to, one.to_name, one.subject, one.html) == (
        "k-1",
        "ann@example.com",
        "Ann",
        "Hello",
        "<p>hi</p>",
    )
    assert one.headers == {"List-Unsubscribe": "<https://shop.example.org/u/1>"}


def test_substitutions_of_the_library_are_filled_in(client: Client, account: SendGrid) -> None:
    from sendgrid.helpers.mail import Mail, Substitution, To

    people = [To(f"{name}@example.com", substitutions={"-name-": name}) for name in ("ann", "bob")]
    mail = Mail("shop@example.org", people, "Hello -name-", "hi -name-", is_multiple=True)
    mail.substitution = Substitution("-shop-", "ours", p=0)
    client(KEY).send(mail)

    assert sorted(one.text for one in account.taken) == ["hi ann", "hi bob"]


def test_the_library_understands_a_refusal(client: Client, account: SendGrid) -> None:
    errors = pytest.importorskip("python_http_client.exceptions")
    from sendgrid.helpers.mail import Mail

    account.unknown_people = frozenset({"nobody@example.com"})
    with pytest.raises(errors.UnauthorizedError):
        client("SG.of-somebody-else").send(Mail("shop@example.org", "ann@example.com", "Hello", "hi"))
    with pytest.raises(errors.BadRequestsError) as caught:
        client(KEY).send(Mail("shop@example.org", "nobody@example.com", "Hello", "hi"))
    assert caught.value.to_dict["errors"][0]["field"] == "personalizations.0.to.0.email"
    assert account.taken == []


def test_the_library_asks_for_scopes(client: Client) -> None:
    assert "mail.send" in json.loads(client(KEY).client.scopes.get().body)["scopes"]


def test_the_library_believes_what_the_double_signs() -> None:
    sendgrid = pytest.importorskip("sendgrid.helpers.eventwebhook")
    webhook = sendgrid.EventWebhook(SHOWN)
    callback = hook([{"event": "delivered", "email": "ann@example.com"}], AT)
    signature = callback.headers["x-twilio-email-event-webhook-signature"]
    timestamp = callback.headers["x-twilio-email-event-webhook-timestamp"]

    assert webhook.verify_signature(callback.body.decode(), signature, timestamp)
    assert not webhook.verify_signature(callback.body.decode() + " ", signature, timestamp)


def test_requests_are_as_the_openapi_document_wants_them() -> None:
    """Prism answers 4xx where one is not."""

    def letter(number: int, **fields: Any) -> Email:
        html = f'<p>Hi Person {number}</p><a href="https://shop.example.org/r/{number}">Look</a>'
        unsubscribe = ("List-Unsubscribe", f"<https://shop.example.org/u/{number}>")
        given = {"sender": "shop@example.org", "subject": f"Hi {number} 您好", "html": html, "headers": (unsubscribe,)}
        return Email(to=f"person{number}@example.com", **{**given, **fields})

    batch = [letter(number) for number in range(20)]
    batch += [letter(20, text="Hi", sender_name="The Shop", to_name="Ann", reply_to="desk@example.org")]
    going = [outgoing(content, number, timeout=30.0) for number, content in enumerate(batch)]

    with prism_over(vectors.document("sendgrid_v3.swagger2.json.xz")) as address:
        options = {"url": address, "api_key_env": "KEY"}
        provider = SendGridProvider("email", options, {"KEY": KEY})

        async def probed() -> None:
            await provider.probe()
            await provider.close()

        assert {type(answer) for answer in asyncio.run(answers(provider, going))} == {Sent}
        asyncio.run(probed())
        strange = SendGridProvider("email", {"url": f"{address}/user", "api_key_env": "KEY"}, {"KEY": KEY})
        assert Sent not in {type(answer) for answer in asyncio.run(answers(strange, going))}

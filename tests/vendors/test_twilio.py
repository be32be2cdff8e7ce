"""Twilio's own library is satisfied with the simulator and agrees on signatures; its own document takes our fields."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest
from doubles.twilio import (
    ACCOUNT,
    MAGIC_FROM,
    MAGIC_TO,
    NUMBER,
    SERVICE,
    Twilio,
    inbound,
    json_report,
    report,
    signature,
    status,
    today,
)
from doubles.vectors import document
from vendors.prism import prism_over

from channels.contract import Sent, Sms
from channels.sms.twilio import TwilioProvider
from channels.testing import Double, answers, content_for, outgoing

pytestmark = [
    pytest.mark.vendor,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

TOKEN = "0123456789abcdef0123456789abcdef"
HOOK = "https://hooks.example.com/hooks/sms"


@pytest.fixture
def simulator() -> Twilio:
    return Twilio({ACCOUNT: TOKEN, "SK00000000000000000000000000000001": "hush"}, today)


@pytest.fixture
def place(simulator: Twilio) -> Iterator[str]:
    with Double(simulator.handle).in_thread() as place:
        yield place


def client_at(place: str, name: str = ACCOUNT, password: str = TOKEN) -> Any:
    """Twilio's client, which knows but one host of its own."""
    rest, http = pytest.importorskip("twilio.rest"), pytest.importorskip("twilio.http.http_client")

    class Elsewhere(http.TwilioHttpClient):  # type: ignore[name-defined,misc]
        def request(self, method: str, url: str, *args: Any, **options: Any) -> Any:
            return super().request(method, url.replace("https://api.twilio.com", place), *args, **options)

    return rest.Client(name, password, ACCOUNT, http_client=Elsewhere())


def test_its_client_sends_finds_and_reads(place: str, simulator: Twilio) -> None:
    client = client_at(place)
    made = client.messages.create(
        to="+12025550100", from_=NUMBER, body="你好", status_callback=f"{HOOK}?msg=k", validity_period=60
    )
    simulator.become(made.sid, "undelivered", 30005)
    (found,) = client.messages.list(to="+12025550100", date_sent_after=today() - timedelta(minutes=5))

    assert (made.status, made.num_segments, made.error_code, made.direction) == ("queued", "1", None, "outbound-api")
    assert made.date_created == today()
    assert (found.sid, found.status, found.error_code, found.body) == (made.sid, "undelivered", 30005, "你好")
    assert client.messages(made.sid).fetch().date_sent == today()
    assert client.messages.list(to="+12025550101") == []


def test_with_a_service_and_with_a_key_as_well(place: str) -> None:
    client = client_at(place, "SK00000000000000000000000000000001", "hush")
    made = client.messages.create(to="+12025550100", messaging_service_sid=SERVICE, body="x")

    assert (made.status, made.num_segments, made.messaging_service_sid) == ("accepted", "0", SERVICE)


def test_its_client_raises_what_twilio_refuses(place: str) -> None:
    refused = pytest.importorskip("twilio.base.exceptions").TwilioRestException

    def code_of(client: Any, **fields: Any) -> tuple[int, int]:
        with pytest.raises(refused) as caught:
            client.messages.create(**fields)
        return caught.value.status, caught.value.code

    fine = {"to": "+12025550100", "from_": NUMBER, "body": "x"}
    client = client_at(place)
    assert code_of(client_at(place, password="wrong"), **fine) == (401, 20003)
    assert {to: code_of(client, **{**fine, "to": to}) for to in MAGIC_TO} == {
        to: (400, code) for to, code in MAGIC_TO.items()
    }
    assert {by: code_of(client, **{**fine, "from_": by}) for by in MAGIC_FROM} == {
        by: (400, code) for by, code in MAGIC_FROM.items()
    }
    assert code_of(client, **{**fine, "body": "x" * 1601}) == (400, 21617)
    assert code_of(client, to="+12025550100", from_=NUMBER) == (400, 21602)


@pytest.mark.parametrize("url", [HOOK, f"{HOOK}?msg=k&a=%20b", "https://hooks.example.com:443/a", f"{HOOK}?"])
@pytest.mark.parametrize(
    "body",
    [status("SM1", "delivered"), inbound("SM2", "你好 é€ +&= café"), b"a=1&b=&c=%2B"],
    ids=["status", "inbound", "odd"],
)
@pytest.mark.parametrize("algorithm", ["HMAC_SHA1", "HMAC_SHA256"])
def test_its_validator_signs_what_we_believe(url: str, body: bytes, algorithm: str) -> None:
    validator = pytest.importorskip("twilio.request_validator").RequestValidator(TOKEN)
    options = {"account_sid": ACCOUNT, "auth_token_env": "T", "shared_key_env": "T", "from": NUMBER}
    provider = TwilioProvider("sms", options, {"T": TOKEN}, now=today)
    fields = dict(parse_qsl(body.decode(), keep_blank_values=True))
    callback = report(TOKEN, url, body, today())
    headers = {**callback.headers, "x-twilio-signature": validator.compute_signature(url, fields, algorithm)}
    headers["x-twilio-webhooks-signature-settings"] = f"key=webhooks_sharedkey_1,algorithm={algorithm}"
    signed = type(callback)("POST", url, headers, body, today())

    assert asyncio.run(provider.receipts(signed)).receipts


def test_its_validator_believes_what_the_simulator_signs() -> None:
    validator = pytest.importorskip("twilio.request_validator").RequestValidator(TOKEN)
    body = inbound("SM2", "你好 é€ café")
    form, told = report(TOKEN, HOOK, body, today()), json_report(TOKEN, f"{HOOK}?a=b", b'{"a": 1}', today())

    assert validator.validate(form.url, dict(parse_qsl(body.decode())), form.headers["x-twilio-signature"])
    assert validator.validate(told.url, '{"a": 1}', told.headers["x-twilio-signature"])
    assert not validator.validate(told.url, '{"a": 2}', told.headers["x-twilio-signature"])
    assert signature(TOKEN, HOOK, [("a", "2"), ("a", "1"), ("a", "1")]) == signature(TOKEN, HOOK + "a1a2")


def test_twilios_own_document_takes_our_requests() -> None:
    sid = {"sender": {"from": NUMBER}, "service": {"messaging_service_sid": SERVICE}}
    with prism_over(document("twilio_api_v2010.openapi.json.xz")) as place:
        for kind in sid.values():
            options = {
                "account_sid": ACCOUNT,
                "auth_token_env": "T",
                "status_callback": HOOK,
                "validity": 60,
                "url": place,
            }
            provider = TwilioProvider("sms", {**options, **kind}, {"T": TOKEN}, now=today)
            found = asyncio.run(
                answers(provider, [outgoing(content_for("sms", number), number) for number in range(3)])
            )
            assert all(isinstance(one, Sent) and one.provider_id for one in found), found
            asyncio.run(_probed(provider))


async def _probed(provider: TwilioProvider) -> None:
    try:
        await provider.probe()
    finally:
        await provider.close()


def test_it_refuses_what_is_none() -> None:
    with prism_over(document("twilio_api_v2010.openapi.json.xz")) as place:
        options = {"account_sid": ACCOUNT, "auth_token_env": "T", "from": NUMBER, "url": place}
        provider = TwilioProvider("sms", options, {"T": TOKEN}, now=today)
        provider._options = provider._options.model_copy(update={"validity": "soon"})
        (answer,) = asyncio.run(answers(provider, [outgoing(Sms(to="+12025550100", text="x"))]))

    assert not isinstance(answer, Sent)

"""Webhooks: signed as the standard says, and to nobody inside our own network."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from doubles.vectors import cases
from doubles.webhook import Receiver
from pydantic import SecretStr, ValidationError

from channels import webhook
from channels.contract import Answer, Content, Sent, Webhook
from channels.errors import FailureReason, Misconfigured, Rejected, SendError, Unavailable, Uncertain
from channels.hosts import is_public
from channels.http import Api
from channels.testing import Accepted, ApiContract, Double, Request, Response, Run, answers, content_for, outgoing
from channels.testing.double import silent
from channels.webhook import WebhookProvider

NOW = datetime(2026, 3, 29, 1, 31, tzinfo=UTC)
SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
OLD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ENV = {"CRM_SECRET": SECRET}
CRM = Webhook(to="the-crm", type="order.sent", data='{"number":1}')


def provider_at(url: str, env: Mapping[str, str] = ENV, **more: Any) -> WebhookProvider:
    options = {"endpoints": {"the-crm": {"url": url, "secret_env": "CRM_SECRET"}}, "allow": ["localhost"], **more}
    return WebhookProvider("webhook", options, env, now=lambda: NOW)


def for_strangers(**more: Any) -> WebhookProvider:
    return WebhookProvider("webhook", {"secret_env": "CRM_SECRET", **more}, ENV, now=lambda: NOW)


@pytest.fixture
def receiver() -> Receiver:
    return Receiver(SECRET, lambda: NOW)


class TestWebhook(ApiContract):
    @pytest.fixture
    def service(self, receiver: Receiver) -> Double:
        return Double(receiver.handle)

    @pytest.fixture
    def at(self) -> Callable[[str], WebhookProvider]:
        return lambda address: provider_at(f"{address}/hooks/?tenant=1")

    @pytest.fixture
    def env(self) -> Mapping[str, str]:
        return ENV

    @pytest.fixture
    def accepted(self, receiver: Receiver) -> Callable[[], list[Accepted]]:
        return lambda: [Accepted(key) for key in receiver.taken]

    @pytest.fixture
    def content(self) -> Callable[[int], Content]:
        return lambda number: Webhook(to="the-crm", type="order.sent", data=f'{{"number":{number}}}')

    @pytest.fixture
    def inexpressible(self) -> Sequence[Content]:
        wrong = [
            Webhook(to="", type="x"),
            Webhook(to="the-crm"),
            Webhook(to="nobody-known", type="x"),
            Webhook(to="https://example.org/hook", type="x"),
            Webhook(to="the-crm", type="order sent"),
            Webhook(to="the-crm", type="order..sent"),
            Webhook(to="the-crm", type="x", data="{'a': 1}"),
            Webhook(to="the-crm", type="x", data="NaN"),
            Webhook(to="the-crm", type="x", data=""),
            Webhook(to="the-crm", type="x", data=json.dumps("x" * 20_000)),
        ]
        return [*wrong, content_for("email")]

    @pytest.fixture
    def again(self) -> Callable[[Request], object]:
        return lambda request: (request.path, request.headers["webhook-id"], request.body)


@pytest.fixture
def service(receiver: Receiver) -> Double:
    return Double(receiver.handle)


@pytest.fixture
def place(run: Run, service: Double) -> Iterator[str]:
    yield run(service.start())
    run(service.stop())


def send(run: Run, provider: WebhookProvider, content: Content = CRM, number: int = 0) -> Answer:
    (answer,) = run(answers(provider, [outgoing(content, number)]))
    return answer


# what is sent


def test_the_data_arrive_as_they_were_written_with_the_instant_of_the_event(
    run: Run, place: str, service: Double, receiver: Receiver
) -> None:
    data = '{ "big": 12345678901234567890, "a": 1.50, "a": "张三" }'

    answer = send(run, provider_at(place), Webhook(to="the-crm", type="order.sent", data=data))

    assert isinstance(answer, Sent)
    assert answer.provider_id == "contract-0"
    body = service.requests[0].body.decode()
    assert body == f'{{"type":"order.sent","timestamp":"2026-03-29T01:30:00Z","data":{data}}}'


def test_each_attempt_has_its_own_time_and_the_id_of_all_of_them(run: Run, place: str, service: Double) -> None:
    clock = [NOW, NOW + timedelta(minutes=4)]
    provider = provider_at(place)
    provider.now = lambda: clock[0]
    for _ in range(2):
        send(run, provider)
        clock.reverse()

    one, two = service.requests
    assert one.headers["webhook-id"] == two.headers["webhook-id"] == "contract-0"
    assert int(two.headers["webhook-timestamp"]) - int(one.headers["webhook-timestamp"]) == 240
    assert one.body == two.body
    assert one.headers["webhook-signature"] != two.headers["webhook-signature"]


@pytest.mark.parametrize("both", [f"{SECRET},{OLD}", f"{OLD} {SECRET}", f" {SECRET} ,\n{OLD}\n"])
@pytest.mark.parametrize("believed", [SECRET, OLD])
def test_while_secrets_are_changed_all_of_them_sign(
    run: Run, place: str, receiver: Receiver, both: str, believed: str
) -> None:
    receiver.secret = believed

    assert isinstance(send(run, provider_at(place, {"CRM_SECRET": both})), Sent)
    assert receiver.refused == []


@pytest.mark.parametrize("case", cases("standard_webhooks.json")[:3], ids=lambda case: case["name"])
def test_signatures_are_those_of_the_standard(case: dict[str, Any]) -> None:
    given = case["input"]
    secrets = [SecretStr(one) for one in given.get("secrets", [given.get("secret")])]
    now = datetime.fromtimestamp(given["webhook_timestamp"], UTC)

    headers = webhook._signed(given["webhook_id"], now, given["body"].encode(), secrets)

    assert headers["webhook-signature"] == case["expected"]["webhook_signature"]
    assert headers["webhook-timestamp"] == str(given["webhook_timestamp"])


@pytest.mark.parametrize("case", cases("standard_webhooks.json")[3:], ids=lambda case: case["name"])
def test_a_receiver_whose_clock_is_five_minutes_off_refuses(run: Run, case: dict[str, Any]) -> None:
    given, told = case["input"], case["expected"]
    receiver = Receiver(given["secret"], lambda: datetime.fromtimestamp(given["now"], UTC))
    service = Double(receiver.handle)
    provider = provider_at(run(service.start()), {"CRM_SECRET": given["secret"]})
    found = {}
    for stamp in [*told["reject_timestamps"], *told["accept_timestamps"]]:
        provider.now = lambda stamp=stamp: datetime.fromtimestamp(stamp, UTC)  # type: ignore[misc]
        found[stamp] = isinstance(send(run, provider, number=stamp), Sent)
    run(service.stop())

    assert [stamp for stamp, sent in found.items() if sent] == told["accept_timestamps"]
    assert receiver.refused == ["stale"] * len(told["reject_timestamps"])


# what an answer means

NUMBERS = {
    "2xx": [200, 201, 202, 204, 299],
    "3xx": [300, 301, 302, 303, 304, 307, 308],
    "other 4xx": [400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 451],
    "5xx": [500, 501, 505, 520],
}
HOOKS = [row for row in cases("error_classes.json") if row["provider"] == "generic-webhook"]
#: a 5xx proves nothing, so the same question is put again under the same id: that is the retry of the standard
MEANT: dict[str, tuple[type[Sent | SendError], ...]] = {
    "ok": (Sent,),
    "permanent": (Misconfigured,),  # "fix the URL" is what it asks for
    "disable": (Rejected,),
    "throttle": (Unavailable,),
    "retry": (Unavailable, Uncertain),
}


@pytest.mark.parametrize("row", HOOKS, ids=lambda row: row["code"])
def test_every_row_of_the_table_means_what_it_says(
    run: Run, place: str, service: Double, receiver: Receiver, row: dict[str, str]
) -> None:
    for status in NUMBERS.get(row["code"]) or [int(row["code"])]:
        receiver.answer = Response(status, b"", {"location": "http://localhost/"})
        service.requests.clear()
        answer = send(run, provider_at(place))

        assert isinstance(answer, MEANT[row["cls"]]), status
        assert isinstance(answer, Uncertain) == (status >= 500)
        assert len(service.requests) == 1
        ends = isinstance(answer, Rejected) and answer.reason.ends_address
        assert ends == (row["cls"] == "disable")
        if "slow down" in row["note"] or row["note"] == "Retry-After":
            assert isinstance(answer, Unavailable | Uncertain)
            assert answer.retry_after == 30
            receiver.answer = Response(status, headers={"retry-after": "7"})
            told = send(run, provider_at(place))
            assert isinstance(told, Unavailable | Uncertain)
            assert told.retry_after == 7


@pytest.mark.parametrize("status", [301, 308])
def test_what_is_wrong_with_a_strangers_address_stops_nobody_else(
    run: Run, place: str, receiver: Receiver, status: int
) -> None:
    receiver.answer = Response(status, headers={"location": "https://example.org/"})
    answer = send(run, for_strangers(allow=["localhost"]), Webhook(to=f"{place}/x", type="x"))

    assert isinstance(answer, Rejected)
    assert answer.reason is FailureReason.policy


def test_the_answer_is_waited_for_thirty_seconds_at_most(
    run: Run, place: str, monkeypatch: pytest.MonkeyPatch, service: Double
) -> None:
    assert webhook.PATIENCE == 30
    monkeypatch.setattr(webhook, "PATIENCE", 0.1)
    service.mood = silent

    assert isinstance(send(run, provider_at(place)), Uncertain)


# whom it goes to


def test_an_endpoint_is_named_or_written_as_its_address(run: Run, place: str, receiver: Receiver) -> None:
    provider = provider_at(f"{place}/hook")

    assert isinstance(send(run, provider, CRM, 1), Sent)
    assert isinstance(send(run, provider, Webhook(to=f"{place}/hook", type="x"), 2), Sent)
    assert provider.refusal(Webhook(to=f"{place}/other", type="x")) is not None


def test_where_there_is_one_endpoint_every_name_is_its_own_and_every_other_address_is_refused(
    run: Run, place: str, receiver: Receiver
) -> None:
    options = {"url": f"{place}/hook", "secret_env": "CRM_SECRET", "allow": ["localhost"]}
    provider = WebhookProvider("webhook", options, ENV, now=lambda: NOW)

    assert isinstance(send(run, provider, Webhook(to="whatever", type="x")), Sent)
    refused = provider.refusal(Webhook(to="https://example.org/hook", type="x"))
    assert refused is not None
    assert refused.reason is FailureReason.policy


def test_a_stranger_is_told_with_the_secret_for_strangers(run: Run, place: str, receiver: Receiver) -> None:
    provider = for_strangers(allow=["localhost"])

    assert isinstance(send(run, provider, Webhook(to=f"{place}/a?b=c", type="x")), Sent)
    assert list(receiver.taken) == ["contract-0"]
    assert provider.describe() == "any public address, 32 messages in flight at most"


def test_how_long_receivers_remember_is_the_operators_word() -> None:
    assert provider_at("https://example.org/").features.dedupe_window == timedelta(days=1)
    assert provider_at("https://example.org/", remembers=300).features.dedupe_window == timedelta(minutes=5)
    assert provider_at("https://example.org/", remembers=0).features.dedupe_by == "none"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"url": "https://example.org/"},
        {"url": "https://example.org/", "secret_env": "CRM_SECRET", "endpoints": {"a": {"url": "https://a.example"}}},
        {"url": "http://example.org/", "secret_env": "CRM_SECRET"},
        {"url": "https://10.0.0.1/", "secret_env": "CRM_SECRET"},
        {"url": "https://localhost/", "secret_env": "CRM_SECRET"},
        {"url": "https://127.1/", "secret_env": "CRM_SECRET"},
        {"url": "https://ann@example.org/", "secret_env": "CRM_SECRET"},
        {"endpoints": {"a": {"url": "https://[::1]/", "secret_env": "CRM_SECRET"}}},
    ],
)
def test_options_that_cannot_work_are_refused_when_it_is_made(options: Any) -> None:
    with pytest.raises(ValidationError):
        WebhookProvider("webhook", options, ENV)


@pytest.mark.parametrize("value", ["", "hunter2", "whsec_", "whsec_AAAA", f"{SECRET},hunter2", "whsec_hunter2!", ","])
def test_a_secret_that_is_none_is_asked_for_by_its_name(value: str) -> None:
    with pytest.raises(Misconfigured, match="CRM_SECRET") as caught:
        provider_at("https://example.org/", {"CRM_SECRET": value})

    assert "hunter2" not in str(caught.value)


# public addresses alone

HOST = "hooks.example.com"


class Names:
    """What the DNS says of HOST, one answer after the other; the last one stays."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: list[list[str]] = []
        self.asked = 0
        self._real = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self._look_up)

    def _look_up(self, host: Any, port: Any, *args: Any, **options: Any) -> Any:
        if host not in (HOST, HOST.encode()):
            return self._real(host, port, *args, **options)
        self.asked += 1
        now = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [_info(one, int(port)) for one in now]


def _info(address: str, port: int) -> tuple[Any, ...]:
    if ":" in address:
        return (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
    return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    return Names(monkeypatch)


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses to which sockets were opened; none of them is reached."""
    found: list[str] = []

    async def note(loop: object, sock: socket.socket, address: tuple[Any, ...]) -> None:
        found.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio.selector_events.BaseSelectorEventLoop, "sock_connect", note)
    return found


INSIDE = ["127.0.0.1", "::1", "10.1.2.3", "169.254.169.254", "100.64.0.1", "::ffff:127.0.0.1", "64:ff9b::a00:1", "::"]


@pytest.mark.parametrize("inside", INSIDE)
@pytest.mark.parametrize("beside", [[], ["93.184.216.34"]], ids=["alone", "beside a public one"])
def test_X7_a_name_that_leads_inside_is_not_followed(
    run: Run, names: Names, connected: list[str], inside: str, beside: list[str]
) -> None:
    names.answers = [[*beside, inside]]

    stranger = send(run, for_strangers(), Webhook(to=f"https://{HOST}/x", type="x"))
    named = send(run, provider_at(f"https://{HOST}/x"))

    assert isinstance(stranger, Rejected)
    assert stranger.reason is FailureReason.policy
    assert isinstance(named, Misconfigured)
    assert "not public" in str(named)
    assert connected == []


@pytest.mark.parametrize(
    "address",
    [
        *("https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/latest/meta-data/", "https://0.0.0.0/"),
        *("https://[::ffff:10.0.0.1]/", "https://localhost/", "https://LOCALHOST/", "http://localhost/"),
        *(
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0177.0.0.1/",
            "https://127.1/",
            "https://１２７.0.0.1/",
        ),
        *("http://example.org/", "ftp://example.org/", "file:///etc/passwd", "https://example.org:0/", "https:///x"),
        *("https://example.org#@127.0.0.1/", "https://example.org\\@127.0.0.1/", "https://ann:x@example.org/"),
    ],
)
def test_X7_an_address_that_can_be_seen_to_lead_inside_or_nowhere_is_refused_without_asking(
    run: Run, names: Names, connected: list[str], address: str
) -> None:
    answer = send(run, for_strangers(), Webhook(to=address, type="x"))

    assert isinstance(answer, Rejected)
    assert connected == []
    assert names.asked == 0


def test_X7_the_connection_itself_is_judged_also_where_nobody_was_looked_up(run: Run, connected: list[str]) -> None:
    async def call(address: str) -> None:
        api = Api(address, admits=is_public)
        try:
            await api.post("/", b"", asyncio.get_running_loop().time() + 5)
        finally:
            await api.close()

    with pytest.raises(Misconfigured, match="not public"):
        run(call("https://10.0.0.1"))
    assert connected == []
    with pytest.raises(Unavailable):
        run(call("https://93.184.216.34"))
    assert connected == ["93.184.216.34"]


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(context)
    return context


def test_X7_a_name_cannot_change_its_mind_between_the_judgement_and_the_connection(
    run: Run, names: Names, connected: list[str]
) -> None:
    names.answers = [["93.184.216.34"], ["127.0.0.1"]]

    assert isinstance(send(run, for_strangers(), Webhook(to=f"https://{HOST}/x", type="x")), Unavailable)
    assert connected == ["93.184.216.34"]
    assert isinstance(send(run, for_strangers(), Webhook(to=f"https://{HOST}/x", type="x")), Rejected)
    assert connected == ["93.184.216.34"]


def test_the_host_it_is_called_by_and_its_certificate_are_those_of_its_name(
    run: Run, names: Names, service: Double, receiver: Receiver, tls: ssl.SSLContext, ca_file: Path
) -> None:
    greeted: list[str] = []
    tls.sni_callback = lambda sock, name, context: greeted.append(name)  # type: ignore[method-assign]
    names.answers = [["127.0.0.1"]]
    place = run(service.start(tls)).replace("localhost", HOST)

    answer = send(run, for_strangers(allow=["127.0.0.1"], ca_file=ca_file), Webhook(to=f"{place}/x", type="x"))
    run(service.stop())

    assert isinstance(answer, Sent), answer
    assert greeted == [HOST]
    assert service.requests[0].headers["host"] == place.removeprefix("https://")


def test_a_certificate_of_somebody_else_stops_a_named_endpoint_and_refuses_a_stranger(
    run: Run, names: Names, service: Double, server_tls: ssl.SSLContext, ca_file: Path
) -> None:
    names.answers = [["127.0.0.1"]]
    place = run(service.start(server_tls)).replace("localhost", HOST)

    named = send(run, provider_at(f"{place}/x", allow=["127.0.0.1"], ca_file=ca_file))
    stranger = send(run, for_strangers(allow=["127.0.0.1"], ca_file=ca_file), Webhook(to=f"{place}/x", type="x"))
    run(service.stop())

    assert isinstance(named, Misconfigured)
    assert isinstance(stranger, Rejected)
    assert service.requests == []


def test_a_system_inside_is_told_when_its_host_or_its_address_is_named(
    run: Run, names: Names, service: Double, receiver: Receiver, tls: ssl.SSLContext, ca_file: Path
) -> None:
    names.answers = [["127.0.0.1"]]
    place = run(service.start(tls)).replace("localhost", HOST)
    for number, allowed in enumerate([HOST, HOST.upper(), "127.0.0.1", "::ffff:127.0.0.1"]):
        provider = provider_at(f"{place}/x", allow=[allowed], ca_file=ca_file)
        assert isinstance(send(run, provider, number=number), Sent)
    other = send(run, provider_at(f"{place}/x", allow=["127.0.0.2", "example.com"], ca_file=ca_file))
    run(service.stop())

    assert isinstance(other, Misconfigured)
    assert len(service.requests) == 4


def test_asked_whether_endpoints_are_there_it_hands_nothing_over(
    run: Run, place: str, service: Double, receiver: Receiver
) -> None:
    async def probe(provider: WebhookProvider) -> None:
        try:
            await provider.probe()
        finally:
            await provider.close()

    run(probe(provider_at(place)))
    assert [one.method for one in service.requests] == ["GET"]
    assert receiver.taken == {}
    with pytest.raises(Unavailable):
        run(probe(provider_at("https://localhost:1")))
    run(probe(for_strangers()))

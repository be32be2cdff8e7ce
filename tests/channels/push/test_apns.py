"""APNs keeps the contract over HTTP/2, renews its token when it should, and means by each reason what it means."""

from __future__ import annotations

import json
import ssl
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from doubles import http2
from doubles.apns import KEY_ID, TEAM, TOPIC, Apns, refusal
from doubles.http2 import H2Double
from doubles.pushes import Clock, ec_pair, rows, rsa_pair, vectors
from pydantic import ValidationError

from channels.contract import Content, Provider, Push, Sent
from channels.errors import FailureReason, Misconfigured, Rejected, SendError, Unavailable, Uncertain
from channels.keep import MemoryKeep
from channels.push.apns import ApnsProvider
from channels.testing import Accepted, ApiContract, Response, Run, answers, content_for, outgoing
from channels.testing.double import friendly

ANN = "ab" * 32
ORDER = Push(to=ANN, title="Your order", text="It is on its way.", link="https://example.org/o/1")
REQUIRED = {"key_env": "KEY", "key_id": KEY_ID, "team_id": TEAM, "topic": TOPIC}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def apns(clock: Clock) -> Apns:
    return Apns(clock)


@pytest.fixture
def double(apns: Apns) -> H2Double:
    return H2Double(apns.handle)


@pytest.fixture
def keep(clock: Clock) -> MemoryKeep:
    return MemoryKeep(clock)


@pytest.fixture
def place(run: Run, double: H2Double) -> Iterator[str]:
    yield run(double.start())
    run(double.stop())


@pytest.fixture
def make(place: str, clock: Clock, keep: MemoryKeep) -> Callable[..., ApnsProvider]:
    def made(*, key: str = ec_pair()[0], **options: Any) -> ApnsProvider:
        return ApnsProvider("push", {**REQUIRED, "url": place, **options}, {"KEY": key}, keep=keep, now=clock)

    return made


@pytest.fixture
def provider(make: Callable[..., ApnsProvider]) -> ApnsProvider:
    return make()


class TestApns(ApiContract):
    """Over HTTP/2 without TLS, which only a service on this machine is spoken to in; TLS has its tests below."""

    @pytest.fixture
    def service(self, double: H2Double) -> H2Double:
        return double

    @pytest.fixture
    def at(self, clock: Clock, env: Mapping[str, str]) -> Callable[[str], Provider]:
        return lambda address: ApnsProvider("push", {**REQUIRED, "url": address}, env, now=clock)

    @pytest.fixture
    def accepted(self, apns: Apns) -> Callable[[], list[Accepted]]:
        return lambda: apns.taken

    @pytest.fixture
    def content(self) -> Callable[[int], Content]:
        text = content_for("push").text  # type: ignore[union-attr]
        return lambda number: Push(to=f"{number:064x}".replace("0", "a"), title="Your order", text=text)

    @pytest.fixture
    def throttled(self) -> Response:
        return refusal("TooManyRequests")

    @pytest.fixture
    def can_reject(self) -> bool:
        return True

    @pytest.fixture
    def rejected_content(self, apns: Apns, clock: Clock) -> Content:
        apns.gone["beef"] = clock.at - timedelta(days=3)
        return Push(to="beef", text="Your order is on its way.")

    @pytest.fixture
    def inexpressible(self) -> Sequence[Content]:
        return [
            Push(to=ANN),
            Push(to="", text="x"),
            Push(to="device-ann", text="x"),
            Push(to="abc", text="x"),
            Push(to=f"{ANN}/../{ANN}", text="x"),
            Push(to=ANN, text="字" * 1400),
        ]

    @pytest.fixture
    def has_credentials(self) -> bool:
        return True

    @pytest.fixture
    def env(self) -> Mapping[str, str]:
        return {"KEY": ec_pair()[0]}

    @pytest.fixture
    def make(self, place: str, clock: Clock) -> Callable[[Mapping[str, str]], Provider]:
        return lambda env: ApnsProvider("push", {**REQUIRED, "url": place}, env, now=clock)

    @pytest.fixture
    def locked_out(self, place: str, clock: Clock) -> Provider:
        return ApnsProvider("push", {**REQUIRED, "url": place}, {"KEY": ec_pair(1)[0]}, now=clock)


def ask(run: Run, provider: Provider, content: Push = ORDER) -> Any:
    (answer,) = run(answers(provider, [outgoing(content)]))
    return answer


# what a message becomes


def test_a_push_is_told_with_all_that_is_configured(run: Run, make: Callable[..., ApnsProvider], apns: Apns) -> None:
    provider = make(ttl=3600, priority=5, collapse_id="news", sound="default", thread_id="orders")

    answer = ask(run, provider, Push(to=ANN, title="题", text="正", image="https://example.org/i.png"))

    (request,) = apns.accepted
    assert isinstance(answer, Sent)
    assert request.path == f"/3/device/{ANN}"
    assert answer.provider_id == request.headers["apns-id"]
    created = int(outgoing(ORDER).created_at.timestamp())
    assert {name: value for name, value in request.headers.items() if name.startswith("apns-")} == {
        "apns-topic": TOPIC,
        "apns-push-type": "alert",
        "apns-priority": "5",
        "apns-expiration": str(created + 3600),
        "apns-collapse-id": "news",
        "apns-id": answer.provider_id,
    }
    assert json.loads(request.body) == {
        "aps": {
            "alert": {"title": "题", "body": "正"},
            "sound": "default",
            "thread-id": "orders",
            "mutable-content": 1,
        },
        "message_id": "contract-0",
        "image": "https://example.org/i.png",
    }


def test_a_message_has_the_same_name_at_every_attempt_and_no_other_message_has(
    run: Run, provider: ApnsProvider, apns: Apns
) -> None:
    batch = [outgoing(ORDER, 1), outgoing(ORDER, 2), outgoing(ORDER, 1, attempt=2)]

    one, two, again = [answer.provider_id for answer in run(answers(provider, batch)) if isinstance(answer, Sent)]

    assert one == again != two
    assert one == str(uuid.UUID(one)).lower()


def test_now_or_never_is_an_expiration_of_its_own(run: Run, make: Callable[..., ApnsProvider], apns: Apns) -> None:
    ask(run, make(ttl=0))
    ask(run, make())

    assert [request.headers.get("apns-expiration") for request in apns.accepted] == ["0", None]


def test_what_fits_to_the_byte_is_sent(run: Run, provider: ApnsProvider, apns: Apns) -> None:
    frame = len(provider._payload(Push(to=ANN, text="x"), "contract-0")) - 1

    assert isinstance(ask(run, provider, Push(to=ANN, text="x" * (4096 - frame))), Sent)
    assert isinstance(ask(run, provider, Push(to=ANN, text="x" * (4097 - frame))), Rejected)
    assert len(apns.accepted[0].body) == 4096
    assert len(apns.accepted) == 1


def test_the_environment_is_chosen_by_sandbox_and_port() -> None:
    def where(**options: Any) -> str:
        return ApnsProvider("push", {**REQUIRED, **options}, {"KEY": ec_pair()[0]}).describe()

    assert where() == f"api.push.apple.com, the app {TOPIC}"
    assert where(sandbox=True).startswith("api.sandbox.push.apple.com,")
    assert where(port=2197).startswith("api.push.apple.com:2197,")


# reasons


CLASSES: Mapping[str, tuple[type[SendError], set[FailureReason]]] = {
    "suppress": (Rejected, {FailureReason.address_invalid, FailureReason.address_unknown}),
    "content": (Rejected, {FailureReason.content}),
    "permanent": (Rejected, {FailureReason.unknown}),
    "config": (Misconfigured, set()),
    "refresh": (Misconfigured, set()),  # when a new token is not accepted either
    "throttle": (Unavailable, set()),
    "retry": (Unavailable, set()),
}


@rows("apns")
def test_a_reason_means_what_it_means(
    run: Run, provider: ApnsProvider, apns: Apns, clock: Clock, row: dict[str, str]
) -> None:
    ask(run, provider)
    clock.at += timedelta(minutes=30)
    apns.answer = refusal(row["code"])

    answer = ask(run, provider)

    kind, reasons = CLASSES[row["cls"]]
    assert type(answer) is kind
    assert answer.code == row["code"]
    assert row["note"].startswith(str(apns.answer.status))
    assert not isinstance(answer, Rejected) or answer.reason in reasons
    assert row["cls"] != "throttle" or answer.retry_after > 0
    assert len(apns.accepted) == 1


def test_a_reason_nobody_knows_ends_no_address(run: Run, provider: ApnsProvider, apns: Apns) -> None:
    apns.answer = Response(400, b'{"reason": "NewWord of Ann"}')

    answer = ask(run, provider)

    assert isinstance(answer, Rejected)
    assert answer.reason is FailureReason.unknown
    assert "Ann" not in str(answer)


@pytest.mark.parametrize("timestamp", [None, "soon", -1, True, 2**70, 1e300, [1]])
def test_a_device_that_is_gone_may_have_any_timestamp(
    run: Run, provider: ApnsProvider, apns: Apns, timestamp: object
) -> None:
    apns.answer = refusal("Unregistered", timestamp=timestamp)

    assert ask(run, provider).reason is FailureReason.address_unknown


def test_since_when_a_device_is_gone_is_told(run: Run, provider: ApnsProvider, apns: Apns) -> None:
    apns.gone[ANN] = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)

    assert "since 2026-01-02 03:04 UTC (Unregistered)" in str(ask(run, provider))


@pytest.mark.parametrize("reason", ["Shutdown", "IdleTimeout"])
def test_a_connection_that_is_no_good_is_left(
    run: Run, provider: ApnsProvider, apns: Apns, double: H2Double, reason: str
) -> None:
    async def twice() -> tuple[object, object]:
        await provider.open()
        apns.answer = refusal(reason)
        (first,) = await provider.send([outgoing(ORDER)])
        apns.answer = None
        (second,) = await provider.send([outgoing(ORDER)])
        await provider.close()
        return first, second

    first, second = run(twice())

    assert (type(first), type(second)) == (Unavailable, Sent)
    assert double.connections == 2


# provider tokens


def test_one_provider_token_serves_all_workers_for_fifty_minutes(
    run: Run, make: Callable[..., ApnsProvider], apns: Apns, clock: Clock
) -> None:
    for minutes in (0, 10, 39, 1):
        clock.at += timedelta(minutes=minutes)
        assert isinstance(ask(run, make()), Sent)

    assert [made - apns.tokens[0] for made in apns.tokens] == [timedelta(0), timedelta(minutes=50)]


def test_an_expired_provider_token_is_replaced_once_for_all_messages(
    run: Run, provider: ApnsProvider, apns: Apns, clock: Clock
) -> None:
    ask(run, provider)
    clock.at += timedelta(minutes=30)
    apns.token_lasts = timedelta(minutes=25)

    found = run(answers(provider, [outgoing(ORDER, number) for number in range(5)]))

    assert [type(answer) for answer in found] == [Sent] * 5
    assert len(apns.tokens) == 2


def test_a_new_token_called_expired_is_a_wrong_clock_and_no_second_one_is_made(
    run: Run, place: str, apns: Apns, clock: Clock, double: H2Double
) -> None:
    slow = Clock(clock.at - timedelta(hours=2))
    provider = ApnsProvider("push", {**REQUIRED, "url": place}, {"KEY": ec_pair()[0]}, now=slow)

    answer = ask(run, provider)

    assert isinstance(answer, Misconfigured)
    assert "clock" in str(answer)
    assert len(double.requests) == 1


def test_probing_tells_whether_we_are_let_in(
    run: Run, provider: ApnsProvider, make: Callable[..., ApnsProvider], apns: Apns, double: H2Double
) -> None:
    async def probe(one: ApnsProvider) -> None:
        try:
            await one.probe()
        finally:
            await one.close()

    run(probe(provider))
    assert apns.accepted == []
    assert set(double.requests[0].path.removeprefix("/3/device/")) == {"0"}
    with pytest.raises(Misconfigured, match="TopicDisallowed"):
        run(probe(make(topic="com.example.other")))


# HTTP/2


def test_what_apns_did_not_look_at_is_sent_again_and_what_it_looked_at_is_not(
    run: Run, provider: ApnsProvider, apns: Apns, double: H2Double
) -> None:
    double.mood = http2.going_before_it_looks
    assert isinstance(ask(run, provider), Unavailable)
    assert len(double.requests) == 3
    double.mood = http2.refusing_the_stream
    assert isinstance(ask(run, provider), Unavailable)
    double.mood = http2.going_and_cutting
    assert isinstance(ask(run, provider), Uncertain)
    double.mood = friendly
    assert isinstance(ask(run, provider), Sent)
    assert len(apns.accepted) == 2


def test_all_messages_share_one_connection_with_tls(
    run: Run, make: Callable[..., ApnsProvider], double: H2Double, server_tls: ssl.SSLContext, ca_file: Path
) -> None:
    provider = make(url=run(double.start(server_tls)), ca_file=ca_file)

    found = run(answers(provider, [outgoing(ORDER, number) for number in range(32)]))

    assert [type(answer) for answer in found] == [Sent] * 32
    assert double.connections == 1


# options


@pytest.mark.parametrize(
    "options",
    [
        {"key_env": None},
        {"key_file_env": "FILE"},
        {"key_id": "short"},
        {"team_id": "DEF123GHIJK"},
        {"topic": "com.example.app\r\nx: y"},
        {"port": 80},
        {"priority": 7},
        {"collapse_id": "字" * 22},
        {"url": "http://push.example.com"},
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ApnsProvider("push", {**REQUIRED, **options}, {"KEY": ec_pair()[0], "FILE": "/nowhere"})


@pytest.mark.parametrize("key", ["hunter2", rsa_pair()[0], ec_pair()[1]], ids=["words", "rsa", "public"])
def test_a_key_that_is_none_is_told_without_a_word_of_it(key: str) -> None:
    with pytest.raises(Misconfigured, match="environment variable KEY") as caught:
        ApnsProvider("push", REQUIRED, {"KEY": key})
    assert key.splitlines()[0] not in str(caught.value)


def test_the_key_may_be_one_line_or_a_file_outside_the_project(
    run: Run, make: Callable[..., ApnsProvider], place: str, clock: Clock, tmp_path: Path
) -> None:
    path = tmp_path / "key.p8"
    path.write_text(ec_pair()[0])
    options = {**REQUIRED, "key_env": None, "key_file_env": "FILE", "url": place}

    assert isinstance(ask(run, make(key=ec_pair()[0].replace("\n", "\\n"))), Sent)
    provider = ApnsProvider("push", options, {"FILE": str(path)}, tmp_path / "shop", now=clock)
    assert isinstance(ask(run, provider), Sent)


# the vectors


def test_the_provider_token_is_that_of_the_vector(run: Run) -> None:
    vector = vectors("apns_es256_jwt.json")
    given = vector["inputs"]
    expected = next(case for case in vector["cases"] if case["name"] == "token")["expected"]
    options = {**REQUIRED, "key_id": given["key_id"], "team_id": given["team_id"]}
    clock = Clock(datetime.fromtimestamp(given["iat"], UTC))
    provider = ApnsProvider("push", options, {"KEY": given["p8_private_key"]}, now=clock)

    token = run(provider._token.value(float("inf")))

    unchecked = {"verify_iat": False}
    assert jwt.decode(token, expected["public_key_pem"], algorithms=["ES256"], options=unchecked) == expected["claims"]
    assert jwt.get_unverified_header(token).items() >= expected["header_must_contain"].items()
    assert len(jwt.utils.base64url_decode(token.rsplit(".", 1)[1])) == expected["signature_bytes"]
    assert Apns(clock, expected["public_key_pem"])._of_token(f"bearer {expected['one_valid_token']}") is None


def test_a_request_has_the_headers_of_the_vector(run: Run, make: Callable[..., ApnsProvider], apns: Apns) -> None:
    vector = vectors("apns_es256_jwt.json")
    expected = next(case for case in vector["cases"] if case["name"].startswith("request"))["expected"]

    ask(run, make(ttl=60))

    (request,) = apns.accepted
    assert request.method == expected["method"]
    assert request.path.rpartition("/")[0] == expected["path"].rpartition("/")[0]
    assert expected["headers"].keys() <= request.headers.keys()
    fixed = {name: value for name, value in expected["headers"].items() if "<" not in value}
    assert fixed.items() <= request.headers.items()
    assert request.headers["authorization"].startswith("bearer ey")

"""FCM keeps the contract, signs in once for all workers, and means by each code what it means."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from doubles.fcm import PROJECT, Fcm, refusal, said, service_account
from doubles.pushes import NOW, Clock, recordings, rows, rsa_pair, vectors
from pydantic import ValidationError

from channels.contract import Content, Provider, Push, Sent
from channels.errors import FailureReason, Misconfigured, Rejected, SendError, Unavailable, Uncertain
from channels.keep import Keep, MemoryKeep
from channels.push.fcm import FcmProvider
from channels.testing import Accepted, ApiContract, Double, Request, Response, Run, answers, outgoing
from channels.testing.double import cutting, saying, silent

ANN = Push(to="device-ann:APA91b", title="Your order", text="It is on its way.", link="https://example.org/o/1")
SEND = f"/v1/projects/{PROJECT}/messages:send"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fcm(clock: Clock) -> Fcm:
    return Fcm(clock)


@pytest.fixture
def double(fcm: Fcm) -> Double:
    return Double(fcm.handle)


@pytest.fixture
def keep(clock: Clock) -> MemoryKeep:
    return MemoryKeep(clock)


def provider_at(address: str, clock: Clock, keep: Keep | None = None, **options: Any) -> FcmProvider:
    env = {"FCM": service_account(address)}
    return FcmProvider("push", {"credentials_env": "FCM", "url": address, **options}, env, keep=keep, now=clock)


class TestFcm(ApiContract):
    @pytest.fixture
    def service(self, double: Double) -> Double:
        return double

    @pytest.fixture
    def at(self, clock: Clock) -> Callable[[str], Provider]:
        return lambda address: provider_at(address, clock)

    @pytest.fixture
    def accepted(self, fcm: Fcm) -> Callable[[], list[Accepted]]:
        return lambda: fcm.taken

    @pytest.fixture
    def hands_over(self) -> Callable[[Request], bool]:
        return lambda request: request.route == SEND

    @pytest.fixture
    def throttled(self) -> Response:
        return refusal("QUOTA_EXCEEDED")

    @pytest.fixture
    def can_reject(self) -> bool:
        return True

    @pytest.fixture
    def rejected_content(self, fcm: Fcm) -> Content:
        fcm.gone.add("device-bob")
        return Push(to="device-bob", text="Your order is on its way.")

    @pytest.fixture
    def inexpressible(self) -> Sequence[Content]:
        return [
            Push(to="device"),
            Push(to="", text="x"),
            Push(to="two words", text="x"),
            Push(to="device", text="字" * 1400),
            Push(to="device", text="x", link="https://example.org/" + "x" * 4096),
        ]

    @pytest.fixture
    def has_credentials(self) -> bool:
        return True

    @pytest.fixture
    def env(self, place: str) -> Mapping[str, str]:
        return {"FCM": service_account(place)}

    @pytest.fixture
    def make(self, place: str, clock: Clock) -> Callable[[Mapping[str, str]], Provider]:
        return lambda env: FcmProvider("push", {"credentials_env": "FCM", "url": place}, env, now=clock)

    @pytest.fixture
    def locked_out(self, place: str, clock: Clock) -> Provider:
        env = {"FCM": service_account(place, rsa_pair(1)[0])}
        return FcmProvider("push", {"credentials_env": "FCM", "url": place}, env, now=clock)


@pytest.fixture
def place(run: Run, double: Double) -> Iterator[str]:
    yield run(double.start())
    run(double.stop())


@pytest.fixture
def provider(place: str, clock: Clock, keep: MemoryKeep) -> FcmProvider:
    return provider_at(place, clock, keep)


def ask(run: Run, provider: Provider, content: Push = ANN) -> Any:
    (answer,) = run(answers(provider, [outgoing(content)]))
    return answer


def is_token(request: Request) -> bool:
    return request.route == "/token"


# what a message becomes


def test_a_push_is_told_in_every_form_a_device_may_need(run: Run, place: str, clock: Clock, fcm: Fcm) -> None:
    provider = provider_at(
        place, clock, ttl=3600, priority="high", collapse_key="news", sound="default", analytics_label="spring"
    )

    answer = ask(
        run,
        provider,
        Push(to="d:1", title="题", text="正", image="https://example.org/i.png", link="https://example.org/o"),
    )

    assert isinstance(answer, Sent)
    assert answer.provider_id == f"projects/{PROJECT}/messages/0"
    created = int(outgoing(ANN).created_at.timestamp())
    assert fcm.accepted == [
        {
            "token": "d:1",
            "notification": {"title": "题", "body": "正", "image": "https://example.org/i.png"},
            "data": {"message_id": "contract-0", "link": "https://example.org/o"},
            "android": {
                "collapse_key": "news",
                "priority": "high",
                "ttl": "3600s",
                "notification": {"sound": "default"},
            },
            "apns": {
                "headers": {"apns-priority": "10", "apns-expiration": str(created + 3600), "apns-collapse-id": "news"},
                "payload": {"aps": {"sound": "default", "mutable-content": 1}},
                "fcm_options": {"image": "https://example.org/i.png"},
            },
            "webpush": {"fcm_options": {"link": "https://example.org/o"}},
            "fcm_options": {"analytics_label": "spring"},
        }
    ]


def test_without_options_a_push_is_a_notification_and_its_data(run: Run, provider: FcmProvider, fcm: Fcm) -> None:
    ask(run, provider, Push(to="d:1", text="x", link="tel:+12025550100"))

    assert fcm.accepted == [
        {
            "token": "d:1",
            "notification": {"body": "x"},
            "data": {"message_id": "contract-0", "link": "tel:+12025550100"},
        }
    ]


def test_addresses_may_be_installation_ids(run: Run, place: str, clock: Clock, fcm: Fcm) -> None:
    ask(run, provider_at(place, clock, target="fid"))

    assert fcm.accepted[0]["fid"] == ANN.to


def test_a_message_that_is_too_long_with_its_key_does_not_leave(
    run: Run, provider: FcmProvider, double: Double
) -> None:
    room = 4096 - len("body" + "message_id")
    answer = ask(run, provider, Push(to="d:1", text="x" * room))

    assert isinstance(answer, Rejected)
    assert answer.reason is FailureReason.content
    assert double.requests == []
    assert isinstance(ask(run, provider, Push(to="d:1", text="x" * (room - len("contract-0")))), Sent)


# codes


CLASSES: Mapping[str, type[SendError]] = {
    "suppress": Rejected,
    "throttle": Unavailable,
    "retry": Unavailable,
    "config": Misconfigured,
    "refresh": Misconfigured,  # when a new token is not accepted either
}


@rows("fcm")
def test_a_code_means_what_it_means(run: Run, provider: FcmProvider, fcm: Fcm, row: dict[str, str]) -> None:
    if row["cls"] == "by-detail":
        pytest.skip("the tests below are about its two kinds")
    fcm.answer = refusal(row["code"], message="device-ann is on its way")

    answer = ask(run, provider)

    assert type(answer) is CLASSES[row["cls"]]
    assert answer.code == row["code"]
    assert row["cls"] != "suppress" or answer.reason.ends_address
    assert row["cls"] != "throttle" or answer.retry_after == 60
    assert "on its way" not in str(answer)
    assert fcm.accepted == []


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (
            refusal("INVALID_ARGUMENT", message="The registration token is not a valid FCM registration token"),
            FailureReason.address_invalid,
        ),
        (refusal("INVALID_ARGUMENT", violations=["message.token"]), FailureReason.address_invalid),
        (refusal("INVALID_ARGUMENT", violations=["message.android.ttl"]), FailureReason.content),
        (refusal("INVALID_ARGUMENT", violations=["message.token", "message.data"]), FailureReason.content),
        (refusal("INVALID_ARGUMENT", message="Request contains an invalid argument."), FailureReason.content),
        (refusal("INVALID_ARGUMENT", message="Message is too big"), FailureReason.content),
    ],
)
def test_an_invalid_argument_ends_an_address_only_where_it_is_the_address(
    run: Run, provider: FcmProvider, fcm: Fcm, response: Response, reason: FailureReason
) -> None:
    fcm.answer = response

    answer = ask(run, provider)

    assert isinstance(answer, Rejected)
    assert answer.reason is reason


@pytest.mark.parametrize(
    ("status", "words", "expected"),
    [
        (429, b"", Unavailable),
        (504, b'{"error": {"code": 504, "status": "DEADLINE_EXCEEDED"}}', Uncertain),
        (404, b'{"error": {"code": 404, "status": "NOT_FOUND"}}', Misconfigured),
        (400, b'{"error": {"code": 400, "status": "NEW_WORD"}}', Rejected),
        (400, b'{"error": [], "details": 7}', Rejected),
        (400, b'{"error": {"status": 7, "details": [[], 1, {"errorCode": {}}]}}', Rejected),
    ],
)
def test_what_is_not_in_the_table_is_judged_by_its_status(
    run: Run, provider: FcmProvider, fcm: Fcm, status: int, words: bytes, expected: type[SendError]
) -> None:
    fcm.answer = Response(status, words)

    answer = ask(run, provider)

    assert type(answer) is expected
    assert not (isinstance(answer, Rejected) and answer.reason.ends_address)
    assert status != 429 or answer.retry_after == 60


def test_overloaded_it_is_left_alone_for_as_long_as_it_says(run: Run, provider: FcmProvider, fcm: Fcm) -> None:
    unavailable = refusal("UNAVAILABLE")
    fcm.answer = Response(unavailable.status, unavailable.body, {"retry-after": "7"})

    assert ask(run, provider).retry_after == 7


# access tokens


def test_one_token_serves_all_workers_until_shortly_before_its_end(
    run: Run, place: str, clock: Clock, keep: MemoryKeep, double: Double
) -> None:
    def asked() -> int:
        return sum(map(is_token, double.requests))

    for _ in range(3):
        worker = provider_at(place, clock, keep)
        run(answers(worker, [outgoing(ANN, number) for number in range(4)]))
    assert asked() == 1

    clock.at += timedelta(minutes=54)
    assert isinstance(ask(run, worker), Sent)
    assert asked() == 1
    clock.at += timedelta(minutes=1)
    assert isinstance(ask(run, worker), Sent)
    assert asked() == 2


def test_a_token_called_spent_is_replaced_once_for_all_messages(
    run: Run, provider: FcmProvider, fcm: Fcm, double: Double
) -> None:
    ask(run, provider)
    fcm.issued.clear()

    found = run(answers(provider, [outgoing(ANN, number) for number in range(5)]))

    assert [type(answer) for answer in found] == [Sent] * 5
    assert sum(map(is_token, double.requests)) == 2
    assert len(fcm.accepted) == 6


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (said({"error": "invalid_grant", "error_description": "hunter2"}, 400), Misconfigured),
        (said({"error": "unauthorized_client"}, 401), Misconfigured),
        (Response(404), Misconfigured),
        (Response(429, headers={"retry-after": "9"}), Unavailable),
        (Response(503), Unavailable),
        (Response(200, b"<html>"), Unavailable),
        (said({"access_token": ""}), Unavailable),
    ],
)
def test_without_a_token_no_message_leaves(
    run: Run,
    provider: FcmProvider,
    fcm: Fcm,
    double: Double,
    response: Response,
    expected: type[SendError],
) -> None:
    double.mood, double.about = saying(response), is_token

    answer = ask(run, provider)

    assert type(answer) is expected
    assert "hunter2" not in str(answer)
    assert fcm.accepted == []
    assert getattr(answer, "retry_after", None) == (9 if response.status == 429 else None)


@pytest.mark.parametrize("mood", [silent, cutting], ids=["silent", "cut"])
def test_a_token_that_does_not_come_proves_that_no_message_left(
    run: Run, provider: FcmProvider, double: Double, mood: Any
) -> None:
    double.mood, double.about = mood, is_token

    (answer,) = run(answers(provider, [outgoing(ANN, timeout=0.3)]))

    assert isinstance(answer, Unavailable)


def test_a_wrong_clock_is_told(run: Run, place: str) -> None:
    provider = provider_at(place, Clock(NOW - timedelta(hours=2)))

    with pytest.raises(Misconfigured, match="clock"):
        run(provider.probe())
    run(provider.close())


def test_probing_asks_for_everything_but_delivery(run: Run, provider: FcmProvider, fcm: Fcm, double: Double) -> None:
    run(provider.probe())
    assert fcm.accepted == []
    assert json.loads(double.requests[-1].body)["validate_only"] is True

    fcm.answer = refusal("PERMISSION_DENIED")
    with pytest.raises(Misconfigured):
        run(provider.probe())
    run(provider.close())


# options


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"credentials_env": "A", "credentials_file_env": "B"},
        {"credentials_env": "A", "ttl": 2_419_201},
        {"credentials_env": "A", "target": "topic"},
        {"credentials_env": "A", "url": "http://fcm.example.com"},
        {"credentials_env": "A", "collapse_key": "x" * 65},
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FcmProvider("push", options, {"A": service_account("https://example.com"), "B": "/nowhere"})


@pytest.mark.parametrize(
    "text",
    [
        "hunter2",
        "{}",
        '{"private_key": "hunter2"}',
        service_account("http://example.com"),
        service_account("https://x", "hunter2"),
    ],
)
def test_a_credential_that_is_none_is_told_without_a_word_of_it(text: str) -> None:
    with pytest.raises(Misconfigured, match="environment variable FCM") as caught:
        FcmProvider("push", {"credentials_env": "FCM"}, {"FCM": text})
    assert "hunter2" not in str(caught.value)


def test_the_credential_may_stand_in_a_file_outside_the_project(
    run: Run, place: str, clock: Clock, fcm: Fcm, tmp_path: Path
) -> None:
    home, elsewhere = tmp_path / "shop", tmp_path / "secrets"
    for folder in (home, elsewhere):
        folder.mkdir()
        (folder / "account.json").write_text(service_account(place))
    options = {"credentials_file_env": "FCM_FILE", "url": place}

    def made(path: Path) -> FcmProvider:
        return FcmProvider("push", options, {"FCM_FILE": str(path)}, home, now=clock)

    assert isinstance(ask(run, made(elsewhere / "account.json")), Sent)
    for path, why in ((home / "account.json", "inside the project"), (elsewhere / "none.json", "cannot be read")):
        answer = ask(run, made(path))
        assert isinstance(answer, Misconfigured)
        assert why in str(answer)
    assert len(fcm.accepted) == 1


# the vectors


def test_the_assertion_is_that_of_the_vendors_library(run: Run) -> None:
    vector = vectors("fcm_oauth_jwt.json")
    account = vector["inputs"]["service_account"]
    by_name = {case["name"]: case for case in vector["cases"]}
    expected = by_name["assertion"]["expected"]
    provider = FcmProvider("push", {"credentials_env": "FCM"}, {"FCM": json.dumps(account)}, now=Clock(NOW))

    assert provider._login is not None
    assertion = provider._login._assertion()

    assert jwt.get_unverified_header(assertion) == expected["header"]
    found = jwt.decode(
        assertion,
        expected["public_key_pem"],
        algorithms=["RS256"],
        audience=account["token_uri"],
        options={"verify_exp": False, "verify_iat": False},
    )
    assert found == expected["claims"]


def test_a_token_is_used_and_ends_as_the_vector_says(run: Run, place: str, double: Double) -> None:
    vector = vectors("fcm_oauth_jwt.json")
    case = next(one for one in vector["cases"] if one["name"] == "token response handling")
    given = case["input"]
    clock = Clock()

    def handle(asked: Request) -> Response:
        if is_token(asked):
            return said(given["body"], given["status"])
        assert f"Authorization: {asked.headers['authorization']}" == case["expected"]["use_header"]
        return said({"name": "projects/p/messages/1"})

    double.handler, keep = handle, MemoryKeep(clock)
    assert isinstance(ask(run, provider_at(place, clock, keep)), Sent)
    (kept,) = keep._values.values()
    assert kept.until + timedelta(minutes=5) == clock.at + timedelta(seconds=3599)


def test_the_double_takes_the_request_for_a_token_of_the_vendors_library() -> None:
    vector = vectors("fcm_oauth_jwt.json")
    expected = next(case for case in vector["cases"] if case["name"] == "token request")["expected"]
    fcm = Fcm(Clock(), vector["cases"][0]["expected"]["public_key_pem"])

    answer = fcm.handle(Request("POST", "/token", _lower(expected["headers"]), expected["body"].encode()))

    assert answer.status == 200
    forged = expected["body"].replace("assertion=ey", "assertion=eY").encode()
    assert fcm.handle(Request("POST", "/token", _lower(expected["headers"]), forged)).status == 400


def _lower(headers: Mapping[str, str]) -> Mapping[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@recordings("firebase-admin")
def test_the_double_takes_what_the_vendors_library_was_heard_to_say(
    fcm: Fcm, clock: Clock, recorded: dict[str, Any]
) -> None:
    heard = recorded["request"]
    token = heard["headers"]["authorization"].removeprefix("Bearer ")
    fcm.issued[token] = clock.at + timedelta(hours=1)

    answer = fcm.handle(Request(heard["method"], heard["path"], heard["headers"], heard["body"].encode()))

    assert answer.status == 200
    assert fcm.taken[0].key == "msg-0001"


@recordings("firebase-admin")
def test_we_say_what_the_vendors_library_says(
    run: Run, place: str, clock: Clock, double: Double, recorded: dict[str, Any]
) -> None:
    """But for our key, the sound on Android, and an expiration on iOS that is as long as on Android."""
    provider = provider_at(place, clock, collapse_key="k", priority="high", ttl=3600, sound="default")
    theirs = json.loads(recorded["request"]["body"])["message"]

    ask(
        run,
        provider,
        Push(to=theirs["token"], title=theirs["notification"]["title"], text=theirs["notification"]["body"]),
    )

    asked = next(one for one in double.requests if one.route == recorded["request"]["path"])
    ours = json.loads(asked.body)["message"]
    theirs["data"]["message_id"] = "contract-0"
    assert ours["android"].pop("notification") == {"sound": "default"}
    assert ours["apns"]["headers"].pop("apns-expiration")
    assert ours["apns"]["headers"].pop("apns-collapse-id") == "k"
    assert ours == theirs

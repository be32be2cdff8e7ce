"""JPush keeps the contract, is asked for the same push under the same cid, and means by each code what it means."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from doubles.jpush import APP_KEY, SECRET, JPush, refusal, said
from doubles.pushes import NOW, Clock, recordings, rows, vectors
from pydantic import ValidationError

from channels.contract import Callback, Content, Provider, Push, ReceiptType, Sent
from channels.errors import FailureReason, InvalidReceipt, Misconfigured, Rejected, SendError, Unavailable, Uncertain
from channels.keep import MemoryKeep
from channels.push.jpush import JPushProvider
from channels.testing import (
    Accepted,
    ApiContract,
    Double,
    ReceiptContract,
    Request,
    Response,
    Run,
    answers,
    outgoing,
)
from channels.testing.double import cutting, friendly, saying, silent

ANN = Push(to="1104a89792a8ae1e7d1", title="Your order", text="It is on its way.", link="https://example.org/o/1")
REQUIRED = {"app_key": APP_KEY, "master_secret_env": "SECRET"}
ENV = {"SECRET": SECRET}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def jpush(clock: Clock) -> JPush:
    return JPush(clock)


@pytest.fixture
def double(jpush: JPush) -> Double:
    return Double(jpush.handle)


@pytest.fixture
def keep(clock: Clock) -> MemoryKeep:
    return MemoryKeep(clock)


@pytest.fixture
def place(run: Run, double: Double) -> Iterator[str]:
    yield run(double.start())
    run(double.stop())


@pytest.fixture
def make(place: str, clock: Clock, keep: MemoryKeep) -> Callable[..., JPushProvider]:
    return lambda **options: JPushProvider("push", {**REQUIRED, "url": place, **options}, ENV, keep=keep, now=clock)


@pytest.fixture
def provider(make: Callable[..., JPushProvider]) -> JPushProvider:
    return make()


class TestJPush(ApiContract):
    @pytest.fixture
    def service(self, double: Double) -> Double:
        return double

    @pytest.fixture
    def at(self, clock: Clock) -> Callable[[str], Provider]:
        return lambda address: JPushProvider("push", {**REQUIRED, "url": address}, ENV, now=clock)

    @pytest.fixture
    def accepted(self, jpush: JPush) -> Callable[[], list[Accepted]]:
        return lambda: jpush.taken

    @pytest.fixture
    def hands_over(self) -> Callable[[Request], bool]:
        return lambda request: request.route == "/v3/push"

    @pytest.fixture
    def throttled(self) -> Response:
        return refusal(2002)

    @pytest.fixture
    def can_reject(self) -> bool:
        return True

    @pytest.fixture
    def rejected_content(self, jpush: JPush) -> Content:
        jpush.invalid.add("171976fa8ab8ee2f1c2")
        return Push(to="171976fa8ab8ee2f1c2", text="Your order is on its way.")

    @pytest.fixture
    def inexpressible(self) -> Sequence[Content]:
        return [Push(to="device"), Push(to="", text="x"), Push(to="device", text="字" * 1400)]

    @pytest.fixture
    def has_credentials(self) -> bool:
        return True

    @pytest.fixture
    def env(self) -> Mapping[str, str]:
        return ENV

    @pytest.fixture
    def make(self, place: str, clock: Clock) -> Callable[[Mapping[str, str]], Provider]:
        return lambda env: JPushProvider("push", {**REQUIRED, "url": place}, env, now=clock)

    @pytest.fixture
    def locked_out(self, place: str, clock: Clock) -> Provider:
        return JPushProvider("push", {**REQUIRED, "url": place}, {"SECRET": "hunter2"}, now=clock)


def ask(run: Run, provider: Provider, content: Push = ANN, number: int = 0) -> Any:
    (answer,) = run(answers(provider, [outgoing(content, number)]))
    return answer


def asks_for_cids(request: Request) -> bool:
    return request.route == "/v3/push/cid"


# what a message becomes


def test_a_push_is_told_for_every_system(run: Run, make: Callable[..., JPushProvider], jpush: JPush) -> None:
    provider = make(ttl=3600, production=False, sound="ding", hmos_category="MARKETING")

    answer = ask(run, provider, Push(to="d1", title="题", text="正", image="https://example.org/i.png"))

    extras = {"message_id": "contract-0", "image": "https://example.org/i.png"}
    (push,) = jpush.accepted
    assert answer == Sent("18100287008546964")
    assert push.pop("cid").startswith(f"{APP_KEY}-")
    assert push.pop("msg_id") == "18100287008546964"
    assert push == {
        "platform": ["android", "ios", "hmos"],
        "audience": {"registration_id": ["d1"]},
        "notification": {
            "android": {
                "alert": "正",
                "title": "题",
                "extras": extras,
                "sound": "ding",
                "style": 3,
                "big_pic_path": "https://example.org/i.png",
            },
            "ios": {"alert": {"title": "题", "body": "正"}, "extras": extras, "sound": "ding", "mutable-content": True},
            "hmos": {"alert": "正", "title": "题", "extras": extras, "category": "MARKETING"},
        },
        "options": {"apns_production": False, "time_to_live": 3600},
    }


def test_where_iphones_are_reached_is_always_said(run: Run, provider: JPushProvider, jpush: JPush) -> None:
    ask(run, provider)

    assert jpush.accepted[0]["options"] == {"apns_production": True}


def test_a_title_alone_is_what_is_shown(run: Run, provider: JPushProvider, jpush: JPush) -> None:
    """Android shows nothing without an alert."""
    ask(run, provider, Push(to="d1", title="Sale"))

    assert jpush.accepted[0]["notification"]["android"] == {"alert": "Sale", "extras": {"message_id": "contract-0"}}
    assert jpush.accepted[0]["notification"]["ios"]["alert"] == {"title": "Sale"}


@pytest.mark.parametrize("msg_id", ["18100287008546964", 18100287008546964])
def test_the_name_of_a_push_stays_whole(run: Run, provider: JPushProvider, jpush: JPush, msg_id: object) -> None:
    jpush.answer = said({"sendno": "0", "msg_id": msg_id})

    assert ask(run, provider) == Sent("18100287008546964")


# cids


def test_a_push_has_the_same_cid_whichever_worker_asks_again_within_its_window(
    run: Run, make: Callable[..., JPushProvider], jpush: JPush, clock: Clock, double: Double
) -> None:
    double.mood, double.about = cutting, lambda request: request.route == "/v3/push"
    assert isinstance(ask(run, make()), Uncertain)
    double.mood = friendly
    clock.at += JPushProvider("push", REQUIRED, ENV).features.dedupe_window - timedelta(minutes=1)

    again = ask(run, make())

    assert again == Sent("18100287008546964")
    assert len(jpush.accepted) == 1
    bodies = [one.body for one in double.requests if one.route == "/v3/push"]
    assert bodies[0] == bodies[1]


def test_cids_are_asked_for_many_at_a_time_and_none_is_used_twice(
    run: Run, provider: JPushProvider, jpush: JPush, double: Double
) -> None:
    jpush.most_cids = 10

    run(answers(provider, [outgoing(ANN, number) for number in range(32)]))

    assert sum(map(asks_for_cids, double.requests)) == 4
    assert len({push["cid"] for push in jpush.accepted}) == 32


def test_cids_that_lay_too_long_are_not_used(run: Run, provider: JPushProvider, clock: Clock, double: Double) -> None:
    async def both() -> None:
        await provider.open()
        await provider.send([outgoing(ANN, 1)])
        clock.at += timedelta(minutes=30)
        await provider.send([outgoing(ANN, 2)])
        await provider.close()

    run(both())
    assert sum(map(asks_for_cids, double.requests)) == 2


def test_own_cids_need_no_question(
    run: Run, make: Callable[..., JPushProvider], jpush: JPush, double: Double, keep: MemoryKeep
) -> None:
    jpush.own_cids = True

    for number in (1, 1, 2):
        assert isinstance(ask(run, make(own_cids=True), number=number), Sent)

    assert not any(map(asks_for_cids, double.requests))
    assert len({push["cid"] for push in jpush.accepted}) == len(jpush.accepted) == 2
    assert keep._values == {}


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (Response(503), Unavailable),
        (Response(200, b"<html>"), Unavailable),
        (said({"cidlist": []}), Unavailable),
        (said({"cidlist": [1, None]}), Unavailable),
        (refusal(2002), Unavailable),
        (refusal(1030), Unavailable),
        (refusal(1004), Misconfigured),
        (refusal(1003, "The registration_id x is invalid!"), Misconfigured),
        (Response(400), Misconfigured),
    ],
)
def test_without_a_cid_no_push_leaves_and_no_address_ends(
    run: Run, provider: JPushProvider, double: Double, jpush: JPush, response: Response, expected: type[SendError]
) -> None:
    double.mood, double.about = saying(response), asks_for_cids

    assert type(ask(run, provider)) is expected
    assert all(map(asks_for_cids, double.requests))


@pytest.mark.parametrize("mood", [silent, cutting], ids=["silent", "cut"])
def test_a_cid_that_does_not_come_proves_that_no_push_left(
    run: Run, provider: JPushProvider, double: Double, mood: Any
) -> None:
    double.mood, double.about = mood, asks_for_cids

    found = run(answers(provider, [outgoing(ANN, number, timeout=0.3) for number in range(3)]))

    assert [type(answer) for answer in found] == [Unavailable] * 3


# codes


CLASSES: Mapping[str, tuple[type[SendError], set[FailureReason]]] = {
    "suppress": (Rejected, {FailureReason.address_unknown}),
    "content": (Rejected, {FailureReason.content}),
    "permanent": (Rejected, {FailureReason.unknown}),
    "config": (Misconfigured, set()),
    "throttle": (Unavailable, set()),
    "retry": (Unavailable, set()),
    "by-detail": (Rejected, {FailureReason.content}),
}
#: an inner time-out proves nothing; the engine asks again with the same cid, which is what JPush asks for
UNSURE = {"1030"}


@rows("jpush")
def test_a_code_means_what_it_means(run: Run, provider: JPushProvider, jpush: JPush, row: dict[str, str]) -> None:
    jpush.answer = refusal(int(row["code"]), "1104a89792a8ae1e7d1 is on its way")

    answer = ask(run, provider)

    kind, reasons = CLASSES[row["cls"]]
    assert type(answer) is (Uncertain if row["code"] in UNSURE else kind)
    assert answer.code == row["code"]
    assert f"HTTP {jpush.answer.status}" in row["note"]
    assert not isinstance(answer, Rejected) or answer.reason in reasons
    assert row["cls"] != "throttle" or answer.retry_after > 0
    assert "1104a89792a8ae1e7d1" not in str(answer)


def test_a_value_that_is_the_device_ends_the_address(run: Run, provider: JPushProvider, jpush: JPush) -> None:
    jpush.invalid.add(ANN.to)

    answer = ask(run, provider)

    assert isinstance(answer, Rejected)
    assert answer.reason is FailureReason.address_invalid
    assert ANN.to not in str(answer)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({}, 60), ({"x-rate-limit-reset": "7"}, 7), ({"x-rate-limit-reset": "soon"}, 60), ({"retry-after": "3"}, 3)],
)
def test_too_many_requests_end_when_jpush_says(
    run: Run, provider: JPushProvider, jpush: JPush, headers: Mapping[str, str], seconds: float
) -> None:
    many = refusal(2002)
    jpush.answer = Response(many.status, many.body, headers)

    assert ask(run, provider).retry_after == seconds


def test_the_reset_on_other_answers_keeps_nobody_away(run: Run, provider: JPushProvider, jpush: JPush) -> None:
    jpush.answer = refusal(1000)

    assert ask(run, provider).retry_after is None


@pytest.mark.parametrize(
    ("status", "words", "expected"),
    [
        (200, b'{"error": {"code": 1011}}', Rejected),
        (200, b'{"error": {"code": 4711, "message": "no"}}', Rejected),
        (400, b'{"error": {"code": 4711}}', Rejected),
        (400, b'{"error": []}', Rejected),
        (400, b'{"error": {"code": []}}', Rejected),
        (500, b'{"error": {"code": 4711}}', Uncertain),
    ],
)
def test_what_is_not_in_the_table_is_judged_by_its_status(
    run: Run, provider: JPushProvider, jpush: JPush, status: int, words: bytes, expected: type[SendError]
) -> None:
    jpush.answer = Response(status, words)

    assert type(ask(run, provider)) is expected


def test_probing_examines_a_push_to_nobody(run: Run, provider: JPushProvider, jpush: JPush, double: Double) -> None:
    run(provider.probe())
    assert [request.route for request in double.requests] == ["/v3/push/validate"]

    jpush.answer = refusal(2004)
    with pytest.raises(Misconfigured):
        run(provider.probe())
    run(provider.close())


@pytest.mark.parametrize(
    "options", [{"app_key": "a:b"}, {"ttl": 864_001}, {"url": "http://push.example.com"}, {"master_secret": SECRET}]
)
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        JPushProvider("push", {**REQUIRED, **options}, ENV)


# the vectors


def test_we_sign_in_as_the_vector_says(run: Run, place: str, double: Double) -> None:
    vector = vectors("jpush_basic_auth.json")
    given = vector["inputs"]
    options = {"app_key": given["app_key"], "master_secret_env": "SECRET", "url": place}

    ask(run, JPushProvider("push", options, {"SECRET": given["master_secret"]}))

    expected = vector["cases"][0]["expected"]["authorization"]
    assert {request.headers["authorization"] for request in double.requests} == {expected}


@recordings("jpush")
def test_the_double_takes_what_the_vendors_library_was_heard_to_say(jpush: JPush, recorded: dict[str, Any]) -> None:
    heard = recorded["request"]
    path = heard["path"] + "".join(
        f"{'&' if n else '?'}{name}={value}" for n, (name, value) in enumerate(heard["query"])
    )
    if heard["body"]:
        jpush.cids[json.loads(heard["body"])["cid"]] = NOW
    if "1011" in recorded["name"]:
        jpush.gone.update(json.loads(heard["body"])["audience"]["registration_id"])

    answer = jpush.handle(Request(heard["method"], path, heard["headers"], heard["body"].encode()))

    words = json.loads(answer.body)
    if heard["method"] == "GET":
        assert len(words["cidlist"]) == 1
    elif "1011" in recorded["name"]:
        assert words["error"] == {"code": 1011, "message": "cannot find user by this audience"}
    else:
        assert words == {"sendno": "0", "msg_id": "18100287008546964"}


@recordings("jpush")
def test_our_push_has_the_fields_of_the_vendors(
    run: Run, make: Callable[..., JPushProvider], jpush: JPush, recorded: dict[str, Any]
) -> None:
    if recorded["request"]["method"] == "GET":
        pytest.skip("this one asks for cids")
    theirs = json.loads(recorded["request"]["body"])
    ask(run, make(ttl=86_400, production=False, sound="default"), Push(to="d1", title="标题", text="你好"))

    (ours,) = jpush.accepted
    assert ours.keys() - {"msg_id"} == theirs.keys()
    assert ours["options"] == theirs["options"]
    assert set(ours["platform"]) == set(theirs["platform"])
    for system in ("android", "ios"):
        wanted = {
            name: value for name, value in theirs["notification"][system].items() if name not in ("extras", "badge")
        }
        assert wanted.items() <= ours["notification"][system].items()


# reports


def report(body: bytes, *, method: str = "POST", url: str = "https://shop.example/hooks/push") -> Callback:
    pair = base64.b64encode(f"{APP_KEY}:{SECRET}".encode()).decode()
    return Callback(method, url, {"authorization": f"Basic {pair}"}, body, NOW)


class TestReports(ReceiptContract):
    @pytest.fixture
    def provider(self) -> Provider:
        return JPushProvider("push", {**REQUIRED, "receipts": True}, ENV)

    @pytest.fixture
    def genuine(self) -> Sequence[Callback]:
        return [
            report(b'[{"msg_id": "18100287008546964", "type": 1}, {"msg_id": "18100287008546964", "type": 2}]'),
            report(b'{"msgid": 7, "type": 1}'),
        ]

    @pytest.fixture
    def sign(self) -> Callable[[bytes], Callback]:
        return report

    @pytest.fixture
    def unknown_words(self) -> Callback:
        return report(b'{"msg_id": "1", "type": "whistled"}')

    @pytest.fixture
    def forged(self, genuine: Sequence[Callback]) -> Sequence[Callback]:
        other = "Basic " + base64.b64encode(f"{APP_KEY}:hunter2".encode()).decode()
        return [replace(one, headers=headers) for one in genuine for headers in ({}, {"authorization": other})]

    def test_what_the_service_says_is_understood(
        self, run: Run, provider: Provider, genuine: Sequence[Callback]
    ) -> None:
        """As far as can be: JPush tells what its words mean to paying customers alone."""
        assert provider.features.receipts
        receipts = [one for callback in genuine for one in run(provider.receipts(callback)).receipts]
        assert {one.type for one in receipts} == {ReceiptType.unknown}
        assert [one.provider_id for one in receipts] == ["18100287008546964"] * 2 + ["7"]
        assert receipts[0].raw == {"msg_id": "18100287008546964", "type": 1}


def test_reports_have_to_be_switched_on(run: Run) -> None:
    provider = JPushProvider("push", REQUIRED, ENV)

    assert not provider.features.receipts
    with pytest.raises(InvalidReceipt):
        run(provider.receipts(report(b"{}")))


def test_our_address_is_tried_with_an_echo(run: Run) -> None:
    provider = JPushProvider("push", {**REQUIRED, "receipts": True}, ENV)
    url = "https://shop.example/hooks/push?echostr=571fd1bfaadc4919"

    assert run(provider.receipts(report(b"", method="GET", url=url))).body == b"571fd1bfaadc4919"
    with pytest.raises(InvalidReceipt):
        run(provider.receipts(report(b"", method="GET", url=url + "<script>")))

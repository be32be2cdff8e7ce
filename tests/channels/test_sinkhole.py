"""The providers of measurements and of the crash ledger keep the contract, against a sink in a process of its own."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from bench import sink, sink_http
from channels.contract import Provider, Sent, content_to_json
from channels.email.smtp import SmtpProvider
from channels.errors import Rejected, SendError, Unavailable, Uncertain
from channels.http import IN_FLIGHT
from channels.registry import find
from channels.testing import Accepted, ProviderContract, Run, answers, content_for, outgoing

SINKHOLE = Path(sink_http.__file__).parent / "sinkhole"


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


@pytest.fixture
def place(ledger: Path) -> Iterator[sink_http.Place]:
    with sink_http.running(ledger) as place:
        yield place


@pytest.fixture(params=["sink_blind", "sink_keyed", "sink_batch"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[Provider]:
    monkeypatch.syspath_prepend(str(SINKHOLE))
    return find(request.param)


def read(ledger: Path) -> list[list[str]]:
    return [line.split() for line in ledger.read_text(encoding="ascii").splitlines()] if ledger.exists() else []


class TestSinkhole(ProviderContract):
    @pytest.fixture
    def provider(self, kind: type[Provider], place: sink_http.Place) -> Provider:
        return kind("email", {"url": place.url}, {})

    @pytest.fixture
    def accepted(self, ledger: Path) -> Callable[[], list[Accepted]]:
        return lambda: [Accepted(key) for kind, _, key, _ in read(ledger) if kind == "accepted"]

    @pytest.fixture
    def has_network(self) -> bool:
        return True

    @pytest.fixture
    def can_lose_the_answer(self) -> bool:
        return True

    @pytest.fixture
    def unreachable(self, kind: type[Provider]) -> Provider:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            return kind("email", {"url": f"http://127.0.0.1:{free.getsockname()[1]}"}, {})

    @pytest.fixture
    def endless(self, kind: type[Provider], tmp_path: Path) -> Iterator[Sequence[Provider]]:
        with sink_http.running(tmp_path / "silent") as silent, sink_http.running(tmp_path / "dripping") as dripping:
            silent.behave("silence", times=100)
            dripping.behave("drip", times=100)
            yield [kind("email", {"url": place.url}, {}) for place in (silent, dripping)]

    @pytest.fixture
    def cut(self, kind: type[Provider], place: sink_http.Place) -> Provider:
        place.behave("cut")
        return kind("email", {"url": place.url}, {})


def test_what_is_accepted_stands_in_the_ledger_with_its_key_and_the_hash_of_its_bytes(
    run: Run, kind: type[Provider], place: sink_http.Place, ledger: Path
) -> None:
    content = content_for("sms", 7)

    run(answers(kind("sms", {"url": place.url}, {}), [outgoing(content, 7)]))

    ((what, _, key, digest),) = read(ledger)
    assert (what, key) == ("accepted", "contract-7")
    assert digest == hashlib.sha256(content_to_json(content)).hexdigest()
    assert place.taken() == 1


def test_a_repeat_is_recognised_by_keyed_alone(
    run: Run, kind: type[Provider], place: sink_http.Place, ledger: Path
) -> None:
    provider = kind("sms", {"url": place.url}, {})
    for _ in range(2):
        run(answers(provider, [outgoing(content_for("sms", 7), 7)]))

    second = "repeated" if provider.features.dedupe_by == "key" else "accepted"
    assert [what for what, *_ in read(ledger)] == ["accepted", second]


@pytest.mark.parametrize(
    ("do", "answer", "arrived"),
    [
        ("cut", Uncertain, True),
        ("cut_before", Uncertain, False),
        ("die", Uncertain, True),
        (503, Uncertain, True),
        ("503_before", Uncertain, False),
        (429, Unavailable, False),
        (400, Rejected, False),
        ("rubbish", Sent, True),
    ],
)
def test_the_sink_does_what_it_is_asked_for_and_then_is_friendly_again(
    run: Run,
    kind: type[Provider],
    place: sink_http.Place,
    ledger: Path,
    do: str | int,
    answer: type[Sent | SendError],
    arrived: bool,
) -> None:
    place.behave(do, retry_after="7")
    provider = kind("sms", {"url": place.url}, {})

    (found,) = run(answers(provider, [outgoing(content_for("sms", 1), 1)]))

    assert type(found) is answer
    assert [key for _, _, key, _ in read(ledger)] == ["contract-1"] * arrived
    assert getattr(found, "retry_after", None) == (7 if do in (503, "503_before", 429) else None)
    if do != "die":
        (after,) = run(answers(provider, [outgoing(content_for("sms", 2), 2)]))
        assert isinstance(after, Sent)


def test_how_many_are_in_flight_is_fixed_and_said(kind: type[Provider]) -> None:
    provider = kind("sms", {"url": "http://127.0.0.1:1"}, {})

    assert provider.features.in_flight == (500 if provider.name == "sink_batch" else IN_FLIGHT == 32 and 32)
    assert f"{provider.features.in_flight} messages in flight at most" in provider.describe()


@pytest.mark.parametrize("pipelining", [False, True])
def test_a_mail_stands_in_the_ledger_before_it_is_answered_also_when_the_server_dies_of_it(
    run: Run, ledger: Path, pipelining: bool
) -> None:
    with sink.running(ledger, pipelining=pipelining, die=3) as place:
        provider = SmtpProvider(
            "email", {"host": "127.0.0.1", "port": place.port, "mode": "plain", "connections": 1}, {}
        )
        found = run(answers(provider, [outgoing(content_for("email", number), number) for number in range(5)]))

    assert [type(answer) for answer in found] == [Sent, Sent, Uncertain, Unavailable, Unavailable]
    assert [(what, key) for what, _, key, _ in read(ledger)] == [("accepted", f"contract-{nth}") for nth in range(3)]
    assert len({digest for *_, digest in read(ledger)}) == 3

"""The simulated provider keeps the contract; its chances are stable and its record is the truth."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from pydantic import ValidationError

from channels.contract import (
    Answer,
    Content,
    Email,
    Outgoing,
    Provider,
    ReceiptType,
    Sent,
    Sms,
    content_to_json,
    payload_hash,
)
from channels.errors import FailureReason, Misconfigured, Rejected, Unavailable, Uncertain
from channels.simulated import SimulatedProvider
from channels.testing import Accepted, ProviderContract, answers, content_for, outgoing

SMS = Sms(to="+12025550100", text="Your order is on its way.")


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


class TestSimulated(ProviderContract):
    @pytest.fixture(params=["email", "sms", "push", "wechat"])
    def channel(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture(params=["none", "key"])
    def dedupe(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def provider(self, channel: str, dedupe: str, tmp_path: Path) -> Provider:
        options = {"record": "record.jsonl", "dedupe": dedupe, "rejects": ["nobody"]}
        return SimulatedProvider(channel, options, {}, tmp_path)

    @pytest.fixture
    def accepted(self, tmp_path: Path) -> Callable[[], list[Accepted]]:
        return lambda: [Accepted(row["key"], headers=tuple(row)) for row in rows(tmp_path / "record.jsonl")]

    @pytest.fixture
    def writes_headers(self) -> bool:
        return True

    @pytest.fixture
    def can_reject(self) -> bool:
        return True

    @pytest.fixture
    def rejected_content(self, content: Callable[[int], Content]) -> Content:
        return structs.replace(content(1), to="nobody")

    @pytest.fixture
    def can_lose_the_answer(self) -> bool:
        return True

    @pytest.fixture
    def cut(self, channel: str) -> Provider:
        return SimulatedProvider(channel, {"uncertain": "100%"}, {})

    @pytest.fixture
    def has_network(self) -> bool:
        return True

    @pytest.fixture
    def unreachable(self, channel: str) -> Provider:
        return SimulatedProvider(channel, {"unavailable": 1}, {})

    @pytest.fixture
    def endless(self, channel: str) -> Sequence[Provider]:
        return [SimulatedProvider(channel, {"latency": 3600}, {})]


def batch(count: int, attempt: int = 1) -> list[Outgoing]:
    return [outgoing(SMS, number, attempt=attempt) for number in range(count)]


def kinds(provider: Provider, out: Sequence[Outgoing]) -> list[type[Answer]]:
    return [type(answer) for answer in asyncio.run(answers(provider, out))]


def make(**options: Any) -> SimulatedProvider:
    return SimulatedProvider("sms", options, {})


def test_shares_come_true_over_many_messages() -> None:
    found = Counter(kinds(make(reject="10%", unavailable=0.2, uncertain="30%"), batch(4000)))
    assert {kind.__name__: round(count / 4000, 1) for kind, count in found.items()} == {
        "Rejected": 0.1,
        "Unavailable": 0.2,
        "Uncertain": 0.3,
        "Sent": 0.4,
    }


def test_the_same_seed_tells_the_same_story_and_another_seed_another() -> None:
    shares = {"reject": 0.3, "unavailable": 0.3}
    first = kinds(make(seed=1, **shares), batch(200))
    assert kinds(make(seed=1, **shares), list(reversed(batch(200)))) == list(reversed(first))
    assert kinds(make(seed=2, **shares), batch(200)) != first


def test_another_attempt_has_another_chance() -> None:
    provider = make(unavailable=0.5)
    assert kinds(provider, batch(100)) != kinds(provider, batch(100, attempt=2))


def test_half_of_the_uncertain_were_accepted_and_only_the_record_knows(tmp_path: Path) -> None:
    provider = make(uncertain=1, record=tmp_path / "record.jsonl")
    assert set(kinds(provider, batch(400))) == {Uncertain}
    assert 150 < len(rows(tmp_path / "record.jsonl")) < 250


def test_the_record_names_what_was_accepted(tmp_path: Path) -> None:
    asyncio.run(answers(make(record=tmp_path / "deep" / "record.jsonl"), [outgoing(SMS, 7, attempt=2)]))
    assert rows(tmp_path / "deep" / "record.jsonl") == [
        {
            "key": "contract-7",
            "channel": "sms",
            "to": "+12025550100",
            "text": "Your order is on its way.",
            "at": "2026-03-29T01:30:00+00:00",
            "attempt": 2,
            "hash": payload_hash(content_to_json(SMS)),
        }
    ]


def test_without_dedupe_a_repeat_is_a_second_message_in_the_record(tmp_path: Path) -> None:
    provider = make(record=tmp_path / "record.jsonl")
    asyncio.run(answers(provider, batch(1)))
    asyncio.run(answers(provider, batch(1, attempt=2)))
    assert [row["key"] for row in rows(tmp_path / "record.jsonl")] == ["contract-0", "contract-0"]


def test_with_dedupe_a_repeat_is_recognised_by_the_next_process_too(tmp_path: Path) -> None:
    for provider in (make(record=tmp_path / "r", dedupe="key"), make(record=tmp_path / "r", dedupe="key")):
        (answer,) = asyncio.run(answers(provider, batch(1)))
        assert isinstance(answer, Sent)
    assert len(rows(tmp_path / "r")) == 1


KILLED = """
import asyncio, signal, sys
from channels.simulated import SimulatedProvider
from channels.testing import content_for, outgoing

async def never(seconds):
    print("waiting", flush=True)
    signal.pause()

asyncio.sleep = never
provider = SimulatedProvider("sms", {"record": sys.argv[1], "latency": 1}, {})
asyncio.run(provider.send([outgoing(content_for("sms"), number) for number in range(50)]))
"""


def test_killed_before_it_could_answer_its_record_holds_what_it_accepted(tmp_path: Path) -> None:
    record = tmp_path / "record.jsonl"
    command = [sys.executable, "-c", KILLED, str(record)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"waiting\n"
        os.kill(process.pid, signal.SIGKILL)
    assert {row["key"] for row in rows(record)} == {f"contract-{number}" for number in range(50)}


def test_a_record_that_cannot_be_opened_is_misconfigured(tmp_path: Path) -> None:
    assert kinds(make(record=tmp_path), batch(2)) == [Misconfigured, Misconfigured]


@pytest.mark.parametrize("text", ["no json\n", "[]\n", '{"no": "key"}\n', "\xff\n"])
def test_a_record_that_cannot_be_read_is_misconfigured(tmp_path: Path, text: str) -> None:
    (tmp_path / "r").write_text(text, encoding="latin-1")
    assert kinds(make(record=tmp_path / "r", dedupe="key"), batch(1)) == [Misconfigured]


def test_a_record_that_fails_while_it_is_written_leaves_doubt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert kinds(make(record=tmp_path / "r"), batch(2)) == [Uncertain, Uncertain]


def test_beyond_its_rate_it_says_when_to_come_back() -> None:
    found = asyncio.run(answers(make(rate=5), batch(7)))
    assert [type(answer) for answer in found] == [Sent] * 5 + [Unavailable] * 2
    assert isinstance(found[-1], Unavailable)
    assert found[-1].retry_after is not None
    assert 0 < found[-1].retry_after <= 1


def test_rejections_and_refusals_carry_what_the_options_say() -> None:
    (rejected,) = asyncio.run(answers(make(reject=1, reject_reason="opted_out"), batch(1)))
    (unavailable,) = asyncio.run(answers(make(unavailable=1, retry_after=30), batch(1)))
    assert isinstance(rejected, Rejected)
    assert rejected.reason is FailureReason.opted_out
    assert isinstance(unavailable, Unavailable)
    assert unavailable.retry_after == 30


@pytest.mark.parametrize(
    "options",
    [
        {"reject": 0.6, "uncertain": 0.6},
        {"accept": 0.5},
        {"accept": "90%", "reject": "20%"},
        {"reject": "x%"},
        {"reject": "101%"},
        {"rate": 0},
        {"dedupe": "maybe"},
    ],
)
def test_chances_that_make_no_sense_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        make(**options)


def test_accept_may_be_written_when_it_fits() -> None:
    assert set(kinds(make(accept="80%", reject="20%"), batch(50))) == {Sent, Rejected}


# What comes back from people.

MAIL = Email(
    to="ann@example.com",
    html='<a href="https://example.org/c/1?a=1&amp;b=2">x</a> <a href="https://example.org/unsubscribe/t">out</a>',
)


def stories(content: Content, count: int = 600, **options: Any) -> list[list[ReceiptType]]:
    provider = SimulatedProvider(content.channel, options, {})
    return [[planned.type for planned in provider.receipts_for(outgoing(content, number))] for number in range(count)]


def test_receipts_come_in_the_order_of_life() -> None:
    provider = SimulatedProvider("email", {"opened": 1, "clicked": 1, "complained": 1}, {})
    for number in range(50):
        planned = provider.receipts_for(outgoing(MAIL, number))
        if planned[0].type is ReceiptType.bounced:
            assert planned[0].reason is FailureReason.address_full
            continue
        assert [one.type for one in planned] == ["delivered", "opened", "clicked", "complained"]
        assert timedelta(0) < planned[0].after < planned[1].after < planned[2].after <= timedelta(days=4)
        assert planned[2].link == "https://example.org/c/1?a=1&b=2"


def test_receipts_are_the_same_in_every_run_and_come_as_often_as_asked_for() -> None:
    found = stories(MAIL, delivered="90%", opened="50%", clicked="20%")
    assert found == stories(MAIL, delivered="90%", opened="50%", clicked="20%")
    counted = Counter(kind for story in found for kind in story)
    assert counted[ReceiptType.delivered] / 600 == pytest.approx(0.9, abs=0.05)
    assert counted[ReceiptType.bounced] == 600 - counted[ReceiptType.delivered]
    assert counted[ReceiptType.opened] / counted[ReceiptType.delivered] == pytest.approx(0.5, abs=0.06)
    assert counted[ReceiptType.clicked] / counted[ReceiptType.opened] == pytest.approx(0.2, abs=0.06)


def test_what_was_not_accepted_has_no_receipts() -> None:
    provider = make(reject=0.3, unavailable=0.3, uncertain=0.4)
    for out in batch(200):
        (answer,) = asyncio.run(answers(provider, [out]))
        if not isinstance(answer, Uncertain):
            assert provider.receipts_for(out) == []


def test_the_uncertain_have_receipts_exactly_when_the_record_has_them(tmp_path: Path) -> None:
    provider = make(uncertain=1, record=tmp_path / "r")
    asyncio.run(answers(provider, batch(100)))
    recorded = {row["key"] for row in rows(tmp_path / "r")}
    assert {out.key for out in batch(100) if provider.receipts_for(out)} == recorded


def test_texts_on_a_phone_report_no_opening_and_without_a_link_no_click() -> None:
    assert {kind for story in stories(SMS, opened=1, clicked=1, complained=0) for kind in story} == {
        "delivered",
        "bounced",
    }
    linked = Sms(to="+12025550100", text="see https://example.org/c/1")
    assert "clicked" in {kind for story in stories(linked, opened=1, clicked=1) for kind in story}


def test_an_opening_by_a_machine_says_so() -> None:
    provider = SimulatedProvider("email", {"machine": 1, "opened": 0, "delivered": 1}, {})
    assert [(one.type, one.machine) for one in provider.receipts_for(outgoing(content_for("email")))] == [
        ("delivered", False),
        ("opened", True),
    ]

"""The in-app inbox: an entry once in the box of a person, whatever becomes of the attempts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import datetime

import pytest

from channels.contract import Answer, Inbox, Sent
from channels.errors import FailureReason, Rejected, SendError, Unavailable, Uncertain
from channels.inbox import InboxProvider
from channels.keep import MemoryKeep
from channels.testing import Accepted, ProviderContract, Run, answers, content_for, outgoing


class TestInbox(ProviderContract):
    @pytest.fixture
    def keep(self) -> MemoryKeep:
        return MemoryKeep()

    @pytest.fixture
    def provider(self, keep: MemoryKeep) -> InboxProvider:
        return InboxProvider("inbox", {}, {}, keep=keep)

    @pytest.fixture
    def accepted(self, keep: MemoryKeep) -> Callable[[], list[Accepted]]:
        return lambda: [Accepted(key) for box in keep.boxes.values() for key in box]


class Failing(MemoryKeep):
    """A keep that does what it is asked for, or does not, and then fails."""

    def __init__(self, error: BaseException, *, keeps: bool) -> None:
        super().__init__()
        self.error: BaseException | None = error
        self.keeps = keeps

    async def post(self, box: str, key: str, entry: bytes, at: datetime) -> None:
        if self.keeps or self.error is None:
            await super().post(box, key, entry, at)
        if self.error is not None:
            raise self.error


class Silent(MemoryKeep):
    async def post(self, box: str, key: str, entry: bytes, at: datetime) -> None:
        await super().post(box, key, entry, at)
        await asyncio.Event().wait()


def lay(run: Run, keep: MemoryKeep, content: Inbox, timeout: float = 5.0) -> Answer:
    (answer,) = run(answers(InboxProvider("inbox", {}, {}, keep=keep), [outgoing(content, timeout=timeout)]))
    return answer


def test_an_entry_stands_in_the_box_of_its_person_as_it_is_shown(run: Run) -> None:
    keep = MemoryKeep()
    content = Inbox(to="person-7", title="您的订单", text="On its way", link="tel:+12025550100")

    assert isinstance(lay(run, keep, content), Sent)
    assert list(keep.boxes) == ["person-7"]
    assert json.loads(keep.boxes["person-7"]["contract-0"]) == {
        "title": "您的订单",
        "text": "On its way",
        "image": None,
        "link": "tel:+12025550100",
        "at": "2026-03-29T01:30:00Z",
    }


@pytest.mark.parametrize(
    "link",
    [
        "https://example.org/o?a=b#c",
        "HTTP://example.org",
        "mailto:shop@example.org?subject=x",
        "tel:+12025550100",
        None,
    ],
)
def test_links_of_four_kinds_are_shown(link: str | None) -> None:
    assert InboxProvider("inbox", {}, {}).refusal(Inbox(to="p", text="x", link=link)) is None


@pytest.mark.parametrize(
    "link",
    [
        *("javascript:alert(1)", "JaVaScRiPt:alert(1)", " javascript:alert(1)", "java\nscript:alert(1)"),
        *("data:text/html,x", "file:///etc/passwd", "vbscript:x", "shop://order/1", "blob:https://example.org/x"),
        *("", "/orders/1", "//example.org", "example.org", "https:", "https://", "https:///x", "http:javascript"),
        *("https://exa\tmple.org", "https://example.org/\x00", "https://example.org/\u2028", "mailto:", "tel:"),
    ],
)
def test_all_others_are_refused_as_links_and_as_images(link: str) -> None:
    provider = InboxProvider("inbox", {}, {})
    for content in (Inbox(to="p", text="x", link=link), Inbox(to="p", text="x", image=link)):
        refused = provider.refusal(content)
        assert isinstance(refused, Rejected)
        assert refused.reason is FailureReason.content


def test_a_picture_is_on_the_web() -> None:
    provider = InboxProvider("inbox", {}, {})

    assert provider.refusal(Inbox(to="p", text="x", image="https://example.org/a.png")) is None
    assert provider.refusal(Inbox(to="p", text="x", image="mailto:shop@example.org")) is not None


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (ConnectionRefusedError("person-0"), Unavailable),
        (Unavailable("The keep says itself that nothing was written."), Unavailable),
        (ConnectionResetError("person-0"), Uncertain),
        (TimeoutError("person-0"), Uncertain),
        (OSError("no room for person-0"), Uncertain),
        (RuntimeError("person-0"), Uncertain),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_what_a_keep_that_fails_proves(run: Run, error: Exception, answer: type[SendError]) -> None:
    found = lay(run, Failing(error, keeps=False), Inbox(to="person-0", text="x"))

    assert type(found) is answer
    assert "person-0" not in f"{found} {found!r}"


def test_asked_again_after_an_answer_that_was_lost_there_is_one_entry(run: Run) -> None:
    keep = Failing(ConnectionResetError(), keeps=True)

    first = lay(run, keep, Inbox(to="person-0", text="x"))
    keep.error = None
    second = lay(run, keep, Inbox(to="person-0", text="x"))

    assert [type(first), type(second)] == [Uncertain, Sent]
    assert list(keep.boxes["person-0"]) == ["contract-0"]


def test_who_does_not_answer_in_time_may_have_it(run: Run) -> None:
    assert isinstance(lay(run, Silent(), Inbox(to="person-0", text="x"), timeout=0.05), Uncertain)


def test_the_same_message_is_the_same_entry_byte_for_byte(run: Run) -> None:
    entries = []
    for _ in range(2):
        keep = MemoryKeep()
        content = content_for("inbox", 3)
        assert isinstance(content, Inbox)
        lay(run, keep, content)
        entries.append(keep.boxes["person-3"])

    assert entries[0] == entries[1]

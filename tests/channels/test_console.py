"""The console provider keeps the contract, and prints what a person can read."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import pytest

from channels.console import ConsoleProvider
from channels.contract import Content, Email, Provider, Sent, Sms
from channels.errors import Unavailable, Uncertain
from channels.testing import Accepted, ProviderContract, Run, answers, content_for, outgoing

HEAD = re.compile(r"^── (\w+) · (\S+) · ", re.MULTILINE)


def blocks(printed: str) -> list[Accepted]:
    """What a reader of the terminal takes for messages and for their headers."""
    found = []
    for block in re.split(r"^(?=── )", printed, flags=re.MULTILINE):
        head = HEAD.match(block)
        if head:
            found.append(Accepted(head[2], headers=tuple(re.findall(r"^   ([\w-]+): ", block, re.MULTILINE))))
    return found


class TestConsole(ProviderContract):
    @pytest.fixture(params=["email", "sms", "push", "wechat"])
    def channel(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def provider(self, channel: str) -> ConsoleProvider:
        provider = ConsoleProvider(channel, {}, {})
        provider.stream = io.StringIO()
        return provider

    @pytest.fixture
    def accepted(self, provider: ConsoleProvider) -> Callable[[], list[Accepted]]:
        return lambda: blocks(printed(provider))

    @pytest.fixture
    def writes_headers(self) -> bool:
        return True

    @pytest.fixture
    def can_lose_the_answer(self) -> bool:
        return True

    @pytest.fixture
    def cut(self, channel: str) -> Provider:
        class Full(io.StringIO):
            def flush(self) -> None:
                raise OSError(28, "No space left on device")

        provider = ConsoleProvider(channel, {}, {})
        provider.stream = Full()
        return provider


def printed(provider: ConsoleProvider) -> str:
    assert isinstance(provider.stream, io.StringIO)
    return provider.stream.getvalue()


def show(run: Run, content: Content, **options: Any) -> str:
    provider = ConsoleProvider(content.channel, options, {})
    provider.stream = io.StringIO()
    assert run(answers(provider, [outgoing(content)])) == [Sent(None)]
    return printed(provider)


class TestPrinting:
    @pytest.fixture
    def run(self) -> Run:
        import asyncio

        return asyncio.run

    def test_a_block_names_channel_key_and_person_and_shows_the_text(self, run: Run) -> None:
        assert show(run, Sms(to="+12025550100", text="Hello Ann\nsee you")) == (
            "── sms · contract-0 · 2026-03-29 01:30 UTC\n   To: +12025550100\n   │ Hello Ann\n   │ see you\n\n"
        )

    def test_a_long_text_is_cut_after_the_lines_that_were_asked_for(self, run: Run) -> None:
        shown = show(run, Email(to="ann@example.com", text="\n".join("abcdef")), lines=2)
        assert "│ b\n   │ … 4 more lines\n" in shown
        assert "│ c" not in shown

    def test_a_text_cannot_give_orders_to_the_terminal(self, run: Run) -> None:
        assert "\x1b" not in show(
            run, Sms(to="+12025550100", text="\x1b[2J\x1b]0;owned\x07 hi", params=(("a\x1b", "\x9b"),))
        )

    def test_a_stream_that_does_not_know_the_script_gets_question_marks(self, run: Run) -> None:
        provider = ConsoleProvider("sms", {}, {})
        raw = io.BytesIO()
        provider.stream = io.TextIOWrapper(raw, encoding="ascii")
        (answer,) = run(answers(provider, [outgoing(Sms(to="+12025550100", text="谢谢"))]))
        assert isinstance(answer, Sent)
        assert b"? ??" in raw.getvalue()

    def test_a_closed_stream_is_unavailable(self, run: Run) -> None:
        provider = ConsoleProvider("sms", {}, {})
        provider.stream = io.StringIO()
        provider.stream.close()
        (answer,) = run(answers(provider, [outgoing(content_for("sms"))]))
        assert isinstance(answer, Unavailable)

    def test_a_stream_that_fails_while_printing_leaves_doubt(self, run: Run) -> None:
        class Torn(io.StringIO):
            def write(self, text: str, /) -> int:
                super().write(text[:10])
                raise BrokenPipeError

        provider = ConsoleProvider("sms", {}, {})
        provider.stream = Torn()
        (answer,) = run(answers(provider, [outgoing(content_for("sms"))]))
        assert isinstance(answer, Uncertain)

    @pytest.mark.parametrize("stream", ["stdout", "stderr"])
    def test_it_prints_where_the_options_say(self, run: Run, stream: str, capsys: pytest.CaptureFixture[str]) -> None:
        run(answers(ConsoleProvider("sms", {"stream": stream}, {}), [outgoing(content_for("sms"))]))
        captured = capsys.readouterr()
        assert "── sms" in getattr(captured, "out" if stream == "stdout" else "err")
        assert not getattr(captured, "err" if stream == "stdout" else "out")

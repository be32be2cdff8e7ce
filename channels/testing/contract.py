"""What every provider promises, one test each, and the worlds that a provider's tests must tell."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

import pytest
from msgspec import structs
from pydantic import ValidationError

from channels.contract import (
    Answer,
    Content,
    Email,
    Inbox,
    Notice,
    Outgoing,
    Provider,
    Push,
    Sent,
    Sms,
    Webhook,
    WeChat,
)
from channels.errors import Misconfigured, Rejected, SendError, Unavailable, Uncertain

_T = TypeVar("_T")
_PATIENCE = 10.0  # seconds; an answer that is due after a fraction of one and not there after these will not come

HOSTILE = (
    "Ann\r\nBcc: eve@example.net",
    "Ann\nBcc: eve@example.net",
    "Ann\rBcc: eve@example.net",
    "Ann\r\n\r\nforged text",
    "Ann\r\n.\r\nMAIL FROM:<eve@example.net>",
    "=?utf-8?q?Ann=0D=0ABcc:_eve@example.net?=",
    "=?utf-8?b?QW5uDQpCY2M6IGV2ZUBleGFtcGxlLm5ldA==?=",
    "Ann\u2028Bcc: eve@example.net",
    "Ann\x85Bcc: eve@example.net",
    "Ann\0Bcc: eve@example.net",
)


class Run(Protocol):
    """Runs a coroutine to its end in the event loop of the test."""

    def __call__(self, coroutine: Coroutine[Any, Any, _T], /) -> _T: ...


@dataclass(frozen=True)
class Accepted:
    """What a service itself says that it took: its own record, not the provider's word."""

    key: str
    provider_id: str | None = None
    headers: tuple[str, ...] = ()  # the names of the headers, where the service gets any


def content_for(channel: str, number: int = 0) -> Content:
    """An innocent message to a fictitious person."""
    text = f"Your order {number} is on its way. 您的订单已发出。"
    match channel:
        case "email":
            return Email(
                to=f"person{number}@example.com",
                to_name=f"Ann {number}",
                sender="shop@example.org",
                sender_name="The Shop",
                subject=f"Your order {number} 您的订单",
                html=f"<p>{text}</p>",
                text=text,
                headers=(("List-Unsubscribe", f"<https://example.org/u/{number}>"),),
            )
        case "sms":
            return Sms(to=f"+1202555{number:04}", text=text)
        case "push":
            return Push(to=f"token-{number}", title="Your order", text=text, link="https://example.org/o")
        case "wechat":
            return WeChat(to=f"open-id-{number}", template="T1", values=(("thing1", f"第{number}号订单"),))
        case "inbox":
            return Inbox(to=f"person-{number}", title="Your order", text=text, link="https://example.org/o")
        case "webhook":
            return Webhook(to="https://example.org/hook", type="order.sent", data=f'{{"number":{number}}}')
        case "notice":
            return Notice(to=f"colleague{number}", title="A call", text=text, link="https://example.org/t")
    raise NotImplementedError(f"override the fixture `content` for the channel {channel}")


def outgoing(content: Content, number: int = 0, *, attempt: int = 1, timeout: float = 5.0) -> Outgoing:
    """An attempt to send a content; the same number is the same message."""
    created_at = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    return Outgoing(number, f"contract-{number}", content, created_at, attempt, timeout)


class ProviderWorld:
    """What a provider's tests must tell, and may tell, about it."""

    # must

    @pytest.fixture
    def provider(self) -> Provider:
        """The provider in a friendly world."""
        raise NotImplementedError("override the fixture `provider`")

    @pytest.fixture
    def accepted(self) -> Callable[[], list[Accepted]]:
        """Asks the service of `provider` what it has taken so far."""
        raise NotImplementedError("override the fixture `accepted`")

    # may: what it is able to do

    @pytest.fixture
    def has_network(self) -> bool:
        """It talks to a service over a network: `unreachable` and `endless` must be given."""
        return False

    @pytest.fixture
    def can_lose_the_answer(self) -> bool:
        """The message can be taken and the answer lost: `cut` must be given."""
        return False

    @pytest.fixture
    def can_reject(self) -> bool:
        """Its service refuses some people and takes others in one call: `rejected_content` must be given."""
        return False

    @pytest.fixture
    def writes_headers(self) -> bool:
        """Its service gets lines with names, which `accepted` lists: a value must not be able to add one."""
        return False

    @pytest.fixture
    def has_credentials(self) -> bool:
        """It signs in: `env`, `make` and `locked_out` must be given."""
        return False

    # may: what goes with it

    @pytest.fixture
    def content(self, provider: Provider) -> Callable[[int], Content]:
        """Makes innocent messages, a different one for each number."""
        return lambda number: content_for(provider.channel, number)

    @pytest.fixture
    def inexpressible(self, provider: Provider) -> Sequence[Content]:
        """Messages that this provider can never send, as can be known without asking anybody."""
        wordless: dict[str, Content] = {
            "email": Email(to="ann@example.com", sender="shop@example.org", subject="x"),
            "sms": Sms(to="+12025550100"),
            "push": Push(to="token"),
            "wechat": WeChat(to="open-id"),
            "inbox": Inbox(to="person"),
            "webhook": Webhook(to="https://example.org/hook"),
            "notice": Notice(to="colleague"),
        }
        nobody: dict[str, Content] = {
            "email": Email(to="", sender="shop@example.org", text="x"),
            "sms": Sms(to="", text="x"),
            "push": Push(to="", text="x"),
            "wechat": WeChat(to="", template="T1", values=(("thing1", "x"),)),
            "inbox": Inbox(to="", text="x"),
            "webhook": Webhook(to="", type="x"),
        }
        other = content_for("sms" if provider.channel == "email" else "email")
        return [*(kind[provider.channel] for kind in (wordless, nobody) if provider.channel in kind), other]

    @pytest.fixture
    def rejected_content(self) -> Content:
        """A message to somebody whom the service refuses."""
        raise NotImplementedError("override the fixture `rejected_content`")

    @pytest.fixture
    def env(self) -> Mapping[str, str]:
        """The environment with the secrets that the providers of these tests are given."""
        return {}

    @pytest.fixture
    def make(self) -> Callable[[Mapping[str, str]], Provider]:
        """Makes the provider with another environment."""
        raise NotImplementedError("override the fixture `make`")

    # may: the same provider in worlds that fail

    @pytest.fixture
    def unreachable(self) -> Provider:
        """Its service refuses the connection."""
        raise NotImplementedError("override the fixture `unreachable`")

    @pytest.fixture
    def endless(self) -> Sequence[Provider]:
        """Services that never come to an end: one that is silent, one that drips."""
        raise NotImplementedError("override the fixture `endless`")

    @pytest.fixture
    def cut(self) -> Provider:
        """Its service takes the message whole and is gone before it answers."""
        raise NotImplementedError("override the fixture `cut`")

    @pytest.fixture
    def locked_out(self) -> Provider:
        """Its service does not accept our name and secret."""
        raise NotImplementedError("override the fixture `locked_out`")

    # the event loop

    @pytest.fixture
    def run(self) -> Iterator[Run]:
        with asyncio.Runner() as runner:
            yield runner.run


async def answers(provider: Provider, batch: Sequence[Outgoing]) -> Sequence[Answer]:
    """Open, send, close. What the provider raises is the answer to all."""
    try:
        await provider.open()
        async with asyncio.timeout(_PATIENCE):
            return await provider.send(batch)
    except SendError as error:
        return [error for _ in batch]
    finally:
        await provider.close()


class ProviderContract(ProviderWorld):
    """Every promise of `channels.contract.Provider`, one test each."""

    # what it says about itself

    def test_it_introduces_itself(self, provider: Provider) -> None:
        assert provider.name
        assert provider.channel in provider.channels
        assert provider.features.batch >= 1
        assert provider.features.in_flight >= 1
        assert provider.features.dedupe_by in ("key", "content", "none")
        described = provider.describe()
        assert described.strip()
        assert "\n" not in described
        assert described in repr(provider)

    def test_an_option_it_does_not_know_is_refused(self, provider: Provider) -> None:
        with pytest.raises(ValidationError) as caught:
            provider.Options.model_validate({"no_such_option": "hunter2"})
        assert ("no_such_option",) in [error["loc"] for error in caught.value.errors()]
        assert "hunter2" not in str(caught.value)

    def test_a_channel_it_does_not_serve_is_refused(self, provider: Provider) -> None:
        with pytest.raises(Misconfigured, match="pigeon"):
            type(provider)("pigeon", {}, {})

    # one answer per message

    def test_every_message_gets_one_answer_in_its_order(
        self,
        run: Run,
        provider: Provider,
        content: Callable[[int], Content],
        accepted: Callable[[], list[Accepted]],
    ) -> None:
        count = min(provider.features.in_flight, 12)
        batch = [outgoing(content(number), number) for number in range(count)]
        found = run(answers(provider, batch))
        assert all(isinstance(answer, Sent) for answer in found), found
        taken = {one.key: one for one in accepted()}
        assert len(accepted()) == len(found) == count
        for out, answer in zip(batch, found, strict=True):
            assert isinstance(answer, Sent)
            assert answer.provider_id == (taken[out.key].provider_id or answer.provider_id)

    def test_no_message_gets_no_answer(self, run: Run, provider: Provider) -> None:
        assert list(run(answers(provider, []))) == []

    def test_two_calls_at_a_time_get_their_own_answers(
        self,
        run: Run,
        provider: Provider,
        content: Callable[[int], Content],
        accepted: Callable[[], list[Accepted]],
    ) -> None:
        async def both() -> Sequence[Sequence[Answer]]:
            await provider.open()
            try:
                one, two = [outgoing(content(1), 1)], [outgoing(content(2), 2)]
                return await asyncio.gather(provider.send(one), provider.send(two))
            finally:
                await provider.close()

        assert [[type(answer) for answer in found] for found in run(both())] == [[Sent], [Sent]]
        assert sorted(one.key for one in accepted()) == ["contract-1", "contract-2"]

    def test_a_rejected_person_does_not_hurt_the_neighbours(
        self,
        run: Run,
        provider: Provider,
        content: Callable[[int], Content],
        can_reject: bool,
        accepted: Callable[[], list[Accepted]],
        request: pytest.FixtureRequest,
    ) -> None:
        needs(can_reject, "can_reject")
        bad: Content = request.getfixturevalue("rejected_content")
        batch = [outgoing(content(0), 0), outgoing(bad, 1), outgoing(content(2), 2)]
        found = run(answers(provider, batch))
        assert [type(answer) for answer in found] == [Sent, Rejected, Sent]
        assert sorted(one.key for one in accepted()) == ["contract-0", "contract-2"]

    # what it cannot say

    def test_what_it_cannot_express_is_rejected_before_the_network(
        self,
        run: Run,
        provider: Provider,
        inexpressible: Sequence[Content],
        accepted: Callable[[], list[Accepted]],
        has_network: bool,
        request: pytest.FixtureRequest,
    ) -> None:
        assert inexpressible
        without = [provider, request.getfixturevalue("unreachable")] if has_network else [provider]
        for number, content in enumerate(inexpressible):
            assert isinstance(provider.refusal(content), Rejected)
            for each in without:
                (answer,) = run(answers(each, [outgoing(content, number)]))
                assert isinstance(answer, Rejected), answer
        assert accepted() == []

    def test_what_it_cannot_express_does_not_hurt_the_neighbours(
        self,
        run: Run,
        provider: Provider,
        content: Callable[[int], Content],
        inexpressible: Sequence[Content],
        accepted: Callable[[], list[Accepted]],
    ) -> None:
        batch = [outgoing(inexpressible[0], 0), outgoing(content(1), 1)]
        assert [type(answer) for answer in run(answers(provider, batch))] == [Rejected, Sent]
        assert [one.key for one in accepted()] == ["contract-1"]

    @pytest.mark.parametrize("value", HOSTILE)
    def test_no_value_can_forge_a_header(
        self,
        run: Run,
        provider: Provider,
        content: Callable[[int], Content],
        accepted: Callable[[], list[Accepted]],
        writes_headers: bool,
        value: str,
    ) -> None:
        needs(writes_headers, "writes_headers")
        innocent = content(0)
        hostile = [
            _with(innocent, field, value) for field, old in structs.asdict(innocent).items() if isinstance(old, str)
        ]
        batch = [outgoing(each, number) for number, each in enumerate([innocent, *hostile])]
        found = run(answers(provider, batch))
        taken = {one.key: one.headers for one in accepted()}
        expected = taken["contract-0"]
        assert expected
        for out, answer in zip(batch, found, strict=True):
            assert isinstance(answer, Sent | Rejected)
            assert (out.key in taken) == isinstance(answer, Sent)
            assert set(taken.get(out.key, expected)) <= set(expected), out.content
            assert len(taken.get(out.key, expected)) <= len(expected), out.content

    # repeats

    def test_the_same_key_and_bytes_are_accepted_once(
        self,
        run: Run,
        provider: Provider,
        content: Callable[[int], Content],
        accepted: Callable[[], list[Accepted]],
    ) -> None:
        needs(provider.features.dedupe_by != "none", "dedupe_by")
        first, second = outgoing(content(1), 1), outgoing(content(1), 1, attempt=2)
        found = [*run(answers(provider, [first])), *run(answers(provider, [second]))]
        assert [type(answer) for answer in found] == [Sent, Sent]
        assert [one.key for one in accepted()] == ["contract-1"]

    # worlds that fail

    def test_a_refused_connection_is_unavailable(
        self, run: Run, content: Callable[[int], Content], has_network: bool, request: pytest.FixtureRequest
    ) -> None:
        needs(has_network, "has_network")
        batch = [outgoing(content(number), number) for number in range(3)]
        found = run(answers(request.getfixturevalue("unreachable"), batch))
        assert [type(answer) for answer in found] == [Unavailable] * 3

    def test_the_deadline_is_obeyed(
        self, run: Run, content: Callable[[int], Content], has_network: bool, request: pytest.FixtureRequest
    ) -> None:
        needs(has_network, "has_network")
        worlds: Sequence[Provider] = request.getfixturevalue("endless")
        for provider in worlds:
            batch = [outgoing(content(number), number, timeout=0.3) for number in range(3)]
            found = run(answers(provider, batch))
            assert {type(answer) for answer in found} <= {Unavailable, Uncertain}, found
            assert len(found) == 3

    def test_cancelled_it_stops_at_once(
        self, run: Run, content: Callable[[int], Content], has_network: bool, request: pytest.FixtureRequest
    ) -> None:
        needs(has_network, "has_network")
        worlds: Sequence[Provider] = request.getfixturevalue("endless")

        async def give_up(provider: Provider) -> None:
            await provider.open()
            sending = asyncio.ensure_future(provider.send([outgoing(content(0), timeout=_PATIENCE * 2)]))
            await asyncio.wait({sending}, timeout=0.1)
            sending.cancel()
            await asyncio.wait({sending}, timeout=_PATIENCE)
            assert sending.cancelled()
            await provider.close()

        for provider in worlds:
            run(give_up(provider))

    def test_an_answer_lost_after_handing_over_is_uncertain(
        self, run: Run, content: Callable[[int], Content], can_lose_the_answer: bool, request: pytest.FixtureRequest
    ) -> None:
        needs(can_lose_the_answer, "can_lose_the_answer")
        (answer,) = run(answers(request.getfixturevalue("cut"), [outgoing(content(0))]))
        assert isinstance(answer, Uncertain)

    # secrets

    def test_bad_credentials_are_misconfigured(
        self, run: Run, content: Callable[[int], Content], has_credentials: bool, request: pytest.FixtureRequest
    ) -> None:
        needs(has_credentials, "has_credentials")
        batch = [outgoing(content(number), number) for number in range(3)]
        found = run(answers(request.getfixturevalue("locked_out"), batch))
        assert [type(answer) for answer in found] == [Misconfigured] * 3

    def test_a_secret_that_is_not_set_is_asked_for_by_name(
        self, provider: Provider, env: Mapping[str, str], has_credentials: bool, request: pytest.FixtureRequest
    ) -> None:
        needs(has_credentials, "has_credentials")
        make: Callable[[Mapping[str, str]], Provider] = request.getfixturevalue("make")
        assert env
        for variable in env:
            with pytest.raises(Misconfigured, match=variable):
                make({name: value for name, value in env.items() if name != variable})
        assert make(env).describe() == provider.describe()

    def test_neither_secrets_nor_people_appear_in_what_it_says(
        self,
        run: Run,
        content: Callable[[int], Content],
        env: Mapping[str, str],
        request: pytest.FixtureRequest,
        has_network: bool,
        can_lose_the_answer: bool,
        can_reject: bool,
        has_credentials: bool,
    ) -> None:
        able = {"unreachable": has_network, "cut": can_lose_the_answer, "locked_out": has_credentials}
        worlds = ["provider", *(name for name, yes in able.items() if yes)]
        person = request.getfixturevalue("rejected_content") if can_reject else content(0)
        for provider in map(request.getfixturevalue, worlds):
            found = run(answers(provider, [outgoing(person)]))
            said = "\n".join([repr(provider), provider.describe(), *map(everything, found)])
            for hidden in [*env.values(), person.to, "on its way"]:
                assert hidden not in said

    # open and close

    def test_closing_twice_or_without_opening_does_no_harm(self, run: Run, provider: Provider) -> None:
        async def close_twice() -> None:
            await provider.close()
            await provider.open()
            await provider.close()
            await provider.close()

        run(close_twice())

    def test_it_sends_again_after_closing_and_opening(
        self,
        run: Run,
        provider: Provider,
        content: Callable[[int], Content],
        accepted: Callable[[], list[Accepted]],
    ) -> None:
        for number in (1, 2):
            (answer,) = run(answers(provider, [outgoing(content(number), number)]))
            assert isinstance(answer, Sent)
        assert [one.key for one in accepted()] == ["contract-1", "contract-2"]

    def test_probing_sends_nothing(self, run: Run, provider: Provider, accepted: Callable[[], list[Accepted]]) -> None:
        run(provider.probe())
        run(provider.close())
        assert accepted() == []


def needs(able: bool, ability: str) -> None:
    if not able:
        pytest.skip(f"this provider has not the ability {ability}")


def _with(content: Content, field: str, value: str) -> Content:
    return structs.replace(content, **{field: value})


def everything(answer: Answer) -> str:
    """All that a log could show of an answer."""
    shown = f"{answer} {answer!r}"
    if isinstance(answer, BaseException):
        shown += "".join(traceback.format_exception(answer)) + repr(vars(answer))
    return shown

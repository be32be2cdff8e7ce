"""The contract of a provider that calls an API over HTTP: the same, and all that a service and a network can do to it.

class TestPigeon(ApiContract):
    @pytest.fixture
    def service(self, loft): return Double(loft.handle)      # what the service does with a request

    @pytest.fixture
    def at(self, env): return lambda address: PigeonProvider("sms", {"url": address}, env)

    @pytest.fixture
    def accepted(self, loft): return lambda: [Accepted(key) for key in loft.taken]
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest

from channels.contract import Answer, Content, Outgoing, Provider, Sent
from channels.errors import Misconfigured, Rejected, SendError, Unavailable, Uncertain
from channels.testing.contract import Accepted, ProviderContract, Run, answers, everything, needs, outgoing
from channels.testing.double import (
    Double,
    Mood,
    Request,
    Response,
    cutting,
    cutting_its_body,
    cutting_its_head,
    dripping,
    rubbish,
    saying,
    silent,
    untrusted,
)

#: every form of Retry-After (RFC 9110, 10.2.3), and what is none; the service's clock stands at midnight
RETRY_AFTER: Mapping[str, float | None] = {
    "120": 120.0,
    "0": 0.0,
    "1.5": 1.5,
    "-5": 0.0,
    "Thu, 01 Jan 2026 00:02:00 GMT": 120.0,
    "Thursday, 01-Jan-26 00:02:00 GMT": 120.0,
    "Thu Jan  1 00:02:00 2026": 120.0,
    "Wed, 31 Dec 2025 23:00:00 GMT": 0.0,
    "soon": None,
    "": None,
}
STRANGE = {
    "nothing": b"",
    "a page": b"<html><body>Welcome to your new web server</body></html>",
    "null": b"null",
    "a number": b"1",
    "an empty list": b"[]",
    "an empty object": b"{}",
    "a text": b'"OK"',
    "the beginning of something": b'{"id": "',
    "no UTF-8": b'{"id": "\xff\xfe"}',
    "depths": b"[" * 60_000,
    "more than anybody reads": b" " * 2_000_000,
}

Hear = Callable[[Provider, Sequence[Outgoing]], Sequence[Answer]]


class ApiContract(ProviderContract):
    """Every promise of `ProviderContract`, and what goes wrong over HTTP."""

    # must

    @pytest.fixture
    def service(self) -> Double:
        """A double of the service. It is started for you."""
        raise NotImplementedError("override the fixture `service`")

    @pytest.fixture
    def at(self) -> Callable[[str], Provider]:
        """Makes the provider that calls the service at an address like http://localhost:40123."""
        raise NotImplementedError("override the fixture `at`")

    # may

    @pytest.fixture
    def hands_over(self) -> Callable[[Request], bool]:
        """Which requests hand over messages, among those for access tokens and the like: what goes wrong is theirs."""
        return lambda request: request.method == "POST"

    @pytest.fixture
    def status_decides(self) -> bool:
        """A status of 2xx alone means that the message was taken. False where a service says 200 and means no."""
        return True

    @pytest.fixture
    def throttled(self) -> Response:
        """How the service says that there were too many requests; Retry-After is added."""
        return Response(429)

    @pytest.fixture
    def obeys_retry_after(self) -> bool:
        """The service says by Retry-After when to come back; False where it has a way of its own, with its own test."""
        return True

    @pytest.fixture
    def again(self) -> Callable[[Request], object]:
        """What of a request has to be the same when a message is asked again: all but signatures of the instant."""
        return lambda request: (request.path, request.body)

    # what follows from these

    @pytest.fixture
    def has_network(self) -> bool:
        return True

    @pytest.fixture
    def can_lose_the_answer(self) -> bool:
        return True

    @pytest.fixture
    def place(self, run: Run, service: Double, hands_over: Callable[[Request], bool]) -> Iterator[str]:
        """Where the service is."""
        service.about = hands_over
        yield run(service.start())
        run(service.stop())

    @pytest.fixture
    def provider(self, at: Callable[[str], Provider], place: str) -> Provider:
        return at(place)

    @pytest.fixture
    def unreachable(self, run: Run, at: Callable[[str], Provider]) -> Provider:
        return at(f"http://localhost:{run(_nobody())}")

    @pytest.fixture
    def endless(
        self, run: Run, at: Callable[[str], Provider], service: Double, hands_over: Callable[[Request], bool]
    ) -> Iterator[Sequence[Provider]]:
        doubles = [_moody(service, hands_over, mood) for mood in (silent, dripping)]
        yield [at(run(double.start())) for double in doubles]
        for double in doubles:
            run(double.stop())

    @pytest.fixture
    def cut(
        self, run: Run, at: Callable[[str], Provider], service: Double, hands_over: Callable[[Request], bool]
    ) -> Iterator[Provider]:
        double = _moody(service, hands_over, cutting)
        yield at(run(double.start()))
        run(double.stop())

    @pytest.fixture
    def hear(self, run: Run, env: Mapping[str, str]) -> Hear:
        """Sends, and gives the answers once nothing was found in them that nobody may read."""

        def send(provider: Provider, batch: Sequence[Outgoing]) -> Sequence[Answer]:
            found = run(answers(provider, batch))
            assert len(found) == len(batch)
            said = "\n".join(map(everything, found))
            hidden = [*env.values(), "on its way", *(one.content.to for one in batch if one.content.to)]
            assert not [one for one in hidden if one in said], said
            return found

        return send

    # what a service answers

    @pytest.mark.parametrize(("text", "seconds"), RETRY_AFTER.items(), ids=[text or "empty" for text in RETRY_AFTER])
    def test_too_many_requests_are_told_with_the_time_to_come_back(
        self,
        hear: Hear,
        provider: Provider,
        service: Double,
        content: Callable[[int], Content],
        throttled: Response,
        obeys_retry_after: bool,
        text: str,
        seconds: float | None,
    ) -> None:
        service.mood = saying(Response(throttled.status, throttled.body, {**throttled.headers, "retry-after": text}))
        (answer,) = hear(provider, [outgoing(content(0))])
        assert isinstance(answer, Unavailable), answer
        if obeys_retry_after and seconds is not None:
            assert answer.retry_after == pytest.approx(seconds)

    @pytest.mark.parametrize("status", [500, 502, 503, 504, 520])
    def test_a_failure_in_words_that_are_not_the_services_own_proves_nothing(
        self,
        hear: Hear,
        provider: Provider,
        service: Double,
        content: Callable[[int], Content],
        accepted: Callable[[], list[Accepted]],
        hands_over: Callable[[Request], bool],
        status: int,
    ) -> None:
        service.mood = saying(Response(status, b"<html>Bad Gateway</html>"), taken=True)
        (answer,) = hear(provider, [outgoing(content(0))])
        assert isinstance(answer, Uncertain), answer
        assert len(accepted()) == 1
        assert len([one for one in service.requests if hands_over(one)]) == 1

    @pytest.mark.parametrize("status", [400, 403, 404, 409, 418, 451])
    def test_a_refusal_in_words_that_are_not_the_services_own_ends_no_address(
        self, hear: Hear, provider: Provider, service: Double, content: Callable[[int], Content], status: int
    ) -> None:
        service.mood = saying(Response(status, b"<html>Not here</html>"))
        (answer,) = hear(provider, [outgoing(content(0))])
        assert isinstance(answer, SendError), answer
        assert not (isinstance(answer, Rejected) and answer.reason.ends_address)

    @pytest.mark.parametrize("mood", [cutting_its_head, rubbish, cutting], ids=lambda mood: mood.__name__)
    def test_an_answer_that_breaks_off_or_is_no_http_is_uncertain(
        self,
        hear: Hear,
        provider: Provider,
        service: Double,
        content: Callable[[int], Content],
        accepted: Callable[[], list[Accepted]],
        mood: Mood,
    ) -> None:
        service.mood = mood
        (answer,) = hear(provider, [outgoing(content(0))])
        assert isinstance(answer, Uncertain), answer
        assert len(accepted()) == 1

    def test_a_positive_answer_cut_short_is_no_failure(
        self,
        hear: Hear,
        provider: Provider,
        service: Double,
        content: Callable[[int], Content],
        accepted: Callable[[], list[Accepted]],
        status_decides: bool,
    ) -> None:
        service.mood = cutting_its_body
        (answer,) = hear(provider, [outgoing(content(0))])
        assert isinstance(answer, Sent if status_decides else Sent | Uncertain), answer
        assert len(accepted()) == 1

    @pytest.mark.parametrize("words", STRANGE.values(), ids=STRANGE)
    def test_a_positive_answer_in_strange_words_is_no_failure(
        self,
        hear: Hear,
        provider: Provider,
        service: Double,
        content: Callable[[int], Content],
        status_decides: bool,
        words: bytes,
    ) -> None:
        service.mood = saying(Response(200, words, {"content-type": "application/json"}), taken=True)
        (answer,) = hear(provider, [outgoing(content(0))])
        assert isinstance(answer, Sent if status_decides else Uncertain), answer

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_no_redirect_is_followed(
        self,
        run: Run,
        hear: Hear,
        provider: Provider,
        service: Double,
        content: Callable[[int], Content],
        status: int,
    ) -> None:
        elsewhere = Double(service.handler)
        address = run(elsewhere.start())
        service.mood = saying(Response(status, headers={"location": f"{address}/elsewhere"}))
        (answer,) = hear(provider, [outgoing(content(0))])
        run(elsewhere.stop())
        assert isinstance(answer, Misconfigured | Uncertain | Rejected), answer
        assert elsewhere.requests == []

    # what the network does

    def test_a_certificate_nobody_vouches_for_is_misconfigured(
        self, run: Run, hear: Hear, at: Callable[[str], Provider], service: Double, content: Callable[[int], Content]
    ) -> None:
        impostor = Double(service.handler)
        provider = at(run(impostor.start(untrusted())))
        (answer,) = hear(provider, [outgoing(content(0))])
        run(impostor.stop())
        assert isinstance(answer, Misconfigured), answer
        assert impostor.requests == []

    def test_a_service_without_tls_gets_nothing_where_tls_was_asked_for(
        self, run: Run, hear: Hear, at: Callable[[str], Provider], service: Double, content: Callable[[int], Content]
    ) -> None:
        plain = Double(service.handler)
        provider = at(run(plain.start()).replace("http:", "https:"))
        (answer,) = hear(provider, [outgoing(content(0), timeout=2.0)])
        run(plain.stop())
        assert isinstance(answer, Unavailable | Misconfigured), answer
        assert plain.requests == []

    def test_a_message_taken_without_an_answer_in_time_is_uncertain(
        self,
        hear: Hear,
        provider: Provider,
        service: Double,
        content: Callable[[int], Content],
        accepted: Callable[[], list[Accepted]],
    ) -> None:
        service.mood = silent
        (answer,) = hear(provider, [outgoing(content(0), timeout=0.5)])
        assert isinstance(answer, Uncertain), answer
        assert len(accepted()) == 1

    def test_asked_again_it_says_the_same_with_the_same_key(
        self,
        hear: Hear,
        provider: Provider,
        service: Double,
        content: Callable[[int], Content],
        accepted: Callable[[], list[Accepted]],
        hands_over: Callable[[Request], bool],
        again: Callable[[Request], object],
    ) -> None:
        needs(provider.features.dedupe_by != "none", "dedupe_by")
        ready, service.mood = service.mood, cutting
        (lost,) = hear(provider, [outgoing(content(0))])
        service.mood = ready
        (answer,) = hear(provider, [outgoing(content(0), attempt=2)])
        assert isinstance(lost, Uncertain)
        assert isinstance(answer, Sent)
        first, *others = [again(one) for one in service.requests if hands_over(one)]
        assert others == [first]
        assert len(accepted()) == 1


def _moody(service: Double, about: Callable[[Request], bool], mood: Mood) -> Double:
    double = type(service)(service.handler)  # which may speak another HTTP
    double.mood, double.about = mood, about
    return double


async def _nobody() -> int:
    """A port at which nobody listens."""
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = int(server.sockets[0].getsockname()[1])
    server.close()
    await server.wait_closed()
    return port

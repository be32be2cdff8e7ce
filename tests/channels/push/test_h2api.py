"""What a call over HTTP/2 proves, over real sockets: streams refused, connections that end, fall silent and lie."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import trustme
from doubles import http2 as doubles
from doubles.http2 import H2Double, Stream
from h2.settings import SettingCodes, Settings

from channels.errors import Misconfigured, Unavailable, Uncertain
from channels.http import Api, Reply
from channels.push import h2api
from channels.push.h2api import H2Api
from channels.testing import Double, Request, Response
from channels.testing.double import Handler, Mood, Talk, friendly, silent, untrusted

GREAT = bytes(3 * 1024 * 1024)
PATIENCE = 5.0  # seconds


def echo(request: Request) -> Response:
    return Response(200, request.path.encode(), {"apns-id": "a"})


@pytest.fixture
def double() -> H2Double:
    return H2Double(echo)


@pytest.fixture
async def api(double: H2Double) -> AsyncIterator[H2Api]:
    api = H2Api(await double.start())
    yield api
    await api.close()
    await double.stop()


async def post(api: H2Api, path: str = "/a", body: bytes = b"{}", *, within: float = PATIENCE) -> Reply:
    return await api.post(path, body, asyncio.get_running_loop().time() + within, {"apns-topic": "com.example.app"})


async def until(ready: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not ready():
            await asyncio.sleep(0)


def once(mood: Mood) -> Mood:
    """This mood for the first request alone."""
    left = [mood]

    async def treat(talk: Talk, request: Request, handler: Handler) -> bool:
        return await (left.pop() if left else friendly)(talk, request, handler)

    return treat


async def test_a_request_is_answered(api: H2Api, double: H2Double) -> None:
    reply = await post(api, "/3/device/ab", b'{"aps":{}}')

    assert (reply.status, reply.body, reply.early, reply.headers["apns-id"]) == (200, b"/3/device/ab", False, "a")
    (request,) = double.requests
    assert (request.method, request.path, request.body) == ("POST", "/3/device/ab", b'{"aps":{}}')
    assert request.headers["apns-topic"] == "com.example.app"
    assert request.headers["host"] == api.place


async def test_a_thousand_requests_share_one_connection_and_no_more_of_it_than_it_offers(
    api: H2Api, double: H2Double
) -> None:
    double.settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 7

    replies = await asyncio.gather(*(post(api, f"/{number}") for number in range(1000)))

    assert [reply.body for reply in replies] == [f"/{number}".encode() for number in range(1000)]
    assert double.connections == 1
    assert double.lines[0].most <= 7


async def test_more_streams_are_used_as_soon_as_they_are_offered(api: H2Api, double: H2Double) -> None:
    """APNs offers one until it has seen a token that it likes."""
    double.settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 1
    double.mood = silent
    waiting = [asyncio.ensure_future(post(api)) for _ in range(3)]
    await until(lambda: len(double.requests) == 1)
    double.lines[0].h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 1000})
    double.lines[0].flush()

    await until(lambda: len(double.requests) == 3)

    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)


async def test_a_body_larger_than_every_window_arrives_whole(api: H2Api, double: H2Double) -> None:
    double.settings[SettingCodes.INITIAL_WINDOW_SIZE] = 1000

    await post(api, body=GREAT[:200_000])

    assert double.requests[0].body == GREAT[:200_000]


async def test_an_answer_before_the_whole_request_has_left_says_so(double: H2Double) -> None:
    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = doubles.Line(double, writer)
        line.h2.local_settings = Settings(client=False, initial_values={SettingCodes.INITIAL_WINDOW_SIZE: 10})
        line.h2.initiate_connection()
        line.flush()
        while data := await reader.read(65536):
            if any(isinstance(event, doubles.h2.events.RequestReceived) for event in line.h2.receive_data(data)):
                line.h2.send_headers(1, [(":status", "413")], end_stream=True)
            line.flush()
        writer.close()

    server = await asyncio.start_server(early, "127.0.0.1", 0)
    api = H2Api(f"http://localhost:{server.sockets[0].getsockname()[1]}")
    reply = await post(api, body=bytes(1000))
    await api.close()
    server.close()

    assert (reply.status, reply.early) == (413, True)


async def test_what_is_too_much_to_read_is_left_and_the_connection_goes_on(api: H2Api, double: H2Double) -> None:
    double.handler = lambda request: Response(200, GREAT if request.path == "/great" else b"small")

    great = await post(api, "/great")
    small = await post(api, "/small")

    assert (great.status, great.body) == (200, None)
    assert (small.status, small.body) == (200, b"small")
    assert double.connections == 1


# what ends a stream


async def test_a_stream_that_is_refused_was_not_looked_at(api: H2Api, double: H2Double) -> None:
    double.mood = doubles.refusing_the_stream

    with pytest.raises(Unavailable):
        await post(api)
    double.mood = friendly
    assert (await post(api)).status == 200
    assert double.connections == 1


async def test_a_stream_that_is_reset_is_uncertain_and_hurts_no_other(api: H2Api, double: H2Double) -> None:
    double.mood = once(doubles.resetting_the_stream)

    lost, other = await asyncio.gather(post(api), post(api), return_exceptions=True)

    assert isinstance(lost, Uncertain)
    assert isinstance(other, Reply)
    assert double.connections == 1


async def test_without_an_answer_in_time_a_request_is_uncertain_and_is_called_off(api: H2Api, double: H2Double) -> None:
    double.mood = once(silent)

    with pytest.raises(Uncertain):
        await post(api, within=0.1)
    assert (await post(api)).status == 200
    assert double.connections == 1


async def test_a_request_without_a_turn_in_time_has_not_left(api: H2Api, double: H2Double) -> None:
    double.settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 1
    double.mood = silent
    first = asyncio.ensure_future(post(api, within=0.3))
    await until(lambda: double.requests)

    with pytest.raises(Unavailable):
        await post(api, within=0.1)
    with pytest.raises(Uncertain):
        await first
    assert len(double.requests) == 1


# what ends a connection


async def test_what_a_leaving_service_did_not_look_at_goes_to_the_next_connection(api: H2Api, double: H2Double) -> None:
    double.mood = once(doubles.going_before_it_looks)

    reply = await post(api)

    assert reply.status == 200
    assert double.connections == 2
    assert len(double.requests) == 2


async def test_a_leaving_service_still_answers_what_it_looked_at(api: H2Api, double: H2Double) -> None:
    double.mood = once(doubles.going_after_it_answers)

    first = await post(api)
    second = await post(api)

    assert (first.status, second.status) == (200, 200)
    assert double.connections == 2
    assert len(double.requests) == 2


async def test_streams_below_and_above_the_last_one_have_their_own_fates(api: H2Api, double: H2Double) -> None:
    held: list[Stream] = []

    async def hold(talk: Talk, request: Request, handler: Handler) -> bool:
        assert isinstance(talk, Stream)
        held.append(talk)
        return True

    double.mood = hold
    asked = [asyncio.ensure_future(post(api, f"/{number}")) for number in range(4)]
    await until(lambda: len(held) == 4)
    double.mood = friendly
    held[0].line.goaway(held[1].number)
    await held[0].say(Response(200, b"at last").encoded())
    await asyncio.wait({asked[0]})
    held[0].line.cut()
    replies = await asyncio.gather(*asked, return_exceptions=True)

    assert [type(reply) for reply in replies] == [Reply, Uncertain, Reply, Reply]
    assert replies[0].body == b"at last"
    assert [request.path for request in double.requests[4:]] == ["/2", "/3"]
    assert double.connections == 2


async def test_a_service_that_goes_in_the_middle_leaves_its_requests_uncertain(api: H2Api, double: H2Double) -> None:
    double.mood = doubles.going_and_cutting

    with pytest.raises(Uncertain):
        await post(api)
    assert len(double.requests) == 1


@pytest.mark.parametrize(
    "frame",
    [
        b"\x00\x00\x01\x07\x00\x00\x00\x00\x00" + bytes(1),
        b"\x00\x00\x04\x07\x00\x00\x00\x00\x00" + bytes(4),
        b"\x00\x00\x00\x07\x00\x00\x00\x00\x00",
        b"\x00\x00\x08\x07\x00\x00\x00\x00\x01" + bytes(8),
    ],
    ids=["a byte", "without a reason", "nothing", "of a stream"],
)
async def test_a_farewell_that_is_none_proves_nothing(api: H2Api, double: H2Double, frame: bytes) -> None:
    async def babbling(talk: Talk, request: Request, handler: Handler) -> bool:
        assert isinstance(talk, Stream)
        talk.line.raw(frame)
        return True

    double.mood = babbling

    with pytest.raises(Uncertain):
        await post(api, within=1.0)
    assert len(double.requests) == 1


async def test_a_flood_of_pings_hurts_no_request(api: H2Api, double: H2Double) -> None:
    ping = b"\x00\x00\x08\x06\x00\x00\x00\x00\x00outreach"

    async def pinging(talk: Talk, request: Request, handler: Handler) -> bool:
        assert isinstance(talk, Stream)
        talk.line.raw(ping * 5_000)
        return await friendly(talk, request, handler)

    double.mood = pinging
    assert (await post(api)).status == 200
    assert (await post(api)).status == 200
    assert double.connections == 1


async def test_a_service_that_only_ever_goes_away_is_unavailable(api: H2Api, double: H2Double) -> None:
    double.mood = doubles.going_before_it_looks

    with pytest.raises(Unavailable):
        await post(api)
    assert double.connections == 3


async def test_a_connection_that_is_left_answers_what_is_under_way_and_takes_nothing_new(
    api: H2Api, double: H2Double
) -> None:
    held: list[Talk] = []

    async def hold(talk: Talk, request: Request, handler: Handler) -> bool:
        held.append(talk)
        return True

    double.mood = once(hold)
    first = asyncio.ensure_future(post(api))
    await until(lambda: held)
    api.leave()
    second = await post(api)
    await held[0].say(Response(200, b"at last").encoded())

    assert (await first).body == b"at last"
    assert second.status == 200
    assert double.connections == 2


async def test_after_a_silence_a_connection_has_to_answer_before_it_is_trusted(
    api: H2Api, double: H2Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(h2api, "_QUIET", -1.0)
    monkeypatch.setattr(h2api, "_PONG", 0.1)

    await post(api)
    await post(api)
    assert double.connections == 1

    double.lines[0].pongs = False
    assert (await post(api)).status == 200
    assert double.lines[0].unheard == 1
    assert double.connections == 2
    assert len(double.requests) == 3


# who is there


async def test_tls_is_verified_and_speaks_http_2(double: H2Double, server_tls: ssl.SSLContext, ca_file: Path) -> None:
    address = await double.start(server_tls)
    trusting, strict = H2Api(address, ca_file=ca_file), H2Api(address)

    assert (await post(trusting)).status == 200
    with pytest.raises(Misconfigured, match="certificate"):
        await post(strict)
    with pytest.raises(Misconfigured, match="ca_file"):
        await post(H2Api(address, ca_file=Path(__file__)))
    await trusting.close()
    await double.stop()
    assert len(double.requests) == 1


async def test_others_who_trust_the_same_authority_go_on_in_http_1(
    double: H2Double, server_tls: ssl.SSLContext, ca_file: Path, authority: trustme.CA
) -> None:
    """A service that speaks both takes HTTP/2 where it is offered: it must not be by who does not speak it."""
    spoken: list[str | None] = []

    class Both(Double):
        async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            spoken.append(writer.get_extra_info("ssl_object").selected_alpn_protocol())
            await super()._serve(reader, writer)

    both = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(both)
    both.set_alpn_protocols(["h2", "http/1.1"])
    service = Both(echo)
    pushes = H2Api(await double.start(server_tls), ca_file=ca_file)
    others = Api(await service.start(both), ca_file=ca_file)

    await post(pushes)
    await others.post("/a", b"{}", asyncio.get_running_loop().time() + PATIENCE)
    await pushes.close()
    await others.close()
    await double.stop()
    await service.stop()

    assert spoken != ["h2"]


async def test_a_server_of_http_1_alone_gets_nothing(authority: object, ca_file: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)  # type: ignore[attr-defined]
    old = Double(echo)
    secure, plain = H2Api(await old.start(context), ca_file=ca_file), H2Api(await old.start())

    with pytest.raises(Misconfigured, match="HTTP/2"):
        await post(secure)
    with pytest.raises(Unavailable):
        await post(plain, within=0.3)
    await plain.close()
    await old.stop()
    assert {request.method for request in old.requests} <= {"PRI"}  # the first words of HTTP/2, and nothing of ours


async def test_a_refused_connection_is_unavailable_for_all_who_wait_for_it() -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    api = H2Api(f"http://127.0.0.1:{port}")

    answers = await asyncio.gather(*(post(api) for _ in range(3)), return_exceptions=True)

    assert [type(answer) for answer in answers] == [Unavailable] * 3
    assert "refuses the connection" in str(answers[0])


async def test_closed_while_it_connects_nothing_has_left() -> None:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    api = H2Api(f"https://localhost:{server.sockets[0].getsockname()[1]}")
    asked = asyncio.ensure_future(post(api))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await api.close()

    with pytest.raises(Unavailable):
        await asked
    server.close()


@pytest.mark.parametrize(
    "words",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x16\x03\x01 220 mail.example.com ESMTP\r\n\r\n",
        b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" + b"\x00\x00\x02\x07\x00\x00\x00\x00\x00\xff\xff",
        b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" + b"\xff\xff\xff\x00\x00\x00\x00\x00\x01",
        b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" + b"\x00\x00\x05\x01\x04\x00\x00\x00\x01\xff\xff\xff\xff\xff",
    ],
    ids=["http 1", "mail", "a short goaway", "a frame too long", "headers that are none"],
)
async def test_rubbish_ends_a_connection_and_nothing_else(words: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(words)
        while await reader.read(65536):
            pass
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    api = H2Api(f"http://localhost:{server.sockets[0].getsockname()[1]}")

    with pytest.raises((Unavailable, Uncertain)):
        await post(api, within=1.0)
    await api.close()
    server.close()


async def test_a_certificate_nobody_vouches_for_gets_nothing(double: H2Double) -> None:
    api = H2Api(await double.start(untrusted()))

    with pytest.raises(Misconfigured):
        await post(api)
    await double.stop()
    assert double.requests == []

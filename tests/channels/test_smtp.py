"""The SMTP provider keeps the contract, over real sockets: against a real server with TLS, and against bad ones."""

from __future__ import annotations

import asyncio
import email
import email.policy
import hashlib
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from queue import Queue
from threading import Event, Thread
from typing import Any

import pytest
from aiosmtpd.smtp import Envelope
from doubles.smtp import (
    ENV,
    PASSWORD,
    POLITE,
    Mailbox,
    Pipelining,
    Servers,
    Talk,
    cuts,
    drips,
    is_silent,
    mail,
    one,
    plain,
    send,
    takes_the_message,
)
from msgspec import structs
from pydantic import ValidationError

from channels.contract import Answer, Content, Email, Outgoing, Provider, Sent
from channels.email import smtp
from channels.email.mime import Letter, compose
from channels.email.smtp import SmtpProvider
from channels.email.wire import Reply, Wire
from channels.errors import FailureReason, Misconfigured, Rejected, SendError, Unavailable, Uncertain
from channels.testing import Accepted, ProviderContract, Run, answers, outgoing

# The contract, over each way to connect.


class TestSmtp(ProviderContract):
    @pytest.fixture(params=["starttls", "tls", "plain", "starttls, pipelining"])
    def way(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def mode(self, way: str) -> str:
        return way.partition(",")[0]

    @pytest.fixture
    def box(self, servers: Servers, mode: str, way: str) -> Mailbox:
        box = servers.mailbox(mode, auth=True)
        box.pipelines = "pipelining" in way
        box.answers = {"nobody": "550 5.1.1 <nobody@example.com>: user unknown"}
        return box

    @pytest.fixture
    def options(self, mode: str, ca_file: Path) -> dict[str, Any]:
        secured = {} if mode == "plain" else {"ca_file": ca_file}
        return {"host": "localhost", "mode": mode, "username": "shop", "password_env": "SMTP_PASSWORD", **secured}

    @pytest.fixture
    def make(self, box: Mailbox, options: dict[str, Any]) -> Callable[[Mapping[str, str]], Provider]:
        return lambda env: SmtpProvider("email", {**options, "port": box.port}, env)

    @pytest.fixture
    def provider(self, make: Callable[[Mapping[str, str]], Provider]) -> Provider:
        return make(ENV)

    @pytest.fixture
    def accepted(self, box: Mailbox) -> Callable[[], list[Accepted]]:
        return lambda: [taken(envelope, number) for number, envelope in enumerate(box.mails, 1)]

    @pytest.fixture
    def env(self) -> Mapping[str, str]:
        return ENV

    @pytest.fixture
    def has_network(self) -> bool:
        return True

    @pytest.fixture
    def can_reject(self) -> bool:
        return True

    @pytest.fixture
    def can_lose_the_answer(self) -> bool:
        return True

    @pytest.fixture
    def writes_headers(self) -> bool:
        return True

    @pytest.fixture
    def has_credentials(self) -> bool:
        return True

    @pytest.fixture
    def rejected_content(self) -> Content:
        return structs.replace(mail().content, to="nobody@example.com")

    @pytest.fixture
    def unreachable(self, servers: Servers, options: dict[str, Any]) -> Provider:
        return SmtpProvider("email", {**options, "port": servers.nobody()}, ENV)

    @pytest.fixture
    def endless(self, servers: Servers) -> Sequence[Provider]:
        ways = [(is_silent,), (drips,), ("220 hi", drips), (*POLITE, drips), (*POLITE, takes_the_message, drips)]
        return [plain(servers.script(*way)) for way in ways]

    @pytest.fixture
    def cut(self, servers: Servers) -> Provider:
        return plain(servers.script(*POLITE, takes_the_message, cuts))

    @pytest.fixture
    def locked_out(self, make: Callable[[Mapping[str, str]], Provider]) -> Provider:
        return make({"SMTP_PASSWORD": "wrong"})


def taken(envelope: Envelope, number: int) -> Accepted:
    assert isinstance(envelope.content, bytes)
    message = email.message_from_bytes(envelope.content, policy=email.policy.default)
    key = str(message["message-id"]).strip("<>").partition("@")[0]
    assert len(envelope.rcpt_tos) == 1
    return Accepted(key, f"Q{number}", tuple(message.keys()))


# What goes over the wire.


def test_the_server_gets_the_composed_bytes_and_the_envelope(run: Run, servers: Servers) -> None:
    box = servers.mailbox("plain")
    out = mail(7, headers=(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),))
    send(run, plain(box.port, return_path="bounces@example.net"), out)
    (envelope,) = box.mails
    assert (envelope.mail_from, envelope.rcpt_tos) == ("bounces@example.net", ["ann@example.com"])
    assert isinstance(envelope.content, bytes)
    message = email.message_from_bytes(envelope.content, policy=email.policy.default)
    assert message["message-id"] == "<contract-7@example.org>"
    assert message["auto-submitted"] == "auto-generated"
    assert message["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"
    assert message["date"].datetime == out.created_at


def test_lines_that_start_with_a_dot_arrive_as_they_were(run: Run, servers: Servers) -> None:
    box = servers.mailbox("plain")
    text = ".\n..\n.hidden\nend\n.\nQUIT\n"
    content = Email(to="ann@example.com", sender="shop@example.org", text=text)
    assert [type(a) for a in send(run, plain(box.port), outgoing(content), mail(1))] == [Sent, Sent]
    first = next(e for e in box.mails if isinstance(e.content, bytes) and b"hidden" in e.content)
    assert isinstance(first.content, bytes)
    assert first.content.partition(b"\r\n\r\n")[2] == text.replace("\n", "\r\n").encode()


@pytest.mark.parametrize("mode", ["plain", "starttls", "tls"])
def test_a_mail_larger_than_the_buffers_arrives_whole(run: Run, servers: Servers, ca_file: Path, mode: str) -> None:
    box = servers.mailbox(mode, data_size_limit=20_000_000)
    secured = {} if mode == "plain" else {"ca_file": ca_file}
    provider = SmtpProvider("email", {"host": "localhost", "port": box.port, "mode": mode, **secured}, {})
    content = Email(to="ann@example.com", sender="shop@example.org", text="0123456789 abcdef\n" * 60_000)
    (answer,) = send(run, provider, outgoing(content, timeout=30))
    assert answer == Sent("Q1")
    assert isinstance(box.mails[0].content, bytes)
    assert len(box.mails[0].content) > 1_000_000


def test_connections_are_kept_between_messages_and_calls(run: Run, servers: Servers) -> None:
    box = servers.mailbox("plain")
    provider = plain(box.port, connections=2)

    async def two_calls() -> None:
        for start in (0, 20):
            found = await provider.send([mail(start + number) for number in range(20)])
            assert all(isinstance(answer, Sent) for answer in found)
        await provider.close()

    run(two_calls())
    assert len(box.mails) == 40
    assert (box.connections, box.most_connections) == (2, 2)


def test_a_connection_is_replaced_after_its_share_of_messages(run: Run, servers: Servers) -> None:
    box = servers.mailbox("plain")
    provider = plain(box.port, connections=1, messages_per_connection=3)
    found = send(run, provider, *(mail(number) for number in range(7)))
    assert all(isinstance(answer, Sent) for answer in found)
    assert box.connections == 3


def test_all_connections_are_ended_on_close(run: Run, servers: Servers) -> None:
    box = servers.mailbox("plain")
    send(run, plain(box.port, connections=4), *(mail(number) for number in range(12)))

    async def until_all_are_gone() -> None:
        while box.open_connections:
            await asyncio.sleep(0)

    run(asyncio.wait_for(until_all_are_gone(), 5))


@pytest.fixture
def elsewhere(server_tls: ssl.SSLContext) -> Iterator[Mailbox]:
    """A server in an event loop of its own."""
    boxes: Queue[Mailbox] = Queue()
    done = Event()

    def serve() -> None:
        with asyncio.Runner() as runner:
            servers = Servers(runner.run, server_tls)
            boxes.put(servers.mailbox("plain"))
            runner.run(asyncio.to_thread(done.wait))
            servers.stop()

    thread = Thread(target=serve)
    thread.start()
    yield boxes.get()
    done.set()
    thread.join()


def test_it_works_again_in_another_event_loop(elsewhere: Mailbox) -> None:
    provider = plain(elsewhere.port)

    async def send_one_and_forget_to_close() -> Sequence[Answer]:
        found = await provider.send([mail()])
        assert provider._pool is not None
        for session in provider._pool._returned._queue:  # type: ignore[attr-defined]  # as a loop's end leaves them
            session.abort() if session else None
        await asyncio.sleep(0)
        return found

    assert [type(answer) for answer in asyncio.run(send_one_and_forget_to_close())] == [Sent]
    assert [type(answer) for answer in asyncio.run(answers(provider, [mail(1)]))] == [Sent]


# What the server answers.


def test_each_person_gets_their_own_answer(run: Run, servers: Servers) -> None:
    box = servers.mailbox("plain")
    box.answers = {"gone": "550 5.1.1 gone", "busy": "450 4.2.1 busy", "full": "552 5.2.2 full"}
    names = ["ann", "gone", "bob", "busy", "full", "cid"]
    batch = [mail(number, f"{name}@example.com") for number, name in enumerate(names)]
    found = send(run, plain(box.port, connections=1), *batch)
    assert [type(answer) for answer in found] == [Sent, Rejected, Sent, Unavailable, Rejected, Sent]
    assert isinstance(found[1], Rejected)
    assert isinstance(found[4], Rejected)
    assert (found[1].reason, found[4].reason) == (FailureReason.address_unknown, FailureReason.address_full)
    assert box.connections == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("250 2.0.0 whatever", Sent),
        ("451 4.3.0 later", Unavailable),
        ("554 5.6.0 no", Rejected),
        ("354 hm", Uncertain),
        ("199 hm", Uncertain),
        ("no reply at all", Uncertain),
    ],
)
def test_the_answer_to_the_message_decides(run: Run, servers: Servers, answer: str, kind: type[Answer]) -> None:
    assert isinstance(one(run, plain(servers.script(*POLITE, takes_the_message, answer))), kind)


def test_D7_a_positive_answer_without_a_name_is_accepted_all_the_same(run: Run, servers: Servers) -> None:
    assert one(run, plain(servers.script(*POLITE, takes_the_message, b"250\r\n"))) == Sent(None)


@pytest.mark.parametrize("mode", ["plain", "tls"])
def test_D7_accepted_is_accepted_also_when_the_server_leaves_at_once(
    run: Run, servers: Servers, ca_file: Path, mode: str
) -> None:
    async def accepts_and_leaves(talk: Talk) -> None:
        talk.writer.write(b"354 go on\r\n")
        await talk.hear_message()
        talk.writer.write(b"250 2.0.0 Ok: queued as Q1\r\n")
        talk.writer.close()

    port = servers.script(*POLITE, accepts_and_leaves, tls=mode == "tls")
    secured = {"ca_file": ca_file} if mode == "tls" else {}
    provider = SmtpProvider("email", {"host": "localhost", "port": port, "mode": mode, **secured}, {})
    assert one(run, provider) == Sent("Q1")


def test_D7_accepted_is_accepted_also_when_the_loss_is_noticed_before_the_answer_is_looked_at(
    run: Run, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Wire.reply

    async def read_and_lose(self: Wire) -> Reply:
        found = await read(self)
        if "queued" in found.text:
            self.abort()
            while self._end is None:
                await asyncio.sleep(0)
        return found

    monkeypatch.setattr(Wire, "reply", read_and_lose)
    assert one(run, plain(servers.mailbox("plain").port)) == Sent("Q1")


def test_a_server_that_wants_nothing_from_us_is_misconfigured(run: Run, servers: Servers) -> None:
    assert isinstance(one(run, plain(servers.script("554 5.7.1 not you"))), Misconfigured)


def test_an_old_server_that_knows_no_ehlo_is_greeted_the_old_way(run: Run, servers: Servers) -> None:
    heard: list[bytes] = []

    async def is_old(talk: Talk) -> None:
        heard.append(await talk.hear())
        await talk.say("502 what")
        heard.append(await talk.hear())
        await talk.say("250 hi")
        await talk.hear()

    async def greets(talk: Talk) -> None:
        await talk.say("220 hi")

    port = servers.script(greets, is_old, "250 ok", "250 ok", takes_the_message, "250 ok")
    assert one(run, plain(port)) == Sent(None)
    assert heard == [b"EHLO client.example.com\r\n", b"HELO client.example.com\r\n"]


def test_a_mail_that_cannot_be_built_does_not_hurt_its_neighbours(
    run: Run, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(mail: Email, key: str, *others: Any) -> Letter:
        if key == "contract-1":
            raise ZeroDivisionError
        return compose(mail, key, *others)

    monkeypatch.setattr(smtp, "compose", broken)
    found = send(run, plain(servers.mailbox("plain").port), mail(0), mail(1), mail(2))
    assert [type(answer) for answer in found] == [Sent, Rejected, Sent]


@pytest.mark.parametrize("stage", range(len(POLITE) + 1))
def test_421_at_any_moment_is_unavailable_and_ends_the_connection(run: Run, servers: Servers, stage: int) -> None:
    ended: list[bool] = []

    async def closing(talk: Talk) -> None:
        await talk.say("421 4.3.2 going down")
        while await talk.hear():
            pass
        ended.append(True)

    provider = plain(servers.script(*POLITE[:stage], closing))

    async def send_and_look() -> Answer:
        (answer,) = await provider.send([mail()])
        while not ended:
            await asyncio.sleep(0)
        return answer

    answer = run(asyncio.wait_for(send_and_look(), 5))
    assert isinstance(answer, Unavailable)
    assert answer.code == "421 4.3.2"


@pytest.mark.parametrize("stage", range(len(POLITE) + 1))
@pytest.mark.parametrize("loss", [cuts, is_silent])
def test_lost_before_the_message_was_handed_over_is_unavailable(
    run: Run, servers: Servers, stage: int, loss: Callable[[Talk], Awaitable[None]]
) -> None:
    assert isinstance(one(run, plain(servers.script(*POLITE[:stage], loss)), timeout=0.3), Unavailable)


@pytest.mark.parametrize("loss", [cuts, is_silent, drips])
def test_lost_after_the_message_was_handed_over_is_uncertain(
    run: Run, servers: Servers, loss: Callable[[Talk], Awaitable[None]]
) -> None:
    assert isinstance(one(run, plain(servers.script(*POLITE, takes_the_message, loss)), timeout=0.3), Uncertain)


def test_a_large_mail_cut_in_its_middle_is_proved_not_accepted(run: Run, servers: Servers) -> None:
    async def reads_a_little(talk: Talk) -> None:
        await talk.say("354 go on")
        await talk.reader.readexactly(100_000)
        talk.cut()

    content = Email(to="ann@example.com", sender="shop@example.org", text="0123456789 abcdef\n" * 1_000_000)
    provider = plain(servers.script(*POLITE, reads_a_little))
    (answer,) = send(run, provider, outgoing(content, timeout=10))
    assert isinstance(answer, Unavailable)


def test_a_large_mail_that_nobody_reads_is_proved_not_accepted(run: Run, servers: Servers) -> None:
    async def reads_nothing(talk: Talk) -> None:
        await talk.say("354 go on")
        await asyncio.Event().wait()

    content = Email(to="ann@example.com", sender="shop@example.org", text="0123456789 abcdef\n" * 1_000_000)
    (answer,) = send(run, plain(servers.script(*POLITE, reads_nothing)), outgoing(content, timeout=1))
    assert isinstance(answer, Unavailable)


@pytest.mark.parametrize(("said", "kind"), [("552 5.3.4 enough", Rejected), ("452 4.3.1 full", Unavailable)])
def test_an_answer_in_the_middle_of_a_large_mail_is_heard(
    run: Run, servers: Servers, said: str, kind: type[Answer]
) -> None:
    async def has_enough(talk: Talk) -> None:
        await talk.say("354 go on")
        await talk.reader.readexactly(100_000)
        await talk.say(said)
        await asyncio.Event().wait()

    content = Email(to="ann@example.com", sender="shop@example.org", text="0123456789 abcdef\n" * 1_000_000)
    (answer,) = send(run, plain(servers.script(*POLITE, has_enough)), outgoing(content, timeout=10))
    assert isinstance(answer, kind)


def test_a_kept_connection_that_died_is_replaced_within_the_attempt(run: Run, servers: Servers) -> None:
    async def once(talk: Talk) -> None:
        await takes_the_message(talk)
        await talk.say("250 ok")
        await talk.hear()  # MAIL of the next message
        talk.cut()

    provider = plain(servers.script(*POLITE, once), connections=1)
    assert [type(answer) for answer in send(run, provider, mail(1), mail(2), mail(3))] == [Sent, Sent, Sent]


def test_an_answer_too_many_is_not_taken_for_the_next_one(run: Run, servers: Servers) -> None:
    connections: list[int] = []

    async def says_twice(talk: Talk) -> None:
        connections.append(1)
        await talk.say("220 hi")
        while line := await talk.hear():
            if line.startswith(b"DATA"):
                await talk.say("354 go on")
                await talk.hear_message()
                await talk.say(b"250 ok\r\n250 ok again\r\n")
            else:
                await talk.say("250 ok")

    provider = plain(servers.script(says_twice), connections=1)
    assert [type(answer) for answer in send(run, provider, mail(1), mail(2))] == [Sent, Sent]
    assert len(connections) == 2


def test_two_calls_share_the_connections(run: Run, servers: Servers) -> None:
    box = servers.mailbox("plain")
    provider = plain(box.port, connections=2)

    async def both() -> None:
        calls = [provider.send([mail(start + number) for number in range(10)]) for start in (0, 10, 20)]
        for found in await asyncio.gather(*calls):
            assert all(isinstance(answer, Sent) for answer in found)
        await provider.close()

    run(both())
    assert box.most_connections == 2


def test_a_server_that_allows_fewer_connections_is_used_with_as_many(run: Run, servers: Servers) -> None:
    inside: list[int] = []
    taken: list[bytes] = []

    async def one_at_a_time(talk: Talk) -> None:
        if inside:
            await talk.say("421 4.7.0 too many connections")
            return
        inside.append(1)
        try:
            await talk.say("220 hi")
            while line := await talk.hear():
                if line.startswith(b"DATA"):
                    await talk.say("354 go on")
                    taken.append(await talk.hear_message())
                await talk.say("250 ok")
        finally:
            inside.clear()

    provider = plain(servers.script(one_at_a_time), connections=4)
    found = send(run, provider, *(mail(number) for number in range(10)))
    assert all(isinstance(answer, Sent) for answer in found), found
    assert len(taken) == 10


def test_where_nobody_answers_one_message_knocks_for_all(run: Run, servers: Servers) -> None:
    knocks: list[int] = []

    async def closed(talk: Talk) -> None:
        knocks.append(1)
        await talk.say("421 4.3.2 closed")

    found = send(run, plain(servers.script(closed)), *(mail(number) for number in range(30)))
    assert [type(answer) for answer in found] == [Unavailable] * 30
    assert len(knocks) == 1


def test_a_wrong_password_is_told_once_for_all_messages(run: Run, servers: Servers, ca_file: Path) -> None:
    box = servers.mailbox("starttls", auth=True)
    options = {"host": "localhost", "port": box.port, "username": "shop", "password_env": "SMTP_PASSWORD"}
    provider = SmtpProvider("email", {**options, "ca_file": ca_file}, {"SMTP_PASSWORD": "wrong"})
    found = send(run, provider, *(mail(number) for number in range(20)))
    assert [type(answer) for answer in found] == [Misconfigured] * 20
    assert box.refused_logins == 1
    assert "password" in str(found[0])


# Nothing is said in the clear.


def secured(port: int, ca_file: Path | None, mode: str = "starttls", host: str = "localhost") -> SmtpProvider:
    options: dict[str, Any] = {"host": host, "port": port, "mode": mode}
    options.update({"ca_file": ca_file} if ca_file else {})
    return SmtpProvider("email", {**options, "username": "shop", "password_env": "SMTP_PASSWORD"}, ENV)


def test_without_starttls_on_offer_nothing_more_is_said(run: Run, servers: Servers, ca_file: Path) -> None:
    heard: list[bytes] = []

    async def listens(talk: Talk) -> None:
        await talk.say(b"250-hi\r\n250 AUTH PLAIN\r\n")
        heard.append(await talk.hear())

    answer = one(run, secured(servers.script("220 hi", listens), ca_file))
    assert isinstance(answer, Misconfigured)
    assert "does not offer STARTTLS" in str(answer)
    assert heard == [b""]


@pytest.mark.parametrize("reply", ["454 4.7.0 not now", "502 not at all", "250 ok?"])
def test_starttls_refused_is_misconfigured(run: Run, servers: Servers, ca_file: Path, reply: str) -> None:
    port = servers.script("220 hi", b"250-hi\r\n250 STARTTLS\r\n", reply)
    answer = one(run, secured(port, ca_file))
    assert isinstance(answer, Misconfigured)
    assert "in the clear" in str(answer)


@pytest.mark.parametrize(
    ("at_once", "after_our_hello"), [("250 no need for TLS", ""), ("", "250 no need for TLS"), ("", "")]
)
def test_a_server_that_lies_about_starttls_gets_neither_mail_nor_password(
    run: Run, servers: Servers, ca_file: Path, at_once: str, after_our_hello: str
) -> None:
    heard: list[bytes] = []

    async def lies(talk: Talk) -> None:
        await talk.say(f"220 ready\r\n{at_once}")
        heard.append(await talk.reader.read(16))
        await talk.say(after_our_hello)
        heard.append(await talk.reader.read())

    answer = one(run, secured(servers.script("220 hi", b"250-hi\r\n250 STARTTLS\r\n", lies), ca_file), timeout=0.5)
    assert isinstance(answer, Misconfigured if after_our_hello else Misconfigured | Unavailable)
    assert heard[0].startswith(b"\x16\x03")  # a TLS handshake
    assert not any(word in b"".join(heard) for word in (b"AUTH", b"MAIL", b"EHLO"))


def test_words_slipped_in_before_tls_are_not_believed(
    run: Run, servers: Servers, ca_file: Path, server_tls: ssl.SSLContext
) -> None:
    """A man in the middle adds a capability of his own to the last words in the clear."""
    heard: list[bytes] = []

    async def injects(talk: Talk) -> None:
        await talk.say(b"220 ready\r\n250-evil\r\n250 AUTH LOGIN\r\n")
        await talk.writer.start_tls(server_tls)
        heard.append(await talk.hear())
        await talk.say("250 plainly no login")
        heard.append(await talk.hear())

    answer = one(run, secured(servers.script("220 hi", b"250-hi\r\n250 STARTTLS\r\n", injects), ca_file))
    assert isinstance(answer, Misconfigured | Unavailable)
    assert not any(b"AUTH" in line for line in heard)


@pytest.mark.parametrize("mode", ["starttls", "tls"])
def test_a_certificate_of_an_unknown_authority_is_misconfigured(run: Run, servers: Servers, mode: str) -> None:
    answer = one(run, secured(servers.mailbox(mode, auth=True).port, None, mode))
    assert isinstance(answer, Misconfigured)
    assert "ca_file" in str(answer)


@pytest.mark.parametrize("mode", ["starttls", "tls"])
def test_a_certificate_for_another_name_is_misconfigured(run: Run, servers: Servers, ca_file: Path, mode: str) -> None:
    box = servers.mailbox(mode, auth=True)
    answer = one(run, secured(box.port, ca_file, mode, host="127.0.0.1"))
    assert isinstance(answer, Misconfigured)
    assert "name in the certificate" in str(answer)
    assert box.mails == []


def test_tls_to_a_server_that_has_none_is_misconfigured(run: Run, servers: Servers, ca_file: Path) -> None:
    answer = one(run, secured(servers.mailbox("plain").port, ca_file, "tls"), timeout=3)
    assert isinstance(answer, Misconfigured)
    assert "mode" in str(answer)


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_a_ca_file_that_is_none_is_misconfigured(run: Run, tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "ca.pem").write_text(text)
    with pytest.raises(Misconfigured, match=r"ca\.pem"):
        run(secured(25, tmp_path / "ca.pem").open())


def test_a_server_without_a_login_that_we_know_is_misconfigured(run: Run, servers: Servers) -> None:
    port = servers.script("220 hi", b"250-hi\r\n250 AUTH GSSAPI\r\n")
    answer = one(run, plain(port, username="shop", password_env="SMTP_PASSWORD"))
    assert isinstance(answer, Misconfigured)
    assert "no login" in str(answer)


def test_a_login_that_is_not_possible_at_the_moment_is_unavailable(run: Run, servers: Servers) -> None:
    port = servers.script("220 hi", b"250-hi\r\n250 AUTH PLAIN\r\n", "454 4.7.0 later")
    assert isinstance(one(run, plain(port, username="shop", password_env="SMTP_PASSWORD")), Unavailable)


def test_a_server_that_repeats_our_password_does_not_get_it_into_the_error(run: Run, servers: Servers) -> None:
    async def repeats(talk: Talk) -> None:
        await talk.say(b"250-hi\r\n250 AUTH PLAIN\r\n")
        heard = (await talk.hear()).decode().strip()
        await talk.say(f"535 5.7.8 wrong: {heard} that is shop {PASSWORD}")

    answer = one(run, plain(servers.script("220 hi", repeats), username="shop", password_env="SMTP_PASSWORD"))
    assert isinstance(answer, Misconfigured)
    assert "<hidden>" in str(answer)
    assert "AHNob3A" not in str(answer)  # base64 of \0shop
    assert PASSWORD not in str(answer)


def test_in_the_clear_the_password_itself_is_not_said_where_a_better_way_is_offered(run: Run, servers: Servers) -> None:
    heard: list[bytes] = []

    async def listens(talk: Talk) -> None:
        await talk.say(b"250-hi\r\n250 AUTH PLAIN LOGIN CRAM-MD5\r\n")
        heard.append(await talk.hear())

    one(run, plain(servers.script("220 hi", listens), username="shop", password_env="SMTP_PASSWORD"))
    assert heard == [b"AUTH CRAM-MD5\r\n"]


# Several commands in one go (RFC 2920).


def people(count: int, **fields: Any) -> list[Outgoing]:
    return [mail(number, f"person{number}@example.com", **fields) for number in range(count)]


def test_envelopes_of_a_stream_leave_before_the_message_before_them_is_answered(run: Run, servers: Servers) -> None:
    ahead: list[bytes] = []

    async def waits_for_the_next(talk: Talk) -> None:
        """Answers a text only when the envelope of the next message is there."""
        await talk.say("220 hi")
        await talk.hear()
        await talk.say(b"250-hi\r\n250 PIPELINING\r\n")
        for number in range(3):
            if number == 0:
                ahead.extend([await talk.hear() for _ in range(3)])
            await talk.say(b"250 ok\r\n250 ok\r\n354 go on\r\n")
            await talk.hear_message()
            if number < 2:
                ahead.extend([await talk.hear() for _ in range(3)])
            await talk.say(f"250 2.0.0 Ok: queued as Q{number}")
        await talk.hear()

    provider = plain(servers.script(waits_for_the_next), connections=1)
    found = send(run, provider, *people(3))
    assert found == [Sent("Q0"), Sent("Q1"), Sent("Q2")]
    assert [line[:4] for line in ahead] == [b"MAIL", b"RCPT", b"DATA"] * 3


def test_in_a_stream_each_message_gets_its_own_answer(run: Run, servers: Servers) -> None:
    # three guards keep a reply from the wrong message: all are read after a refusal, words left over end a connection,
    # and so does an RSET that is not answered with 250. With all three taken out, number 2 got an answer meant for 1.
    fates = {
        (1, "RCPT"): "550 5.1.1 gone",
        (1, "DATA"): "503 5.5.1 nobody to write to",
        (2, "text"): "552 5.3.4 too large",
        (4, "DATA"): "451 4.3.0 later",
        (5, "RCPT"): "450 4.2.1 busy",
        (5, "DATA"): "503 5.5.1 nobody to write to",
    }
    server = Pipelining(lambda number, stage: fates.get((number, stage)))
    found = send(run, plain(servers.script(server), connections=1), *people(8))
    assert [type(answer) for answer in found] == [
        *(Sent, Rejected, Rejected, Sent),
        *(Unavailable, Unavailable, Sent, Sent),
    ]
    assert server.accepted == [0, 3, 6, 7]
    assert server.connections == 1


def test_D6_a_stream_that_is_cut_leaves_one_message_uncertain_and_sends_those_behind_it_once(
    run: Run, servers: Servers
) -> None:
    server = Pipelining(lambda number, stage: "taken, and cut" if (number, stage) == (2, "text") else None)
    found = send(run, plain(servers.script(server), connections=1), *people(6))
    assert [type(answer) for answer in found] == [Sent, Sent, Uncertain, Sent, Sent, Sent]
    assert server.accepted == [0, 1, 2, 3, 4, 5]
    assert server.connections == 2


@pytest.mark.parametrize("stage", ["RCPT", "DATA"])
def test_D6_a_message_whose_envelope_alone_had_left_goes_over_another_connection(
    run: Run, servers: Servers, stage: str
) -> None:
    # with `handed_over` left as it was after the message before, number 2 said Uncertain
    cut = iter(["cut"])
    server = Pipelining(lambda number, at: next(cut, None) if (number, at) == (2, stage) else None)
    found = send(run, plain(servers.script(server), connections=1), *people(4))
    assert [type(answer) for answer in found] == [Sent] * 4
    assert server.accepted == [0, 1, 2, 3]


def test_a_server_that_wants_the_text_of_a_message_it_refused_gets_a_lone_dot(run: Run, servers: Servers) -> None:
    fates = {(1, "RCPT"): "550 5.1.1 gone", (1, "text"): "554 5.5.1 no valid recipients"}
    server = Pipelining(lambda number, stage: fates.get((number, stage)))
    found = send(run, plain(servers.script(server), connections=1), *people(3))
    assert [type(answer) for answer in found] == [Sent, Rejected, Sent]
    assert server.accepted == [0, 2]
    assert server.connections == 1
    assert server.texts[1] == b".\r\n"


def test_a_server_that_takes_a_text_for_nobody_is_left(run: Run, servers: Servers) -> None:
    server = Pipelining(lambda number, stage: "550 5.1.1 gone" if (number, stage) == (1, "RCPT") else None)
    found = send(run, plain(servers.script(server), connections=1), *people(3))
    assert [type(answer) for answer in found] == [Sent, Rejected, Sent]
    assert server.connections == 2


def test_nobody_gets_an_empty_mail_when_only_the_sender_was_refused(run: Run, servers: Servers) -> None:
    server = Pipelining(lambda number, stage: "550 5.1.8 who?" if (number, stage) == (1, "MAIL") else None)
    found = send(run, plain(servers.script(server), connections=1), *people(3))
    assert [type(answer) for answer in found] == [Sent, Rejected, Sent]
    assert server.accepted == [0, 2]
    assert server.texts[1] == b""
    assert server.connections == 2


@pytest.mark.parametrize("stage", ["RCPT", "DATA", "text"])
def test_in_a_stream_an_answer_too_many_is_noticed_and_hurts_nobody_twice(
    run: Run, servers: Servers, stage: str
) -> None:
    server = Pipelining(lambda number, at: "twice" if (number, at) == (1, stage) else None)
    found = send(run, plain(servers.script(server), connections=1), *people(4))
    sent = [number for number, answer in enumerate(found) if isinstance(answer, Sent)]
    assert sorted(set(server.accepted)) == sorted(server.accepted)
    assert set(sent) <= set(server.accepted)
    assert all(isinstance(found[number], Uncertain) for number in set(server.accepted) - set(sent))
    assert 0 in sent


def test_a_stream_ends_with_the_share_of_its_connection(run: Run, servers: Servers) -> None:
    server = Pipelining()
    provider = plain(servers.script(server), connections=1, messages_per_connection=3)
    found = send(run, provider, *people(7))
    assert all(isinstance(answer, Sent) for answer in found)
    assert (server.connections, server.accepted) == (3, list(range(7)))


def test_a_large_mail_goes_in_a_stream_too(run: Run, servers: Servers) -> None:
    server = Pipelining()
    batch = people(3, html="<p>" + "0123456789 abcdef\n" * 20_000)
    assert all(isinstance(answer, Sent) for answer in send(run, plain(servers.script(server), connections=1), *batch))
    assert server.accepted == [0, 1, 2]


@pytest.mark.parametrize("seed", range(12))
def test_D1_whatever_a_server_does_to_a_stream_nobody_gets_a_message_twice(
    run: Run, servers: Servers, seed: int
) -> None:
    fates = {
        "RCPT": [*[None] * 12, "550 5.1.1 gone", "450 4.2.1 busy", "cut", "421 4.3.2 bye"],
        "DATA": [*[None] * 12, "451 4.3.0 later", "cut"],
        "text": [*[None] * 12, "552 5.3.4 no", "cut", "taken, and cut", "421 4.3.2 bye"],
    }
    drawn: dict[tuple[int, str], str | None] = {}

    def fate(number: int, stage: str) -> str | None:
        if (number, stage) in drawn or stage not in fates:
            return None  # once only
        digest = hashlib.sha256(f"{seed} {number} {stage}".encode()).digest()
        drawn[number, stage] = fates[stage][digest[0] % len(fates[stage])]
        refused = stage == "DATA" and (drawn.get((number, "RCPT")) or "")[:1] in ("4", "5")
        return "503 5.5.1 no" if refused else drawn[number, stage]

    server = Pipelining(fate)
    found = send(run, plain(servers.script(server), connections=2), *people(60))

    assert len(server.accepted) == len(set(server.accepted))
    for number, answer in enumerate(found):
        if isinstance(answer, Sent):
            assert number in server.accepted
        elif not isinstance(answer, Uncertain):
            assert number not in server.accepted, answer
    assert sum(isinstance(answer, Sent) for answer in found) > 15


def test_a_reply_whose_lines_disagree_is_none(run: Run, servers: Servers) -> None:
    torn = "550-no\r\n250 yes"
    before = one(run, plain(servers.script("220 hi", "250 hi", "250 ok", torn)), timeout=0.5)
    after = one(run, plain(servers.script(*POLITE, takes_the_message, torn)), timeout=0.5)
    assert (type(before), type(after)) == (Unavailable, Uncertain)


def test_a_refusal_too_many_is_not_taken_for_that_of_the_next_message(run: Run, servers: Servers) -> None:
    # the second mail was refused for good by words about nothing
    connections: list[int] = []

    async def babbles(talk: Talk) -> None:
        connections.append(len(connections))
        await talk.say("220 hi")
        await talk.hear()
        await talk.say("250-hi\r\n250 PIPELINING")
        for _ in range(2):
            await talk.hear(), await talk.hear(), await talk.hear()
            await talk.say("250 ok\r\n250 ok")
            await takes_the_message(talk)
            await talk.say("250 ok" if len(connections) > 1 else "250 ok\r\n550 no")

    found = send(run, plain(servers.script(babbles), connections=1), *people(2))
    assert [type(answer) for answer in found] == [Sent, Sent]
    assert len(connections) == 2


# What we want to hear of a message afterwards (RFC 3461).


def heard_by_a_server(run: Run, servers: Servers, *offers: str, name: str = "ann", refuse: str = "") -> list[bytes]:
    """What is said before the text to a server with these abilities, which once answers `refuse`."""
    heard: list[bytes] = []
    refusals = [refuse] if refuse else []

    async def listens(talk: Talk) -> None:
        await talk.say("220 hi")
        while line := await talk.hear():
            heard.append(line)
            if line.startswith(b"EHLO"):
                await talk.say("\r\n".join(["250-hi", *(f"250-{offer}" for offer in offers), "250 HELP"]))
            elif line.startswith(b"DATA"):
                await takes_the_message(talk)
                await talk.say("250 ok")
            else:
                await talk.say(refusals.pop() if refusals and b"=" in line else "250 ok")

    answer = one(run, plain(servers.script(listens), connections=1), to=f"{name}@example.com")
    assert isinstance(answer, Sent), answer
    return heard[1:3] if not refuse else heard[1:]


def test_a_server_that_reports_is_told_what_to_report(run: Run, servers: Servers) -> None:
    assert heard_by_a_server(run, servers, "DSN") == [
        b"MAIL FROM:<shop@example.org> RET=HDRS ENVID=contract-0\r\n",
        b"RCPT TO:<ann@example.com> NOTIFY=FAILURE,DELAY ORCPT=rfc822;ann@example.com\r\n",
    ]


def test_a_server_that_does_not_report_is_told_nothing(run: Run, servers: Servers) -> None:
    found = heard_by_a_server(run, servers, "8BITMIME")
    assert found == [b"MAIL FROM:<shop@example.org>\r\n", b"RCPT TO:<ann@example.com>\r\n"]


def test_what_has_a_meaning_in_a_parameter_is_written_in_hexadecimal(run: Run, servers: Servers) -> None:
    _, told = heard_by_a_server(run, servers, "DSN", name="ann+a=b")
    assert told == b"RCPT TO:<ann+a=b@example.com> NOTIFY=FAILURE,DELAY ORCPT=rfc822;ann+2Ba+3Db@example.com\r\n"


def test_an_address_beyond_ascii_is_not_told_as_the_original_one(run: Run, servers: Servers) -> None:
    _, told = heard_by_a_server(run, servers, "DSN", "SMTPUTF8", name="张三")
    assert told == "RCPT TO:<张三@example.com> NOTIFY=FAILURE,DELAY\r\n".encode()


@pytest.mark.parametrize(
    "refusal", ["555 5.5.4 parameter unknown", "501 5.5.4 RET parameter unrecognized", "504 not implemented"]
)
def test_a_server_that_does_not_know_its_own_parameters_is_asked_without_them(
    run: Run, servers: Servers, refusal: str
) -> None:
    # only 555 was understood: sendmail says 501 5.5.4, and each mail was refused for good
    found = heard_by_a_server(run, servers, "DSN", "SIZE 1000000", refuse=refusal)
    assert found[0].startswith(b"MAIL FROM:<shop@example.org> SIZE=")
    assert found[1:4] == [b"RSET\r\n", b"MAIL FROM:<shop@example.org>\r\n", b"RCPT TO:<ann@example.com>\r\n"]


def test_in_a_stream_too(run: Run, servers: Servers) -> None:
    heard: list[bytes] = []

    async def does_not_know(talk: Talk) -> None:
        await talk.say("220 hi")
        await talk.hear()
        await talk.say("250-hi\r\n250-DSN\r\n250 PIPELINING")
        while line := await talk.hear():
            heard.append(line[:5])
            if b"ENVID" in line:
                await talk.hear(), await talk.hear()
                await talk.say("555 5.5.4 what\r\n503 5.5.1 no sender\r\n503 5.5.1 nobody")
            elif line.startswith(b"DATA"):
                await takes_the_message(talk)
                await talk.say("250 ok")
            else:
                await talk.say("250 ok")

    found = send(run, plain(servers.script(does_not_know), connections=1), *people(3))
    assert [type(answer) for answer in found] == [Sent] * 3
    assert heard[:3] == [b"MAIL ", b"RSET\r", b"MAIL "]


def test_one_address_it_cannot_read_does_not_end_reports_about_the_others(run: Run, servers: Servers) -> None:
    heard: list[bytes] = []

    async def dislikes_one(talk: Talk) -> None:
        await talk.say("220 hi")
        while line := await talk.hear():
            heard.append(line)
            if line.startswith(b"EHLO"):
                await talk.say("250-hi\r\n250 DSN")
            elif line.startswith(b"DATA"):
                await takes_the_message(talk)
                await talk.say("250 ok")
            else:
                await talk.say("501 5.5.4 invalid address" if b"person1@" in line else "250 ok")

    found = send(run, plain(servers.script(dislikes_one), connections=1), *people(3))
    assert [type(answer) for answer in found] == [Sent, Rejected, Sent]
    assert any(b"person2@" in line and b"NOTIFY" in line for line in heard)


# What this server cannot take.


def test_a_size_of_five_thousand_digits_is_no_limit(run: Run, servers: Servers) -> None:
    assert heard_by_a_server(run, servers, "SIZE " + "9" * 5_000)


def test_a_mail_larger_than_announced_is_rejected_without_being_offered(run: Run, servers: Servers) -> None:
    box = servers.mailbox("plain", data_size_limit=1000)
    large = Email(to="ann@example.com", sender="shop@example.org", text="x" * 2000)
    found = send(run, plain(box.port, connections=1), outgoing(large, 1), mail(2))
    assert [type(answer) for answer in found] == [Rejected, Sent]
    assert isinstance(found[0], Rejected)
    assert found[0].reason is FailureReason.content
    assert "1000" in str(found[0])


def test_a_local_part_beyond_ascii_needs_a_server_that_takes_it(run: Run, servers: Servers) -> None:
    without, with_utf8 = servers.mailbox("plain"), servers.mailbox("plain", enable_SMTPUTF8=True)
    refused = one(run, plain(without.port), to="张三@example.com")
    assert isinstance(refused, Rejected)
    assert refused.reason is FailureReason.content  # the address itself may be good
    assert isinstance(one(run, plain(with_utf8.port), to="张三@example.com"), Sent)
    assert with_utf8.mails[0].rcpt_tos == ["张三@example.com"]
    assert with_utf8.mails[0].smtp_utf8


def test_a_domain_beyond_ascii_needs_nothing(run: Run, servers: Servers) -> None:
    box = servers.mailbox("plain")
    assert isinstance(one(run, plain(box.port), to="ann@bücher.example"), Sent)
    assert box.mails[0].rcpt_tos == ["ann@xn--bcher-kva.example"]


# Options.


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"mode": "plain"}, "insecure"),
        ({"mode": "plain", "host": "10.0.0.1"}, "insecure"),
        ({"username": "shop"}, "password_env"),
        ({"password_env": "SMTP_PASSWORD"}, "username"),
        ({"mode": "ssl"}, "starttls"),
        ({"host": "mail.example.com:587"}, "port"),
        ({"host": "mail example"}, "host"),
        ({"host": ""}, "host"),
        ({"port": 70000}, "65535"),
        ({"connections": 0}, "1"),
        ({"sender": "no address"}, "name@example.com"),
        ({"sender": "shop@example.com\r\nBcc: x@y"}, "name@example.com"),
        ({"message_id_domain": "exa mple"}, "domain"),
        ({"password": PASSWORD}, "password"),
        ({"ca_fil": "x"}, "ca_fil"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], word: str) -> None:
    with pytest.raises(ValidationError, match=word) as caught:
        SmtpProvider("email", {"host": "mail.example.com", **options}, ENV)
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "described"),
    [
        ({}, "mail.example.com:587 (STARTTLS)"),
        ({"mode": "tls"}, "mail.example.com:465 (TLS)"),
        ({"mode": "plain", "insecure": True}, "mail.example.com:25 (not encrypted)"),
        ({"mode": "plain", "host": "::1", "port": 1025}, "::1:1025 (not encrypted)"),
        ({"mode": "plain", "host": "LOCALHOST"}, "LOCALHOST:25 (not encrypted)"),
    ],
)
def test_it_describes_where_mail_goes(options: dict[str, Any], described: str) -> None:
    provider = SmtpProvider("email", {"host": "mail.example.com", **options}, ENV)
    assert provider.describe() == f"{described}, 32 messages in flight at most"


def test_as_many_are_in_flight_as_is_said_and_told() -> None:
    assert plain(25, connections=3).features.in_flight == 32
    assert "32 messages in flight at most" in plain(25).describe()
    assert plain(25, connections=3, in_flight=60).features.in_flight == 60


def test_more_messages_than_connections_share_the_deadline_of_the_call(run: Run, servers: Servers) -> None:
    provider = plain(servers.script(*POLITE, takes_the_message, is_silent), connections=2)
    found = send(run, provider, *(mail(number, timeout=0.3) for number in range(6)))
    assert sorted(type(answer).__name__ for answer in found) == ["Unavailable"] * 4 + ["Uncertain"] * 2


def test_probing_says_what_a_message_would_meet(run: Run, servers: Servers) -> None:
    with pytest.raises(Unavailable, match="refuses the connection"):
        run(plain(servers.nobody()).probe())


@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad\r\n\r\n", b"\xff\xfe\xfd\r\n", b"2" * 100_000 + b"\r\n"])
def test_a_server_of_another_kind_is_unavailable(run: Run, servers: Servers, greeting: bytes) -> None:
    answer = one(run, plain(servers.script(greeting, is_silent)), timeout=2)
    assert isinstance(answer, Unavailable)


def test_a_host_that_does_not_exist_is_unavailable(run: Run) -> None:
    provider = SmtpProvider("email", {"host": "no-such-host.invalid", "mode": "tls"}, {})
    answer = one(run, provider)
    assert isinstance(answer, Unavailable)


def test_every_error_is_one_of_the_four(run: Run, servers: Servers) -> None:
    four = (Rejected, Unavailable, Misconfigured, Uncertain)
    for stage in range(len(POLITE) + 1):
        for last in ("250 ok", "334 go", "599 no", "000", "", "-"):
            answer = one(run, plain(servers.script(*POLITE[:stage], last)), timeout=0.5)
            assert not isinstance(answer, SendError) or isinstance(answer, four)
            assert not isinstance(answer, Sent)

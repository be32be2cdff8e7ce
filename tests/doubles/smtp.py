"""Mail servers in the event loop of a test: a real one, and some that go through a script."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from channels.contract import Answer, Email, Outgoing, Provider
from channels.email.smtp import SmtpProvider
from channels.testing import Run, answers, outgoing

PASSWORD = "correct-horse-battery"
ENV = {"SMTP_PASSWORD": PASSWORD}


# A real server.


@dataclass
class Mailbox:
    """What a real server took, and whom it refuses."""

    port: int = 0
    mails: list[Envelope] = field(default_factory=list)
    connections: int = 0
    most_connections: int = 0
    open_connections: int = 0
    wants_login: bool = False
    refused_logins: int = 0
    answers: Mapping[str, str] = field(default_factory=dict)  # to RCPT, by the local part
    to_data: str | None = None
    pipelines: bool = False

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, said: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return ["250-PIPELINING", *said] if self.pipelines else said

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.wants_login and not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Ok"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.answers.get(address.partition("@")[0], "250 2.1.5 Ok")
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.to_data is not None:
            return self.to_data
        self.mails.append(envelope)
        return f"250 2.0.0 Ok: queued as Q{len(self.mails)}"

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"shop", PASSWORD.encode())
        self.refused_logins += not good
        return AuthResult(success=good, handled=False)


class CountedSMTP(SMTP):
    """aiosmtpd, telling its mailbox how many connections there are."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self.transport is None:  # not once more after STARTTLS
            box: Mailbox = self.event_handler
            box.connections += 1
            box.open_connections += 1
            box.most_connections = max(box.most_connections, box.open_connections)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.event_handler.open_connections -= 1
        super().connection_lost(error)


class Servers:
    """Starts servers in the event loop of a test and stops them after it."""

    def __init__(self, run: Run, tls: ssl.SSLContext) -> None:
        self._run = run
        self._tls = tls
        self._servers: list[asyncio.Server] = []
        self._writers: list[asyncio.StreamWriter] = []

    def mailbox(self, mode: str = "starttls", *, auth: bool = False, **options: Any) -> Mailbox:
        box = Mailbox()

        async def start() -> None:
            loop = asyncio.get_running_loop()
            if mode == "starttls":
                options.update(tls_context=self._tls, require_starttls=True)
            if auth:
                options.update(authenticator=box.authenticate, auth_require_tls=mode == "starttls")
                box.wants_login = True
            server = await loop.create_server(
                lambda: CountedSMTP(box, loop=loop, hostname="localhost", **options),
                "127.0.0.1",
                0,
                ssl=self._tls if mode == "tls" else None,
            )
            box.port = self._opened(server)

        self._run(start())
        return box

    def script(self, *lines: str | bytes | Callable[[Talk], Awaitable[None]], tls: bool = False) -> int:
        """A server that goes through its lines for each connection: text is said, a callable does what it wants.

        After a text that is said one line of the client is read; at the end the connection is cut.
        """

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._writers.append(writer)
            talk = Talk(reader, writer)
            try:
                for line in lines:
                    if callable(line):
                        await line(talk)
                    else:
                        await talk.say(line)
                        await talk.hear()
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        async def start() -> int:
            context = self._tls if tls else None
            return self._opened(await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context))

        return self._run(start())

    def nobody(self) -> int:
        """A port on which nobody listens."""

        async def start_and_stop() -> int:
            server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
            port = int(server.sockets[0].getsockname()[1])
            server.close()
            await server.wait_closed()
            return port

        return self._run(start_and_stop())

    def _opened(self, server: asyncio.Server) -> int:
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    def stop(self) -> None:
        async def end() -> None:
            for server in self._servers:
                server.close()
            for writer in self._writers:
                with suppress(AttributeError):  # before Python 3.11.4 a TLS transport closed twice cannot be aborted
                    writer.transport.abort()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self._run(end())


@dataclass
class Talk:
    """One connection of a scripted server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def say(self, line: str | bytes) -> None:
        self.writer.write(line if isinstance(line, bytes) else line.encode() + b"\r\n")
        await self.writer.drain()

    async def hear(self) -> bytes:
        return await self.reader.readline()

    async def hear_message(self) -> bytes:
        return await self.reader.readuntil(b"\r\n.\r\n")

    def cut(self) -> None:
        self.writer.transport.abort()


async def takes_the_message(talk: Talk) -> None:
    await talk.say("354 go on")
    await talk.hear_message()


async def cuts(talk: Talk) -> None:
    talk.cut()


async def drips(talk: Talk) -> None:
    """Says something every moment and never comes to the end."""
    while True:
        await talk.say(b"2")
        await asyncio.sleep(0.01)


async def is_silent(talk: Talk) -> None:
    await asyncio.Event().wait()


#: what a plain server says until it waits for DATA
POLITE = ("220 hi", "250 hi", "250 ok", "250 ok")


class Pipelining:
    """A server that offers PIPELINING and answers each message as its number says; it keeps what it accepted."""

    def __init__(self, fate: Callable[[int, str], str | None] = lambda number, stage: None) -> None:
        self.fate = fate  # (message, stage) -> an answer of its own, "cut", "late" or "twice"; None: friendly
        self.accepted: list[int] = []
        self.texts: dict[int, bytes] = {}  # with its final dot
        self.connections = 0

    async def __call__(self, talk: Talk) -> None:
        self.connections += 1
        await talk.say("220 hi")
        await talk.hear()
        await talk.say(b"250-hi\r\n250 PIPELINING\r\n")
        number = -1
        while line := await talk.hear():
            verb = line[:4].decode()
            if verb == "MAIL":
                ahead = await talk.hear()  # whom it is for: a server that pipelines has both at once
                number = int(ahead.partition(b"person")[2].partition(b"@")[0])
                await self._answer(talk, number, "MAIL", "250 ok")
                verb = "RCPT"
            if verb not in ("RCPT", "DATA"):
                await talk.say("250 ok")
                continue
            if not await self._answer(talk, number, verb, "354 go on" if verb == "DATA" else "250 ok"):
                continue
            if verb == "DATA":
                self.texts[number] = b""
                while not self.texts[number].endswith(b"\n.\r\n") and self.texts[number] != b".\r\n":
                    self.texts[number] += await talk.reader.readuntil(b"\n")
                if await self._answer(talk, number, "text", f"250 2.0.0 Ok: queued as Q{number}"):
                    self.accepted.append(number)

    async def _answer(self, talk: Talk, number: int, stage: str, friendly: str) -> bool:
        fate = self.fate(number, stage)
        if fate == "cut":
            talk.cut()
            raise ConnectionResetError
        if fate == "taken, and cut":
            self.accepted.append(number)
            talk.cut()
            raise ConnectionResetError
        if fate == "twice":
            await talk.say(f"{friendly}\r\n{friendly}")
            return True
        await talk.say(fate or friendly)
        return fate is None


def plain(port: int, **options: Any) -> SmtpProvider:
    chosen = {"host": "127.0.0.1", "port": port, "mode": "plain", "hello": "client.example.com", **options}
    return SmtpProvider("email", chosen, ENV)


def mail(number: int = 0, to: str = "ann@example.com", **fields: Any) -> Outgoing:
    timeout = fields.pop("timeout", 5.0)
    content = Email(to=to, sender="shop@example.org", subject="Hello", text="Hello Ann", **fields)
    return outgoing(content, number, timeout=timeout)


def send(run: Run, provider: Provider, *batch: Outgoing) -> Sequence[Answer]:
    return run(answers(provider, batch))


def one(run: Run, provider: Provider, **fields: Any) -> Answer:
    (answer,) = send(run, provider, mail(**fields))
    return answer

"""Mail over SMTP, to the shop's own server or a provider's; encrypted, unless config.yaml says otherwise outright.

What proves what: before the final dot of a message has left, whatever goes wrong is Unavailable, since no server takes
half a message. From then on only an answer proves anything, and without one the message is Uncertain: SMTP knows no
repeat (RFC 1047), so it is not sent again.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, ClassVar, NamedTuple, Self

from aiosmtplib import SMTPException, SMTPResponseException
from pydantic import AfterValidator, Field, model_validator

from channels.contract import (
    Answer,
    Callback,
    Content,
    Email,
    FailureReason,
    Features,
    Heard,
    Outgoing,
    Provider,
    ProviderOptions,
    secret,
)
from channels.email import verp
from channels.email.bounces import receipts
from channels.email.mailbox import ImapOptions, MaildirOptions, mailbox
from channels.email.mime import Domain, Letter, Letterhead, compose, domain_name, flaw
from channels.email.pool import Pool
from channels.email.session import Mode, Server, Session, connect
from channels.email.signing import DkimOptions, Signer
from channels.email.verp import ReturnAddress, Tokens
from channels.errors import InvalidReceipt, Misconfigured, Rejected, SendError, Unavailable, Uncertain
from channels.hosts import is_here, is_ipv6

_PORTS: dict[Mode, int] = {"starttls": 587, "tls": 465, "plain": 25}
_PROBE = 20.0  # seconds
_TOGETHER = 32  # mails built in one go
_HOST = re.compile(r"[A-Za-z0-9._-]+")


def _host(text: str) -> str:
    if not _HOST.fullmatch(text) and not is_ipv6(text):
        raise ValueError("write the name of a host, like mail.example.com; the port has an option of its own")
    return text


class BounceOptions(ProviderOptions):
    """What config.yaml may say about mails that come back: where to, and how it is known that they are ours."""

    address: ReturnAddress  # bounce@mail.example.com: bounce+<token>@mail.example.com is the sender of the envelope
    secret_env: str  # the environment variable with the secret by which tokens are made
    imap: ImapOptions | None = None  # the mailbox in which they arrive
    maildir: MaildirOptions | None = None  # or the folder; without both they are handed over, by a pipe or a POST

    @model_validator(mode="after")
    def _has_one_mailbox(self) -> Self:
        if self.imap is not None and self.maildir is not None:
            raise ValueError("bounces are read from one place: give imap or maildir")
        return self

    @property
    def box(self) -> ImapOptions | MaildirOptions | None:
        return self.imap or self.maildir


class SmtpOptions(Letterhead):
    """What config.yaml may say about the server and its mails."""

    host: Annotated[str, AfterValidator(_host)]
    port: int = Field(default=0, ge=0, le=65535)  # 0: the usual one of the mode
    mode: Mode = "starttls"
    insecure: bool = False  # allows mode plain to a server that is not on this machine
    username: str | None = None
    password_env: str | None = None  # the environment variable that holds the password
    ca_file: Path | None = None  # certificates of an authority of your own, instead of the system's
    hello: Domain = ""  # how we introduce ourselves; empty: this machine's name
    connections: int = Field(default=8, ge=1, le=100)
    messages_per_connection: int = Field(default=100, ge=1)
    in_flight: int = Field(default=32, ge=1, le=1000)  # messages under way at a time
    dkim: DkimOptions | None = None  # who signs; nobody, where the server does
    bounces: BounceOptions | None = None  # where mails come back to; nobody reads them, where it is not written

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.mode == "plain" and not self.insecure and not is_here(self.host):
            raise ValueError(
                "mode plain sends mails and passwords readable by everyone on the way; it is for a server on this "
                "machine. Use starttls or tls, or write `insecure: true`"
            )
        if (self.username is None) != (self.password_env is None):
            raise ValueError("username and password_env belong together: give both or neither")
        if self.bounces is not None and self.return_path:
            raise ValueError("return_path and bounces both say where mails come back to: give one of them")
        return self


class SmtpProvider(Provider):
    """Hands mails to an SMTP server, over a few connections that are kept."""

    name = "smtp"
    channels = frozenset({"email"})
    Options: ClassVar[type[ProviderOptions]] = SmtpOptions

    def configure(self, options: SmtpOptions, env: Mapping[str, str], home: Path) -> None:
        self._options = options
        self._password = secret(env, options.password_env) if options.password_env else None
        self._port = options.port or _PORTS[options.mode]
        self._ca_file = home / options.ca_file if options.ca_file else None
        self._tls: ssl.SSLContext | None = None
        self._pool: Pool | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._signer = Signer(options.dkim, env, home) if options.dkim is not None else None
        self._tokens: Tokens | None = None
        if options.bounces is not None:
            variable = options.bounces.secret_env
            self._tokens = verp.tokens(secret(env, variable), variable)
        if options.bounces is not None and options.bounces.box is not None:
            self.letterbox = mailbox(options.bounces.box, env, home)
        self.features = Features(in_flight=options.in_flight, receipts=self._tokens is not None)

    def describe(self) -> str:
        how = {"starttls": "STARTTLS", "tls": "TLS", "plain": "not encrypted"}[self._options.mode]
        return f"{self._options.host}:{self._port} ({how}), {self._options.in_flight} messages in flight at most"

    async def open(self) -> None:
        self._server()
        if self._signer is not None:
            self._signer.open()

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None and self._loop is asyncio.get_running_loop():
            await pool.close()

    async def probe(self) -> None:
        if self._signer is not None:
            self._signer.open()
        try:
            async with asyncio.timeout(_PROBE):
                session = await connect(self._server())
        except TimeoutError:
            raise self._lost(None, "did not answer in time") from None
        await session.end()

    def refusal(self, content: Content) -> Rejected | None:
        refused = super().refusal(content)
        if refused is None and isinstance(content, Email):
            return flaw(content, self._options)
        return refused

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Answer]:
        """As many workers as connections take one message after the other until none is left."""
        call = _Call(batch, asyncio.get_running_loop().time())
        pool = self._pool_of_this_loop()
        pool.hope()
        call.workers = min(len(batch), self._options.connections)
        async with asyncio.TaskGroup() as workers:
            for _ in range(call.workers):
                workers.create_task(self._work(call, pool))
        return call.answers

    async def _work(self, call: _Call, pool: Pool) -> None:
        hand, following = _Hand(call, pool), None
        while (one := following or self._next(call)) is not None:
            deadline = one.deadline  # one clock for all that have the same: setting it takes its time
            with suppress(TimeoutError):  # the message of that moment has its answer
                async with asyncio.timeout_at(deadline):
                    while one is not None and one.deadline == deadline:
                        following = self._next(call) if call.has_plenty else None
                        await self._hand_over(call, one, following, hand)
                        one = following = following or self._next(call)

    def _next(self, call: _Call) -> _Ready | None:
        """The next message, built with those after it: each of many in a row takes a quarter less. Those that cannot be
        built have their answer with that."""
        while call.waiting and not call.ready:
            for _ in range(min(_TOGETHER, len(call.waiting))):
                index = call.waiting.popleft()
                outgoing = call.batch[index]
                try:
                    call.ready.append(_Ready(index, self._letter(outgoing), call.began + outgoing.timeout))
                except SendError as error:
                    call.answers[index] = error
        return call.ready.popleft() if call.ready else None

    def _letter(self, outgoing: Outgoing) -> Letter:
        """The bytes to send. Whatever is wrong with one message, the others of the call need their answers."""
        if not isinstance(outgoing.content, Email):
            raise Rejected("smtp sends mails and nothing else.", reason=FailureReason.content)
        try:
            if self._tokens is None and self._signer is None:
                return compose(outgoing.content, outgoing.key, outgoing.created_at, self._options)
            return self._marked(outgoing.content, outgoing)
        except SendError:
            raise
        except Exception as error:
            raise Rejected(
                f"The mail cannot be built ({type(error).__name__}).", reason=FailureReason.content
            ) from error

    def _marked(self, content: Email, outgoing: Outgoing) -> Letter:
        """A mail that comes back to an address of its own, and is signed; each where it is asked for."""
        token = self._tokens.of(outgoing.key) if self._tokens is not None else None
        letter = compose(content, token or outgoing.key, outgoing.created_at, self._options)
        if self._options.bounces is not None:
            address = self._options.bounces.address
            letter = letter._replace(sender=verp.sender(address, token) if token else address)
        if self._signer is not None:
            letter = letter._replace(data=self._signer.signed(letter.data, outgoing.created_at))
        return letter

    async def receipts(self, callback: Callback) -> Heard:
        """What a mail says that came to the return address. The mail itself is the body of the callback, whichever way
        it came: from `letterbox`, through a pipe, or as a POST."""
        if self._tokens is None:
            raise InvalidReceipt("No return address of our own is configured (bounces): no report can be trusted.")
        if callback.method != "POST":
            raise InvalidReceipt("A mail that came back is handed over by POST.")
        return Heard(receipts(callback.body, callback.at, self._tokens))

    async def _hand_over(self, call: _Call, one: _Ready, following: _Ready | None, hand: _Hand) -> None:
        """The answer to one message. A kept connection that turns out dead is replaced: nothing left."""
        answer: Answer | None = None
        while answer is None:
            session: Session | None = None
            try:
                session = await hand.take()
                answer = await session.deliver(one.letter, hand.may_announce(following))
            except SendError as error:
                answer = error
            except asyncio.CancelledError:
                call.answers[one.nth] = self._lost(session, "did not answer in time")
                raise
            except TimeoutError:
                answer = self._lost(session, "did not answer in time")
            except SMTPResponseException:
                answer = self._lost(session, "gave an answer that is not SMTP")
            except (OSError, SMTPException):
                if session is None or session.handed_over or not session.sent:
                    answer = self._lost(session, "cut the connection")
            except Exception as error:  # as in _letter
                answer = self._lost(session, f"met an error of ours ({type(error).__name__})")
            finally:
                hand.put_down()
        call.answers[one.nth] = answer

    def _lost(self, session: Session | None, what: str) -> Unavailable | Uncertain:
        place = f"{self._options.host}:{self._port}"
        if session is not None and session.handed_over:
            return Uncertain(f"{place} {what} after the whole message had been handed over; it may have been accepted.")
        return Unavailable(f"{place} {what} before the whole message had been handed over.")

    def _pool_of_this_loop(self) -> Pool:
        """The kept connections. Those of an event loop that has ended are gone with it."""
        loop = asyncio.get_running_loop()
        if self._pool is None or self._loop is not loop:
            server, options = self._server(), self._options
            self._loop = loop
            self._pool = Pool(options.connections, options.messages_per_connection, lambda: connect(server))
        return self._pool

    def _server(self) -> Server:
        options = self._options
        return Server(
            options.host,
            self._port,
            options.mode,
            self._context(),
            options.hello or _own_name(),
            options.username,
            self._password,
        )

    def _context(self) -> ssl.SSLContext | None:
        """How certificates are verified; made once, since it reads the system's authorities."""
        if self._options.mode == "plain":
            return None
        if self._tls is None:
            try:
                self._tls = ssl.create_default_context(cafile=self._ca_file)
            except (OSError, ssl.SSLError):
                raise Misconfigured(f"ca_file: {self._ca_file} cannot be read as certificates (PEM).") from None
        return self._tls


class _Ready(NamedTuple):
    """A message as it goes over the wire."""

    nth: int
    letter: Letter
    deadline: float


class _Call:
    """One call of `send`: what still waits, and the answers so far."""

    def __init__(self, batch: Sequence[Outgoing], began: float) -> None:
        self.batch = batch
        self.began = began
        self.waiting = deque(range(len(batch)))
        self.ready: deque[_Ready] = deque()  # those that are built
        self.answers: list[Answer] = [Unavailable("The message was not tried.") for _ in batch]
        self.workers = 0
        self._door = asyncio.Lock()
        self._no_entry: SendError | None = None

    @property
    def has_plenty(self) -> bool:
        """Whether a worker may reserve a message besides the one it has: the others find enough."""
        return len(self.waiting) + len(self.ready) >= self.workers

    async def session(self, pool: Pool) -> Session:
        """A connection. While none is open one message knocks and the others wait: what it hears is said to all."""
        async with self._door:
            if self._no_entry is not None:
                raise self._no_entry
            if pool.is_empty:
                return await self._knock(pool)
        return await self._knock(pool)

    async def _knock(self, pool: Pool) -> Session:
        try:
            return await pool.take()
        except SendError as error:
            self._no_entry = error
            raise


class _Hand:
    """The connection of one worker, which keeps it between two messages when the second was announced on it."""

    def __init__(self, call: _Call, pool: Pool) -> None:
        self._call = call
        self._pool = pool
        self._session: Session | None = None

    async def take(self) -> Session:
        if self._session is None:
            self._session = await self._call.session(self._pool)
        return self._session

    def may_announce(self, following: _Ready | None) -> Letter | None:
        """What comes next on this connection, where it may be told now."""
        if following is None or self._session is None or not self._pool.may_go_on(self._session):
            return None
        return following.letter

    def put_down(self) -> None:
        if self._session is not None and not self._session.expects:
            self._pool.give_back(self._session)
            self._session = None


def _own_name() -> str:
    """This machine's name, when it can be said to a server."""
    try:
        return domain_name(socket.gethostname())
    except ValueError:
        return "localhost"

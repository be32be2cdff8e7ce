"""One connection to a mail server: connected, secured, signed in, and used for one message after the other.

Made on aiosmtplib's connection and protocol. Its `sendmail` cannot tell whether a connection was lost before or after
the message had been handed over, which is the difference between trying again and never knowing; here each command is
given by itself, and `handed_over` is set just before the final dot leaves.
"""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from aiosmtplib import SMTP, SMTPAuthenticationError, SMTPException, SMTPResponseException, SMTPServerDisconnected
from aiosmtplib.errors import SMTPConnectResponseError, SMTPHeloError
from aiosmtplib.protocol import SMTPProtocol
from aiosmtplib.response import SMTPResponse
from pydantic import SecretStr

from channels.contract import Sent
from channels.email.mime import Letter
from channels.email.replies import Stage, queue_id, quoted, refused
from channels.errors import FailureReason, Misconfigured, Rejected, SendError, Unavailable, Uncertain

Mode = Literal["starttls", "tls", "plain"]

_AT_ONCE = 64 * 1024  # a message up to this size is written with its final dot; of a larger one the dot waits


@dataclass(frozen=True)
class Server:
    """Where to connect and how."""

    host: str
    port: int
    mode: Mode
    tls: ssl.SSLContext | None
    hello: str
    username: str | None = None
    password: SecretStr | None = None

    @property
    def place(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be repeated, also as it looks on the wire."""
        if self.username is None or self.password is None:
            return ()
        password = self.password.get_secret_value()
        plain = f"\0{self.username}\0{password}"
        return (password, *(base64.b64encode(text.encode()).decode() for text in (password, plain)))


class Session:
    """A connection that is ready for messages. Not for two tasks at a time."""

    def __init__(self, server: Server, client: SMTP) -> None:
        self._server = server
        self._client = client
        self.handed_over = False  # whether the message of the moment may have reached the server whole
        self.broken = False  # whether the connection may not be used again
        self.sent = 0  # messages handed over so far
        self.idle_since = 0.0  # for the pool
        self._in_transaction = False
        size = client.esmtp_extensions.get("size", "")
        self._size_limit = int(size) if size.isdecimal() else 0
        self._announces_size = "size" in client.esmtp_extensions
        self._takes_utf8 = "smtputf8" in client.esmtp_extensions

    @property
    def usable(self) -> bool:
        return self._client.is_connected and not self.broken

    async def deliver(self, letter: Letter) -> Sent:
        """Hand over one message. A SendError is the server's own answer; OSError and SMTPException mean it was lost."""
        self.handed_over = False
        self._check(letter)
        try:
            await self._begin(letter)
            reply = await self._hand_over(letter)
        except SendError:
            raise
        except BaseException:
            self.broken = True
            raise
        return self._conclude(reply, letter)

    def _check(self, letter: Letter) -> None:
        """What this server is known to refuse is not offered to it."""
        if self._size_limit and len(letter.data) > self._size_limit:
            raise Rejected(
                f"The mail has {len(letter.data)} bytes and {self._server.place} takes {self._size_limit} at most.",
                reason=FailureReason.content,
            )
        if letter.utf8 and not self._takes_utf8:
            raise Rejected(
                f"An address has characters beyond ASCII before the @ and {self._server.place} cannot take that "
                "(it does not offer SMTPUTF8).",
                reason=FailureReason.content,
            )

    async def _begin(self, letter: Letter) -> None:
        """Everything before the text itself."""
        if self._in_transaction:  # the message before was refused half way
            reply = await self._protocol.execute_command(b"RSET")
            if reply.code != 250:
                raise SMTPServerDisconnected("RSET refused")
        self._in_transaction = True
        size = f" SIZE={len(letter.data)}" if self._announces_size else ""
        utf8 = " BODY=8BITMIME SMTPUTF8" if letter.utf8 else ""
        await self._ask(f"MAIL FROM:<{letter.sender}>{size}{utf8}".encode(), Stage.sender, 2, letter)
        await self._ask(f"RCPT TO:<{letter.to}>".encode(), Stage.recipient, 2, letter)
        await self._ask(b"DATA", Stage.data, 3, letter)

    async def _ask(self, command: bytes, stage: Stage, hoped: int, letter: Letter) -> None:
        """One command; `hoped` is the first digit of the reply that lets us go on."""
        reply = await self._protocol.execute_command(command)
        if reply.code // 100 != hoped:
            raise self._refusal(reply, stage, letter)

    async def _hand_over(self, letter: Letter) -> SMTPResponse:
        """The text and the final dot, and what the server says to it."""
        protocol = self._protocol
        block = letter.data.replace(b"\r\n.", b"\r\n..")  # it starts with a header, and every line ends in CRLF
        if len(block) > _AT_ONCE:
            early = await _write_and_wait(protocol, block)
            if early is not None:
                self.broken = True
                raise self._refusal(early, Stage.content, letter)
            block = b""
        if not protocol.is_connected:
            raise SMTPServerDisconnected("Connection lost")
        self.handed_over = True
        protocol.write(block + b".\r\n")
        return await protocol.read_response()

    def _conclude(self, reply: SMTPResponse, letter: Letter) -> Sent:
        self._in_transaction = False
        self.sent += 1
        protocol = self._client.protocol  # None: it answered and left
        self.broken = protocol is None or bool(protocol._buffer)  # words too many would be taken for the next answer
        if 200 <= reply.code < 300:
            return Sent(queue_id(reply.message))
        if 400 <= reply.code < 600:
            raise self._refusal(reply, Stage.content, letter)
        self.broken = True
        raise Uncertain(f"{self._server.place} answered the message with {reply.code}, which says nothing.")

    def _refusal(self, reply: SMTPResponse, stage: Stage, letter: Letter) -> SendError:
        if reply.code == 421 or not 400 <= reply.code < 600:  # it closes, or speaks out of turn
            self.broken = True
        person = letter.to.rpartition("@")[0]
        return refused(reply.code, reply.message, stage, self._server.place, self._server.secrets, (person,))

    @property
    def _protocol(self) -> SMTPProtocol:
        if self._client.protocol is None:
            raise SMTPServerDisconnected("Connection lost")
        return self._client.protocol

    def abort(self) -> None:
        """Drop the connection without a word."""
        _abort(self._client)

    def leave(self) -> None:
        """Say QUIT and go, without waiting for the answer."""
        if self.usable and self._client.protocol is not None:
            self._client.protocol.write(b"QUIT\r\n")
            self._client.close()
        else:
            self.abort()

    async def end(self) -> None:
        """Say QUIT, hear the answer out for a moment, and go."""
        try:
            async with asyncio.timeout(1):
                await self._client.quit()
        except (SMTPException, OSError):
            pass
        finally:
            self.abort()
            await asyncio.sleep(0)  # the event loop closes the socket


async def connect(server: Server) -> Session:
    """A session that is ready for messages; Unavailable or Misconfigured when there is none to be had."""
    client = SMTP(
        hostname=server.host,
        port=server.port,
        local_hostname=server.hello,
        timeout=None,  # the deadline of the attempt stands around everything
        use_tls=server.mode == "tls",
        start_tls=False,
        tls_context=server.tls,
    )
    try:
        await client.connect()
        await _greet(client)
        if server.mode == "starttls":
            await _secure(client, server)
        if server.username is not None and server.password is not None:
            await _sign_in(client, server, server.username.encode(), server.password.get_secret_value().encode())
    except SendError:
        _abort(client)
        raise
    except (SMTPException, OSError) as error:
        _abort(client)
        raise _explained(error, server) from None  # the cause may quote what must not be repeated
    except BaseException:
        _abort(client)
        raise
    return Session(server, client)


async def _greet(client: SMTP) -> None:
    try:
        await client.ehlo()
    except SMTPHeloError:
        if not client.is_connected:
            raise
        await client.helo()


async def _secure(client: SMTP, server: Server) -> None:
    """STARTTLS, without which nothing more is said."""
    if not client.supports_extension("starttls"):
        raise Misconfigured(
            f"{server.place} does not offer STARTTLS, and nothing is sent in the clear. "
            "Is it a server with TLS from the start (mode: tls, port 465)?"
        )
    try:
        await client.starttls()
    except SMTPResponseException as error:
        raise Misconfigured(
            f"{server.place} offers STARTTLS but refused it with {quoted(f'{error.code} {error.message}')}; "
            "nothing is sent in the clear.",
            code=str(error.code),
        ) from None
    await _greet(client)


async def _sign_in(client: SMTP, server: Server, username: bytes, password: bytes) -> None:
    """One try, by the first way that both sides know: a wrong password told in three ways locks an account sooner."""
    ways: dict[str, Callable[[bytes, bytes], Awaitable[SMTPResponse]]] = {
        "plain": client.auth_plain,
        "login": client.auth_login,
        "cram-md5": client.auth_crammd5,
    }
    if server.mode == "plain":
        ways = dict(reversed(ways.items()))  # the password itself only if nothing better is known
    way = next((ways[name] for name in ways if name in client.server_auth_methods), None)
    if way is None:
        raise Misconfigured(
            f"{server.place} offers no login that we know (PLAIN, LOGIN, CRAM-MD5); without one, drop `username`."
        )
    try:
        await way(username, password)
    except SMTPAuthenticationError as error:
        names = (server.username or "",)
        raise refused(error.code, error.message, Stage.login, server.place, server.secrets, names) from None


def _explained(error: Exception, server: Server) -> SendError:
    """Why there is no connection."""
    cause = error.__cause__ if isinstance(error, SMTPException) and error.__cause__ else error
    if isinstance(error, SMTPConnectResponseError | SMTPHeloError):
        return refused(error.code, error.message, Stage.hello, server.place, server.secrets)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return Misconfigured(
            f"The certificate of {server.place} cannot be trusted: {cause.verify_message.rstrip('.')}. "
            "Is `host` the name in the certificate? An authority of your own is named by `ca_file`."
        )
    if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return Misconfigured(
            f"{server.place} and we cannot agree on TLS ({cause.reason or 'no reason given'}). Do `mode` and `port` "
            "fit each other: starttls with 587, tls with 465?"
        )
    if isinstance(cause, socket.gaierror):
        return Unavailable(f"The host {server.host} cannot be found.")
    if isinstance(error, SMTPResponseException):
        return Unavailable(f"{server.place} does not speak SMTP.")
    if isinstance(cause, ConnectionRefusedError):
        return Unavailable(f"{server.place} refuses the connection.")
    return Unavailable(f"No connection to {server.place}: {type(cause).__name__}.")


async def _write_and_wait(protocol: SMTPProtocol, block: bytes) -> SMTPResponse | None:
    """Write all but the final dot and wait until it has left: what is cut until then was proved not accepted.

    Gives back what the server says before it has read everything, None when it listens to the end.
    """
    reply = asyncio.ensure_future(protocol.read_response())
    await asyncio.sleep(0)  # it now listens
    protocol.write(block)
    drained = asyncio.ensure_future(protocol._drain_helper())  # the way StreamWriter.drain waits, too
    try:
        await asyncio.wait({reply, drained}, return_when=asyncio.FIRST_COMPLETED)
        if reply.done():
            return reply.result()
        await drained
        return None
    finally:
        await _give_up(reply)
        await _give_up(drained)


def _abort(client: SMTP) -> None:
    if isinstance(client.transport, asyncio.WriteTransport):
        client.transport.abort()
    client.close()


async def _give_up(waiting: asyncio.Future[Any]) -> None:
    """End a helper and hear it out, so that nothing is left behind."""
    waiting.cancel()
    await asyncio.wait({waiting})
    if not waiting.cancelled():
        waiting.exception()

"""One connection to a mail server: connected, secured, signed in, and used for one message after the other.

aiosmtplib connects and signs in; messages go over a `Wire` of ours. Its `sendmail` cannot tell whether a connection was
lost before or after the message had been handed over, which is the difference between trying again and never knowing;
here each command is given by itself, and `handed_over` is set just before the final dot leaves.
"""

from __future__ import annotations

import asyncio
import base64
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from aiosmtplib import SMTP, SMTPAuthenticationError, SMTPException, SMTPResponseException, SMTPServerDisconnected
from aiosmtplib.errors import SMTPConnectResponseError, SMTPHeloError
from aiosmtplib.response import SMTPResponse
from pydantic import SecretStr

from channels.contract import Sent
from channels.email.mime import Letter
from channels.email.replies import Stage, queue_id, quoted, refused
from channels.email.wire import Reply, Wire
from channels.errors import FailureReason, Misconfigured, Rejected, SendError, Unavailable, Uncertain

Mode = Literal["starttls", "tls", "plain"]

#: what the commands before a text are about, and the first digits of the replies we hope for
_STAGES = ((Stage.sender, 2), (Stage.recipient, 2), (Stage.data, 3))
#: a parameter of MAIL or RCPT is not known (RFC 5321, 4.2.3 and 4.1.1.11; sendmail says 501 5.5.4)
_PARAMETER = re.compile(r"555|504|501 5\.5\.4$")
_NOT_XTEXT = re.compile(r"[^!-*,-<>-~]")
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
    """A connection that is ready for messages. Not for two tasks at a time.

    Where the server offers PIPELINING (RFC 2920) the envelope of a message is one write, and that of the next leaves
    with the final dot of the one before it: a message takes one journey to the server and back instead of four.
    """

    def __init__(self, server: Server, wire: Wire, abilities: Mapping[str, str]) -> None:
        self._server = server
        self._wire = wire
        self.handed_over = False  # whether the message of the moment may have reached the server whole
        self.broken = False  # whether the connection may not be used again
        self.sent = 0  # messages handed over so far
        self.idle_since = 0.0  # for the pool
        self._in_transaction = False  # the message before was refused half way
        self._announced: Letter | None = None  # its envelope has left already
        size = abilities.get("size", "")
        self._size_limit = int(size) if size.isdecimal() and len(size) < 20 else 0
        self._announces_size = "size" in abilities
        self._takes_utf8 = "smtputf8" in abilities
        self._pipelines = "pipelining" in abilities
        self._takes_dsn = "dsn" in abilities

    @property
    def usable(self) -> bool:
        return not self._wire.closed and not self.broken

    @property
    def expects(self) -> bool:
        """Whether a message was announced here and has to follow here."""
        return self._announced is not None and self.usable

    async def deliver(self, letter: Letter, following: Letter | None = None) -> Sent:
        """Hand over one message, and announce the one to be delivered next, where the server allows that.

        A SendError is the server's own answer; OSError and SMTPException mean that it was lost.
        """
        self.handed_over = False
        self._check(letter)
        try:
            await self._begin_plainly_if_need_be(letter)
            reply = await self._hand_over(letter, following)
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

    def _envelope(self, letter: Letter) -> list[str]:
        """What is asked before the text, in the order of `_STAGES`."""
        size = f" SIZE={len(letter.data)}" if self._announces_size else ""
        utf8 = " BODY=8BITMIME SMTPUTF8" if letter.utf8 else ""
        named, told = _wishes(letter) if self._takes_dsn else ("", "")
        return [
            f"MAIL FROM:<{letter.sender}>{size}{utf8}{named}\r\n",
            f"RCPT TO:<{letter.to}>{told}\r\n",
            "DATA\r\n",
        ]

    async def _begin_plainly_if_need_be(self, letter: Letter) -> None:
        """A server that offers a parameter and then does not know it is asked once more without any. If it takes it
        amiss again, something else was meant."""
        offered = self._takes_dsn, self._announces_size
        try:
            await self._begin(letter)
        except SendError as error:
            if not any(offered) or not _PARAMETER.match(error.code or "") or not self.usable:
                raise
            self._takes_dsn = self._announces_size = False
            try:
                await self._begin(letter)
            except SendError:
                self._takes_dsn, self._announces_size = offered
                raise

    async def _begin(self, letter: Letter) -> None:
        """Everything before the text itself, until the server waits for the text."""
        announced, self._announced = self._announced, None
        if announced not in (None, letter):
            raise SMTPServerDisconnected("Another message was announced here")
        if self._in_transaction:
            self._wire.write(b"RSET\r\n")
            if (await self._wire.reply()).code != 250:
                raise SMTPServerDisconnected("RSET refused")
        self._in_transaction = True
        if not self._pipelines:
            for command, (stage, hoped) in zip(self._envelope(letter), _STAGES, strict=True):
                self._wire.write(command.encode())
                self._look(await self._wire.reply(), stage, hoped, letter)
            return
        if announced is None:
            self._wire.write("".join(self._envelope(letter)).encode())
        await self._hear_all(letter)

    async def _hear_all(self, letter: Letter) -> None:
        """One reply to each command, also after one that refuses: the next message must not get them."""
        refusals: dict[Stage, SendError] = {}
        try:
            for stage, hoped in _STAGES:
                reply = await self._wire.reply()
                try:
                    self._look(reply, stage, hoped, letter)
                except SendError as error:
                    refusals[stage] = error
                if self.broken:
                    break
            if refusals and reply.code == 354 and not self.broken:
                await self._say_nothing(nobody=Stage.recipient in refusals)
        except (SMTPException, OSError):
            self.broken = True
            if not refusals:
                raise SMTPServerDisconnected("Connection lost") from None
        if Stage.data in refusals and reply.code // 100 == 2:  # never said to DATA: it said more than it was asked
            raise SMTPServerDisconnected("Its replies are out of step")
        for refusal in refusals.values():
            raise refusal
        if self._wire.waiting:  # words too many would be taken for the answer to the text
            raise SMTPServerDisconnected("It says more than it was asked")

    async def _say_nothing(self, *, nobody: bool) -> None:
        """The server waits for the text of a message that it refused: it gets none (RFC 2920, 3.1), and none at all
        where it took the recipient, who would get an empty mail."""
        if not nobody:
            self.broken = True
            return
        self._wire.write(b".\r\n")
        self.broken = (await self._wire.reply()).code // 100 not in (4, 5)

    def _look(self, reply: Reply, stage: Stage, hoped: int, letter: Letter) -> None:
        if reply.code // 100 != hoped:
            raise self._refusal(reply, stage, letter)

    async def _hand_over(self, letter: Letter, following: Letter | None) -> Reply:
        """The text, the final dot and the envelope of the message that follows; what the server says to the text."""
        wire = self._wire
        block = letter.data.replace(b"\r\n.", b"\r\n..")  # it starts with a header, and every line ends in CRLF
        if len(block) > _AT_ONCE:
            early = await _write_and_wait(wire, block)
            if early is not None:
                self.broken = True
                raise self._refusal(early, Stage.content, letter)
            block = b""
        if wire.closed:
            raise SMTPServerDisconnected("Connection lost")
        self.handed_over = True
        wire.write(block + b".\r\n" + self._announcement(following))
        return await wire.reply()

    def _announcement(self, following: Letter | None) -> bytes:
        """The envelope of the message after this one; its text waits until the server has asked for it."""
        if following is None or not self._pipelines:
            return b""
        try:
            self._check(following)
        except Rejected:
            return b""
        self._announced = following
        return "".join(self._envelope(following)).encode()

    def _conclude(self, reply: Reply, letter: Letter) -> Sent:
        self._in_transaction = False
        self.sent += 1
        surplus = self._announced is None and self._wire.waiting  # would be taken for the next answer
        self.broken = self._wire.closed or surplus
        if 200 <= reply.code < 300:
            return Sent(queue_id(reply.text))
        if 400 <= reply.code < 600:
            raise self._refusal(reply, Stage.content, letter)
        self.broken = True
        raise Uncertain(f"{self._server.place} answered the message with {reply.code}, which says nothing.")

    def _refusal(self, reply: Reply, stage: Stage, letter: Letter) -> SendError:
        if reply.code == 421 or not 400 <= reply.code < 600:  # it closes, or speaks out of turn
            self.broken = True
        person = letter.to.rpartition("@")[0]
        return refused(reply.code, reply.text, stage, self._server.place, self._server.secrets, (person,))

    def abort(self) -> None:
        """Drop the connection without a word."""
        self._wire.abort()

    def leave(self) -> None:
        """Say QUIT and go, without waiting for the answer."""
        if self.usable:
            self._wire.write(b"QUIT\r\n")
            self._wire.close()
        else:
            self.abort()

    async def end(self) -> None:
        """Say QUIT, hear the answer out for a moment, and go."""
        try:
            async with asyncio.timeout(1):
                self._wire.write(b"QUIT\r\n")
                await self._wire.reply()
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
    transport = client.transport
    assert isinstance(transport, asyncio.Transport)
    return Session(server, Wire(transport), client.esmtp_extensions)


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


async def _write_and_wait(wire: Wire, block: bytes) -> Reply | None:
    """Write all but the final dot and wait until it has left: what is cut until then was proved not accepted.

    Gives back what the server says before it has read everything, None when it listens to the end.
    """
    wire.write(block)
    reply, drained = asyncio.ensure_future(wire.reply()), asyncio.ensure_future(wire.drained())
    try:
        await asyncio.wait({reply, drained}, return_when=asyncio.FIRST_COMPLETED)
        if reply.done():
            return reply.result()
        await drained
        return None
    finally:
        await _give_up(reply)
        await _give_up(drained)


def _wishes(letter: Letter) -> tuple[str, str]:
    """What we want to hear of a message afterwards, as parameters of MAIL and of RCPT (RFC 3461)."""
    original = f" ORCPT=rfc822;{_xtext(letter.to)}" if letter.to.isascii() else ""
    return f" RET=HDRS ENVID={_xtext(letter.name)}", f" NOTIFY=FAILURE,DELAY{original}"


def _xtext(text: str) -> str:
    """ASCII as it stands in parameters (RFC 3461, 4)."""
    return _NOT_XTEXT.sub(lambda found: f"+{ord(found[0]):02X}", text)


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

"""Where mails that come back arrive: a mailbox on an IMAP server, or a Maildir on this machine.

    for mail in await mailbox.fetch():
        ...                             # keep what it says
        await mailbox.done(mail)        # and only then let it go; `aside` leaves it for a person to look at

A mail is fetched again until one of the two was said of it; both may be said twice. Of a huge mail the beginning is
read: reports begin with what they say.
"""

from __future__ import annotations

import asyncio
import imaplib
import re
import socket
import ssl
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, SecretStr

from channels.contract import ProviderOptions, secret
from channels.email.reading import MOST
from channels.errors import Misconfigured, Unavailable

After = Literal["move", "delete", "seen"]

_AT_ONCE = 20  # mails of one call
_SILENCE = 30.0  # seconds in which a server has to say something
_PATIENCE = 120.0  # seconds for one call
_T = TypeVar("_T")


def _folder(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._/&+,\[\] -]{1,200}", text):
        raise ValueError("write the folder as the server calls it, like INBOX or Bounces/Done")
    return text


Folder = Annotated[str, AfterValidator(_folder)]


class ImapOptions(ProviderOptions):
    """What config.yaml may say about a mailbox on an IMAP server. It is spoken to over TLS, and in no other way."""

    host: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    port: int = Field(default=993, ge=1, le=65535)
    username: str
    password_env: str  # the environment variable that holds the password
    folder: Folder = "INBOX"
    after: After = "move"  # what becomes of a mail that was read
    to: Folder = "Done"  # where it is moved; made, where it is missing
    ca_file: Path | None = None  # certificates of an authority of your own, instead of the system's


class MaildirOptions(ProviderOptions):
    """What config.yaml may say about a Maildir on this machine."""

    path: Path
    after: After = "move"
    to: str = Field(default=".Done", pattern=r"^\.[A-Za-z0-9._-]{1,100}$")  # a folder inside it


@dataclass(frozen=True)
class Mail:
    """One mail, as it came in; of a huge one the beginning."""

    name: str  # what its mailbox calls it
    data: bytes


class Mailbox(ABC):
    """Some mails that wait to be read."""

    @abstractmethod
    async def fetch(self) -> list[Mail]:
        """The next few, the oldest first; none when all are read. Unavailable or Misconfigured when it cannot be
        asked."""

    @abstractmethod
    async def done(self, mail: Mail) -> None:
        """What it says is kept: it need not be fetched again."""

    @abstractmethod
    async def aside(self, mail: Mail) -> None:
        """Nothing follows from it: it stays, flagged for a person, and is not fetched again."""

    async def close(self) -> None:  # noqa: B027  a folder has nothing to close
        """Let go of the connection. The next call makes another."""


def mailbox(options: ImapOptions | MaildirOptions, env: Mapping[str, str], home: Path) -> Mailbox:
    """The mailbox of these options."""
    if isinstance(options, MaildirOptions):
        return MaildirMailbox(options, home)
    return ImapMailbox(options, secret(env, options.password_env), home)


# IMAP.


class ImapMailbox(Mailbox):
    """A folder on an IMAP server (RFC 3501), over one connection that is kept between calls."""

    def __init__(self, options: ImapOptions, password: SecretStr, home: Path) -> None:
        self._options = options
        self._password = password
        self._ca_file = home / options.ca_file if options.ca_file else None
        self._client: imaplib.IMAP4_SSL | None = None
        self._abilities: frozenset[str] = frozenset()
        self._one_at_a_time = threading.Lock()

    async def fetch(self) -> list[Mail]:
        return await self._in_a_thread(lambda client: list(self._waiting(client)))

    async def done(self, mail: Mail) -> None:
        await self._in_a_thread(lambda client: self._let_go(client, mail))

    async def aside(self, mail: Mail) -> None:
        await self._in_a_thread(lambda client: self._flag(client, mail, r"\Flagged"))

    async def close(self) -> None:
        await asyncio.to_thread(self._end)

    def _waiting(self, client: imaplib.IMAP4_SSL) -> Iterator[Mail]:
        unread = ["UNSEEN"] if self._options.after == "seen" else []
        found = self._said(client.uid("SEARCH", "UNDELETED", "UNFLAGGED", *unread))
        for number in sorted(int(word) for line in found if line for word in line.split())[:_AT_ONCE]:
            answer = self._said(client.uid("FETCH", str(number), f"(BODY.PEEK[]<0.{MOST}>)"))
            data = next((part[1] for part in answer if isinstance(part, tuple)), None)
            if data is not None:  # it may be gone by now
                yield Mail(f"{self._validity(client)}.{number}", data[:MOST])

    def _let_go(self, client: imaplib.IMAP4_SSL, mail: Mail) -> None:
        match self._options.after:
            case "seen":
                self._flag(client, mail, r"\Seen")
            case "delete":
                self._flag(client, mail, r"\Deleted")
                self._expunge(client, mail)
            case "move":
                self._move(client, mail)

    def _move(self, client: imaplib.IMAP4_SSL, mail: Mail) -> None:
        number, folder = self._number(client, mail), f'"{self._options.to}"'
        if number is None:
            return
        command = "MOVE" if "MOVE" in self._abilities else "COPY"
        if client.uid(command, number, folder)[0] != "OK":
            client.create(folder)
            self._said(client.uid(command, number, folder))
        if command == "COPY":
            self._flag(client, mail, r"\Deleted")
            self._expunge(client, mail)

    def _flag(self, client: imaplib.IMAP4_SSL, mail: Mail, flag: str) -> None:
        number = self._number(client, mail)
        if number is not None:
            self._said(client.uid("STORE", number, "+FLAGS.SILENT", f"({flag})"))

    def _expunge(self, client: imaplib.IMAP4_SSL, mail: Mail) -> None:
        """This one alone: a plain EXPUNGE would take whatever else somebody has marked."""
        number = self._number(client, mail)
        if number is not None and "UIDPLUS" in self._abilities:
            self._said(client.uid("EXPUNGE", number))

    def _number(self, client: imaplib.IMAP4_SSL, mail: Mail) -> str | None:
        """What the server calls a mail; None when it has given new names to all since."""
        validity, _, number = mail.name.partition(".")
        return number if validity == self._validity(client) else None

    def _validity(self, client: imaplib.IMAP4_SSL) -> str:
        found = client.untagged_responses.get("UIDVALIDITY") or [b"0"]
        return str(found[-1], "ascii") if isinstance(found[-1], bytes) else "0"

    def _said(self, answer: tuple[str, list[_T]]) -> list[_T]:
        if answer[0] != "OK":
            raise Misconfigured(f"{self._place} does not let us work in the folder {self._options.folder}.")
        return answer[1]

    async def _in_a_thread(self, work: Callable[[imaplib.IMAP4_SSL], _T]) -> _T:
        try:
            async with asyncio.timeout(_PATIENCE):
                return await asyncio.to_thread(self._work, work)
        except TimeoutError:
            self._cut()
            raise Unavailable(f"{self._place} did not answer in time.") from None

    def _work(self, work: Callable[[imaplib.IMAP4_SSL], _T]) -> _T:
        """On the kept connection, and once more on a new one if the kept one turns out to be dead."""
        with self._one_at_a_time:
            kept = self._client is not None
            while True:
                try:
                    return work(self._connected())
                except (imaplib.IMAP4.error, OSError, ValueError) as error:
                    self._cut()
                    lost = isinstance(error, imaplib.IMAP4.abort | OSError)
                    if not (lost and kept):
                        raise self._explained(error) from None  # the cause may quote what must not be repeated
                    kept = False
                except BaseException:
                    self._cut()
                    raise

    def _connected(self) -> imaplib.IMAP4_SSL:
        if self._client is None:
            options = self._options
            self._client = client = imaplib.IMAP4_SSL(
                options.host, options.port, ssl_context=self._context(), timeout=_SILENCE
            )
            self._sign_in(client)
            self._abilities = frozenset(str(self._said(client.capability())[0], "ascii").upper().split())
            self._said(client.select(f'"{options.folder}"'))
        return self._client

    def _sign_in(self, client: imaplib.IMAP4_SSL) -> None:
        name, password = self._options.username, self._password.get_secret_value()
        try:
            if "AUTH=PLAIN" in client.capabilities:
                client.authenticate("PLAIN", lambda _: f"\0{name}\0{password}".encode())
            else:
                quoted = name.replace("\\", "\\\\").replace('"', '\\"')
                client.login(f'"{quoted}"', password)
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error:
            raise Misconfigured(f"{self._place} does not accept the user name or the password.") from None

    def _context(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self._ca_file)
        except (OSError, ssl.SSLError):
            raise Misconfigured(f"ca_file: {self._ca_file} cannot be read as certificates (PEM).") from None

    def _explained(self, error: Exception) -> Unavailable | Misconfigured:
        if isinstance(error, ssl.SSLCertVerificationError):
            return Misconfigured(
                f"The certificate of {self._place} cannot be trusted: {error.verify_message.rstrip('.')}."
            )
        if isinstance(error, socket.gaierror):
            return Unavailable(f"The host {self._options.host} cannot be found.")
        if isinstance(error, TimeoutError):
            return Unavailable(f"{self._place} did not answer in time.")
        if isinstance(error, ConnectionRefusedError):
            return Unavailable(f"{self._place} refuses the connection.")
        return Unavailable(f"{self._place} could not be talked to ({type(error).__name__}).")

    def _cut(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(OSError):
                client.shutdown()

    def _end(self) -> None:
        with self._one_at_a_time:
            if self._client is not None:
                with suppress(imaplib.IMAP4.error, OSError):
                    self._client.logout()
            self._cut()

    @property
    def _place(self) -> str:
        return f"{self._options.host}:{self._options.port}"


# Maildir.


class MaildirMailbox(Mailbox):
    """A Maildir: a file for each mail, in `new` or `cur`; its flags stand behind `:2,` in its name."""

    def __init__(self, options: MaildirOptions, home: Path) -> None:
        self._path = home / options.path
        self._after = options.after
        self._to = self._path / options.to

    async def fetch(self) -> list[Mail]:
        return await asyncio.to_thread(self._waiting)

    async def done(self, mail: Mail) -> None:
        await asyncio.to_thread(self._let_go, mail)

    async def aside(self, mail: Mail) -> None:
        await asyncio.to_thread(self._flag, mail, "F")

    def _waiting(self) -> list[Mail]:
        read = {"F", "T", "S"} if self._after == "seen" else {"F", "T"}
        found: list[Mail] = []
        try:
            for path in sorted(self._files(), key=lambda path: path.name):
                if not read & _flags(path) and len(found) < _AT_ONCE:
                    with suppress(FileNotFoundError), path.open("rb") as file:
                        found.append(Mail(_base(path), file.read(MOST)))
        except OSError as error:
            raise self._unfit(error) from None
        return found

    def _files(self) -> Iterator[Path]:
        for folder in ("new", "cur"):
            for path in (self._path / folder).iterdir():
                if not path.name.startswith(".") and path.is_file() and not path.is_symlink():
                    yield path

    def _let_go(self, mail: Mail) -> None:
        match self._after:
            case "seen":
                self._flag(mail, "S")
            case "delete":
                self._each(mail, lambda path: path.unlink())
            case "move":
                self._each(mail, self._move)

    def _move(self, path: Path) -> None:
        for folder in ("tmp", "new", "cur"):
            (self._to / folder).mkdir(parents=True, exist_ok=True)
        path.replace(self._to / "cur" / f"{_base(path)}:2,S")

    def _flag(self, mail: Mail, flag: str) -> None:
        def flagged(path: Path) -> None:
            flags = "".join(sorted({*_flags(path), flag}))
            path.replace(self._path / "cur" / f"{_base(path)}:2,{flags}")

        self._each(mail, flagged)

    def _each(self, mail: Mail, work: Callable[[Path], object]) -> None:
        """Do something with the file of a mail; nothing when it is not there any more."""
        try:
            for path in [path for path in self._files() if _base(path) == mail.name]:
                with suppress(FileNotFoundError):
                    work(path)
        except OSError as error:
            raise self._unfit(error) from None

    def _unfit(self, error: OSError) -> Misconfigured:
        return Misconfigured(f"The Maildir {self._path} cannot be used: {error.strerror or type(error).__name__}.")


def _base(path: Path) -> str:
    return path.name.partition(":2,")[0]


def _flags(path: Path) -> set[str]:
    return set(path.name.partition(":2,")[2])

"""Messages as files in a folder to look at: mails as .eml, the same bytes that SMTP would carry, all others as .txt.

`<folder>/<channel>/<key>.eml`. A file is written beside its place, forced to the disk, and then moved there in one
step, so that a file that can be seen is whole. The same key is the same file: a repeat changes nothing, however late.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from channels import plain
from channels.contract import Answer, Content, Email, Features, Outgoing, Provider, ProviderOptions, Sent
from channels.email.mime import Letterhead, compose
from channels.email.mime import flaw as mail_flaw
from channels.errors import Misconfigured, Rejected, SendError, Unavailable, Uncertain

_SAFE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
_NEEDS_A_PERSON = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG})


class MaildirOptions(Letterhead):
    """What config.yaml may say about the folder and the mails in it."""

    folder: Path
    sync: bool = True  # wait for the disk; without it a power failure may take messages that were reported as sent


class MaildirProvider(Provider):
    """Writes files. What is in the folder was accepted."""

    name = "maildir"
    channels = frozenset({"email", "sms", "push", "wechat"})
    Options: ClassVar[type[ProviderOptions]] = MaildirOptions
    features = Features(dedupe_by="key", batch=100, in_flight=100)

    def configure(self, options: MaildirOptions, env: Mapping[str, str], home: Path) -> None:
        self._options = options
        self._folder = home / options.folder / self.channel

    def describe(self) -> str:
        return f"files in {self._folder}"

    async def open(self) -> None:
        await asyncio.to_thread(self._make_folder)

    async def probe(self) -> None:
        await self.open()

    def refusal(self, content: Content) -> Rejected | None:
        refused = super().refusal(content)
        if refused is None and isinstance(content, Email):
            return mail_flaw(content, self._options)
        return refused or plain.flaw(content)

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Answer]:
        """All files of the call, written in a thread, and the folder forced to the disk once."""
        answers: list[Answer] = [Uncertain("The disk did not answer in time.") for _ in batch]
        if batch:
            try:
                async with asyncio.timeout(min(outgoing.timeout for outgoing in batch)):
                    await asyncio.to_thread(self._write_all, batch, answers)
            except TimeoutError:
                pass
        return list(answers)

    def _write_all(self, batch: Sequence[Outgoing], answers: list[Answer]) -> None:
        found: list[Answer] = [self._answer(outgoing) for outgoing in batch]
        if self._options.sync and any(isinstance(answer, Sent) for answer in found):
            try:
                _force(self._folder)
            except OSError as error:
                doubt = Uncertain(f"The files stand in {self._folder}, but perhaps not on the disk: {_why(error)}.")
                found = [doubt if isinstance(answer, Sent) else answer for answer in found]
        answers[:] = found

    def _answer(self, outgoing: Outgoing) -> Sent | SendError:
        try:
            suffix, data = self._bytes(outgoing)
            return self._write(_file_name(outgoing.key) + suffix, data)
        except SendError as error:
            return error
        except OSError as error:
            kind = Misconfigured if error.errno in _NEEDS_A_PERSON else Unavailable
            return kind(f"Nothing can be written into {self._folder}: {_why(error)}.")

    def _bytes(self, outgoing: Outgoing) -> tuple[str, bytes]:
        """The suffix and the content of the file."""
        content = outgoing.content
        if isinstance(content, Email) and self.channel == content.channel:
            return ".eml", compose(content, outgoing.key, outgoing.created_at, self._options).data
        refused = self.refusal(content)
        if refused is not None:
            raise refused
        named = [*plain.lines(content), ("Date", f"{outgoing.created_at:%Y-%m-%d %H:%M:%S} UTC")]
        head = "".join(f"{name}: {value}\n" for name, value in named)
        return ".txt", f"{head}\n{plain.printable(plain.text(content)).rstrip()}\n".encode()

    def _write(self, name: str, data: bytes) -> Sent:
        place = self._folder / name
        if place.exists():
            return Sent(name, "was there already")
        self._make_folder()
        unfinished = self._folder / f".{name}.{os.getpid()}"
        try:
            with unfinished.open("wb") as file:
                file.write(data)
                file.flush()
                if self._options.sync:
                    os.fsync(file.fileno())
            unfinished.replace(place)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        return Sent(name)

    def _make_folder(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Misconfigured(f"The folder {self._folder} cannot be made: {_why(error)}.") from None


def _file_name(key: str) -> str:
    """A file's name for a key: the key itself, unless it could mean something to a file system."""
    if _SAFE_NAME.fullmatch(key):
        return key
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _force(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _why(error: OSError) -> str:
    return error.strerror or type(error).__name__

"""A mail that came in, as headers and parts; made for mails from anybody.

The standard library's parser calls itself for every part within a part and looks for ever at headers made to that end.
Here every mail is read once, in time that grows as its size does, and as far as its first mebibyte: reports begin with
what they say and end with the mail that they are about.
"""

from __future__ import annotations

import binascii
import html
import quopri
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

MOST = 1024 * 1024  # bytes of a mail that are read

_MOST_LINES = 2_000  # of headers
_MOST_CHARACTERS = 4_000  # of one header
_MOST_PARTS = 20
_MOST_TEXT = 64 * 1024  # bytes of a text that are decoded
_NAME = re.compile(r"[!-9;-~]{1,80}")
_PARAMETER = re.compile(r';\s*([\w-]+)\s*=\s*("[^"]{0,200}"|[^\s;"]{1,200})')
_CHARSET = re.compile(
    r"(utf-?8|us-ascii|iso-8859-\d+|windows-\d+|gb\w+|big5\w*|euc-\w+|iso-2022-\w+|koi8-\w|shift_jis)"
)


@dataclass(frozen=True)
class Part:
    """A mail, or a part of one."""

    fields: tuple[tuple[str, str], ...]  # names in lower case, values on one line
    body: bytes  # lines end in \n

    def get(self, name: str) -> str:
        """The first header of a name; empty when there is none."""
        return next(self.all(name), "")

    def all(self, *names: str) -> Iterator[str]:
        return (value for name, value in self.fields if name in names)

    @cached_property
    def kind(self) -> str:
        """What it is, like text/plain."""
        return self.get("content-type").partition(";")[0].strip().lower() or "text/plain"

    @cached_property
    def parameters(self) -> dict[str, str]:
        """What its Content-Type says besides."""
        found = _PARAMETER.findall(self.get("content-type")[:1_000])
        return {name.lower(): value.strip('"') for name, value in found}

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The parts of a multipart; none of anything else."""
        boundary = self.parameters.get("boundary", "")
        if not boundary or not self.kind.startswith("multipart/"):
            return ()
        line = re.compile(rb"^--" + re.escape(boundary.encode("utf-8", "replace")) + rb"(--)?[ \t]*(?:\n|\Z)", re.M)
        found: list[Part] = []
        start: int | None = None
        for delimiter in line.finditer(self.body):
            if start is not None:
                found.append(read(self.body[start : max(delimiter.start() - 1, start)]))
            start = delimiter.end()
            if delimiter[1] or len(found) == _MOST_PARTS:
                return tuple(found)
        if start is not None:  # the end is missing, as in a mail that was cut
            found.append(read(self.body[start:]))
        return tuple(found)

    @cached_property
    def text(self) -> str:
        """The words of a text, or of the first text in a mail that has any; HTML without its tags."""
        if self.kind in ("text/plain", "text/html"):
            text = self._decoded()
            return text if self.kind == "text/plain" else _words(text)
        return next((part.text for part in self.parts[:2] if part.kind.startswith("text/") and part.text), "") or next(
            (inner.text for part in self.parts[:2] for inner in part.parts if inner.kind.startswith("text/")), ""
        )

    def blocks(self) -> list[Part]:
        """The body as blocks of fields with empty lines between (message/delivery-status and the like)."""
        return [block for text in self.body.split(b"\n\n")[:_MOST_PARTS] if (block := read(text + b"\n\n")).fields]

    def _decoded(self) -> str:
        data = self.body[:_MOST_TEXT]
        encoding = self.get("content-transfer-encoding").strip().lower()
        if encoding == "quoted-printable":
            data = quopri.decodestring(data)
        elif encoding == "base64":
            data = _from_base64(data)
        charset = _CHARSET.fullmatch(self.parameters.get("charset", "").lower())
        try:
            return data.decode(charset[0] if charset else "utf-8", "replace")
        except (LookupError, ValueError):
            return data.decode("utf-8", "replace")


def read(raw: bytes) -> Part:
    """A mail, as it came over a pipe, out of a mailbox or within another one."""
    text = raw[:MOST].replace(b"\r\n", b"\n")
    head, _, body = (b"", b"", text[1:]) if text.startswith(b"\n") else text.partition(b"\n\n")
    return Part(tuple(_fields(head.decode("utf-8", "replace"))), body)


def _fields(head: str) -> Iterator[tuple[str, str]]:
    name, values = "", [""]
    for line in head.split("\n")[:_MOST_LINES]:
        if line[:1] in (" ", "\t"):
            values.append(line.strip())
            continue
        if name:
            yield name, " ".join(values)[:_MOST_CHARACTERS].strip()
        name, _, value = line.partition(":")
        name = name.rstrip().lower() if _NAME.fullmatch(name.rstrip()) else ""  # "From ann@..." of a pipe is none
        values = [value.strip()]
    if name:
        yield name, " ".join(values)[:_MOST_CHARACTERS].strip()


def _from_base64(data: bytes) -> bytes:
    plain = re.sub(rb"[^A-Za-z0-9+/]", b"", data)
    return binascii.a2b_base64(plain[: len(plain) // 4 * 4])


def _words(page: str) -> str:
    """HTML as text, near enough to look for a word in it. What is quoted is left out."""
    page = re.split(r"<blockquote|<div class=\"gmail_quote", page, maxsplit=1, flags=re.IGNORECASE)[0]
    page = re.sub(r"<(?:br|/p|/div)[^<>]*>", "\n", page, flags=re.IGNORECASE)
    return html.unescape(re.sub(r"<[^<>]*>", " ", page))

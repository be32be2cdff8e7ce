"""The bytes of a mail: headers encoded and folded, text and HTML as alternatives, made for speed and deaf to injection.

The standard library's EmailMessage takes some twenty times as long; its parser is the judge of what is built here.
Whatever a value holds, it stays inside its own header: control characters are refused, also those hidden in an encoded
word (CVE-2024-6923), and whatever a reader might decode is encoded by us, so that it is read back as it was written.
"""

from __future__ import annotations

import binascii
import email.errors
import email.header
import hashlib
import re
import struct
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import Annotated, NamedTuple

import idna
from pydantic import AfterValidator

from channels.contract import Email, Pairs, ProviderOptions
from channels.errors import FailureReason, Misconfigured, Rejected

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ATEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~-"
_ATOM = rf"[{_ATEXT}]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_LOCAL_UTF8 = re.compile(rf"[\x80-\U0010ffff{_ATEXT}]+(?:\.[\x80-\U0010ffff{_ATEXT}]+)*")
_ADDRESS = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*")
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_ATOMS = re.compile(rf"{_ATOM}(?: {_ATOM})*")
_QUOTABLE = re.compile(r"[!-~]+(?: [!-~]+)*")
_SAFE_KEY = re.compile(r"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*")
_HEADER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,59}")
_PLAIN = b"\t\r\n" + bytes(range(32, 127))

_LINE = 76  # the most characters of a header line that may hold an encoded word (RFC 2047)
_HARD_LINE = 998  # the most of any line (RFC 5322)

#: headers this file writes, or that would change how the mail is read: nobody else may
_OURS = frozenset(
    {"date", "from", "sender", "to", "cc", "bcc", "reply-to", "subject", "message-id", "mime-version"}
    | {"return-path", "received", "dkim-signature"}
)
#: headers with a grammar of their own, in which an encoded word has no place
_STRUCTURED = re.compile(r"list-.*|auto-submitted|precedence|references|in-reply-to|feedback-id")


class Letter(NamedTuple):
    """A mail ready for the wire: lines end in CRLF, the last one too; dots are not yet doubled."""

    sender: str  # of the envelope: where bounces go
    to: str
    data: bytes
    utf8: bool  # an address needs SMTPUTF8
    name: str  # of the message, as in its Message-ID


def compose(mail: Email, key: str, created_at: datetime, letterhead: Letterhead) -> Letter:
    """The bytes of a mail; equal arguments give equal bytes. Rejected when they cannot be made.

    `key` names the message: the same key is the same Message-ID, and the mail system's only hint of a repeat.
    """
    sender, to, reply_to = _addresses(mail, letterhead)
    return_path = letterhead.return_path or sender
    utf8 = not f"{sender}{to}{reply_to}{return_path}".isascii()
    domain = letterhead.message_id_domain or sender.rpartition("@")[2]
    name = message_id(key)
    frame = name.encode()
    own_sender = bool(mail.sender)
    head = [
        b"Date: %b\r\n" % _date(created_at),
        _sender_header("From", mail.sender_name if own_sender else mail.sender_name or letterhead.sender_name, sender),
        _address_header("To", mail.to_name, to),
        _sender_header("Reply-To", "", reply_to) if reply_to else b"",
        header("Subject", mail.subject),
        b"Message-ID: <%b@%b>\r\n" % (frame, domain.encode()),
        _extra_headers(mail.headers),
        b"MIME-Version: 1.0\r\n",
    ]
    return Letter(return_path, to, b"".join([*head, _body(mail, b"=_" + frame)]), utf8, name)


def flaw(mail: Email, letterhead: Letterhead) -> Rejected | None:
    """Why no bytes can ever be made of this mail, None when they can."""
    try:
        compose(mail, "key", datetime(2000, 1, 1, tzinfo=UTC), letterhead)
    except Rejected as error:
        return error
    except Misconfigured:
        pass  # not the mail's fault
    return None


def message_id(key: str) -> str:
    """The left side of a Message-ID: the key itself where it may stand there, a hash of it otherwise."""
    if len(key) <= 64 and _SAFE_KEY.fullmatch(key):
        return key
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:40]


# Addresses.


def address(text: str) -> str:
    """An address as the wire wants it: the domain in ASCII, the local part as it is. ValueError when it is none."""
    if len(text) > 254:
        raise ValueError("an address has at most 254 characters")
    if not _ADDRESS.fullmatch(text):
        local, _, domain = text.rpartition("@")
        if _CONTROL.search(text) or not _LOCAL_UTF8.fullmatch(local):
            raise ValueError("an address looks like name@example.com")
        text = f"{local}@{_ascii_domain(domain)}"
    if len(text.rpartition("@")[0].encode()) > 64:
        raise ValueError("the part before the @ has at most 64 characters")
    return text


def domain_name(text: str) -> str:
    """A domain in ASCII. ValueError when it is none."""
    return _ascii_domain(text)


def _ascii_domain(domain: str) -> str:
    try:
        ascii_domain = domain if domain.isascii() else idna.encode(domain, uts46=True).decode()
    except UnicodeError:
        ascii_domain = ""
    if not _DOMAIN.fullmatch(ascii_domain):
        raise ValueError("what follows the @ must be a domain like example.com")
    return ascii_domain


def _addresses(mail: Email, letterhead: Writer) -> tuple[str, str, str]:
    """Sender, recipient and reply address, checked."""
    written = mail.sender or letterhead.sender
    if not written:
        raise Misconfigured("The mail has no sender: set `sender` among the settings of the channel.")
    sender = _own_address(written, "The sender of the mail")
    reply_to = mail.reply_to or letterhead.reply_to
    if reply_to:
        reply_to = _own_address(reply_to, "The reply address of the mail")
    return sender, _checked(mail.to, "The address of the person", FailureReason.address_invalid), reply_to


@lru_cache(maxsize=256)  # a shop has few
def _own_address(text: str, whose: str) -> str:
    return _checked(text, whose, FailureReason.sender)


def _checked(text: str, whose: str, reason: FailureReason) -> str:
    try:
        return address(text)
    except ValueError as error:
        raise Rejected(f"{whose} is not valid: {error}.", reason=reason) from None


Address = Annotated[str, AfterValidator(address)]
Domain = Annotated[str, AfterValidator(domain_name)]


class Writer(ProviderOptions):
    """Who writes a shop's mails; a mail that brings its own sender or reply address goes first."""

    sender: Address = ""
    sender_name: str = ""
    reply_to: Address = ""


class Letterhead(Writer):
    """What a shop's mails have in common, where we write all of them ourselves."""

    return_path: Address = ""  # where bounces go; empty: the sender
    message_id_domain: Domain = ""  # empty: the sender's


# Headers.


def header(name: str, value: str) -> bytes:
    """One unstructured header, folded. What is not plain ASCII becomes encoded words."""
    _refuse_control(name, value)
    if value.isascii() and "=?" not in value and value == value.strip():
        if len(name) + len(value) <= _LINE - 2:
            return f"{name}: {value}\r\n".encode()
        folded = _fold(f"{name}:", value)
        if folded is not None:
            return folded
    return f"{name}: {_encoded_words(value, len(name) + 2)}\r\n".encode()


def _refuse_control(name: str, value: str) -> None:
    """Refuse what could end the header: as it stands, or once a reader has decoded it."""
    found = _CONTROL.search(value)
    if found is None and "=?" in value:
        found = _CONTROL.search(_decoded(value))
    if found is not None:
        raise Rejected(
            f"The header {name} holds the control character U+{ord(found[0]):04X}, which could forge other headers.",
            reason=FailureReason.content,
        )


def _decoded(value: str) -> str:
    """What a reader makes of encoded words, in the widest reading: of bytes we do not know, one character each."""
    try:
        parts = email.header.decode_header(value)
    except (email.errors.HeaderParseError, ValueError):
        return ""  # not an encoded word after all
    return "".join(part if isinstance(part, str) else _text(part, charset) for part, charset in parts)


def _text(part: bytes, charset: str | None) -> str:
    try:
        return part.decode(charset or "ascii")
    except (UnicodeDecodeError, LookupError, ValueError):
        return "".join(chr(byte) for byte in part if byte < 128)


def _fold(start: str, value: str) -> bytes | None:
    """`start` and the words of an ASCII value, broken before spaces; None when one word alone is too long a line."""
    if " " not in value:
        return f"{start} {value}\r\n".encode() if len(value) + 1 < _HARD_LINE - len(start) else None
    lines, line = [], start
    for word in re.findall(" *[^ ]+", " " + value):
        if len(word) >= _HARD_LINE - len(start):
            return None
        if len(line) + len(word) > _LINE and line != start:
            lines.append(line)
            line = ""
        line += word
    return "\r\n".join([*lines, line, ""]).encode()


def _encoded_words(value: str, used: int) -> str:
    """A value as encoded words of RFC 2047, the first on a line of which `used` characters are taken."""
    data = value.encode()
    words, start = [], 0
    room = _LINE - used
    while start < len(data):
        end = min(start + max(room - 12, 16) // 4 * 3, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:  # not inside a character
            end -= 1
        words.append("=?utf-8?b?" + binascii.b2a_base64(data[start:end], newline=False).decode() + "?=")
        start, room = end, _LINE - 1
    return "\r\n ".join(words)


def _address_header(name: str, person: str, mailbox: str) -> bytes:
    """A header with one address, and the name of who lives there."""
    person = person.strip(" ")
    if not person:
        return f"{name}: {mailbox}\r\n".encode()
    _refuse_control(name, person)
    shown = _phrase(person, len(name) + 2)
    tail = len(shown) - shown.rfind("\n") + (0 if "\n" in shown else len(name) + 2)
    gap = " " if tail + len(mailbox) + 3 <= _LINE else "\r\n "
    return f"{name}: {shown}{gap}<{mailbox}>\r\n".encode()


def _phrase(person: str, used: int) -> str:
    if "=?" in person or len(person) > _LINE - used or not _QUOTABLE.fullmatch(person):
        return _encoded_words(person, used)
    if _ATOMS.fullmatch(person):
        return person
    return '"' + person.replace("\\", "\\\\").replace('"', '\\"') + '"'


_sender_header = lru_cache(maxsize=256)(_address_header)  # a shop has few senders


@lru_cache(maxsize=256)
def _date(instant: datetime) -> bytes:
    return format_datetime(instant.astimezone(UTC)).encode()


@lru_cache(maxsize=1024)
def _checked_name(name: str) -> str:
    """A header's name in lower case. Rejected when it is none, or one that is not for others to write."""
    lower = name.lower()
    if not _HEADER_NAME.fullmatch(name):
        raise Rejected("A header of the mail has a name that is none.", reason=FailureReason.content)
    if lower in _OURS or lower.startswith(("content-", "resent-")):
        raise Rejected(f"The header {name} is written by outreach itself.", reason=FailureReason.content)
    return lower


def _extra_headers(pairs: Pairs) -> bytes:
    lines, seen = [], set()
    for name, value in pairs:
        lower = _checked_name(name)
        seen.add(lower)
        lines.append(_structured(name, value) if _STRUCTURED.fullmatch(lower) else header(name, value))
    if "auto-submitted" not in seen:
        lines.append(b"Auto-Submitted: auto-generated\r\n")
    return b"".join(lines)


def _structured(name: str, value: str) -> bytes:
    """A header whose value must reach the reader as it is."""
    _refuse_control(name, value)
    folded = _fold(f"{name}:", value.strip()) if value.isascii() and "=?" not in value else None
    if folded is None:
        raise Rejected(
            f"The header {name} must be plain ASCII, each word shorter than a line.", reason=FailureReason.content
        )
    return folded


# For a service that writes the mail itself.


class Written(NamedTuple):
    """What stands above such a mail: addresses and names checked, further headers on one line each, in ASCII."""

    sender: str
    sender_name: str
    to: str
    to_name: str
    reply_to: str
    headers: Pairs


def written(mail: Email, letterhead: Writer) -> Written:
    """A mail taken apart for a service that puts it together. Rejected when `compose` would reject it."""
    sender, to, reply_to = _addresses(mail, letterhead)
    own_sender = bool(mail.sender)
    sender_name = mail.sender_name if own_sender else mail.sender_name or letterhead.sender_name
    for name, value in (("From", sender_name), ("To", mail.to_name), ("Subject", mail.subject)):
        _refuse_control(name, value)
    for text in (mail.text, mail.html):
        _bytes_of(text)
    lines = _extra_headers(mail.headers).decode().replace("\r\n ", " ").splitlines()
    headers = tuple((name, value) for name, _, value in (line.partition(": ") for line in lines))
    return Written(sender, sender_name.strip(" "), to, mail.to_name.strip(" "), reply_to, headers)


def mailbox(person: str, mailbox: str) -> str:
    """An address with the name of who lives there, on one line in ASCII."""
    return _address_header("", person, mailbox).decode()[2:-2].replace("\r\n ", " ")


# The body.


def _body(mail: Email, boundary: bytes) -> bytes:
    """Everything after the common headers: one part, or the two as alternatives with the text first."""
    parts = []
    if mail.text.strip():
        parts.append(_part(b"plain", mail.text, boundary))
    if mail.html.strip():
        parts.append(_part(b"html", mail.html, boundary))
    if not parts:
        raise Rejected("The mail has neither a text nor HTML.", reason=FailureReason.content)
    if len(parts) == 1:
        return parts[0]
    frame = b'Content-Type: multipart/alternative; boundary="%b"\r\n\r\n--%b\r\n%b\r\n--%b\r\n%b\r\n--%b--\r\n'
    return frame % (boundary, boundary, parts[0], boundary, parts[1], boundary)


def _part(kind: bytes, text: str, boundary: bytes) -> bytes:
    """One part with its headers, in an encoding that passes every server: as it is, else quoted-printable for a text
    that people may read in it, and base64 for far scripts and for HTML (made in a quarter of the time).

    A boundary starts with =_, which neither quoted-printable nor base64 can contain."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    data = _bytes_of(text)
    far = (len(data) - len(text)) * 10 > len(data)  # about one byte in six is none of ASCII: base64 is shorter
    data = data.replace(b"\n", b"\r\n")
    if not data.endswith(b"\n"):
        data += b"\r\n"
    if _is_plain(text, data, boundary):
        encoding, encoded = b"7bit", data
    elif far or kind == b"html":
        encoding, encoded = b"base64", _base64(data)
    else:
        encoding, encoded = b"quoted-printable", binascii.b2a_qp(data)
    return b"Content-Type: text/%b; charset=utf-8\r\nContent-Transfer-Encoding: %b\r\n\r\n%b" % (
        kind,
        encoding,
        encoded,
    )


def _bytes_of(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise Rejected("The mail holds half a character (a lone surrogate).", reason=FailureReason.content) from None


def _is_plain(text: str, data: bytes, boundary: bytes) -> bool:
    """Whether every server passes it on as it is."""
    return (
        text.isascii()
        and not data.translate(None, _PLAIN)
        and boundary not in data
        and max(map(len, data.split(b"\r\n"))) < _HARD_LINE
    )


def _base64(data: bytes) -> bytes:
    encoded = binascii.b2a_base64(data, newline=False)
    whole, rest = divmod(len(encoded), _LINE)
    lines = struct.unpack_from(f"{_LINE}s" * whole, encoded)
    return b"\r\n".join((*lines, encoded[-rest:], b"") if rest else (*lines, b""))

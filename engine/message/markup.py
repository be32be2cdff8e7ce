"""HTML and MJML read as a run of tokens, each with its place in the text. No tree: mail is read as it is written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from functools import cached_property

from msgspec import Struct


class TokenKind(Enum):
    """What a token is."""

    open = "open"  # <a href="...">
    close = "close"  # </a>
    text = "text"
    raw = "raw"  # what stands inside <style>, <script>, <title> and their like
    comment = "comment"  # hidden from every reader
    condition = "condition"  # <!--[if mso]>, <![endif]-->: what is between them is read by Outlook
    other = "other"  # <!doctype ...>
    broken = "broken"  # a < that begins nothing


class Attribute(Struct, frozen=True):
    """One attribute. `start` is where its value begins (its name, when it has no value)."""

    name: str
    value: str
    start: int
    name_start: int


class Token(Struct, frozen=True, dict=True):
    """One token, from `start` to `end` of the text."""

    kind: TokenKind
    start: int
    end: int
    name: str = ""  # of an element, in lower case; of raw: the element it stands in
    inside: str = ""  # of an element: what stands behind its name
    inside_at: int = 0
    closed: bool = False  # <br/>

    @cached_property
    def attributes(self) -> tuple[Attribute, ...]:
        """Read when they are asked for: most elements of a mail are only passed by."""
        return tuple(_attributes(self.inside, self.inside_at))

    def attribute(self, name: str) -> Attribute | None:
        return next((found for found in self.attributes if found.name == name), None)


RAW = frozenset({"style", "script", "title", "textarea", "mj-style", "mj-title", "mj-preview"})


def words(text: str) -> frozenset[str]:
    """`"a b c"` as a set of words."""
    return frozenset(text.split())


VOID = words("area base br col embed hr img input link meta param source track wbr")

_TOKEN = re.compile(
    r"""(?P<comment><!--.*?(?:-->|\Z))
      | (?P<other><![^>]*>|<\?[^>]*>)
      | (?P<close></\s*(?P<closing>[a-zA-Z][\w:.-]*)[^>]*>)
      | (?P<open><(?P<opening>[a-zA-Z][\w:.-]*)(?P<attributes>(?:[^<>"']|"[^"]*"|'[^']*')*)>)
      | (?P<broken><)
      | (?P<text>[^<]+)""",
    re.DOTALL | re.VERBOSE,
)
_ATTRIBUTE = re.compile(
    r"""(?P<name>[^\s=/"'<>]+)(?:\s*=\s*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^\s"'<>]+)))?"""
)
_CONDITION = re.compile(r"<!--\s*\[if[^\]]*\]>", re.IGNORECASE)
_CONDITION_END = re.compile(r"<!\[endif\]\s*-->", re.IGNORECASE)
_REVEALED = re.compile(r"<!--\s*\[if[^\]]*\]><!\s*-->|<!--\s*<!\[endif\]\s*-->", re.IGNORECASE)
_KINDS = {kind.value: kind for kind in TokenKind}


def tokens(text: str, start: int = 0, end: int | None = None) -> Iterator[Token]:
    """The tokens of a piece of markup, one after the other, nothing left out."""
    position, stop = start, len(text) if end is None else end
    while position < stop:
        found = _TOKEN.match(text, position, stop)
        assert found is not None  # text, or a broken <, always matches
        position = found.end()
        match found.lastgroup:
            case "open":
                token = _open(found)
                yield token
                if token.name in RAW and not token.closed:
                    until = _end_of_raw(text, token.name, position, stop)
                    if until > position:
                        yield Token(TokenKind.raw, position, until, token.name)
                    position = until
            case "comment":
                yield from _comment(text, found.start(), position)
            case kind:
                yield Token(_KINDS[kind or ""], found.start(), position, (found["closing"] or "").lower())


def _end_of_raw(text: str, name: str, start: int, stop: int) -> int:
    closing = re.compile(rf"</\s*{re.escape(name)}\s*>", re.IGNORECASE).search(text, start, stop)
    return closing.start() if closing else stop


def _comment(text: str, start: int, end: int) -> Iterator[Token]:
    """A comment; one that Outlook reads is taken apart."""
    if _REVEALED.fullmatch(text, start, end):
        yield Token(TokenKind.condition, start, end)
        return
    head = _CONDITION.match(text, start, end)
    tail = next(_CONDITION_END.finditer(text, start, end), None) if head else None
    if head is None or tail is None:
        yield Token(TokenKind.comment, start, end)
        return
    yield Token(TokenKind.condition, start, head.end())
    yield from tokens(text, head.end(), tail.start())
    yield Token(TokenKind.condition, tail.start(), end)


def _open(found: re.Match[str]) -> Token:
    inside, offset = found["attributes"], found.start("attributes")
    closed = inside.rstrip().endswith("/")
    return Token(TokenKind.open, found.start(), found.end(), found["opening"].lower(), inside, offset, closed)


def _attributes(inside: str, offset: int) -> Iterator[Attribute]:
    for one in _ATTRIBUTE.finditer(inside):
        group = next((name for name in ("double", "single", "bare") if one[name] is not None), None)
        value, value_at = (one[group], one.start(group)) if group else ("", one.start("name"))
        yield Attribute(one["name"].lower(), value, offset + value_at, offset + one.start("name"))

"""The text part of a mail: its words in their order, links written out behind them, tags where they stood."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from inscriptis import get_text
from inscriptis.css_profiles import CSS_PROFILES
from inscriptis.model.config import ParserConfig

from engine.journey.problems import Position
from engine.message import mjml
from engine.message.markup import VOID, Token, TokenKind, words
from engine.message.pieces import MARK, Kind, Marked, Piece, Pieces, kept_apart, mark, wrapped

_BREAK = "zqbreakzq"
_LINK_MARK = re.compile(r"zqj(\d+)u?jqz")
_NOT_READ = frozenset({"head", "mj-head", "style", "script", "title", "mj-raw-head"})
_LINES = words("p div li ul ol h1 h2 h3 h4 h5 h6 blockquote hr br pre dl dt dd")
_ROWS = frozenset({"tr", "table", "mj-table", "tbody", "thead"})
_PARAGRAPHS = words("mj-text mj-table mj-social-element mj-navbar-link mj-accordion-title mj-accordion-text")
_STRUCTURE = frozenset({"", "html", "body", "table", "tbody", "thead", "tr", "ul", "ol", "mj-table"})


def text_of(source: Marked) -> Pieces:
    """The words of a mail, its links written out behind them."""
    writer = _Writer(source)
    for token, component in mjml.components(source):
        writer.take(token, component)
    config = ParserConfig(css=CSS_PROFILES["strict"], display_links=False)
    plain = get_text("<html><body>" + "".join(writer.parts) + "</body></html>", config)
    return tuple(kept_apart(_text_pieces(_tidied(plain, source), source)))


@dataclass
class _Writer:
    """Writes plain HTML of the readable words: no styles, no tables, no hidden things."""

    source: Marked
    parts: list[str] = field(default_factory=list)
    stack: list[str] = field(default_factory=list)
    skip: int = 0  # depth at which something unreadable was opened; 0: nothing
    hrefs: list[str] = field(default_factory=list)
    in_condition: bool = False

    def take(self, token: Token, component: str) -> None:
        text = self.source.text[token.start : token.end]
        if token.kind is TokenKind.condition:
            self.in_condition = not text.endswith("-->")
        elif self.in_condition or token.kind in (TokenKind.comment, TokenKind.other, TokenKind.raw):
            return
        elif token.kind is TokenKind.open:
            self._open(token)
        elif token.kind is TokenKind.close:
            self._close(token)
        elif not self.skip:
            self._text(text, component)

    def _open(self, token: Token) -> None:
        empty = token.closed or token.name in VOID
        if not empty:
            self.stack.append(token.name)
        if not self.skip:
            self._begin(token)
            if not empty and (token.name in _NOT_READ or _is_hidden(token)):
                self.skip = len(self.stack)

    def _begin(self, token: Token) -> None:
        name = token.name
        if name in ("a", "mj-button", "mj-navbar-link", "mj-social-element") and not token.closed:
            self.hrefs.append(_address(token))
        if name in _PARAGRAPHS or name == "mj-button":
            self.parts.append(f"<div>{_BREAK}</div><div>")
        elif name in ("img", "mj-image"):
            self._image(token)
        elif name in _LINES:
            self.parts.append(f"<{name}>")
        elif name in _ROWS:
            self.parts.append("<div>")
        elif name == "mj-divider":
            self.parts.append(f"<div>{_BREAK}</div><div>--</div>")

    def _close(self, token: Token) -> None:
        if token.name in self.stack:
            while self.stack and self.stack[-1] != token.name:
                self.stack.pop()
            depth = len(self.stack)
            self.stack.pop()
            if self.skip:
                self.skip = 0 if depth <= self.skip else self.skip
                return
            self._end(token.name)

    def _end(self, name: str) -> None:
        if name in ("a", "mj-button", "mj-navbar-link", "mj-social-element") and self.hrefs:
            href = self.hrefs.pop()
            if href:
                self.parts.append(f" &lt;{href}&gt;" if name == "a" else f": {href}")
        if name in _PARAGRAPHS or name == "mj-button" or name in _ROWS:
            self.parts.append("</div>")
        elif name in ("td", "th"):
            self.parts.append(" ")
        elif name in _LINES:
            self.parts.append(f"</{name}>")

    def _image(self, token: Token) -> None:
        alt = token.attribute("alt")
        if alt and alt.value.strip():
            href = _address(token)
            words = alt.value + (f" &lt;{href}&gt;" if href else "")
            self.parts.append(f"<div>{_BREAK}</div><div>{words}</div>" if token.name == "mj-image" else words)

    def _text(self, text: str, component: str) -> None:
        inner = self.stack[-1] if self.stack else ""
        apart = component in mjml.HOLDS_BLOCKS or inner in _STRUCTURE

        def stand(found: re.Match[str]) -> str:
            is_block = self.source.pieces[int(found[1])].kind is Kind.block
            return f"<div>{found[0]}</div>" if apart and is_block else found[0]

        self.parts.append(MARK.sub(stand, text))


def _is_hidden(token: Token) -> bool:
    style = token.attribute("style")
    return style is not None and re.search(r"display\s*:\s*none", style.value) is not None


def _address(token: Token) -> str:
    """Where an element leads, when that is worth writing out."""
    href = token.attribute("href")
    if href is None or not href.value or href.value.startswith(("#", "mailto:", "tel:")):
        return ""
    return MARK.sub(lambda found: f"zqj{found[1]}ujqz", href.value)


def _tidied(plain: str, source: Marked) -> str:
    """Lines without trailing space, at most one empty line together, and no line for a block alone."""
    lines: list[str] = []
    carried = ""
    for line in plain.split("\n"):
        line = line.strip().replace(_BREAK, "")
        if line and not _LINK_MARK.sub("", line).strip() and _only_blocks(line, source):
            carried += re.sub(r"\s", "", line)
        elif carried or line or (lines and lines[-1]):
            lines.append(carried + line)
            carried = ""
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines).strip("\n")) + ("\n" + carried if carried else "")


def _only_blocks(line: str, source: Marked) -> bool:
    return all(source.pieces[int(found[1])].kind is Kind.block for found in _LINK_MARK.finditer(line))


def _text_pieces(plain: str, source: Marked) -> Iterator[Piece]:
    at = Position(source.origins[0].at.file)
    position = 0
    for found in _LINK_MARK.finditer(plain):
        if found.start() > position:
            yield Piece(Kind.data, plain[position : found.start()], at)
        piece = source.pieces[int(found[1])]
        if (
            found[0] != mark(int(found[1]))
            and piece.kind is Kind.value
            and plain[max(found.start() - 2, 0) : found.start()].endswith(("<", ": "))
        ):
            yield from wrapped(piece, "_link")
        elif piece.kind is Kind.phrase and re.search(r"[<&]", piece.text):
            yield from wrapped(piece, "_as_text")
        else:
            yield piece
        position = found.end()
    if position < len(plain):
        yield Piece(Kind.data, plain[position:], at)

"""A template's text cut into what stands there and what is to be filled in, each piece with its place in its file.

From pieces a text is built in which every tag begins on a line of its own, so that a line number of Jinja's leads back
to file, line and column.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property, lru_cache
from html import unescape

from jinja2 import TemplateSyntaxError
from jinja2.lexer import TOKEN_DATA, Lexer
from jinja2.lexer import Token as Word

from engine.journey.problems import Position, Problem
from engine.journey.source import hint_for
from engine.message.bidi import stands_alone
from engine.message.compiled import Lines
from engine.message.markup import Token, tokens
from engine.message.sandbox import Environment

MOST_BLOCKS = 12  # if, for and with inside each other
MOST_TAGS = 2_000  # of one file
LONGEST_TAG = 5_000  # characters


class Kind(Enum):
    """What a piece is."""

    data = "data"  # stands there as it is
    value = "value"  # {{ ... }}
    block = "block"  # {% ... %}
    phrase = "phrase"  # {% trans %} ... {% endtrans %}, whole


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece. `text` is the data itself, the code between the braces, or a whole phrase."""

    kind: Kind
    text: str
    at: Position

    @property
    def word(self) -> str:
        """The first word of a block: if, for, endfor."""
        found = re.match(r"\s*(\w+)", self.text) if self.kind is Kind.block else None
        return found[1] if found else ""

    def place(self, offset: int) -> Position:
        """Where a character of data stands."""
        return _place(self.at, self.text, offset)


def _place(start: Position, text: str, offset: int) -> Position:
    breaks = text.count("\n", 0, offset)
    if not breaks:
        return Position(start.file, start.line, start.column + offset)
    return Position(start.file, start.line + breaks, offset - text.rfind("\n", 0, offset))


Pieces = tuple[Piece, ...]


class Unreadable(Exception):
    """A text that cannot be cut into pieces, or whose layouts cannot be put together."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.sentence)
        self.problem = problem


# --- cutting


def cut(environment: Environment, text: str, start: Position) -> Pieces:
    """Cut a template at its tags. Comments vanish; a line that holds nothing but blocks vanishes around them."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _without_block_lines(tuple(_phrases(_measured(_tokens(environment, text, start)))))


def _measured(cut_tokens: Iterable[_Token]) -> Iterator[_Token]:
    """No more and no longer tags than somebody could have meant."""
    tags = 0
    for token in cut_tokens:
        tags += token.kind != "data"
        if tags > MOST_TAGS:
            sentence = f"the text has more than {MOST_TAGS:,} tags"
            raise Unreadable(Problem("too-large", sentence, token.at, "use a loop, or divide the text"))
        if token.kind != "data" and len(token.text) > LONGEST_TAG:
            sentence = f"a tag is longer than {LONGEST_TAG:,} characters"
            raise Unreadable(Problem("too-large", sentence, token.at, "divide it with `set`"))
        yield token


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # data, value, block, comment
    text: str
    whole: str  # as written, braces included
    at: Position


def _tokens(environment: Environment, text: str, start: Position) -> Iterator[_Token]:
    """Data and tags in the order they are written, by Jinja's own lexer."""
    position, opened, begin, code_start = 0, "", 0, 0
    try:
        for _, token, value in environment.lex(text):
            found = text.index(value, position)
            end = found + len(value)
            match token:
                case "data":
                    yield _Token("data", value, value, _place(start, text, found))
                case "variable_begin" | "block_begin" | "comment_begin":
                    opened, begin, code_start = token.partition("_")[0], found, end
                case "variable_end" | "block_end" | "comment_end":
                    kind = {"variable": "value"}.get(opened, opened)
                    yield _Token(kind, text[code_start:found], text[begin:end], _place(start, text, begin))
            position = end
            opened = opened if token.endswith("_begin") or not token.endswith("_end") else ""
        if opened:
            raise Unreadable(_never_closed(opened, _place(start, text, begin)))
    except TemplateSyntaxError as error:
        raise Unreadable(syntax_problem(error, _strange_sign(text, error, start))) from None


def _strange_sign(text: str, error: TemplateSyntaxError, start: Position) -> Position:
    """Where Jinja's lexer stopped, as near as it says: it counts characters for some complaints, lines for all."""
    if found := re.search(r"unexpected char .* at (\d+)$", error.message or ""):
        return _place(start, text, int(found[1]))
    line = text.split("\n")[error.lineno - 1 : error.lineno]
    half = re.search(r"\{\{[^{}]*\}(?!\})", line[0]) if line else None
    before = half.start() if half else 0
    first = start.column if error.lineno == 1 else 1
    return Position(start.file, start.line + error.lineno - 1, first + before)


def _never_closed(opened: str, at: Position) -> Problem:
    braces = {"variable": ("{{", "}}"), "block": ("{%", "%}"), "comment": ("{#", "#}")}[opened]
    return Problem("template-syntax", f"{braces[0]} is opened and never closed", at, f"write {braces[1]} where it ends")


def syntax_problem(error: TemplateSyntaxError, position: Position) -> Problem:
    """Jinja's complaint, at the place it is about."""
    code = "tag-not-allowed" if type(error).__name__ == "NotAllowed" else "template-syntax"
    message = (error.message or "this is not understood").rstrip(".")
    sentence, hint = _plain(message[:1].lower() + message[1:])
    usual = (
        _TAGS
        if code == "tag-not-allowed"
        else "write {{ value }}, {{ value | filter }} or {% if ... %} ... {% endif %}"
    )
    return Problem(code, sentence, position, hint or usual)


_TAGS = "texts know if, for, set, with, trans, block, extends and include"


def _plain(message: str) -> tuple[str, str]:
    if found := re.match(r"encountered unknown tag '(\w+)'", message):
        hint = hint_for(
            found[1], ("if", "elif", "else", "endif", "for", "endfor", "set", "endset", "with", "trans", "endtrans")
        )
        if found[1].startswith("end") or found[1] in ("else", "elif"):
            sentence = f"`{found[1]}` ends something that was not begun here"
            return (
                sentence,
                "take it out, or write what it ends above it" if hint == f"did you mean `{found[1]}`?" else hint,
            )
        return f"`{found[1]}` is not a tag of texts", hint
    if "unexpected end of template" in message:
        opened = re.search(r"innermost block that needs to be closed is '(\w+)'", message)
        name = opened[1] if opened else "block"
        return f"`{name}` is opened and never closed", f"write {{% end{name} %}} where it ends"
    if found := re.match(r"missing end of (\w+) tag", message):
        return f"a {found[1]} is opened and never closed", "close it with #}"
    if found := re.match(r"unexpected char '(.)' at", message):
        quotes = found[1] in "‘’“”„«»「」＇＂"
        hint = "write plain quotes: ' or \"" if quotes else "texts stand outside of tags, or in quotes"
        return f"the sign {found[1]} cannot stand inside a tag", hint
    if message == "unexpected '}'":
        return "a value is closed with one brace", "write }} where it ends"
    if found := re.match(r"expected token 'end of print statement', got '(.*)'", message):
        return (
            f"after a value only }}}} or a filter may follow, not `{found[1]}`",
            "write {{ name }} or {{ name | filter }}",
        )
    return message, ""


def _phrases(cut_tokens: Iterable[_Token]) -> Iterator[Piece]:
    """Tags as pieces; everything from {% trans %} to {% endtrans %} is one."""
    phrase: list[_Token] = []
    for token in cut_tokens:
        word = _first_word(token) if token.kind == "block" else ""
        if phrase or word == "trans":
            phrase.append(token)
            if word == "endtrans":
                yield Piece(Kind.phrase, _one_phrase(phrase), phrase[0].at)
                phrase = []
        elif token.kind != "comment":
            yield Piece(Kind(token.kind), token.text, token.at)
        else:
            yield Piece(Kind.block, "", token.at)  # taken out with its line
    if phrase:
        sentence = "`trans` is opened and never closed"
        raise Unreadable(Problem("template-syntax", sentence, phrase[0].at, "write {% endtrans %} where it ends"))


def _first_word(token: _Token) -> str:
    found = re.match(r"\s*(\w+)", token.text)
    return found[1] if found else ""


def _one_phrase(phrase: Sequence[_Token]) -> str:
    """The phrase as Jinja shall read it, without the signs that strip space around it."""
    parts = []
    for token in phrase:
        match token.kind:
            case "data":
                parts.append(token.text)
            case "block":
                parts.append(f"{{% {token.text.strip()} %}}")
            case "value":
                parts.append(f"{{{{ {token.text.strip()} }}}}")
    return "".join(parts)


def _without_block_lines(pieces: Pieces) -> Pieces:
    """`{% if x %}` alone on its line leaves no empty line behind."""
    result: list[Piece] = []
    for index, piece in enumerate(pieces):
        if piece.kind is not Kind.data:
            if piece.kind is not Kind.block or piece.text:
                result.append(piece)
            continue
        text, at = piece.text, piece.at
        if index and _alone_before(pieces, index) and (end := re.match(r"[ \t]*\n", text)):
            at, text = piece.place(end.end()), text[end.end() :]
        if index + 1 < len(pieces) and _alone_after(pieces, index) and (tail := re.search(r"(?:^|\n)([ \t]+)$", text)):
            text = text[: tail.start(1)] if tail.start() or _line_begins(result) else text
        if text:
            result.append(Piece(Kind.data, text, at))
    return tuple(result)


def _line_begins(before: Sequence[Piece]) -> bool:
    return not before or before[-1].text.endswith("\n")


def _alone_before(pieces: Pieces, index: int) -> bool:
    """True when from the beginning of the line up to this data there are blocks only."""
    blocks = False
    for piece in reversed(pieces[:index]):
        if piece.kind is Kind.data:
            line = piece.text.rpartition("\n")
            if line[2].strip():
                return False
            if line[1]:
                return blocks
        elif piece.kind is not Kind.block:
            return False
        else:
            blocks = True
    return blocks


def _alone_after(pieces: Pieces, index: int) -> bool:
    """True when from the end of this data up to the end of the line there are blocks only."""
    for piece in pieces[index + 1 :]:
        if piece.kind is Kind.data:
            line = piece.text.partition("\n")
            if line[0].strip():
                return False
            if line[1]:
                return True
        elif piece.kind is not Kind.block:
            return False
    return True


def deepest(pieces: Pieces) -> Piece | None:
    """The first block that stands deeper inside others than blocks may."""
    depth = 0
    for piece in pieces:
        depth += {"if": 1, "for": 1, "with": 1, "endif": -1, "endfor": -1, "endwith": -1}.get(piece.word, 0)
        if depth > MOST_BLOCKS:
            return piece
    return None


def never_closed(pieces: Pieces) -> Piece | None:
    """The innermost block that is opened and never closed; layouts may go on after it."""
    opened: list[Piece] = []
    for piece in pieces:
        if piece.word in ("if", "for", "with"):
            opened.append(piece)
        elif piece.word in ("endif", "endfor", "endwith") and opened and opened[-1].word == piece.word[3:]:
            opened.pop()
    return opened[-1] if opened else None


# --- the whole as one string, for those who read markup


@dataclass(frozen=True)
class Marked:
    """Pieces as one string in which a short word stands for each tag. Offsets lead back to files."""

    text: str
    pieces: Pieces  # the tags, by number
    starts: Sequence[int]
    origins: Pieces

    @cached_property
    def tokens(self) -> Sequence[Token]:
        """The string read as markup, once for all who walk it."""
        return tuple(tokens(self.text))

    def at(self, offset: int) -> Position:
        index = max(bisect_right(self.starts, offset) - 1, 0)
        origin = self.origins[index]
        return origin.place(offset - self.starts[index]) if origin.kind is Kind.data else origin.at


MARK = re.compile(r"zqj(\d+)jqz")


def mark(number: int) -> str:
    """The word that stands for a tag."""
    return f"zqj{number}jqz"


def marked(pieces: Pieces, start: Position) -> Marked:
    """The pieces of a text that begins at `start` as one string. Data that holds such a word has it broken in two."""
    tags: list[Piece] = []
    starts: list[int] = []
    parts: list[str] = []
    offset = 0
    for piece in pieces:
        text = piece.text.replace("zqj", "zq\u200dj") if piece.kind is Kind.data else mark(len(tags))
        if piece.kind is not Kind.data:
            tags.append(piece)
        starts.append(offset)
        parts.append(text)
        offset += len(text)
    return Marked("".join(parts), tuple(tags), starts or [0], pieces or (Piece(Kind.data, "", start),))


# --- building


@dataclass(frozen=True)
class Built:
    """A text as Jinja's parser reads it, word by word, and where its lines come from."""

    words: Iterable[Word]
    lines: Lines


def build(environment: Environment, pieces: Iterable[Piece]) -> Built:
    """Pieces as one text. Every tag has a new line inside its braces, which changes line numbers only."""
    texts: list[tuple[Kind, str, int]] = []
    starts: list[int] = []
    places: list[Position] = []
    line = 1
    for piece in pieces:
        text = _written(piece)
        if piece.kind is not Kind.data:
            starts.append(line + 1)
            places.append(piece.at)
        elif not starts:
            starts.append(1)
            places.append(piece.at)
        texts.append((piece.kind, text, line))
        line += text.count("\n")
    if texts and texts[-1][0] is Kind.data:  # the line break at the very end is none that anybody wants
        texts[-1] = Kind.data, texts[-1][1].removesuffix("\n"), texts[-1][2]
    return Built(_words(environment.lexer, texts), Lines(starts or [1], places or [Position("")]))


def _words(lexer: Lexer, texts: Iterable[tuple[Kind, str, int]]) -> Iterator[Word]:
    """The words of tags, and what stands between them as one word each. Read as far as the parser comes."""
    for kind, text, line in texts:
        if kind is not Kind.data:
            for word in _words_of_tag(lexer, text, line):
                yield Word(word.lineno + line - 1, word.type, word.value)
        elif text:
            yield Word(line, TOKEN_DATA, text)


def _words_of_tag(lexer: Lexer, text: str, line: int) -> Sequence[Word]:
    """The words of one tag: the same tags stand in layouts again and again."""
    try:
        return _words_known(lexer, text)
    except TemplateSyntaxError as error:
        raise TemplateSyntaxError(error.message or "", error.lineno + line - 1) from None


@lru_cache(maxsize=4_096)
def _words_known(lexer: Lexer, text: str) -> Sequence[Word]:
    return tuple(lexer.wrap(lexer.tokeniter(text, None)))


def _written(piece: Piece) -> str:
    match piece.kind:
        case Kind.data:
            return piece.text.replace("\r\n", "\n").replace("\r", "\n")
        case Kind.value:
            return "{{\n" + piece.text + " }}"
        case Kind.block:
            return "{%\n" + piece.text + " %}"
        case Kind.phrase:
            return piece.text.replace("{%", "{%\n", 1)


def wrapped(piece: Piece, filter_name: str) -> tuple[Piece, ...]:
    """A value or phrase sent through one more filter."""
    if piece.kind is Kind.value:
        return (replace(piece, text=f"({piece.text})|{filter_name}"),)
    opened, closed = Piece(Kind.block, f"filter {filter_name}", piece.at), Piece(Kind.block, "endfilter", piece.at)
    return (opened, piece, closed)


def kept_apart(pieces: Iterable[Piece], is_html: bool = False) -> Iterator[Piece]:
    """A text whose values, where they are words of their own, do not move what stands beside them."""
    whole = list(pieces)
    for index, piece in enumerate(whole):
        if piece.kind is not Kind.value or piece.text.strip() == "super()":
            yield piece
            continue
        before, after = _beside(reversed(whole[:index])), _beside(whole[index + 1 :])
        if before is None or after is None:
            yield piece
            continue
        before, after = (unescape(before), unescape(after)) if is_html else (before, after)
        yield from wrapped(piece, "_apart") if stands_alone(before, after) else (piece,)


def _beside(pieces: Iterable[Piece]) -> str | None:
    """The data next to a value; blocks between do not count. None where another value is."""
    for piece in pieces:
        if piece.kind is Kind.data:
            return piece.text
        if piece.kind is not Kind.block:
            return None
    return ""

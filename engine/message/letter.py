"""The body of a mail: MJML or HTML with tags becomes HTML ready to be filled in, and a text part of the same words.

While mrml and css-inline work, a plain word stands for each tag, or a comment where words may not stand; afterwards
the tags return. Each of them is then guarded by what surrounds it: an address at the head of a link must have a safe
scheme, a value inside a style may not leave it. Styles of MJML are inlined where its author says so (`mj-style
inline`); those of plain HTML all are, except what only a style sheet can say.
"""

from __future__ import annotations

import html as entities
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import css_inline
import mrml

from engine.journey.problems import Position, Problem, Severity
from engine.message import elements, mjml
from engine.message.elements import DEEPEST
from engine.message.links import bad_scheme
from engine.message.locale import direction
from engine.message.markup import VOID, Attribute, Token, TokenKind, tokens
from engine.message.mirror import mirrored, says_direction, with_language
from engine.message.pieces import MARK, Kind, Marked, Piece, Pieces, kept_apart, marked, wrapped
from engine.message.plain import text_of

ADDRESSES = frozenset({"href", "src", "background", "background-url", "action", "formaction", "poster", "cite", "data"})
_DEAD = frozenset({"script", "iframe", "object", "embed", "applet", "base", "frame", "frameset"})
Run = list[tuple[Token, str]]  # the tokens of a text, each with the component of MJML it stands in

_HIDDEN = "display:none;font-size:1px;line-height:1px;max-height:0;max-width:0;opacity:0;overflow:hidden"


@dataclass(frozen=True)
class Letter:
    """HTML and text of one mail, as pieces."""

    html: Pieces
    text: Pieces
    problems: tuple[Problem, ...]

    @property
    def is_wrong(self) -> bool:
        return any(problem.severity is Severity.error for problem in self.problems)


def letter(pieces: Pieces, start: Position, is_mjml: bool, locale: str) -> Letter:
    """Both parts of a mail in the language of a locale. When it is wrong, they may be empty."""
    source = marked(pieces, start)
    problems = mjml.problems_of(source) if is_mjml else []
    prepared, found = _prepared(source)
    problems += found + elements.problems_of(source, is_mjml)
    unfit = Letter((), (), tuple(problems))
    if unfit.is_wrong:
        return unfit
    html, broken = _expanded(_speaking(prepared, is_mjml, locale), is_mjml, source)
    if broken:
        return Letter((), (), (broken,))
    if not is_mjml:
        html = with_language(html, locale, direction(locale))
    if direction(locale) == "rtl" and not says_direction(source.tokens):
        html = mirrored(html)
    problems += _lost(source, html)
    return Letter(tuple(_filled_html(html, source)), text_of(source), tuple(problems))


def with_preheader(pieces: Pieces) -> Pieces:
    """The line that inboxes show after the subject: hidden at the head of the body, unless the text places it."""
    if any(piece.kind is not Kind.data and re.search(r"\bpreheader\b", piece.text) for piece in pieces):
        return pieces
    result: list[Piece] = []
    done = False
    for piece in pieces:
        body = re.search(r"<body[^>]*>", piece.text) if piece.kind is Kind.data and not done else None
        if body is None:
            result.append(piece)
            continue
        done, at = True, piece.place(body.end())
        result.append(Piece(Kind.data, piece.text[: body.end()] + f'<div style="{_HIDDEN}">', piece.at))
        result.append(Piece(Kind.value, "preheader", at))
        result.append(Piece(Kind.data, "</div>" + piece.text[body.end() :], at))
    return tuple(result)


# --- before: words for tags


@dataclass
class _Preparing:
    source: Marked
    problems: list[Problem] = field(default_factory=list)
    in_condition: bool = False  # inside what only Outlook reads
    tables: list[bool] = field(default_factory=list)  # the open tables: whether we gave them a tbody
    depth: int = 0  # of elements inside each other

    def note(self, code: str, sentence: str, offset: int, hint: str) -> None:
        self.problems.append(Problem(code, sentence, self.source.at(offset), hint))


def _prepared(source: Marked) -> tuple[str, list[Problem]]:
    """The text as mrml and css-inline may read it, and what in it mail cannot hold."""
    state = _Preparing(source)
    run = list(mjml.components(source))
    parts = [_prepare(state, run, index) for index in range(len(run))]
    return "".join(parts), state.problems


def _prepare(state: _Preparing, run: Run, index: int) -> str:
    token, component = run[index]
    text = state.source.text[token.start : token.end]
    match token.kind:
        case TokenKind.comment:
            if MARK.search(text):
                hint = "use {# ... #} for what nobody shall read"
                state.note("tag-in-comment", "a tag stands inside an HTML comment", token.start, hint)
            return ""
        case TokenKind.condition:
            state.in_condition = not text.endswith("-->")
            return text
        case TokenKind.open:
            _check_element(state, token)
            _check_depth(state, token)
            return text + _table_opens(state, run, index)
        case TokenKind.close:
            state.depth = max(state.depth - 1, 0)
            return _table_closes(state, token) + text
        case TokenKind.raw if token.name == "mj-style":
            return text.replace("&gt;", ">").replace("&quot;", '"')
        case TokenKind.text if not state.in_condition:
            words = text.replace(">", "&gt;")  # mrml dies of a bare one after a Chinese character
            return MARK.sub(lambda found: _standing(state.source, found, component), words)
    return text


def _standing(source: Marked, found: re.Match[str], component: str) -> str:
    """How a tag stands among text: a value as a word, a block as a comment, either in an mj-raw between components."""
    is_block = source.pieces[int(found[1])].kind is Kind.block
    word = f"<!--{found[0]}-->" if is_block else found[0]
    return f"<mj-raw>{word}</mj-raw>" if component in mjml.HOLDS_BLOCKS else word


def _check_depth(state: _Preparing, token: Token) -> None:
    """Readers of MJML and HTML call themselves for each level, and a process has only so much room for that."""
    state.depth += 0 if token.closed or token.name in VOID else 1
    if state.depth == DEEPEST:
        sentence = f"elements stand more than {DEEPEST} deep inside each other"
        state.note("html-too-deep", sentence, token.start, "close what is open, or say it with fewer")


def _table_opens(state: _Preparing, run: Run, index: int) -> str:
    """Readers of HTML put a tbody around rows, but after the first loop tag; so it is put there before."""
    token = run[index][0]
    if token.name not in ("table", "mj-table") or token.closed:
        return ""
    later = (one for one, _ in islice(run, index + 1, None))
    following = next((one for one in later if one.kind in (TokenKind.open, TokenKind.close)), None)
    needs = following is not None and following.kind is TokenKind.open and following.name == "tr"
    state.tables.append(needs)
    return "<tbody>" if needs else ""


def _table_closes(state: _Preparing, token: Token) -> str:
    if token.name not in ("table", "mj-table") or not state.tables:
        return ""
    return "</tbody>" if state.tables.pop() else ""


def _check_element(state: _Preparing, token: Token) -> None:
    is_refresh = token.name == "meta" and (name := token.attribute("http-equiv")) and name.value.lower() == "refresh"
    if token.name in _DEAD or is_refresh:
        state.note("script-in-mail", f"<{token.name}> does nothing in a mail", token.start, "take it out")
    for attribute in token.attributes:
        if MARK.search(attribute.name):
            hint = "put it inside the quotes of an attribute's value"
            state.note("tag-between-attributes", "a tag stands between attributes", attribute.name_start, hint)
            return
        elif re.fullmatch(r"on[a-z]+", attribute.name):
            state.note(
                "script-in-mail", f"`{attribute.name}` does nothing in a mail", attribute.name_start, "take it out"
            )
        elif attribute.name in ADDRESSES and (scheme := bad_scheme(_literal_head(attribute.value))):
            hint = "links begin with https:, http:, mailto: or tel:"
            state.note("bad-link-scheme", f"a link begins with `{scheme}:`", attribute.start, hint)


def _literal_head(value: str) -> str:
    return entities.unescape(MARK.split(value)[0])


def _speaking(prepared: str, is_mjml: bool, locale: str) -> str:
    """MJML whose root says language and direction: it hands them on to the elements that need them."""
    return with_language(prepared, locale, direction(locale)) if is_mjml else prepared


# --- between: MJML to HTML, styles to their elements


def _expanded(prepared: str, is_mjml: bool, source: Marked) -> tuple[str, Problem | None]:
    if not is_mjml:
        inliner = css_inline.CSSInliner(
            load_remote_stylesheets=False, keep_style_tags=True, remove_inlined_selectors=True
        )
        return inliner.inline(prepared), None
    try:
        html = mrml.to_html(prepared, render_options=mrml.RenderOptions(fonts={})).content
    except OSError as error:
        sentence = f"this is not MJML: {_mrml_words(str(error))}"
        return "", Problem("mjml-broken", sentence, source.at(0), "compare each tag with its closing tag")
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # how a panic of Rust arrives: no Exception, and of no module
            raise
        sentence = "the reader of MJML breaks at a `>` after a letter that is not ASCII, inside a comment or a style"
        return "", Problem("mjml-broken", sentence, source.at(0), "write it as &gt; or without it")
    tidy = css_inline.CSSInliner(load_remote_stylesheets=False, inline_style_tags=False, keep_style_tags=True)
    return tidy.inline(html), None


def _mrml_words(text: str) -> str:
    return re.sub(r" in root template.*", "", text)


def _lost(source: Marked, html: str) -> Iterator[Problem]:
    """Tags that stood where MJML keeps nothing."""
    there = {int(found[1]) for found in MARK.finditer(html)}
    defaults = _in_defaults(source)
    for number, piece in enumerate(source.pieces):
        if number not in there and number not in defaults:
            hint = "put it into an mj-text, mj-raw or the value of an attribute that is used"
            yield Problem("lost-tag", "MJML keeps nothing of this place, so the tag would be lost", piece.at, hint)


def _in_defaults(source: Marked) -> set[int]:
    """Tags in mj-attributes: defaults that may go unused."""
    start, end = source.text.find("<mj-attributes"), source.text.find("</mj-attributes>")
    return {int(found[1]) for found in MARK.finditer(source.text, max(start, 0), max(end, 0))}


# --- after: tags return, guarded by their place


def _filled_html(html: str, source: Marked) -> Iterator[Piece]:
    nowhere = Position(source.origins[0].at.file)
    begun = 0  # what has no tags between here and the next token that has
    for token in tokens(html):
        found = MARK.search(html, token.start, token.end)
        if found is None:
            continue
        if begun < token.start:
            yield Piece(Kind.data, html[begun : token.start], nowhere)
        begun = token.end
        yield from _filled_token(html, token, int(found[1]), source, nowhere)
    if begun < len(html):
        yield Piece(Kind.data, html[begun:], nowhere)


def _filled_token(html: str, token: Token, first: int, source: Marked, at: Position) -> Iterable[Piece]:
    """A token in which tags stand, the first of them by its number."""
    text = html[token.start : token.end]
    if token.kind is TokenKind.comment:
        return (source.pieces[first],)
    if token.kind is TokenKind.open:
        return _filled_element(html, token, source, at)
    if token.kind is TokenKind.raw and token.name == "style":
        return _filled_style(text, source, at)
    if token.kind is TokenKind.text:
        return kept_apart(_restored(text, source, at), is_html=True)
    return _restored(text, source, at)


def _restored(text: str, source: Marked, at: Position) -> Iterator[Piece]:
    position = 0
    for found in MARK.finditer(text):
        if found.start() > position:
            yield Piece(Kind.data, text[position : found.start()], at)
        yield source.pieces[int(found[1])]
        position = found.end()
    if position < len(text):
        yield Piece(Kind.data, text[position:], at)


def _filled_element(html: str, token: Token, source: Marked, at: Position) -> Iterator[Piece]:
    position = token.start
    for attribute in token.attributes:
        if not MARK.search(attribute.value):
            continue
        end = attribute.start + len(attribute.value)
        yield from _restored(html[position : attribute.start], source, at)
        yield from _filled_value(attribute, source, at)
        position = end
    yield from _restored(html[position : token.end], source, at)


def _filled_value(attribute: Attribute, source: Marked, at: Position) -> Iterator[Piece]:
    if attribute.name == "style":
        yield from _filled_style(attribute.value, source, at)
    elif attribute.name in ADDRESSES:
        yield from _guarded_address(list(_restored(attribute.value, source, at)))
    else:
        yield from _restored(attribute.value, source, at)


def _guarded_address(pieces: list[Piece]) -> Iterable[Piece]:
    """An address is checked at its head when it is not written out there."""
    first = pieces[0]
    if first.kind is Kind.data and first.text.strip():
        return pieces
    if any(piece.kind is Kind.block for piece in pieces):
        opened = Piece(Kind.block, "filter _link", first.at)
        return [opened, *pieces, Piece(Kind.block, "endfilter", first.at)]
    return [*wrapped(first, "_link"), *pieces[1:]]


def _filled_style(text: str, source: Marked, at: Position) -> Iterator[Piece]:
    before = ""
    for piece in _restored(text, source, at):
        if piece.kind is Kind.data:
            before = piece.text
            yield piece
        elif piece.kind is Kind.block:
            yield piece
        else:
            in_url = re.search(r"url\(\s*(?:['\"]|&quot;|&#39;)?\s*\Z", before)
            yield from wrapped(piece, "_css_url" if in_url else "_css")
            before = ""

"""Mails for those who read from right to left: the same layout, seen in a mirror.

Left and right change places in alignments, paddings, borders, floats and the order of columns, in elements and in style
sheets. What an element says about its direction goes before: inside `dir="ltr"` nothing is mirrored, and a mail that
says `dir` at its head is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from engine.message.markup import VOID, Token, TokenKind, tokens

_DECLARATION: Final = re.compile(r"(?<![\w-])([a-z-]+)(\s*:\s*)([^;{}\"<>]*)", re.IGNORECASE)
_SIDED: Final = re.compile(
    r"(?:(?:padding|margin|border|mso-padding|mso-border)(?:-\w+)*-)?(?:left|right)(?:-\w+)?(?:-\w+)?"
)
_SIDES: Final = re.compile(r"\b(left|right)\b", re.IGNORECASE)
_WAYS: Final = re.compile(r"\b(ltr|rtl)\b", re.IGNORECASE)
_FOUR: Final = frozenset(
    {"padding", "margin", "border-width", "border-style", "border-color", "mso-padding-alt", "inset"}
)
_WORDS: Final = frozenset({"text-align", "float", "clear", "background-position", "background-position-x"})
_OTHER: Final = {"left": "right", "right": "left", "ltr": "rtl", "rtl": "ltr"}


def mirrored(html: str) -> str:
    """A page with left and right changed. Its words, links and pictures stay."""
    return "".join(_parts(html))


def _parts(html: str) -> Iterator[str]:
    kept: tuple[str, int] | None = None  # an element that keeps its direction, and how deep we are in its like
    for token in tokens(html):
        text = html[token.start : token.end]
        if kept is not None:
            kept = _inside(kept, token)
            yield text
        elif token.kind is TokenKind.open:
            kept = _keeps(token)
            yield text if kept else _element(text, token)
        elif token.kind is TokenKind.raw and token.name == "style":
            yield mirrored_css(text)
        else:
            yield text


def _keeps(token: Token) -> tuple[str, int] | None:
    says = token.attribute("dir")
    if says is None or says.value.lower() != "ltr" or token.closed or token.name in VOID:
        return None
    return token.name, 1


def _inside(kept: tuple[str, int], token: Token) -> tuple[str, int] | None:
    name, depth = kept
    if token.name == name and token.kind is TokenKind.open and not token.closed:
        depth += 1
    elif token.name == name and token.kind is TokenKind.close:
        depth -= 1
    return (name, depth) if depth else None


def _element(text: str, token: Token) -> str:
    for attribute in reversed(token.attributes):
        change: Callable[[str], str] | None = {"style": mirrored_css, "align": _sides}.get(attribute.name)
        if change is not None and attribute.value:
            start = attribute.start - token.start
            end = start + len(attribute.value)
            text = text[:start] + change(attribute.value) + text[end:]
    return text


def mirrored_css(css: str) -> str:
    """Declarations with left and right changed."""
    return _DECLARATION.sub(_declaration, css)


def _declaration(found: re.Match[str]) -> str:
    name, colon, value = found.groups()
    plain = name.lower()
    if plain == "direction":
        value = _WAYS.sub(_swapped, value)
    elif plain in _WORDS:
        value = _sides(value)
    elif plain in _FOUR:
        value = _four(value)
    elif plain == "border-radius":
        value = _corners(value)
    elif _SIDED.fullmatch(plain):
        name = _sides(name)
    return f"{name}{colon}{value}"


def _swapped(found: re.Match[str]) -> str:
    return _OTHER[found[0].lower()]


def _sides(text: str) -> str:
    return _SIDES.sub(_swapped, text)


def _four(value: str) -> str:
    """`top right bottom left`, and nothing to change where there are fewer."""
    parts, rest = _split(value)
    if len(parts) != 4:
        return value
    return " ".join((parts[0], parts[3], parts[2], parts[1])) + rest


def _corners(value: str) -> str:
    """`top-left top-right bottom-right bottom-left`, or fewer; with a / the rounder ones, which stay."""
    parts, rest = _split(value)
    match parts:
        case [one, two]:
            parts = [two, one]
        case [one, two, three]:
            parts = [two, one, two, three]
        case [one, two, three, four]:
            parts = [two, one, four, three]
        case _:
            return value
    return value if "/" in value else " ".join(parts) + rest


def _split(value: str) -> tuple[list[str], str]:
    """The parts of a value, `rgb(1, 2, 3)` being one; and what stands behind them: a space, `!important`."""
    body = re.match(r"(.*?)(\s*(?:!\s*important)?\s*)\Z", value, re.IGNORECASE | re.DOTALL)
    assert body is not None  # everything has a rest, an empty one at least
    return re.findall(r"[^\s(]+(?:\([^)]*\))?", body[1]), body[2]


# --- what a mail says about its language


_SPEAKS: Final = re.compile(r"(<(?:mjml|html|body)\b[^<>]*?)(\s*/?>)", re.IGNORECASE)
_SAID: Final = re.compile(r"\s(lang|dir)\s*=", re.IGNORECASE)
_SPEAKING: Final = frozenset({"mjml", "html", "body"})


def says_direction(source: Sequence[Token]) -> bool:
    """True when an author wrote at the head of a mail which way it is read; a tag there leaves that to us."""
    heads = (token for token in source if token.kind is TokenKind.open and token.name in _SPEAKING)
    return any((said := token.attribute("dir")) is not None and said.value.lower() in _OTHER for token in heads)


def with_language(html: str, locale: str, way: str) -> str:
    """A page that says its language and direction where it does not yet, for those who read it aloud too."""

    def say(found: re.Match[str]) -> str:
        head, end = found.groups()
        said = {name.lower() for name in _SAID.findall(head)}
        more = (f' {name}="{value}"' for name, value in (("lang", locale), ("dir", way)) if name not in said)
        return head + "".join(more) + end

    return _SPEAKS.sub(say, html)

"""Where a phone cuts a text that is longer than its notification has room for."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

MARK: Final = "…"
SLACK: Final = 4  # columns by which phones differ: what is longer by no more is not called cut
_WIDE: Final = "\u1100-\u11ff\u2e80-\ud7a3\uf900-\ufaff\ufe30-\uff60"
_CLOSING: Final = "、。〉》」』】〕！），．：；？］｝"  # no line begins with one
#: what stays together at the end of a line: a word, or one wide sign with what closes behind it
_PIECES: Final = re.compile(rf"\n|[^\S\n]+|[{_WIDE}][{_CLOSING}]*|[^\s{_WIDE}]+")


def cut(text: str, lines: int, columns: int) -> tuple[str, str]:
    """What so many lines show of a text, and the rest. A wide sign takes two columns."""
    line, used, end = 1, 0, 0
    for piece, start in _pieces(text, columns):
        width = columns_of(piece)
        if piece == "\n" or (used + width > columns and not piece.isspace()):
            line, used = line + 1, 0
        if line > lines:
            return _parted(text, end)
        used += 0 if piece == "\n" or (piece.isspace() and not used) else width
        end = start + len(piece)
    return text, ""


def columns_of(text: str) -> int:
    """How wide a text is: a Chinese sign is as wide as two letters."""
    return sum(_width(sign) for sign in text)


def _width(sign: str) -> int:
    if unicodedata.combining(sign) or unicodedata.category(sign) == "Cf":
        return 0
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1


def _pieces(text: str, columns: int) -> list[tuple[str, int]]:
    """Words with their places; one that is longer than a line is broken as often as it must be."""
    found = []
    for one in _PIECES.finditer(text):
        word = one[0]
        step = columns if columns_of(word) > columns else len(word)
        found += [(word[at : at + step], one.start() + at) for at in range(0, len(word), step)]
    return found


def _parted(text: str, end: int) -> tuple[str, str]:
    rest = text[end:].strip()
    if columns_of(rest) <= SLACK:
        return text, ""
    shown = text[:end]
    return shown.rstrip().rstrip(".,;:!?，。；：！？、") + MARK, rest

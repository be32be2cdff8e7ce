"""What a list of mails shows behind a subject: the first words of the mail, which a preheader is written to be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Final

from engine.message.markup import TokenKind, tokens, words

LONGEST: Final = 140  # characters: more than any list has room for
_INLINE: Final = words("a abbr b bdi bdo big code em font i img mark s small span strike strong sub sup tt u wbr")
_BREAKS: Final = re.compile(r"[ \t\r\n\f]+")
_FILLING: Final = re.compile("[\u00a0\u00ad\u034f\u061c\u115f\u17b4\u180e\u2000-\u200d\u2060-\u2064\u3164\ufeff]+")


def snippet(html: str) -> str:
    """The first words. Invisible signs that a preheader is padded with keep their room, and are not shown."""
    found = ""
    for text in _read(html):
        found = _BREAKS.sub(" ", found + text).lstrip(" ")
        if len(found) >= LONGEST:
            break
    return _FILLING.sub(" ", found[:LONGEST]).strip()


def _read(html: str) -> Iterator[str]:
    """The texts of a mail as programs read it, without what Outlook alone is told."""
    in_condition = False
    for token in tokens(html):
        if token.kind is TokenKind.condition:
            in_condition = not html[token.start : token.end].endswith("-->")
        elif in_condition:
            continue
        elif token.kind is TokenKind.text:
            yield unescape(html[token.start : token.end])
        elif token.kind in (TokenKind.open, TokenKind.close) and token.name not in _INLINE:
            yield " "

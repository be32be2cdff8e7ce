"""The word an author most likely meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MAX_LIKELY = 300  # known words a misspelt one is compared with
MAX_LISTED = 16  # words that are told where none is near
THERE_ARE = "there are: "


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known word an author most likely meant, if one is near."""
    by_lower = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower(), _likely(word.lower(), by_lower), n=1, cutoff=cutoff)
    return by_lower[found[0]] if found else None


def _likely(word: str, known: Iterable[str]) -> list[str]:
    """Comparing takes time: of very many words only those that begin alike are compared."""
    words = list(known)
    if len(words) > MAX_LIKELY:
        words = sorted(name for name in words if name[:1] == word[:1])[:MAX_LIKELY]
    return words


def hint_for(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """`did you mean `x`?`, else the words there are."""
    if "：" in word:
        return "write a plain colon and a space: `key: value`"
    words = sorted(set(known))
    near = nearest(word, words, cutoff)
    if near is not None:
        return f"did you mean `{near}`?"
    if not words:
        return ""
    return THERE_ARE + ", ".join(words[:MAX_LISTED]) + (", ..." if len(words) > MAX_LISTED else "")

"""What comes from outside, as every database keeps it."""

from __future__ import annotations

import re
from typing import Any

_UNKEEPABLE = re.compile("[\x00\ud800-\udfff]")
_DEEPEST = 32  # values within values


def keepable(text: str) -> str:
    """A text without halves of characters, which services leave where they cut one (a smiley is two in UTF-16), and
    without NUL, which PostgreSQL does not take."""
    return _UNKEEPABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def keepable_json(value: Any, depth: int = _DEEPEST) -> Any:
    """A value of JSON, all its texts keepable, and no deeper than anybody reads."""
    match value:
        case str():
            return keepable(value)
        case dict() | list() if depth == 0:
            return "\N{HORIZONTAL ELLIPSIS}"
        case dict():
            return {keepable(str(name)): keepable_json(one, depth - 1) for name, one in value.items()}
        case list():
            return [keepable_json(one, depth - 1) for one in value]
    return value

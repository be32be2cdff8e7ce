"""How much a template may consume: steps of loops, the size of a value, work on values, the size of what it writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from jinja2 import TemplateRuntimeError

MOST_STEPS: Final = 5_000  # of all loops of one rendering
MOST_RANGE: Final = 1_000
MOST_WORK: Final = 1_000_000  # characters and elements that filters, calls and comparisons of one rendering look at
MOST_LISTED: Final = 500  # elements told in one sentence
LARGEST_VALUE: Final = 65_536  # characters of a value, elements of a list with all it holds
LARGEST_HTML: Final = 512 * 1024
LARGEST_TEXT: Final = 10 * 1024
LARGEST_EMAIL_TEXT: Final = 256 * 1024
_LARGEST_NUMBER: Final = 10**30
MOST_JOINED: Final = 50
AT_ONCE: Final = 200  # pieces of output joined before they are measured


class TooMuch(TemplateRuntimeError):
    """A template loops too long or a value grows too large."""


def weight(value: Any) -> int:
    """How much there is to look at in a value."""
    if isinstance(value, list | tuple):
        return len(value) + sum(len(one) for one in value if isinstance(one, str | list | tuple | Mapping))
    return len(value) if isinstance(value, str | Mapping | range) else 1


def bounded(value: Any) -> Any:
    """The value, if it is no larger than a value may be with everything it holds."""
    if isinstance(value, str):
        if len(value) > LARGEST_VALUE:
            raise TooMuch("a value grows too large")
    elif isinstance(value, list | tuple | dict):
        measure(value)
    elif isinstance(value, int) and abs(value) > _LARGEST_NUMBER:
        raise TooMuch("a number grows too large")
    return value


def measure(value: Any) -> None:
    left, stack = LARGEST_VALUE, [value]
    while stack:
        part = stack.pop()
        if isinstance(part, Mapping):
            stack.extend(part.values())
        elif isinstance(part, list | tuple):
            stack.extend(part)
        left -= len(part) if isinstance(part, str | list | tuple | Mapping) else 1
        if left < 0 or len(stack) > LARGEST_VALUE:
            raise TooMuch("a value grows too large")

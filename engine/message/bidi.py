"""Words that are read the other way among words of a text: each kept to itself, so that it moves nothing beside it.

A Hebrew name in an English sentence, a telephone number in an Arabic one: without a word to the contrary, what stands
beside them changes its place. Unicode has signs for it (an isolate), which mails, SMS and push messages all know.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_BY_ITS_FIRST: Final = "\u2068"  # whatever way its first letter goes
_LEFT_TO_RIGHT: Final = "\u2066"
_END: Final = "\u2069"
_SIGNS: Final = (
    "\u0590-\u08ff\u200f\u202b\u202e\u2067\ufb1d-\ufdff\ufe70-\ufeff\U00010800-\U00010fff\U0001e800-\U0001efff"
)
_RIGHT_TO_LEFT: Final = re.compile(f"[{_SIGNS}]")
_CONTROLS: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")  # nobody's name needs them, and they reach beyond it
_TURNS: Final = re.compile(f"[{_SIGNS}\u202a-\u202e\u2066-\u2069]")
_ADDRESS: Final = re.compile(r"(?:https?://|mailto:|tel:|www\.)\S*|[^\s@]+@[^\s@]+")
_NUMBERS: Final = re.compile(r"[+(]?\d[\d\s()+/-]*")  # a telephone number: its groups would change places
_BEFORE_PART: Final = re.compile(r"[\w/?=&#%@.~+-]", re.ASCII)  # behind one of these a value may be part of an address
_AFTER_PART: Final = re.compile(r"[\w/?=&#%@~]", re.ASCII)  # and so it may before one of these


def apart(text: str, is_rtl: bool) -> str:
    """A value as it may stand among words that are read from left to right, or the other way."""
    if text.isascii() and not is_rtl:
        return text
    if not is_rtl and not _TURNS.search(text):
        return text
    text = _CONTROLS.sub("", text)
    if not is_rtl:
        return f"{_BY_ITS_FIRST}{text}{_END}" if goes_right_to_left(text) else text
    if _ADDRESS.fullmatch(text):
        return text
    if _NUMBERS.fullmatch(text):
        return f"{_LEFT_TO_RIGHT}{text}{_END}" if not text.isdigit() else text
    goes_left_to_right = any(unicodedata.bidirectional(sign) == "L" for sign in text)
    return f"{_BY_ITS_FIRST}{text}{_END}" if goes_left_to_right else text


def goes_right_to_left(text: str) -> bool:
    """Does any of it go that way?"""
    return _RIGHT_TO_LEFT.search(text) is not None


def stands_alone(before: str, after: str) -> bool:
    """Is a value between these a word of its own? One that is part of an address is left alone."""
    return not _BEFORE_PART.match(before[-1:]) and not _AFTER_PART.match(after[:1])

"""What the fields of WeChat's templates may hold, by the word that their names begin with: `thing1`, `time2`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from channels import plain

_CHINESE: Final = "\u3400-\u9fff"
_CLOCK: Final = r"\d{1,2}:\d{2}(:\d{2})?"
_DAY: Final = r"((\d{4}年)?\d{1,2}月(\d{1,2}日)?|\d{4}[-/.]\d{1,2}[-/.]\d{1,2})"


@dataclass(frozen=True)
class Kind:
    """One kind of field: the pattern of a whole value, and what it says in words."""

    pattern: str
    holds: str


def _span(one: str) -> str:
    """One of them, or two with a sign between."""
    return rf"({one})(\s?[~～-]\s?({one}))?"


# WeChat, "subscription message parameter limits"; a short_thing and a const are left to WeChat, for their limits are
# not confirmed
KINDS: Final = {
    "thing": Kind(r"[\s\S]{1,20}", "at most 20 characters"),
    "number": Kind(r"-?(?=[\d.]{1,33}$)\d{1,32}(\.\d{1,32})?", "at most 32 digits, which may have decimals"),
    "letter": Kind(r"[A-Za-z]{1,32}", "at most 32 letters A-Z"),
    "symbol": Kind(r"[^\w\s]{1,5}", "at most 5 signs that are no letters and no digits"),
    "character_string": Kind(r"[!-~ ]{1,32}", "at most 32 letters A-Z, digits and signs"),
    "time": Kind(_span(rf"{_CLOCK}|{_DAY}(\s?{_CLOCK})?"), "a time such as 15:01 or 2026年1月31日 15:01"),
    "date": Kind(_span(rf"{_DAY}(\s?{_CLOCK})?"), "a day such as 2026年1月31日 or 2026-01-31"),
    "amount": Kind(
        r"[^\w\s.,+-]?\s?\d{1,10}(\.\d{1,10})?\s?元?", "the sign of a currency and at most 10 digits without commas"
    ),
    "phone_number": Kind(r"[\d+() -]{1,17}", "at most 17 digits and signs + - ( )"),
    "car_number": Kind(r".{1,8}", "at most 8 characters"),
    "name": Kind(rf"(?=.*[{_CHINESE}]).{{1,10}}|[^{_CHINESE}]{{1,20}}", "at most 10 Chinese characters or 20 letters"),
    "phrase": Kind(rf"[{_CHINESE}]{{1,5}}", "at most 5 Chinese characters"),
}
_PATTERNS: Final = {name: re.compile(kind.pattern, re.ASCII) for name, kind in KINDS.items()}


def flaw(name: str, value: str) -> str | None:
    """Why WeChat refuses this value in a field of this name, as half a sentence; None when it does not."""
    if not value.strip():
        return "is empty"
    if plain.one_line(value) != value:
        return "holds a line break or another control character"
    kind = name.rstrip("0123456789")
    if kind in KINDS and not _PATTERNS[kind].fullmatch(value):
        return f"may hold {KINDS[kind].holds}"
    return None

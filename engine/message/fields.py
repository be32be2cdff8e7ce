"""The fields of WeChat's templates: what a name like `thing1` may hold. WeChat refuses a message with anything else."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import Enum
from typing import Final


@dataclass(frozen=True)
class Field:
    """One type of field: how many characters it has room for, what they may be, and how one says that."""

    room: int
    form: str = ""  # a regular expression for the whole; empty: anything
    says: str = ""


def _span(one: str) -> str:
    """A value or two of them with a sign between."""
    return f"({one})([~～-]({one}))?"


_CLOCK: Final = r"\d{1,2}:\d{2}(:\d{2})?"
_DAY: Final = r"(\d{4}年)?\d{1,2}月\d{1,2}日|\d{4}[-/.]\d{1,2}[-/.]\d{1,2}"
_INSTANT: Final = rf"({_DAY})\s?({_CLOCK})?"
_MANY: Final = 200  # for types without a room of their own
FIELDS: Final = {
    "thing": Field(20),
    "short_thing": Field(5),
    "number": Field(32, r"-?[0-9]+(\.[0-9]+)?", "digits, which may have decimals"),
    "letter": Field(32, r"[A-Za-z]+", "letters A-Z"),
    "symbol": Field(5, r"[^\w\s]+", "signs that are no letters and no digits"),
    "character_string": Field(32, r"[ -~]+", "letters A-Z, digits and signs"),
    "time": Field(64, _span(f"{_CLOCK}|{_INSTANT}"), "a time such as 15:01 or 2026年1月31日 15:01"),
    "date": Field(64, _span(_INSTANT), "a day such as 2026年1月31日 or 2026-01-31"),
    "amount": Field(15, r"[^\w\s.,+-]?\s?[0-9]{1,10}(\.[0-9]+)?元?", "a sign of a currency and digits without commas"),
    "phone_number": Field(17, r"[\d+() -]+", "digits and + ( ) -"),
    "car_number": Field(8),
    "name": Field(20),
    "phrase": Field(5, r"[\u3400-\u9fff]+", "Chinese characters"),
    "const": Field(20),
    "keyword": Field(_MANY),
}
_ALONE: Final = frozenset({"first", "remark"})  # fields of older templates, which have no number
_CHINESE_NAME: Final = 10  # characters of a name in Chinese


def field_of(name: str) -> Field | None:
    """The type that a field's name begins with. None for what is no field."""
    if name in _ALONE:
        return Field(_MANY)
    kind = name.rstrip("0123456789")
    return FIELDS.get(kind) if kind != name else None


def room_in(name: str, text: str) -> int:
    """How many characters of this text a field has room for."""
    field = field_of(name)
    if field is None:
        return _MANY
    is_chinese = any(unicodedata.east_asian_width(sign) in "WF" for sign in text)
    return _CHINESE_NAME if name.rstrip("0123456789") == "name" and is_chinese else field.room


def misfits(name: str, text: str) -> str:
    """Why WeChat would refuse what stands in a field, its length apart; empty when it would not."""
    field = field_of(name)
    if field is None or not field.form or re.fullmatch(field.form, text):
        return ""
    return f"`{name}` may hold {field.says}"


class Fault(Enum):
    """What WeChat refuses a field for."""

    empty = "empty"
    unseen = "unseen"  # a character that cannot be seen
    long = "long"
    form = "form"  # other characters, or another form, than its type has


def fault_of(name: str, text: str) -> Fault | None:
    """What is wrong with a field as it would be sent; None when nothing is."""
    if not text.strip():
        return Fault.empty
    if any(unicodedata.category(sign) == "Cc" for sign in text):
        return Fault.unseen
    if misfits(name, text):
        return Fault.form
    return Fault.long if len(text) > room_in(name, text) else None

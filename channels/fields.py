"""The fields of WeChat's templates: what a name like `thing1` may hold. WeChat refuses a message with anything else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from channels import plain

_CHINESE: Final = "\u3400-\u9fff"
_CLOCK: Final = r"\d{1,2}:\d{2}(:\d{2})?"
_DAY: Final = r"((\d{4}年)?\d{1,2}月(\d{1,2}日)?|\d{4}[-/.]\d{1,2}[-/.]\d{1,2})"
_INSTANT: Final = rf"{_DAY}(\s?{_CLOCK})?"


@dataclass(frozen=True)
class Field:
    """One type of field: how many characters it has room for, what they may be, and how one says that."""

    room: int
    form: str = ""  # a regular expression for the whole; empty: anything
    says: str = ""
    sure: bool = True  # False: its room is not confirmed; a longer one is warned of, and WeChat decides


class Fault(Enum):
    """What WeChat refuses a field for."""

    empty = "empty"
    unseen = "unseen"  # a character that cannot be seen
    long = "long"
    form = "form"  # other characters, or another form, than its type has


def _span(one: str) -> str:
    """One of them, or two with a sign between."""
    return rf"({one})(\s?[~～-]\s?({one}))?"


_MANY: Final = 200  # for types without a room of their own
# WeChat, "subscription message parameter limits"
FIELDS: Final = {
    "thing": Field(20),
    "short_thing": Field(5, sure=False),
    "number": Field(32, r"-?\d+(\.\d+)?", "digits, which may have decimals"),
    "letter": Field(32, r"[A-Za-z]+", "letters A-Z"),
    "symbol": Field(5, r"[^\w\s]+", "signs that are no letters and no digits"),
    "character_string": Field(32, r"[ -~]+", "letters A-Z, digits and signs"),
    "time": Field(64, _span(f"{_CLOCK}|{_INSTANT}"), "a time such as 15:01 or 2026年1月31日 15:01"),
    "date": Field(64, _span(_INSTANT), "a day such as 2026年1月31日 or 2026-01-31"),
    "amount": Field(
        24, r"[^\w\s.,+-]?\s?\d{1,10}(\.\d{1,10})?\s?元?", "a sign of a currency and digits without commas"
    ),
    "phone_number": Field(17, r"[\d+() -]+", "digits and + ( ) -"),
    "car_number": Field(8),
    "name": Field(20),
    "phrase": Field(5, rf"[{_CHINESE}]+", "Chinese characters"),
    "const": Field(20, sure=False),
    "keyword": Field(_MANY, sure=False),
}
_ALONE: Final = frozenset({"first", "remark"})  # fields of older templates, which have no number
_CHINESE_NAME: Final = 10  # characters of a name in Chinese
_FORMS: Final = {kind: re.compile(field.form, re.ASCII) for kind, field in FIELDS.items() if field.form}


def field_of(name: str) -> Field | None:
    """The type that a field's name begins with. None for what is no field."""
    if name in _ALONE:
        return FIELDS["keyword"]
    kind = _kind(name)
    return FIELDS.get(kind) if kind != name else None


def room_in(name: str, text: str) -> int:
    """How many characters of this text a field has room for."""
    field = field_of(name)
    if field is None:
        return _MANY
    return _CHINESE_NAME if _kind(name) == "name" and re.search(f"[{_CHINESE}]", text) else field.room


def misfits(name: str, text: str) -> str:
    """Why WeChat would refuse what stands in a field, its length apart; empty when it would not."""
    field = field_of(name)
    if field is None or not field.form or _FORMS[_kind(name)].fullmatch(text):
        return ""
    return f"may hold {field.says}"


def fault_of(name: str, text: str) -> Fault | None:
    """What is wrong with a field as it would be sent; None when nothing is."""
    if not text.strip():
        return Fault.empty
    if plain.one_line(text) != text:
        return Fault.unseen
    if misfits(name, text):
        return Fault.form
    return Fault.long if len(text) > room_in(name, text) else None


def flaw(name: str, text: str) -> str | None:
    """Why WeChat refuses this in a field of this name for sure, as half a sentence; None when it may take it."""
    match fault_of(name, text):
        case Fault.empty:
            return "is empty"
        case Fault.unseen:
            return "holds a line break or another control character"
        case Fault.form:
            return misfits(name, text)
        case Fault.long if (field := field_of(name)) is not None and field.sure:
            return f"may have {room_in(name, text)} characters"
    return None


def _kind(name: str) -> str:
    return name.rstrip("0123456789")

"""A template message of WeChat as its card shows it: the heading, a row for each field, the remarks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from engine.message.approved import OF_WECHAT, filled

_NAMED: Final = re.compile(rf"(?P<name>[^:：{{}}]*?)\s*[:：]?\s*{OF_WECHAT.pattern}\s*")


@dataclass(frozen=True)
class Row:
    """One row: `订单编号` and its value. A remark has no name; the fields that stand in it are told too."""

    name: str
    value: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class Card:
    """What a person sees of a template; `heading` is empty where its wording begins with a field."""

    heading: str
    rows: tuple[Row, ...]


def card_of(wording: str, values: Mapping[str, str]) -> Card:
    """The card of an approved wording; without one, a row for each field under its own name."""
    if not wording.strip():
        return Card("", tuple(Row(name, value, (name,)) for name, value in values.items()))
    lines = [line.strip() for line in wording.splitlines() if line.strip()]
    heading = lines.pop(0) if not OF_WECHAT.search(lines[0]) else ""
    return Card(heading, tuple(_rows(lines, values)))


def _rows(lines: list[str], values: Mapping[str, str]) -> Iterator[Row]:
    for line in lines:
        fields = tuple(found[1] for found in OF_WECHAT.finditer(line))
        named = _NAMED.fullmatch(line)
        if named and named["name"]:
            yield Row(named["name"], values.get(fields[0], ""), fields)
        else:
            yield Row("", filled(line, OF_WECHAT, values), fields)

"""`cron: "0 10 * * mon-fri"`: the five fields, as sets of what they name. Weekdays by name only.

Numbers of weekdays mean different days to different programs (is 0 Monday or Sunday?), so they are refused; so are
seconds, nicknames, and a day of the month beside a weekday, of which nobody knows whether both must hold or either.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from engine.journey.quantities import WEEKDAYS, Misread

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_EXAMPLE = 'write minute, hour, day, month, weekday: "0 10 * * mon-fri"'
_PIECE = re.compile(r"(?P<first>\*|\w+)(?:-(?P<last>\w+))?(?:/(?P<step>\d+))?")


@dataclass(frozen=True)
class Cron:
    """What each field names; `days` and `weekdays` are never both restricted."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]  # of the month
    months: tuple[int, ...]
    weekdays: tuple[int, ...]  # Monday 0

    def names(self, day: date) -> bool:
        """Is this one of its days? A month that has no such day has none."""
        return day.month in self.months and day.day in self.days and day.weekday() in self.weekdays

    @property
    def times(self) -> tuple[time, ...]:
        """The times of day, in order."""
        return tuple(time(hour, minute) for hour in self.hours for minute in self.minutes)


@dataclass(frozen=True)
class _Field:
    name: str
    first: int
    last: int
    words: tuple[str, ...] = ()  # names of its values, from `first` on

    @property
    def all(self) -> tuple[int, ...]:
        return tuple(range(self.first, self.last + 1))


_WEEKDAY = _Field("weekday", 0, 6, WEEKDAYS)
_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, MONTHS),
    _WEEKDAY,
)


def parse_cron(text: object) -> Cron:
    """The five fields: numbers, names of months and weekdays, `*`, lists, spans, steps."""
    if isinstance(text, Cron):
        return text
    parts = str(text).split()
    if len(parts) == 6:
        raise Misread("bad-cron", f"{_shown(text)} has six fields, and seconds are not planned; {_EXAMPLE}")
    if len(parts) != 5:
        raise Misread("bad-cron", f"{_shown(text)} does not have five fields; {_EXAMPLE}")
    cron = Cron(*(_values(part, field, text) for part, field in zip(parts, _FIELDS, strict=True)))
    if parts[2] != "*" and parts[4] != "*":
        sentence = f"{_shown(text)} names a day of the month and a weekday, which is read in two ways"
        raise Misread("bad-cron", f"{sentence}; write * for one of them, or name the days in `dates`")
    longest = max(monthrange(2024, month)[1] for month in cron.months)
    if min(cron.days) > longest:
        raise Misread("bad-cron", f"{_shown(text)} names a day that never comes; write a day its months have")
    return cron


def _values(part: str, field: _Field, whole: object) -> tuple[int, ...]:
    found: set[int] = set()
    for piece in part.split(","):
        found.update(_span(piece, field, whole))
    return tuple(sorted(found))


def _span(piece: str, field: _Field, whole: object) -> Sequence[int]:
    """What one piece of a list names: `*`, `5`, `mon-fri`, `8-18/2`, `*/15`."""
    read = _PIECE.fullmatch(piece)
    if read is None:
        raise Misread("bad-cron", f"`{piece}` in {_shown(whole)} is no {field.name}; {_EXAMPLE}")
    first, last, step = read["first"], read["last"], read["step"]
    if first == "*" and last is not None:
        raise Misread("bad-cron", f"`{piece}` in {_shown(whole)} is no {field.name}; {_EXAMPLE}")
    if first == "*":
        named = field.all
    elif last is None:
        if step is not None:
            hint = f"write a span: {first}-{field.words[-1] if field.words else field.last}/{step}"
            raise Misread("bad-cron", f"`{piece}` in {_shown(whole)} has a step and no end; {hint}")
        named = (_value(first, field, whole),)
    else:
        named = _between(_value(first, field, whole), _value(last, field, whole), piece, field, whole)
    pace = int(step or 1)
    if not 1 <= pace <= len(field.all):
        raise Misread("bad-cron", f"`{piece}` in {_shown(whole)} has a step that leads nowhere; {_EXAMPLE}")
    return named[::pace]


def _between(first: int, last: int, piece: str, field: _Field, whole: object) -> tuple[int, ...]:
    if first <= last:
        return tuple(range(first, last + 1))
    if field is _WEEKDAY:  # fri-mon runs over the week's end
        return tuple(day % 7 for day in range(first, last + 8))
    raise Misread("bad-cron", f"`{piece}` in {_shown(whole)} runs backwards; write two spans with a comma between")


def _value(word: str, field: _Field, whole: object) -> int:
    if word.lower() in field.words:
        return field.words.index(word.lower()) + field.first
    if field is _WEEKDAY and word.isdecimal():
        hint = "write its name, for numbers mean different days to different programs: mon, tue, ..., sun"
        raise Misread("bad-cron", f"`{word}` in {_shown(whole)} is a weekday as a number; {hint}")
    if not (word.isascii() and word.isdecimal()) or not field.first <= int(word) <= field.last:
        raise Misread("bad-cron", f"`{word}` in {_shown(whole)} is no {field.name}; {_EXAMPLE}")
    return int(word)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


CronText = Annotated[
    Cron, BeforeValidator(parse_cron), WithJsonSchema({"type": "string", "pattern": r"^\S+( +\S+){4}$"})
]

"""Durations, shares, money, local times: how they are written, and the values they become.

Each type parses the text that stands in the YAML and refuses everything else with one sentence and an example.
Use them as pydantic fields: `Duration`, `Share`, `LocalTime`, `MoneyAmount`, `LocalWindow`, `Days`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, WithJsonSchema

from engine.journey.meant import (
    currencies,
    currency_meant,
    day_meant,
    days_meant,
    duration_meant,
    hour_refused,
    money_meant,
    share_meant,
    time_meant,
    window_meant,
    zone_meant,
)

LONGEST = timedelta(days=3_660)  # no plan runs longer, and no instant ever leaves the calendar
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAYS_HINT = "write mon, tue, wed, thu, fri, sat, sun or a span: mon-fri"
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DURATION = re.compile(r"(\d{1,6})\s?([smhdw])")
_MONEY = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s?([A-Z]{3})")
_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,4})?)\s?%")
_WORD = re.compile(r"\w[\w.-]{0,99}")
_TAG = re.compile(r"\w[^,;|\"\\\x00-\x1f\x7f，；\ud800-\udfff]{0,99}")
_OWN_ZONE = ("local", "customer", "user", "recipient", "own", "theirs", "people")
_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True)
class Money:
    amount: Decimal
    currency: str  # ISO 4217


class Misread(ValueError):
    """A text that is not the quantity it should be. `code` is that of the Problem it becomes."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


def parse_duration(text: object) -> timedelta:
    """`90m`, `6h`, `3d`, `2w` -> timedelta. A day is 24 hours."""
    if isinstance(text, timedelta):
        return text
    found = _DURATION.fullmatch(str(text).strip())
    if not found:
        hint = _meant(duration_meant(str(text)), "write a number and a unit: 90m, 6h, 3d, 2w")
        raise Misread("bad-duration", f"{_short(text)} is not a duration; {hint}")
    span = timedelta(**{_UNITS[found[2]]: int(found[1])})
    if span > LONGEST:
        raise Misread("bad-duration", f"{_short(text)} is longer than ten years; write a shorter one: 90m, 6h, 3d, 2w")
    return span


@dataclass(frozen=True, slots=True)
class Pace:
    """At most so many in any window of this length."""

    at_most: int
    per: timedelta


_PACE = re.compile(r"([1-9][0-9]{0,8})\s*(?:/|per )\s*([1-9][0-9]{0,2})?\s*(s|m|h|d|second|minute|hour|day)")
_PACE_UNITS = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def parse_pace(text: object) -> Pace:
    """`100/s`, `600/m`, `50 per 10s`, `50000/d` -> Pace."""
    if isinstance(text, Pace):
        return text
    found = _PACE.fullmatch(str(text).strip())
    if not found:
        raise Misread("bad-rate", f"{_short(text)} is not a rate; write how many in which time: 100/s, 600/m, 50000/d")
    return Pace(int(found[1]), int(found[2] or 1) * _PACE_UNITS[found[3][0]])


def parse_money(text: object) -> Money:
    """`200 CNY` -> Money."""
    if isinstance(text, Money):
        return text
    found = _MONEY.fullmatch(str(text).strip())
    if not found:
        hint = _meant(money_meant(str(text)), "write a number and a currency: 200 CNY")
        raise Misread("bad-money", f"{_short(text)} is not an amount of money; {hint}")
    judge_currency(found[2])
    try:
        return Money(Decimal(found[1]), found[2])
    except InvalidOperation:  # pragma: no cover - the pattern admits only numbers
        raise Misread("bad-money", f"{_short(text)} is not an amount of money") from None


def judge_currency(code: str) -> None:
    """Misread for three letters that are no currency."""
    if code not in currencies():
        hint = _meant(currency_meant(code), "write its three letters: CNY, EUR, USD")
        raise Misread("unknown-currency", f"`{code}` is not a currency; {hint}")


def parse_share(text: object) -> Decimal:
    """`12.5%` -> Decimal("0.125")."""
    if isinstance(text, Decimal):
        return text
    found = _SHARE.fullmatch(str(text).strip())
    if not found or Decimal(found[1]) > 100:
        hint = _meant(share_meant(str(text)), "write a percentage between 0% and 100%: 12.5%")
        raise Misread("bad-share", f"{_short(text)} is not a share; {hint}")
    return Decimal(found[1]) / 100


def parse_time(text: object) -> time:
    """`20:00` -> time. 24 hours, no seconds."""
    if isinstance(text, time):
        return text
    found = _TIME.fullmatch(str(text).strip())
    if not found:
        how = hour_refused(str(text)) or 'write hours and minutes in quotes: "20:00"'
        hint = _meant(time_meant(str(text)), how, quoted=True)
        raise Misread("bad-time", f"{_short(text)} is not a time of day; {hint}")
    return time(int(found[1]), int(found[2]))


@dataclass(frozen=True)
class Window:
    """A span of the local day, from `start` until before `end`; it may run over midnight."""

    start: time
    end: time

    def holds(self, at: time) -> bool:
        """Does the local time `at` lie inside?"""
        if self.start <= self.end:
            return self.start <= at < self.end
        return at >= self.start or at < self.end

    @property
    def length(self) -> timedelta:
        """How long it lasts on a day like others."""
        first, last = (timedelta(hours=one.hour, minutes=one.minute) for one in (self.start, self.end))
        return last - first if first < last else last - first + timedelta(days=1)


def parse_window(text: object) -> Window:
    """`21:00-08:00` -> Window."""
    if isinstance(text, Window):
        return text
    start, dash, end = (part.strip() for part in str(text).partition("-"))
    if not dash or start == end or not (_TIME.fullmatch(start) and _TIME.fullmatch(end)):
        hint = _meant(window_meant(str(text)), 'write two times with a dash: "21:00-08:00"', quoted=True)
        raise Misread("bad-window", f"{_short(text)} is not a span of the day; {hint}")
    return Window(parse_time(start), parse_time(end))


ALL_DAY: Literal["all_day"] = "all_day"


def parse_span_of_day(text: object) -> Window | str:
    """`21:00-08:00` -> Window; `all_day` -> itself."""
    return ALL_DAY if text == ALL_DAY else parse_window(text)


@dataclass(frozen=True)
class CalendarDay:
    """A day of one year, or of every year."""

    month: int
    day: int
    year: int | None = None

    def is_on(self, day: date) -> bool:
        return (self.month, self.day) == (day.month, day.day) and self.year in (None, day.year)


def parse_calendar_day(text: object) -> CalendarDay:
    """`2026-10-01` -> that day; `12-25` -> that day of every year."""
    if isinstance(text, CalendarDay):
        return text
    written = str(text).strip()
    try:
        day = date.fromisoformat(written if len(written) == 10 else f"2024-{written}")  # a leap year
    except ValueError:
        cure = day_meant(written) or "write 2026-10-01, or 12-25 for every year"
        raise Misread("bad-day", f"{_short(text)} is not a day; {cure}") from None
    return CalendarDay(day.month, day.day, day.year if len(written) == 10 else None)


@dataclass(frozen=True)
class Moment:
    """A day, or a time on a day, on everyone's own clock."""

    on: date
    at: time | None = None

    @property
    def start(self) -> datetime:
        """What the clock shows when it begins."""
        return datetime.combine(self.on, self.at or time(0))

    @property
    def end(self) -> datetime:
        """What the clock shows when it is over: a day is over at midnight, a time at once."""
        return self.start if self.at is not None else self.start + timedelta(days=1)


def parse_day(text: object) -> date:
    """`2026-10-01` -> that day."""
    if isinstance(text, date):
        return text
    written = str(text).strip()
    try:
        return date.fromisoformat(written)
    except ValueError:
        raise Misread("bad-day", f"{_short(text)} is not a day; {day_meant(written) or 'write 2026-10-01'}") from None


def parse_moment(text: object) -> Moment:
    """`2026-11-11` or `2026-11-11 18:00` -> Moment."""
    if isinstance(text, Moment):
        return text
    first, _, rest = str(text).strip().partition(" ")
    try:
        return Moment(date.fromisoformat(first), parse_time(rest) if rest else None)
    except ValueError:
        cure = day_meant(first) or hour_refused(rest) or 'write 2026-11-11 or "2026-11-11 18:00"'
        raise Misread("bad-day", f"{_short(text)} is not a day or a time on a day; {cure}") from None


def parse_days(value: object) -> frozenset[int]:
    """`[mon-fri, sun]` or `sat` -> weekday numbers, Monday 0."""
    if isinstance(value, frozenset):
        return value
    words = value if isinstance(value, list) else [value]
    days: set[int] = set()
    for word in words:
        first, dash, last = str(word).strip().lower().partition("-")
        if first not in WEEKDAYS or (dash and last not in WEEKDAYS):
            raise Misread(
                "bad-weekday", f"{_short(word)} is not a weekday; {_meant(days_meant(str(word)), _DAYS_HINT)}"
            )
        start, end = WEEKDAYS.index(first), WEEKDAYS.index(last) if dash else WEEKDAYS.index(first)
        days.update(day % 7 for day in range(start, end + 1 if end >= start else end + 8))
    if not days:
        raise Misread("bad-weekday", f"no weekday is named; {_DAYS_HINT}")
    return frozenset(days)


def parse_word(text: object) -> str:
    """A name of one piece (`vip_pack`, `call-1`, `挽留`): letters, digits, `_`, `-`, `.`; not beginning with a mark."""
    if not isinstance(text, str):
        raise Misread("expected-text", "a single name should stand here; write one word: vip_pack")
    if re.search("[，、；]", text):
        raise Misread("bad-name", f"{_short(text)} holds a full-width comma; write plain commas: [sms, push]")
    if not _WORD.fullmatch(text):
        joined = re.sub(r"\s+", "_", text.strip()).lower()
        example = joined if _WORD.fullmatch(joined) and joined[:1].isalpha() else "vip_pack"
        sentence = f"{_short(text)} is not a name; use letters, digits, _, - and . without spaces: {example}"
        raise Misread("bad-name", sentence)
    return text


def parse_tag(text: object) -> str:
    """A tag of a person: short, of any words, without the signs that part one from the next."""
    tag = text.strip() if isinstance(text, str) else ""
    if not _TAG.fullmatch(tag):
        cure = "use up to 100 letters, digits and spaces, none of , ; | and quotes: early bird"
        raise Misread("bad-tag", f"{_short(text)} is not a tag; {cure}")
    return tag


def parse_text(text: object) -> str:
    """A text that says something, such as the name of an event: `Order Completed`."""
    if not isinstance(text, str):
        raise Misread("expected-text", "a single text should stand here; write one: Order Completed")
    if not text.strip():
        raise Misread("empty-value", "a text is missing here; write one, or leave the key out")
    if len(text) > 200:
        raise Misread("bad-name", f"{_short(text)} is too long; 200 characters are allowed")
    return text


def parse_zone(text: object) -> str:
    """`Asia/Shanghai` -> itself, if there is such a zone; `person` stands for each person's own."""
    if text == "person":
        return "person"
    if not is_zone(str(text)):
        own = "person" if str(text).strip().lower() in _OWN_ZONE else None
        hint = _meant(own or zone_meant(str(text)), "write person, or one like Asia/Shanghai or Europe/Berlin")
        raise Misread("bad-zone", f"{_short(text)} is not a time zone; {hint}")
    return str(text)


@lru_cache(maxsize=4096)
def is_zone(name: str) -> bool:
    """Is this the name of a zone of the tz database? The longest of them has 32 characters."""
    try:
        return len(name) <= 64 and bool(ZoneInfo(name))
    except (LookupError, ValueError, OSError):
        return False


def _meant(meant: str | None, how: str, quoted: bool = False) -> str:
    """The cure: what was meant, as it is written; else how one writes it."""
    if meant is None:
        return how
    return f'did you mean `"{meant}"`?' if quoted else f"did you mean `{meant}`?"


def _short(value: object) -> str:
    """A value as it can be shown inside a sentence."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


Word = Annotated[str, BeforeValidator(parse_word), WithJsonSchema({"type": "string"})]


def name_of(kind: str) -> WithJsonSchema:
    """Marks a Word as the name of something that must exist (`segments`); the schema for editors lists them."""
    return WithJsonSchema({"type": "string", "names": kind})


TagName = Annotated[str, BeforeValidator(parse_tag), WithJsonSchema({"type": "string", "minLength": 1})]
Text = Annotated[str, BeforeValidator(parse_text), WithJsonSchema({"type": "string", "minLength": 1})]
ZoneOrPerson = Annotated[str, BeforeValidator(parse_zone), WithJsonSchema({"type": "string"})]
PaceText = Annotated[
    Pace,
    BeforeValidator(parse_pace),
    WithJsonSchema({"type": "string", "pattern": f"^{_PACE.pattern}$", "examples": ["100/s", "600/m", "50000/d"]}),
]
Duration = Annotated[
    timedelta, BeforeValidator(parse_duration), WithJsonSchema({"type": "string", "pattern": r"^\d{1,6}\s?[smhdw]$"})
]
MoneyAmount = Annotated[
    Money, BeforeValidator(parse_money), WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?\s?[A-Z]{3}$"})
]
Share = Annotated[
    Decimal, BeforeValidator(parse_share), WithJsonSchema({"type": "string", "pattern": r"^\d{1,3}(\.\d+)?\s?%$"})
]
LocalTime = Annotated[
    time, BeforeValidator(parse_time), WithJsonSchema({"type": "string", "pattern": r"^([01]?\d|2[0-3]):[0-5]\d$"})
]
LocalWindow = Annotated[
    Window,
    BeforeValidator(parse_window),
    WithJsonSchema({"type": "string", "pattern": r"^\d?\d:\d\d\s?-\s?\d?\d:\d\d$"}),
]
SpanOfDay = Annotated[
    Window | Literal["all_day"],
    BeforeValidator(parse_span_of_day),
    WithJsonSchema({"type": "string", "pattern": r"^(\d?\d:\d\d\s?-\s?\d?\d:\d\d|all_day)$"}),
]
Day = Annotated[date, BeforeValidator(parse_day), WithJsonSchema({"type": "string", "format": "date"})]
Holiday = Annotated[CalendarDay, BeforeValidator(parse_calendar_day), WithJsonSchema({"type": "string"})]
MomentText = Annotated[Moment, BeforeValidator(parse_moment), WithJsonSchema({"type": "string"})]
Days = Annotated[
    frozenset[int],
    BeforeValidator(parse_days),
    WithJsonSchema({"type": ["string", "array"], "items": {"type": "string"}}),
]

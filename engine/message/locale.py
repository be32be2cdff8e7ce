"""Numbers, money, dates as a locale writes them: Babel's own answers, with what can be known before done before.

Where a locale has digits of its own (Arabic in Egypt, Persian, Marathi), they are written: Babel knows which ones, and
leaves the writing to us.

`formats(locale, currency)` gives the compiled formatters of one locale. A test holds each of them equal to Babel.
`chain` says which locales' texts a person may be given, best first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias, TypeGuard, get_args

from babel import Locale, UnknownLocaleError, dates
from babel.core import get_global
from babel.dates import DateTimePattern, parse_pattern, tokenize_pattern
from babel.lists import format_list
from babel.numbers import (
    NumberPattern,
    get_currency_precision,
    get_currency_symbol,
    get_decimal_symbol,
    get_group_symbol,
)

from engine.journey.conditions import Money
from engine.journey.quantities import parse_money

DateStyle = Literal["short", "medium", "long", "full"]
ListStyle = Literal["standard", "or", "unit"]
_DATE_FIELDS: Final = frozenset("GyYuUrQqMLwWdDFgEec")
_CLOCK_FIELDS: Final = frozenset("hHkKmabB")
_Parts: TypeAlias = tuple[str, str | None, str | None]  # language, script, region
_LARGEST: Final = Decimal(10) ** 20
_CONTEXT: Final = Context(prec=60, rounding=ROUND_HALF_EVEN)
_MOST_REMEMBERED: Final = 4096
#: the zero of each numbering system that a locale has as its own; the other nine digits follow it
_ZEROS: Final = {
    "arab": 0x660,
    "arabext": 0x6F0,
    "nkoo": 0x7C0,
    "deva": 0x966,
    "beng": 0x9E6,
    "tibt": 0xF20,
    "mymr": 0x1040,
    "olck": 0x1C50,
    "mtei": 0xABF0,
    "cakm": 0x11136,
    "hmnp": 0x1E140,
    "adlm": 0x1E950,
}


class BadValue(ValueError):
    """A filter was given something it cannot write. The sentence says what it needs, without repeating the value."""


class Formats:
    """The formatters of one locale and one shop currency. Made once, then only asked."""

    def __init__(self, locale: Locale, currency: str) -> None:
        self.locale = locale
        self.currency = currency
        self.is_rtl = locale.text_direction == "rtl"
        self._digits = own_digits(locale)
        self._numbers: dict[tuple[str, str | None, int | None], Callable[[Decimal], str]] = {}
        self._dates: dict[str, Callable[[datetime], str]] = {}
        self._times: dict[str, Callable[[datetime], str]] = {}
        self._spans: dict[tuple[str, int, bool], str] = {}
        self._last_money: tuple[object, str | None, int | None, str] | None = None

    def money(self, value: object, currency: str | None = None, digits: int | None = None) -> str:
        """`199` -> `¥199.00`. The currency is the amount's own, else the one named, else the shop's."""
        told = self._last_money
        if told is not None and told[0] is value and told[1:3] == (currency, digits):
            return told[3]  # in the subject, on the page and in the text
        amount, own = _amount(value)
        key = ("money", currency or own or self.currency, digits)
        text = (self._numbers.get(key) or self._number(key))(amount)
        self._last_money = value, currency, digits, text
        return text

    def number(self, value: object, digits: int | None = None) -> str:
        """`1234.5` -> `1,234.5`; with `digits`, exactly so many behind the point."""
        key = ("number", None, digits)
        return (self._numbers.get(key) or self._number(key))(_decimal(value))

    def percent(self, value: object, digits: int | None = None) -> str:
        """`0.25` -> `25%`."""
        key = ("percent", None, digits)
        return (self._numbers.get(key) or self._number(key))(_decimal(value))

    def date(self, value: object, zone: tzinfo, style: str = "long") -> str:
        """The day where the person is. `style` is short, medium, long, full, or a pattern of CLDR such as `d MMMM`."""
        return (self._dates.get(style) or self._date(style))(_instant(value, zone))

    def time(self, value: object, zone: tzinfo, style: str = "short") -> str:
        """The time of day where the person is."""
        return (self._times.get(style) or self._time(style))(_instant(value, zone))

    def relative(self, value: object, now: datetime) -> str:
        """`in 3 days`, `2 hours ago`; a span of time is told as one: `3 days`."""
        if isinstance(value, timedelta):
            return self._span(int(value.total_seconds()), direction=False)
        if isinstance(value, date) and not isinstance(value, datetime):
            return self._span((value - now.date()).days * 86400, direction=True)
        then = _instant(value, now.tzinfo or UTC)
        return self._span(int((then - now).days * 86400 + (then - now).seconds), direction=True)

    def list(self, values: Iterable[object], style: ListStyle = "standard") -> str:
        """`a, b and c`; with `or`, `a, b or c`."""
        if isinstance(values, str | bytes) or not isinstance(values, Iterable):
            raise BadValue("the filter `list` needs several values")
        known = get_args(ListStyle)
        if style not in known:
            raise BadValue(f"a list's style is one of {', '.join(known)}")
        return format_list([str(value) for value in values], style=style, locale=self.locale)

    # --- compiling

    def _number(self, key: tuple[str, str | None, int | None]) -> Callable[[Decimal], str]:
        kind, currency, digits = key
        if digits is not None and not (isinstance(digits, int) and 0 <= digits <= 10):
            raise BadValue("`digits` is a whole number from 0 to 10")
        if kind == "money" and not _is_currency(currency):
            raise BadValue("a currency is three letters, such as CNY or EUR")
        patterns = {
            "money": lambda: self.locale.currency_formats["standard"],
            "number": lambda: self.locale.decimal_formats[None],
            "percent": lambda: self.locale.percent_formats[None],
        }
        compiled = compile_number(patterns[kind](), self.locale, currency, digits)
        if len(self._numbers) < _MOST_REMEMBERED:
            self._numbers[key] = compiled
        return compiled

    def _date(self, style: str) -> Callable[[datetime], str]:
        pattern = dates.get_date_format(style, self.locale) if _is_style(style) else _pattern(style)
        return self._remember(self._dates, style, pattern)

    def _time(self, style: str) -> Callable[[datetime], str]:
        pattern = dates.get_time_format(style, self.locale) if _is_style(style) else _pattern(style)
        return self._remember(self._times, style, pattern)

    def _remember(
        self, where: dict[str, Callable[[datetime], str]], style: str, pattern: DateTimePattern
    ) -> Callable[[datetime], str]:
        compiled = compile_date(pattern, self.locale)
        if len(where) < _MOST_REMEMBERED:
            where[style] = compiled
        return compiled

    def _span(self, seconds: int, direction: bool) -> str:
        """Babel rounds a span to a number of its largest fitting unit; equal numbers of a unit read alike."""
        unit, length = next(
            ((unit, length) for unit, length in dates.TIMEDELTA_UNITS if abs(seconds) / length >= 0.85), ("second", 1)
        )
        count = max(1, round(abs(seconds) / length)) if seconds else 0
        count = count if seconds >= 0 else -count
        key = (unit, count, direction)
        if (known := self._spans.get(key)) is None:
            if len(self._spans) >= _MOST_REMEMBERED:
                self._spans.clear()
            span = timedelta(seconds=seconds)
            told = dates.format_timedelta(span, add_direction=direction, locale=self.locale)
            known = self._spans[key] = told.translate(self._digits)
        return known


@lru_cache(maxsize=256)
def formats(locale: str, currency: str) -> Formats:
    """The formatters of a locale written as BCP 47 (`zh-CN`). ValueError when Babel does not know it."""
    return Formats(parse_locale(_plain(locale)), currency)


def own_digits(locale: Locale) -> dict[int, int | str]:
    """The digits that a locale writes instead of 0-9; empty where it writes those."""
    zero = _ZEROS.get(locale.default_numbering_system)
    return {} if zero is None else {ord("0") + digit: zero + digit for digit in range(10)}


def compile_number(
    pattern: NumberPattern, locale: Locale, currency: str | None = None, digits: int | None = None
) -> Callable[[Decimal], str]:
    """`pattern.apply` for one locale and currency, with symbols, signs and precision looked up beforehand."""
    least, most = (get_currency_precision(currency),) * 2 if currency else pattern.frac_prec
    if digits is not None:
        least = most = digits
    digits_of_ours = own_digits(locale)
    system = "default" if digits_of_ours else "latn"
    heads = tuple(_affix(part, currency, locale, system) for part in pattern.prefix)
    tails = tuple(_affix(part, currency, locale, system) for part in pattern.suffix)
    group = get_group_symbol(locale, numbering_system=system)
    point = get_decimal_symbol(locale, numbering_system=system)
    quantum = Decimal(1).scaleb(-most)
    signs: dict[int, int | str] = {ord(","): group, ord("."): point, **digits_of_ours}
    first, others = pattern.grouping
    scale, width = pattern.scale, pattern.int_prec[0]
    even = first == others == 3
    as_they_are = (group, point) == (",", ".") and not digits_of_ours

    def write(value: Decimal) -> str:
        negative = value.is_signed()
        if scale:
            value = value.scaleb(scale, _CONTEXT)
        text = f"{abs(value).quantize(quantum, ROUND_HALF_EVEN, _CONTEXT):,f}"
        if most > least:
            whole, _, fraction = text.partition(".")
            fraction = fraction[:least] + fraction[least:].rstrip("0")
            text = f"{whole}.{fraction}" if fraction else whole
        if not even:
            text = _grouped(text, first, others)
        if width > 1:
            text = text.rjust(width + len(text) - len(text.partition(".")[0]), "0")
        return heads[negative] + (text if as_they_are else text.translate(signs)) + tails[negative]

    return write


def _grouped(text: str, first: int, others: int) -> str:
    """Group the digits before the point as a locale does that does not write them in threes."""
    whole, point, fraction = text.replace(",", "").partition(".")
    parts = []
    size = first
    while len(whole) > size > 0:
        parts.append(whole[-size:])
        whole = whole[:-size]
        size = others
    return ",".join([whole, *reversed(parts)]) + point + fraction


def _affix(text: str, currency: str | None, locale: Locale, system: str) -> str:
    """The sign or words before or after a number, the currency's symbol filled in, CLDR's quotes taken out."""
    if system != "latn":
        own = locale.number_symbols.get(locale.default_numbering_system, {})
        text = text.replace("-", own.get("minusSign", "-")).replace("%", own.get("percentSign", "%"))
    if currency:
        text = text.replace("¤¤", currency).replace("¤", get_currency_symbol(currency, locale))
    return "'".join(part.replace("'", "") for part in text.split("''"))


def compile_date(pattern: DateTimePattern, locale: Locale) -> Callable[[datetime], str]:
    """`pattern.apply` for one locale, remembered by what it depends on (day, hour, minute): a wave has few of them."""
    fields = {str(value[0]) for kind, value in tokenize_pattern(pattern.pattern) if kind == "field"}
    by_day, by_minute = bool(fields & _DATE_FIELDS), bool(fields & _CLOCK_FIELDS)
    digits = own_digits(locale)
    known: dict[int, str] = {}

    def write(moment: datetime) -> str:
        key = (moment.toordinal() if by_day else 0) * 1440 + (moment.hour * 60 + moment.minute if by_minute else 0)
        text = known.get(key)
        if text is None:
            if len(known) >= _MOST_REMEMBERED:
                known.clear()
            text = known[key] = write_each(moment)
        return text

    def write_each(moment: datetime) -> str:
        return pattern.apply(moment, locale).translate(digits)

    return write if fields <= _DATE_FIELDS | _CLOCK_FIELDS else write_each


def _is_style(style: str) -> TypeGuard[DateStyle]:
    return style in get_args(DateStyle)


@lru_cache(maxsize=256)
def _pattern(style: str) -> DateTimePattern:
    if not isinstance(style, str) or len(style) > 60:
        raise BadValue("a date's style is short, medium, long, full or a pattern such as d MMMM")
    try:
        return parse_pattern(style)
    except ValueError:
        raise BadValue("this is no pattern for a date; write one such as d MMMM or EEEE") from None


# --- what texts hand over


def _decimal(value: object) -> Decimal:
    """A number in any of the forms data has."""
    try:
        number = value if isinstance(value, Decimal) else Decimal(str(value))
    except InvalidOperation:
        raise BadValue("a number is needed here") from None
    if isinstance(value, bool) or not number.is_finite() or abs(number) > _LARGEST:
        raise BadValue("a number is needed here")
    return number


def _amount(value: object) -> tuple[Decimal, str | None]:
    if isinstance(value, Money):
        return _decimal(value.amount), value.currency
    if isinstance(value, str) and value[-1:].isalpha():
        try:
            money = parse_money(value)
        except ValueError:
            raise BadValue("an amount of money is needed here, such as 199 or 20 CNY") from None
        return money.amount, money.currency
    return _decimal(value), None


def _instant(value: object, zone: tzinfo) -> datetime:
    """An instant on the person's clock. A text is read as ISO 8601, without a zone as UTC; a bare date is that day."""
    if isinstance(value, str):
        value = _read_instant(value)
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(zone)
    if isinstance(value, date):
        return datetime.combine(value, time(0), tzinfo=zone)
    raise BadValue("a date or an instant is needed here, such as 2026-01-31 or 2026-01-31T09:30:00Z")


@lru_cache(maxsize=1024)
def _read_instant(text: str) -> date | datetime:
    try:
        return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
    except ValueError:
        raise BadValue("a date or an instant is needed here, such as 2026-01-31 or 2026-01-31T09:30:00Z") from None


def _is_currency(currency: str | None) -> bool:
    return (
        currency is not None and len(currency) == 3 and currency.isascii() and currency.isalpha() and currency.isupper()
    )


# --- which texts a person may be given


@lru_cache(maxsize=4096)
def parse_locale(name: str) -> Locale:
    """A locale written as BCP 47. ValueError when Babel does not know it."""
    try:
        return Locale.parse(name, sep="-")
    except (UnknownLocaleError, ValueError, TypeError):
        raise ValueError(f"{name!r} is not a locale; write one like zh-CN, en or de") from None


#: whose texts somebody reads without trouble when there is none in their own language
_READ_TOO: Final = {
    "no": ("nb", "nn"),
    "nb": ("no", "nn"),
    "nn": ("no", "nb"),
    "yue": ("zh-Hant",),
    "gsw": ("de",),
    "fil": ("tl",),
    "tl": ("fil",),
}


@lru_cache(maxsize=4096)
def choose(wanted: str, available: frozenset[str], default: str) -> str | None:
    """The one of `available` to write to a reader of `wanted` in; None only when there is none at all.

    `zh-Hant-HK` is looked for as itself, then `zh-Hant`, then `zh`; then any region of the language, one in the same
    script before others and one of the same family of regions first; then the shop's default locale by the same steps;
    then the first by name.
    """
    parts = _parts(wanted)
    for start in (wanted, *_READ_TOO.get(parts[0] if parts else "", ()), default):
        found = _of_language(start, available)
        if found is not None:
            return found
    return min(available, default=None)


def chain(wanted: str) -> tuple[str, ...]:
    """`zh-Hant-HK` -> itself, `zh-Hant`, `zh`. A script that goes without saying (`zh-HK`) is filled in.

    Regions that write like another one say so in CLDR: `es-MX` is looked for as `es-419` before `es`.
    """
    parts = _parts(wanted)
    if parts is None:
        return (wanted,)
    language, script, region = parts
    above = _parent(parts)
    whole = [(language, script, region), (language, None, region), (language, script, None), (language, None, None)]
    names = ["-".join(part for part in name if part) for name in whole]
    if above:
        names[2:2] = [above.replace("_", "-")]
    return tuple(dict.fromkeys([wanted, *names]))


def same_language(one: str, other: str) -> bool:
    """True when both are the same language in the same script, so that only regional habits differ."""
    return (_parts(one) or (one,))[:2] == (_parts(other) or (other,))[:2]


@lru_cache(maxsize=4096)
def direction(name: str) -> Literal["ltr", "rtl"]:
    """Which way a locale is read."""
    return "rtl" if parse_locale(name).text_direction == "rtl" else "ltr"


def region_of(name: str) -> str | None:
    """The region of a locale, the likely one when none is written: `de` is read in DE, `zh-Hant` in TW."""
    parts = _parts(name)
    if parts is None:
        return None
    likely = get_global("likely_subtags")
    language, script, region = parts
    full: Any = region or likely.get(f"{language}_{script}") or likely.get(language) or ""
    found = str(full).rsplit("_", 1)[-1]
    return found if len(found) == 2 and found.isupper() else None


def _of_language(wanted: str, available: frozenset[str]) -> str | None:
    parts = _parts(wanted)
    for name in chain(wanted):
        if name in available:
            return name
    if parts is None:
        return None
    cousins = [(name, found) for name in sorted(available) if (found := _parts(name)) and found[0] == parts[0]]
    near = _parent(parts)

    def distance(cousin: tuple[str, _Parts]) -> tuple[bool, bool]:
        return cousin[1][1] != parts[1], near is None or _parent(cousin[1]) != near

    return min(cousins, key=distance)[0] if cousins else None


def _parent(parts: _Parts) -> str | None:
    """The locale whose habits a region shares, by CLDR: en_AU -> en_001, zh_Hant_MO -> zh_Hant_HK."""
    language, script, region = parts
    known = get_global("parent_exceptions")
    found: Any = known.get(f"{language}_{script}_{region}") or known.get(f"{language}_{region}")
    return None if found in (None, "root") else str(found)


@lru_cache(maxsize=4096)
def _parts(name: str) -> _Parts | None:
    """Language, script (the likely one when none is written) and region. None for what is no locale."""
    try:
        locale = Locale.parse(_plain(name), sep="-")
    except (UnknownLocaleError, ValueError, TypeError):
        return None
    language, script, region = locale.language, locale.script, locale.territory
    if script is None:
        likely = get_global("likely_subtags")
        full: Any = likely.get(f"{language}_{region}") or likely.get(language)
        script = full.split("_")[1] if full else None
    return language, script, region


def _plain(name: str) -> str:
    """`zh_TW` with a dash, and without what a locale may say beyond region: `de-DE-u-co-phonebk`."""
    return re.split(r"-[a-z0-9](?:-|$)", str(name).replace("_", "-"), maxsplit=1, flags=re.IGNORECASE)[0]

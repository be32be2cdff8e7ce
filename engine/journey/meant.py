"""What somebody meant who wrote a quantity as people do and not as it is written here: `8pm`, `6 hours`, `¥200`."""

from __future__ import annotations

import difflib
import re
from calendar import monthrange
from functools import cache
from zoneinfo import available_timezones

from babel.core import Locale, UnknownLocaleError, get_global

_CLOCK = re.compile(r"(\d{1,2})\s*(?:[:.h：点时]\s*(\d\d)?)?\s*(a\.?m\.?|p\.?m\.?|uhr|o'clock|分)?", re.IGNORECASE)
_BETWEEN = re.compile(r"\s*(?:-|–|—|~|～|\bto\b|\bbis\b|\.\.|至|到)\s*")
_SPAN = re.compile(r"(\d{1,4})\s*([a-zäöü天小时分钟秒周日]+)\.?", re.IGNORECASE)
_UNITS = (
    ("s", ("s", "sec", "secs", "second", "seconds", "秒")),
    ("m", ("m", "min", "mins", "minute", "minutes", "minuten", "分", "分钟")),
    ("h", ("h", "hr", "hrs", "hour", "hours", "stunde", "stunden", "时", "小时")),
    ("d", ("d", "day", "days", "tag", "tage", "天", "日")),
    ("w", ("w", "wk", "week", "weeks", "woche", "wochen", "周")),
)
_NUMBER = r"(\d{1,12}(?:\.\d{1,4})?)"
_AMOUNTS = (re.compile(rf"{_NUMBER}\s*([^\d\s]+)"), re.compile(rf"([^\d\s]+)\s*{_NUMBER}"))
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_NAMES_OF_DAYS = {
    "mon": "monday mondays montag 周一 星期一",
    "tue": "tuesday tuesdays tues dienstag 周二 星期二",
    "wed": "wednesday wednesdays mittwoch 周三 星期三",
    "thu": "thursday thursdays thur thurs donnerstag 周四 星期四",
    "fri": "friday fridays freitag 周五 星期五",
    "sat": "saturday saturdays samstag 周六 星期六",
    "sun": "sunday sundays sonntag 周日 星期日 星期天",
    "sat-sun": "weekend weekends wochenende 周末",
    "mon-fri": "weekday weekdays workday workdays werktag werktags 工作日",
}
_WEEKDAYS = {name: day for day, names in _NAMES_OF_DAYS.items() for name in names.split()}
_REGIONS = ("Africa", "America", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")
_CITIES = {"beijing": "shanghai", "peking": "shanghai", "munich": "berlin", "frankfurt": "berlin"}
_CALLED = {
    **dict.fromkeys(("¥", "￥", "元", "块", "RMB", "YUAN", "CNH"), "CNY"),
    **dict.fromkeys(("€", "EURO", "EUROS"), "EUR"),
    **dict.fromkeys(("$", "US$", "DOLLAR", "DOLLARS"), "USD"),
    **dict.fromkeys(("£", "POUND", "POUNDS", "STG"), "GBP"),
    **dict.fromkeys(("NTD", "NT$"), "TWD"),
    **dict.fromkeys(("YEN", "円"), "JPY"),
    "HK$": "HKD",
}
_DAY = re.compile(r"(?:(\d{4})\s*[-/.年]\s*)?(\d{1,2})\s*[-/.月]\s*(\d{1,2})日?", re.ASCII)
_YEAR_LAST = re.compile(r"(\d{1,2})\s*([./-])\s*(\d{1,2})\s*\2\s*(\d{4})", re.ASCII)
_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,4})?)(\s*(?:percent|per cent|prozent|pct|％))?", re.IGNORECASE)


def time_meant(text: str) -> str | None:
    """`8pm` -> `20:00`."""
    found = _CLOCK.fullmatch(text.strip())
    if found is None:
        return None
    hour, minute, half = int(found[1]), int(found[2] or 0), (found[3] or "").replace(".", "").lower()
    if half in ("am", "pm"):
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half == "pm" else 0)
    return f"{hour % 24:02}:{minute:02}" if hour <= 24 and minute < 60 else None


def hour_refused(text: str) -> str | None:
    """Why `25:00` and `20:75` are no times of day."""
    found = re.fullmatch(r"(\d{1,2}):(\d\d)", text.strip(), re.ASCII)
    if found is None:
        return None
    return "an hour has 60 minutes: 20:59 is followed by 21:00" if int(found[1]) < 24 else "write 00:00 to 23:59"


def day_meant(text: str) -> str | None:
    """The cure for a day that is none: `2026-11-31`, `24-12`, `11.11.2026`."""
    written = text.strip()
    if last := _YEAR_LAST.fullmatch(written):
        day, month, year = int(last[1]), int(last[3]), last[4]
        if last[2] != "." and day <= 12:  # some write the month first
            if month <= 12 and month != day:
                return f"write year, month, day: `{year}-{month:02}-{day:02}` or `{year}-{day:02}-{month:02}`"
            day, month = month, day
        return _day(year, month, day)
    found = _DAY.fullmatch(written)
    cure = _day(found[1] or "", int(found[2]), int(found[3])) if found is not None else None
    return None if cure == f"did you mean `{written}`?" else cure


def _day(year: str, month: int, day: int) -> str | None:
    if month > 12 >= day:
        month, day = day, month
    if not 1 <= month <= 12:
        return "a year has 12 months; write the month before the day" if month > 12 else None
    longest = monthrange(int(year) if year else 2024, month)[1] if year != "0000" else 31  # 2024 is a leap year
    if 1 <= day <= longest:
        return f"did you mean `{_written(year, month, day)}`?"
    of = f" {year}" if year and month == 2 else ""
    return f"{MONTHS[month - 1]}{of} has {longest} days" if day else None


def _written(year: str, month: int, day: int) -> str:
    return f"{year}{'-' if year else ''}{month:02}-{day:02}"


def days_meant(text: str) -> str | None:
    """`Monday` and `周一` -> `mon`, `weekend` -> `sat-sun`."""
    return _WEEKDAYS.get(text.strip().lower())


def zone_meant(text: str) -> str | None:
    """`Asia/Shangai` and `Shanghai` -> `Asia/Shanghai`."""
    region, slash, city = text.strip().replace(" ", "_").rpartition("/")
    zones = _zones()
    city = _CITIES.get(city.lower(), city.lower())
    known = {zone.rpartition("/")[2].lower(): zone for zone in zones if "/" in zone}
    inside = {name: zone for name, zone in known.items() if slash and zone.lower().startswith(f"{region.lower()}/")}
    for some, cutoff in ((inside, 0.7), (known, 0.8 if slash else 0.9)):
        near = difflib.get_close_matches(city, some, n=1, cutoff=cutoff)
        if near:
            return some[near[0]]
    return None


@cache
def _zones() -> tuple[str, ...]:
    """Every zone, so that of two names of one place the usual one is taken."""
    return tuple(sorted(available_timezones(), key=lambda zone: (zone.partition("/")[0] in _REGIONS, zone)))


def window_meant(text: str) -> str | None:
    """`21-8` -> `21:00-08:00`."""
    parts = _BETWEEN.split(text.strip())
    times = [time_meant(part) for part in parts]
    if len(times) != 2 or None in times or times[0] == times[1]:
        return None
    return f"{times[0]}-{times[1]}"


def duration_meant(text: str) -> str | None:
    """`6 hours` -> `6h`."""
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        return None
    unit = next((unit for unit, words in _UNITS if found[2].lower() in words), None)
    return f"{found[1]}{unit}" if unit is not None else None


def share_meant(text: str) -> str | None:
    """`0.05` and `5 percent` -> `5%`."""
    found = _SHARE.fullmatch(text.strip())
    if found is None:
        return None
    share = float(found[1]) * (100 if not found[2] and 0 < float(found[1]) < 1 else 1)
    return f"{share:g}%" if share <= 100 else None


def money_meant(text: str) -> str | None:
    """`¥200` -> `200 CNY`."""
    first, second = (pattern.fullmatch(text.strip()) for pattern in _AMOUNTS)
    amount, word = (first[1], first[2]) if first else (second[2], second[1]) if second else ("", "")
    currency = currency_meant(word)
    return f"{amount} {currency}" if amount and currency else None


def currency_meant(word: str) -> str | None:
    """`RMB` -> `CNY`, `cny` -> `CNY`."""
    upper = word.upper()
    return _CALLED.get(upper) or (upper if upper in currencies() else None)


def country_meant(word: str) -> str | None:
    """`China`, `cn` and `CHN` -> `CN`."""
    names, upper = _countries(), word.strip().upper()
    return names.get(upper) or (upper if upper in names.values() else None)


def locale_meant(word: str) -> str | None:
    """`zh_CN` -> `zh-CN`, `english` -> `en`."""
    plain = word.strip().replace("_", "-")
    code = _languages().get(plain.lower(), plain)
    try:
        Locale.parse(code, sep="-")
    except (UnknownLocaleError, ValueError):
        return None
    language, *rest = code.split("-")
    return "-".join([language.lower(), *(one.upper() if len(one) == 2 else one.title() for one in rest)])


@cache
def _languages() -> dict[str, str]:
    """Names in English and in itself -> the code of each language."""
    english = Locale("en").languages
    return {name.lower(): code for code, name in english.items()}


@cache
def _countries() -> dict[str, str]:
    """Names in English, and the three letters, of every country."""
    named = {name.upper(): code for code, name in Locale("en").territories.items() if re.fullmatch("[A-Z]{2}", code)}
    three = {old: new[0] for old, new in get_global("territory_aliases").items() if re.fullmatch("[A-Z]{3}", old)}
    called = {**dict.fromkeys(("UK", "GREAT BRITAIN", "ENGLAND"), "GB"), "USA": "US", "EIRE": "IE"}
    return {**three, **named, **called}


@cache
def currencies() -> frozenset[str]:
    """The codes of ISO 4217, of today and of yesterday."""
    return frozenset(get_global("all_currencies"))

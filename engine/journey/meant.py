"""What somebody meant who wrote a quantity as people do and not as it is written here: `8pm`, `6 hours`, `¥200`."""

from __future__ import annotations

import re
from functools import cache

from babel.core import get_global

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
_CALLED = {
    **dict.fromkeys(("¥", "￥", "元", "块", "RMB", "YUAN", "CNH"), "CNY"),
    **dict.fromkeys(("€", "EURO", "EUROS"), "EUR"),
    **dict.fromkeys(("$", "US$", "DOLLAR", "DOLLARS"), "USD"),
    **dict.fromkeys(("£", "POUND", "POUNDS", "STG"), "GBP"),
    **dict.fromkeys(("NTD", "NT$"), "TWD"),
    **dict.fromkeys(("YEN", "円"), "JPY"),
    "HK$": "HKD",
}
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


@cache
def currencies() -> frozenset[str]:
    """The codes of ISO 4217, of today and of yesterday."""
    return frozenset(get_global("all_currencies"))

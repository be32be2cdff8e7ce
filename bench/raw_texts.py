"""The measurement's mail by bare Jinja: templates compiled once, money formatters made once per locale."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from babel import Locale
from babel.dates import format_date
from babel.numbers import format_currency, get_currency_symbol
from jinja2 import Environment, StrictUndefined, Template

TEXTS = Path(__file__).parent / "shop" / "templates" / "statement"
BRAND = {"name": "Lumen", "url": "https://shop.example.com"}
SECRET = b"a secret of the measurement"


@dataclass(frozen=True)
class Mail:
    """What was rendered for one person."""

    subject: str
    html: str
    text: str


class Links:
    """Signed links to one address each: what makes every message different from every other."""

    def __init__(self, key: str) -> None:
        self._key = key

    def click(self, address: str) -> str:
        return f"http://127.0.0.1:8025/c/{self._signed(address)}"

    @property
    def unsubscribe(self) -> str:
        return f"http://127.0.0.1:8025/u/{self._signed('unsubscribe')}"

    def _signed(self, what: str) -> str:
        text = f"{self._key}.{what}"
        return f"{text}.{hmac.digest(SECRET, text.encode(), hashlib.sha256).hex()[:32]}"


@dataclass(frozen=True)
class Text:
    """The mail of one locale, ready to render."""

    subject: Template
    html: Template
    text: Template

    def render(self, **values: Any) -> Mail:
        values["brand"] = BRAND
        return Mail(self.subject.render(values), self.html.render(values), self.text.render(values))


def load(locale: str) -> Text:
    head, body = (TEXTS / f"email.{locale}.html").read_text(encoding="utf-8").removeprefix("---\n").split("\n---\n", 1)
    subject = head.splitlines()[0].removeprefix('subject: "').removesuffix('"')
    plain, escaping = (_environment(locale, autoescape) for autoescape in (False, True))
    text = (TEXTS / f"email.{locale}.txt").read_text(encoding="utf-8")
    return Text(plain.from_string(subject), escaping.from_string(body), plain.from_string(text))


def _environment(locale: str, autoescape: bool) -> Environment:
    environment = Environment(autoescape=autoescape, undefined=StrictUndefined)
    babel = Locale.parse(locale, sep="-")
    environment.filters |= {"money": money(babel, "CNY"), "date": partial(_date, babel), "number": str}
    return environment


def money(locale: Locale, currency: str) -> Callable[[float], str]:
    """Babel's own `format_currency` for amounts with two places, with all that can be known before done before."""
    pattern = locale.currency_formats["standard"]
    symbols = locale.number_symbols["latn"]
    symbol = get_currency_symbol(currency, locale)
    prefix, suffix = (str(part).replace("¤", symbol) for part in (pattern.prefix[0], pattern.suffix[0]))
    signs = str.maketrans({",": symbols["group"], ".": symbols["decimal"]})

    def formatted(amount: float) -> str:
        return prefix + f"{amount:,.2f}".translate(signs) + suffix

    assert formatted(1234567.5) == format_currency(1234567.5, currency, locale=locale)
    return formatted


@lru_cache
def _date(locale: Locale, instant: datetime) -> str:
    return format_date(instant, locale=locale)

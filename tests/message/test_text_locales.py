"""Numbers, money and dates as each locale writes them, ours equal to Babel's; and who is given which locale."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from babel import Locale, dates, numbers
from babel.lists import format_list
from babel.localedata import locale_identifiers
from hypothesis import given
from hypothesis import strategies as st

from engine.journey.conditions import Money
from engine.message.locale import BadValue, Formats, chain, choose, formats

EVERY_LOCALE = st.sampled_from(sorted(locale_identifiers()))
CURRENCIES = st.sampled_from(["CNY", "EUR", "USD", "JPY", "KWD", "CHF", "INR", "XXX"])
AMOUNTS = st.decimals(min_value=-(10**15), max_value=10**15, allow_nan=False, allow_infinity=False, places=6)
MOMENTS = st.datetimes(min_value=datetime(1950, 1, 1), max_value=datetime(2100, 1, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(tzinfo=UTC)
)
SHANGHAI = ZoneInfo("Asia/Shanghai")


NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def plain(locale: Locale, text: str) -> str:
    """A text with the digits 0-9 and plain signs where a locale has its own: Babel leaves those to us."""
    if locale.default_numbering_system == "latn":
        return text
    digits = "".join(str(unicodedata.digit(sign)) if sign.isdecimal() else sign for sign in text)
    return digits.translate({**dict.fromkeys(map(ord, "\u061c\u200e\u200f")), ord("٪"): "%", ord("−"): "-"})


def same(locale: Locale, ours: str, babels: str) -> bool:
    """Is ours Babel's own, but for digits and signs?"""
    return plain(locale, ours) == plain(locale, babels)


@given(EVERY_LOCALE, AMOUNTS, CURRENCIES)
def test_money_is_written_as_babel_writes_it(name: str, amount: Decimal, currency: str) -> None:
    locale = Locale.parse(name)

    babels = numbers.format_currency(amount, currency, locale=locale, numbering_system="default")
    assert same(locale, Formats(locale, "CNY").money(amount, currency), babels)


@given(EVERY_LOCALE, AMOUNTS | st.integers(-(10**12), 10**12) | st.floats(-1e9, 1e9))
def test_numbers_and_shares_are_written_as_babel_writes_them(name: str, value: Decimal | int | float) -> None:
    locale = Locale.parse(name)
    ours = Formats(locale, "CNY")

    assert same(locale, ours.number(value), numbers.format_decimal(value, locale=locale, numbering_system="default"))
    assert same(locale, ours.percent(value), numbers.format_percent(value, locale=locale, numbering_system="default"))


@given(EVERY_LOCALE, AMOUNTS, st.integers(0, 6))
def test_with_digits_numbers_are_written_as_babel_writes_such_a_pattern(name: str, value: Decimal, digits: int) -> None:
    locale = Locale.parse(name)
    pattern = numbers.parse_pattern(locale.decimal_formats[None].pattern)
    pattern.frac_prec = (digits, digits)

    babels = pattern.apply(value, locale, numbering_system="default")
    assert same(locale, Formats(locale, "CNY").number(value, digits), babels)


@given(
    EVERY_LOCALE, MOMENTS, st.sampled_from(["short", "medium", "long", "full", "d MMMM", "EEEE", "yyyy-MM-dd HH:mm"])
)
def test_dates_are_written_as_babel_writes_them(name: str, moment: datetime, style: str) -> None:
    locale = Locale.parse(name)
    ours = Formats(locale, "CNY")

    for _ in range(2):  # the second time from memory
        local = moment.astimezone(SHANGHAI)
        if style in ("short", "medium", "long", "full"):
            babels = dates.format_date(local, style, locale=locale)
        else:
            babels = dates.format_datetime(local, style, locale=locale)
        assert same(locale, ours.date(moment, SHANGHAI, style), babels)


@given(EVERY_LOCALE, MOMENTS, st.sampled_from(["short", "medium", "long", "full"]))
def test_times_are_written_as_babel_writes_them(name: str, moment: datetime, style: str) -> None:
    locale = Locale.parse(name)
    local = moment.astimezone(SHANGHAI)

    babels = dates.format_time(local, style, locale=locale)
    assert same(locale, Formats(locale, "CNY").time(moment, SHANGHAI, style), babels)


@given(EVERY_LOCALE, st.lists(st.timedeltas(timedelta(days=-4000), timedelta(days=4000)), min_size=1, max_size=5))
def test_spans_are_written_as_babel_writes_them(name: str, spans: list[timedelta]) -> None:
    locale = Locale.parse(name)
    ours = Formats(locale, "CNY")
    now = datetime(2026, 11, 22, 10, tzinfo=UTC)

    for span in [*spans, *spans]:
        babels = dates.format_timedelta(span, add_direction=True, locale=locale)
        assert same(locale, ours.relative(now + span, now), babels)
        whole = timedelta(seconds=int(span.total_seconds()))
        assert same(locale, ours.relative(whole, now), dates.format_timedelta(whole, locale=locale))


@given(EVERY_LOCALE, st.lists(st.text(max_size=5), max_size=5), st.sampled_from(["standard", "or"]))
def test_lists_are_written_as_babel_writes_them(name: str, items: list[str], style: str) -> None:
    locale = Locale.parse(name)

    assert Formats(locale, "CNY").list(items, style) == format_list(items, style=style, locale=locale)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("locale", "amount", "written"),
    [
        ("zh-CN", 199, "¥199.00"),
        ("en", "20 EUR", "€20.00"),
        ("de", Money(Decimal("1234.5"), "EUR"), "1.234,50\xa0€"),
        ("en-IN", Money(Decimal(1234567), "INR"), "₹12,34,567.00"),
        ("ja", Money(Decimal("1234.4"), "JPY"), "￥1,234"),
        ("ar-EG", "1234.5 EGP", "\u200f١٬٢٣٤٫٥٠\xa0ج.م.\u200f"),  # digits of their own
        ("ar-AE", "1234.5 AED", "\u200f1,234.50\xa0د.إ.\u200f"),  # the same language, and Latin ones
        ("fa-IR", "1234.5 EUR", "\u200e€\xa0۱٬۲۳۴٫۵۰"),
        ("mr-IN", 1234567, "CN¥१,२३४,५६७.००"),
        ("ko", "1234567 KRW", "₩1,234,567"),
        ("ar-KW", "1.5 KWD", "\u200f١٫٥٠٠\xa0د.ك.\u200f"),  # three digits behind the point
        ("fr-CH", -5.5, "-5,50\xa0CNY"),
        ("en", True, None),
        ("en", "a lot", None),
        ("en", float("nan"), None),
        ("en", 10**21, None),
    ],
)
def test_money_comes_in_all_the_forms_that_data_has(locale: str, amount: object, written: str | None) -> None:
    ours = formats(locale, "CNY")
    if written is None:
        with pytest.raises(BadValue):
            ours.money(amount)
    else:
        assert ours.money(amount) == written


def test_an_instant_is_told_on_the_persons_own_clock() -> None:
    ours = formats("en", "CNY")

    assert ours.date("2026-11-22T20:30:00Z", SHANGHAI) == "November 23, 2026"
    assert ours.time("2026-11-22T20:30:00+00:00", SHANGHAI, "HH:mm") == "04:30"
    assert ours.time(datetime(2026, 11, 22, 20, 30, tzinfo=timezone(timedelta(hours=1))), SHANGHAI, "HH:mm") == "03:30"


def test_a_bare_date_is_that_day_everywhere() -> None:
    ours = formats("de", "CNY")

    assert ours.date("2026-11-22", ZoneInfo("America/Los_Angeles")) == "22. November 2026"
    assert ours.date(date(2026, 11, 22), ZoneInfo("Pacific/Auckland")) == "22. November 2026"


@pytest.mark.parametrize("value", ["soon", 12, None, "2026-13-01", ["2026-01-01"]])
def test_what_is_no_date_is_refused_without_repeating_it(value: object) -> None:
    with pytest.raises(BadValue) as caught:
        formats("en", "CNY").date(value, SHANGHAI)
    assert "soon" not in str(caught.value)


# --- which locale a person is given


@pytest.mark.parametrize(
    ("wanted", "available", "given_"),
    [
        ("zh-Hant-HK", {"zh-Hant-HK", "zh-Hant", "zh", "en"}, "zh-Hant-HK"),
        ("zh-Hant-HK", {"zh-Hant", "zh", "en"}, "zh-Hant"),
        ("zh-Hant-HK", {"zh", "en"}, "zh"),
        ("zh-Hant-HK", {"en", "de"}, "en"),
        ("zh-HK", {"zh-Hant", "zh-Hans"}, "zh-Hant"),  # the script goes without saying
        ("zh-SG", {"zh-CN", "zh-TW"}, "zh-CN"),  # another region, the same script first
        ("zh-HK", {"zh-CN", "zh-TW"}, "zh-TW"),
        ("zh-HK", {"zh-CN", "en"}, "zh-CN"),  # the same language goes before the shop's
        ("zh-TW", {"zh-Hant", "zh-CN", "zh"}, "zh-Hant"),  # Taiwan writes Traditional, whatever `zh` is
        ("zh-TW", {"zh-CN", "zh-HK"}, "zh-HK"),
        ("zh", {"zh-TW", "zh-CN"}, "zh-CN"),  # Chinese alone is Simplified
        ("zh-MO", {"zh-TW", "zh-HK"}, "zh-HK"),  # Macau writes like Hong Kong
        ("zh_TW", {"zh-CN", "zh-TW"}, "zh-TW"),
        ("zh-hant-tw", {"zh-CN", "zh-TW"}, "zh-TW"),
        ("sr-Latn", {"sr", "hr"}, "sr"),
        ("uz-AF", {"uz-Latn", "uz-Arab"}, "uz-Arab"),
        ("es-MX", {"es", "es-419"}, "es-419"),
        ("es-MX", {"es-ES", "es-AR"}, "es-AR"),
        ("en-AU", {"en-US", "en-GB"}, "en-GB"),
        ("pt-AO", {"pt-BR", "pt-PT"}, "pt-PT"),
        ("iw", {"he", "ar"}, "he"),  # names of languages as they once were
        ("nb-NO", {"no", "da"}, "no"),  # Norwegian has two names
        ("yue-HK", {"zh-CN", "zh-TW"}, "zh-TW"),
        ("de-DE-u-co-phonebk", {"de", "en"}, "de"),
        ("pt-PT", {"pt-BR", "en"}, "pt-BR"),
        ("en-GB", {"en", "en-US"}, "en"),
        ("de-AT", {"de", "en"}, "de"),
        ("fr", {"de", "en"}, "en"),
        ("fr", {"de", "en-GB"}, "en-GB"),
        ("fr", {"de", "ja"}, "de"),  # not even the shop's locale: the first by name
        ("not a locale", {"de", "en"}, "en"),
        ("", {"de", "en"}, "en"),
        ("fr", set(), None),
    ],
)
def test_a_reader_is_given_the_nearest_locale(wanted: str, available: set[str], given_: str | None) -> None:
    assert choose(wanted, frozenset(available), "en") == given_


def test_the_chain_fills_in_the_script_that_goes_without_saying() -> None:
    assert chain("zh-Hant-HK") == ("zh-Hant-HK", "zh-HK", "zh-Hant", "zh")
    assert chain("zh-HK")[:3] == ("zh-HK", "zh-Hant-HK", "zh-Hant")


def test_regions_look_at_the_region_they_write_like_before_the_language_alone() -> None:
    assert chain("es-MX") == ("es-MX", "es-Latn-MX", "es-419", "es-Latn", "es")
    assert chain("zh-MO") == ("zh-MO", "zh-Hant-MO", "zh-Hant-HK", "zh-Hant", "zh")


@pytest.mark.parametrize(
    ("locale", "given_", "told"),
    [
        ("ar-EG", lambda ours: ours.date(NOON, SHANGHAI), "٢٢ نوفمبر ٢٠٢٦"),
        ("ar-EG", lambda ours: ours.time(NOON, SHANGHAI), "٨:٠٠ م"),
        ("ar-EG", lambda ours: ours.relative(NOON + timedelta(days=3), NOON), "خلال ٣ أيام"),
        ("ar-EG", lambda ours: ours.percent(0.25), "٢٥٪\u061c"),
        ("he", lambda ours: ours.date(NOON, SHANGHAI), "22 בנובמבר 2026"),
        ("en-IN", lambda ours: ours.number(1234567.5), "12,34,567.5"),
        ("de-CH", lambda ours: ours.number(1234567.5), "1’234’567.5"),
        ("ja", lambda ours: ours.list(["a", "b", "c"]), "a、b、c"),
    ],
)
def test_values_are_written_in_the_digits_and_habits_of_a_place(
    locale: str, given_: Callable[[Formats], str], told: str
) -> None:
    assert given_(formats(locale, "CNY")) == told

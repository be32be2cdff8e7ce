"""Quantities written as people write them: refused, with what was meant."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.journey.conditions import ConditionError, Money, Test, Word, parse_condition
from engine.journey.quantities import (
    Misread,
    parse_calendar_day,
    parse_duration,
    parse_moment,
    parse_money,
    parse_share,
    parse_time,
    parse_window,
    parse_zone,
)

HOUR = "write 00:00 to 23:59"

CASES: list[tuple[Callable[[object], object], str, str]] = [
    (parse_window, "21-8", '"21:00-08:00"'),
    (parse_window, "9pm - 8am", '"21:00-08:00"'),
    (parse_window, "21:30 to 7", '"21:30-07:00"'),
    (parse_window, "22点至8点", '"22:00-08:00"'),
    (parse_time, "8pm", '"20:00"'),
    (parse_time, "12am", '"00:00"'),
    (parse_time, "20.15", '"20:15"'),
    (parse_time, "20 Uhr", '"20:00"'),
    (parse_duration, "6 hours", "6h"),
    (parse_duration, "1day", "1d"),
    (parse_duration, "90 min", "90m"),
    (parse_duration, "3天", "3d"),
    (parse_share, "0.05", "5%"),
    (parse_share, "5", "5%"),
    (parse_share, "5 percent", "5%"),
    (parse_money, "¥200", "200 CNY"),
    (parse_money, "200元", "200 CNY"),
    (parse_money, "20.50 euro", "20.50 EUR"),
    (parse_money, "200 cny", "200 CNY"),
    (parse_money, "200 RMB", "CNY"),
]
#: what is written, and the cure that tells more than an example of how one writes it
REFUSED: list[tuple[Callable[[object], object], str, str]] = [
    (parse_time, "25:00", HOUR),
    (parse_time, "20:75", "an hour has 60 minutes: 20:59 is followed by 21:00"),
    (parse_calendar_day, "2026-11-31", "November has 30 days"),
    (parse_calendar_day, "12-32", "December has 31 days"),
    (parse_calendar_day, "2026-02-29", "February 2026 has 28 days"),
    (parse_calendar_day, "02-30", "February has 29 days"),
    (parse_calendar_day, "24-12", "did you mean `12-24`?"),
    (parse_calendar_day, "2026/10/01", "did you mean `2026-10-01`?"),
    (parse_calendar_day, "1.10.2026", "did you mean `2026-10-01`?"),
    (parse_calendar_day, "13/10/2026", "did you mean `2026-10-13`?"),
    (parse_calendar_day, "10/13/2026", "did you mean `2026-10-13`?"),
    (parse_calendar_day, "2/10/2026", "write year, month, day: `2026-10-02` or `2026-02-10`"),
    (parse_calendar_day, "2026-13-14", "a year has 12 months; write the month before the day"),
    (parse_calendar_day, "1st of May", "write 2026-10-01, or 12-25 for every year"),
    (parse_moment, "2026-11-31 10:00", "November has 30 days"),
    (parse_moment, "2026-11-30 25:00", HOUR),
    (parse_zone, "Asia/Shangai", "did you mean `Asia/Shanghai`?"),
    (parse_zone, "Shanghai", "did you mean `Asia/Shanghai`?"),
    (parse_zone, "Asia/Beijing", "did you mean `Asia/Shanghai`?"),
    (parse_zone, "europe/berlin ", "did you mean `Europe/Berlin`?"),
    (parse_zone, "America/Newyork", "did you mean `America/New_York`?"),
    (parse_zone, "CST", "write person, or one like Asia/Shanghai or Europe/Berlin"),
    (parse_zone, "China", "write person, or one like Asia/Shanghai or Europe/Berlin"),
]

#: how conditions compare elsewhere, and how here
COMPARISONS = [
    *(("min", "at_least"), (">=", "at_least"), ("gte", "at_least"), ("max", "at_most"), ("lte", "at_most")),
    *(("gt", "above"), ("more than", "above"), ("lt", "below"), ("less-than", "below"), ("eq", "is"), ("==", "is")),
    *(("ne", "is_not"), ("not_equal", "is_not"), ("in", "one_of"), ("Any Of", "one_of"), ("not_in", "none_of")),
    *(("includes", "contains"), ("begins_with", "starts_with"), ("exists", "known"), ("since", "after")),
    *(("older_than", "before"), ("range", "between"), ("at_leest", "at_least"), ("betwen", "between")),
]

PARSERS = [parse_window, parse_time, parse_duration, parse_share, parse_money]


@pytest.mark.parametrize(("parse", "written", "meant"), CASES, ids=[written for _, written, _ in CASES])
def test_what_was_meant_is_told(parse: Callable[[object], object], written: str, meant: str) -> None:
    with pytest.raises(Misread, match="did you mean") as told:
        parse(written)

    assert str(told.value).endswith(f"did you mean `{meant}`?")


@pytest.mark.parametrize("written", ["21-21", "25-8", "13pm", "six hours", "120", "tomorrow", "200 XQX", "-5", ""])
@pytest.mark.parametrize("parse", PARSERS)
def test_what_nobody_can_guess_is_told_with_an_example(parse: Callable[[object], object], written: str) -> None:
    with pytest.raises(Misread) as told:
        parse(written)

    assert "; " in str(told.value)


@given(st.sampled_from(PARSERS), st.text(max_size=12))
def test_what_was_meant_can_be_written(parse: Callable[[object], object], written: str) -> None:
    try:
        parse(written)
    except Misread as error:
        _, there, meant = str(error).partition("did you mean `")
        if there and error.code != "unknown-currency":
            assert parse(meant.rstrip("?").rstrip("`").strip('"')) is not None


@pytest.mark.parametrize(("parse", "written", "cure"), REFUSED, ids=[written for _, written, _ in REFUSED])
def test_what_cannot_be_is_told_with_the_reason(parse: Callable[[object], object], written: str, cure: str) -> None:
    with pytest.raises(Misread) as told:
        parse(written)

    assert str(told.value).endswith(f"; {cure}")


def cure_of(comparison: object) -> str:
    with pytest.raises(ConditionError) as told:
        parse_condition({"orders_12m": comparison}, "person", frozenset({"orders_12m"}))
    assert len(told.value.faults) == 1
    return told.value.faults[0].hint


@pytest.mark.parametrize(("written", "word"), COMPARISONS)
def test_a_comparison_in_another_word_is_told_with_the_right_one(written: str, word: str) -> None:
    assert cure_of({written: "3"}) == f"did you mean `{word}`?"


@pytest.mark.parametrize("written", ["frobnicate", "ends_with", "regex"])
def test_a_comparison_that_is_none_of_them_is_told_with_all_there_are(written: str) -> None:
    assert cure_of({written: "3"}) == "there are: " + ", ".join(sorted(Word))


@pytest.mark.parametrize(
    ("comparison", "cure"),
    [
        (">= 3", "did you mean `{at_least: 3}`?"),
        ("!= gold", "did you mean `{is_not: gold}`?"),
        ({"is": "<200 CNY"}, "did you mean `{below: 200 CNY}`?"),
        ({"between": "2-5"}, "did you mean `[2, 5]`?"),
        ({"between": "100 CNY - 200 CNY"}, "did you mean `[100 CNY, 200 CNY]`?"),
        ({"before": "30d"}, "did you mean `{ago: 30d}`?"),
        ({"after": "2026-11-31"}, "November has 30 days"),
        ({"before": {"ago": "30 days"}}, "did you mean `30d`?"),
        ({"empty": "true"}, "write `known: false`"),
        ({"not_contains": "x"}, "write `not: {field: {contains: ...}}`"),
    ],
)
def test_a_comparison_in_another_form_is_told_with_the_right_one(comparison: object, cure: str) -> None:
    assert cure_of(comparison) == cure


def test_a_currency_that_is_none_is_refused_where_amounts_are_compared_and_a_slip_everywhere() -> None:
    for written, code in (({"at_least": "200 RMB"}, "unknown-currency"), ("200 RMB", "unknown-currency")):
        with pytest.raises(ConditionError) as told:
            parse_condition({"total": written}, "event", frozenset())
        assert [one.code for one in told.value.faults] == [code]
        assert told.value.faults[0].hint == "did you mean `CNY`?"
    with pytest.raises(ConditionError):
        parse_condition({"total": {"at_least": "500 XQX"}}, "event", frozenset())


def test_a_text_that_only_looks_like_money_stays_a_text() -> None:
    size, total = (parse_condition({"size": text}, "event", frozenset()) for text in ("500 XQX", "500 EUR"))

    assert isinstance(size, Test)
    assert isinstance(total, Test)
    assert size.value == "500 XQX"
    assert isinstance(total.value, Money)

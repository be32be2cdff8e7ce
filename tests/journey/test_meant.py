"""Quantities written as people write them: refused, with what was meant."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.journey.conditions import ConditionError, Money, Test, parse_condition
from engine.journey.quantities import (
    Misread,
    parse_duration,
    parse_money,
    parse_share,
    parse_time,
    parse_window,
)

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

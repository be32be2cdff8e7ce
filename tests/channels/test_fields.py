"""What the fields of WeChat's templates may hold."""

from __future__ import annotations

import pytest

from channels.fields import flaw

GOOD = {
    "thing1": ("张三", "x" * 20, "订单😀"),
    "number2": ("1", "12.5", "-3", "9" * 32),
    "letter3": ("ABC",),
    "symbol4": ("&*+",),
    "character_string5": ("A20260115-1", "x" * 32),
    "time6": ("15:01", "2026-01-15 16:30", "2026年1月31日 15:01", "15:01~16:00"),
    "date7": ("2026年1月31日", "2026-01-31", "2026年1月1日~2026年1月2日"),
    "amount8": ("¥12.50", "€100", "12元", "1234567890"),
    "phone_number9": ("+86-0755-12345678",),
    "car_number10": ("粤A8Z888挂",),
    "name11": ("王女士", "Ann Example", "x" * 20),
    "phrase12": ("待到店",),
    "short_thing13": ("longer than five",),  # its limit is not confirmed: WeChat says it
    "const14": ("whatever",),
    "first": ("any words",),
    "keyword1": ("x" * 100,),
}
BAD = {
    "thing1": ("", " ", "x" * 21, "two\nlines", "bell\x07"),
    "number2": ("one", "1,5", "9" * 33, "1."),
    "letter3": ("A1", "字", "x" * 33),
    "symbol4": ("abc", "&*+-/=", "&1"),
    "character_string5": ("张三", "x" * 33),
    "time6": ("soon", "9"),
    "date7": ("tomorrow",),
    "amount8": ("12,50 €", "¥12345678901"),
    "phone_number9": ("call me", "1" * 18),
    "car_number10": ("x" * 9,),
    "name11": ("王" * 11, "x" * 21),
    "phrase12": ("late", "待到店待到店"),
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in GOOD.items() for value in values])
def test_what_fits(name: str, value: str) -> None:
    assert flaw(name, value) is None


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_what_does_not_fit_is_told_in_half_a_sentence(name: str, value: str) -> None:
    words = flaw(name, value)

    assert words
    assert words.split()[0] in ("is", "holds", "may")
    assert not value.strip() or value not in words

"""What phones, lists of mails and cards show of a text before anybody opens it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.message.cards import Card, Row, card_of
from engine.message.lockscreen import MARK, cut
from engine.message.snippet import LONGEST, snippet

# --- a lock screen


def test_what_fits_is_shown_whole() -> None:
    assert cut("Your order is in good hands", 1, 32) == ("Your order is in good hands", "")


def test_a_text_is_cut_between_words_and_the_rest_is_told() -> None:
    assert cut("one two three four five six", 2, 9) == ("one two three" + MARK, "four five six")


def test_a_chinese_sign_is_as_wide_as_two_letters() -> None:
    assert cut("订单已收到正在打包等待发货", 1, 10) == ("订单已收到" + MARK, "正在打包等待发货")


def test_a_line_does_not_begin_with_a_sign_that_closes() -> None:
    assert cut("订单已收到，正在打包等待发货", 1, 10) == ("订单已收" + MARK, "到，正在打包等待发货")


def test_lines_of_the_author_count() -> None:
    assert cut("one\ntwo\nthree and four", 2, 30) == ("one\ntwo" + MARK, "three and four")


def test_a_word_longer_than_a_line_is_broken() -> None:
    assert cut("W" * 50, 2, 20) == ("W" * 40 + MARK, "W" * 10)


def test_what_phones_differ_by_is_not_called_cut() -> None:
    assert cut("订单已收到好。", 1, 10) == ("订单已收到好。", "")


@given(st.text(max_size=300), st.integers(1, 4), st.integers(8, 40))
def test_nothing_is_lost_between_what_is_shown_and_the_rest(text: str, lines: int, columns: int) -> None:
    shown, rest = cut(text, lines, columns)

    if rest:
        assert shown.endswith(MARK)
        assert text.startswith(shown.removesuffix(MARK))
        assert text.strip().endswith(rest)
    else:
        assert shown == text


# --- a list of mails


def test_a_list_shows_the_preheader_and_what_follows_it() -> None:
    html = (
        "<!doctype html><html><head><title>Subject</title><style>p{}</style></head><body>"
        '<div style="display:none">Three short tips.</div><!--[if mso]><p>for Outlook</p><![endif]-->'
        "<!-- note --><p>Hello <b>A</b>nn &amp; Bob</p></body></html>"
    )

    assert snippet(html) == "Three short tips. Hello Ann & Bob"


def test_what_a_preheader_is_padded_with_keeps_the_mail_out_and_is_not_seen() -> None:
    assert snippet("<div>Tips." + "&nbsp;&zwnj;" * LONGEST + "</div><p>Hello</p>") == "Tips."


# --- a card


def test_each_line_of_a_wording_that_names_a_field_is_a_row() -> None:
    wording = "订单发货通知\n订单编号：{{character_string1.DATA}}\n金额: {{amount2.DATA}}\n{{thing3.DATA}}"

    card = card_of(wording, {"character_string1": "L-1", "amount2": "¥199", "thing3": "感谢您"})

    assert card == Card(
        "订单发货通知",
        (
            Row("订单编号", "L-1", ("character_string1",)),
            Row("金额", "¥199", ("amount2",)),
            Row("", "感谢您", ("thing3",)),
        ),
    )


@pytest.mark.parametrize("line", ["订单 {{thing1.DATA}}，合计 {{amount2.DATA}}。", "{{thing1.DATA}}：{{amount2.DATA}}"])
def test_a_line_with_several_fields_is_a_remark(line: str) -> None:
    (row,) = card_of(line, {"thing1": "灯", "amount2": "¥199"}).rows

    assert (row.name, row.fields) == ("", ("thing1", "amount2"))
    assert "灯" in row.value
    assert "¥199" in row.value


def test_without_a_wording_the_fields_stand_under_their_own_names() -> None:
    assert card_of("", {"thing1": "灯"}) == Card("", (Row("thing1", "灯", ("thing1",)),))

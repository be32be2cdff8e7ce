"""An SMS on its way: its alphabet and parts, counted by the tables of the standard; the words its country wants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.contract import Sms
from engine.audience.phones import calling_code, country_of_phone
from engine.journey.problems import Problem, Severity
from engine.message.render import RenderError, render
from engine.message.sms import Parts, framed, large_signs, parts_of, plainly
from engine.message.templates import Texts, load_texts
from engine.settings import SmsSettings
from tests.message.conftest import SETTINGS

Load = Callable[[Mapping[str, str]], tuple[Texts, list[Problem]]]
Make = Callable[..., Any]

# 3GPP TS 23.038, 6.2.1: the default alphabet by position, and 6.2.1.1: its extension. 0x1B leads there.
BY_POSITION = {
    0x00: "@£$¥èéùìòÇ",
    0x0A: "\nØø\rÅå",
    0x10: "Δ_ΦΓΛΩΠΨΣΘΞ",
    0x1C: "ÆæßÉ",
    0x20: " !\"#¤%&'()*+,-./",
    0x30: "0123456789:;<=>?",
    0x40: "¡ABCDEFGHIJKLMNO",
    0x50: "PQRSTUVWXYZÄÖÑÜ§",
    0x60: "¿abcdefghijklmno",
    0x70: "pqrstuvwxyzäöñüà",
}
SEPTET = {sign: chr(start + index) for start, signs in BY_POSITION.items() for index, sign in enumerate(signs)}
BEHIND_ESCAPE = {
    "\f": "\x0a",
    "^": "\x14",
    "{": "\x28",
    "}": "\x29",
    "\\": "\x2f",
    "[": "\x3c",
    "~": "\x3d",
    "]": "\x3e",
    "|": "\x40",
    "€": "\x65",
}
ONE_BY_ONE = {**SEPTET, **{sign: "\x1b" + code for sign, code in BEHIND_ESCAPE.items()}}


def by_the_standard(text: str) -> tuple[str, int, int]:
    """Alphabet, size and parts, by cutting the text as it would be sent."""
    small = all(sign in ONE_BY_ONE for sign in text)
    coded = [ONE_BY_ONE[sign] if small else sign.encode("utf-16-be") for sign in text]
    sizes = [len(one) if small else len(one) // 2 for one in coded]
    alone, each = (160, 153) if small else (70, 67)
    if sum(sizes) <= alone:
        return ("GSM-7" if small else "UCS-2"), sum(sizes), 1
    parts: list[list[int]] = [[]]
    for size in sizes:
        if sum(parts[-1]) + size > each:
            parts.append([])
        parts[-1].append(size)
    return ("GSM-7" if small else "UCS-2"), sum(sizes), len(parts)


def test_the_table_has_127_signs_and_ten_behind_the_escape() -> None:
    assert len(SEPTET) == 127
    assert sorted(map(ord, SEPTET.values())) == [code for code in range(128) if code != 0x1B]
    assert len(BEHIND_ESCAPE) == 10


SMALL_SIGNS = st.sampled_from(sorted(SEPTET)) | st.sampled_from(sorted(BEHIND_ESCAPE))
LARGE_SIGNS = SMALL_SIGNS | st.sampled_from("您好’…👍🏽𠮷é̂ç") | st.characters(exclude_categories=["Cs"])


@given(st.text(SMALL_SIGNS, max_size=700) | st.text(LARGE_SIGNS, max_size=400))
def test_parts_are_counted_as_the_standard_cuts_a_text(text: str) -> None:
    found = parts_of(text)

    assert (found.alphabet, found.used, found.count) == by_the_standard(text)
    assert found.used <= found.room


@given(st.text(LARGE_SIGNS, max_size=300), st.text(LARGE_SIGNS, max_size=5))
def test_a_longer_text_is_never_sent_in_fewer_parts(text: str, more: str) -> None:
    assert parts_of(text + more).count >= parts_of(text).count


@pytest.mark.parametrize(
    ("text", "alphabet", "used", "count"),
    [
        ("", "GSM-7", 0, 1),
        ("a" * 160, "GSM-7", 160, 1),
        ("a" * 161, "GSM-7", 161, 2),
        ("a" * 306, "GSM-7", 306, 2),
        ("a" * 307, "GSM-7", 307, 3),
        ("€" * 80, "GSM-7", 160, 1),
        ("€" * 81, "GSM-7", 162, 2),
        ("a" * 152 + "€" + "a" * 152, "GSM-7", 306, 3),  # the sign of two places is not divided
        ("你" * 70, "UCS-2", 70, 1),
        ("你" * 71, "UCS-2", 71, 2),
        ("你" * 134, "UCS-2", 134, 2),
        ("你" * 135, "UCS-2", 135, 3),
        ("👍" * 35, "UCS-2", 70, 1),
        ("你" * 66 + "👍" + "你" * 66, "UCS-2", 134, 3),  # nor is an emoji
        ("a" * 69 + "’", "UCS-2", 70, 1),
        ("ç", "UCS-2", 1, 1),  # the small one is not in the alphabet, the large Ç is
        ("Ç", "GSM-7", 1, 1),
        ("`", "UCS-2", 1, 1),
    ],
)
def test_parts_at_the_edges(text: str, alphabet: str, used: int, count: int) -> None:
    found = parts_of(text)

    assert (found.alphabet, found.used, found.count) == (alphabet, used, count)


def test_in_china_every_sign_is_one_of_the_large_alphabet() -> None:
    assert parts_of("a" * 70, "+8613800138000") == Parts("UCS-2", 70, 1)
    assert parts_of("a" * 71, "+8613800138000") == Parts("UCS-2", 71, 2)
    assert parts_of("a" * 71, "+85251234567") == Parts("GSM-7", 71, 1)


def test_the_room_is_that_of_all_parts() -> None:
    assert Parts("GSM-7", 10, 1).room == 160
    assert Parts("GSM-7", 170, 2).room == 306
    assert Parts("UCS-2", 140, 3).room == 201


# --- numbers and their countries


def test_every_number_has_the_country_that_its_code_has_in_the_library() -> None:
    for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items():
        own = tuple(region for region in regions if region != "001")
        if own:
            assert country_of_phone(f"+{code}5550100") == own[0]
            assert [country_of_phone(f"+{code}5550100", one) for one in own] == list(own)
            assert {calling_code(one) for one in own} == {str(code)}


def test_the_country_of_a_number_goes_before_that_of_its_owner() -> None:
    assert country_of_phone("+8613800138000", "DE") == "CN"
    assert country_of_phone("+12045550142", "CA") == "CA"  # North America shares one code
    assert country_of_phone("+12125550142") == "US"
    assert country_of_phone("", "DE") == "DE"
    assert country_of_phone("+999", None) is None


# --- the words a country wants

WORDS = SmsSettings.model_validate(
    {
        "signature": "Lumen:",
        "opt_out": {"en": "Reply STOP to opt out", "de": "Abmelden: STOP"},
        "countries": {
            "CN": {"signature": "【Lumen】", "opt_out": "拒收请回复R"},
            "FR": {"opt_out": "STOP 36180"},
            "JP": {"signature": "", "opt_out": ""},
        },
    }
)


@pytest.fixture
def said(tmp_path: Path, values: Make, person: Make) -> Callable[..., str]:
    """Writes one SMS for a number."""

    def write(number: str, text: str = "Hello {{ person.first_name }}", locale: str = "en", **changes: Any) -> str:
        folder = tmp_path / "templates" / "m"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"sms.{locale}.txt").write_text(text, encoding="utf-8")
        texts, problems = load_texts(folder.parent, SETTINGS.model_copy(update={"sms": WORDS}))
        assert problems == []
        who = person(locale)
        who.addresses["sms"] = number
        content = render(texts, "m", "sms", locale, values(locale, person=who, **changes))
        assert isinstance(content, Sms)
        return content.text

    return write


@pytest.mark.parametrize(
    ("number", "locale", "told"),
    [
        ("+8613800138000", "en", "【Lumen】Hello Ann 拒收请回复R"),
        ("+12125550142", "en", "Lumen: Hello Ann Reply STOP to opt out"),
        ("+491715550142", "de", "Lumen: Hello Ann Abmelden: STOP"),
        ("+33639980142", "en", "Lumen: Hello Ann STOP 36180"),
        ("+819055550142", "en", "Hello Ann"),
    ],
)
def test_a_marketing_sms_has_the_signature_and_the_way_out_of_its_country(
    said: Callable[..., str], number: str, locale: str, told: str
) -> None:
    assert said(number, locale=locale) == told


def test_a_transactional_sms_has_the_signature_and_no_way_out(said: Callable[..., str]) -> None:
    assert said("+8613800138000", marketing=False) == "【Lumen】Hello Ann"
    assert said("+12125550142", marketing=False) == "Lumen: Hello Ann"


def test_an_approved_wording_is_given_the_signature_that_its_provider_puts_there_and_no_second_way_out(
    said: Callable[..., str],
) -> None:
    text = "---\ntemplate: SMS_1\nparams: {name: '{{ person.first_name }}'}\n---\n${name}，您好。回T退订"

    assert said("+8613800138000", text, locale="zh-CN") == "【Lumen】Ann，您好。回T退订"


def test_what_the_author_wrote_is_not_put_in_twice() -> None:
    assert framed("【Lumen】您好。拒收请回复R", "【Lumen】", "拒收请回复R") == "【Lumen】您好。拒收请回复R"
    assert framed("您好。", "【Lumen】", "拒收请回复R") == "【Lumen】您好。拒收请回复R"


@given(st.text(max_size=30), st.text(max_size=10), st.text(max_size=10))
def test_the_words_frame_a_text_and_change_nothing_in_it(text: str, signature: str, way_out: str) -> None:
    whole = framed(text, signature, way_out)

    assert whole.startswith(signature)
    assert text in whole
    assert way_out in whole
    assert framed(whole, signature, way_out) == whole


def test_a_link_at_the_end_does_not_run_into_the_way_out() -> None:
    assert framed("详情 https://shop.example.com/new", "", "拒收请回复R").endswith("/new 拒收请回复R")


def test_the_words_are_counted_into_the_parts(said: Callable[..., str]) -> None:
    text = "x" * 150

    assert parts_of(said("+819055550142", text)) == Parts("GSM-7", 150, 1)
    assert parts_of(said("+12125550142", text)).count == 2
    assert parts_of(said("+8613800138000", text)).alphabet == "UCS-2"


def test_an_sms_of_more_parts_than_the_shop_pays_for_costs_its_own_message_only(
    load: Load, values: Make, person: Make
) -> None:
    texts, problems = load({"m/sms.en.txt": "Hi {{ person.first_name }}"})
    assert problems == []

    with pytest.raises(RenderError, match="sent in 7 parts, and `most_parts` is 6") as caught:
        render(texts, "m", "sms", "en", values(person=person(first_name="x" * 400)))
    assert caught.value.code == "too-long"


# --- signs that cost


@pytest.mark.parametrize(
    ("text", "where", "hint"),
    [
        ("Hi {{ person.first_name }},\nwe’re here", "2:3", "write '"),
        ("A – B", "1:3", "write -"),
        ("A\u00a0B", "1:2", "write a plain space"),
        ("A\u200bB", "1:2", "take it out"),
        ("{{ person.first_name }} waits…", "1:30", "write ..."),
    ],
)
def test_a_sign_that_makes_a_text_large_for_its_looks_alone_is_named(
    load: Load, text: str, where: str, hint: str
) -> None:
    _, problems = load({"m/sms.en.txt": text})

    told = [(p.code, str(p.position), p.hint, p.severity) for p in problems]
    assert told == [("costly-sign", f"templates/m/sms.en.txt:{where}", hint, Severity.warning)]


@pytest.mark.parametrize("text", ["您好，您的订单…", "Zażółć – gęślą", "plain {{ person.first_name }} €5", "ç’"])
def test_a_text_that_needs_the_large_alphabet_anyway_is_left_alone(load: Load, text: str) -> None:
    assert load({"m/sms.en.txt": text})[1] == []


@pytest.mark.parametrize(
    ("text", "signs"),
    [
        ("Plain, with ä and €", ()),
        ("it’s Ann’s – all of it", ("’", "–")),
        ("Zoë 🙂", ("ë", "🙂")),
        ("好", ("好",)),
    ],
)
def test_each_sign_that_makes_a_text_large_is_told_once(text: str, signs: tuple[str, ...]) -> None:
    assert large_signs(text) == signs
    assert (parts_of(text).alphabet == "UCS-2") is bool(signs)


def test_a_text_written_plainly_keeps_what_has_no_plain_sign() -> None:
    assert plainly("it’s “fine” – Zoë…") == 'it\'s "fine" - Zoë...'

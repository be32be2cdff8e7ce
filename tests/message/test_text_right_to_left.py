"""Mails in Arabic and Hebrew: mirrored, said in the page, and names of the other direction move nothing beside them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import unicodedata
from collections.abc import Callable, Mapping
from html import escape, unescape
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.contract import Email, Push, Sms
from engine.journey.problems import Problem
from engine.message.bidi import apart, stands_alone
from engine.message.mirror import mirrored, mirrored_css
from engine.message.render import render
from engine.message.templates import Texts

Load = Callable[[Mapping[str, str]], tuple[Texts, list[Problem]]]
Make = Callable[..., Any]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
LAYOUT = """<mjml><mj-body><mj-section><mj-column width="30%" padding-left="40px">
<mj-text css-class="first">{% block first %}{% endblock %}</mj-text></mj-column>
<mj-column width="70%"><mj-text css-class="second" align="left">{% block second %}{% endblock %}</mj-text></mj-column>
</mj-section><mj-section><mj-column><mj-button align="left" href="https://shop.example.com">OK</mj-button>
<mj-text><a href="{{ links.unsubscribe }}">x</a></mj-text></mj-column></mj-section></mj-body></mjml>"""
ARABIC = """---
subject: "مرحبا {{ person.first_name }}، طلبك {{ event.order_id }} في الطريق"
---
{% extends "_layout/two.mjml" %}
{% block first %}<span id="a">واحد</span>{% endblock %}
{% block second %}<span id="b">مرحبا {{ person.first_name }} 5 أشياء</span>
<p id="c">اتصل: {{ "+86 21 0000 0142" }} الآن</p>{% endblock %}
"""
ENGLISH = (
    ARABIC.replace("واحد", "one").replace("مرحبا", "Hello").replace("أشياء", "things").replace("، طلبك", ", order")
)


# --- the mirror


@pytest.mark.parametrize(
    ("css", "seen"),
    [
        ("padding-left:5px", "padding-right:5px"),
        ("padding: 1px 2px 3px 4px;", "padding: 1px 4px 3px 2px;"),
        ("padding:1px 2px 3px", "padding:1px 2px 3px"),
        ("margin:0 auto 0 calc(1px + 2px) !important", "margin:0 calc(1px + 2px) 0 auto !important"),
        ("border-left: 3px solid red; color: left", "border-right: 3px solid red; color: left"),
        ("border-color: rgb(1, 2, 3) red green blue", "border-color: rgb(1, 2, 3) blue green red"),
        ("border-top-left-radius:4px", "border-top-right-radius:4px"),
        ("border-radius: 1px 2px 3px 4px", "border-radius: 2px 1px 4px 3px"),
        ("border-radius:1px 2px 3px", "border-radius:2px 1px 2px 3px"),
        ("border-radius: 52px 0 0 52px", "border-radius: 0 52px 52px 0"),
        ("border-radius:9px", "border-radius:9px"),
        ("text-align:left;float:right", "text-align:right;float:left"),
        ("direction:ltr", "direction:rtl"),
        ("mso-padding-alt:1px 2px 3px 4px", "mso-padding-alt:1px 4px 3px 2px"),
        ("left:0;right:auto", "right:0;left:auto"),
        (
            "background:url(https://shop.example.com/left.png) left",
            "background:url(https://shop.example.com/left.png) left",
        ),
        ("background-position: left top", "background-position: right top"),
        ("font-family:Left,'right'", "font-family:Left,'right'"),
        ("@media (max-width:479px){.a > td{padding:1px 2px 3px 4px !important;}}", None),
        ("", ""),
    ],
)
def test_left_and_right_change_places_in_a_style(css: str, seen: str | None) -> None:
    wanted = "@media (max-width:479px){.a > td{padding:1px 4px 3px 2px !important;}}" if seen is None else seen
    assert mirrored_css(css) == wanted


@given(st.text("padgeflrtm:;-0 1px(),!/{}\"'<>=", max_size=80))
def test_whatever_stands_in_a_style_is_mirrored_without_complaint(css: str) -> None:
    mirrored_css(css)
    mirrored(f'<p style="{escape(css)}">{escape(css)}</p>')


STYLES = st.lists(
    st.sampled_from(
        [
            "padding:1px 2px 3px 4px",
            "margin-left:1px",
            "text-align:right",
            "direction:ltr",
            "border-radius:1px 2px 3px 4px",
            "border-right:1px solid",
            "float:left",
            "color:red",
        ]
    ),
    max_size=5,
)


@given(STYLES)
def test_a_mirror_in_a_mirror_shows_what_there_was(styles: list[str]) -> None:
    page = f'<table align="left"><tr><td style="{";".join(styles)}">left right ltr</td></tr></table>'

    assert mirrored(mirrored(page)) == page
    assert "left right ltr" in mirrored(page)


def test_what_keeps_its_direction_is_not_mirrored() -> None:
    inside = '<div dir="ltr" style="float:left"><div style="float:left">b</div></div>'
    page = f'<p align="left">a</p>{inside}<p align="left">c</p>'

    assert mirrored(page) == page.replace('<p align="left">', '<p align="right">')


# --- values


@pytest.mark.parametrize(
    ("text", "is_rtl", "stands"),
    [
        ("Ann", False, "Ann"),
        ("Ann", True, "\u2068Ann\u2069"),
        ("محمد", False, "\u2068محمد\u2069"),
        ("محمد", True, "محمد"),
        ("孙伟", False, "孙伟"),
        ("孙伟", True, "\u2068孙伟\u2069"),
        ("42", True, "42"),
        ("٤٢", True, "٤٢"),
        ("+86 21 0000 0142", True, "\u2066+86 21 0000 0142\u2069"),
        ("+86 21 0000 0142", False, "+86 21 0000 0142"),
        ("https://shop.example.com/x", True, "https://shop.example.com/x"),
        ("care@shop.example.com", True, "care@shop.example.com"),
        ("\u202eevil", False, "evil"),
        ("a\u2069\u202eb", False, "ab"),
        ("", True, ""),
    ],
)
def test_a_value_of_the_other_direction_is_kept_to_itself(text: str, is_rtl: bool, stands: str) -> None:
    assert apart(text, is_rtl) == stands


@given(st.text(), st.booleans())
def test_a_value_never_reaches_beyond_itself(text: str, is_rtl: bool) -> None:
    stands = apart(text, is_rtl)

    opened = 0
    for sign in stands:
        kind = unicodedata.bidirectional(sign)
        assert kind not in {"LRE", "RLE", "LRO", "RLO", "PDF"}
        opened += {"LRI": 1, "RLI": 1, "FSI": 1, "PDI": -1}.get(kind, 0)
        assert 0 <= opened <= 1
    assert opened == 0
    kept = "".join(sign for sign in text if unicodedata.bidirectional(sign) not in _CONTROLS)
    assert stands.strip("\u2066\u2068\u2069") == kept


_CONTROLS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def test_a_value_that_is_part_of_an_address_stays_in_it(load: Load, values: Make) -> None:
    address = "{{ brand.url }}/orders/{{ event.order_id | urlencode }}?x={{ event.order_id }}"
    body = f"انظر {address} و{{{{ event.order_id }}}} ثم {{{{ brand.name }}}}"
    texts, problems = load({"m/sms.ar.txt": body})
    assert problems == []

    content = render(texts, "m", "sms", "ar", values("ar"))

    assert isinstance(content, Sms)
    assert content.text == "انظر https://shop.example.com/orders/A-1?x=A-1 و\u2068A-1\u2069 ثم \u2068Lumen\u2069"
    assert not stands_alone("https://shop.example.com/", "")
    assert stands_alone("Hello ", ", welcome")


def test_names_are_kept_apart_in_subjects_titles_and_phrases_too(load: Load, values: Make, person: Make) -> None:
    name = "محمد"
    texts, problems = load(
        {
            "m/email.en.html": "---\nsubject: Hi {{ person.first_name }} 5\n---\n"
            "<p title='{{ person.first_name }}'>{{ person.first_name }} 5 "
            "{% trans n=person.first_name %}{{ n }} 5{% endtrans %}"
            "<a href='{{ links.unsubscribe }}'>x</a></p>",
            "m/push.en.txt": "---\ntitle: Hi {{ person.first_name }}\n---\n{{ person.first_name }} 5",
        }
    )
    assert problems == []
    who = values(person=person(first_name=name))
    mail, push = render(texts, "m", "email", "en", who), render(texts, "m", "push", "en", who)

    kept = f"\u2068{name}\u2069"
    assert isinstance(mail, Email)
    assert isinstance(push, Push)
    assert mail.subject == f"Hi {kept} 5"
    assert f'title="{name}">{kept} 5 {kept} 5' in mail.html
    assert f"{kept} 5 {kept} 5" in mail.text
    assert (push.title, push.text) == (f"Hi {kept}", f"{kept} 5")


# --- pages


def test_a_mail_says_its_language_and_direction(load: Load, values: Make) -> None:
    html = "---\nsubject: x\n---\n<p>x <a href='{{ links.unsubscribe }}'>x</a></p>"
    files = {"_layout/two.mjml": LAYOUT, "m/email.ar.mjml": ARABIC, "n/email.he.html": html, "n/email.de.html": html}
    texts, problems = load(files)
    assert problems == []

    def page(message: str, locale: str) -> str:
        mail = render(texts, message, "email", locale, values(locale))
        assert isinstance(mail, Email)
        return mail.html

    assert page("m", "ar").count('lang="ar" dir="rtl"') == 2  # of the page, and of what stands in it for Gmail
    assert page("n", "he").count('lang="he" dir="rtl"') == 2
    assert page("n", "de").count('lang="de" dir="ltr"') == 2


def test_who_says_the_direction_has_it_in_hand(load: Load, values: Make) -> None:
    own = LAYOUT.replace("<mjml>", '<mjml dir="rtl">')
    asked = LAYOUT.replace("<mjml>", '<mjml lang="{{ locale }}" dir="{{ dir }}">')
    texts, problems = load(
        {
            "_layout/two.mjml": own,
            "_layout/asked.mjml": asked,
            "m/email.ar.mjml": ARABIC,
            "n/email.ar.mjml": ARABIC.replace("two.mjml", "asked.mjml"),
        }
    )
    assert problems == []

    left_alone, mirrored_ = (render(texts, name, "email", "ar", values("ar")) for name in ("m", "n"))

    assert isinstance(left_alone, Email)
    assert isinstance(mirrored_, Email)
    assert "direction:ltr" in left_alone.html
    assert "padding-left:40px" in left_alone.html
    assert "direction:ltr" not in mirrored_.html
    assert "padding-right:40px" in mirrored_.html
    assert 'dir="rtl"' in mirrored_.html


# --- as a browser shows them

PLACES = """<script>
function place(text) {
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const at = walk.currentNode.data.indexOf(text);
    if (at < 0) continue;
    const range = document.createRange();
    range.setStart(walk.currentNode, at);
    range.setEnd(walk.currentNode, at + text.length);
    const box = range.getBoundingClientRect();
    return [box.left, box.right];
  }
}
const told = JSON.stringify(Object.fromEntries(WORDS.map(word => [word, place(word)])));
document.body.innerHTML = "<pre id=told></pre>";
document.getElementById("told").textContent = told;
</script>"""


def places(folder: Path, html: str, words: list[str]) -> dict[str, tuple[float, float]]:
    """Where words of a page stand, from left to right."""
    page = folder / "page.html"
    script = PLACES.replace("WORDS", json.dumps(words))
    page.write_text(html.replace("</body>", script + "</body>"), encoding="utf-8")
    command = [
        str(CHROMIUM),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
    ]
    command += [f"--user-data-dir={folder / 'profile'}", "--window-size=700,900", "--dump-dom", page.as_uri()]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    found = re.search(r'<pre id="told">(.*?)</pre>', told)
    assert found is not None
    read: dict[str, tuple[float, float]] = json.loads(unescape(found[1]))
    return read


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
def test_a_browser_shows_the_same_mail_in_a_mirror(load: Load, values: Make, person: Make, tmp_path: Path) -> None:
    texts, problems = load({"_layout/two.mjml": LAYOUT, "m/email.ar.mjml": ARABIC, "m/email.en.mjml": ENGLISH})
    assert problems == []

    def shown(locale: str, name: str, words: list[str]) -> dict[str, tuple[float, float]]:
        mail = render(texts, "m", "email", locale, values(locale, person=person(locale, first_name=name)))
        assert isinstance(mail, Email)
        return places(tmp_path, mail.html, words)

    english = shown("en", "Ann", ["one", "Hello", "5 things", "OK"])
    arabic = shown("ar", "Ann", ["واحد", "مرحبا", "5 أشياء", "OK", "Ann", "+86 21 0000 0142", "اتصل", "الآن"])

    width = 700
    assert english["one"][0] < english["Hello"][0]
    assert arabic["واحد"][0] > arabic["مرحبا"][0]  # the first column is the one to the right
    for word, other in (
        ("one", "واحد"),
        ("Hello", "مرحبا"),
        ("OK", "OK"),
    ):  # as far from the right as they were from the left
        assert abs(english[word][0] - (width - arabic[other][1])) <= 1
    assert arabic["5 أشياء"][1] <= arabic["Ann"][0] + 1 <= arabic["مرحبا"][0] + 1
    assert arabic["الآن"][1] <= arabic["+86 21 0000 0142"][0] + 1
    assert arabic["+86 21 0000 0142"][1] <= arabic["اتصل"][0] + 1


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
def test_a_browser_leaves_the_words_beside_a_name_where_they_were(
    load: Load, values: Make, person: Make, tmp_path: Path
) -> None:
    texts, problems = load({"_layout/two.mjml": LAYOUT, "m/email.en.mjml": ENGLISH})
    assert problems == []
    mail = render(texts, "m", "email", "en", values(person=person(first_name="محمد")))
    assert isinstance(mail, Email)

    there = places(tmp_path, mail.html, ["Hello", "محمد", "5", "things"])
    moved = places(tmp_path, re.sub("[\u2066-\u2069]", "", mail.html), ["Hello", "محمد", "5", "things"])

    assert there["Hello"][1] <= there["محمد"][0] + 1
    assert there["محمد"][1] <= there["5"][0] + 1 <= there["things"][0] + 1
    assert moved["5"][0] < moved["محمد"][0]  # what would be seen without: the five before the name

"""A text and its values become what is sent: per channel and locale, the same bytes each time, safe in every place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.contract import Email, Push, Sms, WeChat
from engine.journey.problems import Problem
from engine.message.links import Links, LinkUse, Token, read_token
from engine.message.render import Brief, RenderError, render, render_brief
from engine.message.templates import Texts
from engine.values import replace

Load = Callable[[Mapping[str, str]], tuple[Texts, list[Problem]]]
Make = Callable[..., Any]

SECRET = b"a secret of the tests"
HEAD = "---\nsubject: Hi\npurpose: transactional\n---\n"
LAYOUT = """<mjml lang="{{ locale }}"><mj-head><mj-title>{{ subject }}</mj-title></mj-head><mj-body>
<mj-section><mj-column>{% block body %}{% endblock %}</mj-column></mj-section>
<mj-section><mj-column><mj-text>
{% block foot %}{% trans shop=brand.name %}Greetings from {{ shop }}{% endtrans %}{% endblock %}
<a href="{{ links.unsubscribe }}">{% trans %}Unsubscribe{% endtrans %}</a>
</mj-text></mj-column></mj-section></mj-body></mjml>
"""
MAIL = """---
subject: "Your order {{ event.order_id }}"
preheader: Thanks, {{ person.first_name }}
---
{% extends "_layout/mail.mjml" %}
{% set things = event["items"] | length %}
{% block body %}<mj-text>
<p>Hello {{ person.first_name }}, {% trans count=things %}one thing{% pluralize %}{{ count }} things{% endtrans %}.</p>
<ul>{% for item in event["items"] %}<li>{{ item.name }}</li>{% endfor %}</ul>
</mj-text>
<mj-button href="{{ links.click(brand.url ~ '/orders/' ~ event.order_id) }}">See it</mj-button>{% endblock %}
"""
GERMAN = """msgid ""
msgstr "Plural-Forms: nplurals=2; plural=(n != 1);\\n"

msgid "Greetings from %(shop)s"
msgstr "Grüße von %(shop)s"

msgid "Unsubscribe"
msgstr "Abbestellen"

msgid "one thing"
msgid_plural "%(count)s things"
msgstr[0] "ein Ding"
msgstr[1] "%(count)s Dinge"
"""
SHOP = {
    "_layout/mail.mjml": LAYOUT,
    "_locale/de/messages.po": GERMAN,
    "thanks/email.en.mjml": MAIL,
    "thanks/email.de.mjml": MAIL,
    "thanks/sms.en.txt": (
        "---\ntemplate: T-1\nparams:\n  who: '{{ person.first_name }}'\n---\nHi {{ person.first_name }}!\n"
    ),
    "thanks/push.en.txt": (
        "---\ntitle: Hi {{ person.first_name }}\nimage: https://shop.example.com/a.png\n"
        'link: "{{ links.click(brand.url) }}"\n---\nThanks\n'
    ),
    "thanks/wechat.en.yaml": (
        'template: W-1\nkind: promotion\npage: "{{ brand.url }}/x"\n'
        'values:\n  thing1: "{{ person.name }}"\n  thing2: Hi\n'
    ),
    "call/task.en.md": "---\ntitle: Call {{ person.name }}\n---\nOrders: {{ traits.orders_12m }}\n",
}


@pytest.fixture
def shop(load: Load) -> Texts:
    texts, problems = load(SHOP)
    assert problems == []
    return texts


def write(texts: Texts, given_values: Any, locale: str = "en") -> Email:
    content = render(texts, "thanks", "email", locale, given_values)
    assert isinstance(content, Email)
    return content


# --- one test per channel


def test_a_mail_carries_subject_both_parts_and_its_reader(shop: Texts, values: Make) -> None:
    mail = write(shop, values())

    assert (mail.to, mail.to_name, mail.subject) == ("ann@example.com", "Ann Lee", "Your order A-1")
    assert "<p>Hello Ann, 2 things.</p>" in mail.html
    assert "<li>Cup</li><li>Lamp</li>" in mail.html
    assert "Thanks, Ann</div>" in mail.html  # the line after the subject, hidden at the head
    assert '<html lang="en"' in mail.html
    assert mail.text.startswith("Hello Ann, 2 things.\n")
    assert "* Cup\n" in mail.text


def test_an_sms_carries_text_and_the_providers_template(shop: Texts, values: Make) -> None:
    assert render(shop, "thanks", "sms", "en", values()) == Sms("+8613800138000", "Hi Ann!", "T-1", (("who", "Ann"),))


def test_an_sms_has_only_plain_spaces_so_that_it_stays_in_the_cheap_alphabet(load: Load, values: Make) -> None:
    texts, _ = load({"m/sms.de.txt": "{{ event.total | money('EUR') }}"})
    written = render(texts, "m", "sms", "de", values())
    assert isinstance(written, Sms)
    assert written.text.endswith(" €")


def test_a_push_message_carries_title_text_and_links(shop: Texts, values: Make) -> None:
    push = render(shop, "thanks", "push", "en", values())

    assert isinstance(push, Push)
    assert (push.to, push.title, push.text) == ("device-1", "Hi Ann", "Thanks")
    assert push.image == "https://shop.example.com/a.png"
    assert push.link is not None
    assert push.link.startswith("https://mail.example.com/c/")


def test_a_wechat_message_carries_template_page_and_values_in_order(shop: Texts, values: Make) -> None:
    pairs = (("thing1", "Ann Lee"), ("thing2", "Hi"))
    expected = WeChat("openid-1", "W-1", "promotion", "https://shop.example.com/x", pairs)

    assert render(shop, "thanks", "wechat", "en", values()) == expected


def test_words_of_wechat_are_a_text_without_a_template(load: Load, values: Make) -> None:
    words = '---\npage: "{{ brand.url }}/new"\n---\n{{ person.first_name }}, it is here again.\n'
    texts, problems = load({"m/wechat.en.txt": words})

    assert problems == []
    said = render(texts, "m", "wechat", "en", values())
    assert said == WeChat("openid-1", page="https://shop.example.com/new", text="Ann, it is here again.")
    assert texts.fits("m", "wechat", marketing=True) == []


def test_a_brief_is_written_for_a_colleague_and_never_sent(shop: Texts, values: Make) -> None:
    assert render_brief(shop, "call", "de", values()) == Brief("Call Ann Lee", "Orders: 3")
    assert shop.briefs == {"call"}
    assert shop.messages == {"thanks"}
    with pytest.raises(LookupError):
        render(shop, "call", "task", "en", values())
    with pytest.raises(LookupError):
        render_brief(shop, "thanks", "en", values())


def test_texts_tell_their_channels_and_locales(shop: Texts) -> None:
    assert shop.channels("thanks") == {"email", "sms", "push", "wechat"}
    assert shop.locales("thanks", "email") == {"en", "de"}
    assert shop.choose("thanks", "email", "de-CH") == "de"
    assert shop.choose("thanks", "email", "fr") == "en"
    with pytest.raises(LookupError):
        shop.choose("nothing", "email", "en")


# --- locales


def test_phrases_and_their_plurals_are_translated(shop: Texts, values: Make) -> None:
    one = values(event={"order_id": "A-1", "items": [{"name": "Cup"}]})

    assert "<p>Hello Ann, 2 Dinge.</p>" in write(shop, values(), "de").html
    assert "<p>Hello Ann, ein Ding.</p>" in write(shop, one, "de").html
    assert "Grüße von Lumen" in write(shop, values(), "de").text
    assert ">Abbestellen</a>" in write(shop, values(), "de").html


def test_a_region_of_ones_own_changes_how_numbers_are_written(load: Load, values: Make) -> None:
    texts, _ = load({"m/sms.de.txt": "{{ event.total | number }}", "m/sms.en.txt": "{{ event.total | number }}"})

    written = {
        locale: render(texts, "m", "sms", locale, values()).text  # type: ignore[union-attr]
        for locale in ("de", "de-CH", "en", "en-IN", "fr")
    }

    assert written == {"de": "1.234,5", "de-CH": "1’234.5", "en": "1,234.5", "en-IN": "1,234.5", "fr": "1,234.5"}


def test_right_to_left_text_comes_through_as_it_is(load: Load, values: Make, person: Make) -> None:
    head = "---\nsubject: مرحبا {{ person.name }}\npurpose: transactional\n---\n"
    texts, problems = load({"m/email.ar.html": head + '<p dir="rtl">{{ person.name }}</p>'})

    mail = render(texts, "m", "email", "ar", values(person=person(name="ليلى")))

    assert problems == []
    assert isinstance(mail, Email)
    assert mail.subject == "مرحبا ليلى"
    assert '<p dir="rtl">ليلى</p>' in mail.html


# --- the way out, and links


def test_a_marketing_mail_carries_both_one_click_headers(shop: Texts, values: Make) -> None:
    headers = dict(write(shop, values()).headers)

    assert headers.keys() == {"List-Unsubscribe", "List-Unsubscribe-Post"}
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    found = re.fullmatch(r"<https://mail\.example\.com/u/([^>,\s]+)>", headers["List-Unsubscribe"])
    assert found is not None
    assert read_token([SECRET], found[1], LinkUse.unsubscribe) == Token(7, 42, topic="care")
    assert f"https://mail.example.com/u/{found[1]}" in write(shop, values()).html


def test_a_transactional_mail_carries_no_list_headers(shop: Texts, values: Make) -> None:
    assert write(shop, values(marketing=False)).headers == ()


def test_the_click_of_a_mail_is_bound_to_its_message(shop: Texts, values: Make) -> None:
    [token] = set(re.findall(r"https://mail\.example\.com/c/([^\"\s]+)", write(shop, values()).html))

    assert read_token([SECRET], token, LinkUse.click) == Token(
        7, 42, journey="golden", enrollment_id=11, word="https://shop.example.com/orders/A-1"
    )


def test_an_inert_preview_differs_from_the_real_mail_in_its_tokens_only(shop: Texts, values: Make) -> None:
    real, preview = values(), values(links=Links("https://mail.example.com", SECRET, inert=True))
    without_tokens = re.compile(r"(https://mail\.example\.com/[ucpa]/)[\w.-]+")

    def plain(mail: Email) -> list[str]:
        return [without_tokens.sub(r"\1", text) for text in (mail.subject, mail.html, mail.text, str(mail.headers))]

    assert plain(write(shop, real)) == plain(write(shop, preview))
    used = set(re.findall(r"https://mail\.example\.com/[ucpa]/[\w.-]+", write(shop, preview).html))
    assert used == {"https://mail.example.com/u/inert", "https://mail.example.com/c/inert"}


def test_the_same_values_give_the_same_bytes(shop: Texts, load: Load, values: Make) -> None:
    again, _ = load(SHOP)

    assert write(shop, values()) == write(shop, values()) == write(again, values())
    assert write(shop, values(now=values().now + timedelta(days=1))) == write(shop, values())  # it speaks of no time


# --- what a value may not do where it stands


@pytest.mark.parametrize(
    "bad",
    [
        "Ann\r\nBcc: all@example.com",
        "Ann\nX: y",
        "Ann\x00",
        "Ann\u2028Lee",
        "Ann\x85Lee",
        "=?utf-8?q?Ann=0ABcc:_x?=",
        "=?utf-8?b?QW5uCkJjYzogeA==?=",
    ],
)
def test_X4_no_value_adds_a_line_to_a_header(load: Load, values: Make, person: Make, bad: str) -> None:
    texts, _ = load({"m/email.en.html": HEAD.replace("Hi", "Hi {{ person.name }}") + "<p>Hi</p>"})

    with pytest.raises(RenderError) as caught:
        render(texts, "m", "email", "en", values(person=person(name=bad)))

    assert caught.value.code == "control-character"
    assert caught.value.line == 2


def test_X4_a_name_that_would_break_a_header_is_left_out_of_the_address(load: Load, values: Make, person: Make) -> None:
    texts, _ = load({"m/email.en.html": HEAD + "<p>Hi</p>"})

    mail = render(texts, "m", "email", "en", values(person=person(name="Ann\r\nBcc: x@example.com")))

    assert isinstance(mail, Email)
    assert (mail.to, mail.to_name) == ("ann@example.com", "")


class Elements(HTMLParser):
    """The elements and attributes of a page, in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(" ".join([tag, *(name for name, _ in attrs)]))


def test_a_value_in_a_mail_is_text_and_nothing_else(load: Load, values: Make) -> None:
    texts, problems = load({"m/email.en.html": HEAD + '<p title="{{ extra.x }}">{{ extra.x }}</p>'})
    assert problems == []

    @given(st.text(max_size=60) | st.text("<>\"'&=/ scriptonerror{}%", max_size=60))
    def holds(value: str) -> None:
        mail = render(texts, "m", "email", "en", values(extra={"x": value}))
        assert isinstance(mail, Email)
        assert Elements(mail.html).seen == ["html lang dir", "head", "body lang dir", "p title"]
        assert mail.text == value.strip()

    holds()


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", " javascript:x", "data:text/html,x", "shop.example.com", "//x.example"]
)
@pytest.mark.parametrize(
    "place",
    [
        '<a href="{{ event.url }}">x</a>',
        "<img src='{{ event.url }}'>",
        '<a href="{% if true %}{{ event.url }}{% endif %}">x</a>',
        '<a href="{{ event.url }}/more">x</a>',
        "<div style=\"background: url('{{ event.url }}')\">x</div>",
    ],
)
def test_a_link_made_of_data_must_be_a_safe_one(load: Load, values: Make, place: str, url: str) -> None:
    texts, problems = load({"m/email.en.html": f"{HEAD}\n{place}"})
    assert problems == []

    with pytest.raises(RenderError) as caught:
        render(texts, "m", "email", "en", values(event={"url": url}))
    assert (caught.value.code, caught.value.line) == ("bad-link-scheme", 6)

    safe = render(texts, "m", "email", "en", values(event={"url": "https://shop.example.com/a?b=1&c=2"}))
    assert isinstance(safe, Email)
    assert "https://shop.example.com/a?b=1&amp;c=2" in safe.html


@pytest.mark.parametrize(
    "value", ["red;background:url(https://x.example)", "expression(alert(1))", "red}</style><b>", "\\75rl"]
)
@pytest.mark.parametrize(
    "place", ['<p style="color: {{ event.c }}">x</p>', "<style>p { color: {{ event.c }} }</style><p>x</p>"]
)
def test_a_value_in_a_style_stays_one_value(load: Load, values: Make, place: str, value: str) -> None:
    texts, problems = load({"m/email.en.html": HEAD + place})
    assert problems == []

    with pytest.raises(RenderError, match="inside a style"):
        render(texts, "m", "email", "en", values(event={"c": value}))
    for fine in ("#aa3300", "rgb(1, 2, 3)", "red"):
        mail = render(texts, "m", "email", "en", values(event={"c": fine}))
        assert isinstance(mail, Email)
        assert f"color: {fine}" in mail.html


def test_a_link_of_a_push_message_made_of_data_must_be_a_safe_one(load: Load, values: Make) -> None:
    texts, _ = load({"m/push.en.txt": '---\ntitle: Hi\nlink: "{{ event.url }}"\n---\nx'})

    with pytest.raises(RenderError) as caught:
        render(texts, "m", "push", "en", values(event={"url": "javascript:x"}))
    assert caught.value.code == "bad-link-scheme"


def test_sender_name_and_reply_address_may_be_the_texts_own(load: Load, values: Make) -> None:
    own = "sender_name: Mei of {{ brand.name }}\nreply_to: mei@example.com\n"
    texts, problems = load({"m/email.en.html": HEAD.replace("purpose", own + "purpose") + "<p>Hi</p>"})

    mail = render(texts, "m", "email", "en", values())

    assert problems == []
    assert isinstance(mail, Email)
    assert (mail.sender_name, mail.reply_to) == ("Mei of Lumen", "mei@example.com")


def test_a_person_without_a_name_is_written_to_all_the_same(shop: Texts, values: Make, person: Make) -> None:
    nobody = replace(person(), attributes={"first_name": "Ann"})

    assert write(shop, values(person=nobody)).to_name == "Ann"


@pytest.mark.parametrize(
    ("first", "last", "whole"),
    [
        ("Ann", "Lee", "Ann Lee"),
        ("Ann", "", "Ann"),
        ("伟", "孙", "孙伟"),
        ("怡君", "歐陽", "歐陽怡君"),
        ("민수", "김", "김민수"),
        ("伟", "", "伟"),
        ("Wei", "孙", "Wei 孙"),
    ],
)
def test_both_names_stand_as_their_owner_writes_them(
    write_sms: Callable[..., str], values: Make, person: Make, first: str, last: str, whole: str
) -> None:
    ann = values(person=person(first_name=first, last_name=last))

    assert write_sms("{{ person.name }}", ann) == whole

"""From MJML or HTML with tags to a mail: what survives the way, what is put together, and the text part made of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from channels.contract import Email, Sms
from engine.journey.problems import Problem
from engine.message.render import Values, render
from engine.message.templates import Texts

Load = Callable[[Mapping[str, str]], tuple[Texts, list[Problem]]]
Make = Callable[..., Any]

HEAD = "---\nsubject: Hi\npurpose: transactional\n---\n"


@pytest.fixture
def write(load: Load, values: Make) -> Callable[..., Email]:
    """Loads one mail and writes it for Ann."""

    def make(body: str, kind: str = "mjml", given: Any = None) -> Email:
        texts, problems = load({f"m/email.en.{kind}": HEAD + body})
        assert problems == []
        mail = render(texts, "m", "email", "en", given or values())
        assert isinstance(mail, Email)
        return mail

    return make


def sms_text(texts: Texts, locale: str, values: Values, message: str = "m") -> str:
    written = render(texts, message, "sms", locale, values)
    assert isinstance(written, Sms)
    return written.text


def mjml(inside: str, head: str = "") -> str:
    return (
        f"<mjml><mj-head>{head}</mj-head><mj-body><mj-section><mj-column>{inside}"
        "</mj-column></mj-section></mj-body></mjml>"
    )


# --- tags survive mrml and css-inline


def test_quotes_and_signs_inside_tags_reach_jinja_unharmed(write: Make) -> None:
    mail = write(mjml("""<mj-text>{% if 1 < 2 and "a" != 'b' %}{{ "yes & <no>" }}{% endif %}</mj-text>"""))

    assert ">yes &amp; &lt;no&gt;</div>" in mail.html


@pytest.mark.parametrize("kind", ["mjml", "html"])
@pytest.mark.parametrize("words", ["价格>100", "刚出冰箱b>让温度慢慢变", "é>", "a > b ]]> 箱>"])
def test_a_greater_than_sign_after_any_character_is_a_word_like_others(write: Make, words: str, kind: str) -> None:
    mail = write(mjml(f"<mj-text>{words}</mj-text>") if kind == "mjml" else f"<html><body>{words}</body></html>", kind)
    assert words.replace(">", "&gt;") in mail.html
    assert words in mail.text


def test_a_component_may_come_and_go_and_repeat(write: Make) -> None:
    body = mjml(
        """
{% for item in event["items"] %}
  <mj-text>{{ loop.index }} {{ item.name }}</mj-text>
{% endfor %}
{% if person.tier is defined %}<mj-text>gold</mj-text>{% else %}<mj-text>plain</mj-text>{% endif %}
"""
    )

    html = write(body).html

    shown = [word for word in ("1 Cup", "2 Lamp", "plain", "gold") if f">{word}</div>" in html]
    assert shown == ["1 Cup", "2 Lamp", "plain"]
    assert html.count("<tr>") == html.count("</tr>")


def test_a_whole_section_may_come_and_go(write: Make) -> None:
    section = "<mj-section><mj-column><mj-text>b</mj-text></mj-column></mj-section>"
    body = mjml("<mj-text>a</mj-text>").replace("</mj-body>", f"{{% if false %}}{section}{{% endif %}}</mj-body>")

    html = write(body).html

    assert ">a</div>" in html
    assert ">b</div>" not in html
    assert len(re.findall(r"<!--\[if [^\]]*\]>", html)) == len(re.findall(r"<!\[endif\]-->", html))


@pytest.mark.parametrize("table", ["<mj-table>{}</mj-table>", "<mj-text><table>{}</table></mj-text>"])
def test_rows_of_a_table_may_repeat(write: Make, table: str) -> None:
    rows = '{% for item in event["items"] %}<tr><td>{{ item.name }}</td></tr>{% endfor %}'

    html = write(mjml(table.format(rows))).html

    assert "<tr><td>Cup</td></tr><tr><td>Lamp</td></tr></tbody>" in html.replace("\n", "")


def test_tags_stand_in_attributes_of_components(write: Make) -> None:
    mail = write(
        mjml(
            '<mj-button href="{{ links.click("https://shop.example.com/?a=1&b=2") }}" '
            'background-color="{{ brand.colour }}">Go</mj-button>'
            '<mj-image src="https://shop.example.com/{{ event.order_id | urlencode }}.png" '
            'alt="Order {{ event.order_id }}" />'
        )
    )

    assert 'href="https://mail.example.com/c/' in mail.html
    assert "background:#aa3300" in mail.html.replace(" ", "")
    assert 'src="https://shop.example.com/A-1.png"' in mail.html
    assert 'alt="Order A-1"' in mail.html


def test_styles_marked_inline_are_inlined_and_others_stay(write: Make) -> None:
    head = (
        '<mj-style inline="inline">.a { color: #112233 }</mj-style>'
        "<mj-style>@media (max-width: 400px) { .a &gt; b { color: #445566 !important } }</mj-style>"
    )

    html = write(mjml('<mj-text><p class="a">x</p></mj-text>', head)).html

    assert re.search(r'<p class="a" style="color: ?#112233;?">x</p>', html)
    assert ".a > b { color: #445566 !important }" in html


def test_styles_of_plain_html_are_inlined_but_what_only_a_sheet_can_say(write: Make) -> None:
    style = "<style>p { color: #112233 } @media print { p { color: #000 } }</style>"

    html = write(style + "<p>{{ person.name }}</p>", "html").html

    assert re.search(r'<p style="color: ?#112233;?">Ann Lee</p>', html)
    assert "@media print" in html
    assert html.count("#112233") == 1


def test_a_mail_loads_no_fonts_and_no_style_sheets_from_elsewhere(write: Make) -> None:
    html = write(mjml('<mj-text font-family="Roboto, Ubuntu, sans-serif">x</mj-text>')).html

    assert not re.search(r"fonts\.googleapis|@import|<link", html)


def test_comments_of_authors_are_not_sent(write: Make) -> None:
    mail = write(mjml("<!-- for us --><mj-text>a<!-- between --> {# and this #}b</mj-text>"))

    assert not re.search("for us|between|and this", mail.html + mail.text)


def test_what_only_outlook_reads_is_kept(write: Make) -> None:
    html = write(mjml("<mj-raw><!--[if mso]><p>{{ person.name }}</p><![endif]--></mj-raw><mj-text>x</mj-text>")).html

    assert "<!--[if mso]><p>Ann Lee</p><![endif]-->" in html


def test_braces_that_come_out_of_entities_are_no_tags(write: Make) -> None:
    mail = write("<p>&#123;&#123; person.name &#125;&#125; {&#37; if</p>", "html")

    assert "<p>{{ person.name }} {% if</p>" in mail.html
    assert "{{ person.name }} {% if" in mail.text


def test_the_preheader_is_put_in_where_the_text_does_not_place_it(load: Load, values: Make) -> None:
    head = HEAD.replace("subject", "preheader: For {{ person.name }}\nsubject")
    placed = head + mjml("<mj-text>a</mj-text>", "<mj-preview>{{ preheader }}</mj-preview>")
    texts, problems = load({"a/email.en.html": head + "<p>a</p>", "b/email.en.mjml": placed})

    assert problems == []
    for name in ("a", "b"):
        mail = render(texts, name, "email", "en", values())
        assert isinstance(mail, Email)
        assert mail.html.count("For Ann Lee") == 1
        assert re.search(r'<div style="display: ?none;[^"]*">For Ann Lee</div>', mail.html)
        assert "For Ann Lee" not in mail.text


# --- layouts


def test_a_layout_may_extend_a_layout_and_keep_what_it_says_itself(load: Load, values: Make) -> None:
    texts, problems = load(
        {
            "_layout/base.txt": (
                "<{% block a %}base a{% endblock %}|"
                "{% block b %}base b {% block c %}base c{% endblock %}{% endblock %}>"
            ),
            "_layout/mid.txt": '{% extends "_layout/base.txt" %}{% block a %}mid({{ super() }}){% endblock %}',
            "m/sms.en.txt": (
                '{% extends "_layout/mid.txt" %}\n{% set who = person.first_name %}\n'
                "{% block a %}{{ who }}({{ super() }}){% endblock %}\n{% block c %}own c{% endblock %}\n"
            ),
        }
    )

    assert problems == []
    assert sms_text(texts, "en", values()) == "<Ann(mid(base a))|base b own c>"


def test_a_part_may_be_included_in_several_texts(load: Load, values: Make) -> None:
    texts, problems = load(
        {
            "_layout/sign.txt": "Yours, {{ brand.name }}",
            "m/sms.en.txt": 'Hi!\n{% include "_layout/sign.txt" %}',
            "n/sms.en.txt": '{% for i in [1, 2] %}{{ i }} {% include "_layout/sign.txt" %} {% endfor %}',
        }
    )

    assert problems == []
    assert sms_text(texts, "en", values()) == "Hi!\nYours, Lumen"
    assert sms_text(texts, "en", values(), "n") == "1 Yours, Lumen 2 Yours, Lumen"


def test_pieces_may_live_in_any_folder_that_begins_with_a_line_and_include_others(load: Load, values: Make) -> None:
    texts, problems = load(
        {
            "_pieces/deep/sign.txt": 'Yours, {% include "_pieces/name.txt" %}',
            "_pieces/name.txt": "{{ brand.name }}",
            "_layout/odd/frame.txt": '[{% block body %}{% endblock %}] {% include "_pieces/deep/sign.txt" %}',
            "m/sms.en.txt": '{% extends "_layout/odd/frame.txt" %}{% block body %}Hi{% endblock %}',
        }
    )

    assert (problems, texts.messages) == ([], {"m"})
    assert sms_text(texts, "en", values()) == "[Hi] Yours, Lumen"


def test_a_piece_takes_what_the_text_has_set_before_it_as_a_macro_would(load: Load, values: Make) -> None:
    texts, problems = load(
        {
            "_pieces/line.txt": "{{ label }}: {{ person.first_name }}",
            "m/sms.en.txt": '{% set label = "Read" %}{% include "_pieces/line.txt" %}; '
            '{% with label = "Open" %}{% include "_pieces/line.txt" %}{% endwith %}; '
            '{% for label in ["a", "b"] %}{% include "_pieces/line.txt" %} {% endfor %}',
        }
    )

    assert problems == []
    assert sms_text(texts, "en", values()) == "Read: Ann; Open: Ann; a: Ann b: Ann"


def test_a_value_that_a_piece_takes_and_a_text_has_not_set_is_told_at_its_place(load: Load) -> None:
    _, problems = load({"_pieces/a.txt": "x {{ label }}", "m/sms.en.txt": '{% include "_pieces/a.txt" %}'})

    assert [(one.code, str(one.position)) for one in problems] == [("undefined-name", "templates/_pieces/a.txt:1:3")]


def test_a_macro_is_refused_and_its_place_told(load: Load) -> None:
    _, problems = load({"m/sms.en.txt": "{% macro x() %}a{% endmacro %}{{ x() }}"})

    assert [(one.code, str(one.position)) for one in problems] == [("tag-not-allowed", "templates/m/sms.en.txt:1:1")]


def test_the_words_of_a_piece_follow_the_chain_of_the_texts_locale(load: Load, values: Make) -> None:
    head = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n'
    include = '{% include "_pieces/sign.txt" %}'
    texts, problems = load(
        {
            "_pieces/sign.txt": "{% trans %}Yours{% endtrans %} {% trans %}Stop{% endtrans %} {{ locale }}",
            "_locale/de/messages.po": head + 'msgid "Yours"\nmsgstr "Ihre"\nmsgid "Stop"\nmsgstr "Halt"\n',
            "_locale/de-AT/messages.po": head + 'msgid "Yours"\nmsgstr "Servus, Ihre"\n',
            "m/sms.en.txt": include,
            "m/sms.de.txt": include,
            "m/sms.de-AT.txt": include,
        }
    )

    assert problems == []
    told = {locale: sms_text(texts, locale, values()) for locale in ("en", "de", "de-AT")}
    assert told == {"en": "Yours Stop en", "de": "Ihre Halt de", "de-AT": "Servus, Ihre Halt de-AT"}
    assert texts.choose("m", "sms", "de-CH") == "de"


def test_a_block_alone_on_its_line_leaves_no_empty_line(write_sms: Make) -> None:
    text = "Hello\n{% if true %}\n  yes\n{% endif %}\n{# note #}\nBye {% if true %}A{% endif %}\nend"

    assert write_sms(text) == "Hello\n  yes\nBye A\nend"


# --- the text part


def test_the_text_part_says_the_same_words_in_the_same_order(write: Make) -> None:
    mail = write(
        mjml(
            """
<mj-text><h1>Your order</h1>
<p>Hello <b>{{ person.first_name }}</b>,<br/>thanks &amp; bye.</p></mj-text>
<mj-text>Look <a href="{{ links.click('https://shop.example.com/x') }}">here</a>
or <a href="mailto:a@example.com">write</a>.</mj-text>
{% if true %}
<mj-text>shown</mj-text>
{% endif %}
{% if false %}<mj-text>hidden</mj-text>{% endif %}
<mj-table><tr><th>Thing</th><th>Price</th></tr>
{% for item in event["items"] %}<tr><td>{{ item.name }}</td><td>{{ 20 | money }}</td></tr>{% endfor %}
</mj-table>
<mj-image src="https://shop.example.com/a.png" alt="A cup" />
<mj-image src="https://shop.example.com/b.png" />
<mj-button href="https://shop.example.com/order">See the order</mj-button>
<mj-text><ul>{% for item in event["items"] %}<li>{{ item.name }}</li>{% endfor %}</ul></mj-text>
""",
            "<mj-title>title</mj-title><mj-preview>preview</mj-preview><mj-style>.a{}</mj-style>",
        )
    )

    text = re.sub(r"/c/[\w.-]+", "/c/TOKEN", mail.text)
    assert text == (
        "Your order\n"
        "\n"
        "Hello Ann,\n"
        "thanks & bye.\n"
        "\n"
        "Look here <https://mail.example.com/c/TOKEN> or write.\n"
        "\n"
        "shown\n"
        "\n"
        "Thing Price\n"
        "Cup CN¥20.00\n"
        "Lamp CN¥20.00\n"
        "\n"
        "A cup\n"
        "\n"
        "See the order: https://shop.example.com/order\n"
        "\n"
        "* Cup\n"
        "* Lamp"
    )


def test_values_in_the_text_part_are_not_escaped(write: Make, values: Make, person: Make) -> None:
    mail = write("<p>Hi {{ person.name }} &lt;3</p>", "html", values(person=person(name="A & <B>")))

    assert "<p>Hi A &amp; &lt;B&gt; &lt;3</p>" in mail.html
    assert mail.text == "Hi A & <B> <3"


def test_phrases_lose_their_markup_in_the_text_part(write: Make) -> None:
    mail = write("<p>{% trans name=person.name %}Dear <b>{{ name }}</b> &amp; co{% endtrans %}</p>", "html")

    assert "<p>Dear <b>Ann Lee</b> &amp; co</p>" in mail.html
    assert mail.text == "Dear Ann Lee & co"


def test_the_authors_own_text_part_is_a_text_like_others(load: Load, values: Make) -> None:
    own = '{% set n = event["items"] | length %}Hi {{ person.first_name }} & {{ n }} {{ links.unsubscribe }}\n'
    texts, problems = load({"m/email.en.html": HEAD + "<p>x</p>", "m/email.en.txt": own})

    mail = render(texts, "m", "email", "en", values())

    assert problems == []
    assert isinstance(mail, Email)
    assert mail.text.startswith("Hi Ann & 2 https://mail.example.com/u/")

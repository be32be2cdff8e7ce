"""Texts as nobody should write them: reading them ends, and ends with problems, whatever stands in the files."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.message.render import RenderError, render
from engine.message.templates import load_texts
from tests.message.conftest import SETTINGS, make_values

MAIL = """---
subject: Hi {{ person.name }}
preheader: x
---
{% extends "_layout/mail.mjml" %}
{% block body %}<mj-text css-class="a">{% if event.total > 1 %}<b>{{ event.total | money("EUR") }}</b>{% endif %}
<table>{% for i in event["items"] %}<tr><td>{{ i.name }}</td></tr>{% endfor %}</table></mj-text>
<mj-button href="{{ links.click('https://shop.example.com') }}">Go</mj-button>{% endblock %}
"""
LAYOUT = """<mjml><mj-body><mj-section><mj-column>{% block body %}{% endblock %}<mj-text>
{% trans n=brand.name %}From {{ n }}{% endtrans %} <a href="{{ links.unsubscribe }}">x</a>
</mj-text></mj-column></mj-section></mj-body></mjml>"""
SIGNS = list("{}%#<>\"'&;/-=|()[]: \n\t\x00\x0b\ufffe~")
WORDS = ["{{", "}}", "{%", "%}", "{#", "#}", "<!--", "-->", "<!--[if mso]>", "---\n", "{% trans %}", "{% endif %}"]
MORE = ["{% block body %}", "<mj-raw>", "</mj-text>", "<style>", "zqj0jqz", "{% raw %}", "](", "&#0;", "\ud7ff"]
BITS = st.sampled_from(SIGNS + WORDS + MORE)


@st.composite
def damaged(draw: st.DrawFn, text: str) -> str:
    """A text with a few pieces cut out, put in or doubled."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 30)))
        text = text[:start] + draw(BITS | st.just(text[start:end] * 2) | st.just("")) + text[end:]
    return text


def read_and_write(mail: str, layout: str, kind: str = "mjml") -> None:
    """Load one mail and, if that can be done, write it; every complaint has its place."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "templates"
        (folder / "_layout").mkdir(parents=True)
        (folder / "m").mkdir()
        (folder / "_layout" / "mail.mjml").write_text(layout, encoding="utf-8")
        (folder / "m" / f"email.en.{kind}").write_text(mail, encoding="utf-8")
        texts, problems = load_texts(folder, SETTINGS)
    assert all(problem.position.line >= 1 and problem.position.column >= 1 for problem in problems)
    assert all(problem.position.file.startswith("templates/") for problem in problems)
    if ("m", "email") not in texts.forms:
        assert problems
        return
    with contextlib.suppress(RenderError):
        render(texts, "m", "email", "en", make_values())


@settings(max_examples=150)
@given(damaged(MAIL), damaged(LAYOUT), st.booleans())
def test_no_damage_to_a_text_ends_in_anything_but_problems(mail: str, layout: str, which: bool) -> None:
    read_and_write(mail if which else MAIL, LAYOUT if which else layout)


@settings(max_examples=75)
@given(damaged(MAIL.replace('{% extends "_layout/mail.mjml" %}', "").replace("mj-", "")))
def test_no_damage_to_plain_html_ends_in_anything_but_problems(html: str) -> None:
    read_and_write(html, LAYOUT, "html")


@pytest.mark.parametrize("kind", ["html", "mjml"])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("elements", "<b>" * 40_000),
        ("elements that close", "<b>" * 30_000 + "</b>" * 30_000),
        ("components", "<mj-text>" * 10_000),
        ("brackets", "{{ " + "(" * 2_000 + "1" + ")" * 2_000 + " }}"),
        ("lists", "{{ " + "[" * 300 + "]" * 300 + " }}"),
        ("sums", "{{ 1" + " + 1" * 20_000 + " }}"),
        ("a few hundred sums", "{{ 1" + " + 1" * 230 + " }}"),
        ("filters", "{{ person.name" + " | upper" * 600 + " }}"),
        ("loops", "{% for a in [1] %}" * 500 + "{% endfor %}" * 500),
        ("questions", "{% if true %}" * 900 + "{% endif %}" * 900),
        ("alternatives", "{% if false %}" + "{% elif false %}a" * 900 + "{% endif %}"),
        ("tags", "{{ person.name }}" * 1_900),
        ("too many tags", "{{ person.name }}" * 10_000),
        ("opened links", '<a href="' * 10_000),
        ("opened comments", "<!--" * 60_000),
        ("conditions", "<!--[if mso]>" * 15_000),
        ("tables", "<table><tr>" * 8_000),
        ("opened tags", "{{" * 100_000),
        ("lines", "\n" * 200_000),
        ("ampersands", "&" * 100_000),
    ],
)
def test_much_of_the_same_ends_soon(name: str, text: str, kind: str) -> None:
    mail = MAIL.replace('<mj-text css-class="a">', f'<mj-text css-class="a">{text}')

    read_and_write(mail if kind == "mjml" else f"---\nsubject: {name}\n---\n{text}", LAYOUT, kind)

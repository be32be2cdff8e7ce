"""The words of a text, put together from those of its tags, are the ones Jinja finds in it as a whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2.lexer import Lexer, Token

from engine.journey.problems import Position
from engine.message.pieces import build, cut
from engine.message.sandbox import Environment

START = Position("templates/m/sms.en.txt")
TAGS = [
    "{{ person.name | default('}} %}') }}",
    "{{- (1, [2, {'a': 0x1f}])[0] ** 2 -}}",
    '{{ "\\u00e9\\n" ~ 1_000.5e3 }}',
    "{{\n  event.total\n  | money('EUR')\n}}",
    "{% if a is defined and not b %}",
    "{%- endif %}",
    "{% set 日 = 3 %}",
    "{% trans n=3 %}one %{% pluralize %}{{ n }} many{% endtrans %}",
]
DATA = ["Hello ", "a { b } c", "% #", "}}", "<a href='x'>", "日本", "x\ny"]


@given(st.lists(st.tuples(st.sampled_from(TAGS), st.sampled_from(DATA)), max_size=8))
def test_a_text_put_together_has_the_words_that_jinja_finds_in_it_whole(bits: list[tuple[str, str]]) -> None:
    environment = Environment()
    text = "".join(f"{tag}.{data}." for tag, data in bits)

    found = build(environment, cut(environment, text, START)).words

    assert list(map(_told, found)) == list(map(_told, environment.lexer.tokenize(text)))


def _told(word: Token) -> tuple[str, object]:
    """Braces that strip space, as {{- does, have done it by then."""
    return word.type, word.value.strip("-") if word.type.endswith(("_begin", "_end")) else word.value


def test_what_stands_in_many_texts_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    environment, read, tokeniter = Environment(), list[str](), Lexer.tokeniter
    pieces = cut(environment, "{{ person.name | upper }} and {{ person.name | upper }}", START)

    def noted(lexer: Lexer, source: str, *more: str | None) -> object:
        read.append(source)
        return tokeniter(lexer, source, *more)

    monkeypatch.setattr(Lexer, "tokeniter", noted)
    written = [[word.value for word in build(environment, pieces).words] for _ in range(3)]

    assert written[0] == written[1] == written[2]
    assert len(read) <= 1

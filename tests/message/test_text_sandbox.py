"""Templates against those who would break out of them: nothing but the message's own data, never too long or large."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from engine.journey.problems import Problem
from engine.message.render import RenderError, Values, render
from engine.message.templates import Texts

Load = Callable[[Mapping[str, str]], tuple[Texts, list[Problem]]]
Make = Callable[..., Any]

REFUSED = [
    # out of the box
    "{{ ''.__class__.__mro__ }}",
    "{{ person.__class__ }}",
    "{{ person['__class__'] }}",
    "{{ links.maker }}",
    "{{ links.maker.secret }}",
    "{{ links['maker'] }}",
    "{{ links.click.__self__ }}",
    "{{ links.click.__func__.__globals__ }}",
    "{{ links.made }}",
    "{{ traits._ask }}",
    "{{ traits['_ask'] }}",
    "{{ event.update({'a': 1}) }}",
    "{{ event.items.append(1) }}",
    "{{ event.__init__ }}",
    "{{ now.tzinfo }}",
    "{{ now.strftime('%s') }}",
    "{{ gettext.__self__ }}",
    "{{ range.__class__ }}",
    "{{ [links] | map(attribute='maker') | list }}",
    "{{ [person] | map(attribute='__class__') | list }}",
    "{{ 'a{0.__class__}'.format(person) }}",
    "{{ person.name.format_map(event) }}",
    "{{ person.name.encode('utf-8') }}",
    "{{ (person.name | upper).__len__() }}",
    "{{ loop }}",
    "{{ self }}",
    "{{ config }}",
    "{{ cycler }}",
    "{{ lipsum() }}",
    "{{ namespace() }}",
    "{{ dict(a=1) }}",
    "{{ person() }}",
    "{{ person.name() }}",
    # too much
    "{{ 'a' * 100000 }}",
    "{{ [0] * 100000 }}",
    "{{ 10 ** 1000 }}",
    "{{ 9 ** 9 ** 9 }}",
    "{{ 'a' | center(1000000) }}",
    "{{ '%1000000d' | format(1) }}",
    "{{ '%1000000d' % 1 }}",
    "{{ '%*d' % (1000000, 1) }}",
    "{{ 'a' | replace('', 'b' * 60000) | replace('b', 'c' * 60000) }}",
    "{{ 1.5 | round(100000000) }}",
    "{{ range(100000) | list }}",
    "{% for a in range(1000) %}{% for b in range(1000) %}{% endfor %}{% endfor %}",
    "{% for a in range(1000) %}{% for b in [] %}{% endfor %}{% for b in range(9) %}{% endfor %}{% endfor %}",
    "{% for a in range(1000) %}{{ 'x' * 1000 }}{% endfor %}",
    "{% set a = 'x' * 60000 %}{{ a ~ a }}",
    "{% set a = 'x' * 60000 %}{{ a + a }}",
    "{% set a %}{% for i in range(1000) %}{{ 'x' * 100 }}{% endfor %}{% endset %}",
    "{% set a = 10 %}" + "{% set a = a * a %}" * 10,
    "{% set a = 'ab' %}" + "{% set a = a ~ a %}" * 40,
    "{% set a = [1] %}" + "{% set a = [a, a] %}" * 40,
    "{% with a = ['x' * 60000, 'x' * 60000] %}{{ a | list }}{% endwith %}",
    "{% for a in [['x' * 60000, 'x' * 60000]] %}{{ a | list }}{% endfor %}",
    # little by little
    "{% set x = 'ab ' * 20000 %}{{ range(1000) | map(attribute='z', default=x) | join | map('upper') | join }}",
    "{% set x = 'ab ' * 20000 %}{% for i in range(1000) %}{% if x | upper | title == 'a' %}{% endif %}{% endfor %}",
    "{% set x = 'ab ' * 20000 %}{% for i in range(1000) %}{% if x.split() | length == 1 %}{% endif %}{% endfor %}",
    "{% set x = ['a'] * 30000 %}{% for i in range(1000) %}{% if 'b' in x %}{% endif %}{% endfor %}",
    "{% set x = ['a'] * 30000 %}{{ x | select('in', x) | join | length }}",
    "{% set x = '<a ' * 20000 %}{% for i in range(1000) %}{% if x | striptags == 'a' %}{% endif %}{% endfor %}",
    "{% for i in range(60) %}{% for j in range(60) %}{% if range(1000) | map('string') | join == 'a' %}{% endif %}"
    "{% endfor %}{% endfor %}",
    "{{ range(1000) | map(attribute='z', default=[1, 2, 3] * 20000) | sum(start=[]) | length }}",
    "{{ ('%(a)s' * 9000) | format(a='x' * 60000) | length }}",
    "{{ '%s%s' % ('x' * 60000, 'x' * 60000) }}",
    "{{ ('a ' * 5000).split() | list }}",
    # nonsense that must not come through either
    "{{ person }}",
    "{{ event['items'] }}",
    "{{ [1, 2] }}",
    "{{ links.click }}",
    "{{ 1 / 0 }}",
    "{{ event.total > person.name }}",
    "{{ 'x' | int(default='y') + 1 }}",
    "{{ event.total | money('yuan') }}",
    "{{ event.total | number(digits=99) }}",
    "{{ person.name | date }}",
    "{{ now | date('a' * 100) }}",
    "{{ person.nickname }}",
    "{{ person.nickname | money }}",
    "{{ person.nickname | date }}",
    "{{ event.customer.name }}",
    "{{ links.click(person.name) }}",
    "{{ links.click('javascript:' ~ person.name) }}",
    "{{ links.answer(person.name) }}",
]


@pytest.mark.parametrize("template", REFUSED)
def test_what_a_text_may_not_do_costs_its_own_message_only(load: Load, values: Make, template: str) -> None:
    texts, problems = load({"m/sms.en.txt": "first\n" + template, "other/sms.en.txt": "Hi {{ person.name }}"})

    if not problems:
        with pytest.raises(RenderError) as caught:
            render(texts, "m", "sms", "en", values())
        assert caught.value.file == "templates/m/sms.en.txt"
        assert caught.value.line == 2 or "larger than" in caught.value.sentence
        assert "Ann" not in str(caught.value)  # what the data was stays out of sentences and logs
    assert render(texts, "other", "sms", "en", values()).text == "Hi Ann Lee"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("template", "written"),
    [
        ("{{ person.name | upper }}", "ANN LEE"),
        ("{{ person.first_name[:1] }}.", "A."),
        ("{{ person['first_name'] }}", "Ann"),
        ("{{ 'Dear ' ~ person.name }}", "Dear Ann Lee"),
        ("{{ person.nickname | default('friend') }}", "friend"),
        ("{% if person.nickname is defined %}a{% else %}b{% endif %}", "b"),
        ("{% if 'VIP' in person.tags | default([]) %}a{% else %}b{% endif %}", "b"),
        ("{{ event['items'] | length }} things", "2 things"),
        (
            "{% for i in event['items'] %}{{ loop.index }}{{ i.name }}{{ ' ' if not loop.last }}{% endfor %}",
            "1Cup 2Lamp",
        ),
        ("{{ event['items'] | map(attribute='name') | list }}", "Cup and Lamp"),
        ("{% for key, value in event.items() %}{% endfor %}x", None),  # the payload's own `items` goes first
        ("{% for key, value in extra.items() %}{{ key }}={{ value }}{% endfor %}", "tone=warm"),
        ("{% set n = traits.orders_12m + 1 %}order {{ n }}", "order 4"),
        ("{{ traits.orders_12m }}/{{ traits.spend_12m | default('none') }}", "3/none"),
        ("{{ voucher.code }} {{ voucher.value | money }}", "LUM-2026 CN¥20.00"),
        ("{{ voucher.expires_at | date('d MMM') }}", "6 Dec"),
        ("{{ event.total | money }} {{ event.total | number }} {{ 0.125 | percent(1) }}", "CN¥1,234.50 1,234.5 12.5%"),
        ("{{ event.total | money('EUR', 0) }}", "€1,234"),
        ("{{ now | date }} {{ now | time }} {{ now.hour }}", "November 22, 2026 6:00 PM 18"),
        ("{{ voucher.expires_at | relative }}", "in 2 weeks"),
        ("{{ ['a', 'b', 'c'] | list }} {{ ['a', 'b'] | list('or') }}", "a, b, and c a or b"),
        ("{{ brand.name }} {{ brand.people['en'].mei }} {{ brand.address }}", "Lumen Mei Su 1 Example Road"),
        ("{{ journey }} {{ step }} {{ extra.tone }} {{ person.country }}", "golden send-thanks warm CN"),
        ("{{ 7 // 2 }} {{ 2 ** 10 }} {{ 7 % 4 }} {{ 'ab' * 2 }}", "3 1024 3 abab"),
        ("{% raw %}{{ as it is }}{% endraw %} {# hidden #}{{ '{%' }}", "{{ as it is }} {%"),
        ("{{ {'a': {'b': 1}}.a.b }} }} %}", "1 }} %}"),
    ],
)
def test_what_a_text_may_do(write_sms: Make, template: str, written: str | None) -> None:
    if written is None:
        with pytest.raises(RenderError):
            write_sms(template)
    else:
        assert write_sms(template) == written


def test_data_that_looks_like_a_template_stays_data(write_sms: Make, values: Make, person: Make) -> None:
    name = "{{ links.unsubscribe }}{% for x in range(9) %}{{ 7 * 7 }}{% endfor %}"

    assert write_sms("Hi {{ person.name }}", values(person=person(name=name))) == f"Hi {name}"


def test_a_large_value_of_a_person_costs_their_own_message_only(load: Load, values: Make, person: Make) -> None:
    texts, _ = load({"m/sms.en.txt": "Hi {{ person.name }}"})

    with pytest.raises(RenderError, match="larger than 10 KB"):
        render(texts, "m", "sms", "en", values(person=person(name="x" * 20_000)))


def test_a_trait_is_asked_once_and_only_when_it_is_read(write_sms: Make, values: Make) -> None:
    asked: list[str] = []

    def trait(name: str) -> int:
        asked.append(name)
        return 5

    given: Values = values(traits=trait)
    written = write_sms("{{ traits.a }}{{ traits.a }}{% if false %}{{ traits.b }}{% endif %}", given)

    assert (written, asked) == ("55", ["a"])


@pytest.mark.parametrize(
    ("template", "line", "sentence"),
    [
        ("a\nb {{ person.nickname }}", 2, "person.nickname is not known here"),
        ("{% if true %}\na\n{{ event.x }}\n{% endif %}", 3, "event.x is not known here"),
        ("{{ traits.unheard_of }}", 1, "traits.unheard_of is not known here"),
        ("a\n\n{{ links.click(\n  person.name\n) }}", 3, "the address holds a space"),
        ("{% for i in [1] %}\n{{ 'x' | money }}\n{% endfor %}", 2, "an amount of money is needed"),
        (
            "---\ntemplate: T\nparams:\n  who: '{{ person.nickname }}'\n---\nHi ${who}!",
            4,
            "person.nickname is not known here",
        ),
    ],
)
def test_an_error_names_the_line_it_stands_on(
    load: Load, values: Make, template: str, line: int, sentence: str
) -> None:
    texts, problems = load({"m/sms.en.txt": template})
    assert problems == []

    with pytest.raises(RenderError, match=sentence) as caught:
        render(texts, "m", "sms", "en", values())

    assert (caught.value.file, caught.value.line) == ("templates/m/sms.en.txt", line)

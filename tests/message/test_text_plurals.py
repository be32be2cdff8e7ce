"""Counting in languages of one form of plural, two, three and six, with and without a rule in a catalogue's head."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from babel import Locale
from babel.localedata import locale_identifiers

from channels.contract import Sms
from engine.journey.problems import Problem
from engine.message.catalogues import plural_forms
from engine.message.render import RenderError, Values, render
from engine.message.templates import Texts

Load = Callable[[Mapping[str, str]], tuple[Texts, list[Problem]]]
Make = Callable[..., Values]

COUNTED = "{% trans count=extra.n %}{{ count }} thing{% pluralize %}{{ count }} things{% endtrans %}"
RUSSIAN = "nplurals=3; plural=(n%10==1 && n%100!=11 ? 0 : n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) ? 1 : 2);"
ARABIC = (
    "nplurals=6; plural=(n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n%100>=3 && n%100<=10 ? 3 : n%100>=11 && n%100<=99 ? 4 : 5);"
)


def catalogue(*forms: str, rule: str = "") -> str:
    """A catalogue in which a thing has these forms."""
    head = f"Plural-Forms: {rule}\\n" if rule else "Content-Type: text/plain; charset=UTF-8\\n"
    written = "".join(f'msgstr[{number}] "{form}"\n' for number, form in enumerate(forms))
    return f'msgid ""\nmsgstr "{head}"\n\nmsgid "%(count)s thing"\nmsgid_plural "%(count)s things"\n{written}'


@pytest.mark.parametrize("by_rule", [False, True])
@pytest.mark.parametrize(
    ("locale", "forms", "rule", "told"),
    [
        ("zh-CN", ("件",), "nplurals=1; plural=0;", {0: "件", 1: "件", 2: "件", 1.5: "件"}),
        ("de", ("Ding", "Dinge"), "nplurals=2; plural=(n != 1);", {0: "Dinge", 1: "Ding", 2: "Dinge", 1.5: "Dinge"}),
        ("fr", ("chose", "choses"), "nplurals=2; plural=(n > 1);", {0: "chose", 1: "chose", 2: "choses", 1.5: "chose"}),
        (
            "ru",
            ("вещь", "вещи", "вещей"),
            RUSSIAN,
            {
                0: "вещей",
                1: "вещь",
                2: "вещи",
                5: "вещей",
                11: "вещей",
                21: "вещь",
                22: "вещи",
                111: "вещей",
                1.5: "вещи",
            },
        ),
        (
            "ar",
            ("صفر", "واحد", "اثنان", "قليل", "كثير", "آخر"),
            ARABIC,
            {0: "صفر", 1: "واحد", 2: "اثنان", 3: "قليل", 10: "قليل", 11: "كثير", 99: "كثير", 100: "آخر", 103: "قليل"},
        ),
    ],
)
def test_a_language_counts_in_as_many_forms_as_it_has(
    load: Load,
    values: Make,
    locale: str,
    forms: tuple[str, ...],
    rule: str,
    told: Mapping[float, str],
    by_rule: bool,
) -> None:
    written = catalogue(*[f"%(count)s {form}" for form in forms], rule=rule if by_rule else "")
    texts, problems = load({f"m/sms.{locale}.txt": COUNTED, f"_locale/{locale}/messages.po": written})

    assert problems == []
    for number, form in told.items():
        content = render(texts, "m", "sms", locale, values(locale, extra={"n": number}))
        assert isinstance(content, Sms)
        assert content.text == f"{number} {form}"


def test_english_needs_no_catalogue_and_knows_that_a_half_is_no_whole(load: Load, values: Make) -> None:
    texts, problems = load({"m/sms.en.txt": COUNTED})

    assert problems == []
    for number, told in ((1, "1 thing"), ("1", "1 thing"), (0, "0 things"), (1.5, "1.5 things"), (-1, "-1 thing")):
        content = render(texts, "m", "sms", "en", values(extra={"n": number}))
        assert isinstance(content, Sms)
        assert content.text == told
    for bad in ("many", [1], {"a": 1}):
        with pytest.raises(RenderError, match="needs a number to count by"):
            render(texts, "m", "sms", "en", values(extra={"n": bad}))


def test_a_text_in_a_language_of_two_forms_counts_as_that_language_does(load: Load, values: Make) -> None:
    texts, problems = load({"m/sms.fr.txt": COUNTED.replace("thing", "chose")})

    assert problems == []
    for number, told in ((0, "0 chose"), (1, "1 chose"), (1.5, "1.5 chose"), (2, "2 choses")):
        content = render(texts, "m", "sms", "fr", values("fr", extra={"n": number}))
        assert isinstance(content, Sms)
        assert content.text == told


def test_regions_that_share_a_catalogue_do_not_lead_in_circles(load: Load, values: Make) -> None:
    files = {f"m/sms.{locale}.txt": "{% trans %}Nobody translated me{% endtrans %}" for locale in ("de", "de-Latn-DE")}
    texts, _ = load({**files, "_locale/de/messages.po": "", "_locale/de-DE/messages.po": ""})

    for locale in ("de", "de-Latn-DE", "de", "de-AT"):
        content = render(texts, "m", "sms", locale, values(locale))
        assert isinstance(content, Sms)
        assert content.text == "Nobody translated me"


def test_two_forms_are_too_few_for_a_language_that_has_three_until_its_catalogue_has_them(load: Load) -> None:
    _, problems = load({"m/sms.ru.txt": COUNTED, "m/sms.fr.txt": COUNTED, "m/sms.zh.txt": COUNTED})

    assert [(p.code, p.position.file, p.position.line) for p in problems] == [
        ("missing-plural", "templates/m/sms.ru.txt", 1)
    ]
    assert "_locale/ru/messages.po" in problems[0].hint

    _, problems = load({"_locale/ru/messages.po": catalogue("вещь", "вещи", "вещей")})
    assert problems == []


@pytest.mark.parametrize(
    ("locale", "forms", "rule", "sentence"),
    [
        ("ru", ("вещь", "вещей"), "", "`%(count)s thing` has 2 forms of plural, and this language 3"),
        ("ru", ("вещь", "вещи", ""), RUSSIAN, "`%(count)s thing` has 2 forms of plural, and this language 3"),
        ("zh", ("件", "件"), "", "this phrase has more forms of plural than the language"),
        ("ru", ("вещь",), "nplurals=1; plural=__import__;", "the catalogue cannot be read (ValueError)"),
        ("ru", ("вещь",), "nplurals=many; plural=0;", "the catalogue cannot be read (ValueError)"),
    ],
)
def test_a_catalogue_with_other_forms_than_its_language_is_refused(
    load: Load, locale: str, forms: tuple[str, ...], rule: str, sentence: str
) -> None:
    _, problems = load({f"_locale/{locale}/messages.po": catalogue(*forms, rule=rule)})

    assert [(problem.code, problem.sentence) for problem in problems] == [("bad-catalogue", sentence)]


def test_every_language_has_at_least_one_form_and_at_most_six() -> None:
    forms = {name: plural_forms(Locale.parse(name)) for name in locale_identifiers()}

    assert {len(one) for one in forms.values()} == {1, 2, 3, 4, 5, 6}
    assert forms["ar"] == ("zero", "one", "two", "few", "many", "other")
    assert forms["ru"] == ("one", "few", "many")

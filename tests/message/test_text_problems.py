"""Wrong texts beside the exact problem their author should see: code, file, line, column."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from engine.journey.problems import Problem, Severity
from engine.message.codes import CODES
from engine.message.render import Values
from engine.message.templates import Texts

Load = Callable[[Mapping[str, str]], tuple[Texts, list[Problem]]]
Make = Callable[..., Any]
MAIL = """---
subject: Hello {{ person.first_name }}
---
<mjml><mj-body><mj-section><mj-column>
<mj-text>BODY <a href="{{ links.unsubscribe }}">Unsubscribe</a></mj-text>
</mj-column></mj-section></mj-body></mjml>
"""
LAYOUT = {
    "_layout/mail.mjml": MAIL.split("---\n")[2].replace(
        "BODY", "{% block title %}Hi{% endblock %}{% block body %}{% endblock %}"
    )
}


def mail(body: str) -> str:
    """A small mail of MJML; its body begins at line 5, column 10."""
    return MAIL.replace("BODY", body)


EMAIL, HTML, SMS, PUSH, WECHAT = (
    "m/email.en.mjml",
    "m/email.en.html",
    "m/sms.en.txt",
    "m/push.en.txt",
    "m/wechat.en.yaml",
)
HEAD = "---\ntitle: Hello\n---\n"
SUBJECT = "---\nsubject: x\n---\n"


def mjml(body: str, old: str = "", new: str = "") -> Mapping[str, str]:
    """A folder with one mail; `old` in it is replaced by `new`."""
    return {EMAIL: mail(body).replace(old, new) if old else mail(body)}


def html(body: str) -> Mapping[str, str]:
    """A folder with one mail of plain HTML; its body begins at line 5."""
    return {HTML: f"---\nsubject: x\npurpose: transactional\n---\n{body}"}


def extends(body: str, layout: str = "mail") -> Mapping[str, str]:
    """A folder with one mail that extends a layout."""
    return {EMAIL: f'{SUBJECT}{{% extends "_layout/{layout}.mjml" %}}{body}', **LAYOUT}


WRONG: list[tuple[str, Mapping[str, str], str, str]] = [
    # what is wrong, files, where, code
    # --- names of files
    ("a channel that is none", {"m/emial.en.mjml": "x"}, "1:1", "unknown-channel-file"),
    ("a file with another name", {"m/notes.md": "x"}, "1:1", "unknown-channel-file"),
    ("an SMS as HTML", {"m/sms.en.html": "x"}, "1:1", "wrong-extension"),
    ("a locale that is none", {"m/sms.english.txt": "x"}, "1:1", "bad-locale-name"),
    ("an underscore in a locale", {"m/sms.zh_CN.txt": "x"}, "1:1", "bad-locale-name"),
    ("a space in a message's name", {"My text/sms.en.txt": "x"}, "./My text:1:1", "bad-message-name"),
    ("a file beside the messages", {"thanks.en.txt": "x"}, "1:1", "stray-file"),
    (
        "the same mail twice",
        {"m/email.en.mjml": mail("x"), "m/email.en.html": "x"},
        "m/email.en.html:1:1",
        "two-formats",
    ),
    (
        "a message of WeChat twice",
        {"m/wechat.en.yaml": "template: T\nkind: notice\n", "m/wechat.en.txt": "x"},
        "m/wechat.en.txt:1:1",
        "two-formats",
    ),
    ("a template's key with words", {"m/wechat.en.txt": "---\ntemplate: T\n---\nx"}, "2:1", "unknown-key"),
    ("words that are none", {"m/wechat.en.txt": "---\npage: https://a.example\n---\n"}, "1:1", "empty-text"),
    ("a text part without a mail", {"m/email.en.txt": "x"}, "1:1", "text-without-mail"),
    # --- front matter
    ("front matter never closed", {SMS: "---\ntemplate: T1\nhello"}, "1:1", "bad-front-matter"),
    ("front matter that is no YAML", {PUSH: "---\ntitle: a: b\n---\nx"}, "2:9", "not-yaml"),
    ("a key that does not exist", {PUSH: "---\ntitle: Hi\nimgae: x\n---\nx"}, "3:1", "unknown-key"),
    ("a mail without a subject", {"m/email.en.mjml": mail("x").split("---\n", 2)[2]}, "1:1", "missing-subject"),
    ("a push without a title", {PUSH: "x"}, "1:1", "missing-title"),
    ("a purpose that is none", mjml("x", "subject", "purpose: ad\nsubject"), "2:10", "unknown-word"),
    ("nothing to say", {SMS: "---\n---\n"}, "1:1", "empty-text"),
    # --- the language of texts
    ("a block never closed", {SMS: "Hi\n{% if person.name %}x"}, "2:1", "template-syntax"),
    (
        "a block never closed in a layout that goes on",
        extends("{% block body %}\n{% if a %}{% endblock %}"),
        "5:1",
        "template-syntax",
    ),
    ("a value closed with one brace", {SMS: "Hi\n{{ now }} {{ person.name } you"}, "2:11", "template-syntax"),
    ("a curly quote in a tag", {SMS: "Hi\n{{ person.name | default(‘you’) }}"}, "2:26", "template-syntax"),
    ("a value never closed", {SMS: "Hi {{ person.name\nbye"}, "1:4", "template-syntax"),
    ("two words in a value", {SMS: "Hi\n\n  {{ person name }}"}, "3:3", "template-syntax"),
    ("a phrase never closed", {SMS: "{% trans %}Hi"}, "1:1", "template-syntax"),
    ("an end without a begin", {SMS: "a\n{% endblock %}"}, "2:1", "template-syntax"),
    ("an endif without an if", {SMS: "a\n{% endif %}"}, "2:1", "template-syntax"),
    ("a mistake behind front matter", {PUSH: HEAD + "a\nb {{ 1 + }}"}, "5:3", "template-syntax"),
    ("a macro", {SMS: "{% macro a() %}{% endmacro %}"}, "1:1", "tag-not-allowed"),
    ("an import", {SMS: "\n{% from 'x' import y %}"}, "2:1", "tag-not-allowed"),
    ("escaping switched off", {SMS: "{% filter upper %}a{% endfilter %}"}, "1:1", "tag-not-allowed"),
    ("a name that is not known", {SMS: "Hi {{ persn.name }}"}, "1:4", "undefined-name"),
    ("a bare name", {PUSH: "---\ntitle: Hi {{ first_name }}\n---\nx"}, "2:11", "undefined-name"),
    ("a link that does not exist", {SMS: "{{ links.unsubscribed }}"}, "1:1", "undefined-name"),
    ("a brand value that is not set", {SMS: "a\n{{ brand.color }}"}, "2:1", "undefined-name"),
    ("a voucher's field that is none", {SMS: "{{ voucher.expires }}"}, "1:1", "undefined-name"),
    ("a filter that does not exist", {SMS: "Hi {{ event.total | monney }}"}, "1:4", "unknown-filter"),
    ("the filter that would switch escaping off", {SMS: "{{ person.name | safe }}"}, "1:1", "unknown-filter"),
    ("a test that does not exist", {SMS: "{% if person.name is know %}a{% endif %}"}, "1:1", "unknown-test"),
    # --- layouts
    ("a layout that is not there", extends("", "mial"), "4:1", "unknown-layout"),
    ("a layout by a name that no disk can hold", extends("", "mail" * 500), "4:1", "unknown-layout"),
    ("a layout outside of the folder", {SMS: '{% include "../config.yaml" %}'}, "1:1", "outside-folder"),
    ("a layout chosen by data", {SMS: "{% include event.name %}"}, "1:1", "template-syntax"),
    ("a block that the layout does not have", extends("\n{% block boddy %}x{% endblock %}"), "5:1", "unknown-block"),
    ("text beside the blocks", extends("\n  lost\n"), "5:3", "lost-text"),
    (
        "a layout that extends itself",
        {SMS: '{% include "_layout/a.txt" %}', "_layout/a.txt": '{% include "_layout/a.txt" %}'},
        "_layout/a.txt:1:1",
        "layout-loop",
    ),
    (
        "a mistake in a layout",
        {SMS: '{% include "_layout/a.txt" %}', "_layout/a.txt": "ok\n{{ nobody }}"},
        "_layout/a.txt:2:1",
        "undefined-name",
    ),
    # --- mails
    ("no way out", {HTML: "---\nsubject: x\n---\n<p>Buy</p>"}, "4:1", "missing-unsubscribe"),
    ("a script for a link", mjml('<a href="javascript:alert(1)">x</a>'), "5:19", "bad-link-scheme"),
    ("a script for a link, disguised", mjml('<a href=" java&#115;cript:alert(1)">x</a>'), "5:19", "bad-link-scheme"),
    ("a click that leads nowhere", {SMS: "Go: {{ links.click('shop.example.com') }}"}, "1:5", "bad-link-scheme"),
    ("an answer of two words", {SMS: "{{ links.answer('too dear') }}"}, "1:1", "bad-answer"),
    ("a script", mjml("<script>alert(1)</script>"), "5:10", "script-in-mail"),
    ("a script on an element", mjml('<b onclick="x()">a</b>'), "5:13", "script-in-mail"),
    ("a tag inside an HTML comment", mjml("<!-- {{ person.name }} -->x"), "5:10", "tag-in-comment"),
    (
        "a tag between attributes",
        mjml("<b {% if event.total %}id='a'{% endif %}>a</b>"),
        "5:13",
        "tag-between-attributes",
    ),
    ("a name unknown deep in MJML", mjml("line\n  <b>{{ nobody.name }}</b>"), "6:6", "undefined-name"),
    (
        "a block cut by MJML",
        mjml("{% if event.total %}", "</mj-body>", "{% endif %}</mj-body>"),
        "5:10",
        "crossing-block",
    ),
    ("a component that is none", mjml("x", "mj-text", "mj-txt"), "5:1", "mjml-unknown-tag"),
    ("an attribute that is none", mjml("x", "<mj-text>", '<mj-text colour="red">'), "5:10", "mjml-unknown-attribute"),
    (
        "a component in the wrong place",
        mjml("x", "mj-column", "mj-group"),
        "5:1",
        "mjml-misplaced",
    ),
    ("text between components", mjml("x", "<mj-text>", "lost <mj-text>"), "5:1", "mjml-misplaced"),
    ("a component never closed", mjml("x", "</mj-column>", ""), "4:28", "mjml-unclosed"),
    ("the wrong closing tag", mjml("x", "</mj-text>", "</mj-txt>"), "5:61", "mjml-unclosed"),
    ("a bare less-than sign", mjml("1 < 2"), "5:12", "mjml-broken"),
    (
        "what makes the reader of MJML panic",
        mjml("<!--[if mso | IE]>箱><p>b</p><![endif]-->"),
        "4:1",
        "mjml-broken",
    ),
    ("an element that HTML does not have", html("<p>x</p>\n<tabel><tr></tr></tabel>"), "6:1", "html-unknown-tag"),
    ("one that is closed as another", html("<table>\n<tr></tr></tabel>"), "6:10", "html-unknown-tag"),
    ("MJML in a mail of HTML", html("<mj-text>x</mj-text>"), "5:1", "html-unknown-tag"),
    ("an attribute with a slip of the pen", html("<a herf='https://a.example'>x</a>"), "5:4", "html-unknown-attribute"),
    ("an element that no way closes", html("<b>x"), "5:1", "html-unclosed"),
    ("an element closed twice", html("<b>x</b></b>"), "5:9", "html-unclosed"),
    ("one element across another", html("<b>x<i>y</b></i>"), "5:5", "html-unclosed"),
    ("a slash that closes nothing", html("<div/>x"), "5:1", "html-unclosed"),
    ("an element that only an `if` opens", html("{% if person.city %}\n<b>{% endif %}x"), "6:1", "html-unclosed"),
    ("a quote that is missing", html('<a href="https://a.example>x</a>'), "5:1", "html-broken"),
    ("an unknown element inside MJML", mjml("x <tabel></tabel>"), "5:12", "html-unknown-tag"),
    ("an attribute inside MJML", mjml("<span stlye='color:red'>x</span>"), "5:16", "html-unknown-attribute"),
    ("an element never closed inside MJML", mjml("<p>x"), "5:10", "html-unclosed"),
    ("no MJML at all", {"m/email.en.mjml": "---\nsubject: x\n---\n"}, "4:1", "mjml-no-root"),
    (
        "an include of MJML's own",
        mjml("x", "<mj-body>", '<mj-body><mj-include path="a.mjml" />'),
        "4:16",
        "tag-not-allowed",
    ),
    (
        "a subject that nobody reads to its end",
        mjml("x", "Hello {{ person.first_name }}", "x" * 151),
        "2:10",
        "too-long",
    ),
    # --- push, WeChat
    ("a title too long for a phone", {PUSH: f"---\ntitle: {'x' * 66}\n---\nx"}, "2:8", "too-long"),
    ("a deep link of another scheme", {PUSH: "---\ntitle: Hi\nlink: app://orders\n---\nx"}, "3:7", "bad-link-scheme"),
    (
        "a kind WeChat does not have",
        {WECHAT: "template: T\nkind: advert\nvalues: {thing1: Hi}"},
        "2:7",
        "unknown-word",
    ),
    (
        "a field WeChat does not have",
        {WECHAT: "template: U\nkind: notice\nwording: '{{thng1.DATA}}'\nvalues:\n  thng1: Hi"},
        "5:3",
        "bad-wechat-field",
    ),
    ("a WeChat text without a template", {WECHAT: "kind: notice"}, "1:1", "missing-key"),
    (
        "a WeChat value too long",
        {WECHAT: f"template: T\nkind: notice\nvalues: {{thing1: {'x' * 21}}}"},
        "3:18",
        "too-long",
    ),
    # --- catalogues
    (
        "a catalogue that is none",
        {"_locale/de/messages.po": 'msgid "a"\nfoo "b"\n'},
        "_locale/de/messages.po:2:1",
        "bad-catalogue",
    ),
    (
        "a translation that names another value",
        {"_locale/de/messages.po": '\nmsgid "Hi %(name)s"\nmsgstr "Hallo %(nam)s"\n'},
        "_locale/de/messages.po:2:1",
        "bad-catalogue",
    ),
    (
        "a catalogue for no locale",
        {"_locale/german/messages.po": ""},
        "_locale/german/messages.po:1:1",
        "bad-locale-name",
    ),
    (
        "a phrase of a layout nobody translated",
        {"m/sms.de.txt": '{% include "_layout/a.txt" %}', "_layout/a.txt": "{% trans %}Stop{% endtrans %}"},
        "_layout/a.txt:1:1",
        "missing-translation",
    ),
    (
        "a plural of two forms in a language of three",
        {"m/sms.pl.txt": "{% trans count=event.n %}one{% pluralize %}{{ count }}{% endtrans %}"},
        "m/sms.pl.txt:1:1",
        "missing-plural",
    ),
    (
        "a catalogue with a form too few",
        {"_locale/ar/messages.po": '\nmsgid "a"\nmsgid_plural "b"\nmsgstr[0] "c"\n'},
        "_locale/ar/messages.po:2:1",
        "bad-catalogue",
    ),
    # --- files as files
    ("a file too large", {SMS: "x" * 300_000}, "1:1", "too-large"),
]


@pytest.mark.parametrize(("files", "where", "code"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_a_mistake_is_told_with_its_place_and_cure(load: Load, files: Mapping[str, str], where: str, code: str) -> None:
    _, problems = load(files)

    place = where.removeprefix("./") if "/" in where else f"{next(iter(files))}:{where}"

    assert [(problem.code, str(problem.position)) for problem in problems] == [(code, f"templates/{place}")]
    assert problems[0].sentence
    assert problems[0].hint


def test_every_code_is_listed_with_its_sentence_and_none_carries_the_tests_alone(load: Load) -> None:
    codes = [code for _, _, _, code in WRONG]

    assert len(set(codes)) >= 30
    assert {code for code in set(codes) if code not in CODES} <= {
        "not-yaml",
        "unknown-key",
        "unknown-word",
        "missing-key",
    }


def test_all_mistakes_of_all_files_are_told_in_one_run(load: Load) -> None:
    _, problems = load(
        {
            "a/sms.en.txt": "{{ nobody }} {{ person.name | upperr }} {{ links.click('x') }}",
            "b/push.en.txt": "---\nlink: javascript:x\n---\n{{ nobody }}",
            "c/sms.xx.txt": "x",
        }
    )

    told = sorted({(Path(p.position.file).parent.name, p.code) for p in problems})
    assert told == [
        ("a", "bad-link-scheme"),
        ("a", "undefined-name"),
        ("a", "unknown-filter"),
        ("b", "bad-link-scheme"),
        ("b", "missing-title"),
        ("b", "undefined-name"),
        ("c", "bad-locale-name"),
    ]


def test_a_mistake_in_one_text_leaves_the_others_usable(load: Load) -> None:
    texts, problems = load({"good/sms.en.txt": "Hi", "bad/sms.en.txt": "{{ nobody }}"})

    assert [problem.code for problem in problems] == ["undefined-name"]
    assert texts.messages == {"good"}
    assert texts.problems == tuple(problems)


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("{{ persn.name }}", "did you mean `person`?"),
        ("{{ event.total | mony }}", "did you mean `money`?"),
        ("{{ person.name | safe }}", "values are always escaped; write markup in the template itself"),
        ("{{ links.unsubscibe }}", "did you mean `unsubscribe`?"),
        ("{{ order.total }}", "the event's payload is `event`: event.total"),
    ],
)
def test_the_hint_names_what_was_meant(load: Load, written: str, hint: str) -> None:
    _, problems = load({SMS: written})

    assert [problem.hint for problem in problems] == [hint]


def test_a_file_that_is_no_utf8_is_told_with_its_line(load: Load, tmp_path: Path) -> None:
    path = tmp_path / "templates" / "m" / "sms.en.txt"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"ok\nk\xf6nnen")

    _, problems = load({})

    assert [(p.code, p.position.line) for p in problems] == [("not-utf8", 2)]


def test_a_text_that_is_a_link_out_of_the_folder_is_not_read(load: Load, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("the secret")
    folder = tmp_path / "templates" / "m"
    folder.mkdir(parents=True)
    os.symlink(tmp_path / "secret.txt", folder / "sms.en.txt")

    texts, problems = load({})

    assert [problem.code for problem in problems] == ["outside-folder"]
    assert not texts.messages


def test_a_transactional_mail_needs_no_way_out_and_may_not_be_marketing(load: Load) -> None:
    texts, problems = load({"m/email.en.html": "---\nsubject: x\npurpose: transactional\n---\n<p>Your receipt</p>"})

    assert problems == []
    assert texts.fits("m", "email", marketing=False) == []
    assert [problem.code for problem in texts.fits("m", "email", marketing=True)] == ["purpose-mismatch"]


USUAL = """<!doctype html><html lang="en" xmlns:v="urn:schemas-microsoft-com:vml"><head><meta charset="utf-8">
<!--[if mso]><noscript><xml><o:OfficeDocumentSettings><o:PixelsPerInch>96</o:PixelsPerInch></o:OfficeDocumentSettings>
</xml></noscript><![endif]--><style>td > p { margin: 0 }</style></head>
<body bgcolor="#ffffff" leftmargin="0" link="#112233"><center>
<!--[if (gte mso 9)|(IE)]><table width="600" align="center"><tr><td><![endif]-->
<table role="presentation" border="0" cellpadding="0" cellspacing="0" width="100%" data-theme="x" aria-hidden="true">
<tr><td valign="top" nowrap background="https://a.example/b.png" emb-not-responsive mc:edit="body">
<!--[if mso]><v:roundrect arcsize="10%" strokecolor="#111" fillcolor="#222"><w:anchorlock/><![endif]-->
<a href="https://a.example" target="_blank" moz-do-not-send="true" alias="cta"><font face="Arial" size="2">Go</font></a>
<!--[if mso]></v:roundrect><![endif]--><!--[if !mso]><!--><div>not for Outlook<br></div><!--<![endif]-->
<o:p>&nbsp;</o:p><o:p/> 1 < 2 <p>one<p>two<ul><li>a<li>b</ul><td>beside<tr><th>below</table>
<!--[if mso]></td></tr></table><![endif]-->
<svg viewBox="0 0 1 1"><path d="M0 0"/></svg>
{% if person.city %}<a href="https://a.example">{% endif %}x{% if person.city %}</a>{% endif %}
{% if person.city %}<div class="a">{% else %}<div class="b">{% endif %}x</div>
<table><tr>{% for one in [1, 2, 3] %}<td>x</td>{% if one == 2 %}</tr><tr>{% endif %}{% endfor %}</tr></table>
</center></body></html>"""


@pytest.mark.parametrize("line", [USUAL, *USUAL.splitlines()[11:-1]])
def test_nothing_is_said_about_the_usual_html_of_mails(load: Load, line: str) -> None:
    _, problems = load(html(line))

    assert problems == []


def test_a_mail_of_html_with_a_tag_left_open_is_sent_and_the_author_told(load: Load) -> None:
    texts, problems = load(html("<b>Hello"))

    assert [(p.code, p.severity, p.hint) for p in problems] == [("html-unclosed", Severity.warning, "write </b>")]
    assert texts.messages == {"m"}


def test_a_slip_in_a_layout_is_told_once_at_its_place_there(load: Load) -> None:
    layout = {"_layout/mail.mjml": LAYOUT["_layout/mail.mjml"].replace("Hi", "<spna>Hi</spna>")}
    body = "{% block body %}x{% endblock %}"
    _, problems = load({**extends(body), "n/email.en.mjml": extends(body)[EMAIL], **layout})

    assert [(p.position.file, p.code, p.hint) for p in problems] == [
        ("templates/_layout/mail.mjml", "html-unknown-tag", "did you mean `span`?")
    ]


def test_a_notice_of_wechat_may_not_carry_marketing(load: Load) -> None:
    notice = "template: T\nkind: notice\nvalues: {thing1: Hi}"
    texts, problems = load({"m/wechat.en.yaml": notice, "n/wechat.en.yaml": notice.replace("notice", "promotion")})

    assert problems == []
    assert [problem.code for problem in texts.fits("m", "wechat", marketing=True)] == ["kind-purpose"]
    assert texts.fits("m", "wechat", marketing=False) == texts.fits("n", "wechat", marketing=True) == []


def test_a_phrase_written_in_a_text_itself_needs_no_translation(load: Load) -> None:
    _, problems = load({"m/sms.de.txt": "{% trans n=event.total %}Ein Ding{% pluralize %}{{ n }} Dinge{% endtrans %}"})

    assert problems == []


# --- check with sample people


def test_what_fails_for_every_sample_is_an_error_and_for_some_a_warning(load: Load, values: Make, person: Make) -> None:
    texts, _ = load({SMS: "Hi\n{{ person.nickname }}"})
    without, with_one = values(marketing=False), values(person=person(nickname="Annie"), marketing=False)

    def checked(*samples: Values) -> list[Problem]:
        return texts.check("m", "sms", "en", {f"person {number}": one for number, one in enumerate(samples)})

    assert [(p.code, p.severity, str(p.position)) for p in checked(without, without)] == [
        ("undefined-name", Severity.error, "templates/m/sms.en.txt:2:1")
    ]
    [some] = checked(without, with_one)
    assert some.severity is Severity.warning
    assert some.sentence == "person.nickname is not known here (for person 0)"
    assert checked(with_one) == []


def test_a_trial_finds_what_grows_too_long_with_real_values(load: Load, values: Make, person: Make) -> None:
    files = {
        "m/wechat.en.yaml": 'template: W-1\nkind: notice\nvalues: {thing1: "{{ person.name }}", '
        'thing2: "{{ extra.none | default }}"}'
    }
    texts, problems = load(files)

    found = texts.check("m", "wechat", "en", {"somebody": values(person=person(name="x" * 30))})

    assert problems == []
    assert [(p.code, p.sentence) for p in found] == [
        ("too-long", "`thing1` has 30 characters, 20 are shown"),
        ("empty-value", "`thing2` is empty, which WeChat refuses"),
    ]


def test_a_text_says_which_names_it_reads(load: Load) -> None:
    texts, _ = load(
        {
            "m/sms.en.txt": "{{ person.first_name }} {{ traits.orders_12m }} {{ event['total'] }}",
            "m/push.de.txt": "---\ntitle: '{{ traits.spend_12m | default }}'\n---\n{{ voucher.code }} {{ extra.tone }}",
        }
    )

    reads = texts.reads("m")

    assert reads.traits == {"orders_12m", "spend_12m"}
    assert (reads.person, reads.event, reads.extra, reads.voucher) == ({"first_name"}, {"total"}, {"tone"}, True)

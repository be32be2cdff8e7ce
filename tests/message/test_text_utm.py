"""Parameters on the links of messages: where config.yaml says so, and nothing an author wrote is changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from channels.contract import Email, Push, Sms, WeChat
from engine.message.links import LinkUse, read_token
from engine.message.render import render
from engine.message.templates import Texts, load_texts
from engine.message.utm import Tags
from engine.settings import LinkSettings
from tests.message.conftest import SETTINGS

Make = Callable[..., Any]
SECRET = b"a secret of the tests"
OURS = tuple(f"https://mail.example.com/{use.value}/" for use in LinkUse)
TAGS = Tags(
    frozenset({"shop.example.com", "*.outlet.example.com"}), (("utm_source", "o"), ("utm_medium", "e%20m")), OURS
)
ADDED = "utm_source=o&utm_medium=e%20m"


@pytest.mark.parametrize(
    ("url", "tagged"),
    [
        ("https://shop.example.com", f"https://shop.example.com?{ADDED}"),
        ("https://shop.example.com/new", f"https://shop.example.com/new?{ADDED}"),
        ("https://shop.example.com/new?", f"https://shop.example.com/new?{ADDED}"),
        ("https://shop.example.com/new?a=1", f"https://shop.example.com/new?a=1&{ADDED}"),
        ("https://shop.example.com/new?a=1&", f"https://shop.example.com/new?a=1&{ADDED}"),
        ("https://shop.example.com/new#top", f"https://shop.example.com/new?{ADDED}#top"),
        ("https://shop.example.com/new?a=1#?b", f"https://shop.example.com/new?a=1&{ADDED}#?b"),
        ("https://shop.example.com/?utm_source=mine", "https://shop.example.com/?utm_source=mine&utm_medium=e%20m"),
        ("https://shop.example.com/?UTM_Source=mine", "https://shop.example.com/?UTM_Source=mine&utm_medium=e%20m"),
        (f"https://shop.example.com/?{ADDED}", f"https://shop.example.com/?{ADDED}"),
        ("HTTPS://SHOP.example.com/A", f"HTTPS://SHOP.example.com/A?{ADDED}"),
        ("http://shop.example.com:8080/x", f"http://shop.example.com:8080/x?{ADDED}"),
        ("https://a.outlet.example.com/", f"https://a.outlet.example.com/?{ADDED}"),
        ("https://b.a.outlet.example.com/", f"https://b.a.outlet.example.com/?{ADDED}"),
        # others
        ("https://outlet.example.com/", None),
        ("https://example.org/", None),
        ("https://shop.example.com.example.org/", None),
        ("https://shop.example.com@example.org/", None),
        ("https://example.org/shop.example.com", None),
        ("https://example.org\\@shop.example.com/", None),
        ("https://shop.example.com/a b", None),
        ("mailto:care@shop.example.com", None),
        ("tel:+8613800138000", None),
        ("https://mail.example.com/u/token", None),
        ("https://[::1", None),
        ("/new", None),
        ("", None),
        ("https://shop.example.com/" + "x" * 1970, None),  # no room for more
    ],
)
def test_an_address_gets_what_it_does_not_have(url: str, tagged: str | None) -> None:
    assert TAGS.url(url) == (url if tagged is None else tagged)


def test_a_shop_on_the_host_of_our_own_links_keeps_them_apart() -> None:
    tags = Tags(frozenset({"mail.example.com"}), TAGS.pairs, OURS)

    assert tags.url("https://mail.example.com/new") == f"https://mail.example.com/new?{ADDED}"
    assert tags.url("https://mail.example.com/u/abc") == "https://mail.example.com/u/abc"
    assert tags.url("https://mail.example.com/p/abc") == "https://mail.example.com/p/abc"


NAMES = st.text("abuwtm_", min_size=1, max_size=6) | st.sampled_from(["utm_source", "utm_medium", "UTM_SOURCE"])
URLS = st.builds(
    lambda host, path, pairs, fragment: (
        f"https://{host}{path}" + (f"?{'&'.join(pairs)}" if pairs else "") + (f"#{fragment}" if fragment else "")
    ),
    st.sampled_from(["shop.example.com", "example.org", "x.outlet.example.com", "mail.example.com"]),
    st.sampled_from(["", "/", "/a/b", "/%E4%BD%A0", "/a;b", "/u/t"]),
    st.lists(st.builds("{}={}".format, NAMES, st.sampled_from(["", "1", "%26", "a+b", "=", "你"])), max_size=4),
    st.sampled_from(["", "top", "/route?utm_source=x", "a#b"]),
)


@given(URLS)
def test_a_link_leads_where_it_led_with_no_parameter_changed(url: str) -> None:
    tagged = TAGS.url(url)

    before, after = urlsplit(url), urlsplit(tagged)
    assert (before.scheme, before.netloc, before.path, before.fragment) == (
        after.scheme,
        after.netloc,
        after.path,
        after.fragment,
    )
    assert after.query.startswith(before.query)
    old = parse_qsl(before.query, keep_blank_values=True)
    new = parse_qsl(after.query, keep_blank_values=True)
    assert new[: len(old)] == old
    named = {name.lower() for name, _ in old}
    own = (before.hostname or "").endswith((".outlet.example.com", "shop.example.com"))
    wanted = [("utm_source", "o"), ("utm_medium", "e m")] if own else []
    assert new[len(old) :] == [pair for pair in wanted if pair[0] not in named]
    assert TAGS.url(tagged) == tagged


@given(st.lists(URLS, max_size=4), st.lists(st.text("ab <>\"'&/.", max_size=8), min_size=5, max_size=5))
def test_of_a_page_only_its_links_change(urls: list[str], between: list[str]) -> None:
    from html import escape

    words = [escape(one) for one in between]
    page = words[0] + "".join(
        f'<a class="x" href="{escape(url)}">{url}</a><img src="{escape(url)}">{word}'
        for url, word in zip(urls, words[1:], strict=False)
    )
    expected = words[0] + "".join(
        f'<a class="x" href="{escape(TAGS.url(url))}">{url}</a><img src="{escape(url)}">{word}'
        for url, word in zip(urls, words[1:], strict=False)
    )
    assert unescape(TAGS.in_html(page)) == unescape(expected)
    assert TAGS.in_html(TAGS.in_html(page)) == TAGS.in_html(page)


def test_links_among_words_end_where_the_sentence_goes_on() -> None:
    url, tagged = "https://shop.example.com/new", f"https://shop.example.com/new?{ADDED}"

    for around in ("{}", "see {}.", "({})", "<{}>", "看这里：{}。好", "{}, {}", '"{}"', "{}!"):
        assert TAGS.in_text(around.format(url, url)) == around.format(tagged, tagged)
    assert TAGS.in_text(f"{url}/a_(b)") == f"{url}/a_(b)?{ADDED}"


def test_much_of_the_same_is_read_once() -> None:
    for page in ("<a " * 100_000, '<a href="' * 50_000, "https://" * 50_000, "<a href='https://" * 30_000):
        TAGS.in_html(page)
        TAGS.in_text(page)


# --- whole messages

UTM = {"source": "outreach", "medium": "{channel}", "campaign": "{journey}", "content": "{step}-{locale}"}
EMAIL = """---
subject: Hi
---
<p><a href="https://shop.example.com/a?x=1&amp;y=2#z">A</a>
<a href="{{ brand.url }}/{{ event.order_id }}">B</a>
<a href="{{ links.click(brand.url ~ '/c') }}">C</a>
<a href="https://example.org/d">D</a>
<a href="mailto:care@shop.example.com">E</a>
<img src="https://shop.example.com/f.png" alt="">
<a href="{{ links.preferences }}">G</a>
<a href="{{ links.unsubscribe }}">U</a></p>
"""
FILES = {
    "m/email.en.html": EMAIL,
    "m/push.en.txt": "---\ntitle: Hi\nlink: https://shop.example.com/p\nimage: https://shop.example.com/i.png\n---\nx",
    "m/wechat.en.yaml": "template: T\nkind: promotion\npage: https://shop.example.com/w\nvalues: {thing1: x}",
    "m/sms.en.txt": "See {{ brand.url }}/s",
}
END = "utm_campaign=golden&utm_content=send-thanks-en"


@pytest.fixture
def shop(tmp_path: Path) -> Callable[..., Texts]:
    """Texts of a shop whose config.yaml says this about links."""

    def load(**links: Any) -> Texts:
        for name, text in FILES.items():
            path = tmp_path / "templates" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        settings = SETTINGS.model_copy(update={"links": LinkSettings.model_validate(links)})
        return load_texts(tmp_path / "templates", settings)[0]

    return load


def test_links_of_a_mail_say_where_people_come_from_in_both_parts(shop: Callable[..., Texts], values: Make) -> None:
    mail = render(shop(utm=UTM), "m", "email", "en", values())

    assert isinstance(mail, Email)
    added = f"utm_source=outreach&utm_medium=email&{END}"
    for there in (
        f"https://shop.example.com/a?x=1&y=2&{added}#z",
        f"https://shop.example.com/A-1?{added}",
        "https://example.org/d",
        "https://shop.example.com/f.png",
    ):
        assert f'"{there}"' in unescape(mail.html)
    assert f"<https://shop.example.com/a?x=1&y=2&{added}#z>" in mail.text
    assert f"<https://shop.example.com/A-1?{added}>" in mail.text
    assert mail.html.count("utm_source") == 2
    headers: Mapping[str, str] = dict(mail.headers)
    assert headers["List-Unsubscribe"].strip("<>") in mail.html


def test_a_counted_link_leads_to_the_address_with_its_parameters(shop: Callable[..., Texts], values: Make) -> None:
    mail = render(shop(utm=UTM), "m", "email", "en", values())

    assert isinstance(mail, Email)
    token = mail.html.partition("https://mail.example.com/c/")[2].partition('"')[0]
    read = read_token([SECRET], token, LinkUse.click)
    assert read is not None
    assert read.word == f"https://shop.example.com/c?utm_source=outreach&utm_medium=email&{END}"


def test_push_and_wechat_have_them_and_sms_only_where_the_shop_wants_to_pay_for_it(
    shop: Callable[..., Texts], values: Make
) -> None:
    texts = shop(utm=UTM)
    push, wechat, sms = (render(texts, "m", channel, "en", values()) for channel in ("push", "wechat", "sms"))

    assert isinstance(push, Push)
    assert isinstance(wechat, WeChat)
    assert isinstance(sms, Sms)
    assert push.link == f"https://shop.example.com/p?utm_source=outreach&utm_medium=push&{END}"
    assert push.image == "https://shop.example.com/i.png"
    assert wechat.page == f"https://shop.example.com/w?utm_source=outreach&utm_medium=wechat&{END}"
    assert sms.text == "See https://shop.example.com/s"

    paid = render(shop(utm=UTM, channels=["sms"]), "m", "sms", "en", values())
    assert isinstance(paid, Sms)
    assert paid.text == f"See https://shop.example.com/s?utm_source=outreach&utm_medium=sms&{END}"


def test_without_a_word_in_config_links_stay_as_they_are(shop: Callable[..., Texts], values: Make) -> None:
    mail = render(shop(), "m", "email", "en", values())

    assert isinstance(mail, Email)
    assert "utm_" not in mail.html + mail.text


@pytest.mark.parametrize(
    "links",
    [
        {"utm": {"source": "{person}"}},
        {"utm": {"source": "{channel"}},
        {"utm": {"source": ""}},
        {"utm": {"sauce": "x"}},
        {"hosts": ["https://shop.example.com"]},
        {"hosts": ["shop.*.com"]},
        {"channels": ["fax"]},
    ],
)
def test_what_cannot_be_meant_is_refused_when_config_is_read(links: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LinkSettings.model_validate(links)

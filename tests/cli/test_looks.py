"""How the gallery shows a message: as its person sees it, without script, whatever the message holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import shops

from channels.fields import FIELDS
from engine.cli.looks import wechat
from engine.cli.looks.look import LOOKS, look
from engine.cli.looks.scene import GUARD, Pages, Scene, linked
from engine.journey.quantities import Money
from engine.settings import Settings
from engine.simulate.preview import Shown

EVIL = "</p><script>alert(1)</script>'\"><img src=x onerror=alert(1)>"
WHEN = datetime(2026, 12, 8, 10, 30, tzinfo=ZoneInfo("Asia/Dubai"))
VOID = {"meta", "img", "input", "br", "link"}
HARMLESS = {"https", "http", "mailto", "tel"}

Draw = Callable[..., str]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    app = shops.opened(shops.shipped(tmp_path_factory.mktemp("looks")))
    try:
        return app.settings
    finally:
        app.close()


@pytest.fixture
def draw(settings: Settings, tmp_path: Path) -> Draw:
    def made(channel: str, locale: str = "en", approved: str = "", error: str = "", **content: Any) -> str:
        costs = content.pop("costs", ())
        told = {"channel": channel, **content}
        shown = Shown("thanks", channel, locale, told, error=error, approved=approved, costs=costs)
        return look(Scene(Pages(tmp_path), settings, WHEN), shown)

    return made


class _Reader(HTMLParser):
    """The elements of a piece of HTML, each closed where it has to be."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, Mapping[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def words_in(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


# --- whatever a message holds


EVERYTHING: Mapping[str, Mapping[str, Any]] = {
    "email": {"to": EVIL, "subject": EVIL, "html": f"<p>{EVIL}</p>", "text": EVIL, "reply_to": EVIL},
    "sms": {"to": EVIL, "text": EVIL, "template": EVIL},
    "push": {"to": EVIL, "title": EVIL, "text": EVIL, "link": f"javascript:{EVIL}", "image": f"https://x/{EVIL}"},
    "wechat": {"to": EVIL, "template": EVIL, "kind": EVIL, "page": EVIL, "values": ((EVIL, EVIL), ("thing1", EVIL))},
    "inbox": {"to": EVIL, "title": EVIL, "text": EVIL, "link": EVIL, "image": f"data:{EVIL}"},
    "webhook": {"to": EVIL, "type": EVIL, "data": '{"a": "' + EVIL.replace('"', "'") + '"}'},
    EVIL: {"to": EVIL, EVIL: EVIL, "values": ((EVIL, EVIL),), "more": {EVIL: [EVIL]}},
}


@pytest.mark.parametrize("channel", EVERYTHING)
def test_what_a_message_holds_cannot_leave_its_place(draw: Draw, channel: str) -> None:
    reader = _Reader(draw(channel, **EVERYTHING[channel]))

    tags = {tag for tag, _attributes in reader.found}
    names = {name for _tag, attributes in reader.found for name in attributes}
    assert not tags & {"script", "object", "embed", "form", "base"}
    assert not [name for name in names if name.startswith("on")]
    for tag, attributes in reader.found:
        if tag == "a":
            target = attributes["href"] or ""
            assert re.match(r"\d{4}-", target) or target.partition(":")[0] in HARMLESS
        if tag == "img":
            assert (attributes["src"] or "").startswith("https://")


def test_every_channel_of_its_own_look_is_tried_above() -> None:
    assert set(LOOKS) < set(EVERYTHING)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "pages/index", "//host/x"])
def test_an_address_that_is_not_safe_is_told_and_not_linked(url: str) -> None:
    assert linked(url) == f"<code>{url}</code>"


@pytest.mark.parametrize("url", ["https://shop.example.com/o/1", "http://a.example", "mailto:a@b.example", "tel:+4930"])
def test_a_safe_address_can_be_followed(url: str) -> None:
    assert f'<a href="{url}"' in linked(url)


def test_a_link_that_a_preview_made_is_not_followed() -> None:
    assert "<a" not in linked("https://shop.example.com/c/inert")


def test_a_text_that_cannot_be_written_says_why(draw: Draw) -> None:
    assert words_in(draw("email", error="person.nickname is not known")).startswith("cannot be written")


# --- mail


def a_mail(**more: Any) -> dict[str, Any]:
    html = "<!doctype html><html><head></head><body><div>Three tips.</div><p>Hello Ann</p></body></html>"
    return {"to": "ann@example.com", "subject": "Your order", "html": html, "text": "Hello Ann", **more}


def test_a_mail_stands_in_two_sandboxed_frames_chosen_without_script(draw: Draw) -> None:
    found = _Reader(draw("email", **a_mail())).found

    frames = [attributes for tag, attributes in found if tag == "iframe"]
    assert [frame["src"] for frame in frames] == 2 * ["0001-thanks.en.html"]
    assert [frame["sandbox"] for frame in frames] == [None, None]
    assert len({frame["title"] for frame in frames}) == 2
    inputs = [attributes for tag, attributes in found if tag == "input"]
    labels = {attributes["for"] for tag, attributes in found if tag == "label"}
    assert {one["type"] for one in inputs} == {"radio"}
    assert {one["id"] for one in inputs} == labels


def test_the_line_in_the_list_names_the_sender_the_subject_and_the_first_words(draw: Draw) -> None:
    assert "Lumen 10:30 Your order Three tips. Hello Ann" in words_in(draw("email", **a_mail()))


def test_a_mail_that_names_its_own_sender_shows_it(draw: Draw) -> None:
    assert '<b class="from">Mei Su</b>' in draw("email", **a_mail(sender_name="Mei Su"))


def test_the_one_click_headers_are_told_where_there_are_any(draw: Draw) -> None:
    headers = (("List-Unsubscribe", "<https://x>"), ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))

    assert "is enough: List-Unsubscribe , List-Unsubscribe-Post" in words_in(draw("email", **a_mail(headers=headers)))
    assert "no one-click headers" in draw("email", **a_mail())


def test_the_text_part_can_be_unfolded(draw: Draw) -> None:
    assert re.search(r"<details>.*<pre[^>]*>Hello Ann</pre></details>", draw("email", **a_mail()))


@pytest.mark.parametrize(
    ("html", "guarded"),
    [
        ("<!doctype html><html><head><title>x</title>", f"<!doctype html><html><head>{GUARD}<title>x</title>"),
        ("<html lang=en><p>x", f"<html lang=en>{GUARD}<p>x"),
        ("<p>x", f"{GUARD}<p>x"),
    ],
)
def test_a_mail_that_is_opened_alone_may_run_nothing_either(tmp_path: Path, html: str, guarded: str) -> None:
    file = Pages(tmp_path).add("../../thanks", html)

    assert file == "0001-..-..-thanks.html"
    assert (tmp_path / file).read_text(encoding="utf-8") == guarded


# --- SMS


def test_an_sms_tells_its_parts_alphabet_and_cost(draw: Draw) -> None:
    told = words_in(draw("sms", to="+4915100000000", text="a" * 200, costs=(Money(Decimal("0.10"), "CNY"),)))

    assert "sent as 2 parts alphabet GSM-7 filled 200 of 306 places" in told
    assert "cost 0.10 CNY" in told


def test_a_channel_without_a_price_costs_nothing_that_could_be_told(draw: Draw) -> None:
    assert "cost" not in words_in(draw("wechat", to="o1", template="T", values=()))


@pytest.mark.parametrize("channel", ["email", "sms", "push", "wechat"])
def test_where_two_carry_it_at_different_prices_both_are_told(draw: Draw, channel: str) -> None:
    costs = Money(Decimal("0.05"), "CNY"), Money(Decimal("0.01"), "USD")
    assert "cost 0.05 CNY - 0.01 USD" in words_in(draw(channel, to="+4915100000000", text="Hello", costs=costs))


def test_the_signs_that_make_an_sms_large_are_named_with_what_is_saved(draw: Draw) -> None:
    told = words_in(draw("sms", to="+4915100000000", text="Ann’s parcel – " + "a" * 100))

    assert "’ right single quotation mark , – en dash" in told
    assert "Written plainly it would be 1 part." in told


def test_nothing_is_called_large_where_the_language_needs_it_or_china_counts(draw: Draw) -> None:
    assert "instead of 160" not in draw("sms", "zh-CN", to="+4915100000000", text="您的订单已收到，正在打包")
    china = draw("sms", to="+8613800000000", text="it’s here")
    assert "instead of 160" not in china
    assert "every sign counts as a Chinese one" in china


def test_the_signature_and_the_way_out_are_set_apart(draw: Draw) -> None:
    html = draw("sms", to="+4915100000000", text="Lumen: Hello. Reply STOP to opt out")

    assert html.count('class="framing"') == 2
    assert "signature Lumen: way out Reply STOP to opt out" in words_in(html)


def test_each_part_has_a_box_as_full_as_it_is(draw: Draw) -> None:
    assert re.findall(r"width:(\d+)%", draw("sms", to="+4915100000000", text="a" * 200)) == ["100", "31"]


# --- push


def test_a_push_shows_the_shop_the_hour_and_the_day_of_the_person(draw: Draw) -> None:
    told = words_in(draw("push", "de", title="Danke", text="Wir packen."))

    assert told.count("10:30") == 4
    assert "8. Dezember" in told
    assert told.count("Lumen") == 2


def test_a_long_push_is_cut_and_the_rest_stands_beneath(draw: Draw) -> None:
    text = " ".join(f"word{number:02}" for number in range(60))
    html = draw("push", title="Hello", text=text)

    assert html.count("…</p>") == 2
    assert html.count("cut on most phones") == 2
    assert words_in(html).count("word59") == 2
    assert "cut on most phones" not in draw("push", title="Hello", text="Short.")


def test_where_a_push_leads_is_told(draw: Draw) -> None:
    assert 'href="https://shop.example.com/o"' in draw("push", title="a", text="b", link="https://shop.example.com/o")
    assert "no link is given" in draw("push", title="a", text="b")


def test_a_picture_is_shown_where_it_comes_safely(draw: Draw) -> None:
    assert draw("push", title="a", text="b", image="https://a.example/1.png").count("<img") == 2
    assert "<img" not in draw("push", title="a", text="b", image="http://a.example/1.png")


# --- WeChat


WORDING = "订单发货通知\n订单编号：{{character_string1.DATA}}\n{{thing2.DATA}}"


def test_a_card_has_a_row_for_each_name_of_its_wording(draw: Draw) -> None:
    values = (("character_string1", "L-1"), ("thing2", "感谢您"))
    html = draw("wechat", "zh-CN", WORDING, to="o1", template="T1", values=values, page="https://a.example")

    assert '<p class="heading">订单发货通知</p>' in html
    assert '<p class="row"><span>订单编号</span><span>L-1</span></p>' in html
    assert '<p class="remark"><span>感谢您</span></p>' in html
    assert "查看详情" in html


@pytest.mark.parametrize(("locale", "more"), [("zh-Hant", "查看詳情"), ("zh-HK", "查看詳情"), ("de", "View details")])
def test_the_row_that_leads_on_is_in_the_language_of_the_phone(draw: Draw, locale: str, more: str) -> None:
    assert more in draw("wechat", locale, WORDING, values=(), page="https://a.example")
    assert more not in draw("wechat", locale, WORDING, values=())


def test_words_without_a_template_are_a_bubble_and_who_gets_them_is_said(draw: Draw) -> None:
    html = draw("wechat", "zh-CN", to="o1", text="您好\n到货了", kind="notice", page="https://a.example/new", values=())

    assert re.search(r'<p class="bubble"[^>]* lang="zh-CN"[^>]*>您好\n到货了<br><', html)
    assert "template" not in words_in(html).replace("no template", "")
    assert "only who wrote to the account in the last 48 hours gets it" in words_in(html)


def test_without_a_wording_the_fields_are_shown_and_that_it_is_unknown(draw: Draw) -> None:
    html = draw("wechat", values=(("thing1", "a lamp"),))

    assert '<p class="row"><span>thing1</span><span>a lamp</span></p>' in html
    assert "its approved wording is not known" in html


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("thing2", "a" * 21, "thing2 has 21 characters, and WeChat takes 20"),
        ("phrase3", "sent", "phrase3 may only hold Chinese characters"),
        ("amount4", "¥1,234", "amount4 may only hold a sign of a currency and digits without commas"),
        ("thing5", "", "thing5 is empty"),
        ("thing6", "a\tb", "thing6 holds a character that cannot be seen"),
    ],
)
def test_a_field_that_wechat_would_refuse_is_noted(draw: Draw, name: str, value: str, told: str) -> None:
    assert told in words_in(draw("wechat", values=((name, value),)))


def test_what_each_type_of_field_holds_can_be_translated() -> None:
    assert set(wechat.forms()) == {field.says for field in FIELDS.values() if field.says}


# --- other channels


def test_a_webhook_shows_its_json_readably(draw: Draw) -> None:
    html = draw("webhook", to="crm", type="journey.step", data='{"name":"灯"}')
    assert "&quot;type&quot;: &quot;journey.step&quot;" in html
    assert "  &quot;data&quot;: {\n    &quot;name&quot;: &quot;灯&quot;\n  }\n}" in html
    assert "not json" in draw("webhook", to="crm", data="not json")


def test_the_inbox_of_an_app_is_a_card(draw: Draw) -> None:
    html = draw("inbox", title="Your order", text="We pack it.", link="https://a.example/o")

    assert "Your order We pack it. a tap opens https://a.example/o" in words_in(html)


def test_a_channel_without_a_look_shows_its_fields_by_name(draw: Draw) -> None:
    told = words_in(draw("pigeon", to="loft 3", ribbon="blue", empty="", values=(("a", "b"),)))

    assert told == "pigeon en loft 3 ribbon blue values a b"


# --- languages


@pytest.mark.parametrize("channel", ["email", "sms", "push", "wechat", "inbox"])
def test_a_text_says_its_language_and_is_read_its_own_way(draw: Draw, channel: str) -> None:
    content = {"title": "ش", "text": "ش", "subject": "ش", "to": "+97150", "values": (("thing1", "ش"),)}

    assert 'lang="ar" dir="rtl"' in draw(channel, "ar", **content)
    assert 'lang="en" dir="ltr"' in draw(channel, "en", **content)

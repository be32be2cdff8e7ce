"""Clicks, answers and the page of choices: what is kept of them, and whom they move."""

from __future__ import annotations

import json
from datetime import timedelta

import httpx
import pytest
from visits import BROWSER, Shop

from engine.message.links import LinkUse, Token, make_token
from engine.web import pages
from engine.web.visitors import is_machine
from engine.work.incoming.respond import Visitor

HOUR = timedelta(hours=1)


def test_a_click_leads_to_the_address_that_was_written_and_counts_once(shop: Shop, web: httpx.Client) -> None:
    shop.person()
    tea, _ = shop.links()["c"]
    for _ in range(3):
        answer = web.get(tea)
        assert answer.status_code == 302
        assert answer.headers["location"] == "https://shop.example.com/tea?x=1"
    (event,) = shop.events("Message Clicked")
    payload = json.loads(event.payload)
    assert payload == {
        "message": "note",
        "channel": "email",
        "journey": "note",
        "enrollment_id": 1,
        "link": "https://shop.example.com/tea?x=1",
    }


def test_nothing_in_the_request_changes_where_a_click_leads(shop: Shop, web: httpx.Client) -> None:
    shop.person()
    tea, _ = shop.links()["c"]
    bent = {"Host": "evil.example.net", "X-Forwarded-Host": "evil.example.net", "Referer": "https://evil.example.net"}
    for address in (tea, f"{tea}?url=https://evil.example.net", f"{tea}#x"):
        assert web.get(address, headers=bent).headers["location"] == "https://shop.example.com/tea?x=1"
    assert web.get(f"{tea}/", headers=bent).status_code == 404


def test_a_signed_address_that_is_no_web_address_is_not_followed(shop: Shop, web: httpx.Client) -> None:
    person = shop.person()
    for address in ("javascript:alert(1)", "data:text/html,x", "//evil.example.net", "ftp://x", "http://a b", ""):
        token = make_token(shop.app.secret, LinkUse.click, Token(person, 1, "", "note", 1, address))
        answer = web.get(f"/c/{token}")
        assert answer.status_code == 404
        assert "location" not in answer.headers


def test_a_person_who_clicks_moves_their_journey(shop: Shop, web: httpx.Client) -> None:
    shop.person()
    web.get(shop.links()["c"][0])
    shop.tick(HOUR)
    assert shop.begun() == ["note", "clicked_it"]


def test_a_machine_is_led_on_and_kept_apart_and_moves_no_journey(shop: Shop, web: httpx.Client) -> None:
    machines: dict[str, tuple[str, dict[str, str]]] = {
        "head": ("HEAD", {}),
        "nameless": ("GET", {"User-Agent": ""}),
        "crawler": ("GET", {"User-Agent": "Mozilla/5.0 (compatible; Googlebot/2.1)"}),
        "scanner": ("GET", {"User-Agent": "BarracudaCentral"}),
        "preview": ("GET", {"User-Agent": "WhatsApp/2.23.20.0"}),
        "prefetch": ("GET", {"Sec-Purpose": "prefetch;prerender"}),
    }
    for name, (method, headers) in machines.items():
        shop.person(name)
        tea = shop.links(name)["c"][0]
        for _ in range(2):
            assert web.request(method, tea, headers=headers).status_code == 302
    assert shop.events("Message Clicked") == []
    scanned = shop.events("Message Scanned")
    assert len(scanned) == len(machines)
    assert all(json.loads(event.payload)["machine"] is True for event in scanned)
    shop.tick(HOUR)
    assert set(shop.begun()) == {"note"}
    web.get(shop.links("head")["c"][0])
    assert len(shop.events("Message Clicked")) == 1, "the person who comes after it counts"
    shop.tick(HOUR)
    assert shop.begun().count("clicked_it") == 1


def test_who_follows_a_second_link_of_one_message_at_once_is_no_person(shop: Shop, web: httpx.Client) -> None:
    shop.person()
    tea, cups = shop.links()["c"]
    web.get(tea)
    web.get(cups)
    assert (len(shop.events("Message Clicked")), len(shop.events("Message Scanned"))) == (1, 1)
    shop.clock.move_to(shop.clock.now() + timedelta(seconds=2))
    web.get(cups)
    assert len(shop.events("Message Clicked")) == 2


@pytest.mark.parametrize(
    "agent",
    [
        BROWSER,
        "Mozilla/5.0 (Linux; Android 12; CUBOT X30) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile Safari/604.1",
        "Mozilla/5.0 (Linux; Android 14) Chrome/120.0 Mobile Safari/537.36 MicroMessenger/8.0.42 NetType/WIFI",
        "Mozilla/5.0 (Windows NT 10.0) Gecko/20100101 Thunderbird/128.0",
    ],
)
def test_browsers_of_people_are_taken_for_people(agent: str) -> None:
    assert not is_machine("GET", {"user-agent": agent})


def test_an_answer_counts_by_post_only_and_shows_the_words_of_the_mail(shop: Shop, web: httpx.Client) -> None:
    shop.person()
    price, _ = shop.links()["a"]
    page = web.get(price).text
    assert "It was more than I wanted &amp; could spend" in page
    assert shop.events("Question Answered") == []
    assert web.post(price).status_code == 200
    (event,) = shop.events("Question Answered")
    assert json.loads(event.payload)["answer"] == "price"
    assert len(shop.events("Message Clicked")) == 1


def test_the_first_answer_stays_and_the_page_says_so(shop: Shop, web: httpx.Client) -> None:
    shop.person()
    price, range_ = shop.links()["a"]
    assert "Your answer has arrived" in web.post(price).text
    assert "Your answer has arrived" in web.post(price).text
    assert "That answer stays" in web.post(range_).text
    (event,) = shop.events("Question Answered")
    assert json.loads(event.payload)["answer"] == "price"


def test_the_page_of_choices_shows_what_holds_and_neither_name_nor_address(shop: Shop, web: httpx.Client) -> None:
    shop.person("anna", attributes={"first_name": "Annabel"})
    links = shop.links()
    web.post(links["u"][0])
    before = shop.everything()
    page = web.get(links["p"][0]).text
    assert web.post(links["p"][0]).status_code == 405
    assert shop.everything() == before
    for private in ("anna", "Annabel", "example.com<", "+4917", "1700000001"):
        assert private not in page
    care, offers, orders = page.split("<dt>")[1:]
    assert "Care &amp; &lt;advice&gt;" in care
    assert (care.count('class="yes"'), offers.count('class="yes"'), orders.count('class="yes"')) == (0, 2, 2)


def test_pages_speak_the_language_of_the_person_and_say_which(shop: Shop, web: httpx.Client) -> None:
    title = {"zh-CN": "订单关怀与使用建议", "de": "Begleitung und Tipps", "en": "Care &amp; &lt;advice&gt;"}
    for locale, lang in {"zh-CN": "zh-CN", "zh-TW": "zh-CN", "de-AT": "de", "fr": "en"}.items():
        shop.person(f"p-{locale}", locale=locale)
        links = shop.links(f"p-{locale}")
        for purpose in "upa":
            page = web.get(links[purpose][0]).text
            assert f'<html lang="{lang}">' in page
            assert purpose == "a" or title[lang] in page


def test_who_speaks_none_of_the_languages_of_the_pages_reads_the_shops_as_in_their_mails(shop: Shop) -> None:
    settings = shop.app.settings
    for locale, shops_own, lang in (("ja", "zh-CN", "zh-CN"), ("de-AT", "zh-CN", "de"), ("ja", "fr", "en")):
        own = settings.model_copy(update={"shop": settings.shop.model_copy(update={"locale": shops_own})})
        who = Visitor(locale)
        for page in (pages.unsubscribe(own, "care", who), pages.preferences(own, who), pages.thanks(own, who)):
            assert f'<html lang="{lang}">' in page


def test_what_a_shop_calls_itself_is_escaped_wherever_it_stands(shop: Shop, web: httpx.Client) -> None:
    shop.person()
    links = shop.links()
    for page in (web.get(links["u"][0]), web.post(links["u"][0]), web.get(links["p"][0]), web.get("/nothing")):
        assert "Lumen &amp; &lt;Söhne&gt;" in page.text
        assert "<Söhne>" not in page.text
        assert "<advice>" not in page.text
    assert 'href="https://shop.example.com/?a=1&amp;b=2"' in web.post(links["u"][0]).text

"""The way out: one POST to an address that stood in a mail, and nothing is sent about that topic any more."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import product
from typing import Any

import httpx
import shops
from visits import Shop

from engine.app import build_app
from engine.message.links import LinkUse, Token, make_token
from engine.store import customers
from engine.web.server import WebServer

ONE_CLICK = {"List-Unsubscribe": "One-Click"}
HOUR, WEEK = timedelta(hours=1), timedelta(days=7)


def consents(shop: Shop, person: int) -> list[tuple[str, str]]:
    """What somebody has said no to."""
    rows = shop.rows("SELECT channel, topic FROM consent WHERE NOT granted AND customer_id = :person", person=person)
    return [(row.channel, row.topic) for row in rows]


def test_every_marketing_mail_carries_both_headers_and_one_address_in_them(shop: Shop) -> None:
    shop.person()
    (mail,) = shop.mails()
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert str(mail["List-Unsubscribe"]).count("<https://") == 1
    assert str(mail["List-Unsubscribe"]).endswith(">")


def test_one_post_without_cookies_ends_the_topic_on_every_channel_also_when_it_comes_twice(
    shop: Shop, web: httpx.Client
) -> None:
    bodies: dict[str, dict[str, Any]] = {
        "form": {"data": ONE_CLICK},
        "multipart": {"files": {"List-Unsubscribe": (None, "One-Click")}},
        "button": {},
    }
    for name, body in bodies.items():
        person = shop.person(name)
        address = shop.links(name)["header"][0]
        first = web.post(address, **body)
        assert first.status_code == 200
        assert "set-cookie" not in first.headers
        assert {("email", "care"), ("sms", "care")} <= set(consents(shop, person))
        before = shop.everything()
        assert web.post(address, **body).status_code == 200
        assert shop.everything() == before


def test_after_the_post_no_attempt_about_that_topic_begins_and_the_journey_goes_on_without_it(
    shop: Shop, web: httpx.Client
) -> None:
    shop.person()
    web.get(shop.links()["c"][0])  # or the journey would end before its last message
    shop.tick(HOUR)
    assert shop.begun() == ["note", "clicked_it"]
    web.post(shop.links()["header"][0], data=ONE_CLICK)
    shop.tick(WEEK)
    assert shop.begun() == ["note", "clicked_it"]
    assert {row.rule for row in shop.rows("SELECT rule FROM message WHERE message = 'later'")} == {"no_consent"}
    assert shop.rows("SELECT active FROM enrollment")[0].active == 0


def test_a_message_that_already_stands_at_the_door_is_held_back(shop: Shop, web: httpx.Client) -> None:
    shop.person()
    with shop.app.database.writing() as connection:
        connection.exec_driver_sql(
            "INSERT INTO lane (name, failures, paused_until, used, begun) "
            "VALUES ('email', 0, '2026-11-25 00:00:00.000000', '[]', 0)"
        )
    web.get(shop.links()["c"][0])
    shop.tick(HOUR)
    assert len(shop.rows("SELECT id FROM message WHERE message = 'clicked_it' AND state = 'queued'")) == 1
    web.post(shop.links()["header"][0], data=ONE_CLICK)
    shop.tick(timedelta(hours=20))
    assert shop.begun() == ["note"]


def test_no_other_method_changes_anything(shop: Shop, web: httpx.Client) -> None:
    shop.person()
    links = shop.links()
    before = shop.everything()
    methods = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE"]
    for method, address in product(methods, (links["header"][0], links["p"][0], links["a"][0])):
        answer = web.request(method, address)
        assert answer.status_code == (200 if method in ("GET", "HEAD") else 405)
        assert method != "OPTIONS" or "GET" in answer.headers["Allow"]
    assert shop.everything() == before


def test_the_other_topics_and_the_other_people_are_left_alone(shop: Shop, web: httpx.Client) -> None:
    anna, bert = shop.person("anna"), shop.person("bert")
    web.post(shop.links("anna")["header"][0])
    assert {topic for _, topic in consents(shop, anna)} == {"care"}
    assert consents(shop, bert) == []
    shop.tick(HOUR)
    shop.order("anna", "2")
    shop.order("bert", "2")
    shop.tick()
    assert (len(shop.mails("anna")), len(shop.mails("bert"))) == (1, 2)


def test_a_yes_that_carries_a_later_date_is_overruled_too(shop: Shop, web: httpx.Client) -> None:
    person = shop.person()
    tomorrow = shop.clock.now() + timedelta(days=1)
    words = {"channel": "email", "topic": "care", "purpose": "marketing", "granted": True, "source": "x", "wording": ""}
    with shop.app.database.writing() as connection:
        customers.record_consents(connection, [{"customer_id": person, "at": tomorrow, **words}], tomorrow)
    web.post(shop.links()["header"][0])
    shop.tick(HOUR)
    shop.order("anna", "2")
    shop.tick()
    assert shop.begun() == ["note"]


def test_an_unsubscribe_token_opens_nothing_else(shop: Shop, web: httpx.Client) -> None:
    shop.person()
    token = shop.links()["header"][0].removeprefix("/u/")
    before = shop.everything()
    for purpose in "cap":
        for method in ("GET", "POST"):
            assert web.request(method, f"/{purpose}/{token}").status_code in (404, 405)
    assert shop.everything() == before


def test_an_altered_cut_foreign_or_inert_token_leads_to_a_plain_page_and_does_nothing(
    shop: Shop, web: httpx.Client
) -> None:
    person = shop.person()
    links = shop.links()
    before = shop.everything()
    for purpose in "ucap":
        good = links[purpose][0].removeprefix(f"/{purpose}/")
        for token in spoiled(good, LinkUse(purpose), Token(person, 1, "care", "note", 1, "price")):
            for method in ("GET", "POST") if purpose in "ua" else ("GET",):
                answer = web.request(method, f"/{purpose}/{token}")
                assert answer.status_code == 404, token
                assert "This link does not work" in answer.text
                assert token not in answer.text or len(token) < 10
    assert shop.everything() == before


def spoiled(good: str, purpose: LinkUse, says: Token) -> Iterator[str]:
    """What may become of a token on its way, and what somebody may try instead of one."""
    payload, signature = good.split(".")
    yield make_token(b"another secret of another shop", purpose, says)
    yield from ("inert", payload, f"{payload}.", f".{signature}", ".", "%00", "%ff%fe", "x" * 5000)
    yield from (good[:-1], good[:-2], good[1:], good + "A", good.swapcase(), f"{good}.{signature}")
    yield f"{payload[:-1]}{'B' if payload[-1] == 'A' else 'A'}.{signature}"


def test_links_of_an_older_secret_work_while_it_stands_behind_the_new_one(shop: Shop) -> None:
    shop.person()
    links = shop.links()
    rotated = {"OUTREACH_SECRET": f" a newer secret for tests, {shops.SECRET} "}
    for env, status in ((rotated, 200), ({"OUTREACH_SECRET": "a newer secret for tests"}, 404)):
        app = build_app(shop.folder / "config.yaml", clock=shop.clock, env=env)
        assert app.secret == b"a newer secret for tests"
        server = WebServer(app, shop.health)
        server.start()
        try:
            answer = httpx.get(f"http://127.0.0.1:{server.port}{links['header'][0]}")
            assert answer.status_code == status
        finally:
            server.stop()
            app.close()


def test_who_is_suppressed_stays_so_when_the_secret_changes(shop: Shop) -> None:
    env = {"OUTREACH_SECRET": f"a newer secret for tests,{shops.SECRET}"}
    app = build_app(shop.folder / "config.yaml", clock=shop.clock, env=env)
    assert app.address_hash("email", "anna@example.com") == shop.app.address_hash("email", "anna@example.com")
    app.close()


def test_the_page_says_so_when_there_is_nothing_left_to_end(shop: Shop, web: httpx.Client) -> None:
    shop.person()
    address = shop.links()["u"][0]
    assert "<button>" in web.get(address).text
    web.post(address)
    again = web.get(address).text
    assert "<button>" not in again
    assert "You are unsubscribed" in again


def test_the_link_of_somebody_who_is_no_longer_known_creates_nothing(shop: Shop, web: httpx.Client) -> None:
    shop.person()
    links = shop.links()
    with shop.app.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM customer")
    before = shop.everything()
    assert web.post(links["header"][0]).status_code == 200
    assert web.get(links["c"][0]).status_code == 302
    assert web.post(links["a"][0]).status_code == 200
    assert web.get(links["p"][0]).status_code == 200
    assert shop.everything() == before

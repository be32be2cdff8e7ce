"""Double opt-in as it ships: the mail, its link, the page, the button, and what stands on the books afterwards."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import shops
from visits import BROWSER, Shop

from engine.app import App
from engine.clock import ManualClock
from engine.learn.agreements import Word, agreements
from engine.message.links import LinkUse, Token, make_token
from engine.store import customers
from engine.web.server import WebServer
from engine.work.tick import tick

DAY = timedelta(days=1)
REQUEST = {"request_id": "R1", "topic": "offers"}


class Asking(Shop):
    """The shop that ships, with somebody who has agreed to nothing and asks for a subscription."""

    def __init__(self, folder: Path) -> None:
        self.folder = shops.shipped(folder)
        self.clock = ManualClock(shops.NOW)
        self.app: App = shops.opened(folder, self.clock, durable=False)
        shops.publish_all(self.app)
        person = {"external_id": "anna", "zone": "Europe/Berlin", "locale": "de"}
        self.number = shops.add_people(self.app, [person], consent=False)["anna"]
        shops.happen(self.app, "request-1", "anna", "Subscription Requested", REQUEST)
        self.tick()

    @property
    def log(self) -> tuple[Word, ...]:
        return agreements(self.app, "anna").log

    def ended(self) -> str | None:
        (row,) = self.rows("SELECT reason FROM enrollment WHERE journey = 'double_opt_in'")
        return row.reason

    def say_no(self, topic: str = "offers") -> None:
        with self.app.database.writing() as connection:
            word = {"customer_id": self.number, "channel": "email", "topic": topic, "purpose": "marketing"}
            word |= {"granted": False, "at": self.clock.now(), "source": "telephone", "wording": ""}
            customers.record_consents(connection, [word], self.clock.now())


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Asking]:
    made = Asking(tmp_path / "shop")
    yield made
    made.close()


@pytest.fixture
def link(shop: Asking) -> str:
    (mail,) = shop.mails()
    body = mail.get_body(("html",))
    assert body is not None
    (found,) = set(re.findall(r'href="[^"]+(/y/[^"]+)"', str(body.get_content())))
    return str(found)


def test_the_mail_is_sent_without_consent_and_its_link_shows_the_words_and_changes_nothing(
    shop: Asking, web: httpx.Client, link: str
) -> None:
    before = shop.everything()
    for method in ("GET", "HEAD", "OPTIONS"):
        web.request(method, link)
    page = web.get(link).text
    assert "Ja, Lumen darf mir „Neuheiten und Angebote“ per E-Mail schicken." in page
    assert '<form method="post">' in page
    assert shop.everything() == before
    assert shop.log == ()


def test_the_button_says_yes_with_all_that_a_consent_has_to_name_and_the_person_goes_on(
    shop: Asking, web: httpx.Client, link: str
) -> None:
    answer = web.post(link)
    assert (answer.status_code, "Danke, das ist bestätigt" in answer.text) == (200, True)
    (word,) = shop.log
    assert (word.channel, word.topic, word.purpose, word.granted) == ("email", "offers", "marketing", True)
    assert word.wording.startswith("Ja, Lumen darf mir „Neuheiten und Angebote“ per E-Mail schicken.")
    assert word.source == "confirm link of message 1"
    assert word.at == shop.clock.now()
    shop.tick()
    assert shop.ended() == "confirmed"
    (event,) = shop.events("Subscription Confirmed")
    assert json.loads(event.payload).items() >= {**REQUEST, "channel": "email"}.items()

    before = shop.everything()
    assert "bestätigt" in web.post(link).text  # again: harmless
    assert shop.everything() == before


def test_a_topic_may_have_words_of_its_own(shop: Asking, link: str) -> None:
    config = shop.folder / "config.yaml"
    said = "wording: {de: Schickt mir Angebote., en: Send me offers.}\n    purpose: marketing"
    offers = config.read_text().index("  offers:\n")
    text = config.read_text()
    config.write_text(text[:offers] + text[offers:].replace("purpose: marketing", said, 1))
    again = shops.opened(shop.folder, shop.clock)
    server = WebServer(again, shop.health)
    server.start()
    httpx.post(f"http://127.0.0.1:{server.port}{link}", headers={"User-Agent": BROWSER})
    server.stop()
    again.close()
    assert [word.wording for word in shop.log] == ["Schickt mir Angebote."]


def test_nobody_answers_a_reminder_comes_and_nothing_is_agreed_to(shop: Asking) -> None:
    for _ in range(8):
        shop.tick(DAY)
    assert [mail["Subject"] for mail in shop.mails()] == [
        "Bitte bestätige deine Anmeldung",
        "Deine Anmeldung ist noch nicht bestätigt",
    ]
    assert shop.ended() == "expired"
    assert shop.log == ()


@pytest.mark.parametrize("what", ["too old", "a no to the topic", "a no to everything", "another address", "erased"])
def test_a_link_that_is_over_agrees_to_nothing(shop: Asking, web: httpx.Client, link: str, what: str) -> None:
    if what == "too old":
        shop.clock.move_to(shop.clock.now() + 31 * DAY)
    elif what == "another address":
        with shop.app.database.writing() as connection:
            row: dict[str, Any] = {"external_id": "anna", "zone": "Europe/Berlin", "locale": "de", "country": "DE"}
            row |= {"created_at": shop.clock.now(), "addresses": {"email": "new@example.com"}, "attributes": {}}
            customers.upsert(connection, [row])
    elif what == "erased":
        with shop.app.database.writing() as connection:
            connection.exec_driver_sql("DELETE FROM customer")
    else:
        shop.say_no("*" if what == "a no to everything" else "offers")
    before = shop.everything()
    answer = web.post(link)
    assert answer.status_code == 200
    assert "<form" not in answer.text
    assert shop.everything() == before


def test_a_link_made_for_something_else_or_for_a_topic_nobody_knows_says_no_yes(
    shop: Asking, web: httpx.Client
) -> None:
    before = shop.everything()
    secret, token = shop.app.secret, Token(shop.number, 1, topic="offers")
    assert web.post(f"/y/{make_token(secret, LinkUse.unsubscribe, token)}").status_code == 404
    unknown = Token(shop.number, 1, topic="nosuch")
    assert web.post(f"/y/{make_token(secret, LinkUse.confirm, unknown)}").status_code == 200
    others = Token(shop.number + 1, 1, topic="offers")
    assert web.post(f"/y/{make_token(secret, LinkUse.confirm, others)}").status_code == 200
    assert shop.everything() == before


def test_what_was_confirmed_may_be_written_about(shop: Asking, web: httpx.Client, link: str) -> None:
    web.post(link)
    told = {(one.topic, one.channel): one.allowed for one in agreements(shop.app, "anna").holds}
    assert told["offers", "email"]
    assert not told["care", "email"]
    assert not told["offers", "sms"]
    tick(shop.app)

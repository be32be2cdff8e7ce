"""Tokens in links: good for one purpose, unguessable, read back after a change of secrets, inert where they must be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.message.links import BadLink, Links, LinkUse, Token, make_token, read_token, safe_link

OLD, NEW = b"the secret of last year", b"the secret of this year"
TOKENS = {
    LinkUse.unsubscribe: Token(7, 42, topic="care"),
    LinkUse.preferences: Token(7, 42),
    LinkUse.click: Token(7, 42, journey="golden", enrollment_id=11, word="https://shop.example.com/new?a=1&b=2"),
    LinkUse.answer: Token(7, 42, journey="golden", enrollment_id=None, word="price"),
    LinkUse.confirm: Token(7, 42, topic="offers"),
    LinkUse.task: Token(7, 42),
}


@pytest.mark.parametrize("purpose", LinkUse)
def test_a_token_says_what_was_signed(purpose: LinkUse) -> None:
    assert read_token([NEW], make_token(NEW, purpose, TOKENS[purpose]), purpose) == TOKENS[purpose]


@pytest.mark.parametrize("made_for", LinkUse)
def test_a_token_is_good_for_its_own_purpose_only(made_for: LinkUse) -> None:
    text = make_token(NEW, made_for, TOKENS[made_for])

    assert [purpose for purpose in LinkUse if read_token([NEW], text, purpose)] == [made_for]


def test_an_unsubscribe_token_carries_no_more_than_person_message_and_topic() -> None:
    links = Links("https://mail.example.com", NEW).of(
        customer_id=7, topic="care", message_id=42, journey="golden", enrollment_id=11
    )

    token = read_token([NEW], links.unsubscribe.rpartition("/")[2], LinkUse.unsubscribe)

    assert token == Token(7, 42, topic="care")


def test_a_token_survives_a_change_of_secrets_as_long_as_the_old_one_is_kept() -> None:
    text = make_token(OLD, LinkUse.unsubscribe, TOKENS[LinkUse.unsubscribe])

    assert read_token([NEW, OLD], text, LinkUse.unsubscribe) == TOKENS[LinkUse.unsubscribe]
    assert read_token([NEW], text, LinkUse.unsubscribe) is None


@given(st.data())
def test_a_token_changed_at_any_place_is_no_token(data: st.DataObject) -> None:
    text = make_token(NEW, LinkUse.click, TOKENS[LinkUse.click])
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda sign: sign != text[place]))

    assert read_token([NEW], text[:place] + other + text[place + 1 :], LinkUse.click) is None


@given(st.text(max_size=200))
def test_reading_whatever_text_gives_none_and_never_fails(text: str) -> None:
    assert read_token([NEW, OLD], text, LinkUse.click) is None


def test_an_empty_secret_signs_nothing() -> None:
    assert read_token([b""], make_token(b"", LinkUse.preferences, Token(7, 42)), LinkUse.preferences) is None
    with pytest.raises(BadLink, match="secret"):
        Links("https://mail.example.com", b"")


def test_inert_links_look_alike_and_do_nothing() -> None:
    links = Links("https://mail.example.com", NEW, inert=True).of(customer_id=7, topic="care", message_id=42)
    made = [links.unsubscribe, links.preferences, links.click("https://shop.example.com"), links.answer("price")]

    assert made == [f"https://mail.example.com/{letter}/inert" for letter in "upca"]
    assert not any(read_token([NEW, b"inert"], "inert", purpose) for purpose in LinkUse)


def test_a_click_leads_to_the_address_that_was_written() -> None:
    links = Links("https://mail.example.com/", NEW).of(customer_id=7, topic="care", message_id=42)

    url = links.click("https://shop.example.com/?q=cups")
    token = read_token([NEW], url.removeprefix("https://mail.example.com/c/"), LinkUse.click)

    assert token is not None
    assert token.word == "https://shop.example.com/?q=cups"


def test_without_tracking_a_click_is_the_plain_address() -> None:
    links = Links("https://mail.example.com", NEW, tracked=False).of(customer_id=7, topic="care", message_id=42)

    assert links.click("https://shop.example.com/new") == "https://shop.example.com/new"


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "data:text/html,hello",
        "mailto:a@example.com",
        "//shop.example.com",
        "/orders",
        "https://",
        "https:///orders",
        "https://shop.example.com/ x",
        "https://shop.example.com\r\nBcc: b@example.com",
        "https://shop.example.com\\@evil.example",
        "https://[broken",
        "https://shop.example.com/" + "x" * 2000,
        "",
    ],
)
def test_a_click_leads_nowhere_but_to_a_web_address(url: str) -> None:
    links = Links("https://mail.example.com", NEW).of(customer_id=7, topic="care", message_id=42)

    with pytest.raises(BadLink):
        links.click(url)


@pytest.mark.parametrize("url", ["https://a.example", "HTTP://a.example", "mailto:a@example.com", "tel:+862100000142"])
def test_four_schemes_may_stand_in_a_message(url: str) -> None:
    assert safe_link(url) == url.replace("HTTP", "http")


@pytest.mark.parametrize("url", ["javascript:alert(1)", "vbscript:x", "file:///etc", "shop.example.com", "tel", ""])
def test_other_schemes_may_not(url: str) -> None:
    with pytest.raises(BadLink):
        safe_link(url)


@pytest.mark.parametrize("word", ["", "two words", "Price", "ä", "a" * 41, "a\n"])
def test_an_answer_is_one_plain_word(word: str) -> None:
    links = Links("https://mail.example.com", NEW).of(customer_id=7, topic="care", message_id=42)

    with pytest.raises(BadLink):
        links.answer(word)


def test_the_secret_shows_in_no_printed_form() -> None:
    links = Links("https://mail.example.com", NEW)

    assert "secret" not in repr(links) + repr(links.of(customer_id=7, topic="care", message_id=42))

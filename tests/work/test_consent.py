"""The log of consents: what it keeps, what no import weakens, and who is on the suppression list however they write."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stubs import World

from engine.app import App
from engine.imports.rows import ConsentWord, PersonRow
from engine.imports.spelling import spelling
from engine.learn.agreements import agreements
from engine.store import customers
from engine.work.incoming.importing import import_people, take_people

DAY = timedelta(days=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
Said = tuple[bool, bool, str, str, datetime | None]  # by a file, yes, channel, topic, when


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "shop")
    yield made
    made.close()


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One shop for all examples, a new person for each."""
    made = World(tmp_path_factory.mktemp("log") / "shop")
    yield made
    made.close()


def row(app: App, person: str, *words: ConsentWord, **about: object) -> PersonRow:
    return PersonRow.model_validate({"id": person, "consents": words, **about}, context={"shop": app.settings.shop})


def newcomer(world: World) -> str:
    with world.app.database.reading() as connection:
        name = f"person-{customers.count(connection)}"
    take_people(world.app, [row(world.app, name, email=f"{name}@example.com")])
    return name


def say(world: World, person: str, granted: bool, at: datetime, channel: str = "email", topic: str = "news") -> None:
    """A word of the person themselves."""
    with world.app.database.writing() as connection:
        (number,) = customers.ids_of(connection, [person]).values()
        word = {"customer_id": number, "channel": channel, "topic": topic, "purpose": "marketing", "granted": granted}
        customers.record_consents(connection, [{**word, "at": at, "source": "web", "wording": ""}], at)


# --- N1, N8 ----------------------------------------------------------------------------------------------------------


def test_a_word_is_kept_with_purpose_source_instant_and_wording(world: World, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text(
        "id,email,consent.email.news,consent.email.news.wording,consent.source,consent.at\n"
        "anna,anna@example.com,yes,I want to hear of what is new,the shop's form,2026-03-01T10:00Z\n"
        "bert,bert@example.com,yes,,the shop's form,2027-03-01T10:00Z\n"
    )
    assert import_people(world.app, file).problems == []
    (word,) = agreements(world.app, "anna").log
    assert (word.channel, word.topic, word.purpose, word.granted) == ("email", "news", "marketing", True)
    assert (word.source, word.wording) == ("the shop's form", "I want to hear of what is new")
    assert (word.at, word.recorded_at) == (datetime(2026, 3, 1, 10, tzinfo=UTC), world.clock.now())
    (word,) = agreements(world.app, "bert").log
    assert word.at == world.clock.now()  # nobody says anything in the future


instants = st.none() | st.integers(-300, 300).map(lambda days: START + days * DAY)
said = st.tuples(
    st.booleans(), st.booleans(), st.sampled_from(["email", "sms"]), st.sampled_from(["news", "*"]), instants
)


@settings(max_examples=150, deadline=None)
@given(words=st.lists(said, min_size=1, max_size=12))
def test_N8_no_import_weakens_an_opt_out_or_a_suppression(log: World, words: list[Said]) -> None:
    person = newcomer(log)
    address = log.app.address_hash("email", f"{person}@example.com")
    with log.app.database.writing() as connection:
        customers.suppress(connection, {address: {"channel": "email", "reason": "asked", "at": START}})
    for by_file, granted, channel, topic, at in words:
        if not by_file:
            say(log, person, granted, at or log.clock.now(), channel, topic)
            continue
        before = {(one.topic, one.channel): one for one in agreements(log.app, person).holds}
        take_people(log.app, [row(log.app, person, ConsentWord(channel, topic, granted, "a file", at))])
        for one in agreements(log.app, person).holds:
            last = before[one.topic, one.channel].word
            assert not one.allowed or last is None or last.granted or one.topic == "orders"
    with log.app.database.reading() as connection:
        assert customers.suppressed(connection, {address: None}) == {address}


def test_N8_a_no_of_a_file_without_an_instant_is_the_last_word(world: World) -> None:
    person = newcomer(world)
    say(world, person, True, world.clock.now() + DAY)  # by a clock that was ahead
    take_people(world.app, [row(world.app, person, ConsentWord("email", "news", False, "a file"))])
    told = agreements(world.app, person, world.clock.now() + 2 * DAY).holds
    assert not [one for one in told if one.topic == "news" and one.allowed]


def test_N1_a_yes_to_what_is_transactional_is_none_to_marketing(world: World) -> None:
    (person,) = world.people(1, consent=False)
    with world.app.database.writing() as connection:
        word = {"customer_id": 1, "channel": "email", "topic": "news", "purpose": "transactional", "granted": True}
        customers.record_consents(connection, [{**word, "at": START, "source": "web", "wording": ""}], START)
    world.order(person)
    world.tick()
    ((rule, reason),) = world.rows("SELECT rule, reason FROM message")
    assert rule == "no_consent"
    assert "the yes to news by email of 2026-01-01 was to no marketing" in reason


# --- N9 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channel", "one", "other"),
    [
        ("email", "Anna@Example.COM", "anna@example.com"),
        ("email", "\uff41nna\uff20example\uff0ecom", "anna@example.com"),  # full width
        ("email", "\ufb01ona@example.com", "fiona@example.com"),  # a ligature
        ("email", "ann\u200ba@example.com", "anna@example.com"),  # a sign nobody sees
        ("email", "anna@b\u00fccher.example", "anna@bu\u0308cher.example"),
        ("email", "anna@b\u00fccher.example", "anna@xn--bcher-kva.example"),
        ("email", "\u212aarl@example.com", "karl@example.com"),  # the sign of kelvin
        ("email", "anna@example.com.", "anna@example.com"),
        ("sms", "+49 171 (392) 00-12", "+491713920012"),
        ("sms", "\uff10\uff10491713920012", "+491713920012"),
        ("push", " Abc ", "Abc"),
    ],
)
def test_N9_spelling_variants_share_one_suppression(world: World, channel: str, one: str, other: str) -> None:
    assert spelling(channel, one) == spelling(channel, other)
    assert world.app.address_hash(channel, one) == world.app.address_hash(channel, other)


@pytest.mark.parametrize(
    ("channel", "one", "other"),
    [
        ("email", "anna@example.com", "\u0430nna@example.com"),  # a Cyrillic letter is another mailbox
        ("email", "anna@example.com", "an.na@example.com"),
        ("push", "abc", "ABC"),  # tokens are what they are
        ("sms", "+491713920012", "+491713920013"),
    ],
)
def test_N9_different_addresses_do_not(channel: str, one: str, other: str) -> None:
    assert spelling(channel, one) != spelling(channel, other)


def test_N9_whoever_is_suppressed_under_one_spelling_is_not_written_to_under_another(world: World) -> None:
    (person,) = world.people(1, channels=["email"])
    with world.app.database.writing() as connection:
        known = world.app.address_hash("email", "\uff300000@EXAMPLE.com")
        customers.suppress(connection, {known: {"channel": "email", "reason": "asked", "at": world.clock.now()}})
    world.order(person)
    world.tick()
    assert world.rows("SELECT rule FROM message") == [("suppressed",)]


# --- N10 -------------------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(words=st.lists(st.tuples(st.booleans(), st.sampled_from(["news", "*"]), st.integers(0, 200)), max_size=8))
def test_N10_the_history_is_shown_as_it_stood_at_any_past_instant(
    log: World, words: list[tuple[bool, str, int]]
) -> None:
    person = newcomer(log)
    for granted, topic, days in words:
        say(log, person, granted, START + days * DAY, topic=topic)
    for day in (-1, 0, 50, 100, 200):
        told = agreements(log.app, person, START + day * DAY)
        assert [word.at for word in told.log] == sorted(START + days * DAY for _, _, days in words if days <= day)
        (mail,) = [one for one in told.holds if (one.topic, one.channel) == ("news", "email")]
        assert mail.allowed == (mail.word is not None and mail.word.granted)
        assert (mail.word is None) == (not told.log)


# --- where they live -------------------------------------------------------------------------------------------------


def test_Q3_a_zone_that_was_told_outlives_an_import_that_tells_none_and_a_guess_does_not(world: World) -> None:
    def zone(**about: object) -> str:
        take_people(world.app, [row(world.app, "anna", **about)])
        with world.app.database.reading() as connection:
            found = customers.find(connection, "anna")
        assert found is not None
        return found.zone.key

    take_people(world.app, [row(world.app, "bert", zone="Europe/Paris")])
    take_people(world.app, [row(world.app, "bert", phone="+12125550123", country="JP")])
    assert agreements(world.app, "bert").zone == "Europe/Paris"
    assert zone() == "Europe/Berlin"  # the shop's
    assert zone(country="JP") == "Asia/Tokyo"
    assert zone(phone="+12125550123", country="JP") == "America/New_York"
    assert zone() == "America/New_York"
    assert zone(zone="Asia/Kathmandu") == "Asia/Kathmandu"
    assert zone(phone="+8613800138000") == "Asia/Kathmandu"
    assert zone(zone="Europe/Paris") == "Europe/Paris"

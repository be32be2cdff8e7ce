"""The values every provider and the engine exchange."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import DecodeError
from pydantic import ValidationError

from channels.contract import (
    Content,
    Email,
    FailureReason,
    Features,
    Push,
    ReceiptType,
    Sms,
    WeChat,
    content_from_json,
    content_to_json,
    payload_hash,
    secret,
)
from channels.errors import Misconfigured, Word
from channels.maildir import MaildirProvider

pairs = st.lists(st.tuples(st.text(), st.text()), max_size=3).map(tuple)
contents = st.one_of(
    st.builds(Email, to=st.text(), subject=st.text(), html=st.text(), headers=pairs),
    st.builds(Sms, to=st.text(), text=st.text(), template=st.none() | st.text(), params=pairs),
    st.builds(Push, to=st.text(), title=st.text(), link=st.none() | st.text()),
    st.builds(WeChat, to=st.text(), values=pairs),
)


@given(contents)
def test_a_content_comes_back_from_json_as_it_was(content: Content) -> None:
    assert content_from_json(content_to_json(content)) == content


@given(contents)
def test_a_content_that_comes_back_from_json_has_the_same_hash(content: Content) -> None:
    assert content_to_json(content_from_json(content_to_json(content))) == content_to_json(content)


def test_the_hash_of_a_content_is_the_same_on_every_machine() -> None:
    content = Email(to="ann@example.com", subject="谢谢", headers=(("X-A", "1"),))
    assert payload_hash(content_to_json(content)) == "833359476d6eee0fa58f4e6840836b468b201d5553e9044fb17d5c0c513a8493"


def test_contents_that_differ_in_one_field_or_in_the_order_of_pairs_have_different_hashes() -> None:
    first = Sms(to="+12025550100", params=(("a", "1"), ("b", "2")))
    others: list[Content] = [
        Sms(to="+12025550101", params=first.params),
        Sms(to=first.to, params=(("b", "2"), ("a", "1"))),
        Push(to=first.to),
    ]
    assert len({payload_hash(content_to_json(content)) for content in (first, *others)}) == 4


@pytest.mark.parametrize(
    "plain", [{}, {"channel": "pigeon"}, {"channel": "sms"}, {"channel": "sms", "to": "1", "x": 1}]
)
def test_what_is_no_content_is_refused(plain: dict[str, object]) -> None:
    with pytest.raises(DecodeError):
        content_from_json(json.dumps(plain).encode())


@pytest.mark.parametrize("word", [*ReceiptType, *FailureReason])
def test_every_word_of_the_vocabulary_is_defined_by_a_sentence(word: Word) -> None:
    assert word.meaning[0].isupper()
    assert word.meaning.endswith(".")
    assert word == word.value == str(word)


def test_only_a_dead_or_unwilling_address_is_ended() -> None:
    assert {reason for reason in FailureReason if reason.ends_address} == {
        FailureReason.address_invalid,
        FailureReason.address_unknown,
        FailureReason.opted_out,
    }


@pytest.mark.parametrize(
    ("features", "age", "recognised"),
    [
        (Features(), timedelta(0), False),
        (Features(dedupe_by="key"), timedelta(days=900), True),
        (Features(dedupe_by="key", dedupe_window=timedelta(days=1)), timedelta(hours=23), True),
        (Features(dedupe_by="key", dedupe_window=timedelta(days=1)), timedelta(days=1), False),
    ],
)
def test_a_repeat_is_recognised_only_inside_the_window(features: Features, age: timedelta, recognised: bool) -> None:
    assert features.recognises_repeat(age) is recognised


def test_a_channel_the_provider_does_not_serve_is_refused_by_name() -> None:
    with pytest.raises(Misconfigured, match="maildir cannot serve the channel pigeon; it serves email"):
        MaildirProvider("pigeon", {"folder": "out"}, {})


def test_a_misspelt_option_is_a_validation_error_that_names_it_and_hides_its_value() -> None:
    with pytest.raises(ValidationError) as caught:
        MaildirProvider("email", {"folder": "out", "pasword": "hunter2"}, {})
    assert caught.value.errors()[0]["loc"] == ("pasword",)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\n\n"])
def test_a_secret_has_no_line_end_though_it_was_read_from_a_file_that_ends_in_one(ending: str) -> None:
    assert secret({"KEY": f" hunter2 {ending}"}, "KEY").get_secret_value() == " hunter2 "


@pytest.mark.parametrize("value", ["", "\n", "hunter\udcff"])
def test_a_variable_without_a_secret_in_it_is_named(value: str) -> None:
    with pytest.raises(Misconfigured, match="The environment variable KEY "):
        secret({"KEY": value}, "KEY")

"""The texts that ship: all of them load without a finding, in every language of the shop."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.message.templates import Texts, load_texts
from engine.settings import load_settings

HERE = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def texts() -> Texts:
    settings, _ = load_settings(HERE / "config.yaml")
    assert settings is not None
    return load_texts(HERE / "templates", settings)[0]


def test_nothing_is_wrong_in_the_texts_that_ship(texts: Texts) -> None:
    assert texts.problems == ()
    assert len(texts.messages) >= 10


def test_every_shipped_text_is_written_in_the_three_languages_of_the_shop(texts: Texts) -> None:
    assert {locales for locales in map(frozenset, texts.forms.values())} == {frozenset({"zh-CN", "en", "de"})}


def test_no_shipped_mail_needs_a_promise_not_to_be_marketing(texts: Texts) -> None:
    asked_for = {"confirm_subscription", "confirm_reminder"}  # they answer a request, and offer nothing
    for message in texts.messages:
        for channel in texts.channels(message):
            assert (texts.fits(message, channel, marketing=True) == []) == (message not in asked_for)

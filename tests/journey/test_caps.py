"""Caps as written: what a journey may not loosen, and what a cap is called."""

from __future__ import annotations

from typing import Any

import pytest

from engine.journey.lint.head import wrong_caps
from engine.settings import Cap, Policy, Purpose, Topic

TOPICS = {
    "offers": Topic(title="Offers", purpose=Purpose.marketing),
    "orders": Topic(title="Orders", purpose=Purpose.transactional),
}


def written(**about: Any) -> Cap:
    return Cap.model_validate({"at_most": 3, "per": "day", **about})


def codes(cap: Cap, *shop: Cap) -> list[str]:
    policy = Policy(caps=shop).model_copy(update={"topics": TOPICS})
    return [code for code, *_ in wrong_caps(cap, policy)]


@pytest.mark.parametrize(
    ("own", "shop"),
    [
        ({}, {}),
        ({"per": "month"}, {"per": "month"}),
        ({"per": "7d"}, {"per": "7d"}),
        ({"per": "day"}, {"per": "week"}),  # whatever a day holds its week holds
        ({"per": "day"}, {"per": "month"}),
        ({"per": "24h"}, {"per": "7d"}),
        ({"per": "week"}, {"per": "8d"}),
        ({"channel": "sms"}, {"channel": "sms"}),
        ({"channel": "sms"}, {}),  # each SMS is a touch
        ({"topic": "offers"}, {"topic": "offers"}),
        ({"topic": "offers", "channel": "sms"}, {"topic": "offers"}),
        ({"tag": "sale"}, {"tag": "sale"}),
        ({"tag": "sale"}, {}),
        ({"purpose": "transactional"}, {"purpose": "transactional"}),
        ({"purpose": "any"}, {"purpose": "any"}),
    ],
)
def test_a_cap_that_never_binds_before_the_shops_own_is_looser(own: dict[str, Any], shop: dict[str, Any]) -> None:
    assert codes(written(**own), written(**{**shop, "at_most": 2})) == ["looser-caps"]
    assert codes(written(**own), written(**{**shop, "at_most": 3})) == []


@pytest.mark.parametrize(
    ("own", "shop"),
    [
        ({"per": "week"}, {"per": "day"}),
        ({"per": "week"}, {"per": "month"}),  # a week may lie in two months
        ({"per": "week"}, {"per": "7d"}),  # one with a clock turned back is longer
        ({"per": "24h"}, {"per": "day"}),
        ({}, {"channel": "sms"}),
        ({"channel": "email"}, {"channel": "sms"}),
        ({}, {"tag": "sale"}),
        ({"purpose": "any"}, {}),
        ({"purpose": "transactional"}, {}),
    ],
)
def test_a_cap_that_may_bind_before_the_shops_own_is_not(own: dict[str, Any], shop: dict[str, Any]) -> None:
    assert codes(written(**own), written(**{**shop, "at_most": 2})) == []


def test_a_cap_of_a_transactional_topic_says_that_it_counts_such_messages() -> None:
    assert codes(written(topic="orders")) == ["cap-counts-nothing"]
    assert codes(written(topic="orders", purpose="transactional")) == []
    assert codes(written(topic="orders", purpose="any")) == []
    assert codes(written(topic="offers")) == []


def test_a_cap_is_called_by_all_it_names() -> None:
    assert written(per="30d").name == "3 per 30d"
    assert written(per="90m").name == "3 per 90m"
    assert written(channel="sms", per="month").name == "sms: 3 per month"
    assert written(topic="offers", tag="sale").name == "topic offers, tag sale: 3 per day"
    assert written(purpose="any").name == "all purposes: 3 per day"

"""What is called impossible: conditions that contradict themselves, and nothing that may hold for somebody."""

from __future__ import annotations

from typing import Any

import pytest

from engine.journey.conditions import All, Not, parse_condition
from engine.journey.possible import impossible, never

TRAITS = frozenset({"orders_12m", "spend_12m", "churn_stage"})


def condition(written: dict[str, Any]) -> Any:
    return parse_condition(written, "person", TRAITS)


@pytest.mark.parametrize(
    "written",
    [
        {"orders_12m": {"at_least": "5", "below": "3"}},
        {"orders_12m": {"above": "5", "below": "5"}},
        {"orders_12m": {"is": "4", "is_not": "4"}},
        {"orders_12m": {"between": ["1", "3"], "at_least": "3.5"}},
        {"spend_12m": {"at_least": "200 CNY", "below": "100 CNY"}},
        {"tier": "gold", "all": [{"tier": ["silver", "black"]}]},
        {"tier": {"known": "false", "is": "gold"}},
        {"tier": {"known": "false", "is_not": "gold"}},
        {"tier": "gold", "not": {"tier": ["gold", "silver"]}},
        {"membership": {"before": {"ago": "30d"}, "after": {"ago": "10d"}}},
        {"membership": {"before": "2026-01-01", "after": "2026-01-01"}},
        {"now.weekday": "mon-fri", "not": {"now.weekday": {"none_of": ["sat", "sun"]}}},
        {"now.hour": {"above": "23"}},
        {"segment": "vip", "not": {"segment": ["vip", "silent"]}},
        {"tag": "vip", "not": {"tag": ["vip", "silent"]}},
        {"message.thanks": "clicked", "not": {"message.thanks": ["clicked", "opened"]}},
        {"tier": {"contains": "go"}, "not": {"tier": {"contains": "go"}}},
        {"any": [{"tier": "gold"}, {"tier": "black"}], "tier": "silver"},
    ],
)
def test_a_condition_that_contradicts_itself_never_holds(written: dict[str, Any]) -> None:
    assert never(condition(written))


@pytest.mark.parametrize(
    "written",
    [
        {},
        {"tier": "gold"},
        {"orders_12m": {"at_least": "3", "at_most": "3"}},
        {"orders_12m": {"above": "4", "below": "5"}},  # an average may be four and a half
        {"spend_12m": {"at_least": "200 CNY", "below": "100 USD"}},
        {"spend_12m": {"at_least": "200 CNY", "below": "100"}},
        {"tier": {"is_not": "gold"}, "all": [{"tier": {"is_not": "black"}}]},
        {"not": {"tier": "gold"}, "all": [{"tier": {"known": "false"}}]},
        {"tier": {"starts_with": "go", "contains": "silver"}},
        {"rival": {"one_of": "rivals"}, "all": [{"rival": "a_shop"}]},
        {"postcode": {"is": "5", "is_not": "5.0"}},  # somebody wrote the text 5
        {"membership": {"before": {"ago": "30d"}, "after": "2026-01-01"}},
        {"segment": "vip", "not": {"segment": "silent"}},
        {"tag": "vip", "not": {"tag": "silent"}},
        {"message.thanks": "sent", "not": {"message.thanks": "clicked"}},
        {"now.weekday": "mon-fri", "now.hour": {"between": ["9", "17"]}},
    ],
)
def test_what_may_hold_for_somebody_is_not_called_impossible(written: dict[str, Any]) -> None:
    assert not never(condition(written))


def test_nothing_is_claimed_of_a_condition_too_wide_to_try() -> None:
    wide = {f"field_{number}": {"at_least": "5", "below": "9"} for number in range(20)}

    assert not never(condition({**wide, "all": [{"field_0": {"above": "10"}}]}))


def test_the_second_of_two_that_exclude_each_other_is_blamed_with_both_in_the_sentence() -> None:
    (found,) = impossible(condition({"country": "CN", "orders_12m": {"at_least": "5", "below": "3"}}))

    assert (found.test.word.value, found.whole) == ("below", True)
    assert found.sentence == "`orders_12m` cannot be at least `5` and below `3` at once"


def test_an_alternative_is_held_against_what_stands_beside_it() -> None:
    (found,) = impossible(condition({"tier": ["gold", "black"], "any": [{"tier": "silver"}, {"country": "CN"}]}))

    assert found.test.value == "silver"
    assert not found.whole


def test_what_is_known_already_is_held_against_a_condition() -> None:
    known = condition({"orders_12m": {"at_least": "5"}})

    assert [found.test.value for found in impossible(condition({"orders_12m": {"below": "3"}}), known)]
    assert never(All((known, Not(known))))

"""Which lane a message takes: by whom it is for, by its key, and by what happened to it so far."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.decide.decision import Rule
from engine.decide.outcome import DeliveryKind
from engine.decide.route import Past, Step, Whither, past, serves, turns, unserved_countries, whither
from engine.settings import Channel, Lane, Settings, lanes_of

KIND = DeliveryKind
CN, DE, US = Whither("CN", "+8613800000000"), Whither("DE", "+491700000000"), Whither("US", "+12120000000")


def ways(**providers: dict[str, Any]) -> tuple[Lane, ...]:
    return lanes_of("sms", Channel.model_validate({"providers": providers}))


def named(lanes: tuple[Lane, ...], to: Whither = DE, key: str = "k") -> list[str]:
    return [lane.short for lane in turns(lanes, to, key)]


# --- whom a lane serves ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("way", "served"),
    [
        ({}, "CN DE US"),
        ({"countries": ["CN"]}, "CN"),
        ({"not_countries": ["CN"]}, "DE US"),
        ({"prefixes": ["+86", "+1"]}, "CN US"),
        ({"prefixes": [86]}, "CN"),
        ({"not_prefixes": ["+4917"]}, "CN US"),
        ({"countries": ["DE"], "prefixes": ["+86"]}, "CN DE"),
        ({"countries": ["DE"], "not_prefixes": ["+4917"]}, ""),
        ({"prefixes": ["+1", "+86"], "not_countries": ["US"]}, "CN"),
    ],
)
def test_a_lane_serves_some_or_everybody_or_everybody_but_some(way: dict[str, Any], served: str) -> None:
    (lane,) = ways(one=way)
    assert [to.country for to in (CN, DE, US) if serves(lane, to)] == served.split()


@pytest.mark.parametrize(
    ("channel", "address", "country", "found"),
    [
        ("sms", "+8613800000000", "DE", "CN"),  # the number decides, not where its owner lives
        ("sms", "+12040000000", "CA", "CA"),  # where several share a code, their own country does
        ("email", "a@example.com", "FR", "FR"),
        ("email", "a@example.com", None, "SE"),  # of whom none is known is at home
    ],
)
def test_an_address_belongs_to_a_country(channel: str, address: str, country: str | None, found: str) -> None:
    assert whither(channel, address, country, "SE").country == found


# --- in which order --------------------------------------------------------------------------------------------------


def test_lanes_of_a_higher_order_come_after_all_of_a_lower_one() -> None:
    lanes = ways(last={"order": 9}, b={"weight": 100, "order": 2}, a={}, c={"order": 2})
    for key in map(str, range(50)):
        found = named(lanes, key=key)
        assert (found[0], set(found[1:3]), found[3]) == ("a", {"b", "c"}, "last")


def test_weights_are_shares_of_many_keys() -> None:
    lanes = ways(a={"weight": 3}, b={"weight": 1}, c={"weight": 6})
    first = Counter(named(lanes, key=f"key {number}")[0] for number in range(20_000))
    for name, share in (("a", 0.3), ("b", 0.1), ("c", 0.6)):
        assert abs(first[name] / 20_000 - share) < 0.015


def test_who_takes_the_place_of_a_lane_that_closes_is_dealt_by_weight_too() -> None:
    lanes = ways(a={"weight": 5}, b={"weight": 3}, c={"weight": 1})
    turned = [named(lanes, key=f"key {number}") for number in range(20_000)]
    second = Counter(one[1] for one in turned if one[0] == "a")
    assert abs(second["b"] / sum(second.values()) - 0.75) < 0.02


_WAY = st.fixed_dictionaries(
    {"weight": st.integers(1, 9), "order": st.integers(1, 3)},
    optional={
        "countries": st.lists(st.sampled_from(["CN", "DE", "US"]), min_size=1, unique=True),
        "not_prefixes": st.lists(st.sampled_from(["+86", "+49", "+1"]), min_size=1, unique=True),
    },
)
_WAYS = st.dictionaries(st.sampled_from("abcdef"), _WAY, min_size=1)


@given(_WAYS, st.sampled_from([CN, DE, US]), st.text(max_size=20), st.randoms())
def test_turns_are_stable_and_hold_everybody_eligible_once_and_nobody_else(
    providers: dict[str, Any], to: Whither, key: str, chance: Any
) -> None:
    """However config.yaml lists them, and whichever others there are."""
    lanes = ways(**providers)
    found = turns(lanes, to, key)
    assert sorted(lane.name for lane in found) == sorted(lane.name for lane in lanes if serves(lane, to))
    assert [lane.order for lane in found] == sorted(lane.order for lane in found)
    shuffled = list(lanes)
    chance.shuffle(shuffled)
    assert turns(shuffled, to, key) == found
    for gone in lanes:
        assert turns([one for one in lanes if one != gone], to, key) == tuple(one for one in found if one != gone)


# --- what happened so far --------------------------------------------------------------------------------------------


def told(text: str) -> Past:
    """`begun a, retry passed_on` -> what it comes to."""
    steps = []
    for one in text.split(", ") if text else ():
        kind, *rest = one.split()
        rule = next((word for word in rest if word in Rule.__members__), None)
        steps.append(Step(KIND(kind), rule, next((word for word in rest if word not in Rule.__members__), None)))
    return past(steps)


@pytest.mark.parametrize(
    ("text", "bound_to", "turned_away", "passed_on"),
    [
        ("", None, "", ""),
        ("begun a, retry a passed_on", None, "", "a"),
        ("begun a, retry a passed_on, begun b, retry b passed_on", None, "", "a b"),
        ("begun a, retry a passed_on, begun b, retry b failed", None, "", ""),  # it waited: another round
        ("begun a, retry a turned_away, begun b, retry b failed", None, "a", ""),
        ("begun a", "a", "", ""),  # nobody knows
        ("begun a, repeat a failed", "a", "", ""),
        ("begun a, repeat failed", "a", "", ""),  # told after a death, by nobody in particular
        ("begun a, repeat a failed, begun a, repeat a failed", "a", "", ""),
        ("begun a, unknown a failed, dropped, revived", None, "", ""),  # a person's word
        ("begun a, repeat failed, begun a, dead failed, revived", "a", "", ""),  # nobody's word
        ("begun a, repeat a failed, revived, begun a, retry a failed", "a", "", ""),  # says nothing of the first
        ("begun a, retry failed", None, "", ""),  # it was never handed over
        ("revived", None, "", ""),
    ],
)
def test_what_the_attempts_say_of_the_next_one(
    text: str, bound_to: str | None, turned_away: str, passed_on: str
) -> None:
    found = told(text)
    assert (found.bound_to, found.turned_away, found.passed_on) == (
        bound_to,
        frozenset(turned_away.split()),
        frozenset(passed_on.split()),
    )


_DOUBTS = [KIND.repeat, KIND.unknown]
_ANY = st.tuples(
    st.sampled_from([KIND.begun, KIND.retry, KIND.repeat, KIND.unknown, KIND.held, KIND.dead, KIND.revived]),
    st.sampled_from([None, "failed", "passed_on", "turned_away"]),
    st.sampled_from(["a", "b", None]),
)


@given(st.lists(_ANY, max_size=12))
def test_D17_once_in_doubt_nobody_else_is_asked_whatever_happens_but_a_persons_word(steps: list[Any]) -> None:
    """Broken by hand: with a later refusal taken for proof, a message that might be out went to the other."""
    doubt = [Step(KIND.begun, None, "a"), Step(KIND.repeat, "failed", "a")]
    assert past([*doubt, *(Step(*one) for one in steps)]).bound_to == "a"
    assert past([*doubt, *(Step(*one) for one in steps), Step(KIND.dropped, None, None)]).bound_to is None


# --- whom nobody serves ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("providers", "first", "many"),
    [
        ({"a": {"countries": ["CN"]}, "b": {}}, [], False),
        ({"a": {"countries": ["CN"]}, "b": {"not_countries": ["CN"]}}, [], False),
        ({"a": {"countries": ["CN"]}, "b": {"not_countries": ["CN", "RU"]}}, ["RU"], False),
        ({"a": {"countries": ["CN"]}, "b": {"not_prefixes": ["+86"]}}, [], False),
        ({"a": {"countries": ["CN"]}, "b": {"prefixes": ["+49"]}}, ["FR"], True),
        ({"a": {"countries": ["CN", "FR"]}, "b": {"prefixes": ["+4915"]}}, ["AC", "AD"], True),
    ],
)
def test_countries_that_are_left_without_a_way_are_named(
    providers: dict[str, Any], first: list[str], many: bool
) -> None:
    shop = {
        "name": "s",
        "url": "https://a.example.com",
        "zone": "UTC",
        "country": "FR",
        "locale": "fr",
        "currency": "EUR",
    }
    channels = {"sms": {"providers": providers}}
    settings = Settings.model_validate({"shop": shop, "topics": {}, "channels": channels})
    found = unserved_countries(settings, "sms")
    assert list(found[: len(first)]) == first
    assert (len(found) > 100) is many
    assert many or len(found) == len(first)

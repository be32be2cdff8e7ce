"""The instant at which somebody crossed the border of a segment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from engine.audience.book import Audience, Trait, TraitKind
from engine.audience.conditions import holds
from engine.audience.segments import crossed_at
from engine.audience.values import Happening, Person
from engine.audience.view import View
from engine.journey.conditions import parse_condition

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
DAY, HOUR, HAIR = timedelta(days=1), timedelta(hours=1), timedelta(microseconds=1)
AUDIENCE = Audience(
    traits={
        "days_since_visit": Trait(TraitKind.days_since_last, "Page Viewed"),
        "orders_30d": Trait(TraitKind.how_many, "Order Completed", within=30 * DAY),
        "last_order": Trait(TraitKind.last, "Order Completed"),
        "cart": Trait(TraitKind.last, "Cart Updated", "total", within=7 * DAY, unless_after=("Order Completed",)),
    },
    segments={"silent": parse_condition({"churn_stage": "lost"}, "person", frozenset({"churn_stage"}))},
)


def view(*history: tuple[str, timedelta], **attributes: Any) -> View:
    who = Person(1, "c1", ZoneInfo("UTC"), "en", None, NOW - 400 * DAY, {}, attributes)
    happenings = [Happening(number, name, NOW - ago, {"total": 5}, NOW) for number, (name, ago) in enumerate(history)]
    return View(who, happenings, AUDIENCE)


def crossing(asked: dict[str, Any], person: View, since: timedelta = HOUR) -> timedelta:
    """How long ago the crossing was."""
    condition = parse_condition(asked, "person", AUDIENCE.trait_names)
    return NOW - crossed_at(condition, person, NOW - since, NOW)


@pytest.mark.parametrize(
    ("asked", "history", "ago"),
    [
        # into it, by an event
        ({"orders_30d": {"at_least": "2"}}, [("Order Completed", 9 * DAY), ("Order Completed", HOUR / 4)], HOUR / 4),
        # out of it, because an event left the window
        ({"orders_30d": {"at_least": "1"}}, [("Order Completed", 30 * DAY + HOUR / 2)], HOUR / 2),
        # time ran over a whole day
        ({"days_since_visit": {"at_least": "3"}}, [("Page Viewed", 3 * DAY + HOUR / 3)], HOUR / 3),
        ({"days_since_visit": {"above": "2"}}, [("Page Viewed", 3 * DAY + HOUR / 3)], HOUR / 3),
        ({"days_since_visit": "3"}, [("Page Viewed", 4 * DAY + HOUR / 3)], HOUR / 3),
        # time ran over the usual gap of twenty days, and two more; at whole days
        (
            {"overdue_days": {"at_least": "2"}},
            [("Order Completed", 42 * DAY), ("Order Completed", 22 * DAY + HOUR / 3)],
            HOUR / 3,
        ),
        # back from silence
        ({"segment": "silent"}, [("Page Viewed", 50 * DAY), ("Page Viewed", HOUR / 5)], HOUR / 5),
        # into silence: the built-in rule counts from the last sign of life
        ({"segment": "silent"}, [("Page Viewed", 40 * DAY), ("Order Completed", 30 * DAY + HOUR / 6)], HOUR / 6),
        # an instant becomes "before so long ago" the next moment
        ({"last_order": {"before": {"ago": "5d"}}}, [("Order Completed", 5 * DAY + HOUR / 2)], HOUR / 2 - HAIR),
        ({"last_order": {"after": {"ago": "5d"}}}, [("Order Completed", 5 * DAY + HOUR / 2)], HOUR / 2),
        # a cart is forgotten, a cart is bought
        ({"cart": {"known": "true"}}, [("Cart Updated", 7 * DAY + HOUR / 7)], HOUR / 7),
        ({"cart": {"known": "true"}}, [("Cart Updated", 2 * DAY), ("Order Completed", HOUR / 8)], HOUR / 8),
    ],
)
def test_a_crossing_is_stamped_with_the_instant_it_became_true(
    asked: dict[str, Any], history: list[tuple[str, timedelta]], ago: timedelta
) -> None:
    assert crossing(asked, view(*history)) == ago


def test_of_several_changes_the_last_one_is_the_crossing() -> None:
    history = view(("Page Viewed", 50 * DAY), ("Page Viewed", 45 * DAY), ("Order Completed", 33 * DAY))
    assert crossing({"segment": "silent"}, history, since=60 * DAY) == 3 * DAY


def test_an_attribute_has_no_history_so_its_crossing_is_noticed_now() -> None:
    assert crossing({"tier": "gold"}, view(tier="gold")) == timedelta(0)
    assert crossing({"tier": "gold", "orders_30d": {"at_least": "1"}}, view(("Order Completed", DAY), tier="gold")) == (
        timedelta(0)
    )


def test_a_date_kept_about_a_person_comes_of_age_at_its_own_instant() -> None:
    expired = view(until="2026-11-22T09:00:00Z")
    assert crossing({"until": {"before": {"ago": "0m"}}}, expired) == HOUR / 2 - HAIR


def test_at_the_stamp_membership_is_what_it_is_now_and_a_hair_before_it_was_not() -> None:
    condition = AUDIENCE.segments["silent"]
    person = view(("Page Viewed", 31 * DAY))
    at = crossed_at(condition, person, NOW - 5 * DAY, NOW)
    assert holds(condition, person, at)
    assert not holds(condition, person, at - HAIR)

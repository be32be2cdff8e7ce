"""The words an audience is described in: traits, pools of vouchers, and the names that are always there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from engine.journey.conditions import ALWAYS_KEPT as ALWAYS_KEPT
from engine.journey.conditions import Condition, Money

#: scores that are worked out for everybody in the night and kept: where one stands among all, and how one answers
RFM = frozenset({"rfm.r", "rfm.f", "rfm.m", "rfm.segment"})
HABITS = frozenset({"best_channel", "best_hour"})
NIGHTLY = RFM | HABITS
#: scores that are always there; their formulas are in `engine.audience.scores`
BUILT_IN = NIGHTLY | {"value_tier", "churn_stage", "churn_reason", "lifecycle", "purchase_gap_days", "overdue_days"}


class TraitKind(StrEnum):
    """What a trait computes from the events of one name."""

    days_since_last = "days_since_last"  # whole days (24 hours each) since the latest; unknown if there is none
    days_since_first = "days_since_first"  # whole days since the earliest
    how_many = "count"  # 0 if none
    distinct = "count_distinct"  # different texts and numbers at a payload's key; 0 if none
    sum = "sum"  # of a payload's key; 0 if none
    average = "average"  # of a payload's key; unknown if none
    largest = "largest"  # number at a payload's key; unknown if none
    smallest = "smallest"
    first = "first"  # a payload's key at the earliest, or without a key its instant
    last = "last"  # a payload's key at the latest, or without a key its instant
    most_common = "most_common"  # the text a payload's key holds most often; the latest of equals
    median_gap = "median_gap"  # days between one and the next, the middle one; unknown below two
    days_overdue = "days_overdue"  # whole days since the latest, less that gap; unknown below two


@dataclass(frozen=True)
class Trait:
    """A value computed from a person's events, as of an instant."""

    kind: TraitKind
    event: str
    key: str | None = None  # of the payload
    within: timedelta | None = None  # only events in (end - within, end]; None: all of the past
    where: Condition | None = None  # only events whose payload it holds for
    unless_after: tuple[str, ...] = ()  # only events after the latest of these
    until_last: tuple[str, ...] = ()  # the window ends at the latest of these instead of now (built-in scores only)

    @property
    def events(self) -> tuple[str, ...]:
        """The names of all events it depends on."""
        return (self.event, *self.unless_after, *self.until_last)


@dataclass(frozen=True)
class Pool:
    """A pool of voucher codes: a CSV file of the project, what each code is worth, and how long it is good for."""

    file: str
    value: Money
    expires: timedelta | None = None
    low: int = 0  # with no more codes than this it runs low

"""The built-in scores, each a written rule: the first case that holds names the value.

A rule is made of the same conditions and traits an author writes, so it is executed by the same two hands, in memory
and as SQL. The traits it needs have names that begin with a dot, which nobody can write.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from engine.audience.terms import Trait, TraitKind
from engine.journey.conditions import Ago, All, Any, Condition, Field, FieldKind, Not, Test, Word
from engine.settings import Scores


@dataclass(frozen=True)
class Score:
    """Cases in their order, and what holds when none of them does."""

    cases: tuple[tuple[str, Condition], ...]
    otherwise: str | None  # None: unknown

    @property
    def values(self) -> tuple[str, ...]:
        """Every value it can have."""
        found = (*(value for value, _ in self.cases), self.otherwise)
        return tuple(value for value in found if value is not None)


def scores_of(settings: Scores) -> Mapping[str, Score]:
    """Name -> rule."""
    return {
        "value_tier": _value_tier(settings),
        "churn_stage": _churn_stage(settings),
        "churn_reason": _churn_reason(settings),
        "lifecycle": _lifecycle(settings),
    }


def traits_of(settings: Scores, rivals: tuple[str, ...]) -> Mapping[str, Trait]:
    """The traits the rules are made of. `rivals` are the words of the list the settings name."""
    seen = (settings.page_viewed, settings.search, settings.cart, settings.order)
    written = dict.fromkeys(way for rival in rivals for way in (rival, rival.lower(), rival.upper(), rival.title()))
    names_a_rival: Condition = Any(
        tuple(Test(Field(FieldKind.event, settings.search_query), Word.contains, rival) for rival in written)
    )
    with_voucher = Test(Field(FieldKind.event, settings.voucher), Word.known, True)
    count, lately, year = TraitKind.how_many, settings.lost_after, settings.tier_within
    return {
        ".orders": Trait(count, settings.order, within=year),
        ".spend": Trait(TraitKind.sum, settings.order, settings.order_total, within=year),
        ".voucher_orders": Trait(count, settings.order, within=year, where=with_voucher),
        ".plain_orders": Trait(count, settings.order, within=year, where=Not(with_voucher)),
        ".last_visit": Trait(TraitKind.last, settings.page_viewed),
        ".last_order": Trait(TraitKind.last, settings.order),
        ".orders_ever": Trait(count, settings.order),
        ".orders_together": Trait(count, settings.order, within=settings.revived_after, until_last=(settings.order,)),
        ".visits_lately": Trait(count, settings.page_viewed, within=lately),
        ".orders_lately": Trait(count, settings.order, within=lately),
        ".complaints": Trait(count, settings.complaint, within=settings.complaints_within),
        ".rival_searches": Trait(
            count, settings.search, within=settings.reason_within, where=names_a_rival, until_last=seen
        ),
        ".carts_left": Trait(
            count, settings.cart, within=settings.reason_within, unless_after=(settings.order,), until_last=seen
        ),
        "purchase_gap_days": Trait(TraitKind.median_gap, settings.order),
        "overdue_days": Trait(TraitKind.days_overdue, settings.order),
    }


def _value_tier(settings: Scores) -> Score:
    core: list[Condition] = [_at_least(".orders", settings.core_orders)]
    if settings.core_spend is not None:
        core.append(Test(_trait(".spend"), Word.at_least, settings.core_spend))
    return Score((("core", Any(tuple(core))), ("growth", _at_least(".orders", settings.growth_orders))), "base")


def _churn_stage(settings: Scores) -> Score:
    no_order_lately = Not(_at_least(".orders_lately", 1))
    lost = _unseen_for(settings.lost_after)
    hesitating = All((_at_least(".visits_lately", settings.hesitating_visits), no_order_lately))
    return Score(
        (("lost", lost), ("hesitating", hesitating), ("warning", _unseen_for(settings.warning_after))), "active"
    )


def _unseen_for(silence: timedelta) -> Condition:
    """Neither visit nor order for so long; someone never seen is silent since first known."""
    long_ago = Ago(silence)
    last_visit, last_order = _trait(".last_visit"), _trait(".last_order")
    never_seen = Not(Any((Test(last_visit, Word.known, True), Test(last_order, Word.known, True))))
    known_since = Test(Field(FieldKind.attribute, "created_at"), Word.at_most, long_ago)
    return All(
        (
            Not(Test(last_visit, Word.above, long_ago)),
            Not(Test(last_order, Word.above, long_ago)),
            Any((Not(never_seen), known_since)),
        )
    )


def _churn_reason(settings: Scores) -> Score:
    only_with_voucher = All((_at_least(".voucher_orders", settings.voucher_orders), Not(_at_least(".plain_orders", 1))))
    price = Any((_at_least(".carts_left", 1), only_with_voucher))
    service = _at_least(".complaints", settings.service_complaints)
    return Score((("service", service), ("rival", _at_least(".rival_searches", 1)), ("price", price)), "silent")


def _lifecycle(settings: Scores) -> Score:
    """`.orders_together`: the latest order and those not long before it. Where it is alone, it came after a pause."""
    declining = Test(_trait(".last_order"), Word.at_most, Ago(settings.declining_after))
    alone = Not(_at_least(".orders_together", 2))
    cases = (
        ("declining", declining),
        ("revived", All((_at_least(".orders_ever", 2), alone))),
        ("mature", _at_least(".orders_ever", settings.mature_orders)),
        ("growing", _at_least(".orders_ever", 2)),
        ("new", _at_least(".orders_ever", 1)),
    )
    return Score(cases, None)


def _trait(name: str) -> Field:
    return Field(FieldKind.trait, name)


def _at_least(name: str, number: int) -> Test:
    return Test(_trait(name), Word.at_least, Decimal(number))

"""Absence: when so long nothing of a kind had been heard of a person. In memory to the instant, and as SQL for all.

It begins with the last event or, where there is none, when the person was first known. An event that comes at the very
instant at which a silence would be complete breaks it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement

from engine.audience.audience import Audience
from engine.audience.conditions import as_sql, holds
from engine.audience.instants import later
from engine.audience.segments import HAIR
from engine.audience.terms import Trait, TraitKind
from engine.audience.view import View
from engine.journey.conditions import Ago, All, Condition, Field, FieldKind, Test, Word
from engine.journey.conditions import Any as AnyOf
from engine.values import replace

_LATELY, _EVER = "heard lately", "heard ever"  # no trait of audience.yaml can be called so


@dataclass(frozen=True)
class Absence:
    """What is not heard, and for how long."""

    event: str
    span: timedelta
    where: Condition | None = None

    def complete(self, view: View, since: datetime, until: datetime, is_new: bool) -> list[tuple[datetime, datetime]]:
        """When silences began and were complete, of those that became so in (since, until].

        The view's happenings must reach back to `since` - span. `is_new`: before that nothing was ever heard of them.
        """
        named = [one for one in view.named(self.event) if one.at <= until]
        begins = [one.at for one in named if self._is_heard(one.payload, view, until)]
        created = view.person.created_at
        if is_new and not any(at <= created for at in begins):
            begins.insert(0, created)
        found = []
        for number, begin in enumerate(begins, start=1):
            at = later(begin, self.span)
            if since < at <= until and all(following > at for following in begins[number : number + 1]):
                found.append((begin, at))
        return found

    def last_heard(self, view: View, now: datetime) -> datetime | None:
        """When it was heard last, until now, of what the view reaches back to."""
        heard = (one.at for one in view.named(self.event) if one.at <= now and self._is_heard(one.payload, view, now))
        return max(heard, default=None)

    def _is_heard(self, payload: Mapping[str, Any], view: View, now: datetime) -> bool:
        return self.where is None or holds(self.where, replace(view, event=payload), now)

    # --- for all people at once --------------------------------------------------------------------------------------

    def is_silent(self, audience: Audience, at: datetime) -> ColumnElement[bool]:
        """Who is silent at an instant, so long or longer; never NULL."""
        known = Test(Field(FieldKind.attribute, "created_at"), Word.before, Ago(self.span - HAIR))
        return as_sql(All((_none(_LATELY), AnyOf((_some(_EVER), known)))), self._book(audience), at)

    def is_unheard(self, audience: Audience, at: datetime) -> ColumnElement[bool]:
        """Of whom nothing had been heard by an instant; never NULL."""
        return as_sql(_none(_EVER), self._book(audience), at)

    def _book(self, audience: Audience) -> Audience:
        ever = Trait(TraitKind.how_many, self.event, where=self.where)
        return replace(audience, traits={_LATELY: replace(ever, within=self.span), _EVER: ever})


def _none(trait: str) -> Condition:
    return Test(Field(FieldKind.trait, trait), Word.is_, Decimal(0))


def _some(trait: str) -> Condition:
    return Test(Field(FieldKind.trait, trait), Word.above, Decimal(0))

"""One person as conditions see them: who they are, what happened to them, and the event and messages at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from operator import attrgetter
from typing import Any

from msgspec import Struct

from engine.audience.audience import Audience
from engine.audience.values import Happening, Person

_oldest_first = attrgetter("at", "id")


class View(Struct, frozen=True):
    """`happenings` must reach back as far as `Audience.events` says, in any order."""

    person: Person
    happenings: Sequence[Happening]
    audience: Audience
    event: Mapping[str, Any] | None = None  # payload of the event at hand
    messages: Mapping[str, AbstractSet[str]] | None = None  # of this journey: name -> what became of it
    _by_name: dict[str, list[Happening]] = {}  # `happenings`, once somebody asked

    def named(self, name: str) -> Sequence[Happening]:
        """Events of one name, oldest first; among equal instants by id."""
        found = self._by_name
        if not found:
            for happening in sorted(self.happenings, key=_oldest_first):
                found.setdefault(happening.name, []).append(happening)
        return found.get(name, ())

    def latest(self, names: Sequence[str], now: datetime) -> datetime | None:
        """The instant of the latest of these events until now."""
        found = (next((one.at for one in reversed(self.named(name)) if one.at <= now), None) for name in names)
        return max((at for at in found if at is not None), default=None)

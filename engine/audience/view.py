"""One person as conditions see them: who they are, what happened to them, and the event and messages at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from operator import attrgetter
from typing import Any

from engine.audience.audience import Audience
from engine.audience.values import Happening, Person


@dataclass(frozen=True)
class View:
    """`happenings` must reach back as far as `Audience.events` says, in any order."""

    person: Person
    happenings: Sequence[Happening]
    audience: Audience
    event: Mapping[str, Any] | None = None  # payload of the event at hand
    messages: Mapping[str, AbstractSet[str]] | None = None  # of this journey: name -> sent, delivered, opened, clicked

    @cached_property
    def _by_name(self) -> Mapping[str, list[Happening]]:
        found: dict[str, list[Happening]] = {}
        for happening in sorted(self.happenings, key=attrgetter("at", "id")):
            found.setdefault(happening.name, []).append(happening)
        return found

    def named(self, name: str) -> Sequence[Happening]:
        """Events of one name, oldest first; among equal instants by id."""
        return self._by_name.get(name, ())

    def latest(self, names: Sequence[str], now: datetime) -> datetime | None:
        """The instant of the latest of these events until now."""
        found = (next((one.at for one in reversed(self.named(name)) if one.at <= now), None) for name in names)
        return max((at for at in found if at is not None), default=None)

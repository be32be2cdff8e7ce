"""Everything one may ask about people, as one value: the shop's traits and segments beside the built-in scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple

from engine.audience.scores import Score, scores_of, traits_of
from engine.audience.terms import BUILT_IN, NIGHTLY, Pool, Trait
from engine.errors import BadInput
from engine.journey.conditions import All, Condition, Field, FieldKind, Test, Word, tests_of
from engine.journey.silence import Silence
from engine.settings import Scores


class Gathered(NamedTuple):
    """Which events of a person must be at hand for exact values: their names, and how far back (None: all of them)."""

    events: frozenset[str]
    window: timedelta | None


@dataclass(frozen=True)
class Audience:
    """What conditions may ask about people. Built once per catalog."""

    traits: Mapping[str, Trait] = field(default_factory=dict)
    segments: Mapping[str, Condition] = field(default_factory=dict)
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pools: Mapping[str, Pool] = field(default_factory=dict)
    scores: Scores = field(default_factory=Scores)
    rates: Mapping[str, Decimal] = field(default_factory=dict)  # one unit of a currency in the shop's
    currency: str = "CNY"  # the shop's
    allowed: tuple[Silence, ...] = field(default=(), compare=False)  # findings that are meant so
    unread: frozenset[tuple[str, str]] = field(default=frozenset(), compare=False)  # (section, name) with mistakes
    readings: dict[str, Any] = field(default_factory=dict, init=False, compare=False, repr=False)  # see `traits`

    def is_unread(self, section: str, name: str) -> bool:
        """Was this, or its whole section, written with mistakes that are told already?"""
        return not self.unread.isdisjoint({(section, ""), (section, name)})

    @property
    def trait_names(self) -> frozenset[str]:
        """Every name a condition or a text may use as a trait."""
        return frozenset(self.traits) | BUILT_IN

    @cached_property
    def all_rates(self) -> Mapping[str, float]:
        """Currency -> what one unit of it is worth in the shop's, whose own is 1."""
        return {**{name: float(rate) for name, rate in self.rates.items()}, self.currency: 1.0}

    def rate(self, currency: str) -> float | None:
        """None: nobody told what this currency is worth."""
        return self.all_rates.get(currency)

    def score(self, name: str) -> Score | None:
        """The rule of a built-in score."""
        return self._scores.get(name)

    def trait(self, name: str) -> Trait:
        """A trait of the shop, or one the built-in scores are made of."""
        found = self.trait_called(name)
        if found is None:
            raise BadInput(f"there is no trait `{name}`; traits are written in journeys/audience.yaml")
        return found

    def trait_called(self, name: str) -> Trait | None:
        """None: nothing is computed under that name, or nothing that could be read."""
        return self.traits.get(name) or self._score_traits.get(name)

    def segment(self, name: str) -> Condition:
        found = self.segments.get(name)
        if found is None:
            raise BadInput(f"there is no segment `{name}`; segments are written in journeys/audience.yaml")
        return found

    def segments_behind(self, name: str) -> list[str]:
        """This segment and all that it is made of."""
        found = [name]
        for each in found:
            tests = (test for test in tests_of(self.segment(each)) if test.field.kind is FieldKind.segment)
            found += dict.fromkeys(one for test in tests for one in names_of(test) if one not in found)
        return found

    def tests_behind(self, condition: Condition) -> Iterator[Test]:
        """Every test a condition comes down to: segments and scores are followed to what they are made of."""
        seen: set[tuple[FieldKind, str]] = set()
        waiting = [condition]
        while waiting:
            for test in tests_of(waiting.pop()):
                rules = self._rules_of(test, seen)
                if rules is None:
                    yield test
                else:
                    waiting.extend(rules)

    def _rules_of(self, test: Test, seen: set[tuple[FieldKind, str]]) -> list[Condition] | None:
        """What a test of segments or of a score asks in turn, each once; None for a test that stands for itself."""
        kind, name = test.field.kind, test.field.name
        if kind is FieldKind.segment:
            fresh = [segment for segment in names_of(test) if (kind, segment) not in seen]
            seen.update((kind, segment) for segment in fresh)
            return [self.segment(segment) for segment in fresh]
        score = self.score(name) if kind is FieldKind.trait else None
        if score is None:
            return None
        first = (kind, name) not in seen
        seen.add((kind, name))
        return [rule for _, rule in score.cases] if first else []

    def traits_behind(self, condition: Condition) -> tuple[Trait, ...]:
        """Every trait computed from events that a condition comes down to."""
        return tuple(self.trait(name) for name in sorted(self._traits_asked(condition) - NIGHTLY))

    def _traits_asked(self, condition: Condition) -> frozenset[str]:
        tests = self.tests_behind(condition)
        return frozenset(test.field.name for test in tests if test.field.kind is FieldKind.trait)

    def events(self, names: Iterable[str]) -> Gathered:
        """What to gather about a person so that these traits and segments have their exact values in memory."""
        traits = self.traits_of(names)
        windows = [None if trait.until_last else trait.within for trait in traits]
        longest = None if None in windows else max((window for window in windows if window), default=timedelta(0))
        return Gathered(frozenset(name for trait in traits for name in trait.events), longest)

    def traits_of(self, names: Iterable[str]) -> tuple[Trait, ...]:
        """Every trait computed from events that these traits and segments come down to."""
        return self.traits_behind(self._asking(names))

    def nightly(self, names: Iterable[str]) -> frozenset[str]:
        """The scores of the night that these traits and segments come down to."""
        return self._traits_asked(self._asking(names)) & NIGHTLY

    def _asking(self, names: Iterable[str]) -> Condition:
        """A condition that asks for all of these traits and segments."""
        asked: list[Condition] = []
        for name in names:
            if name in self.trait_names:
                asked.append(Test(Field(FieldKind.trait, name), Word.known, True))
            if name in self.segments:
                asked.append(self.segments[name])
        return All(tuple(asked))

    @cached_property
    def _scores(self) -> Mapping[str, Score]:
        return scores_of(self.scores)

    @cached_property
    def _score_traits(self) -> Mapping[str, Trait]:
        return traits_of(self.scores, self._rivals)

    @property
    def _rivals(self) -> tuple[str, ...]:
        return self.lists.get(self.scores.rivals, ())


def names_of(test: Test) -> tuple[str, ...]:
    """The names a test of segments, of tags or of a message asks for."""
    values = test.value if isinstance(test.value, tuple) else (test.value,)
    return tuple(name for name in values if isinstance(name, str))

"""Scores of the night: how a row of people is cut in five, and how they are read where they are kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.audience import traits
from engine.audience.book import Audience
from engine.audience.conditions import as_sql, holds
from engine.audience.nightly import SEGMENTS, fifths, values_of
from engine.audience.terms import NIGHTLY
from engine.audience.values import Person
from engine.audience.view import View
from engine.journey.conditions import parse_condition

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
AUDIENCE = Audience()


class World(Protocol):
    """A database, from conftest."""

    def ask(self, people: Sequence[View], *columns: Any) -> dict[int, tuple[Any, ...]]: ...


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], []),
        ([7], [1]),
        ([9, 7], [2, 1]),
        ([50, 10, 40, 20, 30], [5, 1, 4, 2, 3]),
        ([1, 2, 3, 4, 5, 6, 7], [1, 1, 2, 2, 3, 4, 5]),  # what is left over goes to the first fifths
        ([0, 0, 0, 0, 0, 0, 0, 0, 0, 9], [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]),  # equals by their names
    ],
)
def test_a_row_is_cut_in_five(values: list[float], expected: list[int]) -> None:
    assert list(fifths(values, range(len(values)))) == expected


@given(st.lists(st.integers(0, 9)), st.randoms(use_true_random=False))
def test_fifths_differ_by_one_at_most_and_grow_with_value_and_name(values: list[int], chance: Any) -> None:
    by_name = list(range(len(values)))
    chance.shuffle(by_name)
    found = fifths(values, by_name)
    sizes = [Counter(found)[fifth] for fifth in range(1, 6)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] - sizes[-1] <= 1
    row = sorted((value, by_name.index(place), found[place]) for place, value in enumerate(values))
    assert [fifth for _, _, fifth in row] == sorted(found)


def test_a_score_of_the_night_is_what_is_kept_and_unknown_where_nothing_is(sqlite: World) -> None:
    kept = {"rfm.r": 5, "rfm.f": 4, "rfm.m": 1, "rfm.segment": "champions", "best_channel": "sms", "best_hour": 0}
    views = [
        View(Person(number, f"c{number}", ZoneInfo("UTC"), "en", None, NOW, scores=scores), (), AUDIENCE)
        for number, scores in enumerate((kept, {}, {"best_hour": 20}), start=1)
    ]
    names = sorted(NIGHTLY)
    found = sqlite.ask(views, *(traits.as_sql(name, AUDIENCE, NOW) for name in names))
    for view in views:
        assert {name: traits.value(name, view, NOW) for name in names} == {
            name: view.person.scores.get(name) for name in names
        }
        assert found[view.person.id] == tuple(view.person.scores.get(name) for name in names)


@pytest.mark.parametrize(
    ("asked", "who"),
    [
        ({"rfm.r": "5"}, {1}),
        ({"rfm.r": {"at_least": "4"}, "rfm.m": {"below": "3"}}, {1}),
        ({"rfm.segment": ["champions", "loyal"]}, {1}),
        ({"rfm.segment": {"is_not": "lost"}}, {1}),
        ({"not": {"rfm.segment": "lost"}}, {1, 3}),
        ({"rfm.r": {"known": "false"}}, {3}),
        ({"person.best_hour": {"between": ["18", "22"]}}, {2}),
    ],
)
def test_conditions_ask_for_them_as_for_any_trait(sqlite: World, asked: dict[str, Any], who: set[int]) -> None:
    champion = {"rfm.r": 5, "rfm.f": 5, "rfm.m": 1, "rfm.segment": "champions"}
    lost = {"rfm.r": 1, "rfm.f": 1, "rfm.m": 3, "rfm.segment": "lost", "best_hour": 20}
    views = [
        View(Person(number, f"c{number}", ZoneInfo("UTC"), "en", None, NOW, scores=scores), (), AUDIENCE)
        for number, scores in enumerate((champion, lost, {}), start=1)
    ]
    condition = parse_condition(asked, "person", AUDIENCE.trait_names)
    found = sqlite.ask(views, as_sql(condition, AUDIENCE, NOW))
    assert {view.person.id for view in views if holds(condition, view, NOW)} == who
    assert {number for number, (inside,) in found.items() if inside} == who


def test_the_segments_are_those_of_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "audience.md").read_text("utf-8")
    table = page[page.index("| | `f` 1 |") :].splitlines()[2:7]
    rows = [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in table]
    assert {int(row[0].removeprefix("`r` ").split()[-1]): tuple(row[1:]) for row in rows} == SEGMENTS
    assert set(values_of("rfm.segment") or ()) == {name for row in SEGMENTS.values() for name in row}

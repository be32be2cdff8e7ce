"""Random conditions, random people: what holds in memory is what the databases select, and when it began to."""

from __future__ import annotations

import os
from datetime import timedelta
from decimal import Decimal
from itertools import product

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.audience import conditions
from engine.audience.book import Audience
from engine.audience.segments import crossed_at
from engine.journey.conditions import All, Condition, Field, FieldKind, Test, Word
from engine.journey.possible import never
from engine.values import replace
from tests.audience.corners import corners
from tests.audience.covered import Covered
from tests.audience.drawn import (
    ANY,
    NOW,
    SCORES,
    Case,
    audience_of,
    audiences,
    cases,
    people,
    person,
    person_fields,
    questions,
    scored_cases,
    trees,
    written_traits,
)
from tests.audience.sides import World, disagreements

LEAST = 500  # questions asked of a person on three sides; `dev.py meaning` asks many more

many = settings(max_examples=int(os.environ.get("OUTREACH_CASES", "250")), suppress_health_check=list(HealthCheck))
some = settings(max_examples=int(os.environ.get("OUTREACH_CASES", "60")), suppress_health_check=list(HealthCheck))


def test_five_hundred_random_questions_mean_the_same_in_memory_on_sqlite_and_on_postgresql(
    sqlite: World, postgresql: World
) -> None:
    judged = 0

    @settings(many, max_examples=200, derandomize=True)
    @given(case=cases())
    def ask(case: Case) -> None:
        nonlocal judged
        judged += len(case.people) * len(case.questions)
        assert disagreements(case, ("one", "other"), {"sqlite": sqlite, "postgresql": postgresql}) == []

    ask()
    assert judged >= LEAST


def test_every_corner_of_the_language_means_the_same_in_memory_on_sqlite_and_on_postgresql(
    sqlite: World, postgresql: World
) -> None:
    covered = Covered()
    for number, case in enumerate(corners()):
        covered.add(case)
        values = SCORES if number == 0 else ()  # of the same people in all cases
        assert disagreements(case, values, {"sqlite": sqlite, "postgresql": postgresql}) == []
    assert covered.missing() == []
    assert covered.one_sided() == []
    assert covered.untrue() == []


@many
@given(case=cases())
def test_what_holds_in_memory_is_what_sqlite_selects(sqlite: World, case: Case) -> None:
    assert disagreements(case, ("one", "other"), {"sqlite": sqlite}) == []


@some
@given(case=scored_cases())
def test_a_score_is_the_same_in_memory_on_sqlite_and_on_postgresql(
    sqlite: World, postgresql: World, case: Case
) -> None:
    assert disagreements(case, SCORES, {"sqlite": sqlite, "postgresql": postgresql}) == []


@some
@given(case=cases())
def test_what_holds_in_memory_is_what_the_sqlite_of_python_selects(plain_sqlite: World, case: Case) -> None:
    assert disagreements(case, ("one", "other"), {"sqlite": plain_sqlite}) == []


@st.composite
def crossing_cases(draw: st.DrawFn) -> Case:
    """Small numbers over short windows: the answer changes again and again."""
    windowed = st.builds(replace, written_traits(), within=st.sampled_from([timedelta(days=3), timedelta(days=30)]))
    views = draw(people(audience_of(draw(windowed), ANY, False)))
    field = st.just(Field(FieldKind.trait, "one"))
    words = st.sampled_from([Word.at_least, Word.below, Word.is_])
    changing = st.builds(Test, field, words, st.integers(0, 3).map(Decimal)) | st.builds(
        Test, field, st.just(Word.known), st.booleans()
    )
    return Case(views, (draw(trees(changing, depth=1)), draw(trees(questions(person_fields), depth=1))))


@many
@given(case=crossing_cases(), span=st.sampled_from([timedelta(hours=1), timedelta(days=40), timedelta(days=400)]))
def test_a_crossing_is_stamped_with_the_instant_from_which_on_membership_is_what_it_is_now(
    case: Case, span: timedelta
) -> None:
    for view, question in product(case.people, case.questions):
        inside = conditions.holds(question, view, NOW)
        at = crossed_at(question, view, NOW - span, NOW)
        assert NOW - span < at <= NOW
        assert conditions.holds(question, view, at) is inside
        was = conditions.holds(question, view, at - timedelta(microseconds=1))
        assert was is not inside or (at == NOW and conditions.holds(question, view, NOW - span) is inside)


# --- conditions that can never hold


@st.composite
def crowded(draw: st.DrawFn) -> Condition:
    """Several questions about very few fields, so that many contradict each other."""
    asked = draw(st.lists(person_fields, min_size=1, max_size=2))
    leaves = questions(st.sampled_from(asked))
    return All((draw(leaves), draw(trees(leaves))))


@settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), audiences)
def test_what_is_called_impossible_holds_for_nobody(data: st.DataObject, audience: Audience) -> None:
    condition = data.draw(crowded())
    if never(condition):
        view = data.draw(person(1, audience))
        assert not conditions.holds(condition, view, NOW)

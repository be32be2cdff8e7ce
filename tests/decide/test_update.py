"""`update`: what a journey changes about a person, who sees it when, and what a yes may not do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from engine.decide.customer import decide
from engine.decide.decision import Agreed, Decision, Rule
from engine.decide.state import Consented
from engine.values import replace
from tests.decide.world import START, World, apply, at, consent, journey, person, rules_for, state, way


def updated(changes: str, known: Any = None, **entered: Any) -> Decision:
    graph = journey(f"steps: [{{update: {changes}}}]")
    return decide(replace(known or state(), enrollments=(way(graph, **entered),)), rules_for(graph), START)


def sentence(decision: Decision) -> str:
    return next(trace.sentence for trace in decision.traces if trace.rule is Rule.updated)


@pytest.mark.parametrize(
    ("new", "kept"),
    [
        ("gold", "gold"),
        ("3", 3),
        ("2.5", 2.5),
        ("true", True),
        ("010010", "010010"),
        ('{text: "12"}', "12"),
        ("{add: 1}", 8),
        ("{add: -0.5}", 6.5),
        ("{from: event.total}", 99.5),
        ("{from: event.order}", "o-1"),
        ("{from: other}", "silver"),
        ("{from: country}", "CN"),
        ("{from: churn_stage}", "lost"),
        ("{from: now}", "2026-11-22T02:00:00+00:00"),
        ("{from: event.gone}", 7),  # nobody knows it: it stays
        ("{from: event.items}", 7),  # a list is no value
    ],
)
def test_an_attribute_becomes_what_is_written(new: str, kept: Any) -> None:
    graph = journey(f"steps: [{{update: {{set: {{x: {new}}}}}}}]", traits=["churn_stage"])
    known = state(
        way(graph, event={"total": 99.5, "order": "o-1", "items": [1]}, event_at=START),
        person=person(attributes={"x": 7, "other": "silver"}),
    )
    decision = decide(known, rules_for(graph), START)
    changed = decision.person or known.person
    assert changed.attributes == {"x": kept, "other": "silver"}


def test_a_count_begins_at_nothing() -> None:
    decision = updated("{set: {n: {add: 2}}}")
    assert decision.person is not None
    assert decision.person.attributes == {"n": 2}


def test_attributes_are_forgotten_and_tags_come_and_go() -> None:
    known = state(person=person(attributes={"a": 1, "b": 2}, tags=frozenset({"old", "stays"})))
    decision = updated("{forget: a, tags: {add: [vip, early bird], remove: old}}", known)
    assert decision.person is not None
    assert decision.person.attributes == {"b": 2}
    assert decision.person.tags == {"vip", "early bird", "stays"}
    assert sentence(decision) == "a is forgotten; tag vip; tag early bird; no tag old"


def test_what_changes_nothing_writes_nobody() -> None:
    known = state(person=person(attributes={"tier": "gold"}, tags=frozenset({"vip"})))
    assert updated("{set: {tier: gold}, tags: {add: vip}}", known).person is None


def test_later_steps_and_other_journeys_see_it_in_the_same_decision() -> None:
    first = journey("steps: [{update: {set: {tier: gold}, tags: {add: vip}}}, {wait: 1d}]", "first")
    second = journey(
        "steps: [{branch: [{if: {tier: gold, tag: vip}, then: [{exit: seen}]}, {otherwise: [{exit: unseen}]}]}]",
        "second",
    )
    known = state(way(first, 1), way(second, 2, version_id=2))
    ended = [move.reason for move in decide(known, rules_for(first, second), START).moves if not move.active]
    assert ended == ["seen"]


def test_a_plan_that_is_late_is_updated_as_of_the_plan() -> None:
    graph = journey("steps: [{wait: 6h}, {update: {set: {at: {from: now}}}}]")
    decision = decide(state(way(graph)), rules_for(graph), START + timedelta(days=3))
    assert decision.person is not None
    assert decision.person.attributes == {"at": "2026-11-22T08:00:00+00:00"}


def test_who_is_held_out_is_not_changed() -> None:
    decision = updated("{set: {tier: gold}, consent: {channel: email, topic: care, granted: false}}", holdout=True)
    assert (decision.person, decision.agreed) == (None, ())
    assert decision.moves[0].reason == "done"


# --- consent ---------------------------------------------------------------------------------------------------------

YES = "{consent: {channel: email, topic: offers, granted: true, evidence: the form}}"
NO = YES.replace("true, evidence: the form", "false")


def test_a_yes_is_kept_with_its_evidence_and_counts_from_the_plans_instant() -> None:
    graph = journey(f"steps: [{{wait: 2h}}, {{update: {YES}}}]")
    known = state(way(graph), consents=())
    decision = decide(known, rules_for(graph), START + timedelta(hours=9))
    source = "journey plan/update"
    assert decision.agreed == (Agreed("email", "offers", True, START + timedelta(hours=2), source, "the form"),)


@pytest.mark.parametrize(
    ("said", "opened", "counts"),
    [
        ("11-20 10:00", None, False),  # they said no, and no event opened the way
        ("11-20 10:00", "11-22 10:00", True),  # they did something after that no
        ("11-22 10:00", "11-22 10:00", False),
        ("11-22 12:00", "11-22 10:00", False),  # they said no later
    ],
)
def test_a_yes_never_weakens_a_no_but_by_an_event_after_it(said: str, opened: str | None, counts: bool) -> None:
    graph = journey(f"steps: [{{wait: 5h}}, {{update: {YES}}}]")
    no = (Consented("email", "offers", False, at(said), "web"),)
    known = state(way(graph, event_at=at(opened) if opened else None), consents=no)
    decision = decide(known, rules_for(graph), START + timedelta(days=1))
    assert bool(decision.agreed) is counts
    assert sentence(decision) == (
        "offers by email: agreed" if counts else f"offers by email: the no of 2026-{said[:5]} stays"
    )


def test_a_no_to_everything_stays_as_well() -> None:
    known = state(consents=consent("email", granted=False))
    assert updated(YES, known).agreed == ()


def test_a_word_that_holds_already_is_not_kept_again() -> None:
    assert updated(YES, state(consents=consent("email", topic="offers"))).agreed == ()
    assert updated(NO, state(consents=consent("email", topic="offers", granted=False))).agreed == ()


def test_a_no_holds_from_the_very_next_step() -> None:
    graph = journey(f"topic: offers\nsteps: [{{update: {NO}}}, {{send: a, via: [email]}}]")
    world = World(state(way(graph)), rules_for(graph))
    world.run(START)
    assert world.ledger == ["11-22 10:00 send-a: no_consent", "11-22 10:00 end: done"]


def test_a_yes_holds_from_the_very_next_step() -> None:
    graph = journey(f"topic: offers\nsteps: [{{update: {YES}}}, {{send: a, via: [email]}}]")
    world = World(state(way(graph), consents=()), rules_for(graph))
    world.run(START)
    assert world.ledger == ["11-22 10:00 a by email", "11-22 10:00 end: done"]


def test_a_yes_that_comes_late_does_not_hide_a_later_word() -> None:
    graph = journey(f"steps: [{{update: {NO}}}]")
    known = state(way(graph), consents=consent("email", topic="offers", at=START + timedelta(hours=1)))
    decision = decide(known, rules_for(graph), START + timedelta(hours=2))
    assert [one.granted for one in decision.agreed] == [False]  # it is kept, and the later yes holds
    assert apply(known, decision, START + timedelta(hours=2)).consents == known.consents

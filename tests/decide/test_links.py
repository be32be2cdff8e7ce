"""`emit`, `start`, `stop`: what one journey brings about in others, and where that ends."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine.audience.values import Link
from engine.decide.customer import decide
from engine.decide.decision import Decision, Rule
from engine.decide.outcome import MessageState
from engine.decide.split import in_holdout
from tests.decide.world import START, World, at, journey, person, rules_for, said, state, way

HOUR = timedelta(hours=1)
OTHER = "again: always\nsteps: [{wait: 9d}]"


def told(decision: Decision, *rules: Rule) -> list[str]:
    return [trace.sentence for trace in decision.traces if trace.rule in rules]


# --- emit ------------------------------------------------------------------------------------------------------------


def test_an_event_is_emitted_now_with_what_is_known() -> None:
    graph = journey("steps: [{wait: 6h}, {emit: Tea Time, with: {a: 1, b: {from: event.x}, c: {from: event.gone}}}]")
    now = START + 30 * HOUR
    (one,) = decide(state(way(graph, event={"x": "y"}, event_at=START)), rules_for(graph), now).emitted
    assert (one.event, one.payload, one.at, one.visit) == ("Tea Time", {"a": 1, "b": "y"}, now, 1)
    assert one.lineage == (Link("plan/emit-tea_time", now),)


def test_the_next_step_knows_of_it() -> None:
    graph = journey("steps: [{emit: Tea Time}, {wait_for: Tea Time, within: 1d, then: [{exit: tea}]}]")
    (move,) = decide(state(way(graph)), rules_for(graph), START).moves
    assert move.reason == "tea"


def test_who_is_held_out_emits_nothing() -> None:
    graph = journey("steps: [{emit: Tea Time, then: [{exit: fine}]}]")
    decision = decide(state(way(graph, holdout=True)), rules_for(graph), START)
    assert (decision.emitted, decision.moves[0].reason) == ((), "fine")


@pytest.mark.parametrize(("hours", "reason"), [(1, "too_far"), (25, "fine")])
def test_journeys_that_lead_to_one_another_without_an_end_are_cut_short(hours: float, reason: str) -> None:
    for verb in ("emit: Tea Time", "start: other"):
        graph = journey(f"steps: [{{{verb}, then: [{{exit: fine}}], otherwise: [{{exit: too_far}}]}}]")
        links = tuple(Link("other/emit-x", START) for _ in range(10))
        rules = rules_for(graph, journey(OTHER, "other"))
        known = state(way(graph, lineage=links, arrived_at=START + hours * HOUR))
        decision = decide(known, rules, START + hours * HOUR)
        assert decision.moves[0].reason == reason
        assert bool(decision.emitted or decision.started) is (reason == "fine")
        if reason == "too_far":
            (why,) = told(decision, Rule.refused)
            assert why.endswith("10 steps led to one another within a day, the last is other/emit-x")


# --- start -----------------------------------------------------------------------------------------------------------


def starting(target: str, hours: float = 0, *, first: str = "", **entered: object) -> Decision:
    graph = journey(f"{first}\nsteps: [{{start: other, then: [{{exit: yes}}], otherwise: [{{exit: no}}]}}]")
    rules = rules_for(graph, journey(target, "other"))
    return decide(state(way(graph, **entered)), rules, START + hours * HOUR)


def test_a_way_is_opened_at_the_plans_instant_and_the_event_is_handed_on() -> None:
    decision = starting("again: {per: order}\nsteps: [{wait: 1d}]", 5, event={"order": "o-1"}, event_at=START)
    (opened,) = decision.started
    assert (opened.way.journey, opened.way.key, opened.way.entered_at) == ("other", "o-1", START)
    assert (opened.way.event, opened.way.event_at, opened.way.step) == ({"order": "o-1"}, START, None)
    assert opened.way.lineage == (Link("plan/start-other", START + 5 * HOUR),)
    assert opened.trace.sentence == "entered started by plan/start-other at 2026-11-22 10:00 Asia/Shanghai"
    assert decision.moves[0].reason == "yes"


@pytest.mark.parametrize(
    ("target", "before", "reason"),
    [
        ("again: always\nsteps: [{wait: 1d}]", None, "yes"),
        ("steps: [{wait: 1d}]", {"active": False}, "no"),  # once in a lifetime
        ("again: always\nsteps: [{wait: 1d}]", {"active": False}, "yes"),
        ("again: always\nsteps: [{wait: 1d}]", {"active": True, "due_at": START + 9 * HOUR}, "no"),
        ("again: {after: 3d}\nsteps: [{wait: 1d}]", {"active": False}, "no"),
        ("again: {per: order}\nsteps: [{wait: 1d}]", None, "no"),  # there is no key
        ("enter: {every: day, at: '10:00', segment: x}\nagain: always\nsteps: [{wait: 1d}]", None, "yes"),
        ("enter: {event: Never Came, where: {a: 1}}\nagain: always\nsteps: [{wait: 1d}]", None, "yes"),
    ],
)
def test_the_rules_of_coming_back_hold_and_those_of_entering_do_not(
    target: str, before: dict[str, object] | None, reason: str
) -> None:
    graph = journey("steps: [{start: other, then: [{exit: yes}], otherwise: [{exit: no}]}]")
    other = journey(target, "other")
    ways = [way(graph)] + ([way(other, 8, version_id=2, step="wait-1d", **before)] if before else [])
    decision = decide(state(*ways), rules_for(graph, other), START)
    assert {move.reason for move in decision.moves if not move.active} == {reason}
    assert bool(decision.started) is (reason == "yes")


def test_what_was_due_too_long_ago_starts_nothing() -> None:
    decision = starting("max_lateness: 4h\nagain: always\nsteps: [{wait: 1d}]", 5)
    assert decision.moves[0].reason == "no"


def test_a_journey_that_is_not_published_is_not_started() -> None:
    graph = journey("steps: [{start: nowhere, otherwise: [{exit: no}]}]")
    decision = decide(state(way(graph)), rules_for(graph), START)
    assert told(decision, Rule.refused) == ["nowhere is not started: no such journey is published"]


def test_the_holdout_of_the_other_journey_holds() -> None:
    share = "holdout: 50%\nagain: always\nsteps: [{wait: 1d}]"
    graph, other = journey("steps: [{start: other}]"), journey(share, "other")
    held = set()
    for number in range(8):
        known = state(way(graph), person=person(external_id=f"c-{number}"))
        (opened,) = decide(known, rules_for(graph, other), START).started
        assert opened.way.holdout is in_holdout("other", f"c-{number}", other.head.holdout)
        held.add(opened.way.holdout)
    assert held == {True, False}


def test_who_is_held_out_starts_nothing() -> None:
    decision = starting(OTHER, holdout=True)
    assert (decision.started, decision.moves[0].reason) == ((), "yes")


def test_two_starts_in_one_decision_open_one_way() -> None:
    graph = journey("steps: [{start: other}, {id: again, start: other}]")
    decision = decide(state(way(graph)), rules_for(graph, journey(OTHER, "other")), START)
    assert len(decision.started) == 1
    assert told(decision, Rule.refused) == ["other is not started: is already inside"]


# --- stop ------------------------------------------------------------------------------------------------------------

STOPPING = "steps: [{wait: 1h}, {stop: other, then: [{exit: stopped}], otherwise: [{exit: absent}]}]"


def test_the_other_way_ends_at_once_and_what_has_not_left_is_taken_back() -> None:
    graph, other = journey(STOPPING), journey("steps: [{send: a, via: [email], give_up_after: 3d}]", "other")
    queued = said(enrollment_id=8, step="send-a", state=MessageState.queued, begun=False)
    rules = rules_for(graph, other)
    world = World(state(way(graph), way(other, 8, version_id=2, step="send-a", due_at=None), said=(queued,)), rules)
    world.now = START + HOUR
    first = world.step()
    assert {move.id: (move.active, move.reason) for move in first.moves} == {7: (False, "stopped"), 8: (True, None)}
    second = world.step()
    assert [(move.id, move.reason) for move in second.moves] == [(8, "stopped: plan/stop-other")]
    assert [one.message_id for one in second.take_back] == [100]


def test_a_way_that_moves_in_the_same_decision_is_stopped_all_the_same() -> None:
    graph = journey("steps: [{wait: 1h}, {stop: other}]")
    for number in (6, 8):  # looked at before and after the one that stops it
        other = journey("steps: [{wait: 1h}, {wait: 5d, id: on}]", "other")
        entered = START - HOUR if number == 6 else START + HOUR / 2
        theirs = way(other, number, version_id=2, entered_at=entered, arrived_at=entered, due_at=entered)
        world = World(state(way(graph), theirs), rules_for(graph, other), START + 3 * HOUR)
        world.settle()
        assert [one.reason for one in world.state.enrollments if one.id == number] == ["stopped: plan/stop-other"]


def test_who_is_not_inside_is_absent() -> None:
    graph, other = journey(STOPPING), journey(OTHER, "other")
    over = way(other, 8, version_id=2, active=False, due_at=None)
    decision = decide(state(way(graph), over), rules_for(graph, other), START + HOUR)
    assert [move.reason for move in decision.moves] == ["absent"]


def test_who_is_held_out_stops_nothing() -> None:
    graph, other = journey(STOPPING), journey(OTHER, "other")
    theirs = way(other, 8, version_id=2, step="wait-9d", due_at=START + timedelta(days=9))
    decision = decide(state(way(graph, holdout=True), theirs), rules_for(graph, other), START + HOUR)
    assert [(move.id, move.reason) for move in decision.moves] == [(7, "stopped")]


def test_what_was_started_may_be_stopped_in_the_same_decision() -> None:
    graph, other = journey("steps: [{start: other}, {stop: other}]"), journey(OTHER, "other")
    (opened,) = decide(state(way(graph)), rules_for(graph, other), START).started
    assert opened.way.stopped == Link("plan/stop-other", START)


def test_every_way_through_the_other_journey_is_stopped() -> None:
    graph, other = journey(STOPPING), journey("again: {per: order}\nsteps: [{wait: 9d}]", "other")
    ways = [way(other, n, version_id=2, key=str(n), step="wait-9d", due_at=at("12-01 10:00")) for n in (8, 9)]
    world = World(state(way(graph), *ways), rules_for(graph, other))
    world.run(START + HOUR)
    assert sorted(line for line in world.ledger if "end:" in line) == [
        "11-22 11:00 end: stopped",
        "11-22 11:00 end: stopped: plan/stop-other",
        "11-22 11:00 end: stopped: plan/stop-other",
    ]

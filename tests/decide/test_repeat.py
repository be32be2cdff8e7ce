"""`repeat`: rounds at the plan's instants, an end by condition or by count, and answers to this round's message."""

from __future__ import annotations

from datetime import timedelta
from textwrap import dedent
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.decide.decision import Rule
from engine.decide.outcome import MessageState
from engine.decide.rounds import rounds_of, visit_of
from engine.decide.state import Round, Said
from engine.journey.graph import Graph
from engine.values import replace
from engine.work.advance import message_key
from tests.decide.world import START, World, at, audience, codes, journey, kept, person, rules_for, state, way

THREE = """
steps:
  - repeat:
      times: 3
      every: 7d
      steps: [{send: reminder, via: [email]}]
  - exit: said_enough
"""


def plan(text: str) -> Graph:
    return journey(dedent(text))


def entered(text: str, **changes: Any) -> World:
    """A person who entered at START."""
    graph = plan(text)
    return World(state(way(graph, **changes)), rules_for(graph))


def lived(text: str, days: float = 60, **changes: Any) -> World:
    """One who lived through the plan."""
    world = entered(text, **changes)
    world.run(START + timedelta(days=days))
    return world


def test_rounds_begin_so_far_apart_and_are_over_after_the_last() -> None:
    assert lived(THREE).ledger == [
        "11-22 10:00 reminder by email",
        "11-29 10:00 reminder by email",
        "12-06 10:00 reminder by email",
        "12-06 10:00 end: said_enough",
    ]


def test_each_round_is_a_message_of_its_own() -> None:
    world = lived(THREE)
    assert [(one.step, one.visit, one.wish) for one in world.state.said] == [
        ("send-reminder", 1, 0),
        ("send-reminder", 2, 0),
        ("send-reminder", 3, 0),
    ]


def test_keys_of_messages_tell_rounds_apart() -> None:
    world = entered(THREE)
    keys = set()
    for day in (0, 7, 14):
        world.now = START + timedelta(days=day)
        (want,) = world.step().wants
        keys.add(message_key("c-1", want))
        world.settle()
    assert len(keys) == 3


def test_the_condition_is_asked_before_each_round_and_after_the_last() -> None:
    text = """
    steps:
      - repeat:
          times: 2
          every: 7d
          until: {tier: gold}
          steps: [{send: offer, via: [email]}]
        then: [{exit: gold}]
        otherwise: [{exit: gave_up}]
    """
    assert lived(text).ledger[-2:] == ["11-29 10:00 offer by email", "11-29 10:00 end: gave_up"]
    for day, ledger in ((-1, ["11-22 10:00 end: gold"]), (3, ["11-22 10:00 offer by email", "11-29 10:00 end: gold"])):
        world = entered(text)
        world.run(START + timedelta(days=day))
        world.state = replace(world.state, person=person(attributes={"tier": "gold"}))
        world.run(START + timedelta(days=60))
        assert world.ledger == ledger


def test_steps_that_take_longer_than_a_round_push_the_next_one_back() -> None:
    text = "steps: [{repeat: {times: 3, every: 1d, steps: [{send: a, via: [email]}, {wait: 36h}]}}]"
    assert [line[:11] for line in lived(text).ledger] == ["11-22 10:00", "11-23 22:00", "11-25 10:00", "11-26 22:00"]


def test_without_a_pause_a_round_follows_the_one_before() -> None:
    text = "steps: [{repeat: {times: 2, steps: [{send: a, via: [email]}, {wait: 2d}]}}]"
    assert [line[:11] for line in lived(text).ledger] == ["11-22 10:00", "11-24 10:00", "11-26 10:00"]


def test_an_outage_does_not_stretch_the_rounds() -> None:
    graph = journey(THREE.replace("send: reminder, via: [email]", "wait: 1d"))
    world = World(state(way(graph)), rules_for(graph), START + timedelta(days=40))
    (move,) = world.step().moves
    assert (move.reason, move.ended_at) == ("said_enough", START + timedelta(days=15))


def test_no_round_begins_after_the_end_of_the_plan() -> None:
    assert lived("ends_after: 10d" + THREE).ledger[-1] == "12-02 10:00 end: ends_after"


def test_a_way_waits_for_its_next_round_and_says_so() -> None:
    world = lived(THREE, days=1)
    (one,) = world.state.enrollments
    assert (one.step, one.due_at) == ("repeat", START + timedelta(days=7))
    assert world.traces[-1].sentence == "round 2 of 3 begins at 2026-11-29 10:00 Asia/Shanghai"


NESTED = """
steps:
  - id: outer
    repeat:
      times: 2
      every: 10d
      steps:
        - id: inner
          repeat:
            times: 2
            every: 1d
            steps: [{send: a, via: [email]}]
        - {send: b, via: [email]}
"""


def test_a_repeat_in_a_repeat_begins_anew_in_each_round() -> None:
    world = lived(NESTED)
    assert world.ledger == [
        "11-22 10:00 a by email",
        "11-23 10:00 a by email",
        "11-23 10:00 b by email",
        "12-02 10:00 a by email",
        "12-03 10:00 a by email",
        "12-03 10:00 b by email",
        "12-03 10:00 end: done",
    ]
    assert [(one.step, one.visit) for one in world.state.said] == [
        ("send-a", 1001),
        ("send-a", 1002),
        ("send-b", 1),
        ("send-a", 2001),
        ("send-a", 2002),
        ("send-b", 2),
    ]
    assert world.state.enrollments[0].rounds == {}


@given(st.lists(st.integers(1, 100), min_size=1, max_size=3))
def test_a_visit_names_the_rounds_it_is_made_of(numbers: list[int]) -> None:
    loops = [f"r{place}" for place in range(len(numbers))]
    rounds = {loop: Round(number, START) for loop, number in zip(loops, numbers, strict=True)}
    assert rounds_of(visit_of(loops, rounds), len(loops)) == tuple(numbers)


def test_outside_of_repeats_a_visit_is_the_first() -> None:
    assert visit_of((), {"elsewhere": Round(7, START)}) == 1


# --- answers ---------------------------------------------------------------------------------------------------------

ASKING = """
steps:
  - repeat:
      times: 2
      every: 7d
      steps:
        - send: question
          via: [email]
        - wait_for: {message: question, is: clicked}
          within: 3d
          then: [{exit: answered}]
"""


def test_an_answer_to_this_rounds_message_is_waited_for() -> None:
    world = entered(ASKING)
    world.later(START + timedelta(days=8), "Message Clicked", message="question", enrollment_id=7)
    world.run(START + timedelta(days=60))
    assert world.ledger[1:] == [
        "11-29 10:00 question by email",
        "11-30 10:00 Message Clicked",
        "11-30 10:00 end: answered",
    ]


def test_in_a_round_whose_message_was_not_sent_nobody_waits_for_the_answer_to_an_earlier_one() -> None:
    def provider(said: Said) -> MessageState:
        return MessageState.rejected if said.visit == 2 else MessageState.accepted

    graph = journey(ASKING)
    world = World(state(way(graph)), rules_for(graph), provider=provider)
    world.run(START + timedelta(days=60))
    assert world.ledger[-1] == "11-29 10:00 end: done"
    assert [one.sentence for one in world.traces if one.rule is Rule.unanswered][-1] == (
        "question clicked cannot come: it was never sent"
    )


def test_until_sees_what_became_of_the_message_of_the_round_before() -> None:
    world = entered("""
        steps:
          - repeat: {times: 3, every: 7d, until: {message.question: clicked}, steps: [{send: question, via: [email]}]}
            then: [{exit: answered}]
        """)
    world.later(START + timedelta(days=9), "Message Clicked", message="question", enrollment_id=7)
    world.run(START + timedelta(days=60))
    assert [line for line in world.ledger if "question" in line] == [
        "11-22 10:00 question by email",
        "11-29 10:00 question by email",
    ]
    assert world.ledger[-1] == "12-06 10:00 end: answered"


def test_a_branch_in_a_round_does_not_see_the_answer_of_the_round_before() -> None:
    world = entered("""
        steps:
          - repeat:
              times: 2
              every: 7d
              steps:
                - branch: [{if: {message.question: clicked}, then: [{exit: clicked_before}]}]
                - send: question
                  via: [email]
        """)
    world.later(START + timedelta(days=1), "Message Clicked", message="question", enrollment_id=7)
    world.run(START + timedelta(days=60))
    assert world.ledger[-1] == "11-29 10:00 end: done"


def test_in_an_inner_repeat_the_message_of_this_round_of_the_outer_one_counts() -> None:
    world = entered("""
        steps:
          - id: outer
            repeat:
              times: 2
              every: 10d
              steps:
                - send: question
                  via: [email]
                - id: inner
                  repeat:
                    times: 3
                    every: 1d
                    until: {message.question: clicked}
                    steps: [{wait: 1h}]
                  then: [{wait: 1h, id: pleased}]
        """)
    world.later(START + timedelta(hours=30), "Message Clicked", message="question", enrollment_id=7)
    world.run(START + timedelta(days=60))
    steps = [
        (trace.step, trace.sentence) for trace in world.traces if trace.step == "inner" and trace.rule is Rule.branched
    ]
    assert steps == [
        ("inner", "the condition of `until` holds after round 2"),
        ("inner", "all 3 rounds are over"),
    ]


def test_one_code_for_all_rounds() -> None:
    graph = journey("steps: [{repeat: {times: 2, every: 1d, steps: [{give: coupons}]}}]")
    world = World(state(way(graph), codes=codes("coupons", "A", "B")), rules_for(graph))
    world.run(START + timedelta(days=5))
    assert [line for line in world.ledger if "code" in line] == ["11-22 10:00 code A"]


def test_a_task_of_each_round_is_asked_for_anew() -> None:
    world = entered(
        "steps: [{repeat: {times: 2, every: 5d, steps: [{task: call, queue: desk, due: 1d, outcomes: {reached: []}}]}}]"
    )
    world.answers = [("task-call", timedelta(hours=2), "reached")]
    world.run(START + timedelta(days=20))
    assert [line for line in world.ledger if "answered" in line] == [
        "11-22 12:00 task answered: reached",
        "11-27 12:00 task answered: reached",
    ]


def test_who_is_held_out_walks_all_rounds_and_gets_nothing() -> None:
    world = lived(THREE, holdout=True)
    assert world.ledger == ["12-06 10:00 end: said_enough"]


def test_one_leaves_in_the_middle_of_a_round() -> None:
    world = entered("leave: [{event: Order Completed}]" + THREE)
    world.later(at("11-24 12:00"), "Order Completed")
    world.run(START + timedelta(days=60))
    assert world.ledger[-1] == "11-24 12:00 end: left: Order Completed"


def test_a_segment_may_end_the_rounds() -> None:
    graph = journey(
        "steps: [{repeat: {times: 2, every: 1d, until: {segment: gold}, steps: [{wait: 1h}]}, then: [{exit: gold}]}]"
    )
    rules = replace(rules_for(graph), audience=audience(gold=kept("tier", "gold")))
    world = World(state(way(graph), person=person(attributes={"tier": "gold"})), rules)
    world.run(START)
    assert world.ledger == ["11-22 10:00 end: gold"]

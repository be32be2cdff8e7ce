"""`approve`: nobody goes on without a yes, and a no or silence never leads to the next step."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine.decide.decision import APPROVAL, Rule
from tests.decide.world import START, World, journey, rules_for, state, way

PLAN = """
steps:
  - approve: May we?
    by: lead
    within: 24h
  - exit: went_on
"""
WRITTEN = PLAN.replace("24h", "24h\n    outcomes: {refused: [{wait: 1h}], expired: [{exit: nobody_said}]}")


def world(text: str = PLAN, **changes: object) -> World:
    graph = journey(text)
    return World(state(way(graph, **changes)), rules_for(graph))


def test_a_question_is_put_once_with_its_end() -> None:
    living = world()
    living.now = START + timedelta(hours=3)  # nobody could have answered before
    (asked,) = living.step().open_tasks
    assert (asked.kind, asked.brief, asked.assignee, asked.outcomes) == (
        APPROVAL,
        "May we?",
        "lead",
        ("approved", "refused"),
    )
    assert asked.due_at == START + timedelta(hours=27)
    assert living.step().open_tasks == ()
    assert living.traces[-1].sentence == "asks lead, until 2026-11-23 13:00 Asia/Shanghai: May we?"


@pytest.mark.parametrize(
    ("text", "answer", "end"),
    [
        (PLAN, "approved", "11-22 12:00 end: went_on"),
        (PLAN, "refused", "11-22 12:00 end: refused: approve"),
        (PLAN, None, "11-23 10:00 end: expired: approve"),
        (WRITTEN, "approved", "11-22 12:00 end: went_on"),
        (WRITTEN, "refused", "11-22 13:00 end: done"),
        (WRITTEN, None, "11-23 10:00 end: nobody_said"),
    ],
)
def test_only_a_yes_leads_to_the_next_step(text: str, answer: str | None, end: str) -> None:
    living = world(text)
    if answer is not None:
        living.answers = [("approve", timedelta(hours=2), answer)]
    living.run(START + timedelta(days=9))
    assert living.ledger[-1] == end


def test_an_answer_in_time_counts_though_it_is_looked_at_late() -> None:
    living = world()
    living.run(START)
    living.now = START + timedelta(hours=23)
    living.close_task(1, "approved")
    living.now = START + timedelta(days=3)
    (move,) = living.step().moves
    assert (move.reason, move.ended_at) == ("went_on", START + timedelta(hours=23))


def test_who_is_held_out_goes_on_at_once_and_nobody_is_asked() -> None:
    living = world(holdout=True)
    living.run(START)
    assert living.ledger == ["11-22 10:00 end: went_on"]
    assert living.traces[0].rule is Rule.holdout


def test_who_leaves_is_not_asked_about_any_more() -> None:
    living = world("leave: [{event: Order Completed}]" + PLAN)
    living.later(START + timedelta(hours=1), "Order Completed")
    living.run(START + timedelta(days=2))
    assert living.ledger[-2:] == ["11-22 11:00 task closed: cancelled", "11-22 11:00 end: left: Order Completed"]


def test_nothing_is_waited_for_after_the_end_of_the_plan() -> None:
    living = world("ends_after: 5h" + PLAN)
    living.run(START + timedelta(days=2))
    assert living.ledger[-1] == "11-22 15:00 end: ends_after"


def test_each_round_is_asked_anew() -> None:
    text = "steps: [{repeat: {times: 2, every: 5d, steps: [{approve: May we?, by: lead, within: 1d}]}}]"
    living = world(text)
    living.answers = [("approve", timedelta(hours=2), "approved")]
    living.run(START + timedelta(days=9))
    assert [line for line in living.ledger if "answered" in line] == [
        "11-22 12:00 task answered: approved",
        "11-27 12:00 task answered: approved",
    ]

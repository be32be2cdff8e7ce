"""What each verb but `send` does: table by table, at the plan's instants."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from engine.decide.customer import decide
from engine.decide.decision import Decision, Rule
from engine.decide.outcome import MessageState
from engine.decide.state import Assigned, CustomerState
from engine.journey.quantities import parse_days, parse_window
from engine.settings import Queue
from engine.values import replace
from tests.decide.world import (
    START,
    World,
    apply,
    at,
    audience,
    cap,
    codes,
    consent,
    journey,
    kept,
    person,
    policy,
    rules_for,
    shown,
    state,
    way,
)

HOUR = timedelta(hours=1)


def walked(text: str, hours: float = 0, start: CustomerState | None = None, **kept_about: Any) -> Decision:
    """The decision about someone who entered at START, looked at so many hours later."""
    graph = journey(text)
    base = start or state()
    base = replace(base, enrollments=(way(graph, **kept_about),))
    return decide(base, rules_for(graph), START + hours * HOUR)


def stands(decision: Decision) -> tuple[str | None, str, str]:
    """Where the one way stands: step, arrived, due."""
    (move,) = decision.moves
    return move.step, shown(move.arrived_at), shown(move.due_at)


def told(decision: Decision, rule: Rule) -> list[str]:
    return [trace.sentence for trace in decision.traces if trace.rule is rule]


# --- wait ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wait", "due"),
    [
        ("6h", "11-22 16:00"),
        ('{until: "20:00"}', "11-22 20:00"),
        ('{until: "09:00"}', "11-23 09:00"),
        ('{until: "10:00"}', ""),  # it is 10:00
        ('{until: "09:00", days: [tue]}', "11-24 09:00"),
        ("{until: birthday}", "11-28 00:00"),
        ("{until: birthday, minus: 2d}", "11-26 00:00"),
        ("{until: birthday, plus: 12h}", "11-28 12:00"),
        ("{until: passed}", ""),
        ("{until: unknown}", ""),
    ],
)
def test_a_wait_ends_at_the_plans_instant(wait: str, due: str) -> None:
    known = state(person=person(attributes={"birthday": "2026-11-28", "passed": "2026-01-01"}))
    decision = walked(f"steps: [{{wait: {wait}, id: w}}, {{wait: 90d, id: after}}]", start=known)
    if due:
        assert stands(decision) == ("w", "11-22 10:00", due)
    else:
        assert stands(decision)[:2] == ("after", "11-22 10:00")


def test_a_wait_is_over_at_its_instant_and_the_next_step_was_reached_then_however_late_one_looks() -> None:
    plan = "steps: [{wait: 6h}, {wait: 90d}]"
    assert stands(walked(plan, 5.99))[0] == "wait-6h"
    assert stands(walked(plan, 6))[:2] == ("wait-90d", "11-22 16:00")
    assert stands(walked(plan, 30))[:2] == ("wait-90d", "11-22 16:00")


def test_an_outage_does_not_stretch_a_plan_of_many_waits() -> None:
    plan = 'steps: [{wait: 6h}, {wait: {until: "20:00"}}, {wait: 1d}, {wait: 90d}]'
    assert stands(walked(plan, 24 * 20)) == ("wait-90d", "11-23 20:00", "02-21 20:00")


def test_a_wait_until_a_local_time_is_the_persons_own() -> None:
    berlin = state(person=person(zone=ZoneInfo("Europe/Berlin")))
    decision = walked('steps: [{wait: {until: "10:00"}}]', start=berlin)
    assert decision.moves[0].due_at == datetime.fromisoformat("2026-11-22T09:00Z")


# --- wait_for --------------------------------------------------------------------------------------------------------

WAITING = """
again: {per: order}
steps:
  - wait_for: Parcel Delivered
    within: 48h
    then: [{wait: 90d, id: came}]
    otherwise: [{wait: 90d, id: did_not}]
"""


def waiting(hours: float, *events: tuple[str, float, dict[str, Any]]) -> Decision:
    """Someone who waits since START for the parcel of order o-1, looked at after so many hours."""
    graph = journey(WAITING)
    world = World(state(way(graph, key="o-1")), rules_for(graph), START + hours * HOUR)
    for name, when, payload in events:
        world.event(name, START + when * HOUR, **payload)
    return world.step()


@pytest.mark.parametrize(
    ("hours", "events", "step", "arrived"),
    [
        (1, [], "wait_for-parcel_delivered", "11-22 10:00"),
        (30, [("Parcel Delivered", 5, {"order": "o-1"})], "came", "11-22 15:00"),
        (30, [("Parcel Delivered", 0, {"order": "o-1"})], "came", "11-22 10:00"),  # at the very instant of arrival
        (30, [("Parcel Delivered", -1, {"order": "o-1"})], "wait_for-parcel_delivered", "11-22 10:00"),  # before it
        (30, [("Parcel Delivered", 5, {"order": "o-2"})], "wait_for-parcel_delivered", "11-22 10:00"),  # another order
        (30, [("Parcel Delivered", 5, {})], "wait_for-parcel_delivered", "11-22 10:00"),  # of no known order
        (
            30,
            [("Parcel Delivered", 5, {"enrollment_id": 7})],
            "came",
            "11-22 15:00",
        ),  # it answers a message of this way
        (30, [("Parcel Delivered", 5, {"enrollment_id": 2})], "wait_for-parcel_delivered", "11-22 10:00"),
        (
            30,
            [("Parcel Delivered", 5, {"enrollment_id": 7, "order": "o-2"})],
            "wait_for-parcel_delivered",
            "11-22 10:00",
        ),
        (30, [("Page Viewed", 5, {"order": "o-1"})], "wait_for-parcel_delivered", "11-22 10:00"),
        (48, [], "did_not", "11-24 10:00"),
        (70, [], "did_not", "11-24 10:00"),  # looked at late
        (70, [("Parcel Delivered", 48, {"order": "o-1"})], "came", "11-24 10:00"),  # at the last instant, known late
        (70, [("Parcel Delivered", 49, {"order": "o-1"})], "did_not", "11-24 10:00"),
        (
            70,
            [("Parcel Delivered", 9, {"order": "o-1"}), ("Parcel Delivered", 4, {"order": "o-1"})],
            "came",
            "11-22 14:00",
        ),
    ],
)
def test_an_event_answers_from_arrival_until_the_end_of_waiting(
    hours: float, events: list[tuple[str, float, dict[str, Any]]], step: str, arrived: str
) -> None:
    assert stands(waiting(hours, *events))[:2] == (step, arrived)


def test_a_way_that_waits_is_looked_at_again_when_its_time_is_over() -> None:
    assert stands(waiting(1))[2] == "11-24 10:00"


def test_an_event_stamped_ahead_of_our_clock_answers_now() -> None:
    assert stands(waiting(5, ("Parcel Delivered", 5.05, {"order": "o-1"})))[:2] == ("came", "11-22 15:00")


def test_where_asks_the_payload_of_the_awaited_event() -> None:
    plan = """
steps:
  - {wait_for: Page Viewed, where: {page: {contains: sale}}, within: 2d, then: [{wait: 90d, id: came}]}
"""
    graph = journey(plan)
    world = World(state(way(graph)), rules_for(graph), START + 5 * HOUR)
    world.event("Page Viewed", START + HOUR, page="/home")
    assert world.step().moves[0].step == "wait_for-page_viewed"
    world.event("Page Viewed", START + 2 * HOUR, page="/sale/shoes")
    assert stands(world.step())[:2] == ("came", "11-22 12:00")


CLICKS = """
steps:
  - send: thanks
    via: email
  - wait_for: [{event: Page Viewed}, {message: thanks, is: clicked}]
    within: 2d
    then: [{wait: 90d, id: came}]
    otherwise: [{wait: 90d, id: did_not}]
"""


def clicks(outcome: MessageState = MessageState.accepted, plan: str = CLICKS) -> World:
    graph = journey(plan)
    world = World(state(way(graph)), rules_for(graph), START, provider=lambda said: outcome)
    world.settle()
    return world


def test_a_click_answers_and_a_machines_click_does_not() -> None:
    world = clicks()
    world.now += 3 * HOUR
    world.event("Message Clicked", message="thanks", journey="plan", enrollment_id=7, machine=True)
    world.event("Message Clicked", message="thanks", journey="plan", enrollment_id=8)  # on another way
    world.event("Message Clicked", message="other", journey="plan", enrollment_id=7)
    assert world.step().moves[0].step == "wait_for"
    world.event("Message Clicked", message="thanks", journey="plan", enrollment_id=7)
    assert stands(world.step())[:2] == ("came", "11-22 13:00")


def test_a_click_that_names_no_way_counts_for_its_journey_since_entry() -> None:
    world = clicks()
    world.now += 3 * HOUR
    world.event("Message Clicked", START - HOUR, message="thanks", journey="plan")  # of a way before this one
    world.event("Message Clicked", message="thanks", journey="another")
    assert world.step().moves[0].step == "wait_for"
    world.event("Message Clicked", message="thanks", journey="plan")
    assert stands(world.step())[:2] == ("came", "11-22 13:00")


def test_of_several_answers_the_first_that_happened_counts() -> None:
    for first, second in (("Page Viewed", "Message Clicked"), ("Message Clicked", "Page Viewed")):
        world = clicks()
        world.now += 9 * HOUR
        for name, hours in ((second, 5), (first, 2), (second, 4), (first, 3)):
            world.event(name, START + hours * HOUR, message="thanks", journey="plan", enrollment_id=7)
        decision = world.step()
        assert stands(decision)[:2] == ("came", "11-22 12:00")
        assert decision.traces[0].sentence.endswith("at 2026-11-22 12:00 Asia/Shanghai")


def test_a_text_sent_twice_is_asked_about_its_latest_sending() -> None:
    plan = CLICKS.replace("  - wait_for", "  - wait: 1d\n  - {send: thanks, id: again, via: email}\n  - wait_for")
    world = clicks(plan=plan)
    world.now += 2 * HOUR
    world.event("Message Clicked", message="thanks", journey="plan", enrollment_id=7)
    world.run(START + 26 * HOUR)
    assert world.state.enrollments[0].step == "wait_for"
    world.event("Message Clicked", message="thanks", journey="plan", enrollment_id=7)
    assert world.step().moves[0].step == "came"


def test_a_click_before_the_waiting_began_is_an_answer_at_once() -> None:
    plan = CLICKS.replace("  - wait_for", "  - wait: 1d\n  - wait_for")
    world = clicks(plan=plan)
    world.now += 2 * HOUR
    world.event("Message Clicked", message="thanks", journey="plan", enrollment_id=7)
    world.run(START + 26 * HOUR)
    (way_now,) = world.state.enrollments
    assert (way_now.step, shown(way_now.arrived_at)) == ("came", "11-23 10:00")


def test_a_message_that_was_never_sent_does_not_keep_one_from_waiting_for_the_rest() -> None:
    world = clicks(MessageState.rejected)
    assert world.state.enrollments[0].step == "wait_for"
    world.run(START + 49 * HOUR)
    assert world.state.enrollments[0].step == "did_not"


@pytest.mark.parametrize(
    ("outcome", "word", "step"),
    [
        (MessageState.accepted, "clicked", "wait_for-thanks-clicked"),
        (MessageState.rejected, "clicked", "did_not"),  # never sent: not answered, at once
        (MessageState.accepted, "sent", "came"),
        (MessageState.unknown, "sent", "came"),
        (MessageState.rejected, "sent", "did_not"),
        (MessageState.accepted, "delivered", "wait_for-thanks-delivered"),
        (MessageState.delivered, "delivered", "came"),
        (MessageState.bounced, "delivered", "wait_for-thanks-delivered"),
    ],
)
def test_what_became_of_a_message_answers_or_cannot(outcome: MessageState, word: str, step: str) -> None:
    plan = CLICKS.replace("[{event: Page Viewed}, {message: thanks, is: clicked}]", f"{{message: thanks, is: {word}}}")
    assert clicks(outcome, plan).state.enrollments[0].step == step


def test_a_report_of_delivery_answers_when_it_comes() -> None:
    plan = CLICKS.replace("[{event: Page Viewed}, {message: thanks, is: clicked}]", "{message: thanks, is: delivered}")
    world = clicks(plan=plan)
    world.now += HOUR
    world.settle_message(1, MessageState.delivered)
    assert stands(world.step())[:2] == ("came", "11-22 11:00")


def test_who_is_held_out_waits_for_events_and_not_for_messages_nobody_sent() -> None:
    graph = journey(CLICKS)
    decision = decide(state(way(graph, holdout=True)), rules_for(graph), START)
    assert stands(decision) == ("wait_for", "11-22 10:00", "11-24 10:00")
    only = journey(CLICKS.replace("{event: Page Viewed}, ", ""))
    assert stands(decide(state(way(only, holdout=True)), rules_for(only), START))[0] == "did_not"


# --- branch and split ------------------------------------------------------------------------------------------------

BRANCH = """
steps:
  - branch:
      - if: {tier: gold}
        then: [{wait: 90d, id: gold}]
      - if: {event.total: {at_least: 100}}
        then: [{wait: 90d, id: large}]
      - if: {now.weekday: [mon]}
        then: []
      - otherwise: [{wait: 90d, id: rest}]
  - {wait: 90d, id: after}
"""


@pytest.mark.parametrize(
    ("attributes", "event", "hours", "step"),
    [
        ({"tier": "gold"}, {"total": 500}, 0, "gold"),
        ({"tier": "silver"}, {"total": 500}, 0, "large"),
        ({}, {"total": 50}, 0, "rest"),
        ({}, {}, 0, "rest"),
        ({}, {}, 15, "after"),  # Monday in Shanghai: an empty case falls through
    ],
)
def test_the_first_case_that_holds_is_taken(
    attributes: dict[str, Any], event: dict[str, Any], hours: float, step: str
) -> None:
    graph = journey(BRANCH)
    known = state(way(graph, event=event), person=person(attributes=attributes))
    decision = decide(known, rules_for(graph), START + hours * HOUR)
    assert stands(decision)[0] == step
    assert len(told(decision, Rule.branched)) == 1


def test_without_otherwise_a_branch_falls_through() -> None:
    plan = "steps: [{branch: [{if: {tier: gold}, then: [{exit: gold}]}]}, {wait: 90d, id: after}]"
    assert stands(walked(plan))[0] == "after"


def test_a_branch_knows_what_became_of_this_ways_messages() -> None:
    plan = """
steps:
  - {send: thanks, via: email}
  - wait: 1d
  - branch:
      - if: {message.thanks: clicked}
        then: [{wait: 90d, id: clicked}]
      - otherwise: [{wait: 90d, id: quiet}]
"""
    for click, step in ((True, "clicked"), (False, "quiet")):
        world = clicks(plan=plan)
        world.now += HOUR
        if click:
            world.event("Message Clicked", message="thanks", journey="plan", enrollment_id=7)
        world.run(START + 25 * HOUR)
        assert world.state.enrollments[0].step == step


def test_to_a_branch_a_message_that_never_went_is_unknown() -> None:
    plan = """
steps:
  - {send: thanks, via: email}
  - branch:
      - if: {message.thanks: {is_not: clicked}}
        then: [{wait: 90d, id: quiet}]
      - otherwise: [{wait: 90d, id: unknown}]
"""
    for outcome, step in ((MessageState.accepted, "quiet"), (MessageState.rejected, "unknown")):
        assert clicks(outcome, plan).state.enrollments[0].step == step


def test_a_person_stays_in_the_variant_of_a_split() -> None:
    plan = """
steps:
  - split: offer
    variants: {a: {share: 50%, steps: [{wait: 90d, id: in-a}]}, b: 50%}
  - {wait: 90d, id: after}
"""
    graph = journey(plan)
    steps = {}
    for number in range(40):
        known = state(way(graph), person=person(external_id=f"c-{number}"))
        (move,) = decide(known, rules_for(graph), START).moves
        assert (move.variants["offer"], move.step) in {("a", "in-a"), ("b", "after")}
        steps[number] = move.step
    assert set(steps.values()) == {"in-a", "after"}
    kept = state(way(graph, variants={"offer": "a"}), person=person(external_id="c-0"))
    assert decide(kept, rules_for(graph), START).moves[0].step == "in-a"


# --- give ------------------------------------------------------------------------------------------------------------

GIVE = "steps: [{give: coupons, then: [{wait: 90d, id: has}], otherwise: [{wait: 90d, id: none}]}]"


def test_a_code_is_given_and_kept_with_its_expiry() -> None:
    expires = START + timedelta(days=14)
    decision = walked(GIVE, start=state(codes=codes("coupons", "AB-1", expires_at=expires)))
    (move,) = decision.moves
    assert move.step == "has"
    assert move.vouchers["coupons"].code == "AB-1"
    assert move.vouchers["coupons"].expires_at == expires
    assert [(one.enrollment_id, one.code.code, one.at) for one in decision.given] == [(7, "AB-1", START)]
    assert told(decision, Rule.given) == ["a code of coupons worth 20 CNY, good until 2026-12-06 10:00 Asia/Shanghai"]


def test_an_empty_pool_is_an_outcome() -> None:
    decision = walked(GIVE)
    assert stands(decision)[0] == "none"
    assert told(decision, Rule.empty) == ["the pool coupons has no code left"]


def test_two_ways_never_get_the_same_code() -> None:
    graph = journey(GIVE)
    known = state(way(graph, 7), way(graph, 8), way(graph, 9), codes=codes("coupons", "AB-1", "AB-2"))
    decision = decide(known, rules_for(graph), START)
    assert sorted(one.code.code for one in decision.given) == ["AB-1", "AB-2"]
    assert sorted(str(move.step) for move in decision.moves) == ["has", "has", "none"]


def test_the_same_pool_twice_on_one_way_gives_one_code() -> None:
    plan = "steps: [{give: coupons}, {give: coupons, id: again}, {wait: 90d}]"
    decision = walked(plan, start=state(codes=codes("coupons", "AB-1", "AB-2")))
    assert len(decision.given) == 1


def test_who_is_held_out_gets_no_code_and_walks_on_as_if() -> None:
    decision = walked(GIVE, start=state(codes=codes("coupons", "AB-1")), holdout=True)
    assert decision.given == ()
    assert stands(decision)[0] == "has"


# --- task ------------------------------------------------------------------------------------------------------------

TASK = """
steps:
  - task: care_call
    queue: care
    assign: owner
    due: 24h
    escalate: {after: 4h, to: lead}
    outcomes: {reached: [{wait: 90d, id: reached}], overdue: [{wait: 90d, id: late}], noted: []}
  - {wait: 90d, id: after}
"""
CARE = Queue(title="Care", hours=parse_window("09:00-18:00"), days=parse_days("mon-fri"))


def task_world() -> World:
    graph = journey(TASK)
    world = World(state(way(graph)), rules_for(graph, queues={"care": CARE}), START)
    world.settle()
    return world


def test_a_task_is_opened_once_and_is_due_in_the_working_hours_of_its_queue() -> None:
    graph = journey(TASK)
    rules = rules_for(graph, queues={"care": CARE})
    decision = decide(state(way(graph)), rules, START)  # a Sunday
    (task,) = decision.open_tasks
    assert (task.brief, task.queue, task.escalate_to) == ("care_call", "care", "lead")
    assert (shown(task.due_at), shown(task.escalate_at)) == ("11-25 15:00", "11-23 13:00")
    assert task.outcomes == ("reached", "noted")
    assert stands(decision) == ("task-care_call", "11-22 10:00", "11-25 15:00")
    again = decide(apply(state(way(graph)), decision, START), rules, START + HOUR)
    assert again.open_tasks == ()


@pytest.mark.parametrize(("outcome", "step"), [("reached", "reached"), ("noted", "after"), ("unheard_of", "after")])
def test_the_outcome_of_a_task_moves_the_way_on_at_the_instant_it_was_closed(outcome: str, step: str) -> None:
    world = task_world()
    world.now += 5 * HOUR
    world.close_task(1, outcome)
    world.now += 5 * HOUR
    assert stands(world.step())[:2] == (step, "11-22 15:00")


def test_a_task_nobody_closed_is_overdue_when_its_time_is_over() -> None:
    world = task_world()
    world.run(at("11-25 15:00"))
    assert world.state.enrollments[0].step == "late"
    assert world.state.tasks[0].outcome == "overdue"
    assert world.state.tasks[0].closed_at == at("11-25 15:00")


def test_a_task_that_was_closed_in_time_is_not_overdue_though_looked_at_late() -> None:
    world = task_world()
    world.now = at("11-25 14:00")
    world.close_task(1, "reached")
    world.now = at("11-28 10:00")
    assert stands(world.step())[:2] == ("reached", "11-25 14:00")


def test_who_is_held_out_gets_no_task_and_goes_on_when_it_would_have_been_due() -> None:
    graph = journey(TASK)
    world = World(state(way(graph, holdout=True)), rules_for(graph, queues={"care": CARE}), START)
    world.settle()
    assert world.state.tasks == ()
    assert shown(world.state.enrollments[0].due_at) == "11-25 15:00"
    world.run(at("11-25 15:00"))
    assert world.state.enrollments[0].step == "after"


LIN_EMMA = ("lin", "emma")


@pytest.mark.parametrize(
    ("assign", "people", "owner", "assignee", "in_turn", "told"),
    [
        (None, LIN_EMMA, "lin", None, (), ""),
        ("emma", LIN_EMMA, "lin", "emma", (), "in the hands of emma"),
        ("round_robin", LIN_EMMA, "lin", None, LIN_EMMA, "in turn"),
        ("owner", LIN_EMMA, "lin", "lin", (), "in the hands of lin, their owner"),
        ("owner", LIN_EMMA, None, None, LIN_EMMA, "in turn since nobody is their owner"),
        ("owner", LIN_EMMA, "", None, LIN_EMMA, "in turn since nobody is their owner"),
        ("owner", LIN_EMMA, "zoe", None, LIN_EMMA, "in turn since their owner zoe is not of this queue"),
        ("owner", (), "zoe", "zoe", (), "in the hands of zoe, their owner"),
        ("owner", (), None, None, (), "for whoever takes it since nobody is their owner"),
        ("owner", ("7", "8"), 7, "7", (), "in the hands of 7, their owner"),
    ],
)
def test_a_task_gets_into_the_hands_that_assign_says(
    assign: str | None, people: tuple[str, ...], owner: Any, assignee: str | None, in_turn: tuple[str, ...], told: str
) -> None:
    graph = journey(TASK.replace("    assign: owner\n", f"    assign: {assign}\n" if assign else ""))
    kept = {} if owner is None else {"owner": owner}
    start = state(way(graph), person=person(attributes=kept))
    rules = rules_for(graph, queues={"care": Queue(title="Care", people=people)})
    decision = decide(start, rules, START)
    (task,) = decision.open_tasks
    assert (task.assignee, task.in_turn) == (assignee, in_turn)
    said = f", {told}" if told else ""
    assert f"care_call for care{said}, due" in decision.traces[-1].sentence


def test_who_is_held_out_is_not_called_and_takes_nobodys_place() -> None:
    graph = journey(TASK.replace("queue: care", "queue: care\n    call: true"))
    world = World(state(way(graph, holdout=True)), rules_for(graph, queues={"care": CARE}), START)
    world.settle()
    assert (world.state.tasks, world.state.said) == ((), ())
    world.run(at("11-25 15:00"))
    assert world.state.enrollments[0].step == "after"


def test_of_a_call_and_a_message_the_more_important_is_judged_first() -> None:
    call = journey("priority: 10\n" + TASK.replace("queue: care", "queue: care\n    call: true"), "calling")
    mail = journey("priority: 90\nsteps: [{send: hello, via: [email]}]", "writing")
    ways = (way(call), way(mail, 8, version_id=2))
    for one, other, rest in ((10, 90, ("email", 0)), (90, 10, ("", 1))):
        graphs = (replace(call, head=call.head.model_copy(update={"priority": one})), mail)
        graphs = (graphs[0], replace(mail, head=mail.head.model_copy(update={"priority": other})))
        limited = policy(caps=(cap(1, "day"),))
        start = state(*ways)
        start = replace(start, consents=(*start.consents, *consent("call")))
        decision = decide(start, rules_for(*graphs, policy=limited, queues={"care": CARE}), START)
        assert ("".join(want.channel for want in decision.wants), len(decision.open_tasks)) == rest


def test_a_queue_that_is_not_configured_works_around_the_clock() -> None:
    graph = journey(TASK)
    decision = decide(state(way(graph)), rules_for(graph, queues={}), START)
    assert shown(decision.open_tasks[0].due_at) == "11-23 10:00"


# --- exit, the end ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plan", "reason", "ended"),
    [
        ("steps: [{exit: enough}]", "enough", "11-22 10:00"),
        ("steps: [{wait: 1h}]", "done", "11-22 11:00"),
        ("steps: [{wait: 1h}, {exit: enough}, {wait: 90d}]", "enough", "11-22 11:00"),
    ],
)
def test_a_way_ends_with_a_reason_at_the_plans_instant(plan: str, reason: str, ended: str) -> None:
    decision = walked(plan, 48)
    (move,) = decision.moves
    assert (move.active, move.reason, shown(move.ended_at)) == (False, reason, ended)
    assert (move.step, move.due_at) == (None, None)
    assert decision.traces[-1].rule is Rule.ended


# --- ends_after ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "hours", "step", "reason", "ended"),
    [
        ("[{wait: 3h}, {wait: 90d}]", 2, "wait-3h", None, ""),
        ("[{wait: 10h}, {wait: 90d}]", 10, None, "ends_after", "11-22 20:00"),  # at the last instant, then no longer
        ("[{wait: 11h}, {wait: 90d}]", 9, "wait-11h", None, ""),
        ("[{wait: 11h}, {wait: 90d}]", 10, None, "ends_after", "11-22 20:00"),
        ("[{wait: 11h}, {wait: 90d}]", 99, None, "ends_after", "11-22 20:00"),
        ("[{wait: 10h}, {exit: enough}]", 99, None, "enough", "11-22 20:00"),
        ("[{wait_for: Page Viewed, within: 2d}]", 99, None, "ends_after", "11-22 20:00"),
    ],
)
def test_no_step_begins_later_than_the_plan_ends(
    steps: str, hours: float, step: str | None, reason: str | None, ended: str
) -> None:
    (move,) = walked(f"ends_after: 10h\nsteps: {steps}", hours).moves
    assert (move.step, move.reason, shown(move.ended_at)) == (step, reason, ended)


def test_a_wait_that_outlasts_the_plan_is_looked_at_when_the_plan_ends() -> None:
    assert stands(walked("ends_after: 10h\nsteps: [{wait: 2d}]"))[2] == "11-22 20:00"


def test_a_task_begun_in_time_keeps_its_time() -> None:
    plan = "ends_after: 10h\nsteps: [{task: call, queue: desk, due: 24h, outcomes: {done: []}}, {exit: enough}]"
    graph = journey(plan)
    world = World(state(way(graph)), rules_for(graph), START)
    world.run(START + 30 * HOUR)
    assert world.ledger == [
        "11-22 10:00 task call for desk, due 11-23 10:00",
        "11-23 10:00 task closed: overdue",
        "11-23 10:00 end: ends_after",
    ]


# --- leaving ---------------------------------------------------------------------------------------------------------

LEAVING = """
again: {per: order}
leave: [{event: Order Cancelled, where: {not: {reason: mistake}}}, {segment: blocked}, goal]
goal: {event: Order Completed, within: 3d}
steps: [{wait: 10d}]
"""


def leaving(*events: tuple[str, float, dict[str, Any]], attributes: dict[str, Any] | None = None) -> Decision:
    graph = journey(LEAVING)
    rules = rules_for(graph, audience=audience(blocked=kept("status", "blocked")))
    known = state(way(graph, key="o-1"), person=person(attributes=attributes or {}))
    world = World(known, rules, START + 200 * HOUR)
    for name, when, payload in events:
        world.event(name, START + when * HOUR, **payload)
    return world.step()


@pytest.mark.parametrize(
    ("events", "attributes", "reason", "ended"),
    [
        ([], {}, None, ""),
        ([("Order Cancelled", 5, {"order": "o-1"})], {}, "left: Order Cancelled", "11-22 15:00"),
        ([("Order Cancelled", 0, {"order": "o-1"})], {}, None, ""),  # strictly after entry
        ([("Order Cancelled", 5, {"order": "o-2"})], {}, None, ""),  # another order
        ([("Order Cancelled", 5, {"order": "o-1", "reason": "mistake"})], {}, None, ""),
        ([], {"status": "blocked"}, "left: segment blocked", "11-30 18:00"),
        ([("Order Completed", 9, {"order": "o-2"})], {}, "left: goal", "11-22 19:00"),  # any order reaches the goal
        ([("Order Completed", 73, {"order": "o-2"})], {}, None, ""),  # too late to be the goal
        (
            [("Order Completed", 9, {}), ("Order Cancelled", 5, {"order": "o-1"})],
            {},
            "left: Order Cancelled",  # what came first
            "11-22 15:00",
        ),
    ],
)
def test_leave_rules_end_a_way_whatever_the_step(
    events: list[tuple[str, float, dict[str, Any]]], attributes: dict[str, Any], reason: str | None, ended: str
) -> None:
    decision = leaving(*events, attributes=attributes)
    (move,) = decision.moves
    assert (move.reason, shown(move.ended_at)) == (reason, ended)
    if reason:
        (trace,) = decision.traces
        assert (trace.rule, trace.file, trace.line) == (Rule.left, "journeys/plan.yaml", 5)


def test_leaving_takes_back_what_has_not_begun_and_cancels_open_tasks() -> None:
    steps = "[{send: a, via: email}, {task: call, queue: desk, due: 1d, outcomes: {done: []}}]"
    graph = journey(f"leave: [{{event: Stop}}]\nsteps: {steps}")
    world = World(state(way(graph)), rules_for(graph), START)
    world.step()
    world.event("Stop", START + HOUR)
    decision = world.step()
    assert [(one.message_id, one.rule) for one in decision.take_back] == [(1, Rule.left)]

    world = World(state(way(graph)), rules_for(graph), START)
    world.settle()
    world.event("Stop", START + HOUR)
    decision = world.step()
    assert decision.take_back == ()  # it is gone
    assert [(one.task_id, one.outcome) for one in decision.close_tasks] == [(1, "cancelled")]


def test_a_message_that_has_its_end_is_not_taken_back() -> None:
    graph = journey("leave: [{event: Stop}]\nsteps: [{send: a, via: email}, {wait: 9d}]")
    world = World(state(way(graph), consents=()), rules_for(graph), START)
    world.settle()
    assert [one.state for one in world.state.said] == [MessageState.suppressed]
    world.event("Stop", START + HOUR)
    assert world.step().take_back == ()


def test_an_attempt_that_has_begun_is_not_taken_back_and_one_that_waits_for_its_next_try_is() -> None:
    graph = journey("leave: [{event: Stop}]\nsteps: [{send: a, via: email}]")
    for outcome, back in ((MessageState.sending, []), (MessageState.retry, [1]), (MessageState.repeat, [1])):
        world = World(state(way(graph)), rules_for(graph), START, provider=lambda said, outcome=outcome: outcome)
        world.settle()
        world.event("Stop", START + HOUR)
        assert [one.message_id for one in world.step().take_back] == back


def test_steps_are_those_of_the_version_entered_and_leave_rules_those_of_the_live_one() -> None:
    old = journey("steps: [{wait: 10d, id: old}]")
    new = journey("leave: [{event: Stop}]\nsteps: [{wait: 20d, id: new}]")
    rules = rules_for(old, new, live={"plan": 2})
    rules = replace(rules, graphs={1: old, 2: new})
    world = World(state(way(old)), rules, START)
    world.settle()
    assert world.state.enrollments[0].step == "old"
    world.event("Stop", START + HOUR)
    assert world.step().moves[0].reason == "left: Stop"


# --- pause -----------------------------------------------------------------------------------------------------------


def test_nothing_begins_while_a_journey_is_paused_and_the_plan_goes_on_where_it_was() -> None:
    graph = journey("steps: [{wait: 1h}, {wait: 1d, id: next}, {wait: 90d, id: last}]")
    rules = rules_for(graph)
    paused = replace(rules, paused=frozenset({"plan"}))
    known = state(way(graph))
    first = decide(known, paused, START)
    assert first.moves[0].step is None
    assert first.moves[0].due_at is not None
    assert first.moves[0].due_at > START
    assert [trace.rule for trace in first.traces] == [Rule.paused]
    known = apply(known, first, START)
    assert decide(known, paused, START).moves == ()
    later = decide(known, rules, START + 6 * HOUR)
    assert stands(later) == ("next", "11-22 11:00", "11-23 11:00")


def test_one_leaves_a_paused_journey_too() -> None:
    graph = journey("leave: [{event: Stop}]\nsteps: [{wait: 1h}]")
    world = World(state(way(graph)), rules_for(graph, paused=frozenset({"plan"})), START)
    world.event("Stop", START + HOUR)
    assert world.step().moves[0].reason == "left: Stop"


# --- traces ----------------------------------------------------------------------------------------------------------


def test_every_trace_names_the_line_its_rule_is_written_on() -> None:
    plan = """\
steps:
  - wait: 1h
  - branch:
      - if: {tier: gold}
        then: [{exit: gold}]
  - wait: {until: "20:00"}
"""
    decision = walked(plan, 2)
    assert [(trace.rule, trace.step, trace.line) for trace in decision.traces] == [
        (Rule.moved, "wait-1h", 4),
        (Rule.branched, "branch", 5),
        (Rule.waits, "wait-until-20:00", 8),
    ]
    assert {trace.file for trace in decision.traces} == {"journeys/plan.yaml"}


def test_nothing_begins_before_the_plan_is_there() -> None:
    graph = journey("steps: [{send: hello, via: email}]")
    decision = decide(state(way(graph)), rules_for(graph), START - HOUR)
    assert decision == Decision(1)


def test_a_way_that_is_not_due_and_learned_nothing_stays_as_it_is() -> None:
    graph = journey("steps: [{wait: 6h}]")
    standing = way(graph, step="wait-6h", due_at=START + 6 * HOUR)
    decision = decide(state(standing), rules_for(graph), START + HOUR)
    assert (decision.moves, decision.traces) == ((), ())


def test_closed_tasks_of_another_visit_or_way_are_not_taken_for_this_ones() -> None:
    graph = journey(TASK)
    other = Assigned(1, 8, "task-care_call", 1, START, START + HOUR, "reached", START)
    decision = decide(state(way(graph), tasks=(other,)), rules_for(graph), START)
    assert len(decision.open_tasks) == 1

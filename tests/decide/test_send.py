"""`send`: wishes in order, deadlines, what became of a message, and who is told what when nothing goes out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from engine.decide.customer import decide
from engine.decide.decision import Decision, Rule
from engine.decide.outcome import MessageState
from engine.decide.state import CustomerState, Rules
from engine.journey.graph import Graph
from engine.journey.quantities import parse_window
from engine.values import replace
from tests.decide.world import (
    CHANNELS,
    START,
    World,
    at,
    cap,
    consent,
    journey,
    person,
    policy,
    rules_for,
    said,
    shown,
    state,
    way,
)

HOUR = timedelta(hours=1)
NIGHT = {channel: parse_window("21:00-08:00") for channel in ("sms", "push")}
AFTER = "\n".join(
    f"      {outcome}: [{{wait: 90d, id: {outcome}}}]"
    for outcome in ("sent", "capped", "unreachable", "late", "failed")
)


def sending(via: str = "[sms, email]", more: str = "", head: str = "") -> Graph:
    """One `send` whose every outcome leads to a wait of its own name."""
    return journey(f"{head}\nsteps:\n  - send: hello\n    via: {via}\n{more}\n    outcomes:\n{AFTER}\n")


def first(
    graph: Graph, hours: float = 0, known: CustomerState | None = None, rules: Rules | None = None, **about: Any
) -> Decision:
    """The first look at someone who reached the `send` at START."""
    known = known or state()
    return decide(replace(known, enrollments=(way(graph, **about),)), rules or rules_for(graph), START + hours * HOUR)


def stands(decision: Decision) -> tuple[str | None, str]:
    (move,) = decision.moves
    return move.step, shown(move.arrived_at)


# --- wishes ----------------------------------------------------------------------------------------------------------


def test_the_first_wish_that_can_go_is_queued_whole() -> None:
    graph = sending(more="    with: {tone: warm}", head="priority: 70")
    decision = first(graph, event={"total": 5})
    (want,) = decision.wants
    assert (want.wish, want.channel, want.message, want.topic, want.marketing) == (0, "sms", "hello", "care", True)
    assert (want.priority, want.due_at, want.send_by) == (70, START, START + 24 * HOUR)
    assert want.extra == {"tone": "warm"}
    assert want.enrollment.event == {"total": 5}
    (move,) = decision.moves
    assert (move.step, move.due_at) == ("send-hello", None)  # only the message's outcome moves it
    assert [trace.rule for trace in decision.traces] == [Rule.sends]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"person": person(addresses={"email": "a@example.com"})}, "unreachable"),
        ({"consents": consent("email")}, "no_consent"),
        ({"consents": (*consent("email"), *consent("sms", granted=False))}, "no_consent"),
        ({"suppressed": frozenset({"sms"})}, "suppressed"),
    ],
)
def test_a_wish_that_cannot_reach_the_person_gives_way_to_the_next(change: dict[str, Any], rule: str) -> None:
    decision = first(sending(), known=state(**change))
    (want,) = decision.wants
    assert (want.wish, want.channel) == (1, "email")
    alone = first(sending(via="sms"), known=state(**change))
    (row,) = alone.unsent
    assert (row.rule, row.state, row.wish) == (Rule(rule), MessageState.suppressed, 0)
    assert stands(alone) == ("unreachable", "11-22 10:00")


def test_a_channel_without_a_text_or_a_provider_is_out_of_reach() -> None:
    graph = sending()
    unwritten = rules_for(graph, texts={"hello": frozenset({"email"})})
    assert first(graph, rules=unwritten).wants[0].channel == "email"
    no_provider = rules_for(graph, policy=policy(channels=("email",)))
    assert first(graph, rules=no_provider).wants[0].channel == "email"


def test_when_nothing_can_go_one_row_tells_every_wish_and_its_reason() -> None:
    known = state(
        person=person(addresses={"sms": "1", "push": "2"}), consents=consent("push"), suppressed=frozenset({"push"})
    )
    decision = first(sending(via="[email, sms, push]"), known=known)
    (row,) = decision.unsent
    assert (row.wish, row.channel, row.rule) == (0, "email", Rule.unreachable)
    assert row.sentence == (
        "email: no address; sms: no consent to care by sms; push: the address for push is on the suppression list"
    )
    assert [wish["rule"] for wish in row.detail["wishes"]] == ["unreachable", "no_consent", "suppressed"]
    (trace,) = [trace for trace in decision.traces if trace.rule is Rule.unreachable]
    assert (trace.file, trace.line) == ("journeys/plan.yaml", 5)
    assert decision.wants == ()


def test_what_keeps_several_channels_from_going_is_said_once() -> None:
    known = state(person=person(addresses={"sms": "1"}), consents=())
    (row,) = first(sending(via="[email, sms, push]"), known=known).unsent
    assert row.sentence == "email, push: no address; sms: no consent to care by sms"
    assert [wish["channel"] for wish in row.detail["wishes"]] == ["email", "sms", "push"]


# --- quiet hours and the deadline ------------------------------------------------------------------------------------


def at_night(graph: Graph, now: str, arrived: str = "11-22 22:00", **about: Any) -> Decision:
    rules = rules_for(graph, policy=policy(quiet_hours=NIGHT, **about))
    standing = way(graph, step="send-hello", arrived_at=at(arrived), due_at=at(arrived), entered_at=at(arrived))
    return decide(state(standing), rules, at(now))


def test_a_closed_window_is_waited_for_rather_than_taking_a_wish_that_could_go_now() -> None:
    decision = at_night(sending(), "11-22 22:00")
    assert (decision.wants, decision.unsent) == ((), ())
    assert shown(decision.moves[0].due_at) == "11-23 08:00"
    (trace,) = decision.traces
    assert trace.rule is Rule.deferred
    assert trace.sentence == "held until 2026-11-23 08:00 Asia/Shanghai: quiet hours of sms"


def test_at_the_opening_it_goes_and_that_is_the_plans_instant() -> None:
    (want,) = at_night(sending(), "11-23 08:00").wants
    assert (want.channel, shown(want.due_at)) == ("sms", "11-23 08:00")


def test_an_outage_over_the_opening_does_not_change_the_plans_instant() -> None:
    (want,) = at_night(sending(), "11-23 11:30").wants
    assert shown(want.due_at) == "11-23 08:00"


def test_who_was_due_by_day_and_is_looked_at_by_night_waits_for_the_morning_with_the_instant_of_the_plan() -> None:
    late = at_night(sending(), "11-22 23:00", arrived="11-22 20:30")
    assert shown(late.moves[0].due_at) == "11-23 08:00"
    (want,) = at_night(sending(), "11-23 08:00", arrived="11-22 20:30").wants
    assert shown(want.due_at) == "11-22 20:30"


def test_a_window_that_opens_too_late_leaves_the_next_wish() -> None:
    decision = at_night(sending(more="    give_up_after: 6h"), "11-22 22:00")
    assert decision.wants[0].channel == "email"
    assert decision.wants[0].send_by == at("11-23 04:00")


def test_a_window_that_opens_too_late_for_every_wish_is_late_at_once() -> None:
    decision = at_night(sending(via="[sms, push]", more="    give_up_after: 6h"), "11-22 22:00")
    (row,) = decision.unsent
    assert (row.rule, row.state) == (Rule.late, MessageState.expired)
    assert (
        "quiet hours of sms until 2026-11-23 08:00 Asia/Shanghai, and it has to go by 2026-11-23 04:00" in row.sentence
    )
    assert stands(decision) == ("late", "11-22 22:00")


def test_the_deadline_is_never_after_the_plans_end() -> None:
    graph = sending(head="ends_after: 8h")
    assert at_night(graph, "11-22 22:00").wants[0].send_by == at("11-23 06:00")


def test_an_opening_at_the_very_deadline_is_in_time() -> None:
    graph = sending(via="sms", more="    give_up_after: 10h")
    assert shown(at_night(graph, "11-22 22:00").moves[0].due_at) == "11-23 08:00"
    assert at_night(graph, "11-23 08:00").wants[0].channel == "sms"


def test_a_journey_may_be_stricter_than_the_shop() -> None:
    graph = sending(via="email", head='quiet_hours: {email: "20:00-09:00"}')
    assert shown(at_night(graph, "11-22 22:00").moves[0].due_at) == "11-23 09:00"


def test_a_transactional_message_knows_no_quiet_hours_and_needs_no_consent() -> None:
    graph = sending(via="sms", more="    topic: orders")
    rules = rules_for(graph, policy=policy(quiet_hours=NIGHT, caps=(cap(1, "day"),), least_gap=9 * HOUR))
    standing = way(graph, arrived_at=at("11-22 22:00"), entered_at=at("11-22 22:00"))
    known = state(standing, consents=(), said=(said(counts_at=at("11-22 21:59")),))
    (want,) = decide(known, rules, at("11-22 22:00")).wants
    assert (want.topic, want.marketing) == ("orders", False)


@pytest.mark.parametrize(
    "change",
    [
        {"consents": consent("sms", topic="orders", granted=False)},
        {"consents": consent("sms", granted=False)},
        {"suppressed": frozenset({"sms"})},
    ],
)
def test_a_transactional_message_obeys_an_opt_out_and_the_suppression_list(change: dict[str, Any]) -> None:
    graph = sending(via="sms", more="    topic: orders")
    assert stands(first(graph, known=state(**change)))[0] == "unreachable"


# --- lateness --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hours", "outcome"), [(0, "wants"), (12, "wants"), (12.01, "late"), (24.5, "late"), (1000, "late")]
)
def test_what_was_due_too_long_ago_is_recorded_as_late(hours: float, outcome: str) -> None:
    decision = first(sending(via="email"), hours)
    if outcome == "wants":
        assert decision.wants[0].due_at == START
    else:
        (row,) = decision.unsent
        assert (row.rule, row.state) == (Rule.late, MessageState.expired)
        assert stands(decision) == ("late", "11-22 10:00")  # the plan is not stretched


def test_a_journey_sets_its_own_patience() -> None:
    graph = sending(via="email", head="max_lateness: 1h")
    assert first(graph, 1).wants
    assert first(graph, 1.01).unsent[0].sentence == (
        "email: it was due at 2026-11-22 10:00 Asia/Shanghai, more than 1h before it could go"
    )


def test_lateness_counts_from_the_instant_it_was_allowed_to_go() -> None:
    assert at_night(sending(via="sms"), "11-23 20:00").wants
    assert at_night(sending(via="sms"), "11-23 20:01").unsent[0].rule is Rule.late


def test_what_would_be_too_late_at_its_opening_is_not_held_for_it() -> None:
    decision = at_night(sending(via="sms", more="    give_up_after: 2d"), "11-22 23:00", arrived="11-22 19:00")
    assert decision.unsent[0].rule is Rule.late  # the morning is 13 hours after 19:00


# --- what became of a message ----------------------------------------------------------------------------------------


def queued(graph: Graph, **rules: Any) -> World:
    """Someone whose first wish was queued at START."""
    world = World(state(way(graph)), rules_for(graph, **rules), START)
    world.step()
    return world


@pytest.mark.parametrize(
    ("outcome", "reason", "step"),
    [
        (MessageState.accepted, None, "sent"),
        (MessageState.delivered, None, "sent"),
        (MessageState.bounced, None, "sent"),
        (MessageState.complained, None, "sent"),
        (MessageState.unknown, None, "sent"),
        (MessageState.rejected, None, "failed"),
        (MessageState.dead, None, "failed"),
        (MessageState.expired, "late", "late"),
        (MessageState.cancelled, "displaced", "capped"),
        (MessageState.suppressed, "capped", "capped"),
        (MessageState.suppressed, "no_consent", "unreachable"),
        (MessageState.suppressed, "suppressed", "unreachable"),
        (MessageState.suppressed, None, "unreachable"),
    ],
)
def test_the_outcome_of_the_message_is_the_outcome_of_the_step(
    outcome: MessageState, reason: str | None, step: str
) -> None:
    world = queued(sending(via="sms"))
    world.now += 3 * HOUR
    world.settle_message(1, outcome, reason)
    decision = world.step()
    assert decision.moves[0].step == step
    assert decision.unsent == ()  # the message has its row already
    if step == "sent":
        assert shown(decision.moves[0].arrived_at) == "11-22 10:00"  # when it was due


@pytest.mark.parametrize(
    "outcome", [MessageState.sending, MessageState.retry, MessageState.repeat, MessageState.queued]
)
def test_a_message_on_its_way_keeps_the_person_on_the_step(outcome: MessageState) -> None:
    world = queued(sending())
    world.now += 3 * HOUR
    world.settle_message(1, outcome)
    (move,) = world.step().moves
    assert (move.step, move.due_at) == ("send-hello", None)


@pytest.mark.parametrize(
    ("outcome", "reason", "next_wish"),
    [
        (MessageState.rejected, None, True),
        (MessageState.dead, None, True),
        (MessageState.suppressed, "no_consent", True),
        (MessageState.suppressed, "suppressed", True),
        (MessageState.suppressed, "capped", False),
        (MessageState.cancelled, "displaced", False),
        (MessageState.expired, "late", False),
        (MessageState.unknown, None, False),  # never an unknown: it may have arrived
        (MessageState.bounced, None, False),
    ],
)
def test_the_next_wish_is_tried_only_after_proof_that_the_first_did_not_go(
    outcome: MessageState, reason: str | None, next_wish: bool
) -> None:
    world = queued(sending())
    world.now += HOUR
    world.settle_message(1, outcome, reason)
    world.now += HOUR
    wants = world.step().wants
    assert [(want.wish, want.channel, shown(want.due_at)) for want in wants] == (
        [(1, "email", "11-22 11:00")] if next_wish else []
    )


def test_all_wishes_of_one_touch_share_its_deadline() -> None:
    world = queued(sending(more="    give_up_after: 2h"))
    world.now += 1.5 * HOUR
    world.settle_message(1, MessageState.rejected)
    (want,) = world.step().wants
    assert want.send_by == START + 2 * HOUR


def test_no_wish_is_tried_after_the_deadline() -> None:
    world = queued(sending(more="    give_up_after: 2h"))
    world.now += 3 * HOUR
    world.settle_message(1, MessageState.rejected)
    decision = world.step()
    assert decision.wants == ()
    assert decision.moves[0].step == "failed"
    (row,) = decision.unsent  # the wish that could not be tried has its row too
    assert (row.wish, row.channel, row.rule) == (1, "email", Rule.late)


def test_when_every_wish_is_refused_by_its_provider_the_step_failed() -> None:
    world = queued(sending())
    world.provider = lambda one: MessageState.rejected
    world.settle()
    assert world.state.enrollments[0].step == "failed"
    assert [(one.wish, one.channel) for one in world.state.said] == [(0, "sms"), (1, "email")]


def test_the_row_of_a_wish_that_is_capped_after_a_refusal_names_the_cap_too() -> None:
    world = queued(sending(), policy=policy(caps=(cap(1, "week", "email"),)))
    world.settle_message(1, MessageState.rejected)
    world.state = replace(world.state, said=(*world.state.said, said(9, channel="email")))
    (row,) = world.step().unsent
    assert (row.channel, row.rule) == ("email", Rule.capped)
    assert (row.detail["cap"], row.detail["filled_by"]) == ("email: 1 per week", [9])


def test_a_touch_refused_by_its_provider_does_not_stand_in_the_way_of_its_own_next_wish() -> None:
    world = queued(sending(), policy=policy(caps=(cap(1, "day"),), least_gap=5 * HOUR))
    world.provider = lambda one: MessageState.rejected if one.channel == "sms" else MessageState.accepted
    world.settle()
    assert world.ledger == ["11-22 10:00 hello by sms: rejected", "11-22 10:00 hello by email"]


# --- held out --------------------------------------------------------------------------------------------------------


def test_who_is_held_out_walks_on_at_the_instant_the_message_would_have_gone() -> None:
    graph = sending(via="sms")
    rules = rules_for(graph, policy=policy(quiet_hours=NIGHT))
    held = way(graph, holdout=True, entered_at=at("11-22 22:00"), arrived_at=at("11-22 22:00"))
    night = decide(state(held), rules, at("11-22 22:00"))
    assert shown(night.moves[0].due_at) == "11-23 08:00"
    morning = decide(state(held), rules, at("11-23 09:00"))
    assert (morning.wants, morning.unsent) == ((), ())
    assert stands(morning) == ("sent", "11-23 08:00")
    assert Rule.holdout in [trace.rule for trace in morning.traces]


def test_who_is_held_out_neither_fills_a_cap_nor_is_stopped_by_one() -> None:
    graph = sending(via="email")
    rules = rules_for(graph, policy=policy(caps=(cap(1, "day"),)))
    known = state(way(graph, 7, holdout=True), way(graph, 8))
    decision = decide(known, rules, START)
    assert [want.enrollment.id for want in decision.wants] == [8]
    full = replace(known, said=(said(),), enrollments=(way(graph, 7, holdout=True),))
    assert decide(full, rules, START).moves[0].step == "sent"


def test_who_is_held_out_and_out_of_reach_leaves_no_row() -> None:
    decision = first(sending(via="sms"), known=state(consents=()), holdout=True)
    assert decision.unsent == ()
    assert stands(decision)[0] == "unreachable"
    assert {trace.rule for trace in decision.traces} == {Rule.holdout, Rule.waits}


def test_what_belongs_to_a_contract_is_sent_to_those_held_out_too() -> None:
    graph = sending(via="email", more="    topic: orders")
    assert [want.topic for want in first(graph, holdout=True).wants] == ["orders"]
    missed = first(graph, known=state(suppressed=frozenset({"email"})), holdout=True)
    assert [row.rule for row in missed.unsent] == [Rule.suppressed]


# --- texts of the rows -----------------------------------------------------------------------------------------------


def test_no_row_and_no_trace_shows_an_address() -> None:
    known = state(consents=(), suppressed=frozenset({"push"}))
    decision = first(sending(via="[wechat, push, sms, email]"), known=known)
    shown_texts = repr(decision.unsent) + repr(decision.traces)
    assert all(address not in shown_texts for address in known.person.addresses.values())
    assert len(CHANNELS) == len(decision.unsent[0].detail["wishes"])


def test_messages_of_other_people_at_the_same_address_are_never_taken_for_this_ways() -> None:
    graph = sending(via="email")
    theirs = said(enrollment_id=7, step="send-hello", theirs=True, state=MessageState.rejected)
    assert first(graph, known=state(said=(theirs,))).wants

"""At the door: what was queued is asked once more, with what is known now."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from engine.decide.decision import Rule
from engine.decide.door import Hold, Leave, Settle, Verdict, at_the_door
from engine.decide.outcome import DeliveryKind, MessageState
from engine.decide.state import CustomerState, Said
from engine.journey.quantities import parse_window
from engine.values import replace
from tests.decide.world import at, cap, consent, journey, policy, rules_for, said, shown, state

NIGHT = {"sms": parse_window("21:00-08:00")}


def queued(**about: Any) -> Said:
    return said(
        channel="sms",
        journey="plan",
        state=MessageState.queued,
        begun=False,
        counts_at=at("11-22 20:59"),
        send_by=at("11-23 12:00"),
        **about,
    )


def judged(now: str, known: CustomerState | None = None, head: str = "", **about: Any) -> Verdict:
    graph = journey(f"{head}\nsteps: [{{send: hello, via: sms}}]")
    paused = frozenset(about.pop("paused", ()))
    rules = rules_for(graph, policy=policy(quiet_hours=NIGHT, caps=(cap(1, "day"),)), paused=paused)
    return at_the_door(queued(**about), known or state(), rules, at(now))


@pytest.mark.parametrize(
    ("now", "change", "kind", "rule"),
    [
        ("11-23 12:01", {}, DeliveryKind.expired, Rule.late),
        ("11-23 10:00", {"suppressed": frozenset({"sms"})}, DeliveryKind.suppressed, Rule.suppressed),
        ("11-23 10:00", {"consents": ()}, DeliveryKind.suppressed, Rule.no_consent),
        ("11-23 10:00", {"consents": consent("sms", granted=False)}, DeliveryKind.suppressed, Rule.no_consent),
    ],
)
def test_what_may_not_go_any_more_ends_with_its_reason(
    now: str, change: dict[str, Any], kind: DeliveryKind, rule: Rule
) -> None:
    verdict = judged(now, replace(state(), **change))
    assert isinstance(verdict, Settle)
    assert (verdict.kind, verdict.rule) == (kind, rule)
    assert verdict.sentence


def test_a_pause_holds_what_was_queued_under_the_name_of_before() -> None:
    graph = journey("quiet_hours: {sms: 20:00-10:00}\nsteps: [{send: hello, via: sms}]", "plan_b")
    rules = rules_for(graph, former={"plan": "plan_b"})
    stopped = at_the_door(queued(), state(), replace(rules, paused=frozenset({"plan_b"})), at("11-23 10:30"))
    assert isinstance(stopped, Hold)
    assert stopped.sentence == "journey plan_b is paused"
    closed = at_the_door(queued(), state(), rules, at("11-23 09:00"))
    assert isinstance(closed, Hold)
    assert shown(closed.until) == "11-23 10:00"


@pytest.mark.parametrize("now", ["11-22 20:59", "11-23 08:00", "11-23 12:00"])
def test_what_may_go_leaves(now: str) -> None:
    assert judged(now) == Leave()


def test_quiet_hours_hold_a_message_until_they_are_over() -> None:
    verdict = judged("11-22 21:00")
    assert isinstance(verdict, Hold)
    assert (shown(verdict.until), verdict.rule) == ("11-23 08:00", Rule.deferred)
    assert verdict.sentence == "held until 2026-11-23 08:00 Asia/Shanghai: quiet hours of sms"


def test_the_journeys_own_quiet_hours_hold_it_too() -> None:
    verdict = judged("11-23 08:30", head='quiet_hours: {sms: "20:00-10:00"}')
    assert isinstance(verdict, Hold)
    assert shown(verdict.until) == "11-23 10:00"


def test_an_opening_at_the_very_deadline_is_waited_for() -> None:
    assert isinstance(judged("11-22 21:00", head='quiet_hours: {sms: "20:00-12:00"}'), Hold)


def test_quiet_hours_that_end_too_late_are_the_end_of_it() -> None:
    verdict = judged("11-22 21:00", head='quiet_hours: {sms: "20:00-13:00"}')
    assert isinstance(verdict, Settle)
    assert (verdict.kind, verdict.rule) == (DeliveryKind.expired, Rule.late)


def test_a_full_cap_ends_it_and_is_asked_last() -> None:
    known = state(said=(said(7, counts_at=at("11-23 09:00")), queued(id=8)))
    verdict = judged("11-23 10:00", known)
    assert isinstance(verdict, Settle)
    assert (verdict.kind, verdict.rule) == (DeliveryKind.suppressed, Rule.capped)
    assert verdict.sentence == "the cap 1 per day is full: hello (other)"
    assert verdict.detail["filled_by"] == [7]
    assert isinstance(judged("11-22 23:00", known), Hold)


def test_the_least_gap_holds_a_message_and_one_that_cannot_wait_ends() -> None:
    graph = journey("steps: [{send: hello, via: sms}]")
    rules = rules_for(graph, policy=policy(least_gap=timedelta(hours=2)))
    known = state(said=(said(7, counts_at=at("11-23 09:00")),))
    verdict = at_the_door(queued(), known, rules, at("11-23 09:30"))
    assert isinstance(verdict, Hold)
    assert verdict.sentence == "held until 2026-11-23 11:00 Asia/Shanghai: the least gap between two messages"
    hasty = replace(queued(), send_by=at("11-23 10:00"))
    verdict = at_the_door(hasty, known, rules, at("11-23 09:30"))
    assert isinstance(verdict, Settle)
    assert verdict.rule is Rule.capped


def test_a_paused_journey_holds_its_messages_and_no_others() -> None:
    verdict = judged("11-23 10:00", paused=["plan"])
    assert isinstance(verdict, Hold)
    assert verdict.rule is Rule.paused
    assert verdict.until > at("11-23 10:00")
    assert judged("11-23 10:00", paused=["another"]) == Leave()


def test_a_transactional_message_knows_neither_quiet_hours_nor_caps() -> None:
    known = state(consents=(), said=(said(7, counts_at=at("11-22 22:00")),))
    assert judged("11-22 23:00", known, marketing=False, topic="orders") == Leave()
    assert isinstance(judged("11-23 12:01", known, marketing=False, topic="orders"), Settle)


def test_the_door_of_a_journey_nobody_enters_any_more_keeps_the_shops_hours() -> None:
    verdict = judged("11-22 21:00")
    gone = rules_for(policy=policy(quiet_hours=NIGHT))
    assert at_the_door(queued(), state(), gone, at("11-22 21:00")) == verdict

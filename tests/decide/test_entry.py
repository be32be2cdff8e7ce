"""Entering a journey: by event, crossing and wave; once, again, per order; held out; in stages."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from engine.audience.values import Happening
from engine.decide.decision import Rule, Trace
from engine.decide.entry import Moment, enter
from engine.decide.split import held_out_of_all, in_holdout, stage_of
from engine.decide.state import CustomerState, Enrolled
from engine.journey.graph import Graph
from engine.values import replace
from tests.decide.world import START, journey, person, policy, rules_for, state, way

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
STEPS = "steps: [{wait: 1d}]"
BY_ORDER = f"enter: {{event: Order Completed, where: {{total: {{at_least: 10}}}}}}\n{STEPS}"
BY_CROSSING = f"enter: {{segment: vip, crossing: in}}\n{STEPS}"
BY_WAVE = f'enter: {{every: month, on: 1, at: "10:00", segment: silent}}\n{STEPS}'


def order(when: datetime = START, received: datetime | None = None, **payload: Any) -> Happening:
    return Happening(1, "Order Completed", when, {"total": 50, "order_id": "o-1", **payload}, received or when)


def entering(
    text: str,
    trigger: Happening | Moment | datetime,
    known: CustomerState | None = None,
    now: datetime = START,
    **about: Any,
) -> tuple[Enrolled | None, Trace]:
    graph = journey(text)
    opens = Moment(trigger) if isinstance(trigger, datetime) else trigger
    return enter(graph, 1, known or state(), opens, 42, now, rules=rules_for(graph), **about)


def refused(result: tuple[Enrolled | None, Trace]) -> str:
    found, trace = result
    assert found is None
    assert (trace.rule, trace.enrollment_id, trace.file) == (Rule.not_entered, None, "journeys/plan.yaml")
    return trace.sentence


def test_an_event_opens_a_way_that_is_due_at_once_and_carries_its_payload() -> None:
    found, trace = entering(BY_ORDER, order(START - HOUR))
    assert found == Enrolled(
        id=42,
        customer_id=1,
        journey="plan",
        version_id=1,
        key="",
        entered_at=START - HOUR,
        holdout=False,
        step=None,
        visit=1,
        arrived_at=START - HOUR,
        due_at=START - HOUR,
        event={"total": 50, "order_id": "o-1"},
        event_at=START - HOUR,
    )
    assert (trace.rule, trace.enrollment_id, trace.line) == (Rule.entered, 42, 2)
    assert trace.sentence == "entered by Order Completed at 2026-11-22 09:00 Asia/Shanghai"


def test_an_event_that_where_does_not_ask_for_opens_nothing() -> None:
    assert refused(entering(BY_ORDER, order(total=9))) == "this Order Completed is not what `where` asks for"
    assert refused(entering(BY_ORDER, order(total="much"))) == "this Order Completed is not what `where` asks for"


def test_another_event_opens_nothing() -> None:
    other = replace(order(), name="Page Viewed")
    assert refused(entering(BY_ORDER, other)) == "it is entered by Order Completed, not by Page Viewed"
    assert refused(entering(BY_WAVE, other)) == "plan is not entered by events"


@pytest.mark.parametrize("text", [BY_CROSSING, BY_WAVE])
def test_a_crossing_and_a_wave_open_a_way_at_their_instant(text: str) -> None:
    found, _ = entering(text, START - HOUR)
    assert found is not None
    assert (found.entered_at, found.event, found.event_at) == (START - HOUR, {}, None)


@pytest.mark.parametrize(
    ("trigger", "now", "enters"),
    [
        (order(START - 12 * HOUR, START), START, True),
        (order(START - 13 * HOUR, START), START, False),  # an old event starts nothing
        (order(START - 13 * HOUR, START - 13 * HOUR), START, True),  # it came in time; we were late
        (START - 12 * HOUR, START, True),
        (START - 13 * HOUR, START, False),
    ],
)
def test_what_arrives_too_long_after_it_happened_starts_nothing(
    trigger: Happening | datetime, now: datetime, enters: bool
) -> None:
    result = entering(BY_ORDER if isinstance(trigger, Happening) else BY_WAVE, trigger, now=now)
    assert (result[0] is not None) is enters
    if not enters:
        assert refused(result) == "it was 2026-11-21 21:00 Asia/Shanghai, more than 12h before it was known"


# --- again -----------------------------------------------------------------------------------------------------------

GRAPH = journey(BY_ORDER)


def been(days_ago: float, active: bool = False, **about: Any) -> CustomerState:
    when = START - timedelta(days=days_ago)
    return state(way(GRAPH, entered_at=when, active=active, **about))


@pytest.mark.parametrize(
    ("again", "known", "sentence"),
    [
        ("never", state(), None),
        ("never", been(100), "entered before, at 2026-08-14 10:00 Asia/Shanghai, and does so once only"),
        ("never", been(1, active=True), "is already inside"),
        ("always", been(1), None),
        ("always", been(1, active=True), "is already inside"),
        ("{after: 30d}", been(30), None),  # from entry
        ("{after: 30d}", been(29), "entered at 2026-10-24 10:00 Asia/Shanghai, may again 30d later"),
        ("{after: 30d}", been(31, active=True), "is already inside"),
        ("{per: order_id}", been(1, key="o-1"), "entered before for order_id o-1"),
        ("{per: order_id}", been(1, active=True, key="o-1"), "entered before for order_id o-1"),
        ("{per: order_id}", been(1, active=True, key="o-2"), None),  # another order
    ],
)
def test_again_says_who_may_come_back(again: str, known: CustomerState, sentence: str | None) -> None:
    result = entering(f"again: {again}\n{BY_ORDER}", order(), known)
    if sentence is None:
        assert result[0] is not None
    else:
        assert refused(result) == sentence


def test_a_moment_with_a_key_is_entered_once_whatever_again_allows() -> None:
    text = f"again: always\n{BY_WAVE}"
    before = state(way(journey(text), active=False, key="2026-12-01T10:00"))
    assert refused(entering(text, Moment(START, "2026-12-01T10:00"), before)) == "entered before for 2026-12-01T10:00"
    found, _ = entering(text, Moment(START, "2027-01-01T10:00"), before)
    assert found is not None
    assert found.key == "2027-01-01T10:00"


@pytest.mark.parametrize(
    ("again", "known", "enters"),
    [
        ("", been(400, key="2025-11-22"), True),  # each date once, however often
        ("", been(1, key="2026-11-22"), False),
        ("again: never\n", been(400, key="2025-11-22"), False),
        ("again: {after: 30d}\n", been(20, key="2025-11-22"), False),
        ("again: {after: 30d}\n", been(30, key="2025-11-22"), True),
    ],
)
def test_by_a_date_one_enters_once_for_each_unless_again_says_otherwise(
    again: str, known: CustomerState, enters: bool
) -> None:
    found, _ = entering(f"{again}enter: {{date: birthday, yearly: true}}\n{STEPS}", Moment(START, "2026-11-22"), known)
    assert (found is not None) is enters


def test_never_is_what_holds_when_nothing_is_written() -> None:
    assert refused(entering(BY_ORDER, order(), been(100))).endswith("once only")


def test_other_journeys_do_not_matter_to_re_entry() -> None:
    known = state(way(journey(BY_ORDER, "another")))
    assert entering(BY_ORDER, order(), known)[0] is not None


@pytest.mark.parametrize(("value", "key"), [("o-9", "o-9"), (1234, "1234")])
def test_the_key_of_a_way_is_the_text_of_what_per_names(value: object, key: str) -> None:
    found, _ = entering(f"again: {{per: order_id}}\n{BY_ORDER}", order(order_id=value))
    assert found is not None
    assert found.key == key


def test_an_event_without_the_key_cannot_open_a_way_per_key() -> None:
    lost = Happening(1, "Order Completed", START, {"total": 50}, START)
    sentence = "the event has no order_id, so it cannot be told from others"
    assert refused(entering(f"again: {{per: order_id}}\n{BY_ORDER}", lost)) == sentence


# --- holdout and stages ----------------------------------------------------------------------------------------------


def people(number: int = 300) -> list[CustomerState]:
    return [replace(state(), person=person(external_id=f"c-{index}")) for index in range(number)]


def test_the_held_out_are_the_same_people_every_time() -> None:
    graph: Graph = journey(f"holdout: 20%\n{BY_ORDER}")
    held = 0
    for known in people():
        found, trace = enter(graph, 1, known, order(), 42, START, rules=rules_for(graph))
        assert found is not None
        assert found.holdout is in_holdout("plan", known.person.external_id, graph.head.holdout)
        assert ("held out" in trace.sentence) is found.holdout
        held += found.holdout
    assert 30 < held < 90


def test_who_is_held_out_of_all_marketing_is_so_in_every_journey_and_no_other() -> None:
    share = Decimal("0.2")
    one, other = journey(BY_ORDER, "one"), journey(f"holdout: 10%\n{BY_ORDER}", "other")
    care = journey(f"topic: orders\n{BY_ORDER}", "care")
    rules = rules_for(one, other, care, policy=policy(holdout=share))
    held: dict[str, set[str]] = {"one": set(), "other": set(), "care": set()}
    for known in people():
        for number, graph in rules.graphs.items():
            found, _ = enter(graph, number, known, order(), 42, START, rules=rules)
            assert found is not None
            if found.holdout:
                held[graph.journey].add(known.person.external_id)
    names = [known.person.external_id for known in people()]
    of_all = {name for name in names if held_out_of_all(name, share)}
    assert 30 < len(of_all) < 90
    assert held["one"] == of_all
    assert held["other"] == of_all | {name for name in names if in_holdout("other", name, Decimal("0.1"))}
    assert held["care"] == set()
    assert of_all < {name for name in names if held_out_of_all(name, Decimal("0.3"))}


def test_nobody_is_held_out_of_what_belongs_to_a_contract() -> None:
    text = f"topic: orders\nholdout: 50%\n{BY_ORDER}"
    assert not any(found.holdout for known in people(40) if (found := entering(text, order(), known)[0]))


def test_a_stage_lets_its_people_in_and_those_of_the_stages_before() -> None:
    graph = journey(f"rollout: [5%, 25%, 100%]\n{BY_WAVE}")
    inside = []
    for stage in (0, 1, 2, None):
        entered = [
            known.person.external_id
            for known in people()
            if enter(graph, 1, known, Moment(START), 42, START, rules=rules_for(graph), stage=stage)[0]
        ]
        assert all(stage is None or (stage_of("plan", one, graph.head.rollout) or 0) <= stage for one in entered)
        inside.append(set(entered))
    assert inside[0] < inside[1] < inside[2] == inside[3]
    later = next(known for known in people() if known.person.external_id not in inside[0])
    result = enter(graph, 1, later, Moment(START), 42, START, rules=rules_for(graph), stage=0)
    assert refused(result) == "belongs to a later stage of the roll-out; open is 1 of 3"

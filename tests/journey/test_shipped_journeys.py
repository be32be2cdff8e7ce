"""The journeys that ship: read without a finding, and flattened into exactly the plan that is drawn here."""

from __future__ import annotations

import csv
from datetime import time as clock_time
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from engine.journey.catalog import Catalog, load_catalog
from engine.journey.conditions import Field, FieldKind, Test, Word
from engine.journey.enter import ByEvent, BySegment, ByWave
from engine.journey.graph import Graph
from engine.journey.source import read_file
from engine.journey.steps import SendStep, TaskStep, WaitForStep

SHIPPED = Path(__file__).parents[2] / "journeys"
TRAITS = frozenset({"churn_stage", "churn_reason", "value_tier", "complaints_180d", "orders_12m"})

# step -> what comes after it; an outcome stands in front of its own way, "-" is the end
GOLDEN = """
wait-6h                    : send-order_on_its_way
send-order_on_its_way      : wait_for-parcel_delivered
wait_for-parcel_delivered  : otherwise=send-parcel_is_coming wait-until-10:00
send-parcel_is_coming      : exit-not_delivered_yet
exit-not_delivered_yet     : -
wait-until-10:00           : send-how_to_use
send-how_to_use            : wait-until-20:00
wait-until-20:00           : branch
branch                     : case-1=task-care_call case-2=send-core_thanks case-3=send-goes_well_with \
otherwise=split-second_order_voucher -
task-care_call             : satisfied=- unhappy=send-apology -
send-apology               : -
send-core_thanks           : -
send-goes_well_with        : -
split-second_order_voucher : plain=- voucher=give-second_order -
give-second_order          : send-voucher
send-voucher               : -
"""
SILENT = """
call-1                     : case-1=call-1-weekend otherwise=call-1-weekday back-after-call-1
call-1-weekend             : back-after-call-1
call-1-weekday             : back-after-call-1
back-after-call-1          : then=send-still_thinking call-2
send-still_thinking        : exit-came_back
exit-came_back             : -
call-2                     : case-1=give-come_back case-2=send-we_fixed_it case-3=send-whats_new \
otherwise=send-what_you_missed wait-7d
give-come_back             : send-come_back_half_price
send-come_back_half_price  : wait-7d
send-we_fixed_it           : task-care_call
task-care_call             : reached=wait-7d no_answer=wait-7d wait-7d
send-whats_new             : wait-7d
send-what_you_missed       : wait-7d
wait-7d                    : send-why_did_you_leave
send-why_did_you_leave     : -
"""
DOUBLE = """
send-confirm_subscription       : capped=exit-asked_too_often unreachable=no-way wait_for-subscription_confirmed
exit-asked_too_often            : -
no-way                          : -
wait_for-subscription_confirmed : then=exit-confirmed send-confirm_reminder
exit-confirmed                  : -
send-confirm_reminder           : last-chance
last-chance                     : then=confirmed-late exit-expired
confirmed-late                  : -
exit-expired                    : -
"""
VIP = """
send-vip_letter            : wait-1d
wait-1d                    : task-personal_call
task-personal_call         : reached=give-vip_pack no_answer=wait-2d overdue=exit-nobody_called outcome
give-vip_pack              : send-vip_pack
send-vip_pack              : outcome
wait-2d                    : second-call
second-call                : reached=pack-2 no_answer=exit-unreachable outcome
pack-2                     : send-pack-2
send-pack-2                : outcome
exit-unreachable           : -
exit-nobody_called         : -
outcome                    : otherwise=task-close_case -
task-close_case            : noted=- -
"""


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog(SHIPPED, TRAITS)


def drawn(graph: Graph) -> list[str]:
    """A graph the way the plans above are drawn."""
    lines = []
    for node in graph.nodes.values():
        ways = [f"{outcome}={target or '-'}" for outcome, target in node.outcomes.items()]
        lines.append(f"{node.id} : {' '.join([*ways, node.next or '-'])}")
    return lines


def test_all_are_read_without_a_finding(catalog: Catalog) -> None:
    assert catalog.problems == ()
    assert sorted(catalog.graphs) == ["double_opt_in", "golden_72_hours", "silent_wave", "vip_concierge"]


@pytest.mark.parametrize(
    ("name", "plan"),
    [("double_opt_in", DOUBLE), ("golden_72_hours", GOLDEN), ("silent_wave", SILENT), ("vip_concierge", VIP)],
)
def test_the_plan_is_walked_as_it_is_drawn(catalog: Catalog, name: str, plan: str) -> None:
    expected = [" ".join(line.split()) for line in plan.strip().splitlines()]
    assert drawn(catalog.graphs[name]) == expected


def test_each_begins_with_the_line_that_makes_editors_complete_it() -> None:
    for path in SHIPPED.glob("*.yaml"):
        if path.name != "audience.yaml":
            assert path.read_text("utf-8").startswith("# yaml-language-server: $schema=journey.schema.json\n")


def test_the_golden_head_means_what_it_says(catalog: Catalog) -> None:
    head = catalog.graphs["golden_72_hours"].head
    total = Test(Field(FieldKind.event, "total"), Word.at_least, Decimal(1))
    assert head.enter == ByEvent(event="Order Completed", where=total)
    assert head.again.per == "order_id"
    assert [rule.event for rule in head.leave] == ["Order Refunded", "Order Cancelled"]
    assert head.ends_after == timedelta(hours=72)
    assert head.goal is not None
    assert (head.goal.event, head.goal.within, head.goal.value) == ("Order Completed", timedelta(days=30), "total")
    assert head.holdout == Decimal("0.05")
    assert head.priority == 50


def test_the_wave_and_the_crossing_mean_what_they_say(catalog: Catalog) -> None:
    wave, crossing = (catalog.graphs[name].head for name in ("silent_wave", "vip_concierge"))
    assert wave.enter == ByWave(every="month", on=1, at=clock_time(10), zone="person", segment="silent")
    assert wave.rollout == (Decimal("0.05"), Decimal("0.25"), Decimal(1))
    assert wave.approve is not None
    assert (wave.approve.by, wave.approve.within) == ("retention_lead", timedelta(hours=24))
    assert crossing.enter == BySegment(segment="vip_at_risk", crossing="in")
    assert (crossing.again.after, crossing.priority) == (timedelta(days=60), 90)


def test_steps_carry_what_is_written(catalog: Catalog) -> None:
    sending = catalog.graphs["golden_72_hours"].nodes["send-order_on_its_way"].step
    assert isinstance(sending, SendStep)
    assert (sending.via, sending.give_up_after) == (("wechat", "push", "sms", "email"), timedelta(hours=6))
    waiting = catalog.graphs["silent_wave"].nodes["back-after-call-1"].step
    assert isinstance(waiting, WaitForStep)
    assert [(one.event, one.message, one.is_) for one in waiting.wait_for] == [
        ("Page Viewed", None, None),
        (None, "miss_you", "clicked"),
    ]
    task = catalog.graphs["vip_concierge"].nodes["task-personal_call"].step
    assert isinstance(task, TaskStep)
    assert task.escalate is not None
    assert (task.assign, task.escalate.to, task.possible) == (
        "owner",
        "concierge_lead",
        ("reached", "no_answer", "overdue"),
    )


def test_what_is_not_named_falls_through(catalog: Catalog) -> None:
    golden = catalog.graphs["golden_72_hours"]
    assert golden.follow("send-order_on_its_way", "unreachable") == "wait_for-parcel_delivered"
    assert golden.follow("wait_for-parcel_delivered", "then") == "wait-until-10:00"
    assert golden.follow("branch", "case-2") == "send-core_thanks"
    assert golden.follow("task-care_call", "overdue") is None
    assert golden.follow("wait-6h") == "send-order_on_its_way"


def test_every_step_knows_its_line(catalog: Catalog) -> None:
    golden = catalog.graphs["golden_72_hours"]
    lines = (SHIPPED / "golden_72_hours.yaml").read_text("utf-8").splitlines()
    for node in golden.nodes.values():
        written = lines[node.position.line - 1][node.position.column - 1 :]
        assert written.lstrip("{").startswith((node.verb, f"id: {node.id}"))
    assert [lines[one.line - 1][one.column - 1 :][:21] for one in golden.leave_positions] == [
        "{event: Order Refunde",
        "{event: Order Cancell",
    ]
    assert lines[golden.enter_position.line - 1].startswith("enter:")


def test_everything_they_speak_of_is_gathered(catalog: Catalog) -> None:
    double, golden, silent, vip = (catalog.graphs[name].names for name in sorted(catalog.graphs))
    assert double.events == {"Subscription Requested", "Subscription Confirmed"}
    assert double.messages == {"confirm_subscription", "confirm_reminder"}
    assert golden.events == {"Order Completed", "Order Refunded", "Order Cancelled", "Parcel Delivered"}
    assert golden.traits == {"complaints_180d", "value_tier"}
    assert (golden.pools, golden.queues, golden.briefs) == ({"second_order"}, {"care"}, {"care_call"})
    assert silent.segments == {"silent"}
    assert silent.messages >= {"miss_you", "why_did_you_leave"}
    assert (vip.topics, vip.queues) == ({"care"}, {"concierge", "concierge_lead"})


def test_the_audience_holds_what_they_need() -> None:
    sourced = read_file(SHIPPED / "audience.yaml")
    assert sourced.problems == ()
    assert isinstance(sourced.value, dict)
    assert {"silent", "vip", "vip_at_risk"} <= set(sourced.value["segments"])
    assert set(sourced.value["pools"]) == {"second_order", "come_back", "vip_pack"}


@pytest.mark.parametrize("pool", ["second_order", "come_back", "vip_pack"])
def test_a_pool_holds_thousands_of_codes_each_once_and_plainly_made_up(pool: str) -> None:
    with (SHIPPED / "codes" / f"{pool}.csv").open(encoding="utf-8", newline="") as file:
        codes = [row["code"] for row in csv.DictReader(file)]
    assert len(codes) == len(set(codes)) >= 2_000
    assert all(code.startswith("SAMPLE") for code in codes)

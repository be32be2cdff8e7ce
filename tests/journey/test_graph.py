"""Ids, ways on and fingerprints: from the tree an author wrote to the graph people walk."""

from __future__ import annotations

import pytest

from engine.journey.catalog import read_journey
from engine.journey.graph import Graph

HEAD = "topic: care\nenter: {event: Order Completed}\n"


def graph_of(text: str, file: str = "plan.yaml", name: str = "plan") -> Graph:
    graph, problems = read_journey(text, file, name, frozenset({"value_tier"}))
    assert graph is not None, problems
    return graph


def steps(text: str) -> Graph:
    return graph_of(HEAD + "steps:\n" + text)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("{send: thanks, via: [sms]}", "send-thanks"),
        ("{wait: 6h}", "wait-6h"),
        ("{wait: 24 h}", "wait-24h"),
        ('{wait: {until: "8:00"}}', "wait-until-08:00"),
        ("{wait: {until: membership_expires_at, minus: 2d}}", "wait-until-membership_expires_at"),
        ("{wait_for: Parcel Delivered, within: 2d}", "wait_for-parcel_delivered"),
        ("{wait_for: [{event: Page Viewed}], within: 2d}", "wait_for-page_viewed"),
        ("{wait_for: [Page Viewed, Order Completed], within: 2d}", "wait_for"),
        ("{branch: [{if: {tier: gold}, then: []}]}", "branch"),
        ("{split: colour, variants: {red: 50%, blue: 50%}}", "split-colour"),
        ("{give: second_order}", "give-second_order"),
        ("{task: call, queue: care, due: 1d, outcomes: {done: []}}", "task-call"),
        ("{emit: Parcel Missed}", "emit-parcel_missed"),
        ("{start: winback}", "start-winback"),
        ("{update: {tags: {add: vip}}}", "update"),
        ("{update: {forget: tier}}", "update"),
        ("{approve: May we?, by: lead, within: 1d}", "approve"),
        ("{exit: came_back}", "exit-came_back"),
        ("{send: 生日, via: [sms]}", "send-生日"),
        ("{id: my-own, wait: 6h}", "my-own"),
    ],
)
def test_an_unwritten_id_is_the_verb_and_its_object(step: str, expected: str) -> None:
    assert list(steps(f"  - {step}\n").nodes) == [expected]


def test_the_answer_to_a_message_is_part_of_the_id() -> None:
    graph = steps("  - {send: thanks, via: sms}\n  - {wait_for: {message: thanks, is: clicked}, within: 2d}\n")
    assert list(graph.nodes) == ["send-thanks", "wait_for-thanks-clicked"]


def test_a_list_of_nothing_leads_on_and_so_does_what_is_not_written() -> None:
    graph = steps("  - {task: call, queue: care, due: 1d, outcomes: {done: []}}\n  - wait: 1h\n")
    assert graph.nodes["task-call"].outcomes == {"done": "wait-1h"}
    assert graph.follow("task-call", "overdue") == "wait-1h"


def test_nested_steps_come_back_to_the_step_after_the_outermost() -> None:
    graph = steps(
        "  - branch:\n"
        "      - if: {tier: gold}\n"
        "        then:\n"
        "          - id: inner\n"
        "            branch: [{if: {tier: black}, then: [{wait: 1h}]}]\n"
        "  - exit: done\n"
    )
    assert graph.follow("wait-1h") == "exit-done"
    assert graph.follow("inner", "otherwise") == "exit-done"
    assert graph.follow("exit-done") is None


def test_who_is_not_approved_never_comes_to_the_next_step() -> None:
    graph = steps(
        "  - {approve: May we?, by: lead, within: 1d, outcomes: {refused: [{wait: 1h}], expired: []}}\n  - wait: 2h\n"
    )
    assert graph.follow("approve", "approved") == "wait-2h"
    assert graph.follow("approve", "refused") == "wait-1h"
    assert graph.follow("wait-1h") is None
    assert graph.follow("approve", "expired") is None


def test_the_steps_of_a_round_come_back_to_the_repeat_and_what_follows_it_comes_after_the_last() -> None:
    graph = steps(
        "  - repeat:\n"
        "      times: 3\n"
        "      steps: [{wait: 1d}, {id: again, repeat: {times: 2, steps: [{wait: 2d}]}, otherwise: [{wait: 3d}]}]\n"
        "  - wait: 4d\n"
    )
    assert graph.follow("repeat", "round") == "wait-1d"
    assert graph.follow("again", "round") == "wait-2d"
    assert graph.follow("wait-2d") == "again"
    assert graph.follow("again", "otherwise") == "wait-3d"
    assert graph.follow("wait-3d") == "repeat"
    assert graph.follow("repeat", "otherwise") == "wait-4d"
    assert graph.nodes["wait-2d"].loops == ("repeat", "again")
    assert {node: graph.times(node) for node in graph.nodes} == {
        "repeat": 1,
        "wait-1d": 3,
        "again": 3,
        "wait-2d": 6,
        "wait-3d": 3,
        "wait-4d": 1,
    }
    assert graph.onward("wait-2d") == ("wait-3d",)
    assert graph.onward("wait-3d") == ("wait-4d",)


def test_the_long_form_of_then_and_otherwise_is_the_same_plan() -> None:
    short = "  - {id: a, give: pool, then: [{wait: 1h}], otherwise: [{wait: 2h}]}\n"
    long = "  - {id: a, give: pool, outcomes: {given: [{wait: 1h}], empty: [{wait: 2h}]}}\n"
    assert (
        steps(short).nodes["a"].outcomes == steps(long).nodes["a"].outcomes == {"given": "wait-1h", "empty": "wait-2h"}
    )


def test_the_condition_beside_a_single_event_belongs_to_it() -> None:
    beside = steps("  - {wait_for: Order Completed, where: {total: {at_least: 5}}, within: 2d}\n")
    inside = steps("  - {wait_for: {event: Order Completed, where: {total: {at_least: 5}}}, within: 2d}\n")
    (one,) = (graph.nodes["wait_for-order_completed"].step for graph in (beside,))
    (other,) = (graph.nodes["wait_for-order_completed"].step for graph in (inside,))
    assert one.wait_for == other.wait_for  # type: ignore[attr-defined]


WRITTEN = HEAD + "steps:\n  - wait: 6h\n  - send: thanks\n    via: [sms, email]\n    with: {shade: red}\n"


@pytest.mark.parametrize(
    "same",
    [
        "# a comment\n" + WRITTEN,
        WRITTEN.replace("  - wait: 6h\n", "\n  -   wait:   '6h'   # six\n"),
        WRITTEN.replace("via: [sms, email]", "via:\n      - sms\n      - email"),
        "enter:\n  event: 'Order Completed'\ntopic: care\n" + WRITTEN.removeprefix(HEAD),
        WRITTEN.replace("steps:", "priority: 50\nagain: never\nsteps:"),
        WRITTEN.replace("- wait: 6h", "- {id: wait-6h, wait: 6h}"),
        WRITTEN.replace("\n", "\r\n"),
    ],
)
def test_layout_comments_and_what_goes_without_saying_keep_the_fingerprint(same: str) -> None:
    assert same != WRITTEN
    assert graph_of(same).fingerprint == graph_of(WRITTEN).fingerprint


@pytest.mark.parametrize(
    "other",
    [
        WRITTEN.replace("6h", "7h"),
        WRITTEN.replace("[sms, email]", "[email, sms]"),
        WRITTEN.replace("shade: red", "shade: blue"),
        WRITTEN.replace("steps:", "priority: 51\nsteps:"),
        WRITTEN.replace("- wait: 6h", "- {id: pause, wait: 6h}"),
        WRITTEN.replace("steps:", "holdout: 5%\nsteps:"),
        WRITTEN.replace("Order Completed}", "Order Completed, where: {any: [{a: b}, {c: d}]}}"),
        WRITTEN.replace("Order Completed}", "Order Completed, where: {all: [{a: b}, {c: d}]}}"),
        WRITTEN.replace("Order Completed}", "Order Completed, where: {a: 1}}"),
        WRITTEN.replace("Order Completed}", "Order Completed, where: {a: 1 CNY}}"),
    ],
)
def test_another_meaning_is_another_fingerprint(other: str) -> None:
    assert graph_of(other).fingerprint != graph_of(WRITTEN).fingerprint


def test_all_these_meanings_differ_from_each_other() -> None:
    joins = [
        WRITTEN.replace("Completed}", f"Completed, where: {{{word}: [{{a: b}}, {{c: d}}]}}}}")
        for word in ("any", "all")
    ]
    assert len({graph_of(text).fingerprint for text in joins}) == 2


def test_the_names_of_file_and_journey_are_no_part_of_the_fingerprint() -> None:
    assert graph_of(WRITTEN, "other.yaml", "other").fingerprint == graph_of(WRITTEN).fingerprint


def test_numbers_written_differently_are_one_meaning() -> None:
    one, other = (f"{HEAD}holdout: {share}\nsteps: [{{wait: 6h}}]\n" for share in ("5%", "5.0 %"))
    assert graph_of(one).fingerprint == graph_of(other).fingerprint


def test_a_journey_cannot_be_named_with_spaces() -> None:
    graph, problems = read_journey(WRITTEN, "my plan.yaml", "my plan", frozenset())
    assert graph is None
    assert [(problem.code, str(problem.position)) for problem in problems] == [("bad-name", "my plan.yaml:1:1")]

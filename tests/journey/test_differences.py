"""What two versions of a plan say otherwise is told by keys of the head and by ids of steps."""

from __future__ import annotations

from engine.journey.catalog import read_journey
from engine.journey.differences import Difference, differences, of_two_levels
from engine.journey.graph import Graph
from engine.journey.yaml_text import read

HEAD = "topic: care\nenter: {event: Order Completed}\n"


def plan(text: str, head: str = HEAD) -> Graph:
    graph, problems = read_journey(head + "steps:\n" + text, "journeys/one.yaml", "one", frozenset())
    assert graph is not None, problems
    return graph


def told(old: Graph, new: Graph) -> list[tuple[str, str | None, str | None, str | None, str | None]]:
    return [(one.kind, one.step, one.key, one.before, one.after) for one in differences(old, new)]


def test_layout_comments_and_other_spellings_of_the_same_are_no_difference() -> None:
    old = plan("  - wait: {until: '20:00'}\n  - send: thanks\n    via: [sms]\n")
    new = plan('  # later\n  - {wait: {until: "20:00"}}\n  - {send: thanks, via: sms, id: send-thanks}\n')

    assert told(old, new) == []


def test_keys_of_the_head_are_told_as_they_are_written() -> None:
    old = plan("  - wait: 1d\n", HEAD + "priority: 50\nholdout: 5%\n")
    new = plan("  - wait: 1d\n", HEAD + "priority: 70\nleave: [{event: Order Refunded}]\n")

    assert told(old, new) == [
        ("changed", None, "priority", "50", "70"),
        ("added", None, "leave", None, "[{event: Order Refunded}]"),
        ("removed", None, "holdout", "5%", None),
    ]


def test_steps_are_told_by_their_ids_and_only_what_changed_of_them() -> None:
    old = plan("  - wait: 1h\n  - send: thanks\n    via: [sms]\n  - exit: enough\n")
    new = plan("  - wait: 2h\n  - send: thanks\n    via: [sms, email]\n    give_up_after: 2d\n")

    assert told(old, new) == [
        ("added", "wait-2h", None, None, "wait: 2h"),
        ("changed", "send-thanks", "via", "[sms]", "[sms, email]"),
        ("added", "send-thanks", "give_up_after", None, "2d"),
        ("removed", "wait-1h", None, "wait: 1h", None),
        ("removed", "exit-enough", None, "exit: enough", None),
    ]


def test_a_step_whose_inner_steps_changed_is_not_changed_itself() -> None:
    old = plan("  - branch:\n      - if: {country: CN}\n        then: [{send: hello, via: sms}]\n")
    new = plan("  - branch:\n      - if: {country: CN}\n        then: [{send: hello, via: [sms, email]}, {wait: 1d}]\n")

    assert told(old, new) == [
        ("changed", "send-hello", "via", "sms", "[sms, email]"),
        ("added", "wait-1d", None, None, "wait: 1d"),
    ]
    other = plan("  - branch:\n      - if: {country: HK}\n        then: [{send: hello, via: sms}]\n")
    assert told(old, other) == [
        ("changed", "branch", "branch", "[{if: {country: CN}, then: ...}]", "[{if: {country: HK}, then: ...}]")
    ]


def test_a_step_that_stands_elsewhere_has_moved_and_its_neighbours_have_not() -> None:
    old = plan("  - wait: 1h\n  - wait: 2h\n  - wait: 3h\n  - branch:\n      - if: {country: CN}\n        then: []\n")
    down = plan("  - wait: 2h\n  - wait: 3h\n  - wait: 1h\n  - branch:\n      - if: {country: CN}\n        then: []\n")
    inside = plan("  - wait: 1h\n  - wait: 2h\n  - branch:\n      - if: {country: CN}\n        then: [{wait: 3h}]\n")

    assert told(old, down) == [("moved", "wait-1h", None, "first", "after wait-3h")]
    moved = [one for one in differences(old, inside) if one.kind == "moved"]
    assert moved == [Difference("moved", "wait-3h", None, "after wait-2h", "first in branch, case-1")]


def test_a_new_step_in_between_moves_nobody() -> None:
    old = plan("  - wait: 1h\n  - wait: 3h\n")
    new = plan("  - wait: 1h\n  - wait: 2h\n  - wait: 3h\n")

    assert told(old, new) == [("added", "wait-2h", None, None, "wait: 2h")]


def test_a_file_of_named_things_is_told_by_kind_and_name() -> None:
    old = read("segments:\n  vip: {tier: gold}\n  gone: {tier: black}\n", "audience.yaml").value
    new = read("segments:\n  vip: {tier: [gold, black]}\ntraits:\n  n: {count: A}\n", "audience.yaml").value

    assert of_two_levels(old, new) == [
        Difference("changed", None, "segments.vip", "{tier: gold}", "{tier: [gold, black]}"),
        Difference("removed", None, "segments.gone", "{tier: black}", None),
        Difference("added", None, "traits.n", None, "{count: A}"),
    ]

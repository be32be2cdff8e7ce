"""What authors allow: where a silence holds, and what is said about silences themselves."""

from __future__ import annotations

import pytest

from engine.journey.catalog import Names, read_journey
from engine.journey.graph import fingerprint
from engine.journey.lint import lint
from engine.journey.problems import Position, Problem, Severity
from engine.journey.silence import Heard, Silence, hear, in_journey
from engine.settings import Policy

PLAN = """\
topic: care
enter: {{event: Order Completed}}
caps: [{{at_most: 1, per: 7d}}]
{head}steps:
  - {{send: thanks, via: email}}
  - wait: 3d
  - send: letter
    via: email
{first}  - wait: 48h
  - id: third
    send: thanks
    via: email
"""
ROOM = "cap-leaves-no-room"


def heard(names: Names, policy: Policy, head: str = "", first: str = "", database: bool = False) -> Heard:
    graph, problems = read_journey(PLAN.format(head=head, first=first), "plan.yaml", "plan", names.traits)
    assert graph is not None, problems
    return hear(lint(graph, names, policy), list(in_journey(graph)), database=database)


def lines(found: Heard) -> list[tuple[str, int]]:
    return [(one.code, one.position.line) for one in found.problems]


def test_unsilenced_both_are_told(names: Names, policy: Policy) -> None:
    assert lines(heard(names, policy)) == [(ROOM, 7), (ROOM, 10)]


def test_a_silence_in_the_head_holds_for_the_whole_journey(names: Names, policy: Policy) -> None:
    found = heard(names, policy, head='allow: {cap-leaves-no-room: "a pilot"}\n')

    assert found.problems == ()
    assert [(one.reason, one.problem.position.line) for one in found.silenced] == [("a pilot", 8), ("a pilot", 11)]


def test_a_silence_in_a_step_holds_for_that_step_alone(names: Names, policy: Policy) -> None:
    found = heard(names, policy, first='    allow: {cap-leaves-no-room: "for the others"}\n')

    assert lines(found) == [(ROOM, 11)]
    assert [one.problem.position.line for one in found.silenced] == [7]


def test_a_silence_in_a_step_holds_for_the_steps_inside_of_it(names: Names, policy: Policy) -> None:
    text = (
        "topic: care\nenter: {event: Order Completed}\nsteps:\n  - branch:\n      - if: {tier: gold}\n        then:\n"
        "          - branch: [{if: {any: [{tier: x}, {orders_12m: {above: 2, below: 1}}]}, then: [{exit: x}]}]\n"
        "            id: inner\n    allow: {impossible-condition: we shall see}\n"
    )
    graph, _ = read_journey(text, "plan.yaml", "plan", names.traits)
    assert graph is not None

    found = hear(lint(graph, names, policy), list(in_journey(graph)))

    assert (len(found.problems), len(found.silenced)) == (0, 1)


def test_a_silence_of_nothing_is_a_finding_at_its_code(names: Names, policy: Policy) -> None:
    (found,) = heard(names, policy, head=f"allow: {{{ROOM}: so be it, goal-too-short: why not}}\n").problems

    assert (found.code, found.position, found.severity) == (
        "unused-silence",
        Position("plan.yaml", 4, 39),
        Severity.warning,
    )


def test_a_code_that_does_not_exist_is_a_finding_with_the_nearest_that_does(names: Names, policy: Policy) -> None:
    found = heard(names, policy, head=f"allow: {{{ROOM}: so be it, goal-to-short: why not}}\n").problems

    assert [(one.code, one.hint) for one in found] == [("unknown-code", "did you mean `goal-too-short`?")]


def test_what_only_the_database_can_tell_may_be_allowed_before_it_is_asked(names: Names, policy: Policy) -> None:
    head = f"allow: {{{ROOM}: so be it, unknown-event: it begins on Monday}}\n"

    assert heard(names, policy, head=head).problems == ()
    assert lines(heard(names, policy, head=head, database=True)) == [("unused-silence", 4)]


def test_an_error_is_told_all_the_same_and_so_is_that_it_was_allowed() -> None:
    wrong = Problem("unreachable-step", "nobody", Position("plan.yaml", 7, 5))
    allowed = Silence("unreachable-step", "we like it", Position("plan.yaml", 3, 9))

    found = hear([wrong], [allowed])

    assert [(one.code, one.severity) for one in found.problems] == [
        ("unreachable-step", Severity.error),
        ("error-allowed", Severity.error),
    ]
    assert found.silenced == ()


@pytest.mark.parametrize(("everywhere", "left"), [(True, 0), (False, 2)])
def test_a_silence_holds_in_its_file_and_that_of_the_shop_in_all(everywhere: bool, left: int) -> None:
    told = Problem("missing-locale", "no text", Position("journeys/plan.yaml", 7, 5), severity=Severity.warning)

    found = hear([told], [Silence("missing-locale", "soon", Position("config.yaml", 9, 3), everywhere)])

    assert len(found.problems) == left


@pytest.mark.parametrize("written", ["[unknown-event]", "unknown-event", "true"])
def test_a_silence_without_a_reason_is_refused_with_an_example(written: str) -> None:
    text = f"topic: care\nenter: {{event: Order Completed}}\nallow: {written}\nsteps: [{{wait: 6h}}]\n"

    _, (found,) = read_journey(text, "plan.yaml", "plan", frozenset())

    assert (found.code, found.position.line) == ("expected-mapping", 3)
    assert "say why" in found.hint


def test_an_empty_reason_is_none() -> None:
    text = 'topic: care\nenter: {event: Order Completed}\nallow: {unknown-event: ""}\nsteps: [{wait: 6h}]\n'

    _, (found,) = read_journey(text, "plan.yaml", "plan", frozenset())

    assert found.code == "empty-value"


def test_what_is_allowed_is_no_part_of_what_a_journey_means(names: Names) -> None:
    plain, _ = read_journey(PLAN.format(head="", first=""), "plan.yaml", "plan", names.traits)
    silent, _ = read_journey(
        PLAN.format(head="allow: {unknown-event: soon}\n", first="    allow: {missing-locale: no}\n"),
        *("plan.yaml", "plan", names.traits),
    )

    assert plain is not None
    assert silent is not None
    assert fingerprint(plain.head) == fingerprint(silent.head)

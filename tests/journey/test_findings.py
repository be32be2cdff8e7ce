"""What a colleague would say about a plan that can be read: where each finding is told, and where it is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from engine.journey.catalog import Crowd, Names, read_journey
from engine.journey.lint import lint
from engine.journey.problems import Problem, Severity
from engine.settings import Cap, Policy

HEAD = "topic: care\nenter: {event: Order Completed}\n"
MORNING = 'topic: care\nenter: {every: month, on: 1, at: "10:00", segment: silent}\n'
NIGHT = 'topic: care\nenter: {every: month, on: 1, at: "21:30", segment: silent}\n'
MONDAYS = 'topic: care\nenter: {every: week, on: mon, at: "10:00", segment: silent}\n'


def told(text: str, names: Names, policy: Policy) -> list[Problem]:
    graph, problems = read_journey(text, "plan.yaml", "plan", names.traits)
    assert graph is not None, problems
    return lint(graph, names, policy)


class Told:
    """A journey, and the one thing that is said about it: code, line, severity."""

    def __init__(self, text: str, code: str = "", line: int = 0, severity: Severity = Severity.warning) -> None:
        self.text, self.code, self.line, self.severity = text, code, line, severity


COMPARING = """\
  - split: words
    min_per_variant: 1000
    variants: {plain: 80%, warm: {share: 20%, steps: [{send: thanks, via: [email]}]}}
"""


def too_small(text: str, names: Names, policy: Policy, crowd: Crowd | None) -> list[tuple[str, str]]:
    """(sentence, hint) of what is said of the size of its split."""
    known = replace(names, crowds={"plan": crowd} if crowd else {})
    found = [one for one in told(text, known, policy) if one.code == "split-too-small"]
    assert all(one.position.line == text[: text.index("min_per_variant")].count("\n") + 1 for one in found)
    assert all(one.severity is Severity.warning for one in found)
    return [(one.sentence, one.hint) for one in found]


GOAL = "goal: {event: Order Completed, within: 30d}\n"


def test_a_split_that_a_whole_wave_cannot_fill_is_told_with_its_numbers(names: Names, policy: Policy) -> None:
    text = MORNING + GOAL + "holdout: 10%\nsteps:\n" + COMPARING
    cure = "write `min_per_variant: 900` or less, or give `warm` a larger share; it takes 2 such waves"
    assert too_small(text, names, policy, Crowd(5_000, True)) == [
        ("with the last wave entered 5,000 people: at most 900 of them get `warm`, which is to have 1,000", cure)
    ]
    (asked,) = too_small(text, names, policy, Crowd(4_000, False))
    assert asked[0].startswith("before the door of the first wave are 4,000 people: at most 720 of them get `warm`")
    held = policy.model_copy(update={"holdout": Decimal("0.5")})
    assert "at most 500 of" in too_small(text, names, held, Crowd(5_556, True))[0][0]


@pytest.mark.parametrize("crowd", [None, Crowd(5_556, True), Crowd(60_000, False)])
def test_a_split_that_is_large_enough_or_of_unknown_size_is_left_alone(
    names: Names, policy: Policy, crowd: Crowd | None
) -> None:
    assert too_small(MORNING + GOAL + "holdout: 10%\nsteps:\n" + COMPARING, names, policy, crowd) == []
    unasked = COMPARING.replace("1000", "0")
    assert too_small(MORNING + GOAL + "steps:\n" + unasked, names, policy, Crowd(1, True)) == []


ERROR = Severity.error
SPOKEN = {
    "two limits that exclude each other": Told(
        HEAD + "steps:\n  - branch:\n      - if: {orders_12m: {at_least: 5, below: 3}}\n        then: [{exit: x}]\n",
        *("impossible-condition", 5, ERROR),
    ),
    "two values of one field": Told(
        HEAD
        + "leave: [{event: Refund, where: {reason: late, all: [{reason: [broken, wrong]}]}}]\nsteps: [{wait: 6h}]\n",
        *("impossible-condition", 3, ERROR),
    ),
    "an alternative that nobody meets": Told(
        HEAD + "steps:\n  - branch:\n      - if: {any: [{tier: gold}, {orders_12m: {above: 2, at_most: 2}}]}\n"
        "        then: [{exit: x}]\n",
        *("impossible-condition", 5),
    ),
    "an event that would not have opened the journey": Told(
        "topic: care\nenter: {event: Order Completed, where: {total: {at_least: 200 CNY}}}\n"
        "steps:\n  - branch:\n      - if: {event.total: {below: 100 CNY}}\n        then: [{exit: x}]\n",
        *("impossible-condition", 5, ERROR),
    ),
    "an event where none opens the journey": Told(
        MORNING + "steps:\n  - branch:\n      - if: {any: [{tier: gold}, {event.total: {below: 100 CNY}}]}\n"
        "        then: [{exit: x}]\n",
        *("no-event", 5),
    ),
    "the same case twice": Told(
        HEAD + "steps:\n  - branch:\n      - {if: {tier: gold}, then: [{exit: a}]}\n"
        "      - {if: {tier: gold}, then: [{exit: b}]}\n",
        *("shadowed-case", 6, ERROR),
    ),
    "a narrower case after a wider one": Told(
        HEAD + "steps:\n  - branch:\n      - {if: {orders_12m: {at_least: 2}}, then: [{exit: a}]}\n"
        "      - {if: {orders_12m: {at_least: 5}, country: CN}, then: [{exit: b}]}\n",
        *("shadowed-case", 6, ERROR),
    ),
    "a case that two others share out": Told(
        HEAD + "steps:\n  - branch:\n      - {if: {now.weekday: [mon-fri]}, then: [{exit: a}]}\n"
        "      - {if: {now.weekday: [sat, sun]}, then: [{exit: b}]}\n      - otherwise: [{exit: c}]\n",
        *("shadowed-case", 7, ERROR),
    ),
    "waiting for what one leaves at": Told(
        HEAD + "leave: [{event: Page Viewed}]\nsteps:\n  - {wait_for: Page Viewed, within: 3d, then: [{exit: back}]}\n",
        *("leaves-first", 5, ERROR),
    ),
    "waiting among others for what one leaves at": Told(
        HEAD + "leave: [{event: Page Viewed}]\nsteps:\n  - {wait_for: [Page Viewed, Cart Updated], within: 3d}\n",
        *("leaves-first", 5),
    ),
    "a capped outcome without caps": Told(
        "topic: receipts\nenter: {event: Order Completed}\nsteps:\n  - send: thanks\n    via: [email]\n"
        "    outcomes: {capped: [{exit: capped}]}\n",
        *("impossible-outcome", 6),
    ),
    "a variant for nobody": Told(
        HEAD + "goal: {event: Order Completed, within: 30d}\nsteps:\n  - split: test\n"
        "    variants: {a: 100%, b: {share: 0%, steps: [{exit: b}]}}\n",
        *("impossible-outcome", 6),
    ),
    "two messages inside a cap of one a week that moves along": Told(
        HEAD + "caps: [{at_most: 1, per: 7d}]\nsteps:\n  - {send: thanks, via: email}\n  - wait: 3d\n"
        "  - {send: letter, via: email}\n",
        *("cap-leaves-no-room", 7),
    ),
    "three messages within one calendar week, from a Monday on": Told(
        MONDAYS + "caps: [{at_most: 2, per: week}]\nsteps:\n  - {send: thanks, via: email}\n  - wait: 2d\n"
        "  - {send: letter, via: email}\n  - wait: 48h\n  - {id: third, send: thanks, via: email}\n",
        *("cap-leaves-no-room", 9),
    ),
    "two on one day by one channel": Told(
        MORNING + "caps: [{at_most: 1, per: day, channel: sms}]\nsteps:\n  - {send: thanks, via: sms}\n  - wait: 3h\n"
        "  - {id: again, send: thanks, via: sms}\n",
        *("cap-leaves-no-room", 7),
    ),
    "a message that does not outlast the gap": Told(
        HEAD + "steps:\n  - {send: thanks, via: email}\n  - {send: letter, via: email, give_up_after: 1h}\n",
        *("gap-leaves-no-room", 5),
    ),
    "a goal over before anything is said": Told(
        HEAD + "goal: {event: Order Completed, within: 2d}\nsteps:\n  - wait: 3d\n  - {send: thanks, via: email}\n",
        *("goal-too-short", 3),
    ),
    "a night that the journey does not outlast": Told(
        NIGHT + "ends_after: 6h\nsteps:\n  - {send: thanks, via: sms}\n",
        *("never-in-time", 5, ERROR),
    ),
    "a wait that ends in the night": Told(
        MORNING + "steps:\n  - wait: 12h\n  - {send: thanks, via: [sms, push], give_up_after: 6h}\n",
        *("never-in-time", 5, ERROR),
    ),
    "a time of day after the end": Told(
        MORNING + 'ends_after: 6h\nsteps:\n  - wait: {until: "20:00"}\n  - {send: thanks, via: email}\n',
        *("wait-longer-than-ends-after", 5, ERROR),
    ),
    "a trait where a date should be": Told(
        HEAD + "steps:\n  - wait: {until: orders_12m}\n  - {send: thanks, via: email}\n",
        *("not-a-date", 4, ERROR),
    ),
}
UNSAID = {
    "limits that leave room": HEAD
    + "steps:\n  - branch:\n      - if: {orders_12m: {at_least: 3, below: 5}}\n        then: [{exit: x}]\n",
    "two values of one field for two people": HEAD
    + "steps:\n  - branch:\n      - if: {any: [{tier: gold}, {tier: black}]}\n        then: [{exit: x}]\n",
    "an event inside of what opened the journey": "topic: care\n"
    "enter: {event: Order Completed, where: {total: {at_least: 200 CNY}}}\n"
    "steps:\n  - branch:\n      - if: {event.total: {below: 1000 CNY}}\n        then: [{exit: x}]\n",
    "what a person was when the journey began": "topic: care\n"
    "enter: {event: Order Completed, where: {person.orders_12m: {at_least: 5}}}\n"
    "steps:\n  - branch:\n      - if: {orders_12m: {below: 5}}\n        then: [{exit: x}]\n",
    "a wider case after a narrower one": HEAD
    + "steps:\n  - branch:\n      - {if: {orders_12m: {at_least: 5}}, then: [{exit: a}]}\n"
    "      - {if: {orders_12m: {at_least: 2}}, then: [{exit: b}]}\n      - otherwise: [{exit: c}]\n",
    "people of whom nothing is known": HEAD
    + "steps:\n  - branch:\n      - {if: {orders_12m: {at_least: 5}}, then: [{exit: a}]}\n"
    "      - {if: {orders_12m: {below: 5}}, then: [{exit: b}]}\n      - otherwise: [{exit: c}]\n",
    "leaving at some of what is waited for": HEAD + "leave: [{event: Page Viewed, where: {page: cart}}]\nsteps:\n"
    "  - {wait_for: Page Viewed, within: 3d, then: [{exit: back}]}\n",
    "a capped outcome under caps": HEAD
    + "steps:\n  - {send: thanks, via: [email], outcomes: {capped: [{exit: capped}]}}\n",
    "messages that the cap of a week lets pass": HEAD
    + "caps: [{at_most: 1, per: 7d}]\nsteps:\n  - {send: thanks, via: email}\n  - wait: 7d\n"
    "  - {send: letter, via: email}\n",
    "a wait over a weekend": HEAD
    + "caps: [{at_most: 1, per: week}]\nsteps:\n  - {send: thanks, via: email}\n  - wait: 3d\n"
    "  - {send: letter, via: email}\n",
    "either of two messages": HEAD + "caps: [{at_most: 1, per: 7d}]\nsteps:\n  - branch:\n"
    "      - {if: {tier: gold}, then: [{send: thanks, via: email}, {exit: x}]}\n  - {send: letter, via: email}\n",
    "another message only where the first did not go": HEAD
    + "caps: [{at_most: 1, per: 7d}]\nsteps:\n  - send: thanks\n    via: push\n"
    "    outcomes: {sent: [{exit: sent}]}\n  - {send: letter, via: email}\n",
    "a cap of another channel": HEAD
    + "caps: [{at_most: 1, per: 7d, channel: sms}]\nsteps:\n  - {send: thanks, via: [sms, email]}\n  - wait: 3d\n"
    "  - {id: again, send: thanks, via: [sms, email]}\n",
    "what a customer has a right to, often": "topic: receipts\nenter: {event: Order Completed}\n"
    "steps:\n  - {send: thanks, via: email}\n  - {send: letter, via: email, give_up_after: 1h}\n",
    "a capped outcome under a cap that holds for a contract, too": "topic: receipts\n"
    "enter: {event: Order Completed}\ncaps: [{at_most: 1, per: day, purpose: transactional}]\n"
    "steps:\n  - {send: thanks, via: [email], outcomes: {capped: [{exit: capped}]}}\n",
    "a cap that counts another tag": HEAD
    + "caps: [{at_most: 1, per: 7d, tag: sale}]\nsteps:\n  - {send: thanks, via: email, tags: [sale]}\n  - wait: 3d\n"
    "  - {send: letter, via: email}\n",
    "a message that outlasts the gap": HEAD
    + "steps:\n  - {send: thanks, via: email}\n  - {send: letter, via: email, give_up_after: 3h}\n",
    "a goal that outlasts the first message": HEAD
    + "goal: {event: Order Completed, within: 4d}\nsteps:\n  - wait: 3d\n  - {send: thanks, via: email}\n",
    "a night that the journey outlasts": NIGHT + "ends_after: 12h\nsteps:\n  - {send: thanks, via: sms}\n",
    "a night that one channel does not know": NIGHT + "ends_after: 6h\nsteps:\n  - {send: thanks, via: [sms, email]}\n",
    "a wait that ends in the morning": MORNING
    + "steps:\n  - wait: 24h\n  - {send: thanks, via: [sms, push], give_up_after: 6h}\n",
    "a time of day before the end": MORNING
    + 'ends_after: 12h\nsteps:\n  - wait: {until: "20:00"}\n  - {send: thanks, via: email}\n',
    "a date that may be kept": HEAD
    + "steps:\n  - wait: {until: member_since, plus: 3d}\n  - {send: thanks, via: email}\n",
}


@pytest.mark.parametrize("case", SPOKEN.values(), ids=SPOKEN)
def test_a_colleague_would_say_something(case: Told, names: Names, policy: Policy) -> None:
    (found,) = told(case.text, names, policy)

    assert (found.code, found.position.line, found.severity) == (case.code, case.line, case.severity)
    assert found.hint


@pytest.mark.parametrize("text", UNSAID.values(), ids=UNSAID)
def test_a_colleague_would_say_nothing(text: str, names: Names, policy: Policy) -> None:
    assert told(text, names, policy) == []


def test_an_event_may_be_asked_about_where_another_journey_hands_one_on(names: Names, policy: Policy) -> None:
    branch = "steps:\n  - branch:\n      - if: {event.total: {below: 100 CNY}}\n        then: [{exit: x}]\n"
    assert [one.code for one in told(MORNING + branch, names, policy)] == ["no-event"]
    assert told(MORNING + branch, replace(names, started=frozenset({"plan"})), policy) == []
    assert told("topic: care\nenter: {api: true}\n" + branch, names, policy) == []


def test_a_cap_of_the_shop_is_held_against_a_plan_as_well(names: Names, policy: Policy) -> None:
    text = HEAD + "steps:\n  - {send: thanks, via: email}\n  - wait: 3d\n  - {send: letter, via: email}\n"
    strict = policy.model_copy(update={"caps": (Cap(at_most=1, per=timedelta(days=30)),)})

    assert told(text, names, policy) == []
    assert [one.code for one in told(text, names, strict)] == ["cap-leaves-no-room"]


def test_a_date_that_nobody_has_is_told_once_it_is_known_what_people_have(names: Names, policy: Policy) -> None:
    text = HEAD + "steps:\n  - wait: {until: membr_since, plus: 3d}\n  - {send: thanks, via: email}\n"
    known = type(names)(**{**vars(names), "attributes": frozenset({"member_since"})})

    (found,) = told(text, known, policy)

    assert (found.code, found.severity, found.position.line) == ("unknown-attribute", Severity.warning, 4)
    assert found.hint == "did you mean `member_since`?"

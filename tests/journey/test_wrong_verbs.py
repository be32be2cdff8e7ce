"""Wrong uses of the verbs that do something, beside exactly what their authors are told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engine.journey.catalog import Names
from engine.journey.problems import Severity
from engine.settings import Policy
from tests.journey.test_wrong_journeys import Case, Found, check

HEAD = "topic: care\nenter: {event: Order Completed}\n"


def with_others(names: Names) -> Names:
    """With other journeys: one that starts another at once, which starts `plan`, and one entered once per order."""
    starts = {"winback": frozenset({"other"}), "other": frozenset({"plan"})}
    known = frozenset({"plan", "winback", "per_order"})
    return replace(names, journeys=known, starts=starts, per={"per_order": "order_id"})


#: what is wrong, the step, the piece of it that is pointed at, code, beginning of the sentence, beginning of the cure
STEPS = [
    (
        "an addition in another word",
        "update: {set: {visits: {plus: 1}}}",
        *("plus", "unknown-key", "`plus` is not a key of `visits`", "did you mean `add`?"),
    ),
    (
        "a key of a value that means nothing",
        "update: {set: {visits: {zzz: 1}}}",
        *("zzz", "unknown-key", "`zzz` is not a key of `visits`", "there are: add, from, text"),
    ),
    (
        "a key of a name with a space",
        "{emit: A, with: {Order Total: {frmo: event.total}}}",
        *("frmo", "unknown-key", "`frmo` is not a key of `Order Total`", "did you mean `from`?"),
    ),
    (
        "confidence of an event",
        "{wait_for: Page Viewed, within: 1d, confidence: certain}",
        *("confidence", "bad-combination", "`confidence` belongs to a message", "leave it out"),
    ),
    (
        "an outcome of a task at an approval",
        "{approve: May we?, by: lead, within: 1d, outcomes: {overdue: []}}",
        *(
            "overdue",
            "unknown-outcome",
            "`overdue` is no outcome of `approve`",
            "there are: approved, expired, refused",
        ),
    ),
    (
        "journeys that start one another",
        "start: winback",
        *(
            "winback",
            "circular-start",
            "nothing takes time on the way plan -> winback -> other -> plan: they start one another",
            "put a `wait` between",
        ),
    ),
    (
        "an update of nothing",
        "update: {}",
        *("{}", "missing-key", "nothing is changed", "write `set: {tier: gold}`"),
    ),
    (
        "what imports change",
        "update: {set: {country: DE}}",
        *("country", "bad-name", "`country` is kept by the shop", "use another name"),
    ),
    (
        "a trait that is set",
        "update: {set: {value_tier: core}}",
        *("value_tier", "trait-not-set", "`value_tier` is a trait: it is computed", "give it a name of its own"),
    ),
    (
        "two values at once",
        "update: {set: {tier: {from: event.tier, add: 1}}}",
        *("{from", "bad-combination", "a value is one of `text`, `from`, `add`", "write `{from: event.total}`"),
    ),
    (
        "a null as a value",
        "update: {set: {tier: null}}",
        *("null", "empty-value", "nothing is written here", "leave the key out"),
    ),
    (
        "a value from where there is none",
        "update: {set: {hour: {from: now.hour}}}",
        *("now", "unknown-field", "`now.hour` is no value of a person or an event", "write event.total, or tier"),
    ),
    (
        "a tag added and removed, and one with a comma",
        "update: {tags: {add: [vip, 'a,b'], remove: vip}}",
        *("'a,", "bad-tag", "'a,b' is not a tag", "use up to 100 letters"),
    ),
    (
        "a tag added and removed",
        "update: {tags: {add: [vip], remove: vip}}",
        *("remove", "bad-combination", "`vip` is added and removed", "keep one"),
    ),
    (
        "a yes without evidence",
        "update: {consent: {channel: email, topic: offers, granted: true}}",
        *("granted", "missing-key", "a yes needs its evidence", "write `evidence: "),
    ),
    (
        "a repeat without a number",
        "repeat: {every: 7d, steps: [{wait: 1h}]}",
        *("{every", "missing-key", "`times` is missing", "write `times:`"),
    ),
    (
        "a repeat of nothing",
        "repeat: {times: 3, every: 7d, steps: []}",
        *("[]}", "no-steps", "there is nothing to repeat", "write a list of steps"),
    ),
    (
        "more rounds than anyone wants",
        "repeat: {times: 101, every: 7d, steps: [{wait: 1h}]}",
        *("101", "out-of-range", "101 is not at most 100", "write a number of at most 100"),
    ),
    (
        "repeats that multiply",
        "{id: a, repeat: {times: 50, steps: [{repeat: {times: 50, steps: [{wait: 1h}]}}]}}",
        *(
            "50, steps: [{wait",
            "too-many-rounds",
            "together with the repeats around it these are 2500 rounds",
            "repeat less often",
        ),
    ),
    (
        "rounds that come at once",
        "repeat: {times: 3, steps: [{send: thanks, via: [email]}]}",
        *("repeat", "rounds-without-pause", "nothing in these rounds takes time", "write `every: 7d`, or a `wait`"),
    ),
    (
        "rounds that begin at one instant",
        "repeat: {times: 3, every: 0h, steps: [{wait: 1h}]}",
        *("0h,", "bad-duration", "rounds that begin at one instant are no rounds", "write `every: 7d`"),
    ),
]


def in_one_step(row: tuple[str, ...]) -> Case:
    """A journey of one step, with one mistake."""
    name, step, piece, code, sentence, cure = row
    text = f"{HEAD}steps:\n  - {step}\n"
    return Case(name, text, Found(code, 4, len("  - ") + step.index(piece) + 1, sentence, cure))


CASES = [
    Case(
        "a task for all in turn, with a slip",
        HEAD + "steps:\n  - {task: call, queue: concierge_lead, assign: round_robbin, due: 1d, outcomes: {ok: []}}\n",
        Found(
            "unknown-colleague",
            4,
            49,
            "there is no `round_robbin` among the people of `concierge_lead`",
            "did you mean `round_robin`?",
        ),
    ),
    Case(
        "confidence in another word",
        HEAD + "steps:\n  - send: thanks\n    via: sms\n"
        "  - {wait_for: {message: thanks, is: clicked}, within: 1d, confidence: sure}\n",
        Found("unknown-word", 6, 72, "`sure` is not a word for this", "there are: certain, likely, possible"),
    ),
    Case(
        "a winner that is declared by the machine",
        HEAD + "goal: {event: Order Completed, within: 9d}\nsteps:\n"
        "  - {split: a, winner: best, variants: {x: 50%, y: 50%}}\n",
        Found("not-built-yet", 5, 16, "`winner` is a word of the language", "leave it out"),
    ),
    Case(
        "variants that differ in several things",
        HEAD + "goal: {event: Order Completed, within: 9d}\nsteps:\n  - split: a\n    variants:\n"
        "      x: {share: 50%, steps: [{wait: 1h}, {id: s, send: thanks, via: [sms]}]}\n"
        "      y: {share: 50%, steps: [{wait: 2h}, {id: t, send: thanks, via: [email]}]}\n",
        Found(
            "variants-differ-widely",
            8,
            7,
            "`y` differs from `x` in several things: `wait` of `wait`, `via` of `send`",
            "change one thing only",
            Severity.warning,
        ),
    ),
    Case(
        "a question without an end and to nobody",
        HEAD + "steps:\n  - approve: May we?\n",
        Found("missing-key", 4, 5, "`by` is missing", "write `by:`"),
        Found("missing-key", 4, 5, "`within` is missing", "write `within:`"),
    ),
    Case(
        "a question that is answered after the end of the plan",
        HEAD + "ends_after: 5h\nsteps:\n  - {approve: May we?, by: lead, within: 1d}\n",
        Found("wait-longer-than-ends-after", 5, 42, "this wait reaches past the end of the journey", "wait shorter"),
    ),
    Case(
        "a journey that does not exist",
        HEAD + "steps:\n  - start: winbak\n  - stop: gone\n",
        Found("unknown-journey", 4, 12, "there is no journey `winbak`", "did you mean `winback`?"),
        Found("unknown-journey", 5, 11, "there is no journey `gone`", "to end this way here write `exit: gone`"),
    ),
    Case(
        "a journey that starts and stops itself",
        HEAD + "steps:\n  - wait: 1d\n  - start: plan\n  - stop: plan\n",
        Found("about-itself", 5, 12, "a journey cannot start itself", "repeat some steps with `repeat`"),
        Found("about-itself", 6, 11, "a journey cannot stop itself", "write `exit: a_reason`"),
    ),
    Case(
        "a journey of orders, started without one",
        "topic: care\nenter: {segment: vip, crossing: in}\nsteps:\n  - start: per_order\n",
        Found(
            "start-without-key", 4, 12, "`per_order` is entered once per `order_id` of an event", "enter this journey"
        ),
    ),
    Case(
        "an outcome that emit does not have, and a value of two kinds",
        HEAD + "steps:\n  - {emit: A, outcomes: {sent: []}}\n  - {emit: B, with: {a: {add: 1}}}\n",
        Found("unknown-outcome", 4, 26, "`sent` is no outcome of `emit`", "there are: failed, ok"),
        Found("unknown-key", 5, 26, "`add` is not a key", "there are: from, "),
    ),
    Case(
        "consent to a topic and a channel that do not exist",
        HEAD + "steps:\n  - update: {consent: {channel: fax, topic: gone, granted: false}}\n",
        Found("unknown-channel", 4, 33, "there is no channel `fax`", "there are:"),
        Found("unknown-topic", 4, 45, "there is no topic `gone`", "there are:"),
    ),
    Case(
        "repeats four deep",
        HEAD
        + "steps:\n"
        + "  - {id: a, repeat: {times: 2, steps: [{id: b, repeat: {times: 2, steps: [{id: c, repeat: {times: 2, \n"
        + "      steps: [{id: d, repeat: {times: 2, steps: [{wait: 1h}]}}]}}]}}]}}\n",
        Found("too-many-rounds", 5, 15, "repeats stand in one another more than 3 deep", "repeat in fewer steps"),
    ),
    Case(
        "then without until",
        HEAD + "steps:\n  - repeat: {times: 3, every: 7d, steps: [{wait: 1h}]}\n    then: [{exit: done}]\n",
        Found("bad-combination", 5, 5, "`then` is for whom `until` holds, and there is none", "write `until:` inside"),
    ),
    Case(
        "a name in a round, and one in until",
        HEAD
        + "steps:\n  - repeat: {times: 3, every: 7d, until: {segment: gone}, steps: [{send: nosuch, via: [email]}]}\n",
        Found("unknown-segment", 4, 52, "there is no segment `gone`", "there are:"),
        Found("unknown-message", 4, 74, "there is no message `nosuch`", "there are:"),
    ),
    Case(
        "a round after the end of the plan",
        HEAD + "ends_after: 3d\nsteps:\n  - repeat: {times: 3, every: 7d, steps: [{send: thanks, via: [email]}]}\n",
        Found("wait-longer-than-ends-after", 5, 31, "this wait reaches past the end of the journey", "wait shorter"),
    ),
    Case(
        "an answer to what a later step of the round sends",
        HEAD
        + "steps:\n"
        + "  - repeat:\n"
        + "      times: 2\n"
        + "      every: 7d\n"
        + "      until: {message.thanks: clicked}\n"
        + "      steps: [{wait_for: {message: thanks, is: clicked}, within: 1d}, {send: thanks, via: [email]}]\n",
        Found("never-sent", 8, 36, "`thanks` is never sent before this step", "send it first: `- send: thanks`"),
    ),
    Case(
        "a step behind a repeat of which every round ends",
        HEAD + "steps:\n  - repeat: {times: 2, every: 7d, steps: [{exit: done}]}\n  - wait: 1d\n",
        Found("unreachable-step", 5, 5, "nobody can come to `wait-1d`", "move it up, or delete it"),
    ),
]


@pytest.mark.parametrize("case", [*CASES, *map(in_one_step, STEPS)], ids=lambda case: case.name)
def test_a_mistake_is_told_at_its_place_with_its_cure(case: Case, tmp_path: Path, names: Names, policy: Policy) -> None:
    case.is_what_is_told(check(case.text, tmp_path, with_others(names), policy))


FINE = [
    "  - {repeat: {times: 2, every: 7d, steps: [{send: thanks, via: [email]}]}}\n"
    "  - {wait_for: {message: thanks, is: clicked}, within: 1d}\n",
    "  - {repeat: {times: 2, every: 7d, until: {message.thanks: clicked}, steps: [{send: thanks, via: [email]}]}}\n",
    "  - {split: a, variants: {x: 50%, y: {share: 50%, steps: [{give: vip_pack}, {send: thanks, via: [sms]}]}}}\n",
    "  - split: a\n    variants:\n"
    "      x: {share: 50%, steps: [{wait: 1h}, {id: s, send: thanks, via: [sms]}]}\n"
    "      y: {share: 50%, steps: [{id: w, wait: 1h}, {give: vip_pack}, {id: t, send: thanks, via: [sms]}]}\n",
    "  - split: a\n    multivariate: true\n    variants:\n"
    "      x: {share: 50%, steps: [{wait: 1h}, {id: s, send: thanks, via: [sms]}]}\n"
    "      y: {share: 50%, steps: [{wait: 2h}, {id: t, send: thanks, via: [email]}]}\n",
    "  - {task: call, queue: concierge, assign: jonas, due: 1d, outcomes: {reached: []}}\n",
    "  - {task: call, queue: concierge_lead, assign: emma, due: 1d, outcomes: {reached: []}}\n",
    "  - wait: 1d\n  - {start: winback}\n  - {start: per_order}\n  - {stop: winback}\n",
    "  - {repeat: {times: 2, until: {tier: gold}, steps: [{wait: 1d}, {exit: one}]}, then: [{wait: 2d}]}\n",
]


@pytest.mark.parametrize("steps", FINE)
def test_what_is_right_is_left_alone(steps: str, tmp_path: Path, names: Names, policy: Policy) -> None:
    assert (
        check(
            f"{HEAD}goal: {{event: Order Completed, within: 30d}}\nsteps:\n{steps}",
            tmp_path,
            with_others(names),
            policy,
        )
        == []
    )

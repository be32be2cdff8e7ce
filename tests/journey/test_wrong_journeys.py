"""Wrong journeys beside exactly what their authors are told: code, line, column, the words of sentence and cure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.journey.catalog import Names, load_catalog
from engine.journey.lint import lint
from engine.journey.problems import Position, Problem, Severity
from engine.journey.source import snippet
from engine.settings import Policy


@dataclass(frozen=True)
class Found:
    """One expected Problem; of sentence and hint the beginning."""

    code: str
    line: int
    column: int
    sentence: str
    hint: str
    severity: Severity = Severity.error

    def is_told_by(self, problem: Problem) -> bool:
        return (
            problem.position == Position("journeys/plan.yaml", self.line, self.column)
            and problem.code == self.code
            and problem.sentence.startswith(self.sentence)
            and problem.hint.startswith(self.hint)
            and problem.severity is self.severity
        )


class Case:
    """A text and everything that is wrong in it."""

    def __init__(self, name: str, text: str, *found: Found) -> None:
        self.name = name
        self.text = text
        self.found = found

    def is_what_is_told(self, told: list[Problem]) -> None:
        assert len(told) == len(self.found), told
        for found, problem in zip(self.found, told, strict=True):
            assert found.is_told_by(problem), problem


def nowhere(kind: str, name: str, line: int, column: int, cure: str) -> Found:
    """A name of something that does not exist."""
    return Found(f"unknown-{kind}", line, column, f"there is no {kind} `{name}`", cure)


CASES = [
    Case(
        "a file that says nothing",
        """\
# nothing yet
""",
        Found("empty-file", 1, 1, "the file says nothing", "write `key: value` lines"),
    ),
    Case(
        "a list instead of keys",
        """\
- wait: 6h
""",
        Found("expected-mapping", 1, 1, "keys with values should stand here", "write `key: value` lines"),
    ),
    Case(
        "a tab as indent",
        """\
topic: care
enter: {event: Order Completed}
steps:
	- wait: 6h
""",
        Found("tab-indent", 4, 1, "a tab stands where spaces belong", "indent with spaces"),
    ),
    Case(
        "a missing colon",
        """\
topic care
enter: {event: Order Completed}
steps: [{wait: 6h}]
""",
        Found("not-yaml", 1, 1, "a colon is missing after this key", "write `key: value`"),
    ),
    Case(
        "a full-width colon",
        """\
topic： care
enter: {event: Order Completed}
steps: [{wait: 6h}]
""",
        Found("full-width-sign", 1, 6, "this is a full-width colon", "write a plain colon and a space: `key: value`"),
    ),
    Case(
        "a full-width colon in a step",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - send: thanks
    via：[sms]
""",
        Found("full-width-sign", 5, 8, "this is a full-width colon", "write a plain colon and a space: `key: value`"),
    ),
    Case(
        "a full-width colon inside of braces",
        """\
topic: care
enter: {event: Order Completed}
leave: [{event：Order Refunded}]
steps: [{wait: 6h}]
""",
        Found("unknown-key", 3, 10, "`event：Order Refunded` is not a key", "write a plain colon and a space"),
    ),
    Case(
        "full-width commas",
        """\
topic: care
enter: {event: Order Completed}
steps: [{send: thanks, via: [sms， push]}]
""",
        Found("bad-name", 3, 30, "'sms， push' holds a full-width comma", "write plain commas: [sms, push]"),
    ),
    Case(
        "a full-width space for an indent",
        """\
topic: care
enter: {event: Order Completed}
steps:
　- wait: 6h
  - send: thanks
    via: [sms]
""",
        Found("full-width-sign", 4, 1, "a space stands here that YAML does not know", "indent with plain spaces"),
    ),
    Case(
        "a second colon on a line",
        """\
title: Retention: the plan
topic: care
enter: {event: Order Completed}
steps: [{wait: 6h}]
""",
        Found("not-yaml", 1, 17, "a second colon on this line", "put quotes around the text, or begin a"),
    ),
    Case(
        "an open bracket",
        """\
topic: care
enter: {event: Order Completed}
leave: [{event: Order Refunded}
steps: [{wait: 6h}]
""",
        Found(
            "not-yaml",
            3,
            8,
            "a bracket or brace is opened here and not closed,",
            "close it with ] or }, and put commas",
        ),
    ),
    Case(
        "an open quote",
        """\
title: "Hello
topic: care
enter: {event: Order Completed}
steps: [{wait: 6h}]
""",
        Found("not-yaml", 1, 8, "a quote is opened and never closed", "close the quote"),
    ),
    Case(
        "a line out of its indent",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - send: thanks
    via: [sms]
   give_up_after: 2h
""",
        Found("not-yaml", 6, 4, "this line does not fit the indent of the lines", "align it with its neighbours"),
    ),
    Case(
        "the same key twice",
        """\
topic: care
enter: {event: Order Completed}
title: one
title: two
steps: [{wait: 6h}]
""",
        Found("duplicate-key", 4, 1, "`title` is written twice", "keep one of them; the first is on line 3"),
    ),
    Case(
        "a tag",
        """\
topic: care
enter: {event: Order Completed}
title: !!python/name:os.system x
steps: [{wait: 6h}]
""",
        Found("tag-refused", 3, 8, "`!!python/name:os.system` is a tag; values are", "leave the tag out"),
    ),
    Case(
        "an alias",
        """\
topic: care
enter: {event: Order Completed}
title: &t Hello
owner: *t
steps: [{wait: 6h}]
""",
        Found("alias-refused", 4, 8, "`*t` is an alias; journeys have none", "write the value out where it is needed"),
    ),
    Case(
        "an alias where a value is needed",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - wait: *w
""",
        Found("alias-refused", 4, 11, "`*w` is an alias; journeys have none", "write the value out where it is needed"),
    ),
    Case(
        "two documents",
        """\
topic: care
enter: {event: Order Completed}
steps: [{wait: 6h}]
---
topic: care
enter: {event: Order Completed}
""",
        Found("many-documents", 4, 1, "a second document begins here; one file is one", "move it to a file of its own"),
    ),
    Case(
        "a list as a key",
        """\
topic: care
enter: {event: Order Completed}
? [a, b]
: c
steps: [{wait: 6h}]
""",
        Found("bad-key", 3, 3, "a key must be a plain word, not a list or mapping", "write `key: value`"),
    ),
    Case(
        "a misspelt key of the head",
        """\
topci: care
enter: {event: Order Completed}
steps: [{wait: 6h}]
""",
        Found("unknown-key", 1, 1, "`topci` is not a key here", "did you mean `topic`?"),
    ),
    Case(
        "no topic",
        """\
title: Thanks
enter: {event: Order Completed}
steps: [{wait: 6h}]
""",
        Found("missing-key", 1, 1, "`topic` is missing", "write `topic:`"),
    ),
    Case(
        "no steps",
        """\
topic: care
enter: {event: Order Completed}
steps: []
""",
        Found("no-steps", 3, 8, "the plan has no step", "write `- send: ...`"),
    ),
    Case(
        "a key without a value",
        """\
topic: care
enter: {event: Order Completed}
steps:
""",
        Found("empty-value", 3, 1, "`steps` has no value", "write one, or leave the key out"),
    ),
    Case(
        "a text instead of steps",
        """\
topic: care
enter: {event: Order Completed}
steps: wait 6h
""",
        Found("expected-list", 3, 8, "a list should stand here", "write `steps: [..., ...]`"),
    ),
    Case(
        "a priority in words",
        """\
topic: care
enter: {event: Order Completed}
priority: high
steps: [{wait: 6h}]
""",
        Found("expected-number", 3, 11, "a whole number should stand here", "write `priority: 50`"),
    ),
    Case(
        "a priority above 100",
        """\
topic: care
enter: {event: Order Completed}
priority: 101
steps: [{wait: 6h}]
""",
        Found("out-of-range", 3, 11, "101 is not at most 100", "write a number of at most 100"),
    ),
    Case(
        "a share that is no percentage",
        """\
topic: care
enter: {event: Order Completed}
holdout: 0.05
steps: [{wait: 6h}]
""",
        Found("bad-share", 3, 10, "'0.05' is not a share", "did you mean `5%`?"),
    ),
    Case(
        "a holdout of everyone",
        """\
topic: care
enter: {event: Order Completed}
holdout: 100%
steps: [{wait: 6h}]
""",
        Found("out-of-range", 3, 10, "a holdout of everyone leaves nobody to write to", "write at most 50%"),
    ),
    Case(
        "a duration without a unit",
        """\
topic: care
enter: {event: Order Completed}
ends_after: 72
steps: [{wait: 6h}]
""",
        Found("bad-duration", 3, 13, "'72' is not a duration", "write a number and a unit: 90m, 6h, 3d,"),
    ),
    Case(
        "a duration of more than ten years",
        """\
topic: care
enter: {event: Order Completed}
ends_after: 600w
steps: [{wait: 6h}]
""",
        Found("bad-duration", 3, 13, "'600w' is longer than ten years", "write a shorter one: 90m, 6h, 3d, 2w"),
    ),
    Case(
        "a key that is not built yet",
        """\
topic: care
enter: {event: Order Completed}
budget: 5000 CNY
steps: [{wait: 6h}]
""",
        Found("not-built-yet", 3, 1, "`budget` is a word of the language that is not", "leave it out for now"),
    ),
    Case(
        "nothing to enter by",
        """\
topic: care
enter: {where: {total: 3}}
steps: [{wait: 6h}]
""",
        Found("bad-enter", 2, 8, "it is not said how one enters", "write `event: ...`, `segment: ...` with"),
    ),
    Case(
        "two ways to enter",
        """\
topic: care
enter: {event: Order Completed, segment: silent, crossing: in}
steps: [{wait: 6h}]
""",
        Found(
            "bad-combination",
            2,
            33,
            "`event` and `segment` are two ways to enter; a",
            "write two journeys, or a condition:",
        ),
    ),
    Case(
        "a crossing that is no direction",
        """\
topic: care
enter: {segment: silent, crossing: into}
steps: [{wait: 6h}]
""",
        Found("unknown-word", 2, 36, "`into` is not a word for this", "did you mean `in`?"),
    ),
    Case(
        "a wave at no time",
        """\
topic: care
enter: {every: month, on: 1, segment: silent}
steps: [{wait: 6h}]
""",
        Found("missing-key", 2, 8, "`at` is missing", "write `at:`"),
    ),
    Case(
        "a wave at an hour that does not exist",
        """\
topic: care
enter: {every: month, on: 1, at: "25:00", segment: silent}
steps: [{wait: 6h}]
""",
        Found("bad-time", 2, 34, "'25:00' is not a time of day", "write 00:00 to 23:59"),
    ),
    Case(
        "a wave on a day that does not exist",
        """\
topic: care
enter: {every: month, on: 32, at: "10:00", segment: silent}
steps: [{wait: 6h}]
""",
        Found("out-of-range", 2, 27, "`32` is not a day of the month", "write a number from 1 to 31"),
    ),
    Case(
        "a wave on a weekday in full",
        """\
topic: care
enter: {every: week, on: monday, at: "10:00", segment: silent}
steps: [{wait: 6h}]
""",
        Found("bad-weekday", 2, 26, "'monday' is not a weekday", "did you mean `mon`?"),
    ),
    Case(
        "a wave in no zone",
        """\
topic: care
enter: {every: day, at: "10:00", zone: Beijing, segment: silent}
steps: [{wait: 6h}]
""",
        Found("bad-zone", 2, 40, "'Beijing' is not a time zone", "did you mean `Asia/Shanghai`?"),
    ),
    Case(
        "a word for again that does not exist",
        """\
topic: care
enter: {event: Order Completed}
again: often
steps: [{wait: 6h}]
""",
        Found("unknown-word", 3, 8, "`often` does not say when one may", "write never, always, {after: 30d} or"),
    ),
    Case(
        "an order asked of a segment",
        """\
topic: care
enter: {segment: silent, crossing: in}
again: {per: order_id}
steps: [{wait: 6h}]
""",
        Found("bad-combination", 3, 9, "`per` belongs to an event or `api`", "write never or {after: 30d}"),
    ),
    Case(
        "stages that fall",
        """\
topic: care
enter: {every: month, on: 1, at: "10:00", segment: silent}
rollout: [25%, 5%, 100%]
steps: [{wait: 6h}]
""",
        Found("bad-rollout", 3, 16, "each stage must be larger than the one before", "write [5%, 25%, 100%]"),
    ),
    Case(
        "stages that stop short",
        """\
topic: care
enter: {every: month, on: 1, at: "10:00", segment: silent}
rollout: [25%, 90%]
steps: [{wait: 6h}]
""",
        Found("bad-rollout", 3, 10, "the last stage must be 100%, the first above 0%", "write [5%, 25%, 100%]"),
    ),
    Case(
        "leaving at a goal that is not there",
        """\
topic: care
enter: {event: Order Completed}
leave: [{event: Order Refunded}, goal]
steps: [{wait: 6h}]
""",
        Found("no-goal", 3, 34, "the journey has no goal to leave at", "write `goal:`"),
    ),
    Case(
        "quiet hours without minutes",
        """\
topic: care
enter: {event: Order Completed}
quiet_hours: {sms: 22-8}
steps: [{wait: 6h}]
""",
        Found("bad-window", 3, 20, "'22-8' is not a span of the day", 'did you mean `"22:00-08:00"`?'),
    ),
    Case(
        "a cap per year",
        """\
topic: care
enter: {event: Order Completed}
caps: [{at_most: 1, per: year}]
steps: [{wait: 6h}]
""",
        Found("bad-duration", 3, 26, "'year' is not a duration", "write a number and a unit: 90m, 6h, 3d,"),
    ),
    Case(
        "a misspelt verb",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - sned: thanks
    via: [sms]
""",
        Found("unknown-verb", 4, 5, "`sned` is not a verb", "did you mean `send`?"),
    ),
    Case(
        "a verb of another tool",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - delay: 6h
""",
        Found("unknown-verb", 4, 5, "`delay` is not a verb", "did you mean `wait`?"),
    ),
    Case(
        "two verbs in one step",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - wait: 6h
    send: thanks
    via: [sms]
""",
        Found(
            "two-verbs", 5, 5, "`wait` and `send` stand in one step; each step has", "begin a new step: `- send: ...`"
        ),
    ),
    Case(
        "a step without a verb",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - via: [sms]
    give_up_after: 6h
""",
        Found("no-verb", 4, 5, "this step has no verb", "begin it with one of: send, wait,"),
    ),
    Case(
        "a step as text",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - wait 6h
""",
        Found("expected-mapping", 4, 5, "a step is a verb with its object", "write `- wait: 6h`"),
    ),
    Case(
        "another system that nobody named",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - webhook: cmr
""",
        Found("unknown-webhook", 4, 14, "there is no webhook `cmr`", "did you mean `crm`?"),
    ),
    Case(
        "best of the channels",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - send: thanks
    via: best
""",
        Found("not-built-yet", 5, 10, "`via: best` is not built yet", "name the channels: `via: [push, email]`"),
    ),
    Case(
        "a misspelt key deep inside",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - branch:
      - if: {tier: gold}
        then: [{send: thanks, vai: [sms]}]
""",
        Found("unknown-key", 6, 31, "`vai` is not a key of `send`", "did you mean `via`?"),
    ),
    Case(
        "a name with a space",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - send: Thank you
    via: [sms]
""",
        Found("bad-name", 4, 11, "'Thank you' is not a name", "use letters, digits, _, - and . without"),
    ),
    Case(
        "a channel wished for twice",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - send: thanks
    via: [sms, email, sms]
""",
        Found("duplicate-wish", 5, 23, "`sms` is wished for twice", "keep the first"),
    ),
    Case(
        "an outcome that does not exist",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - send: thanks
    via: [sms]
    outcomes: {unreachabel: []}
""",
        Found("unknown-outcome", 6, 16, "`unreachabel` is no outcome of `send`", "did you mean `unreachable`?"),
    ),
    Case(
        "a duration in words",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - wait: six hours
""",
        Found("bad-duration", 4, 11, "'six hours' is not a duration", "write a number and a unit: 90m, 6h, 3d,"),
    ),
    Case(
        "a time of day in the English way",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - wait: {until: 8pm}
""",
        Found("bad-time", 4, 19, "'8pm' is not a time of day", 'did you mean `"20:00"`?'),
    ),
    Case(
        "a span of weekdays that does not exist",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - wait: {until: "20:00", days: [mon-fry]}
""",
        Found("bad-weekday", 4, 34, "'mon-fry' is not a weekday", "write mon, tue, wed, thu, fri, sat, sun"),
    ),
    Case(
        "a distance to a time of day",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - wait: {until: "20:00", minus: 2d}
""",
        Found("bad-combination", 4, 28, "`minus` belongs to a date, not to a time of day", "leave it out"),
    ),
    Case(
        "waiting for ever",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - wait_for: Parcel Delivered
""",
        Found("missing-key", 4, 5, "`within` is missing", "write `within:`"),
    ),
    Case(
        "an answer that is not named",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - send: thanks
    via: sms
  - wait_for: {message: thanks}
    within: 2d
""",
        Found("missing-key", 6, 16, "`is` is missing", "write `is: clicked`"),
    ),
    Case(
        "an answer that does not exist",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - send: thanks
    via: sms
  - wait_for: {message: thanks, is: clickt}
    within: 2d
""",
        Found("unknown-word", 6, 37, "`clickt` is not a word for this", "did you mean `clicked`?"),
    ),
    Case(
        "two steps of one default id",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - wait: 6h
  - wait: 6h
""",
        Found(
            "duplicate-id",
            5,
            5,
            "two steps would both be called `wait-6h`; the first",
            "give one of them an id of its own: `id:",
        ),
    ),
    Case(
        "three steps of one unwritten id: each cure is another one",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - wait: 6h
  - wait: 6h
  - wait: 6h
""",
        Found(
            "duplicate-id",
            5,
            5,
            "two steps would both be called `wait-6h`",
            "give one of them an id of its own: `id: wait-6h-2`",
        ),
        Found(
            "duplicate-id",
            6,
            5,
            "two steps would both be called `wait-6h`",
            "give one of them an id of its own: `id: wait-6h-3`",
        ),
    ),
    Case(
        "two steps of one written id",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - {id: pause, wait: 6h}
  - {id: pause, wait: 7h}
""",
        Found("duplicate-id", 5, 10, "the id `pause` is used twice; the first is on line 4", "write another id"),
    ),
    Case(
        "otherwise before a case",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - branch:
      - otherwise: [{wait: 1h}]
      - if: {tier: gold}
        then: [{wait: 2h}]
""",
        Found(
            "otherwise-not-last", 5, 9, "nothing after `otherwise` is ever reached", "move it to the end of the list"
        ),
    ),
    Case(
        "shares that miss ten percent",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - split: colour
    variants: {red: 50%, blue: 40%}
""",
        Found("shares-not-100", 5, 15, "the shares add up to 90%, not 100%", "change one of them"),
    ),
    Case(
        "a split of one",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - split: colour
    variants: {red: 100%}
""",
        Found("too-few-variants", 5, 15, "a split needs at least two variants", "write `plain: 50%` beside it"),
    ),
    Case(
        "a list where one value belongs",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - send: thanks
    via: [sms]
    with: {shade: [red, blue]}
""",
        Found("expected-text", 6, 19, "a single text should stand here", "write `shade: text`"),
    ),
    Case(
        "a misspelt word of comparison",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - branch: [{if: {orders_12m: {at_leest: 2}}, then: []}]
""",
        Found("bad-word", 4, 33, "`at_leest` is not a word of comparison", "did you mean `at_least`?"),
    ),
    Case(
        "a comparison with a word",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - branch: [{if: {orders_12m: {at_least: many}}, then: []}]
""",
        Found("expected-number", 4, 43, "`many` is not a number or an amount of money", "write 2 or 200 CNY"),
    ),
    Case(
        "an amount without its currency's code",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - branch: [{if: {spend_12m: {at_least: 2000 yuan}}, then: []}]
""",
        Found("bad-money", 4, 42, "'2000 yuan' is not an amount of money", "did you mean `2000 CNY`?"),
    ),
    Case(
        "a span that runs backwards",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - branch: [{if: {orders_12m: {between: [5, 2]}}, then: []}]
""",
        Found("bad-between", 4, 42, "the first end is not below the second", "write the smaller one first"),
    ),
    Case(
        "an instant in words",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - branch: [{if: {created_at: {before: yesterday}}, then: []}]
""",
        Found("bad-instant", 4, 41, "`yesterday` is not an instant", "write 2026-11-22,"),
    ),
    Case(
        "a field that does not exist",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - branch: [{if: {evnt.total: 3}, then: []}]
""",
        Found("unknown-field", 4, 20, "`evnt.total` is no field of a condition", "did you mean `event.total`?"),
    ),
    Case(
        "any of one thing",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - branch: [{if: {any: {tier: gold}}, then: []}]
""",
        Found("expected-list", 4, 25, "`any` takes a list of conditions", "write `any: [{...}, {...}]`"),
    ),
    Case(
        "known or not in other words",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - branch: [{if: {email: {known: yes}}, then: []}]
""",
        Found("expected-yes-no", 4, 35, "`known` is true or false", "write `known: true`"),
    ),
    Case(
        "a name that could be two things",
        """\
topic: care
enter: {event: Order Completed, where: {churn_stage: lost}}
steps: [{wait: 6h}]
""",
        Found(
            "ambiguous-name",
            2,
            41,
            "`churn_stage` is a trait of the person and could be",
            "write `event.churn_stage` for the",
        ),
    ),
    Case(
        "a name that is kept about every person, asked of an event",
        """\
topic: care
enter: {event: Order Completed, where: {country: CN}}
steps: [{wait: 6h}]
""",
        Found(
            "ambiguous-name", 2, 41, "`country` is kept about every person and could", "write `event.country` for the"
        ),
    ),
    Case(
        "a topic nobody configured",
        """\
topic: caer
enter: {event: Order Completed}
steps: [{wait: 6h}]
""",
        nowhere("topic", "caer", 1, 8, "did you mean `care`?"),
    ),
    Case(
        "a segment that does not exist, to enter",
        """\
topic: care
enter: {segment: silnet, crossing: in}
steps: [{wait: 6h}]
""",
        nowhere("segment", "silnet", 2, 18, "did you mean `silent`?"),
    ),
    Case(
        "a segment that does not exist, inside a condition",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - branch: [{if: {any: [{tier: gold}, {segment: [vip, vips]}]}, then: []}]
""",
        nowhere("segment", "vips", 4, 56, "did you mean `vip`?"),
    ),
    Case(
        "a list that does not exist",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - branch: [{if: {favourite: {none_of: rivls}}, then: []}]
""",
        nowhere("list", "rivls", 4, 41, "did you mean `rivals`?"),
    ),
    Case(
        "a message without texts",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - send: thnks
    via: [sms]
""",
        nowhere("message", "thnks", 4, 11, "did you mean `thanks`?"),
    ),
    Case(
        "a channel without a provider",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - send: thanks
    via: [emial]
""",
        nowhere("channel", "emial", 5, 11, "did you mean `email`?"),
    ),
    Case(
        "a message not written for its channel",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - send: letter
    via: [email, sms]
""",
        Found("channel-has-no-text", 5, 18, "`letter` has no text for sms", "write templates/letter/sms.zh-CN.*, or"),
    ),
    Case(
        "a text missing in the shop's own language",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - send: english_only
    via: [email]
""",
        Found("missing-default-locale", 5, 11, "`english_only` has no text in zh-CN, the shop's own", "write"),
    ),
    Case(
        "a text missing in another language",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - send: no_german
    via: [email]
""",
        Found(
            "missing-locale",
            5,
            11,
            "`no_german` has no text in de for email; its",
            "write templates/no_german/email.de.*",
            Severity.warning,
        ),
    ),
    Case(
        "a pool that does not exist",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - give: second_ordr
""",
        nowhere("pool", "second_ordr", 4, 11, "did you mean `second_order`?"),
    ),
    Case(
        "a task without its text",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - task: cal
    queue: care
    due: 24h
    outcomes: {done: []}
""",
        nowhere("brief", "cal", 4, 11, "did you mean `call`?"),
    ),
    Case(
        "queues that do not exist",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - task: call
    queue: car
    due: 24h
    escalate: {after: 4h, to: boss}
    outcomes: {done: []}
""",
        nowhere("queue", "car", 5, 12, "did you mean `care`?"),
        nowhere("queue", "boss", 7, 31, "there are: care, concierge,"),
    ),
    Case(
        "a task for somebody who works elsewhere",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - {id: one, task: call, queue: care, assign: mei, due: 24h, outcomes: {done: []}}
  - {id: two, task: call, queue: care, assign: ema, due: 24h, outcomes: {done: []}}
  - {id: anyone, task: call, queue: concierge_lead, assign: zoe, due: 24h, outcomes: {done: []}}
  - {id: good, task: call, queue: care, assign: emma, due: 24h, outcomes: {done: []}}
""",
        Found("unknown-colleague", 4, 48, "there is no `mei` among the people of `care`", "there are:"),
        Found("unknown-colleague", 5, 48, "there is no `ema` among the people of `care`", "did you mean `emma`?"),
    ),
    Case(
        "a task that waits to be opened without being a call, and calls nobody can answer",
        """\
topic: care
enter: {event: Order Completed}
quiet_hours: {call: "20:00-09:00"}
caps: [{at_most: 1, per: week, channel: call}]
steps:
  - {id: one, task: call, queue: care, due: 24h, give_up_after: 2h, outcomes: {done: []}}
  - {id: two, task: call, queue: care, call: true, due: 24h, outcomes: {capped: [], overdue: []}}
""",
        Found("missing-key", 6, 50, "nothing is waited for before this task is opened", "write `call: true`"),
        Found("missing-key", 7, 72, "an agent has nothing to answer", "name an outcome"),
    ),
    Case(
        "a message by a call",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - {send: thanks, via: [email, call]}
  - {id: one, task: call, queue: care, call: true, due: 24h, give_up_after: 2h, outcomes: {done: [], capped: []}}
""",
        Found("unknown-channel", 4, 33, "there is no channel `call`", "there are:"),
    ),
    Case(
        "turns in a queue that names nobody",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - {id: one, task: call, queue: concierge_lead, assign: round_robin, due: 24h, outcomes: {done: []}}
  - {id: two, task: call, queue: care, assign: round_robin, due: 24h, outcomes: {done: []}}
""",
        Found(
            "queue-without-people", 4, 58, "nobody can take turns: the queue `concierge_lead` names", "write `people`"
        ),
    ),
    Case(
        "a task that is overdue before it escalates",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - task: call
    queue: care
    due: 4h
    escalate: {after: 6h, to: concierge}
    outcomes: {done: []}
""",
        Found("bad-combination", 7, 23, "the task is overdue before", "let `after` be shorter than `due`"),
    ),
    Case(
        "a way out that is nearly the goal",
        """\
topic: care
enter: {event: Order Completed}
goal: {event: Order Completed, within: 5d}
leave: [gaol]
steps: [{exit: done}]
""",
        Found("unknown-word", 4, 9, "`gaol` is no way out", "did you mean `goal`?"),
    ),
    Case(
        "a trait that nearly exists",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - branch: [{if: {not: {churn_stag: lost}}, then: []}]
""",
        Found("unknown-trait", 4, 26, "there is no trait or attribute `churn_stag`", "did you mean `churn_stage`?"),
    ),
    Case(
        "a step after the end",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - exit: done
  - wait: 6h
  - send: thanks
    via: [sms]
""",
        Found(
            "unreachable-step", 5, 5, "nobody can come to `wait-6h`: every way before it", "move it up, or delete it"
        ),
    ),
    Case(
        "a step after two ends",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - wait_for: Page Viewed
    within: 2d
    then: [{exit: came}]
    otherwise: [{exit: stayed}]
  - wait: 6h
""",
        Found(
            "unreachable-step", 8, 5, "nobody can come to `wait-6h`: every way before it", "move it up, or delete it"
        ),
    ),
    Case(
        "an answer before the question",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - wait_for: {message: thanks, is: clicked}
    within: 2d
  - send: thanks
    via: [sms]
""",
        Found(
            "never-sent", 4, 25, "`thanks` is never sent before this step, so nobody", "send it first: `- send: thanks`"
        ),
    ),
    Case(
        "an answer to what others are asked",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - branch:
      - if: {tier: gold}
        then: [{send: thanks, via: [sms]}]
      - otherwise:
          - wait_for: {message: thanks, is: opened}
            within: 2d
""",
        Found(
            "never-sent", 8, 33, "`thanks` is never sent before this step, so nobody", "send it first: `- send: thanks`"
        ),
    ),
    Case(
        "waits that outlast the journey",
        """\
topic: care
enter: {event: Order Completed}
ends_after: 72h
steps:
  - wait: 2d
  - wait: 30h
""",
        Found(
            "wait-longer-than-ends-after",
            6,
            11,
            "this wait reaches past the end of the journey, 3",
            "wait shorter, or raise `ends_after`",
        ),
    ),
    Case(
        "an answer awaited after the end",
        """\
topic: care
enter: {event: Order Completed}
ends_after: 72h
steps:
  - wait_for: Page Viewed
    within: 5d
""",
        Found(
            "wait-longer-than-ends-after",
            6,
            13,
            "this wait reaches past the end of the journey, 3",
            "wait shorter, or raise `ends_after`",
        ),
    ),
    Case(
        "a message that always falls into the night",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - wait: {until: "22:00"}
  - send: thanks
    via: [sms, push]
    give_up_after: 2h
""",
        Found(
            "never-in-time",
            5,
            5,
            "`send-thanks` falls due at 22:00, in quiet hours of",
            "raise `give_up_after`, or send at",
        ),
    ),
    Case(
        "a split that nothing measures",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - split: colour
    variants: {red: 50%, blue: 50%}
""",
        Found(
            "no-goal",
            4,
            12,
            "a split is measured by the goal, and the journey",
            "write `goal: {event: Order Completed,",
        ),
    ),
    Case(
        "a holdout that nothing measures",
        """\
topic: care
enter: {event: Order Completed}
holdout: 5%
steps: [{wait: 6h}]
""",
        Found(
            "holdout-without-goal",
            3,
            10,
            "a holdout without a goal measures nothing",
            "write `goal: {event: Order Completed,",
            Severity.warning,
        ),
    ),
    Case(
        "a holdout of what people have a right to",
        """\
topic: receipts
enter: {event: Order Completed}
holdout: 5%
steps: [{wait: 6h}]
""",
        Found(
            "holdout-of-transactional", 3, 10, "`receipts` is transactional: what people have a", "leave `holdout` out"
        ),
    ),
    Case(
        "quiet hours looser than the shop's",
        """\
topic: care
enter: {event: Order Completed}
quiet_hours: {sms: "22:00-07:00"}
steps: [{wait: 6h}]
""",
        Found(
            "looser-quiet-hours",
            3,
            20,
            "config.yaml keeps sms quiet from 21:00 to 08:00;",
            "write a span that holds all of it",
        ),
    ),
    Case(
        "a cap looser than the shop's",
        """\
topic: care
enter: {event: Order Completed}
caps: [{at_most: 3, per: day}, {at_most: 1, per: week}]
steps: [{wait: 6h}]
""",
        Found("looser-caps", 3, 18, "config.yaml allows 2 per day; `3 per day` is looser", "write at most 2"),
    ),
    Case(
        "a step with a misspelt key, one too many and names that do not exist",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - {send: nosuch, vai: [email, fax], give_up_after: 6h, when: now}
""",
        nowhere("message", "nosuch", 4, 12, "there are: english_only, letter,"),
        Found("unknown-key", 4, 20, "`vai` is not a key of `send`", "did you mean `via`?"),
        nowhere("channel", "fax", 4, 33, "there are: email, push, sms, wechat"),
        Found("unknown-key", 4, 58, "`when` is not a key of `send`", "there are: allow, give_up_after, id, outcomes,"),
    ),
    Case(
        "mistakes that a step of two verbs and a wrong outcome hide",
        """\
topic: care
enter: {event: Order Completed}
steps:
  - give: no_such_pool
    send: thanks
  - send: thanks
    via: email
    outcomes:
      sentt: [{wait: 6h}]
      capped: [{give: gone, id: "?"}, {task: call, queue: nowhere, due: 1d, outcomes: {done: []}}]
""",
        nowhere("pool", "no_such_pool", 4, 11, "there are: come_back, second_order,"),
        Found("two-verbs", 5, 5, "`give` and `send` stand in one step;", "begin a new step: `- send: ...`"),
        Found("unknown-outcome", 9, 7, "`sentt` is no outcome of `send`", "did you mean `sent`?"),
        nowhere("pool", "gone", 10, 23, "there are: come_back, second_order,"),
        Found("bad-name", 10, 33, "'?' is not a name", "use letters, digits, _, - and . without"),
        nowhere("queue", "nowhere", 10, 59, "there are: care, concierge,"),
    ),
    Case(
        "rules of leaving after one that is wrong",
        """\
topic: care
enter: {event: Order Completed}
leave: [{event: Order Completed, goal: true}, {segment: gone}]
steps: [{wait: 6h}]
""",
        Found("bad-combination", 3, 34, "`event` and `goal` are two rules", "write two items"),
        nowhere("segment", "gone", 3, 57, "there are: silent, vip,"),
    ),
    Case(
        "many mistakes at once",
        """\
topci: care
enter: {event: Order Completed}
holdout: five
steps:
  - wait: 6
  - sned: a
  - send: thnks
    via: sms
  - give: second_order
    vai: sms
""",
        Found("unknown-key", 1, 1, "`topci` is not a key here", "did you mean `topic`?"),
        Found("bad-share", 3, 10, "'five' is not a share", "write a percentage between 0% and 100%:"),
        Found("bad-duration", 5, 11, "'6' is not a duration", "write a number and a unit: 90m, 6h, 3d,"),
        Found("unknown-verb", 6, 5, "`sned` is not a verb", "did you mean `send`?"),
        nowhere("message", "a", 6, 11, "there are: english_only, letter,"),
        nowhere("message", "thnks", 7, 11, "did you mean `thanks`?"),
        Found("unknown-key", 10, 5, "`vai` is not a key of `give`", "there are: allow, give, id, other"),
    ),
]


def check(text: str, folder: Path, names: Names, policy: Policy) -> list[Problem]:
    """What `outreach check` finds in this one journey."""
    journeys = folder / "journeys"
    journeys.mkdir()
    (journeys / "plan.yaml").write_text(text, encoding="utf-8")
    catalog = load_catalog(journeys, names.traits)
    linted = [p for graph in (*catalog.graphs.values(), *catalog.drafts.values()) for p in lint(graph, names, policy)]
    return sorted([*catalog.problems, *linted], key=lambda problem: (problem.position, problem.code))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_mistake_is_told_at_its_place_with_its_cure(case: Case, tmp_path: Path, names: Names, policy: Policy) -> None:
    case.is_what_is_told(check(case.text, tmp_path, names, policy))


def test_every_mistake_has_a_cure() -> None:
    assert all(found.hint for case in CASES for found in case.found)


def test_the_codes_tell_mistakes_apart() -> None:
    uses = Counter(code for case in CASES for code in {found.code for found in case.found})
    assert len(CASES) >= 45
    assert len(uses) >= 25
    assert max(uses.values()) <= 5, uses.most_common(3)


def test_the_snippet_shows_the_line_with_a_caret_below_the_mistake() -> None:
    assert snippet("title: a\nownr: b\n", Position("f", 2, 1)) == "ownr: b\n^"
    assert snippet("title: 中文 [x\n", Position("f", 1, 11)) == "title: 中文 [x\n" + " " * 12 + "^"
    assert snippet("a: 1\n\tb: 2\n", Position("f", 2, 2)) == "\tb: 2\n\t^"
    assert snippet("a: 1", Position("f", 9, 1)) == ""

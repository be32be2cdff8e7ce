"""Wrong ways to enter beside what their authors are told: code, place, the words of sentence and cure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engine.journey.catalog import Names
from engine.settings import Policy
from tests.journey.test_wrong_journeys import check

#: what is wrong, `enter`, the piece of it that is pointed at, code, beginning of the sentence, beginning of the cure
CASES = [
    (
        "a happening nobody knows",
        "{happening: Rival Sail, segment: silent}",
        *("Rival Sail", "unknown-happening", "there is no happening `Rival Sail`", "did you mean `Rival Sale`?"),
    ),
    (
        "a happening that asks for nobody",
        "{happening: Rival Sale}",
        *("{", "missing-key", "`segment` is missing", "write `segment:`"),
    ),
    (
        "a weekday as a number",
        "{cron: '0 10 * * 1', segment: silent}",
        *("'0 10", "bad-cron", "`1` in '0 10 * * 1' is a weekday as a number", "write its name, for numbers mean"),
    ),
    (
        "seconds in cron",
        "{cron: '0 0 10 * * mon', segment: silent}",
        *("'0 0", "bad-cron", "'0 0 10 * * mon' has six fields, and seconds are not planned", "write minute, hour,"),
    ),
    (
        "a nickname in cron",
        "{cron: '@daily', segment: silent}",
        *("'@d", "bad-cron", "'@daily' does not have five fields", "write minute, hour, day, month, weekday"),
    ),
    (
        "a day and a weekday in cron",
        "{cron: '0 10 1 * mon', segment: silent}",
        *("'0 1", "bad-cron", "'0 10 1 * mon' names a day of the month and a weekday", "write * for one of them"),
    ),
    (
        "a step without an end in cron",
        "{cron: '5/15 10 * * *', segment: silent}",
        *("'5/", "bad-cron", "`5/15` in '5/15 10 * * *' has a step and no end", "write a span: 5-59/15"),
    ),
    (
        "an hour that does not exist in cron",
        "{cron: '0 24 * * *', segment: silent}",
        *("'0 24", "bad-cron", "`24` in '0 24 * * *' is no hour", "write minute, hour"),
    ),
    (
        "hours backwards in cron",
        "{cron: '0 22-2 * * *', segment: silent}",
        *("'0 22", "bad-cron", "`22-2` in '0 22-2 * * *' runs backwards", "write two spans"),
    ),
    (
        "a step that leads nowhere in cron",
        "{cron: '*/0 10 * * *', segment: silent}",
        *("'*/0", "bad-cron", "`*/0` in '*/0 10 * * *' has a step that leads nowhere", "write minute"),
    ),
    (
        "a day that never comes in cron",
        "{cron: '0 10 30 feb *', segment: silent}",
        *("'0 10", "bad-cron", "'0 10 30 feb *' names a day that never comes", "write a day its months have"),
    ),
    (
        "a sign that cron does not know",
        "{cron: '0 10 L * *', segment: silent}",
        *("'0 10", "bad-cron", "`L` in '0 10 L * *' is no day of the month", "write minute"),
    ),
    (
        "a time beside cron",
        '{cron: "0 10 * * *", at: "10:00", segment: silent}',
        *("at:", "bad-combination", "`cron` tells the time itself", "leave `at` out"),
    ),
    (
        "a day beside cron",
        '{cron: "0 10 * * *", on: 1, segment: silent}',
        *("on: 1", "bad-combination", "a wave by `cron` has no `on`", "leave it out"),
    ),
    (
        "two plans of one wave",
        '{every: day, cron: "0 10 * * *", at: "10:00", segment: silent}',
        *("cron", "bad-combination", "`every` and `cron` are two plans; a wave has one", "write two journeys"),
    ),
    (
        "a date that is none",
        '{dates: [2026-02-30], at: "10:00", segment: silent}',
        *("2026", "bad-date", "`2026-02-30` is not a date", "February 2026 has 28 days"),
    ),
    (
        "a date with a zone",
        '{dates: ["2026-02-28T10:00+08:00"], segment: silent}',
        *('"2026', "bad-date", "`2026-02-28T10:00+08:00` names a zone of its own", "leave it out, and write `zone:`"),
    ),
    (
        "a date with seconds",
        '{dates: ["2026-02-28 10:00:30"], segment: silent}',
        *('"2026', "bad-date", "`2026-02-28 10:00:30` names seconds", "write a day"),
    ),
    (
        "a date without a time",
        '{dates: ["2026-02-28 10:00", 2026-03-01], segment: silent}',
        *("{dates", "missing-key", "`at` is missing", "write `at:`"),
    ),
    (
        "a time that no date needs",
        '{dates: ["2026-02-28 10:00"], at: "10:00", segment: silent}',
        *("at:", "bad-combination", "every one of `dates` has a time of its own", "leave `at` out"),
    ),
    (
        "a date twice",
        '{dates: ["2026-02-28 10:00", 2026-02-28], at: "10:00", segment: silent}',
        *('["2026', "bad-date", "`dates` names the same time twice", "leave one out"),
    ),
    (
        "a day of the year that is none",
        '{every: year, on: "02-30", at: "10:00", segment: silent}',
        *('"02-30', "bad-date", "`02-30` is not a day of the year", "February has 29 days"),
    ),
    (
        "a yearly wave on no day",
        '{every: year, at: "10:00", segment: silent}',
        *("{every", "missing-key", "`on` is missing: on which day of the year?", 'write `on: "12-24"`'),
    ),
    (
        "before and after a date",
        "{date: birthday, before: 3d, after: 3d}",
        *("after", "bad-combination", "`before` and `after` exclude each other", "leave one out"),
    ),
    (
        "half a day before a date",
        "{date: birthday, before: 36h}",
        *("36h", "bad-duration", "`36h` is not a number of whole days", "write days or weeks: 14d, 2w"),
    ),
    (
        "a date that is a trait",
        "{date: churn_stage}",
        *("churn", "not-a-date", "`churn_stage` is a trait; an entry can only look at a date", "import it as an attr"),
    ),
    (
        "a date in an unknown segment",
        "{date: birthday, segment: vips}",
        *("vips", "unknown-segment", "there is no segment `vips`", "did you mean `vip`?"),
    ),
    (
        "a date and an event",
        "{date: birthday, event: Order Completed}",
        *("date", "bad-combination", "`event` and `date` are two ways to enter", "write two journeys"),
    ),
    (
        "a silence of no length",
        "{absence_of: Page Viewed}",
        *("{abs", "missing-key", "`for` is missing", "write `for:`"),
    ),
    (
        "a silence of a second",
        "{absence_of: Page Viewed, for: 1s}",
        *("1s", "out-of-range", "a silence of less than a minute is none", "write how long"),
    ),
    (
        "a silence that asks about the person",
        "{absence_of: Page Viewed, for: 30d, where: {person.tier: gold}}",
        *("person", "unknown-field", "here one can only ask for what the event itself tells", "of people ask in a"),
    ),
    (
        "a silence that is a crossing",
        "{absence_of: Page Viewed, for: 30d, segment: vip, crossing: in}",
        *("absence", "bad-combination", "`segment` and `absence_of` are two ways to enter", "write two journeys"),
    ),
    (
        "a request that is none",
        "{api: false}",
        *("false", "expected-yes-no", "`api` can only be true", "write `api: true`"),
    ),
    (
        "a request for a segment",
        "{api: true, segment: vip}",
        *("api", "bad-combination", "`segment` and `api` are two ways to enter", "write two journeys"),
    ),
    (
        "a wave that forgot how often",
        '{on: 1, at: "10:00", segment: silent}',
        *("{on", "missing-key", "`every` is missing", "write `every: month`"),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_a_wrong_way_to_enter_is_told_at_its_place_with_its_cure(
    case: tuple[str, str, str, str, str, str], tmp_path: Path, names: Names, policy: Policy
) -> None:
    _, enter, piece, code, sentence, hint = case
    (told,) = check(f"topic: care\nenter: {enter}\nsteps: [{{wait: 6h}}]\n", tmp_path, names, policy)
    assert (told.code, told.position.line) == (code, 2)
    assert told.sentence.startswith(sentence), told
    assert told.hint.startswith(hint), told
    assert told.position.column == len("enter: ") + 1 + enter.index(piece), told


HEADS = [
    (
        "a word for again that means nothing here",
        "enter: {event: Order Completed}\nagain: sometimes",
        *("sometimes", "unknown-word", "`sometimes` does not say when one may", "write never, always, {after: 30d} or"),
    ),
    (
        "a word for again with a slip",
        "enter: {event: Order Completed}\nagain: alwyas",
        *("alwyas", "unknown-word", "`alwyas` does not say when one may", "did you mean `always`?"),
    ),
    (
        "again as yes or no",
        "enter: {event: Order Completed}\nagain: true",
        *("true", "unknown-word", "`true` does not say when one may", "did you mean `always`?"),
    ),
    (
        "a length of time alone for again",
        "enter: {event: Order Completed}\nagain: 30d",
        *("30d", "unknown-word", "`30d` does not say when one may", "did you mean `{after: 30d}`?"),
    ),
    (
        "another key of again",
        "enter: {event: Order Completed}\nagain: {every: 30d}",
        *("every", "unknown-key", "`every` is not a key of `again`", "did you mean `after`?"),
    ),
    (
        "a key of again that nobody writes",
        "enter: {event: Order Completed}\nagain: {wrd: never}",
        *("wrd", "unknown-key", "`wrd` is not a key of `again`", "there are: after, per"),
    ),
    (
        "nobody at most",
        "enter: {api: true}\nat_most: 0",
        *("0", "out-of-range", "0 is not at least 1", "write a number of at least 1"),
    ),
    (
        "first without at most",
        "enter: {api: true}\nfirst: spend_12m",
        *("first", "bad-combination", "`first` says who goes first where not all may", "write `at_most:` too"),
    ),
    (
        "first by a word",
        "enter: {api: true}\nat_most: 10\nfirst: churn_stage",
        *("churn_stage", "not-a-measure", "`churn_stage` is a word", "name a number, an amount or an instant"),
    ),
    (
        "first by the event",
        "enter: {api: true}\nat_most: 10\nfirst: event.total",
        *("event.total", "unknown-field", "`event.total` is nothing that is kept of a person", "name a trait"),
    ),
    (
        "a spread of events",
        "enter: {event: Order Completed}\nspread: 2h",
        *("spread", "bad-combination", "`spread` belongs to waves, happenings and requests", "leave it out"),
    ),
    (
        "at most so many dates",
        "enter: {date: birthday}\nat_most: 10",
        *("at_most", "bad-combination", "`at_most` belongs to waves, happenings and requests", "leave it out"),
    ),
]


@pytest.mark.parametrize("case", HEADS, ids=lambda case: case[0])
def test_a_wrong_size_or_pace_is_told_at_its_place_with_its_cure(
    case: tuple[str, str, str, str, str, str], tmp_path: Path, names: Names, policy: Policy
) -> None:
    _, head, piece, code, sentence, hint = case
    known = replace(names, words=frozenset({"churn_stage", "churn_reason", "value_tier"}))
    (told,) = check(f"topic: care\n{head}\nsteps: [{{wait: 6h}}]\n", tmp_path, known, policy)
    assert told.code == code, told
    assert told.sentence.startswith(sentence), told
    assert told.hint.startswith(hint), told
    line = f"topic: care\n{head}".splitlines()[told.position.line - 1]
    assert line[told.position.column - 1 :].startswith(piece), told

"""The crash ledger turns red when it should: each figure is made wrong once.

Broken by hand besides, in a short run of five blows on SQLite: a sink that wrote its hundredth line twice was told as
`duplicates: 1` and `caps_broken: 1`; messages tried again instead of kept as unknown, as `duplicates: 95`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, time
from typing import Any

import pytest

from tests.long.crash.counting import Blow, Figures, Held, Line, Rules, Told, count, wrong

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)  # when the clock of the sink stands at 0
ZONES = {"p1": "Africa/Abidjan", "p2": "Pacific/Guadalcanal"}  # noon and eleven at night
RULES = Rules(cap=2, quiet=(time(21), time(7)), zones=ZONES, started=NOON, clock=0.0)


def line(mark: str, at: float = 0.0, **other: Any) -> Line:
    return replace(Line("accepted", at, f"key of {mark}", "digest", mark), **other)


def said(mark: str, state: str = "accepted", **other: Any) -> Told:
    return replace(Told(f"key of {mark}", mark, state, mark.split("_")[1], 0.0), **other)


NOTE, BILL = "note_p1_o1", "bill_p1_o1"
LINES = [line(NOTE), line(BILL, 1.0)]
TOLD = [said(NOTE), said(BILL), said("note_p1_o8", "suppressed", held_back="cap")]
TOLD += [said("note_p2_o9", "expired", held_back="quiet")]
ASKED = {NOTE, BILL}
BLOWS = [Blow("kill", "worker", 0.0, held=[Held(keys=frozenset({f"key of {BILL}"}))], open=1)]


def counted(
    lines: Sequence[Line] = (), told: Sequence[Told] = (), asked: Sequence[str] = (), blows: Sequence[Blow] = BLOWS
) -> Figures:
    return count([*LINES, *lines], [*TOLD, *told], {*ASKED, *asked}, set(), RULES, blows)


def test_a_run_in_which_all_went_well_is_as_it_must_be() -> None:
    figures = counted()

    assert wrong(figures, BLOWS) == []
    assert (figures.messages, figures.accepts, figures.lost, figures.unknown) == (4, 2, 0, 0)
    assert figures.recovery == {"kill": ("worker", [1.0])}


@pytest.mark.parametrize(
    ("lines", "told", "asked", "name"),
    [
        ([line(NOTE, 2.0)], [], [], "duplicates"),
        ([line(NOTE, 2.0, key="another")], [said(NOTE, key="another")], [], "second_keys"),
        ([line(NOTE, 2.0, key="another")], [], [], "accepts_without_row"),
        ([line(NOTE, 2.0, kind="repeated", digest="other bytes")], [], [], "changed_bytes"),
        ([], [said(NOTE, "suppressed", key="another")], [], "second_rows"),
        ([], [], ["bill_p1_o2"], "lost"),
        ([], [said("bill_p1_o2", "begun")], [], "lost"),
        ([], [said("bill_p1_o2")], [], "lost"),
        ([line("bill_p1_o2")], [said("bill_p1_o2", "suppressed")], [], "accepts_told_otherwise"),
        ([line(f"note_p1_o{n}", n) for n in (2, 3)], [said(f"note_p1_o{n}") for n in (2, 3)], [], "caps_broken"),
        ([line("thanks_p2_o2", 60.0)], [said("thanks_p2_o2")], [], "quiet_hours_broken"),
        ([], [said("bill_p1_o2", "unknown"), said("bill_p1_o3", "unknown")], [], "unknown"),
        ([], [said("bill_p1_o2", "dead")], [], "dead"),
    ],
)
def test_each_figure_can_be_wrong(lines: list[Line], told: list[Told], asked: list[str], name: str) -> None:
    assert any(sentence.startswith(f"{name}:") for sentence in wrong(counted(lines, told, asked), BLOWS))


def test_what_belongs_to_a_contract_knows_no_cap_and_no_quiet_hours() -> None:
    many = [f"bill_p2_o{number}" for number in range(9)]

    assert wrong(counted([line(mark, 5.0) for mark in many], [said(mark) for mark in many]), BLOWS) == []


def test_quiet_hours_forgive_what_began_just_before_them_and_nothing_that_came_before_their_end() -> None:
    evening, morning = 9 * 3_600.0, 19 * 3_600.0  # at the first person's

    def broken(at: float) -> int:
        return counted([line("note_p1_o2", at)], [said("note_p1_o2")]).quiet_hours_broken

    assert [broken(evening - 1), broken(evening + 14), broken(evening + 16)] == [0, 0, 1]
    assert [broken(morning - 1), broken(morning)] == [1, 0]


def test_a_cap_of_a_day_counts_each_day_of_the_persons_own() -> None:
    def broken(*times: float) -> int:
        marks = [f"note_p2_o{number}" for number in range(len(times))]
        return counted([line(mark, at) for mark, at in zip(marks, times, strict=True)]).caps_broken

    midnight = 3_600.0  # at the second person's
    assert broken(midnight - 3, midnight - 2, midnight + 30, midnight + 40) == 0
    assert broken(midnight - 3, midnight - 2, midnight - 1) == 1
    assert broken(midnight + 5, midnight + 30, midnight + 40) == 0, "the first may have begun the day before"
    assert broken(midnight + 20, midnight + 30, midnight + 40) == 1


def test_recovery_is_until_the_first_of_what_was_held_is_accepted_and_may_not_take_too_long() -> None:
    held = [Held(people=frozenset({"p2"})), Held(keys=frozenset({"never"}))]
    blow = Blow("kill", "worker", 0.5, held=held, open=0)
    late = counted([line("bill_p2_o2", 30.5)], [said("bill_p2_o2", created_at=30.0)], blows=[blow])

    assert late.recovery == {"kill": ("worker", [30.0])}
    assert wrong(late, [blow]) == ["recovery from kill: 30.0 s"]


def test_a_database_has_recovered_with_the_next_accept_of_what_was_not_on_its_way() -> None:
    blow = Blow("cut", "database", 0.9, over=None)
    figures = counted([line("bill_p1_o2", 8.9)], [said("bill_p1_o2")], blows=[blow])

    assert figures.recovery == {"cut": ("database", [8.0])}

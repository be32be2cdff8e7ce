"""The table of aims on docs/benchmarks.md: what is measured is held to its aim, and nothing is made up for the rest."""

from __future__ import annotations

import pytest

from bench import aims
from bench.figures import GROWTH, Group, Report
from bench.measure import Figure

BATCH = "A wave to 1,000,000 people through an API that takes many, one process"
HTTP = "A wave to 1,000,000 people over HTTP, two workers"


def report(growth: list[list[str]] | None = None, over_http: list[list[str]] | None = None) -> Report:
    head = ["a whole wave", *GROWTH]
    tables = [("Growth", head, growth), ("Growth over HTTP", head, over_http)]
    return Report(10_000, 1, 0.0, tables=[(title, head, rows) for title, head, rows in tables if rows])


def size(people: str, where: str, minutes: str, peak: str = "196", exponent: str = "1.03") -> list[str]:
    return [f"{people} people, {where}", minutes, "2,110", "441", peak, exponent]


def reached(report: Report) -> dict[str, tuple[str, str]]:
    """What is told of each aim, and whether that is it; of an aim that stands there twice, the last."""
    return {what: (told, verdict) for what, _, told, verdict in aims.table(report)}


def test_a_run_that_measured_nothing_has_every_aim_and_says_of_each_that_it_was_not_measured() -> None:
    rows = list(aims.table(report()))

    assert len(rows) == len(aims.AIMS)
    assert {row[2:] for row in rows} == {("not measured", "")}


def test_the_minutes_of_a_million_people_are_those_of_the_largest_size_on_each_database() -> None:
    found = reached(
        report(
            [
                size("100,000", "SQLite", "0.6"),
                size("1,000,000", "SQLite", "2.9"),
                size("1,000,000", "PostgreSQL", "10.5"),
            ]
        )
    )

    assert found[BATCH] == ("2.9 minutes on SQLite, 10.5 minutes on PostgreSQL", "not yet")
    assert found["Memory at 1,000,000 people"] == ("196 MiB on SQLite, 196 MiB on PostgreSQL", "yes")
    assert found["Growth to 1,000,000 people"] == ("1.03 on SQLite, 1.03 on PostgreSQL", "yes")


@pytest.mark.parametrize(("minutes", "verdict"), [("2.9", "yes"), ("3.0", "not yet")])
def test_three_minutes_are_not_under_three_minutes(minutes: str, verdict: str) -> None:
    assert reached(report([size("1,000,000", "PostgreSQL", minutes)]))[BATCH][1] == verdict


def test_a_million_people_are_not_reckoned_from_fewer_nor_http_from_the_batch_api() -> None:
    fewer = reached(report([size("100,000", "PostgreSQL", "0.2")], [size("100,000", "two workers, PostgreSQL", "0.5")]))
    batch = reached(report([size("1,000,000", "PostgreSQL", "2.0")]))

    assert fewer[BATCH] == fewer[HTTP] == batch[HTTP] == ("not measured", "")


def test_a_million_people_over_http_are_told_where_they_were_measured() -> None:
    rows = [size("1,000,000", "two workers, PostgreSQL", "5.4")]

    assert reached(report(over_http=rows))[HTTP] == ("5.4 minutes on PostgreSQL", "yes")


def test_a_simulation_of_fewer_customers_is_not_that_of_the_aim() -> None:
    rows = [["1,000 customers, 90 days", "2", "2"]]

    found = reached(Report(1_000, 1, 0.0, tables=[("Simulation", ["a simulation", "s", "s of a core"], rows)]))

    assert found["Simulation, 100,000 customers, 90 days"] == ("not measured", "")


def test_a_share_of_the_raw_loop_is_told_for_each_database() -> None:
    group = Group(
        "Plan, render, persist, on SQLite",
        [
            ("raw", "raw Python", Figure(1_000, 1.0, 0.6, 50)),
            ("ours", "outreach", Figure(1_000, 1.0, 1.0, 90)),
        ],
    )
    found = reached(Report(1_000, 1, 0.0, [group]))

    assert found["Plan, render, persist"] == ("60% on SQLite", "yes")

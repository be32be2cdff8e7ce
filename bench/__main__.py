"""Everything measured in one run and set side by side: outreach, the raw loop it cannot beat, the usual way."""

from __future__ import annotations

import argparse
import sys

from bench import where
from bench.measure import Figure, in_own_process

ROUNDS = 3  # each measurement this often, taking turns; the best of each counts
MEMORY = (10_000, 100_000)


def main() -> None:
    wanted = _arguments()
    if wanted.where:
        where.show(wanted.where, wanted.people // 2)
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
    if wanted.memory:
        _memory()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py bench", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--people", type=int, default=10_000, help="people in the shop (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each is measured (default: %(default)s)")
    parser.add_argument("--no-memory", dest="memory", action="store_false", help="leave memory out, the slowest part")
    parser.add_argument("--where", choices=("plan", "smtp"), help="show where the time of one part goes instead")
    return parser.parse_args()


def _side_by_side(title: str, best: dict[str, Figure], *, product: str, ceiling: str, rival: str | None = None) -> None:
    ours, most = best[product].rate, best[ceiling].rate
    print(f"{title:<52}messages/s")
    _line("raw Python, no product around it", most)
    _line("outreach", ours, f"{ours / most:.0%} of the raw loop")
    if rival:
        usual = best[rival].rate
        _line("the usual way: EmailMessage and smtplib", usual, f"outreach is {ours / usual:.1f} times as fast")
    print()


def _line(what: str, figure: float, remark: str = "") -> None:
    print(f"  {what:<46}{figure:>12,.0f}   {remark}".rstrip())


def _memory() -> None:
    print(f"{'Memory of the process that plans a whole wave':<57}MiB")
    for count in MEMORY:
        _progress(f"memory at {count:,} people")
        figure = in_own_process("product", "plan", count)
        _progress("")
        _line(f"{count:,} people", figure.peak_mib, f"{figure.rate:,.0f} messages/s")


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text:<60}\r", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

"""The crash ledger: real processes are hit again and again, and what a sink outside of them accepted is held to what
was asked for and to what stands in the database.

    python3 dev.py crash [--kills 200] [--database sqlite|postgres|all] [--provider blind|keyed|lanes|smtp|all]

Exit code 1 when anything was accepted twice, lost, or not as docs/crash-ledger.md says.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .page import page, told
from .play import play
from .shop import CHANNELS, ROOT

DATABASES = ("sqlite", "postgres")
BRIEF = 5  # blows of a short run


def main() -> None:
    wanted = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left running
    if wanted.of:
        reports = [report for file in wanted.of for report in json.loads(file.read_text(encoding="utf-8"))]
    else:
        reports = _side_by_side(wanted) if wanted.database == "all" else list(_runs(wanted))
    print(json.dumps(reports) if wanted.json else "\n\n".join(map(told, reports)), flush=True)
    if wanted.write:
        (ROOT / "docs" / "crash-ledger.md").write_text(page(reports), encoding="utf-8")
    sys.exit(1 if any(report["wrong"] for report in reports) else 0)


def _runs(wanted: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One for each provider."""
    providers = tuple(CHANNELS) if wanted.provider == "all" else [wanted.provider]
    if wanted.brief:
        wanted.kills, wanted.pace = BRIEF * len(providers), 0.7
    wanted.kills = -(-wanted.kills // len(providers))
    for wanted.provider in providers:
        yield _one(wanted)
        wanted.seed += 1


def _side_by_side(wanted: argparse.Namespace) -> list[dict[str, Any]]:
    """Both databases at the same time, each with half of the blows, in processes like this one."""
    words = [sys.executable, "-m", __spec__.name, *sys.argv[1:], "--json"]
    running = []
    for number, database in enumerate(DATABASES):
        more = [f"--database={database}", f"--kills={-(-wanted.kills // 2)}", f"--seed={wanted.seed + 10 * number}"]
        running.append(subprocess.Popen([*words, *more, "--no-write"], stdout=subprocess.PIPE))
    try:
        return [report for one in running for report in json.loads(one.communicate()[0])]
    finally:
        for one in running:
            one.terminate()
            one.wait()


def _one(wanted: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="outreach-crash-") as folder:
        return play(Path(folder), wanted)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py crash", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="how many blows are dealt in all (default: %(default)s)")
    parser.add_argument("--database", choices=(*DATABASES, "all"), default="postgres")
    parser.add_argument("--workers", type=int, default=2, help="processes beside each other; on SQLite there is one")
    parser.add_argument("--provider", choices=(*CHANNELS, "all"), default="blind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--people", type=int, default=4_000)
    parser.add_argument("--pace", type=float, default=2.0, help="seconds between two blows, on average")
    parser.add_argument("--brief", action="store_true", help="few blows in half a minute, for every change")
    parser.add_argument("--json", action="store_true", help="the figures for programs")
    parser.add_argument(
        "--write", action=argparse.BooleanOptionalAction, default=False, help="write docs/crash-ledger.md"
    )
    parser.add_argument("--of", type=Path, nargs="+", metavar="FILE", help="play nothing: take what --json told before")
    parser.add_argument("--keep", type=Path, help="where to leave the files of a run that went wrong")
    return parser.parse_args()


if __name__ == "__main__":
    main()

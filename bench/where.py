"""Where the product's time goes: our own functions by their share of a wave, callees included."""

from __future__ import annotations

import cProfile
import pstats
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.measure import Stopwatch
from bench.product import measure

HERE = Path(__file__).resolve().parents[1]
LINES = 40


class Profiling(Stopwatch):
    """Looks on while the clock runs. Looking costs time: shares hold, seconds do not."""

    def __init__(self) -> None:
        super().__init__()
        self.profile = cProfile.Profile()

    @contextmanager
    def running(self) -> Iterator[None]:
        with super().running():
            self.profile.enable()
            try:
                yield
            finally:
                self.profile.disable()


def show(part: str, count: int) -> None:
    """Print the functions of ours that take the most of `plan` or `smtp`."""
    watch = Profiling()
    with tempfile.TemporaryDirectory(prefix="outreach-bench-") as folder:
        messages = measure(part, Path(folder), watch, count)
    stats: Any = pstats.Stats(watch.profile)
    total = stats.total_tt
    ours = [
        (cumulative, own, calls, Path(file).relative_to(HERE).as_posix(), line, name)
        for (file, line, name), (_, calls, own, cumulative, _) in stats.stats.items()
        if file.startswith((f"{HERE}/engine", f"{HERE}/channels"))
    ]
    print(f"{part}: {messages:,} messages\n\n  with callees      alone   calls/message")
    for cumulative, own, calls, file, line, name in sorted(ours, reverse=True)[:LINES]:
        print(f"  {cumulative / total:>11.1%}{own / total:>11.1%}{calls / messages:>16.2f}   {file}:{line} {name}")

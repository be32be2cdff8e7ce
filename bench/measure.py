"""One measurement in a process of its own, so that none warms up or weighs down another."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """What was measured: how many messages in how many seconds, how long a core was busy, the most memory held."""

    messages: int
    seconds: float
    busy: float
    peak_mib: float

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds

    @property
    def cost(self) -> float:
        """Microseconds of a core for each message: steadier than the rate where others use the machine too."""
        return self.busy / self.messages * 1e6


class Stopwatch:
    """Sums up the time between its starts and stops: what is not part of the work is not counted."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.busy = 0.0
        self.beside: Callable[[], float] = lambda: 0.0  # how long others were busy for us: a server of a database
        self.peak: Callable[[], float] = peak_mib  # the most memory that a process held

    @contextmanager
    def running(self) -> Iterator[None]:
        began, busy, beside = time.perf_counter(), time.process_time(), self.beside()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - began
            self.busy += time.process_time() - busy + self.beside() - beside


def in_own_process(module: str, *args: object) -> Figure:
    """Run `python -m bench.MODULE ARGS` and read its figure."""
    command = [sys.executable, "-m", f"bench.{module}", *map(str, args)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the measurement {module} failed with exit code {done.returncode}")
    return Figure(**json.loads(done.stdout.splitlines()[-1]))


def report(work: Callable[[Path, Stopwatch], int]) -> None:
    """The other side: do the work in an empty folder, print its figure."""
    watch = Stopwatch()
    with tempfile.TemporaryDirectory(prefix="outreach-bench-") as folder:
        messages = work(Path(folder), watch)
    print(json.dumps(asdict(Figure(messages, watch.seconds, watch.busy, watch.peak()))))


def peak_mib(pid: int | str = "self") -> float:
    """The most memory that a process has held. What getrusage says on Linux may be the most of who started it."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * 1024)  # bytes on macOS

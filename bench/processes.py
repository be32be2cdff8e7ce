"""A whole wave by real processes of the command line, one or several on one PostgreSQL, from the first message that the
sink took until nothing is left to do for anybody: their start is not counted, and what follows a message is.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from bench import postgres
from bench.measure import Stopwatch, peak_mib, report
from bench.people import NOW, audience
from bench.product import SINKHOLE, Bench, over_http, shop

PATIENCE = 3_600.0  # seconds
LOOK, SOON = 0.1, 0.01  # seconds between two looks at how many have arrived, and whether any has
ENDED = "SELECT NOT EXISTS (SELECT FROM enrollment WHERE active)"
SECRET = "a secret of the measurement"
PROGRAM = """
from engine.cli.main import main
from engine.work import pulse
pulse.TEST_BEAT = 60.0  # the instant stands still, and beats come as they do by a clock that goes
main()
"""


def main(command: str, processes: int, count: int) -> None:
    """`command` is what each of them runs: daemon (one only) or worker."""

    def measure(folder: Path, watch: Stopwatch) -> int:
        with postgres.running(folder) as server, over_http("sink_blind") as (place, channel):
            app = shop(Bench(folder, watch, count, server.url), channel)
            app.close()
            home = folder / "shop"
            (home / "clock").write_text(NOW.isoformat(), encoding="utf-8")
            with (home / "config.yaml").open("a", encoding="utf-8") as file:
                file.write(f"test_clock: clock\ndatabase: {server.url}\nweb: {{port: 0}}\n")
            with running(home, command, processes) as pids, psycopg.connect(server.url, autocommit=True) as connection:
                watch.beside = lambda: server.busy() + sum(map(postgres.used, pids))
                _until(lambda: place.taken() > 0, SOON)
                before = place.taken()
                with watch.running():
                    _until(lambda: place.taken() >= audience(count))
                    _until(lambda: connection.execute(ENDED).fetchone() == (True,))
                most = max(map(peak_mib, pids))
            watch.peak = lambda: most
            return place.taken() - before

    report(measure)


def known(command: str) -> bool:
    """Whether outreach has this command."""
    asked = [sys.executable, "-m", "engine.cli.main", command, "--help"]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0


@contextmanager
def running(home: Path, command: str, processes: int) -> Iterator[list[int]]:
    """Processes of outreach for the time of a block."""
    path = os.pathsep.join([str(SINKHOLE), str(SINKHOLE.parents[1])])
    env = os.environ | {"OUTREACH_SECRET": SECRET, "PYTHONPATH": path, "LANGUAGE": "en"}
    program = [sys.executable, "-c", PROGRAM, "--config", str(home / "config.yaml"), command]
    quiet = subprocess.DEVNULL
    started = [subprocess.Popen(program, env=env, stdout=quiet, stderr=quiet) for _ in range(processes)]
    try:
        yield [process.pid for process in started]
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait()


def _until(holds: Callable[[], bool], look: float = LOOK) -> None:
    pause, began = threading.Event(), time.monotonic()
    while not holds():
        if time.monotonic() - began > PATIENCE:
            raise SystemExit("not all messages arrived")
        pause.wait(look)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))

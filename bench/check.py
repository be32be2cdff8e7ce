"""How long `outreach check` takes, as a process of its own: on the shop that ships, and with many more journeys."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
SHIPPED = ("config.yaml", "journeys", "templates")


def seconds(journeys: int) -> float:
    """Seconds of a core for one check of so many journeys: the three that ship, and copies of them."""
    with tempfile.TemporaryDirectory(prefix="outreach-bench-") as place:
        home = Path(place)
        for name in SHIPPED:
            source = HERE / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, home / name)
        own = [path for path in sorted((home / "journeys").glob("*.yaml")) if path.name != "audience.yaml"]
        for number in range(len(own), journeys):
            path = own[number % len(own)]
            shutil.copy(path, path.with_name(f"{path.stem}_{number}.yaml"))
        before = os.times()
        env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        command = [sys.executable, "-m", "engine.cli.main", "--config", str(home / "config.yaml"), "check"]
        subprocess.run(command, cwd=HERE, env=env, stdout=subprocess.DEVNULL, check=True)
        after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system

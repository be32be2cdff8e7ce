"""What all tests share: hypothesis settings under which a run is the same every time, and texts compiled once."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from shutil import disk_usage
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from psutil import virtual_memory

if TYPE_CHECKING:
    from engine.journey.problems import Problem
    from engine.message.templates import Texts
    from engine.settings import Settings

settings.register_profile("outreach", derandomize=True, deadline=None, database=None)
settings.load_profile("outreach")

SLOWEST = (  # files that take more than ten seconds: they begin first, so that all cores end together
    "daemon/test_workers.py",
    "audience/test_audience_properties.py",
    "daemon/test_restore.py",
    "daemon/test_crashes.py",
    "real/test_uci_truth.py",
    "work/test_entering_many.py",
    "channels/test_smtp.py",
    "cli/test_commands.py",
    "language/test_language.py",
    "cli/test_demo_numbers.py",
    "work/test_segments_kept.py",
    "store/test_portable.py",
    "real/test_scores.py",
    "simulate/test_same_as_daemon.py",
    "work/test_promises.py",
    "work/test_copying.py",
    "daemon/test_deaths.py",
    "daemon/test_daemon.py",
    "channels/test_sinkhole.py",
    "work/test_renaming.py",
    "real/test_uci_correlation.py",
    "real/test_uci_files.py",
    "store/test_plans.py",
    "simulate/test_scenarios.py",
    "work/test_verbs.py",
    "work/test_four_processes.py",
    "store/test_database.py",
    "store/test_migrations.py",
    "daemon/test_pausing.py",
)
PLENTY = 8 * 2**30  # bytes of memory: in less than that nobody should keep files


def pytest_configure() -> None:
    """Where there is plenty of memory the files of tests lie in it, unless TMPDIR names another place; some of them are
    programs, which may be forbidden there."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or os.statvfs(memory).f_flag & os.ST_NOEXEC:
        return
    if min(disk_usage(memory).free, virtual_memory().available) > PLENTY:
        os.environ.setdefault("TMPDIR", str(memory))
        tempfile.tempdir = None  # asked anew


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {Path(__file__).parent / name: rank for rank, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


def pytest_collection_finish() -> None:
    """What was imported stays to the end: the collector of garbage need not look through it again and again."""
    gc.collect()
    gc.freeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=25, help="how often each crash test kills a daemon (default: 25)")
    parser.addoption("--seed", type=int, default=1, help="another seed, other instants to kill at (default: 1)")


@pytest.fixture(scope="session", autouse=True)
def texts_compiled_once() -> Iterator[None]:
    """Shops with the same texts share them, compiled: those that ship take a second, and hundreds of shops have them.

    What a folder holds is compared byte by byte. Other processes, and the tests of texts, compile for themselves.
    """
    if "engine.app" not in sys.modules:  # these tests open no shop
        yield
        return
    templates, *rooms = map(import_module, ("engine.message.templates", "engine.app", "engine.cli.findings"))
    known: dict[tuple[object, ...], tuple[Texts, list[Problem]]] = {}

    def load(folder: Path, settings: Settings) -> tuple[Texts, list[Problem]]:
        key = (folder.name, settings.model_dump_json(), *_held(folder))
        if key not in known:
            known[key] = templates.load_texts(folder, settings)
        texts, problems = known[key]
        return texts, list(problems)

    with pytest.MonkeyPatch.context() as patch:
        for room in rooms:
            patch.setattr(room, "load_texts", load)
        yield


def _held(folder: Path) -> Iterator[tuple[str, object]]:
    """Everything under a folder: its name, and what it is or holds."""
    for path in sorted(folder.rglob("*")):
        shown = path.relative_to(folder).as_posix()
        if path.is_symlink() or not path.is_file():
            yield shown, (path.is_dir(), path.resolve())
        else:
            yield shown, path.read_bytes()

"""The page on writing a provider keeps its word: its package is built, found by its name, and keeps the contract."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parents[2]
PAGE = (HERE / "docs" / "adding-a-provider.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```(?:toml|python) ([\w.]+)\n(.*?)```", PAGE, re.DOTALL))


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the page, as a stranger would write them."""
    folder = tmp_path_factory.mktemp("pigeonpost")
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def site(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pip puts the package when it is installed."""
    place = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    local = ["--no-index", "--no-deps", "--no-build-isolation", "--target", str(place), str(package)]
    made = subprocess.run([*pip, *local], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return place


def _python(site: Path, *args: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{HERE}"}
    return subprocess.run([sys.executable, *args], capture_output=True, text=True, env=env, cwd=site)


def test_the_provider_of_the_page_has_less_than_120_lines() -> None:
    assert set(FILES) == {"pyproject.toml", "pigeonpost.py", "test_pigeonpost.py"}
    assert sum(len(FILES[name].splitlines()) for name in ("pyproject.toml", "pigeonpost.py")) < 120


def test_the_package_of_the_page_is_installed_and_found_by_its_entry_point(site: Path) -> None:
    code = "from channels.registry import find; print(find('pigeon').__module__)"
    assert _python(site, "-c", code).stdout.strip() == "pigeonpost"


def test_the_tests_of_the_page_hold_its_provider_to_the_contract(site: Path, package: Path) -> None:
    told = _python(site, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio", str(package))
    assert told.returncode == 0, told.stdout + told.stderr
    passed = re.search(r"(\d+) passed", told.stdout)
    assert passed is not None
    assert int(passed[1]) > 80

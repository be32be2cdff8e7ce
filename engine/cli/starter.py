"""`outreach init`: a new shop's folder with one small journey, its texts and a few people to try it on."""

from __future__ import annotations

import shutil
from pathlib import Path

from engine.cli.words import _
from engine.errors import Refused

STARTER = Path(__file__).parent / "starter_shop"


def write_starter(folder: Path) -> list[Path]:
    """Write the starter into a folder that is empty or not there yet; the files."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Refused(_("{folder} exists and is not empty; name a new folder").format(folder=folder))
    shutil.copytree(STARTER, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())

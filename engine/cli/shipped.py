"""Where the things that ship with the code stand: the three journeys, their texts, the example shop's config."""

from __future__ import annotations

import shutil
from pathlib import Path

PARTS = ("config.yaml", "journeys", "templates")


def shipped_folder() -> Path:
    """The folder that holds config.yaml, journeys/ and templates/: inside an installed package, or the clone."""
    packed = Path(__file__).parent / "shipped"
    return packed if packed.is_dir() else Path(__file__).resolve().parents[2]


def copy_shipped(target: Path) -> None:
    """Copy the example shop into a folder."""
    for name in PARTS:
        origin = shipped_folder() / name
        if origin.is_dir():
            shutil.copytree(origin, target / name, dirs_exist_ok=True)
        else:
            shutil.copy2(origin, target / name)

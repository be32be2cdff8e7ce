"""Where the things that ship with the code stand: the journeys, their texts, the example shop's config."""

from __future__ import annotations

import shutil
from pathlib import Path

PARTS = ("config.yaml", "journeys", "templates")


PACKED = Path(__file__).parent / "shipped"  # there in an installed package only


def shipped_folder() -> Path:
    """The folder that holds config.yaml, journeys/ and templates/: inside an installed package, or the clone."""
    return PACKED if PACKED.is_dir() else Path(__file__).resolve().parents[2]


def command() -> str:
    """How whoever tries the demo calls the next command: an installed one by its name, a clone by dev.py."""
    return "outreach" if PACKED.is_dir() else "python3 dev.py run"


def copy_shipped(target: Path) -> None:
    """Copy the example shop into a folder."""
    for name in PARTS:
        origin = shipped_folder() / name
        if origin.is_dir():
            shutil.copytree(origin, target / name, dirs_exist_ok=True)
        else:
            shutil.copy2(origin, target / name)

"""`outreach init`: a new shop's folder with one small journey, its texts and a few people to try it on."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from pathlib import Path

from engine.cli.words import _
from engine.errors import Refused

STARTER = Path(__file__).parent / "starter_shop"
EVENTS = "events.csv"
AGO = {
    "{three hours ago}": timedelta(hours=3),
    "{two hours ago}": timedelta(hours=2),
    "{an hour ago}": timedelta(hours=1),
}


def write_starter(folder: Path, now: datetime) -> list[Path]:
    """Write the starter into a folder that is empty or not there yet; the files. Its orders are a few hours old."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Refused(_("{folder} exists and is not empty; name a new folder").format(folder=folder))
    shutil.copytree(STARTER, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    _date(folder / EVENTS, now)
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def _date(events: Path, now: datetime) -> None:
    """Old orders would start nothing, so those of the sample happened just now."""
    text = events.read_text(encoding="utf-8")
    for written, ago in AGO.items():
        text = text.replace(written, (now - ago).isoformat(timespec="seconds"))
    events.write_text(text, encoding="utf-8")

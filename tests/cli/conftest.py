"""The tests of the command line read English, whatever language their machine speaks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ["LANGUAGE"] = "en"

import shops


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """The folder that `outreach init` makes."""
    return shops.starter(tmp_path / "shop")

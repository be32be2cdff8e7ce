"""Facts about vendors that lie beside the project: vectors and OpenAPI documents. Tests without them are skipped.

$OUTREACH_DATA names the folder of the data, else it is ../shared/data beside the repository; the vectors lie beside it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest


def _data() -> Path:
    given = os.environ.get("OUTREACH_DATA")
    return Path(given) if given else Path(__file__).parents[1].parent / "shared" / "data"


def cases(file: str) -> list[dict[str, Any]]:
    """The cases of a file of vectors, for parametrize; none where the file is not here."""
    path = _data().parent / "vectors" / file
    return json.loads(path.read_text(encoding="utf-8"))["cases"] if path.is_file() else []


def document(file: str) -> Path:
    """An OpenAPI document. Skips the test where it is not here."""
    path = _data() / "openapi" / file
    if not path.is_file():
        pytest.skip(f"{file} is not here (OUTREACH_DATA names its folder)")
    return path


def of_provider(name: str) -> list[dict[str, Any]]:
    """What the codes of a provider mean: its rows of error_classes.json."""
    return [row for row in cases("error_classes.json") if row["provider"] == name]


def inbound(name: str) -> list[dict[str, Any]]:
    """Reports of a provider with what they say."""
    return [case for case in cases("inbound_payloads.json") if case["provider"] == name]


def recorded(sdk: str) -> list[dict[str, Any]]:
    """Requests as a vendor's own library was recorded to send them."""
    return [case for case in cases("sdk_wire_recordings.json") if case.get("sdk", "").startswith(sdk)]

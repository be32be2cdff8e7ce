"""Facts about vendors that lie beside the project, vectors and OpenAPI documents: a test without them is skipped.

$OUTREACH_DATA names the folder of data, else it is ../shared/data beside the repository; the vectors lie beside it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest


def cases(file: str, provider: str | None = None) -> list[dict[str, Any]]:
    """The cases of a file, those of one provider, or as one library sent them, where several share it; none where the
    file is not here."""
    path = _data().parent / "vectors" / file
    found = json.loads(path.read_text(encoding="utf-8"))["cases"] if path.is_file() else []
    return [case for case in found if provider in (None, case.get("provider"), case.get("sdk", "").partition(" ")[0])]


def each_of(file: str, provider: str | None = None, *names: str) -> pytest.MarkDecorator:
    """One test for each case, named after it; one that is skipped where the file is not here."""
    found = cases(file, provider)
    skipped = pytest.param(None, marks=pytest.mark.skip(reason=f"{file} is not here (OUTREACH_DATA names its folder)"))
    names = names or ("name",)
    return pytest.mark.parametrize(
        "case", found or [skipped], ids=[" ".join(str(case[name]) for name in names) for case in found] or ["none"]
    )


def document(file: str) -> Path:
    """An OpenAPI document. Skips the test where it is not here."""
    path = _data() / "openapi" / file
    if not path.is_file():
        pytest.skip(f"{file} is not here (OUTREACH_DATA names its folder)")
    return path


def _data() -> Path:
    given = os.environ.get("OUTREACH_DATA")
    return Path(given) if given else Path(__file__).parents[2].parent / "shared" / "data"

"""The page of promises: each that stands there is held by a test that bears its number."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parents[2]
PROMISE = re.compile(r"^- \*\*([A-Z]\d+)\*\* ", re.MULTILINE)
NAMED = re.compile(r"^ *(?:async )?def test_((?:[A-Z]\d+_)+)", re.MULTILINE)


def held() -> set[str]:
    """The numbers in the names of all tests."""
    texts = (path.read_text(encoding="utf-8") for path in (HERE / "tests").rglob("test_*.py"))
    return {number for text in texts for name in NAMED.findall(text) for number in name.rstrip("_").split("_")}


def test_every_promise_is_held_by_a_test_of_its_number() -> None:
    promises = PROMISE.findall((HERE / "docs" / "promises.md").read_text(encoding="utf-8"))

    assert len(promises) > 30
    assert len(promises) == len(set(promises))
    assert set(promises) - held() == set()

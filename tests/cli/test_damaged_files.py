"""A few hundred damaged files through everything that reads them; `dev.py fuzz` does the same for minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.long.fuzz import fuzz

ROUNDS = 125


@pytest.mark.parametrize("seed", [11, 12])
def test_no_damaged_file_ends_in_anything_but_problems_with_a_place(tmp_path: Path, seed: int) -> None:
    done, broken = fuzz(tmp_path / "shop", seed, lambda number: number == ROUNDS)
    assert broken == []
    assert sum(done.values()) == ROUNDS
    assert len(done) > 8

"""The UCI history, read once for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.real import uci
from tests.real.uci_oracle import FILE, Truth, data_dir, oracle


@pytest.fixture(scope="session")
def truth() -> Truth:
    return oracle(seed=1)


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """people.csv and events.jsonl."""
    data = data_dir()
    assert data is not None
    return uci.convert(data / FILE, tmp_path_factory.mktemp("uci"), seed=1)

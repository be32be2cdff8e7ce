"""What all tests share: hypothesis settings under which a run is the same every time."""

from __future__ import annotations

import pytest
from hypothesis import settings

settings.register_profile("outreach", derandomize=True, deadline=None, database=None)
settings.load_profile("outreach")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=6, help="how often each crash test kills a daemon (default: 6)")
    parser.addoption("--seed", type=int, default=1, help="another seed, other instants to kill at (default: 1)")

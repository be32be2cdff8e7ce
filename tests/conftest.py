"""What all tests share: hypothesis settings under which a run is the same every time."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("outreach", derandomize=True, deadline=None, database=None)
settings.load_profile("outreach")

"""What a step may answer about the way that stands on it: it stays, goes on, or ends."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from engine.decide.decision import Rule
from engine.decide.state import Enrolled


class Stay(Struct, frozen=True):
    """The way stays on the step. `until` is when to look again; None: only an answer moves it."""

    until: datetime | None
    rule: Rule
    sentence: str


class Go(Struct, frozen=True):
    """The way goes on by an outcome; the next step is reached at `at`."""

    outcome: str | None
    at: datetime
    rule: Rule
    sentence: str
    detail: Mapping[str, Any] | None = None
    carries: Enrolled | None = None  # the enrollment with what the step gave it


class End(Struct, frozen=True):
    """The way ends here."""

    reason: str
    at: datetime
    rule: Rule
    sentence: str


Result = Stay | Go | End

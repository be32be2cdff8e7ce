"""Lines of a person's story as rows."""

from __future__ import annotations

from datetime import datetime

from engine.decide.decision import Trace
from engine.store.tables import Row


def trace_row(customer_id: int, trace: Trace, now: datetime, version_id: int | None = None) -> Row:
    """A line of a person's story, as a row; `version_id` is told for lines about entering."""
    return {
        "customer_id": customer_id,
        "enrollment_id": trace.enrollment_id,
        "journey": trace.journey,
        "version_id": version_id,
        "step": trace.step,
        "at": now,
        "rule": trace.rule.value,
        "sentence": trace.sentence,
        "detail": dict(trace.detail),
        "file": trace.file,
        "line": trace.line,
    }

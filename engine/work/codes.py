"""Every code a Problem can carry about rows that can be read and do not fit the database, with its sentence."""

from __future__ import annotations

from typing import Final

CODES: Final[dict[str, str]] = {
    "no-file": "There is no file of this name, or it cannot be read.",
    "unknown-person": "An event is about a person nobody knows.",
    "event-conflict": "An event is recorded already with another content.",
    "future-event": "An event lies in the future.",
}
"""Code to sentence, in the order of the documentation."""

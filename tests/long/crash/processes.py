"""What the system says of processes."""

from __future__ import annotations

from pathlib import Path


def state_of(pid: int) -> str:
    """R, S, T (stopped), Z (ended): as the system says."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return "Z"
    return told.rpartition(") ")[2][0]

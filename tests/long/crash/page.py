"""The ledger in words: on the terminal, and as docs/crash-ledger.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def told(report: Mapping[str, Any]) -> str:
    """One run, for a terminal."""
    lines = []
    for name, value in report.items():
        if name == "wrong":
            continue
        if isinstance(value, dict):
            lines.append(name.replace("_", " "))
            lines += [f"  {key}: {_shown(one)}" for key, one in value.items()]
        else:
            lines.append(f"{name.replace('_', ' '):<28}{value}")
    wrong = report["wrong"]
    lines.append("as it must be" if not wrong else "NOT AS IT MUST BE\n  " + "\n  ".join(wrong))
    return "\n".join(lines)


def _shown(one: Any) -> str:
    if isinstance(one, tuple | list):
        of, times, middle, worst = one
        return f"{middle} s, worst {worst} s ({times} times, {of})"
    return str(one)


def page(reports: Sequence[Mapping[str, Any]], words: Sequence[str]) -> str:
    return "# The crash ledger\n\n" + "\n\n".join(f"```\n{told(report)}\n```" for report in reports) + "\n"

"""What a code means, in full: the part of docs/findings.md about it, or its sentence in the list of codes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from engine.cli.error_page import PARTS
from engine.cli.shipped import PACKED

_PAGE = "findings.md"
_SECTION = re.compile(r"^### `([a-z-]+)`\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)


def codes() -> Mapping[str, str]:
    """Every code of any file, with its sentence."""
    return {code: sentence for _, listed in PARTS for code, sentence in listed.items()}


@cache
def sections() -> Mapping[str, str]:
    """What docs/findings.md says of each code it speaks of, as it is written there."""
    packed = PACKED / _PAGE
    page = packed if packed.is_file() else Path(__file__).resolve().parents[2] / "docs" / _PAGE
    return {code: text.strip() for code, text in _SECTION.findall(page.read_text(encoding="utf-8"))}


def explanation(code: str) -> str | None:
    """All that is known about a code, to be read; None where there is no such code."""
    if code in sections():
        return f"{code}\n\n{sections()[code]}"
    sentence = codes().get(code)
    return f"{code}\n\n{sentence}" if sentence is not None else None

"""What is wrong in something a person wrote: a place, a code, a sentence and a cure. All of them are shown together."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a Problem matters."""

    error = "error"  # refused: nothing is published, imported or sent
    warning = "warning"  # allowed, but a colleague would say something


@dataclass(frozen=True, order=True)
class Position:
    """A place in a text file. Lines and columns count from 1."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Problem:
    """One finding. `code` is a stable word (`unknown-key`), `sentence` says what is wrong, `hint` how to mend it."""

    code: str
    sentence: str
    position: Position
    hint: str = ""
    severity: Severity = Severity.error

"""Commands as a person types them, in this process: what they print, and their exit code."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.cli.main import run_command


@dataclass(frozen=True)
class Typed:
    """What came of a command."""

    code: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        """The one JSON value on standard output."""
        return json.loads(self.out)

    @property
    def said(self) -> str:
        return self.out + self.err


def typed(folder: Path, *words: str, answer: str = "") -> Typed:
    """Type a command in a folder; `answer` is what stands on standard input."""
    out, err = io.StringIO(), io.StringIO()
    before, stdin = Path.cwd(), sys.stdin
    os.chdir(folder)
    sys.stdin = io.StringIO(answer)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run_command(words)
    finally:
        os.chdir(before)
        sys.stdin = stdin
    return Typed(code, out.getvalue(), err.getvalue())

"""What every command is handed by the global options: which config.yaml, and where to show things."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from engine.cli.show import Output


@dataclass
class Context:
    """Set by the global options before a command runs."""

    config: Path = Path("config.yaml")
    out: Output = field(default_factory=Output)

    @property
    def home(self) -> Path:
        """The folder that places in files are told from."""
        return self.config.absolute().parent


CONTEXT = Context()

"""What every command is handed: the config file, where to show things, and the ways to open an installation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from engine.app import App, build_app
from engine.cli.show import Output
from engine.cli.words import _
from engine.errors import Refused

GLOBAL_OPTIONS = ("--config", "--format")


@dataclass
class Context:
    """Set by the global options before a command runs."""

    config: Path = Path("config.yaml")
    out: Output = field(default_factory=Output)


CONTEXT = Context()


@contextmanager
def opened(inert: bool = True) -> Iterator[App]:
    """The installation for the time of a command. `inert`: it sends nothing, so it needs no secret."""
    app = build_app(CONTEXT.config, inert=inert)
    try:
        yield app
    finally:
        app.close()


@contextmanager
def read_only() -> Iterator[App]:
    """The files of an installation with a database that is empty and forgotten: for checking."""
    app = build_app(CONTEXT.config, database="sqlite://", inert=True, strict=False)
    try:
        yield app
    finally:
        app.close()


def instant(text: str | None, now: datetime) -> datetime:
    """An instant as it is typed: ISO 8601, in UTC where no zone is given. None is now."""
    if text is None:
        return now
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(
            _("{text!r} is no instant; write 2026-12-01T10:00 or 2026-12-01T10:00+08:00").format(text=text)
        ) from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)

"""Names in texts that nobody has. Behind `default` or `is defined` they never fail, so they would never be missed."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from engine.journey.problems import Position, Problem, Severity
from engine.journey.source import hint_for, nearest
from engine.message.forms import Form

LARGEST_READ = 500_000  # signs of a file in which a name is still looked for


def attributes_unknown(form: Form, kept: Collection[str] | None, usual: Iterable[str], home: Path) -> Iterator[Problem]:
    """Attributes of the person that nobody has; where nobody is known yet, those that nearly are a usual one."""
    known = [*(kept or ()), *usual]
    for name in sorted(form.reads.person.difference(known)):
        if kept is not None or nearest(name, known, cutoff=0.8) is not None:
            sentence = f"nobody has an attribute `{name}` so far"
            yield _told("unknown-attribute", sentence, hint_for(name, known), form, f"person.{name}", home)


def keys_unknown(form: Form, event: str, told: Collection[str], home: Path) -> Iterator[Problem]:
    """Keys of the event that opens the journey that none of the latest told."""
    for name in sorted(form.reads.event.difference(told)):
        sentence = f"none of the latest events `{event}` told a `{name}`"
        yield _told("unknown-event-key", sentence, hint_for(name, told), form, f"event.{name}", home)


def _told(code: str, sentence: str, hint: str, form: Form, written: str, home: Path) -> Problem:
    return Problem(code, sentence, _place(home / form.file, form.file, written), hint, Severity.warning)


def _place(path: Path, shown: str, written: str) -> Position:
    """Where a name first stands in a file; its beginning, where it stands in a layout."""
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")[:LARGEST_READ]
    except OSError:
        return Position(shown)
    owner, _, name = written.partition(".")
    found = re.search(rf"\b{owner}\s*(?:\.\s*{re.escape(name)}\b|\[\s*['\"]{re.escape(name)}['\"])", text)
    if found is None:
        return Position(shown)
    before = text[: found.start()]
    return Position(shown, before.count("\n") + 1, found.start() - (before.rfind("\n") + 1) + 1)

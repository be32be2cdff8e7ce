"""What a running daemon says of the folder: that a draft is wrong, or is not what runs. Once for each change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection

from engine.app import AUDIENCE, App
from engine.journey.problems import Severity
from engine.store import journeys
from engine.work.publishing.drafts import AUDIENCE_FILE, fingerprint
from engine.work.publishing.standing import File, as_written, standings

_TEXTS = "templates"


@dataclass
class Noticing:
    """Looks at the folder when its files, or what runs, have changed and rest since the look before."""

    app: App
    _seen: object = None
    _judged: object = None
    _told: Mapping[str, str] = field(default_factory=dict)

    def news(self) -> list[str]:
        """What has to be said since the last time, a sentence for each file."""
        with self.app.database.reading() as connection:
            state = self._state(connection)
            first, rests = self._seen is None, state == self._seen
            self._seen = state
            if state == self._judged or not (first or rests):  # an editor saves in several small steps
                return []
            self._judged = state
            found = dict(self._look(connection))
        mended = [f"{name} is in order and what runs" for name in self._told.keys() - found.keys()]
        told = [sentence for name, sentence in found.items() if self._told.get(name) != sentence]
        self._told = found
        return [*sorted(mended), *told]

    def _state(self, connection: Connection) -> object:
        live = {name: (one.version_id, one.retired_at) for name, one in journeys.live(connection).items()}
        return live, _stamps(self.app.journeys_folder), tuple(self.app.text_problems)

    def _look(self, connection: Connection) -> Iterator[tuple[str, str]]:
        """(name, sentence) of everything that is not as it runs."""
        app = self.app
        written = as_written(app)
        mistakes = Counter(one.position.file for one in written.errors)
        found = standings(app, connection, written)
        for one in found.values():
            runs = f"version {one.number} runs"
            if one.retired_at is not None:
                continue
            if one.state is File.wrong:
                yield one.file, f"{one.file} {_mistakes(one.mistakes)}; {runs}. See: outreach check {one.file}"
            elif one.state is File.edited:
                yield one.file, f"{one.file} is not what runs; {runs}. See: outreach versions {one.journey}"
            elif one.state is File.gone:
                yield one.file, f"{one.file} is gone; {runs}. See: outreach versions {one.journey}"
        published = {one.file for one in found.values()}
        audience = app.journeys_folder / AUDIENCE_FILE
        shown = str(audience.relative_to(app.home))
        for file, count in sorted(mistakes.items()):
            if file not in published and file != shown:
                yield file, f"{file} {_mistakes(count)} and cannot be published. See: outreach check {file}"
        yield from self._audience(connection, audience, shown, mistakes[shown])
        wrong = sum(one.severity is Severity.error for one in app.text_problems)
        if wrong:
            yield _TEXTS, f"the texts {_have(wrong)}; the last good ones are sent. See: outreach check {_TEXTS}"

    def _audience(self, connection: Connection, path: Path, shown: str, wrong: int) -> Iterator[tuple[str, str]]:
        live = journeys.live(connection).get(AUDIENCE)
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        if wrong:
            yield shown, f"{shown} {_mistakes(wrong)}; what was published runs. See: outreach check {shown}"
        elif live is not None:
            (version,) = journeys.versions(connection, [live.version_id])
            if version.fingerprint != fingerprint(text):
                yield (
                    shown,
                    f"{shown} is not what runs; version {version.number} runs. See: outreach versions {AUDIENCE}",
                )


def _stamps(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """When each file was written, and its size."""
    found = []
    for path in sorted(folder.glob("*.y*ml")):
        try:
            status = path.stat()
        except OSError:  # gone in the meantime
            continue
        found.append((path.name, status.st_mtime_ns, status.st_size))
    return tuple(found)


def _mistakes(count: int) -> str:
    """Where a file cannot be read as a journey for other reasons, no number."""
    return f"has {count} mistake{'s' if count > 1 else ''}" if count else "has mistakes"


def _have(count: int) -> str:
    return _mistakes(count).replace("has", "have", 1)

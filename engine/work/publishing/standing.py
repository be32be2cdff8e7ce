"""What stands in the folder beside what runs: an edit with a mistake, or a file that is gone, changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from sqlalchemy import Connection

from engine.app import AUDIENCE, App
from engine.audience.book import read_audience
from engine.journey.catalog import load_catalog
from engine.journey.graph import Graph
from engine.journey.lint import lint
from engine.journey.problems import Problem, Severity
from engine.store import journeys
from engine.work.publishing.drafts import AUDIENCE_FILE, MISSING_TEXT, Drafts, names_written
from engine.work.publishing.renaming import renamed_from


class File(Enum):
    """What the file of a published journey is today."""

    same = "same"  # as the live version, but for comments and layout
    edited = "edited"  # publishing it would make another version live
    wrong = "wrong"  # it has mistakes and cannot be published
    gone = "gone"


@dataclass(frozen=True)
class Standing:
    """A published journey and its file."""

    journey: str
    number: int  # of the live version
    file: str
    state: File
    mistakes: int = 0
    retired_at: datetime | None = None
    now: str | None = None  # the file that says it was called so before; publishing it gives it that name


@dataclass(frozen=True)
class Written:
    """The journeys as their files say, and the errors in these and in the audience. Texts are not judged."""

    graphs: Mapping[str, Graph]
    errors: Sequence[Problem]


def standings(app: App, connection: Connection, drafts: Drafts | Written | None = None) -> dict[str, Standing]:
    """journey -> how its file and its live version stand to each other. Without drafts, texts are not judged."""
    state = journeys.live(connection)
    live = {one.journey: one for one in journeys.versions(connection, [one.version_id for one in state.values()])}
    written = drafts or as_written(app)
    now = {old: graph.journey for graph in written.graphs.values() if (old := renamed_from(live, graph)) is not None}
    found = {
        name: _standing(app, written.graphs.get(name), written.errors, live[name], state[name].retired_at)
        for name in sorted(live.keys() - {AUDIENCE})
    }
    return {name: replace(one, now=now.get(name)) for name, one in found.items()}


def as_written(app: App) -> Written:
    """What stands in the folder now."""
    path = app.journeys_folder / AUDIENCE_FILE
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    audience, wrong = read_audience(text, str(path.relative_to(app.home)), app.settings, app.journeys_folder)
    catalog, names = load_catalog(app.journeys_folder, audience.trait_names), names_written(app, audience)
    found = [*wrong, *catalog.problems]
    for graph in (*catalog.graphs.values(), *catalog.drafts.values()):
        found += lint(graph, names, app.policy)
    errors = [one for one in found if one.severity is Severity.error and one.code not in MISSING_TEXT]
    return Written(catalog.graphs, errors)


def _standing(
    app: App, graph: Graph | None, errors: Sequence[Problem], version: journeys.Version, retired_at: datetime | None
) -> Standing:
    mistakes = sum(one.position.file == version.file for one in errors)
    if not (app.journeys_folder / f"{version.journey}.yaml").exists():
        file, mistakes = File.gone, 0
    elif mistakes or graph is None:
        file = File.wrong
    else:
        file = File.same if graph.fingerprint == version.fingerprint else File.edited
    return Standing(version.journey, version.number, version.file, file, mistakes, retired_at)

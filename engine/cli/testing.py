"""`outreach test`: the tests that marketers write beside their journeys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.app import App
from engine.cli.context import CONTEXT
from engine.cli.installation import files_only
from engine.cli.words import _, counted
from engine.errors import BadInput, Refused
from engine.journey.problems import Problem
from engine.simulate.played import Played, play, told
from engine.simulate.scenario import FOLDER, Scenario, read_scenarios
from engine.work.publishing.drafts import Drafts, load_drafts


def run_tests(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE", help=_("files of tests; all of journeys/tests/ when none"))
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help=_("show all that happened in every test"))] = False,
) -> int:
    out = CONTEXT.out
    with files_only() as app:
        files = _files(app, paths or ())
        drafts = load_drafts(app)
        scenarios = _read(files, drafts)
        played = [_play(app, drafts, one, verbose) for one in scenarios]
    failed = sum(bool(one.misses) for one in played)
    done = counted("{count} test", "{count} tests", len(played))
    out.say(f"{done}: " + counted("{count} failed", "{count} failed", failed), "red" if failed else "green")
    out.value({"tests": [_value(one) for one in played], "failed": failed})
    return 1 if failed else 0


def _files(app: App, paths: Sequence[Path]) -> list[Path]:
    for path in paths:
        if not path.is_file():
            raise Refused(_("there is no file {file}").format(file=path))
    folder = app.journeys_folder / FOLDER
    found = sorted(paths) or sorted(folder.glob("*.yaml"))
    if not found:
        raise Refused(_("there is no test yet; write one into {folder}").format(folder=folder))
    return found


def _read(files: Iterable[Path], drafts: Drafts) -> list[Scenario]:
    """The tests of all files, and of journeys that can be played; else everything that is wrong."""
    scenarios: list[Scenario] = []
    wrong: list[Problem] = []
    for path in files:
        try:
            scenarios += read_scenarios(path, _shown(str(path)), sorted(drafts.sources), drafts.names)
        except BadInput as error:
            wrong += error.problems
    for name in sorted({name for one in scenarios for name in one.journeys}):
        wrong += drafts.problems_of(name)
    if wrong:
        raise BadInput(_("the tests cannot be played"), wrong)
    return scenarios


def _play(app: App, drafts: Drafts, scenario: Scenario, verbose: bool) -> Played:
    """Play one test and tell how it went at once."""
    out = CONTEXT.out
    played = play(app, drafts, scenario)
    place = scenario.at()
    mark, style = ("✗", "red") if played.misses else ("✓", "green")
    out.say(f"{mark} {scenario.title}  ({_shown(place.file)}:{place.line})", style)
    for miss in played.misses:
        out.say(f"    {_shown(miss.position.file)}:{miss.position.line}: {miss.sentence}")
    if played.misses or verbose:
        out.say(f"    {_('what happened:')}", "dim")
        for one in played.happened:
            out.tell(f"      {told(one, played.zones)}", "dim")
    return played


def _shown(file: str) -> str:
    path = Path(file)
    return str(path.relative_to(CONTEXT.home)) if path.is_relative_to(CONTEXT.home) else file


def _value(played: Played) -> dict[str, Any]:
    place = played.scenario.at()
    return {
        "title": played.scenario.title,
        "file": place.file,
        "line": place.line,
        "passed": not played.misses,
        "misses": played.misses,
        "happened": [
            {"at": one.at, "person": one.person, "what": one.kind, "name": one.object, "why": one.reason}
            for one in played.happened
        ],
    }

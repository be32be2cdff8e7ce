"""`outreach schema`: files with which editors complete and check what one writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.app import App
from engine.audience.schema import audience_schema
from engine.cli.context import CONTEXT
from engine.cli.installation import files_only
from engine.cli.words import _
from engine.journey.schema import journey_schema
from engine.simulate.scenario import FOLDER, scenario_schema
from engine.work.publishing.drafts import load_drafts


def schema(
    check_only: Annotated[bool, typer.Option("--check", help=_("only tell whether the files are up to date"))] = False,
) -> int:
    out = CONTEXT.out
    with files_only() as app:
        written = {path: _text(value) for path, value in _schemas(app).items()}
    stale = [path for path, text in written.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    if check_only:
        told = _("the schemas are out of date; run: outreach schema") if stale else _("the schemas are up to date")
        out.say(told, "yellow" if stale else "green")
        out.value({"up_to_date": not stale, "stale": stale})
        return 1 if stale else 0
    for path, text in written.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        out.say(_("wrote {file}").format(file=path), "green")
    out.value({"wrote": list(written)})
    return 0


def _schemas(app: App) -> dict[Path, Any]:
    """Where each stands: beside the files it is for."""
    drafts = load_drafts(app)
    folder = app.journeys_folder
    return {
        folder / "journey.schema.json": journey_schema(drafts.names),
        folder / "audience.schema.json": audience_schema(drafts.names),
        folder / FOLDER / "test.schema.json": scenario_schema(drafts.names, sorted(drafts.sources)),
    }


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True) + "\n"

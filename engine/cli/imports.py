"""`outreach import`: people and events from files, with a counter while one waits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

from engine.cli.context import CONTEXT
from engine.cli.installation import opened, without_texts
from engine.cli.words import _
from engine.work.importing import Imported, Progress, import_events, import_people, load_mapping

File = Annotated[Path, typer.Argument(metavar="FILE", help=_("CSV or JSON lines, also packed with gzip or xz"))]
Map = Annotated[Path | None, typer.Option("--map", metavar="FILE", help=_("a file that names foreign columns"))]
DryRun = Annotated[bool, typer.Option("--dry-run", help=_("read and check everything, write nothing"))]


def people(file: File, mapping: Map = None, dry_run: DryRun = False) -> int:
    columns = load_mapping(mapping)
    with without_texts() as app, _progress(_("people")) as tick:
        done = import_people(app, file, columns, dry_run, tick)
    told = _("{read} people read: {new} new, {changed} changed, {consents} consents noted, {refused} rows refused")
    _show(done, told.format(**vars(done)), dry_run)
    if done.kept_opt_outs:
        CONTEXT.out.say(_("{count} opt-outs stay against a yes in the file").format(count=done.kept_opt_outs), "yellow")
    return _code(done)


def events(
    file: File,
    mapping: Map = None,
    live: Annotated[bool, typer.Option("--live", help=_("fresh events start and move journeys"))] = False,
    dry_run: DryRun = False,
) -> int:
    columns = load_mapping(mapping)
    with opened() as app, _progress(_("events")) as tick:
        done = import_events(app, file, columns, live, dry_run, tick)
    told = _(
        "{read} events read: {new} new, {repeated} known already, {entered} journeys started, {refused} rows refused"
    )
    counts = {**vars(done), "repeated": done.taken.repeated, "entered": done.taken.entered}
    counts["read"] = done.read - done.turned_away
    _show(done, told.format(**counts), dry_run)
    if not live and done.new:
        CONTEXT.out.say(_("a history starts no journey; fresh events do with --live"))
    return _code(done)


def _code(done: Imported) -> int:
    """A file of which no row could be read is bad input; rows refused among good ones are problems to look at."""
    return 0 if not done.refused else 1 if done.read else 2


def _show(done: Imported, told: str, dry_run: bool) -> None:
    out = CONTEXT.out
    out.problems(done.problems)
    if done.found > len(done.problems):
        out.say(_("... and {count} more").format(count=done.found - len(done.problems)))
    if done.skipped:
        out.say(_("{count} rows were taken in before it was cut off").format(count=done.skipped))
    note = f"  ({_('dry run: nothing was written')})" if dry_run else ""
    out.say(told + note, "yellow" if done.refused else "green")
    counted = {name: found for name, found in vars(done).items() if not name.startswith("_")}
    out.value({**counted, "dry_run": dry_run})


@contextmanager
def _progress(what: str) -> Iterator[Progress | None]:
    """A counter on standard error while a file is read; silent where nobody watches."""
    console = Console(stderr=True)
    if CONTEXT.out.json or not console.is_terminal:
        yield None
        return
    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} {task.description}"), TimeElapsedColumn())
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)

        def tick(count: int) -> None:
            bar.update(task, completed=count)

        yield tick

"""`outreach import`: people and events from files, with a counter while one waits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.context import CONTEXT
from engine.cli.installation import opened, without_texts
from engine.cli.waiting import waiting
from engine.cli.words import _, counted
from engine.work.incoming.importing import Imported, Progress, import_events, import_people, load_mapping

File = Annotated[Path, typer.Argument(metavar="FILE", help=_("CSV or JSON lines, also packed with gzip or xz"))]
Map = Annotated[Path | None, typer.Option("--map", metavar="FILE", help=_("a file that names foreign columns"))]
DryRun = Annotated[bool, typer.Option("--dry-run", help=_("read and check everything, write nothing"))]


def people(file: File, mapping: Map = None, dry_run: DryRun = False) -> int:
    columns = load_mapping(mapping)
    with without_texts() as app, _progress(_("people")) as tick:
        done = import_people(app, file, columns, dry_run, tick)
    told = _("{read}: {new} new, {changed} changed, {consents}, {refused}").format(
        read=counted("{count} person read", "{count} people read", done.read),
        new=done.new,
        changed=done.changed,
        consents=counted("{count} consent noted", "{count} consents noted", done.consents),
        refused=_refused(done),
    )
    _show(done, told, dry_run)
    if stay := done.kept_opt_outs:
        told = counted(
            "{count} opt-out stays against a yes in the file", "{count} opt-outs stay against a yes in the file", stay
        )
        CONTEXT.out.say(told, "yellow")
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
    told = _("{read}: {new} new, {repeated} known already, {entered}, {refused}").format(
        read=counted("{count} event read", "{count} events read", done.read - done.turned_away),
        new=done.new,
        repeated=done.taken.repeated,
        entered=counted("{count} journey started", "{count} journeys started", done.taken.entered),
        refused=_refused(done),
    )
    _show(done, told, dry_run)
    if not live and done.new:
        CONTEXT.out.say(_("a history starts no journey; fresh events do with --live"))
    return _code(done)


def _refused(done: Imported) -> str:
    return counted("{count} row refused", "{count} rows refused", done.refused)


def _code(done: Imported) -> int:
    """A file of which no row could be read is bad input; rows refused among good ones are problems to look at."""
    return 0 if not done.refused else 1 if done.read else 2


def _show(done: Imported, told: str, dry_run: bool) -> None:
    out = CONTEXT.out
    out.problems(done.problems)
    if done.found > len(done.problems):
        out.say(_("... and {count} more").format(count=done.found - len(done.problems)))
    if done.skipped:
        out.say(
            counted(
                "{count} row was taken in before it was cut off",
                "{count} rows were taken in before it was cut off",
                done.skipped,
            )
        )
    note = f"  ({_('dry run: nothing was written')})" if dry_run else ""
    out.say(told + note, "yellow" if done.refused else "green")
    figures = {name: found for name, found in vars(done).items() if not name.startswith("_")}
    out.value({**figures, "dry_run": dry_run})


@contextmanager
def _progress(what: str) -> Iterator[Progress | None]:
    """A counter of what was read so far."""
    with waiting(what) as show:
        yield None if show is None else lambda count: show(f"{count:,} {what}")

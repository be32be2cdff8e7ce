"""Commands that make things happen: init, import, daemon, demo."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from engine.cli.context import CONTEXT, opened
from engine.cli.demo import run_demo
from engine.cli.starter import write_starter
from engine.cli.words import _
from engine.daemon import Daemon, recovered_sentence, run_once
from engine.errors import Refused
from engine.work.dispatch import Dispatched
from engine.work.importing import Imported, import_events, import_people, load_mapping

imports = typer.Typer(help=_("take in people or events from a file"), no_args_is_help=True, rich_markup_mode=None)


def register(cli: typer.Typer) -> None:
    """Add these commands."""
    cli.command("init", help=_("make a new shop's folder"))(init)
    cli.add_typer(imports, name="import")
    imports.command("people", help=_("take in people from CSV or JSON lines"))(people)
    imports.command("events", help=_("take in events from CSV or JSON lines"))(events)
    cli.command("daemon", help=_("run the published journeys"))(daemon)
    cli.command("demo", help=_("a made-up shop, three journeys, 14 days in seconds"))(demo)


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help=_("a folder that does not exist or is empty"))],
) -> int:
    written = write_starter(folder)
    for path in written:
        CONTEXT.out.say(f"  {path}")
    CONTEXT.out.say(
        _("next:  cd {folder} && outreach check && outreach import people people.csv").format(folder=folder)
    )
    CONTEXT.out.value({"folder": str(folder), "files": [str(path) for path in written]})
    return 0


def people(
    file: Annotated[Path, typer.Argument(help=_("CSV or JSON lines, also packed with gzip or xz"))],
    mapping: Annotated[Path | None, typer.Option("--map", help=_("a file that names foreign columns"))] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=_("read and check everything, write nothing"))] = False,
) -> int:
    with opened() as app, _progress(_("people")) as tick:
        done = import_people(app, file, load_mapping(mapping), dry_run, tick)
    told = _("{read} people read: {new} new, {changed} changed, {consents} consents noted, {refused} rows refused")
    _show_import(done, told.format(**vars(done)), dry_run)
    if done.kept_opt_outs:
        CONTEXT.out.say(_("{count} opt-outs stay against a yes in the file").format(count=done.kept_opt_outs), "yellow")
    return 1 if done.refused else 0


def events(
    file: Annotated[Path, typer.Argument(help=_("CSV or JSON lines, also packed with gzip or xz"))],
    mapping: Annotated[Path | None, typer.Option("--map", help=_("a file that names foreign columns"))] = None,
    live: Annotated[bool, typer.Option("--live", help=_("fresh events start and move journeys"))] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=_("read and check everything, write nothing"))] = False,
) -> int:
    with opened() as app, _progress(_("events")) as tick:
        done = import_events(app, file, load_mapping(mapping), live, dry_run, tick)
    told = _(
        "{read} events read: {new} new, {repeated} known already, {entered} journeys started, {refused} rows refused"
    )
    _show_import(
        done, told.format(**vars(done), **{n: getattr(done.taken, n) for n in ("repeated", "entered")}), dry_run
    )
    if not live and done.new:
        CONTEXT.out.say(_("a history starts no journey; fresh events do with --live"))
    return 1 if done.refused else 0


def _show_import(done: Imported, told: str, dry_run: bool) -> None:
    out = CONTEXT.out
    out.problems(done.problems)
    if done.refused > len(done.problems):
        out.say(_("... and {count} more").format(count=done.refused - len(done.problems)))
    if done.skipped:
        out.say(_("{count} rows were taken in before it was cut off").format(count=done.skipped))
    out.say(told + (_("  (dry run: nothing was written)") if dry_run else ""), "yellow" if done.refused else "green")
    out.value({**vars(done), "dry_run": dry_run})


class _progress:
    """A counter on standard error while a file is read; silent where nobody watches."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.completed:,.0f} {task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            console=CONTEXT.out.errors,
            transient=True,
            disable=not CONTEXT.out.errors.is_terminal,
        )

    def __enter__(self) -> Callable[[int], None]:
        self._bar.start()
        task = self._bar.add_task(self._what, total=None)
        return lambda count: self._bar.update(task, completed=count)

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


def daemon(
    once: Annotated[bool, typer.Option("--once", help=_("one whole beat, then end"))] = False,
) -> int:
    out = CONTEXT.out
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    with opened(inert=False) as app:
        if not app.settings.channels:
            raise Refused(_("config.yaml names no channel"))
        if once:
            beat = run_once(app)
            out.say(_sentence(beat.dispatched, beat.people, beat.entered.entered))
            out.value(beat)
            return 1 if beat.failed else 0

        def ready(port: int, recovered: Dispatched) -> None:
            if told := recovered_sentence(recovered):
                out.say(told, "yellow")
            out.say(_("running; web on port {port}; stop with Ctrl-C").format(port=port), "green")

        Daemon(app).run(ready)
    out.say(_("stopped"))
    return 0


def _sentence(done: Dispatched, people_moved: int, entered: int) -> str:
    told = _(
        "{entered} entered, {people} moved on, {accepted} messages handed over, {retry} to be tried again, "
        "{rejected} rejected, {unknown} unknown, {settled} held back at the door"
    )
    return told.format(entered=entered, people=people_moved, **vars(done))


def demo(
    folder: Annotated[Path, typer.Option("--folder", help=_("where the demo lives; it is made anew"))] = Path("demo"),
    seed: Annotated[int, typer.Option("--seed", help=_("another seed, another shop"))] = 1,
    people_: Annotated[int, typer.Option("--people", min=10, max=100_000)] = 2000,
) -> int:
    return run_demo(CONTEXT.out, folder, seed, people_)

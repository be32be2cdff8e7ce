"""`outreach daemon`: run the published journeys until told to stop, or for one beat."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from engine.app import App
from engine.cli.context import CONTEXT
from engine.cli.installation import opened
from engine.cli.words import _, counted
from engine.daemon import recovered_sentence, run, run_once
from engine.errors import Refused
from engine.work.sending.batches import Dispatched
from engine.work.tick import Beat


def daemon(
    once: Annotated[bool, typer.Option("--once", help=_("one whole beat, then end"))] = False,
) -> int:
    _log()
    with opened(inert=False) as app:
        if not app.settings.channels:
            raise Refused(_("config.yaml names no channel"))
        _need_secret(app)
        return _one_beat(app) if once else _until_stopped(app)


def _need_secret(app: App) -> bytes:
    """Unfit without one: it is said before anything is touched."""
    return app.secret


def _log() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for foreign in ("apscheduler", "uvicorn", "procrastinate"):  # that all is well, we tell ourselves
        logging.getLogger(foreign).setLevel(logging.WARNING)


def _one_beat(app: App) -> int:
    beat = run_once(app)
    CONTEXT.out.say(_sentence(beat), "yellow" if beat.failed else "green")
    CONTEXT.out.value(beat)
    return 1 if beat.failed else 0


def _until_stopped(app: App, web: bool = True) -> int:
    out = CONTEXT.out

    def ready(port: int | None, recovered: Dispatched) -> None:
        if told := _rehearsal(app):
            out.say(told, "yellow")
        if told := recovered_sentence(recovered):
            out.say(told, "yellow")
        if port is None:
            out.say(_("worker {number} runs; stop with Ctrl-C").format(number=app.worker_id), "green")
        else:
            out.say(_("running; web on port {port}; stop with Ctrl-C").format(port=port), "green")
        out.close()

    run(app, web, ready)
    out.say(_("stopped"))
    out.value({"stopped": True})
    return 0


def _rehearsal(app: App) -> str | None:
    """Whom everything goes to, where it does not go to customers."""
    colleagues = app.settings.rehearsal
    if colleagues is None:
        return None
    named = ", ".join(f"{channel}: {len(some)}" for channel, some in colleagues.items())
    return _("rehearsal: nothing reaches a customer, everything goes to colleagues ({named})").format(named=named)


def worker(
    web: Annotated[bool, typer.Option("--web", help=_("answer links in messages as well, as the daemon does"))] = False,
) -> int:
    _log()
    with opened(inert=False) as app:
        if app.database.is_sqlite:
            raise Refused(
                _(
                    "workers share the work of one PostgreSQL, and {database} is a file; run it with: outreach daemon, "
                    "or move it: outreach copy --to postgresql://HOST/NAME"
                ).format(database=app.database.name)
            )
        if not app.settings.channels:
            raise Refused(_("config.yaml names no channel"))
        _need_secret(app)
        return _until_stopped(app, web)


def _sentence(beat: Beat) -> str:
    told = _(
        "{entered} entered, {people} moved on, {handed_over}, {retry} to be tried again, "
        "{rejected} rejected, {unknown} unknown, {settled} held back at the door"
    )
    left = beat.dispatched
    handed_over = counted("{count} message handed over", "{count} messages handed over", left.accepted)
    return told.format(entered=beat.entered.entered, people=beat.people, handed_over=handed_over, **vars(left))

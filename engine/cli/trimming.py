"""`outreach trim`: take away now what the daemon takes away little by little."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

from engine.app import App
from engine.cli.context import CONTEXT
from engine.cli.installation import opened
from engine.cli.words import _, counted
from engine.errors import Refused
from engine.work.trimming import asked_for_ever, kept, trim


def trim_command() -> int:
    out = CONTEXT.out
    with opened() as app:
        if app.settings.keep is None:
            raise Refused(_("config.yaml has no `keep`, so nothing is trimmed; write for example: keep: 400d"))
        done = trim(app, rest=_resting(app), whole=True)
        whole, last = asked_for_ever(app)
        with app.database.reading() as connection:
            since = kept(connection)
    for part, rows in done.rows.items():
        if rows:
            out.say(f"  {part}: {counted('{count} row', '{count} rows', rows)}")
    if not done.total:
        out.say(_("there is nothing to trim"))
    if whole:
        told = _("kept for ever, for something asks for all of the past: {events}")
        out.say(told.format(events=", ".join(whole)), "yellow")
    if last:
        told = _("of each person the last one is kept, for something asks when it was: {events}")
        out.say(told.format(events=", ".join(last)), "yellow")
    out.value({"trimmed": done.rows, "kept_for_ever": whole, "last_kept": last, "kept_since": since.ways})
    return 0


def _resting(app: App) -> Callable[[], None]:
    """As long a rest as the step took, so that a daemon beside it gets its turn to write."""
    clock, nobody_calls = app.clock, Event()
    began = clock.monotonic()

    def rest() -> None:
        nonlocal began
        nobody_calls.wait(clock.monotonic() - began)
        began = clock.monotonic()

    return rest

"""`outreach bounces`: read the mails that came back, from the mailbox of config.yaml or from standard input."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from channels.errors import ChannelError
from engine.app import App
from engine.cli.context import CONTEXT
from engine.cli.installation import opened, unknown
from engine.cli.words import _
from engine.errors import Refused
from engine.work.incoming.collecting import collect, lanes_by_mail, take_mail

MOST = 1024 * 1024  # bytes of a mail that are read: reports begin with what they say


def bounces(
    lane: Annotated[
        str | None, typer.Option("--lane", metavar="LANE", help=_("of this lane; all when missing"))
    ] = None,
    pipe: Annotated[
        bool, typer.Option("--pipe", help=_("read one mail from standard input, as a mail server hands it over"))
    ] = False,
) -> int:
    out = CONTEXT.out
    with opened(inert=False) as app:
        if lane is not None and lane not in app.settings.lanes:
            raise unknown(_("there is no lane {lane}").format(lane=lane), lane, app.settings.lanes)
        if pipe:
            return _one(app, lane)
        boxes = {name: one for name, one in lanes_by_mail(app).items() if lane in (None, name)}
        if not boxes:
            raise Refused(
                _("no lane has a mailbox for what comes back; see `bounces` of smtp in docs/providers/smtp.md")
            )
        told = {}
        for name, provider in boxes.items():
            try:
                done = told[name] = app.run(collect(app, name, provider))
            except ChannelError as error:
                raise Refused(f"{name}: {error}") from None
            words = _("{lane}: {read} mails read, {new} new reports, {aside} put aside")
            out.say(words.format(lane=name, read=done.read, new=done.new, aside=done.aside))
        out.value(told)
    return 0


def _one(app: App, lane: str | None) -> int:
    """A mail that nothing follows from is no mistake: a server would send it back, and round it goes."""
    lane = lane or next((name for name, one in app.settings.lanes.items() if one.channel == "email"), None)
    if lane is None:
        raise Refused(_("config.yaml names no lane for mails"))
    kept = app.run(take_mail(app, lane, app.provider(lane), sys.stdin.buffer.read(MOST)))
    CONTEXT.out.say(_("nothing in it can be trusted") if kept is None else _("{new} new reports").format(new=kept))
    CONTEXT.out.value({"new": kept})
    return 0

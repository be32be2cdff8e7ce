"""`outreach calendar`: what is planned in the days ahead, for whom, what is closed, and where caps collide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from engine.cli import calendar_words as words
from engine.cli.calendar_page import calendar_page
from engine.cli.context import CONTEXT
from engine.cli.installation import with_mistakes
from engine.cli.words import _
from engine.simulate.calendar import Days, look_ahead
from engine.simulate.collisions import Collision, collisions


def calendar_command(
    days: Annotated[int, typer.Option("--days", min=1, max=366, help=_("so many days from now"))] = 30,
) -> int:
    out = CONTEXT.out
    with with_mistakes() as app:
        found, waves = look_ahead(app, days)
        lost = collisions(app, waves)
        title = app.settings.shop.name
    if out.format == "html":
        out.document(calendar_page(title, found, lost))
        return 0
    _show(found, lost)
    out.value({**vars(found), "collisions": lost})
    return 0


def _show(found: Days, lost: Sequence[Collision]) -> None:
    out = CONTEXT.out
    out.say(f"{found.start:%Y-%m-%d %H:%M} .. {found.end:%Y-%m-%d %H:%M} UTC", "bold")
    if found.coming:
        rows = [(*words.words_of(one), *words.figures_of(one), "; ".join(words.notes(one))) for one in found.coming]
        out.table(words.columns(), rows)
        for line in words.size_told(found):
            out.tell("  " + line, "dim")
    else:
        out.say(_("nothing is planned in these days"), "yellow")
    _section(_("happenings"), [words.happening_told(one) for one in found.expected])
    _section(_("closed"), [words.closed_told(one) for one in found.closed])
    _section(_("under way"), [words.under_way_told(one) for one in found.under_way])
    _section(_("where caps collide"), list(words.collisions_told(lost)), "yellow")
    _section(_("entered at any time"), [words.any_time_told(one) for one in found.any_time])


def _section(title: str, lines: Sequence[str], style: str | None = None) -> None:
    out = CONTEXT.out
    if lines:
        out.say()
        out.say(title, "bold")
    for line in lines:
        out.tell(f"  {line}", style)

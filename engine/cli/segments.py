"""`outreach segments`: how many are inside each, who crossed lately, who is inside, and why a person is or is not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from engine.app import App
from engine.audience.audience import Audience
from engine.cli.context import CONTEXT
from engine.cli.installation import without_texts
from engine.cli.words import _, ngettext
from engine.errors import Refused
from engine.learn import segments
from engine.learn.segments import Size
from engine.learn.why import minute


def segments_command(
    segment: Annotated[
        str | None, typer.Argument(metavar="SEGMENT", help=_("one segment; all when none is named"))
    ] = None,
    person: Annotated[
        str | None, typer.Option("--person", metavar="ID", help=_("is this person in it, and why"))
    ] = None,
    export: Annotated[
        Path | None, typer.Option("--export", metavar="FILE", help=_("write everybody who is in it to a CSV file"))
    ] = None,
) -> int:
    if segment is None and (person or export):
        raise Refused(_("name the segment that is meant"))
    with without_texts() as app:
        audience = segments.written(app)
        if segment is None:
            return _overview(segments.sizes(app, audience, tuple(audience.segments)))
        segments.named(audience, segment)
        if person is not None:
            return _person(app, audience, segment, person)
        return _one(app, audience, segment, export)


def _overview(found: list[Size]) -> int:
    out = CONTEXT.out
    columns = (_("segment"), _("people"), _("came in 24 h"), _("went in 24 h"), _("journeys"), "")
    rows = [
        (one.name, f"{one.people:,}", one.came, one.went, ", ".join(one.journeys), _unpublished(one)) for one in found
    ]
    if rows:
        out.table(columns, rows)
    else:
        out.say(_("no segment is written in journeys/audience.yaml"), "yellow")
    out.value(found)
    return 0


def _unpublished(one: Size) -> str:
    return "" if one.published else _("not published as it is written")


def _one(app: App, audience: Audience, segment: str, export: Path | None) -> int:
    out = CONTEXT.out
    (size,) = segments.sizes(app, audience, [segment])
    crossed = segments.crossed_lately(app, segment)
    zone = ZoneInfo(app.settings.shop.zone)
    told = ngettext("{count} person is inside", "{count} people are inside", size.people).format(
        count=f"{size.people:,}"
    )
    out.say(f"{segment}: {told}", "bold")
    if size.journeys:
        out.say(f"  {_('journeys')}: {', '.join(size.journeys)}")
    if not size.published:
        out.say(f"  {_unpublished(size)}", "yellow")
    words = {"in": _("came in"), "out": _("went out")}
    for one in crossed:
        out.say(f"  {minute(one.at, zone)}  {one.person} {words[one.direction]}")
    written = segments.export(app, audience, segment, export) if export is not None else None
    if written is not None:
        told = ngettext("{count} person is written to {file}", "{count} people are written to {file}", written)
        out.say(told.format(count=f"{written:,}", file=export))
    out.value({"segment": size, "crossed": crossed, "exported": written})
    return 0


def _person(app: App, audience: Audience, segment: str, person: str) -> int:
    out = CONTEXT.out
    told = segments.why(app, audience, segment, person)
    sentence = _("{person} is in {segment}") if told.holds else _("{person} is not in {segment}")
    since = f", {_('since')} {minute(told.since, ZoneInfo(told.zone))}" if told.since else ""
    out.tell(sentence.format(person=person, segment=segment) + since, "bold")
    for reason in told.reasons:
        mark, colour = ("✓", "green") if reason.holds else ("✗", "red")
        out.tell(f"  {'  ' * reason.depth}{mark} {reason.sentence}", colour)
    out.value(told)
    return 0

"""`outreach people`: who is in a segment, and what is computed about them; on the screen, or all of them into a CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from engine.app import App
from engine.audience.audience import Audience
from engine.audience.compare import Sql
from engine.audience.conditions import as_sql
from engine.audience.segments import member_of
from engine.audience.traits import Value
from engine.cli.context import CONTEXT
from engine.cli.installation import unknown, without_texts
from engine.cli.words import _, counted
from engine.errors import Refused
from engine.learn.segments import inert
from engine.learn.why import written
from engine.store.traits import Asked, Known
from engine.work.nightly import refresh_scores

PAGE = 1_000  # people asked about at once


def people_command(
    segment: Annotated[str | None, typer.Option("--segment", metavar="NAME", help=_("those in this segment"))] = None,
    traits: Annotated[
        str, typer.Option("--traits", metavar="NAMES", help=_("traits and scores to show, with commas between"))
    ] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help=_("no more than so many"))] = 50,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help=_("write all of them to a CSV file instead"))
    ] = None,
) -> int:
    out = CONTEXT.out
    with without_texts() as app:
        now = app.clock.now()
        with app.database.reading() as connection:
            audience = app.rules(connection).audience
        names = _names(audience, traits)
        if segment is not None and segment not in audience.segments:
            told = _("there is no published segment {segment}").format(segment=segment)
            raise unknown(told, segment, audience.segments)
        asked = [*names, segment] if segment else names
        refresh_scores(app, audience, audience.nightly(asked), now)
        inside = as_sql(member_of(segment), audience, now) if segment else None
        pages = _pages(app, Asked(audience, names, now), inside)
        if to is not None:
            count = _write(to, names, pages)
            out.say(counted("{count} person written", "{count} people written", count), "green")
            out.value({"people": count, "file": to})
            return 0
        found = list(islice(pages, limit))
        zone = ZoneInfo(app.settings.shop.zone)
    cells = ((one.external_id, *(_shown(value, zone) for value in one.values)) for one in found)
    out.table((_("person"), *names), cells)
    out.value([{"person": one.external_id, "traits": dict(zip(names, one.values, strict=True))} for one in found])
    return 0


def _names(audience: Audience, written: str) -> list[str]:
    """The traits that were asked for, in that order."""
    names = [name for part in written.split(",") if (name := part.strip())]
    for name in names:
        if name not in audience.trait_names:
            raise unknown(_("there is no trait {trait}").format(trait=name), name, audience.trait_names)
    return list(dict.fromkeys(names))


def _pages(app: App, asked: Asked, inside: Sql | None) -> Iterator[Known]:
    """One after the other, in the order in which they became known."""
    after = 0
    while True:
        with app.database.reading() as connection:
            page = asked.page(connection, after, PAGE, inside)
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1].id


def _write(file: Path, names: Sequence[str], people: Iterator[Known]) -> int:
    """A line for each person; money in the shop's currency, what is unknown left empty."""
    count = 0
    try:
        with file.open("w", encoding="utf-8", newline="") as handle:
            lines = csv.writer(handle)
            lines.writerow(["person", *names])
            for one in people:
                lines.writerow([inert(one.external_id), *map(inert, one.values)])
                count += 1
    except OSError as error:
        told = _("{file} cannot be written: {reason}").format(file=file, reason=error.strerror)
        raise Refused(told) from None
    return count


def _shown(value: Value, zone: ZoneInfo) -> str:
    return "-" if value is None else written(value, zone)

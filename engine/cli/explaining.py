"""`outreach explain`: why a person got a message, and why not, each with the file and line that decided it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from engine.cli.context import CONTEXT
from engine.cli.installation import called_today, without_texts
from engine.cli.words import _
from engine.learn.explain import Explanation, Line, Story, Told, Way, explain
from engine.learn.why import minute

LAST_REFUSALS = 10


def explain_command(
    person: Annotated[str, typer.Argument(metavar="PERSON", help=_("the shop's id of a person"))],
    journey: Annotated[
        str | None, typer.Argument(metavar="JOURNEY", help=_("one journey; all when none is named"))
    ] = None,
) -> int:
    out = CONTEXT.out
    with without_texts() as app:
        told = explain(app, person, journey and called_today(app, journey))
    _show_person(told)
    for story in told.stories:
        _show_story(story, ZoneInfo(told.zone), one=journey is not None)
    if told.kept_since is not None:
        since = f"{told.kept_since.astimezone(ZoneInfo(told.zone)):%Y-%m-%d}"
        out.tell(_("what ended before {date} was trimmed (`keep` in config.yaml)").format(date=since), "yellow")
    if not told.stories:
        out.say(_("no journey is published"), "yellow")
    out.value(told)
    return 0


def _show_person(told: Explanation) -> None:
    out = CONTEXT.out
    out.tell(f"{told.person}  {told.locale}  {told.country or '-'}", "bold")
    out.tell("  " + _("times are those of {zone}").format(zone=told.zone))
    out.tell(f"  {_('reachable by')}: {', '.join(told.reachable) or _('nothing')}")
    if told.tags:
        out.tell(f"  {_('tags')}: {', '.join(told.tags)}")
    for sentence in told.consents or (_("none is recorded"),):
        out.tell(f"  {_('consent')}: {sentence}")
    if told.suppressed:
        out.tell(f"  {_('on the suppression list')}: {', '.join(told.suppressed)}", "red")


def _show_story(story: Story, zone: ZoneInfo, one: bool) -> None:
    out = CONTEXT.out
    out.say()
    out.tell(f"{story.journey}  ({story.place})", "bold")
    if story.paused_at is not None:
        told = _("paused since {instant}: nothing of it begins until: outreach resume {journey}")
        out.tell("  " + told.format(instant=minute(story.paused_at, zone), journey=story.journey), "yellow")
    if story.retired_at is not None:
        told = _("retired since {instant}: nobody enters any more")
        out.tell("  " + told.format(instant=minute(story.retired_at, zone)), "yellow")
    for way in story.ways:
        _show_way(way, zone, story)
    for line in story.refused[-LAST_REFUSALS:]:
        out.tell(f"  {minute(line.at, zone)}  {_('did not enter')}: {line.sentence}  ({line.place})", "yellow")
    if not story.ways or one:
        _show_entry(story)


def _show_entry(story: Story) -> None:
    """The condition of entry as it stands for this person now, taken apart."""
    CONTEXT.out.tell(f"  {story.sentence}")
    for reason in story.entry:
        mark, colour = ("✓", "green") if reason.holds else ("✗", "red")
        CONTEXT.out.tell(f"    {'  ' * reason.depth}{mark} {reason.sentence}", colour)


def _show_way(way: Way, zone: ZoneInfo, story: Story) -> None:
    out = CONTEXT.out
    older = "" if way.version == story.version else ", " + _("version {number}").format(number=way.version)
    out.tell(f"  {_('entered')} {minute(way.entered_at, zone)}{older}, {_state(way, zone, story.paused_at)}", "cyan")
    if way.lineage:
        out.tell(f"    {_('led to by')} {' -> '.join(way.lineage)}")
    if way.trimmed:
        out.tell(f"    {_('what happened on it was trimmed')}", "yellow")
    for line in way.lines:
        _show_line(line, zone)
    for message in way.messages:
        _show_message(message)


def _state(way: Way, zone: ZoneInfo, paused_at: datetime | None) -> str:
    """Where they are, or how it ended."""
    if not way.active:
        told = _("ended: {reason}").format(reason=way.reason)
    else:
        told = _("inside, at {step}").format(step=way.step or _("the start"))
        if way.set_aside:
            told += ", " + _("set aside: {reason}; see: outreach set-aside list").format(reason=way.reason)
        elif paused_at:
            told += ", " + _("waiting while the journey is paused")
        elif way.due_at:
            told += ", " + _("next look {instant}").format(instant=minute(way.due_at, zone))
    return f"{told}  [{_('holdout')}]" if way.holdout else told


def _show_line(line: Line, zone: ZoneInfo) -> None:
    place = f"  ({line.place})" if line.place else ""
    step = f"{line.step}  " if line.step else ""
    CONTEXT.out.tell(f"    {minute(line.at, zone)}  {step}{line.sentence}{place}")


def _show_message(told: Told) -> None:
    reason = f" - {told.reason}" if told.reason else ""
    what = " ".join(filter(None, (str(told.id), told.message, told.channel, told.locale)))
    CONTEXT.out.tell(f"    {_('message')} {what}: {told.state}{reason}")
    for winner in told.winners:
        CONTEXT.out.tell(f"      {_('instead')}: {_('message')} {winner}", "yellow")
    for happened in told.happened:
        CONTEXT.out.tell(f"      {happened}", "dim")

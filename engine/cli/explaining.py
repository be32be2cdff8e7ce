"""`outreach explain`: why a person got a message, and why not, each with the file and line that decided it."""

from __future__ import annotations

from typing import Annotated

import typer

from engine.cli.context import CONTEXT
from engine.cli.installation import without_texts
from engine.cli.words import _
from engine.learn.explain import Explanation, Line, Story, Told, Way, explain

LAST_REFUSALS = 10


def explain_command(
    person: Annotated[str, typer.Argument(metavar="PERSON", help=_("the shop's id of a person"))],
    journey: Annotated[
        str | None, typer.Argument(metavar="JOURNEY", help=_("one journey; all when none is named"))
    ] = None,
) -> int:
    out = CONTEXT.out
    with without_texts() as app:
        told = explain(app, person, journey)
    _show_person(told)
    for story in told.stories:
        _show_story(story, one=journey is not None)
    if not told.stories:
        out.say(_("no journey is published"), "yellow")
    out.value(told)
    return 0


def _show_person(told: Explanation) -> None:
    out = CONTEXT.out
    out.say(f"{told.person}  {told.locale}  {told.country or '-'}  {told.zone}", "bold")
    out.say(f"  {_('reachable by')}: {', '.join(told.reachable) or _('nothing')}")
    for sentence in told.consents or (_("none is recorded"),):
        out.say(f"  {_('consent')}: {sentence}")
    if told.suppressed:
        out.say(f"  {_('on the suppression list')}: {', '.join(told.suppressed)}", "red")


def _show_story(story: Story, one: bool) -> None:
    out = CONTEXT.out
    out.say()
    out.say(f"{story.journey}  ({story.place})", "bold")
    for way in story.ways:
        _show_way(way)
    for line in story.refused[-LAST_REFUSALS:]:
        out.say(f"  {line.at:%Y-%m-%d %H:%M}  {_('did not enter')}: {line.sentence}  ({line.place})", "yellow")
    if not story.ways or one:
        _show_entry(story)


def _show_entry(story: Story) -> None:
    """The condition of entry as it stands for this person now, taken apart."""
    CONTEXT.out.say(f"  {story.sentence}")
    for reason in story.entry:
        mark, colour = ("✓", "green") if reason.holds else ("✗", "red")
        CONTEXT.out.say(f"    {'  ' * reason.depth}{mark} {reason.sentence}", colour)


def _show_way(way: Way) -> None:
    out = CONTEXT.out
    out.say(f"  {_('entered')} {way.entered_at:%Y-%m-%d %H:%M} UTC, {_state(way)}", "cyan")
    for line in way.lines:
        _show_line(line)
    for message in way.messages:
        _show_message(message)


def _state(way: Way) -> str:
    """Where they are, or how it ended."""
    if not way.active:
        told = _("ended: {reason}").format(reason=way.reason)
    else:
        told = _("inside, at {step}").format(step=way.step or _("the start"))
        if way.set_aside:
            told += ", " + _("set aside: {reason}; see: outreach set-aside list").format(reason=way.reason)
        elif way.due_at:
            told += ", " + _("next look {instant} UTC").format(instant=f"{way.due_at:%Y-%m-%d %H:%M}")
    return f"{told}  [{_('holdout')}]" if way.holdout else told


def _show_line(line: Line) -> None:
    place = f"  ({line.place})" if line.place else ""
    step = f"{line.step}  " if line.step else ""
    CONTEXT.out.say(f"    {line.at:%Y-%m-%d %H:%M}  {step}{line.sentence}{place}")


def _show_message(told: Told) -> None:
    reason = f" - {told.reason}" if told.reason else ""
    what = f"{told.id} {told.message} {told.channel} {told.locale}: {told.state}{reason}"
    CONTEXT.out.say(f"    {_('message')} {what}")
    for happened in told.happened:
        CONTEXT.out.say(f"      {happened}", "dim")

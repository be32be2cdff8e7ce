"""`outreach rollback`: an older version is live again for those who enter; the file in journeys/ is another matter."""

from __future__ import annotations

from typing import Annotated

import typer

from engine.cli.context import CONTEXT
from engine.cli.installation import agreed, called_today, myself, with_mistakes
from engine.cli.versions import mistakes_told, show_changes
from engine.cli.words import _, counted, ngettext
from engine.work.publishing.rollback import Rollback, plan_rollback, refuse_to_overwrite, roll_back, write_file
from engine.work.publishing.standing import File, Standing


def rollback_command(
    journey: Annotated[str, typer.Argument(metavar="JOURNEY", help=_("the journey's name"))],
    to: Annotated[
        int | None,
        typer.Option("--to", metavar="NUMBER", min=1, help=_("the version; the one live before when missing")),
    ] = None,
    write: Annotated[bool, typer.Option("--write", help=_("write its text into the file in journeys/ too"))] = False,
    yes: Annotated[bool, typer.Option("--yes", help=_("do not ask"))] = False,
    by: Annotated[str | None, typer.Option("--by", metavar="NAME", help=_("who says so; you when missing"))] = None,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help=_("why; it is kept"))] = "",
) -> int:
    out = CONTEXT.out
    with with_mistakes() as app:
        journey = called_today(app, journey)
        plan = plan_rollback(app, journey, to)
        if write:
            refuse_to_overwrite(app, journey)
        _show(plan)
        if not agreed(_("Roll back?"), yes):
            out.say(_("nothing was changed"), "yellow")
            out.value({"plan": plan, "done": False})
            return 0
        standing = roll_back(app, plan, by or myself(), " ".join(reason.split()))
        if write:
            standing = write_file(app, journey, plan.number)
    out.say(_("{journey}: version {number} is live").format(journey=journey, number=plan.number), "green")
    _tell_of_the_file(plan, standing)
    out.value({"plan": plan, "done": True, "file": standing.file, "file_state": standing.state})
    return 0


def _show(plan: Rollback) -> None:
    out = CONTEXT.out
    told = _("{journey}: version {number} instead of version {live}")
    out.say(told.format(journey=plan.journey, number=plan.number, live=plan.live), "bold")
    show_changes(plan.changes or ())
    stay = ngettext(
        "{count} person inside stays on the steps of version {live}",
        "{count} people inside stay on the steps of version {live}",
        plan.inside,
    ).format(count=f"{plan.inside:,}", live=plan.live)
    head = _("how one leaves, the goal, caps, quiet hours and priority are those of version {number} for them too")
    out.tell(f"{stay}; {head.format(number=plan.number)}")
    if plan.audience is not None:
        out.tell(
            counted("{count} person is in its entry segment", "{count} people are in its entry segment", plan.audience)
        )
    if plan.waves_on:
        out.tell(
            counted(
                "{count} wave under way goes on with the older version",
                "{count} waves under way go on with the older version",
                plan.waves_on,
            )
        )
    if plan.waves_ended:
        out.tell(
            counted(
                "{count} wave under way ends: the older version is entered in another way",
                "{count} waves under way end: the older version is entered in another way",
                plan.waves_ended,
            ),
            "yellow",
        )


def _tell_of_the_file(plan: Rollback, standing: Standing) -> None:
    """What publishing the file would do now."""
    out = CONTEXT.out
    match standing.state:
        case File.same:
            out.tell(_("{file} says the same").format(file=standing.file))
            return
        case File.edited:
            told = _("{file} says something else, and publishing it would make that live").format(file=standing.file)
        case File.wrong:
            told = f"{standing.file} {mistakes_told(standing.mistakes)}"
        case File.gone:
            told = _("{file} is gone").format(file=standing.file)
    out.tell(told, "yellow")
    path = f"> {standing.file}"
    told = _("to bring its text back: outreach versions {journey} --show {number} {path}")
    out.tell("  " + told.format(journey=plan.journey, number=plan.number, path=path), "yellow")

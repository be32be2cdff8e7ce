"""`outreach retire`: end a journey for good. Its people go on to the end of their plan, or are let out."""

from __future__ import annotations

from typing import Annotated

import typer

from engine.cli.context import CONTEXT
from engine.cli.installation import agreed, called_today, myself, without_texts
from engine.cli.words import _, counted, ngettext
from engine.errors import Refused
from engine.work.publishing.retiring import Retirement, plan_retirement, retire


def retire_command(
    journey: Annotated[str, typer.Argument(metavar="JOURNEY", help=_("the journey's name"))],
    let_out: Annotated[
        bool, typer.Option("--let-out", help=_("who is inside leaves at once; without it they go on to the end"))
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help=_("do not ask"))] = False,
    expect: Annotated[
        int | None, typer.Option("--expect", min=0, help=_("refuse unless so many people are inside"))
    ] = None,
    by: Annotated[str | None, typer.Option("--by", metavar="NAME", help=_("who says so; you when missing"))] = None,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help=_("why; it is kept"))] = "",
) -> int:
    out = CONTEXT.out
    with without_texts() as app:
        journey = called_today(app, journey)
        plan = plan_retirement(app, journey, let_out)
        _show(plan)
        if expect is not None and expect != plan.inside:
            told = ngettext(
                "nothing was changed: {expected} person was expected, {found} are inside",
                "nothing was changed: {expected} people were expected, {found} are inside",
                expect,
            )
            raise Refused(told.format(expected=expect, found=plan.inside))
        if not agreed(_("Retire it?"), yes):
            out.say(_("nothing was changed"), "yellow")
            out.value({"plan": plan, "done": False})
            return 0
        retire(app, plan, by or myself(), " ".join(reason.split()))
    out.say(_("{journey} is retired; publishing it would open it again").format(journey=journey), "green")
    out.value({"plan": plan, "done": True})
    return 0


def _show(plan: Retirement) -> None:
    out = CONTEXT.out
    told = _("{journey}, version {number}: nobody enters it any more")
    out.say(told.format(journey=plan.journey, number=plan.number), "bold")
    if plan.waves:
        out.tell(counted("{count} wave under way ends", "{count} waves under way end", plan.waves))
    if not plan.let_out:
        inside = counted(
            "{count} person inside goes on to the end of their plan",
            "{count} people inside go on to the end of their plan",
            plan.inside,
        )
        out.tell(inside + "; " + _("to let them out: --let-out"))
        return
    out.tell(counted("{count} person inside leaves", "{count} people inside leave", plan.inside), "yellow")
    if plan.messages:
        told = counted("{count} message is taken back", "{count} messages are taken back", plan.messages)
        out.tell(f"  {told}", "yellow")
    if plan.tasks:
        told = counted("{count} open task is cancelled", "{count} open tasks are cancelled", plan.tasks)
        out.tell(f"  {told}", "yellow")

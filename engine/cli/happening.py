"""`outreach happen`: tell that something happens to the shop or the world; who is asked in by it enters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from engine.cli.context import CONTEXT
from engine.cli.installation import agreed, instant, myself, without_texts
from engine.cli.words import _, ngettext
from engine.errors import Refused
from engine.work.entering.happenings import Reached, Telling, plan_telling, tell


def happen(
    name: Annotated[str, typer.Argument(metavar="HAPPENING", help=_("its name, as config.yaml writes it"))],
    at: Annotated[
        str | None, typer.Option("--at", metavar="INSTANT", help=_("when it begins; now when missing"))
    ] = None,
    with_: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="NAME=VALUE", help=_("what texts know of it; may be written often")),
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="TEXT", help=_("which time it is; the day when missing"))
    ] = None,
    expect: Annotated[
        int | None, typer.Option("--expect", min=0, help=_("refuse unless so many people are asked in now"))
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help=_("do not ask; needs --expect"))] = False,
    by: Annotated[str | None, typer.Option("--by", metavar="NAME", help=_("who says so; you when missing"))] = None,
) -> int:
    out = CONTEXT.out
    with without_texts() as app:
        begins = None if at is None else instant(at, app.clock.now())
        plan = plan_telling(app, name, key, begins, _values(with_ or ()))
        if plan.before is not None:
            told = _("{name} {key} was told before ({when}); nothing was changed")
            out.say(told.format(name=plan.name, key=plan.key, when=plan.before), "yellow")
            out.value({"plan": plan, "told": False})
            return 0
        _show(plan)
        _as_expected(plan, expect, yes)
        if not agreed(_("Let it happen?"), yes):
            out.say(_("nothing was changed"), "yellow")
            out.value({"plan": plan, "told": False})
            return 0
        done = tell(app, plan, by or myself())
    if done:
        out.say(_("{name} {key} is told; the daemon lets people in").format(name=plan.name, key=plan.key), "green")
    else:
        out.say(_("somebody told it meanwhile; nothing was changed"), "yellow")
    out.value({"plan": plan, "told": done})
    return 0


def _values(words: Sequence[str]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name.strip() or not equals:
            raise Refused(_("--with is written NAME=VALUE, as in --with rival=othershop; not {word}").format(word=word))
        found[name.strip()] = value
    return found


def _show(plan: Telling) -> None:
    out = CONTEXT.out
    told = _("{name} {key}, at {instant} UTC")
    out.say(told.format(name=plan.name, key=plan.key, instant=f"{plan.at:%Y-%m-%d %H:%M}"), "bold")
    if not plan.reached:
        out.say(_("no published journey is entered by it"), "yellow")
        return
    columns = (_("journey"), _("version"), _("segment"), _("people"), _("messages at most"), _("cost at most"), "")
    out.table(columns, [_row(one) for one in plan.reached])


def _row(one: Reached) -> Sequence[str]:
    waits = _("waits for approval") if one.approve else ""
    cost = f"{one.cost:,}"
    return one.journey, str(one.number), one.segment, f"{one.people:,}", f"{one.messages:,}", cost, waits


def _as_expected(plan: Telling, expect: int | None, yes: bool) -> None:
    if expect is not None and expect != plan.people:
        told = ngettext(
            "nothing was changed: {expected} person was expected, {found} are asked in",
            "nothing was changed: {expected} people were expected, {found} are asked in",
            expect,
        )
        raise Refused(told.format(expected=expect, found=plan.people))
    if yes and expect is None:
        told = _("nothing was changed; say how many you expect: --yes --expect {found}")
        raise Refused(told.format(found=plan.people))

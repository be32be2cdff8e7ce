"""`outreach move`: who is inside one version of a journey goes on in another; looked at first, then done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from engine.cli.context import CONTEXT
from engine.cli.installation import called_today, myself, with_mistakes
from engine.cli.words import _, ngettext
from engine.errors import Refused
from engine.work.publishing.moving import Follows, Move, Place, Stuck, follows, move, plan_move


def move_command(
    journey: Annotated[str, typer.Argument(metavar="JOURNEY", help=_("the journey's name"))],
    from_: Annotated[int, typer.Option("--from", metavar="NUMBER", min=1, help=_("the version they are inside now"))],
    to: Annotated[
        int | None,
        typer.Option("--to", metavar="NUMBER", min=1, help=_("the version they go on in; the live one when missing")),
    ] = None,
    map_: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="OLD=NEW", help=_("who stands at OLD goes to NEW; may be written often")),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=_("only look, as without --yes"))] = False,
    yes: Annotated[bool, typer.Option("--yes", help=_("move them; needs --expect"))] = False,
    expect: Annotated[
        int | None, typer.Option("--expect", min=0, help=_("refuse unless so many people can be moved"))
    ] = None,
    by: Annotated[str | None, typer.Option("--by", metavar="NAME", help=_("who says so; you when missing"))] = None,
) -> int:
    out = CONTEXT.out
    if yes and dry_run:
        raise Refused(_("--dry-run only looks, --yes moves them; write one of the two"))
    if yes and expect is None:
        raise Refused(_("write --expect with the number of people that can be moved; see it without --yes"))
    with with_mistakes() as app:
        plan = plan_move(app, called_today(app, journey), from_, to, _mapping(map_ or ()))
        _show(plan)
        if not yes:
            next_ = follows(app, plan)
            _show_follows(next_)
            _say_how(plan)
            out.value({**_value(plan), "follows": _follows_value(next_), "moved": 0})
            return 0
        if expect != plan.movable:
            refused = ngettext(
                "nothing was moved: {expected} person was expected, {found} can be moved",
                "nothing was moved: {expected} people were expected, {found} can be moved",
                expect or 0,
            )
            raise Refused(refused.format(expected=expect, found=plan.movable))
        moved = move(app, plan, by or myself())
    out.say(
        ngettext("{count} person was moved", "{count} people were moved", moved).format(count=f"{moved:,}"), "green"
    )
    out.value({**_value(plan), "moved": moved})
    return 0 if not plan.stuck else 1


def _mapping(words: Sequence[str]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for word in words:
        old, equals, new = (part.strip() for part in word.partition("="))
        if not (old and equals and new):
            raise Refused(_("--map is written OLD=NEW, as in --map wait-6h=wait-8h; not {word}").format(word=word))
        if found.get(old, new) != new:
            raise Refused(_("--map names two steps for {step}").format(step=old))
        found[old] = new
    return found


# --- what would be done ----------------------------------------------------------------------------------------------


def _show(plan: Move) -> None:
    out = CONTEXT.out
    told = _("{journey}: from version {old} to version {new}")
    out.say(told.format(journey=plan.journey, old=plan.from_, new=plan.to), "bold")
    if not plan.places:
        out.say(_("nobody is inside version {number}").format(number=plan.from_), "yellow")
        return
    columns = (_("step"), _("people"), _("goes to"), _("can be moved"), _("stay where they are"))
    out.table(columns, [_row(one) for one in plan.places])


def _row(one: Place) -> Sequence[str]:
    step = one.step or _("the start")
    to = one.to or (_("the start") if one.step is None else "-")
    reasons = _reasons()
    stay = ", ".join(f"{count:,} {reasons[why]}" for why, count in one.stuck.items())
    return step, f"{one.people:,}", to, f"{one.movable:,}", stay


def _reasons() -> Mapping[Stuck, str]:
    return {
        Stuck.step: _("have no such step there; write --map"),
        Stuck.task: _("wait for an open task"),
        Stuck.message: _("have a message on its way"),
        Stuck.aside: _("are set aside; see: outreach set-aside list"),
    }


def _show_follows(told: Follows) -> None:
    """What they would get at once."""
    if not told.people:
        return
    out = CONTEXT.out
    out.say()
    sentence = ngettext(
        "what follows at once for {count} person who can be moved",
        "what follows at once for {count} people who can be moved",
        told.people,
    )
    out.say(sentence.format(count=f"{told.people:,}"), "bold")
    for step, count in told.sends.items():
        _line(count, _("get a message at {step}").format(step=step), "yellow")
    for (step, rule), count in told.unsent.items():
        _line(count, _("get none at {step}: {reason}").format(step=step, reason=rule), "yellow")
    for step, count in told.tasks.items():
        _line(count, _("get a task at {step}").format(step=step), "yellow")
    for reason, count in told.ends.items():
        _line(count, _("end: {reason}").format(reason=reason))
    for step, count in told.stands.items():
        _line(count, _("then stand at {step}").format(step=step or _("the start")))


def _line(count: int, told: str, style: str | None = None) -> None:
    CONTEXT.out.tell(f"  {count:>7,}  {told}", style)


def _say_how(plan: Move) -> None:
    out = CONTEXT.out
    out.say()
    out.say(_("nothing was moved"), "yellow")
    if plan.movable:
        mapped = "".join(f" --map {old}={new}" for old, new in plan.steps.items())
        words = f"{plan.journey} --from {plan.from_} --to {plan.to}{mapped} --yes --expect {plan.movable}"
        out.say(_("to move them: outreach move {words}").format(words=words))


# --- for programs ----------------------------------------------------------------------------------------------------


def _value(plan: Move) -> dict[str, object]:
    steps = [
        {"step": one.step, "to": one.to, "people": one.people, "movable": one.movable, "stay": _stay(one)}
        for one in plan.places
    ]
    whole = {"movable": plan.movable, "stay": plan.stuck}
    return {"journey": plan.journey, "from": plan.from_, "to": plan.to, "map": plan.steps, "steps": steps, **whole}


def _stay(one: Place) -> dict[str, int]:
    return {why.value: count for why, count in one.stuck.items()}


def _follows_value(told: Follows) -> dict[str, object]:
    unsent = [{"step": step, "rule": rule, "people": count} for (step, rule), count in told.unsent.items()]
    rest = {"sends": told.sends, "tasks": told.tasks, "ends": told.ends, "stands": told.stands}
    return {"people": told.people, "unsent": unsent, **rest}

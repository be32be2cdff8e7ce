"""`outreach publish`: drafts become the versions that run, after a look at what changes and a word of consent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from engine.app import App
from engine.cli.context import CONTEXT
from engine.cli.explained import sections
from engine.cli.installation import agreed, drafts_called, myself, opened, unknown
from engine.cli.versions import standing_told
from engine.cli.words import _, ngettext
from engine.errors import BadInput, Refused
from engine.store.journeys import Version, live
from engine.work.publishing.drafts import Drafts, Plan, load_drafts, plan_publish, publish
from engine.work.publishing.renaming import renamed_from
from engine.work.publishing.standing import File, standings


def publish_command(
    journeys: Annotated[
        list[str] | None, typer.Argument(metavar="JOURNEY", help=_("names of journeys; all when none is named"))
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help=_("do not ask"))] = False,
    expect: Annotated[
        int | None, typer.Option("--expect", min=0, help=_("refuse unless the entry segments hold so many people now"))
    ] = None,
    by: Annotated[str | None, typer.Option("--by", metavar="NAME", help=_("who says so; you when missing"))] = None,
) -> int:
    out = CONTEXT.out
    with opened() as app:
        drafts = load_drafts(app)
        journeys = drafts_called(drafts.names, journeys or ())
        names = _names(drafts, journeys, [] if journeys else _retired(app, drafts))
        plans = plan_publish(app, drafts, names)
        doubts = [one for plan in plans if _is_news(plan) for one in drafts.warnings_of(plan.journey)]
        out.problems(doubts, CONTEXT.home, frozenset(sections()))
        _show(plans)
        if not journeys:
            _tell_of_the_gone(app)
        _as_expected(plans, expect, yes)
        if not agreed(_("Publish?"), yes):
            out.say(_("nothing was published"), "yellow")
            out.value({"plans": plans, "published": []})
            return 0
        versions = publish(app, drafts, names, by or myself())
    _tell(app, versions)
    out.value({"plans": plans, "published": [{"journey": v.journey, "version": v.number} for v in versions]})
    return 0


def _retired(app: App, drafts: Drafts) -> list[str]:
    """Journeys that stay retired unless they are named, told; also those that have another name in the folder."""
    with app.database.reading() as connection:
        state = live(connection)
    names = [name for name, one in state.items() if one.retired_at is not None]
    names += [name for name, graph in drafts.graphs.items() if renamed_from(state, graph) in names]
    if names:
        told = _("retired, and left so unless named: {journeys}")
        CONTEXT.out.say(told.format(journeys=", ".join(sorted(names))), "yellow")
    return names


def _names(drafts: Drafts, asked: Sequence[str] | None, retired: Sequence[str]) -> list[str]:
    """What to publish. Refused while anything of it, or of what all of it stands on, is wrong."""
    for name in asked or ():
        if name not in drafts.sources:
            raise unknown(_("there is no journey {journey}").format(journey=name), name, drafts.sources)
    names = sorted(set(asked or drafts.sources) - set(retired))
    wrong = drafts.errors if not asked else [one for name in names for one in drafts.problems_of(name)]
    if wrong:
        raise BadInput(_("nothing was published: there are errors"), tuple(dict.fromkeys(wrong)))
    if not names:
        raise Refused(_("there is no journey to publish; write one in journeys/"))
    return names


def _tell_of_the_gone(app: App) -> None:
    """A file that is deleted ends nothing."""
    with app.database.reading() as connection:
        found = standings(app, connection).values()
    for one in found:
        if one.state is File.gone and one.retired_at is None:
            CONTEXT.out.tell(standing_told(one), "yellow")


def _show(plans: Sequence[Plan]) -> None:
    rows = []
    for plan in plans:
        rows.append((plan.journey, _change(plan), _who(plan), f"{plan.inside:,}"))
    columns = (_("journey"), _("change"), _("who can enter now"), _("inside, who stay on their version"))
    CONTEXT.out.table(columns, rows)


def _is_news(plan: Plan) -> bool:
    """Will anything be otherwise? Of what runs like this already, nobody has to be told again."""
    return plan.is_new or plan.changed or plan.opens


def _change(plan: Plan) -> str:
    return _meant(plan) if plan.was is None else f"{_meant(plan)}, {_('was {old}').format(old=plan.was)}"


def _meant(plan: Plan) -> str:
    if plan.opens:
        return _("opens again")
    if plan.again is not None:
        return _("version {number} again").format(number=plan.again)
    return _("new") if plan.is_new else _("changed") if plan.changed else _("same plan")


def _who(plan: Plan) -> str:
    if plan.audience is None:
        by = {"silence": _("whoever falls silent"), "api": _("whoever is let in: outreach enter")}
        return by.get(plan.way, _("whoever brings its event"))
    if plan.at_once:
        told = ngettext("{count} person, at once", "{count} people, at once", plan.audience)
    elif plan.way == "date":
        told = ngettext("{count} person with such a date", "{count} people with such a date", plan.audience)
    else:
        told = ngettext("{count} person of its segment", "{count} people of its segment", plan.audience)
    told = told.format(count=f"{plan.audience:,}")
    if plan.at_most is not None and plan.at_most < plan.audience:
        told += ", " + _("at most {count} of them enter").format(count=f"{plan.at_most:,}")
    return told


def _as_expected(plans: Sequence[Plan], expect: int | None, yes: bool) -> None:
    """Nobody enters at once whom nobody has counted."""
    reached = sum(plan.audience or 0 for plan in plans)
    if expect is not None and expect != reached:
        told = ngettext(
            "nothing was published: {expected} person was expected, the entry segments hold {found}",
            "nothing was published: {expected} people were expected, the entry segments hold {found}",
            expect,
        )
        raise Refused(told.format(expected=expect, found=reached))
    if yes and expect is None and (crowd := [plan for plan in plans if plan.at_once]):
        told = _(
            "nothing was published: people enter {journeys} at once; "
            "say how many the whole table counts: --yes --expect {found}"
        )
        raise Refused(told.format(journeys=", ".join(plan.journey for plan in crowd), found=reached))


def _tell(app: App, versions: Sequence[Version]) -> None:
    for version in versions:
        told = _("{journey}: version {number} is live").format(journey=version.journey, number=version.number)
        CONTEXT.out.say(told, "green")
    CONTEXT.out.say(_("the daemon takes it up at its next beat; to stop a journey: outreach pause JOURNEY"))

"""Commands of those who run it: approve a wave, pause and resume journeys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from engine.app import App
from engine.cli.context import CONTEXT
from engine.cli.installation import agreed, myself, opened, unknown, without_texts
from engine.cli.words import _, ngettext
from engine.errors import Refused
from engine.store import journeys, messages, waves, work
from engine.work.waves import settle_approval

Journey = Annotated[str | None, typer.Argument(metavar="JOURNEY", help=_("the journey's name"))]
All = Annotated[bool, typer.Option("--all", help=_("every journey"))]

# --- approve ---------------------------------------------------------------------------------------------------------


def approve(
    journey: Annotated[
        str | None, typer.Argument(metavar="JOURNEY", help=_("the journey; without it, what waits is listed"))
    ] = None,
    refuse: Annotated[bool, typer.Option("--refuse", help=_("say no: the wave ends"))] = False,
    by: Annotated[str | None, typer.Option("--by", metavar="NAME", help=_("who says so; you when missing"))] = None,
    expect: Annotated[
        int | None, typer.Option("--expect", min=0, help=_("refuse unless so many people are waiting"))
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help=_("do not ask"))] = False,
) -> int:
    out = CONTEXT.out
    with opened() as app:
        waiting = _waiting(app, journey)
        _show(waiting)
        if journey is None or not waiting:
            out.value([dict(one._mapping) for one in waiting])
            return 0
        _as_expected(waiting, expect)
        if not agreed(_("Refuse?") if refuse else _("Let them go out?"), yes):
            out.say(_("nothing was changed; it goes on waiting"), "yellow")
            out.value([])
            return 0
        outcome = "refused" if refuse else "approved"
        done = [one for one in waiting if settle_approval(app, one, outcome, by or myself(), app.clock.now())]
    _tell(done, waiting, outcome)
    return 0 if len(done) == len(waiting) else 1


def _waiting(app: App, journey: str | None) -> list[Any]:
    with app.database.reading() as connection:
        known = journeys.live(connection).keys() - {"audience"}
        if journey is not None and journey not in known:
            raise unknown(_("there is no published journey {journey}").format(journey=journey), journey, known)
        return list(waves.approvals(connection, journey, open_only=True))


def _show(waiting: Sequence[Any]) -> None:
    if not waiting:
        CONTEXT.out.say(_("nothing waits for a word"), "green")
        return
    columns = (
        *(_("journey"), _("planned"), _("stage"), _("people")),
        *(_("messages at most"), _("cost at most"), _("until (UTC)")),
    )
    cells = (
        [
            *(one.journey, one.planned, one.stage, f"{one.people:,}", f"{one.messages:,}"),
            *(one.cost, f"{one.expires_at:%Y-%m-%d %H:%M}"),
        ]
        for one in waiting
    )
    CONTEXT.out.table(columns, cells)


def _as_expected(waiting: Sequence[Any], expect: int | None) -> None:
    people = sum(one.people for one in waiting)
    if expect is not None and people != expect:
        told = ngettext(
            "nothing was changed: {found} person is waiting, {expected} expected",
            "nothing was changed: {found} people are waiting, {expected} expected",
            people,
        )
        raise Refused(told.format(found=people, expected=expect))


def _tell(done: Sequence[Any], waiting: Sequence[Any], outcome: str) -> None:
    word = _("approved") if outcome == "approved" else _("refused")
    for one in waiting:
        told = word if one in done else _("somebody else had answered already")
        CONTEXT.out.say(f"{one.journey} {one.planned}, {_('stage')} {one.stage}: {told}", "green")
    CONTEXT.out.value(
        [{"journey": one.journey, "planned": one.planned, "stage": one.stage, "outcome": outcome} for one in done]
    )


# --- pause, resume ---------------------------------------------------------------------------------------------------


def pause(journey: Journey = None, all_: All = False) -> int:
    """When it returns, no new attempt begins; what is still on its way was counted."""
    with without_texts() as app:
        names = _names(app, journey, all_)
        with app.database.writing() as connection:
            journeys.pause(connection, names, myself(), app.clock.now())
            flying = messages.in_flight(connection, names)
    told = ngettext(
        "paused: {journeys}; {count} message was already on its way",
        "paused: {journeys}; {count} messages were already on their way",
        flying,
    )
    CONTEXT.out.say(told.format(journeys=", ".join(names), count=flying), "yellow")
    CONTEXT.out.value({"paused": names, "in_flight": flying})
    return 0


def resume(
    journey: Journey = None,
    all_: All = False,
    lane: Annotated[
        str | None, typer.Option("--lane", metavar="CHANNEL", help=_("a channel whose lane was stopped"))
    ] = None,
) -> int:
    with without_texts() as app:
        if lane is not None:
            return _resume_lane(app, lane)
        names = _names(app, journey, all_)
        with app.database.writing() as connection:
            journeys.resume(connection, names)
    CONTEXT.out.say(_("goes on: {journeys}").format(journeys=", ".join(names)), "green")
    CONTEXT.out.value({"resumed": names})
    return 0


def _resume_lane(app: App, lane: str) -> int:
    if lane not in app.settings.channels:
        raise unknown(_("there is no channel {channel}").format(channel=lane), lane, app.settings.channels)
    with app.database.writing() as connection:
        work.set_lane(connection, lane, failures=0, paused_until=None, stopped=None)
        messages.hurry(connection, lane, app.clock.now())
    CONTEXT.out.say(_("the lane {channel} goes on").format(channel=lane), "green")
    CONTEXT.out.value({"lane": lane})
    return 0


def _names(app: App, journey: str | None, everything: bool) -> list[str]:
    with app.database.reading() as connection:
        known = sorted(journeys.live(connection).keys() - {"audience"})
    if everything and journey is not None:
        raise Refused(_("name a journey or write --all, not both"))
    if everything and known:
        return known
    if not known:
        raise Refused(_("no journey is published"))
    if journey is None:
        raise Refused(_("name a journey, or write --all; published: {known}").format(known=", ".join(known)))
    if journey not in known:
        raise unknown(_("there is no published journey {journey}").format(journey=journey), journey, known)
    return [journey]

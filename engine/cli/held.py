"""Commands after a restore: what may have gone out since the copy is held, and a person decides about it."""

from __future__ import annotations

from typing import Annotated

import typer

from engine.app import App
from engine.cli.choosing import All, By, Limit, Maybe, OfJourney, Reason, Some, Yes, given, meant, short
from engine.cli.context import CONTEXT
from engine.cli.installation import called_today, myself, opened, without_texts
from engine.cli.words import _
from engine.errors import Refused
from engine.store import held
from engine.work.colleagues import restored
from engine.work.colleagues.restored import Decided, Held, Which

People = Annotated[bool, typer.Option("--people", help=_("one by one, with their numbers"))]


def after_restore(by: str | None, yes: bool) -> int:
    """Hold what may have been done since the copy was made."""
    out = CONTEXT.out
    who = by or myself()
    with without_texts() as app:
        found = restored.in_doubt(app, app.clock.now())
        _tell_doubt(found)
        if not meant(_("Hold all of it until somebody decides?"), yes):
            out.value({"held": None})
            return 0
        done = restored.hold_after_restore(app, f"outreach doctor by {who}", who)
    out.say(_("it is held; the daemon may be started again. Then:"), "green")
    for line in (
        _("outreach unknown list: the messages; look them up at the provider, then: outreach unknown close"),
        _("outreach held list: the people and waves; then: outreach held release, or drop"),
    ):
        out.say(f"  {line}")
    out.value({"held": done})
    return 0


def _tell_doubt(found: Held) -> None:
    out = CONTEXT.out
    if found.since is not None:
        told = _("a daemon was last alive in this copy at {instant} UTC; what came after that is not in it")
        out.tell(told.format(instant=f"{found.since:%Y-%m-%d %H:%M:%S}"))
    told = _("messages that had not ended, and may have left since: {count}")
    out.say(told.format(count=f"{found.messages:,}"))
    out.say(_("people whose message or next step is in doubt: {count}").format(count=f"{found.ways:,}"))
    out.say(_("waves that were under way: {count}").format(count=f"{found.runs:,}"))


def list_held(journey: OfJourney = None, people: People = False, limit: Limit = 50) -> int:
    out = CONTEXT.out
    with without_texts() as app:
        journey = journey and called_today(app, journey)
        with app.database.reading() as connection:
            runs = held.runs(connection, journey)
            ways = held.ways(connection, journey, limit=limit) if people else []
            counts = held.count_ways(connection)
    shown = {name: one for name, one in counts.items() if journey in (None, name)}
    if not runs and not shown:
        out.say(_("nothing is held"), "green")
    if shown and not people:
        columns = (_("journey"), _("people"), _("due since (UTC)"))
        out.table(columns, ([name, f"{count:,}", _minute(at)] for name, (count, at) in sorted(shown.items())))
    if ways:
        one_by_one = (_("number"), _("person"), _("journey"), _("step"), _("due (UTC)"))
        out.table(one_by_one, ([way.id, way.person, way.journey, way.step, _minute(way.due_at)] for way in ways))
    if runs:
        of_waves = (_("journey"), _("wave planned"), _("zone"), _("entered so far"))
        out.table(of_waves, ([run.journey, run.planned, run.zone, f"{run.entered:,}"] for run in runs))
    names = ("id", "person", "journey", "step", "entered_at", "due_at")
    out.value(
        {
            "journeys": {name: count for name, (count, _at) in shown.items()},
            "people": [{name: getattr(way, name) for name in names} for way in ways],
            "waves": [
                {name: getattr(run, name) for name in ("journey", "planned", "zone", "planned_at", "entered")}
                for run in runs
            ],
        }
    )
    return 0


def _minute(at: object) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at is not None else ""


def release_held(
    numbers: Some = None,
    journey: OfJourney = None,
    all_: All = False,
    reason: Maybe = "",
    by: By = None,
    yes: Yes = False,
) -> int:
    """By all the rules: what is too late by now is not sent."""
    who, why = by or myself(), short(reason)
    with opened() as app:
        which = _which(app, numbers, journey, all_)
        if not _sure(_("people: {people}, waves: {waves}; let them go on from where they stood?"), app, which, yes):
            return int(which.numbers is not None)  # numbers that are not held
        return _tell(restored.release(app, which, who, why), which)


def drop_held(
    reason: Reason,
    numbers: Some = None,
    journey: OfJourney = None,
    all_: All = False,
    by: By = None,
    yes: Yes = False,
) -> int:
    """What was due counts as done."""
    who, why = by or myself(), given(reason)
    with opened() as app:
        which = _which(app, numbers, journey, all_)
        if not _sure(_("people: {people}, waves: {waves}; end them where they stood?"), app, which, yes):
            return int(which.numbers is not None)  # numbers that are not held
        return _tell(restored.drop(app, which, who, why), which)


def _which(app: App, numbers: list[int] | None, journey: str | None, everything: bool) -> Which:
    if bool(numbers) + (journey is not None) + everything != 1:
        raise Refused(_("name numbers of people, or --journey NAME, or --all"))
    return Which(journey and called_today(app, journey), numbers or None)


def _sure(question: str, app: App, which: Which, yes: bool) -> bool:
    with app.database.reading() as connection:
        runs = held.runs(connection, which.journey) if which.numbers is None else []
        if which.numbers is not None:
            people = len(held.ways(connection, None, which.numbers))
        else:
            counts = held.count_ways(connection)
            people = sum(count for name, (count, _at) in counts.items() if which.journey in (None, name))
    if not runs and not people:
        CONTEXT.out.say(_("nothing of that is held"), "yellow")
    elif which.numbers is not None or meant(question.format(people=f"{people:,}", waves=len(runs)), yes):
        return True
    CONTEXT.out.value(Decided(0, 0))
    return False


def _tell(done: Decided, which: Which) -> int:
    told = _("done; people: {people}, waves: {waves}")
    CONTEXT.out.say(told.format(people=f"{done.ways:,}", waves=done.waves), "green")
    CONTEXT.out.value(done)
    return 1 if which.numbers is not None and done.ways < len(set(which.numbers)) else 0

"""Commands of those who run it: approve waves and people who wait at a step, pause and resume journeys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from engine.app import App
from engine.cli.context import CONTEXT
from engine.cli.installation import agreed, called_today, myself, opened, unknown, without_texts
from engine.cli.words import _, ngettext
from engine.errors import Refused
from engine.settings import channel_of
from engine.store import customers, journeys, lanes, messages, waves, work
from engine.work.colleagues.approving import answer
from engine.work.entering.waves import settle_approval
from engine.work.line import hurry
from engine.work.sure import confirm

Journey = Annotated[str | None, typer.Argument(metavar="JOURNEY", help=_("the journey's name"))]
All = Annotated[bool, typer.Option("--all", help=_("every journey"))]

OfLane = Annotated[
    str | None, typer.Option("--lane", metavar="LANE", help=_("a lane (sms/twilio), or a channel: all of its lanes"))
]

MOST_NAMED = 5  # people who wait that are named

# --- approve ---------------------------------------------------------------------------------------------------------


def approve(
    journey: Annotated[
        str | None, typer.Argument(metavar="JOURNEY", help=_("the journey; without it, what waits is listed"))
    ] = None,
    step: Annotated[
        str | None, typer.Option("--step", metavar="STEP", help=_("the people who wait at this step"))
    ] = None,
    person: Annotated[
        str | None, typer.Option("--person", metavar="PERSON", help=_("one person who waits, by the shop's id"))
    ] = None,
    refuse: Annotated[bool, typer.Option("--refuse", help=_("say no: the wave, or their way, ends"))] = False,
    by: Annotated[str | None, typer.Option("--by", metavar="NAME", help=_("who says so; you when missing"))] = None,
    expect: Annotated[
        int | None, typer.Option("--expect", min=0, help=_("refuse unless so many people are waiting"))
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help=_("do not ask"))] = False,
) -> int:
    if journey is None and (step or person):
        raise Refused(_("name the journey as well: outreach approve JOURNEY --step STEP"))
    with opened() as app:
        journey = journey and called_today(app, journey)
        waiting = _waiting(app, journey, step, person)
        _show(waiting)
        if journey is None or not waiting.people:
            CONTEXT.out.value(waiting.told)
            return 0
        _one_question(waiting, journey)
        _as_expected(waiting.people, expect)
        if not agreed(_("Refuse?") if refuse else _("Let them go on?"), yes):
            CONTEXT.out.say(_("nothing was changed; it goes on waiting"), "yellow")
            CONTEXT.out.value([])
            return 0
        outcome, who = "refused" if refuse else "approved", by or myself()
        if waiting.questions:
            return _tell_people(answer(app, waiting.questions, outcome, who), waiting, outcome)
        done = [one for one in waiting.waves if settle_approval(app, one, outcome, who, app.clock.now())]
    _tell(done, waiting.waves, outcome)
    return 0 if len(done) == len(waiting.waves) else 1


@dataclass(frozen=True)
class Waiting:
    """What waits for a word: waves, and people at a step."""

    waves: Sequence[Any]
    questions: Sequence[Any]
    names: Mapping[int, str]  # of the people, by their number

    @property
    def people(self) -> int:
        return sum((int(one.people) for one in self.waves), len(self.questions))

    @property
    def steps(self) -> dict[tuple[str, str], list[Any]]:
        """(journey, step) -> its questions, those that end soonest first."""
        found: dict[tuple[str, str], list[Any]] = {}
        for one in self.questions:
            found.setdefault((one.journey, one.step), []).append(one)
        return found

    @property
    def told(self) -> list[dict[str, Any]]:
        """For programs."""
        told = [dict(one._mapping) for one in self.waves]
        for one in self.questions:
            asked = {"journey": one.journey, "step": one.step, "question": one.brief, "by": one.assignee}
            until = {"asked_at": one.opened_at, "expires_at": one.due_at}
            told.append({**asked, "person": self.names.get(one.customer_id), **until})
        return told


def _waiting(app: App, journey: str | None, step: str | None, person: str | None) -> Waiting:
    with app.database.reading() as connection:
        known = journeys.live(connection).keys() - {"audience"}
        if journey is not None and journey not in known:
            raise unknown(_("there is no published journey {journey}").format(journey=journey), journey, known)
        who = customers.ids_of(connection, [person]).get(person) if person is not None else None
        if person is not None and who is None:
            raise Refused(_("there is no person {person}").format(person=person))
        asked = work.questions(connection, journey, step, who)
        waves_ = [] if step or person else list(waves.approvals(connection, journey, open_only=True))
        return Waiting(waves_, asked, customers.names_of(connection, [one.customer_id for one in asked]))


def _one_question(waiting: Waiting, journey: str) -> None:
    """One word answers one question."""
    if len(waiting.steps) + bool(waiting.waves) > 1:
        steps = ", ".join(sorted(step for _journey, step in waiting.steps))
        told = _("several things wait in {journey}; name one: --step, one of {steps}")
        raise Refused(told.format(journey=journey, steps=steps))


def _show(waiting: Waiting) -> None:
    if not waiting.people and not waiting.waves:
        CONTEXT.out.say(_("nothing waits for a word"), "green")
    if waiting.waves:
        _show_waves(waiting.waves)
    if waiting.questions:
        _show_steps(waiting)


def _show_waves(waiting: Sequence[Any]) -> None:
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


def _show_steps(waiting: Waiting) -> None:
    columns = (_("journey"), _("step"), _("question"), _("asked"), _("people"), _("until (UTC)"), _("who"))
    cells = (
        [
            *(journey, step, questions[0].brief, questions[0].assignee, f"{len(questions):,}"),
            *(f"{questions[0].due_at:%Y-%m-%d %H:%M}", _some(waiting, questions)),
        ]
        for (journey, step), questions in waiting.steps.items()
    )
    CONTEXT.out.table(columns, cells)


def _some(waiting: Waiting, questions: Sequence[Any]) -> str:
    names = [waiting.names.get(one.customer_id, "") for one in questions[:MOST_NAMED]]
    return ", ".join(names) + (", ..." if len(questions) > MOST_NAMED else "")


def _as_expected(people: int, expect: int | None) -> None:
    if expect is not None and people != expect:
        told = ngettext(
            "nothing was changed: {found} person is waiting, {expected} expected",
            "nothing was changed: {found} people are waiting, {expected} expected",
            people,
        )
        raise Refused(told.format(found=people, expected=expect))


def _tell_people(answered: int, waiting: Waiting, outcome: str) -> int:
    word = _("approved") if outcome == "approved" else _("refused")
    ((journey, step),) = waiting.steps
    told = ngettext("{journey} {step}: {word}, {count} person", "{journey} {step}: {word}, {count} people", answered)
    CONTEXT.out.say(told.format(journey=journey, step=step, word=word, count=answered), "green")
    late = len(waiting.questions) - answered
    if late:
        CONTEXT.out.say(
            ngettext(
                "{count} person had been answered already, or has left",
                "{count} people had been answered already, or have left",
                late,
            ).format(count=late),
            "yellow",
        )
    CONTEXT.out.value([{"journey": journey, "step": step, "outcome": outcome, "people": answered}])
    return 1 if late else 0


def _tell(done: Sequence[Any], waiting: Sequence[Any], outcome: str) -> None:
    word = _("approved") if outcome == "approved" else _("refused")
    for one in waiting:
        told = word if one in done else _("somebody else had answered already")
        CONTEXT.out.say(f"{one.journey} {one.planned}, {_('stage')} {one.stage}: {told}", "green")
    if done and outcome == "approved":
        CONTEXT.out.say(_("the daemon takes it up at its next beat; to stop a journey: outreach pause JOURNEY"))
    CONTEXT.out.value(
        [{"journey": one.journey, "planned": one.planned, "stage": one.stage, "outcome": outcome} for one in done]
    )


# --- pause, resume ---------------------------------------------------------------------------------------------------


def pause(journey: Journey = None, all_: All = False, lane: OfLane = None) -> int:
    """When it returns, no new attempt begins; what is still on its way was counted."""
    with without_texts() as app:
        ways = _lanes_meant(app, journey, lane)
        if ways:
            return _pause_lanes(app, ways)
        names = _names(app, journey, all_)
        with app.database.writing() as connection:
            journeys.pause(connection, names, myself(), app.clock.now())
            flying = messages.in_flight(connection, names)
    _tell_paused(names, flying)
    CONTEXT.out.value({"paused": names, "in_flight": flying})
    return 0


def _pause_lanes(app: App, names: Sequence[str]) -> int:
    with app.database.writing() as connection:
        for name in names:
            lanes.change(connection, name, stopped=f"paused by {myself()}")
        flying = messages.in_flight_on(connection, names)
    _tell_paused(names, flying)
    CONTEXT.out.value({"lanes": names, "in_flight": flying})
    return 0


def _tell_paused(names: Sequence[str], flying: int) -> None:
    told = ngettext(
        "paused: {journeys}; {count} message was already on its way",
        "paused: {journeys}; {count} messages were already on their way",
        flying,
    )
    CONTEXT.out.say(told.format(journeys=", ".join(names), count=flying), "yellow")


def resume(
    journey: Journey = None,
    all_: All = False,
    lane: OfLane = None,
    clock: Annotated[bool, typer.Option("--clock", help=_("the clock that jumped is right as it is now"))] = False,
) -> int:
    with without_texts() as app:
        if clock:
            return _trust_clock(app)
        ways = _lanes_meant(app, journey, lane)
        if ways:
            return _resume_lanes(app, ways)
        names = _names(app, journey, all_)
        with app.database.writing() as connection:
            journeys.resume(connection, names)
    CONTEXT.out.say(_("goes on: {journeys}").format(journeys=", ".join(names)), "green")
    CONTEXT.out.value({"resumed": names})
    return 0


def _resume_lanes(app: App, names: Sequence[str]) -> int:
    with app.database.writing() as connection:
        for name in names:
            lanes.change(connection, name, failures=0, paused_until=None, stopped=None, probing_until=None)
        for channel in dict.fromkeys(channel_of(name) for name in names):
            hurry(app, connection, channel, app.clock.now())
    for name in names:
        CONTEXT.out.say(_("the lane {channel} goes on").format(channel=name), "green")
    CONTEXT.out.value({"lane": names[0]} if len(names) == 1 else {"lanes": names})
    return 0


def _lanes_meant(app: App, journey: str | None, lane: str | None) -> list[str]:
    """The lanes that are named, by `--lane` or where a journey could be: one, or all of a channel."""
    if lane is None and (journey is None or not _is_of_lanes(app, journey)):
        return []
    word = lane or str(journey)
    if word in app.settings.lanes:
        return [word]
    if word in app.settings.channels:
        return [one.name for one in app.settings.ways[word]]
    if "/" not in word:
        raise unknown(_("there is no channel {channel}").format(channel=word), word, app.settings.channels)
    raise unknown(_("there is no lane {lane}").format(lane=word), word, app.settings.lanes)


def _is_of_lanes(app: App, word: str) -> bool:
    """A journey may be called like a channel; none is called like one lane of several."""
    if "/" in word:
        return True
    with app.database.reading() as connection:
        return word in app.settings.channels and word not in journeys.live(connection)


def _trust_clock(app: App) -> int:
    now = app.clock.now()
    doubt = confirm(app)
    told = _("the clock is right: {instant} UTC; work goes on")
    told = told if doubt else _("the clock was not in doubt: {instant} UTC")
    CONTEXT.out.say(told.format(instant=f"{now:%Y-%m-%d %H:%M:%S}"), "green")
    CONTEXT.out.value({"clock": now, "jumped": doubt.seconds if doubt else None})
    return 0


def _names(app: App, journey: str | None, everything: bool) -> list[str]:
    journey = journey and called_today(app, journey)
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

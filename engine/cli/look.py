"""Commands that look back: the last messages, and what came of a journey."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import typer

from engine.cli.context import CONTEXT
from engine.cli.installation import called_today, unknown, without_texts
from engine.cli.money import by_channel
from engine.cli.summary import reached
from engine.cli.versions import tell_of_the_file
from engine.cli.words import _
from engine.decide.outcome import MessageState
from engine.errors import Refused
from engine.journey.quantities import Misread, parse_duration
from engine.learn.report import Difference, Report, Split, Vouchers, report, report_marketing
from engine.store import customers, journeys, messages
from engine.work.publishing.standing import File

# --- messages --------------------------------------------------------------------------------------------------------


def messages_command(
    person: Annotated[str | None, typer.Option("--person", metavar="ID", help=_("of one person"))] = None,
    journey: Annotated[str | None, typer.Option("--journey", metavar="NAME", help=_("of one journey"))] = None,
    state: Annotated[
        str | None, typer.Option("--state", metavar="STATE", help=_("in one state: accepted, unknown, dead, ..."))
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help=_("no more than so many"))] = 50,
    show: Annotated[
        int | None, typer.Option("--show", metavar="NUMBER", help=_("the content of one message, by its number"))
    ] = None,
) -> int:
    if show is not None:
        return _show_message(show)
    states = [one.value for one in MessageState]
    if state is not None and state not in states:
        raise unknown(_("there is no state {state}").format(state=state), state, states)
    with without_texts() as app:
        journey = journey and called_today(app, journey)
        with app.database.reading() as connection:
            whose, where = _id_of(connection, person), _published(connection, journey)
            rows = messages.listed(connection, whose, where, state, limit)
    if rows:
        _table(rows)
    else:
        CONTEXT.out.say(_("there is no such message"), "yellow")
    CONTEXT.out.value(rows)
    return 0


def _id_of(connection: Any, person: str | None) -> int | None:
    if person is None:
        return None
    found = customers.find(connection, person)
    if found is None:
        raise Refused(_("there is no person {person}").format(person=person))
    return found.id


def _published(connection: Any, journey: str | None) -> str | None:
    known = {version.journey for version in journeys.versions(connection)}
    if journey is not None and journey not in known:
        raise unknown(_("there is no published journey {journey}").format(journey=journey), journey, known)
    return journey


def _table(rows: list[dict[str, Any]]) -> None:
    columns = (
        *(_("number"), _("decided (UTC)"), _("person"), _("journey"), _("step")),
        *(_("channel"), _("provider"), _("locale"), _("state"), _("reason")),
    )
    names = ("person", "journey", "step", "channel", "provider", "locale", "state", "reason")
    cells = ((row["id"], f"{row['at']:%Y-%m-%d %H:%M}", *(row[name] for name in names)) for row in rows)
    CONTEXT.out.table(columns, cells)


def _show_message(number: int) -> int:
    with without_texts() as app, app.database.reading() as connection:
        content = messages.content_of(connection, number)
    if content is None:
        raise Refused(_("message {number} has no content").format(number=number))
    for name, value in content.items():
        if value and name != "html":
            CONTEXT.out.say(f"{name}: {value}")
    CONTEXT.out.value(content)
    return 0


# --- report ----------------------------------------------------------------------------------------------------------


def report_command(
    journey: Annotated[
        str | None,
        typer.Argument(metavar="JOURNEY", help=_("the journey's name; without it, what all marketing did")),
    ] = None,
    within: Annotated[
        str, typer.Option("--within", metavar="SPAN", help=_("without a journey: orders of so long until now"))
    ] = "30d",
) -> int:
    if journey is None:
        return _report_marketing(within)
    with without_texts() as app:
        told = report(app, called_today(app, journey))
    _show_report(told)
    CONTEXT.out.value(told)
    return 0


def _report_marketing(within: str) -> int:
    """Those whom no marketing reaches, beside the others."""
    try:
        span = parse_duration(within)
    except Misread as misread:
        raise Refused(f"--within: {misread}") from None
    with without_texts() as app:
        told = report_marketing(app, span)
    out = CONTEXT.out
    span_told = _("all marketing, {since} .. {until} UTC")
    out.say(span_told.format(since=_minute(told.since), until=_minute(told.until)), "bold")
    for label, arm in ((_("ordered"), told.treated), (_("ordered, held out of all marketing"), told.held_out)):
        if arm.people:
            out.say(f"  {label}: {reached(arm)}")
    _difference(told.difference)
    out.value(told)
    return 0


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"


def _show_report(told: Report) -> None:
    out = CONTEXT.out
    out.say(told.journey, "bold")
    if told.standing is not None and (told.standing.state is not File.same or told.standing.retired_at):
        tell_of_the_file(told.standing)
    if told.kept_since is not None:
        trimmed = _("what ended before {date} was trimmed (`keep` in config.yaml) and is not counted")
        out.say("  " + trimmed.format(date=f"{told.kept_since:%Y-%m-%d}"), "yellow")
    out.say("  " + _("{entered} entered, {inside} are inside").format(entered=told.entered, inside=told.inside))
    _counts(_("led to by"), told.started_by)
    _counts(_("ended"), told.ended)
    _counts(_("went out"), told.sent)
    for channel, providers in told.taken_by.items():
        _counts(_("{channel} went out by").format(channel=channel), providers)
    _counts(_("held back"), told.unsent)
    if told.steps:
        out.table((f"  {_('step')}", _("messages")), [(f"  {step}", _told(n)) for step, n in told.steps.items()])
    for brief, outcomes in told.tasks.items():
        _counts(f"{_('task')} {brief}", outcomes)
    for step, outcomes in told.approvals.items():
        _counts(f"{_('approval')} {step}", outcomes)
    for pool, vouchers in told.vouchers.items():
        _show_vouchers(pool, vouchers)
    if told.cost:
        out.say(f"  {_('cost')}: {by_channel(told.cost, told.cost_by_channel)}")
    for label, arm in ((_("goal"), told.treated), (_("goal without it (holdout)"), told.held_out)):
        if arm.people:
            out.say(f"  {label}: {reached(arm)}")
    if told.goal_since is not None:
        later = _("goal: of who entered after {instant} UTC; its events of before were trimmed")
        out.say("  " + later.format(instant=_minute(told.goal_since)), "yellow")
    if told.held_out_of_all:
        out.say("  " + _("of these held out of all marketing: {count}").format(count=told.held_out_of_all))
    _difference(told.difference)
    for name, split in told.splits.items():
        _show_split(name, split)


def _show_vouchers(pool: str, told: Vouchers) -> None:
    cost = ", ".join(f"{amount} {currency}" for currency, amount in told.cost.items()) or "0"
    line = _("vouchers {pool}: {given} given, {redeemed} redeemed, cost {cost}; {left} are left")
    text = line.format(pool=pool, given=told.given, redeemed=told.redeemed, cost=cost, left=told.left)
    CONTEXT.out.say("  " + text, "yellow" if told.runs_low else "")
    if told.runs_low:
        CONTEXT.out.say("  " + _("pool {pool} runs low").format(pool=pool), "yellow")


def _show_split(name: str, split: Split) -> None:
    out = CONTEXT.out
    out.say(f"  {_('split')} {name}")
    for variant, arm in split.variants.items():
        out.say(f"    {variant}: {reached(arm)}" if arm.people else f"    {variant}: {_('nobody yet')}")
    if split.too_few:
        told = _("too few to judge: {least} of {wanted} people in a variant")
        least = min(arm.people for arm in split.variants.values())
        out.say("    " + told.format(least=least, wanted=split.at_least), "yellow")
        return
    first = next(iter(split.variants))
    for variant, difference in split.differences.items():
        out.say(f"    {_('{variant} beside {first}').format(variant=variant, first=first)}: {_said(difference)}")


def _difference(found: Difference | None) -> None:
    if found is not None:
        CONTEXT.out.say(f"  {_('difference')}: {_said(found)}")


def _said(found: Difference) -> str:
    spread = f"{found.points:+.1%} ({found.low:+.1%} .. {found.high:+.1%}, 95 %)"
    return f"{spread}: " + (_("more than chance") if found.sure else _("may be chance"))


def _counts(label: str, counts: Mapping[str, int]) -> None:
    if counts:
        CONTEXT.out.say(f"  {label}: {_told(counts)}")


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda pair: -pair[1]))

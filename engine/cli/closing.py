"""Commands that close what only a person can: messages that are unknown or dead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from engine.app import App
from engine.cli.choosing import (
    All,
    By,
    Limit,
    Maybe,
    OfChannel,
    OfJourney,
    OfProvider,
    Older,
    Reason,
    Some,
    Yes,
    given,
    meant,
    short,
)
from engine.cli.context import CONTEXT
from engine.cli.installation import called_today, myself, opened, unknown, without_texts
from engine.cli.show import plain
from engine.cli.words import _
from engine.errors import Refused
from engine.journey.quantities import Misread, parse_duration
from engine.store import journeys, open_ends
from engine.store.open_ends import OpenEnd, Which
from engine.work.colleagues import closing
from engine.work.colleagues.closing import FOR_GOOD, Closed, repeat_until

MOST_TOLD = 50  # messages that are told one by one
MOST_NAMED = 10  # numbers that are named in a command to come

# --- messages of which nobody knows ----------------------------------------------------------------------------------


def list_unknown(
    journey: OfJourney = None,
    channel: OfChannel = None,
    provider: OfProvider = None,
    older: Older = None,
    limit: Limit = 50,
) -> int:
    """Since when, whom to ask, and what can close each of them."""
    with without_texts() as app:
        which = _which(app, None, journey, channel, provider, older)
        with app.database.reading() as connection:
            found = open_ends.unknown(connection, which, limit)
        repeats = {one.id: repeat_until(app, one) for one in found}
    if not found:
        CONTEXT.out.say(_("no message is unknown"), "green")
    else:
        columns = (*_COLUMNS, _("provider"), _("its number there"), _("what can close it"), _("reason"))
        CONTEXT.out.table(
            columns,
            ([*_cells(one), one.provider, one.provider_id, _closes(repeats[one.id]), one.reason] for one in found),
        )
        _tell_more(len(found), limit)
    told = [plain(one) | {"repeat_until": "always" if (at := repeats[one.id]) == FOR_GOOD else at} for one in found]
    CONTEXT.out.value(told)
    return 0


def close_unknown(
    reason: Reason,
    numbers: Some = None,
    sent: Annotated[bool, typer.Option("--sent", help=_("the provider did take them"))] = False,
    not_sent: Annotated[bool, typer.Option("--not-sent", help=_("it did not: they need not count any more"))] = False,
    retry: Annotated[
        bool, typer.Option("--retry", help=_("with --not-sent: and try them again, by all the rules"))
    ] = False,
    journey: OfJourney = None,
    channel: OfChannel = None,
    provider: OfProvider = None,
    older: Older = None,
    all_: All = False,
    by: By = None,
    yes: Yes = False,
) -> int:
    """Nothing is sent, whatever the answer, unless --retry asks for it."""
    if sent == not_sent:
        raise Refused(_("say what you found out: --sent, or --not-sent"))
    if retry and sent:
        raise Refused(_("--retry goes with --not-sent"))
    who, why = by or myself(), given(reason)
    with opened() as app:
        which = _chosen(app, numbers, journey, channel, provider, older, all_)
        chosen = _those(app, which, open_ends.unknown)
        question = _("found: {count}; close them as sent?") if sent else _("found: {count}; close them as not sent?")
        if not _sure(question, chosen, which, yes):
            return 0
        done = closing.close(app, chosen, sent, who, why)
        closed = [one.id for one in done if one.done]
        if retry:
            again = closing.retry(app, closed, who, why)
            done = [*(one for one in done if not one.done), *again]
    code = _tell_messages(done)
    if not_sent and not retry and closed:
        told = _("they are not sent again; where they still should be: outreach dead retry {numbers}")
        numbers_ = " ".join(map(str, closed[:MOST_NAMED])) + (" ..." if len(closed) > MOST_NAMED else "")
        CONTEXT.out.say(told.format(numbers=numbers_), "dim")
    return code


def _closes(repeat: datetime | None) -> str:
    """What can close an unknown message, beside a report that comes in after all."""
    if repeat is None:
        return _("a person")
    if repeat == FOR_GOOD:
        return _("a person, or the same key once more (--not-sent --retry)")
    told = _("a person, or until {instant} UTC the same key once more (--not-sent --retry)")
    return told.format(instant=f"{repeat:%Y-%m-%d %H:%M}")


# --- messages that were given up -------------------------------------------------------------------------------------


def list_dead(
    journey: OfJourney = None,
    channel: OfChannel = None,
    provider: OfProvider = None,
    older: Older = None,
    limit: Limit = 50,
) -> int:
    """With the reason and the last answer."""
    with without_texts() as app:
        which = _which(app, None, journey, channel, provider, older)
        with app.database.reading() as connection:
            found = open_ends.dead(connection, which, limit)
    if not found:
        CONTEXT.out.say(_("no message is dead"), "green")
    else:
        columns = (*_COLUMNS, _("attempts"), _("provider"), _("reason"), _("last answer"))
        cells = ([*_cells(one), one.attempts, one.provider, one.reason, one.last_answer] for one in found)
        CONTEXT.out.table(columns, cells)
        _tell_more(len(found), limit)
    CONTEXT.out.value(found)
    return 0


def retry_dead(
    numbers: Some = None,
    journey: OfJourney = None,
    channel: OfChannel = None,
    provider: OfProvider = None,
    older: Older = None,
    all_: All = False,
    reason: Maybe = "",
    by: By = None,
    yes: Yes = False,
) -> int:
    """Those too of which somebody said that they were not sent."""
    who, why = by or myself(), short(reason)
    with opened() as app:
        which = _chosen(app, numbers, journey, channel, provider, older, all_)
        chosen = _those(app, which, open_ends.dead)
        if not _sure(_("found: {count}; try them once more?"), chosen, which, yes):
            return 0
        return _tell_messages(closing.retry(app, chosen, who, why))


def drop_dead(
    reason: Reason,
    numbers: Some = None,
    journey: OfJourney = None,
    channel: OfChannel = None,
    provider: OfProvider = None,
    older: Older = None,
    all_: All = False,
    by: By = None,
    yes: Yes = False,
) -> int:
    who, why = by or myself(), given(reason)
    with opened() as app:
        which = _chosen(app, numbers, journey, channel, provider, older, all_)
        chosen = _those(app, which, open_ends.dead)
        if not _sure(_("found: {count}; let them be?"), chosen, which, yes):
            return 0
        return _tell_messages(closing.drop(app, chosen, who, why))


# --- what both share -------------------------------------------------------------------------------------------------

_COLUMNS = (_("number"), _("since (UTC)"), _("person"), _("journey"), _("step"), _("channel"))


def _cells(one: OpenEnd) -> list[Any]:
    return [one.id, f"{one.since:%Y-%m-%d %H:%M}", one.person, one.journey, one.step, one.channel]


def _tell_more(shown: int, limit: int) -> None:
    if shown == limit:
        CONTEXT.out.say(_("there may be more; see them with --limit"), "dim")


def _which(
    app: App,
    numbers: Sequence[int] | None,
    journey: str | None,
    channel: str | None,
    provider: str | None,
    older: str | None,
) -> Which:
    """What was chosen, if there can be such messages."""
    if journey is not None:
        journey = called_today(app, journey)
        with app.database.reading() as connection:
            known = {version.journey for version in journeys.versions(connection)}
        if journey not in known:
            raise unknown(_("there is no published journey {journey}").format(journey=journey), journey, known)
    if channel is not None and channel not in app.settings.channels:
        raise unknown(_("there is no channel {channel}").format(channel=channel), channel, app.settings.channels)
    before = None
    if older is not None:
        try:
            before = app.clock.now() - parse_duration(older)
        except Misread as error:
            raise Refused(f"--older: {error}") from None
    return Which(numbers or None, [journey] if journey else None, channel, before, provider)


def _chosen(
    app: App,
    numbers: Sequence[int] | None,
    journey: str | None,
    channel: str | None,
    provider: str | None,
    older: str | None,
    everything: bool,
) -> Which:
    """As it was chosen: by numbers, by a filter, or all in so many words."""
    which = _which(app, numbers, journey, channel, provider, older)
    filtered = (which.journeys, which.channel, which.before, which.provider) != (None,) * 4
    if numbers and (filtered or everything):
        raise Refused(_("name numbers, or choose by --journey, --channel, --provider, --older; not both"))
    if not numbers and not filtered and not everything:
        raise Refused(
            _("name numbers, or choose by --journey, --channel, --provider, --older; --all means all of them")
        )
    return which


def _those(app: App, which: Which, find: Callable[[Connection, Which], Sequence[OpenEnd]]) -> list[int]:
    """The numbers that were chosen; those that were typed are taken as they stand."""
    if which.numbers is not None:
        return list(which.numbers)
    with app.database.reading() as connection:
        return [one.id for one in find(connection, which)]


def _sure(question: str, chosen: Sequence[int], which: Which, yes: bool) -> bool:
    """Numbers that were typed are meant; how many a filter finds is told before anything is done to them."""
    if not chosen:
        CONTEXT.out.say(_("there is no such message"), "yellow")
    elif which.numbers is not None or meant(question.format(count=f"{len(chosen):,}"), yes):
        return True
    CONTEXT.out.value([])
    return False


def _tell_messages(done: Sequence[Closed]) -> int:
    """Each by its line; of many that went as they were meant to only how many."""
    good = [one for one in done if one.done]
    for one in done if len(done) <= MOST_TOLD else [one for one in done if not one.done]:
        told = _("message {number}: {state}; {sentence}") if one.done else _("message {number}: unchanged; {sentence}")
        line = told.format(number=one.id, state=one.state, sentence=one.sentence)
        CONTEXT.out.say(line, "green" if one.done else "yellow")
    if len(done) > MOST_TOLD:
        CONTEXT.out.say(
            _("{done} of {all} messages: done").format(done=f"{len(good):,}", all=f"{len(done):,}"), "green"
        )
    CONTEXT.out.value(done)
    return 0 if len(good) == len(done) else 1

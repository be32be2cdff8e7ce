"""`outreach doctor`: everything that could keep messages from leaving, looked at before it does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from channels.contract import Provider
from channels.errors import SendError
from engine.app import SECRET_LENGTH, App, check_providers, secrets_in
from engine.cli.context import CONTEXT
from engine.cli.held import after_restore
from engine.cli.installation import with_mistakes
from engine.cli.surroundings import Finding, surroundings
from engine.cli.versions import standing_told
from engine.cli.words import _, counted, ngettext
from engine.decide.outcome import DeliveryKind
from engine.store import enrollments, errands, held, journeys, lanes, open_ends, workers
from engine.store.fence import read
from engine.store.hold import is_held
from engine.work.beginning import against, fence_of
from engine.work.incoming.pools import stocks
from engine.work.publishing.drafts import load_drafts
from engine.work.publishing.standing import File, standings
from engine.work.sending.lane import begun_today

QUIET_FOR = 60  # seconds without a beat after which a daemon is not well
LEAST_STOCK = 10  # a pool with less than one code in so many left is running out

MARKS: dict[bool | None, tuple[str, str]] = {True: ("✓", "green"), False: ("✗", "red"), None: ("•", "yellow")}


def doctor(
    restored: Annotated[
        bool,
        typer.Option("--after-restore", help=_("the database is an older copy: hold what may have gone out since")),
    ] = False,
    by: Annotated[str | None, typer.Option("--by", metavar="NAME", help=_("who says so; you when missing"))] = None,
    yes: Annotated[bool, typer.Option("--yes", help=_("do not ask"))] = False,
) -> int:
    out = CONTEXT.out
    if restored:
        return after_restore(by, yes)
    with with_mistakes() as app:
        found = [*surroundings(app), *_begins(app), *_secret(app), *_drafts(app), *_lanes(app), *_work(app)]
    for good, sentence in found:
        mark, colour = MARKS[good]
        out.say(f"{mark} {sentence}", colour)
    wrong = [sentence for good, sentence in found if good is False]
    out.value([{"ok": good is not False, "notice": good is None, "sentence": sentence} for good, sentence in found])
    return 1 if wrong else 0


def _begins(app: App) -> Iterator[Finding]:
    """Would a daemon begin?"""
    with app.database.reading() as connection:
        why = against(app, connection, read(fence_of(app)))
        ways, waves = held.count_ways(connection), held.runs(connection)
    if why is not None:
        yield False, why
    if ways or waves:
        told = _("held since a restore: people {people}, waves {waves}; see: outreach held list")
        people = sum(count for count, _at in ways.values())
        yield False, told.format(people=f"{people:,}", waves=len(waves))


def _secret(app: App) -> Iterator[Finding]:
    name = app.settings.web.secret_env
    parts = secrets_in(app.env, name)
    if not parts:
        told = _("the environment variable {name} holds no secret; the daemon needs one to sign links")
        yield False, told.format(name=name)
        return
    for number, part in enumerate(parts, start=1):
        told = _("secret {number} of {all} in the environment variable {name}").format(
            number=number, all=len(parts), name=name
        )
        if not part:
            yield False, told + ": " + _("it is empty; is there a comma too many, or is a variable missing?")
        elif len(part) < SECRET_LENGTH:
            yield False, told + ": " + _("it is shorter than {least} characters").format(least=SECRET_LENGTH)
        else:
            yield True, told + (": " + _("it signs links") if number == 1 else ": " + _("it is still recognised"))


def _drafts(app: App) -> Iterator[Finding]:
    drafts = load_drafts(app)
    errors = len(drafts.errors)
    if errors:
        told = counted("{count} error in journeys and texts", "{count} errors in journeys and texts", errors)
        yield False, f"{told}; {_('see: outreach check')}"
    else:
        yield True, _("no error in journeys and texts")
    with app.database.reading() as connection:
        live = {name: one for name, one in journeys.live(connection).items() if one.retired_at is None}
        found = standings(app, connection, drafts)
    published = [name for name in drafts.graphs if name in live]
    told = _("{published} of {all} journeys are published").format(published=len(published), all=len(drafts.graphs))
    yield bool(published), told + ("" if published else f"; {_('see: outreach publish')}")
    for one in found.values():
        if one.state is not File.same and one.retired_at is None:
            yield False if one.state is File.wrong else None, standing_told(one)
    for name in sorted(live):
        if live[name].paused_at:
            yield None, _("{journey} is paused; to let it go on: outreach resume {journey}").format(journey=name)


def _lanes(app: App) -> Iterator[Finding]:
    broken = dict(check_providers(app.settings, app.env, app.home))
    now = app.clock.now()
    with app.database.reading() as connection:
        known = lanes.lanes(connection)
    for name, lane in app.settings.lanes.items():
        if name in broken:
            yield False, broken[name]
            continue
        yield from _lane(name, known.get(name), now)
        yield from _day(name, begun_today(app, lane, known.get(name), now))
        yield _answers(app, name, app.provider(name))


def _lane(name: str, lane: Any, now: datetime) -> Iterator[Finding]:
    if lane is None:
        return
    if lane.paused_until is not None and lane.paused_until > now:
        told = _("lane {channel} waits until {instant} UTC; to let it go on now: outreach resume --lane {channel}")
        yield None, told.format(channel=name, instant=f"{lane.paused_until:%Y-%m-%d %H:%M:%S}")
    if lane.stopped:
        told = _("lane {channel} is stopped: {why}; mend it, then: outreach resume --lane {channel}")
        yield False, told.format(channel=name, why=lane.stopped)
    elif lane.failures:
        told = ngettext(
            "lane {channel}: {count} failure in a row", "lane {channel}: {count} failures in a row", lane.failures
        )
        yield False, told.format(channel=name, count=lane.failures)


def _day(name: str, so_far: tuple[int, int] | None) -> Iterator[Finding]:
    """How much of what a lane may take today it took."""
    if so_far is not None:
        begun, most = so_far
        told = _("lane {lane}: {begun} of {most} messages of today have left")
        yield True if begun < most else None, told.format(lane=name, begun=f"{begun:,}", most=f"{most:,}")


def _answers(app: App, lane: str, provider: Provider) -> Finding:
    """Does the provider answer? Nothing is sent."""
    told = f"{lane}: {provider.name}, {provider.describe()}"
    try:
        app.run(provider.probe())
    except (SendError, OSError) as error:
        return False, f"{told}: {error}"
    return True, told


def _work(app: App) -> Iterator[Finding]:
    now = app.clock.now()
    with app.database.reading() as connection:
        unknown, *old = (
            open_ends.count(connection, DeliveryKind.unknown, now - timedelta(days=days)) for days in (0, 1, 7)
        )
        dead = open_ends.count(connection, DeliveryKind.dead)
        aside = len(enrollments.set_aside(connection))
        untold = errands.untold(connection, now - timedelta(days=1))
        stock = stocks(connection, app.rules(connection).audience)
        latest = workers.latest(connection)
    yield _unknown(unknown, *old)
    yield _dead(dead)
    yield _aside(aside)
    for place in sorted({one.place for one in untold}):
        mine = [one for one in untold if one.place == place]
        told = ngettext(
            "{queue} was not told of {count} task", "{queue} was not told of {count} tasks", len(mine)
        ).format(queue=place, count=len(mine))
        yield False, f"{told}: {mine[-1].reason}"
    for one in stock:
        told = _("pool {pool}: {free} of {codes} codes are left").format(pool=one.pool, free=one.left, codes=one.codes)
        low = one.runs_low if one.low else one.left <= one.codes // LEAST_STOCK
        cure = _("add lines to its file, then: outreach codes import {pool}").format(pool=one.pool)
        yield not low, f"{told}; {cure}" if low else told
    here = [one for one in latest if one.stopped_at is None and one.lost_at is None]
    for one in here or latest[:1] or [None]:
        yield _daemon(one, is_held(app.database), now)


def _unknown(count: int, day: int, week: int) -> Finding:
    if not count:
        return True, _("no message is unknown")
    told = counted(
        "{count} message is unknown: it may or may not have arrived",
        "{count} messages are unknown: they may or may not have arrived",
        count,
    )
    if day:
        old = _("{day} for more than a day, {week} for more than a week")
        told += f" ({old.format(day=day, week=week)})"
    cure = _("see: outreach unknown list; look them up at the provider, then: outreach unknown close")
    return False, f"{told}; {cure}"


def _dead(count: int) -> Finding:
    if not count:
        return True, _("no message is dead")
    told = counted(
        "{count} message is dead: given up after errors", "{count} messages are dead: given up after errors", count
    )
    cure = _("see: outreach dead list; then: outreach dead retry, or drop")
    return False, f"{told}; {cure}"


def _aside(count: int) -> Finding:
    if not count:
        return True, _("nobody is set aside")
    told = counted(
        "{count} person is set aside after three failures", "{count} people are set aside after three failures", count
    )
    cure = _("see: outreach set-aside list; mend it, then: outreach set-aside retry, or drop")
    return False, f"{told}; {cure}"


def _daemon(latest: Any | None, held: bool, now: datetime) -> Finding:
    """`latest`: the worker that began last, whether it stopped in order, was killed, or is at work."""
    if latest is None or latest.stopped_at is not None:
        return None, _("no daemon is running")
    quiet = round((now - latest.beat_at).total_seconds())
    if not held:
        told = _("daemon {name} died or was killed, its last beat was {seconds} s ago; start it again: outreach daemon")
        return False, told.format(name=latest.name, seconds=quiet)
    told = _("daemon {name}: last beat {seconds} s ago").format(name=latest.name, seconds=quiet)
    return quiet < QUIET_FOR, told

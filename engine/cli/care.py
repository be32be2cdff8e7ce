"""Commands of those who run it: approve, pause, resume, doctor."""

from __future__ import annotations

import getpass
import shutil
from typing import Annotated

import typer

from channels.errors import SendError
from engine.app import App, check_providers
from engine.cli.context import CONTEXT, opened
from engine.cli.words import _
from engine.errors import OutreachError, Refused
from engine.store import enrollments, journeys, messages, waves, work
from engine.store.database import sqlite_module, wal_is_safe
from engine.work.drafts import load_drafts
from engine.work.enroll import settle_approval

LEAST_ROOM = 500 * 2**20  # bytes of free disk below which doctor speaks up


def register(cli: typer.Typer) -> None:
    """Add these commands."""
    cli.command("approve", help=_("let a waiting wave, or its next stage, go out"))(approve)
    cli.command("pause", help=_("stop new attempts of a journey"))(pause)
    cli.command("resume", help=_("let a paused journey or a stopped lane go on"))(resume)
    cli.command("doctor", help=_("look at everything that could keep messages from leaving"))(doctor)


def approve(
    journey: Annotated[str | None, typer.Argument(help=_("the journey; without it, what waits is listed"))] = None,
    refuse: Annotated[bool, typer.Option("--refuse", help=_("say no: the wave ends"))] = False,
    by: Annotated[str | None, typer.Option("--by", help=_("who says so; you when missing"))] = None,
    expect: Annotated[
        int | None, typer.Option("--expect", help=_("refuse unless the stage has so many people"))
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help=_("do not ask"))] = False,
) -> int:
    out = CONTEXT.out
    with opened() as app:
        with app.database.reading() as connection:
            waiting = [one for one in waves.approvals(connection, journey, open_only=True)]
        columns = (
            _("journey"),
            _("planned"),
            _("stage"),
            _("people"),
            _("messages at most"),
            _("cost at most"),
            _("until (UTC)"),
        )
        out.table(
            columns,
            [
                (o.journey, o.planned, o.stage, o.people, o.messages, o.cost, f"{o.expires_at:%Y-%m-%d %H:%M}")
                for o in waiting
            ],
        )
        if journey is None or not waiting:
            out.say("" if waiting else _("nothing waits for a word"))
            out.value([dict(one._mapping) for one in waiting])
            return 0
        if expect is not None and sum(one.people for one in waiting) != expect:
            told = _("{found} people are waiting, {expected} were expected")
            raise Refused(told.format(found=sum(one.people for one in waiting), expected=expect))
        if not yes and not typer.confirm(_("Refuse?") if refuse else _("Let them go out?"), err=True):
            return 2
        outcome = "refused" if refuse else "approved"
        done = [one for one in waiting if settle_approval(app, one, outcome, by or getpass.getuser(), app.clock.now())]
    for one in done:
        out.say(f"{one.journey} {one.planned}, {_('stage')} {one.stage}: {outcome}", "green")
    out.value(
        [{"journey": one.journey, "planned": one.planned, "stage": one.stage, "outcome": outcome} for one in done]
    )
    return 0


def pause(
    journey: Annotated[str | None, typer.Argument(help=_("the journey"))] = None,
    all_: Annotated[bool, typer.Option("--all", help=_("every journey"))] = False,
) -> int:
    """When it returns, no new attempt begins; what is still on its way was counted."""
    with opened() as app:
        names = _names(app, journey, all_)
        with app.database.writing() as connection:
            journeys.pause(connection, names, getpass.getuser(), app.clock.now())
            flying = messages.in_flight(connection, names)
    told = _("paused: {journeys}; {count} messages were already on their way")
    CONTEXT.out.say(told.format(journeys=", ".join(names), count=flying), "yellow")
    CONTEXT.out.value({"paused": names, "in_flight": flying})
    return 0


def resume(
    journey: Annotated[str | None, typer.Argument(help=_("the journey"))] = None,
    all_: Annotated[bool, typer.Option("--all", help=_("every journey"))] = False,
    lane: Annotated[str | None, typer.Option("--lane", help=_("a channel whose lane was stopped"))] = None,
) -> int:
    with opened() as app:
        if lane is not None:
            if lane not in app.settings.channels:
                raise Refused(_("there is no channel {channel}").format(channel=lane))
            with app.database.writing() as connection:
                work.set_lane(connection, lane, failures=0, paused_until=None, stopped=None)
                messages.hurry(connection, lane, app.clock.now())
            CONTEXT.out.say(_("the lane {channel} goes on").format(channel=lane), "green")
            CONTEXT.out.value({"lane": lane})
            return 0
        names = _names(app, journey, all_)
        with app.database.writing() as connection:
            journeys.resume(connection, names)
    CONTEXT.out.say(_("goes on: {journeys}").format(journeys=", ".join(names)), "green")
    CONTEXT.out.value({"resumed": names})
    return 0


def _names(app: App, journey: str | None, everything: bool) -> list[str]:
    with app.database.reading() as connection:
        known = sorted(name for name in journeys.live(connection) if name != "audience")
    if everything:
        return known
    if journey is None:
        raise Refused(_("name a journey, or write --all"))
    if journey not in known:
        raise Refused(
            _("there is no published journey {journey}; published: {known}").format(
                journey=journey, known=", ".join(known)
            )
        )
    return [journey]


def doctor() -> int:
    out = CONTEXT.out
    with opened() as app:
        found = [*_surroundings(app), *_lanes(app), *_work(app)]
    for good, sentence in found:
        out.say(f"{'✓' if good else '✗'} {sentence}", "green" if good else "red")
    out.value([{"ok": good, "sentence": sentence} for good, sentence in found])
    return 0 if all(good for good, _s in found) else 1


Finding = tuple[bool, str]


def _surroundings(app: App) -> list[Finding]:
    version = sqlite_module().sqlite_version_info
    text = ".".join(map(str, version))
    found: list[Finding] = []
    if app.database.is_sqlite:
        safe = wal_is_safe(version)
        found.append(
            (
                safe,
                _("SQLite {version}").format(version=text)
                + ("" if safe else _(": has the WAL-reset bug, so a rollback journal is used; install pysqlite3")),
            )
        )
        free = shutil.disk_usage(app.home).free
        found.append((free > LEAST_ROOM, _("{mib} MiB of disk are free").format(mib=free // 2**20)))
    name = app.settings.web.secret_env
    try:
        app.inert = False
        _unused = app.secret
        found.append((True, _("the secret in {name} is set").format(name=name)))
    except OutreachError as error:
        found.append((False, str(error)))
    finally:
        app.inert = True
    errors = load_drafts(app).errors
    found.append(
        (
            not errors,
            _("journeys and texts: {count} errors").format(count=len(errors))
            + (_("; see: outreach check") if errors else ""),
        )
    )
    return found


def _lanes(app: App) -> list[Finding]:
    broken = dict(check_providers(app.settings, app.env, app.home))
    with app.database.reading() as connection:
        lanes = work.lanes(connection)
    found: list[Finding] = []
    for channel in app.settings.channels:
        lane = lanes.get(channel)
        if channel in broken:
            found.append((False, broken[channel]))
            continue
        provider = app.provider(channel)
        if lane is not None and lane.stopped:
            found.append(
                (
                    False,
                    _("lane {channel} is stopped: {why}; mend it, then: outreach resume --lane {channel}").format(
                        channel=channel, why=lane.stopped
                    ),
                )
            )
        elif lane is not None and lane.failures:
            found.append(
                (False, _("lane {channel}: {count} failures in a row").format(channel=channel, count=lane.failures))
            )
        try:
            app.run(provider.probe())
            found.append((True, f"{channel}: {provider.name}, {provider.describe()}"))
        except SendError as error:
            found.append((False, f"{channel}: {provider.name}, {provider.describe()}: {error}"))
    return found


def _work(app: App) -> list[Finding]:
    now = app.clock.now()
    with app.database.reading() as connection:
        unknown = messages.count_in_state(connection, "unknown")
        aside = enrollments.set_aside(connection)
        stock = work.stock(connection)
        workers = work.workers(connection)
    found: list[Finding] = [
        (not unknown, _("{count} messages are unknown: they may or may not have arrived").format(count=unknown))
    ]
    found.append((not aside, _("{count} people are set aside after three failures").format(count=len(aside))))
    for pool, (codes, free) in sorted(stock.items()):
        found.append(
            (
                free > codes // 10,
                _("pool {pool}: {free} of {codes} codes are left").format(pool=pool, free=free, codes=codes),
            )
        )
    running = next((one for one in workers if one.stopped_at is None), None)
    if running is not None:
        quiet = (now - running.beat_at).total_seconds()
        found.append(
            (quiet < 60, _("daemon {name}: last beat {seconds} s ago").format(name=running.name, seconds=round(quiet)))
        )
    return found

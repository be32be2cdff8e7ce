"""One beat: everything that is due now, in the order of things. The daemon and a simulation run the same."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from engine.app import App
from engine.decide.state import Rules
from engine.errors import Renamed
from engine.needs import Needs
from engine.store import enrollments, errands, happenings, messages, waves, work
from engine.work.advance import CHUNK, Advanced, advance, advance_failed
from engine.work.colleagues import tasks
from engine.work.colleagues.errands import run_errands
from engine.work.entering.happenings import plan_happenings
from engine.work.entering.pages import enter_page
from engine.work.entering.segments import judge_segments, next_judged
from engine.work.entering.silences import let_silent_in, next_silence
from engine.work.entering.waves import Entered, expire_approvals, next_wave, plan_waves
from engine.work.incoming.looking_up import look_up_unknown
from engine.work.incoming.pools import warn_of_low
from engine.work.incoming.receipts import match_open
from engine.work.nightly import next_refresh, refresh_scores
from engine.work.recovery import settle
from engine.work.sending.batches import Dispatched
from engine.work.sending.dispatch import dispatch
from engine.work.sure import sure_now

CHUNKS_BETWEEN = 4  # chunks decided before batches leave, so that the first messages do not wait for the last


@dataclass
class Beat:
    """What one beat did."""

    at: datetime
    entered: Entered = field(default_factory=Entered)
    people: int = 0
    queued: int = 0
    unsent: int = 0
    failed: int = 0
    given: int = 0
    escalated: int = 0
    dispatched: Dispatched = field(default_factory=Dispatched)


def tick(app: App, chunk: int = CHUNK) -> Beat:
    """Do all that is due at this instant: enter waves and segments, move people on by chunks, hand batches over.

    `ClockInDoubt`, wherever it has come to, when the clock was set meanwhile.
    """
    beat = Beat(sure_now(app))
    with suppress(Renamed):  # whatever the beat has not come to, the next one does by the new name
        _beat(app, beat, chunk)
    return beat


def _beat(app: App, beat: Beat, chunk: int) -> None:
    settle(app, beat.dispatched)
    match_open(app, beat.at)
    planned: datetime | None = None
    while not app.stopping:
        rules, needs = _rules(app)  # something may have been published or paused meanwhile
        now = sure_now(app)
        if planned is None or now - planned >= app.settings.beat:  # much to do keeps nobody else waiting to enter
            plan(app, rules, needs, now, beat)
            planned = now
        moved = _advance(app, rules, needs, beat, chunk)
        left = dispatch(app, rules)
        beat.dispatched.add(left)
        if not moved and not left.any and not _advance_failed(app, rules, needs, beat):
            break
    run_errands(app, sure_now(app))
    look_up_unknown(app, beat.at)
    if beat.given:
        with app.database.reading() as connection:
            warn_of_low(app, connection, rules.audience)


def plan(app: App, rules: Rules, needs: Needs, now: datetime, beat: Beat) -> None:
    """Who is to enter, and what is to be worked out, at this instant."""
    beat.escalated = tasks.escalate(app, now)
    refresh_scores(app, rules.audience, needs.nightly, now)
    plan_waves(app, rules, now, beat.entered)
    plan_happenings(app, rules, now, beat.entered)
    expire_approvals(app, now)
    judge_segments(app, rules, needs, now, beat.entered)
    let_silent_in(app, rules, needs, now, beat.entered)


def _rules(app: App) -> tuple[Rules, Needs]:
    with app.database.reading() as connection:
        rules = app.rules(connection)
    return rules, app.needs(rules)


def _advance(app: App, rules: Rules, needs: Needs, beat: Beat, chunk: int) -> bool:
    """Decide up to CHUNKS_BETWEEN chunks; was anybody due?"""
    for before in range(CHUNKS_BETWEEN):
        done = None if app.stopping else _next_chunk(app, rules, needs, beat, chunk)
        if done is None:
            return before > 0
        _count(beat, done)
        if done.strangers:
            return True
    return True


def _next_chunk(app: App, rules: Rules, needs: Needs, beat: Beat, chunk: int) -> Advanced | None:
    """What belongs to a contract goes first. Of the others, who may enter does so first: nobody is decided for before
    they stand in every wave that is due. While more waits to leave than `high_water`, nobody else is decided for."""
    now = sure_now(app)
    done = advance(app, rules, needs, now, chunk, urgent=True)
    if done is not None or crowded(app, now):
        return done
    entered = enter_page(app, rules, needs, now, beat.entered)
    return advance(app, rules, needs, now, chunk) if entered is None else entered


def crowded(app: App, now: datetime) -> bool:
    """Does so much wait to leave that nothing is added to it?"""
    with app.database.reading() as connection:
        return messages.count_due_batches(connection, now) * CHUNK > app.settings.high_water


def _advance_failed(app: App, rules: Rules, needs: Needs, beat: Beat) -> bool:
    """Decide a part of those that failed before, once nobody else waits; was anybody due?"""
    done = advance_failed(app, rules, needs, sure_now(app)) if not app.stopping else None
    if done is not None:
        _count(beat, done)
    return done is not None


def _count(beat: Beat, done: Advanced) -> None:
    beat.people += done.people
    beat.queued += done.queued
    beat.unsent += done.unsent
    beat.failed += done.failed
    beat.given += done.given


def next_due(app: App, now: datetime) -> datetime | None:
    """The next instant after `now` at which a beat has something to do; None when nothing is planned."""
    with app.database.reading() as connection:
        rules = app.rules(connection)
        instants = [
            enrollments.next_due(connection),
            messages.next_batch_due(connection),
            work.next_escalation(connection),
            next_wave(connection, rules, now),
            happenings.next_unplanned(connection),
            next_judged(connection, rules, now),
            next_silence(connection, rules, now),
            next_refresh(app, connection, rules.audience, app.needs(rules).nightly, now),
            waves.next_expiry(connection),
            errands.next_due(connection),
        ]
    later = [at for at in instants if at is not None]
    return max(min(later), now + timedelta(microseconds=1)) if later else None

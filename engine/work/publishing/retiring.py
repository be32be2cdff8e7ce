"""Retiring a journey: nobody enters it any more; who is inside goes on to the end, or is let out at once."""

from __future__ import annotations

from dataclasses import dataclass

from engine.app import AUDIENCE, App
from engine.errors import Refused
from engine.store import enrollments, journeys, messages, waves, work
from engine.work.publishing.versions import still_live, versions_of

PAGE = 500


@dataclass(frozen=True)
class Retirement:
    """What retiring would do."""

    journey: str
    number: int  # of the live version
    inside: int
    messages: int  # of theirs that have not begun to leave
    tasks: int  # of theirs that are open
    waves: int  # under way, each counted once for all its zones
    let_out: bool


def plan_retirement(app: App, journey: str, let_out: bool) -> Retirement:
    """What would follow. `Refused` when there is nothing to retire."""
    if journey == AUDIENCE:
        raise Refused("traits and segments belong to all journeys and are not retired")
    with app.database.reading() as connection:
        versions = versions_of(connection, journey)
        state = journeys.live(connection)[journey]
        if state.retired_at is not None and state.let_out >= let_out:
            raise Refused(f"{journey} was retired at {state.retired_at:%Y-%m-%d %H:%M} UTC")
        inside = journeys.inside(connection)
        return Retirement(
            journey=journey,
            number=next(one.number for one in versions if one.id == state.version_id),
            inside=sum(inside.get(one.id, 0) for one in versions),
            messages=messages.waiting(connection, journey),
            tasks=work.open_tasks_in(connection, journey),
            waves=waves.count_of([one for one in waves.open_runs(connection) if one.journey == journey]),
            let_out=let_out,
        )


def retire(app: App, plan: Retirement, by: str, note: str = "") -> None:
    """Do it. Waves under way end, and what waits for a word about them is refused.

    Nothing of the journey begins from the first transaction on when its people are let out; the others only wake them
    to leave. A process that dies in between is no harm: whoever was not woken leaves when they are looked at next.
    """
    now = app.clock.now()
    with app.database.writing() as connection:
        version = still_live(connection, plan.journey)
        journeys.retire(connection, plan.journey, plan.let_out, now)
        journeys.write_down(connection, version, now, by, journeys.RETIRED, note)
        for asked in waves.approvals(connection, plan.journey, open_only=True):
            waves.answer_approval(connection, asked.id, "refused", by, now)
        for run in waves.open_runs(connection):
            if run.journey == plan.journey:
                waves.change_run(connection, run.id, state="refused", reason=f"{by} retired the journey")
    if plan.let_out:
        _wake_everyone(app, plan.journey)


def _wake_everyone(app: App, journey: str) -> None:
    """Page by page, so that nobody else waits long for their turn to write."""
    with app.database.reading() as connection:
        versions = [one.id for one in versions_of(connection, journey)]
    for version_id in versions:
        after: int | None = 0
        while after is not None:
            with app.database.writing() as connection:
                after = enrollments.wake_page(connection, version_id, after, PAGE, app.clock.now())

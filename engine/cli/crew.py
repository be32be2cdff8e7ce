"""`outreach workers`: who works, what they hold, and what waits."""

from __future__ import annotations

from typing import Any

from engine.cli.context import CONTEXT
from engine.cli.installation import without_texts
from engine.cli.words import _
from engine.store import chunks, messages, workers
from engine.work.presence import LEASE


def workers_command() -> int:
    with without_texts() as app:
        now = app.clock.now()
        with app.database.reading() as connection:
            latest = workers.latest(connection)
            holding = _held(chunks.held_by(connection, None), messages.batches_held_by(connection, None))
            people = chunks.count(connection)
            batches = messages.count_due_batches(connection, now)
    told = [_told(one, now, holding.get(one.id, [])) for one in latest]
    out = CONTEXT.out
    if not told:
        out.say(_("nobody has worked here yet; start one with: outreach daemon"), "yellow")
    else:
        columns = (_("worker"), _("process"), _("since (UTC)"), _("state"), _("last sign"), _("holds"))
        cells = ([str(one["worker"]), one["name"], *_shown(one)] for one in told)
        out.table(columns, cells)
    out.say(
        _("{people} chunks of people and {batches} batches wait or are in hand").format(people=people, batches=batches)
    )
    out.value({"workers": told, "chunks": people, "batches": batches})
    return 0


def _held(chunks_: list[Any], batches: list[Any]) -> dict[int, list[str]]:
    """worker -> what it has in hand."""
    found: dict[int, list[str]] = {}
    for one in chunks_:
        found.setdefault(one.worker_id, []).append(_("{count} people").format(count=len(one.people)))
    for one in batches:
        found.setdefault(one.worker_id, []).append(_("a batch for {lane}").format(lane=one.lane))
    return found


def _told(one: Any, now: Any, holds: list[str]) -> dict[str, Any]:
    if one.lost_at is not None:
        state = "lost"
    elif one.stopped_at is not None:
        state = "stopped"
    else:
        state = "works" if now - one.beat_at <= LEASE else "silent"
    return {
        "worker": one.id,
        "name": one.name,
        "since": one.started_at,
        "state": state,
        "beat_at": one.beat_at,
        "silent_for": round((now - one.beat_at).total_seconds()),
        "holds": holds,
    }


def _shown(one: dict[str, Any]) -> list[str]:
    states = {"works": _("works"), "silent": _("silent"), "stopped": _("stopped"), "lost": _("lost: given up")}
    ago = _("{seconds} s ago").format(seconds=one["silent_for"])
    return [f"{one['since']:%Y-%m-%d %H:%M}", states[one["state"]], ago, ", ".join(one["holds"])]

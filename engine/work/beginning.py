"""May this database be run? Asked once it is held, before anything is taken up or sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection

from engine.app import App
from engine.errors import Unfit
from engine.store import deliveries, fence
from engine.store.tables import get_fact, set_fact
from engine.store.whole import MOVED

CURE = "outreach doctor --after-restore"
REHEARSED = "rehearsed"  # a fact: what its journeys believe to have said, only colleagues have heard


@contextmanager
def begun(app: App) -> Iterator[None]:
    """Run it for a while. `Unfit`, with the command to run, where that could send again what has been sent."""
    found = fence.read(fence_of(app))
    with app.database.reading() as connection:
        if (why := against(app, connection, found)) is not None:
            raise Unfit(why)
        known = get_fact(connection, fence.LINEAGE)
        marked = get_fact(connection, REHEARSED) is not None
    if app.settings.rehearsal is not None and not marked:
        with app.database.writing() as connection:
            set_fact(connection, REHEARSED, app.clock.now().isoformat())
    if known is not None:
        found.follow(known)
    else:
        with app.database.writing() as connection:
            fence.begin_lineage(connection, found)
    found.open()
    app.fence = found
    try:
        yield
    finally:
        found.close()


def fence_of(app: App) -> Path | None:
    """Beside the file of a SQLite database; for PostgreSQL in the shop's folder, one on each host."""
    if not app.database.is_sqlite:
        return app.home / "outreach.fence"
    return Path(f"{app.database.path}.fence") if app.database.path else None


def against(app: App, connection: Connection, found: fence.Fence) -> str | None:
    """Why this database must not be run as it is, and what to do."""
    moved = get_fact(connection, MOVED)
    if moved is not None:
        return moved_sentence(app.database.name, moved)
    rehearsed = get_fact(connection, REHEARSED)
    if app.settings.rehearsal is not None and rehearsed is None and deliveries.any_begun(connection):
        return (
            f"`rehearsal:` stands in config.yaml, and {app.database.name} holds what was really sent: journeys would "
            "believe that colleagues are customers. Rehearse on a copy: write another file under `database:`"
        )
    if app.settings.rehearsal is None and rehearsed is not None:
        return (
            f"{app.database.name} was rehearsed with from {rehearsed[:19].replace('T', ' ')} UTC on: its journeys "
            "believe that people got what only colleagues did. Write another file under `database:`, or rehearse on"
        )
    since = fence.went_back(connection, found, app.clock.now())
    if since is not None:
        return (
            f"the database {app.database.name} is an older copy of itself: {since}. What it holds as waiting may have "
            f"gone out since. To hold that for a person, run: {CURE}"
        )
    return None


def moved_sentence(name: str, moved: str) -> str:
    """Where the shop of this database is now."""
    told = json.loads(moved)
    return (
        f"the shop in {name} was copied to {told['to']} at {told['at'][:19].replace('T', ' ')} UTC and is run there; "
        "write that under `database:` in config.yaml. To run it here after all, with what may have gone out since "
        f"held for a person: {CURE}"
    )

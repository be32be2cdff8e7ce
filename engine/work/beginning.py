"""May this database be run? Asked once it is held, before anything is taken up or sent."""

from __future__ import annotations

import json

from engine.app import App
from engine.errors import Unfit
from engine.store.tables import get_fact
from engine.store.whole import MOVED


def refuse_to_begin(app: App) -> None:
    """`Unfit`, with the command to run, where beginning could send again what has been sent."""
    with app.database.reading() as connection:
        moved = get_fact(connection, MOVED)
    if moved is not None:
        raise Unfit(moved_sentence(app.database.name, moved))


def moved_sentence(name: str, moved: str) -> str:
    """Where the shop of this database is now."""
    told = json.loads(moved)
    return (
        f"the shop in {name} was copied to {told['to']} at {told['at'][:19].replace('T', ' ')} UTC and is run there; "
        "write that under `database:` in config.yaml. To run it here after all, with what may have gone out since "
        "held for a person: outreach doctor --after-restore"
    )

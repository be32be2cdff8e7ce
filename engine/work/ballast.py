"""A file beside the SQLite database that holds nothing but room: deleted by a person when the disk is full.

On a full disk SQLite cannot even delete, and a person who looks for something to throw away at night should not have to
choose. The daemon makes it at its start, where there is room enough.
"""

from __future__ import annotations

import logging
import os
import shutil
from contextlib import suppress
from pathlib import Path

from engine.store.database import Database

log = logging.getLogger("outreach.ballast")

SIZE = 32 * 2**20  # bytes
ROOM = 10  # so many times its size has to be free before it is made


def ballast_of(database: Database) -> Path | None:
    """Where it stands; None where the database is no file."""
    return Path(f"{database.path}.ballast") if database.path else None


def keep_ballast(database: Database) -> None:
    """Make it, if it is missing and there is room. Whatever hinders that is no reason not to begin."""
    path = ballast_of(database)
    if path is None or path.exists():
        return
    try:
        if shutil.disk_usage(path.parent).free < SIZE * ROOM:
            return
        with path.open("xb") as file:
            os.posix_fallocate(file.fileno(), 0, SIZE)
    except OSError as error:
        log.warning("no ballast file beside the database: %s", error.strerror)
        with suppress(OSError):
            path.unlink(missing_ok=True)

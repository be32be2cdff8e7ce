"""Where requests ask for what needs the database: a few threads, a short line, and a plain answer when it takes long.

The event loop never waits for the database, so health and other pages answer while it is held by someone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection

from engine.errors import OutreachError

T = TypeVar("T")

THREADS = 4
LONGEST_LINE = 200  # requests that wait for a thread
PATIENCE = 10.0  # seconds in that line


class Unavailable(Exception):
    """It could not be written down or looked up now; nothing has changed."""


class Desk:
    """Does one thing per request, each whole or not at all."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="web")
        self._waiting = 0

    async def ask(self, work: Callable[[], T]) -> T:
        """Do it in its turn. `Unavailable` when the database refuses, or when too many stand in line."""
        if self._waiting >= LONGEST_LINE:
            raise Unavailable
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE
        self._waiting += 1
        try:
            return await loop.run_in_executor(self._threads, self._do, work, loop, until)
        except (DBAPIError, NoConnection, OutreachError) as error:
            raise Unavailable from error
        finally:
            self._waiting -= 1

    def _do(self, work: Callable[[], T], loop: asyncio.AbstractEventLoop, until: float) -> T:
        if loop.time() > until:
            raise Unavailable
        return work()

    def close(self) -> None:
        """Take nothing more; what is under way comes to its end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

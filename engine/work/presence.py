"""Who works: signs of life, and what becomes of what somebody held who gives none any more."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta

from sqlalchemy.exc import DBAPIError

from engine.app import App
from engine.store import workers
from engine.work.recovery import free_all_of
from engine.work.sending.batches import Dispatched

log = logging.getLogger("outreach.worker")

SIGN = 2.0  # seconds between two signs of life
LEASE = timedelta(seconds=10)  # a worker that has been silent for longer holds nothing any more


def name_of_process() -> str:
    """What it is known as."""
    return f"process {os.getpid()} on {socket.gethostname()}"


@contextmanager
def signed_on(app: App) -> Iterator[None]:
    """Be known as a worker that lives, for as long as the block lasts; what is held at its end is freed."""
    signs = threading.Event()

    def sign() -> None:
        while not signs.wait(SIGN):
            with suppress(DBAPIError):
                sign_of_life(app)

    app.worker_id = 0
    sign_of_life(app)
    thread = threading.Thread(target=sign, name="signs of life", daemon=True)
    thread.start()
    try:
        yield
    finally:
        signs.set()
        thread.join()
        with suppress(DBAPIError), app.database.writing() as connection:  # else it is lost, and others do it
            free_all_of(app, connection, app.clock.now(), [app.worker_id])
            workers.beat(connection, app.worker_id, app.clock.now(), stopped=True)


def sign_of_life(app: App) -> None:
    """Beat. Who was given up as lost begins anew: what it held is not its own any more."""
    with app.database.writing(beside=True) as connection:
        if app.worker_id and workers.beat(connection, app.worker_id, app.clock.now()):
            return
        if app.worker_id:
            log.warning("this worker was silent for too long and given up; it goes on as a new one")
        app.worker_id = workers.sign_on(connection, name_of_process(), app.clock.now())


def take_from_the_lost(app: App, now: datetime) -> Dispatched:
    """Workers that have been silent for too long hold nothing any more."""
    done = Dispatched()
    with app.database.reading() as connection:
        lost = [one.id for one in workers.silent(connection, now - LEASE)]
    if lost:
        with app.database.writing() as connection:
            lost = [one.id for one in workers.silent(connection, now - LEASE)]
            workers.give_up(connection, lost, now)
            done = free_all_of(app, connection, now, lost)
    return done

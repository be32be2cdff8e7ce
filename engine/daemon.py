"""The daemon: one process that works until it is asked to stop, with a small web server beside it.

On SQLite it is the only one: a second is refused, and one that finds that another has taken its place ends. On
PostgreSQL it is one of any number of workers, on any hosts.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from engine.app import App
from engine.store.hold import Hold, held
from engine.web.server import WebServer
from engine.work.alone import Alone, note
from engine.work.ballast import keep_ballast
from engine.work.beginning import begun
from engine.work.incoming.collecting import collecting
from engine.work.presence import name_of_process, signed_on, take_from_the_lost
from engine.work.pulse import health
from engine.work.recovery import recover, settle
from engine.work.sending.batches import Dispatched
from engine.work.sure import sure_now
from engine.work.tick import Beat, tick

if TYPE_CHECKING:
    from engine.work.crew import Crew

log = logging.getLogger("outreach.daemon")

STOP_WITHIN = 20.0  # seconds that providers get to answer what they were asked before a stop
SIGNALS = (signal.SIGTERM, signal.SIGINT)


def run(app: App, web: bool, ready: Callable[[int | None, Dispatched], None]) -> None:
    """Run until SIGTERM or SIGINT, then settle what is held and return.

    `ready` is called once it works, with the port of its web server and what it found at its start. `Busy`, naming the
    holder, when the database is in other hands, also later; `Unfit` where it must not be run as it is.
    """
    _ = app.secret  # unfit without one: say so before anything else
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # they wait until they are waited for, in every thread
    with ExitStack() as stack:
        hold = stack.enter_context(alone(app) if app.database.is_sqlite else among_others(app))
        work = _work(app, hold)
        app.share = work
        recovered = work.take_up()
        stack.enter_context(signed_on(app))
        keep_ballast(app.database)
        server = stack.enter_context(_answering(app, work)) if web else None
        stack.enter_context(collecting(app))
        ended = stack.enter_context(_ending(app))
        ready(server.port if server else None, recovered)
        work.run()
        with suppress(DBAPIError):  # what cannot be written is judged by whoever takes it up
            settle(app, Dispatched())
        ended.set()
        log.info("stopped")
    busy = next((pulse.taken_over for pulse in work.pulses if pulse.taken_over), None)
    if busy is not None:
        raise busy


def run_once(app: App) -> Beat:
    """Recover, then one whole beat. On PostgreSQL beside whoever works there."""
    if app.database.is_sqlite:
        with alone(app):
            recover(app, sure_now(app))
            return _noted(tick(app))
    with among_others(app), signed_on(app):
        take_from_the_lost(app, sure_now(app))
        return _noted(tick(app))


@contextmanager
def alone(app: App) -> Iterator[Hold]:
    """Hold this database as its one daemon."""
    with held(app.database, name_of_process(), app.clock.now()) as hold, begun(app):
        yield hold


@contextmanager
def among_others(app: App) -> Iterator[Hold]:
    """Hold it beside other workers; nobody else may have it to himself meanwhile."""
    with held(app.database, name_of_process(), app.clock.now(), shared=True) as hold, begun(app):
        yield hold


def recovered_sentence(done: Dispatched) -> str | None:
    """What start-up found, for people; None when there was nothing."""
    if not done.any:
        return None
    return (
        f"after the last end: {done.unknown} messages may have gone out and are kept as unknown, "
        f"{done.retry} are asked again with the same key, {done.settled} wait for a person"
    )


def _work(app: App, hold: Hold) -> Alone | Crew:
    if app.database.is_sqlite:
        return Alone(app, hold)
    from engine.work.crew import Crew  # its engine is there with PostgreSQL only

    return Crew(app, hold)


@contextmanager
def _answering(app: App, work: Alone | Crew) -> Iterator[WebServer]:
    server = WebServer(app, lambda: health(work.pulses))
    server.start()
    log.info("started, listening on %s:%s", app.settings.web.host, server.port)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def _ending(app: App) -> Iterator[threading.Event]:
    """Listen for the wish to stop. From then on nothing new is begun, and what is under way has so long to end; what a
    provider has not answered by then is `unknown`."""
    ended = threading.Event()

    def listen() -> None:
        signal.sigwait(SIGNALS)
        app.stop.set()
        if not ended.wait(STOP_WITHIN):
            app.let_go()

    threading.Thread(target=listen, name="end", daemon=True).start()
    yield ended


def _noted(beat: Beat) -> Beat:
    note(beat)
    return beat

"""A simulation: the real beat under a manual clock, on a copy, with simulated providers. Nothing real is touched."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from channels import registry
from channels.contract import Provider
from engine.app import App
from engine.clock import ManualClock
from engine.errors import Unfit
from engine.share import InTables
from engine.simulate.answers import Responder
from engine.store.database import Database, sqlite_module
from engine.work.entering.segments import next_crossing
from engine.work.publishing.drafts import Drafts, publish
from engine.work.tick import Beat, next_due, tick

MAX_BEATS = 1_000_000


@contextmanager
def copy_of(app: App, start: datetime, seed: int = 1) -> Iterator[App]:
    """The installation as it stands, on a copy of its database, at `start` by a clock that one moves by hand."""
    with _elsewhere(app, start, seed, lambda target: _copy(app.database, target)) as copy:
        yield copy


@contextmanager
def empty_copy(app: App, start: datetime, seed: int = 1) -> Iterator[App]:
    """The same files with an empty database, at `start` by a clock that one moves by hand."""
    with _elsewhere(app, start, seed, lambda target: target) as copy:
        yield copy


@contextmanager
def _elsewhere(app: App, start: datetime, seed: int, made: Callable[[Path], Path]) -> Iterator[App]:
    folder = Path(tempfile.mkdtemp(prefix="outreach-simulate-"))
    try:
        copy = replace(
            app,
            clock=ManualClock(start),
            guard=None,  # it watches the machine's clock
            database=Database(f"sqlite:///{made(folder / 'copy.db')}", durable=False),
            inert=True,
            providers=simulated_providers(app, seed),
            in_hand=set(),
            share=InTables(),
            strays=set(),
            kept=[],
            watches={},
            _ids={},
            _ids_lock=threading.Lock(),
            _runner=None,
            _rules=None,
            _needs=None,
        )
        copy.database.create()
        try:
            yield copy
        finally:
            copy.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def simulated_providers(app: App, seed: int) -> dict[str, Provider]:
    """One simulated provider per lane; one that is configured as simulated keeps its own options but no record."""
    simulated = registry.find("simulated")
    found: dict[str, Provider] = {}
    for lane in app.settings.lanes.values():
        options = dict(lane.way.options) if lane.provider == simulated.name else {"seed": seed}
        options.pop("record", None)
        found[lane.name] = simulated(lane.channel, options, {}, app.home)
    return found


def _copy(database: Database, target: Path) -> Path:
    if database.path is None:
        raise Unfit("a simulation copies a SQLite database; this one is another")
    sqlite = sqlite_module()
    source, copy = sqlite.connect(str(database.path)), sqlite.connect(str(target))
    try:
        source.backup(copy)
    finally:
        source.close()
        copy.close()
    return target


def publish_drafts(app: App, drafts: Drafts, names: Collection[str]) -> None:
    """In the copy the drafts are what runs."""
    publish(app, drafts, names)


def run(
    app: App,
    until: datetime,
    responder: Responder,
    seen: Callable[[Beat], None] | None = None,
    every: timedelta | None = None,
    to_the_second: bool = False,
) -> list[datetime]:
    """Beat, answer, jump to the next instant at which something is due, until `until`. The instants that were visited.

    With `every`, instants are rounded up to a multiple of it from the start, as a daemon that beats so often would.
    With `to_the_second` a segment's border is met when time runs over it, not within an hour: slow for many people.
    """
    clock = app.clock
    assert isinstance(clock, ManualClock)
    responder.start(app)
    start, visited = clock.now(), []
    for _ in range(MAX_BEATS):
        now = clock.now()
        visited.append(now)
        responder.act(app, now)
        beat = tick(app)
        responder.look(app)
        if seen is not None:
            seen(beat)
        crossing = next_crossing(app, now) if to_the_second else None
        following = [at for at in (next_due(app, now), responder.next_due, crossing) if at is not None]
        target = max(min(following), now) if following else None
        if target is not None and every is not None:
            target = start + -((start - target) // every) * every
        if target is None or target > until:
            break
        clock.move_to(target)
    clock.move_to(max(until, clock.now()))
    return visited

"""Many workers: Procrastinate, in the same PostgreSQL, hands units of work to whoever is free, on any host.

A unit is told of in the transaction that makes it, so there is no second truth. The engine may run one twice, or
forget one: what is to do stands in our tables, whoever takes a unit gets a token, and of what was forgotten one is told
again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import procrastinate
from procrastinate.jobs import DeleteJobCondition, Job
from procrastinate.manager import JobManager
from procrastinate.schema import SchemaManager
from sqlalchemy import Connection, text

from engine.app import App
from engine.settings import channel_of
from engine.share import Kind, Unit

log = logging.getLogger("outreach.cluster")

DECIDE = "decide"  # the queue of chunks; batches have one for each lane
POLL = 1.0  # seconds after which a worker looks for itself, whatever it was told
HEARTBEAT = 2.0  # seconds between signs of life of a worker to the engine
STALLED = 8.0  # seconds without one after which its jobs are for others
GRACE = 27.0  # seconds a job may take to end when its worker is asked to stop
AGAIN = 2.0  # seconds until a worker that lost the database tries again


class Cluster:
    """The share of work by Procrastinate: `defer`, `cancel`, `run`."""

    def __init__(self, app: App, decide: Callable[[int], None], send: Callable[[int, str], Any]) -> None:
        self._app = app
        self._decide = decide
        self._send = send
        self._deferring = JobManager(procrastinate.SyncPsycopgConnector())

    # --- whoever makes units ---------------------------------------------------------------------------------------

    def defer(self, connection: Connection, units: Sequence[Unit]) -> None:
        now = self._app.clock.now()
        jobs = [_job(self._app, unit, now) for unit in units if self._app.clock.passes or not _later(unit, now)]
        if jobs:
            self._deferring.batch_defer_jobs(jobs, connection=connection.connection.driver_connection)

    def cancel(self, connection: Connection, units: Sequence[Unit]) -> None:
        connection.execute(_CANCEL, {"names": [_name(unit.kind, unit.number) for unit in units]})

    # --- whoever works ---------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Work until asked to stop; a database that went away is waited for."""
        self._app.run(self._until_stopped())

    async def _until_stopped(self) -> None:
        asked = asyncio.ensure_future(asyncio.to_thread(self._app.stop.wait))
        while not asked.done():
            try:
                await self._work(asked)
            except Exception as error:
                log.error("the work engine: %s; trying again", error)
                await asyncio.wait([asked], timeout=AGAIN)

    async def _work(self, asked: asyncio.Future[bool]) -> None:
        engine = self._engine()
        async with engine.open_async():
            queues = [DECIDE, *queues_of(self._app)]
            tasks = [asyncio.ensure_future(_worker(engine, queue)) for queue in queues]
            tasks.append(asyncio.ensure_future(_take_from_the_dead(engine.job_manager)))
            try:
                watched: list[asyncio.Future[Any]] = [asked, *tasks]
                await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                ended = await asyncio.gather(*tasks, return_exceptions=True)
            for one in ended:
                if isinstance(one, Exception):
                    raise one
            if not asked.done():
                raise ConnectionError("a worker ended")  # it says why in the log, and one looks after it here

    def _engine(self) -> procrastinate.App:
        url = self._app.database.url.set(drivername="postgresql").render_as_string(hide_password=False)
        size = 2 * (len(self._app.settings.lanes) + 1) + 3
        connector = procrastinate.PsycopgConnector(conninfo=url, min_size=1, max_size=size)
        engine = procrastinate.App(connector=connector)

        async def decide(number: int) -> None:
            await asyncio.to_thread(self._decide, number)

        async def send(number: int, lane: str = "", channel: str = "") -> None:
            await self._send(number, lane or channel)  # told before lanes had names, it is the one of its channel

        engine.task(name=Kind.chunk.value, pass_context=False)(decide)
        engine.task(name=Kind.batch.value, pass_context=False)(send)
        return engine


async def _worker(engine: procrastinate.App, queue: str) -> None:
    await engine.run_worker_async(
        queues=[queue],
        name=queue,
        concurrency=1,
        fetch_job_polling_interval=POLL,
        update_heartbeat_interval=HEARTBEAT,
        stalled_worker_timeout=STALLED,
        shutdown_graceful_timeout=GRACE,
        delete_jobs=DeleteJobCondition.ALWAYS,
        install_signal_handlers=False,
    )


async def _take_from_the_dead(manager: JobManager) -> None:
    """Jobs of workers that give no sign of life are for others: Procrastinate leaves it to its user to say when."""
    while True:
        await asyncio.sleep(HEARTBEAT)
        for job in await manager.get_stalled_jobs(seconds_since_heartbeat=STALLED):
            await manager.retry_job(job)
        await manager.prune_stalled_workers(STALLED)


def queues_of(app: App) -> list[str]:
    """The queues of batches that somebody listens to."""
    return [_queue(app, lane) for lane in app.settings.lanes]


def _queue(app: App, lane: str) -> str:
    """Where batches of a lane are told. Of one that is configured no more, with another lane, which sends them on."""
    lanes = app.settings.lanes
    if lane not in lanes:
        ways = app.settings.ways.get(channel_of(lane)) or tuple(lanes.values())
        lane = ways[0].name if ways else lane
    return f"send_{lane}"


def _name(kind: Kind, number: int) -> str:
    return f"{kind.value} {number}"


def _later(unit: Unit, now: datetime) -> bool:
    return unit.due_at is not None and unit.due_at > now


def _job(app: App, unit: Unit, now: datetime) -> Job:
    more = {"lane": unit.lane} if unit.kind is Kind.batch else {}
    return Job(
        queue=DECIDE if unit.kind is Kind.chunk else _queue(app, unit.lane),
        priority=10 if unit.urgent else 0,
        lock=None,
        queueing_lock=_name(unit.kind, unit.number),
        task_name=unit.kind.value,
        task_kwargs={"number": unit.number, **more},
        scheduled_at=unit.due_at if _later(unit, now) else None,
    )


# --- what stands in the tables of the engine -------------------------------------------------------------------------

_CANCEL = text("DELETE FROM procrastinate_jobs WHERE queueing_lock = ANY(:names) AND status = 'todo'")
_THERE = text("SELECT to_regclass('procrastinate_jobs') IS NOT NULL")
_FORGOTTEN_CHUNKS = text(
    "SELECT id, urgent FROM chunk WHERE token IS NULL AND NOT EXISTS (SELECT 1 FROM procrastinate_jobs j "
    "WHERE j.queueing_lock = 'chunk ' || chunk.id AND j.status IN ('todo', 'doing')) ORDER BY id LIMIT 1000"
)
_FORGOTTEN_BATCHES = text(
    "SELECT id, lane, urgent FROM batch WHERE open AND token IS NULL AND due_at <= :now AND NOT EXISTS ("
    "SELECT 1 FROM procrastinate_jobs j WHERE j.queueing_lock = 'batch ' || batch.id "
    "AND (j.status = 'doing' OR (j.status = 'todo' AND j.queue_name = ANY(:queues) "
    "AND (j.scheduled_at IS NULL OR j.scheduled_at <= :now)))) "
    "ORDER BY due_at, id LIMIT 1000"
)


def install(connection: Connection) -> None:
    """Make the tables of the engine, where they are missing."""
    if not connection.execute(_THERE).scalar():
        driver: Any = connection.connection.driver_connection
        driver.execute(SchemaManager.get_schema())


def forgotten(app: App, connection: Connection, now: datetime) -> list[Unit]:
    """Units that are due, in nobody's hands, and of which nobody is told: a job was lost, or its lane is no more."""
    chunks = [Unit(Kind.chunk, row.id, urgent=row.urgent) for row in connection.execute(_FORGOTTEN_CHUNKS)]
    batches = connection.execute(_FORGOTTEN_BATCHES, {"now": now, "queues": queues_of(app)})
    return chunks + [Unit(Kind.batch, row.id, row.lane, row.urgent) for row in batches]

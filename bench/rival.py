"""What people use instead: a tuned Celery task per message, its state in a table of PostgreSQL, over a real broker.

Tuned: tasks are enqueued in one pipeline, results are not kept, workers fetch ahead, connections to the database and to
the service are kept, texts are compiled once per process. A task reads who the message is for and what they bought,
renders it, writes that it begins, hands it over and writes what became of it: what outreach does, one by one.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from celery import Celery

from bench import postgres, sink_http
from bench.measure import Stopwatch, report
from bench.people import NOW
from bench.raw_plan import AUDIENCE, CONTEXT, SPOKEN, _ago, _traits, fill
from bench.raw_plan import Postgres as Store
from bench.raw_texts import Links, Text, load

PAGE = 1_000
PATIENCE = 600.0  # seconds
LOOK = 0.02  # seconds between two looks at how many have arrived

app = Celery("rival", broker=os.environ.get("RIVAL_BROKER", "memory://"))
app.conf.update(
    task_ignore_result=True,
    worker_prefetch_multiplier=128,
    task_acks_late=True,
    broker_pool_limit=4,
    worker_hijack_root_logger=False,
    task_store_errors_even_if_ignored=False,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
)


@cache
def _database() -> Any:
    return psycopg.connect(os.environ["RIVAL_DATABASE"], autocommit=True)


@cache
def _service() -> http.client.HTTPConnection:
    """The fastest that Python brings: one connection of the standard library, kept."""
    return http.client.HTTPConnection(os.environ["RIVAL_SINK"].removeprefix("http://"))


@cache
def _text(locale: str) -> Text:
    return load(locale)


def send(customer: int) -> None:
    """One message, from who it is for to what became of it."""
    database = _database()
    name, email, locale = database.execute(
        "SELECT first_name, email, locale FROM customer WHERE id = %s", (customer,)
    ).fetchone()
    bought = database.execute(CONTEXT.format("%s", "= %s"), (_ago(365), customer)).fetchall()
    if database.execute(SPOKEN.format("%s", "= %s"), (_ago(7), customer)).fetchone():
        return
    key = f"statement-2026-11-{customer}"
    traits = _traits([(total, category) for _, total, category in bought])
    mail = _text(locale).render(person={"first_name": name}, traits=traits, links=Links(key), now=NOW)
    content = {"to": email, "subject": mail.subject, "html": mail.html, "text": mail.text}
    body = json.dumps(content, ensure_ascii=False).encode()
    at = int(NOW.timestamp())
    with database.transaction():
        database.execute(
            "INSERT INTO message VALUES (%s, %s, %s, %s, 'sending', %s)", (customer, customer, key, locale, at)
        )
        database.execute("INSERT INTO body VALUES (%s, %s)", (customer, body))
    service = _service()
    service.request("POST", "/send", body, {"idempotency-key": key})
    reply = service.getresponse()
    reply.read()
    if reply.status != 200:
        raise OSError(reply.status)
    database.execute("UPDATE message SET state = 'sent' WHERE id = %s", (customer,))


task = app.task(send, name="rival.send")


# --- the measurement -------------------------------------------------------------------------------------------------


def broker() -> str | None:
    """Which broker is installed, None when none is."""
    return "redis" if shutil.which("redis-server") else None


def main(count: int, workers: int) -> None:
    report(lambda folder, watch: measure(folder, watch, count, workers))


def measure(folder: Path, watch: Stopwatch, count: int, workers: int) -> int:
    with postgres.running(folder) as server, sink_http.running() as place, _redis(folder) as url:
        store = Store(server.url)
        fill(store, count)
        store.execute("ANALYZE")
        env = os.environ | {"RIVAL_BROKER": url, "RIVAL_DATABASE": server.url, "RIVAL_SINK": place.url}
        with _workers(env, workers) as pids:
            watch.beside = lambda: server.busy() + sum(map(postgres.used, pids))
            with watch.running():
                queued = _enqueue(store, url)
                _until(lambda: place.taken() >= queued)
            return place.taken()


def _enqueue(store: Store, url: str) -> int:
    """A task for everybody of the audience, a page at a time in one pipeline."""
    app.conf.broker_url = url
    queued = last = 0
    with app.producer_pool.acquire(block=True) as producer:
        while page := store.execute(AUDIENCE.format("%s"), (last, _ago(365), PAGE)).fetchall():
            for row in page:
                task.apply_async((row[0],), producer=producer)
            queued, last = queued + len(page), page[-1][0]
    return queued


@contextmanager
def _workers(env: dict[str, str], count: int) -> Iterator[list[int]]:
    """Worker processes of Celery, ready for work."""
    command = [sys.executable, "-m", "celery", "-A", "bench.rival", "worker", f"--concurrency={count}"]
    command += ["--loglevel=WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat", "-Ofair"]
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        app.conf.broker_url = env["RIVAL_BROKER"]
        _until(lambda: bool(app.control.ping(timeout=0.5)))
        yield [process.pid, *postgres.children(process.pid)]
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _redis(folder: Path) -> Iterator[str]:
    """A Redis that keeps nothing on disk."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["redis-server", "--port", str(port), "--save", "", "--appendonly", "no", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait()


def _until(holds: Any) -> None:
    began = time.monotonic()
    pause = threading.Event()
    while not holds():
        if time.monotonic() - began > PATIENCE:
            raise SystemExit(f"did not come true within {PATIENCE:.0f} seconds")
        pause.wait(LOOK)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("people", type=int)
    parser.add_argument("workers", type=int)
    wanted = parser.parse_args()
    main(wanted.people, wanted.workers)

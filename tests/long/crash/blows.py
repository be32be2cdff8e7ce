"""The blows: each does something bad to somebody and says what it met. Which comes when is drawn from a seed."""

from __future__ import annotations

import csv
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.app import App
from tests.proxy import Proxy

from . import shop as shops
from .counting import Blow, Held
from .homes import Disk, Server
from .processes import state_of
from .shop import Shop, ask, one

SETTLES = 0.3  # seconds after which a commit that was on its way has arrived or never will
PATIENCE = 10.0  # seconds until something is to be hit that may not come
READY = 60.0  # seconds a command or a run may take
GOES_ON_AFTER = (12.0, 20.0)  # seconds for which a worker is stopped: longer than any lease
DISK_FULL = 8.0  # seconds


@dataclass
class Stage:
    """Who and what can be hit."""

    shop: Shop
    app: App
    sink: Any
    dice: random.Random
    folder: Path
    brief: bool = False  # the short form
    server: Server | None = None
    wire: Proxy | None = None
    disk: Disk | None = None
    count: int = 0  # of files and databases made for blows
    migrations_unfinished: int = 0

    @property
    def cut_for(self) -> float:
        return 3.0 if self.brief else 120.0

    @property
    def silent_for(self) -> float:
        return 3.0 if self.brief else 30.0

    def new_name(self) -> str:
        self.count += 1
        return f"blow{self.count}"


BlowOf = Callable[[Stage], Blow | None]


# --- workers ---------------------------------------------------------------------------------------------------------


def kill(stage: Stage) -> Blow | None:
    """kill -9 of a worker at any instant"""
    return _kill_one(stage, _told(kill))


def _kill_one(stage: Stage, kind: str) -> Blow | None:
    living = stage.shop.living()
    if not living:
        return None
    victim = stage.dice.choice(living)
    at = time.monotonic()
    victim.kill()
    victim.wait()
    return _dead(stage, kind, at, victim.pid)


def kill_in_body(stage: Stage) -> Blow | None:
    """kill -9 of a worker in the middle of a message's body"""
    return _strike(stage, _told(kill_in_body), "body")


def kill_before_accept(stage: Stage) -> Blow | None:
    """kill -9 of a worker when its message is read and not yet accepted"""
    return _strike(stage, _told(kill_before_accept), "before")


def kill_at_accept(stage: Stage) -> Blow | None:
    """kill -9 of a worker between accept and answer"""
    return _strike(stage, _told(kill_at_accept), "accept")


def kill_after_answer(stage: Stage) -> Blow | None:
    """kill -9 of a worker between the answer and its second commit"""
    return _strike(stage, _told(kill_after_answer), "answer")


def stop_at_accept(stage: Stage) -> Blow | None:
    """SIGSTOP of a worker between accept and answer, SIGCONT after its lease"""
    return _strike(stage, _told(stop_at_accept), "accept", signal.SIGSTOP)


def _strike(stage: Stage, kind: str, when: str, number: int = signal.SIGKILL) -> Blow | None:
    """The sink hits whoever sends next."""
    before = {process.pid for process in stage.shop.living()}
    if not before:
        return None
    stage.sink.strike(when, number)
    wanted = "T" if number == signal.SIGSTOP else "Z"
    for _ in range(int(PATIENCE / 0.01)):
        hit = [pid for pid in before if state_of(pid) == wanted]
        if hit:
            break
        threading.Event().wait(0.01)
    else:
        stage.sink.strike("none")
        return None
    return _dead(stage, kind, time.monotonic(), hit[0], stopped=wanted == "T")


def stop_and_go(stage: Stage) -> Blow | None:
    """SIGSTOP of a worker at any instant, SIGCONT after its lease"""
    living = stage.shop.living()
    if not living:
        return None
    victim, at = stage.dice.choice(living), time.monotonic()
    victim.send_signal(signal.SIGSTOP)
    return _dead(stage, _told(stop_and_go), at, victim.pid, stopped=True)


def lose_commit_and_kill(stage: Stage) -> Blow | None:
    """the answer to the first COMMIT of a hand-over lost, then kill -9 of a worker"""
    assert stage.wire is not None
    stage.wire.lose_answer("INTO delivery|COPY delivery")
    for _ in range(int(PATIENCE / 0.01)):
        if stage.wire.happened:
            break
        threading.Event().wait(0.01)
    return _kill_one(stage, _told(lose_commit_and_kill))


def _dead(stage: Stage, kind: str, at: float, pid: int, stopped: bool = False) -> Blow:
    """A worker died, or was stopped: what did it hold? Alone on its database, its work waits until it goes on."""
    threading.Event().wait(SETTLES)
    alone = stage.shop.database == "sqlite"
    blow = Blow(kind, "process" if alone else "worker", at, held=_held(stage, pid), open=_open(stage, pid))
    if stopped:
        seconds = stage.dice.uniform(*GOES_ON_AFTER)
        if alone:
            blow.over = at + seconds
        threading.Timer(seconds, lambda: _go_on(pid)).start()
    return blow


def _go_on(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


_MINE = "worker_id IN (SELECT id FROM worker WHERE name LIKE :name AND stopped_at IS NULL AND lost_at IS NULL)"
_BEGUN = "(SELECT d.kind FROM delivery d WHERE d.message_id = m.id ORDER BY d.weight DESC, d.id DESC LIMIT 1) = 'begun'"


def _held(stage: Stage, pid: int) -> list[Held]:
    """What it had taken and not begun to hand over, as the database has it."""
    name = f"process {pid} on %"
    waiting = ask(
        stage.app,
        f"SELECT m.batch_id, m.key FROM message m JOIN batch b ON b.id = m.batch_id WHERE b.{_MINE} AND b.open "
        "AND m.state = 'queued' AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.message_id = m.id)",
        name=name,
    )
    batches: dict[int, set[str]] = {}
    for number, key in waiting:
        batches.setdefault(number, set()).add(key)
    chunks = ask(stage.app, f"SELECT people FROM chunk WHERE {_MINE}", name=name)
    return [Held(keys=frozenset(keys)) for keys in batches.values()] + [
        Held(people=frozenset(_names(stage, people))) for (people,) in chunks
    ]


def _names(stage: Stage, people: Any) -> Iterator[str]:
    numbers = [int(word) for word in str(people).strip("[]").split(",") if word.strip()]
    listed = ", ".join(map(str, numbers)) or "0"
    yield from (name for (name,) in ask(stage.app, f"SELECT external_id FROM customer WHERE id IN ({listed})"))


def _open(stage: Stage, pid: int) -> int:
    """How many of its messages had begun to leave and were not settled."""
    query = f"SELECT count(*) FROM message m JOIN batch b ON b.id = m.batch_id WHERE b.{_MINE} AND {_BEGUN}"
    return one(stage.app, query, name=f"process {pid} on %")


# --- while people enter, imports, migrations -------------------------------------------------------------------------


def kill_while_entering(stage: Stage) -> Blow | None:
    """kill -9 of `outreach enter`, of which the same is asked again, and of a worker while these people enter"""
    shop, name = stage.shop, stage.new_name()
    people = range(0, shop.people, 4 if stage.brief else 2)
    file = stage.folder / f"{name}.csv"
    _write(file, ["person", "order_id"], [[f"p{number}", name] for number in people])
    words = ["enter", "wave", "--file", str(file), "--key", name, "--yes", "--expect", str(len(people))]
    _cut_off(stage, words, lambda: stage.dice.random() < 0.5)
    shop.asked |= {f"wave_p{number}_{name}" for number in people}
    _until_or_never(
        lambda: bool(one(stage.app, "SELECT count(*) FROM run WHERE state = 'entering' AND cursor > 0")), PATIENCE
    )
    return _kill_one(stage, _told(kill_while_entering))


def kill_an_import_of_people(stage: Stage) -> Blow | None:
    """kill -9 of `outreach import people`, then the same again"""
    name, count = stage.new_name(), 1_500 if stage.brief else 4_000
    file = stage.folder / f"{name}.csv"
    rows = [[f"{name}x{number}", f"{name}x{number}@example.com", "DE", number] for number in range(count)]
    _write(file, ["id", "email", "country", "points"], rows)
    at = time.monotonic()
    _cut_off(stage, ["import", "people", str(file)], _half_in(stage, count))
    stage.shop.imported |= {str(row[0]) for row in rows}
    return Blow(_told(kill_an_import_of_people), "command", at)


def kill_an_import_of_orders(stage: Stage) -> Blow | None:
    """kill -9 of `outreach import events --live`, then the same again"""
    name, count = stage.new_name(), 600 if stage.brief else 1_200
    file = stage.folder / f"{name}.csv"
    when = f"{stage.app.clock.now():%Y-%m-%dT%H:%M:%SZ}"
    orders = [(f"{name}x{number}", f"p{number % stage.shop.people}") for number in range(count)]
    rows = [[order, person, "Order Completed", when, order] for order, person in orders]
    _write(file, ["id", "person", "name", "at", "payload.order_id"], rows)
    at = time.monotonic()
    _cut_off(stage, ["import", "events", str(file), "--live"], _half_in(stage, count))
    stage.shop.asked |= {f"{kind}_{person}_{order}" for order, person in orders for kind in shops.OF_AN_ORDER}
    return Blow(_told(kill_an_import_of_orders), "command", at)


def _half_in(stage: Stage, rows: int) -> Callable[[], bool]:
    query = "SELECT count(*) FROM import WHERE done = :no AND rows > 0 AND rows < :rows"
    quoted = query.replace(" import ", ' "import" ')
    return lambda: bool(one(stage.app, quoted, no=False, rows=rows))


def _cut_off(stage: Stage, words: Sequence[str], now: Callable[[], bool]) -> None:
    """Start a command, kill it once `now` says so, and let the same command come to its end."""
    process = stage.shop.command(*words)
    while process.poll() is None and not now():
        threading.Event().wait(0.01)
    process.kill()
    process.wait()
    code = stage.shop.command(*words).wait(READY)
    if code not in (0, 1):
        raise SystemExit(f"outreach {' '.join(words[:2])} ended with {code}; see processes.log")


def kill_a_migration(stage: Stage) -> Blow | None:
    """kill -9 of the first command on an empty database while it makes the tables, then the same again"""
    shop, name, at = stage.shop, stage.new_name(), time.monotonic()
    database = stage.server.another(name) if stage.server is not None else f"sqlite:///{name}.db"
    lines = (shop.home / "near.yaml").read_text().splitlines()
    changed = [f'database: "{database}"' if line.startswith("database:") else line for line in lines]
    (shop.home / f"{name}.yaml").write_text("\n".join(changed))
    process = shop.command("messages", config=f"{name}.yaml")
    with suppress(subprocess.TimeoutExpired):
        process.wait(stage.dice.uniform(0.6, 2.0))
    process.kill()
    process.wait()
    if shop.command("messages", config=f"{name}.yaml").wait(READY) != 0:
        stage.migrations_unfinished += 1
    return Blow(_told(kill_a_migration), "command", at)


def _write(file: Path, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with file.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([head, *rows])


def _until_or_never(holds: Callable[[], bool], seconds: float) -> None:
    for _ in range(int(seconds / 0.02)):
        if holds():
            return
        threading.Event().wait(0.02)


# --- the database ----------------------------------------------------------------------------------------------------


def kill_server(stage: Stage) -> Blow | None:
    """kill -9 of PostgreSQL, all of it, started again"""
    assert stage.server is not None
    at = time.monotonic()
    stage.server.kill()
    stage.server.revive()
    return Blow(_told(kill_server), "database", at, over=at)


def kill_backend(stage: Stage) -> Blow | None:
    """kill -9 of one process of PostgreSQL, which throws away all connections and recovers"""
    assert stage.server is not None
    at = time.monotonic()
    found = stage.server.say(
        "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' "
        "ORDER BY random() LIMIT 1"
    )
    for (pid,) in found:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return Blow(_told(kill_backend), "database", at, over=at)


def end_sessions(stage: Stage) -> Blow | None:
    """all connections to PostgreSQL ended by it"""
    assert stage.server is not None
    at = time.monotonic()
    stage.server.say(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
        "AND backend_type = 'client backend'"
    )
    return Blow(_told(end_sessions), "database", at, over=at)


def cut_wire(stage: Stage) -> Blow | None:
    """all connections to PostgreSQL cut, and none to be had for two minutes"""
    assert stage.wire is not None
    at = time.monotonic()
    stage.wire.cut()
    threading.Event().wait(stage.cut_for)
    stage.wire.mend()
    return Blow(_told(cut_wire), "database", at, over=time.monotonic())


def silence_wire(stage: Stage) -> Blow | None:
    """nothing goes through to PostgreSQL for half a minute, and nobody is told; then it goes on"""
    assert stage.wire is not None
    at = time.monotonic()
    stage.wire.freeze()
    threading.Event().wait(stage.silent_for)
    stage.wire.resume()
    return Blow(_told(silence_wire), "database", at, over=time.monotonic())


def fill_disk(stage: Stage) -> Blow | None:
    """the disk of the database full for eight seconds"""
    assert stage.disk is not None
    at = time.monotonic()
    stage.disk.fill()
    threading.Event().wait(DISK_FULL)
    stage.disk.make_room()
    over = time.monotonic()
    if stage.server is not None and not stage.server.lives:
        stage.server.revive()
    return Blow(_told(fill_disk), "database", at, over=over)


# --- the deck --------------------------------------------------------------------------------------------------------

WORKERS: dict[BlowOf, int] = {
    **{kill: 8, kill_in_body: 3, kill_before_accept: 3, kill_at_accept: 5, kill_after_answer: 3, stop_at_accept: 2},
    **{stop_and_go: 2, kill_while_entering: 2, kill_an_import_of_people: 1, kill_an_import_of_orders: 1},
    **{kill_a_migration: 2},
}
SERVER: dict[BlowOf, int] = {
    **{lose_commit_and_kill: 2, kill_server: 2, kill_backend: 2, end_sessions: 1, cut_wire: 1, silence_wire: 1},
}
BRIEF = (kill, kill_at_accept, kill_in_body)
BRIEF_ALONE, BRIEF_SERVER = (kill_after_answer, kill_while_entering), (kill_server, cut_wire)


def deck(stage: Stage) -> Iterator[BlowOf]:
    """Blows without end: a shuffled deck of all kinds, and again when it is through; in the short form a few."""
    if stage.brief:
        chosen: list[BlowOf] = [*BRIEF, *(BRIEF_ALONE if stage.server is None else BRIEF_SERVER)]
    else:
        counts = WORKERS | (SERVER if stage.server is not None else {}) | ({fill_disk: 1} if stage.disk else {})
        chosen = [kind for kind, times in counts.items() for _ in range(times)]
    dealt: list[BlowOf] = []
    while True:
        if not dealt:
            dealt = list(chosen)
            stage.dice.shuffle(dealt)
        yield dealt.pop()


def _told(blow: BlowOf) -> str:
    return (blow.__doc__ or "").strip()

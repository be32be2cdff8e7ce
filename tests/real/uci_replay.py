"""Replay the golden journey over the UCI history: a shop of its own, a real SMTP server, a clock kept in a file.

    shop = make_shop(folder, people, events, Span(since, until, HOUR))
    with PostOffice(shop.clock) as office:
        replay(shop, office.port, chunk=50)

The clock jumps from stop to stop, and each event is told at the first stop after it. Quiet hours begin and days change
at full hours: with a stop at each of them and a second before, every mail meets the rules of the instant it is planned
for, though a beat serves many people at once.

What a shop lives through is in its folder: a process that replays may be killed at any point, and another takes it up.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session
from sqlalchemy import event as sql_event

from engine.app import App, build_app
from engine.cli.shipped import copy_shipped, shipped_folder
from engine.clock import ManualClock
from engine.journey import source
from engine.simulate.answers import feed
from engine.work.advance import CHUNK
from engine.work.incoming.importing import import_events, import_people
from engine.work.incoming.intake import NewEvent
from engine.work.publishing.drafts import load_drafts, publish
from engine.work.recovery import recover
from engine.work.tick import next_due, tick
from tests.real.uci_expected import Span
from tests.real.uci_oracle import HOUR

SECRET = {"OUTREACH_SECRET": "a secret of the replay, good for nothing"}
CONFIG = "config.yaml"
MAIL = {
    "provider": "smtp",
    "host": "127.0.0.1",
    "port": "1",  # the server's own, once it runs
    "mode": "plain",
    "in_flight": "8",
    "sender": "hello@shop.example.com",
    "sender_name": "Gifts",
}
QUIET: dict[str, object] = {
    "quiet_hours": {"email": "22:00-07:00"}
}  # the caps and the gap that ship, and a night for mails
LOOSE: dict[str, object] = {"caps": [], "least_gap": "0m", **QUIET}  # only the night
OPEN: dict[str, object] = {"caps": [], "least_gap": "0m", "quiet_hours": {}}  # nothing


# --- the shop --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shop:
    """The folder of a shop. What it lives through is in it: any process can take the replay up."""

    folder: Path

    @property
    def clock(self) -> Path:
        """Holds the instant the replay has come to."""
        return self.folder / "clock"

    @property
    def database(self) -> Path:
        return self.folder / "outreach.db"

    @property
    def events(self) -> Path:
        """What happens while it is open."""
        return self.folder / "live.jsonl"

    @property
    def span(self) -> Span:
        """What is lived through."""
        since, until, seconds = json.loads((self.folder / "span.json").read_text())
        return Span(datetime.fromisoformat(since), datetime.fromisoformat(until), timedelta(seconds=seconds))

    def set(self, span: Span, policy: Mapping[str, Any]) -> None:
        """Write what is lived through, and config.yaml: the one that ships, in pounds, mail the only way out."""
        told = [span.since.isoformat(), span.until.isoformat(), span.every.total_seconds()]
        (self.folder / "span.json").write_text(json.dumps(told))
        shipped: Any = source.read((shipped_folder() / CONFIG).read_text(encoding="utf-8"), CONFIG).value
        config = shipped | {
            "shop": shipped["shop"] | {"country": "GB", "zone": "Europe/London", "locale": "en", "currency": "GBP"},
            "channels": {"email": MAIL},
            "policy": shipped["policy"] | policy,
            "rates": {"CNY": "0.11"},
            "scores": {},
        }
        (self.folder / CONFIG).write_text(json.dumps(config, ensure_ascii=False, indent=1), encoding="utf-8")

    def keep(self, of: Callable[[str], bool]) -> None:
        """While it is open, something happens to some customers only."""
        lines = self.events.read_text(encoding="utf-8").splitlines(keepends=True)
        self.events.write_text("".join(line for line in lines if of(json.loads(line)["person"])), encoding="utf-8")


def make_shop(folder: Path, people: Path, events: Path, since: datetime, until: datetime) -> Shop:
    """A shop with the golden journey published, which knows all people, and what happened before `since`."""
    folder.mkdir(parents=True)
    copy_shipped(folder)
    _only_golden(folder)
    shop = Shop(folder)
    shop.clock.write_text(since.isoformat())
    past = _divide(events, since, until, shop.events)
    shop.set(Span(since, until, HOUR), LOOSE)
    app = _open(shop, 1)
    try:
        assert import_people(app, people).problems == []
        if past.stat().st_size:
            assert import_events(app, past).problems == []
        drafts = load_drafts(app)
        publish(app, drafts, sorted(drafts.graphs))
    finally:
        app.close()
    return shop


def _only_golden(folder: Path) -> None:
    """Leave the golden journey and its texts as they ship, and take the others away."""
    journey = (folder / "journeys" / "golden_72_hours.yaml").read_text(encoding="utf-8")
    for other in ("silent_wave", "vip_concierge"):
        (folder / "journeys" / f"{other}.yaml").unlink()
    for text in (folder / "templates").iterdir():
        if not text.name.startswith("_") and not re.search(rf"\b{text.name}\b", journey):
            shutil.rmtree(text)


def _divide(events: Path, since: datetime, until: datetime, live: Path) -> Path:
    """Write what happens in the span into `live`; the file of what happened before."""
    past = live.with_name("past.jsonl")
    with events.open(encoding="utf-8") as lines, past.open("w") as before, live.open("w") as after:
        for line in lines:
            at = datetime.fromisoformat(json.loads(line)["at"])
            if at <= until:
                (before if at < since else after).write(line)
    return past


def _open(shop: Shop, port: int, durable: bool = False) -> App:
    config = json.loads((shop.folder / CONFIG).read_text(encoding="utf-8"))
    config["channels"]["email"]["port"] = str(port)
    (shop.folder / CONFIG).write_text(json.dumps(config, ensure_ascii=False, indent=1), encoding="utf-8")
    clock = ManualClock(datetime.fromisoformat(shop.clock.read_text()))
    return build_app(shop.folder / CONFIG, clock=clock, env=SECRET, durable=durable)


# --- the server ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Arrived:
    """One mail the server took responsibility for."""

    key: str  # the left side of its Message-ID
    to: str
    at: datetime  # by the clock of the replay
    content: bytes | None  # kept on demand


class PostOffice:
    """A real mail server on loopback; what it accepted is the truth. `on_mail` is told before the sender is."""

    def __init__(self, clock: Path, keep: bool = False) -> None:
        self.arrived: list[Arrived] = []
        self.on_mail: Callable[[int], None] = lambda count: None
        self.port = 0
        self._clock, self._keep = clock, keep
        self._ready, self._done = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> PostOffice:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    async def _serve(self) -> None:
        server = await asyncio.get_running_loop().create_server(lambda: SMTP(self), "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await asyncio.to_thread(self._done.wait)
        server.close()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.original_content or b""
        key = re.search(rb"^Message-ID: <([^@>]+)@", content, re.MULTILINE)
        assert key is not None
        at = datetime.fromisoformat(self._clock.read_text())
        kept = content if self._keep else None
        self.arrived.append(Arrived(key[1].decode(), envelope.rcpt_tos[0], at, kept))
        self.on_mail(len(self.arrived))
        return "250 taken"


# --- the replay ------------------------------------------------------------------------------------------------------


def replay(shop: Shop, port: int, chunk: int = CHUNK, prepare: Callable[[App], None] = lambda app: None) -> App:
    """Live from where the clock of the shop stands to the end; the app, closed."""
    app = _open(shop, port)
    prepare(app)
    try:
        recover(app, app.clock.now())
        _live(app, shop, chunk)
    finally:
        app.close()
    return app


def _live(app: App, shop: Shop, chunk: int) -> None:
    """One instant after the other. Where a process died, its last instant is lived through once more."""
    clock = app.clock
    assert isinstance(clock, ManualClock)
    came_to = due = clock.now()
    for instant, events in _timetable(shop):
        if instant < came_to or not (events or (due is not None and due <= instant)):
            continue
        _write(shop.clock, instant)
        clock.move_to(instant)
        if events:
            feed(app, events)
        tick(app, chunk)
        due = next_due(app, instant)


def _timetable(shop: Shop) -> Iterator[tuple[datetime, Sequence[NewEvent]]]:
    """Where the clock may stop, and what is told there."""
    happened = (_event(json.loads(line)) for line in shop.events.read_text(encoding="utf-8").splitlines())
    events = [one for one in happened if one.at <= shop.span.until]
    stops = shop.span.stops(one.at for one in events if one.name == "Order Cancelled")
    told: dict[datetime, list[NewEvent]] = {}
    for one in events:
        told.setdefault(stops[bisect_left(stops, one.at)], []).append(one)
    return ((stop, told.get(stop, ())) for stop in stops)


def _event(line: Mapping[str, Any]) -> NewEvent:
    return NewEvent(line["id"], line["person"], line["name"], datetime.fromisoformat(line["at"]), line["payload"])


def _write(file: Path, instant: datetime) -> None:
    """Whoever reads finds one instant or the other."""
    fresh = file.with_suffix(".new")
    fresh.write_text(instant.astimezone(UTC).isoformat())
    fresh.replace(file)


# --- a process that dies ---------------------------------------------------------------------------------------------


def die_after(statements: int) -> Callable[[App], None]:
    """Kill this process, as power cuts do, when it begins its so-manieth statement."""

    def prepare(app: App) -> None:
        left = app.database.statements + statements

        def count(*_: object) -> None:
            if app.database.statements >= left:
                os.kill(os.getpid(), signal.SIGKILL)

        sql_event.listen(app.database.engine, "before_cursor_execute", count)

    return prepare

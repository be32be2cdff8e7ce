"""Everything is built once, here: settings, clock, database, texts, providers, and the rules that hold now."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from sqlalchemy import Connection, Table

from channels import registry
from channels.contract import Keep, Provider
from channels.errors import Misconfigured
from engine import keyed
from engine.audience.book import Audience, read_audience
from engine.clock import Clock, ClockGuard, FileClock, Reading, ServerClock, SystemClock
from engine.decide.state import Rules
from engine.errors import BadInput, Refused, Renamed, Unfit
from engine.imports.spelling import spelling
from engine.journey.catalog import read_journey
from engine.journey.graph import Graph
from engine.journey.problems import Problem, Severity
from engine.message.links import Links
from engine.message.templates import Texts, load_texts, no_texts
from engine.needs import Needs, needs_of
from engine.settings import Lane, Settings, load_settings
from engine.share import InTables, Telling
from engine.store import instants, journeys, names, waves
from engine.store.database import Database
from engine.store.fence import Fence
from engine.store.keep import SharedKeep
from engine.store.segments import Watch
from engine.store.tables import take_ids

T = TypeVar("T")

BLOCK = 2_000  # ids taken at once; those left when a process ends are never used
SECRET_LENGTH = 16  # characters a secret has at least
NOTIFYING = ("notice", "webhook", "email", "sms")  # by what a queue's room may be told, the best first
AUDIENCE = "audience"  # the name under which audience.yaml is published beside the journeys


@dataclass
class App:
    """One installation at work. `inert` is for previews and simulations: links do nothing, no secret is needed."""

    home: Path
    config: Path
    settings: Settings
    clock: Clock
    database: Database
    texts: Texts
    env: Mapping[str, str] = field(default_factory=lambda: os.environ)
    inert: bool = False
    fence: Fence = field(default_factory=Fence)  # remembers the last attempt outside the database
    guard: ClockGuard | None = None  # of the clock; a test's clock may jump as it likes
    providers: dict[str, Provider] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)  # set when it is asked to end
    worker_id: int = 0  # as which it holds what it has in hand; 0: as nobody who could be missed
    in_hand: set[asyncio.Future[Any]] = field(default_factory=set)  # hand-overs under way
    share: Telling = field(default_factory=InTables)  # who is told of work to do
    strays: set[str] = field(default_factory=set)  # tokens of what we may hold, and nobody works on
    kept: list[Any] = field(default_factory=list)  # answers of providers that the database would not take yet
    settling: threading.Lock = field(default_factory=threading.Lock)  # of `kept` and `strays`
    text_problems: list[Problem] = field(default_factory=list)  # findings about the texts as they stand in the folder
    watches: dict[str, Watch] = field(default_factory=dict)  # segment -> the questions about it, built once
    low_pools: set[str] = field(default_factory=set)  # of which the log was told
    _listeners: dict[str, Provider] = field(default_factory=dict)
    _notifiers: dict[str, Provider] = field(default_factory=dict)
    _texts_stamp: tuple[int, int] | None = None
    _runner: asyncio.Runner | None = None
    _ids: dict[str, deque[int]] = field(default_factory=dict)
    _ids_lock: threading.Lock = field(default_factory=threading.Lock)
    _rules: tuple[tuple[object, ...], Rules] | None = None
    _needs: tuple[Rules, Needs] | None = None
    _graphs: dict[tuple[int, int, str, str], Graph] = field(default_factory=dict)
    _audiences: dict[int, Audience] = field(default_factory=dict)

    @property
    def stopping(self) -> bool:
        """Asked to end: nothing new is begun."""
        return self.stop.is_set()

    @property
    def journeys_folder(self) -> Path:
        return self.home / "journeys"

    @property
    def secret(self) -> bytes:
        """Signs links. `Unfit` when the environment does not hold it."""
        return self.secrets[0]

    @cached_property
    def secrets(self) -> tuple[bytes, ...]:
        """The secrets in use: the first signs, all are known again, the last hashes addresses.

        A new secret is put before the old ones, with a comma. Those between may be taken away once no link of theirs
        has to work any more; the last one never, or the suppression list would match nobody.
        """
        name = self.settings.web.secret_env
        parts = secrets_in(self.env, name)
        found = tuple(part.encode() for part in parts if part)
        if self.inert:
            return found or (b"inert",)
        if not found:
            raise Unfit(
                f"the environment variable {name} must hold a secret of 16 characters or more; it signs links. "
                f"Make one once and keep it: export {name}=$(python3 -c 'import secrets; print(secrets.token_hex(32))')"
            )
        weak = [number for number, part in enumerate(parts, start=1) if len(part) < SECRET_LENGTH]
        if weak:
            raise Unfit(
                f"the environment variable {name} must hold secrets of 16 characters or more, with commas between; "
                f"of its {len(parts)} parts, number {', '.join(map(str, weak))} is empty or too short"
            )
        return found

    @cached_property
    def links(self) -> Links:
        return Links(self.settings.web.url, self.secret, inert=self.inert)

    def address_hash(self, channel: str, address: str) -> str:
        """The keyed hash under which an address is remembered."""
        text = f"{channel}\n{spelling(channel, address)}"
        return keyed.digest(self.secrets[-1], text.encode()).hex()[:32]

    def provider(self, lane: str) -> Provider:
        """The provider of a lane, made at first use. `Refused` when it cannot be."""
        found = self.providers.get(lane)
        if found is None:
            found = self.providers[lane] = self._make_provider(lane)
        return found

    def listener(self, lane: str) -> Provider:
        """The same for what a provider's service reports: the web has an event loop of its own, and so its own one."""
        found = self._listeners.get(lane)
        if found is None:
            found = self._listeners[lane] = self._make_provider(lane)
        return found

    def notifier(self, queue: str) -> tuple[Provider, str]:
        """Who tells the room of a queue of a new task, and by which kind of content. `Refused` when it cannot be."""
        told = self.settings.queues[queue].notify
        if told is None:
            raise Refused(f"config.yaml does not say how the queue {queue} is told")
        if told.channel is not None:
            return self.provider(self._first_lane(told.channel)), told.channel.partition("/")[0]
        found = self._notifiers.get(queue)
        if found is None:
            where = f"queues.{queue}.notify"
            found = self._notifiers[queue] = made(told.provider or "", NOTIFYING, told.options, where, self)
        return found, found.channel

    def _first_lane(self, name: str) -> str:
        """A lane, or the first one of a channel."""
        ways = self.settings.ways.get(name, ())
        return name if name in self.settings.lanes or not ways else ways[0].name

    def another_provider(self, lane: str) -> Provider:
        """One more of it, for an event loop of its own."""
        return self._make_provider(lane)

    def _make_provider(self, lane: str) -> Provider:
        return make_provider(self.settings, lane, self.env, self.home, self.keep, self.clock.now)

    @cached_property
    def keep(self) -> SharedKeep:
        """What providers share among all workers."""
        return SharedKeep(self.database, lambda: self.secrets, self.clock.now)

    def asked_as(self, lane: Lane) -> str:
        """What deliveries call who is asked on this lane."""
        made = self.providers.get(lane.name)
        return lane.asked_as(made.name if made is not None else lane.provider)

    def lane_asked_as(self, channel: str, asked: str | None) -> Lane | None:
        """The lane of a channel on which deliveries call so who is asked, if it is configured still."""
        return next((lane for lane in self.settings.ways.get(channel, ()) if self.asked_as(lane) == asked), None)

    def ids(self, table: Table, count: int) -> list[int]:
        """Ids for rows that are written later; links name messages before. Taken from the database in blocks."""
        with self._ids_lock:
            free = self._ids.setdefault(table.name, deque())
            while len(free) < count:
                with self.database.writing(beside=True) as connection:
                    free.extend(take_ids(connection, table, BLOCK))
            return [free.popleft() for _ in range(count)]

    # --- the rules that hold now -------------------------------------------------------------------------------------

    def rules(self, connection: Connection) -> Rules:
        """The published journeys people enter or are inside of, the published audience, the policy."""
        state = journeys.live(connection)
        wanted = frozenset(live.version_id for live in state.values())
        wanted |= journeys.inhabited(connection) | waves.open_versions(connection)
        former = names.former(connection)
        stamp = (*state.values(), *former.items(), wanted, id(self.texts))
        known = self._rules  # looked at once: the web asks from other threads
        if known is None or known[0] != stamp:
            known = self._rules = stamp, self._read_rules(connection, state, wanted, former)
        return known[1]

    def rules_of_today(self, connection: Connection, rules: Rules, former: Mapping[str, str] | None = None) -> Rules:
        """These rules, or new ones where a journey was given another name since they were read."""
        former = names.former(connection) if former is None else former
        return rules if former == rules.former else self.rules(connection)

    def refuse_old_names(self, connection: Connection, rules: Rules) -> None:
        """`Renamed` where a journey was given another name since these rules were read: in the transaction that writes
        what was worked out by them, so that nothing is written under the old one."""
        if not names.same(connection, rules.former):
            raise Renamed("a journey was given another name meanwhile, and nothing was written under the old one")

    def _read_rules(
        self,
        connection: Connection,
        state: Mapping[str, journeys.Live],
        wanted: frozenset[int],
        former: Mapping[str, str],
    ) -> Rules:
        versions = {version.id: version for version in journeys.versions(connection, wanted)}
        audience = self._audience(versions.get(state[AUDIENCE].version_id) if AUDIENCE in state else None)
        graphs = {
            number: self._graph(version, state[version.journey].hashed_as, audience)
            for number, version in versions.items()
            if version.journey != AUDIENCE
        }
        journeys_ = {name: live for name, live in state.items() if name != AUDIENCE}
        return Rules(
            audience=audience,
            graphs=graphs,
            live={name: one.version_id for name, one in journeys_.items() if one.retired_at is None},
            retired={name: one.version_id for name, one in journeys_.items() if one.retired_at is not None},
            let_out=frozenset(name for name, one in journeys_.items() if one.let_out),
            policy=self.policy,
            texts={name: self.texts.channels(name) for name in self.texts.messages},
            paused=frozenset(name for name, one in journeys_.items() if one.paused_at or one.let_out),
            former=former,
            default_zone=self.settings.shop.zone,
            queues=self.settings.queues,
        )

    def needs(self, rules: Rules) -> Needs:
        """What has to be read for these rules; worked out once for each."""
        known = self._needs
        if known is None or known[0] is not rules:
            known = self._needs = rules, needs_of(rules, self.texts)
        return known[1]

    @cached_property
    def policy(self) -> Any:
        """The policy of config.yaml, told the topics, the channels that have a provider, and where the shop is."""
        channels, home = tuple(self.settings.channels), self.settings.shop.country
        return self.settings.policy.model_copy(
            update={
                "topics": self.settings.topics,
                "channels": channels,
                "choosy": {name: ways for name, ways in self.settings.ways.items() if all(one.picks for one in ways)},
                "home": home,
                "holdout": self.settings.holdout,
            }
        )

    def _graph(self, version: journeys.Version, hashed_as: str, audience: Audience) -> Graph:
        key = version.id, hash(version.source), version.journey, hashed_as
        if key not in self._graphs:
            graph, problems = read_journey(version.source, version.file, version.journey, audience.trait_names)
            if graph is None:
                raise BadInput(f"version {version.number} of {version.journey} can no longer be read", problems)
            self._graphs[key] = replace(graph, hashed_as=hashed_as)
        return self._graphs[key]

    def _audience(self, version: journeys.Version | None) -> Audience:
        key = hash(version.source) if version else 0
        if key not in self._audiences:
            audience, problems = read_audience(
                version.source if version else "", version.file if version else "audience.yaml", self.settings
            )
            errors = [problem for problem in problems if problem.severity is Severity.error]
            if errors and version:
                raise BadInput("the published audience can no longer be read", errors)
            self._audiences[key] = audience
        return self._audiences[key]

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run asynchronous work to its end, always in the same loop, so that providers keep their connections."""
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(work)

    def let_go(self) -> None:
        """Wait no longer for what providers have not answered. Called from another thread."""
        if self._runner is not None:
            self._runner.get_loop().call_soon_threadsafe(lambda: [one.cancel() for one in tuple(self.in_hand)])

    def refresh(self) -> None:
        """Take in texts that were edited. A mistake in them changes nothing: the last good ones stay."""
        stamp = _stamp(self.home / "templates")
        if stamp == self._texts_stamp:
            return
        first, self._texts_stamp = self._texts_stamp is None, stamp
        if first:
            return
        texts, problems = load_texts(self.home / "templates", self.settings)
        self.text_problems = list(problems)
        if not any(problem.severity is Severity.error for problem in problems):
            self.texts = texts

    def close(self) -> None:
        """Let go of connections."""
        if self.providers or self._notifiers:
            self.run(self._close_providers())
        if self._runner is not None:
            self._runner.close()
            self._runner = None
        self.database.close()

    async def _close_providers(self) -> None:
        for provider in (*self.providers.values(), *self._notifiers.values()):
            await provider.close()


def secrets_in(env: Mapping[str, str], name: str) -> list[str]:
    """The parts of a variable that holds secrets, empty ones too: an empty last one would be the loss of a secret."""
    text = env.get(name, "")
    return [part.strip() for part in text.split(",")] if text.strip() else []


def make_provider(
    settings: Settings,
    name: str,
    env: Mapping[str, str],
    home: Path,
    keep: Keep | None = None,
    now: Callable[[], datetime] | None = None,
) -> Provider:
    """The provider that config.yaml names for a lane. `Refused` when it cannot be made."""
    lane = settings.lanes.get(name)
    if lane is None:
        raise Refused(f"config.yaml names no provider for the lane {name}")
    try:
        clock = {"now": now} if now is not None else {}
        return registry.find(lane.provider)(lane.channel, lane.way.options, env, home, keep=keep, **clock)
    except Misconfigured as error:
        raise Refused(f"config.yaml, {'.'.join(lane.place)}: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join([*lane.place, *map(str, first["loc"])])
        raise Refused(f"config.yaml, {where}: {first['msg']}") from None


def made(name: str, channels: Sequence[str], options: Mapping[str, Any], where: str, app: App) -> Provider:
    """A provider for the first of these channels that it serves. `Refused`, saying where in config.yaml."""
    try:
        kind = registry.find(name)
        channel = next((one for one in channels if one in kind.channels), channels[0])
        return kind(channel, options, app.env, app.home, keep=app.keep, now=app.clock.now)
    except Misconfigured as error:
        raise Refused(f"config.yaml, {where}: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise Refused(f"config.yaml, {where}.{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def check_providers(settings: Settings, env: Mapping[str, str], home: Path) -> list[tuple[str, str]]:
    """(lane, sentence) for every lane whose provider cannot be made."""
    found = []
    for lane in settings.lanes:
        try:
            make_provider(settings, lane, env, home)
        except Refused as error:
            found.append((lane, str(error)))
    return found


def build_app(
    config: Path,
    *,
    clock: Clock | None = None,
    database: str | None = None,
    inert: bool = False,
    env: Mapping[str, str] | None = None,
    strict: bool = True,
    durable: bool = True,
    texts: bool = True,
) -> App:
    """Read config.yaml and the texts, open the database. Raises BadInput with every problem found, or Unfit.

    Not `strict`, mistakes in texts are kept in `text_problems` to be shown with others. Not `durable`, commits do not
    wait for the disk: for demos and simulations, which can be made again. Without `texts` none is read: for commands
    that write and judge no message, which need not wait for them nor stumble over a mistake in one.
    """
    settings, problems = load_settings(config)
    if settings is None:
        raise BadInput(f"{config.name} cannot be used", problems)
    home = config.resolve().parent
    read, findings = load_texts(home / "templates", settings) if texts else (no_texts(settings), [])
    errors = [problem for problem in findings if problem.severity is Severity.error]
    if errors and strict:
        raise BadInput("the texts cannot be used", errors)
    env = os.environ if env is None else env
    opened = Database(database or database_url(settings.database, home), durable)
    clock = clock or _clock(settings, home, opened)
    app = App(
        home=home,
        config=config,
        settings=settings,
        clock=clock,
        database=opened,
        guard=ClockGuard(clock.read) if isinstance(clock, SystemClock | ServerClock) else None,
        texts=read,
        env=env,
        inert=inert,
        text_problems=list(findings),
    )
    app.database.create()
    return app


def _clock(settings: Settings, home: Path, database: Database) -> Clock:
    """The clock of this installation: on PostgreSQL it is the server's, so that hosts agree."""
    if settings.test_clock:
        return FileClock(home / settings.test_clock)
    if database.is_sqlite:
        return SystemClock()

    def ask() -> Reading:
        with database.reading() as connection:
            return instants.server_clock(connection)

    return ServerClock(ask)


def _stamp(folder: Path) -> tuple[int, int]:
    """Changes when a text is added, removed or edited: number of files and the latest change in nanoseconds."""
    stats = [path.stat() for path in folder.rglob("*") if path.is_file()]
    return len(stats), max((stat.st_mtime_ns for stat in stats), default=0)


def database_url(url: str, home: Path) -> str:
    """A SQLite file is meant from the folder of config.yaml."""
    prefix = "sqlite:///"
    if url.startswith(prefix) and not url.startswith(prefix + "/") and url != prefix:
        return prefix + str(home / url.removeprefix(prefix))
    return url

"""What is over for longer than `keep` of config.yaml says is taken away, few rows at a time, while everything goes on.

A step looks at a bounded number of rows and takes away what nobody may still look at, in one transaction, which also
writes how far it has come: wherever a process dies, the next step goes on from there. A look goes over what came of age
since the last one, once a day; once in thirty days it goes over all there is, for what was told late or is asked for by
nobody any more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from engine.app import App
from engine.audience.instants import EARLIEST, earlier
from engine.decide.state import Rules
from engine.needs import Past, past_of
from engine.store import trimming as store
from engine.store.tables import get_fact, set_fact
from engine.store.trimming import Place
from engine.work.sure import sure_now

LOOK_EVERY = timedelta(days=1)
WHOLE_EVERY = timedelta(days=30)
ROWS, WAYS = 1_000, 200  # looked at in one step
STEPS_IN_A_LULL, STEPS_BESIDE = 10, 1  # of a beat, when there was nothing else to do and when there was
LOOK, KEPT = "trimming", "trimmed"  # facts: how far a look has come; since when everything is there
START: Place = (EARLIEST, 0)


@dataclass(frozen=True)
class Kept:
    """What is not there any more. What began after these instants is there with everything that belongs to it."""

    ways: datetime | None = None  # ways that ended before are gone, or are slim
    events: Mapping[str, datetime] = field(default_factory=dict)  # name -> until when some are gone


@dataclass
class Trimmed:
    """What was taken away: rows by what they were."""

    rows: dict[str, int] = field(default_factory=dict)

    def count(self, part: str, rows: int) -> None:
        self.rows[part] = self.rows.get(part, 0) + rows

    @property
    def total(self) -> int:
        return sum(self.rows.values())


@dataclass
class _Look:
    """How far it has come."""

    begun: datetime
    whole: datetime  # when the last one over all there is began
    part: int = 0
    places: dict[str, Place] = field(default_factory=dict)


@dataclass(frozen=True)
class _Rule:
    """What may go, as of an instant."""

    rules: Rules
    past: Past
    now: datetime
    before: datetime  # what ended before this is over

    def forgets(self, journey: str) -> datetime | None:
        """Who entered before this may enter whether they were inside or not; None: it is asked for ever."""
        graph = self.rules.graphs.get(self.rules.heads.get(journey, -1))
        if graph is None or graph.head.again.never or graph.head.again.per is not None:
            return None
        after = graph.head.again.after
        return self.before if after is None else min(self.before, earlier(self.now, after))

    def is_over(self, name: str, at: datetime) -> bool:
        """Does nobody look at an event of this name from then?"""
        back = self.past.events.get(name, timedelta(0))
        return back is not None and at < min(self.before, earlier(self.now, back))


#: one step of a part, from a place on: where it has come, None at the end; and how many rows were taken away
_Step = Callable[[Connection, _Rule, Place], tuple[Place | None, int]]


def trim_beside(app: App, in_a_lull: bool) -> Trimmed:
    """A few steps, for the end of a beat."""
    return trim(app, STEPS_IN_A_LULL if in_a_lull else STEPS_BESIDE)


def trim(app: App, steps: int | None = None, *, rest: Callable[[], None] | None = None, whole: bool = False) -> Trimmed:
    """So many steps, or all until the look is done. `rest` is called between two, so that others get their turn.

    With `whole` a look over everything begins, unless one is under way.
    """
    done, taken = Trimmed(), 0
    if app.settings.keep is None:
        return done
    now = sure_now(app)
    with app.database.reading() as connection:
        if _look(connection, now, whole) is None:
            return done
        rule = _rule(app, connection, now)
    while not app.stopping and (steps is None or taken < steps):
        with app.database.writing() as connection:
            look = _look(connection, now, whole and taken == 0)
            if look is None:
                break
            _go_on(connection, rule, look, done)
        taken += 1
        if rest is not None:
            rest()
    return done


def _rule(app: App, connection: Connection, now: datetime) -> _Rule:
    rules = app.rules(connection)
    past = past_of(rules, app.texts, app.needs(rules))
    keep = app.settings.keep
    assert keep is not None
    return _Rule(rules, past, now, earlier(now, max(keep, past.least)))


def asked_for_ever(app: App) -> tuple[list[str], list[str]]:
    """Events of which all of the past stays because something asks for it, and those of which the last one does."""
    with app.database.reading() as connection:
        past = _rule(app, connection, app.clock.now()).past
    whole = sorted(name for name, back in past.events.items() if back is None)
    return whole, sorted(past.latest - set(whole))


def kept(connection: Connection) -> Kept:
    """What was trimmed so far."""
    told = json.loads(get_fact(connection, KEPT) or "{}")
    events = {name: datetime.fromisoformat(at) for name, at in told.get("events", {}).items()}
    return Kept(datetime.fromisoformat(told["ways"]) if "ways" in told else None, events)


def _note(connection: Connection, ways: datetime | None, events: Mapping[str, datetime]) -> None:
    before = kept(connection)
    latest = {name: max(at, before.events.get(name, at)) for name, at in events.items()}
    told: dict[str, Any] = {
        "events": {name: at.isoformat() for name, at in sorted({**before.events, **latest}.items())}
    }
    since = max((at for at in (ways, before.ways) if at is not None), default=None)
    set_fact(connection, KEPT, json.dumps(told | ({"ways": since.isoformat()} if since else {})))


# --- a look ----------------------------------------------------------------------------------------------------------


def _look(connection: Connection, now: datetime, whole: bool) -> _Look | None:
    """The look that is under way, or the one that begins now; None while none is due."""
    told = get_fact(connection, LOOK)
    if told is None:
        return _Look(now, now)
    known = json.loads(told)
    places = {name: (datetime.fromisoformat(at), number) for name, (at, number) in known["places"].items()}
    look = _Look(datetime.fromisoformat(known["begun"]), datetime.fromisoformat(known["whole"]), known["part"], places)
    if look.part < len(_PARTS):
        return look
    if whole or now - look.whole >= WHOLE_EVERY:
        return _Look(now, now)
    if now - look.begun < LOOK_EVERY:
        return None
    return _Look(now, look.whole, places={name: at for name, at in places.items() if name in _GO_ON})


def _go_on(connection: Connection, rule: _Rule, look: _Look, done: Trimmed) -> None:
    """One step, and how far that is."""
    name, step = _PARTS[look.part]
    before = look.places.get(name, START)
    place, rows = step(connection, rule, before)
    done.count(name, rows)
    if place is None:
        look.part += 1
    else:
        look.places[name] = place
    told = {
        "begun": look.begun.isoformat(),
        "whole": look.whole.isoformat(),
        "part": look.part,
        "places": {part: [at.isoformat(), number] for part, (at, number) in look.places.items()},
    }
    set_fact(connection, LOOK, json.dumps(told))


# --- its parts -------------------------------------------------------------------------------------------------------


def _ways(connection: Connection, rule: _Rule, place: Place) -> tuple[Place | None, int]:
    """Ways that ended, with all that belongs to them."""
    rows = store.ended_ways(connection, place, rule.before, WAYS)
    if not rows:
        return None, 0
    held, said = store.not_over(connection, [row.id for row in rows], rule.before)
    over = [row for row in rows if row.id not in held]
    gone = 0
    if over:
        gone = store.take_away(connection, [row.id for row in over], {row.customer_id for row in over}, said)
        needless = [row.id for row in over if (at := rule.forgets(row.journey)) is not None and row.entered_at < at]
        gone += store.forget_ways(connection, needless)
        store.make_slim(connection, sorted({row.id for row in over} - set(needless)))
        _note(connection, rule.before, {})
    return (rows[-1].ended_at, rows[-1].id), gone


def _slim(connection: Connection, rule: _Rule, place: Place) -> tuple[Place | None, int]:
    """Slim rows that no `again` asks for any more, journey by journey."""
    names = sorted(rule.rules.heads)
    if place[1] >= len(names):
        return None, 0
    before = rule.forgets(names[place[1]])
    old = store.slim_ways(connection, names[place[1]], before, ROWS) if before is not None else []
    return (EARLIEST, place[1] + (len(old) < ROWS)), store.forget_ways(connection, old)


def _traces(connection: Connection, rule: _Rule, place: Place) -> tuple[Place | None, int]:
    """Lines about those who did not enter; the others go with their way."""
    rows = [row for row in store.traces_after(connection, place[1], ROWS) if row.at < rule.before]
    gone = store.forget_traces(connection, [row.id for row in rows if row.enrollment_id is None])
    return _last(rows), gone


def _crossings(connection: Connection, rule: _Rule, place: Place) -> tuple[Place | None, int]:
    rows = [row for row in store.crossings_after(connection, place[1], ROWS) if row.judged_at < rule.before]
    return _last(rows), store.forget_crossings(connection, [row.id for row in rows])


def _events(connection: Connection, rule: _Rule, place: Place) -> tuple[Place | None, int]:
    """Events that nothing published may still look at."""
    rows = store.events_after(connection, place, rule.before, ROWS)
    over = [row for row in rows if rule.is_over(row.name, row.at)]
    last = [row.id for row in over if row.name in rule.past.latest]
    older = set(store.not_the_last(connection, last))
    over = [row for row in over if row.name not in rule.past.latest or row.id in older]
    if over:
        _note(connection, None, {row.name: row.at for row in over})  # in the order of their instants
    return (rows[-1].at, rows[-1].id) if rows else None, store.forget_events(connection, [row.id for row in over])


def _batches(connection: Connection, rule: _Rule, place: Place) -> tuple[Place | None, int]:
    rows = store.batches_after(connection, place[1], ROWS)
    empty = [row.id for row in rows if not row.open and row.due_at < rule.before]
    return _last(rows), store.forget_batches(connection, empty)


def _runs(connection: Connection, rule: _Rule, place: Place) -> tuple[Place | None, int]:
    """Runs that are over, and requests; the last one of each journey and zone stays."""
    rows = store.runs_after(connection, place[1], ROWS)
    over = [row.id for row in rows if row.state in _RUN_OVER and row.planned_at < rule.before]
    return _last(rows), store.forget_runs(connection, over)


def _last(rows: list[Any]) -> Place | None:
    return (EARLIEST, rows[-1].id) if rows else None


_RUN_OVER = frozenset({"done", "refused", "expired", "late"})
_PARTS: tuple[tuple[str, _Step], ...] = (
    ("ways", _ways),
    ("slim", _slim),
    ("traces", _traces),
    ("crossings", _crossings),
    ("events", _events),
    ("batches", _batches),
    ("runs", _runs),
)
_GO_ON = frozenset({"traces", "crossings", "events"})  # a look goes on where the last one stopped

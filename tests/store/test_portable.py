"""SQLite and PostgreSQL are told the same and answer the same: a few days of a small shop, then every question."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import shops
from sqlmodel import SQLModel

from engine.app import App
from engine.audience.conditions import as_sql
from engine.audience.tables import customer as person
from engine.audience.values import Person
from engine.cli.demo import ANSWERS, quick_mailbox
from engine.decide.decision import CloseTask, Give
from engine.decide.outcome import DeliveryKind
from engine.decide.state import Rules
from engine.simulate.answers import Responder
from engine.simulate.run import run
from engine.simulate.shop import make_shop
from engine.store import customers, deliveries, journeys, tables, work
from engine.store.enrollments import Before
from engine.store.open_ends import Which
from engine.work.incoming.importing import import_events, import_people
from engine.work.sending import dispatch

START = datetime.fromisoformat("2026-11-30T12:00+00:00")  # the wave of the 1st of December lies in the days after it
UNTIL = START + timedelta(days=3)
BEFORE = ("golden_72_hours", "silent_wave", "vip_concierge")
CHANCE = {"token"}  # columns that are thrown anew each time
ROOMS = ("chunks", "customers", "deliveries", "enrollments", "errands", "events", "happenings", "held", "inbox")
ROOMS += ("journeys", "lanes", "messages", "names", "nightly", "open_ends", "receipts", "reports", "segments")
ROOMS += ("simulated", "tables", "trimming", "waves", "work", "workers")


@dataclass
class Pair:
    """The same shop on both, after the same days."""

    sqlite: App
    postgresql: App

    def __iter__(self) -> Iterator[App]:
        return iter((self.sqlite, self.postgresql))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, postgres: Callable[[], str]) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "_IN_BLOCKS", frozenset())  # no rollback gives back what is left of a block
        patch.setattr(dispatch, "_lanes", one_lane_after_the_other)  # side by side they number deliveries by chance
        both = Pair(some_days(folder / "one", None), some_days(folder / "two", postgres()))
        yield both
    for app in both:
        app.close()


async def one_lane_after_the_other(app: App, rules: Rules, lanes: dict[str, list[int]], done: Any) -> None:
    for channel, batches in lanes.items():
        await dispatch._lane(app, rules, channel, batches, done)


def some_days(folder: Path, url: str | None) -> App:
    """The shipped journeys over a few days of a few people."""
    shop = make_shop(folder / "data", people=48, days=60, seed=3, end=START)
    shops.shipped(folder)
    app = shops.opened(folder, shops.ManualClock(START), database=url, durable=False)
    app.providers["email"] = quick_mailbox(app)
    import_people(app, shop.people)
    import_events(app, shop.events)
    shops.publish_all(app)
    with app.database.reading() as connection:
        names = sorted(person.external_id for person, _ in customers.people(connection, range(1, 49)).values())
    for name in names[::4]:
        order = {"order_id": f"o-{name}", "total": 120, "currency": "CNY", "category": "tea", "items": []}
        shops.happen(app, f"o-{name}", name, "Order Completed", order)
        if name > names[24]:
            shops.happen(app, f"d-{name}", name, "Parcel Delivered", {"order_id": f"o-{name}"}, START)
    run(app, UNTIL, Responder(ANSWERS, 1))
    return app


def rows(app: App) -> dict[str, list[Any]]:
    with app.database.reading() as connection:
        found = {}
        for table in SQLModel.metadata.sorted_tables:
            columns = [column for column in table.c if column.name not in CHANCE]
            query = table.select().with_only_columns(*columns).order_by(*table.primary_key.columns)
            found[table.name] = [tuple(row) for row in connection.execute(query)]
        return found


def questions() -> dict[str, Callable[..., Any]]:
    """Every function of the store that is handed a connection."""
    found = {}
    for room in ROOMS:
        module = importlib.import_module(f"engine.store.{room}")
        for name, function in vars(module).items():
            if inspect.isfunction(function) and function.__module__ == module.__name__ and not name.startswith("_"):
                parameters = list(inspect.signature(function).parameters)
                if parameters and parameters[0] == "connection":
                    found[f"{room}.{name}"] = function
    return found


def arguments(app: App) -> dict[str, Any]:
    """What a parameter of this name is given."""
    with app.database.reading() as connection:
        rules = app.rules(connection)
        free = work.free_codes(connection, "come_back", 1)[0]
        version = journeys.versions(connection)[1]
    silent = as_sql(rules.audience.segments["silent"], rules.audience, UNTIL)
    event = {"customer_id": 1, "name": "Told", "at": UNTIL, "received_at": UNTIL, "payload": {"n": 1}, "body_hash": ""}
    said = deliveries.Happening(1, 1, DeliveryKind.accepted, UNTIL, 9)
    word = {"customer_id": 2, "channel": "sms", "topic": "*", "purpose": "marketing", "granted": False, "at": UNTIL}
    run_row = {"journey": "silent_wave", "version_id": 1, "planned": "2027-01-01T10:00", "zone": "Asia/Tokyo"}
    ask = {"journey": "silent_wave", "planned": "2027-01-01T10:00", "stage": 1, "asked_at": UNTIL}
    return {
        "ids": list(range(1, 40)),
        "message_ids": list(range(1, 40)),
        "deaths": 0,
        "enrollment_id": 2,
        "failures": 1,
        "way": 1,
        "customer_ids": [1, 2, 3],
        "external_ids": ["p00001", "p00002", "unknown"],
        "external_id": "p00001",
        "person": "p00001",
        "customer_id": 5,
        "message_id": 3,
        "batch_id": 2,
        "run_id": 1,
        "number": 1,
        "numbers": [1, 2, 3],
        "by_what_happened": True,
        "first": 1,
        "last": 3,
        "after": 3,
        "limit": 7,
        "count": 3,
        "now": UNTIL,
        "until": UNTIL,
        "since": START,
        "start": START,
        "end": UNTIL,
        "key": "one",
        "live_since": START,
        "at": UNTIL,
        "due_at": UNTIL,
        "judged_at": UNTIL,
        "seen": 40,
        "name": "Order Completed",
        "names": ["Order Completed", "Page Viewed"],
        "journey": "golden_72_hours",
        "journeys": ["golden_72_hours", "silent_wave"],
        "segment": "silent",
        "condition": silent,
        "zone": "Europe/Berlin",
        "channel": "email",
        "channels": ["email", "sms"],
        "lane_name": "email",
        "lane_names": ["email", "sms/twilio"],
        "state": "accepted",
        "queue": "care",
        "pool": "come_back",
        "outcome": "approved",
        "by": "a test",
        "deed": "rolled back",
        "note": "a test",
        "version": version,
        "version_id": version.id,
        "waves_anew": True,
        "hashed_as": "first_name",
        "old": "golden_72_hours",
        "new": "thanks",
        "known": {"before": "golden_72_hours"},
        "let_out": True,
        "reason": "a test",
        "token": "a token",
        "fingerprint": "f",
        "file": "f.yaml",
        "source": "title: nothing",
        "before": UNTIL,
        "ways": [1, 2, 3],
        "people": [1, 2, 3],
        "said": [1, 2, 3],
        "value": "20 CNY",
        "kind": "people",
        "file_hash": "h",
        "rows": 3,
        "done": True,
        "stopped": True,
        "open_only": True,
        "codes": ["one", "two", "one"],
        "table": tables.trace,
        "asked": {"Order Completed": timedelta(days=30), "Page Viewed": None},
        "hashes": {"h": None},
        "addresses": {"h": {"channel": "email", "reason": "a test", "at": UNTIL}},
        "owners": {"h": [1, 2]},
        "keys": [(1, "send-order_on_its_way", 1)],
        "where": [tables.message.c.channel == "email"],
        "came": [(70, UNTIL)],
        "went": [1],
        "given": [(1, Give(1, work.as_code(free, UNTIL), UNTIL))],
        "closed": [CloseTask(1, "overdue", UNTIL)],
        "bodies": [],
        "row": {},
        "values": {},
    } | {
        "events.record.rows": [{**event, "external_id": "told"}],
        "events.known.external_ids": ["o-p00001", "unknown"],
        "events.payload.external_id": "o-p00001",
        "deliveries.append.happenings": [said],
        "deliveries.pasts.before": None,
        "deliveries.sending.batches": [1, 2],
        "customers.first_known_after.after": START - timedelta(days=60),
        "customers.first_known_between.after": START - timedelta(days=60),
        "events.first_after.after": START,
        "events.people_between.after": START - timedelta(days=10),
        "waves.choose.order": [person.c.id],
        "waves.forget_chosen.before": "2027-01-02",
        "waves.last_size.over": UNTIL,
        "wave": SimpleNamespace(journey="silent_wave", planned="2027-01-01T10:00"),
        "customers.record_consents.rows": [{**word, "source": "a test", "wording": ""}],
        "customers.change.people": [
            Person(1, "p00001", ZoneInfo("UTC"), "en", None, UNTIL, {}, {"tier": "gold"}, frozenset({"vip"}))
        ],
        "customers.upsert.rows": [
            {
                **{"external_id": name, "zone": "Asia/Tokyo", "locale": "en", "country": None, "created_at": UNTIL},
                **{"addresses": {"sms": "+81300000000"}, "attributes": {"tier": "gold"}},
            }
            for name in ("p00001", "somebody")
        ],
        "enrollments.of_people.before": Before(*(frozenset({name}) for name in BEFORE), since=START),
        "trimming.ended_ways.after": (START, 0),
        "trimming.events_after.after": (START - timedelta(days=20), 0),
        "enrollments.add.values": [],
        "enrollments.move.values": [],
        "enrollments.transfer.values": [],
        "messages.wishes.enrollment_ids": [1, 2, 3],
        "messages.explain_end.details": {1: {"cap": "1 per day"}},
        "messages.add_touches.rows": [
            {"id": 9999, "customer_id": 1, "enrollment_id": 9999, "step": "s", "visit": 1},
        ],
        "urgent": False,
        "worker_id": 7,
        "workers": [7],
        "versions": [1, 2],
        "run_id": 1,
        "chunks.add.people": [1, 2],
        "chunks.add.more": {"urgent": True},
        "runs": [1],
        "batches": [1, 2, 3],
        "hashes": ["a", "b"],
        "messages.free.more": {"deaths": 1},
        "waves.count_entered.people": 7,
        "numbers": [1],
        "messages.add.rows": [],
        "nightly.keep_standings.rows": [{"customer_id": 1, "r": 5, "f": 5, "m": 1, "segment": "champions"}],
        "nightly.keep_habits.rows": [{"customer_id": 1, "channel": "sms", "hour": 20}],
        "gone": [2],
        "scores": {1: {"rfm.r": 5}},
        "tables.put.rows": [{"name": "one", "value": "1"}],
        "tables.put.table": tables.fact,
        "tables.put_new.table": tables.fact,
        "tables.is_first.table": tables.fact,
        "tables.is_first.row": {"name": "one", "value": "2"},
        "tables.put_new.rows": [{"name": "one", "value": "2"}],
        "happenings.tell.row": {
            **{"name": "Rival Sale", "key": "1", "at": UNTIL, "payload": {"n": "1"}, "told_at": UNTIL, "by": "a test"}
        },
        "waves.unmoved.seen": SimpleNamespace(id=1, state="done", stage=1, cursor=0),
        "waves.change_run.values": {"entered": 5},
        "waves.plan_run.row": {**run_row, "planned_at": UNTIL, "state": "waiting"},
        "waves.ask_approval.row": {**ask, "expires_at": UNTIL, "people": 1, "messages": 1, "cost": "1 CNY"},
        "segments.record_crossings.rows": [
            {"segment": "silent", "customer_id": 1, "direction": "in", "at": UNTIL, "judged_at": UNTIL}
        ],
        "work.add_tasks.rows": [],
        "work.left_in.watched": {"come_back": 3, "second_order": 1_000_000},
        "work.questions.step": "approve",
        "work.redeem.codes": {free.code: UNTIL},
        "work.add_traces.rows": [],
        "work.change_task.values": {"note": "told"},
        "work.take_turns.wanted": [("care", ("lin", "emma")), ("vip", ("mei",)), ("care", ("lin", "emma"))],
        "held.forget.name": "clock",
        "held.ways.numbers": [1, 2, 3],
        "open_ends.unknown.which": Which(journeys=["golden_72_hours"], before=UNTIL),
        "open_ends.dead.which": Which(),
        "open_ends.count.kind": DeliveryKind.unknown,
        "lane": "email",
        "lane_name": "email",
        "lane_names": ["email", "sms"],
        "place": "care",
        "errands.add.rows": [{"task_id": 1, "place": "care", "key": "k", "due_at": UNTIL, "at": UNTIL}],
        "errands.settle.values": {"state": "told"},
        "box": "p00001",
        "inbox.mark_read.keys": ["k"],
        "inbox.own.keys": ["k"],
        "receipts.know.names": [("a", 1), ("b", 2), ("a", 1)],
        "receipts.messages_named.names": ["a", "b", "c"],
        "receipts.heard_before.event_ids": ["r1", "r2"],
        "receipts.settle.found": {1: 1, 2: None},
        "receipts.add.rows": [
            {
                **{"lane": "email", "event_id": "r1", "type": "delivered", "at": UNTIL, "received_at": UNTIL},
                **{"message_id": None, "open": True, "told": {"detail": "x"}},
            }
        ],
        "lanes.change.values": {"failures": 2, "paused_until": UNTIL},
    }


def calls(name: str, function: Callable[..., Any], given: dict[str, Any]) -> Iterator[tuple[list[Any], dict[str, Any]]]:
    """Once with everything it may be told, once with what it must be told."""
    for all_of_them in (True, False):
        positional, named = [], {}
        for parameter in list(inspect.signature(function).parameters.values())[1:]:
            value = given.get(f"{name}.{parameter.name}", given.get(parameter.name))
            if parameter.kind is parameter.VAR_KEYWORD:
                named.update(value or {})
            elif all_of_them or parameter.default is parameter.empty:
                assert f"{name}.{parameter.name}" in given or parameter.name in given, f"{name}: {parameter.name}"
                positional.append(value)
        yield positional, named


def plain(value: Any) -> Any:
    """A result in a form that can be compared."""
    if hasattr(value, "_mapping"):
        return {key: one for key, one in value._mapping.items() if key not in CHANCE}
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | range | Iterator):
        return [plain(one) for one in value]
    return value


def test_some_days_leave_the_same_rows_on_both(pair: Pair) -> None:
    one, two = rows(pair.sqlite), rows(pair.postgresql)

    assert {name: len(found) for name, found in one.items()} == {name: len(found) for name, found in two.items()}
    assert [name for name in one if one[name] != two[name]] == []
    filled = {name for name, found in one.items() if found}
    assert {"message", "body", "batch", "delivery", "run", "approval", "membership", "task", "trace"} <= filled


@pytest.mark.parametrize("name", sorted(questions()))
def test_every_function_of_the_store_does_the_same_on_both(name: str, pair: Pair) -> None:
    function = questions()[name]
    results = []
    for app in pair:
        given, told = arguments(app), []
        for number in (0, 1):
            with app.database.engine.connect() as connection, connection.begin() as transaction:
                if app.database.is_sqlite:
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                positional, named = list(calls(name, function, given))[number]
                try:
                    said = plain(function(connection, *positional, **named))
                except work.CodeTaken as taken:
                    said = type(taken).__name__
                changed = {
                    table.name: connection.execute(
                        table.select()
                        .with_only_columns(*(column for column in table.c if column.name not in CHANCE))
                        .order_by(*table.primary_key.columns)
                    ).all()
                    for table in touched(name)
                }
                told.append((said, changed))
                transaction.rollback()
        results.append(told)

    assert results[0] == results[1]


def touched(name: str) -> list[Any]:
    """The tables this room writes, where it is one that writes."""
    room = name.partition(".")[0]
    kinds = {
        "customers": ("customer", "consent", "suppression"),
        "deliveries": ("delivery",),
        "enrollments": ("enrollment",),
        "events": ("event",),
        "happenings": ("happened",),
        "journeys": ("journey_version", "journey_state", "journal"),
        "names": ("journey_version", "journey_state", "enrollment", "former_name"),
        "nightly": ("rfm", "habit"),
        "messages": ("message", "batch", "touch"),
        "tables": ("fact", "counter"),
        "segments": ("membership", "crossing", "segment_state"),
        "waves": ("run", "approval"),
        "work": ("task", "turn", "import", "voucher"),
        "lanes": ("lane",),
        "workers": ("worker",),
        "chunks": ("chunk",),
    }
    found = [SQLModel.metadata.tables[one] for one in kinds.get(room, ())]
    return [one for one in found if one.name != "voucher" or name in ("work.give", "work.fill_pool")]

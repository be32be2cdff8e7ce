"""The verbs through the real rooms, on both databases: what a beat writes, what a second look finds, what is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import shops
import sqlalchemy
from servers import Fresh
from servers import postgres as postgres
from stubs import World

import engine.work.advance as advance_module
from engine.audience.audience import Audience
from engine.audience.conditions import as_sql
from engine.decide.decision import Decision
from engine.decide.state import CustomerState, Rules
from engine.journey.conditions import Field, FieldKind, Test, Word
from engine.learn.explain import explain
from engine.learn.report import report
from engine.message.links import Token
from engine.simulate.preview import Walk, preview
from engine.store import customers, enrollments, waves, work
from engine.work.colleagues.approving import answer
from engine.work.entering.longest import longest_way
from engine.work.incoming import respond
from engine.work.incoming.importing import import_people

HEAD = """
title: A plan
owner: us
topic: orders
enter: {event: Order Completed}
again: {per: order_id}
"""
Shop = Callable[..., World]


@pytest.fixture(params=["sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    """Makes a shop of these journeys, in a database of each kind."""
    made: list[World] = []

    def make(journeys: Mapping[str, str], **more: str) -> World:
        if request.param == "postgresql":
            fresh: Fresh = request.getfixturevalue("postgres")
            more["database"] = fresh(tables=True)
        made.append(World(tmp_path / f"shop{len(made)}", journeys, **more))
        return made[-1]

    yield make
    for world in made:
        world.close()


def walked(world: World, journey: str, person: str = "p0000") -> Walk:
    """The preview of one person."""
    with world.app.database.reading() as connection:
        rules = world.app.rules(connection)
    version = rules.live[journey]
    (walk,) = preview(world.app, rules.graphs[version], rules, version, [person], 1, shops.NOW)
    return walk


def story(world: World, journey: str, person: str = "p0000") -> list[str]:
    """What explain tells of the last way through a journey."""
    (told,) = explain(world.app, person, journey).stories
    return [line.sentence for line in told.ways[-1].lines]


# --- repeat ----------------------------------------------------------------------------------------------------------

REMINDING = (
    HEAD
    + """
steps:
  - repeat:
      times: 3
      every: 2d
      until: {tier: gold}
      steps: [{send: note, via: [email]}]
    then: [{exit: gold}]
"""
)


def test_rounds_are_sent_once_each_and_told_apart(shop: Shop) -> None:
    world = shop({"reminding": REMINDING})
    world.order(*world.people(1))
    for _ in range(14):
        world.tick(timedelta(hours=12))
    visits = world.rows("SELECT step, visit, wish FROM message ORDER BY id")
    assert [tuple(row) for row in visits] == [("send-note", 1, 0), ("send-note", 2, 0), ("send-note", 3, 0)]
    assert len({one.key for one in world.email.handed}) == 3
    assert [line for line in story(world, "reminding") if line.startswith(("round", "all"))] == [
        "round 1 of 3",
        "round 2 of 3 begins at 2026-11-26 10:00 Europe/Berlin",
        "round 2 of 3",
        "round 3 of 3 begins at 2026-11-28 10:00 Europe/Berlin",
        "round 3 of 3",
        "all 3 rounds are over",
    ]
    told = report(world.app, "reminding")
    assert (told.ended, told.steps) == ({"done": 1}, {"send-note": {"accepted": 3}})


def test_a_round_begun_before_a_process_died_is_not_begun_again(shop: Shop) -> None:
    world = shop({"reminding": REMINDING})
    world.order(*world.people(1))
    world.tick()
    before = world.rows("SELECT data FROM enrollment")
    again = shops.opened(world.app.home, world.clock, database=world.app.database.url)
    again.providers |= world.app.providers
    world.app.close()
    world.app = again
    world.tick(timedelta(hours=1))
    assert world.rows("SELECT data FROM enrollment") == before
    assert len(world.email.handed) == 1


def test_the_preview_shows_the_steps_of_a_round_once_and_tells_when_the_others_begin(shop: Shop) -> None:
    world = shop({"reminding": REMINDING + "  - send: note\n    via: [email]\n    id: last\n"})
    world.people(1)
    walk = walked(world, "reminding")
    assert [(one.step, one.by, one.on_their_way) for one in walk.stops] == [
        ("repeat", "", True),
        ("send-note", "repeat: round", True),
        ("last", "repeat: otherwise", True),
        ("exit-gold", "repeat: then", False),
    ]
    assert walk.stops[0].sentence == (
        "3 rounds at most, shown once; the next at 2026-11-26 10:00 Europe/Berlin, 2026-11-28 10:00 Europe/Berlin"
    )
    assert [one.when - shops.NOW for one in walk.stops] == [timedelta(days=n) for n in (0, 0, 4, 0)]


def test_the_most_a_person_can_get_counts_every_round(shop: Shop) -> None:
    world = shop({"reminding": REMINDING + "  - {id: last, send: note, via: [email]}\n"})
    with world.app.database.reading() as connection:
        rules = world.app.rules(connection)
        (graph,) = rules.graphs.values()
        assert longest_way(world.app, connection, rules, graph).messages == 4


# --- update ----------------------------------------------------------------------------------------------------------

UPDATING = (
    HEAD
    + """
steps:
  - update:
      set: {tier: gold, orders: {add: 1}, last: {from: event.order_id}}
      tags: {add: [vip], remove: newcomer}
      consent: {channel: email, topic: news, granted: true, evidence: the form}
  - wait: 1d
"""
)


def test_an_update_is_written_once_and_seen_by_segments_and_whoever_asks(shop: Shop) -> None:
    world = shop({"updating": UPDATING})
    world.people(2, consent=False, tags={"newcomer": True, "stays": True})
    world.order("p0000")
    before = world.rows("SELECT revision FROM customer WHERE external_id = 'p0000'")[0].revision
    world.tick()
    world.tick(timedelta(minutes=5))
    with world.app.database.reading() as connection:
        person = customers.find(connection, "p0000")
        other = customers.find(connection, "p0001")
        log = customers.consent_log(connection, person.id if person else 0)
        tagged = as_sql(Test(Field(FieldKind.tag, "tag"), Word.is_, "vip"), Audience(), shops.NOW)
        assert waves.audience_page(connection, tagged, 0, 10) == [person.id if person else 0]
    assert person is not None
    assert other is not None
    assert person.attributes == {"tier": "gold", "orders": 1, "last": "p0000-1"}
    assert (person.tags, other.tags) == ({"vip", "stays"}, {"newcomer", "stays"})
    assert [(one.topic, one.granted, one.source, one.wording, one.purpose) for one in log] == [
        ("news", True, "journey updating/update", "the form", "marketing")
    ]
    assert world.rows("SELECT revision FROM customer WHERE external_id = 'p0000'")[0].revision > before
    assert explain(world.app, "p0000", "updating").tags == ("stays", "vip")
    assert story(world, "updating")[1] == (
        "tier is gold; orders is 1; last is p0000-1; tag vip; no tag newcomer; news by email: agreed"
    )


def test_what_was_learned_meanwhile_is_not_written_over(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    world = shop({"updating": UPDATING})
    world.order(*world.people(1))
    real, left = advance_module.decide, [True]

    def decide(state: CustomerState, rules: Rules, now: datetime) -> Decision:
        if left:
            left.pop()
            shops.add_people(
                world.app, [{"external_id": "p0000", "attributes": {"city": "Bonn"}, "addresses": {}}], False
            )
        return real(state, rules, now)

    monkeypatch.setattr(advance_module, "decide", decide)
    world.tick()
    with world.app.database.reading() as connection:
        person = customers.find(connection, "p0000")
    assert person is not None
    assert person.attributes == {"city": "Bonn", "tier": "gold", "orders": 1, "last": "p0000-1"}


def test_an_import_adds_tags_and_takes_them_away(shop: Shop, tmp_path: Path) -> None:
    world = shop({"updating": UPDATING})
    world.people(1, tags={"old": True, "stays": True})
    file = tmp_path / "people.csv"
    file.write_text("id,tags\np0000,vip;-old\nnew,a\n")
    done = import_people(world.app, file)
    assert (done.new, done.changed, done.problems) == (1, 1, [])
    with world.app.database.reading() as connection:
        found = {name: customers.find(connection, name) for name in ("p0000", "new")}
        assert customers.tags(connection) == {"vip", "stays", "a"}
    assert {name: one.tags for name, one in found.items() if one} == {"p0000": {"vip", "stays"}, "new": {"a"}}


def test_the_preview_changes_the_person_on_the_way_behind_the_update_alone(shop: Shop) -> None:
    text = (
        HEAD
        + """
steps:
  - branch:
      - {if: {tier: silver}, then: [{update: {set: {tier: gold}}}, {id: one, branch: [{if: {tier: gold}, then: []}]}]}
      - {otherwise: [{id: two, branch: [{if: {tier: gold}, then: []}]}]}
"""
    )
    world = shop({"updating": text})
    world.people(1)
    told = {stop.step: stop.sentence for stop in walked(world, "updating").stops}
    assert (told["update"], told["one"], told["two"]) == ("tier is gold", "today: case 1 holds", "today: no case holds")
    assert world.rows("SELECT attributes FROM customer WHERE external_id = 'p0000'")[0].attributes in ("{}", {})


# --- emit, start, stop -----------------------------------------------------------------------------------------------

EMITTING = HEAD + "steps: [{emit: Tea Time, with: {order_id: {from: event.order_id}, cups: 2}}, {wait: 3d}]\n"
ANSWERING = """
title: Tea
owner: us
topic: orders
enter: {event: Tea Time, where: {cups: {at_least: 2}}}
again: {per: order_id}
steps: [{wait: 1d}]
"""
LISTENING = HEAD + "steps: [{wait_for: Tea Time, within: 9d, then: [{exit: heard}]}]\n"


def test_an_event_is_recorded_once_opens_a_journey_and_answers_another(shop: Shop) -> None:
    world = shop({"emitting": EMITTING, "answering": ANSWERING, "listening": LISTENING})
    world.order(*world.people(2))
    world.tick()
    world.tick(timedelta(minutes=5))
    told = world.rows("SELECT name, payload, lineage FROM event WHERE name = 'Tea Time' ORDER BY id")
    assert len(told) == 2
    assert "emitting/emit-tea_time" in str(told[0].lineage)
    ways = world.rows("SELECT journey, active, reason, started_by, key FROM enrollment ORDER BY journey, id")
    assert [tuple(row) for row in ways if row.journey == "answering"] == [
        ("answering", True, None, "emitting/emit-tea_time", f"{person}-1") for person in ("p0000", "p0001")
    ]
    assert {row.reason for row in ways if row.journey == "listening"} == {"heard"}
    assert report(world.app, "answering").started_by == {"emitting/emit-tea_time": 2}
    (told_of,) = explain(world.app, "p0000", "answering").stories
    assert told_of.ways[0].lineage == ("emitting/emit-tea_time",)
    assert told_of.ways[0].lines[0].sentence.startswith("entered by Tea Time of emitting/emit-tea_time at ")


def test_a_second_try_emits_nothing_twice(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    world = shop({"emitting": EMITTING, "answering": ANSWERING})
    world.order(*world.people(1))
    real = work.add_traces
    tries: list[bool] = []

    def dies_once(connection: Any, rows: Any) -> None:
        real(connection, rows)
        if any(row["rule"] == "emitted" for row in rows) and not tries:
            tries.append(True)
            raise OSError("the disk is full")

    monkeypatch.setattr(work, "add_traces", dies_once)
    world.tick()
    world.tick(timedelta(minutes=5))
    assert tries == [True]
    assert world.rows("SELECT count(*) AS n FROM event WHERE name = 'Tea Time'")[0].n == 1
    assert world.rows("SELECT count(*) AS n FROM enrollment WHERE journey = 'answering'")[0].n == 1


def test_two_journeys_that_emit_into_each_other_come_to_an_end(shop: Shop) -> None:
    ping = HEAD.replace("again: {per: order_id}", "again: always") + "steps: [{emit: Ping}]\n"
    pong = ping.replace("Order Completed", "Ping").replace("emit: Ping", "emit: Pong")
    back = ping.replace("Order Completed", "Pong")
    world = shop({"first": ping, "pong": pong, "ping": back})
    world.order(*world.people(1))
    world.tick()
    assert world.rows("SELECT count(*) AS n FROM event WHERE name IN ('Ping', 'Pong')")[0].n == 10
    assert len(world.rows("SELECT sentence FROM trace WHERE rule = 'refused'")) == 1


STARTING = (
    HEAD + "steps: [{stop: other}, {start: other, otherwise: [{exit: refused}]}, {wait: 1d}, {id: stop, stop: other}]\n"
)
OTHER = HEAD.replace("again: {per: order_id}", "again: {after: 30d}") + "steps: [{wait: 2h}, {wait: 5d}]\n"


def test_a_journey_is_started_once_and_stopped_again(shop: Shop) -> None:
    never = OTHER.replace("Order Completed", "Never Told")
    world = shop({"starting": STARTING, "other": never})
    world.order(*world.people(3))
    world.tick()
    world.order("p0000", number="2")  # is inside the other one: it is stopped, and may not come back so soon
    world.tick(timedelta(hours=1))
    ways = world.rows("SELECT journey, reason, started_by FROM enrollment WHERE journey = 'other' ORDER BY id")
    assert [tuple(row) for row in ways] == [
        ("other", "stopped: starting/stop-other", "starting/start-other"),
        ("other", None, "starting/start-other"),
        ("other", None, "starting/start-other"),
    ]
    refused = world.rows("SELECT reason FROM enrollment WHERE journey = 'starting' AND reason IS NOT NULL")
    assert [row.reason for row in refused] == ["refused"]
    assert report(world.app, "other").started_by == {"starting/start-other": 3}
    world.tick(timedelta(days=2))
    assert {row.reason for row in world.rows("SELECT reason FROM enrollment WHERE journey = 'other'")} == {
        "stopped: starting/stop-other",
        "stopped: starting/stop",
    }
    lines = story(world, "other", "p0001")
    assert lines[0].startswith("entered started by starting/start-other at ")
    assert lines[-1] == "stopped by starting/stop"


def test_the_preview_tells_what_would_be_started(shop: Shop) -> None:
    world = shop({"starting": STARTING, "other": OTHER, "emitting": EMITTING})
    world.people(1)
    told = {stop.step: stop.sentence for stop in walked(world, "starting").stops}
    assert (told["start-other"], told["stop-other"]) == ("starts other", "is not inside other")
    assert told["stop"] == "stops other"
    assert walked(world, "emitting").stops[0].sentence == "emits Tea Time"
    assert world.rows("SELECT id FROM enrollment") == world.rows("SELECT id FROM event") == []


def test_so_many_are_started_with_as_many_queries_as_one(shop: Shop) -> None:
    counts = []
    for people in (1, 40):
        world = shop({"starting": STARTING, "other": OTHER, "emitting": EMITTING, "answering": ANSWERING})
        world.order(*world.people(people))
        counts.append(queries(world))
    assert counts[0] == counts[1]


def queries(world: World) -> int:
    """How many statements one beat sends to the database."""
    sent: list[str] = []

    def listener(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        sent.append(statement)

    sqlalchemy.event.listen(world.app.database.engine, "before_cursor_execute", listener)
    world.tick()
    sqlalchemy.event.remove(world.app.database.engine, "before_cursor_execute", listener)
    return len(sent)


# --- approve ---------------------------------------------------------------------------------------------------------

ASKING = HEAD + "steps: [{approve: May we?, by: lead, within: 1d}, {send: note, via: [email]}]\n"


def asked(world: World, **of: Any) -> list[Any]:
    with world.app.database.reading() as connection:
        return work.questions(connection, **of)


def test_one_answer_lets_all_go_on_who_wait_and_one_person_may_be_answered_alone(shop: Shop) -> None:
    world = shop({"asking": ASKING})
    world.order(*world.people(4))
    world.tick()
    waiting = asked(world, journey="asking", step="approve")
    assert len(waiting) == 4
    assert answer(world.app, waiting[:1], "refused", "anna") == 1
    assert answer(world.app, waiting, "approved", "ben") == 3  # the first word holds
    assert asked(world) == []
    world.tick(timedelta(minutes=5))
    assert len(world.email.handed) == 3
    assert report(world.app, "asking").approvals == {"approve": {"approved": 3, "refused": 1}}
    assert report(world.app, "asking").tasks == {}
    assert report(world.app, "asking").ended == {"done": 3, "refused: approve": 1}
    assert story(world, "asking")[-1] == "May we?: refused by anna"


def test_a_question_nobody_answers_ends_the_way(shop: Shop) -> None:
    world = shop({"asking": ASKING})
    world.order(*world.people(1))
    world.tick()
    world.tick(timedelta(days=2))
    assert report(world.app, "asking").ended == {"expired: approve": 1}
    assert report(world.app, "asking").approvals == {"approve": {"expired": 1}}


def test_questions_are_no_tasks_of_a_queue(shop: Shop) -> None:
    world = shop({"asking": ASKING})
    world.order(*world.people(1))
    world.tick()
    with world.app.database.reading() as connection:
        assert work.tasks(connection) == []


def test_the_preview_shows_the_question_and_what_follows_each_answer(shop: Shop) -> None:
    world = shop({"asking": ASKING})
    world.people(1)
    assert [(one.step, one.on_their_way) for one in walked(world, "asking").stops] == [
        ("approve", True),
        ("send-note", True),
    ]


# --- wait_for, split -------------------------------------------------------------------------------------------------

SPLITTING = (
    HEAD
    + """
goal: {event: Thanked, within: 30d}
steps:
  - {split: voucher, min_per_variant: LEAST, variants: {plain: 50%, other: {share: 50%, steps: [{wait: 1h}]}}}
  - wait: 5d
"""
)


@pytest.mark.parametrize("least", [1, 2_000])
def test_the_report_tells_of_each_variant_and_whether_they_are_too_few(shop: Shop, least: int) -> None:
    world = shop({"splitting": SPLITTING.replace("LEAST", str(least))})
    people = world.people(60)
    world.order(*people)
    world.tick()
    world.tick(timedelta(days=1))
    for person in people[::2]:
        shops.happen(world.app, f"t-{person}", person, "Thanked")
    split = report(world.app, "splitting").splits["voucher"]
    kept = list(variants(world).values())
    assert {name: arm.people for name, arm in split.variants.items()} == {
        name: kept.count(name) for name in ("plain", "other")
    }
    assert sum(arm.reached for arm in split.variants.values()) == 30
    assert list(split.differences) == ["other"]
    assert split.too_few is (least > 1)


def variants(world: World) -> dict[int, str]:
    """enrollment -> its variant, as it is kept."""
    with world.app.database.reading() as connection:
        rows = enrollments.of_people(connection, list(range(1, 100)))
    return {way.id: way.variants["voucher"] for ways in rows.values() for way in ways}


PRESSED = (
    HEAD
    + """
steps:
  - send: note
    via: [email]
  - {wait_for: {message: note, is: clicked}, within: 9d, confidence: SURE, then: [{exit: clicked}]}
"""
)


@pytest.mark.parametrize(
    ("sure", "machine", "moves"),
    [
        ("possible", True, True),
        ("likely", True, False),
        ("likely", False, True),
        ("certain", False, False),
    ],
)
def test_a_click_moves_whoever_waits_for_one_so_sure(shop: Shop, sure: str, machine: bool, moves: bool) -> None:
    world = shop({"pressed": PRESSED.replace("SURE", sure)})
    world.order(*world.people(1))
    world.tick()
    (message,) = world.rows("SELECT id, customer_id FROM message")
    token = Token(message.customer_id, message.id, word="https://shop.example.com/")
    world.clock.move_to(world.clock.now() + timedelta(hours=1))
    respond.clicked(world.app, token, machine)
    world.tick()
    assert report(world.app, "pressed").ended == ({"clicked": 1} if moves else {})

"""Crossings of segments: each once, at its own instant, soon after something was learned; nothing else is written."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import shops
from servers import postgres as postgres
from sqlalchemy import select
from stubs import Died, World

from channels.errors import Unavailable
from engine.store import segments
from engine.store.tables import crossing, customer, enrollment
from engine.work.entering import segments as judging
from engine.work.incoming.intake import NewEvent, Taken, record_events
from engine.work.publishing.drafts import load_drafts, publish

NOW, SECOND, HOUR, DAY = shops.NOW, timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
AUDIENCE = """
traits:
  orders_30d: {count: Order Completed, within: 30d}
  complaints: {count: Complaint Filed, within: 2d}
segments:
  keen: {orders_30d: {at_least: 2}}
  angry: {complaints: {at_least: 1}}
  gold: {tier: gold}
  lately: {created_at: {after: {ago: 7d}}}
  due: {renewal: {before: {ago: 0m}}}
"""
ENTERS = """
title: Enters by a border
owner: us
topic: orders
enter: {{segment: {segment}, crossing: {way}}}
again: always
steps: [{{wait: 3d}}, {{send: note, via: [email]}}]
"""
LEAVES = """
title: Let go of who complains
owner: us
topic: orders
enter: {event: Order Completed}
again: always
leave: [{segment: angry}]
steps: [{send: note, via: [email]}, {wait: 10d}, {send: note, id: again, via: [email]}]
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str | None:
    """SQLite in the shop's folder, or an empty PostgreSQL."""
    return None if request.param == "sqlite" else request.getfixturevalue("postgres")()


def world(folder: Path, *borders: tuple[str, str], leaves: bool = False, **more: Any) -> World:
    """A shop with a journey for each border."""
    journeys = {f"{name}_{way}": ENTERS.format(segment=name, way=way) for name, way in borders}
    found = World(folder / "shop", {**journeys, "audience": AUDIENCE, **({"leaves": LEAVES} if leaves else {})}, **more)
    found.tick()  # takes stock of nobody
    found.tick(SECOND)  # what happens at the very instant of publishing starts nothing
    return found


def told(world: World, name: str, *people: str, at: datetime | None = None, live: bool = True) -> Taken:
    """An event for each of these people."""
    with world.app.database.reading() as connection:
        rules = world.app.rules(connection)
    at = at or world.clock.now()
    events = [NewEvent(f"{name} {one} {at} {world.clock.now()}", one, name, at) for one in people]
    return record_events(world.app, rules, world.app.needs(rules), events, live)


def crossings(world: World) -> list[tuple[str, str, str, datetime]]:
    with world.app.database.reading() as connection:
        columns = customer.c.external_id, crossing.c.segment, crossing.c.direction, crossing.c.at
        both = crossing.join(customer, customer.c.id == crossing.c.customer_id)
        return [tuple(row) for row in connection.execute(select(*columns).select_from(both).order_by(crossing.c.id))]


def inside(world: World, segment: str) -> set[str]:
    query = "SELECT external_id FROM customer JOIN membership ON customer.id = customer_id WHERE segment = :segment"
    return {row.external_id for row in world.rows(query, segment=segment)}


def ways(world: World) -> list[tuple[str, str, bool]]:
    query = "SELECT external_id, journey, active FROM customer c JOIN enrollment e ON c.id = customer_id ORDER BY e.id"
    return [(row.external_id, row.journey, bool(row.active)) for row in world.rows(query)]


def ended(world: World, reason: str) -> list[datetime]:
    with world.app.database.reading() as connection:
        return list(connection.execute(select(enrollment.c.ended_at).where(enrollment.c.reason == reason)).scalars())


# --- soon, once, at its instant --------------------------------------------------------------------------------------


def test_an_order_that_makes_one_cross_is_noticed_at_the_next_beat_and_once(
    tmp_path: Path, database: str | None
) -> None:
    shop = world(tmp_path, ("keen", "in"), database=database)
    shop.people(3)
    told(shop, "Order Completed", "p0001", "p0002")
    shop.tick(2 * SECOND)
    assert crossings(shop) == []
    told(shop, "Order Completed", "p0001")
    at = shop.clock.now()
    shop.tick(2 * SECOND)
    assert crossings(shop) == [("p0001", "keen", "in", at)]
    assert ways(shop) == [("p0001", "keen_in", True)]
    for _ in range(3):
        shop.tick(2 * SECOND)
    shop.tick(HOUR)
    assert len(crossings(shop)) == len(ways(shop)) == 1
    shop.close()


def test_a_window_that_runs_out_is_noticed_at_the_next_beat_and_stamped_with_its_own_instant(
    tmp_path: Path, database: str | None
) -> None:
    shop = world(tmp_path, ("keen", "in"), ("keen", "out"), database=database)
    shop.people(2)
    told(shop, "Order Completed", "p0000", at=NOW - HOUR)
    told(shop, "Order Completed", "p0000", at=NOW - HOUR / 2)
    shop.tick(SECOND)
    shop.tick_at(NOW + 30 * DAY - HOUR - SECOND)
    assert [direction for _, _, direction, _ in crossings(shop)] == ["in"]
    shop.tick(2 * SECOND)
    assert crossings(shop)[1:] == [("p0000", "keen", "out", NOW + 30 * DAY - HOUR)]
    assert ways(shop)[-1] == ("p0000", "keen_out", True)
    shop.close()


def test_what_is_known_a_little_late_is_stamped_with_when_it_happened(tmp_path: Path) -> None:
    shop = world(tmp_path, ("keen", "in"))
    shop.people(1)
    shop.tick(HOUR)
    happened = shop.clock.now() - 10 * SECOND
    shop.tick(2 * SECOND)
    told(shop, "Order Completed", "p0000", at=happened)
    told(shop, "Order Completed", "p0000", at=happened - HOUR / 2)
    shop.tick(2 * SECOND)
    assert crossings(shop) == [("p0000", "keen", "in", happened)]
    shop.close()


def test_an_attribute_and_a_date_that_somebody_wrote_are_judged_too(tmp_path: Path, database: str | None) -> None:
    shop = world(tmp_path, ("gold", "in"), ("due", "in"), database=database)
    shop.people(2)
    shop.tick(SECOND)
    renewal = NOW + 3 * DAY + HOUR / 3
    shops.add_people(
        shop.app, [{"external_id": "p0000", "attributes": {"tier": "gold", "renewal": renewal.isoformat()}}]
    )
    shop.tick(SECOND)
    assert crossings(shop) == [("p0000", "gold", "in", shop.clock.now())]
    while shop.clock.now() < renewal + HOUR:
        shop.tick(HOUR)
    hair = timedelta(microseconds=1)
    assert crossings(shop)[1:] == [("p0000", "due", "in", renewal + hair)]  # written instants: at most an hour later
    shop.close()


def test_who_is_new_crosses_and_who_was_known_long_before_does_not(tmp_path: Path, database: str | None) -> None:
    shop = world(tmp_path, ("gold", "in"), ("lately", "out"), database=database)
    (folder := tmp_path / "files").mkdir()
    (folder / "people.csv").write_text(
        "id,email,tier,created_at\n"
        f"old,old@example.com,gold,{(NOW - 90 * DAY).isoformat()}\n"
        f"new,new@example.com,gold,{(NOW - HOUR).isoformat()}\n"
    )
    from engine.work.incoming.importing import import_people

    done = import_people(shop.app, folder / "people.csv")
    assert (done.new, done.refused) == (2, 0), done.problems
    shop.tick(SECOND)
    assert [(who, what, way) for who, what, way, _ in crossings(shop)] == [
        ("new", "gold", "in"),
        ("new", "lately", "in"),
    ]
    assert inside(shop, "gold") == {"old", "new"}
    shop.tick(7 * DAY)
    assert crossings(shop)[2:] == [("new", "lately", "out", NOW - HOUR + 7 * DAY)]
    shop.close()


# --- what is no crossing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("late", [False, True], ids=["import of a history", "events that came too late"])
def test_a_history_makes_nobody_cross_but_what_happens_then_does(
    tmp_path: Path, database: str | None, late: bool
) -> None:
    shop = world(tmp_path, ("keen", "in"), ("keen", "out"), database=database)
    shop.people(3)
    shop.tick(SECOND)
    for days in (4, 5):
        told(shop, "Order Completed", "p0000", "p0001", at=NOW - days * DAY, live=late)
    told(shop, "Order Completed", "p0002", at=NOW - DAY, live=late)
    told(shop, "Order Completed", "p0002")
    at = shop.clock.now()
    shop.tick(SECOND)
    assert inside(shop, "keen") == {"p0000", "p0001", "p0002"}
    assert crossings(shop) == [("p0002", "keen", "in", at)]
    shop.tick_at(NOW + 26 * DAY)
    assert [(who, way) for who, _, way, _ in crossings(shop)[1:]] == [("p0000", "out"), ("p0001", "out")]
    shop.close()


def test_an_edit_of_what_a_segment_means_is_no_crossing_and_leaves_those_inside_and_their_timers_alone(
    tmp_path: Path, database: str | None
) -> None:
    shop = world(tmp_path, ("keen", "in"), ("keen", "out"), database=database)
    shop.people(4)
    told(shop, "Order Completed", "p0000", "p0001", at=NOW - HOUR)
    told(shop, "Order Completed", "p0000")
    shop.tick(SECOND)
    before = shop.rows("SELECT id, step, due_at, active FROM enrollment")
    assert len(before) == 1
    for definition, expected in (
        ("at_least: 1", {"p0000", "p0001"}),
        ("at_least: 3", set()),
        ("at_least: 2", {"p0000"}),
    ):
        audience = shop.app.journeys_folder / "audience.yaml"
        audience.write_text(
            AUDIENCE.replace("keen: {orders_30d: {at_least: 2}}", f"keen: {{orders_30d: {{{definition}}}}}")
        )
        publish(shop.app, load_drafts(shop.app), [])
        shop.tick(SECOND)
        assert inside(shop, "keen") == expected
    assert len(crossings(shop)) == 1
    assert shop.rows("SELECT id, step, due_at, active FROM enrollment") == before
    told(shop, "Order Completed", "p0001")
    shop.tick(SECOND)
    assert [who for who, *_ in crossings(shop)] == ["p0000", "p0001"]
    shop.close()


def test_an_edit_of_something_else_takes_no_stock(tmp_path: Path) -> None:
    shop = world(tmp_path, ("keen", "in"))
    shop.people(1)
    told(shop, "Order Completed", "p0000", at=NOW - HOUR)
    told(shop, "Order Completed", "p0000")
    audience = shop.app.journeys_folder / "audience.yaml"
    audience.write_text(AUDIENCE.replace("gold: {tier: gold}", "gold: {tier: [gold, black]}\n  other: {tier: lead}"))
    publish(shop.app, load_drafts(shop.app), [])
    shop.tick(SECOND)
    assert [who for who, *_ in crossings(shop)] == ["p0000"]
    shop.close()


# --- a process that dies ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dies_at", [0, 1, 2, 3])
@pytest.mark.parametrize("where", ["set_members", "set_state"])
def test_whoever_crosses_does_so_once_wherever_a_process_dies(
    tmp_path: Path, dies_at: int, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "STOCK", 3)
    shop = world(tmp_path, ("keen", "in"))
    people = shop.people(11)
    shop.tick(SECOND)
    told(shop, "Order Completed", *people, at=NOW - HOUR)
    told(shop, "Order Completed", *people)
    real, calls = getattr(segments, where), []

    def dying(*given: Any) -> None:
        calls.append(given)
        if len(calls) == dies_at + 1:
            raise Died
        real(*given)

    monkeypatch.setattr(segments, where, dying)
    with suppress(Died):
        shop.tick(SECOND)
    monkeypatch.setattr(segments, where, real)
    again = shops.opened(shop.app.home, shop.clock)
    shop.app.close()
    shop.app = again
    shop.tick(SECOND)
    shop.tick(HOUR)
    assert sorted(who for who, *_ in crossings(shop)) == people
    assert sorted(who for who, *_ in ways(shop)) == people
    shop.close()


# --- what is written and asked ---------------------------------------------------------------------------------------

WATCHED = ("membership", "crossing", "segment_state", "customer", "enrollment")


def test_nothing_is_written_for_those_who_did_not_change(tmp_path: Path) -> None:
    shop = world(tmp_path, ("keen", "in"))
    people = shop.people(300)
    told(shop, "Order Completed", *people[:200], at=NOW - HOUR)
    told(shop, "Order Completed", *people[:100])
    shop.tick(SECOND)
    assert len(inside(shop, "keen")) == 100
    with shop.app.database.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE written (what TEXT)")
        for table in WATCHED:
            for way in ("INSERT", "UPDATE", "DELETE"):
                body = f"BEGIN INSERT INTO written VALUES ('{table}'); END"
                connection.exec_driver_sql(f"CREATE TRIGGER {table}_{way} AFTER {way} ON {table} {body}")

    def written() -> dict[str, int]:
        found = {row.what: row.n for row in shop.rows("SELECT what, count(*) AS n FROM written GROUP BY what")}
        with shop.app.database.writing() as connection:
            connection.exec_driver_sql("DELETE FROM written")
        return found

    shop.tick(SECOND)
    assert written() == {}
    shop.tick(HOUR)
    assert written() == {"segment_state": 1}  # that everything was looked at, once an hour
    told(shop, "Order Completed", *people[:10], *people[100:102])
    assert written() == {"customer": 12}  # their revisions, by the events themselves
    shop.tick(SECOND)
    found = written()
    assert found.pop("enrollment") >= 2
    assert found == {"membership": 2, "crossing": 2, "segment_state": 1}
    shop.close()


def test_the_number_of_statements_does_not_depend_on_how_many_cross(tmp_path: Path) -> None:
    def statements(count: int) -> int:
        shop = world(tmp_path / str(count), ("keen", "in"), ("gold", "in"), leaves=True)
        people = shop.people(count)
        told(shop, "Order Completed", *people, at=NOW - HOUR)
        told(shop, "Order Completed", *people)
        with shop.app.database.reading() as connection:
            rules = shop.app.rules(connection)
        before, done = shop.app.database.statements, judging.Entered()
        judging.judge_segments(shop.app, rules, shop.app.needs(rules), shop.clock.now(), done)
        assert done.crossed == count
        found = shop.app.database.statements - before
        shop.close()
        return found

    assert statements(20) == statements(400)


# --- leaving by a segment --------------------------------------------------------------------------------------------


def test_who_comes_into_the_segment_of_a_leave_rule_leaves_at_the_next_beat_as_of_the_crossing(
    tmp_path: Path, database: str | None
) -> None:
    shop = world(tmp_path, leaves=True, database=database)
    shop.people(2)
    shop.order("p0000", "p0001")
    shop.tick(SECOND)
    shop.tick(DAY)
    assert len(shop.email.handed) == 2
    told(shop, "Complaint Filed", "p0000")
    at = shop.clock.now()
    shop.tick(2 * SECOND)
    (gone, stays) = shop.rows("SELECT active, reason, due_at FROM enrollment ORDER BY id")
    assert (bool(gone.active), gone.reason) == (False, "left: segment angry")
    assert stays.active
    assert ended(shop, "left: segment angry") == [at]
    shop.tick_at(NOW + 10 * DAY + 5 * SECOND)
    assert len(shop.email.handed) == 3  # the one who stayed
    shop.close()


@pytest.mark.parametrize("rule", ["segment: angry", "event: Complaint Filed"])
def test_a_leave_rule_that_is_published_later_lets_go_of_those_who_are_inside_already(
    tmp_path: Path, rule: str
) -> None:
    shop = World(tmp_path / "shop", {"audience": AUDIENCE, "leaves": LEAVES.replace("leave: [{segment: angry}]\n", "")})
    shop.people(2)
    shop.tick(SECOND)
    shop.order("p0000", "p0001")
    shop.tick(SECOND)
    (shop.app.journeys_folder / "leaves.yaml").write_text(LEAVES.replace("segment: angry", rule))
    shops.publish_all(shop.app)
    told(shop, "Complaint Filed", "p0000")
    at = shop.clock.now()
    shop.tick(SECOND)
    assert ended(shop, f"left: {rule.removeprefix('event: ').replace(':', '')}") == [at]
    shop.close()


def test_a_message_that_waits_to_be_tried_again_is_taken_back_when_its_person_crosses(tmp_path: Path) -> None:
    shop = world(tmp_path, leaves=True)
    shop.people(1)
    shop.email.says = lambda _: Unavailable("busy", retry_after=600)
    shop.order("p0000")
    shop.tick(SECOND)
    told(shop, "Complaint Filed", "p0000")
    shop.tick(SECOND)
    assert shop.kinds()[-1] == "cancelled"
    handed = len(shop.email.handed)
    shop.tick(HOUR)
    assert len(shop.email.handed) == handed
    shop.close()


def test_time_alone_lets_go_of_people_where_they_stand(tmp_path: Path) -> None:
    leaves = LEAVES.replace("segment: angry", "segment: forgotten")
    audience = AUDIENCE + "  forgotten: {churn_stage: lost}\n"
    shop = World(tmp_path / "shop", {"audience": audience, "leaves": leaves.replace("wait: 10d", "wait: 60d")})
    shop.people(1)
    shop.tick(SECOND)
    shop.order("p0000")
    at = shop.clock.now()
    shop.tick(SECOND)
    shop.tick_at(at + 30 * DAY - SECOND)
    assert ways(shop) == [("p0000", "leaves", True)]
    shop.tick(2 * SECOND)
    assert ended(shop, "left: segment forgotten") == [at + 30 * DAY]
    shop.close()

"""Moving people on: nobody waits behind one whose data breaks, nothing learned meanwhile is lost, no row too many."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import shops
from sqlalchemy.exc import OperationalError
from stubs import JOURNEY, World

import engine.work.advance as advance_module
from engine.decide.decision import Decision
from engine.decide.state import CustomerState
from engine.store import customers, enrollments
from engine.store.work import CodeTaken
from engine.work.advance import advance
from engine.work.colleagues import tasks
from engine.work.incoming.intake import NewEvent, record_events
from engine.work.recovery import recover

MINUTE = timedelta(minutes=1)
CALL = """
title: A call after each order
owner: us
topic: orders
enter: {event: Order Completed}
again: {per: order_id}
leave: [{event: Order Cancelled}]
steps:
  - task: note
    queue: care
    due: 5d
    outcomes: {reached: [{send: note, via: [email]}], no_answer: []}
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "shop")
    yield made
    made.close()


def while_deciding(monkeypatch: pytest.MonkeyPatch, does: Any) -> None:
    """Let something happen between gathering and writing, once."""
    real, left = advance_module.decide, [does]

    def decide(state: CustomerState, *rest: Any) -> Decision:
        if left:
            left.pop()()
        return real(state, *rest)

    monkeypatch.setattr(advance_module, "decide", decide)


def one_chunk(world: World) -> Any:
    with world.app.database.reading() as connection:
        rules = world.app.rules(connection)
    return advance(world.app, rules, world.app.needs(rules), world.clock.now())


# --- one bad person --------------------------------------------------------------------------------------------------


def breaks_for(person: str, real: Any) -> Any:
    def decide(state: CustomerState, *rest: Any) -> Any:
        if state.person.external_id == person:
            raise ArithmeticError("their data")
        return real(state, *rest)

    return decide


def test_one_person_whose_data_breaks_a_rule_is_set_aside_after_three_times_and_stops_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.order(*world.people(30))
    monkeypatch.setattr(advance_module, "decide", breaks_for("p0007", advance_module.decide))
    beat = world.tick()
    assert beat.failed == 3
    assert len(world.email.handed) == 29
    with world.app.database.reading() as connection:
        (aside,) = enrollments.set_aside(connection)
    assert aside.reason == "ArithmeticError: their data"
    assert world.tick(timedelta(hours=1)).failed == 0
    monkeypatch.undo()
    assert "p0007" not in {person for person, _ in world.states()}


def test_who_is_set_aside_in_one_journey_goes_on_in_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    orders = JOURNEY.replace("topic: news", "topic: orders")
    world = World(tmp_path / "two", {"bad": orders, "good": orders})
    world.order(*world.people(3))
    real = advance_module.decide

    def decide(state: CustomerState, *rest: Any) -> Decision:
        if state.person.external_id == "p0001" and any(way.journey == "bad" for way in state.enrollments):
            raise ArithmeticError("their way")
        return real(state, *rest)

    monkeypatch.setattr(advance_module, "decide", decide)
    world.tick()
    world.order("p0001", number="2")
    world.tick()
    with world.app.database.reading() as connection:
        assert [row.journey for row in enrollments.set_aside(connection)] == ["bad", "bad"]
    assert len(world.email.handed) == 4 + 4 - 2
    world.close()


def test_nobody_stays_in_hand_once_a_chunk_is_written_or_has_failed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.order(*world.people(3))
    noted: list[str] = []

    def look() -> None:
        noted.extend([row.people for row in world.rows("SELECT people FROM chunk")])

    while_deciding(monkeypatch, look)
    one_chunk(world)
    assert noted == ["[1,2,3]"]
    look()
    assert noted == ["[1,2,3]"]
    world.order("p0001", number="2")
    monkeypatch.setattr(advance_module, "gather", database_fails)
    with pytest.raises(OperationalError):
        one_chunk(world)
    look()
    assert len(noted) == 1
    recover(world.app, world.clock.now())
    assert world.rows("SELECT sum(failures) FROM enrollment") == [(0,)]


def database_fails(*_: Any, **__: Any) -> Any:
    raise OperationalError("SELECT 1", None, Exception("disk I/O error"))


def test_a_row_that_cannot_even_be_read_is_found_by_halving_and_stops_nobody(world: World) -> None:
    world.order(*world.people(30))
    with world.app.database.writing() as connection:
        connection.exec_driver_sql("UPDATE customer SET zone = 'Nowhere/Land' WHERE external_id = 'p0007'")
    assert world.tick().failed == 3
    assert len(world.email.handed) == 29
    with world.app.database.reading() as connection:
        assert len(enrollments.set_aside(connection)) == 1


def test_one_row_that_cannot_be_written_is_found_by_halving_and_stops_nobody(world: World) -> None:
    world.order(*world.people(30))
    with world.app.database.writing() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER broken BEFORE INSERT ON message WHEN NEW.customer_id = 8 "
            "BEGIN SELECT RAISE(ABORT, 'broken'); END"
        )
    assert world.tick().failed == 3
    assert len(world.email.handed) == 29
    assert world.rows("SELECT count(*) FROM touch") == [(29,)]


def test_a_code_that_went_to_another_meanwhile_is_decided_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    real, times = advance_module.work.give, []

    def give(*args: Any) -> None:
        times.append(1)
        if len(times) == 1:
            raise CodeTaken
        real(*args)

    monkeypatch.setattr(advance_module.work, "give", give)
    world.order(*world.people(3))
    beat = world.tick()
    assert beat.failed == 0
    assert len(world.email.handed) == 3


def test_a_text_that_cannot_be_rendered_for_one_person_stops_nobody(world: World) -> None:
    template = world.app.home / "templates" / "note" / "email.en.html"
    template.write_text(
        "---\nsubject: A note\n---\n<p>{{ 10 / person.kids }} <a href='{{ links.unsubscribe }}'>x</a></p>"
    )
    world.close()
    world.app = shops.opened(world.app.home, world.clock)
    world.app.providers |= {"email": world.email, "sms": world.sms}
    world.people(3, attributes={"kids": 2})
    world.people(1, first=3, attributes={"kids": 0})
    world.order("p0000", "p0001", "p0002", "p0003")
    world.tick()
    assert len(world.email.handed) == 3
    assert world.states()["p0003", "email"] == "dead"
    assert world.states()["p0003", "sms"] == "accepted"
    assert "email.en" in world.rows("SELECT reason FROM message WHERE state = 'dead'")[0].reason


# --- what is learned while deciding ----------------------------------------------------------------------------------


def test_an_event_that_comes_while_someone_is_decided_makes_them_be_decided_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path / "shop", {"note": JOURNEY.replace("again:", "leave: [{event: Order Cancelled}]\nagain:")})
    people = world.people(5)
    world.order(*people)
    cancel = lambda: shops.happen(world.app, "c", "p0002", "Order Cancelled", {"order_id": "p0002-1"})  # noqa: E731
    world.clock.move_to(world.clock.now() + timedelta(seconds=1))
    while_deciding(monkeypatch, cancel)
    done = one_chunk(world)
    assert (done.people, done.again) == (4, 1)
    world.tick()
    assert "p0002" not in {person for person, _ in world.states()}
    assert world.rows("SELECT reason FROM enrollment WHERE reason LIKE 'left%'") == [("left: Order Cancelled",)]
    world.close()


def test_an_opt_out_that_comes_while_someone_is_decided_is_heard(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.order(*world.people(3))

    def stop() -> None:
        with world.app.database.writing() as connection:
            customers.record_consents(
                connection,
                [
                    {"customer_id": 2, "channel": "*", "topic": "*", "purpose": "", "granted": False,
                     "at": world.clock.now(), "source": "test", "wording": ""}
                ],
                world.clock.now(),
            )  # fmt: skip

    while_deciding(monkeypatch, stop)
    assert one_chunk(world).again == 1


def test_a_task_told_while_its_person_is_moved_wakes_them_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path / "shop", {"call": CALL})
    world.order(*world.people(1))
    world.tick()
    (task,) = world.rows("SELECT id FROM task")
    shops.happen(world.app, "view", "p0000", "Order Cancelled", {"order_id": "another"})
    while_deciding(monkeypatch, lambda: tasks.done(world.app, task.id, "reached", "lin"))
    one_chunk(world)
    world.tick()
    assert len(world.email.handed) == 1
    world.close()


def test_a_version_published_while_a_beat_runs_is_no_reason_to_set_anybody_aside(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two commands beside a running beat: one publishes another version, one brings an order that enters it."""
    world.order(*world.people(2))

    def publish() -> None:
        source = world.app.home / "journeys" / "note.yaml"
        source.write_text(JOURNEY.replace("steps:", "ends_after: 7d\nsteps:"))
        command = shops.opened(world.app.home, world.clock)
        shops.publish_all(command)
        shops.happen(command, "o-new", "p0001", "Order Completed", {"order_id": "new"})
        command.close()

    while_deciding(monkeypatch, publish)
    beat = world.tick()
    assert beat.failed == 0
    versions = world.rows("SELECT v.number FROM enrollment e JOIN journey_version v ON v.id = e.version_id")
    assert {row.number for row in versions} == {1, 2}
    assert world.rows("SELECT sum(failures) FROM enrollment") == [(0,)]


def test_many_at_once_tell_one_task_and_the_first_word_holds(tmp_path: Path) -> None:
    world = World(tmp_path / "shop", {"call": CALL})
    world.order(*world.people(1))
    world.tick()
    said: list[bool] = []
    words = ["reached", "no_answer"] * 4
    threads = [threading.Thread(target=lambda w=w: said.append(tasks.done(world.app, 1, w, "x"))) for w in words]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == [False] * 7 + [True]
    world.close()


def test_many_at_once_bring_the_same_event_and_it_starts_one_way(world: World) -> None:
    world.people(1)
    taken: list[Any] = []

    def bring() -> None:
        with world.app.database.reading() as connection:
            rules = world.app.rules(connection)
        event = NewEvent("same", "p0000", "Order Completed", world.clock.now(), {"order_id": "1"})
        taken.append(record_events(world.app, rules, world.app.needs(rules), [event]))

    threads = [threading.Thread(target=bring) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted((one.recorded, one.repeated, one.entered) for one in taken) == [(0, 1, 0)] * 5 + [(1, 0, 1)]


# --- the number of statements ----------------------------------------------------------------------------------------

WAVE = """
title: A wave
owner: us
topic: news
enter: {every: day, at: "12:00", zone: person, segment: everyone}
again: always
steps: [{send: note, via: [email]}]
"""


def statements(folder: Path, count: int) -> dict[str, int]:
    """How many statements each part of the work takes for so many people at once."""
    from engine.work.entering.pages import enter_page
    from engine.work.entering.segments import judge_segments
    from engine.work.entering.waves import Entered, plan_waves
    from engine.work.sending.dispatch import dispatch
    from engine.work.tick import tick

    world = World(folder, {"note": JOURNEY, "wave": WAVE})
    world.email.features = type(world.email.features)(in_flight=500)
    people = world.people(count)
    with world.app.database.reading() as connection:
        rules = world.app.rules(connection)
    needs = world.app.needs(rules)
    app, found = world.app, {}

    def measured(name: str, work: Any) -> None:
        before = app.database.statements
        work()
        found[name] = app.database.statements - before

    def bring() -> None:
        now = world.clock.now()
        events = [NewEvent(f"o-{p}", p, "Order Completed", now, {"order_id": p}) for p in people]
        assert record_events(app, rules, needs, events).entered == count

    def decide() -> None:
        done = advance(app, rules, needs, world.clock.now())
        assert done is not None
        assert (done.people, done.queued) == (count, count)

    measured("intake", bring)
    measured("advance", decide)
    measured("dispatch", lambda: dispatch(app, rules))
    assert len(world.email.handed) == count
    tick(app)
    world.clock.move_to(world.clock.now() + timedelta(days=1, hours=1))  # 11:00
    tick(app)
    world.clock.move_to(world.clock.now() + timedelta(hours=1))

    def enter() -> None:
        now, done = world.clock.now(), Entered()
        plan_waves(app, rules, now, done)
        judge_segments(app, rules, needs, now, done)
        while enter_page(app, rules, needs, now, done) is not None:
            pass
        assert done.entered == count

    measured("enroll", enter)
    assert world.rows("SELECT max(entered) FROM run") == [(count,)]
    world.close()
    return found


def test_the_number_of_statements_does_not_depend_on_the_number_of_people(tmp_path: Path) -> None:
    few, many = statements(tmp_path / "few", 50), statements(tmp_path / "many", 500)
    assert few == many
    assert sum(many.values()) < 170


def test_refusals_and_quiet_hours_take_no_statement_more_for_more_people(tmp_path: Path) -> None:
    from channels.contract import FailureReason
    from channels.errors import Rejected
    from engine.work.sending.dispatch import dispatch

    def count(folder: Path, people: int) -> list[int]:
        world = World(folder, {"note": JOURNEY.replace("[email, sms]", "[sms]")})
        world.sms.features = type(world.sms.features)(in_flight=500)
        world.sms.says = lambda _: Rejected("gone", reason=FailureReason.address_unknown)
        with world.app.database.reading() as connection:
            rules = world.app.rules(connection)
        found = []
        for part, wait in enumerate((timedelta(0), timedelta(hours=11))):  # the second at 21:00, in quiet hours
            world.order(*world.people(people, first=part * people))
            one_chunk(world)
            world.clock.move_to(world.clock.now() + wait)
            before = world.app.database.statements
            dispatch(world.app, rules)
            found.append(world.app.database.statements - before)
        kinds = world.rows("SELECT kind, count(*) FROM delivery GROUP BY kind ORDER BY kind")
        assert {row[1] for row in kinds} == {people}, kinds
        assert world.rows("SELECT count(*) FROM suppression") == [(people,)]
        world.close()
        return found

    assert count(tmp_path / "few", 20) == count(tmp_path / "many", 200)

"""A person's word about messages and ways that wait for one: it is kept, and nothing goes twice because of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import shops
from stubs import JOURNEY, World, die

import engine.work.advance as advance_module
from channels.contract import Answer, Outgoing
from channels.errors import Rejected, Unavailable, Uncertain
from engine.decide.outcome import DeliveryKind
from engine.errors import Refused
from engine.learn.explain import explain
from engine.message.links import Token
from engine.store import deliveries, enrollments, journeys, messages, open_ends
from engine.work.colleagues import aside, closing
from engine.work.incoming.respond import unsubscribe
from engine.work.recovery import recover
from engine.work.sending.after_death import DEATHS

HOUR = timedelta(hours=1)
CARELESS = JOURNEY.replace("topic: news", "topic: orders")  # without caps


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "shop")
    yield made
    made.close()


def doubtful(_: Outgoing) -> Answer:
    return Uncertain("no answer after the last byte")


def number_of(world: World, person: str = "p0000") -> int:
    found = world.rows(
        "SELECT m.id FROM message m JOIN customer c ON c.id = m.customer_id WHERE c.external_id = :p ORDER BY m.id",
        p=person,
    )
    return int(found[0].id)


def an_unknown(world: World, person: str = "p0000") -> int:
    """One message of which nobody knows whether it arrived."""
    world.email.says = doubtful
    world.order(*world.people(1))
    world.tick()
    world.email.says = type(world.email)("email").says
    assert world.states()[person, "email"] == "unknown"
    return number_of(world, person)


def a_dead(world: World) -> int:
    """One message during which the process died three times."""
    world.email.features = type(world.email.features)(dedupe_by="key", in_flight=8)
    world.order(*world.people(1))
    for _ in range(DEATHS):
        die(world)
        recover(world.app, world.clock.now())
    assert world.states()["p0000", "email"] == "dead"
    world.email.handed.clear()
    return number_of(world)


def told(world: World, number: int) -> str:
    """What explain says of a message."""
    found = explain(world.app, "p0000").stories[0].ways[0].messages
    one = next(message for message in found if message.id == number)
    return f"{one.state}: {one.reason}\n" + "\n".join(one.happened)


# --- unknown ---------------------------------------------------------------------------------------------------------


def test_an_unknown_that_was_accepted_is_closed_with_the_reason_and_nothing_is_sent(world: World) -> None:
    number = an_unknown(world)
    (closed,) = closing.close(world.app, [number], True, "mei", "the log of the provider")
    assert (closed.done, closed.state) == (True, "accepted")
    world.tick(HOUR)
    assert len(world.email.handed) == 1
    assert "accepted: mei says that it was accepted: the log of the provider" in told(world, number)
    assert "unknown no answer after the last byte" in told(world, number), "what happened before is kept"


def test_an_unknown_that_was_not_accepted_is_closed_and_not_sent_by_itself(world: World) -> None:
    number = an_unknown(world)
    world.tick()
    (closed,) = closing.close(world.app, [number], False, "mei", "they never saw it")
    assert (closed.done, closed.state) == (True, "dropped")
    for hours in range(6):
        world.tick(hours * HOUR)
    assert (len(world.email.handed), world.sms.handed) == (1, [])
    assert "dropped: mei says that it was not accepted: they never saw it" in told(world, number)


def test_who_asks_for_it_in_so_many_words_gets_it_sent_once_more_with_the_same_key(world: World) -> None:
    number = an_unknown(world)
    world.tick()
    closing.close(world.app, [number], False, "mei", "they never saw it")
    (again,) = closing.retry(world.app, [number], "mei")
    assert (again.done, again.state) == (True, "retry")
    assert [one.done for one in closing.retry(world.app, [number], "jonas")] == [False], "it is on its way already"
    world.tick()
    world.tick(HOUR)
    assert [one.key for one in world.email.handed] == [world.email.handed[0].key] * 2
    assert world.states()["p0000", "email"] == "accepted"


def test_an_unknown_cannot_be_tried_again_before_somebody_has_found_out(world: World) -> None:
    number = an_unknown(world)
    for word in (closing.retry, closing.drop):
        (one,) = word(world.app, [number], "mei", "hurry")
        assert (one.done, one.state) == (False, "unknown")
    world.tick(HOUR)
    assert len(world.email.handed) == 1


def test_only_what_is_unknown_is_closed_and_numbers_nobody_knows_change_nothing(world: World) -> None:
    number = an_unknown(world)
    with pytest.raises(Refused, match="there is no message 999; nothing was changed"):
        closing.close(world.app, [number, 999], True, "mei", "r")
    assert world.states()["p0000", "email"] == "unknown"
    first, second = (closing.close(world.app, [number, number], True, "mei", "r") for _ in range(2))
    assert [one.done for one in first] == [True]
    assert [(one.done, one.sentence) for one in second] == [(False, "it is accepted, not unknown")]


def test_proof_outweighs_what_a_person_said(world: World) -> None:
    number = an_unknown(world)
    closing.close(world.app, [number], False, "mei", "they never saw it")
    report = deliveries.Happening(number, 1, DeliveryKind.delivered, world.clock.now(), 1)
    with world.app.database.writing() as connection:
        deliveries.append(connection, [report])
    assert world.states()["p0000", "email"] == "delivered"
    assert [one.done for one in closing.retry(world.app, [number], "mei")] == [False]


def test_a_place_that_was_freed_by_the_word_counts_again_when_it_is_tried_again(world: World) -> None:
    """Closed as not accepted, its place under the cap goes to another; then it cannot go as well."""
    number = an_unknown(world)
    world.tick()
    closing.close(world.app, [number], False, "mei", "they never saw it")
    world.clock.move_to(world.clock.now() + 2 * HOUR)
    world.order("p0000", number="2")
    world.tick()
    assert len(world.email.handed) == 2
    (one,) = closing.retry(world.app, [number], "mei")
    assert not one.done
    assert "the cap 1 per day is full" in one.sentence


# --- dead ------------------------------------------------------------------------------------------------------------


def test_a_dead_message_is_tried_again_alone_and_starts_counting_deaths_anew(world: World) -> None:
    number = a_dead(world)
    assert closing.retry(world.app, [number], "mei", "the provider is mended")[0].done
    die(world)
    assert recover(world.app, world.clock.now()).retry == 1, "one death, not four"
    world.tick()
    assert world.states()["p0000", "email"] == "accepted"
    assert "mei tries it again: the provider is mended" in told(world, number)


def test_a_dead_message_is_dropped_and_stays_so(world: World) -> None:
    number = a_dead(world)
    (one,) = closing.drop(world.app, [number], "mei", "too late for it")
    assert (one.done, one.state) == (True, "dropped")
    world.tick(HOUR)
    assert world.email.handed == []
    with world.app.database.reading() as connection:
        assert open_ends.count(connection, DeliveryKind.dead) == 0
        listed = messages.listed(connection, None, None, "dropped", 10)
    assert [(row["id"], row["reason"]) for row in listed] == [(number, "mei drops it: too late for it")]


def test_a_dead_message_is_never_tried_after_its_time(world: World) -> None:
    number = a_dead(world)
    world.clock.move_to(world.clock.now() + 7 * HOUR)
    (one,) = closing.retry(world.app, [number], "mei")
    assert (one.done, one.state) == (False, "dead")
    assert "it had to leave by" in one.sentence


def test_what_is_tried_again_is_asked_every_rule_of_sending(world: World) -> None:
    number = a_dead(world)
    unsubscribe(world.app, Token(1, number, topic="news"))
    (one,) = closing.retry(world.app, [number], "mei")
    assert not one.done
    assert "opted out" in one.sentence


def test_what_is_tried_again_waits_for_its_journey_and_is_taken_back_by_no(world: World) -> None:
    number = a_dead(world)
    with world.app.database.writing() as connection:
        journeys.pause(connection, ["note"], "mei", world.clock.now())
    assert closing.retry(world.app, [number], "mei")[0].done
    world.tick()
    assert world.email.handed == []
    with world.app.database.writing() as connection:
        journeys.resume(connection, ["note"])
    unsubscribe(world.app, Token(1, number, topic="news"))
    world.tick(HOUR)
    assert world.email.handed == []


def test_what_went_by_another_channel_in_its_place_is_not_sent_by_the_first_one_too(tmp_path: Path) -> None:
    world = World(tmp_path / "careless", {"note": CARELESS})
    number = a_dead(world)
    world.tick()
    assert len(world.sms.handed) == 1
    (one,) = closing.retry(world.app, [number], "mei")
    assert "by sms went in its place (accepted)" in one.sentence
    world.close()


def test_a_message_that_could_never_be_written_can_only_be_dropped(world: World) -> None:
    text = world.app.home / "templates" / "note" / "email.en.html"
    text.write_text(text.read_text().replace("A note", "A note to {{ 1 // 0 }}"))
    again = shops.opened(world.app.home, world.clock)
    world.app.texts = again.texts
    again.close()
    world.order(*world.people(1))
    world.tick()
    number = number_of(world)
    assert world.states()["p0000", "email"] == "dead"
    with world.app.database.reading() as connection:
        assert open_ends.count(connection, DeliveryKind.dead) == 1
    assert "no text" in closing.retry(world.app, [number], "mei")[0].sentence
    assert closing.drop(world.app, [number], "mei", "mended")[0].done
    with world.app.database.reading() as connection:
        assert open_ends.count(connection, DeliveryKind.dead) == 0
    assert world.states()["p0000", "email"] == "dropped"


def test_a_refusal_for_now_after_a_second_try_is_tried_again_and_a_proof_against_it_ends_it(world: World) -> None:
    number = a_dead(world)
    world.email.says = lambda _: Unavailable("not now")
    closing.retry(world.app, [number], "mei")
    world.tick()
    world.email.says = lambda _: Rejected("no such box")
    world.tick(HOUR)
    assert world.states() == {("p0000", "email"): "rejected", ("p0000", "sms"): "accepted"}


# --- ways that were set aside ----------------------------------------------------------------------------------------


@pytest.fixture
def put_aside(world: World, monkeypatch: pytest.MonkeyPatch) -> int:
    """The way of p0001, whose data breaks a rule."""
    real = advance_module.decide

    def decide(state: Any, *rest: Any) -> Any:
        if state.person.external_id == "p0001":
            raise ArithmeticError("their data")
        return real(state, *rest)

    world.order(*world.people(3))
    with monkeypatch.context() as patched:
        patched.setattr(advance_module, "decide", decide)
        world.tick()
    with world.app.database.reading() as connection:
        (way,) = enrollments.set_aside(connection)
    return int(way.id)


def test_who_is_brought_back_after_it_was_mended_goes_on_where_they_stood(world: World, put_aside: int) -> None:
    world.tick(HOUR)
    assert len(world.email.handed) == 2, "nobody brought them back"
    (one,) = aside.retry(world.app, [put_aside], "mei", "their row is mended")
    assert one.done
    world.tick()
    assert world.states()["p0001", "email"] == "accepted"
    (way,) = explain(world.app, "p0001").stories[0].ways
    assert any(
        line.sentence == "mei brings it back: their row is mended (it was set aside: ArithmeticError: their data)"
        for line in way.lines
    )
    assert [one.sentence for one in aside.retry(world.app, [put_aside], "mei")] == ["it is not set aside"]


def test_who_fails_again_is_set_aside_again_at_once(
    world: World, put_aside: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decide(*_: Any) -> Any:
        raise ArithmeticError("still their data")

    monkeypatch.setattr(advance_module, "decide", decide)
    aside.retry(world.app, [put_aside], "mei")
    assert world.tick().failed == 1
    (way,) = explain(world.app, "p0001").stories[0].ways
    assert (way.set_aside, way.reason) == (True, "ArithmeticError: still their data")


def test_a_way_that_is_dropped_ends_there_with_what_it_had_not_sent(world: World, put_aside: int) -> None:
    (one,) = aside.drop(world.app, [put_aside], "mei", "they have moved away")
    assert one.done
    world.tick(HOUR)
    assert len(world.email.handed) == 2
    (way,) = explain(world.app, "p0001").stories[0].ways
    assert (way.active, way.reason, way.set_aside) == (False, "dropped", False)
    assert way.lines[-1].sentence.startswith("mei ends it: they have moved away")
    with pytest.raises(Refused, match="there is no way 99"):
        aside.drop(world.app, [99], "mei", "r")


def test_a_way_that_is_dropped_takes_back_what_waits_to_leave(world: World, put_aside: int) -> None:
    with world.app.database.writing() as connection:
        journeys.pause(connection, ["note"], "mei", world.clock.now())
    world.order("p0002", number="2")
    number = number_of(world, "p0002")
    with world.app.database.writing() as connection:
        row = messages.of_ids(connection, [number])[number]
        connection.exec_driver_sql(f"DELETE FROM delivery WHERE message_id = {number}")
        connection.exec_driver_sql(f"UPDATE enrollment SET active = 1, failures = 3 WHERE id = {row.enrollment_id}")
    assert aside.drop(world.app, [row.enrollment_id], "mei", "r")[0].done
    assert world.kinds("p0002") == [DeliveryKind.cancelled.value]

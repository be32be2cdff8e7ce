"""Calls through the real rooms, on both databases: opened when allowed, a touch like others, called off in time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import shops
from servers import Fresh
from servers import postgres as postgres
from stubs import CONFIG, World

from engine.errors import Refused
from engine.learn.explain import explain
from engine.learn.report import report
from engine.message.links import Token
from engine.simulate.answers import Answers, Responder
from engine.simulate.preview import preview
from engine.simulate.run import run
from engine.store import customers
from engine.work.colleagues import tasks
from engine.work.incoming.importing import import_people
from engine.work.incoming.respond import unsubscribe

HEAD = """
title: A plan
owner: us
topic: news
enter: {event: Order Completed}
again: {per: order_id}
steps:
"""
CALL = """
  - task: note
    queue: care
    call: true
    due: 24h
    outcomes:
      reached: [{exit: spoken}]
      unreachable: [{exit: not_to_be_called}]
      capped: [{exit: enough_said}]
      late: [{exit: too_late}]
      overdue: [{exit: nobody_called}]
"""
MESSAGE = "  - {send: note, via: [email], give_up_after: 2h}\n"
Shop = Callable[..., World]
MORNING = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)  # ten in Berlin


@pytest.fixture(params=["sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    """Makes a shop of these journeys, in a database of each kind."""
    made: list[World] = []

    def make(config: str = CONFIG, **journeys: str) -> World:
        more: dict[str, Any] = {}
        if request.param == "postgresql":
            fresh: Fresh = request.getfixturevalue("postgres")
            more["database"] = fresh(tables=True)
        made.append(World(tmp_path / f"shop{len(made)}", journeys, config, **more))
        return made[-1]

    yield make
    for world in made:
        world.close()


def agreed(world: World, *people: str, granted: bool = True) -> None:
    """They said whether they may be called up about news."""
    now = world.clock.now()
    word = {"channel": "call", "topic": "news", "purpose": "marketing", "granted": granted, "source": "test"}
    with world.app.database.writing() as connection:
        ids = customers.ids_of(connection, people)
        rows = [{**word, "customer_id": number, "at": now, "wording": ""} for number in ids.values()]
        customers.record_consents(connection, rows, now)


def called(shop: Shop, steps: str = CALL, config: str = CONFIG) -> World:
    """A shop in which one may call p0000, who has just ordered."""
    world = shop(config, plan=HEAD + steps)
    world.people(1)
    agreed(world, "p0000")
    world.order("p0000")
    world.tick()
    return world


def task_rows(world: World) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in world.rows("SELECT outcome, assignee FROM task ORDER BY id")]


def ended(world: World) -> str | None:
    (story,) = explain(world.app, "p0000", "plan").stories
    return story.ways[-1].reason


def told(world: World) -> list[str]:
    (story,) = explain(world.app, "p0000", "plan").stories
    return [line.sentence for line in story.ways[-1].lines]


def test_a_call_that_was_taken_and_told_moves_on_and_is_counted_as_sent(shop: Shop) -> None:
    world = called(shop)
    with pytest.raises(Refused, match="take it first"):
        tasks.done(world.app, 1, "reached", "lin")
    tasks.take(world.app, 1, "lin")
    assert tasks.done(world.app, 1, "reached", "lin")
    world.tick()
    assert ended(world) == "spoken"
    said = report(world.app, "plan")
    assert (said.sent, said.tasks) == ({"call": 1}, {"note": {"reached": 1}})
    assert world.email.handed == []


def test_who_has_not_agreed_to_calls_is_not_called_and_the_ledger_says_why(shop: Shop) -> None:
    world = shop(plan=HEAD + CALL)
    world.people(1)
    world.order("p0000")
    world.tick()
    assert task_rows(world) == []
    assert ended(world) == "not_to_be_called"
    assert "no note: no consent to news by call" in told(world)
    (row,) = world.rows("SELECT channel, message, state, rule FROM message")
    assert tuple(row) == ("call", "note", "suppressed", "no_consent")


def test_who_has_no_number_is_not_called(shop: Shop) -> None:
    world = shop(plan=HEAD + CALL)
    world.people(1, channels=("email",))
    agreed(world, "p0000")
    world.order("p0000")
    world.tick()
    assert (task_rows(world), ended(world)) == ([], "not_to_be_called")


def test_a_number_on_the_suppression_list_is_not_called(shop: Shop) -> None:
    world = shop(plan=HEAD + CALL)
    world.people(1)
    agreed(world, "p0000")
    with world.app.database.writing() as connection:
        number = world.app.address_hash("sms", "+491700000000")
        customers.suppress(connection, {number: {"channel": "sms", "reason": "asked", "at": world.clock.now()}})
    world.order("p0000")
    world.tick()
    assert (task_rows(world), ended(world)) == ([], "not_to_be_called")


def test_a_call_is_opened_when_the_persons_quiet_hours_are_over(shop: Shop) -> None:
    world = shop(plan=HEAD + CALL)
    world.people(1)
    agreed(world, "p0000")
    world.clock.move_to(MORNING + timedelta(hours=12))  # ten at night in Berlin; quiet hours of calls are unwritten
    world.order("p0000")
    world.tick()
    assert task_rows(world) == []
    assert "held until 2026-11-25 08:00 Europe/Berlin: quiet hours of call" in told(world)
    world.tick_at(MORNING + timedelta(hours=21, minutes=59))
    assert task_rows(world) == []
    world.tick_at(MORNING + timedelta(hours=22))
    assert task_rows(world) == [(None, None)]


def test_a_call_that_cannot_be_opened_in_time_is_late(shop: Shop) -> None:
    world = shop(plan=HEAD + CALL.replace("    due: 24h\n", "    due: 24h\n    give_up_after: 3h\n"))
    world.people(1)
    agreed(world, "p0000")
    world.clock.move_to(MORNING + timedelta(hours=12))
    world.order("p0000")
    world.tick()
    assert (task_rows(world), ended(world)) == ([], "too_late")


def test_nobody_calls_at_night_though_the_task_was_opened_by_day(shop: Shop) -> None:
    world = called(shop)
    world.clock.move_to(MORNING + timedelta(hours=13))
    with pytest.raises(tasks.NotNow, match="held until 2026-11-25 08:00") as refused:
        tasks.take(world.app, 1, "lin")
    assert task_rows(world) == [(None, None)]
    world.clock.move_to(refused.value.until)
    tasks.take(world.app, 1, "lin")
    assert task_rows(world) == [(None, "lin")]


def test_an_open_call_fills_the_cap_of_a_message_and_a_message_that_of_a_call(shop: Shop) -> None:
    world = shop(plan=HEAD + CALL, other=HEAD + MESSAGE)
    world.people(1)
    agreed(world, "p0000")
    world.order("p0000")
    world.tick()
    states = {row.channel: (row.state, row.rule) for row in world.rows("SELECT channel, state, rule FROM message")}
    assert sorted(states.values()) == [("queued", None), ("suppressed", "capped")]
    assert len(world.email.handed) + len(task_rows(world)) == 1


def test_a_call_after_a_message_of_the_day_is_capped(shop: Shop) -> None:
    world = called(shop, MESSAGE + "  - wait: 2h\n" + CALL)
    world.tick(timedelta(hours=2))
    assert (task_rows(world), ended(world)) == ([], "enough_said")
    assert any(line.startswith("no note: the cap 1 per day is full") for line in told(world))


def test_a_call_fills_a_cap_of_calls(shop: Shop) -> None:
    config = CONFIG.replace("caps: [{at_most: 1, per: day}", "caps: [{at_most: 1, per: week, channel: call}")
    world = called(shop, CALL.replace("reached: [{exit: spoken}]", "reached: []"), config)
    tasks.take(world.app, 1, "lin")
    tasks.done(world.app, 1, "reached", "lin")
    world.tick(timedelta(days=1))
    world.order("p0000", number="2")
    world.tick()
    assert len(task_rows(world)) == 1
    assert ended(world) == "enough_said"


def test_something_more_important_takes_the_place_of_a_call_nobody_has_taken(shop: Shop) -> None:
    important = HEAD.replace("Order Completed", "Parcel Lost").replace("{per: order_id}", "always")
    world = shop(plan=HEAD + CALL, other="priority: 90" + important + MESSAGE)
    world.people(1)
    agreed(world, "p0000")
    world.order("p0000")
    world.tick()
    shops.happen(world.app, "lost", "p0000", "Parcel Lost")
    world.tick(timedelta(hours=2))
    assert len(world.email.handed) == 1
    assert (task_rows(world), ended(world)) == ([("capped", None)], "enough_said")


def test_a_call_somebody_has_taken_gives_its_place_to_nothing(shop: Shop) -> None:
    important = HEAD.replace("Order Completed", "Parcel Lost").replace("{per: order_id}", "always")
    world = shop(plan=HEAD + CALL, other="priority: 90" + important + MESSAGE)
    world.people(1)
    agreed(world, "p0000")
    world.order("p0000")
    world.tick()
    tasks.take(world.app, 1, "lin")
    shops.happen(world.app, "lost", "p0000", "Parcel Lost")
    world.tick(timedelta(hours=2))
    assert world.email.handed == []
    assert task_rows(world) == [(None, "lin")]


def test_an_unsubscribe_closes_an_open_call_at_the_next_beat(shop: Shop) -> None:
    world = called(shop)
    (customer,) = world.rows("SELECT id FROM customer")
    unsubscribe(world.app, Token(customer.id, 0, topic="news"))
    world.tick()
    assert (task_rows(world), ended(world)) == ([("unreachable", None)], "not_to_be_called")
    assert any(line.startswith("note is called off: opted out of news by call") for line in told(world))
    assert world.kinds() == ["cancelled"]


def test_a_no_that_is_imported_closes_an_open_call_at_the_next_beat(shop: Shop, tmp_path: Path) -> None:
    world = called(shop)
    file = tmp_path / "people.csv"
    file.write_text("id,consent.call.news\np0000,no\n")
    import_people(world.app, file)
    world.tick()
    assert (task_rows(world), ended(world)) == ([("unreachable", None)], "not_to_be_called")


def test_a_no_no_beat_has_seen_yet_is_told_to_whoever_takes_the_call(shop: Shop) -> None:
    world = called(shop)
    agreed(world, "p0000", granted=False)
    with pytest.raises(Refused, match="task 1 is called off: opted out of news by call"):
        tasks.take(world.app, 1, "lin")
    assert task_rows(world) == [("unreachable", None)]
    world.tick()
    assert ended(world) == "not_to_be_called"


def test_a_call_nobody_takes_is_overdue_and_its_place_free_again(shop: Shop) -> None:
    world = called(shop)
    world.tick(timedelta(hours=24))
    assert (task_rows(world), ended(world)) == ([("overdue", None)], "nobody_called")
    assert world.kinds() == ["cancelled"]
    assert report(world.app, "plan").sent == {}


def test_a_call_nobody_took_fills_no_cap_of_what_comes_after(shop: Shop) -> None:
    after = CALL.replace("overdue: [{exit: nobody_called}]", "overdue: [{send: note, via: [email]}]")
    config = CONFIG.replace("caps: [{at_most: 1, per: day}", "caps: [{at_most: 1, per: 7d}")
    world = called(shop, after, config)
    world.tick(timedelta(hours=24))
    world.tick()
    assert len(world.email.handed) == 1


def test_an_unsubscribe_is_a_no_to_calls_of_who_never_spoke_of_them(shop: Shop) -> None:
    world = shop(plan=HEAD + CALL)
    world.people(1)
    (customer,) = world.rows("SELECT id FROM customer")
    unsubscribe(world.app, Token(customer.id, 0, topic="news"))
    said = world.rows("SELECT channel FROM consent WHERE NOT granted ORDER BY channel")
    assert "call" in [row.channel for row in said]


def test_a_call_that_was_taken_counts_though_nobody_told_its_outcome(shop: Shop) -> None:
    world = called(shop)
    tasks.take(world.app, 1, "lin")
    world.tick(timedelta(hours=24))
    assert ended(world) == "nobody_called"
    assert report(world.app, "plan").sent == {"call": 1}


def test_who_leaves_is_not_called_any_more(shop: Shop) -> None:
    world = shop(plan=HEAD.replace("steps:", "leave: [{event: Order Refunded}]\nsteps:") + CALL)
    world.people(1)
    agreed(world, "p0000")
    world.order("p0000")
    world.tick()
    world.clock.move_to(MORNING + timedelta(hours=1))
    shops.happen(world.app, "back", "p0000", "Order Refunded", {"order_id": "p0000-1"})
    world.tick()
    assert task_rows(world) == [("cancelled", None)]
    assert world.kinds() == ["cancelled"]
    with pytest.raises(Refused, match="closed"):
        tasks.take(world.app, 1, "lin")


def test_a_simulation_calls_when_it_may_and_lets_no_click_answer_a_call(shop: Shop) -> None:
    world = shop(plan=HEAD + CALL)
    world.people(1)
    agreed(world, "p0000")
    world.clock.move_to(MORNING + timedelta(hours=9))  # seven in the evening; the colleague would call at ten
    world.order("p0000")
    said = {"tasks": {"note": {"after": "3h", "reached": "100%"}}, "messages": {"clicked": "100%", "opened": "100%"}}
    responder = Responder(Answers.model_validate(said))
    run(world.app, MORNING + timedelta(days=4), responder)
    (row,) = world.rows("SELECT outcome, taken_at FROM task")
    assert row.outcome == "reached"
    assert ended(world) == "spoken"
    begun = world.rows("SELECT at FROM delivery WHERE kind = 'begun'")
    assert [str(one.at)[:16] for one in begun] == ["2026-11-25 07:00"]
    assert world.rows("SELECT id FROM event WHERE name LIKE 'Message%'") == []


def test_the_preview_opens_a_call_when_it_may_be_made(shop: Shop) -> None:
    world = shop(plan=HEAD + CALL)
    world.people(1)
    agreed(world, "p0000")
    with world.app.database.reading() as connection:
        rules = world.app.rules(connection)
    version = rules.live["plan"]
    night = MORNING + timedelta(hours=12)
    (walk,) = preview(world.app, rules.graphs[version], rules, version, ["p0000"], 1, night)
    first = walk.stops[0]
    assert first.when == MORNING + timedelta(hours=22)
    assert first.sentence.startswith(
        "held until 2026-11-25 08:00 Europe/Berlin: quiet hours of call; note for care, due"
    )
    world.people(1, first=1)
    (walk,) = preview(world.app, rules.graphs[version], rules, version, ["p0001"], 1, MORNING)
    assert walk.stops[0].sentence == "no note: no consent to news by call"
    assert next(one for one in walk.stops if one.on_their_way and one.step != walk.stops[0].step).by.endswith(
        "unreachable"
    )

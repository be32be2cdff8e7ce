"""Delivery at least once: asked for by name, for what belongs to a contract; for everything else doubt ends it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import shops
from stubs import CONFIG, JOURNEY, World, die

from channels.contract import Answer, Features, Outgoing, Sent, content_to_json
from channels.errors import FailureReason, Rejected, Unavailable, Uncertain
from engine.settings import load_settings
from engine.store import customers, lanes
from engine.work.recovery import recover

SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
ASKED = CONFIG.replace("purpose: transactional}", "purpose: transactional, delivery: at_least_once}")
OF_ORDERS = JOURNEY.replace("topic: news", "topic: orders")

LEFT_BY_CANCELLING = OF_ORDERS.replace("again:", "leave: [{event: Order Cancelled}]\nagain:")
Make = Callable[..., World]


@pytest.fixture
def make(make_world: Make) -> Make:
    def world(config: str, *journeys: str) -> World:
        made = make_world({f"note{number}": one for number, one in enumerate(journeys)}, config=config)
        made.email.says = lambda one: uncertain(one) if one.attempt < 3 else Sent("3")
        made.order(*made.people(1))
        return made

    return world


def uncertain(_: Outgoing) -> Uncertain:
    return Uncertain("no answer after the last byte")


def ended(world: World) -> list[str]:
    """How the message ended, after four more hours."""
    world.tick()
    for _ in range(4):
        world.tick(HOUR)
    return list(world.states().values())


def test_D24_what_asks_for_it_is_sent_again_with_the_same_key_until_it_is_taken(make: Make) -> None:
    world = make(ASKED, OF_ORDERS)
    assert ended(world) == ["accepted"]
    assert [one.attempt for one in world.email.handed] == [1, 2, 3]
    assert len({one.key for one in world.email.handed}) == 1
    (reason,) = {row.reason for row in world.rows("SELECT reason FROM delivery WHERE kind = 'repeat'")}
    assert "asks for delivery at least once" in reason


@pytest.mark.parametrize(("config", "journey"), [(CONFIG, OF_ORDERS), (ASKED, JOURNEY)])
def test_D24_what_does_not_ask_for_it_and_marketing_beside_it_are_never_sent_again(
    make: Make, config: str, journey: str
) -> None:
    """Broken by hand: with `may_go_twice` always true both were handed over three times."""
    world = make(config, journey)
    assert ended(world) == ["unknown"]
    assert len(world.email.handed) == 1


def test_D24_what_was_decided_as_marketing_stays_so_when_its_topic_becomes_another(make: Make, tmp_path: Path) -> None:
    """Broken by hand: with the topic's purpose of today in place of the message's own it was handed over again."""
    world = make(CONFIG, JOURNEY)
    file = tmp_path / "later.yaml"
    file.write_text(CONFIG.replace("purpose: marketing", "purpose: transactional, delivery: at_least_once"))
    later, _ = load_settings(file)
    world.email.during = lambda _: setattr(world.app, "settings", later)
    assert ended(world) == ["unknown"]


def test_D24_doubt_that_outlasts_its_time_ends_as_unknown_not_as_expired(make: Make) -> None:
    world = make(ASKED, OF_ORDERS)
    world.email.says = uncertain
    world.tick()
    for _ in range(9):
        world.tick(HOUR)
    assert list(world.states().values()) == ["unknown"]
    assert len(world.email.handed) > 3


def test_D24_after_a_death_it_is_sent_again_and_after_three_a_person_decides(make: Make) -> None:
    world = make(ASKED, OF_ORDERS)
    for death in range(1, 4):
        die(world)
        done = recover(world.app, world.clock.now())
        assert (done.retry, done.settled, done.unknown) == ((0, 1, 0) if death == 3 else (1, 0, 0))
    assert list(world.states().values()) == ["dead"]


# --- what may be out and is not asked again --------------------------------------------------------------------------


def leave(world: World, after: timedelta = SECOND) -> None:
    world.clock.move_to(world.clock.now() + SECOND)
    shops.happen(world.app, "c", "p0000", "Order Cancelled", {"order_id": "p0000-1"})
    world.tick(after)


def suppress(world: World) -> None:
    (row,) = world.rows("SELECT address_hash FROM message")
    with world.app.database.writing() as connection:
        blocked = {"channel": "email", "reason": "complaint", "at": world.clock.now()}
        customers.suppress(connection, {row.address_hash: blocked})


def let_it_expire(world: World) -> None:
    world.tick(3 * DAY)


def close_its_lane(world: World) -> None:
    with world.app.database.writing() as connection:
        lanes.change(connection, "email", stopped="closed by hand")
    world.tick(3 * DAY)


def ask_no_more(world: World) -> None:
    (world.app.home / "config.yaml").write_text(CONFIG)
    world.app.settings, _ = load_settings(world.app.home / "config.yaml")


Keep = Callable[[World], None]


@pytest.mark.parametrize("keeps", [leave, suppress, let_it_expire, close_its_lane, ask_no_more])
def test_D24_what_may_be_out_is_unknown_whatever_keeps_it_from_being_asked_again(make: Make, keeps: Keep) -> None:
    """Broken by hand: with `doubted` giving back what it got it was told `cancelled`, `suppressed`, `expired`."""
    world = make(ASKED, LEFT_BY_CANCELLING)
    world.email.says = uncertain
    world.tick()
    assert world.states() == {("p0000", "email"): "repeat"}
    keeps(world)
    world.tick(HOUR)
    assert world.states() == {("p0000", "email"): "unknown"}
    assert len(world.email.handed) == 1
    (end,) = world.rows("SELECT reason FROM delivery WHERE kind = 'unknown'")
    assert end.reason.startswith("an earlier attempt had no answer, and may have been accepted; ")
    assert world.rows("SELECT count(*) FROM enrollment WHERE active") == [(0,)]


@pytest.mark.parametrize(
    "answer",
    [Rejected("no such text", reason=FailureReason.content), Unavailable("not now", retry_after=3 * 86_400)],
)
def test_D24_a_refusal_of_the_second_copy_says_nothing_of_the_first(make: Make, answer: Answer) -> None:
    """Broken by hand: without `may_be_out` of what leaves they were told `rejected` and `expired`."""
    world = make(ASKED, OF_ORDERS)
    world.email.says = lambda one: uncertain(one) if one.attempt == 1 else answer
    world.tick()
    world.tick(HOUR)
    assert world.states() == {("p0000", "email"): "unknown"}
    assert len(world.email.handed) == 2


def test_D24_a_refusal_for_now_keeps_the_doubt_of_the_attempt_before(make: Make) -> None:
    """Broken by hand: told as `retry`, the doubt was forgotten and it ended `expired`."""
    world = make(ASKED, OF_ORDERS)
    world.email.says = lambda one: uncertain(one) if one.attempt == 1 else Unavailable("not now")
    world.tick()
    world.tick(HOUR)
    assert world.kinds() == ["begun", "repeat", "begun", "repeat"]
    let_it_expire(world)
    assert world.states() == {("p0000", "email"): "unknown"}


def test_D2_after_a_death_it_is_asked_again_only_inside_the_window_and_by_the_same_provider(make: Make) -> None:
    """As it was, what quiet hours or a closed lane kept for longer than the window was handed over all the same."""
    world = make(CONFIG, OF_ORDERS)
    window = timedelta(minutes=30)
    world.email.features = Features(dedupe_by="key", dedupe_window=window, in_flight=8)
    die(world)
    assert recover(world.app, world.clock.now()).retry == 1
    world.tick(window)
    assert world.states() == {("p0000", "email"): "unknown"}
    assert len(world.email.handed) == 1


def test_C2_what_may_be_out_keeps_its_place_when_it_is_taken_back(make: Make) -> None:
    """Broken by hand: with all places given up that are taken back, the second note was queued, and stopped at the
    door only; with `doubted` giving back what it got it went out, in a day of one."""
    leaves = JOURNEY.replace("again:", "leave: [{event: Order Cancelled}]\nagain:")
    second = JOURNEY.replace("steps:\n", "steps:\n  - wait: 1m\n").replace("[email, sms]", "sms")
    world = make(CONFIG, leaves, second)
    world.email.features = Features(dedupe_by="key", in_flight=8)
    die(world)
    recover(world.app, world.clock.now())
    assert world.states() == {("p0000", "email"): "repeat"}
    leave(world, 60 * SECOND)
    assert world.states() == {("p0000", "email"): "unknown", ("p0000", "sms"): "suppressed"}
    (second_note,) = world.rows("SELECT state, rule FROM message WHERE channel = 'sms'")
    assert tuple(second_note) == ("suppressed", "capped")


def test_D2_D5_without_an_answer_who_recognises_the_repeat_is_asked_again_with_the_same_key_and_bytes(
    make: Make,
) -> None:
    """As it was, only the death of a process was followed by the question; after silence the message was `unknown`."""
    world = make(CONFIG, JOURNEY)
    world.email.features = Features(dedupe_by="key", dedupe_window=DAY, in_flight=8)
    assert ended(world) == ["accepted"]
    assert world.kinds() == ["begun", "repeat", "begun", "repeat", "begun", "accepted"]
    assert len({(one.key, content_to_json(one.content)) for one in world.email.handed}) == 1
    (reason,) = {row.reason for row in world.rows("SELECT reason FROM delivery WHERE kind = 'repeat'")}
    assert "recognises the repeat" in reason


def test_D2_without_an_answer_nobody_is_asked_again_outside_their_window(make: Make) -> None:
    world = make(CONFIG, JOURNEY)
    world.email.features = Features(dedupe_by="key", dedupe_window=10 * SECOND, in_flight=8)
    assert ended(world) == ["unknown"]
    assert len(world.email.handed) == 1

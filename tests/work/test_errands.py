"""The room of a queue hears of a task once, by its own way, with a link to act on it; the task stands in any case."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from stubs import CONFIG, Died, Stub, World

from channels.contract import Email, Notice, Outgoing, Sent, Webhook
from channels.errors import Misconfigured, Rejected, Unavailable, Uncertain
from engine.web.server import WebServer
from engine.work.colleagues import errands

JOURNEY = """
title: A call after each order
topic: orders
enter: {event: Order Completed}
again: {per: order_id}
steps:
  - task: note
    queue: care
    due: 72h
    outcomes: {satisfied: [], unhappy: []}
"""
NOTIFIED = CONFIG.replace(
    "queues: {care: {title: Care}}",
    "queues: {care: {title: Care, people: [lin, mei], notify: {channel: email, to: care@shop.example.com}},"
    " vip: {title: VIP}}",
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, {"call": JOURNEY}, NOTIFIED)
    yield made
    made.close()


def opened(world: World) -> None:
    world.people(1)
    world.order("p0000")
    world.tick()


def state(world: World) -> tuple[str, int, str]:
    (row,) = world.rows("SELECT state, attempts, reason FROM errand")
    return row.state, row.attempts, row.reason


def test_a_new_task_is_told_once_with_a_link_and_nothing_of_the_person_but_their_id(world: World) -> None:
    opened(world)
    for _ in range(3):
        world.tick(timedelta(minutes=1))
    (out,) = world.email.handed
    mail = out.content
    assert isinstance(mail, Email)
    assert mail.to == "care@shop.example.com"
    assert mail.subject == "Care: note"
    assert "p0000" in mail.text
    assert "/t/" in mail.text
    assert "p0000@example.com" not in mail.text
    assert state(world) == ("told", 1, "")


def test_a_queue_without_a_way_to_be_told_has_no_errand(tmp_path: Path) -> None:
    world = World(tmp_path, {"call": JOURNEY})
    opened(world)
    assert world.rows("SELECT * FROM errand") == []
    world.close()


def test_not_now_is_tried_again_and_given_up_after_a_day(world: World) -> None:
    world.email.says = lambda outgoing: Unavailable("not now")
    opened(world)
    assert state(world) == ("waiting", 1, "not now")
    world.tick(timedelta(seconds=20))
    assert len(world.email.handed) == 1
    world.tick(timedelta(minutes=3))
    assert state(world)[:2] == ("waiting", 2)
    assert len({out.key for out in world.email.handed}) == 1
    world.tick(timedelta(hours=24))
    assert state(world)[0] == "failed"


@pytest.mark.parametrize(
    ("answer", "becomes"),
    [(Rejected("no"), "failed"), (Uncertain("no answer"), "unknown"), (Misconfigured("wrong key"), "waiting")],
)
def test_what_is_refused_or_unknown_is_not_told_again(
    world: World, answer: Rejected | Uncertain | Misconfigured, becomes: str
) -> None:
    world.email.says = lambda outgoing: answer
    opened(world)
    assert state(world)[0] == becomes
    handed = len(world.email.handed)
    world.tick(timedelta(minutes=1))
    assert len(world.email.handed) == handed + (becomes == "waiting")


def test_of_what_a_death_left_begun_nobody_knows_and_it_is_not_told_again(world: World) -> None:
    def dies(_: Sequence[Outgoing]) -> None:
        raise Died

    world.email.during = dies
    with pytest.raises(Died):
        opened(world)
    world.email.during = None
    world.restart()
    for _ in range(4):
        world.tick(timedelta(minutes=2))
    world.order("p0000", number="2")  # another task: whoever tells it finds what was left
    world.tick()
    first, second = world.rows("SELECT state FROM errand ORDER BY id")
    assert (first.state, second.state) == ("unknown", "told")


def test_a_task_that_was_closed_meanwhile_is_not_told(world: World) -> None:
    world.email.says = lambda outgoing: Unavailable("not now")
    opened(world)
    from engine.work.colleagues.tasks import done

    (task,) = world.rows("SELECT id FROM task")
    done(world.app, task.id, "satisfied", "lin")
    world.email.says = lambda outgoing: Sent("x")
    handed = len(world.email.handed)
    world.tick(timedelta(minutes=10))
    assert len(world.email.handed) == handed
    assert state(world)[2] == "the task was closed before"


@pytest.mark.parametrize(("channel", "kind"), [("notice", Notice), ("webhook", Webhook)])
def test_a_room_is_told_in_its_own_form(world: World, channel: str, kind: type) -> None:
    class Room(Stub):
        channels = frozenset({channel})

    room = Room(channel)
    world.app._notifiers["care"] = room
    care = world.app.settings.queues["care"]
    own = care.model_copy(update={"notify": type(care.notify)(provider="stub", to="https://room.example.com")})  # type: ignore[misc]
    queues = {**world.app.settings.queues, "care": own}
    world.app.settings = world.app.settings.model_copy(update={"queues": queues})
    opened(world)
    assert [type(one.content) for one in room.handed] == [kind]


def test_the_mistake_of_a_room_is_told_and_keeps_no_task_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(world.app.providers, "email")
    monkeypatch.setattr(
        errands, "_content", lambda *_: (_ for _ in ()).throw(errands.Refused("config.yaml, queues.care.notify: wrong"))
    )
    opened(world)
    assert state(world)[0] == "failed"
    assert "queues.care.notify: wrong" in state(world)[2]
    assert len(world.rows("SELECT * FROM task WHERE closed_at IS NULL")) == 1


# --- the page behind the link ----------------------------------------------------------------------------------------


@pytest.fixture
def web(world: World) -> Iterator[httpx.Client]:
    server = WebServer(world.app, lambda: {"ok": True})
    server.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as client:
        yield client
    server.stop()


def link(world: World) -> str:
    mail = world.email.handed[-1].content
    assert isinstance(mail, Email)
    return "/t/" + mail.text.partition("/t/")[2].split()[0]


def task(world: World) -> tuple[object, ...]:
    (row,) = world.rows("SELECT assignee, outcome, closed_by, note FROM task")
    return tuple(row)


def test_the_link_shows_the_task_and_looking_changes_nothing(world: World, web: httpx.Client) -> None:
    opened(world)
    page = web.get(link(world))
    assert page.status_code == 200
    assert "Call them." in page.text
    assert "satisfied" in page.text
    assert "<script" not in page.text
    assert web.head(link(world)).status_code == 200
    assert task(world) == (None, None, None, "")


def test_a_colleague_takes_a_task_and_tells_its_outcome_and_the_journey_goes_on(
    world: World, web: httpx.Client
) -> None:
    opened(world)
    page = web.post(link(world), data={"who": "lin", "take": "yes"})
    assert "In the hands of lin." in page.text
    page = web.post(link(world), data={"who": "lin", "outcome": "satisfied", "note": "<b>happy</b>"})
    assert "Closed: satisfied, by lin." in page.text
    assert task(world) == ("lin", "satisfied", "lin", "<b>happy</b>")
    world.tick(timedelta(seconds=2))
    assert [row.active for row in world.rows("SELECT active FROM enrollment")] == [0]
    later = web.post(link(world), data={"who": "mei", "outcome": "unhappy"})
    assert "It had an outcome before" in later.text
    assert task(world)[1] == "satisfied"


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"outcome": "satisfied"}, "Your name?"),
        ({"who": "  ", "take": "yes"}, "Your name?"),
        ({"who": "lin", "outcome": "delighted"}, "is no outcome of task"),
        ({"who": "lin"}, "is no outcome of task"),
        ({}, "Your name?"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(
    world: World, web: httpx.Client, form: dict[str, str], said: str
) -> None:
    opened(world)
    page = web.post(link(world), data=form)
    assert page.status_code == 200
    assert said in page.text
    assert task(world) == (None, None, None, "")


def test_a_task_in_other_hands_stays_there(world: World, web: httpx.Client) -> None:
    opened(world)
    web.post(link(world), data={"who": "lin", "take": "yes"})
    assert "is in the hands of lin" in web.post(link(world), data={"who": "mei", "take": "yes"}).text
    assert task(world)[0] == "lin"


def test_a_link_that_was_altered_or_made_for_something_else_shows_nothing(world: World, web: httpx.Client) -> None:
    opened(world)
    good = link(world)
    assert web.get(good[:-2] + "xx").status_code == 404
    assert web.get(good.replace("/t/", "/p/")).status_code == 404
    assert web.post(good[:-2] + "xx", data={"who": "lin", "take": "yes"}).status_code == 404

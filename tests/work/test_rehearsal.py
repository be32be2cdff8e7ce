"""A rehearsal: everything as it would be, but for colleagues; and never on a database that is in earnest."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from stubs import CONFIG, World

from channels.contract import Email, Push, Sms, WeChat
from channels.errors import Unavailable
from engine.errors import Unfit
from engine.message.rehearsal import rehearsed
from engine.work.beginning import begun

COLLEAGUES = "rehearsal: {email: [mei@shop.example.com, lin@shop.example.com]}\n"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, config=CONFIG + COLLEAGUES)
    yield made
    made.close()


def test_everything_goes_to_colleagues_and_says_whom_it_was_for(world: World) -> None:
    names = world.people(20)
    world.order(*names)
    world.tick()
    mails = [one.content for one in world.email.handed]
    assert {mail.to for mail in mails} == {"mei@shop.example.com", "lin@shop.example.com"}
    subjects = {mail.subject for mail in mails if isinstance(mail, Email)}
    assert subjects == {f"[rehearsal for {name}] A note" for name in names}


def test_every_attempt_of_a_message_goes_to_the_same_colleague(world: World) -> None:
    world.people(1)
    world.order("p0000")
    world.email.says = lambda outgoing: Unavailable("not now")
    for _ in range(3):
        world.tick(timedelta(minutes=10))
    assert len(world.email.handed) == 3
    assert len({one.content.to for one in world.email.handed}) == 1


def test_a_channel_without_colleagues_sends_nothing_and_says_why(world: World) -> None:
    world.people(1, channels=["sms"])
    world.order("p0000")
    world.tick()
    assert world.sms.handed == []
    (row,) = world.rows("SELECT reason FROM delivery ORDER BY weight DESC LIMIT 1")
    assert row.reason == "this is a rehearsal, and it names no colleague for sms"


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (Sms("+491700000001", "Hello"), "[rehearsal for ann] Hello"),
        (Push("token", "Title", "Text"), "[rehearsal for ann] Title"),
        (WeChat("open", "T1", values=(("number1", "7"), ("thing2", "已发货"))), "[彩排]已发货"),
    ],
)
def test_every_channel_bears_a_mark(content: Sms | Push | WeChat, shown: str) -> None:
    found = rehearsed(content, ["me"], "key", "ann")
    assert found.to == "me"
    assert shown in str(found)


def test_a_database_that_really_sent_is_not_rehearsed_with(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.people(1)
    world.order("p0000")
    world.tick()
    config = world.app.config
    config.write_text(config.read_text() + COLLEAGUES)
    world.restart()
    with pytest.raises(Unfit, match="holds what was really sent"), begun(world.app):
        pass
    world.close()


def test_a_database_that_was_rehearsed_with_is_never_run_in_earnest(tmp_path: Path) -> None:
    world = World(tmp_path, config=CONFIG + COLLEAGUES)
    with begun(world.app):
        pass
    with begun(world.app):  # another rehearsal
        pass
    config = world.app.config
    config.write_text(CONFIG)
    world.restart()
    with pytest.raises(Unfit, match="was rehearsed with from 2026-11-24 09:00:00 UTC on"), begun(world.app):
        pass
    world.close()

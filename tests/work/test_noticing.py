"""What the daemon says of the folder: once when a draft is wrong or is not what runs, once when it is mended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import shops
from stubs import AUDIENCE, JOURNEY, World

from engine.work.publishing.noticing import Noticing
from engine.work.publishing.retiring import plan_retirement, retire


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "shop")
    yield made
    made.close()


@pytest.fixture
def noticing(world: World) -> Noticing:
    made = Noticing(world.app)
    assert made.news() == made.news() == []
    return made


def write(world: World, name: str, text: str) -> None:
    (world.app.home / "journeys" / name).write_text(text, encoding="utf-8")


def settled(noticing: Noticing) -> list[str]:
    """What is said at the beat that sees a change, which is nothing, and at the next."""
    assert noticing.news() == []
    return noticing.news()


def test_a_broken_draft_is_told_once_and_told_again_when_it_is_mended(world: World, noticing: Noticing) -> None:
    write(world, "note.yaml", JOURNEY.replace("send: note", "sned: note"))
    told = "journeys/note.yaml has 1 mistake; version 1 runs. See: outreach check journeys/note.yaml"
    assert settled(noticing) == [told]
    assert [noticing.news() for _ in range(3)] == [[], [], []]

    write(world, "note.yaml", JOURNEY + "# the same\n")
    assert settled(noticing) == ["journeys/note.yaml is in order and what runs"]


def test_a_draft_that_is_not_what_runs_is_told_until_it_is_published(world: World, noticing: Noticing) -> None:
    write(world, "note.yaml", JOURNEY.replace("6h", "7h"))
    told = "journeys/note.yaml is not what runs; version 1 runs. See: outreach versions note"
    assert settled(noticing) == [told]
    write(world, "note.yaml", JOURNEY.replace("6h", "8h"))
    assert settled(noticing) == []

    shops.publish_all(world.app)
    assert settled(noticing) == ["journeys/note.yaml is in order and what runs"]


def test_what_stands_there_at_the_start_is_told_at_once(world: World) -> None:
    write(world, "note.yaml", "steps: [")
    (told,) = Noticing(world.app).news()
    assert told.startswith("journeys/note.yaml has ")


def test_drafts_that_were_never_published_are_told_when_they_are_wrong_only(world: World, noticing: Noticing) -> None:
    write(world, "new.yaml", JOURNEY)
    assert settled(noticing) == []
    write(world, "new.yaml", JOURNEY.replace("topic: news", "topic: nws"))
    told = "journeys/new.yaml has 1 mistake and cannot be published. See: outreach check journeys/new.yaml"
    assert settled(noticing) == [told]


def test_the_audience_and_files_that_are_gone_are_told_too(world: World, noticing: Noticing) -> None:
    write(world, "audience.yaml", AUDIENCE + "  more: {country: DE}\n")
    (world.app.home / "journeys" / "note.yaml").unlink()
    assert settled(noticing) == [
        "journeys/note.yaml is gone; version 1 runs. See: outreach versions note",
        "journeys/audience.yaml is not what runs; version 1 runs. See: outreach versions audience",
    ]
    write(world, "audience.yaml", AUDIENCE + "  more: {country: {at_leest: 3}}\n")
    (told,) = settled(noticing)
    assert told.startswith("journeys/audience.yaml has ")
    assert told.endswith("what was published runs. See: outreach check journeys/audience.yaml")


def test_S12_texts_with_mistakes_are_told_and_the_last_good_ones_stay(world: World, noticing: Noticing) -> None:
    world.app.refresh()
    text = world.app.home / "templates" / "note" / "sms.en.txt"
    text.write_text("Hello {{ nobody }}\n", encoding="utf-8")
    world.app.refresh()
    told = "the texts have 1 mistake; the last good ones are sent. See: outreach check templates"
    assert settled(noticing) == [told]


def test_of_a_retired_journey_nothing_is_said(world: World, noticing: Noticing) -> None:
    retire(world.app, plan_retirement(world.app, "note", False), "me")
    (world.app.home / "journeys" / "note.yaml").unlink()
    assert settled(noticing) == []

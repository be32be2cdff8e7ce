"""Texts are written for odd people before they are sent to any: who has no first name, or one that a form never saw."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from stubs import World

from engine.app import build_app
from engine.journey.problems import Severity
from engine.work.publishing.drafts import load_drafts

LAYOUT = "---\nsubject: {}\n---\n<p>{} <a href='{{{{ links.unsubscribe }}}}'>x</a></p>"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "shop")
    yield made
    made.close()


def told(world: World, subject: str, body: str) -> list[tuple[str, str, Severity]]:
    """What check says about the one mail of the shop, in all its locales."""
    folder = world.app.home / "templates" / "note"
    for locale in ("en", "ar"):
        (folder / f"email.{locale}.html").write_text(LAYOUT.format(subject, body), encoding="utf-8")
    (folder / "sms.en.txt").write_text("Hello, STOP")
    app = build_app(world.app.config, env={}, strict=False, inert=True)
    problems = load_drafts(app).problems
    app.close()
    return [(one.code, one.sentence, one.severity) for one in problems if "note/email" in one.position.file]


def test_a_text_that_counts_on_a_first_name_is_found_in_every_locale(world: World) -> None:
    found = told(world, "Hi", "{{ person.first_name }}")

    sentence = "person.first_name is not known here (for somebody without a first name)"
    assert found == [("undefined-name", sentence, Severity.warning)] * 2


def test_a_subject_with_room_for_ann_only_is_found(world: World) -> None:
    found = told(world, "x" * 120 + ' {{ person.name | default("you") }}', "Hi")

    assert {(code, severity) for code, _, severity in found} == {("too-long", Severity.warning)}
    assert all("for somebody with a long and odd name" in sentence for _, sentence, _ in found)
    assert len(found) == 2


def test_a_text_that_knows_what_to_say_without_a_name_is_left_alone(world: World) -> None:
    body = '{% if person.first_name is defined %}{{ person.first_name }}{% endif %} {{ person.name | default("you") }}'

    assert told(world, 'Hi {{ person.last_name | default("you") }}', body) == []

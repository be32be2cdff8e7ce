"""Letting people in by request: whole or not at all, once for each key, with what is told of each of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import shops
from stubs import Died, World, dying

from engine.errors import Refused
from engine.imports.entrants import EntrantRow, read_entrants
from engine.journey.problems import Position, Problem
from engine.work.entering import requests
from engine.work.entering.requests import Asked, Who, release, take_back, take_in

HOUR = timedelta(hours=1)
TEXT = """
title: A word to some
owner: us
topic: orders
enter: {{api: true}}
{again}
steps:
  - branch:
      - if: {{event.total: {{at_least: 100}}}}
        then: [{{exit: much}}]
  - exit: little
"""
MakeWorld = Callable[..., World]


def by_request(again: str = "again: always") -> dict[str, str]:
    return {"some": TEXT.format(again=again)}


def named(*people: str, **told: Any) -> Who:
    def rows() -> Iterator[EntrantRow | Problem]:
        yield from (EntrantRow(person, {}, Position("")) for person in people)

    return Who(rows=rows, told=told)


def let_in(world: World, who: Who, key: str = "k", journey: str = "some") -> Asked:
    asked = take_in(world.app, journey, who, key, "me")
    if asked.repeated_at is None:
        release(world.app, asked)
    return asked


def ended(world: World) -> list[tuple[str, str]]:
    rows = world.rows(
        "SELECT c.external_id, e.reason FROM enrollment e JOIN customer c ON c.id = e.customer_id ORDER BY e.id"
    )
    return [(row.external_id, row.reason) for row in rows]


def test_people_enter_by_name_with_what_is_told_of_them(make_world: MakeWorld) -> None:
    world = make_world(by_request())
    world.people(3)
    world.tick()
    assert ended(world) == []
    asked = let_in(world, named("p0002", "p0000", total=200))
    assert (asked.people, asked.is_whole) == (2, True)
    world.tick()
    assert ended(world) == [("p0000", "much"), ("p0002", "much")]
    told = world.rows("SELECT data FROM enrollment LIMIT 1")[0].data
    assert (json.loads(told) if isinstance(told, str) else told)["event"] == {"total": 200}
    assert world.rows("SELECT count(*) FROM entrant") == [(0,)]


def test_a_segment_is_counted_and_let_in_as_it_was_then(make_world: MakeWorld) -> None:
    world = make_world(by_request())
    world.people(3)
    asked = take_in(world.app, "some", Who(segment="everyone", told={"total": 5}), "k", "me")
    assert asked.people == 3
    world.people(1, first=3)
    release(world.app, asked)
    world.tick()
    assert ended(world) == [(f"p000{number}", "little") for number in range(3)]


def test_nobody_enters_before_the_number_is_agreed_to_and_nobody_after_it_was_not(make_world: MakeWorld) -> None:
    world = make_world(by_request())
    world.people(2)
    asked = take_in(world.app, "some", named("p0000"), "k", "me")
    world.tick(HOUR)
    assert ended(world) == []
    take_back(world.app, asked)
    world.tick(HOUR)
    assert ended(world) == []
    assert let_in(world, named("p0001"), "k").repeated_at is None
    world.tick()
    assert ended(world) == [("p0001", "little")]


def test_the_same_key_lets_in_once_and_another_body_under_it_is_refused(make_world: MakeWorld) -> None:
    world = make_world(by_request())
    world.people(2)
    let_in(world, named("p0000"), "spring")
    world.tick()
    again = let_in(world, named("p0000"), "spring")
    assert (again.repeated_at, again.people, again.entered) == (shops.NOW, 1, 1)
    with pytest.raises(Refused, match="the key spring names another request"):
        let_in(world, named("p0001"), "spring")
    with pytest.raises(Refused, match="the key spring names another request"):
        let_in(world, named("p0000", total=1), "spring")
    world.tick(HOUR)
    assert len(ended(world)) == 1
    let_in(world, named("p0000"), "summer")
    world.tick(HOUR)
    assert len(ended(world)) == 2


@pytest.mark.parametrize(
    ("again", "expected"),
    [("again: never", 1), ("again: always", 2), ("again: {after: 30d}", 1), ("again: {per: total}", 2)],
)
def test_again_holds_for_requests(make_sqlite_world: MakeWorld, again: str, expected: int) -> None:
    world = make_sqlite_world(by_request(again))
    world.people(1)
    for number, total in enumerate((7, 7 if "per" not in again else 8, 7)[: 3 if "per" in again else 2]):
        let_in(world, named("p0000", total=total), f"k{number}")
        world.tick(HOUR)
    assert len(ended(world)) == expected


def test_what_was_cut_off_lets_nobody_in_and_is_taken_up_anew(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "CHUNK", 3)
    world = make_world(by_request())
    people = world.people(10)
    monkeypatch.setattr(requests, "_take", dying(requests._take, 3))
    with pytest.raises(Died):
        take_in(world.app, "some", named(*people), "k", "me")
    world.tick(HOUR)
    assert ended(world) == []
    assert let_in(world, named(*people)).people == 10
    world.tick()
    assert [person for person, _ in ended(world)] == people
    let_in(world, named("p0001"), "another")
    assert world.rows("SELECT count(*) FROM request") == [(2,)]


def test_a_daemon_that_dies_between_two_pages_lets_everyone_in_once(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    import engine.work.entering.pages as module

    monkeypatch.setattr(module, "PAGE", 7)
    world = make_world(by_request())
    people = world.people(40)
    let_in(world, named(*people))
    monkeypatch.setattr(module, "enter", dying(module.enter, 17, 33))
    for _ in range(2):
        with pytest.raises(Died):
            world.tick()
    world.tick()
    assert [person for person, _ in ended(world)] == people


def test_who_is_not_known_is_told_and_who_is_named_twice_counts_once(
    make_sqlite_world: MakeWorld, tmp_path: Path
) -> None:
    world = make_sqlite_world(by_request())
    world.people(2)
    file = tmp_path / "people.csv"
    file.write_text("person,total,order_id\np0000,150,007\nnobody,1,2\np0000,1,3\n,9,9\np0001,,\n")
    asked = let_in(world, Who(rows=lambda: read_entrants(file), told={"total": 3}))
    assert (asked.people, asked.unknown, asked.unknown_shown, asked.named_twice) == (2, 1, ["nobody"], 1)
    assert [(one.code, one.position.line) for one in asked.problems] == [("missing-person", 5)]
    assert not asked.is_whole
    world.tick()
    assert ended(world) == [("p0000", "much"), ("p0001", "little")]
    data = [json.loads(row.data)["event"] for row in world.rows("SELECT data FROM enrollment ORDER BY id")]
    assert data == [{"total": 150, "order_id": "007"}, {"total": 3}]


@pytest.mark.parametrize(
    ("journey", "who", "sentence"),
    [
        ("note", named("p0000"), "note is entered in another way"),
        ("none", named("p0000"), "there is no published journey none"),
        ("some", Who(segment="everybody"), "there is no published segment everybody"),
    ],
)
def test_what_cannot_be_asked_is_refused(make_sqlite_world: MakeWorld, journey: str, who: Who, sentence: str) -> None:
    from stubs import JOURNEY

    world = make_sqlite_world({**by_request(), "note": JOURNEY})
    world.people(1)
    with pytest.raises(Refused, match=sentence):
        take_in(world.app, journey, who, "k", "me")

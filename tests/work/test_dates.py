"""Entering by a date kept about the person: at their own clock, each date once, whatever becomes of processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import shops
from stubs import JOURNEY, Died, World, dying

from engine.learn.explain import explain
from engine.simulate.preview import preview
from engine.work.publishing.drafts import load_drafts, plan_publish
from engine.work.tick import next_due

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOON = datetime(2026, 11, 24, 11, 0, tzinfo=UTC)  # 12:00 in Berlin
TEXT = """
title: Your membership
owner: us
topic: orders
enter: {{date: expires, {when}at: "12:00"{more}}}
{again}
steps: [{{send: note, via: [email]}}]
"""
MakeWorld = Callable[..., World]


def by_date(when: str = "before: 14d, ", more: str = "", again: str = "") -> dict[str, str]:
    return {"members": TEXT.format(when=when, more=more, again=again)}


def expires(world: World, **dates: Any) -> None:
    zones = {row.external_id: row.zone for row in world.rows("SELECT external_id, zone FROM customer")}
    rows = [{"external_id": n, "zone": zones[n], "attributes": {"expires": value}} for n, value in dates.items()]
    shops.add_people(world.app, rows, consent=False)


def entered(world: World) -> list[tuple[str, str, str]]:
    """(person, the date they entered for, when)"""
    rows = world.rows(
        "SELECT c.external_id, e.key, e.entered_at FROM enrollment e JOIN customer c ON c.id = e.customer_id"
        " ORDER BY e.entered_at, c.external_id"
    )
    instants = (
        datetime.fromisoformat(f"{row.entered_at}+00:00") if isinstance(row.entered_at, str) else row.entered_at
        for row in rows
    )
    return [
        (row.external_id, row.key, f"{at.astimezone(UTC):%m-%d %H:%M}") for row, at in zip(rows, instants, strict=True)
    ]


def through(world: World, until: datetime) -> Iterator[datetime]:
    """Every instant at which something is due."""
    while (due := next_due(world.app, world.clock.now())) is not None and due <= until:
        world.tick_at(due)
        yield due


def test_each_enters_on_their_day_at_their_own_clock(make_world: MakeWorld) -> None:
    world = make_world(by_date())
    world.people(3)
    world.people(2, first=3, zone="Asia/Shanghai")
    expires(world, p0000="2026-12-08", p0001="2026-12-09", p0002="never", p0003="2026-12-09T00:30:00+08:00")
    for _ in range(3):
        world.tick_at(NOON - timedelta(seconds=1))
    assert entered(world) == []
    for _ in through(world, NOON + 3 * DAY):
        world.tick()
    assert entered(world) == [
        ("p0000", "2026-12-08", "11-24 11:00"),
        ("p0003", "2026-12-09", "11-25 04:00"),
        ("p0001", "2026-12-09", "11-25 11:00"),
    ]
    assert len(world.email.handed) == 3


@pytest.mark.parametrize(
    ("when", "more", "date", "at"),
    [
        ("", "", "2026-11-24", "11-24 11:00"),
        ("after: 3d, ", "", "2026-11-21", "11-24 11:00"),
        ("before: 2w, ", ", zone: Asia/Shanghai", "2026-12-09", "11-25 04:00"),
        ("before: 14d, yearly: true, ", "", "1999-12-08", "11-24 11:00"),
        ("", ", segment: everyone", "2026-11-24", "11-24 11:00"),
        ("", ", segment: nobody", "2026-11-24", None),
        ("before: 14d, ", "", "2026-12-07", None),  # the day lay before publication
        ("before: 14d, yearly: true, ", "", "2027-12-08", None),  # not before the date itself
    ],
)
def test_before_on_and_after_a_date_and_for_whom(
    make_sqlite_world: MakeWorld, when: str, more: str, date: str, at: str | None
) -> None:
    world = make_sqlite_world({"note": JOURNEY})
    audience = "segments:\n  everyone: {country: {known: true}}\n  nobody: {country: XX}\n"
    (world.app.journeys_folder / "audience.yaml").write_text(audience)
    (world.app.journeys_folder / "members.yaml").write_text(by_date(when, more)["members"])
    shops.publish_all(world.app)
    world.people(1)
    expires(world, p0000=date)
    for _ in through(world, NOON + 3 * DAY):
        pass
    assert [one[2] for one in entered(world)] == ([at] if at else [])


def test_another_date_is_entered_anew_and_the_same_is_not(make_world: MakeWorld) -> None:
    world = make_world(by_date())
    world.people(1)
    expires(world, p0000="2026-12-08")
    world.tick_at(NOON)
    expires(world, p0000="2026-12-10")
    world.tick_at(NOON + 2 * DAY)
    expires(world, p0000="2026-12-11")
    expires(world, p0000="2026-12-10")
    world.tick_at(NOON + 4 * DAY)
    assert [one[1] for one in entered(world)] == ["2026-12-08", "2026-12-10"]


def test_who_moves_to_another_zone_enters_once_for_one_date(make_world: MakeWorld) -> None:
    world = make_world(by_date())
    world.people(1)
    world.people(1, first=1, zone="America/New_York")
    expires(world, p0000="2026-12-08", p0001="2026-12-08")
    world.tick_at(NOON)
    rows = [{"external_id": "p0000", "zone": "America/New_York"}]
    shops.add_people(world.app, rows, consent=False)
    world.tick_at(NOON + 6 * HOUR)
    assert [one[0] for one in entered(world)] == ["p0000", "p0001"]


def test_a_yearly_date_comes_every_year_and_29_february_on_the_28th_of_other_years(make_world: MakeWorld) -> None:
    world = make_world(by_date("yearly: true, "))
    world.people(2)
    expires(world, p0000="1996-02-29", p0001="2027-02-28")
    for year in (2027, 2028):
        for day in (27, 28, 29):
            if (year, day) != (2027, 29):
                world.tick_at(datetime(year, 2, day, 12, 0, tzinfo=UTC))
    assert [one[:2] for one in entered(world)] == [
        ("p0000", "2027-02-28"),
        ("p0001", "2027-02-28"),
        ("p0001", "2028-02-28"),
        ("p0000", "2028-02-29"),
    ]


@pytest.mark.parametrize(("again", "count"), [("", 2), ("again: never", 1), ("again: {after: 400d}", 1)])
def test_again_may_ask_for_less(make_sqlite_world: MakeWorld, again: str, count: int) -> None:
    world = make_sqlite_world(by_date("yearly: true, ", again=again))
    world.people(1)
    expires(world, p0000="1990-11-24")
    world.tick_at(NOON)
    world.tick_at(NOON + 365 * DAY)
    assert len(entered(world)) == count


def test_a_day_noticed_late_is_caught_up_within_max_lateness(make_world: MakeWorld) -> None:
    world = make_world(by_date(again="max_lateness: 3h"))
    world.people(2)
    expires(world, p0000="2026-12-08", p0001="2026-12-09")
    world.tick_at(NOON + DAY + 2 * HOUR)
    assert entered(world) == [("p0001", "2026-12-09", "11-25 11:00")]
    late = world.rows("SELECT planned, reason FROM run WHERE state = 'late'")
    assert [row.planned for row in late] == ["2026-11-24T12:00"]


def test_people_enter_page_by_page_and_once_when_the_process_dies_between(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    import engine.work.entering.pages as module

    monkeypatch.setattr(module, "PAGE", 7)
    world = make_world(by_date())
    names = world.people(40)
    expires(world, **dict.fromkeys(names, "2026-12-08"))
    monkeypatch.setattr(module, "enter", dying(module.enter, 17, 33))
    for _ in range(2):
        with pytest.raises(Died):
            world.tick_at(NOON)
    world.tick()
    assert [one[0] for one in entered(world)] == names
    assert len({one.key for one in world.email.handed}) == len(world.email.handed) == 40


def test_it_is_told_who_has_such_a_date_and_when_one_enters_by_it(make_world: MakeWorld) -> None:
    world = make_world(by_date())
    world.people(3)
    expires(world, p0000="2026-12-08", p0001="next year")
    (plan,) = plan_publish(world.app, load_drafts(world.app), ["members"])
    assert plan.audience == 1
    (told,) = explain(world.app, "p0000").stories
    assert told.sentence == ("It is entered 14 days before expires, which is 2026-12-08: on 2026-11-24 at 12:00.")
    (none,) = explain(world.app, "p0001").stories
    assert none.sentence == "It is entered 14 days before expires, and no such date is kept about this person."
    with world.app.database.reading() as connection:
        rules = world.app.rules(connection)
    version = rules.live["members"]
    (walk,) = preview(world.app, rules.graphs[version], rules, version, None, 5, shops.NOW)
    assert (walk.person, walk.enters) == ("p0000", True)

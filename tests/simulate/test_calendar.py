"""The days ahead: what is planned for whom, what is closed, and who loses whom where caps collide."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import shops
from hypothesis import given, settings
from hypothesis import strategies as st
from servers import Fresh
from servers import postgres as postgres
from stubs import CONFIG, World

from engine.simulate import calendar
from engine.simulate.calendar import Coming, Days, look_ahead
from engine.simulate.collisions import Collision, collisions
from engine.work.entering.happenings import plan_telling, tell

DAY = timedelta(days=1)
SEGMENTS = """
segments:
  everyone: {country: {known: true}}
  reds: {red: "yes"}
  blues: {blue: "yes"}
  greens: {green: "yes"}
"""
WAVE = """
topic: {topic}
priority: {priority}
enter: {enter}
again: {again}
{more}
steps: [{{wait: 1h}}, {{send: note, via: {via}}}]
"""

Make = Callable[..., World]


def wave(
    enter: str,
    topic: str = "news",
    priority: int = 50,
    again: str = "always",
    via: str = "[email]",
    more: str = "",
) -> str:
    return WAVE.format(enter=enter, topic=topic, priority=priority, again=again, via=via, more=more)


@pytest.fixture(params=["sqlite", "postgresql"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """A shop with these journeys, on each kind of database."""
    made: list[World] = []

    def one(journeys: dict[str, str], config: str = CONFIG) -> World:
        more: dict[str, Any] = {"durable": False}
        if request.param == "postgresql":
            fresh: Fresh = request.getfixturevalue("postgres")
            more["database"] = fresh(tables=True)
        made.append(shop(tmp_path / "shop", journeys, config, **more))
        return made[-1]

    yield one
    for world in made:
        world.close()


def shop(folder: Path, journeys: dict[str, str], config: str = CONFIG, **more: Any) -> World:
    world = World(folder, None, config, **more)
    (folder / "journeys" / "note.yaml").unlink()
    (folder / "journeys" / "audience.yaml").write_text(SEGMENTS)
    for name, text in journeys.items():
        (folder / "journeys" / f"{name}.yaml").write_text(text)
    shops.publish_all(world.app)
    return world


def people(world: World, count: int, first: int = 0, colours: str = "", **more: Any) -> None:
    world.people(count, first=first, attributes=dict.fromkeys(colours.split(), "yes"), **more)


def ahead(world: World, days: int = 30) -> tuple[Days, list[Collision]]:
    found, waves = look_ahead(world.app, days)
    return found, collisions(world.app, waves)


def when(coming: Sequence[Coming], journey: str = "") -> list[str]:
    return [f"{one.wall:%m-%d %H:%M}" for one in coming if journey in ("", one.journey)]


def lost(found: Sequence[Collision]) -> list[tuple[str, str, str, int, tuple[str, ...], bool]]:
    return [
        (f"{one.wall:%m-%d}", one.journey, one.cap, one.people, tuple(name for _, name in one.winners), one.by_priority)
        for one in found
    ]


# --- what is planned -------------------------------------------------------------------------------------------------


def test_waves_dates_and_happenings_of_the_days_ahead_stand_in_the_order_of_their_clock(make: Make) -> None:
    config = CONFIG + 'happenings: {Sale: {expected: ["2026-12-02 18:00", "2027-05-01"]}}\n'
    journeys = {
        "monthly": wave('{every: month, on: 1, at: "12:00", segment: reds}'),
        "cron": wave('{cron: "30 9 * * mon", zone: Asia/Shanghai, segment: reds}'),
        "birthday": wave('{date: birthday, before: 2d, at: "08:00"}'),
        "sale": wave("{happening: Sale, segment: reds}"),
        "orders": wave("{event: Order Completed}"),
    }
    world = make(journeys, config)
    people(world, 3, colours="red")
    world.people(1, first=8, attributes={"birthday": "2026-12-04"})

    found, _ = ahead(world, 12)

    assert [(f"{one.wall:%m-%d %H:%M}", one.zone, one.journey, one.way, one.size.asked) for one in found.coming] == [
        ("11-30 09:30", "Asia/Shanghai", "cron", "wave", 3),
        ("12-01 12:00", "person", "monthly", "wave", 3),
        ("12-02 08:00", "person", "birthday", "date", 1),
        ("12-02 18:00", "Europe/Berlin", "sale", "happening", 3),
    ]
    assert found.coming[1].first_at == datetime(2026, 12, 1, 11, tzinfo=UTC)
    assert [(one.name, one.told, one.journeys) for one in found.expected] == [("Sale", False, ("sale",))]
    assert ("orders", "event", "Order Completed") in [(one.journey, one.way, one.about) for one in found.any_time]


def test_what_was_told_for_later_replaces_what_was_expected_that_day(make: Make) -> None:
    world = make(
        {"sale": wave("{happening: Sale, segment: reds}")}, CONFIG + 'happenings: {Sale: {expected: ["2026-12-02"]}}\n'
    )
    tell(world.app, plan_telling(world.app, "Sale", None, datetime(2026, 12, 2, 17, tzinfo=UTC), {}), "mei")

    found, _ = ahead(world)

    assert [(f"{one.wall:%m-%d %H:%M}", one.told) for one in found.expected] == [("12-02 18:00", True)]
    assert when(found.coming) == ["12-02 18:00"]


def test_a_wave_that_has_gone_round_half_of_the_world_is_for_the_other_half(make: Make) -> None:
    world = make({"daily": wave('{every: day, at: "12:00", segment: reds}')})
    people(world, 3, colours="red", zone="Asia/Shanghai")
    people(world, 2, first=5, colours="red", zone="America/New_York")

    found, _ = ahead(world, 2)

    assert [(one.wall.day, one.size.asked) for one in found.coming] == [(24, 2), (25, 5), (26, 5)]


def test_retired_and_unpublished_journeys_are_not_planned(make: Make) -> None:
    from engine.work.publishing.retiring import plan_retirement, retire

    world = make({"daily": wave('{every: day, at: "12:00", segment: reds}')})
    retire(world.app, plan_retirement(world.app, "daily", False), "mei")
    (world.app.journeys_folder / "draft.yaml").write_text(wave('{every: day, at: "12:00", segment: reds}'))

    assert ahead(world)[0].coming == ()


def test_waves_under_way_say_what_they_wait_for(make: Make) -> None:
    more = "approve: {by: lead, within: 24h}\nrollout: [40%, 100%]"
    world = make(
        {
            "asks": wave('{every: day, at: "12:00", segment: reds}', more=more),
            "stages": wave('{every: day, at: "12:00", segment: reds}', more="rollout: [40%, 100%]"),
        }
    )
    people(world, 5, colours="red")
    world.tick_at(datetime(2026, 11, 24, 11, tzinfo=UTC))

    found, _ = ahead(world, 2)

    assert [(one.journey, one.state, one.stage, one.stages, one.opens) for one in found.under_way] == [
        ("asks", "waiting", 1, 2, None),
        ("stages", "entering", 2, 2, datetime(2026, 11, 25, 11, tzinfo=UTC)),
    ]
    assert found.coming[0].approve == "lead"


# --- how many --------------------------------------------------------------------------------------------------------


def test_sizes_say_who_enters_by_again_who_is_held_out_and_who_can_be_reached(make: Make) -> None:
    journey = wave(
        '{every: week, on: [tue, thu], at: "12:00", segment: reds}',
        again="{after: 7d}",
        more="holdout: 50%\ngoal: {event: Order Completed, within: 9d}",
    )
    world = make({"weekly": journey})
    people(world, 20, colours="red")
    people(world, 10, first=30, colours="red", consent=False)
    people(world, 5, first=50, colours="blue")

    found, _ = ahead(world, 8)

    first, second, third = (one.size for one in found.coming)
    assert (first.asked, first.enter, second.enter, third.enter) == (30, 30, 0, 30)
    assert 0 < first.held_out < 30
    assert 0 < first.reached <= 20
    world.tick_at(datetime(2026, 11, 24, 11, tzinfo=UTC))
    held_out = {row.customer_id for row in world.rows("SELECT customer_id FROM enrollment WHERE holdout")}
    assert len(held_out) == first.held_out
    world.tick(timedelta(hours=1))
    assert len(world.email.handed) == first.reached


def test_no_more_than_at_most_enter_are_reached_and_are_paid_for(make: Make) -> None:
    more = "at_most: 6\nholdout: 50%\ngoal: {event: Order Completed, within: 9d}"
    world = make({"few": wave('{every: day, at: "12:00", segment: reds}', again="never", more=more)})
    people(world, 10, colours="red")

    found, _ = ahead(world, 3)

    first, _, third = found.coming
    assert [one.size.enter for one in found.coming] == [6, 4, 0]
    assert (first.size.asked, first.at_most, third.messages) == (10, 6, 0)
    assert first.messages == first.size.reached == 6 - first.size.held_out
    world.tick_at(datetime(2026, 11, 24, 11, tzinfo=UTC))
    held_out = world.rows("SELECT customer_id FROM enrollment WHERE holdout")
    assert len(held_out) == first.size.held_out


def test_a_large_audience_is_counted_and_the_rest_asked_of_a_sample(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calendar, "SAMPLE", 50)
    world = make({"daily": wave('{every: day, at: "12:00", segment: reds}', again="never")})
    people(world, 300, colours="red")
    people(world, 100, first=300, colours="red", consent=False)
    before = world.app.database.statements

    (size, *_) = (one.size for one in ahead(world, 1)[0].coming)

    assert (size.asked, size.enter, size.sample) == (400, 400, 50)
    assert abs(size.reached - 300) < 60
    assert world.app.database.statements - before < 60


def test_looking_ahead_writes_nothing(make: Make) -> None:
    world = make({"daily": wave('{every: day, at: "12:00", segment: reds}')})
    people(world, 5, colours="red")
    tables = ("customer", "enrollment", "message", "trace", "run", "voucher")
    before = [world.rows(f"SELECT * FROM {name} ORDER BY 1") for name in tables]

    ahead(world)

    assert before == [world.rows(f"SELECT * FROM {name} ORDER BY 1") for name in tables]


# --- what is closed --------------------------------------------------------------------------------------------------


def test_blackouts_and_holidays_stand_beside_the_waves_they_meet(make: Make) -> None:
    closed = """  blackout:
    - {from: "2026-12-01 18:00", to: "2026-12-02 10:00", channels: [email], reason: Stocktaking}
  holidays: {DE: ["12-03"]}
"""
    config = CONFIG.replace("queues:", closed + "queues:")
    world = make(
        {
            "mails": wave('{every: day, at: "09:00", segment: reds}'),
            "texts": wave('{every: day, at: "09:00", segment: reds}', via="[sms]"),
            "receipts": wave('{every: day, at: "09:00", segment: reds}', topic="orders"),
        },
        config,
    )
    people(world, 1, colours="red")

    found, _ = ahead(world, 14)

    assert [(one.kind, one.name, one.channels) for one in found.closed] == [
        ("blackout", "Stocktaking", ("email",)),
        ("holiday", "DE", ("sms",)),
    ]
    met = {(one.journey, one.wall.day): [each.name for each in one.closed] for one in found.coming if one.closed}
    assert met == {("mails", 2): ["Stocktaking"], ("texts", 3): ["DE"]}


# --- collisions ------------------------------------------------------------------------------------------------------


def test_two_waves_at_one_time_collide_in_those_who_are_in_both_and_priority_decides(make: Make) -> None:
    world = make(
        {
            "one": wave('{dates: ["2026-12-01 12:00"], segment: reds}', priority=40),
            "two": wave('{dates: ["2026-12-01 12:00"], segment: blues}', priority=60),
            "contract": wave('{dates: ["2026-12-01 12:00"], segment: everyone}', topic="orders"),
        }
    )
    people(world, 4, colours="red")
    people(world, 3, first=10, colours="red blue")
    people(world, 2, first=20, colours="blue")

    assert lost(ahead(world)[1]) == [("12-01", "one", "1 per day", 3, ("two",), True)]


def test_of_two_waves_on_one_day_the_later_loses_whatever_its_priority(make: Make) -> None:
    world = make(
        {
            "early": wave('{dates: ["2026-12-01 09:00"], segment: reds}', priority=10),
            "late": wave('{dates: ["2026-12-01 18:00"], segment: reds}', priority=90),
            "tomorrow": wave('{dates: ["2026-12-02 09:00"], segment: reds}'),
        }
    )
    people(world, 2, colours="red")

    assert lost(ahead(world)[1]) == [("12-01", "late", "1 per day", 2, ("early",), False)]


def test_a_cap_of_three_is_broken_by_the_fourth_wave_of_its_week(make: Make) -> None:
    days = ["2026-11-30", "2026-12-01", "2026-12-02", "2026-12-03", "2026-12-07"]
    world = make(
        {
            f"on{number}": wave(f'{{dates: ["{day} 12:00"], segment: {segment}}}')
            for number, (day, segment) in enumerate(zip(days, ["reds", "reds", "blues", "reds", "reds"], strict=True))
        }
    )
    people(world, 5, colours="red")
    people(world, 2, first=10, colours="red blue")

    assert lost(ahead(world)[1]) == [("12-03", "on3", "3 per week", 2, ("on0", "on1", "on2"), False)]


TWO_DAYS_LATER = wave('{dates: ["2026-12-01 12:00"], segment: reds}').replace(
    "steps: [", "steps: [{id: first, send: note, via: [email]}, {wait_for: Page Viewed, within: 2d}, "
)


def test_the_later_messages_of_a_wave_count_where_their_waits_bring_them(make: Make) -> None:
    world = make(
        {
            "two": TWO_DAYS_LATER,
            "between": wave('{dates: ["2026-12-02 12:00"], segment: reds}'),
            "other": wave('{dates: ["2026-12-03 18:00"], segment: reds}'),
        }
    )
    people(world, 3, colours="red")

    found = ahead(world)[1]

    assert lost(found) == [
        ("12-03", "other", "1 per day", 3, ("two",), False),
        ("12-03", "other", "3 per week", 3, ("two", "between", "two"), False),
    ]
    assert [[f"{wall:%m-%d %H:%M}" for wall, _ in one.winners] for one in found] == [
        ["12-03 13:00"],
        ["12-01 12:00", "12-02 13:00", "12-03 13:00"],
    ]


def test_a_wave_may_lose_its_own_people_to_its_own_first_message(make: Make) -> None:
    world = make({"two": TWO_DAYS_LATER.replace("within: 2d", "within: 2h")})
    people(world, 3, colours="red")

    (one,) = ahead(world)[1]

    assert (one.journey, one.people, f"{one.wall:%m-%d %H:%M}") == ("two", 3, "12-01 15:00")
    assert [(f"{wall:%H:%M}", name) for wall, name in one.winners] == [("12:00", "two")]


def test_no_more_collide_than_enter(make: Make) -> None:
    one = wave('{dates: ["2026-12-01 12:00"], segment: reds}', more="at_most: 4")
    held = "holdout: 50%\ngoal: {event: Order Completed, within: 9d}"
    world = make(
        {
            "few": one,
            "many": wave('{dates: ["2026-12-01 18:00"], segment: reds}'),
            "half": wave('{dates: ["2026-12-02 18:00"], segment: reds}', more=held),
            "late": wave('{dates: ["2026-12-02 19:00"], segment: reds}'),
        },
        CONFIG.replace(", {at_most: 3, per: week}", ""),
    )
    people(world, 20, colours="red")

    found, collided = ahead(world)
    half = next(coming.size for coming in found.coming if coming.journey == "half")

    assert 0 < half.held_out < 20
    assert lost(collided) == [
        ("12-01", "many", "1 per day", 4, ("few",), False),
        ("12-02", "late", "1 per day", 20 - half.held_out, ("half",), False),
    ]


def test_a_stage_counts_on_its_own_day_and_with_its_share(make: Make) -> None:
    world = make(
        {
            "staged": wave('{dates: ["2026-12-01 09:00"], segment: reds}', more="rollout: [20%, 100%]"),
            "first": wave('{dates: ["2026-12-01 18:00"], segment: reds}'),
            "second": wave('{dates: ["2026-12-02 18:00"], segment: reds}'),
        }
    )
    people(world, 10, colours="red")

    assert lost(ahead(world)[1]) == [
        ("12-01", "first", "1 per day", 2, ("staged",), False),
        ("12-02", "second", "1 per day", 8, ("staged",), False),
    ]


def test_a_wave_that_is_spread_counts_on_the_day_on_which_most_begin(make: Make) -> None:
    world = make(
        {
            "slow": wave('{dates: ["2026-12-01 12:00"], segment: reds}', more="spread: 2d"),
            "same": wave('{dates: ["2026-12-01 18:00"], segment: reds}'),
            "next": wave('{dates: ["2026-12-02 18:00"], segment: reds}'),
        }
    )
    people(world, 4, colours="red")

    found, collided = ahead(world)

    assert lost(collided) == [("12-02", "next", "1 per day", 4, ("slow",), False)]
    assert [one.spread for one in found.coming if one.spread] == [2 * DAY]


def test_a_journeys_own_cap_of_a_channel_counts_that_channel_only(make: Make) -> None:
    config = CONFIG.replace("caps: [{at_most: 1, per: day}, {at_most: 3, per: week}]", "caps: [{at_most: 9, per: day}]")
    own = "caps: [{at_most: 1, per: 3d, channel: sms}]"
    world = make(
        {
            "texts": wave('{dates: ["2026-12-01 12:00"], segment: reds}', via="[sms]"),
            "mails": wave('{dates: ["2026-12-02 12:00"], segment: reds}'),
            "strict": wave('{dates: ["2026-12-03 12:00"], segment: reds}', via="[sms]", more=own),
            "later": wave('{dates: ["2026-12-06 12:00"], segment: reds}', via="[sms]", more=own),
        },
        config,
    )
    people(world, 2, colours="red")

    assert lost(ahead(world)[1]) == [("12-03", "strict", "sms: 1 per 3d", 2, ("texts",), False)]


def test_a_wave_collides_with_itself_only_where_people_may_come_back(make: Make) -> None:
    twice = '{dates: ["2026-12-01 09:00", "2026-12-01 15:00"], segment: reds}'
    world = make({"again": wave(twice), "once": wave(twice.replace("reds", "blues"), again="never")})
    people(world, 2, colours="red")
    people(world, 3, first=10, colours="blue")

    assert lost(ahead(world)[1]) == [("12-01", "again", "1 per day", 2, ("again",), False)]


@settings(max_examples=12)
@given(
    st.lists(st.frozensets(st.sampled_from(["red", "blue", "green"])), min_size=1, max_size=9),
    st.lists(st.tuples(st.sampled_from(["reds", "blues", "greens"]), st.integers(0, 9)), min_size=2, max_size=4),
    st.integers(1, 2),
)
def test_whom_a_cap_costs_is_counted_as_one_would_by_hand(
    tmp_path_factory: pytest.TempPathFactory,
    colours: list[frozenset[str]],
    planned: list[tuple[str, int]],
    at_most: int,
) -> None:
    caps = f"caps: [{{at_most: {at_most}, per: day}}]"
    config = CONFIG.replace("caps: [{at_most: 1, per: day}, {at_most: 3, per: week}]", caps)
    entry = '{{dates: ["2026-12-01 12:00"], segment: {segment}}}'
    journeys = {
        f"j{number}": wave(entry.format(segment=segment), priority=priority)
        for number, (segment, priority) in enumerate(planned)
    }
    world = shop(tmp_path_factory.mktemp("shops") / "shop", journeys, config, durable=False)
    for number, mine in enumerate(colours):
        people(world, 1, first=number, colours=" ".join(sorted(mine)))
    found = {one.journey: one.people for one in ahead(world)[1]}
    world.close()

    order = sorted(range(len(planned)), key=lambda n: (-planned[n][1], f"j{n}"))
    expected: dict[str, int] = {}
    for place, number in enumerate(order):
        segment = planned[number][0].removesuffix("s")
        rivals = [planned[one][0].removesuffix("s") for one in order[:place]]
        people_lost = [one for one in colours if segment in one and sum(r in one for r in rivals) >= at_most]
        if people_lost:
            expected[f"j{number}"] = len(people_lost)
    assert found == expected

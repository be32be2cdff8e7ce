"""When waves are planned: calendars on the wall, each wall time once, whatever the clocks do."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from typing import Any

import pytest
from apscheduler.triggers.cron import CronTrigger
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.decide.planned import next_instant, planned_instants
from engine.journey.cron import MONTHS, parse_cron
from engine.journey.enter import ByWave
from engine.journey.quantities import WEEKDAYS
from tests.decide.test_timing import at, changes, on_the_wall, oracle

MINUTES = st.times().map(lambda moment: moment.replace(second=0, microsecond=0))


def wave(**keys: Any) -> ByWave:
    return ByWave(segment="silent", **keys)


def instants(a_wave: ByWave, zone: str, after: str, until: str) -> list[tuple[datetime, datetime]]:
    return list(planned_instants(a_wave, zone, at(after), at(until)))


def planned(a_wave: ByWave, zone: str, after: str, until: str) -> list[str]:
    return [f"{wall:%Y-%m-%d %H:%M}" for wall, _ in instants(a_wave, zone, after, until)]


# --- calendars -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "after", "until", "expected"),
    [
        (
            {"every": "month", "on": "31", "at": "10:00"},
            "2027-01-01",
            "2027-05-01",
            ["2027-01-31 10:00", "2027-02-28 10:00", "2027-03-31 10:00", "2027-04-30 10:00"],
        ),
        (
            {"every": "month", "on": "last", "at": "10:00"},
            "2028-01-01",
            "2028-04-01",
            ["2028-01-31 10:00", "2028-02-29 10:00", "2028-03-31 10:00"],
        ),
        (
            {"every": "month", "on": ["15", "30", "last"], "at": "10:00"},  # one day of February, though named twice
            "2027-02-01",
            "2027-04-01",
            ["2027-02-15 10:00", "2027-02-28 10:00", "2027-03-15 10:00", "2027-03-30 10:00", "2027-03-31 10:00"],
        ),
        (
            {"every": "week", "on": "tue", "at": "9:00"},
            "2026-11-22",
            "2026-12-09",
            ["2026-11-24 09:00", "2026-12-01 09:00", "2026-12-08 09:00"],
        ),
        (
            {"every": "week", "on": ["thu", "mon"], "at": "9:00"},
            "2026-11-22",
            "2026-12-01",
            ["2026-11-23 09:00", "2026-11-26 09:00", "2026-11-30 09:00"],
        ),
        (
            {"every": "week", "on": "sat-sun", "at": "9:00"},
            "2026-11-23",
            "2026-11-30",
            ["2026-11-28 09:00", "2026-11-29 09:00"],
        ),
        (
            {"every": "year", "on": ["12-24", "05-20"], "at": "18:00"},
            "2026-06-01",
            "2028-01-01",
            ["2026-12-24 18:00", "2027-05-20 18:00", "2027-12-24 18:00"],
        ),
        (
            {"every": "year", "on": "02-29", "at": "18:00"},
            "2027-01-01",
            "2029-01-01",
            ["2027-02-28 18:00", "2028-02-29 18:00"],
        ),
        (
            {"cron": "0,30 9-10 * * mon-fri"},
            "2026-11-27",
            "2026-11-30T09:10",
            ["2026-11-27 09:00", "2026-11-27 09:30", "2026-11-27 10:00", "2026-11-27 10:30", "2026-11-30 09:00"],
        ),
        (
            {"cron": "0 12 31 * *"},  # as cron has it: a month without the day has none
            "2027-01-01",
            "2027-06-01",
            ["2027-01-31 12:00", "2027-03-31 12:00", "2027-05-31 12:00"],
        ),
        (
            {"dates": ["2026-12-12 20:00", "2026-11-11"], "at": "8:00"},
            "2026-11-01",
            "2027-11-01",
            ["2026-11-11 08:00", "2026-12-12 20:00"],
        ),
        ({"dates": "2026-12-12T20:00"}, "2026-11-01", "2027-11-01", ["2026-12-12 20:00"]),
    ],
)
def test_a_wave_is_planned_on_the_days_it_names(
    keys: dict[str, Any], after: str, until: str, expected: list[str]
) -> None:
    assert planned(wave(**keys), "UTC", f"{after}+00:00", f"{until}+00:00") == expected


def test_the_span_of_a_wave_excludes_its_beginning_and_includes_its_end() -> None:
    daily = wave(every="day", at="10:00")
    assert planned(daily, "UTC", "2026-11-22T10:00Z", "2026-11-23T10:00Z") == ["2026-11-23 10:00"]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"every": "day", "at": "10:00"}, "2027-03-01T10:00Z"),
        ({"every": "month", "on": "1", "at": "9:00"}, "2027-04-01T09:00Z"),
        ({"every": "year", "on": "02-29", "at": "10:00"}, "2028-02-29T10:00Z"),
        ({"cron": "0 10 29 feb *"}, "2028-02-29T10:00Z"),
        ({"dates": ["2026-11-11"], "at": "10:00"}, None),
        ({"dates": ["2030-11-11"], "at": "10:00"}, "2030-11-11T10:00Z"),
    ],
)
def test_the_next_instant_is_found_however_far_away(keys: dict[str, Any], expected: str | None) -> None:
    found = next_instant(wave(**keys), "UTC", at("2027-03-01T09:30Z"))
    assert found == (at(expected) if expected else None)


# --- cron ------------------------------------------------------------------------------------------------------------


def _field(first: int, last: int, words: tuple[str, ...] = ()) -> st.SearchStrategy[str]:
    """One field as people write it."""

    def word(value: int) -> str:
        return words[value - first] if words else str(value)

    value = st.integers(first, last)
    pair = st.tuples(value, value).map(sorted)
    span = pair.map(lambda two: f"{word(two[0])}-{word(two[1])}")
    wide = pair.filter(lambda two: two[1] - two[0] >= 5)
    stepped = st.tuples(wide, st.integers(1, 5)).map(lambda one: f"{one[0][0]}-{one[0][1]}/{one[1]}")
    piece = st.one_of(value.map(word), span, *([] if words else [stepped]))
    return st.one_of(st.just("*"), st.just("*/2"), st.lists(piece, min_size=1, max_size=3).map(",".join))


_DAYS = st.one_of(
    st.tuples(_field(1, 28), st.just("*")),
    st.tuples(st.just("*"), _field(0, 6, WEEKDAYS)),
)


@settings(max_examples=150, deadline=None)
@given(
    _field(0, 59),
    _field(0, 23),
    _DAYS,
    _field(1, 12, MONTHS),
    st.datetimes(on_the_wall("2024-01-01"), on_the_wall("2031-01-01")),
)
def test_five_fields_mean_what_they_mean_to_another_program(
    minute: str, hour: str, days: tuple[str, str], month: str, start: datetime
) -> None:
    known = CronTrigger(minute=minute, hour=hour, day=days[0], month=month, day_of_week=days[1], timezone=UTC)
    after = start.replace(tzinfo=UTC)
    ours = wave(cron=f"{minute} {hour} {days[0]} {month} {days[1]}")
    for _ in range(3):
        expected = known.get_next_fire_time(None, after + timedelta(microseconds=1))
        assert next_instant(ours, "UTC", after) == expected
        after = expected


def test_names_of_days_and_months_may_be_written_large() -> None:
    assert parse_cron("0 10 * JAN MON") == parse_cron("0 10 * 1 mon")


def test_a_span_of_weekdays_may_run_over_the_end_of_the_week() -> None:
    assert parse_cron("0 10 * * fri-mon").weekdays == (0, 4, 5, 6)


# --- clocks that change ----------------------------------------------------------------------------------------------


def test_a_wave_at_an_hour_that_is_skipped_goes_at_the_first_instant_after_it() -> None:
    pairs = instants(wave(every="day", at="2:30"), "Europe/Berlin", "2026-03-28T12:00Z", "2026-03-29T12:00Z")
    assert pairs == [(on_the_wall("2026-03-29T02:30"), at("2026-03-29T01:00Z"))]


def test_a_wave_at_an_hour_that_happens_twice_goes_once() -> None:
    pairs = instants(wave(every="day", at="2:30"), "Europe/Berlin", "2026-10-24T12:00Z", "2026-10-25T12:00Z")
    assert pairs == [(on_the_wall("2026-10-25T02:30"), at("2026-10-25T00:30Z"))]


def test_several_times_inside_a_skipped_hour_are_one_instant() -> None:
    quarters = wave(cron="*/15 1-3 * * *")
    pairs = instants(quarters, "Europe/Berlin", "2026-03-29T00:30Z", "2026-03-29T01:15Z")
    assert [instant for _, instant in pairs] == [
        at("2026-03-29T00:45Z"),  # 01:45
        at("2026-03-29T01:00Z"),  # 02:00, 02:15, 02:30, 02:45 and 03:00
        at("2026-03-29T01:15Z"),  # 03:15
    ]


PLANS = st.one_of(
    MINUTES.map(lambda moment: {"every": "day", "at": f"{moment:%H:%M}"}),
    st.sampled_from(["*/15 * * * *", "0 * * * *", "5,35 0-3 * * *", "30 2 * * sat,sun"]).map(
        lambda text: {"cron": text}
    ),
)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), PLANS, st.lists(st.integers(0, 4 * 24 * 60), min_size=1, max_size=6))
def test_however_often_one_looks_each_planned_time_comes_once(
    pick: int, keys: dict[str, Any], looks: list[int]
) -> None:
    change = changes()[pick % len(changes())]
    start, end = change.at - timedelta(days=2), change.at + timedelta(days=2)
    looked = [start, *sorted(start + timedelta(minutes=look) for look in looks if look < 4 * 24 * 60), end]
    plan = wave(**keys)
    in_steps = [pair for after, until in pairwise(looked) for pair in planned_instants(plan, change.zone, after, until)]
    assert in_steps == list(planned_instants(plan, change.zone, start, end))
    assert in_steps == sorted(in_steps, key=lambda pair: pair[1])
    for part in zip(*in_steps, strict=True):
        assert len(set(part)) == len(part)
    assert all(instant == oracle(wall, change.zone) for wall, instant in in_steps)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), MINUTES, st.integers(2012, 2028))
def test_over_years_every_local_day_has_its_instant_once(pick: int, moment: time, year: int) -> None:
    zone = changes()[pick % len(changes())].zone
    plan = wave(every="day", at=f"{moment:%H:%M}")
    start = datetime(year, 1, 1, tzinfo=UTC)
    pairs = list(planned_instants(plan, zone, start, start.replace(year=year + 2)))
    days = [wall.date() for wall, _ in pairs]
    missing = {days[0] + timedelta(days=n) for n in range((days[-1] - days[0]).days)} - set(days)
    assert all(oracle(datetime.combine(day, moment), zone) in {instant for _, instant in pairs} for day in missing)
    assert days == sorted(set(days))
    assert len(missing) <= 1  # a day that a country crossing the date line never had

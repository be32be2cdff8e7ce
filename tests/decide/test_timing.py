"""Time as a person's own clock shows it, held against the `whenever` library in every zone there is."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import whenever
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.decide import timing
from engine.decide.timing import Closing, Dark, Quiet
from engine.journey.quantities import CalendarDay, Window, parse_days, parse_window

BERLIN = ZoneInfo("Europe/Berlin")
SHANGHAI = ZoneInfo("Asia/Shanghai")
ZONES = sorted(zoneinfo.available_timezones())
NIGHT = parse_window("21:00-08:00")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def on_the_wall(text: str) -> datetime:
    return datetime.fromisoformat(text)


def shown(instant: datetime, zone: ZoneInfo) -> str:
    return instant.astimezone(zone).strftime("%Y-%m-%d %H:%M")


# --- the oracle -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """A change of the clock somewhere: the instant, and how far the clock jumps."""

    zone: str
    at: datetime
    jump: timedelta


@cache
def changes() -> tuple[Change, ...]:
    """Every change of UTC offset from 2010 to 2030, in every zone."""
    return tuple(change for zone in ZONES for change in changes_of(zone))


def changes_of(zone: str) -> list[Change]:
    found = []
    try:
        here = whenever.Instant.from_utc(2010, 1, 1).to_tz(zone)
    except whenever.TimeZoneNotFoundError:  # "localtime" and its like are not in every library's list
        return []
    end = whenever.Instant.from_utc(2030, 1, 1)
    while (there := here.next_transition()) is not None and there.to_instant() < end:
        jump = there.to_stdlib().utcoffset() - (there.subtract(seconds=1)).to_stdlib().utcoffset()
        if jump:
            found.append(Change(zone, there.to_instant().to_stdlib().astimezone(UTC), jump))
        here = there
    return found


def oracle(wall: datetime, zone: str) -> datetime:
    """What `whenever` takes for the first instant at which the clock shows `wall` or has passed over it."""
    plain = whenever.PlainDateTime(wall.year, wall.month, wall.day, wall.hour, wall.minute, wall.second)
    try:
        zoned = plain.assume_tz(zone, disambiguation="raise")
    except whenever.RepeatedTime:
        zoned = plain.assume_tz(zone, disambiguation="earlier")
    except whenever.SkippedTime:
        before = plain.assume_tz(zone, disambiguation="earlier")
        after = before.next_transition()
        assert after is not None
        zoned = after
    return zoned.to_instant().to_stdlib().astimezone(UTC)


def wall_of(instant: datetime, zone: str) -> datetime:
    return whenever.Instant(instant).to_tz(zone).to_plain().to_stdlib()


# --- wall time to instant ---------------------------------------------------------------------------------------------


def test_Q5_every_zone_and_every_change_from_2010_to_2030_agrees_with_whenever() -> None:
    sampled = changes()[::7]
    assert len(sampled) > 1000
    for change in sampled:
        before = wall_of(change.at - timedelta(seconds=1), change.zone) + timedelta(seconds=1)
        steps = (-change.jump, timedelta(0), change.jump / 2, change.jump, timedelta(minutes=-1), timedelta(hours=30))
        for step in steps:
            wall = (before + step).replace(microsecond=0)
            assert timing.instant_of(wall, ZoneInfo(change.zone)) == oracle(wall, change.zone), (change, wall)


@given(st.sampled_from(ZONES), st.datetimes(on_the_wall("2010-01-01T00:00"), on_the_wall("2030-01-01T00:00")))
def test_Q5_any_wall_time_anywhere_agrees_with_whenever(zone: str, wall: datetime) -> None:
    wall = wall.replace(microsecond=0)
    try:
        expected = oracle(wall, zone)
    except whenever.TimeZoneNotFoundError:
        return
    assert timing.instant_of(wall, ZoneInfo(zone)) == expected


@pytest.mark.parametrize(
    ("zone", "wall", "instant"),
    [
        ("Asia/Shanghai", on_the_wall("2026-11-22T10:00"), "2026-11-22T02:00Z"),
        ("Europe/Berlin", on_the_wall("2026-03-29T02:30"), "2026-03-29T01:00Z"),  # skipped: 03:00 is the first that is
        ("Europe/Berlin", on_the_wall("2026-10-25T02:30"), "2026-10-25T00:30Z"),  # twice: the first
        ("Pacific/Apia", on_the_wall("2011-12-30T10:00"), "2011-12-30T10:00Z"),  # a whole day is skipped
        ("America/Sao_Paulo", on_the_wall("2017-10-15T00:00"), "2017-10-15T03:00Z"),  # midnight is skipped
        ("Australia/Lord_Howe", on_the_wall("2026-10-04T02:10"), "2026-10-03T15:30Z"),  # half an hour is skipped
    ],
)
def test_Q5_a_wall_time_means_its_first_instant(zone: str, wall: datetime, instant: str) -> None:
    assert timing.instant_of(wall, ZoneInfo(zone)) == at(instant)


# --- quiet hours ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "now", "opens"),
    [
        (SHANGHAI, "2026-11-22T12:59:59Z", "2026-11-22 20:59"),  # open: at once
        (SHANGHAI, "2026-11-22T13:00:00Z", "2026-11-23 08:00"),
        (SHANGHAI, "2026-11-22T23:59:59Z", "2026-11-23 08:00"),
        (SHANGHAI, "2026-11-23T00:00:00Z", "2026-11-23 08:00"),
        (BERLIN, "2026-10-24T20:00:00Z", "2026-10-25 08:00"),  # the night of 25 hours
        (BERLIN, "2026-03-28T22:00:00Z", "2026-03-29 08:00"),  # the night of 23
    ],
)
def test_a_closed_window_opens_on_the_persons_own_clock(zone: ZoneInfo, now: str, opens: str) -> None:
    assert shown(timing.first_open(at(now), zone, Quiet("night", NIGHT)), zone) == opens


def test_a_channel_without_quiet_hours_is_always_open() -> None:
    assert timing.first_open(at("2026-11-22T20:00Z"), SHANGHAI) == at("2026-11-22T20:00Z")


def test_two_windows_open_where_both_are_open() -> None:
    both = Quiet("night", NIGHT), Quiet("stricter", parse_window("07:30-10:00"))
    opens, because = timing.opening(at("2026-11-22T20:00Z"), SHANGHAI, both)
    assert (shown(opens, SHANGHAI), because) == ("2026-11-23 10:00", ("night", "stricter"))


def test_windows_that_cover_the_day_never_open() -> None:
    both = Quiet("night", NIGHT), Quiet("day", parse_window("08:00-21:00"))
    assert timing.first_open(at("2026-11-22T20:00Z"), SHANGHAI, *both) == timing.FAR


windows = st.builds(
    Window,
    st.times().map(lambda moment: moment.replace(second=0, microsecond=0)),
    st.times().map(lambda moment: moment.replace(second=0, microsecond=0)),
).filter(lambda window: window.start != window.end)


spans = st.none() | windows
near = st.integers(-2, 3).map(timedelta)
closings: st.SearchStrategy[Callable[[date], Closing]] = st.one_of(
    windows.map(lambda window: lambda day: Quiet("window", window)),
    st.tuples(spans, st.integers(0, 6)).map(lambda drawn: lambda day: Quiet("weekday", drawn[0], weekday=drawn[1])),
    st.tuples(spans, st.sets(near)).map(lambda drawn: lambda day: _holidays(day, *drawn)),
    st.tuples(near, st.times(), st.integers(1, 4000)).map(lambda drawn: lambda day: _dark(day, *drawn)),
)


def _holidays(day: date, window: Window | None, ahead: set[timedelta]) -> Closing:
    days = [day + one for one in ahead]
    return Quiet("holiday", window, days=tuple(CalendarDay(one.month, one.day, one.year) for one in days))


def _dark(day: date, ahead: timedelta, start: time, minutes: int) -> Closing:
    begins = datetime.combine(day + ahead, start.replace(second=0, microsecond=0))
    return Dark("dark", begins, begins + timedelta(minutes=minutes))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.integers(-36 * 60, 36 * 60), windows)
@example(0, 0, Window(time(0, 30), time(8)))
def test_Q1_the_opening_is_the_first_open_minute_also_when_the_clocks_change(
    pick: int, minutes: int, window: Window
) -> None:
    change = changes()[pick % len(changes())]
    zone = ZoneInfo(change.zone)
    now = (change.at + timedelta(minutes=minutes)).replace(second=0)
    minute = now
    while window.holds(minute.astimezone(zone).time()):
        minute += timedelta(minutes=1)
    assert timing.first_open(now, zone, Quiet("window", window)) == minute


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.integers(-60 * 60, 36 * 60), st.lists(closings, min_size=1, max_size=4))
def test_days_and_blackouts_open_at_the_first_open_minute_too(
    pick: int, minutes: int, drawn: list[Callable[[date], Closing]]
) -> None:
    change = changes()[pick % len(changes())]
    zone = ZoneInfo(change.zone)
    closed = [make(change.at.astimezone(zone).date()) for make in drawn]
    now = (change.at + timedelta(minutes=minutes)).replace(second=0)
    minute, end = now, now + timedelta(days=5)
    while minute < end and any(_closed(one, minute, zone) for one in closed):
        minute += timedelta(minutes=1)
    opens = timing.first_open(now, zone, *closed)
    assert opens == minute if minute < end else opens >= end


def _closed(closing: Closing, minute: datetime, zone: ZoneInfo) -> bool:
    if isinstance(closing, Quiet):
        return closing.holds(minute.astimezone(zone).replace(tzinfo=None))
    return timing.instant_of(closing.start, zone) <= minute < timing.instant_of(closing.end, zone)


# --- waiting until ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arrived", "until", "days", "expected"),
    [
        ("2026-11-22T09:00Z", time(20), None, "2026-11-22 20:00"),
        ("2026-11-22T12:00Z", time(20), None, "2026-11-22 20:00"),  # it is 20:00 already
        ("2026-11-22T12:00:01Z", time(20), None, "2026-11-23 20:00"),
        ("2026-11-22T09:00Z", time(10), ["mon-fri"], "2026-11-23 10:00"),  # from Sunday to Monday
        ("2026-11-22T09:00Z", time(10), ["sun"], "2026-11-29 10:00"),
    ],
)
def test_waiting_until_a_time_of_day(arrived: str, until: time, days: list[str] | None, expected: str) -> None:
    named = parse_days(days) if days else None
    assert shown(timing.next_time(at(arrived), SHANGHAI, until, named), SHANGHAI) == expected


def test_Q5_waiting_until_an_hour_that_happens_twice_ends_the_first_time_and_is_not_waited_for_again() -> None:
    first = timing.next_time(at("2026-10-24T22:30Z"), BERLIN, time(2, 30))
    assert first == at("2026-10-25T00:30Z")
    assert timing.next_time(first + timedelta(minutes=10), BERLIN, time(2, 30)) == at("2026-10-26T01:30Z")


@pytest.mark.parametrize(
    ("value", "shift", "expected"),
    [
        ("2026-12-24", timedelta(0), "2026-12-23T23:00Z"),  # midnight in Berlin
        ("2026-03-30", timedelta(days=-2), "2026-03-27T23:00Z"),  # still midnight, over a change of the clocks
        ("2026-12-24T18:00:00+00:00", timedelta(hours=-2), "2026-12-24T16:00Z"),
        ("2026-12-24 18:00", timedelta(0), "2026-12-24T17:00Z"),
    ],
)
def test_a_date_kept_about_a_person_names_an_instant_where_they_are(
    value: str, shift: timedelta, expected: str
) -> None:
    assert timing.date_kept(value, BERLIN, shift) == at(expected)


@pytest.mark.parametrize("value", [None, "", "soon", "2026-02-30", 17])
def test_what_is_no_date_names_no_instant(value: Any) -> None:
    assert timing.date_kept(value, BERLIN) is None


def test_a_date_beyond_all_plans_is_far_and_not_an_error() -> None:
    assert timing.date_kept("9999-12-31", ZoneInfo("America/New_York")) == timing.FAR
    assert timing.later(at("2026-11-22T00:00Z"), timedelta(days=10**8)) == timing.FAR


# --- the person's own day and week ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("instant", "zone", "day", "week"),
    [
        ("2026-11-22T15:59Z", "Asia/Shanghai", date(2026, 11, 22), (2026, 47)),
        ("2026-11-22T16:00Z", "Asia/Shanghai", date(2026, 11, 23), (2026, 48)),  # Monday there, Sunday in UTC
        ("2026-10-25T22:59Z", "Europe/Berlin", date(2026, 10, 25), (2026, 43)),  # the 25th hour
        ("2027-01-01T10:00Z", "UTC", date(2027, 1, 1), (2026, 53)),
    ],
)
def test_C3_a_day_and_a_week_are_the_persons_own(instant: str, zone: str, day: date, week: tuple[int, int]) -> None:
    assert timing.day_of(at(instant), ZoneInfo(zone)) == day
    assert timing.week_of(at(instant), ZoneInfo(zone)) == week


# --- working hours ----------------------------------------------------------------------------------------------------

OFFICE = parse_window("09:00-18:00")
WORKDAYS = parse_days("mon-fri")


@pytest.mark.parametrize(
    ("start", "span", "expected"),
    [
        ("2026-11-23T09:00+08:00", 9, "2026-11-23 18:00"),  # Monday's whole shift
        ("2026-11-23T17:00+08:00", 2, "2026-11-24 10:00"),
        ("2026-11-23T07:00+08:00", 1, "2026-11-23 10:00"),  # before the doors open
        ("2026-11-27T17:30+08:00", 1, "2026-11-30 09:30"),  # Friday evening to Monday
        ("2026-11-22T12:00+08:00", 24, "2026-11-25 15:00"),  # Sunday: 9 + 9 + 6 hours
    ],
)
def test_a_task_is_due_after_so_many_working_hours(start: str, span: int, expected: str) -> None:
    due = timing.work_done(at(start), timedelta(hours=span), SHANGHAI, OFFICE, WORKDAYS)
    assert shown(due, SHANGHAI) == expected


def test_a_queue_that_never_closes_counts_every_hour() -> None:
    assert timing.work_done(at("2026-11-22T12:00Z"), timedelta(hours=24), BERLIN, None) == at("2026-11-23T12:00Z")


def test_whole_days_of_work_count_around_the_clock_of_those_days() -> None:
    due = timing.work_done(at("2026-11-27T23:00+08:00"), timedelta(hours=2), SHANGHAI, None, WORKDAYS)
    assert shown(due, SHANGHAI) == "2026-11-30 01:00"


def test_a_night_shift_belongs_to_the_day_it_begins() -> None:
    friday = parse_days("fri")
    night, saturday = parse_window("22:00-06:00"), at("2026-11-28T03:00+08:00")
    due = timing.work_done(saturday, timedelta(hours=4), SHANGHAI, night, friday)
    assert shown(due, SHANGHAI) == "2026-12-04 23:00"  # three hours of the night after Friday, one of the next Friday


@settings(deadline=None)
@given(
    st.datetimes(on_the_wall("2026-01-01T00:00"), on_the_wall("2027-01-01T00:00")),
    st.integers(1, 60 * 60),
    windows,
    st.frozensets(st.integers(0, 6), min_size=1),
)
def test_working_time_between_start_and_due_is_what_was_asked_for(
    start: datetime, minutes: int, hours: Window, days: frozenset[int]
) -> None:
    begin = start.replace(second=0, microsecond=0, tzinfo=UTC)
    zone = ZoneInfo("UTC")
    due = timing.work_done(begin, timedelta(minutes=minutes), zone, hours, days)
    worked, minute = 0, begin
    if due - begin > timedelta(days=40):  # counting minute by minute would take too long
        return
    while minute < due:
        over_midnight = hours.start > hours.end and minute.time() < hours.end
        shift_day = (minute - timedelta(days=1) if over_midnight else minute).weekday()
        worked += hours.holds(minute.time()) and shift_day in days
        minute += timedelta(minutes=1)
    assert worked == minutes

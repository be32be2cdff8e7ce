"""The rate of a lane: whatever is granted, whenever it leaves, no window holds more than its rate allows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.decide.pace import KEPT, Grant, counting, ended, room, room_again, with_grant
from engine.journey.quantities import Misread, Pace, parse_pace

START = datetime(2026, 11, 24, 9, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@st.composite
def days_at_a_lane(draw: st.DrawFn) -> tuple[Pace, list[tuple[float, int, float, float]]]:
    """A pace, and who comes: seconds since the last one, how many, how long their slice takes, and of that how late
    each message leaves."""
    pace = Pace(draw(st.integers(1, 40)), timedelta(seconds=draw(st.sampled_from([1, 10, 60]))))
    come = st.tuples(st.floats(0, 20), st.integers(1, 30), st.floats(0, 70), st.floats(0, 1))
    return pace, draw(st.lists(come, min_size=1, max_size=80))


@given(days_at_a_lane())
def test_D15_no_window_holds_more_than_the_rate_however_workers_overlap(
    drawn: tuple[Pace, list[tuple[float, int, float, float]]],
) -> None:
    """Broken by hand: with grants that count from when they were made, windows held up to twice the rate."""
    pace, comers = drawn
    grants: tuple[Grant, ...] = ()
    now, left, ends = START, [], []
    for number, (after, wanted, takes, late) in enumerate(comers):
        now += timedelta(seconds=after)
        for name, at in [one for one in ends if one[1] <= now]:
            grants = ended(grants, name, at)
        ends = [one for one in ends if one[1] > now]
        count = min(wanted, room(grants, pace, now))
        if count:
            grants = with_grant(grants, pace, now, Grant(str(number), now + 70 * SECOND, count))
            ends.append((str(number), now + timedelta(seconds=takes)))
            left += [now + timedelta(seconds=takes * late * nth / count) for nth in range(1, count + 1)]
        assert len(grants) <= KEPT
    left.sort()
    for first, one in enumerate(left):
        assert sum(one <= other < one + pace.per for other in left[first:]) <= pace.at_most


@given(st.lists(st.tuples(st.floats(-200, 70), st.integers(1, 9)), max_size=70), st.integers(1, 30))
def test_there_is_room_again_when_it_says_and_not_before(ends: list[tuple[float, int]], most: int) -> None:
    pace = Pace(most, timedelta(seconds=60))
    grants = tuple(Grant(str(n), START + timedelta(seconds=at), count) for n, (at, count) in enumerate(ends))
    again = room_again(grants, pace, START)
    assert room(grants, pace, again) > 0
    if again > START:
        assert room(grants, pace, again - timedelta(microseconds=1)) == 0
        assert room(grants, pace, START) == 0


def test_what_no_longer_counts_is_forgotten() -> None:
    pace = Pace(5, SECOND)
    grants = with_grant((), pace, START, Grant("a", START, 5))
    assert room(grants, pace, START) == 0
    assert counting(grants, pace, START + SECOND) == ()
    assert room(grants, pace, START + SECOND) == 5


@pytest.mark.parametrize(
    ("text", "most", "per"),
    [
        ("100/s", 100, SECOND),
        ("600 / m", 600, 60 * SECOND),
        ("20000/h", 20_000, 3600 * SECOND),
        ("50000 per day", 50_000, 86_400 * SECOND),
    ],
)
def test_a_rate_is_a_number_and_a_time(text: str, most: int, per: timedelta) -> None:
    assert parse_pace(text) == Pace(most, per)


@pytest.mark.parametrize("text", ["100", "100/x", "0/s", "-1/s", "many/s", "1.5/s", ""])
def test_anything_else_is_told_with_a_cure(text: str) -> None:
    with pytest.raises(Misread, match="100/s"):
        parse_pace(text)

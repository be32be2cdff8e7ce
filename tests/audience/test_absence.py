"""Silence, to the instant: held against a look at every minute, and the query for all against the look at one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.audience.absence import Absence
from engine.audience.audience import Audience
from engine.audience.values import Happening, Person
from engine.audience.view import View
from engine.journey.conditions import Condition, Field, FieldKind, Test, Word
from tests.audience.conftest import World

START = datetime(2026, 11, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BIG: Condition = Test(Field(FieldKind.event, "total"), Word.at_least, Decimal(10))


def view(created: int, events: list[tuple[int, str, int]], number: int = 1) -> View:
    """Minutes after START: first known, and what happened (when, its name, its total)."""
    person = Person(number, f"c-{number}", ZoneInfo("UTC"), "en", None, START + created * MINUTE)
    happened = [
        Happening(number * 1000 + n, name, START + at * MINUTE, {"total": total}, START + at * MINUTE)
        for n, (at, name, total) in enumerate(events)
    ]
    return View(person, happened, Audience())


def heard(absence: Absence, one: View) -> list[int]:
    """The minutes at which what breaks the silence was heard."""
    return sorted(
        int((event.at - START) / MINUTE)
        for event in one.happenings
        if event.name == absence.event and (absence.where is None or event.payload["total"] >= 10)
    )


def is_silent(absence: Absence, one: View, minute: int) -> bool:
    """By the words of the page: nothing for so long, or nothing ever and known for so long."""
    return minute - last_heard(absence, one, minute) >= int(absence.span / MINUTE)


def last_heard(absence: Absence, one: View, minute: int) -> int:
    before = [at for at in heard(absence, one) if at <= minute]
    return before[-1] if before else int((one.person.created_at - START) / MINUTE)


EVENTS = st.lists(st.tuples(st.integers(0, 60), st.sampled_from(["Seen", "Other"]), st.integers(5, 15)), max_size=6)
ABSENCES = st.builds(
    Absence, st.just("Seen"), st.integers(1, 25).map(lambda n: n * MINUTE), st.sampled_from([None, BIG])
)


@given(ABSENCES, st.integers(0, 60), EVENTS, st.integers(0, 90), st.integers(0, 90))
def test_every_silence_is_complete_once_at_the_minute_from_which_on_nothing_was_heard(
    absence: Absence, created: int, events: list[tuple[int, str, int]], since: int, until: int
) -> None:
    one = view(created, events)
    span = int(absence.span / MINUTE)
    is_new = not any(at <= since - span for at in heard(absence, one))
    found = absence.complete(one, START + since * MINUTE, START + until * MINUTE, is_new)
    told = [(int((begin - START) / MINUTE), int((at - START) / MINUTE)) for begin, at in found]
    assert told == [
        (minute - span, minute)
        for minute in range(since + 1, until + 1)
        if is_silent(absence, one, minute) and minute - span == last_heard(absence, one, minute)
    ]


@given(ABSENCES, st.integers(0, 60), EVENTS, st.lists(st.integers(0, 90), max_size=4))
def test_however_often_one_looks_each_silence_is_found_once(
    absence: Absence, created: int, events: list[tuple[int, str, int]], looks: list[int]
) -> None:
    one = view(created, events)
    instants = [START - MINUTE, *sorted(START + look * MINUTE for look in looks), START + 90 * MINUTE]
    whole = absence.complete(one, instants[0], instants[-1], True)
    in_steps = []
    for since, until in pairwise(instants):
        span = int(absence.span / MINUTE)
        is_new = not any(START + at * MINUTE <= since - span * MINUTE for at in heard(absence, one))
        in_steps += absence.complete(one, since, until, is_new)
    assert in_steps == whole


def agree(world: World, absence: Absence, crowd: list[View], minute: int) -> None:
    at = START + minute * MINUTE
    told = world.ask(crowd, absence.is_silent(Audience(), at), absence.is_unheard(Audience(), at))
    for one in crowd:
        silent, unheard = map(bool, told[one.person.id])
        assert silent is is_silent(absence, one, minute)
        assert unheard is not any(at <= minute for at in heard(absence, one))


CROWDS = st.lists(st.tuples(st.integers(0, 60), EVENTS), min_size=1, max_size=6).map(
    lambda people: [view(created, events, number) for number, (created, events) in enumerate(people, start=1)]
)


@settings(max_examples=60)
@given(ABSENCES, CROWDS, st.integers(60, 90))
def test_sqlite_finds_exactly_the_silent(sqlite: World, absence: Absence, crowd: list[View], minute: int) -> None:
    agree(sqlite, absence, crowd, minute)


@settings(max_examples=30)
@given(ABSENCES, CROWDS, st.integers(60, 90))
def test_postgresql_finds_exactly_the_silent(
    postgresql: World, absence: Absence, crowd: list[View], minute: int
) -> None:
    agree(postgresql, absence, crowd, minute)

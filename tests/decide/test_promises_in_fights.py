"""The promises about caps, consent and quiet hours, over thousands of random fights (see `fight`); each by its number.

`python3 dev.py promises` plays many more. Others of their kind: C1 between real processes in
tests/work/test_four_processes.py, N8 to N10 and Q3 in tests/work/test_consent.py, Q5 in tests/decide/test_timing.py.

Broken by hand, one after the other, and what failed then:

- the door counts nothing: C1; it counts `unknown` as nothing: C2; days in UTC: C1 and C3
- a cap that forgets its channel: C4; its tag: C1
- reasons without the messages that fill the cap: C4 and C5
- the weaker one leaves first, a refusal still fills a place, equals are displaced: C5
- no consent at the door: N1 and N2; a yes to a receipt taken for one to marketing: N1
- no quiet hours at the door, holidays or blackouts forgotten: Q1; held for too short: Q4
- what waits counts as nothing: C5; a month of 30 days, an older word over a later one: `test_policy.py`
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.decide.customer import decide
from engine.decide.decision import Rule
from engine.decide.door import Hold, Leave, Settle, at_the_door
from engine.decide.outcome import COUNTS, MessageState
from engine.decide.state import Said
from engine.settings import Cap
from engine.values import replace
from tests.decide.fight import Fact, Fight, ended_by, fought
from tests.decide.world import apply

SEEDS = 1_500
seeds = st.integers(0, SEEDS - 1)
many = settings(max_examples=400, deadline=None)
NEW_YEAR = time(0)


@pytest.fixture(scope="module", autouse=True)
def forgotten() -> Iterator[None]:
    """A thousand fights are much to keep in mind."""
    yield
    fought.cache_clear()


def began(fight: Fight) -> Iterator[Fact]:
    return (fact for fact in fight.facts if isinstance(fact.verdict, Leave))


def caps_of(fact: Fact) -> tuple[Cap, ...]:
    live = fact.rules.graphs[fact.rules.live[fact.said.journey]]
    every = (*fact.rules.policy.caps, *live.head.caps)
    about = (cap for cap in every if _about(cap, fact.said))
    return tuple(cap for cap in about if fact.said.marketing or cap.purpose == "transactional")


def _about(cap: Cap, said: Said) -> bool:
    purposes = {"any": (True, False), "marketing": (True,), "transactional": (False,)}
    return (
        said.marketing in purposes[cap.purpose]
        and cap.channel in (None, said.channel)
        and cap.topic in (None, said.topic)
        and (cap.tag is None or cap.tag in said.tags)
    )


def _together(cap: Cap, one: datetime, other: datetime, zone: ZoneInfo) -> bool:
    mine, theirs = one.astimezone(zone), other.astimezone(zone)
    match cap.per:
        case "day":
            return mine.date() == theirs.date()
        case "week":
            return mine.date() - timedelta(mine.weekday()) == theirs.date() - timedelta(theirs.weekday())
        case "month":
            return mine.date().replace(day=1) == theirs.date().replace(day=1)
        case length:
            return abs(one - other) < length


def _out(fact: Fact) -> list[Said]:
    """What has begun and was not proved to be refused, with this one."""
    others = [one for one in fact.state.said if one.state in COUNTS and one.begun and one.id != fact.said.id]
    return [*others, replace(fact.said, counts_at=fact.now)]


def _units(cap: Cap, said: list[Said]) -> int:
    return len({one.id for one in said} if cap.channel else {one.touch_id for one in said})


# --- caps ------------------------------------------------------------------------------------------------------------


@many
@given(seeds)
def test_C1_no_cap_is_ever_exceeded_whoever_decided_what(seed: int) -> None:
    fight = fought(seed)
    for fact in began(fight):
        zone = fact.state.person.zone
        for cap in caps_of(fact):
            here = [one for one in _out(fact) if _about(cap, one) and _together(cap, one.counts_at, fact.now, zone)]
            assert _units(cap, here) <= cap.at_most, cap.name


@many
@given(seeds)
def test_C2_what_may_have_gone_counts_like_what_has(seed: int) -> None:
    fight = fought(seed)
    for fact in fight.facts:
        unknown = tuple(
            replace(one, state=MessageState.unknown) if one.state is MessageState.accepted else one
            for one in fact.state.said
        )
        again = at_the_door(fact.said, replace(fact.state, said=unknown), fact.rules, fact.now)
        assert type(again) is type(fact.verdict)
        if isinstance(again, Settle) and isinstance(fact.verdict, Settle):
            assert again.sentence == fact.verdict.sentence


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [("Europe/Berlin", "2026-10-25", 25), ("Europe/Berlin", "2026-03-29", 23), ("Asia/Shanghai", "2026-10-25", 24)],
)
@settings(max_examples=60, deadline=None)
@given(minutes=st.tuples(st.integers(0, 1499), st.integers(0, 1499)))
def test_C3_calendar_caps_use_the_persons_own_day_also_of_23_or_25_hours(
    minutes: tuple[int, int], zone: str, day: str, hours: int
) -> None:
    from engine.decide.caps import full_at_the_door
    from tests.decide.world import said

    where = ZoneInfo(zone)
    midnight = datetime.fromisoformat(f"{day}T00:00").replace(tzinfo=where).astimezone(ZoneInfo("UTC"))
    first, second = (midnight + timedelta(minutes=one) for one in minutes)
    other = said(1, counts_at=first)
    mine = said(2, counts_at=second, state=MessageState.queued, begun=False)
    full = full_at_the_door(mine, [other], (Cap(at_most=1, per="day"),), second, where)
    one_day = [minute < hours * 60 for minute in minutes]
    assert (full is not None) == (one_day[0] == one_day[1])


@many
@given(seeds)
def test_C4_what_a_cap_held_back_names_the_cap_and_the_messages_that_filled_it(seed: int) -> None:
    fight = fought(seed)
    for fact in fight.facts:
        if ended_by(fact, Rule.capped) and isinstance(fact.verdict, Settle) and fact.verdict.detail:
            detail = fact.verdict.detail
            (cap, *_) = [one for one in caps_of(fact) if one.name == detail["cap"]]
            filling = [one for one in fact.state.said if one.id in detail["filled_by"]]
            assert len(filling) == len(detail["filled_by"])
            assert all(_about(cap, one) for one in filling)
            zone = fact.state.person.zone
            for one in filling:  # what waits goes now at the earliest
                assert _together(cap, one.counts_at if one.begun else fact.now, fact.now, zone)
            assert _units(cap, filling) >= cap.at_most
            assert [one["message_id"] for one in detail["winners"]] == detail["filled_by"]
            assert all(one["journey"] and one["step"] and one["state"] for one in detail["winners"])
    for _, before, decision in fight.decisions:
        for row in decision.unsent:
            if row.rule is Rule.capped:
                assert row.detail["cap"]
                assert row.detail["winners"]
                assert set(row.detail["filled_by"]) <= {one.id for one in before.said}


@many
@given(seeds)
def test_C5_of_what_waits_the_one_that_goes_first_goes_and_the_losers_reason_names_it(seed: int) -> None:
    fight = fought(seed)
    for fact in fight.facts:
        if ended_by(fact, Rule.capped) and isinstance(fact.verdict, Settle) and fact.verdict.detail:
            books = {one.id: one for one in fact.state.said}
            for number in fact.verdict.detail["filled_by"]:
                one = books[number]
                assert one.begun or _first(one) < _first(fact.said)
    for fact in began(fight):
        others = [one for one in fact.state.said if one.state in COUNTS and one.touch_id != fact.said.touch_id]
        ahead = [
            one if one.begun else replace(one, counts_at=fact.now)
            for one in others
            if one.begun or _first(one) < _first(fact.said)
        ]
        for cap in caps_of(fact):
            zone = fact.state.person.zone
            here = [one for one in ahead if _about(cap, one) and _together(cap, one.counts_at, fact.now, zone)]
            assert _units(cap, here) < cap.at_most
    for _, before, decision in fight.decisions:
        books = {one.id: one for one in before.said}
        for back in decision.take_back:
            if back.rule is Rule.displaced:
                lost, (winner,) = books[back.message_id], back.detail["winners"]
                (want,) = [one for one in decision.wants if one.enrollment.id == winner["enrollment_id"]]
                assert (-want.priority, want.send_by) < (-lost.priority, lost.send_by)
                assert back.detail["cap"]
                assert want.enrollment.journey in back.sentence


@many
@given(seeds)
def test_C5_a_place_freed_by_a_refusal_is_free_at_once(seed: int) -> None:
    fight = fought(seed)
    for fact in fight.facts:
        if ended_by(fact, Rule.capped) and isinstance(fact.verdict, Settle) and fact.verdict.detail:
            gone = frozenset(fact.verdict.detail["filled_by"])
            for state_ in (MessageState.rejected, MessageState.expired, MessageState.cancelled):
                freed = tuple(replace(one, state=state_) if one.id in gone else one for one in fact.state.said)
                again = at_the_door(fact.said, replace(fact.state, said=freed), fact.rules, fact.now)
                assert not isinstance(again, Settle) or again.detail.get("cap") != fact.verdict.detail["cap"]


def _first(said: Said) -> tuple[int, datetime, datetime, int]:
    return -said.priority, said.send_by, said.counts_at, said.id


# --- consent ---------------------------------------------------------------------------------------------------------


@many
@given(seeds)
def test_N1_no_marketing_begins_without_a_yes_that_names_channel_purpose_source_and_time(seed: int) -> None:
    fight = fought(seed)
    for fact in began(fight):
        if fact.said.marketing:
            yes = [
                word
                for word in fact.state.consents
                if word.granted and word.channel == fact.said.channel and word.topic in ("*", fact.said.topic)
            ]
            assert any(word.purpose == "marketing" and word.source and word.at for word in yes)


@many
@given(seeds)
def test_N2_N3_nothing_begins_against_a_no_that_is_known_when_it_begins(seed: int) -> None:
    fight = fought(seed)
    for fact in began(fight):
        about = [word for word in fact.state.consents if word.channel == fact.said.channel]
        own = [word for word in about if word.topic == fact.said.topic]
        assert all(word.granted for word in own)
        for general in (word for word in about if word.topic == "*" and not word.granted):
            assert any(word.at > general.at for word in own)
        assert fact.said.channel not in fact.state.suppressed


# --- quiet hours -----------------------------------------------------------------------------------------------------


@many
@given(seeds)
def test_Q1_Q2_no_marketing_begins_when_it_is_quiet_where_the_person_is(seed: int) -> None:
    fight = fought(seed)
    for fact in began(fight):
        person, rules = fact.state.person, fact.rules.policy
        wall = fact.now.astimezone(person.zone)
        if not fact.said.marketing:
            continue
        country = person.country or "CN"
        if fact.said.channel in ("sms", "push"):
            assert time(8) <= wall.time() < time(21)
            assert not any(day.is_on(wall.date()) for day in rules.holidays.get(country, ()))
        if fact.said.channel == "sms" and country == "DE":
            assert wall.weekday() != 6
        if fact.said.channel == "wechat":
            assert time(10) <= wall.time() < time(20)
        for dark in rules.blackout:
            assert not dark.from_.start <= wall.replace(tzinfo=None) < dark.to.end


@many
@given(seeds)
def test_Q4_what_is_held_says_until_when_and_may_go_then(seed: int) -> None:
    fight = fought(seed)
    for fact in fight.facts:
        if isinstance(fact.verdict, Hold):
            until = fact.verdict.until
            shown = until.astimezone(fact.state.person.zone).isoformat(" ")[:16]
            assert fact.now < until <= fact.said.send_by
            assert f"held until {shown}" in fact.verdict.sentence
            alone = replace(fact.state, said=())
            if "quiet" in fact.verdict.sentence or "blackout" in fact.verdict.sentence:
                assert isinstance(at_the_door(fact.said, alone, fact.rules, until), Leave)
                assert isinstance(at_the_door(fact.said, alone, fact.rules, until - timedelta(seconds=1)), Hold)


@many
@given(seeds)
def test_Q6_a_clock_that_is_put_back_lets_nothing_begin_twice(seed: int) -> None:
    fight = fought(seed)
    for number in {fact.said.id for fact in began(fight)}:
        times = [fact for fact in began(fight) if fact.said.id == number]
        assert len(times) <= 1 + fight.retried.get(number, 0)


@many
@given(seeds, st.integers(0, 10))
def test_Q7_a_process_whose_clock_is_behind_leaves_nobody_due_for_ever(seed: int, minutes: int) -> None:
    """Looked at again and again, everyone stands at a later instant, also where another process wrote a later one."""
    fight = fought(seed)
    now = fight.now - timedelta(minutes=minutes)
    due = tuple(replace(way, due_at=now) if way.active else way for way in fight.state.enrollments)
    known = replace(fight.state, enrollments=due)
    for _ in range(1 + len(due)):  # each time one of them may lose its place to a stronger one and be looked at again
        known = apply(known, decide(known, fight.rules, now), now)
    for way in known.enrollments:
        assert not way.active or way.due_at is None or way.due_at > now, way


# --- the fights are worth it -----------------------------------------------------------------------------------------


def test_fights_are_full_of_everything() -> None:
    """The properties above mean something only if the fights reach what they speak of."""
    seen: set[str] = set()
    for fight in map(fought, range(800)):
        for fact in fight.facts:
            rule = getattr(fact.verdict, "rule", None)
            seen.add(type(fact.verdict).__name__ + (f" {rule.value}" if rule else ""))
            if isinstance(fact.verdict, Leave):
                seen.add(f"{fact.said.channel} leaves")
                seen.update(one.state.value for one in fact.state.said)
            if isinstance(fact.verdict, Hold | Settle):
                seen.update(
                    word for word in ("quiet", "holiday", "Sunday", "blackout", "gap") if word in fact.verdict.sentence
                )
            if ended_by(fact, Rule.capped) and isinstance(fact.verdict, Settle) and fact.verdict.detail:
                seen.update(f"cap per {cap.per}" for cap in caps_of(fact) if cap.name == fact.verdict.detail["cap"])
        seen.update(back.rule.value for _, _, one in fight.decisions for back in one.take_back)
    wanted = {"Leave", "Hold deferred", "Settle capped", "Settle late", "Settle no_consent", "displaced"}
    wanted |= {"sms leaves", "push leaves", "email leaves", "wechat leaves", "quiet", "holiday", "blackout", "gap"}
    wanted |= {"cap per day", "cap per week", "cap per month", "unknown", "retry", "rejected"}
    assert wanted - seen == set()

"""Promises over many random customers: caps, quiet hours, consent, order, idempotence, plan instants, traces."""

from __future__ import annotations

import random as dice
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.decide.customer import decide
from engine.decide.decision import Decision, Rule
from engine.decide.outcome import COUNTS, MessageState
from engine.decide.state import Consented, CustomerState, Rules, Said
from engine.journey.graph import Graph
from engine.journey.quantities import parse_window
from engine.settings import Cap, Policy
from engine.values import replace
from tests.decide.world import CHANNELS, START, World, apply, codes, journey, person, policy, rules_for, state

HOUR = timedelta(hours=1)

JOURNEYS: tuple[Graph, ...] = (
    journey(
        """
enter: {event: Order, where: {total: {at_least: 1}}}
again: {per: order_id}
leave: [{event: Cancelled}]
ends_after: 72h
goal: {event: Order, within: 30d}
steps:
  - wait: 6h
  - {send: on_its_way, via: [wechat, push, sms, email], give_up_after: 6h}
  - wait_for: Delivered
    within: 48h
    otherwise: [{send: coming, via: [sms, push]}, {exit: not_there}]
  - wait: {until: "10:00"}
  - {send: how_to, via: [email, wechat]}
  - branch:
      - if: {message.how_to: sent}
        then: [{task: call, queue: desk, due: 9h, outcomes: {reached: [], angry: [{send: sorry, via: [sms, email]}]}}]
      - otherwise: [{give: coupons}, {send: voucher, via: [push, sms, email]}]
""",
        "golden",
    ),
    journey(
        """
topic: offers
enter: {event: Lost}
again: {after: 2d}
leave: [{event: Order}]
priority: 20
steps:
  - {send: miss_you, via: [push, email]}
  - wait_for: [{event: Visit}, {message: miss_you, is: clicked}]
    within: 1d
    then: [{send: still_thinking, via: [push, sms]}, {exit: came_back}]
  - split: offer
    variants: {plain: 50%, coupon: {share: 50%, steps: [{give: coupons}]}}
  - {send: come_back, via: [sms, email], give_up_after: 3h}
""",
        "wave",
    ),
    journey(
        """
enter: {event: Risk}
again: always
priority: 90
holdout: 10%
caps: [{at_most: 1, per: day}]
steps:
  - {send: letter, via: [sms, email], give_up_after: 2h}
  - wait: 3h
  - {send: pack, via: [wechat, email], topic: offers}
""",
        "vip",
    ),
    journey(
        """
topic: orders
enter: {event: Order}
again: {per: order_id}
steps:
  - {send: receipt, via: [email, sms]}
""",
        "receipts",
    ),
)

ZONES = ("Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
STARTS = ("2026-11-22T02:00Z", "2026-10-24T22:30Z", "2026-03-28T23:00Z", "2026-11-01T04:00Z", "2026-04-04T13:00Z")
OUTCOMES = (*[MessageState.accepted] * 4, MessageState.unknown, MessageState.rejected, MessageState.retry)
EVENTS = (*["Order"] * 4, "Lost", "Lost", "Risk", "Risk", "Visit", "Delivered", "Cancelled", "Click")
WAITS = (0, 1, 10, 60, 60, 180, 180, 400, 600, 1440)  # minutes
YES = tuple(Consented(channel, "*", True, START - timedelta(days=99), "import") for channel in CHANNELS)


@dataclass(frozen=True)
class Moment:
    """A state somebody looks at, and when."""

    state: CustomerState
    rules: Rules
    now: datetime
    decision: Decision


@cache
def life(seed: int) -> tuple[Moment, ...]:
    """Moments of one random customer's life, in order."""
    chance = dice.Random(seed)
    world = World(_someone(chance), rules_for(*JOURNEYS, policy=_some_policy(chance)), _some_night(chance))
    moments: tuple[Moment, ...] = []
    for _ in range(chance.randint(20, 70)):
        _something_happens(chance, world)
        moments.append(Moment(world.state, world.rules, world.now, world.step()))
    return tuple(moments)


def _someone(chance: dice.Random) -> CustomerState:
    channels = chance.sample(CHANNELS, chance.choice((1, 2, 3, 4, 4, 4)))
    words = {(word.channel, word.topic): word for word in YES}
    for _ in range(chance.choice((0, 0, 0, 1, 2, 4))):
        channel, topic = chance.choice(CHANNELS), chance.choice(("*", "care", "offers", "orders"))
        at = START - timedelta(days=chance.randint(1, 90))
        words[channel, topic] = Consented(channel, topic, chance.random() < 0.6, at, "web")
    return state(
        person=person(
            zone=ZoneInfo(chance.choice(ZONES)),
            addresses={channel: f"x@{channel}.example.com" for channel in channels},
            external_id=f"c-{chance.randint(0, 60)}",
        ),
        consents=tuple(words.values()),
        suppressed=frozenset(chance.sample(CHANNELS, chance.choice((0, 0, 0, 1)))),
        codes=codes("coupons", *["AB-1", "AB-2"][: chance.randint(0, 2)]),
    )


def _some_policy(chance: dice.Random) -> Policy:
    some = tuple(
        Cap(
            at_most=chance.randint(1, 3),
            per=chance.choice(["day", "day", "week", 30 * HOUR]),
            channel=chance.choice([None, None, "sms", "email"]),
        )
        for _ in range(chance.choice((0, 1, 1, 2)))
    )
    return policy(
        caps=some,
        least_gap=chance.choice((0, 0, 2, 5)) * HOUR,
        quiet_hours={channel: parse_window("21:00-08:00") for channel in ("sms", "push", "wechat")},
        max_lateness=chance.choice((1, 12, 12, 48)) * HOUR,
    )


def _some_night(chance: dice.Random) -> datetime:
    """An instant in a year, often in a night of clock change."""
    day = datetime.fromisoformat(chance.choice(STARTS))
    return day + chance.choice((0, 0, 9, 90 * 24)) * HOUR


def _something_happens(chance: dice.Random, world: World) -> None:
    match chance.choices(("event", "wait", "news", "word", "task", "pause"), (30, 35, 40, 2, 5, 3))[0]:
        case "event":
            _event(chance, world)
        case "wait":
            world.now += timedelta(minutes=chance.choice(WAITS))
        case "news":
            waiting = [one for one in world.state.said if one.state in (MessageState.queued, MessageState.retry)]
            if waiting:
                world.settle_message(chance.choice(waiting).id, chance.choice(OUTCOMES))
        case "word":
            _word(chance, world)
        case "task":
            for one in world.state.tasks:
                if one.outcome is None:
                    world.close_task(one.id, chance.choice(("reached", "angry")))
        case _:
            paused = frozenset(chance.sample(("golden", "wave"), chance.choice((0, 0, 1))))
            world.rules = replace(world.rules, paused=paused)


def _event(chance: dice.Random, world: World) -> None:
    what = chance.choice(EVENTS)
    late = timedelta(minutes=chance.choice((0, 0, 0, 30, 300)))
    if what == "Click":
        world.event("Message Clicked", world.now - late, message="miss_you", journey="wave")
    else:
        world.event(what, world.now - late, order_id=f"o-{chance.randint(1, 4)}", total=50)


def _word(chance: dice.Random, world: World) -> None:
    new = Consented(chance.choice(CHANNELS), chance.choice(("care", "*")), chance.random() < 0.5, world.now, "web")
    kept = [one for one in world.state.consents if (one.channel, one.topic) != (new.channel, new.topic)]
    world.state = replace(world.state, consents=(*kept, new))


lives = st.integers(0, 300).map(life)
many = settings(max_examples=120)


# --- caps and gaps ---------------------------------------------------------------------------------------------------


@many
@given(lives)
def test_C1_no_cap_is_ever_exceeded(moments: tuple[Moment, ...]) -> None:
    for moment in moments:
        if moment.decision.wants:
            after = apply(moment.state, moment.decision, moment.now)
            counted = [one for one in after.said if one.marketing and one.state in COUNTS]
            for limit in moment.rules.policy.caps:
                assert _most(limit, counted, after.person.zone) <= limit.at_most, limit.name


def _most(limit: Cap, counted: list[Said], zone: ZoneInfo) -> int:
    """The most that any day, week or rolling window holds."""
    spoken: dict[object, set[object]] = defaultdict(set)
    for one in counted:
        if limit.channel in (None, one.channel):
            name = one.id if limit.channel else one.touch_id
            for span in _spans(limit, one, counted, zone):
                spoken[span].add(name)
    return max((len(names) for names in spoken.values()), default=0)


def _spans(limit: Cap, one: Said, counted: list[Said], zone: ZoneInfo) -> Iterator[object]:
    local = one.counts_at.astimezone(zone)
    match limit.per:
        case "day":
            yield local.date()
        case "week":
            yield local.isocalendar()[:2]
        case timedelta() as length:
            yield from (other.id for other in counted if other.counts_at - length < one.counts_at <= other.counts_at)


@many
@given(lives)
def test_two_touches_are_never_closer_than_the_least_gap(moments: tuple[Moment, ...]) -> None:
    for moment in moments:
        if moment.decision.wants:
            after = apply(moment.state, moment.decision, moment.now)
            counted = [one for one in after.said if one.marketing and one.state in COUNTS]
            for one in counted:
                near = [other for other in counted if other.touch_id != one.touch_id]
                apart = [abs(one.counts_at - other.counts_at) for other in near]
                assert all(gap >= moment.rules.policy.least_gap for gap in apart)


@many
@given(lives)
def test_C4_what_a_cap_held_back_names_the_cap_and_who_fills_it(moments: tuple[Moment, ...]) -> None:
    for moment in moments:
        for row in moment.decision.unsent:
            assert row.sentence
            if row.rule is Rule.capped:
                assert row.detail["cap"]
                assert row.detail["winners"]
                known = {one.id for one in moment.state.said}
                assert set(row.detail["filled_by"]) <= known


@many
@given(lives)
def test_C5_only_what_is_weaker_and_has_not_begun_is_displaced(moments: tuple[Moment, ...]) -> None:
    for moment in moments:
        books = {one.id: one for one in moment.state.said}
        strongest = min(((-want.priority, want.send_by) for want in moment.decision.wants), default=None)
        for back in moment.decision.take_back:
            if back.rule is Rule.displaced:
                lost = books[back.message_id]
                assert lost.state is MessageState.queued
                assert not lost.begun
                assert strongest is not None
                assert strongest < (-lost.priority, lost.send_by)


# --- time and consent ------------------------------------------------------------------------------------------------


@many
@given(lives)
def test_Q1_no_marketing_sms_or_push_is_wanted_in_quiet_hours_where_the_person_is(moments: tuple[Moment, ...]) -> None:
    for moment in moments:
        clock = moment.now.astimezone(moment.state.person.zone).time()
        for want in moment.decision.wants:
            if want.marketing and want.channel in ("sms", "push"):
                assert time(8) <= clock < time(21)


@many
@given(lives)
def test_N1_N2_nothing_is_wanted_without_consent_or_against_a_word(moments: tuple[Moment, ...]) -> None:
    for moment in moments:
        for want in moment.decision.wants:
            words_on = [one for one in moment.state.consents if one.channel == want.channel]
            about = sorted((one for one in words_on if one.topic in (want.topic, "*")), key=lambda one: one.at)
            if want.marketing:
                assert any(one.granted for one in about)
            assert not about or about[-1].granted  # the latest word of all is never a no
            assert all(one.granted for one in about if one.topic == want.topic)
            assert want.channel not in moment.state.suppressed
            assert moment.state.person.addresses[want.channel]


@many
@given(lives)
def test_D22_what_is_wanted_is_in_time(moments: tuple[Moment, ...]) -> None:
    for moment in moments:
        patience = moment.rules.policy.max_lateness
        for want in moment.decision.wants:
            assert want.due_at <= moment.now <= want.send_by
            assert moment.now - want.due_at <= patience


@many
@given(lives)
def test_who_is_held_out_causes_nothing_outside_but_what_a_contract_asks_for(moments: tuple[Moment, ...]) -> None:
    for moment in moments:
        held = {way.id for way in moment.state.enrollments if way.holdout}
        decision = moment.decision
        assert not [one for one in decision.wants if one.enrollment.id in held and one.marketing]
        assert not [one for one in decision.unsent if one.enrollment.id in held and one.marketing]
        assert not [one for one in decision.open_tasks if one.enrollment.id in held]
        assert not [one for one in decision.given if one.enrollment_id in held]


@many
@given(lives)
def test_no_code_is_given_twice(moments: tuple[Moment, ...]) -> None:
    given_codes = [one.code.code for moment in moments for one in moment.decision.given]
    assert len(set(given_codes)) == len(given_codes)


# --- decisions as such -----------------------------------------------------------------------------------------------


@many
@given(lives, st.integers(0, 99))
def test_the_order_of_what_is_known_does_not_matter(moments: tuple[Moment, ...], seed: int) -> None:
    chance = dice.Random(seed)
    for moment in moments:
        parts = {
            name: tuple(chance.sample(value, len(value)))
            for name in CustomerState.__struct_fields__
            if isinstance(value := getattr(moment.state, name), tuple)
        }
        shuffled = replace(
            moment.state, **parts, codes={pool: tuple(reversed(some)) for pool, some in moment.state.codes.items()}
        )
        assert decide(shuffled, moment.rules, moment.now) == moment.decision


@many
@given(lives)
def test_deciding_again_at_the_same_instant_adds_nothing(moments: tuple[Moment, ...]) -> None:
    for moment in moments:
        state_, decision = moment.state, moment.decision
        for _ in range(4):  # who lost a place is woken and moves on once more
            state_ = apply(state_, decision, moment.now)
            woken = bool(decision.take_back)
            decision = decide(state_, moment.rules, moment.now)
            if not woken:
                break
        assert decision == Decision(moment.state.person.id)


@many
@given(lives, st.integers(1, 60 * 24 * 6))
def test_looking_later_never_finds_an_earlier_plan(moments: tuple[Moment, ...], minutes: int) -> None:
    for moment in moments[-20:]:
        later = decide(moment.state, moment.rules, moment.now + timedelta(minutes=minutes))
        before = {(way.id, way.step): way.arrived_at for way in moment.decision.moves}
        for way in later.moves:
            assert way.arrived_at >= before.get((way.id, way.step), way.arrived_at)
        wanted = {(want.enrollment.id, want.step, want.wish): want.due_at for want in moment.decision.wants}
        for want in later.wants:
            key = (want.enrollment.id, want.step, want.wish)
            assert want.due_at >= wanted.get(key, want.due_at)


@many
@given(lives)
def test_every_change_of_a_way_leaves_a_trace_that_names_file_and_line(moments: tuple[Moment, ...]) -> None:
    for moment in moments:
        told = {trace.enrollment_id for trace in moment.decision.traces}
        assert {way.id for way in moment.decision.moves} <= told
        assert all(trace.sentence and trace.file and trace.line for trace in moment.decision.traces)
        speaks = {want.enrollment.id for want in moment.decision.wants}
        speaks |= {row.enrollment.id for row in moment.decision.unsent}
        assert speaks <= told


@many
@given(lives)
def test_who_stays_is_looked_at_again_or_waits_for_an_answer_that_can_come(moments: tuple[Moment, ...]) -> None:
    for moment in moments:
        after = apply(moment.state, moment.decision, moment.now)
        on_the_way = {
            (one.enrollment_id, one.step)
            for one in after.said
            if one.state in (MessageState.queued, MessageState.sending, MessageState.retry)
        }
        for way in after.enrollments:
            if way.active and way.due_at is None:
                assert (way.id, way.step) in on_the_way


@many
@given(lives)
def test_D9_every_wish_has_at_most_one_row(moments: tuple[Moment, ...]) -> None:
    last = moments[-1]
    rows = [
        (one.enrollment_id, one.step, one.visit, one.wish) for one in apply(last.state, last.decision, last.now).said
    ]
    assert len(set(rows)) == len(rows)


def test_random_lives_are_full_of_everything() -> None:
    """The properties above mean something only if the random lives reach what they speak of."""
    seen: set[str] = set()

    for moment in (moment for seed in range(150) for moment in life(seed)):
        seen.update(trace.rule.value for trace in moment.decision.traces)
        seen.update(f"want {want.channel}" for want in moment.decision.wants)
        seen.update(f"unsent {row.rule.value}" for row in moment.decision.unsent)
        seen.update(f"back {back.rule.value}" for back in moment.decision.take_back)
        seen.update(f"wish {want.wish}" for want in moment.decision.wants)
    rules = {"moved", "waits", "sends", "deferred", "holdout", "capped", "displaced", "late", "failed", "answered"}
    rules |= {"unanswered", "branched", "split", "given", "empty", "task", "left", "ended", "paused", "unreachable"}
    rules |= {f"want {channel}" for channel in CHANNELS} | {"wish 0", "wish 1", "wish 2"}
    rules |= {"unsent capped", "unsent late", "unsent no_consent", "back left", "back displaced"}
    assert rules - seen == set()

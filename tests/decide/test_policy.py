"""Caps, gaps, places taken over, consent: each rule as a table, judged as of the instant a message would go."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from engine.decide.caps import full_at_the_door, gap_at_the_door
from engine.decide.customer import decide
from engine.decide.decision import Decision, Rule
from engine.decide.outcome import MessageState
from engine.decide.policy import last_word
from engine.decide.state import Consented, Said
from engine.journey.graph import Graph
from engine.journey.quantities import parse_window
from engine.settings import Cap
from engine.values import replace
from tests.decide.world import (
    START,
    World,
    at,
    cap,
    journey,
    person,
    policy,
    rules_for,
    said,
    shown,
    state,
    way,
)

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = parse_window("21:00-08:00")


def plan(name: str = "plan", via: str = "email", head: str = "", more: str = "") -> Graph:
    return journey(f"{head}\nsteps:\n  - {{send: hello, via: {via}{more}}}\n  - {{wait: 90d, id: after}}", name)


def judged(
    *books: Said, now: datetime = START, graph: Graph | None = None, arrived: datetime | None = None, **about: Any
) -> Decision:
    """Someone with these messages on the books reaches a `send` at `now`."""
    graph = graph or plan()
    when = arrived or now
    zone = about.pop("zone", ZoneInfo("Asia/Shanghai"))
    known = state(way(graph, entered_at=when, arrived_at=when), said=books, person=person(zone=zone))
    return decide(known, rules_for(graph, policy=policy(**about)), now)


def outcome(decision: Decision) -> str:
    """sent, the rule that spoke, or the instant it waits for."""
    if decision.wants:
        return "sent"
    if decision.unsent:
        return decision.unsent[0].rule.value
    return shown(decision.moves[0].due_at)


def counted(when: str, number: int = 100, **about: Any) -> Said:
    return said(number, counts_at=at(when), **about)


# --- what counts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state_", "counts"),
    [
        (MessageState.queued, True),
        (MessageState.sending, True),
        (MessageState.retry, True),
        (MessageState.repeat, True),
        (MessageState.unknown, True),
        (MessageState.accepted, True),
        (MessageState.delivered, True),
        (MessageState.bounced, True),
        (MessageState.complained, True),
        (MessageState.rejected, False),
        (MessageState.dead, False),
        (MessageState.expired, False),
        (MessageState.suppressed, False),
        (MessageState.cancelled, False),
    ],
)
def test_what_went_or_may_have_gone_or_is_on_its_way_fills_a_cap(state_: MessageState, counts: bool) -> None:
    decision = judged(said(state=state_), now=START + HOUR, caps=(cap(1, "day"),))
    assert outcome(decision) == ("capped" if counts else "sent")


def test_transactional_messages_fill_no_cap_and_make_no_gap() -> None:
    assert outcome(judged(said(marketing=False), caps=(cap(1, "day"),), least_gap=HOUR)) == "sent"


@pytest.mark.parametrize(
    ("the_cap", "when", "now", "full"),
    [
        (cap(1, "day"), "11-22 00:00", "11-22 23:59", True),
        (cap(1, "day"), "11-21 23:59", "11-22 00:00", False),  # the person's own midnight
        (cap(1, "week"), "11-16 00:00", "11-22 23:59", True),  # Monday to Sunday
        (cap(1, "week"), "11-15 23:59", "11-16 00:00", False),
        (cap(1, "month"), "11-01 00:00", "11-30 23:59", True),
        (cap(1, "month"), "10-31 23:59", "11-01 00:00", False),
        (cap(1, 30 * DAY), "10-23 10:01", "11-22 10:00", True),
        (cap(1, 30 * DAY), "10-23 10:00", "11-22 10:00", False),  # half-open: thirty days ago is out
        (cap(1, "day", "email"), "11-22 09:00", "11-22 10:00", True),
        (cap(1, "day", "sms"), "11-22 09:00", "11-22 10:00", False),  # another channel's
        (cap(2, "day"), "11-22 09:00", "11-22 10:00", False),
    ],
)
def test_a_cap_counts_the_persons_own_day_and_week_and_rolling_spans(
    the_cap: Cap, when: str, now: str, full: bool
) -> None:
    assert outcome(judged(counted(when), now=at(now), caps=(the_cap,))) == ("capped" if full else "sent")


@pytest.mark.parametrize(
    ("first", "second", "same_day"),
    [
        ("10-25 00:00", "10-25 23:59", True),  # a day of 25 hours
        ("10-25 23:59", "10-26 00:00", False),
        ("03-29 00:00", "03-29 23:59", True),  # a day of 23 hours
        ("03-28 23:59", "03-29 00:00", False),
    ],
)
def test_a_day_of_23_or_25_hours_is_one_day(first: str, second: str, same_day: bool) -> None:
    book = said(counts_at=at(first, BERLIN))
    decision = judged(book, now=at(second, BERLIN), zone=BERLIN, caps=(cap(1, "day"),))
    assert outcome(decision) == ("capped" if same_day else "sent")


def test_all_wishes_of_one_touch_count_once_for_totals_and_each_for_its_channel() -> None:
    one_touch = [
        said(101, touch_id=5, enrollment_id=50, wish=0, channel="sms", state=MessageState.unknown),
        said(102, touch_id=5, enrollment_id=50, wish=1, channel="email"),
    ]
    assert outcome(judged(*one_touch, now=START + HOUR, caps=(cap(2, "day"),))) == "sent"
    assert outcome(judged(*one_touch, now=START + HOUR, caps=(cap(2, "day", "email"),))) == "sent"
    assert outcome(judged(*one_touch, now=START + HOUR, caps=(cap(1, "day", "email"),))) == "capped"


@pytest.mark.parametrize(
    ("the_cap", "full"),
    [
        ({"topic": "care"}, True),
        ({"topic": "offers"}, False),  # nothing of that topic was said
        ({"topic": "care", "channel": "email"}, True),
        ({"topic": "care", "channel": "sms"}, False),
        ({"tag": "sale"}, True),
        ({"tag": "news"}, False),  # the message that would go is no news
        ({"purpose": "marketing"}, True),
        ({"purpose": "transactional"}, False),
        ({"purpose": "any"}, True),
    ],
)
def test_a_cap_counts_what_it_names_and_holds_back_what_it_names(the_cap: dict[str, Any], full: bool) -> None:
    graph = plan(head="tags: [summer]", more=", tags: [sale]")
    book = said(tags=frozenset({"sale", "news"}))
    limit = Cap(at_most=1, per="day", **the_cap)
    assert outcome(judged(book, now=START + HOUR, graph=graph, caps=(limit,))) == ("capped" if full else "sent")


@pytest.mark.parametrize(
    ("purpose", "receipt", "letter"),
    [("marketing", "sent", "sent"), ("transactional", "capped", "sent"), ("any", "sent", "capped")],
)
def test_what_belongs_to_a_contract_counts_and_is_held_back_only_if_a_cap_says_so(
    purpose: Any, receipt: str, letter: str
) -> None:
    book = said(marketing=False, topic="orders")
    limit = (Cap(at_most=1, per="day", purpose=purpose),)
    assert outcome(judged(book, now=START + HOUR, graph=plan(head="topic: orders"), caps=limit)) == receipt
    assert outcome(judged(book, now=START + HOUR, caps=limit)) == letter


def test_tags_are_those_of_the_live_journey_and_of_the_step_and_are_kept_with_the_message() -> None:
    (want,) = judged(graph=plan(head="tags: [summer]", more=", tags: [sale]")).wants
    assert want.tags == {"summer", "sale"}


def test_a_gap_of_one_channel_is_between_its_own_messages() -> None:
    gaps = {"email": 6 * HOUR}
    assert outcome(judged(counted("11-22 07:00"), least_gap=HOUR, gap_by_channel=gaps)) == "11-22 13:00"
    assert outcome(judged(counted("11-22 07:00", channel="sms"), least_gap=HOUR, gap_by_channel=gaps)) == "sent"


def test_a_full_channel_leaves_the_next_wish_and_a_full_total_leaves_none() -> None:
    graph = plan(via="[sms, email]")
    book = said(channel="sms")
    assert judged(book, now=START + HOUR, graph=graph, caps=(cap(1, "day", "sms"),)).wants[0].channel == "email"
    assert outcome(judged(book, now=START + HOUR, graph=graph, caps=(cap(1, "day"),))) == "capped"


def test_a_journeys_own_caps_are_asked_besides() -> None:
    graph = plan(head="caps: [{at_most: 1, per: week}]")
    assert outcome(judged(counted("11-20 10:00"), graph=graph, caps=(cap(2, "week"),))) == "capped"


def test_the_row_of_a_capped_message_names_the_cap_and_the_messages_that_fill_it() -> None:
    books = [counted("11-22 08:00", 11, message="a"), counted("11-22 09:00", 12, message="b", priority=80)]
    (row,) = judged(*books, caps=(cap(2, "day"), cap(9, "week"))).unsent
    assert (row.state, row.rule) == (MessageState.suppressed, Rule.capped)
    assert row.sentence == "email: the cap 2 per day is full: a (other), b (other)"
    assert (row.detail["cap"], row.detail["filled_by"]) == ("2 per day", [11, 12])
    assert row.detail["winners"][1] == {
        "message_id": 12,
        "enrollment_id": 912,
        "journey": "other",
        "step": "send-hello",
        "message": "b",
        "channel": "email",
        "priority": 80,
        "state": "accepted",
    }


# --- two people, one address -----------------------------------------------------------------------------------------


def test_messages_to_another_person_at_the_same_address_count_on_their_channel_only() -> None:
    theirs = said(channel="email", theirs=True)
    assert outcome(judged(theirs, now=START + HOUR, caps=(cap(1, "day"),))) == "capped"
    assert outcome(judged(theirs, now=START + HOUR, caps=(cap(1, "day", "email"),))) == "capped"
    assert outcome(judged(theirs, now=START + HOUR, graph=plan(via="sms"), caps=(cap(1, "day"),))) == "sent"


def test_a_message_to_another_person_is_never_taken_back() -> None:
    theirs = said(theirs=True, state=MessageState.queued, begun=False, priority=1)
    assert outcome(judged(theirs, now=START + HOUR, caps=(cap(1, "day"),))) == "capped"


# --- the least gap ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("11-22 08:00", "sent"),  # two hours ago: over
        ("11-22 08:01", "11-22 10:01"),
        ("11-22 10:00", "11-22 12:00"),
        ("11-22 11:00", "11-22 13:00"),  # on the books for later
        ("11-22 12:00", "sent"),
    ],
)
def test_a_gap_to_other_touches_is_waited_for(when: str, expected: str) -> None:
    assert outcome(judged(counted(when), least_gap=2 * HOUR)) == expected


def test_a_gap_that_ends_after_the_deadline_is_a_cap_that_is_full() -> None:
    graph = plan(more=", give_up_after: 1h")
    (row,) = judged(counted("11-22 09:30", 11), graph=graph, least_gap=2 * HOUR).unsent
    assert (row.rule, row.detail["cap"], row.detail["filled_by"]) == (Rule.capped, "least gap 2h", [11])


def test_a_gap_that_ends_in_quiet_hours_lasts_until_they_are_over() -> None:
    graph = plan(via="sms")
    decision = judged(
        counted("11-22 20:00"), now=at("11-22 20:30"), graph=graph, least_gap=2 * HOUR, quiet_hours={"sms": NIGHT}
    )
    assert outcome(decision) == "11-23 08:00"


def test_after_a_gap_the_plans_instant_is_its_end() -> None:
    graph = plan()
    decision = judged(
        counted("11-22 09:00"), now=at("11-22 11:30"), arrived=at("11-22 10:00"), graph=graph, least_gap=2 * HOUR
    )
    assert shown(decision.wants[0].due_at) == "11-22 11:00"


# --- at the instant it would go --------------------------------------------------------------------------------------


def test_a_cap_that_is_full_today_does_not_matter_to_what_goes_tomorrow() -> None:
    decision = judged(
        counted("11-22 15:00"),
        now=at("11-22 22:00"),
        graph=plan(via="sms"),
        caps=(cap(1, "day"),),
        quiet_hours={"sms": NIGHT},
    )
    assert outcome(decision) == "11-23 08:00"


def test_a_cap_that_will_be_full_at_the_opening_leaves_the_next_wish() -> None:
    graph = plan(via="[sms, email]")
    caps = (cap(1, "week", "sms"),)
    night = {"sms": NIGHT}
    decision = judged(
        counted("11-17 15:00", channel="sms"), now=at("11-20 22:00"), graph=graph, caps=caps, quiet_hours=night
    )
    assert decision.wants[0].channel == "email"


def test_what_will_be_capped_at_its_opening_goes_on_from_now_and_not_from_then() -> None:
    decision = judged(
        counted("11-22 15:00", channel="sms"),
        now=at("11-22 22:00"),
        graph=plan(via="sms"),
        caps=(cap(1, 20 * HOUR),),
        quiet_hours={"sms": NIGHT},
    )
    assert outcome(decision) == "capped"
    assert (decision.moves[0].step, shown(decision.moves[0].arrived_at)) == ("after", "11-22 22:00")


def test_what_is_capped_at_its_opening_goes_on_from_there() -> None:
    night = {"sms": NIGHT}
    decision = judged(
        counted("11-23 07:00", channel="email"),
        now=at("11-23 08:00"),
        arrived=at("11-22 22:00"),
        graph=plan(via="sms"),
        caps=(cap(1, "day"),),
        quiet_hours=night,
    )
    assert outcome(decision) == "capped"
    assert (decision.moves[0].step, shown(decision.moves[0].arrived_at)) == ("after", "11-23 08:00")


# --- taking over a place ---------------------------------------------------------------------------------------------


def queued(number: int, priority: int, when: datetime = START, **about: Any) -> Said:
    return said(number, counts_at=when, state=MessageState.queued, begun=False, priority=priority, **about)


def test_a_message_of_lower_priority_that_has_not_begun_gives_up_its_place() -> None:
    graph = plan(head="priority: 90")
    decision = judged(queued(11, 50), now=START + HOUR, graph=graph, caps=(cap(1, "day"),))
    assert outcome(decision) == "sent"
    (back,) = decision.take_back
    assert (back.message_id, back.rule) == (11, Rule.displaced)
    assert back.sentence == "hello of plan (priority 90) takes its place"


def test_who_loses_a_place_is_looked_at_again_at_once_and_told_why() -> None:
    low, high = plan("low"), plan("high", head="priority: 90")
    rules = rules_for(low, high, policy=policy(caps=(cap(1, "day"),)))
    known = state(way(low, 7, step="send-hello", due_at=None), way(high, 8, version_id=2))
    known = replace(known, said=(queued(11, 50, enrollment_id=7, step="send-hello", journey="low"),))
    decision = decide(known, rules, START + HOUR)
    assert [(move.id, move.step, move.due_at) for move in decision.moves if move.id == 7] == [
        (7, "send-hello", START + HOUR)
    ]
    (trace,) = [trace for trace in decision.traces if trace.enrollment_id == 7]
    assert (trace.rule, trace.step, trace.file) == (Rule.displaced, "send-hello", "journeys/low.yaml")
    assert trace.sentence == "hello of high (priority 90) takes its place"


def test_of_equal_priority_the_one_that_has_to_go_sooner_takes_the_place() -> None:
    graph = plan(head="priority: 90", more=", give_up_after: 2h")
    decision = judged(queued(11, 90), now=START + HOUR, graph=graph, caps=(cap(1, "day"),))
    (back,) = decision.take_back
    assert back.sentence == "hello of plan (as important, and it has to go sooner) takes its place"
    assert back.detail["cap"] == "1 per day"
    assert [one["step"] for one in back.detail["winners"]] == ["send-hello"]


@pytest.mark.parametrize(
    "held",
    [
        queued(11, 90),  # equal priority, and it has to go sooner
        queued(11, 90, send_by=START + HOUR + DAY),  # full equals: the one that has the place keeps it
        queued(11, 95),
        said(11, state=MessageState.sending, priority=10),  # begun
        said(11, state=MessageState.queued, begun=True, priority=10),
        said(11, state=MessageState.accepted, priority=10),
        said(11, state=MessageState.unknown, priority=10),
    ],
)
def test_no_other_message_gives_up_its_place(held: Said) -> None:
    decision = judged(held, now=START + HOUR, graph=plan(head="priority: 90"), caps=(cap(1, "day"),))
    assert outcome(decision) == "capped"
    assert decision.take_back == ()


def test_the_weakest_and_latest_goes_first_and_no_more_than_needed() -> None:
    graph = plan(head="priority: 90")
    books = [queued(11, 50), queued(12, 30), queued(13, 30, START + HOUR)]
    decision = judged(*books, now=START + 2 * HOUR, graph=graph, caps=(cap(3, "day"),))
    assert [back.message_id for back in decision.take_back] == [13]


def test_a_place_is_taken_over_only_if_every_full_cap_has_one() -> None:
    graph = plan(head="priority: 90")
    books = [queued(11, 50), counted("11-17 10:00", 12)]
    decision = judged(*books, now=START + HOUR, graph=graph, caps=(cap(1, "day"), cap(1, "week")))
    assert [back.message_id for back in decision.take_back] == []
    assert outcome(decision) == "capped"
    both = judged(books[0], now=START + HOUR, graph=graph, caps=(cap(1, "day"), cap(1, "week")))
    assert [back.message_id for back in both.take_back] == [11]  # one place, for both caps


def test_a_gap_is_waited_for_and_taken_over_only_when_there_is_no_time() -> None:
    patient = plan(head="priority: 90")
    assert outcome(judged(queued(11, 50), graph=patient, least_gap=2 * HOUR)) == "11-22 12:00"
    hasty = plan(head="priority: 90", more=", give_up_after: 1h")
    decision = judged(queued(11, 50), graph=hasty, least_gap=2 * HOUR)
    assert [back.message_id for back in decision.take_back] == [11]
    assert outcome(decision) == "sent"


def test_who_lost_a_place_goes_on_as_capped() -> None:
    low, high = plan("low"), plan("high", head="priority: 90")
    rules = rules_for(low, high, policy=policy(caps=(cap(1, "day"),)))
    world = World(state(way(low, 7)), rules, START)
    world.step()  # queued, not handed over
    world.now += HOUR
    world.begin("high")
    world.settle()
    assert [(one.journey, one.state.value) for one in world.state.said] == [("low", "cancelled"), ("high", "accepted")]
    assert {way.journey: way.step for way in world.state.enrollments} == {"low": "after", "high": "after"}
    assert Rule.displaced in [trace.rule for trace in world.traces if trace.journey == "low"]


# --- several ways at one instant -------------------------------------------------------------------------------------


def several(*ways: tuple[int, str, datetime], caps: tuple[Cap, ...] = (cap(1, "day"),)) -> Decision:
    """Ways of (priority, give_up_after, entered_at), all at a `send` at START."""
    graphs = [
        plan(f"plan_{number}", head=f"priority: {priority}", more=f", give_up_after: {patience}")
        for number, (priority, patience, _) in enumerate(ways, start=1)
    ]
    standing = [
        way(graph, number, version_id=number, entered_at=entered, arrived_at=START)
        for number, (graph, (_, _, entered)) in enumerate(zip(graphs, ways, strict=True), start=1)
    ]
    return decide(state(*standing), rules_for(*graphs, policy=policy(caps=caps)), START)


EARLIER = START - HOUR


@pytest.mark.parametrize(
    ("ways", "winner"),
    [
        ([(50, "24h", START), (90, "24h", START)], 2),  # the higher priority
        ([(50, "24h", START), (50, "6h", START)], 2),  # the sooner to expire
        ([(50, "24h", START), (50, "24h", EARLIER)], 2),  # the older
        ([(50, "24h", START), (50, "24h", START)], 1),  # the earlier number
        ([(50, "1h", EARLIER), (90, "24h", START)], 2),  # priority before everything
    ],
)
def test_the_one_that_goes_first_fills_the_cap_and_the_other_names_it(
    ways: list[tuple[int, str, datetime]], winner: int
) -> None:
    decision = several(*ways)
    assert [want.enrollment.id for want in decision.wants] == [winner]
    (row,) = decision.unsent
    assert row.detail["filled_by"] == []  # it has no number yet
    assert [one["journey"] for one in row.detail["winners"]] == [f"plan_{winner}"]


def test_the_second_of_one_instant_waits_for_the_gap() -> None:
    graphs = [plan("a", head="priority: 60"), plan("b")]
    ways = [way(graphs[0], 1, version_id=1), way(graphs[1], 2, version_id=2)]
    decision = decide(state(*ways), rules_for(*graphs, policy=policy(least_gap=2 * HOUR)), START)
    assert [want.enrollment.id for want in decision.wants] == [1]
    assert [shown(move.due_at) for move in decision.moves if move.id == 2] == ["11-22 12:00"]


def test_a_place_freed_by_leaving_is_free_in_the_same_decision() -> None:
    leaver, other = journey("leave: [{event: Stop}]\nsteps: [{send: bye, via: email}]", "leaver"), plan("other_one")
    rules = rules_for(leaver, other, policy=policy(caps=(cap(1, "day"),)))
    world = World(state(way(leaver, 7)), rules, START)
    world.step()
    world.now += HOUR
    world.event("Stop")
    world.begin("other_one")
    decision = world.step()
    assert [back.rule for back in decision.take_back] == [Rule.left]
    assert [want.message for want in decision.wants] == ["hello"]


# --- consent ---------------------------------------------------------------------------------------------------------


def word(topic: str, granted: bool, day: int) -> Consented:
    return Consented("email", topic, granted, START - timedelta(days=30 - day), "web")


@pytest.mark.parametrize(
    ("words", "granted"),
    [
        ([], None),
        ([word("care", True, 1)], True),
        ([word("*", True, 1)], True),
        ([word("offers", True, 1)], None),
        ([word("care", False, 1)], False),
        ([word("care", False, 1), word("*", True, 2)], False),  # a no to the topic outlives a general yes
        ([word("*", False, 1), word("care", True, 2)], True),  # asked anew, said yes to this topic
        ([word("care", True, 1), word("*", False, 2)], False),
        ([word("care", True, 1), word("*", False, 1)], False),  # at one instant the no holds
        ([word("*", True, 1), word("care", False, 2)], False),
        ([word("care", True, 1), word("care", False, 2)], False),
        ([word("care", False, 1), word("care", True, 2)], True),
        ([word("*", False, 1), word("*", True, 2)], True),
    ],
)
def test_the_word_that_decides(words: list[Consented], granted: bool | None) -> None:
    for order in (words, words[::-1]):
        found = last_word(order, "email", "care")
        assert (found.granted if found else None) is granted
    assert last_word(words, "sms", "care") is None


# --- at the door -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("others", "now", "full"),
    [
        ([], "11-23 09:00", None),
        ([counted("11-23 08:00", 11)], "11-23 09:00", "the cap 1 per day is full: hello (other)"),
        ([counted("11-22 23:00", 11)], "11-23 09:00", None),
        ([counted("11-23 08:00", 11, state=MessageState.expired)], "11-23 09:00", None),
        ([counted("11-23 08:00", 11, enrollment_id=50)], "11-23 09:00", None),  # another wish of the same touch
        ([counted("11-23 08:00", 11, theirs=True)], "11-23 09:00", "the cap 1 per day is full: hello (other)"),
        ([counted("11-23 08:00", 11, theirs=True, channel="sms")], "11-23 09:00", None),
    ],
)
def test_a_cap_is_asked_again_at_the_door(others: list[Said], now: str, full: str | None) -> None:
    mine = said(50, enrollment_id=50, counts_at=at("11-22 23:50"))
    found = full_at_the_door(mine, others, (cap(1, "day"),), at(now), person().zone)
    assert (found.sentence if found else None) == full


def waiting(number: int, **about: Any) -> Said:
    return said(number, **{"state": MessageState.queued, "begun": False, **about})


@pytest.mark.parametrize(
    ("beside", "goes"),
    [
        ({"priority": 60}, False),
        ({"priority": 40}, True),
        ({"send_by": START + HOUR}, False),  # as important, and it has to go sooner
        ({"send_by": START + 3 * DAY}, True),
        ({"counts_at": START - HOUR}, False),  # a full equal that is older
        ({"counts_at": START + HOUR}, True),
        ({"state": MessageState.retry, "priority": 60}, False),  # proved not taken, will be tried again
        ({"state": MessageState.repeat, "begun": True, "priority": 1}, False),  # it may be out
        ({"state": MessageState.sending, "begun": True, "priority": 1}, False),  # what has begun has begun
        ({"state": MessageState.rejected, "priority": 90}, True),  # a refusal frees the place
        ({"priority": 60, "theirs": True}, True),  # of people who share an address the first to leave goes
    ],
)
def test_of_two_that_wait_for_one_place_the_one_that_goes_first_leaves(beside: dict[str, Any], goes: bool) -> None:
    mine, other = waiting(50, send_by=START + DAY), waiting(51, **{"send_by": START + DAY, **beside})
    found = full_at_the_door(mine, [other], (cap(1, "day"),), START, person().zone)
    assert (found is None) == goes
    if found:
        assert (found.detail["cap"], found.detail["filled_by"]) == ("1 per day", [51])


def test_what_waits_since_yesterday_fills_the_day_on_which_it_can_go() -> None:
    mine = waiting(50, counts_at=at("11-22 23:58"), send_by=START + DAY)
    other = waiting(51, counts_at=at("11-22 23:59"), priority=90)
    assert full_at_the_door(mine, [other], (cap(1, "day"),), at("11-23 00:01"), person().zone)
    books = waiting(51, counts_at=at("11-21 12:00"), priority=90)
    assert outcome(judged(books, now=START, caps=(cap(1, "day"),))) == "capped"


@pytest.mark.parametrize(
    ("other", "until"),
    [
        (said(51, counts_at=START - HOUR), "11-22 11:00"),
        (said(51, counts_at=START - 2 * HOUR), ""),
        (waiting(51, counts_at=START - HOUR), ""),  # nothing of it has begun: it will keep its distance itself
        (said(51, counts_at=START - HOUR, marketing=False), ""),
        (said(51, counts_at=START - 3 * HOUR, channel="sms"), ""),
        (said(51, counts_at=START - 3 * HOUR, channel="push"), "11-22 13:00"),  # between two of one channel
    ],
)
def test_the_least_gap_is_asked_again_at_the_door(other: Said, until: str) -> None:
    about = policy(least_gap=2 * HOUR, gap_by_channel={"push": 6 * HOUR})
    waits = waiting(50, channel="push")
    assert shown(gap_at_the_door(waits, [other], about, START)) == until
